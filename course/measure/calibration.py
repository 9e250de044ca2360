"""What this machine, and the cluster on it, can do: `calibrate` and `Machine`."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from distributed import Client, wait

from course.cluster import Cluster
from course.home import read_state, write_state
from course.measure.recording import record
from course.trace import TRANSFER

_FILE = "machine.json"
_SMALL, _LARGE = 1_000, 32_000_000  # bytes of the transfers that latency and bandwidth are estimated from


@dataclass(frozen=True)
class Estimate:
    """A measured quantity: the median of its repetitions, and a bootstrap interval of that median, nominally of 95 %.

    The interval tells how the repetitions of this one calibration scatter; with three to seven of them it covers
    rather 75 to 95 % (the bootstrap of so few is too narrow). On another day, or with other programs
    beside, the machine may well answer from outside of it.
    """

    value: float
    low: float
    high: float

    def __float__(self) -> float:
        return self.value

    @classmethod
    def of(cls, samples: Any, seed: int = 0) -> Estimate:
        """Estimate from repetitions.

        Examples
        --------
        >>> Estimate.of([2.0, 2.0, 2.0])
        Estimate(value=2.0, low=2.0, high=2.0)
        """
        samples = np.asarray(samples, dtype=float)
        if samples.ndim != 1 or not len(samples):
            raise ValueError(f"samples has shape {samples.shape}; it must be (repetitions,) with at least one")
        draws = np.random.default_rng(seed).choice(samples, (1000, len(samples)))
        low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
        return cls(float(np.median(samples)), float(low), float(high))


@dataclass(frozen=True)
class Machine:
    """What a machine and a cluster on it can do.

    Attributes
    ----------
    task_overhead : Estimate
        Seconds of the cluster's time that a task costs beyond its own work, in a batch of many.
    round_trip : Estimate
        From the submission of one empty task to its result at the client [s].
    release_delay : Estimate
        From the end of a task to the start of one that waited for it, beyond the overhead [s].
    latency : Estimate
        Time of a transfer of next to nothing [s].
    bandwidth : Estimate
        Bytes per second of a large transfer, beyond the latency.
    backbone : Estimate
        Bytes per second of all transfers together when every worker reads from every other one.
    timer : float
        Smallest step of the clock that measures intervals [s].
    sleep_overshoot : Estimate
        How much longer than asked a sleep of 1 ms takes [s].
    cores : int
        Cores that this process may use.
    workers, threads : int
        The calibrated cluster: workers, and threads of each.
    processes : bool
        Whether the workers are processes of their own.
    between : str
        What the transfers went between: ``"workers"``, or ``"client and worker"`` if there was one worker only.
    """

    task_overhead: Estimate
    round_trip: Estimate
    release_delay: Estimate
    latency: Estimate
    bandwidth: Estimate
    backbone: Estimate
    timer: float
    sleep_overshoot: Estimate
    cores: int
    workers: int
    threads: int
    processes: bool
    between: str

    def cluster(self, workers: int | None = None, threads: int | None = None) -> Cluster:
        """Return a simulated cluster with the overhead, delays and bandwidths of this one.

        The overhead holds the work of client, scheduler and workers together. With another number of workers, or with
        workers on other machines, it is another number: calibrate such a cluster itself.

        Parameters
        ----------
        workers, threads : int, optional
            Default: those of the calibrated cluster.
        """
        return Cluster(
            workers or self.workers,
            threads or self.threads,
            latency=self.latency.value,
            bandwidth=self.bandwidth.value,
            backbone=self.backbone.value,
            scheduler_overhead=self.task_overhead.value,
            release_delay=self.release_delay.value,
        )

    def save(self) -> None:
        """Keep this calibration in the learner's folder, in place of an earlier one of the same kind of cluster."""
        state = read_state(_FILE)
        state[_name(self.workers, self.threads, self.processes)] = asdict(self)
        write_state(_FILE, state)

    @classmethod
    def load(cls, workers: int | None = None, threads: int | None = None, processes: bool | None = None) -> Machine:
        """Return a saved calibration: that of the named kind of cluster, otherwise the first that fits.

        Raises
        ------
        LookupError
            If none was saved that fits.
        """
        for saved in read_state(_FILE).values():
            try:
                machine = cls(**{k: Estimate(**v) if isinstance(v, dict) else v for k, v in saved.items()})
            except TypeError:
                continue  # of another version of this package
            asked = ((workers, machine.workers), (threads, machine.threads), (processes, machine.processes))
            if all(wanted is None or wanted == found for wanted, found in asked):
                return machine
        raise LookupError("no saved calibration fits; make one with calibrate(client), as chapter 00 does")

    def __str__(self) -> str:
        def row(label: str, estimate: Estimate, scale: float, unit: str) -> str:
            value, low, high = (scale * x for x in (estimate.value, estimate.low, estimate.high))
            return f"{label:28}{value:10.3g} {unit:5} [{low:.3g}, {high:.3g}]"

        kind = "processes" if self.processes else "threads of one process"
        lines = [
            f"{self.workers} workers × {self.threads} threads ({kind}) on {self.cores} cores",
            row("overhead per task", self.task_overhead, 1e3, "ms"),
            row("submit → result", self.round_trip, 1e3, "ms"),
            row("end → next task's start", self.release_delay, 1e3, "ms"),
            row(f"latency, {self.between}", self.latency, 1e3, "ms"),
            row(f"bandwidth, {self.between}", self.bandwidth, 1e-6, "MB/s"),
            row("bandwidth of all together", self.backbone, 1e-6, "MB/s"),
            row("sleep(1 ms) overshoots by", self.sleep_overshoot, 1e3, "ms"),
            f"{'step of the clock':28}{1e9 * self.timer:10.3g} ns",
        ]
        return "\n".join(lines)


def calibrate(
    client: Client,
    *,
    repeats: int = 7,
    seconds: float = 8.0,
    save: bool = True,
    progress: Callable[[str], None] | None = print,
) -> Machine:
    """Measure what this machine and this cluster can do; takes a few seconds.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    repeats : int
        Repetitions of each measurement (round trips: five times as many), as far as the time allows.
    seconds : float
        About how long it may take. Each quantity is measured at least three times even so.
    save : bool
        Whether to keep the result in the learner's folder, for `Machine.load`.
    progress : callable, optional
        Is told, in a line, what comes next. Default: prints it; None: says nothing.

    Returns
    -------
    Machine

    Raises
    ------
    ValueError
        If the cluster has no workers or `repeats` is below 3.

    Notes
    -----
    *Overhead per task*: batches of 200 empty tasks (``client.map``), time of the batch divided by 200. Where the
    workers share a machine, it is the work of client, scheduler and workers together, and so what limits tasks per
    second; uncertain by half, as other programs use the cores too.

    *Submit → result*: one empty task at a time. Longer than the overhead: its messages follow one after the other, and
    some wait for the next batch; in a batch of many tasks they overlap.

    *End of a task → start of the next*: the time of a link in a chain of empty tasks, less the overhead.

    *Latency and bandwidth*: a task pinned to one worker reads a result of 1 kB, or of 32 MB, that was made on another;
    the workers' own log says how long the transfer took. Latency is the median of the small ones; a large one
    gives (size / (time − latency)). Good to a factor of 2. With one worker, its results are fetched by the client
    instead, which includes the scheduler's part. Between workers that are threads of one process nothing is
    copied: the bandwidth is then no property of a network.

    *All together*: a task on each worker reads results of 2 MB from every other worker, all at once; all bytes, divided
    by the time from the first start to the last end. Workers on one machine share its cores and memory: this can be far
    less than the sum of the links.

    *Clock*: its stated resolution, or the smallest step seen, whichever is larger. *Overshoot*: sleeps of 1 ms.

    Taught in chapter 00.
    """
    if repeats < 3:
        raise ValueError(f"repeats={repeats}: must be at least 3")
    say = progress or (lambda _: None)
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise ValueError("the cluster has no workers; calibrate needs at least one")
    addresses = sorted(workers, key=lambda address: str(workers[address]["name"]))
    say("1/5 clock and sleeps")
    timer, overshoot = _clock_step(), _overshoots(repeats)
    say("2/5 overhead per task")
    overhead = _repeated(lambda k: _task_overhead(client), repeats, 0.3 * seconds)
    say("3/5 round trips and chains")
    trips = _repeated(lambda k: _round_trip(client), 5 * repeats, 0.1 * seconds)
    links = _repeated(lambda k: _chain_link(client), repeats, 0.1 * seconds)
    say("4/5 transfers")
    transfers = _between_workers if len(addresses) > 1 else _to_client
    small = transfers(client, addresses, _SMALL, repeats, 0.1 * seconds)
    latency = float(np.median(small))
    large = transfers(client, addresses, _LARGE, repeats, 0.2 * seconds)
    say("5/5 all transfers at once")
    together = _all_together(client, addresses, repeats, 0.2 * seconds) if len(addresses) > 1 else None
    # A transfer inside one process can seem to take no longer than the latency; the clock bounds it.
    bandwidth = Estimate.of(_LARGE / np.maximum(large - latency, max(timer, 1e-6)))
    machine = Machine(
        task_overhead=Estimate.of(overhead),
        round_trip=Estimate.of(trips),
        release_delay=Estimate.of(np.maximum(links - np.median(overhead), 0.0)),
        latency=Estimate.of(small),
        bandwidth=bandwidth,
        backbone=bandwidth if together is None else Estimate.of(together),
        timer=timer,
        sleep_overshoot=Estimate.of(overshoot),
        cores=_cores(),
        workers=len(addresses),
        threads=max(1, min(int(worker["nthreads"]) for worker in workers.values())),
        processes=not addresses[0].startswith("inproc://"),
        between="workers" if len(addresses) > 1 else "client and worker",
    )
    if save:
        machine.save()
    return machine


def _name(workers: int, threads: int, processes: bool) -> str:
    return f"{workers}x{threads} {'processes' if processes else 'threads'}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _clock_step() -> float:
    ticks = [time.perf_counter() for _ in range(2000)]
    steps = [b - a for a, b in itertools.pairwise(ticks) if b > a]
    return max(time.get_clock_info("perf_counter").resolution, min(steps, default=0.0))


def _overshoots(repeats: int) -> np.ndarray:
    over = []
    for _ in range(10 * repeats):
        start = time.perf_counter()
        time.sleep(0.001)
        over.append(time.perf_counter() - start - 0.001)
    return np.maximum(over, 0.0)


def _nothing(*_: Any) -> None:
    """Do nothing, for whatever arguments."""


def _repeated(measure: Callable[[int], float], repeats: int, seconds: float) -> np.ndarray:
    """Return what repeated calls measure, at least three, until the time is up; the first warms up."""
    measure(0)
    until = time.monotonic() + seconds
    values: list[float] = []
    while len(values) < repeats and (len(values) < 3 or time.monotonic() < until):
        values.append(measure(len(values) + 1))
    return np.array(values)


def _task_overhead(client: Client, tasks: int = 200) -> float:
    start = time.perf_counter()
    wait(client.map(_nothing, range(tasks), pure=False))
    return (time.perf_counter() - start) / tasks


def _round_trip(client: Client) -> float:
    start = time.perf_counter()
    client.submit(_nothing, pure=False).result()
    return time.perf_counter() - start


def _chain_link(client: Client, tasks: int = 20) -> float:
    start = time.perf_counter()
    last = None
    for _ in range(tasks):
        last = client.submit(_nothing, last, pure=False)
    wait(last)
    return (time.perf_counter() - start) / tasks


def _make(size: int) -> bytes:
    return os.urandom(min(size, 1 << 20)) * -(-size // (1 << 20))


def _between_workers(client: Client, addresses: list[str], size: int, repeats: int, seconds: float) -> np.ndarray:
    """Return the durations of transfers between pairs of workers [s]."""

    def transfer(k: int) -> float:
        source, target = addresses[0], addresses[1]  # always the same two: the first transfer opens their connection
        made = client.submit(_make, size, workers=source, pure=False)
        wait(client.submit(_nothing, made, workers=target, pure=False))
        return 0.0

    with record(client, wait=2.0) as run:
        _repeated(transfer, repeats, seconds)
    trace = run.trace
    rows = np.flatnonzero(trace.kind == TRANSFER)
    rows = rows[np.argsort(trace.start[rows])][1:]  # the first one opens the connection
    return (trace.stop - trace.start)[rows]


def _all_together(client: Client, addresses: list[str], repeats: int, seconds: float) -> np.ndarray:
    """Return the bytes per second of transfers from every worker to every other one, all at once."""
    size = 2_000_000

    def exchange(k: int) -> float:
        made = [client.submit(_make, size, workers=address, pure=False) for address in addresses]
        wait(made)
        with record(client, wait=2.0) as run:
            wait([client.submit(_nothing, *made, workers=address, pure=False) for address in addresses])
        moved = run.trace.kind == TRANSFER
        elapsed = run.trace.stop[moved].max(initial=0.0) - run.trace.start[moved].min(initial=np.inf)
        return float(run.trace.size[moved].sum()) / max(elapsed, 1e-6) if moved.any() else np.nan

    rates = _repeated(exchange, repeats, seconds)
    return rates[np.isfinite(rates)]


def _to_client(client: Client, addresses: list[str], size: int, repeats: int, seconds: float) -> np.ndarray:
    """Return the durations of fetching results from the only worker [s]."""

    def fetch(k: int) -> float:
        made = client.submit(_make, size, pure=False)
        wait(made)
        start = time.perf_counter()
        made.result()
        return time.perf_counter() - start

    return _repeated(fetch, repeats, seconds)
