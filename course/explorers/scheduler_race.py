"""Six policies race on the same tasks with the same number of workers (chapter 00)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int, set_limits
from course.graph import cholesky, fork_join, independent, layered, random_dag, tree_reduce
from course.models import lower_bound
from course.simulate import run

GRAPHS = {
    "layers": lambda seed: layered(8, 16, degree=2, seed=seed),
    "random": lambda seed: random_dag(120, 0.03, seed=seed),
    "independent tasks": lambda seed: independent(60),
    "reduction tree": lambda seed: tree_reduce(64),
    "fork and join": lambda seed: fork_join(20, stages=4),
    "Cholesky 8 × 8": lambda seed: cholesky(8),
}
RUNNERS = {
    "longest way first": ("blevel", "orange"),
    "longest first": ("lpt", "blue"),
    "first come": ("fifo", "green"),
    "random": ("random", "grey"),
    "last come": ("lifo", "purple"),
    "shortest first": ("spt", "amber"),
}
NAMES = list(RUNNERS)
STEPS = 200
"""Points of each curve of the lower picture."""
DEPTHS = (0.1, 0.2, 0.4, 1.0)
"""How deep the lower picture may be: few depths, so that its axes seldom change."""


@dataclass(frozen=True)
class Race:
    """The state of a race at one instant; runners are in the order of `NAMES`.

    Shares of the work are in [0, 1], times in seconds.
    """

    now: float
    makespan: np.ndarray  # (runners,) when each arrives
    progress: np.ndarray  # (runners,) share of the work done until now
    rank: np.ndarray  # (runners,) 1 for the leader; equals share a rank
    bound: float  # no schedule ends earlier
    pace: float  # share of the work that workers who are never idle would have done
    grid: np.ndarray  # (STEPS,) instants of the whole race
    behind: np.ndarray  # (runners, STEPS) how far each is then behind that pace


def compute(graph: str, workers: int, spread: float, seed: int, time: int) -> Race:
    """Simulate all runners; ``time`` is in per cent of the slowest run, ``spread`` is σ of the log of the durations."""
    tasks = GRAPHS[graph](seed)
    noise = np.random.default_rng(seed).normal(0, spread, len(tasks))
    tasks = tasks.replace(duration=tasks.duration * np.exp(noise - spread**2 / 2))
    traces = [run(tasks, workers, policy, seed) for policy, _ in RUNNERS.values()]
    makespan = np.array([trace.makespan for trace in traces])
    now = makespan.max() * time / 100
    at = np.append(np.linspace(0, makespan.max(), STEPS), now)
    pace = np.minimum(at * workers / tasks.work, 1.0)
    done = np.array([work_done(*trace.task_times(), at) for trace in traces]) / tasks.work
    progress, behind = done[:, -1], np.maximum(pace - done, 0.0)[:, :-1]
    rank = _ranks(progress, makespan, now)
    return Race(now, makespan, progress, rank, lower_bound(tasks, workers), pace[-1], at[:-1], behind)


def work_done(start: np.ndarray, stop: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the seconds of work done until each instant, shape of ``at``: an integral of the tasks running.

    Examples
    --------
    >>> work_done(np.array([0.0, 1.0]), np.array([2.0, 4.0]), np.array([0.0, 1.0, 1.5, 9.0])).tolist()
    [0.0, 1.0, 2.0, 5.0]
    """
    times = np.concatenate([start, stop])
    order = np.argsort(times, kind="stable")
    times = times[order]
    running = np.cumsum(np.repeat([1, -1], len(start))[order])
    work = np.concatenate([[0.0], np.cumsum(running[:-1] * np.diff(times))])
    return np.interp(at, times, work)


def _ranks(progress: np.ndarray, makespan: np.ndarray, now: float) -> np.ndarray:
    """Return each runner's place: by arrival for those that arrived, before all others, by progress."""
    arrived = makespan <= now * (1 + 1e-12)
    score = np.where(arrived, -1e6 - now + makespan, -progress)
    return np.array([1 + np.sum(score < own - 1e-9) for own in score])


def finding(race: Race) -> str:
    """Say who leads; once somebody has arrived, who won and how far that is from the best possible."""
    first = [NAMES[k] for k in np.flatnonzero(race.rank == 1)]
    best, worst = race.makespan.min(), race.makespan.max()
    if race.now < best * (1 - 1e-12):
        if len(first) == len(NAMES):
            return f"After {race.now:.3g} s all six are level, with {race.progress[0]:.0%} of the work done."
        last = int(np.argmin(race.progress))
        who = f"{_join(first)} {'leads' if len(first) == 1 else 'lead'}"
        return (
            f"After {race.now:.3g} s {who} with {race.progress.max():.1%} of the work done; "
            f"{NAMES[last]} is last with {race.progress[last]:.1%}."
        )
    if len(first) == len(NAMES):
        return f"A dead heat: all six arrive after {best:.3g} s, {best / race.bound:.2f} times the lower bound."
    how = "wins" if len(first) == 1 else "share the first place"
    return (
        f"{_join(first).capitalize()} {how} in {best:.3g} s, {best / race.bound:.2f} times the lower bound; "
        f"the slowest, {NAMES[int(np.argmax(race.makespan))]}, needs {worst:.3g} s, {worst / best - 1:.0%} more."
    )


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def build(figure: Figure) -> dict[str, Any]:
    """Make the track with its finishing line above, and the gaps below."""
    track, gaps = figure.subplots(2, 1, height_ratios=[2.2, 1])
    lanes = range(len(NAMES))
    track.set_title("The track: share of all work done (dotted: workers that are never idle)")
    track.set(xlim=(-0.01, 1.13), ylim=(len(NAMES) - 0.45, -0.55), yticks=lanes, yticklabels=NAMES)
    track.set_xticks(np.linspace(0, 1, 11), [f"{share:.0%}" for share in np.linspace(0, 1, 11)])
    track.grid(False)
    track.tick_params(length=0)
    track.spines[:].set_visible(False)
    for lane in lanes:
        track.add_patch(Rectangle((0, lane - 0.46), 1, 0.92, color="#F3F4F6" if lane % 2 else "#E8EDF3", linewidth=0))
    for row in range(4 * len(NAMES)):  # the chequered line
        for column in range(2):
            dark = (row + column) % 2
            corner = (1 + 0.006 * column, row / 4 - 0.5)
            track.add_patch(Rectangle(corner, 0.006, 0.25, color=COLOURS["ink"] if dark else "white", linewidth=0))
    gaps.set_title("How far behind workers that are never idle")
    gaps.set(xlabel="time (% of the slowest run)", xlim=(-1, 113), ylim=(0.2, 0))
    gaps.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))
    gaps.yaxis.set_major_formatter(lambda share, _: f"−{share:.0%}" if share else "0%")
    gaps.set_xticks(range(0, 101, 10))
    colours = [COLOURS[colour] for _, colour in RUNNERS.values()]
    trails = track.add_collection(LineCollection([], colors=colours, linewidths=11, alpha=0.35, capstyle="butt"))
    return {
        "axes": gaps,
        "pace": track.plot([], [], ":", color=COLOURS["ink"], linewidth=1.5)[0],
        "trails": trails,
        "runners": track.scatter(
            [0] * len(NAMES), lanes, s=330, facecolors="white", edgecolors=colours, linewidths=3, zorder=3
        ),
        "places": [
            track.text(0, 0, "", ha="center", va="center_baseline", weight="bold", size=10, zorder=4) for _ in lanes
        ],
        "times": [track.text(1.04, lane, "", va="center", size=10.5, color=COLOURS["ink"]) for lane in lanes],
        "gaps": gaps.add_collection(LineCollection([], colors=colours, linewidths=2.0)),
        "heads": gaps.scatter([0] * len(NAMES), [0] * len(NAMES), s=30, facecolors=colours, zorder=3),
    }


def draw(artists: dict[str, Any], race: Race) -> None:
    """Move the runners and lengthen the curves."""
    lanes = np.arange(len(NAMES))
    artists["pace"].set_data([race.pace, race.pace], [-0.5, len(NAMES) - 0.5])
    artists["trails"].set_segments([[(0, lane), (share, lane)] for lane, share in enumerate(race.progress)])
    artists["runners"].set_offsets(np.column_stack([race.progress, lanes]))
    arrived = race.makespan <= race.now * (1 + 1e-12)
    for lane in lanes:
        artists["places"][lane].set_position((race.progress[lane], lane))
        artists["places"][lane].set_text(str(race.rank[lane]))
        artists["times"][lane].set_text(f"{race.makespan[lane]:.1f} s" if arrived[lane] else "")
    percent = 100 * race.grid / race.makespan.max()
    # A curve ends when its runner arrives.
    shown = [race.grid <= min(makespan, race.now) for makespan in race.makespan]
    most = race.behind.max()
    set_limits(artists["axes"], y=(next(top for top in DEPTHS if most <= top), 0))
    curves = [np.column_stack([percent[on], gap[on]]) for on, gap in zip(shown, race.behind, strict=True)]
    artists["gaps"].set_segments(curves)
    artists["heads"].set_offsets([curve[-1] for curve in curves])


explorer = Explorer(
    id="scheduler-race",
    title="Who finishes first? Six ways to choose the next task",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "graph": Choice("Tasks", list(GRAPHS), "Cholesky 8 × 8"),
        "workers": Int("Workers", 2, 12, 6),
        "spread": Float("Spread (σ of log)", 0.0, 1.5, 0.5, step=0.1),
        "seed": Int("Seed", 0, 50, 3),
        "time": Int("Time (%)", 0, 100, 25),
    },
    presets={
        "On your marks": {"time": 0},
        "The finish": {"time": 100},
        "One long straggler": {"graph": "independent tasks", "spread": 1.2, "time": 100},
        "Many joins": {"graph": "fork and join", "time": 100},
        "All alike": {"graph": "independent tasks", "spread": 0.0, "time": 100},
    },
    width=9.5,
    height=4.9,
)
