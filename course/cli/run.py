"""``course run``: execute chapters from top to bottom, as *Restart and run all* does, and check them.

A chapter checks itself: its scoreboard raises when a tolerance is broken. Nothing is written; the
notebook's file stays as it is.
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
    """Execute one notebook on a clean kernel; say how it ended, and where it stopped."""
    import nbformat
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    bar = Bar(name, len(code))
    at = 0

    def started(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal at
        at = cell_index
        bar.show(sum(index < at for index in code), next(iter(cell.source.splitlines()), ""))

    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name=NATIVE_KERNEL_NAME,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=started,
    )
    before = time.perf_counter()
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        bar.end(f"FAILED in cell {at + 1} of {len(notebook.cells)} after {time.perf_counter() - before:.1f} s")
        print(str(error).strip())
        return False
    bar.end(f"ok, {len(code)} cells in {time.perf_counter() - before:.1f} s")
    return True
