"""Greener hours: what one job saves by waiting, and what is left of it for a fleet. Chapter 24."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Explorer, Float

_SLACK = np.linspace(0, 24, 97)
_HOURS = np.linspace(0, 24, 193)
_TROUGH = 7.0  # o'clock


def compute(swing: float, duration: float, slack: float, flexible: float, headroom: float) -> dict[str, Any]:
    """Return the saving of one job over its slack, and a day of a fleet that fills its best hours."""
    intensity = 1 - swing * np.cos(2 * np.pi * (_HOURS - _TROUGH) / 24)
    curve = models.shifting_saving(swing, duration, _SLACK)
    filled = 24 * flexible / (flexible + headroom) if flexible + headroom else 24.0
    height = flexible + headroom if flexible else 0.0
    away = np.abs((_HOURS - _TROUGH + 12) % 24 - 12)
    return {
        "curve": curve,
        "slack": slack,
        "job": float(models.shifting_saving(swing, duration, slack)),
        "most": float(curve[-1]),
        "fleet": float(models.fleet_saving(swing, flexible, headroom)),
        "filled": filled,
        "intensity": intensity,
        "fixed": np.full(len(_HOURS), 1 - flexible),
        "load": 1 - flexible + np.where(away <= filled / 2 + 1e-9, height, 0.0),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: saving over slack, and the day."""
    left, right = figure.subplots(1, 2)
    left.set(xlim=(0, 24), ylim=(0, 65), xlabel="slack (h)", ylabel="saving of the job (%)")
    left.set_title("One job")
    right.set(xlim=(0, 24), ylim=(0, 2.1), xlabel="hour of the day", ylabel="relative to the mean")
    right.set_title("A fleet")
    artists = {
        "curve": left.plot([], [], color=COLOURS["blue"])[0],
        "here": left.plot([], [], "o", color=COLOURS["ink"], markersize=9)[0],
        "fleet": left.axhline(0, color=COLOURS["orange"], linestyle="--", label="a fleet, for comparison"),
        "intensity": right.plot([], [], color=COLOURS["green"], label="intensity")[0],
        "load": right.plot([], [], color=COLOURS["orange"], label="load", drawstyle="steps-mid")[0],
        "fixed": right.plot([], [], color=COLOURS["grey"], linestyle=":", label="must run now")[0],
    }
    left.legend(loc="upper left")
    right.legend(loc="upper right", ncols=3, fontsize="small")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move curves and points."""
    artists["curve"].set_data(_SLACK, 100 * result["curve"])
    artists["here"].set_data([result["slack"]], [100 * result["job"]])
    artists["fleet"].set_ydata([100 * result["fleet"]] * 2)
    for name in ("intensity", "load", "fixed"):
        artists[name].set_data(_HOURS, result[name])


def finding(result: dict[str, Any]) -> str:
    """Say what the job saves, what it could at most, and what the fleet saves."""
    share = f", {result['job'] / result['most']:.0%} of the most" if result["most"] > 1e-9 else ""
    return (
        f"With {result['slack']:.1f} h of slack the job saves {result['job']:.1%}{share}. "
        f"The fleet's movable work fills {result['filled']:.1f} h a day, and the fleet saves {result['fleet']:.1%}."
    )


explorer = Explorer(
    id="green-hours",
    title="What is it worth to wait for a greener hour?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "swing": Float("Swing of a day", 0.0, 0.6, 0.3, step=0.01, format=".2f"),
        "duration": Float("Duration (h)", 0.5, 24.0, 4.0, step=0.5, format=".1f"),
        "slack": Float("Slack (h)", 0.0, 24.0, 8.0, step=0.5, format=".1f"),
        "flexible": Float("Movable share", 0.0, 1.0, 0.3, step=0.05, format=".2f"),
        "headroom": Float("Headroom", 0.0, 1.0, 0.2, step=0.05, format=".2f"),
    },
    presets={
        "One job": {"duration": 1.0, "slack": 12.0},
        "A day-long job": {"duration": 24.0, "slack": 24.0},
        "A fleet": {"flexible": 0.3, "headroom": 0.0},
        "All may move": {"flexible": 1.0, "headroom": 0.1},
    },
)
