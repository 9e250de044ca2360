"""The exercises of chapter 02, measure first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course.models import bootstrap_ratio_interval
from course.practice.exercises import Case, Exercise
from course.simulate import coordinated_omission, correct_omission

# ---- 02.4 How many are late?


def _late(pause: float, service: float, interval: float, limit: float) -> int:
    """Count, in a run that is long enough for the backlog to drain."""
    work = np.full(20_000, service)
    work[0] += pause
    return int((coordinated_omission(work, interval)[1] > limit).sum())


# ---- 02.5 What the generator left out


def _in_any_order(answer: Callable[..., Any], *args: Any) -> list[float]:
    return sorted(float(each) for each in answer(*args))


def _repaired(recorded: Sequence[float], interval: float) -> list[float]:
    return sorted(correct_omission(recorded, interval).tolist())


def _left_out_alone(recorded: Sequence[float], interval: float) -> list[float]:
    return sorted(correct_omission(recorded, interval)[len(recorded) :].tolist())


def _with_remainder(recorded: Sequence[float], interval: float) -> list[float]:
    added = [each - k * interval for each in recorded for k in range(1, math.ceil(each / interval))]
    return sorted([*recorded, *(each for each in added if each > 0)])


def _all_as_long(recorded: Sequence[float], interval: float) -> list[float]:
    added = [each for each in recorded for _ in range(max(0, int(each / interval) - 1))]
    return sorted([*recorded, *added])


# ---- 02.7 An order of the runs


def _judge_order(args: tuple[Any, ...], order: Any) -> str | None:
    (runs,) = args
    if (
        not isinstance(order, list | tuple | str | np.ndarray)
        or [list(order).count(side) for side in "AB"] != [runs, runs]
        or len(order) != 2 * runs
    ):
        return f'expected {runs} times "A" and {runs} times "B", in the order in which they are to run'
    return None


def _bias(args: tuple[Any, ...], order: Any) -> float:
    """Return how far apart the middles of both sides are in time, in runs; a quarter of a run is added."""
    place = {side: [k for k, each in enumerate(order) if each == side] for side in "AB"}
    return abs(float(np.mean(place["A"]) - np.mean(place["B"]))) + 0.25


def _one_after_the_other(runs: int) -> list[str]:
    return ["A"] * runs + ["B"] * runs


# ---- 02.8 The interval of a ratio


def _sides(seed: int, runs: int, gain: float, scatter: float = 0.05) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    base, other = 1.0 + random.exponential(scatter, (2, runs))
    base[1] *= 3  # one run that met something else
    return base.round(4).tolist(), (other * gain).round(4).tolist()


_COMPARISONS = [
    Case(_sides(21, 9, 0.9), says="9 runs of each, one of them disturbed"),
    Case(_sides(22, 15, 1.0), says="15 runs of each, one of them disturbed"),
    Case(_sides(23, 31, 0.8), says="31 runs of each, one of them disturbed"),
    Case(_sides(24, 201, 0.9, scatter=0.3), says="201 runs of each, one of them disturbed"),
]


def _resampled(args: tuple[Any, ...], what: Callable[..., Any]) -> tuple[float, float]:
    random = np.random.default_rng(0)
    base, other = (what(random.choice(side, (4000, len(side))), axis=1) for side in args)
    low, high = np.percentile(other / base, [2.5, 97.5])
    return float(low), float(high)


def _judge_interval(args: tuple[Any, ...], answer: Any) -> str | None:
    values = np.asarray(answer, dtype=float)
    if values.shape != (2,) or not np.isfinite(values).all():
        return "expected two numbers, the lower and the upper end"
    low, high = values
    if low >= high:
        return f"its ends are {low:.3f} and {high:.3f}: the lower end must come first, and there must be room between"

    def near(wanted: tuple[float, float]) -> bool:
        # Resamples are random: an end may fall on the next ratio, or between two.
        room = 0.2 * (wanted[1] - wanted[0]) + 0.004
        return abs(low - wanted[0]) <= room and abs(high - wanted[1]) <= room

    if len(args[0]) > 100:  # fine enough to tell the levels: 1,000 resamples leave 2.5 ± 0.5 % on either side
        inner, outer = (bootstrap_ratio_interval(*args, level=level) for level in (0.91, 0.986))
        if outer[0] <= low <= inner[0] and inner[1] <= high <= outer[1]:
            return None
    elif near(bootstrap_ratio_interval(*args)):
        return None
    inverse = bootstrap_ratio_interval(args[1], args[0])
    wrong = {
        "that is the ratio the other way round: the candidate's median belongs above the line": inverse,
        "those are the 2.5th and 97.5th percentile of single runs, not of resampled medians": tuple(
            np.percentile(np.divide.outer(args[1], args[0]), [2.5, 97.5])
        ),
        "that is a 90 % interval: leave 2.5 % on either side": bootstrap_ratio_interval(*args, level=0.9),
        "that is wider than a 95 % interval: leave 2.5 % on either side": bootstrap_ratio_interval(*args, level=0.99),
        "one slow run moved it: that is the interval of a ratio of means; take medians": _resampled(args, np.mean),
    }
    for says, each in wrong.items():
        if near(each):
            return says
    return "that is not the 95 % bootstrap interval of the ratio of the medians"


EXERCISES = [
    Exercise(
        id="02.1",
        objective="02.2",
        kind="predict",
        title="Which percentile?",
        points=1,
        minutes=3,
        value=2.0,
        tolerance=0.001,
        behaviour="the latency that 99 of 100 requests do not exceed",
        mistakes={
            "that is the mean, which no request has": 0.98 * 0.02 + 0.02 * 2.0,
            "that is the median: half of the requests do not exceed it, nor do 98 of 100": 0.02,
            "the share that was asked for lies inside the slow group: nothing is to be interpolated": 1.01,
        },
        hints=(
            "Sort the 1,000 requests. Which one is the 99th percentile?",
            "It is near the 990th. How many requests are fast?",
            "The first 980 take 20 ms; the 990th is one of the slow ones.",
        ),
    ),
    Exercise(
        id="02.2",
        objective="02.3",
        kind="predict",
        title="How many inside?",
        points=1,
        minutes=4,
        value=5.0,
        tolerance=0.005,
        behaviour="the mean number of requests inside, waiting or in service",
        mistakes={
            "that is the utilization: the mean number in service, without those that wait": 0.7,
            "that is how many wait; those in service are inside too": 4.3,
            "that is the throughput: multiply it by the time that a request spends inside": 20.0,
            "ten minutes were taken for ten seconds": 300.0,
        },
        hints=(
            "Little's law: which two of the numbers does it need?",
            "The throughput is the number of answers divided by the seconds of the log.",
            "12,000 answers in 600 s are 20 a second; each spends 0.25 s inside. Multiply.",
        ),
    ),
    Exercise(
        id="02.3",
        objective="02.4",
        kind="derive",
        title="Where it turns",
        points=2,
        minutes=8,
        cases=[([0.03], 0.12), ([0.03, 0.01], 0.12), ([9.2, 8.0], 120.0), ([0.5, 0.5, 0.5], 0.0), ([2.0], 0.0)],
        expected=lambda demands, think_time: (sum(demands) + think_time) / max(demands),
        behaviour="the number of clients at which the two bounds of the throughput meet",
        mistakes={
            "you left out the think time: clients who think do not load any station": lambda d, z: sum(d) / max(d),
            "the second bound is that of the slowest station alone, not of all together": lambda d, z: (
                (sum(d) + z) / sum(d)
            ),
            "a request visits all stations: the first bound has the sum of the demands": lambda d, z: (
                (max(d) + z) / max(d)
            ),
            "that is the highest throughput, not yet a number of clients": lambda d, z: 1 / max(d),
        },
        hints=(
            "Write down both bounds of X for several stations.",
            "X ≤ N/(ΣD + Z) and X ≤ 1/D_max. At which N are they equal?",
            "N/(ΣD + Z) = 1/D_max; multiply both sides by ΣD + Z.",
        ),
    ),
    Exercise(
        id="02.4",
        objective="02.1",
        kind="derive",
        title="How many are late?",
        points=3,
        minutes=12,
        cases=[
            (1.5, 0.005, 0.02, 0.1003),
            (3.0, 0.02, 0.05, 0.0417),
            (0.4, 0.001, 0.01, 0.25037),
            (10.0, 0.09, 0.1, 1.0007),
            (0.05, 0.005, 0.02, 0.5),
        ],
        expected=_late,
        absolute=1.0,
        behaviour="how many requests take longer than the limit because of one pause (one more or less is accepted)",
        mistakes={
            "you counted only what was due during the pause; the backlog outlives it": lambda p, s, t, limit: max(
                0, math.ceil((p + s - limit) / t)
            ),
            "that is the length of the whole backlog: its end is below the limit": lambda p, s, t, limit: math.ceil(
                p / (t - s)
            ),
            "you took the service for free: each request of the backlog needs some": lambda p, s, t, limit: max(
                0, math.ceil((p - limit) / t)
            ),
            "where even the request that meets the pause is below the limit, none is late": lambda p, s, t, limit: (
                math.ceil((p + s - limit) / (t - s))
            ),
        },
        hints=(
            "The k-th request behind the pause takes R_k = P + s − k(T − s).",
            "For which k is R_k above the limit? Count from k = 0, and never fewer than none.",
            "k < (P + s − limit)/(T − s). Round up; if the numerator is negative the answer is 0.",
        ),
    ),
    Exercise(
        id="02.5",
        objective="02.1",
        kind="code",
        title="The repair",
        points=3,
        minutes=12,
        cases=[
            Case(([1.0, 5.0], 2.0)),
            Case(([0.5, 0.5, 0.5], 1.0)),
            Case(([3.3, 0.2, 7.9, 0.4], 1.0)),
            Case(([10.0], 3.0)),
            Case(([0.005] * 40 + [1.505] + [0.005] * 60, 0.02), says="100 fast requests and one of 1.505 s"),
        ],
        expected=_repaired,
        call=_in_any_order,
        tolerance=1e-9,
        absolute=1e-9,
        behaviour="all records, and for each that is long the ones left out meanwhile, in any order",
        mistakes={
            "the records themselves belong to the result, too": _left_out_alone,
            "you added one too many: stop when less than an interval is left": _with_remainder,
            "each request that was left out was due an interval later, and so waits an interval less": _all_as_long,
            "that is the records as they were: nothing was added": lambda recorded, interval: sorted(recorded),
        },
        hints=(
            "A latency of 5 s with an interval of 2 s: which requests were due while the generator waited?",
            "For each record: take off one interval after the other, and keep what is left as long as it is at least "
            "an interval.",
            "left = latency − interval; while left >= interval: result.append(left); left −= interval",
        ),
    ),
    Exercise(
        id="02.6",
        objective="02.5",
        kind="diagnose",
        title="Eight per cent slower?",
        points=2,
        minutes=6,
        choices={
            "slower": "The new version is 8 % slower.",
            "drift": "The machine slowed down through the whole session.",
            "warm-up": "The first runs paid for a warm-up.",
            "noise": "The noise is too large to say anything.",
        },
        value="drift",
        mistakes={
            "look at the first and the last run of the *same* version": "slower",
            "a warm-up makes the first runs slower; here the first is the fastest of all": "warm-up",
            "neighbouring runs differ by 1 %: there is hardly any noise. What is it then that changes?": "noise",
        },
        hints=(
            "Draw the sixteen times in the order in which they were taken.",
            "Does anything happen between the eighth and the ninth run, where the version changes?",
            "Within each version the times rise at the same pace as from one version to the other.",
        ),
    ),
    Exercise(
        id="02.7",
        objective="02.5",
        kind="tune",
        title="An order that cancels drift",
        points=3,
        minutes=10,
        cases=[(2,), (4,), (8,)],
        judge=_judge_order,
        baseline=_one_after_the_other,
        timed=[(8,), (12,), (20,)],
        cost=_bias,
        target=20.0,
        behaviour="each side as often as the other, in an order in which a steady drift cancels; the number is even",
        hints=(
            "A steady drift adds to a run something proportional to its place. When do both sides add up to as much?",
            "A B A B … still lets B come one run later on average. Turn every second pair round.",
            "A B B A, over and over.",
        ),
    ),
    Exercise(
        id="02.8",
        objective="02.6",
        kind="code",
        title="The interval of a speed-up",
        points=4,
        minutes=25,
        cases=_COMPARISONS,
        judge=_judge_interval,
        behaviour="the 95 % bootstrap interval of the candidate's median ÷ the baseline's: lower end, upper end",
        hints=(
            "Resample each side on its own, with replacement, as many times as it has runs; keep the ratio of medians.",
            "Do that some thousand times; rng.choice(times, (4000, len(times))) draws all resamples at once.",
            "np.percentile(np.median(candidate's resamples, axis=1) / np.median(baseline's, axis=1), [2.5, 97.5])",
        ),
    ),
    Exercise(
        id="02.9",
        objective="02.6",
        kind="predict",
        title="How many runs?",
        points=1,
        minutes=5,
        value=100.0,
        tolerance=0.06,
        behaviour="the runs of each side with which a difference of that size is found in 80 % of the tests",
        mistakes={
            "the scatter of a median falls with the square root of the runs: square the quotient": 10.0,
            "you left out the factor 5, from the median, the ratio and the 80 %": 4.0,
            "the difference is 2 %, not 1 %": 400.0,
        },
        hints=(
            "The rule stands in the section on whether it helped.",
            "n is about the square of 5 c / δ.",
            "c = 0.04 and δ = 0.02: 5 · 0.04 / 0.02 = 10.",
        ),
    ),
    Exercise(
        id="02.10",
        objective="02.7",
        kind="diagnose",
        title="A line in a report",
        points=1,
        minutes=5,
        choices={
            "decimals": "both means with three more decimals",
            "best": "the best of the three runs of each version",
            "interval": "the times of all runs, in their order, and the interval of the ratio",
            "machine": "the model of the processor",
        },
        value="interval",
        mistakes={
            "decimals say how finely something was written down, not how sure it is": "decimals",
            "the best run is one more number without its noise; and users do not meet the best run": "best",
            "worth noting, but it does not say whether two runs of one version differ by 4 %, too": "machine",
        },
        hints=(
            "What would you have to know in order to doubt the 4 %?",
            "With three runs of each, how often does an A/A test show a difference?",
            "Without the scatter of the runs nobody can tell 4 % from noise, and without their order not from drift.",
        ),
    ),
]
