"""Predict: closed formulas, each with its assumptions. One file a topic.

Scalars or arrays are accepted and broadcast. A value outside its domain raises `ValueError` naming the argument, its
value and what is allowed; an unstable queue raises `UnstableError`, which states the utilization.
"""

from course.models.domain import UnstableError
from course.models.queueing import (
    Queue,
    asymptotic_bounds,
    erlang_b,
    erlang_c,
    gg1,
    ggc,
    halfin_whitt,
    kingman_bound,
    little,
    mg1,
    mg1_priority,
    mg1_ps,
    mm1,
    mmc,
    mmck,
    servers_for,
    square_root_staffing,
)
from course.models.scheduling import (
    brent,
    graham_ratio,
    lower_bound,
    lpt_ratio,
    upper_bound,
    work_stealing_bound,
)

__all__ = [
    "Queue",
    "UnstableError",
    "asymptotic_bounds",
    "brent",
    "erlang_b",
    "erlang_c",
    "gg1",
    "ggc",
    "graham_ratio",
    "halfin_whitt",
    "kingman_bound",
    "little",
    "lower_bound",
    "lpt_ratio",
    "mg1",
    "mg1_priority",
    "mg1_ps",
    "mm1",
    "mmc",
    "mmck",
    "servers_for",
    "square_root_staffing",
    "upper_bound",
    "work_stealing_bound",
]
