"""The exercises of chapter 18, a data-frame pipeline."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course.practice.exercises import Case, Exercise

# ---- 18.3 Which files a filter reads

_FOOTERS: list[list[tuple[Any, Any, int]]] = [
    [("2026-03-02", "2026-03-02", 10), ("2026-03-03", "2026-03-03", 20), ("2026-03-04", "2026-03-04", 40)],
    [(0, 9, 5), (5, 14, 7), (10, 19, 11), (20, 29, 13)],
    [(None, None, 3), (0, 4, 8), (5, 9, 16)],
    [(7, 7, 100)],
    [],
]


def _must_read(chunks: list[tuple[Any, Any, int]], least: Any) -> int:
    return sum(size for low, high, size in chunks if high is None or high >= least)


def _by_low(chunks: list[tuple[Any, Any, int]], least: Any) -> int:
    return sum(size for low, high, size in chunks if high is None or low >= least)


def _no_statistics_skipped(chunks: list[tuple[Any, Any, int]], least: Any) -> int:
    return sum(size for low, high, size in chunks if high is not None and high >= least)


def _strictly(chunks: list[tuple[Any, Any, int]], least: Any) -> int:
    return sum(size for low, high, size in chunks if high is None or high > least)


# ---- 18.4 How busy


def _busy(rows: list[float], partitions: list[int], workers: int) -> float:
    """Return the bound on the share of the time in which the workers can be busy."""
    load: dict[int, float] = {}
    for weight, partition in zip(rows, partitions, strict=True):
        load[partition] = load.get(partition, 0.0) + weight
    total = sum(rows)
    return total / (workers * max(max(load.values()), total / workers))


def _busy_by_keys(rows: list[float], partitions: list[int], workers: int) -> float:
    total = sum(rows)
    return total / (workers * max(max(rows), total / workers))


def _busy_unbounded(rows: list[float], partitions: list[int], workers: int) -> float:
    load: dict[int, float] = {}
    for weight, partition in zip(rows, partitions, strict=True):
        load[partition] = load.get(partition, 0.0) + weight
    return sum(rows) / (workers * max(load.values()))


# ---- 18.5 Session lengths


def _visits(sessions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    session = rng.permutation(np.repeat(np.arange(sessions), rng.integers(1, 9, sessions)))
    return session, np.round(rng.uniform(0, 86_400, len(session)), 3)


def _one_by_one(session: np.ndarray, time: np.ndarray) -> float:
    import pandas as pd

    rows = pd.DataFrame({"session": session, "time": time})
    return float(rows.groupby("session")["time"].apply(lambda times: times.max() - times.min()).mean())


_VISITS = [
    Case(_visits(3, 1), says="3 sessions"),
    Case(_visits(200, 2), says="200 sessions"),
    Case((np.array([5, 5, 7]), np.array([3.0, 1.0, 9.0])), says="a session of two rows and one of one row"),
]
_MANY_VISITS = [Case(_visits(2_000, 3), says="2,000 sessions")]


# ---- 18.8 The crossover


def _crossover(fixed: float, per_row: float, workers: int, efficiency: float) -> float:
    return fixed / (per_row * (1 - 1 / (workers * efficiency)))


_CLUSTERS = [(0.4, 1e-6, 2, 1.0), (0.4, 1e-6, 8, 0.5), (2.0, 1e-6, 100, 0.7), (0.25, 5e-7, 3, 0.9)]

EXERCISES = [
    Exercise(
        id="18.1",
        objective="18.1",
        kind="diagnose",
        title="Three tasks of fourteen",
        points=2,
        minutes=7,
        choices={
            "memory": "The workers spill: the three tasks wait for the disk.",
            "key": "The rows were shuffled by a key with three values, one of which is common.",
            "hash": "The hash function is poor; another one would spread the rows.",
            "order": "The scheduler began with the long task too late.",
        },
        value="key",
        mistakes={
            "no second of it is on the disk; the time is in the tasks": "memory",
            "no hash function can cut the rows of one key apart": "hash",
            "begun at once, the task of 2.4 s would still leave most workers without work": "order",
        },
        hints=(
            "Fourteen tasks, eleven of which take hardly any time: how many have rows at all?",
            "What has three values, and 80 % of the rows in one of them?",
            "Dask shuffles for a groupby.apply by the first of the keys only.",
        ),
    ),
    Exercise(
        id="18.2",
        objective="18.2",
        kind="derive",
        title="What is left of a ledger",
        points=1,
        minutes=6,
        cases=[
            ([0.5, 1.1, 0.4], [True, False, True]),
            ([0.8, 0.8], [True, True]),
            ([1.3, 0.9], [False, False]),
            ([0.25, 1.2], [True, True]),
        ],
        expected=lambda ratios, kept: 1 / math.prod([r for r, k in zip(ratios, kept, strict=True) if k]),
        behaviour="how many times as fast the end is as the start, with the changes that were kept",
        mistakes={
            "a change that was taken back is not in the end": lambda ratios, kept: 1 / math.prod(ratios),
            "savings do not add up: each ratio is one of what the changes before have left": (
                lambda ratios, kept: 1 / (1 - sum(1 - r for r, k in zip(ratios, kept, strict=True) if k))
            ),
            "that is the time that is left; asked is how many times as fast": (
                lambda ratios, kept: math.prod([r for r, k in zip(ratios, kept, strict=True) if k])
            ),
        },
        hints=(
            "Each ratio is time after ÷ time before; the time before is what the kept changes have left.",
            "Multiply the ratios of those that were kept.",
            "One over that product. An empty product is 1.",
        ),
    ),
    Exercise(
        id="18.3",
        objective="18.3",
        kind="code",
        title="What a filter must read",
        points=3,
        minutes=12,
        cases=[
            Case((_FOOTERS[0], "2026-03-03"), says="three days, from the second on"),
            Case((_FOOTERS[1], 14), says="ranges that overlap, from 14 on"),
            Case((_FOOTERS[1], 15), says="ranges that overlap, from 15 on"),
            Case((_FOOTERS[2], 5), says="one chunk without statistics"),
            Case((_FOOTERS[3], 8), says="one chunk, all of it below"),
            Case((_FOOTERS[4], 8), says="no chunk"),
        ],
        expected=_must_read,
        behaviour="the bytes of the chunks that may hold a value of at least `least`",
        mistakes={
            "a chunk that begins below and ends above has rows that are wanted": _by_low,
            "without statistics nothing is known, so it must be read": _no_statistics_skipped,
            "a chunk whose largest value is the limit holds a row that is wanted": _strictly,
        },
        hints=(
            "When can you be sure that a chunk has no value of at least `least`?",
            "Only when its largest value is known and is below `least`.",
            "sum(size for low, high, size in chunks if high is None or high >= least)",
        ),
    ),
    Exercise(
        id="18.4",
        objective="18.4",
        kind="code",
        title="How busy can they be?",
        points=3,
        minutes=14,
        cases=[
            Case(([80, 15, 5], [3, 9, 13], 2), says="three plans on 2 workers"),
            Case(([80, 15, 5], [3, 9, 13], 32), says="three plans on 32 workers"),
            Case(([40, 40, 20], [1, 1, 0], 2), says="two keys that meet in one partition"),
            Case(([1] * 12, list(range(12)), 4), says="twelve even keys on 4 workers"),
            Case(([5, 5], [0, 1], 8), says="two keys on 8 workers"),
        ],
        expected=_busy,
        tolerance=1e-9,
        behaviour="an upper bound on the share of the threads' time that is work: W / (m · max(longest, W / m))",
        mistakes={
            "keys that fall into the same partition are one task": _busy_by_keys,
            "no worker is busy for more than all of the time": _busy_unbounded,
        },
        hints=(
            "Add up the rows of each partition first; a partition is one task.",
            "The makespan is at least the longest partition, and at least the total divided by the workers.",
            "return total / (workers * max(max(load.values()), total / workers))",
        ),
    ),
    Exercise(
        id="18.5",
        objective="18.4",
        kind="tune",
        title="A function for every session",
        points=4,
        minutes=15,
        cases=_VISITS,
        expected=_one_by_one,
        tolerance=1e-6,
        baseline=_one_by_one,
        timed=_MANY_VISITS,
        target=4.0,
        behaviour="the mean over all sessions of its last time minus its first, at least 4 times as fast as with apply",
        mistakes={
            "that is the mean over the rows, not over the sessions": (
                lambda session, time: float(
                    np.mean([time[session == s].max() - time[session == s].min() for s in session])
                )
            ),
        },
        hints=(
            "A Python function is called for every session. Which aggregations does pandas know by name?",
            "The minimum and the maximum of all groups, each in one call; then one subtraction of two columns.",
            'g = pd.DataFrame({"session": session, "time": time}).groupby("session")["time"]; return float((g.max() - '
            "g.min()).mean())",
        ),
    ),
    Exercise(
        id="18.6",
        objective="18.5",
        kind="predict",
        title="Tasks of a join",
        points=1,
        minutes=6,
        value=200 + 50 + 2 + 200,
        behaviour="the tasks of the peer-to-peer join: cuts of both sides, one barrier for each side, joins",
        mistakes={
            "each side has a barrier of its own, which is a task": 200 + 50 + 200,
            "two sides, two barriers": 200 + 50 + 1 + 200,
            "cutting is the first of three steps": 200 + 50,
            "the partitions of the small table are cut, too": 200 + 2 + 200,
            "what is cut must then be joined, a task for each output partition": 200 + 50 + 2,
        },
        hints=(
            "What happens to a partition of either side? And who waits for whom?",
            "A task cuts each partition of either side; a barrier waits for them; a task joins each output.",
            "200 + 50 tasks that cut, 2 barriers, 200 tasks that join.",
        ),
    ),
    Exercise(
        id="18.7",
        objective="18.2",
        kind="derive",
        title="When does rewriting pay?",
        points=2,
        minutes=8,
        cases=[(10.0, 1.0, 0.75), (10.0, 3.0, 1.0), (10.0, 1.0, 0.7), (0.3, 1.0, 0.5)],
        expected=lambda rewrite, before, after: math.ceil(rewrite / (before - after)),
        behaviour="the fewest runs after which rewriting the files, once, has taken no more time than it has saved",
        mistakes={
            "runs are whole, and the last part of one must be run, too": (
                lambda rewrite, before, after: rewrite / (before - after)
            ),
            "what is saved in a run is before − after": (lambda rewrite, before, after: math.ceil(rewrite / before)),
            "where the quotient is whole, so many runs are enough": (
                lambda rewrite, before, after: math.floor(rewrite / (before - after)) + 1
            ),
        },
        hints=(
            "Write the time of n runs with the old files, and with the new ones.",
            "n · before ≥ rewrite + n · after.",
            "The smallest whole n of at least rewrite / (before − after).",
        ),
    ),
    Exercise(
        id="18.8",
        objective="18.6",
        kind="derive",
        title="From which size on",
        points=2,
        minutes=9,
        cases=_CLUSTERS,
        expected=_crossover,
        behaviour="the rows with which F + t n / (m e) is equal to t n",
        mistakes={
            "pandas pays t for a row, too: compare what Dask saves of it with F": (
                lambda fixed, per_row, workers, efficiency: fixed / per_row
            ),
            "the workers do not reach m: they reach m e": (
                lambda fixed, per_row, workers, efficiency: fixed / (per_row * (1 - 1 / workers))
            ),
        },
        hints=(
            "Write both times as straight lines over n. Which begins higher, and which rises faster?",
            "t n = F + t n / (m e). Bring n to one side.",
            "n = F / (t (1 − 1 / (m e)))",
        ),
    ),
]
