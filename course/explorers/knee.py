"""The knee: how waiting grows with load, for any number of servers and any variability. Chapter 12."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float

_CUSTOMERS = 60_000
_WARM_UP = _CUSTOMERS // 10
_GRID = np.linspace(0.02, 0.985, 120)
_DOTS = np.array([0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95])
_TOP = 20.0  # service times; the axis of mean waits ends here
_FAR = 100.0  # and that of single waits here


@lru_cache(maxsize=16)
def unit_mean(scv: float, seed: int, customers: int = _CUSTOMERS) -> np.ndarray:
    """Return random times of mean 1 and the given squared coefficient of variation, gamma distributed.

    Parameters
    ----------
    scv : float
        0 gives constants, 1 the exponential distribution.
    seed, customers : int
        The same seed, the same times.

    Returns
    -------
    array, shape (customers,)
        Read-only, because it is kept for the next call.

    Examples
    --------
    >>> unit_mean(0.0, 1, 3)
    array([1., 1., 1.])
    """
    random = np.random.default_rng(seed)
    times = np.ones(customers) if scv < 1e-3 else random.gamma(1 / scv, scv, customers)
    times.flags.writeable = False
    return times


def waits_at(utilization: float, servers: int, arrival_scv: float, service_scv: float) -> np.ndarray:
    """Return the simulated waits at one load, in service times, without the warm-up."""
    gaps = unit_mean(arrival_scv, 1) / (utilization * servers)
    return simulate.queue(gaps, unit_mean(service_scv, 2), servers).wait[_WARM_UP:]


def compute(utilization: float, servers: int, arrival_scv: float, service_scv: float) -> dict[str, Any]:
    """Return the curve of Allen and Cunneen, simulated dots, and the waits at the chosen load (in service times)."""

    def formula(load: np.ndarray | float) -> Any:
        return models.ggc(np.asarray(load) * servers, 1.0, arrival_scv, service_scv, servers).mean_wait

    waits = waits_at(utilization, servers, arrival_scv, service_scv)
    mean, error = simulate.batch_means(waits, warm_up=0)
    if arrival_scv == service_scv == 1.0:  # a closed form: better than a run of limited length
        slowest = models.mmc(utilization * servers, 1.0, servers).wait_quantile(0.99)
    else:
        slowest = float(np.quantile(waits, 0.99))
    beyond = np.linspace(0, _FAR, 200)
    return {
        "utilization": utilization,
        "servers": servers,
        "curve": formula(_GRID),
        "here": formula(utilization),
        "dots": np.array([waits_at(load, servers, arrival_scv, service_scv).mean() for load in _DOTS]),
        "simulated": mean,
        "error": error,
        "p99": slowest,
        "beyond": beyond,
        "tail": 1 - np.searchsorted(np.sort(waits), beyond, side="right") / len(waits),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: mean wait against load, and the share of requests that wait longer than t."""
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    left.set(xlim=(0, 1), ylim=(0, _TOP), xlabel="utilization", ylabel="mean wait (service times)")
    left.set_title("The wait turns upwards long before 100 %")
    right.set(xlim=(0, _FAR), yscale="log", ylim=(1e-3, 1.1), xlabel="t (service times)", ylabel="share that waits > t")
    right.set_title("The slow ones wait much longer")
    right.axhline(0.01, color=COLOURS["grey"], linewidth=1, linestyle=":")
    right.text(_FAR, 0.0107, "1 in 100", ha="right", va="bottom", color=COLOURS["grey"], fontsize=9)
    artists = {
        "curve": left.plot([], [], color=COLOURS["blue"], label="formula (Allen–Cunneen)")[0],
        "dots": left.plot([], [], "o", color=COLOURS["ink"], markersize=5, label="simulated")[0],
        "line": left.axvline(0.5, color=COLOURS["orange"], linewidth=1),
        "point": left.plot([], [], "D", color=COLOURS["orange"], markersize=9, label="you are here")[0],
        "tail": right.plot([], [], color=COLOURS["orange"])[0],
    }
    left.legend(loc="upper left")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curve, the dots, the point and the tail."""
    artists["curve"].set_data(_GRID, result["curve"])
    artists["dots"].set_data(_DOTS, result["dots"])
    artists["line"].set_xdata([result["utilization"]] * 2)
    artists["point"].set_data([result["utilization"]], [min(result["simulated"], _TOP)])
    artists["tail"].set_data(result["beyond"], np.maximum(result["tail"], 1e-9))


def finding(result: dict[str, Any]) -> str:
    """Say the mean wait by simulation (± two standard errors) and by formula, and that of the slowest hundredth."""
    servers = "1 server" if result["servers"] == 1 else f"{result['servers']} servers"
    mean = f"{result['simulated']:.2f} ± {2 * result['error']:.2f}"
    return (
        f"With {servers} at {result['utilization']:.0%} a request waits {mean} service times on average "
        f"(formula: {result['here']:.2f}), and 1 in 100 waits more than {result['p99']:.1f}."
    )


explorer = Explorer(
    id="knee",
    title="Why does it get slow long before it is full?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "utilization": Float("Utilization", 0.05, 0.98, 0.8, step=0.01, format=".2f"),
        "servers": Choice("Servers", [1, 2, 4, 8, 16, 32], 1, style="slider"),
        "arrival_scv": Float("c² of arrivals", 0.0, 4.0, 1.0, step=0.25, format=".2f"),
        "service_scv": Float("c² of service", 0.0, 8.0, 1.0, step=0.25, format=".2f"),
    },
    presets={
        "A little fuller": {"utilization": 0.95},
        "16 servers as full": {"utilization": 0.95, "servers": 16},
        "A clockwork": {"utilization": 0.95, "arrival_scv": 0.0, "service_scv": 0.0},
        "Mixed sizes": {"service_scv": 6.0},
        "Where the formula is off": {"utilization": 0.5, "arrival_scv": 0.0, "service_scv": 1.0},
    },
)
