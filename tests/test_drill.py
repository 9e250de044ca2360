"""The frame of the drills; what they find is theirs."""

from __future__ import annotations

import sys
import types

import pytest

from tests.drill import Skipped
from tests.drill.__main__ import drill, main, names
from tests.drill.rows import table


def test_each_drill_is_found_by_its_name():
    assert {"fresh", "hosts", "offline"} <= set(names())
    assert not {"__main__", "namespaces", "switch"} & set(names())


def test_a_table_has_the_columns_of_all_rows_and_the_verdict_last():
    rows = [{"what": "a", "seconds": 1.25, "ok": True}, {"what": "b", "ok": False, "count": 10_000}]
    assert table(rows).splitlines() == [
        "what  seconds   count",
        "a        1.25          ok",
        "b              10,000  BROKEN",
    ]


def toy(monkeypatch: pytest.MonkeyPatch, result: list | Exception) -> bool:
    def run_it() -> list:
        if isinstance(result, Exception):
            raise result
        return result

    module = types.ModuleType("tests.drill.toy")
    module.run = run_it
    monkeypatch.setitem(sys.modules, "tests.drill.toy", module)
    return drill("toy")


def test_a_row_that_is_not_ok_or_an_exception_fails_and_what_is_skipped_does_not(monkeypatch, capsys):
    assert toy(monkeypatch, [{"ok": True}, {"ok": None}])
    assert not toy(monkeypatch, [{"ok": True}, {"ok": False}])
    assert not toy(monkeypatch, ValueError("no"))
    assert toy(monkeypatch, Skipped("no wheels"))
    assert "skipped: no wheels" in capsys.readouterr().out


def test_an_unknown_drill_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nothing-of-that-name"])
    assert "hosts" in capsys.readouterr().err
