"""Supersteps and MapReduce, against plain Python, closed forms and published values."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from course.models import lpt_ratio
from course.simulate import mapreduce, supersteps
from course.simulate.distributions import DISTRIBUTIONS
from course.simulate.supersteps import PARTITIONS, TOGETHER, _mappers_drawn_together, _mappers_of_each_key

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))["cases"]
}

# ---- supersteps


@settings(max_examples=200)
@given(st.integers(1, 6), st.integers(1, 8), st.just(0.0) | st.floats(1e-3, 5),
       st.sampled_from([0.0, 0.3, 1.0, 4.0]), st.floats(0, 1), st.floats(1, 10), st.floats(0, 2),
       st.integers(0, 10**6))  # fmt: skip
def test_supersteps_are_their_twin(workers, steps, mean, scv, share, slowdown, barrier, seed):
    options = {"slow_share": share, "slowdown": slowdown, "barrier": barrier, "seed": seed}
    result = supersteps(workers, steps, mean, scv, **options)
    work = result.work.tolist()
    now, waited = 0.0, 0.0
    for k in range(steps):
        ends = [now + seconds for seconds in work[k]]
        next_step = max(ends) + barrier
        waited += sum(next_step - end for end in ends)
        assert result.step[k] == pytest.approx(next_step - now, abs=1e-9)
        now = next_step
    assert result.makespan == pytest.approx(now)
    assert result.waiting.sum() == pytest.approx(waited, abs=1e-9)
    assert result.efficiency == pytest.approx(np.sum(work) / (workers * now) if now else 1.0)
    alone = max(sum(work[k][w] for k in range(steps)) for w in range(workers))
    assert result.without_barriers == pytest.approx(alone)
    assert result.without_barriers <= result.makespan * (1 + 1e-12)
    # The stragglers change no draw but their own.
    usual = supersteps(workers, steps, mean, scv, seed=seed).work
    slow = result.work != usual
    np.testing.assert_array_equal(result.work[slow], usual[slow] * slowdown)


@settings(max_examples=100)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 9), st.integers(0, 10**6))
def test_slack_is_its_twin(workers, steps, slack, seed):
    result = supersteps(workers, steps, seed=seed)
    ends: list[list[float]] = []
    for k, row in enumerate(result.work.tolist()):
        others = max(ends[k - 1 - slack]) if k - 1 - slack >= 0 else 0.0
        before = ends[-1] if ends else [0.0] * workers
        ends.append([max(mine, others) + seconds for mine, seconds in zip(before, row, strict=True)])
    np.testing.assert_allclose(result.finish_times(slack), ends)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10**6))
def test_slack_lies_between_a_barrier_and_none(workers, steps, seed):
    result = supersteps(workers, steps, seed=seed)
    ends = [result.finish_times(slack)[-1].max() for slack in range(steps + 1)]
    assert ends[0] == pytest.approx(result.makespan)  # no time for the barrier itself
    assert ends[steps - 1] == ends[steps] == pytest.approx(result.without_barriers)
    assert (np.diff(ends) <= 1e-9).all()


@pytest.mark.parametrize("slack", [-1, 0.5, "1", None, True])
def test_slack_is_a_whole_number(slack):
    with pytest.raises(ValueError, match="slack"):
        supersteps(2, 3).finish_times(slack)


def test_a_step_of_exponentials_takes_the_harmonic_number():
    case = CASES["tail-04"]  # Rényi: the mean of the largest of n
    for workers, expected in zip(case["inputs"]["n"], case["expected"]["E_max"]["value"], strict=True):
        for mean in (1.0, 0.05):
            step = supersteps(workers, 10_000, mean, seed=workers).step
            assert abs(step.mean() - mean * expected) < 3 * step.std() / 100
            assert step.std() / 100 < 0.01 * mean * expected


def test_the_largest_of_gammas():
    # Of two Erlang variables of two phases of mean 1/2: E max = 1 + 3/8, by ∫ 1 − (1 − e^{−2x} (1 + 2x))² dx.
    step = supersteps(2, 200_000, 1.0, 0.5).step
    assert abs(step.mean() - 11 / 8) < 3 * step.std() / math.sqrt(200_000)


def test_stragglers_reach_most_steps_of_many_workers():
    case = CASES["tail-01"]  # Dean and Barroso: The tail at scale. CACM 56(2), 2013
    for (share, workers), expected in zip(case["inputs"]["cases"], case["expected"]["P_slow"]["value"], strict=True):
        steps = 5_000
        result = supersteps(workers, steps, scv=0.0, slow_share=share, slowdown=10.0)
        slow = (result.step > 1).mean()
        assert abs(slow - expected) < 3 * math.sqrt(expected * (1 - expected) / steps) + 1e-4
        assert set(result.step.tolist()) <= {1.0, 10.0}


def test_limits_of_supersteps():
    even = supersteps(7, 5, 2.0, 0.0)
    assert (even.efficiency, even.makespan, even.without_barriers) == (1.0, 10.0, 10.0)
    assert supersteps(7, 5, 2.0, 0.0, barrier=2.0).efficiency == pytest.approx(0.5)
    assert supersteps(1, 50).efficiency == 1.0
    assert supersteps(3, 5, 0.0).efficiency == 1.0
    assert supersteps(4, 10, slow_share=1.0, slowdown=3.0).makespan == pytest.approx(3 * supersteps(4, 10).makespan)
    assert re.match(r"Supersteps\(5 steps, 7 workers, 10 s, efficiency 100.0%\)", repr(even))


def test_more_workers_and_more_variation_wait_more():
    efficiency = [supersteps(n, 3000).efficiency for n in (1, 2, 10, 100, 1000)]
    assert efficiency == sorted(efficiency, reverse=True)
    efficiency = [supersteps(50, 3000, scv=scv).efficiency for scv in (0.0, 0.1, 0.5, 1.0, 4.0)]
    assert efficiency == sorted(efficiency, reverse=True)


# ---- MapReduce


@settings(max_examples=100)
@given(st.integers(0, 500), st.integers(1, 30), st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.0, 1.0, 3.0]),
       st.sampled_from(PARTITIONS), st.booleans(), st.integers(0, 10**6))  # fmt: skip
def test_mapreduce_is_its_twin(records, keys, reducers, mappers, exponent, partition, combine, seed):
    options = {"exponent": exponent, "partition": partition, "combine": combine, "seed": seed}
    result = mapreduce(records, keys, reducers, mappers, map_cost=2.0, reduce_cost=3.0, **options)
    of_keys, of_hash = np.random.default_rng(seed).spawn(2)
    weights = [(k + 1) ** -exponent for k in range(keys)]
    p = np.array(weights) / sum(weights)
    each = [records // mappers + (i < records % mappers) for i in range(mappers)]
    if combine:
        counts = [0] * keys
        for share in each:
            for key, count in enumerate(of_keys.multinomial(share, p).tolist()):
                counts[key] += count > 0
    else:
        counts = of_keys.multinomial(records, p).tolist()
    loads = [0] * reducers
    if partition == "greedy":
        for count in sorted(counts, reverse=True):
            loads[loads.index(min(loads))] += count
        assert sorted(result.loads.tolist()) == sorted(loads)
    else:
        hashed = of_hash.integers(reducers, size=keys).tolist()
        for key, count in enumerate(counts):
            loads[hashed[key] if partition == "hash" else key * reducers // keys] += count
        assert result.loads.tolist() == loads
    assert result.largest_key == max(counts)
    assert result.map_time == 2.0 * max(each)
    assert result.reduce_time == 3.0 * max(loads)
    assert result.makespan == result.map_time + result.reduce_time
    assert result.loads.sum() == sum(counts)
    assert sum(counts) == records or combine


def test_the_largest_key_and_what_no_partition_can_do():
    records, keys, reducers = 1_000_000, 1000, 20
    harmonic = sum(1 / k for k in range(1, keys + 1))
    results = {name: mapreduce(records, keys, reducers, partition=name) for name in PARTITIONS}
    for result in results.values():
        p = 1 / harmonic  # the share of the most frequent key under Zipf's law
        assert abs(result.largest_key - records * p) < 3 * math.sqrt(records * p * (1 - p))
        assert result.loads.max() >= max(result.largest_key, records / reducers)
    greedy = results["greedy"]
    assert greedy.loads.max() <= lpt_ratio(reducers) * max(greedy.largest_key, records / reducers)
    assert greedy.skew <= results["hash"].skew <= results["range"].skew


def test_what_a_combiner_leaves():
    records, keys, mappers = 100_000, 500, 20
    p = np.arange(1.0, keys + 1) ** -1.0
    p /= p.sum()
    left = np.array([mapreduce(records, keys, 5, mappers, combine=True, seed=s).loads.sum() for s in range(60)])
    expected = mappers * (1 - (1 - p) ** (records // mappers)).sum()  # a mapper has a key, or not
    assert abs(left.mean() - expected) < 3 * left.std(ddof=1) / math.sqrt(60)


@pytest.mark.parametrize(("records", "frequency"), [(5, [0.6, 0.3, 0.1]), (7, [0.1, 0.2, 0.7]), (0, [0.5, 0.5, 0])])
def test_drawn_together_has_the_law_of_drawn_one_by_one(records, frequency):
    # All that may happen to two mappers, against 4,000 draws: of all keys at once, so that they depend as they should.
    law = {(0, 0, 0): 1.0}
    for each in (records // 2, records - records // 2):
        before, law = law, {}
        for keys in itertools.product(range(3), repeat=each):
            chance = math.prod(frequency[k] for k in keys)
            for counts, p in before.items():
                after = tuple(counts[k] + (k in keys) for k in range(3))
                law[after] = law.get(after, 0.0) + p * chance
    law = {counts: p for counts, p in law.items() if p}
    rng, draws = np.random.default_rng(5), 4_000
    for draw in (_mappers_drawn_together, _mappers_of_each_key):
        seen = Counter(tuple(draw(records, 2, np.array(frequency), rng).tolist()) for _ in range(draws))
        assert set(seen) <= set(law)
        if len(law) > 1:
            observed, expected = zip(*((seen[c], p * draws) for c, p in law.items() if p * draws > 5), strict=True)
            scale = sum(observed) / sum(expected)
            assert chisquare(observed, np.multiply(expected, scale)).pvalue > 1e-3


@pytest.mark.parametrize(("records", "exponent"), [(10**5, 1.0), (10**7 + 3, 1.0), (10**8, 0.0), (10**12, 12.0)])
def test_many_mappers_that_combine(records, exponent):
    # Of 10⁵, where each has a key or not: means, and the variance of their sum over the keys, in closed form.
    mappers, keys = TOGETHER, 20
    p = np.arange(1.0, keys + 1) ** -exponent
    p /= p.sum()
    options = {"exponent": exponent, "partition": "range", "combine": True}
    loads = np.array([mapreduce(records, keys, keys, mappers, seed=s, **options).loads for s in range(40)])
    absent = (1 - p) ** (records // mappers)
    both = (1 - p - p[:, np.newaxis]).clip(0) ** (records // mappers)
    np.fill_diagonal(both, absent)
    sigma = np.sqrt(mappers * absent * (1 - absent))
    few = records % mappers  # have one record more
    assert (abs(loads.mean(axis=0) - mappers * (1 - absent)) <= 4 * sigma / math.sqrt(40) + few).all()
    variance = mappers * (both - np.outer(absent, absent)).sum()
    total = loads.sum(axis=1)
    # A sample variance of 40 normal values has a relative standard deviation of √(2 / 39).
    assert abs(total.var(ddof=1) - variance) <= 4 * math.sqrt(2 / 39) * variance + few + 1e-6
    assert loads[:, 0].tolist() == [mappers] * 40 or absent[0] > 1e-18


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 18), st.integers(1, 60), st.floats(0, 100), st.integers(0, 2 * TOGETHER), st.integers(0, 9))
def test_any_job_of_many_mappers_that_combine(digits, keys, exponent, more, seed):
    mappers = TOGETHER + more
    result = mapreduce(10**digits, keys, keys, mappers, exponent=exponent, partition="range", combine=True, seed=seed)
    assert (result.loads <= min(mappers, 10**digits)).all()
    assert min(mappers, 10**digits) <= result.loads.sum() <= 10**digits  # every mapper with a record has a key


def test_hashing_equal_keys_is_throwing_balls():
    # Of k balls in m bins the variance of a load is k/m (1 − 1/m); the keys have 1000 records each, on average.
    keys, reducers = 2000, 50
    loads = np.array([mapreduce(1000 * keys, keys, reducers, exponent=0.0, seed=s).loads for s in range(200)])
    variance = (loads / 1000).var(axis=1)
    # To which the records of a key add their own: multinomial, 1/1000 of the number of keys.
    expected = keys / reducers * (1 - 1 / reducers) * (1 + 1 / 1000)
    assert abs(variance.mean() - expected) < 3 * variance.std() / math.sqrt(200)


def test_limits_of_mapreduce():
    assert mapreduce(100, 1, 4).skew == 4.0
    assert mapreduce(0, 5, 4).skew == 1.0
    assert mapreduce(0, 5, 4).makespan == 0.0
    assert mapreduce(100, 7, 1).loads.tolist() == [100]
    assert mapreduce(10**18, 10, 3).loads.sum() == 10**18
    assert mapreduce(10**6, 1000, 10, exponent=0.0, partition="range").skew == pytest.approx(1, abs=0.02)
    assert repr(mapreduce(100, 1, 4)).startswith("MapReduce(4 reducers, skew 4, ")


# ---- bad input

wild = st.one_of(
    st.integers(-2, 40), st.sampled_from([10**18, 2**70, 0]), st.floats(), st.floats(0, 5), st.booleans(), st.none()
)


@settings(max_examples=500)
@given(st.integers(1, 5) | wild, st.integers(1, 5) | wild, wild, wild,
       st.sampled_from([None, *DISTRIBUTIONS, "none"]), st.floats(0, 1) | wild, st.floats(1, 5) | wild,
       wild)  # fmt: skip
def test_wild_supersteps(workers, steps, mean, scv, distribution, share, slowdown, barrier):
    try:
        result = supersteps(
            workers, steps, mean, scv, distribution, slow_share=share, slowdown=slowdown, barrier=barrier
        )
    except ValueError:
        return
    assert np.isfinite(result.makespan)
    assert 0 <= result.efficiency <= 1


@settings(max_examples=500)
@given(wild, wild, st.integers(1, 5) | wild, st.integers(1, 9) | wild, wild, st.sampled_from([*PARTITIONS, "best"]),
       st.booleans(), wild, wild)  # fmt: skip
def test_wild_mapreduce(records, keys, reducers, mappers, exponent, partition, combine, map_cost, reduce_cost):
    options = {"partition": partition, "combine": combine, "map_cost": map_cost, "reduce_cost": reduce_cost}
    try:
        result = mapreduce(records, keys, reducers, mappers, exponent=exponent, **options)
    except ValueError:
        return
    assert np.isfinite(result.makespan)
    assert 1 - 1e-9 <= result.skew <= reducers * (1 + 1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: supersteps(0), "workers is 0; it must be a whole number of at least 1"),
        (lambda: supersteps(10**6, 10**6), "workers times steps is 1e+12"),
        (lambda: supersteps(2, mean=-1), "mean is -1; it must be finite and at least 0"),
        (lambda: supersteps(2, slow_share=2), "slow_share is 2; it must be finite and at least 0 and at most 1"),
        (lambda: supersteps(2, slowdown=0.5), "slowdown is 0.5; it must be finite and at least 1"),
        (lambda: supersteps(2, barrier=[1]), "barrier is [1]; it must be one number"),
        (lambda: mapreduce(-1, 1, 1), "records is -1; it must be a whole number of at least 0"),
        (lambda: mapreduce(1, 0, 1), "keys is 0; it must be a whole number of at least 1"),
        (lambda: mapreduce(1, 1, 0), "reducers is 0"),
        (lambda: mapreduce(1, 1, 1, exponent=-1), "exponent is -1"),
        (lambda: mapreduce(1, 1, 1, partition="best"), "partition is 'best'; it must be one of hash, range, greedy"),
        (lambda: mapreduce(1, 10**6, 1, 10**6, combine=True), "keys times mappers, with combine, is 1e+12"),
        (lambda: mapreduce(1, 1, 1, map_cost=math.inf), "map_cost is inf"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
