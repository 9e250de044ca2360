"""Plans that are carried out: pushed inputs give the plan, fetched ones Dask's rule; and random instances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.graph import TaskGraph, topcuoglu
from course.models import unrelated_lower_bound
from course.simulate import (
    INSTANCE_SHAPES,
    STATIC_POLICIES,
    TRANSFERS,
    Cluster,
    follow,
    instance,
    optimal,
    schedule,
)

PROBLEMS = st.builds(
    lambda shape, tasks, machines, ccr, seed: instance(shape, tasks, machines, ccr, seed=seed),
    st.sampled_from(list(INSTANCE_SHAPES)), st.integers(12, 60), st.integers(1, 5), st.sampled_from([0.0, 0.3, 3.0]),
    st.integers(0, 99),
)  # fmt: skip


def test_topcuoglu_is_the_published_case() -> None:
    cases = json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]
    given_ = next(case for case in cases if case["id"] == "dag-01")["inputs"]
    graph, costs = topcuoglu()
    assert costs.tolist() == given_["W"]
    after = np.repeat(np.arange(10), np.diff(graph.indptr))
    edges = sorted([b + 1, a + 1, s] for b, a, s in zip(graph.indices, after, graph.sizes, strict=True))
    assert edges == sorted(given_["edges"])


@given(PROBLEMS, st.sampled_from(sorted(set(STATIC_POLICIES) - {"maxmin", "sufferage"})))
@settings(max_examples=60, deadline=None)
def test_with_nothing_changed_the_run_is_the_plan(problem: tuple, policy: str) -> None:
    plan = schedule(*problem, policy)
    start, stop = follow(plan).task_times()
    assert np.allclose(start, plan.start)
    assert np.allclose(stop, plan.finish)


def _check(trace, plan, costs) -> None:
    start, stop = trace.task_times()
    graph, where = plan.problem.graph, plan.placement
    assert np.allclose(stop - start, costs[np.arange(len(graph)), where])
    for i in range(len(graph)):
        for before in graph.predecessors(i):
            assert start[i] >= stop[before] - 1e-9
    for p in range(costs.shape[1]):
        mine = np.flatnonzero(where == p)
        mine = mine[np.argsort(start[mine], kind="stable")]
        assert (start[mine][1:] >= stop[mine][:-1] - 1e-9).all()


@given(PROBLEMS, st.sampled_from(["heft", "minmin", "olb", "random"]), st.sampled_from(TRANSFERS), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_every_run_is_a_schedule(problem: tuple, policy: str, transfers: str, seed: int) -> None:
    graph, costs = problem
    real = costs * np.random.default_rng(seed).uniform(0.5, 2, costs.shape)
    plan = schedule(graph, costs, policy)
    trace = follow(plan, real, transfers)
    _check(trace, plan, real)
    assert trace.makespan >= unrelated_lower_bound(graph, real) - 1e-9


def test_fetched_inputs_wait_for_the_last_and_share_a_message() -> None:
    # T2 needs T1 (ends at 9) and T0 (ends at 10), both from machine 0: 4 + 3 s in one message, from 10 on.
    graph = TaskGraph.from_edges([1, 9, 2], [(0, 2, 4), (1, 2, 3)])
    costs = [[1, 99], [9, 99], [99, 2]]
    plan = schedule(graph, costs)
    assert plan.makespan == 16
    assert follow(plan).makespan == 16
    fetched = follow(plan, transfers="fetched")
    assert fetched.makespan == 19
    message = fetched.kind != fetched.kind[0]
    assert (fetched.start[message], fetched.stop[message]) == ([10.0], [17.0])


def test_a_value_is_fetched_once_and_messages_do_not_overlap() -> None:
    graph = TaskGraph.from_edges([1, 1, 1, 1], [(0, 1, 5), (0, 2, 5), (1, 3, 0), (2, 3, 0)])
    plan = schedule(graph, [[1, 9], [99, 1], [99, 1], [99, 1]])
    fetched = follow(plan, transfers="fetched")
    assert (fetched.kind != fetched.kind[0]).sum() == 1
    assert fetched.makespan == 9


def test_the_ten_tasks_with_one_value_each() -> None:
    # What chapter 13 measures on Dask.
    graph, costs = topcuoglu()
    value = np.array([graph.sizes[graph.indices == i].max(initial=0.0) for i in range(10)])
    graph = graph.replace(edge_size=value[graph.indices])
    plan = schedule(graph, costs)
    assert (plan.makespan, follow(plan, transfers="fetched").makespan) == (91, 118)


def test_follow_refuses() -> None:
    graph, costs = topcuoglu()
    plan = schedule(graph, costs)
    with pytest.raises(ValueError, match="pulled"):
        follow(plan, transfers="pulled")
    with pytest.raises(ValueError, match="costs has 2 machines"):
        follow(plan, costs[:, :2])
    with pytest.raises(ValueError, match="Cluster"):
        follow(schedule(graph, Cluster(3)))


@given(st.integers(1, 4), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_no_schedule_beats_the_bound(machines: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0, 2, (6, machines))
    graph = TaskGraph.from_edges(costs.mean(axis=1), [(0, 2, 0), (1, 3, 0), (2, 4, 0), (3, 5, 0)])
    bound = unrelated_lower_bound(graph, costs)
    assert optimal(graph, costs).makespan >= bound - 1e-12
    if machines == 1:
        assert optimal(graph, costs).makespan == pytest.approx(bound)


def test_the_bound_refuses() -> None:
    graph, costs = topcuoglu()
    with pytest.raises(ValueError, match=r"costs has shape \(9, 3\)"):
        unrelated_lower_bound(graph, costs[:9])
    with pytest.raises(ValueError, match="costs"):
        unrelated_lower_bound(graph, -costs)


@pytest.mark.parametrize("shape", INSTANCE_SHAPES)
@pytest.mark.parametrize("tasks", [12, 100, 1000])
def test_instances_are_as_asked_for(shape: str, tasks: int) -> None:
    graph, costs = instance(shape, tasks, 6, 2.5, heterogeneity=0.5, seed=1)
    assert 0.6 * tasks <= len(graph) <= 1.4 * tasks
    assert graph.sizes.mean() / costs.mean() == pytest.approx(2.5)
    assert (costs.max(axis=1) <= costs.min(axis=1) * 1.25 / 0.75 + 1e-9).all()
    again = instance(shape, tasks, 6, 2.5, heterogeneity=0.5, seed=1)
    assert graph == again[0]
    assert np.array_equal(costs, again[1])
    assert not np.array_equal(costs, instance(shape, tasks, 6, 2.5, heterogeneity=0.5, seed=2)[1])


def test_machines_alike_and_free_transfers() -> None:
    graph, costs = instance("tree", 30, 3, 0.0, heterogeneity=0.0)
    assert not graph.sizes.any()
    assert (costs == costs[:, :1]).all()


def test_instances_refuse() -> None:
    for arguments, message in (
        (("ring", 30, 3, 1.0), "shape"), (("tree", 3, 3, 1.0), "tasks"), (("tree", 30, 0, 1.0), "machines"),
        (("tree", 30, 3, -1.0), "ccr"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            instance(*arguments)
    with pytest.raises(ValueError, match="heterogeneity"):
        instance("tree", 30, 3, 1.0, heterogeneity=3)
