"""The rows of a trace as a simulation writes them, one after the other, and the `Trace` made of them."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.cluster import Cluster
from course.graph import TaskGraph
from course.simulate.lists import MOST_SECONDS
from course.trace import COLUMNS, COMPUTE, OVERHEAD, TRANSFER, Trace

ROW = np.dtype(
    [
        ("task", np.int32),
        ("worker", np.int32),
        ("thread", np.int32),
        ("kind", np.uint8),
        ("start", np.float64),
        ("stop", np.float64),
        ("size", np.float64),
        ("source", np.int32),
    ]
)
DROPPED = 255
"""The kind of a row that is left out of the trace: what was planned and never begun."""


@njit(cache=True)
def write(
    rows: np.ndarray,
    count: int,
    task: int,
    worker: int,
    thread: int,
    kind: int,
    start: float,
    stop: float,
    size: float,
    source: int,
) -> int:
    """Add a row; return the new count."""
    row = rows[count]
    row.task, row.worker, row.thread, row.kind = task, worker, thread, kind
    row.start, row.stop, row.size, row.source = start, stop, size, source
    return count + 1


def trace_of(rows: np.ndarray, graph: TaskGraph, cluster: Cluster, *, transfers: bool) -> Trace:
    """Return the trace: the runs by task, then the transfers (if they cost anything) as begun, then the overheads.

    Raises
    ------
    ValueError
        If the run takes too long for sums of its times to be finite.
    """
    if rows["stop"].max(initial=0.0) > MOST_SECONDS:
        raise ValueError(f"the run takes longer than {MOST_SECONDS:g} s; give costs that are less far apart")
    kind = rows["kind"]
    parts = []
    for wanted in (COMPUTE, TRANSFER, OVERHEAD):
        found = np.flatnonzero(kind == wanted)
        if wanted == TRANSFER:
            found = found if transfers else found[:0]
        else:
            found = found[np.lexsort((rows["start"][found], rows["task"][found]))]
        parts.append(found)
    chosen = rows[np.concatenate(parts)]
    columns = [np.ascontiguousarray(chosen[name]) for name in COLUMNS]
    return Trace(*columns, graph=graph, cluster=cluster, origin="simulated")
