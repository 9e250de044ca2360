"""Compile every simulator once, so that no learner waits for it later."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def warm_up(progress: Callable[[str], None] | None = None) -> float:
    """Compile all simulators into numba's cache (about 10 s the first time, under 1 s after that); return the seconds.

    Parameters
    ----------
    progress : callable, optional
        Is called with a line of text before each step, for example ``print``.

    Notes
    -----
    The cache lies beside the package, or, where that cannot be written, in the user's cache folder; numba finds either
    again. ``NUMBA_CACHE_DIR`` overrides both.
    """
    from course.graph import TaskGraph, fork_join
    from course.simulate.lists import run
    from course.simulate.queues import DISCIPLINES, queue

    graph = fork_join(2, output_size=1.0)
    gaps = np.ones(3)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("paths through task graphs", lambda: (graph.span, graph.t_level(), TaskGraph([1, 1], 0, [[1], []]))),
        ("task graphs on clusters", lambda: run(graph, 2)),
        *((f"queues: {name}", lambda name=name: _queue_once(queue, gaps, name)) for name in DISCIPLINES),
    ]
    began = time.perf_counter()
    for i, (what, compile_it) in enumerate(steps, start=1):
        if progress is not None:
            progress(f"compiling {i} of {len(steps)}: {what}")
        compile_it()
    return time.perf_counter() - began


def _queue_once(queue: Callable, gaps: np.ndarray, discipline: str) -> None:
    classes = np.array([0, 1, 0]) if discipline == "priority" else None
    for servers in (1, 2):
        queue(gaps, gaps, servers, discipline, priority=classes)
