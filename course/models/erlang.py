"""Erlang's formulas: who is turned away, and who has to wait. Taught in chapter 12."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc, gammaln, hyp2f1, xlogy

from course.domain import UnstableError, plain
from course.models.quantity import amount, count

Number = float | np.ndarray

# Terms of the continued fraction; it is used six standard deviations from the mean, where these give 15 digits.
_TERMS = 40
# From this count on Stirling's series is exact to rounding, and the logarithm of the factorial is not.
_STIRLING = 100


def stable(utilization: np.ndarray) -> np.ndarray:
    """Return the utilization, or raise `UnstableError` where it is not below 1."""
    if (utilization >= 1).any():
        raise UnstableError(plain(utilization))
    return utilization


def poisson(k: ArrayLike, mean: ArrayLike) -> np.ndarray:
    r"""Return the Poisson probability of k, accurate to 11 digits for any k and mean.

    .. math:: P(k) = \frac{\exp\left(-k \, [u - \ln(1 + u)] - \delta(k)\right)}{\sqrt{2 \pi k}},
              \quad u = \frac{\text{mean} - k}{k}

    Written out as :math:`k \ln m - m - \ln k!` it is the small difference of huge numbers: at k = 10⁷ only 7 digits
    are left. δ is what Stirling's formula for ln k! leaves over.

    References
    ----------
    Loader: Fast and accurate computation of binomial probabilities. 2000.
    """
    k, mean = np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(mean, dtype=float))
    small = k < _STIRLING
    with np.errstate(divide="ignore", over="ignore"):
        few = np.where(small, k, 0.0)
        direct = xlogy(few, mean) - mean - gammaln(few + 1)
        many = np.where(small, _STIRLING, k)
        u = (mean - many) / many
        near = np.abs(u) < 0.5
        tiny = np.where(near, u, 0.0)
        # u − ln(1 + u) without cancellation, as a hypergeometric function.
        deviance = np.where(near, tiny**2 / 2 * hyp2f1(1, 2, 3, -tiny), u - np.log(mean / many))
        rest = (1 - (1 / 30 - 1 / (105 * many**2)) / many**2) / (12 * many)
        saddle = -many * deviance - rest - np.log(2 * np.pi * many) / 2
        return np.exp(np.where(small, direct, saddle))


def erlang_b(load: ArrayLike, servers: ArrayLike) -> Number:
    r"""Return the share of customers turned away when there is no room to wait (Erlang B, M/G/c/c).

    .. math:: B(c, a) = \frac{a^c / c!}{\sum_{k=0}^{c} a^k / k!}

    Parameters
    ----------
    load : float or array
        a = λ / μ, offered load in erlangs: the servers that would be busy if there were enough.
    servers : int or array
        c.

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
    >>> round(erlang_b(load=4.461, servers=10), 4)
    0.01

    Notes
    -----
    Divided by :math:`e^a` above and below, it is the Poisson probability of c over that of at most c; this is how it is
    computed, in the same time for ten servers and for ten million. With far fewer servers than load both vanish, and
    Legendre's continued fraction gives their ratio:

    .. math:: a B = a - c + \cfrac{1 \cdot c}{a - c + 2 + \cfrac{2 (c - 1)}{a - c + 4 + \dots}}

    Depends on the service times only through their mean. Chapter 12.

    References
    ----------
    Erlang: Løsning af nogle Problemer fra Sandsynlighedsregningen af Betydning for de automatiske Telefoncentraler.
    Elektroteknikeren 13, 1917.
    """
    load, servers = np.broadcast_arrays(amount("load", load), count("servers", servers, low=0))
    lost = load - servers
    overloaded = lost > 6 * np.sqrt(load)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        fraction = np.zeros(load.shape)
        for k in range(_TERMS, 0, -1):
            fraction = k * np.maximum(servers - k + 1, 0) / (lost + 2 * k + fraction)
        ratio = poisson(servers, load) / gammaincc(servers + 1, load)
        ratio = np.where(overloaded, (lost + fraction) / load, ratio)
        # One server and none: without a last digit that is rounded.
        return plain(np.select([servers == 0, servers == 1], [1.0, 1 / (1 + 1 / load)], ratio))


def erlang_c(load: ArrayLike, servers: ArrayLike) -> Number:
    r"""Return the probability that a customer has to wait (Erlang C, M/M/c).

    .. math:: C(c, a) = \frac{B}{1 - \rho (1 - B)}, \qquad \rho = a / c

    Parameters
    ----------
    load : float or array
        a = λ / μ, offered load in erlangs; below ``servers``.
    servers : int or array
        c.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    UnstableError
        If the load is not below the number of servers.

    Examples
    --------
    A call centre: 48 erlangs on 55 agents.

    >>> round(erlang_c(load=48, servers=55), 4)
    0.2387

    Notes
    -----
    Chapter 12. Source: as `erlang_b`.
    """
    load, servers = amount("load", load), count("servers", servers)
    utilization = stable(load / servers)
    blocked = erlang_b(load, servers)
    return plain(blocked / (1 - utilization * (1 - blocked)))
