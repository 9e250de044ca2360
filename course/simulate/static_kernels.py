"""The loops of static scheduling: what is taken next, where it goes, how the plan is replayed.

Machines are numbered; ``group[p]`` is the worker of machine p, and data moves for free within a group. The cost of a
task on machine p is ``costs[task, column[p]]``, so that equal machines share a column. The time of an edge between two
groups is latency + size / bandwidth; both are matrices (from, to) whose sides are 1 where it does not matter.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push

FINISH, START, IDLE = 0, 1, 2
"""What a machine is chosen by: the earliest finish, the earliest start, or being idle first."""

EPSILON = float(np.finfo(float).eps)


@njit(cache=True)
def order_by(priority: np.ndarray, indptr: np.ndarray, after_indptr: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the tasks in the order: of those whose predecessors were taken, the smallest priority, then number."""
    n = len(priority)
    keys, heap = np.empty(n + 1), np.empty(n + 1, np.int32)
    missing = np.empty(n, np.int32)
    order = np.empty(n, np.int32)
    count = 0
    for task in range(n):
        missing[task] = indptr[task + 1] - indptr[task]
        if missing[task] == 0:
            count = push(keys, heap, count, priority[task], task)
    for k in range(n):
        task = heap[0]
        count = pop(keys, heap, count)
        order[k] = task
        for e in range(after_indptr[task], after_indptr[task + 1]):
            missing[after[e]] -= 1
            if missing[after[e]] == 0:
                count = push(keys, heap, count, priority[after[e]], after[e])
    return order


@njit(cache=True)
def optimistic_costs(
    topological: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    comm: np.ndarray,
    costs: np.ndarray,
) -> np.ndarray:
    """Return PEFT's table: the least time from the end of a task on a machine to the end of the graph."""
    n, columns = costs.shape
    table = np.zeros((n, columns))
    for k in range(n - 1, -1, -1):
        task = topological[k]
        least = np.inf
        for c in range(columns):
            least = min(least, table[task, c] + costs[task, c])
        for e in range(indptr[task], indptr[task + 1]):
            before = indices[e]
            for c in range(columns):
                # It stays on the machine and needs no transfer, or goes to the best one and needs one.
                way = min(table[task, c] + costs[task, c], least + comm[e])
                table[before, c] = max(table[before, c], way)
    return table


@njit(cache=True)
def data_ready(
    ready: np.ndarray,  # is filled: when all inputs of the task are there, for each group
    task: int,
    indptr: np.ndarray,
    indices: np.ndarray,
    size: np.ndarray,
    latency: np.ndarray,
    bandwidth: np.ndarray,
    group: np.ndarray,
    where: np.ndarray,
    finish: np.ndarray,
) -> None:
    """Find when the inputs of a task are on each group of machines."""
    first_edge, last_edge = indptr[task], indptr[task + 1]
    if latency.size == 1 and bandwidth.size == 1:
        # All pairs alike: every group waits for the last arrival, except that from itself. So the last arrival and the
        # last from any other group are enough; no loop over groups for each edge.
        last, last_elsewhere, source = 0.0, 0.0, -1
        for e in range(first_edge, last_edge):
            g = group[where[indices[e]]]
            arrival = finish[indices[e]] + (latency[0, 0] + size[e] / bandwidth[0, 0])
            if g == source:
                last = max(last, arrival)
            elif arrival > last:
                last, last_elsewhere, source = arrival, last, g
            else:
                last_elsewhere = max(last_elsewhere, arrival)
        ready[:] = last
        if source >= 0:
            ready[source] = last_elsewhere
        for e in range(first_edge, last_edge):
            g = group[where[indices[e]]]
            ready[g] = max(ready[g], finish[indices[e]])
        return
    ready[:] = 0.0
    for e in range(first_edge, last_edge):
        before = indices[e]
        source = group[where[before]]
        for g in range(len(ready)):
            arrival = finish[before]
            if g != source:
                arrival += edge_time(e, source, g, size, latency, bandwidth)
            ready[g] = max(ready[g], arrival)


@njit(cache=True)
def edge_time(e: int, source: int, target: int, size: np.ndarray, latency: np.ndarray, bandwidth: np.ndarray) -> float:
    """Return the seconds that the data of an edge needs between two groups."""
    delay = latency[min(source, latency.shape[0] - 1), min(target, latency.shape[1] - 1)]
    return delay + size[e] / bandwidth[min(source, bandwidth.shape[0] - 1), min(target, bandwidth.shape[1] - 1)]


@njit(cache=True)
def first_fit(opens: np.ndarray, closes: np.ndarray, low: int, high: int, earliest: float, cost: float) -> int:
    """Return the first of a machine's gaps (low … high−1, by time) that the task fits into; high where none does."""
    if low == high or earliest + cost > closes[high - 1]:
        return high  # the usual case: it comes after all gaps
    last = high - 1
    while low < last:
        middle = (low + last) >> 1
        if earliest + cost > closes[middle]:
            low = middle + 1
        else:
            last = middle
    for k in range(low, high):
        if max(opens[k], earliest) + cost <= closes[k]:
            return k
    return high


@njit(cache=True)
def place(
    order: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    size: np.ndarray,
    latency: np.ndarray,
    bandwidth: np.ndarray,
    costs: np.ndarray,
    column: np.ndarray,
    group: np.ndarray,
    fixed: np.ndarray,  # the machine that a task must run on; −1: any
    extra: np.ndarray,  # (n, columns) is added to the score; (0, 0): nothing is
    rule: int,
    insertion: bool,
    least: float,  # no task takes less than this anywhere
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place the tasks one after the other, each on the machine of the lowest score; return machine, start, finish."""
    n, machines = len(order), len(column)
    where = np.full(n, -1, np.int32)
    start, finish = np.empty(n), np.empty(n)
    ready = np.empty(group.max() + 1)
    free = np.zeros(machines)  # when the last task of each machine ends

    # The idle gaps before that, by time, of machine p: first[p] … first[p] + count[p] − 1 of two flat arrays. A machine
    # that outgrows its part moves to one of twice the size at the end. Each task adds at most one gap.
    opens, closes = np.empty(4 * n + 8 * machines), np.empty(4 * n + 8 * machines)
    first = np.arange(machines) * 4
    room = np.full(machines, 4)
    count = np.zeros(machines, np.int64)
    used = 4 * machines

    for task in order:
        data_ready(ready, task, indptr, indices, size, latency, bandwidth, group, where, finish)
        best, best_gap, best_start, best_score = -1, 0, 0.0, np.inf
        low, high = 0, machines
        if fixed[task] >= 0:
            low, high = fixed[task], fixed[task] + 1
        for p in range(low, high):
            cost = costs[task, column[p]]
            earliest = ready[group[p]]
            more = extra[task, column[p]] if extra.size else 0.0
            # No machine is better than when it is idle all the time: do not look for a gap in vain.
            score = free[p] if rule == IDLE else (earliest + cost + more if rule == FINISH else earliest + more)
            if best >= 0 and score >= best_score:
                continue
            begin, k = max(earliest, free[p]), first[p] + count[p]
            if insertion:
                k = first_fit(opens, closes, first[p], k, earliest, cost)
                if k < first[p] + count[p]:
                    begin = max(earliest, opens[k])
            if rule != IDLE:
                score = begin + cost + more if rule == FINISH else begin + more
            if best < 0 or score < best_score:
                best, best_gap, best_start, best_score = p, k, begin, score

        p, k, begin = best, best_gap, best_start
        end = begin + costs[task, column[p]]
        where[task], start[task], finish[task] = p, begin, end
        if not insertion:
            free[p] = end
            continue
        if count[p] == room[p]:
            for j in range(count[p]):
                opens[used + j], closes[used + j] = opens[first[p] + j], closes[first[p] + j]
            k += used - first[p]
            first[p], room[p] = used, 2 * room[p]
            used += room[p]
        # A gap that nothing fits into is dropped.
        if k == first[p] + count[p]:
            if end > begin or begin > free[p]:  # what takes no time and leaves no gap changes nothing
                if free[p] + least <= begin:
                    opens[k], closes[k] = free[p], begin
                    count[p] += 1
                free[p] = end
        elif end > begin or (opens[k] < begin < closes[k]):
            left, right = opens[k] + least <= begin, end + least <= closes[k]
            if left and right:
                for j in range(first[p] + count[p], k, -1):
                    opens[j], closes[j] = opens[j - 1], closes[j - 1]
                closes[k], opens[k + 1] = begin, end
                count[p] += 1
            elif left:
                closes[k] = begin
            elif right:
                opens[k] = end
            else:
                count[p] -= 1
                for j in range(k, first[p] + count[p]):
                    opens[j], closes[j] = opens[j + 1], closes[j + 1]
    return where, start, finish


@njit(cache=True)
def insert(tree: np.ndarray, position: int) -> None:
    """Add a position to a set: a binary tree of flags, the leaves last; a node is set if one below it is."""
    node = position + (len(tree) >> 1)
    while node > 0 and not tree[node]:
        tree[node] = True
        node >>= 1


@njit(cache=True)
def remove(tree: np.ndarray, position: int) -> None:
    """Take a position out of a set."""
    node = position + (len(tree) >> 1)
    tree[node] = False
    node >>= 1
    while node > 0 and not (tree[2 * node] or tree[2 * node + 1]):
        tree[node] = False
        node >>= 1


@njit(cache=True)
def following(tree: np.ndarray, position: int) -> int:
    """Return the first position of a set that is not before this one; the number of leaves where there is none."""
    size = len(tree) >> 1
    if position >= size:
        return size
    node = position + size
    if tree[node]:
        return position
    while node > 1:
        if not node & 1 and tree[node + 1]:
            node += 1
            while node < size:
                node = 2 * node if tree[2 * node] else 2 * node + 1
            return node - size
        node >>= 1
    return size


@njit(cache=True)
def first_of(
    tree: np.ndarray,
    tasks: np.ndarray,  # the task of each position, sorted by extra + term, extra, term, rank
    extra: np.ndarray,  # (n,)
    term: np.ndarray,
    rank: np.ndarray,
    free: float,
    error: float,  # by how much rounding may reverse two values in the sorted order; 0: it can only make them equal
) -> int:
    """Return the task of a set that has the least (free + extra) + term, of equals the one of the smallest rank."""
    position = following(tree, 0)
    best = tasks[position]
    least = (free + extra[best]) + term[best]
    while True:
        # All that are alike stand together by rank: go on after the last of them.
        alike, step = tasks[position], 1
        position += 1
        after = following(tree, position)
        if after < len(tasks) and extra[tasks[after]] == extra[alike] and term[tasks[after]] == term[alike]:
            low, high = after, len(tasks)  # low is alike, high is not
            while low + step < len(tasks):
                other = tasks[low + step]
                if extra[other] != extra[alike] or term[other] != term[alike]:
                    high = low + step
                    break
                low += step
                step *= 2
            while high - low > 1:
                middle = (low + high) >> 1
                other = tasks[middle]
                if extra[other] == extra[alike] and term[other] == term[alike]:
                    low = middle
                else:
                    high = middle
            after = following(tree, high)
        if after >= len(tasks):
            return best
        position, task = after, tasks[after]
        value = (free + extra[task]) + term[task]
        if value > least + error:
            return best
        if value < least or (value == least and rank[task] < rank[best]):
            best, least = task, value


@njit(cache=True)
def place_least(
    indptr: np.ndarray,
    indices: np.ndarray,
    after_indptr: np.ndarray,
    after: np.ndarray,
    size: np.ndarray,
    latency: np.ndarray,
    bandwidth: np.ndarray,
    costs: np.ndarray,
    column: np.ndarray,
    group: np.ndarray,
    extra: np.ndarray,  # (columns, n): the score of a machine is the earliest start on it plus this
    extra_column: np.ndarray,
    term: np.ndarray,  # is added to the score when tasks are compared
    sequence: np.ndarray,  # the tasks in the order in which equals are taken
    tasks: np.ndarray,  # (columns, n): the tasks sorted by extra + term, extra, term, place in the sequence
    spread: float,  # the largest |extra| + |term|; 0 where there is no term
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Choose the task and machine of the least score together, each time anew; return order, machine, start, finish.

    A task whose inputs are there before a machine is free has the score free + extra: however long the machine is
    busy, such tasks stay sorted by extra. Those whose inputs come later have a score that does not change until the
    machine is busy for longer; it is a bound from below from then on. So each machine has a set of the first, all
    share a heap of the second, and a task goes from the heap to a set at most once for each machine. Machines that
    share a column share a set, in which only the one that is free first counts, except for tasks whose inputs are on
    some of them earlier than on the others.
    """
    n, machines, columns = len(term), len(column), len(extra)
    shared = columns < machines
    queues = machines + columns if shared else machines  # one for each machine, then one for each shared column
    queue_column = np.empty(queues, np.int64)
    queue_column[:machines] = extra_column
    queue_column[machines:] = np.arange(queues - machines)
    queue_free = np.zeros(queues)
    leaves = 1
    while leaves < n:
        leaves *= 2
    tree = np.zeros((queues, 2 * leaves), np.bool_)
    first, first_value = np.full(queues, -1), np.empty(queues)  # the best task of each set; −1: not known
    rank, position = np.empty(n, np.int64), np.empty((n, columns), np.int32)
    for k in range(n):
        rank[sequence[k]] = k
        for c in range(columns):
            position[tasks[c, k], c] = k

    order = np.empty(n, np.int32)
    where = np.full(n, -1, np.int32)
    start, finish = np.empty(n), np.empty(n)
    ready = np.empty(group.max() + 1)
    keys, heap, count = np.empty(1024), np.empty(1024, np.int64), 0  # of rank · queues + queue
    missing = np.empty(n, np.int32)
    fresh, new = np.empty(n, np.int32), 0  # the tasks that are ready since the last step
    for task in range(n):
        missing[task] = indptr[task + 1] - indptr[task]
        if missing[task] == 0:
            fresh[new] = task
            new += 1

    for k in range(n):
        for i in range(new):
            task = fresh[i]
            data_ready(ready, task, indptr, indices, size, latency, bandwidth, group, where, finish)
            last = ready.max()
            for q in range(queues):
                moment = ready[group[q]] if q < machines else last
                if shared and q < machines and moment == last:
                    continue  # is in the set of its column
                c = queue_column[q]
                if moment <= queue_free[q]:
                    insert(tree[q], position[task, c])
                    first[q] = -1
                else:
                    if count + 1 >= len(keys):
                        keys, heap = np.append(keys, np.empty(count)), np.append(heap, np.empty(count, np.int64))
                    count = push(keys, heap, count, (moment + extra[c, task]) + term[task], rank[task] * queues + q)
        chosen, least = -1, np.inf
        while count > 0:
            task, q = sequence[heap[0] // queues], heap[0] % queues
            c = queue_column[q]
            if where[task] < 0:
                if (queue_free[q] + extra[c, task]) + term[task] <= keys[0]:
                    chosen, least = task, keys[0]
                    break
                insert(tree[q], position[task, c])
                first[q] = -1
            count = pop(keys, heap, count)
        for q in range(queues):
            if not tree[q, 1]:
                continue
            c = queue_column[q]
            if first[q] < 0:
                error = 8 * EPSILON * (queue_free[q] + spread) if spread > 0 else 0.0
                first[q] = first_of(tree[q], tasks[c], extra[c], term, rank, queue_free[q], error)
                first_value[q] = (queue_free[q] + extra[c, first[q]]) + term[first[q]]
            if chosen < 0 or (first_value[q] < least or (first_value[q] == least and rank[first[q]] < rank[chosen])):
                chosen, least = first[q], first_value[q]

        data_ready(ready, chosen, indptr, indices, size, latency, bandwidth, group, where, finish)
        used, best_score = -1, np.inf
        for p in range(machines):
            score = max(ready[group[p]], queue_free[p]) + extra[extra_column[p], chosen]
            if used < 0 or score < best_score:
                used, best_score = p, score
        order[k], where[chosen], start[chosen] = chosen, used, max(ready[group[used]], queue_free[used])
        finish[chosen] = start[chosen] + costs[chosen, column[used]]
        queue_free[used] = finish[chosen]
        first[used] = -1
        if shared:
            free = np.inf
            for p in range(machines):
                if extra_column[p] == extra_column[used]:
                    free = min(free, queue_free[p])
            if free > queue_free[machines + extra_column[used]]:
                queue_free[machines + extra_column[used]] = free
                first[machines + extra_column[used]] = -1
        for q in range(queues):
            at = position[chosen, queue_column[q]]
            if tree[q, 1] and tree[q, leaves + at]:
                remove(tree[q], at)
                if first[q] == chosen:
                    first[q] = -1
        new = 0
        for e in range(after_indptr[chosen], after_indptr[chosen + 1]):
            missing[after[e]] -= 1
            if missing[after[e]] == 0:
                fresh[new] = after[e]
                new += 1
    return order, where, start, finish


@njit(cache=True)
def place_most(
    indptr: np.ndarray,
    indices: np.ndarray,
    after_indptr: np.ndarray,
    after: np.ndarray,
    size: np.ndarray,
    latency: np.ndarray,
    bandwidth: np.ndarray,
    costs: np.ndarray,
    column: np.ndarray,
    group: np.ndarray,
    extra: np.ndarray,  # (n, columns): the score of a machine is the earliest start on it plus this
    sufferage: bool,  # the most is lost without the best machine; else the score is the largest
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Choose the task of the most, and its best machine, each time anew; return order, machine, start, finish.

    Every ready task is compared in every step. Where machines share a column, only the two that are free first count,
    for all tasks whose inputs are on all machines at the same time.
    """
    n, columns = extra.shape
    machines = len(column)
    soon, next_soon = np.zeros(columns), np.full(columns, np.inf)  # when two machines of each column are free
    for p in range(machines):
        if machines > columns and (column[:p] == column[p]).any():
            next_soon[column[p]] = 0.0
    moment = np.full(n, -1.0)  # when the inputs are on all machines; −1: not at the same time on all
    order = np.empty(n, np.int32)
    where = np.full(n, -1, np.int32)
    start, finish = np.empty(n), np.empty(n)
    ready = np.empty(group.max() + 1)
    free = np.zeros(machines)
    best, second = np.empty(n, np.int32), np.empty(n, np.int32)  # the two machines of the lowest score, per ready task
    best_score, second_score, best_start = np.empty(n), np.empty(n), np.empty(n)

    missing = np.empty(n, np.int32)
    waiting = np.empty(n, np.int32)  # the ready tasks, in any order
    count = 0
    for task in range(n):
        missing[task] = indptr[task + 1] - indptr[task]
        if missing[task] == 0:
            waiting[count] = task
            count += 1

    used = -1  # the machine that the last task went to; −1: look at all
    fresh = 0  # from here on, the ready tasks are new
    for k in range(n):
        for i in range(count):
            task = waiting[i]
            if i >= fresh and columns < machines:
                data_ready(ready, task, indptr, indices, size, latency, bandwidth, group, where, finish)
                if (ready == ready[0]).all():
                    moment[task] = ready[0]
            if moment[task] >= 0:
                one, two = np.inf, np.inf
                for c in range(columns):
                    score = max(moment[task], soon[c]) + extra[task, c]
                    two = min(two, max(one, score))
                    one = min(one, score)
                    two = min(two, max(moment[task], next_soon[c]) + extra[task, c])
                best_score[task], second_score[task] = one, two
                continue
            # Machines only fill up: a task's two best stay so until one of them is used.
            if i < fresh and best[task] != used and second[task] != used:
                continue
            data_ready(ready, task, indptr, indices, size, latency, bandwidth, group, where, finish)
            best[task], second[task] = -1, -1
            best_score[task], second_score[task] = np.inf, np.inf
            for p in range(machines):
                begin = max(ready[group[p]], free[p])
                score = begin + extra[task, column[p]]
                if best[task] < 0 or score < best_score[task]:
                    second[task], second_score[task] = best[task], best_score[task]
                    best[task], best_score[task], best_start[task] = p, score, begin
                elif second[task] < 0 or score < second_score[task]:
                    second[task], second_score[task] = p, score
        chosen, chosen_at, chosen_key = -1, -1, -np.inf
        for i in range(count):
            task = waiting[i]
            key = best_score[task]
            if sufferage:
                key = second_score[task] - best_score[task] if machines > 1 else 0.0
            if chosen < 0 or key > chosen_key or (key == chosen_key and task < chosen):
                chosen, chosen_at, chosen_key = task, i, key
        if moment[chosen] >= 0:
            best[chosen], best_score[chosen] = -1, np.inf
            for p in range(machines):
                begin = max(moment[chosen], free[p])
                if best[chosen] < 0 or begin + extra[chosen, column[p]] < best_score[chosen]:
                    best[chosen], best_start[chosen] = p, begin
                    best_score[chosen] = begin + extra[chosen, column[p]]
        used = best[chosen]
        order[k], where[chosen], start[chosen] = chosen, used, best_start[chosen]
        finish[chosen] = start[chosen] + costs[chosen, column[used]]
        free[used] = finish[chosen]
        if columns < machines:
            c = column[used]
            soon[c], next_soon[c] = np.inf, np.inf
            for p in range(machines):
                if column[p] == c:
                    next_soon[c] = min(next_soon[c], max(soon[c], free[p]))
                    soon[c] = min(soon[c], free[p])
        count -= 1
        waiting[chosen_at] = waiting[count]
        fresh = count
        for e in range(after_indptr[chosen], after_indptr[chosen + 1]):
            missing[after[e]] -= 1
            if missing[after[e]] == 0:
                waiting[count] = after[e]
                count += 1
    return order, where, start, finish


@njit(cache=True)
def replay(
    sequence: np.ndarray,  # the tasks by their planned start
    where: np.ndarray,
    cost: np.ndarray,  # seconds of each task on its machine
    indptr: np.ndarray,
    indices: np.ndarray,
    after_indptr: np.ndarray,
    after: np.ndarray,
    size: np.ndarray,
    latency: np.ndarray,
    bandwidth: np.ndarray,
    group: np.ndarray,
    overhead: float,
    release_delay: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run a plan: every machine its tasks in the planned order; return handed out, start, stop."""
    n = len(sequence)
    given, start, stop = np.empty(n), np.empty(n), np.empty(n)
    turn = np.empty(n, np.int32)
    following = np.full(n, -1, np.int32)  # the next task on the same machine
    last = np.full(len(group), -1, np.int32)
    missing = np.empty(n, np.int32)  # predecessors, and the task before on the machine, that have not run
    possible = np.zeros(n)  # when the last of them was over
    for k in range(n):
        task = sequence[k]
        turn[task] = k
        p = where[task]
        missing[task] = indptr[task + 1] - indptr[task] + (last[p] >= 0)
        if last[p] >= 0:
            following[last[p]] = task
        last[p] = task
    keys, heap = np.empty(n + 1), np.empty(n + 1, np.int32)
    count = 0
    for task in range(n):
        if missing[task] == 0:
            count = push(keys, heap, count, 0.0, turn[task])

    scheduler_free = 0.0
    for _ in range(n):
        now, task = keys[0], sequence[heap[0]]
        count = pop(keys, heap, count)
        scheduler_free = max(now, scheduler_free) + overhead
        given[task] = scheduler_free
        begin = scheduler_free
        g = group[where[task]]
        for e in range(indptr[task], indptr[task + 1]):
            source = group[where[indices[e]]]
            if source != g:
                begin = max(begin, stop[indices[e]] + edge_time(e, source, g, size, latency, bandwidth))
        start[task], stop[task] = begin, begin + cost[task]
        for e in range(after_indptr[task], after_indptr[task + 1] + 1):
            if e < after_indptr[task + 1]:
                later, moment = after[e], stop[task] + release_delay
            else:
                later, moment = following[task], stop[task]
                if later < 0:
                    continue
            possible[later] = max(possible[later], moment)
            missing[later] -= 1
            if missing[later] == 0:
                count = push(keys, heap, count, possible[later], turn[later])
    return given, start, stop
