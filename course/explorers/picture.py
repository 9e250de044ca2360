"""The picture of an explorer: drawn once, then only what moves is drawn again.

A full redraw of a Matplotlib figure spends nearly all its time on what does not change: axes, ticks, labels.
`Picture` draws that once, keeps its pixels, and for a new result copies them back and draws the moving artists
on top ("blitting"). When `draw` does change something static (a limit, a tick), Matplotlib marks the figure as
stale, and the background is made anew, once. Everything is drawn by Agg directly: no pyplot, no global state.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from PIL import Image, ImageChops

from course.plots.style import COLOURS, DPI, STYLE

# What Matplotlib looks up each time it draws, not when an artist is made. Unhinted text takes half the time, and in
# full resolution hints would only bend the letters.
_AT_DRAWING = {"text.hinting": "no_hinting", "path.simplify": True}

#: Pixels of the page an inch.
PAGE_DPI = DPI

#: Pixels of the picture for each pixel of the page, across and down: sharp on a dense screen too.
SCALE = 2

_DPI = PAGE_DPI * SCALE


def set_limits(axes: Axes, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None) -> None:
    """Set the limits of axes, but only those that differ: an unchanged background need not be drawn again.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    x, y : (float, float), optional
        The wanted limits, in data units.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> set_limits(axes, y=(0, 2))
    >>> [float(limit) for limit in axes.get_ylim()]
    [0.0, 2.0]
    """
    if x is not None and tuple(axes.get_xlim()) != tuple(x):
        axes.set_xlim(*x)
    if y is not None and tuple(axes.get_ylim()) != tuple(y):
        axes.set_ylim(*y)


def moving_artists(artists: Any) -> Iterator[Artist]:
    """Yield every artist in what `build` returned, however nested, except axes and figures.

    Axes and figures may be among them so that `draw` can reach them; they belong to the background.

    Raises
    ------
    TypeError
        If something else than an artist, a container of artists, or None is found.
    """
    if artists is None or isinstance(artists, Axes | FigureBase | Axis):
        return
    if isinstance(artists, Artist):
        yield artists
    elif is_dataclass(artists):
        for field in fields(artists):
            yield from moving_artists(getattr(artists, field.name))
    elif isinstance(artists, Mapping):
        for artist in artists.values():
            yield from moving_artists(artist)
    elif isinstance(artists, Iterable) and not isinstance(artists, str):
        for artist in artists:
            yield from moving_artists(artist)
    else:
        raise TypeError(f"build returned {artists!r} among its artists; only Matplotlib artists can be drawn")


class Picture:
    """A figure whose moving artists are drawn over a kept background.

    Parameters
    ----------
    build : callable
        ``build(figure) -> artists``, called once.
    draw : callable
        ``draw(artists, result)``, moves the artists.
    result : object
        What is drawn first; the layout is made to fit it.
    width, height : float
        Size in inches, at 100 pixels an inch.
    """

    def __init__(
        self,
        build: Callable[[Figure], Any],
        draw: Callable[[Any, Any], None],
        result: Any,
        width: float,
        height: float,
    ) -> None:
        self._draw = draw
        self.backgrounds = 0
        with _style():
            self.figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
            self.canvas = FigureCanvasAgg(self.figure)
            self.artists = build(self.figure)
            draw(self.artists, result)
            # The layout is worked out once: doing it at every redraw costs more than drawing, and the axes would jump.
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
        self._moving = sorted(moving_artists(self.artists), key=lambda artist: artist.get_zorder())
        for artist in self._moving:
            artist.set_animated(True)
        self._encoder = Encoder()
        self._background: Any = None
        self._paint()

    def update(self, result: Any) -> None:
        """Draw a result."""
        self._draw(self.artists, result)
        self._paint()

    def _paint(self) -> None:
        if self._background is None or self.figure.stale:
            with _style():
                self.canvas.draw()
            self._background = self.canvas.copy_from_bbox(self.figure.bbox)
            self.backgrounds += 1
        self.canvas.restore_region(self._background)
        renderer = self.canvas.get_renderer()
        with matplotlib.rc_context(_AT_DRAWING):
            for artist in self._moving:
                artist.draw(renderer)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, in its pixels."""
        width, height = self.canvas.get_width_height()
        return width // SCALE, height // SCALE

    def pixels(self) -> Image.Image:
        """Return a copy of what is drawn, in full resolution."""
        size = self.canvas.get_width_height()
        return Image.frombuffer("RGBA", size, self.canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")

    def png(self) -> bytes:
        """Return what is drawn, encoded for speed."""
        return self._encoder.encode(self.pixels())


class Encoder:
    """Pictures to PNG of at most 256 colours, fast: they are small to send and quick to show.

    Choosing the colours takes longer than all the rest, and they hardly change from one picture to the next. So
    the first picture's colours are kept, and chosen anew when a picture has one that is far from all of them.

    Examples
    --------
    >>> Encoder().encode(Image.new("RGB", (4, 4)))[:4]
    b'\\x89PNG'
    """

    #: How far a channel may be off (of 255) before the colours are chosen anew.
    TOLERANCE = 40

    def __init__(self) -> None:
        self._palette: Image.Image | None = None
        self.choices = 0

    def encode(self, image: Image.Image) -> bytes:
        """Return a picture (mode RGB) as the bytes of a PNG file."""
        if self._palette is None or self._is_far(image):
            self._palette = choose_colours(image)
            self.choices += 1
        return _png(image.quantize(palette=self._palette, dither=Image.Dither.NONE), compress_level=1)

    def _is_far(self, image: Image.Image) -> bool:
        # Every third pixel is enough to meet a line or a dot.
        few = image.resize((max(1, image.width // 3), max(1, image.height // 3)), Image.Resampling.NEAREST)
        kept = few.quantize(palette=self._palette, dither=Image.Dither.NONE).convert("RGB")
        return max(high for _, high in ImageChops.difference(few, kept).getextrema()) > self.TOLERANCE


def choose_colours(image: Image.Image) -> Image.Image:
    """Return a palette (as an image, which Pillow wants) of at most 256 colours that suit a picture."""
    few = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    # Similar colours are averaged, which makes white 254; the paper must stay white.
    colours = few.getpalette() or []
    triples = [colours[k : k + 3] for k in range(0, len(colours), 3)]
    few.putpalette([channel for colour in triples for channel in ([255] * 3 if min(colour) >= 250 else colour)])
    return few


def _png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def stored(picture: Image.Image, title: str, settings: str, finding: str) -> bytes:
    """Return a picture that is complete by itself: title and settings above, the finding below.

    It is what a reader sees in a notebook that was not run, or on a site that shows no widgets. The same
    arguments give the same bytes: nothing of the time or the machine is written into them.
    """
    width = picture.width
    ink, grey = COLOURS["ink"], COLOURS["grey"]
    above = _lines([(title, 14, "bold", ink), (settings, 10, "normal", grey)], width)
    below = _lines(
        [(finding, 11.5, "normal", ink), ("Run this cell to move the controls.", 9.5, "normal", grey)], width
    )
    whole = Image.new("RGB", (width, above.height + picture.height + below.height), "white")
    whole.paste(above, (0, 0))
    whole.paste(picture, (0, above.height))
    whole.paste(below, (0, above.height + picture.height))
    whole = whole.reduce(SCALE)
    return _png(whole.quantize(palette=choose_colours(whole), dither=Image.Dither.NONE), optimize=True)


def _lines(lines: list[tuple[str, float, str, str]], width: int) -> Image.Image:
    """Write paragraphs (text, size in points, weight, colour) below each other, wrapped to a width in pixels."""
    room = 600 * SCALE
    with _style():
        figure = Figure(figsize=(width / _DPI, room / _DPI), dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        top = room - 10.0 * SCALE
        for text, size, weight, colour in lines:
            if text:
                words = figure.text(
                    14 * SCALE / width, top / room, text, size=size, weight=weight, color=colour, va="top",
                    wrap=True, parse_math=False,
                )  # fmt: skip
                top = words.get_window_extent(canvas.get_renderer()).y0 - 6 * SCALE
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[: min(room, round(room - top) + 4 * SCALE), :, :3]
    return Image.fromarray(np.ascontiguousarray(pixels))


def _style() -> Any:
    """Return a context in which Matplotlib has the explorers' look, whatever the reader has set."""
    return matplotlib.rc_context({**_DEFAULTS, **STYLE, **_AT_DRAWING})


# What a reader may have changed (a style sheet, a font size) must not change an explorer: its stored picture is
# compared byte by byte. The backend is not ours to touch.
_DEFAULTS = {
    key: matplotlib.rcParamsDefault[key]
    for key in matplotlib.rcParamsDefault
    if key.split(".")[0] in {"axes", "figure", "font", "grid", "lines", "patch", "text", "legend", "mathtext",
                             "xtick", "ytick", "path", "hatch", "image", "contour", "scatter", "markers", "errorbar"}
}  # fmt: skip
