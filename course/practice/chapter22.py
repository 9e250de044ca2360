"""The exercises of chapter 22, more data than memory."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course.models import keep_or_make, sort_passes
from course.practice.comparing import is_number
from course.practice.exercises import Case, Exercise

# ---- 22.1 The peak of a worker


def _peak(base: float, limit: float, target: float, results: float, threads: int, copies: float, chunk: float) -> float:
    return base + min(results, target * limit) + threads * copies * chunk


# ---- 22.3 What is alive


def _alive(order: Sequence[int], sizes: Sequence[float], reads: Sequence[Sequence[int]]) -> float:
    readers = [0] * len(sizes)
    for task in order:
        for k in reads[task]:
            readers[k] += 1
    held = peak = 0.0
    for task in order:
        held += sizes[task]
        peak = max(peak, held)
        for k in reads[task]:
            readers[k] -= 1
            if not readers[k]:
                held -= sizes[k]
    return peak


def _never_freed(order: Sequence[int], sizes: Sequence[float], reads: Sequence[Sequence[int]]) -> float:
    return float(sum(sizes[task] for task in order))


def _freed_too_soon(order: Sequence[int], sizes: Sequence[float], reads: Sequence[Sequence[int]]) -> float:
    held, peak = dict.fromkeys(range(len(sizes)), 0.0), 0.0
    for task in order:
        held[task] = sizes[task]
        for k in reads[task]:
            held[k] = 0.0
        peak = max(peak, sum(held.values()))
    return peak


def _freed_at_first(order: Sequence[int], sizes: Sequence[float], reads: Sequence[Sequence[int]]) -> float:
    held, peak = dict.fromkeys(range(len(sizes)), 0.0), 0.0
    for task in order:
        held[task] = sizes[task]
        peak = max(peak, sum(held.values()))
        for k in reads[task]:
            held[k] = 0.0
    return peak


def _touched(order: Sequence[int], sizes: Sequence[float], reads: Sequence[Sequence[int]]) -> float:
    return max(sizes[task] + sum(sizes[k] for k in reads[task]) for task in order)


def _orders() -> list[Case]:
    n = 8
    reads: list[list[int]] = [[] for _ in range(n)] + [[k] for k in range(n)]
    sizes = [8.0] * n + [1.0] * n
    deep = [each for k in range(n) for each in (k, n + k)]
    found = [
        Case((list(range(2 * n)), sizes, reads), says="eight chunks, all loads first"),
        Case((deep, sizes, reads), says="eight chunks, each read at once"),
        Case(([0, 1, 2, 3], [4.0, 2.0, 2.0, 1.0], [[], [0], [0], [1, 2]]), says="a diamond"),
        Case(([0], [3.0], [[]]), says="one task"),
    ]
    for seed in range(2):
        rng = np.random.default_rng([22, seed])
        sizes = rng.integers(1, 20, 30).astype(float).tolist()
        reads = [sorted({int(k) for k in rng.integers(0, max(k, 1), min(k, 2))}) for k in range(30)]
        found.append(Case((list(range(30)), sizes, reads), says="a random graph of 30 tasks"))
    return found


# ---- 22.4 Keep it, or make it again


def _keeps(size: float, room: float, uses: int, make: float, write: float, read: float) -> str:
    return "keep" if keep_or_make(size, room, uses, make, write, read).ratio < 1 else "again"


_KEEPING = [
    (1e9, 2e9, 2, 1e-9, 1e9, 1e9),
    (1e9, 0.0, 2, 1e-9, 1e9, 1e9),
    (1e9, 0.0, 2, 3e-9, 1e9, 1e9),
    (50e9, 10e9, 10, 4e-9, 0.2e9, 0.2e9),
    (50e9, 40e9, 10, 4e-9, 0.2e9, 0.2e9),
    (5e9, 1e9, 3, 12e-9, 0.2e9, 0.2e9),
    (5e9, 4e9, 2, 1.5e-9, 0.5e9, 2e9),
]  # fmt: skip

# ---- 22.6 Three workers in trouble

_TROUBLES = {"a": "tasks too large", "b": "leak", "c": "keeps too much"}

# ---- 22.7 A window


class Pool:
    """Work under way, as `distributed.as_completed` gives it back: not in the order in which it was submitted.

    Attributes
    ----------
    most : int
        How many items were under way at once, at the most.
    starved : int
        How often a result was waited for although there was room in the window, and an item left.
    """

    def __init__(self, items: int, window: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.left, self.window = items, window
        self.waiting: list[Any] = []
        self.most = self.starved = 0

    def submit(self, item: int) -> None:
        """Begin to work on an item."""
        self.waiting.append(item)
        self.left -= 1
        self.most = max(self.most, len(self.waiting))

    def next_result(self) -> int:
        """Return the square of some item that is done, and forget it."""
        if not self.waiting:
            raise LookupError("nothing is under way, so no result will come")
        self.starved += self.left > 0 and len(self.waiting) < self.window
        return int(self.waiting.pop(int(self.rng.integers(len(self.waiting))))) ** 2


def _windowed(answer: Callable[..., Any], items: list[int], window: int, seed: int) -> dict[str, Any]:
    pool = Pool(len(items), window, seed)
    total = answer(pool, items, window)
    return {"total": total, "most": pool.most, "starved": pool.starved, "left": len(pool.waiting)}


def _judge_window(args: tuple[Any, ...], came: Any) -> str | None:
    items, window, _ = args
    if not isinstance(came, dict) or not is_number(came.get("total")):
        return "the total is no number"
    right = sum(item * item for item in items)
    if came["left"]:
        return f"{came['left']} items were submitted, and their results never taken"
    if came["total"] != right:
        return f"the total is {came['total']}; the squares of all items add up to {right}"
    if came["most"] > window:
        return f"{came['most']} items were under way at once; the window is {window}"
    if came["starved"]:
        return f"{came['starved']} times you waited with room in the window and items left: workers stood idle"
    return None


# ---- 22.8 One part at a time


def _collects(make: Callable[[int], np.ndarray], parts: int) -> tuple[int, float]:
    whole = np.concatenate([make(k) for k in range(parts)])
    above = whole[whole > 2.0]
    return len(above), float(whole.max())


def _traced(answer: Callable[..., Any], rows: int, parts: int, seed: int) -> dict[str, Any]:
    def make(k: int) -> np.ndarray:
        return np.random.default_rng([seed, k]).normal(size=rows)

    tracemalloc.start()
    try:
        came = answer(make, parts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return {"answer": came, "peak": peak}


def _judge_parts(args: tuple[Any, ...], came: Any) -> str | None:
    answer = came.get("answer") if isinstance(came, dict) else None
    if not isinstance(answer, list | tuple) or len(answer) != 2 or not all(is_number(each) for each in answer):
        return "that is no pair of numbers"
    right = _traced(_collects, *args)["answer"]
    if answer[0] != right[0]:
        return f"{answer[0]} readings above 2; there are {right[0]}"
    if answer[1] != right[1]:
        return f"the largest is said to be {answer[1]:.6g}; it is {right[1]:.6g}"
    return None


def _collecting(rows: int, parts: int, seed: int) -> dict[str, Any]:
    return _traced(_collects, rows, parts, seed)


def _cost(args: tuple[Any, ...], came: Any) -> float:
    # In parts of 8 bytes a reading, to a tenth: Python's own objects have another size in each version.
    return max(round(came["peak"] / (8 * args[0]), 1), 0.1)


EXERCISES = [
    Exercise(
        id="22.1",
        objective="22.2",
        kind="derive",
        title="The peak of a worker",
        points=2,
        minutes=8,
        cases=[
            (70e6, 160e6, 0.2, 500e6, 1, 3, 8e6),
            (70e6, 160e6, 0.2, 10e6, 1, 3, 8e6),
            (150e6, 4e9, 0.6, 10e9, 4, 3, 100e6),
            (150e6, 4e9, 0.6, 10e9, 1, 3, 100e6),
            (150e6, 16e9, 0.6, 0.0, 8, 2, 256e6),
        ],
        expected=_peak,
        behaviour="base, results up to the target, and what the running tasks of all threads hold",
        mistakes={
            "results beyond the target are on disk; take the smaller of the two": (
                lambda base, limit, target, results, threads, copies, chunk: base + results + threads * copies * chunk
            ),
            "each thread runs a task of its own, with its own copies": (
                lambda base, limit, target, results, threads, copies, chunk: (
                    base + min(results, target * limit) + copies * chunk
                )
            ),
            "the process begins with its base, before any result": (
                lambda base, limit, target, results, threads, copies, chunk: (
                    min(results, target * limit) + threads * copies * chunk
                )
            ),
        },
        hints=(
            "The formula of the section on where memory goes has three terms.",
            "H is what is held: all results, or the target's share of the limit, whichever is smaller.",
            "return base + min(results, target * limit) + threads * copies * chunk",
        ),
    ),
    Exercise(
        id="22.2",
        objective="22.1",
        kind="predict",
        title="Eighty-five per cent",
        points=1,
        minutes=4,
        choices={
            "spilled": "The worker spills results until it is below 60 %, and goes on.",
            "paused": "The worker pauses, and stays paused.",
            "killed": "The nanny ends the worker.",
            "nothing": "Nothing: the results are far below the target.",
        },
        value="paused",
        mistakes={
            "there is hardly any result to spill: what fills the memory is not managed by Dask": "spilled",
            "the nanny acts above 95 %": "killed",
            "`target` looks at results alone, but `spill` and `pause` look at the process": "nothing",
        },
        hints=(
            "Which thresholds look at the process? Which of them are passed?",
            "spill (70 %) finds no results to write; pause (80 %) is passed; terminate (95 %) is not.",
            "It pauses; and what would have to happen for its memory to fall again?",
        ),
    ),
    Exercise(
        id="22.3",
        objective="22.3",
        kind="code",
        title="What is alive",
        points=3,
        minutes=16,
        cases=_orders,
        expected=_alive,
        behaviour="the most bytes of results that exist at once, if the tasks run one after another in that order",
        mistakes={
            "a result is forgotten after the last task that reads it": _never_freed,
            "while a task runs, what it reads and what it makes exist together; free its inputs only after it": (
                _freed_too_soon
            ),
            "a result with several readers must stay until the last of them has run": _freed_at_first,
            "results that wait for a later reader exist, too": _touched,
        },
        hints=(
            "Go through the order and keep a running total. When does a result begin to count, when does it end?",
            "Count first how many readers each result has. A task adds its size, then the peak is noted, then each "
            "input loses a reader; without readers left, its size is taken off. A result that no task reads stays.",
            "for task in order: held += sizes[task]; peak = max(peak, held); for k in reads[task]: readers[k] -= 1; "
            "if readers[k] == 0: held -= sizes[k]",
        ),
    ),
    Exercise(
        id="22.4",
        objective="22.4",
        kind="code",
        title="Keep it, or make it again",
        points=2,
        minutes=10,
        cases=_KEEPING,
        expected=_keeps,
        behaviour='"keep" if keeping takes less time than making it again for each use, else "again"',
        mistakes={
            "what fits into the room is not written; only the rest is": (
                lambda size, room, uses, make, write, read: _keeps(size, 0.0, uses, make, write, read)
            ),
            "what does not fit must be written and read back; that is not free": lambda *args: "keep",
            "what does not fit can still be worth a disk, if it is dear to make": (
                lambda size, room, uses, make, write, read: "keep" if size <= room else "again"
            ),
        },
        hints=(
            "The section on keep, spill, or make again has both times.",
            "x = max(size - room, 0). Keep: size · make + x (uses − 1)(1/write + 1/read). Again: uses · size · make.",
            "course.models.keep_or_make(size, room, uses, make, write, read).ratio < 1",
        ),
    ),
    Exercise(
        id="22.5",
        objective="22.6",
        kind="derive",
        title="How many passes",
        points=2,
        minutes=8,
        cases=[
            (1e9, 2e9, 16e6),
            (1e12, 64e9, 16e6),
            (1e12, 1e9, 16e6),
            (1e12, 1e9, 250e6),
            (100e12, 64e9, 16e6),
            (64e9, 1e9, 125e6),
            (125e9, 1e9, 0.2e9),
            (1e6, 1e9, 100e6),
        ],
        expected=sort_passes,
        tolerance=0.0,
        absolute=0.0,
        behaviour="one pass that makes runs as large as the memory, and one for each time that M/B of them are merged",
        mistakes={
            "the pass that makes the runs counts, too": (
                lambda size, memory, block: sort_passes(size, memory, block) - 1
            ),
            "data that fit need one pass, however far below the memory they are": (
                lambda size, memory, block: 1 + math.ceil(math.log(size / memory) / math.log(memory / block) - 1e-9)
            ),
            "logarithms are not exact: at a power of M/B they may come out a little above the whole number": (
                lambda size, memory, block: 1 + math.ceil(math.log(max(size / memory, 1)) / math.log(memory / block))
            ),
            "M/B runs are merged at a time, not two": (
                lambda size, memory, block: 1 + math.ceil(math.log2(max(size / memory, 1)))
            ),
        },
        hints=(
            "How many runs are there after the first pass? How many of them does a further pass make into one?",
            "N/M runs; each pass divides their number by M/B. A pass is whole: round up.",
            "1 if size <= memory, else 1 + math.ceil(math.log(size / memory) / math.log(memory / block) - 1e-9)",
        ),
    ),
    Exercise(
        id="22.6",
        objective="22.1",
        kind="diagnose",
        title="Three workers in trouble",
        points=2,
        minutes=10,
        value=dict(_TROUBLES),
        behaviour="for each of the three workers, what fills its memory",
        mistakes={
            "one has few results and returns to its base after each task; the other never returns": {
                "a": "leak",
                "b": "tasks too large",
                "c": "keeps too much",
            },
            "look at the managed bytes: in one of the three they make up most of the process": {
                "a": "keeps too much",
                "b": "leak",
                "c": "tasks too large",
            },
        },
        hints=(
            "Unmanaged memory is process − managed. How does it look over time, in each of the three?",
            "Spikes that come and go belong to running tasks; what only grows belongs to nobody; managed bytes are "
            "results.",
            "a returns to its base between its spikes; b climbs while its results stay few; c stands at its target and "
            "spills.",
        ),
    ),
    Exercise(
        id="22.7",
        objective="22.5",
        kind="code",
        title="A window",
        points=3,
        minutes=14,
        cases=[
            Case((list(range(20)), 4, 1), says="20 items, a window of 4"),
            Case((list(range(5)), 1, 2), says="5 items, one at a time"),
            Case((list(range(3)), 8, 3), says="3 items, a window of 8"),
            Case(([], 4, 4), says="no item"),
            Case((list(range(100, 160)), 7, 5), says="60 items, a window of 7"),
        ],
        judge=_judge_window,
        call=_windowed,
        pure=False,
        behaviour="the sum of all results, with as many items under way as the window allows, and never more",
        hints=(
            "First fill the window. Then, for each result that you take, submit one item more.",
            "rest = iter(items); itertools.islice(rest, window) gives the first ones. How many results must be taken "
            "altogether?",
            "for item in itertools.islice(rest, window): pool.submit(item); then, for each of len(items) results: "
            "total += pool.next_result(), and for item in itertools.islice(rest, 1): pool.submit(item)",
        ),
    ),
    Exercise(
        id="22.8",
        objective="22.5",
        kind="tune",
        title="One part at a time",
        points=4,
        minutes=20,
        cases=[
            Case((1000, 3, 1), says="3 parts of 1,000 readings"),
            Case((50, 1, 2), says="one part of 50 readings"),
            Case((7, 40, 3), says="40 parts of 7 readings"),
        ],
        timed=[Case((50_000, 40, 4), says="40 parts of 50,000 readings")],
        judge=_judge_parts,
        call=_traced,
        baseline=_collecting,
        cost=_cost,
        target=15.0,
        pure=False,
        behaviour="the same two numbers, with a peak of memory at most a fifteenth of the start's",
        hints=(
            "Which of the two numbers needs all readings at once?",
            "None: counts add up, and a maximum is the maximum of maxima. So keep two numbers, and one part.",
            "for k in range(parts): part = make(k); n += int((part > 2.0).sum()); most = max(most, float(part.max())); "
            "a part that is still bound while the next is made counts twice, so del part at the end",
        ),
    ),
]
