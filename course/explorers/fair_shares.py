"""Dominant resource fairness: two users, two resources, and what each gets. Chapter 06."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Explorer, Float, Int, set_limits
from course.models import drf_shares

CAPACITY = np.array([9.0, 18.0])
RESOURCES = ("CPUs", "memory")
SCALES = (4.0, 7.0, 10.0, 20.0)


def compute(cpu_a: int, memory_a: int, cpu_b: int, memory_b: int, weight: float) -> dict[str, Any]:
    """Return the fair shares, and what each user would run on an own part of every resource."""
    demands = np.array([[cpu_a, memory_a], [cpu_b, memory_b]], dtype=float)
    fair = drf_shares(CAPACITY, demands, [weight, 1.0])
    part = np.array([weight, 1.0]) / (weight + 1)
    return {
        "demands": demands,
        "tasks": fair.tasks,
        "dominant": fair.dominant,
        "shares": fair.allocation / CAPACITY,
        "own": part * (CAPACITY / demands).min(axis=1),
        "weight": weight,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the plane of tasks on the left, the bars of shares on the right."""
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    left.set(xlabel="tasks of A", ylabel="tasks of B")
    left.set_title("What fits, and the fair point")
    lines = {
        name: left.plot([], [], color=COLOURS[colour], label=f"{name} used up")[0]
        for name, colour in zip(RESOURCES, ("blue", "green"), strict=True)
    }
    artists = {
        "plane": left,
        "lines": lines,
        "ray": left.plot([], [], ":", color=COLOURS["grey"], linewidth=1.5, label="equal dominant shares (by weight)")[
            0
        ],
        "own": left.plot([], [], "s", color=COLOURS["grey"], markersize=8, label="an own part of everything")[0],
        "fair": left.plot([], [], "D", color=COLOURS["orange"], markersize=10, label="dominant resource fairness")[0],
    }
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8.5)
    right.set(ylim=(0, 1.02), xlim=(-0.6, 1.6), ylabel="share of the resource")
    right.set_xticks([0, 1], ["CPUs (9)", "memory (18 GB)"])
    right.grid(False, axis="x")
    right.set_title("Who holds how much")
    artists["a"] = list(right.bar([0, 1], [0, 0], width=0.55, color=COLOURS["sky"]))
    artists["b"] = list(right.bar([0, 1], [0, 0], width=0.55, color=COLOURS["amber"]))
    artists["texts"] = [right.text(x, 0, "", ha="center", va="center", size=9.5) for x in (0, 1, 0, 1)]
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the lines, the points and the bars."""
    demands = result["demands"]
    ends = CAPACITY / demands  # (users, resources): as many tasks as one user alone could run
    top = [next((s for s in SCALES if s >= 1.15 * ends[user].min()), SCALES[-1]) for user in (0, 1)]
    set_limits(artists["plane"], (0, top[0]), (0, top[1]))
    for k, name in enumerate(RESOURCES):
        artists["lines"][name].set_data([0, ends[0, k]], [ends[1, k], 0])
    dominant = (demands / CAPACITY).max(axis=1)
    slope = dominant[0] / dominant[1] / result["weight"]
    artists["ray"].set_data([0, 40], [0, 40 * slope])
    artists["own"].set_data(*([value] for value in result["own"]))
    artists["fair"].set_data(*([value] for value in result["tasks"]))
    for k in range(2):
        a, b = result["shares"][:, k]
        artists["a"][k].set_height(a)
        artists["b"][k].set_height(b)
        artists["b"][k].set_y(a)
        for text, height, middle, who in ((k, a, a / 2, "A"), (2 + k, b, a + b / 2, "B")):
            artists["texts"][text].set_position((k, middle))
            artists["texts"][text].set_text(f"{who} {height:.0%}" if height > 0.06 else "")


def finding(result: dict[str, Any]) -> str:
    """Say what each gets, of what, and how that compares with an own part."""
    demands, tasks, own = result["demands"], result["tasks"], result["own"]
    wants = [RESOURCES[int(np.argmax(row / CAPACITY))] for row in demands]
    gain = tasks / own
    more = " and ".join(f"{name} {value:.2f}" for name, value in zip("AB", gain, strict=True))
    return (
        f"A runs {tasks[0]:.2f} tasks ({result['dominant'][0]:.0%} of the {wants[0]}), B {tasks[1]:.2f} "
        f"({result['dominant'][1]:.0%} of the {wants[1]}); times what an own part would run: {more}."
    )


explorer = Explorer(
    id="fair-shares",
    title="What is a fair share, when there are two resources?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "cpu_a": Int("CPUs of a task of A", 1, 9, 1),
        "memory_a": Int("GB of a task of A", 1, 18, 4),
        "cpu_b": Int("CPUs of a task of B", 1, 9, 3),
        "memory_b": Int("GB of a task of B", 1, 18, 1),
        "weight": Float("Weight of A", 0.25, 4.0, 1.0, step=0.25, format=".2f"),
    },
    presets={
        "Both want CPUs": {"cpu_a": 2, "memory_a": 1, "cpu_b": 3, "memory_b": 1},
        "A pretends to need more": {"memory_a": 6},
        "A counts double": {"weight": 2.0},
        "Opposites": {"cpu_a": 1, "memory_a": 9, "cpu_b": 4, "memory_b": 1},
    },
    width=9.5,
    height=4.5,
)
