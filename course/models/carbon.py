"""Work that waits for cleaner or cheaper hours of the day. Taught in chapter 24."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, plain

Number = float | np.ndarray
DAY = 24.0
"""Hours."""


def shifting_saving(swing: ArrayLike, duration: ArrayLike, slack: ArrayLike) -> Number:
    r"""Return the share of carbon (or of money) that a job saves if it may start later, at the best moment.

    .. math:: s \; \mathrm{sinc}\!\left(\tfrac{D}{24}\right)
              \left[\frac{w}{24} + \frac{1}{\pi} \sin\frac{\pi w}{24}\right],
              \qquad \mathrm{sinc}\, x = \frac{\sin \pi x}{\pi x}

    Parameters
    ----------
    swing : float or array
        s in [0, 1]: the intensity is a cosine of one day with this swing around its mean.
    duration : float or array
        D, hours that the job runs without a break, up to 24.
    slack : float or array
        w, hours by which its start may be delayed; beyond 24 more is of no use.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments: against starting at once, over all hours of arrival.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    Eight hours of slack bring three fifths of what a whole day brings.

    >>> shifting_saving(0.3, 4, [0, 4, 8, 24]).round(3)
    array([0.   , 0.093, 0.174, 0.286])

    Notes
    -----
    The mean over D hours of a cosine is a cosine whose swing is s sinc(D/24). Of all phases, the share w/24 has the
    trough within reach; the others start at the better end of their window. Integrated over the phase that gives the
    bracket. Its derivative, (1 + cos(πw/24)) / 24, is what the next hour of slack is worth. Derived here. Chapter 24.

    References
    ----------
    Wiesner, Behnke, Scheinert, Gontarska, Thamsen: Let's wait awhile: how temporal workload shifting can reduce carbon
    emissions in the cloud. Middleware 2021.
    """
    swing, duration = number("swing", swing, low=0, high=1), number("duration", duration, low=0, high=DAY)
    slack = np.minimum(number("slack", slack, low=0), DAY)
    reach = slack / DAY + np.sin(np.pi * slack / DAY) / np.pi
    return plain(np.maximum(swing * np.sinc(duration / DAY) * reach, 0.0))


def fleet_saving(swing: ArrayLike, flexible: ArrayLike, headroom: ArrayLike) -> Number:
    r"""Return the share of carbon that a fleet saves when a part of its work moves to the best hours of the day.

    .. math:: \varphi \, s \; \mathrm{sinc}\!\left(\frac{\varphi}{\varphi + g}\right)

    Parameters
    ----------
    swing : float or array
        s in [0, 1], as in `shifting_saving`.
    flexible : float or array
        φ in [0, 1]: the share of the work that may run at any hour of its day; the rest is even over the day.
    headroom : float or array
        g ≥ 0: the capacity is 1 + g times the mean load.

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
    >>> round(fleet_saving(0.3, flexible=0.3, headroom=0.2), 3), round(fleet_saving(0.3, 1.0, 1e9), 3)
    (0.045, 0.3)

    Notes
    -----
    In the best hours there is room for φ + g beside the rest, so φ fills 24 φ / (φ + g) hours to the brim: the mean of
    a cosine around its trough is again a sinc. Derived here. Chapter 24.

    References
    ----------
    Radovanović et al.: Carbon-aware computing for datacenters. IEEE Transactions on Power Systems 38(2), 2023, pp.
    1270–1280: what a fleet does, with such a limit.
    """
    swing, part = number("swing", swing, low=0, high=1), number("flexible", flexible, low=0, high=1)
    spare = number("headroom", headroom, low=0)
    filled = np.where(part + spare > 0, part / np.where(part + spare > 0, part + spare, 1.0), 1.0)
    return plain(part * swing * np.maximum(np.sinc(filled), 0.0))
