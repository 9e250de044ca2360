"""Learners against each other: what finding the best of seven strategies costs. Chapter 24."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, set_limits

_DAYS = 8_000
_RUNS = 5
_AT = np.unique(np.geomspace(1, _DAYS, 120).astype(int)) - 1
_SHOWN = {"epsilon": ("ε-greedy", "orange"), "ucb": ("UCB", "blue"), "thompson": ("Thompson", "green"),
          "replay": ("replay", "ink")}  # fmt: skip
# As in chapter 06: five arms alike, one three times as bad. There, the worst arm's spread is 2.1 times that of the
# others, and UCB and Thompson sampling are told the largest: so by default they believe in 2.1 times the real spread.
_MEANS = np.array([1.0, 1.0, 0.0, 1.0, 3.0, 1.0, 1.0])
_rng = np.random.default_rng(3)
# Half of the variance of a day is common to all arms: a hard day is hard for each.
_NOISE = (_rng.standard_normal(1_000) + _rng.standard_normal((len(_MEANS), 1_000))) / np.sqrt(2)
_NOISE -= _NOISE.mean(axis=1, keepdims=True)


def compute(gap: float, spread: float, epsilon: float, belief: float, days: int) -> dict[str, Any]:
    """Return the regret of each learner over the days, the mean of a few runs."""
    costs = gap * _MEANS[:, None] + spread * _NOISE
    explore = {"epsilon": epsilon, "ucb": belief * spread, "thompson": belief * spread, "replay": None}
    regret = {
        learner: np.mean(
            [
                simulate.bandit(costs, learner, _DAYS, explore=explore[learner], seed=seed).regret
                for seed in range(_RUNS)
            ],
            axis=0,
        )
        for learner in _SHOWN
    }
    return {
        "days": days,
        "curves": {learner: each[_AT] for learner, each in regret.items()},
        "here": {learner: float(each[days - 1]) for learner, each in regret.items()},
        "slope": epsilon * gap * float(_MEANS.mean()),
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make the axes, a curve for each learner, and the line of the chosen day."""
    axes = figure.subplots()
    axes.set(xscale="log", xlim=(1, _DAYS), ylim=(0, 100), xlabel="days (log)", ylabel="regret (s)")
    axes.set_title("A straight line here is a logarithm; who bends up pays for ever")
    artists = {
        "axes": axes,
        "curves": {
            learner: axes.plot([], [], color=COLOURS[colour], label=label)[0]
            for learner, (label, colour) in _SHOWN.items()
        },
        "day": axes.axvline(100, color=COLOURS["grey"], linestyle=":"),
    }
    axes.legend(loc="upper left")
    return artists


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move the curves, the line, and the upper limit."""
    top = 1.4 * max(np.median([each[-1] for each in result["curves"].values()]), *result["here"].values(), 1e-3)
    set_limits(artists["axes"], y=(0, 10 ** (np.ceil(4 * np.log10(top)) / 4)))
    for learner, curve in artists["curves"].items():
        curve.set_data(_AT + 1, result["curves"][learner])
    artists["day"].set_xdata([result["days"]] * 2)


def finding(result: dict[str, Any]) -> str:
    """Say the order of the learners at the chosen day, and what ε-greedy goes on to pay."""
    order = sorted(_SHOWN, key=result["here"].__getitem__)
    numbers = ", ".join(f"{_SHOWN[learner][0]} {result['here'][learner]:.4g} s" for learner in order)
    return f"After {result['days']:,} days: {numbers}. ε-greedy goes on to pay {result['slope']:.3g} s a day."


explorer = Explorer(
    id="learners",
    title="What does it cost to find the best of seven?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "gap": Float("Gap to the best (s)", 0.02, 5.0, 2.3, log=True),
        "spread": Float("Spread of a day (s)", 0.1, 10.0, 1.4, log=True),
        "epsilon": Float("ε", 0.0, 0.5, 0.1, step=0.01, format=".2f"),
        "belief": Float("Believed ÷ real", 0.03, 3.0, 2.1, log=True),
        "days": Choice("Days", [30, 100, 500, 2000, 8000], 500, style="slider"),
    },
    presets={
        "As in chapter 06": {"days": 8000},
        "Nearly equal arms": {"gap": 0.03, "days": 8000},
        "Noisy days": {"spread": 7.0, "belief": 1.0},
        "Overconfident": {"belief": 0.03, "spread": 4.0, "days": 8000},
    },
)
