"""Widgets, the short form: some changes of every explorer; and that the drill sees what would be wrong."""

from __future__ import annotations

import dataclasses
import logging
import random

from course.explorers.knee import explorer as knee
from tests.drill import widgets


def test_some_changes_of_every_explorer():
    wrong = []
    for name, explorer in widgets.explorers().items():
        wrong += widgets.drill(explorer, 2, random.Random(f"short {name}"))[0]
    assert wrong == []


def test_memory_does_not_grow():
    widgets.drill(knee, 15, random.Random(1))
    before = widgets.memory()
    widgets.drill(knee, 80, random.Random(2))
    assert widgets.memory() - before < widgets.GROWTH


def test_values_are_those_that_a_control_allows():
    dice = random.Random(3)
    for explorer in widgets.explorers().values():
        for control in explorer.controls.values():
            for _ in range(10):
                control.check(widgets.somewhere(control, dice))


def test_an_exception_would_be_seen(caplog):
    def compute(**settings):
        if settings != knee.settings():
            raise ValueError("not today")
        return knee.compute(**settings)

    with caplog.at_level(logging.CRITICAL, logger="course.explorers"):
        wrong, _ = widgets.drill(dataclasses.replace(knee, compute=compute), 5, random.Random(4))
    assert any("not today" in each for each in wrong)


def test_another_finding_would_be_seen():
    said = iter(range(1000))
    wrong, _ = widgets.drill(dataclasses.replace(knee, finding=lambda _: f"No. {next(said)}."), 12, random.Random(5))
    assert any("computed afresh" in each for each in wrong)
