"""``course reset``: put back one notebook, keeping the learner's as a dated copy."""

from __future__ import annotations

import argparse

from course.cli.copies import put_back
from course.cli.place import settle
from course.cli.shipped import find_notebook, shipped_files


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser("reset", help="put back one notebook; yours is kept as a dated copy")
    command.add_argument("chapter", metavar="CHAPTER", help="05, 05-scheduling-model or exercises/05")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Put the notebook back and say where the learner's is."""
    folder = settle()
    files = shipped_files()
    key = find_notebook(arguments.chapter, files)
    kept = put_back(key, files[key])
    print(f"{folder / key} is as it was shipped.")
    if kept:
        print(f"Yours is {kept.name} beside it.")
    return 0
