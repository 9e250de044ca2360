"""Balls in bins, two choices, round robin, the shortest queue and stealing: published values, limits, simulations."""

from __future__ import annotations

import heapq
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course.domain import UnstableError
from course.models.balancing import (
    EXACT_BALLS,
    _expected_max_exact,
    _expected_max_independent,
    balls_in_bins_growth,
    balls_in_bins_max,
    bin_load_tail,
    round_robin_response,
    shortest_queue_bounds,
    stealing_response,
    supermarket_response,
    supermarket_tail,
)
from course.models.queueing import erlang_gap, gm1, mm1, mmc
from tests.strategies import NUMBERS, answer_or_error

# ---- balls in bins


def all_placements(balls: int, bins: int) -> float:
    """Return E[max] by trying all placements."""
    return np.mean([max(np.bincount(p, minlength=bins)) for p in itertools.product(range(bins), repeat=balls)])


@pytest.mark.parametrize(("balls", "bins"), [(2, 2), (3, 3), (5, 5), (6, 3), (5, 2), (3, 12), (9, 2)])
def test_one_choice_is_exact(balls, bins):
    assert balls_in_bins_max(balls, bins) == pytest.approx(all_placements(balls, bins), rel=1e-12)


def test_birthdays():
    # Of 23 people two share a birthday with probability 0.5073 (Feller, volume 1, section II.3).
    people, days = 23, 365
    different = math.perm(days, people) / days**people
    assert 1 - different == pytest.approx(0.5073, abs=5e-5)
    # None shares it with two others: i pairs, and the rest alone.
    no_three = sum(
        math.comb(days, i) * math.comb(days - i, people - 2 * i) * math.factorial(people) / 2**i / days**people
        for i in range(people // 2 + 1)
    )
    # E[max] = 1 + P(two) + P(three) + P(four) + …, and four are as good as never.
    four = math.comb(people, 4) / days**3
    expected = 1 + (1 - different) + (1 - no_three)
    assert expected < balls_in_bins_max(people, days) < expected + 1.01 * four


@given(st.integers(2, 400), st.integers(2, 400))
@settings(max_examples=60)
def test_exact_and_independent_agree(balls, bins):
    assert _expected_max_exact(balls, bins) == pytest.approx(_expected_max_independent(balls, bins), abs=0.06)


def test_where_exact_ends_the_values_join():
    for bins in (2, 30, 1000, 10**6):
        assert _expected_max_exact(EXACT_BALLS, bins) == pytest.approx(
            _expected_max_independent(EXACT_BALLS, bins), abs=0.005
        )


def test_many_balls_are_normal():
    # Two bins: m/2 + E|S|/2 of a random walk S of m steps, and E|S| → √(2m/π).
    for balls in (10**6, 10**12, 10**18):
        assert balls_in_bins_max(balls, 2) - balls / 2 == pytest.approx(math.sqrt(balls / (2 * math.pi)), rel=2e-3)
    # The expected maximum of 10 and 1000 normal variables: 1.53875, 3.24144 (Harter, Biometrika 48, 1961).
    for bins, most in ((10, 1.53875), (1000, 3.24144)):
        mean = 10**12
        assert (balls_in_bins_max(mean * bins, bins) - mean) / math.sqrt(mean) == pytest.approx(most, abs=1e-4)


def test_fluid_limit_as_published():
    # Mitzenmacher: Balanced allocations and double hashing (SPAA 2014), fluid limit, as many balls as bins.
    assert bin_load_tail(1.0, 3, [1, 2, 3]) == pytest.approx([0.8231, 0.1765, 0.00051], abs=1e-4)
    assert bin_load_tail(1.0, 4, [1, 2]) == pytest.approx([0.8592, 0.1408], abs=1e-4)
    assert bin_load_tail(1.0, 4, 3) == pytest.approx(2.3e-5, abs=1e-6)


@given(st.floats(0, 12), st.integers(1, 8))
@settings(max_examples=60)
def test_the_fluid_limit_is_a_distribution_with_the_right_mean(mean, choices):
    tail = bin_load_tail(mean, choices, np.arange(80))
    assert tail[0] == 1
    assert (np.diff(tail) <= 0).all()
    assert tail[1:].sum() == pytest.approx(mean, abs=1e-5)
    if choices == 1:
        assert tail[1:] == pytest.approx(stats.poisson.sf(np.arange(79), mean), rel=1e-9, abs=1e-14)


def test_the_first_level_of_two_choices_by_hand():
    # x₁' = 1 − x₁² has the solution tanh t.
    t = np.array([0.1, 0.5, 1.0, 3.0])
    assert bin_load_tail(t, 2, 1) == pytest.approx(np.tanh(t), rel=1e-7)


def thrown(balls: int, bins: int, choices: int, runs: int, seed: int = 0) -> np.ndarray:
    """Return the maximum of each run, all runs at once."""
    rng = np.random.default_rng(seed)
    load = np.zeros((runs, bins), dtype=int)
    rows = np.arange(runs)
    for _ in range(balls):
        drawn = rng.integers(bins, size=(choices, runs))
        best = np.argmin(load[rows, drawn], axis=0)
        load[rows, drawn[best, rows]] += 1
    return load.max(axis=1)


@pytest.mark.parametrize(("balls", "bins"), [(300, 300), (50, 1000), (2000, 20), (2500, 500)])
def test_one_choice_by_simulation(balls, bins):
    runs = 1500
    most = thrown(balls, bins, 1, runs)
    error = most.std(ddof=1) / math.sqrt(runs)
    assert abs(balls_in_bins_max(balls, bins) - most.mean()) < 3 * error


@pytest.mark.parametrize(
    ("balls", "bins", "choices"),
    [(20, 20, 2), (100, 20, 2), (1000, 1000, 2), (4000, 200, 2), (1000, 500, 3), (90, 30, 9)],
)
def test_several_choices_by_simulation(balls, bins, choices):
    runs = 600
    most = thrown(balls, bins, choices, runs)
    error = most.std(ddof=1) / math.sqrt(runs)
    # An approximation: within the 0.15 balls that the docstring promises.
    assert abs(balls_in_bins_max(balls, bins, choices) - most.mean()) < 0.15 + 3 * error


def test_balls_in_bins_limits():
    assert balls_in_bins_max(0, 5) == 0
    assert balls_in_bins_max(7, 1) == balls_in_bins_max(7, 1, 3) == 7
    assert balls_in_bins_max(1, 10**18) == 1
    assert balls_in_bins_max(3, 10**18, 2) == 1
    assert balls_in_bins_max(5, 10**7) == pytest.approx(1 + 10 / 10**7, abs=1e-8)  # pairs
    assert balls_in_bins_max([10, 20], [[10], [20]], 2).shape == (2, 2)
    # With two choices the excess over the mean does not grow with the balls (Berenbrink et al.); with one it does.
    excess = [balls_in_bins_max(mean * 1000, 1000, 2) - mean for mean in (15, 25, 1000, 10**6)]
    assert np.ptp(excess) < 0.01
    assert balls_in_bins_max(10**6, 1000) - 1000 > 3 * (balls_in_bins_max(10**5, 1000) - 100)


@given(st.integers(1, 3000), st.integers(2, 3000), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_the_maximum_is_monotone(balls, bins, choices):
    here = balls_in_bins_max(balls, bins, choices)
    assert math.ceil(balls / bins) <= here <= balls
    assert balls_in_bins_max(balls, bins, choices + 1) <= here + 1e-6
    assert balls_in_bins_max(balls + 1, bins, choices) >= here - 0.01  # the join of exact and independent
    assert balls_in_bins_max(balls, bins + 1, choices) <= here + 0.01


def test_growth_is_the_published_equation():
    # Raab, Steger (RANDOM 1998): m = c n ln n, k = d ln n with 1 + d (ln c − ln d + 1) − c = 0.
    bins = 10**4
    for c in (0.1, 1.0, 4.0):
        balls = round(c * bins * math.log(bins))
        c = balls / (bins * math.log(bins))
        d = balls_in_bins_growth(balls, bins) / math.log(bins)
        assert 1 + d * (math.log(c) - math.log(d) + 1) - c == pytest.approx(0, abs=1e-9)
        assert d > c
    # Azar, Broder, Karlin, Upfal: ln ln n / ln d.
    assert balls_in_bins_growth(10**6, 10**6, 4) - 1 == pytest.approx(math.log(math.log(10**6)) / math.log(4))


@pytest.mark.parametrize("balls_per_bin", [0.01, 1, 10, 1000])
def test_growth_is_the_leading_term(balls_per_bin):
    # The ratio of the maximum to it tends to 1, slowly; the excess over the mean, where that is large.
    gaps = []
    for bins in (10**4, 10**8, 10**14):
        balls = int(balls_per_bin * bins)
        gaps.append(balls_in_bins_growth(balls, bins) / balls_in_bins_max(balls, bins) - 1)
    assert abs(gaps[2]) < abs(gaps[0])
    assert abs(gaps[2]) < 0.35


@given(st.integers(3, 10**18), st.floats(1e4, 1e15))
@settings(max_examples=60)
def test_growth_with_many_balls(bins, mean):
    balls = round(mean) * bins
    if balls <= 10**18:
        excess = (balls_in_bins_growth(balls, bins) - balls / bins) / math.sqrt(2 * balls / bins * math.log(bins))
        assert excess == pytest.approx(1, abs=0.05)
    assert balls_in_bins_growth(bins, bins, 2) == pytest.approx(1 + math.log(math.log(bins)) / math.log(2))


# ---- queues


def test_supermarket_limits():
    assert supermarket_response(0.0, 2) == 1
    assert supermarket_tail(0.0, 2, [0, 1]).tolist() == [1, 0]
    assert supermarket_response(0.8, 1, 4.0) == pytest.approx(mm1(3.2, 4.0).mean_response)
    assert supermarket_response(0.999, 10**18) == pytest.approx(1, rel=1e-9)
    assert supermarket_tail(0.9, [1, 2, 10**18], 10**18).tolist() == [0, 0, 0]
    # Mitzenmacher 2001: as the load nears 1, E[T] / ln(1 / (1 − ρ)) tends to 1 / ln d.
    for choices in (2, 3):
        ratios = [supermarket_response(1 - e, choices) / -math.log(e) * math.log(choices) for e in (1e-3, 1e-7, 1e-15)]
        assert abs(ratios[2] - 1) < abs(ratios[1] - 1) < abs(ratios[0] - 1) < 0.3
        assert abs(ratios[2] - 1) < 0.07


@given(st.floats(0.01, 0.99), st.integers(1, 6), st.floats(0.01, 100))
def test_the_supermarket_keeps_littles_law(load, choices, rate):
    number = supermarket_tail(load, choices, np.arange(1, 4000)).sum()
    assert number == pytest.approx(load * rate * supermarket_response(load, choices, rate), rel=1e-9)
    assert supermarket_tail(load, choices, 1) == pytest.approx(load)
    assert supermarket_response(load, choices + 1) <= supermarket_response(load, choices)


@given(st.floats(0.01, 0.99), st.integers(2, 6))
def test_the_supermarket_is_a_fixed_point(load, choices):
    s = supermarket_tail(load, choices, np.arange(12))
    inflow = load * (s[:-2] ** choices - s[1:-1] ** choices)
    np.testing.assert_allclose(inflow, s[1:-1] - s[2:], atol=1e-12)


@given(st.floats(0, 0.9999), st.integers(1, 200))
def test_round_robin_solves_its_equation(load, servers):
    response = round_robin_response(load, servers)
    sigma = 1 - 1 / response
    assert sigma == pytest.approx((servers * load / (servers * load + 1 - sigma)) ** servers if load else 0, abs=1e-9)
    assert response <= mm1(load, 1.0).mean_response * (1 + 1e-9)
    assert round_robin_response(load, servers + 1) <= response * (1 + 1e-9)


@given(st.floats(0.01, 0.99), st.integers(1, 50))
def test_round_robin_is_erlang_arrivals_at_each_server(load, servers):
    queue = gm1(load, 1.0, erlang_gap(servers))
    assert round_robin_response(load, servers) == pytest.approx(queue.mean_response, rel=1e-6)


def test_round_robin_as_published():
    # The roots σ of E₂/M/1 and D/M/1 at ρ = 0.5: 0.381966 (the golden ratio) and 0.203188.
    assert 1 - 1 / round_robin_response(0.5, 2) == pytest.approx((3 - math.sqrt(5)) / 2, rel=1e-9)
    assert 1 - 1 / round_robin_response(0.5, 10**18) == pytest.approx(0.203188, abs=1e-6)
    assert round_robin_response(0.0, 3, 2.0) == 0.5


def test_stealing_as_published():
    # Mitzenmacher, SPAA 1998, the estimates of the basic model: 1.618 at load 0.5, 3.541 at 0.9, 10.462 at 0.99.
    assert stealing_response([0.5, 0.9, 0.99]) == pytest.approx([1.618, 3.541, 10.462], abs=5e-4)
    assert stealing_response(0.5) == pytest.approx((1 + math.sqrt(5)) / 2, rel=1e-12)
    assert stealing_response(0.0, 2.0) == 0.5


@given(st.floats(0.001, 0.999))
def test_stealing_is_a_fixed_point(load):
    number = load * stealing_response(load)
    two = 1 - load**2 / (number - load)  # from mean number = ρ + ρ² / (1 − π₂)
    assert load * (1 - load) == pytest.approx((load - two) * (1 - two), abs=1e-9)
    assert 1 <= stealing_response(load) <= mm1(load, 1.0).mean_response


@given(st.one_of(st.just(0.0), st.floats(1e-20, 0.999)), st.integers(1, 300))
def test_the_bounds_of_the_shortest_queue_are_in_order(load, servers):
    lower, upper = shortest_queue_bounds(load, servers)
    assert lower * (1 + 1e-12) >= 1
    assert lower <= upper * (1 + 1e-9)
    assert lower == pytest.approx(mmc(load * servers, 1.0, servers).mean_response)
    if servers == 1:
        assert lower == pytest.approx(upper)


def dispatched(load: float, servers: int, rule: str, customers: int, rng: np.random.Generator) -> float:
    """Return the mean response of all but the first fifth; each server is first come first served."""
    arrivals = np.cumsum(rng.exponential(1 / (load * servers), customers)).tolist()
    services = rng.exponential(1.0, customers).tolist()
    draws = rng.integers(servers, size=(customers, 2)).tolist()
    length, free, leaving = [0] * servers, [0.0] * servers, []
    total = 0.0
    for i, now in enumerate(arrivals):
        while leaving and leaving[0][0] <= now:
            length[heapq.heappop(leaving)[1]] -= 1
        if rule == "two":
            a, b = draws[i]
            server = a if length[a] <= length[b] else b
        elif rule == "turn":
            server = i % servers
        else:
            server = length.index(min(length))
        free[server] = max(free[server], now) + services[i]
        length[server] += 1
        heapq.heappush(leaving, (free[server], server))
        if i >= customers // 5:
            total += free[server] - now
    return total / (customers - customers // 5)


def replicated(function, runs: int = 10) -> tuple[float, float]:
    values = [function(np.random.default_rng([7, k])) for k in range(runs)]
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(runs))


def test_two_choices_by_simulation():
    # The limit of many servers: 400 of them still differ by about 1 / 400.
    mean, error = replicated(lambda rng: dispatched(0.8, 400, "two", 40_000, rng))
    assert abs(supermarket_response(0.8, 2) - mean) < 3 * error + 0.01
    assert error < 0.02


def test_round_robin_by_simulation():
    mean, error = replicated(lambda rng: dispatched(0.7, 4, "turn", 40_000, rng))
    assert abs(round_robin_response(0.7, 4) - mean) < 3 * error
    assert error < 0.05


def test_the_shortest_queue_is_within_its_bounds():
    lower, upper = shortest_queue_bounds(0.8, 5)
    mean, error = replicated(lambda rng: dispatched(0.8, 5, "shortest", 20_000, rng))
    assert lower + 3 * error < mean < upper - 3 * error


def stolen(load: float, servers: int, events: int, rng: np.random.Generator) -> float:
    """Return the mean response of the stealing model, by Little's law from the mean number."""
    length = np.zeros(servers, dtype=int).tolist()
    kinds = (rng.random(events) < load / (1 + load)).tolist()  # an arrival, or a service that may be idle
    where, victims = rng.integers(servers, size=(2, events)).tolist()
    inside = total = counted = 0
    for i in range(events):
        server = where[i]
        if kinds[i]:
            length[server] += 1
            inside += 1
        elif length[server]:
            length[server] -= 1
            inside -= 1
            if length[server] == 0 and length[victims[i]] >= 2:
                length[victims[i]] -= 1
                length[server] = 1
        if i >= events // 5:
            total += inside
            counted += 1
    return total / counted / (load * servers)


def test_stealing_by_simulation():
    mean, error = replicated(lambda rng: stolen(0.8, 400, 150_000, rng))
    assert abs(stealing_response(0.8) - mean) < 3 * error + 0.01
    assert error < 0.02


# ---- errors, wild inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: balls_in_bins_max(-1, 2), "balls is -1; it must be a whole number and at least 0"),
        (lambda: balls_in_bins_max(1, 0), "bins is 0; it must be a whole number and at least 1"),
        (lambda: balls_in_bins_max(1, 2.5), "bins is 2.5"),
        (lambda: balls_in_bins_max(1, 2, 0), "choices is 0; it must be a whole number and at least 1 and at most 1000"),
        (lambda: balls_in_bins_max(1, 2, 1001), "choices is 1001"),
        (lambda: balls_in_bins_growth(5, 2), "bins is 2; it must be a whole number and at least 3"),
        (lambda: bin_load_tail(51, 2, 1), "balls_per_bin is 51; it must be finite and at least 0 and at most 50"),
        (lambda: supermarket_tail(0.5, 2, -1), "k is -1"),
        (lambda: supermarket_response(-0.1, 2), "load is -0.1; it must be finite and at least 0"),
        (lambda: supermarket_response(0.5, 1.5), "choices is 1.5"),
        (lambda: supermarket_response(0.5, 2, 0), "service_rate is 0"),
        (lambda: shortest_queue_bounds(0.5, 0), "servers is 0; it must be a whole number and at least 1"),
        (lambda: round_robin_response(math.nan, 1), "load is nan"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: supermarket_response([0.5, 1.0], 2),
        lambda: supermarket_tail(1.0, 2, 3),
        lambda: round_robin_response(1.0, 2),
        lambda: shortest_queue_bounds(1.0, 2),
        lambda: stealing_response(1.0),
    ],
)
def test_an_unstable_queue_says_so(call):
    with pytest.raises(UnstableError, match="the utilization is 1; it must be below 1"):
        call()


@given(NUMBERS, NUMBERS, st.one_of(st.integers(-1, 6), NUMBERS))
@settings(max_examples=300, deadline=None)
def test_wild_balls(balls, bins, choices):
    answer_or_error(balls_in_bins_max, balls, bins, choices)
    answer_or_error(balls_in_bins_growth, balls, bins, choices)


@given(st.floats(), st.one_of(st.integers(-1, 1100), NUMBERS), NUMBERS)
@settings(max_examples=150, deadline=None)
def test_wild_fluid(mean, choices, k):
    answer_or_error(bin_load_tail, mean, choices, k, high=1)
    answer_or_error(bin_load_tail, abs(mean) % 50 if math.isfinite(mean) else mean, choices, k, high=1)


@given(st.one_of(st.floats(0, 1), NUMBERS), NUMBERS, NUMBERS)
@settings(max_examples=600, deadline=None)
def test_wild_queues(load, whole, other):
    answer_or_error(supermarket_tail, load, whole, other, high=1)
    answer_or_error(supermarket_response, load, whole, other)
    answer_or_error(round_robin_response, load, whole, other)
    answer_or_error(stealing_response, load, other)
    answer_or_error(shortest_queue_bounds, load, whole, other)
