"""A checkpointed run step by step: work, checkpoint, failure, rollback. Chapter 16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from course import models, simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int, set_limits
from course.explorers.shapes import box
from course.simulate import Part

WORK = 12.0
MOST = 60
"""Parts that are shown at most."""
FILL = {"work": "#8EC3E6", "checkpoint": "#2F9E77", "lost": "#F3B58A", "restart": "#D1D5DB"}
WORDS = {"work": "work that is kept", "checkpoint": "checkpoint", "lost": "lost", "restart": "restart"}


@dataclass(frozen=True)
class Step:
    """A run of 12 s of work, and how far it is shown."""

    parts: list[Part]
    k: int  # parts shown
    interval: float
    cost: float
    expected: float  # mean seconds of such runs, by formula


def compute(interval: float, cost: float, mtbf: float, failures: int, step: int) -> Step:
    """Run it to the end, and keep the first ``step`` parts (at most all)."""
    lives = np.random.default_rng(failures).exponential(mtbf, 400)
    parts = simulate.checkpointed_run(lives, WORK, interval, cost, restart_cost=0.5)
    whole, rest = divmod(WORK, interval)
    mean = whole * interval / models.checkpoint_efficiency(interval, cost, mtbf, 0.5)
    if rest > 1e-9:
        mean += rest / models.checkpoint_efficiency(rest, cost, mtbf, 0.5)
    return Step(parts, min(step, len(parts)), interval, cost, float(mean))


def _progress(parts: list[Part]) -> tuple[list[float], list[float]]:
    """Return the corners of the line of what has been worked, safe or not."""
    times, done, after = [0.0], [0.0], 0.0
    for part in parts:
        if part.kind == "work":
            after = part.saved + part.stop - part.start
            times += [part.start, part.stop]
            done += [part.saved, after]
        elif part.kind == "checkpoint":
            times.append(part.stop)
            done.append(part.saved)
        elif part.kind == "lost":
            times += [part.start, part.stop, part.stop]
            done += [part.saved, part.saved + part.stop - part.start, part.saved]
        else:
            times.append(part.stop)
            done.append(part.saved)
    return times, done


def build(figure: Figure) -> dict[str, Any]:
    """Make the progress above and the bar of parts below."""
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    top.set(ylim=(0, WORK * 1.25), ylabel="work done (s)")
    top.set_title("A failure throws it back to the last checkpoint")
    top.axhline(WORK, color=COLOURS["grey"], linestyle=":", linewidth=1.2)
    bottom.set(ylim=(-0.6, 0.6), yticks=[], xlabel="time (s)")
    bottom.grid(False)
    for index, (kind, word) in enumerate(WORDS.items()):
        place = 0.02 + 0.2 * index
        top.plot([place], [0.93], "s", transform=top.transAxes, color=FILL[kind], markersize=9)
        top.text(place + 0.02, 0.93, word, transform=top.transAxes, va="center", fontsize=9)
    return {
        "top": top,
        "bottom": bottom,
        "line": top.plot([], [], color=COLOURS["blue"], linewidth=2)[0],
        "saved": top.plot([], [], color=COLOURS["green"], linewidth=2, linestyle="--", drawstyle="steps-post")[0],
        "fails": top.plot([], [], "X", color=COLOURS["orange"], markersize=10)[0],
        "bars": bottom.add_collection(PolyCollection([], edgecolors="white", linewidths=0.8)),
    }


def draw(artists: dict[str, Any], step: Step) -> None:
    """Draw the parts so far."""
    shown = step.parts[: step.k]
    end = step.parts[-1].stop
    set_limits(artists["top"], x=(0, float(np.ceil(end * 1.03 / 5) * 5)))
    artists["line"].set_data(*_progress(shown))
    saved = [(0.0, 0.0), *((part.stop, part.saved) for part in shown)]
    artists["saved"].set_data(*zip(*saved, strict=True))
    lost = [part for part in shown if part.kind == "lost"]
    artists["fails"].set_data(
        [part.stop for part in lost], [min(part.saved + part.stop - part.start, WORK) for part in lost]
    )
    boxes = [box(part.start, part.stop, -0.4, 0.4) for part in shown]
    artists["bars"].set_verts(boxes)
    artists["bars"].set_facecolors([FILL[part.kind] for part in shown])


def _says(part: Part) -> str:
    lasts = part.stop - part.start
    return {
        "work": f"works for {lasts:.3g} s; {part.saved:.3g} s are safe, the new work is not yet",
        "checkpoint": f"writes a checkpoint; {part.saved:.3g} s of work are safe",
        "lost": f"fails; {lasts:.3g} s are lost, and it rolls back to {part.saved:.3g} s",
        "restart": f"restarts and reads the checkpoint of {part.saved:.3g} s",
    }[part.kind]


def finding(step: Step) -> str:
    """Say what the last step was; at the end, where the time went."""
    if step.k == 0:
        return f"Nothing has run. 12 s of work are to be done, saved every {step.interval:.3g} s of work."
    part = step.parts[step.k - 1]
    text = f"Step {step.k} of {len(step.parts)}, from {part.start:.1f} to {part.stop:.1f} s: it {_says(part)}."
    if step.k == len(step.parts):
        took = {kind: sum(p.stop - p.start for p in step.parts if p.kind == kind) for kind in FILL}
        text += (
            f" All done: {WORK:g} s of work, {took['checkpoint']:.1f} s of checkpoints, {took['lost']:.1f} s lost, "
            f"{took['restart']:.1f} s of restarts; the mean of such runs is {step.expected:.3g} s."
        )
    return text


explorer = Explorer(
    id="checkpoint-steps",
    title="Work, checkpoint, failure, rollback: where does the time go?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "interval": Choice("Save every (s)", [1.0, 2.0, 3.0, 4.0, 6.0, 12.0], 3.0, style="slider"),
        "cost": Float("Checkpoint (s)", 0.1, 2.0, 0.5, step=0.1, format=".1f"),
        "mtbf": Choice("Fails every (s)", [4.0, 8.0, 16.0, 64.0], 8.0, style="slider"),
        "failures": Int("Draw of failures", 1, 20, 3),
        "step": Int("Step", 0, MOST, 6),
    },
    presets={
        "From the start": {"step": 0},
        "To the end": {"step": MOST},
        "Too often": {"interval": 1.0, "step": MOST},
        "Only at the end": {"interval": 12.0, "step": MOST},
    },
    width=10.0,
    height=4.2,
)
