"""What is looked up: the formula sheet of chapter 27, and the glossary of chapter 26."""

from course.reference.formulas import Formula, Topic, formula_of, topics

__all__ = ["Formula", "Topic", "formula_of", "topics"]
