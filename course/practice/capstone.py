"""The grader of the capstone: a learner's report on the meters against the first version, in turns, on the same cluster.

The whole trial runs in a process of its own (:mod:`course.practice.sandbox`), on towns that nobody has seen before: each
turn has one of its own, which both versions report on. So no answer can be kept from one turn to the next, and none be
known beforehand.
"""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from course.practice.child import describe_error, tell
from course.practice.comparing import difference, kind_of
from course.practice.encoding import TooLargeError, encode, type_name

TURNS = 3
CORRECT = 2
POINTS = ((1.5, 4), (2.0, 5), (3.0, 7), (5.0, 9), (8.0, 12))
"""What so many times as fast as the start earns; `CORRECT` points are for a right answer."""

TARGET, MOST = POINTS[-1]
LEAST_SHARE = 0.1
"""Of all computing, each worker does at least so much."""

LIMIT = 60.0
MEMORY = 64 * 2**30  # of addresses: a Dask worker reserves far more than it uses
NO_CHANGE = 0.02
SPOILT = 3.0
"""From so many times its first time on, the start has been slowed down by what ran before it."""


def points(ratio: float) -> int:
    """Return what a right answer earns that is so many times as fast as the start.

    Examples
    --------
    >>> [points(ratio) for ratio in (0.9, 1.5, 4.9, 5.0, 30.0)]
    [2, 4, 7, 9, 12]
    """
    return max([CORRECT, *(earned for least, earned in POINTS if ratio >= least)])


# ---- in the process of its own


def trial(answer: Callable[..., Any], seeds: Sequence[int], filename: str) -> dict[str, Any]:
    """Run the learner's version and the start in turns, and return what came out, as plain data.

    Parameters
    ----------
    answer : callable
        The learner's ``pipeline(client, folder)``.
    seeds : sequence of int
        Of the towns, one for each turn. The first one is awkward and not timed.
    filename : str
        Where the learner's code is.

    Returns
    -------
    dict
        ``turns``, a list of dicts with ``seed``, ``right``, ``got`` (or ``raised``, ``too_large``, ``spoilt``) and
        ``seconds`` of the learner's version and of the start; ``shares`` of the workers; and, if the version is
        not fast enough for all points, ``held_up``: what a diagnosis says of it.
    """
    # What the learner's code may change must not reach these: the start by value, from its file; the clock; the scheduler.
    own, clock = _private("course.measure.meters"), time.perf_counter
    from course import measure

    found: dict[str, Any] = {"turns": []}
    with (
        tempfile.TemporaryDirectory(prefix="course-capstone-") as folder,
        measure.cluster(2, 1, local=True, dashboard=False) as client,
    ):
        scheduler = client.cluster.scheduler
        for k, seed in enumerate(seeds):
            tell(f"town {k + 1} of {len(seeds)}")
            town = Path(folder) / str(k)
            town.mkdir()
            own.write_meters(town, seed=seed, awkward=k == 0)
            turn: dict[str, Any] = {"seed": seed, "seconds": [0.0, 0.0]}
            found["turns"].append(turn)
            recording = measure.record(client) if k == 0 else contextlib.nullcontext()
            for which in (1, 0) if k % 2 == 0 else (0, 1):
                begin = clock()
                try:
                    if which:
                        turn["right"] = own.start(client, town)
                    else:
                        with recording as run:
                            turn["got"] = answer(client, town)
                except BaseException as error:
                    if which and k == 0:  # the learner's code did not run yet
                        raise
                    turn["spoilt" if which else "raised"] = describe_error(error, filename)
                    return found
                if which == 0 and k == 0:
                    found["shares"] = _shares(run.trace)
                _wait_for_all(scheduler)
                turn["seconds"][which] = clock() - begin
            try:
                encode(turn["got"])
            except TooLargeError:
                turn["too_large"] = type_name(turn.pop("got"))
                return found
            if difference(turn["right"], _decoded(turn["got"]), 1e-9, 1e-9) is not None:
                return found
        if points(_ratio(found["turns"])) < MOST:
            tell("one run more, to be diagnosed")
            with contextlib.suppress(Exception):
                with measure.record(client) as run:
                    answer(client, town)
                found["held_up"] = _held_up(run.trace)
    return found


def _private(name: str) -> Any:
    """Load a module of the course once more, from its file, under a name that nobody can import."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    spec = importlib.util.spec_from_file_location("first version", spec.origin)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _decoded(value: Any) -> Any:
    from course.practice.encoding import decode

    return decode(encode(value))


def _wait_for_all(scheduler: Any) -> None:
    """Wait until the cluster has nothing to do: what a version leaves running is part of its time."""
    busy = ("waiting", "queued", "processing", "no-worker")
    while any(task.state in busy for task in list(scheduler.tasks.values())):
        time.sleep(0.002)


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
            trial, answer, [((seeds, filename), {})], limit=LIMIT, memory=MEMORY, filename=filename, progress=progress
        )
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
        if "spoilt" in turn:
            problem = "the start no longer runs after it: does it close the client, or change what it does not own?"
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
    says.append(("tried", f"{len(turns)} towns, all reports correct"))
    result.points = float(CORRECT)
    if min(found["shares"], default=0.0) < LEAST_SHARE or len(found["shares"]) < 2:
        shares = " and ".join(f"{share:.0%}" for share in found["shares"]) or "nothing"
        says.append(("came out", f"correct, but the workers do not share the work: they compute {shares} of it"))
        says.append(("expected", f"at least {LEAST_SHARE:.0%} of all computing on each worker: a whole country would not fit one"))
        return
    ratio = _ratio(turns)
    mine, start = (statistics.median(turn["seconds"][which] for turn in turns[1:]) for which in (0, 1))
    if start > SPOILT * turns[0]["seconds"][1]:
        says.append(("came out", "the start has become much slower than it was before your function ran first"))
        says.append(("expected", "a function that leaves the cluster, and Python, as it found them"))
        return
    result.points = float(points(ratio))
    result.measured = f"yours {mine:.2f} s, the start {start:.2f} s: {ratio:.1f} times as fast (median of {TURNS} turns)"
    if ratio >= TARGET:
        says.append(("reached", f"at least {TARGET:g} times as fast as the start"))
        return
    reached = max((least for least, _ in POINTS if ratio >= least), default=None)
    if reached is not None:
        came_out = f"correct, and at least {reached:g} times as fast as the start; all points are for {TARGET:g} times"
    elif abs(ratio - 1.0) < NO_CHANGE:
        came_out = "correct; no change against the start (less than 2 %)"
    else:
        came_out = f"correct, but {'slower than' if ratio < 1 else 'hardly faster than'} the start"
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
            print("\r" + " " * 50 + "\r", end="", flush=True)
        sys.stdout.flush()
