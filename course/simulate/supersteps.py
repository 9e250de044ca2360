"""`supersteps`: workers who wait for each other after every step; `mapreduce`: reducers of unequal load."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from course.domain import generator, scalar, whole
from course.simulate.arguments import room
from course.simulate.distributions import random_times

PARTITIONS = ("hash", "range", "greedy")
"""Any reducer for each key; as many keys for each, in order of their numbers (real range partitions sample the data
for cuts that give each as many records); the largest key to the reducer that has the least so far (which takes knowing
the sizes)."""

TOGETHER = 10**5
"""From so many mappers on, `mapreduce` with a combiner draws together those that are alike."""

NEVER = 1e-18
"""A probability that is taken as 0: less than the rounding of 1 to a float."""


@dataclass(frozen=True, eq=False)
class Supersteps:
    """A computation in steps, after each of which all wait for the last.

    Attributes
    ----------
    work : array, shape (steps, workers)
        Seconds that each worker works in each step.
    barrier : float
        Seconds that the barrier itself takes after each step.
    """

    work: np.ndarray
    barrier: float

    def __repr__(self) -> str:
        steps, workers = self.work.shape
        return f"Supersteps({steps} steps, {workers} workers, {self.makespan:.4g} s, efficiency {self.efficiency:.1%})"

    @cached_property
    def step(self) -> np.ndarray:
        """Seconds that each step takes, with its barrier; shape (steps,)."""
        return self.work.max(axis=1) + self.barrier

    @property
    def makespan(self) -> float:
        """Seconds until all steps are done."""
        return float(self.step.sum())

    @cached_property
    def waiting(self) -> np.ndarray:
        """Seconds that each worker waits in each step, for others and at the barrier; shape (steps, workers)."""
        return self.step[:, np.newaxis] - self.work

    @property
    def efficiency(self) -> float:
        """The share of the workers' time that is work."""
        whole = self.work.shape[1] * self.makespan
        return float(min(self.work.sum() / whole, 1.0)) if whole else 1.0  # not 1.0000000000000002

    @property
    def without_barriers(self) -> float:
        """Seconds until all are done if nobody waits for anybody: the worker with the most work."""
        return float(self.work.sum(axis=0).max())

    def finish_times(self, slack: int = 0) -> np.ndarray:
        r"""Return when each worker ends each step, if the fastest may be some steps ahead of the slowest.

        .. math:: C_{k,i} = \max\left(C_{k-1,i}, \; \max_j C_{k-1-s,j}\right) + p_{k,i}

        Parameters
        ----------
        slack : int
            s, the steps that a worker may be ahead: 0 is a barrier after every step, and one less than there are steps,
            or more, none at all.

        Returns
        -------
        array, shape (steps, workers)
            Seconds since the start. The last of all is the makespan.

        Raises
        ------
        ValueError
            If ``slack`` is no whole number, or negative.

        Examples
        --------
        Two workers, three steps; each is slow once. With a barrier both wait, with a step of slack neither does.

        >>> run = Supersteps(np.array([[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]]), barrier=0.0)
        >>> [float(run.finish_times(slack)[-1].max()) for slack in (0, 1, 2)]
        [7.0, 5.0, 5.0]

        Notes
        -----
        The time of the barrier itself is not in it: it is added once a step where nobody may be ahead
        (`makespan`), and where some may be, nobody waits for it. Taught in chapter 03.

        References
        ----------
        Ho, Cipar, Cui, Kim, Lee, Gibbons, Gibson, Ganger, Xing: More effective distributed ML via a stale synchronous
        parallel parameter server. NIPS 2013.
        """
        slack = whole("slack", slack, low=0)
        finish = np.zeros(self.work.shape)
        before = np.zeros(self.work.shape[1])
        for step, seconds in enumerate(self.work):
            if step > slack:
                before = np.maximum(before, finish[step - 1 - slack].max())
            finish[step] = before = before + seconds
        return finish


def supersteps(
    workers: int,
    steps: int = 1000,
    mean: float = 1.0,
    scv: float | None = None,
    distribution: str | None = None,
    *,
    slow_share: float = 0.0,
    slowdown: float = 1.0,
    barrier: float = 0.0,
    seed: int = 0,
) -> Supersteps:
    r"""Simulate a bulk-synchronous computation with work of random length, and stragglers.

    Parameters
    ----------
    workers, steps : int
        How many of each; at most 5·10⁷ pieces of work in all.
    mean, scv, distribution
        Of the seconds of work of one worker in one step, as for `random_times`.
    slow_share : float
        Probability that a worker is a straggler in a step, independently of the others and of other steps.
    slowdown : float
        How many times as long a straggler takes, at least 1.
    barrier : float
        Seconds that the barrier takes after each step.
    seed : int
        Seed of the draws.

    Returns
    -------
    Supersteps

    Raises
    ------
    ValueError
        Numbers out of range; an unknown distribution.

    Examples
    --------
    A step of a hundred workers whose work varies takes five times as long as the average work:

    >>> result = supersteps(100, mean=1.0, scv=1.0)
    >>> print(f"{result.step.mean():.1f} s a step, efficiency {result.efficiency:.2f}")
    5.2 s a step, efficiency 0.19

    Without variation, one straggler in a thousand is enough to slow down a tenth of the steps:

    >>> result = supersteps(100, scv=0.0, slow_share=0.001, slowdown=10)
    >>> print(f"{(result.step > 1).mean():.1f}")
    0.1

    Notes
    -----
    The time of a step is the largest of n times; of exponential ones it is, on average,

    .. math:: m H_n = m \left(1 + \tfrac{1}{2} + \dots + \tfrac{1}{n}\right)

    Taught in chapter 03.

    References
    ----------
    Valiant: A bridging model for parallel computation. CACM 33(8), 1990.
    """
    workers, steps = whole("workers", workers, low=1), whole("steps", steps, low=1)
    room("workers times steps", workers * steps)
    share, slowdown, barrier = (
        scalar("slow_share", slow_share, low=0, high=1),
        scalar("slowdown", slowdown, low=1, high=1e100),
        scalar("barrier", barrier, low=0, high=1e100),
    )
    work = random_times(steps * workers, mean, scv, distribution, seed=seed).reshape(steps, workers)
    if share:
        # Other numbers than those that the times are drawn from with the same seed.
        work[generator(seed).spawn(1)[0].random(work.shape) < share] *= slowdown
    return Supersteps(work, barrier)


@dataclass(frozen=True, eq=False)
class MapReduce:
    """What a MapReduce job gives to each reducer, and how long it takes.

    Attributes
    ----------
    loads : array of int, shape (reducers,)
        Records that each reducer gets.
    largest_key : int
        Records of the most frequent key, which no partition can divide.
    map_time, reduce_time : float
        Seconds of the two phases; the second begins when the first has ended.
    """

    loads: np.ndarray
    largest_key: int
    map_time: float
    reduce_time: float

    def __repr__(self) -> str:
        return f"MapReduce({len(self.loads)} reducers, skew {self.skew:.3g}, {self.makespan:.4g} s)"

    @property
    def makespan(self) -> float:
        """Seconds of both phases."""
        return self.map_time + self.reduce_time

    @property
    def skew(self) -> float:
        """The load of the fullest reducer, in means of all."""
        return float(self.loads.max() / self.loads.mean()) if self.loads.any() else 1.0


def mapreduce(
    records: int,
    keys: int,
    reducers: int,
    mappers: int | None = None,
    *,
    exponent: float = 1.0,
    partition: str = "hash",
    combine: bool = False,
    map_cost: float = 1e-6,
    reduce_cost: float = 1e-6,
    seed: int = 0,
) -> MapReduce:
    """Simulate a MapReduce job whose keys are not equally frequent.

    Parameters
    ----------
    records : int
        How many records are mapped, at most 10¹⁸; each gives one record for the reducers.
    keys : int
        How many different keys there are, at most 10⁷ (10⁸ keys times mappers, with `combine`).
    reducers : int
        How many reducers, at most 10⁷.
    mappers : int, optional
        How many mappers share the records evenly, at most 10⁶; by default as many as reducers.
    exponent : float
        The frequency of key k, counted from 0, is as (k + 1)^−exponent (Zipf's law; 0: all alike).
    partition : str
        Which reducer gets a key; one of `PARTITIONS`.
    combine : bool
        Whether each mapper first makes one record of all that it has of a key. From 10⁵ mappers on, those that are
        alike are drawn together: the same distribution, but not the same draws, as one by one.
    map_cost, reduce_cost : float
        Seconds for a record, at a mapper and at a reducer.
    seed : int
        Seed of the records' keys and of the hash.

    Returns
    -------
    MapReduce

    Raises
    ------
    ValueError
        Numbers out of range; an unknown partition.

    Examples
    --------
    The reducer of the most frequent key has five times the mean load, however the others are placed; a combiner helps.

    >>> for options in ({"partition": "hash"}, {"partition": "greedy"}, {"combine": True}):
    ...     print(options, round(mapreduce(10**6, 10_000, 50, exponent=1.0, **options).skew, 1))
    {'partition': 'hash'} 8.9
    {'partition': 'greedy'} 5.1
    {'combine': True} 1.2

    Notes
    -----
    Taught in chapter 03.

    References
    ----------
    Dean, Ghemawat: MapReduce: simplified data processing on large clusters. OSDI 2004 (combiners: section 4.3).
    Kwon, Balazinska, Howe, Rolia: SkewTune: mitigating skew in MapReduce applications. SIGMOD 2012.
    """
    records = whole("records", records, high=10**18)
    keys, reducers = whole("keys", keys, low=1, high=10**7), whole("reducers", reducers, low=1, high=10**7)
    mappers = min(reducers, 10**6) if mappers is None else whole("mappers", mappers, low=1, high=10**6)
    exponent = scalar("exponent", exponent, low=0, high=100)
    costs = [
        scalar(name, cost, low=0, high=1e100) for name, cost in (("map_cost", map_cost), ("reduce_cost", reduce_cost))
    ]
    if partition not in PARTITIONS:
        raise ValueError(f"partition is {partition!r}; it must be one of {', '.join(PARTITIONS)}")
    of_keys, of_hash = generator(seed).spawn(2)
    frequency = np.arange(1.0, keys + 1) ** -exponent
    frequency /= frequency.sum()
    most = -(-records // mappers)  # of the mappers, some may have one less
    if combine:
        room("keys times mappers, with combine,", keys * mappers, 10**8)
        draw = _mappers_of_each_key if mappers < TOGETHER else _mappers_drawn_together
        counts = draw(records, mappers, frequency, of_keys)
    else:
        counts = of_keys.multinomial(records, frequency)
    loads = np.zeros(reducers, dtype=np.int64)
    np.add.at(loads, _reducer_of(counts, reducers, partition, of_hash), counts)
    return MapReduce(loads, int(counts.max()), most * costs[0], float(loads.max() * costs[1]))


def _mappers_of_each_key(records: int, mappers: int, frequency: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how many of the mappers have each key, from the records of every mapper."""
    shares = np.full(mappers, records // mappers)
    shares[: records % mappers] += 1
    counts = np.zeros(len(frequency), dtype=np.int64)
    rows = max(1, 10**5 // len(frequency))  # of so many mappers at once, to keep little in memory
    for i in range(0, mappers, rows):
        counts += np.count_nonzero(rng.multinomial(shares[i : i + rows], frequency), axis=0)
    return counts


def _mappers_drawn_together(records: int, mappers: int, frequency: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the same, of the same distribution, without a draw for every mapper and key.

    A multinomial is drawn key by key: of the records that a mapper has left, a binomial number has the next key. All
    mappers with equally many left are alike, so that one draw says how many of them have 0, 1, 2, … of it. Keys that
    every mapper has, but with a probability that is lost in rounding, need no draw.
    """
    from scipy.stats import binom

    counts = np.where(frequency > 0, mappers, 0)  # of some, the frequency is less than the smallest float
    share, more = divmod(records, mappers)
    left, alike = np.array([share, share + 1]), np.array([mappers - more, more])
    drawn = np.flatnonzero((frequency > 0) & (mappers * (1 - frequency) ** share > NEVER))
    # Of the records that have none of the keys before it, those that have it; 1 for the last if all are drawn.
    rest = np.append(frequency[drawn], np.delete(frequency, drawn).sum())[::-1].cumsum()[::-1][:-1]
    for key, probability in zip(drawn, frequency[drawn] / rest, strict=True):
        # Bernstein: P(more than the mean + t) <= exp(−t² / 2 (mean + t / 3)), which is NEVER for this t.
        mean, third = left[-1] * probability, -np.log(NEVER) / 3
        t = third + np.sqrt(third**2 + 6 * third * mean)
        of_it = np.arange(min(left[-1], np.ceil(mean + t)) + 1, dtype=np.int64)
        chances = binom.pmf(of_it, left[:, np.newaxis], probability)
        split = rng.multinomial(alike, chances / chances.sum(axis=1, keepdims=True))
        counts[key] = split[:, 1:].sum()
        after = left[:, np.newaxis] - of_it
        some = split > 0
        left, place = np.unique(after[some], return_inverse=True)
        alike = np.bincount(place, split[some]).astype(np.int64)
    return counts


def _reducer_of(counts: np.ndarray, reducers: int, partition: str, rng: np.random.Generator) -> np.ndarray:
    keys = len(counts)
    if partition == "hash":
        return rng.integers(reducers, size=keys)
    if partition == "range":
        return np.arange(keys) * reducers // keys
    from course.graph import independent
    from course.simulate.runs import run

    # Longest first, each to whoever is free first: list scheduling of the keys as tasks.
    return run(independent(keys, counts.astype(float)), reducers, "lpt").worker
