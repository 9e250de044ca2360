"""Sampling profilers: the errors of shares by simulation, lockstep, locks, and the picture of a profile."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from course.models import (
    jittered_standard_error,
    lockstep,
    samples_for_share,
    share_interval,
    share_standard_error,
)
from course.plots import flame_graph, subplots
from course.simulate import sample_profile


@pytest.mark.parametrize(("share", "error"), [(0.5, 0.05), (0.3, 0.03), (0.1, 0.02)])
def test_so_many_samples_err_so_rarely(share, error):
    n = int(samples_for_share(share, error))
    outside = binom.cdf(np.ceil((share - error) * n) - 1, n, share) + binom.sf(np.floor((share + error) * n), n, share)
    assert outside == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_wilson_covers_the_share(share):
    n = 200
    inside = [low <= share <= high for low, high in (share_interval(k, n) for k in range(n + 1))]
    assert binom.pmf(np.flatnonzero(inside), n, share).sum() == pytest.approx(0.95, abs=0.025)


def test_random_samples_err_as_the_binomial():
    seen = sample_profile([0.3, 0.7], interval=1.0, samples=500, jitter=1.0, runs=4000, seed=2).shares[:, 0]
    assert seen.std() == pytest.approx(share_standard_error(0.3, 500), rel=0.05)
    assert seen.mean() == pytest.approx(0.3, abs=0.002)


@pytest.mark.parametrize("period", [0.01, 0.02, 0.03, 0.04, 0.07, 0.1])
@pytest.mark.parametrize("share", [0.3, 0.55])
def test_a_periodic_profiler_sees_what_lockstep_says(share, period):
    # As many samples as a multiple of every number of points; a start exactly on an edge has no probability.
    seen = sample_profile([share * period, (1 - share) * period], interval=0.01, samples=840, runs=3000, seed=3)
    predicted = lockstep(share, 0.01, period)
    shown = seen.shares[:, 0]
    assert shown.min() == pytest.approx(predicted.low, abs=0.004)  # edges by rounding
    assert shown.max() == pytest.approx(predicted.high, abs=0.004)
    assert shown.std() == pytest.approx(predicted.standard_error, abs=0.01)
    assert shown.mean() == pytest.approx(share, abs=0.02)
    periodic = jittered_standard_error(share, 840, interval=0.01, period=period, jitter=0)
    assert periodic == pytest.approx(predicted.standard_error, abs=1e-3)


@pytest.mark.parametrize("jitter", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("period", [0.01, 0.023, 0.2])
def test_jitter_errs_as_predicted(jitter, period):
    seen = sample_profile([0.4 * period, 0.6 * period], interval=0.01, samples=300, jitter=jitter, runs=4000, seed=4)
    predicted = jittered_standard_error(0.4, 300, interval=0.01, period=period, jitter=jitter)
    assert seen.shares[:, 0].std() == pytest.approx(predicted, rel=0.06)


def test_full_jitter_in_step_is_independent():
    independent = share_standard_error(0.3, 1000)
    assert jittered_standard_error(0.3, 1000, interval=0.02, period=0.01, jitter=1) == pytest.approx(
        independent, rel=1e-4
    )


def test_the_mean_of_three_phases_is_the_truth():
    seen = sample_profile([0.01, 0, 0.03], interval=0.007, samples=200, jitter=0.5, runs=2000, seed=5)
    assert seen.truth.tolist() == [0.25, 0.0, 0.75]
    np.testing.assert_allclose(seen.shares.mean(axis=0), seen.truth, atol=0.005)
    assert (seen.counts.sum(axis=1) == 200).all()


def test_what_holds_the_lock_is_told_as_what_follows():
    seen = sample_profile([0.03, 0.01, 0.06], interval=0.01, samples=1000, jitter=1.0, locked=[0], runs=20, seed=6)
    assert (seen.counts[:, 0] == 0).all()
    # The phase after the locked one gets one sample more in nearly each period of 0.1 s.
    assert seen.counts[:, 1].mean() == pytest.approx(1000 * 0.01 / 0.1 * (1 + 1), rel=0.1)
    # In the last phase of a period, the next is that of the next period.
    around = sample_profile([0.06, 0.04], interval=0.01, samples=100, locked=[1], seed=7)
    assert around.counts[0, 1] == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"phases": [0.0]}, "phases add up to 0"),
        ({"locked": [2]}, "locked is 2"),
        ({"locked": [0, 1]}, "a phase of some length must be open"),
        ({"locked": 1}, "must be a sequence"),
        ({"jitter": 1.5}, "jitter is 1.5"),
        ({"interval": 0}, "interval is 0"),
        ({"samples": 10**8}, "samples times runs"),
    ],
)
def test_wrong_arguments(wrong, said):
    with pytest.raises(ValueError, match=said):
        sample_profile(**{"phases": [1, 2], "interval": 0.1, **wrong})


def test_same_seed_same_samples():
    runs = [sample_profile([1, 2], interval=0.1, jitter=0.3, runs=3, seed=seed).counts.tolist() for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


# ---- the picture


def tree():
    from course.measure import Frame

    inner = Frame("a_function_of_a_long_name", "/usr/lib/python3.11/json/decoder.py", 9, 50)
    rare = Frame("rare", "/x/site-packages/numpy/core.py", 1, 1)
    load = Frame("load", "C:\\x\\task.py", 3, 600, (inner, rare))
    return Frame("root", "", 0, 1000, (load, Frame("add", "/tmp/ipykernel_7/3.py", 9, 400)))


def test_a_flame_graph_is_as_wide_as_the_samples():
    figure, axes = subplots()
    flame_graph(tree(), axes, title="load takes most")
    figure.draw_without_rendering()
    bars = [(bar.get_y() + 0.5, round(bar.get_x(), 3), round(bar.get_width(), 3)) for bar in axes.patches]
    assert bars == [(0, 0, 1), (1, 0, 0.6), (2, 0, 0.05), (1, 0.6, 0.4)]  # the rare one is left out
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["task", "notebook", "Python"]


def test_names_fit_into_their_bars():
    for width in (4, 9, 14):
        figure, axes = subplots(width=width)
        flame_graph(tree(), axes)
        figure.draw_without_rendering()
        bars = {(bar.get_y() + 0.5, bar.get_x() + bar.get_width() / 2): bar for bar in axes.patches}
        for text in axes.texts:
            x, y = text.get_position()
            bar = next(bar for (height, middle), bar in bars.items() if height == y and abs(middle - x) < 1e-9)
            assert text.get_window_extent().width <= bar.get_window_extent().width


def test_a_tree_without_samples_is_refused():
    from course.measure import Frame

    with pytest.raises(ValueError, match="no sample"):
        flame_graph(Frame("root", "", 0, 0), subplots()[1])
