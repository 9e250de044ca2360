"""The exercises of chapter 13, scheduling graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from course.graph import TaskGraph, fork_join, random_dag, topcuoglu
from course.models import unrelated_lower_bound
from course.practice.exercises import Case, Exercise
from course.simulate import follow, schedule

Costs = list[list[float]]
Edges = list[tuple[int, int, float]]

# ---- Instances as plain lists, so that the answers need no class of the course


def _plain(graph: TaskGraph, costs: Any) -> tuple[Costs, Edges]:
    after = np.repeat(np.arange(len(graph)), np.diff(graph.indptr)).tolist()
    edges = list(zip(graph.indices.tolist(), after, graph.sizes.tolist(), strict=True))
    return np.asarray(costs, dtype=float).tolist(), edges


def _random(n: int, machines: int, seed: int) -> tuple[Costs, Edges]:
    rng = np.random.default_rng(seed)
    graph = random_dag(n, 0.25, seed=seed)
    graph = graph.replace(edge_size=rng.integers(0, 12, len(graph.indices)).astype(float))
    return _plain(graph, rng.integers(1, 15, (n, machines)))


def _with_a_gap() -> tuple[Costs, Edges]:
    """Task 3 fits into the time in which machine 0 waits for the input of task 2."""
    return [[2, 9], [9, 2], [3, 30], [1, 40]], [(0, 2, 0.0), (1, 2, 8.0)]


INSTANCES = {
    "one task": ([[3.0, 2.0]], []),
    "a chain of two": ([[4.0, 2.0], [1.0, 5.0]], [(0, 1, 3.0)]),
    "four tasks, one of which fits into a gap": _with_a_gap(),
    "a fork and join": _plain(fork_join(4, output_size=2.0), [[2, 3], [4, 4], [4, 1], [5, 5], [3, 2], [1, 1]]),
    "the published ten tasks": _plain(*topcuoglu()),
    "12 random tasks on 3 machines": _random(12, 3, 1),
    "15 random tasks on 2 machines": _random(15, 2, 6),
    "9 random tasks on 4 machines": _random(9, 4, 8),
}


def _cases() -> list[Case]:
    return [Case(args, says=what) for what, args in INSTANCES.items()]


def _graph(costs: Costs, edges: Edges) -> TaskGraph:
    return TaskGraph.from_edges(np.mean(costs, axis=1), [tuple(edge) for edge in edges])


# ---- 13.2 Upward ranks


def _ranks(costs: Costs, edges: Edges) -> list[float]:
    return schedule(_graph(costs, edges), costs).plan.ranks["upward"].tolist()


def _ranks_of(costs: Costs, edges: Edges, own: Any, transfers: float = 1.0, join: Any = max) -> list[float]:
    rank = [0.0] * len(costs)
    for i in reversed(range(len(costs))):
        ways = [transfers * c + rank[after] for before, after, c in edges if before == i]
        rank[i] = own(costs[i]) + (join(ways) if ways else 0.0)
    return rank


def _downward(costs: Costs, edges: Edges) -> list[float]:
    rank = [0.0] * len(costs)
    for i in range(len(costs)):
        ways = [rank[b] + float(np.mean(costs[b])) + c for b, after, c in edges if after == i]
        rank[i] = max(ways, default=0.0)
    return rank


# ---- 13.3 A lower bound


def _bound(costs: Costs, edges: Edges) -> float:
    return unrelated_lower_bound(_graph(costs, edges), costs)


# ---- 13.4 Gaps


def _first_start(busy: list[tuple[float, float]], ready: float, cost: float) -> float:
    begin = ready
    for start, end in busy:
        if begin + cost <= start:
            return begin
        begin = max(begin, end)
    return begin


def _start_at_the_end(busy: list[tuple[float, float]], ready: float, cost: float) -> float:
    return max([ready, *(end for _, end in busy)])


def _start_in_a_gap_too_early(busy: list[tuple[float, float]], ready: float, cost: float) -> float:
    begin = 0.0
    for start, end in busy:
        if begin + cost <= start and start > ready:
            break
        begin = max(begin, end)
    return max(begin, ready)


def _start_when_ready(busy: list[tuple[float, float]], ready: float, cost: float) -> float:
    return ready


BUSY = [(2.0, 5.0), (7.0, 8.0), (12.0, 20.0)]
GAPS = [
    ([], 3.0, 4.0),
    (BUSY, 0.0, 2.0),
    (BUSY, 0.0, 3.0),
    (BUSY, 0.0, 5.0),
    (BUSY, 6.0, 1.0),
    (BUSY, 6.0, 2.0),
    (BUSY, 9.5, 3.0),
    (BUSY, 9.0, 3.0),
    (BUSY, 30.0, 1.0),
    (BUSY, 3.0, 0.0),
]

# ---- 13.5 HEFT


def _heft(costs: Costs, edges: Edges) -> list[tuple[int, float]]:
    return _by_order(costs, edges, _ranks(costs, edges))


def _by_order(
    costs: Costs, edges: Edges, rank: list[float], gaps: bool = True, by_start: bool = False
) -> list[tuple[int, float]]:
    machines = range(len(costs[0]))
    busy: list[list[tuple[float, float]]] = [[] for _ in machines]
    found: list[tuple[int, float]] = [(-1, 0.0)] * len(costs)
    for task in _order(costs, edges, rank):
        offers = []
        for p in machines:
            inputs = [(found[b], costs[b][found[b][0]], c) for b, after, c in edges if after == task]
            ready = max((s + took + (0 if q == p else c) for (q, s), took, c in inputs), default=0.0)
            start = (_first_start if gaps else _start_at_the_end)(busy[p], ready, costs[task][p])
            offers.append((start if by_start else start + costs[task][p], p, start))
        _, p, start = min(offers)
        found[task] = p, start
        busy[p] = sorted([*busy[p], (start, start + costs[task][p])])
    return found


def _order(costs: Costs, edges: Edges, rank: list[float]) -> list[int]:
    left, order = set(range(len(costs))), []
    while left:
        ready = [i for i in left if not any(after == i and b in left for b, after, _ in edges)]
        task = min(ready, key=lambda i: (-round(rank[i], 9), i))
        order.append(task)
        left.remove(task)
    return order


def _judge_schedule(args: tuple[Any, ...], answer: Any) -> str | None:
    costs, edges = args
    n, machines = len(costs), len(costs[0])
    try:
        found = [(int(p), float(start)) for p, start in answer]
    except (TypeError, ValueError):
        return "expected a list of pairs (machine, start), one for each task"
    if len(found) != n:
        return f"expected {n} pairs (machine, start), one for each task; got {len(found)}"
    for i, (p, start) in enumerate(found):
        if not 0 <= p < machines or not start >= 0:
            return f"task {i} is on machine {p} at {start:g}; machines are 0 to {machines - 1}, times from 0 on"
    end = [start + costs[i][p] for i, (p, start) in enumerate(found)]
    for before, after, c in edges:
        there = end[before] + (0 if found[before][0] == found[after][0] else c)
        if found[after][1] < there - 1e-9:
            return f"task {after} starts at {found[after][1]:g}, but what {before} sends is there only at {there:g}"
    for i in range(n):
        for j in range(i):
            if found[i][0] == found[j][0] and found[i][1] < end[j] - 1e-9 and found[j][1] < end[i] - 1e-9:
                return f"tasks {j} and {i} overlap on machine {found[i][0]}"
    return None


def _judge_heft(args: tuple[Any, ...], answer: Any) -> str | None:
    """Say first what is impossible about a schedule, then where it is not HEFT's."""
    wrong = _judge_schedule(args, answer)
    if wrong is not None:
        return wrong
    for i, ((p, start), (q, right)) in enumerate(zip(answer, _heft(*args), strict=True)):
        if p != q or abs(start - right) > 1e-9:
            return f"task {i} is on machine {p} from {start:g} on, a possible schedule, but not HEFT's"
    return None


# ---- 13.6 CPOP's path


def _path(costs: Costs, edges: Edges) -> tuple[list[int], int]:
    upward = _ranks(costs, edges)
    task = max(range(len(costs)), key=lambda i: (round(upward[i], 9), -i))
    path = [task]
    while following := [(round(c + upward[after], 9), -after) for before, after, c in edges if before == task]:
        task = -max(following)[1]
        path.append(task)
    sums = np.array(costs)[path].sum(axis=0)
    return path, int(sums.argmin())


def _path_without_transfers(costs: Costs, edges: Edges) -> tuple[list[int], int]:
    return _path(costs, [(before, after, 0.0) for before, after, _ in edges])


def _machine_for_all(costs: Costs, edges: Edges) -> tuple[list[int], int]:
    return _path(costs, edges)[0], int(np.sum(costs, axis=0).argmin())


# ---- 13.7 Min-min, max-min, sufferage


def _pick(finish: list[list[float]], rule: str) -> tuple[int, int]:
    rows = np.array(finish, dtype=float)
    least = rows.min(axis=1)
    if rule == "minmin":
        row = int(least.argmin())
    elif rule == "maxmin":
        row = int(least.argmax())
    else:
        two = np.sort(rows, axis=1)
        row = int((two[:, 1] - two[:, 0]).argmax())
    return row, int(rows[row].argmin())


def _pick_maxmax(finish: list[list[float]], rule: str) -> tuple[int, int]:
    if rule != "maxmin":
        return _pick(finish, rule)
    row = int(np.max(finish, axis=1).argmax())
    return row, int(np.argmax(finish[row]))


def _pick_spread(finish: list[list[float]], rule: str) -> tuple[int, int]:
    if rule != "sufferage":
        return _pick(finish, rule)
    row = int(np.ptp(np.array(finish), axis=1).argmax())
    return row, int(np.argmin(finish[row]))


def _judge_pick(args: tuple[Any, ...], answer: Any) -> str | None:
    finish, rule = args
    try:
        row, column = answer
    except (TypeError, ValueError):
        return "expected a pair: the row of the task and the column of its machine"
    right = _pick(finish, rule)
    if row != right[0]:
        return f"{rule} does not take the task in row {row} (counted from 0)"
    if column != right[1]:
        return f"the row is right, but column {column} (counted from 0) is not where that task ends first"
    return None


TABLES = {
    "a step of the published ten tasks": [[40, 46, 46], [32, 34, 28], [31, 26, 45], [32, 33, 19], [36, 39, 18]],
    "two tasks on two machines": [[3, 9], [4, 5]],
    "three tasks, one of them unfit for machine 2": [[4, 9, 10], [5, 6, 30], [8, 9, 9]],
    "three tasks, machine 2 busy": [[4, 6, 20], [9, 10, 11], [6, 7, 7]],
    "one task": [[7, 3, 5]],
}


def _pick_cases() -> list[Case]:
    return [
        Case((table, rule), says=f"{rule} on {what}")
        for what, table in TABLES.items()
        for rule in ("minmin", "maxmin", "sufferage")
    ]


# ---- 13.8 The optimistic cost table


def _optimistic(costs: Costs, edges: Edges) -> list[list[float]]:
    return schedule(_graph(costs, edges), costs, "peft").plan.ranks["optimistic"].tolist()


def _optimistic_of(costs: Costs, edges: Edges, pay_at_home: bool = False, own: bool = False) -> list[list[float]]:
    m = len(costs[0])
    table = [[0.0] * m for _ in costs]
    for i in reversed(range(len(costs))):
        for p in range(m):
            ways = [
                min(table[j][q] + (0 if own else costs[j][q]) + (c if q != p or pay_at_home else 0) for q in range(m))
                for before, j, c in edges
                if before == i
            ]
            table[i][p] = max(ways, default=0.0) + (costs[i][p] if own else 0.0)
    return table


# ---- 13.9 How sure is a ratio?


def _interval(a: list[float], b: list[float], draws: list[list[int]]) -> tuple[float, float, float]:
    logs = np.log(np.asarray(b) / np.asarray(a))
    low, high = np.percentile(logs[np.asarray(draws)].mean(axis=1), [2.5, 97.5])
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))


def _interval_of_means(a: list[float], b: list[float], draws: list[list[int]]) -> tuple[float, float, float]:
    a, b, draws = np.asarray(a), np.asarray(b), np.asarray(draws)
    low, high = np.percentile(b[draws].mean(axis=1) / a[draws].mean(axis=1), [2.5, 97.5])
    return float(b.mean() / a.mean()), float(low), float(high)


def _interval_arithmetic(a: list[float], b: list[float], draws: list[list[int]]) -> tuple[float, float, float]:
    ratio = np.asarray(b) / np.asarray(a)
    low, high = np.percentile(ratio[np.asarray(draws)].mean(axis=1), [2.5, 97.5])
    return float(ratio.mean()), float(low), float(high)


def _interval_of_data(a: list[float], b: list[float], draws: list[list[int]]) -> tuple[float, float, float]:
    logs = np.log(np.asarray(b) / np.asarray(a))
    low, high = np.percentile(logs, [2.5, 97.5])
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))


def _samples() -> list[Case]:
    rng = np.random.default_rng(1)
    cases = []
    for n, factor in ((30, 1.1), (12, 1.0), (60, 2.0)):
        a = rng.uniform(10, 1000, n)
        b = a * factor * np.exp(rng.normal(0, 0.2, n))
        draws = rng.integers(0, n, (400, n))
        cases.append(Case((a.tolist(), b.tolist(), draws.tolist()), says=f"{n} pairs of makespans"))
    return cases


# ---- 13.11 A plan that meets reality


def _carried_out(order: list[int], machine: list[int], costs: Costs, edges: Edges) -> list[float]:
    free = [0.0] * len(costs[0])
    end = [0.0] * len(costs)
    for i in order:
        p = machine[i]
        inputs = [end[b] + (0 if machine[b] == p else c) for b, after, c in edges if after == i]
        end[i] = free[p] = max([free[p], *inputs]) + costs[i][p]
    return end


def _without_transfers(order: list[int], machine: list[int], costs: Costs, edges: Edges) -> list[float]:
    return _carried_out(order, machine, costs, [(b, a, 0.0) for b, a, _ in edges])


def _without_machines(order: list[int], machine: list[int], costs: Costs, edges: Edges) -> list[float]:
    end = [0.0] * len(costs)
    for i in order:
        inputs = [end[b] + (0 if machine[b] == machine[i] else c) for b, after, c in edges if after == i]
        end[i] = max(inputs, default=0.0) + costs[i][machine[i]]
    return end


def _transfers_at_home(order: list[int], machine: list[int], costs: Costs, edges: Edges) -> list[float]:
    free, end = [0.0] * len(costs[0]), [0.0] * len(costs)
    for i in order:
        inputs = [end[b] + c for b, after, c in edges if after == i]
        end[i] = free[machine[i]] = max([free[machine[i]], *inputs]) + costs[i][machine[i]]
    return end


def _plans() -> list[Case]:
    cases = []
    for what, (costs, edges) in INSTANCES.items():
        plan = schedule(_graph(costs, edges), costs)
        rng = np.random.default_rng(3)
        for which in ("as planned", "otherwise"):
            real = np.array(costs) if which == "as planned" else np.round(np.array(costs) * rng.uniform(0.5, 2), 2)
            args = (plan.sequence().tolist(), plan.placement.tolist(), real.tolist(), edges)
            cases.append(Case(args, says=f"{what}, costs {which}"))
    return cases


def _ends(order: list[int], machine: list[int], costs: Costs, edges: Edges) -> list[float]:
    graph = _graph(costs, edges)
    plan = schedule(graph, costs)
    if plan.placement.tolist() == list(machine) and plan.sequence().tolist() == list(order):
        return follow(plan, costs).task_times()[1].tolist()
    return _carried_out(order, machine, costs, edges)


EXERCISES = [
    Exercise(
        id="13.1",
        objective="13.1",
        kind="predict",
        title="An upward rank by hand",
        points=1,
        minutes=4,
        value=20.0,
        tolerance=1e-9,
        behaviour="the longest way from the start of a to the end of the graph, of mean costs and transfers",
        mistakes={
            "you left out the transfers": 12.0,
            "that is the way by way of b; the one by way of c is longer": 17.0,
            "you left out the mean cost of a itself": 16.0,
            "that is the sum over both ways; a rank takes the longer": 33.0,
        },
        hints=(
            "Begin at the end: the rank of d is its mean cost, 3.",
            "The rank of b is 4 + 2 + 3 = 9; that of c is 5 + 5 + 3 = 13. Add the edges from a.",
            "From a: 4 + max(4 + 9, 3 + 13).",
        ),
    ),
    Exercise(
        id="13.2",
        objective="13.1",
        kind="code",
        title="Upward ranks",
        points=3,
        minutes=8,
        cases=_cases,
        expected=_ranks,
        behaviour="the mean cost of each task, and the longest of transfer + rank over its successors",
        mistakes={
            "you left out the transfers": lambda costs, edges: _ranks_of(costs, edges, np.mean, 0.0),
            "use the mean cost over the machines, not the least": lambda costs, edges: _ranks_of(costs, edges, min),
            "a rank takes the longest of the ways, not their sum": lambda costs, edges: _ranks_of(
                costs, edges, np.mean, 1.0, sum
            ),
            "that is the downward rank: the way from the start to the task": _downward,
        },
        hints=(
            "Ranks grow from the end: a task without successors has its mean cost.",
            "Edges lead from smaller to larger numbers, so go through the tasks from the last to the first.",
            "for i in reversed(range(n)): rank[i] = mean(costs[i]) + max((c + rank[j] for a, j, c in edges if a == i), "
            "default=0).",
        ),
    ),
    Exercise(
        id="13.3",
        objective="13.4",
        kind="derive",
        title="A bound that no schedule beats",
        points=2,
        minutes=6,
        cases=_cases,
        expected=_bound,
        behaviour="the larger of the least work per machine and the longest path of least costs",
        mistakes={
            "transfers can be avoided, so they do not count in a lower bound": lambda costs, edges: max(
                np.min(costs, axis=1).sum() / len(costs[0]), max(_ranks_of(costs, edges, min))
            ),
            "mean costs are no bound: a schedule may use the fastest machine for each task": lambda costs, edges: max(
                np.mean(costs, axis=1).sum() / len(costs[0]), max(_ranks_of(costs, edges, np.mean, 0.0))
            ),
            "that is the bound by the path alone; the machines have to do all the work, too": lambda costs, edges: max(
                _ranks_of(costs, edges, min, 0.0)
            ),
            "that is the bound by the work alone; think of a chain": lambda costs, edges: (
                float(np.min(costs, axis=1).sum()) / len(costs[0])
            ),
        },
        hints=(
            "Which cost does every schedule pay for a task, whatever machine it takes?",
            "Take the least cost of each task. Bound by the work as in chapter 05, then by the longest path.",
            "The path: 13.2 with min(costs[i]) in the place of the mean, and without c. The work: the sum of all least "
            "costs divided by the number of machines.",
        ),
    ),
    Exercise(
        id="13.4",
        objective="13.2",
        kind="code",
        title="Into the gaps",
        points=2,
        minutes=8,
        cases=GAPS,
        expected=_first_start,
        behaviour="the earliest start at or after `ready` at which the machine is idle for the whole of the task",
        mistakes={
            "look into the gaps before the last task, too": _start_at_the_end,
            "a gap may be long enough, but only in part after the inputs are there": _start_in_a_gap_too_early,
            "the machine may be busy when the inputs are there": _start_when_ready,
        },
        hints=(
            "Walk along the busy intervals and keep the earliest time at which the task could begin.",
            "Begin with `ready`. Does the task end before the next busy interval starts? Else go on behind that one.",
            "begin = ready; for start, end in busy: if begin + cost <= start: return begin; begin = max(begin, end).",
        ),
    ),
    Exercise(
        id="13.5",
        objective="13.2",
        kind="code",
        title="HEFT",
        points=5,
        minutes=20,
        cases=_cases,
        judge=_judge_heft,
        tolerance=1e-9,
        absolute=1e-9,
        behaviour="by decreasing upward rank, each task on the machine on which it ends first, gaps included",
        mistakes={
            "tasks may go into gaps between others": lambda costs, edges: _by_order(
                costs, edges, _ranks(costs, edges), gaps=False
            ),
            "take the tasks by decreasing rank, not by their numbers": lambda costs, edges: _by_order(
                costs, edges, [0.0] * len(costs)
            ),
            "choose the machine on which the task ends first, not the one on which it starts first": (
                lambda costs, edges: _by_order(costs, edges, _ranks(costs, edges), by_start=True)
            ),
            "ranks are of mean costs and transfers": lambda costs, edges: _by_order(
                costs, edges, _ranks_of(costs, edges, np.mean, 0.0)
            ),
        },
        hints=(
            "You have both halves: 13.2 gives the order, 13.4 the start on each machine.",
            "For each task by decreasing rank and for each machine: when are all inputs there? Then the first gap. "
            "Keep the busy intervals of each machine sorted.",
            "ready = max over edges (i, task, c) of start[i] + costs[i][machine[i]] + (0 if machine[i] == p else c); "
            "finish = earliest_start(busy[p], ready, costs[task][p]) + costs[task][p]; take the smallest (finish, p).",
        ),
    ),
    Exercise(
        id="13.6",
        objective="13.2",
        kind="code",
        title="CPOP's path and its machine",
        points=2,
        minutes=8,
        cases=_cases,
        expected=_path,
        behaviour="a longest path of mean costs and transfers, and the machine with the least sum of costs along it",
        mistakes={
            "transfers count in the path": _path_without_transfers,
            "add up the costs of the tasks on the path only": _machine_for_all,
        },
        hints=(
            "The path begins at the task of the largest upward rank.",
            "From a task go on to the successor by way of which its rank was reached: the largest transfer + rank.",
            "Follow max((c + rank[j], -j) …) until there is no successor; then min over p of the sum of costs[i][p].",
        ),
    ),
    Exercise(
        id="13.7",
        objective="13.3",
        kind="code",
        title="Three rules, one table",
        points=2,
        minutes=7,
        cases=_pick_cases,
        judge=_judge_pick,
        behaviour="the row (ready task) and the column (machine) that the rule takes next",
        mistakes={
            "max-min takes the largest of the *smallest* finishes, and the machine of that smallest": _pick_maxmax,
            "the sufferage is the second smallest minus the smallest, not the largest minus the smallest": _pick_spread,
        },
        hints=(
            "All three send the chosen task to the machine on which it ends first; they differ in the task.",
            "Of each row take the smallest finish; min-min wants the least of these, max-min the largest.",
            "Sufferage: sort each row, take the row with the largest second − first.",
        ),
    ),
    Exercise(
        id="13.8",
        objective="13.3",
        kind="code",
        title="PEFT's look ahead",
        points=3,
        minutes=9,
        cases=_cases,
        expected=_optimistic,
        behaviour="for each task and machine the shortest time that could follow it, over the worst of its successors",
        mistakes={
            "no transfer is paid where the successor runs on the same machine": lambda costs, edges: _optimistic_of(
                costs, edges, pay_at_home=True
            ),
            "the cost of the task itself is not in its own entry": lambda costs, edges: _optimistic_of(
                costs, edges, own=True
            ),
        },
        hints=(
            "A task without successors has a row of zeros. Go from the last task to the first.",
            "For each successor take the machine that is best for it, seen from p; then the worst of the successors.",
            "table[i][p] = max over (i, j, c) of min over q of table[j][q] + costs[j][q] + (c if q != p else 0).",
        ),
    ),
    Exercise(
        id="13.9",
        objective="13.5",
        kind="code",
        title="Is the difference real?",
        points=2,
        minutes=8,
        cases=_samples,
        expected=_interval,
        tolerance=1e-6,
        behaviour="the geometric mean of b ÷ a, and the 2.5 and 97.5 percentiles of the same over the given draws",
        mistakes={
            "divide pair by pair: a ratio of means is ruled by the largest instances": _interval_of_means,
            "ratios average geometrically: take the mean of their logarithms": _interval_arithmetic,
            "those are percentiles of the instances; percentiles of the mean over the draws are asked for": (
                _interval_of_data
            ),
        },
        hints=(
            "Instances differ in size, so divide first, instance by instance; both ran on the same ones.",
            "logs = np.log(b / a). Each row of draws is one resample: the mean of logs over those indices.",
            "means = logs[draws].mean(axis=1); return exp of logs.mean() and of np.percentile(means, [2.5, 97.5]).",
        ),
    ),
    Exercise(
        id="13.10",
        objective="13.6",
        kind="diagnose",
        title="Later than planned",
        points=1,
        minutes=4,
        choices={
            "overhead": "Dask's overhead for each task.",
            "order": "The workers took the tasks in another order than planned.",
            "fetch": "Inputs travel only when the last of them is made, and those from one worker share a message.",
            "estimate": "The tasks took longer than the plan assumed.",
        },
        value="fetch",
        mistakes={
            "some milliseconds a task do not add up to a third of the plan": "overhead",
            "placement and priorities were forced, and the traces show them": "order",
            "the tasks sleep for exactly their costs": "estimate",
        },
        hints=(
            "Compare both halves of the figure of HEFT's plan: which bars are where they should be?",
            "The tasks take as long as planned, but they start late. What do they wait for?",
            "T9 has an input from T4, which ends early. When does its transfer begin on Dask?",
        ),
    ),
    Exercise(
        id="13.11",
        objective="13.7",
        kind="code",
        title="A plan meets other costs",
        points=2,
        minutes=8,
        cases=_plans,
        expected=_ends,
        tolerance=1e-9,
        absolute=1e-9,
        behaviour="when each task ends, if every machine keeps to its planned order and the costs are those given",
        mistakes={
            "a task that runs elsewhere than its input waits for the transfer": _without_transfers,
            "a machine runs one task at a time": _without_machines,
            "no transfer is paid within a machine": _transfers_at_home,
        },
        hints=(
            "The order is by planned start, so whatever a task needs comes before it.",
            "Keep when each machine is free and when each task ended.",
            "end[i] = free[p] = max(free[p], end[b] + (0 if machine[b] == p else c) over its inputs) + costs[i][p].",
        ),
    ),
]
