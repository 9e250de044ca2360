"""The frame that all explorers share: controls, picture, finding.

An *explorer* is a figure with a few controls that answers *what happens if*. Its author writes four pure functions
and declares the controls; the frame does the rest.

====================  ===================================================================================
``compute``           ``compute(**settings) -> result``: the same settings, the same result
``build``             ``build(figure) -> artists``: makes the axes and everything that stands still, once;
                      returns the artists that move (in a dict, a dataclass, a list, …), and any axes
                      whose limits move
``draw``              ``draw(artists, result)``: moves the artists; makes none
``finding``           ``finding(result) -> str``: one sentence, also for screen readers and for tests
====================  ===================================================================================

A complete explorer:

>>> import numpy as np
>>> from course.explorers.frame import Explorer, Float
>>> def compute(service, load):
...     grid = np.linspace(0.0, 0.95, 200)
...     return {"grid": grid, "curve": service / (1 - grid), "load": load, "response": service / (1 - load)}
>>> def build(figure):
...     axes = figure.subplots()
...     axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="Utilization", ylabel="Response time (s)")
...     axes.set_title("Waiting explodes near full load")
...     return {"curve": axes.plot([], [])[0], "here": axes.plot([], [], "o")[0]}
>>> def draw(artists, result):
...     artists["curve"].set_data(result["grid"], result["curve"])
...     artists["here"].set_data([result["load"]], [result["response"]])
>>> def finding(result):
...     return f"At {result['load']:.0%} load a request takes {result['response']:.2f} s."
>>> explorer = Explorer(
...     id="mm1", title="How long does a request take?",
...     compute=compute, build=build, draw=draw, finding=finding,
...     controls={
...         "service": Float("Service time (s)", 0.01, 0.2, 0.1),
...         "load": Float("Utilization", 0.0, 0.95, 0.5),
...     },
...     presets={"Nearly full": {"load": 0.9}},
... )
>>> view = explorer.view()           # in a notebook: explorer.show()
>>> view.finding
'At 50% load a request takes 0.20 s.'
>>> view.set(load=0.75)
>>> view.finding
'At 75% load a request takes 0.40 s.'
>>> view.apply("Nearly full")
>>> view.finding
'At 90% load a request takes 1.00 s.'
>>> view.close()

Why it is built this way
------------------------
**Pure parts.** A test can call them without a notebook, and the frame can promise that what stands below the
picture is what ``compute`` says: `exercise` sets every control through its range and holds the explorer to it.

**The picture is one persistent image, not a new output.** A stock ``ipywidgets.interact`` clears its output and
shows a new figure: Matplotlib works out the layout and draws all of it, Jupyter replaces a piece of the page. Here
only the moving artists are drawn (`course.explorers.picture`), and one message with a small PNG (of 256 colours)
and the finding replaces the content of a widget that stays. That widget is ``HTML``, not ``Image``, because an image
widget has no alternative text. ``tests/bench/bench_explorer.py`` measures both from key press to new pixels.

**Stale events are dropped, twice.** The browser side of ipywidgets keeps one message of a slider under way and holds
back only the newest value until that is answered; so events are handled where they arrive, and answered when the
picture is done. On this side, a change that arrives while a picture is in the making (another control, a preset of
several controls, JupyterLab's second thread for widgets) only leaves a mark; the newest settings are drawn next, and
those between never.

**Errors are seen.** The first picture is drawn when the explorer is made, so a broken explorer fails its cell. Later,
an exception shows its message in the picture's place and goes to the log (``course.explorers``); the next change that
works brings the picture back.

**One output, three forms.** The output of ``show`` holds the widget, a picture and the finding as plain text. A
notebook that was not run shows the picture, with title, settings and finding written in it; GitHub does too; nbval
compares the text. JupyterLab 4.6 gives a stored ``image/png`` no alternative text whatever its metadata say, so the
plain text carries the finding; ``alt`` in the metadata is what nbconvert writes into its pages. Beside the
live widget the finding is text on the page, marked as a polite live region.
"""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import logging
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from IPython.display import display

from course.explorers.controls import Check, Choice, Control, Float, Int
from course.explorers.picture import COLOURS, Picture, set_limits, stored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS", "Check", "Choice", "Exercised", "Explorer", "Float", "Int", "View", "exercise", "set_limits",
]  # fmt: skip

log = logging.getLogger("course.explorers")

_CSS = """<style>
.course-explorer { max-width: 1000px; padding: 10px 14px 12px; border: 1px solid var(--jp-border-color2, #ddd);
  border-radius: 8px; background: var(--jp-layout-color1, #fff); box-sizing: border-box; }
.course-explorer .widget-html-content { line-height: 1.45; }
.course-explorer h4.course-title { margin: 0 0 4px; font-size: 16px; font-weight: 600;
  color: var(--jp-ui-font-color0, #111); }
.course-explorer .course-controls { display: grid; column-gap: 28px; overflow: visible;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); }
.course-explorer .course-controls .widget-label { text-align: left; }
.course-explorer .widget-toggle-buttons { display: flex; flex-flow: row wrap; align-items: baseline; }
.course-explorer .widget-toggle-buttons .widget-toggle-button { margin: 0 4px 0 0; }
.course-explorer .course-tries { flex-flow: row wrap; align-items: center; gap: 6px; margin: 6px 0 8px;
  overflow: visible; }
.course-explorer .course-tries .jupyter-button { width: auto; height: 28px; line-height: 26px; margin: 0;
  padding: 0 12px; border-radius: 14px; border: 1px solid var(--jp-border-color1, #bbb);
  background: var(--jp-layout-color1, #fff); color: var(--jp-ui-font-color1, #222); box-shadow: none; }
.course-explorer .course-tries .jupyter-button:hover { background: var(--jp-layout-color2, #eee); }
.course-explorer .course-tries .jupyter-button:focus-visible,
.course-explorer .noUi-handle:focus { outline: 2px solid #0072B2; outline-offset: 2px; }
.course-explorer .course-tries .course-reset { border-style: dashed; }
.course-explorer .course-figure { margin: 0; }
.course-explorer .course-figure img { display: block; max-width: 100%; height: auto; background: #fff; }
.course-explorer .course-finding { margin: 8px 0 0; padding: 8px 12px; font-size: 15px; line-height: 1.45;
  border-left: 4px solid #0072B2; background: var(--jp-layout-color2, #f3f4f6);
  color: var(--jp-ui-font-color0, #111); white-space: normal; }
.course-explorer .course-error { margin: 0; padding: 16px; white-space: pre-wrap; box-sizing: border-box;
  border: 2px solid #D55E00; background: #fff; color: #7A2E00; font-size: 14px; }
</style>"""


@dataclass(frozen=True)
class Explorer:
    """An interactive figure: four pure functions and the controls that feed them.

    Parameters
    ----------
    id : str
        A short name without spaces, the same for ever: tests and logs use it.
    title : str
        The question that it answers.
    compute, build, draw, finding : callable
        See the module's text.
    controls : mapping of str to control
        `Int`, `Float`, `Choice` or `Check`, by the name of ``compute``'s argument.
    presets : mapping of str to mapping
        "Try this": what a button says, and the settings that it makes. What is not named is reset.
    width, height : float
        Size of the picture in inches, at 100 pixels an inch.

    Raises
    ------
    ValueError
        If a preset names an unknown control or a value that the control does not allow.
    """

    id: str
    title: str
    compute: Callable[..., Any]
    build: Callable[[Figure], Any]
    draw: Callable[[Any, Any], None]
    finding: Callable[[Any], str]
    controls: Mapping[str, Control]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    width: float = 9.0
    height: float = 3.8

    def __post_init__(self) -> None:
        if not self.controls:
            raise ValueError(f"explorer {self.id!r} has no controls; it needs at least one")
        for settings in self.presets.values():
            self.settings(**settings)

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the settings at reset with some changed.

        Raises
        ------
        ValueError
            If a name or a value is not allowed.
        """
        if unknown := sorted(changes.keys() - self.controls.keys()):
            raise ValueError(f"{self.id!r} has no control {unknown[0]!r}; it has {sorted(self.controls)}")
        return {
            name: control.check(changes[name]) if name in changes else control.value
            for name, control in self.controls.items()
        }

    def view(self, **settings: Any) -> View:
        """Return the widget without showing it; the arguments are settings to begin with."""
        return View(self, settings)

    def show(self, **settings: Any) -> None:
        """Show the widget as the cell's output; the arguments are settings to begin with."""
        display(self.view(**settings))


class View:
    """One live explorer: its widgets, its picture, what they say now.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
    finding : str
        The sentence below the picture.
    error : Exception or None
        What the last change raised, if it did.
    drawn : int
        How many pictures were made.
    draw_seconds, encode_seconds : float
        What the last of them took to draw, and to turn into a PNG.
    """

    def __init__(self, explorer: Explorer, settings: Mapping[str, Any]) -> None:
        self.explorer = explorer
        self.error: Exception | None = None
        self.drawn = 0
        self.draw_seconds = self.encode_seconds = 0.0
        self._busy = threading.Lock()
        self._wanted = False
        self._held = False

        start = explorer.settings(**settings)
        self.result = explorer.compute(**start)
        self.finding = explorer.finding(self.result)
        self.picture = Picture(explorer.build, explorer.draw, self.result, explorer.width, explorer.height)
        self._shown = start

        self.controls = {name: control.widget() for name, control in explorer.controls.items()}
        for name, widget in self.controls.items():
            widget.value = start[name]
            widget.observe(self._on_change, names="value")
        self._assemble()

    def _assemble(self) -> None:
        explorer = self.explorer
        title = widgets.HTML(f"{_CSS}<h4 class='course-title'>{html.escape(explorer.title)}</h4>")
        rows = widgets.Box(list(self.controls.values()))
        rows.add_class("course-controls")
        buttons = []
        for name in explorer.presets:
            button = widgets.Button(description=name, tooltip=f"Try this: {name}")
            button.on_click(lambda _, name=name: self.apply(name))
            buttons.append(button)
        reset = widgets.Button(description="Reset", tooltip="Put every control back")
        reset.add_class("course-reset")
        reset.on_click(lambda _: self.reset())
        tries = widgets.Box([*([widgets.Label("Try this:")] if buttons else []), *buttons, reset])
        tries.add_class("course-tries")
        self.buttons = {button.description: button for button in [*buttons, reset]}
        self.figure = widgets.HTML(self._figure_html())
        self.figure.add_class("course-figure")
        self.box = widgets.VBox([title, rows, tries, self.figure])
        self.box.add_class("course-explorer")

    def _figure_html(self) -> str:
        """Return the picture and the finding as one piece of the page, so that one message brings both."""
        width, height = self.picture.size
        began = time.perf_counter()
        png = self.picture.png()
        self.encode_seconds = time.perf_counter() - began
        data = base64.b64encode(png).decode("ascii")
        said = html.escape(self.finding)
        # Decoded at once, so that the page shows the old picture or the new one, never a gap between them.
        return (
            f"<img decoding='sync' width='{width}' height='{height}' alt='{html.escape(self.explorer.title)} {said}'"
            f" src='data:image/png;base64,{data}'>"
            f"<p class='course-finding' role='status' aria-live='polite'>{said}</p>"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the controls say now."""
        return {name: widget.value for name, widget in self.controls.items()}

    def set(self, **changes: Any) -> None:
        """Change some controls and draw once.

        Raises
        ------
        ValueError
            If a name or a value is not allowed.
        """
        self._put(self.explorer.settings(**{**self.settings, **changes}))

    def apply(self, preset: str) -> None:
        """Do what the button of a preset does.

        Raises
        ------
        ValueError
            If there is no such preset.
        """
        if preset not in self.explorer.presets:
            known = list(self.explorer.presets)
            raise ValueError(f"{self.explorer.id!r} has no preset {preset!r}; it has {known}")
        self._put(self.explorer.settings(**self.explorer.presets[preset]))

    def reset(self) -> None:
        """Put every control back and draw once."""
        self._put(self.explorer.settings())

    def close(self) -> None:
        """Close the widgets and let the picture go."""
        for widget in self.controls.values():
            widget.unobserve_all()
        for part in _all_parts(self.box):
            part.close()

    def _put(self, settings: Mapping[str, Any]) -> None:
        with self._hold():
            for name, value in settings.items():
                self.controls[name].value = value

    @contextmanager
    def _hold(self) -> Any:
        """Several controls change inside; one picture follows."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._refresh()

    def _on_change(self, _: Any) -> None:
        if not self._held:
            self._refresh()

    def _refresh(self) -> None:
        """Draw the newest settings, unless a drawing is under way: that one will go on to them when it is done."""
        self._wanted = True
        while self._wanted and self._busy.acquire(blocking=False):
            try:
                while self._wanted:
                    self._wanted = False
                    self._draw_once()
            finally:
                self._busy.release()

    def _draw_once(self) -> None:
        settings = self.settings
        if settings == self._shown and self.error is None:
            return
        try:
            result = self.explorer.compute(**settings)
            finding = self.explorer.finding(result)
            began = time.perf_counter()
            self.picture.update(result)
            self.draw_seconds = time.perf_counter() - began
            self._shown, self.result, self.finding = settings, result, finding
            self.figure.value = self._figure_html()
        except Exception as error:
            self._fail(error, settings)
            return
        self.drawn += 1
        self.error = None

    def _fail(self, error: Exception, settings: Mapping[str, Any]) -> None:
        """Show an exception where the picture was, and log it."""
        self.error = error
        asked = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        log.error("explorer %s failed at %s", self.explorer.id, asked, exc_info=error)
        text = html.escape(f"{type(error).__name__}: {error}\n\nat {asked}")
        self.finding = f"{type(error).__name__}: {error}"
        self.figure.value = f"<pre class='course-error' role='alert'>{text}</pre>"

    def stored_png(self) -> bytes:
        """Return the picture with title, settings and finding in it: the same settings, the same bytes."""
        said = "   ·   ".join(
            f"{control.label}: {_written(control, self._shown[name])}"
            for name, control in self.explorer.controls.items()
        )
        return stored(self.picture.pixels(), self.explorer.title, said, self.finding)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data = dict(self.box._repr_mimebundle_())
        data["text/plain"] = self.finding
        data["image/png"] = base64.b64encode(self.stored_png()).decode("ascii")
        return data, {"image/png": {"alt": f"{self.explorer.title} {self.finding}"}}


def _all_parts(widget: widgets.Widget) -> list[widgets.Widget]:
    """Return a widget and all that it holds, innermost first, with their layouts and styles."""
    parts = [part for child in getattr(widget, "children", ()) for part in _all_parts(child)]
    own = [getattr(widget, name, None) for name in ("layout", "style")]
    return [*parts, *(part for part in own if isinstance(part, widgets.Widget)), widget]


def _written(control: Control, value: Any) -> str:
    """Write a setting as its control shows it."""
    if isinstance(control, Choice) and isinstance(control.options, Mapping):
        return next(label for label, option in control.options.items() if option == value)
    if isinstance(control, Check):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Exercised:
    """What `exercise` saw.

    Attributes
    ----------
    settings : int
        How many different settings were tried.
    compute_seconds, draw_seconds, encode_seconds : float
        Medians, in seconds.
    """

    settings: int
    compute_seconds: float
    draw_seconds: float
    encode_seconds: float


def exercise(explorer: Explorer, points: int = 5, corners: int = 32) -> Exercised:
    """Try an explorer without a browser and hold it to its promises.

    Every control goes through its range, one at a time; then the corners (all controls at an end), then the
    presets. Each time: no exception; the finding is one sentence and equals ``finding(compute(**settings))``; the
    figure has gained no artist. In the end: every control changed the picture or the finding somewhere, and a reset
    gives the first picture back, pixel by pixel.

    Parameters
    ----------
    explorer : Explorer
    points : int
        Values tried of each slider.
    corners : int
        At most so many combinations of ends are tried, spread evenly over all.

    Returns
    -------
    Exercised

    Raises
    ------
    AssertionError
        If a promise is broken; the message says which, and at which settings.
    Exception
        Whatever the explorer raised.

    Examples
    --------
    ``exercise(explorer).draw_seconds < 0.015`` in a test of an explorer.
    """
    view = explorer.view()
    try:
        return _Exercise(view).run(points, corners)
    finally:
        view.close()


class _Exercise:
    def __init__(self, view: View) -> None:
        self.view = view
        self.explorer = view.explorer
        self.first = self._state()
        self.artists = self._artists()
        self.seen: list[dict[str, Any]] = []
        self.times: dict[str, list[float]] = {"compute": [], "draw": [], "encode": []}

    def run(self, points: int, corners: int) -> Exercised:
        controls = self.explorer.controls
        for name, control in controls.items():
            states = {self.first}
            for value in control.tries(points):
                states.add(self.at(self.explorer.settings(**{name: value})))
            self.require(len(states) > 1, f"the control {name!r} changes neither the picture nor the finding")
        ends = list(itertools.islice(itertools.product(*(_ends(c) for c in controls.values())), 4096))
        for values in ends[:: max(1, -(-len(ends) // corners))]:
            self.at(dict(zip(controls, values, strict=True)))
        for preset in self.explorer.presets:
            self.view.apply(preset)
            self.at(self.view.settings)
        self.view.reset()
        self.require(
            self._state() == self.first,
            "after a reset the picture differs from the first one: draw leaves something of an earlier result",
        )
        medians = {name: statistics.median(times) for name, times in self.times.items()}
        return Exercised(len(self.seen), medians["compute"], medians["draw"], medians["encode"])

    def at(self, settings: dict[str, Any]) -> tuple[str, bytes]:
        """Go to settings, check, and return what is seen there."""
        view = self.view
        view.set(**settings)
        if view.error is not None:
            view.error.add_note(f"explorer {self.explorer.id!r} at {settings}")
            raise view.error
        # A slider may round what it is given; what counts is what it then says.
        began = time.perf_counter()
        result = self.explorer.compute(**view.settings)
        self.times["compute"].append(time.perf_counter() - began)
        expected = self.explorer.finding(result)
        self.require(isinstance(expected, str) and expected.strip() != "", f"finding gave {expected!r}, not a sentence")
        self.require(view.finding == expected, f"the finding is {view.finding!r}, but compute says {expected!r}")
        self.require(self._artists() == self.artists, "draw made or removed artists; it may only move them")
        self.times["draw"].append(view.draw_seconds)
        self.times["encode"].append(view.encode_seconds)
        if settings not in self.seen:
            self.seen.append(settings)
        return self._state()

    def _artists(self) -> int:
        # Ticks are not counted: Matplotlib makes them as limits move.
        figure = self.view.picture.figure
        return len(figure.get_children()) + sum(len(axes.get_children()) for axes in figure.axes)

    def require(self, holds: bool, why: str) -> None:
        if not holds:
            raise AssertionError(f"explorer {self.explorer.id!r} at {self.view.settings}: {why}")

    def _state(self) -> tuple[str, bytes]:
        return self.view.finding, hashlib.sha256(self.view.picture.pixels().tobytes()).digest()


def _ends(control: Control) -> list[Any]:
    """Return the first and the last value of a control."""
    values = control.tries(2)
    return [values[0], values[-1]]
