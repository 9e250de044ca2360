"""The event loop of `course.simulate.service`, and the token bucket."""

from __future__ import annotations

import numpy as np
from numba import njit

from course.simulate.heap import pop, push

OK, TIMEOUT, REJECTED, BROKEN = 0, 1, 2, 3
REJECT, LIFO, DEADLINE = 0, 1, 2
ONE = 1 - 1e-9  # a token: ten tenths make a whole one, though they add up to 0.9999999999999999


@njit(cache=True)
def token_bucket(arrival: np.ndarray, rate: float, burst: float) -> np.ndarray:
    """Return whether each arrival found a token."""
    admitted = np.zeros(len(arrival), np.bool_)
    tokens, before = burst, 0.0
    for i in range(len(arrival)):
        tokens = min(burst, tokens + (arrival[i] - before) * rate)
        before = arrival[i]
        if tokens >= ONE:
            tokens -= 1
            admitted[i] = True
    return admitted


@njit(cache=True)
def simulate(
    arrival: np.ndarray,
    service: np.ndarray,
    servers: int,
    queue_limit: int,
    shedding: int,
    timeout: float,
    attempts: int,
    base: float,
    cap: float,
    jitter: bool,
    budget: float,  # retries that each request adds to the budget; negative: no budget
    burst: float,
    breaker_failures: int,  # 0: no circuit breaker
    breaker_open: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return outcome and stop of each request, when each attempt was sent (n, attempts), and (busy, wasted) seconds."""
    n = len(arrival)
    outcome = np.full(n, -1, np.int64)  # -1: the client still hopes
    stop = np.empty(n)
    sent = np.full((n, attempts), np.nan)
    tried = np.zeros(n, np.int64)  # attempts so far
    waiting = np.zeros(n, np.bool_)  # whether the client waits for an answer to its last attempt
    due = np.full(n, np.inf)  # when the client will next do something: give up waiting, or try again

    # What happens next. An end of service is known by its attempt (request × attempts + number), what a client does by
    # the request, after all attempts: of two at one instant, the end of service is first.
    clients = n * attempts
    event_key, events, n_events = np.empty(n + 1), np.empty(n + 1, np.int64), 0
    # Attempts that wait for a server, oldest first, in a ring.
    ring, head, length = np.empty(64, np.int64), 0, 0

    free, busy, wasted = servers, 0.0, 0.0
    tokens = burst
    failures = 0  # one after the other, while the circuit is closed
    open_until = -np.inf  # -inf: the circuit is closed. After that time the next attempt is a trial.
    trial = -1  # the request whose attempt is the trial
    i = 0
    while i < n or n_events > 0:
        sending, failed, why = -1, -1, OK
        if n_events > 0 and (i >= n or event_key[0] <= arrival[i]):
            now, event = event_key[0], events[0]
            n_events = pop(event_key, events, n_events)
            if event >= clients:
                request = event - clients
                if due[request] != now:
                    continue  # it was answered before
                due[request] = np.inf
                if waiting[request]:
                    failed, why = request, TIMEOUT
                else:
                    sending = request
            else:
                request = event // attempts
                free += 1
                if waiting[request] and tried[request] - 1 == event % attempts:
                    waiting[request], due[request] = False, np.inf
                    outcome[request], stop[request] = OK, now
                    failures = 0
                    if trial == request:
                        trial, open_until = -1, -np.inf
                else:
                    wasted += service[request]
        else:
            now, sending = arrival[i], i
            tokens = min(burst, tokens + max(budget, 0.0))
            i += 1

        if sending >= 0:
            sent[sending, tried[sending]] = now
            tried[sending] += 1
            if now < open_until or trial >= 0:
                failed, why = sending, BROKEN
            else:
                if open_until > -np.inf:
                    trial = sending
                full = free == 0 and length >= queue_limit
                if full and (shedding != LIFO or length == 0):
                    failed, why = sending, REJECTED
                else:
                    if full:  # newest first: the oldest makes room
                        oldest = ring[head] // attempts
                        if waiting[oldest] and tried[oldest] - 1 == ring[head] % attempts:
                            failed, why = oldest, REJECTED
                        head, length = (head + 1) % len(ring), length - 1
                    if length == len(ring):
                        longer = np.empty(2 * length, np.int64)
                        for k in range(length):
                            longer[k] = ring[(head + k) % length]
                        ring, head = longer, 0
                    ring[(head + length) % len(ring)] = sending * attempts + tried[sending] - 1
                    length += 1
                    waiting[sending] = True
                    if timeout < np.inf:
                        due[sending] = now + timeout

        if failed >= 0:
            waiting[failed], due[failed] = False, np.inf
            if breaker_failures > 0 and why != BROKEN and (trial == failed or open_until == -np.inf):
                failures += 1
                if trial == failed or failures >= breaker_failures:
                    trial, failures, open_until = -1, 0, now + breaker_open
            if tried[failed] < attempts and (budget < 0 or tokens >= ONE):
                if budget >= 0:
                    tokens -= 1
                pause = min(cap, base * 2.0 ** (tried[failed] - 1))
                due[failed] = now + (pause * rng.random() if jitter else pause)
            else:
                outcome[failed], stop[failed] = why, now

        if n_events + 3 > len(event_key):
            event_key, events = np.append(event_key, event_key), np.append(events, events)
        # The clients' next steps; `failed` and `sending` can be two.
        if sending >= 0 and due[sending] < np.inf:
            n_events = push(event_key, events, n_events, due[sending], clients + sending)
        if failed >= 0 and failed != sending and due[failed] < np.inf:
            n_events = push(event_key, events, n_events, due[failed], clients + failed)

        while free > 0 and length > 0:
            if shedding == LIFO:
                code = ring[(head + length - 1) % len(ring)]
            else:
                code = ring[head]
                head = (head + 1) % len(ring)
            length -= 1
            request = code // attempts
            if shedding == DEADLINE and not (waiting[request] and tried[request] - 1 == code % attempts):
                continue  # nobody waits for it any more
            free -= 1
            busy += service[request]
            n_events = push(event_key, events, n_events, now + service[request], code)
    return outcome, stop, sent, np.array([busy, wasted])
