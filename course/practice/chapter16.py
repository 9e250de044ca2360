"""The exercises of chapter 16, tails, faults and recovery."""

from __future__ import annotations

from typing import Any

import numpy as np

from course.models import (
    checkpoint_efficiency,
    fan_out_probability,
    mttdl_approximate,
    optimal_checkpoint_interval,
    tasks_to_recompute,
    young_interval,
)
from course.practice.exercises import Case, Exercise
from course.simulate import checkpointed_run

# ---- 16.3 A hedged request


def _hedge(first: list[float], second: list[float], delay: float) -> tuple[list[float], int]:
    pairs = list(zip(first, second, strict=True))
    return [a if a <= delay else min(a, delay + b) for a, b in pairs], sum(a > delay for a in first)


def _hedge_without_delay(first: list[float], second: list[float], delay: float) -> tuple[list[float], int]:
    latency = [a if a <= delay else min(a, b) for a, b in zip(first, second, strict=True)]
    return latency, sum(a > delay for a in first)


def _hedge_at_once(first: list[float], second: list[float], delay: float) -> tuple[list[float], int]:
    return [min(a, b) for a, b in zip(first, second, strict=True)], sum(a > delay for a in first)


def _hedge_gives_up(first: list[float], second: list[float], delay: float) -> tuple[list[float], int]:
    latency = [a if a <= delay else delay + b for a, b in zip(first, second, strict=True)]
    return latency, sum(a > delay for a in first)


def _hedge_sends_all(first: list[float], second: list[float], delay: float) -> tuple[list[float], int]:
    return [min(a, delay + b) for a, b in zip(first, second, strict=True)], len(first)


def _hedge_cases() -> list[Case]:
    rng = np.random.default_rng(16)
    slow = np.where(rng.random((2, 50)) < 0.1, 0.6, 0.05).tolist()
    heavy = (rng.pareto(1.5, (2, 50)) + 0.01).tolist()
    return [
        Case(([0.05, 0.6, 0.6], [0.05, 0.05, 0.6], 0.2), says="three requests, hedged after 0.2 s"),
        Case(([0.3], [0.2], 0.2), says="a first copy that wins although the second was sent"),
        Case(([0.2], [0.01], 0.2), says="an answer at the very moment of the delay"),
        Case(([], [], 0.1), says="no request"),
        Case((*slow, 0.2), says="50 requests, one in ten slow"),
        Case((*heavy, 0.5), says="50 requests with a heavy tail"),
    ]


# ---- 16.4 The delay for a budget


def _delay(latencies: list[float], budget: float) -> float:
    """Return the smallest observed latency (or 0) beyond which lies at most a share ``budget``."""
    ordered = sorted(latencies)
    allowed = int(np.floor(budget * len(ordered) + 1e-9))
    return 0.0 if allowed >= len(ordered) else ordered[len(ordered) - allowed - 1]


def _judge_delay(args: tuple[Any, ...], delay: Any) -> str | None:
    latencies, budget = args
    if isinstance(delay, bool) or not isinstance(delay, int | float | np.number) or not np.isfinite(delay):
        return "expected a number of seconds"
    twice = float(np.mean(np.asarray(latencies) > delay))
    if twice > budget + 1e-9:
        return f"after {delay:.4g} s a share of {twice:.1%} is sent twice; the budget is {budget:.1%}"
    if delay > _delay(latencies, budget) + 1e-9:
        return f"{delay:.4g} s keeps the budget, but a shorter delay does so too, and helps more"
    return None


def _delay_cases() -> list[Case]:
    rng = np.random.default_rng(3)
    return [
        Case(([0.4, 0.1, 0.2, 0.3], 0.25), says="four latencies, a budget of 25 %"),
        Case(([0.4, 0.1, 0.2, 0.3], 0.0), says="four latencies, nothing to be sent twice"),
        Case(([0.4, 0.1, 0.2, 0.3], 1.0), says="four latencies, all may be sent twice"),
        Case((rng.lognormal(0, 1, 1000).tolist(), 0.05), says="1,000 latencies, a budget of 5 %"),
        Case((np.where(rng.random(200) < 0.03, 0.6, 0.05).tolist(), 0.02), says="a budget below the slow share"),
    ]


# ---- 16.6 Which task to copy: LATE's rule


def _late(progress: list[float], elapsed: list[float], copied: list[bool]) -> int:
    left = {
        k: np.inf if p == 0 else (1 - p) / (p / t)
        for k, (p, t, c) in enumerate(zip(progress, elapsed, copied, strict=True))
        if not c and p < 1 and t > 0
    }
    return max(left, key=lambda k: (left[k], -k)) if left else -1


def _late_least_progress(progress: list[float], elapsed: list[float], copied: list[bool]) -> int:
    free = [k for k in range(len(progress)) if not copied[k] and progress[k] < 1 and elapsed[k] > 0]
    return min(free, key=lambda k: (progress[k], k)) if free else -1


def _late_oldest(progress: list[float], elapsed: list[float], copied: list[bool]) -> int:
    free = [k for k in range(len(progress)) if not copied[k] and progress[k] < 1 and elapsed[k] > 0]
    return max(free, key=lambda k: (elapsed[k], -k)) if free else -1


def _late_copies_done(progress: list[float], elapsed: list[float], copied: list[bool]) -> int:
    left = {
        k: np.inf if progress[k] == 0 else (1 - progress[k]) / (progress[k] / elapsed[k])
        for k in range(len(progress))
        if not copied[k]
    }
    return max(left, key=lambda k: (left[k], -k)) if left else -1


def _late_copies_again(progress: list[float], elapsed: list[float], copied: list[bool]) -> int:
    return _late(progress, elapsed, [False] * len(copied))


_LATE = [
    Case(([0.9, 0.5, 0.2], [9.0, 10.0, 1.0], [False] * 3), says="an old, a slow and a new task"),
    Case(([0.9, 0.5, 0.2], [9.0, 10.0, 1.0], [False, True, False]), says="the same, the slow one has a copy"),
    Case(([0.99, 0.1, 0.3], [100.0, 1.0, 6.0], [False] * 3), says="the oldest is nearly done"),
    Case(([1.0, 0.5], [3.0, 3.0], [False, False]), says="one task is done"),
    Case(([0.5, 0.5], [2.0, 2.0], [False, False]), says="two alike"),
    Case(([0.0, 0.5], [4.0, 8.0], [False, False]), says="one has made no progress at all"),
    Case(([1.0, 0.3], [3.0, 3.0], [False, True]), says="nothing is left to copy"),
]


# ---- 16.7 The best interval


def _judge_interval(args: tuple[Any, ...], interval: Any) -> str | None:
    cost, mtbf = args
    if isinstance(interval, bool) or not isinstance(interval, int | float | np.number) or not 0 < interval < np.inf:
        return "expected a positive number of seconds"
    best = checkpoint_efficiency(optimal_checkpoint_interval(cost, mtbf), cost, mtbf)
    here = checkpoint_efficiency(float(interval), cost, mtbf)
    if here < 0.999 * best:
        return (
            f"saving every {interval:.4g} s leaves {here:.2%} of the time for work; the best interval leaves {best:.2%}"
        )
    return None


# ---- 16.8 Lineage

_CHAINS = {f"{s}{i}": ([] if s == "a" else [f"{chr(ord(s) - 1)}{i}"]) for s in "abc" for i in range(4)}
_SHUFFLE = {f"a{i}": [] for i in range(4)} | {f"b{i}": [f"a{j}" for j in range(4)] for i in range(4)}
_DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def _again(wanted: list[str], needs: dict[str, list[str]], kept: list[str]) -> list[str]:
    return sorted(tasks_to_recompute(wanted, needs, kept))


def _again_lost_only(wanted: list[str], needs: dict[str, list[str]], kept: list[str]) -> list[str]:
    return sorted(set(wanted) - set(kept))


def _again_ignores_kept(wanted: list[str], needs: dict[str, list[str]], kept: list[str]) -> list[str]:
    lost = [task for task in wanted if task not in kept]
    return sorted(tasks_to_recompute(lost, needs, set()))


def _again_one_step(wanted: list[str], needs: dict[str, list[str]], kept: list[str]) -> list[str]:
    lost = set(wanted) - set(kept)
    return sorted(lost | {before for task in lost for before in needs.get(task, []) if before not in kept})


def _again_all_wanted(wanted: list[str], needs: dict[str, list[str]], kept: list[str]) -> list[str]:
    return sorted(tasks_to_recompute(list(needs), needs, kept))


def _sorted(answer: Any, *args: Any) -> Any:
    result = answer(*args)
    return sorted(result) if isinstance(result, set | frozenset | list | tuple) else result


_LINEAGE = [
    Case((["c0", "c1", "c2", "c3"], _CHAINS, ["c1", "c2", "c3"]), says="four chains of three, one end is lost"),
    Case((["c0", "c1"], _CHAINS, ["c1", "b0"]), says="a chain whose middle is kept"),
    Case((["b0", "b1", "b2", "b3"], _SHUFFLE, ["b1", "b2", "b3"]), says="a shuffle, its inputs were freed"),
    Case((["b0", "b1", "b2", "b3"], _SHUFFLE, ["b1", "b2", "b3", "a0", "a1"]), says="a shuffle, half its inputs kept"),
    Case((["d"], _DIAMOND, ["b"]), says="a diamond of which one side is kept"),
    Case((["d"], _DIAMOND, []), says="a diamond, all is lost"),
    Case((["d"], _DIAMOND, ["d"]), says="nothing is lost that is wanted"),
    Case((["x"], {}, []), says="an input that has no lineage"),
]


# ---- 16.9 A checkpointed run


def _run(lifetimes: list[float], work: float, interval: float, cost: float) -> float:
    return checkpointed_run(lifetimes, work, interval, cost)[-1].stop


def _run_from_the_start(lifetimes: list[float], work: float, interval: float, cost: float) -> float:
    needed = checkpointed_run([], work, interval, cost)[-1].stop
    now = 0.0
    for life in lifetimes:
        if life >= needed:
            break
        now += life
    return now + needed


def _run_keeps_half_intervals(lifetimes: list[float], work: float, interval: float, cost: float) -> float:
    return checkpointed_run([], work, interval, cost)[-1].stop


def _run_forgets_last_checkpoint(lifetimes: list[float], work: float, interval: float, cost: float) -> float:
    return _run(lifetimes, work, interval, cost) - cost


def _run_free_checkpoints(lifetimes: list[float], work: float, interval: float, cost: float) -> float:
    return _run(lifetimes, work, interval, 0.0)


def _run_cases() -> list[Case]:
    rng = np.random.default_rng(9)
    return [
        Case(([], 10.0, 4.0, 1.0), says="no failure; the last part is shorter"),
        Case(([3.5], 4.0, 2.0, 0.5), says="one failure in the second half"),
        Case(([2.25], 4.0, 2.0, 0.5), says="a failure in the middle of a checkpoint"),
        Case(([2.5, 1.0], 4.0, 2.0, 0.5), says="a failure right after a checkpoint, and another"),
        Case(([1.0, 1.0, 1.0], 3.0, 3.0, 0.0), says="three failures, and no checkpoint but the last"),
        Case((rng.exponential(5.0, 200).tolist(), 40.0, 2.0, 0.3), says="40 s of work, a failure every 5 s"),
    ]


EXERCISES = [
    Exercise(
        id="16.1",
        objective="16.1",
        kind="predict",
        title="How many users are slow?",
        points=1,
        minutes=3,
        value=lambda: fan_out_probability(0.001, 300),
        tolerance=0.005,
        behaviour="the share of users for whom at least one of their requests is slow",
        mistakes={
            "that adds the probabilities; two slow requests make one slow user": 0.3,
            "that is the share of users for whom all are fast": 0.999**300,
            "that is the share of slow requests; a user waits for 300 of them": 0.001,
        },
        hints=(
            "The section on fan-out: when is a user fast?",
            "Only if all 300 requests are fast, and they are independent.",
            "Each is fast with probability 0.999; raise it to the power of 300 and take it from 1.",
        ),
    ),
    Exercise(
        id="16.2",
        objective="16.1",
        kind="derive",
        title="What to ask of one server",
        points=2,
        minutes=6,
        cases=[(0.5, 100), (0.99, 1), (0.99, 100), (0.999, 1000), (0.0, 5)],
        expected=lambda q, requests: q ** (1 / requests),
        tolerance=1e-9,
        behaviour="the quantile of one request that becomes the q-quantile of the slowest of so many",
        mistakes={
            "that is the other way round: the quantile of the user from that of one request": lambda q, n: q**n,
            "that is the quantile for the fastest of n; a user waits for the slowest": lambda q, n: (
                1 - (1 - q) ** (1 / n)
            ),
            "dividing by n is an approximation, good for q near 1; the exact answer has a power": (
                lambda q, n: 1 - (1 - q) / n
            ),
        },
        hints=(
            "The slowest of n is at most t if each of them is.",
            "If F(t) is the probability for one, it is F(t) to the power of n for all. Set that to q.",
            "F(t) is the n-th root of q.",
        ),
    ),
    Exercise(
        id="16.3",
        objective="16.2",
        kind="code",
        title="A hedged request",
        points=3,
        minutes=10,
        cases=_hedge_cases,
        expected=_hedge,
        tolerance=1e-9,
        behaviour="the latency of each request, to the first answer, and how many requests were sent twice",
        mistakes={
            "the second copy starts late: add the delay to its time": _hedge_without_delay,
            "the second copy is not there from the start: it comes after the delay": _hedge_at_once,
            "the first copy still runs, and may answer before the second": _hedge_gives_up,
            "a request that is answered within the delay is not sent again": _hedge_sends_all,
        },
        hints=(
            "What happens if the first copy answers within the delay? And if not?",
            "If not, the second copy answers at the delay plus its own time, and the earlier of the two counts.",
            "a if a <= delay else min(a, delay + b) for each pair; the extra ones are those with a > delay.",
        ),
    ),
    Exercise(
        id="16.4",
        objective="16.2",
        kind="code",
        title="The delay for a budget",
        points=2,
        minutes=8,
        cases=_delay_cases,
        judge=_judge_delay,
        behaviour="the shortest delay at which no larger share of the requests than the budget is sent twice",
        mistakes={
            "a quantile between two observations is longer than it need be": (
                lambda latencies, budget: float(np.quantile(latencies, 1 - budget))
            ),
        },
        hints=(
            "A request is sent twice if it takes longer than the delay.",
            "Sort the latencies. How many of the largest may lie beyond the delay?",
            "k = floor(budget × n) may; the delay is the largest of the others, or 0 if there is none.",
        ),
    ),
    Exercise(
        id="16.5",
        objective="16.3",
        kind="diagnose",
        title="The thread that stays busy",
        points=1,
        minutes=4,
        choices={
            "lost": "The message of cancel was lost.",
            "runs": "The losers had started. Cancel takes what waits; what runs, runs to its end.",
            "retry": "Cancelled tasks are retried.",
            "memory": "Their results are kept in memory.",
        },
        value="runs",
        mistakes={
            "the futures are cancelled, so the scheduler knows; look at what a worker can do to a thread": "lost",
            "cancelled tasks are forgotten, not retried": "retry",
            "a result that nobody wants is dropped; and memory keeps no thread busy": "memory",
        },
        hints=(
            "The section on what cancelling can stop has four cases.",
            "Which of the four does this service look like?",
            "A Python thread cannot be stopped from outside.",
        ),
    ),
    Exercise(
        id="16.6",
        objective="16.4",
        kind="code",
        title="Which task gets a copy?",
        points=3,
        minutes=12,
        cases=_LATE,
        expected=_late,
        behaviour="the number of the running task with the most time left that has no copy yet; −1 if there is none",
        mistakes={
            "little progress may also mean that it has begun a moment ago: divide by the time it took": (
                _late_least_progress
            ),
            "the oldest may be nearly done: estimate what it has left": _late_oldest,
            "a task has one copy at most": _late_copies_again,
            "a task that is done needs no copy": _late_copies_done,
        },
        hints=(
            "Estimate the rate of each task, and from it what is left.",
            "rate = progress / elapsed; left = (1 − progress) / rate. Leave out tasks that are done or have a copy.",
            "Without any progress the time left is infinite; of equals the smallest number; an empty choice is −1.",
        ),
    ),
    Exercise(
        id="16.7",
        objective="16.5",
        kind="derive",
        title="How often to save",
        points=3,
        minutes=12,
        cases=[(5.0, 1440.0), (5.0, 360.0), (0.04, 1.0), (1.0, 10.0), (5.0, 15.0), (10.0, 10.0)],
        judge=_judge_interval,
        behaviour="an interval that leaves at least 99.9 % of the useful time that the best one leaves",
        mistakes={
            "Young's formula is an approximation, and here a checkpoint is not cheap": young_interval,
            "it is a factor of 2 short: a failure loses half an interval, not a whole one": (
                lambda cost, mtbf: (cost * mtbf) ** 0.5
            ),
        },
        hints=(
            "Young's formula is enough where a checkpoint is cheap. Where is it not?",
            "Maximise τ / (e^((τ + δ)/M) − 1): by Daly's series, or numerically, or with Lambert's function.",
            "M (1 + W(−e^(−1 − δ/M))), with scipy.special.lambertw(…).real; or scipy.optimize.minimize_scalar, bounded "
            "by 0 and M.",
        ),
    ),
    Exercise(
        id="16.8",
        objective="16.6",
        kind="code",
        title="What runs again?",
        points=3,
        minutes=12,
        cases=_LINEAGE,
        expected=_again,
        call=_sorted,
        behaviour="all tasks that have to run, each once, so that every wanted result exists again",
        mistakes={
            "the inputs of a lost result may be gone too, and have to be made first": _again_lost_only,
            "stop at results that still exist: they need not be made": _again_ignores_kept,
            "go on: the inputs of the inputs may be gone as well": _again_one_step,
            "only what is needed for a wanted result has to run": _again_all_wanted,
        },
        hints=(
            "The section on lineage has three steps.",
            "Keep a list of tasks to look at, and a set of those that are marked.",
            "Begin with the wanted ones that are not kept; take one, mark it, and add its inputs that are not kept "
            "and not marked, until the list is empty.",
        ),
    ),
    Exercise(
        id="16.9",
        objective="16.5",
        kind="code",
        title="A checkpointed run",
        points=4,
        minutes=18,
        cases=_run_cases,
        expected=_run,
        tolerance=1e-9,
        behaviour="the seconds until all work is done and saved, failures and lost work included",
        mistakes={
            "it rolls back to the last checkpoint, not to the start": _run_from_the_start,
            "what was worked since the last checkpoint is lost, and takes its time again": _run_keeps_half_intervals,
            "the last part is saved too": _run_forgets_last_checkpoint,
            "writing a checkpoint takes time as well": _run_free_checkpoints,
        },
        hints=(
            "Go life by life: in each, as many whole segments (work and checkpoint) succeed as fit into it.",
            "Keep now and done. A segment takes min(interval, work − done) + cost; if the life has less left, all of "
            "it is spent, and the next begins from done.",
            "for life in [*lifetimes, inf]: age = 0; while done < work and age + step + cost <= life: age and done "
            "grow; if done == work: return now + age; now += life.",
        ),
    ),
    Exercise(
        id="16.10",
        objective="16.7",
        kind="predict",
        title="One copy more",
        points=1,
        minutes=5,
        value=lambda: mttdl_approximate(1, 2, 1000.0, 0.5) / mttdl_approximate(1, 1, 1000.0, 0.5),
        tolerance=0.02,
        behaviour="the mean time to data loss with three copies divided by that with two",
        mistakes={
            "M/D is right but for the r in front: three copies are lost sooner than two by 3/2": 2000.0,
            "a third copy brings far more than half as much again": 1.5,
            "M/D: the days between losses over the days of a repair, which are half a day": 1000.0 * 0.5,
        },
        hints=(
            "The section on copies in space gives an approximation.",
            "Divide M/3 · (M/D)² by M/2 · (M/D).",
            "That is 2/3 · M/D, with M = 1000 days and D half a day.",
        ),
    ),
]
