"""The look of every figure of the course: colours that the colour-blind tell apart, few lines, large enough text."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

#: Colours that stay apart for the colour-blind (after Okabe and Ito, 2008), darkest first where it matters.
COLOURS = {
    "blue": "#0072B2", "orange": "#D55E00", "green": "#009E73", "purple": "#AA4E8A",
    "amber": "#E69F00", "sky": "#56B4E9", "grey": "#6B7280", "ink": "#1F2937",
}  # fmt: skip

STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10.5,
    "text.color": COLOURS["ink"], "axes.labelcolor": COLOURS["ink"], "axes.edgecolor": "#9CA3AF",
    "xtick.color": "#9CA3AF", "ytick.color": "#9CA3AF",
    "xtick.labelcolor": "#374151", "ytick.labelcolor": "#374151",
    "axes.titlesize": 11.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 9,
    "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#E5E7EB", "grid.linewidth": 0.8, "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(color=list(COLOURS.values())),
    "lines.linewidth": 2.2, "lines.solid_capstyle": "round", "legend.frameon": False,
    "figure.facecolor": "white", "axes.facecolor": "white",
}  # fmt: skip

#: Pixels an inch. One pixel of a picture is one CSS pixel.
DPI = 100


def style() -> AbstractContextManager[None]:
    """Return a context in which Matplotlib draws in the course's style."""
    return matplotlib.rc_context(STYLE)


def subplots(
    rows: int = 1, columns: int = 1, *, width: float = 9.0, height: float = 3.4, **options: Any
) -> tuple[Figure, Any]:
    """Return a figure in the course's style and its axes, as Matplotlib's function of that name does.

    It sets that style for the whole session: what you add to the axes afterwards has it too.

    Parameters
    ----------
    rows, columns : int
        How many axes.
    width, height : float
        Size in inches; an inch is 100 pixels.
    **options
        Passed on to `matplotlib.figure.Figure.subplots` (``sharex``, ``width_ratios``, …).

    Examples
    --------
    >>> figure, (left, right) = subplots(1, 2, sharey=True)
    """
    matplotlib.rcParams.update(STYLE)
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots(rows, columns, **options)
