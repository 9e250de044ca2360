"""The event loops of `course.simulate.queue`, one for each family of disciplines."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push


@njit(cache=True)
def fifo_one(arrival: np.ndarray, service: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One server, first come first served: Lindley's recursion. Return start and stop."""
    n = len(arrival)
    start, stop = np.empty(n), np.empty(n)
    free = -np.inf
    for i in range(n):
        start[i] = max(arrival[i], free)
        free = start[i] + service[i]
        stop[i] = free
    return start, stop


@njit(cache=True)
def fifo_many(arrival: np.ndarray, service: np.ndarray, servers: int) -> tuple[np.ndarray, np.ndarray]:
    """Many servers, one queue, first come first served: Kiefer and Wolfowitz's recursion. Return start and stop."""
    n = len(arrival)
    start, stop = np.empty(n), np.empty(n)
    if servers <= 16:  # looking at each is faster than keeping them in a heap
        free = np.full(servers, -np.inf)
        for i in range(n):
            first = 0
            for k in range(1, servers):
                if free[k] < free[first]:
                    first = k
            start[i] = max(arrival[i], free[first])
            stop[i] = start[i] + service[i]
            free[first] = stop[i]
        return start, stop
    free, ids = np.full(servers + 1, -np.inf), np.arange(servers + 1)
    for i in range(n):
        start[i] = max(arrival[i], free[0])
        stop[i] = start[i] + service[i]
        server = ids[0]
        count = pop(free, ids, servers)
        push(free, ids, count, stop[i], server)
    return start, stop


@njit(cache=True)
def nonpreemptive(
    arrival: np.ndarray, service: np.ndarray, servers: int, key: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whenever a server is free, the waiting customer of the smallest key starts, and is not interrupted."""
    n = len(arrival)
    start, stop = np.empty(n), np.empty(n)
    wait_key, waiting, n_waiting = np.empty(n + 1), np.empty(n + 1, np.int64), 0
    stop_key, busy, n_busy = np.empty(servers + 1), np.empty(servers + 1, np.int64), 0
    i = 0
    while i < n or n_waiting > 0:
        # The next event: an arrival, or a stop that frees a server for somebody who waits.
        if n_waiting == 0 or (i < n and (n_busy < servers or arrival[i] < stop_key[0])):
            now = arrival[i]
            while n_busy > 0 and stop_key[0] <= now:
                n_busy = pop(stop_key, busy, n_busy)
            n_waiting = push(wait_key, waiting, n_waiting, key[i], i)
            i += 1
        else:
            now = stop_key[0]
            n_busy = pop(stop_key, busy, n_busy)
        # All that arrive at the same instant are there before the choice is made.
        while i < n and arrival[i] == now:
            n_waiting = push(wait_key, waiting, n_waiting, key[i], i)
            i += 1
        while n_busy < servers and n_waiting > 0:
            customer = waiting[0]
            n_waiting = pop(wait_key, waiting, n_waiting)
            start[customer] = now
            stop[customer] = now + service[customer]
            n_busy = push(stop_key, busy, n_busy, stop[customer], customer)
    return start, stop


@njit(cache=True)
def shortest_remaining(arrival: np.ndarray, service: np.ndarray, servers: int) -> tuple[np.ndarray, np.ndarray]:
    """Serve those with the least work left, interrupting others (SRPT). Return first start and stop."""
    n = len(arrival)
    start, stop = np.full(n, np.nan), np.empty(n)
    left = service.copy()
    wait_key, waiting, n_waiting = np.empty(n + 1), np.empty(n + 1, np.int64), 0
    running = np.full(servers, -1, np.int64)  # the customer at each server, -1 for none
    since = np.zeros(servers)  # when each server began with its customer, who then had `left` to be done
    until = np.full(servers, np.inf)  # when each server will be done
    i, done = 0, 0
    while done < n:
        first = 0
        for k in range(1, servers):
            if until[k] < until[first]:
                first = k
        if i < n and arrival[i] < until[first]:
            now = arrival[i]
            # A free server, or else the one with the most work left; among equals the one who came last gives way.
            k = -1
            for s in range(servers):
                if running[s] < 0:
                    k = s
                    break
                if k < 0 or until[s] > until[k] or (until[s] == until[k] and running[s] > running[k]):
                    k = s
            remaining = left[running[k]] - (now - since[k]) if running[k] >= 0 else np.inf
            if left[i] < remaining:
                if running[k] >= 0:
                    left[running[k]] = remaining
                    if start[running[k]] == now:  # both came at this instant: it has had no service yet
                        start[running[k]] = np.nan
                    n_waiting = push(wait_key, waiting, n_waiting, left[running[k]], running[k])
                running[k], since[k], until[k], start[i] = i, now, now + left[i], now
            else:
                n_waiting = push(wait_key, waiting, n_waiting, left[i], i)
            i += 1
        else:
            now = until[first]
            stop[running[first]] = now
            done += 1
            running[first], until[first] = -1, np.inf
            if n_waiting > 0:
                customer = waiting[0]
                n_waiting = pop(wait_key, waiting, n_waiting)
                running[first], since[first], until[first] = customer, now, now + left[customer]
                if np.isnan(start[customer]):
                    start[customer] = now
    return start, stop


@njit(cache=True)
def processor_sharing(arrival: np.ndarray, service: np.ndarray, servers: int) -> tuple[np.ndarray, np.ndarray]:
    """All customers are served at once, each at rate min(1, servers / customers). Return start and stop."""
    n = len(arrival)
    stop = np.empty(n)
    # In a time that runs at that common rate, a customer stops `service` after it came, whoever else is there.
    shared, now = 0.0, 0.0
    key, inside, count = np.empty(n + 1), np.empty(n + 1, np.int64), 0
    i = 0
    while i < n or count > 0:
        rate = min(1.0, servers / max(count, 1))
        leave = now + (key[0] - shared) / rate if count > 0 else np.inf
        if i < n and arrival[i] <= leave:
            shared += (arrival[i] - now) * rate if count > 0 else 0.0
            now = arrival[i]
            count = push(key, inside, count, shared + service[i], i)
            i += 1
        else:
            now, shared = leave, key[0]
            stop[inside[0]] = now
            count = pop(key, inside, count)
    return arrival.copy(), stop
