"""The exercises of chapter 15, moving data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course.models import best_chunk, best_fan_in, chunk_time, join_bytes, shuffle_tasks, tree_reduce_time
from course.practice.exercises import Case, Exercise
from course.simulate import Send, play

# ---- 15.3 Chunks that fit, in whole numbers


def _chunks(work: float, workers: int, overhead: float, slowest: float, size: float, memory: float) -> int:
    return best_chunk(work, workers, overhead, slowest=slowest, size=size, memory=memory, most=5000).chunks


def _by_formula(work: float, workers: int, overhead: float, slowest: float, size: float, memory: float) -> int:
    return max(round(math.sqrt((slowest - 1) * workers * work / overhead)), 1, math.ceil(size / memory))


def _without_memory(work: float, workers: int, overhead: float, slowest: float, size: float, memory: float) -> int:
    return best_chunk(work, workers, overhead, slowest=slowest, most=5000).chunks


_CHUNKINGS = [
    (1.6, 16, 0.018, 3, 200e6, 1e9),
    (100, 10, 0.1, 1, 50e9, 1e9),
    (2000, 64, 0.05, 3, 200e9, 0.1e9),
    (2000, 64, 0.05, 1, 200e9, 0.1e9),
    (30, 8, 0.02, 1, 1e9, 2e9),
    (30, 8, 0.02, 5, 1e9, 2e9),
]


def _judge_chunks(args: tuple[Any, ...], chunks: Any) -> str | None:
    work, workers, overhead, slowest, size, memory = args
    if isinstance(chunks, bool) or not isinstance(chunks, int | np.integer) or not 1 <= chunks <= 5000:
        return f"got {chunks!r:.60}; expected a whole number from 1 to 5,000"
    if size / chunks > memory * (1 + 1e-12):
        return f"{chunks} chunks have {size / chunks:.3g} bytes each; {memory:.3g} are allowed"
    took = chunk_time(work, int(chunks), workers, overhead, slowest=slowest)
    best = best_chunk(work, workers, overhead, slowest=slowest, size=size, memory=memory, most=5000)
    if took > best.time * (1 + 1e-9):
        return f"{chunks} chunks take {took:.4g} s; there is a number that takes {best.time:.4g} s"
    return None


# ---- 15.4 The width of a tree


def _fan_in(workers: int, level: float, each: float) -> int:
    return best_fan_in(workers, 0, 0, math.inf, combine=each, overhead=level).fan_in


_TREES = [(64, 0.021, 0.005), (64, 1.0, 0.0), (64, 0.0, 1.0), (1000, 0.01, 0.01), (100, 0.003, 0.001), (7, 1.0, 0.1)]


def _judge_fan_in(args: tuple[Any, ...], fan_in: Any) -> str | None:
    workers, level, each = args
    if isinstance(fan_in, bool) or not isinstance(fan_in, int | np.integer) or fan_in < 2:
        return f"got {fan_in!r:.60}; expected a whole number of at least 2"
    took = tree_reduce_time(workers, 0, 0, math.inf, int(fan_in), each, level)
    best = best_fan_in(workers, 0, 0, math.inf, each, level)
    if took > best.time * (1 + 1e-9):
        return f"a fan-in of {fan_in} takes {took:.4g} s; there is one that takes {best.time:.4g} s"
    return None


# ---- 15.5 and 15.6 Schedules


def _rounds(rounds: Any, workers: int, width: int, what: str) -> list[list[tuple[int, ...]]] | str:
    """Return an answer as lists of tuples of whole numbers, or say what is wrong with it."""
    if not isinstance(rounds, list | tuple) or len(rounds) > 10 * workers:
        return f"expected a list of rounds, each a list of messages {what}"
    plain = []
    for number, messages in enumerate(rounds, start=1):
        if not isinstance(messages, list | tuple):
            return f"round {number} is no list of messages {what}"
        busy: set[tuple[str, int]] = set()
        plain.append([])
        for message in messages:
            if not isinstance(message, list | tuple) or len(message) != width:
                return f"round {number} has the message {message!r:.60}; expected {what}"
            if any(isinstance(x, bool) or not isinstance(x, int | np.integer) for x in message):
                return f"round {number} has the message {message!r:.60}; expected whole numbers"
            source, target = message[:2]
            if not all(0 <= each < workers for each in message) or source == target:
                return f"round {number} has the message {message!r:.60}; the numbers go from 0 to {workers - 1}"
            for role in (("sends", source), ("receives", target)):
                if role in busy:
                    return f"in round {number} worker {role[1]} {role[0]} two messages; one is allowed"
                busy.add(role)
            plain[-1].append(tuple(int(x) for x in message))
    return plain


def _judge_broadcast(args: tuple[Any, ...], rounds: Any) -> str | None:
    (workers,) = args
    plain = _rounds(rounds, workers, 2, "(source, target)")
    if isinstance(plain, str):
        return plain
    have = {0}
    for number, messages in enumerate(plain, start=1):
        for source, _ in messages:
            if source not in have:
                return f"in round {number} worker {source} sends what it does not have yet"
        have |= {target for _, target in messages}
    if len(have) < workers:
        return f"at the end {len(have)} of {workers} workers have it"
    fewest = math.ceil(math.log2(workers))
    return f"that takes {len(plain)} rounds; {fewest} are enough" if len(plain) > fewest else None


def _judge_ring(args: tuple[Any, ...], rounds: Any) -> str | None:
    (workers,) = args
    plain = _rounds(rounds, workers, 3, "(source, target, piece)")
    if isinstance(plain, str):
        return plain
    if len(plain) != 2 * (workers - 1):
        return f"there are {len(plain)} rounds; a ring of {workers} has {2 * (workers - 1)}"
    for number, messages in enumerate(plain, start=1):
        if wrong := next(((s, t) for s, t, _ in messages if t != (s + 1) % workers), None):
            return f"in round {number} worker {wrong[0]} sends to {wrong[1]}, which is not its right neighbour"
    start = np.repeat((1 << np.arange(workers, dtype=np.uint64))[:, None], workers, axis=1)
    sends = [
        [Send(source, target, (piece,), number < workers - 1) for source, target, piece in messages]
        for number, messages in enumerate(plain)
    ]
    try:
        contributions = play(sends, start).contributions
    except ValueError as error:
        return str(error)
    added, end = contributions[workers - 1], contributions[-1]
    if (lost := np.flatnonzero(added.max(axis=0) < workers)).size:
        return f"after the {workers - 1} rounds that add, no worker has the whole sum of piece {lost[0]}"
    if (end < workers).any():
        worker, piece = np.argwhere(end < workers)[0]
        return f"at the end piece {piece} on worker {worker} has the parts of {end[worker, piece]} of {workers} workers"
    return None


# ---- 15.9 Which join


def _rule(workers: int, small: float, large: float, memory: float) -> str:
    copy, share = (join_bytes(workers, small, large, how) for how in ("broadcast", "shuffle"))
    return "broadcast" if copy < share and small <= memory else "shuffle"


def _rule_by_bytes(workers: int, small: float, large: float, memory: float) -> str:
    return "broadcast" if (workers - 1) * small < (workers - 1) / workers * (small + large) else "shuffle"


def _rule_small_below_large(workers: int, small: float, large: float, memory: float) -> str:
    return "broadcast" if small < large and small <= memory else "shuffle"


def _rule_fits(workers: int, small: float, large: float, memory: float) -> str:
    return "broadcast" if small <= memory else "shuffle"


EXERCISES = [
    Exercise(
        id="15.1",
        objective="15.1",
        kind="derive",
        title="Two measurements",
        points=2,
        minutes=7,
        cases=[(0, 0.01, 1e6, 0.02), (1e3, 0.0011, 1e6, 0.002), (1e6, 1.1, 3e6, 1.3), (0, 0.5, 8e6, 0.564)],
        expected=lambda size1, time1, size2, time2: (
            (time1 - size1 * (time2 - time1) / (size2 - size1)) / ((time2 - time1) / (size2 - size1))
        ),
        behaviour="the number of bytes at which latency and bytes cost the same",
        mistakes={
            "that is the latency α; it is still to be divided by the seconds of a byte": (
                lambda size1, time1, size2, time2: time1 - size1 * (time2 - time1) / (size2 - size1)
            ),
            "the first message has bytes, too: its time is not all latency": (
                lambda size1, time1, size2, time2: time1 * (size2 - size1) / (time2 - time1)
            ),
            "a byte costs the slope between the two points, not the second time divided by its size": (
                lambda size1, time1, size2, time2: time1 * size2 / time2
            ),
        },
        hints=(
            "The section on constants: T = α + s β is a straight line, and you know two of its points.",
            "β is the slope, (time2 − time1) / (size2 − size1). α is what is left of time1.",
            "beta = the slope; alpha = time1 - size1 * beta; return alpha / beta.",
        ),
    ),
    Exercise(
        id="15.2",
        objective="15.2",
        kind="derive",
        title="The best number of chunks",
        points=2,
        minutes=8,
        cases=[(1.6, 16, 0.018, 3), (1000, 10, 0.01, 3), (3600, 100, 0.05, 2), (50, 4, 0.5, 10), (50, 4, 0.5, 1.5)],
        expected=lambda work, workers, overhead, slowest: math.sqrt((slowest - 1) * workers * work / overhead),
        behaviour="the number of chunks, a real number, with which W/p + (k/p) o + (σ − 1) W/k is smallest",
        mistakes={
            "the slowest chunk keeps the others waiting for σ − 1 chunks, not for σ": (
                lambda work, workers, overhead, slowest: math.sqrt(slowest * workers * work / overhead)
            ),
            "you left out the workers: each handles k/p chunks only": (
                lambda work, workers, overhead, slowest: math.sqrt((slowest - 1) * work / overhead)
            ),
            "that is the number of waves; times the workers it is the number of chunks": (
                lambda work, workers, overhead, slowest: math.sqrt((slowest - 1) * work / (overhead * workers))
            ),
            "a real number is asked for: do not round": (
                lambda work, workers, overhead, slowest: round(math.sqrt((slowest - 1) * workers * work / overhead))
            ),
        },
        hints=(
            "Look at the formula with three braces. Which two terms depend on k?",
            "Where the derivative is 0, o/p = (σ − 1) W / k².",
            "Solve that for k: k² = (σ − 1) p W / o.",
        ),
    ),
    Exercise(
        id="15.3",
        objective="15.2",
        kind="code",
        title="Chunks that fit",
        points=4,
        minutes=15,
        cases=_CHUNKINGS,
        judge=_judge_chunks,
        behaviour="the number of chunks, up to 5,000, with the least time of those that fit into the memory",
        mistakes={
            "that is the formula, rounded: it knows no whole waves; try every number of chunks": _by_formula,
            "some of these chunks do not fit into the memory": _without_memory,
            "that is one chunk for each worker, whatever they cost and whether they fit": (
                lambda work, workers, overhead, slowest, size, memory: workers
            ),
        },
        hints=(
            "There are 5,000 candidates; try them all. Leave out those whose chunks are larger than the memory.",
            "The time of k chunks: ⌈k/p⌉ (W/k + o) for the waves, and (σ − 1) W/k for the last one.",
            "min((k for k in range(1, 5001) if size / k <= memory), key=lambda k: -(-k // workers) * (work / k + "
            "overhead) + (slowest - 1) * work / k)",
        ),
    ),
    Exercise(
        id="15.4",
        objective="15.3",
        kind="code",
        title="The width of a tree",
        points=3,
        minutes=12,
        cases=_TREES,
        judge=_judge_fan_in,
        behaviour="a fan-in of at least 2 with which the tree takes the least time",
        mistakes={
            "two by two is best only where a level costs nothing besides its inputs": lambda p, level, each: 2,
            "all at once is best only where the inputs cost nothing": lambda p, level, each: p,
            "a fixed width is best for some trees only; it depends on level / each": lambda p, level, each: 4,
            "that is A/B; the derivative is 0 where f (ln f − 1) = A/B − 1, and levels are whole": (
                lambda p, level, each: max(2, round(level / each)) if each else p
            ),
        },
        hints=(
            "Add up the levels, as the formula with the sum does; then try every fan-in from 2 to the workers.",
            "A level with r results combines min(f, r) of them at most, and leaves ⌈r/f⌉.",
            "def seconds(f): total, left = 0, workers; while left > 1: total += level + (min(f, left) - 1) * each; "
            "left = -(-left // f); return total. Then min(range(2, workers + 1), key=seconds).",
        ),
    ),
    Exercise(
        id="15.5",
        objective="15.4",
        kind="code",
        title="A broadcast",
        points=3,
        minutes=12,
        cases=[Case((p,)) for p in (2, 3, 4, 7, 8, 13, 16)],
        judge=_judge_broadcast,
        behaviour="rounds of messages in which worker 0's vector reaches everybody, in as few rounds as can be",
        mistakes={
            "one after the other takes p − 1 rounds; let those who have it send, too": (
                lambda p: [[(0, target)] for target in range(1, p)]
            ),
        },
        hints=(
            "In each round, everybody who has the vector sends it to somebody who has not.",
            "Before round r the workers 0 … 2^r − 1 have it. Worker w sends to w + 2^r.",
            "have = 1; while have < workers: a round [(w, w + have) for w in range(have) if w + have < workers]; "
            "then have *= 2.",
        ),
    ),
    Exercise(
        id="15.6",
        objective="15.4",
        kind="code",
        title="An all-reduce around a ring",
        points=5,
        minutes=22,
        cases=[Case((p,)) for p in (2, 3, 4, 5, 8)],
        judge=_judge_ring,
        behaviour=(
            "2 (p − 1) rounds of messages (source, target, piece) to the right neighbour; in the first half the target "
            "adds, in the second it keeps; at the end every piece is whole everywhere"
        ),
        mistakes={
            "in every round you send the same piece; pass on the piece that came in the round before": (
                lambda p: [[(w, (w + 1) % p, w) for w in range(p)] for _ in range(2 * (p - 1))]
            ),
        },
        hints=(
            "Follow one piece: it starts at worker i = its number, and goes around once to be summed.",
            "In round r (from 0) worker w sends piece w − r, modulo p. After p − 1 rounds worker w has the whole of "
            "piece w + 1.",
            "The second half: in round r worker w sends piece (w + 1 − r) % p. Both halves have p − 1 rounds.",
        ),
    ),
    Exercise(
        id="15.7",
        objective="15.5",
        kind="derive",
        title="From how many partitions on",
        points=2,
        minutes=8,
        cases=[(0.1, 0.0005), (0.2, 0.001), (1.0, 0.0002), (0.05, 0.001), (0.0005, 0.001)],
        expected=lambda fixed, per_task: next(
            n for n in range(1, 4000) if np.subtract(*shuffle_tasks(n, max_branch=4000)) * per_task > fixed
        ),
        behaviour="the fewest partitions with which n² + 2n tasks take longer than 2n + 1 tasks and the fixed price",
        mistakes={
            "both kinds pay for their tasks: compare the difference, n² − 1 tasks, with the fixed price": (
                lambda fixed, per_task: next(n for n in range(1, 4000) if (n * n + 2 * n) * per_task > fixed)
            ),
            "that is √(F/h), a real number; the fewest whole number above its exact form is asked for": (
                lambda fixed, per_task: math.sqrt(fixed / per_task)
            ),
        },
        hints=(
            "Write both times: per_task · (n² + 2n), and fixed + per_task · (2n + 1).",
            "The first is larger where per_task · (n² − 1) > fixed.",
            "Count n up from 1 until that holds: n = 1; while per_task * (n * n - 1) <= fixed: n += 1.",
        ),
    ),
    Exercise(
        id="15.8",
        objective="15.6",
        kind="derive",
        title="The bytes of both joins",
        points=2,
        minutes=7,
        cases=[(8, 1e9, 10e9), (16, 1e9, 10e9), (4, 640e3, 6.4e6), (1, 5, 50), (100, 1, 1000)],
        expected=lambda workers, small, large: (
            join_bytes(workers, small, large, "broadcast"),
            join_bytes(workers, small, large, "shuffle"),
        ),
        behaviour="the bytes that all workers send, as a pair: with a broadcast join, with a shuffle join",
        mistakes={
            "each worker has its share of the small table already: a copy goes to the p − 1 others": (
                lambda p, small, large: (p * small, (p - 1) / p * (small + large))
            ),
            "in a shuffle a share 1/p of the rows stays where it is": (
                lambda p, small, large: ((p - 1) * small, small + large)
            ),
            "a shuffle join moves both tables": lambda p, small, large: ((p - 1) * small, (p - 1) / p * large),
        },
        hints=(
            "How many workers lack each byte of the small table? And what share of the rows is where it must be?",
            "Broadcast: every part of the small table goes to p − 1 workers. Shuffle: (p − 1)/p of all rows move.",
            "return (workers - 1) * small, (workers - 1) / workers * (small + large)",
        ),
    ),
    Exercise(
        id="15.9",
        objective="15.6",
        kind="code",
        title="Which join?",
        points=2,
        minutes=8,
        cases=[
            (8, 1e9, 10e9, 4e9),
            (16, 1e9, 10e9, 4e9),
            (8, 5e9, 500e9, 4e9),
            (2, 3e9, 3.5e9, 4e9),
            (64, 0.01e9, 10e9, 4e9),
            (4, 1e9, 2e9, 4e9),
        ],
        expected=_rule,
        behaviour='"broadcast" if it moves fewer bytes and a copy fits into each worker\'s memory, else "shuffle"',
        mistakes={
            "a copy that does not fit into a worker's memory is no copy": _rule_by_bytes,
            "that one is smaller is not enough: p − 1 copies of it are made": _rule_small_below_large,
            "that a copy fits does not make it cheap": _rule_fits,
        },
        hints=(
            "Two conditions: fewer bytes, and room for a copy.",
            "(p − 1) S < (p − 1)/p (S + L) is the same as p S < S + L.",
            '"broadcast" if workers * small < small + large and small <= memory else "shuffle"',
        ),
    ),
    Exercise(
        id="15.10",
        objective="15.7",
        kind="predict",
        title="Move or wait",
        points=1,
        minutes=4,
        value=(0.5 - 0.02) * 250e6,
        tolerance=0.005,
        behaviour="the bytes at which moving takes exactly as long as waiting",
        mistakes={
            "you left out the latency: it is paid before the first byte": 0.5 * 250e6,
            "that is in megabytes; bytes are asked for": 120.0,
            "the latency shortens the time that is left for the bytes; it does not lengthen it": (0.5 + 0.02) * 250e6,
        },
        hints=(
            "Moving takes α + s β; waiting takes t. Where are they equal?",
            "s = (t − α) / β, and 1/β is the bandwidth.",
            "480 ms are left for bytes, at 250 million a second.",
        ),
    ),
    Exercise(
        id="15.11",
        objective="15.7",
        kind="diagnose",
        title="The table that should have stayed",
        points=2,
        minutes=5,
        choices={
            "skew": "One key has most of the rows, so its worker receives them all.",
            "method": "Dask ignored broadcast=True and shuffled both tables.",
            "placement": "Each pair of partitions is a task, and ran where it could start soonest, not where L lies.",
            "size": "The small table is larger than the large one, once copied.",
        },
        value="placement",
        mistakes={
            "the keys are drawn evenly, and the join of a single partition moved little with the same keys": "skew",
            "the tasks of a shuffle are cut, picked and joined; these are of a broadcast join": "method",
            "three copies of 0.2 MB are 0.6 MB": "size",
        },
        hints=(
            "Look at “When the model lies”: the same join with one partition moves far less.",
            "How many tasks read each partition of the large table, and where may they run?",
            "Dask weighs half a second of unknown work against 400 kB over 100 MB/s, 4 ms.",
        ),
    ),
]
