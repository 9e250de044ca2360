"""Traces: their numbers on examples computed by hand, their file, and what Perfetto gets to see."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.cluster import Cluster
from course.graph import TaskGraph, chain, fork_join, independent, map_reduce, random_dag
from course.simulate import run
from course.trace import KINDS, Trace, TraceError

names = st.text(st.characters(codec="utf-8"), max_size=5)
sizes = st.floats(0, 1e12)


@st.composite
def traces(draw) -> Trace:
    """Any trace: with and without names, sizes of edges, arrays in the cluster, empty graph, no rows."""
    n, w = draw(st.integers(0, 5)), draw(st.integers(1, 3))
    rows = [draw(st.lists(st.integers(0, i - 1), unique=True)) if i else [] for i in range(n)]
    edges = sum(map(len, rows))
    graph = TaskGraph(
        draw(st.lists(sizes, min_size=n, max_size=n)),
        draw(st.lists(sizes, min_size=n, max_size=n)),
        rows,
        edge_size=draw(st.none() | st.lists(sizes, min_size=edges, max_size=edges)),
        names=draw(st.none() | st.lists(names, min_size=n, max_size=n)),
    )
    cluster = Cluster(
        w,
        threads=draw(st.integers(1, 9) | st.lists(st.integers(1, 9), min_size=w, max_size=w)),
        speed=draw(st.floats(0.1, 10) | st.lists(st.floats(0.1, 10), min_size=w, max_size=w)),
        latency=draw(st.just(0.0) | st.just(np.full((w, w), 0.1 + 0.2))),
        bandwidth=draw(st.just(math.inf) | st.just(np.full(w, 1e9 / 3)) | st.just(np.full((w, w), math.inf))),
        scheduler_overhead=draw(st.floats(0, 1)),
        names=draw(st.none() | st.lists(names, min_size=w, max_size=w)),
    )
    m = draw(st.integers(0, 6)) if n else 0

    def column(values):
        return draw(st.lists(values, min_size=m, max_size=m))

    start, length = np.array(column(st.floats(0, 1e6))), np.array(column(st.floats(0, 1e6)))
    return Trace(
        column(st.integers(0, max(n - 1, 0))),
        column(st.integers(-1, w - 1)),
        column(st.integers(-1, 8)),
        column(st.sampled_from(KINDS)),
        start,
        start + length,
        column(sizes),
        column(st.integers(-1, w - 1)),
        graph=graph,
        cluster=cluster,
        origin=draw(st.sampled_from(["simulated", "measured"])),
    )


# ---- the numbers


def example() -> Trace:
    """Two workers of one thread; ▇ computes.

    worker 0  0▇▇1        3▇▇4      task 0, then (after its data came) task 2
    worker 1  0▇▇▇▇2                task 1
    """
    return Trace(
        [0, 1, 2, 2],
        [0, 1, 0, 0],
        [0, 0, 0, -1],
        ["compute", "compute", "compute", "transfer"],
        [0, 0, 3, 2],
        [1, 2, 4, 3],
        [0, 0, 0, 8],
        [-1, -1, -1, 1],
        graph=TaskGraph([1, 2, 1], 8, [[], [], [1]], names=["a", "b", "c"]),
        cluster=Cluster(2, latency=1.0),
        origin="simulated",
    )


def test_numbers_by_hand():
    trace = example()
    assert len(trace) == 4
    assert trace.makespan == 4
    assert trace.busy().tolist() == [2, 2]
    assert trace.idle().tolist() == [2, 2]
    assert trace.utilization() == 0.5
    assert trace.order().tolist() == [0, 1, 2]
    assert trace.percentile(50) == 1
    assert trace.percentile([0, 100]).tolist() == [1, 2]
    assert [part.tolist() for part in trace.task_times()] == [[0, 0, 3], [1, 2, 4]]
    assert trace.critical_path() == [1, 2]  # task 0 was on the thread before, but task 1 held it up
    assert repr(trace) == "Trace(simulated: 3 tasks on 2 workers, makespan 4 s, utilization 50 %)"


def test_the_frame():
    frame = example().to_frame()
    assert frame.columns.tolist() == [
        "task", "name", "worker", "thread", "kind", "start", "stop", "size", "source",
    ]  # fmt: skip
    assert frame.name.tolist() == ["a", "b", "c", "c"]
    assert frame.kind.astype(str).tolist() == ["compute", "compute", "compute", "transfer"]
    assert frame["size"].sum() == 8


def test_a_critical_path_goes_over_threads_too():
    # Three independent tasks on one thread: each waited for the one before.
    trace = run(TaskGraph([1, 2, 3]), 1)
    assert trace.critical_path() == [0, 1, 2]
    graph = fork_join(5, 2)
    assert len(run(graph, 5).critical_path()) == 5  # source, task, join, task, join: nobody waits for a worker
    path = run(graph, 2).critical_path()
    assert graph.duration[path].sum() == run(graph, 2).makespan


@given(st.integers(0, 400), st.integers(1, 5))
def test_a_critical_path_fills_the_makespan(seed, workers):
    """Where the network costs nothing, list scheduling leaves no gap on it."""
    graph = random_dag(20, 0.2, seed=seed)
    graph = graph.replace(duration=np.where(np.arange(20) % 4, graph.duration, 0.0))
    trace = run(graph, workers, "random", seed=seed)
    path = trace.critical_path()
    assert len(set(path)) == len(path)
    assert graph.duration[path].sum() == pytest.approx(trace.makespan, rel=1e-12)


def test_a_critical_path_ends_although_tasks_take_no_time():
    # On one thread at one instant, in an order that only the graph knows: 2, then 0, then 1.
    graph = TaskGraph([0, 0, 0], 0, [[2], [0], []])
    trace = Trace([0, 1, 2], [0] * 3, [0] * 3, [0] * 3, [5] * 3, [5] * 3, graph=graph, cluster=Cluster(1),
                  origin="measured")  # fmt: skip
    assert trace.critical_path() == [2, 0, 1]


def test_a_critical_path_ends_although_clocks_are_coarse():
    # Measured times say that 0 ran before 1, which it waits for; both took less than the tolerance for clocks.
    graph = TaskGraph([0, 0], 0, [[1], []])
    columns = [[0, 1], [0, 0], [0, 0], [0, 0], [0, 4e-10], [4e-10, 9e-10]]
    trace = Trace(*columns, graph=graph, cluster=Cluster(1), origin="measured")
    assert trace.critical_path() == [0, 1]


def test_tasks_that_ran_twice_or_never():
    graph = chain(3)
    trace = Trace([0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 2, 4], [1, 3, 5], graph=graph, cluster=Cluster(2),
                  origin="measured")  # fmt: skip
    start, stop = trace.task_times()
    np.testing.assert_array_equal(start, [2, 4, np.nan])
    np.testing.assert_array_equal(stop, [3, 5, np.nan])
    assert trace.critical_path() == [0, 1]


@given(traces())
def test_busy_and_idle_make_up_all_time(trace):
    total = trace.cluster.slots * trace.makespan
    assert trace.busy().sum() + trace.idle().sum() == pytest.approx(total, rel=1e-9, abs=1e-6)


def test_a_trace_of_nothing():
    trace = Trace([], [], [], [], [], [], graph=TaskGraph([]), cluster=Cluster(2), origin="measured")
    assert (trace.makespan, trace.utilization(), trace.critical_path(), len(trace.order())) == (0, 0, [], 0)
    assert len(trace.to_frame()) == 0
    with pytest.raises(TraceError, match="no task ran in this trace"):
        trace.percentile(50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"origin": "dreamt"}, "origin is 'dreamt'; it must be 'simulated' or 'measured'"),
        ({"worker": [0]}, "worker has shape (1,); task has (2,); all must be (rows,)"),
        ({"task": [[0, 1]]}, "all must be (rows,)"),
        ({"task": [0, 2]}, "task[1] is 2; it must be in 0 … 1"),
        ({"task": [0, 2**32]}, "task[1] is 4294967296; it must be in 0 … 1"),
        ({"task": [0.5, 1]}, "task holds"),
        ({"worker": [0, 1]}, "worker[1] is 1; it must be in -1 … 0"),
        ({"worker": [-2, 0]}, "worker[0] is -2"),
        ({"thread": [0, -2]}, "thread[1] is -2"),
        ({"source": [0, 7]}, "source[1] is 7"),
        ({"kind": ["compute", "sleep"]}, "kind 'sleep' is unknown; it must be one of compute, transfer, disk"),
        ({"kind": [0, 5]}, "kind[1] is 5; it must be in 0 … 4"),
        ({"start": [0, math.nan]}, "row 1 runs from nan to 2.0; times must be finite and in order"),
        ({"stop": [1, math.inf]}, "row 1 runs from 1.0 to inf"),
        ({"start": [3, 1]}, "row 0 runs from 3.0 to 1.0"),
        ({"size": [0, -1]}, "size[1] is -1.0; it must be finite and at least 0"),
        ({"size": [math.nan, 0]}, "size[0] is nan"),
        ({"submitted": [0.0]}, "submitted must hold a finite time for each of 2 tasks"),
        ({"submitted": [0.0, math.inf]}, "submitted must hold a finite time for each of 2 tasks"),
    ],
)
def test_columns_that_are_refused(changes, message):
    columns = {"task": [0, 1], "worker": [0, 0], "thread": [0, 0], "kind": [0, 0], "start": [0.0, 1.0],
               "stop": [1.0, 2.0], "graph": chain(2), "cluster": Cluster(1), "origin": "measured"}  # fmt: skip
    Trace(**columns)
    with pytest.raises(TraceError, match=re.escape(message)):
        Trace(**(columns | changes))


# ---- the file


@given(traces())
def test_saving_loses_nothing(tmp_path_factory, trace):
    path = tmp_path_factory.mktemp("trace") / "trace.parquet"
    assert trace.save(path) == path
    again = Trace.load(path)
    assert again == trace
    assert again.graph.names == trace.graph.names
    assert (again.graph.edge_size is None) == (trace.graph.edge_size is None)
    for name in ("start", "stop", "size"):
        assert getattr(again, name).dtype == float


def test_saving_keeps_when_tasks_were_submitted(tmp_path):
    trace = Trace([0, 1], [0, 0], [0, 0], [0, 0], [0.1, 1.5], [0.9, 2.0], graph=independent(2), cluster=Cluster(1),
                  origin="measured", submitted=[0.0, 1.25])  # fmt: skip
    again = Trace.load(trace.save(tmp_path / "trace.parquet"))
    assert again == trace
    assert again.submitted.tolist() == [0.0, 1.25]


def test_any_parquet_reader_opens_it(tmp_path):
    import pandas

    frame = pandas.read_parquet(example().save(tmp_path / "trace.parquet"))
    assert frame.kind.astype(str).tolist() == ["task"] * 3 + ["compute"] * 3 + ["transfer"]
    assert frame.name.tolist()[:3] == ["a", "b", "c"]
    assert frame.predecessors[2].tolist() == [1]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    graph = map_reduce(3, 2, duration=0.125, output_size=30.0).replace(names=["m0", "m1", "m2", "r0", "r1"])
    trace = run(graph, Cluster(2, speed=[1.0, 2.0], latency=0.5, bandwidth=10.0, names=["left", "right"]))
    return trace.save(tmp_path_factory.mktemp("saved") / "trace.parquet").read_bytes()


def test_a_file_cut_anywhere_is_refused(saved, tmp_path):
    path = tmp_path / "trace.parquet"
    for length in [*range(0, len(saved), max(len(saved) // 150, 1)), len(saved) - 1]:
        path.write_bytes(saved[:length])
        with pytest.raises(TraceError, match=re.escape("trace.parquet is")):
            Trace.load(path)


def test_a_file_with_a_changed_byte_is_refused_or_unharmed(saved, tmp_path):
    path = tmp_path / "trace.parquet"
    path.write_bytes(saved)
    right = Trace.load(path)
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.choice(len(saved), 500, replace=False):
        damaged = bytearray(saved)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            trace = Trace.load(path)
        except TraceError:
            refused += 1
        else:  # the byte does not matter, as in the statistics that Parquet keeps of each column
            assert trace == right, position
    assert refused > 100


def _rewritten(saved: bytes, tmp_path, change) -> None:
    source, target = tmp_path / "source.parquet", tmp_path / "trace.parquet"
    source.write_bytes(saved)
    table = pq.read_table(source)
    about = json.loads(table.schema.metadata[b"course.trace"])
    table, about = change(table, about)
    metadata = {b"course.trace": about if isinstance(about, bytes) else json.dumps(about).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, a: (t, a | {"version": 3}), "of version 3 of the trace format; this course reads up to 2"),
        (lambda t, a: (t, {}), "does not say which version of the trace format it is in"),
        (lambda t, a: (t, b"{"), "does not say which version"),
        (lambda t, a: (t, a | {"version": "new"}), "does not say which version"),
        (lambda t, a: (t, {"version": 1}), "is damaged"),
        (lambda t, a: (t, a | {"rows": 1}), "is damaged"),
        (lambda t, a: (t, a | {"cluster": {"workers": 0}}), "is damaged"),
        (lambda t, a: (t, a | {"cluster": {"workers": 9}}), "is damaged"),
        (lambda t, a: (t, a | {"origin": "measured"}), "its contents are not those that were written"),
        (lambda t, a: (t.drop_columns("start"), a), "is damaged"),
        (lambda t, a: (t.slice(0, 3), a), "is damaged: it has 3 rows; 5 tasks and"),
        (lambda t, a: (t.take(list(range(t.num_rows))[::-1]), a), "is damaged"),
    ],
)
def test_other_contents_are_refused(saved, tmp_path, change, message):
    _rewritten(saved, tmp_path, change)
    with pytest.raises(TraceError, match=re.escape(message)):
        Trace.load(tmp_path / "trace.parquet")


def test_other_files_are_refused(tmp_path):
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"x": [1, 2]}), foreign)
    with pytest.raises(TraceError, match=re.escape("foreign.parquet is a Parquet file but not a trace")):
        Trace.load(foreign)
    for content in (b"", b"hello", b"PAR1", b"PAR1PAR1" * 4):
        other = tmp_path / "other.parquet"
        other.write_bytes(content)
        with pytest.raises(TraceError, match=re.escape("other.parquet is not a Parquet file, or it is damaged")):
            Trace.load(other)
    with pytest.raises(TraceError, match="is a folder; give the file"):
        Trace.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Trace.load(tmp_path / "none.parquet")


# ---- Chrome trace events


def check_chrome_events(document: dict) -> None:
    """Assert what the Trace Event Format documents: its JSON object form, and the fields of each phase used here."""
    assert isinstance(document["traceEvents"], list)
    assert document["displayTimeUnit"] in ("ms", "ns")
    slices: dict[tuple[int, int], list[tuple[float, float]]] = {}
    labelled: dict[str, set] = {"process_name": set(), "thread_name": set()}
    for event in document["traceEvents"]:
        assert isinstance(event["name"], str)
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        if event["ph"] == "X":
            assert isinstance(event["cat"], str)
            for field in ("ts", "dur"):
                assert isinstance(event[field], (int, float))
                assert math.isfinite(event[field])
                assert event[field] >= 0
            assert isinstance(event.get("args", {}), dict)
            slices.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] == "M":
            assert event["name"] in labelled
            assert isinstance(event["args"]["name"], str)
            place = event["pid"] if event["name"] == "process_name" else (event["pid"], event["tid"])
            assert place not in labelled[event["name"]], "named twice"
            labelled[event["name"]].add(place)
        else:
            raise AssertionError(f"unknown phase {event['ph']!r}")
    assert set(slices) <= labelled["thread_name"]
    assert {pid for pid, _ in slices} <= labelled["process_name"]
    for place, spans in slices.items():
        open_until: list[float] = []
        for start, stop in sorted(spans, key=lambda span: (span[0], -span[1])):
            # Rounding of seconds to microseconds, relative to where the slice lies.
            slack = 1e-9 * max(stop, 1.0)
            while open_until and open_until[-1] <= start + slack:
                open_until.pop()
            assert not open_until or stop <= open_until[-1] + slack, f"slices on {place} overlap in part"
            open_until.append(stop)


def test_the_checker_finds_what_is_wrong():
    good = example()._chrome_events()
    check_chrome_events(good)
    x = next(i for i, event in enumerate(good["traceEvents"]) if event["ph"] == "X")
    for change in ({"ts": -1.0}, {"dur": math.nan}, {"pid": "0"}, {"ph": "Z"}, {"tid": 77}):
        events = list(good["traceEvents"])
        events[x] = events[x] | change
        with pytest.raises(AssertionError):
            check_chrome_events(good | {"traceEvents": events})
    overlapping = {**good["traceEvents"][x], "ts": good["traceEvents"][x]["ts"] + 0.5e6, "dur": 5e6}
    with pytest.raises(AssertionError, match="overlap in part"):
        check_chrome_events(good | {"traceEvents": [*good["traceEvents"], overlapping]})


def test_perfetto_by_hand(tmp_path):
    path = example().to_perfetto(tmp_path / "trace.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    check_chrome_events(document)
    assert document["otherData"] == {"origin": "simulated"}
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    assert [(e["name"], e["cat"], e["ts"], e["dur"], e["pid"]) for e in slices] == [
        ("a", "compute", 0, 1e6, 0),
        ("b", "compute", 0, 2e6, 1),
        ("c", "transfer", 2e6, 1e6, 0),
        ("c", "compute", 3e6, 1e6, 0),
    ]
    transfer = slices[2]
    assert transfer["args"] == {"task": 2, "bytes": 8, "source": 1}
    assert transfer["tid"] != slices[0]["tid"]
    processes = {e["pid"]: e["args"]["name"] for e in document["traceEvents"] if e["name"] == "process_name"}
    assert processes == {0: "worker 0", 1: "worker 1", 2: "scheduler"}


def test_perfetto_with_many_lanes_and_threads():
    # 1,500 transfers of one worker overlap, because the latency is long; and there are 1,500 threads.
    graph = TaskGraph(np.ones(1501), 1.0, [*([[]] * 1500), list(range(1500))], edge_size=np.ones(1500))
    trace = run(graph, Cluster(1500, latency=1e4, bandwidth=1.0))
    check_chrome_events(trace._chrome_events())
    wide = run(graph, Cluster(1, threads=1500, scheduler_overhead=1e-3))
    document = wide._chrome_events()
    check_chrome_events(document)
    assert len({(e["pid"], e["tid"]) for e in document["traceEvents"] if e["ph"] == "X"}) == 1501  # and the scheduler


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3))
def test_perfetto_of_simulated_runs(seed, workers, threads):
    graph = random_dag(25, 0.2, output_size=1.0, seed=seed)
    cluster = Cluster(workers, threads, latency=0.3, bandwidth=2.0, scheduler_overhead=0.01)
    trace = run(graph, cluster)
    document = trace._chrome_events()
    check_chrome_events(json.loads(json.dumps(document, allow_nan=False)))
    assert sum(event["ph"] == "X" for event in document["traceEvents"]) == len(trace)


def test_perfetto_of_nothing(tmp_path):
    trace = Trace([], [], [], [], [], [], graph=TaskGraph([]), cluster=Cluster(1), origin="measured")
    check_chrome_events(json.loads(trace.to_perfetto(tmp_path / "t.json").read_text(encoding="utf-8")))
