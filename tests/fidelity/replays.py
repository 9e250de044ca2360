"""`whatif` against what really happened: programs that are recorded once, then run with changes.

    python tests/fidelity whatif [--rounds 5] [--only TEXT …] [--markdown FILE] [--traces FOLDER]

Each program runs on a cluster of its own for each change, all of them open at once, in rounds: once without changes and
once with each, so that what else the machine does falls on all alike. The trace of the first round is all that `whatif`
is given. Compared are the ratios: predicted, and median with the change over median without. Exit status 1 unless the
median error is under 10 % and every one under 25 %, and the replay of what was recorded, with nothing changed, is off
by under 5 % in the median and under 15 % at worst.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from programs import PROGRAMS, Program

from course import Trace, whatif
from course.cli.bar import Bar
from course.measure import cluster, forget_durations, record
from course.replay import WhatIf

USUAL, WORST = 0.10, 0.25
USUAL_REPLAY, WORST_REPLAY = 0.05, 0.15


@dataclass(frozen=True)
class Row:
    """One change of one program."""

    program: str
    tasks: int
    change: str
    seconds: float  # without the change, the median [s]
    outcome: WhatIf
    measured: float  # the ratio

    @property
    def error(self) -> float:
        """By how much the prediction is off."""
        return self.outcome.ratio / self.measured - 1


def run_program(program: Program, rounds: int, folder: Path | None) -> list[Row]:
    """Record a program once, and run it with each change in rounds."""
    labels = ["nothing changed", *(change.label for change in program.changes)]
    settings = [program.options(), *(program.options(change) for change in program.changes)]
    makespans: dict[str, list[float]] = {label: [] for label in labels}
    recorded: Trace | None = None
    bar = Bar(program.name, (rounds + 1) * len(labels))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(cluster(**options)) for options, _ in settings]
        for k in range(-1, rounds):  # the first round warms up
            for i, (label, client, (_, code)) in enumerate(zip(labels, clients, settings, strict=True)):
                bar.show((k + 1) * len(labels) + i, label)
                forget_durations(client)
                with client.as_current(), record(client) as run:
                    program.run(client, **code)
                if k < 0:
                    continue
                makespans[label].append(run.trace.makespan)
                recorded = recorded or run.trace
                if folder is not None:
                    run.trace.save(folder / f"{program.name}, {label}, {k}.parquet".replace(" ", "_"))
    bar.end(f"{rounds} rounds")
    median = {label: statistics.median(values) for label, values in makespans.items()}
    usual = median[labels[0]]
    return [
        Row(program.name, len(recorded.graph), change.label, usual, whatif(recorded, **change.whatif),
            median[change.label] / usual)
        for change in program.changes
    ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python tests/fidelity whatif", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="programs whose names hold one of these")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument("--traces", type=Path, metavar="FOLDER", help="keep all recorded traces there")
    options = parser.parse_args(argv)
    if options.traces is not None:
        options.traces.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    chosen = [p for p in PROGRAMS if not options.only or any(text in p.name for text in options.only)]
    rows = [row for program in chosen for row in run_program(program, options.rounds, options.traces)]
    head = ("program", "tasks", "time", "replayed", "change", "predicted", "measured", "error")
    print("{:22}{:>6}{:>8} {:>9}   {:16}{:>10}{:>10}{:>8}".format(*head))
    for row in rows:
        print(
            f"{row.program:22}{row.tasks:6}{row.seconds:7.2f}s {row.outcome.error:+8.1%}   {row.change:16}"
            f"{row.outcome.ratio:10.3f}{row.measured:10.3f}{row.error:+8.1%}"
        )
    errors = [abs(row.error) for row in rows]
    replays = [abs(error) for error in {row.program: row.outcome.error for row in rows}.values()]
    summary = (
        f"{len(rows)} changes of {len(replays)} programs: median error {statistics.median(errors):.1%}, worst"
        f" {max(errors):.1%}; replayed with nothing changed: median {statistics.median(replays):.1%}, worst"
        f" {max(replays):.1%}"
    )
    print(f"{summary} ({time.monotonic() - began:.0f} s)")
    if options.markdown is not None:
        options.markdown.write_text(_markdown(rows) + f"\n{summary}.\n", encoding="utf-8")
    held = statistics.median(errors) < USUAL and max(errors) < WORST
    return int(not (held and statistics.median(replays) < USUAL_REPLAY and max(replays) < WORST_REPLAY))


def _markdown(rows: Sequence[Row]) -> str:
    lines = ["| program | tasks | replayed | change | predicted | measured | error |",
             "| --- | ---: | ---: | --- | ---: | ---: | ---: |"]  # fmt: skip
    lines += [
        f"| {row.program} | {row.tasks} | {row.outcome.error:+.1%} | {row.change} | {row.outcome.ratio:.2f}"
        f" | {row.measured:.2f} | {row.error:+.1%} |"
        for row in rows
    ]
    return "\n".join(lines).replace("%", " %") + "\n"
