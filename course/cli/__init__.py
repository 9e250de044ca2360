"""The ``course`` command: one file for each thing that it does.

A command is a module with ``add(commands)``: it adds its parser and sets ``run`` to a function that takes
the parsed arguments and returns the exit status. A `CommandError` ends the command with its message.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

import course
from course.cli import assignment, blank, check, diagnose, lab, record, reset, run, warmup, whatif
from course.cli.errors import CommandError

COMMANDS = (lab, check, run, reset, warmup, record, diagnose, whatif, assignment, blank)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Examples
    --------
    >>> parser().parse_args(["reset", "05"]).chapter
    '05'
    """
    top = argparse.ArgumentParser(prog="course", description="Tuning Distributed Systems: the course's command.")
    top.add_argument("--version", action="version", version=f"course {course.__version__}")
    top.set_defaults(run=lambda arguments: top.print_help() or 0)
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return its exit status.

    Raises
    ------
    SystemExit
        When the command line is wrong (status 2), and after ``--help`` and ``--version`` (status 0).
    """
    with contextlib.suppress(AttributeError):  # a terminal that cannot show a letter shows another
        sys.stdout.reconfigure(errors="replace")
    arguments = parser().parse_args(argv)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # course diagnose ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except CommandError as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("course: interrupted", file=sys.stderr)
        return 130
