"""The sweep of `course.timeshares`, compiled: a trace may have a million tasks, and so millions of instants."""

from __future__ import annotations

import numpy as np
from numba import njit

# What changes at an instant: of one worker, how many tasks run, and how many rows or tasks of a kind there are; …
RUNNING, DISK, DESERIALIZE, TRANSFER, READY = range(5)
# … and of all: whether some of the last tasks of their kind run, and whether anything that was submitted has not ended.
TAIL, ON_THEIR_WAY, NOTHING = 5, 6, 7


@njit(cache=True)
def sweep(
    order: np.ndarray,  # of the changes: by their instant
    when: np.ndarray,
    where: np.ndarray,  # worker
    column: np.ndarray,
    change: np.ndarray,  # 1 or −1
    threads: np.ndarray,  # of each worker
    begin: float,
    end: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return instants, what the threads do from each on (in the order of `course.timeshares.SHARES`), and how many."""
    counts = np.zeros((len(threads), 5), np.int32)
    # Of each worker, and of all: computing, disk, deserialize, transfer, scheduling; idle for another reason; and tasks
    # that are ready beyond those that its own idle threads can take.
    known = np.zeros((len(threads), 7), np.int32)
    totals = np.zeros(7, np.int64)
    for w in range(len(threads)):
        known[w, 5] = threads[w]
        totals[5] += threads[w]
    tails = on_their_way = 0
    times, named = np.empty(1024), np.empty((1024, 9), np.int32)
    pieces = i = 0
    while i < len(order):
        now = when[order[i]]
        if now >= end:
            break
        while i < len(order) and when[order[i]] == now:
            e = order[i]
            i += 1
            if column[e] == TAIL:
                tails += change[e]
                continue
            if column[e] == ON_THEIR_WAY:
                on_their_way += change[e]
                continue
            if column[e] == NOTHING:
                continue
            w = where[e]
            counts[w, column[e]] += change[e]
            for k in range(7):
                totals[k] -= known[w, k]
            idle = threads[w]
            known[w, 0] = min(counts[w, RUNNING], idle)
            idle -= known[w, 0]
            known[w, 1] = idle if counts[w, DISK] > 0 else 0
            idle -= known[w, 1]
            known[w, 2] = min(idle, counts[w, DESERIALIZE])
            idle -= known[w, 2]
            known[w, 3] = min(idle, counts[w, TRANSFER])
            idle -= known[w, 3]
            known[w, 4] = min(idle, counts[w, READY])
            known[w, 5] = idle - known[w, 4]
            known[w, 6] = counts[w, READY] - known[w, 4]
            for k in range(7):
                totals[k] += known[w, k]
        if now < begin:
            continue
        if pieces == len(times):
            times = np.concatenate((times, np.empty(pieces)))
            named = np.concatenate((named, np.empty((pieces, 9), np.int32)))
        idle = totals[5]
        placement = min(idle, totals[6])
        idle -= placement
        client = 0 if on_their_way > 0 else idle
        idle -= client
        imbalance = idle if tails > 0 else 0
        times[pieces] = now
        for k in range(5):
            named[pieces, k] = totals[k]
        named[pieces, 5], named[pieces, 6] = placement, imbalance
        named[pieces, 7], named[pieces, 8] = idle - imbalance, client
        same = pieces > 0
        for k in range(9):
            if same and named[pieces, k] != named[pieces - 1, k]:
                same = False
        if not same:
            pieces += 1
    return times, named, pieces
