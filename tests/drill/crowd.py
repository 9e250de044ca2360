"""A crowd: many kernels run the same chapter at once on one machine, each with a limit on its memory.

Each must end: it finishes, or it says why not (a tolerance that a busy machine breaks, no memory) with the cell. The
limit (addresses of each process: ``RLIMIT_AS``) holds for the kernel and the workers that it starts; where the system
has none, there is none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from tests.drill.rows import children, end_all, left, main, row, say

LIMITED = """
import sys
from course.cli import main
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
except ImportError:
    pass
sys.exit(main(["run", "--timeout", sys.argv[3], sys.argv[2]]))
"""
"""``course run`` with a limit that its kernel and the workers inherit."""

PATIENCE = 1800.0
_REASON = re.compile(
    r"^\w*(Error|Exception|Warning)\b.*|.*\b(kernel|memory|unavailable|more than [\d.]+ s)\b.*", re.IGNORECASE
)


def reason(said: str) -> str:
    """Return the line that says why a run failed, or nothing.

    Examples
    --------
    >>> reason("notebooks/05.ipynb, cell 7:\\nmain()\\n\\nMemoryError: no room for 4 GB")
    'MemoryError: no room for 4 GB'
    """
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line).strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if _REASON.match(line)), "")


def crowd(kernels: int, chapter: str, memory: float, timeout: float) -> list[dict[str, Any]]:
    """Run a chapter in so many kernels at once; return what came of each."""
    with tempfile.TemporaryDirectory(prefix="course-drill-", ignore_cleanup_errors=True) as name:
        environment = {**os.environ, "COURSE_HOME": name, "TMPDIR": name, "PYTHONPATH": os.pathsep.join(sys.path)}
        began = time.perf_counter()
        running = []
        for k in range(kernels):
            output = open(Path(name) / f"{k}.txt", "w+", encoding="utf-8")  # noqa: SIM115
            command = [sys.executable, "-c", LIMITED, str(int(memory * 2**30)), chapter, str(timeout)]
            running.append(
                (subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment), output)
            )
        found, least = [], float("inf")
        waiting = dict(enumerate(running))
        while waiting and time.perf_counter() - began < PATIENCE:
            time.sleep(0.5)
            least = min(least, psutil.virtual_memory().available)
            for k, (process, output) in list(waiting.items()):
                if process.poll() is None:
                    continue
                del waiting[k]
                output.seek(0)
                said = output.read()
                output.close()
                seconds = time.perf_counter() - began
                found.append({"seconds": seconds, "status": process.returncode, "said": said, "least": least})
                came = "finished" if process.returncode == 0 else reason(said)
                say(f"crowd: kernel {k} after {seconds:.0f} s: {came}")
        for process, output in waiting.values():
            process.kill()
            process.wait()
            output.close()
            found.append({"seconds": PATIENCE, "status": None, "said": "", "least": least})
        kept = [path.name for path in Path(name).iterdir() if path.name.startswith(("course-dask-", "course-check-"))]
        for each in found:
            each["kept"] = kept
    return found


def run(
    kernels: int = 20, chapter: str = "05", memory: tuple = (4.0, 0.5), timeout: float = 900.0
) -> list[dict[str, Any]]:
    """Run a chapter in many kernels at once, once for each limit on memory [GiB]."""
    rows = []
    for limit in map(float, memory):
        before = children()
        found = crowd(kernels, chapter, limit, timeout)
        new = left(before)
        end_all(new)
        wrong = [f"{len(new)} processes left"] if new else []
        wrong += [f"{len(found[0]['kept'])} folders left: {found[0]['kept'][0]}"] if found[0]["kept"] else []
        came: Counter[str] = Counter()
        for each in found:
            if each["status"] == 0:
                came["finished"] += 1
            elif each["status"] is None:
                wrong.append(f"no end within {PATIENCE:g} s")
            elif why := reason(each["said"]):
                came[re.split(r"[:(]", re.sub(r"^.*\.ipynb: ", "", why))[0][:60]] += 1
            else:
                wrong.append(f"no reason, status {each['status']}: {each['said'][-200:]!r}")
        figures = (
            ", ".join(f"{number} × {what}" for what, number in came.most_common())
            + f"; all ended within {max(each['seconds'] for each in found):.0f} s; the machine had at least "
            f"{min(each['least'] for each in found) / 2**30:.1f} GiB left"
        )
        rows.append(row(f"{kernels} kernels run chapter {chapter}, {limit:g} GiB each", kernels, wrong, figures))
    return rows


if __name__ == "__main__":
    raise SystemExit(main(run))
