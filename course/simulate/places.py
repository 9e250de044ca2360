"""The workers' free threads, and which worker a task is to go to, as the notes of `course.simulate.run` describe it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from course.cluster import Cluster
from course.simulate.arguments import room
from course.simulate.heap import pop, push
from course.simulate.inputs import Inputs

N_IDLE, N_FREE = range(2)
"""The entries of `Places.count`: workers in the heap of the idle ones, and free threads."""


class Places(NamedTuple):
    """The workers."""

    speed: np.ndarray
    rank: np.ndarray  # the order of preference: the faster, then the lower number
    threads: np.ndarray
    free: np.ndarray  # how many threads of each are free: a stack, the next one on top
    stack: np.ndarray  # all stacks, one after the other
    first: np.ndarray  # where each one begins
    idle_key: np.ndarray  # a heap by rank; one without a free thread may still be in it, and is dropped at the top
    idle: np.ndarray
    in_idle: np.ndarray
    count: np.ndarray
    held: np.ndarray  # bytes of one task's input that each has; 0 in between


def places_of(cluster: Cluster, n: int) -> Places:
    """Return the workers with all threads free; of those that n tasks can never use, none is kept."""
    workers = cluster.workers
    threads = np.minimum(cluster.threads_per_worker, n)
    room("workers times threads", float(threads.sum(dtype=float)))
    speed = np.full(workers, cluster.speed, dtype=float)
    rank = np.empty(workers)
    by_rank = np.argsort(-speed, kind="stable")
    rank[by_rank] = np.arange(workers)
    first = np.cumsum(threads) - threads
    # Thread 0 is on top.
    stack = np.repeat(first + threads, threads) - 1 - np.arange(threads.sum())
    return Places(
        speed,
        rank,
        threads,
        free=threads.copy(),
        stack=stack,
        first=first,
        idle_key=np.arange(workers, dtype=float),
        idle=by_rank,
        in_idle=np.ones(workers, bool),
        count=np.array([workers, threads.sum()]),
        held=np.zeros(workers),
    )


@njit(cache=True)
def take(places: Places, w: int) -> int:
    """Return a thread of a worker that has a free one: the one that was freed last, or else a new one."""
    places.free[w] -= 1
    places.count[N_FREE] -= 1
    return places.stack[places.first[w] + places.free[w]]


@njit(cache=True)
def give_back(places: Places, w: int, thread: int) -> None:
    """Free a thread."""
    places.stack[places.first[w] + places.free[w]] = thread
    places.free[w] += 1
    places.count[N_FREE] += 1
    if not places.in_idle[w]:
        places.in_idle[w] = True
        places.count[N_IDLE] = push(places.idle_key, places.idle, places.count[N_IDLE], places.rank[w], w)


@njit(cache=True)
def remove(places: Places, w: int) -> None:
    """Let a worker have no thread any more."""
    places.count[N_FREE] -= places.free[w]
    places.free[w] = 0


@njit(cache=True)
def restore(places: Places, w: int) -> None:
    """Let a worker that was removed have all its threads again, all of them free."""
    for thread in range(places.threads[w] - 1, -1, -1):
        give_back(places, w, thread)


@njit(cache=True)
def best_holder(places: Places, inputs: Inputs, where: np.ndarray, task: int) -> int:
    """Return the idle worker that made most of a task's input; −1 where none made any."""
    best, most = -1, 0.0
    for e in range(inputs.indptr[task], inputs.indptr[task + 1]):
        w = where[inputs.before[e]]
        places.held[w] += inputs.size[e]
        held = places.held[w]
        if places.free[w] > 0 and (held > most or (held == most and best >= 0 and places.rank[w] < places.rank[best])):
            best, most = w, held
    for e in range(inputs.indptr[task], inputs.indptr[task + 1]):
        places.held[where[inputs.before[e]]] = 0.0
    return best


@njit(cache=True)
def first_idle(places: Places) -> int:
    """Return the first idle worker in the order of preference; there must be one."""
    while places.free[places.idle[0]] == 0:
        places.in_idle[places.idle[0]] = False
        places.count[N_IDLE] = pop(places.idle_key, places.idle, places.count[N_IDLE])
    return places.idle[0]
