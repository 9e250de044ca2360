"""Questions, checks, hints, predictions, progress and the scoreboard.

=====================================  =====================================================
``check("12.3", answer)``              judge an answer, in words
``hint("12.3")``                       the next of three hints
``predict("12.P1", question, …)``      commit to an answer before the result appears
``predict.outcome("12.P1", value)``    the outcome beside that answer
``progress()``                         what was solved, chapter by chapter, and what comes next
``what_next()``                        one to three things to do now, each with the reason
``review()``                           asks again what was wrong, when it is due
``scoreboard(predicted=…, …)``         predicted, simulated, measured: shown and asserted
``Ledger("start")``                    a tuning: each change predicted, then measured
=====================================  =====================================================

A chapter's exercises are in ``course/practice/chapterNN.py``, as a list ``EXERCISES`` of
:class:`~course.practice.exercises.Exercise`.
"""

from course.practice.checking import CheckResult, check, hint
from course.practice.exercises import Case, Exercise
from course.practice.ledger import Ledger
from course.practice.next_steps import what_next
from course.practice.predictions import predict
from course.practice.progress_table import progress
from course.practice.reviewing import review
from course.practice.scoreboard import ToleranceError, scoreboard

__all__ = [
    "Case",
    "CheckResult",
    "Exercise",
    "Ledger",
    "ToleranceError",
    "check",
    "hint",
    "predict",
    "progress",
    "review",
    "scoreboard",
    "what_next",
]
