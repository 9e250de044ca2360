"""Chunks of arrays: pieces, halos, memory."""

import math
import random

import pytest

from course.models import halo_factor, rechunk_memory, rechunk_pieces


def brute(shape, before, after):
    """Count the cuts of both, axis by axis."""
    axes = zip(shape, before, after, strict=True)
    return math.prod(len({*range(0, length, old), *range(0, length, new)}) for length, old, new in axes)


def test_pieces_are_what_the_cuts_of_both_make():
    rng = random.Random(19)
    for _ in range(300):
        shape = [rng.randint(1, 60) for _ in range(3)]
        before, after = ([rng.randint(1, 70) for _ in range(3)] for _ in range(2))
        assert rechunk_pieces(shape, before, after) == brute(shape, before, after)


def test_pieces_of_dask():
    """Dask's own intersection of the chunks has as many."""
    from dask.array.core import normalize_chunks
    from dask.array.rechunk import intersect_chunks

    shape, before, after = (48, 180, 360), (24, 90, 180), (48, 30, 70)
    found = intersect_chunks(normalize_chunks(before, shape), normalize_chunks(after, shape))
    assert sum(len(list(each)) for each in found) == rechunk_pieces(shape, before, after)


def test_the_same_chunks_are_whole_pieces():
    assert rechunk_pieces((10, 10), (3, 5), (3, 5)) == 8
    assert rechunk_pieces((10,), (100,), (10,)) == 1


def test_halo():
    assert halo_factor((10, 10), 0) == 1
    assert halo_factor((10, 20), (1, 0)) == pytest.approx(1.2)
    assert halo_factor((4,), 2) == 2


def test_memory_is_old_and_new_and_copies():
    assert rechunk_memory(100, 4, 5) == 65
    assert rechunk_memory(100, 4, 5, copies=0, graph=100) == 150


@pytest.mark.parametrize(
    "call",
    [
        lambda: rechunk_pieces((4,), (0,), (1,)),
        lambda: rechunk_pieces((4, 4), (1,), (1, 1)),
        lambda: halo_factor((0, 4), 1),
        lambda: halo_factor((4, 4), -1),
        lambda: halo_factor((4, 4), (1,)),
        lambda: rechunk_memory(-1, 2, 1),
        lambda: rechunk_memory(1, 0, 1),
        lambda: rechunk_memory(float("nan"), 1, 1),
    ],
)
def test_outside_the_domain(call):
    with pytest.raises(ValueError, match=r"axis|axes|chunk|depth|size|workers"):
        call()
