"""`Dask`: a run as Dask's own scheduler and workers would do it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.cluster import Cluster, links_of, pairs
from course.domain import generator, number, scalar
from course.graph import TaskGraph
from course.simulate.failures import refuse_failures
from course.simulate.stragglers import real_durations
from course.simulate.submissions import Submissions
from course.trace import COMPUTE, OVERHEAD, TRANSFER, Trace

MOST_WORKERS = 10**6
MOST_COUNTS = 10**8
"""How many workers × groups there may be: how many tasks of each group each worker has is counted."""
SHORTEST_INTERVAL = 1e-6
MOST_SECONDS = 1e300
"""How long a run may take: beyond it, sums of times would no longer be finite."""


@dataclass(frozen=True, eq=False)
class Dask:
    """The policy "dask": where and when Dask 2026.8 runs tasks.

    Parameters
    ----------
    worker_saturation : float
        How many root tasks a worker is sent at once, as a multiple of its threads, rounded up; the others are queued at
        the scheduler. ``inf``: all are sent at once.
    stealing : bool
        Whether idle workers steal from busy ones.
    steal_interval : float
        Seconds between two looks for something to steal, at least 1e-6.
    steal_latency : float
        Seconds that Dask adds to a transfer when it asks whether stealing pays.
    unknown_duration : float
        Seconds that a task is thought to take before one of its group has ended.
    assumed_bandwidth : float
        Bytes per second that the scheduler thinks a transfer has, whatever it really has.
    group : array of int, shape (n,), optional
        The group of each task: tasks of one name. Default: those without predecessors, and the others, as
        `course.measure.run_graph` names them.
    known : array, shape (groups,), optional
        Mean seconds of each group's tasks from earlier runs, by ascending number of the group (by default first those
        without predecessors); negative for those that are not known.
    rank : array of int, shape (n,), optional
        A permutation of 0 … n−1: of the tasks that are ready, the smallest is first. Default: `dask.order`, which is
        slow for large tangled graphs.
    submissions : Submissions, optional
        When tasks are submitted. Default: all at the beginning.
    shuffle : array of int, shape (n,), optional
        A permutation of 0 … n−1 that stands for the order of Python's sets, for example one in which a recorded run
        went through them. Default: drawn from the seed.

    Raises
    ------
    ValueError
        Naming the argument, its value and what is allowed.

    Examples
    --------
    Dask sends a task to a worker as soon as it is ready. Once there, only stealing, once a second, takes it away.

    >>> from course.graph import graham_anomaly
    >>> from course.simulate import run
    >>> run(graham_anomaly(), 3, policy="dask").makespan >= run(graham_anomaly(), 3).makespan
    True

    Notes
    -----
    *Which worker.* A task with inputs goes to one of the workers that hold some: to that on which it is thought to
    start first (assigned work per thread, and missing bytes / ``assumed_bandwidth``; then fewest bytes held). A root
    task of a large group (more than twice as many as threads, few inputs) goes to the least busy worker with room, or
    waits in the scheduler's queue. One of a small group goes to idle workers in turn. Work is estimated from the mean
    of each group, in which every new duration counts half.

    *On the worker.* Its inputs are fetched at once, over the receiver's link one after the other, each taking
    size / bandwidth, and are there ``latency`` later; meanwhile other tasks run. Of those that are ready the smallest
    rank is first. A result is dropped when the last task that needs it is done.

    *Messages.* Each takes half of the cluster's ``release_delay``: the end of a task to the scheduler, a task to its
    worker, and the question and the answer of a steal. The scheduler hands out one task after the other,
    ``scheduler_overhead`` apart.

    *Stealing.* Once in ``steal_interval`` (the first time at a moment that ``seed`` fixes) tasks are asked back from
    saturated workers, cheapest to move first, if the thief is thought to be done with them sooner; a task that has
    begun stays. What moving a task costs is estimated when it is assigned, and anew when the first of its group ends.

    *What is left to chance.* Python's sets have no order that anybody chose. Where Dask goes through a set of tasks,
    the order follows ``seed``; of a set of workers, the lowest number is taken among equals.

    *What is left out.* Memory and spilling, restrictions and resources, batches of messages, estimates from tasks that
    still run, names whose duration the configuration gives, the bandwidth that Dask's scheduler learns from transfers
    of more than 1 MB (``assumed_bandwidth`` stays what Dask begins with), the limits on fetches at a time (and so their
    order by rank), several results fetched in one message, copies as sources (a result comes from the worker that made
    it), workers that die. The scheduler knows at once when a result has come in at a worker; one that comes in for a
    task that was stolen meanwhile is kept. Of 20 saturated workers or more, too, the busiest is stolen from first. All
    successors of a task read its whole result: ``edge_size`` does not matter.

    Taught in chapters 05, 06, 10 and 14. Compared with real runs by ``make fidelity``.

    References
    ----------
    The source of distributed 2026.8: ``scheduler.py`` (``decide_worker_rootish_queuing_enabled``,
    ``decide_worker_non_rootish``, ``worker_objective``, ``check_idle_saturated``), ``stealing.py``.
    """

    worker_saturation: float = 1.1
    stealing: bool = True
    steal_interval: float = 1.0
    steal_latency: float = 0.1
    unknown_duration: float = 0.5
    assumed_bandwidth: float = 1e8
    group: ArrayLike | None = None
    known: ArrayLike | None = None
    rank: ArrayLike | None = None
    submissions: Submissions | None = None
    shuffle: ArrayLike | None = None

    def __post_init__(self) -> None:
        bounds = {"worker_saturation": 0.0, "steal_latency": 0.0, "unknown_duration": 0.0, "assumed_bandwidth": 0.0}
        for name, above in bounds.items():
            if name == "worker_saturation" and np.isscalar(self.worker_saturation) and self.worker_saturation == np.inf:
                continue
            scalar(name, getattr(self, name), above=above)
        if not isinstance(self.stealing, (bool, np.bool_)):
            raise ValueError(f"stealing is {self.stealing!r:.80}; it must be True or False")
        scalar("steal_interval", self.steal_interval, low=SHORTEST_INTERVAL)

    def simulate(self, graph: TaskGraph, cluster: Cluster, seed: int) -> Trace:
        """Return the trace of a run."""
        from course.simulate.dask.loop import simulate
        from course.simulate.dask.state import N_ENTRIES

        refuse_failures(cluster, "dask")
        n = len(graph)
        rng = generator(seed)
        shuffle, phase = rng.permutation(n), rng.random()
        if self.shuffle is not None:
            shuffle = _permutation("shuffle", self.shuffle, n)
        s, r = self._state(graph, cluster, shuffle, real_durations(graph, cluster, seed))
        interval = float(self.steal_interval)
        r = simulate(s, r, phase * interval, interval if self.stealing else np.inf)

        tasks, entries = s.tasks, r.entries[: s.count[N_ENTRIES]]
        ids, nowhere = np.arange(n, dtype=np.int32), np.full(n, -1, np.int32)
        compute = np.full(n, COMPUTE, np.uint8)
        parts = [
            (ids, tasks["where"], tasks["thread"], compute, tasks["start"], tasks["stop"], tasks["output"], nowhere)
        ]
        # A transfer that nobody needed any more when it came was made all the same.
        moved = entries[~np.isnan(entries["stop"])]
        moved = moved[np.argsort(moved["start"], kind="stable")]
        if len(moved) and ((s.latency > 0).any() or np.isfinite(s.bandwidth).any() or np.isfinite(s.backbone)):
            kind, lane = np.full(len(moved), TRANSFER, np.uint8), np.full(len(moved), -1, np.int32)
            columns = (moved["reader"], moved["worker"], lane, kind, moved["start"], moved["stop"])
            parts.append((*columns, tasks["output"][moved["task"]], moved["source"]))
        if cluster.scheduler_overhead > 0:
            kind = np.full(n, OVERHEAD, np.uint8)
            begun = tasks["given"] - cluster.scheduler_overhead
            parts.append((ids, nowhere, nowhere, kind, begun, tasks["given"], np.zeros(n), nowhere))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        submitted = None if self.submissions is None else self.submissions.times(tasks["stop"])
        return Trace(*columns, graph=graph, cluster=cluster, origin="simulated", submitted=submitted)

    def _state(self, graph: TaskGraph, cluster: Cluster, shuffle: np.ndarray, duration: np.ndarray) -> tuple:
        """Return everything as it is before the graph comes."""
        from course.simulate.dask import state as kernel

        n, w = len(graph), cluster.workers
        after_indptr, after = graph.successor_arrays
        tasks = np.zeros(n, kernel.TASK)
        tasks["duration"], tasks["output"] = duration, graph.output_size
        tasks["rank"], tasks["shuffle"] = _rank(graph, self.rank), shuffle
        tasks["group"] = _groups(graph, self.group)
        tasks["before"], tasks["before_end"] = graph.indptr[:-1], graph.indptr[1:]
        tasks["after"], tasks["after_end"] = len(after) + after_indptr[:-1], len(after) + after_indptr[1:]
        submissions = self.submissions or Submissions.at_once(graph)
        submissions.check(graph)
        tasks["occasion"], tasks["weight"] = submissions.occasion, submissions.weight
        occasions = np.zeros(len(submissions.after), kernel.OCCASION)
        occasions["after"], occasions["pause"] = submissions.after, submissions.pause
        occasions["last"] = np.cumsum(np.bincount(submissions.occasion, minlength=len(occasions)))
        occasions["first"][1:] = occasions["last"][:-1]
        tasks["missing"], tasks["waiters"] = np.diff(graph.indptr) + 1, np.diff(after_indptr)
        tasks["where"] = tasks["thread"] = tasks["thief"] = tasks["entry"] = -1
        nodes = np.zeros(2 * n, kernel.NODE)
        nodes["key"] = np.concatenate([tasks["rank"], tasks["shuffle"]])
        workers = np.zeros(w, kernel.WORKER)
        workers["threads"] = cluster.threads_per_worker
        workers["free"] = np.minimum(cluster.threads_per_worker, n)  # more threads than tasks are idle
        workers["speed"] = cluster.speed
        workers["ready"] = workers["freed"] = -1
        workers["idle"] = workers["has_slot"] = True
        threads = float(cluster.threads_per_worker.sum(dtype=float))
        groups = np.zeros(int(tasks["group"].max(initial=-1)) + 1, kernel.GROUP)
        groups["tasks"] = groups["unassigned"] = np.bincount(tasks["group"], minlength=len(groups))
        groups["average"] = _known(self.known, len(groups))
        groups["rootish"] = _rootish(graph, tasks["group"], groups["tasks"], threads)
        groups["last_worker"] = -1
        self._check_size(cluster, tasks, groups, float(submissions.pause.sum()))
        count = np.zeros(kernel.COUNTS, np.int64)
        count[kernel.N_LEFT], count[kernel.QUEUE] = n, -1
        state = kernel.State(
            tasks,
            workers,
            groups,
            edges=np.concatenate([graph.indices, after]).astype(np.int64),
            nodes=nodes,
            stealable=np.full((w, kernel.LEVELS), -1),
            prefixes=np.zeros((w, len(groups)), np.int64),
            latency=pairs(cluster.latency, w),
            bandwidth=pairs(cluster.bandwidth, w),
            link_free=links_of(cluster),
            count=count,
            clock=np.zeros(kernel.CLOCKS),
            threads=threads,
            backbone=float(cluster.backbone),
            overhead=float(cluster.scheduler_overhead),
            delay=float(cluster.release_delay) / 2,
            saturation=float(self.worker_saturation),
            unknown=float(self.unknown_duration),
            assumed_bandwidth=float(self.assumed_bandwidth),
            steal_latency=float(self.steal_latency),
            occasions=occasions,
            submitted=np.argsort(submissions.occasion, kind="stable"),
        )
        room = 4 * n + len(graph.indices) + len(occasions) + 8
        growing = kernel.Growing(np.zeros(room, kernel.ENTRY), np.empty(room), np.empty(room, np.int64))
        return state, growing

    def _check_size(self, cluster: Cluster, tasks: np.ndarray, groups: np.ndarray, pauses: float) -> None:
        """Refuse what would need too much memory, or sums of times that are not finite."""
        n, w = len(tasks), cluster.workers
        if w > MOST_WORKERS:
            raise ValueError(f"the cluster has {w} workers; at most {MOST_WORKERS:,} can be simulated")
        if w * len(groups) > MOST_COUNTS:
            raise ValueError(f"{len(groups)} groups × {w} workers are too many; the product is at most {MOST_COUNTS:,}")
        slowest = min(np.min(cluster.bandwidth), cluster.backbone)
        with np.errstate(over="ignore"):
            size = tasks["output"].sum() * w  # every result to every worker
            run = tasks["duration"].sum() / np.min(cluster.speed) + n * cluster.scheduler_overhead
            run += size / slowest + n * (w * np.max(cluster.latency) + 2 * cluster.release_delay)
            run += pauses
            thought = n * max(self.unknown_duration, groups["average"].max(initial=0.0)) + self.steal_latency
            thought += size / self.assumed_bandwidth
        if not run <= MOST_SECONDS:
            raise ValueError(f"the run could take longer than {MOST_SECONDS:g} s; give costs that are less far apart")
        if not thought <= MOST_SECONDS:
            raise ValueError(
                f"unknown_duration is {self.unknown_duration:g} and assumed_bandwidth {self.assumed_bandwidth:g};"
                f" the tasks must not be thought to take longer than {MOST_SECONDS:g} s"
            )


def _groups(graph: TaskGraph, group: ArrayLike | None) -> np.ndarray:
    """Return the group of each task, numbered from 0."""
    values = _whole_numbers("group", np.diff(graph.indptr) > 0 if group is None else group, len(graph))
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _rank(graph: TaskGraph, rank: ArrayLike | None) -> np.ndarray:
    from course.graph.daskorder import dask_order

    if rank is None:
        return dask_order(graph)
    return _permutation("rank", rank, len(graph))


def _permutation(name: str, value: ArrayLike, n: int) -> np.ndarray:
    values = _whole_numbers(name, value, n)
    if not np.array_equal(np.sort(values), np.arange(n)):
        raise ValueError(f"{name} must be a permutation of the numbers 0 … {n - 1}, one for each task")
    return values.astype(np.int64)


def _whole_numbers(name: str, value: ArrayLike, n: int) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.shape != (n,) or (n > 0 and array.dtype.kind not in "biu"):
        raise ValueError(f"{name} is {value!r:.80}; it must hold a whole number for each of {n} tasks")
    return array


def _known(known: ArrayLike | None, groups: int) -> np.ndarray:
    if known is None:
        return np.full(groups, -1.0)
    values = np.array(number("known", known))
    if values.shape != (groups,):
        raise ValueError(f"known has shape {values.shape}; it must be ({groups},): one number for each group")
    return values


def _rootish(graph: TaskGraph, group: np.ndarray, size: np.ndarray, threads: float) -> np.ndarray:
    """Return which groups Dask takes for the roots of a graph: large, with few inputs."""
    groups = len(size)
    owner = np.repeat(group, np.diff(graph.indptr))
    needs = np.unique(owner * groups + group[graph.indices])  # which group needs which
    few = np.bincount(needs // max(groups, 1), minlength=groups) < 5
    small = np.bincount(needs // max(groups, 1), weights=size[needs % max(groups, 1)], minlength=groups) < 5
    return (size > 2 * threads) & few & small
