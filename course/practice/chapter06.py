"""The exercises of chapter 06, strategies."""

from __future__ import annotations

from typing import Any

import numpy as np

from course.models import delay_scheduling_locality, drf_shares, max_min_fair
from course.practice.exercises import Case, Exercise
from course.simulate import Mornings, dispatch, mornings

# ---- 06.2 Smith's rule


def _weighted(durations: list[float], weights: list[float], order: list[int]) -> float:
    ends = np.cumsum(np.asarray(durations, dtype=float)[order])
    return float((np.asarray(weights, dtype=float)[order] * ends).sum())


def _smith(durations: list[float], weights: list[float]) -> list[int]:
    return np.argsort(np.divide(durations, weights), kind="stable").tolist()


def _judge_order(args: tuple[Any, ...], order: Any) -> str | None:
    durations, weights = args
    wanted = f"expected the numbers 0 to {len(durations) - 1}, each once"
    try:
        tasks = np.asarray(order, dtype=float).tolist()
    except (TypeError, ValueError):
        return wanted
    if not isinstance(tasks, list) or sorted(tasks) != list(range(len(durations))):
        return wanted
    tasks = [int(task) for task in tasks]
    ours, best = (_weighted(durations, weights, each) for each in (tasks, _smith(durations, weights)))
    if ours > best * (1 + 1e-9):
        return f"the weighted sum of the completion times is {ours:g}; an order with {best:g} exists"
    return None


_BATCHES = [
    Case(([3.0, 1.0, 2.0], [1.0, 1.0, 1.0]), says="three tasks of equal weight"),
    Case(([5.0, 1.0], [10.0, 1.0]), says="a long task of weight 10 and a short one of weight 1"),
    Case(([2.0, 4.0, 1.0, 3.0], [4.0, 5.0, 1.0, 1.0]), says="four tasks"),
    Case(([6.0, 1.0, 2.0, 1.0, 4.0, 2.0], [1.0, 2.0, 5.0, 1.0, 9.0, 1.5]), says="six tasks"),
    Case(([7.0], [2.0]), says="one task"),
    Case(([2.0, 1.0, 3.0], [2.0, 1.0, 1.0]), says="two tasks of the same ratio, in either order, and a third"),
]

# ---- 06.7 May it overtake?


def _may_start(free: int, spare: int, now: float, promised: float, width: int, estimate: float) -> bool:
    return width <= free and (now + estimate <= promised or width <= spare)


# ---- 06.9 A key for a cluster in overload


def _plain(tasks: Mornings) -> tuple[list[float], list[float], list[float]]:
    return tasks.arrival.tolist(), tasks.guess.tolist(), tasks.deadline.tolist()


_OVERLOADED = {seed: mornings(1.4, 1.0, days=6, error=0.3, seed=seed) for seed in (1, 2, 3)}


def _overloaded() -> list[Case]:
    return [Case(_plain(tasks), says=f"six mornings, seed {seed}") for seed, tasks in _OVERLOADED.items()]


def _missed(args: tuple[Any, ...], keys: Any) -> float:
    tasks = next(tasks for tasks in _OVERLOADED.values() if tasks.arrival[0] == args[0][0])
    ran = dispatch(tasks.arrival, tasks.service, tasks.workers, key=np.asarray(keys, dtype=float))
    return float((ran.stop > tasks.deadline).mean())


def _judge_keys(args: tuple[Any, ...], keys: Any) -> str | None:
    try:
        values = np.asarray(keys, dtype=float)
    except (TypeError, ValueError):
        return "those are no numbers"
    if values.shape != (len(args[0]),) or not np.isfinite(values).all():
        return f"expected {len(args[0])} finite numbers, one for each task; got something of shape {values.shape}"
    return None


def _earliest_deadline(arrival: list[float], guess: list[float], deadline: list[float]) -> list[float]:
    return list(deadline)


EXERCISES = [
    Exercise(
        id="06.1",
        objective="06.1",
        kind="predict",
        title="The mean of a batch",
        points=1,
        minutes=4,
        value=5.0,
        tolerance=0.005,
        behaviour="the mean of the four completion times, shortest first",
        mistakes={
            "that is the mean in the order in which they came; put the shortest first": 6.75,
            "that is the mean wait; the completion time contains the task's own duration": 2.5,
            "that is the sum; divide it by the number of tasks": 20.0,
            "that is longest first": 7.5,
        },
        hints=(
            "Look at the formula of the section on batches: the first task counts four times, the last once.",
            "In the order 1, 2, 3, 4 the completion times are the running sums.",
            "The running sums are 1, 3, 6 and 10. Divide their sum by 4.",
        ),
    ),
    Exercise(
        id="06.2",
        objective="06.1",
        kind="code",
        title="Weights",
        points=2,
        minutes=8,
        cases=_BATCHES,
        judge=_judge_order,
        behaviour="an order of the tasks in which the sum of weight times completion time is as small as it can be",
        mistakes={
            "that is shortest first; it ignores the weights": lambda p, w: np.argsort(p, kind="stable").tolist(),
            "that is heaviest first; it ignores the durations": (
                lambda p, w: np.argsort(-np.asarray(w), kind="stable").tolist()
            ),
            "the ratio is right, the direction is not: the smallest duration per weight goes first": (
                lambda p, w: np.argsort(-np.divide(p, w), kind="stable").tolist()
            ),
        },
        hints=(
            "Exchange two neighbours: by how much does the weighted sum change?",
            "i before j costs w_j p_i, j before i costs w_i p_j. Which ratio decides?",
            "Sort the task numbers by durations[k] / weights[k], smallest first.",
        ),
    ),
    Exercise(
        id="06.3",
        objective="06.2",
        kind="derive",
        title="Who pays",
        points=2,
        minutes=10,
        cases=[(0.5,), (0.8,), (0.95,), (0.1,), (0.36,)],
        expected=lambda utilization: 1 - np.sqrt(1 - utilization),
        behaviour="the load of the smaller tasks above which a task waits longer under shortest first",
        mistakes={
            "you compared with 1 / (1 − ρ(x)); two such factors belong to shortest first": lambda rho: rho,
            "solve for ρ(x), not for 1 − ρ(x)": lambda rho: np.sqrt(1 - rho),
            "the square is on the side of shortest first, not on that of first come": lambda rho: 1 - (1 - rho) ** 2,
        },
        hints=(
            "Both waits have the same W₀ above the line. Compare what is below it.",
            "Shortest first: (1 − ρ(x))². First come, first served: 1 − ρ. Set them equal.",
            "(1 − ρ(x))² = 1 − ρ, so 1 − ρ(x) is the root of 1 − ρ.",
        ),
    ),
    Exercise(
        id="06.4",
        objective="06.3",
        kind="predict",
        title="The urgent one",
        points=2,
        minutes=8,
        value=17.0,
        tolerance=0.01,
        behaviour="the seconds from the submission of the urgent request to its start",
        mistakes={
            "that is only the rest of the request that runs; the worker holds more than it runs": 5.0,
            "how many does the worker hold? 2.5 is rounded up": 11.0,
            "the request that runs is nearly over: count only what is left of it": 18.0,
            "three requests go before it, and of the first a second is done": 23.0,
        },
        hints=(
            "How many root tasks does a worker with one thread get at worker-saturation 2.5?",
            "It holds ⌈2.5⌉ = 3: one runs, two wait at the worker, out of the scheduler's reach.",
            "What is left of the first, 5 s, and the two that wait, 6 s each.",
        ),
    ),
    Exercise(
        id="06.5",
        objective="06.4",
        kind="code",
        title="Max-min fairness",
        points=3,
        minutes=14,
        cases=[
            (10.0, [2.0, 2.6, 4.0, 5.0]),
            (12.0, [1.0, 1.0, 20.0]),
            (9.0, [9.0, 9.0, 9.0]),
            (5.0, [1.0, 2.0]),
            (6.0, [0.0, 4.0, 4.0]),
            (7.0, [5.0, 1.0, 3.0]),
        ],
        expected=lambda capacity, wishes: max_min_fair(capacity, wishes).tolist(),
        tolerance=1e-6,
        absolute=1e-6,
        behaviour="what each user gets: all levels rise together, and whoever has enough drops out",
        mistakes={
            "what those who have enough leave over is not shared out again": (
                lambda capacity, wishes: [min(wish, capacity / len(wishes)) for wish in wishes]
            ),
            "that is in proportion to the wishes: who asks for more gets more": (
                lambda capacity, wishes: [wish * min(1, capacity / (sum(wishes) or 1)) for wish in wishes]
            ),
        },
        hints=(
            "Begin with the user who wants least: can everybody have that much?",
            "Go through the users by ascending wish: each gets the wish, or, if less, an equal part of the rest.",
            "For the k-th smallest of n wishes (k from 0): get = min(wish, left / (n − k)); left −= get.",
        ),
    ),
    Exercise(
        id="06.6",
        objective="06.4",
        kind="predict",
        title="Dominant shares",
        points=2,
        minutes=8,
        value=lambda: drf_shares([12, 24], [[2, 2], [1, 6]]).tasks[0],
        tolerance=0.005,
        behaviour="the tasks that A runs when both dominant shares are equal and nothing more fits",
        mistakes={
            "you used up the CPUs; the memory ends before": 4.5,
            "that is half of everything; equal dominant shares fit more": 3.0,
            "that is what A runs alone": 6.0,
            "those are the tasks of B": 24 / 9,
        },
        hints=(
            "Which share of each resource does one task of A take, and one of B? The larger is the dominant one.",
            "A: 2/12 of the CPUs; B: 6/24 of the memory. Equal shares: x_A / 6 = x_B / 4.",
            "Put x_A = 1.5 x_B into the memory: 2 · 1.5 x_B + 6 x_B = 24. Then check the CPUs.",
        ),
    ),
    Exercise(
        id="06.7",
        objective="06.5",
        kind="code",
        title="May it overtake?",
        points=2,
        minutes=10,
        cases=[
            (1, 0, 10.0, 20.0, 1, 5.0),
            (1, 0, 10.0, 20.0, 1, 15.0),
            (4, 2, 10.0, 20.0, 2, 100.0),
            (4, 2, 10.0, 20.0, 3, 100.0),
            (1, 3, 0.0, 50.0, 2, 1.0),
            (2, 0, 0.0, 8.0, 2, 8.0),
            (0, 0, 0.0, 8.0, 1, 1.0),
        ],
        expected=_may_start,
        behaviour="whether the job fits now, and cannot delay the first of the queue",
        mistakes={
            "it must also fit into the nodes that are free now": (
                lambda free, spare, now, promised, width, estimate: now + estimate <= promised or width <= spare
            ),
            "a job that needs only nodes that the first leaves over may run for as long as it likes": (
                lambda free, spare, now, promised, width, estimate: width <= free and now + estimate <= promised
            ),
            "one of the two reasons is enough: it ends in time, or the first does not need its nodes": (
                lambda free, spare, now, promised, width, estimate: (
                    width <= free and now + estimate <= promised and width <= spare
                )
            ),
            "fitting is not enough: it may delay the first of the queue": (
                lambda free, spare, now, promised, width, estimate: width <= free
            ),
        },
        hints=(
            "There is one condition about now, and two ways in which the first of the queue is not delayed.",
            "Not delayed: the job ends by the promised time, or it uses only nodes that are left over then.",
            "width <= free and (now + estimate <= promised or width <= spare)",
        ),
    ),
    Exercise(
        id="06.8",
        objective="06.5",
        kind="derive",
        title="Patience and locality",
        points=2,
        minutes=10,
        cases=[(1, 20, 100, 3), (5, 20, 100, 3), (23, 20, 100, 3), (2, 1, 10, 1), (10, 5, 50, 2)],
        expected=delay_scheduling_locality,
        tolerance=1e-6,
        behaviour="the share of a job's tasks that run where a copy of their data is",
        mistakes={
            "you took the whole job as still left; its tasks go one by one, and the last are the hard ones": (
                lambda d, n, m, r: 1 - (1 - n / m) ** (r * d)
            ),
            "you forgot the copies": (lambda d, n, m, r: sum(1 - (1 - k / m) ** d for k in range(1, n + 1)) / n),
            "that is the share that goes astray": (
                lambda d, n, m, r: sum((1 - k / m) ** (r * d) for k in range(1, n + 1)) / n
            ),
        },
        hints=(
            "With K tasks left, what is the probability that one random node holds no data of them?",
            "(1 − K/M)^R for one node, and to the power D for D nodes. Average one minus that over K = 1 … N.",
            "sum(1 - (1 - k / nodes) ** (copies * offers) for k in range(1, tasks + 1)) / tasks",
        ),
    ),
    Exercise(
        id="06.9",
        objective="06.6",
        kind="diagnose",
        title="What was changed?",
        points=2,
        minutes=6,
        choices={
            "longest": "Longest first.",
            "shortest": "Shortest first.",
            "local": "Tasks run only where their data is.",
            "fair": "Fair shares between the users.",
        },
        value="shortest",
        mistakes={
            "that makes the mean larger, and the makespan shorter": "longest",
            "then no bytes would be moved": "local",
            "the mean would stay: fair shares do not look at sizes": "fair",
        },
        hints=(
            "Look at the table of the race. Which columns changed, and which did not?",
            "The mean changed, so the order looks at sizes. Which direction lowers it?",
            "By the conservation law the mean falls only if the wait grows with the size: small before large.",
        ),
    ),
    Exercise(
        id="06.10",
        objective="06.6",
        kind="tune",
        title="Overload",
        points=4,
        minutes=20,
        cases=_overloaded,
        judge=_judge_keys,
        baseline=_earliest_deadline,
        timed=_overloaded,
        cost=_missed,
        target=1.55,
        behaviour="a key for each task, smallest first, by which fewer deadlines are missed in overload",
        hints=(
            "What does earliest deadline first do with a task that is already late, or about to be?",
            "Tasks cost different amounts of work, and count the same. Which are cheap to save?",
            "Shortest first alone reaches 1.5. A mixture does better: the deadline plus 5 times the guess.",
        ),
    ),
]
