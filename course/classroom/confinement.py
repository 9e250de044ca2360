"""Shut a process in: no network, nothing of this machine's files but Python and the course, an end with its parent.

The walls are bubblewrap's (``bwrap``, the program that also shuts in Flatpak's applications): namespaces of the Linux
kernel. Where there is none, nothing here pretends that there is.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import course
from course.datafiles import data_file

WORK = "/tmp/work"
DISK = 2 * 2**30
"""Bytes that a confined process may write: into a file system in memory, which goes with it."""

_SYSTEM = ("/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives", "/etc/fonts", "/etc/ssl/openssl.cnf")


class ConfinementError(RuntimeError):
    """A process cannot be shut in on this machine; the message says why, and what to do."""


@functools.cache
def missing() -> str | None:
    """Return None if processes can be shut in here, else what is missing, and what to do."""
    if not sys.platform.startswith("linux"):
        return "only Linux has the namespaces that shut a process in; grade in a Linux machine or container"
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed (Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
    tried = subprocess.run(
        [program, "--unshare-all", "--ro-bind", "/", "/", "true"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if tried.returncode:
        return f"bubblewrap does not work here: {tried.stderr.strip()[:200]}"
    return None


def confined(
    command: list[str], replaced: Mapping[Path, Path] | None = None, own: Mapping[Path, Path] | None = None
) -> list[str]:
    """Return the command that runs `command` shut in.

    It sees this Python, its packages, the course's package and data, an empty folder `WORK` in which it starts, and
    nothing else: no home, no notebooks, no other process, no network but a loopback of its own.

    Parameters
    ----------
    command : list of str
    replaced : mapping of Path to Path
        Files of the course, and what stands in their place.
    own : mapping of Path to Path
        Folders of the course, and what stands in their place, to be written to.

    Raises
    ------
    ConfinementError
        It cannot be shut in on this machine.
    """
    problem = missing()
    if problem is not None:
        raise ConfinementError(problem)
    package, data = Path(course.__file__).parent, data_file("chapters.csv").parent
    arguments = [str(shutil.which("bwrap")), "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--size", str(DISK), "--tmpfs", "/tmp", "--dir", WORK]
    arguments += ["--ro-bind", "/usr", "/usr"]
    for place in _SYSTEM:
        if os.path.islink(place):
            arguments += ["--symlink", os.readlink(place), place]
        elif os.path.exists(place):
            arguments += ["--ro-bind", place, place]
    for place in (*_SYSTEM_FILES, *_python_folders(), str(package), str(data)):
        if os.path.exists(place):
            arguments += ["--ro-bind", place, place]
    # An installed course has its notebooks inside the package.
    if (notebooks := package / "_notebooks").exists():
        arguments += ["--tmpfs", str(notebooks), "--remount-ro", str(notebooks)]
    # Compiled modules hold what their sources say, and may be written at any time: the sources alone are shown.
    practice = package / "practice"
    arguments += ["--tmpfs", str(practice)]
    for source in sorted(practice.glob("*.py")):
        arguments += ["--ro-bind", str(source), str(source)]
    for place, other in (replaced or {}).items():
        arguments += ["--ro-bind", str(other), str(place)]
    for place, other in (own or {}).items():
        arguments += ["--bind", str(other), str(place)]
    arguments += ["--size", str(DISK), "--tmpfs", "/dev/shm", "--remount-ro", str(practice), "--remount-ro", "/"]
    for name, value in _environment().items():
        arguments += ["--setenv", name, value]
    return [*arguments, "--chdir", WORK, "--", *command]


def compiled_code(folder: Path) -> dict[Path, Path]:
    """Copy the simulators' compiled code into a folder; return which folders of the course it stands for.

    Numba reads compiled code only from where it could write some, and what a student's process writes must not be read
    by another: so each process has a copy of its own.
    """
    copies = {}
    package = Path(course.__file__).parent
    for k, cache in enumerate(sorted({path.parent for path in package.rglob("__pycache__/*.nbi")})):
        copies[cache] = folder / f"{k}"
        copies[cache].mkdir()
        for file in cache.glob("*.nb[ic]"):  # and no compiled Python
            shutil.copy(file, copies[cache])
    return copies


def _python_folders() -> list[str]:
    """Return where Python and its packages are, each folder once, none inside another or inside ``/usr``."""
    found = {os.path.realpath(sys.base_prefix), sys.base_prefix, sys.prefix, os.path.dirname(sys.executable)}
    found |= {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    kept: list[str] = []
    for folder in sorted(found, key=len):
        if not any(folder == other or folder.startswith(other.rstrip("/") + "/") for other in ["/usr", *kept]):
            kept.append(folder)
    return kept


def _environment() -> dict[str, str]:
    single = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "student",
        "HOME": WORK,
        "COURSE_HOME": f"{WORK}/.course",
        "IPYTHONDIR": f"{WORK}/.ipython",
        "MPLCONFIGDIR": f"{WORK}/.matplotlib",
        "MPLBACKEND": "Agg",
        **dict.fromkeys(single, "1"),
    }
