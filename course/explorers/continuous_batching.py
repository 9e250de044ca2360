"""Static against continuous batches: what a batch pays for its longest member. Chapter 24."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float

_REQUESTS = 3_000
_LOADS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
_PLACES = [1, 2, 4, 8, 16, 32, 64]
_VARIATION = {"equal": 0.0, "much alike (0.1)": 0.1, "chat (1)": 1.0, "long tails (4)": 4.0, "very long (9)": 9.0}
_LIMITS = {"none": np.inf, "5 means": 5.0, "3 means": 3.0, "2 means": 2.0}


@lru_cache(maxsize=64)
def _gain(scv: float, limit: float, places: int) -> float:
    """Return the mean of the longest over the mean of one, both cut at the limit (in means before the cut)."""
    if scv == 0:
        return 1.0
    sigma = np.sqrt(np.log1p(scv))
    top = min(limit, stats.lognorm.isf(1e-9, sigma, scale=np.exp(-(sigma**2) / 2)))
    grid = np.r_[0.0, np.geomspace(1e-4, top, 2_000)]
    below = stats.lognorm.cdf(grid, sigma, scale=np.exp(-(sigma**2) / 2))
    return float(np.trapezoid(1 - below**places, grid) / np.trapezoid(1 - below, grid))


@lru_cache(maxsize=64)
def _lengths(scv: float, limit: float) -> np.ndarray:
    drawn = simulate.random_times(_REQUESTS, mean=1.0, scv=scv, distribution="lognormal" if scv else None, seed=7)
    cut = np.minimum(drawn, limit)
    return cut / cut.mean()


_GAPS = simulate.random_times(_REQUESTS, mean=1.0, seed=6)


def _responses(places: int, scv: float, limit: float, load: float) -> tuple[float, float]:
    gaps, lengths = _GAPS / (load * places), _lengths(scv, limit)
    static = simulate.batch_server(gaps, lengths, places).response.mean()
    return float(static), float(simulate.queue(gaps, lengths, servers=places).response.mean())


def compute(places: int, scv: float, limit: float, load: float) -> dict[str, Any]:
    """Return the gain over places, and the mean responses over loads, in mean lengths."""
    static, continuous = np.array([_responses(places, scv, limit, each) for each in _LOADS]).T
    return {
        "places": places,
        "load": load,
        "gain": _gain(scv, limit, places),
        "gains": np.array([_gain(scv, limit, each) for each in _PLACES]),
        "static": static,
        "continuous": continuous,
        "here": _responses(places, scv, limit, load),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: response over load, gain over places."""
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    left.set(xlim=(0, 1), ylim=(0.7, 300), yscale="log", xlabel="load", ylabel="mean response (mean lengths)")
    left.set_title("Static batches fall behind at 1 / gain")
    right.set(xscale="log", yscale="log", xlim=(0.9, 70), ylim=(0.9, 20), xlabel="places", ylabel="gain")
    right.set_xticks(_PLACES, _PLACES)
    right.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
    right.minorticks_off()
    right.set_title("Continuous over static")
    artists = {
        "limit": left.axvline(0.5, color=COLOURS["grey"], linestyle=":"),
        "static": left.plot([], [], "D-", color=COLOURS["orange"], markersize=5, label="static")[0],
        "continuous": left.plot([], [], "o-", color=COLOURS["blue"], markersize=5, label="continuous")[0],
        "here": left.plot([], [], "o", color=COLOURS["ink"], markersize=9, fillstyle="none", markeredgewidth=2)[0],
        "gains": right.plot([], [], color=COLOURS["blue"])[0],
        "point": right.plot([], [], "o", color=COLOURS["ink"], markersize=9, fillstyle="none", markeredgewidth=2)[0],
    }
    left.legend(loc="center right")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move curves, dots and the line of the limit."""
    artists["limit"].set_xdata([1 / result["gain"]] * 2)
    artists["static"].set_data(_LOADS, result["static"])
    artists["continuous"].set_data(_LOADS, result["continuous"])
    artists["here"].set_data([result["load"]] * 2, result["here"])
    artists["gains"].set_data(_PLACES, result["gains"])
    artists["point"].set_data([result["places"]], [result["gain"]])


def finding(result: dict[str, Any]) -> str:
    """Say the gain, the limit of static batches, and both responses here."""
    static, continuous = result["here"]
    late = f"{static:.3g}" if result["load"] < 1 / result["gain"] - 1e-9 else "ever more"
    return (
        f"With {result['places']} places the longest of a batch is {result['gain']:.2f} times the mean, so static "
        f"batches are stable below a load of {1 / result['gain']:.2f}. At {result['load']:.2f} a request takes {late} "
        f"mean lengths in static batches, {continuous:.3g} in continuous ones."
    )


explorer = Explorer(
    id="continuous-batching",
    title="What does a batch pay for its longest member?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "places": Choice("Places", _PLACES, 16, style="slider"),
        "scv": Choice("Lengths (c²)", _VARIATION, 1.0),
        "limit": Choice("Length limit", _LIMITS, np.inf),
        "load": Float("Load", 0.05, 0.95, 0.25, step=0.01, format=".2f"),
    },
    presets={
        "Chat, 16 places": {"load": 0.28},
        "Equal lengths": {"scv": 0.0, "load": 0.8},
        "Long tails": {"scv": 4.0, "load": 0.15},
        "Long tails, cut": {"scv": 4.0, "limit": 3.0, "load": 0.15},
        "64 places": {"places": 64, "load": 0.5},
    },
)
