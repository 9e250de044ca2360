"""The static policies: what each one ranks tasks by, and how it chooses a machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from course.cluster import Cluster
from course.domain import number
from course.graph import TaskGraph
from course.graph.taskgraph import checked_graph

NONE = np.empty((0, 0))


class Problem:
    """What is to be scheduled: the tasks, their seconds on each machine, and the seconds of each edge.

    Machines are the threads of a cluster or the columns of a cost matrix. Those of one worker (``group``) exchange data
    for free. Machines of equal costs share a column: machine p takes ``costs[task, column[p]]`` seconds.
    """

    def __init__(self, graph: TaskGraph, costs: ArrayLike | Cluster, communication: ArrayLike | None = None) -> None:
        self.graph = graph = checked_graph(graph)
        n = len(graph)
        self.cluster = costs if isinstance(costs, Cluster) else None
        if self.cluster is not None:
            threads = self.cluster.threads_per_worker
            speeds, of_worker = np.unique(np.broadcast_to(self.cluster.speed, len(threads)), return_inverse=True)
            self.group = np.repeat(np.arange(len(threads)), threads)
            self.column = np.repeat(of_worker, threads).astype(np.int64)
            with np.errstate(over="ignore"):  # is refused below
                self.costs = graph.duration[:, None] / speeds
        else:
            self.costs = _matrix(costs, n)
            self.group = self.column = np.arange(self.costs.shape[1])
        self.shared = communication is None  # whether all successors read the same data in the same time
        self.size = np.array(graph.sizes)
        self.latency, self.bandwidth = np.zeros((1, 1)), np.ones((1, 1))
        if communication is not None:
            self.size = _per_edge(communication, len(graph.indices))
        elif self.cluster is not None:
            self.latency = _pairs(self.cluster.latency, self.cluster.workers)
            self.bandwidth = _pairs(self.cluster.bandwidth, self.cluster.workers)
        self.machines = len(self.column)
        self.least, most = (self.costs.min(), self.costs.max()) if n else (0.0, 0.0)
        if not 0.0 <= self.least <= most < np.inf and self.cluster is None:  # false for NaN, too
            number("costs", self.costs, low=0)
        slowest = float(self.latency.max()) + float(self.size.max(initial=0.0)) * (1.0 / float(self.bandwidth.min()))
        if not math.isfinite(float(most) * max(n, 1) * self.machines + slowest * max(n, 1)):
            raise ValueError("costs or communication are so large that their sums are infinite; use another unit")

    def edge_times(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the seconds of each edge between these groups, shape (edges,); not 0 within a group."""
        return self._between(self.latency, source, target) + self.size / self._between(self.bandwidth, source, target)

    def data_ready(self, task: int, placement: np.ndarray, finish: np.ndarray) -> np.ndarray:
        """Return when all inputs of a task are there, for each machine; shape (machines,)."""
        ready = np.zeros(self.machines)
        for e in range(self.graph.indptr[task], self.graph.indptr[task + 1]):
            before = self.graph.indices[e]
            source = self.group[placement[before]]
            delay = self._between(self.latency, source, self.group)
            delay = delay + self.size[e] / self._between(self.bandwidth, source, self.group)
            ready = np.maximum(ready, finish[before] + np.where(self.group == source, 0.0, delay))
        return ready

    @staticmethod
    def _between(matrix: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        return matrix[np.minimum(source, matrix.shape[0] - 1), np.minimum(target, matrix.shape[1] - 1)]

    @cached_property
    def mean(self) -> np.ndarray:
        """The seconds of each task, mean over the machines; shape (n,)."""
        if self.costs.shape[1] == self.machines:
            return self.costs.mean(axis=1)
        return self.costs @ np.bincount(self.column, minlength=self.costs.shape[1]) / self.machines

    @cached_property
    def comm(self) -> np.ndarray:
        """The seconds of each edge, mean over all pairs of different workers; 0 where there is only one worker."""
        workers = int(self.group[-1]) + 1
        if workers == 1:
            return np.zeros(len(self.size))
        return _mean_of_pairs(self.latency) + self.size * _mean_of_pairs(1.0 / self.bandwidth)

    def b_level(self, duration: np.ndarray, comm: np.ndarray | None = None) -> np.ndarray:
        """Return the longest way from the start of each task to the end of the graph, of these durations."""
        from course.graph.levels import b_level

        graph = self.graph
        comm = np.zeros(len(self.size)) if comm is None else comm
        return b_level(graph.topological_order, _frozen(duration), graph.indptr, graph.indices, comm)

    @cached_property
    def upward(self) -> np.ndarray:
        """The upward rank: the longest way from the start of each task to the end, of mean costs and edges."""
        return self.b_level(self.mean, self.comm)

    @cached_property
    def downward(self) -> np.ndarray:
        """The downward rank: the longest way from the start of the graph to each task, of mean costs and edges."""
        from course.graph.levels import t_level

        graph = self.graph
        return t_level(graph.topological_order, _frozen(self.mean), graph.indptr, graph.indices, self.comm)

    @cached_property
    def median(self) -> np.ndarray:
        """The seconds of each task, median over the machines; shape (n,)."""
        if self.costs.shape[1] == self.machines:
            return np.median(self.costs, axis=1)
        # Each column counts as often as it has machines; the two in the middle are one where their number is odd.
        by_cost = np.argsort(self.costs, axis=1)
        upto = np.cumsum(np.bincount(self.column)[by_cost], axis=1)
        costs = np.take_along_axis(self.costs, by_cost, axis=1)
        middle = [(upto > k).argmax(axis=1)[:, None] for k in ((self.machines - 1) // 2, self.machines // 2)]
        return sum(np.take_along_axis(costs, k, axis=1)[:, 0] for k in middle) / 2


@dataclass
class Plan:
    """How a policy goes about it.

    With ``priority`` the order of the tasks is known before the first one is placed: of those whose predecessors are
    placed the smallest priority, then the smaller number. Without it, task and machine are chosen together.
    """

    ranks: dict[str, np.ndarray] = field(default_factory=dict)
    priority: np.ndarray | None = None
    score: str = "finish"  # what a machine is chosen by: "finish", "start", or "idle" (when it is free)
    insertion: bool = False  # whether a task may go into an idle gap between two others
    extra: np.ndarray = field(default_factory=lambda: NONE)  # (n, columns), is added to the score
    fixed: np.ndarray | None = None  # the machine that a task must run on; −1: any
    choose: str = "least"  # without a priority: the ready task of the "least" or the "most" score, or by "sufferage"
    term: np.ndarray | None = None  # is added to the score when tasks are compared
    tie: np.ndarray | None = None  # of equal tasks the smallest of this first


def _heft(problem: Problem, rng: np.random.Generator) -> Plan:
    return Plan({"upward": problem.upward}, -problem.upward, insertion=True)


def _cpop(problem: Problem, rng: np.random.Generator) -> Plan:
    path = _critical_path(problem)
    whole = problem.costs[path].sum(axis=0)[problem.column]
    fixed = np.full(len(problem.graph), -1)
    fixed[path] = int(whole.argmin())
    priority = problem.upward + problem.downward
    ranks = {"upward": problem.upward, "downward": problem.downward, "priority": priority}
    return Plan(ranks, -priority, insertion=True, fixed=fixed)


def _peft(problem: Problem, rng: np.random.Generator) -> Plan:
    from course.simulate.static_kernels import optimistic_costs

    graph = problem.graph
    table = optimistic_costs(graph.topological_order, graph.indptr, graph.indices, problem.comm, problem.costs)
    mean = table[:, problem.column].mean(axis=1)
    return Plan({"optimistic": table[:, problem.column], "mean": mean}, -mean, insertion=True, extra=table)


def _mcp(problem: Problem, rng: np.random.Generator) -> Plan:
    alap = problem.upward.max(initial=0.0) - problem.upward
    graph = problem.graph
    _, same, times = np.unique(alap, return_inverse=True, return_counts=True)
    tied = np.flatnonzero(times[same] > 1).tolist()
    # Of equal ones the list of the successors' latest starts, from the last of them on; a shorter list first.
    lists = {task: np.sort(alap[graph.successors(task)])[::-1].tolist() for task in tied}
    place = {task: k for k, task in enumerate(sorted(tied, key=lambda task: (lists[task], task)))}
    second = np.array([place.get(task, 0) for task in range(len(graph))])
    priority = np.empty(len(graph))
    priority[np.lexsort((second, alap))] = np.arange(len(graph))
    return Plan({"alap": alap}, priority, score="start", insertion=True)


def _etf(problem: Problem, rng: np.random.Generator) -> Plan:
    level = problem.b_level(problem.mean)
    return Plan({"static_level": level}, score="start", tie=-level)


def _dls(problem: Problem, rng: np.random.Generator) -> Plan:
    level = problem.b_level(problem.median)
    # The dynamic level is the static level − the start + (median cost − cost here); the largest is next.
    return Plan({"static_level": level}, score="start", extra=problem.costs - problem.median[:, None], term=-level)


def _by_number(problem: Problem) -> np.ndarray:
    return np.arange(len(problem.graph), dtype=float)


def _met(problem: Problem, rng: np.random.Generator) -> Plan:
    first = np.full(problem.costs.shape[1], problem.machines)
    np.minimum.at(first, problem.column, np.arange(problem.machines))  # the first machine of each column
    best = problem.costs.min(axis=1, keepdims=True) == problem.costs
    fixed = np.where(best, first, problem.machines).min(axis=1)
    return Plan({}, _by_number(problem), fixed=fixed)


def _fastest(problem: Problem, rng: np.random.Generator) -> Plan:
    best = int(problem.costs.sum(axis=0)[problem.column].argmin())
    return Plan({}, _by_number(problem), fixed=np.full(len(problem.graph), best))


def _random(problem: Problem, rng: np.random.Generator) -> Plan:
    n = len(problem.graph)
    priority = rng.permutation(n).astype(float)
    return Plan({"priority": priority}, priority, fixed=rng.integers(problem.machines, size=n))


STATIC_POLICIES: dict[str, Callable[[Problem, np.random.Generator], Plan]] = {
    "heft": _heft,
    "cpop": _cpop,
    "peft": _peft,
    "mcp": _mcp,
    "etf": _etf,
    "dls": _dls,
    "minmin": lambda problem, rng: Plan(score="start", extra=problem.costs),
    "maxmin": lambda problem, rng: Plan(score="start", extra=problem.costs, choose="most"),
    "sufferage": lambda problem, rng: Plan(score="start", extra=problem.costs, choose="sufferage"),
    "mct": lambda problem, rng: Plan({}, _by_number(problem)),
    "met": _met,
    "olb": lambda problem, rng: Plan({}, _by_number(problem), score="idle"),
    "lpt": lambda problem, rng: Plan({"mean": problem.mean}, -problem.mean),
    "fastest": _fastest,
    "random": _random,
}
"""The named static policies: each says how it ranks the tasks and chooses their machines.

"Ready" means: all predecessors are placed. Where nothing else is said the task comes after all others of its machine,
and of equals the smaller number comes first, tasks as well as machines.

=========  ==========================================================================================
heft       largest upward rank; earliest finish, also in gaps (Topcuoglu, Hariri, Wu 2002)
cpop       largest upward + downward rank; the critical path on the one machine that is fastest for it, all else by the
           earliest finish, also in gaps (the same paper)
peft       largest mean of the optimistic cost table; least finish + table, also in gaps (Arabnejad, Barbosa 2014)
mcp        smallest latest start (ALAP), of equals the smallest list of its successors' latest starts, last one first;
           earliest start, also in gaps (Wu, Gajski 1990; the rule for equals as in Kwok, Ahmad 1999)
etf        task and machine of the earliest start; of equals the largest static level (Hwang et al. 1989)
dls        task and machine of the largest dynamic level (Sih, Lee 1993)
minmin     of all ready tasks' earliest finishes the earliest (Ibarra, Kim 1977; Maheswaran et al. 1999)
maxmin     of all ready tasks' earliest finishes the latest (the same)
sufferage  the ready task that would lose most without its best machine; earliest finish (Maheswaran et al. 1999, but
           one task after the other, where theirs gives each machine at most one in a pass over all)
mct        smallest number; earliest finish
met        smallest number; the machine of the least cost, however busy (Braun et al. 2001)
olb        smallest number; the machine that is idle first, whatever the cost (Braun et al. 2001)
lpt        largest mean cost of the ready tasks; earliest finish (Graham 1969)
fastest    all on the one machine that is fastest for the whole
random     a random order and random machines, which ``seed`` fixes
=========  ==========================================================================================
"""


def plan_of(policy: Any, problem: Problem, rng: np.random.Generator) -> Plan:
    """Return the plan of a named policy, or of given priorities (smallest first; earliest finish, also in gaps)."""
    if isinstance(policy, str):
        if policy not in STATIC_POLICIES:
            names = ", ".join(STATIC_POLICIES)
            raise ValueError(f"policy is {policy!r}; it must be one of {names}, or an array of priorities")
        return STATIC_POLICIES[policy](problem, rng)
    try:
        priority = np.array(policy, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"policy is {policy!r:.80}; it must be a name or a number for each task") from None
    if priority.shape != (len(problem.graph),) or np.isnan(priority).any():
        raise ValueError(
            f"policy is an array of shape {priority.shape}; as priorities it must hold a number for each of"
            f" {len(problem.graph)} tasks, and no NaN"
        )
    return Plan({"priority": priority}, priority, insertion=True)


def _critical_path(problem: Problem) -> list[int]:
    """Return a longest path of mean costs and edges, from first to last; of equal ones that of the smaller numbers."""
    graph, upward = problem.graph, problem.upward
    if not len(graph):
        return []
    # The edges again, sorted by the task that they leave.
    by_before = np.argsort(graph.indices, kind="stable")
    indptr, after = graph.successor_arrays
    comm = problem.comm[by_before]
    task = int(upward.argmax())
    path = [task]
    while indptr[task] < indptr[task + 1]:
        edges = slice(indptr[task], indptr[task + 1])
        task = int(after[edges][(comm[edges] + upward[after[edges]]).argmax()])
        path.append(task)
    return path


def _matrix(costs: ArrayLike, n: int) -> np.ndarray:
    """Return a cost matrix that compiled code takes, without a copy where it is one already."""
    try:
        array = np.require(costs, float, ["C", "W"])
    except (TypeError, ValueError):
        raise ValueError(
            f"costs is {costs!r:.80}; it must be a Cluster or numbers of shape (tasks, machines)"
        ) from None
    if array.ndim != 2 or len(array) != n or not array.shape[1]:
        raise ValueError(f"costs has shape {array.shape}; it must be ({n}, machines): a row for each task")
    return array


def _per_edge(communication: ArrayLike, edges: int) -> np.ndarray:
    array = number("communication", communication, low=0)
    if array.shape not in ((), (edges,)):
        raise ValueError(
            f"communication has shape {array.shape}; it must be a number, or one for each of {edges} edges"
        )
    return np.array(np.broadcast_to(array, (edges,)))


def _pairs(value: ArrayLike, workers: int) -> np.ndarray:
    """Return a network parameter as a matrix (from, to) whose sides are 1 where it does not matter."""
    array = np.array(value, dtype=float, order="C")
    return array.reshape({0: (1, 1), 1: (1, workers), 2: (workers, workers)}[array.ndim])


def _mean_of_pairs(matrix: np.ndarray) -> float:
    if matrix.shape[0] > 1:
        matrix = matrix[~np.eye(len(matrix), dtype=bool)]
    return float(matrix.mean())


def _frozen(array: np.ndarray) -> np.ndarray:
    # Graphs pass read-only durations to the compiled levels; numba would compile anew for others.
    array.flags.writeable = False
    return array
