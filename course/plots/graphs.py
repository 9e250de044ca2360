"""Pictures of a `TaskGraph`: what waits for what."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from matplotlib.axes import Axes

from course.graph import TaskGraph
from course.plots.style import COLOURS, style


def depth(graph: TaskGraph) -> np.ndarray:
    """Return how many tasks come before each task on the longest way to it, shape (n,)."""
    return graph.replace(duration=np.ones(len(graph))).t_level().astype(int)


def layout(graph: TaskGraph) -> np.ndarray:
    """Return a place for each task, shape (n, 2): x is its depth; y keeps it near its predecessors."""
    level = depth(graph)
    place = np.zeros((len(graph), 2))
    for x in range(level.max(initial=0) + 1):
        tasks = np.flatnonzero(level == x)
        # Tasks stand in the order of their predecessors' places, evenly spread about the middle.
        key = [place[graph.predecessors(t), 1].mean() if len(graph.predecessors(t)) else -t for t in tasks]
        tasks = tasks[np.argsort(-np.asarray(key), kind="stable")]
        place[tasks, 0] = x
        place[tasks, 1] = (len(tasks) - 1) / 2 - np.arange(len(tasks))
    return place


def draw_graph(
    graph: TaskGraph,
    axes: Axes,
    *,
    label: Callable[[int], str] | None = None,
    highlight: Collection[int] | None = None,
    title: str = "",
) -> None:
    """Draw a task graph from left to right: circles for tasks, arrows from each to those that wait for it.

    Parameters
    ----------
    graph : TaskGraph
        Best with up to 60 tasks.
    axes : matplotlib.axes.Axes
    label : callable, optional
        From task to the text in its circle; by default the name and, below it, the duration.
    highlight : collection of int, optional
        Tasks drawn in the second colour; by default the critical path.
    title : str
        The finding that the picture shows.
    """
    highlight = set(graph.critical_path() if highlight is None else highlight)
    place = layout(graph)
    text = label or (lambda task: f"{graph.name(task)}\n{graph.duration[task]:.3g} s")
    with style():
        for after in range(len(graph)):
            for before in graph.predecessors(after):
                on_path = before in highlight and after in highlight
                axes.annotate(
                    "",
                    place[after],
                    place[before],
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": COLOURS["orange"] if on_path else COLOURS["grey"],
                        "linewidth": 1.8 if on_path else 1.0,
                        "shrinkA": 15,
                        "shrinkB": 15,
                    },
                )
        for task, (x, y) in enumerate(place):
            chosen = task in highlight
            axes.plot(
                x,
                y,
                "o",
                markersize=30,
                markerfacecolor="#F8D9C0" if chosen else "#DCECF6",
                markeredgecolor=COLOURS["orange"] if chosen else COLOURS["blue"],
                markeredgewidth=1.8 if chosen else 1.0,
            )
            axes.text(x, y, text(task), ha="center", va="center", fontsize=8, linespacing=1.05)
        low, high = place.min(axis=0, initial=0.0), place.max(axis=0, initial=0.0)
        axes.set_xlim(low[0] - 0.5, high[0] + 0.5)
        axes.set_ylim(low[1] - 0.7, high[1] + 0.7)
        axes.set_axis_off()
        axes.set_title(title)
