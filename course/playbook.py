"""The decision tree of the playbook: a slow run, a few questions in a fixed order, and what to change first.

The order is that of causes before their symptoms: a worker that is busy with its disk, or with large messages, answers
late, so others seem to wait for the scheduler; a program that submits nothing leaves a graph that looks narrow.
`course.diagnosis` names the largest share, and `course.advice` ranks changes by what a replay says they save; the tree
asks what a person asks.

Taught in chapter 23.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from course.advice import TINY
from course.diagnosis import BUSY, NONE_READY, Diagnosis, input_bytes

MUCH = 1 / 3
"""From this part of the lost time (all that is not computing), or of the blame, on, a cause is taken for one."""


@dataclass(frozen=True)
class Cure:
    """An end of the tree.

    Attributes
    ----------
    name : str
        What it is called.
    change : str
        What to do.
    chapter : str
        The chapter that teaches it.
    """

    name: str
    change: str
    chapter: str


@dataclass(frozen=True)
class Question:
    """A question about a run, with two ways on.

    Attributes
    ----------
    text : str
        To be answered with yes or no.
    value : callable
        From a `Diagnosis` to the number that decides.
    least : float
        The answer is yes if the number is at least this.
    yes, no : Question or Cure
        Where the answers lead.
    """

    text: str
    value: Callable[[Diagnosis], float] = field(repr=False)
    least: float
    yes: Question | Cure = field(repr=False)
    no: Question | Cure = field(repr=False)


@dataclass(frozen=True)
class Walk:
    """What was asked about a run, and where it led: prints as a few lines.

    Attributes
    ----------
    steps : tuple of (Question, float)
        Each question, with the number that decided.
    cure : Cure
        What to change first.
    """

    steps: tuple[tuple[Question, float], ...]
    cure: Cure

    def __str__(self) -> str:
        lines = [
            f"{question.text:<58}{'yes' if value >= question.least else 'no':<4}({value:.2f})"
            for question, value in self.steps
        ]
        return "\n".join([*lines, f"→ {self.cure.name}: {self.cure.change} (chapter {self.cure.chapter})"])

    __repr__ = __str__


def walk(found: Diagnosis) -> Walk:
    """Walk the tree for a run.

    Parameters
    ----------
    found : Diagnosis
        What `course.diagnose` says of it.

    Returns
    -------
    Walk

    Raises
    ------
    ValueError
        If it is no diagnosis.

    Examples
    --------
    >>> from course import Cluster, diagnose
    >>> from course.graph import independent
    >>> from course.simulate import run
    >>> walk(diagnose(run(independent(500, 0.001), Cluster(8, scheduler_overhead=0.001)))).cure.name
    'batch'
    """
    if not isinstance(found, Diagnosis):
        raise ValueError(f"found is {found!r:.80}; it must be what course.diagnose returns for a trace")
    steps: list[tuple[Question, float]] = []
    node: Question | Cure = TREE
    while isinstance(node, Question):
        value = float(node.value(found))
        steps.append((node, value))
        node = node.yes if value >= node.least else node.no
    return Walk(tuple(steps), node)


def cures(node: Question | Cure | None = None) -> Iterator[Cure]:
    """Give all ends of the tree, from the top."""
    node = TREE if node is None else node
    if isinstance(node, Cure):
        yield node
    else:
        yield from cures(node.yes)
        yield from cures(node.no)


# ---- the numbers that decide


def _lost(*names: str) -> Callable[[Diagnosis], float]:
    """Return a function: which part of the time that is not computing has one of these names."""

    def part(found: Diagnosis) -> float:
        lost = 1.0 - found.shares["compute"]
        return sum(found.shares[name] for name in names) / lost if lost > 0 else 0.0

    return part


def _computing(found: Diagnosis) -> float:
    return found.shares["compute"]


def _doubtful(found: Diagnosis) -> float:
    return len(found.doubts)


def _costs_of_a_task(found: Diagnosis) -> float:
    """What a task costs beyond its work, over its work (median)."""
    return found.sizes.overhead / max(found.sizes.median, 1e-9)


def _most_blame(found: Diagnosis) -> float:
    """The part of the blame that one task has."""
    return float(found.blame.max(initial=0.0) / max(found.blame.sum(), 1e-300))


def _reads(found: Diagnosis) -> float:
    """The bytes that the task to blame reads, over those of the median task of its kind."""
    trace = found.trace
    ran = np.flatnonzero(~np.isnan(trace.task_times()[0]))
    worst = int(found.blame.argmax())
    reads, (_, group) = input_bytes(trace), trace.graph.prefixes
    typical = float(np.median(reads[ran][group[ran] == group[worst]]))
    return float(reads[worst]) / typical if typical > 0 else 1.0


TREE = Question(
    "Is something in the trace impossible?", _doubtful, 1,
    Cure("record again", "mend the clocks, record the whole program, let nothing be lost", "11"),
    Question(
        f"Do the threads compute for {BUSY:.0%} of the time?".replace("%", " %"), _computing, BUSY,
        Cure("less work", "profile the heaviest kind of task; then more threads, if there are cores", "11"),
        Question(
            "Of what is lost, is a third spilled data?", _lost("disk"), MUCH,
            Cure("keep less", "fewer columns, smaller chunks, persist less, more memory", "22"),
            Question(
                "… a third the program, which submits nothing?", _lost("client"), MUCH,
                Cure("submit at once", "one compute for all; as_completed, not a loop of results", "10"),
                Question(
                    "… a third waiting for other workers' data?", _lost("transfer"), MUCH,
                    Cure("move less", "filter and add up before an exchange; chunks along the axis", "15"),
                    Question(
                        "… a third handing out and unpacking tasks?", _lost("scheduling", "deserialize"), MUCH,
                        Question(
                            f"Does a task cost a {TINY:.0f}th of its work?".replace("10th", "tenth"),
                            _costs_of_a_task, 1 / TINY,
                            Cure("batch", "fewer, larger tasks: larger chunks, a loop in the task, fusion", "20"),
                            Cure("lighter graph", "scatter large arguments, fewer layers", "10"),
                        ),
                        Question(
                            "… a third tasks that are queued elsewhere?", _lost("placement"), MUCH,
                            Cure("spread", "worker-saturation 1.0; work stealing; a second copy of inputs", "14"),
                            Question(
                                "… a third threads for which no task is ready?", _lost(*NONE_READY), MUCH,
                                Question(
                                    "Has one task a third of the blame?", _most_blame, MUCH,
                                    Question(
                                        "Does it read twice as much as its kind?", _reads, 2,
                                        Cure("even parts", "repartition; salt the largest key", "18"),
                                        Cure("cut it", "several tasks for the long one; start it first", "05"),
                                    ),
                                    Cure("wider graph", "trees, not chains; no waiting between parts", "13"),
                                ),
                                Cure("several causes", "rank changes by replay: diagnose(…).advice", "23"),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip
"""The first question."""
