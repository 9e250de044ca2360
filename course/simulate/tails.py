"""Slow answers and what helps: `fan_out`, `hedge`, `hedged_queues`, `speculate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, one_of, scalar, whole
from course.simulate.arguments import Law, arrivals, draw, last, room, times

Sampler = Callable[[np.random.Generator, int], ArrayLike]
CANCEL = ("never", "finish", "start")
"""When the other copy of a request is cancelled, if it still waits: never; once one has been answered; once one has
been started ("tied" requests)."""
BACKUPS = ("none", "oldest", "longest")
"""Which running task an idle worker copies: none; the one that began first; the one with the most seconds left."""


def fan_out(requests: int, leaves: int, latency: Sampler, seed: int = 0) -> np.ndarray:
    r"""Return the seconds of requests that each wait for the slowest of many leaves, shape (requests,).

    Parameters
    ----------
    requests : int
    leaves : int
        Servers that each request asks, all at once.
    latency : callable
        ``(rng, n) -> array`` of n latencies [s], independent.
    seed : int

    Returns
    -------
    array, shape (requests,)

    Raises
    ------
    ValueError
        Numbers out of range, or so many that they need more memory than there may be; latencies that are negative,
        infinite or NaN.

    Examples
    --------
    One leaf in a hundred is slow; of requests to a hundred leaves 63 % are.

    >>> import numpy as np
    >>> slow = lambda rng, n: np.where(rng.random(n) < 0.01, 1.0, 0.01)
    >>> round(float((fan_out(10_000, 100, slow) == 1).mean()), 2)
    0.63

    Notes
    -----
    A request is slow with probability :math:`1 - (1 - p)^n`. Chapter 16. Dean, Barroso: The tail at scale.
    Communications of the ACM 56(2), 2013.
    """
    n, leaves = whole("requests", requests, low=1), whole("leaves", leaves, low=1)
    room("requests × leaves", n * leaves, 200_000_000)
    room("requests", n)
    rng = generator(seed)
    _callable("latency", latency)
    result = np.empty(n)
    # In parts that fit into memory; a request is in one part, unless it alone is too large.
    most = max(1, 4_000_000 // leaves)
    for first in range(0, n, most):
        part = result[first : first + most]
        part[:] = draw("latency", latency, rng, len(part) * leaves).reshape(len(part), leaves).max(axis=1)
    return result


def _callable(name: str, value: object) -> None:
    if not callable(value):
        raise ValueError(f"{name} is {value!r:.80}; it must be a function (rng, n) -> array of n latencies")


@dataclass(frozen=True, eq=False)
class Hedged:
    """Requests of which some were sent twice; arrays of shape (n,), times in seconds.

    Attributes
    ----------
    latency : array
        From the request to the first answer.
    copies : array of int
        How often each was sent: 1 or 2.
    busy : float
        Seconds of work done, for first and second copies.
    """

    latency: np.ndarray
    copies: np.ndarray
    busy: float

    def __len__(self) -> int:
        return len(self.latency)

    def __repr__(self) -> str:
        return f"Hedged({len(self)} requests, {self.extra:.1%} sent twice, median {np.median(self.latency):.4g} s)"

    @property
    def extra(self) -> float:
        """The share of the requests that was sent twice."""
        return float((self.copies - 1).mean())


def hedge(requests: int, latency: Sampler, delay: float, seed: int = 0) -> Hedged:
    r"""Simulate requests that are sent again if they are not answered after a while; the first answer counts.

    Parameters
    ----------
    requests : int
    latency : callable
        ``(rng, n) -> array`` of n latencies [s], independent of each other and of the load.
    delay : float
        Seconds before the second copy is sent; infinity for never, 0 for always.
    seed : int

    Returns
    -------
    Hedged
        ``busy`` counts both copies to their end: none is cancelled.

    Raises
    ------
    ValueError
        Numbers out of range; latencies that are negative, infinite or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> slow = lambda rng, n: np.where(rng.random(n) < 0.01, 1.0, 0.01)
    >>> hedged = hedge(100_000, slow, delay=0.02)
    >>> bool(np.quantile(hedged.latency, 0.999) < 0.04), round(hedged.extra, 3)
    (True, 0.01)

    Notes
    -----
    .. math:: P(T > t) = P(L > t) \, P(L > t - \text{delay})

    The second copy does not slow down the others here; in `hedged_queues` it does. Chapter 16. Dean, Barroso: The tail
    at scale. Communications of the ACM 56(2), 2013.
    """
    n = whole("requests", requests, low=1)
    room("requests", n)
    _callable("latency", latency)
    delay = _delay(delay)
    rng = generator(seed)
    first, second = draw("latency", latency, rng, n), draw("latency", latency, rng, n)
    twice = first > delay
    with np.errstate(over="ignore"):
        answer = np.where(twice, np.minimum(first, delay + second), first)
        busy = last("latency", np.array([first.sum() + second[twice].sum()]))
    return Hedged(answer, 1 + twice.astype(np.int64), float(busy[0]))


def _delay(delay: float) -> float:
    if isinstance(delay, (int, float)) and delay == np.inf:
        return np.inf
    return scalar("delay", delay, low=0)


def hedged_queues(
    interarrival: ArrayLike,
    service: Law,
    servers: int,
    *,
    delay: float = np.inf,
    cancel: str = "finish",
    seed: int = 0,
) -> Hedged:
    """Simulate hedged and tied requests to servers with a queue each: the second copies load them, too.

    Parameters
    ----------
    interarrival : array, shape (n,)
        Seconds between requests.
    service : float, array of shape (n,), or callable ``(rng, n) -> array``
        Seconds of work. A callable draws afresh for the second copy; otherwise it needs as much as the first.
    servers : int
        Each serves its own queue first come first served. A request goes to one at random, its copy to another one.
    delay : float
        Seconds before the copy is sent if there is no answer; infinity for never, 0 for at once. With one server there
        is no other, and no copy.
    cancel : str
        One of `CANCEL`. A copy that is being served is always served to its end.
    seed : int

    Returns
    -------
    Hedged

    Raises
    ------
    ValueError
        No request; times that are negative, infinite or NaN; an unknown ``cancel``; numbers out of range.

    Examples
    --------
    Copies that are never cancelled double the load: from half of what the servers can do to all of it.

    >>> import numpy as np
    >>> gaps = np.full(10_000, 0.2)
    >>> work = lambda rng, n: rng.exponential(1.0, n)
    >>> never = hedged_queues(gaps, work, 10, delay=0.0, cancel="never")
    >>> alone = hedged_queues(gaps, work, 10)
    >>> bool(never.latency.mean() > 2 * alone.latency.mean()), round(never.busy / alone.busy, 1)
    (True, 2.0)

    Notes
    -----
    "Tied" is ``delay=0, cancel="start"``: a request waits in two queues at once and is served where its turn comes
    first, so that nothing is done twice. Messages take no time. At one instant ends of service come first, then copies,
    then requests. Chapter 16. Dean, Barroso: The tail at scale. Communications of the ACM 56(2), 2013.
    """
    from course.simulate.tail_kernels import hedged_queues as kernel

    arrival = arrivals("interarrival", interarrival)
    n = len(arrival)
    servers = whole("servers", servers, low=1, high=1_000_000)
    delay = _delay(delay)
    if cancel not in CANCEL:
        raise ValueError(f"cancel is {cancel!r:.80}; it must be one of {', '.join(CANCEL)}")
    rng = generator(seed)
    work = draw("service", service, rng, n)
    again = draw("service", service, rng, n) if callable(service) else work.copy()
    with np.errstate(over="ignore"):
        latest = arrival[-1] + work.sum() + again.sum() + (0.0 if np.isinf(delay) else delay)
        last("interarrival, service and delay", np.array([latest]))
    first = rng.integers(servers, size=n)
    second = (first + 1 + rng.integers(servers - 1, size=n)) % servers if servers > 1 else np.full(n, -1)
    latency, copies, busy = kernel(
        arrival, np.stack([work, again]), np.stack([first, second]), servers, delay, CANCEL.index(cancel)
    )
    return Hedged(latency, copies, busy)


@dataclass(frozen=True, eq=False)
class Speculated:
    """A set of tasks of which some were run twice; arrays of shape (n,), times in seconds.

    Attributes
    ----------
    start, stop : array
        When each task first began, and when the first of its copies was done.
    copied : array of bool
        Whether it was run twice.
    busy : float
        Seconds that workers spent, those for copies that came second too.
    """

    start: np.ndarray
    stop: np.ndarray
    copied: np.ndarray
    busy: float

    def __len__(self) -> int:
        return len(self.stop)

    def __repr__(self) -> str:
        return f"Speculated({len(self)} tasks, {self.copied.sum()} run twice, makespan {self.makespan:.4g} s)"

    @property
    def makespan(self) -> float:
        """Seconds until all tasks are done."""
        return float(self.stop.max(initial=0.0))


def speculate(
    durations: ArrayLike, workers: int, backup: ArrayLike | None = None, policy: str = "longest", at_least: float = 0.0
) -> Speculated:
    """Simulate independent tasks with backup copies of the last ones, against stragglers.

    Tasks begin in their order, each on the next idle worker. When none is left to begin, an idle worker runs a copy of
    a task that is still running; the first of the two to end counts, and the other is stopped at once.

    Parameters
    ----------
    durations : array, shape (n,)
        Seconds that the first run of each task takes.
    workers : int
    backup : array of shape (n,), or float, optional
        Seconds that its copy takes. By default the median of ``durations``: the machine, not the task, is slow.
    policy : str
        One of `BACKUPS`. "longest" is LATE's rule, what has the most left, with an estimate that is exact. "oldest"
        needs no estimate; MapReduce, which copies all that still runs when it is nearly done, has no order.
    at_least : float
        Only tasks with more than so many seconds left are copied.

    Returns
    -------
    Speculated

    Raises
    ------
    ValueError
        Times that are negative, infinite or NaN, or of another shape; an unknown policy; numbers out of range.

    Examples
    --------
    One machine is ten times as slow.

    >>> speculate([1, 1, 1, 10], workers=4, policy="none").makespan, speculate([1, 1, 1, 10], workers=4).makespan
    (10.0, 2.0)

    Notes
    -----
    A task has one copy at most. Unlike LATE there is no cap on the copies, nor a threshold below which a task counts as
    slow, and any worker may run them, not only fast ones. Chapter 16 (and 06).

    References
    ----------
    Dean, Ghemawat: MapReduce: simplified data processing on large clusters. OSDI 2004, section 3.6.
    Zaharia, Konwinski, Joseph, Katz, Stoica: Improving MapReduce performance in heterogeneous environments. OSDI 2008.
    """
    from course.simulate.tail_kernels import speculate as kernel

    work = times("durations", durations)
    n = len(work)
    workers = whole("workers", workers, low=1)
    one_of("policy", policy, BACKUPS)
    at_least = scalar("at_least", at_least, low=0)
    with np.errstate(over="ignore"):
        if backup is None:
            backup = np.median(work) if n else 0.0
        again = draw("backup", backup, generator(0), n)
        last("durations and backup", np.array([work.sum() + again.sum()]))
    if not n:
        return Speculated(work, work.copy(), np.zeros(0, bool), 0.0)
    # More than two workers a task have nothing to do.
    start, stop, copied, busy = kernel(work, again, min(workers, 2 * n), BACKUPS.index(policy), at_least)
    return Speculated(start, stop, copied, busy)
