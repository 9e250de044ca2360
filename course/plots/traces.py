"""Pictures of a `Trace`: who did what, when; and how many tasks ran together."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from matplotlib.axes import Axes

from course.plots.style import COLOURS, style
from course.trace import COMPUTE, DISK, OVERHEAD, TRANSFER, Trace, worker_names


def gantt(
    trace: Trace,
    axes: Axes,
    *,
    label: bool | Callable[[int], str] | None = None,
    highlight: Collection[int] | None = None,
    title: str = "",
) -> None:
    """Draw a Gantt chart: a lane for each thread, a bar for each task, and what did not compute as thin bars.

    Transfers are grey, below their worker; reading from disk and writing to it is purple, in the middle of the lane.

    Parameters
    ----------
    trace : Trace
        Simulated or measured.
    axes : matplotlib.axes.Axes
    label : bool or callable, optional
        Whether bars carry the tasks' names, or a function from task to text. By default up to 40 tasks are named.
    highlight : collection of int, optional
        Tasks drawn in the second colour. By default the tasks that decided the makespan (`Trace.critical_path`).
    title : str
        The finding that the chart shows.
    """
    highlight = set(trace.critical_path() if highlight is None else highlight)
    if label is None:
        label = len(trace.graph) <= 40
    text = trace.graph.name if label is True else label
    offsets = np.concatenate([[0], np.cumsum(trace.cluster.threads_per_worker)])
    origin = trace.start.min() if len(trace) else 0.0
    with style():
        for row in np.flatnonzero(trace.kind == COMPUTE):
            task = int(trace.task[row])
            lane = offsets[trace.worker[row]] + max(int(trace.thread[row]), 0)
            begin, length = trace.start[row] - origin, trace.stop[row] - trace.start[row]
            chosen = task in highlight
            axes.barh(
                lane,
                length,
                left=begin,
                height=0.72,
                color="#F3B58A" if chosen else "#BBD9EC",
                edgecolor=COLOURS["orange"] if chosen else COLOURS["blue"],
                linewidth=1.6 if chosen else 0.8,
            )
            # A name that is wider than its bar (about 1.1 % of the axis a letter) would run into its neighbours.
            if text and length > 0.011 * len(text(task)) * trace.makespan:
                axes.text(begin + length / 2, lane, text(task), ha="center", va="center", fontsize=9, clip_on=True)
        for row in np.flatnonzero(trace.kind == TRANSFER):
            lane = offsets[trace.worker[row]] + 0.44
            length = trace.stop[row] - trace.start[row]
            axes.barh(lane, length, left=trace.start[row] - origin, height=0.1, color=COLOURS["grey"], linewidth=0)
        disk = np.flatnonzero(trace.kind == DISK)
        lanes = offsets[trace.worker[disk]] + np.maximum(trace.thread[disk], 0)
        lengths = trace.stop[disk] - trace.start[disk]
        axes.barh(lanes, lengths, left=trace.start[disk] - origin, height=0.3, color=COLOURS["purple"], linewidth=0)
        if trace.cluster.workers == 1:
            axes.set_yticks(range(offsets[-1]), [f"thread {k}" for k in range(offsets[-1])])
        else:
            axes.set_yticks(offsets[:-1] + (trace.cluster.threads_per_worker - 1) / 2, worker_names(trace.cluster))
        axes.set_ylim(offsets[-1] - 0.4, -0.6)
        # Charts that share an axis of time show the longest of them whole.
        others = [each for each in axes.get_shared_x_axes().get_siblings(axes) if each is not axes and each.patches]
        shown = max([trace.makespan * 1.02 or 1.0, *(each.get_xlim()[1] for each in others)])
        axes.set_xlim(0, shown)
        axes.grid(False, axis="y")
        axes.set_xlabel("time (s)")
        axes.set_title(title)


def running(trace: Trace, axes: Axes, *, label: str = "", colour: str = "blue") -> None:
    """Draw how many tasks ran together over time, as a step line.

    Parameters
    ----------
    trace : Trace
    axes : matplotlib.axes.Axes
    label : str
        Written at the end of the line.
    colour : str
        A name of `course.plots.style.COLOURS`.
    """
    computes = trace.kind == COMPUTE
    start, stop = trace.start[computes], trace.stop[computes]
    origin = trace.start[trace.kind != OVERHEAD].min(initial=start.min(initial=0.0))
    times = np.concatenate([start, stop]) - origin
    order = np.argsort(times, kind="stable")
    number = np.cumsum(np.repeat([1, -1], len(start))[order])
    with style():
        axes.step(
            np.concatenate([[0], times[order]]), np.concatenate([[0], number]), where="post", color=COLOURS[colour]
        )
        if label:
            axes.annotate(label, (times.max(), 0), xytext=(4, 6), textcoords="offset points", color=COLOURS[colour])
        axes.set(xlabel="time (s)", ylabel="tasks running")
