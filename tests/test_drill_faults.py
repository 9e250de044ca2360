"""Faults, the short form: one of each kind; and that the drill sees what would be wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.drill import faults
from tests.drill.rows import children, left

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", faults.KINDS)
def test_one_fault_of_each_kind(kind):
    found = faults.one(kind, seed=1)
    assert found["wrong"] == ""
    assert found["came"]
    assert found["seconds"] < faults.LIMIT


def test_a_wrong_answer_would_be_seen(monkeypatch):
    monkeypatch.setattr(faults, "right_answer", lambda: 1)
    assert "the answer is" in faults.one("killed", seed=1)["wrong"]


def test_a_trace_that_cannot_be_read_would_be_seen(tmp_path):
    file = tmp_path / "trace.parquet"
    file.write_bytes(b"no trace")
    assert "course diagnose" in faults._unreadable(file)


def test_a_process_that_is_left_would_be_seen():
    before = children()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert list(left(before, patience=0.0)) == [process.pid]
    finally:
        process.kill()
        process.wait()
