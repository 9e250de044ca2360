"""`dispatch` against other simulators and by its rules; the race of strategies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.graph import independent
from course.simulate import (
    METRICS,
    STRATEGIES,
    Cluster,
    Delay,
    dispatch,
    mornings,
    queue,
    race,
    run,
    share,
)


def tasks_of(seed: int, n: int = 300):
    rng = np.random.default_rng(seed)
    return rng, np.cumsum(rng.exponential(0.3, n)), rng.exponential(1.0, n)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("discipline", ["fifo", "lifo", "sjf", "priority"])
def test_a_key_is_a_discipline(workers, discipline):
    rng, arrival, service = tasks_of(workers)
    classes = rng.integers(3, size=len(arrival)).astype(float)
    key = {"fifo": None, "lifo": -np.arange(len(arrival)), "sjf": service, "priority": classes}[discipline]
    priority = classes if discipline == "priority" else None
    expected = queue(np.diff(arrival, prepend=0.0), service, workers, discipline, priority=priority)
    ours = dispatch(arrival, service, workers, key=key)
    assert ours.start == pytest.approx(expected.start, abs=1e-9)
    assert ours.stop == pytest.approx(expected.stop, abs=1e-9)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_a_batch_is_list_scheduling(seed, workers):
    rng = np.random.default_rng(seed)
    service, key = rng.integers(1, 6, 12).astype(float), rng.permutation(12).astype(float)
    start, _ = run(independent(12, service), workers, key).task_times()
    assert dispatch(np.zeros(12), service, workers, key=key).start == pytest.approx(start)


def test_fair_shares_of_one_resource():
    rng, arrival, service = tasks_of(3)
    user = rng.integers(3, size=len(arrival))
    expected = share(arrival, user, np.ones(len(arrival)), service, 4.0)
    ours = dispatch(arrival, service, 4, user=user)
    # Among users with the same number of tasks `share` takes the smaller number, `dispatch` who came first.
    running = [np.bincount(user[(ours.start <= t) & (t < ours.stop)], minlength=3) for t in arrival]
    theirs = [expected.running_at(t) for t in arrival]
    assert np.mean([r.sum() for r in running]) == pytest.approx(np.mean([r.sum() for r in theirs]), rel=0.02)
    waiting = (ours.start > arrival).mean()
    assert waiting == pytest.approx((expected.start > arrival).mean(), abs=0.02)


def test_a_flood_leaves_the_neighbour_a_half():
    # 20 tasks of user 0 at once, then one of user 1: it is the next to start.
    arrival, user = np.append(np.zeros(20), 0.5), np.append(np.zeros(20), 1)
    assert dispatch(arrival, 1.0, 2, user=user).start[-1] == 1.0
    assert dispatch(arrival, 1.0, 2).start[-1] == 10.0


def test_patience():
    # Both inputs are on worker 0: the second task waits there for a while, then pays for the move.
    for patience, stop, moved in ((0.0, 5.0, True), (1.0, 6.0, True), (5.0, 8.0, False), (np.inf, 8.0, False)):
        ran = dispatch([0, 0], 4.0, 2, home=[0, 0], move=1.0, patience=patience)
        assert ran.stop.tolist() == [4.0, stop]
        assert ran.moved.tolist() == [False, moved]
        assert ran.worker.tolist() == [0, int(moved)]


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 1.0, np.inf]))
def test_no_worker_runs_two_and_nobody_is_idle_in_vain(seed, patience):
    rng, arrival, service = tasks_of(seed, 60)
    home = rng.integers(-1, 3, 60)
    ran = dispatch(arrival, service, 3, key=rng.random(60), home=home, move=0.2, patience=patience)
    assert (ran.start >= arrival).all()
    assert ran.stop == pytest.approx(ran.start + service + 0.2 * ran.moved)
    for worker in range(3):
        mine = np.argsort(ran.start[ran.worker == worker])
        assert (ran.start[ran.worker == worker][mine][1:] >= ran.stop[ran.worker == worker][mine][:-1]).all()
    if patience == 0:
        for task in np.flatnonzero(ran.start > arrival):
            busy = (ran.start < ran.start[task]) & (ran.stop >= ran.start[task])
            assert busy.sum() >= 3
    if patience == np.inf:
        assert not ran.moved.any()


def test_patience_agrees_with_delay_scheduling_of_graphs():
    # One task a worker, then many that read the first one's result: the same law of waiting in both simulators.
    from course.graph import TaskGraph

    graph = TaskGraph([0] * 2 + [1] * 9, 1, [[]] * 2 + [[0]] * 9, edge_size=[1] * 9)
    for wait in (0.0, 2.0, np.inf):
        trace = run(graph, Cluster(2, bandwidth=0.5), Delay(wait))
        ours = dispatch(np.zeros(9), 1.0, 2, home=np.zeros(9), move=2.0, patience=wait)
        assert ours.stop.max() == pytest.approx(trace.makespan)


def test_the_race():
    tasks = mornings(0.8, 4.0, error=1.0)
    result = race(tasks)
    assert list(result) == list(STRATEGIES)
    assert all(list(row) == list(METRICS) for row in result.values())

    def winner(metric):
        return (max if METRICS[metric] else min)(result, key=lambda name: result[name][metric])

    assert winner("mean response [s]") == winner("mean slowdown") == "shortest remaining"
    assert winner("99th percentile [s]") == "first come"
    assert winner("urgent: response [s]") == "urgent first"
    assert winner("deadlines met") == "deadline first"
    assert winner("makespan [s]") == "longest first"
    assert winner("moved [GB]") == "only at its data"
    assert result["fair shares"]["worst user ÷ alone"] < 1 < result["first come"]["worst user ÷ alone"]
    assert result["shortest first"]["mean response [s]"] < result["shortest guess"]["mean response [s]"]


def test_mornings_have_common_random_numbers():
    calm, mixed = mornings(0.5, 0.25, days=3), mornings(1.0, 9.0, days=3)
    assert (calm.user == mixed.user).all()
    assert calm.service.mean() == pytest.approx(1, rel=0.1)
    first = calm.morning == 0
    assert calm.arrival[first] == pytest.approx(2 * mixed.arrival[first])
    assert (np.diff(calm.arrival) >= 0).all()
    assert mornings(scv=0.0, days=1).service == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], [], 1), {}, "there are 0 tasks"),
        (([1, 0], 1, 1), {}, r"arrival\[1\] is 0, before"),
        (([0, 0], [1, 2, 3], 1), {}, "service has shape"),
        (([0, 0], 1, 2), {"home": [0, 2]}, "home is 2"),
        (([0, 0], 1, 2), {"key": [0, np.nan]}, "key is nan"),
        (([0, 0], 1, 2), {"patience": -1}, "patience is -1"),
        (([0, 0], 1, 0), {}, "workers is 0"),
    ],
)
def test_refusals(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        dispatch(*arguments, **options)


def test_refusals_of_the_race():
    with pytest.raises(ValueError, match="nobody"):
        race(mornings(days=1), ["nobody"])
    with pytest.raises(ValueError, match="tasks is 3"):
        race(3)
    with pytest.raises(ValueError, match="load is 0"):
        mornings(load=0)
