"""Record `data/mysteries`: five slow programs on a real Dask cluster, each slow for one reason, and each one cured.

    python data/record_mysteries.py                       # records all five anew; takes a minute on a machine at rest
    python data/record_mysteries.py /tmp/runs --only b d  # two of them, elsewhere

`data/README.md` says what is in the files, but not the causes: they stand in `MYSTERIES` at the end of this file, and
in the exercises of chapter 11. Read by chapter 11.

The useful work of a task is mostly sleep of a known length: four workers on two cores could not compute for longer
without waiting for each other, which the trace would show as long tasks. Bytes are real wherever they matter, and so is
everything that makes the programs slow: the scheduler's overhead, transfers, and the disk.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from dask import delayed
from dask.delayed import Delayed
from distributed import Client

from course.measure import cluster, record
from course.trace import Trace

SEED = 20261142  # the largest country is among the first that Dask comes to
BLOCK = 1 << 16


def blocks(first: int, last: int) -> np.ndarray:
    """Return the bytes of blocks `first` … `last` − 1 of the data set, shape (blocks · BLOCK,): the same on any day."""
    parts = [np.random.default_rng([SEED, b]).integers(0, 256, BLOCK, np.uint8) for b in range(first, last)]
    return np.concatenate(parts)


def task(function: Callable[..., Any], name: str, *arguments: Any) -> Delayed:
    """Return a call of `function` to come, under a readable key."""
    return delayed(function, pure=False)(*arguments, dask_key_name=name)


# ---- a: how often each value occurs in a table

TABLE_BLOCKS = 2600  # of 64 KiB: 170 MB
GROUP_SECONDS = 0.0075  # a block


def load(first: int, last: int) -> np.ndarray:
    """Return a partition: the given blocks."""
    return blocks(first, last)


def group(rows: np.ndarray) -> np.ndarray:
    """Return how often each value occurs in a partition, in a time that grows with its bytes."""
    time.sleep(len(rows) / BLOCK * GROUP_SECONDS)
    return sum(np.bincount(part, minlength=256) for part in np.split(rows, len(rows) // BLOCK))


def merge(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Add up counts."""
    return reduce(np.add, counts)


def by_edges(client: Client, edges: Sequence[int]) -> np.ndarray:
    """Count the values of a table that is cut at the given blocks."""
    loaded = [task(load, f"load-{i:02}", *map(int, edges[i : i + 2])) for i in range(len(edges) - 1)]
    grouped = [task(group, f"group-{i:02}", part) for i, part in enumerate(loaded)]
    return client.compute(task(merge, "merge", grouped)).result()


def sizes_by_country(scale: float) -> np.ndarray:
    """Return the blocks of each of 32 countries: by Zipf's law, in no order."""
    weights = np.random.default_rng(SEED).permutation(np.arange(1.0, 33.0) ** -1.1)
    return np.maximum(1, np.round(TABLE_BLOCKS * scale * weights / weights.sum())).astype(int)


def by_country(client: Client, scale: float = 1.0) -> np.ndarray:
    """A partition for each country."""
    return by_edges(client, np.concatenate([[0], np.cumsum(sizes_by_country(scale))]))


def by_row(client: Client, scale: float = 1.0) -> np.ndarray:
    """As many partitions, of as many rows each."""
    return by_edges(client, np.linspace(0, sizes_by_country(scale).sum(), 33).astype(int))


# ---- b: a threshold that is refined by passing over a table several times

CHUNKS, PASSES, CHUNK_BLOCKS = 64, 8, 480  # 480 blocks are 31 MB


def read(chunk: int, size: int, columns: int) -> np.ndarray:
    """Return the first of the 64 columns of a chunk of so many blocks, shape (columns, rows); most values are zero."""
    time.sleep(0.02)
    table = np.zeros((columns, size * BLOCK // 64), np.uint8)
    # To fill the other columns would take longer than to spill them.
    table[0] = np.resize(blocks(chunk, chunk + 1), table.shape[1])
    return table


def score(table: np.ndarray, level: float) -> np.ndarray:
    """Return the number and the sum of the first column's values above a level."""
    time.sleep(0.01)
    above = table[0][table[0] >= level]
    return np.array([len(above), above.sum(dtype=np.int64)])


def refine(scores: Sequence[np.ndarray]) -> float:
    """Return the mean of the values that were above the level."""
    number, total = reduce(np.add, scores)
    return float(total / number)


def threshold(client: Client, scale: float, columns: int) -> float:
    """Refine a level in several passes over a table that is kept."""
    size = max(1, int(CHUNK_BLOCKS * scale))
    chunks = [task(read, f"read-{i:02}", i, size, columns) for i in range(CHUNKS)]
    level: Any = 0.0
    for k in range(PASSES):
        level = task(refine, f"refine-{k}", [task(score, f"score-{k}-{i:02}", c, level) for i, c in enumerate(chunks)])
    return client.compute(level).result()


def all_columns(client: Client, scale: float = 1.0) -> float:
    """Keep all 64 columns between the passes."""
    return threshold(client, scale, 64)


def one_column(client: Client, scale: float = 1.0) -> float:
    """Keep the one column that is needed."""
    return threshold(client, scale, 1)


# ---- c: a score for each record of a log

RECORDS = 1500
RECORD_SECONDS = 0.0004


def parse(records: range) -> np.ndarray:
    """Return the fields of some records, shape (records, 4)."""
    time.sleep(RECORD_SECONDS * len(records))
    return np.array([np.random.default_rng([SEED, r]).integers(0, 1000, 4) for r in records])


def rate(fields: np.ndarray) -> int:
    """Return the score of some records."""
    time.sleep(RECORD_SECONDS * len(fields))
    return int((fields[:, 0] * fields[:, 1] % (1 + fields[:, 2])).sum())


def in_batches(client: Client, scale: float, size: int) -> int:
    """Score all records, so many in a task."""
    records = range(int(RECORDS * scale))
    batches = [records[i : i + size] for i in range(0, len(records), size)]
    fields = [task(parse, f"parse-{i:04}", batch) for i, batch in enumerate(batches)]
    return sum(client.gather(client.compute([task(rate, f"rate-{i:04}", f) for i, f in enumerate(fields)])))


def one_by_one(client: Client, scale: float = 1.0) -> int:
    """A record at a time."""
    return in_batches(client, scale, 1)


def fifty_at_a_time(client: Client, scale: float = 1.0) -> int:
    """Fifty records at a time."""
    return in_batches(client, scale, 50)


# ---- d: from a table by day to a table by shop

DAYS = SHOPS = 12
PIECE_BLOCKS = 640  # 640 blocks are 42 MB


def fetch_day(day: int, size: int) -> np.ndarray:
    """Return a day's sales, a row for each shop, shape (SHOPS, bytes / 8); most are zero."""
    time.sleep(0.15)
    table = np.zeros((SHOPS, size * BLOCK // 8), np.int64)
    table[:, : BLOCK // 8] = blocks(day * SHOPS, (day + 1) * SHOPS).view(np.int64).reshape(SHOPS, -1) >> 32
    return table


def select(table: np.ndarray, shop: int) -> np.ndarray:
    """Return the sales of a shop on a day."""
    return table[shop]


def select_total(table: np.ndarray, shop: int) -> int:
    """Return the sum of a shop's sales on a day."""
    return int(table[shop].sum())


def combine(pieces: Sequence[np.ndarray]) -> int:
    """Return a shop's sum over all days."""
    time.sleep(0.1)
    return sum(int(piece.sum()) for piece in pieces)


def combine_totals(totals: Sequence[int]) -> int:
    """Return a shop's sum over all days from the sums of each."""
    time.sleep(0.1)
    return sum(totals)


def exchange(client: Client, scale: float, choose: Callable[..., Any], add: Callable[..., Any]) -> list[int]:
    """Bring what belongs to a shop together, from every day."""
    size = max(1, int(PIECE_BLOCKS * scale))
    days = [task(fetch_day, f"load-{i:02}", i, size) for i in range(DAYS)]
    pieces = [[task(choose, f"select-{j:02}-{i:02}", day, j) for i, day in enumerate(days)] for j in range(SHOPS)]
    return client.gather(client.compute([task(add, f"combine-{j:02}", row) for j, row in enumerate(pieces)]))


def exchange_then_sum(client: Client, scale: float = 1.0) -> list[int]:
    """Move all sales to the task of their shop, and add them up there."""
    return exchange(client, scale, select, combine)


def sum_then_exchange(client: Client, scale: float = 1.0) -> list[int]:
    """Add them up where they are, and move the sums."""
    return exchange(client, scale, select_total, combine_totals)


# ---- e: a model of a sample, and the summaries of a table

PARTITIONS, TREES = 40, 16
TREE_SECONDS = 0.4


def load_part(part: int, seconds: float) -> np.ndarray:
    """Return a partition of a megabyte."""
    time.sleep(seconds)
    return blocks(part * 16, (part + 1) * 16)


def clean(rows: np.ndarray, seconds: float) -> np.ndarray:
    """Return the rows without the smallest and the largest values."""
    time.sleep(seconds)
    return rows[(rows > 2) & (rows < 253)]


def summary(rows: np.ndarray) -> int:
    """Return the sum of a partition."""
    return int(rows.sum(dtype=np.int64))


def sample(rows: np.ndarray) -> np.ndarray:
    """Return every 40th row of a partition, so that all samples together are as large as a partition."""
    return rows[::PARTITIONS].copy()


def fit(rows: Sequence[np.ndarray], trees: range, seconds: float) -> list[float]:
    """Fit some trees of a forest, one after another: each is the mean of a resample."""
    fitted = []
    for tree in trees:
        time.sleep(seconds)
        fitted.append(float(np.random.default_rng([SEED, tree]).choice(np.concatenate(rows), 1000).mean()))
    return fitted


def report(sums: Sequence[int], forest: Sequence[Sequence[float]]) -> tuple[int, float]:
    """Return the sum of all partitions and the mean of all trees."""
    return sum(sums), float(np.mean([tree for trees in forest for tree in trees]))


def forest(client: Client, scale: float, size: int) -> tuple[int, float]:
    """Summarize a table, and fit a forest to a sample of it, so many trees in a task."""
    parts = [task(load_part, f"load-{i:02}", i, 0.1 * scale) for i in range(PARTITIONS)]
    cleaned = [task(clean, f"clean-{i:02}", part, 0.2 * scale) for i, part in enumerate(parts)]
    sums = [task(summary, f"summary-{i:02}", part) for i, part in enumerate(cleaned)]
    samples = [task(sample, f"sample-{i:02}", part) for i, part in enumerate(cleaned)]
    groups = [range(i, i + size) for i in range(0, TREES, size)]
    fits = [task(fit, f"fit-{i:02}", samples, trees, TREE_SECONDS * scale) for i, trees in enumerate(groups)]
    return client.compute(task(report, "report", sums, fits)).result()


def whole_forest(client: Client, scale: float = 1.0) -> tuple[int, float]:
    """All trees in one task."""
    return forest(client, scale, TREES)


def tree_by_tree(client: Client, scale: float = 1.0) -> tuple[int, float]:
    """A task for each tree."""
    return forest(client, scale, 1)


# ---- record


class Mystery(NamedTuple):
    """A slow program, the cure, the cause of the slowness, and the cluster that both run on."""

    cause: str
    slow: Callable[[Client, float], Any]
    cured: Callable[[Client, float], Any]
    threads: int = 1
    options: Mapping[str, Any] = MappingProxyType({})


WORKERS = 4
MYSTERIES = {
    "a": Mystery("data skew", by_country, by_row, threads=2),
    "b": Mystery(
        "memory pressure with spilling",
        all_columns,
        one_column,
        # By default, Dask spills results beyond 60 % of the limit. But a worker without any result has 150 MB already:
        # of so small a limit, 30 % leave room for what is being computed, below the 80 % at which a worker pauses.
        options={"memory_limit": "600 MB", "config": {"distributed.worker.memory.target": 0.3}},
    ),
    "c": Mystery("tiny tasks", one_by_one, fifty_at_a_time),
    "d": Mystery("transfer-bound", exchange_then_sum, sum_then_exchange),
    "e": Mystery("one giant task", whole_forest, tree_by_tree, threads=2),
}


def run(mystery: Mystery, program: Callable[[Client, float], Any], scale: float = 1.0) -> tuple[Any, Trace]:
    """Run a program on a cluster of its own; return its answer and its trace.

    Raises
    ------
    RuntimeError
        If a task failed, or a worker paused or died: the run would be slow for that reason, too.
    """
    with cluster(WORKERS, mystery.threads, local=True, dashboard=False, **mystery.options) as client:
        client.run(blocks, 0, 1)  # so that NumPy is imported when the recording begins
        with record(client) as recording:
            answer = program(client, scale)
        events = [event for topic in client.get_events().values() for _, event in topic if isinstance(event, dict)]
    troubles = [e for e in events if e.get("status") == "paused" or e.get("action") == "remove-worker"]
    if recording.failed or recording.unfinished or troubles:
        raise RuntimeError(f"not a clean run: {recording.failed}, {recording.unfinished} unfinished, {troubles}")
    return answer, recording.trace


def write(folder: Path, letters: Sequence[str] = tuple(MYSTERIES), scale: float = 1.0) -> None:
    """Record the slow and the cured program of each letter; write ``a.parquet`` and ``a-cured.parquet``."""
    folder.mkdir(parents=True, exist_ok=True)
    for letter in letters:
        mystery = MYSTERIES[letter]
        slow, slow_trace = run(mystery, mystery.slow, scale)
        cured, cured_trace = run(mystery, mystery.cured, scale)
        assert np.array_equal(slow, cured), f"{letter}: the cured program answers {cured}, the slow one {slow}"
        slow_trace.save(folder / f"{letter}.parquet")
        cured_trace.save(folder / f"{letter}-cured.parquet")
        print(f"{letter}: {slow_trace.makespan:.2f} s, cured {cured_trace.makespan:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "mysteries")
    parser.add_argument("--only", nargs="+", choices=MYSTERIES, default=list(MYSTERIES), metavar="letter")
    parser.add_argument("--scale", type=float, default=1.0, help="of the times and sizes; below 1 for a trial")
    options = parser.parse_args()
    write(options.folder, options.only, options.scale)
