"""`share`: tasks of several users on one pool of resources, in order of arrival or fairly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, one_of, scalar
from course.simulate.arguments import each, in_order

SHARINGS = ("fair", "fifo")
"""The user of the least dominant share goes first (DRF; of one resource: max-min fairness); first in, first out."""

MOST_USERS = 10**4


@dataclass(frozen=True, eq=False)
class Shared:
    """What happened to each task, in the order of their arrivals.

    Attributes
    ----------
    arrival, start, stop : array, shape (n,)
        When each came and ran [s].
    user : array of int, shape (n,)
        Whose it was.
    demand : array, shape (n, resources)
        What it held while it ran.
    capacity : array, shape (resources,)
        What there is.
    """

    arrival: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    user: np.ndarray
    demand: np.ndarray
    capacity: np.ndarray

    def __len__(self) -> int:
        return len(self.arrival)

    def __repr__(self) -> str:
        return f"Shared({len(self)} tasks, {self.user.max() + 1} users, mean wait {self.wait.mean():.4g} s)"

    @cached_property
    def wait(self) -> np.ndarray:
        """Seconds from arrival to start, shape (n,)."""
        return self.start - self.arrival

    def running_at(self, time: float) -> np.ndarray:
        """Return how many tasks each user runs at a time (starts count, stops do not), shape (users,)."""
        return np.bincount(self.user[self._runs(time)], minlength=self.user.max() + 1)

    def held_at(self, time: float) -> np.ndarray:
        """Return what each user holds of each resource at a time, shape (users, resources)."""
        held = np.zeros((self.user.max() + 1, len(self.capacity)))
        runs = self._runs(time)
        np.add.at(held, self.user[runs], self.demand[runs])
        return held

    def dominant_shares_at(self, time: float) -> np.ndarray:
        """Return the largest share that each user holds of any resource at a time, shape (users,)."""
        return (self.held_at(time) / self.capacity).max(axis=1)

    def _runs(self, time: float) -> np.ndarray:
        time = scalar("time", time)
        return (self.start <= time) & (time < self.stop)


def share(
    arrival: ArrayLike,
    user: ArrayLike,
    demand: ArrayLike,
    duration: ArrayLike,
    capacity: ArrayLike,
    *,
    policy: str = "fair",
) -> Shared:
    """Simulate tasks of several users that share a pool of resources.

    Parameters
    ----------
    arrival : array, shape (n,)
        When each task is submitted [s], in ascending order.
    user : array of int, shape (n,)
        Whose it is: 0, 1, … (at most 10⁴).
    demand : array of shape (n, resources), or (n,) where there is one resource
        What each task holds while it runs.
    duration : float or array of shape (n,)
        How long it runs [s].
    capacity : float or array of shape (resources,)
        What there is of each resource.
    policy : str
        One of `SHARINGS`.

    Returns
    -------
    Shared

    Raises
    ------
    ValueError
        No task; arrays of different lengths; arrivals that are not in order; a task that demands more than there is; an
        unknown policy; numbers out of range.

    Examples
    --------
    9 CPUs and 18 GB; tasks of user 0 need 1 CPU and 4 GB, those of user 1 need 3 CPUs and 1 GB. Both get 2/3 of what
    they need most: memory and CPUs.

    >>> import numpy as np
    >>> user = np.array([0] * 10 + [1] * 10)
    >>> demand = np.array([[1, 4], [3, 1]])[user]
    >>> for policy in ("fair", "fifo"):
    ...     result = share(np.zeros(20), user, demand, 60.0, [9, 18], policy=policy)
    ...     print(policy, result.running_at(0), result.dominant_shares_at(0).round(2))
    fair [3 2] [0.67 0.67]
    fifo [4 0] [0.89 0.  ]

    Notes
    -----
    A user's dominant share is the largest of the shares that the user's running tasks hold of each resource. Whenever
    there may be room, the first waiting task of the user of the least dominant share (among equals, the smallest
    number) starts if it fits, and so on until one does not fit. Nobody is passed over because a task is large, so that
    some of the pool may stay idle. Running tasks are not interrupted. Taught in chapter 06.

    References
    ----------
    Ghodsi, Zaharia, Hindman, Konwinski, Shenker, Stoica: Dominant resource fairness: fair allocation of multiple
    resource types. NSDI 2011, algorithm 1.
    """
    from course.simulate import sharing_kernels as kernels

    came = in_order("arrival", arrival)
    n = len(came)
    if not 0 < n <= 10**6:
        raise ValueError(f"there are {n} tasks; there must be at least 1, and at most {10**6:,}")
    whose = _shaped("user", number("user", user, low=0, high=MOST_USERS - 1, whole=True), (n,)).astype(np.int64)
    there = np.atleast_1d(number("capacity", capacity, above=0, high=1e100))
    needs = number("demand", demand, low=0)
    needs = _shaped("demand", needs[:, np.newaxis] if needs.ndim == 1 else needs, (n, there.size)).copy()
    there = _shaped("capacity", there, (there.size,)).copy()
    if (needs > there).any():
        task, resource = np.argwhere(needs > there)[0]
        raise ValueError(
            f"demand[{task}, {resource}] is {needs[task, resource]:g}; it must be at most the capacity,"
            f" {there[resource]:g}"
        )
    takes = each("duration", duration, n, low=0)
    one_of("policy", policy, SHARINGS)
    with np.errstate(over="ignore"):
        number("the last arrival plus all durations", came[-1] + takes.sum())
    start = kernels.share(came, whose, needs, takes, there, int(whose.max()) + 1, policy == "fair")
    return Shared(came, start, start + takes, whose, needs, there)


def _shaped(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; it must be {shape}")
    return array
