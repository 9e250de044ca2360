"""A run is slow, and the trace says why: guess, then ask `diagnose` (chapter 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from course.cluster import Cluster
from course.diagnosis import Diagnosis, diagnose
from course.explorers.frame import COLOURS, Check, Choice, Explorer, Int, set_limits
from course.graph import TaskGraph
from course.plots.timeshares import LOOK
from course.simulate import run
from course.timeshares import SHARES
from course.trace import COMPUTE, TRANSFER, Trace

CAUSES = ("nothing", "small tasks", "one long task", "uneven data", "slow network", "a narrow graph")
MYSTERY = "a mystery"
MYSTERIES = np.random.default_rng(11).permuted(np.tile(CAUSES[1:], (4, 1)), axis=1).ravel()
"""The causes of the mysteries, by their number: each once in 1 to 5, in 6 to 10 and so on."""
BINS = 120
"""Stretches of time in the lower picture."""
SEEN = [SHARES.index(name) for name in ("compute", "transfer", "scheduling", "placement", "imbalance", "dependencies")]
"""The shares that a simulated run can have, from the bottom up."""


@dataclass(frozen=True)
class Reading:
    """One simulated run and what `diagnose` says of it."""

    trace: Trace
    found: Diagnosis
    told: bool  # whether the reader wants the answer


def compute(cause: str, number: int, severity: int, workers: int, answer: bool) -> Reading:
    """Simulate a program of loads, scores that read two loads each, and a merge; something is wrong with it.

    ``severity`` goes from 1 to 8. A mystery's ``number`` says what its cause is, and seeds the durations.
    """
    rng = np.random.default_rng(number)
    cause_of_it = str(MYSTERIES[number - 1]) if cause == MYSTERY else cause
    graph, cluster = program(cause_of_it, severity, workers, rng)
    trace = run(graph, cluster, "dask", seed=number)
    return Reading(trace, diagnose(trace), answer or cause != MYSTERY)


def program(cause: str, severity: int, workers: int, rng: np.random.Generator) -> tuple[TaskGraph, Cluster]:
    """Return the graph and the cluster of a program with one thing wrong."""
    n, work, data = 32, 4.8, 64e6  # score tasks; their seconds and their bytes, in all
    if cause == "small tasks":
        n = round(32 * 2 ** (5 * severity / 8))
    size = np.ones(n)
    if cause == "uneven data":
        size = rng.permutation(np.arange(1, n + 1) ** (-0.25 * severity))
    size *= 1 / size.sum()
    duration = work * size * rng.uniform(0.9, 1.1, n)
    edges = [(i, n + i) for i in range(n)] + [(n + i, 2 * n) for i in range(n)]
    if cause != "uneven data":  # each score reads its neighbour's load, too
        edges += [((i + 1) % n, n + i) for i in range(n)]
    if cause == "one long task":
        duration[-1 - int(rng.integers(n // 8))] += 0.4 * severity  # one of the last to start
    if cause == "a narrow graph":
        width = 9 - severity
        edges += [(n + i - width, n + i) for i in range(width, n)]
    names = [*(f"load-{i}" for i in range(n)), *(f"score-{i}" for i in range(n)), "merge"]
    bytes_made = np.concatenate([data * size, np.full(n, 1e3), [1e3]])
    durations = np.concatenate([work / 3 * size, duration, [0.05]])
    bandwidth = 400e6 / (2**severity if cause == "slow network" else 1)
    cluster = Cluster(workers, latency=0.001, bandwidth=bandwidth, scheduler_overhead=0.002)
    return TaskGraph.from_edges(durations, edges, bytes_made, names=names), cluster


def finding(reading: Reading) -> str:
    """Say how long the run takes and, if the reader wants it, what holds it up."""
    found = reading.found
    text = f"{found.makespan:.3g} s, of which {found.bounds['lower']:.3g} s are needed; "
    text += f"{found.shares['compute']:.0%} of the threads' time is computing. "
    if reading.told:
        return f"{text}Held up by: {found.limit}. {found.evidence}"
    return f"{text}What holds it up? Decide, then tick “Answer”."


def build(figure: Figure) -> dict[str, Any]:
    """Make the Gantt chart above and the shares of time below."""
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.25, 1])
    top.set_title("Who did what: loads (pale), scores, and data on its way (thin)")
    top.grid(False, axis="y")
    top.set_ylabel("worker")
    bottom.set_title("What the threads' time went on")
    bottom.set(xlabel="time (s)", ylabel="threads")
    bottom.grid(False)
    handles = [Patch(facecolor=LOOK[SHARES[i]][0], hatch=LOOK[SHARES[i]][1], edgecolor="white", label=SHARES[i])
               for i in reversed(SEEN)]  # fmt: skip
    bottom.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
    layers = []
    for i in SEEN:
        colour, hatch = LOOK[SHARES[i]]
        layers.append(
            bottom.add_collection(PolyCollection([], facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0))
        )
    return {
        "top": top,
        "bottom": bottom,
        "bars": top.add_collection(PolyCollection([], edgecolors="white", linewidths=0.3)),
        "bound": bottom.axvline(0, color=COLOURS["ink"], linewidth=1.4, linestyle=":"),
        "layers": layers,
    }


def draw(artists: dict[str, Any], reading: Reading) -> None:
    """Draw a bar for each task and each transfer, and a layer for each share."""
    trace, found = reading.trace, reading.found
    origin, workers = trace.start.min(), trace.cluster.workers
    set_limits(artists["top"], (0, trace.makespan * 1.01), (workers - 0.4, -0.6))
    set_limits(artists["bottom"], (0, trace.makespan * 1.01), (0, workers))
    shown = np.flatnonzero((trace.kind == COMPUTE) | (trace.kind == TRANSFER))
    moved = trace.kind[shown] == TRANSFER
    low = trace.worker[shown] + np.where(moved, 0.38, -0.34)
    high = low + np.where(moved, 0.1, 0.68)
    left, right = trace.start[shown] - origin, trace.stop[shown] - origin
    corners = np.stack([np.stack([left, right, right, left], 1), np.stack([low, low, high, high], 1)], axis=2)
    load = np.array([trace.graph.name(task).startswith("load") for task in trace.task[shown].tolist()])
    colours = np.where(moved, COLOURS["orange"], np.where(load, COLOURS["sky"], COLOURS["blue"]))
    artists["bars"].set_verts(list(corners))
    artists["bars"].set_facecolors(colours.tolist())
    edges, threads = found.over_time.over_time(BINS)
    across = np.repeat(edges - edges[0], 2)[1:-1]
    below = np.zeros(len(across))
    for layer, index in zip(artists["layers"], SEEN, strict=True):
        above = below + np.repeat(threads[:, index], 2)
        outline = np.concatenate([np.column_stack([across, below]), np.column_stack([across, above])[::-1]])
        layer.set_verts([outline])
        below = above
    artists["bound"].set_xdata([found.bounds["lower"]] * 2)


explorer = Explorer(
    id="trace-reader",
    title="Where did the time go?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "cause": Choice("What is wrong", [MYSTERY, *CAUSES], MYSTERY),
        "number": Int("Number of the run", 1, 20, 1),
        "severity": Int("How badly", 1, 8, 7),
        "workers": Int("Workers", 2, 8, 4),
        "answer": Check("Answer", False),
    },
    presets={
        "A sound run": {"cause": "nothing", "number": 1},
        "Small tasks": {"cause": "small tasks", "severity": 8},
        "One long task": {"cause": "one long task", "severity": 8},
        "Uneven data": {"cause": "uneven data", "severity": 6},
        "Slow network": {"cause": "slow network", "severity": 7},
    },
    width=10.0,
    height=5.2,
)
