"""How the benchmarks time, and a row of their table."""

from __future__ import annotations

import time
from collections.abc import Callable


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the least of several timings: what the work takes when nothing else disturbs it."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def row(
    work: str, ours: float, peer: float | None = None, target: float | None = None, unit: str = "s"
) -> dict[str, object]:
    """Return a row of the table: times or sizes of which less is better."""
    ratio = None if peer is None else peer / ours
    return {"work": work, "ours": ours, "peer": peer, "ratio": ratio, "target": target, "unit": unit}
