"""The glossary and the formula sheet: complete, stored as they are made, and searchable."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

from course import models
from course.notebook import normalise
from course.reference import formula_of, search_formulas, search_terms, symbols, terms, topics
from course.reference.pages import formula_page, glossary_page
from course.reference.search import MOST, Entry, answer, search
from course.reference.symbols import rows_of
from course.syllabus import chapters

APPENDIX = Path(__file__).parents[1] / "notebooks" / "6-appendix"


@pytest.mark.parametrize(("name", "page"), [("26-glossary", glossary_page), ("27-formulas", formula_page)])
def test_the_stored_page_is_what_is_made(name, page):
    stored = nbformat.read(APPENDIX / f"{name}.ipynb", as_version=4)
    made = normalise(page())
    sources = [[(cell.cell_type, cell.source) for cell in notebook.cells] for notebook in (stored, made)]
    assert sources[0] == sources[1], "make it anew: python -m course.notebook reference"


def test_every_formula_is_on_the_sheet():
    functions = {name for name in models.__all__ if inspect.isfunction(getattr(models, name))}
    on_sheet = [formula.name for topic in topics() for formula in topic.formulas]
    # What comes from elsewhere and is only handed on is no formula of ours.
    own = {name for name in functions if getattr(models, name).__module__.startswith("course.models.")}
    assert sorted(on_sheet) == sorted(own)
    assert len(own) > 140


def test_a_formula_is_what_its_documentation_says():
    found = formula_of(models.usl)
    assert found.tex == (r"X(m) = \frac{\gamma \, m}{1 + \sigma (m - 1) + \kappa \, m (m - 1)}",)
    assert [name for name, _ in found.symbols] == ["workers", "rate", "contention", "coherency"]
    assert found.chapters == (1, 17)
    assert found.notes == "Amdahl's law where κ = 0, with σ the serial fraction f."
    assert "Guerrilla Capacity Planning" in found.references


def test_what_lacks_a_formula_is_refused():
    def bare(workers: int) -> int:
        """Return something. Chapter 05."""

    with pytest.raises(ValueError, match="the documentation of bare states no formula"):
        formula_of(bare)


def test_text_is_markdown_and_no_longer_restructured_text():
    for page in (formula_page(), glossary_page()):
        for cell in page.cells:
            assert ":math:" not in cell.source
            assert ".. " not in cell.source
            assert "``" not in cell.source
            assert cell.source.count("$$") % 2 == 0


def test_see_also_leads_to_terms():
    known = {term.term for term in terms()}
    assert {other for term in terms() for other in term.see_also} <= known


def test_search_is_by_all_words_and_titles_come_first():
    entries = [Entry("mmc", "many servers in one queue", ""), Entry("queue", "a line", ""), Entry("other", "QUEUE", "")]
    assert [entry.title for entry in search(entries, "Queue")] == ["queue", "mmc", "other"]
    assert [entry.title for entry in search(entries, "queue many")] == ["mmc"]
    assert search(entries, " ") == []


def test_a_pasted_message_finds_what_has_most_of_its_words():
    entries = [Entry("mmc", "many servers in one queue", ""), Entry("queue", "a line", "")]
    assert [entry.title for entry in search(entries, "“Many servers”: 17 in one queue!")] == ["mmc"]
    assert search(entries, "queue of seventeen workers") == []


def test_an_answer_says_how_many_more_there_are():
    entries = [Entry(f"e{k}", "x", f"**e{k}**") for k in range(MOST + 3)]
    assert answer(entries, "x").endswith("and 3 more: type another word.")
    assert answer(entries, "x").count("**e") == MOST
    assert answer(entries, "") == f"{MOST + 3} entries; type a word, or a part of one."
    assert "Nothing has “y”" in answer(entries, "y")


def test_the_boxes_answer_while_one_types():
    for box, word, expected in ((search_terms(), "最大完工", "makespan"), (search_formulas(), "erlang_c", "C(c, a)")):
        box.field.value = word
        (shown,) = box.output.outputs
        assert expected in shown["data"]["text/markdown"]
        bundle = box._repr_mimebundle_()
        assert "entries; type a word" in bundle["text/plain"]
        assert "application/vnd.jupyter.widget-view+json" in bundle


def letters(markdown: str) -> set[str]:
    """Return the letters of a text's formulas, Greek ones in LaTeX; without the words that stand in formulas."""
    prose = re.sub(r"(`+).*?\1", "", markdown, flags=re.DOTALL)  # a $ in code begins no formula
    found = set()
    for formula in re.findall(r"\$\$.+?\$\$|(?<!\\)\$[^$]+\$", prose, flags=re.DOTALL):
        formula = re.sub(r"\\(?:text|mathrm|texttt|operatorname) *\{[^{}]*\}", " ", formula)
        found |= set(re.findall(r"\\[A-Za-z]+", formula))
        # Letters side by side are multiplied; more than three are a word.
        found |= set(re.sub(r"\\[A-Za-z]+|[A-Za-z]{4,}", " ", formula))
    return found


def test_the_letters_of_a_text():
    text = r"a: $T_m \le \frac{W}{m}\text{ (if so)}$, `$P` and $K$\n\n$$\lambda\, kC \mid prec$$"
    assert {each for each in letters(text) if each[-1].isalpha()} == {*"TmWKkC", r"\le", r"\frac", r"\lambda", r"\mid"}
    assert not letters("Costs 5 USD, and A is a word.")


@cache
def markdown_of_chapters() -> dict[int, list[str]]:
    """Return the Markdown cells of all chapters that are there."""
    found = {}
    for chapter in chapters():
        path = APPENDIX.parent / chapter.file
        if path.exists() and chapter.part != "Appendix":
            cells = nbformat.read(path, as_version=4).cells
            found[chapter.number] = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return found


def made_up(exceptions: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Return which exceptions no table of symbols and no formula of their chapter makes.

    A chapter that is not there yet makes those that are said of it.
    """
    there = markdown_of_chapters()
    known = {number: set().union(*map(letters, cells)) for number, cells in there.items()}
    rows = {(symbol, number) for number, cells in there.items() for text in cells for symbol, _, _ in rows_of(text)}
    planned = {chapter.number for chapter in chapters()} - set(there)
    return {
        (symbol, number)
        for symbol, number in exceptions - rows
        if number not in planned and symbol.strip("$").split("=")[0].strip() not in known.get(number, set())
    }


def test_symbols_mean_the_same_in_all_chapters():
    """The tables of symbols in the chapters have the unit of the course's table, or are named there as exceptions."""
    known = {each.symbol: each for each in symbols()}
    seen = 0
    for number, cells in markdown_of_chapters().items():
        for symbol, unit, meaning in (row for text in cells for row in rows_of(text)):
            if symbol not in known:
                continue
            seen += 1
            if not unit.startswith(known[symbol].unit):
                assert number in known[symbol].elsewhere, (number, symbol, unit, meaning)
    assert seen > 70


def test_exceptions_are_made_by_their_chapters():
    exceptions = {(each.symbol, number) for each in symbols() for number in each.elsewhere}
    assert not made_up(exceptions)
    wrong = {(r"$\kappa$", 8), (r"$\rho = \lambda/\mu$", 5), ("$Z$", 11), ("$A$", 99)}
    assert made_up(exceptions | wrong) == wrong
