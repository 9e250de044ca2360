"""The recorded workloads of data/mysteries: clean files, and the intended cause in numbers taken from each trace."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex

from course.datafiles import data_file
from course.plots import gantt, subplots
from course.plots.style import COLOURS
from course.trace import COMPUTE, DISK, TRANSFER, Trace

FOLDER = data_file("mysteries")
LETTERS = "abcde"


@pytest.fixture(scope="module")
def traces() -> dict[str, Trace]:
    return {name: Trace.load(FOLDER / f"{name}.parquet") for x in LETTERS for name in (x, f"{x}-cured")}


def stage(trace: Trace, prefix: str) -> np.ndarray:
    """Return the tasks whose names begin with a prefix."""
    return np.array([i for i, name in enumerate(trace.graph.names) if name.split("-")[0] == prefix])


def seconds(trace: Trace, kind: int) -> float:
    """Return the total time of the rows of a kind."""
    return float((trace.stop - trace.start)[trace.kind == kind].sum())


def thread_time(trace: Trace) -> float:
    """Return the time of all threads."""
    return trace.cluster.slots * trace.makespan


def idle_while_fetching(trace: Trace) -> float:
    """Return the time of threads that compute nothing while their worker fetches data."""
    instants = np.linspace(trace.start.min(), trace.stop.max(), 5000)

    def active(kind: int, worker: int) -> np.ndarray:
        rows = (trace.kind == kind) & (trace.worker == worker)
        started = np.searchsorted(np.sort(trace.start[rows]), instants, "right")
        return started - np.searchsorted(np.sort(trace.stop[rows]), instants, "right")

    idle = [
        np.mean((threads - active(COMPUTE, w)) * (active(TRANSFER, w) > 0))
        for w, threads in enumerate(trace.cluster.threads_per_worker)
    ]
    return float(sum(idle)) * trace.makespan


def test_the_folder_holds_nothing_else_and_is_small():
    files = list(FOLDER.iterdir())
    assert {file.name for file in files} == {f"{x}{end}.parquet" for x in LETTERS for end in ("", "-cured")}
    assert max(file.stat().st_size for file in files) < 300_000
    assert sum(file.stat().st_size for file in files) < 2_000_000


@pytest.mark.parametrize("letter", LETTERS)
def test_each_pair_is_measured_and_comparable(traces, letter):
    slow, cured = traces[letter], traces[f"{letter}-cured"]
    for trace in (slow, cured):
        assert trace.origin == "measured"
        assert trace.cluster.names == ("0", "1", "2", "3")
        ran = np.bincount(trace.task[trace.kind == COMPUTE], minlength=len(trace.graph))
        assert (ran == 1).all()  # no attempt failed, no worker died
        assert all(re.fullmatch(r"[a-z]+(-\d+)*", name) for name in trace.graph.names)  # no path, address or hash
    assert slow.cluster == cured.cluster
    assert {name.split("-")[0] for name in slow.graph.names} == {name.split("-")[0] for name in cured.graph.names}
    assert 3 <= slow.makespan <= 15
    assert slow.makespan > 1.5 * cured.makespan


def test_files_name_no_place():
    for file in FOLDER.iterdir():
        content = file.read_bytes()
        assert not re.search(rb"tcp://|127\.0\.0\.1|/(work|home|tmp|Users)/", content), file.name


def test_a_durations_of_a_stage_follow_its_unequal_bytes(traces):
    trace = traces["a"]
    sizes = trace.graph.output_size[stage(trace, "load")]
    durations = trace.graph.duration[stage(trace, "group")]
    assert 24 <= len(sizes) <= 40
    assert sizes.max() / np.median(sizes) > 10
    assert np.sort(sizes)[-2:].sum() > 0.4 * sizes.sum()
    assert np.corrcoef(sizes, durations)[0, 1] > 0.99
    even = traces["a-cured"].graph
    even_sizes = even.output_size[stage(traces["a-cured"], "load")]
    assert even_sizes.max() / np.median(even_sizes) < 1.1
    assert even_sizes.sum() == pytest.approx(sizes.sum(), rel=0.001)


def test_b_disk_takes_most_of_the_time(traces):
    trace = traces["b"]
    assert seconds(trace, DISK) > 0.5 * thread_time(trace)
    assert seconds(trace, DISK) > 0.7 * (thread_time(trace) - seconds(trace, COMPUTE))  # most of what was lost
    assert not (traces["b-cured"].kind == DISK).any()
    # Both kinds were recorded: writing follows the task that made the result, reading precedes the one that needs it.
    start, stop = trace.task_times()
    rows = trace.kind == DISK
    # (Dask shifts compute times by what it takes for the offset of the worker's clock: by up to 15 ms while it spills.)
    written = trace.start[rows] >= stop[trace.task[rows]] - 0.02
    read = trace.stop[rows] <= start[trace.task[rows]] + 0.02
    assert (written | read).all()
    assert written.sum() > 30
    assert read.sum() > 100
    # The data is more than twice what the workers hold in memory: 30 % of 600 MB each.
    held = trace.graph.output_size[stage(trace, "read")].sum()
    assert held > 2 * 4 * 0.3 * 600e6


def test_c_tasks_are_tiny(traces):
    trace = traces["c"]
    assert 2000 <= len(trace.graph) <= 4000
    assert trace.percentile(50) < 1e-3
    assert trace.utilization() < 0.3
    assert trace.makespan > 4 * trace.graph.work / trace.cluster.slots
    assert len(traces["c-cured"].graph) == len(trace.graph) / 50


def test_d_threads_wait_for_transfers(traces):
    trace = traces["d"]
    moved = trace.size[trace.kind == TRANSFER].sum()
    assert moved > 4e9
    assert idle_while_fetching(trace) > 0.6 * thread_time(trace)
    assert idle_while_fetching(trace) > 0.8 * (thread_time(trace) - seconds(trace, COMPUTE))
    assert trace.graph.work / trace.cluster.slots < 0.3 * trace.makespan
    cured = traces["d-cured"]
    assert cured.size[cured.kind == TRANSFER].sum() < 1e-3 * moved


def test_e_one_task_is_most_of_the_run(traces):
    trace = traces["e"]
    longest = int(trace.graph.duration.argmax())
    assert trace.graph.duration[longest] > 0.7 * trace.makespan
    assert np.sort(trace.graph.duration)[-2] < 0.05 * trace.makespan
    before = trace.graph.predecessors(longest)
    assert trace.graph.output_size[before].sum() < 1.1 * trace.graph.output_size[stage(trace, "load")].max()
    assert traces["e-cured"].graph.duration.max() < 0.1 * trace.makespan


def test_b_the_chart_shows_the_disk(traces):
    _, axes = subplots()
    gantt(traces["b"], axes)
    drawn = [bar for bar in axes.patches if to_hex(bar.get_facecolor()).upper() == COLOURS["purple"]]
    assert sum(bar.get_width() for bar in drawn) == pytest.approx(seconds(traces["b"], DISK))


@pytest.mark.parametrize("letter", LETTERS)
def test_no_other_cause_competes(traces, letter):
    trace = traces[letter]
    disk, fetching = seconds(trace, DISK) / thread_time(trace), idle_while_fetching(trace) / thread_time(trace)
    longest = trace.graph.duration.max() / trace.makespan
    assert (disk > 0.05) == (letter == "b")
    assert (fetching > 0.05) == (letter == "d")
    assert (longest > 0.5) == (letter in "ae")
    assert (trace.percentile(50) < 1e-3 and trace.utilization() < 0.2) == (letter == "c")
