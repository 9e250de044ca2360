"""The grader of the capstone: a learner's report on the meters against the first version, in turns, on one cluster.

The whole trial runs in a process of its own (:mod:`course.practice.sandbox`). Each turn has a town of its own, which is
drawn when the turn begins and which both versions report on: no answer can be kept from one turn to the next, and none
be known beforehand. Each version reads its own copy of the files. The start is run once before the learner's code, and
counts as at most so long ever after: to slow it down earns nothing.

This keeps out what one might try on the way to a faster report. It is no lock: the learner's code runs in the same
process as the trial, on the learner's machine, and who digs in the trial's frames, or edits the file of the start, can
have any result.
"""

from __future__ import annotations

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
from course.practice.encoding import TooLargeError, decode, encode, type_name
from course.practice.sandbox import CannotSendError, Run, run

TURNS = 3
CORRECT = 2
POINTS = ((1.5, 4), (2.0, 5), (3.0, 7), (4.0, 9), (6.0, 12))
"""What so many times as fast as the start earns; `CORRECT` points are for a right answer."""

TARGET, MOST = POINTS[-1]
LEAST_SHARE = 0.1
"""Of all computing, the program's own included, each worker does at least so much."""

TOWN = {"days": 3, "meters": 100}
LIMIT = 60.0
MEMORY = 12 * 2**30  # of addresses, for each process: a Dask worker reserves far more than it uses
NO_CHANGE = 0.02
MINE, START = 0, 1  # where a turn's seconds are


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
    answer: Callable[..., Any], turns: int = TURNS, filename: str = "", town: Mapping[str, int] = TOWN
) -> dict[str, Any]:
    """Run the learner's version and the start in turns, and return what came out, as plain data.

    Parameters
    ----------
    answer : callable
        The learner's ``pipeline(client, folder)``.
    turns : int
        How many are timed. One comes before them, on an awkward town.
    filename : str
        Where the learner's code is.
    town : mapping
        The size of the towns, as `course.measure.meters.write_meters` takes it.

    Returns
    -------
    dict
        ``turns``, a list of dicts with ``seed``, ``right``, ``got`` (or ``raised``, ``too_large``, ``closed``,
        ``spoilt``), ``seconds`` of the learner's version and of the start, ``shares`` of the computing (of the program
        and of each worker), ``left`` if it left tasks running; and, if the version is not fast enough for all points,
        ``held_up``: what a diagnosis says of its last run.
    """
    # The start from its file, the clock and the scheduler: what the learner's code changes does not reach them.
    own, clock, cpu = _private("course.measure.meters"), time.perf_counter, time.thread_time
    from course import measure

    found: dict[str, Any] = {"turns": []}
    with (
        tempfile.TemporaryDirectory(dir=os.getcwd()) as folder,  # which goes with this process, however it ends
        measure.cluster(2, 1, local=True, dashboard=False) as client,
    ):
        scheduler = client.cluster.scheduler
        for k in range(turns + 1):
            tell(f"town {k + 1} of {turns + 1}")
            turn: dict[str, Any] = {"seed": secrets.randbelow(10**6), "seconds": [0.0, 0.0]}
            found["turns"].append(turn)
            # At first the start, as it is before the learner's code ran; then the learner first: nothing to copy yet.
            for which in (START, MINE) if k == 0 else (MINE, START):
                place = Path(tempfile.mkdtemp(dir=folder))
                own.write_meters(place, seed=turn["seed"], awkward=k == 0, **town)
                try:
                    with measure.record(client) as run:
                        begin, computed = clock(), cpu()
                        came = (own.start if which == START else answer)(client, place)
                        turn["seconds"][which], computed = clock() - begin, cpu() - computed
                        turn["closed"] = client.status != "running"
                        if _wait_for_all(scheduler):
                            turn["seconds"][which] = clock() - begin
                            turn["left"] = which == MINE
                except BaseException as error:
                    if which == START and k == 0:  # the learner's code did not run yet
                        raise
                    turn["spoilt" if which == START else "raised"] = describe_error(error, filename)
                    return found
                if which == START:
                    turn["right"] = came
                    continue
                try:
                    plain, turn["got"] = decode(encode(came)), came
                except TooLargeError:
                    turn["too_large"] = type_name(came)
                if turn["closed"] or "too_large" in turn:
                    return found
                trace = run.trace
                turn["shares"] = _shares(trace, computed)
            if difference(turn["right"], plain, 1e-9, 1e-9) is not None:
                return found
        if points(_ratio(found["turns"])) < MOST:
            found["held_up"] = _held_up(trace)
    return found


def _private(name: str) -> Any:
    """Load a module of the course once more, from its file, under a name that nobody can import."""
    spec: Any = importlib.util.find_spec(name)
    spec = importlib.util.spec_from_file_location("first version", spec.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _wait_for_all(scheduler: Any) -> bool:
    """Wait until the cluster has nothing to do, and say whether it had: what a version leaves running is its time."""
    states, busy = ("waiting", "queued", "processing", "no-worker"), False
    time.sleep(0.05)  # what was submitted last may be on its way
    while any(task.state in states for task in list(scheduler.tasks.values())):
        busy = True
        time.sleep(0.002)
    return busy


def _ratio(turns: Sequence[dict[str, Any]]) -> float:
    """Return how many times as fast as the start: the median over the timed turns.

    The start counts as at most what it took before the learner's code ran, when it also had to import.
    """
    first = turns[0]["seconds"][START]
    return statistics.median(min(start, first) / max(mine, 1e-9) for mine, start in (t["seconds"] for t in turns[1:]))


def _shares(trace: Any, program: float) -> list[float]:
    """Return the shares of all computing: of the program, which computed so many seconds, and of each worker."""
    from course.diagnosis import diagnose

    try:
        busy = [program, *(worker.busy for worker in diagnose(trace).workers)]
    except ValueError:  # nothing ran on the cluster
        return [1.0]
    return [each / sum(busy) for each in busy]


def _least_share(turn: dict[str, Any]) -> float:
    """Return what the worker that computes least does of all."""
    return min(turn["shares"][1:]) if len(turn["shares"]) > 2 else 0.0


def _held_up(trace: Any) -> str:
    """Say what a diagnosis finds, in a sentence or two; no cure."""
    from course.diagnosis import LIMITS, diagnose

    try:
        found = diagnose(trace)
    except ValueError:
        return "nothing was computed on the cluster"
    shares = sorted(found.shares.items(), key=lambda each: -each[1])[:3]
    kinds = sorted(found.groups, key=lambda group: -group.seconds)[:2]
    return (
        f"held up by {found.limit}: {LIMITS[found.limit]}. Of the threads' time: "
        + ", ".join(f"{name} {share:.0%}" for name, share in shares)
        + ". Most computing: "
        + ", ".join(f"{group.tasks:,} tasks {group.prefix!r} ({group.seconds:.2g} s)" for group in kinds)
    )


# ---- in the learner's own process


def grade(answer: object, result: Any, run: Callable[..., Run] = run) -> None:
    """Judge a learner's version: right first, then how many times as fast as the start."""
    from course.practice.checking import describe_unknown, filename_of, name_of, raised_text, short, status_problem

    says, filename = result.says, filename_of(answer)
    if not callable(answer):
        says.append(("came out", f"{describe_unknown(answer)}, where a function was expected"))
        says.append(("expected", "pipeline(client, folder), the function itself"))
        return
    progress = _Progress()
    try:
        outcome = run(
            trial, answer, [((TURNS, filename, TOWN), {})],
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
    timed = turns[1:]
    typical = sorted(timed, key=_least_share)[(len(timed) - 1) // 2]
    if _least_share(typical) < LEAST_SHARE:
        shares = " and ".join(f"{share:.0%}" for share in typical["shares"][1:]) or "nothing"
        says.append(("came out", f"correct, but the workers do not share the work: they compute {shares} of it"))
        says.append(
            ("expected", f"at least {LEAST_SHARE:.0%} of all computing, your program's included, on each worker")
        )
        return
    ratio = _ratio(turns)
    mine, start = (statistics.median(turn["seconds"][which] for turn in timed) for which in (MINE, START))
    result.points = float(points(ratio))
    result.measured = f"yours {mine:.2f} s, the start {start:.2f} s: {ratio:.1f} times as fast (medians of {TURNS})"
    if start > turns[0]["seconds"][START]:
        says.append(("note", "the start became slower after your function had run, so its first run counts; a busy "
                             "machine, or something left behind?"))  # fmt: skip
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
