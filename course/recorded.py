"""From the notes that a recorder kept in Dask's scheduler (`course.measure.recorder`) to a `Trace`.

Nothing here needs Dask: what was recorded elsewhere is read anywhere.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from course.cluster import Cluster
from course.graph import TaskGraph
from course.trace import Trace

# Dask's words for what a worker does, and ours.
_KIND = {"compute": "compute", "transfer": "transfer", "disk-read": "disk", "disk-write": "disk",
         "deserialize": "deserialize"}  # fmt: skip

Note = list[Any]
"""One note: its kind, and what that kind has (`course.measure.recorder`)."""


def read_notes(path: Path) -> Iterator[Note]:
    """Yield the notes in a file: one JSON list a line. A last line that is not whole is left out."""
    with open(path, "rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:  # its writer was stopped in the middle, or the disk was full
                return


def ran(notes: Iterable[Note]) -> bool:
    """Tell whether the notes have at least one task that ran."""
    return any(note[0] in ("end", "attempt") for note in notes)


def numbered(path: Path) -> Iterator[Path]:
    """Yield the path itself, then the same with a number: ``run.parquet``, ``run-2.parquet``, …

    Examples
    --------
    >>> [path.name for path, _ in zip(numbered(Path("run.parquet")), range(3))]
    ['run.parquet', 'run-2.parquet', 'run-3.parquet']
    """
    yield path
    for count in itertools.count(2):
        yield path.with_name(f"{path.stem}-{count}{path.suffix}")


def save_new(trace: Trace, path: Path) -> Path:
    """Save a trace under the first of the `numbered` names that is free, whole or not at all; return that path."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        trace.save(beside)
        for target in numbered(path):
            try:
                open(target, "xb").close()  # ours from here on
            except FileExistsError:
                continue
            os.replace(beside, target)
            return target
        raise AssertionError
    finally:
        beside.unlink(missing_ok=True)


class _Rows:
    """The columns of a trace, while they are collected."""

    def __init__(self) -> None:
        self.columns: list[tuple[Any, ...]] = []
        self.seen: set[tuple[Any, ...]] = set()

    def add(
        self, task: int, name: str, worker: int, thread: int, action: str, times: tuple[float, float], size: float,
        source: int,
    ) -> None:  # fmt: skip
        # A task's report repeats what earlier runs of it on the same worker reported.
        identity = (name, worker, action, *times)
        if identity not in self.seen:
            self.seen.add(identity)
            start, stop = times
            self.columns.append((task, worker, thread, _KIND[action], start, max(start, stop), size, source))


class _Noted:
    """The notes of one scheduler, sorted by what they are about.

    Tasks are numbers into ``names``, in the order in which the scheduler learned of them. A task that was submitted
    again and ran again, because its result had been released, is another one of the same name.
    """

    def __init__(self, notes: Iterable[Note]) -> None:
        self.began = 0.0
        self.workers: dict[str, tuple[str, int]] = {}
        self.ends: list[Note] = []  # [task, how it ended, worker, thread, bytes, times]
        self.transfers: dict[tuple[str, str, float], Note] = {}  # (worker, source, start): [stop, task or None, bytes]
        self.names: list[str] = []
        self.submitted: list[float] = []
        self.sizes: list[float] = []
        self.before: list[list[int]] = []
        self._reads: list[list[str] | None] = []  # the names, until the task is seen to run
        self._place: list[int] = []  # in the order of submission
        self._ended: list[bool] = []
        self._now: dict[str, int] = {}  # which task a name stands for
        self._again: dict[str, tuple[float, list[str], int]] = {}  # what was submitted after it had ended
        places = itertools.count()
        for kind, *note in notes:
            if kind == "began":
                self.began = note[0]
            elif kind == "worker":
                address, label, threads = note
                self.workers[address] = (label, threads)
            elif kind == "graph":
                time, tasks, results = note
                for name, reads in tasks:
                    self._submit(name, time, reads, next(places))
                for name, size in results:
                    if name not in self._now:
                        self._new(name, self.began, [], next(places))
                    self.sizes[self._now[name]] = size
            elif kind == "end":
                name, finish, worker, thread, size, times = note
                task = self._running(name, next(places))
                self.ends.append([task, finish, worker, thread, size, times])
                self._ended[task] = True
            elif kind == "attempt":
                worker, name, thread, times = note
                self.ends.append([self._running(name, next(places)), "attempt", worker, thread, 0, times])
            elif kind == "transfer":
                worker, start, stop, source, names, total = note
                owner = next((self._now[name] for name in names if name in self._now), None)
                self.transfers[worker, source, start] = [stop, owner, total]
        self._sort()
        # A task that runs again where it ran before reports its earlier runs, too: those from before the recording go.
        self.ends = [[*end, [each for each in times if each[2] > self.began]] for *end, times in self.ends]

    def _new(self, name: str, time: float, reads: list[str], place: int) -> int:
        self._now[name] = len(self.names)
        self.names.append(name)
        self.submitted.append(time)
        self.sizes.append(0.0)
        self.before.append([])
        self._reads.append(reads)
        self._place.append(place)
        self._ended.append(False)
        return self._now[name]

    def _submit(self, name: str, time: float, reads: list[str], place: int) -> None:
        task = self._now.get(name)
        if task is None:
            self._new(name, time, reads, place)
        elif self._ended[task]:
            self._again[name] = (time, reads, place)  # it may be there still, and not run
        elif self._reads[task] is not None:
            self._reads[task] = reads

    def _running(self, name: str, place: int) -> int:
        """Return the task of this name that runs now; what it reads are the tasks that last had these names."""
        if name in self._again:
            task = self._new(name, *self._again.pop(name))
        elif name in self._now:
            task = self._now[name]
        else:
            task = self._new(name, self.began, [], place)
        reads, self._reads[task] = self._reads[task], None
        if reads is not None:
            self.before[task] = [self._now[each] for each in reads if each in self._now]
        return task

    def _sort(self) -> None:
        """Number the tasks in the order of their submission."""
        order = sorted(range(len(self.names)), key=self._place.__getitem__)
        number = [0] * len(order)
        for i, task in enumerate(order):
            number[task] = i
        self.names = [self.names[task] for task in order]
        self.submitted = [self.submitted[task] for task in order]
        self.sizes = [self.sizes[task] for task in order]
        self.before = [[number[each] for each in self.before[task]] for task in order]
        self.ends = [[number[task], *end] for task, *end in self.ends]
        for transfer in self.transfers.values():
            transfer[1] = None if transfer[1] is None else number[transfer[1]]


def build(notes: Iterable[Note]) -> tuple[Trace, list[str]]:
    """Return the trace of one scheduler's notes, and the names of the tasks whose last attempt raised.

    Raises
    ------
    RuntimeError
        If there was no worker.
    """
    noted = _Noted(notes)
    cluster, index = _cluster(noted.workers)
    rows = _Rows()
    # A transfer is in the report of a task and told by its worker; the instants are the same to the last bit.
    attributed = set()
    last: dict[str, str] = {}
    threads = _thread_numbers(noted.ends)
    for task, finish, worker, thread, size, startstops in noted.ends:
        name = noted.names[task]
        if finish != "attempt":
            last[name] = finish
            noted.sizes[task] = max(size, 0)
        for action, start, stop, source in startstops:
            amount, on_thread = 0.0, threads.get((worker, thread), -1)
            if action == "compute":
                amount = size
            elif action == "transfer":
                on_thread = -1
                transfer = (worker, source, start)
                attributed.add(transfer)
                # Its worker may have gone before it could tell: see below.
                amount = noted.transfers[transfer][2] if transfer in noted.transfers else np.nan
            rows.add(task, name, index[worker], on_thread, action, (start, stop), amount, index.get(source, -1))
    for (worker, source, start), (stop, owner, total) in noted.transfers.items():
        if (worker, source, start) not in attributed and owner is not None and worker in index:
            times = (start, stop)
            rows.add(
                owner, noted.names[owner], index[worker], -1, "transfer", times, total, index.get(source, -1)
            )  # fmt: skip
    return _trace(noted, cluster, rows), [name for name, finish in last.items() if finish == "erred"]


def _trace(noted: _Noted, cluster: Cluster, rows: _Rows) -> Trace:
    """Make the trace, with the part of the graph that ran or was read by what ran."""
    before = noted.before
    columns = list(zip(*rows.columns, strict=True)) or [()] * 8
    task, worker, thread, kind, start, stop, size, source = map(np.array, columns)
    computed = {t for t, k in zip(columns[0], columns[3], strict=True) if k == "compute"}
    kept = sorted(computed.union(columns[0], *(before[t] for t in computed)))
    renumber = {t: i for i, t in enumerate(kept)}
    predecessors = [[renumber[p] for p in before[t]] if t in computed else [] for t in kept]
    duration = np.zeros(len(kept))
    for t, k, begin, end in zip(columns[0], columns[3], columns[4], columns[5], strict=True):
        if k == "compute":
            duration[renumber[t]] = end - begin
    made = np.array([noted.sizes[t] for t in kept], dtype=float)
    graph = TaskGraph(duration, made, predecessors, names=[noted.names[t] for t in kept])
    task = np.array([renumber[t] for t in columns[0]], dtype=np.int32)
    size = np.asarray(size, dtype=float)
    for row in np.flatnonzero(np.isnan(size)):
        # What is known of this transfer died with its worker: it brought (some of) what its task reads.
        size[row] = sum(made[p] for p in predecessors[task[row]])
    # The run begins when its first task arrives, or with the first row: clocks differ a little.
    submitted = np.array([noted.submitted[t] for t in kept])
    arrived = submitted[[t in computed for t in kept]] if kept else submitted
    origin = min(arrived.min(initial=np.inf), start.min(initial=np.inf)) if len(task) else noted.began
    submitted = np.maximum(submitted - origin, 0.0)
    order = np.argsort(start, kind="stable")
    kind = kind.astype(str) if len(task) else np.empty(0, dtype=np.uint8)
    columns = (task, worker, thread, kind, start - origin, stop - origin, size, source)
    columns = (c[order] for c in columns)
    return Trace(*columns, graph=graph, cluster=cluster, origin="measured", submitted=submitted)


def _cluster(workers: dict[str, tuple[str, int]]) -> tuple[Cluster, dict[str, int]]:
    """Return the cluster, its workers in the order of their names, and the number of each address."""

    def by_name(address: str) -> tuple[int, int, str]:
        label = workers[address][0]
        return (0, int(label), "") if label.isdecimal() else (1, 0, label)

    addresses = sorted(workers, key=by_name)  # stable: a worker that replaced another comes after it
    if not addresses:
        raise RuntimeError("the cluster had no worker while it was recorded")
    index = {address: i for i, address in enumerate(addresses)}
    threads = np.array([workers[address][1] for address in addresses])
    return Cluster(len(addresses), threads, names=tuple(workers[address][0] for address in addresses)), index


def _thread_numbers(ends: list[Note]) -> dict[tuple[str, int], int]:
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
