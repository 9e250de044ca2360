"""Grade a notebook that a student handed in: run its cells shut in, judge what its answers give."""

from __future__ import annotations

import ast
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

import course.practice
from course.classroom.given import given_part
from course.classroom.session import CELL_LIMIT, Session
from course.practice.checking import CheckResult, FunctionElsewhere, judge, raised_text
from course.practice.encoding import Opaque
from course.practice.exercises import Exercise, exercises_of, find
from course.practice.replies import StoppedError

TOTAL_LIMIT = 900.0
"""Seconds for a whole notebook."""

_CHECK = re.compile(r"exercise-(\d\d)-(\w+)-check")
_PRACTICE = Path(course.practice.__file__).parent


@dataclass
class Graded:
    """What grading a notebook gave.

    Attributes
    ----------
    notebook : NotebookNode
        The cells with what they printed and how their answers were judged; the points are the results of the checks.
    results : dict of str to CheckResult
        By exercise.
    stopped : list of str
        Each cell or answer that had to be stopped, and why.
    seconds : float
    """

    notebook: NotebookNode
    results: dict[str, CheckResult] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """The sum of the points."""
        return sum(result.points for result in self.results.values())


def exercise_of(cell: NotebookNode) -> str | None:
    """Return the exercise that a cell checks, if it is a check as nbgrader marks it.

    Examples
    --------
    >>> exercise_of(nbformat.from_dict({"metadata": {"nbgrader": {"grade_id": "exercise-12-3-check"}}}))
    '12.3'
    """
    match = _CHECK.fullmatch(str(cell.metadata.get("nbgrader", {}).get("grade_id", "")))
    return f"{match[1]}.{match[2]}" if match else None


def answer_name(source: str) -> str:
    """Return the name of the answer in the source of a check.

    Raises
    ------
    ValueError
        It has not the form of a check.

    Examples
    --------
    >>> answer_name('check("12.3", erlang_c_wait).grade()')
    'erlang_c_wait'
    """
    match ast.parse(source).body:
        case [ast.Expr(ast.Call(ast.Attribute(ast.Call(args=[_, ast.Name(name)]), "grade")))]:
            return name
    raise ValueError(f'not a check: {source!r}; it must read check("05.3", answer).grade()')


@contextmanager
def without_judges(chapter: int, notebook: NotebookNode) -> Iterator[dict[Path, Path]]:
    """Give, for a time, files to stand in the place of the modules of exercises: without judges and without answers.

    Parameters
    ----------
    chapter : int
        Of its module stays what the notebook imports, and how its exercises use an answer.
    notebook : NotebookNode
        The exercises as they are handed out.
    """
    with tempfile.TemporaryDirectory(prefix="course-given-") as folder:
        replaced = {}
        for path in _PRACTICE.glob("chapter??.py"):
            text = ""
            if path.stem == f"chapter{chapter:02d}":
                text = given_part(path.read_text(encoding="utf-8"), _used(chapter, notebook))
            other = Path(folder, path.name)
            other.write_text(text, encoding="utf-8")
            replaced[path] = other
        yield replaced


def _used(chapter: int, notebook: NotebookNode) -> set[str]:
    module = f"course.practice.chapter{chapter:02d}"
    names = {each.call.__name__ for each in exercises_of(chapter) if each.call.__module__ == module}
    for cell in notebook.cells:
        if cell.cell_type == "code" and module in cell.source:
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.ImportFrom) and node.module == module:
                    names |= {alias.name for alias in node.names}
    return names


def grade(
    notebook: NotebookNode,
    replaced: dict[Path, Path],
    *,
    shut_in: bool = True,
    total: float = TOTAL_LIMIT,
    cell_limit: float = CELL_LIMIT,
    progress: Callable[[str], None] | None = None,
) -> Graded:
    """Run a notebook's cells in order and judge the answer at each check; the checks themselves are not run.

    A cell that hangs, or ends its process, is left out and the others are run again: it costs its own points only.

    Parameters
    ----------
    notebook : NotebookNode
        Its checks are those of the notebook that was handed out (:func:`course.classroom.submissions.rebuild`).
    replaced : dict
        From `without_judges`.
    shut_in : bool
        False runs it with the grader's own rights.
    total, cell_limit : float
        Seconds for the notebook, and for a cell.
    progress : callable
        Called with a few words.

    Raises
    ------
    ConfinementError
        Processes cannot be shut in on this machine.
    """
    began = time.monotonic()
    graded = Graded(nbformat.from_dict(notebook))
    outputs: dict[int, list[NotebookNode]] = {}
    left_out: set[int] = set()
    checks = {k: name for k, cell in enumerate(notebook.cells) if (name := exercise_of(cell))}
    while len(graded.results) < len(checks):
        with Session(replaced, shut_in=shut_in) as session:
            for k, cell in enumerate(notebook.cells):
                left = total - (time.monotonic() - began)
                if cell.cell_type != "code" or k in left_out or len(graded.results) == len(checks):
                    continue
                if k in checks:
                    if checks[k] in graded.results:
                        continue
                    if progress is not None:
                        progress(f"{checks[k]}")
                    result = _judge(find(checks[k]), cell, session, left)
                    graded.results[checks[k]] = result
                    outputs[k] = _judgement(result)
                    if session.stopped:
                        graded.stopped.append(f"{checks[k]}: {dict(result.says).get('came out', 'stopped')}")
                        break
                    continue
                try:
                    limit = max(0.01, min(cell_limit, left))
                    outputs[k] = _shown(session.cell(cell.source, f"<cell {k}>", limit), k)
                except StoppedError as stopped:
                    why = _WHY[stopped.why].format(limit=limit)
                    graded.stopped.append(f"cell {k}: {why}")
                    outputs[k] = [_error("Stopped", why)]
                    left_out.add(k)
                    break
    for k, cell in enumerate(graded.notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = outputs.get(k, []), None
    graded.seconds = time.monotonic() - began
    return graded


_WHY = {
    "timeout": "it did not end within {limit:.3g} s",
    "memory": "it took more memory than it may",
    "died": "it ended its Python process",
    "unreadable": "it disturbed the grader's channel",
}


def _judge(exercise: Exercise, cell: NotebookNode, session: Session, left: float) -> CheckResult:
    """Judge the answer that the process holds; whatever it does, there is a judgement."""
    result = CheckResult(exercise.id, False, 0.0, float(exercise.points))
    if left <= 0:
        result.says.append(("came out", "nothing: the time for the whole notebook was over"))
        return result
    name = answer_name(cell.source)
    try:
        given = session.take(name, min(exercise.limit, left))
        if "undefined" in given:
            result.says.append(("came out", f"nothing: no cell that ran to its end defines {name}"))
            return result
        if "raised" in given:
            result.says.append(("came out", raised_text(given["raised"], "")))
            return result
        if "too_large" in given:
            result.says.append(("came out", f"a {str(given['too_large'])[:60]} that is far too large"))
            return result
        answer: Any = given.get("value", ...)
        if "name" in given:
            answer = FunctionElsewhere(str(given["name"])[:60], str(given.get("filename", ""))[:200])
            if not exercise.is_function and exercise.grader is None:
                answer = Opaque("function")
        return judge(exercise, answer, session.run)
    except (StoppedError, KeyError, TypeError) as error:
        why = error.why if isinstance(error, StoppedError) else "unreadable"
        session.stopped = True
        result.says.append(("came out", f"nothing: {_WHY[why].format(limit=exercise.limit)}"))
        return result


def _judgement(result: CheckResult) -> list[NotebookNode]:
    """Return a check's outputs: the judgement, and the points, which nbgrader takes as the grade."""
    shown = nbformat.v4.new_output("display_data", {"text/plain": repr(result), "text/html": result._repr_html_()})
    points = nbformat.v4.new_output("execute_result", {"text/plain": repr(float(result.points))}, execution_count=None)
    return [shown, points]


def _shown(reply: dict[str, Any], k: int) -> list[NotebookNode]:
    """Return what a cell printed, and its error."""
    found = []
    if text := str(reply.get("printed", "")):
        found.append(nbformat.v4.new_output("stream", name="stdout", text=text + ("…" * bool(reply.get("dropped")))))
    if "raised" in reply:
        error = reply["raised"]
        found.append(_error(str(error["type"])[:100], str(error["message"])[:300]))
    return found


def _error(kind: str, message: str) -> NotebookNode:
    return nbformat.v4.new_output("error", ename=kind, evalue=message, traceback=[f"{kind}: {message}"])
