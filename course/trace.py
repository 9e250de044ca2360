"""`Trace`: who did what, when. The same type from the simulator and from Dask."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from course.cluster import Cluster
from course.graph import TaskGraph

if TYPE_CHECKING:
    import pandas

KINDS = ("compute", "transfer", "disk", "deserialize", "overhead")
"""What a row of a trace can be; a row holds the index into this tuple."""

COMPUTE, TRANSFER, DISK, DESERIALIZE, OVERHEAD = range(5)

VERSION = 2
"""Version of the file format. A file of a newer version is refused; version 1 did not say when tasks were submitted."""


class TraceError(ValueError):
    """The columns, or the file, are not those of a trace; the message says where and why."""


class Trace:
    """What happened in a run: one row for each piece of work.

    Parameters
    ----------
    task : array of int, shape (rows,)
        The task, as its number in ``graph``.
    worker, thread : array of int, shape (rows,)
        Where: the worker's number in ``cluster``, and the thread on it; −1 where it does not apply (work of the
        scheduler has no worker, a transfer has no thread).
    kind : array of int or of str, shape (rows,)
        One of `KINDS`, as its index or its name.
    start, stop : array, shape (rows,)
        Seconds since the run began.
    size : array, optional
        Bytes that were moved (transfer, disk) or made (compute).
    source : array of int, optional
        For a transfer, the worker that the data came from; −1 otherwise.
    graph : TaskGraph
        The tasks and their dependencies.
    cluster : Cluster
        The machines.
    origin : {"simulated", "measured"}
        Where the trace comes from.
    submitted : array, shape (tasks,), optional
        When the scheduler was given each task of the graph, in seconds since the run began. Default: all at 0.

    Raises
    ------
    TraceError
        Columns of different lengths, unknown kinds, tasks or workers that do not exist, times that are NaN or
        end before they begin.

    Examples
    --------
    >>> from course.graph import chain
    >>> trace = Trace([0, 1], [0, 0], [0, 0], ["compute", "compute"], [0, 1], [1, 3],
    ...               graph=chain(2), cluster=Cluster(1), origin="simulated")
    >>> trace
    Trace(simulated: 2 tasks on 1 workers, makespan 3 s, utilization 100 %)

    Notes
    -----
    Taught in chapters 00 and 05; read in chapter 11.
    """

    def __init__(
        self,
        task: ArrayLike,
        worker: ArrayLike,
        thread: ArrayLike,
        kind: ArrayLike,
        start: ArrayLike,
        stop: ArrayLike,
        size: ArrayLike | None = None,
        source: ArrayLike | None = None,
        *,
        graph: TaskGraph,
        cluster: Cluster,
        origin: str,
        submitted: ArrayLike | None = None,
    ) -> None:
        if origin not in ("simulated", "measured"):
            raise TraceError(f"origin is {origin!r}; it must be 'simulated' or 'measured'")
        self.graph, self.cluster, self.origin = graph, cluster, origin
        self.task = _whole("task", task, 0, len(graph))
        rows = self.task.shape
        self.worker = _whole("worker", worker, -1, cluster.workers)
        self.thread = _whole("thread", thread, -1, np.iinfo(np.int32).max)
        self.kind = _kind_codes(kind)
        self.start = np.asarray(start, dtype=float)
        self.stop = np.asarray(stop, dtype=float)
        self.size = np.zeros(rows) if size is None else np.asarray(size, dtype=float)
        self.source = np.full(rows, -1, np.int32) if source is None else _whole("source", source, -1, cluster.workers)
        for name in COLUMNS:
            if getattr(self, name).shape != rows or len(rows) != 1:
                raise TraceError(f"{name} has shape {getattr(self, name).shape}; task has {rows}; all must be (rows,)")
        # Whole columns first, so that a million rows are checked in a millisecond and without copies.
        in_order = bool((self.start <= self.stop).all())  # and no NaN
        if not in_order or not (self.start.min(initial=0) > -np.inf and self.stop.max(initial=0) < np.inf):
            i = np.flatnonzero(~(np.isfinite(self.start) & np.isfinite(self.stop) & (self.start <= self.stop)))[0]
            raise TraceError(f"row {i} runs from {self.start[i]} to {self.stop[i]}; times must be finite and in order")
        if not (self.size.min(initial=0) >= 0 and self.size.max(initial=0) < np.inf):
            i = np.flatnonzero(~(np.isfinite(self.size) & (self.size >= 0)))[0]
            raise TraceError(f"size[{i}] is {self.size[i]}; it must be finite and at least 0")
        self.submitted = np.zeros(len(graph)) if submitted is None else np.asarray(submitted, dtype=float)
        if self.submitted.shape != (len(graph),) or not np.isfinite(self.submitted).all():
            raise TraceError(f"submitted must hold a finite time for each of {len(graph)} tasks")

    def __len__(self) -> int:
        return len(self.task)

    def __repr__(self) -> str:
        tasks = len(np.unique(self.task[self.kind == COMPUTE]))
        return (
            f"Trace({self.origin}: {tasks} tasks on {self.cluster.workers} workers,"
            f" makespan {self.makespan:.4g} s, utilization {self.utilization():.0%})".replace("%)", " %)")
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return (
            self.origin == other.origin
            and self.cluster == other.cluster
            and self.graph == other.graph
            and np.array_equal(self.submitted, other.submitted)
            and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in COLUMNS)
        )

    __hash__ = None

    # ---- its numbers

    @cached_property
    def makespan(self) -> float:
        """Seconds from the first start to the last stop."""
        return float(self.stop.max() - self.start.min()) if len(self) else 0.0

    def busy(self) -> np.ndarray:
        """Return the seconds that each worker spent computing, summed over its threads, shape (workers,)."""
        rows = (self.kind == COMPUTE) & (self.worker >= 0)
        seconds = (self.stop - self.start)[rows]
        return np.bincount(self.worker[rows], weights=seconds, minlength=self.cluster.workers)

    def idle(self) -> np.ndarray:
        """Return the seconds that the threads of each worker were not computing, shape (workers,)."""
        return self.cluster.threads_per_worker * self.makespan - self.busy()

    def utilization(self) -> float:
        """Return the share of all threads' time that was spent computing."""
        available = self.cluster.slots * self.makespan
        return float(self.busy().sum() / available) if available else 0.0

    def percentile(self, q: ArrayLike) -> Any:
        """Return percentiles (q in 0–100) of the tasks' durations [s]."""
        computes = self.kind == COMPUTE
        if not computes.any():
            raise TraceError("no task ran in this trace, so its tasks' durations have no percentiles")
        return np.percentile((self.stop - self.start)[computes], q)

    def order(self) -> np.ndarray:
        """Return the tasks in the order in which they started (ties: by worker, then thread)."""
        computes = np.flatnonzero(self.kind == COMPUTE)
        keys = (self.thread[computes], self.worker[computes], self.start[computes])
        return self.task[computes[np.lexsort(keys)]]

    def task_times(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the start and stop of each task of the graph [s]; NaN where it did not run; the last run counts."""
        computes = np.flatnonzero(self.kind == COMPUTE)
        computes = computes[np.argsort(self.stop[computes], kind="stable")]
        start = np.full(len(self.graph), np.nan)
        stop = np.full(len(self.graph), np.nan)
        start[self.task[computes]] = self.start[computes]
        stop[self.task[computes]] = self.stop[computes]
        return start, stop

    def positions(self) -> np.ndarray:
        """Return the place of each task of the graph in its topological order."""
        position = np.empty(len(self.graph), dtype=np.int64)
        position[self.graph.topological_order] = np.arange(len(self.graph))
        return position

    def before_on_thread(self) -> np.ndarray:
        """Return the task that ran before each one on the same thread, shape (tasks,); −1 if none did.

        What took no time goes by its start, its stop, then as the graph demands.
        """
        rows = np.flatnonzero(self.kind == COMPUTE)
        keys = (self.positions()[self.task[rows]], self.stop[rows], self.start[rows])
        rows = rows[np.lexsort((*keys, self.thread[rows], self.worker[rows]))]
        same = (self.worker[rows][1:] == self.worker[rows][:-1]) & (self.thread[rows][1:] == self.thread[rows][:-1])
        before = np.full(len(self.graph), -1)
        before[self.task[rows[1:]][same]] = self.task[rows[:-1]][same]
        return before

    def task_workers(self) -> np.ndarray:
        """Return the worker that ran each task, shape (tasks,): of several runs, the last; −1 if none did."""
        rows = np.flatnonzero(self.kind == COMPUTE)
        rows = rows[np.argsort(self.stop[rows], kind="stable")]
        worker = np.full(len(self.graph), -1)
        worker[self.task[rows]] = self.worker[rows]
        return worker

    def critical_path(self) -> list[int]:
        """Return the chain of tasks that decided the makespan, from first to last.

        From the task that stopped last, go back each time to what its start waited for: of its predecessors and of the
        task before it on the same thread, the one that stopped last.
        """
        computes = np.flatnonzero(self.kind == COMPUTE)
        if not len(computes):
            return []
        start, stop = self.task_times()
        position, on_thread = self.positions(), self.before_on_thread()
        # Of several that stopped last, the one that comes last in the graph.
        task = int(max(np.flatnonzero(stop == np.nanmax(stop)), key=lambda p: position[p]))
        path = [task]
        while True:
            waited = [int(p) for p in self.graph.predecessors(task) if not np.isnan(stop[p])]
            if on_thread[task] >= 0:
                waited.append(int(on_thread[task]))
            # Only what began before it can have held it up. (Not: what ended before it began. Clocks differ a little.)
            now = (start[task], stop[task], position[task])
            waited = [p for p in waited if (start[p], stop[p], position[p]) < now]
            if not waited:
                return path[::-1]
            task = max(waited, key=lambda p: stop[p])
            path.append(task)

    def held_bytes(self, keep: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return how many bytes of results exist, over time.

        Parameters
        ----------
        keep : bool
            Whether a result that no task reads is kept until the end (somebody holds its future), or forgotten at once.

        Returns
        -------
        times : array, shape (k,)
            When the number changes [s].
        held : array, shape (k,)
            The bytes from that time on, of all workers.

        Examples
        --------
        Sixteen chunks of 8 MB, each made and then summed up, on two workers. The order decides how many exist at once:

        >>> from course.graph import TaskGraph
        >>> from course.simulate import run
        >>> graph = TaskGraph([1] * 32, [8] * 16 + [0] * 16, [[] for _ in range(16)] + [[k] for k in range(16)])
        >>> depth_first = [*range(0, 32, 2), *range(1, 33, 2)]
        >>> [int(run(graph, 2, order).held_bytes()[1].max()) for order in (range(32), depth_first)]
        [128, 16]

        Notes
        -----
        A result counts from the start of its task to the end of the last task that reads it. Copies on other workers,
        and what a task needs besides its result, are left out; what did not run has no bytes. Chapter 22.
        """
        start, stop = self.task_times()
        end = float(np.nanmax(stop)) if len(self) and np.isfinite(stop).any() else 0.0
        size = np.where(np.isnan(start), 0.0, self.graph.output_size)
        reader = np.repeat(np.arange(len(self.graph)), np.diff(self.graph.indptr))
        last = np.full(len(self.graph), -np.inf)
        np.maximum.at(last, self.graph.indices, np.nan_to_num(stop, nan=end)[reader])
        last = np.where(np.isinf(last), end if keep else stop, last)
        ran = size > 0
        when = np.concatenate([start[ran], last[ran]])
        change = np.concatenate([size[ran], -size[ran]])
        # At the same instant, what ends goes before what begins.
        by_time = np.lexsort((change, when))
        return when[by_time], np.cumsum(change[by_time])

    # ---- in and out

    def to_frame(self) -> pandas.DataFrame:
        """Return the rows as a pandas data frame, with the tasks' names and the kinds as words."""
        import pandas

        frame = pandas.DataFrame({name: getattr(self, name) for name in COLUMNS})
        frame["kind"] = pandas.Categorical.from_codes(self.kind, categories=list(KINDS))
        frame.insert(1, "name", [self.graph.name(task) for task in self.task])
        return frame

    def save(self, path: str | Path) -> Path:
        """Write the trace, with its graph and cluster, to one Parquet file; return its path.

        The file is a table that any Parquet reader opens: first a row for each task of the graph (kind ``task``, with
        its duration, predecessors and name), then a row for each row of the trace. Nothing is lost.
        """
        from course.tracefile import write

        return write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read a trace that `save` wrote.

        Raises
        ------
        TraceError
            If the file is no Parquet file, is damaged, was not written by `save`, or is of a newer version.
        """
        from course.tracefile import read

        return read(Path(path))

    def to_perfetto(self, path: str | Path) -> Path:
        """Write the trace as Chrome trace events (JSON), which Perfetto (ui.perfetto.dev) opens; return its path.

        Workers become processes and threads become threads; transfers lie on lanes of their own, with their bytes and
        where they came from.

        References
        ----------
        Duca, Sinclair: Trace Event Format. Google, 2016 (complete events "X", metadata events "M").
        """
        path = Path(path)
        path.write_text(json.dumps(self._chrome_events(), allow_nan=False), encoding="utf-8")
        return path

    def _chrome_events(self) -> dict[str, Any]:
        events: list[dict[str, Any]] = []
        origin = self.start.min(initial=np.inf) if len(self) else 0.0
        scheduler = self.cluster.workers  # the process that stands for the scheduler
        lanes: dict[tuple[int, int], list[float]] = {}  # when each lane of (process, kind) is free again
        used: dict[tuple[int, int], str] = {}
        threads = int(self.thread.max(initial=-1)) + 1  # lanes are numbered after all threads
        for i in np.argsort(self.start, kind="stable").tolist():
            kind, process = int(self.kind[i]), int(self.worker[i])
            process = scheduler if process < 0 else process
            thread = int(self.thread[i])
            if kind == COMPUTE and thread >= 0:
                used[process, thread] = f"thread {thread}"
            else:
                # Slices of one lane must not overlap (by more than rounding): take the first lane that is free.
                free = lanes.setdefault((process, kind), [])
                lane = next((k for k, until in enumerate(free) if until <= self.start[i] + 1e-10), len(free))
                free[lane : lane + 1] = [float(self.stop[i])]
                thread = threads + len(KINDS) * lane + kind
                used[process, thread] = KINDS[kind]
            arguments = {"task": int(self.task[i]), "bytes": float(self.size[i])}
            if self.source[i] >= 0:
                arguments["source"] = int(self.source[i])
            events.append(
                {
                    "name": self.graph.name(int(self.task[i])),
                    "cat": KINDS[kind],
                    "ph": "X",
                    "ts": float(self.start[i] - origin) * 1e6,
                    "dur": float(self.stop[i] - self.start[i]) * 1e6,
                    "pid": process,
                    "tid": thread,
                    "args": arguments,
                }
            )
        for process, name in [*enumerate(worker_names(self.cluster)), (scheduler, "scheduler")]:
            events.append({"name": "process_name", "ph": "M", "pid": process, "tid": 0, "args": {"name": name}})
        for (process, thread), name in sorted(used.items()):
            events.append({"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": {"name": name}})
        return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"origin": self.origin}}


COLUMNS = ("task", "worker", "thread", "kind", "start", "stop", "size", "source")


def worker_names(cluster: Cluster) -> list[str]:
    """Return the names of a cluster's workers: their own, or "worker 0", "worker 1", … (as for Dask's "0", "1", …)."""
    names = cluster.names or [str(i) for i in range(cluster.workers)]
    return [f"worker {name}" if name.isdigit() else name for name in names]


def _kind_codes(kind: ArrayLike) -> np.ndarray:
    kind = np.asarray(kind)
    if kind.dtype.kind in "iu":
        _in_range("kind", kind, 0, len(KINDS))
        return kind.astype(np.uint8, copy=False)
    names, inverse = np.unique(kind.astype(str), return_inverse=True)
    unknown = [str(name) for name in names if name not in KINDS]
    if unknown:
        raise TraceError(f"kind {unknown[0]!r} is unknown; it must be one of {', '.join(KINDS)}")
    return np.array([KINDS.index(name) for name in names], dtype=np.uint8)[inverse.reshape(kind.shape)]


def _whole(name: str, values: ArrayLike, low: int, high: int) -> np.ndarray:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise TraceError(f"{name} holds {array.flat[0]!r}; it must hold whole numbers")
    _in_range(name, array, low, high)
    return array.astype(np.int32, copy=False)


def _in_range(name: str, values: np.ndarray, low: int, high: int) -> None:
    if values.size and (values.min() < low or values.max() >= high):
        bad = np.flatnonzero((values < low) | (values >= high))
        raise TraceError(f"{name}[{bad[0]}] is {values.flat[bad[0]]}; it must be in {low} … {high - 1}")
