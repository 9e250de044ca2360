"""The order in which Dask prefers the tasks of a graph."""

from __future__ import annotations

import numpy as np

from course.graph.taskgraph import TaskGraph


def dask_order(graph: TaskGraph) -> np.ndarray:
    """Return the rank that Dask gives each task: of those that are ready, the smallest rank is first; shape (n,).

    It is that of `dask.order.order`: depth first, so that results are used, and forgotten, soon after they were made.

    Examples
    --------
    Two sums of two leaves each: when both leaves of a sum are there, the sum comes before the next leaf.

    >>> graph = TaskGraph([1] * 6, 0, [[], [], [], [], [0, 1], [2, 3]])
    >>> np.argsort(dask_order(graph)).tolist()
    [3, 2, 5, 1, 0, 4]

    Notes
    -----
    Dask's own function: some 20 µs a task for trees and independent tasks, but far more for graphs that are wide and
    tangled (100 random layers of 1,000 tasks take minutes). Chapters 05 and 10.
    """
    import dask.order
    from dask.task_spec import Task, TaskRef

    n = len(graph)
    if not n:
        return np.empty(0, dtype=np.int64)
    rows = np.split(graph.indices, graph.indptr[1:-1])
    # Roots before others, then by number, as the names that `measure.run_graph` gives; no strings, because the order
    # in a set of strings, and with it Dask's, is another one in each process.
    keys = [(int(len(row) > 0), i) for i, row in enumerate(rows)]
    tasks = {keys[i]: Task(keys[i], _nothing, *(TaskRef(keys[p]) for p in rows[i].tolist())) for i in range(n)}
    ranks = dask.order.order(tasks)
    return np.array([ranks[key] for key in keys], dtype=np.int64)


def _nothing(*_: object) -> None:
    """Stand for what a task does; only the dependencies matter."""
