"""When to ask again: Leitner's box of cards, with compartments of 1, 2, 4, 8 and 16 days.

A card that was answered wrong lies in the first compartment. Answered right when it is due, it moves to the next, where
it lies for twice as long; after the last it is learned. Answered wrong, it goes back to the first. What takes long to
answer skips every other compartment (1, 4 and 16 days): Rawson and Dunlosky advise three answers on later days.

Leitner went through a compartment when it was full; the days are those by which others explain his box.

References
----------
S. Leitner: So lernt man lernen. Herder, Freiburg 1972 (the box). B. Settles, B. Meeder: A trainable spaced repetition
model for language learning. Proc. 54th Annual Meeting of the ACL, 2016, pp. 1848–1858 (these intervals). N. J. Cepeda
and others: Distributed practice in verbal recall tasks. Psychological Bulletin 132(3), 2006, pp. 354–380 (why).
S. H. K. Kang and others: Retrieval practice over the long term: should spacing be expanding or equal-interval?
Psychonomic Bulletin & Review 21(6), 2014, pp. 1544–1550 (why intervals that grow). K. A. Rawson, J. Dunlosky:
Optimizing schedules of retrieval practice for durable and efficient learning: how much is enough? Journal of
Experimental Psychology: General 140(3), 2011, pp. 283–302 (how often).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

DAYS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Place:
    """Where a card lies.

    Attributes
    ----------
    box : int
        The compartment, from 1.
    due : date or None
        When it is to be asked; None when it is learned.
    """

    box: int
    due: date | None

    def is_due(self, day: date) -> bool:
        """Whether the card is to be asked on a day."""
        return self.due is not None and self.due <= day


def wrong(day: date) -> Place:
    """Return where a card lies that was answered wrong on a day: due the next.

    Examples
    --------
    >>> wrong(date(2027, 3, 1)).due
    datetime.date(2027, 3, 2)
    """
    return Place(1, day + timedelta(days=DAYS[0]))


def right(place: Place, day: date, step: int = 1) -> Place:
    """Return where a card lies that was answered right on a day.

    Before it is due that moves nothing: one remembers what one has seen.

    Parameters
    ----------
    place : Place
        Where it lay.
    day : date
    step : int
        By how many compartments it moves: 2 for what takes long to answer.

    Examples
    --------
    >>> place = wrong(date(2027, 3, 1))
    >>> right(place, date(2027, 3, 1)) == place
    True
    >>> right(place, date(2027, 3, 2))
    Place(box=2, due=datetime.date(2027, 3, 4))
    """
    if not place.is_due(day):
        return place
    box = place.box + step
    if box > len(DAYS):
        return Place(place.box, None)
    return Place(box, day + timedelta(days=DAYS[box - 1]))
