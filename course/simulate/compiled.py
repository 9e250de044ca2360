"""Compile every simulator once, so that no learner waits for it later."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from course.cluster import Cluster


def warm_up(progress: Callable[[str], None] | None = None) -> float:
    """Compile all simulators into numba's cache; return the seconds: about a minute the first time, few after that.

    Parameters
    ----------
    progress : callable, optional
        Is called with a line of text before each step, for example ``print``.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    OSError
        If no folder can be written that numba could keep its cache in.

    Notes
    -----
    The cache lies beside the package, or, where that cannot be written, in the user's cache folder; numba finds either
    again. ``NUMBA_CACHE_DIR`` overrides both. ``course lab`` calls this before chapter 00 opens.

    Examples
    --------
    >>> from course.simulate import warm_up
    >>> seconds = warm_up()  # the second time it only reads the cache
    >>> warm_up() <= seconds + 10
    True
    """
    from course.graph import TaskGraph, fork_join
    from course.simulate.architectures import ARCHITECTURES, architecture
    from course.simulate.balancing import balance, balls
    from course.simulate.bandits import bandit
    from course.simulate.checkpoints import checkpoint
    from course.simulate.dispatching import dispatch
    from course.simulate.faults import data_loss
    from course.simulate.jobs import MOST_JOBS, jobs
    from course.simulate.load_generators import closed_loop
    from course.simulate.queues import DISCIPLINES, queue
    from course.simulate.runs import run
    from course.simulate.services import service, token_bucket
    from course.simulate.sharing import share
    from course.simulate.static import optimal
    from course.simulate.storage import EVICTIONS, cache
    from course.simulate.tails import hedged_queues, speculate

    graph = fork_join(2, output_size=1.0)
    gaps = np.ones(3)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("paths through task graphs", lambda: (graph.span, graph.t_level(), TaskGraph([1, 1], 0, [[1], []]))),
        ("task graphs on clusters", lambda: run(graph, 2)),
        ("workers that fail", lambda: run(graph, Cluster(2, failures=[(0, 1.0)]))),
        ("delay scheduling and work stealing", lambda: (run(graph, 2, "delay"), run(graph, 2, "stealing"))),
        ("task graphs as on Dask", lambda: run(graph, 2, "dask")),
        ("static schedules", lambda: (optimal(graph, Cluster(2)), run(graph, 2, "heft"))),
        *((f"queues: {name}", lambda name=name: _queue_once(queue, gaps, name)) for name in DISCIPLINES),
        ("tasks that wait for workers", lambda: dispatch(gaps, gaps, 2)),
        ("customers and balls sent to servers", lambda: (balance(gaps, gaps, 2), balls(2, 2, 2))),
        ("learners", lambda: bandit([[1.0], [2.0]], "ucb", 3)),
        ("caches", lambda: [cache([0, 1, 0], 1, policy) for policy in EVICTIONS]),
        ("users that share resources", lambda: share(gaps, [0, 1, 0], gaps, gaps, 1.0)),
        ("jobs of many nodes", lambda: [jobs(gaps, 1, 1, nodes=1, policy=policy) for policy in MOST_JOBS]),
        (
            "services and their clients",
            lambda: (service(gaps, gaps), token_bucket(gaps, 1.0), closed_loop(1, gaps, gaps, 1, 3)),
        ),
        ("checkpoints and lost data", lambda: (checkpoint(1.0, 1.0, 0.0, 1.0), data_loss(2, 1, 1.0, 1.0))),
        ("hedged requests and backup tasks", lambda: (hedged_queues(gaps, gaps, 2), speculate(gaps, 2))),
        ("architectures", lambda: [architecture(gaps, [1, 1, 1], gaps, 2, kind) for kind in ARCHITECTURES]),
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
