"""`diagnose`: every second has one name, the path is whole, and each cause is told by its signs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import Cluster, TaskGraph, Trace, diagnose, plots
from course.diagnosis import LIMITS, input_bytes
from course.graph import chain, fork_join, independent, layered, random_dag, tree_reduce
from course.graph.prefixes import key_prefix
from course.simulate import run
from course.timeshares import SHARES, ready_times, time_shares
from course.trace import COLUMNS, COMPUTE, DESERIALIZE, DISK, TRANSFER


@st.composite
def traces(draw):
    """Simulated runs of all sorts, some of them disturbed as measured ones are."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    graph = draw(
        st.sampled_from(
            [
                independent(12),
                chain(5),
                fork_join(6, stages=2, output_size=1e6),
                tree_reduce(8, output_size=1e6),
                layered(4, 5, degree=2, seed=seed, output_size=2e6),
                random_dag(20, 0.15, seed=seed, output_size=1e6),
            ]
        )
    )
    n = len(graph)
    names = [f"{rng.choice(['load', 'score', 'merge'])}-{i}" for i in range(n)]
    graph = graph.replace(duration=rng.exponential(1.0, n).round(2), names=names)
    cluster = Cluster(
        draw(st.integers(1, 4)),
        threads=draw(st.integers(1, 3)),
        latency=draw(st.sampled_from([0.0, 0.1])),
        bandwidth=draw(st.sampled_from([np.inf, 5e6, 1e6])),
        scheduler_overhead=draw(st.sampled_from([0.0, 0.05])),
    )
    trace = run(graph, cluster, draw(st.sampled_from(["fifo", "blevel", "random"])), seed=seed)
    if draw(st.booleans()):
        trace = disturbed(trace, rng)
    if draw(st.booleans()):
        trace = submitted_late(trace, rng)
    return trace


def submitted_late(trace: Trace, rng: np.random.Generator) -> Trace:
    """Add pauses, and say of each task that it was submitted at some time before it ran."""
    pause = trace.makespan * rng.uniform(0, 1)
    middle = np.median(trace.start)
    shift = np.where(trace.start >= middle, pause, 0.0)
    columns = {name: getattr(trace, name) for name in COLUMNS}
    columns |= {"start": trace.start + shift, "stop": trace.stop + shift}
    start, _ = Trace(**columns, graph=trace.graph, cluster=trace.cluster, origin="measured").task_times()
    submitted = np.where(start < middle + pause, 0.0, (middle + pause) * rng.uniform(0.3, 1))
    return Trace(**columns, graph=trace.graph, cluster=trace.cluster, origin="measured", submitted=submitted)


def disturbed(trace: Trace, rng: np.random.Generator) -> Trace:
    """Add disk and deserialize rows, a task that ran twice, and clocks that differ by a millisecond."""
    extra = rng.integers(0, len(trace), 4)
    kinds = np.array([DISK, DESERIALIZE, COMPUTE, DISK])
    begin = trace.start[extra] - rng.uniform(0, 0.5, 4)
    shift = rng.normal(0, 0.001, trace.cluster.workers)[np.maximum(trace.worker, 0)]
    start, stop = trace.start + shift, trace.stop + shift
    return Trace(
        np.concatenate([trace.task, trace.task[extra]]),
        np.concatenate([trace.worker, trace.worker[extra]]),
        np.concatenate([trace.thread, trace.thread[extra]]),
        np.concatenate([trace.kind, kinds]),
        np.concatenate([start, begin]),
        np.concatenate([stop, trace.start[extra] + 0.2]),
        graph=trace.graph,
        cluster=trace.cluster,
        origin="measured",
    )


def named_by_hand(trace: Trace, t: float) -> dict[str, int]:
    """Name what every thread does at one instant, worker by worker and task by task: the definition, slowly."""
    start, stop = trace.task_times()
    ready = ready_times(trace)
    last_row = {}
    for row in np.argsort(trace.stop, kind="stable"):
        if trace.kind[row] == COMPUTE:
            last_row[int(trace.task[row])] = int(trace.worker[row])
    named = dict.fromkeys(SHARES, 0)
    idle_without, ready_without = 0, 0
    for w in range(trace.cluster.workers):
        now = (trace.worker == w) & (trace.start <= t) & (t < trace.stop)
        threads = int(trace.cluster.threads_per_worker[w])
        computing = min(threads, int((now & (trace.kind == COMPUTE)).sum()))
        named["compute"] += computing
        idle = threads - computing
        if (now & (trace.kind == DISK)).any():
            named["disk"] += idle
            idle = 0
        unpacking = min(idle, int((now & (trace.kind == DESERIALIZE)).sum()))
        waits = 0
        for task in np.unique(trace.task[(trace.worker == w) & (trace.kind == TRANSFER)]):
            rows = (trace.worker == w) & (trace.kind == TRANSFER) & (trace.task == task)
            waits += trace.start[rows].min() <= t < trace.stop[rows].max()
        waiting = min(idle - unpacking, waits)
        named["deserialize"] += unpacking
        named["transfer"] += waiting
        idle -= unpacking + waiting
        own = 0
        for task, worker in last_row.items():
            if worker != w:
                continue
            rows = (trace.task == task) & (trace.worker == w) & (trace.kind != COMPUTE)
            rows &= trace.stop <= start[task] + 1e-6
            first = trace.start[rows].min() if rows.any() else start[task]
            last = trace.stop[rows].max() if rows.any() else start[task]
            before = ready[task] <= t < min(first, start[task])
            own += before or min(max(last, ready[task]), start[task]) <= t < start[task]
        scheduling = min(idle, own)
        named["scheduling"] += scheduling
        idle_without += idle - scheduling
        ready_without += own - scheduling
    named["placement"] = min(idle_without, ready_without)
    rest = idle_without - named["placement"]
    if not any(min(trace.submitted[task], stop[task]) <= t < stop[task] for task in last_row):
        named["client"] = rest
        return named
    kinds = {}
    for task in last_row:
        kinds.setdefault(key_prefix(trace.graph.name(task)), []).append(task)
    tail = any(
        max(start[tasks].max(), stop[tasks].min()) <= t < stop[tasks].max() for tasks in map(np.array, kinds.values())
    )
    named["imbalance" if tail else "dependencies"] += rest
    return named


@given(traces())
@settings(max_examples=120, deadline=None)
def test_every_second_of_every_thread_has_one_name(trace):
    shares = time_shares(trace)
    assert (shares.threads.sum(axis=1) == trace.cluster.slots).all()
    assert (shares.threads >= 0).all()
    assert np.isclose(shares.seconds.sum(), trace.cluster.slots * trace.makespan, rtol=1e-9)
    assert np.isclose(np.diff(shares.times).sum(), trace.makespan)
    # The definition, applied to single instants, says the same.
    middles = (shares.times[:-1] + shares.times[1:]) / 2
    wide = np.flatnonzero(np.diff(shares.times) > 1e-7)
    for piece in wide[:: max(1, len(wide) // 12)]:
        assert named_by_hand(trace, middles[piece]) == dict(zip(SHARES, shares.threads[piece].tolist(), strict=True))


@given(traces())
@settings(max_examples=120, deadline=None)
def test_the_path_is_whole_and_the_bounds_hold(trace):
    found = diagnose(trace)
    path = found.critical_path
    assert np.isclose(path[0].start, trace.start.min())
    assert np.isclose(path[-1].stop, trace.stop.max())
    assert all(np.isclose(a.stop, b.start) for a, b in itertools.pairwise(path))
    assert np.isclose(sum(found.on_path().values()), trace.makespan)
    assert np.isclose(sum(found.shares.values()), 1.0)
    if trace.origin == "simulated":
        assert found.makespan >= found.bounds["lower"] * (1 - 1e-9)
    assert found.limit in LIMITS
    none_ready = found.seconds["imbalance"] + found.seconds["dependencies"]
    assert found.blame.sum() <= none_ready + 1e-9
    assert found.evidence in str(found)


@given(traces(), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_bins_lose_no_time(trace, bins):
    shares = time_shares(trace)
    edges, threads = shares.over_time(bins)
    assert np.allclose(threads.sum(axis=1), trace.cluster.slots)
    assert np.allclose(np.diff(edges) @ threads, shares.seconds)


def test_without_costs_the_path_is_that_of_the_trace():
    trace = run(layered(5, 6, degree=2, seed=1), 3, "fifo")
    assert [step.task for step in diagnose(trace).critical_path] == trace.critical_path()


@given(st.integers(0, 400), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_tasks_that_take_no_time_do_not_break_the_path(seed, workers):
    """Where nothing costs time but the tasks, list scheduling leaves no gap on the path."""
    graph = random_dag(20, 0.2, seed=seed)
    graph = graph.replace(duration=np.where(np.arange(20) % 4, graph.duration, 0.0))
    trace = run(graph, workers, "random", seed=seed)
    assert diagnose(trace).on_path()["compute"] == pytest.approx(trace.makespan)


def two_stages(duration, output_size, names, cluster):
    """A stage of loads, each read by one task of a second stage, and a last task that reads all of these."""
    n = len(duration)
    edges = [(i, n + i) for i in range(n)] + [(n + i, 2 * n) for i in range(n)]
    sizes = [*output_size, *[1.0] * (n + 1)]
    graph = TaskGraph.from_edges([*[0.05] * n, *duration, 0.05], edges, output_size=sizes)
    return run(graph.replace(names=names), cluster, "fifo")


def stage_names(n, last="merge"):
    return [f"load-{i}" for i in range(n)] + [f"score-{i}" for i in range(n)] + [last]


def test_each_cause_is_told_by_its_signs():
    four = Cluster(4)
    assert diagnose(run(independent(400, 1.0), four, "fifo")).limit == "compute"
    assert diagnose(run(independent(400, 0.001), Cluster(4, scheduler_overhead=0.001), "fifo")).limit == "tiny tasks"
    assert diagnose(run(chain(20), four, "fifo")).limit == "dependencies"
    sizes = np.full(12, 1e6)
    sizes[3] = 40e6
    skewed = two_stages(sizes / 1e6 * 0.1, sizes, stage_names(12), four)
    assert diagnose(skewed).limit == "data skew"
    assert "'score'" in diagnose(skewed).evidence
    # The same durations, but the task that takes long reads no more than the others.
    long = two_stages(sizes / 1e6 * 0.1, np.full(12, 1e6), stage_names(12), four)
    assert diagnose(long).limit == "one long task"
    assert "'score-3'" in diagnose(long).evidence
    # A single serial task at the end is one long task, too.
    serial = two_stages(np.full(12, 0.1), sizes * 0 + 1e6, stage_names(12), four)
    graph = serial.graph.replace(duration=np.append(serial.graph.duration[:-1], 5.0))
    assert "'merge'" in diagnose(run(graph, four, "fifo")).evidence
    slow = layered(5, 8, degree=3, seed=0, duration=0.1, output_size=1e6)
    assert diagnose(run(slow, Cluster(4, bandwidth=2e6), "fifo")).limit == "transfer"


def test_placement_is_told_from_scheduling():
    """Two ready tasks on one worker, none on the other: the second waits although a thread is idle."""
    trace = Trace([0, 1], [0, 0], [0, 0], ["compute"] * 2, [0, 1], [1, 2], graph=independent(2), cluster=Cluster(2),
                  origin="measured")  # fmt: skip
    found = diagnose(trace)
    assert found.seconds["placement"] == 1.0
    assert found.seconds["imbalance"] == 1.0


def test_reading_spilled_data_stops_all_threads_of_its_worker():
    trace = Trace([0, 0, 1], [0, 0, 0], [0, 0, 1], ["disk", "compute", "compute"], [0, 3, 3.5], [3, 4, 4],
                  graph=independent(2), cluster=Cluster(1, threads=2), origin="measured")  # fmt: skip
    found = diagnose(trace)
    assert found.seconds["disk"] == 6.0
    assert found.limit == "disk"
    assert found.on_path()["disk"] == 3.0


def test_the_path_waits_for_the_disk_also_where_another_task_reads():
    """Task 1 starts late because its worker wrote for task 0 from 2.2 to 3 s; the rest of the gap is overhead."""
    trace = Trace([0, 0, 1], [0, 0, 0], [0, 0, 0], ["compute", "disk", "compute"], [0, 2.2, 3.5], [2, 3, 4],
                  graph=independent(2), cluster=Cluster(1), origin="measured")  # fmt: skip
    on_path = diagnose(trace).on_path()
    assert np.isclose([on_path["compute"], on_path["disk"], on_path["overhead"]], [2.5, 0.8, 0.7]).all()


def test_what_a_task_reads_is_what_its_predecessors_made():
    graph = TaskGraph.from_edges([1, 1, 1], [(0, 2), (1, 2)], output_size=[3.0, 4.0, 5.0])
    assert input_bytes(run(graph, 1, "fifo")).tolist() == [0.0, 0.0, 7.0]


def test_a_trace_in_which_nothing_ran_is_refused():
    empty = Trace(
        [], [], [], np.empty(0, np.uint8), [], [], graph=independent(2), cluster=Cluster(1), origin="measured"
    )
    with pytest.raises(ValueError, match="no task ran"):
        diagnose(empty)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("load-7", "load"),
        ("7", "task"),
        ("read-parquet-0123456789abcdef0123456789abcdef", "read-parquet"),
        ("('sum-part-0123456789abcdef0123456789abcdef', 3, 0)", "sum-part"),
        ("inc-deadbeef-0123456789abcdef", "inc-deadbeef"),
        ("merge", "merge"),
        ("x2-long", "x2-long"),
    ],
)
def test_prefixes(name, prefix):
    assert key_prefix(name) == prefix


def test_its_pictures():
    found = diagnose(run(layered(4, 5, degree=2, seed=0, output_size=1e6), Cluster(3, bandwidth=5e6), "fifo"))
    figure, (left, right) = plots.subplots(1, 2)
    plots.shares_over_time(found, left, bins=20, title="Over time")
    plots.shares_of_runs({"this": found, "again": found}, right, title="In sum")
    assert {text.get_text() for text in left.texts} >= {"compute", "transfer"}
    assert [label.get_text() for label in right.get_yticklabels()] == ["this", "again"]
    figure.canvas.draw()
