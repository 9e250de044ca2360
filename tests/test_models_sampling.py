"""Repeated measurements: weights by all resamples, coverage and false alarms by simulation and by `measure.compare`."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from course.measure.comparison import Comparison
from course.models import (
    bootstrap_median_weights,
    bootstrap_ratio_interval,
    false_alarm_probability,
    median_interval_coverage,
)


@pytest.mark.parametrize("runs", [1, 3, 5])
def test_weights_are_those_of_all_resamples(runs):
    medians = np.sort(list(product(range(runs), repeat=runs)), axis=1)[:, runs // 2]
    np.testing.assert_allclose(bootstrap_median_weights(runs), np.bincount(medians, minlength=runs) / runs**runs)


@pytest.mark.parametrize("runs", [7, 31, 1001])
def test_weights_are_symmetric_probabilities(runs):
    weights = bootstrap_median_weights(runs)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights, weights[::-1], atol=1e-12)
    weights[:] = 0  # a caller may change its copy
    assert bootstrap_median_weights(runs).sum() == pytest.approx(1)


@pytest.mark.parametrize("runs", [3, 5, 7, 9, 15])
def test_coverage_is_that_of_simulated_runs(runs):
    rng = np.random.default_rng(runs)
    times = np.sort(rng.exponential(1.0, (20_000, runs)), axis=1)
    share = np.cumsum(bootstrap_median_weights(runs))
    low, high = (int(np.argmax(share >= tail)) for tail in (0.025, 0.975))
    covered = ((times[:, low] <= np.log(2)) & (times[:, high] >= np.log(2))).mean()
    assert median_interval_coverage(runs) == pytest.approx(covered, abs=0.01)


@pytest.mark.parametrize("noise", [np.random.Generator.standard_normal, np.random.Generator.standard_cauchy])
@pytest.mark.parametrize("runs", [3, 5, 7, 9])
def test_false_alarms_are_those_of_any_noise(runs, noise):
    weights = bootstrap_median_weights(runs)
    a, b = np.sort(noise(np.random.default_rng(runs), (2, 20_000, runs)))
    below = np.einsum("tij,i,j->t", b[:, None, :] < a[:, :, None], weights, weights)
    alarms = ((below < 0.025) | (below > 0.975)).mean()
    assert false_alarm_probability(runs) == pytest.approx(alarms, abs=0.006)


def test_compare_raises_as_many_false_alarms():
    rng = np.random.default_rng(1)
    ends = [Comparison.of(*rng.lognormal(0.0, 0.3, (2, 3))).interval for _ in range(600)]
    alarms = np.mean([low > 1 or high < 1 for low, high in ends])
    assert alarms == pytest.approx(false_alarm_probability(3), abs=0.03)


def test_the_exact_interval_is_that_of_compare():
    a, b = np.random.default_rng(2).lognormal(0.0, 0.05, (2, 15))
    np.testing.assert_allclose(Comparison.of(a, b).interval, bootstrap_ratio_interval(a, b), atol=0.01)


def test_the_interval_is_that_of_all_resamples():
    a, b = np.random.default_rng(3).exponential(1.0, (2, 3))
    resamples = np.array(list(product(range(3), repeat=3)))
    ratios = np.sort(np.divide.outer(np.median(b[resamples], axis=1), np.median(a[resamples], axis=1)).ravel())
    for level in (0.95, 0.7, 0.4):
        first, last = (int(np.ceil(part * len(ratios) - 1e-9)) - 1 for part in ((1 - level) / 2, (1 + level) / 2))
        np.testing.assert_allclose(bootstrap_ratio_interval(a, b, level), (ratios[first], ratios[last]))


def test_intervals_of_many_experiments():
    a, b = np.random.default_rng(4).lognormal(0.0, 0.1, (2, 6, 5, 7))
    low, high = bootstrap_ratio_interval(a, b)
    assert low.shape == high.shape == (6, 5)
    assert (low[2, 3], high[2, 3]) == bootstrap_ratio_interval(a[2, 3], b[2, 3])
    # An interval leaves out 1 as often as `false_alarm_probability` says.
    a, b = np.random.default_rng(5).lognormal(0.0, 0.1, (2, 20_000, 5))
    low, high = bootstrap_ratio_interval(a, b)
    assert ((low > 1) | (high < 1)).mean() == pytest.approx(false_alarm_probability(5), abs=0.006)


@pytest.mark.parametrize(
    ("sides", "says"),
    [
        (([1, 2, 3], [1, 2]), "as many of each"),
        ((1.0, 1.0), "as many of each"),
        (([1, 2], [1, 2]), "must be odd"),
        (([1, 0, 3], [1, 2, 3]), "baseline"),
        (([1, 2, 3], [1, 2, np.nan]), "candidate"),
        ((np.ones(1003), np.ones(1003)), "runs is 1003"),
    ],
)
def test_an_interval_needs_times(sides, says):
    with pytest.raises(ValueError, match=says):
        bootstrap_ratio_interval(*sides)


def test_other_levels():
    # At 20 % the interval of three runs is the middle one alone, and an A/A test of one run is always an alarm.
    assert median_interval_coverage(3, level=0.2) == 0
    assert false_alarm_probability(1) == 1
    assert false_alarm_probability(5, level=0.5) > false_alarm_probability(5) > false_alarm_probability(5, level=0.99)


@pytest.mark.parametrize("function", [bootstrap_median_weights, false_alarm_probability, median_interval_coverage])
@pytest.mark.parametrize("runs", [0, 4, 2.5, 10**6 + 1])
def test_runs_must_be_odd(function, runs):
    with pytest.raises(ValueError, match="runs is"):
        function(runs)


@pytest.mark.parametrize("level", [1, -0.1, float("nan"), [0.9, 0.95]])
def test_levels_must_be_shares(level):
    with pytest.raises(ValueError, match="level is"):
        median_interval_coverage(5, level)
