"""`diagnose`: where the time of a run went, and what held it up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from course.costs import SKEW, Costs, clock_skew, recorded_costs
from course.timeshares import SHARES, TimeShares, time_shares
from course.trace import COMPUTE, DISK, KINDS, OVERHEAD, TRANSFER, Trace, worker_names

if TYPE_CHECKING:
    from course.advice import Advice

LIMITS = {
    "compute": "the threads are busy: only less work, or more threads, make it faster",
    "tiny tasks": "the tasks are shorter than what it costs to hand them out",
    "scheduling": "tasks that are ready wait to be started",
    "placement": "tasks that are ready wait for a worker that is busy, while others are idle",
    "transfer": "threads wait for data from other workers",
    "disk": "workers spill data to disk, and read it back",
    "deserialize": "workers unpack tasks",
    "one long task": "one task keeps all others waiting, though its input is like that of others",
    "data skew": "the tasks with the largest inputs keep all others waiting",
    "imbalance": "the last tasks of their kind keep all others waiting",
    "dependencies": "the graph is too narrow: tasks wait for one another",
    "client": "the cluster has nothing to do until the program submits more",
}
"""What can hold up a run, and what it means."""

BUSY = 0.8
"""From this share of computing threads on, a run is held up by its work."""

FEW = 3
"""A kind of fewer tasks than this has no typical one."""

WORTH = 0.02
"""A change that would save less than this share of the time is not advised."""

NONE_READY = ("imbalance", "dependencies")
"""The shares in which no task is ready."""


@dataclass(frozen=True)
class Step:
    """One stretch of the critical path: what the end of the run waited for, from ``start`` to ``stop`` [s].

    ``kind`` is one of `course.trace.KINDS`; *overhead* is the time between what the task waited for last and its start,
    but for the part in which its worker was busy with the disk.
    """

    kind: str
    task: int
    worker: int
    start: float
    stop: float

    @property
    def seconds(self) -> float:
        """Its length [s]."""
        return self.stop - self.start


@dataclass(frozen=True)
class KeyGroup:
    """The tasks of one key prefix.

    Attributes
    ----------
    prefix : str
    tasks : int
        How many ran.
    seconds, median, longest : float
        Their durations: sum, median and maximum [s].
    input_skew : float
        Largest input over median input (both in bytes); 1 where they read nothing.
    blame : float
        Thread-seconds for which other threads had nothing to do while these ran.
    """

    prefix: str
    tasks: int
    seconds: float
    median: float
    longest: float
    input_skew: float
    blame: float


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` found.

    Attributes
    ----------
    makespan : float
        Seconds from the first start to the last stop.
    seconds, shares : dict of str to float
        Thread-seconds of each of `course.timeshares.SHARES`, and their shares of all; these sum to 1.
    bounds : dict of str to float
        ``work``: computing seconds over threads; ``span``: the longest path; ``lower``: the larger of the two. No run
        of the same tasks on as many threads ends earlier than ``lower``.
    critical_path : list of Step
        What the end of the run waited for, back to the first start, without gaps.
    groups : list of KeyGroup
        The tasks by key prefix, the one most to blame first.
    limit : str
        One of `LIMITS`: what held up the run most.
    evidence : str
        A sentence with the numbers that say so.
    blame : array, shape (tasks,)
        Thread-seconds for which others had nothing to do while this task ran.
    over_time : TimeShares
        The shares from instant to instant.
    workers : list of WorkerLoad
        What each worker did, in their order.
    trace : Trace
        The run.
    """

    makespan: float
    seconds: dict[str, float]
    shares: dict[str, float]
    bounds: dict[str, float]
    critical_path: list[Step]
    groups: list[KeyGroup]
    limit: str
    evidence: str
    blame: np.ndarray = field(repr=False)
    over_time: TimeShares = field(repr=False)
    workers: list[WorkerLoad]
    trace: Trace = field(repr=False)

    @cached_property
    def doubts(self) -> list[str]:
        """What in the trace cannot be, in words: clocks that differ, tasks that are missing."""
        doubts, skew = [], clock_skew(self.trace)
        if skew > max(SKEW, WORTH * self.makespan):
            doubts.append(f"a task began {skew:.3g} s before its input was made, so the clocks of the workers differ")
        elif self.bounds["lower"] > self.makespan * (1 + WORTH):
            doubts.append("the run took less time than its longest path, so rows are wrong or missing")
        reads = self.trace.graph.indices
        start, _ = self.trace.task_times()
        lost = np.unique(reads[np.isnan(start[reads]) & (self.trace.graph.duration[reads] > 0)])
        if len(lost):
            doubts.append(f"{len(lost):,} tasks whose results were read have no row, so rows are missing")
        return doubts

    @cached_property
    def costs(self) -> Costs:
        """What the run cost beyond the work of its tasks."""
        return recorded_costs(self.trace)

    @cached_property
    def sizes(self) -> Sizes:
        """How long tasks took, against what they cost beyond their work."""
        return _sizes(self.trace, self.costs)

    @cached_property
    def advice(self) -> list[Advice]:
        """What to change first: at most five findings, the one that saves most first (`course.advice.advise`).

        Each is replayed, when this is first asked for: about a second, and up to ten for a million tasks.
        """
        from course.advice import advise

        return advise(self)

    def on_path(self) -> dict[str, float]:
        """Return the seconds of each kind on the critical path; they sum to the makespan."""
        return {kind: sum(step.seconds for step in self.critical_path if step.kind == kind) for kind in KINDS}

    def __str__(self) -> str:
        lines = [f"held up by: {self.limit} ({LIMITS[self.limit]})", f"  {self.evidence}"]
        lines += ["", "where the threads' time went"]
        for name in sorted(self.shares, key=self.shares.__getitem__, reverse=True):
            if self.shares[name] >= 0.0005:
                lines.append(f"  {name:<13}{self.shares[name]:7.1%}  {'█' * round(40 * self.shares[name])}".rstrip())
        bounds = self.bounds
        lines += ["", f"makespan {self.makespan:.3g} s"]
        lines.append(f"at the least {bounds['lower']:.3g} s (work {bounds['work']:.3g} s, span {bounds['span']:.3g} s)")
        path = [f"{kind} {seconds:.3g} s" for kind, seconds in self.on_path().items() if seconds > 0]
        lines.append("critical path: " + ", ".join(path))
        lines += [f"doubtful: {each}" for each in self.doubts]
        return "\n".join(lines)

    def report(self) -> str:
        """Return all that was found as text, with the advice."""
        lines = [str(self), f"tasks: {self.sizes}", f"workers: {_unevenness(self.workers)}", "", "kinds of tasks"]
        lines.append(f"  {'':<28}{'tasks':>8}{'seconds':>10}{'median':>10}{'longest':>10}{'blame':>10}")
        for group in sorted(self.groups, key=lambda each: -each.seconds)[:8]:
            numbers = (group.seconds, group.median, group.longest, group.blame)
            lines.append(f"  {group.prefix:<28.28}{group.tasks:>8,}" + "".join(f"{each:>10.3g}" for each in numbers))
        lines += ["", "what to change first"]
        lines += [f"{i}. {str(each).replace(chr(10), chr(10) + ' ')}" for i, each in enumerate(self.advice, 1)]
        if not self.advice:
            lines.append(f"  nothing that was tried would save more than {WORTH:.0%} of the time")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all that was found, and the advice, as plain numbers, strings and lists (for JSON)."""
        return {
            "makespan": self.makespan,
            "limit": self.limit,
            "meaning": LIMITS[self.limit],
            "evidence": self.evidence,
            "seconds": dict(self.seconds),
            "shares": dict(self.shares),
            "bounds": dict(self.bounds),
            "doubts": list(self.doubts),
            "critical_path": [
                {**asdict(step), "name": self.trace.graph.name(step.task)} for step in self.critical_path
            ],
            "groups": [asdict(group) for group in self.groups],
            "workers": [asdict(worker) for worker in self.workers],
            "sizes": asdict(self.sizes),
            "advice": [
                {
                    "finding": each.finding, "change": each.change, "saves": each.saves, "at_most": each.at_most,
                    "makespan": each.outcome.makespan, "interval": list(each.outcome.interval),
                    "ratio": each.outcome.ratio, "whatif": each.outcome.changes, "chapter": each.chapter,
                }
                for each in self.advice
            ],
        }  # fmt: skip

    def to_html(self) -> str:
        """Return all that was found, and the advice, as a fragment of HTML that needs no style sheet and no script."""
        from course.diagnosis_html import render

        return render(self)

    __repr__ = __str__


@dataclass(frozen=True)
class WorkerLoad:
    """What one worker did.

    Attributes
    ----------
    name : str
    tasks : int
        How many it ran.
    busy : float
        Seconds that its threads computed, added up.
    received : float
        Bytes that it fetched from other workers.
    disk : float
        Seconds that it wrote and read spilled data.
    spills : int
        How often.
    """

    name: str
    tasks: int
    busy: float
    received: float
    disk: float
    spills: int


@dataclass(frozen=True)
class Sizes:
    """How long tasks took: a histogram, and what a task costs beyond its work.

    Attributes
    ----------
    edges : tuple of float
        Of the bins [s]: three to a decade.
    counts : tuple of int
        Tasks in each bin, one fewer than edges.
    median : float
        Of the durations [s].
    overhead : float
        What a task cost beyond its work, in the mean [s] (`course.costs.recorded_costs`).
    shorter : float
        The share of the tasks that are shorter than that.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    median: float
    overhead: float
    shorter: float

    def __str__(self) -> str:
        number = sum(self.counts)
        return (
            f"{number:,}, {self.median * 1e3:.3g} ms in the median; each costs {self.overhead * 1e3:.3g} ms beyond its"
            f" work, and {self.shorter:.0%} are shorter than that"
        )


def diagnose(trace: Trace) -> Diagnosis:
    """Say where the time of a run went, and what held it up.

    Parameters
    ----------
    trace : Trace
        Simulated or measured, with at least one task that ran.

    Returns
    -------
    Diagnosis
        Prints as a table.

    Raises
    ------
    ValueError
        If no task ran.

    Examples
    --------
    Tasks of 1 ms, handed out by a scheduler that needs 1 ms for each, on eight threads:

    >>> from course.cluster import Cluster
    >>> from course.graph import independent
    >>> from course.simulate import run
    >>> found = diagnose(run(independent(500, 0.001), Cluster(8, scheduler_overhead=0.001), "fifo"))
    >>> found.limit
    'tiny tasks'
    >>> round(sum(found.shares.values()), 12)
    1.0

    Notes
    -----
    Each second of each thread has exactly one name (`course.timeshares`). Where a thread is idle and no task is ready,
    the tasks that run at that moment are to blame, in equal parts: a task with much blame is what others waited for.
    The largest of the shares that are not computing is the limit, unless more than 80 % of the time is computing.
    Whether skewed data or one long task is to blame is told by the bytes that the tasks read.

    The critical path of a run that has happened is found backwards from its end: what did this start wait for last?

    References
    ----------
    Yang, Miller: Critical path analysis for the execution of parallel and distributed programs. ICDCS 1988.

    Taught in chapter 11.
    """
    over_time = time_shares(trace)
    seconds = dict(zip(SHARES, over_time.seconds.tolist(), strict=True))
    total = trace.cluster.slots * trace.makespan
    shares = {name: value / total if total else 0.0 for name, value in seconds.items()}

    start, stop = trace.task_times()
    blame = _blame(over_time, start, stop)
    prefixes, group = trace.graph.prefixes
    task = np.flatnonzero(~np.isnan(start))
    ran = _Ran(task, (stop - start)[task], input_bytes(trace)[task], blame[task], group[task])
    groups = _groups(prefixes, ran)

    work = float(ran.duration.sum()) / trace.cluster.slots
    span = trace.graph.replace(duration=np.nan_to_num(stop - start)).span
    bounds = {"work": work, "span": span, "lower": max(work, span)}
    limit, evidence = _limit(trace, shares, groups, ran)
    return Diagnosis(
        makespan=trace.makespan, seconds=seconds, shares=shares, bounds=bounds, critical_path=_path(trace),
        groups=groups, limit=limit, evidence=evidence, blame=blame, over_time=over_time, workers=_workers(trace),
        trace=trace,
    )  # fmt: skip


def _workers(trace: Trace) -> list[WorkerLoad]:
    def added_up(kind: int, values: np.ndarray) -> np.ndarray:
        rows = (trace.kind == kind) & (trace.worker >= 0)
        return np.bincount(trace.worker[rows], values[rows], trace.cluster.workers)

    once, seconds = np.ones(len(trace)), trace.stop - trace.start
    columns = [added_up(COMPUTE, once).astype(int), trace.busy(), added_up(TRANSFER, trace.size)]
    columns += [added_up(DISK, seconds), added_up(DISK, once).astype(int)]
    return [
        WorkerLoad(name, *values)
        for name, *values in zip(worker_names(trace.cluster), *(each.tolist() for each in columns), strict=True)
    ]


def _sizes(trace: Trace, costs: Costs) -> Sizes:
    ran = costs.submissions.weight > 0
    start, stop = trace.task_times()
    duration = (stop - start)[ran]
    overhead = float(costs.lag[ran].mean()) + float(costs.cluster.scheduler_overhead)
    first = math.floor(3 * math.log10(max(duration.min(), 1e-6)))
    last = max(first + 1, math.floor(3 * math.log10(max(duration.max(), 1e-6))) + 1)
    edges = 10.0 ** (np.arange(first, last + 1) / 3)
    counts, _ = np.histogram(np.clip(duration, edges[0], edges[-1]), edges)
    return Sizes(
        tuple(edges.tolist()), tuple(counts.tolist()), float(np.median(duration)), overhead,
        float((duration < overhead).mean()),
    )  # fmt: skip


def _unevenness(workers: list[WorkerLoad]) -> str:
    busy = np.array([worker.busy for worker in workers])
    most = workers[int(busy.argmax())]
    text = f"{most.name} computes most, {most.busy / max(busy.mean(), 1e-300):.2f} times the mean"
    spilled = [worker for worker in workers if worker.spills]
    if spilled:
        worst = max(spilled, key=lambda worker: worker.disk)
        text += f"; {len(spilled)} of {len(workers)} use the disk"
        text += f", {worst.name} {worst.spills} times ({worst.disk:.3g} s)"
    return text


def input_bytes(trace: Trace) -> np.ndarray:
    """Return the bytes that each task reads: the sizes of its predecessors' results, shape (tasks,)."""
    graph = trace.graph
    reads = np.zeros(len(graph))
    np.add.at(reads, np.repeat(np.arange(len(graph)), np.diff(graph.indptr)), graph.output_size[graph.indices])
    return reads


@dataclass(frozen=True, eq=False)
class _Ran:
    """The tasks that ran, as arrays of one length; what did not run is left out."""

    task: np.ndarray
    duration: np.ndarray  # of the last run [s]
    reads: np.ndarray  # bytes
    blame: np.ndarray  # thread-seconds
    group: np.ndarray  # number of its key prefix


def _blame(over_time: TimeShares, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Share the idle threads, at each instant at which no task is ready, among the tasks that run."""
    ran = ~np.isnan(start)
    since, until = np.sort(start[ran]), np.sort(stop[ran])
    times = over_time.times
    running = np.searchsorted(since, times[:-1], "right") - np.searchsorted(until, times[:-1], "right")
    idle = over_time.threads[:, [SHARES.index(name) for name in NONE_READY]].sum(axis=1)
    each = np.divide(idle, running, out=np.zeros(len(idle)), where=running > 0)
    total = np.concatenate([[0.0], np.cumsum(each * np.diff(times))])
    blame = np.zeros(len(start))
    blame[ran] = np.interp(stop[ran], times, total) - np.interp(start[ran], times, total)
    return blame


def _groups(prefixes: list[str], ran: _Ran) -> list[KeyGroup]:
    order = np.argsort(ran.group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(ran.group[order])) + 1)
    found = []
    for part in parts:
        seconds, typical = ran.duration[part], float(np.median(ran.reads[part]))
        skew = float(ran.reads[part].max()) / typical if typical > 0 else 1.0
        numbers = (float(seconds.sum()), float(np.median(seconds)), float(seconds.max()))
        found.append(KeyGroup(prefixes[ran.group[part[0]]], len(part), *numbers, skew, float(ran.blame[part].sum())))
    return sorted(found, key=lambda each: (-each.blame, each.prefix))


def _limit(trace: Trace, shares: dict[str, float], groups: list[KeyGroup], ran: _Ran) -> tuple[str, str]:
    """Return the limit and the sentence that gives its evidence."""
    if shares["compute"] >= BUSY:
        return "compute", f"{shares['compute']:.0%} of the threads' time is computing."
    waiting = {name: value for name, value in shares.items() if name not in ("compute", *NONE_READY)}
    worst = max(waiting, key=waiting.__getitem__)
    none_ready = sum(shares[name] for name in NONE_READY)
    if none_ready >= waiting[worst]:
        return _who_is_waited_for(trace, f"{none_ready:.0%} of the threads' time", shares, groups, ran)
    lost = f"{waiting[worst]:.0%} of the threads' time"
    if worst == "scheduling":
        typical = float(np.median(ran.duration))
        cost = waiting[worst] * trace.cluster.slots * trace.makespan / len(ran.task)
        return "tiny tasks" if typical < cost else "scheduling", (
            f"{lost}: each of {len(ran.task)} tasks of {typical * 1e3:.3g} ms (median) was ready for {cost * 1e3:.3g}"
            " ms while a thread of its worker was idle."
        )
    if worst == "client":
        times = len(np.unique(trace.submitted[ran.task]))
        return worst, f"{lost}: all that had been submitted was done. Tasks were submitted on {times} occasions."
    if worst == "placement":
        return worst, f"{lost}: ready tasks were on other workers than the idle threads."
    rows = trace.kind == KINDS.index(worst)
    waits = {"transfer": "transfers", "disk": "reads and writes of spilled data", "deserialize": "tasks being unpacked"}
    moved, times = float(trace.size[rows].sum()), float((trace.stop - trace.start)[rows].sum())
    amount = f", {moved / 1e6:.4g} MB" if moved else ""
    return worst, f"{lost} was spent waiting for {int(rows.sum())} {waits[worst]} ({times:.3g} s added up{amount})."


def _who_is_waited_for(
    trace: Trace, lost: str, shares: dict[str, float], groups: list[KeyGroup], ran: _Ran
) -> tuple[str, str]:
    """Tell one long task, skewed data, imbalance and a narrow graph apart."""
    total = ran.blame.sum()
    prefixes, _ = trace.graph.prefixes

    worst = groups[0]
    sisters = ran.group == prefixes.index(worst.prefix)
    typical = float(np.median(ran.reads[sisters]))
    blamed = float(np.average(ran.reads[sisters], weights=ran.blame[sisters])) if worst.blame else 0.0
    if worst.blame > total / 2 and worst.tasks >= FEW and blamed > 2 * typical > 0:
        return "data skew", (
            f"{lost}, mostly while tasks named {worst.prefix!r} ran: the largest reads {worst.input_skew:.2g} times the"
            f" bytes of the median one, and the longest takes {worst.longest / worst.median:.2g} times as long."
        )

    longest = int(ran.blame.argmax())
    sisters = ran.group == ran.group[longest]
    unusual = sisters.sum() < FEW or ran.duration[longest] > 2 * np.median(ran.duration[sisters])
    share = ran.duration[longest] / trace.makespan
    if ran.blame[longest] > total / 2 and unusual and share > 0.1:
        name, seconds = trace.graph.name(int(ran.task[longest])), ran.duration[longest]
        return "one long task", f"{lost}, mostly while {name!r} ran: {seconds:.3g} s, {share:.0%} of the run."

    name = max(NONE_READY, key=shares.__getitem__)
    return name, f"{lost}; the tasks named {worst.prefix!r} have {worst.blame / (total or 1.0):.0%} of the blame."


def _path(trace: Trace) -> list[Step]:
    """Return what the end of the run waited for, from its first start on."""
    start, stop = trace.task_times()
    position, before, worker = trace.positions(), trace.before_on_thread(), trace.task_workers()
    own, disk = _own_rows(trace, start, worker), _disk_rows(trace)
    begin, until = float(trace.start.min()), float(trace.stop.max())
    task = int(np.nanargmax(stop))
    steps: list[Step] = []

    def waited(kind: str, since: float) -> None:
        """Add what ended where the step that was added last begins."""
        nonlocal until
        if since < until:
            steps.append(Step(kind, task, int(worker[task]), since, until))
            until = since

    def blocked(since: float) -> None:
        """Add the time in which nothing was done for the task: disk, if its worker was busy there, or overhead."""
        for row in disk(int(worker[task]), since, until):
            waited(KINDS[OVERHEAD], max(float(trace.stop[row]), since))
            waited(KINDS[DISK], max(float(trace.start[row]), since))
        waited(KINDS[OVERHEAD], since)

    blocked(float(stop[task]))  # transfers and writes after the last task
    while True:
        waited("compute", float(start[task]))
        # Its start waited for a predecessor or for its thread; of tasks that took no time, the graph tells the order.
        candidates = trace.graph.predecessors(task).tolist() + ([int(before[task])] if before[task] >= 0 else [])
        now = (start[task], stop[task], position[task])
        candidates = [p for p in candidates if (start[p], stop[p], position[p]) < now]  # never for one without a start
        latest = max(candidates, key=lambda p: stop[p], default=None)
        since = begin if latest is None else max(float(stop[latest]), begin)
        for row in own(task):
            blocked(max(float(trace.stop[row]), since))
            waited(KINDS[trace.kind[row]], max(float(trace.start[row]), since))
        blocked(since)
        if latest is None:
            return steps[::-1]
        task = latest


def _disk_rows(trace: Trace) -> Callable[[int, float, float], list[int]]:
    """Return a function that gives the disk rows of a worker that touch a stretch of time, the latest first."""
    rows = np.flatnonzero((trace.kind == DISK) & (trace.worker >= 0))
    rows = rows[np.lexsort((trace.stop[rows], trace.worker[rows]))]
    bounds = np.searchsorted(trace.worker[rows], np.arange(trace.cluster.workers + 1))
    of_worker = [rows[a:b] for a, b in itertools.pairwise(bounds.tolist())]

    def touching(worker: int, since: float, until: float) -> list[int]:
        mine = of_worker[worker]
        later = mine[np.searchsorted(trace.stop[mine], since, "right") :]
        return later[trace.start[later] < until][::-1].tolist()

    return touching


def _own_rows(trace: Trace, start: np.ndarray, worker: np.ndarray) -> Callable[[int], list[int]]:
    """Return a function: what a task's worker fetched, read and unpacked for it before it began, the latest first."""
    rows = np.flatnonzero(
        (trace.kind != COMPUTE) & (trace.worker >= 0) & (worker[trace.task] == trace.worker)
        & (trace.stop <= start[trace.task] + 1e-6)
    )  # fmt: skip
    rows = rows[np.argsort(trace.task[rows], kind="stable")]
    first = np.searchsorted(trace.task[rows], np.arange(len(start) + 1))

    def own(task: int) -> list[int]:
        mine = rows[first[task] : first[task + 1]]
        return mine[np.argsort(-trace.stop[mine], kind="stable")].tolist()

    return own
