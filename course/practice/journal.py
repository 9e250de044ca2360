"""What the learner did, remembered: one line of JSON for each event, appended.

Nothing is ever rewritten, so kernels that run at the same time do not lose each other's lines.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

from course.home import state_file

FILE = "practice.jsonl"
NOT_SAVED = "this is not remembered: the course's folder cannot be written (set COURSE_HOME to one that can)"

_unsaved: list[dict[str, Any]] = []


def remember(event: str, name: str, **details: Any) -> str | None:
    """Append an event; return None, or a sentence when it could not be saved (it holds until the kernel ends).

    Parameters
    ----------
    event : str
        ``check``, ``hint`` or ``predict``.
    name : str
        The exercise or prediction.
    """
    entry = {"event": event, "name": name, **details}
    line = json.dumps({**entry, "at": datetime.now(UTC).isoformat(timespec="seconds")}, ensure_ascii=False)
    try:
        path = state_file(FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write of one line in append mode is not mixed with another process's.
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            size = os.fstat(handle).st_size
            if size:
                # A line that was cut off by a crash must not swallow this one.
                os.lseek(handle, size - 1, os.SEEK_SET)
                if os.read(handle, 1) != b"\n":
                    line = "\n" + line
            os.write(handle, (line + "\n").encode())
        finally:
            os.close(handle)
    except OSError:
        _unsaved.append(entry)
        return NOT_SAVED
    return None


def events(event: str | None = None, name: str | None = None) -> list[dict[str, Any]]:
    """Return what was remembered, oldest first, optionally of one kind and one exercise."""
    try:
        lines = state_file(FILE).read_bytes().split(b"\n")
    except OSError:
        lines = []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # an empty or damaged line
            continue
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            found.append(entry)
    found += _unsaved
    return [
        each
        for each in found
        if (event is None or each.get("event") == event) and (name is None or each["name"] == name)
    ]
