"""Bounds on the makespan of any schedule, and how far greedy ones can be from the best. Chapter 05; stealing in 14."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.graph import TaskGraph
from course.models.domain import number, plain


def lower_bound(graph: TaskGraph, workers: int) -> float:
    """Return a time that no schedule on ``workers`` identical workers beats [s].

    The largest of three: work / workers; the span; and the sum of the m-th and the (m+1)-th longest duration, because
    of the m + 1 longest tasks some two share one of m workers.

    Parameters
    ----------
    graph : TaskGraph
    workers : int
        At least 1.

    Examples
    --------
    >>> from course.graph import graham_anomaly
    >>> lower_bound(graham_anomaly(), 3)
    12.0

    References
    ----------
    Graham: Bounds on multiprocessing timing anomalies. SIAM Journal on Applied Mathematics 17(2), 1969.
    """
    workers = int(number("workers", workers, low=1, whole=True))
    bound = max(graph.work / workers, graph.span)
    if len(graph) > workers:
        longest = np.sort(graph.duration)[::-1]
        bound = max(bound, float(longest[workers - 1] + longest[workers]))
    return bound


def upper_bound(graph: TaskGraph, workers: int) -> float:
    """Return a time that every greedy (list) schedule keeps [s]: (work − span) / workers + span.

    Examples
    --------
    >>> from course.graph import graham_anomaly
    >>> upper_bound(graham_anomaly(), 4)
    17.5

    References
    ----------
    Graham: Bounds for certain multiprocessing anomalies. Bell System Technical Journal 45(9), 1966.
    """
    return brent(graph.work, graph.span, workers)[1]


def brent(work: ArrayLike, span: ArrayLike, workers: ArrayLike) -> tuple:
    r"""Return the bounds (lower, upper) of every greedy schedule [s].

    .. math:: \max\left(\frac{W}{m}, S\right) \le T_m \le \frac{W - S}{m} + S

    Parameters
    ----------
    work : float or array
        W, the time on one worker [s].
    span : float or array
        S, the time on endlessly many workers [s]; at most ``work``.
    workers : int or array
        m.

    Returns
    -------
    lower, upper : float or array

    Raises
    ------
    ValueError
        If an argument is outside its domain, or ``span`` exceeds ``work``.

    Examples
    --------
    >>> brent(work=17, span=8, workers=2)
    (8.5, 12.5)

    References
    ----------
    Brent: The parallel evaluation of general arithmetic expressions. Journal of the ACM 21(2), 1974.
    Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, 3rd ed. 2009, section 27.1.
    """
    work, span = number("work", work, low=0), number("span", span, low=0)
    workers = number("workers", workers, low=1, whole=True)
    if (span > work * (1 + 1e-12)).any():
        raise ValueError(f"span is {plain(span)} and work {plain(work)}; the span is a part of the work")
    return plain(np.maximum(work / workers, span)), plain((work - span) / workers + span)


def graham_ratio(workers: ArrayLike) -> float | np.ndarray:
    """Return how much longer than the best schedule a greedy one can be: 2 − 1/m.

    Examples
    --------
    >>> graham_ratio(4)
    1.75

    References
    ----------
    Graham: Bounds for certain multiprocessing anomalies. Bell System Technical Journal 45(9), 1966.
    """
    return plain(2 - 1 / number("workers", workers, low=1, whole=True))


def lpt_ratio(workers: ArrayLike) -> float | np.ndarray:
    """Return how much longer than the best schedule longest-first can be, for independent tasks: 4/3 − 1/(3m).

    Examples
    --------
    >>> round(lpt_ratio(2), 4)
    1.1667

    References
    ----------
    Graham: Bounds on multiprocessing timing anomalies. SIAM Journal on Applied Mathematics 17(2), 1969.
    """
    return plain(4 / 3 - 1 / (3 * number("workers", workers, low=1, whole=True)))


def work_stealing_bound(work: ArrayLike, span: ArrayLike, workers: ArrayLike) -> float | np.ndarray:
    """Return the order of the expected time under randomised work stealing [s]: work / workers + span.

    The theorem is W/m + O(S); this is the value for a constant of 1, to be read as "within a small factor of".

    Examples
    --------
    >>> work_stealing_bound(100, 4, 10)
    14.0

    References
    ----------
    Blumofe, Leiserson: Scheduling multithreaded computations by work stealing. Journal of the ACM 46(5), 1999.
    """
    work, span = number("work", work, low=0), number("span", span, low=0)
    return plain(work / number("workers", workers, low=1, whole=True) + span)
