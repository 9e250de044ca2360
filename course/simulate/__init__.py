"""Simulate: seeded, deterministic, and fast enough to sit behind a slider.

`run` simulates a task graph on a cluster and gives a `Trace`; `queue` simulates customers at servers and gives
`Sojourns`. The event loops are plain loops over arrays that numba compiles; `warm_up` compiles them once.
"""

from course.cluster import Cluster
from course.simulate.architectures import ARCHITECTURES, Scheduled, architecture
from course.simulate.autoscaling import (
    SCALERS,
    Adaptive,
    Observed,
    Predictive,
    Scaled,
    Stale,
    TargetTracking,
    Threshold,
    autoscale,
    daily_load,
)
from course.simulate.balancing import Balanced, balance, balls
from course.simulate.bandits import LEARNERS, Bandit, bandit
from course.simulate.batching import Batches, batch_server, micro_batches
from course.simulate.checkpoints import PARTS, Checkpointed, Part, checkpoint, checkpointed_run
from course.simulate.collectives import COLLECTIVES, Collective, Send, collective, play
from course.simulate.compiled import warm_up
from course.simulate.dask.policy import Dask
from course.simulate.delay import Delay, locality
from course.simulate.dispatching import Dispatched, dispatch
from course.simulate.distributions import DISTRIBUTIONS, random_times
from course.simulate.faults import DELIVERY, Heartbeats, Machines, Messages, data_loss, heartbeats, machines, messages
from course.simulate.following import TRANSFERS, follow
from course.simulate.instances import INSTANCE_SHAPES, instance
from course.simulate.jobs import Jobs, jobs
from course.simulate.lists import POLICIES
from course.simulate.load_generators import (
    ClosedLoop,
    closed_loop,
    coordinated_omission,
    correct_omission,
    varying_arrivals,
)
from course.simulate.profilers import SampledProfile, sample_profile
from course.simulate.queues import DISCIPLINES, Sojourns, queue, random_queue
from course.simulate.runs import SIMULATORS, run
from course.simulate.services import OUTCOMES, SHEDDING, CircuitBreaker, Requests, service, token_bucket
from course.simulate.sharing import Shared, share
from course.simulate.static import Schedule, Static, Step, optimal, schedule
from course.simulate.static_policies import STATIC_POLICIES
from course.simulate.statistics import batch_means
from course.simulate.stealing import Stealing
from course.simulate.storage import Quorum, Ring, cache, quorum, ring, stream, zipf_stream
from course.simulate.strategies import METRICS, STRATEGIES, Mornings, mornings, race
from course.simulate.supersteps import MapReduce, Supersteps, mapreduce, supersteps
from course.simulate.sweep import sweep
from course.simulate.tails import Hedged, Speculated, fan_out, hedge, hedged_queues, speculate

__all__ = [
    "ARCHITECTURES",
    "COLLECTIVES",
    "DELIVERY",
    "DISCIPLINES",
    "DISTRIBUTIONS",
    "INSTANCE_SHAPES",
    "LEARNERS",
    "METRICS",
    "OUTCOMES",
    "PARTS",
    "POLICIES",
    "SCALERS",
    "SHEDDING",
    "SIMULATORS",
    "STATIC_POLICIES",
    "STRATEGIES",
    "TRANSFERS",
    "Adaptive",
    "Balanced",
    "Bandit",
    "Batches",
    "Checkpointed",
    "CircuitBreaker",
    "ClosedLoop",
    "Cluster",
    "Collective",
    "Dask",
    "Delay",
    "Dispatched",
    "Heartbeats",
    "Hedged",
    "Jobs",
    "Machines",
    "MapReduce",
    "Messages",
    "Mornings",
    "Observed",
    "Part",
    "Predictive",
    "Quorum",
    "Requests",
    "Ring",
    "SampledProfile",
    "Scaled",
    "Schedule",
    "Scheduled",
    "Send",
    "Shared",
    "Sojourns",
    "Speculated",
    "Stale",
    "Static",
    "Stealing",
    "Step",
    "Supersteps",
    "TargetTracking",
    "Threshold",
    "architecture",
    "autoscale",
    "balance",
    "balls",
    "bandit",
    "batch_means",
    "batch_server",
    "cache",
    "checkpoint",
    "checkpointed_run",
    "closed_loop",
    "collective",
    "coordinated_omission",
    "correct_omission",
    "daily_load",
    "data_loss",
    "dispatch",
    "fan_out",
    "follow",
    "heartbeats",
    "hedge",
    "hedged_queues",
    "instance",
    "jobs",
    "locality",
    "machines",
    "mapreduce",
    "messages",
    "micro_batches",
    "mornings",
    "optimal",
    "play",
    "queue",
    "quorum",
    "race",
    "random_queue",
    "random_times",
    "ring",
    "run",
    "sample_profile",
    "schedule",
    "service",
    "share",
    "speculate",
    "stream",
    "supersteps",
    "sweep",
    "token_bucket",
    "varying_arrivals",
    "warm_up",
    "zipf_stream",
]
