"""The shape of a chunk: tasks, halo, bytes and memory of maps that are smoothed and cut anew. Chapter 19."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Choice, Explorer

ROWS, COLUMNS, DEPTH = 180, 360, 2
OVERHEAD = 1e-3
"""Seconds of the cluster that a task costs besides its work."""

RATE = 100e6
"""Bytes a second that a worker decodes, smooths and reduces."""

LINK = 400e6
"""Bytes a second that a worker receives."""

BYTES = 4
PARTS = ("handing out tasks", "work", "halo", "bytes on their way")
TILES = {"whole maps": (180, 360), "90 × 180": (90, 180), "30 × 30": (30, 30), "10 × 10": (10, 10)}
STRIPS = [1, 2, 4, 9, 18, 36, 90, 180]


def seconds(months: int, together: int, tile: tuple[int, int], rows: int, workers: int) -> np.ndarray:
    """Return the seconds of each of `PARTS`, then the number of tasks."""
    shape, strip = (months, ROWS, COLUMNS), (months, rows, COLUMNS)
    blocks = math.ceil(months / together)
    tiles = blocks * math.ceil(ROWS / tile[0]) * math.ceil(COLUMNS / tile[1])
    pieces = models.rechunk_pieces(shape, (together, *tile), strip)
    tasks = blocks + 2 * math.ceil(ROWS / rows) + pieces
    halo = 1.0
    if tile != (ROWS, COLUMNS):  # cut, fetch the edges, smooth, trim
        halo = models.halo_factor(tile, DEPTH)
        tasks += 3 * tiles
    size = months * ROWS * COLUMNS * BYTES
    readers, busy = min(workers, blocks), min(workers, math.ceil(ROWS / rows))
    work = size / RATE * (1 / readers + 1 / busy) / 2  # at most a worker for each block, then for each strip
    moved = size * (1 - 1 / workers) / LINK / workers
    return np.array([tasks * OVERHEAD, work, (halo - 1) * work, moved, tasks])


def compute(months: int, together: int, tile: str, rows: int, workers: int) -> dict[str, Any]:
    """Return the parts of the time for each height of the strips, and the memory of the chosen one."""
    together = min(together, months)
    parts = np.array([seconds(months, together, TILES[tile], each, workers) for each in STRIPS])
    at = STRIPS.index(rows)
    size = months * ROWS * COLUMNS * BYTES
    height, width = TILES[tile]
    busy = min(workers, math.ceil(ROWS / rows))
    readers = min(workers, math.ceil(months / together))
    share = (workers / readers + workers / busy) / 2  # of the old chunks and of the new ones, of who has most
    chunk = max(together * height * width, months * rows * COLUMNS) * BYTES
    return {
        "parts": parts[:, :4],
        "tasks": int(parts[at, 4]),
        "at": at,
        "total": float(parts[at, :4].sum()),
        "halo": 1.0 if tile == "whole maps" else models.halo_factor(TILES[tile], DEPTH),
        "memory": models.rechunk_memory(size * share, workers, chunk),
        "rows": rows,
        "workers": workers,
        "busy": busy,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: a line for each part of the time, against the rows of a strip."""
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.85, 220), ylim=(1e-3, 500))
    axes.set(xlabel="rows of a strip", ylabel="time (s)")
    axes.set_xticks(STRIPS, [str(each) for each in STRIPS])
    axes.minorticks_off()
    axes.set_title("Thin strips pay for their pieces; one strip leaves workers idle")
    looks = (("purple", "--"), ("grey", ":"), ("green", "-."), ("blue", "--"))
    artists: dict[str, Any] = {
        name: axes.plot([], [], style, color=COLOURS[colour], linewidth=1.5, label=name)[0]
        for name, (colour, style) in zip(PARTS, looks, strict=True)
    }
    artists["total"] = axes.plot([], [], color=COLOURS["ink"], linewidth=2, label="all together")[0]
    artists["here"] = axes.plot([], [], "D", color=COLOURS["orange"], markersize=10, label="you are here")[0]
    axes.legend(loc="upper center", ncols=3, fontsize=9)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the lines and the point."""
    for name, values in zip(PARTS, result["parts"].T, strict=True):
        artists[name].set_data(STRIPS, np.maximum(values, 1e-6))
    artists["total"].set_data(STRIPS, result["parts"].sum(axis=1))
    artists["here"].set_data([result["rows"]], [result["total"]])


def finding(result: dict[str, Any]) -> str:
    """Say tasks, time, its largest part, and the memory."""
    parts = result["parts"][result["at"]]
    largest = int(parts.argmax())
    memory = result["memory"] / 1e6
    room = f"{memory / 1e3:.3g} GB" if memory >= 1000 else f"{memory:.3g} MB"
    text = (
        f"{result['tasks']:,} tasks and {result['total']:.3g} s, of which {parts[largest] / parts.sum():.0%} "
        f"{PARTS[largest]}; halo factor {result['halo']:.2f}; {room} in each worker"
    )
    if result["busy"] < result["workers"]:
        text += f"; {result['busy']} of {result['workers']} workers have a strip"
    return text + "."


explorer = Explorer(
    id="chunk-shape",
    title="How should an array be cut?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "months": Choice("Months", [48, 480, 4800, 48000], 48, style="slider"),
        "together": Choice("Months together", [1, 3, 12, 48, 240], 12, style="slider"),
        "tile": Choice("Tile for smoothing", list(TILES), "whole maps"),
        "rows": Choice("Rows of a strip", STRIPS, 18, style="slider"),
        "workers": Choice("Workers", [2, 4, 8, 16, 32], 2, style="slider"),
    },
    presets={
        "A file a chunk": {"together": 1},
        "Tiles": {"tile": "10 × 10", "rows": 36},
        "Thin strips": {"rows": 1},
        "One strip": {"rows": 180},
        "Long years": {"months": 48000, "together": 240, "rows": 9, "workers": 32},
    },
)
