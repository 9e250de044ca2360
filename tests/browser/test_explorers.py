"""Explorers in a real browser: what a reader sees and what a key press does."""

import os
import re
import time
from pathlib import Path

import nbclient
import nbformat
import pytest

from .lab import ROOT, open_window, pixels
from .lab import opened as opened_notebook
from .toy import compute, finding, notebook, toy

pytestmark = pytest.mark.browser

SLOW = """
import time
from dataclasses import replace
from browser.toy import compute, finding, toy

calls = []

def slow(**settings):
    calls.append(settings["workers"])
    time.sleep(0.5)
    return {**compute(**settings), "calls": len(calls)}

replace(toy, compute=slow, finding=lambda result: f"{result['workers']} after {result['calls']} calls").show()
"""

BROKEN = """
from dataclasses import replace
from browser.toy import compute, toy

def fragile(**settings):
    if settings["workers"] == 17:
        raise ValueError("no seventeen")
    return compute(**settings)

replace(toy, compute=fragile).show()
"""


def chapters():
    """Return the notebooks that show an explorer."""
    found = []
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        cells = nbformat.read(path, as_version=4).cells
        if any(cell.cell_type == "code" and re.search(r"\bexplorers\b", cell.source) for cell in cells):
            found.append(path)
    return found


def stored_explorers(path):
    """Return how many stored outputs of a notebook are those of an explorer.

    Stored by `course.notebook`, an explorer has left its picture only; the cell's source tells it from other figures.
    """
    return sum(
        "image/png" in output.get("data", {})
        and ("application/vnd.jupyter.widget-view+json" in output["data"] or "course.explorers" in cell.source)
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def reads_complete_unrun(opened, explorers):
    """Hold an open, un-run notebook to show the pictures of its explorers, and nothing broken."""
    opened.page.wait_for_timeout(1000)
    assert opened.dialog() is None
    assert opened.explorers.count() == 0
    shown = opened.panel.locator(".jp-RenderedImage img")
    assert shown.count() >= explorers
    for k in range(shown.count()):
        assert shown.nth(k).evaluate("image => image.complete && image.naturalWidth > 0")
    text = opened.panel.inner_text()
    assert "VBox(" not in text
    assert "Error displaying widget" not in text
    assert opened.errors() == []


def cut_labels(explorer):
    """Return the labels of controls that end in an ellipsis, because there is no room for them."""
    return explorer.locator(".widget-label").evaluate_all(
        "labels => labels.filter(label => label.scrollWidth > label.clientWidth).map(label => label.innerText)"
    )


def change(opened, explorer, handle):
    """Move a slider by keyboard until the explorer shows another picture; return how many keys that took."""
    for count, key in enumerate(("ArrowRight", "ArrowLeft", "End", "Home"), start=1):
        before = explorer.locator("img").first.get_attribute("src")
        handle.scroll_into_view_if_needed()
        handle.focus()
        opened.page.keyboard.press(key)
        end = time.monotonic() + (1 if key != "Home" else 5)  # a slow picture counts for the next key
        while time.monotonic() < end:
            if explorer.locator("img").first.get_attribute("src") != before:
                return count
            opened.page.wait_for_timeout(30)
    raise AssertionError("no key changed the picture")


@pytest.fixture(scope="module")
def opened_toy(lab, browser):
    """The toy in a window of its own, run once for the tests that leave it as they found it."""
    with open_window(lab, browser) as window, opened_notebook(lab, window, notebook()) as opened:
        opened.run_all()
        opened.explorers.first.locator("img").wait_for()
        yield opened


def test_a_key_press_changes_pixels_and_finding(opened_toy):
    opened = opened_toy
    explorer = opened.explorers.first
    image = explorer.locator("img")
    assert opened.errors() == []
    assert opened.dialog() is None
    before = pixels(image)
    handle = explorer.locator(".noUi-handle").first
    opened.press(handle, "ArrowRight", explorer)
    assert pixels(image) != before
    expected = finding(compute(**{**toy.settings(), "workers": 17}))
    assert explorer.locator("[role=status]").inner_text() == expected
    assert image.get_attribute("alt") == f"{toy.title} {expected}"
    opened.press(handle, "ArrowLeft", explorer)
    assert pixels(image) == before


def test_every_control_is_reached_and_moved_by_keyboard_alone(opened_toy):
    opened = opened_toy
    explorer = opened.explorers.first
    explorer.locator(".noUi-handle").first.focus()
    reached = []
    for _ in range(20):
        reached.append(
            opened.page.evaluate(
                """() => { const at = document.activeElement;
                return at.closest('.course-explorer') ? at.getAttribute('role') || at.innerText || at.type : '' }"""
            )
        )
        opened.page.keyboard.press("Tab")
    for name in ("slider", "Search", "Checkout", "checkbox", *toy.presets, "Reset"):
        assert name in reached, reached
    assert reached.count("slider") >= 3
    explorer.get_by_role("button", name="Where is the peak?").focus()
    opened.page.keyboard.press("Enter")
    expected = finding(compute(**toy.settings(workers=49)))
    explorer.get_by_text(expected).wait_for(timeout=5000)
    explorer.get_by_role("button", name="Reset").focus()
    opened.page.keyboard.press("Enter")
    explorer.get_by_text(finding(compute(**toy.settings()))).wait_for(timeout=5000)


def test_a_slow_explorer_drops_stale_events_and_ends_at_the_last(open_notebook):
    opened = open_notebook(notebook(SLOW))
    opened.run_all()
    explorer = opened.explorers.first
    explorer.locator("img").wait_for()
    explorer.locator(".noUi-handle").first.focus()
    for _ in range(30):
        opened.page.keyboard.press("ArrowRight")
    status = explorer.locator("[role=status]", has_text="46 after")
    status.wait_for(timeout=10_000)
    opened.page.wait_for_timeout(1000)
    calls = int(status.inner_text().split()[2])
    assert 2 <= calls < 20, f"{calls} pictures for 30 key presses"


def test_an_error_stands_in_the_pictures_place_until_a_change_that_works(open_notebook):
    opened = open_notebook(notebook(BROKEN))
    opened.run_all()
    explorer = opened.explorers.first
    explorer.locator("img").wait_for()
    explorer.locator(".noUi-handle").first.focus()
    opened.page.keyboard.press("ArrowRight")
    alert = explorer.locator("[role=alert]")
    alert.wait_for(timeout=5000)
    assert "ValueError: no seventeen" in alert.inner_text()
    assert explorer.locator("img").count() == 0
    opened.page.keyboard.press("ArrowRight")
    explorer.locator("img").wait_for(timeout=5000)
    assert explorer.locator("[role=alert]").count() == 0


def test_an_unrun_untrusted_notebook_shows_its_stored_picture(open_notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    ran = notebook()
    nbclient.NotebookClient(ran, timeout=60, kernel_name="python3").execute()
    path = tmp_path / "toy.ipynb"
    nbformat.write(ran, path)
    assert stored_explorers(path) == 1
    (output,) = ran.cells[0].outputs
    assert output["data"]["text/plain"] == finding(compute(**toy.settings()))
    opened = open_notebook(path)
    reads_complete_unrun(opened, explorers=1)
    opened.run_all()
    opened.explorers.first.locator("img").wait_for()
    assert opened.pictures.count() == 0, "once it runs, the widget takes the picture's place"


@pytest.mark.slow
@pytest.mark.parametrize("path", chapters(), ids=lambda path: Path(path).stem)
def test_a_chapters_explorers(path, open_notebook):
    """As stored, the chapter reads complete; its explorers then run, without the cells above, and follow the keys."""
    explorers = stored_explorers(path)
    assert explorers > 0, "the notebook shows an explorer, but its stored outputs have none: execute it"
    opened = open_notebook(path)
    reads_complete_unrun(opened, explorers)
    opened.run_cells(
        [
            k
            for k, cell in enumerate(nbformat.read(path, as_version=4).cells)
            if cell.cell_type == "code" and "course.explorers" in cell.source
        ]
    )
    assert opened.errors() == []
    assert opened.dialog() is None
    opened.explorers.nth(explorers - 1).wait_for()
    assert opened.explorers.count() == explorers
    for k in range(explorers):
        explorer = opened.explorers.nth(k)
        explorer.locator("img").first.wait_for()
        assert cut_labels(explorer) == []
        for handle in explorer.locator(".noUi-handle").all():
            change(opened, explorer, handle)
        assert explorer.locator("[role=alert]").count() == 0
