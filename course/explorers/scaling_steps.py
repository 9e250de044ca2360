"""A controller step by step: what it sees, what it decides and why, and what happens later. Chapter 17."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Int

TICK = 10.0
"""Seconds between two looks; a worker serves one request a second."""
LOAD = np.array([3, 3, 3, 9, 9, 9, 9, 9, 9, 9, 9, 4, 4, 4, 4, 4], dtype=float)
"""Requests per second in each tick."""
MOST = 24
"""The most workers."""
_TARGET, _LINES = 0.6, 7


def rule(scaler: str) -> Any:
    """Return a fresh policy by its name."""
    return {
        "threshold": simulate.Threshold(high=0.8, low=0.4, step=2),
        "target_tracking": simulate.TargetTracking(_TARGET),
        "predictive": simulate.Predictive(target=0.7, ahead=2 * TICK, window=3 * TICK),
        "adaptive": simulate.Adaptive(target_duration=TICK, wait_count=3),
    }[scaler]


@dataclass(frozen=True)
class Step:
    """The run until the k-th look, and what was seen and wanted at each."""

    k: int
    scaler: str
    delay: int
    age: int
    run: simulate.Scaled
    seen: list[simulate.Observed]
    wanted: list[int]
    why: str


def compute(scaler: str, delay: int, age: int, step: int) -> Step:
    """Run the whole load with a policy that notes what it sees; delays and ages in ticks."""
    seen: list[simulate.Observed] = []
    wanted: list[int] = []
    policy = rule(scaler)

    def noting(now: simulate.Observed) -> float:
        seen.append(now)
        answer = policy(now)
        wanted.append(int(min(max(answer, 1), MOST)))
        return answer

    run = simulate.autoscale(
        LOAD,
        simulate.Stale(noting, age),
        service_rate=1.0,
        tick=TICK,
        start_delay=delay * TICK,
        initial=5,
        maximum=MOST,
        objective=TICK,
    )
    return Step(step, scaler, delay, age, run, seen, wanted, _why(scaler, seen, step) if step else "")


def _why(scaler: str, seen: list[simulate.Observed], step: int) -> str:
    now = seen[step - 1]
    have, use = now.workers + now.starting, now.utilization
    if scaler == "threshold":
        side = "above 80 %: 2 more" if use > 0.8 else "below 40 %: 2 fewer" if use < 0.4 else "between 40 and 80 %"
        return f"{use:.0%} busy is {side}"
    if scaler == "target_tracking":
        if abs(use / _TARGET - 1) <= 0.1:
            return f"{use:.0%} busy is within a tenth of 60 %"
        return f"{now.workers} × {use:.0%} / 60 % = {now.workers * use / _TARGET:.1f}"
    if scaler == "predictive":
        forecast = rule(scaler).forecast(now)
        load = now.arrivals[-1] + now.queue / (2 * TICK)
        return f"forecast {forecast:.1f}/s, now {load:.1f}/s with the queue; the larger, at 70 %"
    work = now.queue + np.ceil(now.workers * use - 1e-9)
    if now.queue > 0 or work / TICK > have or use >= 1:
        return f"{work:.0f} s of work / {TICK:.0f} s = {work / TICK:.1f}; all are busy, so not fewer than {have}"
    return f"some are idle: fewer only after three looks in a row (keeps {int(np.ceil(now.workers * use - 1e-9))} busy)"


def lines(step: Step) -> list[str]:
    """Return what stands in the picture: sees, decides, because, then, later."""
    if not step.k:
        return ["Before the first look", "", "5 workers serve", "", "Move the step."]
    now, wanted = step.seen[step.k - 1], step.wanted[step.k - 1]
    have = now.workers + now.starting
    old = f"  (metrics of {step.age * TICK:.0f} s ago)" if step.age else ""
    change = wanted - have
    acts = f"orders {change}" if change > 0 else f"ends {-change}" if change < 0 else "changes nothing"
    return [
        f"Look {step.k}, at {step.k * TICK:.0f} s",
        f"sees: {now.arrivals[-1]:.0f}/s arrive, {now.queue:.0f} wait,",
        f"      {now.workers} serve ({now.utilization:.0%} busy), {now.starting} start{old}",
        f"wants: {wanted} workers, so {acts}",
        f"because: {step.why}",
        "",
        _later(step, change),
    ]


def _later(step: Step, change: int) -> str:
    if change > 0:
        return f"later: they serve after look {step.k + step.delay}; the load of before then waits"
    return "later: workers that end, end at once" if change < 0 else "later: nothing changes by this look"


def finding(step: Step) -> str:
    """Say what this look does; at the end, how it all went."""
    if not step.k:
        return "Nothing has been decided yet: 5 workers serve 3 requests a second."
    now, wanted = step.seen[step.k - 1], step.wanted[step.k - 1]
    have = now.workers + now.starting
    text = f"Look {step.k} of {len(LOAD)}: it has {have} workers ({now.starting} of them starting) and wants {wanted}"
    text += f", because {step.why}."
    if step.k == len(LOAD):
        run = step.run
        text += f" In all: at most {(run.workers + run.starting).max()} workers for a load of 9, the longest wait "
        text += f"{run.wait.max():.0f} s, {run.changes} changes."
    return text


def build(figure: Figure) -> dict[str, Any]:
    """Make the chart over time on the left and the note of the look on the right."""
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    left.set(xlim=(0, len(LOAD) + 0.5), ylim=(0, MOST + 1), xlabel="look (one each 10 s)", ylabel="workers")
    left.set_title("Load, workers, and what was ordered")
    edges = np.arange(len(LOAD) + 1) + 0.5
    left.stairs(LOAD, edges, color=COLOURS["ink"], linewidth=1.2, label="load: workers that would be busy")
    right.axis("off")
    right.set(xlim=(0, 1), ylim=(0, 1))
    artists = {
        "serving": left.plot([], [], "o-", color=COLOURS["blue"], markersize=4, label="serving")[0],
        "ordered": left.plot([], [], "_", color=COLOURS["orange"], markersize=11, label="with those that start")[0],
        "now": left.axvline(0, color=COLOURS["grey"], linewidth=1),
        "text": [
            right.text(0, 0.93 - 0.135 * k, "", fontsize=9.5, va="top", weight="bold" if k == 0 else "normal")
            for k in range(_LINES)
        ],
    }
    left.legend(loc="upper left", fontsize=8.5)
    return artists


def draw(artists: dict[str, Any], step: Step) -> None:
    """Show the looks so far and the note of the last one."""
    x = np.arange(1, step.k + 1)
    artists["serving"].set_data(x, step.run.workers[: step.k])
    artists["ordered"].set_data(x, (step.run.workers + step.run.starting)[: step.k])
    artists["now"].set_xdata([step.k, step.k])
    text = lines(step)
    for k, artist in enumerate(artists["text"]):
        artist.set_text(_wrapped(text[k]) if k < len(text) else "")


def _wrapped(line: str, width: int = 62) -> str:
    if len(line) <= width:
        return line
    cut = line.rfind(" ", 0, width)
    return line[:cut] + "\n      " + line[cut + 1 :]


explorer = Explorer(
    id="scaling-steps",
    title="What does a controller see, and what does it do about it?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "scaler": Choice(
            "Rule",
            {
                "threshold": "threshold",
                "target tracking": "target_tracking",
                "predictive": "predictive",
                "Dask's Adaptive": "adaptive",
            },
            "target_tracking",
        ),
        "delay": Int("Start delay (ticks)", 0, 4, 2),
        "age": Int("Data age (ticks)", 0, 3, 0),
        "step": Int("Step", 0, len(LOAD), 9),
    },
    presets={
        "The jump, target tracking": {"step": 4},
        "The jump, threshold": {"scaler": "threshold", "step": 8},
        "The jump, Dask's rule": {"scaler": "adaptive", "step": 5},
        "Old news": {"age": 2, "step": 9},
        "To the end": {"step": 16},
    },
    width=10.0,
    height=3.9,
)
