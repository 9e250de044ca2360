"""What the tasks of one kind have in common: the prefix of their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

# What follows a hyphen and tells tasks of one kind apart: a UUID (of impure tasks), a number or a hash.
_TOKEN = re.compile(r"-(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+|[0-9a-f]{16,})(?=-|$)")


def key_prefix(name: str) -> str:
    """Return what tasks of one kind have in common: their name without numbers, hashes and coordinates.

    Parameters
    ----------
    name : str
        Dask's key as text: ``load-7``, ``sum-0f1e…``, or ``('sum-0f1e…', 3, 0)``. A bare number has the prefix "task".

    Examples
    --------
    >>> key_prefix("load-7"), key_prefix("('read-parquet-0123456789abcdef0123456789abcdef', 3)")
    ('load', 'read-parquet')
    >>> key_prefix("load-08324b7c-426e-4426-a7a1-4a20441b356d-3")
    'load'

    Notes
    -----
    Dask's own rule (``dask.utils.key_split``) does the same for the keys that Dask makes. Taught in chapter 11.
    """
    if name.isdecimal():
        return "task"
    if name.startswith("('"):
        name = name[2:].partition("'")[0]
    return _TOKEN.sub("", name) or name


def key_prefixes(names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the prefixes that occur, in the order of their first task, and the number of each task's prefix.

    Examples
    --------
    >>> prefixes, group = key_prefixes(["load-0", "load-1", "merge"])
    >>> prefixes, group.tolist()
    (['load', 'merge'], [0, 0, 1])
    """
    known: dict[str, int] = {}
    of_stem: dict[str, int] = {}
    group = np.empty(len(names), dtype=np.int64)
    for i, name in enumerate(names):
        # Names of one kind mostly have one stem, from which their prefix is found only once.
        stem = _stem(name)
        number = of_stem.get(stem)
        if number is None:
            number = of_stem[stem] = known.setdefault(key_prefix(name), len(known))
        group[i] = number
    return list(known), group


def _stem(name: str) -> str:
    """Return the beginning of a name, so that names with the same one have the same prefix."""
    if name.startswith("('"):
        return name[: name.find("'", 2)]
    if len(name) > 33 and name[-33] == "-":
        token = name[-32:]
        if token.isalnum() and token.islower() and not token.strip("0123456789abcdef"):
            return name[:-32]
    bare = name.rstrip("0123456789")
    return bare if bare.endswith("-") else name
