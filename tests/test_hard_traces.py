"""`diagnose` and `whatif` of traces as bad as they come: a plausible answer, or a `ValueError` that says why not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import Cluster, TaskGraph, Trace, diagnose, plots, whatif
from course.costs import clock_skew, recorded_costs
from course.graph import chain, independent, layered
from course.simulate import run
from course.trace import COLUMNS, COMPUTE, TRANSFER


def columns_of(trace: Trace) -> dict[str, np.ndarray]:
    return {name: getattr(trace, name).copy() for name in COLUMNS}


def measured(columns, trace, **changes) -> Trace:
    parts = {"graph": trace.graph, "cluster": trace.cluster, "submitted": trace.submitted} | changes
    return Trace(**columns, origin="measured", **parts)


def base(seed: int = 0) -> Trace:
    """A run of 60 tasks on four workers, with transfers, as a recorder would have it."""
    graph = layered(5, 12, degree=2, seed=seed, duration=0.2, output_size=1e6)
    rng = np.random.default_rng(seed)
    names = [f"{'abcde'[i // 12]}-{i % 12}" for i in range(60)]
    graph = graph.replace(duration=rng.exponential(0.2, 60), names=names)
    trace = run(graph, Cluster(4, threads=2, bandwidth=1e8, latency=0.002, release_delay=0.004), "dask", seed)
    return measured(columns_of(trace), trace)


def answered(trace: Trace, *, within: float | None = None):
    """Ask both; return the answers after a look at whether they can be."""
    found = diagnose(trace)
    assert sum(found.shares.values()) == pytest.approx(1.0, abs=0.01)
    assert np.isfinite(list(found.shares.values())).all()
    assert min(found.shares.values()) >= 0
    path = found.critical_path
    assert path
    assert all(a.stop == pytest.approx(b.start, rel=1e-9, abs=1e-9) for a, b in itertools.pairwise(path))
    assert path[-1].stop - path[0].start == pytest.approx(trace.makespan, rel=1e-6)
    assert np.isfinite(list(found.bounds.values())).all()
    assert "nan" not in str(found)
    replay = whatif(trace, workers=2 * trace.cluster.workers)
    assert np.isfinite([replay.makespan, replay.replayed, *replay.interval]).all()
    assert 0 < replay.makespan <= 3 * trace.makespan
    assert "nan" not in str(replay)
    assert sum(diagnose(replay.trace).shares.values()) == pytest.approx(1.0)
    if within is not None:
        assert abs(replay.error) < within, replay
    figure, axes = plots.subplots(1, 2)
    plots.gantt(trace, axes[0]) if len(trace) < 200 else None
    plots.shares_over_time(found, axes[1])
    figure.canvas.draw()
    return found, replay


def clocks(trace: Trace, shift: np.ndarray) -> Trace:
    """Let the clock of each worker be off."""
    columns = columns_of(trace)
    for name in ("start", "stop"):
        columns[name] = columns[name] + shift[trace.worker]
    return measured(columns, trace)


def without(trace: Trace, lost: np.ndarray) -> Trace:
    return measured({name: column[~lost] for name, column in columns_of(trace).items()}, trace)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_without_faults(seed):
    _, replay = answered(base(seed), within=0.15)
    assert replay.skew == 0.0
    assert "doubtful" not in str(replay)


@pytest.mark.parametrize("seed", range(5))
def test_clocks_that_differ_by_milliseconds(seed):
    trace = clocks(base(seed), np.array([0.02, -0.02, 0.0, 0.01]))
    _, replay = answered(trace, within=0.25)
    assert 0 < replay.skew <= 0.04


@pytest.mark.parametrize("seed", range(5))
def test_clocks_that_differ_by_seconds_are_said_to(seed):
    """The run seems to be longer than it was, and what is said of it is in doubt: the text says so."""
    whole = base(seed)
    trace = clocks(whole, np.array([2.0, -2.0, 0.0, 1.0]))
    _, replay = answered(trace)
    assert 2.0 < clock_skew(trace) <= 4.0
    assert replay.skew == clock_skew(trace)
    assert "doubtful: a task began" in str(replay)


@pytest.mark.parametrize(("share", "within"), [(0.05, 0.25), (0.5, None)])
@pytest.mark.parametrize("seed", range(4))
def test_rows_that_were_lost(seed, share, within):
    """Also of tasks whose successors ran."""
    trace = base(seed)
    lost = np.random.default_rng(seed).random(len(trace)) < share
    answered(without(trace, lost), within=within)


@pytest.mark.parametrize("seed", range(3))
def test_tasks_that_failed_and_tasks_that_ran_twice(seed):
    trace = base(seed)
    columns = columns_of(trace)
    rng = np.random.default_rng(seed)
    rows = rng.choice(np.flatnonzero(trace.kind == COMPUTE), 6, replace=False)
    extra = {name: column[rows] for name, column in columns.items()}
    # They ran before already, for half as long; half of them on another worker.
    extra["stop"] = extra["start"] - 0.01
    extra["start"] = extra["stop"] - 0.5 * (columns["stop"] - columns["start"])[rows]
    extra["worker"] = np.where(np.arange(6) % 2, extra["worker"], (extra["worker"] + 1) % 4)
    shift = max(0.0, -extra["start"].min())
    joined = {name: np.concatenate([columns[name], extra[name]]) for name in COLUMNS}
    joined |= {"start": joined["start"] + shift, "stop": joined["stop"] + shift}
    answered(measured(joined, trace), within=0.4)


def test_a_worker_that_vanished():
    trace = base()
    lost = (trace.worker == 3) & (trace.stop > trace.makespan / 3)
    answered(without(trace, lost))


def test_transfers_without_computes_are_refused():
    trace = base()
    only = without(trace, trace.kind != TRANSFER)
    for ask in (diagnose, whatif):
        with pytest.raises(ValueError, match="no task ran in this trace"):
            ask(only)


def test_tasks_of_no_length():
    some = base()
    columns = columns_of(some)
    short = (some.kind == COMPUTE) & (some.task % 3 == 0)
    columns["stop"][short] = columns["start"][short]
    answered(measured(columns, some))
    # All of them, at several instants: time went by between them, but nothing can be replayed with more workers.
    trace = Trace([0, 1], [0, 0], [0, 0], [0, 0], [0.0, 1.0], [0.0, 1.0], graph=independent(2), cluster=Cluster(1),
                  origin="measured")  # fmt: skip
    assert sum(diagnose(trace).shares.values()) == pytest.approx(1.0)
    assert whatif(trace, workers=2).makespan >= 0


@pytest.mark.parametrize("at", [0.0, 5.0, -3.0, 1e9])
def test_a_run_that_is_but_an_instant_is_refused(at):
    trace = Trace([0, 1], [0, 1], [0, 0], [0, 0], [at, at], [at, at], graph=chain(2), cluster=Cluster(2),
                  origin="measured")  # fmt: skip
    with pytest.raises(ValueError, match="at one instant"):
        diagnose(trace)
    with pytest.raises(ValueError, match="no task of this trace took any time"):
        whatif(trace)


def test_all_at_one_time():
    n = 20
    trace = Trace(np.arange(n), np.arange(n) % 4, np.arange(n) // 4, np.zeros(n, int), np.ones(n), 2 * np.ones(n),
                  graph=layered(4, 5, degree=2, seed=0), cluster=Cluster(4, threads=5), origin="measured")  # fmt: skip
    found = diagnose(trace)
    assert found.shares["compute"] == 1.0
    assert found.bounds["span"] == pytest.approx(4.0)  # longer than the run: it cannot have been so
    replay = whatif(trace)
    assert replay.replayed == pytest.approx(4.0)
    assert replay.skew == 1.0
    assert "doubtful" in str(replay)


def test_one_task():
    trace = Trace([0], [0], [0], [0], [3.0], [4.0], graph=independent(1), cluster=Cluster(1), origin="measured")
    found, replay = answered(trace, within=1e-9)
    assert found.shares["compute"] == 1.0
    assert replay.ratio == 1.0


def test_ten_thousand_workers_with_five_tasks():
    trace = Trace(np.arange(5), np.arange(5) * 2000, np.zeros(5, int), np.zeros(5, int), np.zeros(5), np.ones(5),
                  graph=independent(5), cluster=Cluster(10_000), origin="measured")  # fmt: skip
    found = diagnose(trace)
    assert found.shares["compute"] == pytest.approx(5 / 10_000)
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert whatif(trace, workers=1).ratio == pytest.approx(5.0)


def test_rows_that_have_no_worker():
    trace = base()
    columns = columns_of(trace)
    columns |= {"worker": np.full(len(trace), -1), "thread": np.full(len(trace), -1)}
    answered(measured(columns, trace))


@pytest.mark.parametrize("offset", [1e9, -1e9])
def test_times_that_are_huge(offset):
    """The seconds since 1970, say; 0 is far away, also where tasks are said to have been submitted then."""
    trace = base()
    columns = columns_of(trace)
    columns |= {"start": trace.start + offset, "stop": trace.stop + offset}
    for submitted in (trace.submitted, trace.submitted + offset):
        _, replay = answered(measured(columns, trace, submitted=submitted), within=0.15)
        assert replay.recorded == pytest.approx(trace.makespan, rel=1e-5)


@pytest.mark.parametrize("late", [0.02, 2.0, 1e6])
def test_submissions_that_are_later_than_starts(late):
    trace = base()
    start, _ = trace.task_times()
    rng = np.random.default_rng(1)
    for submitted in (np.full(60, late), start + late, start + rng.uniform(-late, late, 60)):
        answered(measured(columns_of(trace), trace, submitted=submitted), within=0.3)


def test_inputs_that_were_submitted_again():
    """An input that seems to have been submitted after what reads it does not hang the replay."""
    trace = base()
    submitted = np.zeros(60)
    submitted[:12] = 0.3 * trace.makespan  # the first layer, though the others came before
    later = measured(columns_of(trace), trace, submitted=submitted)
    answered(later, within=0.3)
    submissions = recorded_costs(later).submissions
    submissions.check(later.graph)


def test_inputs_that_overlap_with_what_reads_them():
    trace = Trace([0, 1, 2], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0.0, 0.4, 1.0], [1.0, 1.4, 2.0], graph=chain(3),
                  cluster=Cluster(2), origin="measured")  # fmt: skip
    _, replay = answered(trace)
    assert clock_skew(trace) == pytest.approx(0.6)
    assert replay.replayed == pytest.approx(3.0)
    assert "doubtful" in str(replay)


@st.composite
def any_traces(draw):
    """Rows that nobody ever saw: any task anywhere at any time, of any kind, submitted whenever."""
    n, w, rows = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    graph = TaskGraph(rng.random(n), rng.integers(0, 3, n) * 1e6,
                      [np.flatnonzero(rng.random(i) < 0.4).tolist() for i in range(n)])  # fmt: skip
    scale, offset = draw(st.sampled_from([1e-6, 1.0, 1e6])), draw(st.sampled_from([0.0, -5.0, 1e9]))
    start = rng.integers(0, 12, rows) * scale
    stop = start + rng.integers(0, 5, rows) * scale
    return Trace(
        rng.integers(0, n, rows), rng.integers(-1, w, rows), rng.integers(-1, 3, rows),
        rng.choice([0, 0, 0, 1, 2, 3, 4], rows), start + offset, stop + offset, rng.integers(0, 3, rows) * 1e6,
        rng.integers(-1, w, rows), graph=graph, cluster=Cluster(w, threads=draw(st.integers(1, 3))), origin="measured",
        submitted=rng.integers(-3, 12, n) * scale + offset,
    )  # fmt: skip


@given(any_traces())
@settings(max_examples=400, deadline=None)
def test_whatever_the_rows_are(trace):
    said = []
    for ask in (diagnose, whatif):
        found = None
        try:
            found = ask(trace)
        except ValueError as error:
            said.append(str(error))
        if found is None:
            continue
        assert "nan" not in str(found)
        if ask is diagnose:
            assert sum(found.shares.values()) == pytest.approx(1.0, abs=0.01)
            assert found.critical_path
        else:
            assert np.isfinite([found.makespan, found.replayed, *found.interval]).all()
    # Refused is only what nothing can be said of: no task, or none whose last run took any time.
    start, stop = trace.task_times()
    assert not said or not (stop > start).any(), said
