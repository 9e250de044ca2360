"""Read what students handed in: find whose it is, and put its answers between the checks that were handed out."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.classroom.grading import exercise_of

MAX_FILE = 50_000_000
MAX_CELLS = 2_000
MAX_SOURCE = 1_000_000

_CHECK_CALL = re.compile(r"""\s*(?:#[^\n]*\n\s*)*check\(\s*["'](\d{1,2})\.(\w+)["'].*\)\s*(?:\.grade\(\))?\s*;?\s*""")
_NAME = re.compile(r"[^\w.@+-]+")


class DamagedError(ValueError):
    """A file is no notebook that can be read; the message says why."""


@dataclass(frozen=True)
class Handed:
    """A file that was handed in.

    Attributes
    ----------
    path : Path
    student : str
        Whose it is, from the name of its folder or of the file; empty if neither tells.
    time : datetime
        When the file was changed last, in UTC.
    """

    path: Path
    student: str
    time: datetime


def handed_in(folder: Path, assignment: str) -> Iterator[Handed]:
    """Find the notebooks of a folder: one subfolder for each student, or files that begin with the student's name.

    Parameters
    ----------
    folder : Path
        As a learning platform gives it, or as a shared folder has grown.
    assignment : str
        As in ``"12-queueing"``: ``ada-12-queueing.ipynb`` and ``ada/anything.ipynb`` are Ada's.
    """
    for path in sorted(folder.rglob("*.ipynb")):
        inside = path.relative_to(folder).parts
        if any(part.startswith(".") for part in inside) or path.is_symlink():
            continue
        name = inside[0] if len(inside) > 1 else re.sub(rf"[-_ .]*{re.escape(assignment)}.*$", "", path.stem)
        time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        yield Handed(path, _NAME.sub("-", name).strip("-."), time)


def read(path: Path) -> NotebookNode:
    """Read a notebook of unknown origin.

    Raises
    ------
    DamagedError
        It is too large, no JSON, or no notebook.
    """
    if (size := path.stat().st_size) > MAX_FILE:
        raise DamagedError(f"it has {size / 1e6:.0f} MB; {MAX_FILE / 1e6:.0f} are allowed")
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DamagedError("it is no text") from None
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"it is no JSON ({str(error)[:100]})") from None
    if not isinstance(data, dict) or not isinstance(data.get("nbformat"), int):
        raise DamagedError("it is no notebook: it does not say which format it has")
    try:
        notebook = nbformat.convert(nbformat.from_dict(data), 4)
        cells = [(cell.cell_type, str(_text(cell.source))) for cell in notebook.cells]
    except Exception as error:  # whatever nbformat meets in a file that somebody else has written
        raise DamagedError(f"it is no notebook that can be read ({type(error).__name__}: {str(error)[:100]})") from None
    if len(cells) > MAX_CELLS or sum(len(text) for _, text in cells) > MAX_SOURCE:
        raise DamagedError(f"it has more than {MAX_CELLS} cells, or {MAX_SOURCE / 1e6:g} MB of text")
    clean = nbformat.v4.new_notebook()
    for cell, (kind, text) in zip(notebook.cells, cells, strict=True):
        make = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        metadata = cell.get("metadata", {})
        grader = metadata.get("nbgrader", {}) if isinstance(metadata, dict) else {}
        name = grader.get("grade_id", "") if isinstance(grader, dict) else ""
        clean.cells.append(make(text, metadata={"nbgrader": {"grade_id": name if isinstance(name, str) else ""}}))
    return clean


def _text(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def chapter_of(notebook: NotebookNode) -> int | None:
    """Return the chapter whose exercises a notebook holds; None if it holds none.

    Parameters
    ----------
    notebook : NotebookNode
        From `read`.
    """
    found: Counter[int] = Counter()
    for cell in notebook.cells:
        if name := exercise_of(cell) or _called(cell):
            found[int(name[:2])] += 1
    return found.most_common(1)[0][0] if found else None


def _called(cell: NotebookNode) -> str | None:
    """Return the exercise that a cell checks by its source; other tools lose what nbgrader has noted."""
    match = _CHECK_CALL.fullmatch(cell.source) if cell.cell_type == "code" else None
    return f"{int(match[1]):02d}.{match[2]}" if match else None


def rebuild(handed_out: NotebookNode, handed: NotebookNode | None) -> NotebookNode:
    """Return what is graded: the student's cells in their order, with the checks that were handed out.

    Parameters
    ----------
    handed_out : NotebookNode
        The exercises.
    handed : NotebookNode or None
        From `read`; None for a file that could not be read.

    Notes
    -----
    A check that the student changed, moved or deleted is there again, where it was or at the end. Code that was written
    into the cell of a check is kept before it. A cell for an answer that is missing is there again, empty. A
    student's own text is shown as it was typed: as Markdown, its HTML would run in the browser of who grades.
    """
    result = copy.deepcopy(handed_out)
    if handed is None:
        return result
    known = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in result.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id")
    }
    by_exercise = {exercise_of(cell): name for name, cell in known.items() if exercise_of(cell)}
    prose = {cell.source for cell in result.cells if cell.cell_type == "markdown"}
    cells: list[NotebookNode] = []
    placed: set[str] = set()
    for cell in handed.cells:
        name = cell.metadata.nbgrader.grade_id
        if name not in known:
            name = by_exercise.get(_called(cell) or "", "")
        if not name or name in placed:
            cells.append(_own(cell, prose))
            continue
        placed.add(name)
        original = known[name]
        if exercise_of(original):
            if cell.cell_type == "code" and cell.source.strip() != original.source.strip() and not _called(cell):
                cells.append(_own(cell, prose))
        elif cell.cell_type == "code":
            original.source = cell.source
        cells.append(original)
    cells += [cell for name, cell in known.items() if name not in placed]
    result.cells = cells
    return result


def _own(cell: NotebookNode, prose: set[str]) -> NotebookNode:
    """Return a student's cell; text that is not of the exercises stands between marks that no line of it can close."""
    if cell.cell_type == "code":
        return nbformat.v4.new_code_cell(cell.source)
    if cell.source in prose:
        return nbformat.v4.new_markdown_cell(cell.source)
    marks = "~" * (3 + max((len(run) for run in re.findall("~+", cell.source)), default=0))
    return nbformat.v4.new_markdown_cell(f"{marks}\n{cell.source}\n{marks}")
