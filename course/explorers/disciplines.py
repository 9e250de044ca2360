"""Disciplines: what the order of service changes, and what it cannot. Chapter 12."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits

_CUSTOMERS = 40_000
_NAMES = {
    "fifo": "first come, first served",
    "lifo": "last come, first served",
    "sjf": "shortest first",
    "ps": "processor sharing",
    "srpt": "shortest remaining first",
}
_WHAT = {"mean response": "mean", "99th percentile": "p99", "mean slowdown": "slowdown"}
_SCALES = (4.0, 10.0, 25.0, 60.0, 150.0, 400.0, 1000.0, 1e4, 1e6)


@lru_cache(maxsize=1)
def _exponential() -> np.ndarray:
    return np.random.default_rng(5).exponential(1.0, _CUSTOMERS)


@lru_cache(maxsize=16)
def _lognormal(scv: float) -> np.ndarray:
    """Return service times of mean 1. (Of gamma distributed ones the mean slowdown would be infinite.)"""
    variance = np.log1p(scv)
    return np.random.default_rng(6).lognormal(-variance / 2, np.sqrt(variance), _CUSTOMERS)


def compute(utilization: float, service_scv: float, what: str) -> dict[str, Any]:
    """Return the chosen figure of each discipline on the same requests; times in mean service times."""
    gaps = _exponential() / utilization
    services = _lognormal(service_scv)
    values = {}
    for discipline in _NAMES:
        run = simulate.queue(gaps, services, discipline=discipline)
        response = run.response[_CUSTOMERS // 10 :]
        slowdown = run.slowdown[_CUSTOMERS // 10 :]
        values[discipline] = float(
            {"mean": response.mean, "p99": lambda r=response: np.quantile(r, 0.99), "slowdown": slowdown.mean}[what]()
        )
    return {
        "what": what,
        "values": values,
        "utilization": utilization,
        "formula": {
            "fifo": models.mg1(utilization, 1.0, service_scv).mean_response,
            "ps": models.mg1_ps(utilization, 1.0).mean_response,
        },
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make a bar and a number for each discipline, and marks for the two formulas."""
    axes = figure.subplots()
    places = np.arange(len(_NAMES))
    bars = axes.barh(places, np.ones(len(_NAMES)), height=0.62, color=COLOURS["sky"], edgecolor=COLOURS["blue"])
    axes.set_yticks(places, list(_NAMES.values()))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_title("The same requests, served in another order")
    axes.set_xlabel("mean service times (for the slowdown: times as long as on an empty system)")
    return {
        "axes": axes,
        "bars": list(bars),
        "numbers": [axes.text(0, y, "", va="center") for y in places],
        "formulas": axes.plot([], [], "|", color=COLOURS["orange"], markersize=26, markeredgewidth=3)[0],
    }


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Set the lengths of the bars and the numbers beside them."""
    values = list(result["values"].values())
    top = next((scale for scale in _SCALES if scale >= 1.15 * max(values)), 1.15 * max(values))
    set_limits(artists["axes"], x=(0, top))
    for bar, number, value in zip(artists["bars"], artists["numbers"], values, strict=True):
        bar.set_width(value)
        number.set_x(value + 0.012 * top)
        number.set_text(f"{value:.2f}" if value < 100 else f"{value:.0f}")
    known = result["formula"] if result["what"] == "mean" else {}
    artists["formulas"].set_data(list(known.values()), [list(_NAMES).index(name) for name in known])


def finding(result: dict[str, Any]) -> str:
    """Say which discipline is best and which is worst."""
    values, what = result["values"], next(label for label, value in _WHAT.items() if value == result["what"])
    lowest, worst = min(values.values()), max(values, key=values.__getitem__)
    best = [name for name in _NAMES if values[name] <= 1.01 * lowest]
    # Of one run: what differs by less than a twentieth may be chance.
    high = [name for name in _NAMES if values[name] >= 0.95 * values[worst]]
    whose = _NAMES[worst] if len(high) == 1 else f"{len(high)} orders"
    highest = f"the highest that of {whose} ({'about ' * (len(high) > 1)}{values[worst]:.2f})"
    if len(best) > 1:
        lowest_of = f"the lowest {what}, {lowest:.2f}, is that of {len(best)} orders"
        return f"At {result['utilization']:.0%} {lowest_of}; {highest}."
    return f"At {result['utilization']:.0%} the lowest {what} is that of {_NAMES[best[0]]} ({lowest:.2f}), {highest}."


explorer = Explorer(
    id="disciplines",
    title="Who goes first?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "utilization": Float("Utilization", 0.05, 0.95, 0.8, step=0.01, format=".2f"),
        "service_scv": Float("c² of service", 0.0, 10.0, 1.0, step=0.25, format=".2f"),
        "what": Choice("Compare by", _WHAT, "mean", style="buttons"),
    },
    presets={
        "All alike": {"service_scv": 0.0},
        "Very mixed sizes": {"service_scv": 8.0},
        "The slowest hundredth": {"what": "p99"},
        "The small ones' view": {"service_scv": 4.0, "what": "slowdown"},
    },
    height=3.4,
)
