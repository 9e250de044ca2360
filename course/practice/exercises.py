"""What an exercise is, and where to find it.

A chapter's exercises are a list ``EXERCISES`` in ``course/practice/chapterNN.py``; the module is imported
when one of its exercises is first asked for.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

KINDS = ("predict", "derive", "code", "tune", "diagnose")


class UnknownExerciseError(LookupError):
    """There is no exercise of that name; the message names the nearest ones."""


def normalise(name: object) -> str:
    """Return the name of an exercise or objective with two digits for the chapter.

    Examples
    --------
    >>> normalise("5.3"), normalise("05.3"), normalise("12.P1")
    ('05.3', '05.3', '12.P1')

    Raises
    ------
    ValueError
        The name is not a chapter, a dot and a number.
    """
    match = re.fullmatch(r"\s*(\d{1,2})\.([A-Za-z]*\d+[a-z]?)\s*", name) if type(name) is str else None
    if match is None:
        raise ValueError('an exercise is named by its chapter and number in quotes, as in "12.3"')
    return f"{int(match[1]):02d}.{match[2]}"


@dataclass(frozen=True)
class Case:
    """Arguments that a learner's function is called with.

    Parameters
    ----------
    args : tuple
        Positional arguments.
    kwargs : mapping
        Named arguments.
    says : str
        How the case is named in a message, when its arguments are not short: "a chain of 3 tasks".
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""


def _call(answer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return answer(*args, **kwargs)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: how an answer is judged, and the hints.

    Give either `value` (the answer is a number, a choice or plain data) or `cases` (the answer is a
    function) with `expected`, `judge` or both.

    Parameters
    ----------
    id, objective : str
        As in ``"12.3"``; the objective is one of the chapter's.
    kind : str
        ``predict``, ``derive``, ``code``, ``tune`` or ``diagnose``.
    title : str
        A few words, for the table of progress.
    points, minutes : int
        What it is worth, and how long it takes.
    hints : tuple of three str
        Where to look, an outline, nearly the solution.
    behaviour : str
        What the answer has to do, in words; shown when it does not. Not the solution.
    value : object or callable
        The right answer, or a function without arguments that computes it.
    choices : mapping of str to str
        The allowed answers and what they say, when the answer is one of a few.
    cases : sequence of Case or of tuples of arguments, or a callable that makes it
        What a function is tried on.
    expected : callable
        The reference: called with the arguments of each case, in the course's own process.
    judge : callable
        ``judge(args, result)`` returns None, or a sentence that says what is wrong with the result.
        For an exercise with `value`-less plain answers (no `cases`), ``judge(answer)``.
    tolerance, absolute : float
        Relative and absolute difference that numbers may have.
    mistakes : mapping
        From what was done wrong ("you counted … twice") to the wrong function, or the wrong value.
    call : callable
        ``call(answer, *args)``: how the answer is used, when it is not called with the arguments.
        It runs beside the answer, so it may turn the result into plain data.
    pure : bool
        Whether the function must leave its arguments as they are.
    limit : float
        Seconds that all cases together may take. With the start of their process an answer is judged within 5 s.
    baseline : callable
        For ``tune``: the slow, correct function that the answer is compared with.
    timed : sequence like `cases`
        For ``tune``: what both are timed on.
    cost : callable
        For ``tune``, instead of time: ``cost(args, result)``, which is exact (a simulated makespan).
    target : float
        For ``tune``: the cost or time of the baseline divided by the answer's must reach this.
    grader : callable
        ``grader(answer, result, run)`` judges an answer all by itself (the capstone): it adds to ``result.says`` and
        may set ``result.points``, for a part of the points; ``run`` is :func:`course.practice.sandbox.run`, or works
        as it does. Then nothing of the above is needed but `behaviour`.

    Raises
    ------
    ValueError
        A parameter is missing, or does not go with the others.

    Examples
    --------
    >>> half = Exercise(
    ...     id="1.1", objective="1.1", kind="derive", title="Amdahl", points=2, minutes=5,
    ...     cases=[(2, 0.5), (8, 0.0)], expected=lambda n, s: 1 / (s + (1 - s) / n),
    ...     behaviour="the speed-up on n workers when the share s cannot be split",
    ...     mistakes={"you left out the serial part": lambda n, s: n},
    ...     hints=("the section on Amdahl", "add the times of both parts", "divide 1 by that sum"),
    ... )
    >>> half.id
    '01.1'
    """

    id: str
    objective: str
    kind: str
    title: str
    points: int
    minutes: int
    hints: tuple[str, str, str]
    behaviour: str = ""
    value: Any = None
    choices: Mapping[str, str] | None = None
    cases: Sequence[Any] | Callable[[], Sequence[Any]] = ()
    expected: Callable[..., Any] | None = None
    judge: Callable[..., str | None] | None = None
    tolerance: float = 1e-6
    absolute: float = 1e-12
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    call: Callable[..., Any] = _call
    pure: bool = True
    limit: float = 4.0
    baseline: Callable[..., Any] | None = None
    timed: Sequence[Any] | Callable[[], Sequence[Any]] = ()
    cost: Callable[..., float] | None = None
    target: float = 1.02
    grader: Callable[[Any, Any, Callable[..., Any]], None] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", normalise(self.id))
        object.__setattr__(self, "objective", normalise(self.objective))

        def demand(condition: bool, problem: str) -> None:
            if not condition:
                raise ValueError(f"exercise {self.id}: {problem}")

        demand(self.kind in KINDS, f"kind is {self.kind!r}; allowed are {', '.join(KINDS)}")
        demand(len(self.hints) == 3 and all(self.hints), "hints must be three sentences")
        demand(self.points > 0 and self.minutes > 0, "points and minutes must be positive")
        if self.grader is not None:
            demand(bool(self.behaviour), "behaviour says in words what the function has to do")
            demand(self.value is None and not self.is_function, "a grader goes with neither value nor cases")
            return
        if self.is_function:
            demand(self.expected is not None or self.judge is not None, "cases need expected or judge")
            demand(bool(self.behaviour), "behaviour says in words what the function has to do")
            demand(self.value is None and self.choices is None, "cases do not go with value or choices")
        else:
            demand(self.value is not None or self.judge is not None, "give value, or cases, or judge")
        if self.choices is not None:
            demand(callable(self.value) or self.value in self.choices, "value must be one of choices")
            demand(all(wrong in self.choices for wrong in self.mistakes.values()), "mistakes must be choices")
        if self.kind == "tune":
            demand(self.is_function and self.baseline is not None, "tune needs cases and a baseline")
            demand(bool(self.timed), "tune needs timed cases")
            demand(self.target >= 1.02, "target under 1.02: less than 2 % is no change")

    @property
    def is_function(self) -> bool:
        """Whether the answer is a function (there are cases to try it on)."""
        return callable(self.cases) or len(self.cases) > 0

    @property
    def chapter(self) -> int:
        """The number of its chapter."""
        return int(self.id[:2])

    def list_cases(self, which: str = "cases") -> list[Case]:
        """Return the cases (or the ``timed`` ones), each as a `Case`."""
        given = getattr(self, which)
        given = given() if callable(given) else given
        return [each if isinstance(each, Case) else Case(tuple(each)) for each in given]

    def right_value(self) -> Any:
        """Return the right answer of an exercise with a value."""
        return self.value() if callable(self.value) else self.value


_extra: dict[int, tuple[Exercise, ...]] = {}


def register(chapter: int, exercises: Sequence[Exercise]) -> None:
    """Put `exercises` in the place of a chapter's own (for tests, and for a teacher's own exercises).

    Raises
    ------
    ValueError
        An exercise is of another chapter, or two have the same name.
    """
    _extra[chapter] = _validated(chapter, exercises)


def unregister(chapter: int) -> None:
    """Take back what :func:`register` did."""
    _extra.pop(chapter, None)


def _validated(chapter: int, exercises: Sequence[Exercise]) -> tuple[Exercise, ...]:
    seen: set[str] = set()
    for exercise in exercises:
        if exercise.chapter != chapter:
            raise ValueError(f"exercise {exercise.id} stands among those of chapter {chapter:02d}")
        if exercise.id in seen:
            raise ValueError(f"exercise {exercise.id} stands there twice")
        seen.add(exercise.id)
    return tuple(exercises)


def chapters() -> list[int]:
    """Return the numbers of the chapters that have exercises."""
    import course.practice as package

    found = {
        int(match[1])
        for module in pkgutil.iter_modules(package.__path__)
        if (match := re.fullmatch(r"chapter(\d\d)", module.name))
    }
    return sorted(found | set(_extra))


def exercises_of(chapter: int) -> tuple[Exercise, ...]:
    """Return the exercises of a chapter; none when it has no module."""
    return _extra[chapter] if chapter in _extra else _from_module(chapter)


@cache
def _from_module(chapter: int) -> tuple[Exercise, ...]:
    name = f"course.practice.chapter{chapter:02d}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return ()
    return _validated(chapter, module.EXERCISES)


def find(name: object) -> Exercise:
    """Return the exercise called `name`.

    Raises
    ------
    UnknownExerciseError
        There is none; the message names the nearest.
    """
    try:
        wanted = normalise(name)
    except ValueError as error:
        wanted, problem = "", str(error)
    else:
        for exercise in exercises_of(int(wanted[:2])):
            if exercise.id == wanted:
                return exercise
        problem = f"there is no exercise {wanted}"
    known = [exercise.id for chapter in chapters() for exercise in exercises_of(chapter)]
    near = [each for each in known if wanted and each[:2] == wanted[:2]]
    near = difflib.get_close_matches(wanted, near, n=4, cutoff=0) or difflib.get_close_matches(
        wanted, known, n=4, cutoff=0.3
    )
    if near:
        problem += f"; the nearest are {', '.join(sorted(near))}"
    elif known:
        problem += f"; there are exercises of the chapters {', '.join(sorted({each[:2] for each in known}))}"
    raise UnknownExerciseError(problem)


def remembered(name: str, title: object = None) -> Exercise | None:
    """Return the exercise that a line of the journal means, which an earlier version of the course may have written.

    An exercise that got another number is known by its title; one that got another title, by its number.

    Parameters
    ----------
    name : str
        Its name then.
    title : str, optional
        Its title then.

    Returns
    -------
    Exercise or None
        None when the course has it no longer.

    Examples
    --------
    >>> remembered("05.1", "Work, span, parallelism").id, remembered("05.1", "A title of long ago").id
    ('05.2', '05.1')
    >>> remembered("05.99") is None
    True
    """
    try:
        name = normalise(name)
    except ValueError:
        return None
    exercises = exercises_of(int(name[:2]))
    same_name = next((each for each in exercises if each.id == name), None)
    if title is None or (same_name is not None and same_name.title == title):
        return same_name
    same_title = [each for each in exercises if each.title == title]
    return same_title[0] if len(same_title) == 1 else same_name
