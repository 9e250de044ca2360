"""Levers: what each change to a sweep of small tasks would bring now, given those already made. Chapter 20."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models
from course.explorers.frame import COLOURS, Check, Choice, Explorer, set_limits

HANDED_OUT, FETCHED, SENT, DESCRIBED = 1.6e-3, 1.2e-3, 0.5e-3, 1.5e-3
"""Seconds that a task costs: always; fetched by itself; with its data sent along; submitted by itself."""

ROUND_TRIP = 10e-3
"""Seconds from a submission to a result, if there is nothing to do."""

RUN, RUN_OF_MANY, CALL = 0.45e-3, 9e-6, 12e-3
"""Seconds of a run in plain Python; of one among many in arrays; and of a call with arrays, however small."""

_ADVICE = {"as it was": 0, "gather": 1, "+ scatter": 2, "+ map": 3}
_BATCHES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 25_000]
_RUNS = [100, 300, 1000, 3000, 10_000, 30_000, 100_000, 1_000_000]
_LEVERS = ("as it is", "fetch all at once", "send the data once", "map for submit", "batches ten times as large",
           "arrays for loops", "twice the workers")  # fmt: skip
_SCALES = [10.0**k * step for k in range(-2, 6) for step in (1, 2, 5)]


def seconds(runs: int, batch: int, together: bool, once: bool, mapped: bool, arrays: bool, workers: int) -> float:
    """Return the time of a sweep [s].

    Parameters
    ----------
    runs, batch, workers : int
        Runs, runs in a task, and workers.
    together, once, mapped : bool
        Whether results are fetched at once, the data are sent once, and the tasks are submitted by one ``map``.
    arrays : bool
        Whether a task computes all its runs in arrays, and not one after another.

    Examples
    --------
    >>> round(seconds(600, 1, False, False, False, False, 2), 2), round(seconds(600, 300, True, True, True, True, 2), 3)
    (2.89, 0.028)
    """
    tasks = -(-runs // min(batch, runs))
    each = HANDED_OUT + FETCHED * (not together) + SENT * (not once) + DESCRIBED * (not mapped)
    work, call = (RUN_OF_MANY, CALL) if arrays else (RUN, 0.0)
    return ROUND_TRIP + float(models.chunk_time(runs * work, tasks, workers, call, each))


def compute(runs: int, batch: int, advice: int, arrays: bool, workers: int) -> dict[str, Any]:
    """Return the seconds as it is, and with each of six changes alone."""
    now = {"together": advice > 0, "once": advice > 1, "mapped": advice > 2, "arrays": arrays}
    base = {"runs": runs, "batch": batch, "workers": workers, **now}
    changes: list[dict[str, Any]] = [{}, {"together": True}, {"once": True}, {"mapped": True}, {"batch": batch * 10},
                                     {"arrays": True}, {"workers": workers * 2}]  # fmt: skip
    times = np.array([seconds(**(base | change)) for change in changes])
    return {
        "times": times,
        "made": [False] + [all(base[name] == value for name, value in change.items()) for change in changes[1:]],
        "ratios": times / times[0],
        "tasks": -(-runs // min(batch, runs)),
        "work": runs * (RUN_OF_MANY if arrays else RUN) / workers,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make a bar and a number for the present and for each change."""
    axes = figure.subplots()
    places = np.arange(len(_LEVERS))
    bars = axes.barh(places, np.ones(len(places)), height=0.62, color=COLOURS["sky"], edgecolor=COLOURS["blue"])
    axes.set_yticks(places, list(_LEVERS))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_title("What one change more would bring, from here")
    axes.set_xlabel("time of the sweep (s); dotted: work ÷ workers")
    return {
        "axes": axes,
        "bars": list(bars),
        "numbers": [axes.text(0, y, "", va="center") for y in places],
        "work": axes.axvline(0.1, color=COLOURS["green"], linestyle=":", linewidth=1.6),
    }


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Set the lengths of the bars, the numbers beside them, and the line of the work."""
    top = next(scale for scale in _SCALES if scale >= 1.3 * result["times"].max())
    set_limits(artists["axes"], x=(0, top))
    for k, (bar, number) in enumerate(zip(artists["bars"], artists["numbers"], strict=True)):
        time = result["times"][k]
        bar.set_width(time)
        bar.set_facecolor(COLOURS["blue"] if k == 0 else COLOURS["sky"])
        number.set_x(time + 0.012 * top)
        said = f"{time:.3g} s" if k == 0 else f"× {result['ratios'][k]:.2f}"
        number.set_text("made already" if result["made"][k] else said)
    artists["work"].set_xdata([result["work"]] * 2)


def finding(result: dict[str, Any]) -> str:
    """Say how long it takes, which change would bring most, and what the three of the documentation would."""
    ratios = np.where(result["made"], np.inf, result["ratios"])
    best = int(np.argmin(ratios[1:])) + 1
    share = result["work"] / result["times"][0]
    said = f"{result['tasks']:,} tasks take {result['times'][0]:.3g} s, {share:.0%} of it work ÷ workers; "
    if ratios[best] > 0.98:
        return said + "no change of the six would bring 2 % more."
    worst = int(np.argmax(np.where(result["made"], -np.inf, result["ratios"])[1:])) + 1
    return (
        said + f"most would bring: {_LEVERS[best]} (× {ratios[best]:.2f}), least: {_LEVERS[worst]} "
        f"(× {result['ratios'][worst]:.2f})."
    )


explorer = Explorer(
    id="levers",
    title="Which change next?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "runs": Choice("Runs", _RUNS, 1000, style="slider"),
        "batch": Choice("Runs in a task", _BATCHES, 1, style="slider"),
        "workers": Choice("Workers", [1, 2, 4, 8, 16, 32, 64, 128, 256], 2, style="slider"),
        "advice": Choice("Followed", _ADVICE, 0, style="buttons"),
        "arrays": Check("In arrays", False),
    },
    presets={
        "Good advice first": {"advice": 3},
        "Batches first": {"batch": 20},
        "Arrays without batches": {"arrays": True},
        "A hundred thousand": {"runs": 100_000, "batch": 25_000, "advice": 3, "arrays": True},
        "Many workers": {"runs": 100_000, "batch": 20, "advice": 3, "workers": 128},
    },
    height=3.6,
)
