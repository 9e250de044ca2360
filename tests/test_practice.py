"""Whatever a learner gives to ``check``: it answers, at once, in words, and the same words each time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import types

import numpy as np
import psutil
import pytest

from course.practice import Case, Exercise, ToleranceError, check, hint, predict, progress, scoreboard
from course.practice import journal as journal_module
from course.practice.checking import CheckResult
from course.practice.comparing import difference, short
from course.practice.encoding import MAX_ITEMS, Opaque, TooLargeError, decode, encode
from course.practice.exercises import UnknownExerciseError, find, normalise, register, unregister
from course.practice.scoreboard import board
from tests.drill.rows import ended

HINTS = ("Look at the section on waiting.", "Add both parts.", "Divide by what is left.")
COMMON = {"kind": "code", "objective": "98.1", "points": 2, "minutes": 5, "hints": HINTS}


def _double(values):
    return 2.0 * np.asarray(values)


def _never_sorted(data):
    return sorted(data)


def _quick(limit=0.6):
    """Return the exercises of a chapter that exists only in these tests."""
    return [
        Exercise(
            id="98.1",
            title="Amdahl",
            cases=[(2, 0.5), (8, 0.0), (4, 0.1)],
            expected=lambda n, s: 1 / (s + (1 - s) / n),
            behaviour="the speed-up on n workers when the share s cannot be split",
            mistakes={
                "you left out the serial part": lambda n, s: n,
                "this one is never the cause": lambda n, s: 1 / 0,
            },
            limit=limit,
            **COMMON,
        ),
        Exercise(
            id="98.2",
            title="Doubling",
            cases=[Case((np.arange(3.0),), says="three numbers"), Case((), {"values": np.ones((2, 2))})],
            expected=_double,
            behaviour="each number, doubled",
            limit=limit,
            **COMMON,
        ),
        Exercise(
            id="98.3",
            title="Wait",
            value=lambda: 0.4,
            tolerance=0.02,
            behaviour="the mean time that a customer waits, in seconds",
            mistakes={"you counted the service too": 0.8},
            **COMMON,
        ),
        Exercise(
            id="98.4",
            title="Cause",
            choices={"a": "too few workers", "b": "too small tasks", "c": "too much data"},
            value="b",
            mistakes={"the workers are idle, so more of them do not help": "a"},
            **COMMON,
        ),
        Exercise(
            id="98.5",
            title="Tuned",
            cases=[(200,)],
            expected=lambda n: n * (n - 1) // 2,
            behaviour="the sum of the numbers under n",
            baseline=lambda n: sum([k for k in range(n)]),
            timed=[(60_000,)],
            target=1.5,
            **{**COMMON, "kind": "tune"},
        ),
        Exercise(
            id="98.6",
            title="Shuffled",
            cases=[([3, 1, 2],)],
            judge=lambda args, result: None if sorted(args[0]) == result else "which is not in order",
            behaviour="the same numbers in order",
            limit=limit,
            **COMMON,
        ),
        Exercise(
            id="98.7",
            title="Order",
            cases=[((4, 3, 2),)],
            expected=lambda jobs: list(range(len(jobs))),
            behaviour="an order of the jobs",
            baseline=lambda jobs: sorted(range(len(jobs)), reverse=True),
            timed=[((4, 3, 2),)],
            cost=lambda args, order: 1.0 + order[0],
            target=2.0,
            **{**COMMON, "kind": "tune"},
        ),
    ]


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(journal_module, "_unsaved", [])
    register(98, _quick())
    yield tmp_path / "home"
    unregister(98)


@pytest.fixture(autouse=True, scope="module")
def nothing_left():
    """No process outlives the tests of this file."""
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    yield
    left = [each for each in psutil.Process().children(recursive=True) if each.pid not in before]
    assert left == []


def _amdahl(n, s):
    return 1 / (s + (1 - s) / n)


# --- right answers -------------------------------------------------------------------------------


def test_right_function_earns_its_points():
    result = check("98.1", lambda n, s: 1 / (s + (1 - s) / n))
    assert result.passed
    assert bool(result) is True
    assert (result.points, result.max_points) == (2.0, 2.0)
    assert repr(result) == "✓ 98.1 passed: 2 of 2 points\n  tried     3 cases, all as expected"
    assert "passed" in result._repr_html_()


@pytest.mark.parametrize("answer", [_double, lambda values: (2 * values).tolist(), lambda values: values + values])
def test_right_arrays_in_any_form(answer):
    assert check("98.2", answer).passed


@pytest.mark.parametrize("answer", [0.4, 0.401, np.float64(0.4), np.array(0.4), np.float32(0.4)])
def test_right_numbers(answer):
    assert check("98.3", answer).passed


def test_right_choice_and_name_of_the_exercise():
    assert check(" 98.4 ", "b").passed
    assert normalise("5.3") == "05.3"


def test_judge_alone_and_judge_that_fails():
    assert check("98.6", lambda values: sorted(values)).passed
    wrong = repr(check("98.6", lambda values: values[:1]))
    assert "not in order" in wrong


# --- wrong and foolish answers -------------------------------------------------------------------


class UglyRepr:
    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __float__ = __array__ = __iter__ = __len__ = __eq__ = __hash__ = __bool__ = __repr__


class LyingClass:
    @property
    def __class__(self):
        raise RuntimeError("no class")


class Meta(type):
    def __call__(cls, *args, **kwargs):
        raise RuntimeError("no instance")

    @property
    def __name__(cls):
        raise RuntimeError("no name")


class UglyType(metaclass=Meta):
    pass


def _foolish():
    """Return each foolish answer with a word that the judgement must hold."""

    def prints(n, s):
        print("x" * 10_000_000)
        return n

    def mutates(n, s):
        raise KeyError({"a": object()})

    def patches(n, s):
        import numpy

        numpy.allclose = numpy.isclose = numpy.asarray = lambda *a, **k: True
        return 7

    def patches_encoding(n, s):
        import course.practice.child
        import course.practice.encoding

        course.practice.encoding.encode = course.practice.child.encode = lambda value: ["plain", True]
        return 7

    def writes_to_channel(n, s):
        for descriptor in range(3, 20):
            with contextlib.suppress(OSError):
                os.write(descriptor, b'{"what": "end"}\nnot json\n')
        return n

    def exits(n, s):
        sys.exit(0)

    def leaves(n, s):
        os._exit(0)

    def kills_itself(n, s):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    def interrupts(n, s):
        raise KeyboardInterrupt

    def base(n, s):
        raise BaseException("base")

    class UglyError(Exception):
        def __str__(self):
            raise RuntimeError("no words")

        __repr__ = __str__

    def ugly_error(n, s):
        raise UglyError

    def recursion(n, s):
        return recursion(n, s)

    def loop(n, s):
        while True:
            pass

    def stubborn(n, s):
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(0.01)

    def gigantic(n, s):
        return [0] * 10**11

    def large_array(n, s):
        return np.zeros(3_000_000)

    def large_number(n, s):
        return 1 << 100_000_000

    def many(n, s):
        return list(range(MAX_ITEMS + 1))

    def deep(n, s):
        value = []
        for _ in range(10_000):
            value = [value]
        return value

    def itself(n, s):
        value = []
        value.append(value)
        return value

    def generator(n, s):
        yield n

    async def coroutine(n, s):
        return n

    def endless(n, s):
        import itertools

        return itertools.count()

    def reads(n, s):
        return input("?")

    def todo(n, s):
        raise NotImplementedError

    def ugly_result(n, s):
        return UglyRepr()

    def objects(n, s):
        return np.array([object()], dtype=object)

    def closes(n, s):
        os.closerange(0, 50)
        return n

    held = threading.Lock()

    def unpicklable(n, s):
        with held:
            return n

    big = np.zeros(10_000_000)

    def drags(n, s):
        return big.sum()

    class Unloadable:
        def __reduce__(self):
            return (int, ("not a number",))

        def __call__(self, n, s):
            return n

    class Unpacked:
        def __reduce__(self):
            raise KeyboardInterrupt

        def __call__(self, n, s):
            return n

    def starts_threads(n, s):
        for _ in range(3):
            threading.Thread(target=time.sleep, args=(100,)).start()
        return n

    return [
        (None, "nothing yet"),
        (..., "nothing yet"),
        (NotImplemented, "nothing yet"),
        (3, "a number, where a function"),
        (math.nan, "where a function"),
        ("1/(s+(1-s)/n)", "a text, where a function"),
        (np.zeros(3), "an array of shape (3,), where a function"),
        ([_amdahl], "a list of length 1, where a function"),
        (object(), "an object of type object"),
        (UglyRepr(), "an object of type UglyRepr"),
        (LyingClass(), "an object of type LyingClass"),
        (types, "an object of type module"),
        ((k for k in range(3)), "generator"),
        (lambda: 1, "TypeError"),
        (lambda n: n, "TypeError"),
        (print, "is a return missing"),
        (int, "TypeError"),
        (UglyType, "RuntimeError"),
        (lambda n, s: None, "is a return missing"),
        (lambda n, s: ..., "nothing yet"),
        (lambda n, s: math.nan, "NaN"),
        (lambda n, s: math.inf, "infinite"),
        (lambda n, s: -1.0, "negative"),
        (lambda n, s: 1e9, "too large"),
        (lambda n, s: 10**5000, "too large"),
        (lambda n, s: 1j, "complex"),
        (lambda n, s: True, "truth value"),
        (lambda n, s: "1.33", "a text"),
        (lambda n, s: [1.3, 1.4], "a list of length 2"),
        (lambda n, s: [1 / (s + (1 - s) / n)], "sequence with one number"),
        (lambda n, s: {"speedup": 1.0}, "a dict"),
        (lambda n, s: np.ones((2, 2)), "shape (2, 2)"),
        (lambda n, s: n, "you left out the serial part"),
        (lambda n, s: lambda: 1, "meant to be called"),
        (lambda n, s: int, "a class"),
        (lambda n, s: n / 0, "ZeroDivisionError: division by zero"),
        (prints, "you left out the serial part"),
        (mutates, "KeyError"),
        (patches, "too large"),
        (patches_encoding, "98.1"),
        (writes_to_channel, "cannot be read"),
        (exits, "SystemExit"),
        (leaves, "ended its Python process"),
        (kills_itself, "ended its Python process"),
        (interrupts, "KeyboardInterrupt"),
        (base, "BaseException: base"),
        (ugly_error, "UglyError"),
        (recursion, "RecursionError"),
        (loop, "no answer within 0.6 s"),
        (stubborn, "no answer within 0.6 s"),
        (gigantic, "MemoryError" if sys.platform == "linux" else ""),
        (large_array, "far too large"),
        (large_number, "far too large"),
        (many, "far too large"),
        (deep, "far too large"),
        (itself, "far too large"),
        (generator, "return list(...)"),
        (coroutine, "not async def"),
        (endless, "an object of type count"),
        (reads, "EOFError"),
        (todo, "still to be written"),
        (ugly_result, "an object of type UglyRepr"),
        (objects, "an object of type ndarray"),
        (closes, "ended its Python process"),
        (unpicklable, "cannot be sent"),
        (drags, "drags along"),
        (Unloadable(), "not a number"),
        (Unpacked(), "cannot be sent"),
        (starts_threads, "you left out the serial part"),
    ]


@pytest.mark.parametrize(("answer", "word"), [pytest.param(*each, id=str(k)) for k, each in enumerate(_foolish())])
def test_foolish_answers_are_answered(answer, word):
    before = time.perf_counter()
    result = check("98.1", answer)
    assert time.perf_counter() - before < 10.0
    assert isinstance(result, CheckResult)
    assert not result.passed
    assert result.points == 0.0
    text = repr(result)
    assert word in text
    assert len(text) < 1500
    assert "0x" not in text.replace("0x…", "")
    assert 'hint("98.1")' in text
    assert len(result._repr_html_()) < 5000


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (0.8, "you counted the service too"),
        (0.5, "too large"),
        (0.1, "too small"),
        (math.nan, "NaN"),
        (True, "truth value"),
        ("0.4", "a text"),
        ([0.4], "a sequence with one number"),
        (UglyRepr(), "UglyRepr"),
        (np.zeros(5_000_000), "far too large"),
        (lambda: 0.4, "a function (was it meant to be called?)"),
        (type("Float", (float,), {"__float__": lambda self: 0.4})(0.4), "an object of type Float"),
    ],
)
def test_foolish_numbers(answer, word):
    result = check("98.3", answer)
    assert not result.passed
    assert word in repr(result)
    assert "0.4" not in repr(result).replace("'0.4'", "").replace("[0.4]", "")


@pytest.mark.parametrize(
    ("answer", "word"), [("a", "do not help"), ("c", "another choice"), ("d", "'a', 'b', 'c'"), (2, "none of")]
)
def test_wrong_choices(answer, word):
    assert word in repr(check("98.4", answer))


def test_arguments_must_be_left_as_they_are():
    def changes(values):
        values *= 2
        return values

    result = check("98.2", changes)
    assert "changed its arguments" in repr(result)
    assert "three numbers" in repr(result)


def test_patches_change_nothing_here():
    before = np.allclose

    def patches(n, s):
        import numpy

        numpy.allclose = lambda *a, **k: True
        return 1.0

    assert not check("98.1", patches).passed
    assert np.allclose is before


def test_the_same_words_each_time():
    def ugly(n, s):
        raise ValueError(f"{object()} at {print}")

    assert repr(check("98.1", ugly)) == repr(check("98.1", ugly))


def test_the_failing_line_is_named(tmp_path):
    path = tmp_path / "cell.py"
    path.write_text("def speedup(n, s):\n    parts = n\n    return parts / (n - n)\n")
    space = {"__name__": "__main__"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    text = repr(check("98.1", space["speedup"]))
    assert "speedup(2, 0.5)" in text
    assert "`return parts / (n - n)`" in text
    assert str(tmp_path) not in text


def test_a_child_of_the_function_ends_with_it():
    marker = f"course-test-{os.getpid()}"

    def forks(n, s):
        import subprocess
        import sys

        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", marker])
        return n

    assert not check("98.1", forks).passed
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        running = [each for each in psutil.process_iter(["cmdline"]) if marker in (each.info["cmdline"] or [])]
        if not running:
            return
        time.sleep(0.05)
    raise AssertionError(running)


# It may come while psutil reads a file, which is then closed by the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_ends_the_child():
    unregister(98)
    register(98, _quick(limit=30.0))

    def loop(n, s):
        while True:
            pass

    # A program that a shell starts in its background is born deaf to it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.4, signal.raise_signal, [signal.SIGINT]).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            check("98.1", loop)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process is not told that the one before it ended")
def test_a_killed_kernel_leaves_no_process_and_no_folder(tmp_path):
    code = f"""
from course.practice.sandbox import run

def loop(answer):
    import subprocess, sys, pathlib
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)", "{tmp_path}"])
    pathlib.Path("{tmp_path}/begun").touch()
    while True:
        pass

run(loop, None, [((), {{}})], limit=60.0)
"""
    kernel = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)})
    _wait_until((tmp_path / "begun").exists)
    children = psutil.Process(kernel.pid).children(recursive=True)
    assert len(children) == 2
    kernel.kill()
    kernel.wait()
    _wait_until(lambda: all(ended(each) for each in children))
    _wait_until(lambda: not list(tmp_path.glob("course-check-*")))


def _wait_until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_progress_is_told_and_gives_more_time():
    from course.practice.sandbox import run

    def slow(answer, steps, pause):
        import time

        from course.practice.child import tell

        for k in range(steps):
            time.sleep(pause)
            tell(f"step {k}")
        return answer()

    told = []
    done = run(slow, lambda: 7, [((4, 0.5), {})], limit=1.2, progress=told.append)
    assert [case.value for case in done.cases] == [7]
    assert told == ["step 0", "step 1", "step 2", "step 3"]
    stuck = run(slow, lambda: 7, [((1, 9.0), {})], limit=0.3, progress=told.append)
    assert [case.status for case in stuck.cases] == ["timeout"]


def test_a_grader_of_its_own_may_give_a_part_of_the_points():
    def grader(answer, result, run):
        result.says.append(("tried", str(answer)))
        if answer != "good":
            result.points = 1.0
            result.says.append(("came out", "half"))

    unregister(98)
    register(98, [Exercise(id="98.1", title="t", behaviour="b", grader=grader, **COMMON)])
    assert check("98.1", "good").points == COMMON["points"]
    assert [(check("98.1", each).passed, check("98.1", each).points) for each in ("fair", None)] == [
        (False, 1),
        (False, 0),
    ]


def test_answers_at_once():
    check("98.1", _amdahl)
    times = []
    for _ in range(3):
        before = time.perf_counter()
        check("98.1", lambda n, s: n)
        times.append(time.perf_counter() - before)
    assert min(times) < 1.5


# --- tuning --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "passed", "word"),
    [
        (lambda n: n * (n - 1) // 2, True, "at least 1.5 times better"),
        (lambda n: sum([k for k in range(n)] + [0] * n + [0] * n), False, "correct, but worse"),
        (lambda n: n, False, "too small"),
        (lambda n: n * (n - 1) // 2 if n < 1000 else 0, False, "too small"),
    ],
)
def test_tuning_asks_for_the_right_result_first(answer, passed, word):
    result = check("98.5", answer)
    assert result.passed is passed
    assert word in repr(result)
    if passed:
        assert "divided by yours" in result.measured
        assert result.measured not in repr(result)
        assert 'class="course-measured"' in result._repr_html_()


def test_under_two_percent_is_no_change(monkeypatch):
    from course.practice import checking
    from course.practice.sandbox import CaseOutcome, Run

    done = Run(cases=[CaseOutcome("value", 19900)], timed=[CaseOutcome("value", 1799970000, times=[[1.0, 1.01]] * 3)])
    monkeypatch.setattr(checking, "run", lambda *a, **k: done)
    assert "no change" in repr(check("98.5", _amdahl))


def test_tuning_by_an_exact_cost():
    result = check("98.7", lambda jobs: list(range(len(jobs))))
    assert result.passed
    assert "costs 3 times as much as yours" in repr(result)


# --- encoding and comparing ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -(2**70), 0.1, math.inf, "é", b"\x00", 1 + 2j, [1, (2.0, "a")], {"a": {1, 2}}, frozenset({3}), ...],
)
def test_plain_values_come_back(value):
    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3), np.array(["a", "bc"]), np.zeros((0, 2)), np.array(True)])
def test_arrays_come_back(array):
    back = decode(json.loads(json.dumps(encode(array))))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        ["array", ["|O", [1], "AAAAAAAAAAA="]],
        ["array", ["<f8", [10**12], "AAAA"]],
        ["array", ["<f8", [-1, -1], ""]],
        ["plain", {"a": 1}],
        ["list", 3],
        ["dict", [[["list", []], ["plain", None]]]],
        ["int", "xyz"],
        ["pickle", "gASV"],
    ],
)
def test_forged_data_is_refused(data):
    with pytest.raises(ValueError, match="not an encoded value"):
        decode(data)


def test_too_large_is_refused_early():
    with pytest.raises(TooLargeError):
        encode([[[0] * 1000] * 1000] * 1000)
    assert encode(range(3)) == ["opaque", "range"]


@pytest.mark.parametrize(
    ("expected", "got", "word"),
    [
        ([1, 2], [1], "1 elements, not 2"),
        ([1, [2, 3]], [1, [2, 4]], "element 1"),
        ({"a": 1}, {}, "no entry for 'a'"),
        ({"a": 1}, {"a": 1, "b": 2}, "too many"),
        ({1, 2}, {1}, "missing"),
        ({1, 2}, [1, 3], "do not belong"),
        ("a", "b", "not right"),
        (True, 1, "a number, not True or False"),
        (np.zeros(3), np.zeros((3, 1)), "shape (3, 1), not (3,)"),
        (1.0, Opaque("Foo"), "type Foo"),
        (2, 3, "too large"),
    ],
)
def test_differences_in_words(expected, got, word):
    assert word in difference(expected, got, 1e-6, 0)


def test_short_is_short():
    assert short("x" * 1000).endswith("…")
    assert short(np.arange(100)) == "an array of shape (100,)"
    assert short((1,)) == "(1,)"


# --- exercises -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["98.99", "97.1", "98", "", None, 98.1, "x" * 1000, UglyRepr()])
def test_unknown_exercises(name):
    with pytest.raises(UnknownExerciseError, match=r"nearest|chapters|quotes"):
        check(name, 1)


def test_the_nearest_are_named():
    with pytest.raises(UnknownExerciseError, match=r"98\.1"):
        find("98.11")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "quiz"}, "kind is 'quiz'"),
        ({"hints": ("a", "b")}, "three"),
        ({"points": 0}, "positive"),
        ({"behaviour": ""}, "behaviour"),
        ({"expected": None}, "expected or judge"),
        ({"value": 3}, "do not go with"),
        ({"cases": ()}, "give value"),
        ({"kind": "tune"}, "baseline"),
        ({"grader": abs}, "grader goes with neither"),
    ],
)
def test_exercises_are_validated(change, word):
    good = {"id": "98.1", "title": "t", "cases": [(1,)], "expected": abs, "behaviour": "b", **COMMON}
    Exercise(**good)
    with pytest.raises(ValueError, match=word):
        Exercise(**{**good, **change})


def test_two_of_one_name_and_a_foreign_chapter_are_refused():
    one = _quick()[0]
    with pytest.raises(ValueError, match="twice"):
        register(98, [one, one])
    with pytest.raises(ValueError, match="chapter 05"):
        register(5, [one])


# --- hints, progress, predictions ----------------------------------------------------------------


def test_hints_come_one_after_the_other():
    texts = [repr(hint("98.1")) for _ in range(4)]
    assert [text.split(":")[0] for text in texts] == [f"Hint {k} of 3 for 98.1" for k in (1, 2, 3, 3)]
    assert HINTS[2] in texts[3]


def test_progress_counts_what_passed_once():
    check("98.4", "b")
    check("98.4", "a")
    check("98.3", 0.8)
    row = next(row for row in progress().rows if row.chapter == 98)
    assert (row.solved, row.exercises, row.points) == (1, 7, 2)
    assert "98         1 of 7" in repr(progress())
    assert "1 of 7" in progress()._repr_html_()


def test_kernels_do_not_lose_each_others_progress(learner):
    code = (
        "import sys; from course.practice.journal import remember\n"
        "for k in range(100): remember('hint', f'98.{sys.argv[1]}{k:03d}')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(k)]) for k in (1, 2, 3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert len({each["name"] for each in journal_module.events("hint")}) == 300


def test_a_torn_line_costs_only_itself(learner):
    journal_module.remember("hint", "98.1")
    path = learner / ".course" / journal_module.FILE
    path.write_bytes(path.read_bytes() + b'{"event": "hi\xff')
    journal_module.remember("hint", "98.2")
    assert [each["name"] for each in journal_module.events()] == ["98.1", "98.2"]


def test_unwritable_home_still_answers(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "file"))
    result = check("98.4", "b")
    assert result.passed
    assert "not remembered" in repr(result)
    assert str(tmp_path) not in repr(result)
    assert "Hint 1" in repr(hint("98.4"))
    assert "Hint 2" in repr(hint("98.4"))
    assert next(row.solved for row in progress().rows if row.chapter == 98) == 1


def test_prediction_by_choice():
    asked = predict("98.P1", "Which waits less?", choices=["one fast server", "two slow ones"])
    bundle = asked._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == repr(asked)
    assert "( ) one fast server" in repr(asked)
    assert "no answer was given" in repr(predict.outcome("98.P1", "two slow ones"))
    box = asked.widget()
    _, entry, button, state = box.children
    button.click()
    assert "Choose an answer first" in state.value
    entry.value = "two slow ones"
    button.click()
    assert entry.disabled
    assert button.disabled
    assert asked.answer == "two slow ones"
    shown = predict.outcome("98.P1", "one fast server", reason="It wastes nothing.")
    assert shown.right is False
    assert "two slow ones" in repr(shown)
    assert "two slow ones" in shown._repr_html_()
    assert repr(asked) == repr(predict("98.P1", "Which waits less?", choices=["one fast server", "two slow ones"]))
    assert asked.widget().children[1].disabled


def test_prediction_by_number():
    asked = predict("98.P2", "How long?", number=True, unit="s")
    assert "a number in s: ____" in repr(asked)
    _, entry, button, _ = asked.widget().children
    button.click()
    assert asked.answer is None, "an empty field is no answer"
    entry.value = "soon"
    button.click()
    assert asked.answer is None
    entry.value = "1,05"
    button.click()
    assert asked.answer == 1.05
    assert predict.outcome("98.P2", 1.0).right is True
    assert predict.outcome("98.P2", 2.0).right is False
    with pytest.raises(ValueError, match="finite"):
        asked.commit(math.nan)


@pytest.mark.parametrize(
    "call",
    [
        lambda: predict("98.1", "?", number=True),
        lambda: predict("98.P1", "?"),
        lambda: predict("98.P1", "?", number=True, choices=["a", "b"]),
        lambda: predict("98.P1", "?", choices=["a"]),
        lambda: predict("98.P1", "?", choices=["a", "a"]),
        lambda: predict.outcome("98.P77", 1),
    ],
)
def test_predictions_are_validated(call):
    with pytest.raises(ValueError, match=r"prediction|named"):
        call()


# --- scoreboard ----------------------------------------------------------------------------------


def test_scoreboard_shows_and_holds(capsys):
    scoreboard(predicted=10.0, simulated=10.2, measured=[9.0, 9.5, 50.0], tolerance=0.1, quantity="wait [s]")
    text = capsys.readouterr().out
    assert "10.2 (+2.0 %)" in text
    assert "within 10 %" in text
    assert "9.5" not in text
    assert "holds" in text


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"predicted": 1.0, "simulated": 1.2, "tolerance": 0.1}, "simulated is 1.2, 20.0% from predicted"),
        ({"predicted": 1.0, "measured": 2.0, "tolerance": 0.1}, "measured is 2"),
        ({"predicted": 1.0, "simulated": math.nan, "tolerance": 10}, "nan"),
        ({"predicted": math.nan, "simulated": 1.0, "tolerance": 10}, "nan"),
        ({"predicted": 1.0, "measured": math.inf, "tolerance": 10}, "inf"),
        ({"predicted": 0.0, "measured": 0.2, "tolerance": 0.1}, "0.2 from predicted"),
        ({"simulated": 1.0, "measured": 2.0, "tolerance": 0.1}, "from simulated"),
        ({"predicted": -1.0, "measured": 1.0, "tolerance": 0.1}, "200.0%"),
        ({"predicted": 1, "simulated": 1.2, "measured": 1.2, "tolerance": {"simulated": 0.1, "measured": 0.3}}, "sim"),
    ],
)
def test_scoreboard_raises_after_showing(capsys, row, word):
    with pytest.raises(ToleranceError, match="speed-up") as caught:
        scoreboard({"fine": {"predicted": 1, "simulated": 1, "tolerance": 0}, "speed-up": row})
    assert word in str(caught.value)
    assert "fine" not in str(caught.value)
    assert "broken" in capsys.readouterr().out
    assert isinstance(caught.value, AssertionError)


def test_separate_tolerances_and_missing_values(capsys):
    scoreboard(
        predicted={"a": 1.0, "b": 2.0},
        simulated={"a": 1.05},
        measured={"a": 1.25, "b": 2.1},
        tolerance={"simulated": 0.1, "measured": 0.3},
    )
    text = capsys.readouterr().out
    assert "not simulated" in text
    assert "10 % / 30 %" in text


def test_text_of_a_scoreboard_does_not_hold_what_varies():
    texts, pages = set(), set()
    for value in (0.96, 1.0399):
        table = board({"a": {"predicted": 1.0, "simulated": 1.0, "measured": value, "tolerance": 0.05}})
        texts.add(repr(table))
        pages.add(table._repr_html_())
    assert len(texts) == 1
    assert len(pages) == 2
    machine = board({"a": {"predicted": 1.234, "simulated": 1.3, "tolerance": 0.5}}, varies=("predicted", "measured"))
    assert "1.234" not in repr(machine)
    assert "1.3" in repr(machine)
    assert "5.3" not in repr(machine)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "nothing was predicted"),
        ({"predicted": 1.0, "tolerance": 0.1}, "nothing to compare"),
        ({"predicted": 1.0, "measured": 1.0}, "tolerance for measured is None"),
        ({"predicted": 1.0, "measured": 1.0, "tolerance": -1}, "tolerance"),
        ({"predicted": 1.0, "measured": 1.0, "tolerance": math.nan}, "tolerance"),
        ({"predicted": "1", "measured": 1.0, "tolerance": 1}, "must be a number"),
        ({"predicted": 1.0, "measured": [], "tolerance": 1}, "empty"),
        ({"predicted": {"a": 1}, "measured": 1.0, "tolerance": 1}, "all of them"),
        ({"rows": {}}, "no row"),
        ({"rows": {"a": {"predictd": 1}}}, "predictd is unknown"),
        ({"rows": {"a": {}}, "predicted": 1}, "either"),
    ],
)
def test_scoreboard_is_validated(arguments, word):
    with pytest.raises(ValueError, match=word):
        board(**arguments)


def test_the_number_of_samples_may_be_computed_in_any_order():
    # Where the exact number is whole, rounding up would depend on the order.
    forms = (
        lambda share, error, z=1.96: math.ceil((z / error) ** 2 * share * (1 - share)),
        lambda share, error, z=1.96: math.ceil(share * (1 - share) / (error / z) ** 2),
        lambda share, error, z=1.96: math.ceil((z * math.sqrt(share * (1 - share)) / error) ** 2),
    )
    for form in forms:
        assert check("11.2", form).passed


def test_import_is_cheap():
    code = (
        "import sys, course.practice; "
        "print([m for m in ('numpy', 'ipywidgets', 'psutil', 'cloudpickle', 'dask', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
