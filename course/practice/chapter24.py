"""The exercises of chapter 24, what comes next."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq

from course.models import servers_for_loss, zipf
from course.practice.exercises import Case, Exercise

# ---- 24.1 Where is the queue?


def cluster_log() -> list[tuple[float, int, int, int]]:
    """Return looks at a cluster of 8 nodes: (second, busy nodes, jobs that wait, nodes that the first of them needs).

    Examples
    --------
    >>> log = cluster_log()
    >>> len(log), max(busy for _, busy, _, _ in log)
    (60, 8)
    """
    from course.simulate import jobs

    rng = np.random.default_rng(7)
    width = np.where(rng.random(400) < 0.8, 1, 8)
    arrival = np.cumsum(rng.exponential(20.0, 400))
    run = jobs(arrival, width, rng.exponential(60.0, 400), nodes=8, policy="fcfs")
    log = []
    for second in 1800.0 + 30.0 * np.arange(60):
        busy = int(width[(run.start <= second) & (run.stop > second)].sum())
        waiting = np.flatnonzero((arrival <= second) & (run.start > second))
        log.append((float(second), busy, len(waiting), int(width[waiting[0]]) if len(waiting) else 0))
    return log


# ---- 24.2 and 24.3 Batches


def _gain(lengths: Sequence[float], places: int) -> float:
    x = np.sort(np.asarray(lengths, dtype=float))
    at_most = np.arange(len(x) + 1) / len(x)
    return float((x * np.diff(at_most**places)).sum() / x.mean())


def _harmonic(lengths: Sequence[float], places: int) -> float:
    return sum(1 / k for k in range(1, places + 1))


def _iterations(lengths: Sequence[int], places: int) -> list[int]:
    static = sum(max(lengths[k : k + places]) for k in range(0, len(lengths), places))
    free = [0] * places
    for length in lengths:
        heapq.heappush(free, heapq.heappop(free) + length)
    return [static, max(free)]


def _spread_evenly(lengths: Sequence[int], places: int) -> list[int]:
    return [_iterations(lengths, places)[0], math.ceil(sum(lengths) / places)]


def _sorted(lengths: Sequence[int], places: int) -> list[int]:
    return [_iterations(sorted(lengths), places)[0], _iterations(lengths, places)[1]]


def _fixed_places(lengths: Sequence[int], places: int) -> list[int]:
    return [_iterations(lengths, places)[0], max(sum(lengths[k::places]) for k in range(places))]


# ---- 24.4 Steps between barriers


def _steps(efficiency: float, late: float, sync: float) -> float:
    a = 1 / efficiency - 1
    return ((late + math.sqrt(late**2 + 4 * a * sync)) / (2 * a)) ** 2


# ---- 24.5 and 24.6 Keep, or let go


def _bill(gaps: np.ndarray, keep: float, worth: float) -> float:
    return float(np.minimum(gaps, keep).mean() + worth * (gaps > keep).mean())


def _best_keep(gaps: Sequence[float], worth: float) -> float:
    x = np.asarray(gaps, dtype=float)
    return min([0.0, *x.tolist()], key=lambda keep: _bill(x, keep, worth))


def _best_keep_unless(which: str) -> Callable[..., float]:
    def answer(gaps: Sequence[float], worth: float) -> float:
        x = np.asarray(gaps, dtype=float)
        candidates = [*x.tolist()] if which == "zero" else [0.0, *x.tolist()]

        def bill(keep: float) -> float:
            if which == "equal":
                return float(np.minimum(x, keep).mean() + worth * (x >= keep).mean())
            if which == "idle":
                return keep + worth * float((x > keep).mean())
            return _bill(x, keep, worth)

        return min(candidates, key=bill)

    return answer


def _gaps(seed: int, kind: str) -> list[float]:
    rng = np.random.default_rng(seed)
    if kind == "bursts":
        return np.where(rng.random(60) < 0.7, rng.exponential(30.0, 60), rng.exponential(2000.0, 60)).round(1).tolist()
    if kind == "timer":
        return rng.normal(600.0, 20.0, 40).round(1).tolist()
    return rng.exponential(600.0, 50).round(1).tolist()


# ---- 24.7 and 24.8 Memory


def _dearest(load: float, servers: int, loss: float) -> float:
    return servers * servers_for_loss(load, loss) / servers_for_loss(servers * load, loss)


def _root_rule(load: float, servers: int, loss: float) -> float:
    alone = servers_for_loss(load, loss)
    return alone / (load + (alone - load) / math.sqrt(servers))


def _pages(popularity: Sequence[float], stalled: float, ratio: float, slowdown: float) -> int:
    far = (slowdown - 1) / (stalled * (ratio - 1))
    return _least(np.sort(popularity)[::-1], far)


def _least(popularity: np.ndarray, far: float) -> int:
    left = 1.0 - np.r_[0.0, np.cumsum(popularity)]
    return int(np.argmax(left <= far + 1e-12))


# ---- 24.9 Learn

ARMS = 7
SPREAD = 4.0


def _world(seed: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mean = rng.permutation([3.1, 5.4, 5.4, 5.4, 5.4, 5.4, 10.2])
    return mean, mean + rng.normal(0.0, SPREAD, (days, ARMS))


def learn(choose: Callable[[int, list[int], list[float]], int], seed: int, days: int) -> list[int]:
    """Let a learner choose one of seven arms each day, by ``choose(day, tries, means)``; return what it chose.

    Examples
    --------
    >>> learn(lambda day, tries, means: day % 7, seed=1, days=9)
    [0, 1, 2, 3, 4, 5, 6, 0, 1]
    """
    _, costs = _world(seed, days)
    tries, means, chosen = [0] * ARMS, [0.0] * ARMS, []
    for day in range(days):
        arm = int(choose(day, list(tries), list(means)))
        if not 0 <= arm < ARMS:
            raise ValueError(f"on day {day} it chose {arm}; the arms are 0 to {ARMS - 1}")
        chosen.append(arm)
        tries[arm] += 1
        means[arm] += (float(costs[day, arm]) - means[arm]) / tries[arm]
    return chosen


def regret(seed: int, days: int, chosen: Sequence[int]) -> float:
    """Return by how much the chosen arms cost more, on average, than the best would have.

    Examples
    --------
    >>> regret(1, 2, learn(lambda day, tries, means: 0, seed=1, days=2)) >= 0
    True
    """
    mean, _ = _world(seed, days)
    return float((mean - mean.min())[list(chosen)].sum())


def _arms_only(args: tuple[Any, ...], chosen: Any) -> str | None:
    if not isinstance(chosen, list) or any(len(each) != args[1] for each in chosen):
        return "which is not one arm for each day"
    return None


def _in_all(choose: Callable[[int, list[int], list[float]], int], seeds: Sequence[int], days: int) -> list[list[int]]:
    return [learn(choose, seed, days) for seed in seeds]


def _careless(day: int, tries: list[int], means: list[float]) -> int:
    if day < ARMS:
        return day
    return (3 * (day // 10) + day % 10) % ARMS if day % 10 < 3 else int(np.argmin(means))


def _careless_in_all(seeds: Sequence[int], days: int) -> list[list[int]]:
    return _in_all(_careless, seeds, days)


def _in_bad_worlds(args: tuple[Any, ...], chosen: Any) -> float:
    """Return the mean regret of the worst quarter of the worlds: in most, who never tries again pays least of all."""
    seeds, days = args
    paid = sorted(regret(seed, days, each) for seed, each in zip(seeds, chosen, strict=True))
    return max(float(np.mean(paid[3 * len(paid) // 4 :])), 1e-9)


EXERCISES = [
    Exercise(
        id="24.1",
        objective="24.1",
        kind="diagnose",
        title="Idle nodes, and a queue",
        points=2,
        minutes=7,
        choices={
            "drain": "a wide job waits for all nodes, first come, first served, and those behind it wait, too",
            "few": "there are too few nodes for the load",
            "idle": "there is too little work",
            "fragments": "wide jobs fit nowhere, because narrow ones lie scattered; the others pass them",
        },
        value="drain",
        behaviour="why nodes are idle although jobs wait, found in the log",
        mistakes={
            "look at the looks with idle nodes: do nodes stay idle although narrow jobs wait behind the first?": "few",
            "jobs wait at nearly every look": "idle",
            "if the others passed, somebody narrow would take the idle nodes at once": "fragments",
        },
        hints=(
            "Take the looks at which nodes are idle and jobs wait. What does the first of the queue need?",
            "It is always 8. And the jobs behind it, of which most need one node, do not start.",
            "The cluster empties for the wide job: section 2.",
        ),
    ),
    Exercise(
        id="24.2",
        objective="24.2",
        kind="derive",
        title="The gain from a list of lengths",
        points=2,
        minutes=8,
        cases=[
            Case(([10, 20, 30, 40], 2)),
            Case(([1, 1, 1, 1, 16], 8)),
            Case(([7, 7, 7], 16)),
            Case((np.random.default_rng(1).exponential(128, 200).round().tolist(), 16), says="200 lengths, 16 places"),
        ],
        expected=_gain,
        tolerance=1e-6,
        behaviour="the mean of the longest of B lengths, drawn from the list with replacement, over the mean length",
        mistakes={
            "that is the harmonic number: right for exponential lengths only": _harmonic,
            "you took the longest of the whole list": lambda x, b: max(x) / (sum(x) / len(x)),
            "the power is the number of places, of the share that is at most so long": lambda x, b: _gain(x, 1),
        },
        hints=(
            "P(the longest of B is at most x) = F(x)^B, with F(x) the share of the list that is at most x.",
            "Sorted, the i-th of n is the longest with probability (i/n)^B − ((i−1)/n)^B.",
            "x = np.sort(lengths); p = np.diff((np.arange(len(x) + 1) / len(x)) ** places); (x * p).sum() / x.mean()",
        ),
    ),
    Exercise(
        id="24.3",
        objective="24.2",
        kind="code",
        title="Iterations until all are done",
        points=2,
        minutes=9,
        cases=[
            Case(([3, 1, 2, 8, 1, 1], 2)),
            Case(([5, 5, 5], 4)),
            Case(([9, 1, 1, 1, 1, 9], 3)),
            Case((np.random.default_rng(2).geometric(0.02, 100).tolist(), 8), says="100 lengths, 8 places"),
        ],
        expected=_iterations,
        behaviour="[iterations of static batches in the given order, iterations of continuous batching]",
        mistakes={
            "the work does not spread evenly: the last requests leave places empty": _spread_evenly,
            "batches are taken in the given order; nobody knows the lengths": _sorted,
            "a request takes the place that is free first, not the next in turn": _fixed_places,
        },
        hints=(
            "Static: the sum over batches of the longest. Continuous: list scheduling, chapter 05.",
            "Keep when each place is free, in a heap; each request takes the first of them.",
            "free = [0] * places; for each length: heapq.heappush(free, heapq.heappop(free) + length); max(free)",
        ),
    ),
    Exercise(
        id="24.4",
        objective="24.2",
        kind="derive",
        title="How often must they meet?",
        points=2,
        minutes=9,
        cases=[(0.9, 0.7118, 20.0), (0.5, 0.0, 10.0), (0.95, 2.0, 5.0), (0.8, 0.3, 100.0)],
        expected=_steps,
        tolerance=1e-4,
        behaviour="K, the steps between barriers with which the efficiency is as given (not rounded)",
        mistakes={
            "you left out the stragglers": lambda e, late, b: e * b / (1 - e),
            "waiting for the slowest grows with the root of K": lambda e, late, b: e * (b + late) / (1 - e),
            "that is the root of K": lambda e, late, b: math.sqrt(_steps(e, late, b)),
        },
        hints=(
            "Set K / (K + late √K + b) equal to the efficiency, and write y = √K.",
            "With a = 1/η − 1: a y² − late y − b = 0, a quadratic equation; y is its positive root.",
            "((late + math.sqrt(late**2 + 4 * a * sync)) / (2 * a)) ** 2",
        ),
    ),
    Exercise(
        id="24.5",
        objective="24.3",
        kind="code",
        title="Keep it for how long?",
        points=3,
        minutes=10,
        cases=[
            Case((_gaps(1, "bursts"), 450.0), says="60 gaps in bursts, 450 s"),
            Case((_gaps(2, "random"), 450.0), says="50 random gaps, 450 s"),
            Case((_gaps(3, "timer"), 300.0), says="40 gaps of a timer, 300 s"),
            Case((_gaps(4, "timer"), 900.0), says="40 gaps of a timer, 900 s"),
            Case(([5.0, 5.0, 100.0], 20.0)),
        ],
        expected=_best_keep,
        behaviour="the keep-alive (0, or one of the gaps) with the least mean of idle seconds and worth × cold",
        mistakes={
            "not keeping at all is a candidate, too": _best_keep_unless("zero"),
            "a call that comes exactly at the end of the keep-alive is warm": _best_keep_unless("equal"),
            "the instance idles until the next call, if that comes earlier": _best_keep_unless("idle"),
            "at most twice the best is not the best: that is the rule for one who knows no gaps": lambda g, x: x,
        },
        hints=(
            "The bill changes its slope only at the gaps: only 0 and the gaps can be best.",
            "Per call: min(gap, keep) idle seconds, and worth if gap > keep.",
            "min([0.0] + gaps, key=lambda T: np.mean(np.minimum(g, T) + worth * (g > T)))",
        ),
    ),
    Exercise(
        id="24.6",
        objective="24.3",
        kind="derive",
        title="Half of what a day brings",
        points=1,
        minutes=5,
        value=lambda: brentq(lambda w: w / 24 + math.sin(math.pi * w / 24) / math.pi - 0.5, 1, 20),
        tolerance=0.02,
        behaviour="hours of slack that save half of what 24 hours save",
        mistakes={
            "it is no straight line: the first hours help most": 12.0,
            "near; a quarter of the day is not where the bracket is one half: solve for it": 6.0,
        },
        hints=(
            "Swing and duration cancel: only the bracket counts.",
            "Solve w/24 + sin(πw/24)/π = 1/2.",
            "scipy.optimize.brentq(lambda w: w/24 + math.sin(math.pi*w/24)/math.pi - 0.5, 1, 20)",
        ),
    ),
    Exercise(
        id="24.7",
        objective="24.4",
        kind="derive",
        title="How dear may pooled memory be?",
        points=2,
        minutes=7,
        cases=[(64.0, 8, 0.001), (64.0, 2, 0.001), (256.0, 8, 0.001), (10.0, 16, 0.01), (64.0, 1, 0.001)],
        expected=_dearest,
        tolerance=1e-6,
        behaviour="price of a unit of the pool over that of a unit of one server, at which both ways cost the same",
        mistakes={
            "that is the root rule; the exact numbers come from Erlang B": _root_rule,
            "k servers alone need k times as many units": lambda a, k, loss: (
                servers_for_loss(a, loss) / servers_for_loss(k * a, loss)
            ),
            "the other way round: pooled units are fewer, so each may cost more": lambda a, k, loss: (
                1 / _dearest(a, k, loss)
            ),
        },
        hints=(
            "All memory of the servers is in the pool, or none. Count the units of both ways.",
            "models.servers_for_loss(load, loss), once for one server and once for the load of all.",
            "servers * servers_for_loss(load, loss) / servers_for_loss(servers * load, loss)",
        ),
    ),
    Exercise(
        id="24.8",
        objective="24.4",
        kind="code",
        title="What must be near?",
        points=2,
        minutes=7,
        cases=[
            Case((zipf(1000, 0.99).tolist(), 0.3, 2.5, 1.05), says="1,000 pages by Zipf's law, 5 %"),
            Case((zipf(1000, 0.5).tolist(), 0.3, 2.5, 1.05), says="1,000 pages, more alike, 5 %"),
            Case(([0.1, 0.6, 0.3], 0.5, 3.0, 1.1)),
            Case(([0.25, 0.25, 0.25, 0.25], 0.1, 2.0, 1.5)),
        ],
        expected=_pages,
        behaviour="the fewest pages that must be local for at most the given slowdown",
        mistakes={
            "the list is not sorted: the hottest pages are to be near": lambda p, u, r, s: _least(
                np.asarray(p), (s - 1) / (u * (r - 1))
            ),
            "that treats all pages alike, as if interleaved": lambda p, u, r, s: math.ceil(
                max(0.0, 1 - (s - 1) / (u * (r - 1))) * len(p)
            ),
            "the pool's latency is r times the local one: what is added is r − 1": lambda p, u, r, s: _pages(
                p, u, r + 1, s
            ),
        },
        hints=(
            "From 1 + u q (r − 1) ≤ slowdown follows the largest q.",
            "Sort the pages, hottest first. With the first j near, q = 1 − their sum.",
            "left = 1 - np.r_[0, np.cumsum(np.sort(popularity)[::-1])]; int(np.argmax(left <= q + 1e-12))",
        ),
    ),
    Exercise(
        id="24.9",
        objective="24.5",
        kind="tune",
        title="A learner",
        points=3,
        minutes=14,
        cases=[Case(([1, 2], 40), says="40 days")],
        judge=_arms_only,
        call=_in_all,
        behaviour="one arm, 0 to 6, for each day, with little regret in the six worst of 24 worlds",
        baseline=_careless_in_all,
        timed=[Case((list(range(24)), 1500), says="24 worlds of 1,500 days")],
        cost=_in_bad_worlds,
        target=1.8,
        hints=(
            "Three days in ten try arms in turn, also after 1,000 days. Never trying again is worse: in which worlds?",
            "Try each arm once. Then take the one that may be the best: its mean, less what it may be wrong by.",
            "min(range(7), key=lambda a: means[a] - 4 * math.sqrt(2 * math.log(day + 1) / tries[a]))",
        ),
    ),
    Exercise(
        id="24.10",
        objective="24.6",
        kind="diagnose",
        title="Eight times as fast",
        points=2,
        minutes=7,
        choices={
            "barrier": "the longest member of a batch explains it",
            "baseline": "the static server was compared with batches that were mostly empty",
            "engine": "the new server's iterations are faster",
            "part": "only a part of the requests was counted",
        },
        value="baseline",
        behaviour="what makes most of the factor that the barrier does not explain",
        mistakes={
            "32 places give H₃₂ = 4.06 at the most, and less where computing counts": "barrier",
            "compare the seconds of an iteration: the new ones are longer, for they carry more": "engine",
            "both counted all requests": "part",
        },
        hints=(
            "What is the largest gain that 32 places with exponential lengths allow?",
            "H₃₂ = 4.06, and less with t₁. What is left of 1,212 ÷ 154 comes from elsewhere: compare the lines.",
            "How many requests were in a static batch, of 32 places?",
        ),
    ),
]
