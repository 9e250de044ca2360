"""Fourteen real programs, each slow in its own way, and the changes under which `whatif` must foretell them.

A program is a function of a client and of what can be changed in its code; it takes 1–3 s. A change is given twice: as
`whatif` is told it, and as it is really made. Programs whose tasks sleep use no core, so that more workers than the
machine has cores can be tried; those that compute are changed in ways that need no more cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dask
import dask.array as da
import dask.bag
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, as_completed

from course.measure import slow_links


@dataclass(frozen=True)
class Change:
    """One change: what `whatif` is told, and what is really done (else than before)."""

    label: str
    whatif: dict[str, Any]
    workers: int | None = None
    threads: int | None = None
    bandwidth: float | None = None
    code: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A program, the cluster on which it is recorded, and its changes."""

    name: str
    run: Callable[..., Any]
    changes: tuple[Change, ...]
    workers: int = 4
    threads: int = 1
    bandwidth: float | None = None  # of the links between workers, bytes/s; None: what the machine gives
    shared: bool = False  # whether what a worker sends shares one link; else each connection has one
    code: dict[str, Any] = field(default_factory=dict)

    def options(self, change: Change | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the arguments of `course.measure.cluster`, and those of the program, before or after a change."""
        workers, threads, bandwidth, code = self.workers, self.threads, self.bandwidth, self.code
        if change is not None:
            workers, threads = change.workers or workers, change.threads or threads
            bandwidth, code = change.bandwidth or bandwidth, code | change.code
        cluster: dict[str, Any] = {"workers": workers, "threads": threads, "dashboard": False, "local": True}
        if bandwidth is not None:
            cluster |= {"processes": False} | slow_links(bandwidth, shared=self.shared)
        return cluster, code


def more(*workers: int) -> tuple[Change, ...]:
    """Return changes of the number of workers."""
    return tuple(Change(f"{w} workers", {"workers": w}, workers=w) for w in workers)


def nap(value: Any, seconds: float, *_: Any) -> Any:
    """Return the value after a sleep."""
    time.sleep(seconds)
    return value


# ---- independent and uneven tasks


def uneven(client: Client) -> None:
    """Sixty tasks of 20 to 200 ms, mapped."""
    seconds = np.random.default_rng(1).lognormal(-2.6, 0.6, 60)
    client.gather(client.map(nap, range(60), seconds, pure=False))


def tiny(client: Client, batch: int = 1) -> None:
    """A thousand tasks of two milliseconds, in batches."""
    starts = range(0, 1000, batch)
    client.gather(client.map(several, starts, size=batch, key=[f"tiny-{i:05}" for i in starts]))


def several(first: int, size: int) -> int:
    """Do the work of some records, one after the other."""
    for _ in range(size):
        time.sleep(0.002)
    return first


def burn(rounds: int) -> float:
    """Compute in one thread, holding the interpreter's lock."""
    total = 0.0
    for i in range(rounds):
        total += i * 0.5
    return total


def serial_python(client: Client, batch: int = 1, rounds: int = 400_000) -> None:
    """Sixty-four pieces of pure Python, some 15 ms each."""
    tasks = [dask.delayed(burn_all)([rounds] * batch, dask_key_name=f"burn-{i:03}") for i in range(0, 64, batch)]
    client.gather(client.compute(tasks))


def burn_all(rounds: list[int]) -> float:
    """Compute several pieces."""
    return sum(map(burn, rounds))


# ---- graphs


def tree(client: Client) -> None:
    """A tree of sums: 64 leaves of 60 ms, pairs of 40 ms."""
    level = [dask.delayed(nap)(i, 0.06, dask_key_name=f"leaf-{i}") for i in range(64)]
    height = 0
    while len(level) > 1:
        height += 1
        level = [
            dask.delayed(join)(a, b, dask_key_name=f"join{height}-{i}")
            for i, (a, b) in enumerate(zip(level[::2], level[1::2], strict=True))
        ]
    client.compute(level[0]).result()


def join(a: int, b: int) -> int:
    """Add two numbers, slowly."""
    time.sleep(0.04)
    return a + b


def skewed(client: Client, even: bool = False) -> None:
    """Twenty-four parts, of which one is twelve times as large as the others; each is read, scored, and merged."""
    parts = np.ones(24)
    parts[17] = 12.0
    if even:
        parts[:] = parts.mean()
    read = [dask.delayed(nap)(i, 0.02, dask_key_name=f"read-{i}") for i in range(24)]
    score = [
        dask.delayed(nap)(r, 0.08 * p, dask_key_name=f"score-{i}")
        for i, (r, p) in enumerate(zip(read, parts, strict=True))
    ]
    client.compute(dask.delayed(nap)(score, 0.05, dask_key_name="merge")).result()


def one_giant(client: Client, pieces: int = 1) -> None:
    """Thirty short tasks, and one of 1.2 s that comes last."""
    short = [dask.delayed(nap)(i, 0.08, dask_key_name=f"short-{i}") for i in range(30)]
    giant = [dask.delayed(nap)(short, 1.2 / pieces, dask_key_name=f"giant-{k}") for k in range(pieces)]
    client.compute(dask.delayed(nap)(giant, 0.02, dask_key_name="end")).result()


# ---- moving data


def blob(index: int, size: int) -> np.ndarray:
    """Make random bytes."""
    time.sleep(0.05)
    return np.random.default_rng(index).integers(0, 256, size, np.uint8)


def total(*parts: np.ndarray) -> int:
    """Add bytes up."""
    time.sleep(0.05)
    return int(sum(int(part[:10].sum()) for part in parts))


def exchange(client: Client, size: int = 2_000_000) -> None:
    """Twelve results, of which each of twelve tasks reads all."""
    made = [dask.delayed(blob)(i, size, dask_key_name=f"blob-{i}") for i in range(12)]
    sums = [dask.delayed(total)(*made, dask_key_name=f"total-{i}") for i in range(12)]
    client.gather(client.compute(sums))


def pipeline(client: Client, size: int = 1_000_000) -> None:
    """Stages that hand on data, with neighbours: a stencil of twelve columns and four rows."""
    row = [dask.delayed(blob)(i, size, dask_key_name=f"blob-{i}") for i in range(12)]
    for step in range(4):
        row = [
            dask.delayed(smooth)(
                *(row[j] for j in range(max(0, i - 1), min(12, i + 2))), dask_key_name=f"smooth{step}-{i}"
            )
            for i in range(12)
        ]
    client.compute(dask.delayed(total)(*row, dask_key_name="total")).result()


def smooth(*parts: np.ndarray) -> np.ndarray:
    """Return the first of the parts, later."""
    time.sleep(0.06)
    return parts[0]


# ---- programs that submit more when they have seen results


def iterations(client: Client) -> None:
    """A loop of ten steps: sixteen tasks each, whose results the program gathers before the next step."""
    centre = 0.0
    for step in range(10):
        seconds = np.random.default_rng(step).uniform(0.02, 0.08, 16)
        values = client.gather(client.map(nap, [centre + i for i in range(16)], seconds, pure=False))
        centre = float(np.mean(values))
        time.sleep(0.05)  # the program computes, too


def refill(client: Client) -> None:
    """Eight tasks on their way at any time: whenever one is done, the program submits the next; 64 in all."""
    seconds = np.random.default_rng(3).uniform(0.05, 0.2, 64)
    waiting = iter(enumerate(seconds))

    def submit() -> Any:
        i, s = next(waiting)
        return client.submit(nap, i, s, pure=False)

    pending = as_completed([submit() for _ in range(8)])
    for _ in pending:
        try:
            pending.add(submit())
        except StopIteration:
            continue


# ---- collections


def array(client: Client, chunk: int = 250) -> None:
    """Standardise a random array and reduce it: computes in numpy."""
    x = da.random.default_rng(0).normal(size=(4000, 4000), chunks=(chunk, 4000))
    y = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    (y**3).mean().compute()


def make_part(index: int, rows: int) -> pd.DataFrame:
    """Make a part of a table of orders."""
    rng = np.random.default_rng(index)
    return pd.DataFrame(
        {"shop": rng.integers(0, 200, rows), "day": rng.integers(0, 365, rows), "amount": rng.exponential(10.0, rows)}
    )


def frame(client: Client, parts: int = 32) -> None:
    """Group a table of 800,000 orders by shop; to read 10,000 of them takes 60 ms, as over a network."""
    rows = 800_000 // parts
    table = dd.from_map(read_part, range(parts), rows=rows, meta=make_part(0, 1))
    table.assign(tax=table.amount * 0.2).groupby("shop").agg({"amount": ["mean", "max"], "tax": "sum"}).compute()


def read_part(index: int, rows: int) -> pd.DataFrame:
    """Make a part, in a time that grows with its rows."""
    time.sleep(0.06 * rows / 10_000)
    return make_part(index, rows)


def shuffle(client: Client) -> None:
    """Set a new index by a shuffle of tasks, and add up."""
    table = dd.from_map(slow_part, range(12), rows=10_000, meta=make_part(0, 1))
    moved = table.shuffle("shop", npartitions=12, shuffle_method="tasks")
    moved.map_partitions(slow_sum, meta=("amount", "f8")).compute()


def slow_part(index: int, rows: int) -> pd.DataFrame:
    """Make a part, as from a slow disk."""
    time.sleep(0.3)
    return make_part(index, rows)


def slow_sum(part: pd.DataFrame) -> pd.Series:
    """Add up the amounts of each shop, slowly."""
    time.sleep(0.3)
    return part.groupby("shop").amount.sum()


def bag(client: Client, parts: int = 60) -> None:
    """Count words by length: a bag of 600 lines, 6 ms each."""
    lines = dask.bag.from_sequence([f"{'ab' * (i % 7)} {i}" for i in range(600)], npartitions=parts)
    lines.map_partitions(slow_lines).frequencies(split_every=8).compute()


def slow_lines(lines: list[str]) -> list[int]:
    """Return the lengths of lines, 6 ms a line."""
    lines = list(lines)
    time.sleep(0.006 * len(lines))
    return [len(line) for line in lines]


PROGRAMS = (
    Program("futures, uneven", uneven, (*more(2, 8), Change("2 threads", {"threads": 2}, threads=2))),
    Program(
        "futures, tiny tasks",
        tiny,
        (
            Change("batches of 10", {"merge": 10}, code={"batch": 10}),
            Change("batches of 50", {"merge": 50}, code={"batch": 50}),
        ),
        workers=2,
    ),
    Program(
        "delayed, pure Python",
        serial_python,
        (
            Change("half the work", {"speed": 2}, code={"rounds": 200_000}),
            Change("batches of 4", {"merge": 4}, code={"batch": 4}),
        ),
        workers=1,
    ),
    Program("delayed, tree", tree, more(2, 8)),
    Program("delayed, skewed", skewed, (Change("even parts", {"even": ["score"]}, code={"even": True}), *more(8))),
    Program(
        "delayed, one giant", one_giant, (Change("giant in 4", {"split": {"giant": 4}}, code={"pieces": 4}), *more(8))
    ),
    Program(
        "delayed, exchange",
        exchange,
        (Change("links × 4", {"bandwidth": "4x"}, bandwidth=100e6), *more(6)),
        bandwidth=25e6,
        shared=True,
    ),
    Program(
        "delayed, stencil",
        pipeline,
        (Change("links × 4", {"bandwidth": "4x"}, bandwidth=80e6), *more(6)),
        bandwidth=20e6,
    ),
    Program("futures, loop", iterations, more(2, 8)),
    Program("futures, refill", refill, more(2, 8)),
    Program(
        "array, numpy",
        array,
        (
            Change("chunks × 2", {"merge": 2}, code={"chunk": 500}),
            Change("chunks × 4", {"merge": 4}, code={"chunk": 1000}),
        ),
        workers=1,
    ),
    Program(
        "dataframe, group",
        frame,
        (Change("parts × 2", {"merge": 2}, code={"parts": 16}), Change("4 workers", {"workers": 4}, workers=4)),
        workers=2,
    ),
    Program("dataframe, shuffle", shuffle, more(1, 4), workers=2),
    Program("bag, words", bag, (*more(8), Change("parts × 4", {"merge": 4}, code={"parts": 15}))),
)
"""What `whatif` is held to."""
