"""The chapters of the course: what each asks, what it teaches, what it builds on, how long it takes.

The facts are in ``data/chapters.csv``; the map and the tables of chapter 00 are made from them. How long a chapter
takes to read is counted (`counted_minutes`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from course.datafiles import data_file

STATUSES = ("written", "planned")

# The pace of a reader who works through a page: slower than that of who only reads, for sentences are held against
# formulas, figures and outputs. Our assumption.
WORDS_A_MINUTE = 130
LINES_OF_CODE_A_MINUTE = 20
MINUTES_A_FORMULA = MINUTES_A_FIGURE = 0.5


@dataclass(frozen=True)
class Chapter:
    """One notebook of the course.

    Attributes
    ----------
    number : int
    file : str
        Its path below the folder ``notebooks``, with ``/``.
    title, part, question : str
    concepts : tuple of str
        The concepts that it teaches, each with its Chinese term in brackets.
    prerequisites : tuple of int
        Numbers of the chapters that it builds on.
    reading_minutes, exercise_minutes : int
        As planned, of a chapter that is not written yet; 0 for what is looked up, and for a chapter without exercises.
    status : str
        ``"written"`` or ``"planned"``.
    """

    number: int
    file: str
    title: str
    part: str
    question: str
    concepts: tuple[str, ...]
    prerequisites: tuple[int, ...]
    reading_minutes: int
    exercise_minutes: int
    status: str

    @property
    def written(self) -> bool:
        """Whether its notebook exists."""
        return self.status == "written"

    @property
    def link(self) -> str:
        """Number and title in Markdown, linked (from the folder ``notebooks``) if the notebook exists."""
        text = f"{self.number:02d} · {self.title}"
        return f"[{text}]({self.file})" if self.written else text


@cache
def chapters() -> tuple[Chapter, ...]:
    """Return all chapters, in the order of their numbers.

    Raises
    ------
    FileNotFoundError
        If ``chapters.csv`` is neither in the checkout nor in the package.
    ValueError
        Naming the line of the file that cannot be read.

    Examples
    --------
    >>> [chapter.title for chapter in chapters() if chapter.number == 5]
    ['The task-scheduling model']
    """
    with open(data_file("chapters.csv"), encoding="utf-8", newline="") as file:
        return read(file)


def read(lines: Iterable[str]) -> tuple[Chapter, ...]:
    """Read chapters from the lines of a CSV file with a head; the columns are the attributes of `Chapter`.

    Concepts are separated by semicolons, prerequisites by spaces.

    Raises
    ------
    ValueError
        Naming the line that cannot be read, and why.

    Examples
    --------
    >>> head = "number,file,title,part,question,concepts,prerequisites,reading_minutes,exercise_minutes,status"
    >>> read([head, "3,03.ipynb,Models,Concepts,Which?,model (模型); system (系统),0 1,45,90,planned"])[0].concepts
    ('model (模型)', 'system (系统)')
    """
    found = []
    for line, row in enumerate(csv.DictReader(lines), start=2):
        try:
            chapter = Chapter(
                int(row["number"]),
                row["file"],
                row["title"],
                row["part"],
                row["question"],
                tuple(concept.strip() for concept in row["concepts"].split(";") if concept.strip()),
                tuple(int(number) for number in row["prerequisites"].split()),
                int(row["reading_minutes"]),
                int(row["exercise_minutes"]),
                row["status"],
            )
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise ValueError(f"chapters.csv, line {line}: {error!r}; every column must be there and filled") from None
        if chapter.status not in STATUSES:
            raise ValueError(f"chapters.csv, line {line}: status is {chapter.status!r}; allowed: {', '.join(STATUSES)}")
        found.append(chapter)
    return tuple(sorted(found, key=lambda chapter: chapter.number))


def counted_minutes(cells: Iterable[Mapping]) -> float:
    """Return how long it takes to read the cells of a notebook: its words, lines of code, formulas and figures.

    Parameters
    ----------
    cells : iterable of dict
        As `nbformat` reads them. A figure is a cell whose output holds a picture: an explorer, too.

    Examples
    --------
    >>> counted_minutes([{"cell_type": "markdown", "source": "word " * 260 + "$$a = b$$"}])
    2.5
    """
    minutes = 0.0
    for cell in cells:
        if cell["cell_type"] == "markdown":
            prose, formulas = re.subn(r"\$\$.*?\$\$", " ", cell["source"], flags=re.DOTALL)
            # A formula in a line, and a link, is read as one word.
            prose = re.sub(r"\$[^$]*\$|(?<=\])\([^)]*\)", "x ", prose)
            minutes += len(re.findall(r"\w[\w’'-]*", prose)) / WORDS_A_MINUTE + formulas * MINUTES_A_FORMULA
        elif cell["cell_type"] == "code":
            lines = [line for line in cell["source"].splitlines() if line.strip()]
            pictures = any("image/png" in output.get("data", {}) for output in cell["outputs"])
            minutes += len(lines) / LINES_OF_CODE_A_MINUTE + pictures * MINUTES_A_FIGURE
    return minutes


def chapter_table() -> str:
    """Return all chapters as a table in Markdown; those that exist are links.

    Examples
    --------
    >>> print(chapter_table().splitlines()[0])
    | chapter | question | builds on | min |
    """
    lines = ["| chapter | question | builds on | min |", "| --- | --- | --- | ---: |"]
    for chapter in chapters():
        before = " ".join(f"{number:02d}" for number in chapter.prerequisites) or "–"
        minutes = f"{chapter.reading_minutes}\N{NO-BREAK SPACE}+\N{NO-BREAK SPACE}{chapter.exercise_minutes}"
        minutes = minutes if chapter.reading_minutes else "–"
        lines.append(
            f"| {chapter.link} | {chapter.question} | {before} | {minutes if chapter.written else '*planned*'} |"
        )
    return "\n".join(lines)


def concept_table(folder: str = "") -> str:
    """Return the concepts and the chapters that teach them, as a table in Markdown.

    Parameters
    ----------
    folder : str
        From where the table stands to the notebooks, with a slash at its end.

    Examples
    --------
    >>> print(concept_table().splitlines()[0])
    | concept | taught in |
    """
    where: dict[str, list[Chapter]] = {}
    for chapter in chapters():
        for concept in chapter.concepts:
            where.setdefault(concept, []).append(chapter)
    lines = ["| concept | taught in |", "| --- | --- |"]
    for concept, taught in where.items():
        links = ", ".join(chapter.link if len(taught) == 1 else _short(chapter) for chapter in taught)
        lines.append(f"| {concept} | {links.replace('](', f']({folder}')} |")
    return "\n".join(lines)


def _short(chapter: Chapter) -> str:
    return f"[{chapter.number:02d}]({chapter.file})" if chapter.written else f"{chapter.number:02d}"
