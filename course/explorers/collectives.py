"""Collective operations round by round: who sends what, and who then has what. Chapter 15."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int
from course.simulate import Collective, Send, collective

LATENCY, BANDWIDTH = 100e-6, 1e9
"""Of the network: seconds a message, bytes a second of each worker's link."""

MOST = 8
"""The workers that a picture has room for."""

OPERATIONS = {
    "broadcast, one after another": ("flat broadcast", 2),
    "broadcast, binomial": ("binomial broadcast", 2),
    "reduction, fan-in 2": ("tree reduction", 2),
    "reduction, fan-in 4": ("tree reduction", 4),
    "reduction, all at once": ("tree reduction", MOST),
    "all-reduce, ring": ("ring all-reduce", 2),
    "all-reduce, recursive doubling": ("recursive doubling", 2),
}


@dataclass(frozen=True)
class Round:
    """The state after so many rounds."""

    played: Collective
    operation: str
    k: int
    sends: list[Send]  # of the last round
    times: np.ndarray  # seconds of each round
    size: float  # bytes of a vector


def compute(operation: str, workers: int, size: float, step: int) -> Round:
    """Play the operation and return the state after ``step`` rounds (at most all)."""
    operation, fan_in = OPERATIONS[operation]
    p = 1 << (workers.bit_length() - 1) if operation == "recursive doubling" else workers
    played = collective(operation, p, fan_in)
    k = min(step, len(played.rounds))
    sends = played.rounds[k - 1] if k else []
    return Round(played, operation, k, sends, played.times(size, LATENCY, BANDWIDTH), size)


def _bytes(size: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.3g} bytes"


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 0.1 else f"{1e3 * value:.3g} ms"


def _what(state: Round) -> str:
    """Say in words what the messages of the last round do."""
    sends, p = state.sends, state.played.workers
    if state.operation == "ring all-reduce":
        if sends[0].adds:
            return "each worker hands one piece to its right neighbour, which adds its own part"
        return "each worker hands one finished piece to its right neighbour, which keeps it"
    if state.operation == "recursive doubling":
        return f"each worker swaps its sum with the worker {abs(sends[0].target - sends[0].source)} away, and adds"
    if state.operation == "tree reduction":
        busiest = max(sum(send.target == w for send in sends) for w in range(p))
        return f"{len({send.target for send in sends})} receive and add, at most {busiest} vectors each"
    return f"{len(sends)} of those who have the vector send{'s' * (len(sends) == 1)} it to somebody who has not"


def finding(state: Round) -> str:
    """Say what the last round did and what it cost, and how much is left."""
    rounds, p = len(state.times), state.played.workers
    total = state.times.sum()
    most = max(state.played.sent(state.size).max(), state.played.received(state.size).max()) / state.size
    if state.k == 0:
        text = f"Before the first of {rounds} rounds among {p} workers"
        return f"{text}: in the end they will have taken {_seconds(total)}, the busiest link with {most:.3g} vectors."
    text = f"Round {state.k} of {rounds}: {_what(state)}, in {_seconds(state.times[state.k - 1])}"
    if state.k < rounds:
        return f"{text}; so far {_seconds(state.times[: state.k].sum())} of {_seconds(total)}."
    bytes_part = 1 - LATENCY * rounds / total
    return (
        f"{text}. In all {_seconds(total)}, {bytes_part:.0%} of it for bytes; "
        f"{state.played.messages} messages, the busiest link carried {most:.3g} vectors."
    )


def build(figure: Figure) -> dict[str, Any]:
    """Make the ring of workers on the left and the table of who has what on the right."""
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.35])
    left.set_title("The messages of this round")
    left.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xticks=[], yticks=[], aspect="equal")
    right.set_title("How many workers' parts are in each piece")
    right.set(xlim=(-0.5, MOST - 0.5), ylim=(MOST - 0.5, -0.5), xticks=range(MOST), yticks=range(MOST))
    right.set(xlabel="piece of the vector", ylabel="worker")
    for axes in (left, right):
        axes.grid(False)
    for side in left.spines.values():
        side.set_visible(False)
    arrows = []
    for _ in range(MOST):
        arrow = FancyArrowPatch((0, 0), (0, 0), arrowstyle="-|>", mutation_scale=15, linewidth=1.6, zorder=1)
        arrow.set_color(COLOURS["orange"])
        arrow.set_connectionstyle("arc3", rad=0.12)
        arrows.append(left.add_patch(arrow))
    return {
        "arrows": arrows,
        "clock": left.text(0, 0, "", ha="center", va="center", fontsize=10, zorder=4, color=COLOURS["ink"],
                           bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2}),
        "nodes": left.scatter([], [], s=560, edgecolors=COLOURS["ink"], zorder=2),
        "names": [left.text(0, 0, "", ha="center", va="center", fontsize=10, zorder=3) for _ in range(MOST)],
        "table": right.imshow(np.full((MOST, MOST), np.nan), cmap="Blues", vmin=0, vmax=1.35),
        "changed": right.plot([], [], "s", markersize=25, markerfacecolor="none", markeredgewidth=2.2,
                              color=COLOURS["orange"])[0],
        "counts": [[right.text(q, w, "", ha="center", va="center", fontsize=10) for q in range(MOST)]
                   for w in range(MOST)],
    }  # fmt: skip


def draw(artists: dict[str, Any], state: Round) -> None:
    """Move the arrows; fill the table and mark what this round has changed."""
    played = state.played
    p, pieces = played.workers, played.pieces
    angle = np.pi / 2 - 2 * np.pi * np.arange(p) / p
    place = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    has = played.contributions[state.k]
    whole = 1 if "broadcast" in state.operation else p
    artists["nodes"].set_offsets(place)
    artists["clock"].set_text(f"{_seconds(state.times[: state.k].sum())}\nof {_seconds(state.times.sum())}")
    done = (has == whole).all(axis=1)
    artists["nodes"].set_facecolors(["#8EC3E6" if each else "#FFFFFF" for each in done])
    for i, arrow in enumerate(artists["arrows"]):
        arrow.set_visible(i < len(state.sends))
        if i < len(state.sends):
            start, stop = place[state.sends[i].source], place[state.sends[i].target]
            along = 0.2 * (stop - start) / np.linalg.norm(stop - start)
            arrow.set_positions(start + along, stop - along)
    for w in range(MOST):
        artists["names"][w].set_text(str(w) if w < p else "")
        if w < p:
            artists["names"][w].set_position(place[w])
        for q in range(MOST):
            inside = w < p and q < pieces
            artists["counts"][w][q].set_text(str(has[w, q]) if inside else "")
    shade = np.full((MOST, MOST), np.nan)
    shade[:p, :pieces] = has / whole
    artists["table"].set_data(np.ma.masked_invalid(shade))
    changed = [(piece, send.target) for send in state.sends for piece in send.pieces]
    artists["changed"].set_data([q for q, _ in changed], [w for _, w in changed])


explorer = Explorer(
    id="collectives",
    title="Who sends what to whom?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "operation": Choice("Operation", list(OPERATIONS), "all-reduce, ring"),
        "workers": Int("Workers", 2, MOST, 4),
        "size": Float("Vector (bytes)", 100.0, 1e9, 1e6, step=0.5, log=True, format=".1e"),
        "step": Int("Round", 0, 2 * (MOST - 1), 1),
    },
    presets={
        "Round a ring": {"step": 0},
        "Half way": {"step": 3},
        "A tree of pairs": {"operation": "reduction, fan-in 2", "workers": 8, "step": 3},
        "All at once": {"operation": "reduction, all at once", "workers": 8, "step": 1},
        "Swap, then double": {"operation": "all-reduce, recursive doubling", "workers": 8, "step": 3},
    },
    width=10.0,
    height=4.3,
)
