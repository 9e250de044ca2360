"""The learner's own copy of the notebooks: made, kept up to date, and never overwritten.

``.course/manifest.json`` in the learner's folder remembers for each file the SHA-256 of the shipped version
that the learner's copy started from. A file is only ever replaced when it still has exactly that content.
Every step is one atomic operation of the file system and decides by content, so that an interrupted or a
concurrent run leaves whole files, and the next run carries on.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import itertools
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from course.cli.errors import CommandError
from course.home import home, read_state, write_state

MANIFEST = "manifest.json"


@dataclass
class Changes:
    """What `update` did: lists of relative paths."""

    new: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    beside: list[tuple[str, str]] = field(default_factory=list)
    in_the_way: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to tell the learner."""
        said = []
        if self.new:
            said.append(f"copied {len(self.new)} files into {home()}")
        if self.replaced:
            said.append(f"{len(self.replaced)} files that you had not changed are now the new version")
        said += [
            f"{key}: you changed it, and there is a new version. Yours stays; the new one is {name} beside it"
            for key, name in self.beside
        ]
        said += [f"{key}: not copied, something else is in its place" for key in self.in_the_way]
        return said


def update(files: dict[str, Path]) -> Changes:
    """Bring the learner's folder up to date with the shipped `files`.

    Parameters
    ----------
    files : dict
        Relative path with ``/`` -> shipped file.

    Raises
    ------
    CommandError
        When the folder cannot be written.
    """
    changes = Changes()
    try:
        home().mkdir(parents=True, exist_ok=True)
        manifest = read_state(MANIFEST)
        known = manifest.get("files")
        known = dict(known) if isinstance(known, dict) else {}
        for key, source in files.items():
            entry = known.get(key)
            known[key] = _update_one(key, source.read_bytes(), entry if isinstance(entry, dict) else {}, changes)
        if manifest.get("files") != known:
            write_state(MANIFEST, {"files": known})
    except OSError as error:
        raise CommandError(
            f"cannot write the learner's folder {home()} ({error}). Give another one: course lab DIR"
        ) from error
    return changes


def _update_one(key: str, content: bytes, entry: dict[str, str], changes: Changes) -> dict[str, str]:
    """Bring one file up to date; return its new manifest entry."""
    target = home() / PurePosixPath(key)
    shipped = _sha256(content)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mine = _sha256(target.read_bytes())
    except FileNotFoundError:
        if publish(content, target):
            changes.new.append(key)
            return {"sha256": shipped}
        mine = _sha256(target.read_bytes())  # another run, or the learner, was faster
    except (IsADirectoryError, NotADirectoryError, FileExistsError, PermissionError):
        changes.in_the_way.append(key)
        return entry
    if mine == shipped:
        return {"sha256": shipped}
    base = entry.get("sha256")
    if mine == base:
        _replace(target, content)
        changes.replaced.append(key)
        return {"sha256": shipped}
    if shipped in (base, entry.get("offered")):
        return entry
    beside = target.with_name(f"{target.stem}.update-{shipped[:6]}{target.suffix}")
    publish(content, beside)
    changes.beside.append((key, beside.name))
    return {**entry, "offered": shipped}


def put_back(key: str, source: Path, today: datetime.datetime | None = None) -> Path | None:
    """Put back the shipped version of one file; keep the learner's as a dated copy.

    Returns
    -------
    path : Path or None
        The dated copy; None when there was nothing to keep.
    """
    target = home() / PurePosixPath(key)
    content = source.read_bytes()
    kept = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            mine = target.read_bytes()
            if mine != content:
                kept = next(path for path in _dated(target, today) if publish(mine, path))
        _replace(target, content)
        known = read_state(MANIFEST).get("files")
        write_state(
            MANIFEST, {"files": {**(known if isinstance(known, dict) else {}), key: {"sha256": _sha256(content)}}}
        )
    except OSError as error:
        raise CommandError(f"cannot put back {target}: {error}") from error
    return kept


def publish(content: bytes, target: Path) -> bool:
    """Create `target` with `content`, whole or not at all; return False, and do nothing, when it exists."""
    beside = _write_beside(content, target)
    try:
        try:
            os.link(beside, target)  # unlike a rename it fails, everywhere, when the target exists
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            with open(target, "xb") as file:
                file.write(content)
        return True
    except FileExistsError:
        return False
    finally:
        beside.unlink()


def _replace(target: Path, content: bytes) -> None:
    os.replace(_write_beside(content, target), target)


def _write_beside(content: bytes, target: Path) -> Path:
    """Write `content` to a hidden file in the folder of `target`, with the usual permissions."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with open(beside, "xb") as file:
            file.write(content)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return beside


def _dated(target: Path, today: datetime.datetime | None) -> Iterator[Path]:
    """Yield names for a dated copy of `target`, until one is free."""
    day = f"{today or datetime.datetime.now():%Y-%m-%d}"
    for count in itertools.count(1):
        number = "" if count == 1 else f"-{count}"
        yield target.with_name(f"{target.stem}.{day}{number}{target.suffix}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
