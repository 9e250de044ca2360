"""Which folder is the learner's, for this process and those that it starts."""

from __future__ import annotations

import os
from pathlib import Path

from course.cli.errors import CommandError
from course.cli.shipped import notebooks_folder
from course.home import home


def settle(folder: str | None = None) -> Path:
    """Decide on the learner's folder and set ``COURSE_HOME`` to it, absolute.

    In this order: the folder given, ``COURSE_HOME``, the learner's folder that the current one is in, the
    default of `course.home.home`.

    Raises
    ------
    CommandError
        If it is the folder of the shipped notebooks, or inside of it: JupyterLab saves what is open there.
    """
    chosen = Path(folder).expanduser() if folder else None
    if chosen is None and not os.environ.get("COURSE_HOME"):
        here = Path.cwd()
        chosen = next((p for p in (here, *here.parents) if (p / ".course" / "manifest.json").is_file()), None)
    chosen = (chosen or home()).resolve()
    shipped = notebooks_folder().resolve()
    if chosen == shipped or shipped in chosen.parents:
        raise CommandError(f"{chosen} holds the notebooks as they came; take another folder for your own copy of them")
    os.environ["COURSE_HOME"] = str(chosen)
    return chosen
