"""The exercises of chapter 09, services, clients and middleware."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import numpy as np

from course import simulate
from course.practice.exercises import Case, Exercise

# ---- 09.3 A window


def keep_in_flight(answer: Callable[..., Any], durations: list[float], k: int) -> dict[str, Any]:
    """Let an answer run requests of these durations on a service without queue; tell what it did."""
    running: list[tuple[float, int]] = []
    log: dict[str, Any] = {"most": 0, "time": 0.0, "finished": []}

    def start(item: int) -> None:
        heappush(running, (log["time"] + durations[item], item))
        log["most"] = max(log["most"], len(running))

    def next_done() -> int:
        if not running:
            raise RuntimeError("next_done() was called with nothing in flight, which would wait for ever")
        log["time"], item = heappop(running)
        log["finished"].append(item)
        return item

    log["returned"] = answer(list(range(len(durations))), k, start, next_done)
    return log


def _window(items: list[int], k: int, start: Callable, next_done: Callable) -> list[int]:
    finished = []
    for sent, item in enumerate(items):
        if sent >= k:
            finished.append(next_done())
        start(item)
    return finished + [next_done() for _ in items[len(finished) :]]


def _waves(items: list[int], k: int, start: Callable, next_done: Callable) -> list[int]:
    finished = []
    for begin in range(0, len(items), k):
        wave = items[begin : begin + k]
        for item in wave:
            start(item)
        finished += [next_done() for _ in wave]
    return finished


def _all_at_once(items: list[int], k: int, start: Callable, next_done: Callable) -> list[int]:
    for item in items:
        start(item)
    return [next_done() for _ in items]


def _without_the_last(items: list[int], k: int, start: Callable, next_done: Callable) -> list[int]:
    finished = []
    for sent, item in enumerate(items):
        if sent >= k:
            finished.append(next_done())
        start(item)
    return finished


def _tried(answer: Callable[..., Any]) -> Callable[[list[float], int], dict[str, Any]]:
    return lambda durations, k: keep_in_flight(answer, durations, k)


def _judge_window(args: tuple[Any, ...], log: Any) -> str | None:
    durations, k = args
    best = keep_in_flight(_window, durations, k)
    if log["most"] > k:
        return f"{log['most']} were in flight at once; at most {k} are allowed"
    if sorted(log["finished"]) != list(range(len(durations))):
        return f"{len(log['finished'])} of {len(durations)} items were finished"
    if log["time"] > best["time"] + 1e-9:
        return f"it took {log['time']:g} s; with {k} always in flight it takes {best['time']:g} s"
    if list(log["returned"] or ()) != log["finished"]:
        return "the list that is returned is not that of the items in the order in which they ended"
    return None


# ---- 09.4 A token bucket


def _bucket(arrivals: list[float], rate: float, burst: float) -> list[bool]:
    return simulate.token_bucket(np.diff(arrivals, prepend=0.0), rate, burst).tolist() if arrivals else []


def _leaky(arrivals: list[float], rate: float, burst: float, tokens: float, cap: float, taxed: bool) -> list[bool]:
    """Return what a token bucket with one thing wrong lets in."""
    admitted, before = [], 0.0
    for now in arrivals:
        tokens, before = min(cap, tokens + rate * (now - before)), now
        admitted.append(bool(tokens >= 1 - 1e-9))
        tokens -= 1 if admitted[-1] or taxed else 0
    return admitted


def _bucket_cases() -> list[Case]:
    crowd = np.random.default_rng(9).exponential(0.1, 60).cumsum().round(3).tolist()
    return [
        Case(([0.0, 0.0, 0.0, 1.0, 1.5, 2.0], 1.0, 2.0), says="three at once, then three more; r = 1, b = 2"),
        Case(([100.0] * 5, 1.0, 3.0), says="nobody for 100 s, then five at once; r = 1, b = 3"),
        Case((crowd, 4.0, 5.0), says="60 at random, ten a second; r = 4, b = 5"),
        Case((crowd, 0.0, 1.0), says="60 at random; r = 0, b = 1"),
        Case(([], 1.0, 1.0), says="nobody"),
    ]


# ---- 09.8 Settings that survive


_LOADS = (40.0, 60.0, 75.0)


def _burst(load: float, settings: dict[str, Any]) -> float:
    """Return the share of requests that are lost (at least 0.001), in 40 s with a burst of 2 s."""
    gaps = simulate.varying_arrivals([load] * 8 + [250.0] * 2 + [load] * 30, seed=int(load))
    run = simulate.service(gaps, 0.04, 4, timeout=0.25, retries=3, **settings)
    return max(float(1 - run.ok.mean()), 0.001)


_ALLOWED = {"queue_limit", "shedding", "backoff", "backoff_cap", "jitter", "retry_budget", "retry_burst"}


def _judge_settings(args: tuple[Any, ...], settings: Any) -> str | None:
    if not isinstance(settings, dict):
        return "expected a dict of settings"
    if unknown := set(settings) - _ALLOWED:
        names = ", ".join(sorted(map(str, unknown))[:5]) + (", …" if len(unknown) > 5 else "")
        return f"{names} may not be set; allowed are {', '.join(sorted(_ALLOWED))}"
    try:
        _burst(args[0], settings)
    except (TypeError, ValueError) as error:
        return f"simulate.service says: {error}"
    return None


# ---- 09.10 Bytes of some messages, and 09.11 compression


def _bytes(messages: list[list[str]], sizes: dict[str, int]) -> int:
    return sum(sizes[name] for message in messages for name in set(message))


def _seconds(codec: tuple[float, float, float], bandwidth: float) -> float:
    ratio, compress, expand = codec
    return 1 / (ratio * bandwidth) + 1 / compress + 1 / expand


def _best_codec(bandwidth: float, codecs: dict[str, tuple[float, float, float]]) -> str:
    return min(("none", *codecs), key=lambda c: 1 / bandwidth if c == "none" else _seconds(codecs[c], bandwidth))


def _without_expanding(bandwidth: float, codecs: dict[str, tuple[float, float, float]]) -> str:
    def seconds(name: str) -> float:
        return 1 / bandwidth if name == "none" else 1 / (codecs[name][0] * bandwidth) + 1 / codecs[name][1]

    return min(("none", *codecs), key=seconds)


_CODECS = {"zlib": (12.0, 50e6, 700e6), "lz4": (3.2, 900e6, 2e9), "zstd": (13.0, 450e6, 800e6)}

EXERCISES = [
    Exercise(
        id="09.1",
        objective="09.1",
        kind="diagnose",
        title="Ninety calls a second",
        points=1,
        minutes=4,
        choices={
            "worker": "The worker: it can do no more than 90 tasks a second.",
            "serialization": "Serializing the function and its arguments.",
            "timer": "Each call waits for the answer to the last one, and for a timer that collects messages.",
            "scheduler": "The scheduler: it needs 11 ms to place a task.",
        },
        value="timer",
        mistakes={
            "the worker is idle nearly all the time: 0.2 ms of every 11": "worker",
            "the argument is one number": "serialization",
            "submitted all at once, the same 1,000 tasks are placed in a second": "scheduler",
        },
        hints=(
            "The section on service, client and middleware stamps the stations of one call.",
            "Compare a call after a pause with a call straight after another. What is different?",
            "The client sends at most one message every 10 ms; a loop that waits for each result meets it anew.",
        ),
    ),
    Exercise(
        id="09.2",
        objective="09.2",
        kind="predict",
        title="The smallest window",
        points=1,
        minutes=4,
        value=16,
        tolerance=1e-9,
        behaviour="the smallest whole number in flight with which the bound reaches what the servers can do",
        mistakes={
            "that is the number of threads; while an answer travels, its thread needs the next request": 12,
            "15.6 in flight would do; 15 are too few": 15,
            "that is the throughput of the servers, in requests a second": 24,
            "take the whole round trip, not the way alone": 4,
        },
        hints=(
            "Little's law: in flight = throughput × round trip.",
            "The servers can do m / d requests a second. How many are in flight then, if each takes R?",
            "12 / 0.5 = 24 a second, for 0.65 s each. Round up.",
        ),
    ),
    Exercise(
        id="09.3",
        objective="09.2",
        kind="code",
        title="Keep k in flight",
        points=4,
        minutes=14,
        cases=[
            Case(([1.0] * 6, 2), says="6 items of 1 s, k = 2"),
            Case(([5.0, 1.0, 1.0, 1.0, 1.0, 1.0], 2), says="one item of 5 s and five of 1 s, k = 2"),
            Case(([3.0, 2.0, 1.0], 5), says="3 items, k = 5"),
            Case(([2.0, 1.0, 4.0, 3.0, 2.0, 1.0, 1.0, 2.0], 3), says="8 uneven items, k = 3"),
            Case(([], 2), says="no item"),
        ],
        call=keep_in_flight,
        judge=_judge_window,
        behaviour="never more than k in flight, never fewer while items are left; all items in the order of their ends",
        mistakes={
            "you wait for a whole wave of k before you start the next: a slow one holds up the others": _tried(_waves),
            "you hand over everything at once": _tried(_all_at_once),
            "you forget those that are still in flight when the last item has been started": _tried(_without_the_last),
        },
        hints=(
            "Start k items. From then on, each end makes room for one start.",
            "In a loop over the items: if k are in flight, wait for one first. After the loop, wait for the rest.",
            "for sent, item in enumerate(items): if sent >= k: finished.append(next_done()); start(item). Then "
            "call next_done() for each item that is not finished.",
        ),
    ),
    Exercise(
        id="09.4",
        objective="09.3",
        kind="code",
        title="A token bucket",
        points=3,
        minutes=12,
        cases=_bucket_cases,
        expected=_bucket,
        behaviour="True for each arrival that finds a whole token; r tokens come a second, up to b; it starts full",
        mistakes={
            "the bucket has no rim: after a long quiet time it lets in more than b": (
                lambda a, r, b: _leaky(a, r, b, b, np.inf, False)
            ),
            "the bucket starts empty": lambda a, r, b: _leaky(a, r, b, 0.0, b, False),
            "those who are turned away take a token too": lambda a, r, b: _leaky(a, r, b, b, b, True),
            "that is a counter without refilling": lambda a, r, b: _leaky(a, 0.0, b, b, b, False),
        },
        hints=(
            "No timer is needed: work out at each arrival what has come since the last one.",
            "Keep two numbers: the tokens, and when you last looked. Cap the tokens at b.",
            "tokens = min(burst, tokens + rate * (now - before)); if tokens >= 1 - 1e-9: admit and subtract 1.",
        ),
    ),
    Exercise(
        id="09.5",
        objective="09.3",
        kind="derive",
        title="How long a queue may be",
        points=2,
        minutes=6,
        cases=[(4, 0.04, 0.25), (1, 0.1, 1.0), (32, 0.5, 2.0), (4, 0.5, 0.25), (10, 1.0, 1.0)],
        expected=lambda servers, service, timeout: max(0.0, servers / service * (timeout - service)),
        tolerance=1e-9,
        absolute=1e-9,
        behaviour="how many may wait so that the last of them is still answered in time; 0 if nobody can be",
        mistakes={
            "you left no time for the service of the request itself": lambda m, d, t: m / d * t,
            "that is the queue of one server; there are several": lambda m, d, t: max(0.0, (t - d) / d),
            "a queue is never shorter than 0, even if the service takes longer than the time-out": (
                lambda m, d, t: m / d * (t - d)
            ),
        },
        hints=(
            "The section on bounded queues.",
            "The q-th in the queue gets a server after q / μ, with μ = servers / service, and then needs one service.",
            "Solve q / μ + d = t for q, and take 0 where that is negative.",
        ),
    ),
    Exercise(
        id="09.6",
        objective="09.4",
        kind="derive",
        title="Careless clients",
        points=3,
        minutes=8,
        cases=[(50, 4, 0.31, 0.1), (100, 3, 0.0, 0.1), (100, 3, 1.0, 0.1), (80, 1, 0.5, 0.0), (10, 10, 0.5, 0.2)],
        expected=lambda rate, attempts, careless, budget: rate * (careless * attempts + (1 - careless) * (1 + budget)),
        tolerance=1e-9,
        behaviour="attempts a second when every attempt fails, and only the others keep to their budget of retries",
        mistakes={
            "the careful send their first attempt too: it costs no budget": (
                lambda rate, a, u, b: rate * (u * a + (1 - u) * b)
            ),
            "attempts count the first one already": lambda rate, a, u, b: rate * (u * (1 + a) + (1 - u) * (1 + b)),
            "you let everybody be careless": lambda rate, a, u, b: rate * a,
        },
        hints=(
            "When everything fails, how many attempts does a careless request make? And a careful one, on average?",
            "Careless: a. Careful: the first, and as many retries as the budget allows for each request.",
            "Weigh both with their shares: u a + (1 − u)(1 + v), times λ.",
        ),
    ),
    Exercise(
        id="09.7",
        objective="09.4",
        kind="predict",
        title="Two layers",
        points=2,
        minutes=5,
        value=100,
        tolerance=1e-9,
        behaviour="requests a second up to which a storm dies by itself",
        mistakes={
            "that is one layer; the other multiplies": 300,
            "layers multiply, they do not add": 150,
            "three attempts are two retries: count attempts": 225,
            "that is the capacity; a storm needs only λa to reach it": 900,
        },
        hints=(
            "The storm stays as long as the attempts at the lowest layer reach its capacity.",
            "If everything fails, how many calls does the lowest layer get for one request?",
            "3 × 3 = 9 calls. 900 / 9.",
        ),
    ),
    Exercise(
        id="09.8",
        objective="09.5",
        kind="tune",
        title="Settings that survive",
        points=4,
        minutes=16,
        cases=[Case((load,), says=f"{load:g} requests a second, and a burst") for load in _LOADS],
        timed=[Case((load,), says=f"{load:g} requests a second, and a burst") for load in _LOADS],
        judge=_judge_settings,
        baseline=lambda load: {"backoff": 0.1},
        cost=lambda args, settings: _burst(args[0], settings),
        target=15.0,
        behaviour="settings of simulate.service with which at most a fifteenth of the start's requests are lost",
        hints=(
            "Run the start with simulate.service and look at amplification and goodput. Which of the six cures fit?",
            "The queue may be as long as its clients are patient. Retries that come at once meet the same full queue.",
            "A queue_limit of 20 or somewhat less keeps the served alive; a backoff of 1 to 2 s with jitter brings the "
            "refused back when the burst is over.",
        ),
    ),
    Exercise(
        id="09.9",
        objective="09.5",
        kind="diagnose",
        title="Busy, alive, and useless",
        points=2,
        minutes=5,
        choices={
            "capacity": "The service is too small for its load.",
            "dead": "It serves attempts whose clients have already left.",
            "dying": "It serves the oldest that is alive, whose client leaves during the service.",
            "jitter": "The retries come in step, because there is no jitter.",
        },
        value="dying",
        mistakes={
            "new requests are half of what it can do; before the burst all was well": "capacity",
            "those are skipped: every attempt that begins is waited for": "dead",
            "the retries come evenly, about 2,000 a second": "jitter",
        },
        hints=(
            "Which attempt does a server take next, first come, first served?",
            "Attempts wait until they are nearly 250 ms old. How old are they when their service of 40 ms ends?",
            "Look at the paragraph on half a cure.",
        ),
    ),
    Exercise(
        id="09.10",
        objective="09.6",
        kind="code",
        title="Bytes on the wire",
        points=2,
        minutes=8,
        cases=[
            Case(([["a", "a", "a"]], {"a": 100}), says="one message with the same object three times"),
            Case(([["a"], ["a"], ["a"]], {"a": 100}), says="three messages with the same object"),
            Case(([["a", "b", "a"], ["b", "c"]], {"a": 7, "b": 100, "c": 1}), says="two messages, three objects"),
            Case(([[], ["a"]], {"a": 5}), says="an empty message, and one object"),
            Case(([["a", "b"], ["c"]], {"a": 10, "b": 10, "c": 10}), says="three objects of equal size"),
        ],
        expected=_bytes,
        behaviour="bytes that travel: pickle writes an object once in each message in which it occurs",
        mistakes={
            "you counted an object as often as it occurs in a message": (
                lambda messages, sizes: sum(sizes[name] for message in messages for name in message)
            ),
            "you counted an object once for all messages: a message knows nothing of the one before": (
                lambda messages, sizes: sum(sizes[name] for name in {n for message in messages for n in message})
            ),
            "objects of equal size are not the same object": (
                lambda messages, sizes: sum(sum({sizes[name] for name in message}) for message in messages)
            ),
        },
        hints=(
            "Look at what the chapter found for submit, map and delayed.",
            "Take each message by itself, and each object in it once.",
            "sum(sizes[name] for message in messages for name in set(message))",
        ),
    ),
    Exercise(
        id="09.11",
        objective="09.7",
        kind="code",
        title="Which codec?",
        points=2,
        minutes=8,
        cases=[
            Case((bandwidth, _CODECS), says=f"a link of {bandwidth / 1e6:g} MB/s")
            for bandwidth in (1e6, 50e6, 300e6, 450e6, 5e9)
        ]
        + [Case((10e6, {"zlib": (1.01, 40e6, 200e6)}), says="data that hardly shrinks, at 10 MB/s")],
        expected=_best_codec,
        behaviour='the codec with which a byte is there soonest, or "none" where it is there soonest as it is',
        mistakes={
            "the smallest result is not always there first": (
                lambda bandwidth, codecs: max(codecs, key=lambda name: codecs[name][0])
            ),
            "you left out the time for decompressing": _without_expanding,
            "sometimes no compression is best": (
                lambda bandwidth, codecs: min(codecs, key=lambda name: _seconds(codecs[name], bandwidth))
            ),
        },
        hints=(
            "Write down the seconds for a byte: in, on the way, out.",
            "With a codec: 1/C + 1/(r B) + 1/D. Without: 1/B.",
            'Compute both for each codec, and take the name of the smallest; "none" stands for 1/B.',
        ),
    ),
]
