"""Run a learner's function in a process of its own, within a time and a memory limit.

The function goes there by value (cloudpickle), so that a function from a notebook cell needs no file. What
comes back is plain data (:mod:`course.practice.encoding`). The process and all that it started are
ended before :func:`run` returns, also on an interrupt; they end by themselves when this process is killed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from course.practice.encoding import decode, type_name
from course.practice.replies import Replies, StoppedError, end_all, own_group, readable

MAX_PAYLOAD = 64_000_000
MEMORY = 3 * 2**30
START_LIMIT = 20.0
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from course.practice.child import main; main()"
)
_MARK = "COURSE_CHECK"  # in the environment of the process, and of all that it starts
_SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class CannotSendError(Exception):
    """The answer cannot be sent to its own process; the message says why, in words."""


@dataclass
class CaseOutcome:
    """What one case gave.

    Attributes
    ----------
    status : str
        ``value``, ``raised``, ``too_large``, ``timeout``, ``memory``, ``died`` or ``unreadable``.
    value : object
        The result, for ``value``.
    error : dict
        ``type``, ``message`` and ``line``, for ``raised``.
    changed : bool
        Whether the function changed an argument.
    times : list of [float, float]
        Seconds of candidate and baseline, one pair a round, for a timed case.
    """

    status: str
    value: Any = None
    error: dict[str, Any] = field(default_factory=dict)
    changed: bool = False
    times: list[list[float]] = field(default_factory=list)


@dataclass
class Run:
    """All outcomes of one run, as far as it got, and what was printed."""

    cases: list[CaseOutcome] = field(default_factory=list)
    timed: list[CaseOutcome] = field(default_factory=list)
    printed: str = ""
    unloadable: dict[str, Any] | None = None


class _Capped(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > MAX_PAYLOAD:
            raise CannotSendError(
                f"it drags along more than {MAX_PAYLOAD // 10**6} MB: give what it needs as arguments, "
                "not as global variables"
            )
        return super().write(data)


@contextlib.contextmanager
def deadline(seconds: float, error: Exception) -> Iterator[None]:
    """Bound what runs in this process, where the system and the thread allow it: afterwards the error is raised."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pack(value: object, seconds: float = 2.0) -> bytes:
    """Pickle `value` by value.

    Raises
    ------
    CannotSendError
        It cannot be pickled, is too large, or takes too long.
    """
    import cloudpickle

    buffer = _Capped()
    try:
        with deadline(seconds, CannotSendError("it takes too long to pack")):
            cloudpickle.dump(value, buffer)
    except CannotSendError:
        raise
    except BaseException as error:
        raise CannotSendError(
            f"it cannot be sent to a process of its own ({type_name(error)}): does it use an open file, "
            "a lock, a client or a generator from outside?"
        ) from None
    return buffer.getvalue()


def run(
    call: Callable[..., Any],
    answer: object,
    cases: Sequence[tuple[tuple[Any, ...], dict[str, Any]]],
    *,
    baseline: object = None,
    timed: Sequence[tuple[tuple[Any, ...], dict[str, Any]]] = (),
    rounds: int = 5,
    limit: float = 4.0,
    memory: int = MEMORY,
    filename: str = "",
    progress: Callable[[str], None] | None = None,
) -> Run:
    """Call ``call(answer, *args, **kwargs)`` for each case in a process of its own.

    Parameters
    ----------
    call : callable
        How the answer is used; a function of the course.
    answer : object
        The learner's function.
    cases, timed : sequence of (args, kwargs)
        What it is called with. `timed` cases are also run with `baseline`, in turns, `rounds` times.
    baseline : callable
        What a timed case is compared with.
    limit : float
        Seconds for all cases together, from the moment that the process is ready, and as many to unpack the answer
        before. What `call` says of its progress (:func:`course.practice.child.tell`) gives it as many seconds again,
        up to `course.practice.replies.MAX_STEPS` times.
    memory : int
        Bytes that the process may have.
    filename : str
        Where the learner's code is, so that a line of it can be named.
    progress : callable
        Called with what `call` says of its progress.

    Returns
    -------
    Run
        With fewer outcomes than cases when it was stopped; the last one says why.

    Raises
    ------
    CannotSendError
        The answer cannot be sent there.
    """
    job = {
        "call": pack(call),
        "answer": pack(answer),
        "baseline": pack(baseline),
        "cases": [pack(each) for each in cases],
        "timed": [pack(each) for each in timed],
        "rounds": rounds,
        "memory": memory,
        "filename": filename,
    }
    payload = json.dumps([entry or os.getcwd() for entry in sys.path]).encode() + b"\n" + pack(job)
    mark = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="course-check-", ignore_cleanup_errors=True) as folder:
        began = time.time()
        process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-X", "utf8", "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, **dict.fromkeys(_SINGLE_THREAD, "1"), _MARK: mark},
            **own_group(),
        )
        replies = Replies(process)
        feeder = threading.Thread(target=_feed, args=(process, payload), daemon=True)
        outcome = Run()
        stopped = "died"
        try:
            feeder.start()
            _listen(outcome, replies.messages(limit, memory, progress, start=max(START_LIMIT, limit)))
        except StoppedError as error:
            stopped = error.why
        finally:
            end_all(process)
            _end_strays(mark, began)
            feeder.join(timeout=1.0)
            replies.close()
    waiting = outcome.cases if len(outcome.cases) < len(cases) else outcome.timed
    if outcome.unloadable is None and len(outcome.cases) + len(outcome.timed) < len(cases) + len(timed):
        waiting.append(CaseOutcome(stopped))
    return outcome


def _feed(process: subprocess.Popen[bytes], payload: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(payload)
    with contextlib.suppress(OSError):
        process.stdin.close()


def _listen(outcome: Run, messages: Iterator[dict[str, Any]]) -> None:
    """Write down what the process says, until it says that this is the end."""
    for message in messages:
        with readable():
            if message["what"] == "unloadable":
                outcome.unloadable = _error(message["raised"])
                return
            if message["what"] == "case":
                outcome.cases.append(case_outcome(message))
            elif message["what"] == "timed":
                outcome.timed.append(case_outcome(message))
            elif message["what"] == "end":
                outcome.printed = str(message["printed"]) + ("…" if message["dropped"] else "")
                return


def _error(raised: dict[str, Any]) -> dict[str, Any]:
    line = raised["line"]
    return {
        "type": str(raised["type"])[:100],
        "message": str(raised["message"])[:300],
        "line": line if isinstance(line, int) else None,
    }


def case_outcome(message: dict[str, Any]) -> CaseOutcome:
    """Return what a message of a process says of a case."""
    if "raised" in message:
        return CaseOutcome("raised", error=_error(message["raised"]))
    if "too_large" in message:
        return CaseOutcome("too_large", value=str(message["too_large"]))
    times = [[float(a), float(b)] for a, b in message.get("times", [])]
    return CaseOutcome("value", decode(message["value"]), changed=message.get("changed") is True, times=times)


def _end_strays(mark: str, since: float) -> None:
    """End what the process started and then left behind, by ending first or by a step in between: it has the mark."""
    import psutil

    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if each.create_time() > since - 1.0 and each.environ().get(_MARK) == mark:
                each.kill()
