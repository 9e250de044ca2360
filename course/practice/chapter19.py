"""The exercises of chapter 19, an image or climate array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from course.models import rechunk_memory, rechunk_pieces
from course.practice.exercises import Case, Exercise

# ---- 19.2 Pieces of a rechunk

_CUTS = [
    ((48, 180, 360), (1, 180, 360), (48, 30, 30)),
    ((48, 180, 360), (12, 180, 360), (48, 18, 360)),
    ((48, 180, 360), (24, 90, 180), (48, 30, 30)),
    ((12,), (3,), (4,)),
    ((100, 100), (30, 70), (40, 100)),
    ((10, 10), (5, 5), (5, 5)),
    ((10,), (10,), (3,)),
]


def _counts(shape: Sequence[int], chunks: Sequence[int]) -> list[int]:
    return [math.ceil(length / each) for length, each in zip(shape, chunks, strict=True)]


def _every_pair(shape: Sequence[int], before: Sequence[int], after: Sequence[int]) -> int:
    return math.prod(_counts(shape, before)) * math.prod(_counts(shape, after))


def _only_new(shape: Sequence[int], before: Sequence[int], after: Sequence[int]) -> int:
    return math.prod(_counts(shape, after))


def _shared_cuts_twice(shape: Sequence[int], before: Sequence[int], after: Sequence[int]) -> int:
    return math.prod(a + b - 1 for a, b in zip(_counts(shape, before), _counts(shape, after), strict=True))


def _added(shape: Sequence[int], before: Sequence[int], after: Sequence[int]) -> int:
    return math.prod(a + b for a, b in zip(_counts(shape, before), _counts(shape, after), strict=True))


def _the_larger(shape: Sequence[int], before: Sequence[int], after: Sequence[int]) -> int:
    return math.prod(max(a, b) for a, b in zip(_counts(shape, before), _counts(shape, after), strict=True))


# ---- 19.3 Time from tasks and work


def _time_ratio(seconds: float, work: float, tasks: int, workers: int, new_tasks: int, new_work: float) -> float:
    overhead = (seconds - work / workers) / tasks
    return (new_tasks * overhead + new_work / workers) / seconds


def _work_not_shared(seconds: float, work: float, tasks: int, workers: int, new_tasks: int, new_work: float) -> float:
    return _time_ratio(seconds, work, tasks, 1, new_tasks, new_work)


def _all_by_tasks(seconds: float, work: float, tasks: int, workers: int, new_tasks: int, new_work: float) -> float:
    return new_tasks / tasks


def _whole_time_as_overhead(
    seconds: float, work: float, tasks: int, workers: int, new_tasks: int, new_work: float
) -> float:
    return (new_tasks * seconds / tasks + new_work / workers) / seconds


# ---- 19.5 How large a tile


def _least_tile(depth: int, limit: float) -> int:
    return max(1, math.ceil(2 * depth / (math.sqrt(limit) - 1) - 1e-9))


# ---- 19.6 Memory

_MAP = 721 * 1440 * 4
_MEMORY = rechunk_memory(480 * _MAP, 16, 12 * _MAP) / 1e6

# ---- 19.7 A trend from partial sums


def _blocks(lengths: Sequence[int], rows: int, columns: int, seed: int, begin: float = 0.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    times = np.split(begin + np.arange(sum(lengths)) / 12, np.cumsum(lengths)[:-1])
    return [rng.standard_normal((n, rows, columns)) + 20 for n in lengths], times


def _trend_cases() -> list[Case]:
    return [
        Case(_blocks([12, 12], 2, 3, 1), says="two years of 2 x 3 cells"),
        Case(_blocks([12, 5, 7], 3, 3, 2, begin=1990.0), says="blocks of 12, 5 and 7 months that begin in 1990"),
        Case(_blocks([24], 1, 4, 3), says="one block of 24 months"),
        Case(_blocks([2, 2, 3], 2, 2, 4), says="blocks of 2, 2 and 3 months"),
    ]


def _slope(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    centred = times - times.mean()
    return np.tensordot(centred, values, axes=1) / (centred**2).sum()


def _trend(blocks: list[np.ndarray], times: list[np.ndarray]) -> np.ndarray:
    return _slope(np.concatenate(times), np.concatenate(blocks))


def _mean_of_slopes(blocks: list[np.ndarray], times: list[np.ndarray]) -> np.ndarray:
    return np.mean([_slope(t, block) for t, block in zip(times, blocks, strict=True)], axis=0)


def _through_the_origin(blocks: list[np.ndarray], times: list[np.ndarray]) -> np.ndarray:
    together, values = np.concatenate(times), np.concatenate(blocks)
    return np.tensordot(together, values, axes=1) / (together**2).sum()


# ---- 19.8 The function in the chunk


def _block(months: int, rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((months, rows, columns))


def _hot_by_cell(block: np.ndarray) -> np.ndarray:
    half = len(block) // 2
    count = np.zeros(block.shape[1:], dtype=int)
    for row in range(block.shape[1]):
        for column in range(block.shape[2]):
            values = block[:, row, column]
            count[row, column] = (values[half:] > np.quantile(values[:half], 0.95)).sum()
    return count


def _hot(block: np.ndarray) -> np.ndarray:
    half = len(block) // 2
    return (block[half:] > np.quantile(block[:half], 0.95, axis=0)).sum(axis=0)


def _hot_of_all(block: np.ndarray) -> np.ndarray:
    half = len(block) // 2
    return (block[half:] > np.quantile(block, 0.95, axis=0)).sum(axis=0)


def _hot_of_the_map(block: np.ndarray) -> np.ndarray:
    half = len(block) // 2
    return (block[half:] > np.quantile(block[:half], 0.95)).sum(axis=0)


EXERCISES = [
    Exercise(
        id="19.1",
        objective="19.1",
        kind="predict",
        title="Pieces",
        points=1,
        minutes=6,
        value=160,
        mistakes={
            "the axes multiply, they do not add": 44,
            "these are the new chunks; each of them is put together from four pieces": 40,
            "the columns are cut in two as well": 80,
            "a chunk holds the twelve months of a year: the months are cut in 4, not in 48": 48 * 20 * 2,
        },
        hints=(
            "Count the cuts of both on each axis, then multiply.",
            "Months: 4 blocks. Rows: 20. Columns?",
            "4 · 20 · 2.",
        ),
    ),
    Exercise(
        id="19.2",
        objective="19.1",
        kind="derive",
        title="Pieces, in general",
        points=3,
        minutes=15,
        cases=_CUTS,
        expected=rechunk_pieces,
        behaviour="the number of pieces into which the old and the new cuts together divide the array",
        mistakes={
            "that pairs every old chunk with every new one; most pairs have no cell in common": _every_pair,
            "these are the new chunks, not the pieces that they are put together from": _only_new,
            "where old and new chunks are cut at the same place, there is one cut, not two": _shared_cuts_twice,
            "both begin at 0, and may have other cuts in common: count each place once": _added,
            "where the cuts of one fall between those of the other, there are more pieces than either has chunks": (
                _the_larger
            ),
        },
        hints=(
            "The axes are independent of each other, so look at one of them first.",
            "On one axis the pieces begin at the multiples of the old length and at those of the new one. A set holds "
            "each place once.",
            "len({*range(0, L, c), *range(0, L, c2)}) for each axis, and the product (math.prod) of these.",
        ),
    ),
    Exercise(
        id="19.3",
        objective="19.2",
        kind="derive",
        title="A ratio from tasks and work",
        points=2,
        minutes=12,
        cases=[
            (2.6, 0.8, 1751, 2, 1150, 0.8),
            (10.0, 40.0, 500, 8, 500, 20.0),
            (10.0, 0.0, 1000, 4, 100, 0.0),
            (3.0, 6.0, 100, 4, 900, 6.0),
        ],
        expected=_time_ratio,
        behaviour="the time after the change over the time before it, by T = n h + W/m with h from the run before",
        mistakes={
            "the workers share the work: W / m": _work_not_shared,
            "only the part of the time that is not work grows with the tasks": _all_by_tasks,
            "h is what is left of the time without the work, for each task": _whole_time_as_overhead,
        },
        hints=(
            "Solve the formula for h first, with the numbers of the run before.",
            "h = (T − W/m) / n. The new time is n' h + W'/m.",
            "h = (seconds - work / workers) / tasks; return (new_tasks * h + new_work / workers) / seconds.",
        ),
    ),
    Exercise(
        id="19.4",
        objective="19.3",
        kind="diagnose",
        title="A slow subtraction",
        points=2,
        minutes=8,
        choices={
            "chunks": "The chunks are too small: read more maps in a task.",
            "array": "A NumPy array went into the graph: send what it is made from.",
            "twice": "The program computes the same thing twice: compute once.",
            "network": "The network is slow: put all workers on one machine.",
        },
        value="array",
        mistakes={
            "480 tasks of 50 ms would be well cut, and small chunks do not keep the workers from starting": "chunks",
            "then each key prefix would be there twice; the workers would start at once": "twice",
            "one key of 2 GB is the sender of nearly all; the others receive megabytes": "network",
        },
        hints=(
            "What happens in the six seconds before the first task, and which process does it?",
            "Which single key has 2 GB, and who made it?",
            "mask[SEASON] is a NumPy array as large as the data. It is pickled, sent to one worker, and cut there.",
        ),
    ),
    Exercise(
        id="19.5",
        objective="19.4",
        kind="derive",
        title="The least tile",
        points=2,
        minutes=12,
        cases=[(2, 1.1), (2, 1.5), (10, 1.21), (1, 4.0), (50, 1.05)],
        expected=_least_tile,
        behaviour="the least whole side of a square tile whose halo factor is at most the limit",
        mistakes={
            "the tile has a halo on both of its axes: the factor is a square": lambda depth, limit: max(
                1, math.ceil(2 * depth / (limit - 1) - 1e-9)
            ),
            "there is a halo on either side of an axis: 2 d": lambda depth, limit: max(
                1, math.ceil(depth / (math.sqrt(limit) - 1) - 1e-9)
            ),
            "rounded down, the factor is above the limit": lambda depth, limit: max(
                1, math.floor(2 * depth / (math.sqrt(limit) - 1) + 1e-9)
            ),
        },
        hints=(
            "For a square tile H = (1 + 2 d / c)². Set it equal to the limit, and solve for c.",
            "1 + 2 d / c = √limit, so c = 2 d / (√limit − 1). It must be whole.",
            "math.ceil(2 * depth / (math.sqrt(limit) - 1) - 1e-9): the last term forgives rounding.",
        ),
    ),
    Exercise(
        id="19.6",
        objective="19.5",
        kind="predict",
        title="Will it fit?",
        points=2,
        minutes=10,
        value=_MEMORY,
        tolerance=0.03,
        mistakes={
            "the new chunks are there, too, before the old ones can go": (480 * _MAP / 16 + 36 * _MAP) / 1e6,
            "float32 has four bytes": 2 * _MEMORY,
            "the workers share the array: N b / m": (2 * 480 * _MAP + 36 * _MAP) / 1e6,
            "the running task holds copies of its chunk besides": 2 * 480 * _MAP / 16 / 1e6,
        },
        hints=(
            "M = 2 N b / m + k C + G, with b = 4, k = 3 and G = 0.",
            "N = 480 · 721 · 1440 cells; a chunk has 12 maps.",
            "2 · 1,993 / 16 MB and 3 · 49.8 MB.",
        ),
    ),
    Exercise(
        id="19.7",
        objective="19.6",
        kind="code",
        title="A trend without a rechunk",
        points=4,
        minutes=20,
        cases=_trend_cases,
        expected=_trend,
        tolerance=1e-5,
        absolute=1e-7,
        behaviour="the slope of the straight line through all values of each cell, as of the whole array",
        mistakes={
            "the mean of the slopes of the blocks does not see what happens from block to block": _mean_of_slopes,
            "that line goes through the origin; take the mean of the times away first": _through_the_origin,
        },
        hints=(
            "Which sums over time does the slope of a straight line need? Each of them is a sum over blocks.",
            "Σy and Σty for each cell, and n, Σt, Σt² of the times. To keep the digits, take a fixed time (the first) "
            "away from all.",
            "slope = (n Σty − Σt Σy) / (n Σt² − (Σt)²); for each block add block.sum(axis=0) to Σy and "
            "np.tensordot(t, block, axes=1) to Σty.",
        ),
    ),
    Exercise(
        id="19.8",
        objective="19.7",
        kind="tune",
        title="The function in the chunk",
        points=3,
        minutes=12,
        cases=[
            Case((_block(24, 3, 4, 1),), says="24 months of 3 x 4 cells"),
            Case((_block(48, 5, 2, 2),), says="48 months of 5 x 2 cells"),
            Case((_block(10, 1, 1, 3),), says="10 months of a cell"),
        ],
        expected=_hot_by_cell,
        baseline=_hot_by_cell,
        timed=[Case((_block(48, 18, 60, 4),), says="a strip of 48 months and 18 x 60 cells")],
        target=4.0,
        behaviour="the same counts in at most a quarter of the time: no loop over cells",
        mistakes={
            "the limit is that of the first half alone": _hot_of_all,
            "each cell has a limit of its own": _hot_of_the_map,
        },
        hints=(
            "Python's loop over the cells costs more than the quantile itself. Which argument makes NumPy do it?",
            "np.quantile(block[:half], 0.95, axis=0) gives a map of limits.",
            "Compare block[half:] with that map: it is broadcast over the months. Then sum over axis 0.",
        ),
    ),
]
