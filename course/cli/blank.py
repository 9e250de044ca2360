"""``course blank``: copies of chapters for live coding, with cells to type into."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from course.cli.copies import publish
from course.cli.errors import CommandError
from course.cli.place import settle
from course.cli.shipped import find_notebook, shipped_files


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "blank",
        help="for teachers: copies of chapters for live coding, with cells to type into",
        description="The same prose, and cells without their code: imports, predictions, explorers, the lines that "
        "draw and the first comments stay. A copy lies beside the chapter, as 12-queueing.blank.ipynb; one that you "
        "typed into is never overwritten.",
    )
    command.add_argument("chapters", nargs="+", metavar="CHAPTER", help="05 or 05-scheduling-model")
    command.add_argument("-o", "--output", metavar="FOLDER", help="another folder than your own of the course")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the copies and say where they are."""
    folder, files = settle(arguments.output), shipped_files()
    keys = [find_notebook(name, files) for name in arguments.chapters]
    if exercises := [key for key in keys if key.startswith("exercises/")]:
        raise CommandError(f"{exercises[0]} has cells to type into as it is; name a chapter")
    for key in dict.fromkeys(keys):
        try:
            path, new = write_blank(files[key], folder / PurePosixPath(key))
        except OSError as error:
            raise CommandError(f"cannot write into {folder} ({error}); give another folder: -o FOLDER") from error
        print(f"{path}{'' if new else ' (made before, and not changed since)'}")
    return 0


def write_blank(chapter: Path, place: Path) -> tuple[Path, bool]:
    """Write the copy of a chapter beside `place`; return its path, and whether it is new.

    A file of that name that holds anything else stays as it is, and the copy gets the next free name.

    Parameters
    ----------
    chapter : Path
        The notebook.
    place : Path
        Where the chapter stands in the learner's folder, so that links in the copy lead where they lead in the chapter.
    """
    import nbformat

    from course.classroom.blank import blank

    content = (nbformat.writes(blank(nbformat.read(chapter, as_version=4))) + "\n").encode()
    place.parent.mkdir(parents=True, exist_ok=True)
    for path in _names(place):
        if publish(content, path):
            return path, True
        if path.is_file() and path.read_bytes() == content:
            return path, False
    raise AssertionError("names are endless")


def _names(place: Path) -> Iterator[Path]:
    """Yield names for the copy: ``05-tasks.blank.ipynb``, ``05-tasks.blank-2.ipynb`` and so on."""
    for count in itertools.count(1):
        number = "" if count == 1 else f"-{count}"
        yield place.with_name(f"{place.stem}.blank{number}{place.suffix}")
