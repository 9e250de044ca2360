"""A JupyterLab of its own and a Chromium that looks at it; nothing of either is left behind."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, ElementHandle, Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Cells out of sight are taken out of the page by default; a test looks at all of them.
SETTINGS = {"@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"}}


def chromium() -> str | None:
    """Return the path of this machine's Chromium, if it has one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """A running JupyterLab, on the loopback interface, that keeps everything in one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work"
        self.root.mkdir()
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "lab.log"
        places = {
            name: str(folder / name.lower())
            for name in (
                "HOME", "USERPROFILE", "COURSE_HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR",
                "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR",
            )
        }  # fmt: skip
        for place in places.values():
            Path(place).mkdir()
        for name, content in SETTINGS.items():
            file = Path(places["JUPYTERLAB_SETTINGS_DIR"], name)
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(content), encoding="utf-8")
        environment = {
            **os.environ,
            **places,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        }
        environment.pop("JUPYTER_PATH", None)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={self.port}",
                    "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}",
                    f"--ServerApp.root_dir={self.root}", "--LabApp.expose_app_in_browser=True",
                    *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
                ],
                env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=self.root,
            )  # fmt: skip
        self._wait()

    def request(self, path: str, method: str = "GET") -> Any:
        """Ask the server; return what it says."""
        request = urllib.request.Request(
            f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.request("api/status")
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(
            f"JupyterLab did not start:\n{self.log.read_text(encoding='utf-8', errors='replace')[-3000:]}"
        )

    def end_kernel(self, notebook: str) -> None:
        """End the kernel of a notebook."""
        for session in self.request("api/sessions"):
            if session["path"] == notebook:
                self.request(f"api/sessions/{session['id']}", "DELETE")

    def stop(self) -> None:
        """End the server and its kernels."""
        if self.process.poll() is None:
            try:
                self.request("api/shutdown", "POST")
                self.process.wait(20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
        self.process.wait(10)


class Notebook:
    """A notebook open in JupyterLab, as a reader has it before them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def run_all(self, timeout: float = 240.0) -> None:
        """Run all cells, and wait until they are done (seconds)."""
        self._run("jupyterapp.commands.execute('notebook:run-all-cells')", timeout)

    def run_cells(self, indices: list[int], timeout: float = 60.0) -> None:
        """Run some cells, one after the other, and wait until they are done (seconds)."""
        self._run(
            f"""(async () => {{
                 const cells = jupyterapp.shell.currentWidget.content;
                 for (const index of {indices}) {{
                   cells.deselectAll();
                   cells.activeCellIndex = index;
                   await jupyterapp.commands.execute('notebook:run-cell');
                 }}
               }})()""",
            timeout,
        )

    def _run(self, command: str, timeout: float) -> None:
        done = self.page.evaluate(
            f"""timeout => Promise.race([
                 {command}.then(() => true),
                 new Promise(resolve => setTimeout(() => resolve(false), timeout))])""",
            timeout * 1000,
        )
        assert done is not False, f"the notebook did not finish within {timeout} s"

    def errors(self) -> list[str]:
        """Return what stands in error outputs and on the error stream."""
        kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
        return self.panel.locator(", ".join(f'[data-mime-type="{kind}"]' for kind in kinds)).all_inner_texts()

    def dialog(self) -> str | None:
        """Return the text of a dialog that is in the reader's way, if there is one."""
        dialogs = self.page.locator(".jp-Dialog")
        return dialogs.first.inner_text() if dialogs.count() else None

    @property
    def explorers(self) -> Locator:
        """The live explorers."""
        return self.panel.locator(".course-explorer")

    @property
    def pictures(self) -> Locator:
        """The pictures that are shown as stored outputs."""
        return self.panel.locator(".jp-RenderedImage img")

    def press(self, handle: Locator, key: str, explorer: Locator) -> float:
        """Press a key on a control; return the seconds until the explorer shows another picture."""
        handle.scroll_into_view_if_needed()
        handle.focus()
        return seconds_to_new_picture(self.page, explorer, key)


_WATCH = """root => {
  const shown = () => [...root.querySelectorAll('img')].find(image => image.offsetParent !== null);
  const before = shown().src;
  let began;
  root.addEventListener('keydown', event => { began = event.timeStamp }, {capture: true, once: true});
  window.courseWatch = new Promise((resolve, reject) => {
    const end = performance.now() + 10000;
    const look = () => {
      const image = shown();
      if (began !== undefined && image && image.src !== before && image.complete && image.naturalWidth > 0)
        requestAnimationFrame(() => resolve(performance.now() - began));
      else if (performance.now() > end) reject(new Error('the picture did not change within 10 s'));
      else requestAnimationFrame(look);
    };
    look();
  });
  window.courseWatch.catch(() => {});
}"""


def seconds_to_new_picture(page: Page, root: Locator | ElementHandle, key: str) -> float:
    """Press a key; return the seconds from the key's own event until a new picture inside ``root`` is painted."""
    root.evaluate(_WATCH)
    page.keyboard.press(key)
    return page.evaluate("() => window.courseWatch") / 1000


def pixels(image: Locator) -> str:
    """Return the pixels of a picture on the page, as a string that is the same for the same pixels."""
    return image.evaluate(
        """async image => {
          await image.decode();
          const canvas = document.createElement('canvas');
          canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
          canvas.getContext('2d').drawImage(image, 0, 0);
          return canvas.toDataURL();
        }"""
    )


@contextmanager
def running_lab() -> Iterator[Lab]:
    """Start JupyterLab in a temporary folder; end both with the block."""
    with tempfile.TemporaryDirectory(prefix="course-lab-", ignore_cleanup_errors=True) as folder:
        lab = Lab(Path(folder))
        try:
            yield lab
        finally:
            lab.stop()


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start Chromium without a window; end it with the block."""
    path = chromium()
    assert path, f"no Chromium on this machine (looked for {', '.join(BROWSERS)})"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_window(lab: Lab, browser: Browser) -> Iterator[Page]:
    """Open JupyterLab in a window."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    try:
        page.goto(f"{lab.url}/lab/workspaces/{secrets.token_hex(4)}?token={lab.token}")
        page.wait_for_function("() => window.jupyterapp && jupyterapp.shell.currentWidget", timeout=60_000)
        yield page
    finally:
        page.close()


@contextmanager
def opened(lab: Lab, window: Page, notebook: Path | Any) -> Iterator[Notebook]:
    """Open a copy of a notebook (a path, or a notebook in memory) in a window, and close it.

    The copy carries no signature, so JupyterLab does not trust its stored outputs: it is what a reader has who has
    just been given the file.
    """
    name = f"{secrets.token_hex(4)}-{notebook.name if isinstance(notebook, Path) else 'notebook.ipynb'}"
    if isinstance(notebook, Path):
        shutil.copyfile(notebook, lab.root / name)
    else:
        nbformat.write(notebook, lab.root / name)
    try:
        window.evaluate("path => { jupyterapp.commands.execute('docmanager:open', {path}) }", name)
        window.wait_for_function(
            """name => { const at = jupyterapp.shell.currentWidget;
                         return at && at.context && at.context.path === name
                                && at.sessionContext && at.sessionContext.session
                                && at.sessionContext.session.kernel
                                && at.sessionContext.session.kernel.status === 'idle' }""",
            arg=name,
            timeout=60_000,
        )
        window.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
        yield Notebook(window)
    finally:
        # Without the question whether to save it.
        window.evaluate(
            """name => [...jupyterapp.shell.widgets('main')]
                         .filter(widget => widget.context && widget.context.path === name)
                         .forEach(widget => widget.dispose())""",
            name,
        )
        lab.end_kernel(name)
