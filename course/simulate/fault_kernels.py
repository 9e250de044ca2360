"""The event loop of `course.simulate.data_loss`."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push


@njit(cache=True)
def data_loss(
    copies: int,
    needed: int,
    scale: float,
    mttr: float,
    runs: int,
    repairers: int,
    shape: float,
    most_failures: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, bool]:
    """Return when the data was lost in each run, and whether all came to that end."""
    lost = np.zeros(runs)
    event_key, events = np.empty(copies + 1), np.empty(copies + 1, np.int64)  # a piece's next failure, or repair
    there = np.ones(copies, np.bool_)
    line = np.empty(copies, np.int64)  # pieces that wait for a repairer, in a ring
    failures = 0
    for r in range(runs):
        there[:] = True
        n_events, n_there, free, head, waiting = 0, copies, repairers, 0, 0
        for piece in range(copies):
            life = scale * rng.standard_exponential() ** (1 / shape)
            n_events = push(event_key, events, n_events, life, piece)
        while True:
            now, piece = event_key[0], events[0]
            n_events = pop(event_key, events, n_events)
            if there[piece]:
                there[piece] = False
                n_there -= 1
                if n_there < needed:
                    lost[r] = now
                    break
                failures += 1
                if failures > most_failures:
                    return lost, False
                line[(head + waiting) % copies] = piece
                waiting += 1
            else:
                there[piece] = True
                n_there += 1
                free += 1
                life = scale * rng.standard_exponential() ** (1 / shape)
                n_events = push(event_key, events, n_events, now + life, piece)
            while free > 0 and waiting > 0:
                piece = line[head]
                head, waiting, free = (head + 1) % copies, waiting - 1, free - 1
                n_events = push(event_key, events, n_events, now + mttr * rng.standard_exponential(), piece)
    return lost, True
