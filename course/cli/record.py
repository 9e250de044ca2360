"""``course record``: run a command, unchanged, and record what its Dask schedulers did.

The command gets an environment in which Dask loads the recorder (`course.measure.recorder`) with every scheduler. That
is a copy of one file, in a folder of its own, so the command's Python need not have this package. The recorder writes
down what happens in that folder, as it happens; when the command has ended, however it ended, traces are made of it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import course
from course.cli.errors import CommandError

PRELOAD = ("DASK_DISTRIBUTED__SCHEDULER__PRELOAD", "DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV")
"""Where Dask looks for what every scheduler loads, and with which arguments."""

LOAD = """\
# course record
import importlib.util, os, sys
name, path = {name!r}, {path!r}
if name not in sys.modules and os.path.exists(path):
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
if os.path.exists(path):
    from {name} import dask_setup, dask_teardown
"""
"""What schedulers load: the recorder, unless its folder is gone, or never was on their machine."""

NO_SCHEDULER = """\
nothing was recorded: no distributed scheduler was started by the command.
  Dask's other schedulers (threads, processes, synchronous) tell nothing of their tasks. To use the distributed one, add

      from distributed import Client

      if __name__ == "__main__":
          client = Client()

  A scheduler that was started elsewhere is recorded there (COURSE_RECORD=run.parquet dask scheduler --preload
  course.measure.recorder), or in the program itself (with course.measure.record(client) as run: ...). So is one that is
  given preloads of its own (dask scheduler --preload ...), which take the recorder's place."""

EXAMPLES = """\
examples:
  course record -- python script.py --size 10
  course record -o before.parquet -- pytest tests/test_pipeline.py
  course record -- dask scheduler              (until Ctrl-C; workers and clients may be anywhere)

Tasks of every distributed scheduler that the command starts are recorded: LocalCluster() or Client(), with processes or
with threads. Of several schedulers each has a file of its own: FILE, FILE-2, ... The command's input, output and exit
status are its own; what is said here goes to standard error. Ctrl-C reaches the command, and what ran until then is
saved. No file is ever overwritten.
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "record",
        help="run a command and record every task of its Dask schedulers",
        description="Run a command, unchanged, and record every task and transfer of its distributed schedulers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="course record [-o FILE] -- COMMAND [ARGUMENT ...]",
    )
    command.add_argument(
        "-o", "--output", metavar="FILE", help="where to save (default: trace-<script>-<date-time>.parquet, here)"
    )
    command.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; save a trace for each of its schedulers; return the command's exit status."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise CommandError("there is no command to run. For example: course record -- python script.py")
    target = writable(Path(arguments.output).expanduser() if arguments.output else default_name(command))
    program = found(command[0])
    with tempfile.TemporaryDirectory(prefix="course-record-", ignore_cleanup_errors=True) as folder:
        status = execute([program, *command[1:]], command, environment(Path(folder)))
        say(save(Path(folder), target))
    return status


def default_name(command: Sequence[str], now: datetime.datetime | None = None) -> Path:
    """Return ``trace-<script>-<date-time>.parquet``: what is run is the script, the module, or else the program.

    Examples
    --------
    >>> default_name(["python", "-u", "my script.py", "a.py"], datetime.datetime(2026, 3, 1, 12)).name
    'trace-my-script-2026-03-01-120000.parquet'
    >>> default_name(["python", "-m", "package.tool"], datetime.datetime(2026, 3, 1, 12)).name
    'trace-package.tool-2026-03-01-120000.parquet'
    """
    name = Path(command[0]).stem
    for argument, after in zip(command, [*command[1:], ""], strict=True):
        if argument.endswith(".py") or argument == "-m":
            name = after if argument == "-m" else Path(argument).stem
            break
    name = re.sub(r"[^\w.]+", "-", name).strip("-") or "command"
    return Path(f"trace-{name}-{now or datetime.datetime.now():%Y-%m-%d-%H%M%S}.parquet")


def writable(target: Path) -> Path:
    """Return the absolute path of a new file; refuse now, and not after hours, what cannot be written."""
    target = target.absolute()
    if target.is_dir():
        raise CommandError(f"{target} is a folder; give the name of a new file: course record -o FILE -- ...")
    if os.path.lexists(target):
        raise CommandError(f"{target} is there already, and is not overwritten; give another name with -o")
    if not target.parent.is_dir():
        raise CommandError(f"there is no folder {target.parent}; make it first, or give another name with -o")
    probe = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        open(probe, "xb").close()
        probe.unlink()
    except OSError as error:
        raise CommandError(f"{target} cannot be written ({error.strerror}); give another name with -o") from error
    return target


def found(program: str) -> str:
    """Return the program's path, as a shell would find it."""
    path = shutil.which(program)
    if path is None and program.endswith(".py") and Path(program).is_file():
        raise CommandError(f"{program} is not a program. Did you mean: course record -- python {shlex.quote(program)}")
    if path is None:
        raise CommandError(f"there is no program {program!r} (looked in PATH)")
    return path


def environment(folder: Path) -> dict[str, str]:
    """Put a copy of the recorder into a folder; return the environment in which schedulers load it.

    The recorder itself loads what they would have loaded without it.
    """
    recorder = Path(course.__file__).parent / "measure" / "recorder.py"
    copy = folder / f"course_recorder_{secrets.token_hex(8)}.py"  # a name that no module of the command has
    shutil.copyfile(recorder, copy)
    usual = {name: os.environ.get(name) for name in PRELOAD}
    (folder / "usual.json").write_text(json.dumps(usual), encoding="utf-8")
    return {**os.environ, PRELOAD[0]: repr([LOAD.format(name=copy.stem, path=str(copy))]), PRELOAD[1]: "[]"}


def execute(command: Sequence[str], name: Sequence[str], environ: dict[str, str]) -> int:
    """Run a command with this process's input and output; return its status as a shell gives it."""
    with handing_on_signals() as children:
        try:
            child = subprocess.Popen([name[0], *command[1:]], executable=command[0], env=environ)
        except OSError as error:
            raise CommandError(f"{name[0]} cannot be run: {error.strerror}") from error
        children.append(child)
        status = child.wait()
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def handing_on_signals() -> Iterator[list[subprocess.Popen]]:
    """Survive the signals that are meant for the command, and hand on those that it does not get by itself."""
    children: list[subprocess.Popen] = []

    def hand_on(number: int, _: object) -> None:
        for child in children:
            # What is typed at a terminal goes to all processes in its foreground.
            if number in (signal.SIGTERM, getattr(signal, "SIGHUP", None)) or not in_foreground():
                child.send_signal(number)

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
        number = getattr(signal, name, None)
        # What this process ignores (nohup) the command is to ignore, too; what has a handler it gets anew.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, hand_on)
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_foreground() -> bool:
    """Tell whether this process belongs to the foreground of a terminal."""
    if sys.platform == "win32":
        return True  # Windows sends Ctrl-C to all processes of a console
    try:
        with open(os.ctermid(), "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def save(folder: Path, target: Path) -> list[str]:
    """Save a trace for each scheduler that ran tasks; return what to tell."""
    from course.recorded import build, ran, read_notes, save_new

    files = sorted(folder.glob("*.notes"))
    if not files:
        return [NO_SCHEDULER]
    lines, saved = [], []
    for file in files:
        if not ran(read_notes(file)):
            continue
        try:
            trace, failed = build(read_notes(file))
        except (ValueError, RuntimeError) as error:
            lines.append(f"no trace can be made of what a scheduler did: {error}")
            continue
        try:
            path = save_new(trace, target)
        except OSError as error:
            elsewhere = Path(tempfile.gettempdir()) / target.name
            lines.append(f"{target} could not be written ({error.strerror}); the trace is in {elsewhere.parent}")
            path = save_new(trace, elsewhere)
        saved.append(path)
        tasks, threads = len(set(trace.task[trace.kind == 0].tolist())), trace.cluster.slots
        lines.append(
            f"recorded {tasks:,} task{'s' * (tasks != 1)} on {trace.cluster.workers} worker"
            f"{'s' * (trace.cluster.workers != 1)} ({threads} thread{'s' * (threads != 1)}), makespan"
            f" {trace.makespan:.3g} s, utilization {trace.utilization():.0%}"
            + (f", {len(failed):,} failed" if failed else "")
            + f": {shown(path)}"
        )
    if not saved:
        return lines or ["nothing was recorded: a distributed scheduler was started, but no task ran on it"]
    return [*lines, f"go on with: course diagnose {shlex.quote(shown(saved[0]))}"]


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def say(lines: Sequence[str]) -> None:
    """Tell, on standard error: standard output is the command's."""
    with contextlib.suppress(OSError, ValueError):  # a pipe that nobody reads any more
        for line in lines:
            print(f"course: {line}", file=sys.stderr, flush=True)
