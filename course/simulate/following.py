"""`follow`: a static plan carried out with other costs, or with inputs fetched as Dask fetches them."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from numpy.typing import ArrayLike

from course.cluster import Cluster
from course.domain import one_of
from course.simulate.static import Schedule
from course.simulate.static_policies import Problem
from course.trace import COMPUTE, TRANSFER, Trace

TRANSFERS = ("pushed", "fetched")
"""When data moves: at once when it is made; or, as in Dask, when the task that needs it has all its inputs."""


def follow(plan: Schedule, costs: ArrayLike | None = None, transfers: str = "pushed") -> Trace:
    """Carry out a plan: every task on its planned machine, with the costs that really occur.

    Parameters
    ----------
    plan : Schedule
        From `course.simulate.schedule` or `optimal`, for a matrix of costs.
    costs : array of shape (n, machines), optional
        What the tasks really take [s]; without it what was planned.
    transfers : str
        "pushed": data is sent when it is made, each edge by itself, and each machine keeps to the planned order, also
        where it could begin a later task meanwhile. "fetched": as Dask does it. A machine asks for the inputs of a task
        when the last of them is made, in one message for all that one other machine has, and for no more from there
        until that message has come; of the tasks whose inputs are there it takes the one that was placed first.

    Returns
    -------
    Trace
        Simulated; with a row for each task and each message.

    Raises
    ------
    ValueError
        Costs of the wrong shape; a plan for a `Cluster`; transfers of another name.

    Examples
    --------
    With nothing changed the run is the plan. Fetched inputs start late: the transfer of 18 s waits for the other input.

    >>> from course.graph import TaskGraph
    >>> from course.simulate.static import schedule
    >>> graph = TaskGraph.from_edges([1, 20, 1], [(0, 2, 18), (1, 2, 0)])
    >>> plan = schedule(graph, [[1, 9], [99, 20], [99, 1]], "heft")
    >>> plan.makespan, follow(plan).makespan, follow(plan, transfers="fetched").makespan
    (21.0, 21.0, 39.0)

    Notes
    -----
    A value is fetched once by each machine; its size is that of the edge. Messages do not hinder each other. Dask has
    one limit more, 50 MB a message (``distributed.worker.transfer.message-bytes-limit``), which is left out. Plain
    Python: for up to some thousands of tasks. Taught in chapter 13.

    References
    ----------
    The rule of "fetched" is that of ``distributed/worker_state_machine.py`` and ``distributed/scheduler.py`` of Dask
    2026.8, read and measured in chapter 13.
    """
    one_of("transfers", transfers, TRANSFERS)
    problem = plan.problem
    if problem.cluster is not None:
        raise ValueError("the plan is for a Cluster; give schedule a matrix of costs, or use `Static` for a cluster")
    if costs is not None:
        problem = Problem(problem.graph, np.asarray(costs, dtype=float), problem.size)
        if problem.machines != plan.problem.machines:
            raise ValueError(f"costs has {problem.machines} machines; the plan has {plan.problem.machines}")
    run = _Pushed(plan, problem) if transfers == "pushed" else _Fetched(plan, problem)
    return run.trace()


class _Pushed:
    """Strict order on each machine; every edge travels when its task has ended."""

    def __init__(self, plan: Schedule, problem: Problem) -> None:
        n = len(problem.graph)
        self.problem, self.where = problem, plan.placement
        self.start, self.stop = np.zeros(n), np.zeros(n)
        self.messages: list[tuple[int, int, int, float, float, float]] = []  # task, target, source, start, stop, size
        free = np.zeros(problem.machines)
        graph = problem.graph
        for task in plan.sequence().tolist():
            machine = self.where[task]
            begin = free[machine]
            for e in range(graph.indptr[task], graph.indptr[task + 1]):
                before = graph.indices[e]
                source, seconds = self.where[before], problem.size[e]
                if source != machine:
                    if seconds > 0:
                        row = (task, machine, source, self.stop[before], self.stop[before] + seconds, seconds)
                        self.messages.append(row)
                    begin = max(begin, self.stop[before] + seconds)
                else:
                    begin = max(begin, self.stop[before])
            self.start[task] = begin
            self.stop[task] = free[machine] = begin + problem.costs[task, problem.column[machine]]

    def trace(self) -> Trace:
        """Return the run as a trace."""
        n = len(self.where)
        tasks, none = np.arange(n, dtype=np.int32), np.full(n, -1, np.int32)
        parts = [(tasks, self.where, np.zeros(n, int), np.full(n, COMPUTE), self.start, self.stop, np.zeros(n), none)]
        if self.messages:
            task, target, source, begin, end, size = map(np.array, zip(*self.messages, strict=True))
            lane, kind = np.full(len(task), -1), np.full(len(task), TRANSFER)
            parts.append((task, target, lane, kind, begin, end, size, source))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        graph, machines = self.problem.graph, self.problem.machines
        return Trace(*columns, graph=graph, cluster=Cluster(machines), origin="simulated")


class _Fetched(_Pushed):
    """A machine asks for what a task needs when all of it is made."""

    def __init__(self, plan: Schedule, problem: Problem) -> None:
        graph, n = problem.graph, len(problem.graph)
        self.problem, self.where, self.messages = problem, plan.placement, []
        self.start, self.stop = np.zeros(n), np.zeros(n)
        self.rank = np.empty(n, int)
        self.rank[plan.order] = np.arange(n)
        self.unmade = np.diff(graph.indptr).astype(int)
        self.absent: list[set[int]] = [set() for _ in range(n)]  # inputs that are made, but not here
        self.held: list[set[int]] = [set() for _ in range(problem.machines)]
        self.wanted: dict[tuple[int, int], dict[int, float]] = {}  # (target, source): seconds of each value
        self.flying: dict[tuple[int, int], dict[int, float]] = {}
        self.able: list[list[tuple[int, int]]] = [[] for _ in range(problem.machines)]  # tasks with all inputs here
        self.idle = [True] * problem.machines
        self.events: list[tuple[float, int, tuple[int, ...]]] = []  # when, number, a task or (target, source)
        self.count = 0
        for task in np.flatnonzero(self.unmade == 0).tolist():
            self._all_made(task)
        self._decide(0.0)
        while self.events:
            now = self.events[0][0]
            while self.events and self.events[0][0] == now:
                *_, about = heappop(self.events)
                if len(about) == 1:
                    self._ended(*about)
                else:
                    self._arrived(about)
            self._decide(now)

    def _all_made(self, task: int) -> None:
        graph, machine = self.problem.graph, int(self.where[task])
        for e in range(graph.indptr[task], graph.indptr[task + 1]):
            value = int(graph.indices[e])
            if value not in self.held[machine]:
                self.absent[task].add(value)
                pair = machine, int(self.where[value])
                if value not in self.flying.get(pair, ()):
                    self.wanted.setdefault(pair, {})[value] = float(self.problem.size[e])
        if not self.absent[task]:
            heappush(self.able[machine], (self.rank[task], task))

    def _ended(self, task: int) -> None:
        machine = int(self.where[task])
        self.idle[machine] = True
        self.held[machine].add(task)
        for later in self.problem.graph.successors(task).tolist():
            self.unmade[later] -= 1
            if self.unmade[later] == 0:
                self._all_made(later)

    def _arrived(self, pair: tuple[int, ...]) -> None:
        values = self.flying.pop(pair).keys()
        self.held[pair[0]].update(values)
        for task in np.flatnonzero(self.where == pair[0]).tolist():
            if self.absent[task] & values:
                self.absent[task] -= values
                if not self.absent[task]:
                    heappush(self.able[pair[0]], (self.rank[task], task))

    def _decide(self, now: float) -> None:
        """Send what can be sent, start what can start."""
        for pair in [pair for pair in self.wanted if pair not in self.flying]:
            values = self.flying[pair] = self.wanted.pop(pair)
            seconds = sum(values.values())
            if seconds > 0:
                here = np.flatnonzero(self.where == pair[0]).tolist()
                first = min((t for t in here if self.absent[t] & values.keys()), key=lambda task: self.rank[task])
                self.messages.append((first, *pair, now, now + seconds, seconds))
            self._at(now + seconds, pair)
        for machine in range(self.problem.machines):
            if self.idle[machine] and self.able[machine]:
                task = heappop(self.able[machine])[1]
                self.idle[machine] = False
                self.start[task] = now
                self.stop[task] = now + self.problem.costs[task, self.problem.column[machine]]
                self._at(self.stop[task], (task,))

    def _at(self, time: float, about: tuple[int, ...]) -> None:
        self.count += 1
        heappush(self.events, (time, self.count, about))
