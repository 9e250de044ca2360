"""Processes that run others' code: start them apart, wait for what they say within limits, end all that they started.

What they say is a line of JSON a message, each with what it is under ``what``.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

MAX_REPLY = 64_000_000
MAX_STEPS = 20
"""How often a process may say that it gets on, and so have the whole limit again."""

_LOOK = 0.25
"""Seconds between two looks at the memory: each goes through all processes of the machine."""


class StoppedError(Exception):
    """The process was stopped, or ended; ``why`` is ``timeout``, ``memory``, ``died`` or ``unreadable``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn what a malformed message raises into a `StoppedError`.

    Examples
    --------
    >>> with readable():
    ...     json.loads('{"what": ')
    Traceback (most recent call last):
    course.practice.replies.StoppedError: unreadable
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoppedError("unreadable") from None


class Replies:
    """What a process says on its standard output, read beside so that no limit waits for it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        total = 0
        with contextlib.suppress(OSError, ValueError):
            while total < MAX_REPLY and (line := self._process.stdout.readline(MAX_REPLY)):
                total += len(line)
                self._lines.put(line)
        self._lines.put(None)

    def messages(
        self, limit: float, memory: int, progress: Callable[[str], None] | None = None, *, start: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield each message but ``progress``.

        Parameters
        ----------
        limit : float
            Seconds until a message comes; ``loading`` and ``ready`` begin them anew, so does ``progress`` up to
            `MAX_STEPS` times.
        memory : int
            Bytes that the process and its children may use.
        progress : callable
            Called with the text of each ``progress``.
        start : float
            Seconds until the first message comes, where they are others.

        Raises
        ------
        StoppedError
            A limit was reached, the process ended, or what it said cannot be read.
        """
        end = time.monotonic() + (limit if start is None else start)
        steps = 0
        while True:
            try:
                line = self._lines.get(timeout=min(_LOOK, max(0.0, end - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= end:
                    raise StoppedError("timeout") from None
                if _used(self._process.pid) > memory:
                    raise StoppedError("memory") from None
                continue
            if line is None:
                raise StoppedError("died")
            with readable():
                message = dict(json.loads(line))
                what = message["what"]
                text = str(message["text"])[:80] if what == "progress" else ""
            if what == "progress":
                steps += 1
                if steps <= MAX_STEPS:
                    end = time.monotonic() + limit
                    if progress is not None:
                        progress(text)
                continue
            if what in ("loading", "ready"):
                end = time.monotonic() + limit
            yield message

    def close(self) -> None:
        """Close the stream of a process that has ended; one that something else still holds is left to its reader."""
        self._reader.join(timeout=1.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()


def own_group() -> dict[str, Any]:
    """Return the settings of ``Popen`` for a process that no interrupt of ours reaches, and that `end_all` ends."""
    if sys.platform != "win32":
        return {"start_new_session": True}
    return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}


def end_all(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started. It is not waited for before, so its group is still its own."""
    import psutil

    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        children = []
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.kill()
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


def _used(pid: int) -> int:
    """Return the bytes that a process and all its children use."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += int(each.memory_info().rss)
    return total
