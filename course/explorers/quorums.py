"""Quorums: what r and w cost in latency and availability, and what they do to staleness. Chapter 04."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Int

_MEAN = 10.0  # ms, of a write on its way to a replica, and of a replica's answer to a read
_TRIALS = 20_000
_GRID = np.linspace(0.0, 100.0, 201)  # ms
_FLOOR = 1e-3


def _law(delays: str) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Return how to draw delays of mean 10 ms."""
    if delays == "exponential":
        return lambda rng, n: rng.exponential(_MEAN, n)
    if delays == "steady":
        return lambda rng, n: _MEAN * (0.9 + 0.2 * rng.random(n))
    return lambda rng, n: _MEAN * rng.lognormal(-(1.5**2) / 2, 1.5, n)


@lru_cache(maxsize=64)
def _simulated(replicas: int, read: int, write: int, delays: str) -> simulate.Quorum:
    law = _law(delays)
    return simulate.quorum(
        replicas, read, write, send_write=law, acknowledge=0.0, send_read=0.0, respond=law, trials=_TRIALS, seed=2
    )


def compute(replicas: int, read: int, write: int, delays: str, up: float) -> dict[str, Any]:
    """Return staleness and latencies by simulation (times in ms), with formulas where there are some."""
    read, write = min(read, replicas), min(write, replicas)
    run = _simulated(replicas, read, write, delays)
    stale = run.stale(_GRID)
    formula = delays == "exponential"

    def slower(times: np.ndarray) -> np.ndarray:
        return 1 - np.searchsorted(np.sort(times), _GRID, side="right") / _TRIALS

    fresh = np.flatnonzero(stale < 0.01)
    return {
        "setting": (replicas, read, write),
        "strict": models.is_strict(replicas, read, write),
        "stale": stale,
        "formula": models.stale_after(_GRID, replicas, read, write, _MEAN) if formula else None,
        "fresh_after": float(_GRID[fresh[0]]) if len(fresh) else None,
        "read": slower(run.read_latency),
        "write": slower(run.write_latency),
        "means": (float(run.read_latency.mean()), float(run.write_latency.mean())),
        "p99": float(np.quantile(run.read_latency, 0.99)),
        "available": models.quorum_availability(replicas, max(read, write), up),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: staleness after the commit, and the share of requests that take longer than t."""
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.set(xlim=(0, 100), yscale="log", ylim=(_FLOOR, 1.2))
        axes.axhline(0.01, color=COLOURS["grey"], linewidth=1, linestyle=":")
        axes.text(99, 0.0108, "1 in 100", ha="right", va="bottom", color=COLOURS["grey"], fontsize=9)
    left.set(xlabel="ms from the commit to the read", ylabel="share of reads that are stale")
    left.set_title("Stale reads die out after the commit")
    right.set(xlabel="t (ms)", ylabel="share that takes longer than t")
    artists = {
        "formula": left.plot([], [], color=COLOURS["sky"], linewidth=5, label="formula")[0],
        "stale": left.plot([], [], color=COLOURS["blue"], label="simulated")[0],
        "strict": left.text(50, 0.06, "", ha="center", va="center", fontsize=12, color=COLOURS["ink"]),
        "read": right.plot([], [], color=COLOURS["blue"], label="read")[0],
        "write": right.plot([], [], color=COLOURS["orange"], linestyle="--", label="write")[0],
        "available": right.set_title("Latency"),
    }
    left.legend(loc="upper right")
    right.legend(loc="upper right")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curves."""
    for name in ("stale", "read", "write"):
        artists[name].set_data(_GRID, np.maximum(result[name], 1e-9))
    known = result["formula"] is not None and not result["strict"]
    artists["formula"].set_data(_GRID if known else [], np.maximum(result["formula"], 1e-9) if known else [])
    artists["available"].set_text(f"Latency; both possible: {result['available']:.6f}")
    artists["strict"].set_text("r + w > N:\nno read is stale" if result["strict"] else "")


def finding(result: dict[str, Any]) -> str:
    """Say whether the quorums meet, how stale reads are, and what they cost."""
    n, r, w = result["setting"]
    read, write = result["means"]
    if result["strict"]:
        stale = "no read is stale"
    else:
        after = result["fresh_after"]
        when = f"after {after:.1f} ms" if after is not None else "only after more than 100 ms"
        stale = f"{result['stale'][0]:.0%} of the reads at the commit are stale, fewer than 1 in 100 {when}"
    return (
        f"N = {n}, r = {r}, w = {w}: {stale}. A read takes {read:.1f} ms on average and 1 in 100 more than "
        f"{result['p99']:.0f} ms, a write {write:.1f} ms; reads and writes are both possible with probability "
        f"{result['available']:.6f}."
    )


explorer = Explorer(
    id="quorums",
    title="How many answers are enough?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "replicas": Int("Replicas N", 1, 7, 3),
        "read": Int("Read quorum r ≤ N", 1, 7, 1),
        "write": Int("Write quorum w ≤ N", 1, 7, 2),
        "delays": Choice(
            "Delays of 10 ms",
            {"steady": "steady", "exponential": "exponential", "heavy tail": "heavy"},
            "exponential",
            style="buttons",
        ),
        "up": Choice("Availability of one", [0.9, 0.99, 0.999, 0.9999], 0.99, style="slider"),
    },
    presets={
        "Fast and loose": {"read": 1, "write": 1},
        "Majorities": {"read": 2, "write": 2},
        "Write to all": {"read": 1, "write": 3},
        "A heavy tail": {"delays": "heavy"},
        "Five replicas": {"replicas": 5, "read": 3, "write": 3},
    },
)
