"""`jobs`: jobs that need several nodes at once, on a cluster with a queue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, one_of, scalar, whole
from course.simulate.arguments import each, in_order

MOST_JOBS = {"fcfs": 10**6, "easy": 10**5, "conservative": 2000}
"""The policies, and how many jobs each can plan within a quarter of a minute even if all wait at once. First come first
served; the first job of the queue gets a promise and others may overtake it if they keep that (EASY); all get one."""


@dataclass(frozen=True, eq=False)
class Jobs:
    """What happened to each job, in the order of their arrivals; all arrays have shape (n,), times in seconds.

    Attributes
    ----------
    arrival, runtime : array
        When each came, and how long it ran.
    width : array of int
        How many nodes it held.
    start, stop : array
        When it ran.
    promised : array
        The latest start that it was promised: at its arrival ("conservative"), or when it first stood at the head of
        the queue and could not start ("easy"); NaN where nothing was promised.
    nodes : int
        How many nodes the cluster has.
    """

    arrival: np.ndarray
    width: np.ndarray
    runtime: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    promised: np.ndarray
    nodes: int

    def __len__(self) -> int:
        return len(self.arrival)

    def __repr__(self) -> str:
        return (
            f"Jobs({len(self)} jobs, {self.nodes} nodes, utilization {self.utilization:.3f}, "
            f"mean wait {self.wait.mean():.4g} s)"
        )

    @cached_property
    def wait(self) -> np.ndarray:
        """Seconds from arrival to start."""
        return self.start - self.arrival

    @cached_property
    def response(self) -> np.ndarray:
        """Seconds from arrival to stop."""
        return self.stop - self.arrival

    def slowdown(self, least: float = 10.0) -> np.ndarray:
        """Return the bounded slowdown: response / runtime, of which less than ``least`` seconds count as that."""
        least = scalar("least", least, above=0)
        return np.maximum(self.response / np.maximum(self.runtime, least), 1.0)

    @property
    def makespan(self) -> float:
        """Seconds from time 0 until the last job stopped."""
        return float(self.stop.max())

    @property
    def utilization(self) -> float:
        """The share of the nodes' time, from the first arrival to the last stop, in which they ran jobs."""
        whole_time = self.nodes * (self.makespan - self.arrival[0])
        return float((self.width * self.runtime).sum() / whole_time) if whole_time else 0.0

    def busy_at(self, instants: ArrayLike) -> np.ndarray:
        """Return how many nodes run jobs at each of the given times (starts count, stops do not)."""
        instants = number("instants", instants)
        changes = np.concatenate([self.start, self.stop])
        by = np.concatenate([self.width, -self.width])
        order = np.argsort(changes, kind="stable")
        busy = np.concatenate([[0], np.cumsum(by[order])])
        return busy[np.searchsorted(changes[order], instants, side="right")]


def jobs(
    arrival: ArrayLike,
    width: ArrayLike,
    runtime: ArrayLike,
    estimate: ArrayLike | None = None,
    *,
    nodes: int,
    policy: str = "fcfs",
) -> Jobs:
    """Simulate a cluster on which each job holds a number of nodes, all at once, from its start to its stop.

    Parameters
    ----------
    arrival : array, shape (n,)
        When each job is submitted [s], in ascending order.
    width : int or array of shape (n,)
        How many nodes each needs.
    runtime : float or array of shape (n,)
        How long each runs [s].
    estimate : float or array of shape (n,), optional
        How long its user says it runs [s], at least its runtime (a real cluster stops it then); by default exact. The
        policies know this, not the runtime.
    nodes : int
        How many nodes there are.
    policy : str
        "fcfs", "easy" or "conservative".

    Returns
    -------
    Jobs

    Raises
    ------
    ValueError
        No job, or more than the policy can plan (see `MOST_JOBS`); arrays of different lengths; arrivals that are not
        in order; a job that is wider than the cluster; an estimate below the runtime.

    Examples
    --------
    Of 4 nodes, job 0 holds 3. Job 1 needs all and must wait; job 2 is small and short, and fits into the hole.

    >>> for policy in ("fcfs", "easy"):
    ...     print(policy, jobs([0, 1, 2], [3, 4, 1], [10, 5, 6], nodes=4, policy=policy).start)
    fcfs [ 0. 10. 15.]
    easy [ 0. 10.  2.]

    Notes
    -----
    *fcfs*: no job starts before one that came earlier.

    *easy*: when the first of the queue does not fit, it is promised the time at which, by the estimates, enough nodes
    will be free. Another job, in order of arrival, may start at once if it fits and either should end by then or needs
    only nodes that the first one will leave over.

    *conservative*: every job is promised, when it comes, the first time at which there is room for it beside all
    earlier promises. When a job ends before its estimate, all who wait look, in order of arrival, for an earlier start.

    As no job runs longer than its estimate, no promise is broken. What Kubernetes calls gang scheduling
    holds all nodes of a job in the same way (chapter 24). Taught in chapter 06.

    References
    ----------
    Lifka: The ANL/IBM SP scheduling system. Job Scheduling Strategies for Parallel Processing (JSSPP) 1995.
    Mu'alem, Feitelson: Utilization, predictability, workloads, and user runtime estimates in scheduling the IBM SP2
    with backfilling. IEEE Transactions on Parallel and Distributed Systems 12(6), 2001.
    """
    from course.simulate import job_kernels as kernels

    came = in_order("arrival", arrival)
    n = len(came)
    one_of("policy", policy, MOST_JOBS)
    if not 0 < n <= MOST_JOBS[policy]:
        raise ValueError(
            f"there are {n} jobs; there must be at least 1, and for {policy!r} at most {MOST_JOBS[policy]}"
        )
    nodes = whole("nodes", nodes, low=1, high=10**9)
    wide = each("width", width, n, low=1, whole=True)
    if (wide > nodes).any():
        raise ValueError(f"width is {wide.max():g}; it must be at most the number of nodes, {nodes}")
    wide = wide.astype(np.int64)
    ran = each("runtime", runtime, n, low=0)
    said = ran.copy() if estimate is None else each("estimate", estimate, n, low=0)
    if (said < ran).any():
        job = int(np.argmax(said < ran))
        raise ValueError(f"estimate[{job}] is {said[job]:g}; it must be at least the runtime, {ran[job]:g}")
    with np.errstate(over="ignore"):
        horizon = number("the last arrival plus all estimates", came[-1] + said.sum())
    # A plan holds room for a job only if it ends after it starts, as far as floats can tell.
    said = np.maximum(said, np.spacing(horizon))
    if policy == "conservative":
        start, promised = kernels.conservative(came, wide, ran, said, nodes)
    else:
        start, promised = kernels.in_order(came, wide, ran, said, nodes, policy == "easy")
    return Jobs(came, wide, ran, start, start + ran, promised, nodes)
