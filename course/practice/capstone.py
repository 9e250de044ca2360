"""The grader of the capstone: a learner's report on the meters against the first version, in turns, on one cluster.

The whole trial runs in a process of its own (:mod:`course.practice.sandbox`). Each turn has a town of its own, which
nobody has seen before and which both versions report on: no answer can be kept from one turn to the next, and none be
known beforehand.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course.practice.child import describe_error, tell
from course.practice.comparing import difference, kind_of
from course.practice.encoding import TooLargeError, encode, type_name

TURNS = 3
CORRECT = 2
POINTS = ((1.5, 4), (2.0, 5), (3.0, 7), (4.0, 9), (6.0, 12))
"""What so many times as fast as the start earns; `CORRECT` points are for a right answer."""

TARGET, MOST = POINTS[-1]
LEAST_SHARE = 0.1
"""Of all computing, each worker does at least so much."""

TOWN = {"days": 3, "meters": 120}
LIMIT = 60.0
MEMORY = 12 * 2**30  # of addresses, for each process: a Dask worker reserves far more than it uses
NO_CHANGE = 0.02
SPOILT = 3.0
"""From so many times its first time on, the start has been slowed down by what ran before it."""


def points(ratio: float) -> int:
    """Return what a right answer earns that is so many times as fast as the start.

    Examples
    --------
    >>> [points(ratio) for ratio in (0.9, 1.5, 3.9, 4.0, 30.0)]
    [2, 4, 7, 9, 12]
    """
    return max([CORRECT, *(earned for least, earned in POINTS if ratio >= least)])


# ---- in the process of its own


def trial(
    answer: Callable[..., Any], seeds: Sequence[int], filename: str = "", town: Mapping[str, int] = TOWN
) -> dict[str, Any]:
    """Run the learner's version and the start in turns, and return what came out, as plain data.

    Parameters
    ----------
    answer : callable
        The learner's ``pipeline(client, folder)``.
    seeds : sequence of int
        Of the towns, one for each turn. The first one is awkward and not timed.
    filename : str
        Where the learner's code is.
    town : mapping
        The size of the towns, as `course.measure.meters.write_meters` takes it.

    Returns
    -------
    dict
        ``turns``, a list of dicts with ``seed``, ``right``, ``got`` (or ``raised``, ``too_large``, ``closed``,
        ``spoilt``) and ``seconds`` of the learner's version and of the start; ``shares`` of the workers; and, if the
        version is not fast enough for all points, ``held_up``: what a diagnosis says of it.
    """
    # The start from its file, the clock and the scheduler: what the learner's code changes does not reach them.
    own, clock = _private("course.measure.meters"), time.perf_counter
    from course import measure

    found: dict[str, Any] = {"turns": []}
    with (
        tempfile.TemporaryDirectory(dir=os.getcwd()) as folder,  # which goes with this process, however it ends
        measure.cluster(2, 1, local=True, dashboard=False) as client,
    ):
        scheduler = client.cluster.scheduler
        for k, seed in enumerate(seeds):
            tell(f"town {k + 1} of {len(seeds)}")
            place = Path(folder) / str(k)
            place.mkdir()
            own.write_meters(place, seed=seed, awkward=k == 0, **town)
            turn: dict[str, Any] = {"seed": seed, "seconds": [0.0, 0.0]}
            found["turns"].append(turn)
            recording = measure.record(client) if k == 0 else contextlib.nullcontext()
            for which in (1, 0) if k % 2 == 0 else (0, 1):
                begin = clock()
                try:
                    if which:
                        turn["right"] = own.start(client, place)
                    else:
                        with recording as run:
                            turn["got"] = answer(client, place)
                            turn["closed"] = client.status != "running"
                except BaseException as error:
                    if which and k == 0:  # the learner's code did not run yet
                        raise
                    turn["spoilt" if which else "raised"] = describe_error(error, filename)
                    return found
                seconds = clock() - begin
                if _wait_for_all(scheduler):
                    seconds = clock() - begin
                    turn["left"] = which == 0
                turn["seconds"][which] = seconds
            try:
                encode(turn["got"])
            except TooLargeError:
                turn["too_large"] = type_name(turn.pop("got"))
                return found
            if turn["closed"] or difference(turn["right"], _decoded(turn["got"]), 1e-9, 1e-9) is not None:
                return found
            if k == 0:
                found["shares"] = _shares(run.trace)
                if not _shared(found["shares"]):
                    return found
        if points(_ratio(found["turns"])) < MOST:
            tell("one run more, to be diagnosed")
            with contextlib.suppress(Exception):
                with measure.record(client) as run:
                    answer(client, place)
                found["held_up"] = _held_up(run.trace)
    return found


def _private(name: str) -> Any:
    """Load a module of the course once more, from its file, under a name that nobody can import."""
    spec: Any = importlib.util.find_spec(name)
    spec = importlib.util.spec_from_file_location("first version", spec.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _decoded(value: Any) -> Any:
    from course.practice.encoding import decode

    return decode(encode(value))


def _wait_for_all(scheduler: Any) -> bool:
    """Wait until the cluster has nothing to do, and say whether it had: what a version leaves running is its time."""
    states, busy = ("waiting", "queued", "processing", "no-worker"), False
    time.sleep(0.05)  # what was submitted last may be on its way
    while any(task.state in states for task in list(scheduler.tasks.values())):
        busy = True
        time.sleep(0.002)
    return busy


def _ratio(turns: Sequence[dict[str, Any]]) -> float:
    """Return how many times as fast as the start: the median over the timed turns."""
    return statistics.median(start / max(mine, 1e-9) for mine, start in (turn["seconds"] for turn in turns[1:]))


def _shares(trace: Any) -> list[float]:
    """Return each worker's share of all computing; nothing, if nothing was computed on the cluster."""
    from course.diagnosis import diagnose

    try:
        busy = [worker.busy for worker in diagnose(trace).workers]
    except ValueError:
        return []
    return [each / sum(busy) for each in busy]


def _shared(shares: Sequence[float]) -> bool:
    return len(shares) > 1 and min(shares) >= LEAST_SHARE


def _held_up(trace: Any) -> str:
    """Say what a diagnosis finds, in a sentence or two; no cure."""
    from course.diagnosis import LIMITS, diagnose

    found = diagnose(trace)
    shares = sorted(found.shares.items(), key=lambda each: -each[1])[:3]
    kinds = sorted(found.groups, key=lambda group: -group.seconds)[:2]
    return (
        f"held up by {found.limit}: {LIMITS[found.limit]}. Of the threads' time: "
        + ", ".join(f"{name} {share:.0%}" for name, share in shares)
        + ". Most computing: "
        + ", ".join(f"{group.tasks:,} tasks {group.prefix!r} ({group.seconds:.2g} s)" for group in kinds)
    )


# ---- in the learner's own process


def grade(answer: object, result: Any) -> None:
    """Judge a learner's version: right first, then how many times as fast as the start."""
    from course.practice.checking import describe_unknown, filename_of, name_of, raised_text, short, status_problem
    from course.practice.sandbox import CannotSendError, run

    says, filename = result.says, filename_of(answer)
    if not callable(answer):
        says.append(("came out", f"{describe_unknown(answer)}, where a function was expected"))
        says.append(("expected", "pipeline(client, folder), the function itself"))
        return
    seeds = [secrets.randbelow(10**6) for _ in range(TURNS + 1)]
    progress = _Progress()
    try:
        outcome = run(
            trial, answer, [((seeds, filename, TOWN), {})],
            limit=LIMIT, memory=MEMORY, filename=filename, progress=progress,
        )  # fmt: skip
    except CannotSendError as error:
        says.append(("came out", f"the answer could not be tried: {error}"))
        return
    finally:
        progress.end()
    if outcome.unloadable is not None:
        says.append(("came out", raised_text(outcome.unloadable, filename)))
        return
    came = outcome.cases[0]
    problem = status_problem(came, LIMIT, filename)
    if problem is not None:
        says.append(("tried", f"{name_of(answer)}(client, folder), on two workers"))
        says.append(("came out", problem))
    else:
        _judge(came.value, name_of(answer), filename, result)
    if outcome.printed:
        says.append(("printed", short(outcome.printed, 200)))


def _judge(found: dict[str, Any], name: str, filename: str, result: Any) -> None:
    from course.practice.checking import raised_text

    says, turns = result.says, found["turns"]
    for k, turn in enumerate(turns):
        if turn.get("closed"):
            problem = "it closes the client, which others still need"
        elif "spoilt" in turn:
            problem = "the start no longer runs after it: does it change what it does not own?"
        elif "raised" in turn:
            problem = raised_text(turn["raised"], filename)
        elif "too_large" in turn:
            problem = f"a {turn['too_large']} that is far too large"
        else:
            wrong = difference(turn["right"], turn["got"], 1e-9, 1e-9)
            if wrong is None:
                continue
            problem = f"{kind_of(turn['got'])}, {wrong}" if wrong.startswith(("which", "whose")) else wrong
            problem = wrong.removeprefix("which is ") if wrong.startswith("which is ") else problem
        awkward = ", awkward=True" if k == 0 else ""
        says.append(("tried", f"{name} on the town of write_meters(folder, seed={turn['seed']}{awkward})"))
        says.append(("came out", problem))
        says.append(("expected", "the same report as meters.start gives of that town"))
        return
    says.append(("tried", f"{len(turns)} town{'s, all reports' if len(turns) > 1 else ', its report'} correct"))
    result.points = float(CORRECT)
    if not _shared(found["shares"]):
        shares = " and ".join(f"{share:.0%}" for share in found["shares"]) or "nothing"
        says.append(("came out", f"correct, but the workers do not share the work: they compute {shares} of it"))
        says.append(
            ("expected", f"at least {LEAST_SHARE:.0%} of all computing on each worker: one process is too small")
        )
        return
    ratio = _ratio(turns)
    mine, start = (statistics.median(turn["seconds"][which] for turn in turns[1:]) for which in (0, 1))
    if start > SPOILT * turns[0]["seconds"][1]:
        says.append(("came out", "the start has become much slower than it was before your function ran first"))
        says.append(("expected", "a function that leaves the cluster, and Python, as it found them"))
        return
    result.points = float(points(ratio))
    result.measured = f"yours {mine:.2f} s, the start {start:.2f} s: {ratio:.1f} times as fast (medians of {TURNS})"
    if any(turn.get("left") for turn in turns):
        says.append(("note", "when it returned, tasks of it were still running; until their end counts as its time"))
    if ratio >= TARGET:
        says.append(("reached", f"at least {TARGET:g} times as fast as the start"))
        return
    reached = max((least for least, _ in POINTS if ratio >= least), default=None)
    if reached is not None:
        came_out = f"correct, and at least {reached:g} times as fast as the start; all points are for {TARGET:g} times"
    elif abs(ratio - 1.0) < NO_CHANGE:
        came_out = "correct; no change against the start (less than 2 %)"
    else:
        how = "no faster than" if ratio < 1 else f"less than {POINTS[0][0]:g} times as fast as"
        came_out = f"correct, but {how} the start"
    says.append(("came out", came_out))
    if "held_up" in found:
        says.append(("diagnosis", found["held_up"]))


class _Progress:
    """Shows in one line how far the trial is."""

    def __init__(self) -> None:
        self.shown = False

    def __call__(self, text: str) -> None:
        self.shown = True
        print(f"\rcapstone: {text}".ljust(50), end="", flush=True)

    def end(self) -> None:
        if self.shown:
            print(flush=True)
