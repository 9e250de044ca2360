"""The exercises of chapter 04, storage models."""

from __future__ import annotations

from typing import Any

import numpy as np

from course.models import lru_hit_ratio, zipf
from course.practice.exercises import Case, Exercise

# ---- 04.1 The time of a query

ALPHA, BANDWIDTH = 0.030, 20e6  # of the store in 04.1: seconds, bytes a second
FILES, GROUPS, CHUNK, FOOTER, AT_ONCE = 100, 8, 40_000, 65_536, 10


def _query_time(footers: bool = True, requests: bool = True, at_once: int = AT_ONCE) -> float:
    n = FILES * (GROUPS + footers)
    size = FILES * (GROUPS * CHUNK + footers * FOOTER)
    return (n * ALPHA * requests + size / BANDWIDTH) / at_once


# ---- 04.2 Requests

CHUNKS = {
    "three chunks, the first two near": ([(100, 50), (160, 40), (1000, 10)], 20),
    "the same in another order": ([(1000, 10), (100, 50), (160, 40)], 20),
    "a hole of exactly the limit": ([(0, 10), (30, 10)], 20),
    "a hole one byte larger": ([(0, 10), (31, 10)], 20),
    "a long chunk before a near one": ([(0, 500), (505, 20)], 10),
    "four chunks in a row": ([(4, 100), (104, 100), (204, 100), (304, 100)], 0),
    "one chunk": ([(4, 100)], 8192),
    "none": ([], 8192),
}


def _requests(chunks: list[tuple[int, int]], hole: int) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for offset, size in sorted(chunks):
        if joined and offset - sum(joined[-1]) <= hole:
            start = joined[-1][0]
            joined[-1] = (start, offset + size - start)
        else:
            joined.append((offset, size))
    return joined


def _requests_from_the_start(chunks: list[tuple[int, int]], hole: int) -> list[tuple[int, int]]:
    """Measure the hole from where the last request starts, not from where it ends."""
    joined: list[tuple[int, int]] = []
    for offset, size in sorted(chunks):
        if joined and offset - joined[-1][0] <= hole:
            joined[-1] = (joined[-1][0], offset + size - joined[-1][0])
        else:
            joined.append((offset, size))
    return joined


def _requests_without_holes(chunks: list[tuple[int, int]], hole: int) -> list[tuple[int, int]]:
    """Add up the sizes of the chunks, and forget the bytes between them."""
    joined: list[tuple[int, int]] = []
    end = 0
    for offset, size in sorted(chunks):
        if joined and offset - end <= hole:
            joined[-1] = (joined[-1][0], joined[-1][1] + size)
        else:
            joined.append((offset, size))
        end = offset + size
    return joined


def _requests_unsorted(chunks: list[tuple[int, int]], hole: int) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for offset, size in chunks:
        if joined and offset - sum(joined[-1]) <= hole:
            joined[-1] = (joined[-1][0], offset + size - joined[-1][0])
        else:
            joined.append((offset, size))
    return joined


def _requests_below(chunks: list[tuple[int, int]], hole: int) -> list[tuple[int, int]]:
    return _requests(chunks, hole - 1)


# ---- 04.3 The best row group

LAYOUTS = [(10_000, 100.0, 0.02, 2e-7), (1_000_000, 8.0, 0.03, 1e-8), (17, 30.0, 0.02, 2e-7), (5000, 250.0, 0.1, 1e-9)]


def _best_group(wanted: float, row: float, alpha: float, beta: float) -> float:
    return float(np.sqrt(alpha * wanted / (beta * row)))


# ---- 04.5 The owner of a key

RING = [(0.10, "a"), (0.35, "b"), (0.40, "a"), (0.80, "c")]
KEYS = {"between two points": 0.2, "on a point": 0.35, "before the first": 0.03, "after the last": 0.95, "near c": 0.7}


def _owner(points: list[tuple[float, str]], key: float) -> str:
    for position, node in sorted(points):
        if position >= key:
            return node
    return min(points)[1]


def _owner_without_wrap(points: list[tuple[float, str]], key: float) -> str:
    return next((node for position, node in sorted(points) if position >= key), max(points)[1])


def _owner_before(points: list[tuple[float, str]], key: float) -> str:
    return next((node for position, node in sorted(points, reverse=True) if position <= key), max(points)[1])


def _owner_nearest(points: list[tuple[float, str]], key: float) -> str:
    return min(points, key=lambda point: min(abs(point[0] - key), 1 - abs(point[0] - key)))[1]


def _ring_cases() -> list[Case]:
    return [
        *(Case((RING, key), says=f"a key {where}, at {key}") for where, key in KEYS.items()),
        Case((RING[::-1], 0.2), says="points that are not in order"),
        Case(([(0.5, "a")], 0.9), says="one point"),
    ]


# ---- 04.8 The best strict quorum

QUORUMS = [(n, share) for n in (1, 3, 4, 5, 7) for share in (0.0, 0.3, 0.6, 0.9, 1.0)]


def _mean_wait(replicas: int, quorum: int) -> float:
    """Return E[T_q] of exponential delays of mean 1."""
    return sum(1 / i for i in range(replicas - quorum + 1, replicas + 1))


def _mean_latency(replicas: int, share: float, read: int, write: int) -> float:
    return share * _mean_wait(replicas, read) + (1 - share) * _mean_wait(replicas, write)


def _best_quorum(replicas: int, share: float) -> tuple[int, int]:
    strict = [(r, replicas + 1 - r) for r in range(1, replicas + 1)]
    return min(strict, key=lambda pair: _mean_latency(replicas, share, *pair))


def _judge_quorum(args: tuple[Any, ...], result: Any) -> str | None:
    replicas, share = args
    if not isinstance(result, list | tuple | np.ndarray) or len(result) != 2:
        return "expected a pair (r, w)"
    if not all(isinstance(q, int | np.integer) and 1 <= q <= replicas for q in result):
        return f"each of r and w is a whole number from 1 to {replicas}"
    read, write = (int(q) for q in result)
    if read + write <= replicas:
        return f"r + w is {read + write}: a read of {read} can miss a write of {write}; they must meet"
    best = _mean_latency(replicas, share, *_best_quorum(replicas, share))
    got = _mean_latency(replicas, share, read, write)
    if got > best * (1 + 1e-9) + 1e-12:
        return f"r = {read}, w = {write} takes {got:.3f} d on average; another strict pair takes {best:.3f} d"
    return None


# ---- 04.11 Che's approximation


def _popularities() -> list[Case]:
    shapes = {
        "1,000 pages by Zipf's law": zipf(1000, 0.9),
        "500 items, all alike": np.full(500, 1 / 500),
        "200 items by a steeper law": zipf(200, 1.4),
    }
    return [
        Case((p.tolist(), capacity), says=f"{what}, room for {capacity}")
        for what, p in shapes.items()
        for capacity in (10, 100)
    ]


def _most_popular(popularity: list[float], capacity: int) -> float:
    return float(sum(sorted(popularity)[::-1][:capacity]))


def _share_of_items(popularity: list[float], capacity: int) -> float:
    return capacity / len(popularity)


def _time_is_capacity(popularity: list[float], capacity: int) -> float:
    p = np.asarray(popularity)
    return float((p * -np.expm1(-p * capacity)).sum())


EXERCISES = [
    Exercise(
        id="04.1",
        objective="04.1",
        kind="predict",
        title="How long at the least?",
        points=2,
        minutes=8,
        value=_query_time,
        tolerance=0.01,
        behaviour="the lower bound of the α–β model, in seconds",
        mistakes={
            "you counted bytes only: each request costs its latency, too": lambda: _query_time(requests=False),
            "you left out the footers: one more request for each file": lambda: _query_time(footers=False),
            "ten files are read at a time": lambda: _query_time(at_once=1),
        },
        hints=(
            "Count the requests and the bytes first; then put them into the formula with α, β and m.",
            "Each file costs eight requests for chunks (the holes are far too large to join) and one for its footer.",
            "n = 900 and s = 100 · (8 · 40,000 + 65,536). The bound is (n · 0.030 + s / 20,000,000) / 10.",
        ),
    ),
    Exercise(
        id="04.2",
        objective="04.1",
        kind="code",
        title="Plan the requests",
        points=3,
        minutes=12,
        cases=[Case(args, says=what) for what, args in CHUNKS.items()],
        expected=_requests,
        behaviour="chunks at most `hole` bytes apart are fetched by one request (offset, size); sorted by offset",
        mistakes={
            "the hole is what lies between the end of one chunk and the start of the next": _requests_from_the_start,
            "a request that joins chunks fetches the bytes between them, too": _requests_without_holes,
            "a hole of exactly the limit is joined": _requests_below,
            "the chunks need not be given in the order of their offsets": _requests_unsorted,
        },
        hints=(
            "Go through the chunks in the order of their offsets, and keep the last request.",
            "The hole is the offset of the chunk less the end of the last request. Join, or begin a new request.",
            "If offset - (start + length) <= hole: the last request becomes (start, offset + size - start).",
        ),
    ),
    Exercise(
        id="04.3",
        objective="04.2",
        kind="derive",
        title="The best row group",
        points=3,
        minutes=10,
        cases=LAYOUTS,
        expected=_best_group,
        tolerance=0.01,
        behaviour="the number of rows in a group for which the mean time of the query is smallest",
        mistakes={
            "that makes the number of requests smallest; larger groups also fetch rows that nobody wants": (
                lambda wanted, row, alpha, beta: wanted
            ),
            "that is where one request costs as much as the bytes of one group; it does not depend on what is wanted": (
                lambda wanted, row, alpha, beta: alpha / (beta * row)
            ),
            "the derivative of α w / k is −α w / k²: you forgot the root": (
                lambda wanted, row, alpha, beta: alpha * wanted / (beta * row)
            ),
        },
        hints=(
            "Write the time as a function of k: what falls with k, and what grows with it?",
            "T(k) = α (1 + w/k) + β b (k + w). Set the derivative by k to 0.",
            "α w / k² = β b, so k² = α w / (β b).",
        ),
    ),
    Exercise(
        id="04.4",
        objective="04.2",
        kind="diagnose",
        title="Nothing is skipped",
        points=1,
        minutes=5,
        choices={
            "filter": "The filter does not reach the file; it must be given as filters=.",
            "order": "Each group holds users from nearly the smallest to nearly the largest number.",
            "size": "The groups are too large; with 10,000 rows each, most would be skipped.",
            "equality": "Statistics help with ranges only, not with an equality.",
        },
        value="order",
        mistakes={
            "it was given as filters=, and its row groups were compared with the statistics": "filter",
            "also 10,000 rows in the order of time have users from nearly the smallest to nearly the largest": "size",
            "an equality is the range from a value to the same value; the statistics serve it as well": "equality",
        },
        hints=(
            "What do the statistics of one group say about the column user?",
            "A group is skipped if 12,345 is below its smallest or above its largest user.",
            "A million events in the order of time come from users all over the range.",
        ),
    ),
    Exercise(
        id="04.5",
        objective="04.3",
        kind="code",
        title="Who owns the key?",
        points=2,
        minutes=8,
        cases=_ring_cases,
        expected=_owner,
        behaviour="the node of the first point at or after the key, around the end of the ring",
        mistakes={
            "a key after the last point belongs to the first: the ring is closed": _owner_without_wrap,
            "that is the point before the key; take the one at or after it": _owner_before,
            "not the nearest point counts, but the next one": _owner_nearest,
        },
        hints=(
            "Sort the points. Look for the first whose position is not smaller than the key's.",
            "If there is none, the key lies between the last point and the end of the ring.",
            "Return the node of the first such point; if there is none, the node of the smallest position.",
        ),
    ),
    Exercise(
        id="04.6",
        objective="04.3",
        kind="predict",
        title="How many virtual nodes?",
        points=1,
        minutes=5,
        value=380,
        tolerance=0.06,
        behaviour="points of each node for a spread of 5 %",
        mistakes={
            "the spread falls with the square root of v: for a twentieth it takes 400 or so": 20,
            "that many in all; the question is how many each node has": 7600,
        },
        hints=(
            "The section on consistent hashing has the formula for σ/μ.",
            "Solve √((n − 1)/(n v + 1)) = 0.05 for v, or take the approximation 1/√v.",
            "n v + 1 = 19 / 0.0025 = 7,600. Divide by n = 20.",
        ),
    ),
    Exercise(
        id="04.7",
        objective="04.4",
        kind="predict",
        title="A stale read",
        points=1,
        minutes=5,
        value=0.3,
        tolerance=0.005,
        behaviour="the probability that a read at the commit misses the write",
        mistakes={
            "that draws replicas with replacement: the two that are asked are different ones": 0.36,
            "that is the probability that it sees the write": 0.7,
            "that is the probability that one replica that is asked has not got it; two are asked": 0.6,
        },
        hints=(
            "In how many ways can two of five replicas be asked? In how many of them has neither the write?",
            "Three replicas have not got it. Choose two of them, out of all pairs of five.",
            "3 pairs of the three without the write, divided by 10 pairs in all.",
        ),
    ),
    Exercise(
        id="04.8",
        objective="04.4",
        kind="code",
        title="The best strict quorum",
        points=3,
        minutes=12,
        cases=QUORUMS,
        judge=_judge_quorum,
        behaviour="the pair (r, w) with r + w > N whose mean latency over reads and writes is smallest",
        mistakes={
            "majorities are safe, but where reads rule, a small r is better, and the other way round": (
                lambda n, share: (n // 2 + 1, n // 2 + 1)
            ),
            "r = w = 1 is fastest, but such reads can miss writes": lambda n, share: (1, 1),
            "you gave the small quorum to the rarer operation": lambda n, share: _best_quorum(n, share)[::-1],
        },
        hints=(
            "There are only N pairs worth trying: r + w = N + 1. To wait for more is never faster.",
            "E[T_q] is the sum of 1/i for i from N − q + 1 to N, in units of d. Weigh r's by the share of reads.",
            "Of all pairs (r, n + 1 − r), take the one with the smallest share · wait(r) + (1 − share) · wait(w).",
        ),
    ),
    Exercise(
        id="04.9",
        objective="04.5",
        kind="predict",
        title="What CAP says",
        points=1,
        minutes=4,
        choices={
            "two": "A designer chooses two of consistency, availability and partition tolerance.",
            "fast": "A consistent store is slower than an available one while the network works.",
            "lost": "If messages may be lost, reads and writes cannot be both atomic and always answered.",
            "eventual": "Without partitions, no store can offer both atomic operations and answers to all requests.",
        },
        value="lost",
        mistakes={
            "nobody chooses whether the network loses messages; the theorem is about what happens when it does": "two",
            "that is the else of PACELC; CAP says nothing about latency": "fast",
            "a network known to lose nothing allows both; the theorem needs messages that may be lost": "eventual",
        },
        hints=(
            "Read the sentence of Gilbert and Lynch again: what does it assume of the network?",
            "Two of the answers speak of a network that works. The theorem does not.",
            "It is about executions in which messages are lost, and about atomic operations and answers to all.",
        ),
    ),
    Exercise(
        id="04.10",
        objective="04.6",
        kind="predict",
        title="A disk is gone",
        points=1,
        minutes=4,
        value=100,
        tolerance=0.01,
        behaviour="terabytes read from other disks to rebuild one",
        mistakes={
            "that is right for copies; a fragment is computed from k others": 10,
            "any k fragments are enough; the parity need not all be read": 130,
            "that counts the lost disk too; and k fragments are enough": 140,
        },
        hints=(
            "Each fragment on the disk belongs to an object of its own. What does it take to compute one fragment?",
            "Any k fragments of the object give it back. Here k = 10.",
            "For each byte on the lost disk ten bytes are read elsewhere.",
        ),
    ),
    Exercise(
        id="04.11",
        objective="04.7",
        kind="code",
        title="Che's approximation",
        points=4,
        minutes=17,
        cases=_popularities,
        expected=lru_hit_ratio,
        tolerance=1e-3,
        behaviour="the share of requests that an LRU cache answers, by Che's approximation",
        mistakes={
            "that keeps the most popular items; LRU spends room on others that came by lately": _most_popular,
            "that is right only if all items are equally popular": _share_of_items,
            "T is not the capacity: it is the time in which so many different items are asked for": _time_is_capacity,
        },
        hints=(
            "First find T from the second equation; then put it into the first.",
            "The sum of 1 − exp(−p T) grows with T, so bisection or scipy.optimize.brentq finds where it is C.",
            "T = brentq(lambda t: (1 - np.exp(-p * t)).sum() - C, C, 1e9); return (p * (1 - np.exp(-p * T))).sum().",
        ),
    ),
]
