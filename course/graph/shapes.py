"""Task graphs of the shapes that programs have.

Every shape takes ``duration`` (seconds of a task) and ``output_size`` (bytes that a task hands on); random shapes
take a ``seed``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, whole
from course.graph.taskgraph import TaskGraph


def _count(name: str, value: int, least: int = 1) -> int:
    return whole(name, value, low=least, high=10**8)


def _each(duration: ArrayLike, n: int) -> np.ndarray:
    """Return the duration of each of n tasks, given one for all or one for each."""
    duration = np.asarray(duration, dtype=float)
    if duration.shape not in ((), (n,)):
        raise ValueError(f"duration has shape {duration.shape}; it must be a number, or {n} of them")
    return np.broadcast_to(duration, (n,))


def _rows(counts: ArrayLike, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return predecessors in CSR form, from how many each task has, and all of them one after the other."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), before


def independent(n: int, duration: ArrayLike = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return n tasks that do not wait for each other (what ``client.map`` makes).

    Examples
    --------
    >>> independent(4).span
    1.0
    """
    n = _count("n", n, 0)
    return TaskGraph(_each(duration, n), output_size)


def chain(n: int, duration: ArrayLike = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return n tasks, each waiting for the one before.

    Examples
    --------
    >>> chain(4).span
    4.0
    """
    n = _count("n", n)
    return TaskGraph(_each(duration, n), output_size, _rows(np.arange(n) > 0, np.arange(n - 1)))


def fork_join(width: int, stages: int = 1, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return a source, then ``stages`` times ``width`` parallel tasks and a join.

    Examples
    --------
    >>> graph = fork_join(8, stages=2)
    >>> len(graph), graph.span, graph.width
    (19, 5.0, 8)
    """
    width, stages = _count("width", width), _count("stages", stages)
    counts = np.concatenate([[0], np.tile(np.append(np.ones(width, int), width), stages)])
    # Of one stage: its source for each of the parallel tasks, then those for the join.
    stage = np.concatenate([np.zeros(width, int), np.arange(1, width + 1)])
    before = (np.arange(stages)[:, None] * (width + 1) + stage).ravel()
    return TaskGraph(np.full(len(counts), duration), output_size, _rows(counts, before))


def tree_reduce(leaves: int, fan_in: int = 2, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return ``leaves`` sources that are combined ``fan_in`` at a time until one task is left.

    Examples
    --------
    >>> graph = tree_reduce(8, fan_in=2)
    >>> len(graph), graph.span
    (15, 4.0)
    """
    leaves, fan_in = _count("leaves", leaves), _count("fan_in", fan_in, 2)
    counts, before = [np.zeros(leaves, int)], []
    level, made = np.arange(leaves), leaves
    while len(level) > 1:
        groups, left = divmod(len(level), fan_in)
        single = left == 1  # nothing to combine: it goes up as it is
        before.append(level[: len(level) - single])
        counts.append(np.append(np.full(groups, fan_in), [left] if left > 1 else []).astype(int))
        new = np.arange(made, made + len(counts[-1]))
        made += len(new)
        level = np.append(new, level[-1:]) if single else new
    rows = _rows(np.concatenate(counts), np.concatenate(before or [level[:0]]))
    return TaskGraph(np.full(made, duration), output_size, rows)


def map_reduce(mappers: int, reducers: int, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return ``mappers`` tasks, every one of which hands an equal part of its output to each of ``reducers`` tasks."""
    mappers, reducers = _count("mappers", mappers), _count("reducers", reducers)
    counts = np.repeat([0, mappers], [mappers, reducers])
    return TaskGraph(
        np.full(mappers + reducers, duration),
        output_size,
        _rows(counts, np.tile(np.arange(mappers), reducers)),
        edge_size=np.full(mappers * reducers, output_size / reducers),
    )


def layered(
    layers: int, width: int, degree: int = 2, duration: float = 1.0, output_size: float = 0.0, seed: int = 0
) -> TaskGraph:
    """Return ``layers`` layers of ``width`` tasks, each waiting for ``degree`` random tasks of the layer before.

    Durations are exponential with mean ``duration``.
    """
    layers, width = _count("layers", layers), _count("width", width)
    degree = min(_count("degree", degree), width)
    rng = generator(seed)
    if degree**2 <= width and width > 16:
        picks = _subsets((layers - 1) * width, width, degree, rng).reshape(layers - 1, width, degree)
    else:
        picks = np.empty((layers - 1, width, degree), dtype=int)
        for layer in range(layers - 1):
            picks[layer] = np.argsort(rng.random((width, width)), axis=1)[:, :degree]
    before = np.sort(picks + np.arange(layers - 1)[:, None, None] * width, axis=2)
    counts = np.repeat([0, degree], [width, (layers - 1) * width])
    return TaskGraph(rng.exponential(duration, layers * width), output_size, _rows(counts, before.ravel()))


def _subsets(rows: int, width: int, degree: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``degree`` different numbers below ``width``, each set as likely as any other, for each of the rows.

    Floyd's way, whose cost does not grow with the width (Bentley, Floyd: A sample of brilliance. Communications of the
    ACM 30(9), 1987).
    """
    picks = np.empty((rows, degree), dtype=int)
    for k, most in enumerate(range(width - degree, width)):
        pick = rng.integers(most + 1, size=rows)
        picks[:, k] = np.where((picks[:, :k] == pick[:, None]).any(axis=1), most, pick)
    return picks


def random_dag(
    n: int, edge_probability: float = 0.1, duration: float = 1.0, output_size: float = 0.0, seed: int = 0
) -> TaskGraph:
    """Return n tasks, each pair (i before j, i < j) joined with the same probability (an Erdős–Rényi DAG).

    Durations are exponential with mean ``duration``.

    Examples
    --------
    >>> graph = random_dag(50, 0.1, seed=1)
    >>> graph == random_dag(50, 0.1, seed=1)
    True
    """
    n = _count("n", n)
    if not 0 <= edge_probability <= 1:
        raise ValueError(f"edge_probability is {edge_probability!r}; it must be in [0, 1]")
    rng = generator(seed)
    pairs = n * (n - 1) // 2
    if pairs <= 2**21:
        before = [np.flatnonzero(rng.random(j) < edge_probability) for j in range(n)]
        counts, before = [len(row) for row in before], np.concatenate(before)
    else:  # not to draw a number for each of so many pairs
        joined = _successes(pairs, edge_probability, rng)
        # Pair number k is (i, j) with k = j (j − 1) / 2 + i.
        after = ((1 + np.sqrt(1 + 8 * joined.astype(float))) / 2).astype(np.int64)
        after -= after * (after - 1) // 2 > joined  # where the root was rounded up
        counts, before = np.bincount(after, minlength=n), joined - after * (after - 1) // 2
    return TaskGraph(rng.exponential(duration, n), output_size, _rows(counts, before))


def _successes(trials: int, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which of so many independent trials succeed, from the geometric numbers of failures between successes."""
    expected = trials * probability
    if expected > 1e9:
        raise ValueError(f"edge_probability is {probability:g}; that makes {expected:.2g} edges, more than 1e+09")
    if probability == 0:
        return np.empty(0, dtype=np.int64)
    found, last = [], -1
    while last < trials:
        gaps = rng.geometric(probability, size=int(expected + 4 * np.sqrt(expected)) + 10)
        found.append(last + np.cumsum(np.minimum(gaps, trials + 1)))
        last = int(found[-1][-1])
    where = np.concatenate(found)
    return where[where < trials]


def stencil(width: int, steps: int, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return ``steps`` sweeps over ``width`` cells in a row, each needing itself and its two neighbours before.

    Examples
    --------
    >>> stencil(4, 3).span
    3.0
    """
    width, steps = _count("width", width), _count("steps", steps)
    around = np.arange(width)[:, None] + np.array([-1, 0, 1])
    inside = (around >= 0) & (around < width)
    before = (np.arange(steps - 1)[:, None] * width + around[inside]).ravel()
    counts = np.concatenate([np.zeros(width, int), np.tile(inside.sum(axis=1), steps - 1)])
    return TaskGraph(np.full(width * steps, duration), output_size, _rows(counts, before))


def cholesky(tiles: int, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return the tiled Cholesky factorisation of a matrix of tiles × tiles.

    The kernels' durations are in the ratio of their floating-point operations (POTRF 1/3, TRSM 1, SYRK 1, GEMM 2 times
    ``duration``).

    References
    ----------
    Buttari, Langou, Kurzak, Dongarra: A class of parallel tiled linear algebra algorithms for multicore architectures.
    Parallel Computing 35(1), 2009.

    Examples
    --------
    >>> graph = cholesky(3)
    >>> len(graph), [graph.name(i) for i in graph.critical_path()]  # doctest: +ELLIPSIS
    (10, ['potrf 0', 'trsm 1 0', ...])
    """
    tiles = _count("tiles", tiles)
    names: list[str] = []
    cost, before = [], []
    done = 0  # the first of the updates (SYRK and GEMM) of the step before
    for k in range(tiles):
        potrf = len(names)
        below = tiles - k - 1
        row, column = np.tril_indices(below)  # the tiles to be updated, by rows; of each row the diagonal one first
        column = np.where(column == 0, row, column - 1)
        trsm = potrf + 1 + np.arange(below)
        # What wrote the tiles of this step before: the step before updated one row more, so each row lies one further.
        triangle = done + (np.arange(below) + 1) * (np.arange(below) + 2) // 2
        written = [[done], triangle + 1, triangle[row] + np.where(column == row, 0, column + 2)]
        if k == 0:
            written = [np.full(len(tasks), -1) for tasks in written]
        # A task waits for the one that wrote its tile, and for those that made what it reads; −1 where there is none.
        waits = np.full((1 + below + len(row), 3), -1)
        waits[:, 0] = np.concatenate(written)
        waits[1 : 1 + below, 1] = potrf
        waits[1 + below :, 1] = np.where(column == row, -1, trsm[column])
        waits[1 + below :, 2] = trsm[row]
        before.append(waits)
        cost.append(np.concatenate([[1 / 3], np.ones(below), np.where(column == row, 1.0, 2.0)]))
        names += [f"potrf {k}", *(f"trsm {i} {k}" for i in range(k + 1, tiles))]
        names += [
            f"syrk {i} {k}" if i == j else f"gemm {i} {j} {k}"
            for i, j in zip((row + k + 1).tolist(), (column + k + 1).tolist(), strict=True)
        ]
        done = potrf + 1 + below
    waits = np.concatenate(before)
    rows = _rows((waits >= 0).sum(axis=1), waits[waits >= 0])
    return TaskGraph(duration * np.concatenate(cost), output_size, rows, names=names)


def montage(images: int, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return a workflow of the shape of Montage, which joins sky images into a mosaic.

    Project each image; fit the difference of each neighbouring pair; solve for all backgrounds at once; correct each
    image; add them up.

    References
    ----------
    Juve, Chervenak, Deelman, Bharathi, Mehta, Vahi: Characterizing and profiling scientific workflows. Future
    Generation Computer Systems 29(3), 2013.
    """
    images = _count("images", images, 2)
    each = range(images)
    names = [f"mProject {i}" for i in each] + [f"mDiffFit {i}" for i in each[:-1]] + ["mConcatFit", "mBgModel"]
    names += [*(f"mBackground {i}" for i in each), "mImgtbl", "mAdd", "mShrink", "mJPEG"]
    concat, model, table = 2 * images - 1, 2 * images, 3 * images + 1
    project, fit, background = np.arange(images), np.arange(images, concat), np.arange(model + 1, table)
    counts = np.repeat([0, 2, images - 1, 1, 2], [images, images - 1, 1, 1, images])
    before = [
        np.stack([project[:-1], project[1:]], axis=1).ravel(),
        fit,
        [concat],
        np.stack([project, np.full(images, model)], axis=1).ravel(),
        background,
        np.append(background, table),
        [table + 1, table + 2],
    ]
    rows = _rows(np.append(counts, [images, images + 1, 1, 1]), np.concatenate(before))
    return TaskGraph(np.full(len(names), duration), output_size, rows, names=names)


def epigenomics(lanes: int, chunks: int, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return a workflow of the shape of Epigenomics, which maps DNA reads: parallel pipelines, merged twice.

    References
    ----------
    Juve, Chervenak, Deelman, Bharathi, Mehta, Vahi: Characterizing and profiling scientific workflows. Future
    Generation Computer Systems 29(3), 2013.
    """
    lanes, chunks = _count("lanes", lanes), _count("chunks", chunks)
    steps = ("filterContams", "sol2sanger", "fastq2bfq", "map")
    names: list[str] = []
    for lane in range(lanes):
        names.append(f"fastqSplit {lane}")
        names += [f"{step} {lane}.{chunk}" for chunk in range(chunks) for step in steps]
        names.append(f"mapMerge {lane}")
    # Of one lane, whose first task is 0: each chunk begins at the split, and goes on from step to step; then the merge.
    size = 2 + 4 * chunks
    step = np.arange(4 * chunks)
    lane = np.concatenate([np.where(step % 4 == 0, 0, step), step[3::4] + 1])
    first = np.arange(lanes) * size
    merge = lanes * size
    before = np.concatenate([(first[:, None] + lane).ravel(), first + size - 1, [merge, merge + 1]])
    counts = np.append(np.tile(np.repeat([0, 1, chunks], [1, 4 * chunks, 1]), lanes), [lanes, 1, 1])
    names += ["mapMerge", "maqIndex", "pileup"]
    return TaskGraph(np.full(len(names), duration), output_size, _rows(counts, before), names=names)


def graham_anomaly() -> TaskGraph:
    """Return Graham's nine tasks, on which more processors, shorter tasks or fewer constraints make the run longer.

    References
    ----------
    Graham: Bounds on multiprocessing timing anomalies. SIAM Journal on Applied Mathematics 17(2), 1969, pp. 416–429.

    Examples
    --------
    >>> graham_anomaly()
    TaskGraph(9 tasks, 5 edges, work 34 s, span 12 s)
    """
    edges = [(0, 8), (3, 4), (3, 5), (3, 6), (3, 7)]
    return TaskGraph.from_edges([3, 2, 2, 2, 4, 4, 4, 4, 9], edges, names=[f"T{i}" for i in range(1, 10)])


def topcuoglu() -> tuple[TaskGraph, np.ndarray]:
    """Return the ten tasks of the paper on HEFT and CPOP, and the cost of each on three unlike machines.

    Returns
    -------
    graph : TaskGraph
        Durations are the means over the machines; the sizes of the edges are seconds between different machines.
    costs : array, shape (10, 3)
        Seconds of each task on each machine.

    References
    ----------
    Topcuoglu, Hariri, Wu: Performance-effective and low-complexity task scheduling for heterogeneous computing. IEEE
    Transactions on Parallel and Distributed Systems 13(3), 2002, pp. 260–274.

    Examples
    --------
    >>> graph, costs = topcuoglu()
    >>> graph, costs[0].tolist()
    (TaskGraph(10 tasks, 15 edges, work 133.3 s, span 61 s), [14.0, 16.0, 9.0])
    """
    costs = np.array(
        [[14, 16, 9], [13, 19, 18], [11, 13, 19], [13, 8, 17], [12, 13, 10],
         [13, 16, 9], [7, 15, 11], [5, 11, 14], [18, 12, 20], [21, 7, 16]], dtype=float,
    )  # fmt: skip
    edges = [
        (0, 1, 18), (0, 2, 12), (0, 3, 9), (0, 4, 11), (0, 5, 14), (1, 7, 19), (1, 8, 16), (2, 6, 23),
        (3, 7, 27), (3, 8, 23), (4, 8, 13), (5, 7, 15), (6, 9, 17), (7, 9, 11), (8, 9, 13),
    ]  # fmt: skip
    return TaskGraph.from_edges(costs.mean(axis=1), edges, names=[f"T{i}" for i in range(1, 11)]), costs
