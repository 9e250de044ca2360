"""The event loop of `course.simulate.run`: list scheduling with transfers and a scheduler that takes time."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push

STATIC, FIFO, LIFO = 0, 1, 2


@njit(cache=True)
def simulate(
    duration: np.ndarray,
    before_indptr: np.ndarray,
    before: np.ndarray,
    after_indptr: np.ndarray,
    after: np.ndarray,
    sizes: np.ndarray,  # bytes on each edge, in the order of `before`; empty: no network
    shared: bool,  # whether data that one task fetched serves the next task on that worker
    priority: np.ndarray,
    rule: int,
    threads: np.ndarray,
    speed: np.ndarray,
    rank: np.ndarray,  # the workers' order of preference: idle ones of the lowest rank are taken first
    latency: np.ndarray,  # (1 or w, 1 or w): from, to
    bandwidth: np.ndarray,
    overhead: float,
    release_delay: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return worker, thread, handed out, start, stop of each task; task, source, start, stop of each transfer."""
    n, workers = len(duration), len(threads)
    network = len(sizes) > 0

    # Tasks: how many predecessors are missing, and the heap of those that are ready.
    missing = np.empty(n, np.int32)
    ready_key, ready = np.empty(n + 1), np.empty(n + 1, np.int32)
    n_ready, arrived = 0, 0
    for task in range(n):
        missing[task] = before_indptr[task + 1] - before_indptr[task]
        if missing[task] == 0:
            key = priority[task] if rule == STATIC else (arrived if rule == FIFO else -arrived)
            n_ready = push(ready_key, ready, n_ready, key, task)
            arrived += 1

    # Workers: their free threads (a stack each), and the heap of those with a free thread. A worker can be in that heap
    # although its last thread was taken since; it is dropped when it comes to the top.
    first_slot = np.zeros(workers + 1, np.int64)
    for w in range(workers):
        first_slot[w + 1] = first_slot[w] + threads[w]
    slots = first_slot[workers]
    free = threads.copy()
    stack = np.empty(slots, np.int32)
    idle_key, idle = np.empty(workers + 1), np.empty(workers + 1, np.int32)
    in_idle = np.ones(workers, np.bool_)
    n_idle = 0
    for w in range(workers):
        for k in range(threads[w]):
            stack[first_slot[w] + k] = threads[w] - 1 - k
        n_idle = push(idle_key, idle, n_idle, rank[w], w)
    total_free = slots

    # What happens next, by time: task i stops, or (as i + n) its end becomes known, so that successors may be ready.
    room = slots + 1 + (n if release_delay > 0 else 0)
    event_key, events = np.empty(room), np.empty(room, np.int64)
    n_events = 0

    # Data: what is where. A table of (task, worker) → when it is there, with open addressing.
    edges = len(sizes)
    capacity, bits = 2, np.uint64(1)
    while shared and capacity < 2 * edges:
        capacity, bits = 2 * capacity, bits + np.uint64(1)
    table_key = np.full(capacity if network else 1, -1, np.int64)
    table_time = np.empty(capacity if network else 1)
    link_free = np.zeros(workers)  # when each worker's incoming link is free
    held = np.zeros(workers)  # bytes of the present task's input that each worker holds

    where = np.full(n, -1, np.int32)
    thread_of = np.full(n, -1, np.int32)
    given, start, stop = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    moved_task, moved_edge = np.empty(edges, np.int32), np.empty(edges, np.int32)
    moved_start, moved_stop = np.empty(edges), np.empty(edges)
    n_moved = 0

    now, scheduler_free = 0.0, 0.0
    while True:
        while n_ready > 0 and total_free > 0:
            task = ready[0]
            n_ready = pop(ready_key, ready, n_ready)

            # Which worker? The idle one that holds most of the input; if none holds any, the first idle one.
            w = -1
            if network:
                most = 0.0
                for e in range(before_indptr[task], before_indptr[task + 1]):
                    holder = where[before[e]]
                    held[holder] += sizes[e]
                    if free[holder] > 0 and (
                        held[holder] > most or (held[holder] == most and w >= 0 and rank[holder] < rank[w])
                    ):
                        w, most = holder, held[holder]
                for e in range(before_indptr[task], before_indptr[task + 1]):
                    held[where[before[e]]] = 0.0
            if w < 0:
                while free[idle[0]] == 0:
                    in_idle[idle[0]] = False
                    n_idle = pop(idle_key, idle, n_idle)
                w = idle[0]
            free[w] -= 1
            total_free -= 1
            thread_of[task] = stack[first_slot[w] + free[w]]
            where[task] = w

            # The scheduler hands out one task after the other.
            scheduler_free = max(now, scheduler_free) + overhead
            begin = scheduler_free
            given[task] = begin

            # The missing inputs come in over the worker's link one after the other; latency is on top of that.
            if network:
                for e in range(before_indptr[task], before_indptr[task + 1]):
                    source = where[before[e]]
                    if source == w:
                        continue
                    spot = 0
                    if shared:
                        key = np.int64(before[e]) * workers + w
                        # Multiplicative hashing (Knuth, The Art of Computer Programming 3, section 6.4).
                        spot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> (np.uint64(64) - bits))
                        while table_key[spot] != -1 and table_key[spot] != key:
                            spot = (spot + 1) & (capacity - 1)
                        if table_key[spot] == key:
                            begin = max(begin, table_time[spot])
                            continue
                        table_key[spot] = key
                    row, column = min(source, latency.shape[0] - 1), min(w, latency.shape[1] - 1)
                    delay = latency[row, column]
                    row, column = min(source, bandwidth.shape[0] - 1), min(w, bandwidth.shape[1] - 1)
                    moved_start[n_moved] = max(given[task], link_free[w])
                    link_free[w] = moved_start[n_moved] + sizes[e] / bandwidth[row, column]
                    moved_stop[n_moved] = link_free[w] + delay
                    moved_task[n_moved], moved_edge[n_moved] = task, e
                    begin = max(begin, moved_stop[n_moved])
                    if shared:
                        table_time[spot] = moved_stop[n_moved]
                    n_moved += 1

            start[task] = begin
            stop[task] = begin + duration[task] / speed[w]
            n_events = push(event_key, events, n_events, stop[task], task)

        if n_events == 0:
            break
        # To the next event; all that happens at that instant does so before anything is handed out.
        now = event_key[0]
        while n_events > 0 and event_key[0] == now:
            task = events[0]
            n_events = pop(event_key, events, n_events)
            if task < n:
                w = where[task]
                stack[first_slot[w] + free[w]] = thread_of[task]
                free[w] += 1
                total_free += 1
                if not in_idle[w]:
                    in_idle[w] = True
                    n_idle = push(idle_key, idle, n_idle, rank[w], w)
                if release_delay > 0:
                    n_events = push(event_key, events, n_events, now + release_delay, task + n)
                    continue
            else:
                task -= n
            for e in range(after_indptr[task], after_indptr[task + 1]):
                next_task = after[e]
                missing[next_task] -= 1
                if missing[next_task] == 0:
                    key = priority[next_task] if rule == STATIC else (arrived if rule == FIFO else -arrived)
                    n_ready = push(ready_key, ready, n_ready, key, next_task)
                    arrived += 1
    return (
        where,
        thread_of,
        given,
        start,
        stop,
        moved_task[:n_moved].copy(),
        moved_edge[:n_moved].copy(),
        moved_start[:n_moved].copy(),
        moved_stop[:n_moved].copy(),
    )
