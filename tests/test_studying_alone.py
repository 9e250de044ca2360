"""Studying alone: what comes next, and the review of what was wrong, over weeks of a simulated clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.cli import main
from course.practice import check, hint, journal, predict, progress, review, what_next
from course.practice.cards import Asked, Card, cards, due, today
from course.practice.exercises import exercises_of, find, register, remembered, unregister
from course.practice.leitner import DAYS, Place, right, wrong
from course.practice.next_steps import PASSED_SHARE, Results
from course.practice.reviewing import MOST, exercise_text, question_of, select
from course.syllabus import chapters
from tests.drill.learners import EVENTS, Learner, own_folder

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.moment = NOON

    def sleep(self, days):
        self.moment += timedelta(days=days)


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """An empty folder of the learner's, and a clock that stands still."""
    clock = Clock()
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(journal, "_unsaved", [])
    monkeypatch.setattr(journal, "now", lambda: clock.moment)
    yield clock
    unregister(5)


def solve(chapter, share=1.0):
    """Write into the journal that so much of a chapter has passed."""
    for exercise in exercises_of(chapter)[: round(share * len(exercises_of(chapter)))]:
        journal.remember("check", exercise.id, title=exercise.title, passed=True, points=exercise.points)


def commit(name, answer, value, question="What happens?", **options):
    """Predict, and see what came out."""
    kind = {"number": True} if isinstance(value, float) else {"choices": ["more", "less", "the same"]}
    predict(name, question, **kind).commit(answer)
    return predict.outcome(name, value, reason="so it is", **options)


def names(cards):
    return [card.name for card in cards]


# ---- the schedule


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60))
def test_a_card_is_never_lost_and_never_early(answers):
    """Whatever comes when: right too early moves nothing, right when due doubles the wait, wrong begins anew."""
    day = date(2027, 1, 1)
    place = wrong(day)
    for later, was_right in answers:
        day += timedelta(days=later)
        before, place = place, right(place, day) if was_right else wrong(day)
        assert 1 <= place.box <= len(DAYS)
        if not was_right:
            assert place == Place(1, day + timedelta(days=1))
        elif not before.is_due(day):
            assert place == before
        elif before.box == len(DAYS):
            assert place.due is None
        else:
            assert place == Place(before.box + 1, day + timedelta(days=DAYS[before.box]))


def test_who_is_always_right_is_asked_five_times(clock):
    commit("05.P1", "more", "less")
    asked = []
    for day in range(60):
        for question in review().questions:
            asked.append(day)
            assert question.answer("less").right
        clock.sleep(1)
    assert asked == [1, 3, 7, 15, 31]
    assert [card.place.due for card in cards()] == [None]


@given(st.lists(st.integers(1, len(DAYS)), min_size=1, max_size=30), st.integers(0, 10**9), st.randoms())
def test_a_seed_decides_whatever_the_order(boxes, seed, random):
    day = date(2027, 1, 1)
    box = [Card(Asked(f"05.P{k}", "?", ("a", "b"), "", "a", 0.1, ""), Place(b, day)) for k, b in enumerate(boxes)]
    first = select(box, day, MOST, seed)
    random.shuffle(box)
    second = select(box, day, MOST, seed)
    assert names(q.card for q in first.questions) == names(q.card for q in second.questions)
    asked = [question.card.place.box for question in first.questions]
    assert asked == sorted(boxes)[:MOST]
    assert first.later == max(0, len(boxes) - MOST)


def test_what_was_wrong_before_midnight_is_not_asked_after_it(clock):
    clock.moment = datetime(2027, 3, 1, 23, 58).astimezone()
    commit("05.P1", "more", "less")
    clock.sleep(4 / 24)
    assert due() == []  # two in the morning
    clock.sleep(4 / 24)
    assert names(due()) == ["05.P1"]


# ---- what lies in the box


def test_a_prediction_that_did_not_come_out_is_asked_again(clock):
    assert commit("05.P1", "less", "less").right
    assert not commit("05.P2", 3.0, 2.0, unit="s").right
    assert review().questions == ()
    clock.sleep(1)
    assert "05.P2" in repr(review())
    [question] = review().questions
    assert "What happens?" in question.text
    assert question.unit == "s"
    with pytest.raises(ValueError, match="not a number"):
        question.answer("many")
    judged = question.answer("2,1")
    assert judged.right
    assert "so it is" in repr(judged)
    assert review().questions == ()
    assert review().upcoming == today() + timedelta(days=2)


@pytest.mark.parametrize("typed", ["nan", "inf", "-1e308", "9" * 400, "9" * 5000, "１", "1_0"])
def test_odd_numbers_are_wrong_and_no_error(clock, typed):
    commit("05.P1", 3.0, 2.0)
    check("05.2", 7)
    clock.sleep(1)
    for question in review().questions:
        judged = question.answer(typed)
        assert "✗" in repr(judged) or "not right" in repr(judged)
    assert len(due()) == 0


def test_a_chapter_that_is_run_again_says_nothing_new(clock):
    for measured in (2.0, 2.03, 1.96):
        commit_again = predict("05.P1", "How long?", number=True)
        if commit_again.answer is None:
            commit_again.commit(7)
        predict.outcome("05.P1", measured)
    assert len(journal.events("outcome")) == 1
    predict("05.P1", "How long, now?", number=True)
    predict.outcome("05.P1", 7.0)
    assert len(journal.events("outcome")) == 2
    clock.sleep(1)
    assert due() == []  # another question: what was wrong is no longer asked


def test_a_prediction_comes_with_what_its_page_says_before_it(clock):
    commit("05.P1", "more", "less", question="How long do four threads need?")
    commit("05.P99", "more", "less", question="Which page had this?")
    clock.sleep(1)
    found = {question.card.name: question.text.split("\n\n") for question in review().questions}
    heading, before, question = found["05.P1"]
    assert heading == "**05.P1 · The task-scheduling model · The problem: one more worker**"
    assert "Now we add a fourth thread" in before
    assert question == "How long do four threads need?"
    assert found["05.P99"] == ["**05.P99 · The task-scheduling model**", "Which page had this?"]


def test_without_an_answer_nothing_is_kept(clock):
    predict("05.P1", "?", choices=["more", "less"])
    predict.outcome("05.P1", "less")
    assert journal.events() == []


def test_a_choice_and_a_number_are_asked_and_judged_by_the_same_check(clock):
    assert not check("05.1", "P||Cmax")
    assert not check("05.2", 7)
    assert not check("05.4")  # nothing yet: no answer
    clock.sleep(1)
    found = {question.card.name: question for question in review().questions}
    assert set(found) == {"05.1", "05.2"}
    assert "A studio converts 500 films" in found["05.1"].text
    with pytest.raises(ValueError, match="none of the choices"):
        found["05.1"].answer("the second")
    judged = found["05.1"].answer("b")
    assert judged.passed
    assert "05.1" in Results().solved
    judged = found["05.2"].answer("7/2")
    assert not judged.passed
    assert ("tried", "3.5") in judged.says
    assert judged.says[-1] == ("hint", find("05.2").hints[0])  # not solved yet: where to look
    assert found["05.2"].page == "2-concepts/05-scheduling-model.ipynb"
    places = {card.name: card.place for card in cards()}
    assert places["05.1"] == Place(2, today() + timedelta(days=2))
    assert places["05.2"] == Place(1, today() + timedelta(days=1))


def test_who_has_forgotten_what_was_solved_is_told_how(clock):
    assert not check("05.2", 7)
    assert check("05.2", find("05.2").right_value())
    clock.sleep(1)
    [question] = review().questions
    judged = question.answer("7")
    assert judged.says[-1] == ("hint", find("05.2").hints[2])
    assert "next" not in dict(judged.says)  # `hint` cannot be typed into a review


def test_an_answer_in_code_is_asked_for_three_times(clock):
    solved = find("05.3").expected
    assert not check("05.3", lambda work, span, workers: work)
    assert check("05.3", solved)
    asked = []
    for day in range(30):
        if review().exercises:
            asked.append(day)
            journal.remember("check", "05.3", title=find("05.3").title, passed=True, points=2.0)
        clock.sleep(1)
    assert asked == [1, 5, 21]


def _empty(durations, workers):
    """Do nothing yet."""
    ...


def test_an_exercise_in_code_is_set_and_its_next_check_counts(clock):
    exercise = find("05.3")
    assert not check("05.3", _empty)
    assert not check("05.3", lambda work, span, workers: work)
    clock.sleep(1)
    assert due() == []  # not passed yet: unfinished, not forgotten
    assert check("05.3", exercise.expected)
    assert names(due()) == ["05.3"]
    assert check("05.3", exercise.expected)  # a page that is run again is no review
    assert names(due()) == ["05.3"]
    found = review()
    assert names(found.exercises) == ["05.3"]
    assert "exercises/05-scheduling-model.ipynb" in repr(found)
    review()
    assert sum(1 for each in journal.events("review") if each.get("opened")) == 1
    assert check("05.3", exercise.expected)
    assert due() == []
    assert cards()[0].place == Place(3, today() + timedelta(days=4))  # code is asked for less often


def test_every_exercise_is_asked_in_words_or_opened():
    """The text of the page is there for all that take a choice or a number, but for those with code in the question."""
    asked, opened = 0, []
    for chapter in (each.number for each in chapters()):
        for exercise in exercises_of(chapter):
            question = question_of(Card(exercise, Place(1, date(2027, 1, 1))))
            if question is None:
                opened.append(exercise.id)
            else:
                asked += 1
                assert exercise.id in question.text
                assert exercise.title in question.text
                assert "YOUR CODE" not in question.text
    assert asked > 55
    assert {"05.3", "11.8", "12.9", "22.6"} <= set(opened)
    assert exercise_text(replace(find("05.1"), id="05.99")) is None


def test_review_says_what_it_wants(clock):
    for wrong_count in (2, 11, "5", True, 4.0):
        with pytest.raises(ValueError, match="3 to 10"):
            review(wrong_count)
    assert "Nothing is due" in repr(review())


def test_the_widget_asks_one_after_the_other(clock):
    commit("05.P1", "more", "less")
    check("05.2", 7)
    check("05.3", lambda *_: 0)
    check("05.3", find("05.3").expected)
    clock.sleep(1)
    found = review(seed=1)
    assert "application/vnd.jupyter.widget-view+json" in found._repr_mimebundle_()
    box = found.widget()
    _, text, entry, buttons, verdict, end = box.children
    for question in found.questions:
        assert question.text in text.outputs[0]["data"]["text/markdown"]
        buttons.children[0].click()
        assert "Give an answer first" in verdict.outputs[0]["data"]["text/markdown"]
        entry.children[0].value = "less" if question.choices else "0"
        buttons.children[0].click()
        assert entry.children[0].disabled
        assert "text/html" in verdict.outputs[0]["data"]
        buttons.children[0].click()
    assert "1 of 2 right" in end.value
    assert "05.3" in end.value
    assert names(due()) == ["05.3"]


# ---- what comes next


def test_the_course_begins_with_the_welcome_page(clock):
    [step] = what_next().steps
    assert (step.kind, step.file, step.minutes) == ("chapter", "00-welcome.ipynb", 35)


def test_what_next_names_the_reason(clock):
    predict("00.P1", "When?", number=True).commit(1.0)
    assert [(step.kind, step.what) for step in what_next().steps] == [("chapter", "Read 01 · Why distribute?")]
    solve(1, 0.3)
    assert what_next().steps[0].kind == "go on"
    solve(1)
    check("05.2", 7)
    hint("05.2")
    steps = what_next().steps
    assert [step.kind for step in steps] == ["begun", "go on"]
    assert "05.2" in steps[0].what
    assert "1 answer so far" in steps[0].reason
    assert 'hint("05.2") has 2 more' in steps[0].reason
    clock.sleep(1)
    assert [step.kind for step in what_next().steps] == ["review", "begun", "go on"]
    solve(5)
    steps = what_next().steps
    assert [step.kind for step in steps] == ["review", "chapter"]
    assert steps[1].what == "Read 02 · Measure first"
    assert "it builds on (00)" in steps[1].reason


def test_a_chapter_waits_for_what_it_builds_on(clock):
    solve(1)
    solve(2)
    advised = {step.what for step in what_next().steps if step.kind == "chapter"}
    assert advised == {"Read 03 · Computing models"}
    for number in (3, 4, 5, 6):
        solve(number)
    assert [step.what for step in what_next().steps if step.kind == "chapter"] == ["Read 07 · Protocols"]
    assert not Results().passed(8)


def test_what_was_left_out_and_then_ones_own_program(clock):
    for number in range(1, 25):
        solve(number, 1.0 if number > 1 else 0.9)
    [step] = what_next().steps
    assert step.kind == "rest"
    solve(1)
    [step] = what_next().steps
    assert step.kind == "own"
    assert progress().points == sum(row.max_points for row in progress().rows)


def test_progress_shows_what_is_due_and_what_comes_next(clock):
    solve(1, PASSED_SHARE + 0.2)
    check("05.2", 7)
    clock.sleep(1)
    shown = progress()
    rows = {row.chapter: row for row in shown.rows}
    assert rows[1].passed
    assert (rows[5].due, rows[5].passed, rows[5].title) == (1, False, "The task-scheduling model")
    for text in (repr(shown), shown._repr_html_()):
        assert "What next" in text
        assert "1 of 24 chapters passed" in text
        assert "course review" in text


def test_progress_says_what_is_not_kept(clock, tmp_path, monkeypatch):
    predict("00.P1", "When?", number=True).commit(1.0)
    assert "not remembered" not in repr(progress())
    assert "0 of 24 chapters passed" in repr(progress())  # the welcome page has a row, and no exercises
    assert "0 of 0" not in progress()._repr_html_()
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "a file"))
    predict("00.P1", "When?", number=True).commit(1.0)
    assert "What you do in this kernel is not remembered: " in repr(progress())
    assert "not remembered" in progress()._repr_html_()
    journal.remember("outcome", "00.P1", question="When?", choices=[], value=2.0, tolerance=0.1, right=False)
    clock.sleep(1)
    [question] = review().questions
    assert "not remembered" in repr(question.answer("2"))


def test_links_lead_from_where_the_notebook_is(clock, tmp_path, monkeypatch):
    folder = tmp_path / "a learner's" / "2-concepts"
    folder.mkdir(parents=True)
    (folder.parent / "00-welcome.ipynb").write_text("{}")
    solve(1)
    monkeypatch.chdir(folder)
    assert 'href="../1-background/02-measure-first.ipynb"' in what_next()._repr_html_()
    monkeypatch.chdir(folder.parent)
    assert 'href="1-background/02-measure-first.ipynb"' in what_next()._repr_html_()
    assert str(tmp_path) not in progress()._repr_html_()
    monkeypatch.chdir(tmp_path)
    assert "href" not in what_next()._repr_html_()


# ---- updates, damage, two at once


def test_renamed_reworded_and_removed_exercises(clock):
    first, second, third, *others = exercises_of(5)
    check(first.id, "P||Cmax")
    check(second.id, 7)
    solve(5)
    points = Results().solved
    register(5, [second := replace(second, id="05.20"), replace(third, title="The same, reworded"), *others])
    assert remembered("05.2", second.title) is second
    assert Results().solved == points - {"05.1", "05.2"} | {"05.20"}
    clock.sleep(1)
    assert names(due()) == ["05.20"]
    assert names(review().exercises) == ["05.20"]  # it is not on the page as it came: opened, not asked
    assert progress().points == sum(each.points for each in exercises_of(5))
    register(5, [])
    assert due() == []
    assert what_next().steps
    assert progress().points == 0
    unregister(5)
    assert set(names(due())) == {"05.1", "05.2"}  # nothing was lost


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LINE = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["check", "hint", "predict", "outcome", "review"]) | JSON,
        "name": st.sampled_from(["05.1", "5.2", "05.P1", "77.7", "٣.1", "05.", ""]) | JSON,
    },
    optional={
        "passed": st.booleans() | JSON,
        "right": st.booleans() | JSON,
        "opened": st.booleans() | JSON,
        "question": st.just("What happens?") | JSON,
        "choices": st.just(["more", "less"]) | st.just([]) | JSON,
        "value": st.sampled_from(["more", 1.0, 10**400]) | JSON,
        "tolerance": st.just(0.1) | JSON,
        "title": st.just("Name the problem") | JSON,
        "at": st.sampled_from(["2027-02-01T10:00:00+00:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00",
                               "2027-02-02", "2027-02-03T10:00:00"]) | JSON,
    },
)  # fmt: skip


@given(st.lists(st.one_of(LINE.map(lambda line: json.dumps(line).encode()), st.binary(max_size=30)), max_size=12))
def test_whatever_stands_in_the_journal_the_rest_counts(lines):
    with own_folder() as folder:
        check("05.2", 7)
        path = folder / ".course" / journal.FILE
        mine = path.read_bytes()
        path.write_bytes(b"\n".join(lines) + b"\n" + mine)
        assert "05.2" in {card.name for card in cards()}
        for question in review().questions:
            question.answer("1" if not question.choices else question.choices[0])
        assert 1 <= len(what_next().steps) <= 3
        assert progress()._repr_html_()
        assert path.read_bytes().startswith(b"\n".join(lines) + b"\n" + mine)


def test_a_time_that_cannot_be_true_is_that_of_the_line_before(clock):
    journal.remember("check", "05.1", passed=False)
    for at in ("2099-01-01T00:00:00+00:00", "yesterday", None, 5):
        with open(journal.state_file(journal.FILE), "a") as file:
            file.write(json.dumps({"event": "check", "name": "05.2", "passed": False, "at": at}) + "\n")
    assert {when for when, _ in journal.history()} == {NOON}
    clock.sleep(1)
    assert names(due()) == ["05.1", "05.2"]


def test_two_reviews_at_once(clock):
    commit("05.P1", "more", "less")
    clock.sleep(1)
    [one], [other] = review().questions, review().questions
    one.answer("less")
    other.answer("less")
    assert cards()[0].place == Place(2, today() + timedelta(days=2))


def test_two_processes_review_at_once(tmp_path):
    """Both write whole lines; what one answers, the other sees."""
    home = tmp_path / "home"
    path = home / ".course" / journal.FILE
    path.parent.mkdir(parents=True)
    outcome = {"event": "outcome", "question": "?", "choices": ["a", "b"], "value": "b", "tolerance": 0.1,
               "right": False, "unit": "", "reason": "", "at": "2026-01-01T12:00:00+00:00"}  # fmt: skip
    count = 60
    path.write_text("".join(json.dumps({**outcome, "name": f"05.P{k}"}) + "\n" for k in range(count)))
    code = (
        "from course.practice import review\n"
        "while questions := review(10).questions:\n"
        "    for question in questions: question.answer('b')\n"
    )
    environment = {**os.environ, "COURSE_HOME": str(home)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [each.wait(timeout=120) for each in running] == [0, 0]
    lines = path.read_text().splitlines()
    answered = Counter(json.loads(line)["name"] for line in lines if json.loads(line)["event"] == "review")
    assert set(answered) == {f"05.P{k}" for k in range(count)}
    assert len(lines) == count + answered.total()


# ---- in the terminal


def type_in(monkeypatch, *answers):
    waiting = iter(answers)

    def read(prompt=""):
        print(prompt, end="")
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)


def test_course_next(clock, capsys):
    assert main(["next"]) == 0
    assert "1. Read 00 · Welcome, 35 min (00-welcome.ipynb)" in capsys.readouterr().out


def test_course_review_asks_and_judges(clock, capsys, monkeypatch):
    assert main(["review"]) == 0
    assert "Nothing is due" in capsys.readouterr().out
    commit("05.P1", "more", "less")
    check("05.2", 7)
    clock.sleep(1)
    assert main(["review", "--list"]) == 0
    assert "2 questions" in capsys.readouterr().out
    type_in(monkeypatch, "nonsense", "less" if review(seed=3).questions[0].choices else str(20 / 11), "")
    assert main(["review", "--seed", "3", "--questions", "3"]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 right" in said
    assert "left for later" in said
    assert "nonsense" in said
    assert "**" not in said
    assert len(due()) == 1
    type_in(monkeypatch)
    assert main(["review"]) == 0
    assert "stays due" in capsys.readouterr().out


def test_course_review_shows_each_choice_once_and_what_to_read(clock, capsys, monkeypatch):
    check("05.1", "P||Cmax")
    clock.sleep(1)
    type_in(monkeypatch, "a")
    assert main(["review"]) == 0
    said = capsys.readouterr().out
    assert "  b) R||Cmax: R || C_max" in said
    assert said.count("R||Cmax") == 1
    assert "read      2-concepts/05-scheduling-model.ipynb" in said
    assert "What was wrong comes again tomorrow." in said


def test_course_review_refuses(clock, capsys):
    assert main(["review", "--questions", "50"]) == 1
    assert "3 to 10" in capsys.readouterr().err


# ---- weeks of it


def test_a_learner_over_weeks():
    """The short form of ``make drill ARGS=learners``: what is told is possible, due, and brings the learner on."""
    with own_folder():
        diary = Learner(1).study(75, EVENTS)
        assert diary.broken == []
        assert diary.points > 150
        assert sum(diary.asked.values()) > 30
        assert max(diary.asked) >= 4
        assert diary.lines == len(journal.events())
        assert progress().points == diary.points
