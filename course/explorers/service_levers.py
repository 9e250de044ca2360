"""An online service: load, threads, micro-batches and hedging against a 99th percentile. Chapter 21."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int

_N = 6000
_CALL, _ITEM = 0.03, 0.002  # seconds of a call, and more for each request in it
_EVERY, _PAUSE = 25, 0.6  # one call in 25 pauses, for so many seconds
_OBJECTIVE = 0.4
_RNG = np.random.default_rng(21)
_GAPS = _RNG.exponential(1.0, _N)  # for a load of one a second
_PAUSES = _PAUSE * (np.arange(_EVERY) == _RNG.integers(_EVERY, size=(2, _N // _EVERY, 1))).reshape(2, _N)


def compute(load: float, threads: int, most: int, wait: float, hedge: float) -> dict[str, Any]:
    """Simulate the requests; return their latencies, sorted [s], and how busy the threads are."""
    gaps = _GAPS / load
    batches = simulate.micro_batches(gaps, most, wait / 1000 if most > 1 else 0.0)
    first, second = (_CALL + _ITEM * batches.size + _PAUSES[copy, : len(batches.size)] for copy in (0, 1))
    late = first > hedge if hedge else np.zeros(len(first), dtype=bool)
    answered = np.where(late, np.minimum(first, hedge + second), first)
    # Both copies keep a thread to their end: nobody can stop what sleeps.
    served = simulate.queue(np.diff(batches.sent, prepend=0.0), first + late * second, servers=threads)
    latency = np.sort((served.start + answered)[batches.batch] - gaps.cumsum())
    needed = float((first + late * second).sum() / gaps.sum())
    return {
        "latency": latency,
        "p99": float(np.quantile(latency, 0.99)),
        "within": float((latency <= _OBJECTIVE).mean()),
        "needed": needed,
        "threads": threads,
        "size": float(batches.size.mean()),
        "waits": float((served.start - batches.sent > 1e-9).mean()),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes: the tail, the objective, the per cent."""
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(0.02, 60), ylim=(1e-3, 3.0), xlabel="latency (s)",
             ylabel="share of requests that take longer")  # fmt: skip
    axes.set_title("The promise is kept where the curve passes below the crossing")
    axes.axvline(_OBJECTIVE, color=COLOURS["green"], linestyle="--")
    axes.axhline(0.01, color=COLOURS["green"], linestyle="--")
    axes.text(0.021, 0.0107, "one in a hundred", color=COLOURS["green"], va="bottom")
    axes.text(_OBJECTIVE * 1.05, 1.4, "the objective", color=COLOURS["green"], va="bottom")
    return {
        "tail": axes.plot([], [], color=COLOURS["blue"])[0],
        "here": axes.plot([], [], "D", color=COLOURS["orange"], markersize=9)[0],
    }


_SHARE = 1 - np.arange(1, _N + 1) / (_N + 1)


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the tail and the mark of the 99th percentile."""
    artists["tail"].set_data(result["latency"], _SHARE)
    artists["here"].set_data([min(result["p99"], 58.0)], [0.01])


def finding(result: dict[str, Any]) -> str:
    """Say how busy the threads are, the percentile, and whether the promise holds."""
    kept = result["within"] >= 0.99
    busy = f"{result['needed']:.2f} of {result['threads']} threads are needed"
    if result["needed"] >= result["threads"]:
        return f"{busy}: the queue grows, and after {_N:,} requests the 99th percentile is {result['p99']:.1f} s."
    return (
        f"{busy} for batches of {result['size']:.1f} requests, and {result['waits']:.0%} of the batches wait for a "
        f"thread; the 99th percentile is {result['p99']:.2f} s: the promise is {'kept' if kept else 'broken'}."
    )


explorer = Explorer(
    id="service_levers",
    title="Which lever keeps 99 of 100 requests within 0.4 s?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "load": Float("Load (requests/s)", 20.0, 400.0, 100.0, step=5.0, format=".0f"),
        "threads": Int("Threads", 1, 16, 4),
        "most": Choice("Requests a batch", [1, 2, 4, 8, 16], 4, style="slider"),
        "wait": Float("Wait limit (ms)", 0.0, 200.0, 30.0, step=5.0, format=".0f"),
        "hedge": Choice("Hedge after", {"never": 0.0, "50 ms": 0.05, "120 ms": 0.12, "300 ms": 0.3}, 0.0),
    },
    presets={
        "One by one": {"most": 1},
        "Hedged": {"hedge": 0.12},
        "Hedged, twice the load": {"hedge": 0.12, "load": 200.0},
        "Hedged, too much": {"hedge": 0.12, "load": 250.0},
        "Long waits": {"most": 16, "wait": 200.0, "hedge": 0.12},
    },
)
