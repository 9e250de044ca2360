"""`autoscale`: workers that are added and removed as the load changes; `daily_load`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from course.domain import generator, number, scalar, whole
from course.simulate.arguments import room, times

MOST_TICKS = 1_000_000


@dataclass(frozen=True, eq=False)
class Observed:
    """What an autoscaler sees at the end of a tick.

    Attributes
    ----------
    workers, starting : int
        Workers that serve, and those that were ordered and do not serve yet.
    utilization : float
        The share of what the serving workers could have done in the tick that they did.
    queue : float
        Requests that wait.
    arrivals : array, shape (ticks so far,)
        Requests per second in each tick until now.
    service_rate : float
        Requests per second that one worker serves.
    tick : float
        Seconds.
    """

    workers: int
    starting: int
    utilization: float
    queue: float
    arrivals: np.ndarray
    service_rate: float
    tick: float


Policy = Callable[[Observed], float]


@dataclass(frozen=True)
class Threshold:
    """Some workers more while the utilization is above ``high``, some fewer while it is below ``low``."""

    high: float = 0.8
    low: float = 0.4
    step: int = 1

    def __post_init__(self) -> None:
        number("low", self.low, low=0)
        number("high", self.high, low=self.low)
        whole("step", self.step, low=1)

    def __call__(self, seen: Observed) -> float:
        """Return how many workers there should be."""
        now = seen.workers + seen.starting
        if seen.utilization > self.high:
            return now + self.step
        return now - self.step if seen.utilization < self.low else now


@dataclass(frozen=True)
class TargetTracking:
    r"""As many workers as bring the utilization to a target: :math:`\lceil \text{workers} \cdot u / u^* \rceil`.

    Nothing changes while u is within ``tolerance`` (a share) of the target. The rule of Kubernetes' Horizontal Pod
    Autoscaler (its documentation, "Algorithm details", with a tolerance of 0.1). A full service has u = 1 however long
    its queue is, so that one step is at most to workers / target.
    """

    target: float = 0.6
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        number("target", self.target, low=0.001, high=1)
        number("tolerance", self.tolerance, low=0)

    def __call__(self, seen: Observed) -> float:
        """Return how many workers there should be."""
        ratio = seen.utilization / self.target
        if abs(ratio - 1) <= self.tolerance:
            return seen.workers + seen.starting
        return math.ceil(max(seen.workers, 1) * ratio - 1e-9)


@dataclass(frozen=True)
class Predictive:
    """As many workers as the load will need when those that are ordered now are ready.

    Without a period, the line of least squares through the arrivals of the last ``window`` seconds is drawn on for
    ``ahead`` seconds. With one (86,400 s for a day), the load is what it was at that time in the period before, plus
    what has changed since. Neither falls below what is needed now, with the queue.
    """

    target: float = 0.7
    ahead: float = 300.0
    window: float = 600.0
    period: float | None = None

    def __post_init__(self) -> None:
        number("target", self.target, low=0.001, high=1)
        number("ahead", self.ahead, low=0, high=1e9)
        number("window", self.window, low=0, high=1e9)
        if self.period is not None:
            number("period", self.period, above=0, high=1e9)

    def __call__(self, seen: Observed) -> float:
        """Return how many workers there should be."""
        now = float(seen.arrivals[-1]) + seen.queue / max(self.ahead, seen.tick)
        return math.ceil(max(self.forecast(seen), now) / (self.target * seen.service_rate) - 1e-9)

    def forecast(self, seen: Observed) -> float:
        """Return the arrivals per second that are expected ``ahead`` seconds from now."""
        load, ahead = seen.arrivals, round(self.ahead / seen.tick)
        if self.period is not None:
            back = round(self.period / seen.tick)
            if ahead < back < len(load):
                return float(load[len(load) - 1 + ahead - back] + load[-1] - load[-1 - back])
        recent = load[-max(round(self.window / seen.tick), 2) :]
        if len(recent) < 2:
            return float(load[-1])
        # The line of least squares goes through the means.
        centred = np.arange(len(recent)) - (len(recent) - 1) / 2
        slope = centred @ recent / (centred @ centred)
        return float(recent.mean() + slope * (centred[-1] + ahead))


@dataclass
class Stale:
    """Another policy that sees the utilization, the queue and the arrivals of some ticks ago.

    What it knows of its own orders (workers, starting) is fresh: only metrics travel slowly. It remembers, so each run
    needs one of its own.
    """

    policy: Policy
    ticks: int

    def __post_init__(self) -> None:
        whole("ticks", self.ticks, low=0)
        self._seen: list[Observed] = []

    def __call__(self, seen: Observed) -> float:
        """Return how many workers there should be."""
        self._seen.append(seen)
        old = self._seen[max(len(self._seen) - 1 - self.ticks, 0)]
        return self.policy(replace(seen, utilization=old.utilization, queue=old.queue, arrivals=old.arrivals))


@dataclass
class Adaptive:
    r"""The rule of Dask's ``cluster.adapt()``: :math:`\lceil \text{seconds of work} / \text{target duration} \rceil`.

    The work is that of the requests that wait and that are served (one a busy worker). Fewer workers are wanted only
    where some are idle, and only when that was so in ``wait_count`` ticks one after the other; as many end as are idle.
    It remembers, so each run needs one of its own. Source: ``Scheduler.adaptive_target`` and ``AdaptiveCore`` of
    distributed 2026.8, without what they say about memory and about workers of several threads.
    """

    target_duration: float = 5.0
    wait_count: int = 3

    def __post_init__(self) -> None:
        number("target_duration", self.target_duration, above=0)
        whole("wait_count", self.wait_count, low=1)
        self._idle = 0

    def __call__(self, seen: Observed) -> float:
        """Return how many workers there should be."""
        now = seen.workers + seen.starting
        waiting = seen.queue / seen.service_rate
        busy = min(math.ceil(seen.workers * seen.utilization - 1e-9), seen.workers)
        wanted = math.ceil((waiting + busy / seen.service_rate) / self.target_duration - 1e-9)
        if waiting > 0 or busy == seen.workers or wanted >= now:
            self._idle = 0
            return max(wanted, now)
        self._idle += 1
        if self._idle < self.wait_count:
            return now
        self._idle = 0
        return max(wanted, busy)


SCALERS = {"threshold": Threshold, "target_tracking": TargetTracking, "predictive": Predictive}
"""The named autoscalers, with their default settings."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """A service under an autoscaler; arrays of shape (ticks,), the state at the end of each tick.

    Attributes
    ----------
    time : array
        Seconds.
    arrivals, served : array
        Requests that came in the tick, and that were served.
    workers, starting : array of int
        Workers that served in the tick, and that were ordered and did not serve yet.
    queue : array
        Requests that wait.
    utilization : array
        The share of what the workers could have done that they did.
    wait : array
        Seconds that the last to come has to wait, if the workers stay as they are; infinity if there are none.
    tick, objective : float
        Seconds in a tick; the longest wait that is allowed.
    """

    time: np.ndarray
    arrivals: np.ndarray
    served: np.ndarray
    workers: np.ndarray
    starting: np.ndarray
    queue: np.ndarray
    utilization: np.ndarray
    wait: np.ndarray
    tick: float
    objective: float

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return (
            f"Scaled({len(self)} ticks, {self.workers.mean():.4g} workers on average, {self.missed:.1%} missed, "
            f"{self.changes} changes)"
        )

    @property
    def missed(self) -> float:
        """The share of the requests that came when the wait was longer than the objective."""
        total = self.arrivals.sum()
        return float(self.arrivals[self.wait > self.objective].sum() / total) if total else 0.0

    @property
    def changes(self) -> int:
        """How often the number of workers, ordered ones included, changed."""
        return int(np.count_nonzero(np.diff(self.workers + self.starting)))

    def cost(self, price: float = 1.0) -> float:
        """Return what the workers cost, from their order to their end, at a price per worker and second."""
        return scalar("price", price, low=0) * float((self.workers + self.starting).sum()) * self.tick


def autoscale(
    load: ArrayLike,
    policy: str | Policy = "target_tracking",
    *,
    service_rate: float,
    tick: float = 60.0,
    start_delay: float = 0.0,
    cooldown: float = 0.0,
    minimum: int = 1,
    maximum: int = 10_000,
    initial: int | None = None,
    objective: float = 1.0,
    poisson: bool = False,
    seed: int = 0,
) -> Scaled:
    r"""Simulate a service whose workers are added and removed by an autoscaler.

    Parameters
    ----------
    load : array, shape (ticks,)
        Requests per second in each tick.
    policy : str or callable
        A name of `SCALERS`, or a function of an `Observed` that returns how many workers there should be.
    service_rate : float
        Requests per second that one worker serves.
    tick : float
        Seconds between two looks of the autoscaler.
    start_delay : float
        Seconds from the order of a worker, at the end of a tick, until it serves; rounded up to whole ticks.
    cooldown : float
        Seconds after a change in which there is no other.
    minimum, maximum : int
        Bounds of the workers, ordered ones included.
    initial : int, optional
        Workers at the beginning; by default ``minimum``.
    objective : float
        The longest wait that is allowed [s].
    poisson : bool
        Whether the arrivals of a tick are Poisson of that mean, or just that many.
    seed : int
        Seed of the Poisson arrivals.

    Returns
    -------
    Scaled

    Raises
    ------
    ValueError
        Numbers out of range; an unknown policy, or one whose answer is not a number.

    Examples
    --------
    A load that needs six workers at 60 % settles there.

    >>> run = autoscale([36.0] * 20, service_rate=10.0)
    >>> int(run.workers[-1]), float(run.utilization[-1])
    (6, 0.6)

    Notes
    -----
    The queue is a fluid:

    .. math:: q_{t+1} = \max(0,\; q_t + \text{arrivals}_t - \text{workers}_t \cdot \text{service rate} \cdot
              \text{tick})

    so that the wait is what overload causes, without that of chance at lower load (chapter 12). Workers that are not
    needed any more end at once, those that do not serve yet first. A worker costs from its order on. A delay between
    order and service makes a controller that does not know of it overshoot, and swing. Taught in chapter 17.

    References
    ----------
    Hellerstein, Diao, Parekh, Tilbury: Feedback Control of Computing Systems. Wiley 2004, chapter 1.
    Lorido-Botran, Miguel-Alonso, Lozano: A review of auto-scaling techniques for elastic applications in cloud
    environments. Journal of Grid Computing 12(4), 2014.
    """
    rates = times("load", load)
    room("the number of ticks", len(rates), MOST_TICKS)
    rate = scalar("service_rate", service_rate, low=1e-100, high=1e100)
    tick = scalar("tick", tick, low=1e-6, high=1e9)
    delay = _ticks("start_delay", start_delay, tick)
    rest = _ticks("cooldown", cooldown, tick)
    minimum = whole("minimum", minimum, high=10**9)
    maximum = whole("maximum", maximum, low=max(minimum, 1), high=10**9)
    workers = minimum if initial is None else whole("initial", initial, low=minimum, high=maximum)
    objective = scalar("objective", objective, low=0)
    if isinstance(policy, str):
        if policy not in SCALERS:
            raise ValueError(f"policy is {policy!r:.80}; it must be one of {', '.join(SCALERS)}, or a callable")
        policy = SCALERS[policy]()
    elif not callable(policy):
        raise ValueError(f"policy is {policy!r:.80}; it must be one of {', '.join(SCALERS)}, or a callable")
    if not rates.max(initial=0.0) * tick <= (1e15 if poisson else 1e100):
        raise ValueError(f"load is {rates.max():g}; load × tick must be at most {1e15 if poisson else 1e100:g}")
    arrivals = generator(seed).poisson(rates * tick).astype(float) if poisson else rates * tick

    n = len(rates)
    seen = arrivals / tick
    result = {name: np.zeros(n, kind) for name, kind in _COLUMNS.items()}
    orders: list[tuple[int, int]] = []  # (the tick in which they begin to serve, how many), in the order of time
    queue, changed = 0.0, -rest - 1
    for t in range(n):
        while orders and orders[0][0] <= t:
            workers += orders.pop(0)[1]
        capacity = workers * rate * tick
        served = min(queue + arrivals[t], capacity)
        queue = max(queue + arrivals[t] - served, 0.0)
        starting = sum(count for _, count in orders)
        utilization = served / capacity if capacity else float(queue > 0)
        wait = (queue / capacity * tick if capacity else np.inf) if queue else 0.0
        for name, value in zip(_COLUMNS, (served, workers, starting, queue, utilization, wait), strict=True):
            result[name][t] = value

        answer = policy(Observed(workers, starting, utilization, queue, seen[: t + 1], rate, tick))
        if not (isinstance(answer, (int, float)) and math.isfinite(answer)):  # numbers need no slow check
            if np.ndim(answer):
                raise ValueError(f"the policy answered {answer!r:.80}; it must be one number")
            answer = float(number("the policy's answer", answer))
        wanted = math.ceil(min(max(answer, minimum), maximum))
        change = wanted - workers - starting
        if change == 0 or t - changed < rest:
            continue
        changed = t
        if change > 0:
            orders.append((t + 1 + delay, change))
        while change < 0 and orders:  # the last order first
            when, count = orders.pop()
            if count > -change:
                orders.append((when, count + change))
            change = min(change + count, 0)
        workers += min(change, 0)
    return Scaled(np.arange(1, n + 1) * tick, arrivals, tick=tick, objective=objective, **result)


_COLUMNS = {
    "served": float,
    "workers": np.int64,
    "starting": np.int64,
    "queue": float,
    "utilization": float,
    "wait": float,
}


def _ticks(name: str, seconds: float, tick: float) -> int:
    """Return a time in ticks, rounded up."""
    count = scalar(name, seconds, low=0) / tick
    return int(min(math.ceil(count * (1 - 1e-12)), MOST_TICKS + 1)) if count < np.inf else MOST_TICKS + 1


def daily_load(
    days: float = 1.0,
    tick: float = 60.0,
    *,
    mean: float = 100.0,
    swing: float = 0.6,
    peak: float = 14.0,
    bursts: float = 3.0,
    burst_height: float = 1.0,
    burst_length: float = 900.0,
    noise: float = 0.05,
    seed: int = 0,
) -> np.ndarray:
    r"""Return a load that rises and falls with the day and has bursts, requests per second, shape (ticks,).

    .. math:: \text{mean} \cdot \left(1 + \text{swing} \cdot \cos 2\pi (t - \text{peak})
              + \text{height} \sum_b e^{-(t - t_b)/\text{length}}\right) \cdot (1 + \text{noise} \cdot z)

    Parameters
    ----------
    days : float
        How long.
    tick : float
        Seconds between two values.
    mean : float
        Requests per second, without bursts.
    swing : float
        From 0, the same by day and by night, to 1, nothing in the deepest night.
    peak : float
        The hour of the most load, from 0 to 24.
    bursts : float
        How many begin in a day on average, at random times (Poisson).
    burst_height, burst_length : float
        By what share of the mean a burst raises the load when it begins, and the seconds in which it decays by e.
    noise : float
        The standard deviation of a factor that is independent from tick to tick.
    seed : int

    Returns
    -------
    array, shape (ticks,)
        Requests per second, at least 0.

    Raises
    ------
    ValueError
        Numbers out of range, infinite or NaN; more than `MOST_TICKS` ticks, or ten thousand bursts.

    Examples
    --------
    >>> load = daily_load(days=2, tick=3600, bursts=0, noise=0)
    >>> len(load), int(load.argmax()), round(float(load.mean()), 6), round(float(load.max()), 6)
    (48, 14, 100.0, 160.0)

    Notes
    -----
    Chapter 17. The formula is this course's own: a cosine for the day, bursts that come at random and decay, and noise.
    """
    days = scalar("days", days, above=0, high=1e9)
    tick = scalar("tick", tick, above=0, high=1e14)
    mean = scalar("mean", mean, low=0, high=1e100)
    swing = scalar("swing", swing, low=0, high=1)
    peak = scalar("peak", peak, low=0, high=24)
    bursts = scalar("bursts", bursts, low=0)
    height = scalar("burst_height", burst_height, low=0, high=1e100)
    length = scalar("burst_length", burst_length, above=0)
    noise = scalar("noise", noise, low=0, high=1e100)
    n = math.ceil(min(days * 86_400 / tick * (1 - 1e-12), 1e300))
    room("the number of ticks", n, MOST_TICKS)
    room("bursts × days", bursts * days, 10_000)
    rng = generator(seed)
    time = np.arange(n) * tick
    shape = 1 + swing * np.cos(2 * np.pi * (time / 86_400 - peak / 24))
    for began in np.sort(rng.random(rng.poisson(bursts * days)) * days * 86_400):
        after = time[time >= began]
        shape[n - len(after) :] += height * np.exp(-np.minimum((after - began) / length, 700))
    return np.maximum(mean * shape * (1 + noise * rng.standard_normal(n)), 0.0)
