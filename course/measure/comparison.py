"""Is one way faster than another? `compare` and `Comparison`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

THRESHOLD = 0.02
"""A difference below this share is not told from noise, whatever its interval."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of `compare`.

    Attributes
    ----------
    ratio : float
        Median time of the candidate divided by that of the baseline; below 1, the candidate is faster.
    interval : tuple of float
        95 % bootstrap interval of the ratio.
    verdict : str
        In words: ``"faster"``, ``"slower"`` or ``"no difference shown"``, with the numbers.
    baseline, candidate : array, shape (runs,)
        The times [s].
    """

    ratio: float
    interval: tuple[float, float]
    verdict: str
    baseline: np.ndarray
    candidate: np.ndarray

    @classmethod
    def of(cls, baseline: Any, candidate: Any, seed: int = 0) -> Comparison:
        """Compare times that were measured already.

        Examples
        --------
        >>> Comparison.of([2.0, 2.1, 1.9, 2.0, 2.0], [1.0, 1.0, 1.1, 0.9, 1.0])
        the candidate is faster: 0.50 of the baseline's time (95 % interval 0.45 to 0.55)
        """
        a, b = np.asarray(baseline, dtype=float), np.asarray(candidate, dtype=float)
        for name, times in (("baseline", a), ("candidate", b)):
            if times.ndim != 1 or len(times) < 3 or not (np.isfinite(times) & (times > 0)).all():
                raise ValueError(f"{name} is {times!r:.80}; it must be at least 3 positive times")
        rng = np.random.default_rng(seed)
        medians = [np.median(rng.choice(times, (4000, len(times))), axis=1) for times in (a, b)]
        low, high = (float(x) for x in np.percentile(medians[1] / medians[0], [2.5, 97.5]))
        ratio = float(np.median(b) / np.median(a))
        numbers = f"{ratio:.2f} of the baseline's time (95 % interval {low:.2f} to {high:.2f})"
        if low <= 1.0 <= high or abs(ratio - 1.0) < THRESHOLD:
            verdict = f"no difference shown: {numbers}"
        else:
            verdict = f"the candidate is {'faster' if ratio < 1 else 'slower'}: {numbers}"
        return cls(ratio, (low, high), verdict, a, b)

    def __repr__(self) -> str:
        return self.verdict


def compare(
    baseline: Callable[[], Any],
    candidate: Callable[[], Any],
    *,
    runs: int = 7,
    warm_up: int = 1,
    seed: int = 0,
    progress: bool = True,
) -> Comparison:
    """Time two callables, interleaved, and say whether their times differ.

    Parameters
    ----------
    baseline, candidate : callable
        What to time, without arguments.
    runs : int
        Timed runs of each, at least 3; from 6 on the interval can be trusted.
    warm_up : int
        Untimed runs of each beforehand.
    seed : int
        Of the order and of the bootstrap.
    progress : bool
        Whether to show how far it is, if it takes more than two seconds.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If `runs` is below 3 or `warm_up` negative.
    TypeError
        If `baseline` or `candidate` cannot be called.

    Notes
    -----
    Each pair of runs has one of both, in an order drawn at random: what drifts (a warming processor, a neighbour's
    job) then touches both alike, and an order that suits one cannot recur. The interval resamples each
    side's times with replacement (percentile bootstrap of the ratio of medians). "No difference shown" is said
    where it contains 1, or the ratio is within 2 % of 1; it does not say that there is none.

    References
    ----------
    Efron, Tibshirani: An Introduction to the Bootstrap. Chapman & Hall, 1993, chapter 13.

    Kalibera, Jones: Rigorous benchmarking in reasonable time. ISMM 2013.

    Taught in chapter 02.

    Examples
    --------
    >>> import time
    >>> compare(lambda: time.sleep(0.02), lambda: time.sleep(0.002), runs=5).ratio < 0.5
    True
    """
    for name, function in (("baseline", baseline), ("candidate", candidate)):
        if not callable(function):
            raise TypeError(f"{name} is {function!r:.80}; it must be callable without arguments")
    if runs < 3 or warm_up < 0:
        raise ValueError(f"runs={runs}, warm_up={warm_up}: need runs >= 3 and warm_up >= 0")
    sides = (baseline, candidate)
    for _ in range(warm_up):
        for side in sides:
            side()
    rng = np.random.default_rng(seed)
    times: tuple[list[float], list[float]] = ([], [])
    began, shown = time.perf_counter(), False
    for k in range(runs):
        first = int(rng.integers(2))
        for which in (first, 1 - first):
            start = time.perf_counter()
            sides[which]()
            times[which].append(time.perf_counter() - start)
        if progress and (shown or time.perf_counter() - began > 2.0):
            shown = True
            print(f"\rcompare: {k + 1} of {runs} pairs", end="" if k + 1 < runs else "\n", flush=True)
    return Comparison.of(*times, seed=seed)
