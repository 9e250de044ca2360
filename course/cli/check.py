"""``course check``: is this machine ready? One line for each requirement, with the cure for what is not."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import course
from course.cli.place import settle
from course.cli.warmup import is_compiled
from course.home import home

DISTRIBUTION = "tuning-distributed-systems"
OLDEST_PYTHON = (3, 11)
MEMORY = 1.5e9
DISK = 1e9
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


@dataclass(frozen=True)
class Finding:
    """One line of the report. A ``note`` is worth knowing and no failure."""

    what: str
    state: Literal["ok", "note", "FAIL"]
    found: str
    cure: str = ""


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser("check", help="is this machine ready for the course?")
    command.add_argument("dir", nargs="?", metavar="DIR", help="your folder, where it is not the usual one")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report; return 1 when something has to be cured."""
    settle(arguments.dir)
    failed = 0
    for look in (python, packages, kernel, widgets, memory, disk, compiled, cluster, chromium):
        finding = guarded(look)
        failed += finding.state == "FAIL"
        print(f"{finding.state:>4}  {finding.what:<10}  {finding.found}", flush=True)
        if finding.cure:
            print(f"      {'':<10}  → {finding.cure}", flush=True)
    print("This machine is ready." if not failed else f"{failed} to be cured.")
    return 1 if failed else 0


def guarded(look: Callable[[], Finding]) -> Finding:
    """Return what `look` finds; an error in looking is a failure of its requirement, not of the report."""
    try:
        return look()
    except Exception as error:  # whatever is broken on this machine, the other lines are still wanted
        return Finding(
            look.__name__, "FAIL", f"{type(error).__name__}: {error}", "install the course anew (see README)"
        )


def python() -> Finding:
    """Look at the version of Python."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "FAIL", found, "the course needs Python 3.11 or newer: PYTHON=python3.12 make lab")
    return Finding("python", "ok", found)


def constraints_file() -> Path | None:
    """Return the file of pinned versions: a checkout's, or else the one inside the wheel."""
    package = Path(course.__file__).parent
    places = (package.parent / "constraints.txt", package / "_constraints.txt")
    return next((place for place in places if place.is_file()), None)


def pins(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and version of each pin in the `text` of a constraints file.

    Examples
    --------
    >>> list(pins("# a comment\\ndask==2026.8.0\\n"))
    [('dask', '2026.8.0')]
    """
    for line in text.splitlines():
        name, equal, pinned = line.partition("#")[0].partition("==")
        if equal:
            yield name.strip(), pinned.partition(";")[0].strip()


def packages() -> Finding:
    """Compare the installed packages with the pins."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    # `course` may be on the path without being installed: then its requirements are not known.
    needed = [Requirement(line) for line in requires(DISTRIBUTION) or []]
    needed = [need for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    missing = [need.name for need in needed if not _installed(need.name)]
    cure = "install again: make lab, or pip install -c constraints.txt -e . (see README)"
    if missing:
        return Finding("packages", "FAIL", f"missing: {', '.join(missing)}", cure)
    constraints = constraints_file()
    if constraints is None:
        return Finding("packages", "note", "no constraints.txt to compare the versions with")
    older, newer = [], []
    count = 0
    for name, pinned in pins(constraints.read_text(encoding="utf-8")):
        found = _installed(name)
        if found is None:
            continue  # of another system, or an extra that is not wanted here
        count += 1
        if Version(found) != Version(pinned):
            (older if Version(found) < Version(pinned) else newer).append(f"{name} {found} (tested: {pinned})")
    if older:
        return Finding("packages", "FAIL", "too old: " + ", ".join(older + newer), cure)
    if newer:
        return Finding("packages", "note", "newer than tested: " + ", ".join(newer), cure)
    return Finding("packages", "ok", f"{count} of {count} as tested")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def kernel() -> Finding:
    """Look whether notebooks will run on this Python."""
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager

    command = KernelSpecManager().get_kernel_spec(NATIVE_KERNEL_NAME).argv[0]
    # Jupyter replaces a bare "python" by the interpreter that runs the server.
    if command in ("python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}"):
        command = sys.executable
    # Not resolved: in a virtual environment python is a link, and the link is what makes the difference.
    same = Path(command).parent == Path(sys.executable).parent
    if not same:
        return Finding(
            "kernel",
            "FAIL",
            f"the kernel {NATIVE_KERNEL_NAME!r} runs {command}, not {sys.executable}",
            f"jupyter kernelspec remove {NATIVE_KERNEL_NAME}",
        )
    return Finding("kernel", "ok", f"{NATIVE_KERNEL_NAME!r} runs this Python")


def widgets() -> Finding:
    """Look whether JupyterLab shows widgets and the Dask dashboard."""
    from jupyter_core.paths import jupyter_path
    from jupyterlab_server.config import get_federated_extensions, get_page_config

    folders = jupyter_path("labextensions")
    present = get_federated_extensions(folders)
    disabled = get_page_config(folders).get("disabledExtensions", [])
    wanted = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets", "dask-labextension": "dask-labextension"}
    for extension, package in wanted.items():
        if extension not in present:
            return Finding(
                "widgets", "FAIL", f"JupyterLab has no {extension}", f"pip install --force-reinstall {package}"
            )
        if any(name == extension or name.startswith(f"{extension}:") for name in disabled):
            return Finding("widgets", "FAIL", f"{extension} is disabled", f"jupyter labextension enable {extension}")
    found = ", ".join(f"{extension} {present[extension]['version']}" for extension in wanted)
    return Finding("widgets", "ok", found)


def memory() -> Finding:
    """Look at the free memory."""
    import psutil

    from course.measure.start import MEMORY_LIMIT  # this machine's, or less: a container's

    free = min(psutil.virtual_memory().available, MEMORY_LIMIT)
    found = f"{free / 1e9:.1f} GB free"
    if free < MEMORY:
        return Finding("memory", "FAIL", found, f"close other programs: {MEMORY / 1e9:.1f} GB are needed")
    return Finding("memory", "ok", found)


def disk() -> Finding:
    """Look at the free space where the learner's folder is, or will be."""
    folder = home().resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if free < DISK:
        return Finding("disk", "FAIL", found, f"make room ({DISK / 1e9:.0f} GB), or: course lab DIR elsewhere")
    return Finding("disk", "ok", found)


def compiled() -> Finding:
    """Look whether the simulators are compiled."""
    if is_compiled():
        return Finding("simulators", "ok", "compiled")
    return Finding("simulators", "note", "not compiled yet", "course warm-up (`course lab` does it by itself)")


def cluster() -> Finding:
    """Start a Dask cluster as the chapters do, and let it compute."""
    from course.measure import cluster as start

    try:
        with start(workers=1, dashboard=False) as client:
            answer = client.submit(sum, range(10)).result(timeout=30)
    except OSError as error:  # one that was joined, or is named by Dask's settings, and does not answer
        return Finding("cluster", "FAIL", str(error))
    if answer != 45:
        return Finding("cluster", "FAIL", f"sum(range(10)) gave {answer}, not 45", "install the course anew")
    return Finding("cluster", "ok", "started, computed, stopped")


def chromium() -> Finding:
    """Look for Chromium, which only the tests need."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found:
        return Finding("chromium", "ok", f"{found} (only the tests need it)")
    return Finding("chromium", "note", "not found; only the tests of the explorers need it")
