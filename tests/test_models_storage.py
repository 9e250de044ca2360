"""Quorums, rings, codes, caches and columnar files: published values, limits, properties, and simulations in numpy."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from course.models import (
    columnar_read,
    erasure_availability,
    fifo_hit_ratio,
    fifo_hit_ratio_exact,
    is_strict,
    lru_hit_ratio,
    lru_hit_ratio_exact,
    partition_skew,
    quorum_availability,
    quorum_latency,
    quorum_latency_quantile,
    ring_imbalance,
    row_group_read_probability,
    stale_after,
    stale_probability,
    storage_overhead,
    zipf,
)
from course.models.storage import _mean_order_statistic
from tests.strategies import NUMBERS, near

probabilities = st.floats(0, 1)


@st.composite
def quorums(draw, most: int = 40):
    """Draw replicas, read and write."""
    replicas = draw(st.integers(1, most))
    return replicas, draw(st.integers(1, replicas)), draw(st.integers(1, replicas))


# ---- quorums


@given(quorums(), probabilities)
def test_availability_is_the_binomial_sum(case, up):
    replicas, quorum, _ = case
    expected = sum(math.comb(replicas, i) * up**i * (1 - up) ** (replicas - i) for i in range(quorum, replicas + 1))
    assert quorum_availability(replicas, quorum, up) == pytest.approx(expected, abs=1e-12)


def test_availability_limits():
    assert quorum_availability(5, 1, 0.5) == 1 - 0.5**5
    assert quorum_availability(5, 5, 0.5) == 0.5**5
    assert quorum_availability(5, 3, [0, 1]).tolist() == [0, 1]
    assert quorum_availability(5, 3, 0.5) == pytest.approx(0.5)  # a majority of an odd number, by symmetry
    assert quorum_availability(100_001, 50_001, 0.51) == pytest.approx(1, abs=1e-9)


@given(quorums(12))
def test_quorums_that_are_strict_always_meet(case):
    replicas, read, write = case
    if replicas > 7:
        replicas, read, write = 7, min(read, 7), min(write, 7)
    always = all(
        set(r) & set(w)
        for r in itertools.combinations(range(replicas), read)
        for w in itertools.combinations(range(replicas), write)
    )
    assert is_strict(replicas, read, write) is always
    assert (stale_probability(replicas, read, write) == 0) is always


@given(quorums(), st.integers(1, 20))
def test_staleness_is_its_definition(case, versions):
    replicas, read, write = case
    one = math.comb(replicas - write, read) / math.comb(replicas, read)
    assert stale_probability(replicas, read, write, versions) == pytest.approx(one**versions, rel=1e-9)
    assert stale_probability(replicas, write, read) == pytest.approx(one, rel=1e-9)  # symmetric in R and W


def test_staleness_as_published():
    # Bailis et al. 2012, section 3.1: N = 3, R = W = 1: within 2, 3, 5 and 10 versions (and N = 3, R = 1, W = 2)
    fresh = 1 - stale_probability(3, 1, 1, [2, 3, 5, 10])
    np.testing.assert_allclose(fresh, [0.5556, 0.7037, 0.8683, 0.9827], atol=5e-5)
    assert 1 - stale_probability(3, 1, 2, 2) == pytest.approx(0.889, abs=5e-4)


def test_staleness_by_drawing_quorums():
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        order = rng.random((20_000, 7)).argsort(axis=1)  # R = 2 read the first two of a random order, W = 3 written
        values.append((order[:, :2] >= 3).all(axis=1).mean())
    near(values, stale_probability(7, 2, 3))


def test_staleness_after_a_time():
    """Write to all with exponential delays, commit at the W-th, read R at random a time later."""
    n, r, w, delay, elapsed = 5, 2, 2, 0.010, 0.004
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        arrival = rng.exponential(delay, (20_000, n))
        commit = np.sort(arrival, axis=1)[:, w - 1]
        read = rng.random(arrival.shape).argsort(axis=1)[:, :r]
        values.append((np.take_along_axis(arrival, read, axis=1) > (commit + elapsed)[:, None]).all(axis=1).mean())
    near(values, stale_after(elapsed, n, r, w, delay))
    assert stale_after(0, n, r, w, delay) == stale_probability(n, r, w)
    assert stale_after(1e30, n, r, w, 1e-30) == 0
    assert stale_after(0.1, 3, 2, 2, 1.0) == 0


@given(quorums(), st.floats(0.001, 10))
def test_latency_of_a_quorum_of_exponentials(case, mean):
    replicas, quorum, _ = case
    expected = mean * sum(1 / i for i in range(replicas - quorum + 1, replicas + 1))
    assert quorum_latency(mean, replicas, quorum) == pytest.approx(expected, rel=1e-9)


@given(quorums(9))
@settings(max_examples=15)
def test_the_integral_gives_what_the_sum_gives(case):
    replicas, quorum, _ = case
    numeric = quorum_latency(stats.expon(scale=0.3), replicas, quorum)
    assert numeric == pytest.approx(quorum_latency(0.3, replicas, quorum), rel=1e-7)
    # q-th of n uniform numbers: q / (n + 1), David and Nagaraja 2003
    assert quorum_latency(stats.uniform(), replicas, quorum) == pytest.approx(quorum / (replicas + 1), rel=1e-7)


def test_largest_of_normal_numbers_as_published():
    # David and Nagaraja: Order Statistics; the expected largest of 2, 3, 4 and 5 standard normal numbers
    published = {2: 0.56419, 3: 0.84628, 4: 1.02938, 5: 1.16296}
    for n, expected in published.items():
        assert _mean_order_statistic(stats.norm(), n, n) == pytest.approx(expected, abs=5e-6)
        assert _mean_order_statistic(stats.norm(), n, 1) == pytest.approx(-expected, abs=5e-6)


class _Quantiles:
    """A distribution that has only what the documentation asks for."""

    def __init__(self, law):
        self.isf, self.ppf = law.isf, law.ppf


@pytest.mark.parametrize("latency", [stats.norm(1.0, 0.1), stats.uniform(-1, 3), _Quantiles(stats.uniform(-1, 3))])
def test_no_answer_comes_before_the_question(latency):
    for call in (lambda: quorum_latency(latency, 3, 2), lambda: quorum_latency_quantile(0.9, latency, 3, 2)):
        with pytest.raises(ValueError, match=r"latency has times from -.* s on; they must be at least 0.*lognorm"):
            call()
    assert quorum_latency(_Quantiles(stats.uniform()), 1, 1) == pytest.approx(0.5)


def test_latency_by_simulation():
    law = stats.lognorm(s=1.2, scale=0.010)
    means, quantiles = [], []
    for seed in range(20):
        answers = np.sort(law.rvs((20_000, 5), random_state=np.random.default_rng(seed)), axis=1)[:, 2]
        means.append(answers.mean())
        quantiles.append((answers <= quorum_latency_quantile(0.99, law, 5, 3)).mean())
    near(means, quorum_latency(law, 5, 3))
    near(quantiles, 0.99)


def test_measured_latencies_can_be_given():
    measured = np.random.default_rng(3).exponential(0.01, 100_000)
    law = stats.rv_histogram(np.histogram(measured, 2000))
    assert quorum_latency(law, 3, 2) == pytest.approx(quorum_latency(measured.mean(), 3, 2), rel=0.01)


@given(quorums(), st.floats(0, 0.999999))
def test_quantiles_invert_the_distribution(case, q):
    replicas, quorum, _ = case
    t = quorum_latency_quantile(q, 0.010, replicas, quorum)
    arrived = -math.expm1(-t / 0.010)
    assert quorum_availability(replicas, quorum, arrived) == pytest.approx(q, abs=1e-9)
    assert t >= 0
    assert t == pytest.approx(quorum_latency_quantile(q, stats.expon(scale=0.010), replicas, quorum), rel=1e-9)


def test_a_tail_without_a_mean_is_refused():
    with pytest.raises(ValueError, match=re.escape("latency has no finite mean for 3 of 3 answers")):
        quorum_latency(stats.pareto(0.8), 3, 3)
    # The fastest of three has a mean: its tail is three times as steep, Pareto(2.4).
    assert quorum_latency(stats.pareto(0.8), 3, 1) == pytest.approx(2.4 / 1.4, rel=1e-6)


# ---- rings and skew


def simulated_ring(nodes: int, virtual: int, seed: int) -> np.ndarray:
    """Return each node's share of a ring with random points, relative to the mean."""
    rng = np.random.default_rng(seed)
    points = np.sort(rng.random(nodes * virtual))
    arcs = np.diff(points, append=points[0] + 1)
    owner = rng.permutation(np.repeat(np.arange(nodes), virtual))
    return np.bincount(owner, weights=arcs) * nodes


@pytest.mark.parametrize(("nodes", "virtual"), [(2, 1), (10, 1), (10, 8), (100, 3)])
def test_ring_by_simulation(nodes, virtual):
    ring = ring_imbalance(nodes, virtual, coverage=0.9)
    runs = [simulated_ring(nodes, virtual, seed) for seed in range(600)]
    near([run.max() for run in runs], ring.largest)
    near([((run - 1) ** 2).mean() for run in runs], ring.deviation**2)
    near([((run >= ring.low) & (run <= ring.high)).mean() for run in runs], 0.9)


def test_ring_limits():
    n = np.array([2, 3, 10, 1000])
    harmonic = [sum(1 / i for i in range(1, k + 1)) for k in n]
    np.testing.assert_allclose(ring_imbalance(n, 1).largest, harmonic, rtol=1e-9)  # largest of n arcs: H_n / n
    one = ring_imbalance(1, [1, 100])
    assert one.deviation.tolist() == [0, 0]
    np.testing.assert_allclose([one.largest, one.low, one.high], 1, rtol=1e-9)
    # Lamping and Veach 2014, table 1, for very many nodes; the deviation is 1 / √v
    np.testing.assert_allclose(ring_imbalance(10**9, [1, 10, 100]).deviation, [1, 0.316228, 0.1], rtol=1e-5)
    np.testing.assert_allclose(ring_imbalance(1000, [1, 10, 100, 1000]).low, [0.005, 0.37, 0.76, 0.92], atol=0.005)
    assert ring_imbalance(1e18, 1e9).largest == pytest.approx(1, abs=1e-3)


@given(st.integers(2, 10**6), st.integers(1, 10**4))
def test_ring_is_in_order(nodes, virtual):
    ring, more = ring_imbalance(nodes, [virtual, 2 * virtual]), ring_imbalance(2 * nodes, virtual)
    assert ring.deviation[1] < ring.deviation[0]
    assert 1 < ring.largest[1] < ring.largest[0] < more.largest
    assert (ring.low < 1).all()
    assert (ring.high > 1).all()
    assert ring.largest[0] <= nodes


def test_skew_by_hashing():
    popularity, partitions = zipf(500, 1.0), 20
    skew = partition_skew(popularity, partitions)
    runs = []
    for seed in range(400):
        place = np.random.default_rng(seed).integers(0, partitions, popularity.size)
        runs.append(np.bincount(place, weights=popularity, minlength=partitions) * partitions)
    near([((run - 1) ** 2).mean() for run in runs], skew.deviation**2)
    assert min(run.max() for run in runs) >= skew.at_least - 1e-9
    assert skew.at_least == pytest.approx(20 * popularity[0])


def test_skew_limits():
    assert partition_skew([1, 1], 1).deviation == 0
    assert partition_skew(np.ones(100), 4).deviation == pytest.approx(math.sqrt(3 / 100))  # binomial
    assert partition_skew([7.0], 4).deviation == pytest.approx(math.sqrt(3))  # one key: one partition has all
    assert partition_skew([7.0], 4).at_least == 4
    assert partition_skew(np.ones(100), [1, 10]).at_least.tolist() == [1, 1]


# ---- codes


@given(st.integers(1, 20), st.integers(0, 8), probabilities)
def test_codes_are_quorums_of_fragments(data, parity, up):
    code = erasure_availability(data, parity, up)
    assert code == quorum_availability(data + parity, data, up)
    assert erasure_availability(1, parity, up) == pytest.approx(1 - (1 - up) ** (parity + 1))
    assert erasure_availability(data, parity + 1, up) >= code - 1e-12
    assert storage_overhead(data, parity) == pytest.approx(1 + parity / data)


def test_code_and_copies_as_published():
    # Weatherspoon and Kubiatowicz 2002, section 1: a million machines of which 10 % are down; two copies give two
    # nines, and 32 fragments of which any 16 are enough, with the same space, give eight.
    assert 1 - erasure_availability(1, 1, 0.9) == pytest.approx(0.01)
    assert 1 - erasure_availability(16, 16, 0.9) < 1e-8
    assert storage_overhead(1, 1) == storage_overhead(16, 16) == 2


# ---- popularity and caches


@given(st.integers(1, 2000), st.floats(0, 5))
def test_zipf(items, exponent):
    p = zipf(items, exponent)
    assert p.sum() == pytest.approx(1)
    assert (np.diff(p) <= 0).all()
    assert p[-1] / p[0] == pytest.approx(items**-exponent, rel=1e-9)


def test_zipf_limits():
    assert zipf(1, 3.0).tolist() == [1]
    assert zipf(3, 1e308).tolist() == [1, 0, 0]
    assert zipf(4, 0).tolist() == [0.25] * 4


popularities = st.lists(st.floats(0.01, 10), min_size=1, max_size=7)


def lru_by_permutations(p: np.ndarray, capacity: int) -> float:
    """Sum King's formula over all orders."""
    total = 0.0
    for order in itertools.permutations(range(len(p)), capacity):
        left, probability = 1.0, 1.0
        for item in order:
            probability *= p[item] / left
            left -= p[item]
        total += probability * p[list(order)].sum()
    return total


def fifo_by_sets(p: np.ndarray, capacity: int) -> float:
    """Sum the product form over all sets."""
    sets = [list(s) for s in itertools.combinations(range(len(p)), capacity)]
    weights = np.array([p[s].prod() for s in sets])
    return (weights * [p[s].sum() for s in sets]).sum() / weights.sum()


@given(popularities, st.integers(0, 8))
def test_exact_hit_ratios_by_enumeration(weights, capacity):
    p = np.array(weights) / sum(weights)
    if capacity >= len(p):
        assert lru_hit_ratio_exact(p, capacity) == fifo_hit_ratio_exact(p, capacity) == lru_hit_ratio(p, capacity) == 1
        return
    if capacity == 0:
        assert lru_hit_ratio_exact(p, 0) == fifo_hit_ratio_exact(p, 0) == lru_hit_ratio(p, 0) == 0
        return
    assert lru_hit_ratio_exact(p, capacity) == pytest.approx(lru_by_permutations(p, capacity), rel=1e-9)
    assert fifo_hit_ratio_exact(p, capacity) == pytest.approx(fifo_by_sets(p, capacity), rel=1e-9)


def test_exact_lru_by_the_integral():
    """Flajolet, Gardy, Thimonier 1992: a hit if fewer than C others were asked for since; times made Poisson."""
    p, capacity = zipf(12, 0.9), 5

    def hits(t: float) -> float:
        seen = -np.expm1(-p * t)
        total = 0.0
        for i in range(p.size):
            others = np.zeros(p.size)
            others[0] = 1.0
            for s in np.delete(seen, i):
                others[1:] = others[1:] * (1 - s) + others[:-1] * s
                others[0] *= 1 - s
            total += p[i] ** 2 * math.exp(-p[i] * t) * others[:capacity].sum()
        return total

    expected, _ = integrate.quad(hits, 0, 400, limit=200)
    assert lru_hit_ratio_exact(p, capacity) == pytest.approx(expected, rel=1e-6)


def simulated_hits(p: np.ndarray, capacity: int, requests: int, seed: int, policy: str) -> float:
    """Return the share of hits of a list that is a cache, after a tenth of warm-up."""
    rng = np.random.default_rng(seed)
    cached: list[int] = []
    hits = 0
    for k, item in enumerate(rng.choice(p.size, requests, p=p).tolist()):
        hit = item in cached
        hits += hit and k >= requests // 10
        if hit and policy == "lru":
            cached.remove(item)
        if not hit and len(cached) == capacity:
            cached.pop(int(rng.integers(capacity)) if policy == "random" else 0)
        if not hit or policy == "lru":
            cached.append(item)
    return hits / (requests - requests // 10)


@pytest.mark.parametrize("policy", ["lru", "fifo", "random"])
def test_exact_hit_ratios_by_simulation(policy):
    p, capacity = zipf(12, 1.0), 4
    exact = (lru_hit_ratio_exact if policy == "lru" else fifo_hit_ratio_exact)(p, capacity)
    near([simulated_hits(p, capacity, 6000, seed, policy) for seed in range(16)], exact)


@given(st.integers(5, 14), st.floats(0.3, 1.5), st.data())
def test_approximations_are_near(items, exponent, data):
    p = zipf(items, exponent)
    capacity = data.draw(st.integers(2, items - 1))
    assert lru_hit_ratio(p, capacity) == pytest.approx(lru_hit_ratio_exact(p, capacity), abs=0.02)
    assert fifo_hit_ratio(p, capacity) == pytest.approx(fifo_hit_ratio_exact(p, capacity), abs=0.04)
    # van den Berg and Towsley 1993: LRU is never worse than FIFO under independent requests
    assert lru_hit_ratio_exact(p, capacity) >= fifo_hit_ratio_exact(p, capacity) - 1e-12


def test_approximations_are_better_for_large_caches():
    # FIFO is known exactly for large catalogues, too. Fricker, Robert, Roberts 2012 say why the error vanishes.
    errors = [
        abs(fifo_hit_ratio(zipf(n, 0.8), n // 10) - fifo_hit_ratio_exact(zipf(n, 0.8), n // 10)) for n in (30, 3000)
    ]
    assert errors[1] < errors[0] / 20
    assert errors[1] < 2e-4


@given(st.integers(2, 400), st.floats(0, 3), st.floats(0.01, 0.99))
def test_hit_ratios_are_in_order(items, exponent, share):
    p = zipf(items, exponent)
    capacity = share * items
    for hit_ratio in (lru_hit_ratio, fifo_hit_ratio):
        less, more = hit_ratio(p, [capacity, capacity * 1.01])
        assert 0 <= less <= more + 1e-12 <= 1 + 1e-12
        assert less >= capacity / items - 1e-9  # no worse than equally popular items
    kept = math.ceil(capacity)
    assert lru_hit_ratio(p, capacity) <= p[:kept].sum() + 1e-9  # the best: the most popular are always cached
    assert lru_hit_ratio(p, capacity) >= fifo_hit_ratio(p, capacity) - 1e-9
    assert lru_hit_ratio(zipf(items, 0), capacity) == pytest.approx(capacity / items)


def test_hit_ratio_edges():
    assert lru_hit_ratio([1, 0, 0], 1) == 1  # who is never asked for needs no room
    assert lru_hit_ratio([1e300, 1e-300], [0, 1, 2, 1e18]).tolist() == [0, pytest.approx(1), 1, 1]
    assert fifo_hit_ratio([1e300, 1e-300, 1e-300], [0.5, 1.5, 2.5]) == pytest.approx([0.5, 1, 1])
    assert lru_hit_ratio([1, 1], 1e-300) == pytest.approx(5e-301)
    assert lru_hit_ratio(zipf(10, 1), [[1, 2], [3, 4]]).shape == (2, 2)
    assert lru_hit_ratio([3, 3, 3], 2) == lru_hit_ratio([1, 1, 1], 2)  # weights
    assert fifo_hit_ratio_exact(zipf(20_000, 1.0), 19_999) < 1


# ---- columnar files


def test_row_groups_by_simulation():
    rng = np.random.default_rng(5)
    for match, below, rows in ((0.05, 0.0, 10), (0.02, 0.3, 4), (0.0, 0.5, 3), (0.3, 0.7, 2)):
        values = []
        for _ in range(20):
            smallest, largest = np.sort(rng.random((5000, rows)), axis=1)[:, [0, -1]].T
            values.append(((largest >= below) & (smallest < below + match)).mean())
        near(values, row_group_read_probability(match, rows, below))


def test_sorted_reads_by_counting():
    rng = np.random.default_rng(6)
    for _ in range(300):
        rows, group = int(rng.integers(1, 60)), int(rng.integers(1, 70))
        first, last = np.sort(rng.integers(0, rows + 1, 2))
        bounds = [*range(0, rows, group), rows]
        # A group holds [start, stop); it is read when matching rows, or the place of an empty run, are inside.
        touched = [
            stop - start
            for start, stop in itertools.pairwise(bounds)
            if (start < last and stop > first) or (first == last and start < first < stop)
        ]
        size = columnar_read(10.0 * rows, rows, group, (last - first) / rows, first / rows, order="sorted")
        assert size == pytest.approx(10.0 * sum(touched)), (rows, group, first, last)


def test_random_reads_are_a_sum_over_groups():
    # 25 rows in groups of 10: two whole ones, and one of five
    expected = 20 * (1 - 0.9**10) + 5 * (1 - 0.9**5)
    assert columnar_read(25.0, 25, 10, match=0.1) == pytest.approx(expected)


@given(
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["random", "sorted"]),
)
def test_reads_are_bounded(rows, group, match, below, order):
    below = min(below, 1 - match)
    read = columnar_read(1.0, rows, group, match, below, order)
    assert 0 <= read <= 1
    assert read >= match - 2e-6  # what matches is read
    assert columnar_read(1.0, rows, group, 1.0, 0.0, order) == 1
    assert columnar_read(1.0, rows, group, 0.0, 0.0, order) == 0
    if order == "random":
        assert columnar_read(1.0, rows, 2 * group, match, below, order) >= read - 1e-9
        assert row_group_read_probability(match, 1, below) == pytest.approx(match, abs=1e-12)


def test_small_shares_keep_their_digits():
    assert row_group_read_probability(1e-20, 1000) == pytest.approx(1e-17, rel=1e-12)
    assert columnar_read(1e9, 1e18, 1e6, match=1e-12) == pytest.approx(1e9 * -math.expm1(-1e-6), rel=1e-5)


# ---- errors and wild arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quorum_availability(3, 4, 0.5), "quorum is 4.0; it must be at most the replicas, 3.0"),
        (
            lambda: quorum_availability(3, 2, 1.5),
            "up_probability is 1.5; it must be finite and at least 0 and at most 1",
        ),
        (lambda: stale_probability(3, 0, 1), "read is 0; it must be a whole number and at least 1"),
        (lambda: stale_probability(3, 1, 1, 0), "versions is 0"),
        (lambda: stale_after(-1, 3, 1, 1, 1), "elapsed is -1"),
        (lambda: stale_after(1, 3, 1, 1, 0), "mean_delay is 0"),
        (lambda: is_strict(2e6, 1, 1), "replicas is 2e+06; it must be a whole number and at least 1 and at most 1e+06"),
        (lambda: quorum_latency("slow", 3, 2), "latency is 'slow'; it must be a number"),
        (lambda: quorum_latency_quantile(1.0, 0.1, 3, 2), "q is 1.0; it must be at least 0 and below 1"),
        (lambda: ring_imbalance(0, 1), "nodes is 0"),
        (lambda: ring_imbalance(2, 1.5), "virtual_nodes is 1.5"),
        (lambda: ring_imbalance(2, 1, 2), "coverage is 2"),
        (lambda: partition_skew([], 2), "popularity has shape (0,); it must be a list of at least one number"),
        (lambda: partition_skew([0, 0], 2), "popularity is all 0"),
        (lambda: erasure_availability(0, 1, 0.5), "data is 0"),
        (lambda: storage_overhead(1, -1), "parity is -1"),
        (lambda: zipf(0, 1), "items is 0; it must be a whole number of at least 1"),
        (
            lambda: zipf(10**12, 1),
            "items is 1000000000000; it must be a whole number of at least 1 and at most 10000000",
        ),
        (lambda: zipf(3, -1), "exponent is -1"),
        (lambda: zipf(3, [1, 2]), "exponent has shape (2,); it must be a single number"),
        (lambda: lru_hit_ratio([1, math.nan], 1), "popularity is nan"),
        (lambda: lru_hit_ratio([1, 2], -1), "capacity is -1"),
        (lambda: lru_hit_ratio_exact(np.ones(17), 3), "popularity has 17 items; at most 16 can be computed exactly"),
        (lambda: lru_hit_ratio_exact([1, 2], 1.5), "capacity is 1.5; it must be a whole number"),
        (lambda: fifo_hit_ratio_exact(np.ones(20_001), 3), "popularity has 20001 items; at most 20000"),
        (lambda: columnar_read(1, 1, 1, order="up"), "order is 'up'; it must be one of random, sorted"),
        (lambda: columnar_read(1, 1, 1, match=0.7, below=0.7), "match + below is 1.4; it must be at most 1"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


wild_list = st.lists(NUMBERS, max_size=6)

WILD = {
    quorum_availability: (3, 1.0),
    stale_probability: (4, 1.0),
    stale_after: (5, 1.0),
    quorum_latency: (3, math.inf),
    quorum_latency_quantile: (4, math.inf),
    partition_skew: (1, math.inf),
    erasure_availability: (3, 1.0),
    storage_overhead: (2, math.inf),
    row_group_read_probability: (3, 1.0),
    columnar_read: (5, math.inf),
}


@pytest.mark.parametrize("function", WILD, ids=lambda f: f.__name__)
@given(arguments=st.lists(NUMBERS, min_size=5, max_size=5), popularity=wild_list)
@settings(max_examples=100)
def test_wild_arguments(function, arguments, popularity):
    count, high = WILD[function]
    given_ = arguments[:count]
    try:
        result = function(popularity, *given_) if function is partition_skew else function(*given_)
    except ValueError:
        return
    for value in [result] if isinstance(result, float) else vars(result).values():
        assert math.isfinite(value), given_
        assert 0 <= value <= high, given_


@given(NUMBERS, NUMBERS, NUMBERS)
@settings(max_examples=150)
def test_wild_rings(nodes, virtual_nodes, coverage):
    try:
        ring = ring_imbalance(nodes, virtual_nodes, coverage)
    except ValueError:
        return
    assert 0 <= ring.deviation < math.inf
    assert 1 - 1e-6 <= ring.largest < math.inf
    assert 0 <= ring.low <= ring.high * (1 + 1e-9) < math.inf


@pytest.mark.parametrize("function", [lru_hit_ratio, fifo_hit_ratio, lru_hit_ratio_exact, fifo_hit_ratio_exact])
@given(popularity=wild_list, capacity=NUMBERS)
@settings(max_examples=100)
def test_wild_caches(function, popularity, capacity):
    try:
        assert 0 <= function(popularity, capacity) <= 1
    except ValueError:
        return


@given(st.one_of(st.integers(-5, 1000), st.floats(), st.integers(10**8, 10**20)), NUMBERS)
def test_wild_zipf(items, exponent):
    try:
        p = zipf(items, exponent)
    except ValueError:
        return
    assert p.sum() == pytest.approx(1)
