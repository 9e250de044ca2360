"""The questions of chapter 25, read from its notebook: what its index and its search box are made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import nbformat
from nbformat import NotebookNode

from course.datafiles import notebooks_folder
from course.reference.search import Entry, SearchBox
from course.syllabus import chapters

QUESTIONS = 25
_HEAD = re.compile(r'<a id="([\w-]+)"></a>\n\n### (.+)\n\n(.+)\Z', re.DOTALL)


@dataclass(frozen=True)
class Question:
    """A question and its answer.

    Attributes
    ----------
    group : str
        The heading under which it stands.
    anchor : str
        What a link to it names.
    question, answer : str
        In Markdown. The answer begins with a bold sentence, which is the short answer.
    code : str
        The cell that shows it.
    sources : str
        The line of Markdown that says where it was asked, and which chapters say more.
    """

    group: str
    anchor: str
    question: str
    answer: str
    code: str
    sources: str

    @property
    def short(self) -> str:
        """The short answer, without its stars."""
        found = re.match(r"\*\*(.+?)\*\*", self.answer)
        return found[1] if found else ""

    @property
    def link(self) -> str:
        """The question, linked to its place on the page; as HTML, which all that show notebooks understand."""
        return f'<a href="#{self.anchor}">{self.question}</a>'


def read_questions(notebook: NotebookNode) -> tuple[Question, ...]:
    """Return the questions of a notebook, in their order.

    A question is three cells below a heading of level 2: an anchor, a heading of level 3 and the answer; the code; and
    the line that begins ``*Asked in*``.

    Raises
    ------
    ValueError
        Naming the question that lacks one of the three.
    """
    found, group, cells = [], "", notebook.cells
    for k, cell in enumerate(cells):
        if cell.cell_type != "markdown":
            continue
        if heading := re.match(r"## (.+)", cell.source):
            group = heading[1].strip()
        elif "\n### " in f"\n{cell.source}":
            head = _HEAD.match(cell.source)
            kinds = [each.cell_type for each in cells[k + 1 : k + 3]]
            if head is None or kinds != ["code", "markdown"] or not cells[k + 2].source.startswith("*Asked in*"):
                raise ValueError(f"cell {k} is no question, code and sources: {cell.source[:80]!r}")
            anchor, question, answer = head.groups()
            found.append(Question(group, anchor, question, answer, cells[k + 1].source, cells[k + 2].source))
    return tuple(found)


@cache
def questions() -> tuple[Question, ...]:
    """Return the questions of chapter 25.

    Raises
    ------
    FileNotFoundError
        The notebook is neither in the checkout nor in the package.
    """
    file = next(chapter.file for chapter in chapters() if chapter.number == QUESTIONS)
    return read_questions(nbformat.read(notebooks_folder() / file, as_version=4))


def question_index() -> str:
    """Return the index of chapter 25 in Markdown: the groups, and in each a link to every question."""
    groups = groupby(questions(), key=lambda each: each.group)
    return "\n\n".join(f"**{group}**\n\n" + "\n".join(f"- {each.link}" for each in of) for group, of in groups)


def search_questions() -> SearchBox:
    """Return a box to search the questions and their answers in."""
    entries = [
        Entry(each.question, f"{each.group} {each.answer} {each.code} {each.sources}", f"{each.link}<br>{each.short}")
        for each in questions()
    ]
    return SearchBox(entries, "Find a question:")
