"""Repeated measurements: what a bootstrap of their median promises and keeps. Taught in chapter 02."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, plain, scalar, whole

MOST = 10_001
"""Runs up to which the weights are computed."""
MOST_PAIRED = 1001
"""Runs of each side up to which every pair of times is weighed."""
LONGEST = 1e100
"""Seconds; ratios of times up to this and down to its inverse do not overflow."""
MOST_ENUMERATED = 11
"""Runs of each side up to which every order of the times is tried: 705,432 of them."""


def bootstrap_median_weights(runs: int) -> np.ndarray:
    r"""Return the probability that the median of a bootstrap resample is the 1st, 2nd, …, n-th smallest of n times.

    A resample draws n of the n times with replacement. Its median is at most the j-th smallest when more than half
    of the draws are, and each is with probability j/n:

    .. math:: w_j = P\left[B(n, \tfrac jn) \ge \tfrac{n+1}2\right] - P\left[B(n, \tfrac{j-1}n) \ge \tfrac{n+1}2\right]

    with B binomial. So the bootstrap of a median needs no resampling at all.

    Parameters
    ----------
    runs : int
        n, times measured; odd, so that the median is one of them; at most `MOST`.

    Returns
    -------
    array, shape (runs,)
        Probabilities; their sum is 1.

    Raises
    ------
    ValueError
        An even number of runs, fewer than one or more than `MOST`.

    Examples
    --------
    Of 27 resamples of three times, 7 have the smallest as their median, 13 the middle one, 7 the largest:

    >>> (bootstrap_median_weights(3) * 27).round(9)
    array([ 7., 13.,  7.])

    Notes
    -----
    Taught in chapter 02.

    References
    ----------
    Efron: Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1), 1979, section 3.
    """
    return _weights(_odd(runs)).copy()


def median_interval_coverage(runs: int, level: float = 0.95) -> float:
    r"""Return how often the bootstrap interval of a median holds the true median, when the times are independent.

    The percentile interval goes from the j-th smallest to the j-th largest time, where j is the first at which the sum
    of `bootstrap_median_weights` reaches half of what the level leaves. It misses the true median when fewer than j
    times fall on one side of it, which is as likely as so many heads of a coin:

    .. math:: 1 - 2\, P\left[B(n, \tfrac12) \le j - 1\right]

    Parameters
    ----------
    runs : int
        n, times measured; odd; at most `MOST`.
    level : float
        What the interval promises, such as 0.95.

    Returns
    -------
    float
        The probability, whatever the distribution of the times (which must be continuous).

    Raises
    ------
    ValueError
        An even number of runs, fewer than one or more than `MOST`; a level outside [0, 1).

    Examples
    --------
    Three runs reach 75 %: with probability ¼ all three are on one side of the true median.

    >>> [round(median_interval_coverage(n), 4) for n in (3, 5, 7, 9)]
    [0.75, 0.9375, 0.875, 0.9609]

    Notes
    -----
    Chapter 02. That an interval between order statistics covers a median with binomial probability holds for any
    continuous distribution: David and Nagaraja: Order Statistics. 3rd ed., Wiley 2003, section 7.1.
    """
    from scipy.stats import binom

    n = _odd(runs)
    tail = (1 - _level(level)) / 2
    first = int(np.argmax(np.cumsum(_weights(n)) >= tail - 1e-12))  # j - 1
    return float(max(0.0, 1 - 2 * binom.cdf(first, n, 0.5)))


def bootstrap_ratio_interval(
    baseline: ArrayLike, candidate: ArrayLike, level: float = 0.95
) -> tuple[float, float] | tuple[np.ndarray, np.ndarray]:
    r"""Return the bootstrap interval of the ratio of two medians, candidate ÷ baseline, without resampling.

    .. math:: P\left(\text{ratio} = \frac{b_{(j)}}{a_{(i)}}\right) = w_i \, w_j

    Both sides are resampled independently of each other, so the ratio of the j-th smallest time of the candidate and
    the i-th smallest of the baseline has the weight :math:`w_i w_j` (`bootstrap_median_weights`). The ends are the
    first ratios up to which the weights sum to half of what the level leaves, and to the rest.

    Parameters
    ----------
    baseline, candidate : array, shape (..., runs)
        Times [s], an odd number of each; leading axes are experiments.
    level : float
        What the interval promises, such as 0.95.

    Returns
    -------
    low, high : float or array, shape (...)

    Raises
    ------
    ValueError
        Times below 1e-100 s or beyond 1e100 s; sides of different shapes; an even number of runs, or more than
        `MOST_PAIRED`; a level outside [0, 1).

    Examples
    --------
    >>> bootstrap_ratio_interval([1.0, 2.0, 4.0], [2.0, 4.0, 8.0])
    (0.5, 8.0)

    Notes
    -----
    What `course.measure.compare` approximates by resamples. Derived here from the weights of one median. Chapter 02.

    References
    ----------
    Efron: Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1), 1979, section 3.
    """
    a = number("baseline", baseline, low=1 / LONGEST, high=LONGEST)
    b = number("candidate", candidate, low=1 / LONGEST, high=LONGEST)
    if a.shape != b.shape or not a.ndim:
        raise ValueError(f"baseline has shape {a.shape}, candidate {b.shape}; both must be (…, runs), as many of each")
    weights = _weights(_odd(a.shape[-1], MOST_PAIRED))
    a, b = np.sort(a), np.sort(b)
    tail = (1 - _level(level)) / 2
    used = np.flatnonzero(weights > 1e-9)  # others cost time and change nothing
    a, b, weights = a[..., used], b[..., used], weights[used]
    ratios = (b[..., :, None] / a[..., None, :]).reshape(*a.shape[:-1], -1)
    order = np.argsort(ratios, axis=-1)
    share = np.cumsum(np.outer(weights, weights).ravel()[order], axis=-1)
    # The sum of all weights is 1 but for rounding.
    ends = [np.argmax(share >= part * share[..., -1:], axis=-1) for part in (tail, 1 - tail)]
    places = np.take_along_axis(order, np.stack(ends, axis=-1), axis=-1)
    low, high = np.moveaxis(np.take_along_axis(ratios, places, axis=-1), -1, 0)
    return plain(low), plain(high)


def false_alarm_probability(runs: int, level: float = 0.95) -> float:
    r"""Return how often a bootstrap of the ratio of two medians shows a difference where there is none: an A/A test.

    An interval of the ratio leaves out 1 when the resampled medians of one side are below those of the other too
    rarely. That depends on the order of the 2n times alone, and without a difference all orders are alike likely. So
    the share is that of the orders that raise the alarm, the same for every noise:

    .. math:: \#\left\{\text{orders}: \sum_i \sum_j w_i w_j\, [b_{(j)} < a_{(i)}] < \tfrac{1-\text{level}}2
              \text{ or } > \tfrac{1+\text{level}}2\right\} \Big/ \binom{2n}{n}

    Parameters
    ----------
    runs : int
        n, times of each side; odd; at most `MOST_ENUMERATED`.
    level : float
        What the interval promises, such as 0.95.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        An even number of runs, fewer than one or more than `MOST_ENUMERATED`; a level outside [0, 1).

    Examples
    --------
    With three runs of each, 2 of the 20 orders put all of one side before all of the other:

    >>> false_alarm_probability(3)
    0.1
    >>> round(false_alarm_probability(7), 3)
    0.041

    Notes
    -----
    Derived here. Chapter 02. The times must be independent of each other: drift, or a second run in the same process,
    breaks it. The argument by equally likely orders is that of a permutation test: Lehmann: Nonparametrics: Statistical
    Methods Based on Ranks. Holden-Day 1975, chapter 1.
    """
    n = _odd(runs, MOST_ENUMERATED)
    tail = (1 - _level(level)) / 2
    orders = _enumerated(n)
    # An interval without room: everything is outside, but for a tie of both halves.
    outside = (orders < tail - 1e-12) | (orders > 1 - tail + 1e-12)
    return float(outside.mean())


def quantile_interval(values: ArrayLike, q: float, level: float = 0.95) -> tuple[float, float]:
    r"""Return an interval for a quantile from independent observations, whatever their distribution.

    The number of observations that do not exceed the true quantile is binomial. The interval goes from the j-th to the
    k-th smallest, where

    .. math:: P[B(n, q) < j] \le \frac{1 - \text{level}}{2}, \qquad P[B(n, q) \ge k] \le \frac{1 - \text{level}}{2}

    with the largest such j and the smallest such k.

    Parameters
    ----------
    values : array, shape (n,)
        Observations, such as latencies [s].
    q : float
        Strictly between 0 and 1.
    level : float
        How often the interval holds the true quantile, at least.

    Returns
    -------
    low, high : float
        Two of the observations; −∞ or ∞ where no observation is low or high enough: there are too few.

    Raises
    ------
    ValueError
        No observations, or NaN; q or level out of range.

    Examples
    --------
    The 99th percentile of 1,000 latencies lies between the 983rd and the 997th, with 95 % confidence:

    >>> quantile_interval(range(1, 1001), 0.99)
    (983.0, 997.0)

    Of 367 or fewer, not even the largest is known to be above it: 0.99 ** 367 is 2.5 %.

    >>> quantile_interval(range(367), 0.99)[1]
    inf

    Notes
    -----
    Requests that queue together are not independent; what they tell is less than the interval says. Chapter 21. David
    and Nagaraja: Order Statistics. 3rd ed., Wiley 2003, section 7.1.
    """
    from scipy.stats import binom

    ordered = np.sort(number("values", values).ravel())
    n, tail = len(ordered), (1 - _level(level)) / 2
    if not n:
        raise ValueError("values is empty; a quantile needs observations")
    q = scalar("q", q, above=0, high=1)
    if q == 1:
        raise ValueError("q is 1; it must be below 1")
    below = binom.cdf(np.arange(n), n, q)  # P[B < 1], P[B < 2], …
    j = int(np.searchsorted(below, tail, side="right"))
    k = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return float(ordered[j - 1]) if j >= 1 else -np.inf, float(ordered[k - 1]) if k <= n else np.inf


@lru_cache(maxsize=32)
def _weights(n: int) -> np.ndarray:
    from scipy.stats import binom

    return np.diff(binom.sf((n + 1) // 2 - 1, n, np.arange(n + 1) / n))


@lru_cache(maxsize=8)
def _enumerated(n: int) -> np.ndarray:
    """Return, for each order of n times a among n times b, the bootstrap probability that b's median is below a's."""
    places = np.fromiter((k for each in combinations(range(2 * n), n) for k in each), np.int64).reshape(-1, n)
    below = places - np.arange(n)  # how many of b come before the i-th of a
    weights = _weights(n)
    return np.concatenate([[0.0], np.cumsum(weights)])[below] @ weights


def _odd(runs: int, most: int = MOST) -> int:
    n = whole("runs", runs, low=1, high=most)
    if n % 2 == 0:
        raise ValueError(f"runs is {n}; it must be odd, so that the median is one of the times")
    return n


def _level(level: float) -> float:
    level = scalar("level", level, low=0, high=1)
    if level == 1:
        raise ValueError("level is 1; it must be below 1: no finite sample is certain")
    return level
