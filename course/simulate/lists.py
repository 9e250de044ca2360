"""List scheduling: no thread stays idle while a task is ready. The policies, and the simulation that `run` calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.cluster import Cluster, links_of, pairs
from course.domain import generator
from course.graph import TaskGraph
from course.simulate.stragglers import real_durations, rerun_draws
from course.simulate.submissions import Submissions
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

MOST_WORKERS = 10**7
MOST_SECONDS = 1e300
"""How long a run may take: beyond it, sums of times would no longer be finite."""

_DTYPES = {
    "task": np.int32,
    "worker": np.int32,
    "thread": np.int32,
    "kind": np.uint8,
    "start": float,
    "stop": float,
    "size": float,
    "source": np.int32,
}
_RULES = {"fifo": 1, "lifo": 2}


@dataclass(frozen=True, eq=False)
class List:
    """List scheduling, of tasks that are not all submitted at once.

    Parameters
    ----------
    policy : str, array of shape (n,), or callable
        As `course.simulate.run` takes it: of the tasks that are ready, the smallest is first.
    submissions : Submissions, optional
        When tasks are submitted. Default: all at the beginning.

    Raises
    ------
    ValueError
        If the submissions are not those of the graph, or would wait for ever; if the cluster has failures.
    """

    policy: Policy = "list"
    submissions: Submissions | None = None

    def simulate(self, graph: TaskGraph, cluster: Cluster, seed: int) -> Trace:
        """Return the trace of a run."""
        return simulate_list(graph, cluster, self.policy, seed, self.submissions)


def simulate_list(
    graph: TaskGraph, cluster: Cluster, policy: Policy, seed: int, submissions: Submissions | None = None
) -> Trace:
    """Return the trace of list scheduling, as the notes of `course.simulate.run` describe it."""
    from course.simulate.failures import simulate_failures
    from course.simulate.list_kernel import simulate

    priority, rule = order_of(policy, graph, cluster, seed)
    n, workers, slow = len(graph), cluster.workers, cluster.scheduler_overhead > 0
    duration = real_durations(graph, cluster, seed)
    later = _later(graph, submissions)
    if later is not None and cluster.failures:
        raise ValueError("the cluster has failures, which are not simulated with tasks that are submitted later")
    if cluster.failures:
        return simulate_failures(graph, cluster, priority, rule, duration, rerun_draws(seed))
    latency, bandwidth = pairs(cluster.latency, workers), pairs(cluster.bandwidth, workers)
    network = bool((latency > 0).any() or np.isfinite(bandwidth).any() or np.isfinite(cluster.backbone))
    speed = np.full(workers, cluster.speed, dtype=float)
    rank = np.empty(workers)
    rank[np.argsort(-speed, kind="stable")] = np.arange(workers)
    # The columns of the trace: a row for each task, then those of the transfers, of which each edge makes at most one,
    # then one for each time that the scheduler took. What is not needed is never touched, and cut off at the end.
    most = n + len(graph.indices) * network + n * slow
    columns = {name: np.empty(most, dtype) for name, dtype in _DTYPES.items()}
    moved, given = simulate(
        duration,
        graph.indptr,
        graph.indices,
        *graph.successor_arrays,
        graph.output_size if graph.edge_size is None else graph.edge_size,
        graph.edge_size is None,
        network,
        priority,
        rule,
        # What is submitted later is no source: it is ready when its occasion comes.
        np.empty(0, np.int32) if later else _sources(graph, priority if rule == 0 else None),
        # More threads than tasks are idle.
        np.minimum(cluster.threads_per_worker, n),
        speed,
        rank,
        latency,
        bandwidth,
        links_of(cluster),
        float(cluster.backbone),
        float(cluster.scheduler_overhead),
        float(cluster.release_delay),
        *(later or (np.empty(0, np.int32), np.empty(0), np.empty(0), np.empty(0))),
        *(columns[name] for name in ("task", "worker", "thread", "start", "stop", "size", "source")),
    )
    transfers, overheads = slice(n, n + moved), slice(n + moved, n + moved + n * slow)
    for column in columns.values():
        column.resize(overheads.stop, refcheck=False)
    columns["task"][:n] = np.arange(n)
    columns["kind"][:n] = COMPUTE
    columns["size"][:n] = graph.output_size
    columns["source"][:n] = -1
    columns["kind"][transfers] = TRANSFER
    columns["thread"][transfers] = -1
    if slow:
        columns["task"][overheads] = np.arange(n)
        columns["kind"][overheads] = OVERHEAD
        columns["start"][overheads], columns["stop"][overheads] = given - cluster.scheduler_overhead, given
        columns["size"][overheads] = 0
        for name in ("worker", "thread", "source"):
            columns[name][overheads] = -1
    if columns["stop"].max(initial=0.0) > MOST_SECONDS:
        raise ValueError(f"the run takes longer than {MOST_SECONDS:g} s; give costs that are less far apart")
    submitted = None if later is None else submissions.times(columns["stop"][:n])
    return Trace(**columns, graph=graph, cluster=cluster, origin="simulated", submitted=submitted)


def _later(graph: TaskGraph, submissions: Submissions | None) -> tuple[np.ndarray, ...] | None:
    """Return the arrays of submissions that are not all at the beginning."""
    if submissions is None:
        return None
    submissions.check(graph)
    if not submissions.pause.any() and not submissions.after.any():
        return None
    return submissions.occasion.astype(np.int32), submissions.after, submissions.pause, submissions.weight


def order_of(policy: Policy, graph: TaskGraph, cluster: Cluster, seed: int) -> tuple[np.ndarray, int]:
    """Return the priority of each task, smallest first, and the rule by which `list_kernel` uses it.

    Raises
    ------
    ValueError
        Unknown policy; priorities of the wrong shape or NaN; more than 10⁷ workers.
    """
    if isinstance(policy, str) and policy not in POLICIES:
        raise ValueError(f"policy is {policy!r}; it must be one of {', '.join(POLICIES)}, an array or a function")
    priority = _priority(policy, graph, cluster, generator(seed))
    if cluster.workers > MOST_WORKERS:
        raise ValueError(f"the cluster has {cluster.workers} workers; at most {MOST_WORKERS:,} can be simulated")
    return priority, _RULES.get(policy, 0) if isinstance(policy, str) else 0


def _sources(graph: TaskGraph, priority: np.ndarray | None) -> np.ndarray:
    """Return the tasks that wait for nothing, by their priority (without one, by their number)."""
    sources = np.flatnonzero(graph.indptr[1:] == graph.indptr[:-1]).astype(np.int32)
    if priority is None:
        return sources
    keys = priority[sources]
    if (keys[1:] >= keys[:-1]).all():  # sorted already, as by the policy "list"
        return sources
    return sources[np.argsort(keys, kind="stable")]


def _priority(policy: Policy, graph: TaskGraph, cluster: Cluster, rng: np.random.Generator) -> np.ndarray:
    if isinstance(policy, str):
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
