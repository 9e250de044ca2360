"""Results as plain data: what comes back from the process that ran a learner's function.

Nothing that comes back is ever unpickled: a result is written as JSON in which every value carries its
type, and only plain Python values, NumPy scalars and NumPy arrays of numbers or text are known. Everything
else travels as an :class:`Opaque`: the name of its type. No method of a value that could be the learner's
own is called on the way.
"""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

MAX_BYTES = 8_000_000
MAX_ITEMS = 100_000
MAX_DEPTH = 30
_ARRAY_KINDS = "biufcUSmM"


class TooLargeError(ValueError):
    """The value does not fit into the size that a result may have."""


@dataclass(frozen=True)
class Opaque:
    """A value that cannot be sent: only the name of its type is known."""

    type_name: str


def type_name(value: object) -> str:
    """Return the name of a value's type, also when its metaclass misbehaves.

    Examples
    --------
    >>> type_name(3.0)
    'float'
    """
    return type.__dict__["__name__"].__get__(type(value))


class Budget:
    """Counts down what may still be sent: by one value, or by all that share it."""

    def __init__(self) -> None:
        self.items, self.bytes = MAX_ITEMS, MAX_BYTES

    def spend(self, size: int) -> None:
        """Count one value of so many bytes."""
        self.items -= 1
        self.bytes -= size
        if self.items < 0 or self.bytes < 0:
            raise TooLargeError


def encode(value: object, budget: Budget | None = None) -> list[Any]:
    """Return `value` as JSON data ``[kind, content]``.

    Parameters
    ----------
    value : object
    budget : Budget
        What it may still take; by default as much as one value may.

    Raises
    ------
    TooLargeError
        More than `MAX_ITEMS` values, `MAX_BYTES` bytes or `MAX_DEPTH` levels.

    Examples
    --------
    >>> decode(encode({"a": (1, 2.5)}))
    {'a': (1, 2.5)}
    >>> encode(object())
    ['opaque', 'object']
    """
    return _encode(value, budget or Budget(), 0)


def _encode(value: object, budget: Budget, depth: int) -> list[Any]:
    if depth > MAX_DEPTH:
        raise TooLargeError
    kind = type(value)
    if value is None or kind is bool:
        budget.spend(4)
        return ["plain", value]
    if value is Ellipsis:
        return ["ellipsis", None]
    if kind is int:
        budget.spend(value.bit_length() // 8)  # type: ignore[attr-defined]
        return ["int", hex(value)]  # type: ignore[call-overload]
    if kind is float:
        budget.spend(8)
        return ["float", float.hex(value)]  # type: ignore[arg-type]
    if kind is complex:
        budget.spend(16)
        return ["complex", [float.hex(value.real), float.hex(value.imag)]]  # type: ignore[attr-defined]
    if kind is str:
        budget.spend(len(value))  # type: ignore[arg-type]
        return ["plain", value]
    if kind is bytes:
        budget.spend(len(value))  # type: ignore[arg-type]
        return ["bytes", base64.b64encode(value).decode("ascii")]  # type: ignore[arg-type]
    for base in (list, tuple, set, frozenset):
        if issubclass(kind, base):
            budget.spend(8)
            return [base.__name__, [_encode(each, budget, depth + 1) for each in base.__iter__(value)]]  # type: ignore[arg-type]
    if issubclass(kind, dict):
        budget.spend(8)
        pairs = dict.items(value)  # type: ignore[arg-type]
        return ["dict", [[_encode(k, budget, depth + 1), _encode(v, budget, depth + 1)] for k, v in pairs]]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if kind is numpy.ndarray and value.dtype.kind in _ARRAY_KINDS:  # type: ignore[attr-defined]
            budget.spend(value.nbytes)  # type: ignore[attr-defined]
            return ["array", _array(value)]
        if id(kind) in _numpy_scalars() and value.dtype.kind in _ARRAY_KINDS:  # type: ignore[attr-defined]
            budget.spend(value.nbytes)  # type: ignore[attr-defined]
            return ["scalar", _array(value)]
    budget.spend(100)
    return ["opaque", type_name(value)[:100]]


@cache
def _numpy_scalars() -> frozenset[int]:
    """Return the identities of NumPy's own types of scalars: a class that is none of them is not asked for anything."""
    import numpy as np

    return frozenset(id(kind) for kind in np.sctypeDict.values())


def _array(value: Any) -> list[Any]:
    return [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode("ascii")]


def decode(data: object) -> Any:
    """Return the value that :func:`encode` wrote.

    Raises
    ------
    ValueError
        Anything that :func:`encode` does not write.
    """
    try:
        return _decode(data, 0)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not an encoded value: {type(error).__name__}") from None


def _decode(data: Any, depth: int) -> Any:
    kind, content = data
    if depth > MAX_DEPTH:
        raise ValueError("not an encoded value: nested too deep")
    if kind == "plain":
        if content is None or type(content) in (bool, str):
            return content
        raise ValueError("not an encoded value: plain")
    if kind == "ellipsis":
        return ...
    if kind == "int":
        return int(content, 16)
    if kind == "float":
        return float.fromhex(content)
    if kind == "complex":
        return complex(float.fromhex(content[0]), float.fromhex(content[1]))
    if kind == "bytes":
        return base64.b64decode(content, validate=True)
    if kind in ("list", "tuple", "set", "frozenset"):
        make = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind]
        return make(_decode(each, depth + 1) for each in content)
    if kind == "dict":
        return {_decode(k, depth + 1): _decode(v, depth + 1) for k, v in content}
    if kind in ("array", "scalar"):
        import numpy as np

        name, shape, raw = content
        dtype = np.dtype(str(name))
        if dtype.kind not in _ARRAY_KINDS:
            raise ValueError(f"not an encoded value: array of {dtype}")
        array = np.frombuffer(base64.b64decode(raw, validate=True), dtype=dtype).reshape([int(n) for n in shape])
        return array.copy() if kind == "array" else array[()]
    if kind == "opaque":
        return Opaque(str(content))
    raise ValueError("not an encoded value: unknown kind")
