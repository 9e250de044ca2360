"""What sizes, times and rates may be in the models: nothing that overflows, however it is multiplied and divided."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number

# Large enough for any system, and small enough that the product of any ten is still a float.
LARGEST = 1e30


def amount(name: str, value: ArrayLike) -> np.ndarray:
    """Return a time or size that may be 0, or raise `ValueError`.

    Examples
    --------
    >>> amount("size", -1)
    Traceback (most recent call last):
    ValueError: size is -1; it must be finite and at least 0 and at most 1e+30
    """
    return number(name, value, low=0, high=LARGEST)


def positive(name: str, value: ArrayLike) -> np.ndarray:
    """Return a rate, or something else that is divided by, or raise `ValueError`.

    Examples
    --------
    >>> positive("bandwidth", 0)
    Traceback (most recent call last):
    ValueError: bandwidth is 0; it must be finite and greater than 0 and at least 1e-30 and at most 1e+30
    """
    return number(name, value, above=0, low=1 / LARGEST, high=LARGEST)


def speed(name: str, value: ArrayLike) -> np.ndarray:
    """Return a bandwidth, which may be infinite (`Cluster`'s default: transfers that take no time), or raise.

    Examples
    --------
    >>> float(speed("bandwidth", np.inf))
    inf
    """
    try:
        infinite = np.asarray(value, dtype=float) == np.inf
    except (TypeError, ValueError):
        infinite = np.False_  # `positive` says what is wrong
    return np.where(infinite, np.inf, positive(name, np.where(infinite, 1.0, value) if infinite.any() else value))


def count(name: str, value: ArrayLike, *, low: int = 1, high: float = 1e18) -> np.ndarray:
    """Return a whole number of things (workers, chunks, balls), or raise `ValueError`.

    Examples
    --------
    >>> count("workers", 0)
    Traceback (most recent call last):
    ValueError: workers is 0; it must be a whole number and at least 1 and at most 1e+18
    """
    return number(name, value, low=low, high=high, whole=True)
