"""Time-outs: how soon a dead worker is noticed, against how often a live one is suspected. Chapter 07."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits

_DAY = 86400.0
_GRID = np.arange(1.0, 20.01, 0.125)  # time-outs, in heartbeat intervals
_LEAST, _MOST = 1e-6, 1e9  # mistakes a day that the axis shows
_BEATS = 200_000  # simulated heartbeats of live workers
_DEATHS = 1_500  # simulated deaths
_BEYOND = np.linspace(0.0, 1.0, 201)


def mistakes_a_day(patience: Any, period: float, loss: float, delay: float, workers: int) -> Any:
    """Return the expected number of false suspicions a day in a cluster, by formula.

    Parameters
    ----------
    patience : float or array
        The time-out, in heartbeat intervals; at least 1.
    period : float
        Seconds from heartbeat to heartbeat.
    loss : float
        Probability that one is lost.
    delay : float
        Mean seconds on the way, exponential; 0 for none.
    workers : int

    Examples
    --------
    >>> round(mistakes_a_day(3.5, period=1.0, loss=0.01, delay=0.0, workers=1000), 1)
    85.5
    """
    timeout = np.asarray(patience) * period
    in_time = 1 - np.exp(-timeout / delay) if delay > 0 else 1.0
    arrives = (1 - loss) * in_time
    return workers * _DAY / period * arrives * models.false_suspicion(timeout, period, loss, delay)


def compute(period: float, patience: float, loss: float, delay: float, workers: int) -> dict[str, Any]:
    """Return the curve of mistakes, and simulated mistakes and times to detection for the chosen time-out."""
    timeout = patience * period

    def late(rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.exponential(delay, n)

    law = late if delay > 0 else 0.0
    alive = simulate.heartbeats(period, timeout, loss=loss, delay=law, beats=_BEATS // 20, runs=20, seed=5)
    beats = int(2 * patience) + 12  # enough that the last that arrived is nearly always among them
    dead = simulate.heartbeats(period, timeout, loss=loss, delay=law, beats=beats, runs=_DEATHS, seed=8)
    detection = np.sort(dead.detection)
    longest = max(float(detection[-1]), 1e-9)
    return {
        "period": period,
        "timeout": timeout,
        "workers": workers,
        "curve": mistakes_a_day(_GRID, period, loss, delay, workers),
        "formula": float(mistakes_a_day(patience, period, loss, delay, workers)),
        "seen": int(alive.false_suspicions.sum()),
        "simulated": alive.false_suspicions.sum() / (_BEATS * period) * _DAY * workers,
        "detection": float(detection.mean()),
        "noticed": np.searchsorted(detection, _BEYOND * longest, side="right") / len(detection),
        "times": _BEYOND * longest,
        "expected": float(models.detection_time(timeout, period, loss)),
        "messages": workers / period,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: mistakes against the time-out, and the share of deaths that were noticed by a time."""
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    left.set(xlim=(1, 20), yscale="log", ylim=(_LEAST, _MOST), xlabel="time-out (heartbeat intervals)",
             ylabel="false suspicions a day")  # fmt: skip
    left.set_title("Patience buys silence")
    for number, name in ((1.0, "one a day"), (1 / 365, "one a year")):
        left.axhline(number, color=COLOURS["grey"], linewidth=1, linestyle=":")
        left.text(19.8, number * 1.3, name, ha="right", va="bottom", color=COLOURS["grey"], fontsize=9)
    right.set(xlim=(0, 100), ylim=(0, 1.02), xlabel="seconds after the death", ylabel="share of deaths noticed")
    right.set_title("and costs time to notice")
    artists = {
        "right": right,
        "curve": left.plot([], [], color=COLOURS["blue"], label="formula")[0],
        "line": left.axvline(2, color=COLOURS["orange"], linewidth=1),
        "dot": left.plot([], [], "D", color=COLOURS["orange"], markersize=9, label="simulated")[0],
        "noticed": right.plot([], [], color=COLOURS["orange"])[0],
        "mean": right.axvline(1, color=COLOURS["blue"], linewidth=1.2, linestyle="--"),
    }
    left.legend(loc="upper right")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curve, the dot, the share and the mean."""
    artists["curve"].set_data(_GRID, np.clip(result["curve"], _LEAST / 10, _MOST * 10))
    artists["line"].set_xdata([result["timeout"] / result["period"]] * 2)
    seen = result["simulated"] > 0
    artists["dot"].set_data(
        [result["timeout"] / result["period"]] if seen else [], [min(result["simulated"], _MOST)] if seen else []
    )
    artists["noticed"].set_data(result["times"], result["noticed"])
    artists["mean"].set_xdata([result["expected"]] * 2)
    set_limits(artists["right"], x=(0, _nice(result["times"][-1])))


def _nice(top: float) -> float:
    """Return the next of 1, 2, 5, 10, … so that the axis changes rarely."""
    power = 10.0 ** np.floor(np.log10(top))
    return float(next(power * step for step in (1, 2, 5, 10) if power * step >= top * 0.999))


def _say(number: float) -> str:
    if number < 1e-9:
        return "no"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def finding(result: dict[str, Any]) -> str:
    """Say the time to detection, the mistakes by formula and by simulation, and the messages."""
    seen = result["seen"]  # few mistakes make a coarse estimate
    simulated = f"{_say(result['simulated'])}, from the {seen:,} seen" if seen else "none seen"
    workers = "1 worker" if result["workers"] == 1 else f"{result['workers']:,} workers"
    return (
        f"A dead worker is noticed after {result['detection']:.3g} s on average; {workers} give "
        f"{_say(result['formula'])} false suspicions a day (simulated: {simulated}), "
        f"for {_say(result['messages'])} heartbeats a second."
    )


explorer = Explorer(
    id="timeouts",
    title="How long should we wait before we give a worker up?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "period": Choice("Heartbeat (s)", [0.1, 0.25, 0.5, 1.0, 2.0, 5.0], 1.0, style="slider"),
        "patience": Float("Time-out (beats)", 1.0, 20.0, 2.5, step=0.5, format=".1f"),
        "loss": Float("Lost", 0.0, 0.5, 0.01, step=0.01, format=".2f"),
        "delay": Float("Mean delay (s)", 0.0, 2.0, 0.0, step=0.05, format=".2f"),
        "workers": Choice("Workers", [1, 10, 100, 1000, 10_000], 1000, style="slider"),
    },
    presets={
        "Impatient": {"patience": 1.5},
        "Dask's floor": {"period": 0.5, "patience": 10.0},
        "Slow network": {"loss": 0.0, "delay": 0.5},
        "Twice the heartbeats": {"period": 0.5, "patience": 5.0},
        "Bad network, patient": {"loss": 0.3, "patience": 20.0},
    },
)
