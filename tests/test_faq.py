"""The frequently asked questions: each complete, answered briefly and from real threads; the index and the box."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from course.reference import question_index, questions, search_questions
from course.reference.questions import QUESTIONS, read_questions
from course.reference.search import MOST
from course.syllabus import chapters
from tests.notebook_form import Page, anchors, links

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PAGE = Page(NOTEBOOKS / next(each.file for each in chapters() if each.number == QUESTIONS), NOTEBOOKS)
LEAST, MOST_WORDS, MOST_LINES = 30, 150, 12
SOURCE = re.compile(
    r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+"
    r"|https://(docs|distributed)\.dask\.org/en/stable/[\w/-]+\.html"
    r"|https://stackoverflow\.com/questions/\d+(/[\w-]+)?"
    r"|https://dask\.discourse\.group/t/[\w-]+/\d+"
)
each_question = pytest.mark.parametrize("question", questions(), ids=lambda each: each.anchor)


def words(text: str) -> list[str]:
    return re.sub(r"<[^>]*>|\]\([^)]*\)", " ", text).split()


def test_there_are_enough_in_several_groups():
    assert len(questions()) >= LEAST
    assert len({each.group for each in questions()}) >= 10


def test_no_question_is_there_twice():
    for name in ("anchor", "question", "short", "code"):
        found = [getattr(each, name).casefold() for each in questions()]
        assert len(set(found)) == len(found), name


@each_question
def test_an_answer_is_short_and_says_when_it_fails(question):
    assert 40 <= len(words(question.answer)) < MOST_WORDS
    assert 3 <= len(words(question.short)) <= 25, "the answer begins with a bold sentence"
    assert question.answer.count("*When this fails*:") == 1


@each_question
def test_a_cell_shows_the_answer(question):
    lines = [line for line in question.code.splitlines() if line.strip()]
    assert 1 <= len(lines) <= MOST_LINES
    assert "print(" in question.code


@each_question
def test_no_cell_waits_for_ever(question):
    """What waits has a limit: `until`, or a time-out."""
    assert not re.findall(r"\.wait\(\)|\.result\(\)|(?<!\.)\bwait\((?![^\n]*timeout=)", question.code)
    assert "sleep" not in "".join(re.findall(r"^ *while .*\n(?: +.*\n)*", question.code + "\n", re.MULTILINE))


@each_question
def test_sources_are_threads_and_more_is_in_chapters(question):
    asked, _, more = question.sources.partition("<br>\n*More*: ")
    sources = [target for _, _, target in links(asked)]
    assert sources
    assert all(SOURCE.fullmatch(target) for target in sources), sources
    assert len(set(sources)) == len(sources)
    for _, text, target in links(asked):
        # The text of a link is the thread's repository and number, its title and year follow.
        if "github.com" in target:
            assert text == re.sub(r"https://github\.com/(.+?)/(issues|pull)/", r"\1#", target)
        assert re.search(rf"{re.escape(target)}\) \(\*.+?\*, 20[12]\d\)", asked), target
    files = {f"../{each.file}": f"{each.number:02d} · {each.title}" for each in chapters()}
    told = links(more)
    assert told
    assert all(files.get(target) == text for _, text, target in told), told


def test_the_index_has_all_questions_and_every_link_leads_somewhere():
    cells = [cell.source for cell in PAGE.notebook.cells]
    assert f"## Index\n\n{question_index()}" in cells, "replace the index by what question_index() returns"
    assert question_index().count("<a href") == len(questions())
    targets = {target for cell in cells for target in re.findall(r'<a href="#([^"]*)"', cell)}
    assert targets == {each.anchor for each in questions()} <= anchors(PAGE)


def test_outputs_are_compared():
    """What the cells print is exact: no output is left out of the comparison."""
    tags = [cell.metadata.get("tags", []) for cell in PAGE.notebook.cells]
    assert not [each for each in tags if "nbval-ignore-output" in each]


@pytest.mark.parametrize(
    ("typed", "anchor"),
    [
        ("KilledWorker", "killed-worker"),
        ("large graph", "large-graph"),
        ("set_index", "set-index"),
        ("Sending large graph of size 15.26 MiB.", "large-graph"),
        ("Mismatched dtypes found in `pd.read_csv`/`pd.read_table`.", "csv-dtypes"),
        ("Event loop was unresponsive in Worker for 12.3s.", "unresponsive"),
    ],
)
def test_the_box_finds_a_question_by_its_words(typed, anchor):
    box = search_questions()
    box.field.value = typed
    (shown,) = box.output.outputs
    assert f'<a href="#{anchor}">' in shown["data"]["text/markdown"]
    assert shown["data"]["text/markdown"].count("<a href") <= MOST


def test_what_lacks_its_cell_is_refused():
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    head, sources = markdown('<a id="x"></a>\n\n### Why?\n\n**So.** Because.'), markdown("*Asked in*: [a#1](b).")
    notebook = nbformat.v4.new_notebook(cells=[markdown("## Group"), head, code("print(1)"), sources])
    (question,) = read_questions(notebook)
    assert (question.group, question.anchor, question.question, question.short) == ("Group", "x", "Why?", "So.")
    for missing in (2, 3):
        cells = [cell for k, cell in enumerate(notebook.cells) if k != missing]
        with pytest.raises(ValueError, match="cell 1 is no question"):
            read_questions(nbformat.v4.new_notebook(cells=cells))
    head.source = head.source.replace('<a id="x"></a>\n\n', "")
    with pytest.raises(ValueError, match="cell 1 is no question"):
        read_questions(notebook)
