"""`Cluster`: the machines that a run uses or is simulated on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from course.domain import scalar, whole

MOST_SLOTS = 10**18
"""The most threads that a cluster has in all: their number, and what is computed with it, must fit in 64 bits."""

MOST_PAIRED = 4096
"""The most workers that have a link for each pair: a simulation keeps a number for each."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """Workers, their threads and speeds, and the network and scheduler between them.

    Parameters
    ----------
    workers : int
        How many workers (processes) there are.
    threads : int or array of int, shape (workers,)
        Tasks that a worker runs at once.
    speed : float or array, shape (workers,)
        A task of duration d takes d / speed seconds there.
    latency : float or array, shape (workers, workers)
        Seconds before the first byte of a transfer arrives; an array gives each (source, receiver).
    bandwidth : float or array, shape (workers,) or (workers, workers)
        Bytes per second into a worker: for all, by receiver, or by (source, receiver).
    links : {"worker", "pair"}
        What has that bandwidth: the link into a worker, over which what comes in is sent one after another; or the link
        from each worker to each other, where single connections are slow (and the network behind them is not).
    backbone : float
        Bytes per second of all transfers together, for a network (or a machine that all workers share) that cannot
        serve all links at once.
    scheduler_overhead : float
        Seconds of the (one) scheduler's time that every task costs. Its inverse is the cluster's ceiling in tasks/s.
    release_delay : float
        Seconds from the end of a task until its successors can start: the messages to the scheduler and back.
    names : tuple of str, optional
        Names of the workers, for pictures and reports.
    failures : sequence of (worker, time) or (worker, time, return)
        When workers are lost, with all that they hold, and when they come back, empty [s]; without a return (or with
        ``inf``) they do not. Kept as triples, by time.
    stragglers : (probability, factor)
        Each run of a task takes ``factor`` times as long, at least 1, with that probability.

    Raises
    ------
    ValueError
        Naming the argument, its value and what is allowed.

    Examples
    --------
    >>> Cluster(4, threads=2).slots
    8
    >>> Cluster(2, failures=[(1, 5), (0, 3, 4)]).failures
    ((0, 3.0, 4.0), (1, 5.0, inf))
    >>> Cluster(0)
    Traceback (most recent call last):
    ValueError: workers is 0; it must be a whole number of at least 1

    Notes
    -----
    Taught in chapter 05; the network model in chapter 15, failures and stragglers in chapter 16.
    """

    workers: int
    threads: int | np.ndarray = 1
    speed: float | np.ndarray = 1.0
    latency: float | np.ndarray = 0.0
    bandwidth: float | np.ndarray = np.inf
    links: str = "worker"
    backbone: float = np.inf
    scheduler_overhead: float = 0.0
    release_delay: float = 0.0
    names: tuple[str, ...] | None = None
    failures: tuple[tuple[int, float, float], ...] = ()
    stragglers: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        w = self.workers
        if isinstance(w, bool) or not isinstance(w, (int, np.integer)) or w < 1:
            raise ValueError(f"workers is {w!r}; it must be a whole number of at least 1")
        object.__setattr__(self, "workers", int(w))
        threads = np.asarray(self.threads)
        if threads.shape not in ((), (w,)) or threads.dtype.kind not in "iu" or (threads < 1).any():
            raise ValueError(f"threads is {self.threads!r}; it must be a whole number of at least 1, or {w} of them")
        slots = threads.sum(dtype=float) * (1 if threads.ndim else w)
        if slots > MOST_SLOTS:
            raise ValueError(
                f"workers times threads is {slots:g}; it must be at most {MOST_SLOTS:g}: take fewer threads or workers"
            )
        if threads.ndim:
            object.__setattr__(self, "threads", threads.astype(np.int64))
        self._check("speed", ((), (w,)), low=0.0, open_low=True)
        self._check("latency", ((), (w, w)), low=0.0)
        self._check("bandwidth", ((), (w,), (w, w)), low=0.0, open_low=True, infinite=True)
        if not isinstance(self.links, str) or self.links not in ("worker", "pair"):
            raise ValueError(f"links is {self.links!r:.80}; it must be 'worker' or 'pair'")
        if self.links == "pair" and w > MOST_PAIRED:
            raise ValueError(f"workers is {w}; with a link for each pair it must be at most {MOST_PAIRED}")
        self._check("backbone", ((),), low=0.0, open_low=True, infinite=True)
        self._check("scheduler_overhead", ((),), low=0.0)
        self._check("release_delay", ((),), low=0.0)
        if self.names is not None:
            object.__setattr__(self, "names", tuple(str(name) for name in self.names))
            if len(self.names) != w:
                raise ValueError(f"names has {len(self.names)} entries; it must have one for each of {w} workers")
        object.__setattr__(self, "failures", _failures(self.failures, w))
        object.__setattr__(self, "stragglers", _stragglers(self.stragglers))

    def _check(self, name: str, shapes: tuple, *, low: float, open_low: bool = False, infinite: bool = False) -> None:
        given = getattr(self, name)
        try:
            value = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(f"{name} is {given!r}; it must be a number or an array of numbers") from None
        allowed = " or ".join(str(shape) for shape in shapes)
        if value.shape not in shapes:
            raise ValueError(f"{name} has shape {value.shape}; allowed: {allowed}")
        bad = np.isnan(value) | (value <= low if open_low else value < low)
        if not infinite:
            bad |= np.isinf(value)
        if bad.any():
            bound = f"greater than {low:g}" if open_low else f"at least {low:g}"
            raise ValueError(f"{name} is {given!r}; it must be {bound}" + ("" if infinite else " and finite"))
        if value.ndim:
            object.__setattr__(self, name, value.copy())  # a list becomes an array, and one of the cluster's own

    @property
    def slots(self) -> int:
        """How many tasks run at once when all threads are busy."""
        return int(self.threads_per_worker.sum())

    @property
    def threads_per_worker(self) -> np.ndarray:
        """The threads of each worker, shape (workers,)."""
        return np.broadcast_to(np.asarray(self.threads, dtype=np.int64), (self.workers,))

    def replace(self, **changes: Any) -> Cluster:
        """Return the same cluster with some parameters changed.

        Examples
        --------
        >>> Cluster(4, threads=2).replace(workers=8).slots
        16
        """
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain numbers and lists (for files)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Cluster:
        """Make a cluster from what `to_dict` gave."""

        def array(value: ArrayLike) -> Any:
            return np.asarray(value) if isinstance(value, list) else value

        whole_as_they_are = ("names", "failures", "stragglers")
        return cls(**{k: v if k in whole_as_they_are else array(v) for k, v in values.items()})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cluster):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None


def _failures(failures: Any, workers: int) -> tuple[tuple[int, float, float], ...]:
    """Return failures as (worker, time, return) in the order of their times."""
    try:
        given = [tuple(failure) for failure in failures]
    except TypeError:
        raise ValueError(f"failures is {failures!r:.80}; it must be a sequence of (worker, time[, return])") from None
    rows = []
    for failure in given:
        if len(failure) not in (2, 3):
            raise ValueError(f"failures holds {failure!r:.80}; it must hold (worker, time) or (worker, time, return)")
        worker = whole("failures: worker", failure[0], high=workers - 1)
        time = scalar("failures: time", failure[1], low=0)
        back = np.inf
        if len(failure) == 3 and (np.ndim(failure[2]) or failure[2] != np.inf):
            back = scalar("failures: return", failure[2], low=0)
        if not back > time:
            raise ValueError(f"failures holds {failure!r:.80}; the return must be after the failure")
        rows.append((worker, time, back))
    last: dict[int, float] = {}  # when each worker is back from its last failure
    for worker, time, back in sorted(rows, key=lambda row: row[1]):
        if time < last.get(worker, 0.0):
            raise ValueError(f"failures: worker {worker} fails at {time:g} s, but is back only at {last[worker]:g} s")
        last[worker] = back
    return tuple(sorted(rows, key=lambda row: (row[1], row[0])))


def _stragglers(stragglers: Any) -> tuple[float, float]:
    """Return the probability and the factor, checked."""
    try:
        probability, factor = stragglers
    except (TypeError, ValueError):
        raise ValueError(f"stragglers is {stragglers!r:.80}; it must be (probability, factor)") from None
    return (
        scalar("stragglers: probability", probability, low=0, high=1),
        scalar("stragglers: factor", factor, low=1),
    )


def pairs(value: ArrayLike, workers: int) -> np.ndarray:
    """Return a latency or bandwidth as a matrix (from, to) whose sides are 1 where they do not matter."""
    array = np.array(value, dtype=float, order="C")
    return array.reshape({0: (1, 1), 1: (1, workers), 2: (workers, workers)}[array.ndim])


def links_of(cluster: Cluster) -> np.ndarray:
    """Return when each link is free, before a run begins: (from, to), where "from" is one if it does not matter."""
    return np.zeros((cluster.workers if cluster.links == "pair" else 1, cluster.workers))
