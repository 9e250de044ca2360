"""A `Trace` as one Parquet file, and back, without loss."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from course.cluster import Cluster
from course.graph import TaskGraph
from course.trace import COLUMNS, KINDS, VERSION, Trace, TraceError

KEY = b"course.trace"
"""The entry of the file's metadata by which a trace is known."""

SCHEMA = pa.schema(
    [
        ("kind", pa.dictionary(pa.int8(), pa.string())),
        ("task", pa.int32()),
        ("worker", pa.int32()),
        ("thread", pa.int32()),
        ("start", pa.float64()),
        ("stop", pa.float64()),
        ("size", pa.float64()),
        ("source", pa.int32()),
        ("duration", pa.float64()),
        ("predecessors", pa.list_(pa.int32())),
        ("edge_size", pa.list_(pa.float64())),
        ("name", pa.string()),
    ]
)


def write(trace: Trace, path: Path) -> Path:
    """See `Trace.save`."""
    graph = trace.graph
    n = len(graph)
    offsets = pa.array(graph.indptr, pa.int32())
    sizes = None
    if graph.edge_size is not None:
        sizes = pa.ListArray.from_arrays(offsets, pa.array(graph.edge_size))
    tasks = _table(
        n,
        kind=pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), ["task"]),
        task=np.arange(n, dtype=np.int32),
        start=trace.submitted,
        size=graph.output_size,
        duration=graph.duration,
        predecessors=pa.ListArray.from_arrays(offsets, pa.array(graph.indices, pa.int32())),
        edge_size=sizes,
        name=None if graph.names is None else pa.array(graph.names, pa.string()),
    )
    columns = {name: getattr(trace, name) for name in COLUMNS}
    columns["kind"] = pa.DictionaryArray.from_arrays(trace.kind.astype(np.int8), list(KINDS))
    about = {
        "version": VERSION,
        "checksum": checksum(trace, trace.cluster.to_dict(), VERSION),
        "origin": trace.origin,
        "cluster": trace.cluster.to_dict(),
        "tasks": n,
        "rows": len(trace),
        "names": graph.names is not None,
        "edge_sizes": graph.edge_size is not None,
    }
    table = pa.concat_tables([tasks, _table(len(trace), **columns)]).unify_dictionaries()
    pq.write_table(table.replace_schema_metadata({KEY: json.dumps(about)}), path, compression="zstd")
    return path


def checksum(trace: Trace, cluster: dict, version: int) -> int:
    """Return a number that differs when anything in the trace differs: Parquet itself does not notice all damage.

    The cluster is taken as the file has it: older files have fewer parameters, and version 1 has no submissions.
    """
    graph = trace.graph
    about = [trace.origin, cluster, graph.names, graph.edge_size is not None]
    result = zlib.crc32(json.dumps(about).encode())
    for array in (graph.duration, graph.output_size, graph.indptr, graph.indices, graph.sizes):
        result = zlib.crc32(np.ascontiguousarray(array), result)
    for name in (*COLUMNS, "submitted")[: None if version > 1 else -1]:
        result = zlib.crc32(np.ascontiguousarray(getattr(trace, name)), result)
    return result


def _table(rows: int, **columns: pa.Array | np.ndarray | None) -> pa.Table:
    arrays = []
    for field in SCHEMA:
        column = columns.get(field.name)
        arrays.append(pa.nulls(rows, field.type) if column is None else pa.array(column, type=None).cast(field.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def read(path: Path) -> Trace:
    """See `Trace.load`."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise TraceError(f"{path.name} is a folder; give the file that Trace.save wrote")
    try:
        table = pq.read_table(path, partitioning=None)
        metadata = table.schema.metadata or {}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TraceError(f"{path.name} is not a Parquet file, or it is damaged: {error}") from error
    if KEY not in metadata:
        raise TraceError(f"{path.name} is a Parquet file but not a trace; traces are written by Trace.save")
    try:
        about = json.loads(metadata[KEY])
        version = int(about["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"{path.name} does not say which version of the trace format it is in") from error
    if version > VERSION:
        raise TraceError(
            f"{path.name} is of version {version} of the trace format; this course reads up to {VERSION}: update it"
        )
    try:
        trace = _trace(table, about, version)
        whole = checksum(trace, about["cluster"], version) == about["checksum"]
    except (KeyError, ValueError, TypeError, IndexError, OverflowError, pa.ArrowException) as error:
        raise TraceError(f"{path.name} is damaged: {error}") from error
    if not whole:
        raise TraceError(f"{path.name} is damaged: its contents are not those that were written")
    return trace


def _trace(table: pa.Table, about: dict, version: int) -> Trace:
    n, rows = about["tasks"], about["rows"]
    if table.num_rows != n + rows:
        raise TraceError(f"it has {table.num_rows} rows; {n} tasks and {rows} events were written")
    tasks, events = table.slice(0, n), table.slice(n)
    before = tasks["predecessors"].combine_chunks()
    if before.null_count:
        raise TraceError("tasks have no predecessors; not even an empty list of them")
    indptr = np.concatenate([[0], np.cumsum(before.value_lengths().to_numpy(zero_copy_only=False))]).astype(np.int64)
    graph = TaskGraph(
        tasks["duration"].to_numpy(),
        tasks["size"].to_numpy(),
        (indptr, before.flatten().to_numpy()),
        edge_size=tasks["edge_size"].combine_chunks().flatten().to_numpy() if about["edge_sizes"] else None,
        names=tasks["name"].to_pylist() if about["names"] else None,
    )
    columns = {name: events[name].to_numpy() for name in COLUMNS if name != "kind"}
    kind = events["kind"].cast(pa.string()).dictionary_encode().unify_dictionaries().combine_chunks()
    columns["kind"] = _kinds(kind)
    cluster = Cluster.from_dict(about["cluster"])
    submitted = tasks["start"].to_numpy() if version > 1 else None
    return Trace(**columns, graph=graph, cluster=cluster, origin=about["origin"], submitted=submitted)


def _kinds(kind: pa.ChunkedArray | pa.DictionaryArray) -> np.ndarray:
    """Return the kinds of the rows by their numbers, from their words."""
    if isinstance(kind, pa.ChunkedArray):
        kind = kind.chunk(0) if kind.num_chunks else pa.array([], pa.string()).dictionary_encode()
    if kind.null_count:
        raise TraceError("rows have no kind")
    words = kind.dictionary.to_pylist()
    unknown = [word for word in words if word not in KINDS]
    if unknown:
        raise TraceError(f"kind {unknown[0]!r} is unknown; it must be one of {', '.join(KINDS)}")
    numbers = np.array([KINDS.index(word) for word in words], dtype=np.uint8)
    return numbers[kind.indices.to_numpy()] if len(words) else np.empty(0, np.uint8)
