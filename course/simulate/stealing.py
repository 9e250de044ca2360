"""`Stealing`: no scheduler; every thread has its own tasks, and steals from another when it has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.cluster import Cluster
from course.domain import generator, scalar
from course.graph import TaskGraph
from course.simulate.arguments import room
from course.simulate.failures import refuse_failures
from course.simulate.inputs import costs_anything, inputs_of, table
from course.simulate.rows import ROW, trace_of
from course.simulate.stragglers import real_durations
from course.trace import Trace

VICTIMS = ("random", "richest")
AMOUNTS = ("one", "half")
STARTS = ("first", "dealt")


@dataclass(frozen=True)
class Stealing:
    """The policy "stealing": randomised work stealing.

    Parameters
    ----------
    attempt : float
        Seconds that an attempt to steal takes, whether or not there is something to steal.
    victim : {"random", "richest"}
        Whom a thief tries: any other thread, all equally likely; or the one that has most tasks (of equal ones the
        first), which takes knowing them all.
    amount : {"one", "half"}
        How many tasks it takes: one; or half of them, rounded up.
    start : {"first", "dealt"}
        Who has the tasks that wait for nothing at the start: the first thread, as in Cilk; or all threads in turn.

    Raises
    ------
    ValueError
        Naming the argument, its value and what is allowed.

    Examples
    --------
    A thief needs 1 s for an attempt: it runs one task in 2 s, where the owner runs two. With half of what is there, it
    has to steal less often.

    >>> from course.graph import independent
    >>> from course.simulate import run
    >>> run(independent(9), 2, Stealing(attempt=1.0)).makespan
    6.0
    >>> run(independent(9), 2, Stealing(attempt=1.0, amount="half")).makespan
    5.0

    Notes
    -----
    Each thread has a deque, a list with two ends. A task that ends puts those of its successors that now can run at the
    bottom of its thread's deque, in reverse order; then the thread takes the task at the bottom. If its deque is empty
    it becomes a thief: after ``attempt`` seconds it looks into the deque of a victim and takes from the top; if that is
    empty, it tries again. So every thread works depth first, and what is stolen is near the root of the graph, with
    much work behind it.

    While no deque holds anything, the attempts that must fail are not simulated one by one: a thief sleeps, and makes
    the first of its attempts that ends when there is something again. With ``attempt=0`` it tries, in no time, until it
    finds something; then no thread is ever idle while a task waits, and Graham's bound holds.

    There is no scheduler: ``scheduler_overhead`` and ``release_delay`` do not matter. A thread that takes a task waits
    while its inputs come in over the worker's link, as in the notes of `course.simulate.run`. Failures are refused.

    In the trace, each successful attempt is a row of kind overhead, on the thief's thread, with the task that it runs
    next, and as ``source`` the worker that it was stolen from.

    The expected time is

    .. math:: \\frac{W}{m} + O(S)

    for work W, span S and m threads (`course.models.work_stealing_bound`), where an attempt takes as long as a task:
    proved by Blumofe and Leiserson for programs that spawn and join (fully strict computations), by Arora, Blumofe and
    Plaxton for any graph, if one task is the source of all and none has more than two successors. More of either must
    be stolen one by one, as from a loop that spawns them. For W independent tasks of one unit, half of which are stolen
    in one unit, the expected time is at most W/m + 3.65 log₂ W (Tchiboukdjian et al.). Taught in chapter 14.

    References
    ----------
    Blumofe, Leiserson: Scheduling multithreaded computations by work stealing. Journal of the ACM 46(5), 1999.
    Arora, Blumofe, Plaxton: Thread scheduling for multiprogrammed multiprocessors. Theory of Computing Systems 34(2),
    2001.
    Tchiboukdjian, Gast, Trystram, Roch, Bernard: A tighter analysis of work stealing. ISAAC 2010.
    """

    attempt: float = 0.0
    victim: str = "random"
    amount: str = "one"
    start: str = "first"

    def __post_init__(self) -> None:
        object.__setattr__(self, "attempt", scalar("attempt", self.attempt, low=0))
        for name, allowed in (("victim", VICTIMS), ("amount", AMOUNTS), ("start", STARTS)):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} is {value!r:.80}; it must be one of {', '.join(allowed)}")

    def simulate(self, graph: TaskGraph, cluster: Cluster, seed: int) -> Trace:
        """Return the trace of a run."""
        from course.simulate import stealing_kernel as kernel

        refuse_failures(cluster, "stealing")
        n = len(graph)
        room("workers times threads", float(cluster.threads_per_worker.sum(dtype=float)))
        threads = cluster.threads_per_worker
        m = int(threads.sum())
        worker = np.repeat(np.arange(cluster.workers), threads)
        inputs = inputs_of(graph, cluster)
        network = costs_anything(inputs)
        rows = np.empty(2 * n + len(graph.indices) * network, ROW)
        count = kernel.simulate(
            kernel.Threads(
                worker,
                np.arange(m) - np.repeat(np.cumsum(threads) - threads, threads),
                speed=np.full(cluster.workers, cluster.speed, dtype=float)[worker],
                task=np.full(m, -1),
                top=np.full(m, -1),
                bottom=np.full(m, -1),
                length=np.zeros(m, np.int64),
                above=np.full(n, -1),
                below=np.full(n, -1),
                full=np.empty(m, np.int64),
                spot=np.empty(m, np.int64),
                asleep=np.empty(m, np.int64),
                since=np.zeros(m),
                event_key=np.empty(m + 1),
                events=np.empty(m + 1, np.int64),
                count=np.zeros(kernel.COUNTS, np.int64),
            ),
            kernel.Tasks(
                real_durations(graph, cluster, seed),
                graph.output_size,
                *graph.successor_arrays,
                missing=np.diff(graph.indptr),
                where=np.full(n, -1),
            ),
            inputs,
            network,
            *table(len(graph.indices) if network else 0),
            self.attempt,
            self.amount == "half",
            self.victim == "richest",
            self.start == "dealt",
            generator(seed),
            rows,
        )
        if count < 0:
            raise ValueError(
                f"the {m} threads make too many attempts to steal to simulate; attempt is {self.attempt:g} s:"
                " let it take longer, give fewer threads, or deal the tasks round at the start"
            )
        return trace_of(rows[:count], graph, cluster, transfers=network)
