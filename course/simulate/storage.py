"""`ring`: consistent hashing; `quorum`: how old replicated reads are; `cache`: what a cache hits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, number, one_of, plain, whole
from course.simulate.arguments import Law, draw, last, room

EVICTIONS = ("lru", "fifo", "random", "lfu")
"""What a full cache gives up: the least recently used; the first that came in; anything; the least frequently used
since it came in."""

MOST_POINTS = 2 * 10**7

# ---- consistent hashing


@dataclass(frozen=True, eq=False)
class Ring:
    """A ring of hash values in [0, 1): a key belongs to the node of the first point at or after it, around the end.

    Attributes
    ----------
    position, owner : array, shape (points,)
        Where the points of the nodes lie, in ascending order, and whose they are.
    keys : array, shape (keys,)
        Where the keys lie.
    nodes : int
        How many nodes there are.
    """

    position: np.ndarray
    owner: np.ndarray
    keys: np.ndarray
    nodes: int

    def __repr__(self) -> str:
        # What is there at once: the shares of ten million nodes take a second.
        return f"Ring({self.nodes} nodes, {len(self.position)} points, {len(self.keys)} keys)"

    @cached_property
    def shares(self) -> np.ndarray:
        """The share of the ring, and so of very many keys, that each node owns; shape (nodes,)."""
        arcs = np.diff(self.position, prepend=self.position[-1] - 1)
        return np.bincount(self.owner, weights=arcs, minlength=self.nodes)

    @cached_property
    def loads(self) -> np.ndarray:
        """How many of the keys each node owns; shape (nodes,)."""
        return np.bincount(self.owner_of(self.keys), minlength=self.nodes)

    def owner_of(self, positions: ArrayLike) -> np.ndarray:
        """Return the nodes that own the given hash values in [0, 1)."""
        positions = number("positions", positions, low=0, high=1)
        return self.owner[np.searchsorted(self.position, positions) % len(self.position)]

    def without(self, node: int) -> Ring:
        """Return the ring after a node has left; the others keep their numbers."""
        node = whole("node", node, high=self.nodes - 1)
        stays = self.owner != node
        if not stays.any():
            raise ValueError(f"node is {node}, the last one that has any points; it must not leave")
        return Ring(self.position[stays], self.owner[stays], self.keys, self.nodes)

    def moved(self, other: Ring) -> float:
        """Return the share of the hash values that belong to different nodes here and there."""
        cuts = np.unique(np.concatenate([self.position, other.position]))
        arcs = np.diff(cuts, prepend=cuts[-1] - 1)
        return float(arcs[self.owner_of(cuts) != other.owner_of(cuts)].sum())


def ring(nodes: int, virtual_nodes: ArrayLike = 1, keys: int = 0, *, seed: int = 0) -> Ring:
    """Place nodes on a consistent-hashing ring.

    Parameters
    ----------
    nodes : int
        How many nodes.
    virtual_nodes : int or array of shape (nodes,)
        How many points each node has (2·10⁷ in all, at most); a node of twice the points gets about twice the keys.
    keys : int
        How many keys to place, too.
    seed : int
        Seed of the hash values, which are uniform and independent, as those of a good hash function seem. Where a
        node's points lie depends only on the seed and the numbers of node and point: nodes that join, or get more
        points, do not move those of others.

    Returns
    -------
    Ring

    Raises
    ------
    ValueError
        A number that is not whole, or out of range.

    Examples
    --------
    More points make the shares more even:

    >>> for points in (1, 100):
    ...     print(round(ring(10, points, seed=1).shares.max(), 2))
    0.22
    0.11

    When an eleventh node joins, about 1/11 of the keys move, all of them to it.

    >>> before, after = ring(10, 1000), ring(11, 1000)
    >>> print(f"{before.moved(after):.3f} = {after.shares[10]:.3f}, about {1 / 11:.3f}")
    0.092 = 0.092, about 0.091

    Notes
    -----
    Of n nodes with v points each, a node's share has the law Beta(v, (n − 1) v): mean 1/n, and standard deviation
    √((n − 1) / (n v + 1)) / n. Taught in chapter 04.

    References
    ----------
    Karger, Lehman, Leighton, Panigrahy, Levine, Lewin: Consistent hashing and random trees. STOC 1997.
    Stoica, Morris, Karger, Kaashoek, Balakrishnan: Chord. SIGCOMM 2001 (virtual nodes).
    """
    nodes = whole("nodes", nodes, low=1, high=MOST_POINTS)
    keys = whole("keys", keys, high=10**8)
    points = number("virtual_nodes", virtual_nodes, low=1, high=MOST_POINTS, whole=True)
    if points.shape not in ((), (nodes,)):
        raise ValueError(f"virtual_nodes has shape {points.shape}; allowed: () or ({nodes},)")
    points = np.broadcast_to(points, nodes).astype(np.int64)
    if points.sum() > MOST_POINTS:
        raise ValueError(f"nodes times virtual_nodes is {points.sum()}; it must be at most {MOST_POINTS}")
    # A stream for each, so that the keys stay where they are when nodes join, and the points when keys are added.
    of_points, of_keys = generator(seed).spawn(2)
    owner = np.repeat(np.arange(nodes), points)
    point = np.arange(len(owner)) - np.repeat(np.cumsum(points) - points, points)
    position = _hashed(owner * 2**32 + point, of_points)
    order = np.argsort(position)
    return Ring(position[order], owner[order], of_keys.random(keys), nodes)


def _hashed(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a hash value in [0, 1) of each number, by a hash function that is drawn at random.

    The mixer of Steele, Lea, Flood: Fast splittable pseudorandom number generators. OOPSLA 2014.
    """
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + rng.integers(2**64, size=1, dtype=np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


# ---- replicas


@dataclass(frozen=True, eq=False)
class Quorum:
    """Writes to, and reads from, replicas; arrays of shape (trials,), in seconds.

    Attributes
    ----------
    write_latency : array
        From the start of a write until enough replicas have acknowledged it (its commit).
    read_latency : array
        From the start of a read until enough replicas have answered.
    window : array
        So long after the commit a read must start to see the write: one that starts earlier is stale.
    """

    write_latency: np.ndarray
    read_latency: np.ndarray
    window: np.ndarray

    def __repr__(self) -> str:
        return f"Quorum({len(self.window)} trials, {self.stale(0.0):.2%} stale right after the commit)"

    def stale(self, after: ArrayLike) -> float | np.ndarray:
        """Return the share of reads, started so many seconds after the commit, that do not see the write."""
        after = number("after", after, low=0)
        return plain(1 - np.searchsorted(np.sort(self.window), after, side="right") / len(self.window))


def quorum(
    replicas: int,
    read: int,
    write: int,
    *,
    send_write: Law,
    acknowledge: Law,
    send_read: Law,
    respond: Law,
    trials: int = 100_000,
    seed: int = 0,
) -> Quorum:
    """Simulate writes that spread to replicas while the value is read: how often is a read stale, how long is each?

    Parameters
    ----------
    replicas : int
        How many replicas (N); writes and reads go to all of them.
    read, write : int
        How many must answer a read (R) and acknowledge a write (W).
    send_write, acknowledge, send_read, respond : float or callable
        Seconds of the four messages: to a replica with the write, and back; to a replica with the read, and back. A
        number, or a function ``(rng, n) -> array`` that draws n of them (replicas of a trial next to each other).
    trials : int
        How many independent pairs of a write and a read.
    seed : int
        Seed of the draws.

    Returns
    -------
    Quorum

    Raises
    ------
    ValueError
        Quorums that are larger than the number of replicas; negative, infinite or NaN times; too many trials.

    Examples
    --------
    Three replicas, of which one must acknowledge and one must answer, while writes take 10 ms and the rest 1 ms, on
    average:

    >>> def slow(rng, n): return rng.exponential(0.010, n)
    >>> def fast(rng, n): return rng.exponential(0.001, n)
    >>> result = quorum(3, 1, 1, send_write=slow, acknowledge=fast, send_read=fast, respond=fast)
    >>> result.stale([0.0, 0.010, 0.050]).round(2)
    array([0.58, 0.21, 0.  ])
    >>> quorum(3, 2, 2, send_write=slow, acknowledge=fast, send_read=fast, respond=fast).stale(0.0)
    0.0

    Notes
    -----
    The WARS model: replica i has the write W_i after its start and acknowledges it A_i later; the write commits with
    the W-th acknowledgement. A read that starts t after the commit reaches replica i after R_i, whose answer is there
    S_i later. It is stale if none of the R replicas that answer first had the write when the read reached it:
    commit + t + R_i < W_i. No replica fails, and nothing but the write itself spreads it. Taught in chapter 04.

    References
    ----------
    Bailis, Venkataraman, Franklin, Hellerstein, Stoica: Probabilistically bounded staleness for practical partial
    quorums. PVLDB 5(8), 2012, section 4.1.
    """
    replicas = whole("replicas", replicas, low=1, high=1000)
    read, write = whole("read", read, low=1, high=replicas), whole("write", write, low=1, high=replicas)
    trials = whole("trials", trials, low=1)
    room("trials times replicas", trials * replicas, MOST_POINTS)
    rng = generator(seed)
    laws = {"send_write": send_write, "acknowledge": acknowledge, "send_read": send_read, "respond": respond}
    there, back, ask, answer = (
        draw(name, law, rng, trials * replicas).reshape(trials, replicas) for name, law in laws.items()
    )
    with np.errstate(over="ignore"):
        last("the time of the four messages", np.array([sum(times.max() for times in (there, back, ask, answer))]))
    commit = np.partition(there + back, write - 1)[:, write - 1]
    first = np.argpartition(ask + answer, read - 1)[:, :read]
    read_latency = np.take_along_axis(ask + answer, first, axis=1).max(axis=1)
    # Each of the first to answer would have had the write at this time after the commit; the read needs one of them.
    window = np.take_along_axis(there - ask, first, axis=1).min(axis=1) - commit
    return Quorum(commit, read_latency, window)


# ---- caches


def stream(popularity: ArrayLike, requests: int, *, seed: int = 0) -> np.ndarray:
    """Draw a stream of requests, each for an item by its popularity, independent of all others.

    Parameters
    ----------
    popularity : array, shape (items,)
        How often each item is asked for, in any unit.
    requests : int
        How many requests, at most 10⁸.
    seed : int
        Seed of the draws.

    Returns
    -------
    array of int, shape (requests,)
        The number of an item for each request.

    Raises
    ------
    ValueError
        Popularities that are negative, infinite or NaN, or none above 0; a number of requests out of range.

    Examples
    --------
    >>> asked = stream([8, 1, 1], 100_000)
    >>> print((asked == 0).mean().round(2))
    0.8

    Notes
    -----
    Known as the independent reference model. Taught in chapter 04. Coffman, Denning: Operating Systems Theory.
    Prentice-Hall 1973.
    """
    weights = number("popularity", popularity, low=0)
    if weights.ndim != 1 or not weights.max(initial=0) > 0:
        raise ValueError(f"popularity has shape {weights.shape}; it must be (items,), with at least one above 0")
    requests = whole("requests", requests, high=10**8)
    bounds = np.cumsum(weights / weights.max())
    drawn = generator(seed).random(requests) * bounds[-1]
    # Not past the last item that is asked for at all, to where rounding could lead.
    return np.minimum(np.searchsorted(bounds, drawn, side="right"), np.flatnonzero(weights)[-1])


def zipf_stream(items: int, exponent: float, requests: int, *, seed: int = 0) -> np.ndarray:
    """Draw a stream of requests whose popularity follows Zipf's law: item k, counted from 0, as (k + 1)^−exponent.

    Parameters
    ----------
    items : int
        How many items, at most 10⁷.
    exponent : float
        At least 0, where all are alike; 0.6 to 1.2 are usual.
    requests, seed : int
        As for `stream`.

    Returns
    -------
    array of int, shape (requests,)

    Raises
    ------
    ValueError
        A number out of range.

    Examples
    --------
    The second item is asked for half as often as the first, the third a third as often:

    >>> import numpy as np
    >>> often = np.bincount(zipf_stream(1000, 1.0, 1_000_000))
    >>> (often[:3] / often[0]).round(2)
    array([1.  , 0.5 , 0.33])

    Notes
    -----
    Taught in chapter 04. Breslau, Cao, Fan, Phillips, Shenker: Web caching and Zipf-like distributions. INFOCOM 1999.
    """
    items = whole("items", items, low=1, high=10**7)
    exponent = number("exponent", exponent, low=0, high=100)
    if exponent.ndim:
        raise ValueError(f"exponent has shape {exponent.shape}; it must be a single number")
    return stream(np.arange(1.0, items + 1) ** -exponent, requests, seed=seed)


def cache(requests: ArrayLike, capacity: int, policy: str = "lru", *, seed: int = 0) -> np.ndarray:
    """Simulate a cache of items of one size: which requests find their item in it?

    Parameters
    ----------
    requests : array of int, shape (n,)
        The item that is asked for, for each request.
    capacity : int
        How many items there is room for. The cache is empty at first.
    policy : str
        One of `EVICTIONS`: what a full cache gives up for an item that it does not have.
    seed : int
        Seed of the policy "random".

    Returns
    -------
    array of bool, shape (n,)
        Whether each request was a hit; its mean is the hit ratio.

    Raises
    ------
    ValueError
        Requests that are not whole numbers; a negative capacity; an unknown policy.

    Examples
    --------
    >>> cache([1, 2, 1, 3, 2], capacity=2)
    array([False, False,  True, False, False])
    >>> from course.simulate.storage import EVICTIONS
    >>> asked = zipf_stream(10_000, 0.9, 100_000)
    >>> for policy in EVICTIONS:
    ...     print(policy, round(cache(asked, 500, policy).mean(), 2))
    lru 0.46
    fifo 0.41
    random 0.41
    lfu 0.54

    Notes
    -----
    Every item that is asked for comes in. Each policy takes constant time a request: linked lists in arrays. Taught in
    chapter 04. Mattson, Gecsei, Slutz, Traiger: Evaluation techniques for storage hierarchies. IBM Systems Journal
    9(2), 1970 (the policies).
    """
    from course.simulate import storage_kernels as kernels

    asked, items = _items(requests)
    capacity = min(whole("capacity", capacity), items)
    one_of("policy", policy, EVICTIONS)
    # Not the very numbers that `stream` draws with the same seed: evictions must not depend on what is asked for.
    rng = generator(seed).spawn(1)[0]
    if not capacity:
        return np.zeros(len(asked), dtype=bool)
    if policy == "lru":
        return kernels.lru(asked, items, capacity)
    if policy == "lfu":
        return kernels.lfu(asked, items, capacity)
    return kernels.replace(asked, items, capacity, rng.random(len(asked) if policy == "random" else 0))


def _items(requests: ArrayLike) -> tuple[np.ndarray, int]:
    """Return the requests as numbers from 0, and how many different numbers there may be."""
    try:
        asked = np.asarray(requests)
    except ValueError:
        raise ValueError(f"requests is {requests!r:.80}; it must be an array of whole numbers") from None
    if asked.ndim != 1 or (len(asked) and asked.dtype.kind not in "iu"):
        raise ValueError(f"requests has shape {asked.shape} and type {asked.dtype}; it must be (n,), of whole numbers")
    if not len(asked):
        return np.zeros(0, dtype=np.int64), 0
    low, high = int(asked.min()), int(asked.max())
    if low >= 0 and high < 4 * len(asked) + 1000:
        return asked.astype(np.int64), high + 1
    known, numbered = np.unique(asked, return_inverse=True)
    return numbered.astype(np.int64), len(known)
