"""`queue`: customers at one or more servers, by any discipline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, one_of, scalar, whole
from course.simulate.distributions import draw

DISCIPLINES = ("fifo", "lifo", "sjf", "priority", "srpt", "ps")
"""First come first served; last come first served; shortest job first; smallest priority number first (these three do
not interrupt a service); shortest remaining processing time (interrupts); processor sharing."""

MOST_SECONDS = 1e300
"""What all times of a simulation may add up to: beyond it, sums of waiting times would no longer be finite."""


@dataclass(frozen=True, eq=False)
class Sojourns:
    """What happened to each customer, in the order of their arrivals; all arrays have shape (n,), times in seconds.

    Attributes
    ----------
    arrival, service : array
        When each came, and how much service it needed.
    start, stop : array
        When its service first began, and when it left.
    servers : int
        How many servers there were.
    """

    arrival: np.ndarray
    service: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    servers: int

    def __len__(self) -> int:
        return len(self.arrival)

    def __repr__(self) -> str:
        return (
            f"Sojourns({len(self)} customers, {self.servers} servers, utilization {self.utilization:.3f}, "
            f"mean wait {self.wait.mean():.4g} s)"
        )

    @cached_property
    def response(self) -> np.ndarray:
        """Seconds from arrival to departure."""
        return self.stop - self.arrival

    @cached_property
    def wait(self) -> np.ndarray:
        """Seconds in the system beyond the service: response − service, shape (n,).

        Where services are not interrupted this is the time until service begins. By "srpt" it holds interruptions, too.
        By "ps" nobody waits to be served: it is the excess delay, what sharing the servers adds to a response.
        """
        wait = self.response - self.service
        # Rounding late in a long run must not make somebody wait who did not, or wait less than nothing.
        return np.where(wait > 4 * np.spacing(self.stop), wait, 0.0)

    @property
    def slowdown(self) -> np.ndarray:
        """Response / service: how many times as long it took as on an empty system; ∞ where nothing took long."""
        needed = self.service > 0
        with np.errstate(over="ignore"):  # a tiny service: as good as ∞
            ratio = self.response / np.where(needed, self.service, 1.0)
        return np.where(needed, ratio, np.where(self.wait > 0, np.inf, 1.0))

    @property
    def horizon(self) -> float:
        """Seconds from time 0 until the last customer left."""
        return float(self.stop.max(initial=0.0))

    @property
    def utilization(self) -> float:
        """The share of the servers' time, from 0 to the horizon, that went into service."""
        return float(self.service.sum() / (self.servers * self.horizon)) if self.horizon else 0.0

    @property
    def throughput(self) -> float:
        """Customers served per second, from 0 to the horizon."""
        return len(self) / self.horizon if self.horizon else np.inf

    def number_at(self, times: ArrayLike) -> np.ndarray:
        """Return how many customers were in the system at each of the given times (arrivals count, departures not)."""
        times = np.asarray(times, dtype=float)
        if np.isnan(times).any():
            raise ValueError("times contain NaN; they must be numbers")
        came = np.searchsorted(self.arrival, times, side="right")
        return came - np.searchsorted(np.sort(self.stop), times, side="right")

    @property
    def mean_number(self) -> float:
        """The customers in the system, averaged over time by counting, from 0 to the horizon.

        It is the area under the step curve of `number_at`, found without using Little's law.
        """
        times = np.concatenate([self.arrival, self.stop])
        change = np.repeat([1, -1], len(self))
        order = np.argsort(times, kind="stable")
        number = np.cumsum(change[order])[:-1]
        return float((number * np.diff(times[order])).sum() / self.horizon) if self.horizon else 0.0


def queue(
    interarrival: ArrayLike,
    service: ArrayLike,
    servers: int = 1,
    discipline: str = "fifo",
    *,
    priority: ArrayLike | None = None,
) -> Sojourns:
    """Simulate customers that come to one queue with any number of servers (G/G/c).

    Parameters
    ----------
    interarrival : array, shape (n,)
        Seconds between arrivals; the first customer comes at ``interarrival[0]``.
    service : array, shape (n,)
        Seconds of service that each customer needs.
    servers : int
        How many servers share the queue.
    discipline : str
        One of `DISCIPLINES`.
    priority : array, shape (n,), optional
        For ``discipline="priority"``: each customer's class; smaller numbers go first, equals in order of arrival.

    Returns
    -------
    Sojourns

    Raises
    ------
    ValueError
        Arrays of different or zero length, negative, infinite or NaN times, or times that add up to more than
        `MOST_SECONDS`; servers below 1; unknown discipline.

    Examples
    --------
    >>> served = queue(interarrival=[1, 1, 1], service=[2, 2, 2])
    >>> served.wait
    array([0., 1., 2.])

    Notes
    -----
    Exact for the given times: Lindley's recursion for one server first come first served, Kiefer and Wolfowitz's for
    many, an event loop with a heap for the others. Taught in chapter 12.

    References
    ----------
    Lindley: The theory of queues with a single server. Proc. Cambridge Philosophical Society 48(2), 1952.
    Kiefer, Wolfowitz: On the theory of queues with many servers. Trans. American Mathematical Society 78(1), 1955.
    """
    gaps, work = _numbers("interarrival", interarrival), _numbers("service", service)
    if len(gaps) != len(work) or not len(gaps):
        _times("interarrival", gaps), _times("service", work)
        raise ValueError(
            f"interarrival has {len(gaps)} entries and service {len(work)}; both must have the same number, at least 1"
        )
    return _simulate(gaps, work, servers, discipline, priority)


def random_queue(
    arrival_rate: float,
    service_mean: float,
    servers: int = 1,
    discipline: str = "fifo",
    *,
    customers: int = 100_000,
    arrival_scv: float | None = None,
    service_scv: float | None = None,
    arrival: str | None = None,
    service: str | None = None,
    priority: ArrayLike | None = None,
    seed: int = 0,
) -> Sojourns:
    """Draw the times of customers at random, and simulate them as `queue` does.

    Parameters
    ----------
    arrival_rate : float
        Customers that arrive per second.
    service_mean : float
        Seconds of service that a customer needs on average.
    servers, discipline, priority
        As for `queue`.
    customers : int
        How many customers come, at most 10⁸.
    arrival_scv, service_scv : float, optional
        Squared coefficient of variation (variance / mean²) of the times between arrivals, and of service; 1 without it.
    arrival, service : str, optional
        Their distributions, of `DISTRIBUTIONS`; without it the usual one of that variation (see `random_times`).
    seed : int
        Seed of the draws. Arrivals and services have a stream of random numbers each, so that another distribution of
        the services meets the same arrivals (common random numbers).

    Returns
    -------
    Sojourns

    Raises
    ------
    ValueError
        Numbers out of range; unknown names; a variation that the distribution cannot have.

    Examples
    --------
    M/M/1 at a utilization of 0.8, whose mean wait is 0.8 / (1 − 0.8) = 4 s; constant service halves it.

    >>> print(f"{random_queue(0.8, 1.0, customers=1_000_000).wait.mean():.1f}")
    4.0
    >>> print(f"{random_queue(0.8, 1.0, service='constant', customers=1_000_000).wait.mean():.1f}")
    2.0

    Notes
    -----
    The queue need not be stable: what is simulated is what so many customers see. Taught in chapter 12. Source: as
    `queue`.
    """
    rate = scalar("arrival_rate", arrival_rate, low=1e-100, high=1e100)
    mean = scalar("service_mean", service_mean, low=0.0, high=1e100)
    customers = whole("customers", customers, low=1, high=10**8)
    arriving, serving = generator(seed).spawn(2)
    gaps = draw("arrival", customers, 1 / rate, arrival_scv, arrival, arriving)
    work = draw("service", customers, mean, service_scv, service, serving)
    return _simulate(_numbers("arrival", gaps), _numbers("service", work), servers, discipline, priority)


def _simulate(
    gaps: np.ndarray, work: np.ndarray, servers: int, discipline: str, priority: ArrayLike | None
) -> Sojourns:
    from course.simulate import queue_kernels as kernels

    servers = whole("servers", servers, low=1, high=10**9)
    one_of("discipline", discipline, DISCIPLINES)
    if (priority is not None) != (discipline == "priority"):
        raise ValueError("priority must be given with discipline='priority', and only then")
    n = len(gaps)
    # More servers than customers are idle.
    enough = min(servers, n)
    # One block, because the memory that the system gives at once it can take from larger pages.
    arrival, service, start, stop = np.empty((4, n))
    # The kernels check and add up the times on the way: it would cost as much again to do that before.
    if discipline == "fifo" and enough == 1:
        _check_total(kernels.fifo_one(gaps, work, arrival, service, start, stop), gaps, work)
        return Sojourns(arrival, service, start, stop, servers)
    if discipline == "fifo":
        _check_total(kernels.fifo_many(gaps, work, enough, arrival, service, start, stop), gaps, work)
        return Sojourns(arrival, service, start, stop, servers)
    _check_total(kernels.arrivals(gaps, work, arrival, service), gaps, work)
    if discipline == "ps":
        start, stop = kernels.processor_sharing(arrival, service, enough)
    elif discipline == "srpt":
        start, stop = kernels.shortest_remaining(arrival, service, enough)
    else:
        start, stop = kernels.nonpreemptive(arrival, service, enough, _key(discipline, service, priority))
    return Sojourns(arrival, service, start, stop, servers)


def _check_total(total: float, gaps: np.ndarray, work: np.ndarray) -> None:
    """Refuse times whose sum a kernel found to be too large, or NaN because one of them is none."""
    if not total <= MOST_SECONDS:
        _times("interarrival", gaps), _times("service", work)
        raise ValueError(f"all times add up to {total:g} s; they may add up to at most {MOST_SECONDS:g} s")


def _key(discipline: str, service: np.ndarray, priority: ArrayLike | None) -> np.ndarray:
    """Return the numbers by which waiting customers are chosen, smallest first; equals go in order of arrival."""
    if discipline == "lifo":
        return -np.arange(len(service), dtype=float)
    if discipline == "sjf":
        return service
    try:
        classes = np.array(priority, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"priority is {priority!r:.80}; it must be a number for each customer") from None
    if classes.shape != service.shape or np.isnan(classes).any():
        raise ValueError(f"priority has shape {classes.shape}; it must be {service.shape}, without NaN")
    return classes


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    """Return numbers as compiled code takes them: contiguous, and not to be written, whoever they belong to.

    It is no copy where none is needed. numba compiles anew for an array that cannot be written; so none can.
    """
    try:
        array = np.require(values, float, ["C", "A"]).view()
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {values!r:.80}; it must be an array of seconds") from None
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must be (n,)")
    array.flags.writeable = False
    return array


def _times(name: str, values: ArrayLike) -> np.ndarray:
    array = _numbers(name, values).copy()
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] is {array[bad[0]]}; it must be finite and at least 0")
    return array
