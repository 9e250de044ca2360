"""What the scheduler thinks of its workers: how long their work will take, who is idle, who has too much."""

from __future__ import annotations

import numpy as np

from course.simulate.dask.state import HELD, LEVELS, NETWORK, TOO_DEAR, Growing, State, kernel, predecessors


@kernel
def expected(s: State, group: int) -> float:
    """Return how long a task of a group is thought to take."""
    return s.groups.average[group] if s.groups.average[group] >= 0 else s.unknown


@kernel
def occupancy(s: State, worker: int) -> float:
    """Return how long a worker's assigned tasks and their transfers are thought to take, one after the other."""
    seconds = s.workers.network[worker] / s.assumed_bandwidth
    for g in range(len(s.groups)):
        if s.prefixes[worker, g]:
            seconds += s.prefixes[worker, g] * expected(s, g)
    return seconds


@kernel
def mean_occupancy(s: State) -> float:
    """Return the occupancy of the whole cluster, per thread."""
    seconds = s.clock[NETWORK] / s.assumed_bandwidth
    for g in range(len(s.groups)):
        seconds += s.groups.total[g] * expected(s, g)
    return seconds / s.threads


@kernel
def is_unoccupied(s: State, worker: int, occ: float, processing: int) -> bool:
    """Whether a worker has fewer tasks than threads, or less than half of the average work."""
    threads = s.workers.threads[worker]
    return processing < threads or occ < threads * mean_occupancy(s) / 2


@kernel
def check_idle_saturated(s: State, worker: int, occ: float) -> bool:
    """Decide anew whether a worker counts as idle, as saturated, and as one that root tasks may be sent to.

    A negative `occ` (steals under way can take more off than there is) stands for the worker's own. Return whether
    anything is other than before.
    """
    occ = occ if occ >= 0 else occupancy(s, worker)
    p, threads = s.workers.processing[worker], s.workers.threads[worker]
    idle, saturated = is_unoccupied(s, worker, occ, p), False
    if not idle and p > threads:
        pending = occ * (p - threads) / (p * threads)
        saturated = pending > 0.4 and pending > 1.9 * mean_occupancy(s)
    has_slot = s.saturation == np.inf or p < max(np.ceil(s.saturation * threads), 1)
    same = (
        s.workers.idle[worker] == idle
        and s.workers.saturated[worker] == saturated
        and s.workers.has_slot[worker] == has_slot
    )
    s.workers.idle[worker], s.workers.saturated[worker], s.workers.has_slot[worker] = idle, saturated, has_slot
    return not same


@kernel
def count_inputs(s: State, r: Growing, task: int) -> float:
    """Note how many bytes of a task's inputs each worker holds, in `WORKER.inputs`; return how many there are."""
    total = 0.0
    for data in predecessors(s, task):
        total += s.tasks.output[data]
        entry = s.tasks.entry[data]
        while entry >= 0:
            if r.entries.status[entry] == HELD:
                s.workers.inputs[r.entries.worker[entry]] += s.tasks.output[data]
            entry = r.entries.next[entry]
    return total


@kernel
def forget_inputs(s: State, r: Growing, task: int) -> None:
    """Undo `count_inputs`."""
    for data in predecessors(s, task):
        entry = s.tasks.entry[data]
        while entry >= 0:
            s.workers.inputs[r.entries.worker[entry]] = 0.0
            entry = r.entries.next[entry]


@kernel
def steal_level(s: State, task: int) -> int:
    """Return what stealing a task would cost against the work that it moves, in powers of two, or `TOO_DEAR`."""
    if s.tasks.before[task] == s.tasks.before_end[task]:
        return 0
    seconds = expected(s, s.tasks.group[task])
    if seconds == 0:
        return TOO_DEAR
    total = 0.0
    for data in predecessors(s, task):
        total += s.tasks.output[data]
    level = np.rint(np.log2((total / s.assumed_bandwidth + s.steal_latency) / seconds) + 6)
    return int(max(level, 1.0)) if level < LEVELS else TOO_DEAR
