"""Fair shares, token buckets, delay scheduling, overload: published values, their theorems, simulations."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from course.domain import UnstableError
from course.models.sharing import (
    delay_scheduling_locality,
    delay_scheduling_skips,
    delay_scheduling_wait,
    drain_time,
    drf_shares,
    max_min_fair,
    overload_backlog,
    token_bucket,
)
from tests.strategies import NUMBERS, answer_or_error

some = st.lists(st.floats(0, 100), min_size=1, max_size=8)


# ---- max-min fairness


def test_max_min_as_published():
    # Keshav 1997: without weights, and with them.
    assert max_min_fair(10, [2, 2.6, 4, 5]) == pytest.approx([2, 2.6, 2.7, 2.7])
    assert max_min_fair(16, [4, 2, 10, 4], [2.5, 4, 0.5, 1]) == pytest.approx([4, 2, 6, 4])


def poured(capacity: float, demands: list[float], weights: list[float]) -> list[float]:
    """Return max-min fair shares in rounds: divide what is left by weight, take back what is too much."""
    got = [0.0] * len(demands)
    hungry = [i for i, d in enumerate(demands) if d > 0]
    while hungry and capacity > 1e-12:
        total = sum(weights[i] for i in hungry)
        given = {i: min(demands[i] - got[i], capacity * weights[i] / total) for i in hungry}
        for i, more in given.items():
            got[i] += more
        capacity -= sum(given.values())
        hungry = [i for i in hungry if demands[i] - got[i] > 1e-12]
    return got


@given(st.floats(0, 300), some, st.lists(st.floats(0.1, 10), min_size=8, max_size=8))
@settings(max_examples=200)
def test_max_min_is_poured(capacity, demands, weights):
    weights = weights[: len(demands)]
    share = max_min_fair(capacity, demands, weights)
    assert share == pytest.approx(poured(capacity, demands, weights), abs=1e-7)
    assert share.sum() == pytest.approx(min(capacity, sum(demands)), abs=1e-9)
    assert (share <= np.array(demands)).all()
    # Who does not get all has, per weight, at least as much as anybody else.
    short = share < np.array(demands) - 1e-9
    if short.any():
        assert (share[short] / np.array(weights)[short]).min() >= (share / weights).max() - 1e-7


@given(st.floats(0, 300), some)
def test_max_min_is_fair_to_all(capacity, demands):
    share = max_min_fair(capacity, demands)
    assert (share >= np.minimum(demands, capacity / len(demands)) - 1e-9).all()
    assert (max_min_fair(capacity + 1, demands) >= share - 1e-9).all()
    assert max_min_fair(capacity, demands, np.full(len(demands), 7.0)) == pytest.approx(share, abs=1e-9)


def test_max_min_limits():
    assert max_min_fair(0, [1, 2]).tolist() == [0, 0]
    assert max_min_fair(10, [1, 2]).tolist() == [1, 2]
    assert max_min_fair(10, [30]).tolist() == [10]
    assert max_min_fair(1e18, [1e18, 1e18, 1.0]) == pytest.approx([5e17, 5e17, 1.0])
    demands = np.array([1.0])
    max_min_fair(5, demands)[0] = 99  # a copy
    assert demands[0] == 1


# ---- dominant resource fairness


def test_drf_as_published():
    # Ghodsi et al. 2011, section 4: the example.
    shares = drf_shares([9, 18], [[1, 4], [3, 1]])
    assert shares.tasks == pytest.approx([3, 2])
    assert shares.dominant == pytest.approx([2 / 3, 2 / 3])
    assert shares.allocation == pytest.approx(np.array([[3, 12], [6, 2]]))


def one_by_one(capacities, demands, weights, grain: float) -> np.ndarray:
    """Return the tasks by the algorithm of the paper, with tasks of a grain of their size."""
    capacities, demands = np.array(capacities), grain * np.array(demands)
    used, tasks = np.zeros(len(capacities)), np.zeros(len(demands))
    pace = (demands / capacities).max(axis=1) / weights
    going = set(range(len(demands)))
    while going:
        user = min(going, key=lambda i: tasks[i] * pace[i])
        if (used + demands[user] <= capacities * (1 + 1e-12)).all():
            used += demands[user]
            tasks[user] += 1
        else:
            going.remove(user)
    return grain * tasks


@pytest.mark.parametrize(
    ("capacities", "demands", "weights"),
    [
        ([9, 18], [[1, 4], [3, 1]], [1, 1]),
        ([9, 18], [[1, 4], [3, 1]], [1, 2]),
        ([30, 30], [[1, 3], [1, 1]], [1, 1]),
        ([10, 10, 10], [[1, 0, 0], [2, 1, 0], [1, 5, 1], [0, 0, 3]], [1, 1, 1, 1]),
    ],
)
def test_drf_is_the_algorithm_of_the_paper(capacities, demands, weights):
    tasks = drf_shares(capacities, demands, weights).tasks
    assert tasks == pytest.approx(one_by_one(capacities, demands, np.array(weights), 1 / 400), abs=0.03)


demand_tables = st.integers(1, 5).flatmap(
    lambda users: st.lists(
        st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 7.0]), min_size=3, max_size=3).filter(any),
        min_size=users,
        max_size=users,
    )
)
three = st.lists(st.floats(1, 50), min_size=3, max_size=3)


@given(three, demand_tables)
@settings(max_examples=200)
def test_the_theorems_of_drf(capacities, demands):
    # Table 2 of the paper: sharing incentive, envy-freeness, Pareto efficiency.
    capacities, demands = np.array(capacities), np.array(demands)
    shares = drf_shares(capacities, demands)
    used = shares.allocation.sum(axis=0)
    assert (used <= capacities * (1 + 1e-9)).all()
    alone = np.min(np.where(demands > 0, capacities / np.where(demands > 0, demands, 1), np.inf), axis=1)
    assert (shares.tasks >= alone / len(demands) * (1 - 1e-9)).all()
    full = used >= capacities * (1 - 1e-9)
    assert (demands[:, full] > 0).any(axis=1).all()  # everybody needs something that is used up
    for i, need in enumerate(demands):
        could = [min(other[need > 0] / need[need > 0]) for other in shares.allocation]
        assert max(could) <= shares.tasks[i] * (1 + 1e-9)


@given(three, demand_tables, st.lists(st.floats(0.1, 9), min_size=3, max_size=3))
@settings(max_examples=200)
def test_nobody_gains_by_a_false_statement(capacities, demands, false):
    honest = drf_shares(capacities, demands).tasks[0]
    got = drf_shares(capacities, [false, *demands[1:]]).allocation[0]
    need = np.array(demands[0])
    assert min(got[need > 0] / need[need > 0]) <= honest * (1 + 1e-9)


@given(three, demand_tables, st.lists(st.floats(0.2, 5), min_size=5, max_size=5))
@settings(max_examples=100)
def test_the_least_dominant_share_is_the_largest_possible(capacities, demands, weights):
    """By linear programming: the most t with s_i ≥ w_i t for all, and no resource overdrawn."""
    demands, weights = np.array(demands), np.array(weights[: len(demands)])
    per_task = (demands / capacities).max(axis=1)
    upper = np.vstack([np.column_stack([demands.T, np.zeros(3)]), np.column_stack([-np.diag(per_task), weights])])
    limits = np.concatenate([capacities, np.zeros(len(demands))])
    best = linprog(np.append(np.zeros(len(demands)), -1.0), A_ub=upper, b_ub=limits)
    shares = drf_shares(capacities, demands, weights)
    assert (shares.dominant / weights).min() == pytest.approx(-best.fun, rel=1e-6)


def test_drf_limits():
    # One resource: max-min fairness of those who want without end. One user: all that fits.
    assert drf_shares([10], [[1], [2]]).allocation.ravel() == pytest.approx(max_min_fair(10, [99, 99]))
    assert drf_shares([10, 6], [[1, 2]]).tasks == pytest.approx([3])
    assert drf_shares([1e18, 1.0], [[1, 0], [0, 1]]).tasks == pytest.approx([1e18, 1])


# ---- token bucket


def test_token_bucket_as_published():
    # Tanenbaum, Computer Networks (4th ed., 2003, on traffic shaping): a bucket of 250 KB at 2 MB/s, and a host that
    # sends at 25 MB/s: a burst of about 11 ms.
    assert token_bucket(2e6, 250e3).burst_time(25e6) == pytest.approx(0.011, abs=2e-4)
    # The longest burst is the one that the bucket lets through.
    bucket = token_bucket(2e6, 250e3)
    assert bucket.output(bucket.burst_time(25e6)) == pytest.approx(25e6 * bucket.burst_time(25e6))


@given(st.floats(0.5, 5), st.integers(1, 20), st.integers(0, 10**6), st.floats(1, 3), st.floats(0, 4))
@settings(max_examples=100, deadline=None)
def test_what_passes_a_bucket_keeps_the_bounds(rate, burst, seed, faster, latency):
    rng = np.random.default_rng(seed)
    # Requests, at random or all at once, and how long each has to wait for its token.
    asked = np.sort(rng.choice([0.0, 10.0, 30.0], 60) + rng.exponential(1.0, 60) * rng.integers(0, 2, 60))
    tokens, last, passed = float(burst), 0.0, []
    for now in asked:
        now = max(now, last)
        tokens = min(burst, tokens + rate * (now - last))
        if tokens < 1:
            now += (1 - tokens) / rate
            tokens = 1.0
        tokens -= 1
        last = now
        passed.append(now)
    bucket = token_bucket(rate, burst)
    passed = np.array(passed)
    for i in range(60):
        so_many = np.arange(1, 61 - i)
        assert (so_many <= bucket.output(passed[i:] - passed[i]) + 1e-9).all()
    # A server that wakes up after `latency` when there is work, and then serves each request in 1 / R.
    served = faster * rate
    free, worst, most = -1e9, 0.0, 0
    leaves = []
    for now in passed:
        begin = max(free, now + latency) if now >= free else free
        free = begin + 1 / served
        leaves.append(free)
        worst = max(worst, free - now)
    for i, now in enumerate(passed):
        most = max(most, i + 1 - sum(t <= now for t in leaves[:i]))
    assert worst <= bucket.delay(served, latency) + 1e-9
    assert most <= bucket.backlog(served, latency) + 1 + 1e-9  # whole requests: one more than the fluid


def test_the_bounds_of_a_bucket_are_reached():
    bucket = token_bucket(100, 50)
    # All at once, before a server that sleeps first: the last one waits for T + b / R.
    assert bucket.delay(200, 0.5) == 0.5 + 50 / 200
    assert bucket.backlog(200, 0.5) == 50 + 100 * 0.5
    assert bucket.delay(100) == 0.5
    assert bucket.output([0, 1]).tolist() == [50, 150]
    assert token_bucket([1, 2], 5).output(2).tolist() == [7, 9]


# ---- delay scheduling


def test_delay_scheduling_as_published():
    # Zaharia et al. 2010, section 3: λ = 0.95, N = 20, R = 3: D = 0.23 M; with 8 slots a node 2.8 % of a task.
    skips = delay_scheduling_skips(0.95, 20, 1000, 3)
    assert skips / 1000 == pytest.approx(0.23, abs=0.005)
    assert delay_scheduling_wait(skips, 1.0, 1000, 8) == pytest.approx(0.028, abs=0.001)


@given(st.floats(0, 0.999), st.integers(1, 500), st.integers(1, 10_000), st.integers(1, 5))
def test_so_many_skips_are_enough(locality, tasks, nodes, replicas):
    skips = delay_scheduling_skips(locality, tasks, nodes, replicas)
    assert delay_scheduling_locality(skips, tasks, nodes, replicas) >= locality - 1e-9
    assert delay_scheduling_skips(locality / 2, tasks, nodes, replicas) <= skips


def test_the_bound_is_sharp_for_large_jobs_on_many_nodes():
    skips = delay_scheduling_skips(0.95, 200, 10**5, 3)
    assert delay_scheduling_locality(skips, 200, 10**5, 3) == pytest.approx(0.95, abs=1e-3)


@given(st.floats(0, 100), st.integers(1, 300), st.integers(1, 300), st.integers(1, 4))
def test_locality_is_a_share_and_monotone(skips, tasks, nodes, replicas):
    share = delay_scheduling_locality(skips, tasks, nodes, replicas)
    assert 0 <= share <= 1
    assert delay_scheduling_locality(skips + 1, tasks, nodes, replicas) >= share
    assert delay_scheduling_locality(skips, tasks, nodes, replicas + 1) >= share
    assert delay_scheduling_locality(skips, tasks + 1, nodes, replicas) >= share - 1e-12
    assert delay_scheduling_locality(0, tasks, nodes, replicas) == 0
    if skips >= 1:
        assert delay_scheduling_locality(skips, 1, 1, replicas) == 1


def test_locality_by_simulation():
    """Offer nodes at random to jobs that take a place without data after so many offers, one task after another."""
    tasks, nodes, replicas, skips = 15, 60, 3, 10
    rng = np.random.default_rng(4)
    shares = []
    for _ in range(1500):
        local = 0
        for left in range(tasks, 0, -1):
            # Each copy of the data of the tasks that are left is on so many different nodes, drawn anew.
            has = [rng.permutation(nodes)[:left] for _ in range(replicas)]
            offers = rng.integers(nodes, size=skips)
            fresh = rng.random((skips, replicas)) < left / nodes
            first = any(offers[0] in copy for copy in has)
            local += bool(first or fresh[1:].any())
        shares.append(local / tasks)
    error = np.std(shares, ddof=1) / math.sqrt(len(shares))
    assert abs(delay_scheduling_locality(skips, tasks, nodes, replicas) - np.mean(shares)) < 3 * error


def test_locality_of_whole_jobs():
    """The same with the data in one place all the time, as it is: the formula is near."""
    tasks, nodes, replicas, skips = 20, 100, 3, 23
    rng = np.random.default_rng(4)
    local = jobs = 0
    for _ in range(400):
        where = [set(rng.choice(nodes, replicas, replace=False)) for _ in range(tasks)]
        while where:
            for node in rng.integers(nodes, size=skips):
                hit = next((i for i, at in enumerate(where) if node in at), None)
                if hit is not None:
                    local += 1
                    break
            where.pop(hit if hit is not None else 0)
        jobs += 1
    assert delay_scheduling_locality(skips, tasks, nodes, replicas) == pytest.approx(local / jobs / tasks, abs=0.02)


# ---- overload


def test_overload_by_simulation():
    # A queue that does not run empty: the mean is exact.
    rng = np.random.default_rng(6)
    runs, time = 4000, 200.0
    waiting = 1000 + rng.poisson(1.2 * time, runs) - rng.poisson(1.0 * time, runs)
    error = waiting.std(ddof=1) / math.sqrt(runs)
    assert abs(overload_backlog(1.2, 1.0, time, 1000) - waiting.mean()) < 3 * error


def test_draining_by_simulation():
    # Until M/M/1 is empty: exactly Q / (μ − λ) in the mean.
    rng = np.random.default_rng(6)
    times = []
    for _ in range(300):
        left, steps = 20, 0
        for up in rng.random(20_000) < 0.6 / 1.6:
            steps += 1
            left += 1 if up else -1
            if left == 0:
                break
        assert left == 0
        times.append(rng.gamma(steps, 1 / 1.6))
    error = np.std(times, ddof=1) / math.sqrt(len(times))
    assert abs(drain_time(20, 0.6, 1.0) - np.mean(times)) < 3 * error


@given(st.floats(0, 100), st.floats(0.1, 100), st.floats(0, 1000), st.floats(0, 1000))
def test_backlogs_grow_and_drain(arrivals, service, time, initial):
    backlog = overload_backlog(arrivals, service, time, initial)
    assert backlog >= 0
    assert overload_backlog(arrivals, service, 0, initial) == initial
    if arrivals < 0.99 * service:
        assert backlog <= initial
        empty = drain_time(initial, arrivals, service)
        assert overload_backlog(arrivals, service, empty, initial) == pytest.approx(0, abs=1e-6)
        assert overload_backlog(arrivals, service, empty / 2, initial) == pytest.approx(initial / 2, abs=1e-6)
    if arrivals > service:
        assert backlog >= initial


def test_overload_limits():
    assert drain_time([0, 10], 5, [4, 6]).tolist() == [0, 10]
    with pytest.raises(UnstableError, match="the utilization is 1; it must be below 1"):
        drain_time(1, 2, 2)
    with pytest.raises(UnstableError, match="the utilization is 2;"):
        token_bucket(2, 1).delay(1)
    with pytest.raises(UnstableError):
        token_bucket(2, 1).backlog([3, 1])


# ---- errors, wild inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_min_fair(-1, [1]), "capacity is -1; it must be finite and at least 0"),
        (lambda: max_min_fair(1, []), "demands has shape (0,); it must be a list of at least one number"),
        (lambda: max_min_fair(1, 3.0), "demands has shape ()"),
        (lambda: max_min_fair(1, [1, math.inf]), "demands is inf"),
        (lambda: max_min_fair(1, [1, 2], [1]), "weights has length 1; it must be as long as the users are many, 2"),
        (lambda: max_min_fair(1, [1, 2], [1, 0]), "weights is 0; it must be finite and at least 1e-06"),
        (lambda: drf_shares([0, 1], [[1, 1]]), "capacities is 0"),
        (lambda: drf_shares([1, 1], [1, 1]), "demands has shape (2,); it must be (users, 2 resources)"),
        (lambda: drf_shares([1, 1], [[1, 1], [0, 0]]), "demands of user 1 are all 0"),
        (lambda: drf_shares([1, 1], [[1, 1e-300]]), "demands is 1e-300"),
        (lambda: token_bucket(-1, 1), "rate is -1"),
        (lambda: token_bucket(1, math.nan), "burst is nan"),
        (lambda: token_bucket(5, 1).burst_time(5), "peak_rate is 5.0; it must be greater than the rate, 5.0"),
        (lambda: token_bucket(5, 1).output(-1), "interval is -1"),
        (lambda: delay_scheduling_locality(-1, 1, 1), "skips is -1"),
        (
            lambda: delay_scheduling_locality(1, 10**7, 1),
            "tasks is 1e+07; it must be a whole number and at least 1",
        ),
        (lambda: delay_scheduling_skips(1.0, 5, 5), "locality is 1.0; it must be at least 0 and below 1"),
        (lambda: delay_scheduling_wait(1, 1, 0), "nodes is 0"),
        (lambda: overload_backlog(1, 1, -1), "duration is -1"),
        (lambda: drain_time(1, 1, 0), "service_rate is 0"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
@settings(max_examples=400)
def test_wild_inputs(a, b, c, d):
    answer_or_error(lambda: token_bucket(a, b).output(c))
    answer_or_error(lambda: token_bucket(a, b).burst_time(c))
    answer_or_error(lambda: token_bucket(a, b).delay(c, d))
    answer_or_error(lambda: token_bucket(a, b).backlog(c, d))
    answer_or_error(lambda: delay_scheduling_locality(a, min(b, 1000), c, d), high=1)
    answer_or_error(delay_scheduling_skips, a, b, c, d)
    answer_or_error(delay_scheduling_wait, a, b, c, d)
    answer_or_error(overload_backlog, a, b, c, d)
    answer_or_error(drain_time, a, b, c)


@given(
    st.one_of(st.floats(0, 1e30), NUMBERS), st.lists(st.one_of(st.floats(0, 1e30), NUMBERS), max_size=5), st.booleans()
)
@settings(max_examples=400)
def test_wild_shares(capacity, demands, weighted):
    weights = demands[::-1] if weighted else None
    answer_or_error(max_min_fair, capacity, demands, weights)


sane = st.one_of(st.just(0.0), st.floats(1e-30, 1e30))


@given(
    st.lists(st.one_of(sane, NUMBERS), max_size=4), st.lists(st.lists(st.one_of(sane, NUMBERS), max_size=4), max_size=4)
)
@settings(max_examples=200)
def test_wild_dominant_shares(capacities, demands):
    answer_or_error(lambda: drf_shares(capacities, demands).tasks)


@given(
    st.lists(st.floats(1e-30, 1e30), min_size=2, max_size=2),
    st.lists(st.lists(sane, min_size=2, max_size=2), max_size=4),
)
@settings(max_examples=300)
def test_extreme_dominant_shares(capacities, demands):
    answer_or_error(lambda: drf_shares(capacities, demands).tasks)
    answer_or_error(lambda: drf_shares(capacities, demands).allocation.sum(axis=0) / capacities, high=1 + 1e-6)
