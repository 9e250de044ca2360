"""The memory of a cluster's worker processes, watched from outside."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from distributed import Client

from course.domain import scalar

if TYPE_CHECKING:
    from distributed import Worker


class MemoryWatch:
    """What `watch_memory` saw.

    Attributes
    ----------
    times : array, shape (samples,)
        Seconds since the watch began.
    process : array, shape (samples, workers)
        Resident memory of each worker process [bytes]; NaN after it has died.
    written, read : float
        Bytes that the workers wrote to disk and read back, of spilled results; workers that died took theirs with them.
    """

    def __init__(self) -> None:
        self.times = np.zeros(0)
        self.process = np.zeros((0, 0))
        self.written = self.read = 0.0

    @property
    def rest(self) -> float:
        """The most that any one process had at the first look, before the block did anything [bytes]."""
        return float(np.nanmax(self.process[0])) if np.isfinite(self.process[:1]).any() else 0.0

    @property
    def peak(self) -> float:
        """The most that any one process had [bytes]."""
        return float(np.nanmax(self.process)) if np.isfinite(self.process).any() else 0.0


@contextlib.contextmanager
def watch_memory(client: Client, interval: float = 0.01) -> Iterator[MemoryWatch]:
    """Watch the resident memory of the workers of this machine, and what they spill, inside the block.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster whose workers run on this machine.
    interval : float
        Seconds between two looks.

    Yields
    ------
    MemoryWatch
        Filled when the block ends, also by an exception.

    Raises
    ------
    ValueError
        If the interval is not positive.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, processes=False, dashboard=False, local=True) as client:
    ...     with watch_memory(client) as watch:
    ...         _ = client.submit(bytes, 10**6).result()
    >>> watch.peak >= watch.rest > 10e6, watch.written
    (True, 0.0)

    Notes
    -----
    It asks the operating system, not Dask, so that it sees between two of Dask's own looks (every 100 ms), and needs no
    help from a worker that is in trouble. A worker that a nanny starts anew is another process, and not watched.
    Chapter 22.
    """
    interval = scalar("interval", interval, above=0)
    seen = MemoryWatch()
    before = _spilled(client)
    processes = [psutil.Process(pid) for pid in sorted(set(_of_all(client, os.getpid).values()))]
    times: list[float] = []
    rows: list[list[float]] = []
    over = threading.Event()

    def look() -> None:
        began = time.perf_counter()
        while True:
            times.append(time.perf_counter() - began)
            rows.append([_resident(each) for each in processes])
            if over.wait(interval):
                return

    thread = threading.Thread(target=look, daemon=True, name="watch-memory")
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        seen.times, seen.process = np.array(times), np.array(rows)
        with contextlib.suppress(Exception):  # a cluster in ruins has nothing to say
            after = _spilled(client)
            seen.written, seen.read = (
                sum(max(after[w][k] - before[w][k], 0.0) for w in after if w in before) for k in range(2)
            )


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss)
    except psutil.Error:
        return float("nan")


def _of_all(client: Client, function: Callable[[], Any], tries: int = 50) -> dict[str, Any]:
    """Return the answer of each worker; ask again while one of them is being started anew."""
    for _ in range(tries - 1):
        with contextlib.suppress(KeyError, OSError, TimeoutError):
            return client.run(function)
        time.sleep(0.2)
    return client.run(function)


def _spilled(client: Client) -> dict[str, tuple[float, float]]:
    """Return the bytes that each worker has written and read, of spilled results, since it began."""

    def count(dask_worker: Worker) -> tuple[float, float]:  # in here, so that it is sent by value
        found = {"disk-write": 0.0, "disk-read": 0.0}
        for label, value in dask_worker.digests_total.items():
            if isinstance(label, tuple) and label[-1] == "bytes":
                for name in found:
                    found[name] += value if name in label else 0.0
        return found["disk-write"], found["disk-read"]

    return _of_all(client, count)
