"""What recording costs: 10,000 tasks of 1 ms with and without `record` and ``course record``, interleaved.

    python tests/bench/bench_record.py [tasks] [rounds]

Prints the median time of each; recording may take at most 1.10 times as long, its own collecting included. Of the
command the whole program is timed, from its start to its end, with the start of its cluster.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from distributed import Client

from course.measure import cluster, record


def plain(client: Client, tasks: int) -> float:
    start = time.perf_counter()
    client.gather(client.map(time.sleep, [0.001] * tasks, pure=False))
    return time.perf_counter() - start


def recorded(client: Client, tasks: int) -> float:
    start = time.perf_counter()
    with record(client) as run:
        client.gather(client.map(time.sleep, [0.001] * tasks, pure=False))
    stop = time.perf_counter()
    assert (run.trace.kind == 0).sum() == tasks
    return stop - start


PROGRAM = """
import sys, time
from distributed import Client

if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        client.gather(client.map(time.sleep, [0.001] * int(sys.argv[1]), pure=False))
"""


def bench(tasks: int = 10_000, rounds: int = 3) -> list[dict]:
    """Return a row for each way to record; 1 / 1.1 is "at most 10 % more"."""
    return [*in_program(tasks, rounds), *by_command(tasks, rounds)]


def by_command(tasks: int, rounds: int) -> list[dict]:
    """Return one row: seconds that a program takes with and without ``course record``, from interleaved runs."""
    times: dict[str, list[float]] = {"plain": [], "recorded": []}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "program.py"
        script.write_text(PROGRAM)
        for k in range(rounds):
            print(f"recording by the command: round {k + 1} of {rounds}", file=sys.stderr)
            trace = ["-o", str(Path(folder) / f"{k}.parquet")]
            pair = [("plain", []), ("recorded", [sys.executable, "-m", "course", "record", *trace, "--"])]
            for name, before in pair if k % 2 == 0 else pair[::-1]:
                start = time.perf_counter()
                # What workers say about a heartbeat that found no scheduler any more is no part of the table.
                command = [*before, sys.executable, str(script), str(tasks)]
                subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
                times[name].append(time.perf_counter() - start)
    return [row(f"course record -- a program of {tasks:,} tasks of 1 ms, against the bare program", times)]


def in_program(tasks: int, rounds: int) -> list[dict]:
    """Return one row: seconds with and without `record`, from interleaved runs."""
    times: dict[str, list[float]] = {"plain": [], "recorded": []}
    with cluster(2) as client:
        plain(client, 500)
        for k in range(rounds):
            print(f"recording: round {k + 1} of {rounds}", file=sys.stderr)
            pair = [("plain", plain), ("recorded", recorded)]
            for name, run in pair if k % 2 == 0 else pair[::-1]:
                times[name].append(run(client, tasks))
                time.sleep(1.0)  # the release of the last run's tasks is not to be charged to the next
    return [row(f"record {tasks:,} tasks of 1 ms, against not recording them", times)]


def row(work: str, times: dict[str, list[float]]) -> dict:
    """Return what the table of benchmarks wants."""
    without, with_it = (statistics.median(values) for values in times.values())
    return {
        "work": work,
        "ours": with_it,
        "peer": without,
        "ratio": without / with_it,
        "target": 1 / 1.1,
        "unit": "s",
    }


if __name__ == "__main__":
    for line in bench(*map(int, sys.argv[1:])):
        print(line)
