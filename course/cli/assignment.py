"""``course assignment``: hand out exercises, collect them, grade them, give back, report."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from course.cli.errors import CommandError
from course.cli.shipped import notebooks_folder
from course.cli.warmup import compile_simulators

if TYPE_CHECKING:
    from course.classroom.folder import ClassFolder

FOLDER = "~/tuning-class"


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "assignment",
        help="for teachers: release, collect, grade, feedback, report",
        description="The exercises of a class, from handing out to giving back. All of it is kept in the folder of the "
        f"class ({FOLDER}, or $COURSE_CLASS), with nbgrader's folders and grade book.",
    )
    command.add_argument("--class", dest="folder", type=Path, metavar="FOLDER", help=f"the class's folder ({FOLDER})")
    steps = command.add_subparsers(title="steps", metavar="STEP", required=True)

    step = steps.add_parser("release", help="make the notebook to hand out")
    _chapter(step)
    step.add_argument(
        "--due",
        type=_time,
        metavar="TIME",
        help="when it must be handed in: 2027-01-15T12:00 (this machine's time zone)",
    )
    step.set_defaults(run=release)

    step = steps.add_parser("collect", help="take in the notebooks that students handed in")
    _chapter(step)
    step.add_argument(
        "inbox",
        type=Path,
        metavar="FOLDER",
        help="holds a folder for each student, or files like ada-12-queueing.ipynb",
    )
    step.set_defaults(run=collect)

    step = steps.add_parser("grade", help="run what was handed in, shut in, and judge its answers")
    _chapter(step)
    _students(step)
    step.add_argument(
        "--late", type=_share, default=0.0, metavar="SHARE", help="of the points, for each day that it is late: 0.1"
    )
    step.add_argument("--again", action="store_true", help="also what was graded already and did not change")
    step.add_argument("--trust", action="store_true", help="run students' code with your own rights, not shut in")
    step.set_defaults(run=grade)

    step = steps.add_parser("feedback", help="make a page for each student: judgements, points, what went wrong")
    _chapter(step)
    _students(step)
    step.set_defaults(run=feedback)

    step = steps.add_parser("report", help="the points of all, as a table")
    _chapter(step)
    step.add_argument("--csv", type=Path, metavar="FILE", help="write it into a file, too")
    step.set_defaults(run=report)


def _chapter(step: argparse.ArgumentParser) -> None:
    step.add_argument("chapter", type=int, metavar="CHAPTER", help="a number")


def _students(step: argparse.ArgumentParser) -> None:
    step.add_argument("students", nargs="*", metavar="STUDENT", help="(all)")


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it like 2027-01-15T12:00") from None


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write a number from 0 to 1, like 0.1")
    return value


def _folder(arguments: argparse.Namespace) -> ClassFolder:
    from course.classroom.folder import ClassError, ClassFolder

    path = arguments.folder or Path(os.environ.get("COURSE_CLASS") or FOLDER)
    folder = ClassFolder(path.expanduser(), notebooks_folder() / "solutions")
    try:
        folder.assignment(arguments.chapter)
    except ClassError as error:
        raise CommandError(str(error)) from None
    return folder


def release(arguments: argparse.Namespace) -> int:
    """Make the notebook to hand out."""
    from course.classroom.folder import ClassError

    folder = _folder(arguments)
    try:
        path = folder.release(arguments.chapter, arguments.due)
    except ClassError as error:
        raise CommandError(str(error)) from None
    print(f"Hand out {path}")
    if arguments.due:
        print(f"It is due {arguments.due.astimezone():%Y-%m-%d %H:%M %Z}.")
    return 0


def collect(arguments: argparse.Namespace) -> int:
    """Take in what was handed in; 1 if something was odd."""
    from course.classroom.folder import ClassError

    folder = _folder(arguments)
    if not arguments.inbox.is_dir():
        raise CommandError(f"{arguments.inbox} is no folder")
    try:
        found = folder.collect(arguments.chapter, arguments.inbox)
    except ClassError as error:
        raise CommandError(str(error)) from None
    for handed, note in found:
        print(f"{handed.student or '?':20} {handed.path.relative_to(arguments.inbox)}{': ' + note if note else ''}")
    odd = sum(bool(note) for _, note in found)
    print(f"{len(found)} files; {len(folder.students(arguments.chapter))} students" + (f"; {odd} odd" if odd else ""))
    return int(bool(odd))


def grade(arguments: argparse.Namespace) -> int:
    """Grade what was handed in; 1 if somebody's could not be graded."""
    from course.classroom.folder import ClassError

    folder, failed = _folder(arguments), 0
    students = _chosen(folder, arguments)
    compile_simulators()  # a student's process could not keep what it compiles
    for k, student in enumerate(students, start=1):
        if not arguments.again and folder.is_graded(arguments.chapter, student):
            print(f"{k}/{len(students)} {student}: as graded before (--again grades it anew)")
            continue
        try:
            done = folder.grade(arguments.chapter, student, late=arguments.late, shut_in=not arguments.trust)
        except ClassError as error:
            print(f"{k}/{len(students)} {student}: {error}")
            failed += 1
            continue
        late = f", {done.penalty:g} off for {done.late:.1f} h late" if done.penalty else ""
        notes = f" ({done.notes})" if done.notes else ""
        print(f"{k}/{len(students)} {student}: {done.total:g} points{late}{notes}", flush=True)
    return int(bool(failed))


def feedback(arguments: argparse.Namespace) -> int:
    """Make the pages; 1 if one could not be made."""
    from course.classroom.folder import ClassError

    folder, failed = _folder(arguments), 0
    for student in _chosen(folder, arguments):
        try:
            print(f"{student:20} {folder.feedback(arguments.chapter, student)}", flush=True)
        except ClassError as error:
            print(f"{student:20} {error}")
            failed += 1
    return int(bool(failed))


def _chosen(folder: ClassFolder, arguments: argparse.Namespace) -> list[str]:
    """Return the students that are meant."""
    known = folder.students(arguments.chapter)
    if not known:
        raise CommandError(f"nothing was collected: course assignment collect {arguments.chapter} FOLDER")
    if unknown := sorted(set(arguments.students) - set(known)):
        raise CommandError(f"{', '.join(unknown)} handed in nothing; there are {', '.join(known)}")
    return arguments.students or known


def report(arguments: argparse.Namespace) -> int:
    """Print the points of all."""
    from course.classroom.folder import report_csv

    folder = _folder(arguments)
    students = folder.report(arguments.chapter)
    if not students:
        raise CommandError("the grade book has no students yet; collect and grade first")
    width = max(len(each.name) for each in students) + 2
    print(f"{'student':{width}}{'points':>8}{'late (h)':>10}  notes")
    for each in students:
        late = f"{each.late:.1f}" if each.late else ""
        print(f"{each.name:{width}}{each.total:>8g}{late:>10}  {each.notes}".rstrip())
    if arguments.csv:
        arguments.csv.write_text(report_csv(students, arguments.chapter), encoding="utf-8", newline="\n")
        print(f"All points, exercise by exercise: {arguments.csv}")
    return 0
