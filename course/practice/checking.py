"""``check``: judge an answer and say the judgement in words. ``hint``: the next of three hints."""

from __future__ import annotations

import contextlib
import html
import linecache
import pickle
import statistics
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from course.practice import journal
from course.practice.comparing import difference, kind_of, short
from course.practice.encoding import TooLargeError, decode, encode, type_name
from course.practice.exercises import Case, Exercise, find
from course.practice.sandbox import CannotSendError, CaseOutcome, Run, pack, run

NO_CHANGE = 0.02
ROUNDS = 5
NOTHING_YET = "nothing yet"


@dataclass
class CheckResult:
    """What :func:`check` says. True when the answer passed.

    Attributes
    ----------
    exercise : str
        Its name.
    passed : bool
        Whether the answer is right.
    points, max_points : float
        What it earned, and what it can earn.
    says : list of (str, str)
        The judgement: a word (tried, came out, expected, …) and a sentence each.
    measured : str
        What was measured, which differs from run to run; only shown in the notebook.
    """

    exercise: str
    passed: bool
    points: float
    max_points: float
    says: list[tuple[str, str]] = field(default_factory=list)
    measured: str = ""

    def __bool__(self) -> bool:
        return self.passed

    def _head(self) -> str:
        verdict = "passed" if self.passed else "not yet"
        return f"{self.exercise} {verdict}: {self.points:g} of {self.max_points:g} points"

    def __repr__(self) -> str:
        mark = "✓" if self.passed else "✗"
        return "\n".join([f"{mark} {self._head()}", *(f"  {word:<9} {text}" for word, text in self.says)])

    def _repr_html_(self) -> str:
        colour, mark = ("#00695c", "✓") if self.passed else ("#b23c17", "✗")
        rows = "".join(
            f'<tr><td style="text-align:left;vertical-align:top"><b>{html.escape(word)}</b></td>'
            f'<td style="text-align:left">{html.escape(text)}</td></tr>'
            for word, text in self.says
        )
        if self.measured:
            rows += (
                '<tr><td style="text-align:left"><b>measured</b></td>'
                f'<td style="text-align:left">{html.escape(self.measured)}</td></tr>'
            )
        kept = "course-measured" if self.measured else "course-check"
        return (
            f'<div class="{kept}" style="border-left:4px solid {colour};padding-left:0.7em">'
            f'<b style="color:{colour}">{mark} {html.escape(self._head())}</b>'
            f"<table>{rows}</table></div>"
        )

    def grade(self) -> float:
        """Show the judgement and return the points, which is what nbgrader takes as the grade."""
        show(self)
        return self.points


def show(thing: object) -> None:
    """Display `thing` in a notebook, print it elsewhere."""
    import sys

    shell = sys.modules.get("IPython")
    if shell is not None and shell.get_ipython() is not None:
        from IPython.display import display

        display(thing)
    else:
        print(thing)


def check(name: str, answer: object = ...) -> CheckResult:
    """Judge an answer to an exercise, at once and in words.

    A function is run in a process of its own, on inputs that the exercise chooses, within a time and
    a memory limit; its results are judged here. Whatever the answer does, this returns.

    Parameters
    ----------
    name : str
        The exercise, as in ``"12.3"``.
    answer : object
        A function, a number, a choice: what the exercise asks for.

    Returns
    -------
    CheckResult
        True when the answer passed; it shows what was tried, what came out and what was expected.

    Raises
    ------
    UnknownExerciseError
        There is no such exercise.

    Notes
    -----
    Taught in chapter 00. Progress is remembered in the learner's folder.
    """
    exercise = find(name)
    result = judge(exercise, answer)
    if not result.passed:
        result.says.append(("next", f'hint("{result.exercise}") gives a hint'))
    details = {"empty": True} if _is_empty(answer, result) else {}
    warning = journal.remember(
        "check", result.exercise, title=exercise.title, passed=result.passed, points=result.points, **details
    )
    if warning:
        result.says.append(("note", warning))
    return result


def _without_text(): ...  # type: ignore[no-untyped-def]


def _with_text():  # type: ignore[no-untyped-def]
    """Do nothing, as a function of the exercises does before it is filled in."""
    ...


_EMPTY_BODIES = {each.__code__.co_code for each in (_without_text, _with_text)}


def _is_empty(answer: object, result: CheckResult) -> bool:
    """Whether there was no answer yet: the cell was run as it came."""
    if any(word == "came out" and text.startswith(NOTHING_YET) for word, text in result.says):
        return True
    if type(answer) is not types.FunctionType:
        return False
    code = answer.__code__
    return code.co_code in _EMPTY_BODIES and code.co_consts[-1:] == (None,)


def judge(exercise: Exercise, answer: object, runner: Callable[..., Run] | None = None) -> CheckResult:
    """Judge an answer; what `check` does besides is to remember the judgement.

    Parameters
    ----------
    exercise : Exercise
    answer : object
        As in `check`.
    runner : callable
        How a function is run on cases: in place of :func:`course.practice.sandbox.run`, and with its arguments.
    """
    runner = runner or run
    result = CheckResult(exercise.id, False, 0.0, float(exercise.points))
    if answer is ... or answer is None or type(answer) is type(NotImplemented):
        result.says.append(("came out", f"{NOTHING_YET}: replace the … by your answer"))
    elif exercise.grader is not None:
        exercise.grader(answer, result, runner)
    elif exercise.is_function:
        _judge_function(exercise, answer, result, runner)
    else:
        _judge_value(exercise, answer, result)
    result.says = [(word, _bounded(text)) for word, text in result.says]
    result.passed = not any(word in _COMPLAINTS for word, _ in result.says)
    if result.passed:
        result.points = result.max_points
    return result


def _bounded(text: str, most: int = 800) -> str:
    """Return the beginning of what an exercise says of an answer; the answer may hold thousands of names."""
    return text if len(text) <= most else text[:most] + " …"


# A judgement with one of these words in it is not passed.
_COMPLAINTS = ("came out",)


def _judge_value(exercise: Exercise, answer: object, result: CheckResult) -> None:
    try:
        got = decode(encode(answer))
    except (TooLargeError, ValueError):
        got = None
        result.says.append(("came out", f"something far too large, of type {type_name(answer)[:60]}"))
        return
    result.says.append(("tried", short(got)))
    if exercise.choices is not None:
        if type(got) is str:  # blanks and case do not matter
            plain = "".join(got.split()).casefold()
            got = next((each for each in exercise.choices if "".join(each.split()).casefold() == plain), got)
        if type(got) is not str or got not in exercise.choices:
            result.says.append(("came out", f"{kind_of(got)} that is none of the choices"))
            result.says.append(("expected", "one of " + ", ".join(repr(each) for each in exercise.choices)))
            return
        result.says[-1] = ("tried", f"{got!r}: {exercise.choices[got]}")
    if exercise.value is None:
        problem = _ask_judge(exercise.judge, got)
    else:
        right = exercise.right_value()
        problem = difference(right, got, exercise.tolerance, exercise.absolute)
        if problem is not None and exercise.choices is not None:
            problem = "another choice fits better"
        if problem is None and exercise.judge is not None:
            problem = _ask_judge(exercise.judge, got)
    if problem is None:
        return
    result.says.append(("came out", problem.removeprefix("which is ")))
    if exercise.behaviour:
        result.says.append(("expected", exercise.behaviour))
    for mistake, wrong in exercise.mistakes.items():
        wrong = wrong() if callable(wrong) else wrong
        if difference(wrong, got, exercise.tolerance, exercise.absolute) is None:
            result.says.append(("likely", mistake))
            return


def _ask_judge(judge: Callable[..., str | None] | None, *args: Any) -> str | None:
    assert judge is not None
    try:
        return judge(*args)
    except Exception as error:
        return f"which cannot be judged: {kind_of(args[-1])} does not fit ({type_name(error)})"


def _judge_function(exercise: Exercise, answer: object, result: CheckResult, runner: Callable[..., Run]) -> None:
    cases = exercise.list_cases()
    name = name_of(answer)
    if not callable(answer):
        got = describe_unknown(answer)
        result.says.append(("came out", f"{got}, where a function was expected"))
        result.says.append(("expected", f"{exercise.behaviour} (give the function itself, without calling it)"))
        return
    timed = exercise.list_cases("timed") if exercise.kind == "tune" else []
    filename = filename_of(answer)
    try:
        outcome = runner(
            exercise.call,
            answer,
            [(case.args, dict(case.kwargs)) for case in [*cases, *(timed if exercise.cost else [])]],
            baseline=exercise.baseline,
            timed=[] if exercise.cost else [(case.args, dict(case.kwargs)) for case in timed],
            rounds=ROUNDS,
            limit=exercise.limit,
            filename=filename,
        )
    except CannotSendError as error:
        result.says.append(("came out", f"the answer could not be tried: {error}"))
        return
    if outcome.unloadable is not None:
        result.says.append(("came out", raised_text(outcome.unloadable, filename)))
        return
    for k, case in enumerate(cases):
        came = outcome.cases[k] if k < len(outcome.cases) else CaseOutcome("died")
        if not _judge_case(exercise, case, came, name, filename, result, outcome, cases):
            break
    else:
        result.says.insert(
            0,
            (
                "tried",
                f"{len(cases)} case{'s' if len(cases) != 1 else ''}, all {'correct' if timed else 'as expected'}",
            ),
        )
        if timed:
            _judge_tuning(exercise, timed, outcome, len(cases), name, filename, result)
    if outcome.printed:
        result.says.append(("printed", short(outcome.printed, 200)))


def _copy(case: Case) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments afresh, so that no reference or judge can spoil them for the next."""
    return pickle.loads(pack((case.args, dict(case.kwargs))))  # type: ignore[no-any-return]


def _judge_case(
    exercise: Exercise,
    case: Case,
    came: CaseOutcome,
    name: str,
    filename: str,
    result: CheckResult,
    outcome: Run,
    cases: list[Case],
) -> bool:
    """Say what is wrong with one case, if anything; return whether it is right."""
    problem = status_problem(came, exercise.limit, filename)
    if problem is None:
        args, kwargs = _copy(case)
        if exercise.expected is not None:
            right = exercise.expected(*args, **kwargs)
            problem = difference(right, came.value, exercise.tolerance, exercise.absolute)
        if problem is None and exercise.judge is not None:
            args, kwargs = _copy(case)
            problem = _ask_judge(exercise.judge, (*args, *kwargs.values()), came.value)
        if problem is not None:
            # "which is None, not a number" says already what came out
            says_it = problem.startswith("which is ") and (came.value is None or kind_of(came.value) in problem)
            problem = problem.removeprefix("which is ") if says_it else f"{short(came.value)}: {problem}"
    if problem is None and came.changed and exercise.pure:
        problem = "the right result, but the function changed its arguments, which the caller still needs"
    if problem is None:
        return True
    result.says.append(("tried", _say_call(name, case)))
    result.says.append(("came out", problem))
    result.says.append(("expected", exercise.behaviour))
    mistake = _recognise(exercise, cases, outcome)
    if mistake:
        result.says.append(("likely", mistake))
    return False


def status_problem(came: CaseOutcome, limit: float, filename: str) -> str | None:
    """Say in words what came instead of a result, if none came."""
    if came.status == "value":
        return None
    if came.status == "raised":
        return raised_text(came.error, filename)
    if came.status == "too_large":
        return f"a {came.value} that is far too large"
    return {
        "timeout": f"no answer within {limit:g} s: is there a loop that does not end?",
        "memory": "nothing: it took more memory than it may",
        "died": "nothing: it ended its Python process",
        "unreadable": "something that cannot be read",
    }[came.status]


def raised_text(error: dict[str, Any], filename: str) -> str:
    """Say in words that a function raised, and where."""
    if error["type"] == "NotImplementedError":
        return f"{NOTHING_YET}: the function raises NotImplementedError, so its body is still to be written"
    text = f"the exception {error['type']}"
    message = printable(" ".join(_without_addresses(error["message"]).split()))
    if message:
        text += f": {message}"
    if error["line"] is not None:
        source = linecache.getline(filename, error["line"]).strip()
        if source:
            text += f" (at `{source[:80]}`)"
    return text


def printable(text: str) -> str:
    r"""Write what cannot be shown (halves of characters, the codes that move a terminal's cursor) as in a program.

    Examples
    --------
    >>> printable("clear \x1b[2J, café")
    'clear \\x1b[2J, café'
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _without_addresses(text: str) -> str:
    import re

    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", text)


def _recognise(exercise: Exercise, cases: list[Case], outcome: Run) -> str | None:
    """Return the mistake whose wrong function gives exactly what came out, in every case that gave a value.

    Cases in which the mistake makes no difference do not count: an answer that is right there did not make it.
    """
    for mistake, wrong in exercise.mistakes.items():
        matches = 0
        for case, came in zip(cases, outcome.cases, strict=False):
            if came.status != "value":
                continue
            args, kwargs = _copy(case)
            try:
                other = wrong(*args, **kwargs)
            except Exception:
                break
            if difference(other, came.value, exercise.tolerance, exercise.absolute) is not None:
                break
            if exercise.expected is not None:
                args, kwargs = _copy(case)
                right = exercise.expected(*args, **kwargs)
                matches += difference(right, other, exercise.tolerance, exercise.absolute) is not None
            else:
                matches += 1
        else:
            if matches:
                return mistake
    return None


def _judge_tuning(
    exercise: Exercise,
    timed: list[Case],
    outcome: Run,
    before: int,
    name: str,
    filename: str,
    result: CheckResult,
) -> None:
    """Compare the correct answer with its baseline: the ratio of costs, or of times taken in turns."""
    ratios: list[float] = []
    for k, case in enumerate(timed):
        given = outcome.cases[before + k : before + k + 1] if exercise.cost else outcome.timed[k : k + 1]
        came = given[0] if given else CaseOutcome("died")
        args, kwargs = _copy(case)
        problem = status_problem(came, exercise.limit, filename)
        if problem is None and exercise.expected is not None:
            right = exercise.expected(*args, **kwargs)
            problem = difference(right, came.value, exercise.tolerance, exercise.absolute)
        if problem is None and exercise.judge is not None:
            problem = _ask_judge(exercise.judge, (*args, *kwargs.values()), came.value)
        if problem is not None:
            result.says.append(("tried", _say_call(name, case)))
            result.says.append(("came out", problem))
            return
        if exercise.cost is not None:
            assert exercise.baseline is not None
            args, kwargs = _copy(case)
            slow = exercise.cost(args, exercise.baseline(*args, **kwargs))
            ratios.append(slow / exercise.cost(_copy(case)[0], came.value))
        else:
            ratios.append(statistics.median(slow / max(fast, 1e-9) for fast, slow in came.times))
    ratio = statistics.median(ratios)
    if exercise.cost is not None:
        result.says.append(("ratio", f"the start costs {ratio:.3g} times as much as yours"))
    else:
        result.measured = f"the time of the start divided by yours is {ratio:.3g} (taken in turns, median)"
    if ratio >= exercise.target:
        result.says.append(("reached", f"at least {exercise.target:g} times better than the start"))
        return
    if abs(ratio - 1.0) < NO_CHANGE:
        came_out = "no change against the start (less than 2 %)"
    elif ratio < 1.0:
        came_out = "correct, but worse than the start"
    else:
        came_out = "correct and better than the start, but not enough"
    result.says.append(("came out", came_out))
    result.says.append(("expected", f"at least {exercise.target:g} times better than the start"))


def _say_call(name: str, case: Case) -> str:
    if case.says:
        return f"{name} on {case.says}"
    given = [short(each, 40) for each in case.args]
    given += [f"{key}={short(each, 40)}" for key, each in case.kwargs.items()]
    return f"{name}({', '.join(given)})"


@dataclass(frozen=True)
class FunctionElsewhere:
    """A learner's function that lives in another process: its name, and where it was written."""

    name: str
    filename: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Say that it cannot be called here."""
        raise TypeError(f"{self.name} is in another process; give `judge` the `run` of that process")


def name_of(answer: object) -> str:
    """Return the name of a learner's function."""
    if type(answer) is FunctionElsewhere:  # isinstance asks the answer, which may lie
        return answer.name
    if type(answer) is types.FunctionType:
        name = answer.__name__
        if type(name) is str and name.isidentifier():  # a text of the learner's own making is not asked
            return name[:60]
    return "your answer"


def filename_of(answer: object) -> str:
    """Return where a learner's function was written."""
    if type(answer) is FunctionElsewhere:  # isinstance asks the answer, which may lie
        return answer.filename
    filename = answer.__code__.co_filename if type(answer) is types.FunctionType else ""
    return filename if type(filename) is str else ""


def describe_unknown(answer: object) -> str:
    """Say in words what was given in place of a function."""
    with contextlib.suppress(TooLargeError, ValueError):
        return kind_of(decode(encode(answer)))
    return f"an object of type {type_name(answer)[:60]}"


@dataclass
class Hint:
    """One of the three hints of an exercise."""

    exercise: str
    number: int
    text: str
    note: str = ""

    def __repr__(self) -> str:
        more = "" if self.number == 3 else f' (hint("{self.exercise}") again gives the next)'
        note = f"\n  note: {self.note}" if self.note else ""
        return f"Hint {self.number} of 3 for {self.exercise}: {self.text}{more}{note}"

    def _repr_html_(self) -> str:
        return f"<div><b>Hint {self.number} of 3 for {self.exercise}.</b> {html.escape(self.text)}</div>"


def hint(name: str) -> Hint:
    """Give the next of three hints: where to look, an outline, nearly the solution.

    Parameters
    ----------
    name : str
        The exercise, as in ``"12.3"``.

    Returns
    -------
    Hint
        After the third it stays the third. Hints cost no points.

    Raises
    ------
    UnknownExerciseError
        There is no such exercise.
    """
    exercise = find(name)
    given = sum(1 for _ in journal.events("hint", exercise.id))
    number = min(given, 2) + 1
    warning = journal.remember("hint", exercise.id, number=number)
    return Hint(exercise.id, number, exercise.hints[number - 1], warning or "")
