"""The loops of `course.simulate.cache`, one for each policy. Each takes constant time a request."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def lru(requests: np.ndarray, items: int, capacity: int) -> np.ndarray:
    """Evict what was not asked for for the longest time: a linked list in the order of last use. Return the hits."""
    hit = np.zeros(len(requests), np.bool_)
    older, newer = np.full(items + 1, -1), np.full(items + 1, -1)  # -1: not in the cache
    end = items  # stands for both ends of the list
    older[end] = newer[end] = end
    size = 0
    for i in range(len(requests)):
        item = requests[i]
        if newer[item] >= 0:
            hit[i] = True
            unlink(item, older, newer)
        elif size < capacity:
            size += 1
        else:
            oldest = newer[end]
            unlink(oldest, older, newer)
            newer[oldest] = -1
        link(item, older[end], older, newer)
    return hit


@njit(cache=True)
def replace(requests: np.ndarray, items: int, capacity: int, lot: np.ndarray) -> np.ndarray:
    """Evict what came first (``lot`` empty), or anything, by a number in [0, 1) for each request. Return the hits."""
    hit = np.zeros(len(requests), np.bool_)
    inside = np.zeros(items, np.bool_)
    slots = np.full(capacity, -1)
    misses = 0
    for i in range(len(requests)):
        item = requests[i]
        if inside[item]:
            hit[i] = True
            continue
        slot = misses % capacity if misses < capacity or len(lot) == 0 else int(lot[i] * capacity)
        misses += 1
        if slots[slot] >= 0:
            inside[slots[slot]] = False
        slots[slot] = item
        inside[item] = True
    return hit


@njit(cache=True)
def lfu(requests: np.ndarray, items: int, capacity: int) -> np.ndarray:
    """Evict what was asked for least often since it came in; among equals the least recently used. Return the hits.

    A linked list in order of (uses, last use), and for each number of uses where its stretch of the list ends.
    """
    hit = np.zeros(len(requests), np.bool_)
    before, after = np.full(items + 1, -1), np.full(items + 1, -1)
    end = items
    before[end] = after[end] = end
    uses = np.zeros(items + 1, np.int64)
    last = np.full(len(requests) + 2, -1)  # by number of uses, -1: nobody
    size = 0
    for i in range(len(requests)):
        item = requests[i]
        left = end  # after whom the item goes, if nobody has its new number of uses
        if after[item] >= 0:
            hit[i] = True
            left = last[uses[item]] if last[uses[item]] != item else before[item]
            leave(item, before, after, uses, last)
        elif size < capacity:
            size += 1
        else:
            victim = after[end]
            leave(victim, before, after, uses, last)
            after[victim], uses[victim] = -1, 0
        uses[item] += 1
        if last[uses[item]] >= 0:
            left = last[uses[item]]
        link(item, left, before, after)
        last[uses[item]] = item
    return hit


@njit(cache=True)
def leave(item: int, before: np.ndarray, after: np.ndarray, uses: np.ndarray, last: np.ndarray) -> None:
    """Take an item out of the list, and keep the ends of the stretches true."""
    if last[uses[item]] == item:
        last[uses[item]] = before[item] if uses[before[item]] == uses[item] else -1
    unlink(item, before, after)


@njit(cache=True)
def unlink(item: int, before: np.ndarray, after: np.ndarray) -> None:
    """Take an item out of a linked list."""
    after[before[item]] = after[item]
    before[after[item]] = before[item]


@njit(cache=True)
def link(item: int, left: int, before: np.ndarray, after: np.ndarray) -> None:
    """Put an item into a linked list behind another."""
    right = after[left]
    before[item], after[item] = left, right
    after[left] = before[right] = item
