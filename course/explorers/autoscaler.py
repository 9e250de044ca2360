"""The autoscaler: a bursty day under four ways to choose the workers, by cost and missed objectives. Chapter 17."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int

TICK = 120.0
"""Seconds between two looks."""
RATE = 2.0
"""Requests per second that a worker serves."""
OBJECTIVE = 10.0
"""The longest wait that is allowed [s]."""
FLEET = 80
"""The workers that the peak of the forecast keeps busy; the forecast knows of no bursts."""
_HOURS = (np.arange(720) + 1) * TICK / 3600
_TOP = 300


@lru_cache(maxsize=32)
def day(bursts: float) -> np.ndarray:
    """Return the load of the day: up to 160 requests a second, and six bursts, whose height is a share of the mean.

    Examples
    --------
    >>> round(float(day(0.0).max()))
    176
    """
    load = simulate.daily_load(tick=TICK, bursts=6, burst_height=bursts, burst_length=1200, seed=4)
    load.flags.writeable = False
    return load


def policy(scaler: str, target: float, delay: float) -> Any:
    """Return what chooses the workers, aimed at a utilization; a forecast looks as far as a start takes (s)."""
    if scaler == "fixed":
        return lambda seen: int(FLEET / target)
    if scaler == "threshold":
        return simulate.Threshold(high=min(target + 0.15, 0.99), low=max(target - 0.15, 0.05), step=4)
    if scaler == "predictive":
        return simulate.Predictive(target=target, ahead=delay + TICK, window=1200)
    return simulate.TargetTracking(target)


def compute(scaler: str, target: float, delay: int, age: int, bursts: float) -> dict[str, Any]:
    """Simulate the day; delays and ages in minutes."""
    load = day(bursts)
    chooser = policy(scaler, target, delay * 60)
    if age:
        chooser = simulate.Stale(chooser, round(age * 60 / TICK))
    run = simulate.autoscale(
        load,
        chooser,
        service_rate=RATE,
        tick=TICK,
        start_delay=delay * 60,
        minimum=5,
        maximum=_TOP,
        initial=int(FLEET / target) if scaler == "fixed" else round(float(load[0]) / RATE / target) + 1,
        objective=OBJECTIVE,
    )
    return {
        "scaler": scaler,
        "age": age,
        "needed": load / RATE,
        "workers": run.workers,
        "late": run.wait > OBJECTIVE,
        "wait": np.minimum(run.wait, 1e4),
        "missed": run.missed,
        "cost": run.cost() / 3600,
        "least": float(load.sum() * TICK / RATE / 3600),
        "changes": run.changes,
        "critical": models.critical_gain(round(age * 60 / TICK)),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make two axes over the day: the workers above, the wait below."""
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    above.set(xlim=(0, 24), ylim=(0, 320), ylabel="workers")
    above.set_title("Workers that are needed, and workers that serve")
    below.set(xlim=(0, 24), yscale="symlog", ylim=(0, 2000), xlabel="hour of the day", ylabel="wait (s)")
    below.set_yticks([0, 10, 100, 1000], ["0", "10", "100", "1000"])
    below.axhline(OBJECTIVE, color=COLOURS["grey"], linewidth=1, linestyle=":")
    below.text(0.2, OBJECTIVE * 1.3, "objective", color=COLOURS["grey"], fontsize=9)
    artists = {
        "needed": above.plot([], [], color=COLOURS["ink"], linewidth=1.2, label="needed, all of them busy")[0],
        "workers": above.plot([], [], color=COLOURS["blue"], linewidth=1.6, label="serving")[0],
        "late": above.plot([], [], "o", color=COLOURS["orange"], markersize=4, label="objective missed")[0],
        "wait": below.plot([], [], color=COLOURS["orange"])[0],
    }
    above.legend(loc="upper left", ncols=3)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the three curves and the dots."""
    artists["needed"].set_data(_HOURS, result["needed"])
    artists["workers"].set_data(_HOURS, result["workers"])
    artists["late"].set_data(_HOURS[result["late"]], result["workers"][result["late"]])
    artists["wait"].set_data(_HOURS, result["wait"])


def finding(result: dict[str, Any]) -> str:
    """Say what it costs, how often the objective is missed, and how much it moves."""
    text = (
        f"It costs {result['cost']:,.0f} worker hours, {result['cost'] / result['least']:.2f} times the work itself; "
        f"{result['missed']:.1%} of the requests wait longer than {OBJECTIVE:.0f} s; "
        f"the number of workers changes {result['changes']} times."
    )
    if result["age"] and result["scaler"] == "target_tracking" and result["critical"] <= 1:
        text += f" Its gain is 1, and news {result['age']} min old allow at most {result['critical']:.2f}."
    return text


explorer = Explorer(
    id="autoscaler",
    title="How many workers, and when?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "scaler": Choice(
            "Who decides",
            {
                "fixed fleet": "fixed",
                "threshold": "threshold",
                "target tracking": "target_tracking",
                "predictive": "predictive",
            },
            "target_tracking",
        ),
        "target": Float("Target utilization", 0.3, 0.95, 0.6, step=0.05, format=".2f"),
        "delay": Int("Start delay (min)", 0, 20, 4, step=2),
        "age": Int("Data age (min)", 0, 10, 0, step=2),
        "bursts": Float("Bursts (means)", 0.0, 2.0, 1.0, step=0.25, format=".2f"),
    },
    presets={
        "Machines at once": {"delay": 0},
        "Slow machines": {"delay": 20},
        "Foresight, same machines": {"scaler": "predictive", "delay": 20},
        "A quiet day, a fixed fleet": {"scaler": "fixed", "bursts": 0.0, "target": 0.8},
        "The same fleet, bursts": {"scaler": "fixed", "target": 0.8},
        "Old news": {"age": 4, "delay": 0},
    },
    height=4.6,
)
