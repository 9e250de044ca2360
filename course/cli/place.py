"""Which folder is the learner's, for this process and those that it starts."""

from __future__ import annotations

import os
from pathlib import Path

from course.home import home


def settle(folder: str | None = None) -> Path:
    """Decide on the learner's folder and set ``COURSE_HOME`` to it, absolute.

    In this order: the folder given, ``COURSE_HOME``, the learner's folder that the current one is in, the
    default of `course.home.home`.
    """
    chosen = Path(folder).expanduser() if folder else None
    if chosen is None and not os.environ.get("COURSE_HOME"):
        here = Path.cwd()
        chosen = next((p for p in (here, *here.parents) if (p / ".course" / "manifest.json").is_file()), None)
    chosen = (chosen or home()).resolve()
    os.environ["COURSE_HOME"] = str(chosen)
    return chosen
