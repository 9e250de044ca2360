"""The notebooks as they come with the course, and how to name one of them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path, PurePosixPath

from course import datafiles
from course.cli.errors import CommandError
from course.syllabus import chapters

# Solutions, and how to teach with the course, stay with the teacher.
NOT_FOR_LEARNERS = {"solutions", "teaching"}


def notebooks_folder() -> Path:
    """Return the folder of the shipped notebooks: a checkout's, or else the one inside the wheel.

    Raises
    ------
    CommandError
        When there is neither.
    """
    try:
        return datafiles.notebooks_folder()
    except FileNotFoundError as error:
        raise CommandError(str(error)) from None


def shipped_files(folder: Path | None = None) -> dict[str, Path]:
    """Return what a learner's folder is made of: relative path with ``/`` -> file.

    Hidden files, caches and the solutions are left out.
    """
    folder = folder or notebooks_folder()
    files = {}
    for parent, folders, names in os.walk(folder):
        top = Path(parent) == folder
        folders[:] = sorted(
            name for name in folders if not name.startswith((".", "__")) and not (top and name in NOT_FOR_LEARNERS)
        )
        for name in sorted(names):
            if not name.startswith("."):
                path = Path(parent, name)
                files[path.relative_to(folder).as_posix()] = path
    return files


def find_notebook(name: str, files: dict[str, Path]) -> str:
    """Return the key in `files` of the notebook that `name` means.

    Parameters
    ----------
    name : str
        A number (``5``), the beginning or the whole of a name (``05-scheduling``), or a path
        (``exercises/05-scheduling-model.ipynb``). Without a folder, a chapter is meant before an exercise.
    files : dict
        From `shipped_files`.

    Raises
    ------
    CommandError
        When there is no such notebook, or several; it names the nearest.

    Examples
    --------
    >>> files = {"2-concepts/05-tasks.ipynb": Path(), "exercises/05-tasks.ipynb": Path()}
    >>> find_notebook("5", files)
    '2-concepts/05-tasks.ipynb'
    >>> find_notebook("exercises/05", files)
    'exercises/05-tasks.ipynb'
    """
    notebooks = [key for key in files if key.endswith(".ipynb")]
    asked = PurePosixPath(name.replace("\\", "/").removesuffix(".ipynb"))
    stem = asked.name.zfill(2) if asked.name.isdecimal() else asked.name
    candidates = [
        key for key in notebooks if not asked.parent.name or PurePosixPath(key).parent.name == asked.parent.name
    ]
    exact = [key for key in candidates if PurePosixPath(key).stem == stem]
    matches = exact or [key for key in candidates if stem and PurePosixPath(key).name.startswith(stem)]
    if not asked.parent.name:
        matches = [key for key in matches if not key.startswith("exercises/")] or matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise CommandError(f"{name!r} means several notebooks: {', '.join(matches)}. Give more of the name.")
    planned = [each for each in chapters() if not each.written and stem and Path(each.file).name.startswith(stem)]
    if len(planned) == 1:
        raise CommandError(f"chapter {planned[0].number:02d}, {planned[0].title}, is planned and not written yet")
    names = {PurePosixPath(key).stem: key for key in reversed(notebooks)}
    near = difflib.get_close_matches(stem, names, n=3, cutoff=0.4)
    # "queueing" should find "12-queueing".
    near += [stem_ for stem_ in names if stem.lower() in stem_.lower() and stem_ not in near][:3]
    hint = f"The nearest: {', '.join(names[n] for n in near)}." if near else "There are: " + ", ".join(notebooks)
    raise CommandError(f"there is no notebook {name!r}. {hint}")
