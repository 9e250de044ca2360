"""What a profiler that looks at random or regular instants can know: errors of shares, and lockstep. Chapter 11."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, plain, scalar, whole

MOST_SAMPLES = 10**15
"""Samples up to which errors are computed."""
HARMONICS = 20_000
"""Terms of the Fourier series of a phase; what is left out is below a share of 5e-6, squared."""


def share_standard_error(share: ArrayLike, samples: ArrayLike) -> float | np.ndarray:
    r"""Return how far the share that a sampling profiler shows is off, as a standard deviation.

    Each of n samples finds the function with probability p, independently: the count is binomial, and the share of the
    samples has the standard deviation

    .. math:: \sqrt{p (1 - p) / n}

    Parameters
    ----------
    share : float or array
        p, the share of the time that is spent there; from 0 to 1.
    samples : int or array
        n.

    Returns
    -------
    float or array
        Half of it is often seen, twice of it rarely.

    Raises
    ------
    ValueError
        A share outside [0, 1]; fewer samples than one, more than 1e15, or not a whole number of them.

    Examples
    --------
    Ten seconds of one thread at 10 ms a sample:

    >>> round(share_standard_error(0.3, 1000), 4)
    0.0145

    Notes
    -----
    The samples must be independent of each other: at random instants, or of a program without rhythm. Where neither
    holds, see `lockstep` and `jittered_standard_error`. Taught in chapter 11.

    References
    ----------
    McCanne, Torek: A randomized sampling clock for CPU utilization estimation and code profiling. USENIX Winter 1993.
    """
    p, n = number("share", share, low=0, high=1), _samples(samples)
    return plain(np.sqrt(p * (1 - p) / n))


def samples_for_share(share: ArrayLike, error: ArrayLike, level: float = 0.95) -> float | np.ndarray:
    r"""Return how many samples show a share with an error that is exceeded rarely.

    By the normal approximation of the binomial distribution, with z the quantile of the level:

    .. math:: n = \left\lceil \left(\frac{z}{\epsilon}\right)^2 p (1 - p) \right\rceil

    Parameters
    ----------
    share : float or array
        p; 0.5 where nothing is known.
    error : float or array
        ε, greatest difference from p that is allowed; at least 1e-6.
    level : float
        How often the difference may not exceed it, at most 1 - 1e-12.

    Returns
    -------
    float or array
        A whole number, at least 1.

    Raises
    ------
    ValueError
        A share outside [0, 1], an error or a level outside their ranges.

    Examples
    --------
    A third of the error takes nine times the samples:

    >>> samples_for_share(0.3, 0.03), samples_for_share(0.3, 0.01)
    (897.0, 8068.0)

    Notes
    -----
    Poor where n p (1 - p) is below about 10: `share_interval` holds there too. Taught in chapter 11.

    References
    ----------
    Brown, Cai, DasGupta: Interval estimation for a binomial proportion. Statistical Science 16(2), 2001.
    """
    from scipy.stats import norm

    p, e = number("share", share, low=0, high=1), number("error", error, low=1e-6, high=1)
    z = norm.ppf(0.5 + _level(level) / 2)
    return plain(np.maximum(1.0, np.ceil((z / e) ** 2 * p * (1 - p))))


def share_interval(hits: int, samples: int, level: float = 0.95) -> tuple[float, float]:
    r"""Return the interval in which the true share lies, as a sampling profiler that saw it so often can say.

    .. math::
        \frac{\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4 n^2}}}
        {1 + \frac{z^2}{n}}

    Wilson's interval: the shares from which what was seen differs by no more than z of *their* standard errors. It is
    not empty where nothing was seen: a function that no sample found may still take some of the time.

    Parameters
    ----------
    hits : int
        Samples that found the function, n p̂.
    samples : int
        All samples, n.
    level : float
        How often such an interval holds the share, about; at most 1 - 1e-12. It gives z, the quantile of the normal
        distribution that leaves half of the rest above it: 1.96 for 0.95.

    Returns
    -------
    low, high : float

    Raises
    ------
    ValueError
        More hits than samples, or numbers outside their ranges.

    Examples
    --------
    >>> [round(end, 3) for end in share_interval(30, 100)]
    [0.219, 0.396]
    >>> [round(end, 3) for end in share_interval(0, 100)]
    [0.0, 0.037]

    Notes
    -----
    Computed by `scipy.stats.binomtest`. The samples must be independent, see `share_standard_error`. Taught in
    chapter 11.

    References
    ----------
    Wilson: Probable inference, the law of succession, and statistical inference. Journal of the American Statistical
    Association 22(158), 1927.
    """
    from scipy.stats import binomtest

    n = whole("samples", samples, low=1, high=MOST_SAMPLES)
    k = whole("hits", hits, low=0, high=n)
    low, high = binomtest(k, n).proportion_ci(_level(level), method="wilson")
    return float(low), float(high)


@dataclass(frozen=True)
class Lockstep:
    """What a periodic sampler can see of a periodic program.

    Attributes
    ----------
    points : int
        At how many points of the program's period all of its samples lie.
    low, high : float
        Least and greatest share that it can show, whatever the number of samples.
    standard_error : float
        Standard deviation of the share that it shows, over the instants at which it may begin.
    """

    points: int
    low: float
    high: float
    standard_error: float


def lockstep(share: float, interval: float, period: float) -> Lockstep:
    r"""Return what a profiler that samples at a fixed interval sees of a program that repeats itself.

    Let interval / period be a / b in lowest terms. Then all samples lie at b points of the period, equally far apart,
    and a function that takes a share p of it, in one piece, contains ⌊pb⌋ or ⌈pb⌉ of them: which, is decided by the
    instant of the first sample alone. With r the fraction of pb, the share shown has the standard deviation

    .. math:: \sqrt{r (1 - r)} / b

    More samples do not help. Where the program's period divides the interval, b is 1: the profiler shows all or
    nothing, and a thousand samples are worth one. Where b is large, it errs *less* than a random one.

    Parameters
    ----------
    share : float
        p, the share of the period that is spent in the function, from 0 to 1.
    interval, period : float
        Seconds between two samples, and after which the program repeats itself; 1e-6 to 1e6, rounded to a microsecond.

    Returns
    -------
    Lockstep

    Raises
    ------
    ValueError
        A share outside [0, 1]; an interval or period outside its range.

    Examples
    --------
    >>> lockstep(0.3, interval=0.010, period=0.010)
    Lockstep(points=1, low=0.0, high=1.0, standard_error=0.458257569495584)
    >>> lockstep(0.3, interval=0.010, period=0.040)
    Lockstep(points=4, low=0.25, high=0.5, standard_error=0.09999...)

    Notes
    -----
    Derived here, for as many samples as a multiple of b; that a / b in lowest terms visits b equidistant points is
    elementary. Random instants cure it: `jittered_standard_error`. Taught in chapter 11.

    References
    ----------
    McCanne, Torek: A randomized sampling clock for CPU utilization estimation and code profiling. USENIX Winter 1993
    (aliasing between the clock and the program, and a clock that cures it).

    Mytkowicz, Diwan, Hauswirth, Sweeney: Evaluating the accuracy of Java profilers. PLDI 2010 (samples must be random).
    """
    p = scalar("share", share, low=0, high=1)
    ticks = [round(scalar(name, value, low=1e-6, high=1e6) * 1e6)
             for name, value in (("interval", interval), ("period", period))]  # fmt: skip
    points = Fraction(*ticks).denominator
    inside = p * points
    if abs(inside - round(inside)) < 1e-9 * points:
        inside = float(round(inside))
    low = np.floor(inside)
    r = inside - low
    return Lockstep(points, float(low / points), float(np.ceil(inside) / points), float(np.sqrt(r * (1 - r)) / points))


def jittered_standard_error(share: float, samples: int, *, interval: float, period: float, jitter: float) -> float:
    r"""Return how far the share that a profiler shows of a periodic program is off, for gaps that are partly random.

    The gaps between samples are independent and uniform between (1 - j) and (1 + j) intervals I; the first sample comes
    at a random instant of the period T. The function takes a share p of the period, in one piece. Its indicator has the
    Fourier coefficients :math:`|c_m| = |\sin \pi m p| / \pi m`, and m-th harmonics of samples that are k apart have the
    correlation :math:`\rho_m^k`, with :math:`\rho_m = e^{2\pi i m I/T}\,\mathrm{sinc}(2 m j I/T)`. So

    .. math:: \mathrm{Var} = \frac2n \sum_{m \ge 1} |c_m|^2 \left[1 + 2\,\mathrm{Re}
              \sum_{k=1}^{n-1} \left(1 - \tfrac kn\right) \rho_m^k\right]

    Where all ρ are 0 this is p (1 - p) / n, as of independent samples; where they are 1, it is the error of `lockstep`.

    Parameters
    ----------
    share : float
        p, from 0 to 1.
    samples : int
        n, up to 1e15.
    interval, period : float
        I and T in seconds; 1e-6 to 1e6.
    jitter : float
        j, from 0 (periodic) to 1 (random).

    Returns
    -------
    float
        The standard deviation of the share shown.

    Raises
    ------
    ValueError
        An argument outside its range.

    Examples
    --------
    A program in step with the clock: of a periodic profiler 1,000 samples tell nothing, a tenth of jitter helps much.

    >>> for jitter in (0, 0.1, 1):
    ...     print(round(jittered_standard_error(0.3, 1000, interval=0.01, period=0.01, jitter=jitter), 3))
    0.458
    0.065
    0.014

    Notes
    -----
    Derived here; the variance of a mean of a stationary sequence. The sum ends after `HARMONICS` terms. Taught in
    chapter 11.

    References
    ----------
    McCanne, Torek: A randomized sampling clock for CPU utilization estimation and code profiling. USENIX Winter 1993.
    """
    p = scalar("share", share, low=0, high=1)
    n = whole("samples", samples, low=1, high=MOST_SAMPLES)
    ratio = scalar("interval", interval, low=1e-6, high=1e6) / scalar("period", period, low=1e-6, high=1e6)
    j = scalar("jitter", jitter, low=0, high=1)
    m = np.arange(1, HARMONICS + 1)
    weight = (np.sin(np.pi * m * p) / (np.pi * m)) ** 2
    turns = m * ratio
    rho = np.exp(2j * np.pi * (turns - np.round(turns))) * np.sinc(2 * m * j * ratio)
    # In step: (nearly) one, where the closed form of the geometric sums would divide by (nearly) zero.
    near = np.abs(1 - rho) < 1e-9
    rest = np.where(near, 0.5, rho)
    power = np.exp(n * np.log(np.where(rest == 0, 1e-300, rest)))  # rest to the n-th
    sums = rest / (1 - rest) - rest * (1 - power) / (n * (1 - rest) ** 2)
    inflation = np.where(near, n, 1 + 2 * sums.real)
    return float(np.sqrt(max(0.0, 2 / n * float(np.sum(weight * inflation)))))


def _samples(samples: ArrayLike) -> np.ndarray:
    return number("samples", samples, low=1, high=MOST_SAMPLES, whole=True)


def _level(level: float) -> float:
    return scalar("level", level, low=0, high=1 - 1e-12)
