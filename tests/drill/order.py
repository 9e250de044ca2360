"""Cells in an order that nobody planned: everything twice, a restart in the middle, an interrupt in each long cell.

A chapter goes through three passes, or those that are named, in a kernel of the kind that JupyterLab starts:

twice      all cells, and in the same kernel all cells again, each of them twice (but those that close what an earlier
           one has opened)
again      of these the second time only (not one of the three)
restart    the first half, a restart, then all cells
interrupt  each cell that took longer than `LONG` is interrupted at a random moment, must end soon, and is then run

After each interrupt and each pass the kernel must answer, and no process that a cell started may be left. A cell that
opens a cluster for the cells after it (``enter_context(… cluster(``) may leave that one; the end of the chapter closes
it.

A scoreboard that a busy machine puts out of its tolerance says so, and is no fault of the order: it is counted apart.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
import zmq
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

from course.syllabus import chapters
from tests.drill.rows import children, end_all, left, main, row, say

ROOT = Path(__file__).parents[2] / "notebooks"
LONG = 1.5
"""A cell is long that takes so many seconds."""

PATIENCE = 15.0
"""Seconds within which an interrupted cell must end: what it started is closed meanwhile."""

CELL_LIMIT = 240.0

_NO_IMPORT_WAS_CUT = """assert not any(
    frame.f_code.co_filename.startswith("<frozen importlib")
    or frame.f_code.co_name == "<module>" and "ipykernel" not in frame.f_code.co_filename
    for frame, _ in __import__("traceback").walk_tb(__import__("sys").last_traceback))"""
"""A cell that says what the last error came in the midst of. An import that is cut may leave a library half loaded,
which then raises anything, for ever: that is Python's, and a restart helps."""

_CLOSES = re.compile(r"^\w+\.(close|cleanup)\(\)", re.MULTILINE)
_STAYS = re.compile(r"enter_context\([\w.]*(cluster|standalone)\(")


class _ThisPython(KernelManager):
    """Starts this Python, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


@dataclass
class Ran:
    """What one cell did."""

    seconds: float
    error: str = ""
    message: str = ""
    stderr: str = ""


@dataclass
class Kernel:
    """A kernel and its client."""

    manager: KernelManager
    client: BlockingKernelClient

    def run(self, source: str, interrupt_after: float | None = None) -> Ran:
        """Run a cell; interrupt it after so many seconds, as the button of JupyterLab does."""
        said: list[str] = []

        def listen(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stderr":
                said.append(message["content"]["text"])

        def interrupt() -> None:
            self.manager.interrupt_kernel()
            ensure_event_loop().close()  # that of this thread

        timer = threading.Timer(interrupt_after or 0.0, interrupt)
        limit = CELL_LIMIT if interrupt_after is None else interrupt_after + PATIENCE
        began = time.perf_counter()
        if interrupt_after is not None:
            timer.start()
        try:
            reply = self.client.execute_interactive(source, timeout=limit, output_hook=listen)["content"]
        except TimeoutError:
            return Ran(time.perf_counter() - began, "Hangs", f"no end within {limit:.0f} s")
        finally:
            timer.cancel()
            if interrupt_after is not None:
                timer.join()
        error = reply.get("ename", "") if reply["status"] == "error" else ""
        return Ran(time.perf_counter() - began, error, str(reply.get("evalue", ""))[:300], "".join(said))

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.manager.provisioner.pid)

    def restart(self) -> None:
        """Restart it, as the button of JupyterLab does."""
        self.manager.restart_kernel(now=False)
        self.client.wait_for_ready(timeout=60)


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """Start a kernel in a folder, for a learner without a past."""
    with tempfile.TemporaryDirectory(prefix="course-home-", ignore_cleanup_errors=True) as home:
        environment = {**os.environ, "COURSE_HOME": home}
        environment.pop("MPLBACKEND", None)
        manager = _ThisPython()
        encryption = "auto" if zmq.has("curve") else "disabled"
        manager.start_kernel(cwd=str(folder), env=environment, transport_encryption=encryption)
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            yield Kernel(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=False)
            manager.cleanup_resources()
            ensure_event_loop().close()  # the client's own, which it leaves open


@dataclass
class Drilled:
    """What came of one chapter."""

    name: str
    cells: int = 0
    interrupts: int = 0
    caught: int = 0
    slowest: float = 0.0
    half_imported: int = 0
    wrong: list[str] = field(default_factory=list)
    out_of_tolerance: list[str] = field(default_factory=list)

    def note(self, where: str, ran: Ran) -> None:
        """Note what a cell did that should have run through."""
        self.cells += 1
        if ran.error == "Hangs":
            raise StuckError(f"{self.name} {where}: {ran.message}")
        if ran.error == "ToleranceError":
            self.out_of_tolerance.append(where)
        elif ran.error:
            self.wrong.append(f"{self.name} {where}: {ran.error}: {ran.message[:160]}")
        elif ran.stderr.strip():
            self.wrong.append(f"{self.name} {where} wrote to stderr: {ran.stderr.strip()[:160]}")

    def settled(self, where: str, running: Kernel, before: dict[int, str]) -> None:
        """Note if the kernel does not answer, or processes are left."""
        answer = running.run("assert 6 * 7 == 42")
        if answer.error:
            self.wrong.append(f"{self.name} {where}: the kernel does not answer ({answer.error}: {answer.message})")
        new = left(before, running.process)
        if new:
            self.wrong.append(f"{self.name} {where}: {len(new)} processes left ({next(iter(new.values()))[-80:]})")
            end_all(new)


class StuckError(Exception):
    """A cell does not end, and no other can be run in that kernel."""


def sources(path: Path) -> list[tuple[int, str]]:
    """Return number and source of each code cell."""
    notebook = nbformat.read(path, as_version=4)
    return [(k, cell.source) for k, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def drill(path: Path, seed: int, passes: Sequence[str] = ("twice", "restart", "interrupt")) -> Drilled:
    """Take a chapter through the passes; a cell that does not end is the last."""
    found = Drilled(path.stem)
    try:
        _drill(found, path, random.Random(f"{seed} {path.stem}"), passes)
    except StuckError as stuck:
        found.wrong.append(str(stuck))
    return found


def _drill(found: Drilled, path: Path, dice: random.Random, passes: Sequence[str]) -> None:
    cells, seconds = sources(path), dict[int, float]()
    with kernel(path.parent) as running:
        before = children(running.process)
        for which in (1, 2) if "twice" in passes else (2,) if "again" in passes else (1,):
            for k, source in cells:
                ran = running.run(source)
                seconds.setdefault(k, ran.seconds)
                found.note(f"cell {k}, time {which}", ran)
                if which == 2 and not _CLOSES.search(source):
                    found.note(f"cell {k}, again", running.run(source))
            found.settled(f"after time {which}", running, before)
        if "restart" in passes:
            for k, source in cells[: len(cells) // 2]:
                found.note(f"cell {k}, before the restart", running.run(source))
            running.restart()
            found.settled("after the restart", running, {})
            if "interrupt" not in passes:  # which else runs all cells from here
                for k, source in cells:
                    found.note(f"cell {k}, after the restart", running.run(source))
        if "interrupt" in passes:
            before, doubtful = children(running.process), False
            for k, source in cells:
                if seconds[k] > LONG:
                    doubtful |= _interrupt(found, running, k, source, dice.uniform(0.05, 0.95) * seconds[k])
                ran = running.run(source)
                if doubtful and ran.error not in ("", "ToleranceError", "Hangs"):
                    found.half_imported += 1
                    doubtful = False
                    running.restart()
                    before = children(running.process)
                    for earlier, text in cells:
                        if earlier < k:
                            running.run(text)
                    ran = running.run(source)
                found.note(f"cell {k}, after the interrupts", ran)
            found.settled("at the end", running, before)


def _interrupt(found: Drilled, running: Kernel, k: int, source: str, after: float) -> bool:
    """Interrupt a cell; it may have ended before, but afterwards all is as it was. Return whether an import was cut."""
    before = children(running.process)
    ran = running.run(source, interrupt_after=after)
    where = f"cell {k}, interrupted after {after:.1f} s"
    found.interrupts += 1
    found.caught += bool(ran.error)
    found.slowest = max(found.slowest, ran.seconds - after)
    if ran.error == "Hangs":
        found.wrong.append(f"{found.name} {where}: {ran.message}")
        running.manager.interrupt_kernel()
    if _STAYS.search(source):
        before = {**before, **children(running.process)}
    cut = bool(ran.error) and bool(running.run(_NO_IMPORT_WAS_CUT).error)
    found.settled(where, running, before)
    return cut


def run(names: tuple = (), seed: int = 0, passes: tuple = ("twice", "restart", "interrupt")) -> list[dict[str, Any]]:
    """Run chapters (all, or those whose numbers are given) in orders that nobody planned."""
    wanted = [each for each in chapters() if each.written and (not names or f"{each.number:02d}" in names)]
    rows = []
    for chapter in wanted:
        began = time.perf_counter()
        found = drill(ROOT / chapter.file, seed, passes)
        figures = (
            f"{found.cells} cells run, {found.interrupts} interrupts ({found.caught} in time), the slowest to end took "
            f"{found.slowest:.1f} s; {found.half_imported} restarts because an import was cut; "
            f"{len(found.out_of_tolerance)} scoreboards out of tolerance"
        )
        rows.append(row(found.name, found.cells + found.interrupts, found.wrong, figures))
        say(f"{rows[-1]['what']}: {rows[-1]['result']}; {figures}; {time.perf_counter() - began:.0f} s")
    return rows


if __name__ == "__main__":
    raise SystemExit(main(run))
