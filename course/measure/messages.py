"""Record the messages of a run on Dask, and the transitions of its tasks."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from distributed import Client

from course.measure import listeners
from course.measure.recording import _by_value

SCHEDULER = "scheduler"
_CLOCK = 0.005  # seconds by which a message may seem to arrive before it was sent


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes
    ----------
    kind : str
        Dask's word for it, such as ``compute-task``.
    sender, receiver : str
        ``client``, ``scheduler``, or ``worker`` and its name.
    sent, received : float
        When it was handed over for sending and when it was handled [s, from the start of the recording]. Where only
        one end was heard, both are the same.
    keys : tuple of str
        The tasks that it names.
    """

    kind: str
    sender: str
    receiver: str
    sent: float
    received: float
    keys: tuple[str, ...] = ()


@dataclass
class Conversation:
    """What scheduler, workers and clients said to each other, once the block of `record_messages` has ended.

    Attributes
    ----------
    parties : tuple of str
        ``client``, ``scheduler`` and the workers, in the order of their names.
    messages : tuple of Message
        In the order of sending.
    batches : dict
        From (sender, receiver) to (messages, batches) of the streams between them: a batch is one write to the
        network. Heartbeats of workers and transfers of data are remote calls, which are not batched.
    scheduler_transitions, worker_transitions : dict
        From (state, next state) to how often a task went so: at the scheduler, and at all workers together.
    duration : float
        Seconds that were recorded.
    """

    parties: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    batches: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    scheduler_transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    worker_transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    duration: float = 0.0

    def __repr__(self) -> str:
        return f"Conversation({len(self.messages)} messages of {len(self.counts())} kinds in {self.duration:.3g} s)"

    def counts(self) -> dict[str, int]:
        """Return how many messages of each kind there were, the most frequent first."""
        return dict(Counter(message.kind for message in self.messages).most_common())

    def between(self, start: float, stop: float) -> list[Message]:
        """Return the messages that were sent in a span of time."""
        return [message for message in self.messages if start <= message.sent < stop]


@contextlib.contextmanager
def record_messages(client: Client, *, wait: float = 2.0) -> Iterator[Conversation]:
    """Record every message and every transition of a block.

    Parameters
    ----------
    client : distributed.Client
        The cluster to listen to. It is the only client of the conversation.
    wait : float
        How long to wait, at the end of the block, for the last messages to arrive [s].

    Yields
    ------
    Conversation
        It is empty inside the block; filled after it, also when the block raised.

    Notes
    -----
    The scheduler is one end of nearly all messages, and its word counts: what it sent, and what arrived there. The
    other end adds when a message was received, or sent. Requests of one worker for the data of another (``get_data``)
    are noted where they arrive. Of a worker that died in the block, only what the scheduler saw is known.

    The clocks of several machines differ; on one machine a message takes some tenths of a millisecond, and up to the
    interval of its batch. Listening costs some microseconds a message.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, processes=False, dashboard=False) as client:
    ...     with record_messages(client) as heard:
    ...         client.submit(abs, -1).result()
    1
    >>> heard.counts()["compute-task"], heard.counts()["task-finished"]
    (1, 1)
    """
    name = f"course-messages-{uuid.uuid4().hex}"
    heard = Conversation()
    tap = listeners.Tap(client.id)
    with _by_value(listeners):
        client.register_plugin(listeners.WorkerListener(name))
        client.register_plugin(listeners.SchedulerListener(name))
    tap.table(client._stream_handlers, list(client._stream_handlers))
    tap.sender(client.scheduler_comm, SCHEDULER)
    since = time.time()
    failed = True
    try:
        yield heard
        failed = False
    finally:
        # Nothing may hide what the block raised, which is the likely reason (the cluster is gone).
        quiet = contextlib.suppress(Exception) if failed else contextlib.nullcontext()
        try:
            with quiet, _by_value(listeners):
                _settle(client, name, wait)
                heard.duration = time.time() - since
                scheduler = client.run_on_scheduler(listeners.collect_scheduler, name)
                workers = client.run(listeners.collect_worker, name, on_error="ignore")
                _fill(heard, client.id, scheduler, [tap.stop(), *workers.values()], since)
        finally:
            tap.stop()
            with quiet:
                client.unregister_scheduler_plugin(name)
                client.unregister_worker_plugin(name)


def _settle(client: Client, name: str, limit: float) -> None:
    """Wait until no message but heartbeats has come for a while."""
    until = time.monotonic() + limit
    before = -1
    while (now := client.run_on_scheduler(listeners.count_notes, name)) != before and time.monotonic() < until:
        before = now
        time.sleep(0.03)


def _fill(
    heard: Conversation, client: str, scheduler: dict[str, Any], others: list[dict[str, Any]], since: float
) -> None:
    workers = sorted(scheduler["workers"].items(), key=lambda item: (len(item[1]), item[1]))
    names = {client: "client", SCHEDULER: SCHEDULER} | {address: f"worker {label}" for address, label in workers}

    # When the other end sent or received a message, by what it says; the same can be said several times, in order.
    other_end: dict[tuple[Any, ...], deque[float]] = defaultdict(deque)
    asked = []
    for other in others:
        for when, sender, receiver, kind, keys in other["notes"]:
            # Who asks a worker for data is another worker, or the scheduler in the name of the client.
            sender = SCHEDULER if receiver == other["own"] and sender not in names else sender
            if kind == "get_data":
                asked.append((when, when, sender, receiver, kind, keys))
            else:
                other_end[sender, receiver, kind, *keys].append(when)

    # The remote calls of the client do not say who calls.
    notes = [(when, client if sender is None else sender, *rest) for when, sender, *rest in scheduler["notes"]]
    messages = []
    # Streams keep the order, so what was sent is matched with its arrival from the first message on, and what arrived
    # with its sending from the last one back: the others began to listen before the scheduler, and heard more.
    for when, sender, receiver, kind, keys in (note for note in notes if note[1] == SCHEDULER):
        times = other_end[sender, receiver, kind, *keys]
        while times and times[0] < when - _CLOCK:
            times.popleft()
        messages.append((when, times.popleft() if times else when, sender, receiver, kind, keys))
    for when, sender, receiver, kind, keys in (note for note in reversed(notes) if note[1] != SCHEDULER):
        times = other_end[sender, receiver, kind, *keys]
        while times and times[-1] > when + _CLOCK:
            times.pop()
        messages.append((times.pop() if times else when, when, sender, receiver, kind, keys))
    messages = [each for each in [*messages, *asked] if each[2] in names and each[3] in names and each[0] >= since]
    heard.messages = tuple(
        Message(kind, names[sender], names[receiver], sent - since, max(received, sent) - since, tuple(keys))
        for sent, received, sender, receiver, kind, keys in sorted(messages, key=lambda each: each[:2])
    )
    # A worker that replaced another one has its name, and is the same party.
    heard.parties = tuple(dict.fromkeys(names.values()))
    for source in [scheduler, *others]:
        for sender, receiver, number, batches in source["batches"]:
            if sender in names and receiver in names:
                ends = names[sender], names[receiver]
                before = heard.batches.get(ends, (0, 0))
                heard.batches[ends] = (before[0] + number, before[1] + batches)
    heard.scheduler_transitions.update({(a, b): n for a, b, n in scheduler["transitions"]})
    for other in others:
        heard.worker_transitions.update({(a, b): n for a, b, n in other.get("transitions", [])})
