"""Dispatching step by step: which servers are looked at, which gets the task, and why (chapter 14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Int
from course.explorers.shapes import NEW, OLD, box

SERVERS, TASKS = 8, 32
RULES = {
    "at random": "random",
    "in turn": "turn",
    "shorter of 2": "2",
    "shortest of 3": "3",
    "shortest of all": "all",
    "shortest of all, old board": "old",
}
BOARD = 16
"""The old board is written anew before every so many tasks."""


@dataclass(frozen=True)
class Decision:
    """The state right after the k-th task was placed."""

    rule: str
    k: int
    before: np.ndarray  # (SERVERS,) tasks at each server before it
    known: np.ndarray  # (SERVERS,) what the rule took them to be
    looked: list[int]  # the servers that were looked at, in the order drawn
    chosen: int  # −1 before the first
    after: np.ndarray  # (SERVERS,)


def compute(rule: str, step: int, seed: int) -> Decision:
    """Place the first ``step`` tasks, and return the last decision. No task ends: these are balls in bins."""
    rng = np.random.default_rng(seed)
    draws = np.array([rng.permutation(SERVERS) for _ in range(TASKS)])  # the same luck for every rule
    loads, board = np.zeros(SERVERS, dtype=int), np.zeros(SERVERS, dtype=int)
    last = Decision(rule, 0, loads.copy(), board.copy(), [], -1, loads.copy())
    for k in range(step):
        if rule != "old" or k % BOARD == 0:
            board = loads.copy()
        looked = _looked(rule, k, draws[k])
        chosen = min(looked, key=lambda server: board[server])  # of equals, the first that was drawn
        before = loads.copy()
        loads[chosen] += 1
        last = Decision(rule, k + 1, before, board.copy(), looked, chosen, loads.copy())
    return last


def _looked(rule: str, k: int, draw: np.ndarray) -> list[int]:
    if rule == "turn":
        return [k % SERVERS]
    return draw[: {"random": 1, "all": SERVERS, "old": SERVERS}.get(rule) or int(rule)].tolist()


def finding(last: Decision) -> str:
    """Say what was looked at, what was chosen and why, and how full the fullest is."""
    if not last.k:
        return f"No task has been placed. {SERVERS} servers, {TASKS} tasks to come: 4 each would be even."
    who = f"task {last.k} goes to server {last.chosen}"
    if last.rule == "random":
        why = f"{who}, the only one drawn"
    elif last.rule == "turn":
        why = f"{who}, whose turn it is"
    else:
        least = last.known[last.chosen]
        ties = [s for s in last.looked if last.known[s] == least]
        saw = ", ".join(f"{s} ({last.known[s]})" for s in last.looked) if len(last.looked) < SERVERS else "all"
        old = " the old board of" if last.rule == "old" else ""
        why = f"looked at{old} {saw}: {who}, "
        why += "which has the fewest" if len(ties) == 1 else f"one of {len(ties)} that have {least}, the first drawn"
        if last.rule == "old" and last.before[last.chosen] > least:
            why += f"; in truth it has {last.before[last.chosen]} already"
    fullest = int(last.after.max())
    return (
        f"Step {last.k} of {TASKS}: {why}. The fullest server now has {fullest}, the mean is {last.k / SERVERS:.3g}; "
        f"{int((last.after == 0).sum())} are empty."
    )


def build(figure: Figure) -> dict[str, Any]:
    """Make one axes: a stack of boxes for each server."""
    axes = figure.subplots()
    axes.set(
        xlim=(-0.6, SERVERS - 0.4),
        ylim=(0, 19.8),
        xticks=range(SERVERS),
        yticks=range(0, 20, 4),
        xlabel="server",
        ylabel="tasks",
    )
    axes.set_title("Orange: the task placed last. Framed: the servers looked at")
    axes.grid(False, axis="x")
    return {
        "boxes": axes.add_collection(PolyCollection([], edgecolors="white", linewidths=1.5)),
        "frames": axes.add_collection(
            PolyCollection([], facecolors="none", edgecolors=COLOURS["orange"], linewidths=1.4, linestyles="--")
        ),
        "even": axes.axhline(0, color=COLOURS["grey"], linewidth=1.2, linestyle=":"),
        "known": [axes.text(s, 0, "", ha="center", va="bottom", fontsize=9) for s in range(SERVERS)],
    }


def draw(artists: dict[str, Any], last: Decision) -> None:
    """Draw the boxes, the frames, and above each stack what the rule took its height to be."""
    boxes, colours = [], []
    for s in range(SERVERS):
        for level in range(int(last.after[s])):
            boxes.append(box(s - 0.36, s + 0.36, level, level + 1))
            newest = s == last.chosen and level == last.after[s] - 1
            colours.append(NEW if newest else OLD)
    artists["boxes"].set_verts(boxes)
    artists["boxes"].set_facecolors(colours)
    artists["frames"].set_verts(
        [box(s - 0.43, s + 0.43, 0, max(float(last.after[s]), 0.25) + 0.1) for s in last.looked]
    )
    artists["even"].set_ydata([last.k / SERVERS] * 2)
    judged = last.rule not in ("random", "turn")
    for s, text in enumerate(artists["known"]):
        text.set_position((s, float(last.after[s]) + 0.2))
        text.set_text(f"seen: {last.known[s]}" if judged and s in last.looked else "")


explorer = Explorer(
    id="ball-by-ball",
    title="Which server gets the next task, and why?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "rule": Choice("Rule", RULES, "2"),
        "step": Int("Step", 0, TASKS, 12),
        "seed": Int("Luck (seed)", 0, 20, 3),
    },
    presets={
        "From the start": {"step": 0},
        "Random, all 32": {"rule": "random", "step": 32},
        "Two looks, all 32": {"rule": "2", "step": 32},
        "The whole herd": {"rule": "old", "step": 32},
        "All, fresh": {"rule": "all", "step": 32},
    },
    height=4.2,
)
