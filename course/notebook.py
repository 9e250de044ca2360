"""Make the notebooks: execute them on a clean kernel, store outputs that do not vary, cut the exercises.

``python -m course.notebook [NOTEBOOK…]``
    executes and stores notebooks (all but the exercises, when none is named; a number names a chapter).
``python -m course.notebook exercises``
    makes ``notebooks/exercises/`` from ``notebooks/solutions/``.
``python -m course.notebook reference``
    makes the glossary and the formula sheet from the table of terms and from the documentation of the models.
``python -m course.notebook normalise NOTEBOOK…``
    only tidies a file, without running it.

A solution is written with two tags: ``solution`` on a cell whose answer stands between the lines
``### BEGIN SOLUTION`` and ``### END SOLUTION``, and ``check`` on the cell after it, which reads
``check("05.3", makespan).grade()``. What nbgrader needs is added here; the points come from the exercise.
"""

from __future__ import annotations

import argparse
import atexit
import base64
import copy
import hashlib
import os
import posixpath
import re
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import nbformat
from nbformat import NotebookNode

ROOT = Path("notebooks")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}
WIDGET = "application/vnd.jupyter.widget-view+json"
STUB = "# YOUR CODE HERE\n..."
_CELL_METADATA = ("tags", "nbgrader", "deletable", "editable", "slideshow")
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)((?:\s+\"[^\"]*\")?\))")
_CHECK = re.compile(r"""\bcheck\(\s*["'](\d{1,2}\.\w+)["']""")
# Folders that are a person's or a machine's own. Written so that prose about /tmp is not one.
_MACHINE_PATHS = re.compile(
    r"(/home/\w+|/Users/\w+|/root/|[A-Za-z]:\\+Users\\+\w|/tmp/\w|/var/folders/|site-packages|ipykernel_\d+)"
)


class NotebookError(Exception):
    """A notebook cannot be made; the message says which cell, and why."""


def machine_paths(text: str) -> list[str]:
    """Return the paths in `text` that exist only on one machine.

    Examples
    --------
    >>> machine_paths("saved in /home/ada/course/x.parquet")
    ['/home/ada']
    >>> machine_paths("Dask spills to /tmp by default")
    []
    """
    found = [match[0] for match in _MACHINE_PATHS.finditer(text)]
    own = {str(Path.home()), str(Path.cwd()), tempfile.gettempdir() + os.sep, sys.prefix}
    found += sorted(path for path in own if len(path) > 5 and path in text and path not in found)
    return found


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return a copy in the form that is stored: nothing in it depends on when or where it was made.

    Code cells with outputs are numbered 1…n, streams are joined, widgets keep only their picture and text, metadata
    is cut down to what is used, cell ids come from the cells' text, pictures lose their comments.

    Raises
    ------
    NotebookError
        An output holds a path of this machine.
    """
    notebook = nbformat.v4.upgrade(copy.deepcopy(notebook))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    seen: set[str] = set()
    count = 0
    for index, cell in enumerate(notebook.cells):
        cell.source = "\n".join(line.rstrip() for line in cell.source.split("\n")).strip("\n")
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in _CELL_METADATA if cell.metadata.get(key) not in (None, [])}
        )
        cell.id = _cell_id(cell, seen)
        if cell.cell_type != "code":
            continue
        cell.outputs = [_output(each) for each in _joined(cell.outputs)]
        ran = cell.execution_count is not None and cell.source.strip()
        count += bool(ran)
        cell.execution_count = count if ran else None
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
            _refuse_paths(index, output)
    nbformat.validate(notebook)
    return notebook


def _cell_id(cell: NotebookNode, seen: set[str]) -> str:
    """Return an id that follows from the cell's text, and from how often that text came before."""
    base = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    found, k = base, 1
    while found in seen:
        k += 1
        found = f"{base}-{k}"
    seen.add(found)
    return found


def _joined(outputs: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """Join the pieces of each stream, at the place of its first piece."""
    streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type == "stream" and output.name in streams:
            streams[output.name].text += output.text
            continue
        if output.output_type == "stream":
            streams[output.name] = output
        yield output


def _output(output: NotebookNode) -> NotebookNode:
    if "data" in output:
        output.data.pop(WIDGET, None)
        output.metadata.pop(WIDGET, None)
        picture = output.data.get("image/png")
        if isinstance(picture, str):
            output.data["image/png"] = _without_comments(picture)
    return output


def _without_comments(picture: str) -> str:
    """Drop the text and time chunks of a PNG, which name the program and the date."""
    raw = base64.b64decode(picture)
    if raw[:8] != b"\x89PNG\r\n\x1a\n":
        return picture
    kept, at = [raw[:8]], 8
    while at + 8 <= len(raw):
        (length,) = struct.unpack(">I", raw[at : at + 4])
        chunk = raw[at : at + 12 + length]
        if chunk[4:8] not in (b"tEXt", b"iTXt", b"zTXt", b"tIME"):
            kept.append(chunk)
        at += 12 + length
    return base64.b64encode(b"".join(kept)).decode("ascii")


def _refuse_paths(index: int, output: NotebookNode) -> None:
    texts = [output.get("text", "")]
    texts += [text for kind, text in output.get("data", {}).items() if not kind.startswith("image/png")]
    for text in texts:
        found = machine_paths(text if isinstance(text, str) else repr(text))
        if found:
            raise NotebookError(
                f"cell {index}: its output holds {', '.join(found)}, a path of this machine: print less of it"
            )


def execute(
    path: Path, *, timeout: float = 600.0, started: Callable[[int, int, str], None] | None = None
) -> NotebookNode:
    """Execute a notebook on a clean kernel and return it normalised; the file is left as it is.

    The kernel is this Python, in the notebook's folder, with an empty folder for the learner.

    Parameters
    ----------
    path : Path
        The notebook.
    timeout : float
        Seconds that one cell may take.
    started : callable
        Called with the number of a code cell (from 0), how many there are, and its first line.

    Raises
    ------
    NotebookError
        A cell failed, wrote to stderr, or took too long.
    """
    import zmq
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    at = 0

    def start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at
        at = cell_index
        if started is not None and cell.cell_type == "code":
            started(code.index(cell_index), len(code), next(iter(cell.source.splitlines()), ""))

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory(prefix="course-home-", ignore_cleanup_errors=True) as home:
        environment = {**os.environ, "COURSE_HOME": home}
        environment.pop("MPLBACKEND", None)  # pictures belong into the notebook
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_manager_class=_this_python(),
            resources={"metadata": {"path": str(path.resolve().parent)}},
            on_cell_start=start,
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
        )
        try:
            encryption = "auto" if zmq.has("curve") else "disabled"
            client.execute(env=environment, transport_encryption=encryption)
        except CellTimeoutError:
            _fail(path, at, notebook, f"it took more than {timeout:g} s")
        except (CellExecutionError, DeadKernelError) as error:
            _fail(path, at, notebook, str(error).strip())
        except RuntimeError as error:  # the kernel ended, or did not answer, before the first cell
            atexit.unregister(client._cleanup_kernel)  # nbclient would try in vain to end it once more
            raise NotebookError(
                f"{path}: no kernel started: {error}. Is there enough memory (a chapter and its workers need 2 GB)?"
            ) from None
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                _fail(path, index, notebook, f"it wrote to stderr:\n{output.text}")
    try:
        return normalise(notebook)
    except NotebookError as error:
        raise NotebookError(f"{path}: {error}") from None


def _fail(path: Path, index: int, notebook: NotebookNode, why: str) -> NoReturn:
    source = notebook.cells[index].source
    raise NotebookError(f"{path}, cell {index}:\n{source}\n\n{why}") from None


def _this_python() -> type:
    """Return a kernel manager that starts this Python, whatever kernels are installed."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

    return ThisPython


def write(notebook: NotebookNode, path: Path) -> bool:
    """Store a normalised notebook; return whether the file changed."""
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return True


def keep_measured(new: NotebookNode, old: NotebookNode) -> NotebookNode:
    """Return `old` if all that differs in `new` are tables of what was measured, else `new`.

    So making a notebook again does not change its file because a scoreboard measured 0.41 in place of 0.40 s. A page
    is of one run: where anything else changed, the tables are the new ones, too.
    """
    if [cell.source for cell in new.cells] != [cell.source for cell in old.cells]:
        return new
    pairs = zip(new.cells, old.cells, strict=True)
    if any(_without_measured(cell) != _without_measured(before) for cell, before in pairs):
        return new
    kept = copy.deepcopy(new)
    for cell, before in zip(kept.cells, old.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs = before.get("outputs", [])
    return kept


def _without_measured(cell: NotebookNode) -> list[Any]:
    outputs = copy.deepcopy(cell.get("outputs", []))
    for output in outputs:
        page = output.get("data", {}).get("text/html", "")
        if page.startswith('<div class="course-measured"'):
            output.data["text/html"] = ""
    return outputs


# --- exercises from solutions --------------------------------------------------------------------


def is_solution(path: Path) -> bool:
    """Whether a notebook is one of the teacher's, in ``solutions/``."""
    return "solutions" in path.parts[:-1]


def add_nbgrader(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a solution with nbgrader's metadata on the cells tagged ``solution`` and ``check``.

    Raises
    ------
    NotebookError
        A check has no exercise, a solution no check after it, or one of them has not the agreed form.
    """
    from course.practice.exercises import UnknownExerciseError, find

    notebook = copy.deepcopy(notebook)
    waiting: list[NotebookNode] = []
    done: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        cell.metadata.pop("nbgrader", None)
        if "solution" in tags:
            if cell.cell_type == "code" and "### BEGIN SOLUTION" not in cell.source:
                raise NotebookError(f"cell {index} is tagged solution but has no line ### BEGIN SOLUTION")
            waiting.append(cell)
        elif "### BEGIN SOLUTION" in cell.source:
            raise NotebookError(f"cell {index} holds a solution but is not tagged solution")
        elif "check" in tags:
            match = _CHECK.search(cell.source)
            if match is None or not cell.source.rstrip().endswith(".grade()"):
                raise NotebookError(f'cell {index} is tagged check; it must end as check("05.3", answer).grade()')
            try:
                exercise = find(match[1])
            except UnknownExerciseError as error:
                raise NotebookError(f"cell {index}: {error}") from None
            name = "exercise-" + exercise.id.replace(".", "-")
            if name in done:
                raise NotebookError(f"cell {index} checks {exercise.id} a second time")
            done.add(name)
            for k, solution in enumerate(waiting):
                _grade(solution, f"{name}-solution" + (f"-{k + 1}" if k else ""), solution=True)
            waiting = []
            _grade(cell, f"{name}-check", points=exercise.points)
    if waiting:
        raise NotebookError("the last solution is followed by no check")
    return notebook


def _grade(cell: NotebookNode, name: str, *, solution: bool = False, points: int | None = None) -> None:
    data: dict[str, Any] = {
        "grade": points is not None,
        "grade_id": name,
        "locked": points is not None,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        data["points"] = points
    cell.metadata["nbgrader"] = data


def exercise_path(solution: Path) -> Path:
    """Return where the exercise of a solution is stored.

    Examples
    --------
    >>> exercise_path(Path("notebooks/solutions/05-tasks/05-tasks.ipynb")).as_posix()
    'notebooks/exercises/05-tasks.ipynb'
    """
    return solution.parent.parent.parent / "exercises" / solution.name


def source_notebook(solution: NotebookNode) -> NotebookNode:
    """Return a solution as nbgrader takes it: with its metadata, and with links that are right where exercises are."""
    notebook = add_nbgrader(normalise(solution))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(_one_level_up, cell.source)
    return notebook


def make_exercise(solution: NotebookNode) -> NotebookNode:
    """Return the learner's notebook: the solution with holes, without outputs, its checks locked.

    The cutting is nbgrader's own. Relative links are turned to the exercise's folder, one level up.
    """
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        ClearHiddenTests,
        ClearMarkScheme,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    notebook = source_notebook(solution)
    resources: dict[str, Any] = {}
    for preprocessor in (
        LockCells(),
        ClearSolutions(code_stub={"python": STUB}),
        ClearOutput(),
        ClearHiddenTests(),
        ClearMarkScheme(),
    ):
        notebook, resources = preprocessor.preprocess(notebook, resources)
    notebook = normalise(notebook)
    for preprocessor in (ComputeChecksums(), CheckCellMetadata()):
        notebook, resources = preprocessor.preprocess(notebook, resources)
    return notebook


def _one_level_up(match: re.Match[str]) -> str:
    before, target, after = match.groups()
    if re.match(r"[a-z]+:|#|/", target):
        return match[0]
    moved = posixpath.relpath(posixpath.join("solutions/one", target), "exercises")
    return f"{before}{moved}{after}"


def make_exercises(root: Path = ROOT) -> list[Path]:
    """Add nbgrader's metadata to every solution and make its exercise; return the files that changed."""
    changed = []
    for path in sorted((root / "solutions").glob("*/*.ipynb")):
        try:
            solution = add_nbgrader(normalise(nbformat.read(path, as_version=4)))
            exercise = make_exercise(solution)
        except NotebookError as error:
            raise NotebookError(f"{path}: {error}") from None
        pairs = ((solution, path), (exercise, exercise_path(path)))
        changed += [file for notebook, file in pairs if write(notebook, file)]
    return changed


def make_reference(root: Path = ROOT) -> list[Path]:
    """Write the glossary and the formula sheet, which are to be executed then; return their files."""
    from course.reference.pages import FORMULAS, GLOSSARY, formula_page, glossary_page
    from course.syllabus import chapters

    files = {chapter.number: root / chapter.file for chapter in chapters()}
    for number, page in ((GLOSSARY, glossary_page()), (FORMULAS, formula_page())):
        write(normalise(page), files[number])
    return [files[GLOSSARY], files[FORMULAS]]


# --- the command ---------------------------------------------------------------------------------


def find_notebooks(names: Iterable[str], root: Path = ROOT) -> list[Path]:
    """Return the notebooks that `names` name: files, folders, or chapters by number; all but the exercises.

    Raises
    ------
    NotebookError
        A name fits nothing.
    """
    every = [
        path
        for path in sorted(root.rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts and path.relative_to(root).parts[0] != "exercises"
    ]
    names = list(names)
    if not names:
        return every
    found: list[Path] = []
    for name in names:
        given = Path(name)
        if given.is_file():
            fits = [given]
        elif given.is_dir():
            fits = sorted(given.rglob("*.ipynb"))
        else:
            fits = [path for path in every if path.name.startswith(name.zfill(2) + "-") or path.stem == name]
        if not fits:
            raise NotebookError(f"{name}: there is no such notebook; name a file, a folder or a chapter as 05")
        found += [path for path in fits if path not in found]
    return found


def make(path: Path, timeout: float = 600.0) -> bool:
    """Execute one notebook and store it, with a bar of progress; return whether the file changed."""
    from course.cli.bar import Bar

    bar = Bar(path.as_posix(), 1)

    def started(done: int, total: int, line: str) -> None:
        bar.total = total
        bar.show(done, line)

    before = time.perf_counter()
    try:
        notebook = execute(path, timeout=timeout, started=started)
        if is_solution(path):
            notebook = add_nbgrader(notebook)
    except NotebookError:
        bar.end("FAILED")
        raise
    changed = write(keep_measured(notebook, nbformat.read(path, as_version=4)), path)
    bar.end(f"{'stored' if changed else 'unchanged'}, {time.perf_counter() - before:.1f} s")
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 when every notebook could be made."""
    parser = argparse.ArgumentParser(prog="python -m course.notebook", description=(__doc__ or "").split("\n")[0])
    names = "exercises | reference | normalise NOTEBOOK… | NOTEBOOK…"
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help=names)
    parser.add_argument("--timeout", type=float, default=600.0, metavar="S", help="seconds for one cell (600)")
    given = parser.parse_args(arguments)
    failed = 0
    try:
        if given.names == ["exercises"]:
            for path in make_exercises():
                print(f"made {path.as_posix()}")
            return 0
        if given.names[:1] == ["normalise"]:
            for path in find_notebooks(given.names[1:]):
                notebook = normalise(nbformat.read(path, as_version=4))
                write(add_nbgrader(notebook) if is_solution(path) else notebook, path)
            return 0
        paths = make_reference() if given.names == ["reference"] else find_notebooks(given.names)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    for path in paths:
        try:
            make(path, given.timeout)
        except NotebookError as error:
            print(error, file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
