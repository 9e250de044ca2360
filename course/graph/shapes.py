"""Task graphs of the shapes that programs have.

Every shape takes ``duration`` (seconds of a task) and ``output_size`` (bytes that a task hands on); random shapes
take a ``seed``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.graph.taskgraph import TaskGraph


def _count(name: str, value: int, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}")
    return int(value)


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
    before: list[list[int]] = [[] for _ in range(leaves)]
    level = list(range(leaves))
    while len(level) > 1:
        groups = [level[i : i + fan_in] for i in range(0, len(level), fan_in)]
        level = []
        for group in groups:
            if len(group) == 1:  # nothing to combine: it goes up as it is
                level.append(group[0])
            else:
                level.append(len(before))
                before.append(group)
    return TaskGraph(np.full(len(before), duration), output_size, before)


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
    rng = np.random.default_rng(seed)
    before = np.empty((layers - 1, width, degree), dtype=int)
    for layer in range(layers - 1):
        if width <= 256:
            picks = np.argsort(rng.random((width, width)), axis=1)[:, :degree]
        else:
            picks = np.array([rng.choice(width, degree, replace=False) for _ in range(width)])
        before[layer] = np.sort(picks + layer * width, axis=1)
    counts = np.repeat([0, degree], [width, (layers - 1) * width])
    return TaskGraph(rng.exponential(duration, layers * width), output_size, _rows(counts, before.ravel()))


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
    rng = np.random.default_rng(seed)
    before = [np.flatnonzero(rng.random(j) < edge_probability) for j in range(n)]
    rows = _rows([len(row) for row in before], np.concatenate(before))
    return TaskGraph(rng.exponential(duration, n), output_size, rows)


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
    number: dict[str, int] = {}
    last: dict[tuple[int, int], str] = {}  # the task that wrote each tile last
    before: list[list[int]] = []
    cost: list[float] = []

    def add(name: str, factor: float, reads: list[tuple[int, int]], writes: tuple[int, int]) -> None:
        needed = [last[tile] for tile in [*reads, writes] if tile in last]
        number[name] = len(number)
        before.append(sorted({number[task] for task in needed}))
        cost.append(factor * duration)
        last[writes] = name

    for k in range(tiles):
        add(f"potrf {k}", 1 / 3, [], (k, k))
        for i in range(k + 1, tiles):
            add(f"trsm {i} {k}", 1.0, [(k, k)], (i, k))
        for i in range(k + 1, tiles):
            add(f"syrk {i} {k}", 1.0, [(i, k)], (i, i))
            for j in range(k + 1, i):
                add(f"gemm {i} {j} {k}", 2.0, [(i, k), (j, k)], (i, j))
    return TaskGraph(cost, output_size, before, names=list(number))


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
    names = [f"mProject {i}" for i in range(images)]
    before: list[list[int]] = [[] for _ in range(images)]
    for i in range(images - 1):
        names.append(f"mDiffFit {i}")
        before.append([i, i + 1])
    names += ["mConcatFit", "mBgModel"]
    concat = len(before)
    before += [list(range(images, concat)), [concat]]
    background = len(before)
    for i in range(images):
        names.append(f"mBackground {i}")
        before.append([i, concat + 1])
    table = len(before)
    names += ["mImgtbl", "mAdd", "mShrink", "mJPEG"]
    before += [list(range(background, table)), [*range(background, table + 1)], [table + 1], [table + 2]]
    return TaskGraph(np.full(len(before), duration), output_size, before, names=names)


def epigenomics(lanes: int, chunks: int, duration: float = 1.0, output_size: float = 0.0) -> TaskGraph:
    """Return a workflow of the shape of Epigenomics, which maps DNA reads: parallel pipelines, merged twice.

    References
    ----------
    Juve, Chervenak, Deelman, Bharathi, Mehta, Vahi: Characterizing and profiling scientific workflows. Future
    Generation Computer Systems 29(3), 2013.
    """
    lanes, chunks = _count("lanes", lanes), _count("chunks", chunks)
    names: list[str] = []
    before: list[list[int]] = []

    def add(name: str, after: list[int]) -> int:
        names.append(name)
        before.append(after)
        return len(before) - 1

    merged = []
    for lane in range(lanes):
        split = add(f"fastqSplit {lane}", [])
        ends = []
        for chunk in range(chunks):
            task = split
            for step in ("filterContams", "sol2sanger", "fastq2bfq", "map"):
                task = add(f"{step} {lane}.{chunk}", [task])
            ends.append(task)
        merged.append(add(f"mapMerge {lane}", ends))
    add("pileup", [add("maqIndex", [add("mapMerge", merged)])])
    return TaskGraph(np.full(len(before), duration), output_size, before, names=names)


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
