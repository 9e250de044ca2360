"""The event loop: a graph comes in, tasks end, messages arrive, until all is done."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.dask.assignment import (
    assign,
    fill_slots,
    free_result,
    put_in_stealable,
    remove_from_processing,
    remove_from_stealable,
)
from course.simulate.dask.estimates import check_idle_saturated, occupancy
from course.simulate.dask.state import (
    ARRIVE,
    BALANCE,
    DATA,
    DONE,
    ENDED,
    FOUND,
    HELD,
    KIND,
    MEMORY,
    N_ANNOUNCED,
    N_EVENTS,
    N_LEFT,
    NOW,
    QUEUED,
    STEAL_REQUEST,
    STEAL_RESPONSE,
    STOP,
    SUBMIT,
    TOO_DEAR,
    TURN,
    WAITING,
    Growing,
    State,
    add_entry,
    kernel,
    predecessors,
    schedule,
    smallest_first,
    successors,
)
from course.simulate.dask.stealing import balance, end_steal, steal_request, steal_response
from course.simulate.dask.workers import arrive, data_arrives, stop
from course.simulate.heap import pop
from course.simulate.submissions import TOLERANCE


@kernel
def submit(s: State, r: Growing, occasion: int) -> None:
    """Take in a graph: assign what waits for nothing, as a walk from its last tasks to the first finds it."""
    given = s.submitted[s.occasions.first[occasion] : s.occasions.last[occasion]]
    stack, depth = np.empty(len(given), np.int64), 0
    for task in given:
        s.tasks.state[task] = WAITING
        s.tasks.missing[task] -= 1  # what it missed until now was its submission
        last = True
        for after in successors(s, task):
            last &= s.tasks.occasion[after] != occasion
        if last:
            stack[depth], s.tasks.state[task] = task, FOUND
            depth += 1
    last = smallest_first(stack[:depth], s.tasks.rank)
    for i in range(depth):
        stack[i] = last[depth - 1 - i]  # the most preferred on top
    while depth > 0:
        depth -= 1
        task = stack[depth]
        if s.tasks.missing[task] == 0:
            assign(s, r, task)
            continue
        for before in smallest_first(predecessors(s, task), s.tasks.shuffle):
            if s.tasks.state[before] == WAITING and s.tasks.occasion[before] == occasion:
                stack[depth], s.tasks.state[before] = before, FOUND
                depth += 1


@kernel
def announce(s: State, r: Growing) -> None:
    """Let the client submit what it submits after so many tasks have ended."""
    while s.count[N_ANNOUNCED] < len(s.occasions):
        occasion = s.count[N_ANNOUNCED]
        if s.occasions.after[occasion] > s.clock[ENDED] * (1 + TOLERANCE):
            return
        schedule(s, r, s.clock[NOW] + s.occasions.pause[occasion], SUBMIT, occasion)
        s.count[N_ANNOUNCED] += 1


@kernel
def learn_duration(s: State, task: int) -> None:
    """Let the scheduler learn how long a task took; the first of a group says what stealing the others would cost."""
    g = s.tasks.group[task]
    seconds = s.tasks.stop[task] - s.tasks.start[task]
    if s.groups.average[g] >= 0:
        s.groups.average[g] = (s.groups.average[g] + seconds) / 2
        return
    s.groups.average[g] = seconds
    for other in range(len(s.tasks)):
        assigned = QUEUED < s.tasks.state[other] < MEMORY
        if s.tasks.group[other] == g and assigned and s.tasks.thief[other] < 0 and s.tasks.level[other] != TOO_DEAR:
            remove_from_stealable(s, other)
            put_in_stealable(s, other)


@kernel
def done(s: State, r: Growing, task: int) -> None:
    """Tell the scheduler that a task is done: free what nobody needs, assign what waited for it, refill the workers."""
    w = s.tasks.where[task]
    learn_duration(s, task)
    if s.tasks.thief[task] >= 0:
        end_steal(s, task)
    remove_from_processing(s, r, task)
    check_idle_saturated(s, w, occupancy(s, w))
    s.tasks.state[task] = MEMORY
    s.count[N_LEFT] -= 1
    add_entry(s, r, task, w, HELD)
    s.workers.held[w] += s.tasks.output[task]
    for before in predecessors(s, task):
        s.tasks.waiters[before] -= 1
        if s.tasks.waiters[before] == 0:
            free_result(s, r, before)
    released, k = np.empty(len(successors(s, task)), np.int64), 0
    for after in successors(s, task):
        s.tasks.missing[after] -= 1
        if s.tasks.missing[after] == 0:
            released[k] = after
            k += 1
    for after in smallest_first(released[:k], s.tasks.rank):
        assign(s, r, after)
    fill_slots(s, r)


@kernel
def grown(r: Growing) -> Growing:
    """Return the same with twice the room."""
    room = len(r.events)
    return Growing(
        np.concatenate((r.entries, r.entries)),
        np.concatenate((r.event_key, np.empty(room))),
        np.concatenate((r.events, np.empty(room, np.int64))),
    )


@njit(cache=True)
def simulate(s: State, r: Growing, first_look: float, interval: float) -> Growing:
    """Run until all tasks are done; the result is in the state's arrays, and in the entries that are returned."""
    announce(s, r)
    if interval < np.inf and s.count[N_LEFT] > 0:
        schedule(s, r, first_look, BALANCE, 0)
    look = 0.0
    room = len(r.entries)  # for the entries, and the events, of all that is not stolen
    while s.count[N_LEFT] > 0:
        s.clock[NOW], event = r.event_key[0], r.events[0]
        s.count[N_EVENTS] = pop(r.event_key, r.events, s.count[N_EVENTS])
        kind, what = event >> KIND, event & ((1 << TURN) - 1)
        if kind == STOP:
            stop(s, r, what)
            s.clock[ENDED] += s.tasks.weight[what]
            announce(s, r)
        elif kind == DATA:
            data_arrives(s, r, what)
        elif kind == DONE:
            done(s, r, what)
        elif kind == ARRIVE:
            arrive(s, r, what)
        elif kind == SUBMIT:
            submit(s, r, what)
        elif kind == STEAL_REQUEST:
            steal_request(s, r, what)
        elif kind == STEAL_RESPONSE:
            room += s.tasks.before_end[what] - s.tasks.before[what]
            if room > len(r.entries):
                r = grown(r)
            steal_response(s, r, what)
        elif balance(s, r):
            look += 1
            schedule(s, r, first_look + look * interval, BALANCE, 0)
        else:  # the next look that can see anything new is the first one after something else has happened
            look = max(look + 1, np.floor((r.event_key[0] - first_look) / interval))
            if first_look + look * interval < r.event_key[0]:
                look += 1
            schedule(s, r, max(first_look + look * interval, r.event_key[0]), BALANCE, 0)
    return r
