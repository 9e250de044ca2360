"""`instance`: a random scheduling problem of a named shape, for fair races between static policies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from course.domain import generator, number, one_of, whole
from course.graph import TaskGraph, cholesky, epigenomics, fork_join, montage, stencil, tree_reduce


def _tiles(tasks: int) -> int:
    """Return the side of the tiled Cholesky factorisation whose number of tasks is nearest."""
    return min(range(2, 40), key=lambda k: abs(k * (k + 1) * (k + 2) // 6 - tasks))


INSTANCE_SHAPES: dict[str, Callable[[int], TaskGraph]] = {
    "fork-join": lambda tasks: fork_join(max(1, (tasks - 1) // 2 - 1), stages=2),
    "tree": lambda tasks: tree_reduce(max(2, (tasks + 1) // 2)),
    "montage": lambda tasks: montage(max(2, (tasks - 5) // 3)),
    "epigenomics": lambda tasks: epigenomics(2, max(1, (tasks - 6) // 8)),
    "cholesky": lambda tasks: cholesky(_tiles(tasks)),
    "stencil": lambda tasks: stencil(max(2, round((tasks / 2) ** 0.5)), max(2, round((tasks * 2) ** 0.5))),
}
"""Shapes, as functions from about how many tasks to a graph."""


def instance(
    shape: str, tasks: int, machines: int, ccr: float, *, heterogeneity: float = 1.0, seed: int = 0
) -> tuple[TaskGraph, np.ndarray]:
    r"""Return a random problem: a graph whose edges are seconds, and the cost of each task on each machine.

    Parameters
    ----------
    shape : str
        A name of `INSTANCE_SHAPES`.
    tasks : int
        About how many, at least 12.
    machines : int
        m, at least 1.
    ccr : float
        Communication-to-computation ratio: the mean time of an edge divided by the mean cost of a task.
    heterogeneity : float
        β, from 0 to 2: the costs of a task of mean :math:`\bar w` are uniform from :math:`\bar w (1 - β/2)` to
        :math:`\bar w (1 + β/2)`, independently of each other. 0 is machines alike.
    seed : int

    Returns
    -------
    graph : TaskGraph
        Mean costs are the shape's, times a uniform factor from 0 to 2; edges likewise.
    costs : array, shape (n, machines)

    Raises
    ------
    ValueError
        An argument outside its domain.

    Examples
    --------
    >>> graph, costs = instance("montage", 60, 4, ccr=2.0, seed=1)
    >>> len(graph), costs.shape, round(float(graph.sizes.mean() / costs.mean()), 6)
    (59, (59, 4), 2.0)

    Notes
    -----
    The range-based costs are those of the paper by Topcuoglu, Hariri and Wu (2002). Taught in chapter 13.
    """
    one_of("shape", shape, INSTANCE_SHAPES)
    tasks, machines = whole("tasks", tasks, low=12, high=10**5), whole("machines", machines, low=1, high=10**4)
    ccr, beta = float(number("ccr", ccr, low=0)), float(number("heterogeneity", heterogeneity, low=0, high=2))
    rng = generator(seed)
    graph = INSTANCE_SHAPES[shape](tasks)
    mean = graph.duration * rng.uniform(0, 2, len(graph))
    costs = mean[:, None] * rng.uniform(1 - beta / 2, 1 + beta / 2, (len(graph), machines))
    edges = rng.uniform(0, 2, len(graph.indices))
    edges *= ccr * costs.mean() / edges.mean()
    return TaskGraph(costs.mean(axis=1), 0.0, (graph.indptr, graph.indices), edge_size=edges, names=graph.names), costs
