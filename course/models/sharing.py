"""Who gets how much of what all want: fair shares, admission, locality, overload. Taught in chapters 06 and 09."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import UnstableError, number, plain, scalar
from course.models.quantity import amount, count, positive

Number = float | np.ndarray


# ---- fair shares


def max_min_fair(capacity: float, demands: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    r"""Return what each user gets of one resource by max-min fairness.

    .. math:: x_i = \min(d_i, \, w_i t), \qquad t \text{ such that } \sum_i x_i = \min\left(C, \sum_i d_i\right)

    Parameters
    ----------
    capacity : float
        C, of the resource.
    demands : array, shape (users,)
        d, what each wants at most.
    weights : array, shape (users,), optional
        w > 0; all alike if left out.

    Returns
    -------
    array, shape (users,)

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Who wants little gets it; the others share the rest alike, or by weight.

    >>> max_min_fair(10, [2, 2.6, 4, 5]).round(6)
    array([2. , 2.6, 2.7, 2.7])
    >>> max_min_fair(16, [4, 2, 10, 4], weights=[2.5, 4, 0.5, 1]).round(6)
    array([4., 2., 6., 4.])

    Notes
    -----
    Nobody can get more without somebody getting less who has no more (per weight) than they. The level t rises for all
    at once, and whoever has enough drops out; here all levels at which somebody drops out are computed at once.
    Chapter 06.

    References
    ----------
    Bertsekas, Gallagher: Data Networks. 2nd ed., Prentice-Hall 1992, section 6.5. Keshav: An Engineering Approach to
    Computer Networking. Addison-Wesley 1997, pages 215–217.
    """
    capacity, demands = scalar("capacity", capacity, amount), _vector("demands", amount("demands", demands))
    weights = _weights(weights, len(demands))
    if demands.sum() <= capacity:
        return demands.copy()
    order = np.argsort(demands / weights)
    d, w = demands[order], weights[order]
    # At the level at which user i has enough, those before have theirs, and all from i on get their weight's part.
    served = np.concatenate([[0.0], np.cumsum(d)[:-1]])
    rest = np.cumsum(w[::-1])[::-1]
    used = served + d / w * rest
    first = int(np.argmax(used >= capacity)) if (used >= capacity).any() else len(d) - 1
    level = max(0.0, capacity - served[first]) / rest[first]
    return np.minimum(demands, weights * level)


def _vector(name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} has shape {values.shape}; it must be a list of at least one number")
    return values


def _weights(weights: ArrayLike | None, users: int) -> np.ndarray:
    if weights is None:
        return np.ones(users)
    weights = _vector("weights", number("weights", weights, low=1e-6, high=1e6))
    if len(weights) != users:
        raise ValueError(f"weights has length {len(weights)}; it must be as long as the users are many, {users}")
    return weights


@dataclass(frozen=True, eq=False)
class DominantShares:
    """What each user gets by dominant resource fairness.

    Attributes
    ----------
    tasks : array, shape (users,)
        How many tasks each can run; real numbers.
    dominant : array, shape (users,)
        Dominant share: the largest share that each has of any resource.
    allocation : array, shape (users, resources)
        What each has of each resource.
    """

    tasks: np.ndarray
    dominant: np.ndarray
    allocation: np.ndarray


def drf_shares(capacities: ArrayLike, demands: ArrayLike, weights: ArrayLike | None = None) -> DominantShares:
    r"""Return what each user gets of several resources by dominant resource fairness (DRF).

    .. math:: \frac{s_i}{w_i} \text{ max-min fair}, \qquad s_i = x_i \max_r \frac{d_{ir}}{C_r}, \qquad
              \sum_i x_i d_{ir} \le C_r

    Parameters
    ----------
    capacities : array, shape (resources,)
        C > 0: all there is of each resource, such as processors and bytes of memory.
    demands : array, shape (users, resources)
        d: what one task of each user needs; at least one of them more than 0.
    weights : array, shape (users,), optional
        w > 0; all alike if left out.

    Returns
    -------
    DominantShares
        ``tasks``, ``dominant`` and ``allocation``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    9 processors and 18 GB; a task of A needs 1 processor and 4 GB, one of B 3 processors and 1 GB. A gets two thirds
    of the memory, B two thirds of the processors.

    >>> shares = drf_shares([9, 18], [[1, 4], [3, 1]])
    >>> shares.tasks.round(6), shares.dominant.round(4)
    (array([3., 2.]), array([0.6667, 0.6667]))

    Notes
    -----
    The dominant shares of all rise at the same pace (by weight), until a resource is used up; whoever needs that stops,
    and the others go on. Everybody has as many tasks as they like. Nobody prefers the share of another, or an n-th of
    every resource, or can gain by a false statement of what they need. Whole tasks do not fit exactly, and some of it
    stays unused. Chapter 06.

    References
    ----------
    Ghodsi, Zaharia, Hindman, Konwinski, Shenker, Stoica: Dominant resource fairness: fair allocation of multiple
    resource types. NSDI 2011.
    """
    capacities = _vector("capacities", positive("capacities", capacities))
    demands = amount("demands", demands)
    if demands.ndim != 2 or demands.shape[1] != len(capacities) or len(demands) == 0:
        raise ValueError(f"demands has shape {demands.shape}; it must be (users, {len(capacities)} resources)")
    positive("demands", np.where(demands == 0, 1.0, demands))  # 0, or something that can be divided by
    share = demands / capacities  # of each resource, that one task has
    largest = share.max(axis=1)
    if (largest == 0).any():
        raise ValueError(f"demands of user {int(np.argmin(largest))} are all 0; one at least must be greater than 0")
    weights = _weights(weights, len(demands))
    pace = weights[:, None] * share / largest[:, None]  # share of each resource as the level rises by 1

    level, used = np.zeros(len(demands)), np.zeros(len(capacities))
    going = np.ones(len(demands), dtype=bool)
    while going.any():
        speed = pace[going].sum(axis=0)
        with np.errstate(divide="ignore", over="ignore"):
            left = np.where(speed > 0, np.maximum(1 - used, 0) / np.where(speed > 0, speed, 1.0), np.inf)
        full = int(np.argmin(left))
        level[going] += left[full]
        used += left[full] * speed
        used[full] = 1.0
        going &= pace[:, full] == 0
    dominant = weights * level
    tasks = dominant / largest
    return DominantShares(tasks, dominant, tasks[:, None] * demands)


# ---- admission


@dataclass(frozen=True)
class TokenBucket:
    """What a token bucket lets through, and what it costs the service behind it.

    Attributes
    ----------
    rate : float or array
        r, tokens that come a second; one is needed for each request (or byte).
    burst : float or array
        b, tokens that the bucket holds at most.
    """

    rate: Number
    burst: Number

    def output(self, interval: ArrayLike) -> Number:
        """Return the most that gets through in any interval of so many seconds: b + r τ."""
        return plain(self.burst + self.rate * amount("interval", interval))

    def burst_time(self, peak_rate: ArrayLike) -> Number:
        """Return how long a sender can go on at a higher rate than r [s]: b / (peak − r), from a full bucket."""
        peak = positive("peak_rate", peak_rate)
        if (peak <= self.rate).any():
            raise ValueError(f"peak_rate is {plain(peak)}; it must be greater than the rate, {self.rate}")
        return plain(self.burst / (peak - self.rate))

    def delay(self, service_rate: ArrayLike, latency: ArrayLike = 0.0) -> Number:
        """Return the longest that anything waits in a first-come-first-served service behind the bucket [s].

        T + b / μ: the service does nothing for T seconds at most, and then μ a second at least. UnstableError if μ < r.
        """
        return plain(amount("latency", latency) + self.burst / self._enough(service_rate))

    def backlog(self, service_rate: ArrayLike, latency: ArrayLike = 0.0) -> Number:
        """Return the most that ever waits or is served behind the bucket: b + r T. UnstableError if μ < r."""
        self._enough(service_rate)
        return plain(self.burst + self.rate * amount("latency", latency))

    def _enough(self, service_rate: ArrayLike) -> np.ndarray:
        service = positive("service_rate", service_rate)
        if (service < self.rate).any():
            raise UnstableError(np.max(self.rate / service))
        return service


def token_bucket(rate: ArrayLike, burst: ArrayLike) -> TokenBucket:
    r"""Return a token bucket: a rate limit that allows for bursts.

    .. math:: A(\tau) \le b + r \tau, \qquad D \le T + \frac{b}{\mu}, \qquad Q \le b + r T

    Parameters
    ----------
    rate : float or array
        r, requests (or bytes) a second in the long run.
    burst : float or array
        b, how many can come at once.

    Returns
    -------
    TokenBucket
        With ``output(interval)``, ``burst_time(peak_rate)``, ``delay(service_rate, latency)`` and
        ``backlog(service_rate, latency)``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    100 requests a second and 50 at once, before a service of 200 a second:

    >>> bucket = token_bucket(rate=100, burst=50)
    >>> bucket.output(interval=10), bucket.delay(service_rate=200), bucket.backlog(service_rate=200)
    (1050.0, 0.25, 50.0)

    Notes
    -----
    Worst cases, not means; each is reached if all tokens are used as soon as they can be. Amounts are fluid: requests
    that cannot be divided add one of them. Chapter 09.

    References
    ----------
    Cruz: A calculus for network delay, part I. IEEE Transactions on Information Theory 37(1), 1991. Le Boudec, Thiran:
    Network Calculus. Springer 2001, section 1.4.
    """
    return TokenBucket(plain(amount("rate", rate)), plain(amount("burst", burst)))


# ---- locality


def delay_scheduling_locality(skips: ArrayLike, tasks: ArrayLike, nodes: ArrayLike, replicas: ArrayLike = 3) -> Number:
    r"""Return the share of a job's tasks that run where their data is, if the job waits for such a node.

    .. math:: \ell(D) = \frac{1}{N} \sum_{K=1}^{N} \left[1 - \left(1 - \frac{K}{M}\right)^{R D}\right]

    Parameters
    ----------
    skips : float or array
        D: how many offers of a node without its data the job passes up at most.
    tasks : int or array
        N, tasks of the job, up to a million.
    nodes : int or array
        M.
    replicas : int or array
        R, copies of each task's data, each on a node drawn at random.

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
    A small job on 100 nodes: waiting for every fifth node already helps.

    >>> [round(delay_scheduling_locality(skips, tasks=20, nodes=100), 2) for skips in (1, 5, 23, 100)]
    [0.27, 0.72, 0.95, 1.0]

    Notes
    -----
    A job that has K tasks left finds no data of them on a node drawn at random with probability (1 − K / M)^R, and on
    D such nodes with its D-th power: the last tasks of a job are those that go astray. Chapter 06.

    References
    ----------
    Zaharia, Borthakur, Sen Sarma, Elmeleegy, Shenker, Stoica: Delay scheduling: a simple technique for achieving
    locality and fairness in cluster scheduling. EuroSys 2010, section 3.
    """
    skips, tasks, nodes, replicas = np.broadcast_arrays(
        amount("skips", skips),
        count("tasks", tasks, high=1e6),
        count("nodes", nodes),
        count("replicas", replicas),
    )
    with np.errstate(divide="ignore", under="ignore", over="ignore"):
        shares = [
            # No offer awaited finds nothing, not even for a job with data on all nodes, where log1p is −∞.
            -np.expm1(r * d * np.log1p(-np.minimum(np.arange(1, n + 1) / m, 1))).mean() if d > 0 else 0.0
            for d, n, m, r in zip(skips.flat, tasks.flat, nodes.flat, replicas.flat, strict=True)
        ]
    return plain(np.reshape(shares, skips.shape))


def delay_scheduling_skips(locality: ArrayLike, tasks: ArrayLike, nodes: ArrayLike, replicas: ArrayLike = 3) -> Number:
    r"""Return how many offers a job has to pass up for a share of its tasks to run where their data is.

    .. math:: D = -\frac{M}{R} \ln \frac{(1 - \ell) N}{1 + (1 - \ell) N}

    Parameters
    ----------
    locality : float or array
        ℓ, share of the tasks, below 1.
    tasks : int or array
        N, tasks of the job.
    nodes : int or array
        M.
    replicas : int or array
        R, copies of each task's data.

    Returns
    -------
    float or array
        D, a real number. The time is `delay_scheduling_wait`.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    The example of the paper: 95 % for a job of 20 tasks needs less than a quarter of the nodes.

    >>> round(delay_scheduling_skips(0.95, tasks=20, nodes=100, replicas=3), 1)
    23.1

    Notes
    -----
    Enough, and for large jobs on many nodes hardly more than needed: from the bound
    :math:`\ell(D) \ge 1 - \frac{1}{N} \cdot \frac{x}{1 - x}` with :math:`x = e^{-R D / M}`. It does not depend on where
    the data is. Chapter 06. Source: as `delay_scheduling_locality`.
    """
    locality = number("locality", locality, low=0)
    if (locality >= 1).any():
        raise ValueError(f"locality is {plain(locality)}; it must be at least 0 and below 1")
    astray = (1 - locality) * count("tasks", tasks)
    return plain(count("nodes", nodes) / count("replicas", replicas) * np.log1p(1 / astray))


def delay_scheduling_wait(skips: ArrayLike, task_time: ArrayLike, nodes: ArrayLike, slots: ArrayLike = 1) -> Number:
    r"""Return the seconds in which a full cluster makes so many offers: the longest that a job waits for locality.

    .. math:: \frac{D}{M L} \, T

    Parameters
    ----------
    skips : float or array
        D, offers.
    task_time : float or array
        T, mean seconds of a task.
    nodes, slots : int or array
        M, and L, tasks that each node runs at a time: one of the M L ends every T / (M L) seconds.

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
    The example of the paper: with eight slots a node the wait is under 3 % of a task.

    >>> round(delay_scheduling_wait(23.1, task_time=1.0, nodes=100, slots=8), 4)
    0.0289

    Notes
    -----
    Chapter 06. Source: as `delay_scheduling_locality`.
    """
    offers = count("nodes", nodes) * count("slots", slots)
    return plain(amount("skips", skips) * amount("task_time", task_time) / offers)


# ---- overload


def overload_backlog(
    arrival_rate: ArrayLike, service_rate: ArrayLike, duration: ArrayLike, initial: ArrayLike = 0.0
) -> Number:
    r"""Return how many requests wait after some time in which more (or fewer) come than can be served.

    .. math:: Q(t) = \max(0, \; Q_0 + (\lambda - \mu) t)

    Parameters
    ----------
    arrival_rate, service_rate : float or array
        λ, and μ of all servers together, per second.
    duration : float or array
        t, seconds.
    initial : float or array
        Q₀, requests that wait at the beginning.

    Returns
    -------
    float or array
        Requests, at least 0; of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Five minutes at 120 a second with room for 100; the last one waits for a minute.

    >>> overload_backlog(120, 100, 300), overload_backlog(120, 100, 300) / 100
    (6000.0, 60.0)

    Notes
    -----
    A fluid: no chance in it, which is right in overload, where the queue is long. Below full load chance makes the
    queue; see `mm1` and the others. Chapter 09. Kleinrock: Queueing Systems, Volume 2: Computer Applications. Wiley
    1976, section 2.7.
    """
    growth = amount("arrival_rate", arrival_rate) - amount("service_rate", service_rate)
    return plain(np.maximum(amount("initial", initial) + growth * amount("duration", duration), 0))


def drain_time(backlog: ArrayLike, arrival_rate: ArrayLike, service_rate: ArrayLike) -> Number:
    r"""Return the seconds until a backlog is gone, while requests keep coming.

    .. math:: t = \frac{Q}{\mu - \lambda}

    Parameters
    ----------
    backlog : float or array
        Q, requests that wait.
    arrival_rate, service_rate : float or array
        λ, and μ of all servers together, per second.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If λ ≥ μ, and there is a backlog.

    Examples
    --------
    An overload of five minutes lasts for ten more, at 90 a second with room for 100.

    >>> drain_time(overload_backlog(120, 100, 300), 90, 100)
    600.0

    Notes
    -----
    As `overload_backlog`, a fluid. Chapter 09. Source: as `overload_backlog`.
    """
    backlog, arrivals, service = np.broadcast_arrays(
        amount("backlog", backlog), amount("arrival_rate", arrival_rate), positive("service_rate", service_rate)
    )
    waits = backlog > 0
    if (arrivals >= service)[waits].any():
        raise UnstableError(np.max((arrivals / service)[waits]))
    return plain(np.where(waits, backlog / np.where(waits, service - arrivals, 1.0), 0.0))
