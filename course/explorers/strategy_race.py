"""Fourteen strategies on the same tasks that arrive over time: who wins, by which measure? Chapter 06."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits
from course.simulate import METRICS, STRATEGIES, mornings, race

DAYS = 15
NAMES = list(STRATEGIES)
INTERRUPTING = NAMES[-2:]
SCALES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 1e4)
"""Where the axis may end: few places, so that it seldom changes."""
ALIKE = 0.01
"""Figures that differ by less than this part of the best are called alike: it may be chance."""


def compute(load: float, scv: float, error: float, metric: str) -> dict[str, Any]:
    """Return one figure of each strategy, on the same tasks."""
    result = race(mornings(load, scv, days=DAYS, error=error))
    values = np.array([result[name][metric] for name in NAMES])
    return {"metric": metric, "values": values, "load": load, "scv": scv}


def winners(metric: str, values: np.ndarray) -> np.ndarray:
    """Return which are the best, or as good as that, shape (strategies,).

    Examples
    --------
    >>> int(winners("makespan [s]", np.arange(14.0) + 1).sum())
    1
    """
    best = values.max() if METRICS[metric] else values.min()
    return np.abs(values - best) <= ALIKE * abs(best)


def build(figure: Figure) -> dict[str, Any]:
    """Make a bar and a number for each strategy."""
    axes = figure.subplots()
    places = np.arange(len(NAMES))
    bars = axes.barh(places, np.ones(len(NAMES)), height=0.68)
    labels = [f"{name} (interrupts)" if name in INTERRUPTING else name for name in NAMES]
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlabel("the chosen measure (orange: the best)")
    axes.set_title("The same tasks and the same eight workers, fourteen strategies")
    return {"axes": axes, "bars": list(bars), "numbers": [axes.text(0, y, "", va="center", size=9) for y in places]}


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Set the lengths of the bars and the numbers beside them."""
    values = result["values"]
    top = next((scale for scale in SCALES if scale >= 1.02 * values.max()), float(values.max()))
    set_limits(artists["axes"], x=(0, 1.1 * top))
    best = winners(result["metric"], values)
    for bar, number, value, wins in zip(artists["bars"], artists["numbers"], values, best, strict=True):
        bar.set_width(value)
        bar.set_facecolor(COLOURS["orange"] if wins else "#BBD9EC")
        number.set_x(value + 0.008 * top)
        number.set_text(f"{value:.2f}" if value < 100 else f"{value:.0f}")


def finding(result: dict[str, Any]) -> str:
    """Say who wins and who is last."""
    metric, values = result["metric"], result["values"]
    best = [name for name, wins in zip(NAMES, winners(metric, values), strict=True) if wins]
    worst = int(np.argmin(values) if METRICS[metric] else np.argmax(values))
    what = metric.split(" [")[0]
    who = f"{best[0]} wins" if len(best) == 1 else f"{len(best)} strategies share the first place, {best[0]} among them"
    leader = values[NAMES.index(best[0])]
    others = f"first come has {values[0]:.2f}, shortest guess {values[NAMES.index('shortest guess')]:.2f}"
    return (
        f"Load {result['load']:.2f}, c² {result['scv']:g}, by {what}: {who} ({leader:.2f}); {others}, "
        f"and the last is {NAMES[worst]} ({values[worst]:.2f})."
    )


explorer = Explorer(
    id="strategy-race",
    title="Which strategy wins, and by which measure?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "load": Float("Load", 0.2, 1.4, 0.8, step=0.05, format=".2f"),
        "scv": Choice("c² of durations", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0], 4.0, style="slider"),
        "error": Float("Error of guesses (σ)", 0.0, 3.0, 1.0, step=0.1, format=".1f"),
        "metric": Choice("Compare by", list(METRICS), "mean response [s]"),
    },
    presets={
        "The slowest hundredth": {"metric": "99th percentile [s]"},
        "All tasks alike": {"scv": 0.0},
        "Deadlines, overloaded": {"load": 1.3, "scv": 1.0, "metric": "deadlines met"},
        "The neighbours of a flood": {"metric": "worst user ÷ alone"},
        "Wild guesses": {"error": 3.0},
    },
    width=9.5,
    height=4.6,
)
