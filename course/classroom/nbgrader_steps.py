"""Two steps of nbgrader's grading: run a notebook shut in and judge its answers; take off points for each day late."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import nbformat
from nbformat import NotebookNode
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Float

from course.classroom.folder import NOTES, days_late
from course.classroom.grading import grade, without_judges


class ConfinedExecute(NbGraderPreprocessor):
    """In the place of nbgrader's ``Execute``: the checks are not run in the student's kernel, but judged outside."""

    given: ClassVar[dict[str, Any]] = {}

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Return the notebook with the outputs of its cells, and with the points as the results of its checks."""
        about = resources["nbgrader"]
        name = about["assignment"]
        root = Path(about["db_url"].removeprefix("sqlite:///")).parent
        handed_out = nbformat.read(root / "release" / name / f"{name}.ipynb", as_version=4)
        with without_judges(int(name[:2]), handed_out) as replaced:
            graded = grade(nb, replaced, **self.given)
        notes = root / "submitted" / about["student"] / name / NOTES
        kept = notes.read_text(encoding="utf-8").splitlines()[:1] if notes.exists() else []
        lines = [line for line in kept if line and not line.startswith("stopped: ")]
        notes.write_text("".join(f"{line}\n" for line in [*lines, *(f"stopped: {why}" for why in graded.stopped)]),
                         encoding="utf-8")  # fmt: skip
        return graded.notebook, resources


class LateByTheDay(LateSubmissionPlugin):
    """A share of the points for each day that has begun."""

    share = Float(0.0, help="The share of the points that a day costs.").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Return the points to take off."""
        return min(1.0, self.share * days_late(total_seconds_late)) * score
