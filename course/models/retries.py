"""Retries: how they multiply the load, and when they keep a service down. Taught in chapters 09 and 16."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from course.domain import number, plain, whole
from course.models.quantity import amount, positive

Number = float | np.ndarray


def retry_amplification(failure_probability: ArrayLike, attempts: ArrayLike, layers: ArrayLike = 1) -> Number:
    r"""Return the calls that the lowest layer gets for each request, when each layer above it retries.

    .. math:: 1 + q + q^2 + \ldots + q^{a^L - 1} = \frac{1 - q^{a^L}}{1 - q}

    Parameters
    ----------
    failure_probability : float or array
        q, the probability that one call to the lowest layer fails; calls fail independently.
    attempts : int or array
        a, calls that a layer makes at most, the first included; 1 to 1000.
    layers : int or array
        L, layers that retry; 0 to 100.

    Returns
    -------
    float or array
        Calls for each request, from 1 to a^L; of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Three layers with four attempts each. A few failures cost little; a failed backend gets 64 times the load:

    >>> retry_amplification([0.01, 0.5, 1.0], attempts=4, layers=3).round(2)
    array([ 1.01,  2.  , 64.  ])

    Notes
    -----
    Chapters 09 and 16. The layers together make up to a^L calls, and stop at the first that succeeds.

    References
    ----------
    Beyer, Jones, Petoff, Murphy (eds.): Site Reliability Engineering. O'Reilly 2016, chapter 22.
    """
    p = number("failure_probability", failure_probability, low=0, high=1)
    attempts = number("attempts", attempts, low=1, high=1000, whole=True)
    most = attempts ** number("layers", layers, low=0, high=100, whole=True)
    works = 1 - p
    # log1p and expm1 keep the digits where nearly every call fails; where each does, the limit is a^L.
    with np.errstate(divide="ignore", invalid="ignore"):
        sum_of_powers = -np.expm1(most * np.log1p(-works)) / works
    return plain(np.where(works == 0, most, np.where(p == 0, 1.0, sum_of_powers)))


@dataclass(frozen=True)
class RetryStorm:
    """The load under which a service that is retried lives in equilibrium; as `retry_storm` gives it.

    Attributes
    ----------
    state : {"stable", "vulnerable", "overloaded"}
        ``stable``: it recovers from every disturbance. ``vulnerable``: it runs well, but a disturbance that lifts the
        load above ``tipping`` tips it into a storm that feeds itself and stays when the disturbance is over (a
        metastable failure). ``overloaded``: it ends in the storm by itself.
    normal : float
        Attempts per second in good operation; NaN if there is none (overloaded).
    tipping : float
        The load above which it runs away; NaN unless vulnerable.
    storm : float
        Attempts per second in the storm, where each attempt times out; NaN if there is none (stable).
    """

    state: str
    normal: float
    tipping: float
    storm: float


def retry_storm(arrival_rate: float, service_rate: float, timeout: float, attempts: int) -> RetryStorm:
    r"""Return the equilibria of a service whose clients give up after a time-out and try again.

    .. math:: x = \lambda \sum_{i=0}^{a-1} p(x)^i, \qquad p(x) = e^{-(\mu - x) t} \; (x < \mu), \quad 1 \; (x \ge \mu)

    Parameters
    ----------
    arrival_rate : float
        λ, new requests per second.
    service_rate : float
        μ, attempts that the service works off per second.
    timeout : float
        t, seconds after which a client gives up. The service does not notice and does the work in vain.
    attempts : int
        a, tries that a request has at most, the first included; 1 to 1000.

    Returns
    -------
    RetryStorm
        The ``state``, and the loads x [attempts/s] that reproduce themselves.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A service for 100 requests a second, clients that wait 0.1 s and try three times. At 30 a second it is safe; at 50
    it runs as well, but a disturbance that brings 95 attempts a second leaves 150 a second behind, for ever:

    >>> retry_storm(30, 100, 0.1, attempts=3).state
    'stable'
    >>> storm = retry_storm(50, 100, 0.1, attempts=3)
    >>> storm.state, round(storm.normal, 1), round(storm.tipping, 1), storm.storm
    ('vulnerable', 50.4, 94.3, 150.0)

    Notes
    -----
    Chapters 09 and 16. Assumes an M/M/1 queue, in which a response takes longer than t with probability p(x), that
    retries come after a pause long enough to look like new arrivals, and that the load changes slowly against the
    queue. p and its powers are convex in x, so below μ there are two equilibria at most: the lower is stable, the
    upper is the tipping point. Without retries (one attempt) nothing feeds itself: it is stable below μ, and overloaded
    from μ on. The limits of λ between the states are `retry_storm_limits`.

    References
    ----------
    The states are those of: Bronson, Aghayev, Charapko, Zhu: Metastable failures in distributed systems. HotOS 2021;
    Huang et al.: Metastable failures in the wild. OSDI 2022. The formula is derived here.
    """
    rate, patience, attempts = _retried(service_rate, timeout, attempts)
    load = _single("arrival_rate", amount("arrival_rate", arrival_rate)) / rate
    storm = load * attempts * rate if load * attempts >= 1 else np.nan

    def excess(x: float) -> float:
        return load * _attempts(x, patience, attempts) - x

    # The excess is convex and above 0 at 0: its roots are on either side of its lowest point.
    lowest = _crossing(lambda x: load * _attempts_slope(x, patience, attempts) - 1)
    # An excess that falls to 0 only at μ leaves no good operation: there every attempt times out, which is the storm.
    if excess(lowest) > 0 or (lowest == 1 and load * attempts >= 1):
        return RetryStorm("overloaded", np.nan, np.nan, storm)
    normal = rate * optimize.brentq(excess, 0.0, lowest, xtol=1e-15)
    if np.isnan(storm):
        return RetryStorm("stable", normal, np.nan, np.nan)
    return RetryStorm("vulnerable", normal, rate * optimize.brentq(excess, lowest, 1.0, xtol=1e-15), storm)


def retry_storm_limits(service_rate: float, timeout: float, attempts: int) -> tuple[float, float]:
    r"""Return the arrival rates up to which a service with retries is stable, and up to which it can run at all [1/s].

    .. math:: \lambda_{\text{stable}} = \frac{\mu}{a}, \qquad
              \lambda_{\text{critical}} = \max_{x \le \mu} \frac{x}{\sum_{i=0}^{a-1} p(x)^i}

    Parameters
    ----------
    service_rate, timeout, attempts
        As in `retry_storm`. Between the two limits the service is vulnerable.

    Returns
    -------
    stable, critical : float
        Requests per second; ``stable`` is the lower.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> stable, critical = retry_storm_limits(100, 0.1, attempts=3)
    >>> round(stable, 1), round(critical, 1)
    (33.3, 69.5)

    Notes
    -----
    Chapters 09 and 16. Each attempt more takes away from what is safe, though it helps while all is well. Source: as
    `retry_storm`.
    """
    rate, patience, attempts = _retried(service_rate, timeout, attempts)
    # λ = x / A(x) is largest where A(x) = x A′(x); the difference falls with x, as A is convex.
    best = _crossing(lambda x: x * _attempts_slope(x, patience, attempts) - _attempts(x, patience, attempts))
    stable = rate / attempts
    return stable, max(rate * best / _attempts(best, patience, attempts), stable)


def _retried(service_rate: float, timeout: float, attempts: int) -> tuple[float, float, int]:
    """Return the service rate, the time-out in mean services, and the attempts, checked."""
    rate = _single("service_rate", positive("service_rate", service_rate))
    patience = rate * _single("timeout", amount("timeout", timeout))
    return rate, patience, whole("attempts", attempts, low=1, high=1000)


def _single(name: str, value: np.ndarray) -> float:
    if value.ndim:
        raise ValueError(f"{name} has shape {value.shape}; it must be a single number")
    return float(value)


def _attempts(x: float, patience: float, attempts: int) -> float:
    """Return the mean attempts for a request, A, when the service has x (0 to 1) of the load that it can bear."""
    return float(np.exp(-np.arange(attempts) * patience * (1 - x)).sum())


def _attempts_slope(x: float, patience: float, attempts: int) -> float:
    """Return the derivative of `_attempts` by x."""
    i = np.arange(attempts)
    return float((i * patience * np.exp(-i * patience * (1 - x))).sum())


def _crossing(rising: Callable[[float], float]) -> float:
    """Return where in [0, 1] a rising function is 0; the end next to it where it is not."""
    if rising(0.0) >= 0:
        return 0.0
    return 1.0 if rising(1.0) <= 0 else optimize.brentq(rising, 0.0, 1.0, xtol=1e-15)
