"""How the makespan falls with workers, and between which bounds (chapter 05)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int
from course.graph import TaskGraph, cholesky, fork_join, layered, random_dag, stencil, tree_reduce
from course.models import brent
from course.simulate import run

SHAPES = {
    "layers": lambda seed: layered(8, 16, degree=2, seed=seed),
    "random": lambda seed: random_dag(120, 0.03, seed=seed),
    "reduction tree": lambda seed: tree_reduce(64),
    "fork and join": lambda seed: fork_join(32, stages=3),
    "Cholesky 8 × 8": lambda seed: cholesky(8),
    "stencil": lambda seed: stencil(16, 8),
}


@dataclass(frozen=True)
class Curves:
    """The makespan on 1 … m workers, and its bounds, in seconds; arrays of shape (m,)."""

    graph: TaskGraph
    workers: np.ndarray
    chosen: int
    lower: np.ndarray
    upper: np.ndarray
    simulated: np.ndarray
    policy: str


def compute(shape: str, spread: float, policy: str, workers: int, seed: int) -> Curves:
    """Simulate the graph on 1 … 32 workers; ``spread`` is the standard deviation of the logarithm of the durations."""
    graph = SHAPES[shape](seed)
    noise = np.random.default_rng(seed).normal(0, spread, len(graph))
    graph = graph.replace(duration=graph.duration * np.exp(noise - spread**2 / 2))
    counts = np.arange(1, 33)
    lower, upper = brent(graph.work, graph.span, counts)
    simulated = np.array([run(graph, int(m), policy, seed).makespan for m in counts])
    return Curves(graph, counts, workers, lower, upper, simulated, policy)


def finding(curves: Curves) -> str:
    """Say where the chosen number of workers stands between its bounds."""
    at = curves.chosen - 1
    time, low, high = curves.simulated[at], curves.lower[at], curves.upper[at]
    speedup = curves.graph.work / time
    limit = "the span" if curves.graph.span >= curves.graph.work / curves.chosen else "the work"
    return (
        f"On {curves.chosen} workers it takes {time:.3g} s, {time / low:.2f} times the lower bound {low:.3g} s, which "
        f"{limit} sets; no greedy schedule takes more than {high:.3g} s. Speed-up {speedup:.2f}, parallelism "
        f"{curves.graph.work / curves.graph.span:.1f}."
    )


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes and the curves."""
    axes = figure.subplots()
    axes.set(xlabel="workers", ylabel="makespan ÷ span", xlim=(0.5, 32.5), yscale="log", ylim=(0.9, 40))
    axes.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_title("A greedy schedule lies between its bounds")
    grey = COLOURS["grey"]
    return {
        "upper": axes.plot([], [], "--", color=grey, label="upper bound (Graham, Brent)")[0],
        "lower": axes.plot([], [], "-", color=grey, label="lower bound: max(work / m, span)")[0],
        "simulated": axes.plot([], [], "o", color=COLOURS["blue"], markersize=4, label="simulated")[0],
        "here": axes.plot([], [], "o", color=COLOURS["orange"], markersize=9, label="your choice")[0],
        "legend": axes.legend(loc="upper right"),
    }


def draw(artists: dict[str, Any], curves: Curves) -> None:
    """Move the curves."""
    span = curves.graph.span
    for name in ("lower", "upper", "simulated"):
        artists[name].set_data(curves.workers, getattr(curves, name) / span)
    artists["here"].set_data([curves.chosen], [curves.simulated[curves.chosen - 1] / span])


explorer = Explorer(
    id="makespan-bounds",
    title="How much do more workers help?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "shape": Choice("Graph", list(SHAPES), "layers"),
        "spread": Float("Spread (σ of log)", 0.0, 2.0, 0.0, step=0.1),
        "policy": Choice(
            "Policy",
            {"first ready": "fifo", "longest way to the end": "blevel", "longest task": "lpt", "shortest task": "spt"},
            "fifo",
        ),
        "workers": Int("Workers", 1, 32, 8),
        "seed": Int("Seed", 0, 50, 0),
    },
    presets={
        "A tree narrows": {"shape": "reduction tree", "workers": 32},
        "One giant task": {"spread": 2.0, "workers": 16},
        "Cholesky, critical path first": {"shape": "Cholesky 8 × 8", "policy": "blevel", "workers": 14},
        "Cholesky, shortest first": {"shape": "Cholesky 8 × 8", "policy": "spt", "workers": 14},
    },
)
