"""The class cluster, as teacher and students start it: each in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from distributed import Client, Scheduler, Status
from distributed.security import Security

from course.classroom.certificates import Certificates
from course.cli import main
from course.measure.invitation import Invitation, keep, look
from course.measure.shared import shared
from tests.drill.class_cluster import signals_as_in_a_terminal

ROOT = Path(__file__).parents[2]
# Not the address that everything has: so it is seen who listens where. (Others than Linux have but one.)
HOST = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
# A student's program: what a chapter's cell does. Its tasks say in which process they ran.
PROGRAM = """
import os, time
from course import measure

def work(seconds):
    time.sleep(seconds)
    return os.getpid()

if __name__ == "__main__":
    with measure.cluster({options}) as client:
        print(*sorted(set(client.gather(client.map(work, [{seconds}] * 8, pure=False)))))
"""


@dataclass
class Server:
    """A running `course cluster serve`."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def line(self) -> str:
        return (self.folder / "cluster" / "join.txt").read_text(encoding="utf-8").split()[-1]

    @property
    def family(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


def environment(home: Path, **more: str) -> dict[str, str]:
    temporary = home.parent / f"{home.name} temporary"
    temporary.mkdir(exist_ok=True)
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("DASK_", "COURSE_"))}
    places = {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}
    return {**usual, **places, "PYTHONPATH": str(ROOT), "COURSE_HOME": str(home), "PYTHONUNBUFFERED": "1", **more}


def course(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "course", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment(home, **more), timeout=120)


def program(home: Path, options: str = "", seconds: float = 0, **more: str) -> subprocess.Popen[str]:
    path = home.parent / f"{home.name}.py"
    path.write_text(PROGRAM.format(options=options, seconds=seconds), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home, **more),
    )  # fmt: skip


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "course", "cluster", "serve", "--class", str(folder)]
    command += ["--workers", "2", "--dashboard", "0", *options]
    with signals_as_in_a_terminal():
        return subprocess.Popen(
            command, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(folder),
        )  # fmt: skip


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """Serve until the end of the block; nothing is left after it, neither processes nor files."""
    server = Server(start(folder, *options), folder)
    heard: list[str] = []
    try:
        for line in server.process.stdout:
            heard.append(line)
            if "ends it" in line:
                break
        else:
            pytest.fail(f"it did not start: {''.join(heard)}{server.process.stderr.read()}")
        family = server.family
        yield server
    finally:
        server.process.terminate()
        server.process.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    if os.name == "posix":  # elsewhere to terminate is to kill
        assert not list((folder.parent / f"{folder.name} temporary").iterdir())


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("teacher") / "the clàss", "--port", "0", "--host", HOST) as running:
        yield running


@pytest.fixture
def home(tmp_path, server) -> Path:
    """The folder of a student who has joined."""
    folder = tmp_path / "ada's folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(folder))
        keep(Invitation.from_line(server.line))
    return folder


def workers(server: Server) -> set[int]:
    return {process.pid for process in server.family[1:]}


# ---- joining -------------------------------------------------------------------------------------------------


def test_students_join_with_one_line_and_their_programs_need_no_change(server, tmp_path):
    homes = [tmp_path / "ada", tmp_path / "ben"]
    file = tmp_path / "line from the teacher.txt"
    file.write_text(f"course cluster join\n  {server.line[:300]}\n  {server.line[300:]}\n", encoding="utf-8")
    for home, line in zip(homes, [server.line, str(file)], strict=True):
        done = course(home, "cluster", "join", line)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Joined. It has 2 workers, 2 threads" in done.stdout
    running = [program(homes[0], "4, 2"), program(homes[1])]
    for each in running:
        out, err = each.communicate(timeout=120)
        assert err == ""
        joined, pids = out.splitlines()
        assert joined.startswith(f"Joined the cluster at tls://{HOST}:")
        assert set(map(int, pids.split())) <= workers(server)


def test_a_cell_with_local_true_keeps_its_own_cluster(server, home):
    out, err = program(home, "1, 1, local=True").communicate(timeout=120)
    assert err == ""
    assert not set(map(int, out.split())) & workers(server)


def test_dasks_own_settings_come_first(home):
    process = program(home, DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:9", DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="1s")
    assert "tcp://127.0.0.1:9" in process.communicate(timeout=120)[1]
    assert process.returncode == 1


def test_an_environment_can_name_it_as_a_hub_does(server, tmp_path):
    process = program(tmp_path / "ada", COURSE_CLUSTER=f"course cluster join {server.line}")
    assert process.communicate(timeout=120)[0].startswith(f"Joined the cluster at tls://{HOST}:")
    wrong = program(tmp_path / "ada", COURSE_CLUSTER=server.line[:-5])
    assert "ValueError: COURSE_CLUSTER: this is not a whole line" in wrong.communicate(timeout=120)[1]


def test_leave_and_status(server, home, monkeypatch, capsys):
    seen = course(home, "cluster", "status")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert re.search(r"2 workers, 2 threads, .* GB; \d+ other programs? connected, \d+ tasks? not done", seen.stdout)
    monkeypatch.setenv("COURSE_HOME", str(home))
    for words, said in [
        (["leave"], "From now on measure.cluster() uses your own machine."),
        (["leave"], "You had not joined a class cluster."),
        (["status", "--class", str(server.folder)], "2 workers, 2 threads"),
    ]:
        assert main(["cluster", *words]) == 0
        assert said in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="on Windows the folder of a user is the user's own")
def test_what_lets_one_in_can_be_read_by_its_owner_only(server, home):
    kept = [home / ".course" / "cluster.json", *(server.folder / "cluster").iterdir()]
    assert {path.name for path in kept} == {"cluster.json", "join.txt", "authority.pem", "server.pem", "student.pem"}
    assert set(json.loads(kept[0].read_text(encoding="utf-8"))) == {"address", "authority", "certificate", "key"}
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert (server.folder / "cluster").stat().st_mode & 0o777 == 0o700
    assert "PRIVATE" not in (server.folder / "cluster" / "authority.pem").read_text()


# ---- refusing ------------------------------------------------------------------------------------------------


def other_line(address: str, folder: Path) -> str:
    made = Certificates.make(folder)
    return Invitation.of(address, made.authority, made.student).line()


def test_certificates_of_another_class_are_refused(server, tmp_path):
    line = other_line(server.line.rpartition("/")[0], tmp_path / "other")
    done = course(tmp_path / "eve", "cluster", "join", line)
    assert done.returncode == 1
    assert "does not let you in: your line is of other certificates" in done.stderr
    assert "the present line" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "eve" / ".course" / "cluster.json").exists()


def test_who_has_no_certificate_is_refused(server, home):
    address = server.line.rpartition("/")[0]
    with pytest.raises(OSError, match=r"Timed out|timed out|closed|reset"):
        Client(address.replace("tls", "tcp"), timeout=3)
    host, port = address.removeprefix("tls://").split(":")
    # Someone who believes the server, and shows it nothing: the handshake may look done, but nothing is answered.
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=5) as plain:
        plain.settimeout(5)
        try:
            with anybody.wrap_socket(plain) as wrapped:
                heard = repr(wrapped.recv(100))
        except ssl.SSLError as error:
            heard = str(error)
        except ConnectionError:
            heard = "hung up"
    assert "certificate" in heard or heard in ("b''", "hung up")
    # Those who have one are served as before.
    assert course(home, "cluster", "status").returncode == 0


def test_with_a_students_certificate_nobody_can_pose_as_the_scheduler(server):
    invitation = Invitation.from_line(server.line)
    student = server.folder / "cluster" / "student.pem"
    authority = server.folder / "cluster" / "authority.pem"

    def handshake(certificate: Path) -> None:
        """Let a student's client meet somebody who shows this certificate."""
        files = {"tls_scheduler_cert": str(certificate), "tls_scheduler_key": str(certificate)}
        listens = Security(require_encryption=True, tls_ca_file=str(authority), **files).get_listen_args("scheduler")
        calls = invitation.security().get_connection_args("client")
        here, there = socket.socketpair()
        with here, there:
            here.settimeout(5)
            there.settimeout(5)

            def answer() -> None:
                try:
                    listens["ssl_context"].wrap_socket(there, server_side=True).close()
                except OSError:  # the other side hung up
                    there.close()

            thread = threading.Thread(target=answer)
            thread.start()
            try:
                calls["ssl_context"].wrap_socket(here).close()
            finally:
                here.close()
                thread.join()

    handshake(server.folder / "cluster" / "server.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshake(student)


def test_only_the_scheduler_listens_and_only_where_it_was_told(server):
    connections = [c for p in server.family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in connections} == {"127.0.0.1", HOST}
    if HOST != "127.0.0.1":
        port = int(server.line.rpartition("/")[0].rpartition(":")[2])
        assert [c.laddr.port for c in connections if c.laddr.ip == HOST] == [port]


# ---- starting and ending -------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_it_ends_when_it_is_told_even_in_mid_task_and_the_student_is_told(tmp_path):
    with serving(tmp_path / "class", "--port", "0") as server:
        student = program(tmp_path / "ada", seconds=60, COURSE_CLUSTER=server.line)
        while not student.stdout.readline().startswith("Joined"):
            assert student.poll() is None
        time.sleep(0.5)
        began = time.monotonic()
        os.killpg(server.process.pid, signal.SIGINT)  # Ctrl-C goes to all processes of the terminal
        out, err = server.process.communicate(timeout=30)
        assert time.monotonic() - began < 15
        assert (server.process.returncode, err) == (0, "")
        assert out.endswith("The class cluster has ended.\n")
        _, err = student.communicate(timeout=10)
        assert "ConnectionError: the cluster at tls://127.0.0.1:" in err.splitlines()[-1]
        assert "has ended, or the network to it" in err.splitlines()[-1]
        assert "ERROR" not in err  # what Dask's client logs of it


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_ctrl_c_while_it_starts(tmp_path):
    process = start(tmp_path / "class", "--port", "0")
    assert process.stdout.readline().startswith("Starting")
    # When it has begun to start its workers: Dask itself would leave them, and raise AssertionError.
    while not (family := psutil.Process(process.pid).children(recursive=True)):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert not psutil.wait_procs(family, timeout=5)[1]


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_killed_it_takes_its_workers_along(tmp_path):
    process = start(tmp_path / "class", "--port", "0")
    while "ends it" not in process.stdout.readline():
        assert process.poll() is None
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.kill()
    process.communicate(timeout=10)
    assert not psutil.wait_procs(family, timeout=5)[1]


def test_a_taken_port_is_refused_and_so_are_foreign_hosts(server, tmp_path, capsys):
    port = server.line.rpartition("/")[0].rpartition(":")[2]
    for options, said in [
        (["--host", HOST, "--port", port], f"port {port}: something listens there already"),
        (["--host", "192.0.2.1"], "192.0.2.1 is no address of this machine; this machine is"),
        (["--host", "no such host"], "which is no address"),
    ]:
        assert main(["cluster", "serve", "--class", str(tmp_path), *options]) == 1
        assert said in capsys.readouterr().err


def test_it_ends_by_itself_when_nobody_uses_it(tmp_path):
    process = start(tmp_path / "class", "--port", "0", "--idle", "0.0002")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("No task ran for 0.0002 h: the class cluster has ended.\n")


def test_ended_by_a_student_it_says_so(tmp_path, monkeypatch):
    async def end(dask_scheduler: Scheduler) -> None:
        await dask_scheduler.close()

    with serving(tmp_path / "class", "--port", "0") as server:
        invitation = Invitation.from_line(server.line)
        # What is meant for a cluster of one's own does not do it by accident ...
        client = invitation.client(set_as_default=False)
        with pytest.raises(PermissionError, match=r"for the whole class; client\.close\(\) leaves it"):
            client.shutdown()
        client.close()
        with invitation.client(set_as_default=False) as client:
            with pytest.raises(PermissionError, match="from the whole class"):
                client.restart()
            assert client.submit(abs, -1).result() == 1
            # ... but a program can.
            with suppress(OSError):
                client.run_on_scheduler(end)
        out, err = server.process.communicate(timeout=30)
        assert (server.process.returncode, err) == (1, "")
        assert "A program of a student ended the scheduler." in out
    monkeypatch.setattr("course.measure.invitation.PATIENCE", 1)
    began = time.monotonic()
    with pytest.raises(OSError, match=r"does not answer within 1 s.*course cluster leave"):
        look(invitation)
    assert time.monotonic() - began < 5


def test_one_folder_has_one_cluster(server, capsys):
    before = server.line
    for more in ([], ["--new"]):
        assert main(["cluster", "serve", "--class", str(server.folder), "--port", "0", *more]) == 1
        assert "runs already" in (said := capsys.readouterr().err)
        assert "--class FOLDER --port 8790" in said
    assert server.line == before


@pytest.mark.parametrize("memory", ["0.1", "100000"])
def test_workers_that_cannot_work_or_are_more_than_the_machine_are_refused(memory, tmp_path, capsys):
    size = ["--workers", "2", "--memory", memory]
    assert main(["cluster", "serve", "--class", str(tmp_path), "--port", "0", *size]) == 1
    assert f"--memory: {memory} GB for each of 2 workers: must be at least 0.25 GB" in capsys.readouterr().err


# ---- taking turns --------------------------------------------------------------------------------------------


def test_who_comes_with_a_few_tasks_does_not_wait_for_who_has_many(tmp_path):
    """In the order in which they were submitted it would wait for nearly all (the drill shows it)."""
    made = Certificates.make(tmp_path / "certificates")
    many, few, seconds = 160, 8, 0.05
    with shared(made.authority, made.server, workers=2, threads=2, dashboard=None) as running:
        invitation = Invitation.of(running.scheduler_address, made.authority, made.student)
        with (
            invitation.client(set_as_default=False) as first,
            invitation.client(set_as_default=False) as second,
        ):
            first.gather(first.map(time.sleep, [seconds] * 8, pure=False))  # how long they take is known by now
            began = time.monotonic()
            hog = first.map(time.sleep, [seconds] * many, pure=False)
            time.sleep(0.3)
            came = time.monotonic()
            second.gather(second.map(time.sleep, [seconds] * few, pure=False))
            waited = time.monotonic() - came
            first.gather(hog)
            whole = time.monotonic() - began
        ideal = many * seconds / 4
        assert whole > ideal
        assert waited < 0.5 * ideal  # alone: 0.1 s, in turns: 0.2 s, and what was on its way to the workers


def test_the_order_of_one_client_stays(tmp_path):
    """What a program asks for with ``priority=`` holds, and graphs run in the order in which they were submitted."""
    made = Certificates.make(tmp_path / "certificates")
    with shared(made.authority, made.server, workers=1, threads=1, dashboard=None) as running:
        invitation = Invitation.of(running.scheduler_address, made.authority, made.student)
        with invitation.client(set_as_default=False) as client:
            client.submit(time.sleep, 0.5, pure=False)
            time.sleep(0.2)
            later = [client.submit(time.time, pure=False, priority=p, key=f"p{p}") for p in (0, 1, -1, 2)]
            at = dict(zip((0, 1, -1, 2), client.gather(later), strict=True))
    assert sorted(at, key=at.get) == [2, 1, 0, -1]


def test_a_worker_that_lost_its_connection_is_replaced(tmp_path):
    made = Certificates.make(tmp_path / "certificates")
    with shared(made.authority, made.server, workers=2, threads=1, dashboard=None) as running:
        before = set(running.scheduler.workers)
        lost, nannies = min(before), list(running.workers.values())
        running.sync(running.scheduler.stream_comms[lost].comm.close)
        until = time.monotonic() + 20
        while sum(nanny.status is Status.closed for nanny in nannies) != 1:
            assert time.monotonic() < until
            time.sleep(0.05)
        running.replace_closed()
        after = set(running.scheduler.workers)
        assert (len(after), len(after & before), lost in after) == (2, 1, False)
        running.replace_closed()
        assert set(running.scheduler.workers) == after
