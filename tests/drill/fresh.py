"""A fresh machine: the README's two commands on a bare account, with the oldest Python and the newest.

For each Python a new account (``useradd``) clones this project into a folder whose name has spaces and letters that are
not ASCII, and runs ``make lab``; again without a network; ``make test`` without a network; and ``make lab`` and ``make
quick`` once more after the checkout has become somebody else's, who lets it only be read. In the environment ``SELECT``
holds arguments for pytest, so that not all tests are run (``SELECT="-k readme"``), and ``PYTHON`` one interpreter, if
not both are wanted.

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
from pathlib import Path
from typing import Any

from tests.drill import Skipped

ROOT = Path(__file__).parents[2]
FOLDER = "Über den Kurs 课程"
NEEDED = ("useradd", "userdel", "runuser", "unshare", "ip", "git", "make")
NEWEST = 14  # of the 3.x that all dependencies have wheels for

# Hides root's home and keeps in it (if it is there) only the folder of the Python; then becomes the account.
_BECOME = """
set -e
[ -z "$OFFLINE" ] || ip link set lo up
case "$1" in ~/*)
    kept=$(mktemp -d); mount --bind "$1" "$kept"; mount -t tmpfs -o mode=755 tmpfs ~
    mkdir -p "$1"; mount --bind "$kept" "$1"; umount "$kept"; rmdir "$kept" ;;
*)  mount -t tmpfs -o mode=700 tmpfs ~ ;;
esac
exec runuser -l "$2" -c "$3"
"""


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
        Path(folder).chmod(0o755)
        for python in pythons():
            with account() as (user, home):
                rows += [{"python": version(python)[2:], **row} for row in steps(python, user, home, bundle)]
    return rows


def steps(python: Path, user: str, home: Path, bundle: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each step of one account."""
    checkout = home / FOLDER
    select = os.environ.get("SELECT", "")
    start = f"{python} tests/drill/first_start.py PYTHON={python}"
    again = f"{python} tests/drill/first_start.py"

    def step(what: str, command: str, network: bool = True, fails: bool = False) -> dict[str, Any]:
        print(f"fresh: {version(python)}: {what} …", file=sys.stderr, flush=True)
        begun = time.monotonic()
        done = as_account(user, f"cd {shlex.quote(str(checkout))} && {command}", python, network)
        row = {"step": what, "seconds": time.monotonic() - begun, "seen": seen(done.stdout + done.stderr)}
        row["ok"] = (done.returncode != 0) if fails else (done.returncode == 0)
        if not row["ok"]:
            print(done.stdout[-5000:], done.stderr[-5000:], file=sys.stderr)
        return row

    cloned = as_account(user, f"git clone --quiet {bundle} {shlex.quote(FOLDER)}", python)
    cloned.check_returncode()
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


def version(python: Path) -> str:
    """Return the version of an interpreter, as ``v 3.11.7``."""
    return "v " + subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]


@contextlib.contextmanager
def account() -> Iterator[tuple[str, Path]]:
    """Give a new account and its home, and remove both."""
    user = f"drill-{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", user], check=True)
    try:
        yield user, Path(f"~{user}").expanduser()
    finally:
        subprocess.run(
            ["userdel", "--force", "--remove", user], check=True, capture_output=True
        )  # though its processes still end


def as_account(user: str, command: str, python: Path, network: bool = True) -> subprocess.CompletedProcess[str]:
    """Log in and run a command; what it leaves running ends with it."""
    spaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *([] if network else ["--net"])]
    prefix = str(python.parents[1])
    return subprocess.run(
        ["unshare", *spaces, "sh", "-c", _BECOME, "sh", prefix, user, command],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "OFFLINE": "" if network else "1"},
    )  # fmt: skip
