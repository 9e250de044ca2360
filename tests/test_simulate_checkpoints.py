"""Checkpoints: against Daly's formula, a plain twin, and the intervals that Daly published."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from course.models import checkpoint_efficiency, daly_interval, expected_run_time
from course.simulate.checkpoints import checkpoint


def daly(work, interval, cost, mtbf, restart):
    """Return the exact mean for exponential failures (Daly 2006, section 3), also for a last part that is shorter."""
    whole, rest = divmod(work, interval)
    parts = [interval] * int(whole) + [rest] * (rest > 0)
    return sum(mtbf * math.exp(restart / mtbf) * math.expm1((part + cost) / mtbf) for part in parts)


@pytest.mark.parametrize(
    ("work", "interval", "cost", "mtbf", "restart"),
    [
        (100.0, 10.0, 1.0, 30.0, 2.0),
        (100.0, 30.0, 0.0, 20.0, 0.0),
        (95.0, 10.0, 3.0, 12.0, 20.0),  # a last part that is shorter; a restart that mostly fails
        (10.0, 50.0, 1.0, 5.0, 1.0),  # all in one part
        # Daly's figures 3 to 5: 500 h of work, dumps of 5 min, restarts of 10 min, M = 24 h, 6 h, 15 min.
        (30_000.0, 117.0, 5.0, 1440.0, 10.0),
        (30_000.0, 57.0, 5.0, 360.0, 10.0),
        (3_000.0, 9.1, 5.0, 15.0, 10.0),
    ],
)
def test_mean_is_dalys(work, interval, cost, mtbf, restart):
    runs = checkpoint(work, interval, cost, mtbf, restart, 4000, seed=1)
    error = runs.time.std(ddof=1) / math.sqrt(len(runs))
    expected = daly(work, interval, cost, mtbf, restart)
    assert abs(runs.time.mean() - expected) < 3 * error
    assert error < 0.02 * expected
    # Failures come once in M seconds, whatever is done then.
    difference = runs.failures - runs.time / mtbf
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / math.sqrt(len(runs))


@pytest.mark.parametrize(("mtbf", "published"), [(1440.0, 117.0), (360.0, 57.0), (15.0, 9.1)])
def test_the_best_interval_is_near_the_published_one(mtbf, published):
    # Minutes, Daly 2006, captions of figures 3 to 5 (δ = 5, R = 10); the curve is flat at its least, so that the least
    # of a noisy one can be a step beside it.
    intervals = published * np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    means = [checkpoint(200 * published, tau, 5.0, mtbf, 10.0, 400, seed=2).time.mean() for tau in intervals]
    assert np.argmin(means) == 2
    # Young's √(2δM) is nearly as good where the failures are rare, and worse than Daly's where they are not.
    young = checkpoint(200 * published, math.sqrt(2 * 5 * mtbf), 5.0, mtbf, 10.0, 400, seed=2).time.mean()
    assert young == pytest.approx(means[2], rel=0.02 if mtbf > 100 else 0.2)


def test_the_models_say_the_same():
    runs = checkpoint(1000.0, 20.0, 2.0, 50.0, 5.0, 4000, seed=7)
    error = runs.time.std() / math.sqrt(4000)
    assert abs(runs.time.mean() - 1000 / checkpoint_efficiency(20.0, 2.0, 50.0, 5.0)) < 3 * error
    # Without checkpoints: one interval, which costs nothing to save.
    whole = checkpoint(60.0, 60.0, 0.0, 50.0, 5.0, 20_000, seed=7).time
    assert abs(whole.mean() - expected_run_time(60.0, 50.0, 5.0)) < 3 * whole.std() / math.sqrt(20_000)
    best = float(daly_interval(2.0, 50.0))
    around = [
        checkpoint(100 * best, tau, 2.0, 50.0, 5.0, 1000, seed=7).time.mean() for tau in (best / 3, best, 3 * best)
    ]
    assert min(around) == around[1]


def plain_run(work, interval, cost, scale, restart, shape, rng):
    """One run as a list of what is to be done, against a list of failures on the clock."""
    clock, failures = 0.0, 0
    fails_at = scale * rng.standard_exponential() ** (1 / shape)
    parts = [interval] * int(work // interval) + [work % interval] * (work % interval > 0)
    while parts:
        ends = clock + parts[0] + cost
        if ends <= fails_at:
            clock = ends
            parts.pop(0)
            continue
        up = False
        while not up:
            clock, failures = fails_at, failures + 1
            fails_at = clock + scale * rng.standard_exponential() ** (1 / shape)
            up = clock + restart <= fails_at
        clock += restart
    return clock, failures


@settings(max_examples=100)
@given(
    st.integers(0, 60), st.integers(1, 20), st.integers(0, 3), st.integers(5, 40), st.integers(0, 5),
    st.sampled_from([0.5, 1.0, 2.0]), st.integers(0, 99),
)  # fmt: skip
def test_checkpoint_is_its_twin(work, interval, cost, mtbf, restart, shape, seed):
    runs = checkpoint(work, interval, cost, mtbf, restart, 3, shape=shape, seed=seed)
    rng = np.random.default_rng(seed)
    scale = mtbf / math.gamma(1 + 1 / shape)
    expected = [plain_run(work, interval, cost, scale, restart, shape, rng) for _ in range(3)]
    np.testing.assert_allclose(runs.time, [time for time, _ in expected], rtol=1e-9)
    assert runs.failures.tolist() == [failures for _, failures in expected]
    least = work + cost * math.ceil(work / interval)
    assert (runs.time >= least * (1 - 1e-12)).all()
    assert ((runs.failures == 0) == (runs.time <= least * (1 + 1e-12))).all() or restart == 0


def test_limits():
    assert checkpoint(0, 1, 1, 1).time.max() == 0
    assert checkpoint(0, 1, 1, 1).efficiency == 1
    safe = checkpoint(100, 7, 0.5, 1e12, runs=5)
    assert safe.time.tolist() == [100 + 15 * 0.5] * 5
    assert safe.failures.sum() == 0
    assert repr(safe) == "Checkpointed(5 runs, mean 107.5 s, efficiency 0.930)"
    # A restart that costs nothing, and checkpoints that cost nothing, ever more often: nothing is lost.
    assert checkpoint(100, 0.001, 0, 10, runs=200).time.mean() == pytest.approx(100, rel=1e-3)
    # 0.1 ten times is less than 1, and yet there are ten intervals.
    assert checkpoint(1.0, 0.1, 1.0, 1e12, runs=1).time[0] == pytest.approx(11)


def test_the_time_between_failures_has_the_given_mean_and_shape():
    # One interval without cost and restart: the first failure is past 1 with the probability of its distribution.
    for shape in (0.7, 1.0, 3.0):
        runs = checkpoint(1.0, 1.0, 0.0, 1.0, runs=20_000, shape=shape, seed=4)
        survives = math.exp(-(math.gamma(1 + 1 / shape) ** shape))
        first = (runs.failures == 0).mean()
        assert abs(first - survives) < 3 * math.sqrt(survives * (1 - survives) / 20_000)
    # Memoryless failures: how many interrupt one interval is geometric.
    failures = checkpoint(1.0, 1.0, 0.0, 1.0, runs=20_000, seed=5).failures
    assert failures.mean() == pytest.approx(math.e - 1, rel=0.05)
    jittered = failures + np.random.default_rng(0).random(20_000)
    stay = 1 - math.exp(-1)
    assert kstest(jittered, lambda x: 1 - stay ** np.floor(x) * (1 - (1 - stay) * (x % 1))).pvalue > 0.001


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1, 1, 1), "work is -1"),
        ((1, 0, 1, 1), "interval is 0; it must be finite and greater than 0"),
        ((1, 1, math.nan, 1), "checkpoint_cost is nan"),
        ((1, 1, 1, 0), "mtbf is 0"),
        ((1, 1, 1, 1, -1), "restart_cost is -1"),
        ((1, 1, 1, 1, 1, 0), "runs is 0"),
        ((1e18, 1, 1, 1), "the number of intervals × runs is 1e+20"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        checkpoint(*arguments)
    with pytest.raises(ValueError, match="shape is 0"):
        checkpoint(1, 1, 1, 1, shape=0)


@pytest.mark.slow
def test_work_that_is_never_done():
    with pytest.raises(ValueError, match=r"the work is not done after .* failures"):
        checkpoint(1000, 1000, 1, 1)


TIMES = st.sampled_from([0, 1, -1, 0.5, 2, 7, 1e-300, 1e18, 1e300, math.inf, -math.inf, math.nan, None, "x", True])


@settings(max_examples=1000)
@given(st.data())
def test_checkpoint_takes_or_refuses_anything(data):
    # Intervals so long that they practically never end are tested above: here the machine lives for 1 s or more.
    times = [data.draw(TIMES | st.floats(0, 5)) for _ in range(5)]
    runs, shape = data.draw(st.integers(1, 3) | TIMES), data.draw(st.just(1.0) | TIMES)
    finite = [x for x in times if isinstance(x, (int, float)) and math.isfinite(x)]
    if len(finite) == 5 and (min(times[0], times[1]) + times[2] > 8 * times[3] or times[4] > 8 * times[3]):
        times[3] = 1e15
        if max(times[0], times[2], times[4]) > 1e15:
            return
    try:
        result = checkpoint(*times, runs, shape=shape)
    except ValueError:
        return
    assert np.isfinite(result.time).all()
    assert (result.time >= times[0] * (1 - 1e-12)).all()
    assert (result.failures >= 0).all()
