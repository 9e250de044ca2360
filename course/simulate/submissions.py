"""`Submissions`: when a program hands its tasks to the scheduler, if not all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.graph import TaskGraph


@dataclass(frozen=True, eq=False)
class Submissions:
    """The occasions on which a program submits tasks: each some time after so many tasks have ended.

    That is how programs wait: for a batch of results before the next one, or for any result before one more task.

    Attributes
    ----------
    occasion : array of int, shape (tasks,)
        On which occasion each task is submitted, from 0 on.
    after : array, shape (occasions,)
        The weight of the tasks that must have ended before. It does not fall.
    pause : array, shape (occasions,)
        Seconds from then to the submission.
    weight : array, shape (tasks,)
        What each task that has ended counts.

    Raises
    ------
    ValueError
        Arrays of the wrong shape or kind; an occasion that would wait for ever, because it is after tasks that come
        with it or later.

    Examples
    --------
    The second task comes half a second after the first has ended:

    >>> from course.cluster import Cluster
    >>> from course.graph import independent
    >>> from course.simulate.lists import List
    >>> later = Submissions(np.array([0, 1]), np.array([0.0, 1.0]), np.array([0.0, 0.5]), np.ones(2))
    >>> List("fifo", later).simulate(independent(2), Cluster(2), 0).start.tolist()
    [0.0, 1.5]

    Notes
    -----
    Taught in chapter 23, where `course.whatif` replays programs.
    """

    occasion: np.ndarray
    after: np.ndarray
    pause: np.ndarray
    weight: np.ndarray

    def __post_init__(self) -> None:
        for name in ("occasion", "after", "pause", "weight"):
            array = np.asarray(getattr(self, name))
            if array.ndim != 1 or (array.size and array.dtype.kind not in ("iu" if name == "occasion" else "iuf")):
                numbers = "whole numbers" if name == "occasion" else "numbers"
                raise ValueError(f"{name} is {getattr(self, name)!r:.80}; it must be a row of {numbers}")
            object.__setattr__(self, name, array.astype(np.int64 if name == "occasion" else float))
        k, n = len(self.after), len(self.occasion)
        if self.pause.shape != (k,) or self.after.shape != (k,) or self.weight.shape != (n,):
            raise ValueError(
                f"after and pause have shapes {self.after.shape} and {self.pause.shape}, occasion and weight"
                f" {self.occasion.shape} and {self.weight.shape}; each pair must be alike"
            )
        if n and not (self.occasion.min() >= 0 and self.occasion.max() < k):
            raise ValueError(f"occasion is in {self.occasion.min()} … {self.occasion.max()}; allowed: 0 … {k - 1}")
        if not np.isfinite(np.concatenate([self.pause, self.after, self.weight])).all():
            raise ValueError("pause, after and weight must be finite")
        if not (self.pause >= 0).all() or not (np.diff(self.after, prepend=0) >= 0).all():
            raise ValueError("pause must be at least 0, and after must not fall")
        if not (self.weight >= 0).all():
            raise ValueError(f"weight holds {self.weight.min():g}; it must be at least 0")
        self._check(self.occasion)

    def _check(self, occasion: np.ndarray) -> None:
        """Raise if an occasion is after more than what was submitted before counts."""
        k = len(self.after)
        of_occasion = np.bincount(occasion, self.weight, k)
        before = np.cumsum(of_occasion) - of_occasion
        if (self.after > before + TOLERANCE * (1 + before)).any():
            j = int(np.flatnonzero(self.after > before + TOLERANCE * (1 + before))[0])
            raise ValueError(
                f"occasion {j} is after {self.after[j]:g}, but what was submitted before counts {before[j]:g}"
            )

    @classmethod
    def at_once(cls, graph: TaskGraph) -> Submissions:
        """Return the one occasion on which a whole graph is submitted."""
        n = len(graph)
        return cls(np.zeros(n, np.int64), np.zeros(1), np.zeros(1), np.ones(n))

    def check(self, graph: TaskGraph) -> None:
        """Raise `ValueError` unless these are submissions of a graph, and none would wait for ever."""
        if len(self.occasion) != len(graph):
            raise ValueError(f"the submissions are of {len(self.occasion)} tasks; the graph has {len(graph)}")
        reader = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
        if (self.occasion[graph.indices] <= self.occasion[reader]).all():
            return
        # A task that is submitted before what it reads waits for the occasion of that.
        latest = self.occasion.copy()
        for task in graph.topological_order.tolist():
            latest[task] = latest[graph.predecessors(task)].max(initial=latest[task])
        self._check(latest)

    def times(self, stop: np.ndarray) -> np.ndarray:
        """Return when each task was submitted [s], in a run in which the tasks stopped at these times."""
        order = np.argsort(stop, kind="stable")
        ended = np.cumsum(self.weight[order]) * (1 + TOLERANCE)
        last = np.minimum(np.searchsorted(ended, self.after), max(len(stop) - 1, 0))
        since = np.zeros(len(self.after))
        later = self.after > 0
        since[later] = stop[order][last[later]]
        return (since + self.pause)[self.occasion]


TOLERANCE = 1e-9
"""Weights are added up in another order than they were here: so much may be missing, relative to their sum."""
