"""What the drills share: their table, their progress, and the processes that must be gone when they are done."""

from __future__ import annotations

import argparse
import inspect
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psutil

VERDICT = {True: "ok", False: "BROKEN", None: ""}


def row(what: str, count: int, wrong: Sequence[str], figures: str = "") -> dict[str, Any]:
    """Return one row; `wrong` are sentences on what went wrong, of which the first are shown."""
    shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    result = f"{len(wrong)} wrong: {shown}" if wrong else "as it should be"
    return {"what": what, "how many": count, "result": result, "figures": figures, "ok": not wrong}


def figure(value: Any) -> str:
    """Return a number with four digits, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as an aligned table: the columns of all rows, in the order in which they come, ``ok`` last."""
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "ok"]
    cells = [[*(figure(row.get(name, "")) for name in columns), VERDICT[row.get("ok")]] for row in rows]
    lines = [[*columns, ""], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [all(isinstance(row.get(name, 0), int | float | None) for row in rows) for name in columns] + [False]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def children(process: psutil.Process | None = None) -> dict[int, str]:
    """Return the processes below one (this one by default): pid and command.

    Python's own helper that counts shared resources lives as long as its parent, and is left out.
    """
    found = {}
    for child in (process or psutil.Process()).children(recursive=True):
        try:
            command = " ".join(child.cmdline())
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in command:
                found[child.pid] = command[:160]
        except psutil.Error:
            continue
    return found


def left(before: Iterable[int], process: psutil.Process | None = None, patience: float = 5.0) -> dict[int, str]:
    """Return the processes below one that were not there `before`, and are still there after so many seconds."""
    known, until = set(before), time.monotonic() + patience
    while True:
        try:
            new = {pid: command for pid, command in children(process).items() if pid not in known}
        except psutil.NoSuchProcess:
            return {}
        if not new or time.monotonic() > until:
            return new
        time.sleep(0.05)


def ended(process: psutil.Process) -> bool:
    """Say whether a process has ended, even where nobody has asked for its status."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_all(pids: Iterable[int]) -> None:
    """Kill what was left behind, so that the next run does not suffer from it."""
    for pid in pids:
        try:
            psutil.Process(pid).kill()
        except psutil.Error:
            continue


def main(run: Callable[..., list[dict[str, Any]]], argv: Sequence[str] | None = None) -> int:
    """Run a drill by itself: its keyword arguments are options; print its table; 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=(inspect.getdoc(run) or "").split("\n")[0])
    for name, parameter in inspect.signature(run).parameters.items():
        kind = type(parameter.default)
        if kind is tuple:
            parser.add_argument(f"--{name}", nargs="*", default=parameter.default, metavar=name.upper())
        else:
            parser.add_argument(f"--{name}", type=kind, default=parameter.default, help=f"({parameter.default})")
    rows = run(**vars(parser.parse_args(argv)))
    print(table(rows))
    return int(not all(each["ok"] for each in rows))


def say(text: str) -> None:
    """Show progress, on standard error."""
    print(text, file=sys.stderr, flush=True)
