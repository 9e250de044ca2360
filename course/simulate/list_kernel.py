"""The event loop of `course.simulate.run`: list scheduling with transfers and a scheduler that takes time."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push
from course.simulate.submissions import TOLERANCE

STATIC, FIFO, LIFO = 0, 1, 2


@njit(cache=True)
def simulate(
    duration: np.ndarray,
    before_indptr: np.ndarray,
    before: np.ndarray,
    after_indptr: np.ndarray,
    after: np.ndarray,
    sizes: np.ndarray,  # bytes: of each task's output if `shared`, else of each edge, in the order of `before`
    shared: bool,  # whether data that one task fetched serves the next task on that worker
    network: bool,  # whether data has to be moved at all
    priority: np.ndarray,
    rule: int,
    sources: np.ndarray,  # the tasks that wait for nothing, in the order in which they are to start
    threads: np.ndarray,
    speed: np.ndarray,
    rank: np.ndarray,  # the workers' order of preference: idle ones of the lowest rank are taken first
    latency: np.ndarray,  # (1 or w, 1 or w): from, to
    bandwidth: np.ndarray,
    link_free: np.ndarray,  # (1 or w, w): when the link from a worker to another is free
    backbone: float,
    overhead: float,
    release_delay: float,
    # When tasks are submitted, as `course.simulate.submissions.Submissions` has it; empty if all are at the beginning.
    occasion: np.ndarray,
    after_weight: np.ndarray,
    pause: np.ndarray,
    weight: np.ndarray,
    # The columns of the trace, to be filled: row i is for task i, the rows after n are for the transfers.
    row_task: np.ndarray,
    where: np.ndarray,
    thread: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    row_size: np.ndarray,
    row_source: np.ndarray,
) -> tuple[int, np.ndarray]:
    """Return how many transfers there were, and when each task was handed out (empty if that takes no time)."""
    n, workers = len(duration), len(threads)

    # Tasks: how many predecessors are missing. Of the ready ones, those that need no heap are in a line: the sources,
    # which are in their order already, and by the rules FIFO and LIFO all others.
    missing = np.empty(n, np.int32)
    for task in range(n):
        missing[task] = before_indptr[task + 1] - before_indptr[task]
    # One that is submitted later misses that, too. The tasks of each occasion are a chain, the first one the smallest.
    occasions, announced, ended = len(after_weight), 0, 0.0
    first_of = np.full(occasions, -1, np.int32)
    next_of = np.empty(n if occasions > 0 else 0, np.int32)
    for task in range(n - 1, -1, -1):
        if occasions > 0:
            missing[task] += 1
            next_of[task], first_of[occasion[task]] = first_of[occasion[task]], task
    line = np.empty(n, np.int32)
    head, tail = 0, len(sources)
    line[:tail] = sources
    ready_key, ready, n_ready = np.empty(n + 1), np.empty(n + 1, np.int32), 0

    # Workers: the heap of those with a free thread. A worker can be in it although its last thread was taken since; it
    # is dropped when it comes to the top. A worker's next thread is the one that was freed last, or else a new one; the
    # freed ones are a chain through the tasks that ran on them.
    free = threads.astype(np.int32)
    total_free = threads.sum()
    used = np.zeros(workers, np.int32)
    freed = np.full(workers, -1, np.int32)
    freed_before = np.empty(n, np.int32)
    idle_key, idle = rank.copy(), np.arange(workers).astype(np.int32)
    in_idle = np.ones(workers, np.bool_)
    n_idle = 0
    for w in range(workers):
        n_idle = push(idle_key, idle, n_idle, rank[w], w)

    # What happens next, by time: task i stops, or (as i + n) its end becomes known, so that successors may be ready, or
    # (as j + 2 n) occasion j comes.
    room = min(total_free, n) + 1 + (n if release_delay > 0 else 0) + occasions
    event_key, events, n_events = np.empty(room), np.empty(room, np.int32), 0
    while announced < occasions and after_weight[announced] <= 0:
        n_events = push(event_key, events, n_events, pause[announced], announced + 2 * n)
        announced += 1

    # Data: which transfer brought the output of a task to a worker. Each task has a small hash table of its own, with
    # open addressing and two places for each successor. They lie in the order of the tasks, like all else that is read.
    table = np.full(2 * len(after) if network and shared else 0, -1, np.int32)
    backbone_free = 0.0  # when what all share is free
    held = np.zeros(workers)  # bytes of the present task's input that each worker holds

    given = np.empty(n if overhead > 0 else 0)
    moved = 0
    now, scheduler_free = 0.0, 0.0
    while True:
        while total_free > 0 and (head < tail or n_ready > 0):
            if n_ready > 0 and (
                head == tail
                or ready_key[0] < priority[line[head]]
                or (ready_key[0] == priority[line[head]] and ready[0] < line[head])
            ):
                task = ready[0]
                n_ready = pop(ready_key, ready, n_ready)
            elif rule == LIFO:
                tail -= 1
                task = line[tail]
            else:
                task = line[head]
                head += 1

            # Which worker? The idle one that holds most of the input; if none holds any, the first idle one.
            w = -1
            if network:
                most = 0.0
                for e in range(before_indptr[task], before_indptr[task + 1]):
                    holder = where[before[e]]
                    held[holder] += sizes[before[e] if shared else e]
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
            where[task] = w
            if freed[w] >= 0:
                thread[task] = thread[freed[w]]
                freed[w] = freed_before[freed[w]]
            else:
                thread[task] = used[w]
                used[w] += 1

            # The scheduler hands out one task after the other.
            scheduler_free = max(now, scheduler_free) + overhead
            begin = scheduler_free
            if overhead > 0:
                given[task] = begin

            # The missing inputs come in over a link one after the other; latency is on top of that.
            if network:
                for e in range(before_indptr[task], before_indptr[task + 1]):
                    data = before[e]
                    source = where[data]
                    if source == w:
                        continue
                    successors = after_indptr[data + 1] - after_indptr[data]
                    if shared and successors > 1:
                        first, places = 2 * after_indptr[data], 2 * successors
                        # Multiplicative hashing (Knuth, The Art of Computer Programming 3, section 6.4).
                        spot = first + ((w * 2654435769 & 0xFFFFFFFF) * places >> 32)
                        while table[spot] >= 0 and where[table[spot]] != w:
                            spot = spot + 1 if spot + 1 < first + places else first
                        if table[spot] >= 0:
                            begin = max(begin, stop[table[spot]])
                            continue
                        table[spot] = n + moved
                    row, column = min(source, latency.shape[0] - 1), min(w, latency.shape[1] - 1)
                    delay = latency[row, column]
                    row, column = min(source, bandwidth.shape[0] - 1), min(w, bandwidth.shape[1] - 1)
                    rate = bandwidth[row, column]
                    row = n + moved
                    row_task[row], where[row], row_source[row] = task, w, source
                    row_size[row] = sizes[data if shared else e]
                    link = min(source, link_free.shape[0] - 1)
                    start[row] = max(scheduler_free, link_free[link, w])
                    backbone_free = max(scheduler_free, backbone_free) + row_size[row] / backbone
                    link_free[link, w] = max(start[row] + row_size[row] / rate, backbone_free)
                    stop[row] = link_free[link, w] + delay
                    begin = max(begin, stop[row])
                    moved += 1

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
            if task >= 2 * n:
                task = first_of[task - 2 * n]
                while task >= 0:
                    missing[task] -= 1
                    if missing[task] == 0:
                        if rule == STATIC:
                            n_ready = push(ready_key, ready, n_ready, priority[task], task)
                        else:
                            line[tail] = task
                            tail += 1
                    task = next_of[task]
                continue
            if task < n:
                w = where[task]
                if announced < occasions:
                    ended += weight[task]
                    while announced < occasions and after_weight[announced] <= ended * (1 + TOLERANCE):
                        n_events = push(event_key, events, n_events, now + pause[announced], announced + 2 * n)
                        announced += 1
                freed_before[task] = freed[w]
                freed[w] = task
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
                if missing[next_task] > 0:
                    continue
                if rule == STATIC:
                    n_ready = push(ready_key, ready, n_ready, priority[next_task], next_task)
                else:
                    line[tail] = next_task
                    tail += 1
    return moved, given
