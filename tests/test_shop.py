"""The files of the small shop of chapter 18."""

from __future__ import annotations

import pandas as pd
import pytest

from course.measure import column_chunks
from course.measure.shop import write_shop


def test_files(tmp_path):
    rows = write_shop(tmp_path, days=3)
    chunks = column_chunks(tmp_path / "logs")
    times = chunks[chunks.column == "time"]
    assert rows == times.rows.sum()
    assert sorted(times.file) == ["2026-03-02.parquet", "2026-03-03.parquet", "2026-03-04.parquet"]
    assert all(
        low[:10] == name[:10] == high[:10] for low, name, high in zip(times.low, times.file, times.high, strict=True)
    )
    users = pd.read_parquet(tmp_path / "users")
    assert users["user"].tolist() == list(range(20_000))
    assert 0.78 < (users["plan"] == "free").mean() < 0.82
    logs = pd.read_parquet(tmp_path / "logs")
    assert set(logs["page"]) <= set(pd.read_parquet(tmp_path / "pages.parquet")["page"])
    assert logs["user"].isin(users["user"]).all()


def test_copies_have_sessions_of_their_own(tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    once.mkdir()
    twice.mkdir()
    rows = write_shop(once, days=1)
    assert write_shop(twice, days=1, copies=2) == 2 * rows
    sessions = [pd.read_parquet(folder / "logs")["session"].nunique() for folder in (once, twice)]
    assert sessions[1] == 2 * sessions[0]


def test_typed_times_are_the_same(tmp_path):
    text, typed = tmp_path / "text", tmp_path / "typed"
    text.mkdir()
    typed.mkdir()
    write_shop(text, days=1)
    write_shop(typed, days=1, typed=True)
    one, two = (pd.read_parquet(folder / "logs")["time"] for folder in (text, typed))
    assert (pd.to_datetime(one) == two).all()


@pytest.mark.parametrize("wrong", [{"days": 0}, {"days": 15}, {"copies": 0}])
def test_arguments(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        write_shop(tmp_path, **wrong)
