"""Reading task graphs from Dask, from WfCommons files and from networkx, and writing them there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import networkx
import numpy as np

from course.graph.taskgraph import GraphError, TaskGraph

Cost = float | Mapping[Any, float] | Callable[[Any], float]


def read_dask(collections: tuple, duration: Cost, output_size: Cost, optimize_graph: bool) -> TaskGraph:
    """See `TaskGraph.from_dask`."""
    from dask._task_spec import Alias, DataNode, convert_legacy_graph
    from dask.base import collections_to_expr, is_dask_collection

    if not collections:
        raise GraphError("nothing was given; give Dask collections, or a graph as a dict")
    if len(collections) == 1 and isinstance(collections[0], Mapping) and not is_dask_collection(collections[0]):
        low_level = dict(collections[0])
    else:
        for collection in collections:
            if not is_dask_collection(collection):
                raise GraphError(
                    f"{type(collection).__name__} is not a Dask collection; give an array, data frame, bag or delayed"
                    " value, or a graph as a dict"
                )
        expression = collections_to_expr(collections, optimize_graph=optimize_graph)
        # A data frame's expression has no graph before it is lowered to blocks.
        low_level = dict((expression.optimize() if optimize_graph else expression.lower_completely()).__dask_graph__())
    nodes = convert_legacy_graph(low_level)

    def resolve(key: Any) -> Any:
        """Follow aliases to the task (or literal) behind a key."""
        while isinstance(nodes.get(key), Alias):
            key = nodes[key].target
        return key

    keys = [key for key, node in nodes.items() if not isinstance(node, (Alias, DataNode))]
    number = {key: i for i, key in enumerate(keys)}
    predecessors = [
        sorted({number[before] for d in nodes[key].dependencies if (before := resolve(d)) in number}) for key in keys
    ]
    return TaskGraph(
        [_cost_of(duration, key) for key in keys],
        [_cost_of(output_size, key) for key in keys],
        predecessors,
        names=[key if isinstance(key, str) else str(key) for key in keys],
    )


def _cost_of(cost: Cost, key: Any) -> float:
    if callable(cost):
        return cost(key)
    if not isinstance(cost, Mapping):
        return cost
    if key not in cost:
        raise GraphError(f"the mapping of costs has no entry for the key {key!r}")
    return cost[key]


def read_wfcommons(path: str | Path) -> TaskGraph:
    """See `TaskGraph.from_wfcommons`."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        workflow = document["workflow"]
        # Schema 1.5 keeps what a task is (specification) apart from how it ran (execution); 1.3 and 1.4 do not.
        tasks = workflow["specification"]["tasks"] if "specification" in workflow else workflow["tasks"]
        if "specification" in workflow:
            file_size = {f["id"]: f["sizeInBytes"] for f in workflow["specification"].get("files", [])}
            runtime = {t["id"]: t["runtimeInSeconds"] for t in workflow.get("execution", {}).get("tasks", [])}
            inputs = [{f: file_size.get(f, 0) for f in t.get("inputFiles", [])} for t in tasks]
            outputs = [{f: file_size.get(f, 0) for f in t.get("outputFiles", [])} for t in tasks]
            duration = [runtime.get(t["id"], 0.0) for t in tasks]
        else:
            inputs, outputs = (
                [
                    {f["name"]: f.get("sizeInBytes", f.get("size", 0)) for f in t.get("files", []) if f["link"] == link}
                    for t in tasks
                ]
                for link in ("input", "output")
            )
            duration = [t.get("runtimeInSeconds", t.get("runtime", 0.0)) for t in tasks]
        # A parent may be named by the id or, in older files, by the name of its task.
        number = {t[label]: i for label in ("name", "id") for i, t in enumerate(tasks) if label in t}
        edges = [
            (number[parent], i, sum(size for f, size in inputs[i].items() if f in outputs[number[parent]]))
            for i, t in enumerate(tasks)
            for parent in dict.fromkeys(t.get("parents", []))
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GraphError(
            f"{Path(path).name} is not a WfCommons workflow ({type(error).__name__}: {error});"
            " expected JSON with workflow.specification.tasks (schema 1.5) or workflow.tasks (1.3, 1.4)"
        ) from error
    sizes = [sum(files.values()) for files in outputs]
    return TaskGraph.from_edges(duration, edges, sizes, names=[t.get("id", t.get("name")) for t in tasks])


def read_networkx(graph: networkx.DiGraph) -> TaskGraph:
    """See `TaskGraph.from_networkx`."""
    if not graph.is_directed() or graph.is_multigraph():
        raise GraphError(f"got a {type(graph).__name__}; a task graph is a DiGraph (directed, no parallel edges)")
    number = {node: i for i, node in enumerate(graph)}
    missing = [node for node, data in graph.nodes(data=True) if "duration" not in data]
    if missing:
        raise GraphError(f"node {missing[0]!r} has no attribute 'duration'")
    sizes = [data.get("output_size", 0.0) for _, data in graph.nodes(data=True)]
    own_sizes = any("size" in data for _, _, data in graph.edges(data=True))
    edges = [
        # By receiver, because the order of a task's predecessors is the order in which their data comes in.
        (number[before], number[after], *([data.get("size", sizes[number[before]])] if own_sizes else []))
        for after in graph
        for before, data in graph.pred[after].items()
    ]
    return TaskGraph.from_edges(
        [data["duration"] for _, data in graph.nodes(data=True)],
        edges,
        sizes,
        names=[str(data.get("name", node)) for node, data in graph.nodes(data=True)],
    )


def write_networkx(graph: TaskGraph) -> networkx.DiGraph:
    """See `TaskGraph.to_networkx`."""
    result = networkx.DiGraph()
    for i in range(len(graph)):
        result.add_node(
            i, name=graph.name(i), duration=float(graph.duration[i]), output_size=float(graph.output_size[i])
        )
    after = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
    result.add_edges_from(
        (int(b), int(a), {} if graph.edge_size is None else {"size": float(size)})
        for b, a, size in zip(graph.indices, after, graph.sizes, strict=True)
    )
    return result
