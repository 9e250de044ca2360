"""The exercises of chapter 11, tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from course.cluster import Cluster
from course.datafiles import data_file
from course.diagnosis import diagnose
from course.graph import TaskGraph, random_dag
from course.practice.comparing import is_number, plain
from course.practice.exercises import Case, Exercise
from course.simulate import run
from course.timeshares import SHARES
from course.trace import COMPUTE, Trace

# ---- 11.1 Which tool?

TOOLS = ("profiler", "task stream", "memory sampler", "log", "metrics", "trace")
_TOOL_FOR = {1: "profiler", 2: "metrics", 3: "log", 4: "memory sampler", 5: "task stream", 6: "trace"}
_ASK_YOURSELF = {
    1: "which tool looks inside a task, at its call stack?",
    2: "nobody watched that night. Which tool writes numbers down all the time, asked or not?",
    3: "a reason is a sentence, not a number. Which tool writes sentences?",
    4: "which tool writes one quantity down for the whole of a run, so that two runs can be laid over each other?",
    5: "the question is about now and about every thread. Which tool shows tasks as they end?",
    6: "to compute with, you need every task with its start, stop and predecessors. Who keeps that?",
}


def _judge_tools(answer: Any) -> str | None:
    if type(answer) is not dict:
        return f"no dict with the entries 1 to {len(_TOOL_FOR)}"
    given = {key: " ".join(tool.lower().split()) for key, tool in answer.items() if type(tool) is str}
    missing = [key for key in _TOOL_FOR if key not in given]
    if missing:
        return f"a dict without a tool, in quotes, for {missing[0]}"
    unknown = [given[key] for key in _TOOL_FOR if given[key] not in TOOLS]
    if unknown:
        return f"{unknown[0]!r} is none of the tools: {', '.join(TOOLS)}"
    wrong = [key for key, tool in _TOOL_FOR.items() if given[key] != tool]
    if not wrong:
        return None
    return f"{len(_TOOL_FOR) - len(wrong)} of {len(_TOOL_FOR)} fit. Look again at {wrong[0]}: {_ASK_YOURSELF[wrong[0]]}"


# ---- 11.2 How many samples?


def _samples_needed(share: float, error: float, z: float = 1.96) -> int:
    return math.ceil(z**2 * share * (1 - share) / error**2)


# ---- 11.3 The rate of a counter

Numbers = Sequence[float]


def _rate(times: Numbers, values: Numbers) -> float:
    grown = [after - before if after >= before else after for before, after in pairwise(values)]
    return sum(grown) / (times[-1] - times[0])


def _rate_without_resets(times: Numbers, values: Numbers) -> float:
    return sum(max(0.0, b - a) for a, b in pairwise(values)) / (times[-1] - times[0])


def _mean_of_rates(times: Numbers, values: Numbers) -> float:
    grown = [after - before if after >= before else after for before, after in pairwise(values)]
    return float(np.mean(np.array(grown) / np.diff(times)))


# ---- 11.4 Rate, errors, duration

Log = tuple[float, float, float]


def _red(
    start: Numbers, duration: Numbers, ok: Sequence[bool], since: float, until: float, *, at: str = "end",
    q: float | None = 99, good_only: bool = True, per_second: bool = True, share: bool = True,
) -> Log:  # fmt: skip
    begin, seconds, good = np.asarray(start), np.asarray(duration), np.asarray(ok, dtype=bool)
    moment = begin + seconds if at == "end" else begin
    inside = (since <= moment) & (moment < until)
    counted = inside & good if good_only else inside
    slow = float(np.mean(seconds[counted]) if q is None else np.percentile(seconds[counted], q))
    failed = int((inside & ~good).sum())
    return (
        float(inside.sum()) / (until - since if per_second else 1.0),
        failed / int(inside.sum()) if share else failed / (until - since),
        slow,
    )


def _log_cases() -> list[Case]:
    found = [
        Case(
            ([0.0, 0.5, 1.0, 1.5, 9.75], [1.0, 0.25, 3.0, 0.25, 0.5], [True, True, False, True, True], 0.0, 10.0),
            says="five requests, of which the last ends after the window",
        )
    ]
    for seed, (count, window) in enumerate([(500, (10.0, 40.0)), (2000, (0.0, 60.0)), (80, (20.0, 30.0))]):
        rng = np.random.default_rng([11, seed])
        start = np.sort(rng.uniform(0, 60, count)).round(3)
        ok = rng.random(count) > 0.1
        # What fails, fails by a time-out, and so late.
        duration = np.where(ok, rng.exponential(0.4, count), 5.0).round(3)
        log = (start.tolist(), duration.tolist(), ok.tolist(), *window)
        found.append(Case(log, says=f"{count} requests, seconds {window[0]:g} to {window[1]:g}"))
    return found


# ---- 11.5 A name for every thread

Names = dict[str, int]

_INSTANTS = [
    (4, 4, 0, 0, 9), (4, 1, 0, 0, 0), (4, 1, 0, 2, 5), (8, 3, 1, 2, 2), (8, 2, 0, 1, 3), (2, 0, 0, 5, 5),
    (8, 0, 0, 3, 2), (4, 0, 2, 1, 0), (1, 0, 0, 0, 1), (6, 6, 1, 0, 0),
]  # fmt: skip
"""Threads, running tasks, reads and writes of spilled data, tasks that wait for data, tasks that are ready."""


def _name_threads(
    threads: int, running: int, disk: int, transfers: int, ready: int,
    order: Sequence[str] = ("disk", "transfer", "scheduling"), stops_all: bool = True,
) -> Names:  # fmt: skip
    idle = threads - running
    wanted = {"disk": idle if stops_all and disk else disk, "transfer": transfers, "scheduling": ready}
    names = {"compute": running}
    for name in order:
        names[name] = min(idle, wanted[name])
        idle -= names[name]
    return {**names, "other": idle}


def _without_limit(threads: int, running: int, disk: int, transfers: int, ready: int) -> Names:
    named = {"compute": running, "disk": (threads - running) * (disk > 0), "transfer": transfers, "scheduling": ready}
    return {**named, "other": max(0, threads - sum(named.values()))}


def _disk_stops_running(threads: int, running: int, disk: int, transfers: int, ready: int) -> Names:
    return _name_threads(threads, 0 if disk else running, disk, transfers, ready)


# ---- 11.6 In step

_RHYTHMS = [
    (10, 3, 10, 0), (10, 3, 10, 5), (40, 12, 10, 0), (40, 12, 10, 5), (7, 2, 10, 0), (25, 10, 10, 3), (30, 10, 20, 15),
    (5, 2, 10, 11), (100, 33, 10, 9), (11, 4, 10, 7),
]  # fmt: skip
"""Period, its busy part, the sampler's interval and its phase [ms]."""


def _seen_share(period: int, busy: int, interval: int, phase: int) -> float:
    step = math.gcd(period, interval)
    points = range(phase % step, period, step)
    return sum(point < busy for point in points) / len(points)


# ---- 11.7 What did the end wait for?

Before = list[int | None]


def _critical_path(start: Numbers, stop: Numbers, predecessors: list[list[int]], before: Before) -> list[int]:
    task = max(range(len(stop)), key=lambda t: stop[t])
    path = [task]
    while True:
        waited = [*predecessors[task], *([] if before[task] is None else [before[task]])]
        if not waited:
            return path[::-1]
        task = max(waited, key=lambda t: stop[t])
        path.append(task)


def _longest_path(start: Numbers, stop: Numbers, predecessors: list[list[int]], before: Before) -> list[int]:
    """Return the path of the graph with the largest sum of durations, whoever ran where."""
    graph = TaskGraph(np.subtract(stop, start), 0, predecessors)
    end = graph.t_level() + graph.duration
    task = int(np.argmax(end))
    path = [task]
    while predecessors[task]:
        task = max(predecessors[task], key=lambda t: end[t])
        path.append(task)
    return path[::-1]


def _without_threads(start: Numbers, stop: Numbers, predecessors: list[list[int]], before: Before) -> list[int]:
    return _critical_path(start, stop, predecessors, [None] * len(stop))


def _only_threads(start: Numbers, stop: Numbers, predecessors: list[list[int]], before: Before) -> list[int]:
    return _critical_path(start, stop, [[] for _ in stop], before)


def _through_the_longest(start: Numbers, stop: Numbers, predecessors: list[list[int]], before: Before) -> list[int]:
    task = max(range(len(stop)), key=lambda t: stop[t])
    path = [task]
    while waited := [*predecessors[task], *([] if before[task] is None else [before[task]])]:
        task = max(waited, key=lambda t: stop[t] - start[t])
        path.append(task)
    return path[::-1]


def _happened(graph: TaskGraph, cluster: Cluster | int) -> tuple[Any, ...]:
    """Return the starts, stops, predecessors and tasks before on the thread of a simulated run, as plain lists."""
    trace = run(graph, cluster, "fifo")
    start, stop = trace.task_times()
    before: Before = [None] * len(graph)
    rows = np.flatnonzero(trace.kind == COMPUTE)
    rows = rows[np.lexsort((trace.start[rows], trace.thread[rows], trace.worker[rows]))]
    for one, next_one in pairwise(rows):
        if (trace.worker[one], trace.thread[one]) == (trace.worker[next_one], trace.thread[next_one]):
            before[int(trace.task[next_one])] = int(trace.task[one])
    return start.tolist(), stop.tolist(), [graph.predecessors(i).tolist() for i in range(len(graph))], before


def _path_cases() -> list[Case]:
    found = [
        Case(([0.0], [2.0], [[]], [None]), says="one task"),
        Case(
            ([0.0, 0.0, 3.0, 4.1], [3.0, 4.0, 5.0, 6.0], [[], [], [0], []], [None, None, 0, 1]),
            says="two threads with two tasks each",
        ),
        Case(
            ([0.0, 0.0, 2.0, 5.25], [2.0, 5.0, 4.0, 6.0], [[], [], [0], [1, 2]], [None, None, 0, 2]),
            says="a last task that waits for the other thread",
        ),
    ]
    for seed, (tasks, density, workers, overhead) in enumerate(
        [(12, 0.15, 2, 0.0), (40, 0.05, 3, 0.0), (60, 0.03, 4, 0.05), (40, 0.1, 8, 0.02)]
    ):
        rng = np.random.default_rng([1107, seed])
        graph = random_dag(tasks, density, seed=seed).replace(duration=rng.uniform(0.1, 2.0, tasks).round(4))
        args = _happened(graph, Cluster(workers, scheduler_overhead=overhead))
        costly = f", the scheduler takes {1000 * overhead:g} ms a task" * (overhead > 0)
        found.append(Case(args, says=f"{tasks} tasks on {workers} threads{costly}"))
    return found


# ---- 11.8 Five slow runs

CAUSES = ("tiny tasks", "one long task", "data skew", "transfer", "disk")
_CAUSE_OF = {"a": "data skew", "b": "disk", "c": "tiny tasks", "d": "transfer", "e": "one long task"}
_SIGN = {
    "tiny tasks": "how many thread-seconds that are not computing come to each task, and how long is a task?",
    "one long task": "who runs while the others have nothing to do, and has it sisters that read less?",
    "data skew": "who runs while the others have nothing to do, and how many bytes does it read?",
    "transfer": "what is the largest share besides computing, and where do the bytes come from?",
    "disk": "what is the largest share besides computing, and which device is busy meanwhile?",
}


def _judge_causes(answer: Any) -> str | None:
    if type(answer) is not dict:
        return f"no dict with the entries {', '.join(repr(name) for name in _CAUSE_OF)}"
    missing = [name for name in _CAUSE_OF if type(answer.get(name)) is not str]
    if missing:
        return f"a dict without a cause, in quotes, for {missing[0]!r}"
    given = {name: " ".join(answer[name].lower().split()) for name in _CAUSE_OF}
    unknown = [cause for cause in given.values() if cause not in CAUSES]
    if unknown:
        return f"{unknown[0]!r} is none of the causes: {', '.join(CAUSES)}"
    wrong = [name for name, cause in _CAUSE_OF.items() if given[name] != cause]
    if not wrong:
        return None
    sign = _SIGN[_CAUSE_OF[wrong[0]]]
    return f"{len(_CAUSE_OF) - len(wrong)} of {len(_CAUSE_OF)} are right. Look again at {wrong[0]}: {sign}"


# ---- 11.9 and 11.10 What a cure can bring


def _mystery(name: str) -> Trace:
    return Trace.load(data_file(f"mysteries/{name}.parquet"))


def _best_after_cut(durations: Numbers, threads: int, parts: int) -> float:
    *others, longest = sorted(durations)
    return max(sum(durations) / threads, longest / parts, *others)


def _cut_cases() -> list[Case]:
    recorded = _mystery("e")
    start, stop = recorded.task_times()
    ran = (stop - start)[~np.isnan(start)].tolist()
    return [
        Case(([1.0, 1.0, 1.0, 9.0], 4, 2), says="three tasks of 1 s and one of 9 s on 4 threads, cut in 2"),
        Case(([1.0, 1.0, 1.0, 9.0], 4, 9), says="three tasks of 1 s and one of 9 s on 4 threads, cut in 9"),
        Case(([5.0, 1.0, 9.0, 1.0], 4, 9), says="tasks of 5, 1, 9 and 1 s on 4 threads, the longest cut in 9"),
        Case(([6.0, 6.0], 8, 3), says="two tasks of 6 s on 8 threads, one of them cut in 3"),
        Case(([4.0], 2, 8), says="one task of 4 s on 2 threads, cut in 8"),
        Case(([4.0], 8, 4), says="one task of 4 s on 8 threads, cut in 4"),
        Case((ran, recorded.cluster.slots, 16), says="the tasks of the recorded run e, the longest cut in 16"),
    ]


NEAR = 0.15
"""How far, relatively, a prediction of a cured run may be off."""

_CURED = ("a", "e")


def _without_the_idle(name: str) -> tuple[float, float]:
    """Return the makespan of a recorded run [s], and the share of its threads' time in which no task was ready."""
    found = diagnose(_mystery(name))
    return found.makespan, sum(found.shares[share] for share in SHARES if share in ("imbalance", "dependencies"))


def _judge_cures(answer: Any) -> str | None:
    if type(answer) is not dict:
        return "no dict with the entries 'a' and 'e'"
    for name in _CURED:
        value = plain(answer.get(name))
        if not is_number(value) or isinstance(value, complex) or not math.isfinite(value):
            return f"a dict without a number of seconds for {name!r}"
        cured = _mystery(f"{name}-cured").makespan
        if abs(value - cured) > NEAR * cured:
            other = "shorter" if value < cured else "longer"
            return f"{value:.3g} s for {name}: more than {100 * NEAR:g} % {other} than the cured run was"
    return None


EXERCISES = [
    Exercise(
        id="11.1",
        objective="11.1",
        kind="predict",
        title="Which tool first?",
        points=2,
        minutes=5,
        judge=_judge_tools,
        behaviour="the tool that answers each of the six questions by itself; each tool is used once",
        mistakes={
            "the task stream shows a task as one bar and cannot see into it; the profiler sees functions": {
                **_TOOL_FOR,
                1: "task stream",
                5: "profiler",
            },
            "the task stream forgets: it shows what ends now. What you compute with afterwards was recorded": {
                **_TOOL_FOR,
                5: "trace",
                6: "task stream",
            },
            "metrics are numbers in steps of seconds; why something ended stands in a sentence of the log": {
                **_TOOL_FOR,
                2: "log",
                3: "metrics",
            },
            "metrics are kept for all programs and every day; two runs are compared with what was sampled in each": {
                **_TOOL_FOR,
                2: "memory sampler",
                4: "metrics",
            },
        },
        hints=(
            "Ask of each question: a function, a task, a worker or a whole night? Now, or afterwards?",
            "Inside a task: the profiler. Sentences: the log. Kept for weeks, whoever looks: metrics. Three are left.",
            "The memory sampler lays two runs over each other; the task stream shows the present; the trace keeps "
            "every start and stop, to compute with.",
        ),
    ),
    Exercise(
        id="11.2",
        objective="11.4",
        kind="derive",
        title="How many samples?",
        points=1,
        minutes=5,
        cases=[(0.5, 0.1), (0.3, 0.03), (0.05, 0.01), (0.9, 0.02), (0.2, 0.0012), (0.3, 0.03, 2.576)],
        expected=_samples_needed,
        behaviour="the smallest whole number of independent samples whose error z √(p (1 − p) / n) is at most e",
        mistakes={
            "round up: with one sample less the error is larger than e": (
                lambda p, e, z=1.96: math.floor(z**2 * p * (1 - p) / e**2)
            ),
            "you left out 1 − p: the variance of a sample is p (1 − p)": (
                lambda p, e, z=1.96: math.ceil(z**2 * p / e**2)
            ),
            "the error falls with the root of n, so n grows with the square of 1/e": (
                lambda p, e, z=1.96: math.ceil(z**2 * p * (1 - p) / e)
            ),
            "z is inside of the square, too": lambda p, e, z=1.96: math.ceil(z * p * (1 - p) / e**2),
        },
        hints=(
            "The share among n samples has the standard deviation √(p (1 − p) / n).",
            "Set z √(p (1 − p) / n) = e, and solve for n.",
            "math.ceil(z**2 * share * (1 - share) / error**2)",
        ),
    ),
    Exercise(
        id="11.3",
        objective="11.5",
        kind="code",
        title="The rate of a counter",
        points=2,
        minutes=9,
        cases=[
            Case(([0, 10, 20, 30], [5, 25, 45, 65]), says="a counter that grows by 2 a second"),
            Case(([0, 15, 30], [100, 100, 100]), says="a counter that stands still"),
            Case(([0, 15, 30, 45], [100, 130, 15, 45]), says="a process that restarts once"),
            Case(([100, 110, 150, 155], [7, 8, 2, 90]), says="a restart, and readings at uneven times"),
            Case(([0, 1, 2, 3, 4], [50, 10, 4, 4, 1]), says="three restarts"),
            Case(([0, 60], [80, 0]), says="a restart, and nothing since"),
        ],
        expected=_rate,
        tolerance=1e-9,
        behaviour="how much the counter grew between the first and the last reading, per second, restarts included",
        mistakes={
            "last minus first: a counter that fell has not counted backwards, its process has begun anew from zero": (
                lambda times, values: (values[-1] - values[0]) / (times[-1] - times[0])
            ),
            "after a restart the counter has grown from zero to the new value; you left that growth out": (
                _rate_without_resets
            ),
            "you did not divide by the seconds": lambda times, values: _rate(times, values) * (times[-1] - times[0]),
            "you divided by the number of readings, not by the seconds": (
                lambda times, values: _rate(times, values) * (times[-1] - times[0]) / len(times)
            ),
            "the mean of the rates of the steps counts short steps as much as long ones: divide the whole growth by "
            "the whole time": _mean_of_rates,
            "a counter that fell has not grown by as much: it began anew from zero": (
                lambda times, values: float(np.abs(np.diff(values)).sum()) / (times[-1] - times[0])
            ),
        },
        hints=(
            "Go from reading to reading. What does it mean that a counter is lower than before?",
            "It began anew from zero: it has grown by the new value. Else by the difference. Add up, then divide.",
            "growth = sum(b - a if b >= a else b for a, b in zip(values, values[1:])); divide by times[-1] - times[0].",
        ),
    ),
    Exercise(
        id="11.4",
        objective="11.1",
        kind="code",
        title="Rate, errors, duration",
        points=2,
        minutes=10,
        cases=_log_cases,
        expected=_red,
        tolerance=1e-9,
        behaviour="of the requests that ended in [since, until): how many a second, the share that failed, and the "
        "99th percentile of the durations of those that succeeded",
        mistakes={
            "you counted requests where they start; here they count where they end, for then their duration is known": (
                lambda *log: _red(*log, at="start")
            ),
            "the percentile is that of the successful requests: what fails fast or by a time-out is no service": (
                lambda *log: _red(*log, good_only=False)
            ),
            "the mean hides the slow ones; the 99th percentile is asked for": lambda *log: _red(*log, q=None),
            "divide the number of requests by the seconds of the window": lambda *log: _red(*log, per_second=False),
            "errors are asked for as a share of the requests that ended in the window": (
                lambda *log: _red(*log, share=False)
            ),
            "np.percentile takes percents: 99, not 0.99": lambda *log: _red(*log, q=0.99),
        },
        hints=(
            "Which requests count? Compute when each one ends, and compare with the window.",
            "end = start + duration; inside = (since <= end) & (end < until); the rest follows from inside and ok.",
            "inside.sum() / (until - since), (inside & ~ok).sum() / inside.sum(), np.percentile(duration[inside & "
            "ok], 99); make arrays of the lists first.",
        ),
    ),
    Exercise(
        id="11.5",
        objective="11.2",
        kind="code",
        title="A name for every thread",
        points=2,
        minutes=10,
        cases=_INSTANTS,
        expected=_name_threads,
        behaviour="how many threads have each of the five names; together as many as the worker has",
        mistakes={
            "a thread whose task waits for data waits for data, however many tasks are ready besides: transfer comes "
            "before scheduling": lambda *now: _name_threads(*now, order=("disk", "scheduling", "transfer")),
            "those are more names than threads: each second of a thread has one name": _without_limit,
            "one read or write stops the worker's event loop, and so all of its idle threads, not one": (
                lambda *now: _name_threads(*now, stops_all=False)
            ),
            "a thread that computes goes on while its worker writes to disk": _disk_stops_running,
        },
        hints=(
            "Count down the threads that have no name yet, from the first name to the last.",
            "idle = threads − running; the disk takes all idle, or none; each further name takes min(idle, how many).",
            "compute = running; disk = idle if disk > 0 else 0; transfer = min(idle, transfers); scheduling = "
            "min(idle, ready); subtract each from idle before the next; other is what is left.",
        ),
    ),
    Exercise(
        id="11.6",
        objective="11.4",
        kind="derive",
        title="In step",
        points=2,
        minutes=8,
        cases=_RHYTHMS,
        expected=_seen_share,
        tolerance=1e-9,
        behaviour="the share of all samples, in the long run, that fall into the first busy ms of a period",
        mistakes={
            "that is the true share; a sampler that is in step with the program does not see it": (
                lambda period, busy, interval, phase: busy / period
            ),
            "that is the first sample; the next ones may lie at other points of the period": (
                lambda period, busy, interval, phase: float(phase % period < busy)
            ),
            "the first sample does not come at 0, but after the phase": (
                lambda period, busy, interval, phase: _seen_share(period, busy, interval, 0)
            ),
        },
        hints=(
            "At which points of the period do the samples lie? Write down some: (phase + k · interval) mod period.",
            "After `period` samples they repeat. How many of these lie before busy?",
            "sum((phase + k * interval) % period < busy for k in range(period)) / period",
        ),
    ),
    Exercise(
        id="11.7",
        objective="11.3",
        kind="code",
        title="What did the end wait for?",
        points=4,
        minutes=16,
        cases=_path_cases,
        expected=_critical_path,
        behaviour="the tasks, from first to last: before each task the one that its start waited for last",
        mistakes={
            "that is the longest path of the graph, which knows of no threads; tasks wait for them, too": _longest_path,
            "a task also waits for its thread, which the task before on that thread holds": _without_threads,
            "a task also waits for its predecessors, on whatever thread they ran": _only_threads,
            "you began at the end, and so your path is backwards: turn it round": (
                lambda *happened: _critical_path(*happened)[::-1]
            ),
            "go back to the one that ended last, not to the one that took longest": _through_the_longest,
        },
        hints=(
            "Begin at the end: which task stopped last? What may its start have waited for?",
            "For its predecessors and for the task before it on its thread. It could begin when the last of these "
            "stopped: go there, and ask again.",
            "task = the one with the largest stop; then, as long as there are candidates (predecessors[task], and "
            "before[task] if it is not None): task = max(candidates, key=lambda t: stop[t]). Turn the list round.",
        ),
    ),
    Exercise(
        id="11.8",
        objective="11.6",
        kind="diagnose",
        title="Five slow runs",
        points=3,
        minutes=12,
        judge=_judge_causes,
        behaviour="the cause of each of the five runs, as one of the five texts; each occurs once",
        mistakes={
            "in both, few tasks keep all others waiting; skewed data are told from one long task by the bytes that "
            "are read": {**_CAUSE_OF, "a": _CAUSE_OF["e"], "e": _CAUSE_OF["a"]},
            "in both, threads wait for data; whether from another worker or from their own disk is told by the name of "
            "the share": {**_CAUSE_OF, "b": _CAUSE_OF["d"], "d": _CAUSE_OF["b"]},
        },
        hints=(
            "Which share beside computing is the largest? In three runs it already says the cause.",
            "Scheduling: compare a task's duration with what handing it out costs. None ready: who runs meanwhile?",
            "Of the two runs with threads that have no task: in one, the long task reads many times the bytes of its "
            "sisters; in the other, it has no sisters.",
        ),
    ),
    Exercise(
        id="11.9",
        objective="11.3",
        kind="derive",
        title="Cut the longest",
        points=2,
        minutes=7,
        cases=_cut_cases,
        expected=_best_after_cut,
        behaviour="the largest of the lower bounds on the makespan of independent tasks, when the longest has been cut",
        mistakes={
            "another task may now be the longest: cutting one does not shorten the second": (
                lambda durations, threads, parts: max(sum(durations) / threads, max(durations) / parts)
            ),
            "the threads must still do all the work: no run is shorter than work over threads": (
                lambda durations, threads, parts: max([max(durations) / parts, *sorted(durations)[:-1]])
            ),
            "work over threads is not enough: a task is on one thread at a time": (
                lambda durations, threads, parts: sum(durations) / threads
            ),
            "that is the bound before the cut": lambda durations, threads, parts: max(
                sum(durations) / threads, max(durations)
            ),
        },
        hints=(
            "Two bounds hold for independent tasks: work over threads, and the longest task.",
            "Cutting leaves the work as it is. What is the longest task afterwards: a part, or another one?",
            "*others, longest = sorted(durations); max(sum(durations) / threads, longest / parts, *others).",
        ),
    ),
    Exercise(
        id="11.10",
        objective="11.6",
        kind="predict",
        title="What the cure brings",
        points=1,
        minutes=5,
        judge=_judge_cures,
        tolerance=0.1,
        behaviour=f"the makespans of both cured runs, within {100 * NEAR:g} %, from the slow ones",
        mistakes={
            "that is what vanishes; asked is what stays": lambda: {
                name: makespan * share for name, (makespan, share) in ((n, _without_the_idle(n)) for n in _CURED)
            },
            "that is the speed-up; asked are the seconds of the cured runs": lambda: {
                name: 1 / (1 - share) for name, (_, share) in ((n, _without_the_idle(n)) for n in _CURED)
            },
            "those are the slow runs": lambda: {name: _without_the_idle(name)[0] for name in _CURED},
        },
        hints=(
            "In both runs threads have no task to take. What is left of the threads' time, if that share vanishes?",
            "As many threads do what is left: the makespan shrinks as the thread-seconds do.",
            "T (1 − s), with s the shares of imbalance and dependencies together; for e your bound of 11.9 will do.",
        ),
    ),
    Exercise(
        id="11.11",
        objective="11.6",
        kind="diagnose",
        title="More than its share",
        points=1,
        minutes=3,
        choices={
            "threads": "The cured runs had more threads.",
            "path": "The share counted only threads on the critical path.",
            "rest": "The cure made other shares of the time less, too, which the rule leaves as they were.",
            "chance": "By chance: recorded runs differ from day to day by that much.",
        },
        value="rest",
        mistakes={
            "cluster.slots is the same in both traces": "threads",
            "a share counts all threads, each second of each": "path",
            "all three runs err to the same side; and the table shows other numbers that have fallen": "chance",
        },
        hints=(
            "The rule T (1 − s) takes one share away and leaves the others. Did they stay?",
            "Compare the thread-seconds of computing, and of all else, before and after.",
            "They fell, too: fewer bytes to make and to add up, or fewer tasks with a fixed cost in each.",
        ),
    ),
]
