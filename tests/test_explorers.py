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
    found = exercise(explorer)
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
