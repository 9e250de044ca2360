"""How many servers are enough. Taught in chapters 12, 17 and 24."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from course.domain import number, plain, scalar
from course.models.erlang import erlang_b
from course.models.quantity import amount, count, positive
from course.models.queueing import mmc

Number = float | np.ndarray


def servers_for(
    arrival_rate: float,
    service_rate: float,
    *,
    wait_quantile: tuple[float, float] | None = None,
    mean_wait: float | None = None,
    wait_probability: float | None = None,
) -> int:
    r"""Return the fewest servers with which an M/M/c queue keeps one objective.

    .. math:: c^* = \min \, \{ c > a : \text{the objective holds in M/M/} c \}, \quad a = \lambda / \mu

    Parameters
    ----------
    arrival_rate, service_rate : float
        λ, and μ of one server, per second.
    wait_quantile : (q, seconds), optional
        The share q of the customers shall wait no longer than that.
    mean_wait : float, optional
        The mean wait shall not exceed this [s].
    wait_probability : float, optional
        No greater share of the customers shall have to wait.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        Unless exactly one objective is given.

    Examples
    --------
    >>> servers_for(0.2, 1 / 240, wait_probability=0.25)
    55

    Notes
    -----
    Chapters 12 and 17. Source: as `mmc`.
    """
    arrivals = scalar("arrival_rate", arrival_rate, amount)
    rate = scalar("service_rate", service_rate, positive)
    objectives = {"wait_quantile": wait_quantile, "mean_wait": mean_wait, "wait_probability": wait_probability}
    given = [name for name, value in objectives.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(objectives)}; got {given or 'none'}")
    if given == ["wait_quantile"]:
        try:
            q, limit = wait_quantile
        except (TypeError, ValueError):
            raise ValueError(f"wait_quantile is {wait_quantile!r}; it must be (q, seconds)") from None
        number("wait_quantile[0]", q, low=0, high=1 - 1e-12)
    else:
        limit = objectives[given[0]]
    limit = scalar(given[0], limit, low=0, high=1 if given == ["wait_probability"] else np.inf)

    def kept(servers: int) -> bool:
        if load >= float(servers):  # a float of this size may not tell them apart
            return False
        queue = mmc(arrivals, rate, servers)
        if given == ["wait_quantile"]:
            return queue.wait_quantile(q) <= limit
        return getattr(queue, given[0]) <= limit

    load = scalar("arrival_rate / service_rate", arrivals / rate, high=1e17)
    servers = int(load) + 1
    if given != ["wait_quantile"] and limit == 0 and arrivals > 0:
        raise ValueError(f"{given[0]} is 0; no finite number of servers reaches that: it must be greater than 0")
    # Double until it is enough, then halve the gap: the wait falls with every server.
    low, high = servers, servers
    while not kept(high):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if kept(middle) else (middle + 1, high)
    return high


def servers_for_loss(load: float, loss: float) -> int:
    r"""Return the fewest servers, or units of memory, of which at most a share of the requests finds none free.

    .. math:: c^* = \min \, \{ c : B(c, a) \le \varepsilon \}

    Parameters
    ----------
    load : float
        a, offered load in erlangs: the units that would be in use if there were enough. At most 10 million.
    loss : float
        ε > 0, the share that may be refused.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Eight pools that are made one need a fifth less.

    >>> 8 * servers_for_loss(64, 0.001), servers_for_loss(8 * 64, 0.001)
    (704, 567)

    Notes
    -----
    Chapters 12 and 24. Source: as `erlang_b`. How long a unit is held matters only through its mean.
    """
    load, loss = scalar("load", load, low=0, high=1e7), scalar("loss", loss, above=0, low=1e-12, high=1)
    low, high = 0, 1
    while erlang_b(load, high) > loss:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if erlang_b(load, middle) <= loss else (middle + 1, high)
    return high


def square_root_staffing(load: ArrayLike, quality: ArrayLike) -> int | np.ndarray:
    r"""Return the servers by the square-root rule: load + quality × √load, rounded up.

    .. math:: c = \left\lceil a + \beta \sqrt{a} \, \right\rceil

    Parameters
    ----------
    load : float or array
        a = λ / μ, in erlangs.
    quality : float or array
        β > 0: the spare servers in units of √a. `halfin_whitt` gives the probability of waiting that belongs to it.

    Returns
    -------
    int or array of int
        Servers, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> square_root_staffing(100, 1.0), square_root_staffing(10_000, 1.0)
    (110, 10100)

    Notes
    -----
    Chapters 12 and 17. Halfin, Whitt: Heavy-traffic limits for queues with many exponential servers. Operations
    Research 29(3), 1981.
    """
    load, quality = amount("load", load), positive("quality", quality)
    # The subtraction keeps rounding errors from adding a server: 100 + 1.0 × 10.000000000000002 is 110.
    servers = number("load + quality √load", np.ceil(load + quality * np.sqrt(load) - 1e-9), high=1e18).astype(int)
    return int(servers) if servers.ndim == 0 else servers


def halfin_whitt(quality: ArrayLike) -> Number:
    r"""Return the probability of waiting under square-root staffing as the system grows.

    .. math:: P(W > 0) \to \left[1 + \beta \, \Phi(\beta) / \varphi(\beta)\right]^{-1}

    Parameters
    ----------
    quality : float or array
        β > 0.

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
    >>> round(halfin_whitt(1.0), 4)
    0.2234

    Notes
    -----
    Chapters 12 and 17. Source: as `square_root_staffing`.
    """
    quality = positive("quality", quality)
    density = norm.pdf(quality)
    return plain(density / (density + quality * norm.cdf(quality)))


def critical_gain(lag: ArrayLike) -> Number:
    r"""Return the gain above which a controller that acts on old news swings ever wider.

    .. math:: g^* = 2 \sin \frac{\pi}{2 (2 d + 1)}

    Parameters
    ----------
    lag : int or array of int
        d, how many ticks old the error is that is corrected.

    Returns
    -------
    float or array
        The largest share of the error that may be corrected in one tick.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> critical_gain([0, 1, 2, 3]).round(3)
    array([2.   , 1.   , 0.618, 0.445])

    Notes
    -----
    The error follows :math:`e_{t+1} = e_t - g \, e_{t-d}`, with the characteristic equation :math:`z^{d+1} = z^d - g`.
    At the limit a root is on the unit circle, :math:`z = e^{i \theta}`: then :math:`|1 - e^{-i \theta}| = 2 \sin(\theta
    / 2) = g`, and the angles agree for :math:`\theta = \pi / (2 d + 1)`, a swing of :math:`2 (2 d + 1)` ticks. For long
    lags g d = π / 2. Derived here; the same number as 2 cos(d π / (2 d + 1)) of Levin and May. Chapter 17.

    References
    ----------
    S. A. Levin, R. M. May: A note on difference-delay equations. Theoretical Population Biology 9(2), 1976, pp.
    178–187.
    """
    lag = count("lag", lag, low=0)
    return plain(2 * np.sin(np.pi / (2 * (2 * lag + 1))))
