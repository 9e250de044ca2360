"""Requests that arrive by themselves, and the coroutine that answers each: `serve`."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Client
from numpy.typing import ArrayLike

Handler = Callable[[int], Awaitable[Any]]


class Refused(Exception):
    """What a handler raises that turns a request away; it is no failure."""


@dataclass(frozen=True, eq=False)
class Served:
    """What clients saw of one service; arrays of shape (requests,), times in seconds from when the load began.

    Attributes
    ----------
    arrival : array
        When each request was *meant* to arrive, whether or not anybody was late.
    sent : array
        When it was really given to its handler.
    stop : array
        When its answer was there, or its refusal.
    refused : array of bool
        Whether it was turned away.
    answers : list
        What each was answered; None if it was turned away.
    """

    arrival: np.ndarray
    sent: np.ndarray
    stop: np.ndarray
    refused: np.ndarray
    answers: list[Any]

    def __len__(self) -> int:
        return len(self.arrival)

    @property
    def latency(self) -> np.ndarray:
        """From the intended arrival to the answer at the client, of those that were answered [s]."""
        return (self.stop - self.arrival)[~self.refused]

    @property
    def lateness(self) -> float:
        """By how much the generator was late, at most [s]: a busy event loop, or a busy machine."""
        return float((self.sent - self.arrival).max())

    def good(self, within: float) -> np.ndarray:
        """Return whether each was answered within so many seconds, shape (requests,)."""
        return ~self.refused & (self.stop - self.arrival <= within)


def serve(client: Client, interarrival: ArrayLike, services: Mapping[str, Handler]) -> dict[str, Served]:
    """Send the same requests, at the same instants, to one or more services (an open load).

    Parameters
    ----------
    client : distributed.Client
        The handlers run on its event loop, as those of a web server would.
    interarrival : array, shape (n,)
        Seconds between arrivals; the first request comes at ``interarrival[0]``.
    services : mapping of str to coroutine function
        ``await handler(i)`` answers request i. One that raises `Refused` turns it away.

    Returns
    -------
    dict of str to Served
        By the names of the services.

    Raises
    ------
    ValueError
        If times are negative, not finite, or none.
    Exception
        Whatever a handler raised, other than `Refused`, when all requests are through.

    Notes
    -----
    Services that are compared meet the same requests in the same seconds, and so the same disturbances; give each
    workers of its own. A handler that computes holds up the event loop, and with it every request that comes
    meanwhile: that is measured, as the arrivals are the intended ones. Garbage collection is kept short in this process
    (see `course.measure.poisson_load`). The simulated twin is `course.simulate.queue`. Taught in chapter 21.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, 1, processes=False, dashboard=False) as client:
    ...     async def double(i):
    ...         return await client.submit(lambda i: 2 * i, i)
    ...     served = serve(client, [0.01, 0.01, 0.01], {"double": double})["double"]
    >>> served.answers, bool((served.latency > 0).all())
    ([0, 2, 4], True)
    """
    gaps = np.asarray(interarrival, dtype=float)
    if gaps.ndim != 1 or not len(gaps) or not np.isfinite(gaps).all() or (gaps < 0).any():
        raise ValueError(f"interarrival has shape {gaps.shape}; it must be times of at least 0 s, shape (n,)")
    gc.collect()
    gc.freeze()
    try:
        loop = client.loop.asyncio_loop  # type: ignore[attr-defined]
        return asyncio.run_coroutine_threadsafe(_serve(gaps, dict(services)), loop).result()
    finally:
        gc.unfreeze()


async def _serve(gaps: np.ndarray, services: dict[str, Handler]) -> dict[str, Served]:
    n, arrival = len(gaps), np.cumsum(gaps)
    sent = np.empty(n)
    stop = {name: np.full(n, np.nan) for name in services}
    refused = {name: np.zeros(n, dtype=bool) for name in services}
    answers: dict[str, list[Any]] = {name: [None] * n for name in services}
    origin = time.perf_counter() + 0.05

    async def answer(name: str, i: int) -> None:
        try:
            answers[name][i] = await services[name](i)
        except Refused:
            refused[name][i] = True
        stop[name][i] = time.perf_counter() - origin

    asked = []
    for i, instant in enumerate((origin + arrival).tolist()):
        if (ahead := instant - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        sent[i] = time.perf_counter() - origin
        asked += [asyncio.ensure_future(answer(name, i)) for name in services]
    await asyncio.gather(*asked)
    return {name: Served(arrival, sent, stop[name], refused[name], answers[name]) for name in services}
