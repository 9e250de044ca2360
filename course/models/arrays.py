"""Arrays in chunks: pieces of a rechunk, halos of a stencil, and the memory that a rechunk needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from course.domain import scalar, whole


def rechunk_pieces(shape: Sequence[int], before: Sequence[int], after: Sequence[int]) -> int:
    r"""Return into how many pieces an array is cut when its chunks change.

    .. math:: P = \prod_a \left|\{0, c_a, 2c_a, \dots\} \cup \{0, c'_a, 2c'_a, \dots\}\right|_{< L_a}

    Parameters
    ----------
    shape : sequence of int
        Length of each axis [cells].
    before, after : sequence of int
        Length of a chunk on each axis [cells]; a last one may be shorter.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        A length that is not positive; not as many chunks as axes.

    Examples
    --------
    Forty-eight maps, from a year a chunk to strips of 18 rows with all months:

    >>> rechunk_pieces((48, 180, 360), (12, 180, 360), (48, 18, 360))
    40

    Notes
    -----
    A rechunk by tasks has a task for each piece, where the piece is not a whole old chunk, and one for each new chunk;
    Dask may go by way of intermediate chunks when there are very many. Derived here. Chapter 19.
    """
    shape, before, after = (_axes(name, each) for name, each in
                            (("shape", shape), ("before", before), ("after", after)))  # fmt: skip
    if not len(shape) == len(before) == len(after):
        raise ValueError(
            f"shape, before and after have {len(shape)}, {len(before)} and {len(after)} axes, not the same"
        )
    pieces = 1
    for axis, lengths in enumerate(zip(shape, before, after, strict=True)):
        length, old, new = (whole(f"axis {axis}", each, low=1) for each in lengths)
        old, new = min(old, length), min(new, length)
        # Where both are cut they are cut once: at the multiples of the least common multiple.
        pieces *= sum(math.ceil(length / each) for each in (old, new)) - math.ceil(length / math.lcm(old, new))
    return pieces


def halo_factor(chunk: Sequence[float], depth: float | Sequence[float]) -> float:
    r"""Return how many cells a stencil handles for each that is wanted.

    .. math:: H = \prod_a \left(1 + \frac{2 d_a}{c_a}\right)

    Parameters
    ----------
    chunk : sequence of float
        Length of a chunk on each axis that has neighbours [cells].
    depth : float or sequence of float
        Neighbours that are needed on each side [cells], on all of these axes or on each.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        A chunk that is not positive, a negative depth; not as many depths as axes.

    Examples
    --------
    >>> round(halo_factor((90, 180), 2), 3)
    1.068

    Notes
    -----
    Ghost cells: a surface over a volume. Of chunks at an edge that is not closed it is a little less. Derived here.
    Chapter 19.
    """
    chunk = _axes("chunk", chunk)
    depths = list(depth) if isinstance(depth, Sequence) else [depth] * len(chunk)
    if len(depths) != len(chunk):
        raise ValueError(f"depth has {len(depths)} axes, chunk has {len(chunk)}")
    depths = [scalar("depth", each, low=0) for each in depths]
    lengths = [scalar("chunk", each, above=0) for each in chunk]
    return math.prod(1 + 2 * d / c for c, d in zip(lengths, depths, strict=True))


def rechunk_memory(size: float, workers: int, chunk: float, copies: float = 3.0, graph: float = 0.0) -> float:
    r"""Return the peak of the memory of a worker during a rechunk [bytes].

    .. math:: M = 2 \frac{N b}{m} + k C + G

    Parameters
    ----------
    size : float
        N b, of the whole array [bytes].
    workers : int
        m, who share it evenly.
    chunk : float
        C, the largest chunk that a task handles [bytes].
    copies : float
        k, how many of it a task holds: input, result, an intermediate.
    graph : float
        G, of arrays that came with the graph [bytes].

    Returns
    -------
    float

    Raises
    ------
    ValueError
        An argument outside its domain.

    Examples
    --------
    >>> rechunk_memory(12e6, 2, 3e6)
    21000000.0

    Notes
    -----
    For a rechunk in which each new chunk needs a piece of each old one: no old chunk can go before the last new one is
    there, so that a worker holds its share of both. Threads of a worker multiply the second term. Derived here.
    Chapter 19.
    """
    workers = whole("workers", workers, low=1)
    size, chunk, copies, graph = (
        scalar(name, value, low=0)
        for name, value in (("size", size), ("chunk", chunk), ("copies", copies), ("graph", graph))
    )
    return 2 * size / workers + copies * chunk + graph


def _axes(name: str, values: Sequence[float]) -> list[float]:
    """Return one number for each axis, or raise `ValueError`."""
    try:
        return list(values)
    except TypeError:
        raise ValueError(f"{name} is {values!r:.80}; it must hold a number for each axis") from None
