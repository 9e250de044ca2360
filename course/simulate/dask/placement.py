"""Which worker gets a task."""

from __future__ import annotations

import numpy as np

from course.simulate.dask.estimates import count_inputs, forget_inputs, occupancy
from course.simulate.dask.state import HELD, N_ASSIGNED, Growing, State, kernel, predecessors


@kernel
def smaller(s: State, w: int, other: int) -> bool:
    """Whether a worker holds fewer bytes than another; among equals, whether its number is lower."""
    return s.workers.held[w] < s.workers.held[other] or (s.workers.held[w] == s.workers.held[other] and w < other)


@kernel
def decide_worker(s: State, r: Growing, task: int) -> int:
    """Return the worker, among those that hold some input, where the task is thought to start first."""
    total = count_inputs(s, r, task)
    best, best_start = -1, np.inf
    for data in predecessors(s, task):
        entry = s.tasks.entry[data]
        while entry >= 0:
            w = r.entries.worker[entry]
            if r.entries.status[entry] == HELD and w != best:
                start = occupancy(s, w) / s.workers.threads[w] + (total - s.workers.inputs[w]) / s.assumed_bandwidth
                if best < 0 or start < best_start or (start == best_start and smaller(s, w, best)):
                    best, best_start = w, start
            entry = r.entries.next[entry]
    forget_inputs(s, r, task)
    return best


@kernel
def decide_first(s: State) -> int:
    """Return a worker for a task without inputs whose group is small: of few, the least busy, else one in turn."""
    any_idle = s.workers.idle.any()
    pool = np.empty(len(s.workers), np.int64)
    k = 0
    for w in range(len(s.workers)):
        if s.workers.idle[w] or not any_idle:
            pool[k] = w
            k += 1
    turn = s.count[N_ASSIGNED] % k
    if k >= 20:
        return pool[turn]
    best, least = -1, np.inf
    for i in range(k):
        occ = occupancy(s, pool[i])
        if occ == 0:  # those with nothing to do, in turn
            while occupancy(s, pool[turn]) > 0:
                turn = (turn + 1) % k
            return pool[turn]
        if best < 0 or occ < least:
            best, least = pool[i], occ
    return best


@kernel
def decide_rootish_with_queue(s: State) -> int:
    """Return the least busy worker that has room, −1 if none has: the task is queued at the scheduler then."""
    best, best_share = -1, np.inf
    for w in range(len(s.workers)):
        if s.workers.has_slot[w] and s.workers.processing[w] / s.workers.threads[w] < best_share:
            best, best_share = w, s.workers.processing[w] / s.workers.threads[w]
    return best


@kernel
def decide_rootish_without_queue(s: State, r: Growing, task: int) -> int:
    """Return the worker of a root task where nothing is queued: neighbours go to the same worker."""
    g = s.tasks.group[task]
    w = s.groups.last_worker[g]
    if w < 0 or s.groups.last_left[g] <= 0:
        w, best_start, any_idle = -1, np.inf, s.workers.idle.any()
        total = count_inputs(s, r, task)
        for k in range(len(s.workers)):
            if s.workers.idle[k] or not any_idle:
                start = occupancy(s, k) / s.workers.threads[k] + (total - s.workers.inputs[k]) / s.assumed_bandwidth
                if w < 0 or start < best_start or (start == best_start and smaller(s, k, w)):
                    w, best_start = k, start
        forget_inputs(s, r, task)
        s.groups.last_left[g] = int(np.floor(s.groups.tasks[g] / s.threads * s.workers.threads[w]))
    s.groups.last_worker[g] = w if s.groups.unassigned[g] > 1 else -1
    s.groups.last_left[g] -= 1
    return w
