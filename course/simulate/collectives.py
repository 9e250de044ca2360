"""Collective operations round by round: who sends which piece to whom, and who then has what. Chapter 15."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from course.domain import one_of, scalar, whole

MOST_WORKERS = 64
"""Who contributed to a piece is kept as the bits of one whole number."""


class Send(NamedTuple):
    """One message of a round.

    Attributes
    ----------
    source, target : int
        Workers.
    pieces : tuple of int
        What it carries.
    adds : bool
        Whether the target adds the pieces to its own, or takes them in the place of its own.
    """

    source: int
    target: int
    pieces: tuple[int, ...]
    adds: bool


Rounds = list[list[Send]]


def _flat_broadcast(p: int, fan_in: int) -> Rounds:
    return [[Send(0, target, (0,), False)] for target in range(1, p)]


def _binomial_broadcast(p: int, fan_in: int) -> Rounds:
    rounds, have = [], 1
    while have < p:
        rounds.append([Send(w, w + have, (0,), False) for w in range(have) if w + have < p])
        have *= 2
    return rounds


def _tree_reduction(p: int, fan_in: int) -> Rounds:
    rounds, left = [], list(range(p))
    while len(left) > 1:
        groups = [left[i : i + fan_in] for i in range(0, len(left), fan_in)]
        rounds.append([Send(source, group[0], (0,), True) for group in groups for source in group[1:]])
        left = [group[0] for group in groups]
    return rounds


def _ring_all_reduce(p: int, fan_in: int) -> Rounds:
    around = [(w, (w + 1) % p) for w in range(p)]
    # Piece w starts at worker w. After p − 1 rounds worker w has the sum of piece w + 1.
    adding = [[Send(w, after, ((w - r) % p,), True) for w, after in around] for r in range(p - 1)]
    telling = [[Send(w, after, ((w + 1 - r) % p,), False) for w, after in around] for r in range(p - 1)]
    return adding + telling


def _recursive_doubling(p: int, fan_in: int) -> Rounds:
    return [[Send(w, w ^ 2**r, (0,), True) for w in range(p)] for r in range(p.bit_length() - 1)]


@dataclass(frozen=True)
class _Operation:
    rounds: Callable[[int, int], Rounds]
    in_pieces: bool = False  # whether the vector is cut in as many pieces as there are workers
    spreads: bool = False  # whether only worker 0 has anything at first
    doubles: bool = False  # whether the number of workers must be a power of two


_OPERATIONS = {
    "flat broadcast": _Operation(_flat_broadcast, spreads=True),
    "binomial broadcast": _Operation(_binomial_broadcast, spreads=True),
    "tree reduction": _Operation(_tree_reduction),
    "ring all-reduce": _Operation(_ring_all_reduce, in_pieces=True),
    "recursive doubling": _Operation(_recursive_doubling, doubles=True),
}

COLLECTIVES = tuple(_OPERATIONS)
"""The operations that `collective` knows: two broadcasts, a reduction, and two all-reduces."""


@dataclass(frozen=True, eq=False)
class Collective:
    """A collective operation, played out.

    Attributes
    ----------
    workers, pieces : int
        p, and the equal pieces that the vector is cut into.
    rounds : list of list of Send
        The messages of each round; those of one round are sent at the same time.
    has : array of uint64, shape (rounds + 1, workers, pieces)
        What each worker has after so many rounds, for each piece: bit i says that worker i's part is in it.
    """

    workers: int
    pieces: int
    rounds: Rounds
    has: np.ndarray

    @cached_property
    def contributions(self) -> np.ndarray:
        """How many workers' parts are in each piece, of the shape of ``has``."""
        return np.bitwise_count(self.has).astype(int)

    @property
    def messages(self) -> int:
        """All messages of all rounds."""
        return sum(map(len, self.rounds))

    def sent(self, size: float) -> np.ndarray:
        """Return the bytes that each worker sends, shape (workers,), for a vector of `size` bytes."""
        return self._moved(self.rounds, size)[0]

    def received(self, size: float) -> np.ndarray:
        """Return the bytes that each worker receives, shape (workers,), for a vector of `size` bytes."""
        return self._moved(self.rounds, size)[1]

    def times(self, size: float, latency: float, bandwidth: float) -> np.ndarray:
        """Return the seconds of each round, shape (rounds,).

        The latency once, and the bytes of the busiest worker: what it sends goes out one after the other, and so
        comes in what it receives, at the same time.
        """
        latency, size = scalar("latency", latency, low=0), scalar("size", size, low=0)
        bandwidth = scalar("bandwidth", bandwidth, low=1e-300)
        return np.array([latency + np.max(self._moved([each], size)) / bandwidth for each in self.rounds])

    def _moved(self, rounds: Rounds, size: float) -> tuple[np.ndarray, np.ndarray]:
        sent, received = np.zeros(self.workers), np.zeros(self.workers)
        for send in (send for each in rounds for send in each):
            amount = size * len(send.pieces) / self.pieces
            sent[send.source] += amount
            received[send.target] += amount
        return sent, received


def collective(operation: str, workers: int, fan_in: int = 2) -> Collective:
    """Play a collective operation round by round.

    Parameters
    ----------
    operation : str
        One of `COLLECTIVES`.
    workers : int
        p, from 1 to 64; a power of two for ``recursive doubling``.
    fan_in : int
        How many partial results a ``tree reduction`` combines at once; at least 2.

    Returns
    -------
    Collective

    Raises
    ------
    ValueError
        An unknown operation, or a number that it cannot have; the message says what is allowed.

    Examples
    --------
    Four workers sum their vectors around a ring: six rounds, and everybody sends 1.5 vectors.

    >>> ring = collective("ring all-reduce", 4)
    >>> len(ring.rounds), ring.sent(100.0).tolist()
    (6, [150.0, 150.0, 150.0, 150.0])
    >>> ring.contributions[-1].min()
    np.int64(4)

    Notes
    -----
    In the ring, worker w passes on piece w first, then what came from its neighbour, with its own part added; after
    p − 1 rounds each worker has one whole sum, and another p − 1 rounds carry the sums around. Times agree with
    `course.models.all_reduce_time`, ``broadcast_time`` and ``tree_reduce_time`` without costs of combining. Chapter 15.

    References
    ----------
    Thakur, Rabenseifner, Gropp: Optimization of collective communication operations in MPICH. International Journal of
    High Performance Computing Applications 19(1), 2005.
    """
    kind = _OPERATIONS[one_of("operation", operation, COLLECTIVES)]
    p = whole("workers", workers, low=1, high=MOST_WORKERS)
    fan_in = whole("fan_in", fan_in, low=2)
    if kind.doubles and p & (p - 1):
        raise ValueError(f"workers is {p}; for {operation} it must be a power of two")
    start = np.zeros((p, p if kind.in_pieces else 1), dtype=np.uint64)
    start[: 1 if kind.spreads else p] = (1 << np.arange(p, dtype=np.uint64))[: 1 if kind.spreads else p, None]
    return play(kind.rounds(p, fan_in), start)


def play(rounds: Sequence[Sequence[Send]], start: np.ndarray) -> Collective:
    """Play messages round by round, from what each worker has at first.

    Parameters
    ----------
    rounds : sequence of sequences of Send
        The messages. What is sent in a round is what the sender had before it.
    start : array of uint64, shape (workers, pieces)
        As ``Collective.has``; 0 where a worker has nothing.

    Returns
    -------
    Collective

    Raises
    ------
    ValueError
        If somebody sends a piece that it does not have, or adds a part that is in its piece already.

    Examples
    --------
    >>> import numpy as np
    >>> start = np.array([[1], [2]], dtype=np.uint64)
    >>> play([[Send(0, 1, (0,), True)]], start).has[-1].tolist()
    [[1], [3]]
    >>> play([[Send(0, 1, (0,), True)], [Send(0, 1, (0,), True)]], start)
    Traceback (most recent call last):
    ValueError: round 2: worker 1 adds piece 0 of worker 0, parts of which it has already

    Notes
    -----
    Chapter 15. Source: as `collective`.
    """
    has = [np.array(start, dtype=np.uint64)]
    for number, sends in enumerate(rounds, start=1):
        before, after = has[-1], has[-1].copy()
        for source, target, pieces, adds in sends:
            for piece in pieces:
                mine, sent = after[target, piece], before[source, piece]
                if not sent:
                    raise ValueError(f"round {number}: worker {source} sends piece {piece}, of which it has nothing")
                if adds and mine & sent:
                    raise ValueError(
                        f"round {number}: worker {target} adds piece {piece} of worker {source}, "
                        "parts of which it has already"
                    )
                after[target, piece] = (mine | sent) if adds else sent
        has.append(after)
    workers, pieces = has[0].shape
    return Collective(workers, pieces, [list(sends) for sends in rounds], np.array(has))
