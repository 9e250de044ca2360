"""Reading metrics and profiles of real clusters."""

from __future__ import annotations

import io
import sys
import time
import urllib.error

import psutil
import pytest

from course.measure import Frame, cluster, metric_rates, metrics, profile_tree, prometheus, sample_stacks
from course.measure.profiling import UNTOLD, _dasks


def value(frame, server, metric, labels=""):
    found = frame[(frame.server == server) & (frame.metric == metric) & (frame.labels == labels)].value
    assert len(found) == 1, (server, metric, labels)
    return float(found.iloc[0])


# ---- metrics


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize("dashboard", [False, True])
def test_metrics_of_every_server(processes, dashboard):
    with cluster(2, 3, processes=processes, dashboard=dashboard) as client:
        client.gather(client.map(abs, range(10)))
        frame = metrics(client)
        assert set(frame.server) == {"scheduler", "0", "1"}
        assert value(frame, "scheduler", "dask_scheduler_workers", "state=idle") == 2
        assert [value(frame, name, "dask_worker_threads") for name in "01"] == [3, 3]
        assert not frame[frame.server == "scheduler"].metric.str.startswith("dask_worker").any()
        assert not frame[frame.server != "scheduler"].metric.str.startswith("dask_scheduler").any()
        assert not frame.duplicated(["server", "metric", "labels"]).any()
        assert set(frame.type) <= {"gauge", "counter"}


def test_counters_grow_by_what_was_done():
    with cluster(1, 2, processes=False, dashboard=False) as client:
        before = metrics(client)
        client.gather(client.map(time.sleep, [0.2] * 4, pure=False))
        after = metrics(client)
    grown = metric_rates(before, after)
    compute = grown[grown.metric == "dask_scheduler_tasks_compute_seconds_total"]
    assert compute.growth.sum() == pytest.approx(0.8, rel=0.2)
    assert 0.8 < float(compute.rate.sum()) <= 2.0  # threads that were busy
    assert (grown.seconds > 0.4).all()


def test_all_local_servers_stay_on_the_loopback_device():
    with cluster(2, processes=False, dashboard=False):
        mine = psutil.Process().net_connections("tcp")
        assert {c.laddr.ip for c in mine if c.status == psutil.CONN_LISTEN} <= {"127.0.0.1"}


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with cluster(1, processes=False, dashboard=False) as client:
        assert len(metrics(client))


def test_routes_that_are_off_are_said():
    config = {"distributed.worker.http.routes": ["distributed.http.health"]}
    with (
        cluster(1, processes=False, dashboard=False, config=config) as client,
        pytest.raises(ConnectionError, match="0 answers 404"),
    ):
        metrics(client)


def test_a_server_that_is_gone_is_said(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError(ConnectionRefusedError(111, "Connection refused"))

    monkeypatch.setattr(prometheus._opener, "open", refuse)
    with (
        cluster(1, processes=False, dashboard=False) as client,
        pytest.raises(ConnectionError, match=r"scheduler does not answer at http://127\.0\.0\.1:"),
    ):
        metrics(client)


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    with (
        cluster(1, processes=False, dashboard=False) as client,
        pytest.raises(RuntimeError, match="pip install prometheus-client"),
    ):
        metrics(client)


def test_a_server_without_the_package_is_said(monkeypatch):
    answer = b"# Prometheus metrics are not available, see: ..."
    monkeypatch.setattr(prometheus._opener, "open", lambda *_, **__: io.BytesIO(answer))
    with cluster(1, processes=False, dashboard=False) as client, pytest.raises(RuntimeError, match="where it runs"):
        metrics(client)


def test_a_wrong_timeout_is_said():
    with pytest.raises(ValueError, match="timeout is 0"):
        metrics(None, timeout=0)


def test_rates_of_new_and_of_restarted_counters():
    import pandas

    def reading(at, *rows):
        return pandas.DataFrame([(*row, at) for row in rows], columns=prometheus.COLUMNS)

    before = reading(10.0, ("0", "a_total", "", "counter", 100.0), ("0", "level", "", "gauge", 3.0))
    after = reading(
        14.0,
        ("0", "a_total", "", "counter", 20.0),
        ("0", "b_total", "", "counter", 8.0),
        ("1", "a_total", "", "counter", 4.0),
    )
    grown = metric_rates(before, after)
    assert grown.growth.tolist() == [20.0, 8.0, 4.0]
    assert grown.rate.tolist() == [5.0, 2.0, 1.0]
    with pytest.raises(ValueError, match="after was not read after before"):
        metric_rates(after, before[before.type == "counter"])
    with pytest.raises(ValueError, match="before lacks the columns server"):
        metric_rates(3, after)


# ---- profiles


def _wait(until):
    while time.perf_counter() < until:
        pass


def first(seconds):
    _wait(time.perf_counter() + seconds)


def second(seconds):
    _wait(time.perf_counter() + seconds)


def both(_):
    for _ in range(8):
        first(0.05)
        second(0.11)


@pytest.mark.parametrize("processes", [False, True])
def test_both_profilers_find_the_shares(processes):
    with cluster(1, processes=processes, dashboard=False) as client:
        with sample_stacks(client, interval=0.005) as stacks:
            client.gather(client.map(both, [1, 2]))
        dasks = profile_tree(client)
        assert stacks.tree.share("first") == pytest.approx(0.31, abs=0.12)
        assert dasks.share("first") == pytest.approx(0.31, abs=0.2)
        assert stacks.tree.share("both") > 0.95  # a sample or two fall into the unpacking of a task
        assert 2.4 < stacks.seconds < 8
        waits = [frame for frame in stacks.tree.walk() if frame.name == "_wait"]
        assert sum(frame.own for frame in waits) == pytest.approx(stacks.tree.count, rel=0.1)
        assert profile_tree(client, prefix="both").count > 50
        assert profile_tree(client, prefix="nothing").count == 0
        assert "stacks" not in str(client.run(lambda dask_worker: list(dask_worker.plugins)))


def test_whole_stacks_know_the_innermost_function():
    with cluster(1, processes=False, dashboard=False) as client, sample_stacks(client) as stacks:
        client.submit(_wait, time.perf_counter() + 0.3).result()
    innermost = max(stacks.tree.walk(), key=lambda frame: frame.own)
    assert innermost.name == "_wait"


def test_a_later_worker_is_sampled_too():
    with cluster(1, processes=False, dashboard=False) as client, sample_stacks(client) as stacks:
        client.cluster.scale(2)
        client.wait_for_workers(2, timeout=10)
        client.gather(client.map(time.sleep, [0.2] * 4, pure=False))
    assert stacks.tree.count > 40


def test_no_samples_without_tasks_and_after_an_error():
    with cluster(1, processes=False, dashboard=False) as client:
        with pytest.raises(KeyError), sample_stacks(client) as stacks:
            raise KeyError
        assert stacks.tree.count == 0
        assert stacks.tree.share("anything") == 0
        with pytest.raises(RuntimeError, match="sampling is not over"), sample_stacks(client) as stacks:
            stacks.tree  # noqa: B018


@pytest.mark.parametrize(("wrong", "said"), [({"interval": 0}, "interval is 0"), ({"jitter": 2}, "jitter is 2")])
def test_wrong_settings(wrong, said):
    with pytest.raises(ValueError, match=said), sample_stacks(None, **wrong):
        pass


def test_profiling_that_is_off_is_said():
    config = {"distributed.worker.profile.enabled": False}
    with (
        cluster(1, processes=False, dashboard=False, config=config) as client,
        pytest.raises(ValueError, match="workers do not profile"),
    ):
        profile_tree(client)


def node(name, count, *children):
    about = {"name": name, "filename": "f.py", "line_number": 1, "line": ""}
    return {
        "description": about,
        "count": count,
        "identifier": name,
        "children": {c["identifier"]: c for c in children},
    }


def test_what_dask_leaves_out_is_given_back_where_it_can_be():
    # 10 samples of a -> b; Dask counts a 10 times, b not at all.
    alone = _dasks(node("", 10, node("a", 10, node("b", 0))), 10)
    assert [(frame.name, frame.count, frame.own) for frame in alone.walk()] == [
        ("root", 10, 0), ("a", 10, 0), ("b", 10, 10),
    ]  # fmt: skip
    # Of 10 samples in a, 6 were in b calling d; 4 in b or in c: not told.
    mixed = _dasks(node("", 10, node("a", 10, node("b", 6, node("d", 0)), node("c", 0))), 10)
    assert [(frame.name, frame.count) for frame in mixed.walk()] == [
        ("root", 10), ("a", 10), ("b", 6), ("d", 6), (UNTOLD, 4),
    ]  # fmt: skip
    # a itself was innermost in 3 of 10: its caller has them.
    own = _dasks(node("", 10, node("a", 7, node("b", 0))), 10)
    assert [(frame.name, frame.count, frame.own) for frame in own.walk()] == [
        ("root", 10, 0), ("a", 10, 3), ("b", 7, 7),
    ]  # fmt: skip


def test_recursion_counts_a_sample_once():
    inner = Frame("f", "f.py", 1, 3)
    assert Frame("root", "", 0, 10, (Frame("f", "f.py", 1, 5, (inner,)),)).share("f") == 0.5
