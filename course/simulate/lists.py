"""`run`: a task graph on a cluster, by list scheduling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from course.cluster import Cluster
from course.graph import TaskGraph
from course.trace import COMPUTE, OVERHEAD, TRANSFER, Trace

Policy = str | ArrayLike | Callable[[TaskGraph, Cluster, np.random.Generator], ArrayLike]


def _by_position(graph: TaskGraph, cluster: Cluster, rng: np.random.Generator) -> np.ndarray:
    return np.arange(len(graph), dtype=float)


POLICIES: dict[str, Callable[[TaskGraph, Cluster, np.random.Generator], np.ndarray]] = {
    "list": _by_position,
    "fifo": _by_position,  # the order is found on the way: the first that became ready is first
    "lifo": _by_position,
    "random": lambda graph, cluster, rng: rng.permutation(len(graph)).astype(float),
    "blevel": lambda graph, cluster, rng: -graph.b_level(),
    "lpt": lambda graph, cluster, rng: -graph.duration,
    "spt": lambda graph, cluster, rng: graph.duration.copy(),
}
"""The named policies: each gives every task its priority, smallest first.

=========  ==========================================================================================
list       by number: the order of the list is the order of the tasks
fifo       first become ready, first served; at one instant in the order of the tasks that they waited for
lifo       last become ready, first served
random     in a random order that ``seed`` fixes
blevel     longest way to the end of the graph first (critical path; Hu 1961, Kohler 1975)
lpt        longest task first (Graham 1969)
spt        shortest task first
=========  ==========================================================================================
"""

_RULES = {"fifo": 1, "lifo": 2}


def run(graph: TaskGraph, cluster: Cluster | int, policy: Policy = "list", seed: int = 0) -> Trace:
    """Simulate a run of a task graph on a cluster; return its `Trace`.

    Whenever a thread is idle and a task is ready, the ready task of the smallest priority value starts: no thread stays
    idle on purpose (list scheduling, Graham 1966).

    Parameters
    ----------
    graph : TaskGraph
        The tasks.
    cluster : Cluster or int
        The machines; a number means so many workers of one thread, with a network and a scheduler that cost nothing.
    policy : str, array of shape (n,), or callable
        A name of `POLICIES`; or the priority of each task (smallest first; the smaller number first among equals); or a
        function ``(graph, cluster, rng) -> priorities``.
    seed : int
        Seed of what is random (the policy "random", or yours).

    Returns
    -------
    Trace
        With rows of kind compute, transfer (where the network costs anything) and overhead (where the scheduler does).

    Raises
    ------
    ValueError
        Unknown policy; priorities of the wrong shape or NaN.

    Examples
    --------
    Graham's anomaly: a fourth processor makes it longer.

    >>> from course.graph import graham_anomaly
    >>> run(graham_anomaly(), 3).makespan, run(graham_anomaly(), 4).makespan
    (12.0, 15.0)

    Notes
    -----
    *Where.* A task goes to the idle worker that made the most bytes of its input (what it fetched does not count);
    if no idle worker made any, to the fastest idle one. Among equals, the faster, then the lower number. A worker is
    idle while any of its threads is.

    *Transfers.* Inputs that are elsewhere come in over the receiver's link one after the other, in the order in which
    the graph lists them, each taking size / bandwidth, and are there ``latency`` later. The sender and the network
    between are never the bottleneck. What one task fetched serves the next task on that worker, unless the graph gives
    each edge its own size (then every successor reads a different part). The thread waits while the input of its task
    comes in.

    *Scheduler.* It hands out one task at a time, which takes ``scheduler_overhead`` each. A task becomes ready
    ``release_delay`` after the last of its predecessors ended; its worker is idle at once.

    Taught in chapter 05.

    References
    ----------
    Graham: Bounds for certain multiprocessing anomalies. Bell System Technical Journal 45(9), 1966.
    """
    from course.simulate.list_kernel import simulate

    cluster = cluster if isinstance(cluster, Cluster) else Cluster(cluster)
    priority = _priority(policy, graph, cluster, np.random.default_rng(seed))
    workers = cluster.workers
    latency, bandwidth = _pairs(cluster.latency, workers), _pairs(cluster.bandwidth, workers)
    network = bool((latency > 0).any() or np.isfinite(bandwidth).any())
    speed = np.full(workers, cluster.speed, dtype=float)
    rank = np.empty(workers)
    rank[np.argsort(-speed, kind="stable")] = np.arange(workers)
    after_indptr, after = graph.successor_arrays
    where, thread, given, start, stop, moved_task, moved_edge, moved_start, moved_stop = simulate(
        graph.duration,
        graph.indptr,
        graph.indices,
        after_indptr,
        after,
        # numba compiles anew for an array that cannot be written, as those of a graph: give it copies throughout.
        np.array(graph.sizes) if network else np.empty(0),
        graph.edge_size is None,
        priority,
        _RULES.get(policy, 0) if isinstance(policy, str) else 0,
        cluster.threads_per_worker.copy(),
        speed,
        rank,
        latency,
        bandwidth,
        float(cluster.scheduler_overhead),
        float(cluster.release_delay),
    )
    n, moved = len(graph), len(moved_task)
    tasks = np.arange(n, dtype=np.int32)
    nowhere = np.full(n, -1, np.int32)
    parts = [(tasks, where, thread, np.full(n, COMPUTE, np.uint8), start, stop, graph.output_size, nowhere)]
    if moved:
        sources = graph.indices[moved_edge]
        kind, lane = np.full(moved, TRANSFER, np.uint8), np.full(moved, -1, np.int32)
        sizes = graph.sizes[moved_edge]
        parts.append((moved_task, where[moved_task], lane, kind, moved_start, moved_stop, sizes, where[sources]))
    if cluster.scheduler_overhead > 0:
        kind = np.full(n, OVERHEAD, np.uint8)
        parts.append((tasks, nowhere, nowhere, kind, given - cluster.scheduler_overhead, given, np.zeros(n), nowhere))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Trace(*columns, graph=graph, cluster=cluster, origin="simulated")


def _priority(policy: Policy, graph: TaskGraph, cluster: Cluster, rng: np.random.Generator) -> np.ndarray:
    if isinstance(policy, str):
        if policy not in POLICIES:
            raise ValueError(f"policy is {policy!r}; it must be one of {', '.join(POLICIES)}, an array or a function")
        policy = POLICIES[policy]
    values = policy(graph, cluster, rng) if callable(policy) else policy
    try:
        priority = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"the policy gave {values!r:.80}; it must give a number for each task") from None
    if priority.shape != (len(graph),) or np.isnan(priority).any():
        raise ValueError(
            f"the priorities have shape {priority.shape}"
            + (" and contain NaN" if np.isnan(priority).any() else "")
            + f"; there must be one number for each of {len(graph)} tasks"
        )
    return priority


def _pairs(value: ArrayLike, workers: int) -> np.ndarray:
    """Return a network parameter as a matrix (from, to) whose sides are 1 where it does not matter."""
    array = np.array(value, dtype=float, order="C")
    return array.reshape({0: (1, 1), 1: (1, workers), 2: (workers, workers)}[array.ndim])
