"""`micro_batches`: which requests an online service takes together, and when it sends them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import scalar, whole
from course.simulate.arguments import arrivals


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
