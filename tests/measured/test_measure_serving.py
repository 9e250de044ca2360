"""Requests to coroutines: when they come, what is counted, what is refused, what fails."""

from __future__ import annotations

import asyncio
import gc

import numpy as np
import pytest

from course.measure import Refused, cluster, serve


@pytest.fixture(scope="module")
def client():
    with cluster(1, 2, processes=False, dashboard=False, local=True) as client:
        yield client


def test_answers_refusals_and_times(client):
    async def handler(i):
        if i == 2:
            raise Refused
        await asyncio.sleep(0.05)
        return 10 * i

    served = serve(client, [0.0, 0.1, 0.1, 0.1], {"a": handler, "b": handler})
    assert set(served) == {"a", "b"}
    for each in served.values():
        assert each.answers == [0, 10, None, 30]
        assert each.refused.tolist() == [False, False, True, False]
        assert len(each) == 4
        assert len(each.latency) == 3
        np.testing.assert_allclose(each.arrival, [0.0, 0.1, 0.2, 0.3])
        assert (each.latency >= 0.05).all()
        assert each.latency.min() < 0.5
        assert each.good(60.0).tolist() == [True, True, False, True]
    assert gc.get_freeze_count() == 0


def test_a_generator_that_is_held_up_hides_nothing(client):
    async def handler(i):
        import time

        time.sleep(0.1)  # on the event loop: all that come meanwhile are late

    served = serve(client, [0.01] * 5, {"a": handler})["a"]
    assert served.latency[-1] > 0.4
    assert served.lateness > 0.05


def test_work_at_a_worker(client):
    async def handler(i):
        return await client.submit(pow, i, 2)

    assert serve(client, [0.01] * 5, {"a": handler})["a"].answers == [0, 1, 4, 9, 16]


def test_a_failing_handler_raises(client):
    async def handler(i):
        raise ZeroDivisionError("in the handler")

    with pytest.raises(ZeroDivisionError, match="in the handler"):
        serve(client, [0.01], {"a": handler})
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("gaps", [[], [-1.0], [np.nan], [[1.0]]])
def test_arrivals_are_checked(client, gaps):
    async def handler(i):
        return i

    with pytest.raises(ValueError, match="interarrival"):
        serve(client, gaps, {"a": handler})
