"""Collective operations, round by round: they end as they must, and cost what the formulas say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course import models, simulate
from course.simulate import COLLECTIVES, Send, collective, play

SIZE, LATENCY, BANDWIDTH = 1e6, 1e-3, 1e9


@given(st.integers(1, 64), st.integers(2, 70))
def test_everybody_has_everything(workers: int, fan_in: int) -> None:
    for operation in COLLECTIVES:
        if operation == "recursive doubling" and workers & (workers - 1):
            continue
        end = collective(operation, workers, fan_in).contributions[-1]
        if "broadcast" in operation:
            assert (end == 1).all()
        elif operation == "tree reduction":
            assert (end[0] == workers).all()
        else:
            assert (end == workers).all()


@given(st.integers(1, 64), st.integers(2, 70))
def test_times_are_those_of_the_formulas(workers: int, fan_in: int) -> None:
    given = (workers, SIZE, LATENCY, BANDWIDTH)
    formulas = {
        "flat broadcast": models.broadcast_time(*given, "flat"),
        "binomial broadcast": models.broadcast_time(*given, "binomial"),
        "tree reduction": models.tree_reduce_time(*given, fan_in),
        "ring all-reduce": models.all_reduce_time(*given, "ring"),
    }
    if not workers & (workers - 1):
        formulas["recursive doubling"] = models.all_reduce_time(*given, "recursive_doubling")
    for operation, seconds in formulas.items():
        assert math.isclose(collective(operation, workers, fan_in).times(*given[1:]).sum(), seconds, abs_tol=1e-15)


@given(st.integers(2, 64))
def test_a_ring_sends_less_than_two_vectors(workers: int) -> None:
    ring = collective("ring all-reduce", workers)
    assert np.allclose(ring.sent(1.0), 2 * (workers - 1) / workers)
    assert np.allclose(ring.received(1.0), ring.sent(1.0))
    assert ring.messages == 2 * workers * (workers - 1)


def test_a_round_uses_what_was_there_before_it() -> None:
    start = np.array([[1], [2], [4]], dtype=np.uint64)
    passed_on = play([[Send(0, 1, (0,), True), Send(1, 2, (0,), True)]], start)
    assert passed_on.has[-1].ravel().tolist() == [1, 3, 6]


@pytest.mark.parametrize(
    ("rounds", "says"),
    [
        ([[Send(0, 1, (0,), True)]] * 2, "round 2: worker 1 adds piece 0 of worker 0, parts of which it has"),
        ([[Send(2, 0, (0,), False)]], "round 1: worker 2 sends piece 0, of which it has nothing"),
    ],
)
def test_what_cannot_be_sent(rounds: list[list[Send]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        play(rounds, np.array([[1], [2], [0]], dtype=np.uint64))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gossip", 4), "operation is 'gossip'; it must be one of flat broadcast"),
        (("tree reduction", 65), "workers is 65; it must be a whole number of at least 1 and at most 64"),
        (("tree reduction", 4, 1), "fan_in is 1; it must be a whole number of at least 2"),
        (("recursive doubling", 6), "workers is 6; for recursive doubling it must be a power of two"),
    ],
)
def test_wrong_arguments(arguments: tuple, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        collective(*arguments)


# ---- joins and shuffles


@given(st.integers(2, 1000), st.floats(1, 1e12), st.floats(1, 1e12))
def test_the_rule_of_the_joins(workers: int, small: float, large: float) -> None:
    copy, share = (models.join_bytes(workers, small, large, how) for how in ("broadcast", "shuffle"))
    if not math.isclose(workers * small, small + large, rel_tol=1e-9):
        assert (copy < share) == (workers * small < small + large)


def test_a_shuffle_that_is_simulated_takes_what_the_formula_says() -> None:
    from course.graph import map_reduce

    for workers in (2, 5, 8):
        graph = map_reduce(workers, workers, duration=0.0, output_size=1e9)
        makespan = simulate.run(graph, simulate.Cluster(workers, bandwidth=1e9)).makespan
        assert math.isclose(makespan, models.shuffle_time(workers, workers * 1e9, 0.0, 1e9))


@pytest.mark.parametrize("partitions", [2, 8, 32, 64, 100, 1024])
def test_tasks_of_a_shuffle_are_those_of_dask(partitions: int) -> None:
    import dask
    import dask.dataframe as dd
    import pandas as pd

    some = pd.DataFrame({"key": [1], "x": [1.0]})
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        frame = dd.from_map(lambda _: some, range(partitions), meta=some).shuffle("key")
        made = [key for key in frame.optimize().__dask_graph__() if "taskshuffle" in str(key)]
    assert len(made) == models.shuffle_tasks(partitions)[0]


def test_join_bytes_refuses_another_way() -> None:
    with pytest.raises(ValueError, match="algorithm is 'sort'; it must be one of broadcast, shuffle"):
        models.join_bytes(2, 1, 1, "sort")
