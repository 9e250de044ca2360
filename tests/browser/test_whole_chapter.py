"""A chapter by Run All Cells in JupyterLab itself. What it measures is held to tolerances, so it runs by itself."""

import pytest

from .lab import ROOT
from .test_explorers import stored_explorers

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHAPTER = ROOT / "notebooks" / "2-concepts" / "05-scheduling-model.ipynb"


def test_run_all_cells(open_notebook):
    """One is enough: nbval runs the others."""
    opened = open_notebook(CHAPTER)
    opened.run_all()
    assert opened.errors() == []
    assert opened.dialog() is None
    explorers = stored_explorers(CHAPTER)
    opened.explorers.nth(explorers - 1).wait_for()
    assert opened.explorers.count() == explorers
    for k in range(explorers):
        opened.explorers.nth(k).locator("img").first.wait_for()
