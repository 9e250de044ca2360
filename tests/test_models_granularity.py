"""Chunks, central schedulers and batches: limits, searches by brute force, and simulations."""

from __future__ import annotations

import heapq
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.domain import UnstableError
from course.models.granularity import (
    MOST_CHUNKS,
    batch_latency,
    best_batch,
    best_chunk,
    chunk_time,
    kruskal_weiss_batch,
    scheduler_ceiling,
    scheduler_utilization,
    serialization_time,
    smallest_task,
)
from course.models.protocols import batching
from course.models.queueing import ggc, mg1
from course.models.scheduling import brent
from tests.strategies import NUMBERS, answer_or_error

seconds = st.one_of(st.just(0.0), st.floats(1e-9, 10))


# ---- chunks


def listed(durations: list[float], workers: int, dispatch: float) -> float:
    """Return the makespan: the scheduler hands out one task after another, each goes to the worker free first."""
    free = [0.0] * workers
    finish = 0.0
    for j, duration in enumerate(durations, start=1):
        start = max(j * dispatch, heapq.heappop(free))
        finish = max(finish, start + duration)
        heapq.heappush(free, start + duration)
    return finish


@given(st.floats(0, 100), st.integers(1, 60), st.integers(1, 12), st.floats(0, 5), st.floats(0, 5), st.floats(1, 9))
@settings(max_examples=300)
def test_chunk_time_by_simulation(work, chunks, workers, overhead, dispatch, slowest):
    durations = [work / chunks + overhead] * (chunks - 1) + [slowest * work / chunks + overhead]
    expected = listed(durations, workers, dispatch)
    assert chunk_time(work, chunks, workers, overhead, dispatch, slowest) == pytest.approx(
        expected, rel=1e-9, abs=1e-12
    )


@given(st.floats(0, 100), st.integers(1, 60), st.integers(1, 12), seconds)
def test_equal_chunks_come_in_waves(work, chunks, workers, overhead):
    time = chunk_time(work, chunks, workers, overhead)
    assert time == pytest.approx(math.ceil(chunks / workers) * (work / chunks + overhead))
    if work + overhead > 0:
        low, high = brent(work + chunks * overhead, work / chunks + overhead, workers)
        assert low * (1 - 1e-9) <= time <= high * (1 + 1e-9)


def test_chunk_limits():
    assert chunk_time(100, 1, 10, 1) == chunk_time(100, 1, 1, 1) == 101
    assert chunk_time(100, 10, 1, 0) == 100
    assert chunk_time(0, 10, 5, 0) == 0
    assert chunk_time(100, 10**18, 10, 0) == pytest.approx(10)
    assert chunk_time(1, 1000, 10, 0, dispatch=1) == pytest.approx(1000, rel=1e-2)  # the scheduler alone
    assert chunk_time([1, 2], [[10], [20]], 5, 0).shape == (2, 2)


@given(st.floats(0, 100), st.integers(1, 20), st.floats(0, 3), st.floats(0, 3), st.floats(1, 9), st.floats(0, 99))
@settings(max_examples=150)
def test_the_best_chunks_are_the_best_of_all(work, workers, overhead, dispatch, slowest, size):
    best = best_chunk(work, workers, overhead, dispatch, slowest, size=size, memory=3.0, most=200)
    fewest = max(1, math.ceil(size / 3))
    times = [chunk_time(work, k, workers, overhead, dispatch, slowest) for k in range(fewest, 201)]
    assert best.time == pytest.approx(min(times), rel=1e-9, abs=1e-12)
    assert times[best.chunks - fewest] == best.time
    assert best.fewest == fewest <= best.chunks <= 200
    assert fewest <= best.approximation <= 200


@given(st.floats(1, 1e5), st.integers(1, 30), st.floats(1e-3, 1), st.floats(1.5, 9))
@settings(max_examples=60, deadline=None)
def test_the_formula_of_the_best_chunks(work, workers, overhead, slowest):
    best = best_chunk(work, workers, overhead, slowest=slowest, most=200_000)
    bound = work / workers + 2 * math.sqrt((slowest - 1) * work * overhead / workers)
    # A whole number of waves is at most this much slower, and never faster than the formula without that condition.
    assert best.time >= min(bound, chunk_time(work, 200_000, workers, overhead, slowest=slowest)) * (1 - 1e-9)
    if 2 * workers < best.approximation < 200_000 / 2:
        assert best.time <= bound * 1.05
        near = workers * round(best.approximation / workers)
        assert chunk_time(work, near, workers, overhead, slowest=slowest) <= best.time * 1.02


def test_what_limits_the_chunks():
    # Equal chunks: one wave; the memory asks for more; the scheduler for fewer.
    assert best_chunk(1000, 10, 0.01).chunks == best_chunk(1000, 10, 0.01).approximation == 10
    assert best_chunk(1000, 10, 0.01, size=95, memory=1).chunks == 100
    assert best_chunk(1000, 10, 0.01, size=95, memory=1).fewest == 95
    free = best_chunk(1000, 10, 0.001, slowest=5)
    bound = best_chunk(1000, 10, 0.001, dispatch=0.1, slowest=5)
    assert bound.chunks < free.chunks
    assert bound.approximation == pytest.approx(1000 / (10 * 0.1 - 0.001))
    # No overhead: as many as allowed.
    assert best_chunk(1000, 10, 0.0, slowest=2, most=500).chunks == 500
    with pytest.raises(ValueError, match=re.escape("memory is 1; a chunk must fit: at least size / most, 2")):
        best_chunk(1, 1, 1, size=2 * MOST_CHUNKS, memory=1)


def test_kruskal_and_weiss_by_simulation():
    # Items of 1 ± 1 (exponential), overhead 0.5, 40,000 of them on 16 workers.
    items, workers, overhead = 40_000, 16, 0.5
    best = kruskal_weiss_batch(items, workers, overhead, 1.0)
    rng = np.random.default_rng(3)

    def makespan(batch: int) -> float:
        tasks = math.ceil(items / batch)
        runs = [listed((rng.gamma(batch, 1.0, tasks) + overhead).tolist(), workers, 0.0) for _ in range(6)]
        return float(np.mean(runs)) * items / (tasks * batch)  # the last one is not full

    at_best = makespan(round(best))
    predicted = items / workers + items * overhead / (best * workers) + math.sqrt(2 * best * math.log(workers))
    assert at_best == pytest.approx(predicted, rel=0.02)
    assert at_best < 0.99 * makespan(round(best / 16))
    assert at_best < 0.99 * makespan(round(best * 16))


@given(st.integers(1, 10**6), st.integers(2, 1000), st.floats(0, 1), st.floats(1e-3, 10))
def test_kruskal_and_weiss_is_the_minimum(items, workers, overhead, deviation):
    k = kruskal_weiss_batch(items, workers, overhead, deviation)
    assert 1 <= k <= max(items / workers, 1)

    def time(k: float) -> float:
        return items * overhead / (k * workers) + deviation * math.sqrt(2 * k * math.log(workers))

    for other in (0.9 * k, 1.1 * k):
        if 1 <= other <= items / workers:
            assert time(k) <= time(other) * (1 + 1e-9)


# ---- a central scheduler


def busy_share(workers: int, draw_task, draw_overhead, tasks: int) -> float:
    """Return the share of useful work: each worker asks the scheduler, waits its turn, works, and asks again."""
    asks = [(0.0, k) for k in range(workers)]
    free = useful = 0.0
    for _ in range(tasks):
        now, worker = heapq.heappop(asks)
        free = max(free, now) + draw_overhead()
        task = draw_task()
        useful += task
        heapq.heappush(asks, (free + task, worker))
    return useful / (workers * free)


@pytest.mark.parametrize(("task", "workers"), [(0.2, 1), (0.5, 3), (4.0, 3), (10.0, 11), (10.0, 30)])
def test_utilization_by_simulation(task, workers):
    constant = busy_share(workers, lambda: task, lambda: 1.0, 20_000)
    assert scheduler_utilization(task, workers, 1.0) == pytest.approx(constant, rel=5e-3)
    shares = []
    for k in range(10):
        rng = np.random.default_rng([5, k])
        draws = iter(rng.exponential(1.0, 30_000).tolist())
        shares.append(busy_share(workers, lambda d=draws: task * next(d), lambda d=draws: next(d), 15_000))
    error = np.std(shares, ddof=1) / math.sqrt(len(shares))
    assert abs(scheduler_utilization(task, workers, 1.0, random=True) - np.mean(shares)) < 3 * error


@given(st.floats(0, 1e4), st.integers(1, 2000), st.floats(1e-4, 10))
def test_utilization_is_bounded_and_monotone(task, workers, overhead):
    constant = scheduler_utilization(task, workers, overhead)
    random = scheduler_utilization(task, workers, overhead, random=True)
    assert 0 <= random <= constant * (1 + 1e-9) <= 1 + 1e-9  # variation never helps
    assert workers * constant <= task * scheduler_ceiling(overhead) * (1 + 1e-9)
    assert scheduler_utilization(task, workers + 1, overhead) <= constant
    assert scheduler_utilization(task + 1, workers, overhead) >= constant


def test_utilization_as_published():
    # Erlang B of 10 erlangs on 10 servers is 0.2146 (tables of Erlang's formula); of 4.461 it is 0.01.
    assert scheduler_utilization(10.0, 10, 1.0, random=True) == pytest.approx(1 - 0.2146, abs=5e-5)
    assert scheduler_utilization(4.461, 10, 1.0, random=True) == pytest.approx(0.4461 * 0.99, abs=5e-6)


@given(st.integers(1, 10**6), st.floats(1e-6, 10), st.floats(0.001, 0.999))
def test_the_smallest_task_has_its_efficiency(workers, overhead, efficiency):
    task = smallest_task(workers, overhead, efficiency)
    assert scheduler_utilization(task, workers, overhead) == pytest.approx(efficiency)
    assert scheduler_utilization(0.999 * task, workers, overhead) < efficiency


def test_scheduler_limits():
    assert smallest_task(5, 0.0) == 0
    assert smallest_task(5, 1.0, 0.0) == 0
    assert smallest_task(1, 1.0, 0.5) == 1
    assert scheduler_utilization(0.0, 3, 1.0) == scheduler_utilization(0.0, 3, 1.0, random=True) == 0
    assert scheduler_utilization(1e6, 1, 1e-6, random=True) == pytest.approx(1)
    assert scheduler_ceiling(1e-3) == pytest.approx(1000)
    assert scheduler_ceiling(0.0, 1e-3, [1, 10]).tolist() == pytest.approx([1000, 10_000])


# ---- batches


@pytest.mark.parametrize(
    ("rate", "batch", "message", "item"), [(0.8, 1, 0.9, 0.1), (1.5, 2, 0.9, 0.1), (4.0, 9, 1.0, 0.1)]
)
def test_batches_by_simulation(rate, batch, message, item):
    service = message + batch * item
    values = []
    for k in range(12):
        rng = np.random.default_rng([9, k])
        items = np.cumsum(rng.exponential(1 / rate, (20_000 // batch, batch))).reshape(-1, batch)
        free, done = 0.0, []
        for full in items[:, -1]:
            free = max(free, full) + service
            done.append(free)
        values.append((np.array(done)[:, None] - items)[1000 // batch :].mean())
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(batch_latency(rate, batch, message, item) - np.mean(values)) < 3 * error
    assert error < 0.05 * np.mean(values)


@given(st.floats(0.01, 100), st.floats(0, 0.98), st.floats(0, 1))
def test_one_item_is_pollaczek_and_khinchine(rate, utilization, share):
    service = utilization / rate
    if service > 1e-9:
        latency = batch_latency(rate, 1, share * service, (1 - share) * service)
        assert latency == pytest.approx(mg1(rate, service, 0.0).mean_response, rel=1e-8)


@given(st.floats(0.01, 100), st.integers(1, 500), st.floats(1e-3, 0.95))
def test_a_batch_waits_to_fill_to_be_served_and_is_served(rate, batch, utilization):
    service = utilization * batch / rate
    latency = batch_latency(rate, batch, service, 0.0)
    filling = batching(rate, batch).delay
    assert latency >= (filling + service) * (1 - 1e-9)
    # Erlang gaps are more regular than random ones (scv 1 / b against 1).
    assert latency <= filling + mg1(rate / batch, service, 0.0).mean_response * (1 + 1e-9)


def test_batches_in_heavy_traffic():
    # Kingman: near full load the wait of E_b/D/1 is (1 / b) / 2 · ρ / (1 − ρ) · S.
    for batch in (1, 5, 40):
        wait = batch_latency(1.0, batch, 0.9999 * batch, 0.0) - (batch - 1) / 2 - 0.9999 * batch
        assert wait == pytest.approx(ggc(1 / batch, 0.9999 * batch, 1 / batch, 0.0, 1).mean_wait, rel=0.01)


@given(st.floats(0.1, 100), st.floats(0, 0.95), st.floats(0.001, 20))
@settings(max_examples=80, deadline=None)
def test_the_best_batch_is_the_best_of_all(rate, load, message):
    item, message = load / rate, message / rate
    best = best_batch(rate, message, item)
    fewest = math.floor(rate * message / (1 - load) * (1 + 1e-6)) + 1
    least = batch_latency(rate, best, message, item)
    others = batch_latency(rate, np.arange(fewest, 3 * best + 20), message, item)
    assert least == pytest.approx(others.min(), rel=1e-9)


def test_best_batch_limits():
    assert best_batch(1e-6, 1.0, 1.0) == 1
    assert best_batch(1000.0, 0.0, 1e-6) == 1
    assert best_batch(1000.0, 0.1, 1e-6) > 100
    with pytest.raises(UnstableError, match="the utilization is 2;"):
        best_batch(2.0, 1.0, 1.0)
    with pytest.raises(UnstableError):
        best_batch(1e9, 1.0, 0.0)
    with pytest.raises(UnstableError):
        batch_latency(1.0, 2, 2.0, 0.5)


@given(st.floats(0, 1e12), st.integers(1, 1000), st.integers(1, 1000))
def test_serialization(size, receivers, copies):
    once = serialization_time(size, 1e9, 2e9, 1e8, receivers)
    assert serialization_time(size, 1e9, 2e9, 1e8, receivers, copies) == pytest.approx(copies * once)
    assert once == pytest.approx(size * 1.5e-9 + receivers * size * 1e-8)
    # To scatter to a few workers costs less than to embed in as many tasks.
    assert once <= serialization_time(size, 1e9, 2e9, 1e8, 1, receivers) * (1 + 1e-12)


# ---- errors, wild inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chunk_time(-1, 1, 1, 1), "total_work is -1; it must be finite and at least 0"),
        (lambda: chunk_time(1, 1.5, 1, 1), "chunks is 1.5; it must be a whole number"),
        (lambda: chunk_time(1, 1, 0, 1), "workers is 0"),
        (lambda: chunk_time(1, 1, 1, 1, slowest=0.5), "slowest is 0.5; it must be finite and at least 1"),
        (lambda: best_chunk(1, 1, 1, memory=0), "memory is 0"),
        (
            lambda: best_chunk(1, 1, 1, most=10**7),
            "most is 1e+07; it must be a whole number and at least 1 and at most",
        ),
        (lambda: kruskal_weiss_batch(10, 1, 1, 1), "workers is 1; it must be a whole number and at least 2"),
        (lambda: kruskal_weiss_batch(10, 2, 1, 0), "deviation is 0"),
        (lambda: scheduler_ceiling(0.0), "task_overhead + message_overhead / batch is 0"),
        (lambda: scheduler_utilization(1, 1, 0), "scheduler_overhead is 0"),
        (lambda: smallest_task(1, 1, 1.0), "efficiency is 1.0; it must be at least 0 and below 1"),
        (lambda: batch_latency(0, 1, 1, 1), "arrival_rate is 0"),
        (lambda: batch_latency(1, 0, 1, 1), "batch is 0"),
        (lambda: batch_latency(1, 1, 0, 0), "per_message + batch × per_item is 0"),
        (lambda: best_batch(1, -1, 0), "per_message is -1"),
        (lambda: serialization_time(1, 1, 1, 0), "bandwidth is 0"),
        (lambda: serialization_time(1, 1, math.inf, 1), "deserialize_rate is inf"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
@settings(max_examples=700, deadline=None)
def test_wild_inputs(a, b, c, d, e, f):
    answer_or_error(chunk_time, a, b, c, d, e, f)
    answer_or_error(kruskal_weiss_batch, a, b, c, d)
    answer_or_error(scheduler_ceiling, a, b, c)
    answer_or_error(scheduler_utilization, a, b, c, high=1)
    answer_or_error(scheduler_utilization, a, min(b, 1000), c, True, high=1)
    answer_or_error(smallest_task, a, b, c)
    answer_or_error(serialization_time, a, b, c, d, e, f)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
@settings(max_examples=200, deadline=None)
def test_wild_searches(a, b, c, d, e, f):
    answer_or_error(lambda: best_chunk(a, b, c, d, e, f, most=1000).time)
    answer_or_error(batch_latency, a, min(b, 100), c, d)
    answer_or_error(best_batch, a, c, d)


@given(st.floats(1e-30, 1e30), st.floats(0, 1e30), st.floats(0, 1e30))
@settings(max_examples=200, deadline=None)
def test_wild_batches(rate, message, item):
    answer_or_error(best_batch, rate, message / rate, min(item, 1.0) / rate)
    answer_or_error(batch_latency, rate, 3, message / rate, min(item, 1.0) / rate)
