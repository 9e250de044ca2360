"""The exercises of chapter 12, queueing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course.models import erlang_b, erlang_c, mg1_priority, mm1, mmc, servers_for
from course.practice.exercises import Case, Exercise

# ---- 12.5 and 12.6: recorded times


def _recorded(seed: int, n: int, load: float, service_scv: float) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    gaps = random.exponential(1 / load, n)
    services = random.gamma(1 / service_scv, service_scv, n)
    return gaps.tolist(), services.tolist()


def _samples() -> list[Case]:
    loads = ((0.5, 1.0), (0.8, 0.25), (0.9, 4.0))
    return [
        Case(
            _recorded(seed, 4000, load, scv), says=f"4,000 recorded requests at {load:.0%} load, c² of service {scv:g}"
        )
        for seed, (load, scv) in enumerate(loads)
    ]


def _kingman(gaps: Sequence[float], services: Sequence[float], *, power: float = 1.0, half: float = 2.0) -> float:
    def scv(times: Sequence[float]) -> float:
        return float(np.var(times) / np.mean(times) ** 2)

    load = np.mean(services) / np.mean(gaps)
    variability = (scv(gaps) ** power + scv(services) ** power) / half
    return float(variability * load / (1 - load) * np.mean(services))


def _lindley(gaps: Sequence[float], services: Sequence[float]) -> list[float]:
    waits, wait = [], 0.0
    for i in range(len(gaps)):
        if i:
            wait = max(0.0, wait + services[i - 1] - gaps[i])
        waits.append(wait)
    return waits


def _lindley_own_service(gaps: Sequence[float], services: Sequence[float]) -> list[float]:
    return _lindley(gaps, [*services[1:], 0.0])


def _lindley_unbounded(gaps: Sequence[float], services: Sequence[float]) -> list[float]:
    steps = [services[i - 1] - gaps[i] for i in range(1, len(gaps))]
    return [0.0, *np.cumsum(steps).tolist()] if len(gaps) else []


def _responses(gaps: Sequence[float], services: Sequence[float]) -> list[float]:
    return [wait + service for wait, service in zip(_lindley(gaps, services), services, strict=True)]


_LINDLEY_CASES = [
    Case(([2.0, 1.0, 1.0], [2.0, 2.0, 2.0])),
    Case(([1.0, 5.0, 1.0, 1.0], [3.0, 2.0, 0.5, 4.0])),
    Case(([0.7], [3.0])),
    Case(_recorded(7, 2000, 0.9, 1.0), says="2,000 recorded requests at 90% load"),
]

# ---- 12.7 Priorities

_CLASSES = [
    Case(([0.4, 0.4], [1.0, 1.0], [1.0, 1.0])),
    Case(([0.1, 0.05, 0.02], [1.0, 4.0, 20.0], [0.0, 1.0, 2.0])),
    Case(([0.5], [1.0], [3.0])),
]


def _waits_by_class(
    rates: Sequence[float],
    means: Sequence[float],
    scvs: Sequence[float],
    before: Callable[[int], int] = lambda k: k,
    own_residual: bool = False,
) -> list[float]:
    residuals = [rate * (1 + scv) * mean**2 / 2 for rate, mean, scv in zip(rates, means, scvs, strict=True)]
    upto = [0.0, *np.cumsum([rate * mean for rate, mean in zip(rates, means, strict=True)]).tolist()]
    return [
        (residuals[k] if own_residual else sum(residuals)) / ((1 - upto[before(k)]) * (1 - upto[k + 1]))
        for k in range(len(rates))
    ]


# ---- 12.8 What goes first


def _jobs(seed: int, n: int) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    return random.lognormal(0.0, 1.0, n).round(3).tolist(), random.choice([1.0, 2.0, 10.0], n).tolist()


def cost_of(services: Sequence[float], costs: Sequence[float], order: Sequence[int]) -> float:
    """Return what it costs to serve waiting requests in an order: the sum of cost per second × time of completion.

    Parameters
    ----------
    services : sequence of float, length n
        Seconds of service of each request.
    costs : sequence of float, length n
        What a second costs until the request is done.
    order : sequence of int, length n
        The numbers of the requests, the first one first.

    Examples
    --------
    >>> cost_of([3.0, 1.0], [1.0, 1.0], [1, 0])
    5.0
    """
    done = np.cumsum([services[i] for i in order])
    return float(np.dot(done, [costs[i] for i in order]))


def _in_order_of_arrival(services: Sequence[float], costs: Sequence[float]) -> list[int]:
    return list(range(len(services)))


def _each_once(args: tuple[Any, ...], order: Any) -> str | None:
    wanted = list(range(len(args[0])))
    given = order.tolist() if hasattr(order, "tolist") else order
    if not isinstance(given, list | tuple) or not all(type(i) is int for i in given):
        return "which is not a list of request numbers"
    return None if sorted(given) == wanted else "in which not every request occurs exactly once"


# ---- 12.9 A recorded service


def mystery() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a recorded single server that waits far longer than Pollaczek–Khinchine says (exercise 12.9).

    Returns
    -------
    interarrival, service, wait : array, shape (20000,)
        In the order of arrival [s].
    """
    from course.simulate import queue

    random = np.random.default_rng(129)
    n, memory = 20_000, 0.9
    state = np.empty(n)
    state[0] = random.normal()
    steps = np.sqrt(1 - memory**2) * random.normal(size=n)
    for i in range(1, n):
        state[i] = memory * state[i - 1] + steps[i]
    # Ranks instead of the normal distribution itself: the gaps are exponential, in an order that remembers.
    ranks = (np.argsort(np.argsort(state)) + 0.5) / n
    gaps = -np.log(1 - ranks) * 0.125
    services = random.exponential(0.08, n)
    return gaps, services, queue(gaps, services).wait


EXERCISES = [
    Exercise(
        id="12.1",
        objective="12.1",
        kind="predict",
        title="How many wait?",
        points=1,
        minutes=3,
        value=5.4,
        tolerance=0.005,
        behaviour="the mean number of requests that wait, those in service not counted",
        mistakes={
            "you counted those in service too: use the wait, not the response": 10.2,
            "that is how many are in service": 4.8,
            "a time in milliseconds was taken for seconds": 5400.0,
        },
        hints=(
            "Little's law holds for every part of a system, also for the queue alone.",
            "Take the time that a request spends in the queue, without its service.",
            "Multiply the arrivals per second by the seconds in the queue, 0.085 − 0.040.",
        ),
    ),
    Exercise(
        id="12.2",
        objective="12.2",
        kind="derive",
        title="Percentiles of M/M/1",
        points=2,
        minutes=8,
        cases=[(0.5, 8.0, 10.0), (0.99, 8.0, 10.0), (0.95, 0.0, 4.0), (0.0, 1.0, 2.0), (0.999, 95.0, 100.0)],
        expected=lambda q, arrival_rate, service_rate: -math.log(1 - q) / (service_rate - arrival_rate),
        behaviour="the time that a share q of all responses does not exceed",
        mistakes={
            "that is the percentile of the service alone: nobody waits in it": lambda q, a, s: -math.log(1 - q) / s,
            "you took the logarithm of q; what exceeds the percentile is the share 1 − q": lambda q, a, s: (
                -math.log(q) / (s - a)
            ),
            "that is the mean, whatever q is": lambda q, a, s: mm1(a, s).mean_response,
            "that is the percentile of the wait, without the service": lambda q, a, s: mm1(a, s).wait_quantile(q),
        },
        hints=(
            "See the section on M/M/1: the response is exponential. With which rate?",
            "Solve P(R > t) = 1 − q for t, with P(R > t) = exp(−(μ − λ) t).",
            "Take logarithms on both sides: −(μ − λ) t = ln(1 − q).",
        ),
    ),
    Exercise(
        id="12.3",
        objective="12.3",
        kind="code",
        title="The mean wait of M/M/c",
        points=3,
        minutes=12,
        cases=[(30.0, 10.0, 4), (0.2, 1 / 240, 55), (1.0, 2.0, 1), (9.0, 5.0, 4), (950.0, 1.0, 1000)],
        expected=lambda a, s, c: mmc(a, s, c).mean_wait,
        behaviour="the mean time before service begins, with one queue for all servers; also for 1,000 servers",
        mistakes={
            "you counted the request's own service: that is the response, not the wait": lambda a, s, c: (
                mmc(a, s, c).mean_response
            ),
            "you used Erlang B (turned away) where Erlang C (has to wait) belongs": lambda a, s, c: (
                erlang_b(a / s, c) / (c * s - a)
            ),
            "you divided by cμ; a queue drains at cμ − λ": lambda a, s, c: erlang_c(a / s, c) / (c * s),
            "that is c separate queues: a newcomer may take any server": lambda a, s, c: mm1(a / c, s).mean_wait,
            "that is one server, c times as fast: in yours C, not ρ, is the probability to wait": lambda a, s, c: (
                mm1(a, c * s).mean_wait
            ),
            "that is the probability of waiting, not yet a time": lambda a, s, c: erlang_c(a / s, c),
        },
        hints=(
            "The section on Erlang B and C has a recursion that does not overflow, and the step from B to C.",
            "Start with 1/B(0) = 1, go up to c with 1/B(k) = 1 + k/a · 1/B(k−1); then C = B / (1 − ρ(1 − B)).",
            "wait = C / (c·μ − λ), with λ the arrival rate, μ the service rate, c the servers and a = λ/μ, ρ = a/c.",
        ),
    ),
    Exercise(
        id="12.4",
        objective="12.3",
        kind="code",
        title="How many servers?",
        points=2,
        minutes=8,
        cases=[(0.2, 1 / 240, 0.25), (30.0, 10.0, 0.2), (1000.0, 1.0, 0.2), (0.5, 1.0, 0.9), (7.0, 2.0, 0.01)],
        expected=lambda a, s, p: servers_for(a, s, wait_probability=p),
        behaviour="the fewest servers with which no more than the given share of the requests has to wait",
        mistakes={
            "that is one server more than needed": lambda a, s, p: servers_for(a, s, wait_probability=p) + 1,
            "that is one server too few": lambda a, s, p: servers_for(a, s, wait_probability=p) - 1,
            "you used Erlang B: those who find all servers busy are not lost, they wait": lambda a, s, p: next(
                c for c in range(1, 10_000) if erlang_b(a / s, c) <= p
            ),
            "you only made sure that the utilization stays below 1": lambda a, s, p: math.floor(a / s) + 1,
        },
        hints=(
            "models.erlang_c(load, servers) is the probability of waiting; it falls with every server.",
            "Begin with the fewest servers that are stable (more than the load) and add one at a time.",
            "c = int(load) + 1; while models.erlang_c(load, c) > wait_probability: c += 1",
        ),
    ),
    Exercise(
        id="12.5",
        objective="12.4",
        kind="derive",
        title="Kingman from a recording",
        points=3,
        minutes=12,
        cases=_samples,
        expected=_kingman,
        tolerance=0.01,
        behaviour="Kingman's approximation of the mean wait; rate, means and variabilities come from the recording",
        mistakes={
            "you used the coefficients of variation; their squares belong there": lambda g, s: _kingman(
                g, s, power=0.5
            ),
            "you forgot to halve the sum of the two variabilities": lambda g, s: _kingman(g, s, half=1.0),
            "that is M/M/1: the variability of the recording is left out": lambda g, s: (
                mm1(1 / np.mean(g), 1 / np.mean(s)).mean_wait
            ),
            "you added the service: that is the response": lambda g, s: _kingman(g, s) + float(np.mean(s)),
            "you left out the last factor, the mean service time": lambda g, s: _kingman(g, s) / float(np.mean(s)),
        },
        hints=(
            "Three factors: variability, utilization, time. Each comes from means and variances of the two lists.",
            "c² = variance / mean²; utilization = mean service / mean time between arrivals.",
            "return (ca2 + cs2) / 2 * rho / (1 - rho) * np.mean(services)",
        ),
    ),
    Exercise(
        id="12.6",
        objective="12.6",
        kind="code",
        title="Lindley's recursion",
        points=2,
        minutes=10,
        cases=_LINDLEY_CASES,
        expected=_lindley,
        behaviour="the wait of each request, in order; the first one finds the server free",
        mistakes={
            "you took each request's own service; it waits for the service before it": _lindley_own_service,
            "a wait cannot be negative: idle time of the server is not saved up": _lindley_unbounded,
            "you added the service: those are responses": _responses,
        },
        hints=(
            "The recursion stands in the section on how sure a simulated mean is.",
            "Keep the last wait; the next is that plus the last service minus the time until this arrival, or 0.",
            "For i = 1, 2, …: the next wait is max(0, last wait + service i − 1 − interarrival i).",
        ),
    ),
    Exercise(
        id="12.7",
        objective="12.5",
        kind="derive",
        title="Waits with priorities",
        points=3,
        minutes=12,
        cases=_CLASSES,
        expected=lambda rates, means, scvs: mg1_priority(rates, means, scvs).tolist(),
        behaviour="the mean wait of each class, the most important first, when no service is interrupted",
        mistakes={
            "a newcomer may find a request of any class in service, also of a lower one": lambda r, m, s: (
                _waits_by_class(r, m, s, own_residual=True)
            ),
            "you left out the variability: on average (1 + c²) E[S] / 2 is left of a service": lambda r, m, s: (
                _waits_by_class(r, m, [0.0] * len(r))
            ),
            "only one factor (1 − σ) may include the class itself": lambda r, m, s: _waits_by_class(
                r, m, s, before=lambda k: k + 1
            ),
            "that is the wait without priorities": lambda r, m, s: (
                [
                    sum(a * (1 + c) * b**2 for a, b, c in zip(r, m, s, strict=True))
                    / 2
                    / (1 - sum(a * b for a, b in zip(r, m, strict=True)))
                ]
                * len(r)
            ),
        },
        hints=(
            "Cobham's formula, in the section on disciplines.",
            "W0 sums λ E[S²] / 2 over all classes, with E[S²] = (1 + c²) E[S]²; σ is the running sum of λ E[S].",
            "Keep σ, the load of those before: W_k = W0 / ((1 − σ)(1 − σ − ρ_k)), ρ_k = λ_k E[S_k]; add ρ_k to it.",
        ),
    ),
    Exercise(
        id="12.8",
        objective="12.5",
        kind="tune",
        title="The cheapest order",
        points=3,
        minutes=12,
        cases=[([3.0, 1.0], [1.0, 1.0]), ([2.0, 2.0], [1.0, 5.0]), ([1.0], [1.0]), _jobs(1, 40)],
        judge=_each_once,
        behaviour="a list of the requests' numbers (from 0), each once, the first to be served first",
        baseline=_in_order_of_arrival,
        timed=[_jobs(seed, 300) for seed in (2, 3, 4)],
        cost=lambda args, order: cost_of(args[0], args[1], order),
        target=2.95,
        hints=(
            "Shortest first is right when all cost the same. Compare two neighbours: what does swapping them change?",
            "Swapping i and j, next to each other, makes j earlier by S_i and i later by S_j.",
            "Sort by costs[i] / services[i], the largest first (the cμ rule; for a fixed batch, Smith 1956).",
        ),
    ),
    Exercise(
        id="12.9",
        objective="12.7",
        kind="diagnose",
        title="Which assumption broke?",
        points=3,
        minutes=15,
        choices={
            "service": "the service times are not exponential",
            "gaps": "the times between arrivals are not exponential",
            "independence": "the times between arrivals are not independent of each other",
            "rate": "the arrival rate changed in mid-run",
            "overload": "the utilization is 1 or more",
        },
        value="independence",
        behaviour="the assumption of M/M/1 that the recording breaks, found by testing each in turn",
        mistakes={
            "compare the mean and the standard deviation of the service times": "service",
            "their mean, deviation and percentiles are those of an exponential; look at their order": "gaps",
            "compare the rates of the two halves; shorter parts differ because short gaps follow short ones": "rate",
            "divide the sum of the services by the time of the last arrival": "overload",
        },
        hints=(
            "Test one assumption after the other: mean against deviation, first half against second half, neighbours.",
            "np.corrcoef(x[:-1], x[1:])[0, 1] is the correlation of neighbours: 0 for independent times.",
            "The shape of the gaps is right, their order is not: short follows short.",
        ),
    ),
]
