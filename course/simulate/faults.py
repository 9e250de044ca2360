"""Machines and messages that fail: `machines`, `data_loss`, `heartbeats`, `messages`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, number, scalar, whole
from course.simulate.arguments import Law, draw, last, room

MOST_FAILURES = 20_000_000
"""Failures that `data_loss` goes through at most (some seconds)."""
DELIVERY = ("at-most-once", "at-least-once", "exactly-once")
"""Sent once, acted upon whenever it arrives; sent until an answer comes, likewise; sent so, but acted upon once."""


@dataclass(frozen=True, eq=False)
class Machines:
    """How many machines are up, as a step curve; times in seconds.

    Attributes
    ----------
    time : array, shape (changes + 1,)
        When the number changes, from 0 on.
    up : array of int, shape (changes + 1,)
        How many are up from then on.
    until : float
        Where the curve ends.
    count : int
        How many machines there are.
    """

    time: np.ndarray
    up: np.ndarray
    until: float
    count: int

    def __repr__(self) -> str:
        return f"Machines({self.count} machines, {self.until:g} s, availability {self.availability(self.count):.4f})"

    def availability(self, needed: int = 1) -> float:
        """Return the share of the time in which at least ``needed`` machines are up."""
        needed = whole("needed", needed, high=self.count)
        lasts = np.diff(self.time, append=self.until)
        return float(lasts[self.up >= needed].sum() / self.until)

    def up_at(self, when: ArrayLike) -> np.ndarray:
        """Return how many are up at each of the given times, array of int."""
        when = number("when", when, low=0, high=self.until)
        return self.up[np.searchsorted(self.time, when, side="right") - 1]


def machines(count: int, mtbf: float, mttr: float, until: float, *, seed: int = 0) -> Machines:
    r"""Simulate machines that fail and are repaired, each for itself.

    Parameters
    ----------
    count : int
        Machines; all are up at time 0.
    mtbf, mttr : float
        Mean seconds from a repair to the next failure, and of a repair; both exponential.
    until : float
        Seconds to simulate.
    seed : int

    Returns
    -------
    Machines

    Raises
    ------
    ValueError
        No machine; times that are not above 0, infinite or NaN; more than about five million failures.

    Examples
    --------
    >>> run = machines(3, mtbf=9.0, mttr=1.0, until=100_000.0)
    >>> round(run.availability(3), 2), round(run.availability(2), 2)
    (0.73, 0.97)

    Notes
    -----
    One machine is up with probability

    .. math:: A(t) = A + (1 - A) \, e^{-(1/\text{mtbf} + 1/\text{mttr}) t}, \qquad
              A = \frac{\text{mtbf}}{\text{mtbf} + \text{mttr}}

    and the number that is up at a time is binomial. Chapters 01 and 16. Trivedi: Probability and Statistics with
    Reliability, Queuing, and Computer Science Applications. 2nd ed., Wiley 2002, section 8.3 (the two-state chain).
    """
    count = whole("count", count, low=1)
    mtbf = scalar("mtbf", mtbf, above=0, high=1e100)
    mttr = scalar("mttr", mttr, above=0, high=1e100)
    until = scalar("until", until, above=0, high=1e100)
    rng = generator(seed)
    # Failures and repairs come by turns. Draw some, and more for those that are not at the end yet.
    some = until / (mtbf + mttr) + 5 * np.sqrt(until / (mtbf + mttr)) + 5
    room("machines × failures", count * some, 5_000_000)
    clock, here = np.zeros(count), np.arange(count)
    failures, repairs = [], []
    while len(here):
        pairs = rng.standard_exponential((len(here), int(some), 2)) * (mtbf, mttr)
        when = clock[here, None] + np.cumsum(pairs.reshape(len(here), -1), axis=1)
        failures.append(when[:, 0::2][when[:, 0::2] < until])
        repairs.append(when[:, 1::2][when[:, 1::2] < until])
        clock[here] = when[:, -1]
        here = here[clock[here] < until]
    failures, repairs = np.concatenate(failures), np.concatenate(repairs)
    when = np.concatenate([failures, repairs])
    order = np.argsort(when, kind="stable")
    change = np.repeat([-1, 1], [len(failures), len(repairs)])[order]
    return Machines(
        np.concatenate([[0.0], when[order]]), count + np.concatenate([[0], np.cumsum(change)]), until, count
    )


def data_loss(
    copies: int,
    needed: int,
    mtbf: float,
    mttr: float,
    runs: int = 1000,
    *,
    repairers: int | None = None,
    shape: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    r"""Return the seconds until data is lost, in independent runs, shape (runs,).

    Parameters
    ----------
    copies, needed : int
        Pieces of the data, each on a machine of its own, and how many of them are enough: n copies of which 1 is
        needed, or n = k + m pieces of an erasure code of which k are.
    mtbf : float
        Mean seconds from when a piece is there until it is lost.
    mttr : float
        Mean seconds until it is there again, once its repair began; exponential.
    runs : int
    repairers : int, optional
        How many pieces can be repaired at a time, the first lost first; by default all.
    shape : float
        Of the Weibull distribution of the lifetimes, from 0.1 to 10; 1 is exponential.
    seed : int

    Returns
    -------
    array, shape (runs,)
        Seconds.

    Raises
    ------
    ValueError
        Numbers out of range; data that is practically never lost: nothing is sped up here, so take rates at which it
        is, and compare with the formula.

    Examples
    --------
    Two copies of a mean life of 10 and a repair of 1: :math:`(3\lambda + \mu) / (2 \lambda^2)` is 65.

    >>> bool(abs(data_loss(2, 1, mtbf=10.0, mttr=1.0, runs=20_000).mean() - 65) < 2)
    True

    Notes
    -----
    Each piece has its own clock; for exponential times the mean is that of a Markov chain (``course.models``). Chapters
    04 and 16. Patterson, Gibson, Katz: A case for redundant arrays of inexpensive disks (RAID). SIGMOD 1988.
    """
    from scipy.special import gamma

    from course.simulate.fault_kernels import data_loss as kernel

    copies = whole("copies", copies, low=1, high=10_000)
    needed = whole("needed", needed, low=1, high=copies)
    mtbf = scalar("mtbf", mtbf, above=0, high=1e100)
    mttr = scalar("mttr", mttr, low=0, high=1e100)
    runs = whole("runs", runs, low=1)
    room("runs × copies", runs * copies)
    repairers = copies if repairers is None else whole("repairers", repairers)
    shape = scalar("shape", shape, low=0.1, high=10)
    lost, done = kernel(
        copies, needed, mtbf / gamma(1 + 1 / shape), mttr, runs, repairers, shape, MOST_FAILURES, generator(seed)
    )
    if not done:
        raise ValueError(
            f"mttr is {mttr:g}; with mtbf = {mtbf:g} and {copies} pieces of which {needed} are needed, the data is not"
            f" lost in {runs} runs with {MOST_FAILURES:,} failures: take a longer mttr or fewer runs"
        )
    return lost


@dataclass(frozen=True, eq=False)
class Heartbeats:
    """What a failure detector saw; arrays of shape (runs,), times in seconds.

    Attributes
    ----------
    detection : array
        From the crash until the machine is suspected for good; 0 if it was suspected before, and wrongly.
    false_suspicions : array of int
        How often it was suspected before the crash.
    suspected : array
        Seconds before the crash in which it was suspected.
    lifetime : array
        Seconds from the first heartbeat to the crash.
    """

    detection: np.ndarray
    false_suspicions: np.ndarray
    suspected: np.ndarray
    lifetime: np.ndarray

    def __len__(self) -> int:
        return len(self.detection)

    def __repr__(self) -> str:
        return (
            f"Heartbeats({len(self)} runs, mean detection {self.detection.mean():.4g} s, "
            f"{self.false_suspicions.mean():.4g} false suspicions a run)"
        )


def heartbeats(
    period: float,
    timeout: float,
    *,
    loss: float = 0.0,
    delay: Law = 0.0,
    duplicate: float = 0.0,
    beats: int = 1000,
    runs: int = 100,
    seed: int = 0,
) -> Heartbeats:
    """Simulate heartbeats over a network that loses, delays and duplicates them, until the machine crashes.

    Parameters
    ----------
    period : float
        Seconds between heartbeats.
    timeout : float
        The machine is suspected when no new heartbeat has come for so many seconds. A later one ends the suspicion.
    loss, duplicate : float
        Probability that a heartbeat is lost, and that it is sent twice by the network (each is lost for itself).
    delay : float, array or callable ``(rng, n) -> array``
        Seconds that each takes on its way; they may overtake each other. A heartbeat older than one that came before
        says nothing new, and is ignored.
    beats : int
        Heartbeats that are sent before the crash, which comes at a random time in the last period.
    runs : int
        Independent runs.
    seed : int

    Returns
    -------
    Heartbeats

    Raises
    ------
    ValueError
        Times or probabilities out of range; no heartbeat or run, or more than five million; delays of another number.

    Examples
    --------
    Without loss and delay the time to detection is the time-out less the time since the last heartbeat.

    >>> run = heartbeats(period=1.0, timeout=3.0, runs=1000)
    >>> bool((run.detection > 2).all() and (run.detection <= 3).all()), int(run.false_suspicions.sum())
    (True, 0)

    Notes
    -----
    A shorter time-out finds a crash sooner and suspects the living more often. The watch begins when the first
    heartbeat arrives (a machine of which none arrives is not known: it counts as suspected from the beginning, once).
    Chapter 07. Chen, Toueg, Aguilera: On the quality of service of failure detectors. IEEE Transactions on Computers
    51(5), 2002.
    """
    period = scalar("period", period, above=0, high=1e100)
    timeout = scalar("timeout", timeout, above=0, high=1e100)
    loss = scalar("loss", loss, low=0, high=1)
    duplicate = scalar("duplicate", duplicate, low=0, high=1)
    beats, runs = whole("beats", beats, low=1), whole("runs", runs, low=1)
    room("beats × runs", beats * runs, 5_000_000)
    rng = generator(seed)
    sent = np.arange(beats) * period
    crash = sent[-1] + rng.random(runs) * period
    arrives = np.full((runs, 2, beats), np.inf)
    for copy, exists in ((0, 1.0), (1, duplicate)):
        there = (rng.random((runs, beats)) < exists) & (rng.random((runs, beats)) >= loss)
        took = draw("delay", delay, rng, runs * beats).reshape(runs, beats)
        with np.errstate(over="ignore"):
            arrives[:, copy] = np.where(there, sent + took, np.inf)
    came = arrives.min(axis=1)  # of two copies the first counts
    # A heartbeat is news if no later one came before it: its arrival is before all those that follow it.
    later = np.minimum.accumulate(came[:, ::-1], axis=1)[:, ::-1]
    news = came < np.concatenate([later[:, 1:], np.full((runs, 1), np.inf)], axis=1)
    # The arrivals of news are in order. Between each and the next (or the crash), is there longer than the time-out?
    run, beat = np.nonzero(news)
    when = came[run, beat]
    ends = np.append(when[1:], 0.0)
    final = np.append(run[1:] != run[:-1], True)[: len(run)]
    ends = ends[: len(run)]
    before = np.minimum(np.where(final, np.inf, ends), crash[run])
    gap = before - when - timeout
    gap = np.where(gap > 8 * np.spacing(crash[run]), gap, 0.0)  # a time-out of one period is not missed by rounding
    suspicions = np.bincount(run, gap > 0, runs).astype(np.int64)
    suspected = np.bincount(run, gap, runs).astype(float)  # of nothing at all it counts in whole numbers
    newest = np.full(runs, -np.inf)
    newest[run[final]] = when[final]
    never = np.isneginf(newest)
    suspicions[never], suspected[never] = 1, crash[never]
    detection = np.maximum(newest + timeout - crash, 0.0)
    last("delay", np.array([detection.max()]))
    return Heartbeats(detection, suspicions, suspected, crash)


@dataclass(frozen=True, eq=False)
class Messages:
    """What became of each message; arrays of shape (n,).

    Attributes
    ----------
    attempts : array of int
        How often it was sent.
    deliveries : array of int
        How often it arrived.
    effects : array of int
        How often the receiver acted upon it.
    acknowledged : array of bool
        Whether an answer came back before the sender gave up.
    first_effect : array
        Seconds from first sending to the first effect; infinity where there was none.
    """

    attempts: np.ndarray
    deliveries: np.ndarray
    effects: np.ndarray
    acknowledged: np.ndarray
    first_effect: np.ndarray

    def __len__(self) -> int:
        return len(self.attempts)

    def __repr__(self) -> str:
        return (
            f"Messages({len(self)} messages: {(self.effects == 0).mean():.1%} without effect, "
            f"{(self.effects > 1).mean():.1%} with more than one, {self.attempts.mean():.3g} attempts each)"
        )

    @property
    def lost(self) -> float:
        """The share without any effect."""
        return float((self.effects == 0).mean())

    @property
    def repeated(self) -> float:
        """The share with more than one effect."""
        return float((self.effects > 1).mean())


def messages(
    count: int,
    delivery: str = "at-least-once",
    *,
    loss: float = 0.1,
    duplicate: float = 0.0,
    delay: Law = 0.0,
    timeout: float = 1.0,
    retries: int = 10,
    seed: int = 0,
) -> Messages:
    r"""Simulate messages and their answers over a network that loses, delays and duplicates both.

    Parameters
    ----------
    count : int
    delivery : str
        One of `DELIVERY`. "exactly-once" is at least once with an identifier by which the receiver knows what it has
        done already (idempotence), so that a message has at most one effect.
    loss, duplicate : float
        Probability that the network loses a message or an answer; that it delivers one twice that it does not lose.
    delay : float or callable ``(rng, n) -> array``
        Seconds of each on its way.
    timeout : float
        Seconds after which the sender sends again, if no answer has come (an answer at that instant is in time).
    retries : int
        How often it does so at most; "at-most-once" never does.
    seed : int

    Returns
    -------
    Messages

    Raises
    ------
    ValueError
        Times, probabilities or retries out of range; no message, or more than five million; an unknown delivery.

    Examples
    --------
    >>> once = messages(10_000, "at-most-once", loss=0.1)
    >>> more = messages(10_000, "at-least-once", loss=0.1)
    >>> safe = messages(10_000, "exactly-once", loss=0.1)
    >>> [round(run.lost, 1) for run in (once, more, safe)], [round(run.repeated, 2) for run in (once, more, safe)]
    ([0.1, 0.0, 0.0], [0.0, 0.1, 0.0])

    Notes
    -----
    With loss p, no delay and no duplicates a round trip succeeds with probability :math:`q = (1 - p)^2`, so that a
    message is sent :math:`(1 - (1 - q)^{r + 1}) / q` times on average, and arrives 1 − p times as often. Chapter 07.
    Saltzer, Reed, Clark: End-to-end arguments in system design. ACM Transactions on Computer Systems 2(4), 1984.
    """
    n = whole("count", count, low=1)
    if delivery not in DELIVERY:
        raise ValueError(f"delivery is {delivery!r:.80}; it must be one of {', '.join(DELIVERY)}")
    loss = scalar("loss", loss, low=0, high=1)
    duplicate = scalar("duplicate", duplicate, low=0, high=1)
    timeout = scalar("timeout", timeout, above=0, high=1e100)
    retries = whole("retries", retries, high=1000)
    room("count", n, 5_000_000)
    if not callable(delay) and np.ndim(delay):
        raise ValueError(f"delay has shape {np.shape(delay)}; it must be one number or a callable")
    rng = generator(seed)

    def network(depart: np.ndarray) -> np.ndarray:
        """Return when two copies of each arrive, shape (2, n): infinity for what is lost and what there is not."""
        keeps = rng.random(len(depart)) >= loss
        twice = keeps & (rng.random(len(depart)) < duplicate)
        took = np.stack([draw("delay", delay, rng, len(depart)) for _ in range(2)])
        with np.errstate(over="ignore"):
            return np.where([keeps, twice], depart + took, np.inf)

    attempts, deliveries = np.zeros(n, np.int64), np.zeros(n, np.int64)
    first_effect, answered = np.full(n, np.inf), np.full(n, np.inf)
    for attempt in range(1 + (0 if delivery == "at-most-once" else retries)):
        now = attempt * timeout
        sends = np.flatnonzero(answered > now) if attempt else np.arange(n)
        if not len(sends):
            break
        attempts[sends] += 1
        arrives = network(np.full(len(sends), now))
        deliveries[sends] += np.isfinite(arrives).sum(axis=0)
        first_effect[sends] = np.minimum(first_effect[sends], arrives.min(axis=0))
        for copy in arrives:  # each that arrives is answered
            answered[sends] = np.minimum(answered[sends], network(copy).min(axis=0))
    effects = np.minimum(deliveries, 1) if delivery == "exactly-once" else deliveries
    acknowledged = answered <= attempts * timeout
    return Messages(attempts, deliveries, effects.copy(), acknowledged, first_effect)
