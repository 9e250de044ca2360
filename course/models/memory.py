"""More data than memory: keep or make again, and how often data must pass through memory."""

from __future__ import annotations

import math
from typing import NamedTuple

from course.domain import scalar, whole


class Keeping(NamedTuple):
    """What it costs to use a result several times: kept, or made again for each use [s].

    Attributes
    ----------
    kept : float
        Made once; what does not fit is written and read.
    again : float
        Made for each use, never kept.
    """

    kept: float
    again: float

    @property
    def ratio(self) -> float:
        """Kept ÷ again: below 1, keep it (NaN if both cost nothing)."""
        return self.kept / self.again if self.again else (math.inf if self.kept else math.nan)


def keep_or_make(
    size: float, room: float, uses: int, make: float, write: float, read: float, rewrites: bool = True
) -> Keeping:
    r"""Return the seconds of using a result several times, if it is kept and if it is made again.

    .. math:: T_\text{keep} = V \tau + x \left(w \beta_w + (u - 1) \beta_r\right), \quad
              T_\text{again} = u V \tau, \quad x = \max(V - H, 0)

    Parameters
    ----------
    size : float
        V, of the result [bytes].
    room : float
        H, the memory that it may fill [bytes].
    uses : int
        u, how often it is used.
    make : float
        τ, to make a byte of it [s/byte]: loading, decoding, computing.
    write, read : float
        1 / β_w and 1 / β_r, of the disk, with packing and unpacking [bytes/s].
    rewrites : bool
        Whether what comes back from disk loses its copy there, and so is written for each later use (w = u - 1), as
        Dask's `SpillBuffer` does and chapter 22 counts; else it is written once (w = 1, or 0 if it is used only once).

    Returns
    -------
    Keeping

    Raises
    ------
    ValueError
        An argument outside its domain.

    Examples
    --------
    A result of 1 GB with room for 0.2, used twice, on a disk of 1 GB/s: from which cost on is it worth a spill?

    >>> keep_or_make(1e9, 0.2e9, 2, 1e-9, 1e9, 1e9)
    Keeping(kept=2.6, again=2.0)
    >>> keep_or_make(1e9, 0.2e9, 2, 4e-9, 1e9, 1e9)
    Keeping(kept=5.6, again=8.0)

    Notes
    -----
    The first use follows the making at once, from memory. Passes through the data go from one end to the other, in the
    same order each time, and the least recently used goes first: then nothing of the part that does not fit stays for
    the next pass, so that in truth x is nearer to V than to V − H. The formula is the best case. Reading, writing and
    making do not overlap in it. Derived here. Chapter 22.
    """
    size, room, make = (scalar(name, value, low=0) for name, value in (("size", size), ("room", room), ("make", make)))
    uses = whole("uses", uses, low=1)
    write, read = scalar("write", write, above=0), scalar("read", read, above=0)
    if rewrites not in (True, False):
        raise ValueError(f"rewrites is {rewrites!r:.80}; it must be True or False")
    beyond = max(size - room, 0.0)
    later = uses - 1
    writes = later if rewrites else min(later, 1)
    return Keeping(size * make + beyond * (writes / write + later / read), uses * size * make)


def sort_passes(size: float, memory: float, block: float) -> int:
    r"""Return how often all data are read and written by a sort (or a shuffle) that does not fit into memory.

    .. math:: 1 + \left\lceil \log_{M/B} \frac{N}{M} \right\rceil

    Parameters
    ----------
    size : float
        N, of the data [bytes].
    memory : float
        M [bytes].
    block : float
        B, of one read or write [bytes]; at most half the memory.

    Returns
    -------
    int
        Passes; 1 if the data fit into memory.

    Raises
    ------
    ValueError
        An argument outside its domain.

    Examples
    --------
    A terabyte in 64 GB with blocks of 16 MB: one pass to make sorted runs, one to merge them.

    >>> sort_passes(1e12, 64e9, 16e6), sort_passes(1e12, 1e9, 100e6), sort_passes(1e9, 2e9, 1e6)
    (2, 4, 1)

    References
    ----------
    A. Aggarwal, J. S. Vitter: The input/output complexity of sorting and related problems. *Communications of the ACM*
    31(9), 1988, pp. 1116-1127. They prove that a sort by comparisons needs of the order of (N/B) log_{M/B}(N/B)
    transfers of blocks, and
    log_{M/B}(N/B) = 1 + log_{M/B}(N/M): no sort needs fewer passes, up to a constant.

    Notes
    -----
    One pass makes N / M runs, each as large as the memory; each further pass merges M / B of them at a time, one block
    of each in memory (the block of the output is left out). Chapter 22.
    """
    size, memory, block = (scalar(name, value, above=0) for name, value in
                           (("size", size), ("memory", memory), ("block", block)))  # fmt: skip
    if block > memory / 2:
        raise ValueError(f"block is {block:g}; it must be at most half the memory, {memory / 2:g}")
    if size <= memory:
        return 1
    passes = (math.log(size) - math.log(memory)) / (math.log(memory) - math.log(block))
    return 1 + math.ceil(passes - 1e-9)  # a whole number may come out a little larger
