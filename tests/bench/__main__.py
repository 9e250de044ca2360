"""Print one table of all benchmarks: ours against a peer, and whether the target is met.

    python tests/bench [NAME…]        (make bench)

Not ``python -m tests.bench``: an installed package (ciw) brings a ``tests`` of its own.

Each ``bench_*.py`` here has ``bench() -> list[dict]``; a row has the keys ``work`` (what is done), ``ours`` and
``peer`` (figures in ``unit``), ``ratio`` (how many times better ours is), ``target`` (the smallest ratio that
is good enough; None where there is none) and ``unit``. Exit status 1 when a target is missed or a benchmark
fails.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = ("work", "ours", "peer", "unit", "ratio", "target", "verdict")
KEYS = {"work", "ours", "peer", "ratio", "target", "unit"}


def names() -> list[str]:
    """Return the names of the benchmarks, without ``bench_``."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name.removeprefix("bench_") for module in found if module.name.startswith("bench_"))


def verdict(row: dict[str, Any]) -> str:
    """Say whether the row's target is met."""
    if row["target"] is None:
        return ""
    return "ok" if row["ratio"] >= row["target"] else "MISSED"


def figure(value: Any) -> str:
    """Return a number with four digits, anything else as it is."""
    if value is None:
        return "–"
    return f"{value:,.4g}" if isinstance(value, int | float) else str(value)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as an aligned table."""
    lines = [COLUMNS]
    for row in rows:
        cells = {**row, "verdict": verdict(row)}
        lines.append(tuple(figure(cells[column]) for column in COLUMNS))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {"work", "unit", "verdict"}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, cell, width in zip(COLUMNS, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks named, or all, one after the other."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description="The benchmarks, as one table.")
    parser.add_argument("name", nargs="*", choices=[*names(), []], metavar="NAME", help=", ".join(names()))
    wanted = parser.parse_args(argv).name or names()
    rows: list[dict[str, Any]] = []
    failed = []
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            for row in importlib.import_module(f"bench_{name}").bench():
                if missing := KEYS - row.keys():
                    raise KeyError(f"bench_{name}.bench() gave a row without {', '.join(sorted(missing))}")
                rows.append(row)
        except Exception:
            traceback.print_exc()
            failed.append(name)
    print(table(rows))
    missed = sum(verdict(row) == "MISSED" for row in rows)
    print(f"{len(rows)} rows, {missed} targets missed" + (f", failed: {', '.join(failed)}" if failed else ""))
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
