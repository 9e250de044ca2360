"""What the arguments of a simulator may be: arrays of seconds, and laws to draw them from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number

Law = float | ArrayLike | Callable[[np.random.Generator, int], ArrayLike]
"""Seconds: one number for all, an array with one for each, or a function ``(rng, n) -> array`` that draws n of them."""

ROOM = 20_000_000
"""The most things that one simulation keeps (requests × attempts, say): beyond it, an error instead of full memory."""


def times(name: str, values: ArrayLike, n: int | None = None) -> np.ndarray:
    """Return seconds as a fresh array of shape (n,), or raise `ValueError`: they must be finite and at least 0.

    Examples
    --------
    >>> times("gaps", [1, -2])
    Traceback (most recent call last):
    ValueError: gaps is -2; it must be finite and at least 0
    """
    array = number(name, values, low=0)
    if array.ndim != 1 or (n is not None and len(array) != n):
        raise ValueError(f"{name} has shape {array.shape}; it must be ({'n' if n is None else n},)")
    return array.copy()


def draw(name: str, law: Law, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n seconds by a law, as a fresh array of shape (n,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draw("service", 2.0, rng, 3), draw("service", lambda rng, n: rng.exponential(2.0, n), rng, 3).shape
    (array([2., 2., 2.]), (3,))
    """
    if callable(law):
        return times(f"{name}(rng, {n})", law(rng, n), n)
    array = number(name, law, low=0)
    return np.full(n, float(array)) if array.ndim == 0 else times(name, array, n)


def arrivals(name: str, interarrival: ArrayLike) -> np.ndarray:
    """Return when each comes, from the seconds between them; at least one."""
    gaps = times(name, interarrival)
    if not len(gaps):
        raise ValueError(f"{name} is empty; at least one must come")
    with np.errstate(over="ignore"):
        arrival = np.cumsum(gaps)
    return last(name, arrival)


def in_order(name: str, instants: ArrayLike) -> np.ndarray:
    """Return seconds as a fresh array of shape (n,), or raise `ValueError` also where one is before the last.

    Examples
    --------
    >>> in_order("arrival", [0, 2, 1])
    Traceback (most recent call last):
    ValueError: arrival[2] is 1, before the one before it; they must be in order
    """
    array = times(name, instants)
    if (np.diff(array) < 0).any():
        early = int(np.argmax(np.diff(array) < 0)) + 1
        raise ValueError(f"{name}[{early}] is {array[early]:g}, before the one before it; they must be in order")
    return array


def each(name: str, value: ArrayLike, n: int, **bounds: float) -> np.ndarray:
    """Return a number for each of n, as a fresh array of floats: the same for all, or as given.

    Examples
    --------
    >>> each("width", 2, 3), each("width", [1, 2, 3], 3, low=1)
    (array([2., 2., 2.]), array([1., 2., 3.]))
    """
    array = number(name, value, **bounds)
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {array.shape}; allowed: () or ({n},)")
    return np.broadcast_to(array, n).astype(float)


def last(name: str, arrival: np.ndarray) -> np.ndarray:
    """Return the array if its last time is finite; the sum of large seconds can exceed what a float holds."""
    if not np.isfinite(arrival[-1]):
        raise ValueError(f"{name} adds up to more seconds than a float can hold")
    return arrival


def room(what: str, count: float, limit: int = ROOM) -> None:
    """Raise `ValueError` when so many things would not fit.

    Examples
    --------
    >>> room("requests times attempts", 1e12)
    Traceback (most recent call last):
    ValueError: requests times attempts is 1e+12; a simulation keeps at most 20,000,000
    """
    if not count <= limit:
        raise ValueError(f"{what} is {count:g}; a simulation keeps at most {limit:,}")
