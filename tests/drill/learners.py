"""Simulated learners who do what the course tells them, day after day, until all of it is solved, and on from there.

    python -m tests.drill.learners [LEARNERS]        (also: make drill)

Each begins with an empty folder and studies an hour on most days: first the review, then what ``what_next`` says. They
err and forget: an answer is remembered with probability 0.9 after as many days as its memory is stable for, 0.9² after
twice as many; that is a day at first, and twice as long after each answer that is right (our assumption). Meanwhile the
course is updated (exercises get other numbers and titles, or are gone), lines of the journal are damaged, and the clock
is set back once. The clock is simulated; journal, checks, review and advice are the course's own. How an answer in code
is judged is drawn, for each would start a process.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from course.practice import check, journal, predict, what_next
from course.practice.cards import Asked, cards, due, takes_words, today
from course.practice.exercises import Exercise, exercises_of, find, register, unregister
from course.practice.next_steps import Results, Step
from course.practice.reviewing import EXERCISES, QUESTIONS, Question, review, was_right
from course.syllabus import chapters

BEGIN = datetime(2027, 1, 4, 12, tzinfo=UTC)
PREDICTIONS = 3  # in each chapter
HOUR = 60
LEARNERS = 5
UPDATED = 5  # the chapter that an update changes


@dataclass
class Diary:
    """What a learner did, and what was wrong with the course."""

    solved_on: int | None = None  # the day by which all exercises had passed
    asked: Counter[int] = field(default_factory=Counter)
    right: int = 0
    minutes: list[int] = field(default_factory=list)
    learned: int = 0
    boxed: int = 0
    points: float = 0.0
    lines: int = 0
    slowest: float = 0.0
    broken: list[str] = field(default_factory=list)


class Learner:
    """Studies by the book, errs and forgets. Must be used inside `own_folder`."""

    def __init__(self, seed: int, *, talent: float = 0.6, presence: float = 0.8, forgets: bool = True) -> None:
        self.draw = random.Random(seed)
        self.talent, self.presence, self.forgets = talent, presence, forgets
        self.stable: dict[str, float] = {}  # days
        self.seen: dict[str, date] = {}
        self.read: set[int] = set()
        self.diary = Diary()

    def study(self, days: int, events: dict[int, Any] | None = None) -> Diary:
        """Study for so many days; on some of them, something happens first."""
        diary = self.diary
        for day in range(days):
            Clock.moment = BEGIN + timedelta(days=day)
            if events and day in events:
                events[day]()
            if self.draw.random() < self.presence and self._day() and diary.solved_on is None:
                diary.solved_on = day + 1
        box = cards()
        diary.boxed, diary.learned = len(box), sum(card.place.due is None for card in box)
        diary.lines = len(journal.events())
        results = Results()
        diary.points = sum(each.points for name in results.solved for each in [find(name)])
        return diary

    def _day(self) -> bool:
        """Study for an hour; return whether all is solved."""
        left = HOUR - self._review()
        while left > 0:
            before = time.perf_counter()
            steps = what_next().steps
            self.diary.slowest = max(self.diary.slowest, time.perf_counter() - before)
            if not 1 <= len(steps) <= 3:
                self.diary.broken.append(f"{len(steps)} steps")
            todo = [step for step in steps if step.kind != "review"]  # what the review left is for tomorrow
            if not todo or todo[0].kind == "own":
                return True
            step = todo[0] if self.draw.random() < 0.7 else self.draw.choice(todo)
            left -= max(step.minutes, 1)
            self._do(step)
        return False

    # ---- what is asked again

    def _review(self) -> int:
        day, waiting = today(), {card.name for card in due()}
        before = time.perf_counter()
        session = review()
        self.diary.slowest = max(self.diary.slowest, time.perf_counter() - before)
        if len(session.questions) > QUESTIONS or len(session.exercises) > EXERCISES:
            self.diary.broken.append(f"{len(session.questions)} questions and {len(session.exercises)} exercises")
        for card in [*(question.card for question in session.questions), *session.exercises]:
            self.diary.asked[card.place.box] += 1
            if card.name not in waiting:
                self.diary.broken.append(f"{card.name} was asked on {day}, and is due on {card.place.due}")
        for question in session.questions:
            knows = self._remembers(question.card.name, day)
            if was_right(question.answer(_typed(question, knows))) != knows:
                self.diary.broken.append(f"{question.card.name}: an answer was judged wrongly")
        for card in session.exercises:
            assert isinstance(card.of, Exercise)
            _answer_in_code(card.of, self._remembers(card.name, day))
        asked_again = {card.name for card in due()} & {question.card.name for question in session.questions}
        if asked_again:
            self.diary.broken.append(f"{asked_again} are due again on the same day")
        if session.questions or session.exercises:
            self.diary.minutes.append(session.minutes)
        return session.minutes

    def _remembers(self, name: str, day: date) -> bool:
        ago = (day - self.seen.get(name, day)).days
        stable = self.stable.get(name, 1.0)
        knows = not self.forgets or self.draw.random() < 0.9 ** (ago / stable)
        self.stable[name] = 2 * stable if knows else 1.0
        self.seen[name] = day
        self.diary.right += knows
        return knows

    # ---- what comes next

    def _do(self, step: Step) -> None:
        if step.kind == "chapter":
            self._read(next(each.number for each in chapters() if each.file == step.file))
            return
        exercise = find(step.what.split()[1])
        knows = self.draw.random() < self.talent
        self.seen[exercise.id] = today()
        if takes_words(exercise):
            check(exercise.id, _value(exercise, knows))
        else:
            _answer_in_code(exercise, knows)

    def _read(self, number: int) -> None:
        """Read a chapter: commit to its predictions, see what comes out."""
        chapter = next(each for each in chapters() if each.number == number)
        results = Results()
        if number in self.read or not all(map(results.passed, chapter.prerequisites)):
            self.diary.broken.append(f"chapter {number:02d} was advised out of turn")
        self.read.add(number)
        for k in range(1, PREDICTIONS + 1):
            name = f"{number:02d}.P{k}"
            if k == PREDICTIONS:
                predict(name, f"How many, in chapter {number}?", number=True).commit(self.draw.choice([1.0, 2.0]))
                predict.outcome(name, 2.0, reason="twice one")
            else:
                asked = predict(name, f"What happens in chapter {number}, example {k}?", choices=["more", "less"])
                asked.commit(self.draw.choice(asked.choices))
                predict.outcome(name, "less", reason="that is how it is")
            self.seen[name] = today()


def _value(exercise: Exercise, right: bool) -> Any:
    value = exercise.right_value()
    if right:
        return value
    return next(each for each in exercise.choices if each != value) if exercise.choices else 3 * value + 1


def _typed(question: Question, right: bool) -> str:
    of = question.card.of
    if isinstance(of, Asked):
        wrong: Any = next((each for each in of.choices if each != of.value), None) if of.choices else 3 * of.value + 1
        return str(of.value if right else wrong)
    return str(_value(of, right))


def _answer_in_code(exercise: Exercise, passed: bool) -> None:
    """Remember what `check` does of an answer in code."""
    points = float(exercise.points) if passed else 0.0
    journal.remember("check", exercise.id, title=exercise.title, passed=passed, points=points)


# ---- what happens to a learner


class Clock:
    """The simulated time."""

    moment = BEGIN


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give, for a time, an empty folder of the learner's, and the simulated clock."""
    Clock.moment = BEGIN
    with (
        tempfile.TemporaryDirectory(prefix="course-learner-") as folder,
        patch.dict(os.environ, COURSE_HOME=folder),
        patch.object(journal, "now", lambda: Clock.moment),
        patch.object(journal, "_unsaved", []),
    ):
        try:
            yield Path(folder)
        finally:
            unregister(UPDATED)


def update_course() -> None:
    """Bring a new version of a chapter's exercises: one is gone, one is new, one has another title, others move up."""
    first, second, *others = exercises_of(UPDATED)
    new = [replace(second, title="The same, said otherwise")]
    new += [replace(each, id=f"{UPDATED:02d}.{k}") for k, each in enumerate(others, start=4)]
    new.append(replace(first, id=f"{UPDATED:02d}.3", title="A new one", value="P||Cmax", mistakes={}))
    register(UPDATED, new)


def damage_journal() -> None:
    """Cut the last line of the journal, and write what is none."""
    path = journal.state_file(journal.FILE)
    path.write_bytes(path.read_bytes()[:-7] + b'\n{"event": "check", "name": 5}\n\xff\xfe[[[\n{"event": "che')


def set_clock_back() -> None:
    """Make the clock a month late, for a day."""
    Clock.moment -= timedelta(days=30)


EVENTS = {20: damage_journal, 40: update_course, 50: damage_journal, 60: set_clock_back}


def run(learners: int = LEARNERS, days: int = 360) -> list[dict[str, Any]]:
    """Return what became of the learners: a row for each kind, and what was wrong."""
    rows = []
    for kind, options in {
        "forget": {},
        "never forget": {"forgets": False},
        "often wrong, seldom there": {"talent": 0.35, "presence": 0.5},
    }.items():
        diaries = []
        for seed in range(learners):
            print(f"\r{kind}: {seed + 1} of {learners}".ljust(60), end="", file=sys.stderr, flush=True)
            with own_folder():
                diaries.append(Learner(seed, **options).study(days, EVENTS))
        print(file=sys.stderr)
        rows.append(_row(kind, diaries))
    return rows


def _row(kind: str, diaries: list[Diary]) -> dict[str, Any]:
    minutes = [each for diary in diaries for each in diary.minutes]
    asked = sum(sum(each.asked.values()) for each in diaries)
    solved = [each.solved_on for each in diaries if each.solved_on is not None]
    broken = sum(len(each.broken) for each in diaries)
    return {
        "learners who": kind,
        "how many": len(diaries),
        "days until all is solved": median(solved) if solved else None,
        "points": median(each.points for each in diaries),
        "asked again": asked / len(diaries),
        "right": f"{sum(each.right for each in diaries) / max(asked, 1):.0%}",
        "cards": median(each.boxed for each in diaries),
        "learned": median(each.learned for each in diaries),
        "minutes of a review": median(minutes),
        "lines in the journal": median(each.lines for each in diaries),
        "slowest call (s)": max(each.slowest for each in diaries),
        "broken": broken,
        "ok": not broken and len(solved) == len(diaries),
    }


if __name__ == "__main__":
    for row in run(*map(int, sys.argv[1:])):
        print(*(f"{key}: {value}" for key, value in row.items()), sep="; ")
