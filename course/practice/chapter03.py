"""The exercises of chapter 03, computing models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course.models import expected_maximum_exponential
from course.practice.exercises import Case, Exercise
from course.simulate import Supersteps

# ---- 03.4 The time of a program of supersteps

_SUPERSTEPS = [
    ([[1.0, 2.0]], [[3, 1]], [[1, 3]], 0.5, 0.25),
    ([[1.0, 2.0], [3.0, 1.0]], [[0, 4], [2, 2]], [[4, 0], [2, 2]], 0.5, 0.25),
    ([[5.0]], [[0]], [[0]], 2.0, 1.0),
    ([[1.0, 1.0, 1.0]], [[6, 0, 0]], [[0, 3, 3]], 1.0, 0.0),
    ([[0.2, 0.4, 0.1], [0.3, 0.3, 0.9], [0.0, 0.1, 0.0]], [[9, 1, 2], [1, 1, 1], [0, 7, 0]],
     [[4, 4, 4], [3, 0, 0], [3, 1, 3]], 0.01, 0.1),
]  # fmt: skip


def _bsp(
    work: Any, sent: Any, received: Any, gap: float, barrier: float, *, words: Any = None, own: Any = None
) -> float:
    """Return the time of a BSP program; ``words`` and ``own`` put in what learners take for u and for w."""
    words = words or (lambda s, r: max(max(s), max(r)))
    own = own or max
    return float(
        sum(own(w) + gap * words(s, r) + barrier for w, s, r in zip(work, sent, received, strict=True)),
    )


def _mean(values: Any) -> float:
    return sum(values) / len(values)


# ---- 03.6 and 03.7: pieces of work, as plain lists


def _pieces() -> list[list[list[float]]]:
    rng = np.random.default_rng(33)
    return [
        [[2.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 3.0], [1.0, 1.0, 1.0, 1.0]],
        [[1.0, 4.0, 1.0], [4.0, 1.0, 1.0], [1.0, 1.0, 4.0], [2.0, 2.0, 2.0]],
        [[3.0]],
        rng.exponential(1.0, (12, 6)).round(3).tolist(),
        rng.exponential(1.0, (5, 9)).round(3).tolist(),
    ]


def _slack(work: list[list[float]], slack: int) -> float:
    return float(Supersteps(np.array(work), 0.0).finish_times(slack)[-1].max())


def _barrier(work: list[list[float]], slack: int) -> float:
    return float(sum(max(step) for step in work))


def _alone(work: list[list[float]], slack: int) -> float:
    return float(max(map(sum, zip(*work, strict=True))))


def _one_more(work: list[list[float]], slack: int) -> float:
    return _slack(work, slack + 1)


def _one_less(work: list[list[float]], slack: int) -> float:
    return _slack(work, max(slack - 1, 0))


def _late(work: list[list[float]], slack: int) -> float:
    return _slack(work, slack - 1) if slack else _alone(work, slack)


# ---- 03.8 Records behind a combiner

_FREQUENCIES = [
    ([1.0], 100, 4),
    ([0.5, 0.5], 8, 2),
    ([0.7, 0.2, 0.1], 30, 3),
    ((lambda z: (z / z.sum()).tolist())(1 / np.arange(1.0, 101.0)), 2000, 10),
    ([0.25] * 4, 12, 12),
]


def _combined(shares: list[float], records: int, mappers: int) -> float:
    return float(sum(mappers * (1 - (1 - p) ** (records / mappers)) for p in shares))


# ---- 03.9 Keys to reducers


def _contest() -> list[Case]:
    rng = np.random.default_rng(7)
    counts = {
        "200 keys, frequencies as Zipf's law, 8 reducers": ((1000 / np.arange(1, 201) ** 0.6).round(), 8),
        "60 keys of random size, 10 reducers": (rng.integers(1, 100, 60), 10),
        "40 keys, some large, 6 reducers": (np.concatenate([rng.integers(60, 90, 9), rng.integers(1, 10, 31)]), 6),
    }
    return [
        Case(([int(n) for n in rng.permutation(sizes)], reducers), says=what)
        for what, (sizes, reducers) in counts.items()
    ]


def _judge_partition(args: tuple[Any, ...], placed: Any) -> str | None:
    sizes, reducers = args
    try:
        numbers = np.asarray(placed)
    except (TypeError, ValueError):
        return "that is no list of reducers"
    if numbers.shape != (len(sizes),) or numbers.dtype.kind not in "iu":
        return f"expected {len(sizes)} whole numbers, the reducer of each key"
    if numbers.min() < 0 or numbers.max() >= reducers:
        wrong = numbers.max() if numbers.max() >= reducers else numbers.min()
        return f"a key goes to reducer {wrong}; they are 0 to {reducers - 1}"
    return None


def _fullest(args: tuple[Any, ...], placed: Any) -> float:
    sizes, reducers = args
    return float(np.bincount(np.asarray(placed), weights=sizes, minlength=reducers).max())


def _by_number(sizes: list[int], reducers: int) -> list[int]:
    return [key % reducers for key in range(len(sizes))]


# ---- 03.10 Stale gradients


def _largest_step(stale: int, curvature: float) -> float:
    return 2 * math.sin(math.pi / (2 * (2 * stale + 1))) / curvature


EXERCISES = [
    Exercise(
        id="03.1",
        objective="03.1",
        kind="predict",
        title="Name the model",
        points=1,
        minutes=4,
        choices={
            "BSP": "bulk-synchronous parallel",
            "MapReduce": "MapReduce",
            "dataflow": "a dataflow graph",
            "server": "a parameter server",
            "SPMD": "SPMD",
        },
        value="SPMD",
        mistakes={
            "nobody waits for everybody: a rank waits for its two neighbours only": "BSP",
            "no scheduler starts a task when its inputs are there; the copies run all the time": "dataflow",
            "there is no server in the middle: neighbours send to each other": "server",
            "there are no keys, and no records that move to the worker of their key": "MapReduce",
        },
        hints=(
            "Ask the three questions of the first table: parts, exchange, waiting.",
            "The parts are copies of one program; they send to and receive from neighbours.",
            "One program, many copies that send and receive: the last row of the table.",
        ),
    ),
    Exercise(
        id="03.2",
        objective="03.2",
        kind="derive",
        title="The account of a program",
        points=2,
        minutes=10,
        cases=[
            Case((100, 16, 0.1, 0.001, 0.010, 0.005)),
            Case((1, 1, 0.0, 0.001, 0.010, 0.005)),
            Case((8, 4, 0.02, 0.0009, 0.0107, 0.0049)),
            Case((1000, 64, 0.01, 0.0002, 0.010, 0.005)),
        ],
        expected=lambda passes, ranks, work, task, trip, link: (
            passes * work + passes * (ranks + 1) * task + trip + (2 * passes - 1) * link
        ),
        behaviour="the work, m + 1 tasks a pass, one round trip for all, and the links of the longest chain of tasks",
        mistakes={
            "the client waits once for the whole graph, not once a pass": (
                lambda passes, ranks, work, task, trip, link: (
                    passes * work + passes * (ranks + 1) * task + passes * trip + (2 * passes - 1) * link
                )
            ),
            "you forgot the task of each pass that combines": (
                lambda passes, ranks, work, task, trip, link: (
                    passes * work + passes * ranks * task + trip + (2 * passes - 1) * link
                )
            ),
            "a chain of 2P tasks has one link less than it has tasks": (
                lambda passes, ranks, work, task, trip, link: (
                    passes * work + passes * (ranks + 1) * task + trip + 2 * passes * link
                )
            ),
            "a pass has two links, to the task that combines and on to the next pass": (
                lambda passes, ranks, work, task, trip, link: (
                    passes * work + passes * (ranks + 1) * task + trip + (passes - 1) * link
                )
            ),
        },
        hints=(
            "Look at the table in the section on the account; the row of the dataflow graph.",
            "There are four terms: P w, n h, R r and L l. A call of an actor does not occur.",
            "n = P (m + 1), R = 1, L = 2P − 1.",
        ),
    ),
    Exercise(
        id="03.3",
        objective="03.2",
        kind="diagnose",
        title="Where do 40 seconds go?",
        points=2,
        minutes=8,
        choices={
            "tasks": "merge tasks: the scheduler's overhead is most of the time",
            "trips": "put all passes into one graph: round trips are most of the time",
            "work": "make the work faster: it is most of the time",
            "links": "shorten the chain: links are most of the time",
        },
        value="tasks",
        mistakes={
            "100 round trips of 10 ms are 1 s of 40": "trips",
            "the work that follows one another is 100 × 50 ms = 5 s of 40": "work",
            "200 links of 5 ms are 1 s of 40": "links",
        },
        hints=(
            "Make the account: four products.",
            "Work 100 × 50 ms, tasks 100 × 330 × 1 ms, round trips 100 × 10 ms, links 100 × 2 × 5 ms.",
            "5 s, 33 s, 1 s and 1 s.",
        ),
    ),
    Exercise(
        id="03.4",
        objective="03.3",
        kind="code",
        title="The time of a BSP program",
        points=3,
        minutes=12,
        cases=_SUPERSTEPS,
        expected=_bsp,
        behaviour="a superstep takes its longest work, gap times the most words of a worker in or out, and the barrier",
        mistakes={
            "a superstep lasts as long as its slowest worker, not as long as the mean": (
                lambda *a: _bsp(*a, own=_mean)
            ),
            "the most that a worker sends *or* receives counts: do not add both": (
                lambda *a: _bsp(*a, words=lambda s, r: max(x + y for x, y in zip(s, r, strict=True)))
            ),
            "what a worker receives takes as long as what it sends: take the larger": (
                lambda *a: _bsp(*a, words=lambda s, r: max(s))
            ),
            "not all words of all workers: the busiest worker decides": (
                lambda *a: _bsp(*a, words=lambda s, r: sum(s))
            ),
            "every superstep has a barrier": (
                lambda work, sent, received, gap, barrier: _bsp(work, sent, received, gap, 0.0) + barrier
            ),
        },
        hints=(
            "T = w + u g + b for each superstep; the time of the program is the sum.",
            "w is the largest of a row of work; u is the largest number in the row of sent and the row of received.",
            "sum(max(w) + gap * max(*s, *r) + barrier for w, s, r in zip(work, sent, received))",
        ),
    ),
    Exercise(
        id="03.5",
        objective="03.4",
        kind="derive",
        title="The barrier of n workers",
        points=2,
        minutes=8,
        cases=[(1, 0.05), (2, 1.0), (8, 0.05), (10, 2.0), (100, 1.0)],
        expected=lambda workers, mean: float(expected_maximum_exponential(workers, 1 / mean)),
        tolerance=1e-9,
        behaviour="the mean of the largest of so many exponential times",
        mistakes={
            "ln m is what the sum grows like; the sum itself is larger": lambda m, mean: mean * math.log(m),
            "the sum of 1/k begins with k = 1 and ends with k = m": (
                lambda m, mean: mean * sum(1 / k for k in range(1, m))
            ),
            "ln m + 0.577 comes near the sum for many workers only; for one or two it is off": (
                lambda m, mean: mean * (math.log(m) + 0.577)
            ),
            "that is the mean of the smallest, not of the largest": lambda m, mean: mean / m,
            "that is the sum of all; they run at the same time": lambda m, mean: mean * m,
        },
        hints=(
            "While m pieces run, how long does it take on average until the first of them ends?",
            "mean / m; then m − 1 pieces run, and being without memory they are as good as new.",
            "mean times (1/m + 1/(m − 1) + … + 1).",
        ),
    ),
    Exercise(
        id="03.6",
        objective="03.5",
        kind="derive",
        title="How many workers are enough?",
        points=2,
        minutes=10,
        cases=[(100.0, 9.0, 0.1), (4.0, 0.7, 0.05), (34.0, 12.0, 0.5), (1000.0, 1.0, 0.25), (5.0, 5.0, 0.1)],
        expected=lambda work, span, more: max(1, math.ceil((work - span) / (more * span) - 1e-9)),
        behaviour="the fewest workers with which every greedy schedule ends within (1 + more) times the span",
        mistakes={
            "that is enough for the *lower* bound; a greedy schedule may need (W − S)/m + S": (
                lambda work, span, more: max(1, math.ceil(work / ((1 + more) * span) - 1e-9))
            ),
            "while the longest chain runs, a part of the work is done by it: W − S is left for the bound": (
                lambda work, span, more: max(1, math.ceil(work / (more * span) - 1e-9))
            ),
            "if the work is one chain, W = S, it still takes one worker": (
                lambda work, span, more: math.ceil((work - span) / (more * span) - 1e-9)
            ),
            "a number of workers is whole: round up": (
                lambda work, span, more: max(1, math.floor((work - span) / (more * span)))
            ),
        },
        hints=(
            "Which bound holds for every schedule that leaves no worker idle while something is ready?",
            "Solve (W − S)/m + S ≤ (1 + more) S for m.",
            "m ≥ (W − S) / (more · S), rounded up, and at least 1.",
        ),
    ),
    Exercise(
        id="03.7",
        objective="03.7",
        kind="code",
        title="Slack",
        points=4,
        minutes=18,
        cases=lambda: [
            Case((work, slack), says=f"{len(work)} steps of {len(work[0])} workers with slack {slack}")
            for work in _pieces()
            for slack in (0, 1, 3, 20)
        ],
        expected=_slack,
        tolerance=1e-9,
        behaviour="when all are done, if a worker may begin step k only when all have ended step k − 1 − slack",
        mistakes={
            "that is a barrier after every step, whatever the slack": _barrier,
            "that is no barrier at all, whatever the slack": _alone,
            "your workers may be one step more ahead: with slack 0 nobody begins step k before all have ended k − 1": (
                _one_more
            ),
            "your workers may be one step less ahead: with slack 1 step k waits for step k − 2 of all": _one_less,
            "you wait for step k − slack of all; one step earlier is meant: k − 1 − slack": _late,
        },
        hints=(
            "Keep the time at which each worker ends each step.",
            "A worker begins step k when it has ended k − 1 itself, and when all have ended k − 1 − slack.",
            "begin = max(end[k-1][i], max(end[k-1-slack])), where the second counts only if k − 1 − slack ≥ 0.",
        ),
    ),
    Exercise(
        id="03.8",
        objective="03.6",
        kind="derive",
        title="Behind the combiner",
        points=3,
        minutes=12,
        cases=[Case(case, says=f"{len(case[0])} keys, {case[1]} records, {case[2]} mappers") for case in _FREQUENCIES],
        expected=_combined,
        tolerance=1e-6,
        behaviour="the expected number of records that leave all mappers, one for each key that a mapper has at all",
        mistakes={
            "that is every key at every mapper; a rare key is missing at most of them": (
                lambda shares, records, mappers: float(len(shares) * mappers)
            ),
            "a mapper has only its share of the records": (
                lambda shares, records, mappers: float(sum(mappers * (1 - (1 - p) ** records) for p in shares))
            ),
            "that is one mapper; all of them send": (
                lambda shares, records, mappers: float(sum(1 - (1 - p) ** (records / mappers) for p in shares))
            ),
            "that is the number of records without a combiner": lambda shares, records, mappers: float(records),
        },
        hints=(
            "What is the probability that a mapper has no record of a key?",
            "(1 − p)^(records / mappers); with one minus that probability it sends one record of the key.",
            "Sum over the keys: mappers · (1 − (1 − p)^(records / mappers)).",
        ),
    ),
    Exercise(
        id="03.9",
        objective="03.6",
        kind="tune",
        title="Keys to reducers",
        points=3,
        minutes=13,
        cases=_contest,
        judge=_judge_partition,
        baseline=_by_number,
        timed=_contest,
        cost=_fullest,
        target=1.25,
        behaviour="a reducer for each key, so that the fullest has 1.25 times fewer records than with key % reducers",
        hints=(
            "Which keys cause the trouble if they meet? Place them first.",
            "Go through the keys from the largest to the smallest; each goes to the reducer that has the least so far.",
            "load = [0] * reducers; for key in sorted(range(len(sizes)), key=lambda k: -sizes[k]): choose the r of the "
            "smallest load[r], put the key there, and add its size.",
        ),
    ),
    Exercise(
        id="03.10",
        objective="03.7",
        kind="derive",
        title="How stale, how small",
        points=2,
        minutes=5,
        cases=[(1, 1.0), (2, 1.0), (8, 0.5), (8, 4.0), (100, 2.0)],
        expected=lambda workers, curvature: _largest_step(workers - 1, curvature),
        tolerance=1e-6,
        behaviour="the step size below which gradient descent converges, if each change is workers − 1 changes old",
        mistakes={
            "that is the limit for fresh gradients; they are workers − 1 changes old": (
                lambda workers, curvature: 2 / curvature
            ),
            "one worker alone has fresh gradients: τ is one less than there are workers": _largest_step,
            "the limit is that of the step size times the curvature: divide by the curvature": (
                lambda workers, curvature: _largest_step(workers - 1, 1.0)
            ),
        },
        hints=(
            "Which formula of the chapter holds for gradients that are τ changes old? What is τ for m workers?",
            "a λ < 2 sin(π / (2 (2 τ + 1))) with τ = m − 1.",
            "2 * sin(pi / (2 * (2 * (workers - 1) + 1))) / curvature",
        ),
    ),
]
