"""`merge_tasks`, `split_tasks`, `neighbours`: against definitions written with dictionaries, sets and patterns."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.graph import CycleError, GraphError, TaskGraph, chain, independent, merge_tasks, neighbours, split_tasks
from tests.strategies import draw_predecessors

NAMES = st.one_of(
    st.sampled_from(["load-7", "load-10", "load-02", "load", "merge", "7", "10", "-3", "a--1", "", "x-y-3", "('open"]),
    st.builds("('{}-0f1e', {}, {})".format, st.sampled_from(["sum", "a b"]), st.integers(0, 12), st.integers(0, 3)),
    st.builds("{}-{:032x}".format, st.sampled_from(["inc", "read-csv"]), st.integers(0, 10**6)),
    st.builds("{}-{}".format, st.sampled_from(["load", "x-y"]), st.integers(0, 30)),
)


@st.composite
def graphs(draw, most=9):
    """Small graphs, some named, some whose edges have sizes of their own."""
    n = draw(st.integers(0, most))
    predecessors = draw_predecessors(draw, n)
    edges = sum(map(len, predecessors))
    numbers = st.sampled_from([0.0, 0.25, 1.0, 3.0])
    return TaskGraph(
        draw(st.lists(numbers, min_size=n, max_size=n)),
        draw(st.lists(numbers, min_size=n, max_size=n)),
        predecessors,
        edge_size=draw(st.none() | st.lists(numbers, min_size=edges, max_size=edges)),
        names=draw(st.none() | st.lists(NAMES, min_size=n, max_size=n)),
    )


def as_sets(graph: TaskGraph) -> list[tuple]:
    """Return duration, bytes, predecessors with the bytes of each edge, and name of each task."""
    rows = []
    for i in range(len(graph)):
        span = slice(graph.indptr[i], graph.indptr[i + 1])
        edges = dict(zip(graph.indices[span].tolist(), graph.sizes[span].tolist(), strict=True))
        rows.append((graph.duration[i], graph.output_size[i], edges, graph.name(i)))
    return rows


def merged_by_hand(graph: TaskGraph, group: list[int]) -> list[tuple]:
    rows = []
    for g in sorted(set(group)):
        inside = [i for i in range(len(graph)) if group[i] == g]
        handed_on = [
            i for i in inside
            if not len(graph.successors(i)) or any(group[s] != g for s in graph.successors(i).tolist())
        ]  # fmt: skip
        edges: dict[int, float] = {}
        for i in inside:
            for p, size in as_sets(graph)[i][2].items():
                if group[p] != g:
                    edges[group[p]] = edges.get(group[p], 0.0) + size
        name = graph.name(inside[0]) if graph.names is not None else str(g)
        rows.append((sum(graph.duration[i] for i in inside), sum(graph.output_size[i] for i in handed_on), edges, name))
    if graph.edge_size is None:  # all read the whole
        rows = [(d, size, {p: rows[p][1] for p in edges}, name) for d, size, edges, name in rows]
    return rows


def has_circle(graph: TaskGraph, group: list[int]) -> bool:
    """Say whether groups wait for each other, by taking away again and again those that wait for none."""
    left = set(group)
    waits = {(group[i], group[p]) for i in range(len(graph)) for p in graph.predecessors(i).tolist()}
    waits = {(a, b) for a, b in waits if a != b}
    while True:
        done = {g for g in left if not any(a == g and b in left for a, b in waits)}
        if not done:
            return bool(left)
        left -= done


@given(graphs(), st.data())
@settings(max_examples=300, deadline=None)
def test_merged_tasks_are_those_of_the_definition(graph, data):
    n = len(graph)
    wanted = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    labels = sorted(set(wanted))
    group = [labels.index(g) for g in wanted]
    dtype = data.draw(st.sampled_from([np.int64, np.uint64, np.int8]))
    if has_circle(graph, group):
        with pytest.raises(CycleError, match="circle"):
            merge_tasks(graph, np.array(group, dtype))
        return
    merged = merge_tasks(graph, np.array(group, dtype))
    assert as_sets(merged) == merged_by_hand(graph, group)
    assert merged.work == pytest.approx(graph.work)
    assert merged.span >= graph.span - 1e-9


def split_by_hand(graph: TaskGraph, parts: list[int]) -> list[tuple]:
    places = [(i, k) for i in range(len(graph)) for k in range(parts[i])]
    rows = []
    for i, k in places:
        duration, size, edges, name = as_sets(graph)[i]
        reads = {
            places.index((p, j)): amount / parts[p]
            for p, amount in edges.items() for j in range(parts[p]) if parts[p] != parts[i] or j == k
        }  # fmt: skip
        label = str(len(rows)) if graph.names is None else name if parts[i] == 1 else f"{name}-part-{k}"
        rows.append((duration / parts[i], size / parts[i], reads, label))
    return rows


@given(graphs(most=6), st.data())
@settings(max_examples=300, deadline=None)
def test_split_tasks_are_those_of_the_definition(graph, data):
    n = len(graph)
    parts = data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    finer, origin = split_tasks(graph, parts)
    assert as_sets(finer) == split_by_hand(graph, parts)
    assert origin.tolist() == [i for i in range(n) for _ in range(parts[i])]
    assert finer.work == pytest.approx(graph.work)
    assert finer.span <= graph.span + 1e-9


@given(graphs(), st.data())
@settings(max_examples=200, deadline=None)
def test_merging_what_was_split_gives_the_same_work_and_dependencies(graph, data):
    parts = data.draw(st.lists(st.integers(1, 5), min_size=len(graph), max_size=len(graph)))
    finer, origin = split_tasks(graph, parts)
    again = merge_tasks(finer, origin)
    assert np.allclose(again.duration, graph.duration)
    assert np.allclose(again.output_size, graph.output_size)
    assert [set(again.predecessors(i)) for i in range(len(graph))] == [
        set(graph.predecessors(i)) for i in range(len(graph))
    ]


@given(graphs(), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_groups_of_one_and_parts_of_one_change_nothing(graph, dummy):
    assert as_sets(merge_tasks(graph, np.arange(len(graph)))) == as_sets(graph)
    finer, origin = split_tasks(graph, np.ones(len(graph), np.int64))
    assert finer == graph
    assert origin.tolist() == list(range(len(graph)))


def place_of(name: str) -> tuple[str, tuple[int, ...]]:
    """Return the layer of a key, and where in it the task is: by patterns."""
    if tuple_key := re.fullmatch(r"\('([^']*)(?:'(.*))?", name, re.DOTALL):
        return tuple_key[1], tuple(int(digits) for digits in re.findall(r"\d+", tuple_key[2] or ""))
    if numbered := re.fullmatch(r"(?:(.*)-)?(\d+)", name, re.DOTALL):
        return numbered[1] or "", (int(numbered[2]),)
    if hashed := re.fullmatch(r"(.*)-[^-]{16,}", name, re.DOTALL):
        return hashed[1], ()
    return name, ()


@given(st.lists(NAMES, max_size=30), st.integers(1, 7))
@settings(max_examples=300, deadline=None)
def test_neighbours_follow_one_another_in_their_layer(names, size):
    group = neighbours(names, size)
    keys = [(place_of(name), i) for i, name in enumerate(names)]
    layers = list(dict.fromkeys(layer for (layer, _), _ in keys))
    expected, count = {}, 0
    for layer, members in itertools.groupby(
        sorted(keys, key=lambda key: (layers.index(key[0][0]), key)), key=lambda key: key[0][0]
    ):
        tasks = [i for _, i in members]
        for k in range(0, len(tasks), size):
            expected |= dict.fromkeys(tasks[k : k + size], count)
            count += 1
        assert layer in layers
    assert group.tolist() == [expected[i] for i in range(len(names))]
    assert np.bincount(group, minlength=1).max(initial=0) <= size
    assert len(neighbours(names, 1)) == len(set(neighbours(names, 1).tolist()))


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ([0], "each of 3 tasks"),
        ([0, 1], "each of 3 tasks"),
        ([[0, 1, 2]], "each of 3 tasks"),
        ([0.0, 1.0, 2.0], "whole number"),
        ([True, False, True], "whole number"),
        (["a", "b", "c"], "whole number"),
        ([-1, 0, 1], "from 0 on"),
        ([1, 2, 3], "from 0 on"),
        ([0, 2, 2], "group 1 has no tasks"),
        ([0, 10**18, 1], "group 2 has no tasks"),
        (None, "whole number"),
    ],
)
def test_groups_that_are_none(group, said):
    with pytest.raises(GraphError, match=said):
        merge_tasks(independent(3), group)


@pytest.mark.parametrize("parts", [[1], [1, 0, 1], [1, -1, 1], [1.0, 2.0, 1.0], "abc", None, [[1, 1, 1]], 2])
def test_parts_that_are_none(parts):
    with pytest.raises(GraphError, match="from 1 on for each of 3 tasks"):
        split_tasks(independent(3), parts)


def test_too_many_parts_are_refused_before_they_are_made():
    with pytest.raises(GraphError, match=r"parts|tasks"):
        split_tasks(independent(3), [1, 10**15, 1])
    # Two tasks of many parts, of which each reads all of another number: as many edges as their product.
    with pytest.raises(GraphError, match="edges"):
        split_tasks(chain(2), [20_000, 20_001])


@pytest.mark.parametrize("size", [0, -1, 1.5, None, "2", float("nan"), True])
def test_sizes_that_are_none(size):
    with pytest.raises(GraphError, match="at least 1"):
        neighbours(["a-1"], size)


def test_a_circle_is_named():
    graph = TaskGraph.from_edges([1, 1, 1], [(0, 1), (1, 2)], names=["a", "b", "c"])
    with pytest.raises(CycleError, match=r"a → b → a|b → a → b"):
        merge_tasks(graph, [0, 1, 0])
