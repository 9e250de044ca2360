"""Queues in equilibrium: how long customers wait, and how many servers are enough. Taught in chapter 12."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm

from course.models.domain import UnstableError, number, plain

Number = float | np.ndarray


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


def _from_wait(
    arrival_rate: Any, service_mean: Any, utilization: Any, wait: Any, delayed: Any, **quantiles: Any
) -> Queue:
    """Complete a queue from its mean wait, by Little's law."""
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


def _stable(utilization: np.ndarray) -> np.ndarray:
    if (utilization >= 1).any():
        raise UnstableError(plain(utilization))
    return utilization


def little(
    arrival_rate: ArrayLike | None = None, time: ArrayLike | None = None, number: ArrayLike | None = None
) -> Number:
    r"""Return the one of three that is missing: number = arrival rate × time (:math:`L = \lambda W`).

    Parameters
    ----------
    arrival_rate : float or array, optional
        λ, customers that come (and go) per second.
    time : float or array, optional
        W, mean seconds that each spends inside.
    number : float or array, optional
        L, mean number inside.

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
    from course.models.domain import number as checked

    given = {"arrival_rate": arrival_rate, "time": time, "number": number}
    values = {name: checked(name, value, low=0) for name, value in given.items() if value is not None}
    if len(values) != 2:
        raise ValueError(f"give exactly two of arrival_rate, time and number; got {sorted(values) or 'none'}")
    if number is None:
        return plain(values["arrival_rate"] * values["time"])
    divisor = "time" if arrival_rate is None else "arrival_rate"
    if (values[divisor] == 0).any():
        raise ValueError(f"{divisor} is 0; it must be greater than 0 where the other is to be found")
    return plain(values["number"] / values[divisor])


def erlang_b(load: ArrayLike, servers: ArrayLike) -> Number:
    r"""Return the share of customers turned away when there is no room to wait (Erlang B, M/G/c/c).

    .. math:: B(c, a) = \frac{a^c / c!}{\sum_{k=0}^{c} a^k / k!}

    Parameters
    ----------
    load : float or array
        a = λ / μ, offered load in erlangs: the servers that would be busy if there were enough.
    servers : int or array
        c.

    Examples
    --------
    >>> round(erlang_b(load=4.461, servers=10), 4)
    0.01

    Notes
    -----
    Computed by the recursion 1/B(c) = 1 + (c/a) / B(c−1), which is stable where factorials overflow. Depends on the
    service times only through their mean. Chapter 12.

    References
    ----------
    Erlang: Løsning af nogle Problemer fra Sandsynlighedsregningen af Betydning for de automatiske Telefoncentraler.
    Elektroteknikeren 13, 1917.
    """
    load, servers = np.broadcast_arrays(number("load", load, low=0), number("servers", servers, low=0, whole=True))
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.ones(load.shape)
        for c in range(1, int(servers.max(initial=0)) + 1):
            step = 1 + c / load * inverse
            inverse = np.where(c <= servers, step, inverse)
    return plain(1 / inverse)


def erlang_c(load: ArrayLike, servers: ArrayLike) -> Number:
    r"""Return the probability that a customer has to wait (Erlang C, M/M/c).

    .. math:: C(c, a) = \frac{B}{1 - \rho (1 - B)}, \qquad \rho = a / c

    Parameters
    ----------
    load : float or array
        a = λ / μ, offered load in erlangs; below ``servers``.
    servers : int or array
        c.

    Raises
    ------
    UnstableError
        If the load is not below the number of servers.

    Examples
    --------
    A call centre: 48 erlangs on 55 agents.

    >>> round(erlang_c(load=48, servers=55), 4)
    0.2387

    Notes
    -----
    Chapter 12. Source: as `erlang_b`.
    """
    load, servers = number("load", load, low=0), number("servers", servers, low=1, whole=True)
    utilization = _stable(load / servers)
    blocked = erlang_b(load, servers)
    return plain(blocked / (1 - utilization * (1 - blocked)))


def mm1(arrival_rate: ArrayLike, service_rate: ArrayLike) -> Queue:
    r"""Return the M/M/1 queue: Poisson arrivals, exponential service, one server.

    .. math:: W_q = \frac{\rho}{1 - \rho} \cdot \frac{1}{\mu}

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ and μ, per second.

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

    .. math:: W_q = \frac{C(c, a)}{c \mu - \lambda}, \qquad P(W > t) = C(c, a) \, e^{-(c \mu - \lambda) t}

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ of all arrivals, and μ of one server, per second.
    servers : int or array
        c.

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
    arrivals = number("arrival_rate", arrival_rate, low=0)
    rate = number("service_rate", service_rate, above=0)
    servers = number("servers", servers, low=1, whole=True)
    load = arrivals / rate
    utilization = _stable(load / servers)
    delayed = erlang_c(load, servers)
    spare = servers * rate - arrivals

    def wait_quantile(q: np.ndarray) -> np.ndarray:
        # Those who need not wait are the share 1 − C; among the others the wait is exponential.
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(delayed / (1 - q)), 0) / spare

    def response_quantile(q: np.ndarray) -> np.ndarray:
        return np.vectorize(_mmc_response_quantile, otypes=[float])(q, arrivals, rate, servers, delayed)

    return _from_wait(
        arrivals,
        1 / rate,
        utilization,
        delayed / spare,
        delayed,
        _wait_quantile=wait_quantile,
        _response_quantile=response_quantile,
    )


def _mmc_response_quantile(q: float, arrivals: float, rate: float, servers: float, delayed: float) -> float:
    """Solve P(response > t) = 1 − q. The response is a service plus, with probability C, an exponential wait."""
    spare = servers * rate - arrivals

    def tail(t: float) -> float:
        if abs(spare - rate) < 1e-9 * rate:  # both exponentials have the same rate
            both = (1 + rate * t) * np.exp(-rate * t)
        else:
            both = (spare * np.exp(-rate * t) - rate * np.exp(-spare * t)) / (spare - rate)
        return (1 - delayed) * np.exp(-rate * t) + delayed * both

    high = 1 / rate
    while tail(high) > 1 - q:
        high *= 2
    return brentq(lambda t: tail(t) - (1 - q), 0, high, xtol=1e-14 / rate, rtol=1e-12)


def mmck(arrival_rate: ArrayLike, service_rate: ArrayLike, servers: int, capacity: int) -> Queue:
    r"""Return the M/M/c/K queue: as M/M/c, but who finds ``capacity`` customers inside is turned away.

    .. math:: p_n = p_0 \prod_{k=1}^{n} \frac{\lambda}{\min(k, c)\,\mu}, \quad n \le K; \qquad
              \text{blocked} = p_K

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ and μ, per second. λ may exceed cμ: what does not fit is turned away.
    servers : int
        c.
    capacity : int
        K, the most customers inside, those in service included; at least ``servers``.

    Returns
    -------
    Queue
        Means over the customers who get in.

    Examples
    --------
    >>> round(mmck(arrival_rate=2.0, service_rate=1.0, servers=1, capacity=3).blocking_probability, 4)
    0.5333

    Notes
    -----
    Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section 3.6.
    """
    arrivals = number("arrival_rate", arrival_rate, above=0)
    rate = number("service_rate", service_rate, above=0)
    c = int(number("servers", servers, low=1, whole=True))
    k = int(number("capacity", capacity, low=c, whole=True))
    inside = np.arange(k + 1)
    # Relative probabilities of 0, 1, … K inside; logarithms because they span hundreds of decades.
    steps = np.log(arrivals / rate)[..., None] - np.log(np.minimum(inside[1:], c))
    logs = np.concatenate([np.zeros((*steps.shape[:-1], 1)), np.cumsum(steps, axis=-1)], axis=-1)
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
    p = weights / weights.sum(axis=-1, keepdims=True)
    blocked = p[..., -1]
    accepted = arrivals * (1 - blocked)
    waiting = (p * np.maximum(inside - c, 0)).sum(axis=-1)
    delayed = p[..., c:-1].sum(axis=-1) / (1 - blocked)
    utilization = accepted / (c * rate)
    wait = waiting / accepted
    return _from_wait(accepted, 1 / rate, utilization, wait, delayed, blocking_probability=plain(blocked))


def mg1(arrival_rate: ArrayLike, service_mean: ArrayLike, service_scv: ArrayLike) -> Queue:
    r"""Return the M/G/1 queue: Poisson arrivals, any service times, one server (Pollaczek–Khinchine).

    .. math:: W_q = \frac{\rho}{1 - \rho} \cdot \frac{1 + c_s^2}{2} \cdot E[S]

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service_mean : float or array
        E[S], seconds.
    service_scv : float or array
        Squared coefficient of variation of the service times, Var[S] / E[S]²: 0 constant, 1 exponential.

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
    Chapter 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, section 5.6.
    """
    arrivals = number("arrival_rate", arrival_rate, low=0)
    mean = number("service_mean", service_mean, above=0)
    scv = number("service_scv", service_scv, low=0)
    utilization = _stable(arrivals * mean)
    wait = utilization / (1 - utilization) * (1 + scv) / 2 * mean
    return _from_wait(arrivals, mean, utilization, wait, utilization)


def gg1(arrival_rate: ArrayLike, service_mean: ArrayLike, arrival_scv: ArrayLike, service_scv: ArrayLike) -> Queue:
    r"""Return the G/G/1 queue by Kingman's approximation: variability × utilization × time.

    .. math:: W_q \approx \frac{c_a^2 + c_s^2}{2} \cdot \frac{\rho}{1 - \rho} \cdot E[S]

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service_mean : float or array
        E[S], seconds.
    arrival_scv, service_scv : float or array
        Squared coefficients of variation of the times between arrivals, and of the service times.

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
    each other. ``wait_probability`` has no closed form and is NaN, but for M/M/1. For a true upper bound see
    `kingman_bound`. Chapter 12.

    References
    ----------
    Kingman: The single server queue in heavy traffic. Proc. Cambridge Philosophical Society 57(4), 1961.
    """
    return ggc(arrival_rate, service_mean, arrival_scv, service_scv, 1)


def kingman_bound(
    arrival_rate: ArrayLike, service_mean: ArrayLike, arrival_scv: ArrayLike, service_scv: ArrayLike
) -> Number:
    r"""Return Kingman's upper bound on the mean wait in G/G/1 [s].

    .. math:: W_q \le \frac{\lambda (\sigma_a^2 + \sigma_s^2)}{2 (1 - \rho)}

    Parameters are those of `gg1`. The bound is above the approximation by (1 − ρ²) c_a² / (2ρ) · E[S] / (1 − ρ).

    Examples
    --------
    >>> kingman_bound(0.5, 1.0, 1.0, 1.0) > mg1(0.5, 1.0, 1.0).mean_wait
    True

    References
    ----------
    Kingman: Some inequalities for the queue GI/G/1. Biometrika 49(3/4), 1962.
    """
    arrivals = number("arrival_rate", arrival_rate, above=0)
    mean = number("service_mean", service_mean, above=0)
    utilization = _stable(arrivals * mean)
    variances = number("arrival_scv", arrival_scv, low=0) / arrivals**2
    variances = variances + number("service_scv", service_scv, low=0) * mean**2
    return plain(arrivals * variances / (2 * (1 - utilization)))


def ggc(
    arrival_rate: ArrayLike,
    service_mean: ArrayLike,
    arrival_scv: ArrayLike,
    service_scv: ArrayLike,
    servers: ArrayLike,
) -> Queue:
    r"""Return the G/G/c queue by the approximation of Allen and Cunneen.

    .. math:: W_q \approx \frac{c_a^2 + c_s^2}{2} \cdot \frac{C(c, a)}{c \mu - \lambda}

    Parameters
    ----------
    arrival_rate, service_mean, arrival_scv, service_scv : float or array
        As in `gg1`.
    servers : int or array
        c.

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
    An approximation; exact for M/M/c and M/G/1. ``wait_probability`` is that of M/M/c where both scv are 1, and NaN
    elsewhere. Chapter 12.

    References
    ----------
    Allen: Probability, Statistics, and Queueing Theory with Computer Science Applications, 2nd ed., Academic Press
    1990, section 5.5.
    """
    arrivals = number("arrival_rate", arrival_rate, low=0)
    mean = number("service_mean", service_mean, above=0)
    arrival_scv = number("arrival_scv", arrival_scv, low=0)
    service_scv = number("service_scv", service_scv, low=0)
    exponential = mmc(arrivals, 1 / mean, servers)
    wait = (arrival_scv + service_scv) / 2 * exponential.mean_wait
    known = (arrival_scv == 1) & (service_scv == 1)
    delayed = np.where(known, exponential.wait_probability, np.nan)
    return _from_wait(arrivals, mean, exponential.utilization, wait, delayed)


def mg1_priority(arrival_rate: ArrayLike, service_mean: ArrayLike, service_scv: ArrayLike) -> np.ndarray:
    r"""Return the mean wait of each class in M/G/1 with priorities that do not interrupt [s], shape (classes,).

    .. math:: W_k = \frac{W_0}{(1 - \sigma_{k-1})(1 - \sigma_k)}, \quad
              W_0 = \sum_i \lambda_i \frac{E[S_i^2]}{2}, \quad \sigma_k = \sum_{i \le k} \rho_i

    Parameters
    ----------
    arrival_rate, service_mean, service_scv : array, shape (classes,), or float
        λ, E[S] and scv of each class, the most important first.

    Raises
    ------
    UnstableError
        If all classes together load the server fully.

    Examples
    --------
    >>> mg1_priority([0.4, 0.4], 1.0, 1.0).round(4)
    array([1.3333, 6.6667])

    Notes
    -----
    Chapter 12. Cobham: Priority assignment in waiting line problems. Operations Research 2(1), 1954.
    """
    rates, mean, scv = np.broadcast_arrays(
        np.atleast_1d(number("arrival_rate", arrival_rate, low=0)),
        number("service_mean", service_mean, above=0),
        number("service_scv", service_scv, low=0),
    )
    upto = np.cumsum(rates * mean)
    _stable(upto[-1])
    residual = (rates * (1 + scv) * mean**2).sum() / 2
    return residual / ((1 - np.concatenate([[0.0], upto[:-1]])) * (1 - upto))


def mg1_ps(arrival_rate: ArrayLike, service_mean: ArrayLike) -> Queue:
    r"""Return the M/G/1 queue under processor sharing: all are served at once, each at 1/n of the speed.

    .. math:: E[T] = \frac{E[S]}{1 - \rho}

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service_mean : float or array
        E[S], seconds. Nothing else of the service times matters for the mean.

    Returns
    -------
    Queue
        ``mean_wait`` is response − service; everybody is served at once, so ``wait_probability`` is ρ: the probability
        of finding somebody to share with.

    Raises
    ------
    UnstableError
        If λ E[S] ≥ 1.

    Examples
    --------
    >>> round(mg1_ps(0.8, 1.0).mean_response, 9)
    5.0

    Notes
    -----
    Chapter 12. Kleinrock: Queueing Systems, Volume 2: Computer Applications. Wiley 1976, section 4.4.
    """
    arrivals = number("arrival_rate", arrival_rate, low=0)
    mean = number("service_mean", service_mean, above=0)
    utilization = _stable(arrivals * mean)
    return _from_wait(arrivals, mean, utilization, utilization / (1 - utilization) * mean, utilization)


def servers_for(
    arrival_rate: float,
    service_rate: float,
    *,
    wait_quantile: tuple[float, float] | None = None,
    mean_wait: float | None = None,
    wait_probability: float | None = None,
) -> int:
    """Return the fewest servers with which an M/M/c queue keeps one objective.

    Parameters
    ----------
    arrival_rate, service_rate : float
        λ, and μ of one server, per second.
    wait_quantile : (q, seconds), optional
        The share q of the customers shall wait no longer than that.
    mean_wait : float, optional
        The mean wait shall not exceed this [s].
    wait_probability : float, optional
        No greater share of the customers shall have to wait.

    Raises
    ------
    ValueError
        Unless exactly one objective is given.

    Examples
    --------
    >>> servers_for(0.2, 1 / 240, wait_probability=0.25)
    55

    Notes
    -----
    Chapters 12 and 17.
    """
    arrivals = float(number("arrival_rate", arrival_rate, low=0))
    rate = float(number("service_rate", service_rate, above=0))
    objectives = {"wait_quantile": wait_quantile, "mean_wait": mean_wait, "wait_probability": wait_probability}
    given = [name for name, value in objectives.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(objectives)}; got {given or 'none'}")
    if given == ["wait_quantile"]:
        try:
            q, limit = wait_quantile
        except (TypeError, ValueError):
            raise ValueError(f"wait_quantile is {wait_quantile!r}; it must be (q, seconds)") from None
        number("wait_quantile[0]", q, low=0, high=1 - 1e-12)
    else:
        limit = objectives[given[0]]
    limit = float(number(given[0], limit, low=0, high=1 if given == ["wait_probability"] else np.inf))

    def kept(servers: int) -> bool:
        queue = mmc(arrivals, rate, servers)
        if given == ["wait_quantile"]:
            return queue.wait_quantile(q) <= limit
        return getattr(queue, given[0]) <= limit

    servers = int(arrivals / rate) + 1
    if given != ["wait_quantile"] and limit == 0 and arrivals > 0:
        raise ValueError(f"{given[0]} is 0; no finite number of servers reaches that: it must be greater than 0")
    # Double until it is enough, then halve the gap: the wait falls with every server.
    low, high = servers, servers
    while not kept(high):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if kept(middle) else (middle + 1, high)
    return high


def square_root_staffing(load: ArrayLike, quality: ArrayLike) -> int | np.ndarray:
    r"""Return the servers by the square-root rule: load + quality × √load, rounded up.

    Parameters
    ----------
    load : float or array
        a = λ / μ, in erlangs.
    quality : float or array
        β > 0: the spare servers in units of √a. `halfin_whitt` gives the probability of waiting that belongs to it.

    Examples
    --------
    >>> square_root_staffing(100, 1.0), square_root_staffing(10_000, 1.0)
    (110, 10100)

    Notes
    -----
    Chapters 12 and 17. Halfin, Whitt: Heavy-traffic limits for queues with many exponential servers. Operations
    Research 29(3), 1981.
    """
    load, quality = number("load", load, low=0), number("quality", quality, above=0)
    # The subtraction keeps rounding errors from adding a server: 100 + 1.0 × 10.000000000000002 is 110.
    servers = np.ceil(load + quality * np.sqrt(load) - 1e-9).astype(int)
    return int(servers) if servers.ndim == 0 else servers


def halfin_whitt(quality: ArrayLike) -> Number:
    r"""Return the probability of waiting under square-root staffing as the system grows.

    .. math:: P = \left[1 + \beta \, \Phi(\beta) / \varphi(\beta)\right]^{-1}

    Parameters
    ----------
    quality : float or array
        β > 0.

    Examples
    --------
    >>> round(halfin_whitt(1.0), 4)
    0.2234

    Notes
    -----
    Chapters 12 and 17. Source: as `square_root_staffing`.
    """
    quality = number("quality", quality, above=0)
    density = norm.pdf(quality)
    return plain(density / (density + quality * norm.cdf(quality)))


def asymptotic_bounds(demands: ArrayLike, think_time: float, population: ArrayLike) -> tuple:
    r"""Return bounds of a closed system: (highest throughput [1/s], lowest response [s]).

    .. math:: X \le \min\left(\frac{N}{D + Z}, \frac{1}{D_\max}\right), \qquad
              R \ge \max\left(D, N D_\max - Z\right)

    Parameters
    ----------
    demands : array, shape (stations,)
        Seconds of service that one request needs at each station, over all its visits.
    think_time : float
        Z, seconds between a response and the same client's next request.
    population : int or array
        N, clients.

    Examples
    --------
    >>> throughput, response = asymptotic_bounds([9.2, 8], think_time=120, population=20)
    >>> round(throughput, 3), round(response)
    (0.109, 64)

    Notes
    -----
    Chapters 02 and 12. Lazowska, Zahorjan, Graham, Sevcik: Quantitative System Performance. Prentice-Hall 1984,
    chapter 5.
    """
    demands = np.atleast_1d(number("demands", demands, low=0))
    think_time = number("think_time", think_time, low=0)
    population = number("population", population, low=1, whole=True)
    total, largest = demands.sum(), demands.max()
    if largest == 0:
        raise ValueError("demands are all 0; at least one must be greater than 0")
    throughput = np.minimum(population / (total + think_time), 1 / largest)
    return plain(throughput), plain(np.maximum(total, population * largest - think_time))
