"""What recording costs: 10,000 tasks of 1 ms with and without `record`, interleaved.

    python tests/bench/bench_record.py [tasks] [rounds]

Prints the median time of each; recording may take at most 1.10 times as long, its own collecting included.
"""

from __future__ import annotations

import statistics
import sys
import time

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


def bench(tasks: int = 10_000, rounds: int = 3) -> list[dict]:
    """Return one row: seconds with and without recording, from interleaved runs; 1 / 1.1 is "at most 10 % more"."""
    times: dict[str, list[float]] = {"plain": [], "recorded": []}
    with cluster(2) as client:
        plain(client, 500)
        for k in range(rounds):
            print(f"recording: round {k + 1} of {rounds}", file=sys.stderr)
            pair = [("plain", plain), ("recorded", recorded)]
            for name, run in pair if k % 2 == 0 else pair[::-1]:
                times[name].append(run(client, tasks))
                time.sleep(1.0)  # the release of the last run's tasks is not to be charged to the next
    without, with_it = (statistics.median(values) for values in times.values())
    return [
        {
            "work": f"record {tasks:,} tasks of 1 ms, against not recording them",
            "ours": with_it,
            "peer": without,
            "ratio": without / with_it,
            "target": 1 / 1.1,
            "unit": "s",
        }
    ]


if __name__ == "__main__":
    for row in bench(*map(int, sys.argv[1:])):
        print(row)
