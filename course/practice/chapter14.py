"""The exercises of chapter 14, load balancing and work stealing."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from course.models import supermarket_response
from course.practice.exercises import Case, Exercise

# ---- 14.2 d choices, ball by ball


def _place(draws: list[list[int]], bins: int) -> list[int]:
    loads = [0] * bins
    for drawn in draws:
        loads[min(drawn, key=lambda each: loads[each])] += 1  # the first among equals
    return loads


def _place_first(draws: list[list[int]], bins: int) -> list[int]:
    return _place([drawn[:1] for drawn in draws], bins)


def _place_fullest(draws: list[list[int]], bins: int) -> list[int]:
    loads = [0] * bins
    for drawn in draws:
        loads[max(drawn, key=lambda each: loads[each])] += 1
    return loads


def _place_last_equal(draws: list[list[int]], bins: int) -> list[int]:
    return _place([drawn[::-1] for drawn in draws], bins)


def _place_all(draws: list[list[int]], bins: int) -> list[int]:
    return _place([list(range(bins)) for _ in draws], bins)


def _draws(balls: int, bins: int, choices: int, seed: int) -> list[list[int]]:
    return np.random.default_rng(seed).integers(bins, size=(balls, choices)).tolist()


# ---- 14.3 the fixed point


def _tail(load: float, choices: int, levels: int) -> list[float]:
    shares = [1.0]
    for _ in range(levels):
        shares.append(load * shares[-1] ** choices)
    return shares


# ---- 14.4 and 14.5: one customer after the other


def _dispatch(gaps: list[float], services: list[float], looks: list[list[int]]) -> list[int]:
    """Send each customer to the looked-at server with the fewest customers, the first among equals."""
    stops: dict[int, list[float]] = {}
    chosen, now = [], 0.0
    for gap, work, looked in zip(gaps, services, looks, strict=True):
        now += gap
        inside = [len(stops.setdefault(s, [])) - bisect_right(stops[s], now) for s in looked]
        server = looked[inside.index(min(inside))]
        stops[server].append(max([now, *stops[server][-1:]]) + work)
        chosen.append(server)
    return chosen


def _dispatch_by_total(gaps: list[float], services: list[float], looks: list[list[int]]) -> list[int]:
    sent: dict[int, int] = {}
    chosen = []
    for looked in looks:
        server = min(looked, key=lambda s: sent.get(s, 0))
        sent[server] = sent.get(server, 0) + 1
        chosen.append(server)
    return chosen


def _dispatch_by_work(gaps: list[float], services: list[float], looks: list[list[int]]) -> list[int]:
    free: dict[int, float] = {}
    chosen, now = [], 0.0
    for gap, work, looked in zip(gaps, services, looks, strict=True):
        now += gap
        server = min(looked, key=lambda s: max(free.get(s, 0.0) - now, 0.0))
        free[server] = max(now, free.get(server, 0.0)) + work
        chosen.append(server)
    return chosen


def _dispatch_turn(gaps: list[float], services: list[float], looks: list[list[int]]) -> list[int]:
    return [looked[k % len(looked)] for k, looked in enumerate(looks)]


def _dispatch_together(gaps: list[float], services: list[float], looks: list[list[int]]) -> list[int]:
    """Take services to start on arrival: a customer is gone when its own service is over, as if nobody waited."""
    stops: dict[int, list[float]] = {}
    chosen, now = [], 0.0
    for gap, work, looked in zip(gaps, services, looks, strict=True):
        now += gap
        inside = [sum(stop > now for stop in stops.setdefault(s, [])) for s in looked]
        server = looked[inside.index(min(inside))]
        stops[server].append(now + work)
        chosen.append(server)
    return chosen


def _customers(n: int, servers: int, choices: int, load: float, seed: int) -> tuple[list, list, list]:
    rng = np.random.default_rng(seed)
    gaps, services = rng.exponential(1 / (load * servers), n), rng.exponential(1.0, n)
    looks = [rng.permutation(servers)[:choices].tolist() for _ in range(n)]
    return gaps.tolist(), services.tolist(), looks


SERVERS = 12


def _on_a_board(choose: Callable[[list[int], list[int]], int], age: float, n: int, seed: int) -> float:
    """Return the mean response, in service times, of 12 servers at 90 % whose board is written anew every `age`."""
    rng = np.random.default_rng(seed)
    gaps, services = rng.exponential(1 / (0.9 * SERVERS), n).tolist(), rng.exponential(1.0, n).tolist()
    stops: list[list[float]] = [[] for _ in range(SERVERS)]
    board, sent, period, now, total = [0] * SERVERS, [0] * SERVERS, -1.0, 0.0, 0.0
    for gap, work in zip(gaps, services, strict=True):
        now += gap
        if now // age > period:
            period, sent = now // age, [0] * SERVERS
            board = [len(each) - bisect_right(each, now) for each in stops]
        server = choose(list(board), list(sent))
        if isinstance(server, bool) or not isinstance(server, int | np.integer) or not 0 <= server < SERVERS:
            raise ValueError(f"the answer is {server!r:.40}; the number of a server, 0 to {SERVERS - 1}, is needed")
        sent[server] += 1
        stops[server].append(max([now, *stops[server][-1:]]) + work)
        total += stops[server][-1] - now
    return total / n


def _board_cases() -> list[Case]:
    return [Case((age, 4000, 5), says=f"a board up to {age:g} service times old") for age in (2.0, 5.0, 20.0)]


def _judge_response(args: tuple[Any, ...], result: Any) -> str | None:
    if not isinstance(result, int | float) or not math.isfinite(result):
        return "the simulation came to no number"
    return None


def _baseline(age: float, n: int, seed: int) -> float:
    """Return what the start costs: the shortest by the board alone, the first among equals."""
    return _on_a_board(lambda board, sent: board.index(min(board)), age, n, seed)


# ---- 14.6 the stealing loop


def _steal(queues: list[int], least: int = 2, work_first: bool = False) -> tuple[int, int]:
    """Return (seconds, steals): each second idle workers first steal one from the richest, then all run one task.

    A victim has at least ``least`` tasks. With ``work_first`` they steal after the second's work.
    """
    left, seconds, steals = list(queues), 0, 0
    while any(left):
        if work_first:
            left = [max(each - 1, 0) for each in left]
        for thief in range(len(left)):
            victim = left.index(max(left))
            if left[thief] == 0 and left[victim] >= least:
                left[victim] -= 1
                left[thief] += 1
                steals += 1
        if not work_first:
            left = [max(each - 1, 0) for each in left]
        seconds += 1
    return seconds, steals


def _steal_never(queues: list[int]) -> tuple[int, int]:
    return max(queues), 0


def _steal_last(queues: list[int]) -> tuple[int, int]:
    """Let thieves also take the task that the victim runs in this second."""
    return _steal(queues, least=1)


def _steal_after(queues: list[int]) -> tuple[int, int]:
    """Steal after the second's work, so that a worker without tasks at the start loses a second."""
    return _steal(queues, work_first=True)


QUEUES = [[4], [8, 0, 0, 0], [24, 0, 0, 0], [5, 5, 5], [1, 0], [9, 1, 4], [0, 13, 0, 2, 0], [100] + [0] * 9]

# ---- 14.7 Dask's looks


def _looks(tasks: int, workers: int, interval: int, first: int, of_the_mean: float = 0.5) -> list[int]:
    """Return the tasks at the victim after each look, which fills thieves up to half the mean; in units of one task."""
    queue, now, look, seen = [tasks] + [0] * (workers - 1), 0, first, []
    while look < now + max(queue):
        queue = [max(each - (look - now), 0) for each in queue]
        now = look
        share = math.ceil(of_the_mean * sum(queue) / workers)
        for thief in range(1, workers):
            take = max(min(share - queue[thief], queue[0] - 1), 0)
            queue[0] -= take
            queue[thief] += take
        seen.append(queue[0])
        look += interval
    return seen


def _looks_even(tasks: int, workers: int, interval: int, first: int) -> list[int]:
    """Let a look make all even."""
    return _looks(tasks, workers, interval, first, of_the_mean=1.0)


def _looks_without_time(tasks: int, workers: int, interval: int, first: int) -> list[int]:
    """Forget that tasks are done between two looks."""
    seen = []
    left = tasks
    for _ in _looks(tasks, workers, interval, first):
        left -= (workers - 1) * math.ceil(left / (2 * workers))
        seen.append(max(left, 1))
    return seen


LOOKS = [(24, 4, 10, 5), (24, 4, 10, 0), (40, 4, 10, 5), (24, 4, 1, 0), (100, 10, 10, 3), (12, 2, 5, 2), (3, 4, 10, 0)]


EXERCISES = [
    Exercise(
        id="14.1",
        objective="14.1",
        kind="predict",
        title="Which needs more?",
        points=1,
        minutes=5,
        choices={
            "same": "About the same: the mean is 400 in both.",
            "20 and 20": "About 20 above the mean by one choice and about 20 by two.",
            "70 and 2": "Some 70 above the mean by one choice, about 2 by two.",
            "70 and 35": "Some 70 above the mean by one choice, half of that by two.",
        },
        value="70 and 2",
        mistakes={
            "a second look does not halve the excess; it changes how the excess grows": "70 and 35",
            "20 is one standard deviation, √400; the fullest of a thousand bins is three above": "20 and 20",
            "the mean is; the fullest bin is not": "same",
        },
        hints=(
            "Look at the table of many balls a bin.",
            "One bin has 400 ± 20 by one choice. How far above is the fullest of a thousand?",
            "About 3.3 standard deviations by one choice; by two ln ln n / ln 2 + O(1), however many balls.",
        ),
    ),
    Exercise(
        id="14.2",
        objective="14.1",
        kind="code",
        title="d choices, ball by ball",
        points=2,
        minutes=8,
        cases=lambda: [
            Case(([[0, 1], [0, 1], [1, 0]], 2), says="three balls into two bins"),
            Case(([], 3), says="no balls"),
            Case(([[2], [2], [2]], 4), says="one choice"),
            Case((_draws(40, 8, 2, 1), 8), says="40 balls, two choices of 8 bins"),
            Case((_draws(60, 10, 3, 2), 10), says="60 balls, three choices of 10 bins"),
        ],
        expected=_place,
        behaviour="each ball goes into the emptiest of the bins that it drew, the first drawn among equals",
        mistakes={
            "only the first bin of each draw was looked at": _place_first,
            "that puts the ball into the fullest of the bins drawn": _place_fullest,
            "among equals the first drawn gets the ball, not the last": _place_last_equal,
            "a ball may go only into one of the bins that it drew": _place_all,
        },
        hints=(
            "Keep a list of loads, and go through the draws one by one.",
            "Of the bins in `drawn`, take the one with the smallest load; min() gives the first among equals.",
            "loads[min(drawn, key=lambda b: loads[b])] += 1 for each drawn in draws.",
        ),
    ),
    Exercise(
        id="14.3",
        objective="14.2",
        kind="derive",
        title="The fixed point",
        points=2,
        minutes=10,
        cases=[(0.9, 1, 5), (0.9, 2, 6), (0.5, 2, 4), (0.99, 3, 8), (0.7, 5, 3), (0.0, 2, 3)],
        expected=_tail,
        behaviour="the shares s_0, s_1, …, s_levels of servers with at least k requests",
        mistakes={
            "s_0 is 1: every server has at least 0 requests": lambda load, d, levels: _tail(load, d, levels)[1:],
            "that is d = 1 for every d": lambda load, d, levels: _tail(load, 1, levels),
            "the power belongs to the share below, not to the load": (
                lambda load, d, levels: [(load**d) ** k for k in range(levels + 1)]
            ),
            "the load is a factor, outside of the power": (
                lambda load, d, levels: [load ** (d**k - 1) if k else 1.0 for k in range(levels + 1)]
            ),
        },
        hints=(
            "What flows up into level k at rest equals what flows down out of it.",
            "Up: a request comes (rate λ a server) and all its d choices have k − 1 or more. Down: a service ends.",
            "Start with shares = [1.0]; append load * shares[-1] ** choices, `levels` times.",
        ),
    ),
    Exercise(
        id="14.4",
        objective="14.2",
        kind="derive",
        title="The response time",
        points=2,
        minutes=8,
        cases=[(0.5, 2), (0.9, 2), (0.9, 3), (0.99, 2), (0.7, 5), (0.9, 1)],
        expected=lambda load, choices: supermarket_response(load, choices),
        tolerance=1e-4,
        behaviour="the mean response in service times, by Little's law from the shares",
        mistakes={
            "that is the mean number at a server; Little's law divides it by the arrival rate": (
                lambda load, d: load * supermarket_response(load, d)
            ),
            "you counted s_0, which is 1 whatever the load": (
                lambda load, d: (load * supermarket_response(load, d) + 1) / load
            ),
            "that is the wait; the response holds the service, too": lambda load, d: supermarket_response(load, d) - 1,
        },
        hints=(
            "The mean number at a server is the sum of the shares s_1 + s_2 + …",
            "Little's law: the number is the arrival rate times the response. In service times the rate is the load.",
            "share, total = 1.0, 0.0; repeat share = load * share ** choices; total += share, until share is tiny (for "
            "d = 1 that takes thousands of rounds); return total / load.",
        ),
    ),
    Exercise(
        id="14.5",
        objective="14.3",
        kind="code",
        title="Join the shortest queue",
        points=4,
        minutes=20,
        cases=lambda: [
            Case(([1.0, 1.0, 1.0], [5.0, 5.0, 5.0], [[0, 1]] * 3), says="three customers, both of two servers"),
            Case(([1.0, 0.5, 2.0, 0.1], [1.0, 1.0, 1.0, 1.0], [[0, 1]] * 4), says="a customer leaves before the next"),
            Case(([0.1] * 6, [9.0, 0.1, 0.1, 9.0, 0.1, 9.0], [[0, 1, 2]] * 6), says="long and short services"),
            Case(_customers(80, 6, 2, 0.9, 1), says="80 customers, two choices of 6 servers"),
            Case(_customers(80, 6, 6, 0.9, 2), says="80 customers, the shortest of all 6"),
            Case(_customers(60, 5, 1, 0.9, 3), says="60 customers, one choice"),
        ],
        expected=_dispatch,
        behaviour="each customer goes to the server with the fewest customers of those looked at, first among equals",
        mistakes={
            "customers leave: count those who are still there, not all who were ever sent": _dispatch_by_total,
            "count the customers, not the seconds of work; a dispatcher does not know these": _dispatch_by_work,
            "that takes them in turn": _dispatch_turn,
            "a customer who waits leaves later: its service starts when the server is free": _dispatch_together,
        },
        hints=(
            "For each server keep the list of the times at which its customers leave.",
            "A customer leaves at max(arrival, when the one before it leaves) + service. At a server are those whose "
            "time is still ahead.",
            "now += gap; counts = [sum(stop > now for stop in stops[s]) for s in looked]; server = looked[counts.index("
            "min(counts))]; stops[server].append(max(now, last stop) + service).",
        ),
    ),
    Exercise(
        id="14.6",
        objective="14.4",
        kind="tune",
        title="A rule for an old board",
        points=4,
        minutes=15,
        cases=_board_cases,
        judge=_judge_response,
        call=_on_a_board,
        baseline=_baseline,
        timed=_board_cases,
        cost=lambda args, response: float(response),
        target=6.0,
        behaviour="the number of a server; the mean response of 12 servers at 90 % becomes a sixth or less",
        hints=(
            "Between two writings of the board all run to one server. Chance helps, but what do you know besides?",
            "`sent` says how many requests you sent to each server since the board was written.",
            "seen = [b + s for b, s in zip(board, sent)]; return the index of the smallest.",
        ),
    ),
    Exercise(
        id="14.7",
        objective="14.5",
        kind="code",
        title="The stealing loop",
        points=3,
        minutes=15,
        cases=[(queues,) for queues in QUEUES],
        expected=_steal,
        behaviour="(seconds, steals): each second first the idle steal one task each, then every worker runs one",
        mistakes={
            "nobody steals": _steal_never,
            "a victim keeps the one task that it runs: steal only from one that has two or more": _steal_last,
            "the idle steal before the second's work, not after it": _steal_after,
        },
        hints=(
            "A loop over seconds, as long as there are tasks; in each, first the thieves, then the work.",
            "For each worker in turn that has none: the victim is left.index(max(left)); it must have two or more.",
            "Take one from the victim, add one to the thief, count it. Then left = [max(x - 1, 0) for x in left].",
        ),
    ),
    Exercise(
        id="14.8",
        objective="14.5",
        kind="predict",
        title="Within which time?",
        points=1,
        minutes=5,
        value=1000 / 20 + 10,
        tolerance=0.005,
        behaviour="work / workers + span, the order of the time that work stealing takes",
        mistakes={
            "that is the work bound alone; the longest path counts, too": 1000 / 20,
            "the span is not divided: its tasks come one after the other": 1010 / 20,
            "that is the bound of a greedy scheduler, W/m + (1 − 1/m) S; stealing has no factor 1 − 1/m": 59.5,
        },
        hints=(
            "Work stealing: W/m + O(S).",
            "Take the constant to be 1. The span is the tasks on the longest path times their duration.",
            "1000 s on 20 workers, and 10 s.",
        ),
    ),
    Exercise(
        id="14.9",
        objective="14.6",
        kind="derive",
        title="Dask, look by look",
        points=3,
        minutes=15,
        cases=LOOKS,
        expected=_looks,
        behaviour="the tasks at the first worker right after each look, as long as there is work at the next look",
        mistakes={
            "a thief stops at half the mean, not at the mean": _looks_even,
            "between two looks every worker completes a task in each unit of time": _looks_without_time,
        },
        hints=(
            "Between two looks every queue shrinks by the time that passed, and not below 0.",
            "At a look a thief fills up to ⌈n / 2m⌉, n all tasks that are left; the victim keeps at least one.",
            "take = max(min(share - queue[thief], queue[0] - 1), 0), one thief after the other. Go on while "
            "look < now + max(queue).",
        ),
    ),
    Exercise(
        id="14.10",
        objective="14.7",
        kind="diagnose",
        title="The idle workers",
        points=2,
        minutes=6,
        choices={
            "interval": "The run is too short: the scheduler has not looked yet.",
            "transfer": "Their inputs are too long to move.",
            "bound": "The tasks are bound to the first worker.",
            "unknown": "Their durations are unknown, and such tasks are not stolen.",
        },
        value="bound",
        mistakes={
            "it looked 60 times in that minute": "interval",
            "8 bytes take 0.1 s by Dask's estimate; its queue is a minute long": "transfer",
            "a name that never finished counts as 0.5 s, and after the first task it is known": "unknown",
        },
        hints=(
            "Go through what Dask does not steal, in “When the model lies”.",
            "Compare the transfer with the queue of the victim, and the run with the interval.",
            "What does `workers=` do to the thieves?",
        ),
    ),
]
