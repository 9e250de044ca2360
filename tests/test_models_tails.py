"""Tails: published values, limits, order statistics and copies of requests by simulation, wild input."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course.models import (
    expected_maximum_exponential,
    fan_out_probability,
    fan_out_quantile,
    hedged_extra,
    hedged_tail,
    mm1,
    mmc,
    speculative_execution,
    tail_mean,
    tail_quantile,
    tied_tail,
)
from course.simulate import queue
from tests.strategies import NUMBERS

exponential = stats.expon.sf
# Most requests take about a millisecond; one in fifty meets something slow, a hundred times as slow.
RARE = 0.02


def rare_slow(t):
    return (1 - RARE) * stats.lognorm.sf(t, 0.3, scale=1e-3) + RARE * stats.lognorm.sf(t, 0.5, scale=0.1)


def draw_rare_slow(rng, shape):
    slow = rng.random(shape) < RARE
    return np.where(slow, rng.lognormal(math.log(0.1), 0.5, shape), rng.lognormal(math.log(1e-3), 0.3, shape))


# ---- many requests


def test_the_tail_at_scale():
    # Dean and Barroso 2013: a hundred servers that are slow once in a hundred, 63 %; two thousand that are once in ten
    # thousand, almost one in five.
    assert fan_out_probability(0.01, 100) == pytest.approx(0.63, abs=0.005)
    assert fan_out_probability(1e-4, 2000) == pytest.approx(0.18, abs=0.005)


@given(st.floats(0, 1), st.integers(1, 10**6))
def test_quantile_and_probability_undo_each_other(q, n):
    single = fan_out_quantile(q, n)
    assert q <= single <= 1
    assert 1 - fan_out_probability(1 - single, n) == pytest.approx(q, abs=1e-9)


@given(st.floats(0, 1), st.integers(0, 10**6))
def test_more_requests_are_slower(p, n):
    assert fan_out_probability(p, n) <= fan_out_probability(p, n + 1) <= min(1, (n + 1) * p * (1 + 1e-9) + 1e-300)


def test_limits_of_fan_out():
    assert fan_out_probability(0.3, 1) == pytest.approx(0.3)
    assert fan_out_probability(0.3, 0) == fan_out_probability(1.0, 0) == fan_out_probability(0.0, 1e18) == 0
    assert fan_out_probability(1.0, 5) == 1
    assert fan_out_probability(1e-18, 1e17) == pytest.approx(-math.expm1(-0.1), rel=1e-12)  # 1 − p is 1 in floats
    assert fan_out_quantile([0, 0.5, 1], 3).tolist() == [0, 0.5 ** (1 / 3), 1]
    assert fan_out_probability([0.1, 0.2], [[1], [2]]).shape == (2, 2)


@given(st.integers(1, 3000), st.data())
def test_order_statistics_are_sums(n, data):
    k = data.draw(st.integers(1, n))
    expected = math.fsum(1 / i for i in range(n - k + 1, n + 1))
    assert expected_maximum_exponential(n, 0.5, needed=k) == pytest.approx(2 * expected, rel=1e-12)


def test_limits_of_order_statistics():
    # The numbers of Euler and Mascheroni, and the first of very many.
    assert expected_maximum_exponential(1e9) == pytest.approx(math.log(1e9) + np.euler_gamma, abs=1e-9)
    assert expected_maximum_exponential(1e18, needed=1) == pytest.approx(1e-18, rel=1e-12)
    assert expected_maximum_exponential(2000, needed=[999, 1000]) == pytest.approx(
        [math.fsum(1 / i for i in range(2001 - k, 2001)) for k in (999, 1000)], rel=1e-12
    )
    assert expected_maximum_exponential(1, [1.0, 4.0]).tolist() == [1, 0.25]


def _within(values: np.ndarray, expected) -> None:
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - expected) < 3 * error).all(), (values.mean(axis=0), expected, error)
    assert (error < 0.05 * np.asarray(expected)).all(), "too few to say anything"


@pytest.mark.parametrize(("n", "k"), [(10, 10), (100, 90), (30, 1)])
def test_order_statistics_against_simulation(n, k):
    times = np.sort(np.random.default_rng(1).exponential(1 / 3, (20_000, n)), axis=1)
    _within(times[:, k - 1], expected_maximum_exponential(n, 3.0, needed=k))


def test_fan_out_against_simulation():
    times = draw_rare_slow(np.random.default_rng(2), (20_000, 30)).max(axis=1)
    limit = tail_quantile(fan_out_quantile(0.3, 30), rare_slow)
    _within((times > limit).astype(float), 0.7)
    _within((times > 0.05).astype(float), fan_out_probability(rare_slow(0.05), 30))


# ---- a second copy


def test_hedging_against_simulation():
    rng, delay = np.random.default_rng(3), 0.005
    first, second = draw_rare_slow(rng, (2, 400_000))
    response = np.minimum(first, delay + second)
    for t in (0.5e-3, 1e-3, 0.004, 0.006):
        _within((response > t).astype(float)[: 400_000 if t > 2e-3 else 40_000], hedged_tail(t, rare_slow, delay))
    _within((first > delay).astype(float), hedged_extra(rare_slow, delay))
    _within(response, tail_mean(lambda t: hedged_tail(t, rare_slow, delay)))
    q = tail_quantile(0.99, lambda t: hedged_tail(t, rare_slow, delay))
    _within((response > q).astype(float), 0.01)


def test_hedging_cuts_a_rare_slow_mode():
    # The promise of Dean and Barroso: for 2 % more requests, the 99.9th percentile falls by more than ten times.
    hedged = tail_quantile(0.999, lambda t: hedged_tail(t, rare_slow, 0.005))
    assert tail_quantile(0.999, rare_slow) > 10 * hedged
    assert hedged_extra(rare_slow, 0.005) == pytest.approx(RARE, rel=0.01)


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0, 10))
def test_hedging_never_hurts_and_earlier_is_better(t, delay, later):
    one = hedged_tail(t, exponential, delay)
    assert one <= hedged_tail(t, exponential, delay + later) <= exponential(t)
    assert one == pytest.approx(math.exp(-t) * math.exp(-max(t - delay, 0)), rel=1e-12)
    assert hedged_extra(exponential, delay + later) <= hedged_extra(exponential, delay)


def test_limits_of_hedging():
    assert hedged_tail(2.0, exponential, 1e30) == exponential(2.0)
    assert hedged_tail(2.0, exponential, 0.0) == pytest.approx(exponential(2.0) ** 2)
    assert hedged_extra(exponential, 0.0) == 1
    assert hedged_tail([0.1, 2.0], exponential, [[0.5], [1.0]]).shape == (2, 2)


@given(st.floats(1e-3, 0.9999), st.floats(1e-9, 1e9))
def test_quantiles_of_a_known_tail(q, scale):
    found = tail_quantile(q, stats.expon(scale=scale).sf)
    assert found == pytest.approx(-scale * math.log1p(-q), rel=1e-9, abs=1e-30)


def test_quantiles_of_steps():
    def steps(t):
        return np.where(t < 1, 1.0, np.where(t < 10, 0.05, 0.0))

    assert tail_quantile([0, 0.5, 0.95, 0.951, 0.999], steps) == pytest.approx([0, 1, 1, 10, 10], rel=1e-9)
    assert tail_quantile(0.5, lambda t: np.zeros_like(t)) == 0
    assert tail_mean(steps) == pytest.approx(0.95 * 1 + 0.05 * 10, rel=1e-9)


@pytest.mark.parametrize(
    "distribution",
    [
        stats.expon(scale=1e-12),
        stats.expon(scale=1e12),
        stats.pareto(1.5),
        stats.lognorm(2.5),
        stats.uniform(3, 1e-3),
        stats.gamma(0.05),
    ],
    ids=lambda d: d.dist.name,
)
def test_means_of_known_tails(distribution):
    assert tail_mean(distribution.sf) == pytest.approx(distribution.mean(), rel=1e-6)


# ---- tied requests


def test_tied_requests_against_simulation():
    """Two servers with one queue each, and a request now and then that joins both: the shorter wait is its own."""
    rho, n, gap = 0.7, 200_000, 20.0
    waits = []
    for k in range(2):
        rng = np.random.default_rng([4, k])
        served = queue(rng.exponential(1 / rho, n), rng.exponential(1.0, n))
        # The work in the system at a time is what the last to come before it has left of its response.
        times = np.arange(1000.0, 100_000.0, gap)
        last = np.searchsorted(served.arrival, times) - 1
        waits.append(np.maximum(served.stop[last] - times, 0.0))
    wait, model = np.minimum(*waits), mm1(rho, 1.0)

    def survival(t):
        return model.wait_probability * np.exp(-(1 - rho) * t)

    # Neighbours in time are alike: batches of 100 are not.
    for t in (0.0, 1.0, 3.0):
        _within((wait > t).reshape(-1, 99).mean(axis=1), tied_tail(t, survival))
    assert tied_tail(2.0, survival, copies=1) == survival(2.0)


def test_tied_requests_as_measured():
    # Dean and Barroso 2013, table 2, with a sort running: 24, 56, 108 and 159 ms become 19, 38, 67 and 108 ms. If all
    # of it were wait, and the two servers independent, the tail would fall somewhat more than it did; not less.
    alone = np.array([0.024, 0.056, 0.108, 0.159])
    tied = np.array([0.019, 0.038, 0.067, 0.108])
    exceeded = np.log([0.5, 0.1, 0.01, 0.001])

    def wait(t):
        return np.exp(np.interp(t, [0, *alone, 0.5], [0, *exceeded, math.log(1e-9)]))

    model = np.array([tail_quantile(q, lambda t: tied_tail(t, wait)) for q in (0.9, 0.99, 0.999)])
    assert (model < tied[1:]).all()
    assert (model > 0.75 * tied[1:]).all()


def test_all_tied_to_all_servers_are_one_queue():
    # Then the shorter of two queues is that of M/M/2, and below what independent queues would promise.
    one, both = mm1(0.8, 1.0), mmc(1.6, 1.0, 2)
    independent = tied_tail(0.0, lambda t: one.wait_probability * np.exp(-0.2 * t))
    assert independent < both.wait_probability < one.wait_probability


# ---- speculative execution


def test_speculation_against_simulation():
    rng, tasks, delay = np.random.default_rng(5), 50, 0.01
    first, second = draw_rare_slow(rng, (2, 10_000, tasks))
    started = first > delay
    done = np.where(started, np.minimum(first, delay + second), first)
    work = done + np.where(started, done - delay, 0.0)
    model = speculative_execution(rare_slow, delay, tasks)
    _within(done.mean(axis=1), model.duration)
    _within(work.mean(axis=1), model.work)
    _within(done.max(axis=1), model.makespan)
    _within(1 + started.mean(axis=1), model.copies)


@given(st.floats(0, 5), st.integers(1, 1000))
def test_exponential_tasks_gain_time_but_no_work(delay, tasks):
    result = speculative_execution(exponential, delay, tasks)
    assert result.work == pytest.approx(1, rel=1e-6)
    assert result.duration == pytest.approx(1 - math.exp(-delay) / 2, rel=1e-6)
    assert result.duration <= result.makespan * (1 + 1e-6)
    assert result.makespan <= expected_maximum_exponential(tasks) * (1 + 1e-6)
    assert result.copies == pytest.approx(1 + math.exp(-delay))


def test_limits_of_speculation():
    never = speculative_execution(exponential, 1e6, 10)
    assert never[:2] == pytest.approx((1, 1))
    assert never.copies == 1
    assert never.makespan == pytest.approx(expected_maximum_exponential(10), rel=1e-6)
    both = speculative_execution(exponential, 0.0, 10)
    assert both.makespan == pytest.approx(expected_maximum_exponential(10, 2.0), rel=1e-6)
    assert both.copies == 2
    # Durations that hardly differ: a copy is only more work. Rare and very long ones: it is less.
    assert speculative_execution(stats.uniform(0.9, 0.2).sf, 0.5).work > 1.4
    assert speculative_execution(rare_slow, 0.005).work < tail_mean(rare_slow)


# ---- errors and wild input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fan_out_probability(1.5, 2),
            "slow_probability is 1.5; it must be finite and at least 0 and at most 1",
        ),
        (lambda: fan_out_probability(0.5, 2.5), "requests is 2.5; it must be a whole number"),
        (lambda: fan_out_quantile(-1, 2), "q is -1"),
        (lambda: fan_out_quantile(0.5, 0), "requests is 0; it must be a whole number and at least 1"),
        (lambda: expected_maximum_exponential(3, 0), "rate is 0"),
        (lambda: expected_maximum_exponential(3, needed=4), "needed is 4; it must be at most the requests, 3"),
        (lambda: expected_maximum_exponential(3, needed=0), "needed is 0"),
        (lambda: hedged_tail(-1, exponential, 0), "time is -1"),
        (lambda: hedged_tail(1, exponential, math.inf), "delay is inf"),
        (lambda: hedged_tail(1, 0.5, 1), "survival is 0.5; it must be a function of time"),
        (
            lambda: hedged_extra(lambda t: 2 * np.ones_like(t), 1),
            "survival(time) is 2; it must be finite and at least 0",
        ),
        (lambda: tied_tail(1, exponential, 0), "copies is 0"),
        (lambda: tail_quantile(1, exponential), "q is 1; it must be at least 0 and below 1"),
        (lambda: tail_quantile(0.5, lambda t: np.ones_like(t)), "survival is 1 at 1e+30 s; q is 0.5"),
        (lambda: tail_mean(stats.pareto(1).sf), "survival is too heavy"),
        (lambda: speculative_execution(exponential, -1), "delay is -1"),
        (lambda: speculative_execution(exponential, 1, 0), "tasks is 0"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


WILD = {
    "fan_out_probability": (2, lambda a, b: fan_out_probability(a, b), 1),
    "fan_out_quantile": (2, lambda a, b: fan_out_quantile(a, b), 1),
    "expected_maximum_exponential": (2, lambda a, b: expected_maximum_exponential(a, b), 1e32),
    "some of many": (3, lambda a, b, c: expected_maximum_exponential(a, b, needed=c), 1e32),
    "hedged_tail": (2, lambda a, b: hedged_tail(a, rare_slow, b), 1),
    "hedged_extra": (1, lambda a: hedged_extra(rare_slow, a), 1),
    "tied_tail": (2, lambda a, b: tied_tail(a, exponential, b), 1),
    "tail_quantile": (1, lambda a: tail_quantile(a, rare_slow), 100),
    "speculative_execution": (2, lambda a, b: np.max(speculative_execution(exponential, a, b)), 100),
}


@pytest.mark.parametrize("name", list(WILD))
@settings(max_examples=120)
@given(data=st.data())
def test_wild_input_gives_a_number_in_range_or_a_clear_error(name, data):
    arguments, function, high = WILD[name]
    drawn = [data.draw(NUMBERS) for _ in range(arguments)]
    try:
        result = function(*drawn)
    except ValueError as error:
        message, result = str(error), None
    if result is None:
        assert " must " in message
    else:
        assert 0 <= result <= high
