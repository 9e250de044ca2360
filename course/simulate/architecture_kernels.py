"""The event loops of `course.simulate.architecture`. Each returns the start of every task.

Jobs are given by their arrivals and by ``first``: the tasks of job j are first[j] … first[j + 1] − 1.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push


@njit(cache=True)
def central(
    arrival: np.ndarray, first: np.ndarray, work: np.ndarray, workers: int, overhead: float, job_overhead: float
) -> np.ndarray:
    """One scheduler decides on one task after the other; each then waits for the next idle worker."""
    start = np.empty(len(work))
    free, ids = np.zeros(workers + 1), np.zeros(workers + 1, np.int64)
    decided = 0.0
    for job in range(len(arrival)):
        decided = max(decided, arrival[job]) + job_overhead
        for task in range(first[job], first[job + 1]):
            decided += overhead
            start[task] = max(decided, free[0])
            count = pop(free, ids, workers)
            push(free, ids, count, start[task] + work[task], 0)
    return start


@njit(cache=True)
def two_level(
    arrival: np.ndarray,
    first: np.ndarray,
    work: np.ndarray,
    workers: int,
    overhead: float,
    job_overhead: float,
    schedulers: int,
) -> np.ndarray:
    """All idle workers are offered to one scheduler, which holds them while it decides."""
    n = len(arrival)
    start = np.empty(len(work))
    done = first[:-1].copy()  # the next task of each job
    head = np.arange(schedulers)  # the next job of each scheduler
    held, taken = np.zeros(schedulers, np.int64), np.zeros(schedulers, np.int64)  # while it decides: workers, tasks
    # Ends of tasks (−1), and of decisions (the scheduler).
    event_key, events, n_events = np.empty(workers + schedulers + 1), np.empty(workers + schedulers + 1, np.int64), 0
    idle, turn, i = workers, 0, 0
    while i < n or n_events > 0:
        # All that happens at one instant does so before anything is offered.
        now = np.inf if n_events == 0 else event_key[0]
        if i < n:
            now = min(now, arrival[i])
        while i < n and arrival[i] == now:
            i += 1
        while n_events > 0 and event_key[0] == now:
            s = events[0]
            n_events = pop(event_key, events, n_events)
            if s < 0:
                idle += 1
                continue
            job = head[s]
            idle += held[s] - taken[s]
            for _ in range(taken[s]):
                start[done[job]] = now
                n_events = push(event_key, events, n_events, now + work[done[job]], -1)
                done[job] += 1
            if done[job] == first[job + 1]:
                head[s] += schedulers
            held[s] = 0
        # Offers, to each scheduler in turn that has something to place and is not busy.
        for k in range(schedulers):
            if idle == 0:
                break
            s = (turn + k) % schedulers
            if held[s] == 0 and head[s] < i:
                job = head[s]
                held[s], taken[s] = idle, min(idle, first[job + 1] - done[job])
                idle = 0
                n_events = push(event_key, events, n_events, now + job_overhead + overhead * taken[s], s)
                turn = (s + 1) % schedulers
    return start


@njit(cache=True)
def shared(
    arrival: np.ndarray,
    first: np.ndarray,
    work: np.ndarray,
    workers: int,
    overhead: float,
    job_overhead: float,
    schedulers: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Schedulers choose among all idle workers, and take them when they have decided. Return conflicts, too."""
    n = len(arrival)
    start = np.empty(len(work))
    done = first[:-1].copy()
    head = np.arange(schedulers)
    chosen, count = np.empty((schedulers, workers), np.int64), np.zeros(schedulers, np.int64)  # while it decides
    # The idle workers, in any order, and where each of them stands there (-1: it is not idle).
    idle, place, n_idle = np.arange(workers), np.arange(workers), workers
    # Ends of tasks (the worker), and of decisions (workers + the scheduler).
    event_key, events, n_events = np.empty(workers + schedulers + 1), np.empty(workers + schedulers + 1, np.int64), 0
    conflicts, turn, i = 0, 0, 0
    while i < n or n_events > 0:
        now = np.inf if n_events == 0 else event_key[0]
        if i < n:
            now = min(now, arrival[i])
        while i < n and arrival[i] == now:
            i += 1
        while n_events > 0 and event_key[0] == now:
            event = events[0]
            n_events = pop(event_key, events, n_events)
            if event < workers:
                idle[n_idle], place[event] = event, n_idle
                n_idle += 1
                continue
            s = event - workers
            job = head[s]
            for k in range(count[s]):
                w = chosen[s, k]
                if place[w] < 0:
                    conflicts += 1
                    continue
                n_idle -= 1
                idle[place[w]], place[idle[n_idle]] = idle[n_idle], place[w]
                place[w] = -1
                start[done[job]] = now
                n_events = push(event_key, events, n_events, now + work[done[job]], w)
                done[job] += 1
            if done[job] == first[job + 1]:
                head[s] += schedulers
            count[s] = 0
        for k in range(schedulers):
            if n_idle == 0:
                break
            s = (turn + k) % schedulers
            if count[s] == 0 and head[s] < i:
                job = head[s]
                count[s] = min(n_idle, first[job + 1] - done[job])
                for c in range(count[s]):
                    # A random one of those that are not chosen yet changes places with the c-th.
                    other = rng.integers(c, n_idle)
                    a, b = idle[c], idle[other]
                    idle[c], idle[other], place[a], place[b] = b, a, other, c
                    chosen[s, c] = b
                decided = now + job_overhead + overhead * count[s]
                n_events = push(event_key, events, n_events, decided, workers + s)
                if decided == now:  # who needs no time to decide takes them before anybody else looks
                    turn = (s + 1) % schedulers
                    break
    return start, conflicts


@njit(cache=True)
def sampling(
    arrival: np.ndarray,
    first: np.ndarray,
    work: np.ndarray,
    workers: int,
    asked: np.ndarray,  # the reservations of job j are asked[j] … asked[j + 1] − 1
    latency: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Jobs leave reservations at random workers, which ask for a task when they come to them."""
    n = len(arrival)
    start = np.empty(len(work))
    done = first[:-1].copy()
    # The queues of reservations are lists: of each worker the first and the last, of each reservation the next.
    head, tail, after = np.full(workers, -1), np.full(workers, -1), np.full(asked[n], -1)
    job_of = np.empty(asked[n], np.int32)
    idle = np.ones(workers, np.bool_)
    deck = np.arange(workers)
    ends, busy, n_busy = np.empty(workers + 1), np.empty(workers + 1, np.int64), 0
    i = 0
    while i < n or n_busy > 0:
        if n_busy > 0 and (i >= n or ends[0] <= arrival[i] + latency):
            now, w = ends[0], busy[0]
            n_busy = pop(ends, busy, n_busy)
            idle[w] = True
        else:
            now = arrival[i] + latency
            for r in range(asked[i], asked[i + 1]):
                k = (r - asked[i]) % workers  # after as many as there are workers, the deck is dealt again
                other = rng.integers(k, workers)
                deck[k], deck[other] = deck[other], deck[k]
                w = deck[k]
                job_of[r] = i
                if head[w] < 0:
                    head[w] = r
                else:
                    after[tail[w]] = r
                tail[w] = r
                if idle[w]:  # it looks at its queue at once
                    idle[w] = False
                    n_busy = push(ends, busy, n_busy, now, w)
            i += 1
            continue
        if head[w] < 0:
            continue
        # It asks for a task of that job, and while the answer is on its way it waits.
        job = job_of[head[w]]
        head[w] = after[head[w]]
        idle[w] = False
        until = now + 2 * latency
        if done[job] < first[job + 1]:
            start[done[job]] = until
            until += work[done[job]]
            done[job] += 1
        n_busy = push(ends, busy, n_busy, until, w)
    return start
