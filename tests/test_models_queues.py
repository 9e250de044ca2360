"""Erlang for millions of servers, cut queues, GI/M/1, M/D/c, size-based disciplines, closed systems; wild input."""

from __future__ import annotations

import heapq
import math
import re
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from course.models import (
    UnstableError,
    asymptotic_bounds,
    deterministic_gap,
    erlang_b,
    erlang_c,
    erlang_gap,
    gg1,
    ggc,
    gm1,
    halfin_whitt,
    kingman_bound,
    little,
    machine_repair,
    mdc,
    mean_value_analysis,
    mg1,
    mg1_preemptive,
    mg1_priority,
    mg1_ps,
    mg1_sjf,
    mg1_srpt,
    mm1,
    mmc,
    mmck,
    servers_for,
    square_root_staffing,
)
from course.models.erlang import poisson
from course.models.queueing import _mdc_by_roots, _mdc_by_sums
from course.simulate import closed_loop, queue, service
from tests.strategies import NUMBERS

loads = st.floats(0.01, 0.99)  # utilizations
MEANS = ("utilization", "wait_probability", "mean_wait", "mean_response", "mean_queue", "mean_number")
CUSTOMERS = 40_000


def means(result) -> list[float]:
    return [getattr(result, name) for name in MEANS]


def _replicate(measure, count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over independent replications."""
    values = np.array([measure(np.random.default_rng([17, k])) for k in range(count)])
    return values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(count)


def _agree(measure, expected, count: int = 30) -> None:
    mean, error = _replicate(measure, count)
    assert (np.abs(mean - expected) < 3 * error).all(), (mean, expected, error)
    assert (error < 0.1 * np.asarray(expected)).all(), "too few customers to say anything"


# ---- Erlang


def _erlang_b_by_recursion(load: float, servers: int) -> float:
    inverse = 1.0
    for c in range(1, servers + 1):
        inverse = 1 + c / load * inverse
    return 1 / inverse


@settings(max_examples=300)
@given(st.floats(1e-3, 1e6), st.integers(0, 5_000))
def test_erlang_b_is_its_recursion(load, servers):
    expected = _erlang_b_by_recursion(load, servers)
    assume(expected > 1e-290)  # beyond, floats lose digits and then end
    assert erlang_b(load, servers) == pytest.approx(expected, rel=1e-10)


@settings(max_examples=200)
@given(st.integers(1, 20_000), st.floats(-40, 40))
def test_erlang_b_around_the_load(servers, deviations):
    load = servers + deviations * math.sqrt(servers)
    assume(load > 0.01)
    expected = _erlang_b_by_recursion(load, servers)
    assume(expected > 1e-290)
    assert erlang_b(load, servers) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("load", "servers"), [(1e7, 10**7), (1e7, 10**7 + 15_000), (9.9e6, 10**7), (1e7, 9_500_000)])
def test_erlang_b_of_ten_million(load, servers):
    # The recursion backwards, as a sum of 1, c / a, c (c − 1) / a², …: as many terms as matter.
    steps = np.log((servers - np.arange(300_000)) / load)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    expected = math.exp(-logs.max()) / np.exp(logs - logs.max()).sum()
    assert erlang_b(load, servers) == pytest.approx(expected, rel=1e-10)


def test_erlang_is_as_fast_for_ten_million_servers_as_for_ten():
    def duration(servers):
        best = math.inf
        for _ in range(20):
            start = time.perf_counter()
            erlang_c(servers - math.sqrt(servers), servers)
            best = min(best, time.perf_counter() - start)
        return best

    assert duration(10**7) < 20 * duration(10)
    many = erlang_b(np.linspace(1, 1e7, 2000)[:, None], np.arange(1, 10**7, 10**5))
    assert many.shape == (2000, 100)
    assert ((many >= 0) & (many <= 1)).all()


def test_erlang_in_the_extreme():
    assert erlang_b(1e18, 1e18) == pytest.approx(math.sqrt(2 / (math.pi * 1e18)), rel=1e-6)
    assert erlang_b(1e30, 1e18) == pytest.approx(1, rel=1e-11)
    assert erlang_b(1e-30, 1e18) == 0
    assert erlang_b(10.0, 3) == pytest.approx((1000 / 6) / (1 + 10 + 50 + 1000 / 6), rel=1e-14)
    assert erlang_c(1e18 - 1e10, 1e18) == pytest.approx(halfin_whitt(10.0), rel=1e-6)


@given(st.floats(0.01, 1e4), st.integers(0, 10_000))
def test_poisson_is_that_of_scipy(mean, k):
    expected = stats.poisson.pmf(k, mean)
    assert poisson(k, mean) == pytest.approx(expected, rel=1e-9, abs=1e-300)  # its own has fewer digits


# ---- cut queues


def _mmck_by_sums(load: float, servers: int, capacity: int) -> list[float]:
    inside = np.arange(capacity + 1)
    logs = np.concatenate([[0.0], np.cumsum(math.log(load) - np.log(np.minimum(inside[1:], servers)))])
    p = np.exp(logs - logs.max())
    p /= p.sum()
    accepted = load * p[:-1].sum()
    wait = (p * np.maximum(inside - servers, 0)).sum() / accepted
    return [p[-1], p[servers:-1].sum() / p[:-1].sum(), wait, accepted / servers]


@settings(max_examples=300)
@given(
    st.integers(1, 60),
    st.integers(0, 300),
    st.one_of(st.floats(0.01, 100), st.just(1.0), st.floats(1 - 1e-6, 1 + 1e-6)),
)
def test_mmck_is_its_sums(servers, places, utilization):
    result = mmck(3 * utilization * servers, 3.0, servers, servers + places)
    expected = _mmck_by_sums(utilization * servers, servers, servers + places)
    found = [result.blocking_probability, result.wait_probability, result.mean_wait * 3, result.utilization]
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-290)


def test_mmck_takes_arrays_and_any_room():
    result = mmck(2.0, 1.0, [[1], [2], [3]], [3, 8])
    assert result.mean_wait.shape == result.blocking_probability.shape == (3, 2)
    assert result.mean_wait[2, 1] == mmck(2.0, 1.0, 3, 8).mean_wait
    assert result.blocking_probability[2, 0] == pytest.approx(erlang_b(2.0, 3))
    even = mmck(1.0, 1.0, 1, 1e18)  # all of 0 … K are equally likely
    assert (even.mean_wait, even.blocking_probability) == (pytest.approx(5e17), pytest.approx(1e-18))
    assert mmck(0.5, 1.0, 1, 1e18).mean_response == pytest.approx(2)
    assert mmck(1e18, 1.0, 1, 1e18).blocking_probability == pytest.approx(1)
    assert means(mmck(0.0, 2.0, 3, 4)) == [0, 0, 0, 0.5, 0, 0]
    with pytest.raises(ValueError, match="capacity is 2; it must be a whole number and at least 3, the servers"):
        mmck(1, 1, [1, 3], 2)


# ---- GI/M/1


@given(loads, st.floats(0.01, 100))
def test_exponential_gaps_give_mm1(utilization, mu):
    result, plain = gm1(utilization * mu, mu, erlang_gap(1)), mm1(utilization * mu, mu)
    assert means(result) == pytest.approx(means(plain), rel=1e-6)
    assert result.wait_quantile(0.99) == pytest.approx(plain.wait_quantile(0.99), rel=1e-6, abs=1e-6 / mu)
    assert result.response_quantile(0.5) == pytest.approx(plain.response_quantile(0.5), rel=1e-6)


def test_gm1_as_printed():
    # Kleinrock 1975, section 6.4: gaps that are two exponentials of rates μ and 2μ; σ = 2 − √2.
    def gap(s):
        # In units of its mean, which is 3 / (2μ).
        return 2 / ((2 / 3 * s + 1) * (2 / 3 * s + 2))

    assert gm1(2 / 3, 1.0, gap).wait_probability == pytest.approx(2 - math.sqrt(2), rel=1e-9)
    # Gross and Harris: D/M/1 at ρ = 0.5.
    assert gm1(0.5, 1.0, deterministic_gap).wait_probability == pytest.approx(0.2032, abs=5e-5)


@given(loads, st.integers(1, 50))
def test_regular_gaps_are_better_and_the_bound_holds(utilization, phases):
    waits = [
        gm1(utilization, 1.0, gap).mean_wait for gap in (deterministic_gap, erlang_gap(phases + 1), erlang_gap(phases))
    ]
    assert 0 <= waits[0] < waits[1] < waits[2] * (1 + 1e-9)
    assert waits[2] <= kingman_bound(utilization, 1.0, 1 / phases, 1.0)


def test_gm1_limits():
    near = gm1(0.99999, 1.0, deterministic_gap)
    assert near.mean_wait == pytest.approx(gg1(0.99999, 1.0, 0.0, 1.0).mean_wait, rel=1e-3)
    idle = gm1(1e-3, 1.0, erlang_gap(2))
    assert idle.wait_probability == pytest.approx((1 + 1 / 2e-3) ** -2, rel=1e-2)
    assert gm1([0.5, 0.8], [[1.0], [2.0]], deterministic_gap).mean_wait.shape == (2, 2)


def test_gm1_against_simulation():
    rho = 0.8
    result = gm1(rho, 1.0, erlang_gap(3))
    limit = result.wait_quantile(0.9)

    def measure(rng):
        served = queue(rng.gamma(3, 1 / (3 * rho), CUSTOMERS), rng.exponential(1.0, CUSTOMERS))
        late = slice(CUSTOMERS // 10, None)
        return [
            served.wait[late].mean(),
            (served.wait[late] > 0).mean(),
            (served.wait[late] <= limit).mean(),
            (served.response[late] > result.response_quantile(0.95)).mean(),
        ]

    _agree(measure, [result.mean_wait, result.wait_probability, 0.9, 0.05])


# ---- M/D/c


@given(loads)
def test_one_server_is_pollaczek_and_khinchine(utilization):
    result = mdc(utilization / 3, 3.0, 1)
    assert means(result) == pytest.approx(means(mg1(utilization / 3, 3.0, 0.0)), rel=1e-9)


@settings(max_examples=100)
@given(st.integers(1, 60), st.floats(0.3, 0.98))
def test_both_ways_to_mdc_agree(servers, utilization):
    decay = servers * (utilization - 1 - math.log(utilization))
    sums = _mdc_by_sums(utilization, servers, int(40 / decay) + 2)
    # The roots lose digits where hardly anybody waits.
    assert _mdc_by_roots(utilization, servers) == pytest.approx(sums, rel=1e-8, abs=1e-11)


@given(st.integers(1, 200), st.floats(0.05, 0.9999))
def test_constant_service_waits_about_half_as_long(servers, utilization):
    constant, exponential = mdc(utilization * servers, 1.0, servers), mmc(utilization * servers, 1.0, servers)
    assert 0 <= constant.mean_wait <= exponential.mean_wait
    assert 0 <= constant.wait_probability <= exponential.wait_probability * (1 + 1e-9)
    # Cosmetatos 1975; known to be good to a few per cent where there is something to wait for.
    correction = (1 - utilization) * (servers - 1) * (math.sqrt(4 + 5 * servers) - 2) / (16 * utilization * servers)
    if utilization > 0.6 and exponential.wait_probability > 0.1:
        assert constant.mean_wait == pytest.approx((1 + correction) / 2 * exponential.mean_wait, rel=0.06)


def test_mdc_limits():
    heavy = mdc(2 * (1 - 1e-6), 1.0, 2)  # half the wait of M/M/2
    assert heavy.mean_wait == pytest.approx(mmc(2 * (1 - 1e-6), 1.0, 2).mean_wait / 2, rel=1e-4)
    assert means(mdc(0.0, 2.0, 3)) == [0, 0, 0, 2, 0, 0]
    assert mdc([1, 2], 0.5, [[3], [4]]).mean_wait.shape == (2, 2)
    with pytest.raises(ValueError, match=re.escape("servers is 1e+12; it must be finite and at most 1e+06")):
        mdc(1e12 * (1 - 1e-9), 1.0, 1e12)


def test_mdc_against_simulation():
    result = mdc(4.5, 1.0, 5)

    def measure(rng):
        served = queue(rng.exponential(1 / 4.5, CUSTOMERS), np.ones(CUSTOMERS), 5)
        late = served.wait[CUSTOMERS // 10 :]
        return [late.mean(), (late > 0).mean()]

    _agree(measure, [result.mean_wait, result.wait_probability])


# ---- disciplines


def _preemptive(gaps, work, classes) -> np.ndarray:
    """Serve the smallest class first, interrupting for it; return the responses."""
    arrival, left, response = np.cumsum(gaps), work.copy(), np.empty(len(work))
    waiting: list[tuple[int, int]] = []
    now = 0.0
    for k, moment in enumerate([*arrival, math.inf]):
        while waiting and now < moment:
            job = waiting[0][1]
            span = min(left[job], moment - now)
            now += span
            left[job] -= span
            if left[job] <= 1e-12:
                response[job] = now - arrival[job]
                heapq.heappop(waiting)
        now = max(now, min(moment, 1e300))
        if k < len(work):
            heapq.heappush(waiting, (int(classes[k]), k))
    return response


def test_preemption_against_simulation():
    rates, service = np.array([0.3, 0.2, 0.3]), np.array([1.0, 0.5, 1.2])
    scv = np.array([0.0, 1.0, 0.5])  # constant, exponential, Erlang of two phases

    def measure(rng):
        n = 10_000
        classes = rng.choice(3, n, p=rates / rates.sum())
        kinds = np.array([np.ones(n), rng.exponential(1, n), rng.gamma(2, 0.5, n)])
        response = _preemptive(
            rng.exponential(1 / rates.sum(), n), kinds[classes, np.arange(n)] * service[classes], classes
        )
        return [response[n // 10 :][classes[n // 10 :] == k].mean() for k in range(3)]

    _agree(measure, mg1_preemptive(rates, service, scv), count=40)


@given(st.lists(st.floats(0.01, 0.2), min_size=1, max_size=4), st.floats(0, 20))
def test_preemption_identities(shares, scv):
    response = mg1_preemptive(shares, 1.0, scv)
    # The first class has the server for itself.
    assert response[0] == pytest.approx(mg1(shares[0], 1.0, scv).mean_response)
    assert (np.diff(response) > 0).all()
    # With exponential service interruptions cost nothing: the work is conserved, and so is its weighted response.
    exponential = mg1_preemptive(shares, 1.0, 1.0)
    assert (np.array(shares) * exponential).sum() == pytest.approx(
        sum(shares) * mg1(sum(shares), 1.0, 1.0).mean_response
    )


DISTRIBUTIONS = {
    "exponential": stats.expon(),
    "uniform": stats.uniform(0, 2),
    "lognormal": stats.lognorm(1.5, scale=math.exp(-1.125)),
    "gamma": stats.gamma(0.5, scale=2),
}


@pytest.mark.parametrize("kind", list(DISTRIBUTIONS))
def test_sjf_and_srpt_against_simulation(kind):
    service, rho = DISTRIBUTIONS[kind], 0.7

    def measure(rng):
        gaps, work = rng.exponential(1 / rho, CUSTOMERS), service.rvs(CUSTOMERS, random_state=rng)
        late = slice(CUSTOMERS // 10, None)
        return [queue(gaps, work, 1, "sjf").wait[late].mean(), queue(gaps, work, 1, "srpt").response[late].mean()]

    _agree(measure, [mg1_sjf(rho, service).mean_wait, mg1_srpt(rho, service).mean_response])


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9, 0.99])
def test_size_based_disciplines_by_quadrature(rho):
    """Phipps' and Schrage and Miller's integrals for exponential service, as they stand."""

    def load(x):
        return rho * (1 - math.exp(-x) * (1 + x))

    def integral(f):
        return integrate.quad(f, 0, 60, epsabs=1e-13, epsrel=1e-12, limit=500)[0]

    sjf = rho * integral(lambda x: math.exp(-x) / (1 - load(x)) ** 2)
    # ∫ t² f + x² (1 − F) is twice ∫ t (1 − F), and that is the load, here.
    srpt = integral(lambda x: math.exp(-x) * load(x) / (1 - load(x)) ** 2) + integral(
        lambda t: math.exp(-t) / (1 - load(t))
    )
    assert mg1_sjf(rho, stats.expon()).mean_wait == pytest.approx(sjf, rel=1e-9)
    assert mg1_srpt(rho, stats.expon()).mean_response == pytest.approx(srpt, rel=1e-9)


@pytest.mark.parametrize("kind", list(DISTRIBUTIONS))
@settings(max_examples=15)
@given(rho=loads)
def test_the_order_of_disciplines(kind, rho):
    service = DISTRIBUTIONS[kind]
    scv = float(service.var() / service.mean() ** 2)
    sjf, srpt = mg1_sjf(rho, service), mg1_srpt(rho, service)
    first, shared = mg1(rho, 1.0, scv), mg1_ps(rho, 1.0)
    assert 1 <= srpt.mean_response <= min(sjf.mean_response, shared.mean_response, first.mean_response) * (1 + 1e-9)
    assert sjf.mean_wait <= first.mean_wait * (1 + 1e-9)
    assert sjf.mean_number == pytest.approx(rho * sjf.mean_response)


# ---- histograms with empty bins


def _by_quadrature(rate: float, counts: np.ndarray, edges: np.ndarray) -> tuple[float, float]:
    """Return Phipps' mean wait and Schrage and Miller's mean response, their integrals bin by bin."""
    share = counts / counts.sum()
    second = (share * np.diff(edges**3) / 3 / np.diff(edges)).sum()
    sjf, srpt = 0.0, edges[0]  # the shortest service is not interrupted by anybody shorter
    load, square, shorter = 0.0, 0.0, 0.0  # of all bins before
    for part, low, high in zip(share, edges[:-1], edges[1:], strict=True):
        density = part / (high - low)

        def until(x: float, density=density, low=low, load=load, square=square, shorter=shorter) -> tuple:
            return (
                load + rate * density * (x**2 - low**2) / 2,
                square + density * (x**3 - low**3) / 3,
                shorter + density * (x - low),
            )

        def wait(x: float, density=density, until=until) -> float:
            return density * rate * second / 2 / (1 - until(x)[0]) ** 2

        def response(x: float, density=density, until=until) -> float:
            rho, squares, below = until(x)
            return density * rate * (squares + x**2 * (1 - below)) / 2 / (1 - rho) ** 2 + (1 - below) / (1 - rho)

        sjf += integrate.quad(wait, low, high, epsrel=1e-12)[0]
        srpt += integrate.quad(response, low, high, epsrel=1e-12)[0]
        load, square, shorter = until(high)
    return sjf, srpt


@pytest.mark.parametrize(("measured", "bins"), [(300, 100), (1000, 1000), (1_000_000, 50)])
@pytest.mark.parametrize("freeze", [False, True])
def test_measured_services_with_empty_bins(measured, bins, freeze):
    counts, edges = np.histogram(np.random.default_rng(1).lognormal(0, 1, measured), bins=bins)
    assert (counts[:-1] == 0).any()
    service = stats.rv_histogram((counts, edges))
    rate = 0.7 / service.mean()
    sjf, srpt = _by_quadrature(rate, counts, edges)
    service = service() if freeze else service
    assert mg1_sjf(rate, service).mean_wait == pytest.approx(sjf, rel=1e-6)
    assert mg1_srpt(rate, service).mean_response == pytest.approx(srpt, rel=1e-6)


def test_two_lengths_are_two_priorities():
    edges = [1, 1 + 1e-9, 10, 10 + 1e-9]
    service = stats.rv_histogram((np.array([0.5, 0, 0.5]) / np.diff(edges), edges), density=True)
    assert mg1_sjf(0.1, service).mean_wait == pytest.approx(mg1_priority([0.05, 0.05], [1, 10], 0).mean(), rel=1e-6)


def test_srpt_is_of_the_order_that_bansal_proved():
    # Bansal 2005: for M/M/1, 1 / (μ (1 − ρ) ln(e / (1 − ρ))) up to a constant; the constant settles.
    rho = np.array([0.9, 0.99, 0.999])
    ratio = mg1_srpt(rho, stats.expon()).mean_response * (1 - rho) * np.log(math.e / (1 - rho))
    assert (np.abs(ratio - 1) < 0.3).all()


def test_limits_of_size_based_disciplines():
    # Constant service: whatever the order, it is M/D/1. A grid cannot see that all are equal, but for its last digits.
    constant = stats.uniform(1 - 1e-9, 2e-9)
    expected = mg1(0.8, 1.0, 0.0).mean_wait
    assert mg1_sjf(0.8, constant).mean_wait == pytest.approx(expected, rel=1e-6)
    assert mg1_srpt(0.8, constant).mean_wait == pytest.approx(expected, rel=1e-6)
    # A scale only stretches time; an empty server keeps nobody waiting; arrays.
    slow = mg1_srpt(0.8 / 1e6, stats.expon(scale=1e6))
    assert slow.mean_response == pytest.approx(1e6 * mg1_srpt(0.8, stats.expon()).mean_response)
    assert mg1_srpt(0.0, stats.expon()).mean_wait == pytest.approx(0, abs=1e-9)
    assert mg1_sjf([0.1, 0.2], stats.expon()).mean_wait.shape == (2,)
    # The variance may be infinite; half of the jobs do not notice.
    assert mg1_srpt(0.8 / 3, stats.pareto(1.5)).mean_response < mg1_ps(0.8 / 3, 3.0).mean_response


# ---- closed systems


def _closed(rng, demands, think, clients, requests, servers=1):
    """Simulate clients that think and pass through stations, each with servers and a queue; return what happened."""
    heap = [(rng.exponential(think) if think else 0.0, k, -1, k) for k in range(clients)]
    heapq.heapify(heap)
    lines: list[list[int]] = [[] for _ in demands]
    idle = [servers] * len(demands)
    began, tick, responses, waited = {}, clients, [], []
    arrived: dict[int, float] = {}

    def begin(client, station, now):
        nonlocal tick
        tick += 1
        heapq.heappush(heap, (now + rng.exponential(demands[station]), tick, station, client))

    while len(responses) < requests:
        now, _, station, client = heapq.heappop(heap)
        if station >= 0:
            if lines[station]:
                following = lines[station].pop(0)
                waited.append(now - arrived[following])
                begin(following, station, now)
            else:
                idle[station] += 1
        following = station + 1
        if station < 0:
            began[client] = now
        if following == len(demands):
            responses.append((now, now - began[client]))
            tick += 1
            heapq.heappush(heap, (now + (rng.exponential(think) if think else 0.0), tick, -1, client))
        elif idle[following]:
            idle[following] -= 1
            waited.append(0.0)
            begin(client, following, now)
        else:
            arrived[client] = now
            lines[following].append(client)
    late = responses[requests // 10 :]
    span = late[-1][0] - late[0][0]
    return [(len(late) - 1) / span, np.mean([r for _, r in late]), np.mean(np.array(waited[requests // 10 :]) > 0)]


def test_mean_value_analysis_against_simulation():
    demands, think, clients = [0.5, 0.8, 0.2], 3.0, 6
    system = mean_value_analysis(demands, think, clients)
    _agree(lambda rng: _closed(rng, demands, think, clients, 4000)[:2], [system.throughput, system.response], count=20)


def test_machine_repair_against_simulation():
    model = machine_repair(population=8, think_time=5.0, service_rate=0.5, servers=2)
    _agree(
        lambda rng: _closed(rng, [2.0], 5.0, 8, 4000, servers=2),
        [model.mean_number / model.mean_response, model.mean_response, model.wait_probability],
        count=20,
    )


@pytest.mark.parametrize(("servers", "room", "load"), [(1, 3, 0.9), (3, 2, 0.8), (2, 6, 1.5), (2, 4, 1.0)])
def test_waits_of_a_cut_queue_against_simulation(servers, room, load):
    model = mmck(load * servers, 1.0, servers, servers + room)
    shares = np.array([0.5, 0.9, 0.99])
    times = model.wait_quantile(shares)
    assert times[-1] > 0

    def measure(rng):
        gaps, work = rng.exponential(1 / (load * servers), CUSTOMERS), rng.exponential(1.0, CUSTOMERS)
        run = service(gaps, work, servers, queue_limit=room)
        waits = (run.latency - run.service)[run.ok][CUSTOMERS // 10 :]
        return [(waits <= time + 1e-9).mean() for time in times]

    # Where nobody of the share waits, it is the share who do not wait.
    _agree(measure, np.where(times > 0, shares, 1 - model.wait_probability))


@pytest.mark.parametrize(("clients", "think", "servers"), [(8, 5.0, 2), (20, 9.0, 1), (12, 3.0, 3)])
def test_waits_for_repair_against_simulation(clients, think, servers):
    model = machine_repair(clients, think, 1.0, servers)
    shares = np.array([0.5, 0.9, 0.99])
    times = model.wait_quantile(shares)
    assert times[-1] > 0

    def measure(rng):
        seed = int(rng.integers(2**31))
        run = closed_loop(clients, lambda rng, n: rng.exponential(think, n), lambda rng, n: rng.exponential(1.0, n),
                          servers, requests=CUSTOMERS, seed=seed)  # fmt: skip
        waits = (run.start - run.sent)[CUSTOMERS // 10 :]
        return [(waits <= time + 1e-9).mean() for time in times]

    _agree(measure, np.where(times > 0, shares, 1 - model.wait_probability))


@given(st.floats(0.01, 3), st.integers(1, 20), st.integers(1, 300), st.floats(0, 0.9999))
def test_waits_behind_a_cut_queue(load, servers, room, q):
    model = mmck(load * servers, 1.0, servers, servers + room)
    assert model.wait_quantile(q) <= model.wait_quantile(q + (1 - q) / 2)
    assert (model.wait_quantile(q) > 0) == (model.wait_probability > 1 - q)
    # The mean is the area above the distribution function.
    assume(model.wait_probability > 1e-9)
    shares = 1 - model.wait_probability * (np.arange(400) + 0.5) / 400
    mean = model.wait_quantile(shares).mean() * model.wait_probability
    assert mean == pytest.approx(model.mean_wait, rel=1e-2, abs=1e-12)


def test_limits_of_waits():
    # Endless room is M/M/c; one customer, or a server for each, never waits; without thinking all but two wait.
    np.testing.assert_allclose(
        mmck(1.8, 1.0, 2, 2000).wait_quantile([0.1, 0.5, 0.99]), mmc(1.8, 1.0, 2).wait_quantile([0.1, 0.5, 0.99])
    )
    assert mmck([0, 5], 1.0, 2, [[2], [3]]).wait_quantile(0.99).shape == (2, 2)
    assert mmck(0, 1.0, 1, 5).wait_quantile(0.99) == mmck(5, 1.0, 2, 2).wait_quantile(0.99) == 0
    assert machine_repair(1, 3.0, 1.0, 1).wait_quantile(0.99) == machine_repair(9, 3.0, 1.0, 9).wait_quantile(0.99) == 0
    busy = machine_repair(10, 0.0, 0.5, 2)
    np.testing.assert_allclose(busy.wait_quantile([0.1, 0.9]), stats.gamma(8).ppf([0.1, 0.9]))
    # Many clients who think long are a Poisson stream.
    np.testing.assert_allclose(
        machine_repair(50_000, 50_000 / 0.8, 1.0, 1).wait_quantile([0.5, 0.99]),
        mm1(0.8, 1.0).wait_quantile([0.5, 0.99]),
        rtol=2e-3,
    )


def test_the_probability_of_waiting_where_two_moments_are_enough():
    servers, rates = np.array([1, 2, 5]), np.array([0.8, 1.8, 4.5])
    exponential = mmc(rates, 1.0, servers).wait_probability
    assert (ggc(rates, 1.0, 1.0, 1.0, servers).wait_probability == exponential).all()
    assert gg1(0.8, 1.0, 1.0, 1.0).wait_probability == mm1(0.8, 1.0).wait_probability
    for scv in (0.0, 0.5, 1.0, 4.0):  # Poisson arrivals at one server: M/G/1
        assert gg1(0.8, 1.0, 1.0, scv).wait_probability == pytest.approx(mg1(0.8, 1.0, scv).wait_probability)
    unknown = ggc(0.8, 1.0, [2.0, 0.0, 1.0], [1.0, 1.0, 2.0], [1, 1, 2]).wait_probability
    assert np.isnan(unknown).all()


def test_closed_systems_as_printed():
    # Winston, Operations Research, 4th ed., section 20.9: five patrol cars that last 30 days, two workers, 3 days each.
    cars = machine_repair(5, 30.0, 1 / 3, 2)
    assert 5 - cars.mean_number == pytest.approx(4.535, abs=5e-4)
    assert 1 - cars.utilization == pytest.approx(0.774, abs=1e-3)
    # By hand: one client takes the sum of the demands; two clients at two equal stations take 3 / 2 of it.
    assert mean_value_analysis([2.0, 3.0, 1.0], 4.0, 1).throughput == pytest.approx(1 / 10)
    assert mean_value_analysis([1.0, 1.0], 0.0, 2).response == 3


@given(st.integers(1, 300), st.floats(0.01, 100), st.floats(0.01, 100))
def test_one_repairer_three_ways(population, think, rate):
    repair, system = machine_repair(population, think, rate, 1), mean_value_analysis([1 / rate], think, population)
    assert repair.mean_response == pytest.approx(system.response, rel=1e-9)
    assert repair.utilization == pytest.approx(float(system.utilization[0]), rel=1e-9)
    # Nobody is there as often as Erlang's lossy system with a server for each client is full.
    assert 1 - repair.utilization == pytest.approx(erlang_b(think * rate, population), rel=1e-6, abs=1e-12)
    if population > 1:  # who arrives finds the system as it is with one client less
        before = machine_repair(population - 1, think, rate, 1)
        assert repair.wait_probability == pytest.approx(before.utilization, rel=1e-9)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=4), st.floats(0, 50), st.integers(1, 200))
def test_closed_systems_keep_their_laws(demands, think, population):
    assume(max(demands) > 1e-6)
    system = mean_value_analysis(demands, think, population)
    most, least = asymptotic_bounds(demands, think, population)
    assert system.throughput <= most * (1 + 1e-9)
    assert system.response >= least * (1 - 1e-9)
    # Little's law of the whole cycle, and of each station; all clients are somewhere.
    assert system.throughput * (system.response + think) == pytest.approx(population)
    assert system.queue.sum() + system.throughput * think == pytest.approx(population)
    np.testing.assert_allclose(system.queue, system.throughput * system.residence, rtol=1e-12)
    several = mean_value_analysis(demands, think, [1, population])
    assert several.throughput[1] == system.throughput
    assert several.queue.shape == (2, len(demands))


def test_limits_of_closed_systems():
    # No thinking: all are at the servers. Servers for all: nobody waits. So many that the rate hardly falls: M/M/c.
    stuck = machine_repair(5, 0.0, 2.0, 2)
    assert (stuck.mean_number, stuck.utilization, stuck.wait_probability) == (5, 1, 1)
    free = machine_repair(5, 10.0, 2.0, 7)
    assert (free.mean_wait, free.wait_probability) == (0, 0)
    assert free.mean_number == pytest.approx(5 * 0.5 / 10.5)
    many = machine_repair(100_000, 100_000 / 3.2, 1.0, 4)
    assert means(many) == pytest.approx(means(mmc(3.2, 1.0, 4)), rel=1e-3)
    assert machine_repair([3, 5], [[1.0], [2.0]], 1.0, 1).mean_wait.shape == (2, 2)


# ---- errors and wild input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gm1(0.5, 1.0, 0.3), "gap_transform is 0.3; it must be callable"),
        (
            lambda: gm1(0.5, 1.0, lambda s: np.exp(-2 * s)),
            "gap_transform has mean 2; it must be that of a gap of mean 1",
        ),
        (
            lambda: gm1(0.9999999, 1.0, deterministic_gap),
            "arrival_rate / service_rate is 1; it must be finite and at most",
        ),
        (lambda: erlang_gap(0), "phases is 0"),
        (lambda: mdc(1, 0, 1), "service_time is 0"),
        (lambda: mg1_preemptive([[0.1]], 1.0, 1.0), "arrival_rate has shape (1, 1)"),
        (lambda: mg1_priority([], 1.0, 1.0), "arrival_rate has shape (0,)"),
        (lambda: mg1_sjf(0.5, 3.0), "service is 3.0; it must be a frozen distribution"),
        (lambda: mg1_sjf(0.1, stats.lognorm), "it must be a frozen distribution"),
        (lambda: mg1_srpt(0.1, stats.poisson(2)), "and continuous"),
        (lambda: mg1_sjf(0.1, stats.pareto(1.5)), "the variance of service is inf"),
        (lambda: mg1_srpt(0.1, stats.pareto(0.9)), "the mean of service is inf"),
        (lambda: mg1_srpt(1e-4, stats.pareto(1.001)), "it must have a lighter tail"),
        (lambda: mg1_srpt(0.1, stats.norm(5)), "service has values from -inf s on; they must be at least 0"),
        (lambda: mean_value_analysis([], 1, 2), "demands have shape (0,)"),
        (lambda: mean_value_analysis([1.0], 1, 1e6), "population is 1e+06; it must be a whole number and at least 1"),
        (lambda: mean_value_analysis([0.0], 1, 2), "the largest demand is 0; at least one must be 1e-30 or more"),
        (lambda: machine_repair(0, 1, 1, 1), "population is 0"),
        (lambda: mmck(1, 1, 1, 10**7).wait_quantile(0.9), "capacity − servers is 1e+07; it must be finite and at most"),
        (lambda: machine_repair(2, -1, 1, 1), "think_time is -1"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: gm1(1.0, 1.0, deterministic_gap),
        lambda: mdc(2.0, 1.0, 2),
        lambda: mg1_preemptive([0.5, 0.5], 1, 1),
        lambda: mg1_sjf(1.0, stats.expon()),
        lambda: mg1_srpt(1.5, stats.expon()),
    ],
)
def test_an_unstable_queue_states_its_utilization(call):
    with pytest.raises(UnstableError, match="the utilization is 1"):
        call()


def _of_queue(result):
    known = [getattr(result, name) for name in MEANS if name != "wait_probability"]
    assert 0 <= result.utilization <= 1
    assert not result.wait_probability < 0
    assert not result.wait_probability > 1
    assert 0 <= result.blocking_probability <= 1
    return known


WILD = {
    "little": (2, lambda a, b: [little(a, b)]),
    "little backwards": (2, lambda a, b: [little(time=a, number=b)]),
    "erlang_b": (2, lambda a, b: [erlang_b(a, b), 1 - erlang_b(a, b)]),
    "erlang_c": (2, lambda a, b: [erlang_c(a, b), 1 - erlang_c(a, b)]),
    "mm1": (2, lambda a, b: _of_queue(mm1(a, b))),
    "mmc": (3, lambda a, b, c: _of_queue(mmc(a, b, c))),
    "quantiles": (3, lambda a, b, c: [mmc(a, b, 3).wait_quantile(c), mmc(a, b, 3).response_quantile(c)]),
    "mmck": (4, lambda a, b, c, d: _of_queue(mmck(a, b, c, d))),
    "mg1": (3, lambda a, b, c: _of_queue(mg1(a, b, c))),
    "mg1_ps": (2, lambda a, b: _of_queue(mg1_ps(a, b))),
    "ggc": (4, lambda a, b, c, d: _of_queue(ggc(a, b, c, 1.0, d))),
    "kingman_bound": (3, lambda a, b, c: [kingman_bound(a, b, c, 1.0)]),
    "gm1": (2, lambda a, b: _of_queue(gm1(a, b, deterministic_gap))),
    "mdc": (3, lambda a, b, c: _of_queue(mdc(a, b, c))),
    "mg1_priority": (3, lambda a, b, c: mg1_priority([a, 0.1], b, c)),
    "mg1_preemptive": (3, lambda a, b, c: mg1_preemptive([a, 0.1], b, c)),
    "mg1_sjf": (1, lambda a: _of_queue(mg1_sjf(a, stats.expon()))),
    "mg1_srpt": (1, lambda a: _of_queue(mg1_srpt(a, stats.expon()))),
    "machine_repair": (4, lambda a, b, c, d: _of_queue(machine_repair(a, b, c, d))),
    "mean_value_analysis": (2, lambda a, b: [mean_value_analysis([a, 1.0], b, 50).response]),
    "asymptotic_bounds": (3, lambda a, b, c: asymptotic_bounds([a, 1.0], b, c)),
    "servers_for": (3, lambda a, b, c: [servers_for(a, b, wait_probability=c)]),
    "servers_for a wait": (3, lambda a, b, c: [servers_for(a, b, mean_wait=c)]),
    "square_root_staffing": (2, lambda a, b: [square_root_staffing(a, b)]),
    "halfin_whitt": (1, lambda a: [halfin_whitt(a), 1 - halfin_whitt(a)]),
}


@pytest.mark.parametrize("name", list(WILD))
@settings(max_examples=150)
@given(data=st.data())
def test_wild_input_gives_a_number_in_range_or_a_clear_error(name, data):
    arguments, function = WILD[name]
    drawn = [data.draw(NUMBERS) for _ in range(arguments)]
    try:
        results = function(*drawn)
    except ValueError as error:
        message, results = str(error), None
    if results is None:
        assert " must " in message or "no finite number" in message
    else:
        assert all(0 <= result < math.inf for result in results), results
