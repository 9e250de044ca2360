"""What is looked up: the questions of chapter 25, the glossary of chapter 26, and the formula sheet of chapter 27."""

from course.reference.formulas import Formula, Topic, formula_of, topics
from course.reference.glossary import Term, terms
from course.reference.pages import search_formulas, search_terms
from course.reference.questions import Question, question_index, questions, search_questions
from course.reference.symbols import Symbol, symbols

__all__ = [
    "Formula",
    "Question",
    "Symbol",
    "Term",
    "Topic",
    "formula_of",
    "question_index",
    "questions",
    "search_formulas",
    "search_questions",
    "search_terms",
    "symbols",
    "terms",
    "topics",
]
