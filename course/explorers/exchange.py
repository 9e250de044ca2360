"""One pass of an iterative computation as tasks, with a parameter server, and as ranks that reduce. Chapter 03."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits

LATENCY, BANDWIDTH, HANDLING = 100e-6, 1e9, 10e-6
"""Of the network: seconds a message, bytes a second; and seconds for which a message keeps its receiver busy."""

SHAPES = {
    "tasks of a scheduler": "orange",
    "a parameter server": "blue",
    "ranks that all-reduce": "green",
}
_WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_GRID = np.array(_WORKERS)


def pass_times(workers: Any, work: float, size: float, overhead: float) -> dict[str, np.ndarray]:
    """Return the seconds of one pass in each shape.

    Parameters
    ----------
    workers : int or array
        m.
    work : float
        W, seconds of work of a pass, shared evenly.
    size : float
        s, bytes of the state that every worker gets, and of what it sends back.
    overhead : float
        h, seconds of the scheduler for each task.

    Returns
    -------
    dict of str to array
        For each of `SHAPES`, of the shape of ``workers``.

    Examples
    --------
    >>> times = pass_times(64, work=1.0, size=1e3, overhead=1e-3)
    >>> [round(float(seconds), 4) for seconds in times.values()]
    [0.08, 0.0166, 0.0162]

    Notes
    -----
    Tasks: W/m + m h + 2 α + 2 m s β. Server: W/m + m o + 2 α + 2 m s β (o: `HANDLING`): all messages go through one
    link. Ranks: W/m and the fastest of three all-reduces (`models.all_reduce_time`).
    """
    workers = np.asarray(workers)
    share = work / workers
    through_one = 2 * LATENCY + 2 * workers * size / BANDWIDTH
    reduce = np.min(
        [
            models.all_reduce_time(workers, size, LATENCY, BANDWIDTH, how)
            for how in ("recursive_doubling", "ring", "rabenseifner")
        ],
        axis=0,
    )
    times = (share + workers * overhead + through_one, share + workers * HANDLING + through_one, share + reduce)
    return dict(zip(SHAPES, times, strict=True))


def compute(workers: int, work: float, size: float, overhead: float) -> dict[str, Any]:
    """Return the curves over the numbers of workers, the times at the chosen one, and where each is least."""
    curves = pass_times(_GRID, work, size, overhead)
    here = {shape: float(curve[_WORKERS.index(workers)]) for shape, curve in curves.items()}
    return {
        "workers": workers,
        "curves": curves,
        "here": here,
        "ideal": work / _GRID,
        "best": {shape: int(_GRID[np.argmin(curve)]) for shape, curve in curves.items()},
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: the time of a pass against the workers."""
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.9, 1150), ylim=(1e-3, 1e2))
    axes.set_xticks(_WORKERS, [str(m) for m in _WORKERS])
    axes.minorticks_off()
    axes.set(xlabel="workers", ylabel="time of a pass (s)")
    axes.set_title("What one process does for all bends its curve upward")
    artists: dict[str, Any] = {
        "axes": axes,
        "ideal": axes.plot([], [], color=COLOURS["grey"], linewidth=1.2, linestyle=":", label="work ÷ workers")[0],
        "line": axes.axvline(1, ymax=0.8, color=COLOURS["grey"], linewidth=1),
    }
    for shape, colour in SHAPES.items():
        artists[shape] = axes.plot([], [], color=COLOURS[colour], label=shape)[0]
        artists[shape + " here"] = axes.plot([], [], "o", color=COLOURS[colour], markersize=8)[0]
    axes.legend(loc="upper right", ncols=2)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curves and the points; show the decades that they need, and one for the legend."""
    lowest = np.floor(np.log10(result["ideal"].min()))
    highest = np.ceil(np.log10(max(curve.max() for curve in result["curves"].values())))
    set_limits(artists["axes"], (0.9, 1150), (10**lowest, 10 ** (highest + 1)))
    artists["ideal"].set_data(_GRID, result["ideal"])
    artists["line"].set_xdata([result["workers"]] * 2)
    for shape, curve in result["curves"].items():
        artists[shape].set_data(_GRID, curve)
        artists[shape + " here"].set_data([result["workers"]], [result["here"][shape]])


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 0.1 else f"{1e3 * value:.3g} ms"


def finding(result: dict[str, Any]) -> str:
    """Say the three times at the chosen number of workers, and with how many each shape is fastest."""
    m = result["workers"]
    parts = [
        f"{_seconds(result['here'][shape])} with {shape} (fastest with {best})"
        for shape, best in result["best"].items()
    ]
    return f"On {m} worker{'s' * (m > 1)} a pass takes " + ", ".join(parts) + "."


explorer = Explorer(
    id="exchange",
    title="How many workers does each shape bear?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "workers": Choice("Workers", _WORKERS, 64, style="slider"),
        "work": Float("Work of a pass (s)", 0.01, 10_000.0, 10.0, step=0.25, log=True, format=".2"),
        "size": Float("State (bytes)", 100.0, 1e9, 1e4, step=0.25, log=True, format=".1e"),
        "overhead": Float("Scheduler, a task (s)", 1e-6, 1e-2, 1e-3, step=0.25, log=True, format=".1e"),
    },
    presets={
        "A short pass": {"work": 0.1},
        "A large model": {"size": 1e8, "work": 100.0},
        "A fast scheduler": {"overhead": 1e-5},
        "A thousand workers": {"workers": 1024, "work": 10_000.0},
    },
)
