"""A link of limited bandwidth, one message over it, and clients that retry: `course.measure.links` and `retrying`."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time

import numpy as np
import pytest

from course import measure, simulate


@pytest.fixture(scope="module")
def client():
    with measure.cluster(1, 2, processes=False, protocol="tcp", dashboard=False, local=True) as client:
        yield client


# --- the link


def test_a_link_counts_the_bytes_of_both_directions(client):
    data = np.random.default_rng(0).bytes(300_000)
    with measure.link(client) as far:
        future = far.client.scatter(data)
        sent = far.sent
        assert 300_000 < sent < 330_000
        assert future.result() == data
        assert 300_000 < far.received < 330_000


def test_a_link_is_as_slow_as_its_bandwidth(client):
    with measure.link(client, bandwidth=2e6) as far:
        start = time.perf_counter()
        far.client.scatter(bytes(600_000))
        assert 0.28 < time.perf_counter() - start < 3  # the lower bound always holds


def test_a_link_leaves_nothing_behind(client):
    with measure.link(client) as far:
        assert far.client.submit(int, 3).result() == 3
    assert not [thread for thread in threading.enumerate() if thread.name == "link"]


def test_a_link_closes_connections_that_others_left_open(client):
    with measure.link(client) as far:
        left = socket.create_connection(("127.0.0.1", far.port), timeout=5)
        assert left.recv(1)  # the scheduler's greeting: the connection goes all the way
    with left, contextlib.suppress(ConnectionError):
        assert left.recv(10_000) is not None
        assert left.recv(1) == b""
    gc.collect()  # would warn of a connection that was not closed


@pytest.mark.parametrize("bandwidth", [0, -1, float("nan")])
def test_a_link_needs_bandwidth(client, bandwidth):
    with pytest.raises(ValueError, match="bandwidth is"), measure.link(client, bandwidth):
        pass


def test_a_link_needs_tcp():
    with (
        measure.cluster(1, 1, processes=False, dashboard=False, local=True) as client,
        pytest.raises(ValueError, match="a link needs TCP"),
        measure.link(client),
    ):
        pass


# --- one message


def test_transfer_takes_its_time_and_compresses():
    counts = np.random.default_rng(0).poisson(3, 25_000)
    seconds, size = measure.transfer(counts, bandwidth=2e6)
    assert 200_000 < size < 201_000
    assert seconds > 0.99 * size / 2e6
    assert measure.transfer(counts, compression="zlib")[1] < 0.2 * size


def test_transfer_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="compression is 'rar'"):
        measure.transfer(b"", compression="rar")
    with pytest.raises(ValueError, match="bandwidth is 0"):
        measure.transfer(b"", bandwidth=0)


def test_transfer_ends_when_the_data_cannot_be_sent():
    with pytest.raises(TypeError, match="serialize"):
        measure.transfer(threading.Lock())
    assert measure.transfer(b"next")[1] < 1000


# --- clients that retry

GAPS = np.full(20, 0.01)


def test_without_trouble_every_request_is_sent_once(client):
    run = measure.retrying_load(client, GAPS, 0.002, timeout=10.0, retries=3)
    assert run.ok.all()
    assert run.amplification == 1
    assert (run.stop >= run.arrival).all()
    assert run.goodput([0, 1000]) == pytest.approx([0.02])


def test_a_service_that_is_too_slow_gets_every_attempt(client):
    run = measure.retrying_load(client, np.zeros(6), 0.5, timeout=0.02, retries=2)
    assert not run.ok.any()
    assert (run.outcome == simulate.OUTCOMES.index("timeout")).all()
    assert run.amplification == 3
    assert run.offered([0, 1000]) == pytest.approx([0.018])


def test_a_bound_refuses_at_once(client):
    run = measure.retrying_load(client, np.zeros(10), 0.3, timeout=10.0, queue_limit=3)
    assert run.ok.sum() == 5  # two in service, three wait
    assert (run.outcome[~run.ok] == simulate.OUTCOMES.index("rejected")).all()
    assert (run.stop - run.arrival)[~run.ok].max() < 0.25


def test_a_budget_bounds_the_retries(client):
    run = measure.retrying_load(
        client, np.zeros(20), 1.0, timeout=0.02, retries=3, retry_budget=0.0, retry_burst=5.0, release=True
    )
    assert np.isfinite(run.sent).sum() == 25


@pytest.mark.parametrize(("release", "served"), [(False, 6), (True, 2)])
def test_released_attempts_are_dropped_if_they_have_not_begun(release, served):
    with measure.cluster(1, 2, processes=False, dashboard=False, local=True) as client:
        measure.retrying_load(client, np.zeros(6), 0.2, timeout=0.05, release=release)
        time.sleep(1)
        (executed,) = client.run(lambda dask_worker: dask_worker.state.executed_count).values()
    assert executed == 8 + served  # eight to warm up


def test_back_off_doubles(client):
    run = measure.retrying_load(client, [0.0], 0.1, timeout=0.02, retries=2, queue_limit=0, backoff=0.1)
    first, second = np.diff(run.sent[0])
    assert 0.11 < first < second
    assert second > 0.21


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"interarrival": []}, "interarrival has shape"),
        ({"interarrival": [-1.0]}, "interarrival has shape"),
        ({"interarrival": [float("nan")]}, "interarrival has shape"),
        ({"timeout": 0.0}, "timeout=0.0"),
        ({"service": -1.0}, "service=-1.0"),
        ({"backoff": float("inf")}, "backoff=inf"),
        ({"retries": -1}, "retries=-1"),
        ({"queue_limit": -1}, "queue_limit is -1"),
        ({"retry_budget": float("nan")}, "retry_budget is nan"),
    ],
)
def test_wrong_arguments_are_named(client, change, says):
    arguments = {"interarrival": [0.1], "service": 0.1, "timeout": 1.0} | change
    gaps, service = arguments.pop("interarrival"), arguments.pop("service")
    with pytest.raises(ValueError, match=says):
        measure.retrying_load(client, gaps, service, **arguments)
