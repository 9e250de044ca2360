"""`run`: a task graph on a cluster, by a policy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from course.cluster import Cluster
from course.domain import whole
from course.graph import TaskGraph
from course.graph.taskgraph import checked_graph
from course.simulate.dask.policy import Dask
from course.simulate.delay import Delay
from course.simulate.lists import POLICIES, Policy, simulate_list
from course.simulate.static import Static
from course.simulate.static_policies import STATIC_POLICIES
from course.simulate.stealing import Stealing
from course.trace import Trace


class Simulator(Protocol):
    """What schedules in another way than by a list: it simulates the whole run itself."""

    def simulate(self, graph: TaskGraph, cluster: Cluster, seed: int) -> Trace:
        """Return the trace of a run."""
        ...


SIMULATORS: dict[str, Callable[[], Simulator]] = {
    "dask": Dask,
    "delay": Delay,
    "stealing": Stealing,
    **{name: partial(Static, name) for name in STATIC_POLICIES if name not in POLICIES},
}
"""The named policies that are no list scheduling: each name makes such a simulator with its default settings."""


def run(graph: TaskGraph, cluster: Cluster | int, policy: Policy | Simulator = "list", seed: int = 0) -> Trace:
    """Simulate a run of a task graph on a cluster; return its `Trace`.

    Whenever a thread is idle and a task is ready, the ready task of the smallest priority value starts: no thread stays
    idle on purpose (list scheduling, Graham 1966).

    Parameters
    ----------
    graph : TaskGraph
        The tasks.
    cluster : Cluster or int
        The machines; a number means so many workers of one thread, with a network and a scheduler that cost nothing.
    policy : str, array of shape (n,), callable, or object
        A name of `POLICIES` (list scheduling by that order) or of `SIMULATORS` (schedulers of another kind); or the
        priority of each task (smallest first; the smaller number first among equals); or a function
        ``(graph, cluster, rng) -> priorities``; or an object with a method ``simulate(graph, cluster, seed) -> Trace``,
        as the classes behind `SIMULATORS` have.
    seed : int
        Seed of what is random (the policies "random" and "stealing", or yours; the stragglers).

    Returns
    -------
    Trace
        With rows of kind compute, transfer (where the network costs anything) and overhead (where the scheduler does).

    Raises
    ------
    ValueError
        Unknown policy; priorities of the wrong shape or NaN; a run of more than 1e300 s, or with more than 10⁷ workers;
        failures with a policy that cannot simulate them; all workers gone, and tasks left.

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
    the graph lists them, each taking size / bandwidth, and are there ``latency`` later. With ``links="pair"``, what
    comes from each worker has a link of its own. The backbone, which all links
    share, brings them in the order in which their tasks were handed out, each taking size / backbone; a link is busy
    until it has. The sender is never the bottleneck. What one task fetched serves the next task on that worker, unless
    the graph gives each edge its own size (then every successor reads a different part). The thread waits while the
    input of its task comes in.

    *Scheduler.* It hands out one task at a time, which takes ``scheduler_overhead`` each. A task becomes ready
    ``release_delay`` after the last of its predecessors ended; its worker is idle at once.

    *Stragglers.* Which runs of tasks take ``factor`` times as long is fixed by ``seed``: the same tasks under every
    policy. Priorities and plans are made from the durations of the graph, which knows nothing of stragglers; so is
    ``trace.graph``.

    *Failures*, by list scheduling; other policies refuse them. The scheduler knows of a failure at once. What runs on
    the worker is lost (its row ends there), and so are results that no other worker has; what others had fetched,
    whole, is left to them, and the one of the lowest number then counts as its maker. Tasks that wait for a transfer
    from there are handed out anew; the time on links that it was to take stays booked. A lost result is computed again,
    with all that this takes (lineage), if a task that must still run reads it; final results are needed until the run
    ends, as in Dask, which collects them then. A worker comes back with all its threads and nothing else. At one
    instant tasks end first, then workers come back, then others fail, then tasks are handed out.

    *Against Estee*, another simulator of workflows: with the same order and places, its simple network and one download
    at a time, every task starts at the same time as here. It differs where several things happen at one instant (it
    hands out tasks after each of them, `run` after all), and by default it lets four downloads a worker have the full
    bandwidth each, where here they share the receiver's link. Its threads do not wait for inputs, but its queue
    schedulers give them nothing else to do meanwhile.

    Taught in chapter 05; stragglers and failures in chapter 16.

    References
    ----------
    Graham: Bounds for certain multiprocessing anomalies. Bell System Technical Journal 45(9), 1966.
    Beránek, Böhm, Cima: Analysis of workflow schedulers in simulated distributed environments. The Journal of
    Supercomputing 78, 2022 (Estee).
    Zaharia et al.: Resilient distributed datasets: a fault-tolerant abstraction for in-memory cluster computing. NSDI
    2012 (lineage).
    """
    graph = checked_graph(graph)
    cluster = cluster if isinstance(cluster, Cluster) else Cluster(cluster)
    seed = whole("seed", seed)
    if isinstance(policy, str) and policy in SIMULATORS:
        policy = SIMULATORS[policy]()
    if isinstance(policy, str) and policy not in POLICIES:
        names = ", ".join([*POLICIES, *SIMULATORS])
        raise ValueError(f"policy is {policy!r}; it must be one of {names}, an array or a function")
    if hasattr(policy, "simulate"):
        return policy.simulate(graph, cluster, seed)
    return simulate_list(graph, cluster, policy, seed)
