"""The script that records data/mysteries works, at a small scale."""

from __future__ import annotations

import pytest

from course.trace import Trace
from tests.data_scripts import load


@pytest.fixture(scope="module")
def script():
    return load("record_mysteries")


def test_a_small_recording(script, monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(script, "WORKERS", 2)
    script.write(tmp_path, ["c"], scale=0.2)
    captured = capfd.readouterr()
    assert captured.out.startswith("c: ")
    assert captured.err == ""
    slow, cured = Trace.load(tmp_path / "c.parquet"), Trace.load(tmp_path / "c-cured.parquet")
    assert (len(slow.graph), len(cured.graph)) == (600, 12)
    assert slow.cluster == cured.cluster
    assert slow.makespan > cured.makespan


def test_a_run_with_a_failure_is_refused(script, monkeypatch):
    def broken(client, scale):
        future = client.submit(divmod, 1, 0, key="divide")
        future.exception()

    monkeypatch.setattr(script, "WORKERS", 1)
    with pytest.raises(RuntimeError, match=r"not a clean run: .*divide"):
        script.run(script.Mystery("", broken, broken), broken)
