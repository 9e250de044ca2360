"""A stand-in for Dask's client that runs tasks at once and counts what they would have cost, without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cloudpickle

_IGNORED = ("key", "pure", "priority", "workers", "retries", "allow_other_workers", "resources", "fifo_timeout")


class CountedFuture:
    """What a task returned, and how long the chain of tasks to it is."""

    def __init__(self, client: CountingClient, value: Any, depth: int) -> None:
        self._client, self._value, self.depth = client, value, depth

    def result(self) -> Any:
        """Wait for the result and fetch it."""
        return self._client.gather(self)

    def __reduce__(self) -> Any:
        raise TypeError("a future is hidden where its task's arguments cannot be seen: give it as an argument")


class CountingClient:
    """Runs each task when it is submitted, and counts.

    Attributes
    ----------
    tasks : int
    waits : int
        How often the program waited for results: each ``gather``, each ``result``.
    sent, returned : int
        Bytes from the program to the cluster (what is no future counts for each task whose function or argument it
        is; what is scattered counts once), and from the cluster to the program.
    depth : int
        The longest chain of tasks that wait for one another.
    inputs : int
        The most futures that a task reads.

    Examples
    --------
    >>> client = CountingClient()
    >>> parts = client.map(abs, [-1, 2, -3])
    >>> client.submit(sum, parts).result(), client.tasks, client.waits, client.depth, client.inputs
    (6, 4, 1, 2, 3)

    Notes
    -----
    It has ``submit``, ``map``, ``gather`` and ``scatter`` as Dask's client has them. Used in chapter 23's exercises.
    """

    def __init__(self) -> None:
        self.tasks = self.waits = self.sent = self.returned = self.depth = self.inputs = 0

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> CountedFuture:
        """Run a task; futures among its arguments, also within lists and dicts, become their results."""
        kwargs = {name: value for name, value in kwargs.items() if name not in _IGNORED}
        found: list[CountedFuture] = []
        plain = _replaced((args, kwargs), found, lambda future: None)
        self.sent += len(cloudpickle.dumps((function, plain)))
        given, named = _replaced((args, kwargs), [], lambda future: future._value)
        depth = 1 + max((future.depth for future in found), default=0)
        self.tasks += 1
        self.depth, self.inputs = max(self.depth, depth), max(self.inputs, len(found))
        return CountedFuture(self, function(*given, **named), depth)

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any], **kwargs: Any) -> list[CountedFuture]:
        """Run a task for each element."""
        return [self.submit(function, *each, **kwargs) for each in zip(*iterables, strict=False)]

    def gather(self, futures: Any, **_: Any) -> Any:
        """Wait for the results of futures, also within lists and dicts, and fetch them."""
        self.waits += 1
        found: list[CountedFuture] = []
        results = _replaced(futures, found, lambda future: future._value)
        self.returned += sum(len(cloudpickle.dumps(future._value)) for future in found)
        return results

    def scatter(self, data: Any, **_: Any) -> Any:
        """Send data once; a list or a dict element by element."""
        self.sent += len(cloudpickle.dumps(data))
        if isinstance(data, dict):
            return {name: CountedFuture(self, value, 0) for name, value in data.items()}
        if isinstance(data, list | tuple):
            return type(data)([CountedFuture(self, value, 0) for value in data])
        return CountedFuture(self, data, 0)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"this stand-in for a client has submit, map, gather and scatter, and no {name}")


def _replaced(value: Any, found: list[CountedFuture], by: Callable[[CountedFuture], Any]) -> Any:
    """Return a value with each future in it replaced, and note the futures."""
    if isinstance(value, CountedFuture):
        found.append(value)
        return by(value)
    if type(value) in (list, tuple, set):
        return type(value)([_replaced(each, found, by) for each in value])
    if type(value) is dict:
        return {name: _replaced(each, found, by) for name, each in value.items()}
    return value
