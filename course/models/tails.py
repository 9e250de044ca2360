"""Tails: what the slowest of many does to all, and what a second copy of a request does to it. Taught in chapter 16.

A *tail* here is a survival function: a callable that takes times [s], as an array, and returns the probabilities that
they are exceeded; ``scipy.stats.lognorm(1.0).sf`` is one. The functions that change a tail are used one inside another:
``tail_quantile(0.99, lambda t: hedged_tail(t, survival, delay=0.01))``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad
from scipy.special import digamma

from course.domain import number, plain, scalar
from course.models.quantity import LARGEST, amount, count, positive

Number = float | np.ndarray
Tail = Callable[[np.ndarray], ArrayLike]


def fan_out_probability(slow_probability: ArrayLike, requests: ArrayLike) -> Number:
    r"""Return the probability that at least one of many requests is slow, and with it the user who waits for them all.

    .. math:: P_k = 1 - (1 - q)^k

    Parameters
    ----------
    slow_probability : float or array
        q, of one request.
    requests : int or array
        k, that are sent at once, to servers that are slow independently of each other.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    One request in a hundred is slow; of users who need a hundred of them, 63 in a hundred wait for a slow one.

    >>> round(fan_out_probability(0.01, 100), 3)
    0.634

    Notes
    -----
    Chapter 16. Dean, Barroso: The tail at scale. Communications of the ACM 56(2), 2013.
    """
    slow = number("slow_probability", slow_probability, low=0, high=1)
    requests = count("requests", requests, low=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # By logarithms, since 1 − q rounds to 1 for a rare event.
        return plain(np.where(requests == 0, 0.0, -np.expm1(requests * np.log1p(-slow))))


def fan_out_quantile(q: ArrayLike, requests: ArrayLike) -> Number:
    r"""Return which quantile of one request is the u-quantile of the slowest of many: :math:`u^{1/k}`.

    Parameters
    ----------
    q : float or array
        u, the quantile of all together, in [0, 1].
    requests : int or array
        k, that are sent at once.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    With a hundred requests the median user waits for what one request in 145 exceeds.

    >>> round(fan_out_quantile(0.5, 100), 4)
    0.9931

    Notes
    -----
    Chapter 16. Source: as `fan_out_probability`.
    """
    return plain(number("q", q, low=0, high=1) ** (1 / count("requests", requests)))


def expected_maximum_exponential(requests: ArrayLike, rate: ArrayLike = 1.0, needed: ArrayLike | None = None) -> Number:
    r"""Return the mean time until all of n exponential requests are back, or the first k of them [s].

    .. math:: E[T_{(k)}] = \frac{H_n - H_{n-k}}{\mu}, \quad H_n = 1 + \tfrac{1}{2} + \dots + \tfrac{1}{n}

    Parameters
    ----------
    requests : int or array
        n, sent at once.
    rate : float or array
        μ, of one request, per second; it takes 1 / μ in the mean.
    needed : int or array, optional
        k, how many must be back; all n unless given.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    The last 10 of 100 take longer than the 90 before them.

    >>> round(expected_maximum_exponential(100), 3), round(expected_maximum_exponential(100, needed=90), 3)
    (5.187, 2.258)

    Notes
    -----
    While n are on their way, the next is back after 1 / (nμ), then n − 1 are on their way (Rényi). Grows as the
    logarithm of n. Chapters 03 and 16.

    References
    ----------
    Rényi: On the theory of order statistics. Acta Mathematica Academiae Scientiarum Hungaricae 4, 1953.
    """
    requests, rate = count("requests", requests), positive("rate", rate)
    needed = requests if needed is None else count("needed", needed)
    if np.any(needed > requests):
        raise ValueError(f"needed is {np.max(needed):g}; it must be at most the requests, {np.max(requests):g}")
    left = requests - needed
    # H is a digamma function. Where few of very many are needed, the difference of two such loses its digits; there
    # H_n − H_m is ln((n + ½) / (m + ½)), and a correction.
    correction = ((requests + 0.5) ** -2.0 - (left + 0.5) ** -2.0) / 24
    close = np.log1p(needed / (left + 0.5)) + correction
    return plain(np.where(left > 1000, close, digamma(requests + 1) - digamma(left + 1)) / rate)


def _tail(survival: Tail, time: np.ndarray) -> np.ndarray:
    """Return the probabilities of exceeding some times, checked."""
    if not callable(survival):
        raise ValueError(f"survival is {survival!r:.80}; it must be a function of time, such as scipy.stats.expon().sf")
    return np.broadcast_to(number("survival(time)", survival(time), low=0, high=1), time.shape)


def hedged_tail(time: ArrayLike, survival: Tail, delay: ArrayLike) -> Number:
    r"""Return the probability that a hedged request takes longer than a time.

    If there is no answer after the delay, a second request is sent to another server; the first answer counts.

    .. math:: P(T > t) = S(t) \, S(t - d), \quad t \ge d; \qquad S(t), \quad t < d

    Parameters
    ----------
    time : float or array
        t [s].
    survival : callable
        S, the tail of one request: times [s], as an array, ↦ the probabilities of taking longer.
    delay : float or array
        d, until the second request is sent [s]; 0 sends both at once.

    Returns
    -------
    float or array
        In [0, 1], of the shape of ``time``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    One request in 50 meets a slow server, and takes a second.

    >>> import numpy as np
    >>> survival = lambda t: np.where(t < 0.01, 1.0, np.where(t < 1.0, 0.02, 0.0))
    >>> float(survival(0.5)), round(hedged_tail(0.5, survival, delay=0.01), 6), hedged_extra(survival, delay=0.01)
    (0.02, 0.0004, 0.02)

    Notes
    -----
    Assumes that the two servers are slow independently of each other, and that so few extra requests (`hedged_extra`)
    add no load to speak of. Chapter 16. Dean, Barroso: The tail at scale. Communications of the ACM 56(2), 2013.
    """
    time, delay = np.broadcast_arrays(amount("time", time), amount("delay", delay))
    second = np.where(time < delay, 1.0, _tail(survival, np.maximum(time - delay, 0.0)))
    return plain(_tail(survival, time) * second)


def hedged_extra(survival: Tail, delay: ArrayLike) -> Number:
    r"""Return the share of extra requests that hedging sends: of those without an answer after the delay.

    .. math:: S(d) = P(T > d)

    Parameters
    ----------
    survival, delay
        P(T > ·) and d, as in `hedged_tail`. A delay at the 95th percentile sends 5 % more.

    Returns
    -------
    float or array
        In [0, 1], of the shape of ``delay``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> from scipy.stats import expon
    >>> round(hedged_extra(expon.sf, delay=3.0), 3)
    0.05

    Notes
    -----
    Chapter 16. Source: as `hedged_tail`.
    """
    return plain(_tail(survival, amount("delay", delay)))


def tied_tail(time: ArrayLike, wait_survival: Tail, copies: int = 2) -> Number:
    r"""Return the probability that a tied request waits longer than a time.

    Copies are queued at several servers at once; the first that begins to serve its copy cancels the others.

    .. math:: P(\text{wait} > t) = S_w(t)^k

    Parameters
    ----------
    time : float or array
        t [s].
    wait_survival : callable
        The tail of the wait in one server's queue, without the service: `mmc` gives P(W > t) = C exp(−(cμ − λ) t).
    copies : int
        k.

    Returns
    -------
    float or array
        In [0, 1], of the shape of ``time``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    At four fifths of the capacity, four in five requests would wait; tied to two servers, 64 in a hundred.

    >>> import numpy as np
    >>> round(tied_tail(0.0, lambda t: 0.8 * np.exp(-0.2 * t)), 2)
    0.64

    Notes
    -----
    Assumes that cancelling takes no time, that the servers' queues are independent, and that the other requests are not
    tied. If all are, a request waits for the first of its k servers to be free; tied to all c, they have one queue
    between them: `mmc`. Unlike hedging no work is done twice. Chapter 16.

    References
    ----------
    Dean, Barroso 2013, as `hedged_tail`. All requests tied: Ayesta, Bodas, Verloop: On a unifying product form
    framework for redundancy models. Performance Evaluation 127–128, 2018.
    """
    return plain(_tail(wait_survival, amount("time", time)) ** count("copies", copies))


def tail_quantile(q: ArrayLike, survival: Tail) -> Number:
    r"""Return the time that a share q of all does not exceed [s], from any tail.

    .. math:: t_q = \min \, \{ t : S(t) \le 1 - q \}

    Parameters
    ----------
    q : float or array
        q, at least 0, and below 1.
    survival : callable
        S, the tail: times [s], as an array, ↦ the probabilities of taking longer.

    Returns
    -------
    float or array
        Seconds, of the shape of ``q``.

    Raises
    ------
    ValueError
        If q is not reached up to 1e30 s.

    Examples
    --------
    What hedging after its 95th percentile does to the 99.9th of an exponential request:

    >>> from scipy.stats import expon
    >>> round(tail_quantile(0.999, expon.sf), 2)
    6.91
    >>> round(tail_quantile(0.999, lambda t: hedged_tail(t, expon.sf, delay=3.0)), 2)
    4.95

    Notes
    -----
    By bisection, to 12 digits (fewer for a q near 0, of which 1 − q has rounded); a tail may fall in steps. Chapter 16.
    By definition.
    """
    q = number("q", q, low=0)
    if (q >= 1).any():
        raise ValueError(f"q is {q.max():g}; it must be at least 0 and below 1")

    def solve(q: float) -> float:
        def reached(time: float) -> bool:
            return float(_tail(survival, np.array(time))) <= 1 - q

        if reached(0.0):
            return 0.0
        if not reached(LARGEST):
            raise ValueError(f"survival is {float(_tail(survival, np.array(LARGEST))):g} at {LARGEST:g} s; q is {q:g}")
        # Bisection of the logarithm, from 1e-30 s to 1e30 s.
        low, high = -np.log(LARGEST), np.log(LARGEST)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if reached(np.exp(middle)) else (middle, high)
        return float(np.exp(high))

    return plain(np.vectorize(solve, otypes=[float])(q))


def tail_mean(survival: Tail) -> float:
    r"""Return the mean of a time from its tail [s]: :math:`\int_0^\infty P(T > t) \, dt`.

    Parameters
    ----------
    survival : callable
        The tail: times [s], as an array, ↦ the probabilities of taking longer.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If the tail is so heavy that there is no mean.

    Examples
    --------
    >>> from scipy.stats import pareto
    >>> round(tail_mean(pareto(3).sf), 6)
    1.5

    Notes
    -----
    To 6 digits. Chapter 16. Derived here: the definition of the mean, integrated by parts.
    """

    # Octave by octave from 1e-30 s to 1e30 s: a rare slow mode may be far from the rest.
    octave = 2.0 ** np.arange(-100, 99)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    nodes, weights = (1 + nodes) / 2, weights / 2
    part = octave * (_tail(survival, octave[:, None] * (1 + nodes)) @ weights)
    # Again in two unequal parts, so that no step can lie where it is seen neither time.
    cut = 0.382
    pieces = np.concatenate([cut * nodes, cut + (1 - cut) * nodes])
    weights = np.concatenate([cut * weights, (1 - cut) * weights])
    finer = octave * (_tail(survival, octave[:, None] * (1 + pieces)) @ weights)
    tolerance = 1e-10 * finer.sum()
    for k in np.flatnonzero(np.abs(finer - part) > tolerance):  # the tail has a step here
        unit = octave[k]
        finer[k], *_ = quad(
            lambda t: float(_tail(survival, np.array(t))),
            unit,
            2 * unit,
            points=[(1 + cut) * unit],
            epsabs=tolerance,
            epsrel=1e-12,
            limit=200,
            full_output=True,  # rounding noise is no reason to warn
        )
    if finer[-1] > 1e-6 * finer.sum():
        raise ValueError(f"survival is too heavy: {finer[-1]:g} s of the mean lie beyond 1e29 s; it must have a mean")
    return float(finer.sum())


class Speculation(NamedTuple):
    """What speculative execution brings and costs: means, in seconds.

    ``duration`` is until the first copy of a task is done, ``work`` what all its copies together keep workers busy, and
    ``makespan`` until all tasks are done; ``copies`` is how many copies of a task are started.
    """

    duration: float
    work: float
    makespan: float
    copies: float


def speculative_execution(survival: Tail, delay: float, tasks: int = 1) -> Speculation:
    r"""Return what it brings to start a second copy of each task that is not done after a delay.

    .. math:: E[T] = \int_0^\infty H(t) \, dt, \quad E[\text{work}] = E[T] + \int_d^\infty H(t) \, dt, \quad
              E[\max] = \int_0^\infty 1 - (1 - H(t))^n \, dt

    with H(t) the `hedged_tail`.

    Parameters
    ----------
    survival : callable
        The tail of the duration of one task: times [s], as an array, ↦ the probabilities of taking longer.
    delay : float
        d, after which the copy is started on another worker [s].
    tasks : int
        n, that run at the same time, each on a worker of its own.

    Returns
    -------
    Speculation
        What one task, and all of them, take with and without second copies.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Tasks of a second, of which one in twenty takes ten: a hundred of them would take ten seconds without copies.

    >>> import numpy as np
    >>> survival = lambda t: np.where(t < 1, 1.0, np.where(t < 10, 0.05, 0.0))
    >>> [round(value, 2) for value in speculative_execution(survival, delay=1.5, tasks=100)]
    [1.09, 1.16, 4.15, 1.05]

    Notes
    -----
    Assumes that the copies' durations are independent: it is the worker that is slow and not the task. With exponential
    durations the copies cost exactly the work that they save; with lighter tails, more. Chapter 16.

    References
    ----------
    Dean, Ghemawat: MapReduce: simplified data processing on large clusters. OSDI 2004, section 3.6.
    """
    delay, tasks = scalar("delay", delay, low=0, high=1e29), scalar("tasks", tasks, count)

    def hedged(time: np.ndarray) -> Number:
        return hedged_tail(time, survival, delay)

    duration = tail_mean(hedged)
    beyond = tail_mean(lambda t: hedged(t + delay)) if hedged_extra(survival, delay) else 0.0
    makespan = tail_mean(lambda t: fan_out_probability(hedged(t), tasks))
    return Speculation(duration, duration + beyond, makespan, 1 + hedged_extra(survival, delay))
