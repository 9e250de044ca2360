"""How fast the simulators are, against plain Python, SimPy and Ciw.

    python tests/bench simulate

Each row has what was done, our seconds, the peer's, their ratio (peer / ours: how many times as fast we are), the
target and the unit. Peers that are too slow for the whole work do less of it; their time is then scaled up by
the number of tasks or customers, and the row says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from course.graph import TaskGraph, independent, layered
from course.simulate import Cluster, queue, run, warm_up


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the least of several timings: what the work takes when nothing else disturbs it."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def row(work: str, ours: float, peer: float | None = None, target: float | None = None) -> dict:
    ratio = None if peer is None else peer / ours
    return {"work": work, "ours": ours, "peer": peer, "ratio": ratio, "target": target, "unit": "s"}


def tasks_with_network(n: int) -> tuple[TaskGraph, Cluster]:
    graph = layered(n // 1000, 1000, degree=2, output_size=1e6, seed=0)
    return graph, Cluster(1000, latency=1e-3, bandwidth=1e9, scheduler_overhead=1e-6)


def simpy_queue(n: int, servers: int) -> None:
    import simpy

    rng = np.random.default_rng(0)
    gaps, service = rng.exponential(1.0, n).tolist(), rng.exponential(0.8 * servers, n).tolist()
    env = simpy.Environment()
    desk = simpy.Resource(env, servers)

    def customer(i: int):
        with desk.request() as turn:
            yield turn
            yield env.timeout(service[i])

    def arrivals():
        for i in range(n):
            yield env.timeout(gaps[i])
            env.process(customer(i))

    env.process(arrivals())
    env.run()


def ciw_queue(n: int, servers: int) -> None:
    import ciw

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=1.0)],
        service_distributions=[ciw.dists.Exponential(rate=1 / (0.8 * servers))],
        number_of_servers=[servers],
    )
    ciw.seed(0)
    ciw.Simulation(network).simulate_until_max_customers(n)


def in_new_process(code: str, **environment: str) -> float:
    """Return the seconds that code takes in a Python of its own, its imports included, its start not."""
    timed = f"import time; began = time.perf_counter()\n{code}\nprint(time.perf_counter() - began)"
    result = subprocess.run(
        [sys.executable, "-c", timed], env=os.environ | environment, check=True, capture_output=True, text=True
    )
    return float(result.stdout.split()[-1])


def bench() -> list[dict]:
    """Return the rows of the benchmark."""
    # By its file: ciw installs a package that is called tests, too.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from test_simulate import plain_run

    warm_up()
    rows = []
    graph, cluster = tasks_with_network(100_000)
    ours = best(lambda: run(graph, cluster))
    rows.append(row("100,000 tasks on 1,000 workers, with network, against a bound of 0.1 s", ours, 0.1, 1))
    small, _ = tasks_with_network(2_000)
    plain = best(lambda: plain_run(small, cluster, list(range(len(small)))), 1)
    rows.append(row("the same, against plain Python (scaled up from 2,000 tasks)", ours, plain * 50))
    million = independent(10**6, duration=np.random.default_rng(0).exponential(1.0, 10**6))
    rows.append(row("1,000,000 independent tasks on 1,000 workers", best(lambda: run(million, 1000), 3)))
    rows.append(row("make layered(1000, 200): 200,000 tasks", best(lambda: layered(1000, 200), 1)))
    rows.append(row("make independent(1,000,000)", best(lambda: independent(10**6), 3)))

    n = 10**6
    rng = np.random.default_rng(0)
    for servers in (1, 4):
        gaps, service = rng.exponential(1.0, n), rng.exponential(0.8 * servers, n)
        ours = best(lambda g=gaps, s=service, c=servers: queue(g, s, c))
        for peer, work, few in (("SimPy", simpy_queue, 20_000), ("Ciw", ciw_queue, 10_000)):
            theirs = best(lambda w=work, k=few, c=servers: w(k, c), 2) * n / few
            rows.append(row(f"M/M/{servers}, 1,000,000 customers, against {peer} (scaled from {few:,})", ours, theirs))
    for discipline in ("lifo", "sjf", "srpt", "ps"):
        ours = best(lambda g=gaps, s=service, d=discipline: queue(g, s, 4, d), 3)
        rows.append(row(f"M/M/4, 1,000,000 customers, {discipline}", ours))

    first = "from course.graph import fork_join; from course.simulate import run; run(fork_join(8), 4)"
    rows.append(
        row(
            "first run in a new process, compiled before, against a bound of 1 s",
            min(in_new_process(first) for _ in range(3)),
            1.0,
            1,
        )
    )
    with tempfile.TemporaryDirectory() as cache:
        cold = in_new_process("from course.simulate import warm_up; warm_up()", NUMBA_CACHE_DIR=cache)
    rows.append(row("compile all simulators, nothing cached", cold))
    return rows
