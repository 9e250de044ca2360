"""`micro_batches`, `batch_server`: which requests a service takes together, and when it is done with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import scalar, whole
from course.simulate.arguments import arrivals, times
from course.simulate.queues import MOST_SECONDS, Sojourns


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of a stream of requests.

    Attributes
    ----------
    sent : array, shape (batches,)
        When each batch was complete and sent on [s].
    batch : array of int, shape (requests,)
        The batch of each request.
    """

    sent: np.ndarray
    batch: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Requests in each batch, array of int, shape (batches,)."""
        return np.bincount(self.batch, minlength=len(self.sent))

    @property
    def first(self) -> np.ndarray:
        """The first request of each batch, array of int, shape (batches,)."""
        return np.searchsorted(self.batch, np.arange(len(self.sent)))


def micro_batches(interarrival: ArrayLike, most: int, wait: float) -> Batches:
    """Put requests into batches: a batch is sent when it is full, or when its first request has waited long enough.

    Parameters
    ----------
    interarrival : array, shape (n,)
        Seconds between arrivals; the first request comes at ``interarrival[0]``.
    most : int
        Requests that a batch holds.
    wait : float
        Seconds that the first request of a batch waits for others at most. Who comes at that very moment is in.

    Returns
    -------
    Batches

    Raises
    ------
    ValueError
        No arrival; times that are negative, NaN or infinite; ``most`` below 1.

    Examples
    --------
    >>> batches = micro_batches([0, 1, 1, 5, 9], most=2, wait=1.5)
    >>> batches.batch, batches.sent
    (array([0, 0, 1, 2, 3]), array([ 1. ,  3.5,  8.5, 17.5]))

    Notes
    -----
    How long a batch is then served, and where it queues, is a matter of its own: give ``np.diff(sent, prepend=0)`` and
    the service of each batch to `course.simulate.queue`. Chapter 21.

    References
    ----------
    Crankshaw, Wang, Zhou, Franklin, Gonzalez, Stoica: Clipper: a low-latency online prediction serving system.
    NSDI 2017.
    """
    arrival = arrivals("interarrival", interarrival)
    most, wait = whole("most", most, low=1), scalar("wait", wait, low=0)
    if most == 1:
        return Batches(arrival, np.arange(len(arrival)))
    sent, batch, first = [], np.empty(len(arrival), dtype=np.int64), 0
    while first < len(arrival):
        limit = arrival[first] + wait
        after = min(first + most, int(np.searchsorted(arrival, limit, side="right")))
        sent.append(arrival[after - 1] if after - first == most else limit)
        batch[first:after] = len(sent) - 1
        first = after
    return Batches(np.array(sent), batch)


def batch_server(interarrival: ArrayLike, service: ArrayLike, most: int) -> Sojourns:
    """Simulate one server of static batches: it takes who waits, at most so many, and is free when the last is done.

    Parameters
    ----------
    interarrival : array, shape (n,)
        Seconds between arrivals; the first request comes at ``interarrival[0]``.
    service : array, shape (n,)
        Seconds that each request needs; a batch takes as long as its longest.
    most : int
        Places: requests that a batch holds.

    Returns
    -------
    Sojourns
        Of ``most`` servers, its utilization the share of the places' time that somebody needs. A request starts, and
        stops, with its batch.

    Raises
    ------
    ValueError
        Arrays of different or zero length; times that are negative, NaN, infinite, or add up to too much; ``most``
        below 1.

    Examples
    --------
    The first request is served alone. The next three came meanwhile; two fit.

    >>> served = batch_server([0, 1, 1, 1], [5, 2, 7, 3], most=2)
    >>> served.start, served.stop
    (array([ 0.,  5.,  5., 12.]), array([ 5., 12., 12., 15.]))

    Notes
    -----
    It does not wait for company. With one place it is `queue` with one server. *Continuous* batching, where the next
    request takes a place as soon as it is free, is `queue` with as many servers as there are places. Chapter 24.

    References
    ----------
    Yang, Xu, Jiao: A queueing theoretic perspective on low-latency LLM inference with variable token length. WiOpt
    2024.
    """
    arrival, work = arrivals("interarrival", interarrival), times("service", service)
    most = whole("most", most, low=1)
    if len(work) != len(arrival):
        raise ValueError(f"interarrival has {len(arrival)} entries and service {len(work)}; both must have as many")
    with np.errstate(over="ignore"):
        total = arrival[-1] + work.sum()
    if not total <= MOST_SECONDS:
        raise ValueError(f"all times add up to {total:g} s; at most {MOST_SECONDS:g} are allowed")
    start, stop = np.empty(len(work)), np.empty(len(work))
    came, needs = arrival.tolist(), work.tolist()
    now, first = 0.0, 0
    while first < len(came):
        now = max(now, came[first])
        after = first + 1
        while after < len(came) and after - first < most and came[after] <= now:
            after += 1
        start[first:after] = now
        now += max(needs[first:after])
        stop[first:after] = now
        first = after
    return Sojourns(arrival, work, start, stop, most)
