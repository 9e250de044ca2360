"""Granularity: the same work in few large tasks or in many small ones. Chapter 10."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int
from course.graph import independent

_TASKS = np.unique(np.round(np.geomspace(1, 20_000, 160)).astype(int))
_DOTS = np.unique(np.round(np.geomspace(1, 20_000, 22)).astype(int))
_CHOICES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]


def bounds(work: float, tasks: np.ndarray, workers: int, overhead: float, slowest: float) -> tuple[Any, Any]:
    """Return the shortest and the longest time in which so many tasks can be done [s], each of shape (tasks,).

    Parameters
    ----------
    work : float
        Seconds of all tasks together, before the slowest of them is made slower.
    tasks : array of int, shape (tasks,)
    workers : int
    overhead : float
        Seconds for which each task occupies the scheduler.
    slowest : float
        So many times as long as each of the others does one task take.

    Returns
    -------
    low, high : array, shape (tasks,)
        If overhead and work overlap as far as they can; if they do not overlap at all and the slowest comes last.

    Examples
    --------
    >>> low, high = bounds(10.0, np.array([10, 1000]), 10, 0.005, 1.0)
    >>> low.tolist(), high.tolist()
    ([1.0, 5.0], [1.05, 6.0])
    """
    each = work / tasks
    waves = np.ceil(tasks / workers)
    low = np.maximum.reduce([(work + (slowest - 1) * each) / workers, slowest * each, tasks * overhead])
    return low, tasks * overhead + waves * each + (slowest - 1) * each


@lru_cache(maxsize=256)
def simulated(work: float, tasks: int, workers: int, overhead: float, slowest: float) -> float:
    """Return the simulated seconds: one scheduler hands out the tasks, one after another, the slowest last."""
    durations = np.full(tasks, work / tasks)
    durations[-1] *= slowest
    cluster = simulate.Cluster(workers, scheduler_overhead=overhead)
    return simulate.run(independent(tasks, durations), cluster).makespan


def compute(work: int, tasks: int, workers: int, overhead: float, slowest: float) -> dict[str, Any]:
    """Return the band between the bounds, simulated dots, and the chosen number of tasks with the best one."""
    h = overhead / 1000
    low, high = bounds(float(work), _TASKS, workers, h, slowest)
    dots = np.array([simulated(float(work), int(k), workers, h, slowest) for k in _DOTS])
    here = simulated(float(work), tasks, workers, h, slowest)
    best = int(np.argmin(dots))
    return {
        "low": low,
        "high": high,
        "dots": dots,
        "tasks": tasks,
        "here": here,
        "best": int(_DOTS[best]),
        "best_time": min(float(dots[best]), here),
        "ideal": work / workers,
        "each": work / tasks,
        "tail": (slowest - 1) * work / tasks,
        "efficiency": work / (workers * here),
        "idle": tasks < workers,
        "scheduler": tasks * h / here,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: seconds against the number of tasks, both logarithmic."""
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.9, 25_000), ylim=(0.05, 3000), xlabel="tasks", ylabel="time (s)")
    axes.set_title("Too few tasks leave workers idle; too many keep the scheduler busy")
    artists = {
        "low": axes.plot([], [], color=COLOURS["blue"], linewidth=1.6, label="all overlaps (lower bound)")[0],
        "high": axes.plot([], [], color=COLOURS["purple"], linewidth=1.6, linestyle="--",
                          label="nothing overlaps (upper bound)")[0],
        "dots": axes.plot([], [], "o", color=COLOURS["ink"], markersize=4.5, label="simulated")[0],
        "ideal": axes.axhline(1.0, color=COLOURS["green"], linewidth=1.2, linestyle=":", label="work ÷ workers"),
        "point": axes.plot([], [], "D", color=COLOURS["orange"], markersize=10, label="you are here")[0],
    }  # fmt: skip
    axes.legend(loc="upper center", ncols=3, fontsize=9)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the band, the dots, the ideal and the point."""
    artists["low"].set_data(_TASKS, result["low"])
    artists["high"].set_data(_TASKS, result["high"])
    artists["dots"].set_data(_DOTS, result["dots"])
    artists["ideal"].set_ydata([result["ideal"]] * 2)
    artists["point"].set_data([result["tasks"]], [result["here"]])


def finding(result: dict[str, Any]) -> str:
    """Say what the chosen number of tasks costs, and what limits it."""
    if result["idle"]:
        why = "there are fewer tasks than workers"
    elif result["scheduler"] > 0.9:
        why = f"the scheduler is busy {result['scheduler']:.0%} of the time"
    elif result["efficiency"] > 0.9:
        why = "little is lost"
    elif result["tail"] > result["here"] - result["ideal"] - result["tail"]:
        why = "workers wait for the slowest task"
    else:
        why = "between two tasks a worker waits for the scheduler"
    return (
        f"{result['tasks']} tasks of {1000 * result['each']:.4g} ms take {result['here']:.3g} s, "
        f"{result['here'] / result['best_time']:.2f} times the best; workers compute "
        f"{result['efficiency']:.0%} of the time: {why}."
    )


explorer = Explorer(
    id="granularity",
    title="Into how many tasks should the work be cut?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "tasks": Choice("Tasks", _CHOICES, 1024, style="slider"),
        "work": Choice("Work (s)", [1, 10, 100, 1000], 10, style="slider"),
        "workers": Int("Workers", 1, 64, 8),
        "overhead": Choice("Overhead (ms)", [0.1, 0.3, 1.0, 3.0, 10.0], 1.0, style="slider"),
        "slowest": Float("Slowest (times)", 1.0, 8.0, 2.0, step=0.5, format=".1f"),
    },
    presets={
        "Fewer than workers": {"tasks": 4},
        "Too small": {"tasks": 16384},
        "64 workers": {"tasks": 1024, "workers": 64},
        "64 workers, larger tasks": {"tasks": 256, "workers": 64},
        "More work": {"tasks": 1024, "workers": 64, "work": 1000},
    },
)
