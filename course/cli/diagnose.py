"""``course diagnose``: where the time of a recorded run went, and what held it up; or how two runs differ."""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from course.cli.errors import CommandError
from course.cli.traces import load, new_file, patience, write_new

if TYPE_CHECKING:
    from course.diagnosis import Diagnosis
    from course.trace import Trace

EXAMPLES = """\
examples:
  course diagnose trace.parquet
  course diagnose trace.parquet --html report.html --figure report.svg
  course diagnose trace.parquet --json | jq .shares
  course diagnose before.parquet after.parquet        (two runs side by side)

Traces are made by `course record -- COMMAND`, or in a program by course.measure.record(client).
"""

FIGURES = (".png", ".svg", ".pdf")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "diagnose",
        help="where the time of a recorded run went; or how two runs differ",
        description="Say where the time of a recorded run went, and what held it up; of two runs, how they differ.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="a trace")
    command.add_argument("new", nargs="?", metavar="NEW", help="another trace, to be compared with the first")
    command.add_argument("--json", action="store_true", help="print JSON instead of text")
    command.add_argument("--html", metavar="OUT", help="write the report as a page, too")
    command.add_argument("--figure", metavar="OUT", help=f"draw the report, too ({', '.join(FIGURES)})")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis, or the comparison; write what is asked for."""
    if arguments.new is not None and (arguments.html or arguments.figure):
        raise CommandError("--html and --figure are for one trace; of two, there are text and --json")
    page = new_file(arguments.html, (".html", ".htm")) if arguments.html else None
    figure = new_file(arguments.figure, FIGURES) if arguments.figure else None
    trace = load(arguments.file)
    if arguments.new is not None:
        other = load(arguments.new)
        names = (arguments.file, arguments.new)
        with patience():
            text = as_json(compare_dict(trace, other, names)) if arguments.json else compare(trace, other, names)
        print(text)
        return 0
    with patience():
        found = diagnosis(trace)
        text = as_json(found.to_dict()) if arguments.json else found.report()
        if page is not None:
            write_new(page, as_page(found, arguments.file).encode("utf-8"))
        if figure is not None:
            write_new(figure, drawn(found, figure.suffix))
    print(text)
    return 0


def as_json(content: object) -> str:
    """Return JSON that people can read, too."""
    return json.dumps(content, indent=2, ensure_ascii=False)


def diagnosis(trace: Trace) -> Diagnosis:
    """Return what `course.diagnose` finds."""
    from course.diagnosis import diagnose

    return diagnose(trace)


def drawn(found: Diagnosis, suffix: str) -> bytes:
    """Return the picture of a diagnosis, as the content of a file."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window, and no need of a screen
    from course import plots

    content = io.BytesIO()
    plots.diagnosis(found).savefig(content, format=suffix.lower().removeprefix("."))
    return content.getvalue()


def as_page(found: Diagnosis, name: str) -> str:
    """Return a page with the report and its picture, in one file that needs no other."""
    title = html.escape(f"Diagnosis of {Path(name).name}")
    picture = base64.b64encode(drawn(found, ".png")).decode("ascii")
    said = html.escape(f"Held up by {found.limit}. {found.evidence}", quote=True)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width">\n'
        "<style>body{font-family:system-ui,sans-serif;margin:2em}img{max-width:100%}</style></head>\n"
        f"<body><h1>{title}</h1>\n{found.to_html()}\n"
        f'<p><img alt="{said}" src="data:image/png;base64,{picture}"></p>\n</body>\n</html>\n'
    )


def moved(old: Diagnosis, new: Diagnosis) -> dict[str, tuple[float, float]]:
    """Return how many seconds of each run each share accounts for, what changed most first.

    A share of the threads' time, times the makespan: these sum to the makespans, so that their differences sum to the
    difference of the makespans, also where the two runs had different numbers of threads.
    """
    parts = {name: (old.shares[name] * old.makespan, new.shares[name] * new.makespan) for name in old.shares}
    return dict(sorted(parts.items(), key=lambda part: -abs(part[1][1] - part[1][0])))


def compare_dict(old: Trace, new: Trace, names: tuple[str, str]) -> dict:
    """Return the comparison as plain numbers, lists and strings."""
    first, second = diagnosis(old), diagnosis(new)
    return {
        "old": {"file": names[0], **first.to_dict()},
        "new": {"file": names[1], **second.to_dict()},
        "ratio": second.makespan / first.makespan if first.makespan else None,
        "moved": {name: after - before for name, (before, after) in moved(first, second).items()},
    }


def compare(old: Trace, new: Trace, names: tuple[str, str]) -> str:
    """Return the comparison as text."""
    first, second = diagnosis(old), diagnosis(new)
    titles = [Path(name).stem for name in names]
    titles = (
        ["old", "new"]
        if titles[0] == titles[1]
        else [f"{title[:19]}…" if len(title) > 20 else title for title in titles]
    )
    facts = [("", *titles, "")]
    ratio = f"{second.makespan / first.makespan:.3g} of the time" if first.makespan else ""
    facts.append(("makespan", f"{first.makespan:.3g} s", f"{second.makespan:.3g} s", ratio))
    lower = [f"{found.bounds['lower']:.3g} s" for found in (first, second)]
    facts.append(("at the least", *lower, ""))
    facts.append(("tasks that ran", *(f"{ran(found):,}" for found in (first, second)), ""))
    clusters = [f"{trace.cluster.workers} ({trace.cluster.slots})" for trace in (old, new)]
    facts.append(("workers (threads)", *clusters, ""))
    facts.append(("held up by", first.limit, second.limit, ""))
    lines = [_row(*fact) for fact in facts]

    parts = {name: part for name, part in moved(first, second).items() if max(part) >= 0.0005 * max(
        first.makespan, second.makespan)}  # fmt: skip
    lines += ["", "where the threads' time went, as seconds of the run (and as its share)"]
    for name, (before, after) in parts.items():
        shares = (f"{value:9.3g} s {share:7.1%}" for value, share in (
            (before, first.shares[name]), (after, second.shares[name])))  # fmt: skip
        lines.append(_row(name, *shares, f"{after - before:+.3g} s"))
    total = second.makespan - first.makespan
    lines.append(
        _row("all", f"{first.makespan:9.3g} s {1:7.1%}", f"{second.makespan:9.3g} s {1:7.1%}", f"{total:+.3g} s")
    )

    lines += ["", "what moved", *(f"  {line}" for line in _sentences(first, second))]
    return "\n".join(lines)


def ran(found: Diagnosis) -> int:
    """Return how many tasks ran."""
    return sum(group.tasks for group in found.groups)


def _row(name: str, old: str, new: str, change: str) -> str:
    return f"{name:<18}{old:>20}  {new:>20}  {change:>16}".rstrip()


def _sentences(old: Diagnosis, new: Diagnosis) -> list[str]:
    said = []
    for name, (before, after) in list(moved(old, new).items())[:3]:
        if abs(after - before) >= 0.02 * max(old.makespan, new.makespan):
            said.append(f"{name}: {abs(after - before):.3g} s {'more' if after > before else 'less'}")
    groups = {group.prefix: group for group in old.groups}
    changes = []
    for group in new.groups:
        was = groups.get(group.prefix)
        if was is None:
            changes.append((group.seconds, f"tasks named {group.prefix!r} are new: {_work(group)}"))
        elif abs(group.seconds - was.seconds) > 0.1 * max(group.seconds, was.seconds):
            line = f"tasks named {group.prefix!r}: {_work(was)} before, {_work(group)} now"
            changes.append((abs(group.seconds - was.seconds), line))
    here = {group.prefix for group in new.groups}
    changes += [
        (was.seconds, f"tasks named {was.prefix!r} are gone: {_work(was)}")
        for was in old.groups
        if was.prefix not in here
    ]
    said += [line for _, line in sorted(changes, reverse=True)[:5]]
    return said or ["nothing by more than 2 % of the run, and no tasks' work by more than 10 %"]


def _work(group: object) -> str:
    return f"{group.tasks:,} × {group.median:.3g} s (median)"
