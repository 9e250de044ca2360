"""``predict``: the reader commits to an answer before the result appears; ``predict.outcome`` shows both."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course.practice import journal
from course.practice.comparing import short
from course.practice.exercises import normalise

_asked: dict[str, Prediction] = {}


class Prediction:
    """A question to which the reader commits an answer.

    Shown as a widget (radio buttons or a number field, and a button) where a kernel runs; as the
    question and its choices elsewhere.
    """

    def __init__(self, name: str, question: str, choices: tuple[str, ...], unit: str) -> None:
        self.name, self.question, self.choices, self.unit = name, question, choices, unit
        self._note = ""

    @property
    def answer(self) -> str | float | None:
        """What the reader committed to; None before."""
        given = journal.events("predict", self.name)
        value = given[-1].get("answer") if given else None
        if self.choices:
            return value if value in self.choices else None
        return float(value) if isinstance(value, int | float) else None

    def commit(self, answer: str | float) -> None:
        """Keep an answer, as the button does.

        Raises
        ------
        ValueError
            It is none of the choices, or not a finite number.
        """
        if self.choices:
            if answer not in self.choices:
                raise ValueError(f"prediction {self.name}: {answer!r} is none of {', '.join(self.choices)}")
        elif isinstance(answer, str) or not math.isfinite(answer):
            raise ValueError(f"prediction {self.name}: the answer is {answer!r}; it must be a finite number")
        self._note = journal.remember("predict", self.name, answer=answer) or ""

    def __repr__(self) -> str:
        lines = [f"Predict before you look ({self.name}): {self.question}"]
        lines += [f"  ( ) {choice}" for choice in self.choices]
        if not self.choices:
            lines.append(f"  a number{f' in {self.unit}' if self.unit else ''}: ____")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the question as a page without a kernel shows it; never the answer, which differs."""
        if self.choices:
            inside = "<ul>" + "".join(f"<li>{html.escape(each)}</li>" for each in self.choices) + "</ul>"
        else:
            inside = f"<p>A number{f' in {html.escape(self.unit)}' if self.unit else ''}.</p>"
        return (
            f"<div><b>Predict before you look.</b> {html.escape(self.question)}{inside}"
            "<i>Run this cell to answer.</i></div>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        view = self.widget()._repr_mimebundle_() or {}
        return {**view, "text/html": self._repr_html_(), "text/plain": repr(self)}

    def widget(self) -> Any:
        """Return the widget: a group of radio buttons or a number field, a button and a line of state."""
        import ipywidgets as w

        wide = w.Layout(width="auto")
        question = w.HTML(f"<b>Predict before you look.</b> {html.escape(self.question)}")
        if self.choices:
            entry: Any = w.RadioButtons(options=list(self.choices), value=None, layout=wide)
        else:
            entry = w.Text(placeholder="a number", description=self.unit and f"[{self.unit}]")
        button = w.Button(description="That is my answer", tooltip="Keep this answer", layout=wide)
        state = w.HTML()

        def freeze() -> None:
            entry.disabled = button.disabled = True
            note = f" ({html.escape(self._note)})" if self._note else " Read on: the outcome is shown beside it."
            state.value = f"Your answer is kept: <b>{html.escape(_say(self.answer, self.unit))}</b>.{note}"

        def keep(_: Any) -> None:
            if not entry.value:
                state.value = "Choose an answer first." if self.choices else "Type a number first."
                return
            try:
                self.commit(entry.value if self.choices else number(entry.value))
            except ValueError as error:
                state.value = html.escape(str(error))
                return
            freeze()

        before = self.answer
        if before is not None:
            entry.value = before if self.choices else f"{before:g}"
            freeze()
        button.on_click(keep)
        return w.VBox([question, entry, button, state])


def number(text: str) -> float:
    """Return the number that was typed, with a point or a comma, or as a fraction.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> number(" 1,5 "), number("3/2")
    (1.5, 1.5)
    """
    top, slash, bottom = text.replace(",", ".").partition("/")
    try:
        return float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text.strip()!r} is not a number; type one, as in 1.5 or 3/2") from None


def _say(answer: str | float | None, unit: str) -> str:
    if answer is None:
        return "none"
    return answer if isinstance(answer, str) else f"{short(float(answer))}{f' {unit}' if unit else ''}"


@dataclass
class Outcome:
    """What came out, beside what the reader predicted; or beside the answer to a review, which asked `reviewed`."""

    name: str
    question: str
    predicted: str | float | None
    value: str | float
    unit: str
    right: bool | None
    reason: str
    reviewed: bool = False
    note: str = ""

    def _verdict(self) -> str:
        if self.right is None:
            return "no answer was given before"
        if self.reviewed:
            return "right" if self.right else "not right: what did you assume?"
        return "as you predicted" if self.right else "not as you predicted: what did you assume?"

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("question", self.question)] if self.question else []
        lines += [
            ("you", _say(self.predicted, self.unit) if self.predicted is not None else "—"),
            ("outcome", _say(self.value, self.unit)),
            ("verdict", self._verdict()),
        ]
        lines += [("because", self.reason)] if self.reason else []
        return lines + ([("note", self.note)] if self.note else [])

    def __repr__(self) -> str:
        return "\n".join([f"Prediction {self.name}", *(f"  {a:<9} {b}" for a, b in self._lines())])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:left"><b>{html.escape(a)}</b></td>'
            f'<td style="text-align:left">{html.escape(b)}</td></tr>'
            for a, b in self._lines()
        )
        return f"<table>{rows}</table>"


class Predict:
    """Ask for a prediction: ``predict("12.P1", question, choices=…)`` or ``number=True``.

    The answer is kept in the learner's folder; :meth:`outcome` shows it beside what came out.
    """

    def __call__(
        self,
        name: str,
        question: str,
        *,
        choices: Sequence[str] | None = None,
        number: bool = False,
        unit: str = "",
    ) -> Prediction:
        """Ask.

        Parameters
        ----------
        name : str
            As in ``"12.P1"``: the chapter, and P with a number.
        question : str
            One sentence.
        choices : sequence of str
            At least two answers to choose from.
        number : bool
            Ask for a number instead.
        unit : str
            The unit of that number.

        Raises
        ------
        ValueError
            Neither or both of `choices` and `number`, a name of another form, or fewer than two choices.

        Examples
        --------
        >>> predict("12.P1", "Which waits less?", choices=["one fast server", "two slow ones"])
        Predict before you look (12.P1): Which waits less?
          ( ) one fast server
          ( ) two slow ones
        """
        name = prediction_name(name)
        options = tuple(choices or ())
        if bool(options) == number:
            raise ValueError(f"prediction {name}: give either choices=[…] or number=True")
        if options and (len(options) < 2 or len(set(options)) < len(options)):
            raise ValueError(f"prediction {name}: choices are {options}; at least two different ones are needed")
        prediction = Prediction(name, question, options, unit)
        _asked[name] = prediction
        return prediction

    def outcome(
        self, name: str, value: str | float, *, tolerance: float = 0.1, unit: str = "", reason: str = ""
    ) -> Outcome:
        """Show what came out beside what the reader predicted.

        Parameters
        ----------
        name : str
            The name of the prediction, asked before in this notebook.
        value : str or float
            What came out: one of the choices, or a number.
        tolerance : float
            Relative difference up to which a number counts as right.
        reason : str
            Why it came out so, in a sentence.

        Raises
        ------
        ValueError
            The prediction was not asked in this notebook, or the outcome is none of its choices.
        """
        name = prediction_name(name)
        asked = _asked.get(name)
        if asked is None:
            known = ", ".join(_asked) or "none"
            raise ValueError(f"prediction {name} was not asked in this notebook (asked: {known}); run its cell first")
        if asked.choices and value not in asked.choices:
            raise ValueError(f"prediction {name}: the outcome {value!r} is none of {', '.join(asked.choices)}")
        value, unit = value if isinstance(value, str) else float(value), unit or asked.unit
        given = asked.answer
        right = None if given is None else is_right(given, value, tolerance)
        if right is not None:
            _remember(name, asked, value=value, tolerance=float(tolerance), unit=unit, reason=reason, right=right)
        return Outcome(name, asked.question, given, value, unit, right, reason)

    def __repr__(self) -> str:
        return 'predict("12.P1", question, choices=[…])'


def is_right(answer: str | float, value: str | float, tolerance: float) -> bool:
    """Whether an answer is what came out: the same choice, or a number within a relative tolerance.

    Examples
    --------
    >>> is_right(1.05, 1.0, 0.1), is_right(1.2, 1.0, 0.1), is_right("never", "never", 0.1)
    (True, False, True)
    """
    if isinstance(answer, str) or isinstance(value, str):
        return answer == value
    return abs(answer - value) <= tolerance * abs(value)


def _remember(name: str, asked: Prediction, **found: Any) -> None:
    """Keep question and outcome, from which a review asks again. A chapter that is run again says nothing new."""
    entry = {"question": asked.question, "choices": list(asked.choices), **found}
    before = journal.events("outcome", name)
    # What was measured, and said of it, differs from run to run.
    same = ["question", "choices", "unit", "tolerance", "right"] + (["value"] if asked.choices else [])
    if not before or any(before[-1].get(key) != entry[key] for key in same):
        journal.remember("outcome", name, **entry)


def prediction_name(name: str) -> str:
    """Return the name of a prediction with two digits for the chapter.

    Raises
    ------
    ValueError
        It is no such name.

    Examples
    --------
    >>> prediction_name("5.P1")
    '05.P1'
    """
    name = normalise(name)
    if not re.fullmatch(r"\d\d\.P\d+", name):
        raise ValueError(f'a prediction is named as in "12.P1"; given was {name!r}')
    return name


predict = Predict()
