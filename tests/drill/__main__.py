"""Run drills, the long ones that ``make test`` leaves out; print a table of figures for each.

    python -m tests.drill [NAME…]        (make drill)

A drill is a module of this folder that has ``run() -> list[dict]`` (it may have settings, with defaults); what else is
here helps them. Each dict is a row of its table, with whatever columns it has; the column ``ok`` is True where what had
to hold did, False where it did not, None where the row only tells. A drill that cannot run here raises
`tests.drill.Skipped` with the reason. Exit status 1 when a row is not ok, or a drill fails.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.drill import Skipped
from tests.drill.rows import table


def names() -> list[str]:
    """Return the names of the drills."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return [module.stem for module in modules if "\ndef run(" in module.read_text(encoding="utf-8")]


def drill(name: str) -> bool:
    """Run one drill and print its table; tell whether all of it holds."""
    print(f"{name} …", file=sys.stderr, flush=True)
    begun = time.monotonic()
    try:
        rows = importlib.import_module(f"tests.drill.{name}").run()
    except Skipped as reason:
        print(f"{name}: skipped: {reason}\n", flush=True)
        return True
    except Exception:
        traceback.print_exc()
        return False
    broken = sum(row.get("ok") is False for row in rows)
    print(f"{name}\n{table(rows)}\n{len(rows)} rows, {broken} broken, {time.monotonic() - begun:.0f} s\n", flush=True)
    return not broken


def main(argv: Sequence[str] | None = None) -> int:
    """Run the drills named, or all, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description="Long runs that the course must stand.")
    parser.add_argument("name", nargs="*", choices=[*names(), []], metavar="NAME", help=", ".join(names()))
    wanted = parser.parse_args(argv).name or names()
    return 0 if all([drill(name) for name in wanted]) else 1


if __name__ == "__main__":
    sys.exit(main())
