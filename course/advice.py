"""What to change first in a slow run: changes that fit what held it up, by what `whatif` says they would save."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course.diagnosis import WORTH
from course.replay import Replayer, WhatIf
from course.trace import DISK, TRANSFER

if TYPE_CHECKING:
    from course.diagnosis import Diagnosis, KeyGroup

MOST = 5
"""So many findings at most."""

TINY = 10.0
"""Tasks shorter than so many times what each costs beyond its work are too short."""

PIECES = 4
"""Into how many pieces a task is cut where no number follows from the run."""


@dataclass(frozen=True, eq=False)
class Advice:
    """One finding.

    Attributes
    ----------
    finding : str
        What is wrong, with the numbers.
    change : str
        What to do, in terms of Dask.
    saves : float
        Seconds of the makespan that it would save, as `course.whatif` has it.
    outcome : WhatIf
        The replay that says so; `outcome.changes` is what was asked.
    at_most : bool
        Whether what was asked is more than the change can reach: a cost that is removed whole.
    chapter : str
        The chapter that teaches it.
    """

    finding: str
    change: str
    saves: float
    outcome: WhatIf
    at_most: bool
    chapter: str

    def __str__(self) -> str:
        low, high = (self.outcome.recorded - end for end in self.outcome.interval[::-1])
        up_to = "up to " if self.at_most else ""
        return (
            f"saves {up_to}{self.saves:.2g} s of {self.outcome.recorded:.3g} s ({low:.2g} to {high:.2g}):"
            f" {self.change}\n  {self.finding}\n  whatif: {self.outcome.changes}; chapter {self.chapter}"
        )

    __repr__ = __str__


@dataclass(frozen=True)
class _Idea:
    """A change that may help: what is asked of `whatif`, and the words."""

    finding: str
    change: str
    ask: dict[str, Any]
    chapter: str
    at_most: bool = False
    policy: str | None = None


def advise(found: Diagnosis) -> list[Advice]:
    """Return what to change first in a run: at most five findings, the one that saves most first.

    Parameters
    ----------
    found : Diagnosis
        What `course.diagnose` says of the run.

    Notes
    -----
    Only changes are tried for which the run shows a reason. Each is replayed (`course.whatif`), and dropped if it would
    save less than 2 % of the time. What was removed whole, because no smaller change can be asked for, is marked
    "up to". Savings do not add up: two changes can cure the same wait.

    Taught in chapter 23.
    """
    replayer = Replayer(found.trace, costs=found.costs)
    advice = []
    for idea in _ideas(found):
        try:
            outcome = replayer.ask(idea.policy, idea.ask)
        except ValueError:
            if "merge" not in idea.ask:
                raise
            continue  # tasks that would be one wait for each other
        saves = outcome.recorded - outcome.makespan
        if saves > WORTH * outcome.recorded:
            advice.append(Advice(idea.finding, idea.change, saves, outcome, idea.at_most, idea.chapter))
    return sorted(advice, key=lambda each: -each.saves)[:MOST]


def _ideas(found: Diagnosis) -> Iterator[_Idea]:
    shares, trace = found.shares, found.trace
    by_seconds = sorted(found.groups, key=lambda group: -group.seconds)

    yield from _tiny(by_seconds, found.sizes.overhead, trace.cluster.slots)
    yield from _blamed(found)
    heaviest = by_seconds[0]
    share = heaviest.seconds / sum(group.seconds for group in by_seconds)
    yield _Idea(
        f"{share:.0%} of all computing is in {heaviest.tasks:,} tasks named {heaviest.prefix!r}"
        f" ({heaviest.median:.3g} s in the median).",
        f"profile {heaviest.prefix!r} and make it twice as fast (client.profile(key={heaviest.prefix!r}))",
        {"speed": {heaviest.prefix: 2.0}}, "11",
    )  # fmt: skip
    if shares["compute"] > 0.5:
        yield _Idea(
            f"{shares['compute']:.0%} of the threads' time is computing: more of them would share it.",
            f"take twice the workers, if there are cores for them (cluster.scale({2 * trace.cluster.workers}))",
            {"workers": 2 * trace.cluster.workers}, "01",
        )  # fmt: skip
    if shares["transfer"] > WORTH:
        moved = trace.size[trace.kind == TRANSFER]
        yield _Idea(
            f"{shares['transfer']:.0%} of the threads' time is waiting for {moved.sum() / 1e6:.4g} MB"
            f" in {len(moved):,} transfers.",
            "move less: smaller types, fewer columns, filter before a shuffle, a broadcast join, chunks along the axis"
            " that is reduced",
            {"remove": ("transfer",)}, "15", at_most=True,
        )  # fmt: skip
    if shares["disk"] > WORTH:
        rows = trace.kind == DISK
        seconds = float((trace.stop - trace.start)[rows].sum())
        yield _Idea(
            f"workers spilled: {int(rows.sum()):,} reads and writes, {seconds:.3g} s of them.",
            "keep less in memory: smaller chunks, persist less, fewer threads a worker, or more memory (memory_limit)",
            {"remove": ("disk",)}, "22", at_most=True,
        )  # fmt: skip
    if shares["deserialize"] > WORTH:
        yield _Idea(
            f"{shares['deserialize']:.0%} of the threads' time is unpacking tasks.",
            "send large arguments once (client.scatter(…, broadcast=True)), not within each task",
            {"remove": ("deserialize",)}, "09", at_most=True,
        )  # fmt: skip
    if shares["client"] > WORTH:
        occasions = len(np.unique(trace.submitted[~np.isnan(trace.task_times()[0])]))
        yield _Idea(
            f"for {shares['client']:.0%} of the threads' time all that had been submitted was done; the program"
            f" submitted tasks on {occasions:,} occasions.",
            "submit more at once: one dask.compute for several results, as_completed instead of waiting for all, and no"
            " work between",
            {"remove": ("client",)}, "10", at_most=True,
        )  # fmt: skip
    if shares["placement"] > WORTH:
        yield _Idea(
            f"for {shares['placement']:.0%} of the threads' time ready tasks were on other workers than the idle"
            " threads.",
            "let idle workers have them: shorter queues at workers (distributed.scheduler.worker-saturation: 1.0), work"
            " stealing on, inputs on more than one worker",
            {}, "14", at_most=True, policy="list",
        )  # fmt: skip


def _tiny(by_seconds: list[KeyGroup], overhead: float, slots: int) -> Iterator[_Idea]:
    """Tasks shorter than what each costs: batch them, all kinds at once."""
    tiny = {}
    for group in by_seconds:
        mean = group.seconds / group.tasks
        if group.tasks > 4 * slots and mean < TINY * overhead:
            wanted = math.ceil(TINY * overhead / max(mean, 1e-9))
            tiny[group.prefix] = max(1, min(wanted, group.tasks // (2 * slots)))
    tiny = {prefix: size for prefix, size in tiny.items() if size > 1}
    if not tiny:
        return
    tasks = sum(group.tasks for group in by_seconds if group.prefix in tiny)
    seconds = sum(group.seconds for group in by_seconds if group.prefix in tiny)
    size = max(tiny.values())
    yield _Idea(
        f"{tasks:,} tasks take {seconds / tasks * 1e3:.3g} ms each in the mean, and cost {overhead * 1e3:.3g} ms each"
        " beyond that.",
        f"do more in a task: {size:,} of them in one (larger chunks or partitions; a loop over a batch in the function"
        " that you map; fusion)",
        {"merge": tiny}, "10",
    )  # fmt: skip


def _blamed(found: Diagnosis) -> Iterator[_Idea]:
    """Tasks for which others wait: cut them, or make them even."""
    none_ready = found.shares["imbalance"] + found.shares["dependencies"]
    if none_ready < WORTH or not found.blame.any():
        return
    worst, trace = found.groups[0], found.trace
    longest = int(found.blame.argmax())
    name, slots = trace.graph.name(longest), trace.cluster.slots
    waited = f"{none_ready:.0%} of the threads' time no task is ready"
    if found.limit == "data skew":
        yield _Idea(
            f"{waited}; the largest of {worst.tasks} tasks named {worst.prefix!r} reads {worst.input_skew:.2g} times"
            " the bytes of the median one.",
            f"make the partitions of {worst.prefix!r} even: repartition(partition_size=…), or split the largest key"
            " (salting)",
            {"even": (worst.prefix,)}, "03",
        )  # fmt: skip
    start, stop = trace.task_times()
    if found.blame[longest] > found.blame.sum() / 4:
        yield _Idea(
            f"{waited}, mostly while {name!r} runs ({stop[longest] - start[longest]:.3g} s).",
            f"cut {name!r} into pieces (a tree of reductions: split_every; map over parts), or start it earlier"
            " (priority=)",
            {"split": {name: min(slots, 64)}}, "05",
        )  # fmt: skip
    if worst.tasks > 1:
        yield _Idea(
            f"{waited}; tasks named {worst.prefix!r} have {worst.blame / found.blame.sum():.0%} of the blame"
            f" (longest {worst.longest:.3g} s, median {worst.median:.3g} s).",
            f"cut the tasks named {worst.prefix!r} into {PIECES} (smaller chunks or partitions there)",
            {"split": {worst.prefix: PIECES}}, "10",
        )  # fmt: skip
