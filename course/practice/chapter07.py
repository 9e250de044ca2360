"""The exercises of chapter 07, protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from course.models import consensus_latency, detection_time, duplicate_probability
from course.practice.exercises import Case, Exercise

# ---- 07.4 A receiver that can be told twice

Letter = tuple[str, int]
"""An identifier, which the sender gives once, and an amount."""

LETTERS: dict[str, list[Letter]] = {
    "no letter": [],
    "three letters, once each": [("a", 5), ("b", 7), ("c", -2)],
    "a letter twice in a row": [("a", 5), ("a", 5), ("b", 7)],
    "a letter again, much later": [("a", 5), ("b", 7), ("c", 1), ("a", 5)],
    "two letters of the same amount": [("a", 5), ("b", 5)],
    "everything twice, in another order": [("a", 1), ("b", 2), ("c", 3), ("c", 3), ("a", 1), ("b", 2)],
    "an amount of nothing, and one back": [("a", 0), ("b", 4), ("c", -4), ("b", 4)],
}


def _balance(letters: Sequence[Letter]) -> int:
    return sum(dict(letters).values())


def _in_a_row(letters: Sequence[Letter]) -> int:
    return sum(letter[1] for before, letter in zip([None, *letters], letters, strict=False) if before != letter)


# ---- 07.5 When Dask notices


def _beat(workers: int) -> float:
    return 0.5 if workers <= 10 else 1.0 if workers < 50 else 2.0 if workers < 200 else workers / 200 + 1


def _noticed(workers: int, ttl: float) -> float:
    return float(detection_time(max(ttl, 10 * _beat(workers)), _beat(workers))) + ttl / 2


# ---- 07.6 Patience

PATIENCE = [
    (0.01, 1.0, 1, 1.0),
    (0.01, 1.0, 1000, 1.0),
    (0.1, 0.5, 100, 30.0),
    (0.3, 2.0, 10, 365.0),
    (0.001, 1.0, 10_000, 365.0),
    (0.05, 5.0, 1, 0.001),
    (0.6, 1.0, 20, 7.0),  # so much loss that each of the mistakes below gives another number
]
"""Loss, period [s], workers, days."""


def _patience(loss: float, period: float, workers: int, days: float, begins: float | None = None) -> int:
    """Count upwards; `begins` is the probability that a run of losses begins, 1 − loss if it is not given."""
    begins = 1 - loss if begins is None else begins
    for missed in range(1, 1000):
        if period / (begins * loss**missed) / workers >= days * 86400:
            return missed
    raise ArithmeticError("more than 1000 heartbeats")


# ---- 07.9 Agreement


def _agree(replicas: int, mean: float) -> float:
    return float(consensus_latency(mean, replicas))


def _ordered(fastest: int, answers: int, mean: float) -> float:
    """Return the mean of the so manieth of exponential answers."""
    return mean * float(sum(1 / (answers - k) for k in range(min(fastest, answers))))


def _judge_agree(args: tuple[Any, ...], result: Any) -> str | None:
    if not isinstance(result, int | float | np.number):
        return "expected one number, in seconds"
    return None


EXERCISES = [
    Exercise(
        id="07.1",
        objective="07.1",
        kind="predict",
        title="Count before you run",
        points=1,
        minutes=5,
        value=4 * 1000 + 2 * 1 + 3 * 200,
        tolerance=0.0001,
        behaviour="the messages on the streams of the scheduler, of all kinds that the chapter's formula counts",
        mistakes={
            "you counted every result as wanted; the client holds only the last one": 6 * 1000 + 3 * 200,
            "a transfer makes one more copy, which is freed and confirmed too": 4 * 1000 + 2 + 200,
            "that is assignment and report only; copies are freed and confirmed, too": 2 * 1000,
            "you left out that the last result is announced to the client, and let go": 4 * 1000 + 3 * 200,
        },
        hints=(
            "The section “Who says what” has a formula of three terms.",
            "How many tasks are there, how many results does the client hold, how many results are fetched?",
            "n = 1000, g = 1, e = 200: put them into 4n + 2g + 3e.",
        ),
    ),
    Exercise(
        id="07.2",
        objective="07.2",
        kind="diagnose",
        title="Processing for ten minutes",
        points=1,
        minutes=5,
        choices={
            "slow": "The function is slow: it has been running for ten minutes.",
            "queue": "The task waits at its worker for a thread, behind others.",
            "data": "The task waits at its worker for data of another worker.",
            "lost": "The message compute-task was lost.",
        },
        value="queue",
        mistakes={
            "processing says that the task is assigned; the worker's state would be executing": "slow",
            "a task that waits for data is waiting at the worker, and what it waits for in fetch or flight": "data",
            "the worker knows the task, so the message arrived; a stream loses nothing while it lives": "lost",
        },
        hints=(
            "What does processing mean, and who knows more?",
            "Look at the worker's machine in the chapter: what comes between waiting and executing?",
            "ready: all inputs are there, and no thread is free.",
        ),
    ),
    Exercise(
        id="07.3",
        objective="07.3",
        kind="derive",
        title="Twice, with limited patience",
        points=2,
        minutes=12,
        cases=[(0.1, 1), (0.1, 2), (0.1, 3), (0.3, 5), (0.5, 2), (0.0, 4), (0.01, 50), (0.9, 3)],
        expected=lambda loss, sends: float(duplicate_probability(loss, sends)),
        tolerance=1e-9,
        behaviour="the probability that a message which is sent at most k times is acted upon more than once",
        mistakes={
            "that holds for endless patience; with k sends a second arrival may never come": lambda q, k: q,
            "you let the sender send k times in any case; it stops at the first acknowledgement": (
                lambda q, k: 1 - q**k - k * q ** (k - 1) * (1 - q)
            ),
            "that is the probability that the first send arrives and its acknowledgement does not": (
                lambda q, k: (1 - q) * q
            ),
            "that is the probability that no acknowledgement comes back": lambda q, k: (1 - (1 - q) ** 2) ** k,
        },
        hints=(
            "Two things must happen: at least two of the sends would arrive, and the sender goes on after the first.",
            "Draw the fate of all k sends beforehand. At least two get through with a binomial probability.",
            "It is q · [1 − q^k − k q^(k−1) (1 − q)]: the acknowledgement of the first arrival is lost, and, "
            "independently, at least two of k get through.",
        ),
    ),
    Exercise(
        id="07.4",
        objective="07.3",
        kind="code",
        title="A receiver that can be told twice",
        points=2,
        minutes=10,
        cases=lambda: [Case((letters,), says=what) for what, letters in LETTERS.items()],
        expected=_balance,
        behaviour="the sum of the amounts, each letter counted once however often and whenever it arrives",
        mistakes={
            "a letter that arrives again is counted again": lambda letters: sum(amount for _, amount in letters),
            "two different letters may have the same amount; only the identifier says which letter it is": (
                lambda letters: sum({amount for _, amount in letters})
            ),
            "a letter may come again later, not only right after its first arrival": _in_a_row,
        },
        hints=(
            "What does the receiver have to remember to know that it has seen a letter?",
            "Keep a set of identifiers. Act only if the identifier is not in it, and then put it in.",
            "seen, total = set(), 0; for each (identifier, amount): if identifier not in seen: seen.add(identifier); "
            "total += amount.",
        ),
    ),
    Exercise(
        id="07.5",
        objective="07.4",
        kind="derive",
        title="When Dask notices",
        points=3,
        minutes=12,
        cases=[(4, 0.5), (10, 2.0), (11, 2.0), (49, 60.0), (50, 60.0), (200, 30.0), (1000, 10.0), (1000, 300.0)],
        expected=_noticed,
        tolerance=1e-6,
        behaviour="the mean seconds from freezing to noticing, for a number of workers and a worker-ttl, without loss",
        mistakes={
            "Dask's time-out is never less than ten heartbeat intervals": (lambda n, ttl: ttl - _beat(n) / 2 + ttl / 2),
            "somebody has to look: the check comes once every worker-ttl seconds": (
                lambda n, ttl: max(ttl, 10 * _beat(n)) - _beat(n) / 2
            ),
            "the silence began before the worker froze, half an interval on average": (
                lambda n, ttl: max(ttl, 10 * _beat(n)) + ttl / 2
            ),
            "the check comes every worker-ttl seconds, whatever the time-out is": (
                lambda n, ttl: 1.5 * max(ttl, 10 * _beat(n)) - _beat(n) / 2
            ),
        },
        hints=(
            "Three numbers: the heartbeat interval, the time-out and the interval of the check. The table “In "
            "practice” has the first.",
            "The time-out is the larger of worker-ttl and ten intervals. The silence is half an interval old; the next "
            "check is half a worker-ttl away.",
            "eta = 0.5 if n <= 10 else 1 if n < 50 else 2 if n < 200 else n / 200 + 1; then "
            "max(ttl, 10 * eta) - eta / 2 + ttl / 2.",
        ),
    ),
    Exercise(
        id="07.6",
        objective="07.5",
        kind="code",
        title="Patience for a cluster",
        points=3,
        minutes=15,
        cases=PATIENCE,
        expected=_patience,
        behaviour="the smallest number of heartbeats, at least 1, that must all be missed so that the whole cluster "
        "suspects a live worker no more often than once in so many days",
        mistakes={
            "that is enough for one worker; a cluster sees the mistakes of all": (
                lambda q, period, workers, days: _patience(q, period, 1, days)
            ),
            "a heartbeat comes every period, not every second": (
                lambda q, period, workers, days: _patience(q, 1.0, workers, days)
            ),
            "days are 86,400 seconds": lambda q, period, workers, days: _patience(q, period, workers, days / 86400),
            "a run of misses counts once, where it begins, after a heartbeat that arrived: that is the factor 1 − q": (
                lambda q, period, workers, days: _patience(q, period, workers, days, begins=1.0)
            ),
            "that is one too many; ask for the smallest": (
                lambda q, period, workers, days: _patience(q, period, workers, days) + 1
            ),
        },
        hints=(
            "With k heartbeats to be missed, one worker is suspected once in η / ((1 − q) q^k) seconds.",
            "With m workers it is m times as often. Try k = 1, 2, 3, … until the mean time between mistakes is enough.",
            "k = 1; while period / ((1 - loss) * loss**k) / workers < days * 86400: k += 1; return k.",
        ),
    ),
    Exercise(
        id="07.7",
        objective="07.6",
        kind="predict",
        title="What poison costs",
        points=1,
        minutes=4,
        value=4,
        tolerance=1e-9,
        behaviour="how many worker processes die before the task fails",
        mistakes={
            "the setting says how many deaths are allowed; the next one is too many": 3,
            "Dask gives up before all ten are dead": 10,
            "a task is assigned again after a death": 1,
        },
        hints=(
            "The section “What runs again”: when exactly does Dask give up?",
            "The default of allowed-failures is 3, and a task fails when it has more deaths than that.",
            "After the third death it is still assigned; after the next it is not.",
        ),
    ),
    Exercise(
        id="07.8",
        objective="07.4",
        kind="diagnose",
        title="Noticed late",
        points=2,
        minutes=8,
        choices={
            "loss": "Heartbeats of C were lost.",
            "interval": "C had sent its last heartbeat later than B.",
            "checker": "The check that found B was busy with B until then, and nobody looked.",
            "limit": "Dask restarts one worker at a time, to keep the others running.",
        },
        value="checker",
        mistakes={
            "loss would make a worker be found sooner, not later": "loss",
            "that makes a difference of half a second at most, not of four": "interval",
            "it restarts as many as it has found, together; it had not found C yet": "limit",
        },
        hints=(
            "How often does the check come in this cluster, and how long could C have been silent by 5.3 s?",
            "By then it was over the time-out. So a check would have found it. Was there one?",
            "“When the model lies”: what does check_worker_ttl wait for?",
        ),
    ),
    Exercise(
        id="07.9",
        objective="07.7",
        kind="derive",
        title="How long a majority takes",
        points=3,
        minutes=15,
        cases=[(1, 0.01), (2, 0.01), (3, 0.01), (4, 0.01), (5, 0.02), (6, 0.01), (7, 0.01), (101, 1.0)],
        expected=_agree,
        judge=_judge_agree,
        tolerance=1e-9,
        behaviour="the mean seconds until a leader knows that a majority has its entry, if each follower answers after "
        "an exponential time of the given mean",
        mistakes={
            "the leader is one of the majority: it needs one answer fewer": (
                lambda n, mean: _ordered(n // 2 + 1, n - 1, mean)
            ),
            "the leader does not ask itself: there are N − 1 answers": lambda n, mean: _ordered(n // 2, n, mean),
            "that waits for all followers; a majority is enough": lambda n, mean: _ordered(n - 1, n - 1, mean),
        },
        hints=(
            "Of how many answers does the leader need how many?",
            "Of N − 1 answers it needs ⌊N/2⌋. The first of j exponential answers comes after mean / j on average; then "
            "j − 1 are left.",
            "mean * sum(1 / j for j in range(N - 1, N - 1 - N // 2, -1)); for one replica that is 0.",
        ),
    ),
]
