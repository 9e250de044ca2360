"""What a run cost beyond its tasks, read off its trace: `recorded_costs`.

Taught in chapter 23.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.cluster import MOST_PAIRED, Cluster
from course.simulate.submissions import Submissions
from course.timeshares import ready_times
from course.trace import COMPUTE, DESERIALIZE, DISK, TRANSFER, Trace

FEWEST = 3
"""So many tasks must show a delay for its median to be taken."""

SKEW = 0.005
"""Clocks that differ by less [s] are not worth a word."""

SLOWEST_LINK = 1e3
"""Bytes a second below which no bandwidth is believed."""

LARGE, ASSUMED_BANDWIDTH = 1e6, 1e8
"""Bytes of a transfer that tells a bandwidth, and the bytes a second that are assumed where none is so large; Dask's
scheduler begins with the same two."""


@dataclass(frozen=True, eq=False)
class Costs:
    """What a run cost beyond the work of its tasks.

    Attributes
    ----------
    cluster : Cluster
        The machines, with the latency, the bandwidth, the scheduler's overhead and the release delay that the run
        showed.
    lag, disk, deserialize : array, shape (tasks,)
        Seconds that a thread lost to each task: until it began although all was there, to read its spilled input, to
        unpack it.
    submissions : Submissions
        When the program submitted its tasks.
    order : array, shape (tasks,)
        The rank of each task in the order in which they began; those that did not run are last.
    """

    cluster: Cluster
    lag: np.ndarray
    disk: np.ndarray
    deserialize: np.ndarray
    submissions: Submissions
    order: np.ndarray


def recorded_costs(trace: Trace) -> Costs:
    """Read off a trace what its run cost beyond the work of its tasks.

    Parameters
    ----------
    trace : Trace
        Simulated or measured, with at least one task that ran. Of a simulated run the costs are those of its cluster.

    Raises
    ------
    ValueError
        If no task ran.

    Examples
    --------
    >>> from course.graph import chain
    >>> trace = Trace([0, 1], [0, 0], [0, 0], [0, 0], [0.0, 1.5], [1.0, 2.5], graph=chain(2), cluster=Cluster(1),
    ...               origin="measured")
    >>> costs = recorded_costs(trace)
    >>> costs.lag.tolist()  # of the second: half a second after the first
    [0.0, 0.5]

    Notes
    -----
    A task can begin when it was submitted, its last input was made, and its thread is free. What it then still waits,
    less the time in which its worker fetches data, reads what it spilled or unpacks the task, is its *lag*. Where its
    thread is what it waited for last, the worker had the task already, and the lag is what it needs to go on to the
    next. Where an input is what it waited for last, messages to the scheduler and back lie in between; what these
    tasks lose beyond the usual lag is the *release delay* (its median; of tasks that became ready together the first
    counts, for the others may have waited for the scheduler, or to be stolen; what was ready when it was submitted
    waited for the program). The *scheduler's overhead* a task, which
    tasks cannot share, is in every lag; so it is no longer than nearly all of them (their tenth percentile), and no
    longer than the time a task in the stretches in which most tasks were handed out. Where no task waited for a thread,
    as in a chain, all that is lost is taken for messages.

    The *latency* is what small transfers took beyond their bytes, at the rate of the fastest ones. The *bandwidth* is
    that of a worker's link, however many transfers share it: bytes over the time in which any of them ran, less the
    latency. Where no transfer had a megabyte, it is 100 MB/s, which Dask's scheduler assumes, too.

    *Whose bandwidth?* Where two transfers that come into a worker at the same time are each half as fast as one, they
    share its link; where they are as fast, each connection is limited by itself. The exponent of a transfer's rate in
    the number that run beside it, fitted by least squares, is −1 in the first case and 0 in the second: where it is
    above −1/2 by two standard errors, each pair of workers gets a link of its own. Else each worker has one; also where
    it cannot be told, because all transfers run beside equally many, or are of one size.
    """
    start, stop = trace.task_times()
    ran = np.flatnonzero(~np.isnan(start))
    if not len(ran):
        raise ValueError("no task ran in this trace, so there is nothing to replay: record a run that computes")
    n = len(trace.graph)
    order = np.empty(n, np.int64)
    order[np.argsort(start, kind="stable")] = np.arange(n)
    submissions = _submissions(trace, stop, ran)
    zero = np.zeros(n)
    if trace.origin == "simulated":
        # Its stragglers took the time that they took already.
        return Costs(trace.cluster.replace(stragglers=(0.0, 1.0)), zero, zero, zero, submissions, order)

    free, ready = _thread_free(trace), ready_times(trace)
    enabled = np.fmax(free, ready)
    disk, deserialize = (_seconds(trace, kind, enabled, start) for kind in (DISK, DESERIALIZE))
    lag = np.zeros(n)
    lag[ran] = np.maximum(0.0, start - enabled - disk - deserialize - _fetching(trace, enabled, start))[ran]

    begin = float(trace.start.min())
    # What was ready when it was submitted waited for the program, and for no message about a result.
    by_message = ran[(ready[ran] > np.maximum(begin, trace.submitted[ran])) & ~(free[ran] > ready[ran])]
    on_worker = ran[free[ran] > ready[ran]]
    usual = float(lag[on_worker].mean()) if len(on_worker) else 0.0
    overhead = 0.0
    if len(on_worker) >= FEWEST:  # where all wait for inputs, it cannot be told from messages
        overhead = min(float(np.quantile(lag[ran], 0.1)), _pace(start[ran], trace.cluster.slots))
    release = 0.0
    if len(by_message) >= FEWEST:
        release = max(0.0, float(np.median(_first_of(ready[by_message], lag[by_message]))) - usual - overhead)
        lag[by_message] = np.minimum(lag[by_message], usual)  # what messages cost is in the release delay
    first = ran[(ready[ran] <= begin) & np.isnan(free[ran])]
    lag[first] = np.minimum(lag[first], usual)  # when the first tasks could have begun cannot be told
    latency, bandwidth, links = _network(trace)
    cluster = trace.cluster.replace(
        latency=latency, bandwidth=bandwidth, links=links, scheduler_overhead=overhead, release_delay=release
    )
    return Costs(cluster, lag, disk, deserialize, submissions, order)


def _first_of(ready: np.ndarray, lag: np.ndarray) -> np.ndarray:
    """Return the least lag of the tasks that became ready together, for each such instant."""
    order = np.argsort(ready, kind="stable")
    first = np.flatnonzero(np.diff(ready[order], prepend=-np.inf) > 0)
    return np.minimum.reduceat(lag[order], first)


def clock_skew(trace: Trace) -> float:
    """Return by how much the clocks of a run's workers differ at the least [s].

    That is the largest time by which a task began (the last time that it ran) before one of its inputs was made (the
    first time): no task does, so the clocks are to blame. 0 if none did.

    Examples
    --------
    >>> from course.graph import chain
    >>> clock_skew(Trace([0, 1], [0, 1], [0, 0], [0, 0], [0.0, 0.75], [1.0, 2.0], graph=chain(2), cluster=Cluster(2),
    ...                  origin="measured"))
    0.25
    """
    start, _ = trace.task_times()
    rows = trace.kind == COMPUTE
    made = np.full(len(start), np.inf)
    np.minimum.at(made, trace.task[rows], trace.stop[rows])
    reader = np.repeat(np.arange(len(start)), np.diff(trace.graph.indptr))
    early = made[trace.graph.indices] - start[reader]
    return max(0.0, float(early[np.isfinite(early)].max(initial=0.0)))


def _submissions(trace: Trace, stop: np.ndarray, ran: np.ndarray) -> Submissions:
    """Say for each occasion how many tasks had ended, and how long ago the last of them had."""
    begin = float(trace.start.min())
    times, occasion = np.unique(np.maximum(trace.submitted, begin), return_inverse=True)
    occasion = occasion.reshape(-1)
    # Clocks differ: nothing was submitted after it began, nor before what was submitted earlier.
    start, _ = trace.task_times()
    np.minimum.at(times, occasion[ran], start[ran])
    times = np.minimum.accumulate(times[::-1])[::-1]
    # Nor is a task submitted before what it reads; that can seem so where a task was submitted again.
    graph = trace.graph
    reader = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
    if (occasion[graph.indices] > occasion[reader]).any():
        for task in graph.topological_order[::-1].tolist():
            before = graph.predecessors(task)
            occasion[before] = np.minimum(occasion[before], occasion[task])
    weight = np.zeros(len(stop))
    weight[ran] = 1.0
    ended = np.sort(stop[ran])
    before = np.cumsum(np.bincount(occasion, weight, len(times))) - np.bincount(occasion, weight, len(times))
    after = np.minimum(np.searchsorted(ended, times, "right"), np.maximum.accumulate(before)).astype(np.int64)
    since = np.concatenate([[begin], ended])[after]
    return Submissions(occasion, after.astype(float), np.maximum(times - since, 0.0), weight)


def _thread_free(trace: Trace) -> np.ndarray:
    """Return when the task before each one on its thread stopped [s]; NaN if there was none."""
    rows = np.flatnonzero(trace.kind == COMPUTE)
    rows = rows[np.lexsort((trace.start[rows], trace.thread[rows], trace.worker[rows]))]
    same = (trace.worker[rows][1:] == trace.worker[rows][:-1]) & (trace.thread[rows][1:] == trace.thread[rows][:-1])
    free = np.full(len(trace.graph), np.nan)
    free[trace.task[rows[1:]][same]] = trace.stop[rows[:-1]][same]
    return free


def _fetching(trace: Trace, since: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Return for how long data was on its way to each task's worker between two instants [s], shape (tasks,).

    Of a task that reads nothing from other workers: 0. What one task fetched can be what another waits for.
    """
    graph = trace.graph
    worker = trace.task_workers()
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
    remote = np.zeros(len(graph), bool)
    remote[owner[worker[graph.indices] != worker[owner]]] = True
    begin, end, shift = _busy_links(trace, trace.worker)
    if not len(begin):
        return np.zeros(len(graph))
    # How long links had been busy until an instant, on the one axis on which the workers follow one another.
    times = np.stack([begin, end], axis=1).reshape(-1)
    busy = np.stack([np.cumsum(end - begin) - (end - begin), np.cumsum(end - begin)], axis=1).reshape(-1)
    tasks = np.flatnonzero(remote & (worker >= 0))
    offset = shift * worker[tasks]
    between = np.interp(until[tasks] + offset, times, busy) - np.interp(since[tasks] + offset, times, busy)
    seconds = np.zeros(len(graph))
    seconds[tasks] = np.nan_to_num(between)
    return seconds


def _busy_links(trace: Trace, link: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the stretches in which any transfer ran on a link, of which link k is moved by k times the shift [s]."""
    rows = np.flatnonzero((trace.kind == TRANSFER) & (trace.worker >= 0))
    rows = rows[np.lexsort((trace.start[rows], link[rows]))]
    shift = float(trace.stop.max() - min(trace.start.min(), 0.0)) + 1.0
    moved = link[rows] * shift
    since, until = trace.start[rows] + moved, np.maximum.accumulate(trace.stop[rows] + moved)
    new = np.flatnonzero(np.concatenate([[True] * bool(len(rows)), since[1:] > until[:-1]]))
    last = np.concatenate([new[1:] - 1, [len(rows) - 1] * bool(len(rows))]).astype(np.int64)
    return since[new], until[last], shift


def _seconds(trace: Trace, kind: int, since: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Return the seconds of rows of one kind that lie between two instants of their task, shape (tasks,)."""
    rows = np.flatnonzero((trace.kind == kind) & (trace.worker >= 0))
    task = trace.task[rows]
    length = np.minimum(trace.stop[rows], until[task]) - np.maximum(trace.start[rows], since[task])
    return np.bincount(task, np.nan_to_num(np.maximum(length, 0.0)), len(until))


def _pace(start: np.ndarray, slots: int) -> float:
    """Return the seconds a task of the stretches in which tasks were started the fastest."""
    size = min(2 * slots + 8, len(start) - 1)
    ordered = np.sort(start)
    return float(np.quantile(ordered[size:] - ordered[:-size], 0.1)) / size


def _network(trace: Trace) -> tuple[float, float, str]:
    """Return the latency [s], the bandwidth of a link [bytes/s], and what has a link: as in `Cluster`."""
    rows = np.flatnonzero((trace.kind == TRANSFER) & (trace.worker >= 0))
    if not len(rows):
        return 0.0, np.inf, "worker"
    seconds, size = trace.stop[rows] - trace.start[rows], trace.size[rows]
    fastest = float(np.quantile(size / np.maximum(seconds, 1e-9), 0.95))
    small = size <= np.quantile(size, 0.25)
    beyond = seconds[small] - (size[small] / fastest if fastest > 0 else 0.0)
    latency = max(0.0, float(np.quantile(beyond, 0.25)))
    if size.max() < LARGE:
        return latency, max(fastest, ASSUMED_BANDWIDTH), "worker"
    told = size.max() >= 2 * np.quantile(size, 0.25)  # if all are of one size, latency cannot be told from a rate
    alone = bool(told) and trace.cluster.workers <= MOST_PAIRED and _keep_their_rate(trace, rows, latency)
    link = trace.source.astype(np.int64) * trace.cluster.workers + trace.worker if alone else trace.worker
    since, until, _ = _busy_links(trace, link)
    busy = float((until - since).sum()) - latency * len(since)
    return latency, max(float(size.sum()) / max(busy, 1e-9), SLOWEST_LINK), "pair" if alone else "worker"


def _keep_their_rate(trace: Trace, rows: np.ndarray, latency: float) -> bool:
    """Say whether transfers into a worker are as fast beside others as alone."""
    size = trace.size[rows]
    seconds = np.maximum(trace.stop[rows] - trace.start[rows] - latency, 0.0)  # on the link
    large = (size >= size.max() / 4) & (seconds > 0)  # of small ones, the latency is what takes its time
    beside = np.log(_beside(trace, rows, seconds)[large])
    rate = np.log(size[large] / seconds[large])
    if large.sum() < 2 * FEWEST or np.std(beside) < 0.1:
        return False
    spread = beside - beside.mean()
    exponent = float((spread * rate).sum() / (spread**2).sum())
    rest = rate - rate.mean() - exponent * spread
    error = float(np.sqrt((rest**2).sum() / (len(rate) - 2) / (spread**2).sum()))
    return exponent - 2 * error > -0.5


def _beside(trace: Trace, rows: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return how many transfers ran into the same worker while each one did, itself among them, in the mean."""
    shift = float(trace.stop.max() - min(trace.start.min(), 0.0)) + 1.0
    start = trace.start[rows] + trace.worker[rows] * shift
    stop = start + seconds
    # How many ran at each instant, added up over time until each beginning and each end.
    times = np.sort(np.concatenate([start, stop]))
    running = np.searchsorted(np.sort(start), times, "right") - np.searchsorted(np.sort(stop), times, "right")
    until = np.concatenate([[0.0], np.cumsum(running[:-1] * np.diff(times))])
    together = np.interp(stop, times, until) - np.interp(start, times, until)
    return np.maximum(1.0, together / np.maximum(seconds, 1e-12))
