"""The event loop of `course.simulate.share`."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push


@njit(cache=True)
def offer(
    first: np.ndarray, shares: np.ndarray, held: np.ndarray, capacity: np.ndarray, user: int, waits: bool
) -> None:
    """Note the dominant share of a user (infinite if nothing of the user's waits), and who is first now: first[1].

    A tournament: node i holds the winner of nodes 2 i and 2 i + 1, the leaves are the users in order, so that among
    equals the smallest number wins.
    """
    shares[user] = 0.0 if waits else np.inf
    if waits:
        for r in range(len(capacity)):
            shares[user] = max(shares[user], held[user, r] / capacity[r])
    i = (user + len(shares)) >> 1
    while i > 0:
        left, right = first[2 * i], first[2 * i + 1]
        winner = left if shares[left] <= shares[right] else right
        if winner == first[i] and winner != user:
            break  # the same winner with the same share: nothing changes above
        first[i] = winner
        i >>= 1


@njit(cache=True)
def share(
    arrival: np.ndarray,
    user: np.ndarray,
    demand: np.ndarray,
    duration: np.ndarray,
    capacity: np.ndarray,
    users: int,
    fair: bool,
) -> np.ndarray:
    """Start tasks of the user of the least dominant share, or in order of arrival, as long as they fit; return when."""
    n, resources = demand.shape
    start = np.full(n, np.nan)
    queues = users if fair else 1
    head, tail, following = np.full(queues, -1), np.full(queues, -1), np.full(n, -1)
    used, held = np.zeros(resources), np.zeros((users, resources))
    stops, running, n_running = np.empty(n + 1), np.empty(n + 1, np.int64), 0
    counts = np.zeros(users, np.int64)  # tasks that each user runs
    leaves = 1
    while leaves < queues:
        leaves *= 2
    shares, first = np.full(leaves, np.inf), np.zeros(2 * leaves, np.int64)
    for q in range(leaves):
        first[leaves + q] = q
    for node in range(leaves - 1, 0, -1):
        first[node] = first[2 * node]  # nobody waits yet: all are equal
    i, waiting = 0, 0
    while i < n or waiting > 0:
        now = arrival[i] if i < n else np.inf
        if waiting > 0 and n_running > 0:
            now = min(now, stops[0])
        while n_running > 0 and stops[0] <= now:
            task = running[0]
            n_running = pop(stops, running, n_running)
            counts[user[task]] -= 1
            for r in range(resources):
                held[user[task], r] -= demand[task, r]
                used[r] -= demand[task, r]
                # Sums of floats keep crumbs when all is given back.
                if counts[user[task]] == 0:
                    held[user[task], r] = 0.0
                if n_running == 0:
                    used[r] = 0.0
            if fair and head[user[task]] >= 0:
                offer(first, shares, held, capacity, user[task], True)
        while i < n and arrival[i] <= now:
            q = user[i] if fair else 0
            if head[q] < 0:
                head[q] = i
                if fair:
                    offer(first, shares, held, capacity, q, True)
            else:
                following[tail[q]] = i
            tail[q] = i
            waiting += 1
            i += 1
        while waiting > 0:
            best = first[1]
            task = head[best]
            fits = True
            for r in range(resources):
                fits = fits and used[r] + demand[task, r] <= capacity[r] * (1 + 1e-12)
            if not fits:
                break
            for r in range(resources):
                used[r] += demand[task, r]
                held[user[task], r] += demand[task, r]
            counts[user[task]] += 1
            start[task] = now
            n_running = push(stops, running, n_running, now + duration[task], task)
            head[best] = following[task]
            if fair:
                offer(first, shares, held, capacity, best, head[best] >= 0)
            waiting -= 1
    return start
