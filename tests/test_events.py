"""The event log in data/events is what its generator makes, and has what the chapters rely on."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from course.datafiles import data_file
from tests.data_scripts import load

FILES = sorted(data_file("events").rglob("*.parquet"))


@pytest.fixture(scope="module")
def make():
    return load("make_events")


def test_sizes(make):
    assert len(FILES) == make.DAYS
    assert 6e6 < sum(file.stat().st_size for file in FILES) < 9e6
    assert sum(pq.read_metadata(file).num_rows for file in FILES) == 173_706


@pytest.mark.parametrize("day", range(len(FILES)))
def test_files_are_what_the_generator_makes(make, day):
    file = pq.ParquetFile(FILES[day])
    stored, made = file.read(), make.events(day)
    assert FILES[day].parent.name == f"day={make.FIRST_DAY + day}"
    assert stored.schema.names == made.schema.names
    for name in stored.column_names:
        assert stored[name].to_pylist() == made[name].to_pylist(), name
    footer = file.metadata
    sizes = [footer.row_group(k).num_rows for k in range(footer.num_row_groups)]
    assert set(sizes[:-1]) == {make.ROW_GROUP}
    assert 0 < sizes[-1] <= make.ROW_GROUP


def test_what_the_chapters_rely_on():
    log = pq.ParquetDataset(data_file("events"), partitioning=None).read().to_pandas()
    assert log["time"].is_monotonic_increasing
    assert log["amount"].notna().eq(log["kind"] == "purchase").all()
    assert (log.groupby("session")["user"].nunique() == 1).all()
    assert (log.groupby("user")["country"].nunique() == 1).all()
    assert log["user"].value_counts(normalize=True).iloc[0] > 0.02  # hot
    hours = log["time"].dt.hour.value_counts(normalize=True)
    assert hours[20] > 5 * hours[4]  # a daily rhythm
    assert not log.drop(columns=["amount"]).isna().any().any()


def test_another_seed_makes_other_events(make, tmp_path):
    assert make.events(0, sessions=50, seed=1)["page"].to_pylist() != make.events(0, sessions=50)["page"].to_pylist()
    make.write(tmp_path, days=2, sessions=50)
    made = pq.ParquetDataset(tmp_path, partitioning=None).read()
    assert len(made) == sum(len(make.events(day, sessions=50)) for day in (0, 1))
    assert np.unique(made["session"].to_numpy()).size >= 99
