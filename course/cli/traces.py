"""The traces that commands are given, and the files that they write: one clear line for whatever is wrong."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from course.cli.errors import CommandError

if TYPE_CHECKING:
    from course.trace import Trace


def load(name: str) -> Trace:
    """Return the trace in a file, in which at least one task ran.

    The notes of a scheduler that records itself (``run.parquet.notes``) are read, too, also while it runs.

    Raises
    ------
    CommandError
        When there is no such file, or it is damaged, foreign or of another version, or no task ran.
    """
    from course.trace import COMPUTE, Trace, TraceError

    path = Path(name).expanduser()
    try:
        trace = of_notes(path) if path.suffix == ".notes" else Trace.load(path)
    except FileNotFoundError as error:
        raise CommandError(f"there is no file {name}; make one with: course record -- COMMAND") from error
    except TraceError as error:
        raise CommandError(" ".join(str(error).split())) from error
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from error
    if not (trace.kind == COMPUTE).any():
        raise CommandError(f"no task ran in {name}, so there is nothing to say about it")
    return trace


def of_notes(path: Path) -> Trace:
    """Return the trace of a scheduler's notes."""
    from course.recorded import build, read_notes
    from course.trace import TraceError

    try:
        return build(read_notes(path))[0]
    except (ValueError, RuntimeError, LookupError, TypeError) as error:
        raise TraceError(f"{path.name} does not hold the notes of a recorder: {error}") from error


def new_file(name: str, suffixes: tuple[str, ...]) -> Path:
    """Return the path of a file that is to be written and is not there yet.

    Raises
    ------
    CommandError
        When it is there, its folder is not, or its name ends otherwise.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() not in suffixes:
        raise CommandError(f"the name {name} must end in {' or '.join(suffixes)}")
    if os.path.lexists(path):
        raise CommandError(f"{name} is there already, and is not overwritten; give another name")
    if not path.parent.is_dir():
        raise CommandError(f"there is no folder {path.parent}; make it first, or give another name")
    return path


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet.

    Raises
    ------
    CommandError
        When it cannot be written.
    """
    try:
        with open(path, "xb") as file:
            file.write(content)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """Say why it takes long, when it does."""
    text = "course: simulating (the first time, the simulator is compiled; that takes up to a minute) ..."
    timer = threading.Timer(3.0, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
