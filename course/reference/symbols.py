"""The symbols that mean the same in the whole course, and where one had to mean something else.

Shown in chapter 27. The table is ``data/symbols.csv``; a test holds the tables of the chapters to it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from course.datafiles import data_file


@dataclass(frozen=True)
class Symbol:
    """A symbol of the course.

    Attributes
    ----------
    symbol : str
        In Markdown.
    unit, meaning : str
    elsewhere : dict of int to str
        Chapters in which it means something else, and what.
    """

    symbol: str
    unit: str
    meaning: str
    elsewhere: dict[int, str]


@cache
def symbols() -> tuple[Symbol, ...]:
    """Return the symbols of the course.

    Examples
    --------
    >>> symbols()[0].symbol, symbols()[0].unit
    ('$m$', '–')
    """
    with open(data_file("symbols.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        parts = (part.partition(":") for part in row["elsewhere"].split(";") if part.strip())
        elsewhere = {int(number): text.strip() for number, _, text in parts}
        found.append(Symbol(row["symbol"], row["unit"], row["meaning"], elsewhere))
    return tuple(found)


def rows_of(text: str) -> Iterator[tuple[str, str, str]]:
    """Give symbol, unit and meaning of each row of the tables of symbols in a Markdown text; one symbol at a time.

    Examples
    --------
    >>> list(rows_of("| symbol | unit | meaning |\\n| --- | --- | --- |\\n| $W$, $m$ | s, – | work; workers |"))
    [('$W$', 's', 'work'), ('$m$', '–', 'workers')]
    """
    lines = text.splitlines()
    for k, line in enumerate(lines):
        if not re.match(r"\| *symbol *\| *unit *\| *meaning\b", line):
            continue
        for row in lines[k + 2 :]:
            if not row.startswith("|"):
                break
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
            names, units = re.split(r", (?=\$)", cells[0]), cells[1].split(", ")
            meanings = cells[2].split("; ", len(names) - 1) if len(names) > 1 else [cells[2]]
            for i, name in enumerate(names):
                yield name, units[min(i, len(units) - 1)], meanings[min(i, len(meanings) - 1)]
