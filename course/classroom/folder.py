"""The folder of a class: nbgrader's, with its grade book; and the steps from handing out to giving back."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course.classroom import submissions
from course.classroom.confinement import missing
from course.practice.exercises import exercises_of
from course.syllabus import chapters

NOTES = "notes.txt"
STEPS = (
    "course.classroom.nbgrader_steps.ConfinedExecute",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
)
"""How nbgrader grades here: its own steps, but for the first one."""

_LATE = "course.classroom.nbgrader_steps.LateByTheDay"
_SETTINGS = f'''"""nbgrader's settings in this folder, so that its own commands, too, run students' code shut in."""

c = get_config()
c.Autograde.autograde_preprocessors = {list(STEPS)!r}
c.AssignLatePenalties.plugin_class = {_LATE!r}
# The share of the points that each day costs that has begun after the hour of handing in:
# c.LateByTheDay.share = 0.1
'''
_STAMP = "%Y-%m-%d %H:%M:%S UTC"


class ClassError(RuntimeError):
    """A step cannot be done; the message says why, and what to do."""


@dataclass
class Student:
    """A student's points for one chapter.

    Attributes
    ----------
    name : str
    points : dict of str to float
        By exercise; empty if nothing was graded.
    penalty : float
        Points that are taken off because it came late.
    late : float
        Hours.
    notes : str
        What was odd.
    """

    name: str
    points: dict[str, float] = field(default_factory=dict)
    penalty: float = 0.0
    late: float = 0.0
    notes: str = ""

    @property
    def total(self) -> float:
        """The points less the penalty."""
        return sum(self.points.values()) - self.penalty


class ClassFolder:
    """The folder of a class.

    Parameters
    ----------
    path : Path
        Is made when something is handed out first. In it are nbgrader's folders ``source``, ``release``, ``submitted``,
        ``autograded`` and ``feedback``, and its grade book, ``gradebook.db``: nbgrader's own commands work in it, too.
    solutions : Path
        The teacher's notebooks.
    """

    def __init__(self, path: Path, solutions: Path) -> None:
        self.path, self.solutions = path.resolve(), solutions

    # ---- nbgrader

    def _api(self, **settings: Any) -> Any:
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config

        config = Config()
        config.CourseDirectory.root = str(self.path)
        config.merge(Config(settings))
        with self._gradebook():  # makes it, if it is not there yet
            return NbGraderAPI(config=config)

    @contextlib.contextmanager
    def _gradebook(self) -> Iterator[Any]:
        from nbgrader.api import Gradebook

        # A new grade book asks the program `alembic` for its version, which stands beside this Python.
        before = os.environ.get("PATH", "")
        os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), before])
        try:
            book = Gradebook(f"sqlite:///{self.path / 'gradebook.db'}")
        finally:
            os.environ["PATH"] = before
        with book:
            yield book

    def assignment(self, chapter: int) -> str:
        """Return the name of a chapter's exercises, as in ``"12-queueing"``.

        Raises
        ------
        ClassError
            The chapter has none.
        """
        for each in chapters():
            if each.number == chapter and exercises_of(chapter):
                return Path(each.file).stem
        raise ClassError(f"chapter {chapter:02d} has no exercises")

    # ---- the steps

    def release(self, chapter: int, due: datetime | None = None) -> Path:
        """Make the notebook to hand out, and note its points in the grade book; return its path.

        Raises
        ------
        ClassError
            There is no solution to make it from, or nbgrader refuses it.
        """
        from course.notebook import STUB, source_notebook

        name = self.assignment(chapter)
        solution = self.solutions / name / f"{name}.ipynb"
        if not solution.exists():
            raise ClassError(
                f"there is no solution {solution}; the teacher's notebooks come with the project's checkout"
            )
        source = self.path / "source" / name
        source.mkdir(parents=True, exist_ok=True)
        settings = self.path / "nbgrader_config.py"
        if not settings.exists():
            settings.write_text(_SETTINGS, encoding="utf-8")
        nbformat.write(source_notebook(nbformat.read(solution, as_version=4)), source / solution.name)
        done = self._api(ClearSolutions={"code_stub": {"python": STUB}}).generate_assignment(name)
        if not done["success"]:
            raise ClassError(f"nbgrader did not make {name}: {_last_words(done)}")
        if due is not None:
            with self._gradebook() as book:
                book.update_or_create_assignment(name, duedate=due.strftime("%Y-%m-%d %H:%M:%S %Z"))
        return self.path / "release" / name / solution.name

    def collect(self, chapter: int, folder: Path) -> list[tuple[submissions.Handed, str]]:
        """Take in what a folder holds; return each file with what is odd about it, or with an empty text.

        A file that cannot be read is taken in as one without answers. Of several files of a student the newest counts.

        Raises
        ------
        ClassError
            The chapter was not handed out, or the folder holds nothing.
        """
        name = self.assignment(chapter)
        handed_out = self._handed_out(name)
        found = sorted(submissions.handed_in(folder, name), key=lambda each: each.time)
        if not found:
            raise ClassError(f"{folder} holds no notebook (.ipynb)")
        newest = {each.student: each.path for each in found}
        said = []
        for each in found:
            if not each.student:
                said.append(
                    (each, f"left out: whose is it? Name it like ada-{name}.ipynb, or put it into a folder ada")
                )
            elif newest[each.student] != each.path:
                said.append((each, f"left out: {newest[each.student].name} is newer"))
            else:
                said.append((each, self._take_in(each, chapter, name, handed_out)))
        return said

    def _take_in(self, handed: submissions.Handed, chapter: int, name: str, handed_out: NotebookNode) -> str:
        note, notebook = "", None
        try:
            notebook = submissions.read(handed.path)
            if (found := submissions.chapter_of(notebook)) != chapter:
                other = f"those of chapter {found:02d}" if found else "none"
                note, notebook = f"it holds no exercises of chapter {chapter:02d}, but {other}", None
        except submissions.DamagedError as error:
            note = str(error)
        place = self.path / "submitted" / handed.student / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        nbformat.write(submissions.rebuild(handed_out, notebook), place / f"{name}.ipynb")
        (place / "timestamp.txt").write_text(handed.time.strftime(_STAMP), encoding="utf-8")
        (place / NOTES).write_text(f"{note}\n" if note else "", encoding="utf-8")
        # What came, as it came: only this is the student's own.
        shutil.copyfile(handed.path, place / "as-handed-in.txt")
        return f"no answers: {note}" if note else ""

    def _handed_out(self, name: str) -> NotebookNode:
        path = self.path / "release" / name / f"{name}.ipynb"
        if not path.exists():
            raise ClassError(f"{name} was not handed out yet: course assignment release {name[:2]}")
        return nbformat.read(path, as_version=4)

    def students(self, chapter: int) -> list[str]:
        """Return who handed in a chapter's exercises."""
        name = self.assignment(chapter)
        return sorted(path.parent.name for path in (self.path / "submitted").glob(f"*/{name}"))

    def grade(
        self,
        chapter: int,
        student: str,
        *,
        late: float = 0.0,
        shut_in: bool = True,
        limits: Mapping[str, float] | None = None,
    ) -> Student:
        """Grade what a student handed in, and return the points.

        Parameters
        ----------
        chapter : int
        student : str
        late : float
            The share of the points that each day costs that has begun after the hour of handing in.
        shut_in : bool
            False runs the student's code with your own rights.
        limits : mapping
            ``total`` and ``cell_limit`` of :func:`course.classroom.grading.grade`.

        Raises
        ------
        ClassError
            It cannot be graded here.
        """
        from course.classroom.nbgrader_steps import ConfinedExecute, LateByTheDay

        if shut_in and (problem := missing()):
            raise ClassError(
                f"students' code must be shut in while it runs: {problem}. (--trust runs it with your own rights: it"
                " could read the solutions, change points, delete your files.)"
            )
        name = self.assignment(chapter)
        ConfinedExecute.given = {"shut_in": shut_in, **(limits or {})}
        api = self._api(
            Autograde={"autograde_preprocessors": list(STEPS)},
            AssignLatePenalties={"plugin_class": LateByTheDay},
            LateByTheDay={"share": late},
        )
        with _quiet():
            done = api.autograde(name, student)
        if not done["success"]:
            raise ClassError(f"{student}: nbgrader did not grade {name}: {_last_words(done)}")
        with self._gradebook() as book:
            return self._student(book, name, student)

    def is_graded(self, chapter: int, student: str) -> bool:
        """Whether what a student handed in last was graded."""
        name = self.assignment(chapter)
        graded = self.path / "autograded" / student / name / f"{name}.ipynb"
        handed = self.path / "submitted" / student / name / f"{name}.ipynb"
        return graded.exists() and graded.stat().st_mtime >= handed.stat().st_mtime

    def feedback(self, chapter: int, student: str) -> Path:
        """Make the page for a student: the notebook with its judgements and points; return its path.

        Raises
        ------
        ClassError
            Nothing was graded.
        """
        name = self.assignment(chapter)
        with _quiet():
            done = self._api().generate_feedback(name, student)
        page = self.path / "feedback" / student / name / f"{name}.html"
        if not done["success"] or not page.exists():
            raise ClassError(f"{student}: there is no feedback on {name}; was it graded? {_last_words(done)}")
        return page

    def report(self, chapter: int) -> list[Student]:
        """Return the points of all students that handed in, and of those who are in the grade book only."""
        name = self.assignment(chapter)
        with self._gradebook() as book:
            known = {student.id for student in book.students} | set(self.students(chapter))
            return [self._student(book, name, each) for each in sorted(known)]

    def _student(self, book: Any, name: str, who: str) -> Student:
        """Return a student's points for the exercises of a name."""
        from nbgrader.api import MissingEntry

        student = Student(who)
        notes = self.path / "submitted" / who / name / NOTES
        if not notes.exists():
            student.notes = "nothing handed in"
            return student
        student.notes = "; ".join(notes.read_text(encoding="utf-8").split("\n")).strip("; ")
        with contextlib.suppress(MissingEntry):
            submission = book.find_submission(name, who)
            student.late = submission.total_seconds_late / 3600
            for notebook in submission.notebooks:
                student.penalty += float(notebook.late_submission_penalty or 0.0)
                for grade in notebook.grades:
                    exercise = ".".join(grade.name.split("-")[1:3])
                    student.points[exercise] = float(grade.score or 0.0)
        return student


def report_csv(students: list[Student], chapter: int) -> str:
    """Return the points as a table: one row a student, one column an exercise."""
    names = [exercise.id for exercise in exercises_of(chapter)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["student", *names, "penalty", "total", "late_hours", "notes"])
    for each in students:
        points = [f"{each.points[name]:g}" if name in each.points else "" for name in names]
        table.writerow([each.name, *points, f"{each.penalty:g}", f"{each.total:g}", f"{each.late:.1f}", each.notes])
    return text.getvalue()


def days_late(seconds: float) -> int:
    """Return how many days have begun since the hour of handing in.

    Examples
    --------
    >>> days_late(0), days_late(60), days_late(86_400), days_late(86_401)
    (0, 1, 1, 2)
    """
    return max(0, math.ceil(seconds / 86_400))


def _last_words(done: dict[str, Any]) -> str:
    """Return the error among what nbgrader said."""
    lines = [line.strip() for key in ("error", "log") for line in str(done.get(key) or "").splitlines()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line) and "Please see the" not in line]
    return (errors or lines or ["it does not say why"])[-1][:400]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the teacher's screen what nbgrader logs, and what SQLAlchemy says of the order of its rows."""
    import logging
    import warnings

    from sqlalchemy.exc import SAWarning

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            yield
    finally:
        logging.disable(before)
