"""Scaling: what more workers bring, and the law fitted to measurements. Taught in chapters 01 and 17."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, least_squares
from scipy.special import stdtrit

from course.domain import number, plain, scalar
from course.models.quantity import amount, positive

Number = float | np.ndarray


def _workers(workers: ArrayLike, above: float = -np.inf) -> np.ndarray:
    """Return workers, which need not be whole: the laws are smooth curves."""
    return number("workers", workers, low=1, above=above, high=1e18)


def amdahl(workers: ArrayLike, serial_fraction: ArrayLike) -> Number:
    r"""Return the speed-up of a job of fixed size, a part of which cannot be shared (Amdahl's law).

    .. math:: C(m) = \frac{1}{f + (1 - f) / m}

    Parameters
    ----------
    workers : float or array
        m, at least 1.
    serial_fraction : float or array
        f in [0, 1]: the share of the time on one worker that is spent in the serial part.

    Returns
    -------
    float or array
        The speed-up, from 1 to ``workers``; of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    One per cent that is serial, and 1,024 workers are worth 91.

    >>> round(amdahl(1024, 0.01), 1)
    91.2

    Notes
    -----
    No number of workers brings more than 1 / f. Assumes that the rest is shared perfectly, and for free. Chapter 01.

    References
    ----------
    Amdahl: Validity of the single processor approach to achieving large scale computing capabilities. AFIPS Spring
    Joint Computer Conference 1967.
    """
    workers, serial = _workers(workers), number("serial_fraction", serial_fraction, low=0, high=1)
    return plain(1 / (serial + (1 - serial) / workers))


def gustafson(workers: ArrayLike, serial_fraction: ArrayLike) -> Number:
    r"""Return the speed-up of a job that grows with the workers, to take the same time (Gustafson's law).

    .. math:: C(m) = s + (1 - s) \, m

    Parameters
    ----------
    workers : float or array
        m, at least 1.
    serial_fraction : float or array
        s in [0, 1]: the share of the time *on the m workers* that is spent in the serial part.

    Returns
    -------
    float or array
        The speed-up, from 1 to ``workers``; of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(gustafson(1024, 0.01), 2)
    1013.77

    Notes
    -----
    The same law as Amdahl's, asked differently: with f = s / (s + (1 − s) m), the serial fraction of the grown job on
    one worker, ``amdahl(m, f)`` is this speed-up. Chapter 01.

    References
    ----------
    Gustafson: Reevaluating Amdahl's law. Communications of the ACM 31(5), 1988.
    """
    workers, serial = _workers(workers), number("serial_fraction", serial_fraction, low=0, high=1)
    return plain(serial + (1 - serial) * workers)


def karp_flatt(speedup: ArrayLike, workers: ArrayLike) -> Number:
    r"""Return the serial fraction that a measured speed-up shows (the metric of Karp and Flatt).

    .. math:: e = \frac{1 / C - 1 / m}{1 - 1 / m}

    Parameters
    ----------
    speedup : float or array
        C, measured.
    workers : float or array
        m, more than 1.

    Returns
    -------
    float or array
        At most 1 where the job did not become slower; negative where the speed-up exceeds the workers.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(karp_flatt(speedup=4.71, workers=8), 3)
    0.1

    Notes
    -----
    If it stays the same with more workers, a serial part is to blame; if it grows, overhead is, that grows with them.
    Chapter 01.

    References
    ----------
    Karp, Flatt: Measuring parallel processor performance. Communications of the ACM 33(5), 1990.
    """
    speedup, workers = positive("speedup", speedup), _workers(workers, above=1)
    # Written so that nothing cancels where C is near m.
    return plain((workers - speedup) / speedup / (workers - 1))


def efficiency(speedup: ArrayLike, workers: ArrayLike) -> Number:
    r"""Return the speed-up for each worker: :math:`E = C / m`.

    Parameters
    ----------
    speedup : float or array
        C.
    workers : float or array
        m, at least 1.

    Returns
    -------
    float or array
        The share of the ideal speed-up, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> efficiency(speedup=6, workers=8)
    0.75

    Notes
    -----
    Chapter 01. Grama, Gupta, Karypis, Kumar: Introduction to Parallel Computing, 2nd ed. Addison-Wesley 2003, section
    5.2.
    """
    return plain(amount("speedup", speedup) / _workers(workers))


def isoefficiency(workers: ArrayLike, efficiency: ArrayLike, overhead: Callable[[float, float], float]) -> Number:
    r"""Return the work that keeps so many workers at a given efficiency.

    .. math:: W = \frac{E}{1 - E} \, T_o(W, m)

    Parameters
    ----------
    workers : float or array
        m, at least 1.
    efficiency : float or array
        E, above 0 and below 1.
    overhead : callable
        (work, workers) ↦ T_o, the time that all workers together spend on anything but the work (communication,
        idling); in the same unit as the work.

    Returns
    -------
    float or array
        W, the time of one worker for the job; 0 where any work will do.

    Raises
    ------
    ValueError
        If no amount of work reaches that efficiency: the overhead grows as fast as the work, as with a serial part.

    Examples
    --------
    Adding numbers in a tree costs 2 m log₂ m in all. To keep 80 % on four times as many workers takes eight times the
    numbers: such a job scales, though not for free.

    >>> import numpy as np
    >>> [round(isoefficiency(m, 0.8, lambda work, m: 2 * m * np.log2(m))) for m in (4, 16)]
    [64, 512]

    Notes
    -----
    The slower W grows with m, the more scalable is the job. Of several amounts of work the largest is found, from which
    on the efficiency is kept. Chapter 01.

    References
    ----------
    Grama, Gupta, Kumar: Isoefficiency: measuring the scalability of parallel algorithms and architectures. IEEE
    Parallel & Distributed Technology 1(3), 1993.
    """
    workers, efficiency = np.broadcast_arrays(_workers(workers), number("efficiency", efficiency, above=0))
    if not callable(overhead):
        raise ValueError(f"overhead is {overhead!r:.80}; it must be a function of the work and the workers")
    if (efficiency >= 1).any():
        raise ValueError(f"efficiency is {efficiency.max():g}; it must be below 1: there is always some overhead")

    def solve(workers: float, efficiency: float) -> float:
        def wanting(log_work: float) -> float:
            """Return by how much the overhead is too large: ln of what the work should be over what it is."""
            lost = float(number("overhead", overhead(np.exp(log_work), workers), low=0))
            return np.log(max(lost, 1e-300)) + np.log(efficiency) - np.log1p(-efficiency) - log_work

        # From far too much work, of which even a little overhead is lost in the noise, down to where it is too little.
        steps = np.linspace(200, -200, 401)
        if wanting(steps[0]) >= 0:
            raise ValueError(
                f"no amount of work reaches the efficiency {efficiency:g} with {workers:g} workers;"
                " the overhead must grow more slowly than the work"
            )
        for high, low in pairwise(steps):
            if wanting(low) >= 0:
                return float(np.exp(brentq(wanting, low, high, xtol=1e-13)))
        return 0.0

    return plain(np.vectorize(solve, otypes=[float])(workers, efficiency))


def usl(workers: ArrayLike, rate: ArrayLike = 1.0, *, contention: ArrayLike, coherency: ArrayLike) -> Number:
    r"""Return the throughput by Gunther's Universal Scalability Law.

    .. math:: X(m) = \frac{\gamma \, m}{1 + \sigma (m - 1) + \kappa \, m (m - 1)}

    Parameters
    ----------
    workers : float or array
        m, at least 1: workers, or clients that load a service.
    rate : float or array
        γ, the throughput of one worker [1/s]; 1 gives the speed-up.
    contention : float or array
        σ ≥ 0: the share of the work that waits for its turn at something shared.
    coherency : float or array
        κ ≥ 0: the share of the work that each worker spends with each other one, to keep their data consistent.

    Returns
    -------
    float or array
        Throughput in the unit of ``rate``, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    With coherency, more workers than at the peak make it slower.

    >>> usl([1, 10, 100, 1000], contention=0.03, coherency=1e-4).round(1)
    array([ 1. ,  7.8, 20.2,  7.6])

    Notes
    -----
    Amdahl's law where κ = 0, with σ the serial fraction f. Chapters 01 and 17.

    References
    ----------
    Gunther: Guerrilla Capacity Planning. Springer 2007, chapter 4.
    """
    workers, rate = _workers(workers), positive("rate", rate)
    contention, coherency = amount("contention", contention), amount("coherency", coherency)
    return plain(rate * workers / (1 + contention * (workers - 1) + coherency * workers * (workers - 1)))


def usl_peak(contention: ArrayLike, coherency: ArrayLike) -> Number:
    r"""Return the workers at which the throughput is highest; infinite where more never hurt (κ = 0).

    .. math:: m^* = \sqrt{(1 - \sigma) / \kappa}

    Parameters
    ----------
    contention, coherency : float or array
        σ and κ, as in `usl`.

    Returns
    -------
    float or array
        At least 1: with σ + κ ≥ 1 a second worker already does harm.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(usl_peak(contention=0.03, coherency=1e-4), 1)
    98.5

    Notes
    -----
    Chapters 01 and 17. Source: as `usl`.
    """
    contention, coherency = amount("contention", contention), amount("coherency", coherency)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        peak = np.sqrt(np.maximum(1 - contention, 0) / coherency)
    return plain(np.where(contention >= 1, 1.0, np.maximum(peak, 1.0)))


@dataclass(frozen=True, eq=False)
class UslFit:
    """The Universal Scalability Law fitted to measurements, by `fit_usl`.

    Attributes
    ----------
    rate, contention, coherency : float
        γ [1/s], σ and κ: the estimates, each at least 0.
    r_squared : float
        The share of the throughput's variance that the curve explains.
    residual_standard_error : float
        The typical distance of a measurement from the curve [1/s]; with three degrees of freedom spent.
    workers, throughput : array
        The measurements.
    """

    rate: float
    contention: float
    coherency: float
    r_squared: float
    residual_standard_error: float
    workers: np.ndarray = field(repr=False)
    throughput: np.ndarray = field(repr=False)

    def predict(self, workers: ArrayLike) -> Number:
        """Return the throughput of the fitted curve [1/s]."""
        return usl(workers, self.rate, contention=self.contention, coherency=self.coherency)

    @property
    def peak(self) -> float:
        """The workers at which the throughput is highest; infinite where the coherency is 0."""
        return usl_peak(self.contention, self.coherency)

    @property
    def peak_throughput(self) -> float:
        """The highest throughput there can be [1/s]."""
        return self.predict(self.peak) if np.isfinite(self.peak) else self.amdahl_asymptote

    @property
    def amdahl_asymptote(self) -> float:
        """The throughput that no number of workers would exceed if there were no coherency cost, γ / σ [1/s]."""
        return self.rate / self.contention if self.contention else np.inf

    @property
    def optimal_load(self) -> float:
        """The workers with which linear scaling would reach the Amdahl asymptote, 1 / σ: more of them mostly wait."""
        return max(1 / self.contention, 1.0) if self.contention else np.inf

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % confidence interval of the rate, the contention and the coherency, by name; see `fit_usl`."""
        shapes = {name: lambda value, name=name: {name: value} for name in ("contention", "coherency")}
        return {
            "rate": self.predict_interval(1),
            **{name: self._interval(getattr(self, name), shape, 0.95) for name, shape in shapes.items()},
        }

    def predict_interval(self, workers: float, confidence: float = 0.95) -> tuple[float, float]:
        """Return the confidence interval of the curve at a number of workers [1/s] (not of one more measurement there).

        Takes some tens of milliseconds.
        """
        workers = float(_workers(workers))
        return self._interval(self.predict(workers), lambda value: {"through": (workers, value)}, confidence)

    def _interval(self, estimate: float, fixed: Callable[[float], dict], confidence: float) -> tuple[float, float]:
        """Return all values that, held fixed, make the best fit not significantly worse."""
        freedom = len(self.workers) - 3
        tail = 1 - scalar("confidence", confidence, low=0.5, high=0.999999)
        least = self.residual_standard_error**2 * freedom
        if least <= 1e-20 * (self.throughput**2).sum():
            return estimate, estimate  # the measurements lie on the curve
        allowed = least * (1 + stdtrit(freedom, 1 - tail / 2) ** 2 / freedom)

        def excess(value: float) -> float:
            fit = _fit(self.workers, self.throughput, start=self._shape, precision=1e-8, **fixed(value))
            return fit[2] / allowed - 1

        # Upwards in growing steps, until it is too far; where that never comes, the data know no upper limit.
        first = 0.1 * estimate or 1e-3 / _costs(self.workers)[1].max()
        steps = (estimate + first * 4.0**k for k in range(12))
        above = next((value for value in steps if excess(value) > 0), None)
        high = np.inf if above is None else brentq(excess, estimate, above, xtol=1e-6 * above)
        none = 1e-9 * estimate
        low = brentq(excess, none, estimate, xtol=1e-6 * estimate) if estimate and excess(none) > 0 else 0.0
        return low, high

    @property
    def _shape(self) -> tuple[float, float]:
        return self.contention, self.coherency


def fit_usl(workers: ArrayLike, throughput: ArrayLike) -> UslFit:
    r"""Fit the Universal Scalability Law to measured throughputs: least squares, all three parameters at least 0.

    .. math:: \min_{\gamma, \sigma, \kappa \ge 0} \;
        \sum_i \left(X_i - \frac{\gamma \, m_i}{1 + \sigma (m_i - 1) + \kappa \, m_i (m_i - 1)}\right)^2

    Parameters
    ----------
    workers : array, shape (n,)
        m, at least 1; at least three different ones. Repeated measurements are several entries.
    throughput : array, shape (n,)
        X, work done per second, in any unit; more than 0. At least four measurements, of which one with few workers.

    Returns
    -------
    UslFit

    Raises
    ------
    ValueError
        Too few measurements, or such that do not determine the rate of one worker.

    Examples
    --------
    Amdahl's law with a serial part of 5 %: the fit finds it, and no coherency cost.

    >>> import numpy as np
    >>> workers = np.array([1, 2, 4, 8, 16, 32])
    >>> fit = fit_usl(workers, 20 * amdahl(workers, 0.05))
    >>> round(fit.rate, 4), round(fit.contention, 4), round(fit.coherency, 6)
    (20.0, 0.05, 0.0)

    Notes
    -----
    Without the bounds, noise often makes the coherency negative: a curve that in the end bends up. With them it is then
    exactly 0, and so is the contention where the scaling is linear or better.

    The intervals hold all values of a parameter with which, the others fitted anew, the sum of squares stays below
    :math:`SSE \, (1 + t^2 / (n - 3))`, t being Student's quantile (profile likelihood). They need not be symmetric, and
    respect the bounds: an estimate of 0 has the interval from 0 to the largest value that the data allow, which then
    holds the true value in more than 95 % of cases. An upper end may be infinite. Assumes errors of the same size at
    all workers, and independent. A fit says nothing about what lies far beyond the measurements. Chapters 01 and 17.

    References
    ----------
    Gunther: Guerrilla Capacity Planning. Springer 2007, chapter 5. Bates, Watts: Nonlinear Regression Analysis and Its
    Applications. Wiley 1988, section 6.1.
    """
    workers, throughput = np.atleast_1d(_workers(workers)), np.atleast_1d(positive("throughput", throughput))
    if workers.shape != throughput.shape or workers.ndim != 1:
        raise ValueError(
            f"workers has shape {workers.shape} and throughput {throughput.shape}; both must be (n,), with the same n"
        )
    if len(workers) < 4 or len(np.unique(workers)) < 3:
        raise ValueError(
            f"workers has {len(workers)} entries, {len(np.unique(workers))} different ones;"
            " it must have at least 4, at least 3 different ones, to fit three parameters"
        )
    # The best of the inside and of the bounds: the solver comes near a bound, but never to it.
    bounds = [{"contention": 0.0, "coherency": 0.0}, {"coherency": 0.0}, {"contention": 0.0}, {}]
    fits = [_fit(workers, throughput, **fixed) for fixed in bounds]
    least = min(squares for _, _, squares in fits)
    noise = 1e-24 * (throughput**2).sum()
    rate, (contention, coherency), squares = next(fit for fit in fits if fit[2] <= least * (1 + 1e-9) + noise)
    if np.dot((contention, coherency), _costs(workers.min())) > 1e6:
        raise ValueError(
            f"workers starts from {workers.min():g}; such throughputs do not determine the rate of one worker:"
            " measure with fewer workers, too"
        )
    spread = ((throughput - throughput.mean()) ** 2).sum()
    return UslFit(
        rate,
        contention,
        coherency,
        float(1 - squares / spread) if spread > noise else 1.0,
        float(np.sqrt(squares / (len(workers) - 3))),
        workers,
        throughput,
    )


def _costs(workers: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return what contention and coherency are multiplied by in the law."""
    return workers - 1, workers * (workers - 1)


def _fit(
    workers: np.ndarray,
    throughput: np.ndarray,
    contention: float | None = None,
    coherency: float | None = None,
    through: tuple[float, float] | None = None,
    start: tuple[float, float] | None = None,
    precision: float = 1e-14,
) -> tuple[float, tuple[float, float], float]:
    """Return rate, (contention, coherency) and sum of squares of the best fit.

    A contention or coherency that is given is held; with ``through`` = (workers, throughput) the curve is made to pass
    there. Only these two are searched for: given both, the best rate is a linear problem.
    """
    given = np.array([np.nan if value is None else value for value in (contention, coherency)])
    free = np.isnan(given)
    unit = throughput.max()
    measured, costs = throughput / unit, np.array(_costs(workers))
    scale = 1 / costs.max(axis=1)

    def curve(searched: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
        """Return shape, rate, throughputs, and the derivatives of these by what is searched for."""
        shape = given.copy()
        shape[free] = searched * scale[free]
        relative = workers / (1 + shape @ costs)
        slope = -(relative**2) / workers * costs[free] * scale[free, None]
        if through is None:
            rate = relative @ measured / (relative @ relative)
            rate_slope = (slope @ measured - 2 * rate * slope @ relative) / (relative @ relative)
        else:
            there, value = through
            rate = value / unit / there * (1 + shape @ _costs(there))
            rate_slope = value / unit / there * np.array(_costs(there))[free] * scale[free]
        return shape, rate, rate * relative, (rate * slope + rate_slope[:, None] * relative).T

    if start is None:
        # Noise can make more than one valley: begin in the deepest that a coarse grid shows.
        grid = np.array(list(product(*[np.logspace(-4, 8, 49) if loose else [0.0] for loose in free])))
        relative = workers / (1 + grid * scale @ costs)
        fitted = relative * (relative @ measured / (relative**2).sum(axis=1))[:, None]
        searched = grid[((fitted - measured) ** 2).sum(axis=1).argmin(), free]
    else:
        searched = np.maximum(np.asarray(start)[free] / scale[free], 1e-6)
    if free.any():
        searched = least_squares(
            lambda x: curve(x)[2] - measured,
            searched,
            jac=lambda x: curve(x)[3],
            bounds=(0, np.inf),
            x_scale=np.maximum(searched, 1e-2),
            ftol=precision,
            xtol=precision,
            gtol=precision,
        ).x
    shape, rate, fitted, _ = curve(searched)
    squares = ((fitted - measured) ** 2).sum()
    return float(rate * unit), (float(shape[0]), float(shape[1])), float(squares * unit**2)
