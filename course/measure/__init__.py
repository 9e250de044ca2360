"""Measure: real runs on a real Dask cluster.

===================  ===============================================================================
`cluster`            start a local cluster, or join the one that Dask's configuration names
`expect_faults`      keep Dask's log of workers that we kill out of the output
`standalone`         start a scheduler and workers as separate processes
`workloads`          small tasks whose ideal time is known
`run_graph`          really run a `TaskGraph`
`forget_durations`   make the scheduler forget how long tasks took
`poisson_load`       requests at Poisson instants to a Dask service (an open load)
`closed_load`        requests of clients who wait for each answer (a closed load)
`retrying_load`      the same from clients that lose patience and try again
`balanced_load`      the same requests by several dispatchers, each to workers of its own
`serve`              requests to online services, each a coroutine that answers one of them
`link`               a slow network on one machine, that counts its bytes
`slow_links`         a slow network between the workers of one machine
`transfer`           one message over such a network, compressed or not
`shuffled_bytes`     what peer-to-peer shuffles have moved, which no task and no transfer shows
`record`             every task and transfer of a run as a `course.trace.Trace`
`recorder`           the same for a scheduler's whole life (``dask scheduler --preload course.measure.recorder``)
`calibrate`          what this machine and this cluster can do, as a `Machine`
`Store`              files behind a latency and a bandwidth; it counts requests and bytes
`column_chunks`      what the footers of Parquet files say; `planned_requests`: by which requests it is read
`record_messages`    every message of a run, and the transitions of every task, as a `Conversation`
`metrics`            what scheduler and workers tell Prometheus; `metric_rates`: what changed between two readings
`watch_memory`       the memory of the workers' processes, and what they spill
`profile_tree`       what Dask's profiler saw, as a tree; `sample_stacks`: whole stacks at random instants
`shop`               the files of a small shop, as programs leave them
`meters`             a report on a town's electricity meters, as first written, and its data: the capstone
`compare`            is one way faster than another? A `Comparison` with an interval
===================  ===============================================================================

Dask is imported here and nowhere else in the package.
"""

from __future__ import annotations

from course.measure import workloads
from course.measure.calibration import Estimate, Machine, calibrate
from course.measure.comparison import Comparison, compare
from course.measure.dispatch import Dispatched, balanced_load
from course.measure.footers import column_chunks, planned_requests
from course.measure.links import Link, link, slow_links, transfer
from course.measure.memory import MemoryWatch, watch_memory
from course.measure.messages import Conversation, Message, record_messages
from course.measure.profiling import Frame, Stacks, profile_tree, sample_stacks
from course.measure.prometheus import metric_rates, metrics
from course.measure.recording import Recorder, record
from course.measure.retrying import Tries, retrying_load
from course.measure.separate import Standalone, standalone
from course.measure.serving import Refused, Served, serve
from course.measure.shuffles import shuffled_bytes
from course.measure.start import cluster, expect_faults
from course.measure.store import Request, Store
from course.measure.workloads import Load, closed_load, forget_durations, poisson_load, run_graph

__all__ = [
    "Comparison",
    "Conversation",
    "Dispatched",
    "Estimate",
    "Frame",
    "Link",
    "Load",
    "Machine",
    "MemoryWatch",
    "Message",
    "Recorder",
    "Refused",
    "Request",
    "Served",
    "Stacks",
    "Standalone",
    "Store",
    "Tries",
    "balanced_load",
    "calibrate",
    "closed_load",
    "cluster",
    "column_chunks",
    "compare",
    "expect_faults",
    "forget_durations",
    "link",
    "metric_rates",
    "metrics",
    "planned_requests",
    "poisson_load",
    "profile_tree",
    "record",
    "record_messages",
    "retrying_load",
    "run_graph",
    "sample_stacks",
    "serve",
    "shuffled_bytes",
    "slow_links",
    "standalone",
    "transfer",
    "watch_memory",
    "workloads",
]
