"""Starting a cluster, recording, calibrating and comparing, on real clusters."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import dask
import numpy as np
import psutil
import pytest
from distributed import CancelledError, wait
from distributed.client import AllExit

import course.measure.comparison as comparison
import course.measure.start as start
from course.diagnosis import diagnose
from course.graph import TaskGraph, fork_join
from course.measure import (
    Comparison,
    Estimate,
    Machine,
    calibrate,
    closed_load,
    cluster,
    compare,
    forget_durations,
    poisson_load,
    record,
    run_graph,
    workloads,
)
from course.simulate import Cluster, closed_loop, run
from course.trace import COMPUTE, DISK, TRANSFER

ROOT = Path(__file__).parents[2]


def _leftovers(before: set[int]) -> list[str]:
    """Return the child processes that were not there before (but for Python's own resource tracker)."""
    return [
        " ".join(child.cmdline())
        for child in psutil.Process().children(recursive=True)
        if child.pid not in before
        and child.status() != psutil.STATUS_ZOMBIE
        and "resource_tracker" not in " ".join(child.cmdline())
    ]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Every test leaves processes, temporary folder, settings and environment as they were."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    settings, environment = json.dumps(dask.config.config, default=str), dict(os.environ)
    yield
    until = time.monotonic() + 5
    while _leftovers(before) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _leftovers(before)
    assert not list(folder.iterdir())
    assert json.dumps(dask.config.config, default=str) == settings
    assert {**os.environ, "PYTEST_CURRENT_TEST": ""} == {**environment, "PYTEST_CURRENT_TEST": ""}


def threads(workers=2, per_worker=1, **options):
    return cluster(workers, per_worker, processes=False, dashboard=False, **options)


# ---- start ---------------------------------------------------------------------------------------------------


def test_local_processes_sizes_and_loopback(capfd):
    with cluster(2, 3) as client:
        workers = client.scheduler_info()["workers"].values()
        assert [w["nthreads"] for w in workers] == [3, 3]
        assert client.submit(os.getpid).result() != os.getpid()
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = [c for p in mine for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert listening
        assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert capfd.readouterr().err == ""


def test_nested_clusters_and_default_client():
    with threads() as outer:
        with threads(1, 4) as inner:
            assert dask.delayed(sum)([1, 2]).compute() == 3
            assert inner.submit(sum, [1, 1]).result() == 2
            assert sum(inner.nthreads().values()) == 4
        assert outer.submit(sum, [1, 2]).result() == 3
        assert sum(outer.nthreads().values()) == 2


def test_settings_hold_inside_only():
    name = "distributed.scheduler.worker-saturation"
    outside = dask.config.get(name)
    with threads(config={name: 1.0}) as client:
        assert client.cluster.scheduler.WORKER_SATURATION == 1.0
        assert dask.config.get(name) == 1.0
    assert dask.config.get(name) == outside


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_exception_in_mid_run_leaves_nothing(error, capfd):
    began = time.monotonic()
    with pytest.raises(error), cluster(2, dashboard=False) as client:  # noqa: PT012
        client.map(time.sleep, [60] * 4, pure=False)
        time.sleep(0.3)
        raise error
    assert time.monotonic() - began < 20
    assert capfd.readouterr().err == ""


def test_interrupted_start_leaves_nothing(monkeypatch):
    def interrupted(self, **options):
        original(self, **options)
        raise KeyboardInterrupt

    original = start.LocalCluster.__init__
    monkeypatch.setattr(start.LocalCluster, "__init__", interrupted)
    with pytest.raises(KeyboardInterrupt), cluster(1, dashboard=False):
        pass


INTERRUPTED = """
import signal, time
from course.measure import cluster

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background of a shell are born without
    print("begins", flush=True)
    try:
        with cluster(2, dashboard=False, local=True) as client:
            client.map(time.sleep, [60] * 4, pure=False)
            print("runs", flush=True)
            time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="no signal for a group of processes here")
@pytest.mark.parametrize("moment", ["begins", "starts", "runs"])
def test_an_interrupt_of_the_whole_group_is_quiet(moment, tmp_path):
    """As Ctrl-C in a terminal and the button of JupyterLab do it: workers get the signal, too."""
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout.readline() == "begins\n"
        if moment == "runs":
            assert process.stdout.readline() == "runs\n"
        until = time.monotonic() + 30
        while len(workers := _workers_of(process.pid)) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep({"begins": 0.0, "starts": 0.5, "runs": 0.3}[moment])
        os.killpg(process.pid, signal.SIGINT)
        said, told = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert (said.splitlines()[-1], told) == ("interrupted", "")
    assert psutil.wait_procs(workers, timeout=5)[1] == []


def _workers_of(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children(recursive=True)
    return [each for each in found if "spawn_main" in " ".join(each.cmdline())]


def test_an_import_that_was_cut_does_not_stop_the_next_cluster(tmp_path):
    """An interrupt between two of its instructions leaves Python's import lock with the thread that imported."""
    script = tmp_path / "script.py"
    script.write_text(
        "import _imp\n"
        "from course.measure import cluster\n"
        "if __name__ == '__main__':\n"
        "    _imp.acquire_lock()\n"
        "    _imp.acquire_lock()\n"
        "    with cluster(1, processes=False, dashboard=False) as client:\n"
        "        print(client.submit(abs, -1).result())\n",
        encoding="utf-8",
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("1\n", "")


def test_processes_that_do_not_start_become_threads(monkeypatch, capsys):
    def refuse(self):
        raise PermissionError("no process for you")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", refuse)
    logging.getLogger("distributed.nanny").setLevel(logging.CRITICAL)
    try:
        with cluster(1, dashboard=False) as client:
            assert client.submit(os.getpid).result() == os.getpid()
    finally:
        logging.getLogger("distributed.nanny").setLevel(logging.NOTSET)
    assert "threads of this process, because" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
@pytest.mark.parametrize("name", ["workers", "threads"])
def test_wrong_sizes(name, wrong):
    with pytest.raises(ValueError, match=f"{name}="), cluster(**{name: wrong}):
        pass


@pytest.mark.parametrize("processes", [False, True])
def test_a_cluster_that_grows_and_whose_workers_start_late(processes, capfd):
    with cluster(1, 1, processes=processes, dashboard=False, start_delay=0.4) as client:
        began = time.perf_counter()
        client.cluster.adapt(minimum=2, maximum=2, interval="50ms")
        client.wait_for_workers(2, timeout=30)
        assert time.perf_counter() - began > 0.4
        client.cluster.adapt(minimum=3, maximum=3, interval="50ms")
        time.sleep(0.2)  # and is closed while the third one starts
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ValueError, match="start_delay"), cluster(1, start_delay=-1):
        pass


def test_works_inside_a_running_event_loop():
    async def cell():
        with threads() as client:
            return client.submit(sum, [1, 2]).result()

    assert asyncio.run(cell()) == 3


def _script(text, tmp_path, **options):
    path = tmp_path / "script.py"
    path.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": tempfile.gettempdir()}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options,
    )  # fmt: skip


def test_script_without_guard_uses_threads(tmp_path):
    process = _script(
        "from course.measure import cluster\n"
        "with cluster(1, dashboard=False) as c:\n    print(c.submit(sum, [1, 2]).result())\n",
        tmp_path,
    )
    out, err = process.communicate(timeout=60)
    assert "script.py has no `if __name__ == '__main__':`" in out
    assert out.endswith("3\n")
    assert err == ""


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_killed_parent_takes_its_workers_along(tmp_path):
    process = _script(
        "import time\nfrom course.measure import cluster\nif __name__ == '__main__':\n"
        "    with cluster(2, dashboard=False) as c:\n        print('up', flush=True)\n        time.sleep(60)\n",
        tmp_path,
    )
    assert process.stdout.readline() == "up\n"
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    # The spill folder could not be removed by a killed process; the next cluster does it.
    (abandoned,) = Path(tempfile.gettempdir()).glob("course-dask-*")
    os.utime(abandoned / "lock", (0, 0))
    with threads(1):
        assert not abandoned.exists()


def test_a_living_owner_keeps_its_folder():
    with threads(1):
        (folder,) = Path(tempfile.gettempdir()).glob("course-dask-*")
        os.utime(folder / "lock", (0, 0))
        with threads(1):
            pass
        # Locks are held by processes: ours may take its own again. Another process must not.
        code = (
            f"import tempfile; tempfile.tempdir = {tempfile.gettempdir()!r};"
            "import course.measure.start as start; start._remove_abandoned()"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
        assert folder.exists()


# ---- record --------------------------------------------------------------------------------------------------


def _add(*numbers):
    return sum(numbers)


def _fail(*_):
    raise ZeroDivisionError("on purpose")


def test_record_has_all_tasks_with_dependencies_and_times():
    with threads(2, 2) as client:
        began = time.perf_counter()
        with record(client) as run:
            with pytest.raises(RuntimeError, match="not over"):
                _ = run.trace
            parts = [client.submit(workloads.sleep_for, 0.02, i, size=100, key=f"part-{i}") for i in range(8)]
            client.submit(_add, 1, key="total").result()
            client.submit(len, parts, key="count").result()
        elapsed = time.perf_counter() - began
    trace = run.trace
    number = {name: i for i, name in enumerate(trace.graph.names)}
    assert set(number) == {*(f"part-{i}" for i in range(8)), "total", "count"}
    assert sorted(trace.graph.predecessors(number["count"])) == sorted(number[f"part-{i}"] for i in range(8))
    assert (trace.kind == COMPUTE).sum() == 10
    begin, end = trace.task_times()
    parts = [number[f"part-{i}"] for i in range(8)]
    assert (end[parts] - begin[parts] >= 0.019).all()
    assert begin.min() >= 0
    assert end.max() <= elapsed
    assert begin[number["count"]] >= end[parts].max() - 0.01
    assert (trace.graph.output_size[parts] >= 100).all()
    assert trace.cluster.slots == 4
    assert set(trace.thread[trace.kind == COMPUTE]) <= {0, 1}
    assert run.unfinished == 0
    assert run.failed == []


def test_record_transfers_have_peers_and_sizes_beyond_dasks_own_log():
    # Dask keeps a log of bounded length; with a length of 2 only the recorder's own can have all.
    with threads(2, config={"distributed.admin.low-level-log-length": 2}) as client:
        first, second = sorted(client.nthreads(), key=lambda a: client.scheduler_info()["workers"][a]["name"])
        earlier = client.submit(workloads.allocate, 5000, workers=first, key="earlier")
        earlier.result()
        with record(client) as run:
            for i in range(6):
                made = client.submit(workloads.allocate, 100_000 + i, workers=first, key=f"made-{i}", pure=False)
                client.submit(len, made, workers=second, key=f"used-{i}").result()
            client.submit(len, earlier, workers=second, key="late").result()
    trace = run.trace
    rows = trace.kind == TRANSFER
    assert rows.sum() == 7
    by_name = {trace.graph.name(t): s for t, s in zip(trace.task[rows], trace.size[rows], strict=True)}
    assert all(by_name[f"used-{i}"] == pytest.approx(100_000 + i, abs=500) for i in range(6))
    assert by_name["late"] == pytest.approx(5000, abs=500)
    assert set(trace.source[rows]) == {0}
    assert set(trace.worker[rows]) == {1}
    assert set(trace.thread[rows]) == {-1}
    # What was there before is in the graph, and took no time.
    assert trace.graph.duration[trace.graph.names.index("earlier")] == 0


def test_record_has_what_was_written_to_disk_and_read_back():
    # Of results that are larger than 120 MB together some are spilled. The process may be as large as it likes.
    config = {f"distributed.worker.memory.{name}": False for name in ("spill", "pause", "terminate")}
    with threads(1, memory_limit="200 MB", config=config) as client, record(client) as run:
        made = [client.submit(workloads.allocate, 100_000_000, key=f"made-{i}") for i in range(3)]
        client.gather([client.submit(len, each, key=f"used-{i}") for i, each in enumerate(made)])
    trace = run.trace
    start, stop = trace.task_times()
    rows = np.flatnonzero(trace.kind == DISK)
    written = [row for row in rows if trace.graph.name(trace.task[row]).startswith("made")]
    read = [row for row in rows if trace.graph.name(trace.task[row]).startswith("used")]
    assert written
    assert read
    # The clocks of disk and compute times differ by the worker's offset, as Dask estimates it (worse while it is busy).
    assert (trace.start[written] >= stop[trace.task[written]] - 0.1).all()
    assert (trace.stop[read] <= start[trace.task[read]] + 0.1).all()
    assert (trace.thread[rows] == 0).all()


def test_record_keeps_failed_and_retried_attempts():
    with threads(1) as client:
        logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
        try:
            with record(client) as run:
                bad = client.submit(_fail, 1, key="bad", retries=2)
                after = client.submit(_add, bad, key="never")
                with pytest.raises(ZeroDivisionError):
                    after.result()
        finally:
            logging.getLogger("distributed.worker").setLevel(logging.NOTSET)
    assert run.failed == ["bad"]
    assert run.trace.graph.names == ("bad",)
    assert (run.trace.kind == COMPUTE).sum() == 3


def test_record_survives_an_exception_in_the_block():
    with threads() as client:
        with pytest.raises(KeyError), record(client) as run:  # noqa: PT012
            client.gather(client.map(_add, range(5)))
            raise KeyError
        assert (run.trace.kind == COMPUTE).sum() == 5
        assert not [p for p in client.cluster.scheduler.plugins if p.startswith("course-record")]


def test_record_of_nothing_and_twice():
    with threads() as client:
        with record(client) as outer:
            with record(client) as nothing:
                pass
            client.submit(_add, 1).result()
        assert len(nothing.trace) == 0
        assert len(outer.trace.graph) == 1


@pytest.mark.slow
def test_record_a_worker_that_died():
    with cluster(2, dashboard=False) as client:
        with record(client) as run:
            client.gather([client.submit(workloads.sleep_for, 0.01, i, key=f"early-{i}") for i in range(6)])
            late = [client.submit(workloads.sleep_for, 0.3, i, key=f"late-{i}") for i in range(6)]
            time.sleep(0.2)
            victim = client.run(os.getpid)
            psutil.Process(next(iter(victim.values()))).kill()
            client.gather(late)
        names = [run.trace.graph.name(t) for t in run.trace.task[run.trace.kind == COMPUTE]]
    assert {f"early-{i}" for i in range(6)} | {f"late-{i}" for i in range(6)} == set(names)
    assert run.trace.cluster.workers >= 2


def test_record_leaves_out_runs_from_before_it_began():
    with cluster(2, dashboard=False) as client:
        stays, dies = client.scheduler_info(n_workers=-1)["workers"]
        source = client.submit(workloads.sleep_for, 0.01, key="source", workers=[stays])
        kept = client.submit(workloads.sleep_for, 0.01, source, key="kept", workers=[stays])
        lost = client.submit(workloads.sleep_for, 0.01, source, key="lost", workers=[dies], allow_other_workers=True)
        wait([kept, lost])
        del source  # freed; the worker that stays still knows when it ran
        with record(client) as run:
            psutil.Process(client.run(os.getpid)[dies]).kill()
            while dies in client.scheduler_info(n_workers=-1)["workers"]:
                time.sleep(0.01)
            wait([kept, lost])
    names = [run.trace.graph.name(t) for t in run.trace.task[run.trace.kind == COMPUTE]]
    assert sorted(names) == ["lost", "source"]


def test_record_keeps_when_tasks_were_submitted():
    with cluster(2, processes=False, dashboard=False) as client, record(client) as run:
        client.gather(client.map(workloads.sleep_for, [0.02, 0.03], key="first"))
        time.sleep(0.3)
        client.submit(workloads.sleep_for, 0.02, key="second").result()
    trace = run.trace
    start, stop = trace.task_times()
    second = trace.graph.names.index("second")
    others = np.arange(3) != second
    assert (trace.submitted <= start + 0.01).all()
    assert (trace.submitted[others] == 0).all()
    assert trace.submitted[second] >= stop[others].max() + 0.25
    assert diagnose(trace).seconds["client"] >= 2 * 0.25


@pytest.mark.slow
def test_record_counts_more_tasks_than_dask_remembers():
    # In each of its logs Dask keeps the last entries only: 100 here, 1,000 or 10,000 by default.
    logs = ("distributed.admin.log-length", "distributed.admin.low-level-log-length")
    with cluster(2, dashboard=False, config=dict.fromkeys(logs, 100)) as client, record(client) as run:
        client.gather(client.map(abs, range(4000), pure=False))
    trace = run.trace
    assert len(trace.graph) == 4000
    assert np.bincount(trace.task[trace.kind == COMPUTE], minlength=4000).tolist() == [1] * 4000


# A scheduler and workers that cannot import this package.
_FOREIGN = "import sys; sys.modules['course'] = None; from distributed.cli.dask_{0} import main; main(sys.argv[1:])"


@pytest.fixture
def foreign_cluster(tmp_path):
    """A scheduler and two workers, each a process of its own, without this package; gives the scheduler file."""
    file = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    command = [sys.executable, "-c", _FOREIGN.format("scheduler"), *common, "--port", "0"]
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": {**os.environ, "TMPDIR": str(tmp_path)},
    }
    processes = [subprocess.Popen([*command, "--dashboard-address", "127.0.0.1:0"], **quiet)]
    while not file.exists():
        time.sleep(0.05)
        assert processes[0].poll() is None
    for _ in range(2):
        command = [sys.executable, "-c", _FOREIGN.format("worker"), *common, "--no-nanny", "--nthreads", "1"]
        processes.append(subprocess.Popen([*command, "--local-directory", str(tmp_path)], **quiet))
    yield file
    for process in processes:
        process.kill()
        process.wait(timeout=20)


@pytest.mark.slow
def test_join_and_record_a_cluster_that_has_no_course(foreign_cluster, capsys):
    with dask.config.set({"scheduler-file": str(foreign_cluster)}):
        with cluster(7) as client:
            client.wait_for_workers(2, timeout=60)
            with record(client) as run:
                first, second = client.nthreads()
                data = client.submit(bytes, 50_000, workers=first, key="data")
                client.submit(len, data, workers=second, key="length").result()
            assert client.submit(sum, [1, 2]).result() == 3
        # Left running: it can be joined again.
        with cluster() as client:
            assert len(client.nthreads()) == 2
    assert "Joined the cluster at tcp://127.0.0.1" in capsys.readouterr().out
    trace = run.trace
    assert sorted(trace.graph.names) == ["data", "length"]
    rows = trace.kind == TRANSFER
    assert trace.size[rows] == pytest.approx([50_000], abs=500)
    assert trace.source[rows] != trace.worker[rows]


# ---- workloads -----------------------------------------------------------------------------------------------


def test_workloads_do_what_they_say():
    began = time.perf_counter()
    assert len(workloads.sleep_for(0.03, "after", size=7)) == 7
    assert time.perf_counter() - began >= 0.03
    began = time.thread_time()
    workloads.spin_for(0.03)
    assert time.thread_time() - began >= 0.03
    assert workloads.allocate(1234, "after").nbytes == 1234
    assert workloads.io(3_000_001) == 3_000_001
    assert workloads.io(0) == 0
    durations = workloads.skewed(50, 0.2, skew=1.5, seed=3)
    assert durations.sum() == pytest.approx(10.0)
    assert (durations == workloads.skewed(50, 0.2, skew=1.5, seed=3)).all()
    assert np.ptp(workloads.skewed(5, 1.0, skew=0)) == 0
    with pytest.raises(ValueError, match="tasks=0"):
        workloads.skewed(0, 1.0)


def test_run_graph_keeps_the_graphs_numbers_and_order():
    graph = TaskGraph([0.01, 0.05, 0.02, 0.01], [50, 60, 70, 80], [[], [0], [0], [1, 2]], names=list("abcd"))
    with threads(2) as client:
        for _ in range(2):  # the second run must not find the first one's results
            trace = run_graph(client, graph)
            assert trace.graph is graph
            assert sorted(trace.task[trace.kind == COMPUTE]) == [0, 1, 2, 3]
    begin, end = trace.task_times()
    assert (end - begin >= graph.duration - 1e-3).all()
    assert begin[1] >= end[0]
    assert begin[3] >= max(end[1], end[2])


def test_run_graph_obeys_priorities():
    graph = TaskGraph([0.005] * 12)
    # Queued at the scheduler, all but the first wait there in the order of their priority.
    with threads(1, config={"distributed.scheduler.worker-saturation": 1.0}) as client:
        assert run_graph(client, graph, priority=np.arange(12)).order().tolist() == list(range(12))[::-1]


def test_run_graph_reports_a_failing_task():
    with threads(1) as client:
        logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
        try:
            with pytest.raises(RuntimeError, match="of the graph failed"):
                run_graph(client, TaskGraph([0.0]), work=lambda duration, size: 1 / 0)
        finally:
            logging.getLogger("distributed.worker").setLevel(logging.NOTSET)


def _kiefer_wolfowitz(arrival, service, servers):
    """Return when each request starts: first come, first served, by the server that is free first."""
    free, begin = np.zeros(servers), np.empty_like(arrival)
    for i in range(len(arrival)):
        k = free.argmin()
        begin[i] = max(arrival[i], free[k])
        free[k] = begin[i] + service[i]
    return begin


def test_poisson_load_is_one_queue():
    with threads(1, 2) as client:
        load = poisson_load(client, arrival_rate=40, service=0.04, n=60, seed=2)
        again = poisson_load(client, arrival_rate=1000, service=np.zeros(60), n=60, seed=2)
    assert load.servers == 2
    np.testing.assert_allclose(load.arrival, 25 * again.arrival)  # same seed, other rate
    assert (load.wait > 0).all()
    assert (load.stop - load.start >= load.service - 1e-3).all()
    # First come, first served (instants of two threads can swap by a hair).
    assert (np.diff(load.start) > -0.005).all()
    # No request starts before the exact queue would start it.
    exact = _kiefer_wolfowitz(load.arrival, load.service, 2)
    assert (load.start - exact > -0.002).all()
    # ... and with Dask's own delay and gap the exact queue says how long they waited.
    dask_too = _kiefer_wolfowitz(load.arrival + load.delay, load.stop - load.start + load.gap, 2)
    assert (load.start - load.arrival).mean() == pytest.approx((dask_too - load.arrival).mean(), rel=0.5)


@pytest.mark.slow
def test_poisson_load_waits_as_long_as_the_exact_queue():
    servers, mean, rate = 2, 0.1, 15.0  # utilization 0.75
    with threads(1, servers) as client:
        load = poisson_load(client, rate, mean, 100, seed=1)
    dask_too = _kiefer_wolfowitz(load.arrival + load.delay, load.stop - load.start + load.gap, servers)
    assert load.wait.mean() == pytest.approx((dask_too - load.arrival).mean(), rel=0.2)


def test_garbage_collection_is_short_during_a_load_only():
    def frozen(client):
        return gc.get_freeze_count(), *client.run(gc.get_freeze_count).values()

    with cluster(1, dashboard=False, local=True) as client:
        before = frozen(client)
        with workloads._service(client) as (submit, servers):
            assert servers == 1
            assert len(submit(0.0).result()) == 2
            assert min(frozen(client)) > 10_000
        with pytest.raises(KeyError), workloads._service(client):
            raise KeyError
        assert frozen(client) == before


def test_poisson_load_refuses():
    with threads(1) as client:
        with pytest.raises(ValueError, match="arrival_rate=0"):
            poisson_load(client, 0, 1.0, 5)
        with pytest.raises(ValueError, match=r"service has shape \(3,\)"):
            poisson_load(client, 1, [1, 2, 3], 5)


def test_closed_load_is_a_closed_loop():
    think, service = np.full(24, 0.03), np.full(24, 0.02)
    with threads(1, 1) as client:
        load = closed_load(client, 3, think, service, 24)
        alone = closed_load(client, 1, 0.0, np.zeros(5), 5)
    assert (np.diff(load.arrival) >= 0).all()
    assert load.sent is load.arrival
    # No more than three are ever inside: the fourth is sent after the first has been answered.
    assert (load.arrival[3:] >= load.stop[:-3] - 1e-3).all()
    assert (load.arrival[:3] >= 0.03 - 1e-3).all()
    # No request is served earlier than in the simulated twin, which has no messages.
    twin = closed_loop(3, think, service, requests=24)
    assert (load.stop >= twin.stop - 2e-3).all()
    assert (alone.arrival[1:] >= alone.stop[:-1] - 1e-3).all()


def test_closed_load_refuses():
    with threads(1) as client:
        with pytest.raises(ValueError, match="clients=0"):
            closed_load(client, 0, 1.0, 1.0, 5)
        with pytest.raises(ValueError, match=r"think_time has shape \(2,\)"):
            closed_load(client, 1, [1, 2], 1.0, 5)


def test_closed_load_tells_of_a_failure():
    with threads(1) as client, pytest.raises(OverflowError):
        closed_load(client, 2, 0.0, np.array([0.0, 1e300, 0.0]), 3)


# ---- calibrate and compare -----------------------------------------------------------------------------------


def test_calibrate_saves_and_loads():
    said = []
    with threads(2) as client:
        machine = calibrate(client, repeats=3, seconds=1.0, progress=said.append)
    assert len(said) == 5
    for estimate in (
        machine.task_overhead, machine.round_trip, machine.latency, machine.bandwidth, machine.backbone,
    ):  # fmt: skip
        assert 0 < estimate.low <= estimate.value <= estimate.high < math.inf
    assert (machine.workers, machine.threads, machine.processes, machine.between) == (2, 1, False, "workers")
    assert machine.timer < 1e-3
    assert Machine.load() == machine == Machine.load(2, 1, False)
    with pytest.raises(LookupError, match="calibrate"):
        Machine.load(workers=7)
    simulated = machine.cluster(8)
    assert simulated.workers == 8
    assert simulated.scheduler_overhead == machine.task_overhead.value
    assert simulated.release_delay == machine.release_delay.value >= 0
    assert simulated.backbone == machine.backbone.value
    assert "overhead per task" in str(machine)


@pytest.mark.slow
def test_the_simulated_dask_is_near_the_real_one():
    # What list scheduling cannot say: tasks that were placed early wait for their worker though another is idle.
    graph = fork_join(9, 2)
    graph = graph.replace(duration=np.random.default_rng(3).uniform(0.05, 0.25, len(graph)))
    with threads(3) as client:
        measured = []
        for _ in range(3):
            forget_durations(client)
            measured.append(run_graph(client, graph).makespan)
    cluster = Cluster(3, scheduler_overhead=1e-3, release_delay=5e-3)
    simulated = np.median([run(graph, cluster, "dask", seed).makespan for seed in range(15)])
    assert simulated > 1.3 * run(graph, cluster).makespan
    assert 0.75 < simulated / np.median(measured) < 1.2


@pytest.mark.slow
def test_calibrate_with_one_worker():
    with threads(1) as client:
        machine = calibrate(client, repeats=3, seconds=0.5, save=False, progress=None)
    assert machine.between == "client and worker"
    with pytest.raises(LookupError):
        Machine.load()


def test_an_estimates_interval_covers_the_median_as_often_as_it_says():
    rng = np.random.default_rng(5)
    estimates = [Estimate.of(rng.exponential(1.0, 25)) for _ in range(200)]
    covered = np.mean([e.low <= math.log(2) <= e.high for e in estimates])
    assert 0.88 < covered < 0.995


def test_compare_tells_a_difference_and_no_difference(monkeypatch, capsys):
    # A clock that only the two callables move: what is tested is the comparison, not this machine.
    clock, order = [0.0], []
    rng = np.random.default_rng(0)
    monkeypatch.setattr(comparison, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def taking(name, seconds):
        def run():
            order.append(name)
            clock[0] += seconds * rng.uniform(0.95, 1.05)

        return run

    result = compare(taking("a", 1.0), taking("b", 0.5), runs=6)
    assert result.ratio == pytest.approx(0.5, rel=0.1)
    assert result.interval[0] < result.ratio < result.interval[1] < 1
    assert result.verdict.startswith("the candidate is faster")
    assert order[:2] == ["a", "b"]  # the warm-up
    assert {"".join(order[i : i + 2]) for i in range(2, 14, 2)} == {"ab", "ba"}
    assert "6 of 6 pairs" in capsys.readouterr().out
    assert compare(taking("a", 0.1), taking("b", 0.2)).verdict.startswith("the candidate is slower")
    assert compare(taking("a", 0.1), taking("b", 0.1)).verdict.startswith("no difference shown")


def test_a_a_comparisons_seldom_show_a_difference():
    rng = np.random.default_rng(1)
    shown = sum(
        not Comparison.of(*rng.lognormal(0, 0.1, (2, 10)), seed=k).verdict.startswith("no difference")
        for k in range(100)
    )
    assert shown <= 12
    # Under 2 % is "no difference shown", however sure.
    assert Comparison.of([1.0] * 9, [1.015] * 9).verdict.startswith("no difference")
    assert Comparison.of([1.0] * 9, [1.03] * 9).verdict.startswith("the candidate is slower")


def test_compare_refuses():
    with pytest.raises(TypeError, match="candidate"):
        compare(time.time, None)
    with pytest.raises(ValueError, match="runs=2"):
        compare(time.time, time.time, runs=2)
    with pytest.raises(ValueError, match="baseline"):
        Comparison.of([1.0, 0.0, 1.0], [1.0] * 3)


def test_only_what_nobody_waits_for_any_more_is_kept_back(caplog):
    with cluster(1, processes=False, dashboard=False, local=True):
        pass
    log = logging.getLogger("asyncio")
    for error in (TimeoutError("Timeout"), TimeoutError("no answer"), ValueError("Timeout")):
        log.error("Future exception was never retrieved\nfuture: …", exc_info=error)
    for error in (CancelledError("lost"), AllExit(), ValueError("Cancelled")):
        log.error("Task exception was never retrieved\nfuture: …", exc_info=error)
    logged = [str(record.exc_info[1]) for record in caplog.records if record.name == "asyncio" and record.exc_info]
    assert logged == ["no answer", "Timeout", "Cancelled"]
