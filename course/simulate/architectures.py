"""`architecture`: the same jobs under a central, a two-level, a shared-state and a sampling scheduler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, number, one_of, scalar, whole
from course.simulate.arguments import arrivals, last, room, times

ARCHITECTURES = ("central", "two-level", "shared", "sampling")
"""One scheduler for all; a manager that offers the idle workers to one scheduler after the other; schedulers that all
see the same workers and may collide; no scheduler, but samples of the workers' queues."""


@dataclass(frozen=True, eq=False)
class Scheduled:
    """What happened to each job and task; times in seconds.

    Attributes
    ----------
    arrival, response : array, shape (jobs,)
        When each job came, and the seconds until the last of its tasks was done.
    start, stop : array, shape (tasks,)
        When each task ran, the tasks of the first job first.
    job : array of int, shape (tasks,)
        The job of each task.
    workers : int
    conflicts : int
        How often a scheduler chose a worker that another had taken meanwhile ("shared").
    """

    arrival: np.ndarray
    response: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    job: np.ndarray
    workers: int
    conflicts: int

    def __len__(self) -> int:
        return len(self.arrival)

    def __repr__(self) -> str:
        return (
            f"Scheduled({len(self)} jobs, {len(self.start)} tasks, {self.workers} workers, "
            f"median response {np.median(self.response):.4g} s)"
        )

    @property
    def wait(self) -> np.ndarray:
        """Seconds from a job's arrival to the start of each of its tasks, shape (tasks,)."""
        return self.start - self.arrival[self.job]

    @property
    def utilization(self) -> float:
        """The share of the workers' time, from 0 to the last end, that went into tasks."""
        horizon = self.stop.max()
        return float((self.stop - self.start).sum() / (horizon * self.workers)) if horizon else 0.0


def architecture(
    interarrival: ArrayLike,
    tasks: ArrayLike,
    durations: ArrayLike,
    workers: int,
    kind: str = "central",
    *,
    overhead: float = 0.0,
    job_overhead: float = 0.0,
    schedulers: int = 4,
    probes: float = 2.0,
    latency: float = 0.0,
    seed: int = 0,
) -> Scheduled:
    r"""Simulate jobs of parallel tasks on workers of one slot, under one of four architectures of scheduler.

    Parameters
    ----------
    interarrival : array, shape (jobs,)
        Seconds between jobs; the first comes at ``interarrival[0]``.
    tasks : array of int, shape (jobs,)
        How many tasks each job has, at least 1.
    durations : array, shape (tasks in all,)
        Seconds that each task takes, those of the first job first.
    workers : int
    kind : str
        One of `ARCHITECTURES`.
    overhead, job_overhead : float
        Seconds of decision for each task, and for each job (each time that it is decided on). Not for "sampling", where
        nobody decides for all.
    schedulers : int
        For "two-level" and "shared": job j belongs to scheduler j modulo this number.
    probes : float
        For "sampling": d ≥ 1, workers asked for each task of a job.
    latency : float
        For "sampling": seconds that a message takes, one way.
    seed : int
        Seed of the samples and of the workers that a scheduler chooses.

    Returns
    -------
    Scheduled

    Raises
    ------
    ValueError
        Numbers out of range; arrays that do not fit each other; an unknown kind.

    Examples
    --------
    Two jobs of three tasks on three workers: the second waits.

    >>> import numpy as np
    >>> run = architecture([0, 1], [3, 3], np.full(6, 2.0), workers=3)
    >>> run.response
    array([2., 3.])

    A scheduler that takes a second for each decision is the bottleneck, on however many workers.

    >>> architecture([0, 1], [3, 3], np.full(6, 2.0), workers=100, overhead=1.0).response
    array([5., 7.])

    Notes
    -----
    All serve jobs first come first served; in each, tasks in their order.

    - *central*: the scheduler decides on one task after the other; what is decided waits for the next idle worker. So
      it starts at most 1 / ``overhead`` tasks a second.
    - *two-level* (Mesos): a manager offers all idle workers to one scheduler, to each in turn that has a job to place
      and is not busy. It holds them all until it has decided on as many tasks of its first job as fit; then it gives
      the rest back. The others do not see them meanwhile. (Mesos itself offers to the scheduler of the least dominant
      share first, and a scheduler may refuse an offer.)
    - *shared* (Omega): each scheduler looks at all workers, chooses idle ones at random for as many tasks of its first
      job as fit, decides, and then takes them; where another was faster (a conflict), the task must be decided on
      again.
    - *sampling* (Sparrow: batch sampling with late binding): a job of m tasks leaves :math:`\lceil d m \rceil`
      reservations in the queues of random workers, none twice unless there are more of them than workers. A worker
      whose next reservation is up asks for a task (there and back: 2 × ``latency``); if the job has none left, it goes
      on to the next. (Sparrow can also cancel the reservations that are left over.)

    With no overhead "central", "two-level" and "shared" with one scheduler, and "sampling" with d = workers are all the
    same: first come first served from one queue. Taught in chapter 08.

    References
    ----------
    Hindman et al.: Mesos: a platform for fine-grained resource sharing in the data center. NSDI 2011.
    Schwarzkopf, Konwinski, Abd-El-Malek, Wilkes: Omega: flexible, scalable schedulers for large compute clusters.
    EuroSys 2013.
    Ousterhout, Wendell, Zaharia, Stoica: Sparrow: distributed, low latency scheduling. SOSP 2013.
    """
    from course.simulate import architecture_kernels as kernels

    arrival = arrivals("interarrival", interarrival)
    n = len(arrival)
    count = number("tasks", tasks, low=1, high=1e9, whole=True)
    if count.shape != (n,):
        raise ValueError(f"tasks has shape {count.shape}; it must be ({n},): a number for each job")
    room("the number of tasks", float(count.sum()))
    first = np.concatenate([[0], np.cumsum(count.astype(np.int64))])
    work = times("durations", durations, int(first[-1]))
    workers = whole("workers", workers, low=1, high=1_000_000)
    one_of("kind", kind, ARCHITECTURES)
    overhead = scalar("overhead", overhead, low=0)
    job_overhead = scalar("job_overhead", job_overhead, low=0)
    schedulers = whole("schedulers", schedulers, low=1, high=1000)
    probes = scalar("probes", probes, low=1)
    latency = scalar("latency", latency, low=0)
    rng = generator(seed)
    if kind in ("two-level", "shared"):
        room("schedulers × tasks", schedulers * len(work), 1_000_000_000)
    conflicts = 0
    with np.errstate(over="ignore"):
        decisions = len(work) * (schedulers if kind == "shared" else 1)
        each = overhead + job_overhead + 4 * latency
        last("interarrival, durations, overheads and latency", arrival[-1:] + work.sum() + decisions * each)
    if kind == "central":
        start = kernels.central(arrival, first, work, workers, overhead, job_overhead)
    elif kind == "two-level":
        start = kernels.two_level(arrival, first, work, workers, overhead, job_overhead, schedulers)
    elif kind == "shared":
        room("schedulers × workers", schedulers * workers)
        start, conflicts = kernels.shared(arrival, first, work, workers, overhead, job_overhead, schedulers, rng)
    else:
        reservations = np.ceil(probes * count)
        room("tasks × probes", float(reservations.sum()))
        asked = np.concatenate([[0], np.cumsum(reservations.astype(np.int64))])
        start = kernels.sampling(arrival, first, work, workers, asked, latency, rng)
    stop = start + work
    response = np.maximum.reduceat(stop, first[:-1]) - arrival
    return Scheduled(arrival, response, start, stop, np.repeat(np.arange(n), np.diff(first)), workers, int(conflicts))
