"""Stealing: idle workers get tasks that busy ones have not begun."""

from __future__ import annotations

import numpy as np

from course.simulate.dask.assignment import add_to_processing, remove_from_processing, send
from course.simulate.dask.estimates import (
    check_idle_saturated,
    count_inputs,
    expected,
    forget_inputs,
    is_unoccupied,
    occupancy,
)
from course.simulate.dask.placement import smaller
from course.simulate.dask.skew_heap import inserted, merged, removed
from course.simulate.dask.state import (
    ASKED,
    FETCHING,
    LEVELS,
    N_STEALS,
    NOW,
    READY,
    STEAL_REQUEST,
    STEAL_RESPONSE,
    WAITING,
    Growing,
    State,
    kernel,
    schedule,
    smallest_first,
)


@kernel
def end_steal(s: State, task: int) -> None:
    """Take a steal under way off the accounts."""
    victim, thief = s.tasks.where[task], s.tasks.thief[task]
    s.workers.steal_occupancy[thief] -= s.tasks.thief_cost[task]
    s.workers.steal_occupancy[victim] += s.tasks.victim_cost[task]
    s.workers.steal_tasks[victim] += 1
    s.workers.steal_tasks[thief] -= 1
    s.tasks.thief[task] = -1
    s.count[N_STEALS] -= 1
    if s.count[N_STEALS] == 0:
        s.workers.steal_occupancy[:] = 0.0  # no rounding errors are left behind


@kernel
def victims_of(s: State, occ: np.ndarray) -> np.ndarray:
    """Return the workers to steal from, the busiest first: the saturated ones, or else the busiest ten."""
    any_saturated = s.workers.saturated.any()
    workers, keys = np.empty(len(s.workers), np.int64), np.empty(len(s.workers))
    for w in range(len(s.workers)):
        workers[w], keys[w] = w, -(occ[w] + s.workers.steal_occupancy[w])
    order = smallest_first(workers, keys)
    victims, k = np.empty(len(order), np.int64), 0
    for w in order if any_saturated else order[:10]:
        tasks = s.workers.processing[w] + s.workers.steal_tasks[w]
        busy = occ[w] + s.workers.steal_occupancy[w] > 0.2 and tasks > s.workers.threads[w] and not s.workers.idle[w]
        if s.workers.saturated[w] or (not any_saturated and busy):
            victims[k] = w
            k += 1
    return victims[:k]


@kernel
def thief_of(s: State, r: Growing, task: int, thieves: np.ndarray, occ: np.ndarray) -> int:
    """Return the thief where the task is thought to start first, −1 if its worker is thought to be done with it sooner.

    If there is one, the victim is asked for the task.
    """
    victim, shift = s.tasks.where[task], s.workers.steal_occupancy
    total = count_inputs(s, r, task)
    thief, best_start = -1, np.inf
    for w in range(len(thieves)):
        if thieves[w]:
            start = (occ[w] + shift[w]) / s.workers.threads[w]
            start += (total - s.workers.inputs[w]) / s.assumed_bandwidth
            if thief < 0 or start < best_start or (start == best_start and smaller(s, w, thief)):
                thief, best_start = w, start
    seconds = expected(s, s.tasks.group[task])
    there = (total - s.workers.inputs[thief]) / s.assumed_bandwidth + seconds
    here = (total - s.workers.inputs[victim]) / s.assumed_bandwidth + seconds
    forget_inputs(s, r, task)
    if occ[thief] + shift[thief] + there > occ[victim] + shift[victim] - here / 2:
        return -1
    request_steal(s, r, task, thief, there, here)
    return thief


@kernel
def request_steal(s: State, r: Growing, task: int, thief: int, there: float, here: float) -> None:
    """Ask a task's worker to give it up; `there` and `here` are what it is thought to cost at thief and victim."""
    victim = s.tasks.where[task]
    s.tasks.thief[task], s.tasks.thief_cost[task], s.tasks.victim_cost[task] = thief, there, here
    s.tasks.level[task] = ASKED
    s.workers.steal_occupancy[victim] -= here
    s.workers.steal_occupancy[thief] += there
    s.workers.steal_tasks[victim] -= 1
    s.workers.steal_tasks[thief] += 1
    s.count[N_STEALS] += 1
    # The request goes the way that the task went, and so comes after it.
    schedule(s, r, max(s.clock[NOW], s.tasks.given[task]) + s.delay, STEAL_REQUEST, task)


@kernel
def balance(s: State, r: Growing) -> bool:
    """Ask busy workers for tasks that idle ones could do sooner, the cheapest to move first.

    Return whether anything changed: if not, another look at the same state would change nothing either.
    """
    thieves, n_thieves, occ = np.empty(len(s.workers), np.bool_), 0, np.empty(len(s.workers))
    for w in range(len(s.workers)):
        thieves[w], occ[w] = s.workers.idle[w], occupancy(s, w)
        n_thieves += thieves[w]
    if n_thieves == 0 or n_thieves == len(thieves):
        return False
    shift = s.workers.steal_occupancy
    victims = victims_of(s, occ)
    changed = False
    for level in range(LEVELS):
        for victim in victims:
            if n_thieves == 0:
                return changed
            root, kept = s.stealable[victim, level], -1
            if root < 0:
                continue
            while root >= 0 and n_thieves > 0:
                node, root = root, removed(s.nodes, root, root)
                thief = thief_of(s, r, node - len(s.tasks), thieves, occ)
                if thief < 0:
                    kept = inserted(s.nodes, kept, node)
                    continue
                changed = True
                processing = s.workers.processing[thief] + s.workers.steal_tasks[thief]
                if not is_unoccupied(s, thief, occ[thief] + shift[thief], processing):
                    thieves[thief] = False
                    n_thieves -= 1
            s.stealable[victim, level] = merged(s.nodes, kept, root)
            if check_idle_saturated(s, victim, occ[victim] + shift[victim]):
                changed = True
    return changed


@kernel
def steal_request(s: State, r: Growing, task: int) -> None:
    """Let the victim give a task up, unless it has begun; its answer goes back to the scheduler."""
    if s.tasks.thief[task] < 0:
        return  # it was done before the request went out
    w = s.tasks.where[task]
    if s.tasks.state[task] == READY:
        s.workers.ready[w] = removed(s.nodes, s.workers.ready[w], task)
    if s.tasks.state[task] == FETCHING or s.tasks.state[task] == READY:
        s.tasks.state[task] = WAITING
    schedule(s, r, s.clock[NOW] + s.delay, STEAL_RESPONSE, task)


@kernel
def steal_response(s: State, r: Growing, task: int) -> None:
    """Let the scheduler move a task that its victim gave up."""
    if s.tasks.thief[task] < 0:
        return
    victim, thief = s.tasks.where[task], s.tasks.thief[task]
    end_steal(s, task)
    if s.tasks.state[task] == WAITING:
        remove_from_processing(s, r, task)
        add_to_processing(s, r, task, thief)
        send(s, r, task)
    check_idle_saturated(s, thief, occupancy(s, thief))
    check_idle_saturated(s, victim, occupancy(s, victim))
