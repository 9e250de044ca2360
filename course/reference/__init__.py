"""What is looked up: the glossary of chapter 26, and the formula sheet of chapter 27."""

from course.reference.formulas import Formula, Topic, formula_of, topics
from course.reference.glossary import Term, terms
from course.reference.pages import search_formulas, search_terms

__all__ = ["Formula", "Term", "Topic", "formula_of", "search_formulas", "search_terms", "terms", "topics"]
