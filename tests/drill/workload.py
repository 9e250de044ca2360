"""The workload of the drill with faults, whose right answer is known; also a program that runs it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from distributed import Client, Future

PARTS = 24
SIZE = 50_000  # numbers in a part


def part(k: int, seconds: float) -> np.ndarray:
    """Make a part, which takes a while."""
    time.sleep(seconds)
    return np.arange(SIZE) + k * SIZE


def pair(one: Any, other: Any) -> Any:
    """Add two results."""
    time.sleep(0.01)
    return one + other


def submit(client: Client) -> Future:
    """Submit the workload: parts, sums of pairs of parts (which travel between workers), one number."""
    level = client.map(part, range(PARTS), seconds=0.08, pure=False)
    while len(level) > 1:
        level = [client.submit(pair, *two) if len(two) == 2 else two[0]
                 for two in (level[k : k + 2] for k in range(0, len(level), 2))]  # fmt: skip
    return client.submit(np.sum, level[0])


def right_answer() -> int:
    """Return what the workload gives: the sum of all numbers below PARTS × SIZE."""
    n = PARTS * SIZE
    return n * (n - 1) // 2


if __name__ == "__main__":
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        print("begins", flush=True)
        print("answer", int(submit(client).result(timeout=60)), flush=True)
