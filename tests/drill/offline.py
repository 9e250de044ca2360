"""Offline: after set-up, the whole suite with the network cut off (a network namespace with loopback only).

``SELECT`` in the environment holds arguments for pytest, so that not all is run: ``SELECT="-k readme"``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.drill import Skipped
from tests.drill.namespaces import cut_off, why_not

ROOT = Path(__file__).parents[2]
_REACH = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=10)"
_SUMMARY = re.compile(r"^=* ?((?:\d+ \w+, )*\d+ (?:passed|failed|skipped|deselected|errors?)\b.*?) in ([\d.]+)s", re.M)


def run() -> list[dict[str, Any]]:
    """Return a row for each run of pytest in ``make test``."""
    if reason := why_not():
        raise Skipped(reason)
    reached = subprocess.run(cut_off([sys.executable, "-c", _REACH]), capture_output=True, text=True)
    last = reached.stderr.strip().splitlines()[-1]
    rows = [
        {"what": "reaching out, to see that it is cut off", "seen": last, "seconds": None, "ok": "unreachable" in last}
    ]
    command = ["make", "test", f"ARGS={os.environ.get('SELECT', '')}"]
    begun = time.monotonic()
    done = subprocess.run(cut_off(command), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout[-20_000:], file=sys.stderr)
    parts = _SUMMARY.findall(done.stdout)
    rows += [
        {"what": f"make test, part {part}", "seen": counts, "seconds": float(took), "ok": "failed" not in counts}
        for part, (counts, took) in enumerate(parts, start=1)
    ]
    took = time.monotonic() - begun
    return [
        *rows,
        {"what": "make test", "seen": f"exit status {done.returncode}", "seconds": took, "ok": not done.returncode},
    ]
