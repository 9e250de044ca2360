"""The size of a chunk: what a chunk costs, the wait for the last one, and the memory. Chapter 15."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Choice, Explorer, Float

RATE = 100e6
"""Bytes a second that a worker handles."""

_MOST = 50_000
_CHUNKS = np.unique(np.round(np.geomspace(1, _MOST, 260)).astype(int))


def compute(data: float, workers: int, cost: float, slowest: float, memory: int) -> dict[str, Any]:
    """Return time and its parts for every number of chunks, the best, and the best without the memory's limit."""
    size, overhead = data * 1e9, cost / 1e3
    work = size / RATE
    given = {"workers": workers, "overhead": overhead, "slowest": slowest}
    best = models.best_chunk(work, **given, size=size, memory=memory * 1e6, most=_MOST)
    free = models.best_chunk(work, **given, most=_MOST)
    double = models.chunk_time(work, np.maximum(best.chunks // 2, 1), workers, overhead, slowest=slowest)
    return {
        "chunk": size / _CHUNKS / 1e6,
        "time": models.chunk_time(work, _CHUNKS, workers, overhead, slowest=slowest),
        "costs": np.ceil(_CHUNKS / workers) * overhead,
        "wait": np.maximum((slowest - 1) * work / _CHUNKS, 1e-9),
        "ideal": work / workers,
        "best": best,
        "best_chunk": size / best.chunks / 1e6,
        "limited": free.chunks < best.fewest,
        "free_time": free.time,
        "double": double,
        "memory": memory,
        "workers": workers,
        "slowest": slowest,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: seconds against the size of a chunk, both logarithmic."""
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.01, 2e5), ylim=(0.05, 5000))
    axes.set(xlabel="size of a chunk (MB)", ylabel="time (s)")
    axes.set_title("Small chunks pay for themselves; large ones make all wait for the last")
    artists = {
        "memory": axes.axvline(1, ymax=0.82, color=COLOURS["ink"], linewidth=1.3, label="no room to the right"),
        "costs": axes.plot([], [], "--", color=COLOURS["purple"], linewidth=1.3, label="cost of the chunks")[0],
        "wait": axes.plot([], [], "-.", color=COLOURS["green"], linewidth=1.3, label="wait for the last")[0],
        "ideal": axes.axhline(1.0, color=COLOURS["grey"], linewidth=1.3, linestyle=":", label="work ÷ workers"),
        "time": axes.plot([], [], color=COLOURS["blue"], linewidth=2, label="time")[0],
        "best": axes.plot([], [], "D", color=COLOURS["orange"], markersize=10, label="the best that fits")[0],
    }
    axes.legend(loc="upper center", ncols=3, fontsize=9)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curves, the limit of the memory and the best point."""
    for name in ("time", "costs", "wait"):
        artists[name].set_data(result["chunk"], result[name])
    artists["ideal"].set_ydata([result["ideal"]] * 2)
    artists["best"].set_data([result["best_chunk"]], [result["best"].time])
    artists["memory"].set_xdata([result["memory"]] * 2)


def _size(megabytes: float) -> str:
    return f"{megabytes / 1e3:.3g} GB" if megabytes >= 1000 else f"{megabytes:.3g} MB"


def finding(result: dict[str, Any]) -> str:
    """Say the best size, what decides it, and what twice that size would cost."""
    best = result["best"]
    if result["limited"]:
        why = f"the memory decides; without its limit {result['free_time']:.3g} s"
    elif best.chunks == result["workers"]:
        why = "one chunk for each worker"
    elif best.chunks == _MOST:
        why = f"more than {_MOST:,} chunks are not considered"
    elif result["slowest"] == 1:
        why = "whole waves of equal chunks"
    else:
        why = f"twice as large, {result['double']:.3g} s"
    waves = -(-best.chunks // result["workers"])
    return (
        f"Best: {best.chunks:,} chunks of {_size(result['best_chunk'])} ({waves:,} wave{'s' * (waves > 1)}) take "
        f"{best.time:.3g} s, {best.time / result['ideal']:.2f} times work ÷ workers: {why}."
    )


explorer = Explorer(
    id="chunk-size",
    title="How big should a chunk be?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "data": Float("Data (GB)", 0.1, 100.0, 10.0, step=0.2, log=True, format=".2"),
        "workers": Choice("Workers", [1, 2, 4, 8, 16, 32, 64, 128, 256], 16, style="slider"),
        "cost": Float("A chunk costs (ms)", 0.1, 1000.0, 20.0, step=0.25, log=True, format=".2"),
        "slowest": Float("Slowest ÷ others", 1.0, 10.0, 3.0, step=0.5, format=".1f"),
        "memory": Choice("Chunk limit (MB)", [4, 16, 64, 256, 1024, 4096], 1024, style="slider"),
    },
    presets={
        "Cheap chunks": {"cost": 1.0},
        "All alike": {"slowest": 1.0},
        "Little memory": {"memory": 4, "cost": 100.0},
        "Little data": {"data": 0.1, "workers": 256},
    },
)
