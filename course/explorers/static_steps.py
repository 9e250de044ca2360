"""HEFT and its rivals, one decision at a time: who is next, what each machine offers, who gets it. Chapter 13."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int, set_limits
from course.explorers.shapes import NEW, OLD, TaskCircles, box
from course.graph import TaskGraph, topcuoglu
from course.models import unrelated_lower_bound
from course.simulate import Schedule, instance, schedule
from course.simulate.static import Step

MOST, MACHINES = 15, 3


def _random(shape: str) -> tuple[TaskGraph, np.ndarray]:
    """Return a small instance in round numbers, so that the steps can be followed by hand."""
    graph, costs = instance(shape, 14, MACHINES, 1.0, seed=3)
    costs = np.maximum(1.0, np.round(costs * 10))
    edges = np.maximum(1.0, np.round(graph.sizes * 10))
    names = [f"T{i + 1}" for i in range(len(graph))]
    return graph.replace(duration=costs.mean(axis=1), edge_size=edges, names=names), costs


GRAPHS = {
    "the published ten tasks": topcuoglu,
    "fork and join, twice": lambda: _random("fork-join"),
    "Cholesky": lambda: _random("cholesky"),
    "stencil": lambda: _random("stencil"),
}
RANKED_BY = {
    "heft": ("upward", "upward rank"),
    "cpop": ("priority", "upward + downward rank"),
    "peft": ("mean", "mean optimistic cost"),
    "lpt": ("mean", "mean cost"),
}
WAITING, READY, PLACED = range(3)
FILL = np.array(["#FFFFFF", "#FBE3A6", "#BBD9EC"])


@dataclass(frozen=True)
class State:
    """The plan right after its k-th decision."""

    graph: TaskGraph
    plan: Schedule
    k: int
    step: Step | None
    state: np.ndarray  # (n,) WAITING, READY or PLACED
    bound: float


def compute(graph: str, policy: str, transfers: float, step: int) -> State:
    """Plan the whole graph and return its state after ``step`` decisions (at most one for each task)."""
    tasks, costs = GRAPHS[graph]()
    tasks = tasks.replace(edge_size=tasks.sizes * transfers)
    plan = schedule(tasks, costs, policy)
    steps = plan.steps()
    k = min(step, len(tasks))
    placed = np.zeros(len(tasks), dtype=bool)
    placed[plan.order[:k]] = True
    met = np.array([placed[tasks.predecessors(i)].all() for i in range(len(tasks))])
    state = np.where(placed, PLACED, np.where(met, READY, WAITING))
    return State(tasks, plan, k, steps[k - 1] if k else None, state, unrelated_lower_bound(tasks, costs))


def finding(shown: State) -> str:
    """Say which task was placed where, what the other machines offered, and at the end how long the plan is."""
    name, step = shown.graph.name, shown.step
    if step is None:
        ready = ", ".join(name(i) for i in np.flatnonzero(shown.state == READY))
        return f"Nothing is placed. Ready: {ready}. No plan ends before {shown.bound:.3g} s."
    text = f"Step {shown.k} of {len(shown.graph)}: {name(step.task)}"
    rank = RANKED_BY.get(shown.plan.policy)
    if rank:
        text += f" ({rank[1]} {shown.plan.ranks[rank[0]][step.task]:.4g})"
    offers = ", ".join(f"{end:.4g} s on P{p + 1}" for p, end in enumerate(step.finish))
    text += f" could end at {offers}; it goes to P{step.machine + 1}"
    if np.isinf(step.score).any():
        text += ", where the critical path runs"
    elif step.finish[step.machine] > step.finish.min() + 1e-9:
        text += ", where it does not end first"
    text += "."
    if shown.k == len(shown.graph):
        text += f" The plan takes {shown.plan.makespan:.4g} s; the lower bound is {shown.bound:.3g} s."
    return text


def build(figure: Figure) -> dict[str, Any]:
    """Make the graph on the left and the plan on the right."""
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.35])
    left.set_title("The tasks: waiting, ready, placed")
    right.set_title("The plan so far; dashed: what the others offered")
    right.set(xlabel="time (s)", ylim=(2.6, -0.6), yticks=range(3), yticklabels=["P1", "P2", "P3"])
    right.grid(False, axis="y")
    offers = right.add_collection(
        PolyCollection([], facecolors="none", edgecolors=COLOURS["orange"], linestyles="--", linewidths=1.3)
    )
    return {
        "graph": TaskCircles.on(left, MOST, size=560, fontsize=8),
        "right": right,
        "bars": right.add_collection(PolyCollection([], edgecolors=COLOURS["blue"], linewidths=0.9)),
        "offers": offers,
        "labels": [right.text(0, 0, "", ha="center", va="center", fontsize=8.5) for _ in range(MOST)],
    }


def _bar(start: float, stop: float, lane: int, half: float = 0.36) -> list[tuple[float, float]]:
    return box(start, stop, lane - half, lane + half)


def draw(artists: dict[str, Any], shown: State) -> None:
    """Colour the tasks, draw the bars that are placed, and the offers that lost."""
    graph, plan, step = shown.graph, shown.plan, shown.step
    chosen = -1 if step is None else step.task
    rank = RANKED_BY.get(plan.policy)
    texts = [graph.name(i) + (f"\n{plan.ranks[rank[0]][i]:.3g}" if rank else "") for i in range(len(graph))]
    artists["graph"].draw(graph, FILL[shown.state].tolist(), texts, chosen, margin=0.6, thick=2.8)
    far = plan.makespan if step is None else max(plan.makespan, float(step.finish.max()))
    set_limits(artists["right"], (0, far * 1.03))
    boxes, colours = [], []
    for i, label in enumerate(artists["labels"]):
        label.set_text("")
        if i < len(graph) and shown.state[i] == PLACED:
            start, stop, lane = plan.start[i], plan.finish[i], int(plan.placement[i])
            boxes.append(_bar(start, stop, lane))
            colours.append(NEW if i == chosen else OLD)
            if stop - start > 0.013 * len(graph.name(i)) * far:
                label.set_text(graph.name(i))
                label.set_position(((start + stop) / 2, lane))
    artists["bars"].set_verts(boxes)
    artists["bars"].set_facecolors(colours)
    lost = [] if step is None else [p for p in range(MACHINES) if p != step.machine]
    artists["offers"].set_verts([_bar(step.start[p], step.finish[p], p, 0.42) for p in lost] if step else [])


explorer = Explorer(
    id="static-steps",
    title="Which task is next, and which machine gets it?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "graph": Choice("Graph", list(GRAPHS), "the published ten tasks"),
        "policy": Choice(
            "Policy",
            {
                "HEFT": "heft", "CPOP": "cpop", "PEFT": "peft", "min-min": "minmin", "max-min": "maxmin",
                "sufferage": "sufferage", "DLS": "dls", "longest first": "lpt",
            },
            "heft",
        ),
        "transfers": Float("Transfers ×", 0.0, 4.0, 1.0, step=0.25, format=".2f"),
        "step": Int("Step", 0, MOST, 4),
    },
    presets={
        "From the start": {"step": 0},
        "The whole HEFT plan": {"step": 10},
        "CPOP": {"policy": "cpop", "step": 10},
        "Min-min is better here": {"policy": "minmin", "step": 10},
        "Transfers four times as long": {"transfers": 4.0, "step": 10},
    },
    width=10.0,
    height=4.0,
)  # fmt: skip
