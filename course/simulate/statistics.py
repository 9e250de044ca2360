"""How sure a simulated mean is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, whole

MOST = 1e150
"""The largest value whose square is still finite in a sum."""


def batch_means(values: ArrayLike, batches: int = 20, warm_up: float = 0.1) -> tuple[float, float]:
    """Return the mean of a simulated series and its standard error, by the method of batch means.

    Waiting times that follow each other are alike, so the usual σ/√n is far too small. The means of long batches are
    nearly independent; their spread says how sure the whole mean is.

    Parameters
    ----------
    values : array, shape (n,)
        The series in order of time.
    batches : int
        How many batches it is cut into (20 to 30 are usual).
    warm_up : float
        Share at the beginning that is left out, because the system started empty.

    Returns
    -------
    mean, standard_error : float

    Raises
    ------
    ValueError
        Fewer than two values a batch, values that are not finite or beyond ±10¹⁵⁰, fewer than two batches, or a warm_up
        outside [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> mean, error = batch_means(np.tile([1.0, 3.0], 1000))
    >>> mean, round(error, 12)
    (2.0, 0.0)

    Notes
    -----
    Taught in chapter 12. Law: Simulation Modeling and Analysis, 5th ed., McGraw-Hill 2015, section 9.5.3.
    """
    series = number("values", values, low=-MOST, high=MOST)
    batches = whole("batches", batches, low=2)
    if series.ndim != 1 or np.ndim(warm_up) or not 0 <= number("warm_up", warm_up) < 1:
        raise ValueError(f"values have shape {series.shape} and warm_up is {warm_up!r}; allowed: (n,) and [0, 1)")
    series = series[int(warm_up * len(series)) :]
    length = len(series) // batches
    if length < 2:
        raise ValueError(f"{len(series)} values are too few for {batches} batches; give at least {2 * batches}")
    means = series[: length * batches].reshape(batches, length).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(batches))
