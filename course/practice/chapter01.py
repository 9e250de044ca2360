"""The exercises of chapter 01, why distribute."""

from __future__ import annotations

from typing import Any

import numpy as np

from course import models
from course.graph import TaskGraph
from course.practice.exercises import Case, Exercise
from course.simulate import run

# ---- 01.5 What slows it down

SLOWED = {1: 100.0, 2: 52.0, 4: 29.5, 8: 21.25, 16: 23.125}
"""Seconds on so many workers: the USL with a contention of 0.02 and a coherency of 0.01."""

# ---- 01.7 The best number of workers


def _time(setup: float, work: float, merge: float, workers: int) -> float:
    return setup + work / workers + merge * (workers - 1)


def _best_workers(setup: float, work: float, merge: float) -> int:
    most = int(np.sqrt(work / merge)) + 2
    return min(range(1, most + 1), key=lambda m: _time(setup, work, merge, m))


# ---- 01.8 Read the law off


def _usl_times(rate: float, contention: float, coherency: float, workers: tuple[int, ...]) -> Case:
    m = np.array(workers, dtype=float)
    times = 1 / models.usl(m, rate, contention=contention, coherency=coherency)
    return Case(
        (list(workers), times.tolist()),
        says=f"times of a job on {', '.join(map(str, workers))} workers",
    )


def _metric(workers: list[int], times: list[float]) -> tuple[np.ndarray, np.ndarray]:
    m, t = np.array(workers[1:], dtype=float), np.array(times)
    return m, models.karp_flatt(t[0] / t[1:], m)


def _read_off(workers: list[int], times: list[float]) -> tuple[float, float]:
    m, metric = _metric(workers, times)
    coherency, contention = np.polyfit(m, metric, 1)
    return float(contention), float(coherency)


def _read_off_behind(workers: list[int], times: list[float]) -> tuple[float, float]:
    m, metric = _metric(workers, times)
    coherency, contention = np.polyfit(m - 1, metric, 1)
    return float(contention), float(coherency)


def _read_off_mean(workers: list[int], times: list[float]) -> tuple[float, float]:
    return float(_metric(workers, times)[1].mean()), 0.0


# ---- 01.9 Minutes down in a year


def _down(
    gateway: float, gateways: int, replica: float, replicas: int, needed: int, database: float, how: str = "right"
) -> float:
    entrance = models.series(*[gateway] * gateways) if how == "gateways" else models.parallel(*[gateway] * gateways)
    if how == "any":
        middle = models.parallel(*[replica] * replicas)
    elif how == "all":
        middle = models.series(*[replica] * replicas)
    else:
        middle = models.k_of_n(needed, replicas, replica)
        if how == "exactly" and needed < replicas:
            middle -= models.k_of_n(needed + 1, replicas, replica)
    if how == "added":
        whole = entrance + middle + database - 2
    else:
        whole = models.series(entrance, middle, 1.0 if how == "no database" else database)
    return float(models.downtime_per_year(whole) / 60)


def _down_as(how: str) -> Any:
    return lambda *args: _down(*args, how=how)


# ---- 01.11 Merge in another order


def _merges_one_by_one(parts: int) -> list[tuple[int, int]]:
    return [(0, 1), *((parts + i, i + 2) for i in range(parts - 2))]


def _pairs(merges: Any) -> list[tuple[int, int]] | None:
    """Return the merges as pairs of whole numbers, or None."""
    try:
        pairs = [(int(a), int(b)) for a, b in merges]
        return pairs if all(a == x and b == y for (a, b), (x, y) in zip(pairs, merges, strict=True)) else None
    except (TypeError, ValueError):
        return None


def _judge_merges(args: tuple[Any, ...], merges: Any) -> str | None:
    (parts,) = args
    pairs = _pairs(merges)
    if pairs is None:
        return "that is no list of pairs of whole numbers"
    if len(pairs) != parts - 1:
        return f"{parts} parts become one in {parts - 1} merges; there are {len(pairs)}"
    used: set[int] = set()
    for i, pair in enumerate(pairs):
        for each in pair:
            if not 0 <= each < parts + i:
                return f"merge {i} takes number {each}; there are 0 … {parts + i - 1} then"
            if each in used:
                return f"merge {i} takes number {each}, which an earlier merge has used up (or it takes it twice)"
            used.add(each)
    return None


def _merge_time(args: tuple[Any, ...], merges: Any) -> float:
    (parts,) = args
    before: list[list[int]] = [[] for _ in range(parts)] + [list(pair) for pair in merges]
    graph = TaskGraph([1.0] * parts + [1.0] * len(merges), 0, before)
    return run(graph, parts).makespan - 1.0  # the parts themselves take the first second


EXERCISES = [
    Exercise(
        id="01.1",
        objective="01.1",
        kind="predict",
        title="Which promise is broken?",
        points=1,
        minutes=3,
        choices={
            "performance": "High performance.",
            "scalability": "High scalability.",
            "availability": "High availability.",
            "none": "None: all three are kept.",
        },
        value="scalability",
        mistakes={
            "nobody was waiting for the report: 110 minutes are soon enough": "performance",
            "it was never down": "availability",
            "four times the machines, and a twelfth less time: what did they bring?": "none",
        },
        hints=(
            "The table of the three promises says what each is measured by.",
            "Work out the speed-up that the twelve new machines brought, and their efficiency.",
            "120 / 110 = 1.09 for four times the machines. Which promise is about what more workers bring?",
        ),
    ),
    Exercise(
        id="01.2",
        objective="01.2",
        kind="predict",
        title="Sixteen workers, by Amdahl",
        points=1,
        minutes=4,
        value=6 + 94 / 16,
        tolerance=0.005,
        behaviour="the minutes that the job takes on 16 workers",
        mistakes={
            "you divided the serial part, too": 100 / 16,
            "the six serial minutes are in the hundred: you counted them twice": 6 + 100 / 16,
            "the serial part is missing": 94 / 16,
            "that is the speed-up; the time is asked for": 100 / (6 + 94 / 16),
        },
        hints=(
            "Add up two parts: one that 16 workers share, and one that they do not.",
            "The serial part takes 6 minutes on any number of workers.",
            "6 + 94 / 16.",
        ),
    ),
    Exercise(
        id="01.3",
        objective="01.2",
        kind="derive",
        title="Two serial fractions",
        points=2,
        minutes=6,
        cases=[(1, 0.3), (2, 0.5), (8, 0.2), (16, 0.01), (1024, 0.01), (64, 0.0), (64, 1.0)],
        expected=lambda workers, share: share / (share + (1 - share) * workers),
        behaviour="Amdahl's serial fraction, of the time on one worker, from the share seen on all workers",
        mistakes={
            "that is the share on the cluster itself: one worker takes longer for the parallel part": lambda m, s: s,
            "the serial part takes the same time on one worker, but the whole is not m times as long": (
                lambda m, s: s / m
            ),
            "that is the speed-up of the grown job": lambda m, s: s + (1 - s) * m,
            "you went the other way: from one worker to the cluster": lambda m, s: s / (s + (1 - s) / m),
        },
        hints=(
            "Take a job that takes 1 s on the cluster. How long does each of its parts take on one worker?",
            "The serial part takes s there, too; the parallel part takes (1 − s) m.",
            "f is the first of these divided by their sum.",
        ),
    ),
    Exercise(
        id="01.4",
        objective="01.3",
        kind="derive",
        title="The Karp–Flatt metric from two times",
        points=2,
        minutes=6,
        cases=[(100.0, 100.0, 2), (100.0, 50.0, 2), (100.0, 29.5, 4), (12.0, 4.2, 8), (3.0, 3.5, 16), (10.0, 1.0, 8)],
        expected=lambda one, many, workers: models.karp_flatt(one / many, workers),
        absolute=1e-9,
        behaviour="the serial fraction that would explain the time on so many workers by Amdahl's law",
        mistakes={
            "that is the efficiency": lambda one, many, m: one / many / m,
            "that is one minus the efficiency: the metric divides the loss by what m − 1 workers could lose": (
                lambda one, many, m: 1 - one / many / m
            ),
            "the speed-up is the time on one divided by the time on many, not the other way round": (
                lambda one, many, m: models.karp_flatt(many / one, m)
            ),
            "the numerator is right; divide by 1 − 1/m": lambda one, many, m: many / one - 1 / m,
        },
        hints=(
            "Write Amdahl's law for the two times, and solve it for f.",
            "many / one = f + (1 − f) / m.",
            "f = (many / one − 1 / m) / (1 − 1 / m).",
        ),
    ),
    Exercise(
        id="01.5",
        objective="01.3",
        kind="diagnose",
        title="What slows it down?",
        points=2,
        minutes=6,
        choices={
            "setup": "Shorten the setup that one worker does alone.",
            "more": "Buy 32 workers.",
            "merge": "Change how the partial results are brought together.",
            "even": "Cut the work into more even parts.",
        },
        value="merge",
        mistakes={
            "a serial part gives the same metric for every m; compute it for 2 and for 16": "setup",
            "sixteen are slower than eight already": "more",
            "uneven parts make the Karp–Flatt metric fall as m grows; this one rises in a line": "even",
        },
        hints=(
            "Compute the Karp–Flatt metric for each number of workers.",
            "It is 0.04, 0.06, 0.10 and 0.18: a line. What is its slope, and what would a flat line mean?",
            "Each worker more adds the same cost. Of the four answers, one is about what workers do with each other.",
        ),
    ),
    Exercise(
        id="01.6",
        objective="01.4",
        kind="derive",
        title="Enough work for everybody",
        points=2,
        minutes=8,
        cases=[(2, 0.5, 1.0), (4, 0.8, 2.0), (16, 0.8, 2.0), (64, 0.9, 0.01), (1024, 0.5, 0.003)],
        expected=lambda workers, efficiency, exchange: (
            efficiency / (1 - efficiency) * workers * exchange * np.log2(workers)
        ),
        behaviour="the seconds of work at which all workers together lose no more than 1 − efficiency of their time",
        mistakes={
            "the overhead is what all workers together lose: every one of them spends that time": (
                lambda m, e, c: e / (1 - e) * c * np.log2(m)
            ),
            "E / (1 − E), not its inverse: the higher the efficiency, the more work it takes": (
                lambda m, e, c: (1 - e) / e * m * c * np.log2(m)
            ),
            "a tree has log₂ m rounds, not m − 1": lambda m, e, c: e / (1 - e) * m * c * (m - 1),
            "that is the work of one worker; multiply it by m": lambda m, e, c: e / (1 - e) * c * np.log2(m) / m,
        },
        hints=(
            "First the overhead: what do all workers together spend on the rounds?",
            "m workers, log₂ m rounds, `exchange` seconds each.",
            "W = E / (1 − E) times that overhead.",
        ),
    ),
    Exercise(
        id="01.7",
        objective="01.5",
        kind="derive",
        title="The fastest whole number",
        points=3,
        minutes=10,
        cases=[
            (0.1, 0.9, 0.025),
            (0.5, 6.1, 1.0),
            (5.0, 2.0, 1.5),
            (2.0, 0.5, 1.0),
            (0.0, 60.0, 0.5),
            (9.0, 99.0, 3.0),
        ],
        expected=_best_workers,
        behaviour="the whole number of workers, at least 1, with the smallest setup + work/m + merge (m − 1)",
        mistakes={
            "rounding the root is not enough: compare the times of the whole numbers on both sides of it": (
                lambda setup, work, merge: max(1, round(float(np.sqrt(work / merge))))
            ),
            "rounding the root up is not enough: compare the times of both neighbours": (
                lambda setup, work, merge: max(1, int(np.ceil(np.sqrt(work / merge))))
            ),
            "rounding the root down is not enough: compare the times of both neighbours": (
                lambda setup, work, merge: max(1, int(np.sqrt(work / merge)))
            ),
            "the setup does not depend on m, so the best m does not depend on it": (
                lambda setup, work, merge: max(1, round(float(np.sqrt((setup + work) / merge))))
            ),
        },
        hints=(
            "The curve has one valley. Where is it, if m need not be whole?",
            "At √(work / merge). The best whole number is one of its two neighbours (and at least 1).",
            "low = max(1, floor(√(work / merge))); return low or low + 1, whichever takes less time.",
        ),
    ),
    Exercise(
        id="01.8",
        objective="01.5",
        kind="code",
        title="Read the law off",
        points=4,
        minutes=15,
        cases=lambda: [
            _usl_times(1.0, 0.1, 0.025, (1, 2, 4, 6, 8, 12, 16)),
            _usl_times(0.01, 0.06, 0.005, (1, 2, 3, 4, 5, 6, 7, 8)),
            _usl_times(30.0, 0.2, 0.0, (1, 2, 4, 8)),
            _usl_times(2.0, 0.0, 0.001, (1, 8, 64)),
        ],
        expected=_read_off,
        tolerance=1e-5,
        absolute=1e-7,
        behaviour="(contention, coherency) of times that follow the USL exactly; the first is on one worker",
        mistakes={
            "these are the right numbers in the wrong order": lambda m, t: _read_off(m, t)[::-1],
            "the metric is σ + κ m, a line in m and not in m − 1": _read_off_behind,
            "that is the mean of the metric, as if a serial part explained it all": _read_off_mean,
        },
        hints=(
            "What does the Karp–Flatt metric of the USL look like as a function of m?",
            "Compute it for all m but 1, and fit a straight line: its intercept is the contention, its slope the "
            "coherency.",
            "C = t[0] / t[1:]; e = (1/C − 1/m) / (1 − 1/m); slope, intercept = np.polyfit(m, e, 1).",
        ),
    ),
    Exercise(
        id="01.9",
        objective="01.6",
        kind="code",
        title="Minutes down in a year",
        points=3,
        minutes=12,
        cases=[
            (0.99, 1, 0.9, 1, 1, 1.0),
            (0.99, 2, 0.999, 3, 2, 0.9995),
            (0.95, 3, 0.98, 5, 3, 0.999),
            (1.0, 1, 0.99, 4, 4, 1.0),
            (0.999, 2, 0.99, 6, 5, 0.99999),
        ],
        expected=_down,
        tolerance=1e-5,
        absolute=1e-7,
        behaviour="minutes of a 365-day year in which a gateway, enough replicas, or the database is missing",
        mistakes={
            "one gateway is enough: they are in parallel": _down_as("gateways"),
            "one replica is not enough: add up the cases with at least `needed` of them": _down_as("any"),
            "not all replicas must be up: add up the cases with at least `needed` of them": _down_as("all"),
            "more than `needed` replicas are fine, too": _down_as("exactly"),
            "the database is missing: it is in series": _down_as("no database"),
            "you added up the downtimes of the three groups; when two are down at once, that counts twice": (
                _down_as("added")
            ),
            "those are hours": lambda *args: _down(*args) / 60,
            "those are seconds": lambda *args: _down(*args) * 60,
        },
        hints=(
            "Three groups in series: gateways, replicas, database. What is the availability of each group?",
            "1 − (1 − gateway)**gateways; for the replicas a binomial sum from `needed` to `replicas` (math.comb).",
            "Multiply the three, take 1 minus that, times 365 · 24 · 60.",
        ),
    ),
    Exercise(
        id="01.10",
        objective="01.7",
        kind="predict",
        title="The COST of a system",
        points=1,
        minutes=5,
        value=16,
        tolerance=0,
        behaviour="the smallest number of workers on which the system is faster than the single thread",
        mistakes={
            "that is the number if the system scaled perfectly; its serial part is still there": 12,
            "on 15 workers it takes 10.24 s: still longer than the single thread": 15,
            "that is the largest speed-up that the system can reach": 50,
        },
        hints=(
            "Which speed-up over its own time on one worker does the system need?",
            "More than 12. Put that into Amdahl's law with f = 0.02 and solve for m.",
            "m > 0.98 / (1/12 − 0.02); take the next whole number.",
        ),
    ),
    Exercise(
        id="01.11",
        objective="01.5",
        kind="tune",
        title="Merge in another order",
        points=3,
        minutes=15,
        cases=[(16,), (32,), (13,)],
        judge=_judge_merges,
        baseline=_merges_one_by_one,
        timed=[(16,), (32,), (13,)],
        cost=_merge_time,
        target=3.5,
        behaviour="every part and every result but the last is used exactly once, and independent merges can overlap",
        mistakes={},
        hints=(
            "One by one, each merge waits for the one before. Which merges could happen at the same time?",
            "Keep a queue of the numbers that are still to be merged; take two from its front, put the result at its "
            "end.",
            "queue = list(range(parts)); while two are left: a, b = queue.pop(0), queue.pop(0); "
            "merges.append((a, b)); queue.append(parts + len(merges) − 1).",
        ),
    ),
]
