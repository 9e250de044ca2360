"""The window: how many requests to keep in flight, and what each more brings and costs. Chapter 09."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits
from course.explorers.knee import unit_mean

_SERVICE = 0.1  # mean seconds
_MOST, _REQUESTS = 64, 4000
_KS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])


def _loop(k: int, servers: int, way: float, scv: float) -> tuple[float, float]:
    """Return throughput and mean round trip of k clients that send again as soon as they have their answer."""
    run = simulate.closed_loop(k, way, unit_mean(scv, 2, _REQUESTS) * _SERVICE, servers, requests=_REQUESTS)
    rate = run.throughput()
    return rate, k / rate


def compute(k: int, servers: int, way: float, scv: float) -> dict[str, Any]:
    """Return the bound, and simulated throughput and round trip for some k and for the chosen one (way in ms)."""
    grid = np.unique(np.append(np.linspace(1, _MOST, 127), servers * (1 + way / 1000 / _SERVICE)))
    alone, capacity = _SERVICE + way / 1000, servers / _SERVICE
    dots = np.array([_loop(int(each), servers, way / 1000, scv) for each in _KS])
    rate, trip = _loop(k, servers, way / 1000, scv)
    return {
        "k": k,
        "grid": grid,
        "bound": np.minimum(grid / alone, capacity),
        "shortest": np.maximum(grid / capacity, alone),
        "dots": dots,
        "rate": rate,
        "trip": trip,
        "best": capacity * alone,
        "capacity": capacity,
        "alone": alone,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make two axes: throughput and round trip, against the number in flight."""
    left, right = figure.subplots(1, 2)
    left.set(xlim=(0, _MOST + 1), xlabel="requests in flight, k", ylabel="requests per second")
    left.set_title("What one more brings: until k*, then nothing")
    right.set(xlim=(0, _MOST + 1), xlabel="requests in flight, k", ylabel="round trip (s)")
    right.set_title("What one more costs: from k* on, waiting")
    artists = {"left": left, "right": right}
    for side, axes in (("rate", left), ("trip", right)):
        artists[f"{side} bound"] = axes.plot([], [], color=COLOURS["blue"], label="bound")[0]
        artists[f"{side} dots"] = axes.plot([], [], "o", color=COLOURS["ink"], markersize=5, label="simulated")[0]
        artists[f"{side} here"] = axes.plot([], [], "D", color=COLOURS["orange"], markersize=9, label="you are here")[0]
        artists[f"{side} best"] = axes.axvline(1.0, color=COLOURS["green"], linewidth=1, label="k*")
        axes.legend(loc="lower right")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move bounds, dots, the point and k*."""
    set_limits(artists["left"], y=(0, 1.15 * result["capacity"]))
    set_limits(artists["right"], y=(0, 1.15 * max(_MOST / result["capacity"], result["alone"])))
    for side, bound, column in (("rate", "bound", 0), ("trip", "shortest", 1)):
        artists[f"{side} bound"].set_data(result["grid"], result[bound])
        artists[f"{side} dots"].set_data(_KS, result["dots"][:, column])
        artists[f"{side} here"].set_data([result["k"]], [result[side]])
        artists[f"{side} best"].set_xdata([min(result["best"], _MOST + 1)] * 2)


def finding(result: dict[str, Any]) -> str:
    """Say throughput and round trip at the chosen k, and k*."""
    return (
        f"{result['k']} in flight do {result['rate']:.1f} requests a second, {result['rate'] / result['capacity']:.0%} "
        f"of the capacity, and one takes {result['trip']:.2f} s; alone it takes {result['alone']:.2f} s. "
        f"k* = {result['best']:.1f}."
    )


explorer = Explorer(
    id="window",
    title="How many requests in flight?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "k": Choice("In flight, k", [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64], 5, style="slider"),
        "servers": Choice("Servers", [1, 2, 4, 8, 16], 4, style="slider"),
        "way": Float("Way (ms)", 1.0, 1000.0, 10.0, log=True, format=".0f"),
        "scv": Float("c² of service", 0.0, 4.0, 0.0, step=0.25, format=".2f"),
    },
    presets={
        "One by one": {"k": 1},
        "Far away": {"way": 100.0, "k": 5},
        "Uneven tasks": {"scv": 4.0, "k": 5},
        "Everything at once": {"k": 64},
    },
)
