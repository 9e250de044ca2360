"""What runs inside Dask's scheduler and workers while messages are recorded.

As in `course.measure.plugins`, the classes and functions of this file are sent *by value*, so they use nothing of the
package but what is in this file.

Dask has no hook for messages. But every message between a scheduler and a worker or client goes through one of two
tables of functions, by its kind, when it arrives (``stream_handlers``, and ``handlers`` for remote calls that wait
for an answer), and through ``BatchedSend.send`` when it leaves. A listener wraps these, for as long as it listens.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping
from time import time
from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker, WorkerPlugin

# The remote calls that belong to a run; others (``run_function``, …) come from those who look at it.
CALLS = ("heartbeat_worker", "gather", "get_data")


class Tap:
    """Notes what passes through tables of handlers and through senders, until it is told to stop.

    Each note is (time, sender, receiver, kind, keys); whoever does not say is ``None``.
    """

    def __init__(self, own: str) -> None:
        self.own = own
        self.notes: list[tuple[float, str | None, str | None, str, list[str]]] = []
        self.undo: list[Callable[[], Any]] = []
        self.counters: dict[tuple[str, str], tuple[Any, int, int]] = {}

    def table(self, handlers: MutableMapping[str, Callable[..., Any]], kinds: Iterable[str]) -> None:
        """Note each message of some kinds that arrives at a table of handlers."""
        for kind in kinds:
            handlers[kind] = self._handler(kind, usual := handlers[kind])
            self.undo.append(functools.partial(handlers.__setitem__, kind, usual))

    def _handler(self, kind: str, usual: Callable[..., Any]) -> Callable[..., Any]:
        def note(message: dict[str, Any]) -> None:
            sender = message.get("worker") or message.get("client")
            sender = sender or message.get("who") or message.get("address")  # a transfer; a heartbeat
            self.notes.append((time(), sender, self.own, kind, keys_of(message)))

        if inspect.iscoroutinefunction(usual):

            @functools.wraps(usual)
            async def handler(*args: Any, **message: Any) -> Any:
                note(message)
                return await usual(*args, **message)

        else:

            @functools.wraps(usual)
            def handler(*args: Any, **message: Any) -> Any:
                note(message)
                return usual(*args, **message)

        return handler

    def sender(self, stream: Any, receiver: str) -> None:
        """Note each message that is handed to a `BatchedSend`, and how many batches it makes of them."""
        usual = stream.send

        @functools.wraps(usual)
        def send(*messages: dict[str, Any]) -> None:
            usual(*messages)
            now = time()
            self.notes += [(now, self.own, receiver, message["op"], keys_of(message)) for message in messages]

        self.counters[self.own, receiver] = (stream, stream.message_count, stream.batch_count)
        stream.send = send
        self.undo.append(functools.partial(stream.__dict__.pop, "send", None))

    def stop(self) -> dict[str, Any]:
        """Put everything back; return the notes, and messages and batches of each sender, as plain lists."""
        batches = [
            [*ends, stream.message_count - messages, stream.batch_count - sent]
            for ends, (stream, messages, sent) in self.counters.items()
        ]
        while self.undo:
            self.undo.pop()()
        return {"own": self.own, "notes": [list(note) for note in self.notes], "batches": batches}


def keys_of(message: dict[str, Any]) -> list[str]:
    """Return the tasks that a message names."""
    keys = message.get("keys") or message.get("who_has") or ()
    keys = [*keys] if not isinstance(keys, str) else [keys]
    if message.get("key") is not None:
        keys.append(message["key"])
    return [str(key) for key in keys]


class SchedulerListener(SchedulerPlugin):
    """Notes all messages to and from the scheduler, and the transitions of its tasks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.transitions: Counter[tuple[str, str]] = Counter()
        self.workers: dict[str, str] = {}

    async def start(self, scheduler: Scheduler) -> None:
        """Listen to all that is there."""
        self.tap = Tap("scheduler")
        self.tap.table(scheduler.stream_handlers, list(scheduler.stream_handlers))
        self.tap.table(scheduler.handlers, [kind for kind in CALLS if kind in scheduler.handlers])
        for client, stream in scheduler.client_comms.items():
            self.tap.sender(stream, client)
        for address in scheduler.workers:
            self.add_worker(scheduler, address)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Listen to a worker."""
        self.workers[worker] = str(scheduler.workers[worker].name)
        self.tap.sender(scheduler.stream_comms[worker], worker)

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        """Count a transition."""
        self.transitions[start, finish] += 1


class WorkerListener(WorkerPlugin):
    """Notes all messages to and from a worker, and the transitions of its tasks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.transitions: Counter[tuple[str, str]] = Counter()

    def setup(self, worker: Worker) -> None:
        """Listen."""
        self.tap = Tap(worker.address)
        self.tap.table(worker.stream_handlers, list(worker.stream_handlers))
        self.tap.table(worker.handlers, [kind for kind in CALLS if kind in worker.handlers])
        self.tap.sender(worker.batched_stream, "scheduler")

    def teardown(self, worker: Worker) -> None:
        """Stop listening."""
        self.tap.stop()

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Count a transition."""
        self.transitions[start, finish] += 1


def count_notes(name: str, dask_scheduler: Scheduler) -> int:
    """Return how many messages, but for heartbeats, the scheduler has noted."""
    return sum("heartbeat" not in note[3] for note in dask_scheduler.plugins[name].tap.notes)


def collect_scheduler(name: str, dask_scheduler: Scheduler) -> dict[str, Any]:
    """Stop listening; return what was noted."""
    listener = dask_scheduler.plugins[name]
    return {**listener.tap.stop(), "workers": listener.workers, "transitions": _plain(listener.transitions)}


def collect_worker(name: str, dask_worker: Worker) -> dict[str, Any]:
    """Stop listening; return what was noted."""
    listener = dask_worker.plugins[name]
    return {**listener.tap.stop(), "transitions": _plain(listener.transitions)}


def _plain(transitions: Counter[tuple[str, str]]) -> list[list[Any]]:
    return [[*each, number] for each, number in transitions.items()]
