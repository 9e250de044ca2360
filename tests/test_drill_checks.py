"""Checks under fire, the short form: some bad answers, and what ten thousand of them have found."""

from __future__ import annotations

import time

import numpy as np
import psutil
import pytest

from course.practice import sandbox
from course.practice.checking import check
from course.practice.comparing import short
from course.practice.encoding import MAX_ITEMS, decode, encode
from course.practice.exercises import chapters, exercises_of, find
from tests.drill import bad_answers
from tests.drill.bad_answers import VALUES, bad_answer
from tests.drill.checks import LIMIT, answers, run, try_one

VALUE = "12.1"
FUNCTION = "12.3"


def test_all_exercises_are_answered():
    names = {name for name, _ in answers(10_000, 0)}
    assert names == {exercise.id for chapter in chapters() for exercise in exercises_of(chapter)}


@pytest.mark.parametrize("name", [VALUE, "12.9", FUNCTION])
def test_the_same_seed_gives_the_same_answer(name):
    drawn = [[bad_answer(find(name), seed) for seed in range(20)] for _ in range(2)]
    assert [family for family, _ in drawn[0]] == [family for family, _ in drawn[1]]
    assert len({family for family, _ in drawn[0]}) > 1
    plain = [[answer for _, answer in each if type(answer) is int or type(answer) is str] for each in drawn]
    assert plain[0] == plain[1]


def test_each_kind_of_value_is_answered_in_words():
    for family, kinds in VALUES.items():
        for k, kind in enumerate(kinds):
            began = time.perf_counter()
            with np.errstate(all="ignore"):
                value = kind(bad_answers.Dice(k))
            result = check(VALUE, value)
            assert time.perf_counter() - began < LIMIT, (family, k)
            assert not result.passed, (family, k)
            assert repr(result).encode(), (family, k)


def test_some_bad_answers():
    rows = run(count=24, seed=7, processes=1)
    assert [row for row in rows if not row["ok"]] == []
    assert rows[-1]["how many"] == 24


def test_the_drill_notices_a_judge_that_fails(monkeypatch):
    monkeypatch.setattr("course.practice.checking.check", lambda name, answer: 1 / 0)
    assert "ZeroDivisionError" in try_one(VALUE, 3)["wrong"]


def test_a_class_that_does_not_say_where_it_is_from():
    class Meta(type):
        @property
        def __module__(cls):
            raise RuntimeError("nowhere")

    class Unmannered(metaclass=Meta):
        pass

    assert encode(Unmannered()) == ["opaque", "Unmannered"]
    assert decode(encode(np.float32(1.5))) == 1.5
    assert encode(type("Own", (np.float64,), {})(2.0)) == ["opaque", "Own"]
    assert not check("12.9", Unmannered()).passed


def test_numbers_too_long_to_write():
    assert short({1: 10**5000}) == "a dict of length 1"
    assert short((10**5000,) * 30) == "a tuple of length 30"


def test_a_name_that_is_not_asked():
    def answer(*given):
        return -1.0

    class Name(str):
        def isidentifier(self):
            raise RuntimeError("no name")

    answer.__name__ = Name("answer")
    assert "your answer(" in repr(check(FUNCTION, answer))


def test_half_a_character_can_be_shown():
    def answer(*given):
        raise ValueError("\ud800 and \x1b[2J")

    text = repr(check(FUNCTION, answer))
    assert text.encode()
    assert r"\ud800 and \x1b[2J" in text


class ForEver:
    def __reduce__(self):
        return time.sleep, (1000,)

    def __call__(self, *given):
        return 1.0


def test_an_answer_that_never_unpacks():
    began = time.perf_counter()
    assert "no answer within 4 s" in repr(check(FUNCTION, ForEver()))
    assert time.perf_counter() - began < LIMIT + 1.0


def test_a_process_that_outlives_the_one_that_started_it():
    assert not check(FUNCTION, bad_answers._leaves_a_process).passed
    until = time.monotonic() + 5
    while _sleepers() and time.monotonic() < until:
        time.sleep(0.05)
    assert _sleepers() == []


def _sleepers():
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if "import time; time.sleep(601)" in (each.info["cmdline"] or [])]


def test_all_cases_together_have_one_bound():
    def large(answer):
        return [0.5] * (MAX_ITEMS - 10)

    came = sandbox.run(large, None, [((), {})] * 3).cases
    assert [each.status for each in came] == ["value", "too_large", "too_large"]


def test_thousands_of_names_are_told_in_a_few_lines():
    result = check("09.8", lambda load: dict.fromkeys(range(5_000), 1.0))
    assert not result.passed
    assert "may not be set" in repr(result)
    assert len(repr(result)) < 2500
