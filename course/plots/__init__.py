"""Pictures of traces, graphs and curves, in one style; each with a text that says what it shows."""

from course.plots.graphs import draw_graph
from course.plots.show import show
from course.plots.style import COLOURS, style, subplots
from course.plots.traces import gantt, running

__all__ = ["COLOURS", "draw_graph", "gantt", "running", "show", "style", "subplots"]
