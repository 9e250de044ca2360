"""What runs in a student's process: cells of the notebook, and the answers that they leave, on cases from outside.

Commands come as JSON lines on standard input, from the grader; what is packed in them is the grader's own. Replies go
back as JSON lines with plain data (:mod:`course.practice.encoding`). A student's code can write there what it likes:
that is an answer, and is judged like one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

from course.practice import child
from course.practice.child import describe_error
from course.practice.encoding import Budget, TooLargeError, encode, type_name

MAX_PROCESSES = 256
MAX_FILE = 2**30


class _Later:
    """Stands in for `check` and `hint` in a student's own cells."""

    def __repr__(self) -> str:
        return "(judged when the notebook is graded)"

    def grade(self) -> None:
        """Do nothing."""


def main() -> None:
    """Serve the grader until it closes the channel; never returns."""
    commands = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = child._channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _limit()
    student = _Student()
    with contextlib.suppress(EOFError, BrokenPipeError):
        for line in commands:
            command = json.loads(line)
            reply = getattr(student, "do_" + command.pop("do"))(**command)
            replies.write(json.dumps({"what": "reply", **reply}) + "\n")
            replies.flush()
    os._exit(0)


def _limit() -> None:
    """Bound processes, files and core dumps for good, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    for what, most in (
        (resource.RLIMIT_NPROC, MAX_PROCESSES),
        (resource.RLIMIT_FSIZE, MAX_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


class _Student:
    """A shell with the notebook's names, and the answer that is being tried."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        import course
        from course.practice import checking

        self.name = ""
        config = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}})
        self.shell = InteractiveShell.instance(config=config)
        self.shell.compile.get_code_name = lambda raw, transformed, number: self.name
        for module in (course, checking, sys.modules["course.practice"]):
            for function in ("check", "hint"):
                module.__dict__[function] = lambda *args, **kwargs: _Later()
        self.answer: Any = None
        self.budget = Budget()
        self.ready: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None = None
        self.out: Any = None

    def do_ready(self) -> dict[str, Any]:
        """Tell that the process is there."""
        return {}

    def do_cell(self, source: str, name: str, addresses: int) -> dict[str, Any]:
        """Run a cell."""
        child.limit_memory(addresses)
        self.name = name
        printed = child.Printed()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            done = self.shell.run_cell(source, store_history=False)
        error = done.error_before_exec or done.error_in_exec
        reply: dict[str, Any] = {"printed": printed.text, "dropped": printed.dropped}
        if error is not None:
            reply["raised"] = describe_error(error, name)
        return reply

    def do_answer(self, name: str) -> dict[str, Any]:
        """Take the value of a name as the answer, and tell what it is."""
        if name not in self.shell.user_ns:
            return {"undefined": True}
        self.answer = self.shell.user_ns[name]
        self.budget = Budget()  # for all its cases together
        if callable(self.answer):
            function = type(self.answer) is types.FunctionType
            return {
                "name": self.answer.__name__ if function else name,
                "filename": self.answer.__code__.co_filename if function else "",
            }
        if self.answer is ... or self.answer is None:
            return {"empty": True}
        try:
            return {"value": encode(self.answer)}
        except TooLargeError:
            return {"too_large": type_name(self.answer)}
        except BaseException as error:
            return {"raised": describe_error(error, "")}

    def do_take(self, answer: str) -> dict[str, Any]:
        """Take an answer of the grader's own: the start that a student's is compared with."""
        self.answer = pickle.loads(base64.b64decode(answer))
        return {}

    def do_case(self, call: str, case: str, addresses: int, filename: str) -> dict[str, Any]:
        """Try the answer on one case."""
        child.limit_memory(addresses)
        printed = child.Printed()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            out = child.run_case(
                pickle.loads(base64.b64decode(call)), self.answer, base64.b64decode(case), filename, self.budget
            )
        return {**out, "printed": printed.text, "dropped": printed.dropped}

    def do_prepare(self, call: str, case: str, addresses: int) -> dict[str, Any]:
        """Unpack what comes with the next `do_go`, whose time counts."""
        child.limit_memory(addresses)
        self.ready = (pickle.loads(base64.b64decode(call)), *pickle.loads(base64.b64decode(case)))
        return {}

    def do_go(self, filename: str) -> dict[str, Any]:
        """Call the answer; the result is fetched by `do_result`."""
        assert self.ready is not None
        call, args, kwargs = self.ready
        printed = child.Printed()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                self.out = call(self.answer, *args, **kwargs)
        except BaseException as error:
            return {"raised": describe_error(error, filename)}
        return {}

    def do_result(self) -> dict[str, Any]:
        """Give back what the last `do_go` gave."""
        try:
            return {"value": encode(self.out)}
        except TooLargeError:
            return {"too_large": type_name(self.out)}
        except BaseException as error:
            return {"raised": describe_error(error, "")}
