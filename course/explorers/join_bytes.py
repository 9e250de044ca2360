"""Joining two tables: copy the small one to everybody, or shuffle both? Chapter 15."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Choice, Explorer, Float

_WORKERS = (2, 4, 8, 16, 32, 64, 128, 256)
_GRID = np.unique(np.round(np.geomspace(2, 256, 80)))


def compute(small: float, large: float, workers: int, memory: int) -> dict[str, Any]:
    """Return the gigabytes that each worker receives with both joins, over the workers and at the chosen number."""
    curves = {how: models.join_bytes(_GRID, small, large, how) / _GRID for how in ("broadcast", "shuffle")}
    here = {how: models.join_bytes(workers, small, large, how) / workers for how in curves}
    return {
        "curves": curves,
        "here": here,
        "workers": workers,
        "limit": 1 + large / small,
        "fits": small <= memory,
        "small": small,
        "memory": memory,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: gigabytes that a worker receives against the workers."""
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(1.9, 270), ylim=(1e-4, 2e3))
    axes.set_xticks(_WORKERS, [str(p) for p in _WORKERS])
    axes.minorticks_off()
    axes.set(xlabel="workers", ylabel="received by each worker (GB)")
    axes.set_title("A copy costs each worker the same; a share of a shuffle shrinks")
    artists: dict[str, Any] = {"line": axes.axvline(2, color=COLOURS["grey"], linewidth=1)}
    for how, colour in (("broadcast", "orange"), ("shuffle", "blue")):
        artists[how] = axes.plot([], [], color=COLOURS[colour], linewidth=2, label=f"{how} join")[0]
        artists[how + " here"] = axes.plot([], [], "o", color=COLOURS[colour], markersize=9)[0]
    artists["memory"] = axes.axhline(1, color=COLOURS["purple"], linestyle=":", label="memory of a worker")
    axes.legend(loc="upper right", ncols=3, fontsize=9)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move both curves, their points and the memory."""
    artists["line"].set_xdata([result["workers"]] * 2)
    artists["memory"].set_ydata([result["memory"]] * 2)
    for how, curve in result["curves"].items():
        artists[how].set_data(_GRID, curve)
        artists[how + " here"].set_data([result["workers"]], [result["here"][how]])


def finding(result: dict[str, Any]) -> str:
    """Say what each join brings to a worker, which is less, and until how many workers that holds."""
    copy, share = result["here"]["broadcast"], result["here"]["shuffle"]
    text = f"On {result['workers']} workers a broadcast brings each {copy:.3g} GB, a shuffle {share:.3g} GB"
    if not result["fits"]:
        return f"{text}; a copy of {result['small']:.3g} GB does not fit into {result['memory']} GB, so shuffle."
    better = "broadcast" if copy < share else "shuffle"
    return f"{text}: {better}. Broadcasting is less below {result['limit']:.4g} workers."


explorer = Explorer(
    id="join-bytes",
    title="Copy the small table, or shuffle both?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "small": Float("Small table (GB)", 0.01, 100.0, 1.0, step=0.25, log=True, format=".2"),
        "large": Float("Large table (GB)", 1.0, 1000.0, 100.0, step=0.25, log=True, format=".3"),
        "workers": Choice("Workers", _WORKERS, 16, style="slider"),
        "memory": Choice("Memory (GB)", [2, 4, 8, 16, 32, 64], 8, style="slider"),
    },
    presets={
        "A hundred times larger": {"workers": 64},
        "Twice the workers": {"workers": 128},
        "Ten times larger": {"large": 10.0},
        "Too large to copy": {"small": 20.0, "large": 1000.0},
    },
)
