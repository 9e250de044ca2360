"""`Delay`: a task waits a little for a worker that has its input. `locality`: how many tasks ran at their input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.cluster import Cluster
from course.domain import scalar
from course.graph import TaskGraph
from course.simulate.failures import refuse_failures
from course.simulate.inputs import costs_anything, inputs_of, table
from course.simulate.lists import POLICIES, Policy, order_of
from course.simulate.places import places_of
from course.simulate.rows import ROW, trace_of
from course.simulate.stragglers import real_durations
from course.trace import COMPUTE, Trace


@dataclass(frozen=True, eq=False)
class Delay:
    """The policy "delay": list scheduling in which a task waits for a worker that made some of its input.

    Parameters
    ----------
    wait : float
        Seconds, from when it is ready, that a task waits before it goes elsewhere; 0: list scheduling; ``inf``: every
        task runs where some of its input is.
    policy : str, array of shape (n,), or callable
        The order of the tasks, as list scheduling takes it in `course.simulate.run`.

    Raises
    ------
    ValueError
        Naming the argument, its value and what is allowed.

    Examples
    --------
    Four workers hold a file each. Of the first, 30 tasks of 1 s read a part each, of the others 10; moving a part takes
    2 s. Who never waits moves too much; who waits for ever leaves it all to the first worker.

    >>> from course.graph import TaskGraph
    >>> from course.simulate import run
    >>> file = [0] * 30 + [1] * 10 + [2] * 10 + [3] * 10
    >>> graph = TaskGraph([0] * 4 + [1] * 60, 1, [[]] * 4 + [[f] for f in file], edge_size=[1] * 60)
    >>> for wait in (0, 10, float("inf")):
    ...     trace = run(graph, Cluster(4, bandwidth=0.5), Delay(wait))
    ...     print(f"wait {wait} s: {trace.makespan:g} s, {locality(trace):.0%} at their input")
    wait 0 s: 33 s, 45% at their input
    wait 10 s: 22 s, 83% at their input
    wait inf s: 30 s, 100% at their input

    Notes
    -----
    When a thread is idle, the ready tasks are looked at in their order. A task goes to the idle worker that made the
    most bytes of its input. If only busy workers made any, it is passed over until one of them has a free thread, or
    until it has waited long enough: then, as in list scheduling, it goes to the fastest idle worker. A task without
    input, or with inputs of no bytes, goes there at once. Where moving data takes no time, nobody waits. All else is as
    in the notes of `course.simulate.run`; failures are refused.

    In Hadoop and Spark it is a whole job that is passed over and whose wait counts (Spark: ``spark.locality.wait``);
    here it is each task. Taught in chapter 06.

    References
    ----------
    Zaharia et al.: Delay scheduling: a simple technique for achieving locality and fairness in cluster scheduling.
    EuroSys 2010, section 3.
    """

    wait: float = 1.0
    policy: Policy = "list"

    def __post_init__(self) -> None:
        if np.ndim(self.wait) or self.wait != np.inf:
            object.__setattr__(self, "wait", scalar("wait", self.wait, low=0))
        if isinstance(self.policy, str) and self.policy not in POLICIES:
            raise ValueError(
                f"policy is {self.policy!r}; it must be one of {', '.join(POLICIES)}, an array or a function"
            )

    def simulate(self, graph: TaskGraph, cluster: Cluster, seed: int) -> Trace:
        """Return the trace of a run."""
        from course.simulate import delay_kernel as kernel

        refuse_failures(cluster, "delay")
        priority, rule = order_of(self.policy, graph, cluster, seed)
        n, edges = len(graph), len(graph.indices)
        inputs, places = inputs_of(graph, cluster), places_of(cluster, n)
        network = costs_anything(inputs)
        rows = np.empty(2 * n + edges * network, ROW)
        count = kernel.simulate(
            kernel.Tasks(
                real_durations(graph, cluster, seed),
                graph.output_size,
                *graph.successor_arrays,
                owner=np.repeat(np.arange(n), np.diff(graph.indptr)),
                priority=priority,
                rule=rule,
                missing=np.diff(graph.indptr),
                where=np.full(n, -1),
                thread=np.full(n, -1),
                key=np.zeros(n),
                since=np.zeros(n),
                started=np.zeros(n, bool),
                parked=np.zeros(n, bool),
                in_ready=np.zeros(n, bool),
                ready_key=np.empty(n + 1),
                ready=np.empty(n + 1, np.int64),
                event_key=np.empty(3 * n + 1),
                events=np.empty(3 * n + 1, np.int64),
                root=np.full(cluster.workers, -1),
                left=np.full(edges, -1),
                right=np.full(edges, -1),
                count=np.zeros(kernel.COUNTS, np.int64),
            ),
            places,
            inputs,
            network,
            *table(edges if network else 0),
            float(self.wait),
            float(cluster.scheduler_overhead),
            float(cluster.release_delay),
            rows,
        )
        return trace_of(rows[:count], graph, cluster, transfers=network)


def locality(trace: Trace) -> float:
    """Return the share of the tasks with input that ran on a worker that made some of it; 1 where none has input.

    Parameters
    ----------
    trace : Trace
        A run, simulated or measured.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If ``trace`` is not a `Trace`.

    Examples
    --------
    >>> from course.graph import fork_join
    >>> from course.simulate import run
    >>> locality(run(fork_join(4, output_size=1.0), 2))
    0.6

    Notes
    -----
    Input of no bytes is no input. Of a task that ran more than once the last run counts. Taught in chapter 06. Source:
    as `Delay`.
    """
    if not isinstance(trace, Trace):
        raise ValueError(f"trace is {trace!r:.80}; it must be a Trace, such as course.simulate.run returns")
    graph = trace.graph
    computes = np.flatnonzero(trace.kind == COMPUTE)
    computes = computes[np.argsort(trace.stop[computes], kind="stable")]
    worker = np.full(len(graph), -1)
    worker[trace.task[computes]] = trace.worker[computes]
    task = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
    reads = (graph.sizes > 0) & (worker[task] >= 0)
    has_input, local = np.zeros(len(graph), bool), np.zeros(len(graph), bool)
    has_input[task[reads]] = True
    local[task[reads & (worker[task] == worker[graph.indices])]] = True
    return float(local.sum() / has_input.sum()) if has_input.any() else 1.0
