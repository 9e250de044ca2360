"""``progress``: what was solved, chapter by chapter."""

from __future__ import annotations

import html
from dataclasses import dataclass

from course.practice import journal
from course.practice.exercises import chapters, exercises_of


@dataclass(frozen=True)
class ChapterProgress:
    """How far the learner is in one chapter."""

    chapter: int
    solved: int
    exercises: int
    points: float
    max_points: float
    predictions: int


@dataclass(frozen=True)
class Progress:
    """How far the learner is, one row a chapter."""

    rows: tuple[ChapterProgress, ...]

    @property
    def points(self) -> float:
        """Points over all chapters."""
        return sum(row.points for row in self.rows)

    def __repr__(self) -> str:
        lines = ["chapter  exercises     points  predictions"]
        lines += [
            f"{row.chapter:02d}       {row.solved:>3} of {row.exercises:<3} {row.points:>4g} of {row.max_points:<4g}"
            f"{row.predictions:>8}"
            for row in self.rows
        ]
        return "\n".join(lines) if self.rows else "No chapter has exercises yet."

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{row.chapter:02d}</td><td>{row.solved} of {row.exercises}</td>"
            f'<td>{row.points:g} of {row.max_points:g}</td><td>{row.predictions}</td><td><progress value="{row.solved}"'
            f' max="{max(row.exercises, 1)}" aria-label="chapter {row.chapter}: {row.solved} of {row.exercises}">'
            "</progress></td></tr>"
            for row in self.rows
        )
        head = "<tr><th>chapter</th><th>exercises</th><th>points</th><th>predictions</th><th></th></tr>"
        return f"<table>{head}{cells}</table>" if self.rows else html.escape(repr(self))


def progress() -> Progress:
    """Return what was solved, as a table by chapter.

    An exercise counts once it has passed, also when a later answer did not.

    Examples
    --------
    >>> progress().points >= 0
    True
    """
    passed = {each["name"] for each in journal.events("check") if each.get("passed") is True}
    predicted = {each["name"] for each in journal.events("predict")}
    rows = []
    with_predictions = {int(name[:2]) for name in predicted if name[:2].isdigit()}
    for chapter in sorted({*chapters(), *with_predictions}):
        exercises = exercises_of(chapter)
        solved = [each for each in exercises if each.id in passed]
        rows.append(
            ChapterProgress(
                chapter,
                len(solved),
                len(exercises),
                sum(each.points for each in solved),
                sum(each.points for each in exercises),
                sum(1 for name in predicted if name[:2] == f"{chapter:02d}"),
            )
        )
    return Progress(tuple(rows))
