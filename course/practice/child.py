"""What runs in the learner's function's own process: call it, and send back what came out.

The job comes pickled on standard input, from the course. Results go back as JSON lines, one a case, so that
the cases before an endless loop are not lost. Standard output is the channel for them, so whatever the
function prints is kept apart (and cut).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from course.practice.encoding import Budget, TooLargeError, encode, type_name

MAX_PRINTED = 2000
_clock = time.perf_counter  # bound before any code of the learner runs
_channel: io.TextIOBase | None = None


def tell(text: str) -> None:
    """Say how far a long case is, to the process that waits for it; nothing elsewhere."""
    if _channel is not None:
        _channel.write(json.dumps({"what": "progress", "text": text}) + "\n")
        _channel.flush()


class Printed(io.TextIOBase):
    """Keeps the first characters that are printed and drops the rest."""

    def __init__(self) -> None:
        self.text = ""
        self.dropped = False

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        room = MAX_PRINTED - len(self.text)
        self.text += text[:room]
        self.dropped = self.dropped or len(text) > room
        return len(text)


def limit_memory(size: int) -> None:
    """Bound the address space where the system can; elsewhere the parent watches."""
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def describe_error(error: BaseException, filename: str) -> dict[str, Any]:
    """Describe an exception: its type, its message and the line of the learner's file it came from."""
    try:
        message = str(error)[:300]
    except BaseException:
        message = ""
    line = None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == filename:
            line = step.tb_lineno
        step = step.tb_next
    return {"type": type_name(error), "message": message, "line": line}


def _encoded_or_none(value: object) -> Any:
    try:
        return encode(value)
    except BaseException:
        return None


def run_case(call: Callable[..., Any], answer: Any, blob: bytes, filename: str, budget: Budget) -> dict[str, Any]:
    """Call the answer on one case, and tell what came out and whether it changed its arguments."""
    args, kwargs = pickle.loads(blob)
    before = _encoded_or_none((args, kwargs))
    try:
        value = call(answer, *args, **kwargs)
    except BaseException as error:
        return {"raised": describe_error(error, filename)}
    result: dict[str, Any]
    try:
        result = {"value": encode(value, budget)}
    except TooLargeError:
        result = {"too_large": type_name(value)}
    except BaseException as error:
        result = {"raised": describe_error(error, filename)}
    if before is not None and _encoded_or_none((args, kwargs)) != before:
        result["changed"] = True
    return result


def _time_case(
    call: Callable[..., Any], blobs: list[bytes], case: bytes, rounds: int, filename: str, budget: Budget
) -> Any:
    """Time candidate and baseline in turns; each turn gets fresh functions and fresh arguments."""
    times: list[list[float]] = []
    value: Any = None
    for turn in range(rounds + 1):  # the first turn warms up and is not counted
        row = [0.0, 0.0]
        for which in (0, 1) if turn % 2 else (1, 0):
            function = pickle.loads(blobs[which])
            args, kwargs = pickle.loads(case)
            try:
                start = _clock()
                out = call(function, *args, **kwargs)
                row[which] = _clock() - start
            except BaseException as error:
                return {"raised": describe_error(error, filename)}
            if which == 0:
                value = out
        if turn:
            times.append(row)
    try:
        return {"value": encode(value, budget), "times": times}
    except TooLargeError:
        return {"too_large": type_name(value)}


def _end_with(parent: int, folder: str) -> None:
    """End all that runs here, and remove the folder, when the process that started this one is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run the job on standard input; never returns."""
    global _channel
    channel = _channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    if sys.platform != "win32":  # it leads a group of its own
        threading.Thread(target=_end_with, args=(os.getppid(), os.getcwd()), daemon=True).start()
    stdin = sys.stdin.buffer
    job = pickle.load(stdin)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    printed = Printed()
    sys.stdin, sys.stdout, sys.stderr = open(os.devnull, encoding="utf-8"), printed, printed  # noqa: SIM115

    def send(**message: Any) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    limit_memory(job["memory"])
    filename = job["filename"]
    try:
        call = pickle.loads(job["call"])
        send(what="loading")  # from here on the learner's code may run
        answer = pickle.loads(job["answer"])
    except BaseException as error:
        send(what="unloadable", raised=describe_error(error, filename))
        os._exit(0)
    send(what="ready")
    budget = Budget()  # for all cases together: what comes back is read and judged by the process that waits
    for blob in job["cases"]:
        send(what="case", **run_case(call, answer, blob, filename, budget))
    for blob in job["timed"]:
        blobs = [job["answer"], job["baseline"]]
        send(what="timed", **_time_case(call, blobs, blob, job["rounds"], filename, budget))
    send(what="end", printed=printed.text, dropped=printed.dropped)
    os._exit(0)  # threads that the function started do not keep the process alive
