"""The ceiling of one scheduler: how long tasks must be to keep the workers busy. Chapter 08."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Check, Choice, Explorer, Float

_LOW, _HIGH = 0.01, 30_000.0  # ms, the ends of the axis
_GRID = np.geomspace(_LOW, _HIGH, 160)


def compute(item: float, workers: int, overhead: float, batch: int, random: bool) -> dict[str, Any]:
    """Return the efficiency for every duration of an item, and at the chosen one; times in milliseconds."""

    def efficiency(duration: Any) -> Any:
        return models.scheduler_utilization(np.asarray(duration) * batch, workers, overhead, random)

    return {
        "item": item,
        "workers": workers,
        "curve": efficiency(_GRID),
        "here": float(efficiency(item)),
        "turns": _GRID * batch / (_GRID * batch + workers * overhead),
        "threshold": workers * overhead / batch,
        "items": batch * models.scheduler_ceiling(overhead / 1000),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: efficiency against the duration of an item."""
    axes = figure.subplots()
    axes.set(xscale="log", xlim=(_LOW, _HIGH), ylim=(0, 1.08), ylabel="share of the workers' time at work")
    axes.set_xticks([0.01, 0.1, 1, 10, 100, 1000, 10_000], ["10 µs", "0.1 ms", "1 ms", "10 ms", "0.1 s", "1 s", "10 s"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("duration of an item")
    axes.set_title("Below the threshold the scheduler decides how fast the job is")
    artists = {
        "turns": axes.plot([], [], ":", color=COLOURS["blue"], label="scheduling and work\ntake turns")[0],
        "curve": axes.plot([], [], color=COLOURS["blue"], label="they overlap")[0],
        "threshold": axes.axvline(1.0, color=COLOURS["grey"], linewidth=1.2, linestyle="--", label="threshold"),
        "point": axes.plot([], [], "D", color=COLOURS["orange"], markersize=10, label="you are here")[0],
    }
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curves, the threshold and the point."""
    artists["turns"].set_data(_GRID, result["turns"])
    artists["curve"].set_data(_GRID, result["curve"])
    artists["threshold"].set_xdata([result["threshold"]] * 2)
    artists["point"].set_data([result["item"]], [result["here"]])


def finding(result: dict[str, Any]) -> str:
    """Say how busy the workers are, and whether the scheduler hands out as many items as they could take."""
    wanted, items = 1000 * result["workers"] / result["item"], result["items"]
    threshold = f"{_time(result['threshold'])} an item"
    enough = f"enough from {threshold} on" if wanted > 1.0001 * items else f"too few below {threshold}"
    return (
        f"{result['workers']:,} workers are {result['here']:.0%} busy with items of {_time(result['item'])}: if they "
        f"never waited, they would take {wanted:,.0f} items a second, and the scheduler can hand out {items:,.0f} "
        f"({enough})."
    )


def _time(milliseconds: float) -> str:
    if milliseconds < 1:
        return f"{1000 * milliseconds:.3g} µs"
    return f"{milliseconds:.3g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"


explorer = Explorer(
    id="ceiling",
    title="How long must a task be?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "item": Float("Item (ms)", 0.1, 10_000.0, 10.0, log=True, format=".1f"),
        "workers": Choice("Workers", [4, 16, 64, 256, 1000, 10_000], 64, style="slider"),
        "overhead": Float("Decision (ms)", 0.05, 5.0, 0.5, log=True, format=".2f"),
        "batch": Choice("Items in a task", [1, 2, 5, 10, 20, 50, 100], 1, style="slider"),
        "random": Check("Random durations", False),
    },
    presets={
        "A laptop": {"workers": 4},
        "A large cluster": {"workers": 1000},
        "Batches of ten": {"batch": 10},
        "A scheduler of 50 µs": {"workers": 1000, "overhead": 0.05},
        "At the threshold, random": {"item": 32.0, "random": True},
    },
)
