"""The exercises of chapter 17, capacity and autoscaling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from course.models import critical_gain, erlang_c, halfin_whitt, servers_for, square_root_staffing
from course.practice.exercises import Case, Exercise

# ---- 17.1 Extrapolation by Amdahl's law, a straight line in m / X


def _line(workers: Sequence[float], throughput: Sequence[float], at: float, kind: str = "prediction") -> list[float]:
    m, x = np.asarray(workers, dtype=float), np.asarray(throughput, dtype=float)
    y, n = m / x, len(m)
    slope, start = np.polyfit(m, y, 1)
    spread = ((y - start - slope * m) ** 2).sum() / (n - 2)
    mean = start + slope * at
    lever = 1 / n + (at - m.mean()) ** 2 / ((m - m.mean()) ** 2).sum()
    wide = math.sqrt(spread * (lever + (kind == "prediction")))
    quantile = 1.96 if kind == "normal" else float(stats.t.ppf(0.975, n - 2))
    if kind == "normal":
        wide = math.sqrt(spread * (lever + 1))
    return [at / (mean + quantile * wide), at / mean, at / (mean - quantile * wide)]


def _sweep(seed: int, serial: float, most: int) -> tuple[list[float], list[float], float]:
    random = np.random.default_rng(seed)
    m = [float(k) for k in range(1, most + 1)]
    x = [20 / (serial + (1 - serial) / k) * float(np.exp(random.normal(0, 0.01))) for k in m]
    return m, x, 2.0 * most


# ---- 17.2 and 17.3 Staffing


def _quality(wait_probability: float) -> float:
    return brentq(lambda beta: halfin_whitt(beta) - wait_probability, 1e-6, 30)


def _over_days(loads: Sequence[float], weights: Sequence[float], allowed: float, by_request: bool = True) -> int:
    shares = np.array(weights) * (np.array(loads) if by_request else 1.0)
    shares = shares / shares.sum()
    servers = 1
    while sum(w * (erlang_c(a, servers) if a < servers else 1.0) for a, w in zip(loads, shares, strict=True)) > allowed:
        servers += 1
    return servers


# ---- 17.4 to 17.6 Rules


def _threshold(workers: int, starting: int, utilization: float, high: float, low: float, step: int) -> int:
    now = workers + starting
    return now + step if utilization > high else max(now - step, 1) if utilization < low else now


def _tracking(workers: int, starting: int, utilization: float, target: float, tolerance: float) -> int:
    ratio = utilization / target
    if abs(ratio - 1) <= tolerance:
        return workers + starting
    return math.ceil(workers * ratio - 1e-9)


def _predictive(arrivals: Sequence[float], ahead: int, target: float, service_rate: float) -> int:
    k = np.arange(len(arrivals))
    slope, start = np.polyfit(k, arrivals, 1)
    forecast = start + slope * (k[-1] + ahead)
    return math.ceil(max(forecast, arrivals[-1]) / (target * service_rate) - 1e-9)


def _predictive_variant(which: str) -> Callable[..., int]:
    def answer(arrivals: Sequence[float], ahead: int, target: float, service_rate: float) -> int:
        k = np.arange(len(arrivals))
        slope, start = np.polyfit(k, arrivals, 1)
        forecast = start + slope * (k[-1] + (0 if which == "now" else ahead))
        need = forecast if which == "falls" else max(forecast, arrivals[-1])
        return math.ceil(need / ((1 if which == "full" else target) * service_rate) - 1e-9)

    return answer


# ---- 17.8 Adaptive


def adaptive_target(
    at_workers: float, queued: int, duration: float, running: int, workers: int, threads: int, target: float
) -> int:
    """Return the workers that Dask's ``Scheduler.adaptive_target`` wants, without what it says about memory.

    Examples
    --------
    >>> adaptive_target(0.4, 40, 0.05, 8, 1, 4, 1.0)
    1
    """
    wanted = math.ceil((at_workers + queued * duration) / target - 1e-9)
    wanted = min(wanted, queued + running)
    if workers:
        wanted = math.ceil(wanted / threads - 1e-9)
    elif queued:
        wanted = max(wanted, 1)
    return wanted


_ADAPTIVE = [
    Case((0.1, 20, 0.05, 2, 1, 1, 0.8)),
    Case((2.0, 400, 0.5, 4, 1, 4, 5.0)),
    Case((0.0, 400, 0.5, 0, 0, 4, 5.0)),
    Case((600.0, 0, 300.0, 2, 2, 1, 5.0)),
    Case((0.0, 1, 0.001, 0, 0, 1, 5.0)),
    Case((0.0, 0, 0.5, 0, 3, 2, 5.0)),
    Case((12.0, 60, 0.2, 8, 3, 4, 2.0)),
]


def _adaptive_unless(which: str) -> Callable[..., int]:
    def answer(
        at_workers: float, queued: int, duration: float, running: int, workers: int, threads: int, target: float
    ) -> int:
        if which == "cap":
            queued_cap = 10**9
            wanted = math.ceil((at_workers + queued * duration) / target - 1e-9)
            wanted = min(wanted, queued_cap)
            return math.ceil(wanted / threads - 1e-9) if workers else max(wanted, 1) if queued else wanted
        if which == "queued":
            wanted = min(math.ceil(at_workers / target - 1e-9), queued + running)
            return math.ceil(wanted / threads - 1e-9) if workers else max(wanted, 1) if queued else wanted
        if which == "threads":
            return adaptive_target(at_workers, queued, duration, running, workers, 1, target)
        wanted = adaptive_target(at_workers, queued, duration, running, max(workers, 1), threads, target)
        return max(wanted, 1) if queued else wanted  # "none": divided by the threads although there is no worker

    return answer


# ---- 17.10 A policy for the day


def days(seeds: Sequence[int]) -> list[list[float]]:
    """Return bursty days for exercise 17.10: requests per second in ticks of two minutes.

    Examples
    --------
    >>> len(days([1])), len(days([1])[0])
    (1, 720)
    """
    from course.simulate import daily_load

    return [daily_load(tick=120, bursts=6, burst_height=0.5, burst_length=1200, seed=seed).tolist() for seed in seeds]


def bill(load: Sequence[float], wanted: Sequence[float]) -> float:
    """Return what a day costs: a unit for each worker hour, and 20,000 times the share that waits over 10 s.

    Parameters
    ----------
    load : sequence of float
        Requests per second in each tick of two minutes. A worker serves two a second and starts in four minutes.
    wanted : sequence of float
        How many workers there should be, decided at the end of each tick.

    Examples
    --------
    >>> round(bill([10.0] * 30, [10.0] * 30), 6)
    10.0
    """
    from course.simulate import autoscale

    run = autoscale(
        load, lambda seen: wanted[len(seen.arrivals) - 1], service_rate=2.0, tick=120, start_delay=240,
        initial=max(math.ceil(load[0]), 1), objective=10.0,
    )  # fmt: skip
    return run.cost() / 3600 + 20_000 * run.missed


def _bill_of(args: tuple[Any, ...], wanted: Any) -> float:
    return bill(args[0], wanted)


def ask_each_tick(policy: Callable[[list[float]], float], load: Sequence[float]) -> list[float]:
    """Return what a policy wants at each tick, when it is shown the loads until then and no more.

    Examples
    --------
    >>> ask_each_tick(lambda seen: len(seen), [5.0, 6.0])
    [1.0, 2.0]
    """
    return [float(policy(list(load[: k + 1]))) for k in range(len(load))]


def _plain(args: tuple[Any, ...], wanted: Any) -> str | None:
    if not isinstance(wanted, list) or len(wanted) != len(args[0]):
        return "which is not one number for each tick"
    if not all(math.isfinite(each) and 0 <= each <= 10_000 for each in wanted):
        return "in which a number is not finite, negative, or above 10,000"
    return None


def _baseline(load: Sequence[float]) -> list[float]:
    return [each / 2.0 * 1.05 for each in load]


# ---- 17.11 A log of orders


def mystery() -> list[tuple[float, int, int, float]]:
    """Return a log of a controller: (second, workers that serve, workers wanted, utilization that it saw).

    Examples
    --------
    >>> log = mystery()
    >>> len(log), log[0][:2]
    (40, (60.0, 40))
    """
    from course.simulate import Stale, TargetTracking, autoscale

    log: list[tuple[float, int, int, float]] = []
    rule = TargetTracking(0.6)

    def noting(seen: Any) -> float:
        wanted = rule(seen)
        log.append((60.0 * (len(log) + 1), seen.workers, int(wanted), round(float(seen.utilization), 2)))
        return wanted

    autoscale([30.0] * 40, Stale(noting, 2), service_rate=1.0, tick=60, initial=40, maximum=90, minimum=20)
    return log


EXERCISES = [
    Exercise(
        id="17.1",
        objective="17.1",
        kind="code",
        title="Extrapolate with an interval",
        points=3,
        minutes=15,
        cases=[
            Case(_sweep(1, 0.05, 8), says="a sweep from 1 to 8 workers, asked for 16"),
            Case(_sweep(2, 0.2, 6), says="a sweep from 1 to 6 workers, asked for 12"),
            Case(([1.0, 2.0, 4.0, 4.0], [10.0, 18.0, 31.0, 30.0], 8.0)),
        ],
        expected=_line,
        tolerance=1e-4,
        behaviour="[low, estimate, high]: the throughput at another number of workers, and a 95 % prediction interval",
        mistakes={
            "that is the confidence interval of the line; a new measurement scatters around it, too": lambda m, x, at: (
                _line(m, x, at, "confidence")
            ),
            "you took 1.96; with few measurements it is Student's quantile for n − 2": lambda m, x, at: _line(
                m, x, at, "normal"
            ),
            "low and high are exchanged: dividing by a larger number gives the lower throughput": lambda m, x, at: (
                _line(m, x, at)[::-1]
            ),
        },
        hints=(
            "Amdahl's law is a straight line: m / X = (1 + σ(m − 1)) / γ. Fit y = m / X against m with np.polyfit.",
            "s² = Σ residual² / (n − 2); a new y has the variance s²(1 + 1/n + (at − mean m)² / Σ(m − mean m)²).",
            "y ± stats.t.ppf(0.975, n − 2) · √variance; then at / (y + …), at / y, at / (y − …).",
        ),
    ),
    Exercise(
        id="17.2",
        objective="17.2",
        kind="derive",
        title="Square-root staffing",
        points=2,
        minutes=8,
        cases=[(100.0, 0.2), (1.0, 0.5), (1000.0, 0.01), (10_000.0, 0.1), (37.0, 0.05)],
        expected=lambda load, p: square_root_staffing(load, _quality(p)),
        behaviour="the servers by the square-root rule, when at most a share p may wait in the limit",
        mistakes={
            "that is the exact answer of Erlang C; the rule is asked for": lambda a, p: servers_for(
                a, 1.0, wait_probability=p
            ),
            "that spares for the normal quantile of p; the probability of waiting is Halfin and Whitt's": lambda a, p: (
                math.ceil(a + float(stats.norm.isf(p)) * math.sqrt(a))
            ),
            "you forgot the root: spare servers grow as √a": lambda a, p: math.ceil(a + _quality(p) * a),
            "servers are whole: round up": lambda a, p: a + _quality(p) * math.sqrt(a),
            "you rounded down: that is one server too few": lambda a, p: math.floor(a + _quality(p) * math.sqrt(a)),
        },
        hints=(
            "First the β that belongs to p, then the rule.",
            "brentq(lambda beta: models.halfin_whitt(beta) - p, 1e-6, 30) finds β.",
            "math.ceil(load + beta * math.sqrt(load))",
        ),
    ),
    Exercise(
        id="17.3",
        objective="17.2",
        kind="code",
        title="Staff for a load that you do not know",
        points=3,
        minutes=12,
        cases=[
            ([90.0, 100.0, 110.0], [0.25, 0.5, 0.25], 0.2),
            ([10.0, 20.0], [0.9, 0.1], 0.1),
            ([100.0], [1.0], 0.2),
            ([50.0, 80.0, 200.0], [0.6, 0.3, 0.1], 0.3),
        ],
        expected=_over_days,
        behaviour="the fewest servers with which, over all requests of all days, at most the given share waits",
        mistakes={
            "you staffed for the mean load": lambda a, w, p: servers_for(
                float(np.dot(a, w) / np.sum(w)), 1.0, wait_probability=p
            ),
            "you staffed for the worst day": lambda a, w, p: servers_for(max(a), 1.0, wait_probability=p),
            "you averaged over days; on a busy day there are more requests that wait": lambda a, w, p: _over_days(
                a, w, p, by_request=False
            ),
        },
        hints=(
            "On a day whose load is not below the servers, all wait. Average the share that waits, and search.",
            "A request is on day k with a probability proportional to weight × load of that day.",
            "share = Σ w·a·P / Σ w·a, P = models.erlang_c(a, c) if a < c else 1.0; raise c while share > allowed.",
        ),
    ),
    Exercise(
        id="17.4",
        objective="17.3",
        kind="code",
        title="A threshold with hysteresis",
        points=1,
        minutes=6,
        cases=[
            (10, 0, 0.85, 0.8, 0.4, 2),
            (10, 4, 0.85, 0.8, 0.4, 2),
            (10, 0, 0.8, 0.8, 0.4, 2),
            (10, 3, 0.5, 0.8, 0.4, 2),
            (10, 0, 0.39, 0.8, 0.4, 2),
            (2, 0, 0.1, 0.8, 0.4, 3),
        ],
        expected=_threshold,
        behaviour="how many workers there should be, those that start included, and never fewer than one",
        mistakes={
            "you forgot those that were ordered and do not serve yet": lambda m, s, u, high, low, k: _threshold(
                m, 0, u, high, low, k
            ),
            "those that start stay ordered where nothing changes": lambda m, s, u, high, low, k: (
                m + s + k if u > high else max(m + s - k, 1) if u < low else m
            ),
            "at least one worker stays": lambda m, s, u, high, low, k: (
                m + s + k if u > high else m + s - k if u < low else m + s
            ),
            "between low and high nothing changes: that gap is the hysteresis": lambda m, s, u, high, low, k: (
                m + s + k if u > high else max(m + s - k, 1)
            ),
        },
        hints=(
            "Three cases: above high, below low, between.",
            "Begin with now = workers + starting, what there will be without a decision.",
            "now + step above high; max(now - step, 1) below low; now between.",
        ),
    ),
    Exercise(
        id="17.5",
        objective="17.3",
        kind="code",
        title="Target tracking",
        points=2,
        minutes=8,
        cases=[
            (4, 0, 0.9, 0.6, 0.1),
            (5, 0, 1.0, 0.6, 0.1),
            (5, 4, 1.0, 0.6, 0.1),
            (10, 2, 0.63, 0.6, 0.1),
            (50, 0, 0.9, 0.75, 0.1),
            (10, 0, 0.3, 0.6, 0.1),
            (7, 0, 0.56, 0.6, 0.0),
            (10, 6, 0.55, 0.6, 0.1),
        ],
        expected=_tracking,
        behaviour="how many workers there should be, those that start included, so that the utilization is the target",
        mistakes={
            "those that start did not make the utilization: multiply those that serve": lambda m, s, u, t, d: (
                m + s if abs(u / t - 1) <= d else math.ceil((m + s) * u / t - 1e-9)
            ),
            "within the tolerance nothing changes": lambda m, s, u, t, d: math.ceil(m * u / t - 1e-9),
            "within the tolerance, those that start stay ordered": lambda m, s, u, t, d: (
                m if abs(u / t - 1) <= d else math.ceil(m * u / t - 1e-9)
            ),
            "round up: rounding down leaves the service above its target": lambda m, s, u, t, d: (
                m + s if abs(u / t - 1) <= d else math.floor(m * u / t + 1e-9)
            ),
        },
        hints=(
            "The rule of the table: workers × utilization / target, rounded up.",
            "The tolerance is a share: |utilization / target − 1| ≤ tolerance leaves all as it is.",
            "math.ceil(workers * utilization / target - 1e-9); the last term keeps rounding errors out.",
        ),
    ),
    Exercise(
        id="17.6",
        objective="17.3",
        kind="code",
        title="Draw the line on",
        points=2,
        minutes=10,
        cases=[
            ([10.0, 20.0, 30.0, 40.0], 5, 0.5, 10.0),
            ([40.0, 30.0, 20.0, 10.0], 2, 0.7, 5.0),
            ([12.0, 11.0, 14.0, 13.0, 17.0], 3, 0.8, 1.0),
            ([100.0, 100.0], 10, 0.6, 2.0),
        ],
        expected=_predictive,
        behaviour="workers for the load that a line through the arrivals forecasts, never fewer than needed now",
        mistakes={
            "you drew the line only to the present": _predictive_variant("now"),
            "a falling forecast must not take away what is needed now": _predictive_variant("falls"),
            "you planned for workers that are busy all the time": _predictive_variant("full"),
        },
        hints=(
            "np.polyfit(k, arrivals, 1) gives slope and start of the line of least squares.",
            "With k = 0 … n − 1, the forecast is at k = n − 1 + ahead.",
            "math.ceil(max(forecast, arrivals[-1]) / (target * service_rate) - 1e-9)",
        ),
    ),
    Exercise(
        id="17.7",
        objective="17.5",
        kind="derive",
        title="How much gain?",
        points=2,
        minutes=10,
        cases=[(0.0, 15.0), (15.0, 15.0), (30.0, 15.0), (20.0, 15.0), (300.0, 60.0)],
        expected=lambda age, tick: float(critical_gain(math.ceil(age / tick - 1e-9))),
        behaviour="the gain below which it settles, when metrics are `age` seconds old at each tick",
        mistakes={
            "that is the limit for long lags, π / (2 d + 1); for short ones it is the sine": lambda age, tick: (
                math.pi / (2 * math.ceil(age / tick - 1e-9) + 1)
            ),
            "a lag counts in whole ticks, rounded up": lambda age, tick: (
                2 * math.sin(math.pi / (2 * (2 * age / tick + 1)))
            ),
            "that is the period of the swing": lambda age, tick: 2 * (2 * math.ceil(age / tick - 1e-9) + 1),
        },
        hints=(
            "First the lag d in ticks, then the formula of the section on lag.",
            "News that is 20 s old at a tick of 15 s is acted on two ticks late.",
            "d = math.ceil(age / tick); return 2 * math.sin(math.pi / (2 * (2 * d + 1)))",
        ),
    ),
    Exercise(
        id="17.8",
        objective="17.6",
        kind="code",
        title="What Dask's Adaptive wants",
        points=3,
        minutes=12,
        cases=_ADAPTIVE,
        expected=adaptive_target,
        behaviour="the workers that Dask would want, before minimum and maximum",
        mistakes={
            "no more threads than there are tasks: a few long tasks must not ask for many": _adaptive_unless("cap"),
            "tasks that are queued at the scheduler count with their estimated duration": _adaptive_unless("queued"),
            "that is a number of threads; a worker has several": _adaptive_unless("threads"),
            "without a worker Dask does not know its threads, and does not divide": _adaptive_unless("none"),
        },
        hints=(
            "Steps 1 and 2 of the section on Adaptive, and When the model lies for the case without a worker.",
            "threads wanted = min(⌈seconds of work / target⌉, queued + running); then workers.",
            "If workers: math.ceil(wanted / threads). Else, if anything is queued: max(wanted, 1).",
        ),
    ),
    Exercise(
        id="17.9",
        objective="17.6",
        kind="predict",
        title="When is the second one there?",
        points=2,
        minutes=6,
        value=65.0,
        tolerance=0.005,
        behaviour="seconds from the jump until the second worker serves, looks and start included",
        mistakes={
            "a look comes once in ten seconds: round up": 57.5,
            "not the whole load piles up, for one worker serves; and the first look is too early": 55.0,
            "that is when it is ordered; it has to start": 20.0,
            "that is the start alone; the order comes later than the jump": 45.0,
        },
        hints=(
            "Backlog grows by load minus one worker, in seconds of work a second.",
            "It passes the target duration after T / (a − 1); the next look orders.",
            "25 / 2 = 12.5 s, so the look at 20 s; and a start takes 45 s.",
        ),
    ),
    Exercise(
        id="17.10",
        objective="17.4",
        kind="tune",
        title="The cheapest day",
        points=4,
        minutes=18,
        cases=[Case((load[:40],), says="the first 40 ticks of a day") for load in days((1, 2))],
        judge=_plain,
        call=ask_each_tick,
        behaviour="one number of workers at each tick, from the loads seen so far",
        baseline=_baseline,
        timed=[Case((load,), says="a day") for load in days((3, 4, 5))],
        cost=_bill_of,
        target=5.8,
        hints=(
            "At 95 % the misses are nearly the whole bill. A burst adds 50 a second: how much can headroom carry?",
            "A worker serves 2 a second. Follow the load at 70 to 80 %; and do not follow noise down at once.",
            "return max(seen[-5:]) / (2 * u) for some u near 0.75: the largest of the last few ticks, not the last.",
        ),
    ),
    Exercise(
        id="17.11",
        objective="17.5",
        kind="diagnose",
        title="A restless service",
        points=2,
        minutes=10,
        choices={
            "load": "the load itself swings",
            "start": "workers start slowly, and the rule does not count those that start",
            "stale": "the utilization that it sees is some ticks old",
            "target": "the target utilization is too high",
            "tolerance": "the tolerance is too small, so that noise moves it",
        },
        value="stale",
        behaviour="why the number of workers never rests, found in the log",
        mistakes={
            "multiply workers and utilization of the right ticks: the load is constant": "load",
            "compare what it wanted with what serves at the next look: nothing is on its way": "start",
            "at 60 % there would be room; look at when the utilization answers": "target",
            "the swings are far larger than noise, and regular": "tolerance",
        },
        hints=(
            "The load is workers × utilization. Compute it for each line; then with the workers of earlier lines.",
            "The workers of two lines before, times the utilization of this line, is constant.",
            "What it sees belongs to the past: the metric is old.",
        ),
    ),
]
