"""Work stealing: its twin in plain Python, its bounds, what is known about independent tasks, bad input."""

from __future__ import annotations

import heapq
import math
import re
from collections import deque
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.graph import TaskGraph, chain, fork_join, graham_anomaly, independent, map_reduce, random_dag
from course.models import brent, lower_bound, upper_bound, work_stealing_bound
from course.simulate import Cluster, Stealing, run
from course.trace import COMPUTE, OVERHEAD
from tests.plain_network import PlainNetwork, transfer_rows
from tests.test_simulate import tasks_and_cluster

SETTINGS = list(product(("random", "richest"), ("one", "half"), ("first", "dealt")))


def plain_stealing(graph: TaskGraph, cluster: Cluster, policy: Stealing, seed: int):
    """Return computes (task, worker, thread, start, stop), steals (task, worker, thread, start, stop, source), moves.

    A sleeping thief is found anew at every event, and its attempts are counted from the last one that it made.
    """
    rng = np.random.default_rng(seed)
    net = PlainNetwork(graph, cluster)
    n = len(graph)
    threads = [(w, t) for w in range(cluster.workers) for t in range(cluster.threads_per_worker[w])]
    m = len(threads)
    speed = np.broadcast_to(cluster.speed, cluster.workers).tolist()
    after = [graph.successors(i).tolist() for i in range(n)]
    deques: list[deque[int]] = [deque() for _ in range(m)]  # the bottom is at the right
    sources = [i for i in range(n) if not net.before[i]]
    for k in reversed(range(len(sources))):
        deques[k % m if policy.start == "dealt" else 0].append(sources[k])
    where, done, running = [-1] * n, set(), {}
    computes, steals, events = [], [], []
    asleep: dict[int, float] = {}
    nonempty: list[int] = []  # in the order that drawing without trying goes by

    def note(p: int) -> None:
        """Keep the list of the deques with tasks: a new one at the end; the last one fills the gap of one that left."""
        if deques[p] and p not in nonempty:
            nonempty.append(p)
        elif not deques[p] and p in nonempty:
            last = nonempty.pop()
            if last != p:
                nonempty[nonempty.index(p)] = last

    def go_on(p: int, now: float) -> None:
        if not deques[p]:
            heapq.heappush(events, (now + policy.attempt, 1, p))
            return
        task = deques[p].pop()
        note(p)
        w, t = threads[p]
        where[task], running[p] = w, task
        begin = now
        if net.costs:
            begin = max([now, *(move.stop for move in net.bring(task, w, now, where))])
        stop = begin + float(graph.duration[task]) / speed[w]
        computes.append((task, w, t, begin, stop))
        heapq.heappush(events, (stop, 0, p))

    for k in reversed(range(len(sources))):
        note(k % m if policy.start == "dealt" else 0)
    for p in range(m):
        go_on(p, 0.0)
    while len(done) < n:
        now, what, p = heapq.heappop(events)
        if what == 0:
            done.add(running[p])
            for task in reversed(after[running[p]]):
                if all(i in done for i in net.before[task]):
                    deques[p].append(task)
                    note(p)
            go_on(p, now)
        elif not any(deques):
            asleep[p] = now
        else:
            if policy.victim == "richest":
                victim = max(range(m), key=lambda q: (len(deques[q]), -q))
            elif policy.attempt == 0:
                victim = nonempty[int(rng.random() * len(nonempty))]
            else:
                victim = [q for q in range(m) if q != p][int(rng.random() * (m - 1))]
            much = math.ceil(len(deques[victim]) / 2) if policy.amount == "half" else min(1, len(deques[victim]))
            for _ in range(much):
                deques[p].append(deques[victim].popleft())
                note(victim)
                note(p)
            if much:
                w, t = threads[p]
                steals.append((deques[p][-1], w, t, now - policy.attempt, now, threads[victim][0]))
            go_on(p, now)
        if any(deques):
            for thief, last in asleep.items():
                moment = now
                if policy.attempt:
                    tries = max(1, math.ceil((now - last) / policy.attempt))
                    moment = max(now, last + tries * policy.attempt)
                heapq.heappush(events, (moment, 1, thief))
            asleep.clear()
    return computes, steals, net.transfers


def assert_same(graph: TaskGraph, cluster: Cluster, policy: Stealing, seed: int) -> None:
    trace = run(graph, cluster, policy, seed=seed)
    computes, steals, moves = plain_stealing(graph, cluster, policy, seed)

    def rows(kind, *names):
        chosen = trace.kind == kind
        return list(zip(*(getattr(trace, name)[chosen].tolist() for name in names), strict=True))

    assert rows(COMPUTE, "task", "worker", "thread", "start", "stop") == sorted(computes)
    assert rows(OVERHEAD, "task", "worker", "thread", "start", "stop", "source") == sorted(steals)
    assert transfer_rows(trace) == [move.row() for move in moves]


@settings(max_examples=400)
@given(tasks_and_cluster(), st.sampled_from(SETTINGS), st.sampled_from([0.0, 0.1, 0.3, 1.0, 5.0]), st.integers(0, 3))
def test_stealing_is_its_twin(both, how, attempt, seed):
    assert_same(*both, Stealing(attempt, *how), seed)


@pytest.mark.parametrize("how", SETTINGS)
def test_stealing_is_its_twin_on_larger_graphs(how):
    cluster = Cluster(5, threads=[1, 2, 1, 3, 2], speed=[1, 2, 1, 1, 0.5], latency=0.1, bandwidth=3.0, backbone=8.0)
    for graph in (random_dag(150, 0.03, output_size=2.0, seed=1), map_reduce(12, 5, output_size=3.0)):
        for attempt in (0.0, 0.07, 2.0):
            assert_same(graph, cluster, Stealing(attempt, *how), seed=7)


def test_by_hand():
    # 0 ends at 1 and puts 3, 2, 1 at the bottom of its deque, so 1 is next, and the thief gets 3. It made its first
    # attempt in vain at 0.4, and is in step with that: 0.4, 0.8, 1.2.
    graph = TaskGraph([1, 2, 2, 2], 0, [[], [0], [0], [0]])
    trace = run(graph, 2, Stealing(attempt=0.4))
    assert trace.start[:4].tolist() == pytest.approx([0, 1, 3, 1.2])
    assert trace.worker[:4].tolist() == [0, 0, 0, 1]
    steal = np.flatnonzero(trace.kind == OVERHEAD)
    assert len(steal) == 1
    assert (trace.task[steal], trace.worker[steal], trace.source[steal]) == (3, 1, 0)
    assert (trace.start[steal], trace.stop[steal]) == (pytest.approx(0.8), pytest.approx(1.2))


def test_half_keeps_the_order():
    # Nine in the deque, of which the owner takes 0 at once. The thief gets 8, 7, 6, 5, and begins at their bottom.
    trace = run(independent(9), 2, Stealing(attempt=0.5, amount="half"))
    mine = trace.task[(trace.kind == COMPUTE) & (trace.worker == 1)]
    began = trace.task_times()[0][mine]
    assert mine[np.argsort(began)].tolist()[:4] == [5, 6, 7, 8]


def test_richest_beats_a_guess_when_an_attempt_is_dear():
    graph = independent(200, duration=np.linspace(0.1, 2.0, 200))
    rich = [run(graph, 8, Stealing(0.5, "richest", "half"), seed=s).makespan for s in range(20)]
    guess = [run(graph, 8, Stealing(0.5, "random", "half"), seed=s).makespan for s in range(20)]
    assert np.mean(rich) < np.mean(guess)
    assert len(set(rich)) == 1  # nothing is left to chance
    assert len(set(guess)) > 1


# ---- bounds


def test_bounds_of_graham_hold_where_an_attempt_costs_nothing():
    """Then no thread is idle while a task waits: stealing is a greedy schedule."""
    rng = np.random.default_rng(0)
    for seed in range(1000):
        n, m = int(rng.integers(1, 30)), int(rng.integers(1, 6))
        graph = random_dag(n, rng.random() * 0.5, seed=seed)
        makespan = run(graph, m, Stealing(0.0, *SETTINGS[seed % len(SETTINGS)]), seed=seed).makespan
        slack = 1e-9 * graph.work
        assert lower_bound(graph, m) - slack <= makespan <= upper_bound(graph, m) + slack


@given(tasks_and_cluster(), st.sampled_from(SETTINGS), st.sampled_from([0.0, 0.3, 2.0]))
def test_every_task_runs_once_after_its_predecessors(both, how, attempt):
    graph, cluster = both
    trace = run(graph, cluster, Stealing(attempt, *how))
    assert trace.task[trace.kind == COMPUTE].tolist() == list(range(len(graph)))
    start, stop = trace.task_times()
    for i in range(len(graph)):
        assert all(stop[p] <= start[i] for p in graph.predecessors(i))
    # What a thread does, steals and runs, does not overlap.
    for w, t in set(zip(trace.worker.tolist(), trace.thread.tolist(), strict=True)):
        mine = np.flatnonzero((trace.worker == w) & (trace.thread == t) & (t >= 0))
        mine = mine[np.lexsort((trace.stop[mine], trace.start[mine]))]
        assert (trace.stop[mine][:-1] <= trace.start[mine][1:] + 1e-12).all()


def divide_and_conquer(size: int, shrink) -> TaskGraph:
    """Return what a program spawns that splits a problem in two, solves both, and joins them, down to size 1."""
    rows: list[list[int]] = []

    def solve(size: int, before: list[int]) -> int:
        rows.append(before)
        split = len(rows) - 1
        parts = shrink(size)
        if not parts:
            return split
        ends = [solve(part, [split]) for part in parts]
        rows.append(ends)
        return len(rows) - 1

    solve(size, [])
    return TaskGraph(np.ones(len(rows)), 0, rows)


PROGRAMS = {
    "halves": divide_and_conquer(10, lambda size: [size - 1] * 2 if size > 1 else []),
    "fibonacci": divide_and_conquer(16, lambda size: [size - 1, size - 2] if size > 2 else []),
    "one and the rest": divide_and_conquer(200, lambda size: [1, size - 1] if size > 1 else []),
    "grid": TaskGraph(  # Smith and Waterman: a cell needs those above and to the left of it
        np.ones(900), 0, [[*([i - 30] if i >= 30 else []), *([i - 1] if i % 30 else [])] for i in range(900)]
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("m", [2, 4, 16, 64])
def test_bound_of_blumofe_and_leiserson(name, m):
    """An attempt takes one unit of time, one task is the source, none has more than two successors, as they demand.

    The mean is W/m + O(S) (Journal of the ACM 46(5), 1999; Arora et al. 2001 for any such graph).
    """
    graph = PROGRAMS[name]
    assert max(len(graph.successors(i)) for i in range(len(graph))) <= 2
    times = [run(graph, m, Stealing(attempt=1.0), seed=s).makespan for s in range(60)]
    assert brent(graph.work, graph.span, m)[0] <= min(times)
    assert 0 <= (np.mean(times) - graph.work / m) / graph.span <= 3
    assert np.mean(times) <= 3 * work_stealing_bound(graph.work, graph.span, m)


def test_the_constant_does_not_grow_with_the_graph():
    constants = []
    for depth in (6, 8, 10, 12):
        n = 2 ** (depth + 1) - 1
        graph = TaskGraph(np.ones(n), 0, [[(i - 1) // 2] if i else [] for i in range(n)])
        assert graph.span == depth + 1
        times = [run(graph, 16, Stealing(attempt=1.0), seed=s).makespan for s in range(60)]
        constants.append((np.mean(times) - graph.work / 16) / graph.span)
    assert max(constants) < 1.5 * min(constants)


def test_what_has_many_successors_is_not_covered_by_the_bound():
    """A wide fork is stolen one by one, as a chain of spawns would be: its width counts, not its span."""
    graph = fork_join(400)
    times = [run(graph, 16, Stealing(attempt=1.0), seed=s).makespan for s in range(60)]
    assert np.mean(times) > 5 * work_stealing_bound(graph.work, graph.span, 16)


# ---- independent tasks


@pytest.mark.parametrize(("m", "tasks"), [(8, 2**10), (64, 2**12), (256, 2**14)])
def test_halves_of_independent_tasks(m, tasks):
    """Tchiboukdjian et al., A tighter analysis of work stealing (ISAAC 2010), abstract: at most W/m + 3.65 log2 W.

    There, too, it is said that simulations fall short of the term by about a half of their own; here several thieves
    can take from one deque at one instant, which they let only one do, so it may be more.
    """
    times = [run(independent(tasks), m, Stealing(1.0, amount="half"), seed=s).makespan for s in range(60)]
    term = np.mean(times) - tasks / m
    assert term <= 3.65 * math.log2(tasks)
    # The tasks must reach m threads by being halved; each time takes an attempt of 1 s.
    assert term >= math.log2(m) / 2
    if m >= 64:
        assert 1.2 < 3.65 * math.log2(tasks) / term < 2.6


def test_two_threads_and_one_at_a_time():
    """The thief needs a + 1 for each task, the owner 1: of n tasks the thief gets floor of n / (2 + a), about."""
    for attempt, n in ((0.5, 35), (1.0, 30), (3.0, 50)):
        trace = run(independent(n), 2, Stealing(attempt))
        stolen = (trace.kind == OVERHEAD).sum()
        assert stolen == (trace.worker[trace.kind == COMPUTE] == 1).sum()
        # The owner is never idle until all are taken: n − k tasks in n − k seconds, and the thief began k of them.
        owner = n - stolen
        assert (stolen - 1) * (1 + attempt) + attempt <= owner <= stolen * (1 + attempt) + attempt
        assert trace.makespan == pytest.approx(max(owner, stolen * (1 + attempt)))


def test_the_first_victim_is_a_fair_guess():
    """Of m − 1 others one has tasks: the attempts until it is found are geometric, with mean m − 1."""
    m, runs = 8, 2000
    graph = independent(2, duration=1000.0)
    found = np.array([run(graph, m, Stealing(1.0), seed=s).start[1] for s in range(runs)])
    # All m − 1 thieves look at the same instants: the first success is geometric with p = 1 − (1 − 1/(m−1))^(m−1).
    p = 1 - (1 - 1 / (m - 1)) ** (m - 1)
    error = math.sqrt(1 - p) / p / math.sqrt(runs)
    assert abs(found.mean() - 1 / p) < 3 * error


def test_who_is_robbed_when_looking_takes_no_time():
    """Uniform over those who have something: chi-square over 3 victims, 0.1 % level (13.8 for 2 degrees)."""
    graph = independent(7, duration=[10.0, 10.0, 10.0, 1.0, 10.0, 10.0, 10.0])
    count = np.zeros(3)
    for seed in range(900):
        trace = run(graph, 4, Stealing(start="dealt"), seed=seed)
        steals = np.flatnonzero(trace.kind == OVERHEAD)
        assert trace.worker[steals[np.argmin(trace.stop[steals])]] == 3
        count[trace.source[steals[np.argmin(trace.stop[steals])]]] += 1
    assert ((count - 300) ** 2 / 300).sum() < 13.8


# ---- its limits


def test_one_thread_takes_the_work_and_goes_depth_first():
    graph = random_dag(60, 0.1, seed=2)
    trace = run(graph, 1, "stealing")
    assert trace.makespan == pytest.approx(graph.work)
    assert (trace.kind == COMPUTE).all()
    tree = TaskGraph(np.ones(7), 0, [[], [0], [0], [1], [1], [2], [2]])
    assert run(tree, 1, "stealing").order().tolist() == [0, 1, 3, 4, 2, 5, 6]


def test_a_chain_is_never_stolen():
    trace = run(chain(50), 8, Stealing(attempt=0.01))
    assert (trace.makespan, len(trace)) == (50.0, 50)
    assert run(TaskGraph([]), 3, "stealing").makespan == 0.0
    assert run(independent(3, duration=0.0), 3, "stealing").makespan == 0.0


def test_dealt_tasks_of_one_length_need_no_thief():
    trace = run(independent(64), 8, Stealing(attempt=1.0, start="dealt"))
    assert (trace.makespan, len(trace)) == (8.0, 64)


def test_no_scheduler_no_ceiling():
    graph, slow = independent(100), Cluster(10, scheduler_overhead=1.0, release_delay=5.0)
    assert run(graph, slow, "list").makespan > 100
    assert run(graph, slow, "stealing").makespan == run(graph, 10, "stealing").makespan == 10.0


def test_the_seed_decides():
    graph = random_dag(80, 0.05, seed=1)
    assert run(graph, 4, Stealing(0.1), seed=3) == run(graph, 4, Stealing(0.1), seed=3)
    assert len({run(graph, 4, Stealing(0.1), seed=s).makespan for s in range(20)}) > 5
    assert run(graham_anomaly(), 3, "stealing") == run(graham_anomaly(), 3, Stealing())


# ---- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Stealing(-1), "attempt is -1; it must be finite and at least 0"),
        (lambda: Stealing(math.inf), "attempt is inf; it must be finite"),
        (lambda: Stealing([1, 2]), "attempt is [1, 2]; it must be one number"),
        (lambda: Stealing(victim="poorest"), "victim is 'poorest'; it must be one of random, richest"),
        (lambda: Stealing(amount=2), "amount is 2; it must be one of one, half"),
        (lambda: Stealing(start=None), "start is None; it must be one of first, dealt"),
        (lambda: run(chain(2), Cluster(10**9), "stealing"), "workers times threads is 1e+09"),
        (
            lambda: run(chain(2), Cluster(2, failures=[(0, 1)]), "stealing"),
            "failures, which policy 'stealing' does not",
        ),
    ],
)
def test_stealing_refuses(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.slow
def test_too_many_attempts_are_no_hang():
    # One deque of 3000 has something: each success takes thousands of attempts.
    with pytest.raises(ValueError, match="too many attempts to steal to simulate; attempt is 1e-06 s"):
        run(independent(200_000, duration=1e-3), 3000, Stealing(1e-6))


wild = st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 0.5, 1.0, 1e9, 1e18, 1e150, 1e299, 1e307, -1.0, math.nan, math.inf])


@settings(max_examples=600)
@given(
    tasks_and_cluster(), st.lists(wild, min_size=6, max_size=6), st.sampled_from(SETTINGS), st.sampled_from([0, 3, -1])
)
def test_wild_input_gives_an_answer_or_a_clear_error(both, values, how, seed):
    graph, cluster = both
    scale, attempt, latency, bandwidth, backbone, speed = values
    try:
        graph = graph.replace(duration=[x * scale for x in graph.duration.tolist()])
        cluster = cluster.replace(latency=latency, bandwidth=bandwidth, backbone=backbone, speed=speed)
        trace = run(graph, cluster, Stealing(attempt, *how), seed=seed)
    except ValueError:
        return
    assert np.isfinite(trace.makespan)
    assert (trace.kind == COMPUTE).sum() == len(graph)
