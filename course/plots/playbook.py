"""The picture of the playbook's questions: `decision_tree`."""

from __future__ import annotations

import textwrap
from collections.abc import Collection

from matplotlib.axes import Axes

from course.playbook import TREE, Cure, Question
from course.plots.style import COLOURS, style

_WIDTH = 0.9
_QUESTION, _CHANGE = 27, 31


def decision_tree(axes: Axes, *, highlight: Collection[Question | Cure] = (), title: str = "") -> None:
    """Draw the tree that `course.playbook.walk` walks: yes goes to the right, no goes down.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        About 9 inches wide and 8 high.
    highlight : collection of Question and Cure
        What is drawn in colour: the steps of a walk, and its cure.
    title : str
        The finding.

    Notes
    -----
    Questions, cures and chapters are those of `course.playbook.TREE`, so picture and program cannot differ. Used by
    chapter 23.
    """
    columns: list[int] = []
    marked = {id(each) for each in highlight}
    with style():
        rows = _place(axes, TREE, 0, 0, marked, columns)
        axes.set(xlim=(-0.5, max(columns) + 0.5), ylim=(rows - 0.45, -0.55))
        axes.set_axis_off()
        axes.set_title(title)


def _place(axes: Axes, node: Question | Cure, column: int, row: int, marked: set[int], columns: list[int]) -> int:
    """Draw a node and all below it; return the next free row."""
    columns.append(column)
    on_path = id(node) in marked
    if isinstance(node, Cure):
        text = f"{node.name} (chapter {node.chapter})\n" + textwrap.fill(node.change, _CHANGE)
        look = {"facecolor": "#D9F0E6", "edgecolor": COLOURS["green"], "boxstyle": "round,pad=0.25"}
    else:
        text = textwrap.fill(node.text, _QUESTION)
        look = {"facecolor": "white", "edgecolor": COLOURS["grey"], "boxstyle": "square,pad=0.3"}
    if on_path:
        look |= {"edgecolor": COLOURS["orange"], "linewidth": 2.2}
    axes.text(column - _WIDTH / 2, row, text, ha="left", va="center", fontsize=8.8, bbox=look, zorder=3,
              linespacing=1.15)  # fmt: skip
    if isinstance(node, Cure):
        return row + 1
    below = _place(axes, node.yes, column + 1, row, marked, columns)
    end = _place(axes, node.no, column, below, marked, columns)
    for word, target, at in (("yes", node.yes, (column + 1, row)), ("no", node.no, (column, below))):
        taken = on_path and id(target) in marked
        colour = COLOURS["orange"] if taken else COLOURS["grey"]
        if word == "yes":
            start, stop, label = (column + 0.4, row), (at[0] - _WIDTH / 2 - 0.03, row), (column + 0.46, row - 0.2)
        else:
            x = column - _WIDTH / 2 + 0.1
            start, stop, label = (x, row + 0.28), (x, below - 0.3), (x + 0.04, row + 0.46)
        arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, "linewidth": 2.0 if taken else 1.0}
        axes.annotate("", stop, start, arrowprops=arrow, zorder=2)
        axes.text(*label, word, ha="center" if word == "yes" else "left", va="center", fontsize=8.5, color=colour)
    return end
