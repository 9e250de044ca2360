"""`sweep`: a function at every point of a grid, on this core or on a Dask cluster."""

from __future__ import annotations

import functools
import itertools
import math
import numbers
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Point = dict[str, Any]

MOST_POINTS = 10**7
BATCHES_PER_THREAD = 16
"""So many that no thread idles for long at the end, so few that a task's overhead does not matter."""


def sweep(
    function: Callable[..., Any],
    grid: Mapping[str, Sequence] | Iterable[Mapping[str, Any]],
    *,
    client: Any = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Call a function at every point of a grid; return a table of the points and what the function gave there.

    Parameters
    ----------
    function : callable
        Is called with the values of a point as keyword arguments; returns a number or a mapping of names to numbers.
        What is random in it should depend on its arguments only (put a ``seed`` into the grid): then the table is the
        same wherever it is computed.
    grid : mapping or iterable of mappings
        Names and the values of each: all combinations are points, the last name changing fastest. Or the points
        themselves.
    client : distributed.Client, optional
        Spreads the points over the workers of a Dask cluster. Without one, all is done here, one point after the other.
    progress : bool
        Whether to show a bar: in a notebook or a terminal; elsewhere there is none.

    Returns
    -------
    pandas.DataFrame
        One row for each point, in the order of the grid, with or without a client. Columns: the names of the grid, then
        those that the function returns (``value``, if it returns a number).

    Raises
    ------
    ValueError
        No point, or more than 10⁷; points of different names; a result that is not a number or a mapping of numbers;
        names of results that differ between points or are names of the grid.
    Exception
        What the function raises at the first point at which it raises, with a note that says which point that is.

    Examples
    --------
    >>> from course.simulate import queue
    >>> import numpy as np
    >>> def mean_wait(load, seed):
    ...     rng = np.random.default_rng(seed)
    ...     return queue(rng.exponential(1 / load, 1000), rng.exponential(1.0, 1000)).wait.mean()
    >>> table = sweep(mean_wait, {"load": [0.5, 0.9], "seed": range(50)}, progress=False)
    >>> table.groupby("load")["value"].mean().round(1).to_dict()
    {0.5: 1.0, 0.9: 9.3}

    Notes
    -----
    The points go to the cluster in batches, because each task costs about a millisecond; so a function may be as quick
    as it likes. Taught in chapter 08; the chapters' simulations of many settings use it.
    """
    if not callable(function):
        raise ValueError(f"function is {function!r:.80}; it must be callable")
    points = _points(grid)
    with _Bar(len(points), shown=progress) as bar:
        if client is None:
            results = [_call(function, point, bar) for point in points]
        else:
            results = _on_cluster(function, points, client, bar)
    return _table(points, results)


def _points(grid: Mapping[str, Sequence] | Iterable[Mapping[str, Any]]) -> list[Point]:
    """Return the points of a grid, checked."""
    if isinstance(grid, Mapping):
        axes = {name: _values(name, values) for name, values in grid.items()}
        count = math.prod(map(len, axes.values()))
        if axes and 0 < count <= MOST_POINTS:
            points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
        elif count > MOST_POINTS:
            raise ValueError(f"grid has {count:.3g} points; it must have at most {MOST_POINTS:,}")
        else:
            empty = [name for name, values in axes.items() if not values]
            raise ValueError("grid is empty" + (f": there are no values for {empty[0]!r}" if empty else ""))
    else:
        try:
            points = list(itertools.islice(grid, MOST_POINTS + 1))
        except TypeError:
            raise ValueError(f"grid is {grid!r:.80}; it must be a mapping, or mappings") from None
        if not 0 < len(points) <= MOST_POINTS:
            raise ValueError("grid is empty" if not points else f"grid has more than {MOST_POINTS:,} points")
        for i, point in enumerate(points):
            if not isinstance(point, Mapping):
                raise ValueError(f"grid[{i}] is {point!r:.80}; it must be a mapping of names to values")
            if point.keys() != points[0].keys():
                raise ValueError(f"grid[{i}] has the names {list(point)}; they must be {list(points[0])}, as before")
        points = [{name: point[name] for name in points[0]} for point in points]
    for name in points[0]:
        if not isinstance(name, str):
            raise ValueError(f"{name!r} is a name in the grid; names must be strings")
    return points


def _values(name: str, values: Any) -> list[Any]:
    # Numbers of numpy become Python's: what a function is called with does not depend on how a range was written.
    if isinstance(values, np.ndarray):
        return values.tolist()
    try:
        if isinstance(values, str | bytes | Mapping):
            raise TypeError
        return list(itertools.islice(values, MOST_POINTS + 1))
    except TypeError:
        raise ValueError(f"grid[{name!r}] is {values!r:.80}; it must be a sequence of values") from None


def _call(function: Callable[..., Any], point: Point, bar: _Bar | None = None) -> dict[str, Any]:
    """Return what the function gives at a point, as a mapping of names to numbers."""
    try:
        result = function(**point)
        named = {"value": result} if not isinstance(result, Mapping) else result
        numeric = {name: _plain_number(value) for name, value in named.items()}
        if None in numeric.values() or not numeric:
            raise ValueError(f"the function returned {result!r:.80}; it must be a number or a mapping of numbers")
        if taken := numeric.keys() & point.keys():
            raise ValueError(f"the function returned {min(taken)!r}, which is a name in the grid; it must be another")
    except Exception as error:
        error.add_note(
            f"at the point {', '.join(f'{name}={value!r:.80}' for name, value in point.items())} of the grid"
        )
        raise
    if bar is not None:
        bar.advance(1)
    return numeric


def _plain_number(value: Any) -> numbers.Real | None:
    """Return a number as one of Python's; None if it is none."""
    if isinstance(value, np.generic | np.ndarray) and np.ndim(value) == 0:
        value = value.item()
    return value if isinstance(value, numbers.Real) else None


def _batch(function: Callable[..., Any], points: list[Point]) -> list[dict[str, Any]]:
    return [_call(function, point) for point in points]


def _on_cluster(function: Callable[..., Any], points: list[Point], client: Any, bar: _Bar) -> list[dict[str, Any]]:
    """Return the results of all points, computed by a cluster. Uses the client's methods only: no import of Dask."""
    threads = max(1, sum(client.nthreads().values()))
    size = math.ceil(len(points) / (BATCHES_PER_THREAD * threads))
    batches = [points[i : i + size] for i in range(0, len(points), size)]
    # Not pure: a second sweep of the same function computes anew.
    futures = client.map(functools.partial(_batch, function), batches, key="sweep", pure=False)
    results: list[dict[str, Any]] = []
    try:
        for future in futures:  # in order, so that the error of the first point is the one that is raised
            results += future.result()
            bar.advance(len(results) - bar.done)
    except BaseException:  # Ctrl-C, too: nothing is left to be computed for nobody
        client.cancel(futures)
        raise
    return results


def _table(points: list[Point], results: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    for point, result in zip(points, results, strict=True):
        if result.keys() != results[0].keys():
            raise ValueError(
                f"the function returned the names {list(result)} at the point {point}; they must be {list(results[0])},"
                " as at the first point"
            )
    columns = {name: [row[name] for row in rows] for rows in (points, results) for name in rows[0]}
    return pd.DataFrame(columns)


class _Bar:
    """A line of text that says how many points are done: in a notebook, in a terminal, or nowhere."""

    WIDTH = 30
    PAUSE = 0.1  # seconds between two pictures

    def __init__(self, total: int, shown: bool) -> None:
        self.total, self.done, self.drawn = total, 0, 0.0
        self.handle = None
        # No kernel without IPython; do not import it to find out.
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        self.notebook = shown and hasattr(shell, "kernel")
        self.terminal = shown and not self.notebook and sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> _Bar:
        self.draw()
        return self

    def __exit__(self, *exception: object) -> None:
        self.draw()
        if self.terminal:
            sys.stderr.write("\n")

    def advance(self, points: int) -> None:
        self.done += points
        if time.perf_counter() - self.drawn >= self.PAUSE:
            self.draw()

    def draw(self) -> None:
        self.drawn = time.perf_counter()
        filled = "#" * (self.WIDTH * self.done // self.total)
        line = f"sweep [{filled:<{self.WIDTH}}] {self.done}/{self.total}"
        if self.terminal:
            sys.stderr.write(f"\r{line}")
            sys.stderr.flush()
        elif self.notebook:
            from IPython.display import display

            bundle = {"text/plain": line}
            if self.handle is None:
                self.handle = display(bundle, raw=True, display_id=True)
            else:
                self.handle.update(bundle, raw=True)
