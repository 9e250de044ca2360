"""Pictures of where the time of the threads went (`course.diagnose`)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from course.diagnosis import Diagnosis
from course.plots.style import COLOURS, DPI, style
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
        colour = LOOK[name][0] if name not in ("imbalance", "dependencies") else COLOURS["grey"]
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
