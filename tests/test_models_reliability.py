"""Availability, data loss, checkpoints, retries: published values, limits, properties, and simulations in numpy."""

from __future__ import annotations

import heapq
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from course.models import (
    annual_loss_probability,
    availability,
    checkpoint_efficiency,
    daly_interval,
    downtime_per_year,
    expected_run_time,
    k_of_n,
    mttdl_approximate,
    mttdl_erasure,
    mttdl_replication,
    nines,
    optimal_checkpoint_interval,
    parallel,
    recomputed_tasks,
    retry_amplification,
    retry_storm,
    retry_storm_limits,
    series,
    tasks_to_recompute,
    young_interval,
)
from tests.strategies import NUMBERS, answer_or_error, near

HOUR, DAY, YEAR = 3600.0, 86_400.0, 365 * 86_400.0
probabilities = st.floats(0, 1)
spans = st.floats(1e-3, 1e6)


# ---- availability


@given(st.lists(probabilities, min_size=1, max_size=6))
def test_series_and_parallel_are_each_others_mirror(parts):
    assert series(*parts) == pytest.approx(math.prod(parts), abs=1e-15)
    assert parallel(*parts) == pytest.approx(1 - series(*(1 - part for part in parts)), abs=1e-12)
    assert series(*parts) <= min(parts) + 1e-15
    assert parallel(*parts) >= max(parts) - 1e-15


@given(st.integers(1, 30), probabilities)
def test_k_of_n_spans_from_parallel_to_series(parts, up):
    assert k_of_n(parts, parts, up) == pytest.approx(series(*[up] * parts), abs=1e-12)
    assert k_of_n(1, parts, up) == pytest.approx(parallel(*[up] * parts), abs=1e-12)
    assert k_of_n(0, parts, up) == 1
    falling = k_of_n(np.arange(parts + 1), parts, up)
    assert (np.diff(falling) <= 1e-12).all()


@given(st.integers(1, 20), st.data())
def test_k_of_n_keeps_the_digits_of_rare_failures(parts, data):
    k = data.draw(st.integers(1, parts))
    q = 1e-9
    expected = sum(math.comb(parts, i) * q**i * (1 - q) ** (parts - i) for i in range(k, parts + 1))
    assert k_of_n(k, parts, q) == pytest.approx(expected, rel=1e-9, abs=0)


def test_availability_by_alternating_renewals():
    """Weibull times up and uniform repairs: only the means matter."""
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        up, down = 10 * rng.weibull(0.7, 20_000) / math.gamma(1 + 1 / 0.7), rng.uniform(0, 2, 20_000)
        values.append(up.sum() / (up.sum() + down.sum()))
    near(values, availability(10, 1))
    assert availability(5, 0) == 1
    assert availability([1, 3], [1, 1]).tolist() == [0.5, 0.75]


def test_downtime_as_published():
    # Site Reliability Engineering 2016, appendix A: 99 % 3.65 days, 99.9 % 8.76 h, 99.99 % 52.6 min, 99.999 % 5.26 min
    down = downtime_per_year([0.99, 0.999, 0.9999, 0.99999])
    np.testing.assert_allclose(down / [DAY, HOUR, 60, 60], [3.65, 8.76, 52.6, 5.26], rtol=1e-3)
    assert downtime_per_year([0, 1]).tolist() == [YEAR, 0]


# ---- data loss


def chain_mean(fragments: int, parity: int, failure: float, repair: float, serial: bool) -> float:
    """Solve the mean absorption time of the Markov chain by linear algebra."""
    generator = np.zeros((parity + 1, parity + 1))
    for j in range(parity + 1):
        fails, repairs = (fragments - j) * failure, (min(j, 1) if serial else j) * repair
        generator[j, j] = -fails - repairs
        if j < parity:
            generator[j, j + 1] = fails
        if j:
            generator[j, j - 1] = repairs
    return np.linalg.solve(-generator, np.ones(parity + 1))[0]


@given(st.integers(1, 10), st.integers(0, 4), st.floats(0.1, 100), st.floats(0.1, 100), st.booleans())
def test_mttdl_is_its_chain(data, parity, mtbf, mttr, serial):
    repair = "serial" if serial else "parallel"
    expected = chain_mean(data + parity, parity, 1 / mtbf, 1 / mttr, serial)
    exact = mttdl_erasure(data, parity, mtbf, mttr, repair)
    assert exact == pytest.approx(expected, rel=1e-6)
    assert mttdl_approximate(data, parity, mtbf, mttr, repair) <= exact * (1 + 1e-9)
    assert mttdl_erasure(data, parity + 1, mtbf, mttr, repair) > exact
    assert mttdl_erasure(data, parity, mtbf, mttr, "parallel") >= mttdl_erasure(data, parity, mtbf, mttr, "serial")
    assert mttdl_replication(parity + 1, mtbf, mttr) == mttdl_erasure(1, parity, mtbf, mttr)
    fast = mttdl_erasure(data, parity, mtbf, 1e-6 * mtbf, repair)
    assert mttdl_approximate(data, parity, mtbf, 1e-6 * mtbf, repair) == pytest.approx(fast, rel=1e-3)


@given(st.integers(1, 30), st.floats(1, 1e6), st.floats(1e-3, 10))
def test_mttdl_of_one_parity_in_closed_form(data, mtbf, mttr):
    # Trivedi 2002, section 8.5: ((2n − 1) λ + μ) / (n (n − 1) λ²)
    n, failure = data + 1, 1 / mtbf
    expected = ((2 * n - 1) * failure + 1 / mttr) / (n * (n - 1) * failure**2)
    assert mttdl_erasure(data, 1, mtbf, mttr) == pytest.approx(expected, rel=1e-9)


def test_mttdl_as_published():
    # Patterson, Gibson, Katz 1988: 100 disks of data, MTTF 30,000 h, MTTR 1 h; n groups are as many times worse
    mirrored = mttdl_approximate(1, 1, 30_000 * HOUR, HOUR) / 100
    groups_of_10, groups_of_25 = (mttdl_approximate(g, 1, 30_000 * HOUR, HOUR) / (100 / g) for g in (10, 25))
    assert mirrored / HOUR == pytest.approx(4_500_000)
    assert groups_of_10 / HOUR == pytest.approx(820_000, rel=0.005)
    assert groups_of_25 / HOUR == pytest.approx(346_000, rel=0.005)
    # Silberschatz, Korth, Sudarshan: Database System Concepts: MTTF 100,000 h, repair 10 h, mirrored: 57,000 years
    assert mttdl_approximate(1, 1, 100_000 * HOUR, 10 * HOUR) / HOUR == pytest.approx(500e6)
    assert mttdl_replication(2, 100_000 * HOUR, 10 * HOUR) / YEAR == pytest.approx(57_000, rel=0.005)


def test_mttdl_by_simulation():
    """Fail and repair the fragments one event at a time, until too many are missing at once."""
    data, parity, mtbf, mttr = 2, 2, 10.0, 2.0
    times = []
    rng = np.random.default_rng(4)
    for _ in range(3000):
        now, missing = 0.0, 0
        while missing <= parity:
            fails, repairs = (data + parity - missing) / mtbf, missing / mttr
            now += rng.exponential(1 / (fails + repairs))
            missing += 1 if rng.random() < fails / (fails + repairs) else -1
        times.append(now)
    near(times, mttdl_erasure(data, parity, mtbf, mttr))


def test_mttdl_limits():
    assert mttdl_erasure(1, 0, 7.0, 1.0) == 7  # one copy lasts as long as its disk
    assert mttdl_erasure(4, 0, 8.0, 1.0) == 2
    assert mttdl_erasure(1, 2, 6.0, 1e30) == pytest.approx(6 * (1 + 1 / 2 + 1 / 3))  # never repaired: the last of three
    assert mttdl_erasure([1, 2], [[0], [1]], 1.0, 1.0).shape == (2, 2)
    with pytest.raises(ValueError, match="the mean time to data loss is too large for a number"):
        mttdl_erasure(1, 100, 1e9, 1.0)


def test_durability_as_published():
    # Backblaze, README of erasure-coding-durability: 4 + 2 shards, 10 % a year, one day; by the shards that may fail
    table = {2: 1.500e-07, 3: 3.082e-11, 4: 3.377e-15, 1: 4.105e-04}
    for parity, loss in table.items():
        assert annual_loss_probability(6 - parity, parity, 0.10, DAY) == pytest.approx(loss, rel=1e-3)
    losses = annual_loss_probability(6 - np.array([1, 2, 3, 4]), [1, 2, 3, 4], 0.10, DAY)
    assert nines(losses).tolist() == [3, 6, 10, 14]


@given(st.integers(1, 10), st.integers(0, 3), st.floats(1e-4, 1e-2), st.floats(0.5, 20))
def test_windows_see_one_loss_of_m_plus_1_that_the_chain_sees(data, parity, rate, days):
    chain = YEAR / mttdl_erasure(data, parity, YEAR / rate, days * DAY)
    assert annual_loss_probability(data, parity, rate, days * DAY) * (parity + 1) == pytest.approx(chain, rel=0.1)


def test_durability_limits():
    assert annual_loss_probability(3, 1, 0.0, DAY) == 0
    assert annual_loss_probability(1, 0, 0.7, YEAR) == pytest.approx(-math.expm1(-0.7))
    assert annual_loss_probability(1, 0, 0.7, 3 * DAY) == pytest.approx(-math.expm1(-0.7))  # one copy: no repair helps
    assert annual_loss_probability(1, 2, 1e30, YEAR) == 1
    assert nines(1) == 0
    assert nines([0.1, 0.001, 0.00099, 1e-300]).tolist() == [1, 3, 3, 300]


# ---- checkpoints


@given(spans, spans)
def test_daly_is_the_series_of_the_best(cost, mtbf):
    best = optimal_checkpoint_interval(cost, mtbf)
    if cost < 0.01 * mtbf:
        assert daly_interval(cost, mtbf) == pytest.approx(best, rel=1e-4)
        assert young_interval(cost, mtbf) == pytest.approx(best, rel=0.1)
    assert best <= young_interval(cost, mtbf)
    assert 0 < best < mtbf * (1 + 1e-12)


@given(st.floats(-12, 1.5))
def test_the_best_interval_solves_its_equation(exponent):
    # −ln(1 − s) − s = δ / M, with s = τ / M, as a series where s is small
    x = 10.0**exponent

    def excess(s: float) -> float:
        return (sum(s**k / k for k in range(2, 30)) if s < 0.1 else -math.log1p(-s) - s) - x

    expected = optimize.brentq(excess, 0, 1 - 1e-15, xtol=1e-18, rtol=1e-14) if x < 30 else 1.0
    assert optimal_checkpoint_interval(7 * x, 7.0) == pytest.approx(7 * expected, rel=2e-9)


@given(spans, spans, st.floats(0, 100), st.floats(0.05, 20))
def test_no_interval_is_better_than_the_best(cost, mtbf, restart, factor):
    best = optimal_checkpoint_interval(cost, mtbf)
    most = checkpoint_efficiency(best, cost, mtbf, restart)
    assert checkpoint_efficiency(best * factor, cost, mtbf, restart) <= most * (1 + 1e-9)
    assert 0 <= most <= 1


@given(st.floats(0.01, 20), st.floats(0, 5), st.floats(0.1, 50), st.floats(0, 5))
def test_efficiency_is_work_over_run_time(interval, cost, mtbf, restart):
    expected = interval / expected_run_time(interval + cost, mtbf, restart)
    assert checkpoint_efficiency(interval, cost, mtbf, restart) == pytest.approx(expected, rel=1e-9)


def test_intervals_as_published():
    # Daly 2006, captions of figures 3 to 5: δ = 5 min, M = 24 h, 6 h and 15 min
    np.testing.assert_allclose(daly_interval(5, [1440, 360, 15]), [117, 57, 9.1], atol=0.5)


def test_checkpoint_limits():
    assert young_interval(0, 5) == daly_interval(0, 5) == optimal_checkpoint_interval(0, 5) == 0
    assert daly_interval(10, 5) == daly_interval(100, 5) == 5
    assert optimal_checkpoint_interval(1e6, 5) == pytest.approx(5)
    assert checkpoint_efficiency(10, 2, 1e20) == pytest.approx(10 / 12)  # nothing fails: only checkpoints cost
    assert checkpoint_efficiency(1e9, 0, 1.0) == 0
    assert expected_run_time(0, 5, 3) == 0
    assert expected_run_time(3, 1e20, 1e9) == pytest.approx(3)
    assert expected_run_time([1, 2], [[1], [2]]).shape == (2, 2)
    with pytest.raises(ValueError, match="the expected run time is too large for a number"):
        expected_run_time(1e6, 1.0)


def run_time(work: float, mtbf: float, restart: float, rng: np.random.Generator) -> float:
    """Return the time of one task that starts anew after each failure."""
    total, left = 0.0, work
    while (failure := rng.exponential(mtbf)) < left:
        total += failure
        left = restart + work
    return total + left


def test_run_time_by_simulation():
    rng = np.random.default_rng(8)
    near([run_time(2.0, 1.5, 0.3, rng) for _ in range(4000)], expected_run_time(2.0, 1.5, 0.3))
    job = [sum(run_time(1.0 + 0.2, 5.0, 0.5, rng) for _ in range(20)) for _ in range(400)]
    near(job, 20.0 / checkpoint_efficiency(1.0, 0.2, 5.0, 0.5))


# ---- retries


@given(probabilities, st.integers(1, 6), st.integers(0, 3))
def test_amplification_is_the_sum_of_powers(p, attempts, layers):
    expected = sum(p**i for i in range(attempts**layers))
    assert retry_amplification(p, attempts, layers) == pytest.approx(expected, rel=1e-9)


def test_amplification_as_published():
    # Site Reliability Engineering 2016, chapter 22: three layers of four attempts, 64; three attempts, threefold
    assert retry_amplification(1.0, 4, 3) == 64
    assert retry_amplification(1.0, 3) == 3
    assert retry_amplification(1 - 1e-15, 4, 3) == pytest.approx(64)
    assert retry_amplification(0, 1000, 100) == 1
    assert retry_amplification(1.0, 1000, 100) == pytest.approx(1e300)


def test_amplification_by_simulation():
    def calls(layers: int) -> tuple[bool, int]:
        if layers == 0:
            return rng.random() >= 0.7, 1
        total = 0
        for _ in range(3):
            done, more = calls(layers - 1)
            total += more
            if done:
                return True, total
        return False, total

    rng = np.random.default_rng(9)
    near([calls(2)[1] for _ in range(4000)], retry_amplification(0.7, 3, 2))


@given(st.floats(0.01, 1.5), st.floats(0.1, 100), st.integers(1, 8))
def test_a_storm_reproduces_itself(load, patience, attempts):
    rate = 50.0
    storm = retry_storm(load * rate, rate, patience / rate, attempts)

    def attempted(x: float) -> float:
        p = math.exp(-(1 - x / rate) * patience) if x < rate else 1.0
        return load * rate * sum(p**i for i in range(attempts))

    for x in (storm.normal, storm.tipping, storm.storm):
        if not math.isnan(x):
            assert attempted(x) == pytest.approx(x, rel=1e-6)
    assert not math.isnan(storm.normal) or not math.isnan(storm.storm)
    if storm.state == "vulnerable":
        assert storm.normal <= storm.tipping <= rate <= storm.storm
        between = (storm.normal + storm.tipping) / 2
        assert attempted(between) <= between * (1 + 1e-9)  # below the tipping point it recovers
        above = (storm.tipping + rate) / 2
        assert attempted(above) >= above * (1 - 1e-9)  # above it runs away
    stable, critical = retry_storm_limits(rate, patience / rate, attempts)
    assert 0 < stable <= critical <= rate * (1 + 1e-12)
    if min(abs(load * rate - stable), abs(load * rate - critical)) > 1e-9 * rate:
        expected = "stable" if load * rate < stable else "vulnerable" if load * rate < critical else "overloaded"
        assert storm.state == expected


def test_storm_limits():
    assert retry_storm_limits(100, 1.0, 1) == (100, 100)  # who never retries makes no storm
    assert retry_storm(99, 100, 1.0, 1).state == "stable"
    assert retry_storm(101, 100, 1.0, 1).state == "overloaded"
    for timeout in (0.0, 0.1, 10.0):  # at its capacity a queue grows, and that is no storm that feeds itself
        full = retry_storm(100, 100, timeout, 1)
        assert (full.state, full.storm) == ("overloaded", 100)
        assert np.isnan([full.normal, full.tipping]).all()
    assert retry_storm(50, 100, 0.0, 2).state == "overloaded"  # no patience: the storm is all there is
    assert retry_storm(0, 100, 1.0, 3).normal == 0
    stable, critical = retry_storm_limits(100, 1e6, 4)  # endless patience: up to its capacity it can run
    assert stable == 25
    assert critical == pytest.approx(100, rel=1e-3)
    assert retry_storm_limits(100, 0.0, 4) == (25, 25)  # no patience: each attempt is in vain


def attempts_per_second(rate: float, service: float, timeout: float, attempts: int, burst: int, seed: int) -> float:
    """Simulate one server, first come first served, whose clients try again after a long random pause."""
    rng = np.random.default_rng(seed)
    horizon, pause = 12_000.0, 300.0
    arrivals = np.cumsum(rng.exponential(1 / rate, int(rate * horizon * 1.2)))
    events = [(t, 1) for t in arrivals[arrivals < horizon].tolist()] + [(100.0, 1)] * burst
    heapq.heapify(events)
    free, count = 0.0, 0
    while events and events[0][0] < horizon:
        now, tries = heapq.heappop(events)
        count += now > horizon / 2
        free = max(free, now) + rng.exponential(1 / service)
        if free - now > timeout and tries < attempts:
            heapq.heappush(events, (now + timeout + rng.exponential(pause), tries + 1))
    return count / (horizon / 2)


@pytest.mark.slow
def test_retries_by_simulation():
    rate, service, timeout, attempts = 5.0, 10.0, 0.5, 3
    storm = retry_storm(rate, service, timeout, attempts)
    assert storm.state == "vulnerable"
    near([attempts_per_second(rate, service, timeout, attempts, 0, seed) for seed in range(6)], storm.normal)
    # A burst that would be worked off in 17 minutes without retries brings the storm, and it stays.
    near([attempts_per_second(rate, service, timeout, attempts, 5000, seed) for seed in range(6)], storm.storm)
    # The same burst is survived where the load is below the stable limit.
    calm = retry_storm(2.0, service, timeout, attempts)
    assert calm.state == "stable"
    near([attempts_per_second(2.0, service, timeout, attempts, 5000, seed) for seed in range(6)], calm.normal)


# ---- lineage


def recomputed(parents: list[list[int]], held: set[int], wanted: list[int]) -> int:
    """Count the tasks that must run to have the wanted results, when only those in `held` exist."""
    needed, stack = set(), [task for task in wanted if task not in held]
    while stack:
        task = stack.pop()
        if task not in needed:
            needed.add(task)
            stack += [parent for parent in parents[task] if parent not in held]
    return len(needed)


@pytest.mark.parametrize(("wide", "kept"), [*itertools.product([False, True], repeat=2)])
def test_recomputation_on_a_graph(wide, kept):
    tasks, workers, stages = 12, 4, 3
    parents = [
        [] if task < tasks else [task - tasks] if not wide else [task - task % tasks - tasks + i for i in range(tasks)]
        for task in range(tasks * stages)
    ]
    alive = {task for task in range(tasks * stages) if task % workers != 1}
    last = list(range(tasks * (stages - 1), tasks * stages))
    held = alive if kept else alive & set(last)
    assert recomputed(parents, held, last) == recomputed_tasks(tasks, workers, stages, wide=wide, kept=kept)


@pytest.mark.parametrize("seed", range(20))
def test_tasks_to_recompute_on_random_graphs(seed):
    rng = np.random.default_rng(seed)
    needs = {k: sorted(set(rng.integers(0, k, 3).tolist())) if k else [] for k in range(40)}
    kept = {k for k in needs if rng.random() < 0.4}
    wanted = list(range(30, 40))
    parents = [needs[k] for k in range(40)]
    again = tasks_to_recompute(wanted, needs, kept)
    assert len(again) == recomputed(parents, kept, wanted)
    assert not again & kept
    assert all(before in again | kept for task in again for before in needs[task])


def test_tasks_to_recompute_reads_inputs_and_refuses_lists():
    assert tasks_to_recompute(["x"], {}, kept=set()) == {"x"}
    assert tasks_to_recompute(["x"], {"x": ["y"]}, kept={"x"}) == set()
    with pytest.raises(ValueError, match="needs is"):
        tasks_to_recompute(["x"], [["y"]], kept=set())


def test_recomputation_limits():
    assert recomputed_tasks(100, 1, 4) == 400  # the only worker: everything
    assert recomputed_tasks(100, 1, 4, wide=True, kept=False) == 400
    assert recomputed_tasks(0, 5, 3, wide=True, kept=False) == 0
    assert recomputed_tasks(10, 10, 1, wide=True, kept=False) == 1


# ---- errors and wild arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: series(), "availabilities is empty; give at least one"),
        (lambda: parallel(0.5, 1.5), "availabilities is 1.5; it must be finite and at least 0 and at most 1"),
        (lambda: k_of_n(4, 3, 0.5), "needed is 4.0; it must be at most the parts, 3.0"),
        (lambda: availability(0, 1), "mtbf is 0; it must be finite and greater than 0"),
        (lambda: availability(1, -1), "mttr is -1"),
        (lambda: downtime_per_year(2), "availability is 2"),
        (lambda: mttdl_erasure(1, 1, 1, 1, repair="none"), "repair is 'none'; it must be 'parallel' or 'serial'"),
        (lambda: mttdl_erasure(0, 1, 1, 1), "data is 0"),
        (lambda: mttdl_replication(0, 1, 1), "replicas is 0"),
        (lambda: mttdl_approximate(1, 1, 1, 0), "mttr is 0"),
        (lambda: annual_loss_probability(1, 1, -1, 1), "annual_failure_rate is -1"),
        (lambda: annual_loss_probability(1, 1, 1, 1e9), "repair_time is 1e+09"),
        (lambda: nines(0), "loss_probability is 0; it must be finite and greater than 0"),
        (lambda: expected_run_time(-1, 1), "work is -1"),
        (lambda: checkpoint_efficiency(0, 1, 1), "interval is 0"),
        (lambda: young_interval(-1, 1), "checkpoint_cost is -1"),
        (lambda: daly_interval(1, math.nan), "mtbf is nan"),
        (lambda: optimal_checkpoint_interval(1, 0), "mtbf is 0"),
        (lambda: retry_amplification(0.5, 0), "attempts is 0"),
        (lambda: retry_amplification(0.5, 2, 101), "layers is 101"),
        (lambda: retry_storm(-1, 1, 1, 1), "arrival_rate is -1"),
        (lambda: retry_storm(1, 1, 1, 1.5), "attempts is 1.5; it must be a whole number of at least 1"),
        (lambda: retry_storm([1, 2], 1, 1, 1), "arrival_rate has shape (2,); it must be a single number"),
        (lambda: retry_storm_limits(0, 1, 1), "service_rate is 0"),
        (lambda: recomputed_tasks(1, 0), "workers is 0"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


WILD = {
    series: (3, 1.0),
    parallel: (3, 1.0),
    k_of_n: (3, 1.0),
    availability: (2, 1.0),
    downtime_per_year: (1, YEAR),
    mttdl_erasure: (4, math.inf),
    mttdl_approximate: (4, math.inf),
    mttdl_replication: (3, math.inf),
    annual_loss_probability: (4, 1.0),
    nines: (1, 324),
    expected_run_time: (3, math.inf),
    checkpoint_efficiency: (4, 1.0),
    young_interval: (2, math.inf),
    daly_interval: (2, math.inf),
    optimal_checkpoint_interval: (2, math.inf),
    retry_amplification: (3, math.inf),
    recomputed_tasks: (3, math.inf),
}


@pytest.mark.parametrize("function", WILD, ids=lambda f: f.__name__)
@given(arguments=st.lists(NUMBERS, min_size=4, max_size=4))
@settings(max_examples=80)
def test_wild_arguments(function, arguments):
    count, high = WILD[function]
    answer_or_error(function, *arguments[:count], high=high)


@given(NUMBERS, NUMBERS, NUMBERS, st.one_of(NUMBERS, st.integers(1, 1000)))
@settings(max_examples=150)
def test_wild_storms(arrival_rate, service_rate, timeout, attempts):
    try:
        storm = retry_storm(arrival_rate, service_rate, timeout, attempts)
        stable, critical = retry_storm_limits(service_rate, timeout, attempts)
    except ValueError:
        return
    assert storm.state in ("stable", "vulnerable", "overloaded")
    assert math.isnan(storm.normal) == (storm.state == "overloaded")
    assert math.isnan(storm.tipping) == (storm.state != "vulnerable")
    assert math.isnan(storm.storm) == (storm.state == "stable")
    assert 0 < stable <= critical <= service_rate * (1 + 1e-12)
