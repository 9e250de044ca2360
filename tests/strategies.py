"""What the tests draw arguments from: numbers, anything at all, small graphs and clusters; and what must come of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from course.cluster import Cluster

# Half of them sensible, for a formula that has all its arguments from here must also be asked sensible questions.
NUMBERS = st.one_of(
    st.floats(),
    st.integers(-3, 10**19),
    st.integers(1, 100),
    st.floats(0, 1),
    st.floats(1, 1e4),
    st.sampled_from([0, 1, 2, 5e-324, 1e-300, 1e-30, 1e18, 1e30, 1e300, 1e308, -1, math.nan, math.inf]),
)

ANYTHING = st.sampled_from(
    [0, 1, -1, 0.5, 2, 7, 1e-300, 1e18, 1e100, 1e300, 1e308, math.inf, -math.inf, math.nan, None, "x", True, 10**18]
)

SMALL_OR_WRONG = st.one_of(
    st.integers(-2, 9), st.sampled_from([10**18, 0]), st.floats(), st.booleans(), st.none(), st.just("a")
)
COLUMNS = st.lists(st.integers(0, 4) | st.floats(0, 10) | st.floats(), min_size=1, max_size=3) | SMALL_OR_WRONG


def answer_or_error(
    function: Callable[..., Any], *arguments: Any, low: float = 0.0, high: float = math.inf, **options: Any
) -> None:
    """The result, or each number of it, is finite and in its range, or it is a ValueError."""
    try:
        result = function(*arguments, **options)
    except ValueError:
        return
    for value in dataclasses.astuple(result) if dataclasses.is_dataclass(result) else (result,):
        assert (np.asarray(value) >= low).all(), (arguments, result)
        assert (np.asarray(value) <= high).all(), (arguments, result)
        assert np.isfinite(value).all(), (arguments, result)


def near(values: ArrayLike, expected: float, errors: float = 3.0) -> float:
    """The mean of the replications is the expected value, within so many standard errors; return one of those."""
    values = np.asarray(values, dtype=float)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - expected) <= errors * error + 1e-12, (values.mean(), expected, error)
    return float(error)


def draw_predecessors(draw: Callable, n: int, most: int = 3) -> list[list[int]]:
    """Draw the predecessors of n tasks, numbered in any order."""
    relabel = draw(st.permutations(range(n)))
    rows: list[list[int]] = [[] for _ in range(n)]
    for later in range(1, n):
        earlier = draw(st.lists(st.integers(0, later - 1), unique=True, max_size=most))
        rows[relabel[later]] = [relabel[task] for task in earlier]
    return rows


def draw_cluster(draw: Callable, backbones: list[float], overheads: list[float], delays: list[float]) -> Cluster:
    """Draw a few workers; every part of a cluster in every allowed form."""
    w = draw(st.integers(1, 4))

    def values(elements: st.SearchStrategy, *shapes: tuple[int, ...]) -> Any:
        shape = draw(st.sampled_from(shapes))
        flat = draw(st.lists(elements, min_size=math.prod(shape), max_size=math.prod(shape)))
        return np.reshape(flat, shape) if shape else flat[0]

    return Cluster(
        w,
        threads=values(st.integers(1, 3), (), (w,)),
        speed=values(st.sampled_from([1.0, 2.0, 0.7]), (), (w,)),
        latency=values(st.sampled_from([0.0, 0.1, 1.0]), (), (w, w)),
        bandwidth=values(st.sampled_from([math.inf, 1.0, 0.3]), (), (w,), (w, w)),
        links=draw(st.sampled_from(["worker", "pair"])),
        backbone=draw(st.sampled_from(backbones)),
        scheduler_overhead=draw(st.sampled_from(overheads)),
        release_delay=draw(st.sampled_from(delays)),
    )
