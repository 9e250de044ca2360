"""`whatif`: against direct simulations of the changed graph or cluster; its errors; traces as bad as they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import Cluster, TaskGraph, Trace, diagnose, plots, whatif
from course.graph import (
    chain,
    fork_join,
    independent,
    layered,
    map_reduce,
    merge_tasks,
    random_dag,
    split_tasks,
    tree_reduce,
)
from course.replay import REMOVABLE, Replayer
from course.simulate import run
from course.simulate.dask.policy import Dask
from course.simulate.lists import List
from course.trace import COLUMNS, TRANSFER
from tests.strategies import draw_predecessors


def named(graph: TaskGraph, *prefixes: str) -> TaskGraph:
    """Name the tasks by prefix and number, the prefixes in turn."""
    return graph.replace(names=[f"{prefixes[i % len(prefixes)]}-{i}" for i in range(len(graph))])


# ---- nothing changed


@given(st.data(), st.integers(0, 999))
@settings(max_examples=80, deadline=None)
def test_list_scheduling_is_replayed_exactly(data, seed):
    """In the order in which it was recorded, a run takes exactly as long: each choice finds the same tasks ready.

    That needs tasks to begin in the order in which they were handed out: no transfers, which hold up some of them; and,
    where the workers are not alike, that those which begin at one instant are handed out by their number, as by "list".
    """
    n = data.draw(st.integers(1, 25))
    predecessors = draw_predecessors(data.draw, n)
    rng = np.random.default_rng(seed)
    graph = TaskGraph(rng.exponential(1.0, n), 0.0, predecessors)
    policy = data.draw(st.sampled_from(["list", "fifo", "lifo", "blevel", "random"]))
    workers = data.draw(st.integers(1, 4))
    costs = {
        "threads": data.draw(st.integers(1, 2)),
        "scheduler_overhead": data.draw(st.sampled_from([0.0, 0.01, 0.3])),
        "release_delay": data.draw(st.sampled_from([0.0, 0.1])),
    }
    if policy == "list":
        costs["speed"] = rng.choice([0.5, 1.0, 1.7], workers)
    trace = run(graph, Cluster(workers, **costs), policy, seed=seed)
    found = whatif(trace, policy="list")
    assert found.trace.makespan == trace.makespan
    assert (found.trace.task_times()[0] == trace.task_times()[0]).all()
    nothing = whatif(trace)
    assert nothing.ratio == 1.0
    assert nothing.makespan == trace.makespan == nothing.recorded
    assert nothing.interval[0] <= trace.makespan <= nothing.interval[1]


@given(st.integers(0, 999), st.sampled_from([1, 3]))
@settings(max_examples=30, deadline=None)
def test_a_run_of_dask_is_replayed_within_a_few_percent(seed, threads):
    graph = named(layered(6, 12, degree=2, seed=seed, output_size=1e6), "load")
    cluster = Cluster(3, threads=threads, bandwidth=1e8, latency=1e-3, scheduler_overhead=1e-3, release_delay=2e-3)
    found = whatif(run(graph, cluster, "dask", seed))
    assert abs(found.error) < 0.1
    assert found.error == found.replayed / found.recorded - 1


# ---- changes, against direct simulations


GRAPHS = {
    "independent": named(independent(24, 1.0), "load"),
    "chain": named(chain(6, 0.5, output_size=1e6), "step"),
    "two kinds": named(fork_join(6, stages=2, output_size=1e6), "load", "score"),
    "tree": named(tree_reduce(8, output_size=1e6), "sum"),
    "dag": named(random_dag(20, 0.2, seed=4, output_size=2e6), "a", "b", "c"),
    "map-reduce": named(map_reduce(6, 3), "map"),
}
CLUSTER = Cluster(3, threads=2, scheduler_overhead=0.01, release_delay=0.02, latency=0.05, bandwidth=1e7)


def replayed(graph, cluster):
    """Return the makespan of a direct simulation with the ranks that the replay has: by the start in the recording."""
    return run(graph, cluster, "list").makespan


def recorded(graph, cluster=CLUSTER):
    """A run whose tasks begin in the order of their numbers, so that this is the recorded order, too.

    The graph is numbered anew by the starts of one run, until that changes nothing.
    """
    for _ in range(20):
        trace = run(graph, cluster, "list")
        order = np.argsort(trace.task_times()[0], kind="stable")
        if (order == np.arange(len(graph))).all():
            return trace
        place = np.argsort(order)
        graph = TaskGraph(
            graph.duration[order],
            graph.output_size[order],
            [place[graph.predecessors(i)].tolist() for i in order.tolist()],
            names=[graph.names[i] for i in order.tolist()],
        )
    raise AssertionError("no order was found")


@pytest.fixture(scope="module", params=list(GRAPHS))
def trace(request):
    return recorded(GRAPHS[request.param])


def test_removed_costs_are_those_of_a_cluster_without_them(trace):
    graph = trace.graph
    costs = {"scheduler_overhead": 0, "release_delay": 0}
    free = {"transfer": {"latency": 0.0, "bandwidth": np.inf}, "overhead": costs}
    for kind in REMOVABLE:
        found = whatif(trace, remove=kind, policy="list")
        assert found.trace.makespan == replayed(graph, CLUSTER.replace(**free.get(kind, {})))
        assert found.changes == f"remove {kind}; policy list"
    both = whatif(trace, remove=["transfer", "overhead"], policy="list")
    assert both.trace.makespan == replayed(graph, CLUSTER.replace(**free["transfer"], **free["overhead"]))


def test_another_cluster_is_simulated_as_such(trace):
    graph = trace.graph
    for changes, cluster in (
        ({"workers": 7}, CLUSTER.replace(workers=7)),
        ({"workers": np.int64(1)}, CLUSTER.replace(workers=1)),
        ({"threads": 1}, CLUSTER.replace(threads=1)),
        ({"workers": 2, "threads": 5}, CLUSTER.replace(workers=2, threads=5)),
        ({"bandwidth": 3e6}, CLUSTER.replace(bandwidth=3e6)),
        ({"bandwidth": "2x"}, CLUSTER.replace(bandwidth=2e7)),
        ({"bandwidth": "0.5×"}, CLUSTER.replace(bandwidth=5e6)),
        ({"latency": "3 x"}, CLUSTER.replace(latency=0.05 * 3)),
        ({"latency": 0}, CLUSTER.replace(latency=0)),
        ({"latency": np.float32(0.5)}, CLUSTER.replace(latency=0.5)),
        ({"scheduler_overhead": 0.05}, CLUSTER.replace(scheduler_overhead=0.05, release_delay=0.1)),
        ({"scheduler_overhead": "0x"}, CLUSTER.replace(scheduler_overhead=0, release_delay=0)),
    ):
        assert whatif(trace, **changes, policy="list").trace.makespan == pytest.approx(replayed(graph, cluster), 1e-12)


def test_faster_tasks_and_even_ones(trace):
    graph = trace.graph
    prefixes, group = graph.prefixes
    faster = graph.replace(duration=np.where(group == 0, graph.duration / 4, graph.duration))
    found = whatif(trace, speed={prefixes[0]: 4}, policy="list")
    assert found.trace.makespan == pytest.approx(replayed(faster, CLUSTER), rel=1e-12)
    assert found.changes == f"speed {prefixes[0]} 4; policy list"
    slower = graph.replace(duration=graph.duration / 0.5)
    assert whatif(trace, speed=0.5, policy="list").trace.makespan == pytest.approx(replayed(slower, CLUSTER), rel=1e-12)
    one = graph.replace(duration=np.where(np.arange(len(graph)) == 1, graph.duration / 2, graph.duration))
    found = whatif(trace, speed={graph.name(1): 2}, policy="list")
    assert found.trace.makespan == pytest.approx(replayed(one, CLUSTER), rel=1e-12)
    duration, size = graph.duration.copy(), graph.output_size.copy()
    for array in (duration, size):
        array[group == 0] = array[group == 0].mean()
    even = graph.replace(duration=duration, output_size=size)
    found = whatif(trace, even=prefixes[0], policy="list")
    assert found.trace.makespan == pytest.approx(replayed(even, CLUSTER), rel=1e-12)
    assert found.trace.graph.work == pytest.approx(graph.work)


def test_coarser_and_finer_tasks(trace):
    graph = trace.graph
    finer, origin = split_tasks(graph, np.full(len(graph), 3))
    found = whatif(trace, split=3, policy="list")
    assert found.trace.graph == finer
    assert found.trace.makespan == replayed(finer, CLUSTER)
    # What was split is merged again to the same work: a task for each.
    assert len(merge_tasks(finer, origin)) == len(graph)


def test_merged_tasks():
    graph = named(independent(24, 1.0), "load")
    trace = recorded(graph)
    coarser = merge_tasks(graph, np.arange(24) // 4)
    found = whatif(trace, merge={"load": 4}, policy="list")
    assert found.trace.graph == coarser
    assert found.trace.makespan == replayed(coarser, CLUSTER)
    assert found.changes == "merge load 4; policy list"
    assert len(whatif(trace, merge=10**6).trace.graph) == 1
    # Two tasks of one name, of which the second waits for the first by a detour.
    detour = TaskGraph.from_edges([1, 1, 1], [(0, 2), (2, 1)], names=["a-0", "a-1", "b-0"])
    with pytest.raises(ValueError, match="merge is 2; tasks that would be one wait for each other"):
        whatif(run(detour, 1), merge=2)


def test_what_all_workers_have_keeps_no_task_at_one_of_them():
    """Short tasks read a result from before the recording, without fetching it: both workers had it."""
    n, unit = 8, 0.005
    names = ["data-0", *(f"read-{i}" for i in range(n))]
    graph = TaskGraph([0.0] + [unit] * n, [1e6] + [0.0] * n, [[], *([0] for _ in range(n))], names=names)
    start = unit * (np.arange(n) // 2)
    rows = {"task": 1 + np.arange(n), "worker": np.arange(n) % 2, "start": start, "stop": start + unit}
    rows |= {name: np.zeros(n, int) for name in ("thread", "kind")}
    trace = Trace(**rows, graph=graph, cluster=Cluster(2), origin="measured")
    found = whatif(trace, merge={"read": 4})  # two tasks: Dask puts both where their input is, and steals none so short
    assert abs(found.error) < 0.01
    assert found.ratio == pytest.approx(1.0)
    fetched = Trace(
        **{name: np.append(column, 0) for name, column in (rows | {"stop": start + unit}).items() if name != "kind"},
        kind=np.append(rows["kind"], TRANSFER), graph=graph, cluster=Cluster(2), origin="measured",
    )  # fmt: skip
    fetched.task[-1], fetched.worker[-1] = 2, 1
    assert whatif(fetched, merge={"read": 4}).ratio > 1.5  # only one had it


def test_several_changes_are_made_together():
    graph = named(independent(24, 1.0), "load")
    found = whatif(recorded(graph), speed=2, split=2, workers=6, threads=1, latency=0, policy="list")
    finer, _ = split_tasks(graph.replace(duration=graph.duration / 2), np.full(24, 2))
    assert found.trace.makespan == replayed(finer, CLUSTER.replace(workers=6, threads=1, latency=0))
    assert found.changes == "speed 2; split 2; latency 0; 6 workers; 1 threads; policy list"


def test_workers_of_all_sorts_are_repeated_in_turn():
    pairs = np.array([[0.0, 1.0], [2.0, 0.0]])
    cluster = Cluster(2, threads=np.array([1, 2]), speed=np.array([1.0, 3.0]), latency=pairs,
                      bandwidth=np.array([1, 2]), names=("a", "b"))  # fmt: skip
    found = whatif(run(independent(9, 1.0), cluster, "list"), workers=4)
    made = found.trace.cluster
    assert made.threads.tolist() == [1, 2, 1, 2]
    assert made.speed.tolist() == [1.0, 3.0, 1.0, 3.0]
    assert made.bandwidth.tolist() == [1, 2, 1, 2]
    # From 0 to its twin 2 it takes as long as from 1 to 0.
    assert made.latency.tolist() == [[0, 1, 2, 1], [2, 0, 2, 1], [2, 1, 0, 1], [2, 1, 2, 0]]
    assert whatif(run(independent(9, 1.0), cluster, "list"), workers=1).trace.cluster.workers == 1


def test_stragglers_are_not_slowed_down_twice():
    cluster = Cluster(2, stragglers=(0.5, 10.0))
    trace = run(independent(20, 1.0), cluster, "list", seed=3)
    assert whatif(trace, policy="list").trace.makespan == trace.makespan


def test_a_run_with_failures_is_replayed_with_them():
    trace = run(independent(20, 1.0), Cluster(2, failures=[(1, 3.5, 6.0)]), "list")
    assert abs(whatif(trace).error) < 1e-9
    assert whatif(trace, workers=4).ratio < 1
    with pytest.raises(ValueError, match="failures"):
        whatif(trace, policy="dask")


# ---- a program that submits its tasks one after the other


@pytest.fixture(scope="module")
def batches():
    """Three graphs of eight tasks, each submitted half a second after the one before had ended; as if measured."""
    from course.simulate.submissions import Submissions

    occasion, ones = np.repeat(np.arange(3), 8), np.ones(24)
    later = Submissions(occasion, np.array([0.0, 8.0, 16.0]), np.array([0.0, 0.5, 0.5]), ones)
    simulated = List("list", later).simulate(named(independent(24, 1.0), "load"), Cluster(4), 0)
    columns = {name: getattr(simulated, name) for name in COLUMNS}
    return Trace(**columns, graph=simulated.graph, cluster=simulated.cluster, origin="measured",
                 submitted=simulated.submitted)  # fmt: skip


def test_the_program_that_submits_is_replayed(batches):
    assert batches.makespan == 7.0
    nothing = whatif(batches)
    assert nothing.replayed == pytest.approx(7.0, rel=1e-9)
    assert whatif(batches, remove="client").makespan == pytest.approx(6.0)
    assert whatif(batches, workers=8).makespan == pytest.approx(4.0)
    assert whatif(batches, merge=2).makespan == pytest.approx(7.0)
    # All pauses are seen in the replay, and by `diagnose`.
    assert diagnose(nothing.trace).shares["client"] == pytest.approx(1 / 7)
    assert diagnose(nothing.trace).limit == diagnose(batches).limit
    with pytest.raises(ValueError, match=r"takes a whole graph at once; .* on 3 occasions"):
        whatif(batches, policy="stealing")
    # A replay can be replayed.
    assert whatif(nothing.trace, remove="client").makespan == pytest.approx(6.0)


def test_all_policies_are_simulated(batches):
    whole_graph = run(layered(4, 5, degree=2, seed=1), 3)
    for policy in ("dask", "list", "fifo", "lifo", "random", "blevel", "lpt", "spt", "heft", "stealing", "delay"):
        assert whatif(whole_graph, policy=policy).makespan > 0
    for policy in (Dask(2.0), List("fifo"), np.arange(20), lambda graph, cluster, rng: -graph.duration):
        assert whatif(whole_graph, policy=policy).makespan > 0
    for policy in (Dask(2.0, stealing=False), "dask", "fifo", "blevel", np.arange(24)):
        assert whatif(batches, policy=policy).makespan > 0


# ---- its text, its trace


def test_its_text():
    found = whatif(run(named(independent(64, 1.0), "load"), 4), workers=8)
    assert str(found) == repr(found)
    assert str(found).splitlines() == [
        "what if: 8 workers",
        "  8 s (8 to 8 s) instead of 16 s: 0.50 of the time",
        "  replayed without the changes: 16 s (+0.0% off)",
    ]
    assert found.interval == (8.0, 8.0)
    assert found.skew == 0.0


def test_questions_share_a_baseline():
    trace = run(layered(4, 8, degree=2, seed=0), Cluster(3, release_delay=0.1), "dask")
    replayer = Replayer(trace)
    first, second = (replayer.ask(None, {"workers": w}) for w in (2, 6))
    assert first.baseline is second.baseline
    assert first.ratio == whatif(trace, workers=2).ratio > 1 > second.ratio


@pytest.mark.parametrize(
    "changes",
    [{}, {"remove": ["transfer", "overhead"]}, {"split": 2}, {"merge": 2}, {"workers": 1}, {"policy": "list"}],
    ids=str,
)  # fmt: skip
def test_its_trace_is_one_like_any_other(changes, tmp_path, batches):
    graph = named(layered(3, 4, degree=2, seed=0, output_size=1e6), "a")
    measured = run(graph, Cluster(2, threads=2, bandwidth=1e8, scheduler_overhead=1e-3), "dask")
    columns = {name: getattr(measured, name) for name in COLUMNS}
    kept = measured.kind != 4
    columns = {name: column[kept] for name, column in columns.items()}
    # Something of each kind.
    for kind, rows in ((2, [0, 1]), (3, [2])):
        part = {name: column[rows] for name, column in columns.items()}
        part |= {"kind": np.full(len(rows), kind), "stop": part["start"], "start": part["start"] - 0.01}
        columns = {name: np.concatenate([columns[name], part[name]]) for name in COLUMNS}
    hard = Trace(**columns, graph=graph, cluster=measured.cluster, origin="measured")
    for found in (whatif(hard, **changes), whatif(batches, **changes)):
        for made in (found.trace, found.baseline):
            assert Trace.load(made.save(tmp_path / "trace.parquet")) == made
            diagnosis = diagnose(made)
            assert sum(diagnosis.shares.values()) == pytest.approx(1.0)
            figure, axes = plots.subplots(2, 2)
            plots.gantt(made, axes[0, 0])
            plots.running(made, axes[0, 1], label="this")
            plots.shares_over_time(diagnosis, axes[1, 0])
            plots.shares_of_runs({"this": diagnosis}, axes[1, 1])
            figure.canvas.draw()
            made.to_perfetto(tmp_path / "trace.json")
            assert len(made.to_frame()) == len(made)


# ---- arguments


TWO = run(named(fork_join(3, stages=1), "load", "score"), 2)
NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"workers": 0}, "workers is 0; it must be a whole number of at least 1"),
        ({"workers": 2.0}, "workers is 2.0"),
        ({"workers": 10**30}, "workers is 1000000000000.*at most 1000000"),
        ({"workers": True}, "workers is True"),
        ({"workers": "2x"}, "workers is '2x'"),
        ({"threads": -1}, "threads is -1"),
        ({"threads": 10**30}, "threads is 1000.*at most 1000000000"),
        ({"threads": NAN}, "threads is nan"),
        ({"bandwidth": 0}, "bandwidth is 0; it must be greater than 0"),
        ({"bandwidth": NAN}, "bandwidth is nan"),
        ({"bandwidth": "fast"}, "bandwidth is 'fast'; it must be a number, or a factor such as '2x'"),
        ({"bandwidth": "2"}, "a factor such as '2x'"),
        ({"bandwidth": "-2x"}, "bandwidth is -2; it must be finite and greater than 0"),
        ({"bandwidth": "nanx"}, "bandwidth is nan"),
        ({"bandwidth": ""}, "bandwidth is ''"),
        ({"bandwidth": [1.0]}, "bandwidth has shape"),
        ({"latency": -1}, "latency is -1; it must be at least 0 and finite"),
        ({"latency": np.inf}, "latency is inf"),
        ({"latency": "x"}, "latency is 'x'"),
        ({"latency": None.__class__}, "latency is <class"),
        ({"scheduler_overhead": -0.1}, "scheduler_overhead is -0.1"),
        ({"scheduler_overhead": [1, 2]}, "scheduler_overhead is"),
        ({"scheduler_overhead": NAN}, "scheduler_overhead is nan"),
        ({"scheduler_overhead": "infx"}, "scheduler_overhead is inf"),
        ({"policy": "quickest"}, "policy is 'quickest'; it must be one of list.*dask"),
        ({"policy": Dask}, "policy is <class"),
        ({"policy": [1, 2]}, "one number for each of"),
        ({"policy": 3}, "one number for each of"),
        ({"split": 0}, "split is 0; it must be a whole number of at least 1"),
        ({"split": 1.5}, "split is 1.5"),
        ({"split": NAN}, "split is nan"),
        ({"split": 10**30}, "split is 1000"),
        ({"split": 10**8}, "parts would make"),
        ({"split": {"load": 0}}, r"split\['load'\] is 0"),
        ({"split": {"nope": 2}}, "split names 'nope', which is no key prefix and no task .*'load', 'score'"),
        ({"split": [2, 2]}, "split is"),
        ({"merge": "2"}, "merge is '2'"),
        ({"merge": {"load": None}}, r"merge\['load'\] is None"),
        ({"merge": {"nope": 2}}, "merge names 'nope'"),
        ({"merge": np.array(2.5)}, "merge is"),
        ({"speed": 0}, "speed is 0; it must be finite and greater than 0"),
        ({"speed": NAN}, "speed is nan"),
        ({"speed": "2x"}, "speed is '2x'"),
        ({"speed": 5e-324}, "speed is 5e-324"),
        ({"speed": [1.0, 2.0]}, "speed is"),
        ({"speed": {"score": -1}}, r"speed\['score'\] is -1"),
        ({"speed": {3: 2}}, "speed names 3"),
        ({"even": "nope"}, "even names 'nope'"),
        ({"even": ["load", 3]}, "even holds 3"),
        ({"even": 3}, "even holds 3"),
        ({"remove": "everything"}, "remove holds 'everything'; it must hold some of transfer, disk, des"),
        ({"remove": 5}, "remove holds 5"),
        ({"remove": [["disk"]]}, "remove holds"),
        ({"remove": b"disk"}, "remove holds"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        whatif(TWO, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"split": {}}, {"merge": {}}, {"speed": {}}, {"even": []}, {"remove": ()}, {"even": ""}, {"remove": set()},
        {"workers": None}, {"bandwidth": "1x"}, {"speed": np.float64(1)}, {"speed": np.array(1.0)},
        {"split": np.int8(1)},
        {"merge": 1}, {"merge": {"load": np.uint64(1)}}, {"remove": "disk"}, {"remove": ["client", "client"]},
    ],
    ids=str,
)  # fmt: skip
def test_what_changes_nothing(changes):
    assert whatif(TWO, **changes).ratio == 1.0


WILD = st.one_of(
    st.sampled_from([0, 1, 2, 3, 0.5, -1, NAN, np.inf, 10**30, 1e300, 1e-300, "", "x", "2x", "1e300x", "load", "disk",
                     "load-0", None, True, b"x", (), [], {}, [1], ["load"], ["disk", "client"], {"load": 2},
                     {"score": 0.5}, {"nope": 1}, {"load": NAN}, np.float64(2), np.int64(2), np.array(2), np.array([2]),
                     object, "dask", "list"]),
    st.integers(-2, 20),
    st.floats(),
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["workers", "threads", "bandwidth", "latency", "scheduler_overhead", "policy", "split", "merge",
                         "speed", "even", "remove", "seed"]),
        WILD, max_size=3,
    )
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_anything_is_answered_or_refused(changes):
    if isinstance(changes.get("workers"), int) and changes["workers"] > 1000:
        changes["workers"] = 1000
    said = None
    try:
        found = whatif(TWO, **changes)
    except ValueError as error:
        said = str(error)
    if said is not None:
        assert len(said) > 15
        return
    assert np.isfinite([found.makespan, found.ratio, *found.interval, found.error]).all()
    assert found.interval[0] <= found.makespan * (1 + 1e-9)
    assert found.makespan <= found.interval[1] * (1 + 1e-9)
    assert str(found)
