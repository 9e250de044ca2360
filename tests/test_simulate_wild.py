"""Whatever `run`, `queue` and their like are given: the right answer or a ValueError, never NaN, never a hang."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from course.graph import CycleError, GraphError, TaskGraph, chain, independent
from course.simulate import (
    DISCIPLINES,
    DISTRIBUTIONS,
    POLICIES,
    Cluster,
    batch_means,
    queue,
    random_queue,
    random_times,
    run,
)
from course.trace import COMPUTE, TRANSFER

good = st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 0.1, 1.0, 3.0, 1e9, 1e18, 1e150])
huge = st.sampled_from([1e299, 1e300, 1e307, 1.7e308])
bad = st.sampled_from([-0.0, -1.0, -5e-324, math.nan, math.inf, -math.inf])


@st.composite
def mostly(draw, usual, other):
    """Mostly the one, seldom the other; `st.one_of` would count what the other consists of, each as often."""
    return draw(usual if draw(st.integers(0, 9)) else other)


wild = mostly(good, huge | bad)
strange = st.sampled_from([None, "3", "a", [], [1, 2], True, 2.5, math.nan, -1, 10**30, 1j])
seeds = mostly(st.integers(0, 2**70), st.sampled_from([-1, 1.5, None, "0", True]))


@st.composite
def graphs(draw, cost=good):
    """Graphs of few tasks, mostly without a cycle."""
    n = draw(st.integers(0, 8))
    ends = st.integers(0, max(n - 1, 0)) if draw(st.integers(0, 9)) else st.integers(-1, n)
    acyclic = draw(st.integers(0, 9)) > 0
    rows = [
        [p for p in draw(st.lists(ends, unique=True, max_size=3)) if not acyclic or p < i] if n else []
        for i in range(n)
    ]
    edges = sum(map(len, rows))
    return TaskGraph(
        draw(st.lists(cost, min_size=n, max_size=n)),
        draw(st.lists(cost, min_size=n, max_size=n)),
        rows,
        edge_size=draw(st.none() | st.lists(cost, min_size=edges, max_size=edges)),
    )


@st.composite
def calls(draw):
    """Return the arguments of `run`, each as a function that makes it, since that may refuse already."""
    sane = draw(st.booleans())  # about half of the calls must get an answer
    cost = wild if not sane and draw(st.booleans()) else good
    few = sane or draw(st.booleans())
    workers = draw(st.sampled_from([1, 2, 3, 50]) if few else st.sampled_from([0, -1, 10**9, 2.5, "2", True, None]))
    value = st.sampled_from([1e-3, 0.5, 1.0, 1e18] if sane else [0.0, 5e-324, 1e-300, 0.5, 1.0, 1e18, 1e300])
    value = value if few else wild
    parts = {
        "threads": draw(st.sampled_from([1, 1, 2, 10**6]) if few else st.sampled_from([0, -1, 2**62, 2**70, 1.5])),
        "speed": draw(st.sampled_from([1.0, 3.0] if sane else [1e-300, 1e300]) if few else value),
        "latency": draw(st.just(0.0) | value),
        "bandwidth": draw(st.just(math.inf) | value.filter(lambda x: x != 0)),
        "backbone": draw(st.just(math.inf) | value.filter(lambda x: x != 0)),
        "scheduler_overhead": draw(st.just(0.0) | value),
        "release_delay": draw(st.just(0.0) | value),
    }
    policy = draw(st.sampled_from([*POLICIES]))
    if not few:
        policy = draw(st.lists(wild, max_size=8) | st.sampled_from(["best", None, 3]))
    return draw(st.data()), cost, workers, parts, policy, draw(st.integers(0, 2**70) if sane else seeds)


@pytest.mark.slow
@settings(max_examples=1500)
@given(calls())
def test_run(call):
    data, cost, workers, parts, policy, seed = call
    try:
        graph = data.draw(graphs(cost))
        trace = run(graph, Cluster(workers, **parts), policy, seed)
    except ValueError:
        return
    n, computes = len(graph), trace.kind == COMPUTE
    assert sorted(trace.task[computes].tolist()) == list(range(n))
    start, stop = trace.task_times()
    for column in (trace.start, trace.stop, trace.size):
        assert np.isfinite(column).all()
    assert (start >= 0).all()
    assert (start <= stop).all()
    for i in range(n):
        assert all(stop[p] <= start[i] for p in graph.predecessors(i))
    assert (trace.start[trace.kind == TRANSFER] >= 0).all()
    assert ((trace.worker[computes] >= 0) & (trace.worker[computes] < workers)).all()
    assert 0 <= trace.makespan < math.inf
    assert 0 <= trace.utilization() <= 1 + 1e-9
    assert (trace.idle() >= -1e-9 * trace.makespan).all()
    assert len(trace.critical_path()) >= (n > 0)


def outcome(make):
    try:
        return make()
    except ValueError as error:
        return type(error)


@settings(max_examples=1000)
@given(st.data())
def test_graphs(data):
    """A graph of any costs and edges is refused, or has a finite work and span."""
    try:
        graph = data.draw(graphs(wild))
    except GraphError:
        return
    assert 0 <= graph.span <= graph.work * (1 + 1e-9) < math.inf
    assert np.isfinite(graph.t_level()).all()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: run(TaskGraph([]), 3).makespan, 0.0),
        (lambda: run(chain(1), 10**9), ValueError),
        (lambda: run(chain(1), 10**4).makespan, 1.0),
        (lambda: run(independent(2), Cluster(1, threads=10**12)).makespan, 1.0),
        (lambda: TaskGraph([1, 1], 0, [[1], [0]]), CycleError),
        (lambda: TaskGraph([1e300, 1e300]), GraphError),
        (lambda: TaskGraph([1, 1], [1e308, 1e308]), GraphError),
        (lambda: run(TaskGraph([1e299, 1e299], 0, [[], [0]]), 2).makespan, 2e299),
        (lambda: run(TaskGraph([1e299]), Cluster(1, speed=1e-3)), ValueError),
        (lambda: run(TaskGraph([1e299]), Cluster(1, speed=1e-300)), ValueError),
        # 1e18 bytes over the slowest of links, which nobody would want to wait for.
        (lambda: run(TaskGraph([1, 2, 1], 1e18, [[], [], [0, 1]]), Cluster(2, bandwidth=5e-324)), ValueError),
        (lambda: run(TaskGraph([1, 2, 1], 1e18, [[], [], [0, 1]]), Cluster(2, bandwidth=1e18)).makespan, 4.0),
        (lambda: run(TaskGraph([1, 2, 1], 0.0, [[], [], [0, 1]]), Cluster(2, bandwidth=5e-324)).makespan, 3.0),
        (lambda: run("graph", 2), ValueError),
        (lambda: run(chain(2), 2, "random", seed=-1), ValueError),
        (lambda: run(chain(2), 2, "random", seed=2**70).makespan, 2.0),
        (lambda: queue([1e300, 1e300], [0, 0]), ValueError),
        (lambda: queue([1.7e308], [1.7e308]), ValueError),
        (lambda: queue([1.0], [1e299]).stop.tolist(), [1e299]),
        (lambda: queue([1.0, 0.0], [2.0, 2.0], 10**9).wait.tolist(), [0.0, 0.0]),
        (lambda: queue([1.0], [1.0], 10**10), ValueError),
        (lambda: queue([1.0, 0.0], [0.0, 0.0]).slowdown.tolist(), [1.0, 1.0]),
        (lambda: queue([1.0, 0.0], [1.0, 0.0]).slowdown.tolist(), [1.0, math.inf]),
    ],
)  # fmt: skip
def test_what_was_decided(make, expected):
    assert outcome(make) == expected


@st.composite
def customers(draw):
    sane = draw(st.booleans())
    time = good if sane else wild
    n = draw(st.integers(0, 12))
    gaps = draw(st.lists(time, min_size=n, max_size=n))
    service = draw(st.lists(time, min_size=n, max_size=n) if sane else st.lists(time, max_size=12))
    few = sane or draw(st.booleans())
    servers = draw(st.sampled_from([1, 2, 3, 20, 70, 10**9]) if few else strange)
    discipline = draw(st.sampled_from(DISCIPLINES) if few else st.sampled_from(["best", None, 3]))
    priority = draw(st.lists(wild, min_size=n, max_size=n)) if discipline == "priority" else None
    forms = [
        gaps,
        np.array(gaps, dtype=np.float32),
        np.array(gaps)[::-1],
        tuple(gaps),
        *([] if sane else [None, "a", 3]),
    ]
    return draw(st.sampled_from(forms)), (service, servers, discipline, priority)


@pytest.mark.slow
@settings(max_examples=1500)
@given(customers())
@example(([0.0, 0.0], ([1e18, 5e-324], 1, "ps", None)))
@example(([1e150, 0.0, 1.0], ([1e-300, 1.0, 1e18], 1, "ps", None)))
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # of the test's own float32
def test_queue(arguments):
    gaps, (service, servers, discipline, priority) = arguments
    try:
        served = queue(gaps, service, servers, discipline, priority=priority)
    except ValueError:
        return
    check(served)


def check(served) -> None:
    for column in (served.arrival, served.start, served.stop, served.wait, served.response):
        assert np.isfinite(column).all()
        assert (column >= 0).all()
    assert (served.arrival <= served.start).all()
    assert (served.start <= served.stop).all()
    assert (served.slowdown >= 0).all()
    assert 0 <= served.utilization <= 1 + 1e-9
    assert 0 <= served.mean_number < math.inf
    assert served.throughput > 0
    assert served.number_at([-math.inf, math.inf]).tolist() == [0, 0]
    assert repr(served)


shapes = mostly(st.none() | st.sampled_from(DISTRIBUTIONS), st.sampled_from(["best", 3]))
counts = mostly(st.integers(1, 30), st.just(0) | strange)
allowed = st.sampled_from([1e-100, 1e-9, 0.1, 1.0, 3.0, 1e18, 1e100])
moments = mostly(allowed, wild | strange)
scv = st.none() | st.sampled_from([0.0, 1e-12, 0.1, 1.0, 1.0, 4.0, 1e12])
scvs = mostly(scv, wild | strange)


@settings(max_examples=1000)
@given(moments, moments, scvs, scvs, shapes, shapes, counts, st.sampled_from(DISCIPLINES), seeds)
def test_random_queue(rate, mean, arrival_scv, service_scv, arrival, service, n, discipline, seed):
    if discipline == "priority":
        discipline = "fifo"
    options = {"arrival_scv": arrival_scv, "service_scv": service_scv, "arrival": arrival, "service": service}
    try:
        served = random_queue(rate, mean, 2, discipline, customers=n, seed=seed, **options)
    except ValueError:
        return
    assert len(served) == n
    check(served)


@settings(max_examples=1000)
@given(counts, moments, scvs, shapes, seeds)
def test_random_times(n, mean, scv, distribution, seed):
    try:
        times = random_times(n, mean, scv, distribution, seed=seed)
    except ValueError:
        return
    assert times.shape == (n,)
    assert np.isfinite(times).all()
    assert (times >= 0).all()


@settings(max_examples=1000)
@given(
    mostly(st.lists(good, min_size=20, max_size=60), st.lists(wild, max_size=60) | strange),
    mostly(st.integers(2, 10), st.integers(-1, 30) | strange),
    mostly(st.floats(0, 0.5), st.floats(-0.1, 1.1) | strange),
)
def test_batch_means(values, batches, warm_up):
    try:
        mean, error = batch_means(values, batches, warm_up)
    except ValueError:
        return
    assert math.isfinite(mean)
    assert 0 <= error < math.inf
