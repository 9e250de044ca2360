"""`course lab` as a learner meets it: nothing stands in the way, and the Dask dashboard opens beside a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.browser

PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
CLUSTER = """from distributed import Client
client = Client(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0")
done = client.gather(client.map(abs, range(20)))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address that `course lab` prints, for a new learner with an empty home folder."""
    folder = tmp_path_factory.mktemp("a new lernér")
    copy = folder / "my course"
    copy.mkdir()
    # One notebook of the learner's own; the rest is copied by the command.
    cells = [nbformat.v4.new_code_cell(CLUSTER)]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), copy / "dask.ipynb")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "COURSE"))}
    environment |= {"HOME": str(folder), "USERPROFILE": str(folder), "PYTHONUNBUFFERED": "1"}
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "course", "lab", str(copy), "--no-browser", "--port", "0"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield wait_for_address(server, log)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


def wait_for_address(server: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 300  # on a new machine the simulators are compiled first
    while server.poll() is None and time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:[1-9]\d*/\S*token=\w{20,}", log.read_text(errors="replace"))
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no address:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture
def page(browser, address):
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    page.outside = []
    page.on("request", lambda request: page.outside.append(request.url))
    yield page
    page.close()


def open_page(page, address: str) -> None:
    page.goto(address)
    # JupyterLab also restores, behind it, what was open before.
    page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)


def run(page, cell) -> None:
    """Run a cell by its keys. JupyterLab may still move the focus while it opens a page: press until it takes them."""
    prompt = cell.locator(".jp-InputPrompt")
    deadline = time.monotonic() + 60
    while prompt.inner_text().strip() == "[ ]:" and time.monotonic() < deadline:
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(2000)


def in_the_way(page) -> list[str]:
    """Return the texts of dialogs and of notifications."""
    return page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts()


def test_welcome_page_opens_with_a_kernel_and_no_dialog(page, address):
    assert "/lab/tree/00-welcome.ipynb" in address
    open_page(page, address)
    page.wait_for_timeout(3000)  # JupyterLab asks and announces a moment after its start
    assert in_the_way(page) == []
    assert page.locator(f"{PANEL} .jp-Cell").count() > 0
    elsewhere = [url for url in page.outside if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert elsewhere == [], "JupyterLab must not need the network"


def test_server_asks_for_its_token(page, address):
    page.goto(address.partition("?")[0])
    page.locator("#password_input, input[type=password]").first.wait_for()
    assert page.locator(".jp-NotebookPanel").count() == 0


def test_dask_dashboard_opens_beside_a_notebook(page, address):
    open_page(page, address.replace("00-welcome", "dask"))
    # By its text: the welcome page may be open behind it, with cells of its own.
    notebook = page.locator(PANEL, has_text="from distributed import Client")
    cell = notebook.locator(".jp-CodeCell")
    notebook.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
    run(page, cell)
    cell.locator(".jp-InputPrompt", has_text="[1]:").wait_for(timeout=180_000)
    page.locator('.jp-SideBar [data-id="dask-dashboard-launcher"]').first.click()
    page.locator(".dask-DaskClusterManager").wait_for(state="hidden")  # clusters are started by notebooks only
    panel = page.locator(".dask-DaskDashboardLauncher")
    task_stream = panel.get_by_text("Task Stream", exact=True)
    deadline = time.monotonic() + 120
    while not task_stream.is_visible() and time.monotonic() < deadline:
        page.get_by_role("button", name="Auto-detect dashboard URL").click()
        page.wait_for_timeout(1000)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", panel.locator("input").input_value())
    task_stream.click()
    page.frame_locator("iframe").locator("canvas").first.wait_for(timeout=30_000)
    assert any(frame.url.endswith("/individual-task-stream") for frame in page.frames)
    assert in_the_way(page) == []
    # The cluster ends with its kernel, which ends with the server.
