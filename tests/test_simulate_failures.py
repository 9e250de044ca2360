"""Failures and stragglers: a twin in plain Python, cases by hand, formulas, what must not change, bad input."""

from __future__ import annotations

import heapq
import itertools
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.graph import TaskGraph, chain, fork_join, independent, map_reduce, random_dag
from course.models import expected_run_time, fan_out_probability
from course.simulate import POLICIES, SIMULATORS, Cluster, Delay, Stealing, run, warm_up
from course.simulate.stragglers import real_durations
from course.trace import COLUMNS, COMPUTE, OVERHEAD, TRANSFER, Trace
from tests.plain_network import PlainNetwork, Transfer, transfer_rows
from tests.test_simulate import tasks_and_cluster

STOP, KNOWN = range(2)


class Run:
    """A task that was handed out."""

    def __init__(self, worker: int, thread: int, reads: list[Transfer], start: float, stop: float) -> None:
        self.worker, self.thread, self.reads, self.start, self.stop = worker, thread, reads, start, stop


def plain_failures(graph: TaskGraph, cluster: Cluster, order: str | list[float], seed: int = 0):
    """Return computes (task, worker, thread, start, stop, size), transfers and overheads (task, start).

    What is needed is asked anew, from the last tasks back, each time that somebody wants to know.
    """
    net = PlainNetwork(graph, cluster)
    n, workers = len(graph), cluster.workers
    after = [graph.successors(i).tolist() for i in range(n)]
    speed = np.broadcast_to(cluster.speed, workers).tolist()
    preference = sorted(range(workers), key=lambda w: (-speed[w], w))
    probability, factor = cluster.stragglers
    first, again = np.random.default_rng(seed).spawn(2)
    slow = first.random(n) < probability if probability else np.zeros(n, bool)
    seconds = [d * (factor if s else 1.0) for d, s in zip(graph.duration.tolist(), slow.tolist(), strict=True)]
    threads = [list(range(k))[::-1] for k in cluster.threads_per_worker.tolist()]  # the next one is last
    gone: set[int] = set()
    home: dict[int, int] = {}
    known: set[int] = set()
    runs: dict[int, Run] = {}
    ready: dict[int, float] = {}
    came = itertools.count()
    computes, overheads = [], []
    scheduler = now = 0.0

    def needed(task: int) -> bool:
        if task in home or task in runs:
            return False
        return not after[task] or any(needed(later) for later in after[task])

    def look_at(task: int) -> None:
        if needed(task) and known.issuperset(net.before[task]):
            if task not in ready:
                turn = next(came)
                ready[task] = {"fifo": turn, "lifo": -turn}[order] if isinstance(order, str) else order[task]
        else:
            ready.pop(task, None)

    def another_run(task: int) -> None:
        seconds[task] = float(graph.duration[task]) * (factor if again.random() < probability else 1.0)

    def fail(w: int) -> None:
        for task in sorted(runs):
            mine = runs[task]
            if mine.worker != w and not any(move.source == w and move.stop > now for move in mine.reads):
                continue
            del runs[task]
            if mine.worker != w:
                threads[mine.worker].append(mine.thread)
            if mine.start < now:
                computes.append((task, mine.worker, mine.thread, mine.start, now, 0.0))
                another_run(task)
        for key, move in list(net.copies.items()):
            if key[1] == w or (move.source == w and move.stop > now):
                del net.copies[key]
        for task in sorted(home):
            if home[task] == w:
                others = [v for (i, v), move in net.copies.items() if i == task and move.stop <= now]
                if others:
                    home[task] = min(others)
                else:
                    del home[task]
                    known.discard(task)
                    another_run(task)
        for move in net.transfers:
            if w in (move.source, move.worker) and move.stop > now and not move.dropped:
                if move.start >= now:
                    move.dropped = True
                else:
                    move.stop, move.size = now, 0.0
        for link in [link for link in net.link if link[1] == w]:
            del net.link[link]
        gone.add(w)

    changes = [(time, 1, w) for w, time, _ in cluster.failures]
    changes = sorted(changes + [(back, 0, w) for w, _, back in cluster.failures if back < math.inf])
    events: list[tuple[float, int, int]] = []
    done_at: dict[int, float] = {}
    for task in range(n):
        look_at(task)
    while True:
        while events and events[0][0] == now:
            moment, what, task = heapq.heappop(events)
            if what == STOP:
                if task not in runs or runs[task].stop != moment:
                    continue  # that run was lost
                mine = runs.pop(task)
                computes.append((task, mine.worker, mine.thread, mine.start, mine.stop, float(graph.output_size[task])))
                threads[mine.worker].append(mine.thread)
                home[task] = mine.worker
                done_at[task] = now
                heapq.heappush(events, (now + cluster.release_delay, KNOWN, task))
            elif task in home and task not in known and done_at[task] + cluster.release_delay == moment:
                known.add(task)
                for later in after[task]:
                    look_at(later)
        if not runs and not any(needed(task) for task in range(n)):
            break
        lost = False
        while changes and changes[0][0] == now:
            _, is_failure, w = changes.pop(0)
            if is_failure:
                fail(w)
                lost = True
            else:
                gone.discard(w)
                threads[w] = list(range(cluster.threads_per_worker[w]))[::-1]
        if lost:
            for task in range(n):
                look_at(task)
        while ready and any(threads[w] for w in preference if w not in gone):
            _, task = min((key, task) for task, key in ready.items())
            del ready[task]
            idle = [w for w in preference if threads[w] and w not in gone]
            made = net.made(task, home) if net.costs else {}
            w = max(idle, key=lambda w: made.get(w, 0.0))
            scheduler = max(scheduler, now) + cluster.scheduler_overhead
            if cluster.scheduler_overhead:
                overheads.append((task, scheduler - cluster.scheduler_overhead))
            reads = net.bring(task, w, scheduler, home)
            start = max([scheduler, *(move.stop for move in reads)])
            runs[task] = Run(w, threads[w].pop(), reads, start, start + seconds[task] / speed[w])
            heapq.heappush(events, (runs[task].stop, STOP, task))
        if not runs and not events and not changes:
            raise ValueError("all workers are gone")
        now = min([moment for moment, _, _ in (*events[:1], *changes[:1])])
    transfers = [move.row() for move in net.transfers if not move.dropped] if net.costs else []
    return sorted(computes), transfers, sorted(overheads)


def rows(trace: Trace, kind: int, *names: str) -> list[tuple]:
    chosen = trace.kind == kind
    return list(zip(*(getattr(trace, name)[chosen].tolist() for name in names), strict=True))


def assert_same(graph: TaskGraph, cluster: Cluster, policy, order, seed: int = 0) -> bool:
    """Compare, and return whether the run came to its end."""
    try:
        computes, transfers, overheads = plain_failures(graph, cluster, order, seed)
    except ValueError:
        with pytest.raises(ValueError, match="all workers are gone after"):
            run(graph, cluster, policy, seed=seed)
        return False
    trace = run(graph, cluster, policy, seed=seed)
    found = rows(trace, COMPUTE, "task", "worker", "thread", "start", "stop", "size")
    assert sorted(found) == computes
    assert [row[0] for row in found] == [row[0] for row in computes]  # by task
    assert transfer_rows(trace) == transfers
    assert rows(trace, OVERHEAD, "task", "start") == overheads
    return True


@st.composite
def failing(draw, workers: int):
    """Failures at times at which much happens, and times between; some workers come back, some more than once."""
    failures = []
    for w in range(workers):
        time = 0.0
        for _ in range(draw(st.integers(0, 3))):
            time += draw(st.sampled_from([0.0, 0.3, 1.0, 1.5, 2.0, 5.0]))
            back = draw(st.sampled_from([math.inf, 0.3, 1.0, 2.0, 10.0]))
            failures.append((w, time) if back == math.inf else (w, time, time + back))
            if back == math.inf:
                break
            time += back
    return draw(st.permutations(failures))


@settings(max_examples=1000)
@given(tasks_and_cluster(), st.data())
def test_failures_are_their_twin(both, data):
    graph, cluster = both
    n = len(graph)
    cluster = cluster.replace(
        failures=data.draw(failing(cluster.workers)),
        stragglers=data.draw(st.sampled_from([(0.0, 1.0), (0.0, 1.0), (1.0, 2.0), (0.5, 3.0)])),
    )
    policy = data.draw(st.sampled_from(["list", "fifo", "lifo", "given"]))
    order = list(range(n)) if policy == "list" else policy
    if policy == "given":
        policy = order = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 3.0, math.inf]), min_size=n, max_size=n))
    assert_same(graph, cluster, policy, order, data.draw(st.integers(0, 3)))


@pytest.mark.parametrize("seed", range(6))
def test_failures_are_their_twin_on_larger_graphs(seed):
    rng = np.random.default_rng(seed)
    graph = random_dag(60, 0.06, output_size=3.0, seed=seed)
    failures = []
    for w in range(5):
        times = np.cumsum(rng.exponential(6.0, 12)).tolist()
        failures += [(w, a, b) for a, b in itertools.pairwise(times)][::2]
    cluster = Cluster(
        5, threads=rng.integers(1, 4, 5), speed=rng.random(5) + 0.5, latency=rng.random((5, 5)), bandwidth=2.0,
        scheduler_overhead=0.01, backbone=6.0, failures=failures, stragglers=(0.2, 4.0),
    )  # fmt: skip
    for policy, order in (("list", list(range(60))), ("fifo", "fifo"), ("lifo", "lifo")):
        assert assert_same(graph, cluster, policy, order, seed)


# ---- without failures


def same_rows(one: Trace, other: Trace) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


@settings(max_examples=400)
@given(tasks_and_cluster(), st.sampled_from(sorted(POLICIES)), st.sampled_from([(0.0, 1.0), (0.5, 3.0)]))
def test_failures_after_the_end_change_nothing(both, policy, stragglers):
    graph, cluster = both
    cluster = cluster.replace(stragglers=stragglers)
    usual = run(graph, cluster, policy, seed=5)
    for late in (np.nextafter(usual.stop.max(initial=0.0), np.inf), 1e9):
        failures = [(w, late) for w in range(cluster.workers)]
        assert same_rows(run(graph, cluster.replace(failures=failures), policy, seed=5), usual)


@given(tasks_and_cluster())
def test_a_worker_that_is_never_there_might_not_exist(both):
    graph, cluster = both
    w = cluster.workers
    more = Cluster(
        w + 1, release_delay=cluster.release_delay, scheduler_overhead=cluster.scheduler_overhead, backbone=2.0,
        failures=[(w, 0.0)],
    )  # fmt: skip
    assert same_rows(run(graph, more), run(graph, more.replace(workers=w, failures=())))


# ---- by hand


def test_a_lost_run_begins_anew():
    trace = run(independent(1, duration=3.0), Cluster(1, failures=[(0, 2.0, 5.0)]))
    assert rows(trace, COMPUTE, "task", "start", "stop", "size") == [(0, 0.0, 2.0, 0.0), (0, 5.0, 8.0, 0.0)]
    assert trace.task_times()[0].tolist() == [5.0]


def test_lost_results_are_computed_again_from_their_lineage():
    # A chain of four tasks of 1 s on worker 0, which is lost in the middle of the last: all four run again on worker 1.
    trace = run(chain(4), Cluster(2, failures=[(0, 3.5)]))
    assert trace.makespan == 7.5
    assert rows(trace, COMPUTE, "task", "worker", "start", "stop") == [
        (0, 0, 0.0, 1.0), (0, 1, 3.5, 4.5), (1, 0, 1.0, 2.0), (1, 1, 4.5, 5.5), (2, 0, 2.0, 3.0), (2, 1, 5.5, 6.5),
        (3, 0, 3.0, 3.5), (3, 1, 6.5, 7.5),
    ]  # fmt: skip


def test_only_what_is_still_needed_is_computed_again():
    # 0 → 1 → 3, 2. Worker 0 runs 0, 1 and 3; worker 1 has fetched what 1 made for 2, when worker 0 is lost at 3.5.
    # 3 runs again, from the copy of 1; the result of 0 is lost, and nobody needs it.
    graph = TaskGraph([1, 1, 3, 9], [0, 1, 0, 0], [[], [0], [1], [1]])
    trace = run(graph, Cluster(2, bandwidth=1.0, failures=[(0, 3.5)]), policy=[0, 1, 3, 2])
    assert rows(trace, COMPUTE, "task", "worker", "start", "stop") == [
        (0, 0, 0.0, 1.0), (1, 0, 1.0, 2.0), (2, 1, 3.0, 6.0), (3, 0, 2.0, 3.5), (3, 1, 6.0, 15.0)
    ]  # fmt: skip
    # Half a second into the transfer, the copy is not whole: all is computed again.
    trace = run(graph, Cluster(2, bandwidth=1.0, failures=[(0, 2.5)]), policy=[0, 1, 3, 2])
    assert [row[0] for row in rows(trace, COMPUTE, "task")] == [0, 0, 1, 1, 2, 3, 3]
    assert trace.makespan == 2.5 + 1 + 1 + 9 + 3


def test_what_others_fetched_survives():
    # Both workers read what 0 made (2 bytes, at 1 byte/s). Worker 0 is lost: worker 1 has a copy, and 3 reads that.
    graph = TaskGraph([1, 2, 2, 1], [2, 0, 0, 0], [[], [0], [0], [0, 1, 2]])
    trace = run(graph, Cluster(2, bandwidth=1.0, failures=[(0, 4.0)]))
    # 2 reads from 1 to 3 and runs from 3 to 5 on worker 1, where then 1 (lost) runs again, and 3.
    assert rows(trace, COMPUTE, "task", "worker", "start", "stop") == [
        (0, 0, 0.0, 1.0), (1, 0, 1.0, 3.0), (1, 1, 5.0, 7.0), (2, 1, 3.0, 5.0), (3, 1, 7.0, 8.0)
    ]  # fmt: skip
    # With parts of its own for each reader no part is a copy: 0 runs again.
    parts = TaskGraph(graph.duration, graph.output_size, [[], [0], [0], [0, 1, 2]], edge_size=[2.0, 2.0, 2.0, 0, 0])
    trace = run(parts, Cluster(2, bandwidth=1.0, failures=[(0, 4.0)]))
    assert (trace.task[trace.kind == COMPUTE] == 0).sum() == 2


def test_a_transfer_from_a_lost_worker_is_cut_and_its_task_handed_out_anew():
    graph = TaskGraph([1, 4, 1], [10, 0, 0], [[], [0], [0]])
    trace = run(graph, Cluster(3, bandwidth=1.0, failures=[(0, 5.0)]))
    # 1 ended at 5 on worker 0 and is lost with 0; 2 reads from 1 to 11 on worker 1, in vain.
    cut = rows(trace, TRANSFER, "task", "source", "worker", "start", "stop", "size")[0]
    assert cut == (2, 0, 1, 1.0, 5.0, 0.0)
    assert rows(trace, COMPUTE, "task", "worker", "start", "stop")[:2] == [(0, 0, 0.0, 1.0), (0, 1, 5.0, 6.0)]
    assert (trace.task[trace.kind == COMPUTE] == 2).sum() == 1  # what never began has no row


def test_final_results_are_needed_until_the_end():
    # As in Dask: what a client waits for is computed again, if its only worker is lost before the last task ended.
    trace = run(independent(2, duration=[1, 3]), Cluster(2, failures=[(0, 2.0)]))
    assert rows(trace, COMPUTE, "task", "worker", "start", "stop") == [
        (0, 0, 0.0, 1.0), (0, 1, 3.0, 4.0), (1, 1, 0.0, 3.0)
    ]  # fmt: skip
    assert run(independent(2, duration=[1, 3]), Cluster(2, failures=[(0, 3.0)])).makespan == 3.0


def test_what_ends_at_the_instant_of_the_failure_has_ended():
    # Task 0 ends at 1 and is lost at 1, after it ended: its row is whole.
    trace = run(chain(2), Cluster(2, failures=[(0, 1.0)]))
    assert rows(trace, COMPUTE, "task", "worker", "start", "stop", "size")[0] == (0, 0, 0.0, 1.0, 0.0)
    assert trace.makespan == 3.0


def test_mapreduce_runs_the_maps_of_a_lost_worker_again():
    """Dean, Ghemawat: MapReduce (OSDI 2004), section 3.3: also maps that are done, for their output is lost with it."""
    maps, reducers, w = 20, 4, 5
    graph = map_reduce(maps, reducers)
    trace = run(graph, Cluster(w, failures=[(2, 4.5)]))  # all maps are done at 4, and the reducers run
    again = [task for task in range(len(graph)) if (trace.task[trace.kind == COMPUTE] == task).sum() > 1]
    whole = run(graph, w)
    held = [i for i in range(maps) if whole.worker[i] == 2]
    running = [i for i in range(maps, len(graph)) if whole.worker[i] == 2 and whole.start[i] < 4.5]
    assert len(held) == 4
    assert len(running) == 1
    # The other reducers have read all they need; the one that was lost needs the maps that were lost.
    assert again == sorted(held + running)


@pytest.mark.parametrize("threads", [1, 3])
def test_more_failures_take_longer_and_never_lose_a_task(threads):
    graph = random_dag(80, 0.05, output_size=1.0, seed=4)
    mean = []
    for gap in (1e6, 40.0, 10.0):
        makespans = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            failures = []
            for w in range(4):
                time = rng.exponential(gap)
                while time < 400:
                    failures.append((w, time, time + 1.0))
                    time += 1.0 + rng.exponential(gap)
            trace = run(graph, Cluster(4, threads=threads, bandwidth=5.0, failures=failures))
            makespans.append(trace.makespan)
            start, stop = trace.task_times()
            whole = np.isclose(stop - start, graph.duration)
            assert whole.all()
        mean.append(np.mean(makespans))
    assert mean[0] < mean[1] < mean[2]


# ---- formulas


@pytest.mark.parametrize(("work", "mtbf", "down"), [(2.0, 4.0, 0.0), (3.0, 2.0, 0.5)])
def test_one_task_that_must_begin_anew(work, mtbf, down):
    """M (e^(w/M) − 1) for failures at rate 1/M (course.models.expected_run_time); and the times between, of D each.

    On average e^(w/M) − 1 failures come before a run succeeds.
    """
    runs = 3000
    rng = np.random.default_rng(1)
    makespans = np.empty(runs)
    for i in range(runs):
        failures, time = [], rng.exponential(mtbf)
        while time < 60 * mtbf:
            failures.append((0, time, time + max(down, 1e-12)))
            time = failures[-1][2] + rng.exponential(mtbf)
        makespans[i] = run(independent(1, duration=work), Cluster(1, failures=failures)).makespan
    expected = expected_run_time(work, mtbf) + down * math.expm1(work / mtbf)
    assert abs(makespans.mean() - expected) < 3 * makespans.std() / math.sqrt(runs)


def test_the_chance_that_one_of_many_is_slow():
    """1 − (1 − p)^n (course.models.fan_out_probability; Dean, Barroso: The Tail at Scale, 2013: 0.63 for 100, 1 %)."""
    runs, n, p = 4000, 100, 0.01
    cluster = Cluster(n, stragglers=(p, 10.0))
    late = np.mean([run(independent(n), cluster, seed=s).makespan == 10.0 for s in range(runs)])
    expected = fan_out_probability(p, n)
    assert expected == pytest.approx(0.63, abs=0.005)
    assert abs(late - expected) < 3 * math.sqrt(expected * (1 - expected) / runs)


def test_further_runs_are_drawn_for_as_well():
    """The second run of a lost task is slow with probability p, whatever the first was."""
    runs, p = 4000, 0.3
    cluster = Cluster(1, stragglers=(p, 4.0), failures=[(0, 0.5, 1.0)])
    second = np.array([run(independent(1), cluster, seed=s).makespan for s in range(runs)])
    assert set(second) == {2.0, 5.0}
    first = np.array([run(independent(1), cluster.replace(failures=()), seed=s).makespan for s in range(runs)])
    assert abs((second == 5.0).mean() - p) < 3 * math.sqrt(p * (1 - p) / runs)
    assert abs(np.corrcoef(first, second)[0, 1]) < 3 / math.sqrt(runs)


# ---- compiled once: a call of any kind must not compile another version


def test_every_call_uses_what_warm_up_compiled():
    from course.simulate import delay_kernel, failure_kernel, stealing_kernel

    warm_up()
    parts = TaskGraph([1, 1], 1, [[], [0]], edge_size=[2.0])
    for graph in (TaskGraph([]), independent(3), chain(3), map_reduce(3, 3, output_size=2.0), parts):
        for cluster in (
            Cluster(2), Cluster(2, latency=np.ones((2, 2)).T, stragglers=(0.5, 2), scheduler_overhead=1.0),
            Cluster(2, threads=np.array([1, 2], dtype=np.int32), speed=[1, 2], bandwidth=[1.0, 2.0], backbone=3),
        ):  # fmt: skip
            for policy in ("list", "fifo", np.arange(len(graph))):
                run(graph, cluster.replace(failures=[(0, 1)]), policy)
                run(graph, cluster, Delay(1, policy))
            run(graph, cluster, Stealing(1, "richest", "half", "dealt"))
    for kernel in (delay_kernel, failure_kernel, stealing_kernel):
        assert len(kernel.simulate.signatures) == 1


# ---- stragglers under every policy


@pytest.mark.parametrize("policy", [*POLICIES, *SIMULATORS])
def test_every_policy_has_the_same_stragglers(policy):
    graph = fork_join(30, duration=2.0)
    cluster = Cluster(3, stragglers=(0.3, 5.0))
    trace = run(graph, cluster, policy, seed=4)
    took = (trace.stop - trace.start)[trace.kind == COMPUTE]
    expected = real_durations(graph, cluster, 4)
    assert set(expected) == {2.0, 10.0}
    assert took == pytest.approx(expected, rel=1e-12)
    assert trace.graph == graph  # the nominal one
    everybody = run(graph, cluster.replace(stragglers=(1.0, 5.0)), policy, seed=4)
    assert (everybody.stop - everybody.start)[everybody.kind == COMPUTE] == pytest.approx(np.full(32, 10.0))
    for nobody in ((0.0, 5.0), (1.0, 1.0)):
        assert same_rows(run(graph, cluster.replace(stragglers=nobody), policy, seed=4), run(graph, 3, policy, seed=4))


def test_plans_and_priorities_do_not_know_who_will_be_slow():
    graph = independent(20, duration=np.arange(1.0, 21.0))
    plan = run(graph, 3, "heft")
    late = run(graph, Cluster(3, stragglers=(0.4, 50.0)), "heft", seed=1)
    assert late.worker[:20].tolist() == plan.worker[:20].tolist()
    assert late.makespan > plan.makespan
    order = run(graph, Cluster(1, stragglers=(0.4, 50.0)), "lpt", seed=1).order().tolist()
    assert order == list(range(19, -1, -1))


# ---- the cluster


def test_a_cluster_keeps_its_failures(tmp_path):
    cluster = Cluster(3, failures=[(1, 5), (0, 3, 4), (1, 1, np.float64(2))], stragglers=[0.5, 2])
    assert cluster.failures == ((1, 1.0, 2.0), (0, 3.0, 4.0), (1, 5.0, math.inf))
    assert cluster.stragglers == (0.5, 2.0)
    assert Cluster.from_dict(cluster.to_dict()) == cluster
    assert Cluster.from_dict(json.loads(json.dumps(cluster.to_dict()))) == cluster
    assert cluster != cluster.replace(failures=())
    assert cluster != cluster.replace(stragglers=(0.5, 3.0))
    trace = run(fork_join(5, output_size=1.0), cluster.replace(bandwidth=2.0), seed=2)
    assert Trace.load(trace.save(tmp_path / "run.parquet")) == trace


def test_a_file_from_before_them_still_loads(tmp_path, monkeypatch):
    """What `Trace.save` wrote when a cluster had no backbone, failures or stragglers."""
    trace = run(fork_join(5, output_size=1.0), Cluster(3, bandwidth=2.0))
    now = Cluster.to_dict
    new = ("backbone", "failures", "stragglers")
    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "to_dict", lambda self: {k: v for k, v in now(self).items() if k not in new})
        path = trace.save(tmp_path / "old.parquet")
    assert Trace.load(path) == trace


# ---- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Cluster(2, failures=3), "failures is 3; it must be a sequence of (worker, time[, return])"),
        (lambda: Cluster(2, failures=[3]), "failures is [3]; it must be a sequence"),
        (lambda: Cluster(2, failures=[(0,)]), "failures holds (0,); it must hold (worker, time) or"),
        (lambda: Cluster(2, failures=[(2, 1.0)]), "failures: worker is 2; it must be a whole number of at least 0 and"),
        (lambda: Cluster(2, failures=[(0.5, 1.0)]), "failures: worker is 0.5"),
        (lambda: Cluster(2, failures=[(0, -1.0)]), "failures: time is -1; it must be finite and at least 0"),
        (lambda: Cluster(2, failures=[(0, math.nan)]), "failures: time is nan"),
        (lambda: Cluster(2, failures=[(0, math.inf)]), "failures: time is inf"),
        (lambda: Cluster(2, failures=[(0, "soon")]), "failures: time is 'soon'; it must be a number"),
        (lambda: Cluster(2, failures=[(0, [1, 2])]), "failures: time is [1, 2]; it must be one number"),
        (lambda: Cluster(2, failures=[(0, 2.0, 2.0)]), "failures holds (0, 2.0, 2.0); the return must be after"),
        (lambda: Cluster(2, failures=[(0, 2.0, math.nan)]), "failures: return is nan"),
        (lambda: Cluster(2, failures=[(0, 2.0), (0, 3.0)]), "worker 0 fails at 3 s, but is back only at inf s"),
        (lambda: Cluster(2, failures=[(0, 2.0, 4.0), (0, 3.0)]), "worker 0 fails at 3 s, but is back only at 4 s"),
        (lambda: Cluster(2, stragglers=0.5), "stragglers is 0.5; it must be (probability, factor)"),
        (lambda: Cluster(2, stragglers=(1.5, 2)), "stragglers: probability is 1.5; it must be finite and at least 0"),
        (lambda: Cluster(2, stragglers=(0.5, 0.5)), "stragglers: factor is 0.5; it must be finite and at least 1"),
        (lambda: Cluster(2, stragglers=(0.5, math.inf)), "stragglers: factor is inf"),
        (
            lambda: run(chain(3), Cluster(2, failures=[(0, 1.5), (1, 1.0)])),
            "all workers are gone after 1.5 s, and 3 tasks are left: 0, 1, 2",
        ),
        (
            lambda: run(independent(20), Cluster(1, failures=[(0, 1.5)])),
            "all workers are gone after 1.5 s, and 20 tasks are left: 0, 1, 2, 3, 4, 5, 6, 7, …",
        ),
        (lambda: run(chain(2, duration=1e299), Cluster(2, stragglers=(0.5, 1e9))), "the work of 2e+299 s could exceed"),
        *(
            (
                lambda policy=policy: run(chain(2), Cluster(2, failures=[(0, 1.0)]), policy),
                "does not simulate; list scheduling does: list, fifo",
            )
            for policy in (*SIMULATORS, Stealing(), Delay())
        ),
    ],
)  # fmt: skip
def test_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.slow
def test_very_many_failures_are_no_hang():
    failures = [(0, float(i), i + 0.5) for i in range(1, 20_000)]
    graph = fork_join(100_000, duration=10.0)
    with pytest.raises(ValueError, match="the 19999 failures take too long to simulate with 100002 tasks"):
        run(graph, Cluster(2, failures=failures))


wild = st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 0.5, 1.0, 1e9, 1e18, 1e150, 1e299, 1e307, -1.0, math.nan, math.inf])
times = st.sampled_from([0.0, 5e-324, 0.3, 1.0, 1e9, 1e300, 1.7e308, -1.0, math.nan, math.inf])


@settings(max_examples=1000)
@given(
    tasks_and_cluster(),
    st.lists(wild, min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(-1, 4), times) | st.tuples(st.integers(0, 2), times, times), max_size=4),
    st.sampled_from(["list", "lifo", "blevel"]),
)
def test_wild_input_gives_an_answer_or_a_clear_error(both, values, failures, policy):
    graph, cluster = both
    scale, factor, latency, bandwidth, backbone, speed, overhead, delay = values
    try:
        graph = graph.replace(duration=[x * scale for x in graph.duration.tolist()])
        cluster = cluster.replace(
            latency=latency, bandwidth=bandwidth, backbone=backbone, speed=speed, scheduler_overhead=overhead,
            release_delay=delay, failures=failures, stragglers=(0.5, factor),
        )  # fmt: skip
        trace = run(graph, cluster, policy)
    except ValueError:
        return
    assert np.isfinite(trace.makespan)
    assert len(np.unique(trace.task[trace.kind == COMPUTE])) == len(graph)


@settings(max_examples=300)
@given(tasks_and_cluster(), st.data())
def test_sane_input_gets_an_answer_if_a_worker_stays(both, data):
    graph, cluster = both
    failures = [row for row in data.draw(failing(cluster.workers)) if row[0] > 0]
    trace = run(graph, cluster.replace(failures=failures))
    start, stop = trace.task_times()
    assert not np.isnan(stop).any()
    # The last run of a task need not be after the last of its predecessors; but some run of each was before it.
    for i in range(len(graph)):
        for p in graph.predecessors(i):
            mine = (trace.kind == COMPUTE) & (trace.task == p)
            assert trace.stop[mine].min() <= start[i]
