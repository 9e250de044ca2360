"""What messages cost: one, and all that a group of workers sends in a broadcast, a reduction, a shuffle or a barrier.

The size of a message is counted in bytes, its latency (α, what every message costs) in seconds, the bandwidth of each
worker's link (1/β) in bytes a second. Taught in chapters 03, 09, 15 and 24.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from course.domain import number, plain, scalar
from course.models.quantity import amount, count, positive, speed

Number = float | np.ndarray


def message_time(size: ArrayLike, latency: ArrayLike, bandwidth: ArrayLike) -> Number:
    r"""Return the seconds from sending a message to having received all of it.

    .. math:: T = \alpha + s \beta, \qquad \beta = 1 / \text{bandwidth}

    Parameters
    ----------
    size : float or array
        s, bytes.
    latency : float or array
        α, seconds.
    bandwidth : float or array
        Bytes a second; may be infinite.

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
    A kilobyte costs little more than nothing at all; only from a megabyte on does the size count.

    >>> [round(message_time(size, latency=1e-3, bandwidth=1e9), 4) for size in (0, 1e3, 1e6, 1e9)]
    [0.001, 0.001, 0.002, 1.001]

    Notes
    -----
    Half of the bandwidth is reached at a size of latency × bandwidth (Hockney's n½, s½ in chapter 15).
    Chapters 03 and 15.

    References
    ----------
    Hockney: The communication challenge for MPP: Intel Paragon and Meiko CS-2. Parallel Computing 20(3), 1994.
    """
    return plain(amount("latency", latency) + amount("size", size) / speed("bandwidth", bandwidth))


def bsp_time(work: ArrayLike, h: ArrayLike, gap: ArrayLike, latency: ArrayLike) -> Number:
    r"""Return the time of one superstep of the BSP model; the sum over an array of supersteps is the program's.

    .. math:: T = w + u g + b

    Parameters
    ----------
    work : float or array
        w, the longest that any worker computes.
    h : float or array
        u, the most words that any worker sends or receives (h in the literature).
    gap : float or array
        g, time for each word when all communicate.
    latency : float or array
        b, time of the barrier that ends the superstep (l in the literature).

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
    >>> bsp_time(work=1000, h=50, gap=4, latency=100)
    1300.0

    Notes
    -----
    In any unit of time, so long as it is the same for all. The maximum in ``work`` is what a straggler costs; for
    random times it is `expected_maximum`. Chapter 03.

    References
    ----------
    Valiant: A bridging model for parallel computation. Communications of the ACM 33(8), 1990.
    """
    return plain(amount("work", work) + amount("h", h) * amount("gap", gap) + amount("latency", latency))


@dataclass(frozen=True, eq=False)
class LogPBroadcast:
    """The fastest broadcast of one small message in the LogP model.

    Attributes
    ----------
    informed : array, shape (processors,)
        When each processor has the message, the earliest (the sender, at 0) first.
    """

    informed: np.ndarray

    @property
    def finish(self) -> float:
        """When the last processor has the message."""
        return float(self.informed[-1])


def logp(processors: int, latency: float, overhead: float, gap: float) -> LogPBroadcast:
    r"""Return the fastest broadcast in the LogP model: who has the message sends it on, without a pause.

    .. math:: \text{arrival} = t + 2 o + L, \qquad \text{next send} = t + \max(g, o)

    A message that is sent at time t arrives at t + 2o + L; the next can be sent at t + max(g, o).

    Parameters
    ----------
    processors : int
        P, from 1 to a million.
    latency : float
        L, time in the network.
    overhead : float
        o, time in which a processor is busy with sending, or with receiving.
    gap : float
        g, least time between two sends of a processor.

    Returns
    -------
    LogPBroadcast
        ``informed`` and ``finish``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    The example of the paper:

    >>> logp(processors=8, latency=6, overhead=2, gap=4).informed
    array([ 0., 10., 14., 18., 20., 22., 24., 24.])

    Notes
    -----
    In any unit of time. Everybody sends as soon as they can to somebody who does not have it yet; no broadcast informs
    a processor earlier. Chapter 03.

    References
    ----------
    Culler, Karp, Patterson, Sahay, Schauser, Santos, Subramonian, von Eicken: LogP: towards a realistic model of
    parallel computation. PPoPP 1993, figure 3.
    """
    processors = int(scalar("processors", processors, count, high=1e6))
    overhead = scalar("overhead", overhead, amount)
    delay = scalar("latency", latency, amount) + 2 * overhead
    pause = max(scalar("gap", gap, amount), overhead)
    informed = [0.0]
    arrivals = [delay]  # for each who has the message: when the next copy that it sends arrives
    for _ in range(1, processors):
        now = arrivals[0]
        informed.append(now)
        heapq.heapreplace(arrivals, now + pause)
        heapq.heappush(arrivals, now + delay)
    return LogPBroadcast(np.array(informed))


# ---- trees


def tree_reduce_time(
    workers: ArrayLike,
    size: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    fan_in: ArrayLike = 2,
    combine: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
) -> Number:
    r"""Return the seconds to combine one partial result of each worker in a tree.

    .. math:: T = \sum_{\text{levels}} \left[o + \alpha + (f_i - 1)(s \beta + c)\right], \quad
              f_i = \min(f, r_i), \quad r_{i+1} = \lceil r_i / f \rceil, \quad r_0 = p

    Parameters
    ----------
    workers : int or array
        p: so many partial results, one on each worker.
    size : float or array
        s, bytes of a partial result, and of what several are combined to.
    latency, bandwidth : float or array
        α and 1/β.
    fan_in : int or array
        f, partial results that one task combines (Dask's ``split_every``); at least 2.
    combine : float or array
        c, seconds to combine a partial result with another.
    overhead : float or array
        o, seconds that each task costs besides.

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
    Two by two takes seven levels; all at once takes one, but that one worker receives 99 results.

    >>> [round(tree_reduce_time(100, 1e6, 1e-3, 1e9, f, overhead=2e-3), 3) for f in (2, 10, 100)]
    [0.028, 0.024, 0.102]

    Notes
    -----
    A task runs where one of its inputs is and asks for the others at the same time: the latency is paid once a level,
    but the bytes come one after another through one link. With f = 2 and no overhead it is the binomial tree,
    ⌈lg p⌉ (α + sβ + c). Chapter 15.

    References
    ----------
    The α–β model of trees: Chan, Heimlich, Purkayastha, van de Geijn: Collective communication: theory, practice, and
    experience. Concurrency and Computation: Practice and Experience 19(13), 2007.
    """
    left, fan_in, fixed, each = np.broadcast_arrays(
        count("workers", workers),
        count("fan_in", fan_in, low=2),
        *_tree_costs(size, latency, bandwidth, combine, overhead),
    )
    total = np.zeros(left.shape)
    while (left > 1).any():
        inputs = np.minimum(fan_in, left)
        total = total + np.where(left > 1, fixed + (inputs - 1) * each, 0.0)
        left = np.ceil(left / fan_in)
    return plain(total)


def _tree_costs(
    size: ArrayLike, latency: ArrayLike, bandwidth: ArrayLike, combine: ArrayLike, overhead: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a level of the tree costs, and what each input that has to come there costs besides."""
    fixed = amount("overhead", overhead) + amount("latency", latency)
    return fixed, amount("size", size) / speed("bandwidth", bandwidth) + amount("combine", combine)


@dataclass(frozen=True)
class FanIn:
    """The best tree.

    Attributes
    ----------
    fan_in : int
        Of the fastest tree; the smallest, where several are equally fast.
    time : float
        Its seconds.
    approximation : float
        The fan-in by the formula, a real number: what it would be if every level were full; infinite if only the
        number of levels counts.
    """

    fan_in: int
    time: float
    approximation: float


def best_fan_in(
    workers: int,
    size: float,
    latency: float,
    bandwidth: float,
    combine: float = 0.0,
    overhead: float = 0.0,
) -> FanIn:
    r"""Return the fan-in with which `tree_reduce_time` is shortest.

    .. math:: f (\ln f - 1) = \frac{A}{B} - 1, \qquad f = e^{1 + W((A/B - 1) / e)},
              \qquad A = o + \alpha, \quad B = s \beta + c

    Parameters
    ----------
    workers : int
        At least 1.
    size, latency, bandwidth, combine, overhead : float
        As in `tree_reduce_time`.

    Returns
    -------
    FanIn
        ``fan_in``, ``time`` and ``approximation``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> best_fan_in(100, size=1e6, latency=1e-3, bandwidth=1e9, overhead=2e-3)
    FanIn(fan_in=5, time=0.02, approximation=4.319...)

    Notes
    -----
    With (ln p / ln f) full levels, each at A + (f − 1) B, the derivative by f is 0 where the equation holds; W is
    Lambert's function. It depends neither on p nor on the unit of time: only on how many inputs could be received in
    the time that a level costs anyway. As it takes a whole number of levels, the search is exact: for each number of
    levels, those few fan-ins that reach it with the least work. Chapter 15. Derived here, from `tree_reduce_time`.
    """
    from scipy.special import lambertw

    workers = int(scalar("workers", workers, count))
    costs = _tree_costs(size, latency, bandwidth, combine, overhead)
    fixed, each = (scalar("the cost of a level", cost) for cost in costs)
    if each == 0:
        approximation = math.inf if fixed > 0 else 2.0
    else:
        # More than 10²⁰ inputs in the time of a level are all of them; at 0.2 the formula is below 2 already.
        z = (np.clip(fixed / each, 0.2, 1e20) - 1) / math.e
        approximation = max(math.exp(1 + lambertw(z).real), 2.0)

    candidates = {2}
    for levels in range(1, workers.bit_length() + 1):
        smallest = round(workers ** (1 / levels))
        candidates |= {min(max(2, smallest + more), max(workers, 2)) for more in (-1, 0, 1, 2)}
    fans = np.array(sorted(candidates), dtype=float)
    times = tree_reduce_time(workers, size, latency, bandwidth, fans, combine, overhead)
    best = int(np.argmin(times > times.min() * (1 + 1e-12)))
    return FanIn(int(fans[best]), float(times[best]), approximation)


# ---- collective operations


def _group(workers: ArrayLike, size: ArrayLike, latency: ArrayLike, bandwidth: ArrayLike) -> tuple[np.ndarray, ...]:
    """Return p, α, the time sβ of all bytes, and ⌈lg p⌉."""
    workers = count("workers", workers)
    transfer = amount("size", size) / speed("bandwidth", bandwidth)
    return workers, amount("latency", latency), transfer, np.ceil(np.log2(workers))


def _unknown(algorithm: object, known: tuple[str, ...]) -> ValueError:
    return ValueError(f"algorithm is {algorithm!r:.80}; it must be one of {', '.join(known)}")


def broadcast_time(
    workers: ArrayLike, size: ArrayLike, latency: ArrayLike, bandwidth: ArrayLike, algorithm: str = "binomial"
) -> Number:
    r"""Return the seconds until all workers have the s bytes that one of them had.

    .. math::
        \text{flat:} \; (p - 1)(\alpha + s\beta) \qquad
        \text{binomial:} \; \lceil \lg p \rceil (\alpha + s\beta) \qquad
        \text{scatter\_allgather:} \; (\lceil \lg p \rceil + p - 1)\,\alpha + 2 \, \tfrac{p - 1}{p} \, s\beta

    Parameters
    ----------
    workers : int or array
        p, with the one that has it.
    size : float or array
        s, bytes.
    latency, bandwidth : float or array
        α and 1/β.
    algorithm : str
        ``flat``: one sends to all in turn. ``binomial``: everybody who has it sends it on. ``scatter_allgather``:
        everybody gets a part, and the parts go around in a ring; best for many bytes.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown algorithm; the message says what is allowed.

    Examples
    --------
    >>> [round(broadcast_time(16, 1e6, 1e-5, 1e9, how), 6) for how in ("flat", "binomial", "scatter_allgather")]
    [0.01515, 0.00404, 0.002065]

    Notes
    -----
    A worker sends and receives one message at a time; all links are alike. Chapter 15.

    References
    ----------
    Thakur, Rabenseifner, Gropp: Optimization of collective communication operations in MPICH. International Journal of
    High Performance Computing Applications 19(1), 2005.
    """
    p, latency, transfer, rounds = _group(workers, size, latency, bandwidth)
    if algorithm == "flat":
        return plain((p - 1) * (latency + transfer))
    if algorithm == "binomial":
        return plain(rounds * (latency + transfer))
    if algorithm == "scatter_allgather":
        return plain((rounds + p - 1) * latency + 2 * (p - 1) / p * transfer)
    raise _unknown(algorithm, ("flat", "binomial", "scatter_allgather"))


def all_gather_time(
    workers: ArrayLike, size: ArrayLike, latency: ArrayLike, bandwidth: ArrayLike, algorithm: str = "ring"
) -> Number:
    r"""Return the seconds until all workers have all s bytes, of which each had s / p.

    .. math::
        \text{ring:} \; (p - 1)\,\alpha + \tfrac{p - 1}{p} \, s\beta \qquad
        \text{recursive\_doubling:} \; \lceil \lg p \rceil \,\alpha + \tfrac{p - 1}{p} \, s\beta

    Parameters
    ----------
    workers : int or array
        p.
    size : float or array
        s, bytes of all parts together.
    latency, bandwidth : float or array
        α and 1/β.
    algorithm : str
        ``ring``: each passes on what it got from its neighbour. ``recursive_doubling``: pairs exchange all they have,
        then pairs of pairs, and so on (if p is not a power of two: Bruck's algorithm, in the same time).

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown algorithm; the message says what is allowed.

    Examples
    --------
    >>> [round(all_gather_time(16, 1e6, 1e-5, 1e9, how), 7) for how in ("ring", "recursive_doubling")]
    [0.0010875, 0.0009775]

    Notes
    -----
    A worker sends one message and receives another at the same time. Chapter 15. Source: as `broadcast_time`.
    """
    p, latency, transfer, rounds = _group(workers, size, latency, bandwidth)
    if algorithm not in ("ring", "recursive_doubling"):
        raise _unknown(algorithm, ("ring", "recursive_doubling"))
    messages = p - 1 if algorithm == "ring" else rounds
    return plain(messages * latency + (p - 1) / p * transfer)


def all_reduce_time(
    workers: ArrayLike,
    size: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    algorithm: str = "ring",
    combine_rate: ArrayLike | None = None,
) -> Number:
    r"""Return the seconds until all workers have the sum of the vectors of s bytes that each of them had.

    .. math::
        \text{recursive\_doubling:} &\; \lg p \,(\alpha + s\beta + c) \\
        \text{ring:} &\; 2 (p - 1)\,\alpha + \tfrac{p - 1}{p} \,(2 s\beta + c) \\
        \text{rabenseifner:} &\; 2 \lg p \,\alpha + \tfrac{p - 1}{p} \,(2 s\beta + c)

    Parameters
    ----------
    workers : int or array
        p.
    size : float or array
        s, bytes of each vector.
    latency, bandwidth : float or array
        α and 1/β.
    algorithm : str
        ``recursive_doubling``: pairs exchange whole vectors; for few bytes. ``ring`` and ``rabenseifner``: each worker
        sums a part of the vectors (reduce-scatter), then all gather the parts, around a ring or by halving and
        doubling.
    combine_rate : float or array, optional
        s / c, bytes a second that a worker adds up; c, the seconds to combine two vectors, is 0 if left out.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown algorithm; the message says what is allowed.

    Examples
    --------
    >>> [round(all_reduce_time(16, 1e6, 1e-5, 1e9, how), 6) for how in ("recursive_doubling", "ring", "rabenseifner")]
    [0.00404, 0.002175, 0.001955]

    Notes
    -----
    If p is no power of two, the first and the last formula are those of the largest power of two below it, and two
    messages more: the workers that are too many hand their vectors in (α + sβ + c), and get the result back (α + sβ).
    The ring needs the fewest bytes with any p: each worker sends less than 2s, however many there are. Chapter 15.
    Source: as `broadcast_time`.
    """
    known = ("recursive_doubling", "ring", "rabenseifner")
    if algorithm not in known:
        raise _unknown(algorithm, known)
    p, latency, transfer, _ = _group(workers, size, latency, bandwidth)
    adding = 0.0 if combine_rate is None else amount("size", size) / positive("combine_rate", combine_rate)
    rounds = np.floor(np.log2(p))
    power = 2**rounds
    folded = np.where(p == power, 0.0, 2 * (latency + transfer) + adding)
    if algorithm == "recursive_doubling":
        return plain(rounds * (latency + transfer + adding) + folded)
    if algorithm == "ring":
        return plain(2 * (p - 1) * latency + (p - 1) / p * (2 * transfer + adding))
    return plain(2 * rounds * latency + (power - 1) / power * (2 * transfer + adding) + folded)


def shuffle_time(
    workers: ArrayLike,
    size: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    messages: ArrayLike = 1,
    algorithm: str = "pairwise",
) -> Number:
    r"""Return the seconds of an all-to-all: every worker sends every other worker its part of the data.

    .. math::
        \text{pairwise:} \; k (p - 1)\,\alpha + \frac{p - 1}{p} \cdot \frac{D}{p} \, \beta \qquad
        \text{bruck:} \; \lceil \lg p \rceil \left(\alpha + \frac{D}{2p} \, \beta\right)

    Parameters
    ----------
    workers : int or array
        p.
    size : float or array
        D, bytes of all the data, spread evenly over the workers before and after.
    latency, bandwidth : float or array
        α, and 1/β of each worker's link.
    messages : int or array
        k, messages in which a worker sends to another what it has for it: 1 if it collects them, as many as it has
        pairs of input and output partitions if not. Only ``pairwise``.
    algorithm : str
        ``pairwise``: directly to the one who needs it. ``bruck``: in rounds, several parts in each message, passed on
        by others: fewer messages, more bytes; for little data.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown algorithm; the message says what is allowed.

    Examples
    --------
    100 GB on 100 workers, in one message for each pair of workers or in a thousand:

    >>> [round(shuffle_time(100, 100e9, 1e-3, 1e9, m), 3) for m in (1, 1000)]
    [1.089, 99.99]

    Notes
    -----
    A worker sends one message and receives one at a time, and no worker gets more than another; skew is not in it. For
    p a power of two ``bruck`` is exact; otherwise it is an upper bound (the last round moves fewer parts). Chapter 15.
    Source: as `broadcast_time`.
    """
    p, latency, transfer, rounds = _group(workers, size, latency, bandwidth)
    messages = count("messages", messages)
    if algorithm == "pairwise":
        return plain(messages * (p - 1) * latency + (p - 1) / p * (transfer / p))
    if algorithm == "bruck":
        return plain(rounds * (latency + transfer / p / 2))
    raise _unknown(algorithm, ("pairwise", "bruck"))


def shuffle_tasks(partitions: int, max_branch: int = 32) -> tuple[int, int]:
    r"""Return the tasks of a shuffle that is made of tasks, and of one whose workers send each other what they have.

    .. math::
        \text{tasks:} \; j \, b^j (b + 2), \quad j = \max(1, \lceil \log_{b_{\max}} n \rceil), \quad
        b = \lceil n^{1/j} \rceil \qquad \text{peer to peer:} \; 2n + 1

    Parameters
    ----------
    partitions : int
        n, of the input and of the output; at least 1.
    max_branch : int
        The largest b, pieces that one task cuts its partition into; more partitions take several stages. At least 2.

    Returns
    -------
    tasks : int
        Of the shuffle made of tasks: cut, pick and join in each of j stages.
    peers : int
        Of the shuffle from worker to worker: n that send, a barrier, and n that hand over what came.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> shuffle_tasks(8), shuffle_tasks(32), shuffle_tasks(1000)
    ((80, 17), (1088, 65), (69632, 2001))

    Notes
    -----
    Of Dask's two methods, as counted in version 2026.8: exact in one stage, and in several if n is bʲ; otherwise within
    some per cent (pieces that nobody needs are left out). The tasks that make the input and use the output are not in
    it. Chapter 15.
    """
    n, most = int(scalar("partitions", partitions, count)), int(scalar("max_branch", max_branch, count, low=2))
    stages = 1
    while most**stages < n:
        stages += 1
    pieces = max(round(n ** (1 / stages)), 1)
    pieces += pieces**stages < n
    return stages * pieces**stages * (pieces + 2), 2 * n + 1


def join_bytes(workers: ArrayLike, small: ArrayLike, large: ArrayLike, algorithm: str = "shuffle") -> Number:
    r"""Return the bytes that all workers together send to join two tables on a column.

    .. math:: \text{broadcast:} \; (p - 1)\, S \qquad \text{shuffle:} \; \tfrac{p - 1}{p} \, (S + L)

    Parameters
    ----------
    workers : int or array
        p.
    small, large : float or array
        S and L, bytes of the tables, each spread evenly over the workers.
    algorithm : str
        ``broadcast``: every worker gets all of the small table, the large one stays where it is. ``shuffle``: each row
        of both goes to the worker of its key.

    Returns
    -------
    float or array
        Bytes, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown algorithm; the message says what is allowed.

    Examples
    --------
    10 GB with 1 GB: on 8 workers it is better to copy the small one, on 16 no longer.

    >>> [round(join_bytes(p, 1e9, 10e9, how) / 1e9, 1) for p in (8, 16) for how in ("broadcast", "shuffle")]
    [7.0, 9.6, 15.0, 10.3]

    Notes
    -----
    Copying is less if p S < S + L: if the large table is more than p − 1 times as large as the small one. It also
    takes memory for S on every worker. Chapter 15. Derived here.
    """
    p, small, large = count("workers", workers), amount("small", small), amount("large", large)
    if algorithm == "broadcast":
        return plain((p - 1) * small)
    if algorithm == "shuffle":
        return plain((p - 1) / p * (small + large))
    raise _unknown(algorithm, ("broadcast", "shuffle"))


# ---- barriers


def expected_maximum(distribution: Any, n: ArrayLike) -> Number:
    r"""Return the mean of the largest of n independent times: how long a barrier of n tasks takes.

    .. math:: E[\max] = \int_0^1 n u^{n-1} F^{-1}(u) \, du = \int_0^\infty Q\left(1 - e^{-v / n}\right) e^{-v} \, dv

    Parameters
    ----------
    distribution : scipy.stats frozen continuous distribution
        Of one time, such as ``scipy.stats.norm(10, 2)``, with a finite mean.
    n : int or array
        At least 1.

    Returns
    -------
    float or array
        Seconds, of the shape of ``n``.

    Raises
    ------
    ValueError
        Also if the mean is infinite, or the tail so heavy that the integral cannot be found.

    Examples
    --------
    A task takes 10 ± 2 seconds; the slowest of 100 takes half as long again. The barrier costs the difference.

    >>> from scipy import stats
    >>> [round(expected_maximum(stats.norm(10, 2), n), 2) for n in (1, 10, 100)]
    [10.0, 13.08, 15.02]

    Notes
    -----
    Q is the inverse of the survival function P(X > x), and v = −ln(Fⁿ) is exponential. With v = exp(y) the integrand
    falls off fast on both sides, and the trapezoidal rule gives 10 digits and more for smooth distributions. For
    the exponential distribution it is the harmonic number Hₙ times the mean, see `expected_maximum_exponential`; on
    (0, 1) uniform n / (n + 1). Chapters 03 and 16.

    References
    ----------
    David, Nagaraja: Order Statistics. 3rd ed., Wiley 2003, section 3.1.
    """
    n = count("n", n)
    if not (hasattr(distribution, "isf") and hasattr(getattr(distribution, "dist", None), "pdf")):
        raise ValueError(f"distribution is {distribution!r:.80}; it must be a frozen continuous one of scipy.stats")
    with np.errstate(all="ignore"):
        mean = float(np.max(distribution.mean()))
    if np.ndim(distribution.isf(0.5)) or not math.isfinite(mean):
        raise ValueError(f"distribution has mean {mean:g}; it must be a single distribution with a finite mean")

    step, block = 1 / 64, 64 * 20
    total = np.zeros(n.shape)
    high = 6.6  # exp(6.6) = 735: beyond it exp(−v) is 0
    while high > -640:
        y = high - step * np.arange(1, block + 1)
        v = np.exp(y)
        with np.errstate(all="ignore"):
            # isf of a share rounded to 1 may be −∞; the weight there is 0.
            times = distribution.isf(np.maximum(-np.expm1(-v / n[..., None]), 1e-307))
            terms = np.where(np.isfinite(times), times, 0.0) * v * np.exp(-v)
        part = step * terms.sum(axis=-1)
        total = total + part
        high -= step * block
        if (np.abs(part) <= 1e-14 * np.abs(total)).all():
            return plain(total)
    raise ValueError("distribution has too heavy a tail; the mean of its maximum is all in events that never happen")


# ---- compression


def compression_break_even(
    ratio: ArrayLike, compress_rate: ArrayLike, decompress_rate: ArrayLike, pipelined: bool = False
) -> Number:
    r"""Return the bandwidth below which compressing pays [bytes/s].

    .. math:: \frac{n}{C} + \frac{n}{r B} + \frac{n}{D} < \frac{n}{B} \iff B < \frac{1 - 1/r}{1/C + 1/D}

    Parameters
    ----------
    ratio : float or array
        r, bytes before / bytes after; at 1 and below it never pays.
    compress_rate, decompress_rate : float or array
        C and D, bytes a second, counted in bytes of the original.
    pipelined : bool
        Whether compressing, sending and decompressing go on at the same time, as in a long stream of blocks. Then the
        slowest of the three counts, and compressing pays below min(C, D).

    Returns
    -------
    float or array
        B of the link; 0 where it never pays.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A fast compressor halves the data, at 0.5 GB/s in and 2 GB/s out: good for a slow network, bad for a fast one.

    >>> compression_break_even(2, 0.5e9, 2e9) / 1e9
    0.2

    Notes
    -----
    It costs the processor's time either way. Chapter 09. Derived here.
    """
    ratio = positive("ratio", ratio)
    compress, expand = positive("compress_rate", compress_rate), positive("decompress_rate", decompress_rate)
    least = np.minimum(compress, expand) if pipelined else (1 - 1 / ratio) / (1 / compress + 1 / expand)
    return plain(np.where(ratio > 1, least, 0.0))


# ---- between regions


def reduce_break_even(reduce_rate: ArrayLike, link_rate: ArrayLike, regions: ArrayLike) -> Number:
    r"""Return the share to which reducing must shrink data, so that it pays to reduce where they are.

    .. math:: q^* = 1 - \frac{1}{v / w + k}

    Parameters
    ----------
    reduce_rate : float or array
        v, bytes a second at which one region reduces.
    link_rate : float or array
        w, bytes a second from each region to the one where the sum is made.
    regions : int or array
        k, regions with equally much data.

    Returns
    -------
    float or array
        Reducing first is faster exactly for q < q*, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> reduce_break_even(2e9, 0.5e9, 4)
    0.875

    Notes
    -----
    With D bytes in each region and a latency ℓ, moving all takes ℓ + D/w + k D/v, reducing first
    D/v + ℓ + q D/w + q k D/v. Subtract: ℓ and D cancel. Derived here; sister of `compression_break_even`. Chapter 24.

    References
    ----------
    Pu et al.: Low latency geo-distributed data analytics. SIGCOMM 2015: where to place the data and the tasks.
    """
    ratio = positive("reduce_rate", reduce_rate) / positive("link_rate", link_rate)
    return plain(1 - 1 / (ratio + count("regions", regions)))


def local_steps_efficiency(steps: ArrayLike, sites: ArrayLike, variation: ArrayLike, sync: ArrayLike) -> Number:
    r"""Return the share of time in which sites compute that meet at a barrier only every so many steps.

    .. math:: \frac{K}{K + v \sqrt{K} \, e_k + b}, \qquad e_k = E[\max \text{ of } k \text{ standard normals}]

    Parameters
    ----------
    steps : float or array
        K, steps between two barriers.
    sites : int or array
        k.
    variation : float or array
        v, coefficient of variation of the time of a step.
    sync : float or array
        b, what a barrier costs besides waiting, in mean times of a step.

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
    Eight sites that exchange for 20 steps' time: each step, every 100 steps, every 500.

    >>> local_steps_efficiency([1, 100, 500], 8, 0.5, 20).round(3)
    array([0.046, 0.787, 0.933])

    Notes
    -----
    The sum of K steps is nearly normal with the standard deviation v √K, so the slowest of k sites is late by v √K e_k.
    The exchange is amortized as 1/K, waiting for the slowest only as 1/√K. Derived here. Chapter 24.

    References
    ----------
    Douillard et al.: DiLoCo: distributed low-communication training of language models. arXiv:2311.08105, 2023.
    """
    steps, sites = number("steps", steps, low=1, high=1e15), count("sites", sites, high=1e9)
    variation, sync = number("variation", variation, low=0, high=1e15), number("sync", sync, low=0, high=1e30)
    late = np.asarray(expected_maximum(norm(), sites))
    return plain(steps / (steps + variation * np.sqrt(steps) * np.maximum(late, 0.0) + sync))
