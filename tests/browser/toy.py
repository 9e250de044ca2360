"""A toy explorer, in one file and in one notebook cell; the tests and the benchmark use it."""

import nbformat
import numpy as np

from course.explorers.frame import COLOURS, Check, Choice, Explorer, Float, Int

GRID = np.linspace(0.0, 0.98, 240)


def compute(workers, service, cost, label, show_ideal):
    count = np.arange(1, 129)
    speed = count / (1 + cost * (count - 1) + 0.0004 * count * (count - 1))
    load = min(0.98, 8 * service / workers * 4)
    return {
        "workers": workers, "count": count, "speed": speed, "here": speed[workers - 1],
        "best": int(count[speed.argmax()]),
        "wait": service * GRID / (1 - GRID), "load": load, "label": label, "ideal": show_ideal, "service": service,
    }  # fmt: skip


def build(figure):
    left, right = figure.subplots(1, 2)
    left.set(xlim=(0, 130), ylim=(0, 32), xlabel="Workers", ylabel="Speed-up")
    left.set_title("More workers help, then hurt")
    right.set(xlim=(0, 1), ylim=(0, 2), xlabel="Utilization", ylabel="Mean wait (s)")
    return {
        "left": left,
        "ideal": left.plot([], [], "--", color=COLOURS["grey"], lw=1.3)[0],
        "speed": left.plot([], [], color=COLOURS["blue"])[0],
        "here": left.plot([], [], "o", color=COLOURS["orange"], ms=9, mec="white", mew=1.5)[0],
        "note": left.text(0, 0, "", color=COLOURS["orange"], weight="bold"),
        "wait": right.plot(GRID, GRID, color=COLOURS["green"])[0],
        "load": right.axvline(0.5, color=COLOURS["orange"], ls=":", lw=1.8),
        "title": right.set_title("Service"),
    }


def draw(artists, result):
    artists["speed"].set_data(result["count"], result["speed"])
    artists["ideal"].set_data(result["count"], result["count"])
    artists["ideal"].set_visible(result["ideal"])
    artists["here"].set_data([result["workers"]], [result["here"]])
    artists["note"].set_position((min(result["workers"] + 3, 96), result["here"] + 1.4))
    artists["note"].set_text(f"{result['here']:.1f}×")
    artists["wait"].set_data(GRID, result["wait"])
    artists["load"].set_xdata([result["load"], result["load"]])
    artists["title"].set_text(f"{result['label']}: {result['load']:.0%} busy")


def finding(result):
    return (
        f"{result['workers']} workers are {result['here']:.1f} times as fast as one; "
        f"the most that more workers can bring is reached at {result['best']}."
    )


toy = Explorer(
    id="toy",
    title="How many workers are worth having?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "workers": Int("Workers", 1, 128, 16),
        "service": Float("Service time (s)", 0.01, 1.0, 0.1, log=True),
        "cost": Float("Serial share", 0.0, 0.2, 0.03),
        "label": Choice("Service", ["Search", "Checkout"], "Search", style="buttons"),
        "show_ideal": Check("Show the ideal line", True),
    },
    presets={
        "Where is the peak?": {"workers": 49},
        "A tenth is serial": {"cost": 0.1},
        "Slow service": {"service": 0.5},
    },
)


def notebook(*cells):
    """Return a notebook that shows the toy, or one of other cells."""
    cells = cells or ("from browser.toy import toy\ntoy.show()",)
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
