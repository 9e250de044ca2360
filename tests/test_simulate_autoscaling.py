"""Autoscalers: what is exactly so for constant loads, what lag does, and what the policies are documented to do."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.models import critical_gain
from course.simulate.autoscaling import (
    SCALERS,
    Adaptive,
    Observed,
    Predictive,
    Stale,
    TargetTracking,
    Threshold,
    autoscale,
    daily_load,
)
from tests.strategies import ANYTHING


def seen(workers=10, starting=0, utilization=0.5, queue=0.0, arrivals=(50.0,), service_rate=10.0, tick=60.0):
    return Observed(workers, starting, utilization, queue, np.array(arrivals), service_rate, tick)


# ---- policies


def test_target_tracking_is_kubernetes_rule():
    # Kubernetes, Horizontal Pod Autoscaling, "Algorithm details": ceil(current × metric / desired). A metric of 200m
    # for a desired 100m doubles the replicas, one of 50m halves them; a ratio within 0.1 of 1 changes nothing.
    policy = TargetTracking(target=0.1)
    assert policy(seen(workers=4, utilization=0.2)) == 8
    assert policy(seen(workers=4, utilization=0.05)) == 2
    assert policy(seen(workers=40, utilization=0.109)) == policy(seen(workers=40, utilization=0.091)) == 40
    assert policy(seen(workers=40, utilization=0.112)) == 45
    # Rounded up, and what is ordered is not ordered again.
    assert TargetTracking(0.6)(seen(workers=5, utilization=1.0)) == 9
    assert TargetTracking(0.6)(seen(workers=5, starting=4, utilization=1.0)) == 9
    assert TargetTracking(0.6)(seen(workers=0, utilization=1.0)) == 2


def test_threshold():
    policy = Threshold(high=0.8, low=0.4, step=3)
    assert [policy(seen(utilization=u, starting=2)) for u in (0.3, 0.4, 0.8, 0.81)] == [9, 12, 12, 15]


def test_predictive_draws_the_line_on():
    # 10, 20, 30, 40 a minute ago and so on: in five minutes it is 90.
    policy = Predictive(target=0.5, ahead=300, window=240)
    assert policy.forecast(seen(arrivals=[500, 10, 20, 30, 40])) == pytest.approx(90)
    assert policy(seen(arrivals=[500, 10, 20, 30, 40])) == 18
    assert policy.forecast(seen(arrivals=[7.0])) == 7
    # It falls, but what is needed now is needed, with the queue worked off until then.
    assert policy(seen(arrivals=[40, 30, 20, 10])) == 2
    assert policy(seen(arrivals=[40, 30, 20, 10], queue=6000.0)) == math.ceil((10 + 20) / 5)
    rng = np.random.default_rng(0)
    noisy = rng.uniform(0, 9, 30)
    line = np.polynomial.Polynomial.fit(np.arange(30), noisy, 1)
    assert Predictive(ahead=600, window=1e6).forecast(seen(arrivals=noisy)) == pytest.approx(line(39))
    # With a period: as it was then, plus what has changed since.
    daily = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.5]
    assert Predictive(ahead=120, period=600).forecast(seen(arrivals=daily)) == pytest.approx(4 + 12.5 - 2)


# ---- the service


@pytest.mark.parametrize(("load", "workers"), [(36.0, 6), (59.9, 10), (3.0, 1), (0.0, 1)])
def test_a_constant_load_settles(load, workers):
    run = autoscale([load] * 60, service_rate=10.0)
    assert (run.workers[-30:] == workers).all()
    assert run.utilization[-1] == pytest.approx(load / (10 * workers))
    assert run.queue[-1] == 0
    assert run.starting[-1] == 0


@pytest.mark.parametrize("name", SCALERS)
def test_all_policies_settle_with_enough(name):
    for delay in (0, 120):
        run = autoscale([36.0] * 200, name, service_rate=10.0, start_delay=delay)
        assert np.ptp(run.workers[-100:]) == 0
        assert run.workers[-1] >= 4
        assert run.queue[-1] == 0


def test_order_delay_and_cost():
    # Two workers are ordered at the end of the first tick: 60 s; they serve from 60 + 120 s on, and cost from 60 s on.
    run = autoscale([0.0] * 6, lambda seen: 3, service_rate=1.0, start_delay=120.0, initial=1)
    assert run.workers.tolist() == [1, 1, 1, 3, 3, 3]
    assert run.starting.tolist() == [0, 2, 2, 0, 0, 0]
    assert run.cost() == 60 * (1 + 5 * 3)
    assert run.cost(price=0.5) == 480
    assert run.changes == 1
    assert autoscale([0.0] * 3, lambda seen: 3, service_rate=1.0, start_delay=61.0).starting.tolist() == [0, 2, 2]
    # The last ordered are the first to be given up.
    plan = iter([4, 6, 3, 3])
    cut = autoscale([0.0] * 4, lambda seen: next(plan), service_rate=1.0, start_delay=600, initial=2)
    assert cut.starting.tolist() == [0, 2, 4, 1]
    assert cut.workers.tolist() == [2] * 4
    plan = iter([1, 1])
    assert autoscale([0.0] * 2, lambda seen: next(plan), service_rate=1.0, initial=5).workers.tolist() == [5, 1]


def test_cooldown():
    ever_more = lambda seen: seen.workers + seen.starting + 1  # noqa: E731
    run = autoscale([0.0] * 10, ever_more, service_rate=1.0, cooldown=180.0)
    assert run.workers.tolist() == [1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert autoscale([0.0] * 4, ever_more, service_rate=1.0, maximum=2).workers.tolist() == [1, 2, 2, 2]
    assert autoscale([0.0] * 3, lambda seen: -5, service_rate=1.0, minimum=2, initial=4).workers.tolist() == [4, 2, 2]
    assert autoscale([0.0] * 2, lambda seen: 1.2, service_rate=1.0).workers.tolist() == [1, 2]


def test_queue_wait_and_missed_objectives():
    # One worker of 1/s; 2/s for two ticks of 10 s, then nothing: 10, 20, 10, 0 wait, so many seconds.
    run = autoscale([2, 2, 0, 0, 1], lambda seen: 1, service_rate=1.0, tick=10.0, objective=15.0)
    assert run.queue.tolist() == [10, 20, 10, 0, 0]
    assert run.wait.tolist() == [10, 20, 10, 0, 0]
    assert run.utilization.tolist() == [1, 1, 1, 1, 1]
    assert run.missed == 20 / 50
    assert run.time.tolist() == [10, 20, 30, 40, 50]
    none = autoscale([1.0, 0.0], lambda seen: 0, service_rate=1.0, minimum=0)
    assert none.wait.tolist() == [math.inf, math.inf]
    assert none.missed == 1
    assert none.cost() == 0
    assert autoscale([0.0], service_rate=1.0).missed == 0


def test_lag_overshoots_and_swings():
    runs = {d: autoscale([36.0] * 300, "threshold", service_rate=10.0, start_delay=60.0 * d) for d in (0, 5, 10)}
    # Without lag it rises to what it needs and stays. With lag it goes on ordering until the first order serves, …
    assert (np.diff(runs[0].workers) >= 0).all()
    peaks = {d: run.workers.max() for d, run in runs.items()}
    assert peaks[5] >= peaks[0] + 5
    assert peaks[10] >= peaks[0] + 10
    # … and then has to take back.
    for d in (5, 10):
        steps = np.diff(runs[d].workers)
        assert steps.max() > 0 > steps.min()
        assert runs[d].workers[-1] < peaks[d]
        assert runs[d].missed > runs[0].missed
    # With a noisy load in a narrow band it never comes to rest, and swings the more the longer the lag.
    swings = [
        autoscale([36.0] * 3000, Threshold(0.61, 0.59), service_rate=10.0, start_delay=60.0 * d, poisson=True, seed=1)
        for d in (0, 5, 10)
    ]
    deviations = [run.workers[500:].std() for run in swings]
    assert deviations[1] > 1.5 * deviations[0]
    assert deviations[2] > 1.3 * deviations[1]
    square = np.tile(np.repeat([20.0, 80.0], 10), 30)
    missed = [autoscale(square, service_rate=10.0, start_delay=60.0 * d, objective=5.0).missed for d in (0, 5, 10)]
    assert missed[0] < missed[1] < missed[2]


def test_a_forecast_beats_a_reaction_when_starts_are_slow():
    load = daily_load(days=3, bursts=0, noise=0, swing=0.8)
    options = {"service_rate": 2.0, "start_delay": 1800.0, "objective": 1.0}
    reactive = autoscale(load, TargetTracking(0.9, 0.0), **options)
    ahead = autoscale(load, Predictive(0.9, ahead=1860.0, period=86_400.0), **options)
    second = slice(1441, None)
    assert (reactive.wait[second] > 1).mean() > 0.02
    assert (ahead.wait[second] > 1).mean() == 0
    assert ahead.cost() < 1.1 * reactive.cost()


def plain_fluid(load, plan, service_rate, tick, delay, initial):
    """Return (workers, queue) of each tick for a plan of workers: every worker is an entry (ready from, until)."""
    crew = [(0, math.inf)] * initial
    queue, rows = 0.0, []
    for t, rate in enumerate(load):
        now = sum(a <= t < b for a, b in crew)
        queue = max(queue + rate * tick - now * service_rate * tick, 0.0)
        rows.append((now, queue))
        alive = [k for k, (_, b) in enumerate(crew) if b > t + 1]
        for _ in range(plan[t] - len(alive)):
            crew.append((t + 1 + delay, math.inf))
        # The latest ordered first; of those that serve, it does not matter which.
        for k in sorted(alive, key=lambda k: crew[k][0], reverse=True)[: max(len(alive) - plan[t], 0)]:
            crew[k] = (crew[k][0], t + 1)
    return rows


@settings(max_examples=300)
@given(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 8)), min_size=1, max_size=25), st.floats(0.5, 3),
       st.integers(0, 4), st.integers(0, 5))  # fmt: skip
def test_autoscale_is_its_twin(steps, service_rate, delay, initial):
    load, plan = map(list, zip(*steps, strict=True))
    answers = iter(plan)
    run = autoscale(load, lambda seen: next(answers), service_rate=service_rate, tick=2.0, start_delay=2.0 * delay,
                    minimum=0, initial=initial)  # fmt: skip
    rows = plain_fluid(load, plan, service_rate, 2.0, delay, initial)
    assert run.workers.tolist() == [workers for workers, _ in rows]
    np.testing.assert_allclose(run.queue, [queue for _, queue in rows], atol=1e-9)
    # What came has been served, or waits.
    np.testing.assert_allclose(np.cumsum(run.arrivals), np.cumsum(run.served) + run.queue, atol=1e-9)
    assert ((run.utilization >= 0) & (run.utilization <= 1 + 1e-12)).all()
    assert run.cost() == pytest.approx(((run.workers + run.starting) * 2.0).sum())
    assert 0 <= run.missed <= 1 + 1e-12


def test_poisson_arrivals():
    run = autoscale([5.0] * 20_000, lambda seen: 10, service_rate=1.0, poisson=True, seed=3)
    assert abs(run.arrivals.mean() - 300) < 3 * math.sqrt(300 / 20_000)
    assert run.arrivals.var() == pytest.approx(300, rel=0.05)
    again = autoscale([5.0] * 9, service_rate=1.0, poisson=True, seed=4)
    assert np.array_equal(again.arrivals, autoscale([5.0] * 9, service_rate=1.0, poisson=True, seed=4).arrivals)
    assert repr(run).startswith("Scaled(20000 ticks, 10 workers on average, 0.0% missed, 1 changes)")


# ---- the load


def test_daily_load():
    load = daily_load(days=1, tick=60, bursts=0, noise=0, mean=10, swing=0.5, peak=6)
    assert len(load) == 1440
    assert load.argmax() == 6 * 60
    assert (load.max(), load.min()) == pytest.approx((15, 5))
    assert load.mean() == pytest.approx(10)
    assert daily_load(swing=0, noise=0, bursts=0).tolist() == [100.0] * 1440
    # Each burst adds height × mean × length, on average over its start and for those that end within the days.
    extra = [
        daily_load(30, 300, swing=0, noise=0, bursts=4, burst_height=2, burst_length=600, seed=s).mean() - 100
        for s in range(40)
    ]
    # In ticks of 300 s: the sum over them of e^(−t/600) for a start that is anywhere in a tick is the integral.
    expected = 100 * 4 * 2 * 600 / 86_400
    assert abs(np.mean(extra) - expected) < 3 * np.std(extra, ddof=1) / math.sqrt(40)
    noisy = daily_load(100, 600, swing=0, bursts=0, noise=0.05, seed=1)
    assert noisy.std() == pytest.approx(5, rel=0.05)
    assert np.array_equal(daily_load(seed=5), daily_load(seed=5))
    assert not np.array_equal(daily_load(seed=5), daily_load(seed=6))
    assert (daily_load(noise=3.0) >= 0).all()


# ---- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: autoscale([-1], service_rate=1), "load is -1"),
        (lambda: autoscale(3.0, service_rate=1), "load has shape ()"),
        (lambda: autoscale([1], service_rate=0), "service_rate is 0"),
        (lambda: autoscale([1], service_rate=1, tick=0), "tick is 0"),
        (lambda: autoscale([1], service_rate=1, start_delay=-1), "start_delay is -1"),
        (lambda: autoscale([1], service_rate=1, cooldown=math.nan), "cooldown is nan"),
        (lambda: autoscale([1], service_rate=1, minimum=3, maximum=2), "maximum is 2; it must be a whole number"),
        (lambda: autoscale([1], service_rate=1, initial=0), "initial is 0"),
        (lambda: autoscale([1], service_rate=1, objective=-1), "objective is -1"),
        (lambda: autoscale([1], "best", service_rate=1), "policy is 'best'; it must be one of threshold"),
        (lambda: autoscale([1], 3, service_rate=1), "policy is 3; it must be one of"),
        (lambda: autoscale([1], lambda seen: math.nan, service_rate=1), "the policy's answer is nan"),
        (lambda: autoscale([1], lambda seen: None, service_rate=1), "the policy's answer is nan"),
        (lambda: autoscale([1], lambda seen: [1, 2], service_rate=1), "the policy answered [1, 2]"),
        (lambda: autoscale([1e100], service_rate=1, poisson=True), "load is 1e+100; load × tick must be at most 1e+15"),
        (lambda: autoscale(np.ones(2_000_000), service_rate=1), "the number of ticks is 2e+06"),
        (lambda: autoscale([1], service_rate=1).cost(-1), "price is -1"),
        (lambda: Threshold(high=0.3), "high is 0.3; it must be finite and at least 0.4"),
        (lambda: Threshold(step=0), "step is 0"),
        (lambda: TargetTracking(0), "target is 0"),
        (lambda: TargetTracking(tolerance=-1), "tolerance is -1"),
        (lambda: Predictive(ahead=-1), "ahead is -1"),
        (lambda: Predictive(period=0), "period is 0"),
        (lambda: daily_load(0), "days is 0"),
        (lambda: daily_load(1e6), "the number of ticks is 1.44e+09"),
        (lambda: daily_load(swing=2), "swing is 2"),
        (lambda: daily_load(peak=25), "peak is 25"),
        (lambda: daily_load(bursts=1e18), "bursts × days is 1e+18"),
        (lambda: daily_load(burst_length=0), "burst_length is 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def answering(value):
    return lambda seen: value


@settings(max_examples=700)
@given(st.data())
def test_autoscale_takes_or_refuses_anything(data):
    def anything(label=None):
        return data.draw(ANYTHING, label)

    names = ["tick", "start_delay", "cooldown", "minimum", "maximum", "initial", "objective", "poisson", "seed"]
    chosen = data.draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    options = {name: anything(name) for name in chosen}
    policies = [lambda: "threshold", lambda: Predictive(anything(), anything(), anything()),
                lambda: TargetTracking(anything()), lambda: Threshold(anything(), anything()),
                lambda: Predictive(period=anything()), lambda: answering(anything())]  # fmt: skip
    try:
        policy = data.draw(st.sampled_from(policies))()
        run = autoscale(
            data.draw(st.lists(ANYTHING, max_size=6) | ANYTHING), policy, service_rate=anything(), **options
        )
    except ValueError:
        return
    for column in (run.queue, run.served, run.utilization, run.time):
        assert np.isfinite(column).all()
        assert (column >= 0).all()
    assert not np.isnan(run.wait).any()
    assert 0 <= run.missed <= 1 + 1e-12
    assert np.isfinite(run.cost())


@settings(max_examples=400)
@given(st.data())
def test_daily_load_takes_or_refuses_anything(data):
    names = ["days", "tick", "mean", "swing", "peak", "bursts", "burst_height", "burst_length", "noise", "seed"]
    chosen = data.draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    try:
        load = daily_load(**{name: data.draw(ANYTHING, label=name) for name in chosen})
    except ValueError:
        return
    assert np.isfinite(load).all()
    assert (load >= 0).all()


# ---- policies that remember


def test_the_critical_gain_is_that_of_levin_and_may_and_puts_a_root_on_the_unit_circle():
    for lag in range(1, 9):
        gain = critical_gain(lag)
        assert gain == pytest.approx(2 * math.cos(lag * math.pi / (2 * lag + 1)))
        size = [np.abs(np.roots([1, -1, *[0] * (lag - 1), share * gain])).max() for share in (0.99, 1.0, 1.01)]
        assert size[0] < 1 < size[2]
        assert size[1] == pytest.approx(1)


@pytest.mark.parametrize("lag", [0, 1, 2, 4])
def test_the_critical_gain_is_where_a_stale_controller_begins_to_swing(lag):
    def swing(gain):
        def correct(seen):
            return seen.workers * (seen.utilization / 0.6) ** gain

        run = autoscale([6000.0] * 300, Stale(correct, lag), service_rate=1.0, initial=9500, maximum=10**6)
        return np.ptp(run.workers[-40:]) / 10_000

    assert swing(0.9 * critical_gain(lag)) < 0.05
    assert swing(1.1 * critical_gain(lag)) > 0.5


def test_stale_keeps_what_is_its_own_fresh():
    told = []
    policy = Stale(lambda seen: told.append((seen.workers, seen.queue, len(seen.arrivals))) or 3, 2)
    autoscale([2.0] * 5, policy, service_rate=1.0, tick=1.0)
    assert told == [(1, 1.0, 1), (3, 1.0, 1), (3, 1.0, 1), (3, 0.0, 2), (3, 0.0, 3)]
    with pytest.raises(ValueError, match="ticks"):
        Stale(Threshold(), -1)


def test_adaptive_is_the_rule_of_dask():
    policy = Adaptive(target_duration=2.0)
    # 30 wait, which is 3 s of work; the busy worker has a tenth of a second.
    assert policy(seen(workers=1, utilization=1.0, queue=30.0)) == math.ceil(3.1 / 2)
    assert policy(seen(workers=1, utilization=1.0, queue=200.0)) == 11
    # Never fewer while all are busy, however little work there is.
    assert [policy(seen(workers=9, utilization=1.0)) for _ in range(9)] == [9] * 9
    # Idle ones go after three looks in a row, and those that are busy stay.
    assert [policy(seen(workers=9, utilization=0.5)) for _ in range(4)] == [9, 9, 5, 9]
    assert policy(seen(workers=9, utilization=1.0)) == 9
    assert [policy(seen(workers=9, utilization=0.5)) for _ in range(2)] == [9, 9]
    with pytest.raises(ValueError, match="target_duration"):
        Adaptive(0.0)


def test_under_adaptive_responses_settle_at_the_target_duration():
    run = autoscale([300.0] * 400, Adaptive(target_duration=10.0), service_rate=1.0, tick=0.5, maximum=1000)
    assert run.workers[-1] >= 300
    assert 8.5 < run.wait[-1] <= 9.0  # and a second of service: the target duration
