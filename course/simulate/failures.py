"""List scheduling on a cluster whose workers fail and come back: what is lost, and what is computed again."""

from __future__ import annotations

import numpy as np

from course.cluster import Cluster
from course.graph import TaskGraph
from course.simulate.inputs import costs_anything, inputs_of, table
from course.simulate.places import places_of
from course.simulate.rows import ROW, trace_of
from course.trace import Trace


def refuse_failures(cluster: Cluster, policy: str) -> None:
    """Raise `ValueError` for a cluster with failures, on behalf of a policy that cannot simulate them.

    Examples
    --------
    >>> refuse_failures(Cluster(2, failures=[(0, 1.0)]), "dask")
    Traceback (most recent call last):
    ValueError: the cluster has failures, which policy 'dask' does not simulate; list scheduling does: list, fifo, ...
    """
    from course.simulate.lists import POLICIES

    if cluster.failures:
        raise ValueError(
            f"the cluster has failures, which policy {policy!r} does not simulate; list scheduling does:"
            f" {', '.join(POLICIES)}, or priorities of your own"
        )


def simulate_failures(
    graph: TaskGraph,
    cluster: Cluster,
    priority: np.ndarray,
    rule: int,
    seconds: np.ndarray,
    rng: np.random.Generator,
) -> Trace:
    """Return the trace of list scheduling with failures, as the notes of `course.simulate.run` describe it.

    Parameters
    ----------
    priority, rule
        As for `course.simulate.list_kernel.simulate`.
    seconds : array, shape (n,)
        What the first run of each task takes on a worker of speed 1 [s].
    rng : numpy.random.Generator
        Draws which further runs are slow.

    Raises
    ------
    ValueError
        If all workers are gone, and tasks are left.
    """
    from course.simulate import failure_kernel as kernel

    n = len(graph)
    inputs, places = inputs_of(graph, cluster), places_of(cluster, n)
    tasks = kernel.Tasks(
        graph.duration,
        seconds.copy(),
        graph.output_size,
        *graph.successor_arrays,
        last_first=np.array(graph.topological_order[::-1], dtype=np.int64),
        priority=priority,
        rule=rule,
        state=np.full(n, kernel.WAITING),
        known=np.zeros(n, bool),
        missing=np.zeros(n, np.int64),
        where=np.full(n, -1),
        thread=np.full(n, -1),
        row=np.full(n, -1),
        stop=np.zeros(n),
        key=np.zeros(n),
        ready_key=np.empty(n + 1),
        ready=np.empty(n + 1, np.int64),
        event_key=np.empty(2 * n + 1),
        events=np.empty(2 * n + 1, np.int64),
        count=np.zeros(kernel.COUNTS, np.int64),
    )
    # At one instant workers come back before others fail.
    changes = [(time, 1, worker) for worker, time, _ in cluster.failures]
    changes = sorted(changes + [(back, 0, worker) for worker, _, back in cluster.failures if back < np.inf])
    rows, end = kernel.simulate(
        tasks,
        places,
        inputs,
        costs_anything(inputs),
        *table(len(graph.indices)),
        np.array([time for time, _, _ in changes]),
        np.array([worker for _, _, worker in changes]),
        np.array([lost == 0 for _, lost, _ in changes]),
        float(cluster.scheduler_overhead),
        float(cluster.release_delay),
        *cluster.stragglers,
        rng,
        np.empty(2 * n + len(graph.indices), ROW),
    )
    if np.isnan(end):
        raise ValueError(
            f"the {len(cluster.failures)} failures take too long to simulate with {n} tasks; give fewer of either"
        )
    left = np.flatnonzero(tasks.state <= kernel.RUNNING)
    if len(left):
        names = ", ".join(graph.name(task) for task in left[:8].tolist()) + (", …" if len(left) > 8 else "")
        raise ValueError(f"all workers are gone after {end:g} s, and {len(left)} tasks are left: {names}")
    return trace_of(rows, graph, cluster, transfers=costs_anything(inputs))
