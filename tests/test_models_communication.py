"""Messages and collective operations: published values, limits, properties, and the messages sent one by one."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course.models.communication import (
    all_gather_time,
    all_reduce_time,
    best_fan_in,
    broadcast_time,
    bsp_time,
    compression_break_even,
    expected_maximum,
    logp,
    message_time,
    shuffle_time,
    tree_reduce_time,
)
from tests.strategies import NUMBERS, answer_or_error

groups = st.integers(1, 40)
sizes = st.one_of(st.just(0.0), st.floats(1e-9, 1e9))
seconds = st.one_of(st.just(0.0), st.floats(1e-9, 10))
rates = st.floats(1e-3, 1e12)


# ---- one message, BSP, LogP


@given(sizes, seconds, rates)
def test_a_message(size, latency, bandwidth):
    time = message_time(size, latency, bandwidth)
    assert time >= latency
    assert message_time(2 * size, latency, bandwidth) - time == pytest.approx(size / bandwidth, abs=1e-9 * time)
    assert message_time(0, latency, bandwidth) == latency


def test_half_of_the_bandwidth():
    # Hockney: at n½ = latency × bandwidth half of the bandwidth is reached.
    size = 1e-3 * 1e9
    assert size / message_time(size, 1e-3, 1e9) == pytest.approx(1e9 / 2)
    assert message_time([1.0, 2.0], [[0.0], [1.0]], 1.0).tolist() == [[1, 2], [2, 3]]


def test_supersteps():
    # Valiant's cost: matrix multiplication on p processors needs h = 2 n² / √p; any p, one superstep.
    assert bsp_time(1000, 50, 4, 100) == 1300
    assert bsp_time(0, 0, 4, 100) == 100
    assert bsp_time([1, 2], 3, 4, 5).tolist() == [18, 19]


def test_logp_as_published():
    # Culler et al. 1993, figure 3.
    assert logp(8, 6, 2, 4).informed.tolist() == [0, 10, 14, 18, 20, 22, 24, 24]
    assert logp(8, 6, 2, 4).finish == 24


def test_logp_is_the_postal_model_without_overhead():
    # Bar-Noy and Kipnis (SPAA 1992): with o = 0 and g = 1, N(t) = N(t − 1) + N(t − λ) processors are informed at t.
    # λ = 1 doubles at each step, λ = 2 gives the Fibonacci numbers.
    for delay, expected in ((1, [1, 2, 4, 8, 16, 32]), (2, [1, 1, 2, 3, 5, 8, 13, 21, 34])):
        informed = logp(200, delay, 0, 1).informed
        assert [int((informed <= t).sum()) for t in range(len(expected))] == expected


def all_trees(processors: int, delay: float, pause: float) -> float:
    """Return the earliest finish, by dynamic programming over how many the first message's receiver has to inform."""
    best = [0.0, 0.0]
    for p in range(2, processors + 1):
        # The sender informs one, who informs k in all; the sender goes on with the other p − k after a pause.
        best.append(min(max(delay + best[k], pause + best[p - k] if p - k > 1 else 0.0) for k in range(1, p)))
    return best[processors]


@given(st.integers(1, 40), st.integers(0, 20), st.integers(0, 9), st.integers(0, 9))
def test_no_broadcast_is_faster_than_logp(processors, latency, overhead, gap):
    result = logp(processors, latency, overhead, gap)
    assert result.finish == all_trees(processors, latency + 2 * overhead, max(gap, overhead))
    assert (np.diff(result.informed) >= 0).all()
    assert len(result.informed) == processors


def test_logp_limits():
    assert logp(1, 6, 2, 4).informed.tolist() == [0]
    assert logp(5, 0, 0, 0).finish == 0
    assert logp(5, 3, 0, 0).informed.tolist() == [0, 3, 3, 3, 3]  # sending costs nothing: to all at once
    assert logp(5, 1, 0, 1000).finish == 4  # nobody sends twice: a chain
    with pytest.raises(ValueError, match="processors is 1e"):
        logp(10**7, 1, 1, 1)


# ---- trees


def reduced(values: list[float], fan_in: int, fixed: float, each: float) -> tuple[float, float]:
    """Return the sum and the time of a tree reduction that is really made."""
    ready = [(0.0, v) for v in values]
    while len(ready) > 1:
        level = []
        for i in range(0, len(ready), fan_in):
            inputs = ready[i : i + fan_in]
            start = max(t for t, _ in inputs)
            spent = fixed + (len(inputs) - 1) * each if len(inputs) > 1 else 0.0
            level.append((start + spent, sum(v for _, v in inputs)))
        ready = level
    return ready[0][1], ready[0][0]


@given(st.integers(1, 200), st.integers(2, 50), st.integers(0, 9), st.integers(0, 9))
def test_tree_reduce_is_a_reduction(workers, fan_in, fixed, each):
    total, time = reduced([1.0] * workers, fan_in, fixed, each)
    assert total == workers
    assert tree_reduce_time(workers, each * 10, 0.0, 10.0, fan_in, overhead=fixed) == pytest.approx(time)
    assert tree_reduce_time(workers, 0, fixed, 10.0, fan_in, combine=each) == pytest.approx(time)


@given(st.integers(1, 300), seconds, seconds)
@settings(max_examples=200)
def test_the_best_fan_in_is_the_best_of_all(workers, fixed, each):
    best = best_fan_in(workers, each, 0.0, 1.0, overhead=fixed)
    times = tree_reduce_time(workers, each, 0.0, 1.0, np.arange(2, max(workers, 2) + 1), overhead=fixed)
    assert best.time == pytest.approx(times.min(), rel=1e-9)
    assert best.time == pytest.approx(times[best.fan_in - 2], rel=1e-9)


def test_the_formula_of_the_best_fan_in():
    # If a level costs nothing else, two by two; where it costs as much as one input, e.
    assert best_fan_in(1000, 1.0, 0.0, 1.0).approximation == 2
    assert best_fan_in(1000, 1.0, 1.0, 1.0).approximation == pytest.approx(math.e)
    assert best_fan_in(1000, 0.0, 1.0, 1.0).approximation == math.inf
    assert best_fan_in(1000, 0.0, 1.0, 1.0).fan_in == 1000
    f = best_fan_in(10**6, 1.0, 7.5, 1.0).approximation
    costs = [(7.5 + x - 1) / math.log(x) for x in (f - 0.01, f, f + 0.01)]  # full levels: ln p / ln f of them
    assert costs[1] < min(costs[0], costs[2])
    assert best_fan_in(1, 1.0, 1.0, 1.0).time == 0


# ---- collective operations, sent message by message

ALPHA, BETA, GAMMA, SIZE = 3.0, 0.5, 0.25, 840.0


def by_rounds(workers: int, rounds: list[list[tuple[int, int, float]]], adding: bool = False) -> float:
    """Return the time of rounds of (from, to, bytes); each worker sends and receives one message in a round."""
    time = 0.0
    for messages in rounds:
        senders, receivers = [m[0] for m in messages], [m[1] for m in messages]
        assert len(set(senders)) == len(senders)
        assert len(set(receivers)) == len(receivers)
        most = max(m[2] for m in messages)
        time += ALPHA + most * BETA + (most * GAMMA if adding else 0.0)
    return time


@pytest.mark.parametrize("p", [1, 2, 3, 4, 7, 8, 12, 16])
def test_binomial_broadcast_message_by_message(p):
    has, rounds = {0}, []
    while len(has) < p:
        new = sorted(set(range(p)) - has)
        rounds.append([(a, b, SIZE) for a, b in zip(sorted(has), new, strict=False)])
        has |= {b for _, b, _ in rounds[-1]}
    assert broadcast_time(p, SIZE, ALPHA, 1 / BETA) == pytest.approx(by_rounds(p, rounds))
    flat = [[(0, k, SIZE)] for k in range(1, p)]
    assert broadcast_time(p, SIZE, ALPHA, 1 / BETA, "flat") == pytest.approx(by_rounds(p, flat))


@pytest.mark.parametrize("p", [1, 2, 3, 4, 6, 8, 12])
def test_all_gather_message_by_message(p):
    part = SIZE / p
    has = [{k} for k in range(p)]
    rounds = []
    for step in range(p - 1):
        rounds.append([(k, (k + 1) % p, part) for k in range(p)])
        for k in range(p):
            has[(k + 1) % p] |= {(k - step) % p}
    assert all(len(h) == p for h in has)
    ring = by_rounds(p, rounds)
    assert all_gather_time(p, SIZE, ALPHA, 1 / BETA) == pytest.approx(ring)
    # Bruck: in round i the worker k gets from k + 2^i what that has, as far as k lacks it.
    has, rounds, distance = [[k] for k in range(p)], [], 1
    while distance < p:
        sent = [has[(k + distance) % p][: min(distance, p - distance)] for k in range(p)]
        rounds.append([((k + distance) % p, k, part * len(sent[k])) for k in range(p)])
        has = [h + s for h, s in zip(has, sent, strict=True)]
        distance *= 2
    assert all(sorted(h) == list(range(p)) for h in has)
    assert all_gather_time(p, SIZE, ALPHA, 1 / BETA, "recursive_doubling") == pytest.approx(by_rounds(p, rounds))
    # A broadcast by scatter and all-gather: a scatter by halves, then the ring.
    if p & (p - 1) == 0:
        scatter = sum(ALPHA + SIZE / 2**i * BETA for i in range(1, p.bit_length()))
        whole = broadcast_time(p, SIZE, ALPHA, 1 / BETA, "scatter_allgather")
        assert whole == pytest.approx(scatter + ring)


def summed(p: int, algorithm: str) -> float:
    """Carry out an all-reduce of vectors of p' parts; check that all have the sum; return the time."""
    power = 2 ** (p.bit_length() - 1)
    extra = p - power if algorithm != "ring" else 0
    active = p if algorithm == "ring" else power
    parts = active
    part = SIZE / parts
    vectors = [np.arange(parts) + 10.0 * k for k in range(p)]
    expected = np.sum(vectors, axis=0)
    time = 0.0
    if extra:
        time += by_rounds(p, [[(power + k, k, SIZE) for k in range(extra)]], adding=True)
        for k in range(extra):
            vectors[k] = vectors[k] + vectors[power + k]
    if algorithm == "recursive_doubling":
        distance = 1
        while distance < power:
            time += by_rounds(p, [[(k, k ^ distance, SIZE) for k in range(power)]], adding=True)
            vectors[:power] = [vectors[k] + vectors[k ^ distance] for k in range(power)]
            distance *= 2
    elif algorithm == "ring":
        for step in range(p - 1):
            time += by_rounds(p, [[(k, (k + 1) % p, part) for k in range(p)]], adding=True)
            moved = [vectors[k][(k - step) % p] for k in range(p)]
            for k in range(p):
                vectors[(k + 1) % p][(k - step) % p] += moved[k]
        for step in range(p - 1):
            time += by_rounds(p, [[(k, (k + 1) % p, part) for k in range(p)]])
            moved = [vectors[k][(k + 1 - step) % p] for k in range(p)]
            for k in range(p):
                vectors[(k + 1) % p][(k + 1 - step) % p] = moved[k]
    else:
        low, high = np.zeros(power, dtype=int), np.full(power, parts)
        steps = []
        distance = power // 2
        while distance:
            half = (high[0] - low[0]) // 2
            time += by_rounds(p, [[(k, k ^ distance, half * part) for k in range(power)]], adding=True)
            before = [v.copy() for v in vectors]
            for k in range(power):
                if k & distance:
                    low[k] += half
                else:
                    high[k] -= half
                vectors[k][low[k] : high[k]] += before[k ^ distance][low[k] : high[k]]
            steps.append((distance, half))
            distance //= 2
        for distance, half in reversed(steps):
            time += by_rounds(p, [[(k, k ^ distance, half * part) for k in range(power)]])
            before, old_low, old_high = [v.copy() for v in vectors], low.copy(), high.copy()
            for k in range(power):
                other = k ^ distance
                vectors[k][old_low[other] : old_high[other]] = before[other][old_low[other] : old_high[other]]
                low[k], high[k] = min(old_low[k], old_low[other]), max(old_high[k], old_high[other])
    if extra:
        time += by_rounds(p, [[(k, power + k, SIZE) for k in range(extra)]])
        for k in range(extra):
            vectors[power + k] = vectors[k]
    for vector in vectors:
        np.testing.assert_allclose(vector, expected)
    return time


@pytest.mark.parametrize("algorithm", ["recursive_doubling", "ring", "rabenseifner"])
@pytest.mark.parametrize("p", [1, 2, 3, 4, 6, 7, 8, 16])
def test_all_reduce_message_by_message(p, algorithm):
    time = all_reduce_time(p, SIZE, ALPHA, 1 / BETA, algorithm, combine_rate=1 / GAMMA)
    assert time == pytest.approx(summed(p, algorithm))


@pytest.mark.parametrize("p", [1, 2, 3, 5, 8, 16])
def test_shuffle_message_by_message(p):
    part = SIZE / p / p
    pairwise = [[(k, (k + step) % p, part) for k in range(p)] for step in range(1, p)]
    assert shuffle_time(p, SIZE, ALPHA, 1 / BETA) == pytest.approx(by_rounds(p, pairwise))
    # Bruck: the part that has to go i further is sent in the rounds of the bits of i.
    bits = range((p - 1).bit_length())
    bruck = [[(k, (k + 2**bit) % p, part * sum(i >> bit & 1 for i in range(p))) for k in range(p)] for bit in bits]
    time, exact = shuffle_time(p, SIZE, ALPHA, 1 / BETA, algorithm="bruck"), by_rounds(p, bruck)
    if p & (p - 1) == 0:
        assert time == pytest.approx(exact)
    assert time >= exact * (1 - 1e-12)


@given(groups, sizes, seconds, rates)
def test_collective_operations_are_in_order(p, size, latency, bandwidth):
    arguments = (p, size, latency, bandwidth)
    slack = 1 + 1e-9
    assert broadcast_time(*arguments) <= broadcast_time(*arguments, "flat") * slack
    assert all_gather_time(*arguments, "recursive_doubling") <= all_gather_time(*arguments, "ring") * slack
    assert all_gather_time(*arguments) <= all_reduce_time(*arguments) * slack
    assert all_reduce_time(*arguments) <= 2 * all_gather_time(*arguments) * slack
    assert shuffle_time(*arguments) <= shuffle_time(*arguments, messages=5) * slack
    # Nobody can have all before a worker that lacks (p − 1) / p of it has received that.
    assert all_gather_time(*arguments) * slack >= (p - 1) / p * size / bandwidth
    if p == 1:
        for function in (broadcast_time, all_gather_time, all_reduce_time, shuffle_time, tree_reduce_time):
            assert function(*arguments) == 0
    else:
        assert tree_reduce_time(*arguments) == pytest.approx(broadcast_time(*arguments))  # the same tree, backwards


def test_many_workers():
    # A ring sends less than 2n bytes from each, however many workers there are.
    assert all_reduce_time(10**6, 1e6, 0.0, 1e9) == pytest.approx(2e-3, rel=1e-5)
    assert all_reduce_time([2, 3], 1e6, 0.0, [[1e9], [2e9]]).shape == (2, 2)
    assert broadcast_time(10**18, 1e18, 1.0, 1.0) == pytest.approx(60e18)


def test_few_bytes_and_many_bytes():
    # Thakur et al.: recursive doubling for short messages, Rabenseifner's algorithm for long ones.
    short = {how: all_reduce_time(64, 8, 1e-5, 1e9, how) for how in ("recursive_doubling", "ring", "rabenseifner")}
    long = {how: all_reduce_time(64, 1e8, 1e-5, 1e9, how) for how in short}
    assert min(short, key=short.get) == "recursive_doubling"
    assert min(long, key=long.get) == "rabenseifner"
    assert max(long, key=long.get) == "recursive_doubling"
    assert shuffle_time(64, 64 * 64, 1e-5, 1e9, algorithm="bruck") < shuffle_time(64, 64 * 64, 1e-5, 1e9)
    assert shuffle_time(64, 1e9, 1e-5, 1e9, algorithm="bruck") > shuffle_time(64, 1e9, 1e-5, 1e9)


# ---- barriers


def test_expected_maximum_as_published():
    # Harter: Expected values of normal order statistics, Biometrika 48, 1961; for 2 and 3 also 1/√π and 3/(2√π).
    n = [2, 3, 5, 10, 100, 1000]
    values = [0.56419, 0.84628, 1.16296, 1.53875, 2.50759, 3.24144]
    assert expected_maximum(stats.norm(), n) == pytest.approx(values, abs=6e-6)


@given(st.integers(1, 10**6), st.floats(0.01, 100))
@settings(max_examples=60)
def test_expected_maximum_in_closed_form(n, scale):
    assert expected_maximum(stats.uniform(0, scale), n) == pytest.approx(scale * n / (n + 1), rel=1e-9)
    harmonic = (1 / np.arange(1, n + 1)).sum()
    assert expected_maximum(stats.expon(scale=scale), n) == pytest.approx(scale * harmonic, rel=1e-9)
    # Weibull: the minimum is known, the maximum not; Pareto: n B(n, 1 − 1/a).
    beta = math.exp(math.lgamma(n + 1) + math.lgamma(1 - 1 / 3) - math.lgamma(n + 1 - 1 / 3))
    assert expected_maximum(stats.pareto(3, scale=scale), n) == pytest.approx(scale * beta, rel=1e-7)


@given(st.integers(1, 1000), st.floats(-5, 5), st.floats(0.1, 5))
@settings(max_examples=60)
def test_expected_maximum_shifts_scales_and_grows(n, shift, scale):
    standard = expected_maximum(stats.norm(), n)
    assert expected_maximum(stats.norm(shift, scale), n) == pytest.approx(shift + scale * standard, abs=1e-9)
    assert expected_maximum(stats.norm(), n + 1) > standard
    assert standard <= (n - 1) / math.sqrt(2 * n - 1) + 1e-12  # Hartley and David 1954: a bound for any distribution


@pytest.mark.parametrize(
    "distribution",
    [stats.norm(10, 2), stats.gamma(0.5), stats.lognorm(1.0), stats.triang(0.3), stats.weibull_min(0.7), stats.t(5)],
)
def test_expected_maximum_by_simulation(distribution):
    rng = np.random.default_rng(2)
    assert expected_maximum(distribution, 1) == pytest.approx(distribution.mean(), rel=1e-6, abs=1e-9)
    for n in (2, 30):
        most = distribution.rvs((20_000, n), random_state=rng).max(axis=1)
        error = most.std(ddof=1) / math.sqrt(len(most))
        assert abs(expected_maximum(distribution, n) - most.mean()) < 3 * error


def test_expected_maximum_limits():
    assert expected_maximum(stats.uniform(), 10**18) == pytest.approx(1, abs=1e-12)
    assert expected_maximum(stats.expon(), 10**18) == pytest.approx(math.log(1e18) + np.euler_gamma, rel=1e-9)
    assert expected_maximum(stats.uniform(3, 0.0 + 1e-9), [[1, 2]]).shape == (1, 2)
    assert isinstance(expected_maximum(stats.norm(), 3), float)


# ---- compression


@given(st.floats(1.01, 50), rates, rates, st.booleans())
def test_compression_breaks_even_where_both_take_the_same(ratio, compress, decompress, pipelined):
    limit = compression_break_even(ratio, compress, decompress, pipelined)
    if not pipelined:
        assert 1 / compress + 1 / (ratio * limit) + 1 / decompress == pytest.approx(1 / limit, rel=1e-9)
    else:
        # The slowest stage gives the pace: a little below the limit compressing is faster, above it is not.
        for bandwidth, pays in ((0.99 * limit, True), (1.01 * limit, False)):
            assert (min(compress, ratio * bandwidth, decompress) > bandwidth) == pays
    assert compression_break_even(2 * ratio, compress, decompress, pipelined) >= limit
    assert limit <= min(compress, decompress)


def test_compression_that_never_or_always_pays():
    assert compression_break_even([0.5, 1.0], 1e9, 1e9).tolist() == [0, 0]
    assert compression_break_even(1e30, 1e9, 1e9) == pytest.approx(0.5e9)


# ---- errors, wild inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: message_time(-1, 1, 1), "size is -1; it must be finite and at least 0"),
        (lambda: message_time(1, 1, 0), "bandwidth is 0; it must be finite and greater than 0"),
        (lambda: bsp_time(1, math.nan, 1, 1), "h is nan"),
        (lambda: logp(0, 1, 1, 1), "processors is 0; it must be a whole number and at least 1"),
        (lambda: logp(4, 1, 1, -1), "gap is -1"),
        (lambda: tree_reduce_time(4, 1, 1, 1, 1), "fan_in is 1; it must be a whole number and at least 2"),
        (lambda: best_fan_in(0, 1, 1, 1), "workers is 0"),
        (lambda: broadcast_time(4, 1, 1, 1, "fast"), "algorithm is 'fast'; it must be one of flat, binomial, scatter"),
        (lambda: all_gather_time(4, 1, 1, 1, "binomial"), "algorithm is 'binomial'; it must be one of ring, rec"),
        (lambda: all_reduce_time(4, 1, 1, 1, None), "algorithm is None; it must be one of recursive_doubling, ring"),
        (lambda: all_reduce_time(4, 1, 1, 1, combine_rate=0), "combine_rate is 0"),
        (lambda: shuffle_time(4, 1, 1, 1, messages=0), "messages is 0"),
        (lambda: shuffle_time(4, 1, 1, 1, algorithm="p2p"), "algorithm is 'p2p'; it must be one of pairwise, bruck"),
        (lambda: expected_maximum(stats.norm(), 0), "n is 0"),
        (lambda: expected_maximum(stats.norm, 2), "it must be a frozen continuous one of scipy.stats"),
        (lambda: expected_maximum(stats.poisson(3), 2), "it must be a frozen continuous one of scipy.stats"),
        (lambda: expected_maximum(3.0, 2), "distribution is 3.0"),
        (lambda: expected_maximum(stats.pareto(1), 2), "distribution has mean inf; it must be a single distribution"),
        (lambda: expected_maximum(stats.norm([1, 2]), 2), "it must be a single distribution"),
        (lambda: expected_maximum(stats.norm(0, -1), 2), "distribution has mean nan"),
        (lambda: expected_maximum(stats.pareto(1.01), 2), "distribution has too heavy a tail"),
        (lambda: compression_break_even(0, 1, 1), "ratio is 0"),
        (lambda: compression_break_even(2, -1, 1), "compress_rate is -1"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
@settings(max_examples=600)
def test_wild_inputs(a, b, c, d, e, f):
    answer_or_error(message_time, a, b, c)
    answer_or_error(bsp_time, a, b, c, d)
    answer_or_error(compression_break_even, a, b, c)
    answer_or_error(tree_reduce_time, a, b, c, d, e, f)
    for how in ("flat", "binomial", "scatter_allgather"):
        answer_or_error(broadcast_time, a, b, c, d, how)
    for how in ("ring", "recursive_doubling"):
        answer_or_error(all_gather_time, a, b, c, d, how)
    for how in ("ring", "recursive_doubling", "rabenseifner"):
        answer_or_error(all_reduce_time, a, b, c, d, how, combine_rate=e)
    for how in ("pairwise", "bruck"):
        answer_or_error(shuffle_time, a, b, c, d, e, how)
    answer_or_error(lambda: best_fan_in(a, b, c, d, e, f).time)


@given(st.one_of(st.integers(-1, 50), NUMBERS), NUMBERS, NUMBERS, NUMBERS)
@settings(max_examples=300)
def test_wild_logp(processors, latency, overhead, gap):
    answer_or_error(lambda: logp(min(processors, 1000.0), latency, overhead, gap).informed)


@given(NUMBERS, st.floats(1e-3, 1e3), st.sampled_from([stats.gamma, stats.weibull_min, stats.lognorm, stats.pareto]))
@settings(max_examples=100, deadline=None)
def test_wild_maxima(n, shape, family):
    answer_or_error(expected_maximum, family(min(shape, 20.0) if family is stats.lognorm else shape), n)
