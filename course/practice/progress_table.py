"""``progress``: what was solved, chapter by chapter, and what comes next."""

from __future__ import annotations

import html
from dataclasses import dataclass

from course.practice import journal
from course.practice.cards import due
from course.practice.exercises import chapters, exercises_of
from course.practice.next_steps import NextSteps, Results, what_next
from course.practice.pages import chapter_of, link, page

UNSAVED = f"What you do in this kernel {journal.NOT_SAVED.removeprefix('this ')}."


@dataclass(frozen=True)
class ChapterProgress:
    """How far the learner is in one chapter.

    Attributes
    ----------
    chapter : int
    title : str
    solved, exercises : int
        How many have passed once, of how many.
    points, max_points : float
    predictions : int
        How many were made.
    due : int
        How many exercises and predictions are due for review.
    passed : bool
        Whether the chapter counts as passed for what builds on it.
    """

    chapter: int
    title: str
    solved: int
    exercises: int
    points: float
    max_points: float
    predictions: int
    due: int
    passed: bool


@dataclass(frozen=True)
class Progress:
    """How far the learner is, one row a chapter, and what to do next."""

    rows: tuple[ChapterProgress, ...]
    next: NextSteps

    @property
    def points(self) -> float:
        """Points over all chapters."""
        return sum(row.points for row in self.rows)

    @property
    def total(self) -> str:
        """All chapters in a sentence."""
        solved, count = (sum(getattr(row, each) for row in self.rows) for each in ("solved", "exercises"))
        with_exercises = [row for row in self.rows if row.exercises]
        passed, of = sum(row.passed for row in with_exercises), len(with_exercises)
        most = sum(row.max_points for row in self.rows)
        return f"{passed} of {of} chapters passed, {solved} of {count} exercises, {self.points:g} of {most:g} points"

    def __repr__(self) -> str:
        lines = ["chapter  exercises     points  predictions  due"]
        lines += [
            f"{row.chapter:02d}       {row.solved:>3} of {row.exercises:<3} {row.points:>4g} of {row.max_points:<4g}"
            f"{row.predictions:>8}{row.due or '':>9}  {'✓ ' if row.passed else ''}{row.title}".rstrip()
            for row in self.rows
        ]
        return "\n".join([*lines, self.total, *([UNSAVED] if journal.is_unsaved() else []), repr(self.next)])

    def _repr_html_(self) -> str:
        cells = "".join(
            f'<tr><td style="text-align:left">{link(page(row.chapter), f"{row.chapter:02d} {row.title}".strip())}</td>'
            f"{_solved_html(row)}<td>{row.predictions}</td><td>{row.due or ''}</td></tr>"
            for row in self.rows
        )
        heads = ("chapter", "exercises", "solved", "points", "passed", "predictions", "due for review")
        head = "".join(f'<th scope="col" style="text-align:left">{each}</th>' for each in heads)
        note = f"<p>{html.escape(UNSAVED)}</p>" if journal.is_unsaved() else ""
        return (
            f"<div>{self.next._repr_html_()}{note}<table><tr>{head}</tr>{cells}</table>"
            f"<p>{html.escape(self.total)}.</p></div>"
        )


def _solved_html(row: ChapterProgress) -> str:
    """Return what was solved of a chapter, as cells of the table; empty for one without exercises."""
    if not row.exercises:
        return "<td></td><td></td><td></td><td></td>"
    return (
        f'<td>{row.solved} of {row.exercises}</td><td><progress value="{row.solved}" max="{row.exercises}" '
        f'aria-label="chapter {row.chapter}: {row.solved} of {row.exercises} exercises"></progress></td>'
        f"<td>{row.points:g} of {row.max_points:g}</td><td>{'✓' if row.passed else ''}</td>"
    )


def progress() -> Progress:
    """Return what was solved, as a table by chapter, and what comes next.

    An exercise counts once it has passed, also when a later answer did not.

    Examples
    --------
    >>> progress().points >= 0
    True
    """
    results = Results()
    waiting = [card.chapter for card in due()]
    # A chapter without exercises has a row once a prediction was made there.
    rows = [_row(chapter, results, waiting) for chapter in sorted({*chapters(), *results.predictions})]
    return Progress(tuple(rows), what_next())


def _row(chapter: int, results: Results, waiting: list[int]) -> ChapterProgress:
    known, exercises = chapter_of(chapter), exercises_of(chapter)
    solved = [each for each in exercises if each.id in results.solved]
    return ChapterProgress(
        chapter,
        known.title if known else "",
        len(solved),
        len(exercises),
        sum(each.points for each in solved),
        sum(each.points for each in exercises),
        len(results.predictions.get(chapter, ())),
        waiting.count(chapter),
        results.passed(chapter),
    )
