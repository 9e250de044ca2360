"""The search for the best schedule of a small graph: branch and bound, depth first."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.static_kernels import data_ready


@njit(cache=True)
def search(
    position: np.ndarray,  # of each task in a topological order
    indptr: np.ndarray,
    indices: np.ndarray,
    after_indptr: np.ndarray,
    after: np.ndarray,
    size: np.ndarray,
    latency: np.ndarray,
    bandwidth: np.ndarray,
    costs: np.ndarray,
    column: np.ndarray,
    group: np.ndarray,
    twin: np.ndarray,  # the machine before that is like this one; −1: none
    tail: np.ndarray,  # the least time from the end of each task to the end of the graph
    best_where: np.ndarray,  # a schedule to begin with; is overwritten by a better one
    best_start: np.ndarray,
    best: float,
    most: int,  # of steps
) -> tuple[float, int]:
    """Return the makespan of the best schedule and the steps taken; more than ``most``: the search was given up.

    Tasks are added in the order of their starts, each after all others of its machine: every schedule in which no task
    could start earlier without another order arises so, and a best one is among these. A part is given up when it
    cannot beat the best so far: the longest way from what is ready, or the work left shared by all machines, ends too
    late.
    """
    n, machines = len(position), len(column)
    least = np.empty(n)
    left = 0.0  # work that is not placed, each task where it is fastest
    for task in range(n):
        least[task] = costs[task].min()
        left += least[task]
    where, start, finish = np.full(n, -1, np.int32), np.zeros(n), np.zeros(n)
    missing = np.empty(n, np.int64)
    for task in range(n):
        missing[task] = indptr[task + 1] - indptr[task]
    free, load = np.zeros(machines), np.zeros(machines, np.int64)
    ready = np.zeros((n, group.max() + 1))

    taken = np.full(n + 1, -1, np.int64)  # the task of each depth
    free_before = np.zeros(n + 1)
    trial = np.zeros(n + 1, np.int64)  # the next (task, machine) to try at each depth
    longest = np.zeros(n + 1)  # the latest finish so far, at each depth
    depth, steps = 0, 0
    while depth >= 0:
        if depth == n and longest[n] < best:
            best = longest[n]
            best_where[:], best_start[:] = where, start
        if trial[depth] >= n * machines or depth == n:
            depth -= 1
            if depth >= 0:  # take back the last task
                task = taken[depth]
                p = where[task]
                free[p] = free_before[depth]
                load[p] -= 1
                where[task] = -1
                left += least[task]
                for e in range(after_indptr[task], after_indptr[task + 1]):
                    missing[after[e]] += 1
            continue
        task, p = trial[depth] // machines, trial[depth] % machines
        if p == 0 and (where[task] >= 0 or missing[task] > 0):
            trial[depth] += machines
            continue
        trial[depth] += 1
        if twin[p] >= 0 and load[p] == 0 and load[twin[p]] == 0:
            continue  # the same as on its twin
        steps += 1
        if steps > most:
            break
        begin = max(ready[task, group[p]], free[p])
        end = begin + costs[task, column[p]]
        if max(longest[depth], end + tail[task]) >= best:
            continue
        if depth > 0:
            last = taken[depth - 1]
            if begin < start[last]:
                continue  # arises when this task is taken before the last one
            if begin == start[last] and position[task] < position[last] and end > begin and finish[last] > start[last]:
                continue

        # Everything left starts no earlier than this task.
        work = left - least[task]
        for q in range(machines):
            work += max(end if q == p else free[q], begin)
        if work / machines >= best * (1 + 1e-12):
            continue
        where[task], start[task], finish[task] = p, begin, end
        free_before[depth] = free[p]
        hopeless = False
        free[p] = end
        for other in range(n):
            if where[other] < 0 and missing[other] == 0:
                soonest = np.inf
                for q in range(machines):
                    possible = max(max(ready[other, group[q]], free[q]), begin)
                    soonest = min(soonest, possible + costs[other, column[q]])
                if soonest + tail[other] >= best:
                    hopeless = True
                    break
        if hopeless:
            free[p] = free_before[depth]
            where[task] = -1
            continue
        taken[depth] = task
        load[p] += 1
        left -= least[task]
        for e in range(after_indptr[task], after_indptr[task + 1]):
            missing[after[e]] -= 1
            if missing[after[e]] == 0:
                data_ready(ready[after[e]], after[e], indptr, indices, size, latency, bandwidth, group, where, finish)
        longest[depth + 1] = max(longest[depth], end)
        depth += 1
        trial[depth] = 0
    return best, steps
