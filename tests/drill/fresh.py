"""A fresh machine: the README's two commands on a bare account, with the oldest Python and the newest.

For each Python a new account (``useradd``) clones this project into a folder whose name has spaces and letters that are
not ASCII, and runs ``make lab``; again without a network; ``make test`` without a network; and ``make lab`` and ``make
quick`` once more after the checkout has become somebody else's, who lets it only be read. In the environment

SELECT  holds arguments for pytest, so that not all tests are run (``SELECT="-k readme"``);
PYTHON  names one interpreter, if not both are wanted;
DEBIAN  names a release of Debian (``testing``): a machine is made of it (``debootstrap``), with its Python and its
        browser, on the kernel of this one. Two gigabytes, and a few minutes before the first step.

Nothing of root's own home is seen by the account, but the Python itself where that is in there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drill import Skipped

ROOT = Path(__file__).parents[2]
FOLDER = "Über den Kurs 课程"
NEEDED = ("useradd", "userdel", "runuser", "unshare", "ip", "git", "make")
NEWEST = 14  # of the 3.x that all dependencies have wheels for
ON_DEBIAN = ("python3", "python3-venv", "git", "iproute2")  # beside what `.ci/run` installs

# Hides root's home and keeps in it (if it is there) only the folder of the Python; then becomes the account. The shell
# stays: it is the first process, and asks for the status of those whose parent has ended.
_BECOME = """
set -e
[ -z "$OFFLINE" ] || ip link set lo up
case "$1" in ~/*)
    kept=$(mktemp -d); mount --bind "$1" "$kept"; mount -t tmpfs -o mode=755 tmpfs ~
    mkdir -p "$1"; mount --bind "$kept" "$1"; umount "$kept"; rmdir "$kept" ;;
*)  mount -t tmpfs -o mode=700 tmpfs ~ ;;
esac
runuser -l "$2" -c "$3"
exit
"""

# The same on another machine, whose root is a folder of this one.
_BECOME_THERE = """
set -e
[ -z "$OFFLINE" ] || ip link set lo up
mount --bind "$1" "$1"; cd "$1"
mount -t proc proc proc; mount -t sysfs sysfs sys; mount --rbind /dev dev
pivot_root . .; umount -l .  # and no chroot, in which nobody may make namespaces
runuser -l "$2" -c "$3"
exit
"""


@dataclass(frozen=True)
class Machine:
    """A Python, and where it is: this machine, or another one whose root is a folder."""

    python: Path
    root: Path = Path("/")

    def __str__(self) -> str:
        command = [*(["chroot", str(self.root)] if self.root != Path("/") else []), str(self.python), "-V"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]


def run() -> list[dict[str, Any]]:
    """Return a row for each Python and step."""
    if os.name != "posix" or os.geteuid() != 0:
        raise Skipped("only root can make accounts")
    if missing := [command for command in NEEDED if shutil.which(command) is None]:
        raise Skipped(f"not found: {', '.join(missing)}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="drill-fresh-") as folder:
        bundle = Path(folder) / "course.bundle"
        subprocess.run(["git", "-C", ROOT, "bundle", "create", "--quiet", bundle, "HEAD"], check=True)
        with machines() as found:
            for machine in found:
                with account(machine) as user:
                    rows += [{"python": str(machine), **row} for row in steps(machine, user, bundle)]
    return rows


def steps(machine: Machine, user: str, bundle: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each step of one account."""
    python, home = machine.python, Path("/home") / user
    there = machine.root / home.relative_to("/")
    checkout = there / FOLDER
    select = os.environ.get("SELECT", "")
    start = f"{python} tests/drill/first_start.py PYTHON={python}"
    again = f"{python} tests/drill/first_start.py"

    def step(what: str, command: str, network: bool = True, fails: bool = False) -> dict[str, Any]:
        print(f"fresh: Python {machine}: {what} …", file=sys.stderr, flush=True)
        begun = time.monotonic()
        done = as_account(user, f"cd {shlex.quote(FOLDER)} && {command}", machine, network)
        row = {"step": what, "seconds": time.monotonic() - begun, "seen": seen(done.stdout + done.stderr)}
        row["ok"] = (done.returncode != 0) if fails else (done.returncode == 0)
        if not row["ok"]:
            print(done.stdout[-5000:], done.stderr[-5000:], file=sys.stderr)
        return row

    shutil.copy(bundle, there)
    as_account(user, f"git clone --quiet {bundle.name} {shlex.quote(FOLDER)}", machine).check_returncode()
    yield step("make lab", start)
    yield step("make lab again, no network", again, network=False)
    yield step("make test, no network", f"make test ARGS={shlex.quote(select)}", network=False)
    subprocess.run(["chown", "-R", "root:root", checkout], check=True)
    subprocess.run(["chmod", "-R", "go-w", checkout], check=True)
    yield step("make lab, checkout read-only", again, network=False)
    yield step("make quick, checkout read-only", f"make quick ARGS={shlex.quote(select)}")
    shutil.rmtree(checkout / ".venv")
    row = step("the same, nothing installed: says what to do", f"make lab PYTHON={python}", fails=True)
    yield {**row, "ok": row["ok"] and "COURSE_VENV=" in row["seen"]}
    yield step("make lab COURSE_VENV=~/env, checkout read-only", f"{start} COURSE_VENV={home}/env")


def seen(output: str) -> str:
    """Return what a step showed, in a few words."""
    for line in output.splitlines():
        if line.startswith('{"page"'):
            shown = json.loads(line)
            return f"the page: {shown['page']}; {shown['entries']} entries; 00 with {shown['cells']} cells"
    counts = re.findall(r"^=* ?((?:\d+ \w+, )*\d+ (?:passed|skipped|failed|deselected|errors?)\b.*?) in ", output, re.M)
    if counts:
        return "; ".join(counts)
    said = [line for line in output.strip().splitlines() if not line.startswith("make: ")]
    return said[-1][:160] if said else "nothing"


def pythons() -> list[Path]:
    """Return the oldest Python that the course bears, and the newest, of those on this machine."""
    if named := os.environ.get("PYTHON"):
        return [Path(named).resolve()]
    found = {}
    for minor in range(11, NEWEST + 1):
        pyenv = sorted(map(str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")))
        for place in filter(None, [shutil.which(f"python3.{minor}"), *pyenv]):
            command = [place, "-c", "import sys, venv, ensurepip; print(sys._base_executable)"]
            real = subprocess.run(command, capture_output=True, text=True)
            if real.returncode == 0:
                found[minor] = Path(real.stdout.strip()).resolve()
    if not found:
        raise Skipped("no Python 3.11 or newer with venv was found")
    return [found[minor] for minor in sorted({min(found), max(found)})]


@contextlib.contextmanager
def machines() -> Iterator[list[Machine]]:
    """Give the machines that are wanted."""
    if release := os.environ.get("DEBIAN"):
        with debian(release) as root:
            yield [Machine(Path("/usr/bin/python3"), root)]
    else:
        yield [Machine(python) for python in pythons()]


@contextlib.contextmanager
def debian(release: str) -> Iterator[Path]:
    """Make the root of a machine with a release of Debian and what `.ci/run` installs; remove it."""
    if shutil.which("debootstrap") is None:
        raise Skipped("not found: debootstrap")
    asked = re.search(r"--no-install-recommends((?: \\\n| +[a-z0-9-]+)+)", (ROOT / ".ci" / "run").read_text())
    assert asked, ".ci/run no longer says what it installs"
    packages = [*ON_DEBIAN, *asked[1].replace("\\", " ").split()]
    with tempfile.TemporaryDirectory(prefix="drill-debian-") as folder:
        print(f"fresh: Debian {release} …", file=sys.stderr, flush=True)
        # In namespaces of their own: no mount is left when they are removed.
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        make = ["debootstrap", "--variant=minbase", "--include=ca-certificates", release, folder]
        subprocess.run([*alone, *make], check=True, stdout=subprocess.DEVNULL)
        Path(folder).chmod(0o755)
        for name in ("resolv.conf", "hosts", "ssl/certs/ca-certificates.crt"):  # the same network
            shutil.copy(Path("/etc") / name, Path(folder) / "etc" / name)
        install = "mount -t proc proc proc; mount --rbind /dev dev; exec chroot . apt-get install --yes --quiet=2 "
        subprocess.run(
            [*alone, "sh", "-c", install + "--no-install-recommends " + shlex.join(packages)],
            check=True, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
        yield Path(folder)


@contextlib.contextmanager
def account(machine: Machine) -> Iterator[str]:
    """Give a new account with a home below ``/home``, and remove both."""
    user, on = f"drill-{os.getpid()}", ["--root", str(machine.root)]
    home = ["--create-home", "--home-dir", f"/home/{user}", "--shell", "/bin/sh"]
    subprocess.run(["useradd", *on, *home, user], check=True)
    try:
        yield user
    finally:
        subprocess.run(
            ["userdel", *on, "--force", "--remove", user], check=True, capture_output=True
        )  # though its processes still end


def as_account(user: str, command: str, machine: Machine, network: bool = True) -> subprocess.CompletedProcess[str]:
    """Log in and run a command; what it leaves running ends with it."""
    spaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *([] if network else ["--net"])]
    there = machine.root != Path("/")
    become, place = (_BECOME_THERE, machine.root) if there else (_BECOME, machine.python.parents[1])
    return subprocess.run(
        ["unshare", *spaces, "sh", "-c", become, "sh", str(place), user, command],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "OFFLINE": "" if network else "1"},
    )  # fmt: skip
