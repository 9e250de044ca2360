"""Delay scheduling: its twin in plain Python, its two ends, what lies between them, bad input."""

from __future__ import annotations

import heapq
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.graph import TaskGraph, chain, fork_join, independent, map_reduce, random_dag
from course.simulate import POLICIES, Cluster, Delay, locality, run
from course.trace import COLUMNS, COMPUTE, OVERHEAD, TRANSFER
from tests.plain_network import PlainNetwork, transfer_rows
from tests.test_simulate import tasks_and_cluster

STOP, KNOWN, WAITED = range(3)


def plain_delay(graph: TaskGraph, cluster: Cluster, wait: float, order: str | list[float]):
    """Return (worker, start, stop) of each task, and the transfers; at each instant go through all ready tasks."""
    net = PlainNetwork(graph, cluster)
    n, workers = len(graph), cluster.workers
    after = [graph.successors(i).tolist() for i in range(n)]
    speed = np.broadcast_to(cluster.speed, workers).tolist()
    preference = sorted(range(workers), key=lambda w: (-speed[w], w))
    free = cluster.threads_per_worker.tolist()
    came = itertools.count()
    ready: dict[int, tuple[float, float]] = {}  # task: (key, since)
    where, start, stop = [-1] * n, [0.0] * n, [0.0] * n
    events, known = [], set()
    scheduler = now = 0.0

    def becomes_ready(task):
        turn = next(came)
        ready[task] = ({"fifo": turn, "lifo": -turn}[order] if isinstance(order, str) else order[task], now)

    for task in range(n):
        if not net.before[task]:
            becomes_ready(task)
    while True:
        for _, task in sorted((key, task) for task, (key, _) in ready.items()):
            idle = [w for w in preference if free[w]]
            if not idle:
                break
            made = {w: size for w, size in net.made(task, where).items() if size > 0} if net.costs else {}
            w = max(idle, key=lambda w: made.get(w, 0.0))
            if made and w not in made and now < ready[task][1] + wait:
                if wait < math.inf:
                    heapq.heappush(events, (ready[task][1] + wait, WAITED, task))
                continue
            del ready[task]
            free[w] -= 1
            where[task] = w
            scheduler = max(scheduler, now) + cluster.scheduler_overhead
            moves = net.bring(task, w, scheduler, where) if net.costs else []
            start[task] = max([scheduler, *(move.stop for move in moves)])
            stop[task] = start[task] + float(graph.duration[task]) / speed[w]
            heapq.heappush(events, (stop[task], STOP, task))
        if not events:
            break
        now = events[0][0]
        while events and events[0][0] == now:
            _, what, task = heapq.heappop(events)
            if what == STOP:
                free[where[task]] += 1
                heapq.heappush(events, (now + cluster.release_delay, KNOWN, task))
            elif what == KNOWN:
                known.add(task)
                for later in after[task]:
                    if known.issuperset(net.before[later]):
                        becomes_ready(later)
    assert known == set(range(n))
    return where, start, stop, net.transfers


def assert_same(graph, cluster, wait, policy, order):
    trace = run(graph, cluster, Delay(wait, policy))
    where, start, stop, moves = plain_delay(graph, cluster, wait, order)
    computes = trace.kind == COMPUTE
    assert trace.task[computes].tolist() == list(range(len(graph)))
    assert trace.worker[computes].tolist() == where
    assert trace.start[computes].tolist() == start
    assert trace.stop[computes].tolist() == stop
    assert transfer_rows(trace) == [move.row() for move in moves]
    assert (trace.kind == OVERHEAD).sum() == (len(graph) if cluster.scheduler_overhead else 0)


@settings(max_examples=500)
@given(tasks_and_cluster(), st.sampled_from([0.0, 0.3, 1.0, 2.0, 5.0, math.inf]), st.data())
def test_delay_is_its_twin(both, wait, data):
    graph, cluster = both
    n = len(graph)
    policy = data.draw(st.sampled_from(["list", "fifo", "lifo", "given"]))
    order = list(range(n)) if policy == "list" else policy
    if policy == "given":
        policy = order = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 3.0, math.inf]), min_size=n, max_size=n))
    assert_same(graph, cluster, wait, policy, order)


@pytest.mark.parametrize("wait", [0.1, 1.0, 4.0, math.inf])
def test_delay_is_its_twin_on_larger_graphs(wait):
    rng = np.random.default_rng(5)
    for seed in range(3):
        graph = random_dag(150, 0.03, output_size=3.0, seed=seed)
        cluster = Cluster(
            7, threads=rng.integers(1, 4, 7), speed=rng.random(7) + 0.5, latency=rng.random((7, 7)), bandwidth=2.0,
            scheduler_overhead=0.01, backbone=6.0,
        )  # fmt: skip
        assert_same(graph, cluster, wait, "list", list(range(len(graph))))
        assert_same(graph, cluster, wait, "lifo", "lifo")
    assert_same(map_reduce(12, 8, output_size=5.0), cluster, wait, "fifo", "fifo")


# ---- its two ends


def same_rows(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


@settings(max_examples=200)
@given(tasks_and_cluster(), st.sampled_from(sorted(POLICIES)), st.integers(0, 3))
def test_no_wait_is_list_scheduling(both, policy, seed):
    graph, cluster = both
    assert same_rows(run(graph, cluster, Delay(0.0, policy), seed=seed), run(graph, cluster, policy, seed=seed))


@settings(max_examples=200)
@given(tasks_and_cluster())
def test_who_waits_for_ever_runs_where_some_input_is(both):
    graph, cluster = both
    if cluster.bandwidth is not np.inf:
        cluster = cluster.replace(bandwidth=1.0)
    assert locality(run(graph, cluster.replace(latency=0.5), Delay(np.inf))) == 1.0


@given(tasks_and_cluster(), st.sampled_from([0.3, 2.0, math.inf]))
def test_nobody_waits_where_moving_takes_no_time(both, wait):
    graph, cluster = both
    cluster = cluster.replace(latency=0.0, bandwidth=np.inf, backbone=np.inf)
    assert same_rows(run(graph, cluster, Delay(wait)), run(graph, cluster))


@settings(max_examples=200)
@given(tasks_and_cluster(), st.sampled_from([0.0, 0.3, 2.0]))
def test_nobody_waits_longer_than_that_while_a_thread_is_idle(both, wait):
    """From ``wait`` after a task became ready until it was handed out, every thread was taken."""
    graph, cluster = both
    cluster = cluster.replace(scheduler_overhead=0.0, release_delay=0.0)
    trace = run(graph, cluster, Delay(wait))
    moved = trace.kind == TRANSFER
    start, stop = trace.task_times()
    # A thread is taken from when its task was handed out: at the latest when its first transfer began.
    for i in range(len(graph)):
        ready = max((stop[p] for p in graph.predecessors(i)), default=0.0)
        late = ready + wait
        begun = min([start[i], *trace.start[moved & (trace.task == i)]])
        if begun <= late + 1e-9 or (moved & (trace.task == i)).any():
            continue
        middle = (late + begun) / 2
        ends = stop[np.setdiff1d(np.arange(len(graph)), [i])]
        assert (ends > middle).sum() >= cluster.slots


# ---- between them


def hot_file(seed: int) -> TaskGraph:
    """Eight files of which ten tasks each read a part, and 20 more of the first; exponential durations."""
    rng = np.random.default_rng(seed)
    file = rng.permutation([*range(8)] * 10 + [0] * 20)
    duration = np.concatenate([np.zeros(8), rng.exponential(1, 100)])
    return TaskGraph(duration, 1.0, [[]] * 8 + [[int(f)] for f in file], edge_size=np.ones(100))


def test_some_wait_beats_none_and_endless():
    mean = {
        wait: np.mean([run(hot_file(s), Cluster(8, bandwidth=1.0), Delay(wait)).makespan for s in range(40)])
        for wait in (0.0, 10.0, math.inf)
    }
    assert mean[10.0] < 0.85 * mean[0.0]
    assert mean[10.0] < 0.85 * mean[math.inf]


def test_longer_waits_keep_more_at_their_input():
    shares = [
        np.mean([locality(run(hot_file(s), Cluster(8, bandwidth=0.5), Delay(wait))) for s in range(20)])
        for wait in (0.0, 2.0, 5.0, 10.0, math.inf)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] == 1.0


def test_by_hand():
    # 1 and 2 read what 0 made on worker 0, 10 bytes at 1 byte/s; 1 takes 4 s, and 2 goes elsewhere when it has waited.
    graph = TaskGraph([1, 4, 1], 10.0, [[], [0], [0]])
    for wait, worker, start in ((0, 1, 11.0), (3, 1, 14.0), (3.999, 1, 14.999), (4, 0, 5.0), (math.inf, 0, 5.0)):
        trace = run(graph, Cluster(2, bandwidth=1.0), Delay(wait))
        assert (trace.worker[2], trace.start[2]) == (worker, pytest.approx(start)), wait
    # While 2 waits, 3, which reads nothing, does not.
    trace = run(TaskGraph([1, 4, 1, 1], 10.0, [[], [0], [0], []]), Cluster(2, bandwidth=1.0), Delay(math.inf))
    assert (trace.worker[3], trace.start[3]) == (1, 0.0)


def test_several_that_wait_start_when_several_threads_are_free():
    # 1 and 2 end at one instant; 3 and 4 waited for their threads.
    graph = TaskGraph([1, 4, 4, 1, 1], [10, 0, 0, 0, 0], [[], [0], [0], [0], [0]])
    trace = run(graph, Cluster(2, threads=2, bandwidth=1.0), Delay(math.inf))
    assert trace.start.tolist() == [0, 1, 1, 5, 5]
    # 3 reads what 0 and 1 made and can start on either worker: it takes worker 1's thread, and 4 worker 0's.
    graph = TaskGraph([1, 1, 4, 4, 1, 1], [10, 20, 0, 0, 0, 0], [[], [], [0], [1], [0, 1], [0]])
    trace = run(graph, Cluster(2, bandwidth=1.0), Delay(math.inf))
    assert trace.worker[:6].tolist() == [0, 1, 0, 1, 1, 0]
    assert trace.start[5] == 5


def test_locality_by_hand():
    graph = TaskGraph([1, 1, 1], [10.0, 0.0, 0.0], [[], [0], [0]])
    assert locality(run(graph, Cluster(2, bandwidth=1.0))) == 0.5
    assert locality(run(graph, 1)) == 1.0
    assert locality(run(graph.replace(output_size=0.0), 2)) == 1.0  # nothing to read
    assert locality(run(independent(5), 2)) == 1.0
    assert locality(run(TaskGraph([]), 2)) == 1.0
    with pytest.raises(ValueError, match="trace is 3; it must be a Trace"):
        locality(3)


def test_delay_by_name():
    graph, cluster = fork_join(6, output_size=3.0), Cluster(3, bandwidth=1.0)
    assert run(graph, cluster, "delay") == run(graph, cluster, Delay(1.0))
    mine = lambda graph, cluster, rng: -np.arange(len(graph))  # noqa: E731
    assert run(graph, cluster, Delay(1.0, mine)) == run(graph, cluster, Delay(1.0, -np.arange(8)))


# ---- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Delay(-1), "wait is -1; it must be finite and at least 0"),
        (lambda: Delay(math.nan), "wait is nan"),
        (lambda: Delay([1, 2]), "wait is [1, 2]; it must be one number"),
        (lambda: Delay("long"), "wait is 'long'; it must be a number"),
        (lambda: Delay(policy="dask"), "policy is 'dask'; it must be one of list, fifo"),
        (lambda: run(chain(2), 2, Delay(policy=[1, 2, 3])), "there must be one number for each of 2 tasks"),
        (lambda: run(chain(2), Cluster(2, failures=[(0, 1)]), "delay"), "failures, which policy 'delay' does not"),
        (lambda: run(chain(2), Cluster(10**9), "delay"), "has 1000000000 workers; at most 10,000,000"),
    ],
)
def test_delay_refuses(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


wild = st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 0.5, 1.0, 1e9, 1e18, 1e150, 1e299, 1e307, -1.0, math.nan, math.inf])


@settings(max_examples=600)
@given(tasks_and_cluster(), st.lists(wild, min_size=8, max_size=8), st.sampled_from(["list", "lifo", "blevel"]))
def test_wild_input_gives_an_answer_or_a_clear_error(both, values, policy):
    graph, cluster = both
    scale, wait, latency, bandwidth, backbone, speed, overhead, delay = values
    try:
        graph = graph.replace(duration=[x * scale for x in graph.duration.tolist()])
        cluster = cluster.replace(
            latency=latency, bandwidth=bandwidth, backbone=backbone, speed=speed, scheduler_overhead=overhead,
            release_delay=delay,
        )  # fmt: skip
        trace = run(graph, cluster, Delay(wait, policy))
    except ValueError:
        return
    assert np.isfinite(trace.makespan)
    assert (trace.kind == COMPUTE).sum() == len(graph)
