"""Long work on machines that fail, saved now and then: `checkpoint`, and one run part by part, `checkpointed_run`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, number, scalar, whole
from course.simulate.arguments import room

MOST_STEPS = 50_000_000
"""Segments and failures that one simulation goes through at most (some seconds)."""


@dataclass(frozen=True, eq=False)
class Checkpointed:
    """How long the same work took in independent runs; arrays of shape (runs,).

    Attributes
    ----------
    time : array
        Seconds until the work was done and saved.
    failures : array of int
        How often it was interrupted.
    work : float
        Seconds that it takes without failures and checkpoints.
    """

    time: np.ndarray
    failures: np.ndarray
    work: float

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"Checkpointed({len(self)} runs, mean {self.time.mean():.4g} s, efficiency {self.efficiency:.3f})"

    @property
    def efficiency(self) -> float:
        """The share of the time that went into work that was kept."""
        total = self.time.sum()
        return float(self.work * len(self) / total) if total else 1.0


def checkpoint(
    work: float,
    interval: float,
    checkpoint_cost: float,
    mtbf: float,
    restart_cost: float = 0.0,
    runs: int = 100,
    *,
    shape: float = 1.0,
    seed: int = 0,
) -> Checkpointed:
    r"""Simulate work that is saved after every interval, on a machine that fails.

    Parameters
    ----------
    work : float
        Seconds of work in all.
    interval : float
        τ, seconds of work between two checkpoints. The last part of the work, which may be shorter, is saved too.
    checkpoint_cost : float
        δ, seconds that saving takes; a failure during it loses the interval.
    mtbf : float
        M, mean seconds between failures.
    restart_cost : float
        R, seconds from a failure until work goes on; another failure during them starts them afresh.
    runs : int
        Independent runs.
    shape : float
        Of the Weibull distribution of the times between failures, from 0.1 to 10: 1 exponential (failures without
        memory); below 1, a failure is more likely soon after another, as large machines have shown.
    seed : int

    Returns
    -------
    Checkpointed

    Raises
    ------
    ValueError
        Numbers out of range; work that would practically never be done.

    Examples
    --------
    >>> saved = checkpoint(work=3600, interval=60, checkpoint_cost=1, mtbf=1e9, runs=2)
    >>> saved.time, round(saved.efficiency, 4)
    (array([3660., 3660.]), 0.9836)

    Notes
    -----
    For exponential failures and whole intervals the mean is Daly's

    .. math:: E[T] = \frac{W}{\tau} \, M e^{R/M} \left(e^{(\tau + \delta)/M} - 1\right)

    The times between failures run on from one interval to the next, and begin afresh with each failure. Taught in
    chapter 16.

    References
    ----------
    Daly: A higher order estimate of the optimum checkpoint interval for restart dumps. Future Generation Computer
    Systems 22(3), 2006.
    Schroeder, Gibson: A large-scale study of failures in high-performance computing systems. DSN 2006 (the shape).
    """
    from scipy.special import gamma

    from course.simulate.checkpoint_kernels import run

    work = scalar("work", work, low=0, high=1e100)
    interval = scalar("interval", interval, above=0)
    cost = scalar("checkpoint_cost", checkpoint_cost, low=0, high=1e100)
    mtbf = scalar("mtbf", mtbf, above=0, high=1e100)
    restart = scalar("restart_cost", restart_cost, low=0, high=1e100)
    runs = whole("runs", runs, low=1)
    shape = scalar("shape", shape, low=0.1, high=10)
    rng = generator(seed)
    with np.errstate(over="ignore"):
        # Rounding must not add a part: 3 / 0.1 is more than 30 - or less.
        parts = np.ceil(np.float64(work) / interval * (1 - 1e-12))
    room("the number of intervals × runs", parts * runs, MOST_STEPS)
    time, failures, done = run(
        int(parts),
        interval,
        work - (int(parts) - 1) * interval,
        cost,
        mtbf / gamma(1 + 1 / shape),
        restart,
        runs,
        shape,
        MOST_STEPS,
        rng,
    )
    if not done:
        raise ValueError(
            f"interval is {interval:g}; with mtbf = {mtbf:g} the work is not done after {MOST_STEPS:,} failures:"
            " interval + checkpoint_cost and restart_cost must not be many times the mtbf"
        )
    return Checkpointed(time, failures, work)


class Part(NamedTuple):
    """A stretch of a checkpointed run: what it was, from when to when [s], and the work that is safe at its end [s]."""

    kind: str
    start: float
    stop: float
    saved: float


PARTS = ("work", "checkpoint", "lost", "restart")
"""Work that is kept; saving it; what a failure made void (work, and a checkpoint that was not done); restarting."""


def checkpointed_run(
    lifetimes: ArrayLike, work: float, interval: float, checkpoint_cost: float, restart_cost: float = 0.0
) -> list[Part]:
    """Return one run of work that is saved after every interval, part by part, for given times of failure.

    Parameters
    ----------
    lifetimes : array, shape (failures,)
        Seconds from the start to the first failure, from each failure to the next. After the last there is none.
    work, interval, checkpoint_cost, restart_cost : float
        As in `checkpoint`, of which this is one run.

    Returns
    -------
    list of Part
        In the order of time, without gaps; the last ends when all is done and saved.

    Raises
    ------
    ValueError
        Numbers out of range; more than a million intervals.

    Examples
    --------
    Four seconds of work, saved every two; the machine fails after 3.5 s, while it works on the second half:

    >>> for part in checkpointed_run([3.5], work=4, interval=2, checkpoint_cost=0.5, restart_cost=1):
    ...     print(*part)
    work 0.0 2.0 0.0
    checkpoint 2.0 2.5 2.0
    lost 2.5 3.5 2.0
    restart 3.5 4.5 2.0
    work 4.5 6.5 2.0
    checkpoint 6.5 7.0 4.0

    Notes
    -----
    A failure at the very instant at which a checkpoint ends comes after it. A failure during a restart starts that
    afresh. Chapter 16. Source: as `checkpoint`.
    """
    lives = number("lifetimes", lifetimes, low=0)
    if lives.ndim != 1:
        raise ValueError(f"lifetimes has shape {lives.shape}; it must be a list of numbers")
    work = scalar("work", work, low=0, high=1e100)
    interval = scalar("interval", interval, above=0)
    cost = scalar("checkpoint_cost", checkpoint_cost, low=0, high=1e100)
    restart = scalar("restart_cost", restart_cost, low=0, high=1e100)
    count = int(np.ceil(np.float64(min(work / interval, 1e9)) * (1 - 1e-12)))
    room("the number of intervals", count, 1_000_000)
    parts: list[Part] = []
    now, done, failures = 0.0, 0, iter(lives.tolist())
    dies = next(failures, np.inf)
    while done < count:
        saved, after = done * interval, min((done + 1) * interval, work)
        worked = now + after - saved
        if dies < worked + cost:
            parts.append(Part("lost", now, dies, saved))
            back = False
            while not back:
                now, dies = dies, dies + next(failures, np.inf)
                back = dies >= now + restart
                if restart:
                    parts.append(Part("restart", now, min(now + restart, dies), saved))
            now += restart
            continue
        parts += [Part("work", now, worked, saved), Part("checkpoint", worked, worked + cost, after)]
        now, done = worked + cost, done + 1
    return parts
