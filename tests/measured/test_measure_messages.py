"""Messages of real clusters, recorded and drawn; and faults whose log is kept back."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from types import SimpleNamespace

import dask
import psutil
import pytest
from distributed import wait
from matplotlib.figure import Figure

from course import plots
from course.measure import Conversation, Message, cluster, expect_faults, listeners, record_messages
from course.measure.listeners import Tap, keys_of
from course.measure.messages import _fill

QUIET = {
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
}


def threads(workers: int = 2):
    return cluster(workers, processes=False, dashboard=False, local=True, config=QUIET)


def expected(tasks: int, wanted: int, transfers: int) -> dict[str, int]:
    """What chapter 07 says that a graph costs."""
    copies = tasks + transfers
    kinds = {"compute-task": tasks, "task-finished": tasks, "key-in-memory": wanted, "client-releases-keys": wanted,
             "add-keys": transfers, "free-keys": copies, "release-worker-data": copies}  # fmt: skip
    return {kind: number for kind, number in kinds.items() if number}


def stream_counts(heard: Conversation, kinds: dict[str, int]) -> dict[str, int]:
    return {kind: number for kind, number in heard.counts().items() if kind in kinds or kind == "add-keys"}


@pytest.mark.parametrize("tasks", [1, 7, 30])
def test_futures_cost_six_messages_each(tasks):
    with threads() as client, record_messages(client) as heard:
        wait(futures := client.map(abs, range(tasks), pure=False))
        del futures
    wanted = expected(tasks, tasks, 0)
    assert stream_counts(heard, wanted) == wanted
    assert heard.counts()["update-graph"] == 1


def test_a_graph_costs_four_messages_a_task_and_three_a_transfer():
    with threads() as client:
        left, right = sorted(client.scheduler_info()["workers"])
        with record_messages(client) as heard:
            parts = []
            for worker in (left, right):
                with dask.annotate(workers=[worker]):
                    parts += [dask.delayed(abs)(number, pure=False) for number in range(6)]
            with dask.annotate(workers=[left]):
                total = dask.delayed(sum)(parts, pure=False)
            assert client.compute(total, optimize_graph=False).result() == 30
    wanted = expected(13, 1, 6)
    assert stream_counts(heard, wanted) == wanted
    # One request brings all six; another one is that of the scheduler, for the client.
    assert Counter(m.sender for m in heard.messages if m.kind == "get_data")["scheduler"] == 1
    assert heard.worker_transitions["flight", "memory"] == 6
    assert heard.worker_transitions["executing", "memory"] == 13
    assert heard.scheduler_transitions["processing", "memory"] == 13


def test_processes_both_ends_are_heard():
    with cluster(2, local=True, dashboard=False, config=QUIET) as client, record_messages(client) as heard:
        left = min(client.scheduler_info()["workers"])
        future = client.submit(abs, -1, key="a", workers=left)
        assert future.result() == 1
        del future
    assert heard.parties == ("client", "scheduler", "worker 0", "worker 1")
    assigned = next(m for m in heard.messages if m.kind == "compute-task")
    assert assigned.sender == "scheduler"
    assert assigned.receiver.startswith("worker ")
    assert assigned.keys == ("a",)
    assert all(0 <= m.sent <= m.received < m.sent + 2 for m in heard.messages)
    assert [m.sent for m in heard.messages] == sorted(m.sent for m in heard.messages)
    reported = next(m for m in heard.messages if m.kind == "task-finished")
    assert assigned.received < reported.sent, "a worker reports a task after it was told to run it"
    messages, batches = heard.batches["scheduler", assigned.receiver]
    assert messages >= batches >= 1
    assert heard.between(0, assigned.sent + 1e-9)[-1].kind == "compute-task"
    assert "messages of" in repr(heard)


def test_what_was_wrapped_is_put_back():
    def tables(dask_scheduler):
        names = [*dask_scheduler.stream_handlers.values(), *dask_scheduler.handlers.values()]
        streams = [*dask_scheduler.stream_comms.values(), *dask_scheduler.client_comms.values()]
        return [f.__qualname__ for f in names if "Tap" in f.__qualname__] + [s for s in streams if "send" in vars(s)]

    def worker_tables(dask_worker):
        names = [*dask_worker.stream_handlers.values(), *dask_worker.handlers.values()]
        return [f.__qualname__ for f in names if "Tap" in f.__qualname__], "send" in vars(dask_worker.batched_stream)

    with threads() as client:
        with record_messages(client):
            client.submit(abs, -1).result()
        assert client.run_on_scheduler(tables) == []
        assert set(map(str, client.run(worker_tables).values())) == {"([], False)"}
        assert "send" not in vars(client.scheduler_comm)
        assert not [p for p in client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.plugins))
                    if str(p).startswith("course-messages")]  # fmt: skip
        # A second recording hears each message once.
        with record_messages(client) as again:
            client.submit(abs, -2).result()
        assert again.counts()["compute-task"] == 1


def test_an_error_in_the_block_is_not_hidden():
    kept = []

    def block(client):
        with record_messages(client) as heard:
            kept.append(heard)
            client.submit(abs, -1).result()
            raise KeyError("mine")

    with threads(1) as client:
        with pytest.raises(KeyError, match="mine"):
            block(client)
        assert kept[0].counts()["compute-task"] == 1
        assert client.submit(abs, -3).result() == 3


def test_a_recording_that_fails_says_so(monkeypatch):
    def broken(*_, dask_scheduler):
        raise RuntimeError("lost")

    with threads(1) as client:
        monkeypatch.setattr(listeners, "collect_scheduler", broken)
        with pytest.raises(RuntimeError, match="lost"), record_messages(client):
            pass
        assert "send" not in vars(client.scheduler_comm)


def told(notes, workers, batches=()):
    """What the scheduler's listener says."""
    return {"own": "scheduler", "notes": notes, "workers": workers, "batches": batches, "transitions": []}


def test_a_successor_of_the_same_name_is_the_same_party():
    heard = Conversation()
    batches = [["scheduler", "tcp://a", 3, 2], ["scheduler", "tcp://b", 4, 1]]
    _fill(heard, "me", told([], {"tcp://a": "0", "tcp://b": "0"}, batches), [], 0.0)
    assert heard.parties == ("client", "scheduler", "worker 0")
    assert heard.batches == {("scheduler", "worker 0"): (7, 3)}


def test_messages_that_say_the_same_are_matched_in_order():
    """Three reports in one batch, and a fourth that was sent before the scheduler listened."""
    heard = Conversation()
    there = ["tcp://a", "scheduler", "log-event", []]
    here = ["scheduler", "tcp://a", "ask", []]
    notes = [[1.30, *there], [1.31, *there], [1.32, *there], [2.0, *here], [2.1, *here]]
    worker = [[0.9, *there], [1.0, *there], [1.1, *there], [1.2, *there], [1.9, *here], [2.3, *here], [2.4, *here]]
    other = {"own": "tcp://a", "notes": worker, "batches": [], "transitions": []}
    _fill(heard, "me", told(notes, {"tcp://a": "0"}), [other], 0.5)
    assert [(round(m.sent + 0.5, 2), round(m.received + 0.5, 2)) for m in heard.messages] == [
        (1.0, 1.30), (1.1, 1.31), (1.2, 1.32), (2.0, 2.3), (2.1, 2.4)]  # fmt: skip


@pytest.fixture
def logged():
    """What is logged by Dask in this process and not kept back."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("distributed")
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_a_worker_dies_in_the_block(logged):
    """The conversation holds what the scheduler heard; nothing is logged."""
    with (
        cluster(2, local=True, dashboard=False) as client,
        expect_faults(),
        record_messages(client) as heard,
    ):
        futures = client.map(lambda number: time.sleep(0.1) or number, range(12), pure=False)
        while not futures[0].done():
            time.sleep(0.01)
        psutil.Process(min(client.run(os.getpid).values())).kill()
        assert client.gather(futures) == list(range(12))
    assert heard.counts()["compute-task"] > 12
    assert [text for text in logged if "restart" in text.lower() or "lost" in text] == []


def test_faults_are_kept_back_and_others_not(logged):
    logger = logging.getLogger("distributed.scheduler")
    with expect_faults():
        logger.warning("Worker failed to heartbeat for 5s; removing")
        logger.warning("something else entirely")
        logger.warning("Failed to deserialize, entirely")
    logger.warning("Worker failed to heartbeat for 6s; removing")
    assert [text[-8:] for text in logged] == ["entirely", "entirely", "removing"]


@pytest.mark.parametrize(
    ("message", "keys"),
    [({"key": "a"}, ["a"]), ({"keys": ["a", "b"]}, ["a", "b"]), ({"who_has": {"a": []}, "key": "b"}, ["a", "b"]),
     ({"key": ("x", 1)}, ["('x', 1)"]), ({}, []), ({"keys": "ab"}, ["ab"])],
)  # fmt: skip
def test_keys_of(message, keys):
    assert keys_of(message) == keys


def test_a_tap_notes_what_was_sent_only_if_it_was():
    class Stream:
        message_count = batch_count = 0

        def send(self, *messages):
            raise OSError("closed")

    stream, tap = Stream(), Tap("me")
    tap.sender(stream, "you")
    with pytest.raises(OSError, match="closed"):
        stream.send({"op": "hello"})
    assert tap.stop()["notes"] == []
    assert "send" not in vars(stream)


# ---- pictures


def spoken(kind, sender, receiver, sent, *keys):
    return Message(kind, sender, receiver, sent, sent + 0.001, keys)


TALK = [
    spoken("update-graph", "client", "scheduler", 0.0, "a"),
    spoken("compute-task", "scheduler", "worker 0", 0.002, "a"),
    spoken("task-finished", "worker 0", "scheduler", 0.052, "a"),
    spoken("free-keys", "scheduler", "worker 0", 0.060, "a"),
    spoken("free-keys", "scheduler", "worker 0", 0.061, "b"),
]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_sequence_has_a_line_for_each_message_and_merges_repeats():
    axes = Figure().subplots()
    plots.sequence(reversed(TALK), axes, title="A finding")
    shown = texts(axes)
    assert shown[:3] == ["client", "scheduler", "worker 0"]
    assert {"compute-task a", "free-keys ×2"} <= set(shown)
    assert [each for each in shown if each.isdigit()] == ["0", "2", "52", "60"]
    assert len(axes.collections) == 1, "the task that ran is a box on its worker's lifeline"
    assert axes.get_title(loc="left") == "A finding"


def test_sequence_of_nothing_and_of_named_parties():
    axes = Figure().subplots()
    plots.sequence([], axes, parties=("client", "scheduler"))
    assert {"client", "scheduler"} <= set(texts(axes))
    plots.sequence([SimpleNamespace(kind="x", sender="b", receiver="a", sent=0, received=0, keys=())], axes,
                   parties="ab")  # fmt: skip


def test_state_machine_draws_arrows_with_their_numbers():
    axes = Figure().subplots()
    moves = {("released", "waiting"): 5, ("waiting", "waiting"): 9, ("waiting", "processing"): 4}
    plots.state_machine(moves, axes, plots.SCHEDULER_STATES)
    shown = texts(axes)
    assert set(shown) == {"5", "4", "released", "waiting", "processing"}, "a transition to the same state is left out"
    assert len(axes.patches) == 2


def test_state_machine_names_states_without_a_place():
    with pytest.raises(ValueError, match="places has no limbo"):
        plots.state_machine({("released", "limbo"): 1}, Figure().subplots(), plots.WORKER_STATES)


def test_every_state_of_dask_has_a_place():
    """Its scheduler and its workers know no state that the pictures do not."""
    from typing import get_args

    from distributed.scheduler import ALL_TASK_STATES as at_scheduler
    from distributed.worker_state_machine import TaskStateState

    assert set(get_args(TaskStateState)) <= set(plots.WORKER_STATES)
    assert set(at_scheduler) <= set(plots.SCHEDULER_STATES)
