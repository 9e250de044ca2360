"""Make `data/events`: the event log of an invented web shop, the same for the same seed.

    python data/make_events.py                                # writes data/events anew
    python data/make_events.py /tmp/events --sessions 20000   # more of the same kind, elsewhere

`data/README.md` describes the columns. Read by chapters 04 and 18.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20260302
DAYS = 14
FIRST_DAY = np.datetime64("2026-03-02", "D")  # a Monday
SESSIONS = 3000  # begun on a mean day
ROW_GROUP = 2000
USERS, PAGES = 20_000, 3000
COUNTRIES = [
    *("US", "DE", "GB", "FR", "JP", "BR", "IN", "CA", "NL", "ES", "IT", "AU"),
    *("SE", "PL", "MX", "KR", "CH", "AT", "DK", "NO", "FI", "PT", "NZ", "IS"),
]
KINDS = ("view", "search", "click", "cart", "purchase")
KIND_SHARES = (0.58, 0.14, 0.18, 0.07, 0.03)
TYPICAL_MS = {"view": 40.0, "search": 120.0, "click": 25.0, "cart": 60.0, "purchase": 200.0}
STATUSES, STATUS_SHARES = (200, 304, 404, 500), (0.93, 0.05, 0.015, 0.005)
# Share of a day's sessions that begin in each hour; and of a week's, on each day from Monday on.
HOURS = np.array([2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 9, 8, 8, 8, 8, 9, 10, 12, 13, 11, 8, 4], float)
WEEKDAYS = np.array([1.0, 1.0, 1.02, 1.0, 0.95, 1.1, 1.15])
AGENTS = tuple(
    f"Mozilla/5.0 ({system}) {engine} {browser}/{version}.0"
    for system in ("X11; Linux x86_64", "Macintosh; Intel Mac OS X", "Windows NT 10.0; Win64", "Linux; Android 15")
    for engine in ("AppleWebKit/537.36", "Gecko/20100101")
    for browser, version in (("Chrome", 131), ("Firefox", 133), ("Safari", 18))
)
REFERRERS = ("https://search.example/q", "https://news.example/", "https://mail.example/offer", "")

SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("ms")),
        ("user", pa.int32()),
        ("session", pa.int32()),
        ("kind", pa.dictionary(pa.int8(), pa.string())),
        ("country", pa.dictionary(pa.int8(), pa.string())),
        ("page", pa.string()),
        ("status", pa.int16()),
        ("latency_ms", pa.float32()),
        ("amount", pa.float64()),
        ("payload", pa.string()),
    ]
)


def choose(uniform: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return an index for each uniform number, drawn with the given weights."""
    edges = np.cumsum(weights / np.sum(weights))
    return np.minimum(np.searchsorted(edges, uniform, side="right"), len(edges) - 1)


def zipf(uniform: np.ndarray, items: int, exponent: float) -> np.ndarray:
    """Return a rank from 0 for each uniform number, drawn by Zipf's law."""
    return choose(uniform, np.arange(1.0, items + 1) ** -exponent)


def normal(uniform: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return normal numbers from two arrays of uniform ones (Box and Muller 1958)."""
    return np.sqrt(-2 * np.log1p(-uniform)) * np.cos(2 * np.pi * other)


def scrambled(rank: np.ndarray, items: int) -> np.ndarray:
    """Return a name of each rank, so that popular items do not have small numbers; a permutation of 0 … items − 1."""
    step = next(s for s in range(int(0.618 * items), items) if np.gcd(s, items) == 1)
    return (rank * step + items // 3) % items


def payloads(rng: np.random.Generator, users: np.ndarray) -> list[str]:
    """Return what the browser reports, as JSON: wide, and needed by few questions."""
    n = len(users)
    agents = users % len(AGENTS)  # a user keeps the browser
    referrers = choose(rng.random(n), np.array([4, 1, 2, 6]))
    widths = 320 + 8 * (rng.random(n) * 200).astype(int)
    ids = rng.integers(0, 256, (n, 12), dtype=np.uint8)
    return [
        f'{{"trace":"{bytes(i).hex()}","agent":"{AGENTS[a]}","referrer":"{REFERRERS[r]}",'
        f'"viewport":[{w},{w * 10 // 16}],"consent":true,"experiments":["checkout-{a % 3}","search-{r}"]}}'
        for i, a, r, w in zip(ids, agents, referrers, widths, strict=True)
    ]


def events(day: int, sessions: int = SESSIONS, seed: int = SEED) -> pa.Table:
    """Return the events of one day, counted from 0, in the order of time.

    Only `random` and `integers` of the generator are used, and times, latencies and amounts are rounded: other releases
    of NumPy give the same values.
    """
    rng = np.random.default_rng([seed, day])
    begun = int(sessions * WEEKDAYS[day % 7])
    start = (choose(rng.random(begun), HOURS) + rng.random(begun)) * 3600
    who = zipf(rng.random(begun), USERS, 0.8)
    length = 1 + np.floor(np.log1p(-rng.random(begun)) / np.log(0.75)).astype(int)  # geometric, 4 events in the mean
    session = np.repeat(np.arange(begun), length)
    n = len(session)
    gaps = np.round(-30.0 * np.log1p(-rng.random(n)), 3)  # 30 s between the events of a session
    since = np.cumsum(gaps)
    first = np.cumsum(length) - length
    since -= np.repeat(since[first], length)
    seconds = np.minimum(np.repeat(start, length) + since, 86399.999)  # a session ends at midnight

    order = np.argsort(np.round(seconds * 1000), kind="stable")
    session, seconds = session[order], seconds[order]
    rank = who[session]
    user = scrambled(rank, USERS)
    kind = choose(rng.random(n), np.array(KIND_SHARES))
    typical = np.array(list(TYPICAL_MS.values()))[kind]
    latency = np.round(typical * np.exp(0.7 * normal(rng.random(n), rng.random(n))), 1)
    amount = np.round(20 * np.exp(0.9 * normal(rng.random(n), rng.random(n))), 2)
    page = scrambled(zipf(rng.random(n), PAGES, 0.9), PAGES)
    country = choose((user * 0.6180339887498949) % 1.0, 1.0 / np.arange(1, len(COUNTRIES) + 1))
    time = (FIRST_DAY + day).astype("datetime64[ms]") + np.round(seconds * 1000).astype("timedelta64[ms]")
    columns = [
        pa.array(time),
        pa.array(user.astype(np.int32)),
        pa.array((day * 10 * sessions + session).astype(np.int32)),
        pa.DictionaryArray.from_arrays(kind.astype(np.int8), list(KINDS)),
        pa.DictionaryArray.from_arrays(country.astype(np.int8), COUNTRIES),
        pa.array([f"/p/{number:04d}" for number in page]),
        pa.array(np.array(STATUSES, np.int16)[choose(rng.random(n), np.array(STATUS_SHARES))]),
        pa.array(latency.astype(np.float32)),
        pa.array(amount, mask=kind != KINDS.index("purchase")),
        pa.array(payloads(rng, user)),
    ]
    return pa.table(columns, schema=SCHEMA)


def write(folder: Path, days: int = DAYS, sessions: int = SESSIONS, seed: int = SEED) -> None:
    """Write one Parquet file a day to `folder`, in Hive's form: ``day=2026-03-02/part-0.parquet``."""
    for day in range(days):
        target = folder / f"day={FIRST_DAY + day}"
        target.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            events(day, sessions, seed),
            target / "part-0.parquet",
            row_group_size=ROW_GROUP,
            compression="zstd",
            write_statistics=[name for name in SCHEMA.names if name != "payload"],
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "events")
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="begun on a mean day")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    for old in options.folder.glob("day=*"):
        shutil.rmtree(old)
    write(options.folder, options.days, options.sessions, options.seed)
