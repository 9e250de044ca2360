"""Architectures of schedulers: against plain twins, list scheduling, queues, and each other in their limits."""

from __future__ import annotations

import heapq
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.models import mmc
from course.simulate.architectures import ARCHITECTURES, architecture
from course.simulate.queues import queue
from tests.strategies import ANYTHING


@st.composite
def workloads(draw):
    jobs = draw(st.integers(1, 8))
    times = st.sampled_from([0.5, 1.0, 2.0]) if draw(st.booleans()) else st.floats(0.01, 3)
    gaps = draw(st.lists(times | st.just(0.0), min_size=jobs, max_size=jobs))
    tasks = draw(st.lists(st.integers(1, 6), min_size=jobs, max_size=jobs))
    durations = draw(st.lists(times, min_size=sum(tasks), max_size=sum(tasks)))
    return gaps, tasks, durations, draw(st.integers(1, 6))


def jobs_of(gaps, tasks, durations):
    """Return (arrival, [(task, duration), …]) of each job."""
    arrival, first, jobs = np.cumsum(gaps).tolist(), 0, []
    for t, count in zip(arrival, tasks, strict=True):
        jobs.append((t, [(k, durations[k]) for k in range(first, first + count)]))
        first += count
    return jobs


def fifo(gaps, tasks, durations, workers, overhead=0.0, job_overhead=0.0):
    """Return the start of each task: one line of tasks, each with the time at which it was decided on."""
    free, start, decided = [0.0] * workers, [], 0.0
    for arrival, work in jobs_of(gaps, tasks, durations):
        decided = max(decided, arrival) + job_overhead
        for _, need in work:
            decided += overhead
            start.append(max(decided, heapq.heappop(free)))
            heapq.heappush(free, start[-1] + need)
    return start


def plain_two_level(gaps, tasks, durations, workers, overhead, job_overhead, schedulers):
    """Schedulers are lists of jobs; an offer is a dictionary while it is out."""
    jobs = jobs_of(gaps, tasks, durations)
    start, waiting, offers = {}, [[] for _ in range(schedulers)], {}
    idle, turn, ends = workers, 0, []
    coming = [(t, j) for j, (t, _) in enumerate(jobs)]
    while coming or ends or offers:
        now = min([t for t, _ in coming[:1]] + ends + [o["until"] for o in offers.values()])
        while coming and coming[0][0] == now:
            j = coming.pop(0)[1]
            waiting[j % schedulers].append(list(jobs[j][1]))
        idle += ends.count(now)
        ends = [e for e in ends if e != now]
        for s in [s for s, o in offers.items() if o["until"] == now]:
            offer = offers.pop(s)
            job = waiting[s][0]
            for task, need in job[: offer["takes"]]:
                start[task] = now
                ends.append(now + need)
            del job[: offer["takes"]]
            if not job:
                waiting[s].pop(0)
            idle += offer["workers"] - offer["takes"]
        for s in [(turn + k) % schedulers for k in range(schedulers)]:
            if idle and s not in offers and waiting[s]:
                takes = min(idle, len(waiting[s][0]))
                offers[s] = {"workers": idle, "takes": takes, "until": now + job_overhead + overhead * takes}
                idle, turn = 0, (s + 1) % schedulers
    return [start[k] for k in range(len(durations))]


def plain_shared(gaps, tasks, durations, workers, overhead, job_overhead, schedulers, rng):
    """The idle workers are a list; a plan is the list of those that a scheduler has chosen."""
    jobs = jobs_of(gaps, tasks, durations)
    start, waiting, plans = {}, [[] for _ in range(schedulers)], {}
    idle, ends, turn, conflicts = list(range(workers)), [], 0, 0
    coming = [(t, j) for j, (t, _) in enumerate(jobs)]
    while coming or ends or plans:
        now = min([t for t, _ in coming[:1]] + [t for t, _ in ends] + [t for t, _ in plans.values()])
        while coming and coming[0][0] == now:
            j = coming.pop(0)[1]
            waiting[j % schedulers].append(list(jobs[j][1]))
        # What happens at an instant: ends by worker, then decisions by scheduler; a task of no length is no different.
        while True:
            over = sorted(w for t, w in ends if t == now)
            if over:
                idle.append(over[0])
                ends.remove((now, over[0]))
                continue
            decided = sorted(s for s, (t, _) in plans.items() if t == now)
            if not decided:
                break
            s = decided[0]
            job = waiting[s][0]
            for w in plans.pop(s)[1]:
                if w not in idle:
                    conflicts += 1
                    continue
                idle[idle.index(w)] = idle[-1]  # the last takes its place
                idle.pop()
                task, need = job.pop(0)
                start[task] = now
                ends.append((now + need, w))
            if not job:
                waiting[s].pop(0)
        for s in [(turn + k) % schedulers for k in range(schedulers)]:
            if idle and s not in plans and waiting[s]:
                count = min(len(idle), len(waiting[s][0]))
                for c in range(count):
                    other = rng.integers(c, len(idle))
                    idle[c], idle[other] = idle[other], idle[c]
                plans[s] = (now + job_overhead + overhead * count, idle[:count])
                if plans[s][0] == now:
                    turn = (s + 1) % schedulers
                    break
    return [start[k] for k in range(len(durations))], conflicts


def plain_sampling(gaps, tasks, durations, workers, probes, latency, rng):
    """Each worker has a list of the jobs that asked it; workers act in the order of time, then of number."""
    jobs = jobs_of(gaps, tasks, durations)
    start, left = {}, [list(work) for _, work in jobs]
    lines, acts, deck = [[] for _ in range(workers)], {}, list(range(workers))
    coming = [(t + latency, j) for j, (t, _) in enumerate(jobs)]
    while coming or acts:
        w = min(acts, key=lambda w: (acts[w], w), default=None)
        if w is None or (coming and coming[0][0] < acts[w]):
            now, j = coming.pop(0)
            for r in range(math.ceil(probes * len(left[j]))):
                k = r % workers
                other = rng.integers(k, workers)
                deck[k], deck[other] = deck[other], deck[k]
                lines[deck[k]].append(j)
                acts.setdefault(deck[k], now)
            continue
        now = acts.pop(w)
        if lines[w]:
            j = lines[w].pop(0)
            acts[w] = now + 2 * latency
            if left[j]:
                task, need = left[j].pop(0)
                start[task] = acts[w]
                acts[w] += need
    return [start[k] for k in range(len(durations))]


OVERHEADS = st.sampled_from([0.0, 0.25, 1.0])


@settings(max_examples=150)
@given(workloads(), OVERHEADS, OVERHEADS)
def test_central_is_its_twin(workload, overhead, job_overhead):
    run = architecture(*workload, overhead=overhead, job_overhead=job_overhead)
    assert run.start.tolist() == fifo(*workload, overhead, job_overhead)


@settings(max_examples=200)
@given(workloads(), OVERHEADS, OVERHEADS, st.integers(1, 4))
def test_two_level_is_its_twin(workload, overhead, job_overhead, schedulers):
    run = architecture(*workload, "two-level", overhead=overhead, job_overhead=job_overhead, schedulers=schedulers)
    assert run.start.tolist() == plain_two_level(*workload, overhead, job_overhead, schedulers)


@settings(max_examples=200)
@given(workloads(), OVERHEADS, OVERHEADS, st.integers(1, 4), st.integers(0, 3))
def test_shared_is_its_twin(workload, overhead, job_overhead, schedulers, seed):
    options = {"overhead": overhead, "job_overhead": job_overhead, "schedulers": schedulers, "seed": seed}
    run = architecture(*workload, "shared", **options)
    start, conflicts = plain_shared(*workload, overhead, job_overhead, schedulers, np.random.default_rng(seed))
    assert run.start.tolist() == start
    assert run.conflicts == conflicts
    if schedulers == 1 or overhead == job_overhead == 0:
        assert conflicts == 0


@settings(max_examples=200)
@given(workloads(), st.sampled_from([1.0, 1.5, 2.0, 5.0]), OVERHEADS, st.integers(0, 3))
def test_sampling_is_its_twin(workload, probes, latency, seed):
    run = architecture(*workload, "sampling", probes=probes, latency=latency, seed=seed)
    assert run.start.tolist() == plain_sampling(*workload, probes, latency, np.random.default_rng(seed))


@settings(max_examples=150)
@given(workloads(), st.integers(0, 3))
def test_without_overhead_all_are_one_queue(workload, seed):
    gaps, tasks, durations, workers = workload
    expected = np.array(fifo(*workload))
    one = {"schedulers": 1}
    for kind, options in {"central": {}, "two-level": one, "shared": one, "sampling": {"probes": workers}}.items():
        run = architecture(*workload, kind, **options, seed=seed)
        np.testing.assert_allclose(run.start, expected, atol=1e-9, err_msg=kind)
    # It is the queue of all tasks, those of a job arriving together.
    each = np.zeros(len(durations))
    each[np.concatenate([[0], np.cumsum(tasks)[:-1]])] = gaps
    np.testing.assert_allclose(architecture(*workload).start, queue(each, durations, workers).start, atol=1e-9)


@settings(max_examples=150)
@given(workloads(), st.sampled_from(ARCHITECTURES), OVERHEADS, st.integers(0, 3))
def test_what_holds_for_all(workload, kind, overhead, seed):
    _, tasks, durations, workers = workload
    run = architecture(*workload, kind, overhead=overhead, latency=overhead, seed=seed)
    assert (run.wait >= -1e-9).all()
    assert len(run) == len(tasks)
    assert run.job.tolist() == np.repeat(np.arange(len(tasks)), tasks).tolist()
    for j in range(len(tasks)):
        assert run.response[j] == pytest.approx(run.stop[run.job == j].max() - run.arrival[j])
    # No more tasks run at once than there are workers: each step up or down, ends before starts.
    steps = sorted([(t, 1) for t in run.start] + [(t, -1) for t in run.stop])
    assert np.cumsum([step for _, step in steps]).max() <= workers
    assert 0 < run.utilization <= 1 + 1e-12
    # The decisions of one scheduler come one after the other.
    if kind == "central":
        assert (np.sort(run.start) >= overhead * (1 + np.arange(len(durations))) - 1e-9).all()


def test_single_tasks_are_mmc():
    waits = []
    for seed in range(12):
        rng = np.random.default_rng([8, seed])
        run = architecture(rng.exponential(1 / 8, 20_000), np.ones(20_000), rng.exponential(1.0, 20_000), 10)
        waits.append(run.wait[2000:].mean())
    expected = mmc(8, 1, 10).mean_wait
    error = np.std(waits, ddof=1) / math.sqrt(12)
    assert abs(np.mean(waits) - expected) < 3 * error
    assert error < 0.1 * expected


def load(workers, share, jobs=2000, tasks=20, seed=0):
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(tasks / (workers * share), jobs)
    return gaps, np.full(jobs, tasks), rng.exponential(1.0, jobs * tasks), workers


def test_one_probe_a_task_is_a_random_queue_each():
    # One job of one task, one probe: its wait is that of M/M/1 at each worker, ρ / (1 − ρ).
    waits = []
    for seed in range(12):
        gaps, tasks, durations, workers = load(50, 0.6, jobs=40_000, tasks=1, seed=seed)
        run = architecture(gaps, tasks, durations, workers, "sampling", probes=1, seed=seed)
        waits.append(run.wait[8000:].mean())
    assert abs(np.mean(waits) - 1.5) < 3 * np.std(waits, ddof=1) / math.sqrt(12)


def test_more_probes_come_nearer_to_the_central_queue():
    workload = load(500, 0.85)
    central = architecture(*workload).response.mean()
    sampled = [architecture(*workload, "sampling", probes=d).response.mean() for d in (1, 1.5, 2, 4)]
    assert sampled[0] > 1.5 * central  # per-task random placement
    assert all(a > b for a, b in itertools.pairwise(sampled))
    # Ousterhout et al., SOSP 2013: with two probes a task within 12 % of an ideal scheduler (that is their cluster's
    # median; a band only).
    two = np.median(architecture(*workload, "sampling", probes=2).response)
    assert two < 1.3 * np.median(architecture(*workload).response)


def test_a_central_scheduler_has_a_ceiling():
    # 500 workers of 1 s tasks at 85 %: 425 tasks a second. At 2 ms a decision there is room for 500, at 3 ms for 333.
    workload = load(500, 0.85)
    fast, slow = (architecture(*workload, overhead=seconds) for seconds in (0.002, 0.003))
    assert fast.response[-100:].mean() < 1.2 * architecture(*workload).response[-100:].mean()
    assert len(slow.start) / slow.start.max() == pytest.approx(1 / 0.003, rel=0.02)
    # Nobody decides for all where the workers are sampled: the ceiling is gone.
    assert architecture(*workload, "sampling", latency=0.0005).response[-100:].mean() < 2 * fast.response[-100:].mean()


def test_slow_decisions_hurt_two_level_more_than_shared_state():
    # Schwarzkopf et al., EuroSys 2013, sections 4.2 and 4.3: six jobs a second, 0.2 s of decision each, are too many
    # for one; of several, the one that decides holds all that is offered; on shared state none waits for another.
    workload = load(200, 0.3, tasks=10)
    central, offers, shared = (architecture(*workload, kind, job_overhead=0.2) for kind in ARCHITECTURES[:3])
    assert np.median(central.wait) > 10
    assert np.median(shared.wait) < 0.7 * np.median(offers.wait)
    # The price: conflicts, and more of them the longer the decisions and the fewer the idle workers.
    conflicts = [architecture(*workload, "shared", job_overhead=t).conflicts for t in (0.02, 0.1, 0.2)]
    assert 0 < conflicts[0] < conflicts[1] < conflicts[2]
    crowded = [architecture(*load(1000, share, tasks=50), "shared", job_overhead=0.1) for share in (0.3, 0.5, 0.7)]
    assert crowded[0].conflicts < crowded[1].conflicts < crowded[2].conflicts


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], [], [], 1), {}, "interarrival is empty"),
        (([1], [0], [], 1), {}, "tasks is 0; it must be a whole number and at least 1"),
        (([1], [1.5], [1], 1), {}, "tasks is 1.5"),
        (([1], [1, 2], [1, 1, 1], 1), {}, "tasks has shape (2,); it must be (1,)"),
        (([1], [2], [1], 1), {}, "durations has shape (1,); it must be (2,)"),
        (([1], [1e9], [1], 1), {}, "the number of tasks is 1e+09"),
        (([1], [1], [-1], 1), {}, "durations is -1"),
        (([1], [1], [1], 0), {}, "workers is 0"),
        (([1], [1], [1], 10**18), {}, "workers is 1000000000000000000"),
        (([1], [1], [1], 1, "best"), {}, "kind is 'best'; it must be one of central, two-level"),
        (([1], [1], [1], 1), {"overhead": -1}, "overhead is -1"),
        (([1], [1], [1], 1), {"job_overhead": math.nan}, "job_overhead is nan"),
        (([1], [1], [1], 1), {"schedulers": 0}, "schedulers is 0"),
        (([1], [1], [1], 1), {"probes": 0.5}, "probes is 0.5; it must be finite and at least 1"),
        (([1], [1], [1], 1, "sampling"), {"probes": 1e18}, "tasks × probes is 1e+18"),
        (([1], [1], [1], 10**6, "shared"), {"schedulers": 1000}, "schedulers × workers is 1e+09"),
        (([1], [1], [1], 1), {"latency": -1}, "latency is -1"),
        (([1], [1], [1e308], 1), {"overhead": 1e308}, "more seconds than a float can hold"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        architecture(*arguments, **options)


WILD_ARRAY = st.lists(ANYTHING, max_size=3) | ANYTHING


@settings(max_examples=1000)
@given(st.data())
def test_anything_is_taken_or_refused(data):
    names = ["overhead", "job_overhead", "schedulers", "probes", "latency", "seed"]
    chosen = data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    options = {name: data.draw(ANYTHING, label=name) for name in chosen}
    tasks = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3) | WILD_ARRAY)
    well = isinstance(tasks, list) and all(isinstance(k, int) and 0 < k < 9 for k in tasks)
    gaps = data.draw(st.lists(ANYTHING, min_size=len(tasks), max_size=len(tasks)) if well else WILD_ARRAY)
    durations = data.draw(st.lists(ANYTHING, min_size=sum(tasks), max_size=sum(tasks)) if well else WILD_ARRAY)
    try:
        run = architecture(
            gaps, tasks, durations, data.draw(ANYTHING), data.draw(st.sampled_from(ARCHITECTURES)), **options
        )
    except ValueError:
        return
    assert np.isfinite(run.response).all()
    assert np.isfinite(run.start).all()
    assert (run.response >= 0).all()


def test_one_compilation_serves_all():
    from course.simulate import architecture_kernels as kernels

    gaps = np.ones(2)
    gaps.flags.writeable = False
    for kind in ARCHITECTURES:
        architecture(gaps, [1, 1], gaps, np.int64(3), kind, overhead=1, latency=1, probes=2)
        architecture([1], np.array([2], dtype=np.int32), [1, 2], 2, kind)
    for kernel in (kernels.central, kernels.two_level, kernels.shared, kernels.sampling):
        assert len(kernel.signatures) == 1
    assert repr(architecture([1], [1], [2], 1)) == "Scheduled(1 jobs, 1 tasks, 1 workers, median response 2 s)"


def test_a_million_tasks_on_ten_thousand_workers():
    workload = load(10_000, 0.9, jobs=10_000, tasks=100)
    for kind in ARCHITECTURES:
        run = architecture(*workload, kind, overhead=1e-6, latency=1e-4)
        assert run.wait.min() >= 0
