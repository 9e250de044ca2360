"""List scheduling step by step: what is ready, what is chosen and why, and the Gantt chart so far (chapter 05)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Int, set_limits
from course.explorers.shapes import NEW, OLD, TaskCircles, box
from course.graph import TaskGraph, cholesky, fork_join, graham_anomaly, random_dag, tree_reduce
from course.models import brent
from course.simulate import POLICIES, run
from course.trace import Trace

MOST = 24
"""The tasks that a picture has room for."""


def _graham_without_two_constraints() -> TaskGraph:
    graham = graham_anomaly()
    return TaskGraph.from_edges(graham.duration, [(0, 8), (3, 6), (3, 7)], names=graham.names)


GRAPHS = {
    "Graham's nine tasks": graham_anomaly,
    "… each 1 s shorter": lambda: graham_anomaly().replace(duration=graham_anomaly().duration - 1),
    "… without T4→T5, T4→T6": _graham_without_two_constraints,
    "fork and join": lambda: fork_join(6),
    "reduction tree": lambda: tree_reduce(8),
    "Cholesky 4 × 4": lambda: cholesky(4, duration=3.0),
    "random": lambda: random_dag(14, 0.12, duration=3.0, seed=4),
}
WHY = {
    "list": "it is the first on the list",
    "blevel": "the longest way to the end begins with it",
    "lpt": "it is the longest",
    "spt": "it is the shortest",
    "random": "the dice say so",
}
WAITING, READY, RUNNING, DONE = range(4)
FILL = np.array(["#FFFFFF", "#FBE3A6", "#8EC3E6", "#D1D5DB"])


@dataclass(frozen=True)
class Step:
    """The state of a schedule right after its k-th decision."""

    graph: TaskGraph
    trace: Trace
    workers: int
    policy: str
    k: int  # decisions made
    now: float
    started: np.ndarray  # (n,) whether each task has started
    state: np.ndarray  # (n,) WAITING, READY, RUNNING or DONE
    chosen: int  # the task of the last decision, −1 before the first
    choice: list[int]  # the tasks that were ready when it was made
    priority: np.ndarray  # (n,) the smallest is chosen first
    bound: float  # no schedule ends before this time


def compute(graph: str, workers: int, policy: str, step: int) -> Step:
    """Simulate the whole run and return its state after ``step`` decisions (at most one for each task)."""
    tasks = GRAPHS[graph]()
    n = len(tasks)
    trace = run(tasks, workers, policy, seed=1)
    start, stop = trace.task_times()
    priority = POLICIES[policy](tasks, trace.cluster, np.random.default_rng(1))
    decisions = np.lexsort((np.arange(n), priority, start))
    k = min(step, n)
    chosen = int(decisions[k - 1]) if k else -1
    now = float(start[chosen]) if k else 0.0
    started = np.zeros(n, dtype=bool)
    started[decisions[:k]] = True
    done = started & (stop <= now)
    bound, _ = brent(tasks.work, tasks.span, workers)
    met = np.array([done[tasks.predecessors(i)].all() for i in range(n)])
    state = np.where(done, DONE, np.where(started, RUNNING, np.where(met, READY, WAITING)))
    choice = [i for i in range(n) if met[i] and (not started[i] or i == chosen)] if k else []
    return Step(tasks, trace, workers, policy, k, now, started, state, chosen, choice, priority, bound)


def finding(step: Step) -> str:
    """Say what the last decision was and why; at the end, how the schedule compares with its bound."""
    n, name = len(step.graph), step.graph.name
    makespan = step.trace.makespan
    bound = step.bound
    if step.k == 0:
        ready = ", ".join(name(i) for i in np.flatnonzero(step.state == READY))
        return f"Nothing has started. Ready: {ready}. No schedule on {step.workers} workers ends before {bound:.3g} s."
    others = [name(i) for i in step.choice if i != step.chosen]
    worker = step.trace.worker[step.chosen]
    text = f"Step {step.k} of {n}, at {step.now:.3g} s: worker {worker} is idle and starts {name(step.chosen)}"
    text += f" rather than {', '.join(others)}: {_why(step)}." if others else ", the only task that is ready."
    if step.k == n:
        text += f" The last task ends at {makespan:.3g} s, {makespan / bound:.2f} times the lower bound {bound:.3g} s."
    return text


def _why(step: Step) -> str:
    """Say why the chosen task was chosen: by its priority, or by its number where others have the same."""
    rank = step.priority[step.choice]
    if (rank == rank.min()).sum() > 1:
        return "no other comes before it, and its number is the smallest"
    return WHY[step.policy]


def build(figure: Figure) -> dict[str, Any]:
    """Make the graph on the left and the Gantt chart on the right."""
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.35])
    left.set_title("The tasks: waiting, ready, running, done")
    right.set_title("The schedule so far")
    right.set(xlabel="time (s)", ylim=(5.6, -0.6), yticks=range(6), yticklabels=[f"worker {w}" for w in range(6)])
    right.grid(False, axis="y")
    for index, (word, colour) in enumerate(zip(["waiting", "ready", "running", "done"], FILL, strict=True)):
        place = 0.02 + 0.25 * index
        left.plot([place], [-0.03], "o", transform=left.transAxes, clip_on=False, color=colour, mec=COLOURS["ink"])
        left.text(place + 0.025, -0.03, word, transform=left.transAxes, va="center", fontsize=9)
    bars = right.add_collection(PolyCollection([], edgecolors=COLOURS["blue"], linewidths=0.9))
    return {
        "graph": TaskCircles.on(left, MOST, size=620, fontsize=7),
        "right": right,
        "bars": bars,
        "now": right.axvline(0, color=COLOURS["orange"], linewidth=1.6),
        "bound": right.axvline(0, color=COLOURS["grey"], linewidth=1.2, linestyle=":"),
        "labels": [right.text(0, 0, "", ha="center", va="center", fontsize=8.5) for _ in range(MOST)],
    }


def _short(name: str) -> str:
    """Return a name that fits into a circle: "trsm 1 0" becomes "trsm" over "1 0"."""
    return name.replace(" ", "\n", 1)


def draw(artists: dict[str, Any], step: Step) -> None:
    """Colour the tasks by their state and draw the bars of those that have started."""
    graph, trace = step.graph, step.trace
    texts = [_short(graph.name(i)) for i in range(len(graph))]
    artists["graph"].draw(graph, FILL[step.state].tolist(), texts, step.chosen, margin=0.7, thick=2.6)
    set_limits(artists["right"], (0, trace.makespan * 1.04))
    boxes, colours = [], []
    for i, label in enumerate(artists["labels"]):
        label.set_text("")
        if i < len(graph) and step.started[i]:
            begin, end, lane = trace.start[i], trace.stop[i], trace.worker[i]
            boxes.append(box(begin, end, lane - 0.36, lane + 0.36))
            colours.append(NEW if i == step.chosen else OLD)
            if end - begin > trace.makespan * 0.016 * len(graph.name(i)):
                label.set_text(graph.name(i))
                label.set_position(((begin + end) / 2, lane))
    artists["bars"].set_verts(boxes)
    artists["bars"].set_facecolors(colours)
    artists["now"].set_xdata([step.now, step.now])
    artists["bound"].set_xdata([step.bound, step.bound])


explorer = Explorer(
    id="list-scheduling",
    title="Which task starts next, and why?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "graph": Choice("Graph", list(GRAPHS), "Graham's nine tasks"),
        "workers": Int("Workers", 1, 6, 3),
        "policy": Choice(
            "Policy",
            {
                "the list": "list",
                "longest way to the end": "blevel",
                "longest task": "lpt",
                "shortest task": "spt",
                "random": "random",
            },
            "list",
        ),
        "step": Int("Step", 0, MOST, 5),
    },
    presets={
        "From the start": {"step": 0},
        "A fourth worker": {"workers": 4, "step": 9},
        "Shorter tasks": {"graph": "… each 1 s shorter", "step": 9},
        "Fewer constraints": {"graph": "… without T4→T5, T4→T6", "step": 9},
        "Longest way first": {"policy": "blevel", "workers": 4, "step": 9},
    },
    width=10.0,
    height=4.0,
)
