"""A `course.diagnosis.Diagnosis` as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course.diagnosis import Diagnosis

#: Colours of the shares, the ones of the figures (`course.plots.timeshares.LOOK`).
COLOURS = {
    "compute": "#0072B2", "disk": "#AA4E8A", "deserialize": "#1F2937", "transfer": "#D55E00",
    "scheduling": "#E69F00", "placement": "#009E73", "imbalance": "#CBD5E1", "dependencies": "#E8ECF1",
    "client": "#F4F1EA",
}  # fmt: skip


def render(found: Diagnosis) -> str:
    """See `Diagnosis.to_html`."""
    from course.diagnosis import LIMITS

    parts = ['<div class="course-diagnosis" style="font-family:system-ui,sans-serif;max-width:62em;line-height:1.45">']
    parts.append(f"<h3>Held up by: {html.escape(found.limit)}</h3>")
    parts.append(f"<p>{html.escape(LIMITS[found.limit])}. {html.escape(found.evidence)}</p>")
    bounds = found.bounds
    parts.append(
        f"<p>Makespan {found.makespan:.3g} s; at the least {bounds['lower']:.3g} s"
        f" (work {bounds['work']:.3g} s, span {bounds['span']:.3g} s). Tasks: {html.escape(str(found.sizes))}.</p>"
    )
    parts += ["<h4>What to change first</h4>", "<ol>"]
    for each in found.advice:
        up_to = "up to " if each.at_most else ""
        parts.append(
            f"<li><b>{html.escape(each.change)}</b>: saves {up_to}{each.saves:.2g} s of {found.makespan:.3g} s."
            f"<br>{html.escape(each.finding)}<br>"
            f"<small>whatif: {html.escape(each.outcome.changes)}; chapter {each.chapter}</small></li>"
        )
    parts.append("</ol>" if found.advice else "</ol><p>Nothing that was tried would save much.</p>")
    parts.append("<h4>Where the threads' time went</h4>")
    parts.append(_bar(found))
    shares = sorted(found.shares.items(), key=lambda item: -item[1])
    rows = [[name, f"{share:.1%}", f"{found.seconds[name]:.3g}"] for name, share in shares if share >= 0.0005]
    parts.append(_table(["", "share", "thread-seconds"], rows))
    path = [[kind, f"{seconds:.3g}"] for kind, seconds in found.on_path().items() if seconds > 0]
    parts += ["<h4>Critical path</h4>", _table(["", "seconds"], path)]
    groups = sorted(found.groups, key=lambda group: -group.seconds)[:12]
    parts.append("<h4>Kinds of tasks</h4>")
    parts.append(
        _table(
            ["key prefix", "tasks", "seconds", "median", "longest", "blame"],
            [
                [g.prefix, f"{g.tasks:,}", *(f"{x:.3g}" for x in (g.seconds, g.median, g.longest, g.blame))]
                for g in groups
            ],
        )
    )
    parts.append("<h4>Workers</h4>")
    busiest = sorted(found.workers, key=lambda worker: -worker.busy)[:16]
    parts.append(
        _table(
            ["", "tasks", "computing [s]", "received [MB]", "disk [s]", "spills"],
            [[w.name, f"{w.tasks:,}", f"{w.busy:.3g}", f"{w.received / 1e6:.3g}", f"{w.disk:.3g}", f"{w.spills:,}"]
             for w in busiest],
        )
    )  # fmt: skip
    return "\n".join([*parts, "</div>"])


def _bar(found: Diagnosis) -> str:
    """Return the shares as one bar; its text says the same."""
    said = ", ".join(f"{name} {share:.0%}" for name, share in found.shares.items() if share >= 0.005)
    pieces = "".join(
        f'<span title="{name} {share:.1%}" style="width:{100 * share:.2f}%;background:{COLOURS[name]}"></span>'
        for name, share in found.shares.items()
        if share > 0
    )
    return f'<div role="img" aria-label="{html.escape(said)}" style="display:flex;height:1.6em">{pieces}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(
        f'<th scope="col" style="text-align:left;padding:.1em .8em">{html.escape(each)}</th>' for each in head
    )
    lines = [f"<tr>{cells}</tr>"]
    for first, *others in rows:
        line = f'<th scope="row" style="text-align:left;font-weight:normal;padding:.1em .8em">{html.escape(first)}</th>'
        line += "".join(f'<td style="text-align:right;padding:.1em .8em">{html.escape(each)}</td>' for each in others)
        lines.append(f"<tr>{line}</tr>")
    return f'<table style="border-collapse:collapse">{"".join(lines)}</table>'
