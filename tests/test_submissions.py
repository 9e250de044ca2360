"""Tasks that are submitted later: list scheduling against a plain event loop, Dask's policy by what must hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import Cluster, diagnose
from course.graph import TaskGraph, chain, independent
from course.simulate import run
from course.simulate.dask.policy import Dask
from course.simulate.lists import List
from course.simulate.submissions import Submissions
from course.trace import COMPUTE
from tests.strategies import draw_cluster, draw_predecessors

QUARTERS = st.integers(0, 12).map(lambda k: k / 4)  # sums of them are exact in any order


@st.composite
def programs(draw):
    """A small graph, and the occasions on which its tasks are submitted: inputs no later than what reads them."""
    n = draw(st.integers(1, 10))
    predecessors = draw_predecessors(draw, n)
    graph = TaskGraph(draw(st.lists(QUARTERS, min_size=n, max_size=n)), draw(QUARTERS), predecessors)
    k = draw(st.integers(1, 4))
    occasion = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    for task in graph.topological_order.tolist():
        occasion[task] = occasion[graph.predecessors(task)].max(initial=occasion[task])
    weight = np.array(draw(st.lists(st.sampled_from([0.0, 0.25, 1.0, 2.0]), min_size=n, max_size=n)))
    before = np.array([weight[occasion < j].sum() for j in range(k)])
    share = np.array(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=k, max_size=k)))
    after = np.maximum.accumulate(np.floor(4 * share * before) / 4)
    pause = np.array(draw(st.lists(QUARTERS, min_size=k, max_size=k)))
    return graph, Submissions(occasion, after, pause, weight)


def plain_list(graph, cluster, priority, submissions):
    """Return the starts and stops, found by looking through all tasks at each instant at which anything happens.

    Without priority, what became ready first is first.
    """
    n = len(graph)
    speed = np.broadcast_to(cluster.speed, cluster.workers)
    workers = sorted(range(cluster.workers), key=lambda w: -speed[w])
    free = cluster.threads_per_worker.tolist()
    start, stop, where = [None] * n, [None] * n, [None] * n
    ended, known, submitted = set(), set(), set()
    line: list[int] = []  # the ready tasks, as they became so
    comes: dict[int, float] = {}  # when each occasion comes
    now = scheduler = 0.0

    def announce():
        for j in range(len(submissions.after)):
            if j not in comes and submissions.after[j] <= sum(submissions.weight[i] for i in ended):
                comes[j] = now + submissions.pause[j]

    def is_ready(i):
        return (
            i in submitted and start[i] is None and i not in line and known.issuperset(graph.predecessors(i).tolist())
        )

    announce()
    while True:
        while line and any(free):
            task = line[0] if priority is None else min(line, key=lambda i: (priority[i], i))
            line.remove(task)
            w = next(w for w in workers if free[w])
            free[w] -= 1
            scheduler = max(now, scheduler) + cluster.scheduler_overhead
            start[task], stop[task], where[task] = scheduler, scheduler + graph.duration[task] / speed[w], w
        running = [i for i in range(n) if stop[i] is not None and i not in ended]
        hear = [i for i in ended if i not in known]
        instants = [stop[i] for i in running] + [stop[i] + cluster.release_delay for i in hear]
        instants += [
            comes[j] for j in comes if any(submissions.occasion[i] == j and i not in submitted for i in range(n))
        ]
        instants += [comes[j] for j in comes if comes[j] > now]
        if not instants:
            return start, stop
        now = min(instants)
        changed = True
        while changed:  # all that happens at this instant: ends, then news of ends, then submissions
            changed = False
            for i in range(n):
                if stop[i] == now and i not in ended:
                    ended.add(i)
                    free[where[i]] += 1
                    announce()
                    changed = True
                    if cluster.release_delay == 0:
                        known.add(i)
                        line += [s for s in graph.successors(i).tolist() if is_ready(s)]
            for i in range(n):
                if i in ended and i not in known and stop[i] + cluster.release_delay == now:
                    known.add(i)
                    line += [s for s in graph.successors(i).tolist() if is_ready(s)]
            for j in sorted(comes):
                if comes[j] == now:
                    late = [i for i in range(n) if submissions.occasion[i] == j and i not in submitted]
                    submitted.update(late)
                    line += [i for i in late if is_ready(i)]


@given(programs(), st.data())
@settings(max_examples=400, deadline=None)
def test_list_scheduling_is_that_of_a_plain_event_loop(program, data):
    graph, submissions = program
    workers = data.draw(st.integers(1, 3))
    cluster = Cluster(
        workers,
        threads=data.draw(st.integers(1, 2)),
        speed=np.array(data.draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=workers, max_size=workers))),
        scheduler_overhead=data.draw(st.sampled_from([0.0, 0.25])),
        release_delay=data.draw(st.sampled_from([0.0, 0.5])),
    )
    priority = data.draw(st.lists(st.integers(-2, 2), min_size=len(graph), max_size=len(graph)))
    later = submissions.pause.any() or submissions.after.any()
    for policy, order in (("list", range(len(graph))), (priority, priority), *([("fifo", None)] if later else [])):
        trace = List(policy, submissions).simulate(graph, cluster, 0)
        start, stop = plain_list(graph, cluster, order, submissions)
        assert trace.start[: len(graph)].tolist() == start
        assert trace.stop[: len(graph)].tolist() == stop
        held_up(trace, submissions)


def held_up(trace, submissions):
    """Check that each occasion came its pause after enough had ended, and that no task began before its own."""
    start, stop = trace.task_times()
    ended = sorted((stop[i], submissions.weight[i]) for i in range(len(stop)))
    for j in range(len(submissions.after)):
        since, weight = 0.0, 0.0
        for at, each in ended:
            if weight >= submissions.after[j]:
                break
            since, weight = at, weight + each
        tasks = submissions.occasion == j
        assert (trace.submitted[tasks] == since + submissions.pause[j]).all()
    assert (start >= trace.submitted).all()


@given(programs(), st.data(), st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_dask_starts_nothing_before_its_occasion(program, data, seed):
    graph, submissions = program
    cluster = draw_cluster(data.draw, [np.inf, 1.0], [0.0, 0.25], [0.0, 0.5])
    saturation, interval = data.draw(st.sampled_from([1.1, 0.5, np.inf])), data.draw(st.sampled_from([0.3, 1.0]))
    policy = Dask(saturation, steal_interval=interval, submissions=submissions)
    trace = policy.simulate(graph, cluster, seed)
    held_up(trace, submissions)
    start, stop = trace.task_times()
    for task in range(len(graph)):
        assert (stop[graph.predecessors(task)] + cluster.release_delay <= start[task] + 1e-9).all()
    computes = trace.kind == COMPUTE
    assert sorted(trace.task[computes].tolist()) == list(range(len(graph)))
    assert trace == policy.simulate(graph, cluster, seed)
    if trace.makespan:
        assert sum(diagnose(trace).shares.values()) == pytest.approx(1.0)


@given(programs(), st.data(), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_one_occasion_at_the_beginning_is_none_at_all(program, data, seed):
    graph, _ = program
    cluster = draw_cluster(data.draw, [np.inf, 1.0], [0.0, 0.25], [0.0, 0.5])
    at_once = Submissions.at_once(graph)
    assert Dask(submissions=at_once).simulate(graph, cluster, seed) == Dask().simulate(graph, cluster, seed)
    for policy in ("list", "fifo", "lifo", "blevel", "random"):
        assert List(policy, at_once).simulate(graph, cluster, seed) == run(graph, cluster, policy, seed)


@pytest.mark.parametrize("simulator", [List("list"), List("fifo"), Dask()])
def test_one_occasion_after_a_pause_is_that_much_later(simulator):
    """Nothing else differs, on a cluster without costs."""
    graph = TaskGraph.from_edges([1.0, 2.0, 0.5, 1.5, 1.0], [(0, 2), (1, 2), (1, 3)])
    now = Submissions.at_once(graph)
    later = dataclasses.replace(now, pause=np.array([4.0]))
    first = dataclasses.replace(simulator, submissions=now).simulate(graph, Cluster(2), 0)
    second = dataclasses.replace(simulator, submissions=later).simulate(graph, Cluster(2), 0)
    assert (second.start == first.start + 4).all()
    assert (second.worker == first.worker).all()
    assert (second.submitted == 4).all()


@pytest.mark.parametrize("simulator", [List("list"), Dask()])
def test_a_window_of_tasks(simulator):
    """Two tasks at first, and one more whenever one has ended: one after the other on each of two threads."""
    n = 10
    occasion = np.maximum(np.arange(n) - 1, 0)
    after = np.arange(n - 1, dtype=float)
    window = Submissions(occasion, after, np.zeros(n - 1), np.ones(n))
    trace = dataclasses.replace(simulator, submissions=window).simulate(independent(n, 1.0), Cluster(4), 0)
    assert trace.start[:n].tolist() == [i // 2 for i in range(n)]
    found = diagnose(trace)
    assert found.shares["compute"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("occasion", "after", "pause", "weight", "said"),
    [
        ([0, 0], [0.0], [0.0, 1.0], [1.0, 1.0], "alike"),
        ([0, 0], [0.0], [0.0], [1.0], "alike"),
        ([0, 1], [0.0], [0.0], [1.0, 1.0], "occasion is in 0 … 1; allowed: 0 … 0"),
        ([0, -1], [0.0], [0.0], [1.0, 1.0], "allowed: 0 … 0"),
        ([0.0, 0.0], [0.0], [0.0], [1.0, 1.0], "occasion is .* whole numbers"),
        ([0, 0], [0.0], ["x"], [1.0, 1.0], "pause is .* numbers"),
        ([[0, 0]], [0.0], [0.0], [1.0, 1.0], "row"),
        ([0, 0], [0.0], [-1.0], [1.0, 1.0], "pause must be at least 0"),
        ([0, 0], [-1.0], [0.0], [1.0, 1.0], "after must not fall"),
        ([0, 1], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0], "after must not fall"),
        ([0, 0], [0.0], [np.inf], [1.0, 1.0], "finite"),
        ([0, 0], [0.0], [np.nan], [1.0, 1.0], "finite"),
        ([0, 1], [0.0, np.nan], [0.0, 0.0], [1.0, 1.0], "finite"),
        ([0, 0], [0.0], [0.0], [1.0, np.nan], "finite"),
        ([0, 0], [0.0], [0.0], [1.0, -1.0], "weight holds -1"),
        ([0, 1], [0.0, 1.5], [0.0, 0.0], [1.0, 1.0], "occasion 1 is after 1.5, but what was submitted before counts 1"),
        ([0, 1], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0], "occasion 0 is after 1, but what was submitted before counts 0"),
    ],
)  # fmt: skip
def test_submissions_that_are_none(occasion, after, pause, weight, said):
    with pytest.raises(ValueError, match=said):
        Submissions(occasion, after, pause, weight)


@pytest.mark.parametrize("simulator", [List, Dask])
def test_submissions_of_another_graph_are_refused(simulator):
    with pytest.raises(ValueError, match="of 2 tasks; the graph has 3"):
        simulator(submissions=Submissions.at_once(independent(2))).simulate(independent(3), Cluster(1), 0)


@pytest.mark.parametrize("simulator", [List, Dask])
def test_what_would_wait_for_ever_is_refused(simulator):
    """The first task is submitted before its input, which is to come when the first task has ended."""
    backwards = Submissions([1, 0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="occasion 1 is after 1, but what was submitted before counts 0"):
        simulator(submissions=backwards).simulate(chain(2), Cluster(1), 0)
    # Where the occasion waits for another task, all is well.
    patient = Submissions([1, 0, 0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0, 1.0])
    graph = TaskGraph.from_edges([1.0, 1.0, 1.0], [(0, 1)])
    trace = simulator(submissions=patient).simulate(graph, Cluster(2), 0)
    assert trace.start[:3].tolist() == [1.0, 2.0, 0.0]


def test_failures_are_refused_with_tasks_that_come_later():
    later = Submissions([0, 1], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="failures"):
        List("list", later).simulate(independent(2), Cluster(2, failures=[(0, 1)]), 0)


@pytest.mark.parametrize("simulator", [List, Dask])
def test_pauses_that_are_too_long_are_refused(simulator):
    later = Submissions([0, 1], [0.0, 1.0], [0.0, 1.7e308], [1.0, 1.0])
    with pytest.raises(ValueError, match="longer than 1e"):
        simulator(submissions=later).simulate(independent(2), Cluster(2), 0)
