"""A recorded run replayed with something changed: `course.whatif` with sliders (chapter 23), for any trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course.cluster import Cluster
from course.explorers.frame import COLOURS, Explorer, Float, Int, set_limits
from course.graph import TaskGraph
from course.replay import Replayer, WhatIf
from course.simulate import run
from course.timeshares import SHARES, time_shares
from course.trace import COMPUTE, Trace

SHOWN = ("compute", "transfer", "disk", "scheduling", "imbalance")
"""The shares of the bars at the right; all others are one more."""


@dataclass(frozen=True)
class Outcome:
    """What was asked, and where the threads' time goes before and after."""

    answer: WhatIf
    before: np.ndarray  # thread-seconds of each of SHOWN and of all others
    after: np.ndarray


def program() -> Trace:
    """Return the run that the chapter's explorer replays: tables that are loaded, paired, scored and merged."""
    n, rng = 120, np.random.default_rng(23)
    edges = [(i, n + i) for i in range(n)] + [((i + 7) % n, n + i) for i in range(n)]
    edges += [(n + i, 2 * n) for i in range(n)]
    duration = np.concatenate([np.full(n, 0.01), rng.lognormal(-4.0, 0.5, n), [0.05]])
    size = np.concatenate([np.full(n, 1e6), np.full(n, 1e3), [1e3]])
    names = [*(f"load-{i}" for i in range(n)), *(f"score-{i}" for i in range(n)), "merge"]
    cluster = Cluster(4, latency=0.002, bandwidth=60e6, scheduler_overhead=0.003, release_delay=0.005)
    return run(TaskGraph.from_edges(duration, edges, size, names=names), cluster, "dask")


def explore(trace: Trace) -> Explorer:
    """Return an explorer of a run of your own.

    Parameters
    ----------
    trace : Trace
        With at least one task that ran; a few thousand tasks answer at once, more take longer.

    Raises
    ------
    ValueError
        If no task ran.

    Examples
    --------
    >>> from course.graph import independent
    >>> mine = explore(run(independent(64, 1.0), 4))
    >>> mine.finding(mine.compute(**mine.settings(workers=8)))
    '8 s instead of 16 s: 0.50 of the time (8 workers). The threads compute for 100 % of it.'
    """
    replayer = Replayer(trace)
    return _explorer("what-if-of-mine", lambda: replayer, trace.cluster.workers)


@cache
def _replayer() -> Replayer:
    return Replayer(program())


def _compute(
    replayer: Callable[[], Replayer], workers: int, links: float, overhead: float, batch: int, speed: float
) -> Outcome:
    """Replay with other workers, links, overhead and batches, and with the heaviest kind of task made faster."""
    recorded = replayer()
    trace = recorded.trace
    changes: dict[str, Any] = {}
    if workers != trace.cluster.workers:
        changes["workers"] = workers
    if links != 1.0:
        changes["bandwidth"] = f"{links:g}x"
    if overhead != 1.0:
        changes["scheduler_overhead"] = f"{overhead:g}x"
    if batch > 1:
        changes["merge"] = batch
    if speed != 1.0:
        changes["speed"] = {_heaviest(trace.graph): speed}
    answer = recorded.ask(None, changes, runs=1)
    return Outcome(answer, _bars(answer.baseline), _bars(answer.trace))


def _heaviest(graph: TaskGraph) -> str:
    prefixes, group = graph.prefixes
    return prefixes[int(np.bincount(group, graph.duration).argmax())]


def _bars(trace: Trace) -> np.ndarray:
    seconds = dict(zip(SHARES, time_shares(trace).seconds.tolist(), strict=True))
    shown = [seconds.pop(name) for name in SHOWN]
    return np.array([*shown, sum(seconds.values())])


def _finding(outcome: Outcome) -> str:
    answer = outcome.answer
    busy = outcome.after[0] / max(outcome.after.sum(), 1e-300)
    text = f"{answer.makespan:.3g} s instead of {answer.recorded:.3g} s: {answer.ratio:.2f} of the time"
    return f"{text} ({answer.changes}). The threads compute for {busy:.0%} of it.".replace("%", " %")


def _build(figure: Figure) -> dict[str, Any]:
    left, right = figure.subplots(1, 2, width_ratios=[2.1, 1])
    left.set_title("Threads that compute")
    left.set(xlabel="time (s)", ylabel="threads")
    right.set_title("Thread-seconds")
    names = [*SHOWN, "other"]
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    places = np.arange(len(names))
    return {
        "left": left,
        "right": right,
        "before": left.plot([], [], color=COLOURS["grey"], linewidth=1.6, drawstyle="steps-post")[0],
        "after": left.plot([], [], color=COLOURS["blue"], linewidth=1.8, drawstyle="steps-post")[0],
        "old end": left.axvline(0, color=COLOURS["grey"], linestyle=":"),
        "new end": left.axvline(0, color=COLOURS["blue"], linestyle="--"),
        "old bars": right.barh(places - 0.2, np.zeros(len(names)), 0.36, color=COLOURS["grey"], label="recorded"),
        "new bars": right.barh(places + 0.2, np.zeros(len(names)), 0.36, color=COLOURS["blue"], label="what if"),
        "legend": right.legend(loc="lower right"),
    }


def _draw(artists: dict[str, Any], outcome: Outcome) -> None:
    answer = outcome.answer
    longest = max(answer.baseline.makespan, answer.trace.makespan)
    most = 1
    for name, trace in (("before", answer.baseline), ("after", answer.trace)):
        times, count = _computing(trace)
        artists[name].set_data(times, count)
        most = max(most, int(count.max(initial=0)))
    artists["old end"].set_xdata([answer.baseline.makespan] * 2)
    artists["new end"].set_xdata([answer.trace.makespan] * 2)
    set_limits(artists["left"], (0, longest * 1.02), (0, most * 1.06))
    for bars, values in ((artists["old bars"], outcome.before), (artists["new bars"], outcome.after)):
        for bar, value in zip(bars, values, strict=True):
            bar.set_width(value)
    widest = max(outcome.before.max(), outcome.after.max())
    set_limits(artists["right"], (0, widest * 1.06 or 1.0), artists["right"].get_ylim())


def _computing(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Return the instants at which a task begins or ends, and how many run from each on."""
    rows = trace.kind == COMPUTE
    start, stop = trace.start[rows] - trace.start.min(), trace.stop[rows] - trace.start.min()
    times = np.concatenate([start, stop])
    change = np.repeat([1, -1], [len(start), len(stop)])
    order = np.lexsort((change, times))
    return times[order], np.cumsum(change[order])


def _explorer(name: str, replayer: Callable[[], Replayer], workers: int) -> Explorer:
    return Explorer(
        id=name,
        title="What would a change bring?",
        compute=partial(_compute, replayer),
        build=_build,
        draw=_draw,
        finding=_finding,
        controls={
            "workers": Int("Workers", 1, max(16, 4 * workers), workers),
            "links": Float("Links × as fast", 0.25, 8.0, 1.0, step=0.25, format=".2f"),
            "overhead": Float("Overhead × as long", 0.0, 4.0, 1.0, step=0.25, format=".2f"),
            "batch": Int("Tasks in one", 1, 32, 1),
            "speed": Float("Heaviest kind ×", 0.5, 4.0, 1.0, step=0.25, format=".2f"),
        },
        presets={
            "Twice the workers": {"workers": 2 * workers},
            "Faster links": {"links": 4.0},
            "No overhead": {"overhead": 0.0},
            "Batches of 8": {"batch": 8},
            "Batches and workers": {"batch": 4, "workers": 2 * workers},
        },
        width=10.0,
        height=4.0,
    )


explorer = _explorer("what-if", _replayer, 4)
