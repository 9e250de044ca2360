"""The exercises of chapter 08, frameworks, platforms and systems."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course.models import smallest_task
from course.practice.exercises import Case, Exercise
from course.simulate import architecture

# ---- 08.3 The marginal cost from measured batches

SIZES = [200, 1000]


def _batches(seed: int, outlier: bool = False) -> list[list[float]]:
    """Return measured times of five repeats of both batches [s]: 30 ms fixed, 0.6 ms a task, some noise."""
    random = np.random.default_rng(seed)
    times = 0.03 + 0.6e-3 * np.array(SIZES) * (1 + random.uniform(-0.05, 0.05, (5, 2)))
    if outlier:
        times[1, 1] += 2.0  # somebody else used the machine
    return times.round(6).tolist()


def _marginal(sizes: list[int], times: list[list[float]]) -> float:
    small, large = np.median(times, axis=0)
    return float((large - small) / (sizes[1] - sizes[0]))


def _marginal_with_fixed(sizes: list[int], times: list[list[float]]) -> float:
    return float(np.median(times, axis=0)[1] / sizes[1])


def _marginal_of_means(sizes: list[int], times: list[list[float]]) -> float:
    small, large = np.mean(times, axis=0)
    return float((large - small) / (sizes[1] - sizes[0]))


def _rate(sizes: list[int], times: list[list[float]]) -> float:
    return 1 / _marginal(sizes, times)


# ---- 08.6 Place the tasks of a job by a sample


def _place(lengths: list[int], tasks: int) -> list[int]:
    queues, got = list(lengths), [0] * len(lengths)
    for _ in range(tasks):
        best = queues.index(min(queues))
        queues[best] += 1
        got[best] += 1
    return got


def _place_without_own(lengths: list[int], tasks: int) -> list[int]:
    got = [0] * len(lengths)
    got[lengths.index(min(lengths))] = tasks
    return got


def _place_evenly(lengths: list[int], tasks: int) -> list[int]:
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])[: min(tasks, len(lengths))]
    got = [0] * len(lengths)
    for k in range(tasks):
        got[order[k % len(order)]] += 1
    return got


def _judge_place(args: tuple[Any, ...], got: Any) -> str | None:
    lengths, tasks = args
    if not isinstance(got, list | tuple | np.ndarray) or len(got) != len(lengths):
        return f"expected {len(lengths)} numbers, one for each queue that was looked at"
    if any(int(each) != each or each < 0 for each in got) or sum(got) != tasks:
        return f"the numbers must be whole and add up to {tasks}, the tasks of the job"
    return None


# ---- 08.7 The throughput of a window


def _throughput(threads: int, saturation: float, round_trip: float, task: float, overhead: float) -> float:
    window = math.ceil(saturation * threads)
    return min(1 / overhead, window / (round_trip + task), threads / task if task else math.inf)


def _throughput_without_window(
    threads: int, saturation: float, round_trip: float, task: float, overhead: float
) -> float:
    return min(1 / overhead, threads / task if task else math.inf)


def _throughput_without_ceiling(
    threads: int, saturation: float, round_trip: float, task: float, overhead: float
) -> float:
    return min(math.ceil(saturation * threads) / (round_trip + task), threads / task if task else math.inf)


def _throughput_one_each(threads: int, saturation: float, round_trip: float, task: float, overhead: float) -> float:
    return min(1 / overhead, threads / (round_trip + task))


# ---- 08.8 Batches

OVERHEAD = 1e-3
"""Seconds for which each task occupies the scheduler of exercise 08.8."""


def _items() -> list[Case]:
    found = []
    for seed, (count, workers) in enumerate([(2000, 16), (1000, 8), (3000, 32)]):
        durations = np.random.default_rng(seed).lognormal(0.0, 0.6, count)
        durations *= 2e-3 / durations.mean()
        found.append(Case((durations.round(7).tolist(), workers), says=f"{count} items of 2 ms on {workers} workers"))
    return found


def _small_items() -> list[Case]:
    return [Case(([0.01, 0.02, 0.03], 2), says="3 items on 2 workers"), Case(([0.5], 4), says="1 item"), *_items()[:1]]


def _one_by_one(durations: list[float], workers: int) -> list[list[int]]:
    return [[i] for i in range(len(durations))]


def _judge_batches(args: tuple[Any, ...], batches: Any) -> str | None:
    durations, _ = args
    try:
        flat = sorted(int(i) for batch in batches for i in batch)
    except (TypeError, ValueError):
        return "expected a list of batches, each a list of the numbers of its items"
    if any(len(batch) == 0 for batch in batches):
        return "one of the batches is empty"
    if flat != list(range(len(durations))):
        return f"every item, 0 to {len(durations) - 1}, must be in exactly one batch"
    return None


def _makespan(args: tuple[Any, ...], batches: Any) -> float:
    durations, workers = args
    work = [sum(durations[int(i)] for i in batch) for batch in batches]
    run = architecture([0.0], [len(work)], work, workers, "central", overhead=OVERHEAD)
    return float(run.stop.max())


EXERCISES = [
    Exercise(
        id="08.1",
        objective="08.1",
        kind="predict",
        title="Who calls whom",
        points=1,
        minutes=3,
        choices={
            "library, framework, platform": "NumPy is a library, Dask a framework, Slurm a platform",
            "framework, library, platform": "NumPy is a framework, Dask a library, Slurm a platform",
            "library, platform, framework": "NumPy is a library, Dask a platform, Slurm a framework",
            "library, system, system": "NumPy is a library; Dask and Slurm are the system",
        },
        value="library, framework, platform",
        mistakes={
            "here you call NumPy; it does not call you": "framework, library, platform",
            "ask who owns the machines, and who calls your functions": "library, platform, framework",
            "every set of parts can be called a system; the question is what each of the three does": (
                "library, system, system"
            ),
        },
        hints=(
            "Look at the table with the four questions.",
            "Who calls the function clean? Who starts the process in which it is called?",
            "You call NumPy. Dask calls clean. Slurm starts the Python processes and knows nothing of clean.",
        ),
    ),
    Exercise(
        id="08.2",
        objective="08.3",
        kind="derive",
        title="The smallest task",
        points=2,
        minutes=8,
        cases=[(64, 0.5e-3, 0.9), (4, 1e-3, 0.9), (10_000, 0.2e-3, 0.5), (1, 1e-3, 0.8), (16, 2e-3, 0.99)],
        expected=lambda workers, overhead, efficiency: float(smallest_task(workers, overhead, efficiency)),
        behaviour="the shortest duration with which so many workers are busy for that share of the time",
        mistakes={
            "that is the threshold for an efficiency of 1; less is asked for": lambda n, h, e: n * h,
            "with few workers the scheduler has time to spare, but each worker still waits h for its next task": (
                lambda n, h, e: e * n * h
            ),
            "many workers also wait for each other at the scheduler": lambda n, h, e: e / (1 - e) * h,
            "both conditions must hold: take the larger of the two durations, not the smaller": (
                lambda n, h, e: min(e * n * h, e / (1 - e) * h)
            ),
        },
        hints=(
            "A worker's round lasts max(N h, p + h) seconds; in it, it works for p.",
            "p / (N h) must be at least e, and p / (p + h) must be at least e. Solve each for p.",
            "The first gives e N h, the second e / (1 − e) · h; the task must be as long as the larger.",
        ),
    ),
    Exercise(
        id="08.3",
        objective="08.2",
        kind="code",
        title="The cost of one task",
        points=3,
        minutes=10,
        cases=lambda: [
            Case((SIZES, _batches(1)), says="five clean repeats"),
            Case((SIZES, _batches(2)), says="five other repeats"),
            Case((SIZES, _batches(3, outlier=True)), says="five repeats, one of them disturbed for 2 s"),
            Case(([10, 20], [[1.0, 1.5]]), says="one repeat of 10 and 20 tasks"),
        ],
        expected=_marginal,
        tolerance=0.02,
        behaviour="the seconds that one further task costs; a single disturbed repeat must not change it much",
        mistakes={
            "you divided by the number of tasks: the fixed time of a batch is in it": _marginal_with_fixed,
            "you took the mean: one disturbed repeat spoils it": _marginal_of_means,
            "that is the ceiling in tasks a second; its inverse is asked for": _rate,
        },
        hints=(
            "A batch takes a fixed time and then h for each task. Two sizes give a slope.",
            "First take the median of the repeats of each size, then the slope between the two sizes.",
            "small, large = np.median(times, axis=0); return (large - small) / (sizes[1] - sizes[0])",
        ),
    ),
    Exercise(
        id="08.4",
        objective="08.2",
        kind="predict",
        title="A thousand workers",
        points=1,
        minutes=4,
        value=500.0,
        tolerance=0.01,
        behaviour="the number of workers that such a scheduler keeps fully busy",
        mistakes={
            "that is the ceiling in tasks a second; how many workers consume so many?": 2500.0,
            "you divided where you should multiply: long tasks let one scheduler serve more workers": 12500.0,
            "all 1,000 would need 5,000 tasks a second; the scheduler hands out 2,500": 1000.0,
        },
        hints=(
            "First compute the ceiling in tasks a second.",
            "One worker consumes 1 / 0.2 = 5 tasks a second.",
            "The ceiling is 1 / 0.0004 = 2,500 tasks a second. Divide it by 5.",
        ),
    ),
    Exercise(
        id="08.5",
        objective="08.4",
        kind="diagnose",
        title="Waiting beside idle workers",
        points=2,
        minutes=6,
        choices={
            "capacity": "There are too few workers.",
            "head of line": "Small jobs wait in the scheduler's queue behind a decision that takes seconds.",
            "samples": "The samples of the small jobs hit busy workers.",
            "conflicts": "Several schedulers choose the same workers.",
        },
        value="head of line",
        mistakes={
            "four fifths of the workers are idle": "capacity",
            "nothing is sampled here: one scheduler sees all workers": "samples",
            "there is only one scheduler": "conflicts",
        },
        hints=(
            "Which panel of the figure with two panels looks like this?",
            "The workers are idle and one scheduler decides on all jobs. What does it do in the seconds of waiting?",
            "It decides on 1,000 tasks at 2 ms each, and whoever comes meanwhile stands in line.",
        ),
    ),
    Exercise(
        id="08.6",
        objective="08.5",
        kind="code",
        title="Batch sampling",
        points=3,
        minutes=12,
        cases=[
            ([0, 0, 0, 0], 2),
            ([3, 1, 2, 0], 2),
            ([5, 0, 5, 5], 4),
            ([2, 2], 5),
            ([7], 3),
            ([4, 1, 0, 1, 9, 2], 6),
            ([0, 1], 0),
        ],
        expected=_place,
        judge=_judge_place,
        behaviour="one task after the other joins the queue that is then the shortest (the first among equals); "
        "return how many tasks each queue got",
        mistakes={
            "a task that you have placed makes that queue longer: count it": _place_without_own,
            "one task for each queue in turn is not always best: a short queue may deserve two": _place_evenly,
        },
        hints=(
            "Keep your own copy of the lengths and change it after each task.",
            "For each task: find the place of the smallest length, add one there, and add one to its count.",
            "A loop: best = queues.index(min(queues)); queues[best] += 1; got[best] += 1.",
        ),
    ),
    Exercise(
        id="08.7",
        objective="08.7",
        kind="derive",
        title="Which limit holds",
        points=3,
        minutes=10,
        cases=[
            (4, 1.1, 6e-3, 0.0, 0.2e-3),
            (64, 1.1, 6e-3, 0.0, 0.5e-3),
            (4, 1.1, 6e-3, 0.1, 0.5e-3),
            (16, 1.0, 5e-3, 0.02, 0.5e-3),
            (8, 2.0, 5e-3, 0.05, 0.1e-3),
        ],
        expected=_throughput,
        behaviour="the smallest of three limits in tasks a second: scheduler, window and threads",
        mistakes={
            "you left out the window: only so many tasks are on their way to and from the worker": (
                _throughput_without_window
            ),
            "you left out the ceiling of the scheduler": _throughput_without_ceiling,
            "the window is ⌈saturation × threads⌉ tasks: those that wait at the worker hide a part of the round trip": (
                _throughput_one_each
            ),
        },
        hints=(
            "Each limit alone: what if only the scheduler is slow, only messages, only the threads?",
            "Scheduler: 1 / h. Threads: threads / task (no limit for empty tasks). Window: Little's law with w tasks.",
            "w = ceil(saturation * threads); each of them is away for round_trip + task: w / (round_trip + task).",
        ),
    ),
    Exercise(
        id="08.8",
        objective="08.7",
        kind="tune",
        title="Batches",
        points=4,
        minutes=20,
        cases=_small_items,
        judge=_judge_batches,
        baseline=_one_by_one,
        timed=_items,
        cost=_makespan,
        target=5.0,
        behaviour="a list of batches, each a list of items, whose run is 5 times as short as with one item a task",
        hints=(
            "One item a task: the scheduler needs n × 1 ms, the workers n × 2 ms / N. Balance the two.",
            "k batches cost the scheduler k ms, and the last one to be handed out is still to be run: about W / k.",
            "k ms + W / k is least at k = √(W / 1 ms), about 63 for 2,000 items; deal the items out in turns, "
            "[list(range(j, n, k)) for j in range(k)], with k at least the number of workers.",
        ),
    ),
    Exercise(
        id="08.9",
        objective="08.6",
        kind="diagnose",
        title="The wrong cluster",
        points=2,
        minutes=5,
        choices={
            "firewall": "A firewall keeps the notebook from the scheduler.",
            "file": "Client() does not read scheduler-file from the settings, and started a local cluster.",
            "workers": "98 of the 100 workers have not started yet.",
            "threads": "Each worker counts its threads wrongly.",
        },
        value="file",
        mistakes={
            "then it would have failed or waited, not answered at once": "firewall",
            "look at the address: is that a node of the big machine?": "workers",
            "two threads are what a small laptop has; look at the address": "threads",
        },
        hints=(
            "Read the note on what the documentation does not say.",
            "127.0.0.1 is the machine on which the notebook runs. Who started a cluster there?",
            "Without an address, Client() starts a local cluster; the setting scheduler-file does not change that.",
        ),
    ),
]
