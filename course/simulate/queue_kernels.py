"""The event loops of `course.simulate.queue`, one for each family of disciplines."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push, replace_first


@njit(cache=True)
def fifo_one(
    gaps: np.ndarray, service: np.ndarray, arrival: np.ndarray, work: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> float:
    """One server, first come first served: Lindley's recursion. Fill the last four; return as `arrivals` does."""
    now, free, busy, good = -0.0, -np.inf, 0.0, True
    for i in range(len(gaps)):
        gap, need = gaps[i], service[i]
        good &= (gap >= 0.0) & (gap < np.inf) & (need >= 0.0) & (need < np.inf)
        now += gap
        busy += need
        arrival[i] = now
        work[i] = need
        start[i] = max(now, free)
        free = start[i] + need
        stop[i] = free
    return now + busy if good else np.nan


@njit(cache=True)
def fifo_many(
    gaps: np.ndarray,
    service: np.ndarray,
    servers: int,
    arrival: np.ndarray,
    work: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
) -> float:
    """Many servers, one queue, first come first served: Kiefer and Wolfowitz's recursion, otherwise as `fifo_one`."""
    now, busy, good = -0.0, 0.0, True
    free = np.full(servers, -np.inf)  # when each server is free, the earliest first
    for i in range(len(gaps)):
        gap, need = gaps[i], service[i]
        good &= (gap >= 0.0) & (gap < np.inf) & (need >= 0.0) & (need < np.inf)
        now += gap
        busy += need
        arrival[i] = now
        work[i] = need
        start[i] = max(now, free[0])
        last = start[i] + need
        stop[i] = last
        if servers <= 64:
            # Carry the new time to its place, and on to the end: no processor can guess where a search would stop.
            for k in range(servers - 1):
                other = free[k + 1]
                free[k] = min(last, other)
                last = max(last, other)
            free[servers - 1] = last
        else:
            replace_first(free, last)
    return now + busy if good else np.nan


@njit(cache=True)
def arrivals(gaps: np.ndarray, service: np.ndarray, arrival: np.ndarray, work: np.ndarray) -> float:
    """Fill the times of arrival and of service; return the sum of all, NaN if any is negative, infinite or NaN."""
    now, busy, good = -0.0, 0.0, True
    for i in range(len(gaps)):
        gap, need = gaps[i], service[i]
        good &= (gap >= 0.0) & (gap < np.inf) & (need >= 0.0) & (need < np.inf)
        now += gap
        busy += need
        arrival[i] = now
        work[i] = need
    return now + busy if good else np.nan


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
    # Who is served, as two heaps: by who is done first, and by who is done last. Every start adds to both; an entry
    # whose customer has been interrupted or has left since then is dropped when it comes to the top.
    room = 2 * n + 1  # each arrival interrupts at most one
    first_key, first, n_first = np.empty(room), np.empty(room, np.int64), 0
    last_key, last, n_last = np.empty(room), np.empty(room, np.int64), 0
    until = np.full(n, np.nan)  # when a customer who is served will be done; NaN for others
    since = np.empty(n)  # when that began; `left` was to be done then
    busy, i, done = 0, 0, 0
    while done < n:
        while n_first > 0 and until[first[0]] != first_key[0]:
            n_first = pop(first_key, first, n_first)
        if i < n and (busy == 0 or arrival[i] < first_key[0]):
            now, customer = arrival[i], i
            i += 1
            if busy == servers:
                # The one with the most work left gives way if it is more; among equals the one who came last.
                while until[-last[0]] != -last_key[0]:
                    n_last = pop(last_key, last, n_last)
                other = -last[0]
                remaining = left[other] - (now - since[other])
                if left[customer] >= remaining:
                    n_waiting = push(wait_key, waiting, n_waiting, left[customer], customer)
                    continue
                left[other], until[other] = remaining, np.nan
                if start[other] == now:  # both came at this instant: it has had no service yet
                    start[other] = np.nan
                n_waiting = push(wait_key, waiting, n_waiting, remaining, other)
                n_last = pop(last_key, last, n_last)
                busy -= 1
        else:
            customer = first[0]
            now = first_key[0]
            n_first = pop(first_key, first, n_first)
            stop[customer], until[customer] = now, np.nan
            done += 1
            busy -= 1
            if n_waiting == 0:
                continue
            customer = waiting[0]
            n_waiting = pop(wait_key, waiting, n_waiting)
        since[customer], until[customer] = now, now + left[customer]
        if np.isnan(start[customer]):
            start[customer] = now
        n_first = push(first_key, first, n_first, until[customer], customer)
        n_last = push(last_key, last, n_last, -until[customer], -customer)
        busy += 1
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
        leave = max(now, now + (key[0] - shared) / rate) if count > 0 else np.inf  # rounding must not go back in time
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
