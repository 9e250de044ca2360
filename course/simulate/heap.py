"""A binary heap over two arrays, for compiled code: the smallest key first, the smaller value first among equals.

numba compiles these into the event loops that use them. It does not notice when only this file changes: delete
``__pycache__`` after an edit.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def push(keys: np.ndarray, values: np.ndarray, count: int, key: float, value: int) -> int:
    """Add an entry to a heap of ``count`` entries; return the new count."""
    i = count
    while i > 0:
        above = (i - 1) >> 1
        if keys[above] < key or (keys[above] == key and values[above] <= value):
            break
        keys[i], values[i] = keys[above], values[above]
        i = above
    keys[i], values[i] = key, value
    return count + 1


@njit(cache=True)
def pop(keys: np.ndarray, values: np.ndarray, count: int) -> int:
    """Remove the first entry (read it at index 0 before); return the new count."""
    count -= 1
    key, value = keys[count], values[count]
    i = 0
    while True:
        below = 2 * i + 1
        if below >= count:
            break
        right = below + 1
        if right < count and (
            keys[right] < keys[below] or (keys[right] == keys[below] and values[right] < values[below])
        ):
            below = right
        if key < keys[below] or (key == keys[below] and value <= values[below]):
            break
        keys[i], values[i] = keys[below], values[below]
        i = below
    keys[i], values[i] = key, value
    return count


@njit(cache=True)
def replace_first(keys: np.ndarray, key: float) -> None:
    """Put a key in the place of the first, in a full heap of keys alone."""
    i = 0
    while True:
        below = 2 * i + 1
        if below >= len(keys):
            break
        if below + 1 < len(keys) and keys[below + 1] < keys[below]:
            below += 1
        if key <= keys[below]:
            break
        keys[i] = keys[below]
        i = below
    keys[i] = key
