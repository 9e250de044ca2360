"""The policy "dask", against a plain Python twin that was written from Dask's source and shares no code with it."""

from __future__ import annotations

import heapq
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.graph import (
    TaskGraph,
    chain,
    cholesky,
    fork_join,
    independent,
    layered,
    map_reduce,
    random_dag,
    stencil,
    tree_reduce,
)
from course.graph.daskorder import dask_order
from course.models import lower_bound
from course.simulate import Cluster, run, warm_up
from course.simulate.dask.policy import Dask
from course.simulate.stragglers import real_durations
from course.trace import COMPUTE, OVERHEAD, TRANSFER, Trace
from tests.strategies import draw_cluster, draw_predecessors

# ---- the twin

STOP, DATA, DONE, ARRIVE, STEAL_REQUEST, STEAL_RESPONSE, BALANCE = range(7)  # at one instant in this order
LIMIT_OF_LEVEL = 15


class PlainWorker:
    """A worker, as itself and the scheduler see it."""

    def __init__(self, number: int, threads: int, speed: float):
        self.number, self.threads, self.speed = number, threads, speed
        # What the scheduler thinks of it.
        self.processing: set[int] = set()
        self.needs_what: dict[int, int] = {}  # result -> assigned tasks that need it there
        self.network = 0.0  # bytes of those
        self.has_what: set[int] = set()
        self.idle, self.saturated, self.has_slot = True, False, True
        self.in_flight_occupancy, self.in_flight_tasks = 0.0, 0
        # What happens on it.
        self.free_threads = list(reversed(range(threads)))
        self.ready: list[tuple[int, int]] = []
        self.coming: set[int] = set()
        self.link_free: dict[int, float] = {}  # by source; or 0 for all


class PlainDask:
    """Dask's scheduler and workers, with the settings of a `Dask`; `run` fills in worker, thread, start, stop, moved.

    Sums are taken in the order that the simulation has: bytes over bandwidth, then the groups by number. Sizes in the
    tests are multiples of 1/4, so that sums of them are exact in any order.
    """

    def __init__(self, graph: TaskGraph, cluster: Cluster, policy: Dask, seed: int):
        n, w = len(graph), cluster.workers
        self.policy, self.n = policy, n
        rng = np.random.default_rng(seed)
        self.shuffle = rng.permutation(n).tolist()
        self.first_look = rng.random() * policy.steal_interval
        self.duration, self.size = real_durations(graph, cluster, seed).tolist(), graph.output_size.tolist()
        self.dependencies = [graph.predecessors(i).tolist() for i in range(n)]
        self.dependents: list[list[int]] = [[] for _ in range(n)]
        for task, needs in enumerate(self.dependencies):
            for dep in needs:
                self.dependents[dep].append(task)
        self.rank = (dask_order(graph) if policy.rank is None else np.asarray(policy.rank)).tolist()
        group = [len(needs) > 0 for needs in self.dependencies] if policy.group is None else list(policy.group)
        self.groups = sorted(set(group))
        self.group = [self.groups.index(g) for g in group]
        self.average = [-1.0] * len(self.groups) if policy.known is None else list(policy.known)
        self.assigned_of_group = [0] * len(self.groups)

        speed = np.broadcast_to(cluster.speed, w).tolist()
        self.workers = [PlainWorker(k, t, speed[k]) for k, t in enumerate(cluster.threads_per_worker.tolist())]
        self.total_threads = sum(worker.threads for worker in self.workers)
        self.latency = np.broadcast_to(cluster.latency, (w, w)).tolist()
        self.bandwidth = np.broadcast_to(cluster.bandwidth, (w, w)).tolist()
        self.links = cluster.links
        self.backbone, self.overhead = float(cluster.backbone), float(cluster.scheduler_overhead)
        self.delay = float(cluster.release_delay) / 2
        self.backbone_free = self.scheduler_free = self.now = 0.0

        self.scheduler_state = ["released"] * n
        self.worker_state: list[str | None] = [None] * n
        self.waiting_on = [set(needs) for needs in self.dependencies]
        self.waiters = [set(after) for after in self.dependents]
        self.waiting_for_data: list[set[int]] = [set() for _ in range(n)]
        self.queued: list[tuple[int, int]] = []
        self.n_tasks = 0
        self.network = 0.0
        self.last_worker: list[PlainWorker | None] = [None] * len(self.groups)
        self.last_worker_tasks_left = [0] * len(self.groups)
        self.level: dict[int, int] = {}  # of the tasks that may be stolen
        self.unknown_durations: dict[int, set[int]] = {}
        self.in_flight: dict[int, tuple[PlainWorker, PlainWorker, float, float]] = {}

        self.events: list[tuple[float, int, int, object]] = []
        self.turn = itertools.count()
        self.on: list[PlainWorker | None] = [None] * n
        self.thread, self.given = [-1] * n, [0.0] * n
        self.start, self.stop = [math.nan] * n, [math.nan] * n
        self.moved: list[tuple[int, int, int, float, float, float]] = []
        self.looks = self.stolen = self.stolen_with_inputs = self.rejected = self.queued_ever = self.overdrawn = 0

    def at(self, time: float, kind: int, what: object) -> None:
        heapq.heappush(self.events, (time, kind, next(self.turn), what))

    def by_chance(self, tasks) -> list[int]:
        return sorted(tasks, key=lambda task: self.shuffle[task])

    # -- estimates

    def expected(self, group: int) -> float:
        return self.average[group] if self.average[group] >= 0 else self.policy.unknown_duration

    def occupancy(self, worker: PlainWorker) -> float:
        seconds = worker.network / self.policy.assumed_bandwidth
        for g in range(len(self.groups)):
            seconds += sum(self.group[task] == g for task in worker.processing) * self.expected(g)
        return seconds

    def mean_occupancy(self) -> float:
        seconds = self.network / self.policy.assumed_bandwidth
        for g in range(len(self.groups)):
            seconds += self.assigned_of_group[g] * self.expected(g)
        return seconds / self.total_threads

    def is_unoccupied(self, worker: PlainWorker, occupancy: float, processing: int) -> bool:
        return processing < worker.threads or occupancy < worker.threads * self.mean_occupancy() / 2

    def slots(self, worker: PlainWorker) -> int:
        return max(math.ceil(self.policy.worker_saturation * worker.threads), 1) - len(worker.processing)

    def check_idle_saturated(self, worker: PlainWorker, occupancy: float = -1.0) -> None:
        if occupancy < 0:
            occupancy = self.occupancy(worker)
        p, nc = len(worker.processing), worker.threads
        worker.saturated = False
        worker.idle = self.is_unoccupied(worker, occupancy, p)
        if not worker.idle and p > nc:
            pending = occupancy * (p - nc) / (p * nc)
            worker.saturated = 0.4 < pending > 1.9 * self.mean_occupancy()
        worker.has_slot = math.isinf(self.policy.worker_saturation) or self.slots(worker) > 0

    def comm_cost(self, task: int, worker: PlainWorker) -> float:
        missing = [self.size[dep] for dep in self.dependencies[task] if dep not in worker.has_what]
        return sum(missing) / self.policy.assumed_bandwidth

    def nbytes(self, worker: PlainWorker) -> float:
        return sum(self.size[task] for task in worker.has_what)

    def objective(self, task: int, worker: PlainWorker) -> tuple:
        start = self.occupancy(worker) / worker.threads + self.comm_cost(task, worker)
        return start, self.nbytes(worker), worker.number

    # -- which worker

    def is_rootish(self, task: int) -> bool:
        mine = {i for i in range(self.n) if self.group[i] == self.group[task]}
        needs = {self.group[dep] for i in mine for dep in self.dependencies[i]}
        return len(mine) > 2 * self.total_threads and len(needs) < 5 and sum(map(self.group.count, needs)) < 5

    def decide_worker(self, task: int) -> PlainWorker | None:
        pool = [worker for worker in self.workers if worker.idle] or self.workers
        if self.is_rootish(task):
            if math.isinf(self.policy.worker_saturation):
                return self.decide_rootish_queuing_disabled(task, pool)
            with_slot = [worker for worker in self.workers if worker.has_slot]
            return min(with_slot, key=lambda worker: len(worker.processing) / worker.threads, default=None)
        if self.dependencies[task]:
            needs = set(self.dependencies[task])
            candidates = [worker for worker in self.workers if worker.has_what & needs]
            return min(candidates, key=lambda worker: self.objective(task, worker))
        turn = self.n_tasks % len(pool)
        if len(pool) >= 20:
            return pool[turn]
        worker = min(pool, key=self.occupancy)
        if self.occupancy(worker) == 0:
            return next(other for other in pool[turn:] + pool[:turn] if self.occupancy(other) == 0)
        return worker

    def decide_rootish_queuing_disabled(self, task: int, pool: list[PlainWorker]) -> PlainWorker:
        g = self.group[task]
        worker = self.last_worker[g]
        if worker is None or not self.last_worker_tasks_left[g]:
            worker = min(pool, key=lambda worker: self.objective(task, worker))
            share = self.group.count(g) / self.total_threads * worker.threads
            self.last_worker_tasks_left[g] = math.floor(share)
        left = sum(self.group[i] == g and self.scheduler_state[i] in ("released", "waiting") for i in range(self.n))
        self.last_worker[g] = worker if left > 1 else None
        self.last_worker_tasks_left[g] -= 1
        return worker

    # -- the scheduler

    def transitions(self, recommendations: dict[int, str]) -> None:
        while recommendations:
            task, finish = recommendations.popitem()
            if finish == "waiting":
                self.scheduler_state[task] = "waiting"
                for dep in self.by_chance(self.dependencies[task]):
                    if self.scheduler_state[dep] == "released":
                        recommendations[dep] = "waiting"
                if not self.waiting_on[task]:
                    recommendations[task] = "processing"
            elif finish == "processing":
                worker = self.decide_worker(task)
                if worker is None:
                    self.scheduler_state[task] = "queued"
                    heapq.heappush(self.queued, (self.rank[task], task))
                    self.queued_ever += 1
                else:
                    self.start_processing(task, worker)
            elif finish == "released":
                self.scheduler_state[task] = "forgotten"
                for worker in self.workers:
                    worker.has_what.discard(task)

    def start_processing(self, task: int, worker: PlainWorker) -> None:
        self.add_to_processing(task, worker)
        self.scheduler_state[task] = "processing"
        self.check_idle_saturated(worker)
        self.n_tasks += 1
        self.put_key_in_stealable(task)
        self.send(task, worker)

    def add_to_processing(self, task: int, worker: PlainWorker) -> None:
        self.on[task] = worker
        worker.processing.add(task)
        self.assigned_of_group[self.group[task]] += 1
        for dep in self.dependencies[task]:
            if dep not in worker.has_what:
                if dep not in worker.needs_what:
                    worker.needs_what[dep] = 0
                    worker.network += self.size[dep]
                    self.network += self.size[dep]
                worker.needs_what[dep] += 1

    def needs_no_more(self, dep: int, worker: PlainWorker) -> None:
        del worker.needs_what[dep]
        worker.network -= min(self.size[dep], worker.network)
        self.network -= min(self.size[dep], self.network)

    def remove_from_processing(self, task: int, worker: PlainWorker) -> None:
        worker.processing.remove(task)
        self.assigned_of_group[self.group[task]] -= 1
        for dep in self.dependencies[task]:
            if dep in worker.needs_what:
                worker.needs_what[dep] -= 1
                if worker.needs_what[dep] == 0:
                    self.needs_no_more(dep, worker)

    def send(self, task: int, worker: PlainWorker) -> None:
        self.scheduler_free = max(self.now, self.scheduler_free) + self.overhead
        self.given[task] = self.scheduler_free
        self.worker_state[task] = None
        self.at(self.scheduler_free + self.delay, ARRIVE, task)

    def task_finished(self, task: int) -> None:
        worker, g = self.on[task], self.group[task]
        seconds = self.stop[task] - self.start[task]
        self.average[g] = seconds if self.average[g] < 0 else (self.average[g] + seconds) / 2
        self.remove_from_processing(task, worker)
        self.check_idle_saturated(worker)
        self.scheduler_state[task] = "memory"
        worker.has_what.add(task)
        recommendations: dict[int, str] = {}
        for after in sorted(self.dependents[task], key=lambda i: self.rank[i], reverse=True):
            self.waiting_on[after].discard(task)
            if not self.waiting_on[after]:
                recommendations[after] = "processing"
        for dep in self.dependencies[task]:
            self.waiters[dep].discard(task)
            if not self.waiters[dep]:
                recommendations[dep] = "released"
        # The stealing plugin hears of every transition.
        self.level.pop(task, None)
        self.remove_from_in_flight(task)
        for other in self.unknown_durations.pop(g, ()):
            if self.scheduler_state[other] == "processing" and other not in self.in_flight:
                self.level.pop(other, None)
                self.put_key_in_stealable(other)
        self.transitions(recommendations)
        for _ in range(sum(self.slots(worker) for worker in self.workers if worker.has_slot) if self.queued else 0):
            if self.queued:
                self.transitions({heapq.heappop(self.queued)[1]: "processing"})

    # -- a worker

    def ensure_computing(self, worker: PlainWorker) -> None:
        while worker.free_threads and worker.ready:
            _, task = heapq.heappop(worker.ready)
            self.thread[task] = worker.free_threads.pop()
            self.worker_state[task] = "executing"
            self.start[task] = self.now
            self.stop[task] = self.now + self.duration[task] / worker.speed
            self.at(self.stop[task], STOP, task)

    def compute_task(self, task: int) -> None:
        worker = self.on[task]
        self.worker_state[task] = "waiting"
        self.waiting_for_data[task] = set(self.dependencies[task]) - worker.has_what
        for dep in self.dependencies[task]:
            if dep not in worker.has_what and dep not in worker.coming:
                self.gather(task, dep, self.on[dep], worker)
        if not self.waiting_for_data[task]:
            self.becomes_ready(task)

    def becomes_ready(self, task: int) -> None:
        self.worker_state[task] = "ready"
        heapq.heappush(self.on[task].ready, (self.rank[task], task))
        self.ensure_computing(self.on[task])

    def gather(self, task: int, dep: int, source: PlainWorker, worker: PlainWorker) -> None:
        link = source.number if self.links == "pair" else 0
        begin = max(self.now, worker.link_free.get(link, 0.0))
        self.backbone_free = max(self.now, self.backbone_free) + self.size[dep] / self.backbone
        alone = begin + self.size[dep] / self.bandwidth[source.number][worker.number]
        worker.link_free[link] = max(alone, self.backbone_free)
        there = worker.link_free[link] + self.latency[source.number][worker.number]
        worker.coming.add(dep)
        self.moved.append((task, source.number, worker.number, begin, there, self.size[dep]))
        self.at(there, DATA, (dep, worker))

    def data(self, dep: int, worker: PlainWorker) -> None:
        worker.coming.discard(dep)
        if self.scheduler_state[dep] == "forgotten":
            return
        worker.has_what.add(dep)
        if dep in worker.needs_what:
            self.needs_no_more(dep, worker)
        waiting = [
            task for task in self.dependents[dep] if self.on[task] is worker and self.worker_state[task] == "waiting"
        ]
        for task in waiting:
            self.waiting_for_data[task].discard(dep)
        for task in self.by_chance(task for task in waiting if not self.waiting_for_data[task]):
            self.becomes_ready(task)

    def stops(self, task: int) -> None:
        self.worker_state[task] = "memory"
        self.on[task].free_threads.append(self.thread[task])
        self.at(self.now + self.delay, DONE, task)
        self.ensure_computing(self.on[task])

    # -- stealing

    def put_key_in_stealable(self, task: int) -> None:
        g = self.group[task]
        level = 0
        if self.dependencies[task]:
            if self.expected(g) == 0:
                return
            size = sum(self.size[dep] for dep in self.dependencies[task])
            transfer = size / self.policy.assumed_bandwidth + self.policy.steal_latency
            level = max(round(math.log2(transfer / self.expected(g)) + 6), 1)
        if level >= LIMIT_OF_LEVEL:
            return
        self.level[task] = level
        if self.average[g] < 0:
            self.unknown_durations.setdefault(g, set()).add(task)

    def remove_from_in_flight(self, task: int) -> None:
        if task not in self.in_flight:
            return
        victim, thief, here, there = self.in_flight.pop(task)
        thief.in_flight_occupancy -= there
        victim.in_flight_occupancy += here
        victim.in_flight_tasks += 1
        thief.in_flight_tasks -= 1
        if not self.in_flight:
            for worker in self.workers:
                worker.in_flight_occupancy = 0.0

    def balance(self) -> None:
        thieves = [worker for worker in self.workers if worker.idle]
        if not thieves or len(thieves) == len(self.workers):
            return
        occupancies = {worker: self.occupancy(worker) for worker in self.workers}

        def combined(worker: PlainWorker) -> float:
            return occupancies[worker] + worker.in_flight_occupancy

        victims = [worker for worker in self.workers if worker.saturated]
        if not victims:
            victims = sorted(self.workers, key=combined, reverse=True)[:10]
            victims = [
                worker
                for worker in victims
                if combined(worker) > 0.2
                and len(worker.processing) + worker.in_flight_tasks > worker.threads
                and worker not in thieves
            ]
        victims.sort(key=combined, reverse=True)
        for level in range(LIMIT_OF_LEVEL):
            for victim in victims:
                stealable = self.by_chance(task for task in victim.processing if self.level.get(task) == level)
                if not stealable or not thieves:
                    continue
                for task in stealable:
                    if not thieves:
                        break
                    thief = min(
                        thieves,
                        key=lambda worker, task=task: (
                            combined(worker) / worker.threads + self.comm_cost(task, worker),
                            self.nbytes(worker),
                            worker.number,
                        ),
                    )
                    compute = self.expected(self.group[task])
                    there = self.comm_cost(task, thief) + compute
                    here = self.comm_cost(task, victim) + compute
                    if combined(thief) + there <= combined(victim) - here / 2:
                        self.request_steal(task, victim, thief, here, there)
                        n = len(thief.processing) + thief.in_flight_tasks
                        if not self.is_unoccupied(thief, combined(thief), n):
                            thieves.remove(thief)
                self.overdrawn += combined(victim) < 0
                self.check_idle_saturated(victim, combined(victim))

    def request_steal(self, task: int, victim: PlainWorker, thief: PlainWorker, here: float, there: float) -> None:
        del self.level[task]
        self.in_flight[task] = victim, thief, here, there
        victim.in_flight_occupancy -= here
        thief.in_flight_occupancy += there
        victim.in_flight_tasks -= 1
        thief.in_flight_tasks += 1
        self.at(max(self.now, self.given[task]) + self.delay, STEAL_REQUEST, task)

    def steal_request(self, task: int) -> None:
        if task not in self.in_flight:
            return
        if self.worker_state[task] in ("ready", "waiting"):
            self.on[task].ready = [entry for entry in self.on[task].ready if entry[1] != task]
            heapq.heapify(self.on[task].ready)
            self.worker_state[task] = "given up"
        self.at(self.now + self.delay, STEAL_RESPONSE, task)

    def steal_response(self, task: int) -> None:
        if task not in self.in_flight:
            return
        victim, thief, _, _ = self.in_flight[task]
        self.remove_from_in_flight(task)
        if self.worker_state[task] == "given up":
            self.level.pop(task, None)
            self.remove_from_processing(task, victim)
            self.add_to_processing(task, thief)
            self.put_key_in_stealable(task)
            self.send(task, thief)
            self.stolen += 1
            self.stolen_with_inputs += bool(self.dependencies[task])
        else:
            self.rejected += 1
        self.check_idle_saturated(thief)
        self.check_idle_saturated(victim)

    # -- all of it

    def run(self) -> PlainDask:
        sinks = [task for task in range(self.n) if not self.dependents[task]]
        self.transitions(dict.fromkeys(sorted(sinks, key=lambda i: self.rank[i], reverse=True), "waiting"))
        left = self.n
        if self.policy.stealing and left:
            self.at(self.first_look, BALANCE, None)
        while left:
            self.now, kind, _, what = heapq.heappop(self.events)
            if kind == STOP:
                self.stops(what)
            elif kind == DATA:
                self.data(*what)
            elif kind == DONE:
                self.task_finished(what)
                left -= 1
            elif kind == ARRIVE:
                self.compute_task(what)
            elif kind == STEAL_REQUEST:
                self.steal_request(what)
            elif kind == STEAL_RESPONSE:
                self.steal_response(what)
            else:
                self.balance()
                self.looks += 1
                self.at(self.first_look + self.looks * self.policy.steal_interval, BALANCE, None)
        return self


def assert_same(graph: TaskGraph, cluster: Cluster, policy: Dask, seed: int) -> PlainDask:
    """Check that a run is that of the twin, to the last bit; return the twin."""
    trace = run(graph, cluster, policy, seed)
    twin = PlainDask(graph, cluster, policy, seed).run()
    computes = trace.kind == COMPUTE
    assert trace.task[computes].tolist() == list(range(len(graph)))
    assert trace.worker[computes].tolist() == [worker.number for worker in twin.on]
    assert trace.thread[computes].tolist() == twin.thread
    assert trace.start[computes].tolist() == twin.start
    assert trace.stop[computes].tolist() == twin.stop
    moved = trace.kind == TRANSFER
    columns = (trace.task, trace.source, trace.worker, trace.start, trace.stop, trace.size)
    network = np.any(np.asarray(cluster.latency) > 0) or np.isfinite(cluster.bandwidth).any()
    network = network or np.isfinite(cluster.backbone)
    expected = sorted(twin.moved) if network else []
    assert sorted(zip(*(column[moved].tolist() for column in columns), strict=True)) == expected
    overhead = trace.kind == OVERHEAD
    assert trace.stop[overhead].tolist() == (twin.given if cluster.scheduler_overhead else [])
    return twin


# ---- the twin: is it the same?


@st.composite
def runs(draw):
    """A few tasks of few durations and sizes, so that ties are common; a cluster and settings of every allowed form."""
    n = draw(st.integers(0, 16))
    rows = draw_predecessors(draw, n)
    durations = st.sampled_from([0.0, 1.0, 2.0, 0.3, 5.0])
    sizes = st.sampled_from([0.0, 0.25, 1.0, 3.0])
    graph = TaskGraph(
        draw(st.lists(durations, min_size=n, max_size=n)), draw(st.lists(sizes, min_size=n, max_size=n)), rows
    )
    cluster = draw_cluster(draw, [math.inf, 2.0], [0.0, 0.05], [0.0, 0.1])
    group = draw(st.none() | st.lists(st.integers(-1, 2), min_size=n, max_size=n))
    groups = len(set(group)) if group is not None else len({not row for row in rows})
    policy = Dask(
        worker_saturation=draw(st.sampled_from([1.0, 1.1, 2.0, math.inf])),
        stealing=draw(st.booleans()),
        steal_interval=draw(st.sampled_from([0.05, 0.3, 1.0])),
        steal_latency=draw(st.sampled_from([0.1, 0.001])),
        unknown_duration=draw(st.sampled_from([0.5, 2.0])),
        assumed_bandwidth=draw(st.sampled_from([1e8, 1.0, 0.3])),
        group=np.array(group, int) if group is not None else None,
        known=draw(st.none() | st.lists(st.sampled_from([-1.0, 0.0, 0.3, 2.0]), min_size=groups, max_size=groups)),
        rank=draw(st.none() | st.permutations(range(n))),
    )
    return graph, cluster, policy, draw(st.integers(0, 9))


@settings(max_examples=300)
@given(runs())
def test_run_is_its_twin(drawn):
    assert_same(*drawn)


def random_run(seed: int) -> tuple[TaskGraph, Cluster, Dask, int]:
    """Return a run of up to 60 tasks on up to 25 workers: large enough to queue, to deal in turn, and to steal."""
    rng = np.random.default_rng(seed)
    n, w = int(rng.integers(1, 60)), int(rng.choice([1, 2, 3, 4, 5, 25]))
    shape = random_dag(n, float(rng.choice([0.0, 0.02, 0.05, 0.2])), seed=seed)
    duration = rng.choice([0.0, 0.3, 1.0, 2.0, 5.0], n) if rng.random() < 0.8 else rng.random(n) * 3
    graph = shape.replace(duration=duration, output_size=rng.choice([0.0, 1.0, 2.5, 10.0], n))
    cluster = Cluster(
        w,
        threads=rng.integers(1, 4, w),
        speed=rng.choice([1.0, 2.0, 0.7], w),
        latency=rng.choice([0.0, 0.1], (w, w)),
        bandwidth=rng.choice([math.inf, 1.0, 0.3], (w, w)) if seed % 2 else float(rng.choice([math.inf, 0.3])),
        links="pair" if seed % 3 == 0 else "worker",
        backbone=float(rng.choice([math.inf, math.inf, 2.0])),
        scheduler_overhead=float(rng.choice([0.0, 0.0, 0.05])),
        release_delay=float(rng.choice([0.0, 0.1, 0.25])),
        stragglers=(0.2, 3.0) if seed % 5 == 0 else (0.0, 1.0),
    )
    group = rng.integers(-2, 3, n) if rng.random() < 0.3 else None
    policy = Dask(
        worker_saturation=float(rng.choice([1.0, 1.1, 2.0, math.inf])),
        stealing=bool(rng.random() < 0.8),
        steal_interval=float(rng.choice([0.05, 0.3, 1.0])),
        steal_latency=float(rng.choice([0.1, 0.001])),
        assumed_bandwidth=float(rng.choice([1e8, 1.0, 0.3])),
        group=group,
        known=rng.choice([-1.0, 0.3, 1.0, 0.0], len(np.unique(group))) if group is not None else None,
        rank=rng.permutation(n) if rng.random() < 0.5 else None,
    )
    return graph, cluster, policy, seed


def test_larger_runs_are_their_twins_and_much_is_stolen_queued_and_fetched_in_vain():
    stolen = queued = with_inputs = rejected = 0
    for seed in range(400):
        twin = assert_same(*random_run(seed))
        stolen += twin.stolen
        queued += twin.queued_ever
        with_inputs += twin.stolen_with_inputs
        rejected += twin.rejected
    # Without these the comparison would say nothing about them.
    assert stolen > 400
    assert with_inputs > 50
    assert rejected > 5
    assert queued > 500


def shared_inputs(seed: int) -> tuple[TaskGraph, Cluster, Dask, int]:
    """Return a run of tasks that share few large inputs, on a network that is thought to be slow, and wrong estimates.

    An input that several tasks lack is counted once in what their worker has to do, but once for each that is stolen.
    """
    rng = np.random.default_rng(seed)
    sources, others, n, w = (int(rng.integers(low, high)) for low, high in ((2, 6), (0, 30), (10, 60), (3, 7)))
    rows = [[] for _ in range(sources + others)]
    rows += [rng.choice(sources, min(sources, int(rng.integers(1, 4))), replace=False).tolist() for _ in range(n)]
    graph = TaskGraph(rng.choice([0.25, 0.5, 1.0, 4.0], len(rows)), rng.choice([1.0, 5.0, 20.0], len(rows)), rows)
    group = np.array([0] * sources + [1] * others + [2 + i % 2 for i in range(n)])
    cluster = Cluster(w, speed=rng.choice([0.5, 1.0, 4.0], w), bandwidth=float(rng.choice([0.5, 5.0, math.inf])))
    cluster = cluster.replace(release_delay=float(rng.choice([0.0, 2.0])))  # steals take longer than looks are apart
    policy = Dask(
        worker_saturation=math.inf,
        steal_interval=0.2,
        assumed_bandwidth=float(rng.choice([0.5, 1.0, 5.0])),
        steal_latency=0.01,
        unknown_duration=float(rng.choice([0.01, 0.5])),
        group=group,
        known=rng.choice([-1.0, 0.1, 1.0, 10.0, 30.0], len(np.unique(group))),
        rank=rng.permutation(len(rows)),
    )
    return graph, cluster, policy, seed


def test_runs_with_shared_inputs_are_their_twins():
    twins = [assert_same(*shared_inputs(seed)) for seed in range(300)]
    assert sum(twin.overdrawn for twin in twins) > 3
    assert sum(twin.stolen_with_inputs for twin in twins) > 300


@pytest.mark.parametrize(
    "graph",
    [
        tree_reduce(32, output_size=2.0),
        map_reduce(12, 6, output_size=1.0),
        stencil(6, 6, output_size=1.0),
        cholesky(5, output_size=4.0),
        layered(5, 12, degree=2, output_size=1.0),
        fork_join(20, 3, output_size=1.0),
        independent(200),
        TaskGraph(np.ones(61), 40.0, [[], *[[0]] * 60]),  # roots with an input
    ],
)
@pytest.mark.parametrize("saturation", [1.0, 1.1, math.inf])
def test_common_shapes_are_their_twins(graph, saturation):
    uneven = graph.replace(duration=np.random.default_rng(1).lognormal(0.0, 1.0, len(graph)))
    for cluster in (
        Cluster(4, threads=2, latency=0.01, bandwidth=10.0, release_delay=0.02),
        Cluster(22, bandwidth=3.0),
    ):
        for g in (graph, uneven):
            policy = Dask(worker_saturation=saturation, steal_interval=0.1, assumed_bandwidth=5.0)
            assert_same(g, cluster, policy, 3)


# ---- what is known about it


@pytest.mark.parametrize("seed", range(60))
def test_precedence_data_and_threads(seed):
    graph, cluster, policy, _ = random_run(seed)
    graph = graph.replace(output_size=np.arange(len(graph)) + 1.0)  # so that a transfer can be told by its size
    cluster = cluster.replace(latency=0.25)
    trace = run(graph, cluster, policy, seed)
    computes, moved = trace.kind == COMPUTE, trace.kind == TRANSFER
    assert trace.task[computes].tolist() == list(range(len(graph)))  # each once
    worker, thread = trace.worker[computes], trace.thread[computes]
    start, stop = trace.start[computes], trace.stop[computes]
    speed = np.broadcast_to(cluster.speed, cluster.workers)[worker]
    np.testing.assert_allclose(stop - start, real_durations(graph, cluster, seed) / speed, atol=1e-9)
    for task in range(len(graph)):
        for before in graph.predecessors(task).tolist():
            assert start[task] >= stop[before] + cluster.release_delay - 1e-9
            if worker[before] != worker[task]:
                rows = moved & (trace.size == before + 1) & (trace.worker == worker[task])
                assert rows.sum() == 1  # what one task fetched is there for the next
                assert trace.source[rows] == worker[before]
                assert stop[before] <= trace.start[rows]
                assert trace.stop[rows] <= start[task]
    assert ((thread >= 0) & (thread < cluster.threads_per_worker[worker])).all()
    for w, t in set(zip(worker.tolist(), thread.tolist(), strict=True)):
        mine = np.flatnonzero((worker == w) & (thread == t))
        mine = mine[np.lexsort((stop[mine], start[mine]))]
        assert (stop[mine][:-1] <= start[mine][1:]).all()


def test_no_run_beats_the_lower_bounds():
    for seed in range(300):
        graph, cluster, policy, _ = random_run(seed)
        even = Cluster(cluster.workers, threads=2)
        assert run(graph, even, policy, seed).makespan >= lower_bound(graph, even.slots) - 1e-9
        fast = float(np.max(cluster.speed))
        assert run(graph, cluster, policy, seed).makespan >= lower_bound(graph, cluster.slots) / fast - 1e-9


def test_one_worker_takes_the_work_and_the_overheads():
    for seed in range(20):
        graph = random_run(seed)[0]
        assert run(graph, 1, "dask", seed).makespan == pytest.approx(graph.work)
    # In a chain every task waits for the scheduler, and for a message there and one back.
    n, overhead, delay = 7, 0.25, 0.5
    trace = run(chain(n, 2.0), Cluster(1, scheduler_overhead=overhead, release_delay=delay), "dask")
    assert trace.stop.max() == pytest.approx(n * (2.0 + overhead) + (n - 1) * delay + delay / 2)


def test_a_run_is_fixed_by_its_seed():
    graph, cluster = fork_join(40, 2, duration=1.0), Cluster(3, speed=[1.0, 0.3, 2.0], release_delay=0.1)
    policy = Dask(worker_saturation=math.inf, steal_interval=0.2)
    assert run(graph, cluster, policy, 5) == run(graph, cluster, policy, 5)
    assert len({tuple(run(graph, cluster, policy, seed).worker) for seed in range(8)}) > 1
    assert run(graph, cluster, "dask", 5) == run(graph, cluster, Dask(), 5)


def handed_out(trace: Trace) -> np.ndarray:
    """Return when the scheduler handed out each task."""
    return np.sort(trace.stop[trace.kind == OVERHEAD])


def test_saturation_says_how_many_root_tasks_a_worker_is_sent():
    graph, cluster = independent(60, duration=10.0), Cluster(3, threads=4, scheduler_overhead=1e-3)
    for saturation, each in [(0.01, 1), (0.5, 2), (1.0, 4), (1.1, 5), (2.0, 8)]:
        policy = Dask(worker_saturation=saturation, stealing=False)
        at_once = handed_out(run(graph, cluster, policy))
        assert (at_once < 9).sum() == 3 * each
    everything = handed_out(run(graph, cluster, Dask(worker_saturation=math.inf, stealing=False)))
    np.testing.assert_allclose(everything, 1e-3 * np.arange(1, 61))


def test_a_worker_prefers_what_follows_to_new_roots():
    rng = np.random.default_rng(0)
    worse = 0
    for seed in range(30):
        n = 40
        graph = TaskGraph(rng.random(2 * n) + 0.1, 0.0, [[]] * n + [[i] for i in range(n)])
        roots_first = np.arange(2 * n)
        for saturation in (1.0, math.inf):
            policy = Dask(worker_saturation=saturation, rank=roots_first, stealing=False)
            trace = run(graph, Cluster(3, threads=2), policy, seed)
            start, stop = trace.task_times()
            worker = trace.worker[trace.kind == COMPUTE]
            passed_over = sum(
                worker[after] == worker[root] and stop[after - n] < start[root] < start[after]
                for root in range(n)
                for after in range(n, 2 * n)
            )
            if saturation == 1.0:
                assert passed_over == 0
            else:
                worse += passed_over > 0
    assert worse == 30


@pytest.mark.parametrize("saturation", [1.0, 1.1, math.inf])
def test_equal_tasks_on_idle_workers_are_dealt_evenly(saturation):
    for w, threads in [(2, 1), (3, 2), (8, 4), (25, 1), (30, 2)]:
        for each in (1, 2, 3, 7):  # tasks for each thread
            n = w * threads * each
            trace = run(independent(n, duration=2.0), Cluster(w, threads=threads), Dask(worker_saturation=saturation))
            assert trace.makespan == 2.0 * each
            assert np.bincount(trace.worker, minlength=w).tolist() == [threads * each] * w
        few = run(independent(w - 1, duration=2.0), Cluster(w, threads=threads), "dask")
        assert len(set(few.worker.tolist())) == w - 1


def test_stealing_moves_what_a_slow_worker_has_not_begun():
    graph = independent(60, duration=1.0)
    cluster = Cluster(3, speed=[1.0, 1.0, 0.1])

    def at_the_slow_one(stealing):
        trace = run(graph, cluster, Dask(worker_saturation=math.inf, stealing=stealing, known=[1.0]))
        assert sorted(trace.task.tolist()) == list(range(60))
        return (trace.worker == 2).sum(), trace.makespan

    kept, long = at_the_slow_one(False)
    left, short = at_the_slow_one(True)
    assert (kept, long) == (20, 200.0)
    assert left < 5
    assert short < 50


def test_without_stealing_nothing_moves():
    for seed in range(100):
        graph, cluster, policy, _ = random_run(seed)
        settings = {name: getattr(policy, name) for name in ("worker_saturation", "group", "known", "rank")}
        for interval in (0.01, 100.0):
            policy = Dask(**settings, stealing=False, steal_interval=interval)
            assert PlainDask(graph, cluster, policy, seed).run().stolen == 0
            trace = run(graph, cluster, policy, seed)
            assert trace == run(graph, cluster, Dask(**settings, stealing=False), seed)


# ---- real Dask


@pytest.mark.slow
def test_ranks_are_those_that_a_real_scheduler_gives():
    from distributed.diagnostics.plugin import SchedulerPlugin

    from course.measure import cluster, run_graph

    class Priorities(SchedulerPlugin):
        name = "priorities"

        def update_graph(self, scheduler, *, priority, **_):
            self.given = priority

    # Dask goes through sets of keys: which of several like tasks is first depends on how their names are hashed. Where
    # there is no such choice its order is ours; where tasks are alike, ours but for which of them is which.
    exact = [chain(12), independent(30), tree_reduce(16), tree_reduce(64), fork_join(6)]
    alike = [tree_reduce(27, 3), tree_reduce(48, 8), fork_join(6, 3), map_reduce(8, 8)]
    plugin = Priorities()
    with cluster(2, processes=False, dashboard=False) as client:
        client.cluster.scheduler.add_plugin(plugin)
        for graph in exact + alike:
            run_graph(client, graph.replace(duration=np.full(len(graph), 1e-4)))
            rank = np.empty(len(graph), dtype=int)
            for (_, task), (_, _, place) in plugin.given.items():
                rank[task] = place
            ours, level = dask_order(graph), graph.b_level()
            assert level[np.argsort(rank)].tolist() == level[np.argsort(ours)].tolist()
            if any(graph is one for one in exact):
                assert rank.tolist() == ours.tolist()


# ---- bad input


WILD = st.sampled_from([0.0, 1e-300, 1e-9, 0.5, 1.0, 1e6, 1e18, 1e290, 1e307, math.inf, math.nan, -1.0])


@st.composite
def wild_runs(draw):
    """Anything: what comes out must be a trace that holds, or a ValueError."""
    n = draw(st.integers(0, 9))
    rows = [draw(st.lists(st.integers(0, i - 1), unique=True, max_size=3)) if i else [] for i in range(n)]
    w = draw(st.sampled_from([1, 2, 3, 40]))
    things = st.none() | st.sampled_from(["a", [], [1], [0.5, 1], ["a", "b"], [[1], [1, 2]], -1, [math.nan], [-5, 3]])
    return {
        "rows": rows,
        "duration": draw(st.lists(WILD, min_size=n, max_size=n)),
        "size": draw(st.lists(WILD, min_size=n, max_size=n)),
        "cluster": {
            "workers": w,
            "threads": draw(st.sampled_from([1, 2, 10**9, 10**17])),
            "speed": draw(WILD),
            "latency": draw(WILD),
            "bandwidth": draw(WILD),
            "backbone": draw(WILD),
            "scheduler_overhead": draw(WILD),
            "release_delay": draw(WILD),
        },
        "policy": {
            "worker_saturation": draw(WILD | st.just("a") | st.just([1.0, 2.0])),
            "stealing": draw(st.booleans()),
            "steal_interval": draw(WILD | st.sampled_from([None, 1e-6])),
            "steal_latency": draw(WILD),
            "unknown_duration": draw(WILD),
            "assumed_bandwidth": draw(WILD),
            "group": draw(things | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n)),
            "known": draw(things),
            "rank": draw(things | st.permutations(range(n))),
        },
    }


@settings(max_examples=1500)
@given(wild_runs(), st.sets(st.integers(0, 19)))
def test_wild_input_gives_a_trace_or_a_value_error(wild, kept):
    """Only a few settings are wild at a time: else nothing would ever run."""
    names = [
        (part, name) for part in ("cluster", "policy") for name in wild[part] if name not in ("workers", "threads")
    ]
    for i, (part, name) in enumerate(names):
        if i not in kept:
            wild[part].pop(name)
    if 18 not in kept:
        wild["duration"] = [min(x, 1e6) if x >= 0 else 1.0 for x in wild["duration"]]
    if 19 not in kept:
        wild["size"] = [min(x, 1e18) if x >= 0 else 1.0 for x in wild["size"]]
    try:
        graph = TaskGraph(wild["duration"], wild["size"], wild["rows"])
        trace = run(graph, Cluster(**wild["cluster"]), Dask(**wild["policy"]))
    except ValueError:
        return
    computes = trace.kind == COMPUTE
    assert trace.task[computes].tolist() == list(range(len(graph)))
    assert np.isfinite(trace.stop).all()
    start, stop = trace.task_times()
    for task in range(len(graph)):
        assert all(stop[before] <= start[task] for before in graph.predecessors(task))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dask(worker_saturation=0), "worker_saturation is 0; it must be finite and greater than 0"),
        (lambda: Dask(worker_saturation=math.nan), "worker_saturation is nan"),
        (lambda: Dask(worker_saturation="a"), "worker_saturation is 'a'; it must be a number"),
        (lambda: Dask(worker_saturation=[1.0, 2.0]), "worker_saturation is [1.0, 2.0]; it must be one number"),
        (lambda: Dask(stealing="no"), "stealing is 'no'; it must be True or False"),
        (lambda: Dask(steal_interval=0), "steal_interval is 0; it must be finite and at least 1e-06"),
        (lambda: Dask(steal_interval=math.inf), "steal_interval is inf"),
        (lambda: Dask(steal_latency=0), "steal_latency is 0"),
        (lambda: Dask(unknown_duration=-1), "unknown_duration is -1"),
        (lambda: Dask(assumed_bandwidth=0), "assumed_bandwidth is 0"),
        (lambda: run(chain(2), 1, Dask(group=[1])), "group is [1]; it must hold a whole number for each of 2 tasks"),
        (lambda: run(chain(2), 1, Dask(group=["a", "b"])), "group is ['a', 'b']"),
        (lambda: run(chain(2), 1, Dask(group=[[1], [1, 2]])), "group is [[1], [1, 2]]"),
        (lambda: run(chain(2), 1, Dask(group=[0.5, 1])), "group is [0.5, 1]"),
        (
            lambda: run(chain(2), 1, Dask(known=[1.0])),
            "known has shape (1,); it must be (2,): one number for each group",
        ),
        (lambda: run(chain(2), 1, Dask(known=[1.0, math.nan])), "known is nan"),
        (lambda: run(chain(2), 1, Dask(known="a")), "known is 'a'"),
        (lambda: run(chain(2), 1, Dask(rank=[0, 0])), "rank must be a permutation of the numbers 0 … 1"),
        (lambda: run(chain(2), 1, Dask(rank=[1, 2])), "rank must be a permutation"),
        (lambda: run(chain(2), 1, Dask(rank=[0])), "rank is [0]; it must hold a whole number for each of 2 tasks"),
        (lambda: run(chain(2), 2 * 10**6, "dask"), "the cluster has 2000000 workers; at most 1,000,000"),
        (
            lambda: run(independent(2000), 10**5, Dask(group=np.arange(2000))),
            "2000 groups × 100000 workers are too many; the product is at most 100,000,000",
        ),
        (
            lambda: run(chain(2, output_size=1e18), Cluster(2, bandwidth=1e-290), "dask"),
            "the run could take longer than 1e+300 s",
        ),
        (
            lambda: run(chain(2, output_size=1e18), 2, Dask(assumed_bandwidth=1e-290)),
            "assumed_bandwidth 1e-290; the tasks must not be thought to take longer than 1e+300 s",
        ),
        (lambda: run(chain(2), Cluster(2, failures=[(0, 1.0)]), "dask"), "failures, which policy 'dask' does not"),
        (lambda: run(chain(2), 1, "dask", seed=-1), "seed is -1"),
    ],
)
def test_dask_refuses(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_nothing_and_a_single_task():
    for cluster in (1, Cluster(3, scheduler_overhead=0.1), Cluster(2000, latency=1.0)):
        assert len(run(TaskGraph([]), cluster, "dask")) == 0
    assert run(TaskGraph([2.5]), 50, "dask").makespan == 2.5
    assert run(fork_join(4, duration=0.0), 2, "dask").makespan == 0.0
    # More threads than there is memory for.
    assert run(independent(5), Cluster(2, threads=10**12), "dask").makespan == 1.0


def test_looks_at_which_nothing_can_change_take_no_time():
    """1e15 and more looks lie between two ends; those that can do something happen when they would."""
    graph, cluster = independent(30, duration=1e6), Cluster(3, speed=[1.0, 1.0, 0.1])
    often, seldom = (
        run(graph, cluster, Dask(worker_saturation=math.inf, steal_interval=interval)) for interval in (1e-6, 1.0)
    )
    assert often.makespan == pytest.approx(seldom.makespan, rel=1e-3)
    assert (often.worker == 2).sum() < 10  # stolen, all the same
    huge = independent(30, duration=1e200)  # where now + interval is now
    run(huge, cluster, Dask(worker_saturation=math.inf, steal_interval=1e-6))


# ---- compiled once


def test_every_call_uses_what_warm_up_compiled():
    from course.simulate.dask import loop

    warm_up()
    arrays = {"group": np.zeros(4, np.int8), "known": [1], "rank": np.arange(4, dtype=np.uint16)}
    arrays["group"].flags.writeable = False
    for graph in (independent(1), chain(4), map_reduce(2, 2, output_size=3.0), TaskGraph([])):
        for cluster in (
            Cluster(1), Cluster(1, speed=2, latency=1), Cluster(2, speed=[1.0, 2.0], bandwidth=[1, 2], backbone=5),
            Cluster(2, latency=np.ones((2, 2)).T, threads=np.array([1, 2], dtype=np.int32), scheduler_overhead=1),
        ):  # fmt: skip
            run(graph, cluster, "dask")
            run(graph, cluster, Dask(worker_saturation=2, stealing=False, steal_interval=1, unknown_duration=1))
            run(graph, cluster, Dask(worker_saturation=np.float32(1.5), steal_interval=np.int64(1)))
    run(chain(4), 2, Dask(**arrays))
    assert len(loop.simulate.signatures) == 1
