"""The exercises of chapter 10, components, libraries, APIs and SDKs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from course.graph import chain, fork_join, independent, random_dag, tree_reduce
from course.practice.exercises import Case, Exercise
from course.simulate import Cluster, run

# ---- 10.3 Tasks of a sum


def _tree_tasks(blocks: int, split_every: int) -> int:
    found = 0
    while blocks > 1:
        blocks = math.ceil(blocks / split_every)
        found += blocks
    return found


def _tree_tasks_rounded_down(blocks: int, split_every: int) -> int:
    found = 0
    while blocks > 1:
        blocks = max(blocks // split_every, 1)
        found += blocks
    return found


def _levels(blocks: int, split_every: int) -> int:
    found = 0
    while blocks > 1:
        blocks, found = math.ceil(blocks / split_every), found + 1
    return found


# ---- 10.5 Linear fusion

Needs = list[list[int]]


def _joined(predecessors: Needs, wanted: Sequence[int], *, only_user: bool = True, only_input: bool = True) -> int:
    users = [0] * len(predecessors)
    for before in predecessors:
        for task in before:
            users[task] += 1
    return sum(
        1
        for before in predecessors
        for task in before[:1]
        if (len(before) == 1 or not only_input) and (users[task] == 1 or not only_user) and task not in wanted
    )


def _after_fusion(predecessors: Needs, wanted: Sequence[int]) -> int:
    return len(predecessors) - _joined(predecessors, wanted)


def _plain(graph: Any) -> Needs:
    return [graph.predecessors(i).tolist() for i in range(len(graph))]


def _fusion_cases() -> list[Case]:
    diamond = [[], [0], [0], [1, 2]]
    return [
        Case((_plain(chain(5)), [4]), says="a chain of 5, its end is wanted"),
        Case((_plain(chain(5)), [2, 4]), says="a chain of 5, its middle and its end are wanted"),
        Case((_plain(independent(3)), [0, 1, 2]), says="3 independent tasks, all wanted"),
        Case((diamond, [3]), says="a diamond"),
        Case((_plain(fork_join(4)), [5]), says="a fork and join of 4"),
        Case((_plain(tree_reduce(8)), [14]), says="a tree over 8"),
        Case(([[], [0], [1], [], [3], [2, 4], [5]], [6]), says="two chains that join, and a step more"),
        Case((_plain(random_dag(40, 0.04, seed=10)), [39]), says="40 random tasks"),
        Case((_plain(random_dag(40, 0.03, seed=3)), [5, 20, 39]), says="40 random tasks, three of them wanted"),
    ]


# ---- 10.6 Where to cut

# Few jobs of a batch system, a Dask cluster, a fast scheduler: so far apart that no number of tasks is good for two of
# them, nor a number for each worker, nor a duration of a task.
_JOBS = [(34.0, 4, 0.5, 8.0), (256.0, 32, 0.01, 3.04), (200.0, 64, 0.0001, 2.65)]
"""Seconds of work, workers, overhead of a task [s], how many times as long the slowest task takes."""


def _cut_cases() -> list[Case]:
    return [
        Case(job, says=f"{job[0]:g} s on {job[1]} workers, {1000 * job[2]:g} ms a task, the slowest {job[3]:g} times")
        for job in _JOBS
    ]


def _one_each(work: float, workers: int, overhead: float, slowest: float) -> int:
    return workers


def _run_time(args: tuple[Any, ...], tasks: Any) -> float:
    work, workers, overhead, slowest = args
    tasks = int(tasks)
    durations = np.full(tasks, work / tasks)
    durations[-1] *= slowest
    return run(independent(tasks, durations), Cluster(workers, scheduler_overhead=overhead)).makespan


def _judge_cut(args: tuple[Any, ...], tasks: Any) -> str | None:
    if isinstance(tasks, bool) or not isinstance(tasks, int | float | np.integer | np.floating):
        return "that is no number of tasks"
    if not 1 <= tasks <= 200_000 or tasks != int(tasks):
        return f"{tasks} is no whole number from 1 to 200,000"
    return None


# ---- 10.7 A stop-watch

Moves = list[list[Any]]


def _stop_watch(moves: Moves) -> dict[str, list[float]]:
    begun: dict[str, float] = {}
    times: dict[str, list[float]] = {}
    for moment, key, start, finish in moves:
        if finish == "executing":
            begun[key] = moment
        elif start == "executing" and finish == "memory":
            times[key] = [begun[key], moment]
    return times


def _with_failures(moves: Moves) -> dict[str, list[float]]:
    begun: dict[str, float] = {}
    times: dict[str, list[float]] = {}
    for moment, key, start, finish in moves:
        if finish == "executing":
            begun[key] = moment
        elif start == "executing":
            times[key] = [begun[key], moment]
    return times


def _from_first_attempt(moves: Moves) -> dict[str, list[float]]:
    begun: dict[str, float] = {}
    times: dict[str, list[float]] = {}
    for moment, key, start, finish in moves:
        if finish == "executing":
            begun.setdefault(key, moment)
        elif start == "executing" and finish == "memory":
            times[key] = [begun[key], moment]
    return times


def _from_ready(moves: Moves) -> dict[str, list[float]]:
    begun: dict[str, float] = {}
    times: dict[str, list[float]] = {}
    for moment, key, _, finish in moves:
        if finish == "ready":
            begun[key] = moment
        elif finish == "memory":
            times[key] = [begun.get(key, moment), moment]
    return times


_ONE: Moves = [[0.0, "a", "released", "waiting"], [0.1, "a", "waiting", "ready"], [0.4, "a", "ready", "executing"],
               [0.9, "a", "executing", "memory"]]  # fmt: skip
_TWO: Moves = [
    *_ONE[:3], [0.5, "b", "waiting", "ready"], [0.9, "a", "executing", "memory"], [1.0, "b", "ready", "executing"],
    [1.5, "b", "executing", "memory"], [1.6, "a", "memory", "released"],
]  # fmt: skip
_FAILED: Moves = [
    *_ONE[:3], [0.6, "a", "executing", "error"], [0.7, "a", "error", "released"], [0.8, "a", "waiting", "ready"],
    [1.0, "a", "ready", "executing"], [1.3, "a", "executing", "memory"], [1.4, "c", "ready", "executing"],
    [1.5, "c", "executing", "error"],
]  # fmt: skip
_FETCHED: Moves = [
    [0.0, "x", "fetch", "flight"], [0.2, "x", "flight", "memory"], *[[moment + 1, *rest] for moment, *rest in _ONE],
]  # fmt: skip

_LOST: Moves = [
    *_ONE[:3], [0.6, "a", "executing", "error"], [2.0, "a", "fetch", "flight"], [2.2, "a", "flight", "memory"],
]  # fmt: skip
_CANCELLED: Moves = [*_ONE[:3], [0.6, "a", "executing", "cancelled"], [0.9, "a", "cancelled", "released"]]

EXERCISES = [
    Exercise(
        id="10.1",
        objective="10.1",
        kind="predict",
        title="The way of the data",
        points=1,
        minutes=3,
        choices={
            "scheduler": "worker A → scheduler → worker B",
            "client": "worker A → client → worker B",
            "direct": "worker A → worker B",
            "nanny": "worker A → its nanny → the nanny of B → worker B",
        },
        value="direct",
        mistakes={
            "the scheduler tells B where the data are; it carries none between workers": "scheduler",
            "data come to the client only when it asks for them, with result() or gather()": "client",
            "a nanny starts and watches its worker; no task and no data pass it": "nanny",
        },
        hints=(
            "Look at the figure of the components: which arrow carries data?",
            "The scheduler knows who has what. What does it need to tell B?",
            "B asks the worker that has the data, at the address that the scheduler named.",
        ),
    ),
    Exercise(
        id="10.2",
        objective="10.2",
        kind="predict",
        title="Who calls whom",
        points=1,
        minutes=4,
        choices={
            "import": "x = dask.array.ones(10): your code calls Dask's.",
            "names": "dask.array.sum takes the same arguments as numpy.sum.",
            "plugin": "The scheduler calls the method transition of an object of yours.",
            "pip": "Both are installed with pip.",
        },
        value="plugin",
        mistakes={
            "you call it and it returns to you: that is a library": "import",
            "that is an API: the names and promises by which something is used": "names",
            "how something is installed says nothing about who calls whom": "pip",
        },
        hints=(
            "Read the table of the four words once more: what sets a framework apart?",
            "Ask of each line: who owns the loop, and who is called?",
            "A framework calls you. Only one of the four lines says that your code is called.",
        ),
    ),
    Exercise(
        id="10.3",
        objective="10.3",
        kind="derive",
        title="The tasks of a sum",
        points=2,
        minutes=10,
        cases=[(1, 4), (2, 4), (4, 4), (5, 4), (16, 4), (17, 4), (200, 4), (200, 8), (1000, 2)],
        expected=_tree_tasks,
        behaviour="how many tasks join the partial sums of so many blocks, level by level, until one is left",
        mistakes={
            "a level of 5 in groups of 4 has two groups: round up": _tree_tasks_rounded_down,
            "that is the number of levels; each level has as many tasks as groups": _levels,
            "you counted the blocks, too; only the tasks that join partial sums are asked for": (
                lambda blocks, split_every: blocks + _tree_tasks(blocks, split_every)
            ),
        },
        hints=(
            "A level turns b partial sums into ⌈b / s⌉, with one task each.",
            "Add up ⌈b / s⌉, then ⌈⌈b / s⌉ / s⌉ and so on, until one partial sum is left. One block needs no task.",
            "total = 0; while b > 1: b = math.ceil(b / s); total += b. At the end return total.",
        ),
    ),
    Exercise(
        id="10.4",
        objective="10.3",
        kind="derive",
        title="The overhead, from two runs",
        points=2,
        minutes=8,
        cases=[(100, 0.13, 500, 0.53), (40, 0.10, 200, 0.42), (1000, 1.5, 3000, 4.1), (300, 0.4, 100, 0.2)],
        expected=lambda n1, t1, n2, t2: ((t2 - t1) / (n2 - n1), t1 - n1 * (t2 - t1) / (n2 - n1)),
        tolerance=1e-6,
        behaviour="h and T0 of the line T = T0 + n h through both runs, as a pair",
        mistakes={
            "you divided the time of one run by its tasks: the way there and back, T0, is then part of h": (
                lambda n1, t1, n2, t2: (t2 / n2, 0.0)
            ),
            "the pair is (h, T0), in this order": (
                lambda n1, t1, n2, t2: (t1 - n1 * (t2 - t1) / (n2 - n1), (t2 - t1) / (n2 - n1))
            ),
        },
        hints=(
            "Two points give a line. Which of its two numbers is the overhead of a task?",
            "h is the slope: the difference of the times, divided by the difference of the tasks.",
            "h = (t2 − t1) / (n2 − n1), and T0 = t1 − n1 h. Return (h, T0).",
        ),
    ),
    Exercise(
        id="10.5",
        objective="10.4",
        kind="code",
        title="Linear fusion",
        points=4,
        minutes=20,
        cases=_fusion_cases,
        expected=_after_fusion,
        behaviour="how many tasks are left when every task is joined with its only input, if nobody else needs that",
        mistakes={
            "an input that somebody else needs, too, cannot vanish into one of its users": (
                lambda predecessors, wanted: len(predecessors) - _joined(predecessors, wanted, only_user=False)
            ),
            "a task with several inputs is not part of a linear chain": (
                lambda predecessors, wanted: len(predecessors) - _joined(predecessors, wanted, only_input=False)
            ),
            "a result that is wanted must stay a task of its own": (
                lambda predecessors, wanted: len(predecessors) - _joined(predecessors, ())
            ),
        },
        hints=(
            "Each pair that is joined makes one task less. So count the pairs.",
            "A pair is a task with exactly one input, whose input has exactly one user and is not wanted.",
            "Count the users of each task first. Then n minus the number of tasks whose list of inputs has length one, "
            "whose input has one user, and whose input is not in wanted.",
        ),
    ),
    Exercise(
        id="10.6",
        objective="10.5",
        kind="tune",
        title="Where to cut",
        points=3,
        minutes=15,
        cases=_cut_cases,
        judge=_judge_cut,
        baseline=_one_each,
        timed=_cut_cases,
        cost=_run_time,
        target=2.5,
        behaviour="a number of tasks with which the simulated runs are 2.5 times as fast as with one task a worker",
        hints=(
            "With one task for each worker, all wait for the slowest. With very many, all wait for the scheduler.",
            "Compare candidates by a formula: the share of each worker, the rest of the slowest task, the overhead.",
            "The time is near W / m + (σ − 1) W / n, or n h if that is more. Both are equal near n = W / (m h), and "
            "somewhat fewer tasks than that are better.",
        ),
    ),
    Exercise(
        id="10.7",
        objective="10.6",
        kind="code",
        title="A stop-watch",
        points=4,
        minutes=20,
        cases=[
            Case((_ONE,), says="one task"),
            Case((_TWO,), says="two tasks, one of them released at the end"),
            Case((_FAILED,), says="a task that fails and is tried again, and one that only fails"),
            Case((_FETCHED,), says="a result that is fetched, and a task"),
            Case((_LOST,), says="a task that fails here, runs elsewhere, and whose result is fetched"),
            Case((_CANCELLED,), says="a task that is cancelled while it runs"),
            Case(([],), says="nothing"),
        ],
        expected=_stop_watch,
        tolerance=1e-9,
        behaviour="for each task that was run to its end here: when its successful attempt began and ended",
        mistakes={
            "an attempt that failed is no execution that ended; leave it out": _with_failures,
            "the second attempt began later than the first: take the beginning of the attempt that succeeded": (
                _from_first_attempt
            ),
            "ready means in the worker's queue; the execution begins with executing": _from_ready,
        },
        hints=(
            "Which change of state is the beginning, and which one is the end of a success?",
            "Keep the moment of the last change to executing of each key; at executing → memory make the pair.",
            "Go through the moves: finish == 'executing': begun[key] = moment; start == 'executing' and finish == "
            "'memory': times[key] = [begun[key], moment]. Everything else is ignored.",
        ),
    ),
    Exercise(
        id="10.8",
        objective="10.4",
        kind="diagnose",
        title="Eighty thousand tasks",
        points=2,
        minutes=6,
        choices={
            "workers": "Twice the workers.",
            "fuse": "df.optimize() before .compute(): the steps of a partition become one task.",
            "larger": "Partitions twenty times as large, and df.optimize().",
            "persist": "df.persist() first.",
        },
        value="larger",
        mistakes={
            "the scheduler is busy all the time: more workers wait for it, too": "workers",
            "that leaves 20,000 tasks, 20 s of overhead; each still computes far less than it costs": "fuse",
            "df.persist() fuses, too, and so does as much as df.optimize(): 20,000 tasks, 20 s": "persist",
        },
        hints=(
            "How long does the scheduler need for 80,000 tasks of 1 ms overhead, and how long the work on 16 workers?",
            "80 s against 2 s. How many tasks may there be, if overhead shall be at most as much as the work?",
            "About 2,000. Fusion alone leaves 20,000; what else makes fewer tasks of the same data?",
        ),
    ),
]
