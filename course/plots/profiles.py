"""Pictures of a sampled profile: the flame graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from course.plots.style import COLOURS, style

# Fill and edge for each module, the most frequent first; their lightness differs too.
_FILLS = [("#BBD9EC", "blue"), ("#F3B58A", "orange"), ("#F7E3B0", "amber"), ("#7FC4AB", "green"), ("#D9A9CB", "purple")]
_OTHER = ("#E5E7EB", "grey")


def flame_graph(tree: Any, axes: Axes, *, title: str = "", least: float = 0.002) -> None:
    """Draw a flame graph: a bar for each function at its place in the stacks, as wide as its share of the samples.

    The root is the lowest bar; on each function stands what it called. A bar's part with nothing above it was the
    innermost function. From left to right is no time: the most frequent comes first.

    Parameters
    ----------
    tree : object
        With ``name``, ``module``, ``count`` and ``children`` (objects like it), such as a `course.measure.Frame`; any
        frame of a tree may be drawn as its root.
    axes : matplotlib.axes.Axes
        Of the size that it is to have: names are cut to the width of their bars.
    title : str
        The finding.
    least : float
        Bars of a smaller share are left out, with what stands on them.

    Raises
    ------
    ValueError
        If the tree has no sample.

    Notes
    -----
    Taught in chapter 11.

    References
    ----------
    Gregg: The flame graph. ACM Queue 14(2), 2016; Communications of the ACM 59(6), 2016.

    Examples
    --------
    >>> from course.measure import Frame
    >>> from course.plots import subplots
    >>> figure, axes = subplots()
    >>> flame_graph(Frame("root", "", 0, 10, (Frame("load", "task.py", 3, 7), Frame("add", "task.py", 9, 3))), axes)
    >>> [text.get_text() for text in axes.texts]
    ['root 100 %', 'load 70 %', 'add 30 %']
    """
    if not tree.count:
        raise ValueError("the tree has no sample; sample for longer, or while tasks run")
    bars: list[tuple[int, float, Any]] = []  # height, left end, frame
    _place(tree, tree.count, 0, 0.0, least, bars)
    innermost = Counter[str]()
    for _, _, frame in bars:
        innermost[frame.module] += frame.count - sum(child.count for child in frame.children)
    named = [module for module, _ in innermost.most_common() if module][: len(_FILLS)]
    fills = dict(zip(named, _FILLS, strict=False))
    pixels = axes.get_window_extent().width
    with style():
        for height, left, frame in bars:
            share = frame.count / tree.count
            fill, edge = fills.get(frame.module, _OTHER)
            axes.barh(height, share, left=left, height=1, color=fill, edgecolor=COLOURS[edge], linewidth=0.8)
            if text := _label(frame.name, share, share * pixels):
                axes.text(left + share / 2, height, text, ha="center", va="center", fontsize=9, clip_on=True)
        tallest = max(height for height, _, _ in bars)
        axes.set(xlim=(0, 1), ylim=(-0.5, max(tallest, 3) + 0.5), yticks=[], xlabel="share of the samples")
        axes.grid(False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_title(title)
        others = any(frame.module not in fills and frame.module for _, _, frame in bars)
        keys = [Patch(facecolor=fill, edgecolor=COLOURS[edge], label=module) for module, (fill, edge) in fills.items()]
        keys += [Patch(facecolor=_OTHER[0], edgecolor=COLOURS[_OTHER[1]], label="other")] if others else []
        if keys:
            axes.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="module")


def _place(frame: Any, total: int, height: int, left: float, least: float, bars: list[tuple[int, float, Any]]) -> None:
    if frame.count < least * total:
        return
    bars.append((height, left, frame))
    for child in frame.children:
        _place(child, total, height + 1, left, least, bars)
        left += child.count / total


def _label(name: str, share: float, pixels: float) -> str:
    """Return as much of the name, and of its share, as the bar has room for; a letter takes about 7 pixels."""
    letters = int((pixels - 6) / 7)
    whole = f"{name} {share:.0%}".replace("%", " %")
    if len(whole) <= letters:
        return whole
    if len(name) <= letters:
        return name
    return f"{name[: letters - 1]}…" if letters >= 4 else ""
