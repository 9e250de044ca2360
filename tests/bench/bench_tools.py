"""What `diagnose` and `whatif` cost on a trace of a million tasks: seconds and memory, against what they may take.

The trace is read from a file in a process of its own, as by `course diagnose FILE`; the peer of each row is the bound.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import row

from course import Cluster, Trace
from course.graph import layered
from course.simulate import run
from course.trace import COLUMNS, OVERHEAD

TASKS, LAYER = 1_000_000, 1_000
BOUNDS = {"diagnose": 5.0, "whatif": 3.0, "load": None}
MEMORY = 4e9

SCRIPT = """
import json, resource, sys, time
from course import Trace, diagnose, whatif
from course.graph import independent
from course.simulate import run
small = run(independent(10), 2)
diagnose(small), whatif(small, workers=4)  # compiled, and imported
times = {}
def timed(name, work):
    began = time.perf_counter()
    result = work()
    times[name] = time.perf_counter() - began
    return result
trace = timed("load", lambda: Trace.load(sys.argv[1]))
found = timed("diagnose", lambda: diagnose(trace))
answer = timed("whatif", lambda: whatif(trace, workers=2 * trace.cluster.workers))
assert abs(sum(found.shares.values()) - 1) < 0.01 and 0.4 < answer.ratio < 1
times["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps(times))
"""


def big(tasks: int) -> Trace:
    """Return a trace as a recorder would have it: layers of tasks, each of which reads one of the layer before."""
    graph = layered(tasks // LAYER, LAYER, degree=1, seed=0, duration=0.01, output_size=1e5)
    spread = np.random.default_rng(0).lognormal(0.0, 0.4, len(graph))
    names = [f"('layer-{i // LAYER:032x}', {i % LAYER})" for i in range(len(graph))]
    graph = graph.replace(duration=graph.duration * spread, names=names)
    cluster = Cluster(64, 2, scheduler_overhead=5e-5, release_delay=2e-3, latency=1e-3, bandwidth=1e9)
    trace = run(graph, cluster)
    rows = trace.kind != OVERHEAD
    columns = {name: getattr(trace, name)[rows] for name in COLUMNS}
    return Trace(**columns, graph=graph, cluster=Cluster(64, 2), origin="measured")


def bench(tasks: int = TASKS, rounds: int = 3) -> list[dict]:
    """Return a row for each tool, the best of some rounds, and one for the memory of all together."""
    with tempfile.TemporaryDirectory() as folder:
        path = big(tasks).save(Path(folder) / "trace.parquet")
        seen = [
            json.loads(subprocess.run([sys.executable, "-c", SCRIPT, path], check=True, capture_output=True).stdout)
            for _ in range(rounds)
        ]
    of = f"of {tasks:,} tasks; the peer is the bound"
    rows = [
        row(f"{name} {of}", min(each[name] for each in seen), bound, None if bound is None else 1.0)
        for name, bound in BOUNDS.items()
    ]
    memory = max(each["memory"] for each in seen) / 1e9
    return [*rows, row(f"memory of load, diagnose and whatif {of}", memory, MEMORY / 1e9, 1.0, unit="GB")]
