"""How near the simulated Dask comes to the real one, on this machine: a table.

    python tests/fidelity scheduler [--workers 2 4 8] [--rounds 7]

Graphs of sleeping tasks that hand on data run on local clusters of some sizes, in rounds, each graph once a round, so
that what else the machine does falls on all alike. The simulation knows of the machine what `calibrate` measures
before each round, and takes the medians. Dask leaves some choices to the order of sets; so the real makespans scatter,
and the simulated ones, over seeds. Compared are the medians. Exit status 1 unless half of the rows are within 10 %, and
all within 20 %.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import numpy as np

from course.cli.bar import Bar
from course.cluster import Cluster
from course.graph import (
    TaskGraph,
    cholesky,
    epigenomics,
    fork_join,
    independent,
    layered,
    map_reduce,
    montage,
    random_dag,
    stencil,
    tree_reduce,
)
from course.measure import calibrate, cluster, forget_durations, run_graph
from course.simulate import run

USUAL, WORST = 0.10, 0.20
SEEDS = 31
MEAN, BYTES = 0.12, 1e6


def shapes() -> dict[str, TaskGraph]:
    """Return the graphs: tasks of uneven durations, 0.12 s in the mean, that hand on 1 MB each."""
    graphs = {
        "independent": independent(60),
        "fork and join": fork_join(16, 3),
        "binary tree": tree_reduce(32),
        "tree of fan-in 8": tree_reduce(48, 8),
        "map and reduce": map_reduce(24, 12),
        "random layers": layered(6, 12, degree=2, seed=1),
        "random graph": random_dag(60, 0.06, seed=2),
        "stencil": stencil(10, 6),
        "Cholesky": cholesky(6),
        "Montage": montage(12),
        "Epigenomics": epigenomics(3, 6),
    }
    rng = np.random.default_rng(0)
    return {name: _uneven(graph, rng) for name, graph in graphs.items()}


def _uneven(graph: TaskGraph, rng: np.random.Generator) -> TaskGraph:
    spread = rng.lognormal(0.0, 0.4, len(graph))
    return graph.replace(duration=MEAN * spread / spread.mean(), output_size=np.full(len(graph), BYTES), edge_size=None)


def measure(workers: int, rounds: int) -> tuple[Cluster, dict[str, list[float]]]:
    """Return the calibrated cluster, and the makespans of each graph on it [s]."""
    graphs = shapes()
    makespans: dict[str, list[float]] = {name: [] for name in graphs}
    bar = Bar(f"{workers} workers", rounds * len(graphs))
    with cluster(workers, 1, dashboard=False) as client:
        machines = []
        for k in range(rounds):
            machines.append(calibrate(client, repeats=3, seconds=4.0, save=False, progress=None))
            for i, (name, graph) in enumerate(graphs.items()):
                bar.show(k * len(graphs) + i, name)
                forget_durations(client)  # each run is the first of its kind, as the simulation takes it to be
                makespans[name].append(run_graph(client, graph).makespan)
    bar.end(f"{rounds} rounds")
    return _median([machine.cluster() for machine in machines]), makespans


def _median(clusters: Sequence[Cluster]) -> Cluster:
    """Return the cluster of the median overhead, delays and bandwidths."""
    names = ("scheduler_overhead", "release_delay", "latency", "bandwidth", "backbone")
    return clusters[0].replace(**{name: statistics.median(getattr(c, name) for c in clusters) for name in names})


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python tests/fidelity scheduler", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(argv)
    began, off = time.monotonic(), []
    for workers in options.workers:
        simulated_cluster, makespans = measure(workers, options.rounds)
        print(_about(simulated_cluster))
        print(f"{'graph':18}{'tasks':>6}{'measured: median, range [s]':>32}{'simulated':>30}{'ratio':>8}")
        for name, graph in shapes().items():
            simulated = [run(graph, simulated_cluster, "dask", seed).makespan for seed in range(SEEDS)]
            ratio = statistics.median(simulated) / statistics.median(makespans[name])
            off.append(abs(ratio - 1))
            print(f"{name:18}{len(graph):6}{_range(makespans[name]):>32}{_range(simulated):>30}{ratio:8.3f}")
        print(flush=True)
    within = sum(error <= USUAL for error in off)
    print(
        f"{len(off)} comparisons in {time.monotonic() - began:.0f} s: median error {statistics.median(off):.1%}, "
        f"{within} within {USUAL:.0%}, worst {max(off):.1%}"
    )
    return int(statistics.median(off) > USUAL or max(off) > WORST)


def _about(cluster: Cluster) -> str:
    return (
        f"{cluster.workers} workers: overhead {1e3 * cluster.scheduler_overhead:.2f} ms, end to next start "
        f"{1e3 * cluster.release_delay:.2f} ms, latency {1e3 * cluster.latency:.2f} ms, bandwidth "
        f"{1e-6 * cluster.bandwidth:.0f} MB/s, all together {1e-6 * cluster.backbone:.0f} MB/s"
    )


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f}  {min(values):.3f} … {max(values):.3f}"
