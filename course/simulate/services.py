"""`service`: requests that time out and are tried again, at servers that may refuse them; `token_bucket`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, scalar, whole
from course.simulate.arguments import Law, arrivals, draw, last, room, times

OUTCOMES = ("ok", "timeout", "rejected", "broken")
"""How a request can end: answered in time; given up after a time-out; after a full queue; after an open circuit."""
SHEDDING = ("reject", "lifo", "deadline")
"""What a service does with too much work: first come first served, and refuse what finds the queue full; the same with
the newest first (the oldest gives up its place in a full queue); the first, and skip what nobody waits for any more."""


@dataclass(frozen=True)
class CircuitBreaker:
    """Clients stop sending after some failures in a row.

    After ``failures`` attempts in a row that timed out or were refused, every attempt fails at once, without being
    sent, for ``open_for`` seconds. The next one after that is sent as a trial: if it is answered the circuit closes,
    else it opens again. Nygard: Release It!, Pragmatic Bookshelf 2007, chapter 5.

    Attributes
    ----------
    failures : int
        At least 1.
    open_for : float
        Seconds, at least 0.
    """

    failures: int = 5
    open_for: float = 1.0

    def __post_init__(self) -> None:
        whole("failures", self.failures, low=1)
        scalar("open_for", self.open_for, low=0)


@dataclass(frozen=True, eq=False)
class Requests:
    """What happened to each request, in the order of their arrivals; times in seconds.

    Attributes
    ----------
    arrival, service : array, shape (n,)
        When it came, and how long each attempt keeps a server.
    outcome : array of int, shape (n,)
        Index into `OUTCOMES`; of its last attempt.
    stop : array, shape (n,)
        When its client got the answer, or gave up for good.
    sent : array, shape (n, 1 + retries)
        When each attempt was made; NaN where it was not needed.
    servers : int
    busy, wasted : float
        Seconds of service given, and those of them for attempts that nobody waited for any more.
    """

    arrival: np.ndarray
    service: np.ndarray
    outcome: np.ndarray
    stop: np.ndarray
    sent: np.ndarray
    servers: int
    busy: float
    wasted: float

    def __len__(self) -> int:
        return len(self.arrival)

    def __repr__(self) -> str:
        return (
            f"Requests({len(self)} requests, {self.servers} servers, {self.ok.mean():.1%} ok, "
            f"{self.amplification:.3g} attempts a request)"
        )

    @property
    def ok(self) -> np.ndarray:
        """Whether each was answered in time."""
        return self.outcome == 0

    @property
    def latency(self) -> np.ndarray:
        """Seconds from arrival until the answer, or until the client gave up for good."""
        return self.stop - self.arrival

    @property
    def attempts(self) -> np.ndarray:
        """How many attempts were made for each."""
        return np.isfinite(self.sent).sum(axis=1)

    @property
    def amplification(self) -> float:
        """Attempts a request."""
        return float(self.attempts.mean())

    def share(self, outcome: str) -> float:
        """Return the share of the requests that ended so (one of `OUTCOMES`)."""
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome is {outcome!r:.80}; it must be one of {', '.join(OUTCOMES)}")
        return float((self.outcome == OUTCOMES.index(outcome)).mean())

    def goodput(self, edges: ArrayLike) -> np.ndarray:
        """Return the answers in time per second between each two of the given times."""
        return _rate(self.stop[self.ok], edges)

    def offered(self, edges: ArrayLike) -> np.ndarray:
        """Return the attempts per second between each two of the given times."""
        return _rate(self.sent[np.isfinite(self.sent)], edges)


def _rate(when: np.ndarray, edges: ArrayLike) -> np.ndarray:
    edges = times("edges", edges)
    if len(edges) < 2 or (np.diff(edges) <= 0).any():
        raise ValueError("edges must be at least two times that grow")
    return np.histogram(when, edges)[0] / np.diff(edges)


def service(
    interarrival: ArrayLike,
    service: Law,
    servers: int = 1,
    *,
    queue_limit: int | None = None,
    shedding: str = "reject",
    timeout: float = np.inf,
    retries: int = 0,
    backoff: float = 0.0,
    backoff_cap: float = np.inf,
    jitter: bool = False,
    retry_budget: float | None = None,
    retry_burst: float = 10.0,
    breaker: CircuitBreaker | None = None,
    seed: int = 0,
) -> Requests:
    r"""Simulate a service whose clients lose patience and try again.

    Parameters
    ----------
    interarrival : array, shape (n,)
        Seconds between new requests; the first comes at ``interarrival[0]``. `varying_arrivals` makes some.
    service : float, array of shape (n,), or callable
        Seconds that each attempt of a request keeps a server; a callable is called as ``(rng, n)``.
    servers : int
        Servers that share one queue.
    queue_limit : int, optional
        How many may wait; by default any number. An attempt that is refused fails at once.
    shedding : str
        One of `SHEDDING`.
    timeout : float
        Seconds after which a client gives up an attempt. The service does not know: it still serves it, for nobody.
    retries : int
        How often a client tries again after an attempt that failed, at most 100.
    backoff, backoff_cap : float
        The wait before the k-th retry [s]: :math:`\min(\text{cap}, \text{backoff} \cdot 2^{k-1})`.
    jitter : bool
        Whether that wait is multiplied by a random number from 0 to 1 ("full jitter").
    retry_budget, retry_burst : float
        Retries that each new request adds to a budget that all clients share (0.1: one retry for ten requests), and the
        most that it holds; it starts full. None: retries without limit.
    breaker : CircuitBreaker, optional
        One that all clients share.
    seed : int
        Seed of ``service`` and of the jitter.

    Returns
    -------
    Requests

    Raises
    ------
    ValueError
        Times that are negative, NaN or infinite (``timeout`` and ``backoff_cap`` may be infinite); an unknown name.

    Examples
    --------
    The second waits longer than its client does; its work is done all the same.

    >>> run = service(interarrival=[1, 0], service=2.0, timeout=3.0)
    >>> run.outcome, run.latency, run.busy, run.wasted
    (array([0, 1]), array([2., 3.]), 4.0, 2.0)

    Notes
    -----
    Retries can keep a service down after the overload that began it is over: once the queue is longer than the
    time-out, all work is for nobody, and load × (1 + retries) exceeds the capacity (a *metastable* failure). Cures:
    a short queue, newest first, a retry budget, a circuit breaker. Skipping what nobody waits for any more is half a
    cure: first come first served then begins with those whose clients are about to give up. Back-off and jitter alone
    spread the retries; they do not lessen them.

    At one instant ends of service come first, then clients (by their number), then new requests. Taught in chapters 09
    and 16.

    References
    ----------
    Bronson, Aghayev, Charapko, Zhu: Metastable failures in distributed systems. HotOS 2021.
    Brooker: Exponential backoff and jitter. AWS Architecture Blog, 2015.
    Maurer: Fail at scale. ACM Queue 13(8), 2015 (newest first, there only while there is a queue that does not empty).
    """
    from course.simulate import service_kernels as kernels

    rng = generator(seed)
    arrival = arrivals("interarrival", interarrival)
    n = len(arrival)
    work = draw("service", service, rng, n)
    attempts = 1 + whole("retries", retries, high=100)
    room("requests × (1 + retries)", n * attempts)
    servers = whole("servers", servers, low=1)
    limit = n * attempts if queue_limit is None else whole("queue_limit", queue_limit)
    if shedding not in SHEDDING:
        raise ValueError(f"shedding is {shedding!r:.80}; it must be one of {', '.join(SHEDDING)}")
    timeout, cap = _patience("timeout", timeout), _patience("backoff_cap", backoff_cap)
    base = scalar("backoff", backoff, low=0)
    budget = -1.0 if retry_budget is None else scalar("retry_budget", retry_budget, low=0)
    burst = scalar("retry_burst", retry_burst, low=0)
    if breaker is not None and not isinstance(breaker, CircuitBreaker):
        raise ValueError(f"breaker is {breaker!r:.80}; it must be a CircuitBreaker or None")
    failures = 0 if breaker is None else breaker.failures
    open_for = 0.0 if breaker is None else float(breaker.open_for)
    with np.errstate(over="ignore"):
        # No later can anything happen: each attempt waits out its time, its pause, and all work before it.
        latest = arrival[-1:] + attempts * (work.sum() + min(timeout, 0 if np.isinf(timeout) else timeout))
        last("interarrival, service, timeout and backoff", latest + attempts * min(cap, base * 2.0**attempts))
    if base >= 2.0**900:
        raise ValueError(f"backoff is {base:g}; it must be below {2.0**900:g}")
    outcome, stop, sent, seconds = kernels.simulate(
        arrival,
        work,
        min(servers, n * attempts),
        min(limit, n * attempts),
        SHEDDING.index(shedding),
        timeout,
        attempts,
        base,
        cap,
        bool(jitter),
        budget,
        burst,
        failures,
        open_for,
        rng,
    )
    return Requests(arrival, work, outcome, stop, sent, servers, float(seconds[0]), float(seconds[1]))


def _patience(name: str, value: float) -> float:
    """Return a number of seconds greater than 0 that may be infinite."""
    if isinstance(value, (int, float)) and value == np.inf:
        return np.inf
    return scalar(name, value, above=0)


def token_bucket(interarrival: ArrayLike, rate: float, burst: float = 1.0) -> np.ndarray:
    r"""Return which arrivals a token bucket admits, array of bool, shape (n,).

    The bucket fills at ``rate`` tokens a second up to ``burst``, and starts full; who finds a whole token takes it, the
    others are turned away. So in every time of t seconds at most

    .. math:: \text{burst} + \text{rate} \cdot t

    get in.

    Parameters
    ----------
    interarrival : array, shape (n,)
        Seconds between arrivals.
    rate : float
        Tokens per second.
    burst : float
        The most tokens that the bucket holds, at least 1.

    Returns
    -------
    array of bool, shape (n,)

    Raises
    ------
    ValueError
        No arrival; negative, infinite or NaN numbers; times above 1e150 s.

    Examples
    --------
    >>> token_bucket([0, 0, 0, 1, 0.5, 0.5], rate=1.0, burst=2.0)
    array([ True,  True, False,  True, False,  True])

    Notes
    -----
    Chapter 09. Turner: New directions in communications (or which way to the information age?). IEEE Communications
    Magazine 24(10), 1986; RFC 2697 (Heinanen, Guérin, 1999) for the form with tokens.
    """
    from course.simulate.service_kernels import token_bucket as kernel

    arrival = arrivals("interarrival", interarrival)
    rate = scalar("rate", rate, low=0, high=1e150)
    if arrival[-1] > 1e150:
        raise ValueError(f"interarrival adds up to {arrival[-1]:g} s; it must be at most 1e150")
    return kernel(arrival, rate, scalar("burst", burst, low=1))
