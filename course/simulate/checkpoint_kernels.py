"""The event loop of `course.simulate.checkpoint`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def run(
    parts: int,
    interval: float,
    last: float,  # seconds of work in the last part
    cost: float,
    scale: float,
    restart: float,
    runs: int,
    shape: float,
    most_failures: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return time and failures of each run, and whether all came to their end."""
    time, failures = np.zeros(runs), np.zeros(runs, np.int64)
    left_to_fail = most_failures
    for r in range(runs):
        part = 0
        life = scale * rng.standard_exponential() ** (1 / shape)  # seconds until the next failure
        while part < parts:
            step = (last if part == parts - 1 else interval) + cost
            if life >= step:
                life -= step
                time[r] += step
                part += 1
                continue
            # The interval is lost; then the restart, until it is not interrupted either.
            time[r] += life
            while True:
                failures[r] += 1
                left_to_fail -= 1
                if left_to_fail < 0:
                    return time, failures, False
                life = scale * rng.standard_exponential() ** (1 / shape)
                if life >= restart:
                    break
                time[r] += life
            life -= restart
            time[r] += restart
    return time, failures, True
