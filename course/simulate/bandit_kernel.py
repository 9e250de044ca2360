"""The loop of `course.simulate.bandit`."""

from __future__ import annotations

import numpy as np
from numba import njit

UNIFORM, EPSILON, UCB, THOMPSON, REPLAY = 0, 1, 2, 3, 4


@njit(cache=True)
def play(costs: np.ndarray, day: np.ndarray, learner: int, explore: float, rng: np.random.Generator) -> np.ndarray:
    """Return which arm is chosen on each day. ``explore`` is ε, or what a standard deviation is taken to be."""
    arms = len(costs)
    seen, total, chosen = np.zeros(arms), np.zeros(arms), np.empty(len(day), np.int64)
    for t in range(len(day)):
        arm = 0
        if learner == UNIFORM or (learner == EPSILON and t >= arms and rng.random() < explore):
            arm = int(rng.random() * arms)
        elif t < arms and learner != REPLAY:
            arm = t
        else:
            least = np.inf
            for a in range(arms):
                index = total[a] / max(seen[a], 1.0)
                if learner == UCB:
                    index -= explore * np.sqrt(2 * np.log(t + 1.0) / seen[a])
                elif learner == THOMPSON:
                    index += explore * rng.standard_normal() / np.sqrt(seen[a])
                if index < least:
                    least, arm = index, a
        chosen[t] = arm
        for a in range(arms):
            if a == arm or learner == REPLAY:
                seen[a] += 1
                total[a] += costs[a, day[t]]
    return chosen
