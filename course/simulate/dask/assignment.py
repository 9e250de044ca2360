"""Giving tasks to workers, taking them back, and the accounts of that."""

from __future__ import annotations

import numpy as np

from course.simulate.dask.estimates import check_idle_saturated, occupancy, steal_level
from course.simulate.dask.placement import (
    decide_first,
    decide_rootish_with_queue,
    decide_rootish_without_queue,
    decide_worker,
)
from course.simulate.dask.skew_heap import inserted, removed
from course.simulate.dask.state import (
    ARRIVE,
    ASKED,
    FREED,
    HELD,
    N_ASSIGNED,
    NEEDED,
    NETWORK,
    NOW,
    QUEUE,
    QUEUED,
    SCHEDULER_FREE,
    SENT,
    TOO_DEAR,
    Growing,
    State,
    add_entry,
    find,
    kernel,
    predecessors,
    schedule,
)


@kernel
def put_in_stealable(s: State, task: int) -> None:
    """Let a task be found among those that may be stolen from its worker, unless moving it costs too much."""
    level = steal_level(s, task)
    s.tasks.level[task] = level
    if level < TOO_DEAR:
        w = s.tasks.where[task]
        s.stealable[w, level] = inserted(s.nodes, s.stealable[w, level], len(s.tasks) + task)


@kernel
def remove_from_stealable(s: State, task: int) -> None:
    """Let a task not be stolen any more."""
    w, level = s.tasks.where[task], s.tasks.level[task]
    if level != TOO_DEAR and level != ASKED:
        s.stealable[w, level] = removed(s.nodes, s.stealable[w, level], len(s.tasks) + task)


@kernel
def add_to_processing(s: State, r: Growing, task: int, w: int) -> None:
    """Note that a task is assigned to a worker, and which inputs it needs there."""
    g = s.tasks.group[task]
    s.tasks.where[task] = w
    s.prefixes[w, g] += 1
    s.groups.total[g] += 1
    s.workers.processing[w] += 1
    put_in_stealable(s, task)
    for data in predecessors(s, task):
        entry = find(s, r, data, w)
        if entry < 0:
            entry = add_entry(s, r, data, w, NEEDED)
        if r.entries.status[entry] != HELD:
            if r.entries.needs[entry] == 0:
                s.workers.network[w] += s.tasks.output[data]
                s.clock[NETWORK] += s.tasks.output[data]
            r.entries.needs[entry] += 1


@kernel
def forget_need(s: State, r: Growing, entry: int) -> None:
    """Take a result off what is still to be brought to a worker."""
    w, size = r.entries.worker[entry], s.tasks.output[r.entries.task[entry]]
    s.workers.network[w] -= min(size, s.workers.network[w])
    s.clock[NETWORK] -= min(size, s.clock[NETWORK])


@kernel
def remove_from_processing(s: State, r: Growing, task: int) -> None:
    """Undo `add_to_processing`: the task is done, or was stolen."""
    g, w = s.tasks.group[task], s.tasks.where[task]
    s.prefixes[w, g] -= 1
    s.groups.total[g] -= 1
    s.workers.processing[w] -= 1
    remove_from_stealable(s, task)
    for data in predecessors(s, task):
        entry = find(s, r, data, w)
        if entry >= 0 and r.entries.needs[entry] > 0:
            r.entries.needs[entry] -= 1
            if r.entries.needs[entry] == 0:
                forget_need(s, r, entry)


@kernel
def send(s: State, r: Growing, task: int) -> None:
    """Let the scheduler hand a task to its worker: one task after the other, and then the message takes a while."""
    s.clock[SCHEDULER_FREE] = max(s.clock[NOW], s.clock[SCHEDULER_FREE]) + s.overhead
    s.tasks.given[task] = s.clock[SCHEDULER_FREE]
    s.tasks.state[task] = SENT
    schedule(s, r, s.tasks.given[task] + s.delay, ARRIVE, task)


@kernel
def assign(s: State, r: Growing, task: int) -> None:
    """Give a task whose inputs are there to a worker, or put it in the queue."""
    if s.groups.rootish[s.tasks.group[task]] and s.saturation < np.inf:
        w = decide_rootish_with_queue(s)
        if w < 0:
            s.tasks.state[task] = QUEUED
            s.count[QUEUE] = inserted(s.nodes, s.count[QUEUE], task)
            return
    elif s.groups.rootish[s.tasks.group[task]]:
        w = decide_rootish_without_queue(s, r, task)
    elif s.tasks.before[task] < s.tasks.before_end[task]:
        w = decide_worker(s, r, task)
    else:
        w = decide_first(s)
    s.groups.unassigned[s.tasks.group[task]] -= 1
    add_to_processing(s, r, task, w)
    check_idle_saturated(s, w, occupancy(s, w))
    s.count[N_ASSIGNED] += 1
    send(s, r, task)


@kernel
def fill_slots(s: State, r: Growing) -> None:
    """Send queued root tasks to workers that have room."""
    while s.count[QUEUE] >= 0 and s.workers.has_slot.any():
        task = s.count[QUEUE]
        s.count[QUEUE] = removed(s.nodes, task, task)
        assign(s, r, task)


@kernel
def free_result(s: State, r: Growing, task: int) -> None:
    """Drop a result that no task waits for any more, wherever it is or is going."""
    entry = s.tasks.entry[task]
    while entry >= 0:
        if r.entries.status[entry] == HELD:
            s.workers.held[r.entries.worker[entry]] -= s.tasks.output[task]
        r.entries.status[entry] = FREED
        entry = r.entries.next[entry]
    s.tasks.entry[task] = -1
