"""The ring, quorums and caches, against plain Python, closed forms and published values."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course.simulate import batch_means, cache, quorum, ring, stream, zipf_stream
from course.simulate.storage import EVICTIONS

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))["cases"]
}

# ---- the ring


def plain_owner(result, x):
    """Return the owner of the first point at or after x, else of the first of all."""
    points = sorted(zip(result.position.tolist(), result.owner.tolist(), strict=True))
    return next((owner for position, owner in points if position >= x), points[0][1])


@settings(max_examples=60)
@given(st.integers(1, 6), st.data(), st.integers(0, 10**6))
def test_ring_is_its_twin(nodes, data, seed):
    points = data.draw(st.integers(1, 5) | st.lists(st.integers(1, 5), min_size=nodes, max_size=nodes))
    result = ring(nodes, points, 40, seed=seed)
    assert np.bincount(result.owner, minlength=nodes).tolist() == np.broadcast_to(points, nodes).tolist()
    owners = [plain_owner(result, x) for x in result.keys.tolist()]
    assert result.owner_of(result.keys).tolist() == owners
    assert result.loads.tolist() == [owners.count(node) for node in range(nodes)]
    assert result.shares.sum() == pytest.approx(1)
    # A share is the probability that a key falls to the node: many keys agree.
    many = np.bincount(result.owner_of(np.random.default_rng(seed).random(20_000)), minlength=nodes) / 20_000
    np.testing.assert_allclose(many, result.shares, atol=4.5 * math.sqrt(0.25 / 20_000))


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 10**6))
def test_who_joins_or_leaves_moves_only_its_own_keys(nodes, points, seed):
    before, after = ring(nodes, points, 50, seed=seed), ring(nodes + 1, points, 50, seed=seed)
    keys = before.keys
    assert keys.tolist() == after.keys.tolist()
    moved = before.owner_of(keys) != after.owner_of(keys)
    assert (after.owner_of(keys)[moved] == nodes).all()
    assert before.moved(after) == pytest.approx(after.shares[nodes])
    assert after.without(nodes).owner_of(keys).tolist() == before.owner_of(keys).tolist()
    left = before.without(0)
    assert left.moved(before) == before.moved(left) == pytest.approx(before.shares[0])
    assert left.shares[0] == 0
    assert left.shares.sum() == pytest.approx(1)
    assert before.moved(before) == 0


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.data(), st.integers(0, 10**6))
def test_a_node_that_gets_more_points_takes_keys_and_moves_no_others(points, data, seed):
    node = data.draw(st.integers(0, len(points) - 1))
    more = [v + (k == node) for k, v in enumerate(points)]
    before, after = ring(len(points), points, 50, seed=seed), ring(len(points), more, 50, seed=seed)
    assert set(before.position) < set(after.position)
    moved = before.owner_of(before.keys) != after.owner_of(before.keys)
    assert (after.owner_of(before.keys)[moved] == node).all()
    assert before.moved(after) == pytest.approx(after.shares[node] - before.shares[node], abs=1e-12)


def test_hash_values_are_uniform():
    position = ring(1000, 100, seed=3).position
    assert stats.kstest(position, "uniform").pvalue > 0.001
    gaps = np.diff(position) * len(position)
    assert stats.kstest(gaps, "expon").pvalue > 0.001


def test_a_node_that_joins_takes_one_in_n_plus_one():
    for points in (1, 20):
        moved = np.array([ring(9, points, seed=seed).moved(ring(10, points, seed=seed)) for seed in range(400)])
        assert abs(moved.mean() - 1 / 10) < 3 * moved.std() / 20


@pytest.mark.parametrize("k", range(4))
def test_the_published_spread_of_shares(k):
    case = CASES["hash-02"]  # Lamping and Veach 2014, table 1: 1000 buckets
    points = case["inputs"]["points_per_bucket"][k]
    runs = (400, 100, 20, 3)[k]
    shares = np.array([ring(1000, points, seed=seed).shares * 1000 for seed in range(runs)])
    spread = shares.std(axis=1)
    expected = case["expected"]["std_error"]["value"][k]
    error = spread.std(ddof=1) / math.sqrt(runs)
    # The law of a share is Beta(v, 999 v); the table's own values are simulated.
    exact = math.sqrt(999 / (1000 * points + 1))
    assert abs(spread.mean() - exact) < 3 * error + 0.02 * exact / runs
    assert spread.mean() == pytest.approx(expected, rel=case["expected"]["std_error"]["rel_tol"])
    low, high = np.quantile(shares, [0.005, 0.995])
    np.testing.assert_allclose([low, high], case["expected"]["interval99"]["value"][k], atol=0.06)
    np.testing.assert_allclose([low, high], stats.beta(points, 999 * points).ppf([0.005, 0.995]) * 1000, rtol=0.05)


def test_twice_the_points_are_twice_the_share():
    points = [200, 400] * 5
    twice = np.array([ring(10, points, seed=seed).shares[1::2].sum() for seed in range(2000)])
    # 2000 of 3000 points own together a share of the law Beta(2000, 1000).
    assert abs(twice.mean() - 2 / 3) < 3 * math.sqrt(2 / 9 / 3001 / 2000)
    assert stats.kstest(twice, stats.beta(2000, 1000).cdf).pvalue > 0.001


def test_a_ring_is_printed_without_looking_at_its_points():
    many = ring(1000, 10, keys=5)
    assert repr(many) == "Ring(1000 nodes, 10000 points, 5 keys)"
    assert "shares" not in vars(many)


def test_one_node_owns_all_and_the_last_must_stay():
    alone = ring(1, 3, 7)
    assert alone.shares == pytest.approx([1])
    assert alone.loads.tolist() == [7]
    assert repr(alone) == "Ring(1 nodes, 3 points, 7 keys)"
    with pytest.raises(ValueError, match="node is 0, the last one"):
        alone.without(0)


# ---- quorums


def exponential(mean):
    return lambda rng, n: rng.exponential(mean, n)


def plain_quorum(read, write, there, back, ask, answer):
    """Return (write latency, read latency, window) of one trial, as the notes of `quorum` describe them."""
    commit = sorted(w + a for w, a in zip(there, back, strict=True))[write - 1]
    first = sorted(range(len(there)), key=lambda i: ask[i] + answer[i])[:read]
    window = min(there[i] - ask[i] for i in first) - commit
    return commit, max(ask[i] + answer[i] for i in first), window


@settings(max_examples=200)
@given(st.integers(1, 6), st.data(), st.integers(0, 10**6))
def test_quorum_is_its_twin(replicas, data, seed):
    read, write = data.draw(st.integers(1, replicas)), data.draw(st.integers(1, replicas))
    laws = [exponential(mean) for mean in (3.0, 1.0, 0.5, 1.0)]
    names = ("send_write", "acknowledge", "send_read", "respond")
    result = quorum(replicas, read, write, **dict(zip(names, laws, strict=True)), trials=5, seed=seed)
    rng = np.random.default_rng(seed)
    drawn = [law(rng, 5 * replicas).reshape(5, replicas).tolist() for law in laws]
    expected = [plain_quorum(read, write, *trial) for trial in zip(*drawn, strict=True)]
    got = zip(result.write_latency.tolist(), result.read_latency.tolist(), result.window.tolist(), strict=True)
    assert list(got) == expected
    # Started at this time the read is stale or not, by the definition.
    for after in (0.0, 0.5, 3.0):
        stale = 0
        for there, back, ask, answer in zip(*drawn, strict=True):
            commit = sorted(w + a for w, a in zip(there, back, strict=True))[write - 1]
            first = sorted(range(replicas), key=lambda i: ask[i] + answer[i])[:read]
            stale += all(commit + after + ask[i] < there[i] for i in first)
        assert result.stale(after) == pytest.approx(stale / 5)


@settings(max_examples=100)
@given(st.integers(1, 7), st.data(), st.integers(0, 10**6))
def test_strict_quorums_are_never_stale_and_waiting_helps(replicas, data, seed):
    read, write = data.draw(st.integers(1, replicas)), data.draw(st.integers(1, replicas))
    slow, fast = exponential(10.0), exponential(1.0)
    result = quorum(replicas, read, write, send_write=slow, acknowledge=fast, send_read=fast, respond=fast, trials=50,
                    seed=seed)  # fmt: skip
    if read + write > replicas:
        assert result.stale(0.0) == 0.0
    shares = result.stale([0.0, 1.0, 5.0, 50.0, 1e6])
    assert (np.diff(shares) <= 0).all()
    assert shares[-1] == 0.0


@pytest.mark.parametrize(("rate", "now", "later"), [(4.0, 0.94, 0.001), (0.1, 0.41, 0.065)])
def test_the_published_exponential_writes(rate, now, later):
    # Bailis et al. 2012, on exponential latencies (given in whole percents): N = 3, R = W = 1, the other three messages
    # with rate 1 per ms; the share of reads that see the write right after its commit, and when 99.9 % do.
    ms = exponential(1e-3)
    result = quorum(
        3, 1, 1, send_write=exponential(1e-3 / rate), acknowledge=ms, send_read=ms, respond=ms, trials=400_000
    )
    assert 1 - result.stale(0.0) == pytest.approx(now, abs=0.02)
    assert 1 - result.stale(later) == pytest.approx(0.999, abs=0.0005)


@pytest.mark.parametrize(("n", "r", "w"), CASES["quo-01"]["inputs"]["configs"])
def test_the_limit_of_slow_propagation_is_any_quorum(n, r, w):
    # When the rest is fast, the commit finds the write at just W replicas, and reads ask any R of them.
    case = CASES["quo-01"]
    trials = 500_000
    fast = exponential(1e-9)
    result = quorum(n, r, w, send_write=exponential(1.0), acknowledge=fast, send_read=fast, respond=fast, trials=trials)
    stale = result.window > 0
    for k, expected in zip(case["inputs"]["k"], case["expected"][f"N{n}R{r}W{w}"]["value"], strict=True):
        # A read is more than k versions old if it misses each of k writes in a row, which spread independently.
        runs = stale[: trials // k * k].reshape(-1, k).all(axis=1)
        assert abs(1 - runs.mean() - expected) < 3 * math.sqrt(expected * (1 - expected) / len(runs)) + 5e-5


def test_exponential_writes_and_nothing_else_in_closed_form():
    # R = W = 1: the read asks one that is not the first with probability (N − 1) / N, and it lags memorylessly.
    for n in (2, 3, 7):
        result = quorum(n, 1, 1, send_write=exponential(2.0), acknowledge=0.0, send_read=0.0, respond=0.0)
        for after in (0.0, 1.0, 4.0):
            p = (n - 1) / n * math.exp(-after / 2)
            assert abs(result.stale(after) - p) < 3 * math.sqrt(p * (1 - p) / 100_000)
    assert quorum(3, 1, 1, send_write=1.0, acknowledge=0.0, send_read=0.0, respond=0.0).stale(0.0) == 0.0
    assert quorum(3, 1, 3, send_write=exponential(1), acknowledge=0, send_read=0, respond=0).stale(0.0) == 0.0


def test_latencies_are_order_statistics():
    # Rényi: the k-th of n exponentials of mean 1 takes 1/n + … + 1/(n − k + 1) on average.
    one = exponential(1.0)
    for n, r, w in ((5, 2, 4), (1, 1, 1), (3, 3, 1)):
        result = quorum(n, r, w, send_write=one, acknowledge=0.0, send_read=0.0, respond=one, trials=50_000)
        for latency, k in ((result.read_latency, r), (result.write_latency, w)):
            expected = sum(1 / i for i in range(n - k + 1, n + 1))
            assert abs(latency.mean() - expected) < 3 * latency.std() / math.sqrt(50_000)
    assert repr(result).startswith("Quorum(50000 trials, ")


# ---- caches


def plain_cache(requests, capacity, policy, seed):
    lots = np.random.default_rng(seed).spawn(1)[0].random(len(requests)).tolist()
    order: list[int] = []  # lru: by last use; fifo: by arrival; random: by slot
    uses: dict[int, int] = {}
    last: dict[int, int] = {}
    hits = []
    for i, item in enumerate(requests):
        hits.append(item in order)
        if item in order:
            uses[item] += 1
            if policy == "lru":
                order.remove(item)
                order.append(item)
        elif capacity:
            if len(order) == capacity:
                if policy == "random":
                    order[int(lots[i] * capacity)] = item
                else:
                    victim = min(order, key=lambda x: (uses[x], last[x])) if policy == "lfu" else order[0]
                    order.remove(victim)
                    order.append(item)
            else:
                order.append(item)
            uses[item] = 1
        last[item] = i
    return hits


@settings(max_examples=600)
@given(st.lists(st.integers(0, 9), max_size=60), st.integers(0, 12), st.sampled_from(EVICTIONS), st.integers(0, 99))
def test_cache_is_its_twin(requests, capacity, policy, seed):
    hits = cache(requests, capacity, policy, seed=seed)
    assert hits.dtype == bool
    if policy == "random":
        # Never more room than items: the slots are those of the twin only then.
        capacity = min(capacity, max(requests, default=-1) + 1) if capacity else 0
    assert hits.tolist() == plain_cache(requests, capacity, policy, seed)


@pytest.mark.parametrize("policy", EVICTIONS)
def test_long_streams_are_their_twin(policy):
    requests = zipf_stream(200, 0.8, 20_000, seed=5)
    assert cache(requests, 40, policy).tolist() == plain_cache(requests.tolist(), 40, policy, 0)


@pytest.mark.parametrize(("policy", "key"), [("lru", "lru_exact"), ("fifo", "fifo_exact"), ("random", "fifo_exact")])
def test_exact_hit_ratios(policy, key):
    # Random and first in, first out hit equally often (Gelenbe: A unified approach to the evaluation of a class of
    # replacement algorithms. IEEE Transactions on Computers C-22(6), 1973).
    case = CASES["cache-02"]
    for (items, capacity), expected in zip(case["inputs"]["n_C"], case["expected"][key]["value"], strict=True):
        hits = cache(zipf_stream(items, 1.0, 1_000_000, seed=items), capacity, policy)
        mean, error = batch_means(hits, batches=30)
        assert abs(mean - expected) < 3 * error
        assert error < 0.002


def test_beladys_anomaly():
    # Belady, Nelson, Shedler: An anomaly in space-time characteristics of certain programs running in a paging machine.
    # CACM 12(6), 1969: with more room, first in first out misses more; the least recently used never does.
    requests = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
    assert [(~cache(requests, room, "fifo")).sum() for room in (3, 4)] == [9, 10]
    assert [(~cache(requests, room, "lru")).sum() for room in (3, 4)] == [10, 8]


@settings(max_examples=100)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=80))
def test_least_recently_used_hits_by_stack_distance(requests):
    """With more room it never hits less: what is in a small cache is in every larger one (Mattson et al. 1970)."""
    distance = []
    for i, item in enumerate(requests):
        before = [j for j in range(i) if requests[j] == item]
        distance.append(len(set(requests[before[-1] + 1 : i])) if before else math.inf)
    for capacity in range(15):
        assert cache(requests, capacity).tolist() == [d < capacity for d in distance]


@settings(max_examples=100)
@given(
    st.lists(st.integers(-(10**18), 10**18) | st.integers(0, 5), min_size=1, max_size=60), st.sampled_from(EVICTIONS)
)
def test_room_for_all_or_none(requests, policy):
    assert not cache(requests, 0, policy).any()
    for capacity in (len(set(requests)), 10**18):
        seen = set()
        first = [not (item in seen or seen.add(item)) for item in requests]
        assert (~cache(requests, capacity, policy)).tolist() == first


def test_no_policy_hits_more_than_keeping_the_most_popular():
    # Of independent requests that is the best that can be done (Aho, Denning, Ullman: Principles of optimal page
    # replacement. JACM 18(1), 1971); counting uses comes near to it.
    items, capacity, n = 1000, 100, 400_000
    popularity = np.arange(1.0, items + 1) ** -0.9
    best = popularity[:capacity].sum() / popularity.sum()
    asked = zipf_stream(items, 0.9, n, seed=2)
    ratio = {policy: cache(asked, capacity, policy).mean() for policy in EVICTIONS}
    assert max(ratio.values()) < best + 3 * math.sqrt(best * (1 - best) / n)
    assert ratio["lfu"] > ratio["lru"] > ratio["fifo"]
    assert ratio["lfu"] > 0.93 * best


def test_stream():
    popularity = np.array([3.0, 0.0, 1.0, 0.0])
    asked = stream(popularity, 40_000, seed=3)
    assert set(asked.tolist()) == {0, 2}
    assert abs((asked == 0).mean() - 0.75) < 3 * math.sqrt(0.75 * 0.25 / 40_000)
    assert stream([1e300, 1e300], 10).max() <= 1
    assert stream([5.0], 0).tolist() == []
    for exponent in (0.0, 0.8, 100.0):
        counts = np.bincount(zipf_stream(20, exponent, 100_000, seed=1), minlength=20)
        p = np.arange(1.0, 21) ** -exponent
        p /= p.sum()
        assert (np.abs(counts / 100_000 - p) <= 4.5 * np.sqrt(p * (1 - p) / 100_000) + 1e-12).all()


def test_evictions_do_not_depend_on_what_is_drawn_with_the_same_seed():
    ratio = [cache(zipf_stream(100, 1.0, 200_000, seed=seed), 10, "random", seed=7).mean() for seed in (7, 8, 9, 10)]
    assert ratio[0] == pytest.approx(np.mean(ratio[1:]), abs=0.005)


def test_every_call_uses_what_warm_up_compiled():
    from course.simulate import storage_kernels as kernels

    fixed = np.arange(3, dtype=np.uint8)
    fixed.flags.writeable = False
    for policy in EVICTIONS:
        for requests in ([1, 2], fixed, fixed[::-1], [10**15, -3], []):
            cache(requests, np.int64(2), policy)
    assert [len(kernel.signatures) for kernel in (kernels.lru, kernels.replace, kernels.lfu)] == [1, 1, 1]


# ---- bad input

wild = st.one_of(
    st.integers(-2, 30), st.sampled_from([10**18, -1, 0]), st.floats(), st.booleans(), st.none(), st.just("two")
)


@settings(max_examples=300)
@given(wild, wild | st.lists(st.integers(-1, 4), max_size=4), wild)
def test_wild_rings(nodes, points, keys):
    try:
        result = ring(nodes, points, keys)
    except ValueError:
        return
    assert result.shares.sum() == pytest.approx(1)
    assert result.loads.sum() == keys


@settings(max_examples=300)
@given(st.integers(1, 6) | wild, st.integers(1, 4) | wild, st.integers(1, 4) | wild, st.floats() | st.floats(0, 1e308),
       st.floats(0, 10) | wild, wild)  # fmt: skip
def test_wild_quorums(replicas, read, write, seconds, other, after):
    try:
        result = quorum(replicas, read, write, send_write=seconds, acknowledge=other, send_read=seconds, respond=other,
                        trials=3)  # fmt: skip
        stale = result.stale(after)
    except ValueError:
        return
    assert 0 <= stale <= 1
    assert np.isfinite(result.read_latency).all()
    assert np.isfinite(result.window).all()


@settings(max_examples=300)
@given(st.lists(wild, max_size=5) | wild, wild, st.sampled_from([*EVICTIONS, "best"]))
def test_wild_caches(requests, capacity, policy):
    try:
        hits = cache(requests, capacity, policy)
    except ValueError:
        return
    assert len(hits) == len(requests)


@settings(max_examples=300)
@given(st.lists(st.floats(), max_size=5) | wild, wild, wild)
def test_wild_streams(popularity, requests, items):
    if requests == 10**18:
        items = -1
    for draw in (lambda: stream(popularity, requests), lambda: zipf_stream(items, popularity, requests)):
        try:
            asked = draw()
        except ValueError:
            continue
        assert len(asked) == requests
        assert (asked >= 0).all()


law = {"send_write": 1.0, "acknowledge": 1.0, "send_read": 1.0, "respond": 1.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ring(0), "nodes is 0; it must be a whole number of at least 1"),
        (lambda: ring(3, 0), "virtual_nodes is 0; it must be a whole number and at least 1"),
        (lambda: ring(3, [1, 2]), "virtual_nodes has shape (2,); allowed: () or (3,)"),
        (lambda: ring(10**6, 10**6), "nodes times virtual_nodes is 1000000000000; it must be at most 20000000"),
        (lambda: ring(3).without(3), "node is 3; it must be a whole number of at least 0 and at most 2"),
        (lambda: ring(3).owner_of([2.0]), "positions is 2; it must be finite and at least 0 and at most 1"),
        (lambda: quorum(3, 4, 1, **law), "read is 4; it must be a whole number of at least 1 and at most 3"),
        (lambda: quorum(3, 1, 0, **law), "write is 0"),
        (lambda: quorum(3, 1, 1, **law | {"respond": -1.0}), "respond is -1; it must be finite and at least 0"),
        (
            lambda: quorum(3, 1, 1, **law | {"respond": lambda rng, n: np.ones(2)}),
            "respond(rng, 300000) has shape (2,)",
        ),
        (lambda: quorum(3, 1, 1, **law, trials=10**12), "trials times replicas is 3e+12"),
        (lambda: quorum(3, 1, 1, **dict.fromkeys(law, 1e308)), "the time of the four messages adds up to more seconds"),
        (lambda: quorum(3, 1, 1, **law).stale(-1), "after is -1; it must be finite and at least 0"),
        (lambda: cache([1.5], 1), "requests has shape (1,) and type float64; it must be (n,), of whole numbers"),
        (lambda: cache([[1], [2]], 1), "requests has shape (2, 1)"),
        (lambda: cache([[1], [2, 3]], 1), "requests is [[1], [2, 3]]; it must be an array of whole numbers"),
        (lambda: cache([1], -1), "capacity is -1; it must be a whole number of at least 0"),
        (lambda: cache([1], 1, "best"), "policy is 'best'; it must be one of lru, fifo, random, lfu"),
        (lambda: stream([0.0], 5), "popularity has shape (1,); it must be (items,), with at least one above 0"),
        (lambda: stream([-1.0], 5), "popularity is -1; it must be finite and at least 0"),
        (lambda: zipf_stream(0, 1.0, 5), "items is 0; it must be a whole number of at least 1"),
        (lambda: zipf_stream(5, -1.0, 5), "exponent is -1; it must be finite and at least 0 and at most 100"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
