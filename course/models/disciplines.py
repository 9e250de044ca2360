"""Queues with other disciplines than first come first served. Taught in chapters 06 and 12."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import cumulative_simpson
from scipy.stats import rv_histogram

from course.domain import number, scalar
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

    Returns
    -------
    array, shape (classes,)
        Seconds.

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

    .. math:: R_k = \frac{E[S_k]}{1 - \sigma_{k-1}}
              + \frac{\sum_{i \le k} \lambda_i E[S_i^2] / 2}{(1 - \sigma_{k-1})(1 - \sigma_k)},
              \quad \sigma_k = \sum_{i \le k} \rho_i

    Parameters
    ----------
    arrival_rate, service_mean, service_scv : array, shape (classes,), or float
        λ, E[S] and scv of each class, the most important first.

    Returns
    -------
    array, shape (classes,)
        Seconds.

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

    .. math:: E[R] = \frac{E[S]}{1 - \rho}

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
        Of the service times F [s], such as ``scipy.stats.expon(scale=2)``; continuous, and of finite variance. Of
        measured times: ``scipy.stats.rv_histogram(np.histogram(measured, bins=1000))``.

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
    The priorities of `mg1_priority` with a class for each length. A numerical integral, good to 8 digits (of a
    histogram, to 6). Chapters 06 and 12.

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

    .. math:: R(x) = \frac{\lambda \left[\int_0^x t^2 dF(t) + x^2 (1 - F(x))\right]}{2 \, (1 - \rho(x))^2}
              + \int_0^x \frac{dt}{1 - \rho(t)}, \quad \rho(x) = \lambda \int_0^x t \, dF(t)

    Parameters
    ----------
    arrival_rate : float or array
        λ, per second.
    service : frozen distribution of `scipy.stats`
        Of the service times F [s], such as ``scipy.stats.lognorm(1.5)``; continuous. Its variance may be infinite. Of
        measured times as in `mg1_sjf`.

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
    No discipline has a lower mean response (Schrage 1968). A numerical integral, good to 8 digits (of a histogram, to
    6). Chapters 06 and 12.

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


_POINTS = 20_000
"""Steps of the grid; where it has pieces, each of them has a hundred at least."""


def _moments(service: Any) -> tuple[float, float]:
    """Return mean and variance of a distribution of scipy.stats."""
    known = isinstance(service, rv_histogram) or hasattr(service, "dist")  # frozen, or of no parameters
    known &= all(hasattr(service, name) for name in ("isf", "stats", "support"))
    if not known or hasattr(getattr(service, "dist", service), "pmf"):
        raise ValueError(
            f"service is {service!r:.80}; it must be a frozen distribution, and continuous, such as scipy.stats.expon()"
        )
    mean, variance = (float(moment) for moment in service.stats(moments="mv"))
    if service.support()[0] < 0:
        raise ValueError(f"service has values from {service.support()[0]:g} s on; they must be at least 0")
    return scalar("the mean of service", mean, positive), variance


class _Jobs:
    """All lengths of jobs, on a grid that is fine for the usual ones and reaches the rarest, P(longer) = 1e-300.

    With y = −ln P(longer) as the variable, every distribution becomes an exponential one: dF = e^(−y) dy. Where lengths
    have a gap (an empty bin of a histogram) their size jumps, which no rule of integration forgives: then there is a
    grid for each piece between the jumps.
    """

    def __init__(self, service: Any) -> None:
        fine = np.linspace(0, 1, _POINTS + 1)
        longer = np.exp(-690 * fine**4)
        self._integrate([service.isf(longer)], [longer], [690 * 4 * fine**3 / _POINTS * longer])
        mean = service.mean()
        off = abs(self.work[-1] / mean - 1)
        if not off < 1e-9 and len(jumps := _jumps(service, longer, self.size)):
            whole = dict(vars(self))
            self._integrate(*_pieces(service, jumps))
            if abs(self.work[-1] / mean - 1) > off:  # what looked like jumps were none
                vars(self).update(whole)
        if not abs(self.work[-1] / mean - 1) < 1e-6:
            raise ValueError(
                f"service has the mean {mean:g} s, but {self.work[-1]:g} s by summing over the lengths;"
                " it must have a lighter tail"
            )

    def _integrate(self, sizes: list[np.ndarray], longer: list[np.ndarray], mass: list[np.ndarray]) -> None:
        """Sum over the jobs up to each length, piece by piece; ``mass`` is the share of the jobs at a point."""
        works, squares, weights = [], [], []
        work = square = 0.0
        for size, density in zip(sizes, mass, strict=True):
            simpson = np.resize([2.0, 4.0], len(size)) / 3
            simpson[[0, -1]] = 1 / 3
            weights.append(simpson * density)
            works.append(work + cumulative_simpson(size * density, dx=1.0, initial=0))
            squares.append(square + cumulative_simpson(size * (size * density), dx=1.0, initial=0))
            work, square = works[-1][-1], squares[-1][-1]
        self.size, self.longer, self.weight = (np.concatenate(parts) for parts in (sizes, longer, weights))
        self.work, self.squares = np.concatenate(works), np.concatenate(squares)

    def load(self, arrival_rate: np.ndarray) -> np.ndarray:
        """Return ρ(x), the load of the jobs up to each length; shape (*arrival_rate.shape, lengths)."""
        return arrival_rate[..., None] * self.work

    def mean(self, value: np.ndarray) -> np.ndarray:
        """Return the mean over all jobs."""
        return value @ self.weight


def _jumps(service: Any, longer: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the probabilities at which the length jumps, shape (jumps, 2): just before each jump and just after it.

    Bisection of each step of the grid. The half that holds most of the difference keeps nearly all of it at a jump; in
    a smooth step it has about half of it, and is soon given up.
    """
    high, low = longer[:-1].copy(), longer[1:].copy()
    from_size, to_size = size[:-1].copy(), size[1:].copy()
    finite = np.isfinite(to_size)
    high, low, from_size, to_size = (each[finite] for each in (high, low, from_size, to_size))
    least = 0.3 * (to_size - from_size)
    for _ in range(60):
        keep = (to_size - from_size > least) & (to_size - from_size > 1e-9 * to_size)
        high, low, from_size, to_size, least = (each[keep] for each in (high, low, from_size, to_size, least))
        middle = (high + low) / 2
        found = service.isf(middle)
        right = to_size - found > found - from_size
        high, from_size = np.where(right, middle, high), np.where(right, found, from_size)
        low, to_size = np.where(right, low, middle), np.where(right, to_size, found)
    return np.stack([high, low], axis=1)


def _pieces(service: Any, jumps: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return sizes, P(longer) and mass at the points of a grid for each piece between the jumps."""
    sizes, longers, masses = [], [], []
    ends = np.concatenate([[1.0], jumps.ravel(), [np.exp(-690.0)]]).reshape(-1, 2)
    reach = -np.log(ends[-1, 0])  # of all pieces but the last
    for first, last in ends[ends[:, 0] > ends[:, 1]]:
        length = np.log(first / last)
        # The last piece reaches far out, as the grid without jumps does.
        power, steps = (4, _POINTS) if last == ends[-1, 1] else (1, 2 * int(50 + _POINTS / 2 * length / reach))
        fine = np.linspace(0, 1, steps + 1)
        longer = first * np.exp(-length * fine**power)
        longer[-1] = last  # not rounded to beyond the jump
        sizes.append(np.asarray(service.isf(longer), dtype=float))
        longers.append(longer)
        masses.append(length * power * fine ** (power - 1) / steps * longer)
    return sizes, longers, masses
