"""`queue`: customers at one or more servers, by any discipline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

DISCIPLINES = ("fifo", "lifo", "sjf", "priority", "srpt", "ps")
"""First come first served; last come first served; shortest job first; smallest priority number first (these three do
not interrupt a service); shortest remaining processing time (interrupts); processor sharing."""


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
        """Seconds in the system without being served: response − service."""
        wait = self.response - self.service
        # Rounding late in a long run must not make somebody wait who did not, or wait less than nothing.
        return np.where(wait > 4 * np.spacing(self.stop), wait, 0.0)

    @property
    def slowdown(self) -> np.ndarray:
        """Response / service: how many times as long it took as on an empty system."""
        return self.response / self.service

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
        Arrays of different or zero length, negative, infinite or NaN times; servers below 1; unknown discipline.

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
    from course.simulate import queue_kernels as kernels

    gaps, work = _times("interarrival", interarrival), _times("service", service)
    if len(gaps) != len(work) or not len(gaps):
        raise ValueError(
            f"interarrival has {len(gaps)} entries and service {len(work)}; both must have the same number, at least 1"
        )
    if isinstance(servers, bool) or not isinstance(servers, (int, np.integer)) or servers < 1:
        raise ValueError(f"servers is {servers!r}; it must be a whole number of at least 1")
    if discipline not in DISCIPLINES:
        raise ValueError(f"discipline is {discipline!r}; it must be one of {', '.join(DISCIPLINES)}")
    if (priority is not None) != (discipline == "priority"):
        raise ValueError("priority must be given with discipline='priority', and only then")
    arrival = np.cumsum(gaps)
    if discipline == "fifo":
        start, stop = (
            kernels.fifo_one(arrival, work) if servers == 1 else kernels.fifo_many(arrival, work, int(servers))
        )
    elif discipline == "ps":
        start, stop = kernels.processor_sharing(arrival, work, int(servers))
    elif discipline == "srpt":
        start, stop = kernels.shortest_remaining(arrival, work, int(servers))
    else:
        start, stop = kernels.nonpreemptive(arrival, work, int(servers), _key(discipline, work, priority))
    return Sojourns(arrival, work, start, stop, int(servers))


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


def _times(name: str, values: ArrayLike) -> np.ndarray:
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {values!r:.80}; it must be an array of seconds") from None
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must be (n,)")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] is {array[bad[0]]}; it must be finite and at least 0")
    return array
