"""Task graphs: their shapes, their longest paths, what they are read from, and what they refuse."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from course.graph import (
    CycleError,
    GraphError,
    TaskGraph,
    chain,
    cholesky,
    epigenomics,
    fork_join,
    graham_anomaly,
    independent,
    layered,
    map_reduce,
    montage,
    random_dag,
    stencil,
    tree_reduce,
)
from course.simulate import run
from tests.strategies import draw_predecessors

DATA = Path(__file__).parent / "data"
costs = st.floats(0, 1e6)


@st.composite
def graphs(draw, most: int = 12) -> TaskGraph:
    """Any graph: numbered in any order, with or without sizes of the edges and names; durations may be 0."""
    n = draw(st.integers(0, most))
    rows = draw_predecessors(draw, n, most=4)
    edges = sum(map(len, rows))
    return TaskGraph(
        draw(st.lists(costs, min_size=n, max_size=n)),
        draw(st.lists(costs, min_size=n, max_size=n)),
        rows,
        edge_size=draw(st.none() | st.lists(costs, min_size=edges, max_size=edges)),
        names=draw(st.none() | st.lists(st.text(st.characters(codec="utf-8")), min_size=n, max_size=n)),
    )


def weighted(graph: TaskGraph) -> networkx.DiGraph:
    """Return the graph for networkx' own longest paths: an edge weighs as much as the task that it leads to."""
    result = networkx.DiGraph()
    result.add_weighted_edges_from(("source", i, graph.duration[i]) for i in range(len(graph)))
    result.add_weighted_edges_from(
        (int(before), i, graph.duration[i]) for i in range(len(graph)) for before in graph.predecessors(i)
    )
    return result


# ---- longest paths, against networkx


@given(graphs())
def test_levels_and_paths_are_those_of_networkx(graph):
    if not len(graph):
        assert (graph.work, graph.span, graph.width, graph.critical_path()) == (0, 0, 0, [])
        return
    theirs = weighted(graph)
    assert graph.span == pytest.approx(networkx.dag_longest_path_length(theirs), rel=1e-12)
    path = graph.critical_path()
    assert graph.duration[path].sum() == pytest.approx(graph.span, rel=1e-12)
    assert all(before in graph.predecessors(after) for before, after in itertools.pairwise(path))
    assert graph.t_level()[path[0]] <= 1e-12 * graph.span  # nothing but rounding comes before its first task
    bottom, top = graph.b_level(), graph.t_level()
    for task in range(len(graph)):
        below = networkx.descendants(theirs, task) | {task}
        above = networkx.ancestors(theirs, task) | {task}
        down = networkx.dag_longest_path_length(theirs.subgraph(below)) if len(below) > 1 else 0
        up = networkx.dag_longest_path_length(theirs.subgraph(above))
        assert bottom[task] == pytest.approx(graph.duration[task] + down, rel=1e-12)
        assert top[task] + graph.duration[task] == pytest.approx(up, rel=1e-12)


@given(graphs())
def test_the_order_is_topological(graph):
    order = graph.topological_order.tolist()
    assert sorted(order) == list(range(len(graph)))
    place = {task: i for i, task in enumerate(order)}
    assert all(place[before] < place[i] for i in range(len(graph)) for before in graph.predecessors(i).tolist())


@given(graphs())
def test_successors_mirror_predecessors(graph):
    pairs = {(int(before), i) for i in range(len(graph)) for before in graph.predecessors(i)}
    assert {(i, int(after)) for i in range(len(graph)) for after in graph.successors(i)} == pairs


@given(graphs())
def test_width_is_the_most_tasks_at_once_when_none_waits(graph):
    start, duration = graph.t_level(), graph.duration
    most = max((int(((start <= t) & (t < start + duration)).sum()) for t in start), default=0)
    assert graph.width == (max(most, 1) if len(graph) else 0)


@given(graphs())
def test_with_as_many_workers_as_its_width_a_graph_takes_its_span(graph):
    if len(graph):
        assert run(graph, graph.width).makespan == pytest.approx(graph.span, rel=1e-9)


def test_levels_with_costs_on_the_edges():
    graph = TaskGraph([1, 2, 4, 1], 0, [[], [0], [0], [1, 2]])
    assert graph.t_level(edge_cost=10).tolist() == [0, 11, 11, 25]
    assert graph.b_level(edge_cost=[10, 0, 0, 0]).tolist() == [14, 3, 5, 1]
    with pytest.raises(ValueError, match=re.escape("edge_cost has shape (2,); it must be a number, or (4,)")):
        graph.t_level(edge_cost=[1, 2])
    for bad in (math.nan, -1.0, math.inf, [0, 0, 0, 1e301]):
        with pytest.raises(ValueError, match=r"edge_cost is .*; it must be at least 0 and at most"):
            graph.b_level(edge_cost=bad)


# ---- shapes: closed formulas


@pytest.mark.parametrize("n", [1, 2, 7])
def test_independent_and_chain(n):
    flat, line = independent(n, duration=2.0), chain(n, duration=2.0)
    assert (len(flat), len(flat.indices), flat.work, flat.span, flat.width) == (n, 0, 2 * n, 2, n)
    assert (len(line), len(line.indices), line.work, line.span, line.width) == (n, n - 1, 2 * n, 2 * n, 1)
    assert line.critical_path() == list(range(n))
    assert independent(n, duration=np.arange(n)).duration.tolist() == list(range(n))


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("stages", [1, 3])
def test_fork_join(width, stages):
    graph = fork_join(width, stages, duration=0.5)
    assert len(graph) == 1 + stages * (width + 1)
    assert len(graph.indices) == 2 * width * stages
    assert graph.span == 0.5 * (1 + 2 * stages)
    assert graph.width == width
    assert graph.predecessors(len(graph) - 1).tolist() == list(range(len(graph) - 1 - width, len(graph) - 1))


@pytest.mark.parametrize("leaves", [1, 2, 5, 8, 9, 27, 100])
@pytest.mark.parametrize("fan_in", [2, 3, 8])
def test_tree_reduce(leaves, fan_in):
    graph = tree_reduce(leaves, fan_in)
    levels = 0
    while fan_in**levels < leaves:
        levels += 1
    assert graph.span == 1 + levels
    # Every task but the last has one successor, and the leaves are the only ones without predecessors.
    before, after = np.diff(graph.indptr), np.diff(graph.successor_arrays[0])
    assert (before == 0).sum() == leaves
    assert before.max(initial=0) <= fan_in
    assert (after == 0).sum() == 1
    assert after.max() <= 1


@pytest.mark.parametrize(("mappers", "reducers"), [(1, 1), (3, 2), (2, 5)])
def test_map_reduce(mappers, reducers):
    graph = map_reduce(mappers, reducers, output_size=60.0)
    assert (len(graph), len(graph.indices), graph.span) == (mappers + reducers, mappers * reducers, 2)
    assert graph.width == max(mappers, reducers)
    assert (graph.sizes == 60.0 / reducers).all()
    assert graph.sizes.sum() == pytest.approx(60.0 * mappers)


@pytest.mark.parametrize(("width", "steps"), [(1, 1), (1, 4), (2, 3), (5, 4)])
def test_stencil(width, steps):
    graph = stencil(width, steps)
    edges = (steps - 1) * (3 * width - 2)
    assert (len(graph), len(graph.indices), graph.span, graph.width) == (width * steps, edges, steps, width)
    if width == 5:
        assert graph.predecessors(5).tolist() == [0, 1]
        assert graph.predecessors(7).tolist() == [1, 2, 3]


@pytest.mark.parametrize("tiles", [1, 2, 3, 4, 7])
def test_cholesky(tiles):
    graph = cholesky(tiles, duration=3.0)
    assert len(graph) == tiles + tiles * (tiles - 1) + math.comb(tiles, 3)
    assert graph.work == pytest.approx(3.0 * tiles**3 / 3)
    # potrf, then trsm and gemm down one row, then syrk and the last potrf.
    assert graph.span == pytest.approx(3.0 * (1 / 3 if tiles == 1 else 3 * tiles - 10 / 3))
    assert graph.names[0] == "potrf 0"


def test_cholesky_really_factorises():
    """Run the graph's tasks in its own order, at the level of tiles of one number: the factor is that of NumPy."""
    tiles = 5
    rng = np.random.default_rng(0)
    square = rng.random((tiles, tiles))
    matrix = square @ square.T + tiles * np.eye(tiles)
    a = matrix.copy()
    graph = cholesky(tiles)
    # Backwards wherever the graph allows it, so that a missing dependency would show.
    network = networkx.DiGraph()
    network.add_nodes_from(range(len(graph)))
    network.add_edges_from((int(p), i) for i in range(len(graph)) for p in graph.predecessors(i))
    for task in networkx.lexicographical_topological_sort(network, key=lambda i: -i):
        name, *where = graph.name(task).split()
        where = [int(x) for x in where]
        if name == "potrf":
            (k,) = where
            a[k, k] = math.sqrt(a[k, k])
        elif name == "trsm":
            i, k = where
            a[i, k] /= a[k, k]
        elif name == "syrk":
            i, k = where
            a[i, i] -= a[i, k] ** 2
        else:
            i, j, k = where
            a[i, j] -= a[i, k] * a[j, k]
    np.testing.assert_allclose(np.tril(a), np.linalg.cholesky(matrix), rtol=1e-12)


@pytest.mark.parametrize("images", [2, 3, 10])
def test_montage(images):
    graph = montage(images)
    assert len(graph) == 3 * images + 5
    assert graph.span == 9
    task = {name: i for i, name in enumerate(graph.names)}
    needs = [graph.predecessors(task[name]).tolist() for name in ("mDiffFit 0", "mConcatFit", "mBackground 1", "mAdd")]
    fits = [task[f"mDiffFit {i}"] for i in range(images - 1)]
    backgrounds = [task[f"mBackground {i}"] for i in range(images)]
    assert needs == [[0, 1], fits, [1, task["mBgModel"]], [*backgrounds, task["mImgtbl"]]]
    assert [graph.name(i).split()[0] for i in graph.critical_path()] == [
        "mProject", "mDiffFit", "mConcatFit", "mBgModel", "mBackground", "mImgtbl", "mAdd", "mShrink", "mJPEG",
    ]  # fmt: skip


@pytest.mark.parametrize(("lanes", "chunks"), [(1, 1), (3, 4)])
def test_epigenomics(lanes, chunks):
    graph = epigenomics(lanes, chunks)
    assert (len(graph), graph.span, graph.width) == (lanes * (2 + 4 * chunks) + 3, 9, lanes * chunks)
    assert len(set(graph.names)) == len(graph)
    task = {name: i for i, name in enumerate(graph.names)}

    def needs(name):
        return [graph.name(int(i)) for i in graph.predecessors(task[name])]

    last = f"{lanes - 1}.{chunks - 1}"
    assert needs(f"filterContams {last}") == [f"fastqSplit {lanes - 1}"]
    assert needs(f"sol2sanger {last}") == [f"filterContams {last}"]
    assert needs(f"mapMerge {lanes - 1}") == [f"map {lanes - 1}.{chunk}" for chunk in range(chunks)]
    assert needs("mapMerge") == [f"mapMerge {lane}" for lane in range(lanes)]
    assert (needs("maqIndex"), needs("pileup")) == (["mapMerge"], ["maqIndex"])


@pytest.mark.parametrize(("layers", "width", "degree"), [(1, 3, 2), (4, 5, 2), (3, 2, 9), (2, 300, 3)])
def test_layered(layers, width, degree):
    graph = layered(layers, width, degree, duration=2.0, seed=3)
    each = np.diff(graph.indptr)
    assert (each[:width] == 0).all()
    assert (each[width:] == min(degree, width)).all()
    layer = np.arange(len(graph)) // width
    assert (layer[graph.indices] == np.repeat(layer, each) - 1).all()


def test_wide_layers_draw_every_pair_as_often():
    # 17 is the least width whose subsets are not drawn by sorting; 136 pairs, each expected 750 times.
    graph = layered(6001, 17, degree=2, seed=1)
    pairs = (graph.indices % 17).reshape(-1, 2)
    counts = np.bincount(pairs[:, 0] * 17 + pairs[:, 1], minlength=289).reshape(17, 17)
    expected = len(pairs) / math.comb(17, 2)
    counts = counts[np.triu_indices(17, 1)]
    assert counts.sum() == len(pairs)  # the smaller number first, and never one twice
    assert stats.chisquare(counts, np.full(len(counts), expected)).pvalue > 1e-3


def test_a_large_random_dag():
    n, p = 5000, 0.003  # so many pairs that the edges are drawn by the gaps between them
    graph = random_dag(n, p, seed=2)
    pairs = math.comb(n, 2)
    assert abs(len(graph.indices) - p * pairs) < 4 * math.sqrt(p * pairs)
    after = np.repeat(np.arange(n), np.diff(graph.indptr))
    assert (graph.indices < after).all()
    # All pairs alike: as many edges lead to the later half of the tasks as there are pairs that do.
    share = math.comb(n // 2, 2) / pairs
    assert abs((after < n // 2).mean() - share) < 4 * math.sqrt(share / len(after))
    assert (len(random_dag(n, 0.0).indices), len(random_dag(2050, 1.0).indices)) == (0, math.comb(2050, 2))
    with pytest.raises(ValueError, match=r"edge_probability is 0\.5; that makes 2\.5e\+11 edges"):
        random_dag(10**6, 0.5)


def test_random_dag():
    assert len(random_dag(30, 0.0).indices) == 0
    assert len(random_dag(30, 1.0).indices) == 30 * 29 // 2
    graph = random_dag(200, 0.1, duration=2.0, seed=1)
    pairs = 200 * 199 / 2
    assert abs(len(graph.indices) - 0.1 * pairs) < 5 * math.sqrt(0.09 * pairs)
    assert abs(graph.duration.mean() - 2.0) < 5 * 2.0 / math.sqrt(200)


@pytest.mark.parametrize("make", [lambda seed: random_dag(40, 0.1, seed=seed), lambda seed: layered(5, 8, seed=seed)])
def test_random_shapes_are_fixed_by_their_seed(make):
    assert make(1) == make(1)
    assert make(1) != make(2)


def test_the_output_size_goes_to_every_shape():
    for graph in (
        independent(3, output_size=5), chain(3, output_size=5), fork_join(2, output_size=5),
        stencil(2, 2, output_size=5),
        tree_reduce(3, output_size=5), map_reduce(2, 2, output_size=5), layered(2, 2, output_size=5),
        random_dag(4, output_size=5), cholesky(2, output_size=5), montage(2, output_size=5),
        epigenomics(1, 1, output_size=5),
    ):  # fmt: skip
        assert (graph.output_size == 5).all()


def test_grahams_nine_tasks():
    graph = graham_anomaly()
    assert graph.names == tuple(f"T{i}" for i in range(1, 10))
    edges = {(graph.name(int(b)), graph.name(i)) for i in range(9) for b in graph.predecessors(i)}
    assert edges == {("T1", "T9"), ("T4", "T5"), ("T4", "T6"), ("T4", "T7"), ("T4", "T8")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: independent(-1), "n is -1; it must be a whole number of at least 0"),
        (lambda: chain(0), "n is 0"),
        (lambda: chain(2.0), "n is 2.0; it must be a whole number"),
        (lambda: chain(True), "n is True"),
        (lambda: chain(3, duration=[1, 2]), "duration has shape (2,); it must be a number, or 3 of them"),
        (lambda: fork_join(0), "width is 0"),
        (lambda: fork_join(2, stages=0), "stages is 0"),
        (lambda: tree_reduce(4, fan_in=1), "fan_in is 1; it must be a whole number of at least 2"),
        (lambda: map_reduce(1, 0), "reducers is 0"),
        (lambda: layered(1, 0), "width is 0"),
        (lambda: random_dag(3, 1.5), "edge_probability is 1.5; it must be in [0, 1]"),
        (lambda: montage(1), "images is 1; it must be a whole number of at least 2"),
        (lambda: cholesky(0), "tiles is 0"),
        (lambda: chain(2, duration=-1.0), "duration[0] is -1.0; it must be finite and at least 0"),
    ],
)
def test_shapes_refuse(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_a_million_tasks():
    n = 10**6
    assert independent(n).width == n
    backwards = TaskGraph(np.ones(n), 0, (np.r_[0:n, n - 1], np.arange(1, n)))  # task i waits for task i + 1
    assert backwards.span == n
    assert fork_join(1000, 1000).span == 2001
    assert stencil(1000, 1000).span == 1000


# ---- what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, math.nan],), "duration[1] is nan; it must be finite and at least 0"),
        (([1, math.inf],), "duration[1] is inf"),
        (([1, -2],), "duration[1] is -2.0"),
        (([[1, 2]],), "duration has shape (1, 2); it must be (n,)"),
        ((["a"],), "duration must be numbers; got ['a']"),
        (([1, 2], [1, math.nan]), "output_size[1] is nan"),
        (([1, 2], -1), "output_size[0] is -1.0"),
        (([1, 2], [1, 2, 3]), "output_size has shape (3,); it must be (2,)"),
        (([1, 2], 0, [[], [2]]), "task 1 waits for task 2, which does not exist; tasks are 0 … 1"),
        (([1, 2], 0, [[], [-1]]), "task 1 waits for task -1, which does not exist"),
        (([1, 2], 0, [[]]), "predecessors has 1 rows for 2 tasks"),
        (([1, 2], 0, [[], [0, 0]]), "task 1 names its predecessor 0 twice"),
        (([1, 2], 0, [[], [0.0]]), "predecessors must be whole numbers, the ids of tasks; got a float"),
        (([1, 2], 0, [[], [True]]), "got a bool"),
        (([1, 2], 0, [[], "0"]), "got a str"),
        (([1, 2], 0, [0, 1]), "predecessors must hold a sequence for each task; got [0, 1]"),
        (([1, 2], 0, 7), "predecessors must hold a sequence for each task; got 7"),
        (
            ([1, 2], 0, (np.array([0, 1]), np.array([0]))),
            "indptr must be 3 numbers that rise from 0 to len(indices)",
        ),
        (([1, 2], 0, (np.array([0, 1, 0]), np.array([0]))), "indptr must be 3 numbers that rise"),
        (([1, 2], 0, (np.array([1, 1, 1]), np.array([0]))), "indptr must be 3 numbers that rise"),
        (([1, 2], 0, (np.array([0, 0, 1]), np.array([0.5]))), "indptr and indices must be arrays of whole numbers"),
        (([1, 2], 0, (np.array([0, 0, 1]), np.array([5]))), "task 1 waits for task 5, which does not exist"),
    ],
)
def test_what_is_no_graph_is_refused(arguments, message):
    with pytest.raises(GraphError, match=re.escape(message)):
        TaskGraph(*arguments)


def test_names_and_edge_sizes_must_fit():
    with pytest.raises(GraphError, match="names has 1 entries for 2 tasks"):
        TaskGraph([1, 2], names=["a"])
    with pytest.raises(GraphError, match=re.escape("edge_size has shape (2,); it must be (1,)")):
        TaskGraph([1, 2], 0, [[], [0]], edge_size=[1, 2])
    with pytest.raises(GraphError, match=re.escape("edge_size[0] is nan")):
        TaskGraph([1, 2], 0, [[], [0]], edge_size=[math.nan])


def test_a_cycle_is_named_in_its_order():
    # b waits for nobody; a → c → d → a; e hangs on the cycle.
    with pytest.raises(CycleError) as error:
        TaskGraph(np.ones(5), 0, [[3], [], [1, 0], [2], [3]], names="abcde")
    cycle = error.value.cycle
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"a", "c", "d"}
    assert next(iter(itertools.pairwise(cycle))) in {("a", "c"), ("c", "d"), ("d", "a")}
    assert str(error.value) == f"the tasks wait for each other in a circle: {' → '.join(cycle)}"
    with pytest.raises(CycleError, match="in a circle: 1 → 1"):
        TaskGraph([1, 2], 0, [[], [1]])
    with pytest.raises(CycleError, match="…"):  # a long one is shortened
        TaskGraph(np.ones(40), 0, [[39], *[[i] for i in range(39)]])


@given(graphs(), st.data())
def test_closing_a_path_is_a_cycle(graph, data):
    if not len(graph.indices):
        return
    path = graph.critical_path()
    if len(path) < 2:
        return
    rows = [graph.predecessors(i).tolist() for i in range(len(graph))]
    end = data.draw(st.integers(1, len(path) - 1))
    rows[path[0]] = [path[end]]
    with pytest.raises(CycleError) as error:
        TaskGraph(graph.duration, 0, rows)
    cycle = [int(name) for name in error.value.cycle]
    assert all(before in rows[after] for before, after in itertools.pairwise(cycle))


def test_a_graph_does_not_change():
    duration = np.array([1.0, 2.0])
    graph = TaskGraph(duration, 0, [[], [0]])
    duration[0] = 99
    assert graph.work == 3
    with pytest.raises(ValueError, match="read-only"):
        graph.duration[0] = 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(graph)


def test_equality_and_replace():
    graph = TaskGraph([1, 2, 3], 4, [[], [0], [0, 1]])
    assert graph == TaskGraph([1, 2, 3], [4, 4, 4], (np.array([0, 0, 1, 3]), np.array([0, 0, 1])))
    assert graph != TaskGraph([1, 2, 3], 4, [[], [0], [1, 0]])
    assert graph != graph.replace(names="abc")
    assert graph != graph.replace(edge_size=[4, 4, 4])  # the bytes are the same, but no longer shared
    assert (graph == 3) is False
    assert graph.replace(predecessors=None).span == 3
    assert graph.replace(edge_size=[1, 1, 1]).replace(predecessors=[[], [0], [1]]).edge_size is None
    with pytest.raises(TypeError, match=r"\['speed'\] are not parts of a graph"):
        graph.replace(speed=1)
    assert repr(TaskGraph([])) == "TaskGraph(0 tasks)"


# ---- edges, networkx


@given(graphs())
def test_networkx_and_back(graph):
    assert TaskGraph.from_networkx(graph.to_networkx()) == graph


@given(graphs())
def test_edges_and_back(graph):
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
    edges = list(zip(graph.indices.tolist(), owner.tolist(), graph.sizes.tolist(), strict=True))
    pairs = edges if graph.edge_size is not None else [edge[:2] for edge in edges]
    again = TaskGraph.from_edges(graph.duration, pairs, graph.output_size, names=graph.names)
    assert again == graph


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(0, 5)], "edge (0, 5) must join two tasks by their numbers, whole and in 0 … 2"),
        ([(0.0, 1.0)], "edge (0.0, 1.0) must join two tasks by their numbers"),
        ([(0, 1), (0, 2, 5.0)], "edges must all be (before, after) or all be (before, after, bytes)"),
        ([(0,)], "edges must all be"),
        ([3], "edges must be pairs (before, after) or triples"),
        ([(0, 1, math.nan)], "edge_size[0] is nan"),
        ([(0, 1), (0, 1)], "task 1 names its predecessor 0 twice"),
        ([(0, 1), (1, 0)], "in a circle"),
    ],
)
def test_edges_that_are_refused(edges, message):
    with pytest.raises(GraphError, match=re.escape(message)):
        TaskGraph.from_edges([1, 1, 1], edges)


def test_what_networkx_may_hold():
    network = networkx.DiGraph()
    network.add_node("x", duration=1, output_size=8)
    network.add_node(("y", 0), duration=2, name="why")
    network.add_edge("x", ("y", 0))
    graph = TaskGraph.from_networkx(network)
    assert (graph.names, graph.sizes.tolist(), graph.edge_size) == (("x", "why"), [8], None)
    network.add_node("z")
    with pytest.raises(GraphError, match="node 'z' has no attribute 'duration'"):
        TaskGraph.from_networkx(network)
    for wrong in (networkx.Graph, networkx.MultiDiGraph):
        with pytest.raises(GraphError, match=f"got a {wrong.__name__}; a task graph is a DiGraph"):
            TaskGraph.from_networkx(wrong())


# ---- WfCommons


@pytest.mark.parametrize("version", ["1.3", "1.4", "1.5"])
def test_wfcommons(version):
    graph = TaskGraph.from_wfcommons(DATA / f"wfcommons-{version}.json")
    assert graph.names == ("ID1", "ID2", "ID3", "ID4")
    assert graph.duration.tolist() == [1.5, 2, 3, 0.5]
    assert graph.output_size.tolist() == [30, 1, 2, 4]
    assert [graph.predecessors(i).tolist() for i in range(4)] == [[], [0], [0], [1, 2]]
    assert graph.edge_size.tolist() == [10, 20, 1, 2]


def test_wfcommons_without_a_run(tmp_path):
    document = json.loads((DATA / "wfcommons-1.5.json").read_text(encoding="utf-8"))
    del document["workflow"]["execution"]
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert TaskGraph.from_wfcommons(path).work == 0


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (b"{", GraphError, "is not a WfCommons workflow (JSONDecodeError"),
        (b"[1, 2]", GraphError, "is not a WfCommons workflow (TypeError"),
        (b"{}", GraphError, "(KeyError: 'workflow')"),
        (b"\x1f\x8b\xff", GraphError, "is not a WfCommons workflow (UnicodeDecodeError"),
        (b'{"workflow": {"tasks": [{"id": "a", "parents": ["b"]}]}}', GraphError, "(KeyError: 'b')"),
        (b'{"workflow": {"tasks": [{"id": "a", "runtime": NaN}]}}', GraphError, "duration[0] is nan"),
        (
            b'{"workflow": {"tasks": [{"id": "a", "parents": ["b"]}, {"id": "b", "parents": ["a"]}]}}',
            CycleError,
            "in a circle",
        ),
    ],
)
def test_what_is_no_workflow_is_refused(tmp_path, text, error, message):
    path = tmp_path / "workflow.json"
    path.write_bytes(text)
    with pytest.raises(error, match=re.escape(message)):
        TaskGraph.from_wfcommons(path)


def test_a_workflow_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        TaskGraph.from_wfcommons(tmp_path / "none.json")


# ---- Dask


def _edges(graph: TaskGraph) -> set[tuple[str, str]]:
    return {(graph.name(int(before)), graph.name(i)) for i in range(len(graph)) for before in graph.predecessors(i)}


def test_delayed():
    import dask

    inc = dask.delayed(lambda x: x + 1, pure=False)
    add = dask.delayed(lambda x, y: x + y, pure=False)
    a, b = inc(1, dask_key_name="a"), inc(2, dask_key_name="b")
    total = add(a, b, dask_key_name="total")
    for optimize in (True, False):
        graph = TaskGraph.from_dask(
            total, duration={"a": 1, "b": 2, "total": 3}, output_size=len, optimize_graph=optimize
        )
        assert _edges(graph) == {("a", "total"), ("b", "total")}
        costs = dict(zip(graph.names, zip(graph.duration, graph.output_size, strict=True), strict=True))
        assert costs == {"a": (1, 1), "b": (2, 1), "total": (3, 5)}


def test_several_collections_share_what_they_share():
    import dask

    inc = dask.delayed(lambda x: x + 1, pure=False)
    a = inc(1, dask_key_name="a")
    graph = TaskGraph.from_dask(inc(a, dask_key_name="b"), inc(a, dask_key_name="c"))
    assert _edges(graph) == {("a", "b"), ("a", "c")}


def test_an_array_fused_and_not():
    import dask.array as da

    x = (da.ones((4, 4), chunks=2) + 1) * 2
    plain = TaskGraph.from_dask(x, optimize_graph=False)
    fused = TaskGraph.from_dask(x, optimize_graph=True)
    assert (len(plain), plain.span, plain.width) == (12, 3, 4)
    assert (len(fused), fused.span) == (4, 1)
    # Names are the keys' text, and a mapping or a function sees the keys themselves.
    keys = {key: float(1 + key[1] + key[2]) for key in x.__dask_graph__()}
    graph = TaskGraph.from_dask(x, duration=keys, optimize_graph=False)
    by_name = {str(key): cost for key, cost in keys.items()}
    assert {name: cost for name, cost in zip(graph.names, graph.duration, strict=True)} == by_name
    assert set(graph.names) == set(by_name)
    with pytest.raises(GraphError, match="the mapping of costs has no entry for the key"):
        TaskGraph.from_dask(x, duration={}, optimize_graph=False)


def test_a_sum_is_a_tree():
    import dask.array as da

    total = da.ones(64, chunks=1).sum(split_every=4)
    graph = TaskGraph.from_dask(total, optimize_graph=True)
    assert (graph.span, np.diff(graph.indptr).max()) == (4, 4)  # leaves, then 16, 4, 1
    assert len(graph) == 64 + 16 + 4 + 1


def test_a_data_frame_and_a_bag():
    import dask.bag
    import dask.dataframe as dd
    import pandas

    frame = dd.from_pandas(pandas.DataFrame({"x": range(40), "k": [i % 3 for i in range(40)]}), npartitions=4)
    graph = TaskGraph.from_dask(frame.groupby("k").x.sum())
    assert graph.width >= 4
    assert np.diff(graph.successor_arrays[0])[graph.topological_order[-1]] == 0
    as_written = TaskGraph.from_dask((frame.x + 1).sum(), optimize_graph=False)
    fused = TaskGraph.from_dask((frame.x + 1).sum().optimize())
    assert len(as_written) == 3 * frame.npartitions + 1 > len(fused) == frame.npartitions + 1
    bag = dask.bag.from_sequence(range(6), npartitions=3).map(lambda x: x + 1).sum()
    graph = TaskGraph.from_dask(bag)
    assert graph.width == 3
    assert len(graph.predecessors(int(graph.topological_order[-1]))) == 3


def test_a_plain_dask_graph():
    graph = TaskGraph.from_dask({"x": 1, "y": "x", "z": (abs, "y"), "w": (max, "z", "x")})
    assert (graph.names, _edges(graph)) == (("z", "w"), {("z", "w")})  # literals and aliases are no tasks


def test_what_is_no_dask_collection():
    with pytest.raises(GraphError, match="int is not a Dask collection"):
        TaskGraph.from_dask(3)
    with pytest.raises(GraphError, match="nothing was given"):
        TaskGraph.from_dask()


def test_from_trace_takes_the_times_of_the_run():
    from course.cluster import Cluster

    graph = chain(3)
    trace = run(graph, Cluster(2, speed=[2.0, 1.0], latency=1.0))
    assert TaskGraph.from_trace(trace) == graph.replace(duration=[0.5, 0.5, 0.5])
