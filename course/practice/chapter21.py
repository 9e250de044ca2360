"""The exercises of chapter 21, an online service."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course.practice.exercises import Case, Exercise
from course.simulate import micro_batches, queue

CALL, ITEM, THREADS = 0.03, 0.002, 4
"""Seconds of a call, seconds more for each request in it, and threads: the service of exercise 21.9."""

# ---- 21.3 The share in time


def _in_time(latencies: list[float | None], bound: float) -> float:
    return sum(each is not None and each <= bound for each in latencies) / len(latencies)


def _in_time_of_answered(latencies: list[float | None], bound: float) -> float:
    answered = [each for each in latencies if each is not None]
    return sum(each <= bound for each in answered) / len(answered)


def _in_time_strictly(latencies: list[float | None], bound: float) -> float:
    return sum(each is not None and each < bound for each in latencies) / len(latencies)


# ---- 21.4 Micro-batches


def _batches(arrivals: list[float], most: int, wait: float) -> list[float]:
    return micro_batches(np.diff(arrivals, prepend=0.0), most, wait).sent.tolist() if arrivals else []


def _always_waits(arrivals: list[float], most: int, wait: float) -> list[float]:
    sent: list[float] = []
    k = 0
    while k < len(arrivals):
        after = k + 1
        while after < len(arrivals) and after - k < most and arrivals[after] <= arrivals[k] + wait:
            after += 1
        sent.append(arrivals[k] + wait)
        k = after
    return sent


def _waits_for_the_last(arrivals: list[float], most: int, wait: float) -> list[float]:
    sent: list[float] = []
    k = 0
    while k < len(arrivals):
        after = k + 1
        while after < len(arrivals) and after - k < most and arrivals[after] <= arrivals[after - 1] + wait:
            after += 1
        sent.append(arrivals[after - 1] + (0.0 if after - k == most else wait))
        k = after
    return sent


def _by_the_clock(arrivals: list[float], most: int, wait: float) -> list[float]:
    return sorted({(math.floor(each / wait) + 1) * wait for each in arrivals}) if wait else list(arrivals)


def _batch_cases() -> list[Case]:
    arrivals = (np.round(np.random.default_rng(21).exponential(0.0078125, 60) * 1024) / 1024).cumsum().tolist()
    return [
        Case(([0.0, 1.0, 2.0, 7.0, 16.0], 2, 1.5), says="five requests, two in a batch, a wait of 1.5 s"),
        Case(([1.0, 2.0, 3.0], 4, 8.0), says="a batch that is never full"),
        Case(([1.0, 1.0, 1.0, 1.0], 2, 5.0), says="four at the same moment"),
        Case(([1.0, 2.0, 3.0, 4.0], 8, 1.0), says="one that comes at the very end of the wait"),
        Case(([0.5, 0.75], 1, 1.0), says="batches of one"),
        Case(([], 4, 1.0), says="no request"),
        Case((arrivals, 4, 0.03125), says="60 requests, 128 a second"),
    ]


# ---- 21.5 How many threads are busy


def _busy(rate: float, call: float, item: float, most: int, wait: float) -> float:
    size = min(most, 1 + rate * wait)
    return rate / size * (call + item * size)


# ---- 21.7 A hedge with a budget


def _hedge(first: list[float], second: list[float], delay: float, budget: float) -> tuple[list[float], int]:
    latencies, copies = [], 0
    for calls, (a, b) in enumerate(zip(first, second, strict=True), 1):
        if a > delay and copies < budget * calls:
            copies += 1
            a = min(a, delay + b)
        latencies.append(a)
    return latencies, copies


def _hedge_without_budget(
    first: list[float], second: list[float], delay: float, budget: float
) -> tuple[list[float], int]:
    return _hedge(first, second, delay, math.inf)


def _hedge_at_once(first: list[float], second: list[float], delay: float, budget: float) -> tuple[list[float], int]:
    latencies, copies = [], 0
    for calls, (a, b) in enumerate(zip(first, second, strict=True), 1):
        if a > delay and copies < budget * calls:
            copies += 1
            a = min(a, b)
        latencies.append(a)
    return latencies, copies


def _hedge_budget_of_all(
    first: list[float], second: list[float], delay: float, budget: float
) -> tuple[list[float], int]:
    latencies, copies = [], 0
    for a, b in zip(first, second, strict=True):
        if a > delay and copies < budget * len(first):
            copies += 1
            a = min(a, delay + b)
        latencies.append(a)
    return latencies, copies


def _hedge_cases() -> list[Case]:
    rng = np.random.default_rng(7)
    slow = np.where(rng.random((2, 200)) < 0.06, 0.5, 0.03125).tolist()
    return [
        Case(([0.05, 0.6, 0.05], [0.05, 0.05, 0.05], 0.1, 0.5), says="one slow call of three"),
        Case(([0.6, 0.6, 0.6, 0.6], [0.05, 0.05, 0.05, 0.05], 0.1, 0.5), says="all slow, half of them may be copied"),
        Case(([0.125, 0.2], [0.01, 0.3], 0.125, 1.0), says="an answer at the very moment; a first that wins"),
        Case(([0.05] * 9 + [0.6], [0.05] * 10, 0.1, 0.0), says="no budget"),
        Case((*slow, 0.125, 0.05), says="200 calls, 6 in 100 slow, a budget of 5 in 100"),
        Case(([], [], 0.1, 0.1), says="no call"),
    ]


# ---- 21.9 Tune the batcher


def p99_of(gaps: list[float], most: int, wait: float) -> float:
    """Return the 99th percentile of the latency of requests that are batched, and served by four threads [s]."""
    batches = micro_batches(gaps, most, wait)
    served = queue(np.diff(batches.sent, prepend=0.0), CALL + ITEM * batches.size, servers=THREADS)
    return float(np.quantile(served.stop[batches.batch] - np.cumsum(gaps), 0.99))


def _judge_choice(args: tuple[Any, ...], answer: Any) -> str | None:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return "expected two numbers, (most, wait)"
    most, wait = answer
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or not 1 <= most <= 64:
        return "most must be a whole number from 1 to 64"
    if isinstance(wait, bool) or not isinstance(wait, int | float | np.number) or not 0 <= wait <= 1:
        return "wait must be a number of seconds from 0 to 1"
    return None


def _gaps(rate: float, seed: int, n: int = 2000) -> tuple[list[float]]:
    return (np.random.default_rng(seed).exponential(1 / rate, n).tolist(),)


EXERCISES = [
    Exercise(
        id="21.1",
        objective="21.1",
        kind="derive",
        title="How many requests for a percentile?",
        points=2,
        minutes=8,
        cases=[(0.99, 0.95), (0.999, 0.95), (0.5, 0.95), (0.99, 0.5), (0.95, 0.9)],
        expected=lambda q, level: math.ceil(math.log((1 - level) / 2) / math.log(q)),
        behaviour="the fewest requests of which the largest latency bounds the q-quantile from above at this level",
        mistakes={
            "half of what the level leaves is for each side": (
                lambda q, level: math.ceil(math.log(1 - level) / math.log(q))
            ),
            "1 / (1 − q) requests have one beyond the quantile in the mean, which bounds nothing": (
                lambda q, level: round(1 / (1 - q))
            ),
        },
        hints=(
            "The section on how sure a percentile is. When does the largest not bound the quantile?",
            "If all n lie below it, which has the probability q to the power of n.",
            "The smallest whole n with q ** n <= (1 - level) / 2: take logarithms, and round up.",
        ),
    ),
    Exercise(
        id="21.2",
        objective="21.2",
        kind="diagnose",
        title="Idle workers, slow answers",
        points=1,
        minutes=4,
        choices={
            "workers": "There are too few workers.",
            "hash": "Each submit hashes and sends an argument that never changes.",
            "store": "The feature store is slow.",
            "batch": "Batches wait for too long.",
        },
        value="hash",
        mistakes={
            "the threads are idle for most of the time: they wait for work, not the work for them": "workers",
            "a slow store would show as long tasks": "store",
            "one task is one request here; nothing is gathered": "batch",
        },
        hints=(
            "Follow one request from the front to the thread. Where can it wait while threads are idle?",
            "The process of the client is at 100 % of a core. What does it do for each request?",
            "Time submit alone, with the argument and without it.",
        ),
    ),
    Exercise(
        id="21.3",
        objective="21.1",
        kind="code",
        title="The share in time",
        points=2,
        minutes=6,
        cases=[
            Case(([0.1, 0.5, 0.25, None], 0.25), says="four requests, one refused"),
            Case(([None, None, 0.1], 0.2), says="two of three refused"),
            Case(([0.3, 0.4], 0.2), says="none in time"),
            Case(([0.1] * 99 + [None], 0.4), says="a hundred, one refused"),
        ],
        expected=_in_time,
        behaviour="the share of all requests that were answered within the bound; a refusal counts as not answered",
        mistakes={
            "a service that refuses nearly all would look perfect: refusals count as not in time": _in_time_of_answered,
            "an answer at the very bound is within it": _in_time_strictly,
        },
        hints=(
            "What does a client see that was turned away?",
            "Count the answers that are there and not late; divide by all requests.",
            "sum(x is not None and x <= bound for x in latencies) / len(latencies)",
        ),
    ),
    Exercise(
        id="21.4",
        objective="21.3",
        kind="code",
        title="When is each batch sent?",
        points=3,
        minutes=15,
        cases=_batch_cases,
        expected=_batches,
        tolerance=1e-9,
        behaviour="the moment at which each batch is sent: when it is full, or when its first request has waited",
        mistakes={
            "a full batch does not wait any longer": _always_waits,
            "the wait is that of the first request; later ones do not begin it anew": _waits_for_the_last,
            "the clock of a batch starts with its first request, not at whole multiples of the wait": _by_the_clock,
        },
        hints=(
            "Go through the arrivals; keep when the open batch began and how many are in it.",
            "A batch is full at the arrival of its last request. Else it is sent at its first arrival + wait; who "
            "comes at that very moment is still in.",
            "while k < n: take j from k as long as j − k < most and arrivals[j] <= arrivals[k] + wait; send at "
            "arrivals[j − 1] if j − k == most else arrivals[k] + wait; k = j.",
        ),
    ),
    Exercise(
        id="21.5",
        objective="21.3",
        kind="derive",
        title="Threads that a batch saves",
        points=2,
        minutes=8,
        cases=[
            (100.0, 0.054, 0.002, 4, 0.03),
            (100.0, 0.03, 0.002, 1, 0.0),
            (50.0, 0.03, 0.0, 100, 0.02),
            (1000.0, 0.01, 0.005, 8, 0.1),
        ],
        expected=_busy,
        behaviour="the threads that are busy in the mean, with the mean batch of the section on micro-batches",
        mistakes={
            "a batch holds at most so many, however long it waits": lambda rate, call, item, most, wait: (
                rate / (1 + rate * wait) * (call + item * (1 + rate * wait))
            ),
            "the first request is in its batch, too: 1 + λw": lambda rate, call, item, most, wait: (
                rate / max(min(most, rate * wait), 1e-9) * (call + item * min(most, rate * wait))
            ),
            "each request in the batch adds its part to the call": lambda rate, call, item, most, wait: (
                rate / min(most, 1 + rate * wait) * (call + item)
            ),
        },
        hints=(
            "How many calls a second are made, and how long does each take?",
            "The mean batch is min(most, 1 + rate × wait).",
            "rate / size × (call + item × size)",
        ),
    ),
    Exercise(
        id="21.6",
        objective="21.4",
        kind="predict",
        title="Two actors, eight threads",
        points=1,
        minutes=4,
        value=0.8,
        tolerance=0.05,
        behaviour="the seconds until all eight calls are answered",
        mistakes={
            "all eight at once would need methods that are coroutines": 0.1,
            "two actors share the one actor thread of their worker": 0.4,
        },
        hints=(
            "The section on actors: in which thread does a method run?",
            "It is one thread a worker, not one an actor.",
            "Eight calls of 0.1 s, one after the other.",
        ),
    ),
    Exercise(
        id="21.7",
        objective="21.5",
        kind="code",
        title="A hedge with a budget",
        points=3,
        minutes=12,
        cases=_hedge_cases,
        expected=_hedge,
        tolerance=1e-9,
        behaviour="the latency of each call and how many were sent twice, when copies keep within the budget",
        mistakes={
            "in an overload that sends every call twice: mind the budget": _hedge_without_budget,
            "the copy starts after the delay: add it": _hedge_at_once,
            "the budget is a share of the calls so far, not of those to come": _hedge_budget_of_all,
        },
        hints=(
            "Chapter 16's hedge, call by call, with two counters.",
            "A copy is sent if the first has no answer after the delay and copies < budget × calls so far (this one "
            "counts).",
            "for calls, (a, b) in enumerate(zip(first, second), 1): if a > delay and copies < budget * calls: …",
        ),
    ),
    Exercise(
        id="21.8",
        objective="21.6",
        kind="derive",
        title="How many inside?",
        points=2,
        minutes=6,
        cases=[
            (4, 4, 0.0625, 0.03125, 0.5),
            (4, 1, 0.05, 0.0, 0.25),
            (2, 8, 0.125, 0.0, 0.1),
            (8, 2, 0.04, 0.02, 1.06),
        ],
        expected=lambda threads, batch, call, wait, objective: max(
            0, math.floor(threads * batch / call * (objective - wait - call) + 1e-9)
        ),
        behaviour="the most requests inside, so that the last of them is still answered within the objective",
        mistakes={
            "its own time is part of the objective: take wait and call from it": (
                lambda threads, batch, call, wait, objective: math.floor(threads * batch / call * objective + 1e-9)
            ),
            "the call of the last one takes its time, too: take it from the objective as well": (
                lambda threads, batch, call, wait, objective: max(
                    0, math.floor(threads * batch / call * (objective - wait) + 1e-9)
                )
            ),
            "a call answers a whole batch": (
                lambda threads, batch, call, wait, objective: max(
                    0, math.floor(threads / call * (objective - wait - call) + 1e-9)
                )
            ),
        },
        hints=(
            "The capacity μ is how many requests all threads answer in a second.",
            "μ = threads × batch / call; a request that finds no queue takes up to wait + call.",
            "floor(μ × (objective − wait − call)), and 0 if that is negative.",
        ),
    ),
    Exercise(
        id="21.9",
        objective="21.3",
        kind="tune",
        title="Choose the batcher",
        points=3,
        minutes=15,
        cases=[_gaps(100.0, 1, 200), _gaps(400.0, 2, 200)],
        judge=_judge_choice,
        behaviour="a pair (most, wait): requests in a batch, 1 to 64, and seconds that the first one waits, 0 to 1",
        baseline=lambda gaps: (1, 0.0),
        timed=[_gaps(150.0, 3), _gaps(300.0, 4), _gaps(600.0, 5)],
        cost=lambda args, answer: p99_of(args[0], int(answer[0]), float(answer[1])),
        target=120.0,
        hints=(
            "The baseline needs λ × 0.032 threads and has four. How large must a batch be, so that they suffice?",
            "Estimate the rate: n / sum(gaps). Let three quarters of the threads be busy: solve a_b = 3 for B.",
            "B = rate × 0.03 / (3 − 0.002 × rate) or 1; wait = (B − 1) / rate; allow larger batches than that (most = "
            "2B + 2), so that a burst is taken in.",
        ),
    ),
]
