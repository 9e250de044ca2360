"""Task graphs: what is to be computed, what it costs, and what must come first.

`TaskGraph` is the type; `chain`, `fork_join`, `tree_reduce`, … make common shapes.
"""

from course.graph.regroup import merge_tasks, neighbours, split_tasks
from course.graph.shapes import (
    chain,
    cholesky,
    epigenomics,
    fork_join,
    graham_anomaly,
    independent,
    layered,
    map_reduce,
    montage,
    random_dag,
    stencil,
    topcuoglu,
    tree_reduce,
)
from course.graph.taskgraph import CycleError, GraphError, TaskGraph

__all__ = [
    "CycleError",
    "GraphError",
    "TaskGraph",
    "chain",
    "cholesky",
    "epigenomics",
    "fork_join",
    "graham_anomaly",
    "independent",
    "layered",
    "map_reduce",
    "merge_tasks",
    "montage",
    "neighbours",
    "random_dag",
    "split_tasks",
    "stencil",
    "topcuoglu",
    "tree_reduce",
]
