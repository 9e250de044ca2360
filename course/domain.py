"""What an argument may be, and the errors that say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike


class UnstableError(ValueError):
    """More work arrives than the servers can do: the queue grows without end."""

    def __init__(self, utilization: ArrayLike) -> None:
        self.utilization = utilization
        worst = float(np.max(utilization))
        super().__init__(
            f"the utilization is {worst:.4g}; it must be below 1, or the queue grows without end:"
            " lower the arrival rate, or raise the service rate or the number of servers"
        )


def number(
    name: str,
    value: ArrayLike,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    above: float = -np.inf,
    whole: bool = False,
) -> np.ndarray:
    """Return an argument as a float array, or raise `ValueError` naming it, its value and what is allowed.

    Parameters
    ----------
    low, high : float
        Closed bounds.
    above : float
        Open lower bound.
    whole : bool
        Whether it must be a whole number.
    """
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r:.80}; it must be a number or an array of numbers") from None
    good = np.isfinite(array) & (array >= low) & (array <= high) & (array > above)
    if whole:
        good &= array == np.round(array)
    if not good.all():
        bad = array if array.ndim == 0 else array[~good].flat[0]
        allowed = ["a whole number" if whole else "finite"]
        if np.isfinite(above):
            allowed.append(f"greater than {above:g}")
        if np.isfinite(low):
            allowed.append(f"at least {low:g}")
        if np.isfinite(high):
            allowed.append(f"at most {high:g}")
        raise ValueError(f"{name} is {float(bad):g}; it must be {' and '.join(allowed)}")
    return array


def plain(value: ArrayLike) -> float | np.ndarray:
    """Return a float where the result is a single number, else the array."""
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array


def scalar(name: str, value: ArrayLike, check: Callable[..., np.ndarray] = number, **bounds: float) -> float:
    """Return an argument that must be one number as a float, or raise `ValueError`; ``check`` says what is allowed.

    Examples
    --------
    >>> scalar("delay", [1, 2], low=0)
    Traceback (most recent call last):
    ValueError: delay is [1, 2]; it must be one number
    """
    array = check(name, value, **bounds)
    if array.ndim:
        raise ValueError(f"{name} is {value!r:.80}; it must be one number")
    return float(array)


def whole(name: str, value: object, *, low: int = 0, high: int | None = None) -> int:
    """Return an argument as an int, or raise `ValueError` naming it, its value and what is allowed."""
    bad = isinstance(value, bool) or not isinstance(value, (int, np.integer))
    if bad or value < low or (high is not None and value > high):
        bound = f"at least {low}" + (f" and at most {high}" if high is not None else "")
        raise ValueError(f"{name} is {value!r:.80}; it must be a whole number of {bound}")
    return int(value)


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return an argument that is one of some words, or raise `ValueError` with the words.

    Examples
    --------
    >>> one_of("policy", "fastest", ["fifo", "lifo"])
    Traceback (most recent call last):
    ValueError: policy is 'fastest'; it must be one of fifo, lifo
    """
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {value!r:.80}; it must be one of {', '.join(allowed)}")
    return value


def generator(seed: object) -> np.random.Generator:
    """Return the random generator of a simulation: the same seed, the same results.

    Examples
    --------
    >>> generator(-1)
    Traceback (most recent call last):
    ValueError: seed is -1; it must be a whole number of at least 0
    """
    return np.random.default_rng(whole("seed", seed))
