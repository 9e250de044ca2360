"""What recording costs: 10,000 tasks of 1 ms with and without `record`, interleaved.

    python tests/bench/bench_record.py [tasks] [rounds]

Prints the median time of each and their ratio; the aim is under 1.10.
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


def main(tasks: int = 10_000, rounds: int = 3) -> None:
    times: dict[str, list[float]] = {"plain": [], "recorded": []}
    with cluster(2) as client:
        plain(client, 500)
        for k in range(rounds):
            print(f"round {k + 1} of {rounds}", file=sys.stderr)
            pair = [("plain", plain), ("recorded", recorded)]
            for name, run in pair if k % 2 == 0 else pair[::-1]:
                times[name].append(run(client, tasks))
                time.sleep(1.0)  # the release of the last run's tasks is not to be charged to the next
    for name, values in times.items():
        print(f"{name:9} median {statistics.median(values):7.2f} s of {[round(v, 2) for v in values]}")
    print(f"ratio {statistics.median(times['recorded']) / statistics.median(times['plain']):.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
