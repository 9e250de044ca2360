"""The event loop of list scheduling where workers fail and come back; see `course.simulate.failures`.

It has more to keep than `list_kernel`, and is used only where there are failures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from course.simulate.heap import pop, push
from course.simulate.inputs import Inputs, fetch, find
from course.simulate.list_kernel import FIFO, LIFO
from course.simulate.places import N_FREE, Places, best_holder, first_idle, give_back, remove, restore, take
from course.simulate.rows import DROPPED, write
from course.trace import COMPUTE, OVERHEAD, TRANSFER

WAITING, READY, RUNNING, DONE, GONE = range(5)
"""Where a task is: it waits for others; it can be handed out; it was; its result is there; its result was lost, and
nobody needs it."""

MOST_LOOKS = 2_000_000_000
"""How many tasks, edges and rows may be gone through because of failures, in all (10 to 20 s)."""

N_READY, N_EVENTS, N_LEFT, TURN, COUNTS = range(5)
"""The entries of `Tasks.count`."""


class Tasks(NamedTuple):
    """The tasks, and what happens next."""

    duration: np.ndarray  # of a run that no straggler makes
    seconds: np.ndarray  # of the present or next run
    output: np.ndarray  # bytes
    after_indptr: np.ndarray
    after: np.ndarray
    last_first: np.ndarray  # an order in which each task comes before all its predecessors
    priority: np.ndarray
    rule: int
    state: np.ndarray
    known: np.ndarray  # whether the scheduler knows that it is done
    missing: np.ndarray
    where: np.ndarray  # the worker that runs it, or has its result
    thread: np.ndarray
    row: np.ndarray  # of the present run
    stop: np.ndarray
    key: np.ndarray  # of a ready task: the smallest is first
    ready_key: np.ndarray
    ready: np.ndarray
    event_key: np.ndarray  # task i stops, or (as i + n) the scheduler comes to know it
    events: np.ndarray
    count: np.ndarray


@njit(cache=True)
def make_ready(t: Tasks, task: int) -> None:
    """Put a task among those that can be handed out."""
    if t.state[task] != READY:
        t.state[task] = READY
        t.count[TURN] += 1
        turn = np.float64(t.count[TURN])
        t.key[task] = turn if t.rule == FIFO else -turn if t.rule == LIFO else t.priority[task]
    t.count[N_READY] = push(t.ready_key, t.ready, t.count[N_READY], t.key[task], task)


@njit(cache=True)
def look_ahead(t: Tasks, inputs: Inputs, release_delay: float) -> None:
    """Find out, from where each task is, which ones must run (again), which can, and what happens next."""
    n = len(t.state)
    # A result is needed while a task that must run reads it; final results, until the end.
    for task in t.last_first:
        if t.state[task] == RUNNING or t.state[task] == DONE:
            continue
        needed = t.after_indptr[task] == t.after_indptr[task + 1]
        for e in range(t.after_indptr[task], t.after_indptr[task + 1]):
            needed = needed or t.state[t.after[e]] <= READY
        if not needed:
            t.state[task] = GONE
        elif t.state[task] == GONE:
            t.state[task] = WAITING
    t.count[N_READY] = t.count[N_EVENTS] = t.count[N_LEFT] = 0
    for task in range(n):
        if t.state[task] <= READY:
            t.count[N_LEFT] += 1
            t.missing[task] = 0
            for e in range(inputs.indptr[task], inputs.indptr[task + 1]):
                t.missing[task] += not t.known[inputs.before[e]]
            if t.missing[task] == 0:
                make_ready(t, task)
            else:
                t.state[task] = WAITING
        elif t.state[task] == RUNNING:
            t.count[N_LEFT] += 1
            t.count[N_EVENTS] = push(t.event_key, t.events, t.count[N_EVENTS], t.stop[task], task)
        elif t.state[task] == DONE and not t.known[task]:
            moment = t.stop[task] + release_delay
            t.count[N_EVENTS] = push(t.event_key, t.events, t.count[N_EVENTS], moment, task + n)


@njit(cache=True)
def finish(t: Tasks, places: Places, now: float, release_delay: float) -> None:
    """Let all happen that happens at this instant."""
    n = len(t.state)
    while t.count[N_EVENTS] > 0 and t.event_key[0] == now:
        task = t.events[0]
        t.count[N_EVENTS] = pop(t.event_key, t.events, t.count[N_EVENTS])
        if task < n:
            t.state[task] = DONE
            t.count[N_LEFT] -= 1
            give_back(places, t.where[task], t.thread[task])
            if release_delay > 0:
                t.count[N_EVENTS] = push(t.event_key, t.events, t.count[N_EVENTS], now + release_delay, task + n)
                continue
        else:
            task -= n
        t.known[task] = True
        for e in range(t.after_indptr[task], t.after_indptr[task + 1]):
            later = t.after[e]
            if t.state[later] == WAITING:
                t.missing[later] -= 1
                if t.missing[later] == 0:
                    make_ready(t, later)


@njit(cache=True)
def cut(rows: np.ndarray, row: int, now: float) -> bool:
    """End a row that is under way, with nothing made or moved; return whether it had begun at all."""
    if rows.start[row] >= now:
        rows.kind[row] = DROPPED
        return False
    rows[row].stop, rows[row].size = now, 0.0
    return True


@njit(cache=True)
def fail(
    t: Tasks,
    places: Places,
    inputs: Inputs,
    keys: np.ndarray,
    copies: np.ndarray,
    rows: np.ndarray,
    count: int,
    w: int,
    now: float,
    probability: float,
    factor: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Let a worker be lost with all that it runs and holds; return the table of the copies that are left."""
    n, workers = len(t.state), len(places.free)
    for task in range(n):
        if t.state[task] != RUNNING:
            continue
        lost = t.where[task] == w
        for e in range(inputs.indptr[task], inputs.indptr[task + 1]):
            row = inputs.brought[e]
            lost = lost or (row >= 0 and rows.source[row] == w and rows.stop[row] > now)
        if not lost:
            continue
        t.state[task] = WAITING
        if t.where[task] != w:  # it waits there for what will not come
            give_back(places, t.where[task], t.thread[task])
        if cut(rows, t.row[task], now):
            t.seconds[task] = t.duration[task] * (factor if rng.random() < probability else 1.0)

    # What others fetched is left to them, if it has come in.
    live = 0
    for spot in range(len(keys)):
        live += keys[spot] >= 0
    capacity = 2
    while capacity < 2 * (live + len(inputs.before) + 1):
        capacity *= 2
    left_keys, left = np.full(capacity, -1), np.zeros(capacity, np.int64)
    other = np.full(n, -1)  # the lowest worker that has a copy
    for spot in range(len(keys)):
        if keys[spot] < 0:
            continue
        task, holder = keys[spot] // workers, keys[spot] % workers
        row = copies[spot]
        if holder == w or (rows.source[row] == w and rows.stop[row] > now):
            continue
        place = find(left_keys, keys[spot])
        left_keys[place], left[place] = keys[spot], row
        if rows.stop[row] <= now and (other[task] < 0 or holder < other[task]):
            other[task] = holder
    for task in range(n):
        if t.state[task] == DONE and t.where[task] == w:
            t.where[task] = other[task]
            if other[task] < 0:
                t.state[task], t.known[task] = GONE, False
                t.seconds[task] = t.duration[task] * (factor if rng.random() < probability else 1.0)

    for row in range(count):
        if rows.kind[row] == TRANSFER and rows.stop[row] > now and (rows.source[row] == w or rows.worker[row] == w):
            cut(rows, row, now)
    inputs.link_free[:, w] = 0.0
    remove(places, w)
    return left_keys, left


@njit(cache=True)
def simulate(
    t: Tasks,
    places: Places,
    inputs: Inputs,
    network: bool,  # whether moving data takes any time
    keys: np.ndarray,  # the table of copies
    copies: np.ndarray,
    changes: np.ndarray,  # when a worker is lost or back, in order of time
    changes_worker: np.ndarray,
    changes_back: np.ndarray,
    overhead: float,
    release_delay: float,
    probability: float,
    factor: float,
    rng: np.random.Generator,
    rows: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Return the rows of the trace and when it ended: with tasks left, where no worker is; NaN: it takes too long."""
    n = len(t.state)
    room = 2 * n + len(inputs.before)  # the most rows from one failure to the next: each task is handed out once
    now, scheduler_free = 0.0, 0.0
    change, count, looks = 0, 0, 0
    look_ahead(t, inputs, release_delay)
    while True:
        finish(t, places, now, release_delay)
        if t.count[N_LEFT] == 0:
            break
        lost = False
        while change < len(changes) and changes[change] == now:
            w = changes_worker[change]
            if changes_back[change]:
                restore(places, w)
            else:
                keys, copies = fail(
                    t, places, inputs, keys, copies, rows, count, w, now, probability, factor, rng
                )  # fmt: skip
                lost = True
                looks += room + count + len(keys)
                if looks > MOST_LOOKS:
                    return rows[:count], np.nan
            change += 1
        if lost:
            look_ahead(t, inputs, release_delay)
            if len(rows) < count + room:
                longer = np.empty(2 * count + room, rows.dtype)
                longer[:count] = rows[:count]
                rows = longer

        while places.count[N_FREE] > 0 and t.count[N_READY] > 0:
            task = t.ready[0]
            t.count[N_READY] = pop(t.ready_key, t.ready, t.count[N_READY])
            w = best_holder(places, inputs, t.where, task) if network else -1
            if w < 0:
                w = first_idle(places)
            t.state[task], t.where[task], t.thread[task] = RUNNING, w, take(places, w)
            scheduler_free = max(now, scheduler_free) + overhead
            if overhead > 0:
                begun = scheduler_free - overhead
                count = write(rows, count, task, -1, -1, OVERHEAD, begun, scheduler_free, 0.0, -1)
            # Also where it takes no time: what was fetched is a copy.
            begin, count = fetch(inputs, keys, copies, rows, count, t.where, task, w, scheduler_free)
            t.stop[task] = begin + t.seconds[task] / places.speed[w]
            t.row[task] = count
            count = write(
                rows, count, task, w, t.thread[task], COMPUTE, begin, t.stop[task], t.output[task], -1
            )  # fmt: skip
            t.count[N_EVENTS] = push(t.event_key, t.events, t.count[N_EVENTS], t.stop[task], task)

        if t.count[N_EVENTS] == 0 and change == len(changes):
            break
        now = np.inf
        if t.count[N_EVENTS] > 0:
            now = t.event_key[0]
        if change < len(changes):
            now = min(now, changes[change])
    return rows[:count], now
