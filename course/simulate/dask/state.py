"""What the simulation of Dask knows at a moment.

Names follow Dask's own (`distributed.scheduler`, `distributed.stealing`), so that the two can be read side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from course.simulate.heap import pop, push

# For functions that only compiled code calls: without what Python would need to call them, they compile sooner.
kernel = njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)

# Where a task is, as its worker (or, before it has one, the scheduler) sees it.
WAITING, FOUND, QUEUED, SENT, FETCHING, READY, RUNNING, FINISHED, MEMORY = range(9)
# Where a result is, seen from one worker: it will be needed, is on its way, is there, or was there.
NEEDED, FLIGHT, HELD, FREED = range(4)
# What can happen, in the order in which it does at one instant; among equals, what was set going first is first.
STOP, DATA, DONE, ARRIVE, STEAL_REQUEST, STEAL_RESPONSE, BALANCE, SUBMIT = range(8)
# An event is one number: its kind, its turn, and what it is about (a task or an entry), from these bits on.
KIND, TURN = 60, 28
# What a steal costs against the work that it moves, in powers of two; too much; and of a task that was asked for.
LEVELS, TOO_DEAR, ASKED = 15, 15, -1
# The entries of State.count; QUEUE is the root of the heap of tasks that wait at the scheduler, −1 if none does.
N_EVENTS, N_TURNS, N_ASSIGNED, N_ENTRIES, N_STEALS, N_LEFT, QUEUE, N_ANNOUNCED, COUNTS = range(9)
# The entries of State.clock.
NOW, SCHEDULER_FREE, BACKBONE_FREE, NETWORK, ENDED, CLOCKS = range(6)


TASK = np.dtype(
    [
        ("duration", np.float64),
        ("output", np.float64),
        ("rank", np.int64),  # Dask's order: smaller is first; a permutation of 0 … n−1
        ("shuffle", np.int64),  # stands for the order of Python's sets, which nobody chose
        ("group", np.int64),
        ("state", np.int64),
        ("before", np.int64),  # where its predecessors, and its successors, begin and end in State.edges
        ("before_end", np.int64),
        ("after", np.int64),
        ("after_end", np.int64),
        ("missing", np.int64),  # predecessors that are not done; at the worker, inputs that still come in
        ("waiters", np.int64),  # successors that are not done
        ("where", np.int64),
        ("thread", np.int64),
        ("freed_before", np.int64),  # the task that ran on the thread that its worker had freed before this one's
        ("given", np.float64),
        ("start", np.float64),
        ("stop", np.float64),
        ("level", np.int64),  # what stealing it would cost
        ("thief", np.int64),  # the worker that a steal under way would bring it to; −1
        ("thief_cost", np.float64),
        ("victim_cost", np.float64),
        ("entry", np.int64),  # the first entry of its result
        ("occasion", np.int64),  # when it is submitted
        ("weight", np.float64),  # what it counts among the tasks that have ended
    ],
    align=True,
)
WORKER = np.dtype(
    [
        ("threads", np.int64),
        ("speed", np.float64),
        ("ready", np.int64),  # the root of the heap
        ("free", np.int64),  # threads
        ("used", np.int64),  # threads that have ever run a task
        ("freed", np.int64),  # the task whose thread was freed last and is still free
        ("processing", np.int64),  # how many tasks the scheduler has assigned
        ("network", np.float64),  # bytes that assigned tasks still need
        ("held", np.float64),  # bytes of results
        ("idle", np.bool_),
        ("saturated", np.bool_),
        ("has_slot", np.bool_),  # whether a root task may still be sent there
        ("steal_occupancy", np.float64),  # what steals under way will add
        ("steal_tasks", np.int64),
        ("inputs", np.float64),  # bytes of one task's inputs that it holds
    ],
    align=True,
)
GROUP = np.dtype(
    [
        ("rootish", np.bool_),
        ("tasks", np.int64),
        ("average", np.float64),  # of durations; negative where none is known
        ("total", np.int64),  # assigned tasks, over all workers
        ("unassigned", np.int64),
        ("last_worker", np.int64),
        ("last_left", np.int64),
    ],
    align=True,
)
NODE = np.dtype(
    [
        ("key", np.int64),  # the smallest is first
        ("left", np.int64),  # children and parent
        ("right", np.int64),
        ("above", np.int64),
    ],
    align=True,
)
ENTRY = np.dtype(
    [
        ("next", np.int64),  # of the same task
        ("worker", np.int64),
        ("task", np.int64),
        ("status", np.int64),
        ("needs", np.int64),  # assigned tasks that need it there
        ("source", np.int64),  # of the transfer that brought it
        ("reader", np.int64),  # the task that asked for it
        ("start", np.float64),
        ("stop", np.float64),
    ],
    align=True,
)


OCCASION = np.dtype(
    [
        ("after", np.float64),  # the weight of the tasks that must have ended
        ("pause", np.float64),  # seconds from then on
        ("first", np.int64),  # where its tasks begin and end in State.submitted
        ("last", np.int64),
    ],
    align=True,
)


class State(NamedTuple):
    """All that the simulation knows, but for what grows."""

    tasks: np.ndarray
    workers: np.ndarray
    groups: np.ndarray
    edges: np.ndarray  # the predecessors of all tasks, then their successors
    nodes: np.ndarray  # of heaps: node i is task i by its rank, ready or queued; n + i is task i by its shuffle
    stealable: np.ndarray  # (workers, levels): the roots of the heaps, by shuffle, of what may be stolen
    prefixes: np.ndarray  # (workers, groups): how many tasks of each group are assigned
    latency: np.ndarray
    bandwidth: np.ndarray
    link_free: np.ndarray  # (1 or w, w): when the link from a worker to another is free
    count: np.ndarray  # numbers that change
    clock: np.ndarray
    threads: float  # of all workers
    backbone: float
    overhead: float
    delay: float  # of a message
    saturation: float
    unknown: float
    assumed_bandwidth: float
    steal_latency: float
    occasions: np.ndarray
    submitted: np.ndarray  # all tasks, by their occasions


class Growing(NamedTuple):
    """What has no fixed length, because nobody knows how much will be stolen.

    The entries say which worker has, or will have, which result: a linked list for each task.
    """

    entries: np.ndarray
    event_key: np.ndarray  # the heap of what happens next
    events: np.ndarray


@kernel
def predecessors(s: State, task: int) -> np.ndarray:
    """Return the tasks whose results a task needs."""
    return s.edges[s.tasks.before[task] : s.tasks.before_end[task]]


@kernel
def successors(s: State, task: int) -> np.ndarray:
    """Return the tasks that need a task's result."""
    return s.edges[s.tasks.after[task] : s.tasks.after_end[task]]


@kernel
def smallest_first(tasks: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return tasks by the key of each, by a heap: numba takes seconds to compile a sort."""
    heap_keys, heap, count = np.empty(len(tasks)), np.empty(len(tasks), np.int64), 0
    for task in tasks:
        count = push(heap_keys, heap, count, keys[task], task)
    ordered = np.empty(len(tasks), np.int64)
    for i in range(len(tasks)):
        ordered[i] = heap[0]
        count = pop(heap_keys, heap, count)
    return ordered


@kernel
def find(s: State, r: Growing, task: int, worker: int) -> int:
    """Return the entry of a result on a worker, −1 if there is none."""
    entry = s.tasks.entry[task]
    while entry >= 0 and r.entries.worker[entry] != worker:
        entry = r.entries.next[entry]
    return entry


@kernel
def add_entry(s: State, r: Growing, task: int, worker: int, status: int) -> int:
    """Add an entry; return it."""
    entry = s.count[N_ENTRIES]
    s.count[N_ENTRIES] += 1
    r.entries.next[entry], s.tasks.entry[task] = s.tasks.entry[task], entry
    r.entries.worker[entry], r.entries.task[entry] = worker, task
    r.entries.status[entry], r.entries.needs[entry] = status, 0
    r.entries.stop[entry] = np.nan
    return entry


@kernel
def schedule(s: State, r: Growing, time: float, kind: int, what: int) -> None:
    """Let something happen at a time."""
    event = (kind << KIND) + (s.count[N_TURNS] << TURN) + what
    s.count[N_TURNS] += 1
    s.count[N_EVENTS] = push(r.event_key, r.events, s.count[N_EVENTS], time, event)
