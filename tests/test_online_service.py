"""Micro-batches by a plain second way, the interval of a quantile by simulated samples, the explorer of chapter 21."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.explorers.service_levers import compute, explorer
from course.models import quantile_interval
from course.simulate import micro_batches, queue


def by_events(arrivals, most, wait):
    """Handle one arrival after the other, as a service would."""
    sent, batch, opened, held = [], [], None, 0
    for each in arrivals:
        if held and each > opened + wait:
            sent.append(opened + wait)
            held = 0
        opened = each if held == 0 else opened
        held += 1
        batch.append(len(sent))
        if held == most:
            sent.append(each)
            held = 0
    return ([*sent, opened + wait] if held else sent), batch


@settings(max_examples=100, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    most=st.integers(1, 9),
    wait=st.integers(0, 60),
)
def test_batches_are_those_of_events(gaps, most, wait):
    batches = micro_batches(np.array(gaps, dtype=float), most, float(wait))
    sent, batch = by_events(np.cumsum(gaps), most, wait)
    assert batches.sent.tolist() == sent
    assert batches.batch.tolist() == batch
    assert batches.size.sum() == len(gaps)
    assert batches.size.max() <= most
    waited = batches.sent[batches.batch] - np.cumsum(gaps)
    assert waited.min() >= 0
    assert waited.max() <= wait
    np.testing.assert_array_equal(batches.first, np.unique(batches.batch, return_index=True)[1])


def test_batches_of_one_are_no_batches():
    gaps = np.random.default_rng(1).exponential(1.0, 100)
    np.testing.assert_array_equal(micro_batches(gaps, 1, 5.0).sent, gaps.cumsum())


@pytest.mark.parametrize("arguments", [([], 1, 0.0), ([1.0], 0, 0.0), ([1.0], 1, -1.0), ([-1.0], 1, 0.0),
                                       ([np.nan], 1, 0.0), ([1.0], 1, np.inf), ([1.0], 2.5, 1.0)])  # fmt: skip
def test_batches_refuse(arguments):
    with pytest.raises(ValueError, match=r"interarrival|most|wait"):
        micro_batches(*arguments)


def test_batching_frees_threads():
    gaps = np.random.default_rng(2).exponential(0.01, 4000)
    batches = micro_batches(gaps, 4, 0.03)
    alone = queue(gaps, np.full(4000, 0.056), servers=4).response
    together = queue(np.diff(batches.sent, prepend=0), 0.054 + 0.002 * batches.size, servers=4)
    assert np.quantile(alone, 0.99) > 10 * np.quantile(together.stop[batches.batch] - gaps.cumsum(), 0.99)


@pytest.mark.parametrize(("q", "n"), [(0.99, 400), (0.99, 2000), (0.5, 21), (0.9, 60)])
def test_interval_holds_the_quantile_as_often_as_it_says(q, n):
    rng = np.random.default_rng(n)
    held = []
    for _ in range(2000):
        low, high = quantile_interval(rng.exponential(1.0, n), q)
        held.append(low <= -np.log(1 - q) <= high)
    assert 0.945 <= np.mean(held) <= 1.0


def test_interval_has_no_end_where_there_are_too_few():
    low, high = quantile_interval(range(10), 0.99)
    assert high == np.inf
    assert low < 10
    assert quantile_interval([1.0], 0.5) == (-np.inf, np.inf)
    assert quantile_interval(range(368), 0.99)[1] == 367


@pytest.mark.parametrize("arguments", [([], 0.5), ([1.0, np.nan], 0.5), ([1.0], 0.0), ([1.0], 1.0), ([1.0], 0.5, 1.0)])
def test_interval_refuses(arguments):
    with pytest.raises(ValueError, match=r"values|q is|level"):
        quantile_interval(*arguments)


def test_levers_as_in_the_chapter():
    """One by one the queue grows; batches stop that and leave the pause; hedging keeps the promise."""
    one, batched, hedged = (compute(**explorer.settings(**change)) for change in ({"most": 1}, {}, {"hedge": 0.12}))
    assert one["needed"] > 4 > batched["needed"]
    assert 0.6 < batched["p99"] < 0.75
    assert batched["within"] < 0.99
    assert hedged["p99"] < 0.2
    assert hedged["within"] >= 0.99
