"""Time-outs, messages sent again, agreement, leases, gossip, batches: published values, limits, and simulations."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from course.models import (
    batching,
    consensus_latency,
    detection_time,
    duplicate_probability,
    expected_deliveries,
    expected_sends,
    false_suspicion,
    gossip_rounds,
    mistake_interval,
    phi,
    phi_timeout,
    quorum_latency,
    safe_lease,
)
from tests.strategies import NUMBERS, answer_or_error, near

losses = st.floats(0, 0.95)


# ---- φ accrual


def test_phi_as_published():
    # Hayashibara et al. 2004: a threshold of 1, 2, 3 is wrong in about 10 %, 1 %, 0.1 % of the cases; the quantiles of
    # the normal distribution are 1.2816, 2.3263 and 3.0902
    np.testing.assert_allclose(phi(10 + 2 * np.array([1.281552, 2.326348, 3.090232]), 10, 2), [1, 2, 3], atol=1e-6)
    assert phi(10, 10, 2) == pytest.approx(math.log10(2))
    np.testing.assert_allclose(phi_timeout([1, 2, 3], 0, 1), [1.281552, 2.326348, 3.090232], atol=1e-6)


@given(st.floats(0, 100), st.floats(0, 10), st.floats(0.1, 10))
def test_phi_is_its_definition_and_grows(elapsed, mean, std):
    expected = -stats.norm.logsf(elapsed, mean, std) / math.log(10)
    here = phi(elapsed, mean, std)
    assert here == pytest.approx(expected, rel=1e-12)
    assert phi(elapsed + std, mean, std) >= here >= 0
    assert elapsed < mean - 9 * std or phi(elapsed + std, mean, std) > here


@given(st.floats(0.5, 1e6), st.floats(0, 10), st.floats(0.01, 10))
def test_phi_and_its_timeout_are_inverse(threshold, mean, std):
    timeout = phi_timeout(threshold, mean, std)
    assert phi(timeout, mean, std) == pytest.approx(threshold, rel=1e-6)


def test_phi_in_the_far_tail():
    # −log₁₀ of the first term of Mills' ratio, e^(−z²/2) / (z √(2π)): the tail itself underflows from z = 38 on
    for z in (50, 1e3, 1e6):
        expected = (z**2 / 2 + math.log(z * math.sqrt(2 * math.pi))) / math.log(10)
        assert phi(z, 0, 1) == pytest.approx(expected, rel=1e-6)
    assert phi(0, 1e6, 1) == 0
    assert phi_timeout(1e-6, 1, 10) == 0


def test_phi_by_simulation():
    values = []
    for seed in range(20):
        silence = np.random.default_rng(seed).normal(1.0, 0.2, 20_000)
        values.append((silence > phi_timeout(2, 1.0, 0.2)).mean())
    near(values, 0.01)


# ---- time-outs


def heartbeats(period: float, loss: float, delay: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return when each heartbeat arrives, after the sending of the first; infinity for those lost."""
    arrival = np.arange(count) * period + (rng.exponential(delay, count) if delay else 0)
    arrival[rng.random(count) < loss] = np.inf
    return arrival


@pytest.mark.parametrize(
    ("timeout", "loss", "delay"), [(2.5, 0.3, 0.0), (1.2, 0.2, 0.5), (3.0, 0.4, 1.0), (1.0, 0.5, 0.1)]
)
def test_false_suspicion_by_simulation(timeout, loss, delay):
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        later = np.array([heartbeats(1.0, loss, delay, 5, rng)[1:].min() for _ in range(1500)])
        values.append((later > timeout).mean())
    near(values, false_suspicion(timeout, 1.0, loss, delay))


def test_mistakes_by_simulation():
    """One long run: each moment that a heartbeat's patience ends without a later one begins a suspicion."""
    timeout, loss, delay, count = 2.3, 0.3, 0.4, 20_000
    rates = []
    for seed in range(12):
        arrival = heartbeats(1.0, loss, delay, count, np.random.default_rng(seed))
        sent = np.arange(count)
        expires = sent + timeout
        beginnings = 0
        for i in range(count - 10):
            # The patience of heartbeat i ends now; it begins a suspicion if i itself arrived in time, and no later one.
            if arrival[i] <= expires[i]:
                beginnings += (arrival[i + 1 : i + 4] > expires[i]).all()
        rates.append(beginnings / (count - 10))
    near(rates, 1 / mistake_interval(timeout, 1.0, loss, delay))


def test_configuration_as_published():
    # Chen, Toueg, Aguilera 2002, section 4: detection within 30 s, a mistake at most each month, 1 % lost, exponential
    # delays of 0.02 s on average: heartbeats each 9.97 s (and a shift of 20.03 s) are the fewest
    month = 30 * 86_400
    assert mistake_interval(30, 9.97, 0.01, 0.02) >= month
    assert mistake_interval(30, 9.98, 0.01, 0.02) < month


@given(st.floats(1, 50), st.floats(0.1, 1), losses, st.one_of(st.just(0.0), st.floats(0.01, 3)))
def test_suspicion_is_in_order(timeout, period, loss, delay):
    here = false_suspicion(timeout, period, loss, delay)
    assert 0 <= here <= 1
    assert false_suspicion(timeout + period, period, loss, delay) <= here * (1 + 1e-9)
    assert false_suspicion(timeout, period, min(loss + 0.01, 1), delay) >= here * (1 - 1e-9)
    if delay > 0:
        assert false_suspicion(timeout, period, loss, stats.expon(scale=delay)) == pytest.approx(here, rel=1e-9)
    else:
        assert here == pytest.approx(loss ** math.floor(timeout / period * (1 + 1e-12)))


def test_timeout_limits():
    assert false_suspicion(0.3, 0.1, 0.5) == pytest.approx(0.125)  # three heartbeats, though 0.3 / 0.1 is below 3
    assert false_suspicion(5, 1, 0.0) == 0
    assert false_suspicion(5, 1, 1.0) == 1
    assert false_suspicion([1, 2], 1, [[0.1], [0.2]]).shape == (2, 2)
    assert detection_time(1.0, 1.0) == 0.5
    assert detection_time(7.3, 1.0) == pytest.approx(6.8)
    assert detection_time(5.0, 1.0, 1.0) == 0  # who is never heard is suspected already


@given(st.floats(1, 50), st.floats(0.1, 1), losses)
def test_detection_is_in_order(timeout, period, loss):
    here = detection_time(timeout, period, loss)
    assert 0 <= here <= timeout
    assert detection_time(timeout + 0.1, period, loss) >= here
    assert detection_time(timeout, period, loss) <= detection_time(timeout, period) + 1e-9


@pytest.mark.parametrize(("timeout", "loss"), [(3.7, 0.4), (1.0, 0.2), (12.0, 0.8), (1.5, 0.5)])
def test_detection_by_simulation(timeout, loss):
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lost = rng.geometric(1 - loss, 20_000) - 1
        values.append(np.maximum(timeout - rng.random(20_000) - lost, 0).mean())
    near(values, detection_time(timeout, 1.0, loss))


# ---- messages that are sent again


@pytest.mark.parametrize("attempts", [1, 2, 5, None])
def test_sending_again_by_simulation(attempts):
    loss, messages = 0.3, 4000
    sends, deliveries, duplicates = [], [], []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        sent, arrived = np.zeros(messages, int), np.zeros(messages, int)
        open_ = np.ones(messages, bool)
        for _ in range(attempts or 200):
            there = open_ & (rng.random(messages) >= loss)
            sent += open_
            arrived += there
            open_ &= ~(there & (rng.random(messages) >= loss))
        sends.append(sent.mean())
        deliveries.append(arrived.mean())
        duplicates.append((arrived > 1).mean())
    near(sends, expected_sends(loss, attempts))
    near(deliveries, expected_deliveries(loss, attempts))
    near(duplicates, duplicate_probability(loss, attempts))


@given(losses, st.integers(1, 100))
def test_sending_again_is_in_order(loss, attempts):
    assert 1 <= expected_sends(loss, attempts) <= attempts + 1e-9
    assert expected_sends(loss, attempts) <= expected_sends(loss) * (1 + 1e-12)
    assert expected_sends(loss) == pytest.approx((1 - loss) ** -2)
    assert expected_deliveries(loss) == pytest.approx(1 / (1 - loss))
    assert duplicate_probability(loss) == pytest.approx(loss)
    assert duplicate_probability(loss, attempts) <= loss + 1e-12
    # 1 − P(none) − P(exactly one): delivered and acknowledged, or delivered once with its acknowledgement lost
    once = (1 - loss) * (1 - loss**attempts) + attempts * loss**attempts * (1 - loss)
    assert duplicate_probability(loss, attempts) == pytest.approx(1 - loss**attempts - once, abs=1e-12)


def test_sending_again_limits():
    assert expected_sends(0) == expected_deliveries(0) == 1
    assert duplicate_probability(0) == duplicate_probability(0.5, 1) == 0
    assert expected_sends(1, 7) == 7
    assert expected_deliveries(1, 7) == duplicate_probability(1, 7) == 0
    assert expected_sends(1 - 1e-12, 5) == pytest.approx(5)
    assert expected_sends([0.1, 0.2], [[1], [2]]).shape == (2, 2)


# ---- agreement


def test_consensus_by_simulation():
    law, values = stats.gamma(2, scale=0.005), []
    for seed in range(20):
        answers = law.rvs((10_000, 4), random_state=np.random.default_rng(seed))
        values.append(np.sort(answers, axis=1)[:, 1].mean())  # the leader and two of four followers are three of five
    near(values, consensus_latency(law, 5))


def test_consensus_limits():
    assert consensus_latency(0.01, 1) == 0
    assert consensus_latency(0.01, 2) == pytest.approx(0.01)
    assert consensus_latency(0.01, 3) == quorum_latency(0.01, 2, 1)
    assert consensus_latency(0.01, 99_999) == pytest.approx(0.01 * math.log(2), rel=1e-4)  # the median of very many
    odd, even = consensus_latency(0.01, [3, 5, 7, 9]), consensus_latency(0.01, [4, 6, 8, 10])
    assert (odd < even).all()  # an even number waits for one more, and survives no more failures


@given(st.floats(0, 100), st.floats(0, 0.5), st.floats(0, 10), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1))
def test_leases_end_first_at_the_holder(term, drift, delay, holder, grantor, share):
    # The holder counts from `share` of the longest delay after the grant; both clocks are as wrong as they like.
    use = safe_lease(term, drift, delay)
    ends_at_holder = share * delay + use / (1 + drift * holder) if use > 0 else 0
    ends_at_grantor = term / (1 + drift * grantor)
    assert ends_at_holder <= ends_at_grantor * (1 + 1e-12)


def test_leases_are_no_shorter_than_they_must_be():
    term, drift, delay = 10.0, 0.01, 0.2
    use = safe_lease(term, drift, delay)
    assert delay + use / (1 - drift) == pytest.approx(term / (1 + drift))  # the worst case leaves nothing
    assert safe_lease(10, 0) == 10
    assert safe_lease(10, 0.5) == pytest.approx(10 / 3)
    assert safe_lease(10, 1.0) == safe_lease(1, 0.1, 5) == 0


def _gossip_exact(n: int) -> float:
    """Return the mean rounds by the Markov chain of how many know; calls of a round hit the others one by one."""
    p, rounds = np.zeros(n + 1), 0.0
    p[1] = 1.0
    while 1 - p[n] > 1e-9:
        rounds += 1 - p[n]
        after = np.zeros(n + 1)
        after[n] = p[n]
        for know in np.flatnonzero(p[:n] > 1e-12):
            new = np.zeros(min(know, n - know) + 1)  # the probabilities of 0, 1, … who hear it for the first time
            new[0] = 1.0
            hits = (n - know - np.arange(len(new))) / (n - 1)
            for _ in range(know):
                moves = new * hits
                new -= moves
                new[1:] += moves[:-1]
            after[know : know + len(new)] += p[know] * new
        p = after
    return rounds


def test_gossip_is_what_its_chain_approaches():
    sizes = np.array([2, 32, 100, 200])
    above = gossip_rounds(sizes) - [_gossip_exact(int(n)) for n in sizes]
    np.testing.assert_allclose(above, [1.9, 0.3, 0.1, 0.07], atol=0.05)
    assert (np.diff(above) < 0).all()
    assert gossip_rounds(1) == 0
    assert gossip_rounds(2**20) == pytest.approx(20 * (1 + math.log(2)) + 1.18)


@pytest.mark.parametrize("n", [1000, 10_000, 100_000])
def test_gossip_by_simulation(n):
    rounds = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        knows, count = np.zeros(n, bool), 0
        knows[0] = True
        while not knows.all():
            callers = np.flatnonzero(knows)
            heard = rng.integers(0, n - 1, callers.size)
            knows[heard + (heard >= callers)] = True  # nobody calls itself
            count += 1
        rounds.append(count)
    near(rounds, gossip_rounds(n))
    # Doerr, Künnemann 2014, for the mean, up to o(1)
    assert math.floor(math.log2(n)) - 1.116 <= gossip_rounds(n) - math.log(n) <= math.ceil(math.log2(n)) + 2.765


# ---- batches


def simulated_batches(rate: float, size: int, timeout: float, batches: int, seed: int) -> tuple[float, float]:
    """Return the mean size of batches, and the mean delay of a message."""
    rng = np.random.default_rng(seed)
    messages, delays = 0, 0.0
    for _ in range(batches):
        arrivals = np.cumsum(rng.exponential(1 / rate, size - 1))
        arrivals = np.concatenate([[0.0], arrivals[arrivals <= timeout]])
        closed = arrivals[-1] if arrivals.size == size else timeout
        messages += arrivals.size
        delays += (closed - arrivals).sum()
    return messages / batches, delays / messages


@pytest.mark.parametrize(("size", "timeout"), [(5, 1.0), (20, 1.5), (2, 0.3), (3, 100.0), (1, 1.0)])
def test_batches_by_simulation(size, timeout):
    runs = np.array([simulated_batches(4.0, size, timeout, 1000, seed) for seed in range(20)])
    batch = batching(4.0, size, timeout)
    near(runs[:, 0], batch.size)
    near(runs[:, 1], batch.delay)


@given(st.floats(0.01, 1e4), st.integers(1, 60), st.floats(0, 100))
def test_batches_by_their_sum(rate, size, timeout):
    batch = batching(rate, size, timeout)
    # Message j + 2 comes while the batch is open with probability P(Gamma(j + 1) ≤ λ t); j + 1 messages wait for it.
    j = np.arange(size - 1)
    comes = special.gammainc(j + 1, rate * timeout)
    assert batch.size == pytest.approx(1 + comes.sum(), rel=1e-9)
    assert batch.delay == pytest.approx(((j + 1) * comes).sum() / rate / (1 + comes.sum()), rel=1e-9, abs=1e-300)
    assert batch.delay <= timeout * (1 + 1e-9)
    full = batching(rate, size)
    assert full.size == size
    assert full.delay == pytest.approx((size - 1) / (2 * rate))
    assert batch.size <= size * (1 + 1e-12)


def test_batch_limits():
    assert batching(5, 10, 0).size == 1
    assert batching(5, 10, 0).delay == 0
    huge = batching(1000, 10**9, 0.5)  # never full: the time-out alone counts
    assert huge.size == pytest.approx(501)
    assert huge.delay == pytest.approx(0.25, rel=0.01)
    assert batching([1, 2], [[2], [3]], 1.0).size.shape == (2, 2)


# ---- errors and wild arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phi(-1, 1, 1), "elapsed is -1; it must be finite and at least 0"),
        (lambda: phi(1, 1, 0), "std is 0; it must be finite and greater than 0"),
        (lambda: phi_timeout(0, 1, 1), "threshold is 0"),
        (lambda: false_suspicion(1, 2, 0.1), "timeout is 1.0; it must be at least the period, 2.0"),
        (lambda: false_suspicion(1e9, 1, 0.1), "timeout is 1000000000.0; it must be at most 10000 periods"),
        (lambda: false_suspicion(1, 1, 1.1), "loss_probability is 1.1"),
        (lambda: false_suspicion(1, 1, 0.1, -1), "delay is -1"),
        (lambda: mistake_interval(5, 1, 0.0), "loss_probability is 0.0; with this timeout and delay"),
        (lambda: mistake_interval(5, 1, 1.0), "loss_probability is 1.0; with this timeout and delay"),
        (lambda: detection_time(1, 0), "period is 0"),
        (lambda: expected_sends(1), "loss_probability is 1; it must be below 1 where attempts has no limit"),
        (lambda: expected_deliveries(0.5, 0), "attempts is 0"),
        (lambda: duplicate_probability(-0.1), "loss_probability is -0.1"),
        (lambda: consensus_latency(0.1, 0), "replicas is 0"),
        (lambda: safe_lease(-1, 0.1), "term is -1"),
        (lambda: safe_lease(1, 1.5), "drift is 1.5"),
        (lambda: gossip_rounds(0), "nodes is 0"),
        (lambda: batching(0, 1), "arrival_rate is 0"),
        (lambda: batching(1, 0), "size is 0"),
        (lambda: batching(1, 1, -1), "timeout is -1"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


WILD = {
    phi: (3, math.inf),
    phi_timeout: (3, math.inf),
    false_suspicion: (4, 1.0),
    mistake_interval: (4, math.inf),
    detection_time: (3, math.inf),
    expected_sends: (2, math.inf),
    expected_deliveries: (2, math.inf),
    duplicate_probability: (2, 1.0),
    consensus_latency: (2, math.inf),
    safe_lease: (3, math.inf),
    gossip_rounds: (1, math.inf),
    batching: (3, math.inf),
}


@pytest.mark.parametrize("function", WILD, ids=lambda f: f.__name__)
@given(arguments=st.lists(NUMBERS, min_size=4, max_size=4))
@settings(max_examples=100)
def test_wild_arguments(function, arguments):
    count, high = WILD[function]
    answer_or_error(function, *arguments[:count], high=high)
