"""The event loops of `course.simulate.hedged_queues` and `course.simulate.speculate`."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push

NEVER, FINISH, START = 0, 1, 2
NONE, OLDEST, LONGEST = 0, 1, 2


@njit(cache=True)
def hedged_queues(
    arrival: np.ndarray, work: np.ndarray, server: np.ndarray, servers: int, delay: float, cancel: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return latency and copies of each request, and the seconds worked. Copy c of request i is number 2i + c."""
    n = len(arrival)
    latency, copies = np.full(n, np.nan), np.ones(n, np.int64)
    started = np.zeros(n, np.bool_)
    # The queues are lists: of each server the first and the last, of each copy the next.
    first, final, after = np.full(servers, -1), np.full(servers, -1), np.full(2 * n, -1)
    idle = np.ones(servers, np.bool_)
    # Ends of service (the copy's number), then second copies that become due (2n + request).
    event_key, events, n_events = np.empty(servers + n + 1), np.empty(servers + n + 1, np.int64), 0
    busy = 0.0
    i = 0
    while i < n or n_events > 0:
        coming = -1
        if n_events > 0 and (i >= n or event_key[0] <= arrival[i]):
            now, event = event_key[0], events[0]
            n_events = pop(event_key, events, n_events)
            if event < 2 * n:
                request, s = event >> 1, server[event & 1, event >> 1]
                idle[s] = True
                if np.isnan(latency[request]):
                    latency[request] = now - arrival[request]
            else:
                request = event - 2 * n
                if not np.isnan(latency[request]) or (cancel == START and started[request]):
                    continue
                copies[request] = 2
                coming, s = 2 * request + 1, server[1, request]
        else:
            now, coming, s = arrival[i], 2 * i, server[0, i]
            if delay < np.inf and server[1, i] >= 0:
                n_events = push(event_key, events, n_events, now + delay, 2 * n + i)
            i += 1
        if coming >= 0:
            if first[s] < 0:
                first[s] = coming
            else:
                after[final[s]] = coming
            final[s] = coming
        while idle[s] and first[s] >= 0:
            copy = first[s]
            first[s] = after[copy]
            request = copy >> 1
            if (cancel == START and started[request]) or (cancel == FINISH and not np.isnan(latency[request])):
                continue
            started[request], idle[s] = True, False
            busy += work[copy & 1, request]
            n_events = push(event_key, events, n_events, now + work[copy & 1, request], copy)
    return latency, copies, busy


@njit(cache=True)
def speculate(
    work: np.ndarray, backup: np.ndarray, workers: int, policy: int, at_least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return first start, stop and whether it was copied, of each task, and the seconds that the workers spent."""
    n = len(work)
    start, stop = np.empty(n), np.full(n, np.inf)  # a task's stop, as far as it is known while it runs
    copied, done = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    busy = 0.0
    event_key, events, n_events = np.empty(2 * n + 1), np.empty(2 * n + 1, np.int64), 0
    idle, begun, now = workers, 0, 0.0
    while True:
        while idle > 0 and begun < n:
            start[begun], stop[begun] = now, now + work[begun]
            n_events = push(event_key, events, n_events, stop[begun], begun)
            begun += 1
            idle -= 1
        if idle > 0 and policy != NONE:
            # The running tasks that may be copied, best first.
            rank, tasks, count = np.empty(n_events + 1), np.empty(n_events + 1, np.int64), 0
            for k in range(n_events):
                task = events[k]
                if not copied[task] and not done[task] and stop[task] - now > at_least:
                    key = start[task] if policy == OLDEST else -stop[task]
                    count = push(rank, tasks, count, key, task)
            while idle > 0 and count > 0:
                task = tasks[0]
                count = pop(rank, tasks, count)
                copied[task] = True
                idle -= 1
                # Both are stopped when the first of them ends.
                ends = min(stop[task], now + backup[task])
                busy += ends - now
                if ends < stop[task]:
                    stop[task] = ends
                    n_events = push(event_key, events, n_events, ends, task)
        if n_events == 0:
            break
        now = event_key[0]
        while n_events > 0 and event_key[0] == now:
            task = events[0]
            n_events = pop(event_key, events, n_events)
            if not done[task]:
                done[task] = True
                busy += now - start[task]
                idle += 2 if copied[task] else 1
    return start, stop, copied, busy
