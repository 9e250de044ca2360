"""Pictures of where the time of the threads went (`course.diagnose`)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.diagnosis import Diagnosis
from course.plots.style import COLOURS, DPI, style, subplots
from course.timeshares import SHARES

#: Colour and hatching of each share; idle threads without a ready task are pale.
LOOK = {
    "compute": (COLOURS["blue"], ""), "disk": (COLOURS["purple"], "//"), "deserialize": (COLOURS["ink"], ""),
    "transfer": (COLOURS["orange"], "\\\\"), "scheduling": (COLOURS["amber"], ".."),
    "placement": (COLOURS["green"], "xx"),
    "imbalance": ("#CBD5E1", ""), "dependencies": ("#E8ECF1", "--"),
    "client": ("#F4F1EA", "oo"),
}  # fmt: skip

NAMED = 0.02
"""Smaller shares are drawn without their name."""


MOST_ROWS = 2_000
"""Beyond so many rows of a trace, no bar is drawn for each."""


def shares_over_time(found: Diagnosis, axes: Axes, *, bins: int = 100, title: str = "") -> None:
    """Draw how many threads did what over the time of a run, one layer for each share.

    Parameters
    ----------
    found : Diagnosis
    axes : matplotlib.axes.Axes
    bins : int
        Equal stretches of time, of which each shows its mean.
    title : str
        The finding that the picture shows.

    Notes
    -----
    Shares below 2 % are drawn but not named. Taught in chapter 11.
    """
    edges, threads = found.over_time.over_time(bins)
    edges = edges - edges[0]
    with style():
        bottom = np.zeros(bins)
        labels = []
        for name, layer in zip(SHARES, threads.T, strict=True):
            colour, hatch = LOOK[name]
            if layer.any():
                axes.stairs(bottom + layer, edges, baseline=bottom, fill=True, facecolor=colour, hatch=hatch,
                            edgecolor="white", linewidth=0.0)  # fmt: skip
            if found.shares[name] >= NAMED:
                labels.append((float((bottom + layer / 2) @ layer / layer.sum()), name))
            bottom = bottom + layer
        _label(axes, labels, edges[-1], bottom.max())
        axes.set(xlim=(0, edges[-1]), ylim=(0, bottom.max()), xlabel="time (s)", ylabel="threads")
        axes.grid(False)
        axes.set_title(title)


def _label(axes: Axes, labels: list[tuple[float, str]], right: float, top: float) -> None:
    """Write the names of the layers at the right, each at the middle height of its layer but none on another."""
    pixels = axes.get_window_extent().height  # before the layout, which changes it little
    gap = 1.7 * matplotlib.rcParams["font.size"] * DPI / 72 / max(pixels, 1.0) * top
    heights = np.array([height for height, _ in sorted(labels)])
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    if len(heights):
        heights = np.minimum(heights, top - gap * np.arange(len(heights))[::-1])
    for height, (_, name) in zip(heights, sorted(labels), strict=True):
        colour = LOOK[name][0] if name not in ("imbalance", "dependencies", "client") else COLOURS["grey"]
        axes.annotate(name, (right, height), xytext=(6, 0), textcoords="offset points", color=colour, va="center",
                      annotation_clip=False, fontweight="bold")  # fmt: skip


def shares_of_runs(found: Mapping[str, Diagnosis], axes: Axes, *, seconds: bool = True, title: str = "") -> None:
    """Draw a bar for each run, cut into the shares of its threads' time.

    Parameters
    ----------
    found : mapping of str to Diagnosis
        The runs, by the name that is written beside the bar; the first on top.
    axes : matplotlib.axes.Axes
    seconds : bool
        Whether bars are as long as the runs' thread-seconds, or all of one length.
    title : str
        The finding that the picture shows.

    Notes
    -----
    Taught in chapter 11.
    """
    with style():
        names = list(found)
        shown = []
        left = np.zeros(len(names))
        for share in SHARES:
            lengths = np.array([(each.seconds if seconds else each.shares)[share] for each in found.values()])
            colour, hatch = LOOK[share]
            if max(each.shares[share] for each in found.values()) >= NAMED:
                shown.append(axes.barh(names, lengths, left=left, height=0.66, color=colour, hatch=hatch,
                                       edgecolor="white", linewidth=0.4, label=share))  # fmt: skip
            left += lengths
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlabel("thread-seconds" if seconds else "share of the threads' time")
        axes.set_xlim(0, left.max() or 1.0)
        axes.legend(handles=shown, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.set_title(title)


def diagnosis(found: Diagnosis) -> Figure:
    """Return a picture of what `course.diagnose` found: who did what, where the time went, and on which tasks.

    Parameters
    ----------
    found : Diagnosis

    Notes
    -----
    Top: what each worker did, task by task (beyond 2,000 rows: how long each computed), and the shares over time.
    Bottom: the durations of the tasks against what a task costs beyond its work; the kinds of tasks by their seconds,
    and by the blame for idle threads.

    Taught in chapter 23.
    """
    from course.plots.traces import gantt

    figure, axes = subplots(2, 2, width=11, height=7.2, height_ratios=[1.5, 1])
    trace = found.trace
    title = f"Held up by {found.limit}: {found.makespan:.3g} s"
    if len(trace) <= MOST_ROWS:
        gantt(trace, axes[0, 0], title=title)
    else:
        busy = np.sort([worker.busy for worker in found.workers])[::-1]
        axes[0, 0].bar(np.arange(len(busy)), busy, width=1.0, color=COLOURS["sky"], edgecolor=COLOURS["blue"])
        axes[0, 0].set(xlabel="workers, the busiest first", ylabel="computing [s]", title=title)
        axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    shares_over_time(found, axes[0, 1], title="What the threads did")
    edges, counts = np.array(found.sizes.edges), found.sizes.counts
    axes[1, 0].bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=COLOURS["sky"],
                   edgecolor=COLOURS["blue"])  # fmt: skip
    cost = found.sizes.overhead
    axes[1, 0].set_xscale("log")
    axes[1, 0].set_xlim(min(edges[0], cost / 2 if cost > 0 else np.inf) / 3, max(edges[-1], cost) * 3)
    axes[1, 0].set(xlabel="duration of a task [s]", ylabel="tasks")
    if cost > 0:
        axes[1, 0].axvline(cost, color=COLOURS["orange"], linewidth=2)
    share = f"{found.sizes.shorter:.0%}".replace("%", " %")
    axes[1, 0].set_title(f"Tasks: {share} shorter than their cost of {cost * 1e3:.2g} ms", fontsize=10)
    groups = sorted(found.groups, key=lambda group: -group.seconds)[:6][::-1]
    places = np.arange(len(groups))
    axes[1, 1].barh(places + 0.2, [group.seconds for group in groups], 0.36, color=COLOURS["blue"])
    axes[1, 1].barh(places - 0.2, [group.blame for group in groups], 0.36, color=COLOURS["orange"], hatch="//",
                    edgecolor="white")  # fmt: skip
    axes[1, 1].set_yticks(places, [group.prefix[:24] for group in groups])
    axes[1, 1].set(xlabel="thread-seconds")
    axes[1, 1].set_title("Kinds: computing; others idle meanwhile (hatched)", fontsize=10)
    return figure
