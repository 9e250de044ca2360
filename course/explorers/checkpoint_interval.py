"""The checkpoint interval: too often wastes time on saving, too seldom on doing work again. Chapter 16."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float

_YEAR = 365.25 * 24 * 60  # minutes
_INTERVALS = np.geomspace(1.0, 10_000.0, 200)  # minutes
_DOTS = np.geomspace(1.0, 10_000.0, 9)
_NODES = np.geomspace(1, 100_000, 61)
_SHAPES = {"in bursts (0.5)": 0.5, "in mild bursts (0.75)": 0.75, "at random (1)": 1.0}  # Weibull's shape
_MOST = 3.0  # means between failures in an interval, up to which a simulation ends soon


@lru_cache(maxsize=4096)
def simulated(interval: float, cost: float, mtbf: float, shape: float) -> float:
    """Return the simulated efficiency of one interval (all in minutes); NaN where a run would hardly ever end.

    Examples
    --------
    >>> round(simulated(120.0, 5.0, 1440.0, 1.0), 1)
    0.9
    """
    if interval + 2 * cost > _MOST * mtbf:
        return float("nan")
    # Long enough that some failures fall into it, where they are not so rare that they do not count.
    work = min(max(20 * interval, 20 * mtbf), 4_000 * interval)
    runs = int(np.clip(10_000 * interval / work, 20, 400))
    return simulate.checkpoint(work, interval, cost, mtbf, cost, runs, shape=shape, seed=2).efficiency


def compute(nodes: int, node_mtbf: float, cost: float, interval: float, shape: float) -> dict[str, Any]:
    """Return efficiencies against interval and against nodes; a restart takes as long as a checkpoint."""
    mtbf = node_mtbf * _YEAR / nodes
    best = models.optimal_checkpoint_interval(cost, mtbf)
    others = node_mtbf * _YEAR / _NODES
    top = models.checkpoint_efficiency(models.optimal_checkpoint_interval(cost, others), cost, others, cost)
    return {
        "nodes": nodes,
        "mtbf": mtbf,
        "interval": interval,
        "curve": models.checkpoint_efficiency(_INTERVALS, cost, mtbf, cost),
        "here": models.checkpoint_efficiency(interval, cost, mtbf, cost),
        "best": best,
        "most": models.checkpoint_efficiency(best, cost, mtbf, cost),
        "young": models.young_interval(cost, mtbf),
        "dots": np.array([simulated(float(each), cost, mtbf, shape) for each in _DOTS]),
        "simulated": simulated(interval, cost, mtbf, shape),
        "top": top,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: efficiency against the interval, and the best one against the size of the machine."""
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    left.set(xscale="log", xlim=(1, 10_000), ylim=(0, 1), xlabel="interval (minutes)", ylabel="useful share of time")
    left.set_title("The optimum is flat")
    right.set(xscale="log", xlim=(1, 100_000), ylim=(0, 1), xlabel="nodes", ylabel="best useful share")
    right.set_title("More nodes, more failures")
    artists = {
        "curve": left.plot([], [], color=COLOURS["blue"], label="formula")[0],
        "dots": left.plot([], [], "o", color=COLOURS["ink"], markersize=5, label="simulated")[0],
        "young": left.axvline(10, 0.4, 1, color=COLOURS["green"], linestyle="--", linewidth=1.4, label="Young: √(2δM)"),
        "here": left.plot([], [], "D", color=COLOURS["orange"], markersize=9, label="you are here")[0],
        "top": right.plot([], [], color=COLOURS["blue"])[0],
        "size": right.plot([], [], "D", color=COLOURS["orange"], markersize=9)[0],
    }
    left.legend(loc="lower center")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move curves, dots and points."""
    artists["curve"].set_data(_INTERVALS, result["curve"])
    artists["dots"].set_data(_DOTS, result["dots"])
    artists["young"].set_xdata([result["young"]] * 2)
    artists["here"].set_data([result["interval"]], [result["here"]])
    artists["top"].set_data(_NODES, result["top"])
    artists["size"].set_data([result["nodes"]], [result["most"]])


def _span(minutes: float) -> str:
    for unit, name in ((_YEAR, "years"), (1440, "days"), (60, "h"), (1, "min")):
        if minutes >= 2 * unit:
            return f"{minutes / unit:.3g} {name}"
    return f"{60 * minutes:.3g} s"


def finding(result: dict[str, Any]) -> str:
    """Say how often it fails, the useful share here and at best, and Young's interval."""
    nodes = "One node fails" if result["nodes"] == 1 else f"{result['nodes']:,} nodes fail"
    seen = "would not end" if np.isnan(result["simulated"]) else f"{100 * result['simulated']:.1f} %"
    most = f"{100 * result['most']:.1f} % at {_span(result['best'])}"
    return (
        f"{nodes} every {_span(result['mtbf'])}. Saving every {_span(result['interval'])} leaves "
        f"{100 * result['here']:.1f} % of the time for work (simulated: {seen}); the best is {most}, "
        f"and Young says {_span(result['young'])}."
    )


explorer = Explorer(
    id="checkpoint-interval",
    title="How often should work be saved?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "nodes": Choice("Nodes", [1, 10, 100, 1_000, 10_000, 100_000], 1_000, style="slider"),
        "node_mtbf": Float("Node MTBF (years)", 0.5, 50.0, 5.0, log=True),
        "cost": Float("Checkpoint (min)", 0.1, 60.0, 5.0, log=True),
        "interval": Float("Save every (min)", 1.0, 10_000.0, 160.0, log=True, format=".0f"),
        "shape": Choice("Failures come", _SHAPES, 1.0),
    },
    presets={
        "Four times too seldom": {"interval": 640.0},
        "Four times too often": {"interval": 40.0},
        "100,000 nodes": {"nodes": 100_000, "interval": 16.0},
        "… with fast checkpoints": {"nodes": 100_000, "cost": 0.1, "interval": 2.3},
        "Failures in bursts": {"nodes": 100_000, "interval": 16.0, "shape": 0.5},
    },
)
