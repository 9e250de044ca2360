"""`whatif`: a recorded run replayed, with something changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from course.cluster import Cluster
from course.costs import SKEW, Costs, clock_skew, recorded_costs
from course.domain import scalar, whole
from course.graph import CycleError, TaskGraph, merge_tasks, neighbours, split_tasks
from course.graph.taskgraph import MOST
from course.simulate.dask.policy import Dask
from course.simulate.lists import POLICIES, List, Policy
from course.simulate.runs import SIMULATORS, Simulator, run
from course.trace import COLUMNS, COMPUTE, DESERIALIZE, DISK, OVERHEAD, TRANSFER, Trace

REMOVABLE = ("transfer", "disk", "deserialize", "overhead", "client")
"""What a run can be replayed without."""

DASK_UP_TO = 100_000
"""Up to so many tasks, Dask's own scheduler is simulated by default; beyond, list scheduling in the recorded order."""

MOST_WORKERS, MOST_THREADS, MOST_PARTS = 10**6, 10**9, 10**9
MOST_PAIRS = 10_000
"""Of so many workers at most, each pair has a latency or a bandwidth of its own."""

MOST_RUNS, TASKS_TO_RUN = 7, 20_000
"""A replay is repeated so many times at most, and with no more than so many tasks in all."""


@dataclass(frozen=True, eq=False)
class WhatIf:
    """What `whatif` found.

    Attributes
    ----------
    makespan : float
        What the run would take [s]: the recorded makespan times ``ratio``.
    interval : tuple of float
        Where it would lie [s]: over the repetitions of the replay, widened by what the replay without the changes is
        off by.
    ratio : float
        The replay with the changes over the replay without; below 1, the run would be faster.
    recorded, replayed : float
        The makespan of the trace, and that of the replay without the changes [s].
    trace : Trace
        One replay with the changes.
    baseline : Trace
        One replay without.
    changes : str
        The changes, in words.
    skew : float
        By how much the clocks of the recorded workers differ at the least [s]: see `course.costs.clock_skew`.
    """

    makespan: float
    interval: tuple[float, float]
    ratio: float
    recorded: float
    replayed: float
    trace: Trace = field(repr=False)
    baseline: Trace = field(repr=False)
    changes: str
    skew: float = 0.0

    @property
    def error(self) -> float:
        """By how much the replay without the changes is off: 0.05 is 5 % too long."""
        return self.replayed / self.recorded - 1 if self.recorded else 0.0

    def __str__(self) -> str:
        low, high = self.interval
        doubt = ""
        if self.skew > max(SKEW, 0.01 * self.recorded):
            doubt = f"\n  doubtful: a task began {self.skew:.3g} s before its input was made, so the clocks differ"
        return (
            f"what if: {self.changes}\n"
            f"  {self.makespan:.3g} s ({low:.3g} to {high:.3g} s) instead of {self.recorded:.3g} s:"
            f" {self.ratio:.2f} of the time\n"
            f"  replayed without the changes: {self.replayed:.3g} s ({self.error:+.1%} off)"
            f"{doubt}"
        )

    __repr__ = __str__


def whatif(
    trace: Trace,
    *,
    workers: int | None = None,
    threads: int | None = None,
    bandwidth: float | str | None = None,
    latency: float | str | None = None,
    scheduler_overhead: float | str | None = None,
    policy: Policy | Simulator | None = None,
    split: int | Mapping[str, int] | None = None,
    merge: int | Mapping[str, int] | None = None,
    speed: float | Mapping[str, float] | None = None,
    even: str | Collection[str] = (),
    remove: str | Collection[str] = (),
    seed: int = 0,
) -> WhatIf:
    """Say what a recorded run would have taken, had something been different.

    Parameters
    ----------
    trace : Trace
        Simulated or measured, with at least one task that ran.
    workers, threads : int, optional
        Of the cluster; threads of each worker.
    bandwidth, latency : float or str, optional
        Of each link [bytes/s, s]; or a factor on what the run showed, as "2x".
    scheduler_overhead : float or str, optional
        What a task costs beyond its work [s], in the mean; or a factor, as "0.5x".
    policy : str, array, callable or object, optional
        As `course.simulate.run` takes it. Default: Dask's own scheduler up to 100,000 tasks, and list scheduling in the
        recorded order ("list") beyond, and where workers failed.
    split, merge : int or mapping of str to int, optional
        Cut each task into so many equal parts; make so many neighbouring tasks of a layer one. Of all tasks, or by key
        prefix (or the name of one task).
    speed : float or mapping of str to float, optional
        Tasks run so many times as fast: all, or by key prefix (or name).
    even : str or collection of str
        Key prefixes whose tasks all take their mean time, and hand on their mean output: no skew.
    remove : str or collection of str
        Kinds of cost that are none: of "transfer", "disk", "deserialize", "overhead", "client" (the time that the
        program took between results and its next submission).
    seed : int
        Of what is random: the policy's choices, and which task has which lag.

    Returns
    -------
    WhatIf
        Prints as a few lines.

    Raises
    ------
    ValueError
        If no task ran, or none took any time; a change that is not possible, with what is.

    Examples
    --------
    >>> from course.graph import independent
    >>> from course.simulate import run
    >>> whatif(run(independent(64, 1.0), 4), workers=8).ratio
    0.5

    Notes
    -----
    The graph of the run is replayed in the simulator: with the durations that its tasks had, and with what the run cost
    beyond them (`course.costs.recorded_costs`). Both runs are simulated, with the changes and without, and only their
    ratio is used: what the simulation leaves out falls on both. The program submits each of its graphs after as many
    results as when it was recorded, and after the same pause.

    *What is not known to a trace.* How many cores there are: a task takes as long as it took, however many run beside
    it, so more threads or workers on the same cores bring less than is said here, and threads that wait for Python's
    lock nothing at all. Memory: twice the workers would spill less. What is read from disk or from the network within
    a task is its work. Whether what comes into a worker shares its link, if all transfers ran beside equally many: it
    is taken that it does, and more workers may then bring more than is said.

    Blocked-time analysis asks the same question with ``remove``: how much faster could the job be, at most, if it never
    waited for this?

    References
    ----------
    Ousterhout, Rasti, Ratnasamy, Shenker, Chun: Making sense of performance in data analytics frameworks. NSDI 2015.

    Taught in chapter 23.
    """
    changes = {
        "workers": workers, "threads": threads, "bandwidth": bandwidth, "latency": latency,
        "scheduler_overhead": scheduler_overhead, "split": split, "merge": merge, "speed": speed, "even": even,
        "remove": remove,
    }  # fmt: skip
    return Replayer(trace, seed).ask(policy, changes)


class Replayer:
    """A recorded run, ready to be replayed with any changes: asks more than one question at the price of one baseline.

    Parameters
    ----------
    trace : Trace
        With at least one task that ran.
    seed : int
    costs : Costs, optional
        What `course.costs.recorded_costs` gives for it, if it is known already.

    Raises
    ------
    ValueError
        If no task ran.
    """

    def __init__(self, trace: Trace, seed: int = 0, costs: Costs | None = None) -> None:
        self.trace, self.seed = trace, whole("seed", seed)
        self.before = _Replay.of(trace, costs or recorded_costs(trace))
        self._baselines: dict[bool, list[Trace]] = {}

    def baselines(self, runs: int) -> list[Trace]:
        """Return so many replays without changes."""
        known = self._baselines.setdefault(runs > 1, [])  # of a single one, the lags are not dealt anew
        for k in range(len(known), runs):
            known.append(self.before.run(None, self.seed + k, deal=runs > 1))
        return known[:runs]

    def ask(self, policy: Policy | Simulator | None, changes: Mapping[str, Any], runs: int = MOST_RUNS) -> WhatIf:
        """Answer one question, with so many repetitions at most: see `whatif`, whose arguments the changes are."""
        before, trace = self.before, self.trace
        after, said = _changed(before, changes)
        if policy is not None:
            said.append(f"policy {policy if isinstance(policy, str) else type(policy).__name__}")
        runs = min(runs, _runs(before.graph))
        baselines = self.baselines(runs)
        changed = baselines
        if said:
            changed = [after.run(policy, self.seed + k, deal=runs > 1) for k in range(min(runs, _runs(after.graph)))]
        replayed = float(np.median([each.makespan for each in baselines]))
        if not (replayed and trace.makespan):
            raise ValueError("no task of this trace took any time, so nothing can be replayed: record a run that lasts")
        times = np.array([each.makespan for each in changed])
        middle = int(np.argsort(times, kind="stable")[len(times) // 2])
        factor = trace.makespan / replayed
        slack = 1 + abs(replayed / trace.makespan - 1)
        ratio = float(np.median(times)) / replayed
        interval = float(times.min()) * factor / slack, float(times.max()) * factor * slack
        return WhatIf(
            makespan=ratio * trace.makespan, interval=interval, ratio=ratio, recorded=trace.makespan,
            replayed=replayed, trace=changed[middle], baseline=baselines[0],
            changes="; ".join(said) or "nothing changed", skew=clock_skew(trace),
        )  # fmt: skip


def _runs(graph: TaskGraph) -> int:
    """Return how often a replay is repeated."""
    return max(1, min(MOST_RUNS, TASKS_TO_RUN // max(len(graph), 1)))


@dataclass(frozen=True, eq=False)
class _Replay:
    """A program, as it can be simulated: its graph, and what each task costs beyond its work."""

    graph: TaskGraph
    costs: Costs
    overheads: bool = False  # whether its trace has rows for the time that the scheduler took

    @cached_property
    def layer(self) -> np.ndarray:
        """Dask's task groups: what it takes for one kind of work, by which it queues tasks and learns durations."""
        return _layers(self.graph)

    @classmethod
    def of(cls, trace: Trace, costs: Costs) -> _Replay:
        """Return the recorded program."""
        start, stop = trace.task_times()
        seconds = np.nan_to_num(stop - start) * _speeds(trace)
        if trace.origin == "simulated":
            # Differences of times are not exact: where a task took what its graph says, so it does again.
            same = np.abs(seconds - trace.graph.duration) <= 1e-9 * (1 + trace.makespan)
            seconds = np.where(same & ~np.isnan(start), trace.graph.duration, seconds)
        graph = _without(trace.graph.replace(duration=seconds), _everywhere(trace))
        return cls(graph, costs, trace.origin == "simulated")

    def run(self, policy: Policy | Simulator | None, seed: int, *, deal: bool) -> Trace:
        """Return the trace of a replay; if its lags are dealt anew, each task has that of any one of its layer."""
        costs = self.costs
        lag = _shuffled(costs.lag, self.layer, seed) if deal else costs.lag
        before = lag + costs.disk + costs.deserialize
        graph = self.graph.replace(duration=self.graph.duration + before)
        trace = run(graph, costs.cluster, self._policy(policy), seed)
        return _with_rows(trace, self, lag)

    def _policy(self, policy: Policy | Simulator | None) -> Policy | Simulator:
        costs = self.costs
        if policy is None:
            policy = "dask" if len(self.graph) <= DASK_UP_TO and not costs.cluster.failures else "list"
        if isinstance(policy, type) or (isinstance(policy, str) and policy not in {*POLICIES, *SIMULATORS}):
            raise ValueError(
                f"policy is {policy!r:.80}; it must be one of {', '.join([*POLICIES, *SIMULATORS])}, an array,"
                " a function or an object with a method simulate"
            )
        if isinstance(policy, str) and policy == "dask":
            policy = Dask()
        if isinstance(policy, Dask):
            # What is left to chance goes as it went: of what a set gave the scheduler, the last was first.
            shuffle = len(costs.order) - 1 - costs.order
            return replace(policy, rank=costs.order, group=self.layer, submissions=costs.submissions, shuffle=shuffle)
        if isinstance(policy, str) and policy == "list":
            return List(costs.order.astype(float), costs.submissions)
        later = len(costs.submissions.after) > 1
        if hasattr(policy, "simulate") or (isinstance(policy, str) and policy in SIMULATORS):
            if later:
                raise ValueError(
                    f"policy is {policy!r:.80}, which takes a whole graph at once; this program submitted tasks on"
                    f" {len(costs.submissions.after)} occasions: take dask, {', '.join(POLICIES)}, or priorities"
                )
            return policy
        return List(policy, costs.submissions)


def _everywhere(trace: Trace) -> np.ndarray:
    """Return which results several workers had before the run began (as scattered with ``broadcast=True``)."""
    graph, workers, count = trace.graph, trace.task_workers(), trace.cluster.workers
    reader = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
    given = (workers[graph.indices] < 0) & (workers[reader] >= 0)
    reader, data = reader[given], graph.indices[given].astype(np.int64)
    fetches = np.zeros(len(graph), bool)
    fetches[trace.task[trace.kind == TRANSFER]] = True
    had = data * count + workers[reader]
    had = np.setdiff1d(had, had[fetches[reader]])  # where no reader of it fetched anything
    return np.bincount(had // count, minlength=len(graph)) > 1


def _without(graph: TaskGraph, data: np.ndarray) -> TaskGraph:
    """Return the graph whose tasks need not wait for these: they are where they are read."""
    if not data.any():
        return graph
    kept = ~data[graph.indices]
    indptr = np.concatenate([[0], np.cumsum(kept)])[graph.indptr]
    sizes = None if graph.edge_size is None else graph.edge_size[kept]
    return graph.replace(predecessors=(indptr, graph.indices[kept]), edge_size=sizes)


def _speeds(trace: Trace) -> np.ndarray | float:
    """Return how fast the worker of each task is: a graph has the durations on a worker of speed 1."""
    if not np.ndim(trace.cluster.speed):
        return float(trace.cluster.speed)
    rows = np.flatnonzero(trace.kind == COMPUTE)
    speeds = np.ones(len(trace.graph))
    speeds[trace.task[rows]] = np.asarray(trace.cluster.speed)[trace.worker[rows]]
    return speeds


def _layers(graph: TaskGraph) -> np.ndarray:
    """Return the number of each task's group, as Dask has them: a layer of a collection, or a prefix."""
    if graph.names is None:
        return (np.diff(graph.indptr) > 0).astype(np.int64)  # as for the simulated Dask
    prefixes, prefix = graph.prefixes
    known: dict[str, int] = {}
    groups = np.empty(len(graph), np.int64)
    for task, name in enumerate(graph.names):
        key = name[: name.find("'", 2)] if name.startswith("('") else prefixes[prefix[task]]
        groups[task] = known.setdefault(key, len(known))
    return groups


def _shuffled(values: np.ndarray, group: np.ndarray, seed: int) -> np.ndarray:
    """Return the values, dealt anew among those of each group: which task was held up longest was chance."""
    order = np.argsort(group, kind="stable")
    mixed = np.lexsort((np.random.default_rng(seed).random(len(group)), group))
    shuffled = np.empty_like(values)
    shuffled[order] = values[mixed]
    return shuffled


def _with_rows(trace: Trace, replay: _Replay, lag: np.ndarray) -> Trace:
    """Return a simulated trace as the recorded one was: what comes before a task's work in rows of its own."""
    # The simulators put a row for each time that the scheduler took, if any, at the end. A recorder does not see it.
    kept = slice(len(trace) if replay.overheads else int(np.count_nonzero(trace.kind != OVERHEAD)))
    costs = replay.costs
    columns = {name: getattr(trace, name)[kept] for name in COLUMNS}
    columns["start"] = columns["start"].copy()
    rows = np.flatnonzero(columns["kind"] == COMPUTE)
    task = columns["task"][rows]
    scale = np.divide(  # a worker that is twice as fast has half the lag
        (columns["stop"] - columns["start"])[rows], trace.graph.duration[task],
        out=np.ones(len(rows)), where=trace.graph.duration[task] > 0,
    )  # fmt: skip
    begin = columns["start"][rows] + lag[task] * scale
    parts = []
    for kind, seconds in ((DISK, costs.disk), (DESERIALIZE, costs.deserialize)):
        length = seconds[task] * scale
        some = length > 0
        part = {name: column[rows][some] for name, column in columns.items()}
        part |= {"start": begin[some], "stop": (begin + length)[some], "kind": np.full(some.sum(), kind, np.uint8)}
        part |= {"size": np.zeros(some.sum()), "thread": np.full(some.sum(), -1, np.int32)}
        parts.append(part)
        begin = begin + length
    columns["start"][rows] = np.minimum(begin, columns["stop"][rows])
    if any(len(part["start"]) for part in parts):
        columns = {name: np.concatenate([part[name] for part in (columns, *parts)]) for name in COLUMNS}
    return Trace(**columns, graph=replay.graph, cluster=trace.cluster, origin="simulated", submitted=trace.submitted)


# ---- the changes


def _changed(before: _Replay, changes: Mapping[str, Any]) -> tuple[_Replay, list[str]]:
    """Return the program with the changes, and these in words."""
    said: list[str] = []
    after = before
    for name, change in (
        ("even", _even), ("speed", _speed), ("merge", _merge), ("split", _split), ("remove", _remove),
        ("scheduler_overhead", _overhead),
    ):  # fmt: skip
        value = changes.get(name)
        if value is None or (isinstance(value, (str, tuple, list, set, dict)) and not len(value)):
            continue
        after = change(after, value)
        said.append(f"{name.replace('_', ' ')} {_words(value)}")
    cluster = after.costs.cluster
    for name in ("bandwidth", "latency"):
        if (value := changes.get(name)) is not None:
            cluster = cluster.replace(**{name: _factor(name, value, getattr(cluster, name))})
            said.append(f"{name} {value}")
    workers, threads = changes.get("workers"), changes.get("threads")
    if workers is not None or threads is not None:
        cluster = _resized(cluster, workers, threads)
        said += [f"{value} {name}" for name, value in (("workers", workers), ("threads", threads)) if value is not None]
    return replace(after, costs=replace(after.costs, cluster=cluster)), said


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return ", ".join(value) if isinstance(value, (tuple, list, set, frozenset)) else str(value)


def _words_of(name: str, value: Any) -> list[str]:
    """Return a word, or several, as a list."""
    one = isinstance(value, (str, bytes)) or not isinstance(value, Collection) or getattr(value, "ndim", 1) == 0
    words = [value] if one else list(value)
    wrong = [word for word in words if not isinstance(word, str)]
    if wrong:
        raise ValueError(f"{name} holds {wrong[0]!r:.80}; it must be a word, or several in a list")
    return words


def _factor(name: str, value: Any, present: Any) -> Any:
    """Return a new value: what was given, or what was given as a factor times the present one."""
    if isinstance(value, str):
        try:
            factor = float(value.strip().removesuffix("x").removesuffix("×"))
            if not value.strip().endswith(("x", "×")):
                raise ValueError
        except ValueError:
            raise ValueError(f"{name} is {value!r}; it must be a number, or a factor such as '2x'") from None
        factor = scalar(name, factor, above=0) if name == "bandwidth" else scalar(name, factor, low=0)
        scaled = np.asarray(present, dtype=float) * factor
        return scaled if scaled.ndim else float(scaled)
    return value


def _resized(cluster: Cluster, workers: Any, threads: Any) -> Cluster:
    """Return a cluster of another size; new workers are like the old ones, in turn."""
    count = cluster.workers if workers is None else whole("workers", workers, low=1, high=MOST_WORKERS)
    per_worker = np.resize(cluster.threads_per_worker, count)
    if threads is not None:
        per_worker = np.full(count, whole("threads", threads, low=1, high=MOST_THREADS))
    same = per_worker.min() == per_worker.max()
    changes: dict[str, Any] = {"workers": count, "threads": int(per_worker[0]) if same else per_worker}
    if count != cluster.workers:
        changes |= {"names": None, "failures": ()}
        for name in ("speed", "bandwidth", "latency"):
            value = np.asarray(getattr(cluster, name), dtype=float)
            if value.ndim == 1:
                changes[name] = np.resize(value, count)
            elif value.ndim == 2:
                if count > MOST_PAIRS:
                    raise ValueError(
                        f"workers is {count}; each pair of this run's has its own {name}, so at most {MOST_PAIRS:,}"
                    )
                receiver = np.resize(np.arange(cluster.workers), count)
                source = np.repeat(receiver[:, None], count, axis=1)
                # Between two that are like the same one it is not as within that one, but as from its neighbour.
                twins = (source == receiver) & ~np.eye(count, dtype=bool)
                source = np.where(twins, (receiver + 1) % cluster.workers, source)
                changes[name] = value[source, receiver]
    return cluster.replace(**changes)


def _selected(graph: TaskGraph, name: str, which: str) -> np.ndarray:
    """Return the tasks of a key prefix, or the one of a name."""
    prefixes, group = graph.prefixes
    if which in prefixes:
        return np.flatnonzero(group == prefixes.index(which))
    if graph.names is not None and which in graph.names:
        return np.array([graph.names.index(which)])
    if graph.names is None and which.isdecimal() and int(which) < len(graph):
        return np.array([int(which)])  # as `TaskGraph.name` calls it
    known = ", ".join(repr(prefix) for prefix in prefixes[:12]) + (", …" if len(prefixes) > 12 else "")
    raise ValueError(f"{name} names {which!r}, which is no key prefix and no task of this run; prefixes: {known}")


def _each(graph: TaskGraph, name: str, value: Any, otherwise: float, check: Callable[[str, Any], Any]) -> np.ndarray:
    """Return a number for each task, from one for all or from one for each prefix."""
    if not isinstance(value, Mapping):
        return np.full(len(graph), check(name, value))
    numbers = np.full(len(graph), otherwise)
    for which, each in value.items():
        numbers[_selected(graph, name, which)] = check(f"{name}[{which!r}]", each)
    return numbers


def _count(name: str, value: Any) -> int:
    return whole(name, value, low=1, high=MOST_PARTS)


def _even(replay: _Replay, which: str | Collection[str]) -> _Replay:
    duration, size = replay.graph.duration.copy(), replay.graph.output_size.copy()
    disk, deserialize = replay.costs.disk.copy(), replay.costs.deserialize.copy()
    for prefix in _words_of("even", which):
        tasks = _selected(replay.graph, "even", prefix)
        for array in (duration, size, disk, deserialize):
            array[tasks] = array[tasks].mean()
    graph = replay.graph.replace(duration=duration, output_size=size)
    return replace(replay, graph=graph, costs=replace(replay.costs, disk=disk, deserialize=deserialize))


def _speed(replay: _Replay, value: Any) -> _Replay:
    factor = _each(replay.graph, "speed", value, 1.0, lambda name, each: scalar(name, each, above=0))
    with np.errstate(over="ignore"):
        duration = replay.graph.duration / factor
    if not duration.sum() <= MOST:
        raise ValueError(f"speed is {value!r:.80}; tasks that are so slow would take longer than {MOST:g} s")
    return replace(replay, graph=replay.graph.replace(duration=duration))


def _merge(replay: _Replay, value: Any) -> _Replay:
    size = _each(replay.graph, "merge", value, 1, _count).astype(np.int64)
    names = replay.graph.names or [f"task-{i}" for i in range(len(replay.graph))]
    group, count = np.empty(len(size), np.int64), 0
    for each in np.unique(size):
        tasks = np.flatnonzero(size == each)
        group[tasks] = count + (neighbours([names[i] for i in tasks], int(each)) if each > 1 else np.arange(len(tasks)))
        count = int(group[tasks].max()) + 1
    # What is submitted on different occasions is not merged.
    occasion = replay.costs.submissions.occasion
    _, group = np.unique(np.stack([group, occasion]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    try:
        graph = merge_tasks(replay.graph, group)
    except CycleError as error:
        raise ValueError(f"merge is {value!r}; tasks that would be one wait for each other: {error}") from None
    return _regrouped(replay, graph, group)


def _regrouped(replay: _Replay, graph: TaskGraph, group: np.ndarray) -> _Replay:
    costs, count = replay.costs, len(graph)
    members = np.bincount(group, minlength=count)
    first = np.empty(count, np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    order = np.full(count, len(group))
    np.minimum.at(order, group, costs.order)
    submissions = replace(
        costs.submissions, occasion=costs.submissions.occasion[first],
        weight=np.bincount(group, costs.submissions.weight, count),
    )  # fmt: skip
    costs = Costs(
        costs.cluster, np.bincount(group, costs.lag, count) / members, np.bincount(group, costs.disk, count),
        np.bincount(group, costs.deserialize, count), submissions, np.argsort(np.argsort(order, kind="stable")),
    )  # fmt: skip
    return replace(replay, graph=graph, costs=costs)


def _split(replay: _Replay, value: Any) -> _Replay:
    parts = _each(replay.graph, "split", value, 1, _count).astype(np.int64)
    graph, origin = split_tasks(replay.graph, parts)
    costs, share = replay.costs, 1 / parts[origin]
    submissions = replace(
        costs.submissions, occasion=costs.submissions.occasion[origin], weight=costs.submissions.weight[origin] * share
    )
    order = np.argsort(np.argsort(costs.order[origin], kind="stable"))
    costs = Costs(
        costs.cluster, costs.lag[origin], costs.disk[origin] * share, costs.deserialize[origin] * share, submissions,
        order,
    )  # fmt: skip
    return replace(replay, graph=graph, costs=costs)


def _remove(replay: _Replay, kinds: str | Collection[str]) -> _Replay:
    kinds = _words_of("remove", kinds)
    unknown = [kind for kind in kinds if kind not in REMOVABLE]
    if unknown:
        raise ValueError(f"remove holds {unknown[0]!r}; it must hold some of {', '.join(REMOVABLE)}")
    graph, costs = replay.graph, replay.costs
    nothing = np.zeros(len(graph))
    if "transfer" in kinds:
        cluster = costs.cluster.replace(latency=0.0, bandwidth=np.inf, backbone=np.inf)
        costs = replace(costs, cluster=cluster)
    if "disk" in kinds:
        costs = replace(costs, disk=nothing)
    if "deserialize" in kinds:
        costs = replace(costs, deserialize=nothing)
    if "overhead" in kinds:
        cluster = costs.cluster.replace(scheduler_overhead=0.0, release_delay=0.0)
        costs = replace(costs, cluster=cluster, lag=nothing)
    if "client" in kinds:
        pause = np.zeros(len(costs.submissions.pause))
        costs = replace(costs, submissions=replace(costs.submissions, pause=pause))
    return replace(replay, graph=graph, costs=costs)


def _overhead(replay: _Replay, value: Any) -> _Replay:
    """Scale all that tasks cost beyond their work, so that it is what was asked in the mean."""
    costs = replay.costs
    ran = costs.submissions.weight > 0
    present = float(costs.lag[ran].mean()) if ran.any() else 0.0
    present = max(present, costs.cluster.scheduler_overhead)
    wanted = _factor("scheduler_overhead", value, present)
    wanted = scalar("scheduler_overhead", wanted, low=0)
    if not present:
        return replace(replay, costs=replace(costs, cluster=costs.cluster.replace(scheduler_overhead=wanted)))
    factor = wanted / present
    cluster = costs.cluster.replace(
        scheduler_overhead=costs.cluster.scheduler_overhead * factor, release_delay=costs.cluster.release_delay * factor
    )
    return replace(replay, costs=replace(costs, cluster=cluster, lag=costs.lag * factor))
