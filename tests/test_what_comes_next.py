"""The models and simulators of chapter 24, each against another way to the same number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from course import models, simulate
from course.explorers import learners
from course.practice import chapter24

# ---- barriers


@pytest.mark.parametrize("places", [1, 2, 8, 64])
def test_the_gain_of_exponential_lengths_is_a_harmonic_number(places):
    harmonic = sum(1 / k for k in range(1, places + 1))
    assert models.continuous_batching_gain(stats.expon(scale=50), places) == pytest.approx(harmonic)


def test_the_gain_with_computing_is_that_of_batches_run_one_by_one():
    lengths = np.random.default_rng(1).exponential(100, (4000, 32))
    seconds = 0.02 * lengths.max(axis=1) + 0.0002 * lengths.sum(axis=1)  # of an iteration, 0.02 and 0.0002 for each
    full = lengths.sum() / 32 * (0.02 + 32 * 0.0002)
    gain = models.continuous_batching_gain(stats.expon(scale=100), 32, fixed=0.02, per_request=0.0002)
    assert gain == pytest.approx(seconds.sum() / full, rel=0.01)
    assert models.continuous_batching_gain(stats.expon(), 32, fixed=0, per_request=1) == pytest.approx(1)


@pytest.mark.parametrize("places", [1, 3, 16])
@pytest.mark.parametrize("narrow", [0.0, 0.3, 0.8, 0.97])
def test_gang_utilization_is_the_sum_over_the_narrow_jobs_of_a_cycle(places, narrow):
    harmonic = np.r_[0.0, np.cumsum(1 / np.arange(1, places + 1))]
    k = np.arange(4000)
    times = np.where(k <= places, harmonic[np.minimum(k, places)], harmonic[-1] + (k - places) / places)
    drained = (narrow**k * (1 - narrow) * times).sum()
    expected = (places * 2.0 + 0.5 * narrow / (1 - narrow)) / (places * (2.0 + 0.5 * drained))
    assert models.gang_utilization(places, narrow, 0.5, 2.0) == pytest.approx(expected)


def test_gang_utilization_is_what_first_come_first_served_uses():
    rng = np.random.default_rng(1)
    width = np.where(rng.random(20_000) < 0.8, 1, 8)
    run = simulate.jobs(np.zeros(20_000), width, rng.exponential(1.0, 20_000), nodes=8)
    assert models.gang_utilization(8, 0.8) == pytest.approx(run.utilization, rel=0.02)


def test_sites_that_meet_seldom():
    steps = np.random.default_rng(1).normal(1.0, 0.2, (400, 100, 8)).sum(axis=1)  # 400 rounds of 100 steps, 8 sites
    measured = 100 * len(steps) / (steps.max(axis=1) + 20).sum()
    assert models.local_steps_efficiency(100, 8, 0.2, 20) == pytest.approx(measured, rel=0.005)
    assert models.local_steps_efficiency(10, 1, 0.5, 0) == pytest.approx(1)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.integers(1, 20), st.floats(0.01, 0.99))
def test_reducing_first_pays_below_the_break_even(reduce_rate, link_rate, regions, share):
    size = 10.0
    moved = size / link_rate + regions * size / reduce_rate
    reduced = size / reduce_rate + share * (size / link_rate + regions * size / reduce_rate)
    limit = models.reduce_break_even(reduce_rate, link_rate, regions)
    if abs(share - limit) > 1e-6:
        assert (share < limit) == (reduced < moved)


# ---- waiting for a better moment


def test_shifting_is_the_best_of_all_starts():
    hours = np.arange(0, 48, 0.05)
    for swing, duration, slack in ((0.3, 4, 6), (0.5, 1, 12), (0.2, 12, 24), (0.4, 3, 0)):
        k = round(duration / 0.05)
        runs = np.lib.stride_tricks.sliding_window_view(1 + swing * np.cos(2 * np.pi * hours / 24), k).mean(axis=1)
        best = np.lib.stride_tricks.sliding_window_view(np.r_[runs[:480], runs[:480]], round(slack / 0.05) + 1)
        saved = 1 - best[:480].min(axis=1).mean()
        assert models.shifting_saving(swing, duration, slack) == pytest.approx(saved, abs=2e-3)
    assert models.shifting_saving(0.3, 4, 24) == models.shifting_saving(0.3, 4, 100)
    assert models.shifting_saving(0.3, 24, 12) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("flexible", "headroom"), [(0.1, 0.1), (0.3, 0.6), (1.0, 0.5), (0.0, 0.0), (0.5, 0.0)])
def test_a_fleet_fills_its_valley(flexible, headroom):
    day = 1 + 0.3 * np.cos(2 * np.pi * (np.arange(2400) + 0.5) / 2400)
    load, left = np.full(2400, 1 - flexible), flexible * 2400
    for hour in np.argsort(day):
        taken = min(flexible + headroom, left)
        load[hour] += taken
        left -= taken
    saved = 1 - (load * day).sum() / day.sum()
    assert models.fleet_saving(0.3, flexible, headroom) == pytest.approx(saved, abs=1e-3)


def test_cold_starts_of_random_calls():
    gaps = np.random.default_rng(2).exponential(600, 200_000)
    cold = models.cold_start_probability(1 / 600, [60, 600, 1200])
    assert cold == pytest.approx([(gaps > keep).mean() for keep in (60, 600, 1200)], rel=0.02)
    assert 600 * (1 - cold) == pytest.approx([np.minimum(gaps, keep).mean() for keep in (60, 600, 1200)], rel=0.02)


# ---- sharing


@given(st.floats(0, 2000), st.floats(1e-6, 0.5))
def test_the_fewest_servers_for_a_loss(load, loss):
    servers = models.servers_for_loss(load, loss)
    assert models.erlang_b(load, servers) <= loss
    assert servers == 0 or models.erlang_b(load, servers - 1) > loss


def test_far_memory():
    assert models.far_memory_slowdown(0.3, [0.0, 0.2, 1.0], 2.5) == pytest.approx([1, 1.09, 1.45])


# ---- static batches


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=30),
    st.integers(1, 5),
)
def test_a_batch_takes_who_waits_and_ends_with_its_longest(requests, most):
    gaps, service = np.array(requests, dtype=float).T
    served = simulate.batch_server(gaps, service, most)
    arrival, left, now = np.cumsum(gaps), list(range(len(gaps))), 0.0
    while left:
        now = max(now, arrival[left[0]])
        batch = [k for k in left if arrival[k] <= now][:most]
        assert served.start[batch].tolist() == [now] * len(batch)
        now += max(service[k] for k in batch)
        assert served.stop[batch].tolist() == [now] * len(batch)
        left = left[len(batch) :]


def test_a_server_with_one_place_is_a_queue():
    gaps, service = simulate.random_times(500, seed=1), simulate.random_times(500, mean=0.8, seed=2)
    assert simulate.batch_server(gaps, service, 1).stop == pytest.approx(simulate.queue(gaps, service).stop)


def test_a_batch_holds_no_more_than_its_places():
    served = simulate.batch_server(np.zeros(10), np.arange(10.0), 4)
    assert served.stop.tolist() == [3.0] * 4 + [10.0] * 4 + [19.0] * 2
    assert served.servers == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], [], 1), "empty"),
        (([1.0], [1.0, 2.0], 1), "as many"),
        (([1.0], [-1.0], 1), "service"),
        (([1.0], [1.0], 0), "most"),
        (([1e308], [1e308], 2), "add up"),
    ],
)
def test_a_batch_server_refuses(arguments, says):
    with pytest.raises(ValueError, match=says):
        simulate.batch_server(*arguments)


# ---- learners

COSTS = np.array([[5.0], [3.0], [6.0]]) + np.random.default_rng(1).normal(0, 1, (3, 400))


@pytest.mark.parametrize("learner", simulate.LEARNERS)
def test_a_learner_plays_each_day_and_knows_its_regret(learner):
    played = simulate.bandit(COSTS, learner, 500, seed=3)
    again = simulate.bandit(COSTS, learner, 500, seed=3)
    assert played.chosen.tolist() == again.chosen.tolist()
    assert played.counts.sum() == 500
    assert played.gaps.min() == 0
    assert played.regret[-1] == pytest.approx(played.counts @ played.gaps)
    assert np.isin(played.cost, COSTS).all()


def test_learners_meet_the_same_days():
    first, second = (simulate.bandit(np.tile(COSTS[:1], (3, 1)), each, 100, seed=4).cost for each in ("ucb", "uniform"))
    assert first.tolist() == second.tolist()


def test_who_explores_for_ever_pays_for_ever():
    paid = {each: simulate.bandit(COSTS, each, 20_000, seed=1).regret for each in simulate.LEARNERS}
    slope = (paid["epsilon"][-1] - paid["epsilon"][9_999]) / 10_000
    gaps = simulate.bandit(COSTS, "uniform", 1).gaps
    assert slope == pytest.approx(0.1 * gaps.mean(), rel=0.1)
    assert paid["replay"][-1] < paid["thompson"][-1] < paid["epsilon"][-1] < paid["uniform"][-1]
    assert paid["ucb"][-1] - paid["ucb"][9_999] < 0.05 * (paid["epsilon"][-1] - paid["epsilon"][9_999])


def test_ucb_is_the_rule_that_it_says():
    played = simulate.bandit(COSTS, "ucb", 60, explore=1.5, seed=2)
    tries, total = np.zeros(3), np.zeros(3)
    for day in range(60):
        bound = total / np.maximum(tries, 1) - 1.5 * np.sqrt(2 * np.log(day + 1) / np.maximum(tries, 1))
        expected = day if day < 3 else int(np.argmin(bound))
        assert played.chosen[day] == expected
        tries[expected] += 1
        total[expected] += played.cost[day]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1.0, 2.0], "ucb", 10), "shape"),
        (([[]], "ucb", 10), "shape"),
        ((COSTS, "best", 10), "learner"),
        ((COSTS, "ucb", 0), "days"),
        ((COSTS, "ucb", 10**9), "at most"),
        (([[np.nan]], "ucb", 10), "costs"),
    ],
)
def test_a_bandit_refuses(arguments, says):
    with pytest.raises(ValueError, match=says):
        simulate.bandit(*arguments)


def test_a_bandit_refuses_a_share_above_one():
    with pytest.raises(ValueError, match="explore"):
        simulate.bandit(COSTS, "epsilon", 10, explore=1.5)


@pytest.mark.parametrize("preset", ["As in chapter 06", "Noisy days"])
def test_the_careless_learner_is_ahead_of_ucb_at_first_only(preset):
    values = {name: control.value for name, control in learners.explorer.controls.items()}
    values |= learners.explorer.presets[preset]
    early, late = (learners.compute(**{**values, "days": days})["here"] for days in (500, 8000))
    assert early["replay"] < early["epsilon"] < early["ucb"]
    assert late["replay"] < late["thompson"] < late["ucb"] < late["epsilon"]


def test_a_learner_is_graded_by_its_bad_worlds():
    exercise = next(each for each in chapter24.EXERCISES if each.id == "24.9")
    (case,) = exercise.list_cases("timed")

    def gain(choose):
        return exercise.cost(case.args, exercise.baseline(*case.args)) / exercise.cost(
            case.args, exercise.call(choose, *case.args)
        )

    def ucb(day, tries, means):
        return day if day < 7 else int(np.argmin(means - 4 * np.sqrt(2 * np.log(day + 1) / np.array(tries))))

    rng = np.random.default_rng(1)

    def thompson(day, tries, means):
        return day if day < 7 else int(np.argmin(means + 4 * rng.standard_normal(7) / np.sqrt(tries)))

    def tries_of_each(often):  # and never again
        return lambda day, tries, means: day % 7 if day < 7 * often else int(np.argmin(means))

    assert min(gain(ucb), gain(thompson)) > exercise.target
    assert max(gain(tries_of_each(often)) for often in (1, 3, 10)) < exercise.target
