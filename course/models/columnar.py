"""Columnar files: the bytes that a query with a filter has to read. Taught in chapter 04."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, one_of, plain
from course.models.quantity import amount, count

Number = float | np.ndarray


def row_group_read_probability(match: ArrayLike, rows_per_group: ArrayLike, below: ArrayLike = 0.0) -> Number:
    r"""Return the probability that a row group of unsorted rows has to be read for a filter on a range of values.

    .. math:: 1 - b^k - (1 - b - x)^k; \qquad b = 0: \; 1 - (1 - x)^k

    Parameters
    ----------
    match : float or array
        x, the share of all rows that the filter lets through.
    rows_per_group : int or array
        k.
    below : float or array
        b, the share of all rows whose value is below the range: 0 where the range is open to one side, as in
        ``time < t``.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; a range that reaches beyond all rows.

    Examples
    --------
    One row in 10,000 matches. Of groups of 1,000 rows a tenth is read, of groups of 100,000 rows each one; and each one
    where the range is in the middle of the values:

    >>> row_group_read_probability(1e-4, [1000, 100_000]).round(3)
    array([0.095, 1.   ])
    >>> round(row_group_read_probability(1e-4, 1000, below=0.5), 3)
    1.0

    Notes
    -----
    Chapter 04. The footer of a Parquet file holds the smallest and the largest value of each column in each row group.
    A group is skipped when all of its rows are below the range (probability b^k) or all above it. Assumes that each
    row's value is drawn independently. That statistics are of use at all needs sorted data (`columnar_read`). Derived
    here.
    """
    match, below = _shares(match, below)
    rows = count("rows_per_group", rows_per_group)
    # log1p because 1 − s has no digits left of a small s.
    with np.errstate(divide="ignore"):
        some_not_above = -np.expm1(rows * np.log1p(-np.minimum(below + match, 1)))
    all_below = np.where(below > 0, below**rows, 0.0)
    return plain(np.clip(some_not_above - all_below, 0.0, 1.0))


def columnar_read(
    size: ArrayLike,
    rows: ArrayLike,
    rows_per_group: ArrayLike,
    match: ArrayLike = 1.0,
    below: ArrayLike = 0.0,
    order: str = "random",
) -> Number:
    r"""Return the expected bytes that a query reads from a columnar file with row groups.

    .. math::
        \text{random:} \; \sum_g s_g \, \bigl(1 - (1 - x)^{k_g}\bigr) \qquad
        \text{sorted:} \; \sum_{g \,\cap\, [b R, (b + x) R]} s_g

    Parameters
    ----------
    size : float or array
        Bytes of the columns that the query names, its filter's column included, over all rows; s_g of group g. Naming
        fewer columns is projection push-down.
    rows, rows_per_group : int or array
        R rows of the file, and k_g of each row group; the last group has what is left.
    match, below : float or array
        x and b, shares of the rows that the filter lets through, and whose value is below its range, as in
        `row_group_read_probability`.
    order : {"random", "sorted"}
        Whether the rows lie at random, or sorted by the filter's column.

    Returns
    -------
    float or array
        Bytes, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain, or an unknown order; the message says what is allowed.

    Examples
    --------
    1 % of ten million rows in groups of 100,000, 800 MB in the columns needed: unsorted, all is read; sorted, a group.

    >>> columnar_read(800e6, 10_000_000, 100_000, match=0.01)
    800000000.0
    >>> columnar_read(800e6, 10_000_000, 100_000, match=0.01, order="sorted")
    8000000.0

    Notes
    -----
    Chapter 04. Sorted, the matching rows are the run from rows × below to rows × (below + match), and each group that
    it touches is read. Rows are equally large; footers, pages within a group, dictionaries and Bloom filters are left
    out. Derived here; the layout is that of the documentation of Apache Parquet, “File format”.
    """
    size = amount("size", size)
    rows = count("rows", rows)
    group = np.minimum(count("rows_per_group", rows_per_group), rows)
    one_of("order", order, ("random", "sorted"))
    if order == "random":
        whole_groups = np.floor(rows / group)
        left = np.maximum(rows - whole_groups * group, 0)
        in_whole = whole_groups * group * row_group_read_probability(match, group, below)
        # An empty last group is not read, whatever its probability.
        in_last = left * row_group_read_probability(match, np.maximum(left, 1), below)
        return plain(size * np.minimum((in_whole + in_last) / rows, 1.0))
    match, below = _shares(match, below)
    # Rounded because 0.29 × 100 is 28.999999999999996, which is not in the group before row 29.
    first = np.round(rows * below, 6)
    last = np.round(rows * np.minimum(below + match, 1.0), 6)
    touched = np.minimum(np.ceil(last / group) * group, rows) - np.floor(first / group) * group
    beside = (last == 0) | (first == rows)  # the range is below or above all values
    return plain(size * np.where(beside, 0.0, np.clip(touched / rows, 0.0, 1.0)))


def _shares(match: ArrayLike, below: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    match = number("match", match, low=0, high=1)
    below = number("below", below, low=0, high=1)
    if (match + below > 1 + 1e-12).any():
        raise ValueError(f"match + below is {float(np.max(match + below)):g}; it must be at most 1")
    return match, below
