"""How fast Dask's scheduler and workers are simulated, against the plain Python that the tests compare it with.

    python tests/bench dask

The ranks are given: `dask.order`, which finds them otherwise, is Dask's own and not ours to time. The twin runs a small
part of the tasks, and its time is scaled up by their number; it scans more than we do, so that favours it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from timing import best

from course.graph import TaskGraph, independent, layered
from course.simulate import Cluster, run, warm_up
from course.simulate.dask.policy import Dask

FEW = 400
"""Tasks that plain Python simulates."""


def uneven(n: int) -> TaskGraph:
    """Return independent tasks, of which many are queued and some are stolen."""
    return independent(n, duration=np.random.default_rng(0).exponential(1.0, n))


def layers(n: int) -> TaskGraph:
    """Return layers of up to 1,000 tasks that read two results of 1 MB each."""
    width = min(1000, n // 4)
    return layered(n // width, width, degree=2, output_size=1e6, seed=0)


def bench() -> list[dict]:
    """Return the rows of the benchmark."""
    # By its file: ciw installs a package that is called tests, too.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from test_simulate_dask import PlainDask

    warm_up()
    rows = []
    for what, make in (("independent, uneven tasks", uneven), ("tasks in layers, with network", layers)):
        for workers in (100, 1000):
            cluster = Cluster(workers, latency=1e-3, bandwidth=1e9, scheduler_overhead=1e-4, release_delay=1e-3)
            few = make(FEW)
            plain = best(lambda g=few, c=cluster: PlainDask(g, c, Dask(rank=np.arange(len(g))), 0).run(), 1) / len(few)
            smaller = None
            for n in (10**4, 10**5):
                graph, policy = make(n), Dask(rank=np.arange(n))
                seconds = best(lambda g=graph, c=cluster, p=policy: run(g, c, p), 3)
                work = f"{n:,} {what}, on {workers:,} workers: {n / seconds:,.0f} tasks/s"
                if smaller is not None:
                    work += f", {seconds / smaller:.1f} times as long as 10,000"
                smaller = seconds
                row = {"work": work, "ours": seconds, "peer": plain * n, "ratio": plain * n / seconds}
                rows.append({**row, "target": None, "unit": "s"})
    return rows
