"""Chapters 26 and 27, made: the cells of the glossary and of the formula sheet."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import groupby

import nbformat
from nbformat import NotebookNode

from course.reference.formulas import Formula, Topic, topics
from course.reference.glossary import Term, sort_key, terms
from course.reference.search import Entry, SearchBox
from course.reference.symbols import symbols
from course.syllabus import chapters

GLOSSARY, FORMULAS = 26, 27
_FOLDER = "6-appendix"
_SHAPE = re.compile(r"[,;]? ?[Oo]f the (broadcast )?shape of (the arguments|`\w+`)\.?$")


# ---- what is searched


def search_terms() -> SearchBox:
    """Return a box to search the glossary in, by English or Chinese."""
    return SearchBox([_term_entry(term) for term in terms()], "Find a term:")


def search_formulas() -> SearchBox:
    """Return a box to search the formula sheet in."""
    return SearchBox([_formula_entry(formula) for topic in topics() for formula in topic.formulas], "Find a formula:")


def _term_entry(term: Term) -> Entry:
    return Entry(f"{term.term} {term.chinese}", term.definition, _term(term))


def _formula_entry(formula: Formula) -> Entry:
    words = [formula.summary, *(" ".join(each) for each in formula.symbols), formula.notes, formula.references]
    return Entry(formula.name, " ".join(words), _formula(formula))


# ---- the pages


def glossary_page() -> NotebookNode:
    """Return chapter 26, not executed."""
    letters = groupby(terms(), key=lambda term: sort_key(term.term)[0].upper())
    entries = [f"### {letter}\n\n" + "\n\n".join(_term(term) for term in group) for letter, group in letters]
    count = len(terms())
    return _page(
        GLOSSARY,
        f"{count} terms, each with its Chinese name, the sentence that defines it, and the chapter that does. In a"
        " chapter, a term stands in bold, with its Chinese name in brackets, where it is defined. Type a part of a"
        " word, in either language:",
        "search_terms",
        ["## All terms", *entries],
        "A term that a chapter defines and that is not here, or the other way round, fails a test of the course.",
    )


def formula_page() -> NotebookNode:
    """Return chapter 27, not executed."""
    count = sum(len(topic.formulas) for topic in topics())
    return _page(
        FORMULAS,
        f"{count} formulas, each with its arguments, what it takes for granted, its source, and the chapters that teach"
        " it. All of it is the documentation of the function that computes it, in `course.models`: `help(models.mmc)`"
        " shows the same, with an example. Where a number is wanted, an array will do; the result is then one, too."
        " Type a part of a name, or words:",
        "search_formulas",
        [_symbols(), *(text for topic in topics() for text in _topic(topic))],
        "A letter that is not in the table of symbols has the meaning that its formula, or its chapter, gives it.",
    )


def _page(number: int, intro: str, search: str, body: Iterable[str], end: str) -> NotebookNode:
    chapter = next(each for each in chapters() if each.number == number)
    head = f"# {number} · {chapter.title}\n\n**{chapter.question}**\n\n{intro}"
    cells = [
        nbformat.v4.new_markdown_cell(head),
        nbformat.v4.new_code_cell(f"from course.reference import {search}\n\n{search}()"),
        *(nbformat.v4.new_markdown_cell(text) for text in body),
        nbformat.v4.new_markdown_cell(f"{end}\n\n{_neighbours(number)}"),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def _neighbours(number: int) -> str:
    known = {chapter.number: chapter for chapter in chapters()}
    links = []
    for name, other in (("Previous", number - 1), ("Next", number + 1)):
        if other in known:
            links.append(f"{name}: {chapter_link(other, known[other].title)}")
    return " · ".join(links)


def chapter_link(number: int, text: str | None = None) -> str:
    """Return a chapter's number, with a title if one is given, linked from the appendix if the chapter is written.

    Examples
    --------
    >>> chapter_link(5)
    '[05](../2-concepts/05-scheduling-model.ipynb)'
    """
    chapter = next(each for each in chapters() if each.number == number)
    shown = f"{number:02d}" + (f" {text}" if text else "")
    return f"[{shown}]({posixpath.relpath(chapter.file, _FOLDER)})" if chapter.written else shown


def _term(term: Term) -> str:
    also = f" *See also*: {', '.join(term.see_also)}." if term.see_also else ""
    return f"**{term.term}** {term.chinese}: {term.definition} Chapter {chapter_link(term.chapter)}.{also}"


def _symbols() -> str:
    rows = [
        f"| {each.symbol} | {each.unit} | {each.meaning} | "
        + "; ".join(f"{chapter_link(number)}: {text}" for number, text in each.elsewhere.items())
        + " |"
        for each in symbols()
    ]
    head = ["| symbol | unit | meaning | but in chapter |", "| --- | --- | --- | --- |"]
    intro = (
        "They mean the same throughout the course, but where the last column says otherwise; in chapter 24, symbols"
        " hold within a section."
    )
    return f"## Symbols\n\n{intro}\n\n" + "\n".join(head + rows)


def _topic(topic: Topic) -> Iterator[str]:
    yield f"## {topic.title}"
    yield from (_formula(formula) for formula in topic.formulas)


def _formula(formula: Formula) -> str:
    summary = re.sub(r"^(Return|Fit) ", "", formula.summary)
    parts = [f"### `{formula.name}`", summary[:1].upper() + summary[1:]]
    parts += [_display(tex) for tex in formula.tex]
    if formula.symbols:
        rows = [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in formula.symbols]
        parts.append("\n".join(["| argument | meaning |", "| --- | --- |", *rows]))
    # That arrays give arrays holds of nearly all, and is said once.
    if result := _SHAPE.sub("", formula.result).strip():
        parts.append(f"*Result*: {result.rstrip('.')}.")
    parts += [formula.notes] if formula.notes else []
    parts += [f"*Source*: {formula.references}"] if formula.references else []
    where = ", ".join(chapter_link(number) for number in formula.chapters)
    parts.append(f"*Taught in* {where}.")
    return "\n\n".join(parts)


def _display(tex: str) -> str:
    """Return a formula on lines of its own; several lines of it, which `&` aligns, are one picture."""
    aligned = "&" in tex and r"\begin" not in tex
    return f"$$\\begin{{aligned}} {tex} \\end{{aligned}}$$" if aligned else f"$${tex}$$"
