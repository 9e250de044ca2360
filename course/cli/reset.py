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
    existed = (folder / key).exists()
    kept = put_back(key, files[key])
    if kept:
        print(f"{folder / key} is put back as it was shipped. Yours is {kept.name} beside it.")
    elif existed:
        print(f"{folder / key} was as it was shipped; nothing is changed.")
    else:
        print(f"{folder / key} was not there; it is now, as it was shipped.")
    return 0
