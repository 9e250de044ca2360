"""`dispatch`: which waiting task an idle worker takes, and where: any order, fair sharing, waiting for locality."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, scalar, whole
from course.simulate.arguments import each, in_order

MOST_TASKS = 10**5
MOST_WORKERS = 10**5


@dataclass(frozen=True, eq=False)
class Dispatched:
    """What happened to each task, in the order of their arrivals; all arrays have shape (n,), times in seconds.

    Attributes
    ----------
    arrival, service : array
        When each came, and how long it works, without the move of its input.
    start, stop : array
        When it ran.
    worker : array of int
        Where.
    moved : array of bool
        Whether its input had to be moved there.
    """

    arrival: np.ndarray
    service: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    worker: np.ndarray
    moved: np.ndarray

    def __len__(self) -> int:
        return len(self.arrival)

    def __repr__(self) -> str:
        return f"Dispatched({len(self)} tasks, {self.moved.sum()} moved, mean response {self.response.mean():.4g} s)"

    @cached_property
    def wait(self) -> np.ndarray:
        """Seconds from arrival to start."""
        return self.start - self.arrival

    @cached_property
    def response(self) -> np.ndarray:
        """Seconds from arrival to stop."""
        return self.stop - self.arrival


def dispatch(
    arrival: ArrayLike,
    service: ArrayLike,
    workers: int,
    *,
    key: ArrayLike | None = None,
    user: ArrayLike | None = None,
    home: ArrayLike | None = None,
    move: ArrayLike = 0.0,
    patience: float = 0.0,
) -> Dispatched:
    """Simulate tasks that wait in one place for workers, which take them by a rule and are never interrupted.

    Parameters
    ----------
    arrival : array, shape (n,)
        When each task comes [s], in ascending order; at most 10⁵ tasks.
    service : float or array of shape (n,)
        How long it works [s].
    workers : int
        Each runs one task at a time.
    key : array, shape (n,), optional
        The smallest key goes first; among equals, and without keys, who came first.
    user : array of int, shape (n,), optional
        Whose task it is: 0, 1, … With it the users share fairly: a waiting task of the user who runs the fewest goes
        first, and the key decides among those.
    home : array of int, shape (n,), optional
        The worker that holds the input of each task, or −1 for none. A task goes home if its home is idle.
    move : float or array of shape (n,)
        What it takes longer on another worker [s].
    patience : float
        Seconds from its arrival for which a task is passed over while its home is busy (delay scheduling); ``inf``: it
        runs nowhere else.

    Returns
    -------
    Dispatched

    Raises
    ------
    ValueError
        No task, or too many; arrays of different lengths; arrivals that are not in order; a home that is no worker;
        times that are negative, infinite or NaN; keys that are NaN.

    Examples
    --------
    Three tasks wait for one worker: in the order of arrival, then the shortest first.

    >>> import numpy as np
    >>> service = np.array([3.0, 2.0, 1.0])
    >>> for key in (None, service):
    ...     print(dispatch(np.zeros(3), service, 1, key=key).stop)
    [3. 5. 6.]
    [6. 3. 1.]

    Notes
    -----
    At one instant tasks end first, then others come, then tasks start. Away from home a task runs on the idle worker of
    the smallest number. Without homes and users it is `course.simulate.queue` with the discipline "priority", which is
    faster for long queues. Taught in chapter 06.

    References
    ----------
    Zaharia et al.: Delay scheduling: a simple technique for achieving locality and fairness in cluster scheduling.
    EuroSys 2010 (patience).
    """
    from course.simulate import dispatch_kernel as kernel

    came = in_order("arrival", arrival)
    n = len(came)
    if not 0 < n <= MOST_TASKS:
        raise ValueError(f"there are {n} tasks; there must be at least 1, and at most {MOST_TASKS:,}")
    workers = whole("workers", workers, low=1, high=MOST_WORKERS)
    works, moves = each("service", service, n, low=0), each("move", move, n, low=0)
    keys = np.zeros(n) if key is None else each("key", key, n)
    whose = np.zeros(n) if user is None else each("user", user, n, low=0, high=10**4, whole=True)
    homes = np.full(n, -1.0) if home is None else each("home", home, n, low=-1, high=workers - 1, whole=True)
    if np.ndim(patience) or patience != np.inf:
        patience = scalar("patience", patience, low=0)
    with np.errstate(over="ignore"):
        number("the last arrival plus all services and moves", came[-1] + works.sum() + moves.sum(), high=1e300)
    whose, homes = whose.astype(np.int64), homes.astype(np.int64)
    start, stop, worker = kernel.dispatch(
        came, works, keys, whose, homes, moves, workers, int(whose.max()) + 1, float(patience)
    )
    return Dispatched(came, works, start, stop, worker, (homes >= 0) & (worker != homes))
