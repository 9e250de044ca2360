"""The cards of the review: what was wrong once, and when it is to be asked again. All of it is read from the journal.

A prediction that did not come out lies in the box from then on, with its question and its outcome as the journal knows
them. So does an exercise that was answered wrong; one whose answer is a function, once it has been solved (until then
it is not forgotten, but unfinished). A cell that is run as it came is no answer. A function takes as long to write as
all the questions of a review together, and is asked for less often (`LONG`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from course.practice import journal, leitner
from course.practice.exercises import Exercise, remembered
from course.practice.leitner import Place
from course.practice.pages import chapter_of, exercise_page, page
from course.practice.predictions import prediction_name

NIGHT = timedelta(hours=4)
"""After midnight it is still the day before: what was wrong at 23:59 is not due a minute later."""
LONG = 2
"""By how many compartments an exercise moves whose answer is code."""


@dataclass(frozen=True)
class Asked:
    """A prediction as the journal knows it: the question, and what came out.

    Attributes
    ----------
    name, question : str
    choices : tuple of str
        Empty when the answer is a number.
    unit : str
    value : str or float
        What came out.
    tolerance : float
        Relative difference up to which a number is right.
    reason : str
    """

    name: str
    question: str
    choices: tuple[str, ...]
    unit: str
    value: str | float
    tolerance: float
    reason: str


@dataclass(frozen=True)
class Card:
    """Something to be asked again.

    Attributes
    ----------
    of : Exercise or Asked
    place : Place
        Where it lies in the box, and when it is due.
    opened : bool
        A review has set this exercise, and it has not been checked since.
    solved : bool
        This exercise has passed once.
    """

    of: Exercise | Asked
    place: Place
    opened: bool = False
    solved: bool = False

    @property
    def name(self) -> str:
        """The exercise or prediction, as in ``"12.3"`` or ``"12.P1"``."""
        return self.of.id if isinstance(self.of, Exercise) else self.of.name

    @property
    def title(self) -> str:
        """A few words."""
        if isinstance(self.of, Exercise):
            return self.of.title
        chapter = chapter_of(self.chapter)
        return f"a prediction in “{chapter.title}”" if chapter else "a prediction"

    @property
    def chapter(self) -> int:
        """The number of its chapter."""
        return int(self.name[:2])

    @property
    def minutes(self) -> int:
        """How long it takes."""
        return self.of.minutes if isinstance(self.of, Exercise) else 1

    @property
    def file(self) -> str:
        """The notebook that it is from, from the learner's folder."""
        return exercise_page(self.chapter) if isinstance(self.of, Exercise) else page(self.chapter)


def day_of(moment: datetime) -> date:
    """Return the day of a moment where the learner is; it begins at four in the morning.

    Examples
    --------
    >>> day_of(datetime(2027, 3, 2, 1, 30).astimezone())
    datetime.date(2027, 3, 1)
    """
    return (moment.astimezone() - NIGHT).date()


def today() -> date:
    """Return the learner's day."""
    return day_of(journal.now())


def takes_words(exercise: Exercise) -> bool:
    """Whether the answer is a choice or a number, which can be typed, and not a function or a table.

    Examples
    --------
    >>> takes_words(remembered("05.1")), takes_words(remembered("05.3"))
    (True, False)
    """
    if exercise.is_function or exercise.grader is not None or exercise.value is None:
        return False
    return exercise.choices is not None or isinstance(exercise.right_value(), int | float)


def cards() -> list[Card]:
    """Return all cards, in the order of their names.

    Examples
    --------
    >>> isinstance(cards(), list)
    True
    """
    box = _Box()
    for when, entry in journal.history():
        box.add(entry, day_of(when))
    return box.cards()


def due() -> list[Card]:
    """Return the cards that are to be asked today.

    Examples
    --------
    >>> due()
    []
    """
    day = today()
    return [card for card in cards() if card.place.is_due(day)]


class _Box:
    """What the events so far make of the box."""

    def __init__(self) -> None:
        self.exercises: dict[str, Exercise] = {}
        self.predictions: dict[str, Asked] = {}
        self.places: dict[str, Place] = {}
        self.solved: set[str] = set()
        self.opened: set[str] = set()

    def add(self, entry: dict[str, Any], day: date) -> None:
        event = entry.get("event")
        if event == "outcome":
            self._outcome(entry, day)
        elif event == "review" and "question" in entry:
            asked = self.predictions.get(entry["name"])
            if asked is not None and asked.question == entry["question"]:
                self._answered(asked.name, entry.get("right"), day)
        elif event in ("check", "review"):
            exercise = remembered(entry["name"], entry.get("title"))
            if exercise is not None:
                self.exercises[exercise.id] = exercise
                (self._check if event == "check" else self._review)(exercise.id, entry, day)

    def _outcome(self, entry: dict[str, Any], day: date) -> None:
        asked = _asked(entry)
        if asked is None:
            return
        before = self.predictions.get(asked.name)
        if before is not None and before.question != asked.question:
            self.places.pop(asked.name, None)  # another question under the same name
        self.predictions[asked.name] = asked
        if entry.get("right") is False and asked.name not in self.places:
            self.places[asked.name] = leitner.wrong(day)

    def _check(self, name: str, entry: dict[str, Any], day: date) -> None:
        if entry.get("empty") is True:
            return
        if entry.get("passed") is True:
            self.solved.add(name)
            if name in self.opened and name in self.places:
                step = 1 if takes_words(self.exercises[name]) else LONG
                self.places[name] = leitner.right(self.places[name], day, step)
        else:
            self.places[name] = leitner.wrong(day)
        self.opened.discard(name)

    def _review(self, name: str, entry: dict[str, Any], day: date) -> None:
        if entry.get("opened") is True:
            self.opened.add(name)
        else:
            self._answered(name, entry.get("right"), day)

    def _answered(self, name: str, was_right: object, day: date) -> None:
        if name in self.places and isinstance(was_right, bool):
            self.places[name] = leitner.right(self.places[name], day) if was_right else leitner.wrong(day)

    def cards(self) -> list[Card]:
        found = []
        for name, place in sorted(self.places.items()):
            of = self.exercises.get(name) or self.predictions[name]
            if isinstance(of, Asked) or name in self.solved or takes_words(of):
                found.append(Card(of, place, name in self.opened, name in self.solved))
        return found


def _asked(entry: dict[str, Any]) -> Asked | None:
    """Return a prediction from its line of the journal; None when that is damaged."""
    question, choices, value = entry.get("question"), entry.get("choices"), entry.get("value")
    tolerance = entry.get("tolerance")
    try:
        name = prediction_name(entry["name"])
    except ValueError:
        return None
    texts = isinstance(choices, list) and all(isinstance(each, str) for each in choices)
    if not texts or not isinstance(question, str) or not _is_finite(tolerance):
        return None
    if value not in choices if choices else not _is_finite(value):
        return None
    unit, reason = (entry[key] if isinstance(entry.get(key), str) else "" for key in ("unit", "reason"))
    return Asked(name, question, tuple(choices), unit, value, tolerance, reason)  # type: ignore[arg-type]


def _is_finite(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False
