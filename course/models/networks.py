"""Closed systems: a fixed number of clients that think, ask, wait and think again. Taught in chapters 02 and 12."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import plain, scalar
from course.models.quantity import LARGEST, amount, count, positive
from course.models.queueing import Queue, departures_quantile, from_wait

Number = float | np.ndarray

MOST = 100_000
"""Clients up to which a closed system is computed exactly; beyond, `asymptotic_bounds` are as good."""


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

    Returns
    -------
    throughput, response : float or array
        Requests per second, and seconds; of the shape of ``population``.

    Raises
    ------
    ValueError
        An argument outside its domain; no stations, or demands that are all 0.

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
    demands = _demands(demands)
    think_time = amount("think_time", think_time)
    population = count("population", population)
    total, largest = demands.sum(), demands.max()
    throughput = np.minimum(population / (total + think_time), 1 / largest)
    return plain(throughput), plain(np.maximum(total, population * largest - think_time))


@dataclass(frozen=True, eq=False)
class ClosedSystem:
    """A closed system in equilibrium. Times in seconds; arrays where the population was an array.

    Attributes
    ----------
    throughput : float or array
        Requests answered per second, X.
    response : float or array
        Mean seconds from a request to its answer, R: the sum of the residence times.
    residence : array, shape (..., stations)
        Mean seconds that a request spends at each station, all its visits together.
    queue : array, shape (..., stations)
        Mean requests at each station, those in service included.
    utilization : array, shape (..., stations)
        The share of the time in which each station is busy.
    """

    throughput: Number
    response: Number
    residence: np.ndarray
    queue: np.ndarray
    utilization: np.ndarray


def mean_value_analysis(demands: ArrayLike, think_time: float, population: ArrayLike) -> ClosedSystem:
    r"""Return a closed system of stations with one server each, by exact mean value analysis.

    .. math:: R_i(n) = D_i \, (1 + Q_i(n - 1)), \quad X(n) = \frac{n}{Z + \sum_i R_i(n)}, \quad
              Q_i(n) = X(n) \, R_i(n)

    Parameters
    ----------
    demands : array, shape (stations,)
        D, seconds of service that one request needs at each station, over all its visits.
    think_time : float
        Z, seconds between a response and the same client's next request.
    population : int or array
        N, clients; at most `MOST`.

    Returns
    -------
    ClosedSystem
        Throughput, response, and what happens at each station, for each population.

    Raises
    ------
    ValueError
        An argument outside its domain; no stations, or demands that are all 0.

    Examples
    --------
    Two clients take turns at two stations. They meet at one of them two times in three, and are 3/2 as slow as alone.

    >>> system = mean_value_analysis([1.0, 1.0], think_time=0, population=2)
    >>> system.response, round(system.throughput, 4)
    (3.0, 0.6667)

    Notes
    -----
    Exact where the stations have exponential service times and serve first come first served, or any service times and
    share the processor. A client who arrives finds the system as it is with one client less (the arrival theorem).
    Chapters 02 and 12.

    References
    ----------
    Reiser, Lavenberg: Mean-value analysis of closed multichain queuing networks. Journal of the ACM 27(2), 1980.
    """
    demands = _demands(demands)
    think_time = scalar("think_time", think_time, amount)
    population = count("population", population, high=MOST)
    most = int(population.max(initial=1))
    residences, queues = np.empty((2, most, len(demands)))
    throughputs = np.empty(most)
    queue = np.zeros(len(demands))
    for n in range(most):
        residence = demands * (1 + queue)
        throughputs[n] = (n + 1) / (think_time + residence.sum())
        queue = throughputs[n] * residence
        residences[n], queues[n] = residence, queue
    chosen = population.astype(int) - 1
    throughput, residence = throughputs[chosen], residences[chosen]
    return ClosedSystem(
        plain(throughput),
        plain(residence.sum(axis=-1)),
        residence,
        queues[chosen],
        # Rounding must not make a station more than busy.
        np.minimum(throughput[..., None] * demands, 1.0),
    )


def _demands(demands: ArrayLike) -> np.ndarray:
    demands = np.atleast_1d(amount("demands", demands))
    if demands.ndim > 1 or not demands.size:
        raise ValueError(f"demands have shape {demands.shape}; there must be one number for each station, at least one")
    if demands.max() < 1 / LARGEST:
        raise ValueError(f"the largest demand is {demands.max():g}; at least one must be {1 / LARGEST:g} or more")
    return demands


def machine_repair(population: ArrayLike, think_time: ArrayLike, service_rate: ArrayLike, servers: ArrayLike) -> Queue:
    r"""Return the M/M/c//N queue: N machines that run until they break, and c who repair them.

    Or N clients who think before their next request, and c servers: a small number of clients, who send nothing while
    they wait for an answer.

    .. math:: p_n = p_0 \prod_{k=1}^{n} \frac{N - k + 1}{Z \, \mu \min(k, c)}

    Parameters
    ----------
    population : int or array
        N, machines or clients; at most `MOST`.
    think_time : float or array
        Z, mean seconds that a machine runs, or a client thinks; exponential.
    service_rate : float or array
        μ of one server, per second; exponential service.
    servers : int or array
        c.

    Returns
    -------
    Queue
        Of those at the servers. ``mean_number / mean_response`` is the throughput. No ``response_quantile``.

    Raises
    ------
    ValueError
        No machine or more than `MOST`, no server; a think time below 0; a rate that is not above 0.

    Examples
    --------
    Five patrol cars that break down every 30 days; two workers repair a car in 3 days each.

    >>> cars = machine_repair(population=5, think_time=30, service_rate=1 / 3, servers=2)
    >>> round(cars.mean_number, 3), round(cars.mean_response, 2)
    (0.465, 3.07)

    One car in a hundred waits for more than two days before its repair begins:

    >>> round(cars.wait_quantile(0.99), 2)
    2.49

    Notes
    -----
    Who arrives finds the system as it is with one client less: this gives ``wait_probability`` and ``wait_quantile``.
    Who finds all servers busy and j − 1 waiting waits for j departures: Erlang distributed, j phases of rate cμ.
    Chapters 02 and 12. Kleinrock: Queueing Systems, Volume 1: Theory. Wiley 1975, sections 3.8 (one server) and 3.10.
    """
    rate = positive("service_rate", service_rate)
    population = count("population", population, high=MOST)
    think = amount("think_time", think_time) * rate
    servers = count("servers", servers)
    busy, waiting, delayed = np.vectorize(_machine_repair, otypes=[float] * 3)(population, think, servers)

    def wait_quantile(q: np.ndarray) -> np.ndarray:
        def one(q: float, population: float, think: float, servers: float, rate: float) -> float:
            return departures_quantile(q, _arrivals(population, think, servers)[int(servers) :], servers * rate)

        return np.vectorize(one, otypes=[float])(q, population, think, servers, rate)

    return from_wait(
        busy * rate,
        1 / rate,
        busy / servers,
        waiting / (busy * rate),
        delayed,
        _wait_quantile=wait_quantile,
    )


def _states(population: float, think: float, servers: float) -> np.ndarray:
    """Return the probabilities of 0 to N at the servers; ``think`` in service times."""
    ahead = np.arange(population)  # how many are at the servers when one more joins them
    with np.errstate(divide="ignore"):
        falls = np.log(think * np.minimum(ahead + 1, servers) / (population - ahead))
    # From all at the servers down to none, so that no thinking at all is no exception; the largest is 1.
    logs = np.concatenate([np.cumsum(falls[::-1])[::-1], [0.0]])
    p = np.exp(logs - logs.max())
    return p / p.sum()


def _arrivals(population: float, think: float, servers: float) -> np.ndarray:
    """Return the probabilities that who comes finds 0 to N − 1 at the servers."""
    # An arrival from state n happens at a rate proportional to (N − n) p, and so as often as a departure from n + 1.
    p = _states(population, think, servers)
    starts = p[1:] * np.minimum(np.arange(1, population + 1), servers)
    return starts / starts.sum()


def _machine_repair(population: float, think: float, servers: float) -> tuple[float, float, float]:
    """Return the mean number in service and waiting, and the probability of waiting; ``think`` in service times."""
    p = _states(population, think, servers)
    inside = np.arange(population + 1)
    busy = (p * np.minimum(inside, servers)).sum()
    waiting = (p * np.maximum(inside - servers, 0)).sum()
    return busy, waiting, _arrivals(population, think, servers)[int(min(servers, population)) :].sum()
