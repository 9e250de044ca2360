"""Static scheduling: who runs what, when, is decided before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from course.cluster import Cluster
from course.domain import generator, one_of
from course.graph import TaskGraph
from course.simulate.failures import refuse_failures
from course.simulate.static_policies import STATIC_POLICIES, Plan, Problem, plan_of
from course.simulate.stragglers import real_durations
from course.trace import COMPUTE, OVERHEAD, TRANSFER, Trace

MOST_TASKS, MOST_MACHINES, MOST_STEPS = 14, 4, 200_000_000
MOST_PRODUCT = 50_000_000_000


@dataclass(frozen=True)
class Step:
    """One decision of a static policy: the task that was next, and what each machine had to offer.

    Attributes
    ----------
    task : int
        The task that was placed.
    ready : tuple of int
        All tasks whose predecessors were placed, this one among them.
    start, finish : array, shape (machines,)
        When the task would start and finish on each machine [s].
    score : array, shape (machines,)
        What the policy compares the machines by: the lowest score wins; infinite where the task must not run.
    machine : int
        The machine that was chosen.
    """

    task: int
    ready: tuple[int, ...]
    start: np.ndarray
    finish: np.ndarray
    score: np.ndarray
    machine: int


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """A static schedule: a machine and a time for each task.

    Attributes
    ----------
    policy : str
        The name of the policy, "given" for an array of priorities, "optimal" for `optimal`.
    placement : array of int, shape (n,)
        The machine of each task.
    start, finish : array, shape (n,)
        When each task starts and finishes [s].
    order : array of int, shape (n,)
        The tasks in the order in which they were placed.
    ranks : dict of str to array
        What the policy ranks the tasks by: ``upward`` (heft, cpop), ``downward`` and ``priority`` (cpop),
        ``optimistic`` (peft: the table, shape (n, machines)) and its ``mean``, ``alap`` (mcp), ``static_level``
        (etf, dls), ``mean`` (lpt), ``priority`` (random and given); empty where there is nothing to rank by.
    problem, plan
        What was scheduled, and the rules of the policy; ``plan`` is None for `optimal`.
    """

    policy: str
    placement: np.ndarray
    start: np.ndarray
    finish: np.ndarray
    order: np.ndarray
    ranks: dict[str, np.ndarray] = field(default_factory=dict)
    problem: Problem = None
    plan: Plan | None = None

    def __repr__(self) -> str:
        return (
            f"Schedule({self.policy}: {len(self.placement)} tasks on {self.problem.machines} machines,"
            f" makespan {self.makespan:.4g} s)"
        )

    @property
    def makespan(self) -> float:
        """Seconds from 0 to the last finish."""
        return float(self.finish.max(initial=0.0))

    def sequence(self) -> np.ndarray:
        """Return the tasks by their start; of equal starts the one that takes no time first, then as placed."""
        turn = np.empty(len(self.order), dtype=int)
        turn[self.order] = np.arange(len(self.order))
        return np.lexsort((turn, self.finish, self.start))

    def steps(self) -> list[Step]:
        """Return the decisions one after the other, as a reader would make them by hand.

        They are made again in plain Python, so take a small graph.

        Raises
        ------
        ValueError
            For `optimal`, which tries all decisions.

        Examples
        --------
        >>> from course.graph import fork_join
        >>> step = schedule(fork_join(2), [[2, 3], [4, 4], [4, 1], [1, 1]]).steps()[0]
        >>> step.task, step.finish, step.machine
        (0, array([2., 3.]), 0)
        """
        if self.plan is None:
            raise ValueError(f"a schedule of policy {self.policy!r} was found by search, not step by step")
        problem, plan = self.problem, self.plan
        graph, column = problem.graph, problem.column
        busy: list[list[tuple[float, float]]] = [[] for _ in range(problem.machines)]
        missing = np.diff(graph.indptr)
        ready = set(np.flatnonzero(missing == 0).tolist())
        steps = []
        for task in self.order.tolist():
            data = problem.data_ready(task, self.placement, self.finish)
            cost = problem.costs[task, column]
            if plan.insertion:
                start = np.array([_first_gap(*of) for of in zip(busy, data.tolist(), cost.tolist(), strict=True)])
            else:
                start = np.maximum(data, [max((end for _, end in row), default=0.0) for row in busy])
            finish = start + cost
            if plan.score == "idle":
                score = np.array([max((end for _, end in row), default=0.0) for row in busy])
            else:
                score = (finish if plan.score == "finish" else start).copy()
            if plan.extra.size:
                score += plan.extra[task, column]
            if plan.fixed is not None and plan.fixed[task] >= 0:
                score[np.arange(problem.machines) != plan.fixed[task]] = np.inf
            machine = int(self.placement[task])
            steps.append(Step(task, tuple(sorted(ready)), start, finish, score, machine))
            busy[machine] = sorted([*busy[machine], (float(self.start[task]), float(self.finish[task]))])
            ready.remove(task)
            for later in graph.successors(task).tolist():
                missing[later] -= 1
                if missing[later] == 0:
                    ready.add(later)
        return steps

    def to_trace(self) -> Trace:
        """Return the schedule as a simulated `Trace`: a row for each task, and one for each transfer that takes time.

        Data is sent as soon as it is made. Machines of a cost matrix become workers of one thread.
        """
        return _trace(self.problem, self.placement, self.start, self.finish)


def schedule(
    graph: TaskGraph,
    costs: ArrayLike | Cluster,
    policy: str | ArrayLike = "heft",
    *,
    communication: ArrayLike | None = None,
    seed: int = 0,
) -> Schedule:
    r"""Plan who runs what, when, before anything runs.

    Parameters
    ----------
    graph : TaskGraph
        The tasks.
    costs : array of shape (n, machines), or Cluster
        Seconds of each task on each machine. Or a cluster: its threads are the machines, a task of duration d takes
        d / speed seconds, and ``scheduler_overhead`` and ``release_delay`` do not matter (`course.simulate.run` adds
        them to what happens).
    policy : str or array of shape (n,)
        A name of `STATIC_POLICIES`, which says what each one does; or the priority of each task, smallest first: then
        each goes where it finishes earliest, also in gaps.
    communication : float or array of shape (edges,), optional
        Seconds that each edge needs between different machines (workers, for a cluster), in the order of
        ``graph.indices``. Without it ``graph.sizes`` taken as seconds, as the published examples do; for a cluster,
        latency + size / bandwidth. Within a machine, or between threads of a worker, data moves for free.
    seed : int
        Seed of the policy "random".

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        Unknown policy; costs or communication of the wrong shape, negative, infinite or NaN; a graph that would take
        "maxmin" or "sufferage" minutes (see the notes).

    Examples
    --------
    Two machines; the second is slow for all but task 2.

    >>> from course.graph import fork_join
    >>> plan = schedule(fork_join(2, output_size=1), [[2, 3], [4, 4], [4, 1], [1, 1]])
    >>> plan.makespan, plan.placement.tolist()
    (7.0, [0, 0, 1, 0])
    >>> plan.ranks["upward"].tolist()
    [9.5, 6.0, 4.5, 1.0]

    Notes
    -----
    Ranks use mean costs over the machines, and mean times over the pairs of different workers. The upward rank of a
    task is

    .. math:: r(i) = \bar w_i + \max_{j \in \mathrm{succ}(i)} (\bar c_{ij} + r(j))

    A task is placed after its predecessors, at the earliest time at which its inputs are there and its machine is idle.
    Policies that use gaps may place it between two others. Of equal scores the machine of the smaller number wins, of
    equal ranks the task of the smaller number among those whose predecessors are placed.

    The work is O(e + n log n + n m) for n tasks, e edges, m machines where all pairs of machines communicate alike, and
    O(e m + n log n + n m) where not; to that comes the search for a gap, which is long only where a machine has
    thousands of gaps that are too short. Policies that choose task and machine together cost more. Those that take the
    least score first (etf, dls, minmin) keep the ready tasks sorted: O(n m log n) for m machines of different costs.
    Those that take the most (maxmin, sufferage) compare all w ready tasks each time: O(n w c) for c different machines
    (all m where data takes time); n times the widest level of the graph times c may be at most 5 · 10¹⁰.

    Assumptions: the times are known and do not vary, transfers do not hinder each other, no task is interrupted.
    Taught in chapter 13.

    References
    ----------
    Topcuoglu, Hariri, Wu: Performance-effective and low-complexity task scheduling for heterogeneous computing. IEEE
    Transactions on Parallel and Distributed Systems 13(3), 2002.
    Arabnejad, Barbosa: List scheduling algorithm for heterogeneous systems by an optimistic cost table. IEEE
    Transactions on Parallel and Distributed Systems 25(3), 2014.
    Wu, Gajski: Hypertool: a programming aid for message-passing systems. IEEE Transactions on Parallel and Distributed
    Systems 1(3), 1990.
    Hwang, Chow, Anger, Lee: Scheduling precedence graphs in systems with interprocessor communication times. SIAM
    Journal on Computing 18(2), 1989.
    Sih, Lee: A compile-time scheduling heuristic for interconnection-constrained heterogeneous processor architectures.
    IEEE Transactions on Parallel and Distributed Systems 4(2), 1993.
    Maheswaran, Ali, Siegel, Hensgen, Freund: Dynamic mapping of a class of independent tasks onto heterogeneous
    computing systems. Journal of Parallel and Distributed Computing 59(2), 1999.
    Braun et al.: A comparison of eleven static heuristics for mapping a class of independent tasks onto heterogeneous
    distributed computing systems. Journal of Parallel and Distributed Computing 61(6), 2001.
    Ibarra, Kim: Heuristic algorithms for scheduling independent tasks on nonidentical processors. Journal of the ACM
    24(2), 1977.
    Kwok, Ahmad: Static scheduling algorithms for allocating directed task graphs to multiprocessors. ACM Computing
    Surveys 31(4), 1999.
    Graham: Bounds on multiprocessing timing anomalies. SIAM Journal on Applied Mathematics 17(2), 1969 (lpt).
    """
    from course.simulate.static_kernels import order_by, place, place_least, place_most

    problem = Problem(graph, costs, communication)
    plan = plan_of(policy, problem, generator(seed))
    name = policy if isinstance(policy, str) else "given"
    edges = (problem.size, problem.latency, problem.bandwidth)
    machines = (problem.costs, problem.column, problem.group)
    if plan.priority is not None:
        order = order_by(plan.priority, graph.indptr, *graph.successor_arrays)
        fixed = np.full(len(graph), -1) if plan.fixed is None else plan.fixed
        rule = ("finish", "start", "idle").index(plan.score)
        where, start, finish = place(
            order, graph.indptr, graph.indices, *edges, *machines, fixed, plan.extra, rule, plan.insertion,
            float(problem.least),
        )  # fmt: skip
    else:
        n = len(graph)
        of_graph = (graph.indptr, graph.indices, *graph.successor_arrays)
        if plan.choose == "least":
            # Without costs in the score all machines are alike, and one column is enough.
            column = problem.column if plan.extra.size else np.zeros(problem.machines, np.int64)
            extra = plan.extra if plan.extra.size else np.zeros((n, 1))
            order, where, start, finish = place_least(*of_graph, *edges, *machines, *_in_order(plan, extra, column))
        else:
            _refuse_long(name, problem)
            order, where, start, finish = place_most(
                *of_graph, *edges, *machines, plan.extra, plan.choose == "sufferage"
            )
    return Schedule(name, where, start, finish, order, plan.ranks, problem, plan)


def optimal(graph: TaskGraph, costs: ArrayLike | Cluster, *, communication: ArrayLike | None = None) -> Schedule:
    """Return a schedule of the least makespan, by branch and bound; for small graphs only.

    Parameters
    ----------
    graph, costs, communication
        As for `schedule`; at most 14 tasks on 4 machines.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        Where ``graph`` is no graph, the tasks or the machines are too many, or the search takes too long: the time
        grows exponentially.

    Examples
    --------
    HEFT sends task 1 to the machine that has it done first, and pays for that later.

    >>> from course.graph import TaskGraph
    >>> graph = TaskGraph.from_edges([1, 1], [(0, 1, 5)])
    >>> costs = [[2, 3], [9, 1]]
    >>> schedule(graph, costs, "heft").makespan, optimal(graph, costs).makespan
    (8.0, 4.0)

    Notes
    -----
    The problem is NP-hard already for two equal machines and no edges. The search begins with the best of all static
    policies. Taught in chapter 13.

    References
    ----------
    Garey, Johnson: Computers and Intractability. Freeman, 1979, problem SS8.
    """
    from course.simulate.optimal_kernel import search

    problem = Problem(graph, costs, communication)
    n, machines = len(graph), problem.machines
    if n > MOST_TASKS or machines > MOST_MACHINES:
        raise ValueError(
            f"the graph has {n} tasks for {machines} machines; the best schedule is searched for up to {MOST_TASKS}"
            f" tasks on {MOST_MACHINES} machines"
        )
    first = min((schedule(graph, costs, name, communication=communication) for name in STATIC_POLICIES), key=_makespan)
    tail = problem.b_level(problem.costs.min(axis=1)) - problem.costs.min(axis=1)
    position = np.empty(n, dtype=np.int64)
    position[graph.topological_order] = np.arange(n)
    where, start = first.placement.copy(), first.start.copy()
    _, steps = search(
        position, graph.indptr, graph.indices, *graph.successor_arrays, problem.size, problem.latency,
        problem.bandwidth, problem.costs, problem.column, problem.group, _twins(problem), tail, where, start,
        first.makespan, MOST_STEPS,
    )  # fmt: skip
    if steps > MOST_STEPS:
        raise ValueError(
            f"the best schedule of {n} tasks on {machines} machines was not found in {MOST_STEPS:,} steps;"
            " take fewer tasks or machines"
        )
    finish = start + problem.costs[np.arange(n), problem.column[where]]
    order = np.lexsort((position, finish, start))
    return Schedule("optimal", where, start, finish, order, {}, problem)


@dataclass(frozen=True)
class Static:
    """A static policy as a policy of `course.simulate.run`: plan with `schedule`, then do what the plan says.

    Parameters
    ----------
    policy : str
        A name of `STATIC_POLICIES`.

    Examples
    --------
    >>> from course.graph import fork_join
    >>> from course.simulate import run
    >>> run(fork_join(8), Cluster(4, speed=[1, 1, 2, 2]), Static("minmin")).makespan
    2.5

    Notes
    -----
    Every thread is a machine, with its tasks in the planned order, whatever happens. Data is sent as soon as it is made
    and is there latency + size / bandwidth later; transfers do not hinder each other. As in `course.simulate.run`
    otherwise, the scheduler hands out one task at a time, which takes ``scheduler_overhead`` each, when its
    predecessors ended (``release_delay`` ago) and its thread is idle; at one instant in the order of the planned
    starts. Where neither costs anything, and there are no stragglers, the run is exactly the plan. Because transfers do
    not hinder each other, the cluster's ``backbone`` does not matter. Failures are refused. Taught in chapter 13.
    """

    policy: str

    def __post_init__(self) -> None:
        one_of("policy", self.policy, STATIC_POLICIES)

    def simulate(self, graph: TaskGraph, cluster: Cluster, seed: int) -> Trace:
        """Return the trace of a run."""
        from course.simulate.static_kernels import replay

        refuse_failures(cluster, self.policy)
        plan = schedule(graph, cluster, self.policy, seed=seed)
        problem, where = plan.problem, plan.placement
        speed = np.broadcast_to(cluster.speed, cluster.workers)[problem.group[where]]
        with np.errstate(over="ignore"):  # an infinite time is refused by the trace
            seconds = real_durations(graph, cluster, seed) / speed
        given, start, stop = replay(
            plan.sequence(), where, seconds, graph.indptr, graph.indices, *graph.successor_arrays, problem.size,
            problem.latency, problem.bandwidth, problem.group, float(cluster.scheduler_overhead),
            float(cluster.release_delay),
        )  # fmt: skip
        return _trace(problem, where, start, stop, given)


def _refuse_long(policy: str, problem: Problem) -> None:
    """Refuse what compares all ready tasks in each step where that takes minutes."""
    graph, columns = problem.graph, problem.costs.shape[1]
    if problem.latency.any() or ((problem.size > 0).any() and not np.isinf(problem.bandwidth).all()):
        columns = problem.machines if len(problem.size) else columns  # equal machines differ by where the inputs are
    if len(graph) ** 2 * columns <= MOST_PRODUCT:
        return
    width = graph.replace(duration=np.ones(len(graph))).width  # of costs alone, the durations may be 0
    if len(graph) * width * columns > MOST_PRODUCT:
        raise ValueError(
            f"policy {policy!r} compares all ready tasks in each step: {len(graph):,} tasks × {width:,} in the widest"
            f" level × {columns:,} different machines are {len(graph) * width * columns:,}; it may be at most"
            f" {MOST_PRODUCT:,}. Take fewer tasks, or 'minmin', 'dls' or 'lpt'"
        )


def _in_order(plan: Plan, extra: np.ndarray, column: np.ndarray) -> tuple:
    """Return what `place_least` needs to keep the tasks of each column sorted, once for all times."""
    n = len(extra)
    term = np.zeros(n) if plan.term is None else plan.term
    rank = np.arange(n) if plan.tie is None else np.argsort(np.argsort(plan.tie, kind="stable"))
    extra = np.ascontiguousarray(extra.T)
    tasks = np.empty(extra.shape, np.int32)
    for row, own in zip(tasks, extra, strict=True):
        row[:] = np.argsort(own + term)
        values = (own + term)[row]
        if (values[1:] == values[:-1]).any():
            row[:] = np.lexsort((rank, term, own, own + term))  # slower: only where sums are equal
    spread = 0.0 if plan.term is None else float(np.abs(extra).max(initial=0.0) + np.abs(term).max(initial=0.0))
    return extra, column, term, np.argsort(rank), tasks, spread


def _makespan(plan: Schedule) -> float:
    return plan.makespan


def _first_gap(busy: Sequence[tuple[float, float]], earliest: float, cost: float) -> float:
    """Return the first time at which a machine is idle long enough."""
    begin = earliest
    for start, end in busy:
        if begin + cost <= start:
            return begin
        begin = max(begin, end)
    return begin


def _twins(problem: Problem) -> np.ndarray:
    """Return for each machine one before it that can stand for it while both are empty; −1 where there is none."""
    twin = np.full(problem.machines, -1)
    alike = problem.latency.size == problem.bandwidth.size == 1
    alone = np.bincount(problem.group)[problem.group] == 1
    for p in range(problem.machines):
        for q in range(p):
            same = problem.group[p] == problem.group[q] or (alike and alone[p] and alone[q])
            if same and np.array_equal(problem.costs[:, problem.column[p]], problem.costs[:, problem.column[q]]):
                twin[p] = q
    return twin


def _trace(
    problem: Problem, where: np.ndarray, start: np.ndarray, stop: np.ndarray, given: np.ndarray | None = None
) -> Trace:
    graph, n = problem.graph, len(problem.graph)
    cluster = problem.cluster or Cluster(problem.machines)
    worker = problem.group[where]
    thread = where - np.searchsorted(problem.group, worker)  # machines are numbered worker by worker
    tasks, nowhere = np.arange(n, dtype=np.int32), np.full(n, -1, np.int32)
    parts = [(tasks, worker, thread, np.full(n, COMPUTE, np.uint8), start, stop, graph.output_size, nowhere)]

    task = np.repeat(tasks, np.diff(graph.indptr))
    source, target = worker[graph.indices], worker[task]
    seconds = problem.edge_times(source, target)
    moved = np.flatnonzero((source != target) & (seconds > 0))
    if graph.edge_size is None and problem.shared:
        # All that run on one worker read the same data: it is sent there once, for the first of them.
        moved = moved[np.argsort(start[task[moved]], kind="stable")]
        pair = graph.indices[moved].astype(np.int64) * cluster.workers + target[moved]
        moved = np.sort(moved[np.unique(pair, return_index=True)[1]])
    if len(moved):
        begin, lane = stop[graph.indices[moved]], np.full(len(moved), -1, np.int32)
        kind = np.full(len(moved), TRANSFER, np.uint8)
        sizes, end = graph.sizes[moved], begin + seconds[moved]
        parts.append((task[moved], target[moved], lane, kind, begin, end, sizes, source[moved]))
    if given is not None and cluster.scheduler_overhead > 0:
        kind = np.full(n, OVERHEAD, np.uint8)
        parts.append((tasks, nowhere, nowhere, kind, given - cluster.scheduler_overhead, given, np.zeros(n), nowhere))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Trace(*columns, graph=graph, cluster=cluster, origin="simulated")
