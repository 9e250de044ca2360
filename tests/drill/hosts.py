"""Several hosts: chapters 05, 12, 14 and 15 over a network of 10 ms and 100 Mbit/s, measured against their predictions.

Scheduler and client are on one host, four workers (or more) on four others: network namespaces, each on a link of
100 Mbit/s in each direction, 10 ms from each other (`tests.drill.namespaces`). First `calibrate` must find the link as
it was set: the same cluster on a network that costs nothing says what is Dask's own. Then each chapter's models and
simulations, given that calibration, are held against what is measured there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, wait

from course import measure, models, simulate
from course.graph import TaskGraph, graham_anomaly, layered, tree_reduce
from course.measure import Machine
from course.measure.workloads import sleep_for
from course.trace import COMPUTE, TRANSFER
from tests.drill import Skipped
from tests.drill.dask_hosts import dask_hosts
from tests.drill.namespaces import enclosed, hosts, why_not

ROOT = Path(__file__).parents[2]
LATENCY, BANDWIDTH = 0.010, 12.5e6  # seconds one way; bytes a second: 100 Mbit/s
WORKERS = 4
REPEATS = 3
Row = dict[str, Any]


def run() -> list[Row]:
    """Return the rows of all parts; they run in namespaces of their own."""
    if reason := why_not():
        raise Skipped(reason)
    command = enclosed([sys.executable, "-m", "tests.drill.hosts"])
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        rows.append({"what": f"the run ended early, with exit status {done.returncode}", "ok": False})
    return rows


def main() -> None:
    """Run the parts, inside; print each row as a line of JSON."""
    plain = Plain()
    with hosts(WORKERS) as at, dask_hosts(at, [1] * WORKERS) as client:
        say("a network that costs nothing: calibrate")
        plain.machine = measure.calibrate(client, save=False, progress=None)
    with hosts(WORKERS) as at, dask_hosts(at, [4]) as client:
        plain.load = measure.poisson_load(client, 30, SERVICE, 60, seed=1)
    with hosts(WORKERS, LATENCY, BANDWIDTH) as at:
        with dask_hosts(at, [1] * WORKERS) as client:
            say("10 ms and 100 Mbit/s: calibrate")
            slow = measure.calibrate(client, save=False, progress=None)
            print(plain.machine, slow, sep="\n", file=sys.stderr)
            show(link(plain, slow))
            say("chapter 15")
            show(moving_data(client, slow))
            say("chapter 05")
            show(data_between_tasks(client, slow))
        show(graham(at, slow))
        show(fan_in(at))
        say("chapter 12")
        show(queueing(at, plain))
        say("chapter 14")
        show(balancing(at, plain))
        show(stealing(at, slow))


class Plain:
    """What was measured on a network that costs nothing."""

    machine: Machine
    load: measure.Load


def say(what: str) -> None:
    """Tell how far it is."""
    print(f"hosts: {what} …", file=sys.stderr, flush=True)


def show(rows: Iterator[Row]) -> None:
    """Print each row as soon as it is there."""
    for each in rows:
        print(json.dumps(each), flush=True)


def row(chapter: str, what: str, predicted: float, measured: float | list[float], tolerance: float) -> Row:
    """Return a row: the median of what was measured must be within the tolerance of the prediction."""
    found = float(np.median(measured))
    off = found / predicted - 1
    return {
        "chapter": chapter, "what": what, "predicted": float(predicted), "measured": found,
        "off": f"{off:+.1%}", "tolerance": f"{tolerance:.0%}", "ok": bool(abs(off) <= tolerance),
    }  # fmt: skip


def link(plain: Plain, slow: Machine) -> Iterator[Row]:
    """Check that `calibrate` finds the link as it was set. A transfer is a question and an answer: two ways."""
    fast = plain.machine
    more = {
        name: getattr(slow, name).value - getattr(fast, name).value
        for name in ("latency", "release_delay", "round_trip")
    }
    yield row("link", "latency of a transfer, beyond Dask's own [s]", 2 * LATENCY, more["latency"], 0.25)
    yield row("link", "end of a task → next one, beyond Dask's own [s]", 2 * LATENCY, more["release_delay"], 0.25)
    # At least there and back to compute, and to fetch the result; messages that wait for each other come on top.
    trips = row("link", "submit → result, beyond Dask's own [s]", 4 * LATENCY, more["round_trip"], 0.0)
    yield trips | {"tolerance": "–", "ok": None}
    yield row("link", "bandwidth between two workers [MB/s]", BANDWIDTH / 1e6, slow.bandwidth.value / 1e6, 0.25)
    part = 2e6  # what `calibrate` lets each worker send each other
    exchange = models.shuffle_time(WORKERS, part * WORKERS**2, 2 * LATENCY, BANDWIDTH)
    together = part * WORKERS * (WORKERS - 1) / exchange / 1e6
    yield row("link", f"all {WORKERS} workers at once [MB/s]", together, slow.backbone.value / 1e6, 0.25)


# Chapter 05 ---------------------------------------------------------------------------------------------------------


def graham(at: dict[str, str], slow: Machine) -> Iterator[Row]:
    """Graham's anomaly on one distant worker: a fourth thread makes it longer."""
    unit = 0.2
    graph = graham_anomaly().replace(duration=graham_anomaly().duration * unit)
    for threads in (3, 4):
        there = slow.cluster(1, threads)
        predicted = simulate.run(graph, there).makespan
        with dask_hosts(at, [threads]) as client:
            took = [measure.run_graph(client, graph, priority=-np.arange(len(graph))).makespan for _ in range(REPEATS)]
        yield row("05", f"Graham's nine tasks, {threads} threads: makespan [s]", predicted, took, 0.10)


def data_between_tasks(client: Client, slow: Machine) -> Iterator[Row]:
    """A layered graph whose tasks read results of other hosts."""
    for size in (10_000, 900_000):  # from 1 MB on, Dask's scheduler learns the bandwidth; the simulated one does not
        graph = layered(6, 8, degree=3, output_size=size, seed=2)
        graph = graph.replace(duration=0.2 * graph.duration / graph.duration.mean())
        policy = simulate.Dask(known=[0.2, 0.2])
        simulated = [simulate.run(graph, slow.cluster(), policy, seed=seed).makespan for seed in range(20)]
        took = [measure.run_graph(client, graph).makespan for _ in range(REPEATS)]
        what = f"48 tasks in 6 layers, results of {size / 1e3:g} kB: makespan [s]"
        yield row("05", what, float(np.median(simulated)), took, 0.20)
        bound = models.lower_bound(graph, WORKERS)
        yield {
            "chapter": "05",
            "what": "  the same: its lower bound [s]",
            "predicted": bound,
            "measured": min(took),
            "ok": bool(min(took) >= bound),
        }


# Chapter 12 ---------------------------------------------------------------------------------------------------------

SERVICE, SERVERS = 0.1, 4


def queueing(at: dict[str, str], plain: Plain) -> Iterator[Row]:
    """Requests at Poisson instants to a distant service of four threads."""
    runs = {}
    with dask_hosts(at, [SERVERS]) as client:
        for load, number in ((0.5, 60), (0.75, 140), (0.9, 180)):
            runs[load] = measure.poisson_load(client, load * SERVERS / SERVICE, SERVICE, number, seed=1)
    fastest = [shortest_way(run) - shortest_way(plain.load) for run in runs.values()]
    yield row("12", "way to a free thread, beyond Dask's own [s]", LATENCY, fastest, 0.25)
    delay, gap = plain.load.delay + LATENCY, plain.load.gap
    for load, run in runs.items():
        at_the_queue, needed = run.sent + delay, run.stop - run.start + gap
        queue = simulate.queue(np.diff(at_the_queue, prepend=0), needed, SERVERS)
        predicted = float((queue.stop - gap - run.arrival).mean())
        yield row("12", f"mean response at {load:.0%} [s]", predicted, float(run.response.mean()), 0.15)
        wanted = float((queue.start - run.arrival).mean())
        yield row("12", f"mean wait at {load:.0%} [s]", wanted, float(run.wait.mean()), 0.30)


def shortest_way(run: measure.Load) -> float:
    """Return the seconds of the fastest request that found a thread free: a busy machine only makes others slower."""
    return float(np.min((run.start - run.sent)[run.busy < run.servers]))


# Chapter 14 ---------------------------------------------------------------------------------------------------------


def balancing(at: dict[str, str], plain: Plain) -> Iterator[Row]:
    """The same requests by chance and to the shortest queue; the news of an end comes a link late."""
    rng, dice = np.random.default_rng(14), np.random.default_rng(7)
    gaps, services = rng.exponential(0.1 / (0.9 * WORKERS), 120), rng.exponential(0.1, 120)
    rules = {"random": lambda counts: dice.integers(len(counts)), "shortest": np.argmin}
    with dask_hosts(at, [1] * (2 * WORKERS), {"distributed.scheduler.work-stealing": False}) as client:
        sent = measure.balanced_load(client, gaps, services, rules)
    for name, run in sent.items():
        fastest, delay, gap = own_delays(run)
        waits = []
        for server in range(WORKERS):
            mine = run.server == server
            at_the_queue, needed = run.sent[mine] + delay, (run.stop - run.start)[mine] + gap
            waits += list(simulate.queue(np.diff(at_the_queue, prepend=0.0), needed).start - run.arrival[mine])
        yield row("14", f"requests sent to {name}: mean wait [s]", float(np.mean(waits)), float(run.wait.mean()), 0.20)
        yield row("14", "  way to a free worker [s]", LATENCY + shortest_way(plain.load), fastest, 0.35)


def own_delays(run: Any) -> tuple[float, float, float]:
    """Return the fastest and the median way to a worker that is free, and its mean pause between two requests."""
    delays, gaps = [], []
    for server in range(WORKERS):
        mine = np.flatnonzero(run.server == server)
        free = np.maximum.accumulate(np.concatenate([[0.0], run.stop[mine][:-1]]))  # when it has done those before
        found_free = run.sent[mine] > free
        delays += list((run.start - run.sent)[mine][found_free])
        queued = run.sent[mine] + 2 * LATENCY < free
        gaps += list((run.start[mine] - free)[queued])
    return float(np.min(delays)), float(np.median(delays)), float(np.mean(gaps))


def stealing(at: dict[str, str], slow: Machine) -> Iterator[Row]:
    """24 tasks wait on one of four hosts; Dask moves some, and the data that they read."""
    unit, tasks, interval = 0.2, 24, 0.2  # seconds; tasks; seconds between two looks for something to steal
    cases = {"not stolen": (8, False), "stolen": (8, True), "stolen, each reads 900 kB": (900_000, True)}
    for name, (size, on) in cases.items():
        stealing = "distributed.scheduler.work-stealing"
        settings = {stealing: on, f"{stealing}-interval": f"{1e3 * interval:g}ms"}
        measured, stolen = [], []
        with dask_hosts(at, [1] * WORKERS, settings) as client:
            first = sorted(client.scheduler_info(n_workers=-1)["workers"])[0]
            for _ in range(REPEATS):
                pieces = client.map(np.zeros, [size // 8] * tasks, workers=first, pure=False)
                wait(client.map(sleep_for, [unit] * WORKERS, pure=False) + pieces)  # the duration is known now
                before = len(client.get_events("stealing"))
                with measure.record(client) as recorder:
                    wait(client.map(sleep_for, [unit] * tasks, pieces, pure=False))
                events = [event[0] for _, event in client.get_events("stealing")[before:]]
                measured.append(recorder.trace.makespan)
                stolen.append(events.count("confirm"))
        makespan, moved = skewed_on_dask(slow, tasks, unit, size, interval if on else None)
        yield row("14", f"24 tasks on one of four, {name}: makespan [s]", makespan, measured, 0.25)
        if on:
            yield row("14", "  tasks that moved", moved, [float(each) for each in stolen], 0.30)


def skewed_on_dask(slow: Machine, tasks: int, unit: float, size: int, interval: float | None) -> tuple[float, float]:
    """Return the medians of makespan and of tasks stolen in simulated runs, from when the data are there."""
    # All data are made where the root is: it is thought too large to be sent.
    root, pieces = 0, np.arange(1, tasks + 1)
    edges = [(root, k) for k in pieces] + [(k, tasks + k) for k in pieces]
    graph = TaskGraph.from_edges(
        [0.0] + [0.0] * tasks + [unit] * tasks, edges, output_size=[1e10] + [size] * tasks + [0] * tasks
    )
    known = [0.001] * (tasks + 1) + [unit] * tasks
    policy = simulate.Dask(
        stealing=interval is not None, steal_interval=interval or 1.0, group=np.arange(len(graph)), known=known
    )
    there = slow.cluster()
    there = there.replace(backbone=there.bandwidth)  # all data come from one host, over its one link
    found = []
    for seed in range(60):
        trace = simulate.run(graph, there, policy, seed=seed)
        own = (trace.task > tasks) & (trace.kind == COMPUTE)
        moved = (trace.worker[own] != trace.worker[trace.task == root][0]).sum()
        found.append((trace.stop[own].max() - trace.start[own].min(), moved))
    makespan, moved = np.median(found, axis=0)
    return float(makespan), float(moved)


# Chapter 15 ---------------------------------------------------------------------------------------------------------

TABLE_ROWS, PARTITIONS, PER_ROW = 800_000, 8, 24


def moving_data(client: Client, slow: Machine) -> Iterator[Row]:
    """All to all, a ring, partial sums, and Dask's own shuffle."""
    at = sorted(client.scheduler_info(n_workers=-1)["workers"])
    latency, bandwidth, release = slow.latency.value, slow.bandwidth.value, slow.release_delay.value
    put = partial(client.submit, pure=False)

    part = 1_500_000  # bytes that each sends each
    seconds = []
    for _ in range(REPEATS):
        made = [[put(np.ones, part // 8, workers=[source]) for _ in at] for source in at]
        wait([each for line in made for each in line])
        with measure.record(client) as run:
            wait([put(len, [line[k] for line in made], workers=[target]) for k, target in enumerate(at)])
        moves = run.trace.kind == TRANSFER
        seconds.append(run.trace.stop[moves].max() - run.trace.start[moves].min())
    predicted = models.shuffle_time(WORKERS, part * WORKERS**2, latency, bandwidth)
    yield row("15", f"{part * WORKERS**2 / 1e6:g} MB all to all [s]", predicted, seconds, 0.25)

    piece = 1_000_000
    ring, seconds = simulate.collective("ring all-reduce", WORKERS), []
    for _ in range(REPEATS):
        pieces = [[put(np.full, piece // 8, float(k), workers=[each]) for _ in at] for k, each in enumerate(at)]
        wait([each for line in pieces for each in line])
        begun = time.perf_counter()
        play(client, ring, pieces, at)
        seconds.append(time.perf_counter() - begun)
    predicted = models.all_reduce_time(WORKERS, piece * WORKERS, latency + release, bandwidth)
    yield row("15", f"ring all-reduce of {piece * WORKERS / 1e6:g} MB, a task a step [s]", predicted, seconds, 0.25)

    size, number, took = 500_000, 8, {}
    for way in ("gathered, then added", "added, then gathered"):
        took[way] = []
        for _ in range(REPEATS):
            parts = client.map(partial(np.full, size // 8), np.arange(float(number)), workers=at[:1], pure=False)
            wait(parts)
            begun = time.perf_counter()
            total = sum(client.gather(parts)) if way[0] == "g" else put(sum, parts, workers=at[:1]).result()
            took[way].append(time.perf_counter() - begun)
            assert total[0] == sum(range(number))
    to_client = {"gathered, then added": number * size, "added, then gathered": size}
    trips = {"gathered, then added": latency, "added, then gathered": slow.round_trip.value}
    for way, seconds in took.items():
        predicted = trips[way] + to_client[way] / bandwidth
        yield row("15", f"eight parts of 500 kB {way} [s]", predicted, seconds, 0.25)

    size = TABLE_ROWS * PER_ROW
    shuffled = shuffle_seconds(client)
    # A bound only: Dask also cuts, packs and joins tables, and pieces wait for each other's confirmation.
    least = models.shuffle_time(WORKERS, size, latency, bandwidth)
    what = f"p2p shuffle of {size / 1e6:g} MB: not less than the links take [s]"
    yield row("15", what, least, shuffled, 0.0) | {"tolerance": "", "ok": shuffled >= least}


def play(client: Client, schedule: Any, pieces: list[list[Any]], at: list[str]) -> None:
    """Run a collective with futures, as chapter 15 does; pieces[w][q] is piece q on worker w."""
    for sends in schedule.rounds:
        before = [list(line) for line in pieces]
        for source, target, (q,), adds in sends:
            args = (np.add, before[target][q], before[source][q]) if adds else (np.copy, before[source][q])
            pieces[target][q] = client.submit(*args, workers=[at[target]], pure=False)
    wait([piece for line in pieces for piece in line])


def table(part: int, rows: int) -> pd.DataFrame:
    """Return a partition: a key and two numbers, 24 bytes a row."""
    rng = np.random.default_rng(part)
    return pd.DataFrame({"key": rng.integers(0, 10**6, rows), "x": rng.random(rows), "y": rng.random(rows)})


def shuffle_seconds(client: Client) -> float:
    """Return the seconds of Dask's peer-to-peer shuffle of tables that are there: the fastest of three."""
    rows = TABLE_ROWS // PARTITIONS
    frame = dd.from_map(table, range(PARTITIONS), rows=rows, meta=table(0, 1)).persist()
    wait(frame)
    seconds = []
    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        for _ in range(REPEATS):
            begun = time.perf_counter()
            assert frame.shuffle("key").map_partitions(len).compute().sum() == TABLE_ROWS
            seconds.append(time.perf_counter() - begun)
    return min(seconds)


LEAVES, OPEN, EACH = 64, 0.060, 0.005  # as in the chapter: leaves; seconds a task costs, and each input after the first


def combine(partials: Any) -> float:
    """Add up, as slowly as the chapter's tasks."""
    partials = list(partials)
    time.sleep(OPEN + EACH * (len(partials) - 1))
    return sum(partials)


def fan_in(at: dict[str, str]) -> Iterator[Row]:
    """A tree of sums on one distant worker: how wide?"""
    fans, took = (2, 4, 8, 64), {}
    with dask_hosts(at, [LEAVES]) as client:
        slow = measure.calibrate(client, seconds=2.0, save=False, progress=None)
        for repeat in range(REPEATS + 1):
            for f in fans:
                total = db.from_sequence(range(LEAVES), npartitions=LEAVES).reduction(sum, combine, split_every=f)
                begun = time.perf_counter()
                assert total.compute(scheduler=client) == sum(range(LEAVES))
                if repeat:  # the first warms up
                    took.setdefault(f, []).append(time.perf_counter() - begun)
    overhead, release = slow.task_overhead.value, slow.release_delay.value
    there = simulate.Cluster(1, threads=LEAVES, scheduler_overhead=overhead, release_delay=release)
    simulated = {}
    for f in fans:
        graph = tree_reduce(LEAVES, f)
        inputs = np.diff(graph.indptr)
        graph = graph.replace(duration=np.where(inputs, OPEN + EACH * (inputs - 1), 0.0))
        simulated[f] = simulate.run(graph, there).makespan + slow.round_trip.value
    best = models.best_fan_in(LEAVES, 0, release, np.inf, EACH, OPEN + overhead).fan_in
    best = min(fans, key=lambda f: abs(np.log(f / best)))
    found = {f: float(np.median(seconds)) for f, seconds in took.items()}
    for f in fans:
        if f != best:  # as in the chapter: ratios, for what all have in common is Dask's own and differs by the hour
            what = f"tree of 64 leaves, fan-in {f}: its time ÷ that of fan-in {best}"
            yield row("15", what, simulated[f] / simulated[best], found[f] / found[best], 0.25)
    what = f"  fan-in {best}, which the formula chooses: its time ÷ the fastest"
    yield row("15", what, 1.0, found[best] / min(found.values()), 0.20)


if __name__ == "__main__":
    main()
