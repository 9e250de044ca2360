"""The learner's own folder: copies of the notebooks, answers, progress, the calibration of the machine.

``COURSE_HOME`` names it (``course lab`` sets it for every kernel); without it, ``~/tuning-course``.
What the course itself keeps there is in the hidden folder ``.course`` inside it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

DEFAULT_HOME = "~/tuning-course"


def home() -> Path:
    """Return the learner's own folder (which need not exist yet).

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, COURSE_HOME="my-folder"):
    ...     home().name
    'my-folder'
    """
    return Path(os.environ.get("COURSE_HOME") or DEFAULT_HOME).expanduser()


def state_file(name: str) -> Path:
    """Return the path of a state file (``progress.json``, ``machine.json``, …) in the learner's folder."""
    return home() / ".course" / name


def read_state(name: str) -> dict[str, Any]:
    """Read a state file; a missing one is empty, a damaged one is put aside, never overwritten."""
    path = state_file(name)
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, UnicodeDecodeError):
        state = None
    if isinstance(state, dict):
        return state
    k = 1
    while (aside := path.with_name(f"{path.name}.damaged-{k}")).exists():
        k += 1
    path.rename(aside)
    return {}


def write_state(name: str, state: dict[str, Any]) -> None:
    """Write a state file whole or not at all (written beside it, then moved over it)."""
    path = state_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8") as beside:
        json.dump(state, beside, indent=1, sort_keys=True, ensure_ascii=False)
    os.replace(beside.name, path)
