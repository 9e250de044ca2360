"""Hosts made of network namespaces, and commands without a network: the short forms of the drills hosts and offline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.drill.namespaces import cut_off, enclosed, hosts, why_not

ROOT = Path(__file__).parents[1]
LATENCY, BANDWIDTH = 0.010, 12.5e6  # seconds one way; bytes a second
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no hosts can be made here: {REASON}")


@pytest.mark.slow
def test_dask_on_two_hosts_is_as_slow_as_the_link_between_them() -> None:
    command = enclosed([sys.executable, "-m", "tests.test_hosts", "measure"])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    seconds = json.loads(done.stdout.splitlines()[-1])
    # A busy machine can only make it longer: so the shortest counts. Dask's own part of a transfer is some 10 ms.
    assert 2 * LATENCY < min(seconds["1"]) < 2 * LATENCY + 0.030
    assert 2 * LATENCY + 2e6 / BANDWIDTH < min(seconds["2000000"]) < 1.25 * (2 * LATENCY + 2e6 / BANDWIDTH) + 0.010


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_them(how: signal.Signals) -> None:
    """Neither after Ctrl-C, which goes to all processes in front, nor when the first process is killed outright."""
    before = set(psutil.net_if_addrs()), _named_namespaces()
    command = enclosed([sys.executable, "-m", "tests.test_hosts", "wait"])
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as first:
        assert first.stdout is not None
        assert json.loads(first.stdout.readline()) == ["head", "h1", "h2"]
        family = psutil.Process(first.pid).children(recursive=True)
        assert len({os.readlink(f"/proc/{each.pid}/ns/net") for each in family}) >= 2  # one of a host's is among them
        if how == signal.SIGINT:
            os.killpg(first.pid, how)
        else:
            first.send_signal(how)
        first.wait(20)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert (set(psutil.net_if_addrs()), _named_namespaces()) == before


def _named_namespaces() -> list[str]:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.splitlines()


def test_without_a_network_there_is_none() -> None:
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    done = subprocess.run(cut_off([sys.executable, "-c", reach]), capture_output=True, text=True)
    assert "Network is unreachable" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", [["check"], ["run", "26"], ["whatif", "TRACE", "--workers", "16"]])
def test_a_command_needs_no_network(command: list[str], tmp_path: Path) -> None:
    trace = sorted((ROOT / "data" / "mysteries").glob("*.parquet"))[0]
    command = [str(trace) if word == "TRACE" else word for word in command]
    environment = {**os.environ, "COURSE_HOME": str(tmp_path)}
    line = cut_off([sys.executable, "-m", "course", *command])
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("processes", [True, False])
def test_a_cluster_needs_no_network_and_does_not_miss_it(processes: bool, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from course import measure\n"
        "if __name__ == '__main__':\n"
        f"    with measure.cluster(1, processes={processes}) as client:\n"
        "        print(client.submit(abs, -1).result())\n",
        encoding="utf-8",
    )
    line = cut_off([sys.executable, str(script)])
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def _measure() -> None:
    """Print the seconds of transfers between workers on two hosts, by their bytes. Runs inside."""
    from distributed import wait

    from course import measure
    from course.trace import TRANSFER
    from tests.drill.dask_hosts import dask_hosts

    found = {}
    with hosts(2, LATENCY, BANDWIDTH) as at, dask_hosts(at, [1, 1]) as client:
        here, there = sorted(client.scheduler_info(n_workers=-1)["workers"])
        for size in (1, 2_000_000):
            with measure.record(client) as run:
                for _ in range(5):
                    made = client.submit(bytes, size, workers=[here], pure=False)
                    wait(client.submit(len, made, workers=[there], pure=False))
            moves = run.trace.kind == TRANSFER
            found[str(size)] = (run.trace.stop - run.trace.start)[moves].tolist()
    print(json.dumps(found))


def _wait() -> None:
    """Make hosts, tell, and wait to be ended, with a process on one of them. Runs inside."""
    from tests.drill.namespaces import on_host

    with hosts(2, LATENCY, BANDWIDTH) as at:
        subprocess.Popen(on_host("h1", [sys.executable, "-c", "import time; time.sleep(60)"]))
        time.sleep(0.5)
        print(json.dumps(list(at)), flush=True)
        time.sleep(60)


if __name__ == "__main__":
    {"measure": _measure, "wait": _wait}[sys.argv[1]]()
