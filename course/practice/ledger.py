"""`Ledger`: the changes to a slow program, each with the prediction made before it and the ratio measured after it."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course.practice.scoreboard import ToleranceError


@dataclass
class Entry:
    """One change.

    Attributes
    ----------
    change : str
        What is changed.
    predicted : float
        Time after ÷ time before, as predicted before the change was measured.
    by : str
        What the prediction is made from.
    measured : float or None
        The same ratio, measured; None until it is.
    interval : tuple of float, or None
        Its interval, or the range of its repetitions.
    why_not : str
        Why the change was taken back; empty if it was kept.
    again : str
        What was done more than once (a cell that is run again does), to be seen beside the verdict; else empty.
    """

    change: str
    predicted: float
    by: str
    measured: float | None = None
    interval: tuple[float, float] | None = None
    why_not: str = ""
    again: str = ""

    @property
    def kept(self) -> bool:
        """Whether the change stays."""
        return not self.why_not

    @property
    def error(self) -> float:
        """By how much the prediction is off: 0.1 is 10 % too slow; NaN before the measurement."""
        return self.predicted / self.measured - 1 if self.measured else math.nan


class Ledger:
    """The account of a tuning: predict, then change, then measure, change by change.

    Parameters
    ----------
    start : str
        What the first version is called.

    Examples
    --------
    >>> ledger = Ledger("as it was")
    >>> ledger.predict("half the columns", 0.5, by="bytes of the columns")
    >>> ledger.measure("half the columns", [0.52, 0.55, 0.49])
    >>> ledger.predict("more threads", 0.5, by="threads")
    >>> ledger.measure("more threads", [1.1, 1.0, 1.2])
    >>> ledger.take_back("more threads", why="Python's lock")
    >>> ledger
    change            predicted from        verdict
    as it was
    half the columns  bytes of the columns  kept
    more threads      threads               taken back: Python's lock
    >>> round(ledger.times_as_fast, 2)
    1.92

    Notes
    -----
    As text it holds no number, so that a notebook that measures prints the same in every run; in a notebook it is a
    table with all of them. Taught in chapter 23, used by chapters 18 to 23.
    """

    def __init__(self, start: str = "start") -> None:
        self.start = start
        self.entries: list[Entry] = []

    def predict(self, change: str, ratio: Any, *, by: str = "") -> None:
        """Enter a prediction: time after ÷ time before.

        Entered again, it stands in the place of the first, and must be measured again; if the first was measured, the
        verdict says that this one was made with that knowledge.

        Parameters
        ----------
        change : str
            What will be changed; the name under which it is measured.
        ratio : float or WhatIf
            Below 1, it will be faster.
        by : str
            What it was predicted from. Default, for a `course.replay.WhatIf`: what was asked.

        Raises
        ------
        ValueError
            A ratio that is not positive; no word on where it comes from.
        """
        if hasattr(ratio, "ratio"):
            by = by or f"whatif: {ratio.changes}"
            ratio = ratio.ratio
        number = _positive("ratio", ratio)
        if not by:
            raise ValueError(f"say what {change!r} is predicted from: by='…'")
        new = Entry(change, number, by)
        for k, entry in enumerate(self.entries):
            if entry.change == change:
                new.again = "predicted again" if entry.measured is not None else entry.again
                self.entries[k] = new
                return
        self.entries.append(new)

    def measure(self, change: str, measured: Any) -> None:
        """Enter what was measured; of several measurements the last counts, and the verdict says so.

        Parameters
        ----------
        change : str
            A change that was predicted.
        measured : Comparison, or sequence of float
            From `course.measure.compare` (candidate ÷ baseline), or the ratio of each repetition, of which the median
            counts.

        Raises
        ------
        ValueError
            A change that was not predicted before; ratios that are not positive.
        """
        entry = self._entry(change)
        if entry.measured is not None:
            entry.again = entry.again or "measured again"
        if hasattr(measured, "ratio") and hasattr(measured, "interval"):
            entry.measured, entry.interval = _positive("measured", measured.ratio), tuple(measured.interval)
            return
        try:
            ratios = [_positive("measured", each) for each in measured]
        except TypeError:
            ratios = []
        if not ratios:
            raise ValueError(f"measured is {measured!r:.80}; it must be a Comparison, or the ratio of each repetition")
        entry.measured, entry.interval = statistics.median(ratios), (min(ratios), max(ratios))

    def take_back(self, change: str, *, why: str) -> None:
        """Say that a change was measured, and not kept."""
        if not why:
            raise ValueError(f"say why {change!r} is taken back: why='…'")
        entry = self._entry(change)
        if entry.measured is None:
            raise ValueError(f"{change!r} was not measured; measure it before you take it back")
        entry.why_not = why

    def _entry(self, change: str) -> Entry:
        for entry in self.entries:
            if entry.change == change:
                return entry
        known = ", ".join(repr(entry.change) for entry in self.entries) or "none yet"
        raise ValueError(f"{change!r} was not predicted: predict first, then measure (predicted: {known})")

    @property
    def times_as_fast(self) -> float:
        """How many times as fast the end is as the start: one over the product of the ratios that were kept."""
        return 1 / math.prod(entry.measured for entry in self.entries if entry.kept and entry.measured is not None)

    def check(self, *, at_least: float, whole: Any = None) -> None:
        """Raise unless the program has become so many times as fast.

        Parameters
        ----------
        at_least : float
        whole : Comparison, optional
            Of the end with the start, measured in one go. Default: the product of the steps.

        Raises
        ------
        ToleranceError
            If it has not, or if a change was predicted and never measured.
        """
        missing = [entry.change for entry in self.entries if entry.measured is None]
        if missing:
            raise ToleranceError(f"predicted, but never measured: {', '.join(missing)}")
        reached = self.times_as_fast if whole is None else 1 / _positive("whole", whole.ratio)
        if not reached >= at_least:
            raise ToleranceError(f"{reached:.3g} times as fast as {self.start!r}; at least {at_least:g} is asked")

    def __repr__(self) -> str:
        lines = [("change", "predicted from", "verdict"), (self.start, "", "")]
        lines += [(entry.change, entry.by, _verdict(entry)) for entry in self.entries]
        widths = [max(len(line[k]) for line in lines) for k in range(3)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        head = ["", "predicted", "from", "measured", "off by", "together", "verdict"]
        rows = "<tr>" + "".join(f'<th scope="col">{each}</th>' for each in head) + "</tr>"
        together = 1.0
        left = 'style="text-align:left"'
        for entry in self.entries:
            measured = off = ""
            if entry.measured is not None:
                measured = f"{entry.measured:.2f}"
                if entry.interval is not None:
                    measured += f" [{entry.interval[0]:.2f}, {entry.interval[1]:.2f}]"
                off = f"{entry.error:+.0%}".replace("%", " %")
                together *= entry.measured if entry.kept else 1.0
            colour = "inherit" if entry.kept else "#b23c17"
            cells = f"<td>{entry.predicted:.2f}</td><td {left}>{html.escape(entry.by)}</td><td>{measured}</td>"
            cells += f"<td>{off}</td><td>{together:.2f}</td>"
            cells += f'<td style="text-align:left;color:{colour}">{html.escape(_verdict(entry))}</td>'
            rows += f'<tr><th scope="row" {left}>{html.escape(entry.change)}</th>{cells}</tr>'
        return f'<div class="course-measured"><table>{rows}</table></div>'


def _verdict(entry: Entry) -> str:
    if entry.measured is None:
        return "not measured yet"
    verdict = "kept" if entry.kept else f"taken back: {entry.why_not}"
    return f"{verdict} ({entry.again})" if entry.again else verdict


def _positive(name: str, value: Any) -> float:
    if isinstance(value, (str | bytes | bool, Sequence)):
        raise ValueError(f"{name} is {value!r:.80}; it must be a positive number")
    number = float(value)
    if not (number > 0 and math.isfinite(number)):
        raise ValueError(f"{name} is {value!r:.80}; it must be a positive number")
    return number
