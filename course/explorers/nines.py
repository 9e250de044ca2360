"""Nines: what spare machines and faster repairs buy, and what shared failures take back. Chapter 01."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int, set_limits

DAY, HOUR, YEAR = 86_400.0, 3_600.0, models.downtime_per_year(0.0)
_SPARES = np.arange(7)
_TOPS = (4.5, 8.5, 12.5, 20.5, 40.5)  # few axes of machines, so that the background is seldom drawn
_LEAST = 1e-3  # minutes a year; the axis ends here


def _down(mtbf: float, mttr: float) -> float:
    """Return the share of time in which one of them is down, with all its digits."""
    return mttr / (mtbf + mttr)


def compute(needed: int, spares: int, life: float, repair: float, common: float) -> dict[str, Any]:
    """Return downtime a year against spare machines, and one simulated year.

    ``common`` is the share of a machine's failures that take all machines down together (the beta-factor model of
    common causes); ``life`` is in days, ``repair`` in hours.
    """
    mtbf, mttr = life * DAY, repair * HOUR
    shared = _down(mtbf / common, mttr) if common else 0.0
    # Down is when more machines than the spare ones are: the same sum, of failures, in which no digits are lost.
    independent = models.k_of_n(_SPARES + 1, needed + _SPARES, _down(mtbf, mttr))
    alone = models.k_of_n(_SPARES + 1, needed + _SPARES, _down(mtbf / (1 - common), mttr))
    year = simulate.machines(needed + spares, mtbf / (1 - common), mttr, YEAR, seed=1)
    time, up = year.time, year.up
    if common:
        all_of_them = simulate.machines(1, mtbf / common, mttr, YEAR, seed=2)
        time = np.union1d(time, all_of_them.time)
        up = year.up_at(time) * all_of_them.up_at(time)
    return {
        "needed": needed,
        "spares": spares,
        "independent": independent * YEAR / 60,
        "down": (shared + (1 - shared) * alone) * YEAR / 60,
        "shared": shared * YEAR / 60,
        "time": time / DAY,
        "up": up,
        "this_year": float(np.diff(time, append=YEAR)[up < needed].sum() / 60),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: minutes down a year against spares, and the machines that are up in one year."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    left.set(xlim=(-0.4, 6.4), yscale="log", ylim=(_LEAST, YEAR / 60), xlabel="spare machines", ylabel="down in a year")
    left.set_yticks([1e-3, 1 / 60, 1, 60, 1440, 43_200], ["0.06 s", "1 s", "1 min", "1 h", "1 day", "30 days"])
    left.minorticks_off()
    left.set_title("Spares cure single failures only")
    right.set(xlim=(0, 365), ylim=(0, 1.02), xlabel="day of one simulated year", ylabel="machines that are up")
    right.set_title("Down: fewer are up than needed")
    artists = {
        "axes": right,
        "independent": left.plot(_SPARES, _SPARES + 1, "o--", color=COLOURS["sky"], label="if all fail singly")[0],
        "down": left.plot(_SPARES, _SPARES + 1, "o-", color=COLOURS["blue"], label="with shared failures")[0],
        "here": left.plot([], [], "D", color=COLOURS["orange"], markersize=9, label="you are here")[0],
        "up": right.plot([], [], color=COLOURS["blue"], linewidth=1, drawstyle="steps-post")[0],
        "needed": right.axhline(1, color=COLOURS["orange"], linewidth=1.5, linestyle="--", label="needed"),
    }
    left.legend(loc="upper right", fontsize=9)
    right.legend(loc="lower right", fontsize=9)
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curves, the mark and the year."""
    for curve in ("independent", "down"):
        artists[curve].set_ydata(np.where(result[curve] >= _LEAST, result[curve], np.nan))
    here = max(result["down"][result["spares"]], _LEAST)
    artists["here"].set_data([result["spares"]], [here])
    artists["up"].set_data(np.append(result["time"], 365.0), np.append(result["up"], result["up"][-1]))
    artists["needed"].set_ydata([result["needed"]] * 2)
    set_limits(artists["axes"], y=(0, next(top for top in _TOPS if result["needed"] + result["spares"] < top)))


def _long(minutes: float) -> str:
    """Return a time in a unit that suits it."""
    for unit, size in (("days", 1440), ("hours", 60), ("minutes", 1)):
        if minutes >= size:
            return f"{minutes / size:.3g} {unit}"
    return f"{60 * minutes:.2g} seconds"


def finding(result: dict[str, Any]) -> str:
    """Say the downtime a year, the nines, the share of it that no spare can cure, and that of the simulated year."""
    down = result["down"][result["spares"]]
    nines = models.nines(max(down * 60 / YEAR, 1e-30))
    total = result["needed"] + result["spares"]
    return (
        f"{total} machine{'s' * (total > 1)} of which {result['needed']} must be up: down {_long(down)} a year, "
        f"{nines} nine{'s' * (nines != 1)}; {min(result['shared'] / down, 1):.0%} of that no spare can cure. "
        f"The simulated year: {_long(result['this_year'])}."
    )


explorer = Explorer(
    id="nines",
    title="What does a nine cost?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "needed": Choice("Machines needed", [1, 2, 4, 8, 16, 32], 4, style="slider"),
        "spares": Int("Spare machines", 0, 6, 1),
        "life": Float("Days to a failure", 1.0, 1000.0, 50.0, log=True, step=0.1, format=".0f"),
        "repair": Float("Hours to repair", 0.1, 100.0, 6.0, log=True, step=0.1, format=".1f"),
        "common": Choice("Shared failures", [0.0, 0.001, 0.01, 0.05, 0.1, 0.2], 0.0, style="slider"),
    },
    presets={
        "No spare": {"spares": 0},
        "32 needed, no spare": {"needed": 32, "spares": 0},
        "Three spares": {"spares": 3},
        "Repaired in half an hour": {"repair": 0.5},
        "One rack, three spares": {"spares": 3, "common": 0.05},
    },
)
