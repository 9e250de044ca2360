"""`bandit`: learning which of several strategies is best, by using them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, number, one_of, scalar, whole
from course.simulate.arguments import room

LEARNERS = ("uniform", "epsilon", "ucb", "thompson", "replay")
"""Any arm; mostly the best so far; the one that may be best, by a confidence bound; one drawn by how likely it is best;
the best so far where, afterwards, the cost of every arm is known (no bandit: it can compute what would have been)."""


@dataclass(frozen=True, eq=False)
class Bandit:
    """What a learner chose.

    Attributes
    ----------
    chosen : array of int, shape (days,)
        The arm of each day.
    cost : array, shape (days,)
        What it cost.
    gaps : array, shape (arms,)
        By how much each arm's mean cost exceeds the best one's.
    """

    chosen: np.ndarray
    cost: np.ndarray
    gaps: np.ndarray

    @cached_property
    def regret(self) -> np.ndarray:
        """The sum of the gaps of what was chosen until each day, shape (days,)."""
        return np.cumsum(self.gaps[self.chosen])

    @property
    def counts(self) -> np.ndarray:
        """On how many days each arm was chosen, array of int, shape (arms,)."""
        return np.bincount(self.chosen, minlength=len(self.gaps))


def bandit(costs: ArrayLike, learner: str, days: int, *, explore: float | None = None, seed: int = 0) -> Bandit:
    """Let a learner choose an arm each day, and see what that cost.

    Parameters
    ----------
    costs : array, shape (arms, kinds of days)
        What each arm costs on each kind of day. The days are drawn from the columns with replacement, the same for
        every learner with the same seed.
    learner : str
        One of `LEARNERS`. All but "uniform" and "replay" try each arm once before they choose.
    days : int
        How many days.
    explore : float, optional
        For "epsilon" the share of days on which any arm is tried (0.1). For "ucb" and "thompson" what the standard
        deviation of a day's cost is taken to be: by default the largest that an arm has.
    seed : int

    Returns
    -------
    Bandit

    Raises
    ------
    ValueError
        Costs that are no finite table, an unknown learner, numbers out of range.

    Examples
    --------
    >>> played = bandit([[1.0, 3.0], [2.0, 4.0]], "replay", 1000)
    >>> played.gaps, played.counts, float(played.regret[-1])
    (array([0., 1.]), array([1000,    0]), 0.0)

    Notes
    -----
    "ucb" chooses the least mean − s √(2 ln t / n), with n the times that the arm was tried; with s = 1 and costs in
    [0, 1] that is UCB1. "thompson" adds s / √n times a standard normal to the mean. Chapter 24.

    References
    ----------
    Auer, Cesa-Bianchi, Fischer: Finite-time analysis of the multiarmed bandit problem. Machine Learning 47, 2002, pp.
    235–256.
    """
    from course.simulate import bandit_kernel as kernel

    table = number("costs", costs, low=-1e100, high=1e100)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"costs has shape {table.shape}; it must be (arms, kinds of days), with at least one of each")
    learner, days = one_of("learner", learner, LEARNERS), whole("days", days, low=1)
    room("days times arms", days * table.shape[0])
    if explore is None:
        explore = 0.1 if learner == "epsilon" else float(table.std(axis=1).max())
    explore = scalar("explore", explore, low=0, high=1 if learner == "epsilon" else 1e100)
    drawing, choosing = generator(seed).spawn(2)
    day = drawing.integers(table.shape[1], size=days)
    chosen = kernel.play(np.ascontiguousarray(table), day, LEARNERS.index(learner), explore, choosing)
    mean = table.mean(axis=1)
    return Bandit(chosen, table[chosen, day], mean - mean.min())
