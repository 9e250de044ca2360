"""The ring: which keys does each node own, and which of them move when a node joins? Chapter 04."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Check, Choice, Explorer, Int

_MOST = 20
_PLACES = (np.arange(720) + 0.5) / 720  # places on the ring that are drawn
_KEYS = 40_000  # keys that are counted for hash modulo n
_SCHEMES = {"ring": "ring", "hash modulo n": "modulo"}
_NAMES = ("blue", "amber", "green", "purple", "sky", "orange", "grey")


def _shade(node: int) -> tuple[float, ...]:
    """Return the colour of a node: seven colours, then the same ones lighter, and lighter still."""
    mix = 0.32 * (node // len(_NAMES))
    return tuple((1 - mix) * part + mix for part in to_rgb(COLOURS[_NAMES[node % len(_NAMES)]]))


_SHADES = np.array([_shade(node) for node in range(_MOST)])
_NEW, _STAYS, _MOVES = (np.array(to_rgb(colour)) for colour in (COLOURS["ink"], "#E5E7EB", COLOURS["orange"]))


def _ring(nodes: int, points: int, seed: int) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    before, after = (simulate.ring(n, points, seed=seed) for n in (nodes, nodes + 1))
    owners = np.array([before.owner_of(_PLACES), after.owner_of(_PLACES)])
    givers = before.shares - after.shares[:nodes] > 1e-12
    return owners, np.array([*before.shares, 0.0, *after.shares]), before.moved(after), givers


def _modulo(nodes: int, seed: int) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    hashes = np.random.default_rng(seed).integers(2**62, size=_KEYS)
    owner = np.array([hashes % nodes, hashes % (nodes + 1)])
    shares = [np.bincount(owner[k], minlength=nodes + 1) / _KEYS for k in (0, 1)]
    moves = owner[0] != owner[1]
    givers = np.bincount(owner[0][moves], minlength=nodes) > 0
    return owner[:, : len(_PLACES)], np.concatenate(shares), float(moves.mean()), givers


def compute(scheme: str, nodes: int, points: int, joins: bool, seed: int) -> dict[str, Any]:
    """Return who owns each drawn place, the shares relative to the mean, and what moves if a node joins."""
    owners, shares, moved, givers = _ring(nodes, points, seed) if scheme == "ring" else _modulo(nodes, seed)
    now = nodes + joins
    return {
        "scheme": scheme,
        "nodes": nodes,
        "points": points,
        "joins": joins,
        "owner": owners[int(joins)],
        "changed": (owners[0] != owners[1]) & joins,
        "relative": (shares[nodes + 1 :][:now] if joins else shares[:nodes]) * now,
        "moved": moved,
        "givers": int(givers.sum()),
        "expected": models.ring_imbalance(now, points),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the ring with its two bands, and a bar for each node."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    left.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    left.set_axis_off()
    left.set_title("Owners (outside), moved keys (inside)")
    angle = 2 * np.pi * _PLACES
    bands = {
        name: left.scatter(radius * np.sin(angle), radius * np.cos(angle), s=size, c=np.tile(_STAYS, (720, 1)))
        for name, radius, size in (("owner", 1.05, 70), ("moves", 0.82, 26))
    }
    text = left.text(0, 0, "", ha="center", va="center", fontsize=13, color=COLOURS["ink"])
    right.set(xlim=(-0.7, _MOST + 0.7), ylim=(0, 4), xlabel="node (the last, black, has joined)")
    right.set_ylabel("share of keys (mean = 1)")
    right.set_title("More points, more even shares")
    right.set_xticks(range(0, _MOST + 1, 5))
    bars = right.bar(np.arange(_MOST + 1), np.zeros(_MOST + 1), width=0.75, color=[*_SHADES, _NEW])
    right.axhline(1.0, color=COLOURS["grey"], linewidth=1)
    return {
        **bands,
        "text": text,
        "bars": list(bars),
        "largest": right.plot([], [], linestyle=":", color=COLOURS["orange"])[0],
        "label": right.text(_MOST + 0.6, 0, "", ha="right", va="bottom", color=COLOURS["orange"]),
    }


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Colour the bands, and set the bars."""
    nodes = result["nodes"]
    shades = np.vstack([_SHADES[:nodes], _NEW])
    artists["owner"].set_facecolors(shades[result["owner"]])
    artists["owner"].set_edgecolors(shades[result["owner"]])
    moves = np.where(result["changed"][:, None], _MOVES, _STAYS)
    artists["moves"].set_facecolors(moves)
    artists["moves"].set_edgecolors(moves)
    artists["text"].set_text(f"{result['moved']:.1%}\nof the keys\nmove" if result["joins"] else "nothing\nmoves")
    heights = np.zeros(_MOST + 1)
    heights[: len(result["relative"])] = np.minimum(result["relative"], 4.0)
    for node, (bar, height) in enumerate(zip(artists["bars"], heights, strict=True)):
        bar.set_height(height)
        bar.set_facecolor(_NEW if node == nodes else _SHADES[min(node, _MOST - 1)])
    line = result["scheme"] == "ring"
    artists["largest"].set_data([-0.7, _MOST + 0.7] if line else [], [result["expected"].largest] * 2 if line else [])
    artists["label"].set_y(result["expected"].largest + 0.04)
    artists["label"].set_text("expected largest" if line else "")


def finding(result: dict[str, Any]) -> str:
    """Say how even the shares are, and what moves."""
    n, relative = result["nodes"], result["relative"]
    if result["scheme"] == "ring":
        what = f"{len(relative)} nodes with {result['points']} point{'s' * (result['points'] > 1)} each"
        expected = f" (expected {result['expected'].largest:.2f})"
        least = f"; on average 1/{n + 1} = {1 / (n + 1):.1%} move, the least that can."
    else:
        what, expected = f"Hash modulo {len(relative)}", ""
        least = f"; on average {n}/{n + 1} = {n / (n + 1):.1%} move."
    text = f"{what}: the fullest node has {relative.max():.2f} times the mean{expected}, spread {relative.std():.2f}."
    if not result["joins"]:
        return text
    givers = f"{result['givers']} node{'s' * (result['givers'] != 1)}"
    return f"{text} As one joins {n}, {result['moved']:.1%} of the keys move, away from {givers}{least}"


explorer = Explorer(
    id="hash_ring",
    title="Which keys move when a node joins?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "scheme": Choice("Keys by", _SCHEMES, "ring", style="buttons"),
        "nodes": Int("Nodes", 2, _MOST, 8),
        "points": Choice("Points of each node", [1, 2, 4, 8, 16, 32, 64, 128, 256], 8, style="slider"),
        "joins": Check("One node joins", True),
        "seed": Int("Seed", 0, 20, 0),
    },
    presets={
        "One point each": {"points": 1, "joins": False},
        "A hundred and twenty-eight points": {"points": 128, "joins": False},
        "A node joins, one point": {"points": 1, "joins": True},
        "A node joins, 128 points": {"points": 128, "joins": True},
        "Hash modulo n": {"scheme": "modulo", "joins": True},
    },
)
