"""Static schedules against SAGA (`anrg.saga` on PyPI), an independent implementation of the same papers.

Where the two differ by definition, the test gives both the same definition and says which; nothing else is allowed to
differ: every task on the same machine, at the same time.

- *Order of sets.* SAGA keeps tasks and machines in sets of text, so that its order, and with it every choice between
  equals, changes from run to run. Here they are put in the order of their numbers.
- *Mean time of an edge.* SAGA's mean is over all links, a machine's link to itself (which takes no time) among them;
  ours is over pairs of different machines, as in the published example, whose ranks SAGA's do not give.
- *Downward rank* (CPOP). SAGA adds the cost of the task itself (over the mean speed), the paper that of the task
  before.
- *Min-min and max-min.* SAGA places all tasks that are ready before it looks which became ready since (as Blythe et al.
  do, 2005); we look after every task. Independent tasks show no difference.
- *Met, mct, olb, fastest* take "arbitrary order": SAGA that of networkx's topological sort, we the smallest number.
- *Etf.* SAGA moves a clock, as the paper does. Its choices between equal starts follow the order of sets of text; so
  its decisions are checked one by one: each start is the least of all that were possible.
- *Dls.* SAGA's GDL takes the *smallest* dynamic level and adds data sizes to the static level: another algorithm
  (tested below). PEFT, MCP and LPT are not in SAGA 2.0.2.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("saga")

import saga
import saga.schedulers.cpop
import saga.schedulers.heft
from saga.schedulers import (
    BruteForceScheduler,
    CpopScheduler,
    ETFScheduler,
    FastestNodeScheduler,
    GDLScheduler,
    HeftScheduler,
    MaxMinScheduler,
    MCTScheduler,
    METScheduler,
    MinMinScheduler,
    OLBScheduler,
    SufferageScheduler,
)

from course.graph import TaskGraph
from course.simulate import Cluster, optimal, schedule
from course.simulate.static_policies import Problem

GRAPHS = 150


class Ordered(saga.TaskGraph):
    """SAGA's task graph with the tasks in the order of their numbers, also where it sorts them by their edges."""

    def topological_sort(self):
        return list(self.tasks)


def instance(seed: int, *, whole: bool = False, independent: bool = False, tasks: int | None = None):
    """Return a graph with one first and one last task, and a cluster; with ``whole`` numbers ties are common."""
    rng = np.random.default_rng([7, seed])
    n, m = tasks or int(rng.integers(4, 16)), int(rng.integers(1, 6))

    def draw(size, low=0.1):
        return rng.integers(1, 4, size).astype(float) if whole else rng.uniform(low, 3.0, size)

    joined = np.triu(rng.random((n, n)) < (0 if independent else rng.uniform(0.1, 0.6)), 1)
    joined[:, 0] = joined[-1] = False
    joined[0, 1:] |= ~joined[1:, 1:].any(axis=0)
    joined[0, 1:-1] |= ~joined[:, 1:-1].any(axis=0)
    joined[:-1, -1] |= ~joined[:-1, :].any(axis=1)
    before, after = np.nonzero(joined)
    edges = list(zip(before.tolist(), after.tolist(), draw(len(before)).tolist(), strict=True))
    graph = TaskGraph.from_edges(draw(n), edges)
    bandwidth = draw((m, m))
    bandwidth = np.triu(bandwidth, 1) + np.triu(bandwidth, 1).T + np.eye(m)
    return graph, Cluster(m, speed=draw(m), bandwidth=bandwidth)


def in_saga(graph: TaskGraph, cluster: Cluster, kind: type = Ordered):
    n, m = len(graph), cluster.workers
    owner = np.repeat(np.arange(n), np.diff(graph.indptr))
    tasks = [saga.TaskGraphNode(name=str(i), cost=float(graph.duration[i])) for i in range(n)]
    edges = [
        saga.TaskGraphEdge(source=str(b), target=str(a), size=float(size))
        for b, a, size in zip(graph.indices.tolist(), owner.tolist(), graph.sizes.tolist(), strict=True)
    ]
    speed = np.broadcast_to(cluster.speed, m)
    bandwidth = np.broadcast_to(cluster.bandwidth, (m, m))
    nodes = [saga.NetworkNode(name=str(p), speed=float(speed[p])) for p in range(m)]
    links = [
        saga.NetworkEdge(source=str(p), target=str(q), speed=float("inf") if p == q else float(bandwidth[p, q]))
        for p in range(m)
        for q in range(p, m)
    ]
    # Not checked, so that lists stay lists: sets have no order of their own.
    return saga.Network.model_construct(nodes=nodes, edges=links), kind.model_construct(tasks=tasks, dependencies=edges)


def rows_of(theirs, n: int):
    rows = {task.name: (int(task.node), task.start, task.end) for _, tasks in theirs.items() for task in tasks}
    return [rows[str(i)] for i in range(n)]


def assert_same(plan, theirs) -> None:
    rows = rows_of(theirs, len(plan.placement))
    assert plan.placement.tolist() == [row[0] for row in rows]
    # SAGA finds some starts as finish − cost, with its rounding.
    np.testing.assert_allclose(plan.start, [row[1] for row in rows], rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(plan.finish, [row[2] for row in rows], rtol=1e-12, atol=1e-9)


def named(values) -> dict[str, float]:
    return {str(i): float(value) for i, value in enumerate(values)}


def test_instances_are_as_described():
    sources, sinks, edges = set(), set(), 0
    for seed in range(GRAPHS):
        graph, _ = instance(seed)
        sources.add(int((np.diff(graph.indptr) == 0).sum()))
        sinks.add(int((np.diff(graph.successor_arrays[0]) == 0).sum()))
        edges += len(graph.indices)
    assert sources == sinks == {1}
    assert edges > 10 * GRAPHS


def test_heft_with_the_ranks_of_saga():
    for seed in range(GRAPHS):
        graph, cluster = instance(seed)
        network, tasks = in_saga(graph, cluster)
        ranks = saga.schedulers.heft.upward_rank(network, tasks)
        mine = [-ranks[str(i)] for i in range(len(graph))]
        assert_same(schedule(graph, cluster, mine), HeftScheduler().schedule(network, tasks))


def test_heft_and_cpop_with_our_ranks(monkeypatch):
    for seed in range(GRAPHS):
        graph, cluster = instance(seed)
        network, tasks = in_saga(graph, cluster)
        heft, cpop = schedule(graph, cluster, "heft"), schedule(graph, cluster, "cpop")
        monkeypatch.setattr(saga.schedulers.heft, "upward_rank", lambda *_, r=heft.ranks: named(r["upward"]))
        monkeypatch.setattr(saga.schedulers.cpop, "cpop_ranks", lambda *_, r=cpop.ranks: named(r["priority"]))
        assert_same(heft, HeftScheduler().schedule(network, tasks))
        assert_same(cpop, CpopScheduler().schedule(network, tasks))


def test_ranks_differ_as_said():
    for seed in range(GRAPHS):
        graph, cluster = instance(seed)
        network, tasks = in_saga(graph, cluster)
        m = cluster.workers
        problem = Problem(graph, cluster)
        # m (m − 1) / 2 links between machines and m links of a machine to itself.
        with_own = problem.comm * (m - 1) / (m + 1)
        theirs = saga.schedulers.heft.upward_rank(network, tasks)
        np.testing.assert_allclose(problem.b_level(problem.mean, with_own), [*map(theirs.get, named(graph.duration))])
        down, plain = saga.schedulers.cpop.downward_rank(network, tasks), np.zeros(len(graph))
        for task in range(1, len(graph)):
            own = graph.duration[task] / np.mean(cluster.speed)
            edges = range(graph.indptr[task], graph.indptr[task + 1])
            plain[task] = max(plain[graph.indices[e]] + with_own[e] + own for e in edges)
        np.testing.assert_allclose(plain, [*map(down.get, named(graph.duration))])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("policy", "theirs"),
    [
        ("sufferage", SufferageScheduler),
        ("met", METScheduler),
        ("mct", MCTScheduler),
        ("olb", OLBScheduler),
        ("fastest", FastestNodeScheduler),
    ],
)
def test_the_same_schedule(policy, theirs, whole):
    for seed in range(GRAPHS):
        graph, cluster = instance(seed, whole=whole)
        assert_same(schedule(graph, cluster, policy), theirs().schedule(*in_saga(graph, cluster)))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("policy", "theirs"), [("minmin", MinMinScheduler), ("maxmin", MaxMinScheduler)])
def test_minmin_and_maxmin(policy, theirs, whole):
    for seed in range(GRAPHS):
        graph, cluster = instance(seed, whole=whole, independent=True)
        assert_same(schedule(graph, cluster, policy), theirs().schedule(*in_saga(graph, cluster)))
    different = 0
    for seed in range(GRAPHS):
        graph, cluster = instance(seed, whole=whole)
        rows = rows_of(theirs().schedule(*in_saga(graph, cluster)), len(graph))
        batches = in_batches(graph, cluster, policy)
        assert [row[0] for row in rows] == batches[0]
        np.testing.assert_allclose([row[1] for row in rows], batches[1], atol=1e-9)
        different += batches[0] != schedule(graph, cluster, policy).placement.tolist()
    assert 0 < different < GRAPHS


def in_batches(graph, cluster, policy):
    """Return machine and start of each task where all ready tasks are placed before new ones are looked at."""
    problem = Problem(graph, cluster)
    n, m = len(graph), problem.machines
    placement, start, finish, free = np.full(n, -1), np.zeros(n), np.zeros(n), np.zeros(m)
    while (placement < 0).any():
        ready = [i for i in range(n) if placement[i] < 0 and (placement[graph.predecessors(i)] >= 0).all()]
        while ready:
            begins = {i: np.maximum(free, problem.data_ready(i, placement, finish)) for i in ready}
            ends = {i: begins[i] + problem.costs[i, problem.column] for i in ready}
            task = (min if policy == "minmin" else max)(ready, key=lambda i: ends[i].min())
            p = int(ends[task].argmin())
            placement[task], start[task], finish[task] = p, begins[task][p], ends[task][p]
            free[p] = finish[task]
            ready.remove(task)
    return placement.tolist(), start.tolist()


def test_etf_starts_each_task_at_the_earliest_start_that_there_is():
    same = 0
    for seed in range(GRAPHS):
        graph, cluster = instance(seed)
        problem = Problem(graph, cluster)
        rows = rows_of(ETFScheduler().schedule(*in_saga(graph, cluster)), len(graph))
        plan = schedule(graph, cluster, "etf")
        ours = list(zip(plan.placement.tolist(), plan.start.tolist(), plan.finish.tolist(), strict=True))
        for which, order in ((rows, np.lexsort(([r[2] for r in rows], [r[1] for r in rows]))), (ours, plan.order)):
            placement, finish = np.full(len(graph), -1), np.zeros(len(graph))
            free = np.zeros(problem.machines)
            for task in order.tolist():
                ready = [
                    i for i in range(len(graph)) if placement[i] < 0 and (placement[graph.predecessors(i)] >= 0).all()
                ]
                least = min(np.maximum(free, problem.data_ready(i, placement, finish)).min() for i in ready)
                assert which[task][1] == pytest.approx(least, abs=1e-9)
                placement[task], finish[task] = which[task][0], which[task][2]
                free[placement[task]] = finish[task]
        same += [row[0] for row in rows] == plan.placement.tolist()
    assert same > 0


def test_gdl_takes_the_smallest_level_and_is_no_dls():
    worse = 0
    for seed in range(GRAPHS):
        graph, cluster = instance(seed)
        theirs = GDLScheduler(dynamic_level=1).schedule(*in_saga(graph, cluster))
        worse += theirs.makespan > schedule(graph, cluster, "dls").makespan
    assert worse > GRAPHS / 2


def test_the_best_schedule():
    for seed in range(12):
        graph, cluster = instance(seed, tasks=5)
        cluster = Cluster(2, speed=[1.0, 1.7], bandwidth=np.full((2, 2), 1.3)) if cluster.workers > 2 else cluster
        theirs = BruteForceScheduler().schedule(*in_saga(graph, cluster, saga.TaskGraph))
        assert optimal(graph, cluster).makespan == pytest.approx(theirs.makespan)


def test_gaps_are_the_same():
    # What both do with many gaps: long lines of slow transfers, and short tasks that fit between.
    rng = np.random.default_rng(0)
    for _ in range(20):
        graph, cluster = instance(int(rng.integers(10**6)), tasks=40)
        graph = graph.replace(
            duration=rng.choice([0.01, 0.1, 1.0], 40), edge_size=rng.exponential(5.0, len(graph.indices))
        )
        network, tasks = in_saga(graph, cluster)
        ranks = saga.schedulers.heft.upward_rank(network, tasks)
        plan = schedule(graph, cluster, [-ranks[str(i)] for i in range(40)])
        assert_same(plan, HeftScheduler().schedule(network, tasks))
