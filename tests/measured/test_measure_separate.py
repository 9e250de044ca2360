"""A scheduler and workers as separate processes: joined through Dask's settings, and always taken down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dask
import psutil
import pytest

import course.measure.separate as separate
from course.measure import cluster, standalone

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Every test leaves its temporary folder empty, and no child process."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for name in ("DASK_SCHEDULER_ADDRESS", "DASK_SCHEDULER_FILE"):
        monkeypatch.delenv(name, raising=False)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    after = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert [child.cmdline() for child in after if child.status() != psutil.STATUS_ZOMBIE] == []
    assert not list(folder.iterdir())


def _gone(processes):
    return not any(psutil.pid_exists(process) for process in processes)


def test_the_settings_lead_the_client_there(capfd):
    with standalone(workers=2, threads=3) as started:
        assert len(started.processes) == 3
        assert started.address.startswith("tcp://127.0.0.1:")
        with dask.config.set({"scheduler-address": None, "scheduler-file": started.scheduler_file}):
            with cluster(7) as client:  # what was asked for says nothing about a cluster that is joined
                assert sorted(client.nthreads().values()) == [3, 3]
                assert set(client.run(os.getpid).values()) == set(started.processes[1:])
                assert client.run_on_scheduler(os.getpid) == started.processes[0]
            # Left running: an address in the settings leads there too, and goes before a file.
            with (
                dask.config.set({"scheduler-address": started.address, "scheduler-file": "nowhere.json"}),
                cluster() as client,
            ):
                assert client.submit(sum, [1, 2]).result() == 3
    assert _gone(started.processes)
    assert not Path(started.scheduler_file).exists()
    assert f"Joined the cluster at {started.address}: 2 workers, 6 threads." in capfd.readouterr().out


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_ends_them(error):
    with pytest.raises(error), standalone(workers=1) as started:
        raise error
    assert _gone(started.processes)


def test_no_settings_of_ours_lead_it_elsewhere(monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    with standalone(workers=1) as started:
        pass
    assert _gone(started.processes)


def test_a_process_that_ends_says_why(monkeypatch):
    monkeypatch.setattr(separate, "_END_WITH_PARENT", "raise SystemExit( 'no such luck' )")
    with pytest.raises(RuntimeError, match=r"the scheduler ended .*(?s:.*)no such luck"), standalone(workers=1):
        pass


def test_too_little_time():
    with pytest.raises(TimeoutError, match="larger timeout"), standalone(workers=1, timeout=1e-3):
        pass


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"threads": 1.5}, {"timeout": 0}])
def test_wrong_arguments(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name), standalone(**wrong):
        pass


def test_a_file_that_never_appears(tmp_path):
    settings = {"scheduler-file": str(tmp_path / "no.json"), "distributed.comm.timeouts.connect": "50 ms"}
    with dask.config.set(settings), pytest.raises(TimeoutError, match=r"scheduler-file is .*no\.json"), cluster():
        pass


def test_a_file_of_a_scheduler_that_is_gone(tmp_path):
    file = tmp_path / "old.json"
    file.write_text('{"address": "tcp://127.0.0.1:9"}')
    settings = {"scheduler-file": str(file), "distributed.comm.timeouts.connect": "200 ms"}
    with dask.config.set(settings), pytest.raises(OSError, match=r"connect to tcp://127\.0\.0\.1:9"), cluster():
        pass


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_parent_takes_them_along():
    code = (
        f"import tempfile; tempfile.tempdir = {tempfile.gettempdir()!r}\n"
        "import time\nfrom course.measure import standalone\n"
        "with standalone(workers=1) as started:\n    print(*started.processes, flush=True)\n    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    processes = [int(each) for each in parent.stdout.readline().split()]
    assert len(processes) == 2
    parent.send_signal(signal.SIGKILL)
    parent.communicate(timeout=10)
    until = time.monotonic() + 10
    while not _gone(processes) and time.monotonic() < until:
        time.sleep(0.05)
    assert _gone(processes)
    # The folder could not be removed by a killed process; the next cluster does it.
    (abandoned,) = Path(tempfile.gettempdir()).glob("course-dask-*")
    os.utime(abandoned / "lock", (0, 0))
    with standalone(workers=1):
        assert not abandoned.exists()
