"""``course cluster``: a Dask cluster that a class shares, and how to join it."""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from course.cli.assignment import FOLDER
from course.cli.errors import CommandError
from course.cli.place import settle

if TYPE_CHECKING:
    from course.classroom.certificates import Certificates
    from course.measure.invitation import Invitation, Seen
    from course.measure.shared import SharedCluster

PORT, DASHBOARD = 8786, 8787
# How often the server looks whether its scheduler still runs (seconds).
LOOK = 0.5

DESCRIPTION = """\
One scheduler with workers on the teacher's machine or on a server, for all students. Who has the line that `serve`
prints is let in, nobody else; all that is said is encrypted. After `join`, every measure.cluster() uses it, but for
those with local=True. These ask for a cluster of their own because they start, slow down or kill workers: all cells of
some chapters, some cells of others (notebooks/teaching/cluster.md lists them, and the chapters whose scoreboards hold).
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "cluster",
        help="a cluster that a class shares: serve, join, leave, status",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = command.add_subparsers(title="steps", metavar="STEP", required=True)

    step = steps.add_parser(
        "serve",
        help="for teachers: start the cluster; print the line that students put in",
        description="Start a scheduler and workers, and run until Ctrl-C. The certificates are made once and kept "
        f"in the class's folder ({FOLDER}, or $COURSE_CLASS): with the same --host and --port the last line is good.",
        epilog="Students' programs run with your rights on this machine, and can reach each other's through it: use an "
        "account that has nothing to lose, and read `Who may do what` in notebooks/teaching/cluster.md.",
    )
    step.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="listen there (127.0.0.1: this machine only); for a network its address in it, or 0.0.0.0 for all",
    )
    step.add_argument("--port", type=_port, default=PORT, help=f"({PORT}); 0 takes a free one")
    step.add_argument(
        "--contact",
        type=_name,
        metavar="NAME",
        help="the name or address by which students' machines find this one (--host's)",
    )
    step.add_argument("--workers", type=_count, metavar="N", help="processes (as many as cores)")
    step.add_argument("--threads", type=_count, default=1, metavar="N", help="tasks at a time in each (1)")
    step.add_argument(
        "--memory",
        type=_positive,
        metavar="GB",
        help="of each worker, which is started anew when it takes more (its part of this machine's)",
    )
    step.add_argument(
        "--dashboard",
        type=_port,
        default=DASHBOARD,
        metavar="PORT",
        help=f"on this machine only ({DASHBOARD}, or a free one)",
    )
    step.add_argument("--idle", type=_positive, metavar="HOURS", help="end when no task ran for so long (never)")
    step.add_argument("--new", action="store_true", help="make new certificates: who has an old line is out")
    step.add_argument("--class", dest="folder", type=Path, metavar="FOLDER", help=f"the class's folder ({FOLDER})")
    step.set_defaults(run=serve)

    step = steps.add_parser(
        "join",
        help="for students: use the class cluster from now on",
        description="Look whether the cluster answers, and use it from now on. To join is to trust it: it can do on "
        "this machine what you can. Take a line from your teacher only.",
    )
    step.add_argument("line", nargs="+", metavar="LINE", help="what your teacher gave you, or a file that holds it")
    step.set_defaults(run=join)

    step = steps.add_parser("leave", help="for students: use your own machine again")
    step.set_defaults(run=leave)

    step = steps.add_parser("status", help="does it answer? How many use it?")
    step.add_argument("--class", dest="folder", type=Path, metavar="FOLDER", help=f"the class's folder ({FOLDER})")
    step.set_defaults(run=status)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 0 to 65535")
    return int(text)


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*|\[[\da-fA-F:.]+\]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no machine; write a name, an address, or [an IPv6 address]")
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of them; write a whole number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return value


# ---- the teacher's side --------------------------------------------------------------------------------------


def serve(arguments: argparse.Namespace) -> int:
    """Run the class cluster until it is stopped; 1 if a student shut it down."""
    from course.measure.invitation import Invitation
    from course.measure.shared import shared

    folder = _class_folder(arguments) / "cluster"
    try:
        with _ending_on_signals(), contextlib.ExitStack() as stack:
            stack.enter_context(_only_one(folder))
            certificates = _certificates(folder, arguments.new)
            print("Starting the workers ...", flush=True)
            with _explained(arguments):
                running = stack.enter_context(
                    shared(
                        certificates.authority,
                        certificates.server,
                        host=arguments.host,
                        port=arguments.port,
                        workers=arguments.workers,
                        threads=arguments.threads,
                        memory=arguments.memory and int(arguments.memory * 1e9),
                        dashboard=arguments.dashboard,
                        idle=arguments.idle and arguments.idle * 3600,
                    )
                )
            address = f"tls://{arguments.contact}:{running.port}" if arguments.contact else running.scheduler_address
            line = f"course cluster join {Invitation.of(address, certificates.authority, certificates.student).line()}"
            file = folder / "join.txt"
            _write_for_owner(file, f"{line}\n")
            print(_announcement(running, address, line, file, certificates), flush=True)
            while running.runs:
                running.replace_closed()
                time.sleep(LOOK)
            idle = running.was_idle
    except KeyboardInterrupt:
        print("The class cluster has ended.")
        return 0
    if idle:
        print(f"No task ran for {arguments.idle:g} h: the class cluster has ended.")
        return 0
    print("A program of a student ended the scheduler. Start it again: the line still holds.")
    return 1


def _class_folder(arguments: argparse.Namespace) -> Path:
    return (arguments.folder or Path(os.environ.get("COURSE_CLASS") or FOLDER)).expanduser().absolute()


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let no second cluster use (or renew) the certificates of a running one; whoever is killed lets go of them."""
    import locket

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = locket.lock_file(str(folder.with_name(".cluster.lock")), timeout=0)
        lock.acquire()
    except locket.LockError:
        raise CommandError(
            f"a class cluster of {folder.parent} runs already; `course cluster status` tells more. For a second one "
            "take another folder and port: --class FOLDER --port 8790"
        ) from None
    except OSError as error:
        raise CommandError(f"{folder.parent} cannot be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


def _certificates(folder: Path, new: bool) -> Certificates:
    """Return the certificates of a folder, made if there are none or others are wanted."""
    from datetime import UTC, datetime, timedelta

    from course.classroom.certificates import Certificates

    try:
        kept = None if new else Certificates.of(folder)
        if kept is not None and kept.ends < datetime.now(UTC) + timedelta(days=1):
            raise CommandError(f"the certificates end on {kept.ends:%Y-%m-%d}: --new makes others, with another line")
        return kept or Certificates.make(folder)
    except ValueError as error:
        raise CommandError(f"{error}; --new makes others, with another line") from None
    except OSError as error:
        raise CommandError(f"the certificates cannot be kept in {folder}: {error.strerror or error}") from None


def _write_for_owner(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in the place of an older one."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def _explained(arguments: argparse.Namespace) -> Iterator[None]:
    """Say what to do when the scheduler cannot listen, or its workers do not start."""
    where = f"{arguments.host}, port {arguments.port}"
    try:
        yield
    except socket.gaierror:
        raise CommandError(f"--host is {arguments.host!r}, which is no address; {_addresses_hint()}") from None
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", None)):
            raise CommandError(
                f"{where}: something listens there already. Is the class cluster running? Otherwise take another port: "
                "--port 8790, or --port 0 for a free one"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise CommandError(f"{arguments.host} is no address of this machine; {_addresses_hint()}") from None
        if error.errno == errno.EACCES:
            raise CommandError(f"{where}: not allowed; take a port from 1024 on, such as --port 8790") from None
        raise CommandError(f"the cluster did not start at {where}: {error}") from None
    except ValueError as error:
        raise CommandError(f"--memory: {error}") from None
    except (RuntimeError, TimeoutError) as error:
        raise CommandError(f"the cluster did not start at {where}: {error}") from None


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Let the first of the signals that end a program end the block, and let a second one not disturb that."""

    def end(number: int, frame: Any) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup is respected
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announcement(running: SharedCluster, address: str, line: str, file: Path, certificates: Certificates) -> str:
    """Return what the teacher must know."""
    info = running.scheduler.workers.values()
    workers, threads = len(info), sum(each.nthreads for each in info)
    memory = sum(each.memory_limit or 0 for each in info)
    parts = [
        f"The class cluster is at {address}: {_counted(workers, 'worker')}, {_counted(threads, 'thread')}, "
        f"{memory / 1e9:.1f} GB. Its certificates hold until {certificates.ends:%Y-%m-%d}.",
        f"Students put in this line, once, in a terminal of their JupyterLab:\n\n{line}\n",
        f"(It is in {file}, too: for a message, or the school's learning platform. It is a key; do not publish it.)",
    ]
    if _is_loopback(running.scheduler_address):
        parts.append(f"Only this machine can reach it. For a network: {_addresses_hint()}.")
    parts += [f"Dashboard, on this machine only: {running.dashboard_link}", "Ctrl-C ends it."]
    return "\n".join(parts)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _is_loopback(address: str) -> bool:
    host = address.removeprefix("tls://").rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses_hint() -> str:
    """Say which addresses other machines may know this one by."""
    found = [
        each.address
        for device in psutil.net_if_addrs().values()
        for each in device
        if each.family == socket.AF_INET and not ipaddress.ip_address(each.address).is_loopback
    ]
    return f"this machine is --host {' or '.join(found)}" if found else "this machine is in no network"


# ---- the students' side --------------------------------------------------------------------------------------


def join(arguments: argparse.Namespace) -> int:
    """Try an invitation, and keep it if it works."""
    from course.measure.invitation import Invitation, keep, look

    settle()
    text = " ".join(arguments.line)
    if "tls://" not in text:
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise CommandError(f"{text!r} is no line of `course cluster serve`, and no file that holds one") from None
    try:
        invitation = Invitation.from_line(text)
        print(f"Looking for the class cluster at {invitation.address} ...", flush=True)
        seen = look(invitation)
    except (ValueError, OSError) as error:
        raise CommandError(f"not joined: {error}") from None
    keep(invitation)
    print(f"Joined. {_described(seen)}")
    print("From now on measure.cluster() uses it, but for cells that ask for a cluster of their own (local=True).")
    print("Back to your own machine: course cluster leave")
    return 0


def leave(arguments: argparse.Namespace) -> int:
    """Forget the invitation."""
    from course.measure.invitation import VARIABLE, forget

    settle()
    left = forget()
    print("From now on measure.cluster() uses your own machine." if left else "You had not joined a class cluster.")
    if os.environ.get(VARIABLE):
        print(f"But {VARIABLE} names one, and holds. In a notebook, for its kernel only: %env {VARIABLE}=")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Tell how the class cluster is: the one that was joined, or else the one of the class's folder."""
    from course.measure.invitation import look

    settle()
    try:
        invitation = _known(arguments)
        print(f"The class cluster at {invitation.address}:", flush=True)
        print(_described(look(invitation)))
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from None
    return 0


def _known(arguments: argparse.Namespace) -> Invitation:
    from course.measure.invitation import Invitation, kept

    file = _class_folder(arguments) / "cluster" / "join.txt"
    invitation = None if arguments.folder else kept()
    if invitation is None and file.is_file():
        invitation = Invitation.from_line(file.read_text(encoding="utf-8"))
    if invitation is None:
        raise CommandError(
            f"you have joined no class cluster, and there is none in {file.parent}: students join with "
            "`course cluster join LINE`, teachers start one with `course cluster serve`"
        )
    return invitation


def _described(seen: Seen) -> str:
    """Return a look at a cluster in words."""
    text = (
        f"It has {_counted(seen.workers, 'worker')}, {_counted(seen.threads, 'thread')}, {seen.memory / 1e9:.1f} GB; "
        f"{_counted(seen.clients, 'other program')} connected, {_counted(seen.tasks, 'task')} not done."
    )
    if seen.different:
        text += (
            f"\nIt has other versions than you: {', '.join(seen.different)}. Functions from your notebooks may not "
            "arrive; install what it has, or ask your teacher."
        )
    return text
