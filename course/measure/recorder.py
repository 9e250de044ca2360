"""What records a run from inside Dask's scheduler and workers.

A plugin of the scheduler keeps *notes*; a plugin of each worker tells it, as things happen, what the scheduler does not
learn otherwise (bytes of transfers, attempts that failed), so that nothing is lost with a worker. Three ways lead here:

- `course.measure.record` registers the two plugins for a block of a program.
- ``course record`` gives a copy of this file, as a preload of Dask, to every scheduler that a command starts. The
  notes are written to a file beside the copy as they come: what ran is there, however the program ends.
- A scheduler that is started with this module records for as long as it lives, and saves the trace when it closes::

    COURSE_RECORD=run.parquet dask scheduler --preload course.measure.recorder

  Until then the notes are in ``run.parquet.notes``, which ``course diagnose`` and ``course whatif`` read, too, while
  the scheduler runs. Nothing is overwritten: a name that is taken gets a number.

Plugins are sent *by value*, and the copy is used by programs that cannot import this package. So nothing of the package
is used here but what is in this file, except by the third way, when it saves.

A note is a list that begins with its kind:

==========  ========================================================================================
began       instant
worker      address, name, threads
graph       instant, [[task, [tasks that it reads]]], [[result that was there before, bytes]]
end         task, how it ended, worker, thread, bytes, [[action, start, stop, source]]
attempt     worker, task, thread, [[action, start, stop, source]]: one that failed
transfer    worker, start, stop, source, [tasks], bytes
closed      instant
==========  ========================================================================================
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import logging
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic, time
from typing import Any

import cloudpickle
import dask
from distributed import Scheduler, SchedulerPlugin, Worker, WorkerPlugin
from distributed.preloading import process_preloads

TOPIC = "course-record"
"""Under this topic of Dask's events workers tell the scheduler what they saw."""

COPY = "course_recorder_"
"""How the name of a copy of this file begins, which ``course record`` made for one command."""

USUAL = "usual.json"
"""The file beside the copy that has what the command's environment said about preloads."""

logger = logging.getLogger("distributed.scheduler")  # a scheduler's log shows what it hears, and no others


class SchedulerRecorder(SchedulerPlugin):
    """Keeps, for every task that ends while it is registered, what the worker reported about it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[tuple[Any, ...]] = []
        self.heard: Counter[str] = Counter()  # how much each worker has told

    def note(self, *note: Any) -> None:
        """Keep a note."""
        self.notes.append(note)

    async def start(self, scheduler: Scheduler) -> None:
        """Note when the recording begins, and the workers that are there."""
        self.note("began", time())
        for address in scheduler.workers:
            self.add_worker(scheduler, address)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Note a worker's name and threads."""
        state = scheduler.workers[worker]
        self.note("worker", worker, str(state.name), state.nthreads)

    def update_graph(self, scheduler: Scheduler, *, tasks: list[Any], **_: Any) -> None:
        """Note when new tasks came, and what they depend on."""
        before = {key: [state.key for state in scheduler.tasks[key].dependencies] for key in tasks}
        read = {state for key in tasks for state in scheduler.tasks[key].dependencies if state.nbytes >= 0}
        self.note("graph", time(), before, {state.key: state.nbytes for state in read})

    def transition(self, key: Any, start: str, finish: str, *_: Any, **report: Any) -> None:
        """Note the report of an execution that ended."""
        # Only the end of an execution carries the worker's report.
        if "startstops" in report:
            end = (report["worker"], report.get("thread") or 0, report.get("nbytes") or 0, report["startstops"])
            self.note("end", key, finish, *end)

    def log_event(self, topic: str, msg: Any) -> None:
        """Note what a worker tells."""
        if topic == TOPIC and msg[0] == self.name:
            _, worker, kind, *rest = msg
            self.heard[worker] += 1
            self.note(kind, worker, *rest)


class Journal(SchedulerRecorder):
    """Writes the notes to a file as they come, so that they are there however the program ends."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self.path = path
        # Of a program that never closes its scheduler the file stays open, which a file object would complain about.
        self.file = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600
        )

    def note(self, *note: Any) -> None:
        """Write a note; write no more when that fails: the run matters more than its recording."""
        if self.file < 0:
            return
        line = json.dumps(plain(note), separators=(",", ":"), default=float).encode() + b"\n"
        try:
            whole = os.write(self.file, line) == len(line)
        except OSError as error:
            whole = False
            logger.warning("course record: stopped recording, because %s", error)
        if not whole:
            self.end()

    async def close(self) -> None:
        """Note the end."""
        self.note("closed", time())
        self.end()

    def end(self) -> None:
        """Write no more."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


class Overheard(deque):
    """A worker's log of transfers, whose entries are told to the scheduler, too."""

    def __init__(self, usual: deque, tell: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(usual, usual.maxlen)
        self.usual = usual
        self.tell = tell

    def append(self, entry: dict[str, Any]) -> None:
        """Log a transfer, and tell of it."""
        super().append(entry)
        self.usual.append(entry)  # another recording may listen there
        self.tell(entry)


class WorkerRecorder(WorkerPlugin):
    """Tells the scheduler of all transfers into a worker and of its failed attempts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = 0

    def setup(self, worker: Worker) -> None:
        """Listen to the worker's log of transfers."""
        self.worker = worker
        worker.transfer_incoming_log = self.log = Overheard(worker.transfer_incoming_log, self.transferred)

    def teardown(self, worker: Worker) -> None:
        """Give the worker its usual log back."""
        self.log.tell = lambda entry: None  # another recording may have put its log around this one
        if worker.transfer_incoming_log is self.log:
            worker.transfer_incoming_log = self.log.usual

    def transferred(self, entry: dict[str, Any]) -> None:
        """Tell of a transfer."""
        keys = [str(key) for key in entry["keys"]]
        times = (float(entry["start"]), float(entry["stop"]))
        self.tell("transfer", *times, entry["who"], keys, int(entry["total"]))

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Tell of an attempt that failed."""
        # The scheduler passes on the report of the last attempt only.
        if finish == "error" and (state := self.worker.state.tasks.get(key)) is not None:
            thread = self.worker.state.threads.get(key) or 0
            self.tell("attempt", str(key), thread, _plain_times(state.startstops))

    def tell(self, kind: str, *what: Any) -> None:
        """Send the scheduler a note."""
        try:
            self.worker.log_event(TOPIC, [self.name, self.worker.address, kind, *what])
            self.sent += 1
        except Exception:  # it would end the worker
            logging.getLogger("distributed.worker").exception("course record: a note is lost")


def plain(note: Iterable[Any]) -> list[Any]:
    """Return a note as plain lists, with tasks by their names."""
    kind, *rest = note
    if kind == "graph":
        instant, before, results = rest
        tasks = [[str(key), [str(other) for other in others]] for key, others in before.items()]
        return [kind, instant, tasks, [[str(key), size] for key, size in results.items()]]
    if kind == "end":
        key, finish, worker, thread, size, startstops = rest
        return [kind, str(key), finish, worker, thread, size, _plain_times(startstops)]
    return [kind, *rest]


def _plain_times(startstops: Iterable[dict[str, Any]]) -> list[list[Any]]:
    return [[entry["action"], entry["start"], entry["stop"], entry.get("source", "")] for entry in startstops]


# ---- for a block of a program: what `record` asks of them ----------------------------------------------------


def count_unfinished(name: str, dask_scheduler: Scheduler) -> int:
    """Return how many tasks of the recorded run are on their way."""
    states = dask_scheduler.tasks
    pending = ("processing", "queued", "waiting", "no-worker")
    recorded = {key for note in dask_scheduler.plugins[name].notes if note[0] == "graph" for key in note[2]}
    return sum(1 for key in recorded if key in states and states[key].state in pending)


def count_told(name: str, dask_worker: Worker) -> int:
    """Return how much a worker has told."""
    return dask_worker.plugins[name].sent


async def collect(name: str, told: dict[str, int], dask_scheduler: Scheduler) -> list[list[Any]]:
    """Return the notes, as plain lists, when all that workers have told has arrived (after 2 s: as they are)."""
    recorder = dask_scheduler.plugins[name]
    until = monotonic() + 2.0
    while any(recorder.heard[worker] < count for worker, count in told.items()) and monotonic() < until:
        await asyncio.sleep(0.005)
    return [plain(note) for note in recorder.notes]


# ---- for a scheduler's whole life: a preload of Dask ---------------------------------------------------------


async def dask_setup(scheduler: Scheduler) -> None:
    """Record a scheduler that starts, and all workers that will come to it."""
    copied = __name__.startswith(COPY)
    if copied:
        folder = Path(__file__).parent
        journal = Journal(__name__, folder / f"{time():.6f}-{scheduler.id}.notes")
    else:
        journal = _lasting_journal()
    scheduler.add_plugin(journal, name=journal.name)  # the scheduler, which is starting, starts it
    plugin = _by_value(WorkerRecorder(journal.name))
    await scheduler.register_worker_plugin(None, plugin=plugin, name=journal.name, idempotent=False)
    if copied:
        journal.usual = _usual_preloads(scheduler, json.loads((folder / USUAL).read_text(encoding="utf-8")))
        await journal.usual.start()


async def dask_teardown(scheduler: Scheduler) -> None:
    """End the preloads that came after this one; save the trace of a scheduler that recorded itself."""
    journal = scheduler.plugins.get(_name())
    if journal is None:
        return
    if hasattr(journal, "usual"):
        await journal.usual.teardown()
    else:
        await journal.close()
        _save(journal)


def _name() -> str:
    return __name__ if __name__.startswith(COPY) else "course-record"


def _by_value(plugin: WorkerPlugin) -> bytes:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(plugin)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _usual_preloads(scheduler: Scheduler, usual: dict[str, str | None]) -> Any:
    """Return the preloads that this scheduler would have had: from Dask's files, or from the environment."""
    environment = {name: value for name, value in os.environ.items() if name not in usual}
    environment |= {name: value for name, value in usual.items() if value is not None}
    config = dask.config.collect(env=environment)
    preload, argv = (
        dask.config.get(f"distributed.scheduler.{name}", default=[], config=config)
        for name in ("preload", "preload-argv")
    )
    return process_preloads(scheduler, preload, argv)


def _lasting_journal() -> Journal:
    """Return the journal of a scheduler that records itself; where to save is said by ``COURSE_RECORD``."""
    asked = os.environ.get("COURSE_RECORD") or f"trace-scheduler-{datetime.datetime.now():%Y-%m-%d-%H%M%S}.parquet"
    path = Path(asked).expanduser().absolute()
    for count in itertools.count(1):
        target = path if count == 1 else path.with_name(f"{path.stem}-{count}{path.suffix}")
        if target.exists():
            continue
        try:
            journal = Journal("course-record", target.with_name(f"{target.name}.notes"))
        except FileExistsError:
            continue
        logger.info("course record: recording to %s", target)
        journal.target = target
        return journal
    raise AssertionError


def _save(journal: Journal) -> None:
    from course.recorded import build, ran, read_notes, save_new

    if not ran(read_notes(journal.path)):
        logger.warning("course record: no task ran, so no trace is saved")
    else:
        logger.info("course record: saved %s", save_new(build(read_notes(journal.path))[0], journal.target))
    journal.path.unlink()
