"""`run` against Estee, the simulator of Beránek, Böhm and Cima ("Analysis of workflow schedulers in simulated
distributed environments", The Journal of Supercomputing 78, 2022), in what both model.

Estee (github.com/spirali/estee) is not on PyPI; to run these tests put a checkout on PYTHONPATH, and install deap
and moocore.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.graph import TaskGraph, fork_join, layered, random_dag
from course.simulate import Cluster, run
from course.trace import COMPUTE, TRANSFER

estee = pytest.importorskip("estee.schedulers.queue", reason="Estee is not installed", exc_type=ImportError)
common, simulator = pytest.importorskip("estee.common"), pytest.importorskip("estee.simulator")


class ListScheduler(estee.QueueScheduler):
    """Estee's own scheduler with a queue of tasks; the order of the queue and the place are those of `run`."""

    def __init__(self, priority: np.ndarray) -> None:
        super().__init__("list", "0")
        self.priority = priority

    def make_queue(self):
        return sorted(self.task_graph.tasks.values(), key=lambda task: (self.priority[task.id], task.id))

    def choose_worker(self, workers, task):
        def made(worker):
            return sum(data.size or data.expected_size for data in task.inputs if worker in data.placing)

        return min(workers, key=lambda worker: (-made(worker), worker.worker_id))


def estee_run(graph: TaskGraph, cluster: Cluster, priority: np.ndarray, downloads: int = 1):
    """Return (makespan, start of each task, transfers as (start, source, receiver, bytes))."""
    theirs = common.TaskGraph()
    tasks = [
        theirs.new_task(duration=d, expected_duration=d, output_size=s)
        for d, s in zip(graph.duration.tolist(), graph.output_size.tolist(), strict=True)
    ]
    for i, task in enumerate(tasks):
        task.add_inputs([tasks[before] for before in graph.predecessors(i).tolist()])
    for data in theirs.objects.values():
        data.expected_size = data.size
    network = (
        simulator.SimpleNetModel(cluster.bandwidth) if np.isfinite(cluster.bandwidth) else simulator.InstantNetModel()
    )
    workers = [
        simulator.Worker(cpus=int(cpus), max_downloads=downloads, max_downloads_per_worker=downloads)
        for cpus in cluster.threads_per_worker
    ]
    simulation = simulator.Simulator(theirs, workers, ListScheduler(priority), network, trace=True)
    makespan = simulation.run()
    events = [(type(event).__name__, event) for event in simulation.trace_events]
    start = {event.task.id: event.time for name, event in events if name == "TaskStart"}
    moved = [
        (e.time, e.source_worker.id, e.target_worker.id, e.output.size) for name, e in events if name == "FetchStart"
    ]
    return makespan, [start[i] for i in range(len(graph))], sorted(moved)


def assert_same(graph: TaskGraph, cluster: Cluster, priority: np.ndarray) -> None:
    makespan, start, moved = estee_run(graph, cluster, priority)
    trace = run(graph, cluster, policy=priority)
    computes = trace.kind == COMPUTE
    assert trace.start[computes].tolist() == start
    assert trace.stop.max(initial=0.0) == makespan
    if np.isfinite(cluster.bandwidth):
        columns = (trace.start, trace.source, trace.worker, trace.size)
        rows = zip(*(column[trace.kind == TRANSFER].tolist() for column in columns), strict=True)
        assert sorted(rows) == moved


@st.composite
def cases(draw):
    """Random durations and sizes: when two tasks end at once, Estee hands out between them and `run` does not."""
    n, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    graph = random_dag(n, draw(st.sampled_from([0.0, 0.05, 0.2, 0.6])), seed=seed)
    graph = graph.replace(output_size=rng.exponential(3.0, n))
    bandwidth = draw(st.sampled_from([np.inf, 0.5, 2.0, 50.0]))
    workers = draw(st.integers(1, 6))
    cluster = Cluster(workers, threads=rng.integers(1, 4, workers), bandwidth=bandwidth)
    return graph, cluster, draw(st.sampled_from([rng.random(n), -graph.b_level(), np.arange(n, dtype=float)]))


@settings(max_examples=300)
@given(cases())
def test_the_same_start_of_every_task(case):
    assert_same(*case)


def test_the_same_on_larger_graphs():
    rng = np.random.default_rng(1)
    for graph in (layered(12, 40, degree=3, seed=2), fork_join(50, 4)):
        n = len(graph)
        graph = graph.replace(duration=rng.exponential(1.0, n), output_size=rng.exponential(1.0, n))
        for bandwidth in (np.inf, 1.0, 10.0):
            assert_same(graph, Cluster(15, threads=2, bandwidth=bandwidth), -graph.b_level())


def test_where_they_differ_on_purpose():
    # Two inputs of 4 bytes from two other workers, at 2 bytes/s: by default Estee has four downloads at a time, each at
    # the full bandwidth; here they share the receiver's link, one after the other.
    graph = TaskGraph([1, 1.25, 1.5, 1], [4, 4, 9, 0], [[], [], [], [0, 1, 2]])
    cluster = Cluster(3, bandwidth=2.0)
    assert estee_run(graph, cluster, np.zeros(4), downloads=4)[0] == 1.5 + 2 + 1
    assert estee_run(graph, cluster, np.zeros(4), downloads=1)[0] == 1.5 + 4 + 1
    assert run(graph, cluster).makespan == 1.5 + 4 + 1


def test_estees_own_scheduler_of_the_longest_way_first():
    # Its blevel scheduler breaks ties and places at random; without a network the makespan depends on ties alone.
    graph = random_dag(80, 0.08, seed=4)
    theirs = common.TaskGraph()
    tasks = [theirs.new_task(duration=d, expected_duration=d, output_size=0) for d in graph.duration.tolist()]
    for i, task in enumerate(tasks):
        task.add_inputs([tasks[before] for before in graph.predecessors(i).tolist()])
    workers = [simulator.Worker() for _ in range(5)]
    scheduler = estee.BlevelGtScheduler()
    makespan = simulator.Simulator(theirs, workers, scheduler, simulator.InstantNetModel()).run()
    assert makespan == run(graph, 5, policy="blevel").makespan
