"""The formulas: their limits, their properties, their errors, and what seeded simulations say about them."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from course.graph import TaskGraph, chain, independent, random_dag
from course.models import (
    UnstableError,
    asymptotic_bounds,
    brent,
    erlang_b,
    erlang_c,
    gg1,
    ggc,
    graham_ratio,
    halfin_whitt,
    kingman_bound,
    little,
    lower_bound,
    lpt_ratio,
    mg1,
    mg1_priority,
    mg1_ps,
    mm1,
    mmc,
    mmck,
    servers_for,
    square_root_staffing,
    upper_bound,
    work_stealing_bound,
)
from course.simulate import queue

rates = st.floats(0.01, 100)
loads = st.floats(0.01, 0.99)  # utilizations
few_servers = st.integers(1, 60)
scvs = st.floats(0, 20)
MEANS = ("utilization", "wait_probability", "mean_wait", "mean_response", "mean_queue", "mean_number")


def means(result) -> list[float]:
    return [getattr(result, name) for name in MEANS]


# ---- Little, Erlang


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_little_finds_each_of_the_three(rate, time):
    number = little(arrival_rate=rate, time=time)
    assert number == rate * time
    assert little(number=number, time=time) == pytest.approx(rate)
    assert little(number=number, arrival_rate=rate) == pytest.approx(time)


def test_little_by_counting():
    rng = np.random.default_rng(1)
    for discipline in ("fifo", "lifo", "ps", "srpt"):
        served = queue(rng.exponential(1, 500), rng.exponential(0.7, 500), 1, discipline)
        assert little(served.throughput, served.response.mean()) == pytest.approx(served.mean_number, rel=1e-12)


@given(st.floats(0.01, 80), few_servers)
def test_erlang_b_is_its_definition(load, servers):
    # a^c / c! over its sum is a Poisson probability over its distribution function.
    expected = stats.poisson.pmf(servers, load) / stats.poisson.cdf(servers, load)
    assert erlang_b(load, servers) == pytest.approx(expected, rel=1e-9)


@given(loads, few_servers)
def test_erlang_c_is_its_definition_and_above_b(utilization, servers):
    load = utilization * servers
    k = np.arange(servers)
    logs = k * math.log(load) - np.array([math.lgamma(i + 1) for i in k])
    last = servers * math.log(load) - math.lgamma(servers + 1) - math.log(1 - utilization)
    top = max(logs.max(), last)
    expected = math.exp(last - top) / (np.exp(logs - top).sum() + math.exp(last - top))
    c = erlang_c(load, servers)
    assert c == pytest.approx(expected, rel=1e-9)
    assert erlang_b(load, servers) <= c <= 1


def test_erlang_limits():
    assert erlang_b(0.0, 3) == 0
    assert erlang_b(5.0, 0) == 1
    assert erlang_c(0.0, 3) == 0
    assert erlang_c(0.7, 1) == pytest.approx(0.7)  # one server: who comes waits when it is busy
    assert erlang_c(4 - 1e-9, 4) == pytest.approx(1, abs=1e-8)
    assert erlang_b(1e4, 10_000) == pytest.approx(math.sqrt(2 / (math.pi * 1e4)), rel=0.02)  # factorials overflow
    assert erlang_b(100.0, 500) < 1e-100
    np.testing.assert_allclose(erlang_b([[1.0], [2.0]], [0, 1, 2]), [[1, 1 / 2, 1 / 5], [1, 2 / 3, 2 / 5]], rtol=1e-15)


# ---- the queues: identities


@given(rates, loads)
def test_mm1_is_mmc_of_one_and_mg1_of_scv_one(mu, utilization):
    lam = utilization * mu
    one = mm1(lam, mu)
    assert one.mean_wait == pytest.approx(utilization / (1 - utilization) / mu, rel=1e-12)
    for other in (mmc(lam, mu, 1), mg1(lam, 1 / mu, 1.0), gg1(lam, 1 / mu, 1, 1), ggc(lam, 1 / mu, 1, 1, 1)):
        assert means(other) == pytest.approx(means(one), rel=1e-9)
    assert mg1_ps(lam, 1 / mu).mean_response == pytest.approx(one.mean_response, rel=1e-9)


@given(rates, loads, few_servers, scvs, scvs)
def test_littles_law_and_order_hold_in_every_queue(mu, utilization, servers, ca, cs):
    lam = utilization * mu * servers
    for result in (
        mmc(lam, mu, servers),
        ggc(lam, 1 / mu, ca, cs, servers),
        mg1(lam / servers, 1 / mu, cs),
        mg1_ps(lam / servers, 1 / mu),
    ):
        arriving = lam if result.mean_number == pytest.approx(lam * result.mean_response, rel=1e-9) else lam / servers
        assert result.utilization == pytest.approx(utilization)
        assert result.mean_response == pytest.approx(result.mean_wait + 1 / mu)
        assert result.mean_queue == pytest.approx(arriving * result.mean_wait, rel=1e-9, abs=1e-12)
        assert result.mean_number == pytest.approx(arriving * result.mean_response, rel=1e-9)
        assert result.mean_wait >= 0


@given(rates, loads, st.integers(1, 20))
def test_a_large_room_is_no_limit(mu, utilization, servers):
    lam = utilization * mu * servers
    room = servers + math.ceil(60 / -math.log(utilization))
    limited = mmck(lam, mu, servers, room)
    assert limited.blocking_probability < 1e-20
    assert means(limited) == pytest.approx(means(mmc(lam, mu, servers)), rel=1e-9, abs=1e-12)


@given(rates, st.floats(0.01, 5), st.integers(1, 20))
def test_no_room_to_wait_is_erlang_b(mu, utilization, servers):
    lossy = mmck(utilization * mu * servers, mu, servers, servers)
    assert lossy.blocking_probability == pytest.approx(erlang_b(utilization * servers, servers), rel=1e-9)
    assert lossy.mean_wait == pytest.approx(0)
    assert lossy.wait_probability == 0
    assert lossy.utilization == pytest.approx(utilization * (1 - lossy.blocking_probability))


@given(st.floats(0.1, 3), st.integers(1, 4), st.integers(0, 6))
def test_mmck_is_its_chain(utilization, servers, extra):
    """Solve the balance equations of the birth-and-death chain by linear algebra."""
    k = servers + extra
    lam = utilization * servers
    rates_matrix = np.zeros((k + 1, k + 1))
    for n in range(k):
        rates_matrix[n, n + 1] = lam
        rates_matrix[n + 1, n] = min(n + 1, servers)
    np.fill_diagonal(rates_matrix, -rates_matrix.sum(axis=1))
    system = np.vstack([rates_matrix.T, np.ones(k + 1)])
    p = np.linalg.lstsq(system, np.append(np.zeros(k + 1), 1.0), rcond=None)[0]
    result = mmck(lam, 1.0, servers, k)
    assert result.blocking_probability == pytest.approx(p[k], abs=1e-9)
    assert result.mean_number == pytest.approx((p * np.arange(k + 1)).sum(), rel=1e-8)
    assert result.wait_probability == pytest.approx(p[servers:k].sum() / (1 - p[k]), abs=1e-9)


@given(rates, st.floats(0.01, 0.98), few_servers)
def test_waiting_grows_with_load_and_falls_with_servers(mu, utilization, servers):
    lam = utilization * mu * servers
    here = mmc(lam, mu, servers)
    assert here.mean_wait < mmc(lam * 1.01, mu, servers).mean_wait
    assert mmc(lam, mu, servers + 1).mean_wait < here.mean_wait
    assert mmc(2 * lam, mu, 2 * servers).mean_wait < here.mean_wait  # pooling
    assert 0 < here.wait_probability < 1


def test_limits_of_load():
    for empty in (mm1(0, 2.0), mmc(0, 2.0, 3), mg1(0, 0.5, 4.0), mg1_ps(0, 0.5), ggc(0, 0.5, 1, 1, 2)):
        assert means(empty) == [0, 0, 0, 0.5, 0, 0]
    full = mm1(1 - 1e-9, 1.0)
    assert full.mean_wait == pytest.approx(1e9, rel=1e-6)
    assert full.wait_probability == pytest.approx(1)
    many = mmc(0.5 * 10_000, 1.0, 10_000)
    assert many.mean_wait < 1e-100
    assert many.mean_response == 1


def test_arrays_broadcast():
    result = mmc(np.array([1.0, 2.0]), 1.0, np.array([[3], [4]]))
    assert result.mean_wait.shape == (2, 2)
    assert result.mean_wait[1, 0] == mmc(1.0, 1.0, 4).mean_wait
    assert result.wait_quantile(0.99).shape == (2, 2)
    assert result.response_quantile(0.5)[0, 1] == mmc(2.0, 1.0, 3).response_quantile(0.5)
    assert mg1([0.1, 0.2], 1.0, [[0], [1], [2]]).mean_wait.shape == (3, 2)
    assert mmck([0.5, 5.0], 1.0, 2, 4).mean_number.shape == (2,)
    assert isinstance(mm1(1, 2).mean_wait, float)
    assert mm1(1.0, 2.0).wait_quantile([0.1, 0.9]).shape == (2,)


# ---- quantiles


def _response_tail(t: float, lam: float, mu: float, servers: int) -> float:
    """Return P(response > t) by integrating over the wait: the service must outlast what the wait leaves."""
    delayed, spare = erlang_c(lam / mu, servers), servers * mu - lam
    inside, _ = integrate.quad(lambda w: spare * math.exp(-spare * w) * math.exp(-mu * (t - w)), 0, t, epsabs=1e-13)
    return (1 - delayed) * math.exp(-mu * t) + delayed * (inside + math.exp(-spare * t))


@given(st.floats(0.05, 0.97), st.integers(1, 12), st.floats(0, 0.999))
def test_quantiles_by_numerical_inversion(utilization, servers, q):
    lam = utilization * servers
    result = mmc(lam, 1.0, servers)
    t = result.response_quantile(q)
    high = 1.0
    while _response_tail(high, lam, 1.0, servers) > 1 - q:
        high *= 2
    expected = optimize.brentq(lambda x: _response_tail(x, lam, 1.0, servers) - (1 - q), 0, high)
    assert t == pytest.approx(expected, rel=1e-5, abs=1e-7)
    wait = result.wait_quantile(q)
    if wait > 0:
        assert result.wait_probability * math.exp(-(servers - lam) * wait) == pytest.approx(1 - q)
    else:
        assert 1 - result.wait_probability >= q - 1e-12


@given(rates, loads, st.floats(0, 0.9999))
def test_quantiles_of_mm1(mu, utilization, q):
    # The response in M/M/1 is exponential with rate μ − λ.
    result = mm1(utilization * mu, mu)
    expected = -math.log(1 - q) / (mu - utilization * mu)
    assert result.response_quantile(q) == pytest.approx(expected, rel=1e-6, abs=1e-12 / mu)


def test_where_both_rates_are_the_same():
    # c μ − λ = μ: the tail has its own form; it must join the forms beside it.
    beside = [mmc(lam, 1.0, 2).response_quantile(0.9) for lam in (1 - 1e-6, 1.0, 1 + 1e-6)]
    assert beside[0] == pytest.approx(beside[1], rel=1e-5)
    assert beside[2] == pytest.approx(beside[1], rel=1e-5)


def test_quantiles_that_do_not_exist():
    for result in (mg1(0.5, 1, 2), gg1(0.5, 1, 1, 1), mg1_ps(0.5, 1), mmck(1, 1, 1, 2)):
        with pytest.raises(NotImplementedError, match="no closed form for its quantiles; simulate it"):
            result.response_quantile(0.5)
    for bad in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="q is"):
            mm1(0.5, 1).wait_quantile(bad)


# ---- staffing


@given(st.floats(0.1, 150), st.floats(0.001, 0.9))
def test_servers_for_is_minimal(load, target):
    for objective, kept in (
        ({"wait_probability": target}, lambda result: result.wait_probability <= target),
        ({"mean_wait": target}, lambda result: result.mean_wait <= target),
        ({"wait_quantile": (0.95, target)}, lambda result: result.wait_quantile(0.95) <= target),
    ):
        servers = servers_for(load, 1.0, **objective)
        assert kept(mmc(load, 1.0, servers))
        assert servers - 1 <= load or not kept(mmc(load, 1.0, servers - 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give exactly one of wait_quantile, mean_wait, wait_probability; got none"),
        ({"mean_wait": 1, "wait_probability": 0.5}, "give exactly one of"),
        ({"wait_probability": 1.5}, "wait_probability is 1.5; it must be finite and at least 0 and at most 1"),
        ({"mean_wait": -1}, "mean_wait is -1"),
        ({"mean_wait": 0}, "mean_wait is 0; no finite number of servers reaches that"),
        ({"wait_quantile": 0.9}, "wait_quantile is 0.9; it must be (q, seconds)"),
        ({"wait_quantile": (1.0, 1)}, "wait_quantile[0] is 1"),
    ],
)
def test_servers_for_refuses(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        servers_for(1.0, 1.0, **options)


def test_the_square_root_rule_keeps_the_probability_of_waiting():
    assert square_root_staffing([0, 4, 100], 1.0).tolist() == [0, 6, 110]
    for quality in (0.25, 1.0, 2.0):
        limit = halfin_whitt(quality)
        errors = [
            abs(erlang_c(load, square_root_staffing(load, quality)) - limit) for load in (400, 10_000)
        ]  # both squares, so that rounding up adds nothing
        assert errors[1] < errors[0] < 0.02
        assert errors[1] < 0.003
    assert halfin_whitt(1e-9) == pytest.approx(1)
    assert halfin_whitt(60.0) == pytest.approx(0, abs=1e-300)


# ---- closed systems


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=4), st.floats(0, 50), st.integers(1, 200))
def test_asymptotic_bounds_hold_for_exact_mean_value_analysis(demands, think, population):
    queues = np.zeros(len(demands))
    for n in range(1, population + 1):
        residence = np.array(demands) * (1 + queues)
        throughput = n / (think + residence.sum())
        queues = throughput * residence
    most, least = asymptotic_bounds(demands, think, population)
    assert throughput <= most * (1 + 1e-9)
    assert residence.sum() >= least * (1 - 1e-9)
    if population == 1:
        assert throughput == pytest.approx(most)


# ---- scheduling


@given(st.integers(0, 500), st.integers(1, 8))
def test_scheduling_bounds_are_in_order(seed, workers):
    graph = random_dag(15, 0.2, seed=seed)
    low, high = brent(graph.work, graph.span, workers)
    assert low <= lower_bound(graph, workers)
    assert low <= high * (1 + 1e-12)
    assert high == upper_bound(graph, workers)
    assert high <= graham_ratio(workers) * low * (1 + 1e-12)
    assert work_stealing_bound(graph.work, graph.span, workers) >= low * (1 - 1e-12)
    assert brent(graph.work, graph.span, 1)[1] == pytest.approx(graph.work)


def test_scheduling_limits():
    assert (graham_ratio(1), lpt_ratio(1)) == (1, 1)
    assert graham_ratio(10**9) == pytest.approx(2)
    assert lpt_ratio(10**9) == pytest.approx(4 / 3)
    assert graham_ratio([1, 2]).tolist() == [1, 1.5]
    assert lower_bound(chain(5), 3) == 5
    assert lower_bound(independent(3), 2) == 2  # two of three whole tasks share a worker; work / workers is 1.5
    assert lower_bound(TaskGraph([]), 3) == 0


# ---- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mm1(-1, 1), "arrival_rate is -1; it must be finite and at least 0"),
        (lambda: mm1(1, 0), "service_rate is 0; it must be finite and greater than 0"),
        (lambda: mmc(1, 1, 1.5), "servers is 1.5; it must be a whole number and at least 1"),
        (lambda: mmc(1, 1, 0), "servers is 0"),
        (lambda: mmc([1, math.nan], 1, 3), "arrival_rate is nan"),
        (lambda: mmc("a", 1, 3), "arrival_rate is 'a'; it must be a number or an array of numbers"),
        (lambda: mmck(1, 1, 3, 2), "capacity is 2; it must be a whole number and at least 3"),
        (lambda: mmck(-1, 1, 1, 2), "arrival_rate is -1; it must be finite and at least 0"),
        (lambda: mg1(0.5, 1, -1), "service_scv is -1; it must be finite and at least 0"),
        (lambda: gg1(0.5, 1, -2, 1), "arrival_scv is -2"),
        (lambda: kingman_bound(0, 1, 1, 1), "arrival_rate is 0"),
        (lambda: mg1_priority([0.1], [0.0], 1), "service_mean is 0"),
        (lambda: mg1_ps(0.5, -1), "service_mean is -1"),
        (lambda: erlang_b(-1, 2), "load is -1"),
        (lambda: erlang_c(1, 0), "servers is 0"),
        (lambda: little(1, 2, 3), "give exactly two of arrival_rate, time and number"),
        (lambda: little(arrival_rate=1), "got ['arrival_rate']"),
        (lambda: little(number=3, time=0), "time is 0; it must be finite and greater than 0"),
        (lambda: square_root_staffing(10, 0), "quality is 0"),
        (lambda: halfin_whitt(-1), "quality is -1"),
        (lambda: asymptotic_bounds([0, 0], 1, 2), "the largest demand is 0; at least one must be 1e-30 or more"),
        (lambda: asymptotic_bounds([1], 1, 0.5), "population is 0.5; it must be a whole number and at least 1"),
        (lambda: brent(1, 2, 3), "span is 2.0 and work 1.0; the span is a part of the work"),
        (lambda: brent(1, 1, 0), "workers is 0; it must be a whole number and at least 1"),
        (lambda: graham_ratio(2.5), "workers is 2.5"),
        (lambda: lpt_ratio(math.inf), "workers is inf"),
        (lambda: lower_bound(chain(2), 0), "workers is 0"),
        (lambda: lower_bound(chain(2), [1, 2]), "workers is [1, 2]; it must be one number"),
        (lambda: work_stealing_bound(-1, 0, 1), "work is -1"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    ("call", "utilization"),
    [
        (lambda: mm1(1, 1), "1"),
        (lambda: mmc(9, 2, 4), "1.125"),
        (lambda: mmc([1, 9], 2, 4), "1.125"),
        (lambda: mg1(1.5, 1, 0), "1.5"),
        (lambda: gg1(2, 1, 1, 1), "2"),
        (lambda: ggc(4, 1, 1, 1, 3), "1.333"),
        (lambda: kingman_bound(1, 1, 1, 1), "1"),
        (lambda: mg1_priority([0.5, 0.6], 1, 1), "1.1"),
        (lambda: mg1_ps(1.2, 1), "1.2"),
        (lambda: erlang_c(5, 4), "1.25"),
    ],
)
def test_an_unstable_queue_states_its_utilization(call, utilization):
    with pytest.raises(
        UnstableError, match=re.escape(f"the utilization is {utilization}; it must be below 1")
    ) as error:
        call()
    assert np.max(error.value.utilization) >= 1


# ---- against simulation: the mean over seeded replications within three standard errors

REPLICATIONS, CUSTOMERS = 30, 40_000


def _services(kind: str, rng: np.random.Generator, n: int) -> np.ndarray:
    if kind == "constant":
        return np.ones(n)
    if kind == "exponential":
        return rng.exponential(1.0, n)
    if kind == "erlang":
        return rng.gamma(2, 0.5, n)
    # hyperexponential: 0.9 of mean 0.5, 0.1 of mean 5.5; mean 1 and scv 5.5
    return np.where(rng.random(n) < 0.9, rng.exponential(0.5, n), rng.exponential(5.5, n))


SCV = {"constant": 0.0, "exponential": 1.0, "erlang": 0.5, "hyperexponential": 5.5}


def _replicate(measure) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over independent replications, each without its first tenth."""
    values = np.array([measure(np.random.default_rng([7, k])) for k in range(REPLICATIONS)])
    return values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(REPLICATIONS)


def _settled(values: np.ndarray) -> float:
    return values[CUSTOMERS // 10 :].mean()


@pytest.mark.parametrize(("servers", "utilization"), [(1, 0.5), (1, 0.8), (4, 0.8), (20, 0.9)])
def test_mmc_against_simulation(servers, utilization):
    lam = utilization * servers

    def measure(rng):
        served = queue(rng.exponential(1 / lam, CUSTOMERS), rng.exponential(1.0, CUSTOMERS), servers)
        return [
            _settled(served.wait),
            _settled(served.wait > 0),
            _settled(served.response),
            _settled(served.response <= mmc(lam, 1.0, servers).response_quantile(0.9)),
        ]

    mean, error = _replicate(measure)
    model = mmc(lam, 1.0, servers)
    expected = [model.mean_wait, model.wait_probability, model.mean_response, 0.9]
    assert (np.abs(mean - expected) < 3 * error).all(), (mean, expected, error)


@pytest.mark.parametrize("kind", list(SCV))
def test_mg1_against_simulation(kind):
    rho = 0.7

    def measure(rng):
        gaps, work = rng.exponential(1 / rho, CUSTOMERS), _services(kind, rng, CUSTOMERS)
        return [_settled(queue(gaps, work, 1, d).wait) for d in ("fifo", "lifo")] + [
            _settled(queue(gaps, work, 1, "ps").response)
        ]

    mean, error = _replicate(measure)
    wait = mg1(rho, 1.0, SCV[kind]).mean_wait
    expected = [wait, wait, mg1_ps(rho, 1.0).mean_response]  # PS does not notice the kind
    assert (np.abs(mean - expected) < 3 * error).all(), (mean, expected, error)


def test_priorities_against_simulation():
    rates_of_classes, scv = [0.3, 0.4], 1.0

    def measure(rng):
        classes = (rng.random(CUSTOMERS) > 0.3 / 0.7).astype(float)
        served = queue(
            rng.exponential(1 / 0.7, CUSTOMERS), rng.exponential(1.0, CUSTOMERS), 1, "priority", priority=classes
        )
        late = np.arange(CUSTOMERS) > CUSTOMERS // 10
        return [served.wait[late & (classes == k)].mean() for k in (0, 1)]

    mean, error = _replicate(measure)
    expected = mg1_priority(rates_of_classes, 1.0, scv)
    assert (np.abs(mean - expected) < 3 * error).all(), (mean, expected, error)


@given(st.lists(st.floats(0.01, 0.2), min_size=1, max_size=4), scvs)
def test_priorities_conserve_work(shares, scv):
    # Kleinrock: the waits, weighted by load, are what they would be without classes.
    waits = mg1_priority(shares, 1.0, scv)
    assert (np.diff(waits) > 0).all()
    assert (np.array(shares) * waits).sum() == pytest.approx(sum(shares) * mg1(sum(shares), 1.0, scv).mean_wait)


@given(rates, loads, scvs, scvs)
def test_kingmans_bound_is_above_his_approximation(mu, utilization, ca, cs):
    lam, mean = utilization * mu, 1 / mu
    bound, near = kingman_bound(lam, mean, ca, cs), gg1(lam, mean, ca, cs).mean_wait
    assert bound >= near * (1 - 1e-12)
    stated = (1 - utilization**2) * ca / (2 * utilization) * mean / (1 - utilization)
    assert bound - near == pytest.approx(stated, rel=1e-6, abs=1e-9 * bound)


@pytest.mark.parametrize("arrivals", ["constant", "erlang", "hyperexponential"])
@pytest.mark.parametrize("services", ["constant", "exponential", "hyperexponential"])
def test_kingmans_bound_holds_in_simulation(arrivals, services):
    rho, n = 0.75, 20_000
    waits = []
    for k in range(10):
        rng = np.random.default_rng([11, k])
        waits.append(queue(_services(arrivals, rng, n) / rho, _services(services, rng, n)).wait.mean())
    bound = kingman_bound(rho, 1.0, SCV[arrivals], SCV[services])
    error = np.std(waits, ddof=1) / math.sqrt(len(waits))
    assert np.mean(waits) <= bound + 3 * error
    assert bound > 0 or max(waits) == 0


def test_the_approximation_for_many_servers_is_near():
    # Allen and Cunneen's is known to be good to some ten per cent here; that is all that is asked of it.
    rho, servers = 0.9, 3

    def measure(rng):
        return _settled(
            queue(rng.gamma(2, 0.5 / (rho * servers), CUSTOMERS), _services("constant", rng, CUSTOMERS), servers).wait
        )

    mean, error = _replicate(measure)
    expected = ggc(rho * servers, 1.0, 0.5, 0.0, servers).mean_wait
    assert abs(mean - expected) < 0.15 * expected + 3 * error


@given(loads, st.floats(0.05, 20))
def test_srpt_is_never_worse_than_sharing(utilization, scv):
    rng = np.random.default_rng(int(1e6 * utilization))
    gaps, work = rng.exponential(1 / utilization, 200), rng.gamma(1 / scv, scv, 200)
    assert queue(gaps, work, 1, "srpt").response.mean() <= queue(gaps, work, 1, "ps").response.mean() + 1e-9
