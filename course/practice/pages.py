"""Where the notebooks of a chapter are, and links to them."""

from __future__ import annotations

import html
import os
from pathlib import Path, PurePosixPath

from course.syllabus import Chapter, chapters

WELCOME = "00-welcome.ipynb"


def chapter_of(number: int) -> Chapter | None:
    """Return a chapter by its number; None when the course has none (a teacher's own exercises, for instance).

    Examples
    --------
    >>> chapter_of(5).title
    'The task-scheduling model'
    """
    return next((each for each in chapters() if each.number == number), None)


def page(number: int) -> str:
    """Return the notebook of a chapter, from the learner's folder; empty when there is none.

    Examples
    --------
    >>> page(5)
    '2-concepts/05-scheduling-model.ipynb'
    """
    chapter = chapter_of(number)
    return chapter.file if chapter else ""


def exercise_page(number: int) -> str:
    """Return the notebook of a chapter's exercises, from the learner's folder; empty when there is none.

    Examples
    --------
    >>> exercise_page(5)
    'exercises/05-scheduling-model.ipynb'
    """
    name = PurePosixPath(page(number)).name
    return f"exercises/{name}" if name else ""


def link(file: str, text: str) -> str:
    """Return `text` as HTML, linked to a notebook if this kernel runs in one of the learner's folder."""
    here = Path.cwd()
    root = next((each for each in (here, *here.parents) if (each / WELCOME).is_file()), None)
    if root is None or not file:
        return html.escape(text)
    target = Path(os.path.relpath(root / PurePosixPath(file), here)).as_posix()
    return f'<a href="{html.escape(target)}">{html.escape(text)}</a>'
