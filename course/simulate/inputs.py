"""How the inputs of a task come to its worker, as the notes of `course.simulate.run` describe it.

Used by the simulators for which simplicity counts more than the last bit of speed; `list_kernel` has it in line.
As with `heap`, numba does not notice when only this file changes: delete ``__pycache__`` after an edit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from course.cluster import Cluster, links_of, pairs
from course.graph import TaskGraph
from course.simulate.rows import write
from course.trace import TRANSFER


class Inputs(NamedTuple):
    """What the tasks read, and the links over which it comes."""

    indptr: np.ndarray
    before: np.ndarray
    size: np.ndarray  # bytes on each edge
    shared: bool  # whether data that one task fetched serves the next task on that worker
    latency: np.ndarray  # (1 or w, 1 or w): from, to
    bandwidth: np.ndarray
    backbone: float
    link_free: np.ndarray  # (1 or w, w): when the link from a worker to another is free
    backbone_free: np.ndarray  # one entry: when what all links share is free
    brought: np.ndarray  # the row of the transfer that brings what is on an edge; −1 where it is there already


def inputs_of(graph: TaskGraph, cluster: Cluster) -> Inputs:
    """Return them as they are before a run begins."""
    return Inputs(
        graph.indptr,
        graph.indices,
        np.array(graph.sizes),
        graph.edge_size is None,
        pairs(cluster.latency, cluster.workers),
        pairs(cluster.bandwidth, cluster.workers),
        float(cluster.backbone),
        link_free=links_of(cluster),
        backbone_free=np.zeros(1),
        brought=np.full(len(graph.indices), -1),
    )


def costs_anything(inputs: Inputs) -> bool:
    """Return whether moving data takes any time at all."""
    return bool((inputs.latency > 0).any() or np.isfinite(inputs.bandwidth).any() or np.isfinite(inputs.backbone))


def table(entries: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an empty table of so many copies: keys (−1: free) and the rows of the transfers that brought them."""
    capacity = 1 << (2 * entries + 1).bit_length()
    return np.full(capacity, -1), np.zeros(capacity, np.int64)


@njit(cache=True)
def find(keys: np.ndarray, key: int) -> int:
    """Return where a key is in an open-addressing table, or where it is to go; at least one entry must be free."""
    mask = len(keys) - 1
    # Multiplicative hashing (Knuth, The Art of Computer Programming 3, section 6.4).
    spot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while keys[spot] >= 0 and keys[spot] != key:
        spot = (spot + 1) & mask
    return spot


@njit(cache=True)
def fetch(
    inputs: Inputs,
    keys: np.ndarray,
    copies: np.ndarray,
    rows: np.ndarray,
    count: int,
    where: np.ndarray,  # the worker that has each task's output
    task: int,
    w: int,
    moment: float,
) -> tuple[float, int]:
    """Bring a task's inputs to worker w, from a moment on; return when all are there, and the new count of rows."""
    begin = moment
    for e in range(inputs.indptr[task], inputs.indptr[task + 1]):
        data = inputs.before[e]
        source = where[data]
        inputs.brought[e] = -1
        if source == w:
            continue
        if inputs.shared:
            key = np.int64(data) * inputs.link_free.shape[1] + w
            spot = find(keys, key)
            if keys[spot] == key:
                inputs.brought[e] = copies[spot]
                begin = max(begin, rows.stop[copies[spot]])
                continue
            keys[spot], copies[spot] = key, count
        row, column = min(source, inputs.latency.shape[0] - 1), min(w, inputs.latency.shape[1] - 1)
        latency = inputs.latency[row, column]
        row, column = min(source, inputs.bandwidth.shape[0] - 1), min(w, inputs.bandwidth.shape[1] - 1)
        rate = inputs.bandwidth[row, column]
        link = min(source, inputs.link_free.shape[0] - 1)
        start = max(moment, inputs.link_free[link, w])
        inputs.backbone_free[0] = max(moment, inputs.backbone_free[0]) + inputs.size[e] / inputs.backbone
        inputs.link_free[link, w] = max(start + inputs.size[e] / rate, inputs.backbone_free[0])
        stop = inputs.link_free[link, w] + latency
        inputs.brought[e] = count
        count = write(rows, count, task, w, -1, TRANSFER, start, stop, inputs.size[e], source)
        begin = max(begin, stop)
    return begin, count
