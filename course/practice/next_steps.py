"""``what_next``: one to three things to do now, each with its reason and its minutes."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime

from course.practice import journal
from course.practice.cards import cards, day_of, today
from course.practice.exercises import Exercise, exercises_of, remembered
from course.practice.pages import chapter_of, exercise_page, link, page
from course.practice.reviewing import select
from course.syllabus import Chapter, chapters

PASSED_SHARE = 0.6
"""Of its points, with which a chapter is passed. Our choice: enough to go on, and not all."""
MOST = 3
PLAYBOOK = 23


@dataclass(frozen=True)
class Step:
    """Something to do now.

    Attributes
    ----------
    kind : str
        ``review``, ``begun``, ``go on``, ``chapter``, ``rest`` or ``own``.
    what : str
        What to do.
    reason : str
    minutes : int
    file : str
        The notebook to open, from the learner's folder; empty for the review.
    """

    kind: str
    what: str
    reason: str
    minutes: int
    file: str = ""

    def __str__(self) -> str:
        where = f" ({self.file})" if self.file else ""
        return f"{self.what}, {self.minutes} min{where}: {self.reason}"


@dataclass(frozen=True)
class NextSteps:
    """One to three things to do now, the first one first."""

    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        return "\n".join(["What next:", *(f"  {k}. {step}" for k, step in enumerate(self.steps, start=1))])

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li>{link(step.file, step.what)}, {step.minutes} min: {html.escape(step.reason)}</li>"
            for step in self.steps
        )
        return f"<div><b>What next?</b><ol>{items}</ol></div>"


class Results:
    """What the learner did so far, exercise by exercise and chapter by chapter.

    Attributes
    ----------
    solved : set of str
        Exercises that have passed once.
    tries : dict of str to int
        How often each of the others was answered.
    hints : dict of str to int
    last : dict of str to datetime
        When each exercise was last answered.
    predictions : dict of int to set of str
        By chapter.
    touched : dict of int to datetime
        When something was last done for a chapter.
    """

    def __init__(self) -> None:
        self.solved: set[str] = set()
        self.tries: dict[str, int] = {}
        self.hints: dict[str, int] = {}
        self.last: dict[str, datetime] = {}
        self.predictions: dict[int, set[str]] = {}
        self.touched: dict[int, datetime] = {}
        for when, entry in journal.history():
            self._add(entry, when)
        for name in self.solved:
            self.tries.pop(name, None)

    def _add(self, entry: dict, when: datetime) -> None:
        event, name = entry.get("event"), entry["name"]
        if event == "predict" and name[:2].isdecimal():
            self.predictions.setdefault(int(name[:2]), set()).add(name)
            self.touched[int(name[:2])] = when
        if event not in ("check", "hint") or entry.get("empty") is True:
            return
        exercise = remembered(name, entry.get("title"))
        if exercise is None:
            return
        self.touched[exercise.chapter] = when
        if event == "hint":
            self.hints[exercise.id] = self.hints.get(exercise.id, 0) + 1
            return
        self.last[exercise.id] = when
        self.tries[exercise.id] = self.tries.get(exercise.id, 0) + 1
        if entry.get("passed") is True:
            self.solved.add(exercise.id)

    def unsolved(self, chapter: int) -> list[Exercise]:
        """Return the exercises of a chapter that have not passed."""
        return [each for each in exercises_of(chapter) if each.id not in self.solved]

    def passed(self, chapter: int) -> bool:
        """Whether a chapter is passed, with `PASSED_SHARE` of its points."""
        exercises = exercises_of(chapter)
        if not exercises:  # the welcome page: who did anything was there
            return bool(self.touched)
        reached = sum(each.points for each in exercises if each.id in self.solved)
        return reached >= PASSED_SHARE * sum(each.points for each in exercises)


def what_next() -> NextSteps:
    """Return one to three things to do now, each with the reason.

    In this order: a review that is due; the exercise that was begun last and is not passed; the next exercise of the
    chapter that one is in; else a chapter whose prerequisites are passed; what was left out; a program of one's own.

    Returns
    -------
    NextSteps

    Examples
    --------
    >>> 1 <= len(what_next().steps) <= 3
    True

    Notes
    -----
    Shown in chapter 00, and by ``course next``. A chapter is passed with 60 % of its points. It forbids nothing: any
    chapter may be read at any time.
    """
    results = Results()
    steps = [_review(), _begun(results), _go_on(results) or _chapter(results), _rest(results)]
    found = [step for step in steps if step is not None][:MOST]
    return NextSteps(tuple(found) or (_own(),))


def _review() -> Step | None:
    """Return the review, if something is due."""
    day, box = today(), cards()
    due = [card.place.due for card in box if card.place.due is not None and card.place.is_due(day)]
    if not due:
        return None
    since = "today" if min(due) == day else f"since {min(due):%Y-%m-%d}"
    reason = f"{len(due)} {'is' if len(due) == 1 else 'are'} due {since}"
    reason += "; in a notebook: from course import review, then review()"
    return Step("review", "Review what was wrong: course review", reason, select(box, day).minutes)


def _begun(results: Results) -> Step | None:
    """Return the exercise that was begun last, and is not passed."""
    begun = [each for chapter in {int(name[:2]) for name in results.tries} for each in results.unsolved(chapter)]
    begun = [each for each in begun if each.id in results.tries]
    if not begun:
        return None
    exercise = max(begun, key=lambda each: (results.last[each.id], each.id))
    tries, hints = results.tries[exercise.id], 3 - results.hints.get(exercise.id, 0)
    day, answers = day_of(results.last[exercise.id]), f"{tries} answer{'s' if tries > 1 else ''}"
    reason = f"begun, not passed; {answers} so far, the last on {day:%Y-%m-%d}"
    reason += f'; hint("{exercise.id}") has {hints} more for you' if hints > 0 else ""
    return _exercise_step("begun", exercise, reason)


def _go_on(results: Results) -> Step | None:
    """Return the next exercise of the chapter that the learner was in last, and has not passed."""
    open_chapters = [chapter for chapter in results.touched if not results.passed(chapter)]
    for chapter in sorted(open_chapters, key=lambda each: results.touched[each], reverse=True):
        fresh = [each for each in results.unsolved(chapter) if each.id not in results.tries]
        if fresh:
            count, left = len(exercises_of(chapter)), len(results.unsolved(chapter))
            reason = f"you are in chapter {chapter:02d}; exercises solved so far: {count - left} of {count}"
            if len(fresh) == count:
                reason = f"you are in chapter {chapter:02d} ({page(chapter)}); when you have read it, its exercises"
            return _exercise_step("go on", fresh[0], reason)
    return None


def _chapter(results: Results) -> Step | None:
    """Return the first chapter that is not begun and whose prerequisites are passed."""
    for chapter in chapters():
        begun = chapter.number in results.touched or results.passed(chapter.number)
        if begun or not _is_course(chapter) or not all(map(results.passed, chapter.prerequisites)):
            continue
        before = ", ".join(f"{number:02d}" for number in chapter.prerequisites)
        reason = f"you have passed what it builds on ({before})" if before else "the course begins here"
        what = f"Read {chapter.number:02d} · {chapter.title}"
        return Step("chapter", what, f"{reason}. {chapter.question}", chapter.reading_minutes, chapter.file)
    return None


def _rest(results: Results) -> Step | None:
    """Return an exercise that was left out in a chapter that is passed."""
    for chapter in chapters():
        fresh = [each for each in results.unsolved(chapter.number) if each.id not in results.tries]
        if fresh and results.passed(chapter.number):
            return _exercise_step("rest", fresh[0], f"chapter {chapter.number:02d} is passed; this one was left out")
    return None


def _own() -> Step:
    """Return what to do when all is done."""
    playbook = chapter_of(PLAYBOOK)
    file = playbook.file if playbook else ""
    reason = "all is solved, and nothing is due; record it, diagnose it, predict a change, make it"
    return Step("own", "Tune a program of your own", reason, 60, file)


def _exercise_step(kind: str, exercise: Exercise, reason: str) -> Step:
    what = f"Solve {exercise.id} · {exercise.title}"
    return Step(kind, what, reason, exercise.minutes, exercise_page(exercise.chapter))


def _is_course(chapter: Chapter) -> bool:
    """Whether a chapter is there to be read: the appendix is looked up."""
    return chapter.written and chapter.reading_minutes > 0
