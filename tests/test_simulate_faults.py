"""Faults: machines, lost data, heartbeats and messages, against closed forms, Markov chains and plain twins."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from course.models import (
    availability,
    detection_time,
    duplicate_probability,
    expected_deliveries,
    expected_sends,
    k_of_n,
    mistake_interval,
    mttdl_erasure,
)
from course.simulate.faults import DELIVERY, data_loss, heartbeats, machines, messages
from tests.strategies import ANYTHING, answer_or_error, near

# ---- machines


@pytest.mark.parametrize(("count", "mtbf", "mttr"), [(1, 9.0, 1.0), (5, 4.0, 1.0), (3, 1.0, 3.0)])
def test_availability_of_k_of_n(count, mtbf, mttr):
    runs = [machines(count, mtbf, mttr, 2000 * (mtbf + mttr), seed=seed) for seed in range(12)]
    up = mtbf / (mtbf + mttr)
    for needed in range(1, count + 1):
        values = [run.availability(needed) for run in runs]
        assert near(values, binom.sf(needed - 1, count, up)) < 0.01
        near(values, k_of_n(needed, count, availability(mtbf, mttr)))
    assert runs[0].availability(0) == 1


def test_availability_over_time():
    # A(t) = A + (1 − A) e^−(λ + μ)t: all are up at first, and come to the share A.
    run = machines(200_000, 3.0, 1.0, 6.0, seed=2)
    for t in (0.0, 0.2, 0.5, 1.0, 2.0, 6.0):
        expected = 0.75 + 0.25 * math.exp(-(1 / 3 + 1) * t)
        error = math.sqrt(expected * (1 - expected) / 200_000)
        assert abs(run.up_at(t) / 200_000 - expected) <= 3 * error


@settings(max_examples=100)
@given(st.integers(1, 6), st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.1, 50), st.integers(0, 99))
def test_machines_keep_their_books(count, mtbf, mttr, until, seed):
    run = machines(count, mtbf, mttr, until, seed=seed)
    assert run.time[0] == 0
    assert run.up[0] == count
    assert (np.diff(run.time) >= 0).all()
    assert (np.abs(np.diff(run.up)) == 1).all()
    assert (run.time <= until).all()
    assert ((run.up >= 0) & (run.up <= count)).all()
    shares = [run.availability(k) for k in range(count + 1)]
    assert all(a >= b - 1e-12 for a, b in zip(shares, [*shares[1:], 0.0], strict=True))
    # The mean number up, from the shares and from the curve.
    lasts = np.diff(run.time, append=until)
    assert sum(shares[1:]) == pytest.approx((run.up * lasts).sum() / until)
    assert "machines" in repr(run)


def test_up_times_and_repairs_are_exponential():
    run = machines(1, 2.0, 1.0, 30_000.0, seed=3)
    lasts = np.diff(run.time)
    assert kstest(lasts[0::2], "expon", args=(0, 2.0)).pvalue > 0.01
    assert kstest(lasts[1::2], "expon", args=(0, 1.0)).pvalue > 0.01


# ---- lost data


def markov(copies, needed, mtbf, mttr, repairers):
    """Return the mean time to loss of the birth-death chain of lost pieces: solve Q t = −1."""
    states = copies - needed + 1
    q = np.zeros((states, states))
    for lost in range(states):
        fail, repair = (copies - lost) / mtbf, min(lost, repairers) / mttr
        q[lost, lost] = -fail - repair
        if lost + 1 < states:
            q[lost, lost + 1] = fail
        if lost:
            q[lost, lost - 1] = repair
    return np.linalg.solve(q, -np.ones(states))[0]


@pytest.mark.parametrize(
    ("copies", "needed", "mtbf", "mttr", "repairers"),
    [(1, 1, 5.0, 1.0, 1), (2, 1, 10.0, 1.0, 2), (3, 1, 5.0, 1.0, 3), (3, 1, 5.0, 1.0, 1), (6, 4, 10.0, 1.0, 1),
     (20, 17, 100.0, 1.0, 20), (3, 1, 4.0, 1.0, 0)],
)  # fmt: skip
def test_data_is_lost_as_the_markov_chain_says(copies, needed, mtbf, mttr, repairers):
    expected = markov(copies, needed, mtbf, mttr, repairers)
    if (copies, needed) == (2, 1):  # Patterson, Gibson, Katz 1988, the two disks of a mirror: (3λ + μ) / 2λ²
        assert expected == pytest.approx((3 / mtbf + 1 / mttr) / (2 / mtbf**2))
    if repairers in (1, copies):
        repair = "parallel" if repairers == copies else "serial"
        assert mttdl_erasure(needed, copies - needed, mtbf, mttr, repair) == pytest.approx(expected)
    lost = data_loss(copies, needed, mtbf, mttr, 4000, repairers=repairers, seed=1)
    assert near(lost, expected) < 0.03 * expected


def plain_loss(copies, needed, scale, mttr, repairers, shape, rng):
    """One run: a list of what each piece does next, and when."""
    life = lambda: scale * rng.standard_exponential() ** (1 / shape)  # noqa: E731
    doing = {piece: ("fails", life()) for piece in range(copies)}
    while True:
        piece = min((p for p in doing if doing[p][0] != "waits"), key=lambda p: (doing[p][1], p))
        what, now = doing[piece]
        if what == "fails":
            doing[piece] = ("waits", now)
            if sum(kind == "fails" for kind, _ in doing.values()) < needed:
                return now
        else:
            doing[piece] = ("fails", now + life())
        waiting = sorted((since, p) for p, (kind, since) in doing.items() if kind == "waits")
        busy = sum(kind == "repaired" for kind, _ in doing.values())
        for _, p in waiting[: max(repairers - busy, 0)]:
            doing[p] = ("repaired", now + mttr * rng.standard_exponential())


@settings(max_examples=150)
@given(st.integers(1, 5), st.data())
def test_data_loss_is_its_twin(copies, data):
    needed, repairers = data.draw(st.integers(1, copies)), data.draw(st.integers(0, copies))
    shape, seed = data.draw(st.sampled_from([0.7, 1.0, 2.0])), data.draw(st.integers(0, 99))
    lost = data_loss(copies, needed, 2.0, 1.0, 3, repairers=repairers, shape=shape, seed=seed)
    rng = np.random.default_rng(seed)
    scale = 2.0 / math.gamma(1 + 1 / shape)
    expected = [plain_loss(copies, needed, scale, 1.0, repairers, shape, rng) for _ in range(3)]
    np.testing.assert_allclose(lost, expected, rtol=1e-9)


def test_lifetimes_have_the_given_mean_and_shape():
    for shape in (0.7, 1.0, 3.0):
        lost = data_loss(1, 1, 5.0, 1.0, 20_000, shape=shape, seed=2)
        near(lost, 5.0)
        assert kstest(lost, "weibull_min", args=(shape, 0, 5.0 / math.gamma(1 + 1 / shape))).pvalue > 0.01


@pytest.mark.slow
def test_data_that_is_practically_never_lost():
    with pytest.raises(ValueError, match="the data is not lost in 10 runs with 20,000,000 failures"):
        data_loss(6, 1, 1e9, 1.0, 10)


# ---- heartbeats


def test_detection_without_loss():
    run = heartbeats(2.0, 7.0, delay=0.5, beats=5, runs=5000, seed=1)
    # The crash is 0 to 2 s after the last of the heartbeats, which came 0.5 s later than it was sent.
    assert kstest(run.detection, "uniform", args=(5.5, 2.0)).pvalue > 0.01
    assert run.false_suspicions.sum() == run.suspected.sum() == 0
    assert kstest(run.lifetime, "uniform", args=(8.0, 2.0)).pvalue > 0.01


@pytest.mark.parametrize(("loss", "missed", "duplicate"), [(0.2, 1, 0.0), (0.3, 2, 0.0), (0.3, 2, 1.0), (0.5, 3, 0.5)])
def test_false_suspicions_are_runs_of_losses(loss, missed, duplicate):
    # Suspected after `missed` losses in a row: each heartbeat that comes is followed by them with probability p^missed.
    lost = loss * (1 - duplicate * (1 - loss))  # with probability `duplicate` both copies must be lost
    beats = 2000
    run = heartbeats(1.0, missed + 0.5, loss=loss, duplicate=duplicate, beats=beats, runs=400, seed=4)
    # The first beats − missed can be followed by so many; so can one more if the crash comes late, in half of the runs.
    expected = (1 - lost) * lost**missed * (beats - missed) + (1 - lost) * lost ** (missed - 1) * 0.5
    assert beats / expected == pytest.approx(mistake_interval(missed + 0.5, 1.0, lost), rel=0.01)
    # Detection does not depend on how long it lived: more and shorter runs say more.
    short = heartbeats(1.0, missed + 0.5, loss=loss, duplicate=duplicate, beats=50, runs=50_000, seed=4)
    assert near(short.detection, detection_time(missed + 0.5, 1.0, lost)) < 0.005
    assert near(run.false_suspicions, expected) < 0.02 * expected


@settings(max_examples=150)
@given(st.floats(0.5, 2), st.floats(0.1, 5), st.floats(0, 0.9), st.floats(0, 3), st.floats(0, 1), st.integers(1, 20),
       st.integers(0, 99))  # fmt: skip
def test_heartbeats_are_their_twin(period, timeout, loss, slow, duplicate, beats, seed):
    law = lambda rng, n: rng.exponential(slow, n)  # noqa: E731
    run = heartbeats(period, timeout, loss=loss, delay=law, duplicate=duplicate, beats=beats, runs=2, seed=seed)
    rng = np.random.default_rng(seed)
    crash = (beats - 1) * period + rng.random(2) * period
    copies = []
    for exists in (1.0, duplicate):
        there = (rng.random((2, beats)) < exists) & (rng.random((2, beats)) >= loss)
        copies.append((there, rng.exponential(slow, 2 * beats).reshape(2, beats)))
    for r in range(2):
        # One arrival after the other; the detector knows the newest number, and when it came.
        comes = sorted((k * period + took[r, k], -k) for there, took in copies for k in range(beats) if there[r, k])
        newest, heard, count, silent = -1, None, 0, 0.0
        for when, k in comes:
            if -k > newest:
                if heard is not None and min(when, crash[r]) - heard > timeout + 1e-9:
                    count, silent = count + 1, silent + min(when, crash[r]) - heard - timeout
                newest, heard = -k, when
        if heard is None:
            assert (run.false_suspicions[r], run.suspected[r], run.detection[r]) == (1, crash[r], 0)
            continue
        if crash[r] - heard > timeout + 1e-9:
            count, silent = count + 1, silent + crash[r] - heard - timeout
        assert run.false_suspicions[r] == count
        assert run.suspected[r] == pytest.approx(silent, abs=1e-9)
        assert run.detection[r] == pytest.approx(max(heard + timeout - crash[r], 0), abs=1e-9)


def test_a_longer_timeout_trades_speed_for_fewer_false_suspicions():
    runs = [heartbeats(1.0, t, loss=0.1, delay=lambda rng, n: rng.exponential(0.3, n), seed=1) for t in (1.5, 2.5, 4.0)]
    assert runs[0].detection.mean() < runs[1].detection.mean() < runs[2].detection.mean()
    assert runs[0].false_suspicions.mean() > runs[1].false_suspicions.mean() > runs[2].false_suspicions.mean()
    # A time-out of exactly one period suspects nobody whose heartbeats are in time, whatever the rounding.
    assert heartbeats(0.1, 0.1, beats=5000).false_suspicions.sum() == 0
    nothing = heartbeats(1.0, 5.0, loss=1.0, beats=3, runs=2)
    assert nothing.false_suspicions.tolist() == [1, 1]
    assert nothing.suspected.tolist() == nothing.lifetime.tolist()
    assert nothing.detection.tolist() == [0, 0]
    assert repr(nothing) == "Heartbeats(2 runs, mean detection 0 s, 1 false suspicions a run)"


# ---- messages


@pytest.mark.parametrize(("loss", "retries"), [(0.0, 3), (0.1, 0), (0.3, 2), (0.5, 20), (1.0, 3)])
def test_messages_are_sent_as_often_as_the_formula_says(loss, retries):
    n = 50_000
    run = messages(n, loss=loss, retries=retries, seed=5)
    q = (1 - loss) ** 2  # there and back
    if loss < 1:
        for values, formula in (
            (run.attempts, expected_sends),
            (run.deliveries, expected_deliveries),
            (run.effects > 1, duplicate_probability),
        ):
            assert abs(values.mean() - formula(loss, retries + 1)) <= 3 * values.std() / math.sqrt(n) + 1e-12
    expected = (1 - (1 - q) ** (retries + 1)) / q if q else retries + 1
    assert abs(run.attempts.mean() - expected) <= 3 * run.attempts.std() / math.sqrt(n)
    # How often it arrives: 1 − p of what is sent (Wald).
    assert abs((run.deliveries - (1 - loss) * run.attempts).mean()) <= 3 * run.deliveries.std() / math.sqrt(n) + 1e-12
    for share, p in (
        (run.acknowledged.mean(), 1 - (1 - q) ** (retries + 1)),
        # It has no effect if all attempts are lost on their way; the sender never stops before then.
        (run.lost, loss ** (retries + 1)),
    ):
        assert abs(share - p) <= 3 * math.sqrt(p * (1 - p) / n) + 1e-12


def test_delivery():
    options = {"loss": 0.2, "duplicate": 0.1, "seed": 3}
    once, least, exactly = (messages(20_000, name, **options) for name in DELIVERY)
    # Never again: what is lost is lost; only the network makes two of one.
    assert (once.attempts == 1).all()
    assert once.lost == pytest.approx(0.2, abs=0.01)
    assert once.repeated == pytest.approx(0.8 * 0.1, abs=0.01)
    # Again and again: nothing is lost, much is done twice.
    assert least.lost < 1e-3
    assert least.repeated > 0.2
    # The receiver knows what it has done: the same messages, one effect each.
    assert np.array_equal(exactly.deliveries, least.deliveries)
    assert exactly.repeated == 0
    assert np.array_equal(exactly.effects > 0, least.effects > 0)
    assert np.array_equal(least.effects, least.deliveries)


def test_slow_answers_make_duplicates():
    # 0.4 s there, 0.4 s back: a time-out of 1 s is enough, one of 0.5 s sends each twice, one of 0.3 s three times.
    for timeout, attempts in ((1.0, 1), (0.8, 1), (0.5, 2), (0.3, 3)):
        run = messages(10, loss=0.0, delay=0.4, timeout=timeout)
        assert run.attempts.tolist() == [attempts] * 10
        assert run.first_effect.tolist() == [0.4] * 10
        assert run.acknowledged.all()
    # Given up before the answer comes, although it was acted upon.
    hasty = messages(10, "at-most-once", loss=0.0, delay=0.4, timeout=0.5)
    assert not hasty.acknowledged.any()
    assert (hasty.effects == 1).all()


def plain_messages(n, loss, duplicate, delay, timeout, retries, rng):
    """One attempt after the other, one message after the other, with the dice thrown beforehand for each attempt."""
    records = [{"attempts": 0, "arrivals": [], "answers": []} for _ in range(n)]
    for attempt in range(retries + 1):
        now = attempt * timeout
        sends = [r for r in records if not any(a <= now for a in r["answers"])]
        if not sends:
            break

        def leg(departs):
            m = len(departs)
            keeps, twice = rng.random(m) >= loss, rng.random(m) < duplicate
            one, two = rng.exponential(delay, m), rng.exponential(delay, m)
            return [([t + a] if k and t < math.inf else []) + ([t + b] if k and w and t < math.inf else [])
                    for t, k, w, a, b in zip(departs, keeps, twice, one, two, strict=True)], one, two  # fmt: skip

        there, _, _ = leg([now] * len(sends))
        for r, arrivals in zip(sends, there, strict=True):
            r["attempts"] += 1
            r["arrivals"] += arrivals
        for copy in range(2):
            back, _, _ = leg([a[copy] if len(a) > copy else math.inf for a in there])
            for r, answers in zip(sends, back, strict=True):
                r["answers"] += answers
    return records


@settings(max_examples=150)
@given(st.integers(1, 12), st.floats(0, 1), st.floats(0, 1), st.floats(0, 2), st.floats(0.1, 3), st.integers(0, 4),
       st.integers(0, 99))  # fmt: skip
def test_messages_are_their_twin(n, loss, duplicate, delay, timeout, retries, seed):
    run = messages(n, loss=loss, duplicate=duplicate, delay=lambda rng, m: rng.exponential(delay, m), timeout=timeout,
                   retries=retries, seed=seed)  # fmt: skip
    records = plain_messages(n, loss, duplicate, delay, timeout, retries, np.random.default_rng(seed))
    for k, r in enumerate(records):
        assert run.attempts[k] == r["attempts"]
        assert run.deliveries[k] == run.effects[k] == len(r["arrivals"])
        assert run.first_effect[k] == min(r["arrivals"], default=math.inf)
        assert run.acknowledged[k] == any(a <= r["attempts"] * timeout for a in r["answers"])


# ---- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: machines(0, 1, 1, 1), "count is 0"),
        (lambda: machines(1, 0, 1, 1), "mtbf is 0"),
        (lambda: machines(1, 1, 0, 1), "mttr is 0"),
        (lambda: machines(1, 1, 1, 0), "until is 0"),
        (lambda: machines(1, 1, 1, 1e18), "machines × failures is 5e+17"),
        (lambda: machines(1, 1, 1, 1).availability(2), "needed is 2"),
        (lambda: machines(1, 1, 1, 1).up_at(2), "when is 2; it must be finite and at least 0 and at most 1"),
        (lambda: data_loss(0, 1, 1, 1), "copies is 0"),
        (lambda: data_loss(2, 3, 1, 1), "needed is 3; it must be a whole number of at least 1 and at most 2"),
        (lambda: data_loss(2, 1, -1, 1), "mtbf is -1"),
        (lambda: data_loss(2, 1, 1, math.nan), "mttr is nan"),
        (lambda: data_loss(2, 1, 1, 1, 0), "runs is 0"),
        (lambda: data_loss(2, 1, 1, 1, repairers=-1), "repairers is -1"),
        (lambda: data_loss(2, 1, 1, 1, shape=0), "shape is 0"),
        (lambda: heartbeats(0, 1), "period is 0"),
        (lambda: heartbeats(1, 0), "timeout is 0"),
        (lambda: heartbeats(1, 1, loss=2), "loss is 2"),
        (lambda: heartbeats(1, 1, duplicate=-1), "duplicate is -1"),
        (lambda: heartbeats(1, 1, delay=-1), "delay is -1"),
        (lambda: heartbeats(1, 1, beats=0), "beats is 0"),
        (lambda: heartbeats(1, 1, runs=10**12), "beats × runs is 1e+15"),
        (lambda: messages(0), "count is 0"),
        (lambda: messages(10**12), "count is 1e+12"),
        (lambda: messages(1, "never"), "delivery is 'never'; it must be one of at-most-once"),
        (lambda: messages(1, delay=[1.0]), "delay has shape (1,); it must be one number or a callable"),
        (lambda: messages(1, timeout=0), "timeout is 0"),
        (lambda: messages(1, retries=-1), "retries is -1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


FEW = st.integers(1, 9) | ANYTHING
SHARE = st.floats(0, 1) | ANYTHING


@settings(max_examples=1000)
@given(FEW, ANYTHING, ANYTHING, ANYTHING, SHARE, FEW, FEW, st.sampled_from([*DELIVERY, None]))
def test_anything_is_taken_or_refused(few, one, two, three, share, other, more, name):
    calls = [
        lambda: machines(few, one, two, three).availability(),
        lambda: heartbeats(one, two, loss=share, delay=three, duplicate=share, beats=other, runs=few).detection,
        lambda: heartbeats(one, two, loss=share, delay=three, beats=other, runs=few).suspected,
        lambda: messages(few, name, loss=share, delay=one, duplicate=share, timeout=two, retries=other).deliveries,
    ]
    if one in (0.5, 1, 2, 7, "x") and two in (0, 0.5, 1e-300, 1e18, 1e300):
        # Pieces that practically always come back are tested above: here few are needed, or repair takes long.
        calls.append(lambda: data_loss(2, more, one, two if two != 1e-300 else 0.5, few, repairers=other))
    for call in calls:
        answer_or_error(call)


def test_one_compilation_serves_all():
    from course.simulate import fault_kernels

    data_loss(2, np.int64(1), 1, 1, 2)
    data_loss(3, 2, 1.0, np.float32(1), 2, shape=2)
    assert len(fault_kernels.data_loss.signatures) == 1
    assert (
        repr(messages(2, loss=0.0))
        == "Messages(2 messages: 0.0% without effect, 0.0% with more than one, 1 attempts each)"
    )
