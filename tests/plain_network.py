"""How inputs come to a worker, in plain Python and from the notes of `run` alone: a part of several twins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from course.cluster import Cluster
from course.graph import TaskGraph


@dataclass
class Transfer:
    task: int
    source: int
    worker: int
    start: float
    stop: float
    size: float
    dropped: bool = False

    def row(self) -> tuple:
        return (self.task, self.source, self.worker, self.start, self.stop, self.size)


class PlainNetwork:
    def __init__(self, graph: TaskGraph, cluster: Cluster) -> None:
        workers = cluster.workers
        self.shared = graph.edge_size is None
        self.before = [graph.predecessors(i).tolist() for i in range(len(graph))]
        ends = graph.indptr.tolist()
        self.sizes = [graph.sizes[a:b].tolist() for a, b in pairwise(ends)]
        self.latency = np.broadcast_to(cluster.latency, (workers, workers)).tolist()
        self.bandwidth = np.broadcast_to(cluster.bandwidth, (workers, workers)).tolist()
        self.all_together = cluster.backbone
        slow = any(any(row) for row in self.latency) or any(b < math.inf for row in self.bandwidth for b in row)
        self.costs = slow or self.all_together < math.inf
        self.links, self.backbone = cluster.links, 0.0
        self.link: dict[tuple[int, int], float] = {}  # when it is free, by source (0 for all) and receiver
        self.copies: dict[tuple[int, int], Transfer] = {}
        self.transfers: list[Transfer] = []

    def made(self, task: int, where: list[int]) -> dict[int, float]:
        """Return the bytes of the input that each worker made."""
        made: dict[int, float] = {}
        for data, size in zip(self.before[task], self.sizes[task], strict=True):
            made[where[data]] = made.get(where[data], 0.0) + size
        return made

    def bring(self, task: int, w: int, moment: float, where: list[int]) -> list[Transfer]:
        """Return the transfers, old and new, that the task waits for on worker w."""
        waits = []
        for data, size in zip(self.before[task], self.sizes[task], strict=True):
            source = where[data]
            if source == w:
                continue
            if self.shared and (data, w) in self.copies:
                waits.append(self.copies[data, w])
                continue
            link = source if self.links == "pair" else 0, w
            start = max(moment, self.link.get(link, 0.0))
            self.backbone = max(moment, self.backbone) + size / self.all_together
            self.link[link] = max(start + size / self.bandwidth[source][w], self.backbone)
            move = Transfer(task, source, w, start, self.link[link] + self.latency[source][w], size)
            self.transfers.append(move)
            waits.append(move)
            if self.shared:
                self.copies[data, w] = move
        return waits


def transfer_rows(trace) -> list[tuple]:
    """Return the transfers of a trace, as `Transfer.row` gives them."""
    moved = trace.kind == 1
    columns = (trace.task, trace.source, trace.worker, trace.start, trace.stop, trace.size)
    return list(zip(*(column[moved].tolist() for column in columns), strict=True))
