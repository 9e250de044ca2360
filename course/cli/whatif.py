"""``course whatif``: how long a recorded run would have taken otherwise, simulated."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from course.cli.diagnose import as_json
from course.cli.errors import CommandError
from course.cli.traces import load, new_file, patience
from course.cli.units import count, duration, factor, rate

if TYPE_CHECKING:
    from course.trace import Trace

EXAMPLES = """\
examples:
  course whatif trace.parquet --workers 16
  course whatif trace.parquet --workers 2,4,8,16      (a table)
  course whatif trace.parquet --bandwidth 1GiB/s --latency 200us
  course whatif trace.parquet --bandwidth 2x --scheduler-overhead 0.5x
  course whatif trace.parquet --split read_parquet=4 --speed sum=2
  course whatif trace.parquet --even getitem --remove transfer --save other.parquet

PREFIX is the name of tasks without what tells them apart: read_parquet, sum. Give an option several times for several
prefixes; without PREFIX= a number is for all tasks. Traces are made by `course record -- COMMAND`.
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "whatif",
        help="how long a recorded run would take with other workers, network, tasks, policy",
        description="Simulate a recorded run with something changed, and say how long it would take.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="a trace")
    command.add_argument("--workers", metavar="N[,N…]", help="so many workers, or 2x; several for a table")
    command.add_argument("--threads", metavar="N", help="so many threads a worker, or 2x")
    command.add_argument("--bandwidth", metavar="B", help="bytes per second: 100MB/s, 1GiB/s, 10Gbit/s; or 2x")
    command.add_argument("--latency", metavar="S", help="of a transfer: 200us, 2ms; or 2x")
    command.add_argument("--scheduler-overhead", metavar="S", help="of a task: 200us, 1ms; or 0.5x")
    command.add_argument("--policy", metavar="P", help="who runs what, when: dask, list, fifo, blevel, ...")
    command.add_argument("--split", action="append", metavar="PREFIX=K", default=[], help="each such task into K")
    command.add_argument("--merge", action="append", metavar="PREFIX=K", default=[], help="K such tasks into one")
    command.add_argument("--speed", action="append", metavar="PREFIX=F", default=[], help="such tasks F times as fast")
    command.add_argument("--even", action="append", metavar="PREFIX", default=[], help="all such tasks equally long")
    command.add_argument(
        "--remove", action="append", metavar="KIND", default=[], help="as if these took no time: transfer, disk, ..."
    )
    command.add_argument("--seed", type=int, default=0, help="of what is random in the simulation (0)")
    command.add_argument("--json", action="store_true", help="print JSON instead of text")
    command.add_argument("--save", metavar="OUT", help="save the simulated run as a trace")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate once, or once for each number of workers; print the answer."""
    options = changes(arguments)
    workers = [count(each, "--workers") for each in arguments.workers.split(",")] if arguments.workers else [None]
    target = None
    if arguments.save:
        if len(workers) > 1:
            raise CommandError("--save is for one number of workers; --workers has several")
        target = new_file(arguments.save, (".parquet",))
    trace = load(arguments.file)
    workers = [multiple(number, trace.cluster.workers) for number in workers]
    if "threads" in options:
        options["threads"] = multiple(options["threads"], threads_each(trace, options["threads"]))
    with patience():
        answers = [ask(trace, workers=number, **options) for number in workers]
    if target is not None:
        save(answers[0].trace, target)
    if arguments.json:
        print(as_json(as_dict(arguments.file, options, answers)))
    elif len(workers) == 1:
        print(answers[0])
    else:
        print(table(trace, options, workers, answers))
    return 0


def changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what is to be changed, as `course.whatif` takes it, but for the workers."""
    given = {
        "threads": arguments.threads and count(arguments.threads, "--threads"),
        "bandwidth": arguments.bandwidth and rate(arguments.bandwidth, "--bandwidth"),
        "latency": arguments.latency and duration(arguments.latency, "--latency"),
        "scheduler_overhead": arguments.scheduler_overhead
        and duration(arguments.scheduler_overhead, "--scheduler-overhead"),
        "policy": arguments.policy,
        "split": by_prefix(arguments.split, "--split", _pieces),
        "merge": by_prefix(arguments.merge, "--merge", _pieces),
        "speed": by_prefix(arguments.speed, "--speed", factor),
        "even": tuple(arguments.even),
        "remove": tuple(arguments.remove),
    }
    return {name: value for name, value in given.items() if value not in (None, ())} | {"seed": arguments.seed}


def by_prefix(given: Sequence[str], option: str, number: Callable[[str, str], Any]) -> Any:
    """Return a dictionary of numbers by prefix, the one number for all tasks, or None.

    Examples
    --------
    >>> by_prefix(["sum=2", "read=0.5x"], "--speed", factor)
    {'sum': 2.0, 'read': 0.5}
    >>> by_prefix(["2"], "--speed", factor)
    2.0
    """
    numbers: dict[str, Any] = {}
    for each in given:
        prefix, equals, value = each.rpartition("=")
        if equals and not prefix:
            raise CommandError(f"{option} is {each!r}; it must be like PREFIX=2, or 2 for all tasks")
        if prefix in numbers or (numbers and "" in (*numbers, prefix)):
            raise CommandError(f"{option} is given twice for the same tasks: {' and '.join(given)}")
        numbers[prefix] = number(value, option)
    return numbers.get("", numbers or None)


def _pieces(text: str, option: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise CommandError(f"{option} is {text!r}; it must be a whole number") from None


def ask(trace: Trace, **options: Any) -> Any:
    """Return what `course.whatif` answers; what it refuses is said in one line."""
    from course import whatif

    try:
        return whatif(trace, **options)
    except (ValueError, TypeError, LookupError) as error:
        raise CommandError(" ".join(str(error).split())) from error


def save(trace: Trace, target: Any) -> None:
    """Save the simulated run."""
    from course.recorded import save_new

    try:
        save_new(trace, target)
    except OSError as error:
        raise CommandError(f"{target} cannot be written: {error.strerror}") from error


def multiple(number: int | str | None, of: int) -> int | None:
    """Return a number that may be given as a factor.

    Examples
    --------
    >>> multiple("2x", 4), multiple(3, 4), multiple("0.1x", 4)
    (8, 3, 1)
    """
    return max(1, round(float(number.removesuffix("x")) * of)) if isinstance(number, str) else number


def threads_each(trace: Trace, asked: int | str) -> int:
    """Return the threads of every worker; where they differ, there is nothing to multiply."""
    each = set(trace.cluster.threads_per_worker.tolist())
    if isinstance(asked, str) and len(each) > 1:
        raise CommandError(f"--threads is {asked!r}, but workers have {sorted(each)} threads; give a number")
    return max(each)


def table(trace: Trace, options: dict[str, Any], workers: Sequence[int | None], answers: Sequence[Any]) -> str:
    """Return a table with a row for each number of workers."""
    first = answers[0]
    others = [f"{name.replace('_', ' ')} {_typed(value)}" for name, value in options.items() if name != "seed"]
    lines = [
        *([f"what if: {'; '.join(others)}"] if others else []),
        f"recorded: {first.recorded:.3g} s on {trace.cluster.workers} workers"
        f" ({trace.cluster.slots} threads); simulated without a change: {first.replayed:.3g} s",
        "",
        f"{'workers':>8}{'makespan':>12}{'interval':>22}{'ratio':>8}{'speed-up':>10}{'utilization':>13}",
    ]
    for number, answer in zip(workers, answers, strict=True):
        low, high = answer.interval
        lines.append(
            f"{number!s:>8}{answer.makespan:10.3g} s{f'{low:.3g} to {high:.3g} s':>22}{answer.ratio:8.2f}"
            f"{speed_up(answer):10.2f}{answer.trace.utilization():13.0%}"
        )
    return "\n".join(lines)


def _typed(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{prefix}={number}" for prefix, number in value.items()]
    return ", ".join(value) if isinstance(value, tuple | list) else str(value)


def speed_up(answer: Any) -> float:
    """Return how many times as fast it would be."""
    return 1 / answer.ratio if answer.ratio else float("inf")


def as_dict(file: str, options: dict[str, Any], answers: Sequence[Any]) -> dict[str, Any]:
    """Return the answers as plain numbers, lists and strings."""
    return {
        "file": file,
        "changes": options,
        "recorded": float(answers[0].recorded),
        "replayed": float(answers[0].replayed),
        "results": [
            {
                "workers": answer.trace.cluster.workers,
                "makespan": float(answer.makespan),
                "interval": [float(end) for end in answer.interval],
                "ratio": float(answer.ratio),
                "speed_up": float(speed_up(answer)),
                "utilization": float(answer.trace.utilization()),
            }
            for answer in answers
        ],
    }
