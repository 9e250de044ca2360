"""Load generators, open and closed: `varying_arrivals`, `closed_loop`, `coordinated_omission`, `correct_omission`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, scalar, whole
from course.simulate.arguments import Law, draw, last, room, times
from course.simulate.queues import queue


def varying_arrivals(rate: ArrayLike, step: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return seconds between Poisson arrivals whose rate changes over time, shape (arrivals,).

    Parameters
    ----------
    rate : array, shape (steps,)
        Arrivals per second during each step.
    step : float
        Seconds that a step takes.
    seed : int

    Returns
    -------
    array, shape (arrivals,)
        Seconds before each; their sum is below ``len(rate) * step``.

    Raises
    ------
    ValueError
        Rates that are negative, infinite or NaN; a step that is not above 0; more than `ROOM` arrivals.

    Examples
    --------
    100 seconds of calm, 10 of a rush:

    >>> gaps = varying_arrivals([5] * 100 + [50] * 10)
    >>> when = gaps.cumsum()
    >>> bool(abs((when < 100).sum() - 500) < 70), bool(abs((when > 100).sum() - 500) < 70)
    (True, True)

    Notes
    -----
    An *open* load: nobody waits for an answer before the next request comes. Given their number in a step, Poisson
    arrivals are spread over it evenly. Chapters 02, 09 and 17. Kingman: Poisson Processes. Oxford University Press
    1993.
    """
    rates = times("rate", rate)
    step = scalar("step", step, above=0)
    with np.errstate(over="ignore"):
        expected = rates * step
        last("step", np.array([len(rates) * step]))
    room("the number of arrivals", float(expected.sum()))
    rng = generator(seed)
    count = rng.poisson(expected)
    when = (np.repeat(np.arange(len(rates)), count) + rng.random(count.sum())) * step
    return np.diff(np.sort(when), prepend=0.0)


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """The requests of a closed loop in the order in which they were sent; arrays of shape (n,), times in seconds.

    Attributes
    ----------
    client : array of int
        Who sent it.
    sent, start, stop : array
        When it was sent, when its service began and ended.
    clients, servers : int
    """

    client: np.ndarray
    sent: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    clients: int
    servers: int

    def __len__(self) -> int:
        return len(self.sent)

    def __repr__(self) -> str:
        return (
            f"ClosedLoop({len(self)} requests, {self.clients} clients, {self.servers} servers, "
            f"mean response {self.response.mean():.4g} s)"
        )

    @property
    def response(self) -> np.ndarray:
        """Seconds from sending to answer."""
        return self.stop - self.sent

    def throughput(self, warm_up: float = 0.1) -> float:
        """Return the answers per second, without the first share of them."""
        stop = np.sort(self.stop)
        first = int(scalar("warm_up", warm_up, low=0, high=0.9) * len(stop))
        seconds = stop[-1] - (stop[first - 1] if first else 0.0)
        return float((len(stop) - first) / seconds) if seconds > 0 else np.inf


def closed_loop(
    clients: int, think_time: Law, service: Law, servers: int = 1, requests: int = 10_000, seed: int = 0
) -> ClosedLoop:
    """Simulate clients who each wait for the answer, think, and send the next request.

    Parameters
    ----------
    clients : int
        N.
    think_time, service : float, array of shape (requests,), or callable
        Seconds before the k-th request, and its seconds of service; a callable is called as ``(rng, requests)``.
    servers : int
        Servers that share one queue, first come first served.
    requests : int
        How many are sent in all.
    seed : int

    Returns
    -------
    ClosedLoop

    Raises
    ------
    ValueError
        No client, server or request; times that are negative, infinite or NaN, or not as many as requests; too many
        requests.

    Examples
    --------
    Three clients who do not think keep one server busy, and none of them ever waits for more than the other two:

    >>> run = closed_loop(3, think_time=0.0, service=2.0, requests=9)
    >>> run.throughput(warm_up=0), float(run.response.max())
    (0.5, 6.0)

    Notes
    -----
    The load answers to the service: no more than N requests are ever inside, and when it slows down they come more
    slowly. So a closed load generator shows a slow service as less throughput, an open one as a growing queue. The
    first request of each client is sent after a think time. With exponential times and one server this is the
    machine-repair model. Chapters 02, 09 and 12.

    References
    ----------
    Schroeder, Wierman, Harchol-Balter: Open versus closed: a cautionary tale. NSDI 2006.
    """
    from course.simulate.load_kernels import closed_loop as kernel

    clients, servers = whole("clients", clients, low=1), whole("servers", servers, low=1)
    n = whole("requests", requests, low=1)
    room("requests", n)
    rng = generator(seed)
    think, work = draw("think_time", think_time, rng, n), draw("service", service, rng, n)
    with np.errstate(over="ignore"):
        last("think_time and service", np.array([think.sum() + work.sum()]))
    # Clients beyond the number of requests send none, and so do servers.
    client, sent, start, stop = kernel(min(clients, n), think, work, min(servers, n))
    return ClosedLoop(client, sent, start, stop, clients, servers)


def coordinated_omission(service: ArrayLike, interval: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Return what a load generator that waits for each answer records, and what it should: coordinated omission.

    It means to send a request every ``interval`` seconds, over one connection; while it waits for a slow answer, it
    does not send those that are due. Its records leave out just the requests that would have waited.

    .. math:: \text{sent}_i = \max(i \cdot \text{interval}, \text{done}_{i-1}), \qquad
              \text{recorded}_i = \text{done}_i - \text{sent}_i, \qquad
              \text{true}_i = \text{done}_i - i \cdot \text{interval}

    Parameters
    ----------
    service : array, shape (n,)
        Seconds from sending to answer.
    interval : float
        Seconds between requests in the schedule.

    Returns
    -------
    recorded, true : array, shape (n,)
        Seconds from when it was sent, and from when it was due.

    Raises
    ------
    ValueError
        No request; times that are negative, infinite or NaN.

    Examples
    --------
    One answer of ten takes 5 seconds. The records say: nine of ten take one second.

    >>> recorded, true = coordinated_omission([1, 5, 1, 1, 1, 1, 1, 1, 1, 1], interval=2.0)
    >>> true
    array([1., 5., 4., 3., 2., 1., 1., 1., 1., 1.])

    Notes
    -----
    The true times are those of a queue at one server (Lindley's recursion). Chapter 02. The name is Gil Tene's: How NOT
    to measure latency. Talk, Strange Loop 2015.
    """
    work = times("service", service)
    if not len(work):
        raise ValueError("service is empty; at least one request must be sent")
    gaps = np.full(len(work), scalar("interval", interval, low=0))
    gaps[0] = 0.0
    with np.errstate(over="ignore"):
        last("interval and service", np.array([gaps.sum() + work.sum()]))
    return work, queue(gaps, work).response


def correct_omission(recorded: ArrayLike, interval: float) -> np.ndarray:
    """Return latencies with those added that a load generator left out while it waited, shape (at least n,).

    To each record longer than the interval it adds the requests that were due meanwhile: 1 interval less, 2 intervals
    less, …, as long as an interval remains.

    Parameters
    ----------
    recorded : array, shape (n,)
        Seconds from sending to answer.
    interval : float
        Seconds between requests in the schedule.

    Returns
    -------
    array, shape (at least n,)
        Seconds: the records, then those that were left out.

    Raises
    ------
    ValueError
        Records that are negative, infinite or NaN; an interval that is not above 0; more than `ROOM` left out.

    Examples
    --------
    >>> correct_omission([1.0, 5.0], interval=2.0)
    array([1., 5., 3.])

    Notes
    -----
    The rule of HdrHistogram's ``recordValueWithExpectedInterval`` (Tene). It is a guess after the fact;
    `coordinated_omission` shows what was really omitted. Chapter 02. Source: the documentation of HdrHistogram.
    """
    latency = times("recorded", recorded)
    interval = scalar("interval", interval, above=0)
    with np.errstate(over="ignore"):
        left_out = np.maximum(np.floor(latency / interval) - 1, 0)
    room("the number of added latencies", float(left_out.sum()))
    left_out = left_out.astype(np.int64)
    slow = np.repeat(latency, left_out)
    # 1, 2, … for each slow one.
    nth = np.arange(len(slow)) - np.repeat(np.cumsum(left_out) - left_out, left_out) + 1
    return np.concatenate([latency, slow - nth * interval])
