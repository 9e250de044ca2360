"""The exercises of chapter 05, the task-scheduling model."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from course.graph import TaskGraph, chain, fork_join, graham_anomaly, independent, layered, random_dag
from course.models import brent
from course.practice.exercises import Case, Exercise
from course.simulate import run

# ---- 05.2 The shape of a job

PIPELINE = TaskGraph([2, 6, 3, 3, 4, 2], 0, [[], [0], [0], [2], [2], [1, 3, 4]], names=list("abcdef"))
"""Six tasks: a fans out to b and c; c to d and e; f joins b, d and e."""

# ---- 05.6, 05.8 and 05.9: graphs as plain lists, so that the answers need no class of the course


def _plain(graph: TaskGraph) -> tuple[list[float], list[list[int]]]:
    return graph.duration.tolist(), [graph.predecessors(i).tolist() for i in range(len(graph))]


GRAPHS = {
    "one task": TaskGraph([3], 0, [[]]),
    "a chain of 4": chain(4, [1, 2, 3, 4]),
    "5 independent tasks": independent(5, [5, 4, 3, 2, 1]),
    "the six tasks of 05.2": PIPELINE,
    "Graham's nine tasks": graham_anomaly(),
    "Graham's nine tasks, each 1 s shorter": graham_anomaly().replace(duration=graham_anomaly().duration - 1),
    "a fork and join": fork_join(5),
    "30 random tasks": random_dag(30, 0.1, seed=3),
    "tasks numbered against their order": TaskGraph([1, 2, 3], 0, [[1], [2], []]),
}


def _span(durations: list[float], predecessors: list[list[int]]) -> float:
    return TaskGraph(durations, 0, predecessors).span


def _span_one_pass(durations: list[float], predecessors: list[list[int]]) -> float:
    finish = [0.0] * len(durations)
    for i, before in enumerate(predecessors):
        finish[i] = durations[i] + max((finish[j] for j in before), default=0.0)
    return max(finish)


def _span_without_own(durations: list[float], predecessors: list[list[int]]) -> float:
    return float(TaskGraph(durations, 0, predecessors).t_level().max())


def _span_of_sums(durations: list[float], predecessors: list[list[int]]) -> float:
    end = np.zeros(len(durations))
    for i in TaskGraph(durations, 0, predecessors).topological_order:
        end[i] = durations[i] + sum(end[j] for j in predecessors[i])
    return float(end.max())


def _starts(durations: list[float], predecessors: list[list[int]], workers: int) -> list[float]:
    return run(TaskGraph(durations, 0, predecessors), workers).task_times()[0].tolist()


def _starts_ignoring_precedence(durations: list[float], predecessors: list[list[int]], workers: int) -> list[float]:
    return _starts(durations, [[] for _ in durations], workers)


def _starts_in_list_order(durations: list[float], predecessors: list[list[int]], workers: int) -> list[float]:
    """Take the tasks strictly in the order of the list, waiting for each in turn (no look past a blocked task)."""
    free, start, stop = [0.0] * workers, [0.0] * len(durations), [0.0] * len(durations)
    for i, before in enumerate(predecessors):
        first = int(np.argmin(free))
        start[i] = max([free[first], *(stop[j] for j in before)])
        stop[i] = free[first] = start[i] + durations[i]
    return start


def _starts_one_end_at_a_time(durations: list[float], predecessors: list[list[int]], workers: int) -> list[float]:
    """Start tasks after each end, before other ends of the same instant have been looked at."""
    start, running, done, now = [-1.0] * len(durations), [], set(), 0.0
    while len(done) < len(durations):
        for i, before in enumerate(predecessors):
            if start[i] < 0 and len(running) < workers and all(j in done for j in before):
                start[i] = now
                heappush(running, (now + durations[i], i))
        now, ended = heappop(running)
        done.add(ended)
    return start


def _judge_starts(args: tuple[Any, ...], starts: Any) -> str | None:
    durations, predecessors, workers = args
    if not isinstance(starts, list | tuple | np.ndarray) or len(starts) != len(durations):
        return f"expected {len(durations)} start times, one for each task"
    begin = np.asarray(starts, dtype=float)
    end = begin + np.asarray(durations)
    for i, before in enumerate(predecessors):
        for j in before:
            if begin[i] < end[j] - 1e-9:
                return f"task {i} starts at {begin[i]:g}, but its predecessor {j} ends only at {end[j]:g}"
    for moment in begin:
        together = int(((begin <= moment) & (end > moment)).sum())
        if together > workers:
            return f"at {moment:g} s {together} tasks run at once; there are {workers} workers"
    return None


def _schedule_cases() -> list[Case]:
    return [
        Case((*_plain(graph), workers), says=f"{what} on {workers} worker{'s' * (workers > 1)}")
        for what, graph in GRAPHS.items()
        if what != "tasks numbered against their order"
        for workers in (1, 3)
    ]


# ---- 05.7 A bad case for longest first


def _judge_worst(answer: Any) -> str | None:
    try:
        durations = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return "that is no list of durations"
    if durations.ndim != 1 or not 1 <= len(durations) <= 16:
        return f"that is a list of {durations.size} durations; 1 to 16 are allowed"
    if not (np.isfinite(durations) & (durations > 0)).all():
        return "not every duration is positive"
    longest_first = run(independent(len(durations), durations), 3, "lpt").makespan
    best = _optimum(durations, 3)
    if longest_first < 11 / 9 * best - 1e-9:
        return (
            f"on 3 workers longest first takes {longest_first:g} s and the best schedule {best:g} s: a ratio of "
            f"{longest_first / best:.4f}; expected 11/9 = {11 / 9:.4f}, which no list exceeds"
        )
    return None


def _optimum(durations: np.ndarray, workers: int) -> float:
    """Return the shortest makespan of independent tasks: depth-first search over all assignments, longest first."""
    order = np.sort(durations)[::-1]
    best = run(independent(len(order), order), workers, "lpt").makespan
    floor = max(order.sum() / workers, order[0])
    load = [0.0] * workers

    def place(i: int) -> None:
        nonlocal best
        if best <= floor + 1e-12:
            return
        if i == len(order):
            best = min(best, max(load))
            return
        for w in range(workers):
            # A worker with the same load as an earlier one gives nothing new; one that reaches `best` is no use.
            if load[w] in load[:w] or load[w] + order[i] >= best:
                continue
            load[w] += order[i]
            place(i + 1)
            load[w] -= order[i]

    place(0)
    return best


# ---- 05.8 A policy of one's own


def _contest() -> list[Case]:
    long_chain = [(i, i + 1) for i in range(19)]
    graphs = {
        "a chain of 20 beside 60 short tasks": TaskGraph.from_edges([2.0] * 20 + [1.0] * 60, long_chain),
        "10 layers of 12": layered(10, 12, degree=2, seed=0),
        "80 random tasks": random_dag(80, 0.06, seed=0),
    }
    return [Case(_plain(graph), says=what) for what, graph in graphs.items()]


def _makespan(args: tuple[Any, ...], priorities: Any) -> float:
    durations, predecessors = args
    return run(TaskGraph(durations, 0, predecessors), 4, priorities).makespan


def _judge_priorities(args: tuple[Any, ...], priorities: Any) -> str | None:
    values = np.asarray(priorities, dtype=float)
    if values.shape != (len(args[0]),) or np.isnan(values).any():
        return f"expected {len(args[0])} numbers, one for each task; got something of shape {values.shape}"
    return None


def _shortest_first(durations: list[float], predecessors: list[list[int]]) -> list[float]:
    return list(durations)


EXERCISES = [
    Exercise(
        id="05.1",
        objective="05.1",
        kind="predict",
        title="Name the problem",
        points=1,
        minutes=3,
        choices={
            "P||Cmax": "P || C_max",
            "R||Cmax": "R || C_max",
            "R|prec|Cmax": "R | prec | C_max",
            "R||sum": "R || ΣC_j",
        },
        value="R||Cmax",
        mistakes={
            "the machines are not alike: a film that suits one may be slow on another": "P||Cmax",
            "no film waits for another: there is no precedence": "R|prec|Cmax",
            "what counts is when the last film is done, not the mean": "R||sum",
        },
        hints=(
            "Go through the three fields: machines, constraints, objective.",
            "Are the machines identical (P), or does each have its own time for each task (R)?",
            "No film waits for another, so the field in the middle is empty; the objective is the end of the last.",
        ),
    ),
    Exercise(
        id="05.2",
        objective="05.2",
        kind="predict",
        title="Work, span, parallelism",
        points=1,
        minutes=3,
        value=lambda: PIPELINE.work / PIPELINE.span,
        tolerance=0.005,
        behaviour="the work divided by the span",
        mistakes={
            "that is the span; the parallelism is the work divided by it": PIPELINE.span,
            "that is the work; the parallelism is the work divided by the span": PIPELINE.work,
            "that is the number of tasks divided by the tasks on the critical path; weigh each by its duration": 6 / 4,
        },
        hints=(
            "Look at the section on work and span: both are sums of durations.",
            "The work is the sum of all six durations. The span is the longest of the paths from a to f.",
            "There are three paths: a b f, a c d f and a c e f. Add up each, take the longest, and divide 20 by it.",
        ),
    ),
    Exercise(
        id="05.3",
        objective="05.4",
        kind="derive",
        title="The upper bound",
        points=2,
        minutes=8,
        cases=[(20, 11, 2), (34, 12, 3), (34, 12, 4), (100, 1, 64), (5, 5, 8), (8, 2, 1)],
        expected=lambda work, span, workers: brent(work, span, workers)[1],
        behaviour="the longest time that a greedy schedule of that work and span can take on so many workers",
        mistakes={
            "that is the lower bound; a greedy schedule may take longer": lambda w, s, m: max(w / m, s),
            "you counted the span twice: while the critical path runs, one worker does a part of the work": (
                lambda w, s, m: w / m + s
            ),
            "that bounds it by the best schedule; a bound by work and span is asked for": (
                lambda w, s, m: (2 - 1 / m) * max(w / m, s)
            ),
        },
        hints=(
            "At every moment all workers are busy, or a task of some path is running. How long can each last?",
            "While some worker is idle, the rest of a longest path gets shorter. That lasts at most S seconds.",
            "What remains of the work, W − S, is done with all m workers busy. Add both times.",
        ),
    ),
    Exercise(
        id="05.4",
        objective="05.5",
        kind="predict",
        title="What a fourth worker does",
        points=1,
        minutes=4,
        choices={
            "never": "A fourth worker never makes a list schedule longer.",
            "overhead": "Only through overhead: with free communication it cannot be longer.",
            "order": "It can: tasks become ready in another order, and a long task may start later.",
            "random": "Only when the durations are random.",
        },
        value="order",
        mistakes={
            "Graham's nine tasks have no overhead at all, and a fourth worker costs 3 s": "overhead",
            "run Graham's nine tasks on 3 and on 4 workers": "never",
            "Graham's nine tasks have fixed durations": "random",
        },
        hints=(
            "The section on anomalies shows one case of each kind.",
            "Compare when T9 starts on three workers and on four.",
            "On four workers T5 to T8 are ready before T9 and take all workers.",
        ),
    ),
    Exercise(
        id="05.5",
        objective="05.6",
        kind="diagnose",
        title="Three queues",
        points=2,
        minutes=6,
        choices={
            "overhead": "Dask's overhead for each task.",
            "transfer": "Moving the results between the workers.",
            "binding": "Tasks were bound to a worker early, and waited there while another was idle.",
            "order": "The tasks were given to Dask in another order.",
        },
        value="binding",
        mistakes={
            "the overhead of nine tasks is some milliseconds; whole time units are missing": "overhead",
            "the tasks of this graph hand on nothing of any size": "transfer",
            "the same priorities were used on one worker of three threads, and there it took 12 units": "order",
        },
        hints=(
            "Compare the two Gantt charts in “When the model lies”.",
            "Look for a moment at which one worker is idle while a task that is ready waits.",
            "A list scheduler decides when a worker becomes idle. When does Dask decide, and when again?",
        ),
    ),
    Exercise(
        id="05.6",
        objective="05.2",
        kind="code",
        title="The span of a graph",
        points=3,
        minutes=12,
        cases=lambda: [Case(_plain(graph), says=what) for what, graph in GRAPHS.items()],
        expected=_span,
        behaviour="the sum of the durations along the longest path, in whatever order the tasks are numbered",
        mistakes={
            "it takes for granted that predecessors have smaller numbers": _span_one_pass,
            "you left out the duration of the last task of the path": _span_without_own,
            "a task waits for the latest of its predecessors, not for all of them one after the other": _span_of_sums,
            "that is the work: it adds up all tasks": lambda durations, predecessors: float(sum(durations)),
            "that is the longest task, not the longest path": lambda durations, predecessors: float(max(durations)),
        },
        hints=(
            "The earliest end of a task is its duration after the latest of the earliest ends of its predecessors.",
            "Write a function end(i) that calls itself for the predecessors; functools.cache lets it do so once each.",
            "end(i) = durations[i] + max((end(j) for j in predecessors[i]), default=0); the span is the largest end.",
        ),
    ),
    Exercise(
        id="05.7",
        objective="05.4",
        kind="derive",
        title="The worst case of longest first",
        points=3,
        minutes=15,
        judge=_judge_worst,
        behaviour="durations on which longest first takes 11/9 of the best time on 3 workers",
        hints=(
            "The bound is 4/3 − 1/(3m). For m = 2, 3 3 2 2 2 reach it: longest first takes 7, the best is 6.",
            "There are 2m + 1 tasks: three of length m, and two of each length from m + 1 to 2m − 1.",
            "For m = 3: two tasks of 5, two of 4 and three of 3.",
        ),
    ),
    Exercise(
        id="05.8",
        objective="05.7",
        kind="tune",
        title="A better list",
        points=4,
        minutes=20,
        cases=_contest,
        judge=_judge_priorities,
        baseline=_shortest_first,
        timed=_contest,
        cost=_makespan,
        target=1.18,
        behaviour="a priority for each task, smallest first, that shortens the runs on 4 workers by a factor of 1.18",
        hints=(
            "Shortest first keeps the long ways for the end, when there is nothing left to run beside them.",
            "What matters of a task is what can only follow after it.",
            "Give each task minus its b-level: the longest sum of durations from its start to the end of the graph.",
        ),
    ),
    Exercise(
        id="05.9",
        objective="05.3",
        kind="code",
        title="A list scheduler",
        points=5,
        minutes=30,
        cases=_schedule_cases,
        expected=_starts,
        judge=_judge_starts,
        tolerance=1e-9,
        absolute=1e-9,
        behaviour="whenever a worker is idle, the first task of the list that is ready starts; return all start times",
        mistakes={
            "tasks start before their predecessors have ended": _starts_ignoring_precedence,
            "a blocked task holds up those behind it: a list scheduler looks past it for one that is ready": (
                _starts_in_list_order
            ),
            "two tasks end at the same instant: free both workers before anything starts": _starts_one_end_at_a_time,
        },
        hints=(
            "Time jumps from one end of a task to the next. What can start only changes there.",
            "Keep the running tasks as pairs (end, task) in a heap. At each moment take off all that end now; then "
            "start ready tasks, smallest number first, while a worker is free.",
            "A loop: while there are ready tasks and free workers, start min(ready); then now = the smallest end, "
            "remove all tasks that end then, and add to ready each task whose predecessors are all done.",
        ),
    ),
]
