"""Numbers with units, as they are typed: ``100MB/s``, ``2ms``, and ``2x`` for twice what there was."""

from __future__ import annotations

import math
import re

from course.cli.errors import CommandError

BYTES = {"": 1.0, "b": 1.0}
BYTES |= {f"{letter}{end}": 1e3 ** (k + 1) for k, letter in enumerate("kmgtp") for end in ("b", "")}
BYTES |= {f"{letter}i{end}": 1024.0 ** (k + 1) for k, letter in enumerate("kmgtp") for end in ("b", "")}
BYTES |= {f"{letter}bit": 1e3 ** (k + 1) / 8 for k, letter in enumerate("kmgt")} | {"bit": 1 / 8}
"""Units of sizes, in small letters, as bytes."""

SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9, "min": 60.0, "m": 60.0}
"""Units of times, as seconds."""


def rate(text: str, option: str) -> float | str:
    """Return bytes per second, or a factor as it was given.

    Examples
    --------
    >>> rate("100 MB", "--bandwidth"), rate("1GiB/s", "--bandwidth"), rate("10Gbit/s", "--bandwidth")
    (100000000.0, 1073741824.0, 1250000000.0)
    >>> rate("2x", "--bandwidth")
    '2x'
    """
    bare = re.sub(r"(/s|ps)$", "", text.strip(), flags=re.IGNORECASE)
    return _quantity(text, bare, BYTES, option, "100MB/s, 1GiB/s, 10Gbit/s or 2x", small=True)


def duration(text: str, option: str) -> float | str:
    """Return seconds, or a factor as it was given.

    Examples
    --------
    >>> duration("2ms", "--latency"), duration("0.5", "--latency"), duration("0.5x", "--latency")
    (0.002, 0.5, '0.5x')
    """
    return _quantity(text, text, SECONDS, option, "200us, 2ms, 0.1s or 2x")


def count(text: str, option: str) -> int | str:
    """Return a whole number of at least 1, or a factor as it was given.

    Examples
    --------
    >>> count("16", "--workers"), count("2x", "--workers")
    (16, '2x')
    """
    number, unit = _split(text)
    if unit == "x" and number > 0:
        return f"{number:g}x"
    if unit or not number >= 1 or number != int(number):
        raise CommandError(f"{option} is {text!r}; it must be a whole number of at least 1, or a factor such as 2x")
    return int(number)


def factor(text: str, option: str) -> float:
    """Return a number greater than 0, with or without an x at its end.

    Examples
    --------
    >>> factor("1.5", "--speed"), factor("2x", "--speed")
    (1.5, 2.0)
    """
    number, unit = _split(text)
    if unit not in ("", "x") or not number > 0:
        raise CommandError(f"{option} is {text!r}; it must be a number greater than 0, such as 2 or 0.5")
    return number


def _split(text: str) -> tuple[float, str]:
    """Return the number and the unit; NaN for what is none. A factor's unit is x."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+\.)\s*(\D*?)\s*", text)
    if match is None or not math.isfinite(float(match[1])):
        return math.nan, text
    unit = match[2]
    return float(match[1]), "x" if unit in ("x", "X", "×") else unit


def _quantity(
    text: str, bare: str, units: dict[str, float], option: str, allowed: str, small: bool = False
) -> float | str:
    number, unit = _split(bare)
    if unit == "x" and number > 0:
        return f"{number:g}x"
    unit = unit.lower() if small else unit
    if math.isnan(number) or unit not in units:
        raise CommandError(f"{option} is {text!r}; it must be like {allowed}")
    return number * units[unit]
