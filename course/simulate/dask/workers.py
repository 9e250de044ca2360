"""What a worker does: fetch inputs, keep what is ready in order, run it."""

from __future__ import annotations

import numpy as np

from course.simulate.dask.assignment import forget_need
from course.simulate.dask.skew_heap import inserted, removed
from course.simulate.dask.state import (
    BACKBONE_FREE,
    DATA,
    DONE,
    FETCHING,
    FINISHED,
    FLIGHT,
    HELD,
    NEEDED,
    NOW,
    READY,
    RUNNING,
    STOP,
    Growing,
    State,
    find,
    kernel,
    predecessors,
    schedule,
    smallest_first,
    successors,
)


@kernel
def start_tasks(s: State, r: Growing, w: int) -> None:
    """Let every free thread of a worker take its first ready task."""
    while s.workers.free[w] > 0 and s.workers.ready[w] >= 0:
        task = s.workers.ready[w]
        s.workers.ready[w] = removed(s.nodes, task, task)
        s.workers.free[w] -= 1
        freed = s.workers.freed[w]
        if freed >= 0:  # the thread that was freed last
            s.tasks.thread[task], s.workers.freed[w] = s.tasks.thread[freed], s.tasks.freed_before[freed]
        else:
            s.tasks.thread[task] = s.workers.used[w]
            s.workers.used[w] += 1
        s.tasks.state[task] = RUNNING
        s.tasks.start[task] = s.clock[NOW]
        s.tasks.stop[task] = s.clock[NOW] + s.tasks.duration[task] / s.workers.speed[w]
        schedule(s, r, s.tasks.stop[task], STOP, task)


@kernel
def stop(s: State, r: Growing, task: int) -> None:
    """Let a task end: its thread is free for the next at once, and the scheduler hears of it later."""
    w = s.tasks.where[task]
    s.tasks.freed_before[task], s.workers.freed[w] = s.workers.freed[w], task
    s.workers.free[w] += 1
    s.tasks.state[task] = FINISHED
    schedule(s, r, s.clock[NOW] + s.delay, DONE, task)
    start_tasks(s, r, w)


@kernel
def become_ready(s: State, r: Growing, task: int) -> None:
    """Put a task whose inputs are all there among the ready ones of its worker."""
    w = s.tasks.where[task]
    s.tasks.state[task] = READY
    s.workers.ready[w] = inserted(s.nodes, s.workers.ready[w], task)
    start_tasks(s, r, w)


@kernel
def transfer(s: State, r: Growing, entry: int, source: int) -> None:
    """Let a result be brought to a worker: over its link, and over the backbone, one after the other."""
    w, size = r.entries.worker[entry], s.tasks.output[r.entries.task[entry]]
    link = min(source, s.link_free.shape[0] - 1)
    begin = max(s.clock[NOW], s.link_free[link, w])
    row, column = min(source, s.bandwidth.shape[0] - 1), min(w, s.bandwidth.shape[1] - 1)
    s.clock[BACKBONE_FREE] = max(s.clock[NOW], s.clock[BACKBONE_FREE]) + size / s.backbone
    s.link_free[link, w] = max(begin + size / s.bandwidth[row, column], s.clock[BACKBONE_FREE])
    row, column = min(source, s.latency.shape[0] - 1), min(w, s.latency.shape[1] - 1)
    r.entries.start[entry], r.entries.stop[entry] = begin, s.link_free[link, w] + s.latency[row, column]
    r.entries.status[entry], r.entries.source[entry] = FLIGHT, source
    schedule(s, r, r.entries.stop[entry], DATA, entry)


@kernel
def arrive(s: State, r: Growing, task: int) -> None:
    """Let a worker get a task: it asks at once for the inputs that it does not have."""
    w = s.tasks.where[task]
    s.tasks.state[task] = FETCHING
    s.tasks.missing[task] = 0
    for data in predecessors(s, task):
        entry = find(s, r, data, w)
        if r.entries.status[entry] == HELD:
            continue
        s.tasks.missing[task] += 1
        if r.entries.status[entry] == NEEDED:
            transfer(s, r, entry, s.tasks.where[data])
            r.entries.reader[entry] = task
    if s.tasks.missing[task] == 0:
        become_ready(s, r, task)


@kernel
def data_arrives(s: State, r: Growing, entry: int) -> None:
    """Let a result come in at a worker: what waited only for it is ready."""
    if r.entries.status[entry] != FLIGHT:
        return  # nobody needs it any more
    data, w = r.entries.task[entry], r.entries.worker[entry]
    r.entries.status[entry] = HELD
    s.workers.held[w] += s.tasks.output[data]
    if r.entries.needs[entry] > 0:
        forget_need(s, r, entry)
        r.entries.needs[entry] = 0
    ready, k = np.empty(len(successors(s, data)), np.int64), 0
    for task in successors(s, data):
        if s.tasks.where[task] == w and s.tasks.state[task] == FETCHING:
            s.tasks.missing[task] -= 1
            if s.tasks.missing[task] == 0:
                ready[k] = task
                k += 1
    for task in smallest_first(ready[:k], s.tasks.shuffle):
        become_ready(s, r, task)
