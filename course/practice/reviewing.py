"""``review``: asks again what was wrong, when it is due."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from course.datafiles import notebooks_folder
from course.practice import journal
from course.practice.cards import Asked, Card, cards, takes_words, today
from course.practice.checking import CheckResult, check
from course.practice.exercises import Exercise
from course.practice.pages import chapter_of, exercise_page, link, page
from course.practice.predictions import Outcome, is_right, number

FEWEST, MOST = 3, 10
"""So many questions a review may have; fewer when fewer are due."""
QUESTIONS = 5
EXERCISES = 1
"""So many exercises, besides, to be written anew: one takes as long as all the questions."""


@dataclass(frozen=True)
class Question:
    """A question of the review, whose answer is a choice or a number.

    Attributes
    ----------
    card : Card
    text : str
        The question, in Markdown.
    choices : tuple of str
        Empty when the answer is a number.
    unit : str
    """

    card: Card
    text: str
    choices: tuple[str, ...]
    unit: str

    def answer(self, typed: str) -> CheckResult | Outcome:
        """Judge what was typed or chosen, by the same check as ever, and remember it.

        Who was wrong and has solved the exercise before gets its last hint, which is nearly the solution; who has not
        solved it yet the first, which says where to look.

        Raises
        ------
        ValueError
            It is none of the choices, or no number. Nothing is remembered then.
        """
        given = self._parse(typed)
        card = self.card
        if isinstance(card.of, Exercise):
            result = check(card.name, given)
            if not result.passed:
                result.says = [said for said in result.says if said[0] != "next"]
                result.says.append(("hint", card.of.hints[-1 if card.solved else 0]))
            journal.remember("review", card.name, title=card.title, right=result.passed)
            return result
        asked = card.of
        right = is_right(given, asked.value, asked.tolerance)
        note = journal.remember("review", card.name, question=asked.question, answer=given, right=right) or ""
        return Outcome(card.name, "", given, asked.value, asked.unit, right, asked.reason, reviewed=True, note=note)

    def says(self, choice: str) -> str:
        """Return a choice with what it means, if that is said."""
        of = self.card.of
        means = of.choices.get(choice, choice) if isinstance(of, Exercise) and of.choices else choice
        return choice if means == choice else f"{choice}: {means}"

    @property
    def page(self) -> str:
        """The notebook to read again, from the learner's folder, when the answer was wrong."""
        return page(self.card.chapter)

    def _parse(self, typed: str) -> str | float:
        if not self.choices:
            return number(typed)
        plain = "".join(typed.split()).casefold()
        for choice in self.choices:
            if "".join(choice.split()).casefold() == plain:
                return choice
        letters = dict(zip("abcdefghijklmnopqrstuvwxyz", self.choices, strict=False))
        if plain not in letters:
            raise ValueError(
                f"{typed.strip()!r} is none of the choices; type a letter, a to {list(letters)[-1]}, or one whole"
            )
        return letters[plain]


def was_right(judged: CheckResult | Outcome) -> bool:
    """Whether an answer to a question of the review was right."""
    return judged.passed if isinstance(judged, CheckResult) else bool(judged.right)


@dataclass
class Review:
    """What to do again now. In a notebook it asks; elsewhere it lists.

    Attributes
    ----------
    questions : tuple of Question
        To be answered by a choice or a number.
    exercises : tuple of Card
        Exercises to be opened and written anew; their next ``check`` counts.
    later : int
        How many more are due.
    upcoming : date or None
        The next day after today on which something is due.
    """

    questions: tuple[Question, ...]
    exercises: tuple[Card, ...]
    later: int
    upcoming: date | None
    _right: list[bool] = field(default_factory=list)

    @property
    def minutes(self) -> int:
        """How long it takes."""
        return sum(each.card.minutes for each in self.questions) + sum(each.minutes for each in self.exercises)

    def head(self) -> str:
        """Say in a line what is due."""
        if not self.questions and not self.exercises:
            when = f" The next is due on {self.upcoming:%Y-%m-%d}." if self.upcoming else ""
            return f"Nothing is due for review.{when}"
        asked, opened = _count(len(self.questions), "question"), _count(len(self.exercises), "exercise")
        what = " and ".join(each for each in (asked, f"{opened} to write anew" if opened else "") if each)
        later = f"; {self.later} more due" if self.later else ""
        return f"Review: {what}, {self.minutes} min{later}."

    def exercise_lines(self) -> list[str]:
        """Return what is to be opened, a line each."""
        return [f"{each.name} · {each.title} · {each.minutes} min: {each.file}" for each in self.exercises]

    def __repr__(self) -> str:
        lines = [self.head()]
        lines += [f"  {each.card.name} · {each.card.title} · {each.card.minutes} min" for each in self.questions]
        lines += [f"  write anew: {line}" for line in self.exercise_lines()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li>{html.escape(f'{each.card.name} · {each.card.title} · {each.card.minutes} min')}</li>"
            for each in self.questions
        )
        return f"<div><b>{html.escape(self.head())}</b><ul>{items}</ul>{self._exercises_html()}</div>"

    def _exercises_html(self) -> str:
        if not self.exercises:
            return ""
        items = "".join(
            f"<li>{link(each.file, f'{each.name} · {each.title}')} · {each.minutes} min</li>" for each in self.exercises
        )
        return f"<div>{html.escape(WRITE_ANEW)}<ul>{items}</ul></div>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        view = (self.widget()._repr_mimebundle_() or {}) if self.questions else {}
        return {**view, "text/html": self._repr_html_(), "text/plain": repr(self)}

    def widget(self) -> Any:
        """Return the widget: one question after the other, each judged at once; then the exercises to open."""
        import ipywidgets as w

        head = w.HTML(f"<b>{html.escape(self.head())}</b> {html.escape(FROM_MEMORY)}")
        text, entry, verdict, end = w.Output(), w.VBox(), w.Output(), w.HTML()
        # The same two buttons for all questions: a new one would not have the focus, and the keyboard would be lost.
        give, skip = w.Button(layout=w.Layout(width="auto")), w.Button(description="Later", tooltip="It stays due")
        buttons = w.HBox([give, skip])
        waiting = iter(enumerate(self.questions, start=1))
        question: Question | None = None
        answered = False

        def ask(_: Any = None) -> None:
            nonlocal question, answered
            verdict.outputs = ()
            k, question = next(waiting, (0, None))
            if question is None:
                text.outputs, entry.children, buttons.children = (), (), ()
                end.value = f"<b>{html.escape(self.summary())}</b>{self._exercises_html()}"
                return
            text.outputs = (_shown(f"**{k} of {len(self.questions)}** · {question.text}"),)
            entry.children = (_field(question),)
            give.description, skip.disabled, answered = "That is my answer", False, False

        def go_on(_: Any) -> None:
            nonlocal answered
            if answered or question is None:
                ask()
                return
            field = entry.children[0]
            try:
                judged = question.answer(field.value or "")
            except ValueError as error:
                verdict.outputs = (_shown(f"*{error}*" if field.value else "*Give an answer first.*"),)
                return
            self.note(judged)
            verdict.outputs = (_shown(repr(judged), judged._repr_html_() + _read_again(question, judged)),)
            field.disabled = skip.disabled = answered = True
            give.description = "Go on"

        give.on_click(go_on)
        skip.on_click(ask)
        ask()
        return w.VBox([head, text, entry, buttons, verdict, end])

    def note(self, judged: CheckResult | Outcome) -> None:
        """Count an answer, for `summary`."""
        self._right.append(was_right(judged))

    def summary(self) -> str:
        """Say how it went, in a sentence or two."""
        if not self._right:
            return "No answer was given; all stays due."
        wrong = len(self._right) - sum(self._right)
        again = " What was wrong comes again tomorrow." if wrong else ""
        return f"{sum(self._right)} of {len(self._right)} right.{again}"


FROM_MEMORY = "Answer from memory or on paper, with the reason; the page comes after."
WRITE_ANEW = (
    "Open this and write the answer anew in an empty cell, without looking at the old one (course reset exercises/05,"
    " for chapter 05, gives the page afresh and keeps yours). The next check of it counts."
)


def review(questions: int = QUESTIONS, *, seed: int | None = None) -> Review:
    """Ask again what was wrong and is due, a few questions at a time.

    A prediction that did not come out, or an exercise that was wrong, is asked again after 1 day and then, as long as
    it is right, after 2, 4, 8 and 16 more (Leitner's box); what is wrong again begins anew. An answer in code is asked
    for after 1, 4 and 16 days. In a notebook the questions appear as widgets; ``course review`` asks in a terminal.

    Parameters
    ----------
    questions : int
        At most so many, 3 to 10. Those that were wrong last come first.
    seed : int, optional
        Decides which come first among equals, and in which order. By default another each day.

    Returns
    -------
    Review

    Raises
    ------
    ValueError
        `questions` is no whole number from 3 to 10.

    Examples
    --------
    >>> review().questions  # nothing was wrong yet
    ()
    """
    if type(questions) is not int or not FEWEST <= questions <= MOST:
        raise ValueError(f"questions is {questions!r}; it must be a whole number from {FEWEST} to {MOST}")
    found = select(cards(), today(), questions, seed)
    for card in found.exercises:
        if not card.opened:
            journal.remember("review", card.name, title=card.title, opened=True)
    return found


def select(cards: Sequence[Card], day: date, questions: int = QUESTIONS, seed: int | None = None) -> Review:
    """Return what `review` asks on a day, without remembering that anything was set.

    Examples
    --------
    >>> select([], date(2027, 3, 1)).later
    0
    """
    in_turn = _in_turn([card for card in cards if card.place.is_due(day)], day.toordinal() if seed is None else seed)
    asked: list[Question] = []
    exercises: list[Card] = []
    for card in in_turn:
        question = question_of(card)
        if question is not None and len(asked) < questions:
            asked.append(question)
        elif question is None and len(exercises) < EXERCISES:
            exercises.append(card)
    later = len(in_turn) - len(asked) - len(exercises)
    upcoming = min((card.place.due for card in cards if card.place.due and card.place.due > day), default=None)
    return Review(tuple(asked), tuple(exercises), later, upcoming)


def _in_turn(due: Sequence[Card], seed: int) -> list[Card]:
    """Return cards in the order in which they are asked: the lower compartments first, by lot within one."""
    order = sorted(due, key=lambda card: card.name)
    random.Random(seed).shuffle(order)
    return sorted(order, key=lambda card: card.place.box)


def question_of(card: Card) -> Question | None:
    """Return a card as a question; None when its exercise has to be opened: its answer or its question is code."""
    if isinstance(card.of, Asked):
        return Question(card, prediction_text(card.of), card.of.choices, card.of.unit)
    text = exercise_text(card.of) if takes_words(card.of) else None
    return None if text is None else Question(card, text, tuple(card.of.choices or ()), "")


def prediction_text(asked: Asked) -> str:
    """Return a prediction's question in Markdown, with what its page says just before it: many do not stand alone.

    Examples
    --------
    >>> asked = Asked("05.P1", "How long do four threads need?", ("less", "more"), "", "more", 0.1, "")
    >>> prediction_text(asked).splitlines()[0]
    '**05.P1 · The task-scheduling model · The problem: one more worker**'
    """
    chapter = int(asked.name[:2])
    known = chapter_of(chapter)
    heading, before = _before(asked.name, page(chapter))
    title = " · ".join(part for part in (asked.name, known.title if known else "", heading) if part)
    return "\n\n".join(part for part in (f"**{title}**", before, asked.question) if part)


@cache
def _before(prediction: str, file: str) -> tuple[str, str]:
    """Return the heading above a prediction, and the last paragraph before it; empty when the page has it not."""
    heading = paragraph = ""
    for kind, _, source in _cells(file):
        if kind == "markdown":
            heading = (re.findall(r"^##+ (.+)$", source, re.MULTILINE) or [heading])[-1]
            paragraph = source.rstrip().split("\n\n")[-1]
        elif f'predict("{prediction}"' in source:
            # Links lead from where the chapter is.
            return heading, "" if paragraph.startswith("#") else re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", paragraph)
    return "", ""


def exercise_text(exercise: Exercise) -> str | None:
    """Return what an exercise asks, in Markdown, from the page as it came; None when there is code or a figure in it.

    Examples
    --------
    >>> from course.practice.exercises import find
    >>> exercise_text(find("16.1")).splitlines()[0]
    '**16.1 · How many users are slow? · 1 point · 3 min**'
    """
    found: list[str] = []
    for kind, is_answer, source in _cells(exercise_page(exercise.chapter)):
        if source.startswith(f"### {exercise.id} "):
            source = re.sub(r"^Objective \d\d\.\d+\. ", "", source, flags=re.MULTILINE)
            found = [re.sub(r"\A### (.*)", r"**\1**", source)]
        elif found and is_answer:
            return "\n\n".join(found)
        elif found and (kind != "markdown" or "![" in source):
            return None
        elif found:
            found.append(source)
    return None


@cache
def _cells(file: str) -> tuple[tuple[str, bool, str], ...]:
    """Return the cells of a page as it came: the kind, whether it is for an answer, and the text of each."""
    import nbformat

    try:
        path = notebooks_folder() / file
        notebook = nbformat.read(path, as_version=4) if file else None
    except (OSError, ValueError):
        return ()
    if notebook is None:
        return ()
    return tuple((cell.cell_type, "solution" in cell.metadata.get("tags", []), cell.source) for cell in notebook.cells)


def _field(question: Question) -> Any:
    """Return the widget for an answer."""
    import ipywidgets as w

    if question.choices:
        return w.RadioButtons(options=list(question.choices), value=None, layout=w.Layout(width="auto"))
    return w.Text(placeholder="a number", description=question.unit and f"[{question.unit}]")


def _read_again(question: Question, judged: CheckResult | Outcome) -> str:
    """Return, as HTML, what to read again after a wrong answer."""
    if was_right(judged) or not question.page:
        return ""
    return f"<div>Read again: {link(question.page, question.page)}</div>"


def _shown(text: str, page: str | None = None) -> dict[str, Any]:
    """Return an output as a widget holds it."""
    data = {"text/plain": text, **({"text/markdown": text} if page is None else {"text/html": page})}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""
