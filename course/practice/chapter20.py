"""The exercises of chapter 20, a hundred thousand tiny tasks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course.graph import independent
from course.models import best_chunk, chunk_time
from course.practice.exercises import Case, Exercise
from course.simulate import Cluster, run

# ---- 20.2 A lower bound


def _bound(n: int, w: float, h: float, m: int, b: int) -> float:
    tasks = math.ceil(n / b)
    return max(tasks * h, math.ceil(tasks / m) * b * w)


# ---- 20.3 How many calls

_CALLS = [
    (0.2, 2, 0.012, 0.002),
    (0.9, 2, 0.012, 0.002),
    (45.0, 16, 0.0, 0.002),
    (45.0, 64, 0.05, 0.002),
    (3.0, 100, 0.0, 0.005),
    (1.0, 8, 0.5, 0.001),
]


def _judge_calls(args: tuple[Any, ...], tasks: Any) -> str | None:
    work, workers, call, h = args
    if isinstance(tasks, bool) or not isinstance(tasks, int | np.integer) or not 1 <= tasks <= 5000:
        return f"got {tasks!r:.60}; expected a whole number from 1 to 5,000"
    took = chunk_time(work, int(tasks), workers, call, h)
    best = best_chunk(work, workers, call, h, most=5000)
    if took > best.time * (1 + 1e-9):
        return f"{tasks} tasks take {took:.4g} s; there is a number that takes {best.time:.4g} s"
    return None


# ---- 20.5 Random numbers that do not depend on the batches


def _draws(seed: int, first: int, last: int) -> list[float]:
    return [float(np.random.default_rng([seed, k]).random()) for k in range(first, last)]


def _one_generator(seed: int, first: int, last: int) -> list[float]:
    rng = np.random.default_rng([seed, first])
    return [float(rng.random()) for _ in range(first, last)]


def _by_sum(seed: int, first: int, last: int) -> list[float]:
    return [float(np.random.default_rng(seed + k).random()) for k in range(first, last)]


def _one_stream(seed: int, first: int, last: int) -> list[float]:
    return np.random.default_rng(seed).random(last)[first:].tolist()


def _same_for_all(seed: int, first: int, last: int) -> list[float]:
    return [float(np.random.default_rng(seed).random()) for _ in range(first, last)]


# ---- 20.6 In arrays


def _shortfalls(demand: np.ndarray, levels: np.ndarray) -> np.ndarray:
    lost = np.zeros((len(levels), demand.shape[0]), dtype=np.int64)
    for i, level in enumerate(levels.tolist()):
        for j, days in enumerate(demand.tolist()):
            stock = level
            for wanted in days:
                if wanted > stock:
                    lost[i, j] += wanted - stock
                    stock = 0
                else:
                    stock -= wanted
                stock = min(stock + 10, level)
    return lost


def _shops(levels: int, seeds: int, days: int, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    demand = rng.poisson(11, (seeds, days))
    return Case(
        (demand, np.arange(15, 15 + 5 * levels, 5)), says=f"{levels} levels, {seeds} demand series of {days} days"
    )


# ---- 20.7 Batches of uneven runs


def _uneven() -> list[Case]:
    found = []
    for k, (n, m, h, mean) in enumerate(((2000, 8, 2e-3, 0.5e-3), (3000, 16, 1e-3, 4e-3), (1500, 4, 2e-3, 1e-3))):
        durations = np.sort(np.random.default_rng(k).gamma(0.7, mean / 0.7, n)).tolist()
        found.append(Case((durations, m, h), says=f"{n} runs of {1e3 * mean:g} ms in the mean, {m} workers"))
    return found


def _one_each(durations: list[float], workers: int, overhead: float) -> list[list[int]]:
    return [[k] for k in range(len(durations))]


def _batched_time(args: tuple[Any, ...], batches: Any) -> float:
    durations, workers, overhead = args
    work = np.array([sum(durations[k] for k in batch) for batch in batches])
    return run(independent(len(work), work), Cluster(workers, scheduler_overhead=overhead)).makespan


def _judge_batches(args: tuple[Any, ...], batches: Any) -> str | None:
    n = len(args[0])
    if not isinstance(batches, list | tuple) or not all(isinstance(batch, list | tuple) for batch in batches):
        return "that is no list of lists of the numbers of runs"
    flat = [k for batch in batches for k in batch]
    if any(isinstance(k, bool) or not isinstance(k, int | np.integer) for k in flat):
        return "a batch holds something that is no whole number"
    if sorted(int(k) for k in flat) != list(range(n)) or not all(len(batch) for batch in batches):
        return f"each run from 0 to {n - 1} must be in one batch, and no batch empty"
    return None


# ---- 20.8 What a change is worth


def _worth(each: float, saved: float, w: float, m: int, b: int) -> float:
    after = (each - saved) / b + w / m
    return after / (each / b + w / m)


_CAUSES = {"a": "batches", "b": "smaller", "c": "work"}

EXERCISES = [
    Exercise(
        id="20.1",
        objective="20.1",
        kind="diagnose",
        title="Three sweeps",
        points=2,
        minutes=10,
        value=dict(_CAUSES),
        behaviour="for each of the three runs, what it needs first: batches, smaller (tasks) or (less) work",
        mistakes={
            "in both, threads are idle. In one, tasks are ready all the time and wait to be handed out; in the other, "
            "the last task is large, and no other is left": {"a": "smaller", "b": "batches", "c": "work"},
            "in one of them the threads are busy nearly all the time: no other cut of the work makes that faster": {
                "a": "batches",
                "b": "work",
                "c": "smaller",
            },
        },
        hints=(
            "diagnose(trace) names the cause in its first line; plots.gantt shows the end of the run.",
            "a: each task is shorter than its overhead. b: one bar ends long after the others. c: no gap anywhere.",
            "Tiny tasks need batches; an imbalance needs smaller ones; busy threads need less work.",
        ),
    ),
    Exercise(
        id="20.2",
        objective="20.2",
        kind="derive",
        title="At the least",
        points=2,
        minutes=8,
        cases=[
            (600, 0.45e-3, 2e-3, 2, 1),
            (600, 0.45e-3, 2e-3, 2, 50),
            (100_000, 0.45e-3, 2e-3, 2, 1),
            (100_000, 0.45e-3, 2e-3, 64, 30),
            (1000, 10e-3, 1e-3, 8, 300),
            (10, 1.0, 1e-3, 4, 1),
        ],
        expected=_bound,
        behaviour="the larger of two times: the scheduler hands out all tasks; the busiest worker computes its own",
        mistakes={
            "a task has b runs, so there are ⌈n/b⌉ tasks to hand out, not n": (
                lambda n, w, h, m, b: max(n * h, math.ceil(math.ceil(n / b) / m) * b * w)
            ),
            "tasks are not divided: some worker has ⌈k/m⌉ of the k tasks, each of b runs": (
                lambda n, w, h, m, b: max(math.ceil(n / b) * h, n * w / m)
            ),
            "handing out and computing overlap; a lower bound is the larger of both, not their sum": (
                lambda n, w, h, m, b: math.ceil(n / b) * h + math.ceil(math.ceil(n / b) / m) * b * w
            ),
        },
        hints=(
            "The section on batches. How many tasks are there, and who does what with each?",
            "k = ⌈n/b⌉ tasks. The scheduler needs k h; one of the workers gets ⌈k/m⌉ of them, of b w seconds each.",
            "k = math.ceil(n / b); return max(k * h, math.ceil(k / m) * b * w)",
        ),
    ),
    Exercise(
        id="20.3",
        objective="20.3",
        kind="code",
        title="How many calls",
        points=3,
        minutes=12,
        cases=_CALLS,
        judge=_judge_calls,
        behaviour="the number of tasks, up to 5,000, with the least time",
        mistakes={
            "one task a worker is best only where handing them out costs nothing; count h as well": (
                lambda work, workers, call, h: workers
            ),
            "the fewest tasks leave workers idle": lambda work, workers, call, h: 1,
            "the fixed cost of a call is paid by each worker in turn, the scheduler's h by all tasks together": (
                lambda work, workers, call, h: min(
                    range(1, 5001), key=lambda k: k * (call + h) + math.ceil(k / workers) * work / k
                )
            ),
        },
        hints=(
            "There are 5,000 candidates: try them all with the model of the chapter.",
            "course.models.chunk_time(work, tasks, workers, overhead=call, dispatch=h) takes arrays of tasks.",
            "tasks = np.arange(1, 5001); times = models.chunk_time(work, tasks, workers, call, h); return the one "
            "of tasks at np.argmin(times), as an int",
        ),
    ),
    Exercise(
        id="20.4",
        objective="20.4",
        kind="predict",
        title="A hundred calls of roll()",
        points=1,
        minutes=4,
        choices={
            "1": "One.",
            "2": "Two: one for each worker.",
            "100": "A hundred.",
        },
        value="1",
        mistakes={
            "the key of a task is made from its function and its arguments, and these are the same a hundred times": (
                "100"
            ),
            "it is not the place that counts: the scheduler runs each key once": "2",
        },
        hints=(
            "What does submit(…, pure=True), the default, make the key from?",
            "Equal function and equal arguments: equal key. What does the scheduler do with a key that it has?",
            "All hundred futures have one key, so there is one task, and one result.",
        ),
    ),
    Exercise(
        id="20.5",
        objective="20.4",
        kind="code",
        title="Numbers that survive batching",
        points=3,
        minutes=12,
        cases=[(20, 0, 10), (20, 0, 5), (20, 5, 10), (21, 0, 10), (20, 99_995, 100_000), (7, 3, 3)],
        expected=_draws,
        tolerance=0.0,
        absolute=0.0,
        behaviour="a list with the first random number of each run from first to last − 1; the same, however it is cut",
        mistakes={
            "one generator for the batch: the second run's numbers then depend on where the batch begins": (
                _one_generator
            ),
            "seed + k makes run 1 of seed 20 equal to run 0 of seed 21; give default_rng the pair": _by_sum,
            "one stream for the whole experiment survives batching, but each batch draws all that comes before it; "
            "give each run a generator of its own": _one_stream,
            "each run has the same number: the run's own number must be part of the seed": _same_for_all,
        },
        hints=(
            "Which generator may run k use, if nobody knows in which batch it will be?",
            "One of its own, made from the seed and k. np.random.default_rng takes a list of whole numbers.",
            "[float(np.random.default_rng([seed, k]).random()) for k in range(first, last)]",
        ),
    ),
    Exercise(
        id="20.6",
        objective="20.5",
        kind="tune",
        title="In arrays",
        points=4,
        minutes=20,
        cases=lambda: [_shops(1, 1, 5, 1), _shops(3, 2, 40, 2), _shops(10, 8, 100, 3)],
        expected=_shortfalls,
        baseline=_shortfalls,
        timed=lambda: [_shops(40, 25, 200, 4)],
        target=4.0,
        behaviour="the same whole numbers as the loops, in at most a quarter of their time",
        hints=(
            "Days depend on each other; levels and series do not. So loop over the days only.",
            "stock has the shape (levels, series). What was a number becomes an array; an if becomes np.minimum or "
            "np.maximum.",
            "stock = levels[:, None] + np.zeros((1, len(demand)), int); for wanted in demand.T: lost += np.maximum("
            "wanted - stock, 0); stock = np.minimum(np.maximum(stock - wanted, 0) + 10, levels[:, None])",
        ),
    ),
    Exercise(
        id="20.7",
        objective="20.3",
        kind="tune",
        title="Batches of uneven runs",
        points=4,
        minutes=15,
        cases=_uneven,
        judge=_judge_batches,
        baseline=_one_each,
        timed=_uneven,
        cost=_batched_time,
        target=5.5,
        behaviour="batches with which the simulated sweeps are 5.5 times as fast as with one run a task",
        hints=(
            "The scheduler hands out the batches in your order. What limits the start of it, what the end?",
            "The runs come sorted, the longest last. Balance the batches by their work, or mix long and short runs.",
            "Deal the runs like cards: batches = [list(range(k, n, count)) for k in range(count)] with count a few "
            "times the workers.",
        ),
    ),
    Exercise(
        id="20.8",
        objective="20.6",
        kind="derive",
        title="What a change is worth",
        points=2,
        minutes=9,
        cases=[
            (5e-3, 1.2e-3, 0.45e-3, 2, 1),
            (5e-3, 1.2e-3, 0.45e-3, 2, 50),
            (2e-3, 0.5e-3, 0.01e-3, 2, 300),
            (2e-3, 0.5e-3, 10e-3, 64, 1),
            (3e-3, 3e-3, 1e-3, 1, 1),
        ],
        expected=_worth,
        behaviour="time after ÷ time before of a change that saves a part of what each task costs, at a given batch",
        mistakes={
            "that is its worth before batching: a batch of b runs pays once": (
                lambda each, saved, w, m, b: _worth(each, saved, w, m, 1)
            ),
            "you left out the work, which the change does not touch": lambda each, saved, w, m, b: 1 - saved / each,
            "that is the share that is saved; the ratio is what remains": (
                lambda each, saved, w, m, b: 1 - _worth(each, saved, w, m, b)
            ),
        },
        hints=(
            "What does one run take, if a task of b runs costs `each` and m workers share the work?",
            "each / b + w / m before. And after?",
            "return ((each - saved) / b + w / m) / (each / b + w / m)",
        ),
    ),
]
