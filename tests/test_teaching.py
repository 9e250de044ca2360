"""The teacher's guide: a page for each chapter, held against the chapter, its exercises and its explorers."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

from course.cli import parser
from course.practice.exercises import exercises_of
from course.syllabus import chapters

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "notebooks" / "teaching"
TAUGHT = [chapter for chapter in chapters() if chapter.written and exercises_of(chapter.number)]
SECTIONS = ["Goals", "In 45 minutes", "In 90 minutes", "Show live", "Misconceptions", "Answers", "Rubric"]
MOST_WORDS = 1600
each_chapter = pytest.mark.parametrize("chapter", TAUGHT, ids=lambda chapter: chapter.file)


def guide(chapter) -> str:
    return (GUIDES / Path(chapter.file).with_suffix(".md").name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def notebook(chapter) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / chapter.file, as_version=4)


def explorers(chapter) -> list:
    """Return the explorers of a chapter, in order."""
    found = []
    for cell in notebook(chapter).cells:
        for name in re.findall(r"from course\.explorers\.(\w+) import explorer", cell.source):
            found.append(import_module(f"course.explorers.{name}").explorer)
    return found


def tries(chapter) -> list[int]:
    """Return how many things to try each explorer of a chapter has: the list before its cell, or else after it."""
    cells = notebook(chapter).cells
    found = []
    for k, cell in enumerate(cells):
        if cell.cell_type == "code" and "course.explorers." in cell.source:
            beside = [each.source for each in (cells[k - 1], cells[k + 1]) if each.cell_type == "markdown"]
            counts = [len(re.findall(r"^(?:\d+\.|-) ", text, flags=re.MULTILINE)) for text in beside]
            found.append(next((count for count in counts if count), 0))
    return found


def predictions(chapter) -> set[str]:
    """Return the names of a chapter's predictions, from its stored outputs: some are asked in a loop."""
    texts = [
        output.get("data", {}).get("text/plain", "")
        for cell in notebook(chapter).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    return set(re.findall(r"Predict before you look \((\d\d\.P\d+)\)", "\n".join(texts)))


@each_chapter
def test_it_has_its_sections_and_no_more_words_than_are_read_before_a_class(chapter):
    text = guide(chapter)
    assert text.startswith(f"# {chapter.number:02d} · {chapter.title}: to teach it\n")
    assert list(sections(text)) == SECTIONS
    assert len(text.split()) < MOST_WORDS


@each_chapter
def test_goals_name_each_objective(chapter):
    objectives = re.findall(r"^- \*\*(\d\d\.\d+)\*\*", notebook(chapter).cells[0].source, flags=re.MULTILINE)
    assert re.findall(r"^- \*\*(\d\d\.\d+)\*\*", sections(guide(chapter))["Goals"], flags=re.MULTILINE) == objectives


@each_chapter
@pytest.mark.parametrize("minutes", [45, 90])
def test_a_timetable_adds_up(chapter, minutes):
    table = rows(sections(guide(chapter))[f"In {minutes} minutes"])
    assert sum(int(row[0]) for row in table) == minutes
    assert all(len(row) == 3 and all(row) for row in table)


@each_chapter
def test_each_misconception_has_its_question(chapter):
    table = rows(sections(guide(chapter))["Misconceptions"])
    assert len(table) >= 3
    assert all(len(row) == 3 and "?" in row[1] for row in table)


@each_chapter
def test_each_question_of_the_chapter_has_its_answer(chapter):
    answers = sections(guide(chapter))["Answers"]
    asked = predictions(chapter)
    assert asked == set(re.findall(r"^- \*\*(\d\d\.P\d+)\*\*", answers, flags=re.MULTILINE))
    answered = [
        len(re.findall(r"^\d+\. ", part, flags=re.MULTILINE))
        for part in re.split(r"^\*\*", answers, flags=re.MULTILINE)
    ]
    assert [count for count in answered[1:]] == tries(chapter), "one answer for each thing to try, explorer by explorer"


@each_chapter
def test_the_findings_are_those_of_the_explorers(chapter):
    """A quoted finding is what the explorer says for that preset: no number in it was typed."""
    answers = sections(guide(chapter))["Answers"]
    parts = re.split(r"^\*\*", answers, flags=re.MULTILINE)[1:]
    quoted = 0
    for explorer, part in zip(explorers(chapter), parts, strict=True):
        for preset, finding in re.findall(r"^> \*([^*]+)\*: (.*)$", part, flags=re.MULTILINE):
            view = explorer.view()
            view.set(**explorer.presets[preset])
            assert finding == view.finding, preset
            quoted += 1
    assert quoted >= 2 or not parts


@each_chapter
def test_the_rubric_has_each_exercise_with_its_points(chapter):
    table = [(row[0], int(row[1])) for row in rows(sections(guide(chapter))["Rubric"])]
    assert table == [(each.id, each.points) for each in exercises_of(chapter.number)]


@each_chapter
def test_it_quotes_nothing_that_was_measured(chapter):
    """Such a number goes stale when the chapter is stored anew: the page says where to look, and what is seen."""
    text = " ".join(guide(chapter).split())
    assert re.findall(r"[^.|]*(?:machine that made the page|on that machine|The ledger there)[^.|]*", text) == []


def test_links_lead_somewhere():
    for path in GUIDES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert target.startswith("http") or (path.parent / target).exists(), (path.name, target)


# ---- the first page

FIRST = (GUIDES / "README.md").read_text(encoding="utf-8")


def test_the_first_page_links_each_chapters_page_by_its_title():
    pages = re.findall(r"\[(\d\d)\]\((\S+?\.md)\) ([^·|]+?) ?(?=[·|])", sections(FIRST)["All pages"])
    assert pages == [
        (f"{each.number:02d}", Path(each.file).with_suffix(".md").name, each.title) for each in TAUGHT
    ]  # fmt: skip
    assert {path.name for path in GUIDES.glob("[0-9]*.md")} == {name for _, name, _ in pages}


def test_the_plan_of_a_term_has_each_chapter_after_those_that_it_needs_and_the_time_of_its_exercises():
    known = {each.number: each for each in chapters()}
    order, weeks = [], rows(sections(FIRST)["A term"])
    assert len(weeks) == 14
    for _, first, second, minutes in weeks:
        taught = [int(number) for number in re.findall(r"\[(\d\d)\]", first + second)]
        order += taught
        assert sum(known[number].exercise_minutes for number in taught) == int(minutes)
    assert sorted(order) == [0, *(each.number for each in TAUGHT)]
    [short] = re.findall(r"With \*one\* session a week: ([\d, ]+) \(", sections(FIRST)["A term"])
    for plan in (order, [0, *map(int, short.split(", "))]):
        for place, number in enumerate(plan):
            assert set(known[number].prerequisites) <= set(plan[:place]), number
    assert len(short.split(", ")) == 14


def test_the_commands_of_the_first_page_are_commands():
    lines = re.findall(r"^ *\$ course (.*)$", FIRST, re.MULTILINE)
    steps = ("check", *["assignment"] * 5, "blank")
    assert [parser().parse_args(shlex.split(line)).run.__module__ for line in lines] == [
        f"course.cli.{step}" for step in steps
    ]
