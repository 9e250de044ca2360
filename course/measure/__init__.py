"""Measure: real runs on a real Dask cluster.

===================  ===============================================================================
`cluster`            start a local cluster, or join the one that Dask's configuration names
`workloads`          small tasks whose ideal time is known
`run_graph`          really run a `TaskGraph`
`forget_durations`   make the scheduler forget how long tasks took
`poisson_load`       requests at Poisson instants to a Dask service
`retrying_load`      the same from clients that lose patience and try again
`link`               a slow network on one machine, that counts its bytes
`transfer`           one message over such a network, compressed or not
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
from course.measure.links import Link, link, transfer
from course.measure.recording import Recorder, record
from course.measure.retrying import Tries, retrying_load
from course.measure.start import cluster
from course.measure.workloads import Load, forget_durations, poisson_load, run_graph

__all__ = [
    "Comparison",
    "Estimate",
    "Link",
    "Load",
    "Machine",
    "Recorder",
    "Tries",
    "calibrate",
    "cluster",
    "compare",
    "forget_durations",
    "link",
    "poisson_load",
    "record",
    "retrying_load",
    "run_graph",
    "transfer",
    "workloads",
]
