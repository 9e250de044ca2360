"""A sampling profiler that looks at a program which repeats itself: `sample_profile`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, scalar, whole
from course.simulate.arguments import room, times


@dataclass(frozen=True, eq=False)
class SampledProfile:
    """What `sample_profile` saw.

    Attributes
    ----------
    truth : array, shape (phases,)
        The share of the time that each phase really takes.
    counts : array, shape (runs, phases)
        Samples that found the program in each phase.
    """

    truth: np.ndarray
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The share of the samples of each run that found each phase, shape (runs, phases)."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)


def sample_profile(
    phases: ArrayLike,
    *,
    interval: float,
    samples: int = 1000,
    jitter: float = 0.0,
    locked: Sequence[int] = (),
    runs: int = 1,
    seed: int = 0,
) -> SampledProfile:
    """Sample a program that goes through its phases again and again, as a profiler does.

    The first sample comes at a random instant of the program's period; each gap to the next is uniform between
    (1 - jitter) and (1 + jitter) intervals. While the program is in a locked phase the profiler cannot look: it waits,
    and sees the program as the phase ends; what was due meanwhile is one sample.

    Parameters
    ----------
    phases : array, shape (phases,)
        Seconds of each; their sum is the period.
    interval : float
        Mean seconds between two samples; 1e-6 to 1e6.
    samples : int
        How many are due in each run.
    jitter : float
        From 0 (periodic) to 1 (random).
    locked : sequence of int
        The phases during which the profiler waits, such as C code that keeps Python's interpreter lock.
    runs : int
        How often the experiment is made.
    seed : int
        The same seed, the same samples.

    Returns
    -------
    SampledProfile

    Raises
    ------
    ValueError
        Phases that are negative, or all of no length; a locked phase that there is not, or all locked; numbers outside
        their ranges; more than 20 million samples in all.

    Examples
    --------
    A function takes 3 of every 10 ms. A profiler that looks every 10 ms finds it always or never; one that looks at
    random finds it in about 30 % of its samples.

    >>> for jitter in (0.0, 1.0):
    ...     seen = sample_profile([0.003, 0.007], interval=0.010, jitter=jitter, runs=4, seed=1)
    ...     print(seen.shares[:, 0].round(2).tolist())
    [0.0, 0.0, 1.0, 0.0]
    [0.26, 0.28, 0.29, 0.31]

    Notes
    -----
    Predicted by `course.models.lockstep` and `course.models.jittered_standard_error`. Taught in chapter 11.

    References
    ----------
    McCanne, Torek: A randomized sampling clock for CPU utilization estimation and code profiling. USENIX Winter 1993.

    Mytkowicz, Diwan, Hauswirth, Sweeney: Evaluating the accuracy of Java profilers. PLDI 2010 (profilers that wait for
    a place where they may look, and what that hides).
    """
    lengths = times("phases", phases)
    if not 1e-6 <= lengths.sum() <= 1e6:
        raise ValueError(f"phases add up to {lengths.sum():g} s; they must add up to 1e-6 to 1e6 s")
    gap = scalar("interval", interval, low=1e-6, high=1e6)
    spread = scalar("jitter", jitter, low=0, high=1)
    n, m = whole("samples", samples, low=1, high=10**9), whole("runs", runs, low=1, high=10**9)
    room("samples times runs", n * m)
    closed = np.zeros(len(lengths), dtype=bool)
    try:
        chosen = [whole("locked", phase, high=len(lengths) - 1) for phase in locked]
    except TypeError:
        raise ValueError(f"locked is {locked!r:.80}; it must be a sequence of numbers of phases") from None
    closed[chosen] = True
    if not lengths[~closed].sum() > 0:
        raise ValueError(f"locked is {locked!r:.80}; a phase of some length must be open, or nothing is ever seen")

    rng = generator(seed)
    ends = np.cumsum(lengths)
    period = ends[-1]
    first = rng.random((m, 1)) * period
    gaps = gap * (1 + spread * rng.uniform(-1, 1, (m, n - 1))) if spread else np.full((m, n - 1), gap)
    due = np.concatenate([first, first + np.cumsum(gaps, axis=1)], axis=1)
    lap, place = np.divmod(due, period)
    phase = np.minimum(np.searchsorted(ends, place, side="right"), len(lengths) - 1)
    counted = np.ones(due.shape, dtype=bool)
    if closed.any():
        # From a locked phase on to the next open one, once for all that were due meanwhile.
        follower = np.array([_next_open(each, closed, lengths) for each in range(len(lengths))])
        waits = closed[phase]
        same = (lap[:, 1:] == lap[:, :-1]) & (follower[phase[:, 1:]] == follower[phase[:, :-1]])
        counted[:, 1:] = ~(waits[:, 1:] & waits[:, :-1] & same)
        phase = follower[phase]
    cell = phase + np.arange(m)[:, None] * len(lengths)
    counts = np.bincount(cell[counted], minlength=m * len(lengths)).reshape(m, -1)
    return SampledProfile(lengths / period, counts)


def _next_open(phase: int, closed: np.ndarray, lengths: np.ndarray) -> int:
    """Return the phase itself if it is open, or the first open one of some length that follows."""
    while closed[phase] or not lengths[phase]:
        phase = (phase + 1) % len(closed)
    return phase
