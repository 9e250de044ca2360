"""The picture of a tuning: `waterfall`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from course.plots.style import COLOURS


class Change(Protocol):
    """One change, as `course.practice.ledger.Entry` has it."""

    change: str
    predicted: float
    measured: float | None

    @property
    def kept(self) -> bool:
        """Whether the change stays."""
        ...


def waterfall(changes: Sequence[Change], axes: Axes, *, seconds: float, start: str = "start", title: str = "") -> None:
    """Draw how a program became faster, change by change: the seconds of each version, and what was foretold of it.

    Parameters
    ----------
    changes : sequence of Change
        The entries of a `course.Ledger`, in their order; each measured.
    axes : matplotlib.axes.Axes
    seconds : float
        Of the first version [s].
    start : str
        What the first version is called.
    title : str
        The finding that the picture shows.

    Raises
    ------
    ValueError
        If a change was not measured.

    Notes
    -----
    A bar goes from the time before a change to the time after it; a diamond is where it was predicted to end. Changes
    that were taken back are hatched, and the next one begins where they began. The axis is logarithmic: equal ratios
    are equally long. Used by chapters 18 to 23.
    """
    missing = [each.change for each in changes if each.measured is None]
    if missing:
        raise ValueError(f"not measured yet: {', '.join(missing)}; measure every change before you draw them")
    before, names = seconds, [start]
    low = high = seconds
    axes.barh(0, 0.0, left=seconds)
    axes.plot([seconds, seconds], [-0.4, 0.4], color=COLOURS["ink"], linewidth=2.5)
    axes.annotate(f"{seconds:.3g} s", (seconds, 0), xytext=(-6, 0), textcoords="offset points", ha="right", va="center")
    for row, each in enumerate(changes, 1):
        names.append(each.change)
        after = before * each.measured
        better = after <= before
        colour = COLOURS["blue"] if better else COLOURS["orange"]
        look = {"color": colour} if each.kept else {"facecolor": "white", "edgecolor": colour, "hatch": "///"}
        axes.barh(row, after - before, left=before, height=0.6, **look)
        foretold = before * each.predicted
        axes.plot(foretold, row, "D", color="white", markeredgecolor=COLOURS["ink"], markersize=6, zorder=4)
        end = min(before, after, foretold)
        text = f"× {each.measured:.2f}" + ("" if each.kept else ", taken back")
        axes.annotate(text, (end, row), xytext=(-9, 0), textcoords="offset points", ha="right", va="center")
        low, high = min(low, end), max(high, after, foretold)
        if each.kept:
            axes.plot([after, after], [row, row + 1], color=COLOURS["grey"], linewidth=0.8, zorder=0)
            before = after
    axes.barh(len(names), 0.0, left=before)
    axes.plot([before, before], [len(names) - 0.4, len(names) + 0.4], color=COLOURS["ink"], linewidth=2.5)
    total = f"{before:.2g} s: {seconds / before:.1f} times as fast"
    axes.annotate(total, (before, len(names)), xytext=(8, 0), textcoords="offset points", ha="left", va="center",
                  fontweight="bold")  # fmt: skip
    names.append("end")
    axes.set_xscale("log")
    axes.set_xlim(low / 2.6, high * 1.25)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("time of a run [s], logarithmic; ◇ predicted")
    axes.set_title(title)
