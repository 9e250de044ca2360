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
        Arrays of the wrong shape; an occasion that would wait for ever, because it is after tasks that come with it or
        later.

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
        k, n = len(self.after), len(self.occasion)
        if self.pause.shape != (k,) or self.after.shape != (k,) or self.weight.shape != (n,):
            raise ValueError(
                f"after and pause have shapes {self.after.shape} and {self.pause.shape}, occasion and weight"
                f" {self.occasion.shape} and {self.weight.shape}; each pair must be alike"
            )
        if n and not (self.occasion.min() >= 0 and self.occasion.max() < k):
            raise ValueError(f"occasion is in {self.occasion.min()} … {self.occasion.max()}; allowed: 0 … {k - 1}")
        if not (self.pause >= 0).all() or not (np.diff(self.after, prepend=0) >= 0).all():
            raise ValueError("pause must be at least 0, and after must not fall")
        before = np.cumsum(np.bincount(self.occasion, self.weight, k)) - np.bincount(self.occasion, self.weight, k)
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


TOLERANCE = 1e-9
"""Weights are added up in another order than they were here: so much may be missing, relative to their sum."""
