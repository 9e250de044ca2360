"""The files of a small shop, as programs leave them: raw logs of each day, an export of the users, a table of pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from course.datafiles import data_file
from course.domain import whole

FIRST_DAY = np.datetime64("2026-03-02")
DAYS, USERS, PAGES = 14, 20_000, 3_000
PLANS, SHARES = ("free", "plus", "team"), (0.80, 0.15, 0.05)


def write_shop(folder: str | Path, *, days: int = 8, copies: int = 1, typed: bool = False, seed: int = 18) -> int:
    """Write the logs of a shop, its users and its pages as Parquet files.

    Parameters
    ----------
    folder : path
        An existing folder; there will be ``logs/DAY.parquet``, ``users/export-K.parquet`` and ``pages.parquet`` in it.
    days : int
        Days of logs, at most 14; a file a day.
    copies : int
        How often each day's log is repeated, with other numbers of sessions: more rows of the same kind.
    typed : bool
        Times as times; otherwise as text, as a log shipper leaves them: ``2026-03-02T00:02:07.654``.
    seed : int
        Of the users' plans and the pages' categories.

    Returns
    -------
    int
        Rows of the logs.

    Raises
    ------
    ValueError
        If `days` is not 1 to 14, or `copies` not positive.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_shop(folder, days=1), sorted(path.name for path in Path(folder).iterdir())
    (12117, ['logs', 'pages.parquet', 'users'])

    Notes
    -----
    The logs are those of the course's ``data/events``, which are made by seed. Used in chapter 18.
    """
    days = whole("days", days, low=1)
    copies = whole("copies", copies, low=1)
    if days > DAYS:
        raise ValueError(f"days is {days}; there are {DAYS}")
    folder = Path(folder)
    log = pq.ParquetDataset(data_file("events"), partitioning=None).read()
    for name in ("kind", "country"):
        log = log.set_column(log.schema.get_field_index(name), name, log[name].cast(pa.string()))
    day = ((log["time"].to_numpy().astype("datetime64[D]") - FIRST_DAY) / np.timedelta64(1, "D")).astype(int)
    sessions = int(pc.max(log["session"]).as_py()) + 1
    if not typed:
        log = log.set_column(0, "time", pc.strftime(log["time"], format="%Y-%m-%dT%H:%M:%S"))
    (folder / "logs").mkdir()
    rows = 0
    for number in range(days):
        first, end = np.searchsorted(day, [number, number + 1])
        part = log.slice(first, end - first)
        many = pa.concat_tables(
            [
                part.set_column(2, "session", pc.cast(pc.add(part["session"], k * sessions), pa.int32()))
                for k in range(copies)
            ]
        )
        pq.write_table(many, folder / "logs" / f"{FIRST_DAY + number}.parquet")
        rows += len(many)
    _write_users(folder / "users", seed)
    rng = np.random.default_rng(seed + 1)
    pages = pd.DataFrame(
        {
            "page": [f"/p/{k:04d}" for k in range(PAGES)],
            "category": rng.choice([f"category {letter}" for letter in "ABCDEFGHIJKL"], PAGES),
            "title": [f"Page number {k}" for k in range(PAGES)],
        }
    )
    pages.to_parquet(folder / "pages.parquet", index=False)
    return rows


def _write_users(folder: Path, seed: int) -> None:
    """Write the export of the users, in eight files."""
    rng = np.random.default_rng(seed)
    users = pd.DataFrame(
        {
            "user": np.arange(USERS, dtype="int32"),
            "plan": rng.choice(PLANS, USERS, p=SHARES),
            "email": [f"user{k:05d}@mail.example" for k in range(USERS)],
            "address": [bytes(each).hex() for each in rng.integers(0, 256, (USERS, 30), dtype=np.uint8)],
        }
    )
    folder.mkdir()
    for k, part in enumerate(np.array_split(np.arange(USERS), 8)):
        users.iloc[part].to_parquet(folder / f"export-{k}.parquet", index=False)
