"""How fast the simulators are, and how much memory they take, against plain Python, SimPy, Ciw and Estee.

    python tests/bench simulate

Each row has what was done, our seconds, the peer's, their ratio (peer / ours: how many times as fast we are), the
target and the unit. Peers that are too slow for the whole work do less of it; their time is then scaled up by
the number of tasks or customers, and the row says so. Where the peer is a bound, the ratio says how far we are below.

Estee is no package: put a checkout of github.com/spirali/estee on PYTHONPATH, and install deap and moocore.
"""

from __future__ import annotations

import heapq
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import best, row

from course.graph import TaskGraph, cholesky, epigenomics, independent, layered, montage, tree_reduce
from course.simulate import Cluster, queue, random_queue, run, warm_up


def tasks_with_network(n: int, workers: int) -> tuple[TaskGraph, Cluster]:
    graph = layered(n // workers, workers, degree=2, output_size=1e6, seed=0)
    return graph, Cluster(workers, latency=1e-3, bandwidth=1e9)


def run_anew(graph: TaskGraph, cluster: Cluster | int, policy: str = "list") -> float:
    """Simulate a graph as if it were new: a graph keeps its successors once they were looked for."""
    vars(graph).pop("successor_arrays", None)
    return float(run(graph, cluster, policy).stop.max())


def plain_python(graph: TaskGraph, cluster: Cluster, priority: list[float]) -> float:
    """Return the makespan of list scheduling on alike workers of one thread, by lists, dictionaries and heapq alone."""
    n, workers = len(graph), cluster.workers
    before = [row.tolist() for row in np.split(graph.indices, graph.indptr[1:-1])] if len(graph.indices) else [[]] * n
    after: list[list[int]] = [[] for _ in range(n)]
    for task, needs in enumerate(before):
        for data in needs:
            after[data].append(task)
    missing = [len(needs) for needs in before]
    duration, size = graph.duration.tolist(), graph.output_size.tolist()
    latency, bandwidth = cluster.latency, cluster.bandwidth
    network = latency > 0 or bandwidth < math.inf
    ready = [(priority[task], task) for task in range(n) if not missing[task]]
    heapq.heapify(ready)
    idle, free = list(range(workers)), [True] * workers
    events: list[tuple[float, int]] = []
    where, link, there, now = [0] * n, [0.0] * workers, {}, 0.0
    running = 0
    while True:
        while ready and running < workers:
            _, task = heapq.heappop(ready)
            w = -1
            if network:
                made: dict[int, float] = {}
                for data in before[task]:
                    made[where[data]] = made.get(where[data], 0.0) + size[data]
                most = 0.0
                for holder, held in made.items():
                    if free[holder] and (held > most or (held == most and w >= 0 and holder < w)):
                        w, most = holder, held
            if w < 0:
                while not free[idle[0]]:
                    heapq.heappop(idle)
                w = heapq.heappop(idle)
            free[w] = False
            running += 1
            where[task] = w
            begin = now
            if network:
                for data in before[task]:
                    if where[data] == w:
                        continue
                    if (data, w) not in there:
                        link[w] = max(now, link[w]) + size[data] / bandwidth
                        there[data, w] = link[w] + latency
                    begin = max(begin, there[data, w])
            heapq.heappush(events, (begin + duration[task], task))
        if not events:
            return now
        now = events[0][0]
        while events and events[0][0] == now:
            _, task = heapq.heappop(events)
            w = where[task]
            running -= 1
            free[w] = True
            heapq.heappush(idle, w)
            for following in after[task]:
                missing[following] -= 1
                if not missing[following]:
                    heapq.heappush(ready, (priority[following], following))


def estee_run(graph: TaskGraph, cluster: Cluster) -> float:
    """Return the makespan by Estee, with its own scheduler of the longest way first."""
    from estee.common import TaskGraph as Tasks
    from estee.schedulers.queue import BlevelGtScheduler
    from estee.simulator import SimpleNetModel, Simulator, Worker

    theirs = Tasks()
    costs = zip(graph.duration.tolist(), graph.output_size.tolist(), strict=True)
    tasks = [theirs.new_task(duration=d, expected_duration=d, output_size=size) for d, size in costs]
    for i, task in enumerate(tasks):
        task.add_inputs([tasks[data] for data in graph.predecessors(i).tolist()])
    for data in theirs.objects.values():
        data.expected_size = data.size
    workers = [Worker(max_downloads=1, max_downloads_per_worker=1) for _ in range(cluster.workers)]
    return Simulator(theirs, workers, BlevelGtScheduler(), SimpleNetModel(cluster.bandwidth)).run()


def estee_rows() -> list[dict]:
    work = "2,000 tasks on 100 workers with network, longest way first, against Estee"
    graph, cluster = tasks_with_network(2_000, 100)
    ours = best(lambda: run_anew(graph, cluster, "blevel"))
    try:
        theirs = best(lambda: estee_run(graph, cluster), 1)
    except ImportError as error:
        return [row(f"{work} (not measured: no {error.name})", ours)]
    many = run_anew_seconds(100_000, 1000)
    return [
        row(work, ours, theirs, 300),
        row("100,000 tasks on 1,000 workers, against Estee's tasks/s at 2,000 on 100", many, theirs * 50, 300),
    ]


def run_anew_seconds(n: int, workers: int) -> float:
    graph, cluster = tasks_with_network(n, workers)
    return best(lambda: run_anew(graph, cluster, "blevel"))


def list_rows() -> list[dict]:
    """List scheduling, without and with a network."""
    rows = []
    seconds = np.random.default_rng(0).exponential(1.0, 10**6)
    few, many = independent(10**5, seconds[: 10**5]), independent(10**6, seconds)
    ours = best(lambda: run_anew(few, 1000), 20)
    in_order = list(range(len(few)))
    assert plain_python(few, Cluster(1000), in_order) == run_anew(few, 1000)
    theirs = best(lambda: plain_python(few, Cluster(1000), in_order), 2)
    rows.append(row("100,000 independent tasks on 1,000 workers, against plain Python", ours, theirs, 8))
    rows.append(row("the same, against a bound of 5,000,000 tasks/s", ours, 0.02, 1))
    ours = best(lambda: run_anew(many, 10_000), 5)
    rows.append(row("1,000,000 independent tasks on 10,000 workers, against a bound", ours, 0.5, 1))

    graph, cluster = tasks_with_network(100_000, 1000)
    ours = best(lambda: run_anew(graph, cluster, "blevel"), 20)
    levels = (-graph.b_level()).tolist()
    assert plain_python(graph, cluster, levels) == run_anew(graph, cluster, "blevel")
    theirs = best(lambda: plain_python(graph, cluster, levels), 2)
    rows.append(
        row("100,000 tasks on 1,000 workers with network, longest way first, against plain Python", ours, theirs)
    )
    rows.append(row("the same, against a bound of 1,500,000 tasks/s", ours, 1 / 15, 1))
    graph, cluster = tasks_with_network(10**6, 10_000)
    ours = best(lambda: run_anew(graph, cluster, "blevel"), 5)
    rows.append(row("1,000,000 tasks on 10,000 workers with network, longest way first, against a bound", ours, 1.5, 1))
    return rows


def growth_rows() -> list[dict]:
    """How the cost grows: the peer is the decade before, times what n log n or log w allows; 0.4 is for caches."""
    rows = []
    seconds = np.random.default_rng(0).exponential(1.0, 10**6)
    before = None
    for n in (10**2, 10**3, 10**4, 10**5, 10**6):
        graph, cluster = tasks_with_network(n, 100)
        ours = best(lambda g=graph, c=cluster: run_anew(g, c, "blevel"), 3 if n == 10**6 else 20)
        allowed = before and before * (n * math.log(n)) / (n / 10 * math.log(n / 10))
        rows.append(
            row(f"growth: {n:,} tasks on 100 workers with network, against n log n", ours, allowed, before and 0.4)
        )
        before = ours
    before = None
    graph = independent(3 * 10**5, seconds[: 3 * 10**5])
    for workers in (10, 100, 1000, 10**4, 10**5):
        ours = best(lambda w=workers: run_anew(graph, w), 5)
        allowed = before and before * math.log(workers) / math.log(workers / 10)
        rows.append(row(f"growth: 300,000 tasks on {workers:,} workers, against log w", ours, allowed, before and 0.4))
        before = ours
    return rows


MEMORY = """
from course.graph import independent, layered
from course.simulate import Cluster, run, warm_up

def resident(what):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(what))

warm_up()
n = 10**6
graph, cluster = {make}
open("/proc/self/clear_refs", "w").write("5")  # the peak is counted from here
before = resident("VmRSS")
trace = run(graph, cluster, "blevel")
print((resident("VmHWM") - before) / n)
"""


def memory_rows() -> list[dict]:
    """The most memory that a simulation takes beyond its graph, its trace included; Linux only."""
    if not Path("/proc/self/clear_refs").exists():
        return []
    rows = []
    for what, make in (
        ("independent tasks", "independent(n), Cluster(10_000)"),
        (
            "tasks with network and scheduler",
            "layered(100, 10_000, output_size=1e6),"
            " Cluster(10_000, latency=1e-3, bandwidth=1e9, scheduler_overhead=1e-6)",
        ),
    ):
        code = MEMORY.replace("{make}", make)
        result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        ours = float(result.stdout)
        rows.append(row(f"memory for each of 1,000,000 {what}, against a bound", ours, 200, 1, "bytes"))
    return rows


def shape_rows() -> list[dict]:
    rows = []
    for name, make in {
        "independent(1_000_000)": lambda: independent(10**6),
        "layered(1000, 1000)": lambda: layered(1000, 1000),
        "tree_reduce(500_000)": lambda: tree_reduce(500_000),
        "epigenomics(100, 2500)": lambda: epigenomics(100, 2500),
        "montage(333_000)": lambda: montage(333_000),
        "cholesky(180)": lambda: cholesky(180),
    }.items():
        rows.append(row(f"make {name}, a million tasks, against a bound", best(make, 3), 1.0, 1))
    return rows


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


def queue_rows() -> list[dict]:
    rows = []
    n = 10**6
    rng = np.random.default_rng(0)
    gaps, service = rng.exponential(1.0, n), rng.exponential(0.8, n)
    ours = best(lambda: queue(gaps, service), 20)
    with_draws = best(lambda: random_queue(1.0, 3.2, 4, customers=n), 20)
    draws = best(lambda: (rng.standard_exponential(n), rng.standard_exponential(n)), 20)
    for peer, work, few, target in (("SimPy", simpy_queue, 20_000, 1000), ("Ciw", ciw_queue, 10_000, 2000)):
        theirs = best(lambda w=work, k=few: w(k, 1), 3) * n / few
        rows.append(row(f"M/M/1, 1,000,000 customers, against {peer} (scaled from {few:,})", ours, theirs, target))
        theirs = best(lambda w=work, k=few: w(k, 4), 3) * n / few
        text = f"M/M/4, 1,000,000 customers and their random numbers, against {peer} (scaled from {few:,})"
        rows.append(row(text, with_draws, theirs, target / 4))
    rows.append(row("the same, against 2.5 times the random numbers alone", with_draws, 2.5 * draws, 1))
    for discipline in ("lifo", "sjf", "srpt", "ps"):
        ours = best(lambda d=discipline: queue(gaps, 4 * service, 4, d), 3)
        rows.append(row(f"M/M/4, 1,000,000 customers, {discipline}", ours))
    return rows


def bench() -> list[dict]:
    """Return the rows of the benchmark."""
    warm_up()
    rows = [*list_rows(), *estee_rows(), *growth_rows(), *memory_rows(), *shape_rows(), *queue_rows()]
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
