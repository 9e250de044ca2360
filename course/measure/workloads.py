"""Tasks whose ideal time is known, whole graphs of them, an open and a closed load.

The functions that tasks run (`sleep_for`, `spin_for`, `allocate`, `io`) are small, pickle by reference and so need
workers that can import this package: those of a local cluster, or of a cluster where the course is installed.
Each takes any number of further arguments, the results of tasks that must end before it, and ignores them.
"""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Client, Future, wait
from numpy.typing import ArrayLike

from course.graph import TaskGraph
from course.measure.recording import record
from course.trace import Trace


def sleep_for(seconds: float, *after: Any, size: int = 0) -> bytes:
    """Occupy a thread, but no core, for a time; ideal time: `seconds`, on however many threads.

    Parameters
    ----------
    seconds : float
        How long [s].
    *after
        Results of tasks that come before; ignored.
    size : int
        Bytes of the result.

    Examples
    --------
    >>> len(sleep_for(0.001, size=10))
    10
    """
    if seconds > 0:
        time.sleep(seconds)
    return bytes(int(size))


def spin_for(seconds: float, *after: Any, size: int = 0) -> bytes:
    """Use `seconds` of processor time; ideal time: `seconds` where the task has a core to itself.

    The measure is the processor time of the thread, not the clock on the wall: a task that shares its core with
    another does the same work and takes longer. Where the system counts processor time coarsely (Windows: 16 ms)
    take `seconds` of at least 0.1.

    Examples
    --------
    >>> import time
    >>> before = time.thread_time(); _ = spin_for(0.02); time.thread_time() - before >= 0.02
    True
    """
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return bytes(int(size))


def allocate(size: int, *after: Any) -> np.ndarray:
    """Return an array of `size` bytes, every page of it touched; ideal time: that of writing them to memory.

    Examples
    --------
    >>> allocate(1000).nbytes
    1000
    """
    return np.full(int(size), 1, dtype=np.uint8)


def io(size: int, *after: Any, folder: str | None = None) -> int:
    """Write `size` bytes to a file of its own, make sure of them, read them back; return how many came back.

    Ideal time: ``size`` divided by the disk's write rate, then by its read rate (mostly that of the system's cache).
    The file is in `folder` (default: the system's temporary folder) and is removed.

    Examples
    --------
    >>> io(1000)
    1000
    """
    block = bytes(min(int(size), 1 << 20))
    with tempfile.TemporaryFile(dir=folder) as file:
        left = int(size)
        while left > 0:
            left -= file.write(block[:left])
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        return sum(map(len, iter(lambda: file.read(1 << 20), b"")))


def skewed(tasks: int, mean: float, *, skew: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return durations of uneven tasks whose sum is exactly known.

    Parameters
    ----------
    tasks : int
        How many.
    mean : float
        Their mean [s]: the work is ``tasks * mean``.
    skew : float
        Spread of their logarithms (log-normal): 0 all alike, 1 the longest of 100 about seven times the mean.
    seed : int
        The same seed, the same durations.

    Returns
    -------
    array, shape (tasks,)
        Durations [s], for `sleep_for` or `spin_for`. No schedule on m workers is shorter than
        ``max(work / m, durations.max())``.

    Examples
    --------
    >>> durations = skewed(100, 0.1)
    >>> round(float(durations.sum()), 9)
    10.0
    """
    if tasks < 1 or mean < 0 or skew < 0:
        raise ValueError(f"tasks={tasks}, mean={mean}, skew={skew}: need tasks >= 1, mean >= 0 and skew >= 0")
    durations = np.random.default_rng(seed).lognormal(0.0, skew, int(tasks))
    return durations * (tasks * mean / durations.sum())


def run_graph(
    client: Client,
    graph: TaskGraph,
    *,
    work: Callable[..., Any] = sleep_for,
    priority: ArrayLike | None = None,
) -> Trace:
    """Really run a task graph on Dask: each task takes its duration and makes its bytes.

    Parameters
    ----------
    client : distributed.Client
        Where to run it.
    graph : TaskGraph
        What to run.
    work : callable
        ``work(duration, *results_of_predecessors, size=output_size)``.
    priority : array, shape (n,), optional
        A number for each task; of the tasks that are ready, Dask prefers the one with the higher number. Without it
        Dask uses its own order (depth first, see `dask.order`).

    Returns
    -------
    Trace
        Of this run. ``trace.graph is graph``: task i of the trace is task i of the graph, so ``trace.order()`` can be
        held beside that of a simulation.

    Raises
    ------
    RuntimeError
        If a task failed.

    Notes
    -----
    In Dask the task is called ``("task-<run>", i)``; one without predecessors ``("root-<run>", i)``. Two groups,
    because Dask queues only groups of root tasks at the scheduler, as in collections. Taught in chapter 05.

    Examples
    --------
    >>> from course.graph import fork_join
    >>> from course.measure import cluster
    >>> graph = TaskGraph([0.01, 0.02, 0.01], 0, [[], [0], [1]])
    >>> with cluster(1, processes=False, dashboard=False) as client:
    ...     run_graph(client, graph).order().tolist()
    [0, 1, 2]
    """
    run = uuid.uuid4().hex
    keys = [(f"{'task' if len(graph.predecessors(i)) else 'root'}-{run}", i) for i in range(len(graph))]
    with record(client) as recorder:
        futures = (
            _submit_by_priority(client, graph, keys, work, priority)
            if priority is not None
            else (_submit(client, graph, keys, work))
        )
        wait(futures)
        for future in futures:
            if future.status != "finished":
                raise RuntimeError(f"task {future.key} of the graph failed") from future.exception()
        del futures
    return _with_ids(recorder.trace, graph, {str(key): i for i, key in enumerate(keys)})


def forget_durations(client: Client) -> None:
    """Make the scheduler forget how long tasks of each name took, so that the next run is like a first one.

    Dask estimates the work of a task from earlier ones of the same name, also of earlier runs, and places and steals
    tasks by these estimates: a second run can go another way than the first. Chapters 02 and 10.
    """

    def forget(dask_scheduler: Any) -> None:
        for prefix in dask_scheduler.task_prefixes.values():
            prefix.duration_average = prefix.max_exec_time = -1

    client.run_on_scheduler(forget)


def _submit(client: Client, graph: TaskGraph, keys: list[Any], work: Callable[..., Any]) -> list[Future]:
    """Give the whole graph to the scheduler at once; return the futures of its last tasks."""
    sinks = [i for i in range(len(graph)) if not len(graph.successors(i))]
    return client.get(_tasks(graph, keys, work), [keys[i] for i in sinks], sync=False) if keys else []


def _submit_by_priority(
    client: Client, graph: TaskGraph, keys: list[Any], work: Callable[..., Any], priority: ArrayLike
) -> list[Future]:
    """Submit the tasks one by one, the ready ones in the order of their priorities.

    The first tasks of a graph given as a whole fill the free threads in the order in which the scheduler walks the
    dependencies of its end, which is a set: neither priorities nor `dask.order` hold there.
    """
    ranks = np.broadcast_to(np.asarray(priority, dtype=float), len(graph))
    depth = graph.replace(duration=np.ones(len(graph))).t_level()
    futures: dict[int, Future] = {}
    for i in np.lexsort((-ranks, depth)).tolist():  # by depth first: what a task needs is there before it
        before = [futures[p] for p in graph.predecessors(i).tolist()]
        size, duration = int(graph.output_size[i]), float(graph.duration[i])
        futures[i] = client.submit(
            _call, work, duration, size, before, key=keys[i], priority=float(ranks[i]), pure=False
        )
    return list(futures.values())


def _tasks(graph: TaskGraph, keys: list[Any], work: Callable[..., Any]) -> dict[Any, Any]:
    """Return the graph as Dask's own: a dict of (function, arguments)."""
    return {
        key: (
            _call,
            work,
            float(graph.duration[i]),
            int(graph.output_size[i]),
            [keys[p] for p in graph.predecessors(i)],
        )
        for i, key in enumerate(keys)
    }


def _call(work: Callable[..., Any], duration: float, size: int, before: list[Any]) -> Any:
    return work(duration, *before, size=size)


def _with_ids(trace: Trace, graph: TaskGraph, ids: dict[str, int]) -> Trace:
    """Return the rows of a trace that belong to a graph, with that graph's numbers for its tasks."""
    own = np.array([ids.get(name, -1) for name in trace.graph.names or ()], dtype=np.int64)
    task = own[trace.task] if len(own) else np.empty(0, dtype=np.int64)
    rows = task >= 0  # others may use the cluster too
    columns = (task, trace.worker, trace.thread, trace.kind, trace.start, trace.stop, trace.size, trace.source)
    return Trace(*(c[rows] for c in columns), graph=graph, cluster=trace.cluster, origin="measured")


@dataclass(frozen=True, eq=False)
class Load:
    """What happened to each request of an open or a closed load; arrays of shape (requests,), times in seconds.

    Attributes
    ----------
    arrival : array
        When the request was *meant* to arrive, whether or not the generator was late. In a closed load nothing is
        meant: it is when the request was sent.
    service : array
        How long the server was to work on it.
    start, stop : array
        When the server began and ended it.
    sent : array
        When the generator really submitted it.
    servers : int
        How many servers there were.
    """

    arrival: np.ndarray
    service: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    sent: np.ndarray
    servers: int

    @property
    def wait(self) -> np.ndarray:
        """From the intended arrival to the start of service, shape (requests,)."""
        return self.start - self.arrival

    @property
    def response(self) -> np.ndarray:
        """From the intended arrival to the end of service, shape (requests,)."""
        return self.stop - self.arrival

    @property
    def busy(self) -> np.ndarray:
        """How many servers were at work when each request arrived, shape (requests,)."""
        begun = np.searchsorted(np.sort(self.start), self.arrival)
        return begun - np.searchsorted(np.sort(self.stop), self.arrival)

    @property
    def delay(self) -> float:
        """Median time from the intended arrival to the start of a request that found a server free [s].

        A pure queue has none: it is the way through client and scheduler to the worker.
        """
        idle = self.busy < self.servers
        return float(np.median(self.wait[idle])) if idle.any() else 0.0

    @property
    def gap(self) -> float:
        """Mean time from the end of one request to the start of the next one that was waiting for it [s].

        A pure queue has none: it is the worker's own work between two tasks, and it occupies the server.
        """
        ends = np.sort(self.stop)
        queued = np.flatnonzero((self.busy >= self.servers) & (self.wait > 2 * self.delay))
        last = ends[np.searchsorted(ends, self.start[queued], side="right") - 1]
        return float(np.mean(self.start[queued] - last)) if len(queued) else 0.0


def poisson_load(
    client: Client,
    arrival_rate: float,
    service: float | ArrayLike,
    n: int,
    *,
    seed: int = 0,
) -> Load:
    """Send requests to a Dask service at Poisson instants, whether or not earlier ones are done (an open load).

    The servers are the threads of *one* worker of the cluster (use ``cluster(1, servers)``).

    Parameters
    ----------
    client : distributed.Client
        The cluster. Its first worker serves, with all its threads.
    arrival_rate : float
        Requests per second.
    service : float or array, shape (n,)
        Mean of exponential service times [s], or the service times themselves. Servers sleep for that long.
    n : int
        How many requests.
    seed : int
        The same seed, the same arrivals and service times.

    Returns
    -------
    Load
        Arrival, start and stop of every request; ``.wait``, ``.response``; Dask's own ``.delay`` and ``.gap``.

    Raises
    ------
    ValueError
        If a rate or time is not positive, or `service` has another shape than (n,).

    Notes
    -----
    *Why one worker.* A queue with c servers needs one queue, first come, first served. The requests for one worker
    wait in that worker's own queue and a thread takes the next one the moment it is free. With c workers of one thread
    the requests are dealt out to workers as they come: Dask keeps a queue at the scheduler for groups of tasks that are
    submitted together, not for tasks submitted one by one, and moves tasks between workers only by stealing. On one
    machine 400 requests on 4 workers then started out of order 23 times, on one worker never.

    *What Dask adds.* A request is on its way for a few milliseconds before it is in the queue (`Load.delay`: the
    client and the scheduler send messages in batches), and a server is idle for a millisecond or so between two
    requests (`Load.gap`). The delay adds to every wait; the gap acts like a longer service. To compare with a
    formula or a simulation, give it ``arrival + delay`` and ``stop - start + gap``; or make the service times long
    against both.
    ``cluster(1, servers, processes=False)`` has the shorter way: sleeping servers share one interpreter well.

    *What to compare.* The mean wait of a few hundred requests at a utilization of 0.8 scatters by tens of per cent
    around Erlang C, in any system: compare with the exact recursion on the same ``arrival`` and ``service`` (Lindley;
    Kiefer and Wolfowitz for c servers), and that with the formula.

    Taught in chapters 02 (with and without coordinated omission) and 12.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, 2, processes=False, dashboard=False) as client:
    ...     load = poisson_load(client, arrival_rate=100, service=0.005, n=20)
    >>> load.servers, bool((load.wait > 0).all())
    (2, True)
    """
    arrival, times = _requests(arrival_rate, service, n, seed)
    futures, sent = [], np.empty(n)
    with _service(client) as (submit, servers):
        origin = time.time() + 0.05
        for i, (instant, seconds) in enumerate(zip((origin + arrival).tolist(), times.tolist(), strict=True)):
            if (ahead := instant - time.time()) > 0:
                time.sleep(ahead)
            sent[i] = time.time() - origin
            futures.append(submit(seconds))
        served = np.array(client.gather(futures), dtype=float).reshape(n, 2) - origin
    return Load(arrival, times, served[:, 0], served[:, 1], sent, servers)


def closed_load(
    client: Client,
    clients: int,
    think_time: float | ArrayLike,
    service: float | ArrayLike,
    n: int,
    *,
    seed: int = 0,
) -> Load:
    """Let clients think, send a request to a Dask service, wait for the answer, and think again (a closed load).

    The servers are the threads of *one* worker of the cluster, as in `poisson_load`, its open twin.

    Parameters
    ----------
    client : distributed.Client
        The cluster. Its first worker serves, with all its threads.
    clients : int
        N; each is a thread of this process.
    think_time, service : float or array, shape (n,)
        Mean of exponential times [s], or the times themselves: before the k-th request, and at the server for it.
    n : int
        How many requests in all.
    seed : int
        The same seed, the same times.

    Returns
    -------
    Load
        ``arrival`` and ``sent`` are both when a client sent the request, in this order.

    Raises
    ------
    ValueError
        If `clients` or `n` is below 1, or times are negative or of another shape than (n,).

    Notes
    -----
    The way of the answer back to the client is no part of ``response``. It takes some milliseconds in which no server
    is busy, and so counts as think time, as does the way there (`Load.delay`): to compare with a formula, add the time
    of an empty request to the think time.

    Taught in chapter 02; its simulated twin is `course.simulate.closed_loop`.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, 1, processes=False, dashboard=False) as client:
    ...     load = closed_load(client, clients=2, think_time=0.01, service=0.005, n=12)
    >>> len(load.response), int(load.busy.max()) < 2
    (12, True)
    """
    if clients < 1 or n < 1:
        raise ValueError(f"clients={clients}, n={n}: need at least 1 of each")
    thinks, serves = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    think = _times("think_time", think_time, n, thinks)
    times = _times("service", service, n, serves)
    sent, served = np.empty(n), np.empty((n, 2))
    lock, thoughts, requests, failures = threading.Lock(), iter(range(n)), iter(range(n)), []

    def one_client(submit: Callable[[float], Future], origin: float) -> None:
        try:
            time.sleep(max(0.0, origin - time.time()))
            while (thought := next(thoughts, None)) is not None:
                time.sleep(think[thought])
                with lock:  # so that requests are numbered in the order in which they are sent
                    k = next(requests)
                    sent[k] = time.time() - origin
                    future = submit(float(times[k]))
                served[k] = future.result()
        except BaseException as error:  # such as a lost worker: raised where the load was started
            failures.append(error)

    with _service(client) as (submit, servers):
        origin = time.time() + 0.05
        crowd = [
            threading.Thread(target=one_client, args=(submit, origin), daemon=True) for _ in range(min(clients, n))
        ]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()
    if failures:
        raise failures[0]
    return Load(sent, times, served[:, 0] - origin, served[:, 1] - origin, sent, servers)


def _times(name: str, times: float | ArrayLike, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n times: those given, or exponential ones of the mean that was given."""
    given = np.asarray(times, dtype=float)
    if given.shape not in ((), (n,)) or not (given >= 0).all():
        raise ValueError(f"{name} has shape {given.shape}; it must be a mean, or {n} times, of at least 0 s")
    return given if given.ndim else rng.exponential(float(given), n)


def _requests(arrival_rate: float, service: float | ArrayLike, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if not arrival_rate > 0 or n < 1:
        raise ValueError(f"arrival_rate={arrival_rate}, n={n}: need arrival_rate > 0 and n >= 1")
    arrivals, services = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    arrival = np.cumsum(arrivals.exponential(1.0 / arrival_rate, n))
    return arrival, _times("service", service, n, services)


@contextlib.contextmanager
def _service(client: Client) -> Iterator[tuple[Callable[[float], Future], int]]:
    """Give a function that sends a request of some seconds to the service, which is warm, and its servers.

    Inside the block garbage collection is short, in this process and in that of the service. A full collection looks
    at every object that is not frozen, and stops all threads meanwhile: for 0.1 s with what a notebook has imported.
    One of those decides the 99th percentile of hundreds of requests, and has nothing to do with the service.
    """
    address, servers = _server(client)

    def submit(seconds: float) -> Future:
        # fifo_timeout=0: each later submission ranks behind all earlier ones.
        return client.submit(_serve, seconds, workers=address, pure=False, fifo_timeout=0)

    client.gather([submit(0.0) for _ in range(4 * servers)])  # imports and threads are not to be measured
    gc.freeze()
    try:
        client.run(gc.freeze, workers=[address])
        yield submit, servers
    finally:
        gc.unfreeze()
        if address in client.nthreads():  # it may have died
            client.run(gc.unfreeze, workers=[address], on_error="ignore")


def _server(client: Client) -> tuple[str, int]:
    """Return the address of the worker that serves, and its threads."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise ValueError("the cluster has no workers; a load needs one")
    address = min(workers, key=lambda a: str(workers[a]["name"]))
    return address, int(workers[address]["nthreads"])


def _serve(seconds: float) -> tuple[float, float]:
    """Serve one request; return when it began and ended, by the clock of the machine."""
    start = time.time()
    if seconds > 0:
        time.sleep(seconds)
    return start, time.time()
