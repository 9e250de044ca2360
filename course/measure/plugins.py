"""What runs inside Dask's scheduler and workers while a run is recorded.

The classes and functions of this file are sent *by value*, so that a scheduler or worker on another machine need
not have this package installed. They may therefore use nothing of the package but what is in this file.
"""

from __future__ import annotations

import gc
import logging
import random
import sys
import threading
from collections import deque
from time import monotonic, time
from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker, WorkerPlugin, profile


class SchedulerRecorder(SchedulerPlugin):
    """Keeps, for every task that ends while it is registered, what the worker reported about it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began = 0.0
        self.submitted: dict[Any, float] = {}  # when each task arrived
        self.dependencies: dict[Any, list[Any]] = {}
        self.data: dict[Any, int] = {}  # bytes of results that were there before
        self.ends: list[tuple[Any, str, str, int, int, list[dict[str, Any]]]] = []
        self.workers: dict[str, tuple[Any, int]] = {}  # address: name, threads

    async def start(self, scheduler: Scheduler) -> None:
        """Note when the recording begins, and the workers that are there."""
        self.scheduler = scheduler
        self.began = time()
        for address in scheduler.workers:
            self.add_worker(scheduler, address)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Note a worker's name and threads."""
        state = scheduler.workers[worker]
        self.workers[worker] = (state.name, state.nthreads)

    def update_graph(self, scheduler: Scheduler, *, tasks: list[Any], **_: Any) -> None:
        """Keep when each new task came, and what it depends on."""
        now = time()
        for key in tasks:
            self.submitted.setdefault(key, now)
            before = scheduler.tasks[key].dependencies
            self.dependencies[key] = [state.key for state in before]
            for state in before:
                if state.nbytes >= 0:
                    self.data[state.key] = state.nbytes

    def transition(self, key: Any, start: str, finish: str, *_: Any, **report: Any) -> None:
        """Keep the report of an execution that ended."""
        # Only the end of an execution carries the worker's report.
        if "startstops" in report:
            end = (report["worker"], report.get("thread") or 0, report.get("nbytes") or 0, report["startstops"])
            self.ends.append((key, finish, *end))


class WorkerRecorder(WorkerPlugin):
    """Keeps all transfers into a worker (Dask itself keeps the last thousand) and its failed attempts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures: list[tuple[Any, int, list[dict[str, Any]]]] = []

    def setup(self, worker: Worker) -> None:
        """Give the worker a log of transfers that does not drop the oldest."""
        self.worker = worker
        self.usual_log = worker.transfer_incoming_log
        worker.transfer_incoming_log = self.log = deque()

    def teardown(self, worker: Worker) -> None:
        """Give the worker its usual log back."""
        if worker.transfer_incoming_log is self.log:
            self.usual_log.extend(self.log)
            worker.transfer_incoming_log = self.usual_log

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Keep the report of an attempt that failed."""
        # The scheduler passes on the report of the last attempt only; the others are kept here.
        if finish == "error" and (state := self.worker.state.tasks.get(key)) is not None:
            thread = self.worker.state.threads.get(key) or 0
            self.failures.append((key, thread, list(state.startstops)))


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


def count_unfinished(name: str, dask_scheduler: Scheduler) -> int:
    """Return how many tasks of the recorded run are on their way."""
    states = dask_scheduler.tasks
    pending = ("processing", "queued", "waiting", "no-worker")
    recorded = dask_scheduler.plugins[name].dependencies
    return sum(1 for key in recorded if key in states and states[key].state in pending)


def collect_scheduler(name: str, dask_scheduler: Scheduler) -> dict[str, Any]:
    """Return what the scheduler's recorder kept, as plain lists; tasks are numbers into ``names``."""
    recorder = dask_scheduler.plugins[name]
    number = {key: i for i, key in enumerate({**recorder.dependencies, **recorder.data})}
    for key, *_ in recorder.ends:
        number.setdefault(key, len(number))
    return {
        "names": [str(key) for key in number],
        "began": recorder.began,
        "submitted": [recorder.submitted.get(key, recorder.began) for key in number],
        "dependencies": [[number[k] for k in recorder.dependencies.get(key, ()) if k in number] for key in number],
        "data": [recorder.data.get(key, 0) for key in number],
        "workers": [[address, str(label), threads] for address, (label, threads) in recorder.workers.items()],
        "ends": [
            [number[key], finish, worker, thread, size, _plain(times)]
            for key, finish, worker, thread, size, times in recorder.ends
        ],
    }


def collect_worker(name: str, dask_worker: Worker) -> dict[str, Any]:
    """Return the transfers into this worker and its failed attempts, as plain lists."""
    recorder = dask_worker.plugins[name]
    return {
        "transfers": [
            [entry["start"], entry["stop"], entry["who"], [str(key) for key in entry["keys"]], entry["total"]]
            for entry in recorder.log
        ],
        "failures": [[str(key), thread, _plain(times)] for key, thread, times in recorder.failures],
    }


def collect_stacks(name: str, dask_worker: Worker) -> dict[str, Any]:
    """Return the tree of stacks that this worker's sampler built, and end it."""
    sampler = dask_worker.plugins[name]
    sampler.teardown(dask_worker)
    return sampler.tree


def profiles(dask_worker: Worker) -> bool:
    """Tell whether this worker runs Dask's profiler."""
    return "profile" in dask_worker.periodic_callbacks


def _plain(startstops: list[dict[str, Any]]) -> list[list[Any]]:
    return [[entry["action"], entry["start"], entry["stop"], entry.get("source", "")] for entry in startstops]
