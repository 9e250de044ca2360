"""``course run``: execute chapters from top to bottom, as *Restart and run all* does, and check them.

A chapter checks itself: its scoreboard raises when a tolerance is broken. Nothing is written: the notebook's
file stays as it is, and the learner's progress, too.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from course.cli.bar import Bar
from course.cli.errors import CommandError
from course.cli.place import settle
from course.cli.shipped import find_notebook, shipped_files


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser("run", help="execute and check chapters, without changing them")
    command.add_argument("chapters", nargs="+", metavar="CHAPTER", help="05, 05-scheduling-model, …")
    command.add_argument("--timeout", type=float, default=300.0, metavar="S", help="seconds for one cell (300)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Execute each chapter: the learner's copy where there is one, else the shipped notebook."""
    if not arguments.timeout > 0:
        raise CommandError(f"--timeout must be positive, not {arguments.timeout}")
    folder = settle()
    files = shipped_files()
    keys = [find_notebook(name, files) for name in arguments.chapters]
    failed = [
        key
        for key in keys
        if not execute(folder / key if (folder / key).is_file() else files[key], key, arguments.timeout)
    ]
    if failed:
        raise CommandError(f"{len(failed)} of {len(keys)} failed: {', '.join(failed)}")
    return 0


def execute(path: Path, name: str, timeout: float) -> bool:
    """Execute one notebook on a clean kernel; say how it ended, and where and why it stopped."""
    from course import notebook

    bar: Bar | None = None

    def started(done: int, total: int, line: str) -> None:
        nonlocal bar
        bar = bar or Bar(name, total)
        bar.show(done, line)

    before = time.perf_counter()
    try:
        notebook.execute(path, timeout=timeout, started=started)
    except notebook.NotebookError as error:
        (bar or Bar(name, 1)).end(f"FAILED after {time.perf_counter() - before:.1f} s")
        print(error)
        return False
    cells = bar.total if bar else 0
    (bar or Bar(name, 1)).end(f"ok, {cells} code cells in {time.perf_counter() - before:.1f} s")
    return True
