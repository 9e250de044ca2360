"""Every explorer of the course is held to what the frame promises, through the range of each of its controls."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import course.explorers
from course.explorers.frame import Explorer, exercise

EXPLORERS = {
    name: module.explorer
    for _, name, _ in pkgutil.iter_modules(course.explorers.__path__)
    if hasattr(module := importlib.import_module(f"course.explorers.{name}"), "explorer")
}


def test_there_are_explorers() -> None:
    assert len(EXPLORERS) >= 5
    assert len({each.id for each in EXPLORERS.values()}) == len(EXPLORERS), "two explorers have the same id"


@pytest.mark.parametrize("name", EXPLORERS)
def test_explorer(name: str) -> None:
    explorer = EXPLORERS[name]
    assert isinstance(explorer, Explorer)
    assert len(explorer.presets) >= 3, "an explorer has three to five things to try"
    found = exercise(explorer, points=3, corners=12)  # more in the drill
    assert found.settings > len(explorer.controls)


@pytest.mark.parametrize("name", EXPLORERS)
def test_presets_differ(name: str) -> None:
    explorer = EXPLORERS[name]
    view = explorer.view()
    findings = {view.finding}
    for preset in explorer.presets:
        view.apply(preset)
        findings.add(view.finding)
    view.close()
    assert len(findings) == len(explorer.presets) + 1, "two presets, or a preset and the reset, say the same"


@pytest.mark.parametrize("random", [False, True])
def test_ceiling_says_who_is_the_limit(random: bool) -> None:
    # 16 workers and 0.5 ms a decision: the threshold is 8 ms.
    explorer = EXPLORERS["ceiling"]
    for item, wanted, judged in (
        (4.0, "4,000", "enough from 8 ms an item on"),
        (8.0, "2,000", "too few below 8 ms an item"),
        (16.0, "1,000", "too few below 8 ms an item"),
    ):
        said = explorer.finding(explorer.compute(item=item, workers=16, overhead=0.5, batch=1, random=random))
        assert f"they would take {wanted} items a second, and the scheduler can hand out 2,000 ({judged})" in said


def test_five_mysteries_in_a_row_have_five_causes() -> None:
    from course.explorers.trace_reader import CAUSES, MYSTERIES

    for row in MYSTERIES.reshape(-1, 5):
        assert sorted(row) == sorted(CAUSES[1:])
