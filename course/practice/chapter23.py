"""The exercises of chapter 23, the tuning playbook, and its capstone."""

from __future__ import annotations

import itertools
import math
import statistics
from functools import cache
from typing import Any

import numpy as np

from course.cluster import Cluster
from course.graph import TaskGraph, independent, map_reduce
from course.practice import capstone
from course.practice.counting import CountingClient
from course.practice.exercises import Case, Exercise
from course.replay import whatif
from course.simulate import run
from course.trace import COLUMNS, COMPUTE, Trace

# ---- 23.1 What next?

_NEXT = {"a": "record again", "b": "look at the program", "c": "profile the tasks", "d": "predict a change"}
_ASK_YOURSELF = {
    "a": "what does diagnose call doubtful?",
    "b": "who had nothing to do, and for whom did it wait?",
    "c": "how far is it from its bound, and what is the bound made of?",
    "d": "the trace is sound, the threads are not busy, and the cause is in the graph",
}


@cache
def next_traces() -> dict[str, Trace]:
    """Return the four traces of exercise 23.1."""
    graph = map_reduce(24, 6, 0.1, 2e6)
    sound = run(graph, Cluster(4, bandwidth=2e8, latency=1e-3), "list")
    columns = {name: getattr(sound, name).copy() for name in COLUMNS}
    for name in ("start", "stop"):  # the clock of worker 2 is slow, as one without time synchronisation may be
        columns[name][(columns["worker"] == 2) & (columns["kind"] == COMPUTE)] -= 0.35
    first = min(columns["start"].min(), 0.0)
    for name in ("start", "stop"):
        columns[name] -= first
    skewed = Trace(**columns, graph=sound.graph, cluster=sound.cluster, origin="measured")
    return {"a": skewed, "b": _in_rounds(), "c": run(independent(400, 0.05), Cluster(8)), "d": _tiny()}


def _in_rounds(rounds: int = 20, slots: int = 8, seconds: float = 0.05, pause: float = 0.08) -> Trace:
    """Return a run of a program that submits a few tasks, waits for them, thinks, and submits the next."""
    task = np.arange(rounds * slots)
    begin = (task // slots) * (seconds + pause)
    return Trace(
        task, task % slots, np.zeros_like(task), np.full(len(task), COMPUTE), begin + 1e-3, begin + seconds,
        graph=independent(len(task), seconds - 1e-3), cluster=Cluster(slots), origin="measured", submitted=begin,
    )  # fmt: skip


def _tiny() -> Trace:
    return run(independent(3000, 1e-3), Cluster(8, scheduler_overhead=1e-3))


def _judge_next(answer: Any) -> str | None:
    steps = sorted(set(_NEXT.values()))
    if type(answer) is not dict or sorted(answer, key=str) != sorted(_NEXT):
        return f"no dict with the entries {', '.join(_NEXT)}"
    for name, step in answer.items():
        if type(step) is not str or " ".join(step.lower().split()) not in steps:
            return f"{name} with {step!r:.40}; each must be one of {', '.join(steps)}"
    wrong = [name for name, step in _NEXT.items() if " ".join(answer[name].lower().split()) != step]
    if wrong:
        return f"{len(_NEXT) - len(wrong)} of {len(_NEXT)} fit. Look again at {wrong[0]}: {_ASK_YOURSELF[wrong[0]]}"
    return None


# ---- 23.2 Which change first

CHANGES: dict[str, dict[str, Any]] = {
    "batches": {"merge": {"score": 25}},
    "fast parser": {"speed": {"parse": 2.0}},
    "smaller report": {"split": {"report": 4}},
    "fast network": {"bandwidth": "2x"},
    "two threads": {"threads": 2},
}


@cache
def report_run() -> Trace:
    """Return the trace of exercise 23.2: a simulated run of four kinds of tasks on four workers."""
    names = [f"parse-{k}" for k in range(48)] + [f"score-{k}" for k in range(1200)]
    names += [f"group-{k}" for k in range(8)] + ["report-0"]
    duration = np.array([0.03] * 48 + [1e-3] * 1200 + [0.04] * 8 + [0.9])
    size = np.array([2e6] * 48 + [1e4] * 1200 + [1e5] * 8 + [1e3])
    before: list[list[int]] = [[] for _ in range(48)]
    before += [[k // 25] for k in range(1200)]
    before += [list(range(48 + 150 * k, 48 + 150 * (k + 1))) for k in range(8)]
    before += [list(range(1248, 1256))]
    graph = TaskGraph(duration, size, before, names=names)
    return run(graph, Cluster(4, scheduler_overhead=1.5e-3, bandwidth=2e8, latency=1e-3), "dask", seed=0)


@cache
def _ratios() -> dict[str, float]:
    return {name: whatif(report_run(), **ask).ratio for name, ask in CHANGES.items() if name != "two threads"}


def _rank() -> dict[str, Any]:
    return {"order": sorted(_ratios(), key=_ratios().__getitem__), "cannot": "two threads"}


def _judge_rank(answer: Any) -> str | None:
    if type(answer) is not dict or sorted(answer, key=str) != ["cannot", "order"]:
        return "no dict with the entries order and cannot"
    right = _rank()
    if answer["cannot"] not in list(CHANGES):
        return f"cannot is {answer['cannot']!r:.40}; it must be one of {', '.join(CHANGES)}"
    if answer["cannot"] != right["cannot"]:
        return f"a replay foretells {answer['cannot']!r}; for which change can it not know what it takes for granted?"
    order = answer["order"]
    if type(order) not in (list, tuple) or sorted(order, key=str) != sorted(right["order"]):
        return f"order must have each of {', '.join(sorted(right['order']))} once"
    for one, other in itertools.pairwise(order):
        if _ratios()[one] > _ratios()[other]:
            return f"{one!r} stands before {other!r}, but saves less: print whatif(trace, **CHANGES[name]).ratio"
    return None


def _rank_by_seconds() -> dict[str, Any]:
    return {"order": ["fast parser", "batches", "smaller report", "fast network"], "cannot": "two threads"}


# ---- 23.3 Changes together


def _together(seconds: dict[str, float], changes: list[tuple[str, float]]) -> tuple[float, float]:
    left, multiplied = dict(seconds), 1.0
    total = sum(seconds.values())
    for part, ratio in changes:
        left[part] *= ratio
        multiplied *= 1 - seconds[part] / total * (1 - ratio)
    return sum(left.values()) / total, multiplied


def _added_savings(seconds: dict[str, float], changes: list[tuple[str, float]]) -> tuple[float, float]:
    total = sum(seconds.values())
    saved = sum(seconds[part] * (1 - ratio) for part, ratio in changes) / total
    return 1 - saved, _together(seconds, changes)[1]


_PARTS = [
    Case(({"load": 4.0, "join": 4.0, "plot": 2.0}, [("load", 0.25), ("join", 0.25)]), says="two changes, two parts"),
    Case(({"load": 8.0, "join": 2.0}, [("load", 0.5), ("load", 0.5)]), says="two changes of the same part"),
    Case(({"load": 1.0, "join": 1.0, "plot": 1.0}, [("load", 0.1), ("join", 1.2), ("plot", 0.5)]), says="one harms"),
    Case(({"load": 3.0, "join": 1.0}, []), says="no change"),
]


# ---- 23.4 Choose a setting


def _p_value(ratios: list[float]) -> float:
    n, better = len(ratios), sum(ratio < 1 for ratio in ratios)
    most = max(better, n - better)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(most, n + 1)) / 2**n)


def _choose(
    ratios: dict[str, list[float]], memory: dict[str, float], limit: float, alpha: float,
    *, corrected: bool = True, tested: bool = True, fits: bool = True,
) -> str:  # fmt: skip
    level = alpha / len(ratios) if corrected else alpha
    good = [
        name
        for name, each in ratios.items()
        if (not tested or _p_value(each) <= level)
        and (not fits or memory[name] <= limit)
        and statistics.median(each) < 1
    ]
    return min(good, key=lambda name: statistics.median(ratios[name]), default="default")


def _settings() -> list[Case]:
    def noisy(seed: int, **true: float) -> dict[str, list[float]]:
        rng = np.random.default_rng([23, seed])
        return {name: np.round(ratio * np.exp(0.06 * rng.normal(size=12)), 3).tolist() for name, ratio in true.items()}

    real = noisy(1, saturation=1.0, threads=0.80, chunks=0.70, fusion=0.99, stealing=1.01)
    memory = {"saturation": 2.0, "threads": 2.5, "chunks": 7.0, "fusion": 2.0, "stealing": 2.0}
    # Eight settings that change nothing, and one of which looks as if it did: ten of twelve are below 1.
    chance = noisy(7, **{f"setting {k}": 1.0 for k in range(1, 8)})
    lucky = [0.93, 0.95, 0.9, 0.97, 0.94, 1.04, 0.96, 0.92, 0.98, 1.02, 0.95, 0.91]
    spread = [0.5, 0.52, 1.2, 0.55, 1.1, 0.5, 1.3, 0.6, 1.15, 0.58, 1.1, 0.56]
    return [
        Case((real, memory, 4.0, 0.05), says="five settings, 4 GB"),
        Case((real, memory, 8.0, 0.05), says="five settings, 8 GB"),
        Case(
            ({**chance, "setting 8": lucky}, {f"setting {k}": 1.0 for k in range(1, 9)}, 4.0, 0.05),
            says="eight settings that differ little",
        ),
        Case(({"setting 8": lucky}, {"setting 8": 1.0}, 4.0, 0.05), says="one setting, the same numbers"),
        Case(
            ({"unsteady": spread, "steady": [0.9] * 12}, {"unsteady": 1.0, "steady": 1.0}, 4.0, 0.05),
            says="an unsteady setting and a steady one",
        ),
        Case(({"worse": [1.2] * 12}, {"worse": 1.0}, 4.0, 0.05), says="one setting, worse each time"),
    ]


# ---- 23.5 A guard against regressions


def _guard(history: list[float], new: float, alpha: float) -> str:
    rank = math.floor(alpha * (len(history) + 1) + 1e-9)
    if rank == 0:
        return "too few"
    return "regression" if new > sorted(history, reverse=True)[rank - 1] else "fine"


def _two_sigma(history: list[float], new: float, alpha: float) -> str:
    z = statistics.NormalDist().inv_cdf(1 - alpha)
    return "regression" if new > statistics.mean(history) + z * statistics.stdev(history) else "fine"


def _beyond_all(history: list[float], new: float, alpha: float) -> str:
    return "regression" if new > max(history) else "fine"


def _without_the_new_one(history: list[float], new: float, alpha: float) -> str:
    rank = math.floor(alpha * len(history) + 1e-9)
    if rank == 0:
        return "too few"
    return "regression" if new > sorted(history, reverse=True)[rank - 1] else "fine"


_STEADY = [0.98, 1.01, 1.0, 0.99, 1.02, 1.0, 0.97, 1.03, 1.0, 0.99, 1.01, 0.98, 1.0, 1.02, 0.99, 1.01, 1.0, 1.0, 0.99]
_TAILED = [*_STEADY, 1.45, 1.0, 0.99, 1.01, 0.98, 1.02, 1.31, 0.97, 1.01, 1.0, 0.99, 1.0, 1.01, 0.99, 1.0, 1.02, 1.0,
           0.98, 1.01]  # fmt: skip
_HISTORIES = [
    Case((_STEADY, 1.05, 0.05), says="19 ratios, 1.05"),
    Case((_STEADY, 1.03, 0.05), says="19 ratios, 1.03, as large as the largest"),
    Case((_STEADY[:18], 1.50, 0.05), says="18 ratios, 1.50"),
    Case((_TAILED, 1.35, 0.05), says="38 ratios with two outliers, 1.35, one alarm in 20"),
    Case(([*_TAILED, 1.0], 1.35, 0.05), says="39 ratios with two outliers, 1.35, one alarm in 20"),
    Case(([*_TAILED, 1.0], 1.10, 0.1), says="39 ratios with two outliers, 1.10, one alarm in 10"),
    Case((_TAILED, 1.5, 0.01), says="38 ratios, 1.5, one alarm in 100"),
]


# ---- 23.6 and 23.7 Anti-patterns, by counts


def _counts(client: CountingClient) -> dict[str, int]:
    return {name: getattr(client, name) for name in ("tasks", "waits", "sent", "returned", "depth", "inputs")}


def _call_scores(answer: Any, records: int, size: int) -> tuple[Any, dict[str, int]]:
    client = CountingClient()
    model = np.random.default_rng(records).integers(0, 100, size)
    return answer(client, model, list(range(0, 7 * records, 7))), _counts(client)


def _judge_scores(args: tuple[Any, ...], came: Any) -> str | None:
    records, size = args
    got, counts = came
    model = np.random.default_rng(records).integers(0, 100, size)
    right = [int(model[record % size]) + record for record in range(0, 7 * records, 7)]
    problem = _list_problem(right, got)
    if problem is not None:
        return problem
    if counts["tasks"] < min(8, records):
        return f"right, but in {counts['tasks']} tasks: the workers share the work if there are at least 8"
    return _too_many(counts, tasks=50, waits=1, sent=2 * model.nbytes + 200_000)


def _call_sum(answer: Any, parts: int) -> tuple[Any, dict[str, int]]:
    client = CountingClient()
    return answer(client, list(range(parts))), _counts(client)


def _judge_sum(args: tuple[Any, ...], came: Any) -> str | None:
    (parts,) = args
    got, counts = came
    right = sum(np.random.default_rng(k).integers(0, 1000, 10_000) for k in range(parts)).tolist()
    problem = _list_problem(right, got.tolist() if isinstance(got, np.ndarray) else got)
    if problem is not None:
        return problem
    if counts["tasks"] < parts:
        return f"right, but {counts['tasks']} tasks do not load {parts} parts, each in a task of its own"
    longest = 2 + math.ceil(math.log2(parts))
    return _too_many(counts, returned=100_000, sent=20_000 + 3_000 * parts, inputs=8, depth=longest)


def _list_problem(right: list[int], got: Any) -> str | None:
    from course.practice.comparing import difference

    return difference(right, got, 0.0, 0.0)


_SAYS = {
    "tasks": "tasks",
    "waits": "waits for results",
    "sent": "bytes from the program to the cluster",
    "returned": "bytes from the cluster to the program",
    "depth": "tasks in the longest chain",
    "inputs": "inputs of one task",
}


def _too_many(counts: dict[str, int], **most: int) -> str | None:
    """Say which counts are above what is allowed."""
    over = [f"{counts[name]:,} {_SAYS[name]} (at most {most[name]:,})" for name in most if counts[name] > most[name]]
    return f"right, but with {', '.join(over)}" if over else None


# ---- 23.8 When to stop


def _stop(
    makespan: float, work: float, span: float, threads: int, runs: int, price: float, cost: float
) -> tuple[float, bool]:
    least = max(work / threads, span)
    saved = (makespan - least) * threads / 3600 * price * runs
    return makespan / least, saved < cost


def _stop_by_work(
    makespan: float, work: float, span: float, threads: int, runs: int, price: float, cost: float
) -> tuple[float, bool]:
    return makespan / (work / threads), (makespan - work / threads) * threads / 3600 * price * runs < cost


def _stop_one_thread(
    makespan: float, work: float, span: float, threads: int, runs: int, price: float, cost: float
) -> tuple[float, bool]:
    least = max(work / threads, span)
    return makespan / least, (makespan - least) / 3600 * price * runs < cost


EXERCISES = [
    Exercise(
        id="23.1",
        objective="23.1",
        kind="diagnose",
        title="What next?",
        points=2,
        minutes=10,
        judge=_judge_next,
        behaviour="a dict from a, b, c and d to the step that comes next",
        hints=(
            "Print diagnose(trace) for each: its first line, its bounds, and whether it calls anything doubtful.",
            "A trace that cannot be true; a cluster that waits for the program; threads that are busy all the time; "
            "and one of the usual limits.",
            "a is doubtful, b waits for its client, c is at its bound, d is held up by tiny tasks.",
        ),
    ),
    Exercise(
        id="23.2",
        objective="23.2",
        kind="predict",
        title="Which change first?",
        points=2,
        minutes=10,
        judge=_judge_rank,
        behaviour="order: the four changes that a replay foretells, the one that saves most first; cannot: the fifth",
        mistakes={
            "most seconds of computing are in parse, but that is not what holds the run up": _rank_by_seconds,
            "the largest saving comes first": lambda: {"order": _rank()["order"][::-1], "cannot": "two threads"},
        },
        hints=(
            "Ask whatif for each of the five. Then ask of each: what must be true that the trace does not hold?",
            "whatif(trace, **CHANGES[name]).ratio. Which change takes cores, or Python's lock, for granted?",
            'order = sorted(the four others, key=lambda name: whatif(trace, **CHANGES[name]).ratio); cannot = "two '
            'threads": the trace does not know whether two tasks can compute at once in a process.',
        ),
    ),
    Exercise(
        id="23.3",
        objective="23.2",
        kind="derive",
        title="Two changes together",
        points=2,
        minutes=10,
        cases=_PARTS,
        expected=_together,
        behaviour="time after ÷ time before of all changes together; and the product of what each would bring alone",
        mistakes={
            "that is the product in both places: two changes of different parts save seconds, not shares": (
                lambda seconds, changes: (_together(seconds, changes)[1],) * 2
            ),
            "of two changes of the same part the second has only what the first has left": _added_savings,
            "the ratio is that of a part: how large is the part?": (
                lambda seconds, changes: (_together(seconds, changes)[0], math.prod(ratio for _, ratio in changes))
            ),
        },
        hints=(
            "Write down the seconds of each part after the changes.",
            "Together: multiply each part's seconds by the ratios of its changes, add up, divide by the time before. "
            "Alone: 1 − share · (1 − ratio).",
            "left[part] *= ratio; alone *= 1 - seconds[part] / total * (1 - ratio); return "
            "sum(left.values()) / total, alone",
        ),
    ),
    Exercise(
        id="23.4",
        objective="23.3",
        kind="code",
        title="Choose a setting",
        points=3,
        minutes=14,
        cases=_settings,
        expected=_choose,
        behaviour="the setting with the smallest median of those that differ really, are faster, and fit; or 'default'",
        mistakes={
            "it is the best of several that were tried: divide alpha by their number": (
                lambda *args: _choose(*args, corrected=False)
            ),
            "a small median is no evidence yet: test each setting": lambda *args: _choose(*args, tested=False),
            "what does it cost? That one does not fit into memory": lambda *args: _choose(*args, fits=False),
        },
        hints=(
            "For each setting: how many ratios are below 1? How probable is a count so far from half, if nothing "
            "differs?",
            "p = 2 · P(X ≥ max(k, n − k)) for X binomial (n, ½), at most 1; keep those with p ≤ alpha / number of "
            "settings.",
            "p = min(1, 2 * sum(math.comb(n, j) for j in range(max(k, n - k), n + 1)) / 2**n); good = those with p <= "
            'alpha / len(ratios), median < 1 and memory <= limit; min(good, key=median, default="default")',
        ),
    ),
    Exercise(
        id="23.5",
        objective="23.5",
        kind="code",
        title="A guard against regressions",
        points=2,
        minutes=12,
        cases=_HISTORIES,
        expected=_guard,
        behaviour="'regression', 'fine' or 'too few', with at most alpha false alarms, whatever the distribution",
        mistakes={
            "mean and deviations promise a rate of alarms for a normal distribution, and ratios have long tails": (
                _two_sigma
            ),
            "beyond all of the history is a rate of 1 / (n + 1), not alpha": _beyond_all,
            "the new one is one of n + 1: each is as likely to be the largest": _without_the_new_one,
        },
        hints=(
            "If nothing has changed, the new ratio is equally likely to have any rank among the n + 1.",
            "P(new > the k-th largest of the history) ≤ k / (n + 1). Which k is the largest with that at most alpha?",
            'k = math.floor(alpha * (len(history) + 1) + 1e-9); "too few" if k == 0; "regression" if new > '
            "sorted(history)[-k]",
        ),
    ),
    Exercise(
        id="23.6",
        objective="23.4",
        kind="code",
        title="A task for every record",
        points=3,
        minutes=12,
        cases=[Case((1000, 100_000), says="1,000 records, a model of 0.8 MB"), Case((9, 1000), says="9 records")],
        call=_call_scores,
        judge=_judge_scores,
        pure=False,
        behaviour="the same scores in the same order, with 8 to 50 tasks, one wait, and the model sent about once",
        hints=(
            "Three things: how often does the model travel, how many tasks are there, and when does the program wait?",
            "Scatter the model; give each task a batch of records; gather all at the end.",
            "sent = client.scatter(model); batches = [records[k:k + size] for k in range(0, len(records), size)] with "
            "size = max(1, len(records) // 20); futures = client.map(score_all, batches, model=sent); then "
            "client.gather(futures), and put the lists together.",
        ),
    ),
    Exercise(
        id="23.7",
        objective="23.4",
        kind="code",
        title="A chain and a detour",
        points=3,
        minutes=12,
        cases=[Case((64,), says="64 parts"), Case((5,), says="5 parts"), Case((1,), says="1 part")],
        call=_call_sum,
        judge=_judge_sum,
        pure=False,
        behaviour="the same sum; a task for each part; only the sum comes back; chains of at most log₂ n + 2 tasks",
        hints=(
            "Where is each part made, and where does it travel before it is added?",
            "Leave the parts on the cluster, as futures. Add them in a tree: a few at a time, then the sums.",
            "parts = client.map(load, numbers); while len(parts) > 1: parts = [client.submit(sum, parts[k:k + 4]) for "
            "k in range(0, len(parts), 4)]; return parts[0].result()",
        ),
    ),
    Exercise(
        id="23.8",
        objective="23.5",
        kind="derive",
        title="When to stop",
        points=2,
        minutes=10,
        cases=[
            (90.0, 400.0, 30.0, 8, 1000, 0.05, 400.0),
            (90.0, 400.0, 80.0, 8, 1000, 0.05, 400.0),
            (52.0, 400.0, 30.0, 8, 100_000, 0.05, 400.0),
            (600.0, 1000.0, 20.0, 64, 2000, 0.05, 800.0),
            (600.0, 1000.0, 20.0, 64, 20, 0.05, 800.0),
        ],
        expected=_stop,
        tolerance=1e-9,
        behaviour="how many times as fast it could be at most, and whether even that would not repay the work",
        mistakes={
            "the span is a bound, too: more threads do not shorten it": _stop_by_work,
            "all threads are paid for while the run lasts": _stop_one_thread,
        },
        hints=(
            "What is the least time of these tasks on so many threads? What does a second of the whole cluster cost?",
            "least = max(work / threads, span). What is saved: seconds × threads / 3600 × price × runs.",
            "return makespan / least, (makespan - least) * threads / 3600 * price * runs < cost",
        ),
    ),
    Exercise(
        id="23.9",
        objective="23.6",
        kind="tune",
        title="Capstone: the town's meters",
        points=capstone.MOST,
        minutes=90,
        grader=capstone.grade,
        behaviour=f"the report of meters.start, right on any town, at least {capstone.TARGET:g} times as fast",
        hints=(
            "Record meters.start and diagnose it. It has several causes of different kinds, and none is worth half; so "
            "predict each change, make it, measure it, record again.",
            "Look, part by part, at what travels: columns that nobody needs, the readings that come to the program "
            "and go back, what is in each task. Then at what is done once for each row, sample or result.",
            "One task a day: read the columns needed, compute in arrays, join with the small table of meters, and "
            "return only the energy and number for each meter, and the energy for each district and slot. One task "
            "adds these up. A few tasks take many samples each, with the same generators. One gather at the end.",
        ),
    ),
]
