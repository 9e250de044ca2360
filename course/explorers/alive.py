"""How much is alive: results in memory over time, by order, tree and chunk size. Chapter 22."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, set_limits
from course.graph import TaskGraph

DATA, SUMMARIES, WORKERS = 1600.0, 200.0, 4
"""MB of all chunks together, and of the summaries of 100 chunks; workers, each of one thread."""

DISK, RATE, OVERHEAD = 400.0, 200.0, 0.01
"""MB/s of a worker's disk; MB/s that a worker loads or sums up; seconds that a task costs besides."""

_AHEAD = {"0": 0, "1": 1, "2": 2, "4": 4, "8": 8, "16": 16, "all": 1000}
_FAN_IN = {"2": 2, "4": 4, "8": 8, "all at once": 1000}
_SCALES = [50.0 * 2**k for k in range(10)]


@lru_cache(maxsize=64)
def reduction(chunks: int, fan_in: int, ahead: int) -> tuple[TaskGraph, np.ndarray]:
    """Return the graph of a load and a summary of each chunk, merged in a tree, and the order in which tasks run.

    Examples
    --------
    >>> graph, order = reduction(8, 2, 0)
    >>> len(graph), int(order[0]), int(order[8])
    (23, 0, 1)
    """
    chunk, summary = DATA / chunks, SUMMARIES / 100
    duration = [OVERHEAD + chunk / RATE] * (2 * chunks)
    size = [chunk] * chunks + [summary] * chunks
    before: list[list[int]] = [[] for _ in range(chunks)] + [[k] for k in range(chunks)]
    # A summary comes after the loads that run ahead of it; a merge right after the last summary that it needs.
    order = [2.0 * k for k in range(chunks)] + [2.0 * (k + ahead * WORKERS) + 1 for k in range(chunks)]
    level = list(range(chunks, 2 * chunks))
    while len(level) > 1:
        groups = [level[k : k + fan_in] for k in range(0, len(level), fan_in)]
        level = []
        for group in groups:
            level.append(len(duration))
            duration.append(OVERHEAD + len(group) * summary / RATE)
            size.append(summary)
            before.append(group)
            order.append(max(order[k] for k in group) - 0.5)
    return TaskGraph(duration, size, before), np.array(order)


def compute(chunks: int, ahead: int, fan_in: int, room: int) -> dict[str, Any]:
    """Return the MB that exist over time, and what does not fit into the room of all workers."""
    graph, order = reduction(chunks, fan_in, ahead)
    trace = simulate.run(graph, WORKERS, order)
    times, held = trace.held_bytes()
    beyond = max(held.max() - room * WORKERS, 0.0)
    widest = min(fan_in, chunks) * SUMMARIES / 100
    return {
        "times": times, "held": held, "peak": float(held.max()), "room": float(room * WORKERS), "beyond": beyond,
        "spill": 2 * beyond / DISK / WORKERS, "makespan": trace.makespan, "merge": widest, "one": float(room),
        "chunk": DATA / chunks,
    }  # fmt: skip


def build(figure: Figure) -> dict[str, Any]:
    """Make the curve of what exists, and the line of what fits."""
    axes = figure.subplots()
    axes.set_xlabel("time (s)")
    axes.set_ylabel("results in memory (MB)")
    axes.set_title("What exists at once: four workers, 1,600 MB")
    return {
        "axes": axes,
        "held": axes.step([0, 1], [0, 1], where="post", color=COLOURS["blue"])[0],
        "room": axes.axhline(1.0, color=COLOURS["orange"], linestyle="--"),
        "says": axes.text(0.99, 0.0, "room of all workers", color=COLOURS["orange"], ha="right", va="bottom",
                          transform=axes.get_yaxis_transform()),
    }  # fmt: skip


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curve and the line."""
    top = next(scale for scale in _SCALES if scale >= 1.12 * max(result["peak"], result["room"]))
    set_limits(artists["axes"], x=(0, result["makespan"]), y=(0, top))
    artists["held"].set_data(result["times"], result["held"])
    artists["room"].set_ydata([result["room"]] * 2)
    artists["says"].set_y(result["room"])


def finding(result: dict[str, Any]) -> str:
    """Say the peak, whether it fits, and what it would cost if not."""
    said = f"{result['peak']:,.0f} MB at the peak, {result['peak'] / result['chunk']:.1f} chunks; "
    if result["merge"] > result["one"]:
        return said + f"one merge needs {result['merge']:.0f} MB at once, more than a worker has."
    if result["beyond"]:
        return said + (f"{result['beyond']:,.0f} MB more than fits: at least {result['spill']:.1f} s of disk "
                       f"beside {result['makespan']:.1f} s of work.")  # fmt: skip
    return said + f"it fits, with {result['room'] - result['peak']:,.0f} MB to spare, in {result['makespan']:.1f} s."


explorer = Explorer(
    id="alive",
    title="How much is alive?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "chunks": Choice("Chunks", [20, 50, 100, 200, 400], 100, style="slider"),
        "room": Choice("Room a worker (MB)", [25, 50, 100, 200, 400], 100, style="slider"),
        "ahead": Choice("Loads ahead", _AHEAD, 1000, style="buttons"),
        "fan_in": Choice("Merged at once", _FAN_IN, 1000, style="buttons"),
    },
    presets={
        "No load ahead": {"ahead": 0},
        "And a tree": {"ahead": 0, "fan_in": 4},
        "A few ahead": {"ahead": 4, "fan_in": 4},
        "Coarse chunks": {"ahead": 0, "fan_in": 4, "chunks": 20, "room": 50},
        "Fine chunks": {"ahead": 0, "fan_in": 4, "chunks": 400, "room": 50},
    },
    height=3.6,
)
