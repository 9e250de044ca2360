"""Simulate: seeded, deterministic, and fast enough to sit behind a slider.

`run` simulates a task graph on a cluster and gives a `Trace`; `queue` simulates customers at servers and gives
`Sojourns`. The event loops are plain loops over arrays that numba compiles; `warm_up` compiles them once.
"""

from course.cluster import Cluster
from course.simulate.compiled import warm_up
from course.simulate.lists import POLICIES, run
from course.simulate.queues import DISCIPLINES, Sojourns, queue
from course.simulate.statistics import batch_means

__all__ = ["DISCIPLINES", "POLICIES", "Cluster", "Sojourns", "batch_means", "queue", "run", "warm_up"]
