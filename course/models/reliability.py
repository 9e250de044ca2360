"""Availability, and how long data lasts. Taught in chapters 01, 04 and 16."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from course.domain import number, plain
from course.models.quantity import amount, positive

Number = float | np.ndarray


YEAR = 365 * 86_400.0  # seconds, the year of the usual tables of "nines"


def finite(name: str, value: ArrayLike, cause: str) -> Number:
    """Return a result, or raise `ValueError` where it is too large for a float.

    Examples
    --------
    >>> finite("the time", float("inf"), "mtbf is too low")
    Traceback (most recent call last):
    ValueError: the time is too large for a number (above 1e308): mtbf is too low
    """
    if not np.isfinite(value).all():
        raise ValueError(f"{name} is too large for a number (above 1e308): {cause}")
    return plain(value)


# ---- availability


def series(*availabilities: ArrayLike) -> Number:
    r"""Return the availability of parts that are all needed.

    .. math:: A = \prod_i A_i

    Parameters
    ----------
    *availabilities : float or array
        The availability of each part, in [0, 1]; parts fail independently.

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
    Five services of three nines each, one behind the other:

    >>> round(series(*[0.999] * 5), 4)
    0.995

    Notes
    -----
    Chapter 01. Trivedi: Probability and Statistics with Reliability, Queuing, and Computer Science Applications, 2nd
    ed., Wiley 2002, section 1.10.
    """
    return plain(np.prod(np.broadcast_arrays(*_availabilities(availabilities)), axis=0))


def parallel(*availabilities: ArrayLike) -> Number:
    r"""Return the availability of parts of which one is enough.

    .. math:: A = 1 - \prod_i (1 - A_i)

    Parameters
    ----------
    *availabilities : float or array
        As in `series`.

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
    Two machines of two nines each make four nines, if they really fail independently:

    >>> round(parallel(0.99, 0.99), 6)
    0.9999

    Notes
    -----
    Chapter 01. Source: as `series`.
    """
    return plain(1 - np.prod(1 - np.array(np.broadcast_arrays(*_availabilities(availabilities))), axis=0))


def _availabilities(values: tuple) -> list[np.ndarray]:
    if not values:
        raise ValueError("availabilities is empty; give at least one")
    return [number("availabilities", value, low=0, high=1) for value in values]


def k_of_n(needed: ArrayLike, parts: ArrayLike, availability: ArrayLike) -> Number:
    r"""Return the probability that at least ``needed`` of ``parts`` parts are up.

    .. math:: \sum_{i=k}^{n} \binom{n}{i} A^i (1 - A)^{n - i} = I_A(k,\, n - k + 1)

    Parameters
    ----------
    needed, parts : int or array
        k and n, k ≤ n.
    availability : float or array
        A of each part; parts fail independently. The same sum with a probability of *failure* gives, with all its
        digits, the probability that at least k of n fail.

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
    >>> round(k_of_n(2, 3, 0.9), 6)
    0.972

    Notes
    -----
    Chapters 01 and 04. I is the regularized incomplete beta function, a sum of positive terms: no digits are lost.
    Source: Trivedi, as `series`, section 1.12.
    """
    needed = number("needed", needed, low=0, whole=True)
    parts = number("parts", parts, low=0, whole=True)
    availability = number("availability", availability, low=0, high=1)
    if (needed > parts).any():
        raise ValueError(f"needed is {plain(needed)}; it must be at most the parts, {plain(parts)}")
    at_least_one = np.maximum(needed, 1)  # with none needed the sum is 1, and I is not defined
    return plain(
        np.where(needed == 0, 1.0, special.betainc(at_least_one, np.maximum(parts - at_least_one + 1, 1), availability))
    )


def availability(mtbf: ArrayLike, mttr: ArrayLike) -> Number:
    r"""Return the share of time that something is up which fails and is repaired in turn.

    .. math:: A = \frac{\text{MTBF}}{\text{MTBF} + \text{MTTR}}

    Parameters
    ----------
    mtbf : float or array
        Mean seconds from the end of a repair to the next failure. Strictly that is the MTTF; some count the repair in.
    mttr : float or array
        Mean seconds from a failure to the end of its repair.

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
    A failure a month and an hour to repair it:

    >>> round(availability(30 * 86400, 3600), 5)
    0.99861

    Notes
    -----
    Chapters 01 and 16. Depends on the distributions only through their means. Half the repair time is worth as much as
    twice the time between failures. Source: as `series`, section 6.6.
    """
    mtbf, mttr = positive("mtbf", mtbf), amount("mttr", mttr)
    return plain(mtbf / (mtbf + mttr))


def downtime_per_year(availability: ArrayLike) -> Number:
    r"""Return the seconds of a year (365 days) in which something of that availability is down.

    .. math:: D = (1 - A) \cdot 365 \cdot 86\,400 \; \text{s}

    Parameters
    ----------
    availability : float or array
        A, in [0, 1].

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
    Four nines are 52.56 minutes a year:

    >>> round(downtime_per_year(0.9999) / 60, 2)
    52.56

    Notes
    -----
    Chapter 01. Beyer, Jones, Petoff, Murphy (eds.): Site Reliability Engineering. O'Reilly 2016, appendix A.
    """
    return plain((1 - number("availability", availability, low=0, high=1)) * YEAR)


# ---- data loss

Repair = Literal["parallel", "serial"]


def mttdl_erasure(
    data: ArrayLike, parity: ArrayLike, mtbf: ArrayLike, mttr: ArrayLike, repair: Repair = "parallel"
) -> Number:
    r"""Return the mean time to data loss of an object in an erasure code, from all fragments present [s].

    .. math:: \text{MTTDL} = \sum_{j=0}^{m} t_j, \qquad t_0 = \frac{\text{MTBF}}{n}, \qquad
              t_j = \frac{\text{MTBF}}{n - j} \left(1 + \frac{t_{j-1}}{\text{MTTR}_j}\right), \qquad n = k + m

    Parameters
    ----------
    data, parity : int or array
        k and m: any k of the k + m fragments give the object back; it is lost with the m + 1st of them. m ≤ 1000.
    mtbf : float or array
        MTBF, mean seconds to the failure of the machine of one fragment.
    mttr : float or array
        MTTR, mean seconds to restore one fragment.
    repair : {"parallel", "serial"}
        Whether all missing fragments are restored at once (MTTR_j = MTTR / j) or one after the other (MTTR_j = MTTR).

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        Also where the result is too large for a number.

    Examples
    --------
    A mirrored pair of disks that fail every 100,000 hours, replaced within 10 hours, in years:

    >>> hour, year = 3600, 365 * 86400
    >>> round(mttdl_erasure(1, 1, 100_000 * hour, 10 * hour) / year, -2)
    57100.0

    Notes
    -----
    Chapters 04 and 16. The exact mean of a birth-and-death Markov chain: t_j is the mean time from j missing fragments
    to the first time that j + 1 are; either the next failure comes first, or a repair, and then all is to be done
    again. Assumes exponential times and *independent* failures. Really the machines of one rack, one batch and one
    software release fail together, and the result is far too good: use it to compare, not to promise.

    References
    ----------
    Trivedi: Probability and Statistics with Reliability, Queuing, and Computer Science Applications, 2nd ed., Wiley
    2002, section 8.5. On its limits: Greenan, Plank, Wylie: Mean time to meaningless. HotStorage 2010.
    """
    data, parity, mtbf, ratio = _lossy(data, parity, mtbf, mttr, repair)
    fragments = data + parity
    step = total = np.zeros(fragments.shape)
    with np.errstate(over="ignore"):
        for j in range(int(parity.max(initial=0)) + 1):
            # In units of the mtbf. Never a subtraction, so that no digits are lost.
            alive = np.maximum(fragments - j, 1)
            repairs = min(j, 1) if repair == "serial" else j
            step = (1 + (repairs * ratio * step if j else 0)) / alive
            total = np.where(j <= parity, total + step, total)
        return finite("the mean time to data loss", total * mtbf, "parity, or mtbf / mttr, is too high")


def mttdl_approximate(
    data: ArrayLike, parity: ArrayLike, mtbf: ArrayLike, mttr: ArrayLike, repair: Repair = "parallel"
) -> Number:
    r"""Return the usual approximation of the mean time to data loss, for repairs much faster than failures [s].

    .. math:: \text{MTTDL} \approx \frac{m! \; \text{MTBF}^{m+1}}{n (n - 1) \cdots (n - m) \; \text{MTTR}^m}, \qquad
              n = k + m; \qquad \text{repair one after the other: without } m!

    Parameters
    ----------
    data, parity, mtbf, mttr, repair
        As in `mttdl_erasure`.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown kind of repair; the message says what is allowed.

    Examples
    --------
    The exact value needs one more term, which is small here:

    >>> round(mttdl_approximate(1, 1, 1000.0, 1.0)), round(mttdl_erasure(1, 1, 1000.0, 1.0))
    (500000, 501500)

    Notes
    -----
    Chapters 04 and 16. The largest term of the exact sum: always below it. One disk of parity is the formula of the
    RAID paper, MTTF² / (n (n − 1) MTTR).

    References
    ----------
    Patterson, Gibson, Katz: A case for redundant arrays of inexpensive disks (RAID). SIGMOD 1988.
    """
    data, parity, mtbf, ratio = _lossy(data, parity, mtbf, mttr, repair)
    fragments = data + parity
    log = parity * np.log(ratio) - special.gammaln(fragments + 1) + special.gammaln(data)
    if repair == "parallel":
        log = log + special.gammaln(parity + 1)
    with np.errstate(over="ignore"):
        return finite("the mean time to data loss", np.exp(log) * mtbf, "parity, or mtbf / mttr, is too high")


def mttdl_replication(replicas: ArrayLike, mtbf: ArrayLike, mttr: ArrayLike, repair: Repair = "parallel") -> Number:
    r"""Return the mean time to data loss of an object in ``replicas`` copies [s].

    .. math::
        \text{MTTDL} \approx \frac{\text{MTBF}}{N} \left(\frac{\text{MTBF}}{\text{MTTR}}\right)^{N - 1}, \quad
        \text{MTTR} \ll \text{MTBF}, \; \text{repair in parallel}

    Parameters
    ----------
    replicas : int or array
        N, at least 1; the object is lost with the last of them.
    mtbf, mttr, repair
        As in `mttdl_erasure`, of which this is the case of one data fragment.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown kind of repair; the message says what is allowed.

    Examples
    --------
    Each copy more multiplies the time by about mtbf / mttr:

    >>> day = 86400.0
    >>> [f"{t / day:.3g} days" for t in mttdl_replication([1, 2, 3], 1000 * day, 1 * day)]
    ['1e+03 days', '5.02e+05 days', '3.35e+08 days']

    Notes
    -----
    Chapters 04 and 16. Source: as `mttdl_erasure`.
    """
    replicas = number("replicas", replicas, low=1, high=1001, whole=True)
    return mttdl_erasure(1, replicas - 1, mtbf, mttr, repair)


def _lossy(data: ArrayLike, parity: ArrayLike, mtbf: ArrayLike, mttr: ArrayLike, repair: str) -> tuple[np.ndarray, ...]:
    """Return the arguments checked and broadcast: data, parity, mtbf and mtbf / mttr."""
    if repair not in ("parallel", "serial"):
        raise ValueError(f"repair is {repair!r:.80}; it must be 'parallel' or 'serial'")
    data = number("data", data, low=1, high=1e6, whole=True)
    parity = number("parity", parity, low=0, high=1000, whole=True)
    mtbf, mttr = positive("mtbf", mtbf), positive("mttr", mttr)
    return tuple(np.broadcast_arrays(data, parity, mtbf, mtbf / mttr))


def annual_loss_probability(
    data: ArrayLike, parity: ArrayLike, annual_failure_rate: ArrayLike, repair_time: ArrayLike
) -> Number:
    r"""Return the probability that an object in an erasure code is lost within a year; 1 minus it is the durability.

    .. math:: 1 - (1 - Q)^{Y / r}, \qquad Q = \sum_{i=m+1}^{n} \binom{n}{i} q^i (1 - q)^{n-i}, \qquad
              q = 1 - e^{-\text{AFR} \, r / Y}

    Parameters
    ----------
    data, parity : int or array
        k and m of the code; n = k + m. Replication is k = 1.
    annual_failure_rate : float or array
        AFR, failures of one machine or disk in a year.
    repair_time : float or array
        r, seconds to restore a fragment; at most Y, a year of 365 days.

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
    Seventeen data and three parity shards, disks that fail at 0.405 % a year and are restored in 6.5 days:

    >>> loss = annual_loss_probability(17, 3, 0.00405, 6.5 * 86400)
    >>> f"{loss:.3e}", nines(loss)
    ('7.354e-12', 11)

    Notes
    -----
    Chapters 04 and 16. Cuts the year into windows of one repair time, and takes as loss m + 1 failures in the same
    window. Failures on both sides of an edge are not seen: where failures are rare, the loss is m + 1 times smaller
    than what `mttdl_erasure` says of repairs in parallel, a year divided by the MTTDL. Both assume independent
    failures; see there.

    References
    ----------
    Backblaze: erasure-coding-durability. github.com/Backblaze/erasure-coding-durability, 2018.
    """
    data = number("data", data, low=1, high=1e6, whole=True)
    parity = number("parity", parity, low=0, high=1e6, whole=True)
    rate = amount("annual_failure_rate", annual_failure_rate)
    window = number("repair_time", repair_time, low=1e-3, high=YEAR) / YEAR
    fails = -np.expm1(-rate * window)
    lost = k_of_n(parity + 1, data + parity, fails)
    with np.errstate(divide="ignore"):
        return plain(-np.expm1(np.log1p(-np.asarray(lost)) / window))


def nines(loss_probability: ArrayLike) -> int | np.ndarray:
    r"""Return the whole number of nines in 1 − probability: 3 from 0.999 to below 0.9999.

    .. math:: \left\lfloor -\log_{10} q \right\rfloor

    Parameters
    ----------
    loss_probability : float or array
        q, above 0: the probability of loss, or of being down. Given instead of the durability because a durability of
        twenty nines is 1 to a computer.

    Returns
    -------
    int or array of int
        Of the shape of ``loss_probability``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> nines([0.1, 0.0009, 7.354e-12]).tolist()
    [1, 3, 11]

    Notes
    -----
    Chapters 01 and 04. By definition.
    """
    loss = number("loss_probability", loss_probability, above=0, high=1)
    # 1e-3 is three nines, though its logarithm may come out as −2.9999999999999996.
    count = np.floor(np.round(-np.log10(loss), 12)).astype(int)
    return int(count) if count.ndim == 0 else count
