"""Few keys over many partitions: how large is the largest, and how many workers can it keep busy? Chapter 18."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Float
from course.graph import independent
from course.simulate import run

_HASHES = np.random.default_rng(18).integers(0, 2**31, 10_000)
_MOST = 64


def compute(keys: int, exponent: float, partitions: int, workers: int) -> dict[str, Any]:
    """Return the share of the rows in each partition, and how a pass over them keeps the workers busy."""
    frequency = np.arange(1, keys + 1) ** -float(exponent)
    rows = np.bincount(_HASHES[:keys] % partitions, weights=frequency / frequency.sum(), minlength=partitions)
    rows = np.sort(rows)[::-1]
    makespan = run(independent(np.count_nonzero(rows), rows[rows > 0]), workers).makespan
    return {
        "rows": rows,
        "empty": int((rows == 0).sum()),
        "partitions": partitions,
        "workers": workers,
        "busy": 1 / (workers * makespan),
        "fair": 1 / workers,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: the share of the rows in each partition, the largest first."""
    axes = figure.subplots()
    axes.set(xlim=(-1, _MOST), ylim=(0, 1.02), xlabel="partition, the largest first", ylabel="share of the rows")
    axes.set_title("A key is never cut: a partition has at least the rows of its largest key")
    return {
        "bars": axes.vlines([0], 0, [0], color=COLOURS["blue"], linewidth=5),
        "fair": axes.axhline(0.5, color=COLOURS["orange"], linestyle="--", linewidth=1.4),
        "label": axes.text(_MOST - 1, 0.5, "", color=COLOURS["orange"], ha="right", va="bottom"),
    }


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the bars and the line of a worker's fair share."""
    artists["bars"].set_segments([[(k, 0), (k, share)] for k, share in enumerate(result["rows"])])
    artists["fair"].set_ydata([result["fair"]] * 2)
    artists["label"].set_y(result["fair"] + 0.01)
    artists["label"].set_text(f"fair share of one of {result['workers']} workers")


def finding(result: dict[str, Any]) -> str:
    """Say how large the largest partition is, how many are empty, and how busy the workers can be."""
    large = result["rows"][0] > 1.001 * result["fair"]
    held = " The largest is more than a worker's share: it alone holds the run up." if large else ""
    return (
        f"The largest of {result['partitions']} partitions has {result['rows'][0]:.0%} of the rows, {result['empty']} "
        f"are empty; {result['workers']} workers are {result['busy']:.0%} busy.{held}"
    )


explorer = Explorer(
    id="key-skew",
    title="Which key should be shuffled?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "keys": Choice("Distinct keys", [3, 10, 30, 100, 1000, 10_000], 3, style="slider"),
        "exponent": Float("Zipf exponent", 0.0, 2.5, 2.0, step=0.1, format=".1f"),
        "partitions": Choice("Partitions", [4, 8, 14, 32, 64], 14, style="slider"),
        "workers": Choice("Workers", [2, 4, 8, 16, 32], 2, style="slider"),
    },
    presets={
        "Three plans, 32 workers": {"workers": 32, "partitions": 64},
        "Many even keys": {"keys": 10_000, "exponent": 0.0},
        "Many keys, one popular": {"keys": 10_000, "exponent": 1.5, "workers": 8},
        "Ten even keys": {"keys": 10, "exponent": 0.0, "workers": 8},
    },
)
