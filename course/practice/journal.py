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
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NOT_SAVED = "this is not remembered: the course's folder cannot be written (set COURSE_HOME to one that can)"

_unsaved: list[dict[str, Any]] = []


def now() -> datetime:
    """Return the time, which tests replace."""
    return datetime.now(UTC)


def remember(event: str, name: str, **details: Any) -> str | None:
    """Append an event; return None, or a sentence when it could not be saved (it holds until the kernel ends).

    Parameters
    ----------
    event : str
        ``check``, ``hint``, ``predict``, ``outcome`` or ``review``.
    name : str
        The exercise or prediction.
    """
    entry = {"event": event, "name": name, **details, "at": now().isoformat(timespec="seconds")}
    line = json.dumps(entry, ensure_ascii=False)
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


def is_unsaved() -> bool:
    """Whether something that was done in this kernel could not be saved.

    Examples
    --------
    >>> is_unsaved()
    False
    """
    return bool(_unsaved)


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
        except (ValueError, RecursionError):  # an empty or damaged line
            continue
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            found.append(entry)
    found += _unsaved
    return [
        each
        for each in found
        if (event is None or each.get("event") == event) and (name is None or each["name"] == name)
    ]


def history() -> list[tuple[datetime, dict[str, Any]]]:
    """Return what was remembered, oldest first, each with its time.

    A time that cannot be true (none, damaged, in the future) counts as that of the line before.

    Examples
    --------
    >>> isinstance(history(), list)
    True
    """
    found, latest, last = [], now(), LONG_AGO
    for entry in events():
        last = _moment(entry.get("at"), latest) or last
        found.append((last, entry))
    return found


def _moment(text: object, latest: datetime) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if LONG_AGO <= moment <= latest else None
