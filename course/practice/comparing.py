"""Compare what came out with what was expected, and say the difference in words, not in solutions."""

from __future__ import annotations

import math
from typing import Any

from course.practice.encoding import Opaque, type_name


def plain(value: Any) -> Any:
    """Return NumPy scalars and arrays as Python numbers and nested lists; leave the rest.

    Only for values that :func:`course.practice.encoding.decode` made, or the course's own.
    """
    if type_name(value) == "ndarray" or (type(value).__module__ == "numpy" and hasattr(value, "tolist")):
        return value.tolist()
    return value


def is_number(value: object) -> bool:
    """Whether `value` is a Python number (a truth value is not)."""
    return type(value) in (int, float, complex)


def kind_of(value: Any) -> str:
    """Say what `value` is: "a number", "an array of shape (3,)".

    Examples
    --------
    >>> kind_of([1, 2])
    'a list of length 2'
    """
    if isinstance(value, Opaque):
        kinds = {
            "generator": "a generator (return list(...) of it)",
            "coroutine": "a coroutine (write def, not async def)",
            "function": "a function (was it meant to be called?)",
            "type": "a class",
        }
        return kinds.get(value.type_name, f"an object of type {value.type_name}")
    if value is None:
        return "None (is a return missing?)"
    if value is ...:
        return "... (nothing yet)"
    shape = getattr(value, "shape", None)
    if shape:
        return f"an array of shape {tuple(shape)}"
    value = plain(value)
    if type(value) is bool:
        return f"the truth value {value}"
    if is_number(value):
        return "a number"
    if type(value) is str:
        return "a text"
    for kind in (list, tuple, set, frozenset, dict):
        if type(value) is kind:
            return f"a {kind.__name__} of length {len(value)}"
    return f"an object of type {type_name(value)}"


def short(value: Any, length: int = 70) -> str:
    """Write a value in one short line.

    Examples
    --------
    >>> short(0.30000000000000004)
    '0.3'
    >>> short(list(range(100)), 20)
    '[0, 1, 2, 3, 4, 5, …'
    """
    if isinstance(value, Opaque) or value is None or value is ...:
        return kind_of(value)
    if getattr(value, "shape", None) and value.size > 8:
        return kind_of(value)
    value = plain(value)
    if type(value) is float:
        return f"{value:.6g}"
    if type(value) in (list, tuple) and len(value) <= 20:
        inside = ", ".join(short(each) for each in value)
        comma = "," if type(value) is tuple and len(value) == 1 else ""
        text = f"[{inside}]" if type(value) is list else f"({inside}{comma})"
    elif type(value) is list:
        text = "[" + ", ".join(short(each) for each in value[:20]) + ", …]"
    elif type(value) is int and value.bit_length() > 4000:
        return f"a whole number of {value.bit_length()} bits"
    elif type(value) in (set, frozenset) and len(value) > 1000:
        text = kind_of(value)
    elif type(value) in (set, frozenset):
        text = "{" + ", ".join(sorted(short(each) for each in value)) + "}"
    elif type(value) in (bool, int, str, dict, complex, bytes, tuple):
        try:
            text = repr(value)
        except ValueError:  # a number in it has more digits than Python writes
            text = kind_of(value)
    else:
        text = f"<{type_name(value)}>"
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def difference(expected: Any, got: Any, relative: float, absolute: float) -> str | None:
    """Return None when `got` is `expected` within the tolerance, else what is wrong with it.

    The sentence says the kind of the difference (too large, another length, NaN), not the right value.
    Lists, tuples and arrays count as the same; a truth value is no number.

    Examples
    --------
    >>> difference(1.0, 1.0000001, 1e-3, 0)
    >>> difference([1.0, 2.0], [1.0, 3.0], 1e-3, 0)
    'element 1 (counted from 0) is 3, which is too large'
    """
    if isinstance(got, Opaque) or got is None or got is ...:
        return f"which is {kind_of(got)}, not {_wanted(expected)}"
    shape = tuple(getattr(expected, "shape", ()) or ())
    if shape and getattr(got, "shape", None) and tuple(got.shape) != shape:
        return f"which has the shape {tuple(got.shape)}, not {shape}"
    if getattr(got, "shape", None) and is_number(plain(expected)) and got.size != 1:
        return f"which is {kind_of(got)}, not a number"
    return _difference(plain(expected), plain(got), relative, absolute)


def _wanted(expected: Any) -> str:
    expected = plain(expected)
    if is_number(expected):
        return "a number"
    if type(expected) is bool:
        return "True or False"
    if type(expected) is str:
        return "a text"
    if type(expected) in (list, tuple):
        return f"a sequence of length {len(expected)}"
    return f"a {type_name(expected)}"


def _difference(expected: Any, got: Any, relative: float, absolute: float) -> str | None:
    if is_number(expected):
        if type(got) in (list, tuple) and len(got) == 1 and is_number(got[0]):
            return "which is a sequence with one number in it, not a number"
        if not is_number(got):
            return f"which is {kind_of(got)}, not a number"
        if isinstance(expected, complex) or isinstance(got, complex):
            same = abs(expected - got) <= max(relative * abs(expected), absolute)
            return None if same else "which is another complex number"
        return _number_difference(expected, got, relative, absolute)
    if type(expected) in (list, tuple):
        if type(got) not in (list, tuple):
            return f"which is {kind_of(got)}, not {_wanted(expected)}"
        if len(got) != len(expected):
            return f"which has {len(got)} elements, not {len(expected)}"
        for k, (one, other) in enumerate(zip(expected, got, strict=True)):
            problem = difference(one, other, relative, absolute)
            if problem is not None:
                shown = short(other, 30)
                place = f"element {k} (counted from 0)"
                return f"{place}: {problem}" if problem.startswith("element") else f"{place} is {shown}, {problem}"
        return None
    if type(expected) is dict:
        if type(got) is not dict:
            return f"which is {kind_of(got)}, not a dict"
        for key, one in expected.items():
            if key not in got:
                return f"which has no entry for {short(key, 30)}"
            problem = difference(one, got[key], relative, absolute)
            if problem is not None:
                return f"whose entry for {short(key, 30)} is {short(got[key], 30)}, {problem}"
        extra = [key for key in got if key not in expected]
        return f"which has an entry too many: {short(extra[0], 30)}" if extra else None
    if type(expected) in (set, frozenset):
        if type(got) in (list, tuple):
            try:
                got = set(got)
            except TypeError:
                return "whose elements are not what a set can hold"
        if type(got) not in (set, frozenset):
            return f"which is {kind_of(got)}, not a set"
        if got - expected:
            return "which has elements that do not belong to it"
        return "in which elements are missing" if expected - got else None
    if type(got) is not type(expected):
        return f"which is {kind_of(got)}, not {_wanted(expected)}"
    return None if got == expected else "which is not right"


def _number_difference(expected: float, got: float, relative: float, absolute: float) -> str | None:
    if got != got:
        return None if expected != expected else "which is not a number (NaN)"
    if expected == got:
        return None
    try:
        if math.isinf(got):
            return "which is infinite"
        if abs(got - expected) <= max(relative * abs(expected), absolute):
            return None
    except OverflowError:
        pass
    if got < 0 <= expected:
        return "which is negative"
    return "which is too large" if got > expected else "which is too small"
