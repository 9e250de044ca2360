"""Back-pressure: what a burst leaves behind, for clients that retry and a service that may refuse. Chapter 09."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float

_SERVERS, _SERVICE, _TIMEOUT = 4, 0.04, 0.25  # a hundred requests a second; clients wait for 250 ms
_CAPACITY = _SERVERS / _SERVICE
_END, _BURST = 40, range(5, 6)  # seconds
_EDGES = np.arange(0.0, _END + 0.25, 0.5)
_TOP = 320.0
_CURES = {
    "nothing": {},
    "newest first": {"shedding": "lifo"},
    "skip the dead": {"shedding": "deadline"},
    "retry budget 10 %": {"retry_budget": 0.1},
    "circuit breaker": {"breaker": simulate.CircuitBreaker(failures=5, open_for=1.0)},
}


@lru_cache(maxsize=64)
def _gaps(load: float) -> np.ndarray:
    rates = np.full(_END, load * _CAPACITY)
    rates[list(_BURST)] = 2 * _CAPACITY
    return simulate.varying_arrivals(rates, seed=9)


def compute(load: float, places: int, retries: int, backoff: float, cure: str) -> dict[str, Any]:
    """Return attempts and answers in time per second, and what is left of them in the last ten seconds."""
    gaps = _gaps(round(load, 4))
    run = simulate.service(
        gaps, _SERVICE, _SERVERS, timeout=_TIMEOUT, retries=retries, queue_limit=places or None,
        backoff=backoff, jitter=True, **_CURES[cure],
    )  # fmt: skip
    late = (run.arrival >= _END - 12) & (run.arrival < _END - 2)
    return {
        "arrivals": np.histogram(run.arrival, _EDGES)[0] / 0.5,
        "offered": run.offered(_EDGES),
        "goodput": run.goodput(_EDGES),
        "load": load,
        "sent": float(np.histogram(run.sent[np.isfinite(run.sent)], [_END - 12, _END - 2])[0][0] / 10),
        "answered": float(run.ok[late].mean()),
        "storm": load * _CAPACITY * (1 + retries),
        "wasted": run.wasted / run.busy,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes, and a line each for new requests, attempts and answers in time."""
    axes = figure.subplots()
    axes.set(xlim=(0, _END), ylim=(0, _TOP), xlabel="time (s)", ylabel="per second")
    axes.axvspan(_BURST.start, _BURST.stop, color=COLOURS["grey"], alpha=0.15, linewidth=0)
    axes.text(_BURST.start - 0.3, _TOP * 0.98, "burst", color=COLOURS["grey"], ha="right", va="top")
    axes.axhline(_CAPACITY, color=COLOURS["grey"], linewidth=1, linestyle=":")
    axes.text(_END, _CAPACITY + 3, "what the service can do", color=COLOURS["grey"], ha="right", fontsize=9)
    artists = {
        "offered": axes.step([], [], where="post", color=COLOURS["orange"], linewidth=1.4, label="attempts")[0],
        "arrivals": axes.step([], [], where="post", color=COLOURS["grey"], linewidth=1.2, label="new requests")[0],
        "goodput": axes.step([], [], where="post", color=COLOURS["green"], linewidth=2.6, label="answers in time")[0],
        "title": axes.set_title("The burst is over; is the storm?"),
    }
    axes.legend(loc="upper right", ncols=3)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the three lines, and say in the title how it ends."""
    for name in ("offered", "arrivals", "goodput"):
        artists[name].set_data(_EDGES, np.minimum(np.append(result[name], result[name][-1]), _TOP))
    artists["title"].set_text(_verdict(result))


def _verdict(result: dict[str, Any]) -> str:
    if result["answered"] > 0.9:
        return "The burst is over, and the service is back"
    return "The burst is over, the storm is not" if result["answered"] < 0.1 else "The burst is over, but not its harm"


def finding(result: dict[str, Any]) -> str:
    """Say what share is answered in time at last, what work was wasted, and hold the storm against the capacity."""
    sign = "<" if result["storm"] < _CAPACITY else "≥"
    return (
        f"Long after the burst {result['answered']:.0%} of {result['load'] * _CAPACITY:.0f} new requests a second are "
        f"answered in time, with {result['sent']:.0f} attempts a second; {result['wasted']:.1%} of all work was for "
        f"nobody. If every attempt failed there would be {result['storm']:.0f}, {sign} the {_CAPACITY:.0f} that the "
        "service can do."
    )


explorer = Explorer(
    id="back_pressure",
    title="The burst is over. Is the storm?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "load": Float("Load", 0.05, 0.95, 0.5, step=0.01, format=".2f"),
        "places": Choice("Queue places", {"5": 5, "20": 20, "80": 80, "any number": 0}, 0, style="buttons"),
        "retries": Choice("Retries", [0, 1, 2, 3, 4, 5], 3, style="slider"),
        "backoff": Choice("Back-off (s)", [0.0, 0.1, 1.0, 10.0], 0.1, style="slider"),
        "cure": Choice("Cure", list(_CURES), "nothing"),
    },
    presets={
        "Less load": {"load": 0.15},
        "Polite clients": {"backoff": 1.0},
        "Half a cure": {"cure": "skip the dead"},
        "Too long a queue": {"places": 80},
        "A budget": {"cure": "retry budget 10 %"},
    },
)
