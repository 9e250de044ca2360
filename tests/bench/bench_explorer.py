"""From a key press to new pixels: an explorer against stock ``ipywidgets.interact``, and the drawing alone.

Both show the same plot (two axes, curves of 128 and 240 points, a title that changes) in the same notebook of the
same browser, and their key presses alternate, so that whatever else the machine does meets both alike. The last row
holds the drawing to a bound in milliseconds, which a machine busy with other things can miss.

    python -m tests.bench.bench_explorer
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser.lab import opened, running_browser, running_lab
from browser.toy import compute, notebook, toy

PRESSES = 40

OURS = "from browser.toy import toy\ntoy.show()"
STOCK = """%matplotlib inline
import ipywidgets
from matplotlib import pyplot
from browser.toy import build, compute, draw

def figure(workers):
    picture = pyplot.figure(figsize=(9.0, 3.8))
    draw(build(picture), compute(workers, 0.1, 0.03, "Search", True))
    pyplot.show()

ipywidgets.interact(figure, workers=ipywidgets.IntSlider(16, min=1, max=128));"""


def press_times(presses: int = PRESSES) -> tuple[list[float], list[float]]:
    """Return the seconds from key press to new picture, of the explorer and of ``interact``."""
    ours: list[float] = []
    stock: list[float] = []
    with (
        running_lab() as lab,
        running_browser() as browser,
        opened(lab, browser, notebook(OURS, STOCK)) as page,
    ):
        page.run_all()
        outputs = [page.panel.locator(".jp-Cell-outputArea").nth(k) for k in range(2)]
        handles = [output.locator(".noUi-handle").first for output in outputs]
        outputs[1].locator("img").wait_for()
        for k in range(presses + 5):
            for output, handle, times in zip(outputs, handles, (ours, stock), strict=True):
                # There and back, so that neither reaches the end of its slider.
                seconds = page.press(handle, "ArrowRight" if k % 4 < 2 else "ArrowLeft", output)
                if k >= 5:
                    times.append(seconds)
                page.page.wait_for_timeout(60)
        assert not page.errors(), page.errors()
    return ours, stock


def draw_times(repeats: int = 60) -> tuple[list[float], list[float]]:
    """Return the seconds of drawing a new result: as explorers do it, and by Matplotlib's full redraw."""
    ours: list[float] = []
    full: list[float] = []
    view = toy.view()
    for k in range(repeats):
        result = compute(**toy.settings(workers=1 + k))
        began = time.perf_counter()
        view.picture.update(result)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        view.picture.canvas.draw()  # leaves out what moves, so it is, if anything, a little too fast
        full.append(time.perf_counter() - began)
    view.close()
    return ours, full


def bench() -> list[dict]:
    """Return a row for each measurement; times in seconds."""
    ours, stock = (statistics.median(times) for times in press_times())
    drawing, full = (statistics.median(times) for times in draw_times())
    return [
        {
            "work": "explorer: key press to new pixels",
            "ours": ours,
            "peer": stock,
            "ratio": stock / ours,
            "target": 3.0,
            "unit": "s",
        },
        {
            "work": "explorer: drawing, against a full redraw",
            "ours": drawing,
            "peer": full,
            "ratio": full / drawing,
            "target": 5.0,
            "unit": "s",
        },
        {
            "work": "explorer: drawing, against a bound of 15 ms",
            "ours": drawing,
            "peer": 0.015,
            "ratio": 0.015 / drawing,
            "target": 1.0,
            "unit": "s",
        },
    ]


if __name__ == "__main__":
    for row in bench():
        print(
            f"{row['work']:45s} ours {row['ours'] * 1e3:7.1f} ms   peer {row['peer'] * 1e3:7.1f} ms   "
            f"ratio {row['ratio']:5.2f}   target {row['target']:.1f}"
        )
