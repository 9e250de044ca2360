"""Measure: real runs on a real Dask cluster.

===================  ===============================================================================
`cluster`            start a local cluster, or join the one that Dask's configuration names
`standalone`         start a scheduler and workers as separate processes
`workloads`          small tasks whose ideal time is known
`run_graph`          really run a `TaskGraph`
`forget_durations`   make the scheduler forget how long tasks took
`poisson_load`       requests at Poisson instants to a Dask service
`record`             every task and transfer of a run as a `course.trace.Trace`
`calibrate`          what this machine and this cluster can do, as a `Machine`
`compare`            is one way faster than another? A `Comparison` with an interval
===================  ===============================================================================

Dask is imported here and nowhere else in the package.
"""

from __future__ import annotations

from course.measure import workloads
from course.measure.calibration import Estimate, Machine, calibrate
from course.measure.comparison import Comparison, compare
from course.measure.recording import Recorder, record
from course.measure.separate import Standalone, standalone
from course.measure.start import cluster
from course.measure.workloads import Load, forget_durations, poisson_load, run_graph

__all__ = [
    "Comparison",
    "Estimate",
    "Load",
    "Machine",
    "Recorder",
    "Standalone",
    "calibrate",
    "cluster",
    "compare",
    "forget_durations",
    "poisson_load",
    "record",
    "run_graph",
    "standalone",
    "workloads",
]
