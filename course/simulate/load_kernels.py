"""The event loop of `course.simulate.closed_loop`."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push


@njit(cache=True)
def closed_loop(
    clients: int, think: np.ndarray, service: np.ndarray, servers: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return client, sent, start, stop of each request, in the order of sending."""
    n = len(think)
    client = np.empty(n, np.int64)
    sent, start, stop = np.empty(n), np.empty(n), np.empty(n)
    send_key, senders, waiting = np.empty(clients + 1), np.empty(clients + 1, np.int64), 0
    free_key, ids, idle = np.zeros(servers + 1), np.arange(servers + 1), servers
    thoughts = 0
    while thoughts < clients:
        waiting = push(send_key, senders, waiting, think[thoughts], thoughts)
        thoughts += 1
    for i in range(n):
        # Whoever sends next does so before all who are still served: nothing that is sent later can come before it.
        client[i], sent[i] = senders[0], send_key[0]
        waiting = pop(send_key, senders, waiting)
        start[i] = max(sent[i], free_key[0])
        stop[i] = start[i] + service[i]
        server = ids[0]
        idle = pop(free_key, ids, idle)
        idle = push(free_key, ids, idle, stop[i], server)
        if thoughts < n:
            waiting = push(send_key, senders, waiting, stop[i] + think[thoughts], client[i])
            thoughts += 1
    return client, sent, start, stop
