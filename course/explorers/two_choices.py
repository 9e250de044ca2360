"""The power of two choices: response and queue lengths by load, looks and the age of what is known (chapter 14)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits

_CUSTOMERS = 60_000
_WARM_UP = _CUSTOMERS // 5
_GRID = np.linspace(0.02, 0.99, 150)
_LEVELS = np.arange(13)
_MOMENTS = 60
_TOP, _FAR = 12.0, 60.0  # service times; the left axis ends at the first, or at the second where the dot is above it


@lru_cache(maxsize=1)
def _unit_times() -> tuple[np.ndarray, np.ndarray]:
    """Return gaps and services of mean 1, the same in every call, so that a control changes nothing but itself."""
    rng = np.random.default_rng(14)
    times = rng.exponential(1.0, _CUSTOMERS), rng.exponential(1.0, _CUSTOMERS)
    for each in times:
        each.flags.writeable = False
    return times


def compute(load: float, choices: int, servers: int, stale: float) -> dict[str, Any]:
    """Return the limit curve for so many choices, and a simulated farm of so many servers; in service times."""
    gaps, services = _unit_times()
    looks = min(choices, servers)
    run = simulate.balance(gaps / (load * servers), services, servers, looks, stale=stale, seed=1)
    inside = _inside(run)
    return {
        "load": load,
        "choices": choices,
        "servers": servers,
        "stale": stale,
        "curve": models.supermarket_response(_GRID, choices),
        "limit": models.supermarket_response(load, choices),
        "blind": models.supermarket_response(load, 1),
        "simulated": float(run.response[_WARM_UP:].mean()),
        "tail": models.supermarket_tail(load, choices, _LEVELS),
        "seen": np.array([(inside >= k).mean() for k in _LEVELS]),
    }


def _inside(run: simulate.Balanced) -> np.ndarray:
    """Return how many customers each server had at instants after the warm-up, shape (instants, servers)."""
    at = np.linspace(run.arrival[_WARM_UP], run.arrival[-1], _MOMENTS)
    shape = (_MOMENTS + 1, run.servers)
    change = np.zeros(shape, dtype=np.int64)
    np.add.at(change, (np.searchsorted(at, run.arrival), run.server), 1)
    np.add.at(change, (np.searchsorted(at, run.stop), run.server), -1)
    return np.cumsum(change, axis=0)[:_MOMENTS]


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: response against load, and the share of servers with at least k requests."""
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    left.set(xlim=(0, 1), ylim=(0, _TOP), xlabel="utilization", ylabel="mean response (service times)")
    left.set_title("More looks, later knee")
    left.plot(_GRID, models.supermarket_response(_GRID, 1), color=COLOURS["grey"], linewidth=1.4, linestyle="--")
    left.plot([], [], color=COLOURS["grey"], linewidth=1.4, linestyle="--", label="one look (random)")
    right.set(xlim=(0, _LEVELS[-1]), yscale="log", ylim=(1e-4, 1.3), xlabel="k (requests at a server)")
    right.set(ylabel="share of servers with ≥ k")
    right.set_title("Long queues grow rare")
    artists = {
        "left": left,
        "curve": left.plot([], [], color=COLOURS["blue"], label="limit of many servers")[0],
        "point": left.plot([], [], "D", color=COLOURS["orange"], markersize=9, label="simulated")[0],
        "tail": right.plot([], [], color=COLOURS["blue"])[0],
        "seen": right.plot([], [], "D", color=COLOURS["orange"], markersize=6)[0],
    }
    left.legend(loc="upper left")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curve, the point and both tails."""
    top = _TOP if result["simulated"] <= 0.95 * _TOP else _FAR
    set_limits(artists["left"], (0, 1), (0, top))
    artists["curve"].set_data(_GRID, result["curve"])
    artists["point"].set_data([result["load"]], [min(result["simulated"], 0.98 * top)])
    artists["tail"].set_data(_LEVELS, np.maximum(result["tail"], 1e-9))
    artists["seen"].set_data(_LEVELS, np.maximum(result["seen"], 1e-9))


def finding(result: dict[str, Any]) -> str:
    """Say the simulated response, the limit, and how both compare with a blind choice."""
    looks = "1 look" if result["choices"] == 1 else f"{result['choices']} looks"
    age = f" on a board up to {result['stale']:g} service times old" if result["stale"] else ""
    ratio = result["blind"] / result["simulated"]
    against = f"{ratio:.1f} times as fast as" if ratio >= 1.05 else f"{1 / ratio:.1f} times as long as"
    against = "about as long as" if 0.95 < ratio < 1.05 else against
    return (
        f"{result['servers']} servers at {result['load']:.0%}, {looks}{age}: a request takes {result['simulated']:.2f} "
        f"service times, {against} by random choice ({result['blind']:.2f}); the limit of many servers and fresh "
        f"information is {result['limit']:.2f}."
    )


explorer = Explorer(
    id="two-choices",
    title="What does a second look buy?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "load": Float("Utilization", 0.1, 0.99, 0.9, step=0.01, format=".2f"),
        "choices": Choice("Looks", [1, 2, 3, 5, 10], 2, style="slider"),
        "servers": Choice("Servers", [5, 10, 20, 50, 100, 200], 100, style="slider"),
        "stale": Choice("Age of the board", [0, 0.5, 1, 2, 5, 10, 20, 50], 0, style="slider"),
    },
    presets={
        "One look": {"choices": 1},
        "A third look": {"choices": 3},
        "Nearly full": {"load": 0.98},
        "Ten looks, old board": {"choices": 10, "stale": 20},
        "Two looks, old board": {"choices": 2, "stale": 20},
    },
)
