"""Amdahl, Gustafson and the Universal Scalability Law in one picture, and the cheapest cluster. Chapter 01."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Choice, Explorer, Float

_MOST = 1024
_WHOLE = np.arange(1, _MOST + 1)
_SEEN = np.unique(np.geomspace(1, _MOST, 120).round().astype(int)) - 1  # the points of the curves, as places in _WHOLE
_DEAREST = 300.0  # the axis of costs ends here, in costs of one worker


def compute(contention: float, coherency: float, workers: int, waiting: float) -> dict[str, Any]:
    """Return the speed-ups by each law, and what a job costs: the hours of its workers, and of who waits for it."""
    speedup = models.usl(_WHOLE, contention=contention, coherency=coherency)
    cost = (_WHOLE + waiting) / speedup / (1 + waiting)
    return {
        "workers": workers,
        "usl": speedup,
        "amdahl": models.amdahl(_WHOLE, contention),
        "gustafson": models.gustafson(_WHOLE, contention),
        "cost": cost,
        "fastest": int(_WHOLE[speedup.argmax()]),
        "cheapest": int(_WHOLE[cost.argmin()]),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: speed-up against workers, and cost of a job against workers."""
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    ticks = [4**k for k in range(6)]
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(ticks, [str(m) for m in ticks])
        axes.minorticks_off()
        axes.set(xlim=(1, _MOST), xlabel="workers")
    left.set(ylim=(0.5, _MOST), ylabel="speed-up")
    left.set_yticks(ticks, [str(m) for m in ticks])
    left.set_title("How fast: the laws part ways")
    right.set(ylim=(1 / 64, _DEAREST), ylabel="cost of a job (one worker: 1)")
    costs = [1 / 64, 1 / 16, 1 / 4, 1, 4, 16, 64, 256]
    right.set_yticks(costs, ["1/64", "1/16", "1/4", "1", "4", "16", "64", "256"])
    right.set_title("How dear: the cheapest comes first")
    left.plot([1, _MOST], [1, _MOST], color=COLOURS["grey"], linewidth=1, linestyle=":")
    right.axhline(1, color=COLOURS["grey"], linewidth=1, linestyle=":")
    artists = {
        "gustafson": left.plot([], [], color=COLOURS["green"], linestyle="--", label="Gustafson: σ on m workers")[0],
        "amdahl": left.plot([], [], color=COLOURS["sky"], label="Amdahl: contention alone")[0],
        "usl": left.plot([], [], color=COLOURS["blue"], label="USL: with coherency")[0],
        "fastest": left.plot([], [], "^", color=COLOURS["blue"], markersize=9, label="fastest")[0],
        "point": left.plot([], [], "D", color=COLOURS["orange"], markersize=8, label="you are here")[0],
        "cost": right.plot([], [], color=COLOURS["blue"])[0],
        "cheapest": right.plot([], [], "v", color=COLOURS["green"], markersize=9, label="cheapest")[0],
        "paid": right.plot([], [], "D", color=COLOURS["orange"], markersize=8, label="you are here")[0],
    }
    left.legend(loc="upper left", fontsize=9)
    right.legend(loc="upper left", fontsize=9)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curves and the marks."""
    seen = _WHOLE[_SEEN]
    for law in ("usl", "amdahl", "gustafson"):
        artists[law].set_data(seen, result[law][_SEEN])
    artists["cost"].set_data(seen, result["cost"][_SEEN])
    for mark, place, curve in (
        ("fastest", result["fastest"], "usl"),
        ("point", result["workers"], "usl"),
        ("cheapest", result["cheapest"], "cost"),
        ("paid", result["workers"], "cost"),
    ):
        value = result[curve][place - 1]
        artists[mark].set_data([place], [min(value, _DEAREST) if curve == "cost" else value])


def finding(result: dict[str, Any]) -> str:
    """Say the speed-up here, the fastest number of workers and the cheapest one."""
    here, best = result["workers"] - 1, result["fastest"]
    some = "1 worker gives" if here == 0 else f"{here + 1} workers give"
    most = f"{best} is the fastest" if best < _MOST else f"more are faster up to {_MOST}"
    return (
        f"{some} a speed-up of {result['usl'][here]:.3g} (Amdahl {result['amdahl'][here]:.3g}, efficiency "
        f"{result['usl'][here] / (here + 1):.0%}) at {result['cost'][here]:.3g} times the cost of one worker; "
        f"{most}, with {result['usl'][best - 1]:.3g}; the cheapest is {result['cheapest']}."
    )


explorer = Explorer(
    id="scaling-laws",
    title="How many workers are fastest, and how many are cheapest?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "contention": Float("Contention σ", 0.0, 0.3, 0.05, step=0.005, format=".3f"),
        "coherency": Choice(
            "Coherency κ", [0.0, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 2.5e-2], 3e-4, style="slider"
        ),
        "workers": Choice("Workers", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], 32, style="slider"),
        "waiting": Choice("Cost of waiting", [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0], 10.0, style="slider"),
    },
    presets={
        "Amdahl alone": {"contention": 0.01, "coherency": 0.0, "workers": 1024},
        "A little coherency": {"contention": 0.01, "coherency": 1e-4, "workers": 1024},
        "Our job of this chapter": {"contention": 0.1, "coherency": 2.5e-2, "workers": 16},
        "Nobody waits": {"waiting": 0.0},
        "A whole team waits": {"waiting": 300.0},
    },
)
