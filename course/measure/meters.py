"""The capstone's program: a report on a town's electricity meters, as it was first written; and its data."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client

from course.domain import whole

DISTRICTS = ("Altstadt", "Hafen", "Nordend", "Ostheim", "Seeblick", "Westring")
TARIFFS = ("flat", "night", "solar")
RESAMPLES = 100
FIRST_DAY = np.datetime64("2026-02-02")


# ---- the first version


def read_day(path: Path) -> pd.DataFrame:
    """Read the readings of a day; keep those that count, in kilowatt-hours."""
    rows = pd.read_parquet(path)
    rows = rows[(rows["status"] == "ok") & rows["pulses"].notna()].copy()
    rows["kwh"] = [kilowatt_hours(row) for _, row in rows.iterrows()]
    rows["slot"] = [time.hour * 2 + time.minute // 30 for time in rows["time"]]
    return rows


def kilowatt_hours(row: pd.Series) -> float:
    """Turn the pulses of a meter into energy; each kind of meter has its own number of pulses to the kilowatt-hour."""
    return float(row["pulses"] / row["constant"])


def append_day(table: pd.DataFrame | None, path: Path) -> pd.DataFrame:
    """Append the readings of a day to those of the days before."""
    return read_day(path) if table is None else pd.concat([table, read_day(path)], ignore_index=True)


def load(client: Client, folder: Path) -> pd.DataFrame:
    """Load the readings of all days, in the order of the days."""
    table = None
    for path in sorted((folder / "readings").glob("*.parquet")):
        table = client.submit(append_day, table, path)
    return table.result()


def totals(readings: pd.DataFrame, meters: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return the energy and the number of readings of each district and tariff, and the energy of each meter."""
    rows = dd.from_pandas(readings, npartitions=4).merge(dd.from_pandas(meters, npartitions=2), on="meter")
    energy = rows.groupby(["district", "tariff"])["kwh"].sum().compute()
    number = rows.groupby(["district", "tariff"])["kwh"].count().compute()
    of_meter = rows.groupby("meter")["kwh"].sum().compute()
    return energy, number, of_meter.sort_index()


def busiest_slot(readings: pd.DataFrame, members: list[int]) -> int:
    """Return the half-hour of the day, from 0 to 47, in which some meters use most energy."""
    mine = readings[readings["meter"].isin(members)]
    return int(mine.groupby("slot")["kwh"].sum().idxmax())


def busiest(client: Client, readings: pd.DataFrame, meters: pd.DataFrame) -> dict[str, int]:
    """Return the busiest half-hour of each district that has readings."""
    result = {}
    for district, group in meters.groupby("district"):
        members = group["meter"].tolist()
        if readings["meter"].isin(members).any():
            result[district] = client.submit(busiest_slot, readings, members).result()
    return result


def resample(number: int, energy: pd.DataFrame) -> dict[str, float]:
    """Return the mean energy of a meter, for each tariff, in one bootstrap sample of the meters."""
    rows = np.random.default_rng([23, number]).integers(0, len(energy), len(energy))
    return energy.iloc[rows].groupby("tariff")["kwh"].mean().to_dict()


def intervals(client: Client, of_meter: pd.Series, meters: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return a 95 % bootstrap interval of the mean energy of a meter, for each tariff."""
    energy = of_meter.reset_index().merge(meters, on="meter").sort_values("meter")
    samples = pd.DataFrame(client.gather(client.map(partial(resample, energy=energy), range(RESAMPLES))))
    low, high = samples.quantile(0.025), samples.quantile(0.975)
    return {tariff: (low[tariff], high[tariff]) for tariff in samples}


def start(client: Client, folder: Path) -> dict[str, Any]:
    """Return the report on the readings in a folder: the first version, right and slow.

    Parameters
    ----------
    client : distributed.Client
    folder : Path
        As `write_meters` fills it.

    Returns
    -------
    dict
        ``energy`` and ``number`` of each pair of district and tariff; ``busiest`` half-hour of each district; the
        ``interval`` of each tariff. Districts, tariffs and pairs without a reading are left out.

    Notes
    -----
    The capstone of chapter 23: make it faster.
    """
    folder = Path(folder)
    meters = pd.read_parquet(folder / "meters.parquet")
    readings = load(client, folder)
    energy, number, of_meter = totals(readings, meters)
    return {
        "energy": energy.to_dict(),
        "number": number.to_dict(),
        "busiest": busiest(client, readings, meters),
        "interval": intervals(client, of_meter, meters),
    }


# ---- the data


def write_meters(folder: str | Path, *, days: int = 3, meters: int = 100, seed: int = 23, awkward: bool = False) -> int:
    """Write the table of the meters of a town, and their readings, a file a day, as Parquet.

    Parameters
    ----------
    folder : path
        An existing folder; there will be ``meters.parquet`` and ``readings/DAY.parquet`` in it.
    days, meters : int
        How many; a meter sends 48 readings a day.
    seed : int
        Of everything that is random.
    awkward : bool
        With a day without a reading, a meter that the table does not know, a meter whose readings are all faulty, a
        district that has no good reading, and a tariff that only one meter has.

    Returns
    -------
    int
        How many readings there are.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_meters(folder, days=2, meters=10), sorted(path.name for path in Path(folder).iterdir())
    (960, ['meters.parquet', 'readings'])

    Notes
    -----
    Used in chapter 23.
    """
    days, meters = whole("days", days, low=1, high=365), whole("meters", meters, low=10, high=100_000)
    rng = np.random.default_rng(whole("seed", seed, low=0))
    folder = Path(folder)
    ids = np.sort(rng.choice(np.arange(10_000, 10_000 + 20 * meters), meters, replace=False))
    district = rng.integers(0, len(DISTRICTS), meters)
    tariff = rng.choice(len(TARIFFS), meters, p=(0.6, 0.3, 0.1))
    constant = rng.choice([500, 800, 1000], meters)
    habit = rng.gamma(4.0, 0.1, meters)  # kWh in half an hour
    peak = rng.integers(30, 44, len(DISTRICTS))  # the district's busiest half-hour
    known = np.ones(meters, dtype=bool)
    faulty = np.zeros(meters, dtype=bool)
    if awkward:
        district[district == 2] = 3
        district[:2] = 2
        tariff[tariff == 2] = 0
        tariff[5] = 2
        faulty[[0, 1, 7]] = True
        known[9] = False
    pd.DataFrame(
        {
            "meter": ids,
            "district": np.array(DISTRICTS)[district],
            "tariff": np.array(TARIFFS)[tariff],
            "address": [f"{bytes(each).hex()}" for each in rng.integers(0, 256, (meters, 20), dtype=np.uint8)],
        }
    )[known].to_parquet(folder / "meters.parquet", index=False)
    (folder / "readings").mkdir()
    rows = 0
    for day in range(days):
        slot = np.repeat(np.arange(48), meters)
        which = np.tile(np.arange(meters), 48)
        size = len(slot)
        shape = 0.6 + np.exp(-(((slot - peak[district[which]]) / 4.0) ** 2))
        kwh = habit[which] * shape * rng.gamma(8.0, 1 / 8.0, size)
        pulses = np.floor(kwh * constant[which])
        pulses[rng.random(size) < 0.02] = np.nan
        status = np.where(rng.random(size) < 0.05, "estimated", "ok")
        status[faulty[which]] = "fault"
        date = FIRST_DAY + day
        frame = pd.DataFrame(
            {
                "meter": ids[which],
                "time": date.astype("datetime64[ms]") + (slot * 1_800_000).astype("timedelta64[ms]"),
                "pulses": pulses,
                "constant": constant[which],
                "status": status,
                "voltage": rng.normal(230, 3, size).round(1),
                "telegram": [bytes(each).hex() for each in rng.integers(0, 256, (size, 48), dtype=np.uint8)],
            }
        )
        if awkward and days > 1 and day == days // 2:
            frame = frame.iloc[:0]
        frame.to_parquet(folder / "readings" / f"{date}.parquet", index=False)
        rows += len(frame)
    return rows
