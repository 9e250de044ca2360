"""Several dispatchers send the same requests to Dask workers, each by its own rule: `balanced_load`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from distributed import Client, Future
from numpy.typing import ArrayLike

from course.measure.workloads import Load, _serve

Rule = Callable[[np.ndarray], int]


@dataclass(frozen=True, eq=False)
class Dispatched(Load):
    """What happened to each request, as in `Load`, and where.

    Attributes
    ----------
    server : array of int, shape (n,)
        The server that each request was sent to, numbered from 0 in the group of its dispatcher.
    """

    server: np.ndarray


class _Board:
    """How many requests are at each server: as it is, and as it was when it was last written down."""

    def __init__(self, servers: int, stale: float, origin: float) -> None:
        self._lock, self._inside = threading.Lock(), np.zeros(servers, dtype=np.int64)
        self._seen, self._stale, self._origin, self._period = self._inside.copy(), stale, origin, 0

    def look(self) -> np.ndarray:
        period = int((time.time() - self._origin) / self._stale) if self._stale else 0
        with self._lock:
            if not self._stale or period > self._period:
                self._seen, self._period = self._inside.copy(), period
        return self._seen.copy()

    def send(self, server: int) -> Callable[[Future], None]:
        """Note that a request was sent; return what notes that it is done."""
        self._add(server, 1)
        return lambda _: self._add(server, -1)

    def _add(self, server: int, number: int) -> None:
        with self._lock:
            self._inside[server] += number


def balanced_load(
    client: Client,
    arrivals: ArrayLike,
    services: ArrayLike,
    rules: Mapping[str, Rule | tuple[Rule, float]],
) -> dict[str, Dispatched]:
    """Send the same requests, at the same instants, by several dispatchers, each to workers of its own.

    Parameters
    ----------
    client : distributed.Client
        Its workers, of one thread each, are shared out among the rules in equal numbers, in the order of their names.
    arrivals : array, shape (n,)
        Seconds between arrivals; the first request comes at ``arrivals[0]``.
    services : array, shape (n,)
        Seconds that each request takes; servers sleep for that long.
    rules : mapping of str to callable, or to (callable, float)
        ``rule(counts)`` returns the number of a server; ``counts``, an array of int of shape (servers,), is how many
        requests each server has. With a number, counts are those at the last multiple of so many seconds.

    Returns
    -------
    dict of str to Dispatched
        By the names of the rules. Times count from when the load began.

    Raises
    ------
    ValueError
        If there is a rule without a worker, times are of different lengths or negative, or a rule names no server.

    Notes
    -----
    What a dispatcher knows of a server is what it sent there less what it saw come back, some milliseconds late. All
    rules meet the same requests in the same seconds, and so the same disturbances: compare their ratios. Its simulated
    twin is `course.simulate.balance`. Switch Dask's stealing off (``distributed.scheduler.work-stealing``); it would
    not move these tasks, which are bound to a worker.

    Taught in chapter 14.

    Examples
    --------
    >>> import numpy as np
    >>> from course.measure import cluster
    >>> with cluster(4, 1, processes=False, dashboard=False) as client:
    ...     runs = balanced_load(client, [0.0] * 6, [0.01] * 6, {"first": lambda counts: 0, "shortest": np.argmin})
    >>> runs["first"].server, runs["shortest"].server
    (array([0, 0, 0, 0, 0, 0]), array([0, 1, 0, 1, 0, 1]))
    """
    gaps, work = (np.asarray(each, dtype=float) for each in (arrivals, services))
    if gaps.ndim != 1 or gaps.shape != work.shape or not len(gaps) or not (gaps >= 0).all() or not (work >= 0).all():
        raise ValueError(f"arrivals {gaps.shape} and services {work.shape} must be two lists of n times, in s")
    info = client.scheduler_info(n_workers=-1)["workers"]
    addresses = sorted(info, key=lambda address: (len(str(info[address]["name"])), str(info[address]["name"])))
    servers = len(addresses) // max(len(rules), 1)
    if servers < 1:
        raise ValueError(f"{len(addresses)} workers do for at most as many rules, and at least one; given {len(rules)}")
    client.gather([_send(client, 0.0, address) for address in addresses])  # imports are not to be measured
    arrival, n = np.cumsum(gaps), len(gaps)
    origin = time.time() + 0.05
    pairs = [rule if isinstance(rule, tuple) else (rule, 0.0) for rule in rules.values()]
    boards = [_Board(servers, float(stale), origin) for _, stale in pairs]
    sent, where = np.empty((len(pairs), n)), np.empty((len(pairs), n), dtype=np.int64)
    futures: list[list[Future]] = [[] for _ in pairs]
    for i, (instant, seconds) in enumerate(zip((origin + arrival).tolist(), work.tolist(), strict=True)):
        time.sleep(max(0.0, instant - time.time()))
        for g, ((rule, _), board) in enumerate(zip(pairs, boards, strict=True)):
            server = int(rule(board.look()))
            if not 0 <= server < servers:
                raise ValueError(f"the rule {list(rules)[g]!r} chose server {server}; there are 0 … {servers - 1}")
            done = board.send(server)
            sent[g, i], where[g, i] = time.time() - origin, server
            future = _send(client, seconds, addresses[g * servers + server])
            future.add_done_callback(done)
            futures[g].append(future)
    found = {}
    for g, name in enumerate(rules):
        served = np.array(client.gather(futures[g]), dtype=float).reshape(n, 2) - origin
        found[name] = Dispatched(arrival, work, served[:, 0], served[:, 1], sent[g], servers, where[g])
    return found


def _send(client: Client, seconds: float, address: str) -> Future:
    # fifo_timeout=0: each later submission ranks behind all earlier ones.
    return client.submit(_serve, seconds, workers=address, pure=False, fifo_timeout=0)
