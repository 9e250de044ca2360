"""Pictures of traces, graphs and curves, in one style; each with a text that says what it shows."""

from course.plots.graphs import draw_graph
from course.plots.ledger import waterfall
from course.plots.playbook import decision_tree
from course.plots.profiles import flame_graph
from course.plots.protocols import SCHEDULER_STATES, WORKER_STATES, sequence, state_machine
from course.plots.show import show
from course.plots.style import COLOURS, style, subplots
from course.plots.timeshares import diagnosis, shares_of_runs, shares_over_time
from course.plots.traces import gantt, running

__all__ = [
    "COLOURS", "SCHEDULER_STATES", "WORKER_STATES", "decision_tree", "diagnosis", "draw_graph", "flame_graph", "gantt",
    "running", "sequence", "shares_of_runs", "shares_over_time", "show", "state_machine", "style", "subplots",
    "waterfall",
]  # fmt: skip
