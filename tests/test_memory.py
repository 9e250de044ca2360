"""More data than memory: the models, and what a trace says to be alive."""

from __future__ import annotations

import math

import numpy as np
import pytest

from course import models, simulate
from course.cluster import Cluster
from course.graph import TaskGraph, chain
from course.trace import Trace


def test_keeping_breaks_even_where_a_byte_costs_as_much_to_make_as_to_write_and_read() -> None:
    for uses in (2, 3, 10):
        even = models.keep_or_make(1e9, 0, uses, 1 / 0.5e9 + 1 / 2e9, 0.5e9, 2e9)
        assert even.kept == pytest.approx(even.again)
        assert models.keep_or_make(1e9, 0, uses, 2e-9, 0.5e9, 2e9).ratio > 1
        assert models.keep_or_make(1e9, 0, uses, 3e-9, 0.5e9, 2e9).ratio < 1


def test_what_fits_costs_nothing_to_keep() -> None:
    found = models.keep_or_make(1e9, 1e9, 4, 1e-9, 1.0, 1.0)
    assert found == (1.0, 4.0)
    assert found.ratio == 0.25


def test_a_copy_that_stays_on_disk_is_written_once() -> None:
    assert models.keep_or_make(1e9, 0, 4, 0, 1e9, 1e9).kept == pytest.approx(6)
    assert models.keep_or_make(1e9, 0, 4, 0, 1e9, 1e9, rewrites=False).kept == pytest.approx(4)
    assert models.keep_or_make(1e9, 0, 1, 0, 1e9, 1e9, rewrites=False).kept == 0
    assert math.isnan(models.keep_or_make(0, 0, 1, 0, 1, 1).ratio)


@pytest.mark.parametrize(
    ("size", "memory", "block"), [(1e12, 1e9, 16e6), (64e9, 1e9, 125e6), (7e9, 1e9, 0.5e9), (1, 2, 1)]
)
def test_passes_are_those_of_a_merge_sort_done_by_hand(size: float, memory: float, block: float) -> None:
    runs, passes = math.ceil(size / memory), 1
    while runs > 1:
        runs, passes = math.ceil(runs / (memory // block)), passes + 1
    assert models.sort_passes(size, memory, block) == passes


def test_a_block_larger_than_half_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="block is 3; it must be at most half the memory, 2"):
        models.sort_passes(10, 4, 3)


def test_bytes_count_from_the_start_of_a_task_to_the_end_of_its_last_reader() -> None:
    graph = TaskGraph([1, 2, 1], [8, 4, 2], [[], [0], [0]])
    trace = simulate.run(graph, 1, np.arange(3))  # 0 from 0 to 1, then 1 to 3, then 2 to 4
    times, held = trace.held_bytes()
    assert [held[times <= t][-1] for t in (0, 1, 2, 3, 3.5)] == [8, 12, 12, 14, 14]
    assert (times[-1], held[-1]) == (4, 0)
    times, held = trace.held_bytes(keep=False)
    assert [held[times <= t][-1] for t in (0, 1, 3, 4)] == [8, 12, 10, 0]


def test_what_did_not_run_holds_nothing() -> None:
    empty = Trace([], [], [], [], [], [], graph=chain(2, output_size=5), cluster=Cluster(1), origin="measured")
    assert [len(each) for each in empty.held_bytes()] == [0, 0]
    # Its reader never ran: the result is there to the end.
    half = Trace([0], [0], [0], [0], [1], [3], graph=chain(2, output_size=5), cluster=Cluster(1), origin="measured")
    times, held = half.held_bytes()
    assert times.tolist() == [1, 3]
    assert held.tolist() == [5, 0]
