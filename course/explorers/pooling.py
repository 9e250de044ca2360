"""Pooling: the same capacity as one queue, as many queues, or as one fast server. Chapter 12."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits
from course.explorers.knee import unit_mean

_CUSTOMERS = 60_000
_GRID = np.linspace(0.02, 0.97, 80)
_DESIGNS = {"one queue": "blue", "separate queues": "orange", "one fast server": "green"}
_WHAT = {"mean response": "response", "mean wait": "wait"}


def _formulas(load: np.ndarray, servers: int, scv: float) -> dict[str, dict[str, np.ndarray]]:
    """Return mean wait and response of each design, in service times of a slow server."""
    one = models.ggc(load * servers, 1.0, 1.0, scv, servers)
    separate = models.mg1(load, 1.0, scv)
    fast = models.mg1(load * servers, 1 / servers, scv)
    queues = dict(zip(_DESIGNS, (one, separate, fast), strict=True))
    return {name: {"wait": queue.mean_wait, "response": queue.mean_response} for name, queue in queues.items()}


def _simulated(load: float, servers: int, scv: float) -> dict[str, dict[str, float]]:
    gaps, services = unit_mean(1.0, 3, _CUSTOMERS), unit_mean(scv, 4, _CUSTOMERS)
    designs = (
        simulate.queue(gaps / (load * servers), services, servers),
        # One of the separate queues stands for all: a random split of Poisson arrivals is Poisson again.
        simulate.queue(gaps / load, services, 1),
        simulate.queue(gaps / (load * servers), services / servers, 1),
    )
    skip = _CUSTOMERS // 10
    return {
        name: {"wait": float(run.wait[skip:].mean()), "response": float(run.response[skip:].mean())}
        for name, run in zip(_DESIGNS, designs, strict=True)
    }


def compute(servers: int, utilization: float, service_scv: float, what: str) -> dict[str, Any]:
    """Return the chosen mean of the three designs: by formula over all loads, simulated at the chosen one."""
    curves = _formulas(_GRID, servers, service_scv)
    dots = _simulated(utilization, servers, service_scv)
    return {
        "what": what,
        "servers": servers,
        "utilization": utilization,
        "curves": {name: curves[name][what] for name in _DESIGNS},
        "dots": {name: dots[name][what] for name in _DESIGNS},
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes, a curve and a dot for each design."""
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(1e-2, 40), yscale="log", xlabel="utilization", ylabel="service times of a slow server")
    axes.set_title("The same capacity, cut in three ways (lines: formula, dots: simulated)")
    artists = {
        "axes": axes,
        "curves": {name: axes.plot([], [], color=COLOURS[c], label=name)[0] for name, c in _DESIGNS.items()},
        "dots": {
            name: axes.plot([], [], marker, color=COLOURS[c], markersize=9)[0]
            for (name, c), marker in zip(_DESIGNS.items(), "oDs", strict=True)
        },
        "line": axes.axvline(0.5, color=COLOURS["grey"], linewidth=1, linestyle=":"),
    }
    axes.legend(loc="upper left")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move curves, dots and the line of the chosen load."""
    set_limits(artists["axes"], y=(1e-3, 40) if result["what"] == "wait" else (1e-2, 40))
    for name in _DESIGNS:
        artists["curves"][name].set_data(_GRID, result["curves"][name])
        artists["dots"][name].set_data([result["utilization"]], [result["dots"][name]])
    artists["line"].set_xdata([result["utilization"]] * 2)


def finding(result: dict[str, Any]) -> str:
    """Say which design is best, and the numbers of all."""
    what = next(label for label, value in _WHAT.items() if value == result["what"])
    order = sorted(_DESIGNS, key=result["dots"].__getitem__)
    numbers = ", ".join(f"{name} {result['dots'][name]:.2f}" for name in order)
    if result["servers"] == 1:
        return f"With 1 server the three are the same: {what} {result['dots']['one queue']:.2f} service times."
    return (
        f"The capacity of {result['servers']} servers at {result['utilization']:.0%}: the shortest {what} is that of "
        f"{order[0]} ({numbers}; in service times)."
    )


explorer = Explorer(
    id="pooling",
    title="One queue, many queues, or one fast server?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "servers": Choice("Servers", [1, 2, 4, 8, 16, 32, 64], 4, style="slider"),
        "utilization": Float("Utilization", 0.05, 0.95, 0.8, step=0.01, format=".2f"),
        "service_scv": Float("c² of service", 0.0, 20.0, 1.0, step=0.5, format=".1f"),
        "what": Choice("Compare by", _WHAT, "response", style="buttons"),
    },
    presets={
        "By the wait alone": {"what": "wait"},
        "A big pool": {"servers": 32, "utilization": 0.9},
        "Very mixed sizes": {"servers": 16, "utilization": 0.7, "service_scv": 20.0},
        "Light load": {"utilization": 0.2},
    },
)
