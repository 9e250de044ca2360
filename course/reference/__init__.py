"""What is looked up: the glossary of chapter 26, and the formula sheet of chapter 27."""

from course.reference.formulas import Formula, Topic, formula_of, topics
from course.reference.glossary import Term, terms
from course.reference.pages import search_formulas, search_terms
from course.reference.symbols import Symbol, symbols

__all__ = [
    "Formula",
    "Symbol",
    "Term",
    "Topic",
    "formula_of",
    "search_formulas",
    "search_terms",
    "symbols",
    "terms",
    "topics",
]
