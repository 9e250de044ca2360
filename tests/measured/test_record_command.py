"""``course record`` on real programs, however they end; and a scheduler that records itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from course.diagnosis import diagnose
from course.trace import COMPUTE, TRANSFER, Trace

# What every program here begins with. It cannot import this package: programs of others need not have it.
HEAD = """
import sys
sys.modules["course"] = None
import os, time
from distributed import Client, LocalCluster

def work(i, size=10, seconds=0.02):
    time.sleep(seconds)
    return bytes(size)

def fails():
    raise ZeroDivisionError

quiet = dict(dashboard_address="127.0.0.1:0", host="127.0.0.1")
"""

posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


class Place:
    """A folder with a program in it, and the command in which it is recorded."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "ein Ördner für α"
        self.temporary = tmp_path / "temporary"
        self.script = self.folder / "mein skript é.py"
        self.trace = self.folder / "läuft.parquet"
        for folder in (self.folder, self.temporary):
            folder.mkdir()
        self.environ = {**os.environ, "TMPDIR": str(self.temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
        self.environ |= {"DASK_TEMPORARY_DIRECTORY": str(self.temporary), "PYTHONIOENCODING": "utf-8"}

    def command(self, source: str, *arguments: str, head: str = HEAD) -> list[str]:
        self.script.write_text(f"{head}\nif __name__ == '__main__':\n    {source.strip()}\n", encoding="utf-8")
        command = [sys.executable, "-m", "course", "record", "-o", self.trace.name, "--"]
        return [*command, sys.executable, self.script.name, *arguments]

    def run(self, source: str, *arguments: str, head: str = HEAD, **options) -> subprocess.CompletedProcess:
        options = {"capture_output": True, "encoding": "utf-8", "timeout": 90, **options}
        command = self.command(source, *arguments, head=head)
        return subprocess.run(command, cwd=self.folder, env=self.environ, **options)

    def left(self) -> list[str]:
        return [path.name for path in self.temporary.iterdir() if path.name.startswith("course-record")]


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    assert place.left() == []


def names_that_ran(trace: Trace) -> list[str]:
    return sorted(trace.graph.name(task) for task in trace.task[trace.kind == COMPUTE])


def test_processes_with_input_output_and_arguments_as_without(place):
    done = place.run(
        """
    with LocalCluster(n_workers=2, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        first, second = client.nthreads()
        made = client.submit(work, 0, 100_000, key="made", workers=first)
        print(client.submit(len, made, key="used", workers=second).result(), sys.argv[1:], input())
        sys.stderr.write("to standard error\\n")
        """,
        "--size",
        "ä b",
        input="typed\n",
    )
    assert done.returncode == 0
    assert done.stdout == "100000 ['--size', 'ä b'] typed\n"
    ours = [line for line in done.stderr.splitlines() if line.startswith("course: ")]
    assert "to standard error" in done.stderr.splitlines()
    assert len(ours) == 2
    assert "recorded 2 tasks on 2 workers (2 threads)" in ours[0]
    assert ours[1] == "course: go on with: course diagnose 'läuft.parquet'"
    trace = Trace.load(place.trace)
    assert names_that_ran(trace) == ["made", "used"]
    rows = trace.kind == TRANSFER
    assert trace.size[rows] == pytest.approx([100_000], abs=500)
    assert trace.source[rows] != trace.worker[rows]
    assert trace.cluster.names == ("0", "1")
    diagnose(trace)


def test_threads_that_are_never_closed_and_a_failure(place):
    done = place.run("""
    client = Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0")
    parts = client.map(work, range(6), key="part")
    client.submit(lambda *parts: None, *parts, key="total").result()
    assert client.submit(fails, key="bad", retries=1).exception() is not None
    raise SystemExit(7)
    """)
    assert done.returncode == 7
    trace = Trace.load(place.trace)
    assert len(names_that_ran(trace)) == 9
    assert names_that_ran(trace).count("bad") == 2
    assert len(trace.graph.predecessors(trace.graph.names.index("total"))) == 6
    assert "1 failed" in done.stderr


def test_two_clusters_have_a_file_each_and_preloads_stay(place):
    (place.folder / "mine.py").write_text(
        "def dask_setup(scheduler):\n    print('set up')\n\ndef dask_teardown(scheduler):\n    print('torn down')\n"
    )
    place.environ["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = str(place.folder / "mine.py")
    done = place.run("""
    for workers in (1, 2):
        with Client(processes=False, n_workers=workers, threads_per_worker=1, dashboard_address=":0") as client:
            client.gather(client.map(work, range(workers), key=f"of-{workers}"))
    """)
    assert done.returncode == 0
    assert done.stdout.split("\n")[:-1] == ["set up", "torn down"] * 2
    traces = [Trace.load(path) for path in (place.trace, place.folder / "läuft-2.parquet")]
    assert [(len(trace.graph), trace.cluster.workers) for trace in traces] == [(1, 1), (2, 2)]


def test_end_without_a_goodbye(place):
    done = place.run("""
    client = Client(n_workers=1, threads_per_worker=2, **quiet)
    client.gather(client.map(work, range(20), key="part"))
    os._exit(9)
    """)
    assert done.returncode == 9
    assert len(names_that_ran(Trace.load(place.trace))) == 20


INTERRUPTED = """
    client = Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0")
    client.gather(client.map(work, range(5), key="part"))
    print("ready", flush=True)
    client.gather(client.map(work, range(100), seconds=0.5, key="long"))
"""


@pytest.fixture
def interruptible():
    """Let programs hear Ctrl-C: what a shell starts in the background ignores it, and so does all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@posix
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", ["terminal", "signal"])
def test_interrupt(place, how):
    command = place.command(INTERRUPTED)
    if how == "terminal":
        terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
        command = [sys.executable, "-c", terminal, *command]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=place.folder, env=place.environ, start_new_session=True, **options)
    try:
        said = process.stdout.readline()
        assert said.strip() == b"ready"
        time.sleep(0.2)
        if how == "terminal":
            process.stdin.write(b"\x03")
            process.stdin.flush()
        else:
            process.send_signal(signal.SIGINT)
        said = process.stdout.read().decode()
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    assert said.count("KeyboardInterrupt") >= 1
    assert "course: recorded" in said
    names = names_that_ran(Trace.load(place.trace))
    assert len([name for name in names if name.startswith("part")]) == 5
    assert len(names) < 20


def test_worker_that_is_killed(place):
    done = place.run("""
    with LocalCluster(n_workers=2, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        first, second = client.nthreads()
        made = client.submit(work, 0, 100_000, key="made", workers=first)
        client.submit(len, made, key="used", workers=second).result()
        pid = client.run(os.getpid)[second]
        late = client.map(work, range(4), seconds=0.3, key="late")
        time.sleep(0.4)
        os.kill(pid, 9)
        client.gather(late)
    """)
    assert done.returncode == 0
    trace = Trace.load(place.trace)
    assert {"made", "used"} <= set(names_that_ran(trace))
    assert len({name for name in names_that_ran(trace) if name.startswith("late")}) == 4
    # What it fetched it had told the scheduler before.
    used = (trace.kind == TRANSFER) & (trace.task == trace.graph.names.index("used"))
    assert trace.size[used] == pytest.approx([100_000], abs=500)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("print(1)", "no distributed scheduler was started"),
        ("import dask; print(dask.delayed(len)('a').compute(scheduler='threads'))", "no distributed scheduler"),
        ("from distributed import Client; Client(processes=False, dashboard_address=':0'); print(1)", "no task ran"),
    ],
)
def test_nothing_to_record(place, source, why):
    done = place.run(source, head="")
    assert done.returncode == 0
    assert done.stdout == "1\n"
    assert why in done.stderr
    assert not place.trace.exists()


def test_what_is_there_is_not_overwritten(place):
    place.trace.write_text("mine")
    done = place.run("open('ran', 'w')", head="")
    assert done.returncode == 1
    assert "not overwritten" in done.stderr
    assert not (place.folder / "ran").exists()
    assert place.trace.read_text() == "mine"


def test_what_appears_while_it_runs_is_not_overwritten(place):
    done = place.run("""
    with Client(processes=False, n_workers=1, dashboard_address=":0") as client:
        client.submit(work, 1).result()
    open("läuft.parquet", "w").write("mine")
    """)
    assert done.returncode == 0
    assert place.trace.read_text() == "mine"
    assert "läuft-2.parquet" in done.stderr
    assert len(Trace.load(place.folder / "läuft-2.parquet").graph) == 1


_SCHEDULER = "from distributed.cli.dask_scheduler import main; main()"
_WORKER = "import sys; sys.modules['course'] = None; from distributed.cli.dask_worker import main; main()"


@posix
@pytest.mark.slow
def test_scheduler_that_records_itself(place):
    place.trace.write_text("mine")
    place.environ["COURSE_RECORD"] = place.trace.name
    file = place.folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    options = {"cwd": place.folder, "env": place.environ, "stdout": subprocess.DEVNULL}
    command = [sys.executable, "-c", _SCHEDULER, *common, "--port", "0", "--preload", "course.measure.recorder"]
    with open(place.folder / "log", "wb") as log:
        processes = [subprocess.Popen(command, stderr=log, **options)]
    try:
        while not file.exists():
            time.sleep(0.05)
            assert processes[0].poll() is None
        command = [sys.executable, "-c", _WORKER, *common, "--no-nanny", "--nthreads", "1"]
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, **options))
        program = (
            f"from distributed import Client; c = Client(scheduler_file={str(file)!r}); c.submit(len, 'ab').result()"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60, **options)
        command = [sys.executable, "-m", "course", "diagnose", "läuft-2.parquet.notes", "--json"]
        subprocess.run(command, check=True, timeout=120, **options)
        processes[0].terminate()
        processes[0].wait(60)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert place.trace.read_text() == "mine"
    trace = Trace.load(place.folder / "läuft-2.parquet")
    assert np.count_nonzero(trace.kind == COMPUTE) == 1
    assert "läuft-2.parquet" in (place.folder / "log").read_text(encoding="utf-8")
    assert not list(place.folder.glob("*.notes"))
    assert not psutil.pid_exists(processes[0].pid)
