"""Five architectures of schedulers under one load: the response of small jobs, and the use of workers. Chapter 08."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Float
from course.simulate import architecture

NAMES = ("monolithic", "two-level", "shared state", "decentralised", "hybrid")
SHORT, SLOW, FULL = "short tasks only", "small and large jobs, 20 % full", "small and large jobs, 80 % full"
_SIZES = [30, 100, 300, 1000, 3000, 10_000]
_RESERVED = 20  # one worker in so many is kept for small jobs by the hybrid
_COLOURS = ("orange", "amber", "blue", "green", "purple")


@dataclass(frozen=True)
class Contest:
    """What the architectures did, in the order of `NAMES`; times in seconds."""

    median: np.ndarray  # (5,) response of the small jobs
    slow: np.ndarray  # (5,) their 90th percentile
    utilization: np.ndarray  # (5,)
    conflicts: float  # a task, shared state
    load: float  # the share of the workers' time that the jobs ask for


@lru_cache(maxsize=32)
def jobs_of(load: str, workers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return arrivals, tasks of each job, durations, and which jobs are large.

    Small jobs have 10 tasks of 0.1 s. Large ones have a tenth as many tasks as there are workers, of 10 s each.

    Examples
    --------
    >>> arrival, tasks, durations, large = jobs_of(FULL, 1000)
    >>> int(tasks[large][0]), int(tasks[~large][0]), bool(len(durations) == tasks.sum())
    (100, 10, True)
    """
    random = np.random.default_rng(8)
    if load == SHORT:
        count = int(np.clip(workers, 400, 2500))
        arrival = np.cumsum(random.exponential(1.0 / (0.8 * workers), count))
        return arrival, np.full(count, 10), np.full(10 * count, 0.1), np.zeros(count, bool)
    horizon, every = 35.0, 5.0 if load == SLOW else 1.25
    big = np.arange(0.0, horizon, every)
    small = random.uniform(0.0, horizon, int(horizon * max(2.0, workers / 1000)))
    is_large = np.repeat([True, False], [len(big), len(small)])
    arrival = np.concatenate([big, small])
    order = np.argsort(arrival, kind="stable")
    is_large = is_large[order]
    tasks = np.where(is_large, max(1, workers // 10), 10)
    return arrival[order], tasks, np.repeat(np.where(is_large, 10.0, 0.1), tasks), is_large


def compute(load: str, workers: int, decision: float, schedulers: int, probes: int) -> Contest:
    """Simulate the five; ``decision`` is in milliseconds a task."""
    arrival, tasks, durations, large = jobs_of(load, workers)
    late = (arrival > 0.3 * arrival[-1]) & ~large  # by then the large tasks, of 10 s, begin to end
    settings = {"overhead": decision / 1000, "schedulers": schedulers, "probes": probes, "latency": 5e-4, "seed": 1}
    times, busy, conflicts = [], [], 0.0
    for kind in ("central", "two-level", "shared", "sampling"):
        run = architecture(np.diff(arrival, prepend=0.0), tasks, durations, workers, kind, **settings)
        times.append(run.response[late])
        busy.append(run.utilization)
        conflicts = run.conflicts / len(durations) if kind == "shared" else conflicts
    if large.any():
        apart = _hybrid(arrival, tasks, durations, large, workers, settings)
        times.append(apart[0][late[~large]])
        busy.append(apart[1])
    else:  # every job is short: they all sample, on all workers
        times.append(times[3])
        busy.append(busy[3])
    asked = durations.sum() / (workers * arrival[-1])
    middle, slow = (np.array([np.percentile(each, q) for each in times]) for q in (50, 90))
    return Contest(middle, slow, np.array(busy), conflicts, float(asked))


def _hybrid(
    arrival: np.ndarray,
    tasks: np.ndarray,
    durations: np.ndarray,
    large: np.ndarray,
    workers: int,
    settings: dict[str, Any],
) -> tuple[np.ndarray, float]:
    """Large jobs have a scheduler and most workers; small ones sample the rest: responses of these, and use of all."""
    kept = max(1, workers // _RESERVED)
    of_large = np.repeat(large, tasks)

    def part(mine: np.ndarray, chosen: np.ndarray, count: int, kind: str) -> Any:
        gaps = np.diff(arrival[mine], prepend=0.0)
        return architecture(gaps, tasks[mine], durations[chosen], count, kind, **settings)

    small, big = part(~large, ~of_large, kept, "sampling"), part(large, of_large, workers - kept, "central")
    end = max(small.stop.max(), big.stop.max())
    return small.response, float(durations.sum() / (workers * end))


def build(figure: Figure) -> dict[str, Any]:
    """Make both panels: responses on the left, the workers' time on the right."""
    left, right = figure.subplots(1, 2, width_ratios=(1.9, 1), sharey=True)
    rows = range(len(NAMES))
    colours = [COLOURS[colour] for colour in _COLOURS]
    left.set(xscale="log", xlim=(0.08, 100), ylim=(len(NAMES) - 0.5, -0.5), yticks=rows, yticklabels=NAMES)
    left.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    left.set(xlabel="response of a small job, median to 90th percentile (s)")
    left.set_title("How long a small job takes (alone: 0.1 s)")
    left.tick_params(axis="y", length=0)
    right.set(xlim=(0, 1.32), xlabel="share of the workers' time at work")
    right.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    right.set_title("How busy the workers are")
    return {
        "spans": left.add_collection(LineCollection([], colors=colours, linewidths=9, alpha=0.5, capstyle="butt")),
        "medians": left.scatter([1] * len(NAMES), rows, s=70, c=colours, zorder=3),
        "ends": left.scatter([1] * len(NAMES), rows, s=150, c=colours, marker="|", zorder=3, linewidths=2.5),
        "bars": right.add_collection(LineCollection([], colors=colours, linewidths=14, capstyle="butt")),
        "shares": [right.text(1.06, row, "", va="center", size=10, color=COLOURS["ink"]) for row in rows],
        "asked": right.axvline(0.5, color=COLOURS["grey"], linestyle=":", linewidth=1.5),
    }


def draw(artists: dict[str, Any], contest: Contest) -> None:
    """Move the bars and the dots."""
    rows = np.arange(len(NAMES))
    middle, slow = (np.clip(each, 0.08, 100) for each in (contest.median, contest.slow))
    artists["spans"].set_segments([[(a, row), (b, row)] for a, b, row in zip(middle, slow, rows, strict=True)])
    artists["medians"].set_offsets(np.column_stack([middle, rows]))
    artists["ends"].set_offsets(np.column_stack([slow, rows]))
    artists["bars"].set_segments([[(0, row), (share, row)] for row, share in enumerate(contest.utilization)])
    artists["asked"].set_xdata([contest.load] * 2)
    for row, share in enumerate(contest.utilization):
        artists["shares"][row].set_text(f"{100 * share:.0f} %")


def finding(contest: Contest) -> str:
    """Say who answers small jobs first and last, at the 90th percentile, and what conflicts cost."""
    best, worst = int(np.argmin(contest.slow)), int(np.argmax(contest.slow))
    if contest.slow[worst] < 1.25 * contest.slow[best]:
        said = f"All five are alike: 90 % of the small jobs take less than {contest.slow[worst]:.3g} s"
    else:
        said = (
            f"Nine of ten small jobs take less than {contest.slow[best]:.3g} s with the {NAMES[best]} scheduler, "
            f"{contest.slow[worst]:.3g} s with the {NAMES[worst]} one"
        )
    return f"{said}; with shared state there are {contest.conflicts:.2f} conflicts a task."


explorer = Explorer(
    id="architectures",
    title="Which architecture for which load?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "load": Choice("Load", [SHORT, SLOW, FULL], SHORT),
        "workers": Choice("Workers", _SIZES, 1000, style="slider"),
        "decision": Float("Decision (ms)", 0.02, 5.0, 0.1, log=True, format=".2f"),
        "schedulers": Choice("Schedulers", [1, 2, 4, 8, 16, 32], 4, style="slider"),
        "probes": Choice("Probes a task", [1, 2, 3, 4, 8], 2, style="slider"),
    },
    presets={
        "Short tasks at scale": {"workers": 10_000, "decision": 0.2},
        "Slow decisions": {"load": SLOW, "workers": 10_000, "decision": 2.0},
        "A full cluster": {"load": FULL, "workers": 10_000},
        "Too many cooks": {"decision": 1.0, "schedulers": 32},
        "A small cluster": {"workers": 30},
    },
    width=9.5,
    height=3.6,
)
