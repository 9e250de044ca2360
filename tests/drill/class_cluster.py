"""A class at one cluster: twenty students beside one who has submitted thousands of tasks, and every chapter on it.

Each student is a process of its own that joins as students do. Two thousand tasks are submitted first; two seconds
later twenty come with ten tasks each. It is done twice: with the turns that the class cluster takes, and in the order
in which Dask would run them. Then each chapter with a cell that uses the class cluster is executed there, by itself.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from course.classroom.certificates import Certificates
from course.measure.fairness import FairShares
from course.measure.invitation import VARIABLE, Invitation
from course.measure.shared import SharedCluster, shared

STUDENTS, TASKS, MANY, SECONDS = 20, 10, 2000, 0.1
WORKERS, THREADS = 2, 4
HEAD_START = 2.0
CHAPTERS = (0, 1, 2, 3, 5, 9, 10, 12, 14, 15, 16, 18, 19, 20)
LIMIT = 300.0

# Joins, says so, waits for the word, and tells how long its tasks took and whether their results are right.
STUDENT = """
import json, sys, time
from course import measure

def work(i, seconds):
    time.sleep(seconds)
    return i * i

if __name__ == "__main__":
    tasks, seconds = int(sys.argv[1]), float(sys.argv[2])
    with measure.cluster() as client:
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        done = client.gather(client.map(work, range(tasks), seconds=seconds, pure=False))
        took = time.monotonic() - began
    print(json.dumps({"took": took, "right": done == [i * i for i in range(tasks)]}), flush=True)
"""


def run() -> list[dict[str, Any]]:
    """Return a row for each order, and one for each chapter."""
    return [crowd(fair=True), crowd(fair=False), *map(chapter, CHAPTERS)]


@contextmanager
def served(workers: int, threads: int) -> Iterator[tuple[SharedCluster, dict[str, str], Path]]:
    """Start a class cluster; give it, the environment of a student who joins it, and a folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = Certificates.make(folder / "certificates")
        with shared(made.authority, made.server, workers=workers, threads=threads, dashboard=None) as running:
            line = Invitation.of(running.scheduler_address, made.authority, made.student).line()
            yield running, {**os.environ, VARIABLE: line, "COURSE_HOME": str(folder / "student")}, folder


def crowd(fair: bool, students: int = STUDENTS, many: int = MANY) -> dict[str, Any]:
    """Let one come with many tasks and then others with few; return how long these took."""
    before = children()
    with served(WORKERS, THREADS) as (running, environment, folder):
        if not fair:
            running.scheduler.remove_plugin(FairShares.name)
        script = folder / "student.py"
        script.write_text(STUDENT, encoding="utf-8")
        counts = [many, *[TASKS] * students]
        programs = [start(script, count, environment) for count in counts]
        for program in programs:
            while program.stdout.readline().strip() != "ready":
                if program.poll() is not None:
                    raise RuntimeError("a student's program ended before it had joined")
        for k, program in enumerate(programs):
            program.stdin.write("go\n")
            program.stdin.flush()
            if k == 0:
                time.sleep(HEAD_START)
        told = [json.loads(program.communicate(timeout=LIMIT)[0]) for program in programs]
    left = children() - before
    took = [each["took"] for each in told]
    right = all(each["right"] for each in told)
    share = (students + 1) * TASKS * SECONDS / (WORKERS * THREADS)
    return {
        "what": "in turns" if fair else "in Dask's order",
        "students": students,
        "ideal (s)": round(share, 2),
        "median (s)": round(statistics.median(took[1:]), 2),
        "longest (s)": round(max(took[1:]), 2),
        "who has many (s)": round(took[0], 1),
        "ok": right and not left and (not fair or max(took[1:]) < 3 * share),
    }


def start(script: Path, tasks: int, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start the program of a student with so many tasks."""
    command = [sys.executable, str(script), str(tasks), str(SECONDS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def children() -> set[int]:
    """Return the processes below this one, but for Python's own that counts shared resources."""
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "resource_tracker" not in " ".join(child.cmdline())
    }


def chapter(number: int) -> dict[str, Any]:
    """Execute a chapter that has joined a class cluster of its own."""
    began = time.monotonic()
    with served(WORKERS, THREADS) as (_, environment, _):
        done = subprocess.run(
            [sys.executable, "-m", "course", "run", f"{number:02d}"],
            capture_output=True, text=True, env=environment, timeout=LIMIT,
        )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return {
        "what": f"chapter {number:02d}",
        "longest (s)": round(time.monotonic() - began),
        "why": "" if done.returncode == 0 else lines[-1][:100] if lines else "",
        "ok": done.returncode == 0,
    }
