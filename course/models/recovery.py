"""Checkpoints, and what is computed anew after a failure. Taught in chapter 16."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from course.domain import plain
from course.models.quantity import amount, count, positive
from course.models.reliability import finite

Number = float | np.ndarray
Task = TypeVar("Task", bound=Hashable)


def expected_run_time(work: ArrayLike, mtbf: ArrayLike, restart_cost: ArrayLike = 0.0) -> Number:
    r"""Return the mean seconds to finish work that starts anew after each failure.

    .. math:: E[T] = M \, e^{R / M} \left(e^{w / M} - 1\right)

    Parameters
    ----------
    work : float or array
        w, seconds that it takes without failures.
    mtbf : float or array
        M, mean seconds between failures, which are exponential: they come at any time, also during a restart.
    restart_cost : float or array
        R, seconds from a failure until the work begins anew.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        Also where the result is too large for a number: the work will never end.

    Examples
    --------
    An hour of work, with a failure each hour on average, takes 1.72 hours; ten hours of work take 2.5 years:

    >>> round(expected_run_time(1.0, 1.0), 2), round(expected_run_time(10.0, 1.0) / (365 * 24), 1)
    (1.72, 2.5)

    Notes
    -----
    Chapter 16. An attempt of length w fails with probability 1 − e^(−w/M); from a failure on, R + w seconds without
    another are needed. That it grows exponentially with the work is why long work needs checkpoints.

    References
    ----------
    Daly: A higher order estimate of the optimum checkpoint interval for restart dumps. Future Generation Computer
    Systems 22(3), 2006, section 3. Duda: The effects of checkpointing on program execution time. Information
    Processing Letters 16(5), 1983.
    """
    work, mtbf, restart = amount("work", work), positive("mtbf", mtbf), amount("restart_cost", restart_cost)
    with np.errstate(over="ignore", invalid="ignore"):
        time = mtbf * np.exp(restart / mtbf) * np.expm1(work / mtbf)
        time = np.where(work == 0, 0.0, time)  # 0 × infinity, where a restart never ends
    return finite("the expected run time", time, "work + restart_cost is too many times the mtbf")


def checkpoint_efficiency(
    interval: ArrayLike, checkpoint_cost: ArrayLike, mtbf: ArrayLike, restart_cost: ArrayLike = 0.0
) -> Number:
    r"""Return the share of time that goes into useful work, with a checkpoint after each ``interval`` of work.

    .. math:: \frac{\tau}{E[T(\tau + \delta)]} = \frac{\tau}{M \, e^{R / M} \left(e^{(\tau + \delta) / M} - 1\right)}

    Parameters
    ----------
    interval : float or array
        τ > 0, seconds of work between the end of a checkpoint and the begin of the next.
    checkpoint_cost : float or array
        δ, seconds to write a checkpoint.
    mtbf, restart_cost : float or array
        M and R, as in `expected_run_time`. R includes the reading of the last checkpoint.

    Returns
    -------
    float or array
        In [0, 1], of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    In minutes: a checkpoint takes 5, a failure comes each day, a restart takes 10. Checkpoints every 10 minutes, every
    2 hours, every day:

    >>> checkpoint_efficiency([10, 120, 1440], 5, 1440, 10).round(2)
    array([0.66, 0.91, 0.57])

    Notes
    -----
    Chapter 16. Work and its checkpoint form a segment that is done when it went through without a failure. Exact for
    exponential failures. Source: as `expected_run_time`.
    """
    interval, cost = positive("interval", interval), amount("checkpoint_cost", checkpoint_cost)
    mtbf, restart = positive("mtbf", mtbf), amount("restart_cost", restart_cost)
    with np.errstate(over="ignore"):
        share = (interval / mtbf) * np.exp(-restart / mtbf) / np.expm1((interval + cost) / mtbf)
    return plain(np.minimum(share, 1.0))


def young_interval(checkpoint_cost: ArrayLike, mtbf: ArrayLike) -> Number:
    r"""Return Young's estimate of the best interval between checkpoints [s].

    .. math:: \tau = \sqrt{2 \delta M}

    Parameters
    ----------
    checkpoint_cost, mtbf : float or array
        δ, seconds to write a checkpoint, and M, mean seconds between failures.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    In minutes: a checkpoint takes 5, and a failure comes each day.

    >>> round(young_interval(5, 1440))
    120

    Notes
    -----
    Chapter 16. Balances δ / τ, the share of time for checkpoints, with τ / 2M, the share lost by failures. Good where
    δ is much smaller than M; `optimal_checkpoint_interval` is exact.

    References
    ----------
    Young: A first order approximation to the optimum checkpoint interval. Communications of the ACM 17(9), 1974.
    """
    return plain(np.sqrt(2 * amount("checkpoint_cost", checkpoint_cost) * positive("mtbf", mtbf)))


def daly_interval(checkpoint_cost: ArrayLike, mtbf: ArrayLike) -> Number:
    r"""Return Daly's estimate of the best interval between checkpoints [s]; it excludes the checkpoint itself.

    .. math:: \tau = \sqrt{2 \delta M} \left[1 + \frac{1}{3} \sqrt{\frac{\delta}{2 M}}
              + \frac{1}{9} \, \frac{\delta}{2 M} \right] - \delta \quad (\delta < 2 M), \qquad \tau = M \quad
              (\delta \ge 2 M)

    Parameters
    ----------
    checkpoint_cost, mtbf : float or array
        As in `young_interval`.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(daly_interval(5, 1440)), round(daly_interval(5, 15), 1)
    (117, 9.1)

    Notes
    -----
    Chapter 16. The first terms of the series of `optimal_checkpoint_interval`.

    References
    ----------
    Daly: A higher order estimate of the optimum checkpoint interval for restart dumps. Future Generation Computer
    Systems 22(3), 2006, equation 37.
    """
    cost, mtbf = amount("checkpoint_cost", checkpoint_cost), positive("mtbf", mtbf)
    x = cost / (2 * mtbf)
    estimate = np.sqrt(2 * cost * mtbf) * (1 + np.sqrt(x) / 3 + x / 9) - cost
    return plain(np.where(x < 1, estimate, mtbf))


def optimal_checkpoint_interval(checkpoint_cost: ArrayLike, mtbf: ArrayLike) -> Number:
    r"""Return the interval between checkpoints at which `checkpoint_efficiency` is largest [s].

    .. math:: \tau = M \left[1 + W_0\!\left(-e^{-1 - \delta / M}\right)\right]

    Parameters
    ----------
    checkpoint_cost, mtbf : float or array
        As in `young_interval`.

    Returns
    -------
    float or array
        Seconds, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(optimal_checkpoint_interval(5, 1440), 2), round(optimal_checkpoint_interval(5, 15), 2)
    (116.69, 9.17)

    Notes
    -----
    Chapter 16. The derivative of the efficiency is zero where (1 − τ/M) e^(τ/M) = e^(−δ/M), which Lambert's function
    W₀ solves. The cost of a restart does not matter. Without a cost of checkpoints the best interval is 0.

    References
    ----------
    Daly 2006 gives the condition (as `daly_interval`, section 4). Corless, Gonnet, Hare, Jeffrey, Knuth: On the
    Lambert W function. Advances in Computational Mathematics 5, 1996.
    """
    cost, mtbf = amount("checkpoint_cost", checkpoint_cost), positive("mtbf", mtbf)
    x = cost / mtbf
    exact = mtbf * (1 + special.lambertw(-np.exp(-1 - x)).real)
    # For a very small cost W₀ is at its branch point −1 and the sum has few digits; there the series has them all.
    return plain(np.where(x < 1e-6, daly_interval(cost, mtbf), exact))


def recomputed_tasks(
    tasks: ArrayLike, workers: ArrayLike, stages: ArrayLike = 1, *, wide: bool = False, kept: bool = True
) -> Number:
    r"""Return the expected tasks that have to run again when one worker dies and its results are lost.

    .. math:: \frac{n}{m} \, s, \qquad \text{wide and not kept:} \quad \frac{n}{m} + (s - 1) \, n

    Parameters
    ----------
    tasks : int or array
        n, tasks of each stage.
    workers : int or array
        m ≥ 1; each holds an equal part of each stage's results.
    stages : int or array
        s ≥ 1, stages since the last result that survives: the input, or a checkpoint.
    wide : bool
        Whether a task needs the results of all tasks of the stage before (a shuffle), or only of one, on the same
        worker (a map).
    kept : bool
        Whether the results of earlier stages are still on the workers, or were freed when they had been used, as Dask
        does.

    Returns
    -------
    float or array
        Tasks, of the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    A thousand tasks in each of three stages on ten workers; a map, a shuffle, and a shuffle of which nothing is kept:

    >>> recomputed_tasks(1000, 10, 3), recomputed_tasks(1000, 10, 3, wide=True)
    (300.0, 300.0)
    >>> recomputed_tasks(1000, 10, 3, wide=True, kept=False)
    2100.0

    Notes
    -----
    Chapter 16. The worker held n / m results of the last stage, and of each stage before. If a shuffle's inputs are
    gone, each lost result needs all of them again: one death costs nearly everything. That is what a checkpoint (or
    ``persist`` to a disk that survives) after a shuffle is for. Assumes that all results of the last stage are still
    needed.

    References
    ----------
    Zaharia et al.: Resilient distributed datasets: a fault-tolerant abstraction for in-memory cluster computing. NSDI
    2012, sections 4 and 5.4.
    """
    tasks = count("tasks", tasks, low=0)
    workers = count("workers", workers)
    stages = count("stages", stages)
    if wide and not kept:
        return plain(tasks / workers + (stages - 1) * tasks)
    return plain(tasks / workers * stages)


def tasks_to_recompute(
    wanted: Iterable[Task], needs: Mapping[Task, Iterable[Task]], kept: Collection[Task]
) -> set[Task]:
    r"""Return which tasks have to run again, so that all wanted results exist.

    .. math::
        \text{again} = \bigcup_{t \,\in\, \text{wanted}} r(t), \qquad
        r(t) = \begin{cases} \varnothing & t \text{ kept} \\
        \{t\} \cup \bigcup_{u \,\in\, \text{needs}(t)} r(u) & \text{else} \end{cases}

    Parameters
    ----------
    wanted : iterable
        Results that somebody asks for.
    needs : mapping
        The lineage: for each task the tasks whose results it reads; a task that is not in it reads none.
    kept : collection
        Results that still exist: on a worker that lives, or on a disk that survives.

    Returns
    -------
    set
        Of tasks.

    Raises
    ------
    ValueError
        ``needs`` is no mapping.

    Examples
    --------
    c and d both read b, which reads a. The results of c and b are gone, and that of a was freed; d is still there:

    >>> needs = {"d": ["b"], "c": ["b"], "b": ["a"]}
    >>> sorted(tasks_to_recompute(["c", "d"], needs, kept={"d"}))
    ['a', 'b', 'c']

    Notes
    -----
    A walk from what is wanted and gone, towards the inputs, that stops at what is kept; each task counts once, however
    many need it. Chapter 16. `recomputed_tasks` gives the expected number for regular graphs.

    References
    ----------
    Zaharia et al. 2012, as `recomputed_tasks`.
    """
    if not isinstance(needs, Mapping):
        raise ValueError(f"needs is {needs!r:.80}; it must map each task to the tasks whose results it reads")
    kept, again = set(kept), set()
    look = [task for task in wanted if task not in kept]
    while look:
        task = look.pop()
        if task not in again:
            again.add(task)
            look += [before for before in needs.get(task, ()) if before not in kept]
    return again
