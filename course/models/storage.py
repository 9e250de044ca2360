"""Where data lives: quorums of replicas, rings and skew, erasure codes. Taught in chapter 04."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from course.domain import number, plain
from course.models.caches import shares
from course.models.quantity import amount, positive
from course.models.reliability import k_of_n

Number = float | np.ndarray

# More replicas than this are a mistake in the input, and cost the formulas below their digits.
MOST_REPLICAS = 1_000_000


# ---- quorums


def _quorum(replicas: ArrayLike, **quorums: ArrayLike) -> tuple[np.ndarray, ...]:
    """Return the replicas and the quorums, checked: whole numbers, no quorum above the replicas."""
    replicas = number("replicas", replicas, low=1, high=MOST_REPLICAS, whole=True)
    checked = []
    for name, value in quorums.items():
        quorum = number(name, value, low=1, whole=True)
        if (quorum > replicas).any():
            raise ValueError(f"{name} is {plain(quorum)}; it must be at most the replicas, {plain(replicas)}")
        checked.append(quorum)
    return (replicas, *checked)


def quorum_availability(replicas: ArrayLike, quorum: ArrayLike, up_probability: ArrayLike) -> Number:
    r"""Return the probability that enough replicas are up to form a quorum.

    .. math:: A_q = \sum_{i=q}^{N} \binom{N}{i} A^i (1 - A)^{N - i}

    Parameters
    ----------
    replicas, quorum : int or array
        N, and q: how many of them must answer.
    up_probability : float or array
        A, the probability that one replica is up; replicas fail independently.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If the quorum is larger than the replicas, or a probability is outside [0, 1].

    Examples
    --------
    Majorities of three and of five replicas:

    >>> quorum_availability([3, 5], [2, 3], 0.9).round(5)
    array([0.972  , 0.99144])

    Notes
    -----
    Chapter 04. The binomial distribution; see `k_of_n`. Source: as `k_of_n`.
    """
    replicas, quorum = _quorum(replicas, quorum=quorum)
    return k_of_n(quorum, replicas, number("up_probability", up_probability, low=0, high=1))


def is_strict(replicas: ArrayLike, read: ArrayLike, write: ArrayLike) -> bool | np.ndarray:
    r"""Return whether each read meets each write: read + write > replicas.

    .. math:: r + w > N

    Parameters
    ----------
    replicas, read, write : int or array
        N, and how many of them must answer a read (r) and acknowledge a write (w).

    Returns
    -------
    bool or array of bool
        Of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> is_strict(3, read=2, write=2), is_strict(3, read=1, write=1)
    (True, False)

    Notes
    -----
    Chapter 04. That no two writes pass each other unseen needs 2 w > N besides.

    References
    ----------
    Gifford: Weighted voting for replicated data. SOSP 1979.
    """
    replicas, read, write = _quorum(replicas, read=read, write=write)
    strict = read + write > replicas
    return bool(strict) if strict.ndim == 0 else strict


def stale_probability(replicas: ArrayLike, read: ArrayLike, write: ArrayLike, versions: ArrayLike = 1) -> Number:
    r"""Return the probability that a read misses the last ``versions`` versions (PBS, k-staleness).

    .. math:: \left(\binom{N - w}{r} \Big/ \binom{N}{r}\right)^k

    Parameters
    ----------
    replicas, read, write : int or array
        N, r and w, as in `is_strict`.
    versions : int or array
        k ≥ 1. For k = 1, the probability that the answer is not the newest version.

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
    One of three replicas written and one read: a third of the reads are up to date, and 98 % within ten versions.

    >>> round(stale_probability(3, 1, 1), 4), round(1 - stale_probability(3, 1, 1, versions=10), 4)
    (0.6667, 0.9827)

    Notes
    -----
    Chapter 04. Assumes that read and write quorums are drawn uniformly and independently, and that a write reaches
    its w replicas and no other: a bound on what a system shows that goes on to tell the rest (`stale_after`).

    References
    ----------
    Bailis, Venkataraman, Franklin, Hellerstein, Stoica: Probabilistically bounded staleness for practical partial
    quorums. PVLDB 5(8), 2012, section 3.1.
    """
    replicas, read, write = np.broadcast_arrays(*_quorum(replicas, read=read, write=write))
    versions = number("versions", versions, low=1, whole=True)
    unwritten = replicas - write
    missed = unwritten >= read  # else the quorums meet, whichever they are
    rest = np.where(missed, unwritten - read, 0)
    # log of the ratio of the binomials; r! cancels
    log_ratio = (
        special.gammaln(unwritten + 1)
        - special.gammaln(rest + 1)
        - special.gammaln(replicas + 1)
        + special.gammaln(replicas - read + 1)
    )
    with np.errstate(over="ignore"):  # e to minus infinity is the right 0
        return plain(np.where(missed, np.exp(versions * np.minimum(log_ratio, 0)), 0.0))


def stale_after(
    elapsed: ArrayLike, replicas: ArrayLike, read: ArrayLike, write: ArrayLike, mean_delay: ArrayLike
) -> Number:
    r"""Return the probability that a read that starts so long after a write's commit misses it (PBS, t-visibility).

    .. math:: \binom{N - w}{r} \Big/ \binom{N}{r} \cdot e^{-r t / d}

    Parameters
    ----------
    elapsed : float or array
        t, seconds from the write's w-th acknowledgement to the read.
    replicas, read, write : int or array
        N, r and w, as in `is_strict`.
    mean_delay : float or array
        d > 0, mean seconds that a write takes to one replica.

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
    >>> round(stale_after(0.0, 3, 1, 1, mean_delay=0.01), 4), round(stale_after(0.03, 3, 1, 1, mean_delay=0.01), 4)
    (0.6667, 0.0332)

    Notes
    -----
    Chapter 04. Of r replicas drawn at random, none is among the w that have acknowledged, and none of the others has
    the write yet. Assumes that a write goes to all N at once with independent exponential delays, and that
    acknowledgements and reads take no time. The exponential has no memory, so that at the commit each of the N − w
    others has a full delay d before it. A read that takes time itself finds more.

    References
    ----------
    Source: as `stale_probability`, section 3.4.
    """
    elapsed = amount("elapsed", elapsed)
    mean_delay = positive("mean_delay", mean_delay)
    at_commit = stale_probability(replicas, read, write)
    return plain(at_commit * np.exp(-number("read", read) * (elapsed / mean_delay)))


def quorum_latency(latency: Any, replicas: ArrayLike, quorum: ArrayLike) -> Number:
    r"""Return the mean seconds until the quorum-th fastest of all replicas has answered.

    .. math:: E[T_q] = \int_0^1 F^{-1}(u) \, \frac{u^{q-1} (1 - u)^{N-q}}{B(q,\, N - q + 1)} \, du; \qquad
              \text{exponential with mean } d: \; d \sum_{i=N-q+1}^{N} \frac{1}{i}

    Parameters
    ----------
    latency : float, array or distribution
        One replica's time to answer: the mean d of an exponential distribution [s], or a distribution with ``isf`` and
        ``ppf``, such as ``scipy.stats.lognorm(s=1, scale=0.01)``, or of measured times
        ``scipy.stats.rv_histogram(np.histogram(measured, bins=1000))``; none of its times may be negative.
    replicas, quorum : int or array
        N are asked at once; the answer of the q-th is waited for.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        Also where the distribution has negative times, and where the mean does not exist: a tail so heavy that the
        integral does not converge.

    Examples
    --------
    Exponential answers, mean 10 ms, three replicas. To wait for one, two or all of them takes, in milliseconds:

    >>> (1000 * quorum_latency(0.010, 3, [1, 2, 3])).round(2)
    array([ 3.33,  8.33, 18.33])

    Notes
    -----
    Chapter 04; chapter 07 uses it for `consensus_latency`. The q-th of N uniform numbers has the distribution
    Beta(q, N − q + 1). Replicas answer independently.

    References
    ----------
    David, Nagaraja: Order Statistics, 3rd ed. Wiley 2003, sections 2.1 and 3.1.
    """
    replicas, quorum = _quorum(replicas, quorum=quorum)
    if not hasattr(latency, "isf"):
        mean = amount("latency", latency)
        return plain(mean * (special.digamma(replicas + 1) - special.digamma(replicas - quorum + 1)))
    _not_negative(latency)
    mean_of_one = np.vectorize(lambda n, q: _mean_order_statistic(latency, n, q), otypes=[float])
    return plain(mean_of_one(replicas, quorum))


def quorum_latency_quantile(q: ArrayLike, latency: Any, replicas: ArrayLike, quorum: ArrayLike) -> Number:
    r"""Return the seconds within which a share q of the requests has its quorum of answers.

    .. math:: F^{-1}\!\left(I^{-1}_q(k,\, N - k + 1)\right), \quad k \text{ of } N \text{ the quorum}

    Parameters
    ----------
    q : float or array
        In [0, 1). I⁻¹ is the inverse of the regularized incomplete beta function.
    latency, replicas, quorum
        As in `quorum_latency`.

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
    Two of three answers: the slowest replica does not matter, and the tail is shorter than that of a single one.

    >>> one, two_of_three = (quorum_latency_quantile(0.99, 0.010, n, k) for n, k in ((1, 1), (3, 2)))
    >>> round(1000 * one, 1), round(1000 * two_of_three, 1)
    (46.1, 28.3)

    Notes
    -----
    Chapter 04. Source: as `quorum_latency`.
    """
    q = number("q", q, low=0)
    if (q >= 1).any():
        raise ValueError(f"q is {plain(q)}; it must be at least 0 and below 1")
    replicas, quorum = _quorum(replicas, quorum=quorum)
    # In terms of the tail, 1 − u ~ Beta(n − k + 1, k): near 1 the tail has the digits that u has not.
    tail = special.betainccinv(replicas - quorum + 1, quorum, q)
    if hasattr(latency, "isf"):
        _not_negative(latency)
        return plain(latency.isf(tail))
    return plain(amount("latency", latency) * np.abs(np.log(tail)))


def _not_negative(latency: Any) -> None:
    """Raise `ValueError` if a distribution has negative times."""
    least = float(latency.support()[0] if hasattr(latency, "support") else latency.ppf(1e-300))
    if not least >= 0:
        raise ValueError(
            f"latency has times from {least:g} s on; they must be at least 0: take another distribution, such as"
            " scipy.stats.lognorm, or cut it off there (scipy.stats.truncnorm)"
        )


def _mean_order_statistic(latency: Any, n: float, k: float) -> float:
    """Integrate the quantile of one answer, F⁻¹(p), over the Beta(k, n − k + 1) density of the k-th of n.

    With p = 1 / (1 + exp(−y)), and y spread by sinh around its mean, the integrand falls off so fast on both sides
    that the trapezoidal rule is exact to rounding (double exponential quadrature; Takahasi, Mori 1974).
    """
    t = np.arange(-1220, 1221) * 0.005
    spread = np.pi * min(np.sqrt((n + 1) / (k * (n + 1 - k))), 1.0)
    y = np.log(k / (n + 1 - k)) + spread * np.sinh(t)
    log_density = k * special.log_expit(y) + (n - k + 1) * special.log_expit(-y) - special.betaln(k, n - k + 1)
    weight = np.exp(log_density) * spread * np.cosh(t) * 0.005
    with np.errstate(all="ignore"):  # a quantile may be infinite, or overflow, where the weight is 0
        end = special.expit(-np.minimum(np.abs(y), 700))  # the probability of the nearer end, not rounded to 0
        quantile = np.where(y < 0, latency.ppf(end), latency.isf(end))
        terms = np.where(weight > 0, quantile * weight, 0.0)
    if not max(abs(terms[0]), abs(terms[-1])) <= 1e-9 * np.abs(terms).sum() < np.inf:
        raise ValueError(f"latency has no finite mean for {k:g} of {n:g} answers; it must have one")
    return terms.sum()


# ---- partitioning


@dataclass(frozen=True, eq=False)
class RingImbalance:
    """How unequal the shares of a ring's nodes are, each relative to the mean share; as `ring_imbalance` gives it.

    Attributes
    ----------
    deviation : float or array
        Standard deviation of a node's share.
    largest : float or array
        Expected share of the node that has most.
    low, high : float or array
        The interval that holds a node's share with the stated probability.
    """

    deviation: Number
    largest: Number
    low: Number
    high: Number


def ring_imbalance(nodes: ArrayLike, virtual_nodes: ArrayLike, coverage: ArrayLike = 0.99) -> RingImbalance:
    r"""Return how unequally consistent hashing divides the keys among nodes with several points each on the ring.

    .. math:: \text{share} \sim \mathrm{Beta}(v, (n - 1) v), \qquad
              \frac{\sigma}{\mu} = \sqrt{\frac{n - 1}{n v + 1}} \approx \frac{1}{\sqrt v}, \qquad
              \frac{E[\max]}{\mu} = \frac{1}{v} \, E\!\left[\max_{i \le n} \Gamma_i(v)\right]

    Parameters
    ----------
    nodes : int or array
        n, at most 10¹⁸.
    virtual_nodes : int or array
        v, points of each node, at most 10⁹.
    coverage : float or array
        The probability that the interval ``low`` to ``high`` holds the share of one node; equal tails.

    Returns
    -------
    RingImbalance
        ``deviation``, ``largest``, ``low`` and ``high``, all relative to the mean share 1 / n.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A thousand nodes with one point each, and with a hundred:

    >>> ring = ring_imbalance(1000, [1, 100])
    >>> ring.deviation.round(3), ring.largest.round(2)
    (array([0.999, 0.1  ]), array([7.49, 1.36]))

    Notes
    -----
    Chapter 04. Assumes points at uniformly random places and very many keys, equally popular. Random points cut a
    ring into arcs like independent exponential numbers divided by their sum. A node owns v arcs, so its share is a
    gamma variable divided by the sum of all. The shares are independent of the sum, so the expected largest share
    follows, exactly, from the expected largest of n gamma variables. With one point each it is the harmonic number of
    n: about ln n times the mean.

    References
    ----------
    Karger, Lehman, Leighton, Panigrahy, Levine, Lewin: Consistent hashing and random trees. STOC 1997. Lamping,
    Veach: A fast, minimal memory, consistent hash algorithm. arXiv:1406.2294, 2014, table 1.
    """
    n = number("nodes", nodes, low=1, high=1e18, whole=True)
    v = number("virtual_nodes", virtual_nodes, low=1, high=1e9, whole=True)
    coverage = number("coverage", coverage, low=0, high=1)
    n, v, coverage = np.broadcast_arrays(n, v, coverage)
    many = np.maximum(n, 2)  # one node has it all; Beta(v, 0) is no distribution
    low = n * special.betaincinv(v, (many - 1) * v, (1 - coverage) / 2)
    high = n * special.betainccinv(v, (many - 1) * v, (1 - coverage) / 2)
    return RingImbalance(
        plain(np.sqrt((n - 1) / (n * v + 1))),
        plain(_largest_gamma(n, v) / v),
        plain(np.where(n == 1, 1.0, low)),
        plain(np.where(n == 1, 1.0, high)),
    )


def _largest_gamma(n: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return the expected largest of n gamma variables: the quantile of the maximum, averaged over its probability.

    With the probability written as exp(−exp(−x)) the integrand is smooth and falls off fast on both sides, where the
    trapezoidal rule is exact to rounding.
    """
    x, step = np.linspace(-6.0, 42.0, 961, retstep=True)
    weight = np.exp(-x - np.exp(-x)) * step
    tail = -np.expm1(-np.exp(-x) / n[..., None])
    return (special.gammainccinv(shape[..., None], tail) * weight).sum(axis=-1)


@dataclass(frozen=True, eq=False)
class PartitionSkew:
    """How unequal the loads of hash partitions are, each relative to the mean load; as `partition_skew` gives it.

    Attributes
    ----------
    deviation : float or array
        Standard deviation of a partition's load.
    at_least : float or array
        What the most loaded partition has at least: the most popular key cannot be divided.
    """

    deviation: Number
    at_least: Number


def partition_skew(popularity: ArrayLike, partitions: ArrayLike) -> PartitionSkew:
    r"""Return how unequally hash partitions are loaded when some keys are asked for more often than others.

    .. math:: \frac{\sigma}{\mu} = \sqrt{(m - 1) \sum_i p_i^2}, \qquad \frac{\max}{\mu} \ge \max(1,\, m \max_i p_i)

    Parameters
    ----------
    popularity : array, shape (keys,)
        p, the share of requests that each key gets (`zipf`); weights, they need not sum to 1.
    partitions : int or array
        m. Each key is on one of them, drawn uniformly by its hash.

    Returns
    -------
    PartitionSkew
        The deviation of the partitions' loads, and what it is made of.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A million keys on 100 partitions: equally popular, and by Zipf's law, where one key alone is 7 % of the load.

    >>> from course.models.caches import zipf
    >>> round(partition_skew(zipf(1_000_000, 0), 100).deviation, 3)
    0.01
    >>> skew = partition_skew(zipf(1_000_000, 1), 100)
    >>> round(skew.deviation, 2), round(skew.at_least, 2)
    (0.89, 6.95)

    Notes
    -----
    Chapter 04. Each key adds p_i to one partition with probability 1 / m; the variances of independent keys add up.
    More virtual nodes or a better hash do not help against it; a copy of the popular keys does. Derived here.
    """
    p = shares(popularity)
    m = number("partitions", partitions, low=1, whole=True)
    return PartitionSkew(plain(np.sqrt((m - 1) * (p**2).sum())), plain(np.maximum(1.0, m * p.max())))


# ---- erasure codes


def erasure_availability(data: ArrayLike, parity: ArrayLike, up_probability: ArrayLike) -> Number:
    r"""Return the probability that at least ``data`` of the data + parity fragments of an object are up.

    .. math:: \sum_{i=k}^{n} \binom{n}{i} A^i (1 - A)^{n-i}, \qquad n = k + m

    Parameters
    ----------
    data, parity : int or array
        k and m of a code of which any k fragments give the object back (Reed–Solomon). Replication is k = 1.
    up_probability : float or array
        A, the probability that the machine of one fragment is up; machines fail independently.

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
    Three copies (200 % more space) are unavailable hardly less often than a 6 + 3 code (50 % more):

    >>> [f"{1 - erasure_availability(data, parity, 0.99):.1e}" for data, parity in ((1, 2), (6, 3))]
    ['1.0e-06', '1.2e-06']

    Notes
    -----
    Chapter 04. The binomial distribution; see `k_of_n`.

    References
    ----------
    Weatherspoon, Kubiatowicz: Erasure coding vs. replication: a quantitative comparison. IPTPS 2002.
    """
    data, parity = _code(data, parity)
    return k_of_n(data, data + parity, number("up_probability", up_probability, low=0, high=1))


def storage_overhead(data: ArrayLike, parity: ArrayLike) -> Number:
    r"""Return the bytes stored for each byte of data: (data + parity) / data.

    .. math:: \frac{k + m}{k}

    Parameters
    ----------
    data, parity : int or array
        k and m, as in `erasure_availability`; N copies are ``storage_overhead(1, N - 1)``.

    Returns
    -------
    float or array
        At least 1, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> storage_overhead(1, 2), storage_overhead(6, 3)
    (3.0, 1.5)

    Notes
    -----
    Chapter 04. What the code saves in space it pays in repair: a lost copy is read from one other copy, a lost fragment
    is computed from ``data`` others. By definition.
    """
    data, parity = _code(data, parity)
    return plain((data + parity) / data)


def _code(data: ArrayLike, parity: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    return (
        number("data", data, low=1, high=MOST_REPLICAS, whole=True),
        number("parity", parity, low=0, high=MOST_REPLICAS, whole=True),
    )
