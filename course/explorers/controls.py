"""What a reader can change in an explorer: a slider, a choice, a check box.

A control is declared, not built: a small frozen description that knows its allowed values. The widget is made
from it when the explorer is shown, and :func:`course.explorers.frame.exercise` walks through the same values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ipywidgets as widgets

# Labels have one width, so that sliders stand in line; the frame's grid gives a control its own width.
_STYLE = {"description_width": "10.5em"}
_LAYOUT = {"width": "auto", "margin": "1px 0"}


def _spread(count: int, low: float, high: float) -> list[float]:
    """Return ``count`` evenly spaced numbers from ``low`` to ``high``, both ends included."""
    return [low + (high - low) * k / (count - 1) for k in range(count)]


def _in_range(label: str, value: Any, low: float, high: float) -> float:
    """Return the value if it is a number from ``low`` to ``high``, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{label!r} is {value!r}; a number from {low} to {high} is needed")
    return value


@dataclass(frozen=True)
class Int:
    """A slider of whole numbers.

    Parameters
    ----------
    label : str
        What is changed, with its unit: ``"Workers"``, ``"Latency (ms)"``.
    low, high : int
        Its ends, both included.
    value : int
        Where it stands at first and after a reset.
    step : int
        What one press of an arrow key changes.

    Examples
    --------
    >>> Int("Workers", 0, 64, 8).tries(3)
    [0, 32, 64]
    """

    label: str
    low: int
    high: int
    value: int
    step: int = 1

    def __post_init__(self) -> None:
        if not self.low < self.high or self.step < 1:
            raise ValueError(f"{self.label!r}: low {self.low} < high {self.high} and step {self.step} >= 1 are needed")
        self.check(self.value)

    def check(self, value: Any) -> int:
        """Return the value if it is allowed, else raise ``ValueError``."""
        if not isinstance(value, int):
            raise ValueError(f"{self.label!r} is {value!r}; a whole number is needed")
        return int(_in_range(self.label, value, self.low, self.high))

    def tries(self, count: int) -> list[int]:
        """Return about ``count`` values through the range, both ends included."""
        steps = (self.high - self.low) // self.step
        return sorted({self.low + self.step * round(k) for k in _spread(count, 0, steps)} | {self.high})

    def widget(self) -> widgets.Widget:
        """Build the slider."""
        return widgets.IntSlider(
            self.value, min=self.low, max=self.high, step=self.step, description=self.label,
            style=_STYLE, layout=_LAYOUT,
        )  # fmt: skip


@dataclass(frozen=True)
class Float:
    """A slider of real numbers, in even or (``log=True``) in equal-ratio steps.

    Parameters
    ----------
    label : str
        What is changed, with its unit: ``"Service time (ms)"``.
    low, high : float
        Its ends, both included; positive where ``log``.
    value : float
        Where it stands at first and after a reset.
    step : float, optional
        What one press of an arrow key changes; a hundredth of the range by default. Where ``log``, a share of a
        decade: 0.1 gives ten steps from 1 to 10.
    log : bool
        Equal ratios instead of equal differences.
    format : str
        How the number beside the slider is written (a d3 format).

    Examples
    --------
    >>> Float("Load", 0.0, 1.0, 0.5).tries(3)
    [0.0, 0.5, 1.0]
    >>> Float("Latency (s)", 0.001, 10.0, 0.1, log=True).tries(5)
    [0.001, 0.01, 0.1, 1.0, 10.0]
    """

    label: str
    low: float
    high: float
    value: float
    step: float | None = None
    log: bool = False
    format: str = ".3"

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"{self.label!r}: low {self.low} < high {self.high} is needed" + ", and low > 0 with log" * self.log
            )
        if self.step is not None and self.step <= 0:
            raise ValueError(f"{self.label!r}: step is {self.step}; it must be positive")
        self.check(self.value)

    def check(self, value: Any) -> float:
        """Return the value if it is allowed, else raise ``ValueError``."""
        return float(_in_range(self.label, value, self.low, self.high))

    def tries(self, count: int) -> list[float]:
        """Return ``count`` values through the range, both ends included."""
        if not self.log:
            return _spread(count, self.low, self.high)
        inner = [10.0**e for e in _spread(count, math.log10(self.low), math.log10(self.high))]
        return [float(self.low), *(float(f"{x:.12g}") for x in inner[1:-1]), float(self.high)]

    def widget(self) -> widgets.Widget:
        """Build the slider."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return widgets.FloatLogSlider(
                self.value, base=10, min=low, max=high, step=self.step or (high - low) / 100,
                description=self.label, readout_format=self.format, style=_STYLE, layout=_LAYOUT,
            )  # fmt: skip
        return widgets.FloatSlider(
            self.value, min=self.low, max=self.high, step=self.step or (self.high - self.low) / 100,
            description=self.label, readout_format=self.format, style=_STYLE, layout=_LAYOUT,
        )  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One of a few values: a drop-down list, a row of buttons, or a slider over them.

    Parameters
    ----------
    label : str
        What is chosen.
    options : sequence or mapping
        The values; a mapping gives each value's label first: ``{"two choices": 2}``.
    value : object
        The one chosen at first and after a reset.
    style : {"dropdown", "buttons", "slider"}
        ``"slider"`` suits ordered values with uneven steps, such as 1, 2, 4, 8.

    Examples
    --------
    >>> Choice("Policy", ["fifo", "lifo"], "fifo").tries(5)
    ['fifo', 'lifo']
    """

    label: str
    options: Sequence[Any] | Mapping[str, Any]
    value: Any
    style: Literal["dropdown", "buttons", "slider"] = "dropdown"

    def __post_init__(self) -> None:
        if self.style not in _CHOICES:
            raise ValueError(f"{self.label!r}: style is {self.style!r}; one of {list(_CHOICES)} is needed")
        self.check(self.value)

    def check(self, value: Any) -> Any:
        """Return the value if it is allowed, else raise ``ValueError``."""
        if value not in (allowed := self.tries()):
            raise ValueError(f"{self.label!r} is {value!r}; one of {allowed} is needed")
        return value

    def tries(self, count: int = 0) -> list[Any]:
        """Return every value, whatever the ``count``."""
        return list(self.options.values() if isinstance(self.options, Mapping) else self.options)

    def widget(self) -> widgets.Widget:
        """Build the widget."""
        labelled = isinstance(self.options, Mapping)
        options = list(self.options.items()) if labelled else [(str(v), v) for v in self.options]
        extra = {}
        if self.style == "buttons":
            extra = {"button_width": "auto"}
        return _CHOICES[self.style](
            options=options, value=self.value, description=self.label, style={**_STYLE, **extra}, layout=_LAYOUT
        )


_CHOICES = {
    "dropdown": widgets.Dropdown,
    "buttons": widgets.ToggleButtons,
    "slider": widgets.SelectionSlider,
}


@dataclass(frozen=True)
class Check:
    """A box that is ticked or not.

    Examples
    --------
    >>> Check("Work stealing", True).tries(5)
    [False, True]
    """

    label: str
    value: bool

    def __post_init__(self) -> None:
        self.check(self.value)

    def check(self, value: Any) -> bool:
        """Return the value if it is allowed, else raise ``ValueError``."""
        if not isinstance(value, bool):
            raise ValueError(f"{self.label!r} is {value!r}; True or False is needed")
        return value

    def tries(self, count: int = 0) -> list[bool]:
        """Return both values, whatever the ``count``."""
        return [False, True]

    def widget(self) -> widgets.Widget:
        """Build the check box."""
        return widgets.Checkbox(self.value, description=self.label, indent=False, layout=_LAYOUT)


Control = Int | Float | Choice | Check
