"""`random_times`: random times of a given mean and variation, by the distributions that queueing theory uses."""

from __future__ import annotations

import numpy as np

from course.domain import generator, scalar, whole

DISTRIBUTIONS = ("constant", "exponential", "gamma", "hyperexponential", "lognormal", "pareto")
"""Always the same; without memory (M); a sum of phases (Erlang's, where 1/scv is whole); a mixture of two exponentials;
the product of many small causes; a tail that falls like a power."""

LEAST_SCV, MOST_SCV = 1e-12, 1e12
"""What varies less than the first is constant to the precision of the sums that are made of it."""


def random_times(
    n: int, mean: float = 1.0, scv: float | None = None, distribution: str | None = None, *, seed: int = 0
) -> np.ndarray:
    r"""Draw independent random times.

    Parameters
    ----------
    n : int
        How many, at most 10⁸.
    mean : float
        Their mean [s], at most 10¹⁰⁰.
    scv : float, optional
        Their squared coefficient of variation (variance / mean²): 0, or from 10⁻¹² to 10¹². Without it, 0 for
        "constant" and 1 for all others.
    distribution : str, optional
        One of `DISTRIBUTIONS`. Without it the usual one of that variation: constant for 0, gamma below 1, exponential
        for 1, hyperexponential above.
    seed : int
        Seed of the draws.

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    ValueError
        Numbers out of range; an unknown distribution; a variation that the distribution cannot have: it is 0 for
        constant times, 1 for exponential ones, at least 1 for hyperexponential ones, above 0 for the others.

    Examples
    --------
    >>> random_times(3, mean=2.0, scv=0.0)
    array([2., 2., 2.])
    >>> times = random_times(1_000_000, mean=2.0, scv=4.0)
    >>> [round(float(x), 1) for x in (times.mean(), times.var() / times.mean() ** 2)]
    [2.0, 4.0]

    Notes
    -----
    With mean m and scv c²:

    - gamma: shape 1/c², scale m c².
    - hyperexponential, with balanced means: with probability :math:`p = \frac{1}{2}\left(1 + \sqrt{\frac{c^2 - 1}{c^2
      + 1}}\right)` exponential of mean m/(2p), otherwise of mean m/(2(1 − p)).
    - lognormal: :math:`\sigma^2 = \ln(1 + c^2)`, :math:`\mu = \ln m - \sigma^2/2`.
    - Pareto: exponent :math:`\alpha = 1 + \sqrt{1 + 1/c^2} > 2` and least value m (α − 1)/α. The fourth moment is
      infinite for c² ≥ 1/8, so that the scv of a sample comes only slowly near that of the distribution.

    Taught in chapter 12. Law: Simulation Modeling and Analysis, 5th ed., McGraw-Hill 2015, chapter 6; balanced means:
    Tijms: A First Course in Stochastic Models, Wiley 2003, appendix B.
    """
    n = whole("n", n, high=10**8)
    mean = scalar("mean", mean, low=0.0, high=1e100)
    return draw("", n, mean, scv, distribution, generator(seed))


def draw(
    name: str, n: int, mean: float, scv: float | None, distribution: str | None, rng: np.random.Generator
) -> np.ndarray:
    """Draw as `random_times` does, from a generator; ``name`` is of what, in the messages of errors."""
    called = f"{name} distribution".strip()
    scv_called = f"{name}_scv".strip("_")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        raise ValueError(f"the {called} is {distribution!r}; it must be one of {', '.join(DISTRIBUTIONS)}")
    if scv is None:
        scv = 0.0 if distribution == "constant" else 1.0
    scv = scalar(scv_called, scv, low=0.0, high=MOST_SCV)
    if 0 < scv < LEAST_SCV:
        raise ValueError(f"{scv_called} is {scv:g}; it must be 0, or at least {LEAST_SCV:g}")
    if distribution is None:
        distribution = _usual(scv)
    allowed = {"constant": scv == 0, "exponential": scv == 1, "hyperexponential": scv >= 1}.get(distribution, scv > 0)
    if not allowed:
        must = {"constant": "0", "exponential": "1", "hyperexponential": "at least 1"}.get(distribution, "above 0")
        raise ValueError(f"{scv_called} is {scv:g}; of {distribution} times it must be {must}")
    if distribution == "constant":
        return np.full(n, mean)
    if distribution == "exponential":
        # Scaled in place: twice as fast as to have them drawn with their mean.
        times = rng.standard_exponential(n)
    elif distribution == "gamma":
        times = rng.standard_gamma(1 / scv, n)
        mean *= scv
    elif distribution == "hyperexponential":
        # 1 − p, in a form that does not lose its digits where it is small.
        rare = 1 / ((scv + 1) * (1 + np.sqrt((scv - 1) / (scv + 1))))
        times = rng.standard_exponential(n)
        times *= np.where(rng.random(n) < rare, 0.5 / rare, 0.5 / (1 - rare))
    elif distribution == "lognormal":
        variance = np.log1p(scv)
        times = rng.lognormal(-variance / 2, np.sqrt(variance), n)
    else:
        exponent = 1 + np.sqrt(1 + 1 / scv)
        times = rng.pareto(exponent, n)
        times += 1
        mean *= (exponent - 1) / exponent
    times *= mean
    return times


def _usual(scv: float) -> str:
    if scv == 0:
        return "constant"
    if scv == 1:
        return "exponential"
    return "gamma" if scv < 1 else "hyperexponential"
