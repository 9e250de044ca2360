"""Pictures of a protocol: who said what to whom, and the states that tasks went through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from course.plots.style import COLOURS, style

#: Where the states of Dask's scheduler stand, and those of its workers.
SCHEDULER_STATES = {
    "released": (0, 0), "waiting": (1, 0), "processing": (2, 0), "memory": (3, 0), "queued": (1.5, -0.8),
    "no-worker": (0.5, -0.8), "erred": (3, -0.8), "forgotten": (0.6, 1.0),
}  # fmt: skip
WORKER_STATES = {
    "released": (0, 0), "waiting": (1, 0), "ready": (2, 0), "executing": (3, 0), "memory": (4, 0),
    "fetch": (1, -0.8), "flight": (2.5, -0.8), "error": (4, -0.8), "forgotten": (0.6, 1.1), "missing": (0, -0.8),
    "constrained": (2, -1.6), "long-running": (3, -1.6), "cancelled": (0, -1.6), "resumed": (1, -1.6),
    "rescheduled": (4, -1.6),
}  # fmt: skip
_WORDS = {"compute-task": "blue", "task-finished": "green", "key-in-memory": "green", "update-graph": "blue",
          "get_data": "orange", "gather": "orange", "add-keys": "orange"}  # fmt: skip


def sequence(
    messages: Iterable[Any],
    axes: Axes,
    *,
    parties: Sequence[str] | None = None,
    busy: tuple[str, str] = ("compute-task", "task-finished"),
    title: str = "",
) -> None:
    """Draw a message sequence diagram: a lifeline for each party, time downwards, an arrow for each message.

    Every message has a line of its own, whatever the time between two; the milliseconds stand on the left. Messages
    of one kind in a row, between the same two, are one arrow.

    Parameters
    ----------
    messages : iterable
        Of objects with ``kind``, ``sender``, ``receiver``, ``sent``, ``received`` [s] and ``keys``, such as the
        messages of a `course.measure.Conversation`.
    axes : matplotlib.axes.Axes
    parties : sequence of str, optional
        The lifelines from left to right; by default in the order in which they first speak.
    busy : (str, str)
        A party works on a task from the first of these kinds of message, which it receives, to the second, which it
        sends: drawn as a box on its lifeline.
    title : str
        The finding.
    """
    rows = _merged(sorted(messages, key=lambda message: message.sent))
    spoke = dict.fromkeys(name for row in rows for name in (row[0].sender, row[0].receiver))
    parties = list(parties if parties is not None else spoke)
    place = {name: x for x, name in enumerate(parties)}
    begun: dict[tuple[str, str], int] = {}
    with style():
        for name, x in place.items():
            axes.plot([x, x], [-0.6, len(rows)], color="#9CA3AF", linewidth=1, zorder=1)
            axes.text(x, -0.9, name, ha="center", va="bottom", fontweight="bold")
        for y, (message, number) in enumerate(rows):
            start, stop = place[message.sender], place[message.receiver]
            colour = COLOURS[_WORDS.get(message.kind, "grey")]
            axes.annotate("", (stop, y + 0.3), (start, y), zorder=3,
                          arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0})  # fmt: skip
            names = ", ".join(dict.fromkeys(message.keys)) if len(message.keys) <= 2 else message.keys[-1]
            text = message.kind + (f" ×{number}" if number > 1 else f" {names}" if names else "")
            axes.text((start + stop) / 2, y + 0.1, text, ha="center", va="bottom", fontsize=8.5, color=colour, zorder=4,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85})  # fmt: skip
            axes.text(-0.28, y, f"{1000 * message.sent:.0f}", ha="right", va="center", fontsize=8.5,
                      color=COLOURS["grey"])  # fmt: skip
            if message.kind == busy[0] and message.keys:
                begun[message.receiver, message.keys[-1]] = y
            if message.kind == busy[1] and message.keys and (message.sender, message.keys[-1]) in begun:
                top = begun.pop((message.sender, message.keys[-1])) + 0.3
                axes.fill_between([start - 0.05, start + 0.05], top, y, color="#BBD9EC", zorder=2)
        axes.text(-0.28, -0.9, "ms", ha="right", va="bottom", fontsize=8.5, color=COLOURS["grey"])
        axes.set(xlim=(-0.5, len(parties) - 0.5), ylim=(len(rows) + 0.2, -1.6))
        axes.set_axis_off()
        axes.set_title(title)


def _merged(messages: Sequence[Any]) -> list[tuple[Any, int]]:
    """Return each message with how many of its kind followed it at once between the same two."""
    rows: list[tuple[Any, int]] = []
    for message in messages:
        last = rows[-1][0] if rows else None
        same = last and (last.kind, last.sender, last.receiver) == (message.kind, message.sender, message.receiver)
        if same:
            rows[-1] = (last, rows[-1][1] + 1)
        else:
            rows.append((message, 1))
    return rows


def state_machine(
    transitions: Mapping[tuple[str, str], int],
    axes: Axes,
    places: Mapping[str, tuple[float, float]],
    *,
    title: str = "",
) -> None:
    """Draw the states of tasks and, on the arrows, how often a task went from one to another.

    Parameters
    ----------
    transitions : mapping
        From (state, next state) to a number. Transitions to the same state are left out.
    axes : matplotlib.axes.Axes
    places : mapping
        Where each state stands, as `SCHEDULER_STATES` and `WORKER_STATES`; only states that occur are drawn.
    title : str
        The finding.

    Raises
    ------
    ValueError
        A state has no place.
    """
    moves = {(a, b): number for (a, b), number in transitions.items() if a != b}
    states = dict.fromkeys(state for move in moves for state in move)
    if missing := [state for state in states if state not in places]:
        raise ValueError(f"places has no {', '.join(missing)}; it must have a place for every state of transitions")
    with style():
        for (a, b), number in moves.items():
            start, stop = np.asarray(places[a], dtype=float), np.asarray(places[b], dtype=float)
            # There and back pass on two sides; a long way home clears what stands between.
            bend = 0.3 if start[0] - stop[0] > 2 else 0.15 if (b, a) in moves else 0.0
            axes.add_patch(FancyArrowPatch(start, stop, arrowstyle="-|>", mutation_scale=12, shrinkA=26, shrinkB=26,
                                           connectionstyle=f"arc3,rad={bend}", color=COLOURS["blue"]))  # fmt: skip
            side = np.array([stop[1] - start[1], start[0] - stop[0]]) * bend / 2
            axes.text(*((start + stop) / 2 + side), str(number), ha="center", va="center", fontsize=9.5,
                      color=COLOURS["ink"], bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
        for state in states:
            box = {"boxstyle": "round,pad=0.4", "facecolor": "#DCECF6", "edgecolor": COLOURS["blue"]}
            axes.text(*places[state], state, ha="center", va="center", fontsize=9.5, bbox=box)
        drawn = np.array([places[state] for state in states] or [(0, 0)], dtype=float)
        (left, low), (right, high) = drawn.min(axis=0), drawn.max(axis=0)
        axes.set(xlim=(left - 0.5, right + 0.5), ylim=(low - 0.3, high + 0.3), aspect="equal")
        axes.set_axis_off()
        axes.set_title(title)
