"""Services, clients who try again, and load generators: against plain twins, closed forms and published behaviour."""

from __future__ import annotations

import heapq
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.models import machine_repair, mmck, retry_storm
from course.simulate.load_generators import closed_loop, coordinated_omission, correct_omission, varying_arrivals
from course.simulate.queues import queue
from course.simulate.services import OUTCOMES, SHEDDING, CircuitBreaker, Requests, service, token_bucket
from tests.strategies import ANYTHING, answer_or_error, near

# ---- the service: the twin


class Circuit:
    """Closed, open or on trial, as `CircuitBreaker` says."""

    def __init__(self, breaker):
        self.breaker, self.state, self.row, self.until, self.trial = breaker, "closed", 0, None, None

    def lets_through(self, attempt, now):
        if self.state == "open" and now >= self.until:
            self.state, self.trial = "trial", attempt
            return True
        return self.state == "closed"

    def failed(self, attempt, now):
        if self.breaker is None:
            return
        if self.state == "closed":
            self.row += 1
            trips = self.row >= self.breaker.failures
        else:
            trips = self.state == "trial" and attempt is self.trial
        if trips:
            self.state, self.until, self.row = "open", now + self.breaker.open_for, 0

    def answered(self, attempt):
        self.row = 0
        if self.state == "trial" and attempt is self.trial:
            self.state = "closed"


class Attempt:
    def __init__(self, request, number, now):
        self.request, self.number, self.sent, self.awaited = request, number, now, True


def plain_service(arrival, work, servers, *, limit, shedding, timeout, attempts, base, cap, jitter, budget, burst,
                  breaker, rng):  # fmt: skip
    """Return outcome, stop, times of sending, busy and wasted seconds: one event after the other from one list."""
    n = len(arrival)
    outcome, stop, sent = [None] * n, [math.nan] * n, [[] for _ in range(n)]
    circuit, tokens, free, queued = Circuit(breaker), burst, servers, []
    busy = wasted = 0.0
    turn = itertools.count()
    # (time, kind, order within the kind, …): ends of service, what clients do, new requests.
    events = [(arrival[i], 2, i, next(turn), None) for i in range(n)]
    heapq.heapify(events)

    def fail(attempt, why, now):
        nonlocal tokens
        attempt.awaited = False
        if why != "broken":
            circuit.failed(attempt, now)
        i = attempt.request
        if attempt.number + 1 < attempts and (budget is None or tokens >= 1 - 1e-9):
            tokens -= 1
            pause = min(cap, base * 2**attempt.number) * (rng.random() if jitter else 1)
            heapq.heappush(events, (now + pause, 1, i, next(turn), None))
        else:
            outcome[i], stop[i] = why, now

    def send(i, now):
        attempt = Attempt(i, len(sent[i]), now)
        sent[i].append(now)
        if not circuit.lets_through(attempt, now):
            fail(attempt, "broken", now)
            return
        if free == 0 and len(queued) >= limit:
            if shedding != "lifo" or not queued:
                fail(attempt, "rejected", now)
                return
            oldest = queued.pop(0)
            if oldest.awaited:
                fail(oldest, "rejected", now)
        queued.append(attempt)
        if timeout < math.inf:
            heapq.heappush(events, (now + timeout, 1, i, next(turn), attempt))

    while events:
        now, kind, i, _, attempt = heapq.heappop(events)
        if kind == 0:
            free += 1
            if attempt.awaited:
                attempt.awaited = False
                outcome[attempt.request], stop[attempt.request] = "ok", now
                circuit.answered(attempt)
            else:
                wasted += work[attempt.request]
        elif kind == 1 and attempt is not None:
            if attempt.awaited:
                fail(attempt, "timeout", now)
        else:
            if kind == 2 and budget is not None:
                tokens = min(burst, tokens + budget)
            send(i, now)
        while free and queued:
            attempt = queued.pop(-1 if shedding == "lifo" else 0)
            if shedding == "deadline" and not attempt.awaited:
                continue
            free -= 1
            busy += work[attempt.request]
            order = attempt.request * attempts + attempt.number
            heapq.heappush(events, (now + work[attempt.request], 0, order, next(turn), attempt))
    return outcome, stop, sent, busy, wasted


@st.composite
def services(draw):
    n = draw(st.integers(1, 25))
    times = st.sampled_from([0.5, 1.0, 2.0]) if draw(st.booleans()) else st.floats(0.01, 3)
    return {
        "interarrival": draw(st.lists(st.just(0.0) | times, min_size=n, max_size=n)),
        "service": draw(st.lists(times, min_size=n, max_size=n)),
        "servers": draw(st.integers(1, 3)),
        "queue_limit": draw(st.none() | st.integers(0, 4)),
        "shedding": draw(st.sampled_from(SHEDDING)),
        "timeout": draw(st.just(math.inf) | times),
        "retries": draw(st.integers(0, 4)),
        "backoff": draw(st.just(0.0) | times),
        "backoff_cap": draw(st.just(math.inf) | times),
        "jitter": draw(st.booleans()),
        "retry_budget": draw(st.none() | st.floats(0, 0.5)),
        "retry_burst": draw(st.floats(0, 3)),
        "breaker": draw(st.none() | st.builds(CircuitBreaker, st.integers(1, 3), times)),
    }


@settings(max_examples=400)
@given(services(), st.integers(0, 5))
def test_service_is_its_twin(arguments, seed):
    run = service(**arguments, seed=seed)
    outcome, stop, sent, busy, wasted = plain_service(
        np.cumsum(arguments["interarrival"]).tolist(),
        arguments["service"],
        arguments["servers"],
        limit=math.inf if arguments["queue_limit"] is None else arguments["queue_limit"],
        shedding=arguments["shedding"],
        timeout=arguments["timeout"],
        attempts=1 + arguments["retries"],
        base=arguments["backoff"],
        cap=arguments["backoff_cap"],
        jitter=arguments["jitter"],
        budget=arguments["retry_budget"],
        burst=arguments["retry_burst"],
        breaker=arguments["breaker"],
        rng=np.random.default_rng(seed),
    )
    assert [OUTCOMES[k] for k in run.outcome] == outcome
    assert run.stop.tolist() == stop
    assert [row[np.isfinite(row)].tolist() for row in run.sent] == sent
    assert (run.busy, run.wasted) == pytest.approx((busy, wasted), abs=1e-12)


# ---- the service: what is known about it


@pytest.mark.parametrize(("servers", "waiting"), [(1, 0), (1, 4), (3, 2)])
def test_service_that_refuses_is_mmck(servers, waiting):
    model = mmck(arrival_rate=0.9 * servers, service_rate=1.0, servers=servers, capacity=servers + waiting)
    blocked, latency = [], []
    for seed in range(20):
        gaps = np.random.default_rng([5, seed]).exponential(1 / (0.9 * servers), 30_000)
        run = service(gaps, lambda rng, n: rng.exponential(1.0, n), servers, queue_limit=waiting, seed=seed)
        blocked.append(run.share("rejected"))
        latency.append(run.latency[run.ok].mean())
    assert near(blocked, model.blocking_probability) < 0.05 * model.blocking_probability
    near(latency, model.mean_response)


def test_patient_clients_of_a_patient_service_are_a_queue():
    rng = np.random.default_rng(1)
    gaps, work = rng.exponential(1.0, 20_000), rng.exponential(0.8, 20_000)
    patient = service(gaps, work, timeout=1e6, retries=3)
    assert patient.ok.all()
    np.testing.assert_allclose(patient.stop, queue(gaps, work).stop)
    newest_first = service(gaps, work, shedding="lifo")
    np.testing.assert_allclose(newest_first.stop, queue(gaps, work, discipline="lifo").stop)


def test_retries_of_a_dead_service_are_all_made():
    # Whatever is sent fails, so every client makes 1 + r attempts, at 0, b, b + 2b, b + 2b + 4b, … but for the cap.
    run = service([0.0] + [1000.0] * 9, service=500.0, timeout=1.0, retries=4, backoff=0.5, backoff_cap=3.0)
    np.testing.assert_allclose(run.sent - run.arrival[:, None], np.tile([0, 1.5, 3.5, 6.5, 10.5], (10, 1)))
    assert run.amplification == 5
    assert run.share("timeout") == 1
    assert (run.busy, run.wasted) == (25_000, 25_000)


def test_jitter_spreads_retries_evenly():
    # All come at once and are refused at once; with full jitter the first retries are spread over one back-off.
    run = service(np.zeros(4001), 1e6, queue_limit=0, retries=1, backoff=8.0, jitter=True)
    retried = np.sort(run.sent[1:, 1])
    from scipy.stats import kstest

    assert kstest(retried / 8, "uniform").pvalue > 0.01
    assert np.ptp(service(np.zeros(50), 1e6, queue_limit=0, retries=1, backoff=8.0).sent[1:, 1]) == 0


# A service that 70 % of its capacity would be enough for, and a rush of ten seconds at twice its capacity.
CALM, RUSH, CAPACITY = 70.0, 200.0, 100.0
LOAD = [CALM] * 60 + [RUSH] * 10 + [CALM] * 230
CURES = {
    "short queue": {"queue_limit": 50},
    "newest first": {"shedding": "lifo"},
    "retry budget": {"retry_budget": 0.1},
    "circuit breaker": {"breaker": CircuitBreaker(20, 5.0)},
}


def storm(seed=0, **options) -> Requests:
    gaps = varying_arrivals(LOAD, seed=seed)
    return service(gaps, lambda rng, n: rng.exponential(1 / CAPACITY, n), timeout=1.0, seed=seed,
                   **{"retries": 3, "backoff": 0.1, "jitter": True} | options)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_retry_storm_outlives_the_rush(seed):
    # Bronson et al., HotOS 2021: the state persists after the trigger is gone. 70 % × 4 attempts is 280 %.
    run = storm(seed)
    before, after = run.goodput([10, 60])[0], run.goodput([200, 300])[0]
    assert before > 0.95 * CALM
    assert after < 0.05 * CALM
    assert run.offered([200, 300])[0] == pytest.approx(4 * CALM, rel=0.05)
    assert run.wasted > 0.5 * run.busy
    # As the formula has it: it runs well at 70 a second, until a disturbance tips it into the storm.
    model = retry_storm(CALM, CAPACITY, timeout=1.0, attempts=4)
    assert (model.state, model.storm) == ("vulnerable", 4 * CALM)
    assert run.offered([10, 60])[0] == pytest.approx(model.normal, rel=0.1)
    # Without retries the same rush is over in time: (200 − 70) × 10 extra requests at 30 spare a second.
    once = storm(seed, retries=0)
    assert once.goodput([200, 300])[0] > 0.95 * CALM


@pytest.mark.parametrize("cure", CURES)
@pytest.mark.parametrize("seed", range(3))
def test_cures_end_the_storm(cure, seed):
    assert storm(seed, **CURES[cure]).goodput([200, 300])[0] > 0.9 * CALM


def test_skipping_the_dead_alone_is_half_a_cure():
    # First come first served begins with those whose clients are about to give up, and often ends too late.
    runs = [storm(seed, shedding="deadline") for seed in range(3)]
    goodput = np.mean([run.goodput([200, 300])[0] for run in runs])
    assert 0.3 * CALM < goodput < 0.95 * CALM
    assert all(0.1 * run.busy < run.wasted < 0.9 * run.busy for run in runs)


def test_backoff_alone_does_not_end_the_storm():
    assert storm(backoff=1.0, backoff_cap=10.0).goodput([200, 300])[0] < 0.05 * CALM


@settings(max_examples=150)
@given(services())
def test_service_keeps_its_books(arguments):
    run = service(**arguments)
    attempts = run.attempts
    assert ((attempts >= 1) & (attempts <= 1 + arguments["retries"])).all()
    assert np.array_equal(run.sent[:, 0], run.arrival)
    assert (run.latency >= 0).all()
    assert 0 <= run.wasted <= run.busy + 1e-9
    assert run.busy - run.wasted == pytest.approx(run.service[run.ok].sum(), abs=1e-9)
    last = np.nanmax(run.sent, axis=1)
    assert (run.stop[run.ok] - last[run.ok] <= arguments["timeout"] * (1 + 1e-12)).all()
    if arguments["retry_budget"] is not None:
        budget = arguments["retry_burst"] + arguments["retry_budget"] * len(run)
        assert (attempts - 1).sum() <= budget + 1e-9
    assert sum(run.share(outcome) for outcome in OUTCOMES) == pytest.approx(1)
    if arguments["breaker"] is None:
        assert run.share("broken") == 0


def test_requests_show_themselves():
    run = service([1, 1, 1], [2, 2, 2], timeout=3.0)
    assert repr(run) == "Requests(3 requests, 1 servers, 66.7% ok, 1 attempts a request)"
    assert run.goodput([0, 4, 8]).tolist() == [0.25, 0.25]
    assert run.offered([0, 4]).tolist() == [0.75]
    for call in (lambda: run.share("maybe"), lambda: run.goodput([1, 1]), lambda: run.goodput([1])):
        with pytest.raises(ValueError, match=r"outcome is 'maybe'|edges"):
            call()


# ---- token bucket


def plain_bucket(arrival, rate, burst):
    """Return who is admitted, by the tokens' book: what was ever filled in less what was ever taken."""
    level, then, result = burst, 0.0, []
    for now in arrival:
        level, then = min(burst, level + rate * (now - then)), now
        result.append(level >= 1 - 1e-9)
        level -= result[-1]
    return result


@settings(max_examples=150)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0, 5), st.floats(1, 5))
def test_token_bucket(gaps, rate, burst):
    admitted = token_bucket(gaps, rate, burst)
    arrival = np.cumsum(gaps)
    assert admitted.tolist() == plain_bucket(arrival.tolist(), rate, burst)
    # No window lets more in than burst + rate × its length, and nobody is turned away without need: who is was
    # preceded by a window that was as full as it may be, but for one.
    when = arrival[admitted]
    for k in range(len(when)):
        assert (np.arange(len(when) - k) + 1 <= burst + rate * (when[k:] - when[k]) + 1e-9).all()


def test_ten_tenths_are_a_token():
    """Rounding does not make the eleventh of them necessary: 0.1 is no binary fraction."""
    assert np.flatnonzero(token_bucket([0] + [0.1] * 30, rate=1)).tolist() == [0, 10, 20, 30]
    run = service(np.ones(31), 0.5, timeout=0.1, retries=1, retry_budget=0.1, retry_burst=1)
    assert np.flatnonzero(run.attempts == 2).tolist() == [0, 10, 20, 30]


def test_token_bucket_rates():
    gaps = np.random.default_rng(0).exponential(0.01, 100_000)
    assert token_bucket(gaps, rate=20, burst=5).sum() / gaps.sum() == pytest.approx(20, rel=0.02)
    assert token_bucket(gaps, rate=1e6, burst=1e6).all()
    assert token_bucket(gaps, rate=0, burst=7).sum() == 7


# ---- load generators


def plain_loop(clients, think, work, servers):
    """Return (client, sent, start, stop) of each request: clients and servers as entries of two lists."""
    ready = [(think[k], k) for k in range(min(clients, len(think)))]
    free, used, rows = [0.0] * servers, len(ready), []
    for k in range(len(think)):
        now, client = min(ready)
        ready.remove((now, client))
        begin = max(now, min(free))
        free[free.index(min(free))] = begin + work[k]
        rows.append((client, now, begin, begin + work[k]))
        if used < len(think):
            ready.append((begin + work[k] + think[used], client))
            used += 1
    return rows


@settings(max_examples=100)
@given(st.integers(1, 6), st.integers(1, 4), st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1,
                                                      max_size=30))  # fmt: skip
def test_closed_loop_is_its_twin(clients, servers, pairs):
    think, work = map(list, zip(*pairs, strict=True))
    run = closed_loop(clients, think, work, servers, len(pairs))
    assert list(zip(run.client, run.sent, run.start, run.stop, strict=True)) == plain_loop(
        clients, think, work, servers
    )
    order = np.argsort(run.sent, kind="stable")
    assert np.array_equal(order, np.arange(len(run)))
    # Nobody has two requests inside, and no more than there are servers are served at once.
    for client in range(clients):
        own = run.client == client
        assert (run.sent[own][1:] >= run.stop[own][:-1]).all()


def one_repairer(clients, think_time, service_time):
    """Return throughput and mean response of M/M/1//N: N clients, one server (Kleinrock 1975, section 3.8)."""
    ratio = service_time / think_time
    weights = [math.factorial(clients) / math.factorial(clients - k) * ratio**k for k in range(clients + 1)]
    throughput = (1 - weights[0] / sum(weights)) / service_time
    return throughput, clients / throughput - think_time


def mean_value_analysis(clients, think_time, service_time):
    """The same by Reiser and Lavenberg's recursion: an arrival sees the system with one client less."""
    inside = 0.0
    for n in range(1, clients + 1):
        response = service_time * (1 + inside)
        throughput = n / (response + think_time)
        inside = throughput * response
    return throughput, response


@pytest.mark.parametrize(("clients", "think", "servers"), [(1, 4.0, 1), (5, 4.0, 1), (20, 9.0, 1), (12, 3.0, 3)])
def test_closed_loop_is_machine_repair(clients, think, servers):
    model = machine_repair(clients, think, 1.0, servers)
    throughput, response = model.mean_number / model.mean_response, model.mean_response
    if servers == 1:
        assert (throughput, response) == pytest.approx(one_repairer(clients, think, 1.0))
        assert (throughput, response) == pytest.approx(mean_value_analysis(clients, think, 1.0))
    rates, means = [], []
    for seed in range(12):
        run = closed_loop(clients, lambda rng, n: rng.exponential(think, n), lambda rng, n: rng.exponential(1.0, n),
                          servers, requests=20_000, seed=seed)  # fmt: skip
        rates.append(run.throughput())
        means.append(run.response[2000:].mean())
    assert near(rates, throughput) < 0.01 * throughput
    near(means, response)


def test_closed_load_slows_down_where_open_load_queues():
    # At a service that became twice as slow: the closed loop sends less, and its response is bounded by N × service.
    rng = np.random.default_rng(0)
    work = rng.exponential(2.0, 5000)
    closed = closed_loop(10, 5.0, work, requests=5000)
    opened = queue(rng.exponential(1.0, 5000), work)
    assert closed.throughput() == pytest.approx(0.5, rel=0.05)
    assert opened.response[-500:].mean() > 20 * closed.response[-500:].mean()


def test_tenes_example_of_coordinated_omission():
    # Tene, How NOT to measure latency: 100 requests a second of 1 ms each for 100 s, then a stall of 100 s. The records
    # say a mean of 10.9 ms and a 99.99th percentile of 1 ms; the truth is a mean of 25 s, and 50 s and 100 s for the
    # 75th and the 99.99th percentile.
    recorded, _ = coordinated_omission(np.append(np.full(9999, 0.001), 100.0), interval=0.01)
    assert recorded.mean() == pytest.approx(0.0109, abs=2e-4)
    assert np.quantile(recorded, 0.9999, method="lower") == 0.001
    # What was due during the stall, and answered at once after it.
    stalled = np.concatenate([np.full(9999, 0.001), [100.0], np.zeros(10_000)])
    true = coordinated_omission(stalled, interval=0.01)[1]
    for latency in (true, correct_omission(recorded, 0.01)):
        assert latency.mean() == pytest.approx(25, rel=2e-3)
        assert np.quantile(latency, [0.5, 0.75, 0.9999]) == pytest.approx([0.001, 50, 100], rel=0.01, abs=0.02)


@settings(max_examples=100)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.floats(0.1, 5))
def test_paced_and_corrected(work, interval):
    recorded, true = coordinated_omission(work, interval)
    assert recorded.tolist() == work
    assert (true >= recorded - 1e-9).all()
    served = queue(np.append(0.0, np.full(len(work) - 1, interval)), work)
    np.testing.assert_allclose(true, served.response, atol=1e-9)
    expected = []
    for latency in work:
        k = 1
        while latency - k * interval >= interval * (1 + 1e-9):
            expected.append(latency - k * interval)
            k += 1
    added = correct_omission(work, interval)[len(work) :]
    if all(abs(x / interval - round(x / interval)) > 1e-6 for x in work):
        np.testing.assert_allclose(added, expected, atol=1e-9)
    assert np.array_equal(correct_omission(work, interval)[: len(work)], work)


def test_varying_arrivals_are_poisson():
    counts = []
    for seed in range(200):
        when = varying_arrivals([2.0, 0.0, 8.0], step=5.0, seed=seed).cumsum()
        counts.append(np.histogram(when, [0, 5, 10, 15])[0])
    counts = np.array(counts)
    assert (counts[:, 1] == 0).all()
    for column, mean in ((0, 10), (2, 40)):
        near(counts[:, column], mean)
        assert counts[:, column].var(ddof=1) == pytest.approx(mean, rel=0.35)  # Poisson: the variance is the mean
    assert len(varying_arrivals([0.0])) == 0
    assert np.array_equal(varying_arrivals([9.0], seed=3), varying_arrivals([9.0], seed=3))


# ---- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: service([], 1), "interarrival is empty"),
        (lambda: service([-1], 1), "interarrival is -1; it must be finite and at least 0"),
        (lambda: service([[1]], 1), "interarrival has shape (1, 1)"),
        (lambda: service([1], [1, 2]), "service has shape (2,); it must be (1,)"),
        (lambda: service([1], math.nan), "service is nan"),
        (lambda: service([1], lambda rng, n: [1, 2]), "service(rng, 1) has shape (2,)"),
        (lambda: service([1], 1, 0), "servers is 0"),
        (lambda: service([1], 1, queue_limit=-1), "queue_limit is -1"),
        (lambda: service([1], 1, shedding="x"), "shedding is 'x'; it must be one of reject"),
        (lambda: service([1], 1, timeout=0), "timeout is 0; it must be finite and greater than 0"),
        (lambda: service([1], 1, retries=101), "retries is 101"),
        (lambda: service([1], 1, retries=1, backoff=math.inf), "backoff is inf"),
        (lambda: service([1], 1, backoff_cap=math.nan), "backoff_cap is nan"),
        (lambda: service([1], 1, retry_budget=-1), "retry_budget is -1"),
        (lambda: service([1], 1, retry_burst=-1), "retry_burst is -1"),
        (lambda: service([1], 1, breaker=3), "breaker is 3; it must be a CircuitBreaker"),
        (lambda: CircuitBreaker(0), "failures is 0; it must be a whole number of at least 1"),
        (lambda: CircuitBreaker(1.5), "failures is 1.5"),
        (lambda: CircuitBreaker(1, -1), "open_for is -1; it must be finite and at least 0"),
        (lambda: CircuitBreaker(1, [1.0, 2.0]), "open_for is [1.0, 2.0]; it must be one number"),
        (lambda: service([1], 1, seed=-1), "seed is -1"),
        (lambda: service([1e308, 1e308], 1), "more seconds than a float can hold"),
        (lambda: service([1], 1e308, retries=9), "more seconds than a float can hold"),
        (lambda: token_bucket([1], -1), "rate is -1"),
        (lambda: token_bucket([1], 1, 0.5), "burst is 0.5"),
        (lambda: token_bucket([1e200], 1), "at most 1e150"),
        (lambda: closed_loop(0, 1, 1), "clients is 0"),
        (lambda: closed_loop(1, 1, 1, 0), "servers is 0"),
        (lambda: closed_loop(1, 1, 1, requests=10**12), "requests is 1e+12; a simulation keeps at most"),
        (lambda: coordinated_omission([1], -1), "interval is -1"),
        (lambda: correct_omission([1], 0), "interval is 0"),
        (lambda: correct_omission([1e18], 1e-9), "the number of added latencies is 1e+27"),
        (lambda: varying_arrivals([1e18]), "the number of arrivals is 1e+18"),
        (lambda: varying_arrivals([-1]), "rate is -1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


WILD_ARRAY = st.lists(ANYTHING, max_size=4) | ANYTHING


@settings(max_examples=400)
@given(st.data())
def test_service_takes_or_refuses_anything(data):
    names = ["servers", "queue_limit", "shedding", "timeout", "retries", "backoff", "backoff_cap", "jitter",
             "retry_budget", "retry_burst", "breaker", "seed"]  # fmt: skip
    chosen = data.draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    options = {name: data.draw(ANYTHING, label=name) for name in chosen}
    try:
        if data.draw(st.booleans()):
            options["breaker"] = CircuitBreaker(data.draw(ANYTHING), data.draw(ANYTHING))
        run = service(data.draw(WILD_ARRAY), data.draw(WILD_ARRAY), **options)
    except ValueError:
        return
    assert np.isfinite(run.stop).all()
    assert (run.latency >= 0).all()
    assert ((run.outcome >= 0) & (run.outcome < len(OUTCOMES))).all()
    assert np.isfinite([run.busy, run.wasted]).all()


@settings(max_examples=600)
@given(WILD_ARRAY, WILD_ARRAY, ANYTHING, ANYTHING, st.integers(0, 50) | ANYTHING)
def test_load_generators_take_or_refuse_anything(first, second, third, fourth, few):
    calls = [
        lambda: token_bucket(first, third, fourth),
        lambda: closed_loop(few, first, second, third, few).stop,
        lambda: coordinated_omission(first, third)[1],
        lambda: correct_omission(first, third),
        lambda: varying_arrivals(first, third),
    ]
    for call in calls:
        answer_or_error(call)


def test_arguments_are_left_alone_and_read_only_ones_do():
    gaps, work = np.ones(3), np.ones(3)
    gaps.flags.writeable = work.flags.writeable = False
    service(gaps, work)
    closed_loop(2, gaps, work, requests=3)
    token_bucket(gaps, 1.0)
    assert gaps.tolist() == work.tolist() == [1, 1, 1]
    from course.simulate import load_kernels, service_kernels

    for kernel in (service_kernels.simulate, service_kernels.token_bucket, load_kernels.closed_loop):
        assert len(kernel.signatures) == 1, kernel
