"""`balls` thrown into bins, and `balance`: customers who are sent to one of many queues."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, number, one_of, scalar, whole
from course.simulate import arguments
from course.simulate.queues import Sojourns

RULES = ("random", "round_robin", "choices", "shortest", "least_work")
"""Any server; each in turn; the shortest of a few queues that are looked at; the shortest of all (JSQ); the server that
has the least work left."""

MOST_BALLS = 10**9
MOST_LOOKS = 10**10  # half a minute
_CHUNK = 2**19  # random numbers drawn at once: few enough to stay in the processor's cache


def balls(balls: int, bins: int, choices: int = 1, *, seed: int = 0) -> np.ndarray:
    """Throw balls into bins, each into the least loaded of a few bins drawn at random.

    Parameters
    ----------
    balls : int
        How many balls, at most 10⁹; balls times choices at most 10¹⁰ (about a minute).
    bins : int
        How many bins, at most 10⁸.
    choices : int
        How many bins are drawn for each ball (at most 100), independently, with repetition; the first among equals
        gets it.
    seed : int
        Seed of the draws.

    Returns
    -------
    array of int, shape (bins,)
        The balls in each bin.

    Raises
    ------
    ValueError
        A number that is not whole, negative, or too large.

    Examples
    --------
    With a second choice, the fullest of a thousand bins is a few balls above the mean, not a third of it.

    >>> for choices in (1, 2):
    ...     print(balls(100_000, 1000, choices, seed=1).max() - 100)
    34
    2

    Notes
    -----
    With n balls in n bins the fullest has about ln n / ln ln n balls for one choice, and ln ln n / ln d + O(1) for d
    choices, with high probability. Taught in chapter 14.

    References
    ----------
    Azar, Broder, Karlin, Upfal: Balanced allocations. SIAM Journal on Computing 29(1), 1999.
    """
    balls = whole("balls", balls, high=MOST_BALLS)
    bins = whole("bins", bins, low=1, high=10**8)
    choices = whole("choices", choices, low=1, high=100)
    arguments.room("balls times choices", balls * choices, MOST_LOOKS)
    rng = generator(seed)
    if choices == 1:
        loads = np.zeros(bins, dtype=np.int64)
        # Few large chunks where there are many bins: each costs as much as there are bins.
        for first in range(0, balls, chunk := max(_CHUNK, bins)):
            loads += np.bincount(rng.integers(bins, size=min(chunk, balls - first)), minlength=bins)
        return loads
    from course.simulate.balancing_kernels import place

    loads = np.zeros(bins, dtype=np.int64)
    for first in range(0, balls, chunk := _CHUNK // choices):
        place(loads, rng.integers(bins, size=(min(chunk, balls - first), choices)))
    return loads


@dataclass(frozen=True, eq=False)
class Balanced(Sojourns):
    """What happened to each customer, as in `Sojourns`, and where.

    Attributes
    ----------
    server : array of int, shape (n,)
        The server that each customer was sent to.
    """

    server: np.ndarray

    def __repr__(self) -> str:
        return f"Balanced{super().__repr__().removeprefix('Sojourns')}"

    @cached_property
    def customers(self) -> np.ndarray:
        """How many customers each server got, shape (servers,)."""
        return np.bincount(self.server, minlength=self.servers)

    @cached_property
    def work(self) -> np.ndarray:
        """How many seconds of service each server gave, shape (servers,)."""
        return np.bincount(self.server, weights=self.service, minlength=self.servers)


def balance(
    arrivals: ArrayLike,
    services: ArrayLike,
    servers: int,
    choices: int = 2,
    *,
    policy: str = "choices",
    stale: float = 0.0,
    seed: int = 0,
) -> Balanced:
    """Simulate customers who are sent, when they come, to one of many servers, each with a queue of its own.

    Parameters
    ----------
    arrivals : array, shape (n,)
        Seconds between arrivals; the first customer comes at ``arrivals[0]``.
    services : array, shape (n,)
        Seconds of service that each customer needs.
    servers : int
        How many servers there are (at most 10⁶), each first come first served.
    choices : int
        For the policy "choices": how many different servers, drawn at random, are looked at; at most 100 (and at most
        all of them).
    policy : str
        One of `RULES`. Equals are decided by lot.
    stale : float
        What is known of the servers is what was true at the last multiple of so many seconds; 0: what is true now.
    seed : int
        Seed of the draws and lots.

    Returns
    -------
    Balanced

    Raises
    ------
    ValueError
        Arrays of different or zero length, negative, infinite or NaN times; unknown policy; numbers out of range.

    Examples
    --------
    Three customers come a second apart, and there are two servers.

    >>> served = balance([1, 1, 1], [5, 5, 5], servers=2, policy="round_robin")
    >>> served.server, served.wait
    (array([0, 1, 0]), array([0., 0., 3.]))

    A second choice brings most of what knowing all queues would:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> gaps, services = rng.exponential(1 / 90, 200_000), rng.exponential(1.0, 200_000)
    >>> for policy in ("random", "choices", "shortest"):
    ...     print(policy, round(balance(gaps, services, 100, policy=policy).response.mean(), 1))
    random 10.3
    choices 2.7
    shortest 1.1

    Notes
    -----
    Exact for the given times: each server serves by Lindley's recursion. Old information is the periodic update model:
    a board that all see is written anew every ``stale`` seconds. Between two writings everybody runs to the servers
    that were short then, so that with very old information the shortest queue is a worse choice than any queue. Taught
    in chapter 14.

    References
    ----------
    Mitzenmacher: The power of two choices in randomized load balancing. IEEE Transactions on Parallel and Distributed
    Systems 12(10), 2001.
    Mitzenmacher: How useful is old information? IEEE Transactions on Parallel and Distributed Systems 11(1), 2000.
    """
    from course.simulate.balancing_kernels import assign

    arrival = arguments.arrivals("arrivals", arrivals)
    n = len(arrival)
    work = arguments.times("services", services, n)
    servers = whole("servers", servers, low=1, high=10**6)
    choices = whole("choices", choices, low=1, high=100)
    one_of("policy", policy, RULES)
    if np.ndim(stale):
        raise ValueError(f"stale is {stale!r:.80}; it must be a number")
    stale = scalar("stale", stale, low=0)
    one = policy in ("random", "round_robin") or (policy == "choices" and min(choices, servers) == 1)
    # Who looks at one server needs no board. Periods so short that their number is no longer exact are as good as none.
    if one or arrival[-1] * 2.0**-52 >= stale:
        stale = 0.0
    looks = n * (servers if policy in ("shortest", "least_work") else choices)
    if stale:  # the board is written before the first customer of each period
        looks += min(n, int(arrival[-1] / stale)) * servers
    if looks > MOST_LOOKS:
        raise ValueError(
            f"{n} customers look at {looks / n:g} servers each, with what is made known of them; at most"
            f" {MOST_LOOKS:.0e} looks are allowed"
        )
    if policy == "choices":
        arguments.room("customers times choices", n * min(choices, servers), 2 * 10**8)
    # Not the numbers from which the caller, with the same seed, may have drawn the customers.
    rng = generator(seed).spawn(1)[0]
    with np.errstate(over="ignore"):
        number("the sum of arrivals and services", arrival[-1] + work.sum())
    if policy == "random":
        candidates = rng.integers(servers, size=(n, 1))
    elif policy == "round_robin":
        candidates = np.arange(n).reshape(n, 1) % servers
    else:
        candidates = _different(rng, n, servers, min(choices, servers) if policy == "choices" else 0)
    start, stop, server = assign(arrival, work, servers, candidates, rng.random(n), policy == "least_work", stale)
    return Balanced(arrival, work, start, stop, servers, server)


def _different(rng: np.random.Generator, n: int, servers: int, choices: int) -> np.ndarray:
    """Return n rows of so many different servers, drawn at random.

    Floyd's algorithm (Bentley, Floyd: A sample of brilliance. Communications of the ACM 30(9), 1987).
    """
    drawn = np.empty((n, choices), dtype=np.int64)
    for k in range(choices):
        last = servers - choices + k
        any_of_them = rng.integers(last + 1, size=n)
        taken = (drawn[:, :k] == any_of_them[:, np.newaxis]).any(axis=1)
        drawn[:, k] = np.where(taken, last, any_of_them)
    return drawn
