"""The event loop of `course.simulate.Stealing`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from course.simulate.heap import pop, push
from course.simulate.inputs import Inputs, fetch
from course.simulate.rows import write
from course.trace import COMPUTE, OVERHEAD

N_EVENTS, N_WAITING, N_ASLEEP, N_LEFT, N_LOOKS, N_FULL, COUNTS = range(7)
"""The entries of `Threads.count`: events; tasks in all deques; threads asleep; tasks left; deques looked into; deques
with tasks."""

MOST_LOOKS = 20_000_000
"""How many deques may be looked into in all (some 10 s)."""


class Threads(NamedTuple):
    """The threads, their deques, and what happens next."""

    worker: np.ndarray
    thread: np.ndarray  # its number on its worker
    speed: np.ndarray
    task: np.ndarray  # that each runs
    top: np.ndarray  # thieves take from here
    bottom: np.ndarray  # its own thread puts and takes here
    length: np.ndarray
    above: np.ndarray  # the neighbours of each task in its deque
    below: np.ndarray
    full: np.ndarray  # the deques with tasks, first N_FULL entries
    spot: np.ndarray  # where each of them is in that list
    asleep: np.ndarray  # the threads that found nothing to steal anywhere, first N_ASLEEP entries
    since: np.ndarray  # when each of them looked last
    event_key: np.ndarray  # thread p ends its task, or (as p + m) an attempt to steal
    events: np.ndarray
    count: np.ndarray


class Tasks(NamedTuple):
    """The tasks."""

    seconds: np.ndarray
    output: np.ndarray  # bytes
    after_indptr: np.ndarray
    after: np.ndarray
    missing: np.ndarray
    where: np.ndarray


@njit(cache=True)
def put(t: Threads, p: int, task: int) -> None:
    """Put a task at the bottom of a deque."""
    t.above[task], t.below[task] = t.bottom[p], -1
    if t.bottom[p] >= 0:
        t.below[t.bottom[p]] = task
    else:
        t.top[p] = task
    t.bottom[p] = task
    if t.length[p] == 0:
        t.full[t.count[N_FULL]], t.spot[p] = p, t.count[N_FULL]
        t.count[N_FULL] += 1
    t.length[p] += 1
    t.count[N_WAITING] += 1


@njit(cache=True)
def take(t: Threads, p: int, from_top: bool) -> int:
    """Take the task at one end of a deque that is not empty."""
    task = t.top[p] if from_top else t.bottom[p]
    above, below = t.above[task], t.below[task]
    if above >= 0:
        t.below[above] = below
    else:
        t.top[p] = below
    if below >= 0:
        t.above[below] = above
    else:
        t.bottom[p] = above
    t.length[p] -= 1
    t.count[N_WAITING] -= 1
    if t.length[p] == 0:  # the last of the deques with tasks takes its place
        t.count[N_FULL] -= 1
        last = t.full[t.count[N_FULL]]
        t.full[t.spot[p]], t.spot[last] = last, t.spot[p]
    return task


@njit(cache=True)
def schedule(t: Threads, moment: float, event: int) -> None:
    """Let something happen at a moment."""
    t.count[N_EVENTS] = push(t.event_key, t.events, t.count[N_EVENTS], moment, event)


@njit(cache=True)
def choose_victim(t: Threads, p: int, attempt: float, richest: bool, rng: np.random.Generator) -> int:
    """Return the thread that p tries to steal from."""
    m = len(t.worker)
    if richest:
        t.count[N_LOOKS] += 1 + m // 32  # neighbours in memory: fast
        return np.argmax(t.length)
    t.count[N_LOOKS] += 1
    if attempt == 0:  # it would try, in no time, until it finds one of these
        return t.full[int(rng.random() * t.count[N_FULL])]
    victim = int(rng.random() * (m - 1))
    return victim + (victim >= p)


@njit(cache=True)
def wake(t: Threads, now: float, attempt: float) -> None:
    """Let those who sleep make the next of the attempts that they would have made in vain until now."""
    m = len(t.worker)
    for k in range(t.count[N_ASLEEP]):
        p = t.asleep[k]
        moment = now
        if attempt > 0:
            moment = max(now, t.since[p] + max(1.0, np.ceil((now - t.since[p]) / attempt)) * attempt)
        schedule(t, moment, p + m)
    t.count[N_ASLEEP] = 0


@njit(cache=True)
def go_on(
    t: Threads,
    tasks: Tasks,
    inputs: Inputs,
    network: bool,
    keys: np.ndarray,
    copies: np.ndarray,
    rows: np.ndarray,
    count: int,
    p: int,
    now: float,
    attempt: float,
) -> int:
    """Let a thread run the next task of its own deque, or try to steal if there is none; return the count of rows."""
    if t.length[p] == 0:
        schedule(t, now + attempt, p + len(t.worker))
        return count
    task, w = take(t, p, False), t.worker[p]
    t.task[p], tasks.where[task] = task, w
    begin = now
    if network:
        begin, count = fetch(inputs, keys, copies, rows, count, tasks.where, task, w, now)
    stop = begin + tasks.seconds[task] / t.speed[p]
    schedule(t, stop, p)
    return write(rows, count, task, w, t.thread[p], COMPUTE, begin, stop, tasks.output[task], -1)


@njit(cache=True)
def simulate(
    t: Threads,
    tasks: Tasks,
    inputs: Inputs,
    network: bool,  # whether moving data takes any time
    keys: np.ndarray,  # the table of copies
    copies: np.ndarray,
    attempt: float,
    half: bool,
    richest: bool,
    dealt: bool,
    rng: np.random.Generator,
    rows: np.ndarray,
) -> int:
    """Write the rows of the trace; return their number, or −1 where it takes too many attempts."""
    n, m = len(tasks.seconds), len(t.worker)
    sources = np.flatnonzero(tasks.missing == 0)
    for k in range(len(sources) - 1, -1, -1):  # the first one comes to the bottom
        put(t, k % m if dealt else 0, sources[k])
    t.count[N_LEFT] = n
    now, count = 0.0, 0
    for p in range(m):
        count = go_on(t, tasks, inputs, network, keys, copies, rows, count, p, now, attempt)
    while t.count[N_LEFT] > 0:
        now, event = t.event_key[0], t.events[0]
        t.count[N_EVENTS] = pop(t.event_key, t.events, t.count[N_EVENTS])
        p = event % m
        if event < m:
            t.count[N_LEFT] -= 1
            task = t.task[p]
            for e in range(tasks.after_indptr[task + 1] - 1, tasks.after_indptr[task] - 1, -1):
                tasks.missing[tasks.after[e]] -= 1
                if tasks.missing[tasks.after[e]] == 0:
                    put(t, p, tasks.after[e])
            count = go_on(t, tasks, inputs, network, keys, copies, rows, count, p, now, attempt)
        elif t.count[N_WAITING] == 0:
            t.asleep[t.count[N_ASLEEP]], t.since[p] = p, now
            t.count[N_ASLEEP] += 1
        else:
            victim = choose_victim(t, p, attempt, richest, rng)
            if t.count[N_LOOKS] > MOST_LOOKS:
                return -1
            stolen = (t.length[victim] + 1) // 2 if half else min(t.length[victim], 1)
            for _ in range(stolen):
                put(t, p, take(t, victim, True))
            if stolen > 0:
                begun = now - attempt
                count = write(
                    rows, count, t.bottom[p], t.worker[p], t.thread[p], OVERHEAD, begun, now, 0.0, t.worker[victim]
                )  # fmt: skip
            count = go_on(t, tasks, inputs, network, keys, copies, rows, count, p, now, attempt)
        if t.count[N_WAITING] > 0 and t.count[N_ASLEEP] > 0:
            wake(t, now, attempt)
    return count
