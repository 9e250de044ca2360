"""The event loop of `course.simulate.Delay`: list scheduling in which a task may wait for a worker with its input."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from course.simulate.heap import pop, push
from course.simulate.inputs import Inputs, fetch
from course.simulate.list_kernel import FIFO, LIFO
from course.simulate.places import N_FREE, Places, best_holder, first_idle, give_back, take
from course.simulate.rows import write
from course.trace import COMPUTE, OVERHEAD

N_READY, N_EVENTS, TURN, COUNTS = range(4)
"""The entries of `Tasks.count`."""


class Tasks(NamedTuple):
    """The tasks, those that wait, and what happens next."""

    seconds: np.ndarray
    output: np.ndarray  # bytes
    after_indptr: np.ndarray
    after: np.ndarray
    owner: np.ndarray  # the task that each edge leads to
    priority: np.ndarray
    rule: int
    missing: np.ndarray
    where: np.ndarray
    thread: np.ndarray
    key: np.ndarray  # the smallest is first
    since: np.ndarray  # when each became ready
    started: np.ndarray
    parked: np.ndarray  # whether it waits, or waited, for one of the workers with its input
    in_ready: np.ndarray
    ready_key: np.ndarray  # the tasks to look at, by their key
    ready: np.ndarray
    event_key: np.ndarray  # task i stops; as i + n its end becomes known; as i + 2n it has waited long enough
    events: np.ndarray
    # For each worker a skew heap (Sleator, Tarjan 1986) of the edges over which waiting tasks would read its results.
    root: np.ndarray
    left: np.ndarray
    right: np.ndarray
    count: np.ndarray


@njit(cache=True)
def goes_first(t: Tasks, a: int, b: int) -> bool:
    """Return whether the task of edge a goes before that of edge b."""
    first, second = t.owner[a], t.owner[b]
    return t.key[first] < t.key[second] or (t.key[first] == t.key[second] and first < second)


@njit(cache=True)
def merged(t: Tasks, a: int, b: int) -> int:
    """Return the root of two heaps made one."""
    if a < 0:
        return b
    if b < 0:
        return a
    if goes_first(t, b, a):
        a, b = b, a
    root = a
    while True:  # go down the right spine of a, and swap the children on the way
        child = t.right[a]
        t.right[a] = t.left[a]
        if child < 0:
            t.left[a] = b
            return root
        if goes_first(t, b, child):
            child, b = b, child
        t.left[a] = child
        a = child


@njit(cache=True)
def park(t: Tasks, inputs: Inputs, task: int) -> bool:
    """Let a task wait for the workers that made its input; return False where none made any."""
    for e in range(inputs.indptr[task], inputs.indptr[task + 1]):
        if inputs.size[e] > 0:
            t.parked[task] = True
            w = t.where[inputs.before[e]]
            t.left[e] = t.right[e] = -1
            t.root[w] = merged(t, t.root[w], e)
    return t.parked[task]


@njit(cache=True)
def look_at(t: Tasks, task: int) -> None:
    """Put a task among those to look at."""
    if not t.in_ready[task]:
        t.in_ready[task] = True
        t.count[N_READY] = push(t.ready_key, t.ready, t.count[N_READY], t.key[task], task)


@njit(cache=True)
def offer(t: Tasks, w: int) -> None:
    """Look at the first task that waits for a worker with a free thread."""
    while t.root[w] >= 0 and t.started[t.owner[t.root[w]]]:
        t.root[w] = merged(t, t.left[t.root[w]], t.right[t.root[w]])
    if t.root[w] >= 0:
        look_at(t, t.owner[t.root[w]])


@njit(cache=True)
def become_ready(t: Tasks, task: int, now: float) -> None:
    """Let a task be handed out from now on."""
    t.count[TURN] += 1
    turn = np.float64(t.count[TURN])
    t.key[task] = turn if t.rule == FIFO else -turn if t.rule == LIFO else t.priority[task]
    t.since[task] = now
    look_at(t, task)


@njit(cache=True)
def schedule(t: Tasks, moment: float, event: int) -> None:
    """Let something happen at a moment."""
    t.count[N_EVENTS] = push(t.event_key, t.events, t.count[N_EVENTS], moment, event)


@njit(cache=True)
def finish(t: Tasks, places: Places, now: float, release_delay: float) -> None:
    """Let all happen that happens at this instant."""
    n = len(t.seconds)
    while t.count[N_EVENTS] > 0 and t.event_key[0] == now:
        task = t.events[0] % n
        what = t.events[0] // n
        t.count[N_EVENTS] = pop(t.event_key, t.events, t.count[N_EVENTS])
        if what == 2:
            if not t.started[task]:
                look_at(t, task)
            continue
        if what == 0:
            give_back(places, t.where[task], t.thread[task])
            offer(t, t.where[task])
            if release_delay > 0:
                schedule(t, now + release_delay, task + n)
                continue
        for e in range(t.after_indptr[task], t.after_indptr[task + 1]):
            t.missing[t.after[e]] -= 1
            if t.missing[t.after[e]] == 0:
                become_ready(t, t.after[e], now)


@njit(cache=True)
def simulate(
    t: Tasks,
    places: Places,
    inputs: Inputs,
    network: bool,  # whether moving data takes any time
    keys: np.ndarray,  # the table of copies
    copies: np.ndarray,
    wait: float,
    overhead: float,
    release_delay: float,
    rows: np.ndarray,
) -> int:
    """Write the rows of the trace; return their number."""
    n = len(t.seconds)
    now, scheduler_free, count = 0.0, 0.0, 0
    for task in range(n):
        if t.missing[task] == 0:
            become_ready(t, task, 0.0)
    while True:
        while places.count[N_FREE] > 0 and t.count[N_READY] > 0:
            task = t.ready[0]
            t.count[N_READY] = pop(t.ready_key, t.ready, t.count[N_READY])
            t.in_ready[task] = False
            w = best_holder(places, inputs, t.where, task) if network else -1
            if w < 0 and network and now < t.since[task] + wait:
                if t.parked[task]:
                    continue
                if park(t, inputs, task):
                    if wait < np.inf:
                        schedule(t, t.since[task] + wait, task + 2 * n)
                    continue
            if w < 0:
                w = first_idle(places)
            t.started[task], t.where[task], t.thread[task] = True, w, take(places, w)
            scheduler_free = max(now, scheduler_free) + overhead
            if overhead > 0:
                begun = scheduler_free - overhead
                count = write(rows, count, task, -1, -1, OVERHEAD, begun, scheduler_free, 0.0, -1)
            begin = scheduler_free
            if network:
                begin, count = fetch(inputs, keys, copies, rows, count, t.where, task, w, begin)
            stop = begin + t.seconds[task] / places.speed[w]
            count = write(rows, count, task, w, t.thread[task], COMPUTE, begin, stop, t.output[task], -1)
            schedule(t, stop, task)
            if t.parked[task]:  # others that wait for its workers may be next
                for e in range(inputs.indptr[task], inputs.indptr[task + 1]):
                    holder = t.where[inputs.before[e]]
                    if places.free[holder] > 0:
                        offer(t, holder)
        if t.count[N_EVENTS] == 0:
            return count
        now = t.event_key[0]
        finish(t, places, now, release_delay)
