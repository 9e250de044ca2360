"""The glossary and the formula sheet: complete, stored as they are made, and searchable."""

from __future__ import annotations

import inspect
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


def test_symbols_mean_the_same_in_all_chapters():
    """The tables of symbols in the chapters have the unit of the course's table, or are named there as exceptions."""
    known = {each.symbol: each for each in symbols()}
    seen, used = 0, set()
    for chapter in chapters():
        path = APPENDIX.parent / chapter.file
        if not path.exists() or chapter.part == "Appendix":
            continue
        for cell in nbformat.read(path, as_version=4).cells:
            for symbol, unit, meaning in rows_of(cell.source) if cell.cell_type == "markdown" else ():
                if symbol not in known:
                    continue
                seen += 1
                if not unit.startswith(known[symbol].unit):
                    assert chapter.number in known[symbol].elsewhere, (chapter.number, symbol, unit, meaning)
                used.add((symbol, chapter.number))
    assert seen > 70
    exceptions = {(each.symbol, number) for each in symbols() for number in each.elsewhere}
    assert exceptions - used <= {("$S$", 16)}, "an exception that no chapter makes"
