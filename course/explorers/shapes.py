"""Shapes that several explorers draw: boxes, and a task graph as circles with lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.text import Text

from course.explorers.frame import COLOURS, set_limits
from course.graph import TaskGraph
from course.plots.graphs import layout

NEW, OLD = "#F3B58A", "#BBD9EC"
"""The fill of what the last step made, and of what was there before."""


def box(left: float, right: float, low: float, high: float) -> list[tuple[float, float]]:
    """Return the corners of a box, for a `PolyCollection`.

    Examples
    --------
    >>> box(0, 3, 1, 2)
    [(0, 1), (3, 1), (3, 2), (0, 2)]
    """
    return [(left, low), (right, low), (right, high), (left, high)]


@dataclass(frozen=True)
class TaskCircles:
    """The moving artists of a task graph: a circle and a text for each task, a line for each dependency."""

    axes: Axes
    edges: LineCollection
    nodes: PathCollection
    names: list[Text]

    @classmethod
    def on(cls, axes: Axes, most: int, *, size: float, fontsize: float) -> TaskCircles:
        """Clear the axes' frame, and make the artists of up to ``most`` tasks; ``size`` is a circle's, in points²."""
        axes.grid(False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return cls(
            axes,
            axes.add_collection(LineCollection([], colors="#9CA3AF", linewidths=1.0, zorder=1)),
            axes.scatter([], [], s=size, edgecolors=COLOURS["ink"], zorder=2),
            [axes.text(0, 0, "", ha="center", va="center", fontsize=fontsize, zorder=3) for _ in range(most)],
        )

    def draw(
        self,
        graph: TaskGraph,
        colours: Sequence[str],
        texts: Sequence[str],
        chosen: int,
        *,
        margin: float,
        thick: float,
    ) -> None:
        """Show a graph.

        Parameters
        ----------
        graph : TaskGraph
        colours, texts : sequence of str, length n
            The fill of each task's circle, and what stands in it.
        chosen : int
            The task whose circle has a line of width ``thick``; −1: none.
        margin : float
            Room above and below, where 1 is the distance of two tasks.
        """
        place = layout(graph)
        low, high = place.min(axis=0), place.max(axis=0)
        set_limits(self.axes, (low[0] - 0.5, high[0] + 0.5), (low[1] - margin, high[1] + margin))
        after = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
        self.edges.set_segments(np.stack([place[graph.indices], place[after]], axis=1))
        self.nodes.set_offsets(place)
        self.nodes.set_facecolors(list(colours))
        self.nodes.set_linewidths(np.where(np.arange(len(graph)) == chosen, thick, 0.9))
        for i, name in enumerate(self.names):
            inside = i < len(graph)
            name.set_text(texts[i] if inside else "")
            if inside:
                name.set_position(place[i])
