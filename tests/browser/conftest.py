"""Fixtures: one JupyterLab and one window of Chromium for the tests of a file, a notebook for each.

They end with the file: while Playwright runs, its event loop does, and tests that start one of their own would fail.
"""

import os
from contextlib import ExitStack

import pytest


@pytest.fixture(scope="module")
def browser():
    from .lab import BROWSERS, chromium, running_browser

    if chromium() is None:
        reason = f"no Chromium on this machine (looked for {', '.join(BROWSERS)})"
        # Where every test must run, a missing browser is a failure, not an excuse.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(browser):
    from .lab import running_lab

    with running_lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def window(lab, browser):
    from .lab import open_window

    with open_window(lab, browser) as window:
        yield window


@pytest.fixture
def open_notebook(lab, window):
    """``open_notebook(path or notebook) -> Notebook``, closed with the test."""
    from .lab import opened

    with ExitStack() as stack:
        yield lambda notebook: stack.enter_context(opened(lab, window, notebook))
