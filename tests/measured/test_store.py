"""The store counts every read and takes its time; the footers foretell what Dask fetches."""

from __future__ import annotations

import pickle
import time

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.datafiles import data_file
from course.measure import Store, cluster, column_chunks, planned_requests
from course.measure.footers import LONGEST

EVENTS = data_file("events")


def test_store_counts_and_copies_share_the_count(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(bytes(range(100)))
    store = Store()
    with store.open(file.as_posix()) as opened:
        opened.seek(90)
        assert opened.read(20) == bytes(range(90, 100))
    with pickle.loads(pickle.dumps(store)).open(file.as_posix()) as opened:
        opened.read(7)
    assert [(r.file, r.offset, r.size) for r in store.requests] == [(file.as_posix(), 90, 10), (file.as_posix(), 0, 7)]
    assert store.bytes == 17
    assert Store().requests == []
    store.clear()
    assert store.bytes == 0


def test_store_counts_what_is_read_into_a_buffer(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(bytes(range(100)))
    store, buffer = Store(), bytearray(20)
    with store.open(file.as_posix()) as opened:
        opened.seek(90)
        assert opened.readinto(buffer) == 10
    assert buffer[:10] == bytes(range(90, 100))
    assert [(r.offset, r.size) for r in store.requests] == [(90, 10)]


def test_stores_differ_and_copies_do_not():
    store = Store()
    assert store != Store()
    assert store == pickle.loads(pickle.dumps(store))
    assert hash(store) == hash(pickle.loads(pickle.dumps(store)))


def test_store_takes_its_time_and_writes(tmp_path):
    store = Store(latency=0.03, bandwidth=1e5)
    with store.open((tmp_path / "b").as_posix(), "wb") as file:
        file.write(bytes(3000))
    with store.open((tmp_path / "b").as_posix()) as file:
        start = time.perf_counter()
        file.read()
        assert time.perf_counter() - start >= 0.06
    assert len(store.requests) == 1


@pytest.mark.parametrize("wrong", [{"latency": -1}, {"latency": "slow"}, {"bandwidth": 0}, {"bandwidth": float("nan")}])
def test_store_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Store(**wrong)


def test_column_chunks(tmp_path):
    table = pa.table({"a": np.arange(10), "b": [None] * 10, "c": list("xyxyxyxyxy")})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4, write_statistics=["a", "b"])
    chunks = column_chunks(tmp_path / "t.parquet")
    assert chunks.equals(column_chunks(tmp_path))
    a = chunks[chunks["column"] == "a"]
    assert a[["rows", "low", "high"]].to_numpy().tolist() == [[4, 0, 3], [4, 4, 7], [2, 8, 9]]
    assert chunks[chunks["column"] != "a"][["low", "high"]].isna().all().all()
    with open(tmp_path / "t.parquet", "rb") as file:
        assert file.read(4) == b"PAR1"
    assert chunks["offset"].min() == 4
    with pytest.raises(FileNotFoundError, match="no file"):
        column_chunks(_empty(tmp_path))


def _empty(path):
    (path / "empty").mkdir()
    return path / "empty"


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=12),
    st.integers(0, 60),
)
def test_planned_requests_cover_the_chunks_and_no_more_than_holes(gaps, hole):
    offset, chunks = 0, []
    for gap, size in gaps:
        chunks.append({"file": "f", "offset": offset + gap, "size": size})
        offset += gap + size
    requests = planned_requests(pd.DataFrame(chunks).sample(frac=1, random_state=0), hole)
    wanted = np.zeros(offset, bool)
    got = np.zeros(offset, bool)
    for chunk in chunks:
        wanted[chunk["offset"] : chunk["offset"] + chunk["size"]] = True
    for _, start, size in requests.itertuples(index=False):
        assert not got[start : start + size].any()
        got[start : start + size] = True
    assert (got >= wanted).all()
    joined = sum(gap <= hole for gap, _ in gaps[1:])
    assert len(requests) == len(gaps) - joined
    assert got.sum() - wanted.sum() == sum(gap for gap, _ in gaps[1:] if gap <= hole)


def test_planned_requests_by_file_and_length():
    frame = pd.DataFrame({"file": ["a", "b", "a"], "offset": [0, 0, 10], "size": [10, 10, LONGEST]})
    assert planned_requests(frame).to_numpy().tolist() == [["a", 0, 10], ["a", 10, LONGEST], ["b", 0, 10]]
    assert planned_requests(frame.iloc[:0]).empty
    with pytest.raises(ValueError, match="hole is -1"):
        planned_requests(frame, -1)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own call of pandas
@pytest.mark.parametrize("columns", [["latency_ms"], ["country", "latency_ms"], ["time", "payload"]])
def test_dask_fetches_what_the_footers_foretell(columns):
    store = Store()
    with cluster(1, 2, processes=False, local=True):
        frame = dd.read_parquet(EVENTS, filesystem=store, columns=columns)
        store.clear()
        frame.map_partitions(len, meta=(None, int)).sum().compute()
    chunks = column_chunks(EVENTS)
    foretold = planned_requests(chunks[chunks["column"].isin(columns)])
    fetched = sorted((r.offset, r.size) for r in store.requests if r.size != 65536)
    assert fetched == sorted(foretold[["offset", "size"]].itertuples(index=False, name=None))
