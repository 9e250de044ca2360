"""How large a task, a chunk or a batch should be. Taught in chapters 08, 09, 10, 15 and 20."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import UnstableError, number, plain, scalar
from course.models.networks import machine_repair
from course.models.quantity import amount, count, positive
from course.models.queueing import mdc

Number = float | np.ndarray

MOST_CHUNKS = 1_000_000
"""`best_chunk` looks at so many chunks at most: graphs of more tasks are not sensible anyway."""


# ---- chunks


def chunk_time(
    total_work: ArrayLike,
    chunks: ArrayLike,
    workers: ArrayLike,
    overhead: ArrayLike,
    dispatch: ArrayLike = 0.0,
    slowest: ArrayLike = 1.0,
) -> Number:
    r"""Return the seconds until work that is cut in equal chunks is done, if the last to start is the slowest.

    .. math::
        T = t_k + o + \sigma \frac{W}{k}, \qquad
        t_k = \max\left(k h, \; (k - w p)\, h + w \left(\frac{W}{k} + o\right)\right), \quad
        w = \left\lfloor \frac{k - 1}{p} \right\rfloor

    Parameters
    ----------
    total_work : float or array
        W, seconds that all the work takes on one worker.
    chunks : int or array
        k, tasks that it is cut into.
    workers : int or array
        p.
    overhead : float or array
        o, seconds that each task costs its worker besides.
    dispatch : float or array
        h, seconds for which each task occupies the scheduler, of which there is one. The others work meanwhile.
    slowest : float or array
        σ, at least 1: the slowest chunk takes so many times as long as the others, and it comes last, which is the
        worst place.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    100 s of work on 10 workers. Equal chunks: one for each, or 11, when nine workers wait for the second chunk of the
    tenth. If one may take three times as long, smaller ones are better.

    >>> [round(chunk_time(100, k, 10, overhead=0.1), 2) for k in (10, 11, 100)]
    [10.1, 18.38, 11.0]
    >>> [round(chunk_time(100, k, 10, overhead=0.1, slowest=3), 2) for k in (10, 100, 1000)]
    [30.1, 13.0, 20.2]

    Notes
    -----
    Exact: the scheduler hands out chunk j at j h; it starts then, or when chunk j − p has left its worker. The last
    start is that of chunk k, which waited for the scheduler alone, or w times for the chunk ahead. Without dispatch it
    is ⌈k / p⌉ (W / k + o) for σ = 1. Chapters 10 and 15. Derived here.
    """
    work, k, p = amount("total_work", total_work), count("chunks", chunks), count("workers", workers)
    overhead, dispatch = amount("overhead", overhead), amount("dispatch", dispatch)
    slowest = number("slowest", slowest, low=1, high=1e30)
    each = work / k
    ahead = np.floor((k - 1) / p)
    start = np.maximum(k * dispatch, (k - ahead * p) * dispatch + ahead * (each + overhead))
    return plain(start + overhead + slowest * each)


@dataclass(frozen=True)
class Chunking:
    """The best number of chunks.

    Attributes
    ----------
    chunks : int
        With the shortest time; the fewest, where several are equally fast.
    time : float
        Its seconds, by `chunk_time`.
    fewest : int
        So that one chunk fits into the memory.
    approximation : float
        The chunks by the formula, between ``fewest`` and the most.
    """

    chunks: int
    time: float
    fewest: int
    approximation: float


def best_chunk(
    total_work: float,
    workers: int,
    overhead: float,
    dispatch: float = 0.0,
    slowest: float = 1.0,
    size: float = 0.0,
    memory: float = 1.0,
    most: int = MOST_CHUNKS,
) -> Chunking:
    r"""Return the number of chunks with which `chunk_time` is shortest, of those that fit into memory.

    .. math:: k^* = \sqrt{\frac{(\sigma - 1) \, p \, W}{o}}, \quad
              T^* \approx \frac{W}{p} + 2 \sqrt{\frac{(\sigma - 1) \, W \, o}{p}}, \quad
              k \ge \left\lceil \frac{\text{size}}{\text{memory}} \right\rceil

    Parameters
    ----------
    total_work, workers, overhead, dispatch, slowest
        As in `chunk_time`.
    size : float
        Bytes of all the data.
    memory : float
        Bytes that one chunk may have: the memory of a worker, divided by its threads and by the copies that a task
        makes.
    most : int
        No more chunks than this, at most `MOST_CHUNKS`.

    Returns
    -------
    Chunking
        ``chunks``, ``time``, ``fewest`` and ``approximation``.

    Raises
    ------
    ValueError
        Also if even the most chunks are too large for the memory.

    Examples
    --------
    >>> best_chunk(1000, workers=10, overhead=0.01, slowest=3)
    Chunking(chunks=1410, time=102.8..., fewest=1, approximation=1414.2...)

    Equal chunks of 50 GB for workers that can hold 1 GB each: 50, in five full waves of ten.

    >>> best_chunk(1000, workers=10, overhead=0.01, size=50e9, memory=1e9).chunks
    50

    Notes
    -----
    In w full waves (k = w p) the time is W / p · (1 + (σ − 1) / w) + w o: smaller chunks shorten the wait for the last
    one, and cost more overhead. The derivative by w is 0 at √((σ − 1) W / (p o)). For chunks that are all equal (σ = 1)
    one wave is the best, and the memory decides. A scheduler that is busy with k h for longer than the workers with
    their work sets a limit of its own, k ≤ W / (p h − o), where p h > o. The formula keeps to all of these, but it
    knows no whole waves; the search tries every number of chunks. Chapters 10, 15 and 20. Derived here, from
    `chunk_time`.
    """
    work, workers = scalar("total_work", total_work, amount), int(scalar("workers", workers, count))
    overhead, dispatch = scalar("overhead", overhead, amount), scalar("dispatch", dispatch, amount)
    slowest = scalar("slowest", slowest, low=1, high=1e30)
    most = int(scalar("most", most, count, high=MOST_CHUNKS))
    fewest = max(1, math.ceil(scalar("size", size, amount) / scalar("memory", memory, positive)))
    if fewest > most:
        raise ValueError(f"memory is {memory:g}; a chunk must fit: at least size / most, {size / most:g}")

    wanted = math.inf if overhead == 0 else math.sqrt(slowest - 1) * math.sqrt(workers * work / overhead)
    wanted = max(wanted if slowest > 1 else 1.0, float(workers))
    wait = workers * dispatch - overhead
    if wait > 0:
        wanted = min(wanted, work / wait)
    k = np.arange(fewest, most + 1)
    times = chunk_time(work, k, workers, overhead, dispatch, slowest)
    best = int(np.argmax(times <= times.min() * (1 + 1e-12)))
    return Chunking(int(k[best]), float(times[best]), fewest, float(np.clip(wanted, fewest, most)))


def kruskal_weiss_batch(items: ArrayLike, workers: ArrayLike, overhead: ArrayLike, deviation: ArrayLike) -> Number:
    r"""Return how many items of random length to put into one task.

    .. math:: b = \left(\frac{\sqrt{2} \, n \, h}{s \, m \sqrt{\ln m}}\right)^{2/3}, \qquad
              T \approx \frac{n}{m} w + \frac{n h}{b m} + s \sqrt{2 b \ln m}

    Parameters
    ----------
    items : int or array
        n, independent of each other; the mean time of one is w.
    workers : int or array
        m, at least 2.
    overhead : float or array
        h, seconds that each task costs besides.
    deviation : float or array
        s > 0, standard deviation of the time of one item [s].

    Returns
    -------
    float or array
        Between 1 and n / m, a real number.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A million simulations of 10 ± 10 ms, on 100 workers, with 1 ms overhead a task:

    >>> round(kruskal_weiss_batch(1e6, 100, overhead=1e-3, deviation=10e-3))
    76

    Notes
    -----
    The three terms of T: the work, the overhead, and how long the last worker is behind the mean: the largest of m
    sums of b items, which are nearly normal, with √(2 ln m) for the expected maximum. b is where the derivative is 0.
    An approximation, for many tasks a worker and b large. Chapters 10 and 20.

    References
    ----------
    Kruskal, Weiss: Allocating independent subtasks on parallel processors. IEEE Transactions on Software Engineering
    SE-11(10), 1985.
    """
    n, m = count("items", items), count("workers", workers, low=2)
    overhead, deviation = amount("overhead", overhead), positive("deviation", deviation)
    wanted = (math.sqrt(2) * n * overhead / (deviation * m * np.sqrt(np.log(m)))) ** (2 / 3)
    return plain(np.clip(wanted, 1, np.maximum(n / m, 1)))


# ---- a central scheduler


def scheduler_ceiling(task_overhead: ArrayLike, message_overhead: ArrayLike = 0.0, batch: ArrayLike = 1) -> Number:
    r"""Return the tasks a second that one scheduler can handle, however many workers there are.

    .. math:: X_{\max} = \frac{1}{h + o / b}

    Parameters
    ----------
    task_overhead : float or array
        h, seconds of the scheduler for each task.
    message_overhead : float or array
        o, seconds of the scheduler for each message.
    batch : int or array
        b, tasks in one message.

    Returns
    -------
    float or array
        Tasks per second, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Half a millisecond for a task, and as much for a message, if there is one for each task, or one for ten:

    >>> [round(scheduler_ceiling(0.5e-3, 0.5e-3, batch)) for batch in (1, 10)]
    [1000, 1818]

    Notes
    -----
    The utilization law: the scheduler is busy for X (h + o / b) of each second, which is 1 at most. Derived here, from
    `little`. Chapters 07 and 08.
    """
    each = amount("task_overhead", task_overhead) + amount("message_overhead", message_overhead) / count("batch", batch)
    return plain(1 / positive("task_overhead + message_overhead / batch", each))


def scheduler_utilization(
    task: ArrayLike, workers: ArrayLike, scheduler_overhead: ArrayLike, random: bool = False
) -> Number:
    r"""Return the share of the time in which the workers do useful work, if each asks one scheduler for its next task.

    .. math::
        \text{constant times:} \; e = \frac{p}{\max(N h, \, p + h)} \qquad
        \text{random times:} \; e = \frac{p}{N h} \left(1 - B(N, p / h)\right)

    Parameters
    ----------
    task : float or array
        p, mean seconds of a task.
    workers : int or array
        N; at most a million if ``random``.
    scheduler_overhead : float or array
        h > 0, mean seconds of the scheduler for each task.
    random : bool
        Whether both times are exponential, and not constant.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    1 ms a task for the scheduler; tasks of 100 ms. 50 workers are busy; of 200, half.

    >>> [round(scheduler_utilization(0.1, n, 1e-3), 3) for n in (50, 100, 200)]
    [0.99, 0.99, 0.5]
    >>> [round(scheduler_utilization(0.1, n, 1e-3, random=True), 3) for n in (50, 100, 200)]
    [0.981, 0.924, 0.5]

    Notes
    -----
    A worker that is done waits until the scheduler has served those before it, and it; then it works. Constant times
    settle in a round: it takes p + h if the scheduler has time to spare, N h if not. Random times make a machine-repair
    queue (`machine_repair`), whose formula is Erlang's (B) with workers and scheduler in exchanged roles. If workers
    hold a queue of tasks of their own, the scheduler's h is hidden, and p / max(N h, p) is the bound. Chapter 08.
    Derived here, from `machine_repair`.
    """
    task, workers = amount("task", task), count("workers", workers)
    overhead = positive("scheduler_overhead", scheduler_overhead)
    if not random:
        return plain(task / np.maximum(workers * overhead, task + overhead))
    # A machine that runs is a worker that works; the one who repairs is the scheduler.
    waiting = machine_repair(workers, task, 1 / overhead, 1)
    return plain(np.clip(waiting.utilization * task / (workers * overhead), 0, 1))


def smallest_task(workers: ArrayLike, scheduler_overhead: ArrayLike, efficiency: ArrayLike = 0.9) -> Number:
    r"""Return the shortest tasks with which one scheduler keeps all the workers busy [s].

    .. math:: p_{\min} = \max\left(e N h, \; \frac{e}{1 - e} h\right)

    Parameters
    ----------
    workers : int or array
        N.
    scheduler_overhead : float or array
        h, seconds of the scheduler for each task.
    efficiency : float or array
        e, share of the time in which the workers shall work, below 1.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A scheduler that needs 1 ms for a task: a laptop, a cluster, a large one.

    >>> [round(smallest_task(n, 1e-3), 3) for n in (4, 100, 10_000)]
    [0.009, 0.09, 9.0]

    Notes
    -----
    `scheduler_utilization` with constant times, solved for p. Chapters 08 and 10. Source: as `scheduler_utilization`.
    """
    workers, overhead = count("workers", workers), amount("scheduler_overhead", scheduler_overhead)
    share = number("efficiency", efficiency, low=0)
    if (share >= 1).any():
        raise ValueError(f"efficiency is {plain(share)}; it must be at least 0 and below 1")
    return plain(np.maximum(share * workers, share / (1 - share)) * overhead)


# ---- batches


def batch_latency(arrival_rate: ArrayLike, batch: ArrayLike, per_message: ArrayLike, per_item: ArrayLike) -> Number:
    r"""Return the mean seconds from an item's arrival to the end of its batch.

    .. math:: T = \frac{b - 1}{2 \lambda} + W + S, \qquad S = c_0 + c_1 b

    Parameters
    ----------
    arrival_rate : float or array
        λ > 0, items a second, at random (Poisson).
    batch : int or array
        b: so many items are collected, then sent and served together.
    per_message : float or array
        c₀, seconds that a batch takes, whatever is in it.
    per_item : float or array
        c₁, seconds that each of its items takes besides.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ S ≥ b: too small a batch, or too many items for any.

    Examples
    --------
    Alone a request takes 11 ms, so that 90 a second are nearly too many; in batches there is time to spare.

    >>> [round(batch_latency(90, b, 10e-3, 1e-3), 4) for b in (1, 2, 10, 50)]
    [0.5555, 0.0202, 0.07, 0.3322]

    Notes
    -----
    Exact: the wait of an item for its batch to fill, the wait W of the full batch for the server, and the service S.
    The batches come at Erlang times and take S each: E_b/D/1. It waits as long as in M/D/b with service S, where each
    server gets every b-th customer (`mdc`). For batches with a time-out see `batching`. Chapters 07, 09, 20 and 21.
    Derived here, from `mdc`.
    """
    rate, b = positive("arrival_rate", arrival_rate), count("batch", batch, high=1e6)
    service = amount("per_message", per_message) + b * amount("per_item", per_item)
    service = positive("per_message + batch × per_item", service)
    wait = mdc(rate, service, b).mean_wait
    return plain((b - 1) / (2 * rate) + wait + service)


def best_batch(arrival_rate: float, per_message: float, per_item: float) -> int:
    r"""Return the batch with which `batch_latency` is shortest.

    .. math:: b^* = \arg\min_{b \ge 1} \; T(b), \quad T \text{ of } \texttt{batch\_latency}

    Parameters
    ----------
    arrival_rate, per_message, per_item : float
        λ, c₀ and c₁, as in `batch_latency`.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    UnstableError
        If the items alone load the server fully, or only batches of more than a million would do.

    Examples
    --------
    The more load, the larger the batches.

    >>> [best_batch(rate, per_message=10e-3, per_item=1e-3) for rate in (10, 90, 500, 900)]
    [1, 2, 13, 108]

    Notes
    -----
    Filling and serving a batch take longer the larger it is, while the wait of full batches falls, ever more slowly;
    the search goes by halves to where the latency begins to rise. Chapters 09, 20 and 21. Derived here: the least of
    `batch_latency`.
    """
    rate = scalar("arrival_rate", arrival_rate, positive)
    message, item = scalar("per_message", per_message, amount), scalar("per_item", per_item, amount)
    spare = 1 - 1e-9 - rate * item  # the rounding errors of a utilization are no spare time
    if spare <= 0:
        raise UnstableError(rate * item)
    most = 10**6
    low = math.floor(min(rate * message / spare, most)) + 1  # smaller ones are not stable
    if low >= most:
        raise UnstableError(rate * (message / most + item))
    # Filling and serving alone already take longer than all of it with `low` or the double of it.
    bound = min(float(batch_latency(rate, b, message, item)) for b in (low, min(2 * low, most)))
    high = min(most, low + math.ceil(2 * rate * bound) + 1)
    while low < high:
        middle = (low + high) // 2
        rises = batch_latency(rate, middle + 1, message, item) >= batch_latency(rate, middle, message, item)
        low, high = (low, middle) if rises else (middle + 1, high)
    return low


def serialization_time(
    size: ArrayLike,
    serialize_rate: ArrayLike,
    deserialize_rate: ArrayLike,
    bandwidth: ArrayLike,
    receivers: ArrayLike = 1,
    copies: ArrayLike = 1,
) -> Number:
    r"""Return the seconds to turn an object into bytes, send them to some receivers, and make objects of them again.

    .. math:: T = c \left(\frac{n}{s_1} + \frac{g \, n}{B} + \frac{n}{s_2}\right)

    Parameters
    ----------
    size : float or array
        n, bytes of the object.
    serialize_rate, deserialize_rate : float or array
        s₁ and s₂, bytes a second.
    bandwidth : float or array
        B of the sender's link, bytes a second.
    receivers : int or array
        g, workers that get it; one after another through the sender's link. They deserialize at the same time.
    copies : int or array
        c: how often all this is done.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    100 MB for 100 tasks on 4 workers: embedded in each task, or scattered once to each worker.

    >>> round(serialization_time(100e6, 1e9, 2e9, 1e9, copies=100), 2)
    25.0
    >>> round(serialization_time(100e6, 1e9, 2e9, 1e9, receivers=4), 2)
    0.55

    Notes
    -----
    Nothing overlaps: an upper bound for systems that stream. Chapter 09. Derived here.
    """
    size, link = amount("size", size), positive("bandwidth", bandwidth)
    once = size / positive("serialize_rate", serialize_rate) + count("receivers", receivers) * size / link
    once = once + size / positive("deserialize_rate", deserialize_rate)
    return plain(count("copies", copies) * once)
