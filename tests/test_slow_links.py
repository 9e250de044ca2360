"""Slow links between the workers of one machine."""

from __future__ import annotations

import time

import pytest
from distributed import wait

from course.measure import cluster, record, slow_links
from course.trace import TRANSFER


def seconds_of_two_fetches(shared: bool, often: int) -> list[float]:
    """Let two workers fetch 2 MB from a third at once, at 10 MB/s; return how long it takes each time."""
    seconds = []
    options = slow_links(10e6, shared=shared)
    with cluster(3, processes=False, dashboard=False, local=True, **options) as client:
        here, *others = client.scheduler_info(n_workers=-1)["workers"]
        for k in range(often):
            made = client.submit(bytes, 2_000_000, workers=[here], pure=False)
            made = client.submit(bytes, made, workers=[here], pure=False)
            client.submit(len, made, workers=[here], pure=False).result()
            start = time.perf_counter()
            futures = [client.submit(len, made, workers=[there], key=f"len-{there}-{k}") for there in others]
            assert client.gather(futures) == [2_000_000, 2_000_000]
            seconds.append(time.perf_counter() - start)
    return seconds


def test_each_pair_has_a_link_or_all_share_one() -> None:
    # 0.2 s each. A busy machine can only make it longer: so the shortest counts.
    apart = seconds_of_two_fetches(shared=False, often=6)
    together = seconds_of_two_fetches(shared=True, often=2)
    assert 0.19 < min(apart) < 0.36 < 0.37 < min(together)


def test_a_recording_knows_the_bytes_of_each_transfer() -> None:
    """Also where the scheduler knows a worker by another address than the one at which it listens."""
    with cluster(2, processes=False, dashboard=False, local=True, **slow_links(50e6)) as client:
        here, there = client.scheduler_info(n_workers=-1)["workers"]
        with record(client) as run:
            made = [client.submit(bytes, size, workers=[here], pure=False) for size in (300_000, 200_000)]
            wait(made)
            client.submit(len, made[0], workers=[there]).result()
    trace = run.trace
    assert 300_000 <= trace.size[trace.kind == TRANSFER].sum() < 301_000


def test_the_scheduler_is_told() -> None:
    with cluster(1, processes=False, dashboard=False, local=True, **slow_links(3e6)) as client:
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.bandwidth) == 3e6


@pytest.mark.parametrize("bandwidth", [0, -1.0, float("nan")])
def test_refuses(bandwidth: float) -> None:
    with pytest.raises(ValueError, match="bandwidth is"):
        slow_links(bandwidth)
