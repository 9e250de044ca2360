"""Where the time of a run's threads went: each second of each thread has one name.

A thread computes, or it does not; and if it does not, something kept it. The names, in the order in which an idle
thread is given one:

===============  =====================================================================================================
`disk`           its worker reads or writes spilled data (which stops the worker's event loop, and so all its threads)
`deserialize`    a task of its worker is being unpacked
`transfer`       a task of its worker waits for data from another worker
`scheduling`     a task that will run on its worker is ready, and has not begun: messages, decisions, submission
`placement`      none is ready for its worker, but some are for another
`imbalance`      none is ready at all; what runs are the last tasks of their kind, whose sisters have ended
`dependencies`   none is ready at all, and what runs must end first: the graph is too narrow
`client`         all that was submitted has ended: the program that submits computes, or fetches results
===============  =====================================================================================================

Taught in chapter 11.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.trace import COMPUTE, DESERIALIZE, DISK, TRANSFER, Trace

SHARES = (
    "compute", "disk", "deserialize", "transfer", "scheduling", "placement", "imbalance", "dependencies",
    "client",
)  # fmt: skip
"""What the second of a thread can be."""


@dataclass(frozen=True, eq=False)
class TimeShares:
    """How many threads did what, from instant to instant.

    Attributes
    ----------
    times : array, shape (pieces + 1,)
        The instants between which nothing changes [s], from the first start to the last stop.
    threads : array, shape (pieces, 9)
        How many threads each of `SHARES` had meanwhile; each row's sum is the number of threads of the cluster.
    """

    times: np.ndarray
    threads: np.ndarray

    @property
    def seconds(self) -> np.ndarray:
        """Thread-seconds of each of `SHARES`, shape (9,)."""
        return np.diff(self.times) @ self.threads

    def over_time(self, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the edges of equal bins [s], (bins + 1,), and the mean threads of each share in each, (bins, 9)."""
        edges = np.linspace(self.times[0], self.times[-1], bins + 1)
        until = np.concatenate([np.zeros((1, len(SHARES))), np.cumsum(np.diff(self.times)[:, None] * self.threads, 0)])
        at = np.column_stack([np.interp(edges, self.times, column) for column in until.T])
        width = max(edges[1] - edges[0], np.finfo(float).tiny)
        return edges, np.diff(at, axis=0) / width


def time_shares(trace: Trace) -> TimeShares:
    """Return what the threads of a run did at each instant.

    Parameters
    ----------
    trace : Trace
        Simulated or measured, with at least one task that ran.

    Raises
    ------
    ValueError
        If no task ran, or the trace is but an instant.

    Examples
    --------
    One worker waits while the other computes, because there is nothing else to do:

    >>> from course.graph import independent
    >>> from course.simulate import run
    >>> shares = time_shares(run(independent(3), 2, "fifo"))
    >>> dict(zip(SHARES, shares.seconds.tolist(), strict=True))["imbalance"]
    1.0

    Notes
    -----
    A sweep over the starts and stops: of each worker first, where the causes of that worker are (its disk, its
    transfers, its ready tasks); then of all workers together, where the others are.
    """
    from course.sweep_kernel import sweep

    if not (trace.kind == COMPUTE).any():
        raise ValueError("no task ran in this trace, so no thread's time went anywhere: record a run that computes")
    begin, end = float(trace.start.min()), float(trace.stop.max())
    if begin == end:
        raise ValueError("all rows of this trace are at one instant, so no time went anywhere: record a run that lasts")
    column, where, when, change = _changes(trace, begin)
    # Not a stable sort, which takes several times as long: at one instant the order does not matter.
    order = np.argsort(when)
    times, threads, pieces = sweep(order, when, where, column, change, trace.cluster.threads_per_worker, begin, end)
    return TimeShares(np.append(times[:pieces], end), threads[:pieces])


def _changes(trace: Trace, begin: float) -> tuple[np.ndarray, ...]:
    """Return all that changes: what (a column of the sweep), of which worker, when, and by how much."""
    from course.sweep_kernel import DESERIALIZE as UNPACKING
    from course.sweep_kernel import DISK as ON_DISK
    from course.sweep_kernel import NOTHING, ON_THEIR_WAY, READY, RUNNING, TAIL
    from course.sweep_kernel import TRANSFER as WAITING

    rows = trace.worker >= 0
    kind, worker, task = trace.kind, trace.worker, trace.task
    spans = []  # (column, workers, starts, stops)
    for column, code in ((RUNNING, COMPUTE), (ON_DISK, DISK), (UNPACKING, DESERIALIZE)):
        pick = rows & (kind == code)
        spans.append((column, worker[pick], trace.start[pick], trace.stop[pick]))
    # Several transfers for one task make one thread wait, from the first to the last.
    pick = np.flatnonzero(rows & (kind == TRANSFER))
    spans.append((WAITING, *_hull(worker[pick], task[pick], trace.start[pick], trace.stop[pick])))
    spans += [(READY, *each) for each in _ready(trace, begin)]
    for column, (since, until) in ((TAIL, _last_of_their_kind(trace)), (ON_THEIR_WAY, _on_their_way(trace))):
        spans.append((column, np.zeros(len(since), np.int32), since, until))
    spans.append((NOTHING, np.zeros(1, np.int32), np.array([begin]), np.array([begin])))

    columns, workers, starts, stops = [], [], [], []
    for column, where, since, until in spans:
        some = np.flatnonzero(since < until) if column != NOTHING else np.zeros(1, np.int64)
        columns.append(np.full(len(some), column, np.int8))
        workers.append(where[some])
        starts.append(since[some])
        stops.append(until[some])
    column, where = np.concatenate(columns), np.concatenate(workers)
    change = np.ones(2 * len(column), np.int8)
    change[len(column) :] = -1
    return np.tile(column, 2), np.tile(where, 2), np.concatenate(starts + stops), change


def _hull(worker: np.ndarray, task: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return for each (worker, task) the worker, the first start and the last stop."""
    if not len(worker):
        return worker, start, stop
    order = np.lexsort((task, worker))
    worker, task, start, stop = worker[order], task[order], start[order], stop[order]
    first = np.flatnonzero(np.concatenate([[True], (worker[1:] != worker[:-1]) | (task[1:] != task[:-1])]))
    return worker[first], np.minimum.reduceat(start, first), np.maximum.reduceat(stop, first)


def ready_times(trace: Trace) -> np.ndarray:
    """Return when each task of the graph could have begun: it was submitted, and its last predecessor stopped [s].

    None is ready before the first instant of the trace. Shape (tasks,).
    """
    _, stop = trace.task_times()
    begin = trace.start.min()
    graph = trace.graph
    ready = np.maximum(trace.submitted, begin)
    has = np.flatnonzero(np.diff(graph.indptr) > 0)
    if len(has):
        known = np.where(np.isnan(stop), begin, stop)[graph.indices]
        ready[has] = np.maximum(ready[has], np.maximum.reduceat(known, graph.indptr[:-1][has]))
    return ready


def _ready(trace: Trace, begin: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return when tasks were ready and neither ran nor waited for data, as (workers, starts, stops), twice.

    Once from the moment they were ready to their first transfer or read; once from the last of these to their start.
    """
    start, _ = trace.task_times()
    tasks = np.flatnonzero(~np.isnan(start))
    worker = trace.task_workers()
    ready = ready_times(trace)
    # What its own worker did for it before it began.
    first, last = start.copy(), start.copy()
    other = np.flatnonzero((trace.kind != COMPUTE) & (trace.worker >= 0))
    here = worker[trace.task[other]] == trace.worker[other]
    own = other[here & (trace.stop[other] <= start[trace.task[other]] + 1e-6)]
    if len(own):
        first_seen = np.full(len(start), np.inf)
        last_seen = np.full(len(start), -np.inf)
        np.minimum.at(first_seen, trace.task[own], trace.start[own])
        np.maximum.at(last_seen, trace.task[own], trace.stop[own])
        seen = np.isfinite(first_seen)
        first[seen], last[seen] = first_seen[seen], last_seen[seen]
    tasks = tasks[worker[tasks] >= 0]
    w = worker[tasks]
    before = (w, ready[tasks], np.maximum(ready[tasks], np.minimum(first[tasks], start[tasks])))
    after = (w, np.minimum(np.maximum(last[tasks], ready[tasks]), start[tasks]), start[tasks])
    return [before, after]


def _last_of_their_kind(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each kind of task, from when to when its last ones ran while some of them had ended already."""
    start, stop = trace.task_times()
    ran = np.flatnonzero(~np.isnan(start))
    prefixes, group = trace.graph.prefixes
    group = group[ran]
    last_start = np.full(len(prefixes), -np.inf)
    first_stop, last_stop = np.full(len(prefixes), np.inf), np.full(len(prefixes), -np.inf)
    np.maximum.at(last_start, group, start[ran])
    np.minimum.at(first_stop, group, stop[ran])
    np.maximum.at(last_stop, group, stop[ran])
    since = np.maximum(last_start, first_stop)
    tail = since < last_stop
    return since[tail], last_stop[tail]


def _on_their_way(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Return from when to when there was a task that had been submitted and had not ended."""
    _, stop = trace.task_times()
    since = np.minimum(trace.submitted, stop)  # no later: clocks differ a little
    ran = np.flatnonzero(~np.isnan(stop))
    ran = ran[np.argsort(since[ran], kind="stable")]
    since, until = since[ran], np.maximum.accumulate(stop[ran])
    gap = np.flatnonzero(since[1:] > until[:-1])
    return since[np.concatenate([[0], gap + 1])], until[np.concatenate([gap, [len(ran) - 1]])]
