"""Hedging: what a second request after a delay does to the slowest of many, and what it costs. Chapter 16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import expon, lognorm, pareto

from course import models
from course.explorers.frame import COLOURS, Choice, Explorer, Float

_TIMES = np.geomspace(1.0, 10_000.0, 500)  # ms
_DELAYS = np.geomspace(1.0, 2_000.0, 60)  # ms
_LEAST = 1e-6


def _rare_pauses(t: np.ndarray) -> np.ndarray:
    return 0.98 * lognorm(0.3, scale=10.0).sf(t) + 0.02 * lognorm(0.4, scale=400.0).sf(t)


TAILS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rare pauses": _rare_pauses,
    "heavy tail": pareto(1.5, scale=5.0).sf,
    "exponential": expon(scale=10.0).sf,
    "steady": lognorm(0.2, scale=10.0).sf,
}
"""Tails of one request, times in ms: 1 in 50 meets a pause of some 400 ms; a Pareto law with exponent 1.5; …"""


def hedged(time: np.ndarray, tail: Callable, delay: np.ndarray, shared: float) -> np.ndarray:
    """Return the tail of a hedged request whose copy is, in a share of cases, exactly as slow as the first.

    Examples
    --------
    >>> from scipy.stats import expon
    >>> both = hedged(np.array([2.0]), expon.sf, np.array([1.0]), shared=1.0)
    >>> bool(both[0] == expon.sf(2.0))
    True
    """
    return (1 - shared) * np.asarray(models.hedged_tail(time, tail, delay)) + shared * tail(time)


def compute(tail: str, requests: int, delay: float, shared: float) -> dict[str, Any]:
    """Return both tails, and the 99th percentile of a user against the delay, times in ms."""
    law = TAILS[tail]
    leaf = models.fan_out_quantile(0.99, requests)  # what of one request is the 99th percentile of all

    def percentile(curve: np.ndarray) -> float:
        return float(np.interp(-np.log10(1 - leaf), -np.log10(np.maximum(curve, 1e-300)), _TIMES))

    plain = law(_TIMES)
    with_copy = hedged(_TIMES, law, np.array(delay), shared)
    grid = hedged(_TIMES[None, :], law, _DELAYS[:, None], shared)
    return {
        "requests": requests,
        "delay": delay,
        "level": 1 - leaf,
        "plain": plain,
        "hedged": with_copy,
        "before": percentile(plain),
        "after": percentile(with_copy),
        "sweep": np.array([percentile(row) for row in grid]),
        "extra": float(models.hedged_extra(law, delay)),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: the tails of one request, and a user's 99th percentile against the delay."""
    left, right = figure.subplots(1, 2)
    left.set(xscale="log", yscale="log", xlim=(1, 10_000), ylim=(_LEAST, 1.5), xlabel="t (ms)",
             ylabel="share of requests that take longer")  # fmt: skip
    left.set_title("The copy squares the tail, beyond the delay")
    right.set(xscale="log", yscale="log", xlim=(1, 2_000), ylim=(8, 10_000), xlabel="hedge after (ms)",
              ylabel="99th percentile of a user (ms)")  # fmt: skip
    right.set_title("Sooner helps more, and costs more")
    artists = {
        "plain": left.plot([], [], color=COLOURS["ink"], label="one request")[0],
        "hedged": left.plot([], [], color=COLOURS["orange"], label="hedged")[0],
        "level": left.axhline(0.01, color=COLOURS["grey"], linestyle=":", label="a user's 99th percentile"),
        "when": left.plot([], [], "D", color=COLOURS["orange"], markersize=9)[0],
        "sweep": right.plot([], [], color=COLOURS["orange"])[0],
        "before": right.axhline(100, color=COLOURS["ink"], linewidth=1.4, label="without hedging"),
        "here": right.plot([], [], "D", color=COLOURS["orange"], markersize=9, label="you are here")[0],
    }
    left.legend(loc="upper right")
    right.legend(loc="lower right")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the tails, the level, and the point."""
    artists["plain"].set_data(_TIMES, np.maximum(result["plain"], _LEAST / 10))
    artists["hedged"].set_data(_TIMES, np.maximum(result["hedged"], _LEAST / 10))
    artists["level"].set_ydata([result["level"]] * 2)
    artists["when"].set_data([result["delay"]], [np.interp(result["delay"], _TIMES, result["plain"])])
    artists["sweep"].set_data(_DELAYS, result["sweep"])
    artists["before"].set_ydata([result["before"]] * 2)
    artists["here"].set_data([result["delay"]], [result["after"]])


def _ms(time: float) -> str:
    return f"{time:,.0f}" if time >= 9.95 else f"{time:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.2g}"


def finding(result: dict[str, Any]) -> str:
    """Say the 99th percentile before and after, and the extra requests."""
    before, after, n = result["before"], result["after"], result["requests"]
    user = "one request" if n == 1 else f"a user who waits for {n:,}"
    gain = before / after
    verdict = f"{gain:.3g} times shorter" if gain >= 1.05 else "hardly a gain"
    return (
        f"Hedging after {_ms(result['delay'])} ms sends {_percent(result['extra'])} % more requests; the 99th "
        f"percentile of {user} goes from {_ms(before)} to {_ms(after)} ms: {verdict}."
    )


explorer = Explorer(
    id="hedging",
    title="What does a second request buy, and when should it be sent?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "tail": Choice("Servers are", list(TAILS), "rare pauses"),
        "requests": Choice("Requests a user", [1, 3, 10, 30, 100, 300, 1000], 100, style="slider"),
        "delay": Float("Hedge after (ms)", 1.0, 2_000.0, 30.0, log=True, format=".0f"),
        "shared": Float("Slow for both", 0.0, 1.0, 0.0, step=0.05, format=".2f"),
    },
    presets={
        "At the median": {"delay": 10.0},
        "Too late": {"delay": 800.0},
        "Steady servers": {"tail": "steady", "delay": 12.0},
        "A heavy tail": {"tail": "heavy tail"},
        "One in ten is slow for both": {"shared": 0.1},
    },
)
