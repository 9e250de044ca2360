"""How long each run of a task really takes: the one place where stragglers are drawn."""

from __future__ import annotations

import numpy as np

from course.cluster import Cluster
from course.domain import generator
from course.graph import TaskGraph
from course.graph.taskgraph import MOST


def real_durations(graph: TaskGraph, cluster: Cluster, seed: int) -> np.ndarray:
    """Return the seconds that the first run of each task takes on a worker of speed 1, shape (n,), read-only.

    Every task is drawn for, in the order of their numbers, apart from what else the seed fixes: with one seed the same
    tasks are slow under every policy.

    Raises
    ------
    ValueError
        If the factor makes the work longer than 1e300 s.

    Examples
    --------
    >>> graph = TaskGraph([1, 2, 3, 4])
    >>> real_durations(graph, Cluster(2, stragglers=(0.5, 10)), seed=0).tolist()
    [1.0, 20.0, 3.0, 40.0]
    """
    probability, factor = cluster.stragglers
    if not probability:
        return graph.duration
    slow = _draws(seed)[0].random(len(graph)) < probability
    if graph.work > MOST / factor:
        raise ValueError(
            f"stragglers take {factor:g} times as long; the work of {graph.work:g} s could exceed {MOST:g} s"
        )
    seconds = np.where(slow, factor, 1.0) * graph.duration
    seconds.flags.writeable = False  # as those of the graph: numba compiles anew for another kind of array
    return seconds


def rerun_draws(seed: int) -> np.random.Generator:
    """Return the generator that draws which further runs of tasks are slow, where runs are lost."""
    return _draws(seed)[1]


def _draws(seed: int) -> list[np.random.Generator]:
    return generator(seed).spawn(2)
