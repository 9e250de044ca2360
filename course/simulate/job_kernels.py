"""The event loops of `course.simulate.jobs`."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push


@njit(cache=True)
def in_order(
    arrival: np.ndarray, width: np.ndarray, runtime: np.ndarray, estimate: np.ndarray, nodes: int, backfill: bool
) -> tuple[np.ndarray, np.ndarray]:
    """First come first served, with EASY backfilling or without. Return each start, and what was promised (or NaN)."""
    n = len(arrival)
    start, promised = np.full(n, np.nan), np.full(n, np.nan)
    following, head, tail = np.full(n, -1), -1, -1  # the queue, a linked list
    stops, running, n_running = np.empty(n + 1), np.empty(n + 1, np.int64), 0  # a heap by when they will stop
    ends, ending = np.empty(n + 1), np.empty(n + 1, np.int64)  # the same jobs, in the order of when they should
    free, i = nodes, 0
    while i < n or head >= 0:
        now = arrival[i] if i < n else np.inf
        if head >= 0 and n_running > 0:
            now = min(now, stops[0])
        while n_running > 0 and stops[0] <= now:
            job = running[0]
            forget(ends, ending, n_running, job)
            n_running = pop(stops, running, n_running)
            free += width[job]
        while i < n and arrival[i] <= now:
            if head < 0:
                head = i
            else:
                following[tail] = i
            tail = i
            i += 1
        while head >= 0 and width[head] <= free:
            start[head] = now
            free -= width[head]
            remember(ends, ending, n_running, now + estimate[head], head)
            n_running = push(stops, running, n_running, now + runtime[head], head)
            head = following[head]
        if head < 0 or not backfill:
            continue
        # When the first of the queue can start at the latest, and how many nodes it leaves over then.
        room, k = free, 0
        while room < width[head] or (k < n_running and ends[k] == ends[k - 1]):
            room += width[ending[k]]
            k += 1
        latest, spare = ends[k - 1], room - width[head]
        if np.isnan(promised[head]):
            promised[head] = latest
        before, job = head, following[head]
        while job >= 0 and free > 0:
            in_time = now + estimate[job] <= latest
            if width[job] <= free and (in_time or width[job] <= spare):
                if not in_time:
                    spare -= width[job]
                start[job] = now
                free -= width[job]
                remember(ends, ending, n_running, now + estimate[job], job)
                n_running = push(stops, running, n_running, now + runtime[job], job)
                following[before] = following[job]
                if job == tail:
                    tail = before
            else:
                before = job
            job = following[job]
    return start, promised


@njit(cache=True)
def remember(ends: np.ndarray, ending: np.ndarray, count: int, end: float, job: int) -> None:
    """Insert a job into a list that is sorted by the ends."""
    k = count
    while k > 0 and ends[k - 1] > end:
        ends[k], ending[k] = ends[k - 1], ending[k - 1]
        k -= 1
    ends[k], ending[k] = end, job


@njit(cache=True)
def forget(ends: np.ndarray, ending: np.ndarray, count: int, job: int) -> None:
    """Take a job out of that list."""
    k = 0
    while ending[k] != job:
        k += 1
    for later in range(k + 1, count):
        ends[later - 1], ending[later - 1] = ends[later], ending[later]


@njit(cache=True)
def conservative(
    arrival: np.ndarray, width: np.ndarray, runtime: np.ndarray, estimate: np.ndarray, nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every job is promised a start when it comes, that later ones must respect. Return each start and promise."""
    n = len(arrival)
    start, promised = np.full(n, np.nan), np.full(n, np.nan)  # of those that wait, start is when they are to start
    following, head, tail = np.full(n, -1), -1, -1
    stops, running, n_running = np.empty(n + 1), np.empty(n + 1, np.int64), 0
    # The plan: room[k] nodes are free from time[k] until time[k + 1].
    time, room = np.zeros(2 * n + 4), np.full(2 * n + 4, nodes)
    count, i = 1, 0
    while i < n or head >= 0:
        now = arrival[i] if i < n else np.inf
        if n_running > 0:
            now = min(now, stops[0])
        job = head
        while job >= 0:
            now = min(now, start[job])
            job = following[job]
        count = advance(time, room, count, now)
        early = False
        while n_running > 0 and stops[0] <= now:
            job = running[0]
            n_running = pop(stops, running, n_running)
            if start[job] + estimate[job] > now:
                count = take(time, room, count, now, start[job] + estimate[job], -width[job])
                early = True
        # Somebody stopped before the planned end: all who wait, in order of arrival, look for an earlier start. Their
        # old place is still theirs, so that nobody's start gets later.
        job = head if early else -1
        while job >= 0:
            count = take(time, room, count, start[job], start[job] + estimate[job], -width[job])
            start[job] = earliest(time, room, count, width[job], estimate[job])
            count = take(time, room, count, start[job], start[job] + estimate[job], width[job])
            job = following[job]
        while i < n and arrival[i] <= now:
            start[i] = promised[i] = earliest(time, room, count, width[i], estimate[i])
            count = take(time, room, count, start[i], start[i] + estimate[i], width[i])
            if head < 0:
                head = i
            else:
                following[tail] = i
            tail = i
            i += 1
        before, job = -1, head
        while job >= 0:
            if start[job] <= now:
                n_running = push(stops, running, n_running, now + runtime[job], job)
                if before < 0:
                    head = following[job]
                else:
                    following[before] = following[job]
                if job == tail:
                    tail = before
            else:
                before = job
            job = following[job]
    return start, promised


@njit(cache=True)
def advance(time: np.ndarray, room: np.ndarray, count: int, now: float) -> int:
    """Let the plan begin now; return its new length."""
    past = 0
    while past + 1 < count and time[past + 1] <= now:
        past += 1
    for k in range(past, count):
        time[k - past], room[k - past] = time[k], room[k]
    time[0] = now
    return count - past


@njit(cache=True)
def earliest(time: np.ndarray, room: np.ndarray, count: int, width: int, length: float) -> float:
    """Return the first time from which so many nodes are free for so long."""
    k, j = 0, 0
    while j < count and (j == k or time[j] < time[k] + length):
        if room[j] < width:
            k = j + 1
        j += 1
    return time[k]


@njit(cache=True)
def take(time: np.ndarray, room: np.ndarray, count: int, begin: float, end: float, width: int) -> int:
    """Take nodes out of the plan from begin to end (or give them back: negative width); return its new length."""
    if begin >= end:
        return count
    for cut in (begin, end):
        k = np.searchsorted(time[:count], cut)
        if k == count or time[k] > cut:
            for later in range(count, k, -1):
                time[later], room[later] = time[later - 1], room[later - 1]
            time[k], room[k] = cut, room[k - 1]
            count += 1
    k = np.searchsorted(time[:count], begin)
    while time[k] < end:
        room[k] -= width
        k += 1
    # What no longer divides anything goes, so that the plan is no longer than it must be.
    for cut in (begin, end):
        k = np.searchsorted(time[:count], cut)
        if k > 0 and room[k] == room[k - 1]:
            for later in range(k + 1, count):
                time[later - 1], room[later - 1] = time[later], room[later]
            count -= 1
    return count
