"""Record a run on Dask as a `Trace`."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import cloudpickle
import numpy as np
from distributed import Client

from course.cluster import Cluster
from course.graph import TaskGraph
from course.measure import plugins
from course.trace import Trace

# Dask's words for what a worker does, and ours.
_KIND = {"compute": "compute", "transfer": "transfer", "disk-read": "disk", "disk-write": "disk",
         "deserialize": "deserialize"}  # fmt: skip


class Recorder:
    """What `record` gives: the `Trace` of the block, once it has ended.

    Attributes
    ----------
    unfinished : int
        Tasks that were still on their way when the recording stopped waiting for them.
    failed : list of str
        Names of the tasks whose last attempt raised.
    """

    def __init__(self) -> None:
        self._trace: Trace | None = None
        self.unfinished = 0
        self.failed: list[str] = []

    @property
    def trace(self) -> Trace:
        """The recorded run.

        Raises
        ------
        RuntimeError
            While the block is still running.
        """
        if self._trace is None:
            raise RuntimeError("the recording is not over: read .trace after the `with record(client)` block")
        return self._trace

    def __repr__(self) -> str:
        return f"Recorder({self._trace!r})" if self._trace is not None else "Recorder(recording)"


@contextlib.contextmanager
def record(client: Client, *, wait: float = 10.0) -> Iterator[Recorder]:
    """Record every task and transfer of a block.

    Parameters
    ----------
    client : distributed.Client
        The cluster to listen to: all its tasks are recorded, also those that other clients submit.
    wait : float
        How long to wait at the end of the block for tasks that are still on their way [s]. After an exception
        in the block: at most one second.

    Yields
    ------
    Recorder
        With ``.trace`` after the block, also when the block raised.

    Notes
    -----
    A plugin of the scheduler keeps the report that a worker sends when a task ends; a plugin of each worker keeps
    the transfers (the report says that one took place, the worker's log how large it was) and failed attempts.
    Both are sent by value: neither scheduler nor workers need this package.

    The graph of the trace has the tasks that ran, in the order in which the scheduler learned of them, with Dask's
    keys as names; their durations (of the last attempt) and their bytes. A result from before the block that a task
    reads is a task of no duration. A task that ran twice (its worker died, or it was retried) has two rows; runs that
    ended before the block are none of its rows. When each task came to the scheduler is kept, too: that a program waits
    for a result before it submits more cannot be seen in its graph.

    A transfer belongs to the task that made the worker fetch the data (the task whose result it is, if the data was
    fetched for none in particular); it can carry several results at once. It has no thread: workers fetch while
    they compute. Disk times are those above 5 ms, which is when Dask notes them; their bytes are not known. A result
    that was written to disk and that another worker fetches is read within that transfer; what a worker writes between
    tasks, because its process has become too large, is not noted.

    Of a worker that died, the transfers it made are known from the reports of the tasks it had finished; their
    size is that of the results which these tasks read from there. What it was doing when it died is lost.

    Clocks: Dask corrects compute and transfer times, but not disk times, by each worker's offset from the scheduler's
    clock, as estimated from heartbeats: good to about a millisecond on one machine, and to some 10 ms while a worker is
    busy with its disk or with large transfers, because it then answers late.

    Taught in chapters 10 (where the plugin is built step by step) and 11.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(2, processes=False, dashboard=False) as client:
    ...     with record(client) as run:
    ...         total = client.submit(sum, client.map(abs, [-1, 2, -3])).result()
    >>> len(run.trace.graph), run.trace.cluster.workers, run.trace.origin
    (4, 2, 'measured')
    """
    name = f"course-record-{uuid.uuid4().hex}"
    recorder = Recorder()
    with _by_value():
        client.register_plugin(plugins.WorkerRecorder(name))
        client.register_plugin(plugins.SchedulerRecorder(name))
    failed = True
    try:
        yield recorder
        failed = False
    finally:
        try:
            with _by_value():
                recorder.unfinished = _wait(client, name, min(wait, 1.0) if failed else wait)
                scheduler = client.run_on_scheduler(plugins.collect_scheduler, name)
                workers = client.run(plugins.collect_worker, name, on_error="ignore")
            recorder._trace, recorder.failed = _build(scheduler, workers)
        except Exception:
            # Nothing may hide what the block raised, which is the likely reason (the cluster is gone).
            if not failed:
                raise
        finally:
            with contextlib.suppress(Exception) if failed else contextlib.nullcontext():
                client.unregister_scheduler_plugin(name)
                client.unregister_worker_plugin(name)


@contextlib.contextmanager
def _by_value(module: ModuleType = plugins) -> Iterator[None]:
    """Let the plugins of a module travel by value, so that the other side need not have this package."""
    if module.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _wait(client: Client, name: str, limit: float) -> int:
    """Wait until no recorded task is on its way; return how many still are when the time is up."""
    until = time.monotonic() + limit
    while (left := client.run_on_scheduler(plugins.count_unfinished, name)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


class _Rows:
    """The columns of a trace, while they are collected."""

    def __init__(self) -> None:
        self.columns: list[tuple[Any, ...]] = []
        self.seen: set[tuple[Any, ...]] = set()

    def add(
        self, task: int, worker: int, thread: int, action: str, times: tuple[float, float], size: float, source: int
    ) -> None:
        # A task's report repeats what an earlier attempt of it on the same worker reported.
        identity = (task, worker, action, *times)
        if identity not in self.seen:
            self.seen.add(identity)
            start, stop = times
            self.columns.append((task, worker, thread, _KIND[action], start, max(start, stop), size, source))


def _build(scheduler: dict[str, Any], reports: dict[str, Any]) -> tuple[Trace, list[str]]:
    names = scheduler["names"]
    number = {name: i for i, name in enumerate(names)}
    cluster, index = _cluster(scheduler["workers"])
    rows, sizes = _Rows(), np.array(scheduler["data"], dtype=float)
    # A transfer is in the report of a task and in its worker's log; the instants are the same to the last bit.
    logs = {
        (worker, source, start): (keys, total)
        for worker, report in reports.items()
        for start, _, source, keys, total in report["transfers"]
    }
    attributed = set()
    last: dict[int, str] = {}
    # A task that runs again where it ran before reports its earlier runs, too: those from before the recording go.
    ends = [
        [*end, [each for each in times if each[2] > scheduler["began"]]]
        for *end, times in (*scheduler["ends"], *_failures(reports, number))
    ]
    threads = _thread_numbers(ends)
    for task, finish, worker, thread, size, startstops in ends:
        if finish != "attempt":
            last[task] = finish
            sizes[task] = max(size, 0)
        for action, start, stop, source in startstops:
            amount, on_thread = 0.0, threads.get((worker, thread), -1)
            if action == "compute":
                amount = size
            elif action == "transfer":
                on_thread = -1
                log = (worker, source, start)
                attributed.add(log)
                amount = logs[log][1] if log in logs else np.nan  # its worker is gone: see below
            rows.add(task, index[worker], on_thread, action, (start, stop), amount, index.get(source, -1))
    for worker, report in reports.items():
        for start, stop, source, keys, total in report["transfers"]:
            owner = next((number[key] for key in keys if key in number), None)
            if (worker, source, start) not in attributed and owner is not None:
                times = (start, stop)
                rows.add(owner, index[worker], -1, "transfer", times, total, index.get(source, -1))
    failed = [names[task] for task, finish in last.items() if finish == "erred"]
    return _trace(scheduler, cluster, rows, sizes), failed


def _trace(scheduler: dict[str, Any], cluster: Cluster, rows: _Rows, sizes: np.ndarray) -> Trace:
    """Make the trace, with the part of the graph that ran or was read by what ran."""
    before = scheduler["dependencies"]
    columns = list(zip(*rows.columns, strict=True)) or [()] * 8
    task, worker, thread, kind, start, stop, size, source = map(np.array, columns)
    ran = {t for t, k in zip(columns[0], columns[3], strict=True) if k == "compute"}
    kept = sorted(ran.union(columns[0], *(before[t] for t in ran)))
    renumber = {t: i for i, t in enumerate(kept)}
    predecessors = [[renumber[p] for p in before[t]] if t in ran else [] for t in kept]
    duration = np.zeros(len(kept))
    for t, k, begin, end in zip(columns[0], columns[3], columns[4], columns[5], strict=True):
        if k == "compute":
            duration[renumber[t]] = end - begin
    made = sizes[kept] if kept else np.empty(0)
    graph = TaskGraph(duration, made, predecessors, names=[scheduler["names"][t] for t in kept])
    task = np.array([renumber[t] for t in columns[0]], dtype=np.int32)
    size = np.asarray(size, dtype=float)
    for row in np.flatnonzero(np.isnan(size)):
        # The log of this transfer died with its worker: it brought (some of) what its task reads.
        size[row] = sum(made[p] for p in predecessors[task[row]])
    # The run begins when its first task arrives, or with the first row: clocks differ a little.
    submitted = np.array([scheduler["submitted"][t] for t in kept])
    arrived = submitted[[t in ran for t in kept]] if kept else submitted
    origin = min(arrived.min(initial=np.inf), start.min(initial=np.inf)) if len(task) else scheduler["began"]
    submitted = np.maximum(submitted - origin, 0.0)
    order = np.argsort(start, kind="stable")
    kind = kind.astype(str) if len(task) else np.empty(0, dtype=np.uint8)
    columns = (task, worker, thread, kind, start - origin, stop - origin, size, source)
    columns = (c[order] for c in columns)
    return Trace(*columns, graph=graph, cluster=cluster, origin="measured", submitted=submitted)


def _cluster(workers: list[list[Any]]) -> tuple[Cluster, dict[str, int]]:
    """Return the cluster, its workers in the order of their names, and the number of each address."""

    def by_name(worker: list[Any]) -> tuple[int, int, str]:
        return (0, int(worker[1]), "") if worker[1].isdecimal() else (1, 0, worker[1])

    workers = sorted(workers, key=by_name)  # stable: a worker that replaced another comes after it
    if not workers:
        raise RuntimeError("the cluster had no worker while it was recorded")
    index = {address: i for i, (address, _, _) in enumerate(workers)}
    threads = np.array([threads for _, _, threads in workers])
    return Cluster(len(workers), threads, names=tuple(label for _, label, _ in workers)), index


def _failures(reports: dict[str, Any], number: dict[str, int]) -> list[list[Any]]:
    """Return the failed attempts in the form of the scheduler's ends."""
    return [
        [number[name], "attempt", worker, thread, 0, times]
        for worker, report in reports.items()
        for name, thread, times in report["failures"]
        if name in number
    ]


def _thread_numbers(ends: list[list[Any]]) -> dict[tuple[str, int], int]:
    """Number the threads of each worker from 0, in the order of their first task."""
    first: dict[tuple[str, int], float] = {}
    for _, _, worker, thread, _, times in ends:
        for action, start, _, _ in times:
            if action == "compute" and start < first.get((worker, thread), np.inf):
                first[worker, thread] = start
    numbers: dict[tuple[str, int], int] = {}
    used: dict[str, int] = {}
    for worker, thread in sorted(first, key=first.__getitem__):
        numbers[worker, thread] = used[worker] = used.get(worker, -1) + 1
    return numbers
