"""What the footers of Parquet files say: where each column chunk lies, how large it is, and what it can hold."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

HOLE = 8192
"""Bytes up to which Arrow reads a hole between two wanted ranges of a file, instead of asking twice."""

LONGEST = 32 * 2**20
"""Bytes beyond which Arrow does not join ranges."""


def column_chunks(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return a row for each column chunk of a Parquet file, or of all Parquet files in a folder.

    Parameters
    ----------
    path : str or path
        A file, or a folder with files ``*.parquet`` at any depth.

    Returns
    -------
    pandas.DataFrame
        ``file`` (its path below the folder), ``group`` (number of the row group in its file), ``rows``, ``column``,
        ``offset`` and ``size`` of the chunk in the file, compressed [bytes], ``raw`` (uncompressed [bytes]), and
        ``low`` and ``high``, the smallest and the largest value (None without statistics).

    Raises
    ------
    FileNotFoundError
        If there is no Parquet file.

    Examples
    --------
    >>> from course.datafiles import data_file
    >>> chunks = column_chunks(data_file("events"))
    >>> int(chunks["file"].nunique()), sorted(set(chunks["column"]))[:3]
    (14, ['amount', 'country', 'kind'])

    Notes
    -----
    Only footers are read. Chapters 04 and 18. The format: documentation of Apache Parquet, “File format”.
    """
    path = Path(path)
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"path is {path}; it has no file *.parquet")
    rows = []
    for file in files:
        footer = pq.read_metadata(file)
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        for g in range(footer.num_row_groups):
            group = footer.row_group(g)
            for c in range(group.num_columns):
                chunk = group.column(c)
                start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
                known = chunk.statistics if chunk.is_stats_set and chunk.statistics.has_min_max else None
                rows.append(
                    {
                        "file": name,
                        "group": g,
                        "rows": group.num_rows,
                        "column": chunk.path_in_schema,
                        "offset": start,
                        "size": chunk.total_compressed_size,
                        "raw": chunk.total_uncompressed_size,
                        "low": known.min if known else None,
                        "high": known.max if known else None,
                    }
                )
    return pd.DataFrame(rows)


def planned_requests(chunks: pd.DataFrame, hole: int = HOLE) -> pd.DataFrame:
    """Return the requests by which Arrow fetches the given column chunks: near ones at once, with what lies between.

    Parameters
    ----------
    chunks : pandas.DataFrame
        Rows of `column_chunks`: those that a query needs.
    hole : int
        Bytes of a hole up to which two chunks are fetched at once.

    Returns
    -------
    pandas.DataFrame
        ``file``, ``offset`` and ``size`` of each request; the requests for footers are not among them.

    Raises
    ------
    ValueError
        If `hole` is negative.

    Examples
    --------
    >>> chunks = pd.DataFrame({"file": "a", "offset": [0, 150, 9000], "size": [100, 50, 100]})
    >>> planned_requests(chunks)["size"].tolist(), planned_requests(chunks, hole=0)["size"].tolist()
    ([200, 100], [100, 50, 100])

    Notes
    -----
    Arrow joins the ranges of one file when it buffers them beforehand (``pre_buffer``). A hole of g bytes is cheaper to
    read than to skip where g is below latency times bandwidth. Chapter 04.

    References
    ----------
    Apache Arrow C++: ``ReadRangeCombiner`` in ``arrow/io/interfaces.cc``.
    """
    if hole < 0:
        raise ValueError(f"hole is {hole!r:.80}; it must be at least 0 bytes")
    requests: list[list] = []
    ranges = chunks[["file", "offset", "size"]].sort_values(["file", "offset"])
    for file, offset, size in ranges.itertuples(index=False):
        if requests:
            last_file, start, length = requests[-1]
            joined = offset + size - start
            if last_file == file and offset - start - length <= hole and joined <= LONGEST:
                requests[-1][2] = joined
                continue
        requests.append([file, offset, size])
    return pd.DataFrame(requests, columns=["file", "offset", "size"])
