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
        If no task ran.

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
    A sweep over the starts and stops: first for each worker, where the causes of that worker are (its disk, its
    transfers, its ready tasks); then for all workers together, where the others are.
    """
    computes = trace.kind == COMPUTE
    if not computes.any():
        raise ValueError("no task ran in this trace, so no thread's time went anywhere: record a run that computes")
    begin, end = trace.start.min(), trace.stop.max()
    where, when, known = _sweep_workers(trace, begin, end)
    return _sweep_all(trace, begin, end, where, when, known)


# Columns of a worker's sweep, while it is one.
_RUNNING, _DISK, _DESERIALIZE, _TRANSFER, _READY = range(5)


def _sweep_workers(trace: Trace, begin: float, end: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each instant at which a worker changes: the worker, the instant, and what holds from then on.

    What holds has the rows: running tasks, disk, deserialize, transfer, scheduling, idle for another reason, and
    tasks that are ready beyond those that its own idle threads can take.
    """
    rows = trace.worker >= 0
    kind, worker, task = trace.kind, trace.worker, trace.task
    spans = [  # (column, workers, starts, stops)
        (_RUNNING, worker[pick], trace.start[pick], trace.stop[pick]) for pick in [rows & (kind == COMPUTE)]
    ]
    for column, code in ((_DISK, DISK), (_DESERIALIZE, DESERIALIZE)):
        pick = rows & (kind == code)
        spans.append((column, worker[pick], trace.start[pick], trace.stop[pick]))
    # Several transfers for one task make one thread wait, from the first to the last.
    pick = np.flatnonzero(rows & (kind == TRANSFER))
    waits = _hull(worker[pick], task[pick], trace.start[pick], trace.stop[pick])
    spans.append((_TRANSFER, *waits))
    spans += [(_READY, *each) for each in _ready(trace, begin)]
    threads = trace.cluster.threads_per_worker
    every = np.arange(trace.cluster.workers)

    columns = np.concatenate([np.repeat(column, 2 * len(w)) for column, w, _, _ in spans])
    where = np.concatenate([np.concatenate([w, w]) for _, w, _, _ in spans] + [every, every])
    when = np.concatenate([np.concatenate([a, np.maximum(a, b)]) for _, _, a, b in spans])
    when = np.concatenate([when, np.full(len(every), begin), np.full(len(every), end)])
    change = np.concatenate([np.repeat([1, -1], len(w)) for _, w, _, _ in spans])
    order = np.lexsort((when, where))
    counts = np.zeros((5, len(order)), dtype=np.int32)
    counts[columns, np.arange(len(columns))] = change
    counts = counts[:, order].cumsum(axis=1, dtype=np.int32)  # each worker's changes sum to zero: one sum serves all
    where, when = where[order], when[order]

    slots = threads[where]
    idle = slots - np.minimum(counts[_RUNNING], slots)
    on_disk = np.where(counts[_DISK] > 0, idle, 0)
    idle = idle - on_disk
    unpacking = np.minimum(idle, counts[_DESERIALIZE])
    idle = idle - unpacking
    waiting = np.minimum(idle, counts[_TRANSFER])
    idle = idle - waiting
    scheduling = np.minimum(idle, counts[_READY])
    idle, ready = idle - scheduling, counts[_READY] - scheduling
    computing = np.minimum(counts[_RUNNING], slots)
    known = np.array([computing, on_disk, unpacking, waiting, scheduling, idle, ready], dtype=np.int32)
    return where, when, known


def _sweep_all(
    trace: Trace, begin: float, end: float, where: np.ndarray, when: np.ndarray, known: np.ndarray
) -> TimeShares:
    """Add up the workers, and give the idle threads that are left their names."""
    steps = np.diff(known, axis=1, prepend=np.int32(0))
    first = np.concatenate([[True], where[1:] != where[:-1]])
    steps[:, first] = known[:, first]
    tails, pending = _last_of_their_kind(trace), _on_their_way(trace)
    times = np.concatenate([when, *tails, *pending])
    order = np.argsort(times, kind="stable")
    times = times[order]
    # The ends of the tails and of what is on its way change nothing of the workers, and the workers nothing of them.
    steps = np.pad(steps, ((0, 2), (0, len(times) - len(when))))
    a, b = len(when), len(when) + 2 * len(tails[0])
    steps[-2, a:b] = np.repeat([1, -1], len(tails[0]))
    steps[-1, b:] = np.repeat([1, -1], len(pending[0]))
    totals = steps[:, order].cumsum(axis=1, dtype=np.int32)
    # Of the changes at one instant only the last counts; what is outside of the run is nobody's.
    kept = np.append(np.diff(times) > 0, False) & (times < end) & (times >= begin)
    *named, idle, ready, in_tail, on_their_way = totals[:, kept]
    placement = np.minimum(idle, ready)
    idle = idle - placement
    client = np.where(on_their_way > 0, 0, idle)
    idle = idle - client
    imbalance = np.where(in_tail > 0, idle, 0)
    threads = np.column_stack([*named, placement, imbalance, idle - imbalance, client])
    return TimeShares(np.append(times[kept], end), threads)


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
    rows = np.flatnonzero(trace.kind == COMPUTE)
    rows = rows[np.argsort(trace.stop[rows], kind="stable")]
    worker = np.full(len(trace.graph), -1)
    worker[trace.task[rows]] = trace.worker[rows]  # where it ran last
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
