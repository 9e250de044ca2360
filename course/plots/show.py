"""Show a Matplotlib figure in a notebook, with a text alternative."""

from __future__ import annotations

import base64
import io

from IPython.display import display
from matplotlib import pyplot
from matplotlib.figure import Figure


def show(figure: Figure, alt: str) -> None:
    """Show a figure and close it.

    The output holds the picture and, as its plain text, the alternative text, so that a reader who cannot see
    the picture, and a test that compares outputs, get the finding. The text is also in the picture's metadata as
    ``alt``, which nbconvert writes into its pages. The same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure. It is closed: draw it anew to show it again.
    alt : str
        One sentence that says what the figure shows: its finding, not its form.

    Raises
    ------
    ValueError
        If ``alt`` is empty.

    Examples
    --------
    >>> figure = Figure()
    >>> axes = figure.subplots()
    >>> show(figure, alt="")
    Traceback (most recent call last):
        ...
    ValueError: alt is ''; a sentence that says what the figure shows is needed
    """
    if not alt.strip():
        raise ValueError(f"alt is {alt!r}; a sentence that says what the figure shows is needed")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    width, height = figure.canvas.get_width_height()
    picture = base64.b64encode(buffer.getvalue()).decode("ascii")
    display(
        {"image/png": picture, "text/plain": alt},
        metadata={"image/png": {"alt": alt, "width": width, "height": height}},
        raw=True,
    )
    pyplot.close(figure)
