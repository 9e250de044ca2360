"""Rigid jobs on a cluster, against plain Python, the queues that they become in the limit, and their promises."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.simulate import jobs, queue
from course.simulate.jobs import MOST_JOBS
from tests.strategies import COLUMNS, SMALL_OR_WRONG

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))["cases"]
}

# ---- the twins


def plain_in_order(arrival, width, runtime, estimate, nodes, easy):
    """Return starts and promises; at each instant at which anything happens all is decided from the definitions."""
    start, promised = {}, {}
    coming = list(range(len(arrival)))
    waiting = []
    now = -math.inf
    while coming or waiting:
        running = [j for j in start if start[j] + runtime[j] > now]
        now = min([arrival[j] for j in coming[:1]] + [start[j] + runtime[j] for j in running])
        while coming and arrival[coming[0]] <= now:
            waiting.append(coming.pop(0))
        at_once = True
        while at_once:  # jobs that take no time leave room at the same instant
            at_once = False
            running = [j for j in start if start[j] + runtime[j] > now]
            free = nodes - sum(width[j] for j in running)
            latest = spare = None
            for job in list(waiting):
                if latest is None and width[job] > free:
                    if not easy:
                        break
                    # By the estimates, when is there room for the first one?
                    for end in sorted({start[j] + estimate[j] for j in running}):
                        there = nodes - sum(width[j] for j in running if start[j] + estimate[j] > end)
                        if there >= width[job]:
                            break
                    latest, spare = end, there - width[job]
                    promised.setdefault(job, latest)
                    continue
                in_time = latest is None or now + estimate[job] <= latest
                if width[job] <= free and (in_time or width[job] <= spare):
                    if not in_time:
                        spare -= width[job]
                    start[job] = now
                    free -= width[job]
                    running.append(job)
                    waiting.remove(job)
                    at_once |= now + runtime[job] == now
    n = range(len(arrival))
    return [start[j] for j in n], [promised.get(j, math.nan) for j in n]


def plain_conservative(arrival, width, runtime, estimate, nodes):
    """Return starts and promises; the plan is the list of all promises, and room is counted job by job."""
    start, promised, begun = {}, {}, set()
    ended = set()

    def held_until(j):
        return start[j] + (runtime[j] if j in ended else estimate[j])

    def room(t, but):
        return nodes - sum(width[j] for j in start if j != but and start[j] <= t < held_until(j))

    def first_start(job, now):
        ends = sorted({now, *(held_until(j) for j in start if j != job and held_until(j) > now)})
        for t in ends:
            inside = [t, *(start[j] for j in start if j != job and t < start[j] < t + estimate[job])]
            if all(room(x, job) >= width[job] for x in inside):
                return t
        raise AssertionError

    coming = list(range(len(arrival)))
    while coming or len(begun) < len(start):
        running = [j for j in begun if j not in ended]
        waiting = [j for j in start if j not in begun]
        now = min(
            [arrival[j] for j in coming[:1]] + [start[j] + runtime[j] for j in running] + [start[j] for j in waiting]
        )
        early = False
        for j in running:
            if start[j] + runtime[j] <= now:
                ended.add(j)
                early |= start[j] + estimate[j] > now
        if early:
            for j in sorted(waiting):
                start[j] = first_start(j, now)
        while coming and arrival[coming[0]] <= now:
            job = coming.pop(0)
            start[job] = promised[job] = first_start(job, now)
        begun |= {j for j in start if start[j] <= now}
    n = range(len(arrival))
    return [start[j] for j in n], [promised[j] for j in n]


@st.composite
def workloads(draw, few=True):
    """Few jobs of few different sizes, so that ties and exact fits are common."""
    n, nodes = draw(st.integers(1, 14)), draw(st.integers(1, 6))
    seconds = st.sampled_from([1.0, 2.0, 3.0, 8.0]) if draw(st.booleans()) else st.floats(0.125, 9, width=16)
    gaps = draw(st.lists(seconds | st.just(0.0), min_size=n, max_size=n))
    width = draw(st.lists(st.integers(1, nodes), min_size=n, max_size=n))
    runtime = draw(st.lists(seconds | st.just(0.0), min_size=n, max_size=n))
    more = draw(st.lists(st.just(0.0) | seconds, min_size=n, max_size=n)) if draw(st.booleans()) else [0.0] * n
    estimate = [a + b or 0.5 for a, b in zip(runtime, more, strict=True)]
    return np.cumsum(gaps).tolist(), width, runtime, estimate, nodes


@settings(max_examples=500)
@given(workloads(), st.sampled_from(list(MOST_JOBS)))
def test_jobs_are_their_twin(workload, policy):
    *columns, nodes = workload
    result = jobs(*columns, nodes=nodes, policy=policy)
    if policy == "conservative":
        start, promised = plain_conservative(*columns, nodes)
    else:
        start, promised = plain_in_order(*columns, nodes, policy == "easy")
    assert result.start.tolist() == start
    np.testing.assert_array_equal(result.promised, promised)


@pytest.mark.parametrize("policy", list(MOST_JOBS))
def test_longer_workloads_are_their_twin(policy):
    rng = np.random.default_rng(4)
    n, nodes = 300, 32
    columns = [
        np.cumsum(rng.exponential(1.0, n)).tolist(),
        (2 ** rng.integers(0, 6, n)).tolist(),
        (runtime := rng.exponential(2.0, n)).tolist(),
        (runtime * rng.uniform(1, 4, n)).tolist(),
    ]
    result = jobs(*columns, nodes=nodes, policy=policy)
    twin = plain_conservative(*columns, nodes) if policy == "conservative" else plain_in_order(
        *columns, nodes, policy == "easy"
    )  # fmt: skip
    assert result.start.tolist() == twin[0]
    assert result.wait.mean() > 1  # they did compete


# ---- what is known about them


@settings(max_examples=300)
@given(workloads(), st.sampled_from(list(MOST_JOBS)))
def test_no_node_is_given_twice_and_no_promise_is_broken(workload, policy):
    arrival, width, runtime, estimate, nodes = workload
    result = jobs(arrival, width, runtime, estimate, nodes=nodes, policy=policy)
    for t in {*result.start.tolist(), *result.stop.tolist()}:
        running = [w for w, a, b in zip(width, result.start, result.stop, strict=True) if a <= t < b]
        assert sum(running) <= nodes
        assert result.busy_at(t) == sum(running)
    assert (result.start >= result.arrival).all()
    promise = ~np.isnan(result.promised)
    assert (result.start[promise] <= result.promised[promise]).all()
    if policy == "conservative":
        assert promise.all()
        if estimate == runtime:
            assert result.start.tolist() == result.promised.tolist()
    if policy == "fcfs":
        assert not promise.any()
        assert (np.diff(result.start) >= 0).all()


@settings(max_examples=150)
@given(workloads())
def test_the_first_of_the_queue_is_not_delayed_by_who_overtakes_it(workload):
    """With exact estimates, the first job that has to wait starts under EASY when it would if no later one existed."""
    arrival, width, runtime, _, nodes = workload
    result = jobs(arrival, width, runtime, nodes=nodes, policy="easy")
    waits = np.flatnonzero(result.wait > 0)
    if len(waits):
        first = int(waits[0])
        alone = jobs(arrival[: first + 1], width[: first + 1], runtime[: first + 1], nodes=nodes)
        assert result.start[first] == alone.start[first]


@settings(max_examples=100)
@given(workloads(), st.sampled_from(list(MOST_JOBS)))
def test_jobs_of_one_node_are_customers_of_many_servers(workload, policy):
    arrival, _, runtime, estimate, nodes = workload
    one = jobs(arrival, 1, runtime, estimate, nodes=nodes, policy=policy)
    np.testing.assert_allclose(one.start, queue(np.diff(arrival, prepend=0.0), runtime, nodes).start, rtol=1e-12)
    # And jobs that need all nodes, those of one server.
    every = jobs(arrival, nodes, runtime, estimate, nodes=nodes, policy=policy)
    np.testing.assert_allclose(every.start, queue(np.diff(arrival, prepend=0.0), runtime).start, rtol=1e-12)


@pytest.mark.parametrize("policy", list(MOST_JOBS))
def test_a_published_trace(policy):
    case = CASES["trace-01"]
    served = case["inputs"]
    assert served["servers"] == 1 or isinstance(served["servers"], int)
    result = jobs(served["arrivals"], 1, served["services"], nodes=served["servers"], policy=policy)
    wanted = case["expected"]["departures"]
    np.testing.assert_allclose(
        result.stop, wanted["value"], atol=wanted.get("abs_tol", 0), rtol=wanted.get("rel_tol", 0)
    )


@pytest.mark.parametrize("policy", ["fcfs", "easy"])
def test_a_published_mean(policy):
    case = CASES["q-04"]  # M/M/2 and M/M/4
    i = case["inputs"]
    for servers, expected in zip(i["c"], case["expected"]["W"]["value"], strict=True):
        means = []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            n = 50_000
            result = jobs(np.cumsum(rng.exponential(1 / i["lambda"], n)), 1, rng.exponential(1 / i["mu"], n),
                          nodes=servers, policy=policy)  # fmt: skip
            means.append(result.response[n // 5 :].mean())
        assert abs(np.mean(means) - expected) < 3 * np.std(means, ddof=1) / math.sqrt(10)


def test_backfilling_uses_what_waiting_leaves_idle():
    rng = np.random.default_rng(0)
    n, nodes = 2000, 64
    workload = np.cumsum(rng.exponential(1.0, n)), 2 ** rng.integers(0, 7, n), rng.exponential(2.2, n)
    wait = {policy: jobs(*workload, nodes=nodes, policy=policy).wait.mean() for policy in MOST_JOBS}
    # Mu'alem and Feitelson 2001: both kinds of backfilling improve a lot on first come first served, about equally.
    assert wait["easy"] < 0.5 * wait["fcfs"]
    assert wait["conservative"] < 0.5 * wait["fcfs"]


def test_jobs_by_hand():
    # 4 nodes. Job 0 holds 2 until 10 (said: 20). Job 1 needs 4. Job 2 (2 nodes, 30 s) would keep job 1 from starting.
    # Job 3 (1 node, 15 s) ends in time.
    columns = [0, 1, 2, 3], [2, 4, 2, 1], [10, 5, 30, 15], [20, 5, 30, 15]
    easy = jobs(*columns, nodes=4, policy="easy")
    assert easy.promised.tolist()[1] == 20
    # At 10 there is room for job 2 beside job 3 — job 1 can start at 18, so 2 must not; at 18 it does.
    assert easy.start.tolist() == [0, 18, 23, 3]
    assert jobs(*columns, nodes=4).start.tolist() == [0, 10, 15, 15]
    # A job that leaves enough for the first one may run on: job 1 needs 3 of 4 at 10, job 2 is the fourth.
    assert jobs([0, 1, 2], [2, 3, 1], [10, 5, 50], nodes=4, policy="easy").start.tolist() == [0, 10, 2]


def test_measures_of_jobs():
    result = jobs([5, 5], [1, 2], [10, 5], nodes=2)
    assert result.start.tolist() == [5, 15]
    assert result.stop.tolist() == [15, 20]
    assert (result.wait.tolist(), result.response.tolist()) == ([0, 10], [10, 15])
    assert result.slowdown().tolist() == [1, 1.5]
    assert result.slowdown(1.0).tolist() == [1, 3]
    assert result.makespan == 20
    assert result.utilization == 20 / 30
    assert result.busy_at([0, 5, 14.9, 15, 20]).tolist() == [0, 1, 1, 2, 0]
    assert len(result) == 2
    assert repr(result) == "Jobs(2 jobs, 2 nodes, utilization 0.667, mean wait 5 s)"
    assert jobs([0], 1, 0, nodes=1).utilization == 0


@pytest.mark.parametrize("policy", list(MOST_JOBS))
def test_all_at_once(policy):
    n = 500
    rng = np.random.default_rng(1)
    runtime = rng.exponential(1.0, n)
    result = jobs(np.zeros(n), rng.integers(1, 17, n), runtime, 3 * runtime, nodes=16, policy=policy)
    assert not np.isnan(result.start).any()
    assert (result.width * runtime).sum() / 16 <= result.makespan


def test_every_call_uses_what_warm_up_compiled():
    from course.simulate import job_kernels

    fixed = np.ones(3)
    fixed.flags.writeable = False
    for policy in MOST_JOBS:
        jobs([1, 2], [1, 2], 3, nodes=2, policy=policy)
        jobs(fixed, np.int32(1), fixed, 2 * fixed[::-1], nodes=np.int64(2), policy=policy)
    assert len(job_kernels.in_order.signatures) == len(job_kernels.conservative.signatures) == 1


# ---- bad input


@settings(max_examples=1000)
@given(
    COLUMNS, COLUMNS, COLUMNS, COLUMNS, st.integers(1, 9) | SMALL_OR_WRONG, st.sampled_from([*MOST_JOBS, "best", None])
)
def test_wild_jobs(arrival, width, runtime, estimate, nodes, policy):
    try:
        result = jobs(arrival, width, runtime, estimate, nodes=nodes, policy=policy)
    except ValueError:
        return
    assert np.isfinite(result.stop).all()
    assert (result.wait >= 0).all()
    assert 0 <= result.utilization <= 1 + 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jobs([], 1, 1, nodes=1), "there are 0 jobs; there must be at least 1, and for 'fcfs' at most 1000000"),
        (lambda: jobs(np.zeros(2001), 1, 1, nodes=1, policy="conservative"), "for 'conservative' at most 2000"),
        (lambda: jobs([2, 1], 1, 1, nodes=1), "arrival[1] is 1, before the one before it"),
        (lambda: jobs([1], 3, 1, nodes=2), "width is 3; it must be at most the number of nodes, 2"),
        (lambda: jobs([1], 0, 1, nodes=2), "width is 0; it must be a whole number and at least 1"),
        (lambda: jobs([1], 1, [1, 2], nodes=2), "runtime has shape (2,); allowed: () or (1,)"),
        (lambda: jobs([1], 1, 5, 4, nodes=2), "estimate[0] is 4; it must be at least the runtime, 5"),
        (lambda: jobs([1], 1, math.inf, nodes=2), "runtime is inf; it must be finite"),
        (lambda: jobs([1e308], 1, 1e308, nodes=2), "the last arrival plus all estimates is inf"),
        (lambda: jobs([1], 1, 1, nodes=0), "nodes is 0; it must be a whole number of at least 1"),
        (lambda: jobs([1], 1, 1, nodes=1, policy="best"), "policy is 'best'; it must be one of fcfs, easy"),
        (lambda: jobs([1], 1, 1, nodes=1).slowdown(0), "least is 0; it must be finite and greater than 0"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
