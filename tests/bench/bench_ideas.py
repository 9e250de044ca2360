"""How fast the small simulators are: balls in bins, balancing, caches, jobs; against plain Python and bounds.

    python tests/bench ideas

Each row has what was done, our seconds, the peer's, their ratio (peer / ours), the target and the unit. Plain Python
does less of the work; its time is then scaled up, and the row says so.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
from timing import best, row

from course.simulate import balance, balls, cache, jobs, warm_up, zipf_stream


def plain_lru(requests: list[int], capacity: int) -> int:
    """Return the hits of a cache made of Python's own ordered dictionary: as quick as plain Python can be."""
    inside: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for item in requests:
        if item in inside:
            hits += 1
            inside.move_to_end(item)
        else:
            if len(inside) == capacity:
                inside.popitem(last=False)
            inside[item] = None
    return hits


def bench() -> list[dict]:
    """Return the rows of the benchmark."""
    # By its file: ciw installs a package that is called tests, too.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from test_simulate_balancing import plain_balance, plain_balls

    warm_up()
    rows = []
    n, few = 10**7, 10**5
    ours = best(lambda: balls(n, n), 3)
    plain = best(lambda: np.bincount(np.random.default_rng(0).integers(n, size=n), minlength=n), 3)
    rows.append(row("10,000,000 balls into as many bins, one choice, against numpy's bincount", ours, plain))
    ours = best(lambda: balls(n, n, 2), 3)
    rows.append(row("the same, two choices, against a bound of 1 s", ours, 1.0, 1))
    plain = best(lambda: plain_balls(few, few, 2, 0), 2) * n / few
    rows.append(row("the same, against plain Python (scaled up from 100,000)", ours, plain, 10))

    asked = zipf_stream(10**6, 0.9, n)
    part = asked[: 10 * few].tolist()
    plain = best(lambda: plain_lru(part, 10**5), 1) * n / len(part)
    for policy in ("lru", "fifo", "random", "lfu"):
        ours = best(lambda p=policy: cache(asked, 10**5, p), 2)
        rows.append(row(f"10,000,000 requests to a cache, {policy}, against a bound of 4 s", ours, 4.0, 1))
        if policy == "lru":
            rows.append(row("the same, against an OrderedDict (scaled up from 1,000,000)", ours, plain))

    rng = np.random.default_rng(0)
    n, servers = 10**6, 100
    gaps, services = rng.exponential(1 / (0.9 * servers), n), rng.exponential(1.0, n)
    few = 2000
    for policy in ("choices", "shortest"):
        ours = best(lambda p=policy: balance(gaps, services, servers, policy=p), 3)
        plain = best(
            lambda p=policy: plain_balance(gaps[:few].tolist(), services[:few].tolist(), servers, 2, p, 0.0, 0), 1
        )
        name = f"1,000,000 customers to 100 servers, {policy}, against plain Python (scaled up from 2,000)"
        rows.append(row(name, ours, plain * n / few, 10))

    n = 100_000
    came, width, ran = np.cumsum(rng.exponential(1.0, n)), 2 ** rng.integers(0, 7, n), rng.exponential(2.0, n)
    rows.append(row("100,000 jobs on 64 nodes, EASY", best(lambda: jobs(came, width, ran, nodes=64, policy="easy"), 3)))
    return rows
