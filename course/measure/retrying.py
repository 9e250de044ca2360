"""`retrying_load`: an open load whose clients lose patience and try again, at a real Dask service."""

from __future__ import annotations

import heapq
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from distributed import Client, Future
from numpy.typing import ArrayLike

from course.measure.workloads import _service

OK, TIMEOUT, REJECTED = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Tries:
    """What happened to each request; times in seconds, outcomes as in `course.simulate.service`.

    Attributes
    ----------
    arrival : array, shape (n,)
        When it was meant to arrive.
    outcome : array of int, shape (n,)
        0 answered in time, 1 given up after a time-out, 2 after a refusal; of the last attempt.
    stop : array, shape (n,)
        When its client got the answer, or gave up for good.
    sent : array, shape (n, 1 + retries)
        When each attempt was made; NaN where it was not needed.
    """

    arrival: np.ndarray
    outcome: np.ndarray
    stop: np.ndarray
    sent: np.ndarray

    @property
    def ok(self) -> np.ndarray:
        """Whether each was answered in time."""
        return self.outcome == OK

    @property
    def amplification(self) -> float:
        """Attempts a request."""
        return float(np.isfinite(self.sent).sum() / len(self.sent))

    def goodput(self, edges: ArrayLike) -> np.ndarray:
        """Return the answers in time per second between each two of the given times."""
        return np.histogram(self.stop[self.ok], edges)[0] / np.diff(edges)

    def offered(self, edges: ArrayLike) -> np.ndarray:
        """Return the attempts per second between each two of the given times."""
        return np.histogram(self.sent[np.isfinite(self.sent)], edges)[0] / np.diff(edges)


def retrying_load(
    client: Client,
    interarrival: ArrayLike,
    service: float,
    *,
    timeout: float,
    retries: int = 0,
    queue_limit: int | None = None,
    release: bool = False,
    backoff: float = 0.0,
    retry_budget: float | None = None,
    retry_burst: float = 10.0,
) -> Tries:
    """Send requests to a Dask service at given instants, by clients that time out and try again.

    The servers are the threads of *one* worker of the cluster (use ``cluster(1, servers)``); they sleep.

    Parameters
    ----------
    client : distributed.Client
        The cluster. Its first worker serves, with all its threads.
    interarrival : array, shape (n,)
        Seconds between new requests, as for `course.simulate.service`.
    service : float
        Seconds that each attempt keeps a server.
    timeout : float
        Seconds after which a client gives up an attempt.
    retries : int
        How often it tries again after a failed attempt.
    queue_limit : int, optional
        How many attempts may wait; an attempt beyond is refused by the sender, who counts what is under way.
    release : bool
        Whether a client that gives up releases its future. Dask then drops the task if it has not begun. Otherwise
        (a future that somebody still holds) it is served, for nobody.
    backoff : float
        The wait before the k-th retry is ``backoff * 2 ** (k - 1)`` [s].
    retry_budget, retry_burst : float
        As for `course.simulate.service`.

    Returns
    -------
    Tries

    Raises
    ------
    ValueError
        If a time is negative or not finite, the time-out is not above 0, or a limit is below 0.

    Notes
    -----
    The same parameters give the same experiment in `course.simulate.service`, there with ``queue_limit`` and
    ``shedding="deadline"`` for ``release``. Chapter 09.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, 2, processes=False, dashboard=False) as client:
    ...     run = retrying_load(client, [0.01] * 10, 0.005, timeout=5.0)
    >>> run.ok.all(), run.amplification
    (np.True_, 1.0)
    """
    gaps = np.asarray(interarrival, dtype=float)
    if gaps.ndim != 1 or not len(gaps) or not (np.isfinite(gaps) & (gaps >= 0)).all():
        raise ValueError(f"interarrival has shape {gaps.shape}; it must be a list of finite seconds, each at least 0")
    if not timeout > 0 or not 0 <= service < np.inf or not 0 <= backoff < np.inf or retries < 0:
        raise ValueError(
            f"timeout={timeout}, service={service}, backoff={backoff}, retries={retries}: "
            "need timeout > 0, the others at least 0 and finite"
        )
    for name, limit in (("queue_limit", queue_limit), ("retry_budget", retry_budget), ("retry_burst", retry_burst)):
        if limit is not None and not limit >= 0:
            raise ValueError(f"{name} is {limit}; it must be at least 0")
    with _service(client) as (submit, servers):
        clients = _Clients(np.cumsum(gaps), 1 + int(retries), lambda: submit(float(service)))
        clients.timeout, clients.release, clients.backoff = float(timeout), release, float(backoff)
        clients.most = np.inf if queue_limit is None else servers + queue_limit
        clients.budget, clients.burst = retry_budget, float(retry_burst)
        clients.run()
    return Tries(clients.arrival, clients.outcome, clients.stop, clients.sent)


class _Clients:
    """One thread plays all clients: a heap of what they will do, and a queue of the answers that have come."""

    timeout: float
    release: bool
    backoff: float
    most: float
    budget: float | None
    burst: float

    def __init__(self, arrival: np.ndarray, attempts: int, submit: Callable[[], Future]) -> None:
        self.arrival, self.attempts, self.submit = arrival, attempts, submit
        n = len(arrival)
        self.outcome, self.stop = np.full(n, -1), np.empty(n)
        self.sent, self.tried = np.full((n, attempts), np.nan), np.zeros(n, dtype=int)
        self.waiting = np.zeros(n, dtype=int)  # the attempt that it waits for; 0: none
        self.due = [(when, i, 0) for i, when in enumerate(arrival.tolist())]  # (when, request, attempt to give up)
        self.answers: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self.held: dict[tuple[int, int], Future] = {}  # attempts that Dask has not answered

    def run(self) -> None:
        self.tokens, self.left = self.burst, len(self.arrival)
        origin = time.perf_counter() + 0.05
        while self.left:
            ahead = self.due[0][0] - (time.perf_counter() - origin)
            try:
                request, attempt = self.answers.get(timeout=ahead) if ahead > 0 else self.answers.get_nowait()
            except queue.Empty:
                if self.due[0][0] <= (now := time.perf_counter() - origin):
                    self._act(*heapq.heappop(self.due)[1:], now)
                continue
            self.held.pop((request, attempt), None)
            if self.waiting[request] == attempt:
                self._end(request, OK, time.perf_counter() - origin)

    def _act(self, request: int, attempt: int, now: float) -> None:
        """Give up an attempt (0: none), or make the next one."""
        if attempt:
            if self.waiting[request] == attempt:
                if self.release:
                    # Dropping the reference is not enough: the callback of the future holds another.
                    self.held.pop((request, attempt)).release()
                self._fail(request, TIMEOUT, now)
            return
        if not self.tried[request] and self.budget is not None:
            self.tokens = min(self.burst, self.tokens + self.budget)
        self.sent[request, self.tried[request]] = now
        self.tried[request] += 1
        if len(self.held) >= self.most:
            self._fail(request, REJECTED, now)
            return
        attempt = int(self.tried[request])
        self.waiting[request] = attempt
        heapq.heappush(self.due, (now + self.timeout, request, attempt))
        future = self.held[request, attempt] = self.submit()
        future.add_done_callback(lambda _: self.answers.put((request, attempt)))

    def _fail(self, request: int, why: int, now: float) -> None:
        self.waiting[request] = 0
        if self.tried[request] < self.attempts and (self.budget is None or self.tokens >= 1):
            self.tokens -= self.budget is not None
            heapq.heappush(self.due, (now + self.backoff * 2.0 ** (self.tried[request] - 1), request, 0))
        else:
            self._end(request, why, now)

    def _end(self, request: int, outcome: int, now: float) -> None:
        self.waiting[request] = 0
        self.outcome[request], self.stop[request] = outcome, now
        self.left -= 1
