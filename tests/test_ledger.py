"""`Ledger` and `plots.waterfall`: first the prediction, then the measurement, and both are shown."""

from __future__ import annotations

import numpy as np
import pytest

from course import Ledger, plots, whatif
from course.graph import independent
from course.measure.comparison import Comparison
from course.practice import ToleranceError
from course.simulate import run


def tuned() -> Ledger:
    ledger = Ledger("as it was")
    ledger.predict("fewer bytes", 0.5, by="bytes")
    ledger.measure("fewer bytes", [0.5, 0.6, 0.55])
    ledger.predict("threads", 0.5, by="threads")
    ledger.measure("threads", Comparison.of([1.0, 1.0, 1.0], [1.2, 1.25, 1.3]))
    ledger.take_back("threads", why="Python's lock")
    ledger.predict("batches", whatif(run(independent(8, 1.0), 4), workers=8))
    ledger.measure("batches", [0.4, 0.4, 0.4])
    return ledger


def test_the_changes_that_were_kept_multiply():
    ledger = tuned()
    assert ledger.times_as_fast == pytest.approx(1 / (0.55 * 0.4))
    assert [entry.kept for entry in ledger.entries] == [True, False, True]
    assert ledger.entries[2].predicted == 0.5
    assert ledger.entries[2].by == "whatif: 8 workers"
    assert ledger.entries[0].error == pytest.approx(0.5 / 0.55 - 1)
    assert ledger.entries[0].interval == (0.5, 0.6)


def test_the_text_is_the_same_whatever_was_measured():
    text = repr(tuned())
    other = tuned()
    other.entries[0].measured = 0.123
    assert repr(other) == text
    assert not any(digit in text.replace("8 workers", "") for digit in "0123456789")
    shown = other._repr_html_()
    for part in ("0.12 [0.50, 0.60]", "taken back: Python&#x27;s lock", "0.05"):  # together: 0.123 × 0.4
        assert part in shown


def test_what_is_run_again_counts_and_is_told():
    ledger = tuned()
    ledger.measure("fewer bytes", [0.4, 0.5, 0.45])
    assert (ledger.entries[0].measured, ledger.entries[0].interval) == (0.45, (0.4, 0.5))
    ledger.predict("threads", 1.2, by="having seen it")
    assert [entry.change for entry in ledger.entries] == ["fewer bytes", "threads", "batches"]
    with pytest.raises(ToleranceError, match="never measured: threads"):
        ledger.check(at_least=1.0)
    ledger.predict("threads", 1.3, by="having seen it")
    ledger.measure("threads", [1.3])
    assert [line.split("  ")[-1].strip() for line in repr(ledger).splitlines()[2:]] == [
        "kept (measured again)", "kept (predicted again)", "kept",
    ]  # fmt: skip
    before = Ledger()  # a prediction may be thought over until it is measured
    for ratio in (0.5, 0.6):
        before.predict("one", ratio, by="bytes")
    before.measure("one", [0.7])
    assert (before.entries[0].predicted, before.entries[0].again) == (0.6, "")


def test_nothing_is_predicted_after_the_fact():
    ledger = tuned()
    with pytest.raises(ValueError, match=r"was not predicted: predict first.*'fewer bytes'"):
        ledger.measure("something else", [1.0])
    with pytest.raises(ValueError, match="say what"):
        ledger.predict("more", 0.4)
    ledger.predict("more", 0.4, by="hope")
    with pytest.raises(ValueError, match="was not measured"):
        ledger.take_back("more", why="no")
    with pytest.raises(ToleranceError, match="never measured: more"):
        ledger.check(at_least=1.0)


@pytest.mark.parametrize("ratio", [0, -1, float("nan"), float("inf"), "half", True, [0.5]])
def test_ratios_must_be_positive_numbers(ratio):
    with pytest.raises(ValueError, match="must be"):
        Ledger().predict("change", ratio, by="a guess")
    ledger = Ledger()
    ledger.predict("change", 1.0, by="a guess")
    with pytest.raises(ValueError, match="must be"):
        ledger.measure("change", ratio if not isinstance(ratio, list) else [])


def test_check_asks_for_what_was_reached():
    ledger = tuned()
    ledger.check(at_least=4.5)
    with pytest.raises(ToleranceError, match=r"4\.55 times as fast as .as it was.; at least 5"):
        ledger.check(at_least=5)
    with pytest.raises(ToleranceError, match="2 times"):
        ledger.check(at_least=3, whole=Comparison.of([2.0] * 3, [1.0] * 3))


def test_the_waterfall_goes_down_by_the_measured_ratios():
    ledger = tuned()
    _, axes = plots.subplots(height=3)
    plots.waterfall(ledger.entries, axes, seconds=10.0, start=ledger.start, title="Ten seconds become two")
    bars = [patch for patch in axes.patches if patch.get_width()]
    assert np.allclose([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars],
                       [(10, 5.5), (5.5, 5.5 * 1.25), (5.5, 2.2)])  # fmt: skip
    assert [bar.get_hatch() for bar in bars] == [None, "///", None]
    diamonds = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert np.allclose(diamonds, [5.0, 2.75, 2.75])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "as it was", "fewer bytes", "threads", "batches", "end"
    ]  # fmt: skip
    assert any("4.5 times as fast" in text.get_text() for text in axes.texts)
    ledger.predict("more", 0.4, by="hope")
    with pytest.raises(ValueError, match="not measured yet: more"):
        plots.waterfall(ledger.entries, axes, seconds=10.0)
