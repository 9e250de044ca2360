"""Widgets: thousands of random changes over all explorers, as a reader makes them, without a browser.

A change is a control put somewhere, a preset, or a reset. None may raise; on a sample the finding must be that of the
settings computed afresh; the memory of the process may not grow by more than `GROWTH`.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import random
import statistics
import time
from typing import Any

import psutil

import course.explorers
from course.explorers.controls import Check, Choice, Control, Float, Int
from course.explorers.frame import Explorer, View, exercise
from tests.drill.rows import main, row, say

GROWTH = 50e6
SAMPLE = 10
"""One in so many changes is compared with a fresh computation."""


def explorers() -> dict[str, Explorer]:
    """Return all explorers of the course, by the names of their files."""
    modules = {name: importlib.import_module(f"course.explorers.{name}")
               for _, name, _ in pkgutil.iter_modules(course.explorers.__path__)}  # fmt: skip
    return {name: module.explorer for name, module in modules.items() if hasattr(module, "explorer")}


def somewhere(control: Control, dice: random.Random) -> Any:
    """Return a value that a reader can put a control to: an end one time in five."""
    if isinstance(control, Int | Float) and dice.random() < 0.2:
        return dice.choice((control.low, control.high))
    match control:
        case Int():
            return dice.randrange(control.low, control.high + 1, control.step)
        case Float(log=True):
            return min(max(control.low * (control.high / control.low) ** dice.random(), control.low), control.high)
        case Float():
            return dice.uniform(control.low, control.high)
        case Choice() | Check():
            return dice.choice(control.tries(2))


def change(view: View, dice: random.Random) -> str:
    """Make one change as a reader does; return what it was."""
    names, presets = list(view.controls), list(view.explorer.presets)
    which = dice.random()
    if which < 0.08 and presets:
        name = dice.choice(presets)
        view.buttons[name].click()
        return f"preset {name!r}"
    if which < 0.12:
        view.buttons["Reset"].click()
        return "reset"
    name = dice.choice(names)
    value = somewhere(view.explorer.controls[name], dice)
    view.controls[name].value = value
    return f"{name}={value!r}"


def memory() -> float:
    """Return the bytes that the process has to itself."""
    gc.collect()
    return float(psutil.Process().memory_full_info().uss)


def drill(explorer: Explorer, changes: int, dice: random.Random) -> tuple[list[str], list[float]]:
    """Change one explorer again and again; return what was wrong, and the seconds of each change."""
    wrong, times = [], []
    view = explorer.view()
    try:
        for k in range(changes):
            began = time.perf_counter()
            try:
                what = change(view, dice)
            except Exception as error:
                wrong.append(f"{explorer.id} at {view.settings}: {type(error).__name__}: {error}")
                continue
            times.append(time.perf_counter() - began)
            if view.error is not None:
                wrong.append(f"{explorer.id} after {what} at {view.settings}: {view.finding}")
            elif k % SAMPLE == 0 and view.finding != (said := explorer.finding(explorer.compute(**view.settings))):
                wrong.append(f"{explorer.id} after {what}: the finding is {view.finding!r}, computed afresh {said!r}")
    finally:
        view.close()
    return wrong, times


def run(count: int = 10_000, seed: int = 0) -> list[dict[str, Any]]:
    """Change the controls of all explorers at random."""
    everyone = explorers()
    each = -(-count // len(everyone))
    # What is compiled and kept at first (kernels, fonts, the caches of the course) is no growth: all once before.
    wrong: list[str] = []
    settings = 0
    for name, explorer in everyone.items():
        try:
            settings += exercise(explorer).settings
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
        drill(explorer, 15, random.Random(f"{seed} first {name}"))
        say(f"widgets {name}: ends and corners, {len(wrong)} wrong so far")
    rows: list[dict[str, Any]] = [row("controls through their range, corners, presets: settings", settings, wrong)]
    before = memory()
    wrong = []
    times: list[float] = []
    peak = before
    for name, explorer in everyone.items():
        found, seconds = drill(explorer, each, random.Random(f"{seed} {name}"))
        wrong += found
        times += seconds
        now = memory()
        peak = max(peak, now)
        say(f"widgets {name}: {each} changes, median {1000 * statistics.median(seconds):.0f} ms, longest "
            f"{1000 * max(seconds):.0f} ms, memory {(now - before) / 1e6:+.1f} MB, {len(found)} wrong")  # fmt: skip
    times.sort()
    median, late, longest = (1000 * times[int(q * (len(times) - 1))] for q in (0.5, 0.99, 1.0))
    figures = f"median {median:.0f} ms, 99 % {late:.0f} ms, longest {longest:.0f} ms"
    rows.append(row(f"changes of {len(everyone)} explorers", len(times), wrong, figures))
    grown = memory() - before
    too_much = [f"{grown / 1e6:.0f} MB more than before"] if grown > GROWTH else []
    rows.append(
        row(
            "memory", len(times), too_much, f"{grown / 1e6:+.1f} MB at the end, at most {(peak - before) / 1e6:+.1f} MB"
        )
    )
    return rows


if __name__ == "__main__":
    raise SystemExit(main(run))
