"""Which heuristic comes nearest, on which kind of graph? Nine policies on twelve random instances. Chapter 13."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int, set_limits
from course.simulate import INSTANCE_SHAPES, instance, schedule

INSTANCES, TASKS = 12, 48
NAMES = {
    "heft": "HEFT", "peft": "PEFT", "cpop": "CPOP", "dls": "DLS", "minmin": "min-min", "sufferage": "sufferage",
    "mct": "no ranks (MCT)", "olb": "no costs (OLB)", "fastest": "one machine",
}  # fmt: skip
TOP = 4.0


@lru_cache(maxsize=1)
def _resamples() -> np.ndarray:
    return np.random.default_rng(0).integers(INSTANCES, size=(500, INSTANCES))


def compute(shape: str, machines: int, ccr: float, heterogeneity: float) -> dict[str, Any]:
    """Return for each policy its makespans over the best of all on the same instance, their mean and its interval."""
    spans = np.empty((INSTANCES, len(NAMES)))
    for seed in range(INSTANCES):
        graph, costs = instance(shape, TASKS, machines, ccr, heterogeneity=heterogeneity, seed=seed)
        spans[seed] = [schedule(graph, costs, name).makespan for name in NAMES]
    ratios = spans / spans.min(axis=1, keepdims=True)
    logs = np.log(ratios)
    low, high = np.exp(np.percentile(logs[_resamples()].mean(axis=1), [2.5, 97.5], axis=0))
    return {"ratios": ratios, "mean": np.exp(logs.mean(axis=0)), "low": low, "high": high}


def finding(result: dict[str, Any]) -> str:
    """Say who is nearest to the best of the nine, who cannot be told from it, and how far one machine is."""
    names, mean = list(NAMES.values()), result["mean"]
    first = int(mean.argmin())
    tied = [names[k] for k in np.argsort(mean) if k != first and result["low"][k] <= result["high"][first]]
    text = (
        f"{names[first]} is nearest: on average {mean[first]:.2f} times the best of the nine"
        f" (95 % interval {result['low'][first]:.2f} to {result['high'][first]:.2f})"
    )
    text += f"; intervals overlap with {', '.join(tied)}." if tied else "; no other interval overlaps."
    return text + f" One machine for all takes {mean[-1]:.2f} times the best, no costs {mean[-2]:.2f}."


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: a row for each policy."""
    axes = figure.subplots()
    rows = np.arange(len(NAMES))
    axes.set(ylim=(len(NAMES) - 0.5, -0.5), xlabel="makespan ÷ the best of the nine on the same instance")
    axes.set_yticks(rows, list(NAMES.values()))
    axes.set_title("Dots: 12 instances; diamonds: geometric means with 95 % intervals")
    axes.grid(False, axis="y")
    axes.axvline(1, color=COLOURS["grey"], linewidth=1, linestyle=":")
    return {
        "axes": axes,
        "dots": axes.plot([], [], "o", color=COLOURS["sky"], markersize=4, alpha=0.8)[0],
        "bars": [axes.plot([], [], color=COLOURS["orange"], linewidth=2.5)[0] for _ in rows],
        "means": axes.plot([], [], "D", color=COLOURS["orange"], markersize=7)[0],
    }


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the dots, the means and their intervals; what is beyond the axis is drawn at its end."""
    rows = np.arange(len(NAMES))
    most = float(min(max(1.5, result["ratios"].max() * 1.03), TOP))
    set_limits(artists["axes"], (0.97, most))
    ratios = np.minimum(result["ratios"], most)
    artists["dots"].set_data(ratios.ravel(), np.tile(rows + 0.22, INSTANCES))
    artists["means"].set_data(np.minimum(result["mean"], most), rows)
    for row, bar in enumerate(artists["bars"]):
        bar.set_data(np.minimum([result["low"][row], result["high"][row]], most), [row, row])


explorer = Explorer(
    id="placement-contest",
    title="Which heuristic comes nearest, and on what?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "shape": Choice("Shape", list(INSTANCE_SHAPES), "cholesky"),
        "machines": Int("Machines", 1, 12, 4),
        "ccr": Float("CCR", 0.0, 10.0, 1.0, step=0.25, format=".2f"),
        "heterogeneity": Float("Heterogeneity β", 0.0, 2.0, 1.0, step=0.25, format=".2f"),
    },
    presets={
        "No transfers": {"ccr": 0.0},
        "Transfers dominate": {"ccr": 10.0},
        "Machines alike": {"heterogeneity": 0.0, "ccr": 0.0},
        "Machines very unlike": {"heterogeneity": 2.0},
        "Fork and join": {"shape": "fork-join", "machines": 8},
    },
    height=4.2,
)
