"""Dask's work stealing step by step: each look, each decision and its inequality, before and after (chapter 14).

The rules are those of ``stealing.py`` in distributed 2026.8, for tasks of one known duration, all at one worker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int
from course.explorers.shapes import NEW, OLD, box

WORKERS, MOST = 4, 40
DURATION = 0.1  # seconds that each task takes, and is known to take


@dataclass(frozen=True)
class Move:
    """One decision of a look: whether the thief gets a task of the victim."""

    now: float  # seconds since the tasks came
    look: int
    thief: int  # −1: the look ends without a thief
    left: float  # left side of the test: the thief's queue, the transfer, the task [s]
    right: float  # right side: the victim's queue less half the task [s]
    before: tuple[int, ...]  # tasks at each worker
    after: tuple[int, ...]
    reason: str

    @property
    def moved(self) -> bool:
        """Whether the task was asked for."""
        return self.before != self.after


def decisions(tasks: int, transfer: float, interval: float) -> tuple[list[Move], float]:
    """Return every decision of a run, and its makespan [s].

    Parameters
    ----------
    tasks : int
        At worker 0 at time 0; the other three have none.
    transfer : float
        Seconds that a task's input takes to another worker, as Dask estimates them; here they really take as long.
    interval : float
        Seconds between two looks; the first comes after half of it.

    Examples
    --------
    One look takes an eighth of the 20 tasks, rounded up, for each of three thieves.

    >>> moves, makespan = decisions(20, 0.0, 0.2)
    >>> [move.after for move in moves if move.look == 1][-1]  # one task was done before
    (10, 3, 3, 3)
    >>> round(makespan, 2)
    0.6
    """
    work = np.zeros(WORKERS)  # seconds left at each worker, transfers included
    work[0] = tasks * DURATION
    cost = np.array([DURATION] + [DURATION + transfer] * (WORKERS - 1))
    found: list[Move] = []
    now, look = 0.0, 0
    while (work > 1e-9).any():
        at = (look + 0.5) * interval
        if at >= now + work.max() - 1e-9:
            return found, float(now + work.max())
        work, now, look = np.maximum(work - (at - now), 0.0), at, look + 1
        counts = np.ceil(work / cost - 1e-9).astype(int)
        _one_look(found, now, look, work, counts, transfer)
    return found, float(now)


def _one_look(found: list[Move], now: float, look: int, work: np.ndarray, counts: np.ndarray, transfer: float) -> None:
    mean = counts.sum() * DURATION / WORKERS
    thieves = [w for w in range(1, WORKERS) if counts[w] < 1 or counts[w] * DURATION < mean / 2 - 1e-9]
    assigned = np.where(np.arange(WORKERS) == 0, counts * DURATION, counts * (DURATION + transfer))

    def note(thief: int, left: float, right: float, before: tuple[int, ...], reason: str) -> None:
        found.append(Move(now, look, thief, left, right, before, tuple(counts.tolist()), reason))

    before = tuple(counts.tolist())
    if counts[0] <= 1:
        note(-1, math.nan, math.nan, before, "the victim runs its last task, and what runs is not stolen")
        return
    if not thieves:
        note(-1, math.nan, math.nan, before, "nobody has less than half the mean: there is no thief")
        return
    while thieves and counts[0] > 1:
        thief = min(thieves, key=lambda w: (assigned[w], w))
        before = tuple(counts.tolist())
        left, right = assigned[thief] + transfer + DURATION, assigned[0] - DURATION / 2
        if left > right + 1e-9:
            note(thief, left, right, before, "the thief would not be done sooner")
            return
        counts[0] -= 1
        counts[thief] += 1
        work[0] -= DURATION
        work[thief] += DURATION + transfer
        assigned[0] -= DURATION
        assigned[thief] += DURATION + transfer
        full = assigned[thief] >= mean / 2 - 1e-9
        if full:
            thieves.remove(thief)
        note(thief, left, right, before, "it now has half the mean, and takes no more" if full else "it has room left")


def compute(tasks: int, transfer: float, interval: float, step: int) -> dict[str, Any]:
    """Return the decision of one step, and what the whole run comes to."""
    moves, makespan = decisions(tasks, transfer, interval)
    k = min(step, len(moves))
    return {
        "tasks": tasks,
        "k": k,
        "count": len(moves),
        "move": moves[k - 1] if k else None,
        "makespan": makespan,
        "stolen": sum(move.moved for move in moves[:k]),
        "ideal": tasks * DURATION / WORKERS,
    }


def finding(result: dict[str, Any]) -> str:
    """Say what was decided and why; at the end, what the run takes."""
    k, move = result["k"], result["move"]
    end = (
        f" In all the run takes {result['makespan']:.2f} s; evenly shared it would take {result['ideal']:.2f} s, "
        f"without stealing {result['tasks'] * DURATION:.2f} s."
    )
    if move is None:
        return (
            f"Worker 0 holds all {result['tasks']} tasks; nobody has looked yet ({result['count']} decisions follow)."
            + end
        )
    where = f"Step {k} of {result['count']}, look {move.look} at {move.now:.2f} s: "
    if move.thief < 0:
        text = f"nothing moves, because {move.reason}."
    else:
        sign = "≤" if move.moved else ">"
        verdict = f"worker {move.thief} gets a task" if move.moved else f"worker {move.thief} gets nothing"
        text = f"{verdict}: {move.left:.2f} {sign} {move.right:.2f} s; {move.reason}."
    return where + text + f" {result['stolen']} stolen so far." + (end if k == result["count"] else "")


def build(figure: Figure) -> dict[str, Any]:
    """Make two axes: the queues before the decision and after it."""
    left, right = figure.subplots(1, 2, sharey=True)
    artists: dict[str, Any] = {}
    for name, axes, title in (("before", left, "Before the decision"), ("after", right, "After it (orange: moved)")):
        axes.set_title(title)
        axes.set(xlim=(0, MOST + 3), ylim=(WORKERS - 0.4, -0.6), xlabel="tasks at the worker")
        axes.set(yticks=range(WORKERS), yticklabels=[f"worker {w}" for w in range(WORKERS)])
        axes.grid(False, axis="y")
        artists[name] = axes.add_collection(PolyCollection([], edgecolors="white", linewidths=1.0))
        artists[f"{name} numbers"] = [
            axes.text(0, w, "", va="center", fontsize=10, color=COLOURS["ink"]) for w in range(WORKERS)
        ]
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Draw a box for each task, that which moved in orange."""
    move = result["move"]
    start = (result["tasks"],) + (0,) * (WORKERS - 1)
    for name, counts in (("before", move.before if move else start), ("after", move.after if move else start)):
        boxes, colours = [], []
        for w, number in enumerate(counts):
            for i in range(number):
                boxes.append(box(i + 0.1, i + 1, w - 0.34, w + 0.34))
                moved = move is not None and move.moved and i == number - 1 and w == (0, move.thief)[name == "after"]
                colours.append(NEW if moved else OLD)
            artists[f"{name} numbers"][w].set_position((number + 0.6, w))
            artists[f"{name} numbers"][w].set_text(str(number))
        artists[name].set_verts(boxes)
        artists[name].set_facecolors(colours)


explorer = Explorer(
    id="steal-steps",
    title="What does Dask steal in one look, and why no more?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "tasks": Int("Tasks of 0.1 s", 2, MOST, 24),
        "transfer": Float("Transfer (s)", 0.0, 2.0, 0.0, step=0.05, format=".2f"),
        "interval": Choice("Look every (s)", [0.1, 0.2, 0.5, 1.0, 2.0], 1.0, style="slider"),
        "step": Int("Step", 0, 80, 4),
    },
    presets={
        "From the start": {"step": 0},
        "The whole run": {"step": 80},
        "Ten looks a second": {"interval": 0.1, "step": 80},
        "Inputs of half a second": {"transfer": 0.5, "step": 80},
        "More tasks": {"tasks": 40, "step": 80},
    },
    width=10.0,
)
