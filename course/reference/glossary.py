"""The glossary: every term that a chapter defines, from the table ``data/glossary.csv``.

Shown in chapter 26, which is made from here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from course.datafiles import data_file


@dataclass(frozen=True)
class Term:
    """A term of the course.

    Attributes
    ----------
    term, chinese : str
        In English and in Simplified Chinese.
    definition : str
        One sentence.
    chapter : int
        The chapter that defines it.
    see_also : tuple of str
        Other terms of the table.
    """

    term: str
    chinese: str
    definition: str
    chapter: int
    see_also: tuple[str, ...]


@cache
def terms() -> tuple[Term, ...]:
    """Return all terms, in the order of the alphabet.

    Examples
    --------
    >>> next(term.chinese for term in terms() if term.term == "makespan")
    '最大完工时间'
    """
    with open(data_file("glossary.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = (
        Term(
            row["term"], row["chinese"], row["definition"], int(row["chapter"]),
            tuple(each.strip() for each in row["see_also"].split(";") if each.strip()),
        )
        for row in rows
    )  # fmt: skip
    return tuple(sorted(found, key=lambda term: sort_key(term.term)))


def sort_key(term: str) -> str:
    """Return what a term is sorted by: its letters, Greek ones by their names, without case and signs.

    Examples
    --------
    >>> sorted(["b-level", "α–β model", "A/A test", "batching"], key=sort_key)
    ['A/A test', 'α–β model', 'batching', 'b-level']
    """
    greek = {"α": "alpha", "β": "beta", "γ": "gamma", "φ": "phi", "λ": "lambda", "ρ": "rho"}
    spelt = "".join(greek.get(letter, letter) for letter in term.casefold())
    return "".join(letter for letter in spelt if letter.isalnum())
