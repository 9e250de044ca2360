"""Bounds on the makespan of any schedule, and how far greedy ones can be from the best. Chapter 05; stealing in 14.

All assume workers that run one task at a time, without interrupting it, and that messages and the scheduler take no
time; and, but for `unrelated_lower_bound`, identical workers. The lower bounds still hold where messages and the
scheduler do take time; the upper bounds and the ratios do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, plain, scalar
from course.graph import TaskGraph
from course.graph.taskgraph import checked_graph


def lower_bound(graph: TaskGraph, workers: int) -> float:
    r"""Return a time that no schedule on ``workers`` identical workers beats [s].

    .. math:: \max\left(\frac{W}{m}, \; S, \; p_{(m)} + p_{(m+1)}\right)

    W is the work, S the span, and p the durations, the longest first: of the m + 1 longest tasks some two share one of
    m workers.

    Parameters
    ----------
    graph : TaskGraph
    workers : int
        m, at least 1.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If ``graph`` is no graph, or ``workers`` is not one whole number of at least 1.

    Examples
    --------
    >>> from course.graph import graham_anomaly
    >>> lower_bound(graham_anomaly(), 3)
    12.0

    Notes
    -----
    Chapter 05. The first two are Graham's; the third matters only for few long tasks.

    References
    ----------
    Graham: Bounds on multiprocessing timing anomalies. SIAM Journal on Applied Mathematics 17(2), 1969.
    """
    graph = checked_graph(graph)
    workers = int(scalar("workers", workers, low=1, whole=True))
    bound = max(graph.work / workers, graph.span)
    if len(graph) > workers:
        longest = np.sort(graph.duration)[::-1]
        bound = max(bound, float(longest[workers - 1] + longest[workers]))
    return bound


def unrelated_lower_bound(graph: TaskGraph, costs: ArrayLike) -> float:
    r"""Return a time that no schedule on unlike machines beats [s], however data moves.

    .. math:: \max\left(\frac{1}{m}\sum_i \min_p w_{ip}, \; \max_{\text{paths}} \sum_{i} \min_p w_{ip}\right)

    Every task takes at least its least cost: all of them together need that on m machines, and those of a path need it
    one after the other.

    Parameters
    ----------
    graph : TaskGraph
        Its edges count, its durations do not.
    costs : array, shape (n, machines)
        Seconds of each task on each machine.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If ``graph`` is no graph, or the costs are negative, NaN or of another shape.

    Examples
    --------
    >>> from course.graph import topcuoglu
    >>> unrelated_lower_bound(*topcuoglu())
    41.0

    Notes
    -----
    Transfers are left out, because a schedule can avoid each of them. The makespan divided by the second term is the
    schedule length ratio of Topcuoglu et al. Chapter 13.

    References
    ----------
    Topcuoglu, Hariri, Wu: Performance-effective and low-complexity task scheduling for heterogeneous computing. IEEE
    Transactions on Parallel and Distributed Systems 13(3), 2002, section 6.1.
    """
    graph = checked_graph(graph)
    array = number("costs", costs, low=0)
    if array.ndim != 2 or len(array) != len(graph) or not array.shape[1]:
        raise ValueError(f"costs has shape {array.shape}; it must be ({len(graph)}, machines): a row for each task")
    least = graph.replace(duration=array.min(axis=1))
    return float(max(least.work / array.shape[1], least.span))


def upper_bound(graph: TaskGraph, workers: int) -> float:
    r"""Return a time that every greedy (list) schedule keeps [s]: (work − span) / workers + span.

    .. math:: T_m \le \frac{W - S}{m} + S

    Parameters
    ----------
    graph : TaskGraph
        W and S are its work and span [s].
    workers : int or array
        m.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If ``workers`` is not one whole number of at least 1.

    Examples
    --------
    >>> from course.graph import graham_anomaly
    >>> upper_bound(graham_anomaly(), 4)
    17.5

    Notes
    -----
    Greedy: no worker is idle while a task is ready. Chapter 05; see `brent`.

    References
    ----------
    Graham: Bounds for certain multiprocessing anomalies. Bell System Technical Journal 45(9), 1966.
    """
    graph = checked_graph(graph)
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

    Notes
    -----
    The lower bound holds for every schedule, the upper one for those that let no worker be idle while a task is ready.
    Chapters 03 and 05.

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
    r"""Return how many times as long as the best schedule a greedy one can be: 2 − 1/m.

    .. math:: \frac{T_m}{T_m^{\text{best}}} \le 2 - \frac{1}{m}

    Parameters
    ----------
    workers : int or array
        m.

    Returns
    -------
    float or array
        At least 1, of the shape of ``workers``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> graham_ratio(4)
    1.75

    Notes
    -----
    For any graph and any order of the tasks; there are graphs that reach it. Chapter 05.

    References
    ----------
    Graham: Bounds for certain multiprocessing anomalies. Bell System Technical Journal 45(9), 1966.
    """
    return plain(2 - 1 / number("workers", workers, low=1, whole=True))


def lpt_ratio(workers: ArrayLike) -> float | np.ndarray:
    r"""Return how many times as long as the best schedule longest-first (LPT) can be: 4/3 − 1/(3m).

    .. math:: \frac{T_m^{\text{LPT}}}{T_m^{\text{best}}} \le \frac{4}{3} - \frac{1}{3 m}

    Parameters
    ----------
    workers : int or array
        m.

    Returns
    -------
    float or array
        At least 1, of the shape of ``workers``.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(lpt_ratio(2), 4)
    1.1667

    Notes
    -----
    For independent tasks, whose durations are known; there are such that reach it. Chapters 05 and 13.

    References
    ----------
    Graham: Bounds on multiprocessing timing anomalies. SIAM Journal on Applied Mathematics 17(2), 1969.
    """
    return plain(4 / 3 - 1 / (3 * number("workers", workers, low=1, whole=True)))


def work_stealing_bound(work: ArrayLike, span: ArrayLike, workers: ArrayLike) -> float | np.ndarray:
    r"""Return the order of the expected time under randomized work stealing [s]: work / workers + span.

    .. math:: E[T_m] = \frac{W}{m} + O(S)

    The theorem is W/m + O(S); this is the value for a constant of 1, to be read as "within a small factor of". It is
    no bound on any one run.

    Parameters
    ----------
    work, span : float or array
        W and S, as in `brent` [s].
    workers : int or array
        m.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; a span above the work.

    Examples
    --------
    >>> work_stealing_bound(100, 4, 10)
    14.0

    Notes
    -----
    For fully strict computations (fork and join): a task's result goes only to the one that spawned it. Chapter 14.

    References
    ----------
    Blumofe, Leiserson: Scheduling multithreaded computations by work stealing. Journal of the ACM 46(5), 1999.
    """
    work, span = number("work", work, low=0), number("span", span, low=0)
    return plain(work / number("workers", workers, low=1, whole=True) + span)
