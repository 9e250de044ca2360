"""What runs inside Dask's workers, besides the recorder (`course.measure.recorder`).

The classes and functions of this file are sent *by value*, so that a worker on another machine need not have this
package installed. They may therefore use nothing of the package but what is in this file.
"""

from __future__ import annotations

import gc
import logging
import random
import sys
import threading
from time import monotonic
from typing import Any

from distributed import Worker, WorkerPlugin, profile


class StackSampler(WorkerPlugin):
    """Looks, from a thread of its own, at the stacks of the threads that run tasks, and adds them to a tree."""

    def __init__(self, name: str, interval: float, jitter: float) -> None:
        self.name = name
        self.interval = interval
        self.jitter = jitter

    def setup(self, worker: Worker) -> None:
        """Begin to look."""
        self.worker = worker
        self.tree = profile.create()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True, name=self.name)
        self.thread.start()

    def teardown(self, worker: Worker) -> None:
        """Look no more."""
        self.over.set()
        self.thread.join()

    def watch(self) -> None:
        """Look again and again, until it is over."""
        rng = random.Random(self.name)  # another sequence on every occasion
        due = monotonic()
        while True:
            # A look that came late does not move the next ones; what was missed meanwhile is left out.
            due = max(due + self.interval * (1 + self.jitter * rng.uniform(-1, 1)), monotonic())
            if self.over.wait(due - monotonic()):
                return
            self.look()

    def look(self) -> None:
        """Add the stack of each thread that runs a task."""
        with self.worker.active_threads_lock:
            active = list(self.worker.active_threads)
        if not active:
            return
        # In Python 3.11, a collection of garbage while the frames are listed can deadlock (dask/distributed#8616).
        collects = gc.isenabled()
        gc.disable()
        try:
            frames = sys._current_frames()
        finally:
            if collects:
                gc.enable()
        for thread in active:
            if thread in frames:
                profile.process(frames[thread], None, self.tree, stop="distributed/worker.py")


class QuietEnd(WorkerPlugin):
    """Keeps a worker process from reporting, with a traceback, that the scheduler it served has just been closed."""

    name = "course-quiet-end"

    def setup(self, worker: Worker) -> None:
        """Leave out the record of a heartbeat that found no scheduler."""
        for handler in logging.getLogger("distributed").handlers:
            handler.addFilter(lambda record: "scheduler during heartbeat" not in record.getMessage())


def collect_stacks(name: str, dask_worker: Worker) -> dict[str, Any]:
    """Return the tree of stacks that this worker's sampler built, and end it."""
    sampler = dask_worker.plugins[name]
    sampler.teardown(dask_worker)
    return sampler.tree


def profiles(dask_worker: Worker) -> bool:
    """Tell whether this worker runs Dask's profiler."""
    return "profile" in dask_worker.periodic_callbacks


class NoLog(WorkerPlugin):
    """Keeps what a worker process logs from standard error; the worker's own list of its last records has it still."""

    name = "course-no-log"

    def setup(self, worker: Worker) -> None:
        """Let no record pass."""
        for handler in logging.getLogger("distributed").handlers:
            handler.addFilter(lambda record: False)
