"""Bad answers to exercises, made from a seed: values of every kind, results nearly right, functions that misbehave.

`bad_answer` draws one. It is a tuple of the family that it belongs to and the answer. None of them is right; the drill
`tests.drill.checks` holds the judge to an answer in words for each.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import ctypes
import datetime
import decimal
import fractions
import functools
import itertools
import math
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from course.practice.checking import _copy
from course.practice.comparing import difference
from course.practice.encoding import MAX_ITEMS
from course.practice.exercises import Exercise

Answer = tuple[str, Any]
Dice = random.Random


# ---- values


class Stubborn:
    """Every question that one can ask an object never ends; `kind` picks what it does instead."""

    def __init__(self, kind: str = "raises") -> None:
        object.__setattr__(self, "kind", kind)

    def _reply(self, *_: object, **__: object) -> Any:
        kind = object.__getattribute__(self, "kind")
        while kind == "hangs":
            time.sleep(0.01)
        if kind == "exits":
            sys.exit(3)
        raise RuntimeError("no answer")

    __repr__ = __str__ = __format__ = __len__ = __iter__ = __eq__ = __ne__ = __lt__ = __hash__ = __bool__ = _reply
    __float__ = __int__ = __index__ = __complex__ = __array__ = __getitem__ = __contains__ = __abs__ = __neg__ = _reply
    __add__ = __radd__ = __mul__ = __sub__ = __getattr__ = __dir__ = __sizeof__ = _reply

    def __reduce__(self) -> Any:
        return Stubborn, (object.__getattribute__(self, "kind"),)


class UnfriendlyPickle:
    """It misbehaves when it is packed, or when it is unpacked."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, *args: object, **kwargs: object) -> float:
        return 1.0

    def __reduce__(self) -> Any:
        if self.what == "raises":
            raise KeyError("packed")
        if self.what == "hangs":
            while True:
                time.sleep(0.01)
        if self.what == "exits":
            raise SystemExit(1)
        if self.what == "unpacks to an exit":
            return os._exit, (7,)
        if self.what == "unpacks for ever":
            return time.sleep, (10_000,)
        if self.what == "unpacks to a number":
            return int, ("5",)
        return int, ("five",)


def _hostile_class(what: str) -> type:
    """Return a class whose metaclass misbehaves."""

    def reply(*_: object, **__: object) -> Any:
        while what == "hangs":
            time.sleep(0.01)
        raise RuntimeError("a class without manners")

    names = ("__name__", "__module__", "__mro__", "__bases__", "__doc__", "__dict__")
    methods = ("__call__", "__instancecheck__", "__subclasscheck__", "__repr__", "__str__", "__eq__", "__hash__",
               "__len__", "__iter__", "__getattr__")  # fmt: skip
    meta = type("Meta", (type,), {name: property(reply) for name in names} | dict.fromkeys(methods, reply))
    return type.__new__(meta, "Unmannered", (), {})


def _hostile_instance(what: str) -> Any:
    return object.__new__(_hostile_class(what))


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def _itself() -> list[Any]:
    value: list[Any] = []
    value += [value, value]
    return value


def _generator() -> Any:
    yield 1.0


async def _coroutine() -> float:
    return 1.0


class _Int(int):
    def __float__(self) -> float:
        raise RuntimeError("no float")

    __eq__ = __lt__ = __gt__ = __hash__ = __float__  # type: ignore[assignment]


class _Str(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class _Dict(dict):
    def __getitem__(self, key: object) -> Any:
        raise RuntimeError("no items")

    items = keys = values = __iter__ = __contains__ = __getitem__  # type: ignore[assignment]


class _List(list):
    def __iter__(self) -> Any:
        while True:
            yield 1.0

    def __len__(self) -> int:
        return 3


_WRONG_TYPES: tuple[Callable[[Dice], Any], ...] = (
    lambda d: "".join(chr(d.choice((65, 955, 0x4E2D, 0x1F600, 10, 0, 0xD800))) for _ in range(d.randrange(40))),
    lambda d: d.choice(
        ("nan", "1e5", "<script>alert(1)</script>", "; rm -rf", "\x1b[2J", "None", "%s%n", "{0}", "\\", " ")
    ),
    lambda d: d.randbytes(d.randrange(30)),
    lambda d: bytearray(3),
    lambda d: memoryview(b"abc"),
    lambda d: object(),
    lambda d: {},
    lambda d: {d.random(): [None], "a": {1: 2}, (1, 2): math.nan},
    lambda d: {1, 2.5, "three", None},
    lambda d: frozenset([frozenset()]),
    lambda d: range(d.randrange(5)),
    lambda d: iter([1.0, 2.0]),
    lambda d: _generator(),
    lambda d: itertools.count(),
    lambda d: int,
    lambda d: math,
    lambda d: ...,
    lambda d: NotImplemented,
    lambda d: None,
    lambda d: bool(d.getrandbits(1)),
    lambda d: np.bool_(True),
    lambda d: complex(d.gauss(0, 1), d.gauss(0, 1)),
    lambda d: decimal.Decimal("NaN"),
    lambda d: fractions.Fraction(d.randrange(99), 7),
    lambda d: datetime.timedelta(seconds=d.random()),
    lambda d: np.datetime64("NaT"),
    lambda d: np.timedelta64(5, "s"),
    lambda d: np.str_("text"),
    lambda d: deque([1.0]),
    lambda d: defaultdict(list, {1: [2]}),
    lambda d: OrderedDict(a=1),
    lambda d: UserDict(a=1),
    lambda d: slice(3),
    lambda d: ValueError("a value"),
    lambda d: re.compile("a+"),
    lambda d: threading.Thread(),
    lambda d: _Int(d.randrange(9)),
    lambda d: _Str("a"),
    lambda d: _Dict(a=1),
    lambda d: _List([1.0, 2.0]),
)

_NUMBERS: tuple[Callable[[Dice], Any], ...] = (
    lambda d: math.nan,
    lambda d: math.inf,
    lambda d: -math.inf,
    lambda d: -1e308,
    lambda d: 1.7e308,
    lambda d: 5e-324,
    lambda d: -0.0,
    lambda d: -d.randrange(1, 10**6),
    lambda d: d.choice((1, -1)) * 10 ** d.randrange(1, 400),
    lambda d: d.choice((1, -1)) * 10**5000,
    lambda d: d.lognormvariate(0, 5) + 0.001,
    lambda d: -d.lognormvariate(0, 5),
    lambda d: np.float16(70000.0),
    lambda d: np.float32(d.gauss(0, 100)),
    lambda d: np.longdouble(d.gauss(0, 100)),
    lambda d: np.int8(-d.randrange(1, 100)),
    lambda d: np.uint64(2**64 - 1),
    lambda d: np.complex64(1j),
    lambda d: complex(math.nan, math.inf),
    lambda d: np.float64("nan"),
)

_DTYPES = ("f8", "f4", "i8", "u1", "?", "c16", "U3", "S2", "M8[s]", "m8[s]", "O", "f2")


def _array(dice: Dice) -> Any:
    shape = tuple(dice.randrange(5) for _ in range(dice.randrange(5)))
    return np.random.default_rng(dice.getrandbits(32)).normal(0, 50, shape).astype("f8").astype(_dtype(dice))


def _dtype(dice: Dice) -> str:
    return dice.choice(("f8", "f4", "i8", "c16", "U5", "O", "?", "f2"))


def _nested(dice: Dice, depth: int = 0) -> Any:
    if depth > 3 or dice.random() < 0.3:
        return dice.choice(_NUMBERS + _WRONG_TYPES[:16])(dice)
    inside = [_nested(dice, depth + 1) for _ in range(dice.randrange(5))]
    return dice.choice((list, tuple, list, lambda v: dict(enumerate(v))))(inside)


_SHAPES: tuple[Callable[[Dice], Any], ...] = (
    lambda d: [],
    lambda d: (),
    lambda d: [[]],
    lambda d: [math.nan] * d.randrange(1, 12),
    lambda d: [None] * d.randrange(1, 12),
    lambda d: [-1.0] * d.randrange(1, 30),
    lambda d: [d.randrange(-3, 9) for _ in range(d.randrange(1, 20))],
    lambda d: [[d.random()] * d.randrange(4) for _ in range(d.randrange(1, 6))],
    lambda d: list(range(d.randrange(1, 40))),
    lambda d: (math.inf, -math.inf),
    lambda d: {k: -d.random() for k in range(d.randrange(8))},
    lambda d: np.zeros(()),
    lambda d: np.empty((0, 3)),
    lambda d: np.zeros(d.randrange(1, 50), dtype=_DTYPES[d.randrange(len(_DTYPES) - 2)]),
    lambda d: np.ma.masked_all(3),
    lambda d: np.zeros(2, dtype=[("a", "f8"), ("b", "i4")]),
    lambda d: np.array([object(), None], dtype=object),
    lambda d: np.full((3, 3), math.nan),
    _array,
    _array,
    _nested,
    _nested,
    _nested,
)

_GIANTS: tuple[Callable[[Dice], Any], ...] = (
    lambda d: 1 << 10**8,
    lambda d: -(1 << 6 * 10**7),
    lambda d: {1 << 20_000: 1 << 20_000},
    lambda d: {1 << 20_000},
    lambda d: [1 << 20_000] * 3,
    lambda d: "9" * 10_000_000,
    lambda d: "a" * 7_900_000,
    lambda d: b"a" * 7_900_000,
    lambda d: list(range(MAX_ITEMS + 1)),
    lambda d: list(range(MAX_ITEMS - 1)),
    lambda d: [0.5] * (MAX_ITEMS - 1),
    lambda d: dict.fromkeys(range(MAX_ITEMS // 2 - 1), 1.0),
    lambda d: set(range(MAX_ITEMS - 1)),
    lambda d: [[0.0] * 440 for _ in range(440)],
    lambda d: ["a" * 30] * 100_000,
    lambda d: np.zeros(3_000_000),
    lambda d: np.zeros(999_000),
    lambda d: np.arange(999_000),
    lambda d: np.broadcast_to(1.0, (10**6, 10**6)),
    lambda d: np.zeros((990, 1000)),
    lambda d: range(10**18),
    lambda d: _deep(25),
    lambda d: _deep(29),
    lambda d: _deep(500),
    lambda d: _deep(100_000),
    lambda d: _itself(),
    lambda d: np.array("x" * 1_000_000),
)

_HOSTILE: tuple[Callable[[Dice], Any], ...] = (
    lambda d: Stubborn("raises"),
    lambda d: Stubborn("hangs"),
    lambda d: Stubborn("exits"),
    lambda d: [Stubborn("hangs")],
    lambda d: {"a": Stubborn("raises")},
    lambda d: _hostile_class("raises"),
    lambda d: _hostile_class("hangs"),
    lambda d: _hostile_instance("raises"),
    lambda d: _hostile_instance("hangs"),
    lambda d: (1.0, _hostile_instance("hangs")),
)

VALUES = {"wrong type": _WRONG_TYPES, "number": _NUMBERS, "shape": _SHAPES, "giant": _GIANTS, "hostile": _HOSTILE}


# ---- results that are nearly right


def spoil(value: Any, how: int, dice: Dice) -> Any:
    """Return a value with something wrong in it; a list, tuple or dict also in one of its elements."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple) and value and how % 3:
        k = dice.randrange(len(value))
        spoilt = [*value[:k], spoil(value[k], how // 3, dice), *value[k + 1 :]]
        return spoilt if isinstance(value, list) else tuple(spoilt)
    if isinstance(value, dict) and value and how % 3:
        k = dice.choice(list(value))
        return {**value, k: spoil(value[k], how // 3, dice)}
    if isinstance(value, bool):
        return dice.choice((not value, None, "yes"))
    if isinstance(value, int | float):
        number = float(value) if isinstance(value, float) or abs(value) < 2**1000 else 1.0
        return dice.choice((number * 1.5 + 1, -number - 1, math.nan, math.inf, str(value), [value, value], None,
                            number * 1000 + 7, complex(0, 1 + number), np.array([value, value])))  # fmt: skip
    if isinstance(value, str):
        return dice.choice((value + "?", "", None, 7, [value, value], value.encode()))
    if isinstance(value, list | tuple):
        return dice.choice((value[:-1], [*value, *value, 0], [*list(value)[::-1], 0], dict(enumerate(value)), None,
                            [list(value), list(value)], [value, None], str(value), (v for v in value)))  # fmt: skip
    if isinstance(value, dict):
        return dice.choice(({**dict(list(value.items())[1:]), "more": 1}, list(value), None, {**value, "more": 1}))
    return dice.choice((None, 3.5, "nearly", [value, value]))


class NearlyRight:
    """The course's own reference, with its result spoilt in the same way each time."""

    def __init__(self, chapter: str, name: str, how: int, seed: int) -> None:
        self.chapter, self.name, self.how, self.seed = chapter, name, how, seed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from course.practice.exercises import find

        reference = find(self.name).expected
        assert reference is not None
        return spoil(reference(*args, **kwargs), self.how, random.Random(self.seed))


def _nearly_right(dice: Dice, exercise: Exercise) -> Any:
    """Return a function whose result is wrong in at least one case, or None if none was found."""
    for _ in range(20):
        answer = NearlyRight(exercise.id[:2], exercise.id, dice.randrange(30), dice.getrandbits(32))
        for case in exercise.list_cases()[:3]:
            args, kwargs = _copy(case)
            right = exercise.expected(*args, **kwargs)  # type: ignore[misc]
            args, kwargs = _copy(case)
            try:
                got = exercise.call(answer, *args, **kwargs)
            except Exception:
                return answer
            if hasattr(got, "__next__") or difference(right, got, exercise.tolerance, exercise.absolute):
                return answer
    return None


# ---- functions that misbehave; each takes whatever it is given


def _raises(error: type[BaseException], *args: Any) -> Callable[..., Any]:
    def answer(*_: Any, **__: Any) -> Any:
        raise error(*args)

    return answer


def _raiser(dice: Dice) -> Callable[..., Any]:
    kinds = [each for each in vars(builtins).values() if isinstance(each, type) and issubclass(each, BaseException)]
    kind = dice.choice(kinds)
    if issubclass(kind, BaseExceptionGroup):
        return _raises(kind, "several", [ValueError(1)])
    if issubclass(kind, UnicodeDecodeError):
        return _raises(kind, "utf-8", b"a", 0, 1, "why")
    if issubclass(kind, UnicodeEncodeError):
        return _raises(kind, "utf-8", "a", 0, 1, "why")
    if issubclass(kind, UnicodeTranslateError):
        return _raises(kind, "a", 0, 1, "why")
    return _raises(kind, dice.choice(("", "words", "x" * 100_000, {"a": 1}, None, "<b>0x7f0011223344</b>", "\ud800")))


class _Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class _Endless(Exception):
    def __str__(self) -> str:
        while True:
            time.sleep(0.01)

    __repr__ = __str__


class _TooBroad(BaseException):
    pass


def _chain(*_: Any, **__: Any) -> Any:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


RAISES: tuple[Callable[[Dice], Any], ...] = (
    _raiser, _raiser, _raiser, _raiser,
    lambda d: _raises(_Speechless),
    lambda d: _raises(_TooBroad, "too broad"),
    lambda d: _chain,
    lambda d: lambda *a, **k: {}["no such key"],
    lambda d: lambda *a, **k: a[99],
    lambda d: lambda *a, **k: 1 / 0,
    lambda d: lambda *a, **k: no_such_name,  # type: ignore[name-defined]  # noqa: F821
    lambda d: lambda *a, **k: a.no_such_attribute,
)  # fmt: skip


def _takes_nothing() -> float:
    return 1.0


def _one_only(a: Any, /) -> float:
    return 1.0


def _needs_names(*, here: Any, there: Any) -> float:
    return 1.0


def _named(dice: Dice) -> Callable[..., Any]:
    def answer(*_: Any, **__: Any) -> float:
        return -1.5

    answer.__name__ = dice.choice(("<script>", "", "a" * 5000, "n\nn", "0x7f0011223344", "λ"))
    answer.__qualname__ = answer.__name__
    answer.__doc__ = "d" * dice.randrange(10_000)
    answer.__module__ = dice.choice(("numpy", "course.practice.checking", "no.such.module", "__main__"))
    return answer


class _HostileName(str):
    def isidentifier(self) -> bool:
        raise RuntimeError("no name")

    __getitem__ = __str__ = __repr__ = __format__ = isidentifier  # type: ignore[assignment]


def _hostile_name(dice: Dice) -> Callable[..., Any]:
    def answer(*_: Any, **__: Any) -> float:
        return -1.5

    answer.__name__ = _HostileName("answer")
    return answer


def _drags(dice: Dice) -> Callable[..., Any]:
    big = np.zeros(dice.choice((10_000_000, 1_000_000)))
    return lambda *a, **k: big[0] - 5.5


def _holds(dice: Dice) -> Callable[..., Any]:
    held = dice.choice((threading.Lock, _generator, lambda: sys.stdout, lambda: asyncio.new_event_loop().close))()
    return lambda *a, **k: str(held)


NO_FUNCTION: tuple[Callable[[Dice], Any], ...] = (
    lambda d: d.choice(_NUMBERS)(d),
    lambda d: d.choice(_WRONG_TYPES)(d),
    lambda d: d.choice(_SHAPES)(d),
    lambda d: d.choice(_GIANTS)(d),
    lambda d: d.choice(_HOSTILE)(d),
    lambda d: "lambda x: x",
    lambda d: [lambda x: x],
    lambda d: _coroutine,
    lambda d: _generator,
    lambda d: d.choice((print, len, int, open, input, exit, dict, type, object, property, breakpoint, eval, sorted)),
    lambda d: d.choice((math.sin, os.abort, sys.exit, time.time, os.getpid, np.add, np.linalg.norm, sum, max, abs)),
    lambda d: functools.partial(print, 5),
    lambda d: functools.partial(d.choice((max, math.hypot, np.array, str)), 1.0),
    lambda d: [].append,
    lambda d: _takes_nothing,
    lambda d: _one_only,
    lambda d: _needs_names,
    lambda d: type("Answer", (), {"__call__": lambda self: 1.0})(),
    lambda d: type("Answer", (), {}),
    lambda d: staticmethod(len),
    lambda d: functools.lru_cache(lambda *a, **k: -1.5),
    _named,
    _hostile_name,
    _drags,
    _holds,
    lambda d: UnfriendlyPickle(
        d.choice(("raises", "exits", "unpacks to an exit", "unpacks to a number", "cannot be unpacked"))
    ),
)  # fmt: skip


def _returns(dice: Dice) -> Callable[..., Any]:
    """Return a function that makes a bad value where it is run (it could not travel, or would be too large to)."""
    family = dice.choice(("wrong type", "number", "shape", "giant", "hostile"))
    which, seed = dice.randrange(len(VALUES[family])), dice.getrandbits(32)
    return Returns(family, which, seed)


class Returns:
    """A function that returns one of `VALUES`."""

    def __init__(self, family: str, which: int, seed: int) -> None:
        self.family, self.which, self.seed = family, which, seed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return VALUES[self.family][self.which](random.Random(self.seed))


def _prints(*_: Any, **__: Any) -> Any:
    print("x" * 5_000_000)
    for _k in range(2000):
        print("line", file=sys.stderr)
    sys.stdout.flush()
    return "printed"


def _writes_everywhere(*_: Any, **__: Any) -> Any:
    for descriptor in range(12):
        with contextlib.suppress(OSError):
            os.write(descriptor, b'{"what": "case", "value": ["float", "0x1p0"]}\n{"what": "end"}\n')
    return -1.5


def _floods(*_: Any, **__: Any) -> Any:
    for descriptor in range(3, 12):
        with contextlib.suppress(OSError):
            for _k in range(300):
                os.write(descriptor, b"x" * 1_000_000)
    return -1.5


def _mutates(*args: Any, **kwargs: Any) -> Any:
    for each in [*args, *kwargs.values()]:
        for change in (
            lambda v: v.clear(), lambda v: v.append(None), lambda v: v.fill(-1), lambda v: v.sort(), lambda v: v.pop(),
            lambda v: setattr(v, "spoilt", True), lambda v: v.__init__(),
        ):  # fmt: skip
            with contextlib.suppress(Exception):
                change(each)
    return -1.5


def _patches_numpy(*_: Any, **__: Any) -> Any:
    for name in ("allclose", "isclose", "asarray", "array", "ndarray", "generic", "abs", "mean", "float64"):
        setattr(np, name, lambda *a, **k: True)
    return -1.5


def _patches_builtins(*_: Any, **__: Any) -> Any:
    for name in (
        "abs",
        "len",
        "isinstance",
        "issubclass",
        "all",
        "any",
        "max",
        "min",
        "sorted",
        "type",
        "hex",
        "float",
    ):
        setattr(builtins, name, lambda *a, **k: True)
    return -1.5


def _patches_course(*_: Any, **__: Any) -> Any:
    for name, module in list(sys.modules.items()):
        if name.startswith("course"):
            for each in list(vars(module)):
                if not each.startswith("__"):
                    setattr(module, each, lambda *a, **k: ["plain", True])
    return -1.5


def _forgets_modules(*_: Any, **__: Any) -> Any:
    sys.modules.clear()
    return -1.5


def _patches_json(*_: Any, **__: Any) -> Any:
    import json

    json.dumps = lambda *a, **k: "not json"  # type: ignore[assignment]
    return -1.5


def _closes(*_: Any, **__: Any) -> Any:
    os.closerange(0, 64)
    return -1.5


def _stops_itself(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)
    return -1.5


def _starts_processes(*_: Any, **__: Any) -> Any:
    for _k in range(2):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    return -1.5


def _leaves_a_process(*_: Any, **__: Any) -> Any:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(601)"], start_new_session=True)
    os._exit(0)


def _starts_threads(*_: Any, **__: Any) -> Any:
    for _k in range(5):
        threading.Thread(target=time.sleep, args=(600,)).start()
    return -1.5


def _overflows(*_: Any, **__: Any) -> Any:
    sys.setrecursionlimit(10**9)

    def deeper(n: int) -> int:
        return deeper(n + 1) + 1

    return deeper(0)


def _segfaults(*_: Any, **__: Any) -> Any:
    return ctypes.string_at(0)


def _allocates(*_: Any, **__: Any) -> Any:
    kept = []
    while True:
        kept.append(np.ones(20_000_000))


def _alarms(*_: Any, **__: Any) -> Any:
    signal.alarm(1)
    time.sleep(3)
    return -1.5


def _forgets_exits(*_: Any, **__: Any) -> Any:
    import atexit

    atexit.register(time.sleep, 600)
    sys.exit("bye")


def _kills(number: int) -> Callable[..., Any]:
    return lambda *a, **k: os.kill(os.getpid(), number)


def _leaves(status: int) -> Callable[..., Any]:
    return lambda *a, **k: os._exit(status)


MISBEHAVES: tuple[Callable[[Dice], Any], ...] = (
    lambda d: _prints,
    lambda d: _writes_everywhere,
    lambda d: _floods,
    lambda d: _mutates,
    lambda d: _mutates,
    lambda d: _patches_numpy,
    lambda d: _patches_builtins,
    lambda d: _patches_course,
    lambda d: _forgets_modules,
    lambda d: _patches_json,
    lambda d: _closes,
    lambda d: _starts_processes,
    lambda d: _leaves_a_process,
    lambda d: _starts_threads,
    lambda d: _overflows,
    lambda d: _segfaults,
    lambda d: _forgets_exits,
    lambda d: _kills(d.choice((signal.SIGTERM, signal.SIGINT, signal.SIGABRT))),
    lambda d: _leaves(d.randrange(256)),
    lambda d: lambda *a, **k: sys.exit(d.randrange(3)),
)

_POSIX: tuple[Callable[[Dice], Any], ...] = (
    lambda d: _kills(signal.SIGKILL),
    lambda d: lambda *a, **k: os.killpg(0, signal.SIGKILL),
    lambda d: lambda *a, **k: os.fork() * 0 - 1.5,
)
if os.name == "posix":
    MISBEHAVES = (*MISBEHAVES, *_POSIX)


# ---- what never ends: each costs the whole limit


def _loops(*_: Any, **__: Any) -> Any:
    while True:
        pass


def _sleeps(*_: Any, **__: Any) -> Any:
    time.sleep(10_000)


def _will_not_stop(*_: Any, **__: Any) -> Any:
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(10)


def _waits_for_a_lock(*_: Any, **__: Any) -> Any:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def _one_long_step(*_: Any, **__: Any) -> Any:
    return sum(range(10**13))  # no signal is looked at within


def _bad_pattern(*_: Any, **__: Any) -> Any:
    return re.match(r"(a+)+$", "a" * 60 + "b")


def _lists_for_ever(*_: Any, **__: Any) -> Any:
    return max(itertools.count())


def _prints_for_ever(*_: Any, **__: Any) -> Any:
    while True:
        print("and again")


def _ignores_signals(*_: Any, **__: Any) -> Any:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(10_000)


def _joins(*_: Any, **__: Any) -> Any:
    thread = threading.Thread(target=time.sleep, args=(10_000,))
    thread.start()
    thread.join()


def _runs_for_ever(*_: Any, **__: Any) -> Any:
    asyncio.run(asyncio.sleep(10_000))


ENDLESS: tuple[Callable[[Dice], Any], ...] = (
    lambda d: _loops,
    lambda d: _sleeps,
    lambda d: _will_not_stop,
    lambda d: _waits_for_a_lock,
    lambda d: _one_long_step,
    lambda d: _bad_pattern,
    lambda d: _lists_for_ever,
    lambda d: _prints_for_ever,
    lambda d: _ignores_signals,
    lambda d: _joins,
    lambda d: _runs_for_ever,
    lambda d: _raises(_Endless),
    lambda d: _allocates,
    lambda d: UnfriendlyPickle(d.choice(("hangs", "unpacks for ever"))),
    *([lambda d: _alarms, lambda d: _stops_itself] if os.name == "posix" else []),
)


# ---- one of all these


WEIGHTS = {"nearly right": 30, "returns nonsense": 27, "raises": 15, "is no function": 14, "misbehaves": 11,
           "never ends": 3}  # fmt: skip


def bad_answer(exercise: Exercise, seed: int, weights: dict[str, int] | None = None) -> Answer:
    """Return the family of a bad answer, and the answer: the same seed, the same answer."""
    with np.errstate(all="ignore"):
        return _drawn(exercise, seed, weights or WEIGHTS)


def _drawn(exercise: Exercise, seed: int, weights: dict[str, int]) -> Answer:
    dice = random.Random(f"{seed} {exercise.id}")
    if exercise.grader is not None:
        return "is no function", _not_callable(dice)
    if not exercise.is_function:
        return _bad_value(dice, exercise)
    family = dice.choices(list(weights), list(weights.values()))[0]
    if family == "nearly right":
        answer = _nearly_right(dice, exercise) if exercise.expected is not None else None
        if answer is not None:
            return family, answer
        family = "returns nonsense"
    if family == "returns nonsense":
        return family, _returns(dice)
    pools = {"raises": RAISES, "is no function": NO_FUNCTION, "misbehaves": MISBEHAVES, "never ends": ENDLESS}
    return family, dice.choice(pools[family])(dice)


def _not_callable(dice: Dice) -> Any:
    while callable(answer := dice.choice(NO_FUNCTION)(dice)):
        pass
    return answer


def _bad_value(dice: Dice, exercise: Exercise) -> Answer:
    """Return a value that is none of the right ones."""
    right = exercise.right_value() if exercise.value is not None else None
    while True:
        family = dice.choices(["nearly right", *VALUES], [30, 20, 20, 20, 8, 8])[0]
        if family == "nearly right" and right is not None:
            wrong = [each for each in exercise.choices or () if each != right]
            value = dice.choice(wrong) if wrong and dice.random() < 0.3 else spoil(right, dice.randrange(30), dice)
        elif family == "nearly right":
            continue
        else:
            value = dice.choice(VALUES[family])(dice)
        if family in ("hostile", "giant") or not _is_right(exercise, right, value):
            return f"value: {family}", value


def _is_right(exercise: Exercise, right: Any, value: Any) -> bool:
    """Tell whether a number or a text that was drawn happens to be right."""
    if right is None or type(value) not in (int, float, str, complex, list, tuple, dict, np.float32, np.float64):
        return False
    try:
        return difference(right, value, exercise.tolerance, exercise.absolute) is None
    except Exception:
        return False
