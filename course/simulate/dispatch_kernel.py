"""The event loop of `course.simulate.dispatch`."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push


@njit(cache=True)
def dispatch(
    arrival: np.ndarray,
    service: np.ndarray,
    key: np.ndarray,
    user: np.ndarray,
    home: np.ndarray,
    move: np.ndarray,
    workers: int,
    users: int,
    patience: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start the waiting tasks one by one; return when, where, and when each is done.

    What waits is a plain list that is looked through for each start: queues of a race are short, and any rule fits in.
    """
    n = len(arrival)
    start, stop, worker = np.full(n, np.nan), np.full(n, np.nan), np.full(n, -1)
    idle, n_idle = np.ones(workers, np.bool_), workers
    counts = np.zeros(users, np.int64)  # tasks that each user runs
    waiting, n_waiting = np.empty(n, np.int64), 0
    stops, running, n_running = np.empty(n + 1), np.empty(n + 1, np.int64), 0
    i = 0
    while i < n or n_waiting > 0:
        now = arrival[i] if i < n else np.inf
        if n_running > 0:
            now = min(now, stops[0])
        if n_idle > 0 and patience > 0:  # some may wait for a busy home, and give up
            for w in range(n_waiting):
                now = min(now, arrival[waiting[w]] + patience)
        while n_running > 0 and stops[0] <= now:
            task = running[0]
            n_running = pop(stops, running, n_running)
            idle[worker[task]] = True
            n_idle += 1
            counts[user[task]] -= 1
        while i < n and arrival[i] <= now:
            waiting[n_waiting] = i
            n_waiting += 1
            i += 1
        while n_idle > 0 and n_waiting > 0:
            best, place = -1, -1
            for w in range(n_waiting):
                task = waiting[w]
                at_home = home[task] < 0 or idle[home[task]]
                if not at_home and now < arrival[task] + patience:
                    continue
                if best >= 0:
                    first = counts[user[task]] - counts[user[best]]
                    if first > 0 or (first == 0 and key[task] > key[best]):
                        continue
                    if first == 0 and key[task] == key[best] and task > best:
                        continue
                best, place = task, w
            if best < 0:
                break
            n_waiting -= 1
            waiting[place] = waiting[n_waiting]
            where = home[best]
            if where < 0 or not idle[where]:
                where = int(np.argmax(idle))
            idle[where] = False
            n_idle -= 1
            counts[user[best]] += 1
            worker[best], start[best] = where, now
            stop[best] = now + service[best] + (move[best] if home[best] >= 0 and where != home[best] else 0.0)
            n_running = push(stops, running, n_running, stop[best], best)
    return start, stop, worker
