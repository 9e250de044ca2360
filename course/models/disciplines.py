"""Queues with other disciplines than first come first served. Taught in chapters 06 and 12."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import cumulative_simpson, simpson

from course.domain import number
from course.models.erlang import stable
from course.models.quantity import LARGEST, amount, positive
from course.models.queueing import Queue, from_wait


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
    rates, mean, scv = _classes(arrival_rate, service_mean, service_scv)
    load = np.cumsum(rates * mean)
    residual = (rates * (1 + scv) * mean**2).sum() / 2
    return residual / ((1 - np.concatenate([[0.0], load[:-1]])) * (1 - load))


def mg1_preemptive(arrival_rate: ArrayLike, service_mean: ArrayLike, service_scv: ArrayLike) -> np.ndarray:
    r"""Return the mean response of each class in M/G/1 with priorities that interrupt [s], shape (classes,).

    Who is interrupted goes on later where it stopped (preemptive resume).

    .. math:: T_k = \frac{E[S_k]}{1 - \sigma_{k-1}}
              + \frac{\sum_{i \le k} \lambda_i E[S_i^2] / 2}{(1 - \sigma_{k-1})(1 - \sigma_k)},
              \quad \sigma_k = \sum_{i \le k} \rho_i

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
    The first class does not notice the second: it is an M/M/1 queue of its own.

    >>> mg1_preemptive([0.4, 0.4], 1.0, 1.0).round(4)
    array([1.6667, 8.3333])

    Notes
    -----
    A response and not a wait, as in `mg1_priority`, since interruptions prolong the time in service, too. Chapters 06
    and 12. Kleinrock: Queueing Systems, Volume 2: Computer Applications. Wiley 1976, section 3.6.
    """
    rates, mean, scv = _classes(arrival_rate, service_mean, service_scv)
    load = np.cumsum(rates * mean)
    residual = np.cumsum(rates * (1 + scv) * mean**2) / 2
    before = 1 - np.concatenate([[0.0], load[:-1]])
    return mean / before + residual / (before * (1 - load))


def _classes(arrival_rate: ArrayLike, service_mean: ArrayLike, service_scv: ArrayLike) -> list[np.ndarray]:
    """Return the rate, mean and scv of each class, if all together do not load the server fully."""
    rates, mean, scv = np.broadcast_arrays(
        np.atleast_1d(amount("arrival_rate", arrival_rate)),
        positive("service_mean", service_mean),
        amount("service_scv", service_scv),
    )
    if rates.ndim > 1 or not rates.size:
        raise ValueError(f"arrival_rate has shape {rates.shape}; it must be one number for each class, at least one")
    stable(np.cumsum(rates * mean)[-1])
    return [rates, mean, scv]


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
    arrivals = amount("arrival_rate", arrival_rate)
    mean = positive("service_mean", service_mean)
    utilization = stable(arrivals * mean)
    return from_wait(arrivals, mean, utilization, utilization / (1 - utilization) * mean, utilization)


def mg1_sjf(arrival_rate: ArrayLike, service: Any) -> Queue:
    r"""Return the M/G/1 queue that serves the shortest job first, and does not interrupt a service.

    .. math:: W(x) = \frac{\lambda E[S^2]}{2 \, (1 - \rho(x))^2}, \quad
              \rho(x) = \lambda \int_0^x t \, dF(t), \qquad W = \int_0^\infty W(x) \, dF(x)

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service : frozen distribution of `scipy.stats`
        Of the service times F [s], such as ``scipy.stats.expon(scale=2)``; continuous, and of finite variance.

    Returns
    -------
    Queue

    Raises
    ------
    UnstableError
        If λ E[S] ≥ 1.

    Examples
    --------
    >>> from scipy.stats import expon
    >>> round(mg1_sjf(0.8, expon()).mean_wait, 4)
    1.8822

    Notes
    -----
    The priorities of `mg1_priority` with a class for each length. A numerical integral, good to 8 digits. Chapters 06
    and 12.

    References
    ----------
    Phipps: Machine repair as a priority waiting-line problem. Operations Research 4(1), 1956.
    """
    arrivals = amount("arrival_rate", arrival_rate)
    mean, variance = _moments(service)
    number("the variance of service", variance, low=0, high=LARGEST)
    utilization = stable(arrivals * mean)
    jobs = _Jobs(service)
    served = 1 / (1 - jobs.load(arrivals)) ** 2
    wait = arrivals * (variance + mean**2) / 2 * jobs.mean(served)
    return from_wait(arrivals, mean, utilization, wait, utilization)


def mg1_srpt(arrival_rate: ArrayLike, service: Any) -> Queue:
    r"""Return the M/G/1 queue that always serves the job with the shortest remaining time, interrupting others for it.

    .. math:: T(x) = \frac{\lambda \left[\int_0^x t^2 dF(t) + x^2 (1 - F(x))\right]}{2 \, (1 - \rho(x))^2}
              + \int_0^x \frac{dt}{1 - \rho(t)}, \quad \rho(x) = \lambda \int_0^x t \, dF(t)

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service : frozen distribution of `scipy.stats`
        Of the service times F [s], such as ``scipy.stats.lognorm(1.5)``; continuous. Its variance may be infinite.

    Returns
    -------
    Queue
        ``mean_wait`` is response − service; ``wait_probability`` is NaN.

    Raises
    ------
    UnstableError
        If λ E[S] ≥ 1.

    Examples
    --------
    >>> from scipy.stats import expon
    >>> round(mg1_srpt(0.8, expon()).mean_response, 4)
    2.3528

    Notes
    -----
    No discipline has a lower mean response (Schrage 1968). A numerical integral, good to 8 digits. Chapters 06 and 12.

    References
    ----------
    Schrage, Miller: The queue M/G/1 with the shortest remaining processing time discipline. Operations Research 14(4),
    1966.
    """
    arrivals = amount("arrival_rate", arrival_rate)
    mean, _ = _moments(service)
    utilization = stable(arrivals * mean)
    jobs = _Jobs(service)
    left = 1 - jobs.load(arrivals)
    rate = arrivals[..., None]
    waiting = rate * (jobs.squares + jobs.size * (jobs.size * jobs.longer)) / 2 / left**2
    # The mean of the second integral is the integral of (1 − F) / (1 − ρ); by parts, a mean over the jobs again.
    residence = jobs.size * (left - rate * jobs.size * jobs.longer) / left**2
    response = jobs.mean(waiting + residence)
    # Rounding must not make the response of an idle server shorter than the service.
    wait = np.maximum(response - mean, 0.0)
    return from_wait(arrivals, mean, utilization, wait, np.full(wait.shape, np.nan))


def _moments(service: Any) -> tuple[float, float]:
    """Return mean and variance of a distribution of scipy.stats."""
    frozen = all(hasattr(service, name) for name in ("dist", "isf", "stats", "support"))
    if not frozen or hasattr(service.dist, "pmf"):
        raise ValueError(
            f"service is {service!r:.80}; it must be a frozen distribution, and continuous, such as scipy.stats.expon()"
        )
    mean, variance = (float(moment) for moment in service.stats("mv"))
    if service.support()[0] < 0:
        raise ValueError(f"service has values from {service.support()[0]:g} s on; they must be at least 0")
    return float(positive("the mean of service", mean)), variance


class _Jobs:
    """All lengths of jobs, on a grid that is fine for the usual ones and reaches the rarest, P(longer) = 1e-300.

    With y = −ln P(longer) as the variable, every distribution becomes an exponential one: dF = e^(−y) dy.
    """

    def __init__(self, service: Any) -> None:
        fine = np.linspace(0, 1, 20_001)
        y = 690 * fine**4
        self.step = 690 * 4 * fine**3 / (len(fine) - 1)
        self.longer = np.exp(-y)
        self.size = np.asarray(service.isf(self.longer), dtype=float)
        mass = self.size * self.longer * self.step
        self.work = cumulative_simpson(mass, dx=1.0, initial=0)
        self.squares = cumulative_simpson(self.size * mass, dx=1.0, initial=0)
        if not abs(self.work[-1] / service.mean() - 1) < 1e-6:
            raise ValueError(
                f"service has the mean {service.mean():g} s, but {self.work[-1]:g} s by summing over the lengths;"
                " it must have a lighter tail, or no gaps between the lengths"
            )

    def load(self, arrival_rate: np.ndarray) -> np.ndarray:
        """Return ρ(x), the load of the jobs up to each length; shape (*arrival_rate.shape, lengths)."""
        return arrival_rate[..., None] * self.work

    def mean(self, value: np.ndarray) -> np.ndarray:
        """Return the mean over all jobs."""
        return simpson(value * self.longer * self.step, dx=1.0)
