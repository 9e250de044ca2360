"""Balls in bins and the balancing of customers, against plain Python, formulas and published tables."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.stats import chisquare

from course.models import mm1, mmc
from course.simulate import balance, balls, queue
from course.simulate.balancing import RULES, _different

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))["cases"]
}


# ---- balls


def plain_balls(n, bins, choices, seed):
    rng = np.random.default_rng(seed)
    loads = [0] * bins
    for row in rng.integers(bins, size=(n, choices)).tolist():
        loads[min(row, key=lambda b: loads[b])] += 1
    return loads


@settings(max_examples=150)
@given(st.integers(0, 60), st.integers(1, 12), st.integers(1, 5), st.integers(0, 10**6))
def test_balls_are_their_twin(n, bins, choices, seed):
    assert balls(n, bins, choices, seed=seed).tolist() == plain_balls(n, bins, choices, seed)


@pytest.mark.parametrize("choices", [1, 2, 3])
def test_balls_in_several_chunks_are_their_twin(choices):
    n = 2 * 2**19 // choices + 5
    assert balls(n, 1000, choices, seed=3).tolist() == plain_balls(n, 1000, choices, 3)


def test_the_fullest_of_three_bins():
    # 27 equally likely ways: 3 put all into one bin, 6 put one into each.
    rounds = 20_000
    fullest = np.array([balls(3, 3, seed=seed).max() for seed in range(rounds)])
    for load, p in ((1, 6 / 27), (2, 18 / 27), (3, 3 / 27)):
        assert abs((fullest == load).mean() - p) < 3 * math.sqrt(p * (1 - p) / rounds)


def share_at_least(choices, most=6):
    """Return the share of bins with at least 1, 2, … balls after n balls in n bins, n → ∞: y_k' = y_{k−1}^d − y_k^d."""

    def slope(_, y):
        below = np.concatenate([[1.0], y[:-1]])
        return below**choices - y**choices

    return solve_ivp(slope, (0, 1), np.zeros(most), rtol=1e-10, atol=1e-12).y[:, -1]


def test_shares_of_loads_against_the_differential_equations():
    n = 10**6
    for choices in (1, 2, 3):
        loads = balls(n, n, choices, seed=4)
        expected = share_at_least(choices)
        for k in range(1, 5):
            p = expected[k - 1]
            # The loads of different bins are negatively correlated: a binomial error is too large, if anything.
            assert abs((loads >= k).mean() - p) < 3 * math.sqrt(p * (1 - p) / n) + 1e-6
    # Mitzenmacher: The Power of Two Choices in Randomized Load Balancing, PhD thesis, Berkeley 1996, chapter 4.
    np.testing.assert_allclose(share_at_least(2)[:3], [0.7616, 0.2295, 0.0089], atol=5e-5)
    assert share_at_least(2)[0] == pytest.approx(math.tanh(1))
    assert share_at_least(1)[0] == pytest.approx(1 - math.exp(-1))  # Poisson


@pytest.mark.parametrize("choices", [1, 2])
def test_the_fullest_of_a_million_bins(choices):
    n = 10**6
    expected = n * share_at_least(choices, most=12)  # bins with at least 1, 2, …: the fullest is where this passes 1
    fullest = balls(n, n, choices, seed=0).max()
    assert expected[fullest - 1] > 0.01
    assert expected[fullest] < 20
    # Azar, Broder, Karlin, Upfal 1999, theorem 1: ln ln n / ln 2 + O(1) against (1 + o(1)) ln n / ln ln n.
    assert (choices == 2) == (fullest <= math.log(math.log(n), 2) + 1)


# ---- balancing: the twin


def plain_balance(gaps, services, servers, choices, policy, stale, seed):
    """Return (server, start, stop) of each customer, keeping the list of all stops of each server."""
    rng = np.random.default_rng(seed).spawn(1)[0]
    n = len(gaps)
    if policy == "random":
        candidates = rng.integers(servers, size=(n, 1)).tolist()
    elif policy == "choices":
        candidates = [[] for _ in range(n)]
        for last in range(servers - min(choices, servers), servers):
            for row, drawn in zip(candidates, rng.integers(last + 1, size=n).tolist(), strict=True):
                row.append(last if drawn in row else drawn)
    elif policy == "round_robin":
        candidates = [[i % servers] for i in range(n)]
    else:
        candidates = [range(servers)] * n
    lots = rng.random(n).tolist()
    stops: list[list[float]] = [[] for _ in range(servers)]

    def state(s, t):
        if policy == "least_work":
            return max(max(stops[s], default=0.0) - t, 0.0)
        return sum(x > t for x in stops[s])

    board, written = [0] * servers, 0
    result = []
    for now, work, looks, lot in zip(np.cumsum(gaps).tolist(), services, candidates, lots, strict=True):
        if stale and now // stale > written:
            written = math.floor(now / stale)
            board = [state(s, min(written * stale, now)) for s in range(servers)]
        seen = [(board[s] if stale else state(s, now), s) for s in looks]
        best = [s for load, s in seen if load == min(seen)[0]]
        server = best[int(lot * len(best))]
        start = max([now, *stops[server]])
        stops[server].append(start + work)
        result.append((server, start, start + work))
    return tuple(zip(*result, strict=True))


@st.composite
def customers(draw):
    n = draw(st.integers(1, 25))
    times = st.sampled_from([0.0, 0.5, 1.0, 2.0]) if draw(st.booleans()) else st.floats(0.01, 5)
    gaps = draw(st.lists(times, min_size=n, max_size=n))
    return gaps, draw(st.lists(times, min_size=n, max_size=n)), draw(st.integers(1, 6))


@settings(max_examples=400)
@given(
    customers(),
    st.integers(1, 3),
    st.sampled_from(RULES),
    st.sampled_from([0.0, 0.25, 1.0, 3.0, 1e9]),
    st.integers(0, 99),
)
def test_balance_is_its_twin(given_customers, choices, policy, stale, seed):
    gaps, services, servers = given_customers
    served = balance(gaps, services, servers, choices, policy=policy, stale=stale, seed=seed)
    server, start, stop = plain_balance(gaps, services, servers, choices, policy, stale, seed)
    assert served.server.tolist() == list(server)
    assert served.start.tolist() == list(start)
    assert served.stop.tolist() == list(stop)


@pytest.mark.parametrize(("servers", "choices"), [(5, 1), (5, 2), (5, 4), (5, 5)])
def test_every_set_of_servers_is_as_likely(servers, choices):
    drawn = np.sort(_different(np.random.default_rng(1), 60_000, servers, choices))
    sets, often = np.unique(drawn, axis=0, return_counts=True)
    assert len(sets) == math.comb(servers, choices)
    assert (np.diff(sets) > 0).all()
    assert len(sets) == 1 or chisquare(often).pvalue > 0.001


# ---- balancing: what is known about it


def poisson(load, servers, n, seed):
    rng = np.random.default_rng(seed)
    return rng.exponential(1 / (load * servers), n), rng.exponential(1.0, n)


def mean_response(load, servers, n, seeds, **options):
    """Return the mean response and its standard error over independent runs, the first fifth of each left out."""
    means = []
    for seed in seeds:
        served = balance(*poisson(load, servers, n, seed), servers, seed=seed + 1000, **options)
        means.append(served.response[n // 5 :].mean())
    return np.mean(means), np.std(means, ddof=1) / math.sqrt(len(means))


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_supermarket_model(k):
    case = CASES["lb-01"]  # Mitzenmacher 2001, table 1: the limit of infinitely many servers
    # One choice is so many queues of their own, however few: a long run of fewer servers is nearer to its limit.
    servers = 100 if k == 1 else 1000
    for load, expected in zip(case["inputs"]["lambda"][:4], case["expected"][f"d{k}"]["value"][:4], strict=True):
        mean, error = mean_response(load, servers, 500_000, range(6), choices=k)
        # Of n servers the mean is above the limit by a part of order 1/n (Luczak and McDiarmid 2007); the table's own
        # simulations of 100 servers are 0.12 / (100 (1 − λ)) above it.
        finite = 0.0 if k == 1 else expected * 0.2 / (servers * (1 - load))
        assert abs(mean - expected) < 3 * error + finite + 1e-4, (load, mean, expected, error)
        assert error < 0.02 * expected


def test_the_supermarket_model_of_a_hundred_servers():
    # Mitzenmacher 2001, table 1, the simulated column for two choices: 1.2673 at λ = 0.5.
    mean, error = mean_response(0.5, 100, 1_000_000, range(10))
    assert abs(mean - 1.2673) < 3 * error
    assert error < 1.5e-3


def test_as_many_choices_as_servers_are_the_shortest_queue():
    every, error = mean_response(0.8, 4, 100_000, range(10), choices=4)
    shortest, error_shortest = mean_response(0.8, 4, 100_000, range(20, 30), policy="shortest")
    assert abs(every - shortest) < 3 * math.hypot(error, error_shortest)


def test_random_is_so_many_queues_of_one_server():
    mean, error = mean_response(0.8, 20, 200_000, range(10), policy="random")
    assert abs(mean - mm1(0.8, 1.0).mean_response) < 3 * error
    assert balance([1, 1], [1, 1], 1, policy="random").stop.tolist() == [2, 3]


def test_in_turn_to_two_servers_is_erlang_arrivals_at_each():
    case = CASES["q-15"]  # E2/M/1: every second arrival of a Poisson stream comes here
    rho, expected = case["inputs"]["rho"][0], case["expected"]["Wq_E2M1_rho0.5_is_golden"]["value"]
    assert rho == 0.5
    mean, error = mean_response(rho, 2, 200_000, range(20), policy="round_robin")
    assert abs(mean - 1 - expected) < 3 * error
    assert error < 0.01 * mean


@settings(max_examples=60)
@given(customers())
def test_least_work_is_one_common_queue(given_customers):
    gaps, services, servers = given_customers
    served = balance(gaps, services, servers, policy="least_work")
    np.testing.assert_allclose(served.start, queue(gaps, services, servers).start, rtol=1e-12)


def test_shortest_lies_between_a_common_queue_and_two_choices():
    shortest, error = mean_response(0.9, 10, 200_000, range(10), policy="shortest")
    two, error_two = mean_response(0.9, 10, 200_000, range(10))
    assert mmc(9.0, 1.0, 10).mean_response < shortest + 3 * error
    assert shortest + 3 * (error + error_two) < two


def test_shortest_is_never_worse_than_random_in_distribution():
    levels = np.linspace(0.05, 0.999, 40)
    for load in (0.3, 0.7, 0.95):
        times = poisson(load, 8, 100_000, 1)
        shortest, random = (
            np.quantile(balance(*times, 8, policy=policy).response, levels) for policy in ("shortest", "random")
        )
        assert (shortest <= random * 1.005).all()
        assert shortest[-1] < random[-1]


def test_old_information_reverses_the_order():
    # Mitzenmacher 2000: what is best now is the worst when the board is old, and more choices make it worse.
    def means(stale):
        return [
            mean_response(0.9, 100, 300_000, range(4), stale=stale, **options)[0]
            for options in ({"policy": "shortest"}, {"choices": 3}, {"choices": 2}, {"policy": "random"})
        ]

    fresh, old = means(0.0), means(50.0)
    assert fresh == sorted(fresh)
    assert old == sorted(old, reverse=True)
    assert old[0] > 5 * old[-1]
    assert old[-1] == fresh[-1]  # who does not look does not mind


def test_a_board_that_is_never_written_again_is_no_information():
    times = poisson(0.8, 10, 50_000, 3)
    served = balance(*times, 10, policy="shortest", stale=1e12)
    share = served.customers / 50_000
    assert (np.abs(share - 0.1) < 4 * math.sqrt(0.09 / 50_000)).all()


@settings(max_examples=60)
@given(customers(), st.sampled_from(RULES))
def test_a_short_enough_period_is_no_period(given_customers, policy):
    gaps, services, servers = given_customers
    now = balance(gaps, services, servers, policy=policy, seed=5)
    for stale in (5e-324, 1e-18):
        assert (
            balance(gaps, services, servers, policy=policy, stale=stale, seed=5).server.tolist() == now.server.tolist()
        )


@settings(max_examples=60)
@given(customers(), st.sampled_from(RULES))
def test_each_server_serves_in_order_and_one_at_a_time(given_customers, policy):
    gaps, services, servers = given_customers
    served = balance(gaps, services, servers, policy=policy)
    assert served.customers.sum() == len(gaps)
    assert served.work.sum() == pytest.approx(sum(services))
    for s in range(servers):
        here = served.server == s
        assert (served.start[here][1:] >= served.stop[here][:-1]).all()
    assert (served.start >= served.arrival).all()
    assert repr(served).startswith(f"Balanced({len(gaps)} customers, {servers} servers")


def test_every_call_uses_what_warm_up_compiled():
    from course.simulate import balancing_kernels

    fixed = np.ones(3)
    fixed.flags.writeable = False
    for policy in RULES:
        balance([1, 2], [1, 2], 3, policy=policy)
        balance(fixed, fixed[::-1], np.int64(2), 3, policy=policy, stale=np.float32(1))
    balls(np.int32(4), 3, 2)
    balls(4, 3, 5)
    assert len(balancing_kernels.assign.signatures) == len(balancing_kernels.place.signatures) == 1


# ---- bad input


wild = st.one_of(
    st.integers(-2, 40), st.sampled_from([10**18, 2**70, -1, 0]), st.floats(), st.booleans(), st.none(), st.just("two")
)


@settings(max_examples=500)
@given(wild, wild, wild, wild)
def test_wild_balls(n, bins, choices, seed):
    if n == 10**18 or isinstance(n, bool):
        bins = "no"
    try:
        loads = balls(n, bins, choices, seed=seed)
    except ValueError:
        return
    assert loads.sum() == n
    assert len(loads) == bins


@settings(max_examples=600)
@given(
    st.lists(st.floats(0, 1e308) | st.floats(), max_size=4),
    st.lists(st.floats(0, 1e308) | st.floats(), max_size=4),
    st.integers(-1, 5) | wild,
    st.integers(1, 3) | wild,
    st.sampled_from(RULES),
    st.floats(0, 10) | st.floats(),
)
def test_wild_balance(gaps, services, servers, choices, policy, stale):
    try:
        served = balance(gaps, services, servers, choices, policy=policy, stale=stale)
    except ValueError:
        return
    assert np.isfinite(served.stop).all()
    assert (served.wait >= 0).all()
    assert ((served.server >= 0) & (served.server < servers)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: balls(-1, 2), "balls is -1; it must be a whole number of at least 0"),
        (lambda: balls(10**18, 2), "at most 1000000000"),
        (lambda: balls(1, 0), "bins is 0; it must be a whole number of at least 1"),
        (lambda: balls(1, 1, 0), "choices is 0"),
        (lambda: balls(1, 1, seed=-1), "seed is -1"),
        (lambda: balance([], [], 2), "arrivals is empty; at least one must come"),
        (lambda: balance([1], [1, 2], 2), "services has shape (2,); it must be (1,)"),
        (lambda: balance([math.inf], [1], 2), "arrivals is inf; it must be finite and at least 0"),
        (lambda: balance([1e308, 1e308], [1, 1], 2), "arrivals adds up to more seconds than a float can hold"),
        (lambda: balance([1e308], [1e308], 2), "the sum of arrivals and services is inf; it must be finite"),
        (lambda: balance([1], [1], 0), "servers is 0; it must be a whole number of at least 1"),
        (lambda: balance([1], [1], 2, 101), "choices is 101; it must be a whole number of at least 1 and at most 100"),
        (lambda: balance([1], [1], 2, policy="best"), "policy is 'best'; it must be one of random, round_robin"),
        (lambda: balance([1], [1], 2, stale=-1), "stale is -1; it must be finite and at least 0"),
        (lambda: balance([1], [1], 2, stale=[1]), "stale is [1]; it must be a number"),
        (lambda: balance(np.ones(20_000), np.ones(20_000), 10**6, policy="shortest"), "at most 1e+10 looks"),
        (lambda: balance(np.ones(20_000), np.ones(20_000), 10**6, stale=0.5), "at most 1e+10 looks"),
        (lambda: balance(np.ones(10**7), np.ones(10**7), 99, choices=50), "customers times choices is 5e+08"),
        (lambda: balls(10**9, 2, 11), "balls times choices is 1.1e+10"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
