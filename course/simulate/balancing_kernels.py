"""The loops of `course.simulate.balance` and `course.simulate.balls`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def place(loads: np.ndarray, candidates: np.ndarray) -> None:
    """Put one ball for each row of candidates into the least loaded of them, the first among equals."""
    for i in range(candidates.shape[0]):
        best = candidates[i, 0]
        for k in range(1, candidates.shape[1]):
            if loads[candidates[i, k]] < loads[best]:
                best = candidates[i, k]
        loads[best] += 1


@njit(cache=True)
def assign(
    arrival: np.ndarray,
    service: np.ndarray,
    servers: int,
    candidates: np.ndarray,
    lot: np.ndarray,
    by_work: bool,
    stale: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Send each customer to the candidate that seems to have the least; return start, stop and server.

    ``candidates`` has a row of servers for each customer; rows of length 0 mean all servers. The ``lot`` of each
    customer, in [0, 1), decides among equals.
    """
    n, choices = candidates.shape
    start, stop, chosen = np.empty(n), np.empty(n), np.empty(n, np.int64)
    free = np.zeros(servers)  # when each server will have served all that it was given
    # The customers at each server who have not been seen to leave: a linked list in order of arrival, and its length.
    first, last, following = np.full(servers, -1), np.full(servers, -1), np.full(n, -1)
    length = np.zeros(servers, np.int64)
    board, period = np.zeros(servers), 0.0  # what was last made known of each server, and in which period
    seen = np.zeros(choices if choices > 0 else servers)
    for i in range(n):
        now = arrival[i]
        if stale > 0.0 and np.floor(now / stale) > period:
            period = np.floor(now / stale)
            for s in range(servers):
                board[s] = load(s, min(period * stale, now), by_work, free, stop, first, following, length)
        pick = 0
        if len(seen) > 1:
            equals = 0
            least = np.inf
            for k in range(len(seen)):
                s = candidates[i, k] if choices > 0 else k
                seen[k] = board[s] if stale > 0.0 else load(s, now, by_work, free, stop, first, following, length)
                if seen[k] < least:
                    least, equals = seen[k], 0
                if seen[k] == least:
                    equals += 1
            skip = int(lot[i] * equals)
            while seen[pick] != least or skip > 0:
                if seen[pick] == least:
                    skip -= 1
                pick += 1
        s = candidates[i, pick] if choices > 0 else pick
        chosen[i] = s
        start[i] = max(now, free[s])
        stop[i] = free[s] = start[i] + service[i]
        if first[s] < 0:
            first[s] = i
        else:
            following[last[s]] = i
        last[s] = i
        length[s] += 1
    return start, stop, chosen


@njit(cache=True)
def load(
    s: int,
    now: float,
    by_work: bool,
    free: np.ndarray,
    stop: np.ndarray,
    first: np.ndarray,
    following: np.ndarray,
    length: np.ndarray,
) -> float:
    """Return the seconds of work, or the number of customers, at a server; note who has left it."""
    if by_work:
        return max(free[s] - now, 0.0)
    while first[s] >= 0 and stop[first[s]] <= now:
        first[s] = following[first[s]]
        length[s] -= 1
    return float(length[s])
