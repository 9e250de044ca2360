"""Faults: a recorded workload in which, at a random moment, something happens to a worker.

killed    its process is killed
paused    its process stands still for a while, and goes on
cut off   all its connections are dropped
filled    a task fills its memory beyond the limit
program   the whole program, started with ``course record``, is killed

Every time the workload must give the right answer or an error that says what happened, within `LIMIT`; no process may
be left; and ``course diagnose`` must read the trace.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from distributed import Client, Future, KilledWorker

from course import measure
from course.cli import main as course_command
from tests.drill.rows import children, end_all, ended, left, main, row, say
from tests.drill.workload import right_answer, submit

LIMIT = 60.0
MEMORY = 350_000_000
LENGTH = 0.9
"""Seconds that the workload takes without a fault, about: the moments are drawn from these."""

CLEAR = (KilledWorker,)
"""What a workload may raise; its text says which task took which workers with it."""

KINDS = ("killed", "paused", "cut off", "filled", "program")


def _fill() -> int:
    """Take memory until the nanny has had enough."""
    taken = []
    for _ in range(100):
        taken.append(np.ones(2_500_000))
        time.sleep(0.02)
    return len(taken)


async def _drop(dask_worker: Any) -> None:
    """Drop the connections of a worker, to the scheduler and to other workers."""
    pool = dask_worker.rpc
    for comms in [*pool.available.values(), *pool.occupied.values()]:
        for comm in list(comms):
            comm.abort()
    dask_worker.batched_stream.abort()


def _do(kind: str, client: Client, dice: random.Random, kept: list[Future]) -> str:
    """Do something to one worker; return what could not be done, if so. What must not be forgotten goes to `kept`."""
    scheduler = client.cluster.scheduler
    workers = list(scheduler.workers)
    if not workers:
        return "there was no worker at that moment"
    address = dice.choice(sorted(workers))
    if kind == "filled":
        kept.append(client.submit(_fill, workers=[address], pure=False, priority=10))
        return ""
    nannies = {worker.worker_address: worker for worker in client.cluster.workers.values()}
    nanny = nannies.get(address)
    if nanny is None or nanny.pid is None:
        return "the worker was just being started"
    try:
        process = psutil.Process(nanny.pid)
        if kind == "killed":
            process.kill()
        elif kind == "paused":
            seconds = dice.uniform(0.2, 4.0)
            process.suspend()
            time.sleep(seconds)
            process.resume()
        elif kind == "cut off":
            with contextlib.suppress(Exception):  # the worker cannot answer: its connection is cut
                client.run(_drop, workers=[address])
    except psutil.NoSuchProcess:
        return "the worker was gone already"
    return ""


def one(kind: str, seed: int) -> dict[str, Any]:
    """Run the workload once, with one fault; return what came of it."""
    dice = random.Random(f"{kind} {seed}")
    moment = dice.uniform(0.0, LENGTH)
    found: dict[str, Any] = {"kind": kind, "seed": seed, "came": "", "wrong": "", "note": ""}
    before = children()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="course-drill-") as name:
        file = Path(name) / "trace.parquet"
        try:
            (_program if kind == "program" else _cluster)(found, kind, moment, dice, file)
        except Exception as error:
            found["wrong"] = f"{type(error).__name__}: {error}"
        if not found["wrong"] and found["came"] != "nothing recorded":
            found["wrong"] = _unreadable(file)
    found["seconds"] = time.perf_counter() - began
    new = left(before)
    end_all(new)
    if new and not found["wrong"]:
        found["wrong"] = f"{len(new)} processes left: {next(iter(new.values()))[-80:]}"
    return found


def _cluster(found: dict[str, Any], kind: str, moment: float, dice: random.Random, file: Path) -> None:
    """Run the workload on a cluster of this program, recorded."""
    config = {"distributed.worker.memory.pause": False, "distributed.worker.memory.spill": False,
              "distributed.worker.memory.target": False} if kind == "filled" else {}  # fmt: skip
    with (
        measure.expect_faults(),
        measure.cluster(
            3, 1, local=True, dashboard=False, worker_log=False, memory_limit=MEMORY, config=config
        ) as client,
    ):
        with measure.record(client, wait=3.0) as run:
            answer = submit(client)
            notes: list[str] = []
            kept: list[Future] = []

            def strike() -> None:
                time.sleep(moment)
                late = answer.done()
                notes.append("too late" if late else _do(kind, client, dice, kept))

            thread = threading.Thread(target=strike, daemon=True)
            thread.start()
            try:
                came = int(answer.result(timeout=LIMIT))
                found["came"] = "right answer"
                if came != right_answer():
                    found["wrong"] = f"the answer is {came}, not {right_answer()}"
            except CLEAR as error:
                found["came"] = type(error).__name__
                if "worker" not in str(error):
                    found["wrong"] = f"an error without a reason: {error!r}"
            thread.join(timeout=LIMIT)
        found["note"] = notes[0] if notes else "the fault did not end"
        run.trace.save(file)


def _program(found: dict[str, Any], kind: str, moment: float, dice: random.Random, file: Path) -> None:
    """Run the workload as a program under ``course record``, and kill the program."""
    program = [sys.executable, str(Path(__file__).with_name("workload.py"))]
    command = [sys.executable, "-m", "course", "record", "-o", str(file), "--", *program]
    recording = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = psutil.Process(recording.pid)
    assert recording.stdout is not None
    if recording.stdout.readline() != "begins\n":
        found["wrong"] = f"the program did not begin: {recording.communicate(timeout=LIMIT)[1][-200:]!r}"
        return
    time.sleep(moment)
    started = process.children(recursive=True) if recording.poll() is None else []
    if started:
        with contextlib.suppress(psutil.Error):
            process.children()[0].kill()
    else:
        found["note"] = "too late"
    said, told = recording.communicate(timeout=LIMIT)
    if f"answer {right_answer()}" in said:
        found["came"] = "right answer"
    elif recording.returncode == 0:
        found["wrong"] = f"no answer, and status 0; it said {said[-100:]!r}"
    else:
        found["came"] = "killed, status told"
    if not file.exists():
        found["came"] = "nothing recorded"
        if "nothing was recorded" not in told:
            found["wrong"] = f"no trace, and no word of it: {told[-200:]!r}"
    until = time.monotonic() + 10.0
    while (alive := [each for each in started if not ended(each)]) and time.monotonic() < until:
        time.sleep(0.05)  # what it started is no longer below this process
    if alive:
        found["wrong"] = f"{len(alive)} processes of the program are left"
        end_all(each.pid for each in alive)


def _unreadable(file: Path) -> str:
    """Return what is wrong with a trace, if anything: the command must read it, as text and as JSON."""
    for options in ([], ["--json"]):
        said, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
            status = course_command(["diagnose", str(file), *options])
        if status != 0:
            return f"course diagnose {' '.join(options)} fails: {told.getvalue()[-200:]}"
        if options and not json.loads(said.getvalue())["shares"]:
            return "course diagnose --json says nothing"
    return ""


def run(count: int = 200, seed: int = 0, kinds: tuple = KINDS) -> list[dict[str, Any]]:
    """Run a recorded workload again and again, each time with a fault at a random moment."""
    found = []
    for k in range(count):
        each = one(kinds[k % len(kinds)], seed * 100_000 + k)
        found.append(each)
        say(f"faults {k + 1}/{count}: {each['kind']} seed {each['seed']}: {each['came']}, {each['seconds']:.1f} s "
            f"{each['note']} {each['wrong']}")  # fmt: skip
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in found:
        by_kind[each["kind"]].append(each)
    rows = []
    for kind, members in by_kind.items():
        came = Counter(each["came"] for each in members)
        missed = sum(bool(each["note"]) for each in members)
        figures = (
            ", ".join(f"{number} × {what}" for what, number in came.most_common())
            + f"; longest {max(each['seconds'] for each in members):.1f} s"
            + (f"; {missed} came too early or too late" if missed else "")
        )
        wrong = [f"seed {each['seed']}: {each['wrong']}" for each in members if each["wrong"]]
        rows.append(
            row(f"a worker is {kind}" if kind != "program" else "the program is killed", len(members), wrong, figures)
        )
    return rows


if __name__ == "__main__":
    raise SystemExit(main(run))
