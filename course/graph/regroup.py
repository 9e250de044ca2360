"""Graphs whose tasks are coarser or finer: `merge_tasks` and `split_tasks`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from course.graph.taskgraph import GraphError, TaskGraph

_INDEX = re.compile(r"\d+")

MOST_PARTS = 10_000_000
"""How many tasks, and how many edges, a graph may have whose tasks were cut."""


def merge_tasks(graph: TaskGraph, group: ArrayLike) -> TaskGraph:
    """Return the graph in which the tasks of each group are one task.

    Parameters
    ----------
    graph : TaskGraph
    group : array of int, shape (tasks,)
        The group of each task, from 0 on, none left out. Its tasks run one after the other in one task, which waits for
        all that any of them waits for, and hands on all that they hand on to others.

    Returns
    -------
    TaskGraph
        A task for each group, named like the group's first.

    Raises
    ------
    GraphError
        Groups of the wrong shape, or that do not count from 0 up.
    CycleError
        Groups that would wait for each other.

    Examples
    --------
    >>> from course.graph import independent
    >>> merge_tasks(independent(6, 0.5), [0, 0, 0, 1, 1, 1])
    TaskGraph(2 tasks, 0 edges, work 3 s, span 1.5 s)

    Notes
    -----
    Successors read the whole output of a task that was merged; where each edge has its own size, the edges that become
    one are added up. Taught in chapter 20.
    """
    labels = np.asarray(group)
    n = len(graph)
    if labels.shape != (n,) or (n and (labels.dtype.kind not in "iu" or labels.min() != 0)):
        raise GraphError(f"group is {group!r:.80}; it must hold a whole number from 0 on for each of {n} tasks")
    labels = np.minimum(labels, n).astype(np.int64)  # n: too large, so that another one is missing
    count = int(labels.max(initial=-1)) + 1
    members = np.bincount(labels, minlength=count)
    if not members.all():
        raise GraphError(f"group {int(np.flatnonzero(members == 0)[0])} has no tasks; groups must count from 0 up")
    after = labels[np.repeat(np.arange(n), np.diff(graph.indptr))]
    before = labels[graph.indices]
    outer = after != before
    edges, edge = np.unique((after * count + before)[outer], return_inverse=True)
    # What a group keeps to itself it does not hand on.
    outside = np.zeros(n, bool)
    outside[graph.indices[outer]] = True
    outside[np.diff(graph.successor_arrays[0]) == 0] = True
    first = np.full(count, n)
    np.minimum.at(first, labels, np.arange(n))
    return TaskGraph(
        np.bincount(labels, graph.duration, count),
        np.bincount(labels, graph.output_size * outside, count),
        (np.searchsorted(edges, np.arange(count + 1) * count), edges % max(count, 1)),
        edge_size=None if graph.edge_size is None else np.bincount(edge, graph.edge_size[outer], len(edges)),
        names=None if graph.names is None else [graph.names[i] for i in first.tolist()],
    )


def split_tasks(graph: TaskGraph, parts: ArrayLike) -> tuple[TaskGraph, np.ndarray]:
    """Return the graph in which tasks are cut into equal parts, and the task that each new one is a part of.

    Parameters
    ----------
    graph : TaskGraph
    parts : array of int, shape (tasks,)
        Into how many parts each is cut, at least 1. Each part takes its share of the time, and hands on its share of
        the output. A part reads what the task read; where that was cut into as many parts, one part reads one.

    Returns
    -------
    graph : TaskGraph
        With the parts of a task one after the other, named ``name-part-0``, …
    origin : array of int, shape (new tasks,)
        The task that each was a part of.

    Raises
    ------
    GraphError
        If parts are not whole numbers from 1 on, or would make more than 10 million tasks or edges.

    Examples
    --------
    >>> from course.graph import chain
    >>> finer, origin = split_tasks(chain(2, duration=1.0), [4, 1])
    >>> finer, origin.tolist()
    (TaskGraph(5 tasks, 4 edges, work 2 s, span 1.25 s), [0, 0, 0, 0, 1])

    Notes
    -----
    Taught in chapter 23.
    """
    counts = np.asarray(parts)
    n = len(graph)
    if counts.shape != (n,) or (n and (counts.dtype.kind not in "iu" or counts.min() < 1)):
        raise GraphError(f"parts is {parts!r:.80}; it must hold a whole number from 1 on for each of {n} tasks")
    owner = np.repeat(np.arange(n), np.diff(graph.indptr))
    # As floats, which do not overflow.
    many = counts.astype(float)
    edges = float((many[owner] * np.where(counts[owner] == counts[graph.indices], 1.0, many[graph.indices])).sum())
    if many.sum() > MOST_PARTS or edges > MOST_PARTS:
        raise GraphError(
            f"parts would make {many.sum():.4g} tasks and {edges:.4g} edges; at most {MOST_PARTS:,} each: take fewer"
            " parts, or as many for the tasks that read as for those that are read"
        )
    counts = counts.astype(np.int64)
    origin = np.repeat(np.arange(n), counts)
    start = np.cumsum(counts) - counts
    predecessors, sizes = [], []
    for task in range(n):
        before = graph.predecessors(task)
        alike = counts[before] == counts[task]
        size = graph.sizes[graph.indptr[task] : graph.indptr[task + 1]] / counts[before]
        size = np.concatenate([size[alike], np.repeat(size[~alike], counts[before[~alike]])])
        for part in range(counts[task]):
            one_each = start[before[alike]] + part
            all_of_them = [start[p] + np.arange(counts[p]) for p in before[~alike]]
            predecessors.append(np.concatenate([one_each, *all_of_them]).tolist())
            sizes.append(size)
    names = None
    if graph.names is not None:
        names = [
            name if counts[i] == 1 else f"{name}-part-{k}"
            for i, name in enumerate(graph.names)
            for k in range(counts[i])
        ]
    finer = TaskGraph(
        graph.duration[origin] / counts[origin], graph.output_size[origin] / counts[origin], predecessors,
        edge_size=None if graph.edge_size is None else np.concatenate(sizes), names=names,
    )  # fmt: skip
    return finer, origin


def neighbours(names: Sequence[str], size: int) -> np.ndarray:
    """Return groups of neighbours: so many tasks of one layer that follow one another, shape (tasks,).

    Parameters
    ----------
    names : sequence of str
        Dask's keys: ``('sum-0f1e…', 3, 0)`` is of the layer ``sum-0f1e…``, ``load-7`` of the layer ``load``.
    size : int
        How many tasks make a group; the last group of a layer can have fewer.

    Raises
    ------
    GraphError
        If the size is no whole number of at least 1.

    Examples
    --------
    >>> neighbours(["load-10", "load-2", "load-1", "merge"], 2).tolist()
    [1, 0, 0, 2]
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise GraphError(f"size is {size!r:.80}; it must be a whole number of at least 1")
    size = int(size)
    layers: dict[str, list[tuple[tuple[int, ...], int]]] = {}
    for task, name in enumerate(names):
        if name.startswith("('"):
            layer, _, place = name[2:].partition("'")
        else:
            layer, hyphen, place = name.rpartition("-")
            if not place.isdecimal():
                layer, place = (layer, "") if hyphen and len(place) >= 16 else (name, "")
        index = tuple(int(number) for number in _INDEX.findall(place))
        layers.setdefault(layer, []).append((index, task))
    groups, count = np.empty(len(names), np.int64), 0
    for tasks in layers.values():
        for k, (_, task) in enumerate(sorted(tasks)):
            groups[task] = count + k // size
        count += -(-len(tasks) // size)
    return groups
