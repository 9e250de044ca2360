"""The grader's side of a student's process: start it, run cells, try answers, end it."""

from __future__ import annotations

import base64
import contextlib
import json
import linecache
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from course.classroom.confinement import ConfinementError, compiled_code, confined
from course.practice.encoding import decode
from course.practice.replies import Replies, StoppedError, end_all, own_group, readable
from course.practice.sandbox import CaseOutcome, Run, case_outcome, pack

START_LIMIT = 60.0
CELL_LIMIT = 60.0
MEMORY = 3 * 2**30
ADDRESSES = 12 * 2**30
"""Bytes of addresses: a Dask worker reserves far more than it uses. What is used is watched from outside."""

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.buffer.raw.readline()); "
    "from course.classroom.student import main; main()"
)


class Session:
    """A student's process, from the first cell to the last check.

    Parameters
    ----------
    replaced : mapping of Path to Path
        Files of the course that it sees otherwise (:func:`course.classroom.confinement.confined`).
    shut_in : bool
        False runs it with the grader's own rights: for code that one trusts.
    """

    def __init__(self, replaced: Mapping[Path, Path] | None = None, *, shut_in: bool = True) -> None:
        command = [sys.executable, "-P", "-W", "ignore", "-X", "utf8", "-c", _BOOT]
        self._folder = tempfile.TemporaryDirectory(prefix="course-grading-", ignore_cleanup_errors=True)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self._process = subprocess.Popen(
            confined(command, replaced, compiled_code(Path(self._folder.name))) if shut_in else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._folder.name,
            **own_group(),
        )
        self._replies = Replies(self._process)
        self._send(json.dumps([entry or os.getcwd() for entry in sys.path]).encode())
        self._started = False
        self.stopped = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process and all that it started."""
        end_all(self._process)
        self._replies.close()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._errors.close()
        self._folder.cleanup()

    def _send(self, line: bytes) -> None:
        # A process that does not read must not stop the grader: a reply is waited for, with a limit.
        def write() -> None:
            with contextlib.suppress(OSError, ValueError):
                assert self._process.stdin is not None
                self._process.stdin.write(line + b"\n")
                self._process.stdin.flush()

        threading.Thread(target=write, daemon=True).start()

    def ask(
        self, what: str, limit: float, memory: int = MEMORY, progress: Callable[[str], None] | None = None, **given: Any
    ) -> dict[str, Any]:
        """Send a command and return the reply.

        Raises
        ------
        StoppedError
            There is none within `limit` seconds, or with `memory` bytes. Then nothing more can be asked.
        """
        if not self._started:
            self._started = True
            try:
                self.ask("ready", START_LIMIT)
            except StoppedError as stopped:
                self._errors.seek(0)
                said = self._errors.read().decode("utf-8", "replace").strip()
                raise ConfinementError(f"a student's process did not start ({stopped.why}): {said[-1000:]}") from None
        try:
            if self.stopped:
                raise StoppedError("died")
            self._send(json.dumps({"do": what, **given}).encode())
            for message in self._replies.messages(limit, memory, progress):
                if message["what"] == "reply":
                    return message
            raise AssertionError("messages go on until they are stopped")
        except StoppedError:
            self.stopped = True
            raise

    def cell(self, source: str, name: str, limit: float = CELL_LIMIT) -> dict[str, Any]:
        """Run a cell; lines of it can be shown by its name afterwards."""
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        return self.ask("cell", limit, source=source, name=name, addresses=ADDRESSES)

    def run(
        self,
        call: Callable[..., Any],
        answer: object,
        cases: Sequence[tuple[tuple[Any, ...], dict[str, Any]]],
        *,
        baseline: object = None,
        timed: Sequence[tuple[tuple[Any, ...], dict[str, Any]]] = (),
        rounds: int = 5,
        limit: float = 5.0,
        memory: int = MEMORY,
        filename: str = "",
        progress: Callable[[str], None] | None = None,
    ) -> Run:
        """Try the answer that the process holds, as :func:`course.practice.sandbox.run` does.

        Times are taken here, not by the process that would like them short; the baseline runs in a process of its own.
        """
        outcome = Run()
        blob, used = _text(pack(call)), max(memory, MEMORY)
        end = time.monotonic() + limit
        waiting = outcome.cases
        try:
            for case in cases:
                left = limit if progress is not None else max(0.1, end - time.monotonic())
                reply = self.ask(
                    "case", left, used, progress, call=blob, case=_text(pack(case)), addresses=used, filename=filename
                )
                waiting.append(_case(reply))
                outcome.printed = (outcome.printed + str(reply.get("printed", "")))[:2000]
            waiting = outcome.timed
            for case in timed:
                waiting.append(self._time(blob, baseline, _text(pack(case)), rounds, limit, filename))
        except StoppedError as stopped:
            waiting.append(CaseOutcome(stopped.why))
        return outcome

    def _time(self, call: str, baseline: object, case: str, rounds: int, limit: float, filename: str) -> CaseOutcome:
        """Time answer and baseline in turns. What a turn spends before and after more than the baseline does counts."""
        turns: list[list[float]] = []
        reply: dict[str, Any] = {}
        with Session(shut_in=False) as start:
            start.ask("take", START_LIMIT, answer=_text(pack(baseline)))
            for turn in range(rounds + 1):  # the first one warms up
                spent: dict[bool, list[float]] = {}
                for mine in (True, False) if turn % 2 else (False, True):
                    session = self if mine else start
                    clock = [time.perf_counter()]
                    session.ask("prepare", limit, call=call, case=case, addresses=ADDRESSES)
                    clock.append(time.perf_counter())
                    done = session.ask("go", limit, filename=filename)
                    clock.append(time.perf_counter())
                    if mine and "raised" in done:
                        return _case(done)
                    value = session.ask("result", limit)
                    clock.append(time.perf_counter())
                    spent[mine] = [b - a for a, b in pairwise(clock)]
                    reply = value if mine else reply
                (before, during, after), (slow_before, slow, slow_after) = spent[True], spent[False]
                if turn:
                    turns.append([during + max(0.0, before - slow_before) + max(0.0, after - slow_after), slow])
        came = _case(reply)
        came.times = turns
        return came

    def take(self, name: str, limit: float) -> dict[str, Any]:
        """Take the value of a name as the answer; return what it is, its value decoded."""
        reply = self.ask("answer", limit, name=name)
        if "value" in reply:
            with readable():
                reply["value"] = decode(reply["value"])
        return reply


def _case(reply: dict[str, Any]) -> CaseOutcome:
    with readable():
        return case_outcome(reply)


def _text(blob: bytes) -> str:
    return base64.b64encode(blob).decode("ascii")
