"""Workers with little memory, watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
import pytest

from course.measure import cluster, watch_memory

if TYPE_CHECKING:
    from distributed import Worker


def test_the_watch_sees_the_peak_and_what_is_spilled(capfd: pytest.CaptureFixture[str]) -> None:
    config = {"distributed.worker.memory.target": 0.1}  # 40 MB of results
    with cluster(1, 1, local=True, dashboard=False, memory_limit="400 MB", config=config, worker_log=False) as client:
        with watch_memory(client) as watch:
            futures = client.map(bytes, [20_000_000 + k for k in range(6)])  # 120 MB
            assert client.gather(client.map(len, futures)) == [20_000_000 + k for k in range(6)]
        assert 30e6 < watch.rest < watch.peak < 380e6
        assert watch.process.shape == (len(watch.times), 1)
        assert len(watch.times) > 2
        assert watch.written >= 60e6
        # Memory that is no result: the worker pauses, and its log keeps to itself.

        def hoard(dask_worker: Worker) -> None:  # up to 88 %, whatever the process has by now
            dask_worker.hoard = b"x" * (352_000_000 - psutil.Process().memory_info().rss)

        client.run(hoard)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            lines = " ".join(line for log in client.get_worker_logs().values() for _, line in log)
            if "Pausing worker" in lines:
                break
            time.sleep(0.1)
        assert "Pausing worker" in lines
    assert "Pausing" not in capfd.readouterr().err


def test_an_interval_is_positive() -> None:
    with (
        cluster(1, processes=False, dashboard=False, local=True) as client,
        pytest.raises(ValueError, match="interval is 0"),
        watch_memory(client, interval=0),
    ):
        pass
