"""Queues in equilibrium: how long customers wait at one station. Taught in chapter 12."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import exprel, gammainc, gammaincc, lambertw

from course.domain import number, plain, scalar
from course.models.erlang import erlang_b, erlang_c, poisson, stable
from course.models.quantity import amount, count, positive

Number = float | np.ndarray

MOST_PLACES = 10**6
"""The most places to wait for which `mmck` has quantiles: it adds up a term for each."""


@dataclass(frozen=True, eq=False)
class Queue:
    """The means of a queue in equilibrium. Times in seconds; arrays where the arguments were arrays.

    Attributes
    ----------
    utilization : float or array
        Share of the servers' time in which they serve, ρ.
    wait_probability : float or array
        The probability that a customer has to wait at all; NaN where there is no closed form.
    mean_wait, mean_response : float or array
        Mean seconds before service begins, and until it ends.
    mean_queue, mean_number : float or array
        Mean customers who wait, and who are in the system.
    blocking_probability : float or array
        The probability that a customer is turned away (0 where the queue has room without limit).
    """

    utilization: Number
    wait_probability: Number
    mean_wait: Number
    mean_response: Number
    mean_queue: Number
    mean_number: Number
    blocking_probability: Number = 0.0
    _wait_quantile: Callable[[np.ndarray], Number] | None = field(default=None, repr=False)
    _response_quantile: Callable[[np.ndarray], Number] | None = field(default=None, repr=False)

    def wait_quantile(self, q: ArrayLike) -> Number:
        """Return the wait that a share q of the customers does not exceed [s]; NotImplementedError if not known."""
        return self._quantile(self._wait_quantile, q)

    def response_quantile(self, q: ArrayLike) -> Number:
        """Return the response that a share q of the customers does not exceed [s]; NotImplementedError if not known."""
        return self._quantile(self._response_quantile, q)

    @staticmethod
    def _quantile(function: Callable[[np.ndarray], Number] | None, q: ArrayLike) -> Number:
        q = number("q", q, low=0)
        if (q >= 1).any():
            raise ValueError(f"q is {plain(q)}; it must be at least 0 and below 1")
        if function is None:
            raise NotImplementedError(
                "this queue has no closed form for its quantiles; simulate it (course.simulate.queue)"
            )
        return plain(function(q))


def from_wait(
    arrival_rate: Any, service_mean: Any, utilization: Any, wait: Any, delayed: Any, **quantiles: Any
) -> Queue:
    """Return the queue whose mean wait is known; Little's law gives the rest."""
    response = wait + service_mean
    return Queue(
        plain(utilization),
        plain(delayed),
        plain(wait),
        plain(response),
        plain(arrival_rate * wait),
        plain(arrival_rate * response),
        **quantiles,
    )


def little(
    arrival_rate: ArrayLike | None = None, time: ArrayLike | None = None, number: ArrayLike | None = None
) -> Number:
    r"""Return the one of three that is missing: number = arrival rate × time (:math:`L = \lambda R`).

    Parameters
    ----------
    arrival_rate : float or array, optional
        λ, customers that come (and go) per second.
    time : float or array, optional
        R, mean seconds that each spends inside.
    number : float or array, optional
        L, mean number inside.

    Returns
    -------
    float or array
        In the unit of the one that is missing, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        Unless exactly two are given.

    Examples
    --------
    200 requests a second that take 0.05 s each: 10 are inside.

    >>> little(arrival_rate=200, time=0.05)
    10.0

    Notes
    -----
    Holds for every system that is stable over the time of observation, whatever its arrivals, services, servers and
    discipline. Chapters 02 and 12.

    References
    ----------
    Little: A proof for the queuing formula L = λW. Operations Research 9(3), 1961.
    """
    given = {"arrival_rate": arrival_rate, "time": time, "number": number}
    values = {name: value for name, value in given.items() if value is not None}
    if len(values) != 2:
        raise ValueError(f"give exactly two of arrival_rate, time and number; got {sorted(values) or 'none'}")
    if number is None:
        return plain(amount("arrival_rate", arrival_rate) * amount("time", time))
    divisor = "time" if arrival_rate is None else "arrival_rate"
    return plain(amount("number", number) / positive(divisor, values[divisor]))


def mm1(arrival_rate: ArrayLike, service_rate: ArrayLike) -> Queue:
    r"""Return the M/M/1 queue: Poisson arrivals, exponential service, one server.

    .. math:: W = \frac{\rho}{1 - \rho} \cdot \frac{1}{\mu}

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ and μ, per second.

    Returns
    -------
    Queue
        With quantiles of wait and response; times in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ ≥ μ.

    Examples
    --------
    >>> mm1(arrival_rate=1.0, service_rate=1.25).mean_response
    4.0

    Notes
    -----
    Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section 3.2.
    """
    return mmc(arrival_rate, service_rate, 1)


def mmc(arrival_rate: ArrayLike, service_rate: ArrayLike, servers: ArrayLike) -> Queue:
    r"""Return the M/M/c queue: Poisson arrivals, exponential service, c servers, one queue, first come first served.

    .. math:: W = \frac{C(c, a)}{c \mu - \lambda}, \qquad P(W > t) = C(c, a) \, e^{-(c \mu - \lambda) t}

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ of all arrivals, and μ of one server, per second.
    servers : int or array
        c.

    Returns
    -------
    Queue
        With quantiles of wait and response; times in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ ≥ cμ.

    Examples
    --------
    >>> queue = mmc(arrival_rate=9, service_rate=5, servers=4)
    >>> round(queue.mean_queue, 3), round(queue.mean_response, 3)
    (0.105, 0.212)

    Notes
    -----
    Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section 3.5.
    """
    arrivals = amount("arrival_rate", arrival_rate)
    rate = positive("service_rate", service_rate)
    servers = count("servers", servers)
    load = arrivals / rate
    utilization = stable(load / servers)
    delayed = erlang_c(load, servers)
    spare = servers * rate - arrivals
    spare = np.where(spare > 0, spare, servers * rate * (1 - utilization))  # it may have rounded to 0

    def wait_quantile(q: np.ndarray) -> np.ndarray:
        # Those who need not wait are the share 1 − C; among the others the wait is exponential.
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(delayed / (1 - q)), 0) / spare

    def response_quantile(q: np.ndarray) -> np.ndarray:
        return np.vectorize(_mmc_response_quantile, otypes=[float])(q, rate, spare, delayed)

    return from_wait(
        arrivals,
        1 / rate,
        utilization,
        delayed / spare,
        delayed,
        _wait_quantile=wait_quantile,
        _response_quantile=response_quantile,
    )


def _mmc_response_quantile(q: float, rate: float, spare: float, delayed: float) -> float:
    """Solve P(response > t) = 1 − q. The response is a service plus, with probability C, an exponential wait."""
    slow, fast = min(rate, spare), max(rate, spare)

    def tail(t: float) -> float:
        # The sum of two exponentials of rates r and s: (s e^(−rt) − r e^(−st)) / (s − r), written without cancellation.
        both = np.exp(-slow * t) * (1 + slow * t * exprel(-(fast - slow) * t))
        return (1 - delayed) * np.exp(-rate * t) + delayed * both

    high = 1 / slow
    while tail(high) > 1 - q:
        high *= 2
    return brentq(lambda t: tail(t) - (1 - q), 0, high, xtol=1e-14 / rate, rtol=1e-12)


def mmck(arrival_rate: ArrayLike, service_rate: ArrayLike, servers: ArrayLike, capacity: ArrayLike) -> Queue:
    r"""Return the M/M/c/K queue: as M/M/c, but who finds ``capacity`` customers inside is turned away.

    .. math:: p_n = p_0 \prod_{k=1}^{n} \frac{\lambda}{\min(k, c)\,\mu}, \quad n \le K; \qquad
              \text{blocked} = p_K

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ and μ, per second. λ may exceed cμ: what does not fit is turned away.
    servers : int or array
        c.
    capacity : int or array
        K, the most customers inside, those in service included; at least ``servers``.

    Returns
    -------
    Queue
        Means and ``wait_quantile`` over the customers who get in; no ``response_quantile``.

    Raises
    ------
    ValueError
        A rate that is negative or not finite, no server, a capacity below the servers; from ``wait_quantile``, where
        more than a million may wait.

    Examples
    --------
    >>> queue = mmck(arrival_rate=2.0, service_rate=1.0, servers=1, capacity=3)
    >>> round(queue.blocking_probability, 4), round(queue.wait_quantile(0.9), 3)
    (0.5333, 3.315)

    Notes
    -----
    Up to c inside, the probabilities are those of Erlang's lossy system; beyond, with r = a / c, they fall or rise as
    :math:`r, r^2, \dots, r^{K-c}`. The sum and the mean of such a cut geometric distribution are closed formulas, so
    that no room is too large for them. Of those who get in, a share proportional to :math:`r^j` finds the servers busy
    and j − 1 waiting: its wait is that of j departures, Erlang distributed with j phases of rate cμ. ``wait_quantile``
    inverts the sum. Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section
    3.6 (one server).
    """
    arrivals = amount("arrival_rate", arrival_rate)
    rate = positive("service_rate", service_rate)
    servers, capacity = np.broadcast_arrays(count("servers", servers), count("capacity", capacity))
    if (capacity < servers).any():
        worst = np.unravel_index((capacity - servers).argmin(), capacity.shape)
        raise ValueError(
            f"capacity is {capacity[worst]:g}; it must be a whole number and at least {servers[worst]:g}, the servers"
        )
    load, places = arrivals / rate, capacity - servers
    lossy = np.asarray(erlang_b(load, servers))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # ln(a / c), exact to rounding where a is near c.
        growth = np.where(
            np.abs(load / servers - 1) < 0.5, np.log1p((load - servers) / servers), np.log(load / servers)
        )
        even = growth == 0
        # The sum of r^j over the places, and of its last term the share; where r = 1 all terms are the same.
        total = np.where(even, places, load / servers * np.expm1(places * growth) / np.expm1(growth))
        last = np.where(even, 1 / places, np.expm1(-growth) / np.expm1(-places * growth))
        queueing = 1 / (1 + 1 / (lossy * total))  # the probability that all servers are busy and somebody waits
        queueing = np.where((places == 0) | (load == 0), 0.0, queueing)
        blocked = np.where(places == 0, lossy, queueing * last)
        # The servers that are busy while nobody waits, a (1 − B): written so that no digits are lost where B is near 1.
        unqueued = np.where(load < servers, load * (1 - lossy), servers * lossy / erlang_b(load, servers - 1))
        busy = queueing * servers + (1 - queueing) * unqueued
        delayed = np.where(queueing == 0, 0.0, queueing * servers / busy)
        number_waiting = 1 + places * _middle(places * growth) - _middle(growth)
        wait = np.where(queueing == 0, 0.0, queueing * number_waiting / (rate * busy))
        blocked = np.where(queueing == 0, np.where(places == 0, lossy, 0.0), blocked)

    def wait_quantile(q: np.ndarray) -> np.ndarray:
        number("capacity − servers", places, high=MOST_PLACES)
        return np.vectorize(_mmck_wait_quantile, otypes=[float])(q, places, growth, delayed, servers * rate)

    return from_wait(
        rate * busy,
        1 / rate,
        busy / servers,
        wait,
        delayed,
        blocking_probability=plain(blocked),
        _wait_quantile=wait_quantile,
    )


def _mmck_wait_quantile(q: float, places: float, growth: float, delayed: float, rate: float) -> float:
    if delayed <= 1 - q:
        return 0.0
    logs = growth * np.arange(places)
    share = np.exp(logs - logs.max())
    return departures_quantile(q, delayed * share / share.sum(), rate)


def departures_quantile(q: float, share: np.ndarray, rate: float) -> float:
    """Return the q-quantile of a wait for departures [s]: ``share[j]`` of all wait for j + 1, others for none.

    All servers are busy meanwhile, so that the departures are Poisson of the given rate, and the wait for j + 1 of them
    is longer than t where at most j have come by then.
    """
    known = np.flatnonzero(share > 1e-18 / max(len(share), 1))  # the others do not change a digit
    ahead, share = known + 1.0, share[known]

    def late(t: float) -> float:
        return share @ gammaincc(ahead, t) - (1 - q)

    if late(0.0) <= 0:
        return 0.0
    high = 1.0
    while late(high) > 0:
        high *= 2
    return brentq(late, 0, high, xtol=1e-14, rtol=1e-12) / rate


def _middle(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 − e^(−x)) − 1 / x, the mean of the density on [0, 1] that grows as e^(xt); 1/2 at 0."""
    series = 0.5 + x / 12 * (1 - x**2 / 60 * (1 - x**2 / 42))
    return np.where(np.abs(x) < 0.05, series, -1 / np.expm1(-x) - 1 / x)


def mg1(arrival_rate: ArrayLike, service_mean: ArrayLike, service_scv: ArrayLike) -> Queue:
    r"""Return the M/G/1 queue: Poisson arrivals, any service times, one server (Pollaczek–Khinchine).

    .. math:: W = \frac{\rho}{1 - \rho} \cdot \frac{1 + c_s^2}{2} \cdot E[S]

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service_mean : float or array
        E[S], seconds.
    service_scv : float or array
        Squared coefficient of variation of the service times, Var[S] / E[S]²: 0 constant, 1 exponential.

    Returns
    -------
    Queue
        Times in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ E[S] ≥ 1.

    Examples
    --------
    Constant service halves the wait of exponential service.

    >>> mg1(0.5, 1.0, 0.0).mean_wait, mg1(0.5, 1.0, 1.0).mean_wait
    (0.5, 1.0)

    Notes
    -----
    Exact; the mean wait is the same for every discipline that neither interrupts nor looks at the service times.
    Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section 5.5.
    """
    arrivals = amount("arrival_rate", arrival_rate)
    mean = positive("service_mean", service_mean)
    scv = amount("service_scv", service_scv)
    utilization = stable(arrivals * mean)
    wait = utilization / (1 - utilization) * (1 + scv) / 2 * mean
    return from_wait(arrivals, mean, utilization, wait, utilization)


def gg1(arrival_rate: ArrayLike, service_mean: ArrayLike, arrival_scv: ArrayLike, service_scv: ArrayLike) -> Queue:
    r"""Return the G/G/1 queue by Kingman's approximation: variability × utilization × time.

    .. math:: W \approx \frac{c_a^2 + c_s^2}{2} \cdot \frac{\rho}{1 - \rho} \cdot E[S]

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service_mean : float or array
        E[S], seconds.
    arrival_scv, service_scv : float or array
        Squared coefficients of variation of the times between arrivals, and of the service times.

    Returns
    -------
    Queue
        Times in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ E[S] ≥ 1.

    Examples
    --------
    >>> gg1(0.8, 1.0, 1.0, 1.0).mean_wait == mg1(0.8, 1.0, 1.0).mean_wait
    True

    Notes
    -----
    An approximation, exact for M/G/1 and good near ρ = 1; it knows two moments, and arrivals that are independent of
    each other. Far from 1 it may be far off: for regular arrivals and exponential service (`gm1`) at ρ = 0.5 it says
    nearly twice the true wait. ``wait_probability`` is ρ where ``arrival_scv`` is 1, and NaN elsewhere, since two
    moments do not determine it: an scv of 1 is taken for Poisson arrivals (M/G/1), though other distributions have it,
    too. For a true upper bound see `kingman_bound`. Chapter 12.

    References
    ----------
    Kingman: The single server queue in heavy traffic. Proc. Cambridge Philosophical Society 57(4), 1961.
    """
    return ggc(arrival_rate, service_mean, arrival_scv, service_scv, 1)


def kingman_bound(
    arrival_rate: ArrayLike, service_mean: ArrayLike, arrival_scv: ArrayLike, service_scv: ArrayLike
) -> Number:
    r"""Return Kingman's upper bound on the mean wait in G/G/1 [s].

    .. math:: W \le \frac{\lambda (\sigma_a^2 + \sigma_s^2)}{2 (1 - \rho)}

    Parameters
    ----------
    arrival_rate, service_mean, arrival_scv, service_scv : float or array
        As in `gg1`; the rate must not be 0.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ E[S] ≥ 1.

    Examples
    --------
    >>> kingman_bound(0.5, 1.0, 1.0, 1.0) > mg1(0.5, 1.0, 1.0).mean_wait
    True

    Notes
    -----
    The bound is above the approximation `gg1` by (1 − ρ²) c_a² / (2ρ) · E[S] / (1 − ρ). Chapter 12.

    References
    ----------
    Kingman: Some inequalities for the queue GI/G/1. Biometrika 49(3/4), 1962.
    """
    arrivals = positive("arrival_rate", arrival_rate)
    mean = positive("service_mean", service_mean)
    utilization = stable(arrivals * mean)
    variances = amount("arrival_scv", arrival_scv) / arrivals**2
    variances = variances + amount("service_scv", service_scv) * mean**2
    return plain(arrivals * variances / (2 * (1 - utilization)))


def ggc(
    arrival_rate: ArrayLike,
    service_mean: ArrayLike,
    arrival_scv: ArrayLike,
    service_scv: ArrayLike,
    servers: ArrayLike,
) -> Queue:
    r"""Return the G/G/c queue by the approximation of Allen and Cunneen.

    .. math:: W \approx \frac{c_a^2 + c_s^2}{2} \cdot \frac{C(c, a)}{c \mu - \lambda}

    Parameters
    ----------
    arrival_rate, service_mean, arrival_scv, service_scv : float or array
        As in `gg1`.
    servers : int or array
        c.

    Returns
    -------
    Queue
        Times in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ E[S] ≥ c.

    Examples
    --------
    >>> ggc(9, 0.2, 1, 1, 4).mean_wait == mmc(9, 5, 4).mean_wait
    True

    Notes
    -----
    An approximation; exact for M/M/c and M/G/1, and so is ``wait_probability``: that of M/M/c where both scv are 1, ρ
    where ``servers`` and ``arrival_scv`` are 1; it is NaN elsewhere, since two moments do not determine it. An scv of 1
    is taken for exponential times, though other distributions have it, too. Chapter 12.

    References
    ----------
    Allen: Probability, Statistics, and Queueing Theory with Computer Science Applications, 2nd ed., Academic Press
    1990, section 5.5.
    """
    arrivals = amount("arrival_rate", arrival_rate)
    mean = positive("service_mean", service_mean)
    arrival_scv = amount("arrival_scv", arrival_scv)
    service_scv = amount("service_scv", service_scv)
    exponential = mmc(arrivals, 1 / mean, servers)
    wait = (arrival_scv + service_scv) / 2 * exponential.mean_wait
    # With scv 1 taken for exponential: M/M/c; and M/G/1, where it is the utilization whatever the service.
    known = (arrival_scv == 1) & ((service_scv == 1) | (count("servers", servers) == 1))
    delayed = np.where(known, exponential.wait_probability, np.nan)
    return from_wait(arrivals, mean, exponential.utilization, wait, delayed)


def deterministic_gap(s: ArrayLike) -> np.ndarray:
    r"""Return the Laplace transform of a gap that is always 1, for `gm1`: exp(−s).

    .. math:: E\left[e^{-s G}\right] = e^{-s}, \quad G = 1

    Parameters
    ----------
    s : float or array

    Returns
    -------
    array
        Of the shape of ``s``.

    Raises
    ------
    ValueError
        If ``s`` is not a number of at least 0, or an array of them.

    Examples
    --------
    >>> deterministic_gap([0.0, 1.0]).round(4)
    array([1.    , 0.3679])

    Notes
    -----
    Chapter 12. By definition: E[exp(−s G)] with G = 1.
    """
    return np.exp(-number("s", s, low=0))


def erlang_gap(phases: int) -> Callable[[ArrayLike], np.ndarray]:
    r"""Return the Laplace transform of an Erlang gap of mean 1, for `gm1`: :math:`(1 + s / k)^{-k}`.

    Parameters
    ----------
    phases : int
        k. One phase is an exponential gap, of scv 1; k phases have scv 1 / k.

    Returns
    -------
    callable
        s ↦ the transform, an array of the shape of s.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> float(erlang_gap(2)(2.0))
    0.25

    Notes
    -----
    Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section 4.2.
    """
    k = scalar("phases", phases, count)
    return lambda s: np.exp(-k * np.log1p(np.asarray(s, dtype=float) / k))


def gm1(arrival_rate: ArrayLike, service_rate: ArrayLike, gap_transform: Callable[[float], float]) -> Queue:
    r"""Return the GI/M/1 queue: any independent gaps between arrivals, exponential service, one server.

    .. math:: \omega = A^*(\mu (1 - \omega)), \; 0 < \omega < 1; \qquad W = \frac{\omega}{\mu (1 - \omega)},
              \qquad P(W > t) = \omega \, e^{-\mu (1 - \omega) t}

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ and μ, per second; λ / μ at most 0.999999. The nearer to 1, the fewer digits: 5 are left there.
    gap_transform : callable
        s ↦ E[exp(−s G)], the Laplace transform of a gap G that is measured in units of its mean, so that E[G] = 1:
        `deterministic_gap`, `erlang_gap(k)`, or your own.

    Returns
    -------
    Queue
        With quantiles of wait and response; times in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ ≥ μ.
    ValueError
        If ``gap_transform`` is not that of a gap of mean 1.

    Examples
    --------
    Regular arrivals wait only half as long as random ones do.

    >>> round(gm1(0.5, 1.0, deterministic_gap).mean_wait, 4), mm1(0.5, 1.0).mean_wait
    (0.255, 1.0)

    Notes
    -----
    Exact. ω is the probability of finding the server busy at arrival; it differs from the utilization, since only
    Poisson arrivals see time averages. Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section
    6.4.
    """
    arrivals, rate = positive("arrival_rate", arrival_rate), positive("service_rate", service_rate)
    utilization = number("arrival_rate / service_rate", stable(arrivals / rate), high=0.999999)
    if not callable(gap_transform):
        raise ValueError(f"gap_transform is {gap_transform!r:.80}; it must be callable, such as deterministic_gap")
    mean = (1 - gap_transform(1e-9)) / 1e-9
    if abs(gap_transform(0.0) - 1) > 1e-9 or not abs(mean - 1) < 1e-3:
        raise ValueError(f"gap_transform has mean {mean:.4g}; it must be that of a gap of mean 1")

    def root(utilization: float) -> tuple[float, float]:
        # x = 1 − σ solves (1 − A(x / ρ)) / x = 1: divided by x so that the root x = 0, which is always there, is gone.
        def excess(x: float) -> float:
            return float((1 - gap_transform(x / utilization)) / x - 1)

        low = min((1 - utilization) * 1e-3, 1e-8)
        if not excess(low) > 0 >= excess(1.0):
            raise ValueError(f"gap_transform has no root at utilization {utilization:g}; the gap varies too much")
        x = brentq(excess, low, 1.0, xtol=1e-15)
        return x, gap_transform(x / utilization)

    idle, sigma = np.vectorize(root, otypes=[float, float])(utilization)
    speed = rate * idle

    def wait_quantile(q: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(sigma / (1 - q)), 0) / speed

    return from_wait(
        arrivals,
        1 / rate,
        utilization,
        sigma / speed,
        sigma,
        _wait_quantile=wait_quantile,
        _response_quantile=lambda q: -np.log1p(-q) / speed,
    )


def mdc(arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike) -> Queue:
    r"""Return the M/D/c queue: Poisson arrivals, the same service time for all, c servers. Exact.

    .. math:: L_q = \sum_{l=1}^{\infty} \frac{1}{l} \, E\left[(X_{l} - l c)^+\right], \quad
              X_l \sim \text{Poisson}(l a); \qquad
              P(W > 0) = 1 - \exp\left(-\sum_{l=1}^{\infty} \frac{1}{l} P(X_l \ge l c)\right)

    Parameters
    ----------
    arrival_rate : float or array
        λ of all arrivals, per second.
    service_time : float or array
        D, seconds.
    servers : int or array
        c; at most a million where the load is heavy.

    Returns
    -------
    Queue
        Times in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ D ≥ c.

    Examples
    --------
    >>> round(mdc(arrival_rate=1.6, service_time=1.0, servers=2).mean_wait, 4)
    0.9033

    Notes
    -----
    Who is in service now has left one service time later; so the queue, looked at once every D, is a random walk that
    cannot go below 0, with a Poisson number of arrivals up and c down at each step (Crommelin). Spitzer's identity
    gives the sums above, all of positive terms. In heavy traffic they need too many terms; then the c − 1 other roots
    :math:`z_k` of :math:`z^c = e^{a (z - 1)}` in the unit disc give the same:

    .. math:: L_q = \sum_{k=1}^{c-1} \frac{1}{1 - z_k} + \frac{c}{2 (c - a)} - \frac{c + a}{2}, \qquad
              P(W = 0) = (c - a) \prod_{k=1}^{c-1} \frac{1}{1 - z_k}

    Chapter 12.

    References
    ----------
    Crommelin: Delay probability formulae when the holding times are constant. Post Office Electrical Engineers Journal
    25, 1932. Spitzer: A combinatorial lemma and its application to probability theory. Trans. American Mathematical
    Society 82(2), 1956. Tijms: A First Course in Stochastic Models. Wiley 2003, section 9.6.
    """
    arrivals, time = amount("arrival_rate", arrival_rate), positive("service_time", service_time)
    servers = count("servers", servers)
    load = arrivals * time
    utilization = stable(load / servers)
    queue, delayed = np.vectorize(_mdc, otypes=[float, float])(utilization, servers)
    # By Little's law; with no arrivals at all nobody waits.
    wait = np.where(load > 0, queue / np.where(arrivals > 0, arrivals, 1.0), 0.0)
    return from_wait(arrivals, time, utilization, wait, delayed)


_TERMS = 10_000
"""Up to so many terms of Spitzer's sums are added; where more are needed, the roots are cheaper."""


def _mdc(utilization: float, servers: float) -> tuple[float, float]:
    """Return the mean queue and the probability of waiting in M/D/c."""
    if utilization == 0:
        return 0.0, 0.0
    # Each term is about exp(−decay) times the one before; 40 such factors are 18 digits.
    decay = servers * (utilization - 1 - np.log(utilization))
    if decay > 40 / _TERMS:
        return _mdc_by_sums(utilization, servers, int(40 / decay) + 2)
    return _mdc_by_roots(utilization, number("servers", servers, high=1e6))


def _mdc_by_sums(utilization: float, servers: float, terms: int) -> tuple[float, float]:
    step = np.arange(1, terms + 1)
    gone, mean = step * servers, step * servers * utilization
    reach = gammainc(gone, mean)  # P(X ≥ gone)
    excess = gone * poisson(gone, mean) - gone * (1 - utilization) * reach
    return float((excess / step).sum()), float(-np.expm1(-(reach / step).sum()))


def _mdc_by_roots(utilization: float, servers: float) -> tuple[float, float]:
    turn = np.exp(2j * np.pi * np.arange(1, servers) / servers)
    away = 1 + lambertw(-utilization * np.exp(-utilization) * turn) / utilization  # 1 − z
    idle = servers * (1 - utilization)
    queue = (1 / away).real.sum() + servers / (2 * idle) - servers * (1 + utilization) / 2
    # The logarithms of so many factors are added, since their product may overflow.
    return float(queue), float(1 - idle * np.exp(-np.log(np.abs(away)).sum()))
