"""What scheduler and workers say to each other when messages are late or lost. Taught in chapter 07."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from course.domain import number, plain
from course.models.quantity import amount, count, positive
from course.models.reliability import k_of_n
from course.models.storage import quorum_latency

Number = float | np.ndarray


MOST_BEATS = 10_000  # heartbeats that a time-out may have room for
_GOSSIP = 1.18  # rounds of push gossip beyond log₂ n + ln n, for many nodes


# ---- failure detection


def phi(elapsed: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Number:
    r"""Return the level of suspicion after so long a silence, by the φ accrual failure detector.

    .. math:: \varphi = -\log_{10} P(X > t), \qquad X \sim N(\mu, \sigma^2)

    Parameters
    ----------
    elapsed : float or array
        t, seconds since the last heartbeat.
    mean, std : float or array
        μ and σ > 0, mean and standard deviation of the seconds between heartbeats, as measured.

    Returns
    -------
    float or array
        φ, without a unit; of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Heartbeats each second, give or take 0.1 s. After one second of silence nothing is wrong; after 1.5 s a live
    worker would be suspected once in 3.5 million times:

    >>> phi([1.0, 1.5], mean=1.0, std=0.1).round(2)
    array([0.3 , 6.54])

    Notes
    -----
    Chapter 07. Who suspects at φ = 1 is wrong in 10 % of the cases, at 2 in 1 %, at 3 in 0.1 % — if times are normal,
    which real ones are not so far out. Computed from the logarithm of the tail, so that it goes on growing where the
    tail itself is too small for a number.

    References
    ----------
    Hayashibara, Défago, Yared, Katayama: The φ accrual failure detector. SRDS 2004.
    """
    z = (amount("elapsed", elapsed) - amount("mean", mean)) / positive("std", std)
    # The 0 turns −0 into 0, for a heartbeat that is not due yet.
    return plain(-special.log_ndtr(-z) / np.log(10) + 0.0)


def phi_timeout(threshold: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Number:
    r"""Return the seconds of silence after which `phi` reaches a threshold.

    .. math:: \theta: \; \varphi(\theta) = \Phi, \qquad \theta = \mu + \sigma \, Q^{-1}(10^{-\Phi})

    Parameters
    ----------
    threshold : float or array
        Φ > 0, the φ at which a worker is suspected.
    mean, std : float or array
        μ and σ, as in `phi`.

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
    >>> round(phi_timeout(8, mean=1.0, std=0.1), 3)
    1.561

    Notes
    -----
    Chapter 07. At a low threshold and a large deviation it would be before the last heartbeat: then it is 0. Source: as
    `phi`.
    """
    threshold = positive("threshold", threshold)
    mean, std = amount("mean", mean), positive("std", std)
    return plain(np.maximum(mean - std * special.ndtri_exp(-threshold * np.log(10)), 0.0))


def false_suspicion(timeout: ArrayLike, period: ArrayLike, loss_probability: ArrayLike, delay: Any = 0.0) -> Number:
    r"""Return the probability that a live worker is suspected between two heartbeats of which the first arrived.

    .. math:: \prod_{j=1}^{\lfloor \theta / \eta \rfloor} \left[q + (1 - q) \, P(Y > \theta - j \eta)\right]

    Parameters
    ----------
    timeout : float or array
        θ ≥ η, at most 10,000 η. A worker is suspected when no later heartbeat has come so long after the last one *was
        sent*.
    period : float or array
        η, seconds from heartbeat to heartbeat.
    loss_probability : float or array
        q, the probability that a heartbeat is lost; independent of the others.
    delay : float, array or distribution
        Y, how long a heartbeat is on its way: the mean of an exponential distribution [s], 0 for no delay, or a
        distribution with ``sf``, such as those of ``scipy.stats``.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; a time-out below the period, or of more than `MOST_BEATS` periods.

    Examples
    --------
    1 % of the heartbeats are lost. Patience for one, two and three periods:

    >>> false_suspicion([1.5, 2.5, 3.5], period=1.0, loss_probability=0.01)
    array([1.e-02, 1.e-04, 1.e-06])

    Notes
    -----
    Chapter 07. All the heartbeats that the time-out has room for must be lost or late. `mistake_interval` makes a rate
    of it, `detection_time` says what the patience costs. A constant delay cancels when the silence is counted from the
    receipt, as Dask does: then take delay = 0.

    References
    ----------
    Chen, Toueg, Aguilera: On the quality of service of failure detectors. IEEE Transactions on Computers 51(5), 2002,
    section 3 (NFD-S; their δ + η is θ).
    """
    timeout, period, loss = _heartbeats(timeout, period, loss_probability)
    late = _late(delay)
    beats = np.floor(timeout / period * (1 + 1e-12))  # 0.3 / 0.1 is 2.9999999999999996, and has room for three
    if (beats > MOST_BEATS).any():
        raise ValueError(f"timeout is {plain(timeout)}; it must be at most {MOST_BEATS} periods")
    missing = np.ones(beats.shape)
    for back in range(int(beats.max(initial=0))):  # the last heartbeat first
        left = np.maximum(timeout - (beats - back) * period, 0.0)
        missing = np.where(back < beats, missing * (loss + (1 - loss) * late(left)), missing)
    return plain(missing)


def _heartbeats(timeout: ArrayLike, period: ArrayLike, loss: ArrayLike) -> tuple[np.ndarray, ...]:
    timeout, period, loss = np.broadcast_arrays(
        positive("timeout", timeout),
        positive("period", period),
        number("loss_probability", loss, low=0, high=1),
    )
    if (timeout < period).any():
        raise ValueError(f"timeout is {plain(timeout)}; it must be at least the period, {plain(period)}")
    return timeout, period, loss


def _late(delay: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the probability that a message takes longer than a time, as a function of it."""
    if hasattr(delay, "sf"):
        return delay.sf
    mean = amount("delay", delay)
    some = mean > 0

    def tail(time: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # e to minus infinity is the right 0
            return np.where(some, np.exp(-time / np.where(some, mean, 1.0)), 0.0)

    return tail


def mistake_interval(timeout: ArrayLike, period: ArrayLike, loss_probability: ArrayLike, delay: Any = 0.0) -> Number:
    r"""Return the mean seconds from one false suspicion of a live worker to the next.

    .. math:: \frac{\eta}{(1 - q) \, P(Y \le \theta) \, P(\text{false suspicion})}

    Parameters
    ----------
    timeout, period, loss_probability, delay
        As in `false_suspicion`.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        Also where no heartbeat arrives in time, or none is ever late.

    Examples
    --------
    A heartbeat a second, 1 % lost: with a patience of 3.5 s one false alarm in 12 days, for each worker.

    >>> round(mistake_interval(3.5, 1.0, 0.01) / 86400, 1)
    11.7

    Notes
    -----
    Chapter 07. A suspicion begins where a heartbeat that arrived in time is followed by too long a silence. With a
    thousand workers the scheduler sees a thousand times as many. Source: as `false_suspicion`.
    """
    timeout, period, loss = _heartbeats(timeout, period, loss_probability)
    arrives = (1 - loss) * (1 - _late(delay)(timeout))
    rate = arrives * false_suspicion(timeout, period, loss, delay) / period
    if (rate < 1e-300).any():
        raise ValueError(
            f"loss_probability is {plain(loss)}; with this timeout and delay, heartbeats must be both possible and"
            " possible to miss"
        )
    return plain(1 / rate)


def detection_time(timeout: ArrayLike, period: ArrayLike, loss_probability: ArrayLike = 0.0) -> Number:
    r"""Return the mean seconds from a worker's death to its suspicion; it is never more than ``timeout``.

    .. math:: E[D] = E\left[\max(0,\, \theta - U \eta - J \eta)\right], \qquad
              U \sim \mathrm{uniform}(0, 1), \quad P(J = j) = (1 - q) q^j

    Parameters
    ----------
    timeout, period, loss_probability
        As in `false_suspicion`; delays are left out.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; a time-out below the period.

    Examples
    --------
    >>> detection_time(10.0, period=1.0)
    9.5

    Notes
    -----
    Chapter 07. The silence began before the death: on average half a period, and a period for each of the last J
    heartbeats that was lost. Who is under false suspicion when it dies is detected in no time. What a time-out gains
    here it loses in `false_suspicion`. Derived here; source of the model: as `false_suspicion`.
    """
    timeout, period, loss = _heartbeats(timeout, period, loss_probability)
    beats, rest = np.floor(timeout / period), np.mod(timeout / period, 1.0)
    # The integral of P(U + J < y) up to θ, in periods: over whole ones, 1 − q^j (1 + q) / 2 each, and the last part.
    with np.errstate(divide="ignore", invalid="ignore"):
        log_lost = np.log1p(-(1 - loss))
        geometric = np.where(loss == 1, beats, -np.expm1(beats * log_lost) / (1 - loss))
    all_lost = loss**beats
    mean = beats - (1 + loss) / 2 * geometric + rest * (1 - all_lost) + (1 - loss) * all_lost * rest**2 / 2
    return plain(np.clip(mean * period, 0.0, timeout))


# ---- messages that are sent again


def expected_sends(loss_probability: ArrayLike, attempts: ArrayLike | None = None) -> Number:
    r"""Return how often a message is sent on average until its acknowledgement is back (at-least-once delivery).

    .. math:: \frac{1 - (1 - s)^k}{s}, \qquad s = (1 - q)^2

    Parameters
    ----------
    loss_probability : float or array
        q < 1, the probability that a message is lost, and that an acknowledgement is; all independent.
    attempts : int or array, optional
        k, after so many sends the sender gives up; without limit if left out.

    Returns
    -------
    float or array
        Messages, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; a loss probability of 1 where ``attempts`` has no limit.

    Examples
    --------
    >>> round(expected_sends(0.1), 3), round(expected_sends(0.1, attempts=2), 3)
    (1.235, 1.19)

    Notes
    -----
    Chapter 07. A send ends the matter when message and acknowledgement both arrive. Derived here: a geometric number of
    sends, cut off after the last attempt.
    """
    loss, attempts = _sends(loss_probability, attempts)
    success = (1 - loss) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        sends = -np.expm1(attempts * np.log1p(-success)) / success
    return plain(np.where(success == 0, attempts, sends))


def expected_deliveries(loss_probability: ArrayLike, attempts: ArrayLike | None = None) -> Number:
    r"""Return how often a message arrives on average under at-least-once delivery.

    .. math:: (1 - q) \cdot \text{expected\_sends} \; \to \; \frac{1}{1 - q}

    Parameters
    ----------
    loss_probability, attempts
        As in `expected_sends`.

    Returns
    -------
    float or array
        Messages, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; a loss probability of 1 where ``attempts`` has no limit.

    Examples
    --------
    >>> round(expected_deliveries(0.1), 3)
    1.111

    Notes
    -----
    Chapter 07. Only lost acknowledgements make it more than 1. Derived here, from `expected_sends`.
    """
    loss, _ = _sends(loss_probability, attempts)
    return plain((1 - loss) * expected_sends(loss_probability, attempts))


def duplicate_probability(loss_probability: ArrayLike, attempts: ArrayLike | None = None) -> Number:
    r"""Return the probability that a message arrives more than once under at-least-once delivery.

    .. math:: q \, \left[1 - q^k - k \, q^{k-1} (1 - q)\right] \; \to \; q

    Parameters
    ----------
    loss_probability, attempts
        As in `expected_sends`.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; a loss probability of 1 where ``attempts`` has no limit.

    Examples
    --------
    >>> duplicate_probability(0.01)
    0.01

    Notes
    -----
    Chapter 07. The acknowledgement of the first arrival must be lost, and at least two of the k sends get through. So
    with any loss at all there are duplicates, and what a worker does must be idempotent. Derived here, as
    `expected_sends`.
    """
    loss, attempts = _sends(loss_probability, attempts)
    limited = np.isfinite(attempts) & (attempts >= 2)
    two_arrive = k_of_n(2, np.where(limited, attempts, 2), 1 - loss)
    return plain(loss * np.where(limited, two_arrive, attempts >= 2))


def _sends(loss: ArrayLike, attempts: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    loss = number("loss_probability", loss, low=0, high=1)
    if attempts is not None:
        return loss, count("attempts", attempts)
    if (loss == 1).any():
        raise ValueError("loss_probability is 1; it must be below 1 where attempts has no limit")
    return loss, np.asarray(np.inf)


# ---- agreement


def consensus_latency(latency: Any, replicas: ArrayLike) -> Number:
    r"""Return the mean seconds in which a leader has an entry on a majority of the replicas.

    .. math:: E\left[T_{\lfloor N/2 \rfloor}\right] \text{ of } N - 1 \text{ round trips}

    Parameters
    ----------
    latency : float, array or distribution
        A follower's time to answer, from the leader's message to the acknowledgement, as in `quorum_latency`: a mean
        [s], or a distribution.
    replicas : int or array
        N, the leader included. One replica agrees with itself at once.

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
    Five replicas wait for two of four followers, in milliseconds; six for three of five, which is slower and survives
    no more failures:

    >>> (1000 * consensus_latency(0.010, [1, 3, 5, 6])).round(2)
    array([0.  , 5.  , 5.83, 7.83])

    Notes
    -----
    Chapter 07. The leader is one of the majority. Assumes a steady leader, independent followers, and disks that are
    counted in their answers.

    References
    ----------
    Ongaro, Ousterhout: In search of an understandable consensus algorithm. USENIX ATC 2014, section 5.3.
    """
    replicas = number("replicas", replicas, low=1, high=1e6, whole=True)
    followers, needed = np.maximum(replicas - 1, 1), np.maximum(replicas // 2, 1)
    return plain(np.where(replicas > 1, quorum_latency(latency, followers, needed), 0.0))


def safe_lease(term: ArrayLike, drift: ArrayLike, delay: ArrayLike = 0.0) -> Number:
    r"""Return how long the holder of a lease may use it, by its own clock, so that it ends first at the holder [s].

    .. math:: \max\left(0,\; (1 - \rho) \left[\frac{\theta}{1 + \rho} - d\right]\right)

    Parameters
    ----------
    term : float or array
        θ, seconds by the grantor's clock, after which the grantor gives the lease to another.
    drift : float or array
        ρ in [0, 1): clocks run between 1 − ρ and 1 + ρ times as fast as time does. Quartz: 1e-5 to 1e-4.
    delay : float or array
        d, the longest time from the grant to the moment from which the holder counts. 0 if the holder counts from the
        sending of its *request*, which is before the grant: always safe, with no assumption on the network.

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
    >>> round(safe_lease(10.0, drift=1e-4, delay=0.05), 3)
    9.948

    Notes
    -----
    Chapter 07. The worst case is a fast clock at the grantor, whose term passes in θ / (1 + ρ), and a slow one at the
    holder. A process that pauses in the middle of its work (garbage collection, a stopped virtual machine) is outside
    of every lease: fencing tokens are for that.

    References
    ----------
    Gray, Cheriton: Leases: an efficient fault-tolerant mechanism for distributed file cache consistency. SOSP 1989.
    """
    term, delay = amount("term", term), amount("delay", delay)
    drift = number("drift", drift, low=0, high=1)
    return plain(np.maximum((1 - drift) * (term / (1 + drift) - delay), 0.0))


def gossip_rounds(nodes: ArrayLike) -> Number:
    r"""Return the mean rounds of push gossip until all nodes know a rumour: who knows it tells another at random.

    .. math:: \log_2 n + \ln n + 1.18

    Parameters
    ----------
    nodes : int or array
        n; one of them knows the rumour at first.

    Returns
    -------
    float or array
        Rounds, of the shape of ``nodes``; 0 for one node.

    Raises
    ------
    ValueError
        Not a whole number of at least 1.

    Examples
    --------
    A thousand times the nodes, less than twice the rounds:

    >>> gossip_rounds([1000, 1_000_000]).round(1)
    array([18.1, 34.9])

    Notes
    -----
    Chapter 07. The number of nodes that know doubles each round (log₂ n), until the last few wait to be hit by chance
    (ln n); what the doubling loses when calls begin to meet is the constant. It is not quite one, but changes with n by
    2·10⁻⁴ at most (Daknama et al.); its value is the limit that the exact mean, from the Markov chain of the number of
    nodes that know, approaches. For few nodes the formula says too much: by 0.02 rounds at 1000, 0.1 at 100, 0.3 at 32
    and 1.9 at 2.

    References
    ----------
    Pittel: On spreading a rumor. SIAM Journal on Applied Mathematics 47(1), 1987. Doerr, Künnemann: Tight analysis of
    randomized rumor spreading in complete graphs. ANALCO 2014. Daknama, Panagiotou, Reisser: Asymptotics for push on
    the complete graph. Stochastic Processes and their Applications 137, 2021.
    """
    nodes = count("nodes", nodes)
    return plain(np.where(nodes > 1, np.log2(nodes) + np.log(nodes) + _GOSSIP, 0.0))


# ---- batches


@dataclass(frozen=True, eq=False)
class Batch:
    """How full the batches of messages are and how long a message waits for its batch; as `batching` gives it.

    Attributes
    ----------
    size : float or array
        Mean messages of a batch.
    delay : float or array
        Mean seconds that a message waits until its batch is sent.
    """

    size: Number
    delay: Number


def batching(arrival_rate: ArrayLike, size: ArrayLike, timeout: ArrayLike | None = None) -> Batch:
    r"""Return the mean size of batches, and the mean delay by waiting for them to fill.

    .. math:: E[B] = 1 + E[K], \qquad
              E[D] = \frac{E[K (K + 1)]}{2 \lambda E[B]}, \qquad K = \min(b - 1,\, \mathrm{Poisson}(\lambda t))

    Parameters
    ----------
    arrival_rate : float or array
        λ > 0, messages per second, that come at random (Poisson).
    size : int or array
        b; a batch is sent when it has so many.
    timeout : float or array, optional
        t; it is sent at the latest so many seconds after its first message. Without one, it waits until it is full.

    Returns
    -------
    Batch
        Its ``size`` in messages and ``delay`` in seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    1000 messages a second in batches of up to 100: full batches take 50 ms more, a time-out of 10 ms caps it.

    >>> full, capped = batching(1000, 100), batching(1000, 100, timeout=0.010)
    >>> full.size, round(1000 * full.delay, 1)
    (100.0, 49.5)
    >>> round(capped.size, 1), round(1000 * capped.delay, 1)
    (11.0, 5.5)

    Notes
    -----
    Chapter 07. K messages join the first. Message j + 1 of a batch comes, with probability P(K > j), while the batch is
    open, and j + 1 messages wait on average 1 / λ until then. An overhead of o per batch is o / E[B] per message:
    larger batches buy throughput with delay. Derived here.
    """
    rate, size = positive("arrival_rate", arrival_rate), count("size", size, high=1e9)
    room = size - 1.0
    # A batch that could take 10¹² more messages in its time is full; the cap keeps the squares representable.
    expected = np.minimum(np.inf if timeout is None else rate * amount("timeout", timeout), 1e12)
    full = np.where(room > 0, special.pdtrc(np.maximum(room, 1) - 1, expected), 0.0)
    below = np.where(room >= 2, special.pdtr(np.maximum(room - 2, 0), expected), 0.0)
    below_by_two = np.where(room >= 3, special.pdtr(np.maximum(room - 3, 0), expected), 0.0)
    # E[K] and E[K (K + 1) / 2] of a Poisson number that is cut off at `room`: sums of positive terms.
    joined = expected * below + room * full
    waits = expected**2 * below_by_two / 2 + expected * below + room * (room + 1) / 2 * full
    return Batch(plain(1 + joined), plain(waits / (rate * (1 + joined))))
