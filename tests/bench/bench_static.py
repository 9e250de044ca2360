"""How fast static scheduling is, against SAGA, and how its time grows.

    python tests/bench static

Rows as in the other benchmarks. Without SAGA (`anrg.saga` on PyPI) its row says so and has no target. A row of growth
compares the time with that of a tenth of the work, which is its "peer" and is scaled by n log n: a ratio near 1 means
that the time grows so.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from timing import best, row

from course.graph import TaskGraph, layered, random_dag
from course.simulate import Cluster, optimal, run, schedule


def layers(n: int, machines: int, width: int) -> tuple[TaskGraph, np.ndarray]:
    graph = layered(n // width, width, degree=2, output_size=1.0, seed=0)
    return graph, np.random.default_rng(0).uniform(0.5, 1.5, (n, machines))


def in_saga(graph: TaskGraph, cluster: Cluster):
    import logging

    import saga

    logging.getLogger().setLevel(logging.ERROR)  # it warns of several first tasks, and adds one before them
    n, m = len(graph), cluster.workers
    owner = np.repeat(np.arange(n), np.diff(graph.indptr))
    edges = zip(graph.indices.tolist(), owner.tolist(), graph.sizes.tolist(), strict=True)
    tasks = [(str(i), float(graph.duration[i])) for i in range(n)]
    nodes = [(str(p), float(cluster.speed[p])) for p in range(m)]
    links = [(str(p), str(q), math.inf if p == q else float(cluster.bandwidth)) for p in range(m) for q in range(p, m)]
    return (
        saga.Network.create(nodes, links),
        saga.TaskGraph.create(tasks, [(str(b), str(a), size) for b, a, size in edges]),
    )


def against_saga(n: int, m: int) -> list[dict]:
    graph = layered(n // 20, 20, degree=2, output_size=1.0, seed=0)
    cluster = Cluster(m, speed=np.linspace(1.0, 2.0, m), bandwidth=1.0)
    work = f"HEFT, {n:,} tasks on {m} machines, against SAGA"
    schedule(graph, cluster)
    try:
        import saga  # noqa: F401
        from saga.schedulers import HeftScheduler
    except ImportError:
        return [row(f"{work} (left out: SAGA is not installed)", best(lambda: schedule(graph, cluster), 20))]
    network, tasks = in_saga(graph, cluster)
    theirs = best(lambda: HeftScheduler().schedule(network, tasks), 1)
    return [row(work, best(lambda: schedule(graph, cluster), 20), theirs, 2000)]


def plain(n: int) -> float:
    """Return the seconds of HEFT in plain Python (the tests' twin), for n tasks on 10 machines."""
    from pathlib import Path

    # By its file: ciw installs a package that is called tests, too.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from test_static import twin

    graph, costs = layers(n, 10, 20)
    return best(lambda: twin(graph, costs.tolist(), "heft"), 1)


def bench() -> list[dict]:
    """Return the rows of the benchmark."""
    rows = against_saga(1000, 10)
    graph, costs = layers(100_000, 100, 1000)
    rows.append(
        row(
            "HEFT, 100,000 tasks on 100 machines, against a bound of 0.2 s",
            best(lambda: schedule(graph, costs)),
            0.2,
            1,
        )
    )
    for policy in ("cpop", "peft", "mcp"):
        ours = best(lambda p=policy: schedule(graph, costs, p), 2)
        rows.append(row(f"{policy.upper()}, the same", ours))
    graph, costs = layers(200, 10, 20)
    schedule(graph, costs)
    rows.append(
        row("HEFT, 200 tasks on 10 machines, against plain Python", best(lambda: schedule(graph, costs)), plain(200))
    )

    before = None
    for n in (100, 1000, 10_000, 100_000, 1_000_000):
        graph, costs = layers(n, 10, 100)
        ours = best(lambda g=graph, c=costs: schedule(g, c), 20 if n < 10_000 else 3)
        scaled = None if before is None else before * 10 * math.log(n) / math.log(n / 10)
        rows.append(row(f"HEFT, {n:,} tasks on 10 machines, against a tenth of them", ours, scaled))
        before = ours
    before = None
    for machines in (1, 10, 100, 1000):
        graph, costs = layers(10_000, machines, 1000)
        ours = best(lambda g=graph, c=costs: schedule(g, c), 3)
        rows.append(
            row(f"HEFT, 10,000 tasks on {machines:,} machines, against a tenth of them", ours, before and before * 10)
        )
        before = ours
    graph, costs = layers(10_000, 10, 1000)
    for policy in ("minmin", "maxmin", "sufferage", "etf", "dls"):
        ours = best(lambda p=policy: schedule(graph, costs, p), 3)
        rows.append(row(f"{policy}, 10,000 tasks on 10 machines, 1,000 side by side", ours))
    graph = layered(100, 1000, degree=2, output_size=1e6, seed=0)
    cluster = Cluster(1000, latency=1e-3, bandwidth=1e9, scheduler_overhead=1e-6)
    rows.append(row("run with HEFT, 100,000 tasks on 1,000 workers", best(lambda: run(graph, cluster, "heft"), 2)))
    rng = np.random.default_rng(0)
    small = random_dag(12, 0.2, seed=0).replace(output_size=rng.exponential(1.0, 12))
    costs = rng.uniform(0.5, 2.0, (12, 3))
    rows.append(row("the best schedule of 12 tasks on 3 machines", best(lambda: optimal(small, costs), 2)))
    return rows
