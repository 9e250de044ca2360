"""The scoreboard: predicted, simulated and measured side by side, each held to a stated tolerance."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

WAYS = ("predicted", "simulated", "measured")


class ToleranceError(AssertionError):
    """A row of the scoreboard is outside its tolerance; the message says which and by how much."""


@dataclass(frozen=True)
class Row:
    """One quantity, reached in up to three ways.

    `predicted`, `simulated` and `measured` are numbers or None (not reached in this way); of repeated
    measurements the median is taken before. `tolerances` are for `simulated` and `measured`.
    """

    name: str
    predicted: float | None
    simulated: float | None
    measured: float | None
    tolerances: Mapping[str, float]

    @property
    def reference(self) -> str:
        """The way that the others are compared with: predicted, or simulated where nothing was predicted."""
        return "predicted" if self.predicted is not None else "simulated"

    def difference(self, way: str) -> float | None:
        """Return the relative difference to the reference (absolute where the reference is 0)."""
        value, base = getattr(self, way), getattr(self, self.reference)
        if value is None or way == self.reference:
            return None
        if math.isinf(base) or math.isinf(value):
            return 0.0 if value == base else math.inf
        return (value - base) / abs(base) if base else float(value)

    def holds(self, way: str) -> bool | None:
        """Whether one way is within its tolerance; None when it has nothing to compare."""
        difference = self.difference(way)
        if difference is None:
            # A reference is compared with nothing, but NaN is never a good one.
            value = getattr(self, way)
            return False if value is not None and math.isnan(value) else None
        return abs(difference) <= self.tolerances[way]  # false for NaN

    @property
    def broken(self) -> list[str]:
        """The ways that are outside their tolerance."""
        return [way for way in WAYS if self.holds(way) is False]


class Board:
    """The rows, as a table in text and in HTML.

    The text holds no number of a way in `varies`, so that it is the same in every run.
    """

    def __init__(self, rows: list[Row], varies: Collection[str]) -> None:
        self.rows, self.varies = rows, frozenset(varies)

    def _cell(self, row: Row, way: str, exact: bool) -> str:
        value = getattr(row, way)
        if value is None:
            return f"not {way}"
        holds = row.holds(way)
        if exact and way in self.varies and not math.isnan(value):
            if holds is None:
                return "(differs by machine)"
            side = "within" if holds else "outside"
            return f"{side} {_percent(row, way)}"
        text = f"{value:.4g}"
        difference = row.difference(way)
        if difference is None or (exact and row.reference in self.varies):
            return text
        sign = f"{difference:+.1%}" if getattr(row, row.reference) else f"{difference:+.3g}"
        return f"{text} ({sign.replace('%', ' %')})"

    def _table(self, exact: bool) -> list[list[str]]:
        lines = [["", *WAYS, "tolerance", "verdict"]]
        for row in self.rows:
            compared = [way for way in WAYS[1:] if row.holds(way) is not None]
            allowed = list(dict.fromkeys(_percent(row, way) for way in compared)) or ["—"]
            verdict = "broken" if row.broken else "holds" if compared else "nothing to compare"
            cells = [self._cell(row, way, exact) for way in WAYS]
            lines.append([row.name, *cells, " / ".join(allowed), verdict])
        return lines

    def __repr__(self) -> str:
        lines = self._table(exact=True)
        widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        head, *lines = self._table(exact=False)
        rows = "<tr>" + "".join(f'<th scope="col">{each}</th>' for each in head) + "</tr>"
        for line in lines:
            colour = {"holds": "#00695c", "broken": "#b23c17"}.get(line[-1], "inherit")
            first, *middle, last = (html.escape(each) for each in line)
            rows += (
                f'<tr><th scope="row" style="text-align:left">{first}</th>'
                + "".join(f"<td>{each}</td>" for each in middle)
                + f'<td style="color:{colour}"><b>{last}</b></td></tr>'
            )
        return f'<div class="course-measured"><table>{rows}</table></div>'


def _percent(row: Row, way: str) -> str:
    tolerance = row.tolerances[way]
    if getattr(row, row.reference) == 0:
        return f"±{tolerance:g}"
    return f"{100 * tolerance:g} %"


def _number(row: str, way: str, value: Any) -> float | None:
    """Return a number; the median of a sequence of them."""
    if value is None:
        return None
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        try:
            return float(value)
        except TypeError:
            numbers = [float(each) for each in value]
    except (TypeError, ValueError):
        raise ValueError(
            f"scoreboard, row {row!r}: {way} is {value!r}; it must be a number, several numbers or None"
        ) from None
    if not numbers:
        raise ValueError(f"scoreboard, row {row!r}: {way} is empty; give None when it was not {way}")
    return math.nan if any(map(math.isnan, numbers)) else statistics.median(numbers)


def _row(name: str, given: Mapping[str, Any]) -> Row:
    unknown = set(given) - {*WAYS, "tolerance"}
    if unknown:
        raise ValueError(
            f"scoreboard, row {name!r}: {', '.join(sorted(unknown))} is unknown; "
            f"allowed are {', '.join(WAYS)} and tolerance"
        )
    values = {way: _number(name, way, given.get(way)) for way in WAYS}
    tolerance = given.get("tolerance")
    tolerances = dict(tolerance) if isinstance(tolerance, Mapping) else dict.fromkeys(WAYS[1:], tolerance)
    row = Row(name, **values, tolerances=tolerances)  # type: ignore[arg-type]
    if getattr(row, row.reference) is None:
        raise ValueError(f"scoreboard, row {name!r}: nothing was predicted or simulated to compare with")
    if all(values[way] is None for way in WAYS if way != row.reference):
        raise ValueError(f"scoreboard, row {name!r}: there is only one number, so there is nothing to compare")
    for way in WAYS[1:]:
        limit = tolerances.get(way)
        if values[way] is None or way == row.reference:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit < math.inf:
            raise ValueError(
                f"scoreboard, row {name!r}: the tolerance for {way} is {limit!r}; it must be a share, as 0.1 for 10 %"
            )
    return row


def board(
    rows: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    predicted: Any = None,
    simulated: Any = None,
    measured: Any = None,
    tolerance: Any = None,
    quantity: str = "result",
    varies: Collection[str] = ("measured",),
) -> Board:
    """Return the table that :func:`scoreboard` shows, without asserting it; the same parameters."""
    if set(varies) - set(WAYS):
        raise ValueError(f"scoreboard: varies is {varies!r}; allowed are {', '.join(WAYS)}")
    columns = {"predicted": predicted, "simulated": simulated, "measured": measured, "tolerance": tolerance}
    if rows is not None:
        if any(columns[way] is not None for way in WAYS):
            raise ValueError("scoreboard: give either rows or predicted=, simulated= and measured=")
        given = {name: {"tolerance": tolerance, **row} for name, row in rows.items()}
    else:
        named = [column for way, column in columns.items() if way in WAYS and isinstance(column, Mapping)]
        names = list(dict.fromkeys(name for column in named for name in column)) or [quantity]
        given = {}
        for name in names:
            given[name] = {
                way: column.get(name) if isinstance(column, Mapping) else column
                for way, column in columns.items()
                if way in WAYS
            }
            by_row = isinstance(tolerance, Mapping) and not set(tolerance) <= set(WAYS)
            given[name]["tolerance"] = tolerance.get(name) if by_row else tolerance
        if named and any(c is not None and not isinstance(c, Mapping) for w, c in columns.items() if w in WAYS):
            raise ValueError("scoreboard: when one of predicted, simulated, measured names rows, all of them must")
    if not given:
        raise ValueError("scoreboard: there is no row")
    return Board([_row(name, row) for name, row in given.items()], varies)


def scoreboard(
    rows: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    predicted: Any = None,
    simulated: Any = None,
    measured: Any = None,
    tolerance: Any = None,
    quantity: str = "result",
    varies: Collection[str] = ("measured",),
) -> None:
    """Show predicted, simulated and measured side by side, and raise when a tolerance is broken.

    Parameters
    ----------
    rows : mapping
        From a quantity, with its unit, to its ``predicted``, ``simulated``, ``measured``, ``tolerance``.
    predicted, simulated, measured : float, sequence, mapping or None
        Instead of `rows`: the number; several numbers, of which the median is taken; or a mapping from
        each quantity to these. None says that it was not reached in this way.
    tolerance : float or mapping
        The largest relative difference to the prediction (to the simulation, where nothing was
        predicted; an absolute one where that is 0), as 0.1 for 10 %. A mapping gives it for
        ``simulated`` and ``measured``, or for each quantity.
    quantity : str
        The name of the only row.
    varies : collection of str
        The ways whose numbers depend on the machine; the stored text leaves these numbers out.

    Raises
    ------
    ToleranceError
        A row is outside its tolerance, or is NaN. The table is shown before.
    ValueError
        A row has nothing to compare, no tolerance or an unknown entry.

    Examples
    --------
    >>> scoreboard({"mean wait [s]": dict(predicted=0.4, simulated=0.41, measured=0.37, tolerance=0.1)})
                   predicted  simulated      measured     tolerance  verdict
    mean wait [s]  0.4        0.41 (+2.5 %)  within 10 %  10 %       holds

    Notes
    -----
    Every chapter closes its main argument with one; chapter 00 shows how to read it.
    """
    from course.practice.checking import show

    table = board(
        rows,
        predicted=predicted,
        simulated=simulated,
        measured=measured,
        tolerance=tolerance,
        quantity=quantity,
        varies=varies,
    )
    show(table)
    problems = []
    for row in table.rows:
        for way in row.broken:
            value, difference = getattr(row, way), row.difference(way)
            if difference is None or math.isnan(difference):
                problems.append(f"{row.name}: {way} is {value:.4g}")
                continue
            far = f"{abs(difference):.1%}" if getattr(row, row.reference) else f"{abs(difference):.3g}"
            problems.append(
                f"{row.name}: {way} is {value:.4g}, {far} from {row.reference} "
                f"({getattr(row, row.reference):.4g}); allowed is {_percent(row, way)}"
            )
    if problems:
        raise ToleranceError("; ".join(problems))
