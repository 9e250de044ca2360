"""Users that share resources, against plain Python, a published example, and the queue that one resource is."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.simulate import queue, share
from course.simulate.sharing import SHARINGS
from tests.strategies import COLUMNS


def plain_share(arrival, user, demand, duration, capacity, fair):
    """Return the starts; at each instant at which anything happens, all is counted from the tasks that run."""
    start = {}
    coming, waiting = list(range(len(arrival))), []
    now = -math.inf
    while coming or waiting:
        running = [j for j in start if start[j] + duration[j] > now]
        now = min([arrival[j] for j in coming[:1]] + [start[j] + duration[j] for j in running])
        while coming and arrival[coming[0]] <= now:
            waiting.append(coming.pop(0))
        while waiting:
            running = [j for j in start if start[j] + duration[j] > now or start[j] == now == start[j] + duration[j]]
            used = [sum(demand[j][r] for j in running) for r in range(len(capacity))]

            def dominant(u, running=running):
                mine = [j for j in running if user[j] == u]
                return max(sum(demand[j][r] for j in mine) / capacity[r] for r in range(len(capacity)))

            task = min(waiting, key=lambda j: (dominant(user[j]), user[j], j)) if fair else waiting[0]
            if any(used[r] + demand[task][r] > capacity[r] for r in range(len(capacity))):
                break
            start[task] = now
            waiting.remove(task)
    return [start[j] for j in range(len(arrival))]


@st.composite
def workloads(draw):
    n, resources = draw(st.integers(1, 14)), draw(st.integers(1, 3))
    capacity = draw(st.lists(st.sampled_from([4.0, 8.0]), min_size=resources, max_size=resources))
    seconds = st.sampled_from([0.5, 1.0, 2.0, 4.0])
    gaps = draw(st.lists(seconds | st.just(0.0), min_size=n, max_size=n))
    users = st.integers(0, draw(st.sampled_from([3, 8])))  # few with many tasks, or many: of an odd number too
    user = draw(st.lists(users, min_size=n, max_size=n))
    # Quarters, so that sums are exact and ties are ties.
    amounts = st.integers(0, 16).map(lambda x: x / 4)
    demand = draw(st.lists(st.lists(amounts, min_size=resources, max_size=resources), min_size=n, max_size=n))
    duration = draw(st.lists(seconds, min_size=n, max_size=n))
    return np.cumsum(gaps).tolist(), user, demand, duration, capacity


@settings(max_examples=500)
@given(workloads(), st.sampled_from(SHARINGS))
def test_share_is_its_twin(workload, policy):
    result = share(*workload, policy=policy)
    assert result.start.tolist() == plain_share(*workload, policy == "fair")
    capacity = np.array(workload[-1])
    for t in {*result.start.tolist(), *result.stop.tolist()}:
        assert (result.held_at(t).sum(axis=0) <= capacity).all()
        assert result.dominant_shares_at(t) == pytest.approx((result.held_at(t) / capacity).max(axis=1))
    assert (result.wait >= 0).all()


def test_the_published_example():
    # Ghodsi et al. 2011, figure 3 and table 1: 3 tasks of A and 2 of B, dominant shares of 2/3 both.
    user = np.array([0] * 50 + [1] * 50)
    demand = np.array([[1.0, 4.0], [3.0, 1.0]])[user]
    result = share(np.zeros(100), user, demand, 1.0, [9.0, 18.0])
    for t in range(15):
        assert result.running_at(t).tolist() == [3, 2]
        assert result.dominant_shares_at(t) == pytest.approx([2 / 3, 2 / 3])
    # Table 1: who is offered next, while the cluster fills (B first there; equals go to the smaller number here).
    assert result.held_at(0).tolist() == [[3, 12], [6, 2]]


@pytest.mark.parametrize("policy", SHARINGS)
def test_one_resource_in_order_is_a_queue(policy):
    # Of one user, with any policy: servers are the units of the resource.
    rng = np.random.default_rng(3)
    gaps, service = rng.exponential(1.0, 3000), rng.exponential(3.6, 3000)
    result = share(np.cumsum(gaps), np.zeros(3000), np.ones(3000), service, 4.0, policy=policy)
    np.testing.assert_allclose(result.start, queue(gaps, service, 4).start, rtol=1e-12)


def test_one_resource_is_shared_max_min():
    # 12 units; users want 2, 4 and 10 of them: max-min gives 2, 4 and 6 (fill all alike; who has enough drops out).
    user = np.repeat([0, 1, 2], [2, 4, 10])
    result = share(np.zeros(16), user, np.ones(16), 10.0, 12.0)
    assert result.running_at(0).tolist() == [2, 4, 6]
    # Four with no end of tasks: a quarter each, whoever came first.
    user = np.repeat([0, 1, 2, 3], 100)
    rng = np.random.default_rng(0)
    result = share(np.zeros(400), user, np.ones(400), rng.exponential(1.0, 400), 20.0)
    for t in np.linspace(0, 10, 30):
        assert result.running_at(t).tolist() == [5, 5, 5, 5]
    first = share(np.zeros(400), user, np.ones(400), rng.exponential(1.0, 400), 20.0, policy="fifo")
    assert first.running_at(0).tolist() == [20, 0, 0, 0]


def test_a_small_user_does_not_wait_behind_a_large_one():
    arrival = np.concatenate([np.zeros(200), np.arange(1.0, 11.0)])
    user = np.repeat([0, 1], [200, 10])
    wait = {
        policy: share(arrival, user, np.ones(210), 0.5, 10.0, policy=policy).wait[200:].mean() for policy in SHARINGS
    }
    assert wait["fair"] <= 0.5
    assert wait["fifo"] > 3


def test_crumbs_of_floats_keep_nobody_out():
    # Ten tenths are all there is, again and again.
    result = share(np.zeros(1000), np.arange(1000) % 3, np.full(1000, 0.1), 1.0, 1.0)
    assert result.stop.max() == 100.0
    assert repr(result) == "Shared(1000 tasks, 3 users, mean wait 49.5 s)"
    assert len(result) == 1000


def test_every_call_uses_what_warm_up_compiled():
    from course.simulate import sharing_kernels

    fixed = np.ones(2)
    fixed.flags.writeable = False
    share(fixed, [0, 1], fixed, fixed, 2)
    share([1, 2], np.int8([0, 1]), np.ones((3, 2)).T[:, ::2][:, ::-1], 1, fixed, policy="fifo")
    assert len(sharing_kernels.share.signatures) == 1


@settings(max_examples=1000)
@given(COLUMNS, COLUMNS, COLUMNS, COLUMNS, st.floats(1, 1e300) | COLUMNS, st.sampled_from([*SHARINGS, "best", None]))
def test_wild_shares(arrival, user, demand, duration, capacity, policy):
    try:
        result = share(arrival, user, demand, duration, capacity, policy=policy)
    except ValueError:
        return
    assert np.isfinite(result.stop).all()
    assert (result.wait >= 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: share([], [], [], 1, 1), "there are 0 tasks; there must be at least 1"),
        (lambda: share([2, 1], [0, 0], [1, 1], 1, 1), "arrival[1] is 1, before the one before it"),
        (lambda: share([1], [-1], [1], 1, 1), "user is -1; it must be a whole number and at least 0"),
        (lambda: share([1], [0, 1], [1], 1, 1), "user has shape (2,); it must be (1,)"),
        (lambda: share([1], [0], [2], 1, 1), "demand[0, 0] is 2; it must be at most the capacity, 1"),
        (lambda: share([1], [0], [[1, 1]], 1, [1]), "demand has shape (1, 2); it must be (1, 1)"),
        (lambda: share([1], [0], [1], [1, 2], 1), "duration has shape (2,); allowed: () or (1,)"),
        (lambda: share([1], [0], [1], -1, 1), "duration is -1; it must be finite and at least 0"),
        (lambda: share([1], [0], [1], 1, 0), "capacity is 0; it must be finite and greater than 0"),
        (lambda: share([1], [0], [1], 1, [[1]]), "capacity has shape (1, 1); it must be (1,)"),
        (lambda: share([1], [0], [1], 1, 1, policy="best"), "policy is 'best'; it must be one of fair, fifo"),
        (lambda: share([1e308], [0], [1], 1e308, 1), "the last arrival plus all durations is inf"),
        (lambda: share([1], [0], [1], 1, 1).running_at(math.nan), "time is nan; it must be finite"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
