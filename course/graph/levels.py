"""Longest paths through a task graph. Compiled: a graph may have a million tasks."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def successors(indptr: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the successors in CSR form, from the predecessors: a counting sort, in time linear in the edges."""
    n = len(indptr) - 1
    after_indptr = np.zeros(n + 1, np.int64)
    for before in indices:
        after_indptr[before + 1] += 1
    for task in range(n):
        after_indptr[task + 1] += after_indptr[task]
    place = after_indptr[:n].copy()
    after = np.empty(len(indices), np.int32)
    for task in range(n):
        for e in range(indptr[task], indptr[task + 1]):
            after[place[indices[e]]] = task
            place[indices[e]] += 1
    return after_indptr, after


@njit(cache=True)
def topological_order(before_indptr: np.ndarray, after_indptr: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the tasks so that each comes after its predecessors; those of a cycle, and all after it, are missing.

    Kahn: Topological sorting of large networks. Communications of the ACM 5(11), 1962.
    """
    n = len(before_indptr) - 1
    missing = np.diff(before_indptr)
    order = np.empty(n, np.int64)
    found = 0
    for task in range(n):
        if missing[task] == 0:
            order[found] = task
            found += 1
    done = 0
    while done < found:
        for e in range(after_indptr[order[done]], after_indptr[order[done] + 1]):
            missing[after[e]] -= 1
            if missing[after[e]] == 0:
                order[found] = after[e]
                found += 1
        done += 1
    return order[:found]


@njit(cache=True)
def t_level(
    order: np.ndarray, duration: np.ndarray, indptr: np.ndarray, indices: np.ndarray, edge_cost: np.ndarray
) -> np.ndarray:
    """Return the longest way from the start of the graph to the start of each task; one edge cost may stand for all."""
    level = np.zeros(len(duration))
    last = len(edge_cost) - 1
    for task in order:
        for e in range(indptr[task], indptr[task + 1]):
            before = indices[e]
            level[task] = max(level[task], level[before] + duration[before] + edge_cost[min(e, last)])
    return level


@njit(cache=True)
def b_level(
    order: np.ndarray, duration: np.ndarray, indptr: np.ndarray, indices: np.ndarray, edge_cost: np.ndarray
) -> np.ndarray:
    """Return the longest way from the start of each task to the end of the graph; edge costs as for `t_level`."""
    level = duration.copy()
    last = len(edge_cost) - 1
    for i in range(len(order) - 1, -1, -1):
        task = order[i]
        for e in range(indptr[task], indptr[task + 1]):
            before = indices[e]
            level[before] = max(level[before], duration[before] + edge_cost[min(e, last)] + level[task])
    return level
