"""A crowd, the short form: two kernels run the welcome page at once; a limit that is too small is told in words."""

from __future__ import annotations

import os

import pytest

from tests.drill import crowd

pytestmark = pytest.mark.slow


def test_two_kernels_at_once():
    (row,) = crowd.run(kernels=2, chapter="26", memory=(4.0,))
    assert row["ok"], row
    assert "2 × finished" in row["figures"]


@pytest.mark.skipif(os.name != "posix", reason="no limit on the memory of a process here")
def test_too_little_memory_is_told():
    (row,) = crowd.run(kernels=1, chapter="26", memory=(0.1,))
    assert row["ok"], row
    assert "finished" not in row["figures"]


def test_a_failure_without_a_reason_would_be_seen(monkeypatch):
    monkeypatch.setattr(crowd, "LIMITED", "print('something'); raise SystemExit(3)")
    (row,) = crowd.run(kernels=1, chapter="26", memory=(4.0,))
    assert not row["ok"]
    assert "no reason, status 3" in row["result"]
