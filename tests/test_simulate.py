"""The simulators, against plain Python that was written from their documentation and shares no code with them."""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course.graph import TaskGraph, chain, fork_join, graham_anomaly, independent, layered, map_reduce, random_dag
from course.models import brent, graham_ratio, lower_bound, lpt_ratio, mg1, mm1, mmc, upper_bound
from course.simulate import DISCIPLINES, POLICIES, Cluster, batch_means, queue, random_queue, random_times, run, warm_up
from course.trace import COMPUTE, OVERHEAD, TRANSFER
from tests.strategies import draw_cluster, draw_predecessors

# ---- list scheduling: the twin


def plain_run(graph: TaskGraph, cluster: Cluster, order: str | list[float]):
    """Return (worker, start, stop) of each task and the set of transfers, as the notes of `run` describe them."""
    n, workers = len(graph), cluster.workers
    before = [graph.predecessors(i).tolist() for i in range(n)]
    waiting_for: list[list[int]] = [[] for _ in range(n)]
    for i, needs in enumerate(before):
        for task in needs:
            waiting_for[task].append(i)
    sizes = np.split(np.asarray(graph.sizes), graph.indptr[1:-1]) if n else []
    speed = [float(s) for s in np.broadcast_to(cluster.speed, workers)]
    latency = np.broadcast_to(cluster.latency, (workers, workers))
    bandwidth = np.broadcast_to(cluster.bandwidth, (workers, workers))  # by (source, receiver); (workers,): receiver
    network = latency.any() or np.isfinite(bandwidth).any() or math.isfinite(cluster.backbone)
    preference = sorted(range(workers), key=lambda w: (-speed[w], w))
    free = cluster.threads_per_worker.tolist()
    came_ready = itertools.count()
    ready, running, done = [], [], set()
    where, start, stop = [None] * n, [0.0] * n, [0.0] * n
    link, fetched, transfers = defaultdict(float), {}, []
    scheduler = backbone = now = 0.0

    def becomes_ready(task):
        turn = next(came_ready)
        key = {"fifo": turn, "lifo": -turn}[order] if isinstance(order, str) else order[task]
        heapq.heappush(ready, (key, task))

    for task in range(n):
        if not before[task]:
            becomes_ready(task)
    while ready or running:
        while ready and any(free):
            _, task = heapq.heappop(ready)
            made = [0.0] * workers
            if network:
                for i, size in zip(before[task], sizes[task], strict=True):
                    made[where[i]] += float(size)
            idle = [w for w in preference if free[w]]
            w = max(idle, key=lambda w: made[w])  # the first of the best, in order of preference
            free[w] -= 1
            where[task] = w
            scheduler = max(scheduler, now) + cluster.scheduler_overhead
            begin = scheduler
            if network:
                for i, size in zip(before[task], sizes[task], strict=True):
                    source = where[i]
                    if source == w:
                        continue
                    if graph.edge_size is None and (i, w) in fetched:
                        begin = max(begin, fetched[i, w])
                        continue
                    over = (source, w) if cluster.links == "pair" else w
                    departs = max(scheduler, link[over])
                    backbone = max(scheduler, backbone) + float(size) / cluster.backbone
                    link[over] = max(departs + float(size) / float(bandwidth[source, w]), backbone)
                    fetched[i, w] = link[over] + float(latency[source, w])
                    transfers.append((task, source, w, departs, fetched[i, w], float(size)))
                    begin = max(begin, fetched[i, w])
            start[task] = begin
            stop[task] = begin + float(graph.duration[task]) / speed[w]
            heapq.heappush(running, (stop[task], task))
        if running:
            now = running[0][0]
            while running and running[0][0] == now:
                _, task = heapq.heappop(running)
                if task < n:  # it stops; n + task stands for when that is known
                    free[where[task]] += 1
                    heapq.heappush(running, (now + cluster.release_delay, n + task))
                    continue
                task -= n
                done.add(task)
                for after in waiting_for[task]:
                    if all(i in done for i in before[after]):
                        becomes_ready(after)
    assert len(done) == n
    return where, start, stop, transfers


def assert_same(graph: TaskGraph, cluster: Cluster, policy, order) -> None:
    trace = run(graph, cluster, policy)
    where, start, stop, transfers = plain_run(graph, cluster, order)
    computes = trace.kind == COMPUTE
    assert trace.task[computes].tolist() == list(range(len(graph)))
    assert trace.worker[computes].tolist() == where
    assert trace.start[computes].tolist() == start
    assert trace.stop[computes].tolist() == stop
    moved = trace.kind == TRANSFER
    columns = (trace.task, trace.source, trace.worker, trace.start, trace.stop, trace.size)
    assert list(zip(*(column[moved].tolist() for column in columns), strict=True)) == transfers
    assert (trace.kind == OVERHEAD).sum() == (len(graph) if cluster.scheduler_overhead else 0)
    # Threads: each exists, and does one thing at a time, its transfers' waiting included.
    thread, worker = trace.thread[computes], trace.worker[computes]
    assert ((thread >= 0) & (thread < cluster.threads_per_worker[worker])).all()
    for w, t in set(zip(worker.tolist(), thread.tolist(), strict=True)):
        mine = np.flatnonzero((worker == w) & (thread == t))
        mine = mine[np.lexsort((trace.stop[computes][mine], trace.start[computes][mine]))]
        assert (trace.stop[computes][mine][:-1] <= trace.start[computes][mine][1:]).all()


@st.composite
def tasks_and_cluster(draw):
    """Few tasks of few different durations, so that ties are common; every part of a cluster in every allowed form."""
    n = draw(st.integers(0, 14))
    rows = draw_predecessors(draw, n)
    few = st.sampled_from([0.0, 1.0, 2.0, 0.3, 1e-3])
    edges = sum(map(len, rows))
    graph = TaskGraph(
        draw(st.lists(few, min_size=n, max_size=n)),
        draw(st.lists(few, min_size=n, max_size=n)),
        rows,
        edge_size=draw(st.none() | st.lists(few, min_size=edges, max_size=edges)),
    )
    cluster = draw_cluster(draw, [math.inf, math.inf, 0.5], [0.0, 0.0, 0.25], [0.0, 0.0, 0.5])
    return graph, cluster


@settings(max_examples=250)
@given(tasks_and_cluster(), st.data())
def test_run_is_its_twin(both, data):
    graph, cluster = both
    policy = data.draw(st.sampled_from(["list", "fifo", "lifo", "blevel", "lpt", "spt", "given"]))
    if policy in ("fifo", "lifo"):
        order = policy
    elif policy == "given":
        n = len(graph)
        policy = order = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 3.0, math.inf]), min_size=n, max_size=n))
    else:
        order = {
            "list": list(range(len(graph))),
            "blevel": [-x for x in _plain_b_level(graph)],
            "lpt": [-x for x in graph.duration.tolist()],
            "spt": graph.duration.tolist(),
        }[policy]
    assert_same(graph, cluster, policy, order)


def _plain_b_level(graph: TaskGraph) -> list[float]:
    level: dict[int, float] = {}

    def of(task: int) -> float:
        if task not in level:
            below = [of(i) for i in graph.successors(task).tolist()]
            level[task] = float(graph.duration[task]) + max(below, default=0.0)
        return level[task]

    return [of(i) for i in range(len(graph))]


def test_run_is_its_twin_on_larger_graphs():
    rng = np.random.default_rng(5)
    for seed in range(4):
        graph = random_dag(120, 0.05, output_size=3.0, seed=seed)
        cluster = Cluster(
            7, threads=rng.integers(1, 4, 7), speed=rng.random(7) + 0.5, latency=rng.random((7, 7)), bandwidth=2.0,
            links="pair" if seed % 2 else "worker", scheduler_overhead=0.01,
        )  # fmt: skip
        assert_same(graph, cluster, "blevel", [-x for x in _plain_b_level(graph)])
        assert_same(graph, cluster, "fifo", "fifo")
    assert_same(map_reduce(8, 8, output_size=5.0), cluster, "lifo", "lifo")


def test_a_transfer_by_hand():
    # 0 and 1 on one worker each; 2 goes to the one that made more, and fetches 4 bytes at 2 bytes/s, 0.5 s late.
    graph = TaskGraph([1, 3, 1], [4, 10, 0], [[], [], [0, 1]])
    trace = run(graph, Cluster(2, latency=0.5, bandwidth=2.0))
    moved = np.flatnonzero(trace.kind == TRANSFER)
    assert len(moved) == 1
    row = moved[0]
    assert (trace.task[row], trace.source[row], trace.worker[row], trace.size[row]) == (2, 0, 1, 4)
    assert (trace.start[row], trace.stop[row]) == (3.0, 5.5)
    assert trace.makespan == 6.5


def test_links_by_hand():
    # Two results of 4 bytes come from two workers to a third at 2 bytes/s: 2 s each, over its own link or over two.
    graph = TaskGraph([1, 1, 1, 1], [4, 4, 5, 0], [[], [], [], [0, 1, 2]])
    assert run(graph, Cluster(3, bandwidth=2.0)).makespan == 1 + 4 + 1
    assert run(graph, Cluster(3, bandwidth=2.0, links="pair")).makespan == 1 + 2 + 1
    # From one worker they come one after the other in any case.
    graph = TaskGraph([5, 1, 1, 1], [9, 4, 4, 0], [[], [], [], [0, 1, 2]])
    assert run(graph, Cluster(2, bandwidth=2.0, links="pair")).makespan == 5 + 4 + 1


def test_a_backbone_by_hand():
    # Two pairs exchange 4 bytes at the same time: 2 s each on their own links of 2 bytes/s, 4 s on a backbone of 2.
    graph = TaskGraph([1, 1, 1, 1, 1, 1], [4, 4, 4, 4, 0, 0], [[], [], [], [], [0, 1], [2, 3]])
    assert run(graph, Cluster(4, bandwidth=2.0)).makespan == 1 + 2 + 1
    assert run(graph, Cluster(4, bandwidth=2.0, backbone=2.0)).makespan == 1 + 4 + 1
    assert run(graph, Cluster(4, backbone=4.0)).makespan == 1 + 2 + 1


# ---- list scheduling: what is known about it


def test_grahams_four_anomalies():
    graph = graham_anomaly()
    assert run(graph, 3).makespan == 12
    assert run(graph, 4).makespan == 15  # one processor more
    assert run(graph.replace(duration=graph.duration - 1), 3).makespan == 13  # all tasks shorter
    fewer = [before if i not in (4, 5) else [] for i, before in enumerate(graph.predecessors(i) for i in range(9))]
    assert run(graph.replace(predecessors=fewer), 3).makespan == 16  # fewer constraints
    order = [1, 2, 4, 5, 6, 3, 9, 7, 8]  # another list
    priority = np.empty(9)
    priority[np.array(order) - 1] = np.arange(9)
    assert run(graph, 3, policy=priority).makespan == 14


@pytest.mark.parametrize("m", range(2, 7))
def test_the_worst_case_of_longest_first(m):
    duration = [*(x for x in range(2 * m - 1, m, -1) for _ in range(2)), m, m, m]
    best = 3 * m  # the work is 3 m², and this schedule has no idle time
    assert sum(duration) == m * best
    assert run(independent(len(duration), duration), m, policy="lpt").makespan / best == pytest.approx(
        lpt_ratio(m), rel=1e-15
    )
    assert _best_makespan(duration, m, best)


def _best_makespan(duration: list[int], m: int, limit: int) -> bool:
    """Return whether the tasks fit on m workers within the limit, by trying."""

    def fits(i: int, free: tuple[int, ...]) -> bool:
        if i == len(duration):
            return True
        return any(
            room >= duration[i] and fits(i + 1, tuple(sorted((*free[:k], room - duration[i], *free[k + 1 :]))))
            for k, room in enumerate(free)
            if k == 0 or room != free[k - 1]
        )

    return fits(0, (limit,) * m)


def test_bounds_of_graham_and_brent_on_two_thousand_graphs():
    rng = np.random.default_rng(0)
    names = [name for name in POLICIES]
    for seed in range(2000):
        n, m = int(rng.integers(1, 25)), int(rng.integers(1, 6))
        graph = random_dag(n, rng.random() * 0.5, seed=seed)
        makespan = run(graph, m, policy=names[seed % len(names)], seed=seed).makespan
        low, high = brent(graph.work, graph.span, m)
        slack = 1e-9 * high
        assert low - slack <= lower_bound(graph, m) <= makespan + slack
        assert makespan <= high + slack == upper_bound(graph, m) + slack
        assert makespan <= graham_ratio(m) * max(graph.work / m, graph.span) + slack


@given(tasks_and_cluster())
def test_work_is_conserved_and_no_thread_idles_on_purpose(both):
    graph, _ = both
    if not len(graph):
        return
    trace = run(graph, 2)
    assert trace.busy().sum() == pytest.approx(graph.work)
    start, stop = trace.task_times()
    for i in range(len(graph)):
        ready = max((stop[p] for p in graph.predecessors(i)), default=0.0)
        # From when it was ready until it started both workers were busy.
        busy = sum(min(stop[k], start[i]) - max(start[k], ready) for k in range(len(graph)) if stop[k] > ready > -1 and
                   start[k] < start[i] and min(stop[k], start[i]) > max(start[k], ready))  # fmt: skip
        assert busy == pytest.approx(2 * (start[i] - ready), abs=1e-9)


def test_one_worker_takes_the_work():
    graph = random_dag(50, 0.2, seed=1)
    for policy in POLICIES:
        assert run(graph, 1, policy).makespan == pytest.approx(graph.work)
    assert run(graph, Cluster(1, speed=4.0)).makespan == pytest.approx(graph.work / 4)


def test_no_task_and_tasks_of_no_duration():
    for cluster in (1, Cluster(3, latency=1.0, scheduler_overhead=0.1)):
        empty = run(TaskGraph([]), cluster)
        assert (len(empty), empty.makespan, empty.utilization()) == (0, 0.0, 0.0)
    assert run(chain(5, duration=0.0), 2).makespan == 0.0
    assert run(fork_join(4, duration=0.0), Cluster(2, scheduler_overhead=0.5)).makespan == 3.0


def test_the_scheduler_is_a_ceiling():
    trace = run(independent(100, duration=0.0), Cluster(50, scheduler_overhead=0.01))
    assert trace.stop.max() == pytest.approx(1.0)


def test_random_order_is_fixed_by_its_seed():
    graph = independent(30, duration=np.arange(30.0))
    first = run(graph, 3, "random", seed=1)
    assert first == run(graph, 3, "random", seed=1)
    assert first != run(graph, 3, "random", seed=2)
    assert run(graph, 3, "list", seed=1) == run(graph, 3, "list", seed=2)


def test_a_policy_of_ones_own():
    graph = independent(6, duration=1.0)
    trace = run(graph, 1, policy=lambda graph, cluster, rng: -np.arange(len(graph)))
    assert trace.order().tolist() == [5, 4, 3, 2, 1, 0]
    seen = []
    run(graph, 1, policy=lambda graph, cluster, rng: seen.append(rng.random()) or np.zeros(6), seed=9)
    assert seen == [np.random.default_rng(9).random()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: run(chain(2), 1, policy="best"), "policy is 'best'; it must be one of list, fifo"),
        (
            lambda: run(chain(2), 1, policy=[1, 2, 3]),
            "shape (3,); there must be one number for each of 2",
        ),
        (lambda: run(chain(2), 1, policy=[1, math.nan]), "contain NaN"),
        (lambda: run(chain(2), 1, policy=["a", "b"]), "it must give a number for each task"),
        (lambda: run(chain(2), 1, policy=lambda *_: None), "there must be one number for each of 2 tasks"),
        (lambda: run(chain(2), 0), "workers is 0; it must be a whole number of at least 1"),
        (lambda: run(chain(2), 2.5), "workers is 2.5"),
        (lambda: Cluster(2, threads=0), "threads is 0; it must be a whole number of at least 1, or 2 of them"),
        (lambda: Cluster(2, threads=[1, 2, 3]), "threads is [1, 2, 3]"),
        (lambda: Cluster(2, threads=1.5), "threads is 1.5"),
        (lambda: Cluster(10, threads=10**18), "workers times threads is 1e+19; it must be at most 1e+18"),
        (lambda: Cluster(2, threads=[2**62, 2**62]), "workers times threads is 9.22337e+18; it must be at most 1e+18"),
        (lambda: Cluster(1, threads=2**63), "workers times threads is 9.22337e+18"),
        (lambda: Cluster(2, speed=0), "speed is 0; it must be greater than 0 and finite"),
        (lambda: Cluster(2, speed=[1, 2, 3]), "speed has shape (3,); allowed: () or (2,)"),
        (lambda: Cluster(2, speed=math.inf), "speed is inf; it must be greater than 0 and finite"),
        (lambda: Cluster(2, latency=-1), "latency is -1; it must be at least 0 and finite"),
        (lambda: Cluster(2, latency=[1, 2]), "latency has shape (2,); allowed: () or (2, 2)"),
        (lambda: Cluster(2, bandwidth=0), "bandwidth is 0; it must be greater than 0"),
        (lambda: Cluster(2, bandwidth=math.nan), "bandwidth is nan"),
        (lambda: Cluster(2, links="star"), "links is 'star'; it must be 'worker' or 'pair'"),
        (lambda: Cluster(5000, links="pair"), "workers is 5000; with a link for each pair it must be at most 4096"),
        (lambda: Cluster(2, scheduler_overhead=-1), "scheduler_overhead is -1"),
        (lambda: Cluster(2, speed="fast"), "speed is 'fast'; it must be a number"),
        (lambda: Cluster(2, names=["a"]), "names has 1 entries; it must have one for each of 2 workers"),
    ],
)
def test_run_and_cluster_refuse(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_cluster_keeps_its_own_numbers():
    speed = np.array([1.0, 2.0])
    cluster = Cluster(2, threads=[np.int64(1), np.int64(3)], speed=speed, names=["a", "b"])
    speed[0] = 50
    assert cluster.slots == 4
    assert Cluster(1000, threads=10**15).slots == 10**18
    assert cluster == Cluster.from_dict(cluster.to_dict())
    assert cluster.to_dict()["speed"] == [1.0, 2.0]
    assert cluster != cluster.replace(latency=1.0)


# ---- compiled once: a call of any kind must not compile another version


def test_every_call_uses_what_warm_up_compiled():
    from course.graph import levels
    from course.simulate import list_kernel, queue_kernels

    said = []
    warm_up(progress=said.append)
    assert said[0] == f"compiling 1 of {len(said)}: paths through task graphs"
    gaps = np.ones(4)
    gaps.flags.writeable = False
    for graph in (
        independent(1),
        chain(2),
        chain(4, output_size=2.0),
        map_reduce(2, 2, output_size=3.0),
        TaskGraph([]),
    ):
        graph.b_level()
        graph.t_level(edge_cost=1.0)
        for cluster in (
            Cluster(1), Cluster(1, speed=2.0, latency=1.0), Cluster(2, speed=[1.0, 2.0], bandwidth=[1.0, 2.0]),
            Cluster(2, latency=np.ones((2, 2)).T, threads=np.array([1, 2], dtype=np.int32), scheduler_overhead=1.0),
        ):  # fmt: skip
            run(graph, cluster)
    for discipline in DISCIPLINES:
        classes = {"priority": gaps} if discipline == "priority" else {}
        for servers in (1, np.int64(2), 20):
            queue(gaps, gaps[::-1], servers, discipline, **classes)
            random_queue(1.0, 1.0, servers, discipline, customers=4, **classes)
            queue([1, 2], [3, 4], servers, discipline, **({"priority": [1, 2]} if classes else {}))
    compiled = [levels.b_level, levels.t_level, levels.topological_order, levels.successors, list_kernel.simulate]
    compiled += [queue_kernels.fifo_one, queue_kernels.fifo_many, queue_kernels.arrivals, queue_kernels.nonpreemptive]
    compiled += [queue_kernels.shortest_remaining, queue_kernels.processor_sharing]
    assert {function.__name__: len(function.signatures) for function in compiled} == {
        function.__name__: 1 for function in compiled
    }


# ---- queues: the twin


def plain_queue(arrival, service, servers, discipline, classes=None):
    """Return (start, stop) of each customer, by stepping from one instant at which something happens to the next.

    Everybody's service left is kept; in each step it is decided afresh who is served, at what speed.
    """
    n = len(arrival)
    left = [float(x) for x in service]
    start, stop = [math.nan] * n, [math.nan] * n
    inside: list[int] = []
    serving: list[int] = []
    now, i = 0.0, 0
    rank = {
        "fifo": lambda c: c,
        "lifo": lambda c: -c,
        "sjf": lambda c: (service[c], c),
        "priority": lambda c: (classes[c], c),
        "srpt": lambda c: (left[c], c not in serving, c),
        "ps": lambda c: c,
    }[discipline]
    while i < n or inside:
        if discipline == "ps":
            serving, speed = list(inside), min(1.0, servers / max(len(inside), 1))
        elif discipline == "srpt":
            serving, speed = sorted(inside, key=rank)[:servers], 1.0
        else:
            waiting = sorted((c for c in inside if c not in serving), key=rank)
            serving, speed = serving + waiting[: servers - len(serving)], 1.0
        for c in serving:
            if math.isnan(start[c]):
                start[c] = now
        ends = min((left[c] / speed for c in serving), default=math.inf)
        step = min(ends, arrival[i] - now if i < n else math.inf)
        for c in serving:
            left[c] -= step * speed
        now = arrival[i] if i < n and step == arrival[i] - now else now + step
        for c in list(serving):
            if left[c] <= 1e-12:
                stop[c] = now
                serving.remove(c)
                inside.remove(c)
        while i < n and arrival[i] <= now:
            inside.append(i)
            i += 1
    return start, stop


@st.composite
def customers(draw):
    n = draw(st.integers(1, 15))
    times = st.sampled_from([0.5, 1.0, 2.0, 3.0]) if draw(st.booleans()) else st.floats(0.01, 5)
    gaps = draw(st.lists(times | st.just(0.0), min_size=n, max_size=n))
    return gaps, draw(st.lists(times, min_size=n, max_size=n)), draw(st.integers(1, 3) | st.just(20))


@pytest.mark.parametrize("discipline", DISCIPLINES)
@settings(max_examples=60)
@given(customers(), st.data())
def test_queue_is_its_twin(discipline, given_customers, data):
    gaps, service, servers = given_customers
    classes = None
    if discipline == "priority":
        classes = data.draw(st.lists(st.sampled_from([0.0, 1.0, -2.0]), min_size=len(gaps), max_size=len(gaps)))
    served = queue(gaps, service, servers, discipline, priority=classes)
    start, stop = plain_queue(np.cumsum(gaps).tolist(), service, servers, discipline, classes)
    if discipline == "srpt" and any(2 * x != int(2 * x) for x in gaps + service):
        # Two who have, but for rounding, equally much left may swap places.
        np.testing.assert_allclose(np.sort(served.stop), np.sort(stop), atol=1e-9)
    else:
        np.testing.assert_allclose(served.stop, stop, atol=1e-9)
        np.testing.assert_allclose(served.start, start, atol=1e-9)


@pytest.mark.parametrize("servers", [1, 4, 16, 17, 40])
def test_fifo_is_kiefer_and_wolfowitz_by_a_heap(servers):
    rng = np.random.default_rng(servers)
    gaps, service = rng.exponential(1.0, 3000), rng.exponential(0.9 * servers, 3000)
    free = [0.0] * servers
    expected = []
    for arrival, work in zip(np.cumsum(gaps), service, strict=True):
        begin = max(arrival, heapq.heappop(free))
        heapq.heappush(free, begin + work)
        expected.append(begin)
    assert queue(gaps, service, servers).start.tolist() == expected


@pytest.mark.parametrize(("servers", "discipline"), [(1, "fifo"), (3, "fifo"), (2, "priority")])
def test_queue_against_simpy(servers, discipline):
    simpy = pytest.importorskip("simpy")
    rng = np.random.default_rng(8)
    gaps, service = rng.exponential(1.0, 1500), rng.exponential(0.95 * servers, 1500)
    classes = rng.integers(0, 3, 1500)
    env = simpy.Environment()
    desk = simpy.PriorityResource(env, servers)
    stop = np.empty(1500)

    def customer(i):
        with desk.request(priority=int(classes[i]) if discipline == "priority" else 0) as turn:
            yield turn
            yield env.timeout(service[i])
            stop[i] = env.now

    def arrivals():
        for i in range(1500):
            yield env.timeout(gaps[i])
            env.process(customer(i))

    env.process(arrivals())
    env.run()
    served = queue(gaps, service, servers, discipline, priority=classes if discipline == "priority" else None)
    np.testing.assert_allclose(served.stop, stop, rtol=1e-12)


# ---- queues: what is known about them


@settings(max_examples=30)
@given(customers())
def test_srpt_has_the_least_mean_response_and_work_is_conserved(given_customers):
    gaps, service, _ = given_customers
    results = {name: queue(gaps, service, 1, name) for name in DISCIPLINES if name != "priority"}
    least = results["srpt"].response.mean()
    for name, served in results.items():
        assert least <= served.response.mean() + 1e-9, name
        # One server never idles while there is work: the busy periods, and so the last stop, are the same for all.
        assert served.horizon == pytest.approx(results["fifo"].horizon, abs=1e-9)
        assert (served.response >= served.service - 1e-9).all()
        # Little's law, with both sides counted in their own way.
        assert served.mean_number * served.horizon == pytest.approx(served.response.sum(), rel=1e-9, abs=1e-12)


def test_sojourns():
    served = queue([1, 1, 1], [2, 2, 2])
    assert served.response.tolist() == [2, 3, 4]
    assert served.slowdown.tolist() == [1, 1.5, 2]
    assert (len(served), served.horizon, served.utilization, served.throughput) == (3, 7.0, 6 / 7, 3 / 7)
    assert served.number_at([0.5, 1, 2.5, 3, 6.9, 7]).tolist() == [0, 1, 2, 2, 1, 0]
    assert served.mean_number == pytest.approx(9 / 7)
    assert "3 customers, 1 servers" in repr(served)
    nothing = queue([0], [0])
    assert (nothing.utilization, nothing.mean_number) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1, 2], [1]), {}, "interarrival has 2 entries and service 1"),
        (([], []), {}, "both must have the same number, at least 1"),
        (([-1], [1]), {}, "interarrival[0] is -1.0; it must be finite and at least 0"),
        (([1], [math.nan]), {}, "service[0] is nan"),
        (([1], [math.inf]), {}, "service[0] is inf"),
        ((1, [1]), {}, "interarrival has shape (); it must be (n,)"),
        ((["a"], [1]), {}, "interarrival is ['a']; it must be an array of seconds"),
        (([1], [1], 0), {}, "servers is 0; it must be a whole number of at least 1"),
        (([1], [1], 1.5), {}, "servers is 1.5"),
        (([1], [1], 1, "best"), {}, "discipline is 'best'; it must be one of fifo, lifo"),
        (([1], [1], 1, "priority"), {}, "priority must be given with discipline='priority', and only then"),
        (([1], [1]), {"priority": [1]}, "priority must be given with"),
        (([1], [1], 1, "priority"), {"priority": [1, 2]}, "priority has shape (2,); it must be (1,), without NaN"),
        (([1], [1], 1, "priority"), {"priority": [math.nan]}, "without NaN"),
        (([1], [1], 1, "priority"), {"priority": ["a"]}, "priority is ['a']; it must be a number for each customer"),
    ],
)
def test_queue_refuses(arguments, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        queue(*arguments, **options)


# ---- random times


@pytest.mark.parametrize(
    ("distribution", "scv", "law"),
    [
        ("exponential", 1.0, stats.expon(scale=3.0)),
        ("gamma", 0.25, stats.gamma(4, scale=0.75)),  # Erlang's of four phases
        ("gamma", 2.0, stats.gamma(0.5, scale=6.0)),
        ("lognormal", 4.0, stats.lognorm(math.sqrt(math.log(5)), scale=3 / math.sqrt(5))),
        # α = 1 + √(1 + 1/3) by the variance of a Pareto distribution, m² / (α (α − 2)).
        ("pareto", 3.0, stats.pareto(1 + math.sqrt(4 / 3), scale=3 * math.sqrt(4 / 3) / (1 + math.sqrt(4 / 3)))),
    ],
)
def test_random_times_have_their_distribution(distribution, scv, law):
    assert law.mean() == pytest.approx(3.0)
    assert law.var() / law.mean() ** 2 == pytest.approx(scv)
    times = random_times(50_000, 3.0, scv, distribution, seed=3)
    assert stats.kstest(times, law.cdf).pvalue > 1e-3


def test_hyperexponential_times_have_balanced_means():
    scv, n = 9.0, 400_000
    p = (1 + math.sqrt((scv - 1) / (scv + 1))) / 2

    def cdf(x):
        return p * stats.expon(scale=3 / (2 * p)).cdf(x) + (1 - p) * stats.expon(scale=3 / (2 * (1 - p))).cdf(x)

    times = random_times(n, 3.0, scv, seed=1)  # the usual one above 1
    assert stats.kstest(times, cdf).pvalue > 1e-3
    assert abs(times.mean() - 3) < 4 * 3 * 3 / math.sqrt(n)
    # Both halves bring the same part of the mean: p m₁ = (1 − p) m₂.
    assert p * 3 / (2 * p) == pytest.approx((1 - p) * 3 / (2 * (1 - p)))
    assert random_times(5, 3.0, 1.0, "hyperexponential", seed=1).shape == (5,)


def test_the_usual_distributions():
    for scv, name in [(0.0, "constant"), (0.5, "gamma"), (1.0, "exponential"), (2.0, "hyperexponential")]:
        assert (random_times(50, 2.0, scv, seed=4) == random_times(50, 2.0, scv, name, seed=4)).all()
    assert (random_times(50, 2.0) == random_times(50, 2.0, 1.0, "exponential")).all()
    assert (random_times(50, 2.0, distribution="constant") == 2.0).all()


@pytest.mark.parametrize("discipline", ["fifo", "srpt"])
def test_random_queue_is_queue(discipline):
    served = random_queue(0.5, 3.0, 2, discipline, customers=400, service_scv=4.0, seed=6)
    again = queue(np.diff(served.arrival, prepend=0.0), served.service, 2, discipline)
    np.testing.assert_allclose(served.stop, again.stop, rtol=1e-12)
    assert len(served) == 400
    # Common random numbers: the arrivals stay as they are when the services change.
    other = random_queue(0.5, 1.0, 2, discipline, customers=400, service="lognormal", seed=6)
    assert (other.arrival == served.arrival).all()
    assert (other.service != served.service).all()
    assert (random_queue(0.5, 3.0, customers=9, seed=7).arrival != served.arrival[:9]).all()


@pytest.mark.parametrize(
    ("settings_of_queue", "expected"),
    [
        ({"servers": 1, "service_mean": 0.7}, mm1(1.0, 1 / 0.7).mean_wait),
        ({"servers": 3, "service_mean": 2.4}, mmc(1.0, 1 / 2.4, 3).mean_wait),
        ({"servers": 1, "service_mean": 0.7, "service": "constant"}, mg1(1.0, 0.7, 0.0).mean_wait),
        ({"servers": 1, "service_mean": 0.6, "service_scv": 4.0}, mg1(1.0, 0.6, 4.0).mean_wait),
    ],
)
def test_random_queues_wait_as_the_formulas_say(settings_of_queue, expected):
    waits = [
        random_queue(1.0, customers=200_000, seed=seed, **settings_of_queue).wait[20_000:].mean() for seed in range(8)
    ]
    assert abs(np.mean(waits) - expected) < 3 * np.std(waits, ddof=1) / math.sqrt(len(waits))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 1), {}, "arrival_rate is 0; it must be finite and at least 1e-100"),
        (([1, 2], 1), {}, "arrival_rate is [1, 2]; it must be one number"),
        ((1, -1), {}, "service_mean is -1; it must be finite and at least 0"),
        ((1, 1), {"customers": 0}, "customers is 0; it must be a whole number of at least 1"),
        (
            (1, 1),
            {"service": "weibull"},
            "the service distribution is 'weibull'; it must be one of constant, exponential",
        ),
        ((1, 1), {"service_scv": -1}, "service_scv is -1; it must be finite and at least 0"),
        ((1, 1), {"arrival_scv": 1e-13}, "arrival_scv is 1e-13; it must be 0, or at least 1e-12"),
        ((1, 1), {"service": "constant", "service_scv": 2}, "service_scv is 2; of constant times it must be 0"),
        ((1, 1), {"service": "exponential", "service_scv": 2}, "service_scv is 2; of exponential times it must be 1"),
        (
            (1, 1),
            {"service": "hyperexponential", "service_scv": 0.5},
            "of hyperexponential times it must be at least 1",
        ),
        ((1, 1), {"service": "pareto", "service_scv": 0}, "service_scv is 0; of pareto times it must be above 0"),
        ((1, 1), {"seed": -1}, "seed is -1"),
        ((1, 1, 0), {}, "servers is 0"),
    ],
)
def test_random_queue_refuses(arguments, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        random_queue(*arguments, **options)


def test_batch_means():
    rng = np.random.default_rng(2)
    # Of independent values the standard error is σ/√n; a chain in which each value is held for 50 steps has √50 of it.
    values = rng.normal(5.0, 2.0, 100_000)
    mean, error = batch_means(values, batches=30, warm_up=0.0)
    assert abs(mean - 5) < 4 * error
    assert error == pytest.approx(2 / math.sqrt(100_000), rel=0.4)
    _, held = batch_means(np.repeat(values[:2000], 50), batches=30, warm_up=0.0)
    assert held == pytest.approx(2 / math.sqrt(2000), rel=0.4)
    assert batch_means([*[100.0] * 10, *[1.0] * 90], warm_up=0.1)[0] == 1.0
    for bad in ({"warm_up": 1.0}, {"batches": 1}, {"batches": 60}):
        with pytest.raises(ValueError, match=r"warm_up|too few|batches"):
            batch_means(np.ones(100), **bad)


def test_layers_on_a_thousand_workers_finish():
    graph = layered(20, 500, output_size=1e6, seed=0)
    trace = run(graph, Cluster(1000, latency=1e-3, bandwidth=1e9, scheduler_overhead=1e-5))
    assert trace.makespan >= graph.span
    assert not np.isnan(trace.start).any()
