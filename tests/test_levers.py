"""What the explorer of chapter 20 says about the order of changes."""

from __future__ import annotations

import pytest

from course.explorers.levers import compute, explorer, seconds


def test_a_cheaper_task_is_worth_less_in_larger_batches() -> None:
    def ratios(batch: int) -> list[float]:
        result = compute(runs=10_000, batch=batch, advice=0, arrays=False, workers=2)
        return [float(ratio) for ratio in result["ratios"][1:4]]

    for small, large in zip(ratios(1), ratios(50), strict=True):
        assert small < large <= 1


def test_what_was_made_already_brings_nothing() -> None:
    result = compute(runs=1000, batch=20, advice=2, arrays=True, workers=4)
    assert result["made"] == [False, True, True, False, False, True, False]
    assert result["ratios"][[1, 2, 5]].tolist() == [1.0, 1.0, 1.0]


def test_no_sweep_is_faster_than_its_work() -> None:
    for arrays in (False, True):
        result = compute(runs=100_000, batch=5000, advice=3, arrays=arrays, workers=8)
        assert result["times"][0] > result["work"]


def test_arrays_are_slower_for_single_runs() -> None:
    start = {"runs": 1000, "batch": 1, "together": False, "once": False, "mapped": False, "workers": 2}
    assert seconds(**start, arrays=True) > seconds(**start, arrays=False)


@pytest.mark.parametrize("preset", ["Good advice first", "Many workers"])
def test_batches_are_the_next_change(preset: str) -> None:
    settings = {name: control.value for name, control in explorer.controls.items()} | explorer.presets[preset]
    assert "most would bring: batches ten times as large" in explorer.finding(explorer.compute(**settings))
