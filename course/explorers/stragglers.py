"""Stragglers at a barrier: what waiting for the slowest costs, and when slack gets it back. Chapter 03."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits

STEPS = 20
_LANES = 16  # workers that the picture has room for
_BINS = 480
_SLACKS = (0, 1, 2, 4, 8, STEPS)
_NAMES = ("0", "1", "2", "4", "8", "no\nbarrier")
_WAITS, _WORKS, _WORKS_NEXT, _DONE = range(4)


def work_of(workers: int, scv: float, slow: str) -> np.ndarray:
    """Return the seconds of each worker in each step, of mean 1 in the long run.

    Parameters
    ----------
    workers : int
    scv : float
        Squared coefficient of variation.
    slow : {"anybody", "the same worker", "everybody"}
        Who is slow: each worker by itself in each step; always the same; all in the same step.

    Returns
    -------
    array, shape (STEPS, workers)

    Examples
    --------
    >>> bool((work_of(4, 1.0, "the same worker")[0] == work_of(4, 1.0, "the same worker")[-1]).all())
    True
    """
    drawn = simulate.supersteps(workers, STEPS, 1.0, scv, seed=3).work
    if slow == "the same worker":
        return np.broadcast_to(drawn[0], drawn.shape).copy()
    if slow == "everybody":
        return np.broadcast_to(drawn[:, :1], drawn.shape).copy()
    return drawn


def compute(workers: int, scv: float, slack: int, slow: str, barrier: float) -> dict[str, Any]:
    """Return what each worker does when, and the time of a step for every slack, in mean pieces of work."""
    work = work_of(workers, scv, slow)
    run = simulate.Supersteps(work, 0.0)
    cost = barrier * np.arange(STEPS)[:, np.newaxis]  # every barrier so far; the last one is counted below

    def finish(ahead: int) -> np.ndarray:
        return run.finish_times(ahead) + (cost if ahead == 0 else 0.0)

    def step(times: np.ndarray, ahead: int) -> float:
        return float(times[-1].max() + (barrier if ahead == 0 else 0.0)) / STEPS

    chosen = finish(slack)
    shown = np.unique(np.linspace(0, workers - 1, min(workers, _LANES)).round().astype(int))
    last = int(chosen[-1].argmax())  # the one for whom all wait is among them
    shown[np.abs(shown - last).argmin()] = last
    end = step(chosen, slack) * STEPS
    times = (np.arange(_BINS) + 0.5) * end / _BINS
    lanes = np.full((_LANES, _BINS), _DONE)
    for lane, worker in enumerate(shown):
        at = np.minimum(np.searchsorted(chosen[:, worker], times, side="right"), STEPS - 1)
        begun = times >= chosen[at, worker] - work[at, worker]
        over = times >= chosen[-1, worker]
        lanes[lane] = np.where(over, _DONE, np.where(begun, np.where(at % 2, _WORKS, _WORKS_NEXT), _WAITS))
    here = step(chosen, slack)
    return {
        "workers": workers,
        "slack": slack,
        "slow": slow,
        "lanes": lanes,
        "rows": len(shown),
        "end": end,
        "here": here,
        "curve": np.array([step(finish(ahead), ahead) for ahead in _SLACKS]),
        "mean": float(work.mean()),
        "busy": float(work.mean()) / here,
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: the lanes of the workers, and the time of a step against the slack."""
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    colours = ListedColormap(["#F3B58A", "#5FA3CF", "#BBD9EC", "#FFFFFF"])
    picture = left.imshow(
        np.zeros((_LANES, _BINS)), cmap=colours, vmin=-0.5, vmax=3.5, aspect="auto", interpolation="nearest"
    )
    left.grid(False)
    left.set(xlabel="time (mean pieces of work)", ylabel="workers (at most 16 of them)", yticks=[])
    left.set_title("Blue works, orange waits, white is done")
    right.set(xlim=(-0.4, len(_SLACKS) - 0.6), ylim=(0, 8), xlabel="steps that a worker may be ahead")
    right.set_xticks(range(len(_SLACKS)), _NAMES)
    right.set_ylabel("time of a step (mean pieces of work)")
    right.set_title("What slack gets back")
    right.text(-0.3, 0.95, "the mean work", va="top", color=COLOURS["grey"], fontsize=9)
    return {
        "left": left,
        "right": right,
        "picture": picture,
        "mean": right.axhline(1.0, color=COLOURS["grey"], linewidth=1, linestyle=":"),
        "curve": right.plot([], [], "o-", color=COLOURS["blue"], markersize=6)[0],
        "point": right.plot([], [], "D", color=COLOURS["orange"], markersize=10)[0],
    }


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Paint the lanes, and move the curve and the point."""
    rows = result["rows"]
    artists["picture"].set_data(result["lanes"])
    artists["picture"].set_extent((0, result["end"], _LANES - 0.5, -0.5))
    set_limits(artists["left"], (0, result["end"]), (rows - 0.5, -0.5))
    set_limits(artists["right"], (-0.4, len(_SLACKS) - 0.6), (0, 1.15 * max(float(result["curve"].max()), 1.2)))
    artists["mean"].set_ydata([result["mean"]] * 2)
    artists["curve"].set_data(range(len(_SLACKS)), result["curve"])
    artists["point"].set_data([_SLACKS.index(result["slack"])], [result["here"]])


def finding(result: dict[str, Any]) -> str:
    """Say how long a step takes, how busy the workers are, and what no barrier at all would bring."""
    slack = result["slack"]
    how = {0: "a barrier after every step", STEPS: "no barrier"}.get(slack, f"{slack} step{'s' * (slack > 1)} of slack")
    who = {"anybody": "anybody slow at any time", "the same worker": "always the same workers slow"}
    return (
        f"{result['workers']} workers, {how}, {who.get(result['slow'], 'everybody slow together')}: a step takes "
        f"{result['here']:.2f}, {result['busy']:.0%} of it work; with a barrier {result['curve'][0]:.2f}, "
        f"with none {result['curve'][-1]:.2f}."
    )


explorer = Explorer(
    id="stragglers",
    title="What does waiting for the slowest cost?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "workers": Choice("Workers", [2, 4, 8, 16, 32, 64, 128], 16, style="slider"),
        "scv": Float("c² of the work", 0.0, 4.0, 1.0, step=0.25, format=".2f"),
        "slack": Choice(
            "Steps ahead", {"0: a barrier": 0, "1": 1, "2": 2, "4": 4, "8": 8, "no barrier": STEPS}, 0, style="slider"
        ),
        "slow": Choice("Who is slow", ["anybody", "the same worker", "everybody"], "anybody", style="buttons"),
        "barrier": Float("Barrier (pieces)", 0.0, 2.0, 0.0, step=0.1, format=".1f"),
    },
    presets={
        "Eight times as many": {"workers": 128},
        "All alike": {"scv": 0.0, "barrier": 0.2},
        "Two steps of slack": {"slack": 2},
        "A worker that stays slow": {"slow": "the same worker", "slack": STEPS},
        "A slow hour for all": {"slow": "everybody", "slack": STEPS},
    },
)
