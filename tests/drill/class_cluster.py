"""A class at one cluster: shares, a crowd, the end of the cluster in mid-task, and every chapter on it.

Each student is a process of its own that joins as students do.

- *Shares*: one submits 500 tasks, another 100 a second later; who gets which part of the threads while both have tasks.
- *A crowd*: 2,000 tasks are submitted first; two seconds later twenty come with ten tasks each.
- *Ends*: `course cluster serve` is ended by each signal while a student's tasks run; how long until nothing is left of
  it, and until the student is told in words.
- *Chapters*: each with a cell that uses the class cluster is executed there, by itself.

Shares and crowd are done twice: with the turns that the class cluster takes, and in the order in which Dask would run.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
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
# Those that run to their end on this cluster; scoreboards of the others hold on a cluster of their own size only.
HOLD = (9, 10, 12, 16, 18, 19, 20)
LIMIT = 300.0
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL") if os.name == "posix" else ()

# Joins, says so, waits for the word, and tells when its tasks ran and whether their results are right.
STUDENT = """
import json, sys, time
from course import measure

def work(i, seconds):
    began = time.time()
    time.sleep(seconds)
    return i * i, began, time.time()

if __name__ == "__main__":
    tasks, seconds = int(sys.argv[1]), float(sys.argv[2])
    with measure.cluster() as client:
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        done = client.gather(client.map(work, range(tasks), seconds=seconds, pure=False))
        took = time.monotonic() - began
    right = [i for i, _, _ in done] == [i * i for i in range(tasks)]
    print(json.dumps({"took": took, "right": right, "ran": [when for _, *when in done]}), flush=True)
"""


def run(chapters: Sequence[int] = CHAPTERS) -> list[dict[str, Any]]:
    """Return the rows of all four parts; show each as soon as it is there."""
    parts = [partial(part, fair=fair) for part in (shares, crowd) for fair in (True, False)]
    parts += [partial(end, how) for how in SIGNALS] + [partial(chapter, number) for number in chapters]
    rows = []
    for part in parts:
        rows.append(part())
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


@contextmanager
def served(workers: int, threads: int) -> Iterator[tuple[SharedCluster, dict[str, str], Path]]:
    """Start a class cluster; give it, the environment of a student who joins it, and a folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = Certificates.make(folder / "certificates")
        with shared(made.authority, made.server, workers=workers, threads=threads, dashboard=None) as running:
            line = Invitation.of(running.scheduler_address, made.authority, made.student).line()
            yield running, {**os.environ, VARIABLE: line, "COURSE_HOME": str(folder / "student")}, folder


def shares(fair: bool, first: int = 500, second: int = 100) -> dict[str, Any]:
    """Let one come with many tasks and a second later another; return which part of the threads that one got."""
    many, few = together(fair, [first, second], head_start=1.0)
    begin, end = min(begin for begin, _ in few["ran"]), max(end for _, end in few["ran"])

    def held(ran: list[list[float]]) -> float:
        """Return the thread-seconds between the second one's first task and its last."""
        return sum(max(0.0, min(stop, end) - max(start, begin)) for start, stop in ran)

    share = held(few["ran"]) / (held(few["ran"]) + held(many["ran"]))
    return {
        "what": f"share of the second, {order(fair)}",
        "students": 2,
        "ideal": 0.5,
        "median": share,
        "longest (s)": round(few["took"], 2),
        "ok": many["right"] and few["right"] and (0.4 < share < 0.6 if fair else None),
    }


def order(fair: bool) -> str:
    """Return the order of the tasks in words."""
    return "in turns" if fair else "in Dask's order"


def together(fair: bool, counts: list[int], head_start: float) -> list[dict[str, Any]]:
    """Let students run so many tasks each, all of them a while after the first; return what they tell."""
    with served(WORKERS, THREADS) as (running, environment, folder):
        if not fair:
            running.scheduler.remove_plugin(FairShares.name)
        script = folder / "student.py"
        script.write_text(STUDENT, encoding="utf-8")
        programs = [start(script, count, environment) for count in counts]
        for program in programs:
            while program.stdout.readline().strip() != "ready":
                if program.poll() is not None:
                    raise RuntimeError("a student's program ended before it had joined")
        for k, program in enumerate(programs):
            program.stdin.write("go\n")
            program.stdin.flush()
            if k == 0:
                time.sleep(head_start)
        return [json.loads(program.communicate(timeout=LIMIT)[0]) for program in programs]


def crowd(fair: bool, students: int = STUDENTS, many: int = MANY) -> dict[str, Any]:
    """Let one come with many tasks and then others with few; return how long these took."""
    before = children()
    told = together(fair, [many, *[TASKS] * students], HEAD_START)
    left = children() - before
    took = [each["took"] for each in told]
    right = all(each["right"] for each in told)
    share = (students + 1) * TASKS * SECONDS / (WORKERS * THREADS)
    return {
        "what": f"seconds of those with few, {order(fair)}",
        "students": students,
        "ideal": round(share, 2),
        "median": round(statistics.median(took[1:]), 2),
        "longest (s)": round(max(took[1:]), 2),
        "who has many (s)": round(took[0], 1),
        "ok": right and not left and (not fair or max(took[1:]) < 3 * share),
    }


def start(script: Path, tasks: int, environment: dict[str, str], **more: Any) -> subprocess.Popen[str]:
    """Start the program of a student with so many tasks."""
    command = [sys.executable, str(script), str(tasks), str(SECONDS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, **more)


def children() -> set[int]:
    """Return the processes below this one, but for Python's own that counts shared resources."""
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "resource_tracker" not in " ".join(child.cmdline())
    }


@contextmanager
def signals_as_in_a_terminal() -> Iterator[None]:
    """Let Ctrl-C and a hang-up reach what is started inside, also where we run in the background or below nohup."""
    known = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
    ignored = [each for each in known if signal.getsignal(each) == signal.SIG_IGN]
    for each in ignored:
        signal.signal(each, signal.SIG_DFL)
    try:
        yield
    finally:
        for each in ignored:
            signal.signal(each, signal.SIG_IGN)


def end(how: str) -> dict[str, Any]:
    """End `course cluster serve` by a signal in mid-task; return the seconds until all of it is gone."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        usual = {**os.environ, "COURSE_HOME": str(folder / "student"), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "course", "cluster", "serve", "--class", str(folder), "--port", "0"]
        with signals_as_in_a_terminal():
            server = subprocess.Popen(
                [*command, "--workers", "2", "--dashboard", "0"],
                stdout=subprocess.PIPE, text=True, env=usual, start_new_session=True,
            )  # fmt: skip
        while "ends it" not in server.stdout.readline():
            if server.poll() is not None:
                raise RuntimeError("the class cluster did not start")
        family = psutil.Process(server.pid).children(recursive=True)
        script = folder / "student.py"
        script.write_text(STUDENT, encoding="utf-8")
        line = (folder / "cluster" / "join.txt").read_text(encoding="utf-8")
        student = start(script, 600, {**usual, VARIABLE: line}, stderr=subprocess.PIPE)
        while student.stdout.readline().strip() != "ready":
            if student.poll() is not None:
                raise RuntimeError("a student's program ended before it had joined")
        student.stdin.write("go\n")
        student.stdin.flush()
        time.sleep(1.0)
        began = time.monotonic()
        if how == "SIGINT":  # Ctrl-C goes to all processes of the terminal
            os.killpg(server.pid, signal.SIGINT)
        else:
            server.send_signal(getattr(signal, how))
        said = student.communicate(timeout=60)[1]
        told = time.monotonic() - began
        server.communicate(timeout=60)
        _, alive = psutil.wait_procs(family, timeout=30)
        gone = time.monotonic() - began
    return {
        "what": f"ended by {how} in mid-task",
        "students": 1,
        "median": None,
        "longest (s)": round(gone, 1),
        "student told after (s)": round(told, 1),
        "ok": "has ended, or the network to it" in said and not alive and gone < 15,
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
        "ok": done.returncode == 0 or (False if number in HOLD else None),
    }
