"""Caches: popular items, the share of requests that a cache answers, a miss's cost. Taught in chapters 04 and 24."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from course.domain import number, plain, whole

Number = float | np.ndarray


def zipf(items: int, exponent: float) -> np.ndarray:
    r"""Return the popularity of items by Zipf's law, the most popular first; it sums to 1. Shape (items,).

    .. math:: p_i = i^{-z} \Big/ \sum_{j=1}^{n} j^{-z}

    Parameters
    ----------
    items : int
        n, 1 to 10 million.
    exponent : float
        z ≥ 0. With 0 all are equally popular; web requests have about 0.6 to 0.9, words of a text about 1.

    Returns
    -------
    array, shape (items,)
        Shares of the requests, in descending order.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> zipf(4, 1.0)
    array([0.48, 0.24, 0.16, 0.12])

    Notes
    -----
    Chapters 04 and 09.

    References
    ----------
    Breslau, Cao, Fan, Phillips, Shenker: Web caching and Zipf-like distributions: evidence and implications.
    INFOCOM 1999.
    """
    items = whole("items", items, low=1, high=10_000_000)
    exponent = number("exponent", exponent, low=0)
    if exponent.ndim:
        raise ValueError(f"exponent has shape {exponent.shape}; it must be a single number")
    with np.errstate(over="ignore", under="ignore"):
        weight = np.exp(-exponent * np.log(np.arange(1, items + 1)))
    return weight / weight.sum()


def shares(popularity: ArrayLike) -> np.ndarray:
    """Return the shares of the items that are asked for at all, so that they sum to 1, or raise `ValueError`.

    Examples
    --------
    >>> shares([3, 0, 1])
    array([0.75, 0.25])
    """
    p = number("popularity", popularity, low=0)
    if p.ndim != 1 or p.size == 0:
        raise ValueError(f"popularity has shape {p.shape}; it must be a list of at least one number")
    if p.max() == 0:
        raise ValueError("popularity is all 0; at least one item must be asked for")
    p = p / p.max()  # so that the sum cannot overflow
    p = p[p > 0]
    return p / p.sum()


def lru_hit_ratio(popularity: ArrayLike, capacity: ArrayLike) -> Number:
    r"""Return the share of requests that a least-recently-used cache answers (Che's approximation).

    .. math:: h = \sum_i p_i \left(1 - e^{-p_i T}\right), \qquad T: \; \sum_i \left(1 - e^{-p_i T}\right) = C

    Parameters
    ----------
    popularity : array, shape (items,)
        p, the share of requests for each item (`zipf`); weights, they need not sum to 1.
    capacity : float or array
        C, items that fit into the cache. All items are equally large.

    Returns
    -------
    float or array
        In [0, 1], of the shape of ``capacity``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A cache for 1 % of a million items, popular by Zipf's law, answers more than half of the requests:

    >>> round(lru_hit_ratio(zipf(1_000_000, 1.0), 10_000), 2)
    0.59

    Notes
    -----
    Chapter 04. T is the time that an item stays without being asked for, in requests; it varies little when the cache
    is large, and is taken as fixed. Requests are independent of each other (independent reference model). Within 1 or
    2 % also for small caches; `lru_hit_ratio_exact` is exact.

    References
    ----------
    Che, Tung, Wang: Hierarchical web caching systems: modeling, design and experimental results. IEEE JSAC 20(7),
    2002. Fricker, Robert, Roberts: A versatile and accurate approximation for LRU cache performance. ITC 24, 2012.
    """
    return _hit_ratio(popularity, capacity, _seen_within)


def fifo_hit_ratio(popularity: ArrayLike, capacity: ArrayLike) -> Number:
    r"""Return the share of requests that a cache answers which evicts the oldest, or a random, item (approximation).

    .. math:: h = \sum_i p_i \frac{p_i T}{1 + p_i T}, \qquad T: \; \sum_i \frac{p_i T}{1 + p_i T} = C

    Parameters
    ----------
    popularity : array, shape (items,)
        As in `lru_hit_ratio`.
    capacity : float or array
        C, items that fit into the cache.

    Returns
    -------
    float or array
        In [0, 1], of the shape of ``capacity``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    LRU keeps the popular items better than FIFO does:

    >>> popularity = zipf(10_000, 0.8)
    >>> round(fifo_hit_ratio(popularity, 1000), 2), round(lru_hit_ratio(popularity, 1000), 2)
    (0.39, 0.44)

    Notes
    -----
    Chapter 04. FIFO and RANDOM have the same hit ratio under independent requests (Gelenbe 1973). T is the mean time
    that an item stays in the cache, in requests: fixed under FIFO, exponential under RANDOM; an item is there for T of
    each T + 1 / p_i.

    References
    ----------
    Gelenbe: A unified approach to the evaluation of a class of replacement algorithms. IEEE Transactions on Computers
    C-22(6), 1973. Martina, Garetto, Leonardi: A unified approach to the performance analysis of caching systems.
    INFOCOM 2014.
    """
    return _hit_ratio(popularity, capacity, special.expit)


def _seen_within(log_requests: np.ndarray) -> np.ndarray:
    """Return the probability that an item is asked for at all, by the logarithm of the expected number of times."""
    with np.errstate(over="ignore"):
        return -np.expm1(-np.exp(log_requests))


def _hit_ratio(popularity: ArrayLike, capacity: ArrayLike, present: Callable[[np.ndarray], np.ndarray]) -> Number:
    """Return the hit ratio of each capacity; ``present`` gives an item's probability to be cached from ln(p T)."""
    p = shares(popularity)
    capacity = number("capacity", capacity, low=0)
    ratios = [_hit_ratio_of_one(p, c, present) for c in capacity.flat]
    return plain(np.reshape(ratios, capacity.shape))


def _hit_ratio_of_one(p: np.ndarray, capacity: float, present: Callable[[np.ndarray], np.ndarray]) -> float:
    if capacity == 0 or capacity >= p.size:
        return float(capacity > 0)
    cached = present(np.log(p) + _log_time(np.log(p), capacity, present))
    return float(min((p * cached).sum(), 1.0))


def _log_time(log_p: np.ndarray, capacity: float, present: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return ln T at which ``capacity`` items are expected in the cache; in logarithms because T spans decades."""

    def excess(log_time: float) -> float:
        return present(log_p + log_time).sum() - capacity

    low = high = np.log(capacity)  # an item is cached with a probability of at most p T, so T is at least C
    highest = 40 - log_p.min()  # there every item is cached, up to rounding
    while excess(high) <= 0:
        if high > highest:
            return high
        low, high = high, high + 2
    while excess(low) > 0:  # by rounding only
        low -= 1e-9
    return optimize.brentq(excess, low, high, xtol=1e-13)


# What 2ⁿ sets, and n steps of a loop in Python, allow in about a tenth of a second.
MOST_ITEMS_LRU, MOST_ITEMS_FIFO = 16, 20_000


def lru_hit_ratio_exact(popularity: ArrayLike, capacity: int) -> float:
    r"""Return the exact hit ratio of a least-recently-used cache, for catalogues of at most 16 items.

    .. math:: h = \sum_{(i_1 \ldots i_C)} \left( \prod_{k=1}^{C} \frac{p_{i_k}}{1 - p_{i_1} - \ldots - p_{i_{k-1}}}
              \right) \left(p_{i_1} + \ldots + p_{i_C}\right)

    Parameters
    ----------
    popularity : array, shape (items,)
        As in `lru_hit_ratio`.
    capacity : int
        C, items that fit into the cache.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        An argument outside its domain; more than 16 items.

    Examples
    --------
    >>> round(lru_hit_ratio_exact(zipf(6, 1.0), 2), 4), round(lru_hit_ratio(zipf(6, 1.0), 2), 4)
    (0.4605, 0.4519)

    Notes
    -----
    Chapter 04. The cache holds the last C different items; backwards in time, they are drawn without replacement. The
    sum over the orders is carried along set by set, which takes 2ⁿ steps and not n!. Assumes independent requests.

    References
    ----------
    King: Analysis of demand paging algorithms. IFIP Congress 1971.
    """
    p = shares(popularity)
    capacity = _small(p, capacity, MOST_ITEMS_LRU)
    if capacity == 0 or capacity >= p.size:
        return float(capacity > 0)
    sets = np.arange(2**p.size)
    members = sets[:, None] >> np.arange(p.size) & 1
    inside, outside = members @ p, (1 - members) @ p  # each summed on its own: 1 − inside loses digits
    size = members.sum(axis=1)
    probability = np.zeros(2**p.size)  # that the last `size` different items are this set
    probability[0] = 1.0
    for drawn in range(capacity):
        before = sets[size == drawn]
        for item in range(p.size):
            without = before[members[before, item] == 0]
            # Sets that differ stay different when the same item joins them: no entry is written twice at once.
            probability[without | 1 << item] += probability[without] * p[item] / outside[without]
    return float(min((probability * inside)[size == capacity].sum(), 1.0))


def fifo_hit_ratio_exact(popularity: ArrayLike, capacity: int) -> float:
    r"""Return the exact hit ratio of a cache with FIFO or RANDOM eviction, for at most 20,000 items.

    .. math:: P(\text{cached set } I) = \prod_{i \in I} p_i \Big/ e_C(p), \qquad
              h = 1 - \frac{(C + 1) \, e_{C+1}(p)}{e_C(p)}

    Parameters
    ----------
    popularity : array, shape (items,)
        As in `lru_hit_ratio`.
    capacity : int
        C, items that fit into the cache.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        An argument outside its domain; more than 20,000 items.

    Examples
    --------
    >>> round(fifo_hit_ratio_exact(zipf(6, 1.0), 2), 4), round(fifo_hit_ratio(zipf(6, 1.0), 2), 4)
    (0.4458, 0.4262)

    Notes
    -----
    Chapter 04. e_C is the elementary symmetric polynomial: the sum of the products over all sets of C items. A miss is
    a cached set and an item outside it, which counts each set of C + 1 items once for each of its members. Assumes
    independent requests.

    References
    ----------
    King: Analysis of demand paging algorithms. IFIP Congress 1971. Gelenbe: A unified approach to the evaluation of a
    class of replacement algorithms. IEEE Transactions on Computers C-22(6), 1973.
    """
    p = shares(popularity)
    capacity = _small(p, capacity, MOST_ITEMS_FIFO)
    if capacity == 0 or capacity >= p.size:
        return float(capacity > 0)
    # e_C(pT) / prod(1 + pT) is the probability that C of independent items are present, item i with probability
    # pT / (1 + pT). With the T of the approximation C is their mean, so that nothing underflows.
    log_time = _log_time(np.log(p), capacity, special.expit)
    count = np.zeros(capacity + 2)
    count[0] = 1.0
    for present in special.expit(np.log(p) + log_time):
        count[1:] = count[1:] * (1 - present) + count[:-1] * present
        count[0] *= 1 - present
    miss = (capacity + 1) * np.exp(-log_time) * count[capacity + 1] / count[capacity]
    return float(np.clip(1 - miss, 0.0, 1.0))


def _small(p: np.ndarray, capacity: int, most: int) -> int:
    if p.size > most:
        raise ValueError(f"popularity has {p.size} items; at most {most} can be computed exactly")
    return whole("capacity", capacity, low=0)


# ---- What is warm, and what is far


def cold_start_probability(rate: ArrayLike, keep: ArrayLike) -> Number:
    r"""Return the share of calls that find no warm instance of their function.

    .. math:: P(\text{cold}) = e^{-\lambda T}

    Parameters
    ----------
    rate : float or array
        λ, calls a second, at random (Poisson).
    keep : float or array
        T, seconds for which an instance is kept after a call.

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
    A function that is called every ten minutes, kept for ten minutes, is cold at more than a third of its calls.

    >>> round(cold_start_probability(1 / 600, 600), 3)
    0.368

    Notes
    -----
    A call is cold if the gap before it is longer than T. The instance idles for min(gap, T), on average (1 − P) / λ:
    each cold start that is avoided costs 1/λ idle seconds, whatever T. It is the miss ratio of a cache whose entries
    live T seconds after each use; the idle time is derived here. One call at a time: two at once need two instances.
    Chapter 24.

    References
    ----------
    Shahrad et al.: Serverless in the wild: characterizing and optimizing the serverless workload at a large cloud
    provider. USENIX ATC 2020. Fuerst, Sharma: FaasCache: keeping serverless computing alive with greedy-dual caching.
    ASPLOS 2021, pp. 386–400.
    """
    rate, keep = number("rate", rate, low=0, high=1e30), number("keep", keep, low=0, high=1e30)
    with np.errstate(under="ignore"):
        return plain(np.exp(-rate * keep))


def far_memory_slowdown(stalled: ArrayLike, far: ArrayLike, latency_ratio: ArrayLike) -> Number:
    r"""Return how many times as long a program takes when a part of its memory is far away.

    .. math:: 1 + u \, q \, (r - 1)

    Parameters
    ----------
    stalled : float or array
        u in [0, 1]: the share of its time in which it waits for memory, when all is near.
    far : float or array
        q in [0, 1]: the share of these accesses that go to the far memory (one minus a hit ratio).
    latency_ratio : float or array
        r > 0, latency of the far memory over that of the near.

    Returns
    -------
    float or array
        Of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(far_memory_slowdown(0.3, 0.2, 2.5), 3)
    1.09

    Notes
    -----
    Derived here; waits that overlap with each other or with computing make it less, a full link to the far memory makes
    it more. Chapter 24.
    """
    stalled, far = number("stalled", stalled, low=0, high=1), number("far", far, low=0, high=1)
    ratio = number("latency_ratio", latency_ratio, above=0, high=1e30)
    return plain(1 + stalled * far * (ratio - 1))
