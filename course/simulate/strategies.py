"""`mornings` and `race`: one workload for all strategies, and what each makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from course.domain import generator, one_of, scalar, whole
from course.simulate.dispatching import Dispatched, dispatch
from course.simulate.queues import queue

TASKS = 200
"""Tasks of a morning."""
USERS = 4
BULK = 0.4
"""The share of the tasks that user 0 submits at one instant; the rest comes one by one from the three others."""
MOVE = 0.1
"""Seconds that it takes to bring the input of a task (100 MB at 1 GB/s) to another worker."""
PAUSE = 1e5
"""Seconds between two mornings: more than any of them lasts."""


@dataclass(frozen=True, eq=False)
class Mornings:
    """Tasks of many like mornings, in the order of their arrivals; arrays of shape (n,), times in seconds.

    Attributes
    ----------
    arrival, service : array
        When each comes, and how long it works.
    guess : array
        How long its user says it works.
    user : array of int
        Whose it is; user 0 submits many at once.
    urgent : array of bool
        Whether somebody waits for it at a screen.
    deadline : array
        When it should be done.
    home : array of int
        The worker that holds its input.
    morning : array of int
        0, 1, …
    workers : int
        How many there are.
    """

    arrival: np.ndarray
    service: np.ndarray
    guess: np.ndarray
    user: np.ndarray
    urgent: np.ndarray
    deadline: np.ndarray
    home: np.ndarray
    morning: np.ndarray
    workers: int

    def __len__(self) -> int:
        return len(self.arrival)


def mornings(
    load: float = 0.8, scv: float = 4.0, workers: int = 8, days: int = 30, error: float = 0.0, seed: int = 0
) -> Mornings:
    """Return the tasks of some mornings at a cluster: 200 each, of four users, one of whom submits 80 at once.

    Parameters
    ----------
    load : float
        Work that comes per second and worker while tasks come (mean service 1 s); above 1 a queue is left at the end.
    scv : float
        Squared coefficient of variation of the services (log-normal).
    workers, days : int
    error : float
        σ of the logarithm of guess ÷ service; 0: users know how long their tasks take.
    seed : int
        The same seed, the same arrivals, whatever load and scv are (common random numbers).

    Returns
    -------
    Mornings

    Raises
    ------
    ValueError
        Numbers out of range.

    Examples
    --------
    >>> day = mornings(days=1)
    >>> len(day), int((day.user == 0).sum()), bool((day.deadline > day.arrival + day.service).all())
    (200, 80, True)

    Notes
    -----
    The tasks of users 1 to 3 come at random in 200 / (load × workers) seconds, the 80 of user 0 at a random instant of
    the first half. Deadlines are twice the service and another 0 to 8 s after the arrival. One task in five is urgent.
    A model, no recording of a cluster. Taught in chapter 06. Source: made for this course; log-normal services as in
    Feitelson: Workload Modeling for Computer Systems Performance Evaluation. Cambridge University Press 2015.
    """
    load, scv = scalar("load", load, low=0.01, high=100.0), scalar("scv", scv, low=0.0, high=100.0)
    workers, days = whole("workers", workers, low=1, high=1000), whole("days", days, low=1, high=500)
    error = scalar("error", error, low=0.0, high=10.0)
    rng = generator(seed)
    shape = (days, TASKS)
    instant = rng.random(shape)
    user = np.broadcast_to(np.where(np.arange(TASKS) < BULK * TASKS, 0, 1 + np.arange(TASKS) % (USERS - 1)), shape)
    instant = np.where(user == 0, instant[:, :1] / 2, instant)
    order = np.argsort(instant, axis=1, kind="stable")
    sigma = np.sqrt(np.log1p(scv))
    service = np.exp(sigma * rng.normal(size=shape) - sigma**2 / 2)
    guess = service * np.exp(error * rng.normal(size=shape))
    arrival = np.take_along_axis(instant, order, 1) * TASKS / (load * workers) + PAUSE * np.arange(days)[:, None]
    deadline = arrival + 2 * service + 8 * rng.random(shape)
    return Mornings(
        arrival.ravel(),
        service.ravel(),
        guess.ravel(),
        np.take_along_axis(user, order, 1).ravel(),
        rng.random(days * TASKS) < 0.2,
        deadline.ravel(),
        rng.integers(workers, size=days * TASKS),
        np.repeat(np.arange(days), TASKS),
        workers,
    )


def _by(key: Callable[[Mornings], np.ndarray | None], **options: float) -> Callable[[Mornings], Dispatched]:
    def run(tasks: Mornings) -> Dispatched:
        return dispatch(
            tasks.arrival, tasks.service, tasks.workers, key=key(tasks), home=tasks.home, move=MOVE, **options
        )

    return run


def _fair(tasks: Mornings) -> Dispatched:
    return dispatch(tasks.arrival, tasks.service, tasks.workers, user=tasks.user, home=tasks.home, move=MOVE)


def _interrupting(discipline: str) -> Callable[[Mornings], Dispatched]:
    def run(tasks: Mornings) -> Dispatched:
        # It looks at no places: every input but one in so many workers moves.
        worker = np.random.default_rng(1).integers(tasks.workers, size=len(tasks))
        moved = worker != tasks.home
        gaps = np.diff(tasks.arrival, prepend=0.0)
        served = queue(gaps, tasks.service + MOVE * moved, tasks.workers, discipline)
        return Dispatched(tasks.arrival, tasks.service, served.start, served.stop, worker, moved)

    return run


STRATEGIES: dict[str, Callable[[Mornings], Dispatched]] = {
    "first come": _by(lambda tasks: None),
    "last come": _by(lambda tasks: -tasks.arrival),
    "at random": _by(lambda tasks: np.random.default_rng(2).random(len(tasks))),
    "shortest first": _by(lambda tasks: tasks.service),
    "shortest guess": _by(lambda tasks: tasks.guess),
    "shortest, ageing": _by(lambda tasks: tasks.service + tasks.arrival / 5),
    "longest first": _by(lambda tasks: -tasks.service),
    "urgent first": _by(lambda tasks: np.where(tasks.urgent, 0.0, 1.0)),
    "deadline first": _by(lambda tasks: tasks.deadline),
    "fair shares": _fair,
    "waits for its data": _by(lambda tasks: None, patience=1.0),
    "only at its data": _by(lambda tasks: None, patience=np.inf),
    "shared processor": _interrupting("ps"),
    "shortest remaining": _interrupting("srpt"),
}
"""The strategies of the race. The last two interrupt tasks, which Dask never does."""

METRICS: dict[str, bool] = {
    "mean response [s]": False,
    "99th percentile [s]": False,
    "mean slowdown": False,
    "urgent: response [s]": False,
    "deadlines met": True,
    "worst user ÷ alone": False,
    "makespan [s]": False,
    "moved [GB]": False,
}
"""What is measured, and whether more is better. Of each user, the mean response is divided by what it would be on an
own part of the cluster, first come first served; the worst of the four quotients counts. At most 1: nobody would rather
have an own part (Ghodsi et al. 2011 call that the sharing incentive)."""


def _of_users(tasks: Mornings) -> list[np.ndarray]:
    return [tasks.user == user for user in range(USERS)]


def race(tasks: Mornings, strategies: Iterable[str] = tuple(STRATEGIES)) -> dict[str, dict[str, float]]:
    """Return what each strategy makes of the same tasks: its figures by name of `METRICS`.

    Parameters
    ----------
    tasks : Mornings
    strategies : iterable of str
        Names of `STRATEGIES`.

    Returns
    -------
    dict of dict of float
        By strategy, then by metric. Makespan and gigabytes are means of a morning.

    Raises
    ------
    ValueError
        An unknown strategy, or something else than `Mornings`.

    Examples
    --------
    >>> result = race(mornings(), ["first come", "shortest first"])
    >>> {name: round(row["mean response [s]"], 1) for name, row in result.items()}
    {'first come': 5.0, 'shortest first': 2.7}

    Notes
    -----
    Taught in chapter 06.

    References
    ----------
    Ghodsi, Zaharia, Hindman, Konwinski, Shenker, Stoica: Dominant resource fairness: fair allocation of multiple
    resource types. NSDI 2011 (sharing incentive).
    """
    if not isinstance(tasks, Mornings):
        raise ValueError(f"tasks is {tasks!r:.80}; it must be what simulate.mornings returns")
    part = max(1, tasks.workers // USERS)
    alone = [dispatch(tasks.arrival[of], tasks.service[of], part).response.mean() for of in _of_users(tasks)]
    result = {}
    for name in strategies:
        one_of("strategy", name, STRATEGIES)
        run = STRATEGIES[name](tasks)
        days = int(tasks.morning[-1]) + 1
        ends = run.stop.reshape(days, TASKS).max(axis=1) - PAUSE * np.arange(days)
        values = (
            run.response.mean(),
            np.quantile(run.response, 0.99),
            (run.response / run.service).mean(),
            run.response[tasks.urgent].mean(),
            (run.stop <= tasks.deadline).mean(),
            max(run.response[of].mean() / own for of, own in zip(_of_users(tasks), alone, strict=True)),
            ends.mean(),
            run.moved.sum() / 10 / days,  # 0.1 GB each
        )
        result[name] = dict(zip(METRICS, map(float, values), strict=True))
    return result
