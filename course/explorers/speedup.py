"""Is this speed-up real? One comparison, and how forty repetitions of it would have come out. Chapter 02."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from course import models
from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int, set_limits

EXPERIMENTS = 200
_SHOWN = 40
_DRIFT = 0.1
_THRESHOLD = 0.02  # as `course.measure.compare`, which calls nothing smaller a difference
_MACHINES = {"steady": "steady", "drifts, interleaved": "interleaved", "drifts, A then B": "sequential"}
_COLOURS = {"none": COLOURS["grey"], "right": COLOURS["blue"], "wrong": COLOURS["orange"]}


def _times(change: float, noise: float, runs: int, machine: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each run in its experiment and its time, shape (experiments, 2 runs), baseline first."""
    random = np.random.default_rng(2)
    scatter = random.normal(size=(EXPERIMENTS, 2 * runs))
    swap = random.integers(0, 2, (EXPERIMENTS, runs))
    if machine == "sequential":
        place = np.tile(np.arange(2 * runs), (EXPERIMENTS, 1))
    else:
        place = np.concatenate([2 * np.arange(runs) + swap, 2 * np.arange(runs) + 1 - swap], axis=1)
    drift = 0.0 if machine == "steady" else _DRIFT * place / (2 * runs - 1)
    truth = np.repeat([1.0, 1.0 + change], runs)
    return place, truth * (1 + drift) * np.exp(noise * scatter)


def compute(change: int, noise: float, runs: int, machine: str, experiment: int) -> dict[str, Any]:
    """Return one experiment, and the ratios, intervals and verdicts of 200 like it."""
    place, times = _times(change / 100, noise / 100, runs, machine)
    intervals = np.stack(models.bootstrap_ratio_interval(times[:, :runs], times[:, runs:]), axis=1)
    ratios = np.median(times[:, runs:], axis=1) / np.median(times[:, :runs], axis=1)
    shown = ((intervals[:, 0] > 1) | (intervals[:, 1] < 1)) & (np.abs(ratios - 1) >= _THRESHOLD)
    verdict = np.where(shown, np.where(ratios < 1, -1, 1), 0)
    return {
        "truth": 1 + change / 100,
        "change": change,
        "runs": runs,
        "chosen": experiment - 1,
        "place": place[experiment - 1] + 1,
        "times": 100 * times[experiment - 1],
        "ratios": ratios,
        "intervals": intervals,
        "verdict": verdict,
        "noise": noise,
        "top": 100 if machine == "steady" else 100 * (1 + _DRIFT),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: the runs of one experiment, and the intervals of forty."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    left.set(xlabel="run, in the order of time", ylabel="time (% of the true baseline)")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_title("One experiment")
    right.set(ylim=(_SHOWN + 1, 0), xlabel="candidate ÷ baseline", ylabel="experiment")
    right.set_title("Forty like it: 95 % intervals")
    right.axvline(1, color=COLOURS["ink"], linewidth=1)
    bars = LineCollection([], linewidths=2.0)
    right.add_collection(bars, autolim=False)
    artists = {
        "left": left,
        "right": right,
        "baseline": left.plot([], [], "o", color=COLOURS["blue"], markersize=5, label="baseline")[0],
        "candidate": left.plot([], [], "D", color=COLOURS["orange"], markersize=5, label="candidate")[0],
        "medians": [left.axhline(100, color=COLOURS[c], linewidth=1.2) for c in ("blue", "orange")],
        "bars": bars,
        "truth": right.axvline(1, color=COLOURS["green"], linewidth=1.6, linestyle="--", label="the truth"),
        "here": right.plot([], [], "D", color=COLOURS["ink"], markersize=6, label="the one on the left")[0],
        "keys": [
            right.plot([], [], color=_COLOURS[name], label=label)[0]
            for name, label in (("none", "no difference shown"), ("right", "right"), ("wrong", "wrong"))
        ],
    }
    left.legend(loc="upper left", ncols=2)
    right.legend(loc="upper right", fontsize=8.5, frameon=True, framealpha=0.9, edgecolor="none")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the runs and the intervals."""
    runs, times = result["runs"], result["times"]
    room = max(12.0, 3.2 * result["noise"], 1.3 * abs(result["change"]))
    set_limits(artists["left"], x=(0, 2 * runs + 1), y=(100 - room, result["top"] + 1.5 * room))
    set_limits(artists["right"], x=(0.65, 1.55) if room > 25 else (0.78, 1.42))
    artists["baseline"].set_data(result["place"][:runs], times[:runs])
    artists["candidate"].set_data(result["place"][runs:], times[runs:])
    for line, side in zip(artists["medians"], (times[:runs], times[runs:]), strict=True):
        line.set_ydata([np.median(side)] * 2)
    rows = np.arange(1, _SHOWN + 1)
    low, high = result["intervals"][:_SHOWN].T
    artists["bars"].set_segments(np.stack([np.stack([low, rows], 1), np.stack([high, rows], 1)], axis=1))
    artists["bars"].set_color([_colour(v, result["change"]) for v in result["verdict"][:_SHOWN]])
    artists["truth"].set_xdata([result["truth"]] * 2)
    artists["here"].set_data([result["ratios"][result["chosen"]]], [result["chosen"] + 1])


def _colour(verdict: int, change: int) -> str:
    if verdict == 0:
        return _COLOURS["none"]
    return _COLOURS["right" if verdict * change > 0 else "wrong"]


def finding(result: dict[str, Any]) -> str:
    """Say what this experiment shows, and what 200 like it show."""
    k = result["chosen"]
    low, high = result["intervals"][k]
    said = {-1: "faster", 0: "no difference shown", 1: "slower"}[int(result["verdict"][k])]
    faster, slower = (np.mean(result["verdict"] == sign) for sign in (-1, 1))
    truth = "nothing changed" if not result["change"] else f"the truth is {result['truth']:.2f}"
    return (
        f"This experiment: {result['ratios'][k]:.2f} of the baseline's time (95 % interval {low:.2f} to {high:.2f}), "
        f"{said}; of {EXPERIMENTS} like it {faster:.0%} show a gain and {slower:.0%} a loss, where {truth}."
    )


explorer = Explorer(
    id="speedup",
    title="Is this speed-up real?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "change": Int("True change (%)", -20, 20, -5),
        "noise": Float("Noise of a run (%)", 0.5, 20.0, 3.0, log=True, format=".1f"),
        "runs": Choice("Runs of each", [3, 5, 7, 9, 15, 21, 31], 9, style="slider"),
        "machine": Choice("Machine", _MACHINES, "steady", style="buttons"),
        "experiment": Int("Experiment", 1, _SHOWN, 1),
    },
    presets={
        "Nothing changed": {"change": 0, "runs": 3},
        "Small gain, few runs": {"change": -3, "runs": 5},
        "Drift, A then B": {"change": 0, "machine": "sequential"},
        "Drift, interleaved": {"change": 0, "machine": "interleaved"},
        "A noisy machine": {"change": -10, "noise": 12.0},
    },
)
