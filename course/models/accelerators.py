"""Accelerators: what a batch pays for its longest member, and a gang for its start. Taught in chapter 24."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from course.domain import number, plain, scalar
from course.models.communication import expected_maximum
from course.models.quantity import amount, count, positive

Number = float | np.ndarray


def continuous_batching_gain(length: Any, places: ArrayLike, fixed: float = 1.0, per_request: float = 0.0) -> Number:
    r"""Return how many times as many tokens continuous batching gives as static batching, where there is always work.

    .. math:: R = \frac{t_0 \, E[\max_B] + t_1 B \, \bar\ell}{t_0 \, \bar\ell + t_1 B \, \bar\ell}

    Parameters
    ----------
    length : scipy.stats frozen continuous distribution
        Of the tokens that a request needs, with a finite mean ℓ > 0.
    places : int or array
        B, requests in a batch.
    fixed : float
        t₀, what an iteration costs however many requests are in it [s].
    per_request : float
        t₁, what each request in it adds [s].

    Returns
    -------
    float or array
        At least 1, of the shape of ``places``; E[max] / mean where nothing is added by a request.

    Raises
    ------
    ValueError
        An argument outside its domain, or both costs 0.

    Examples
    --------
    Exponential lengths give the harmonic numbers; where computing is the limit, and not reading the weights, less.

    >>> from scipy import stats
    >>> continuous_batching_gain(stats.expon(scale=128), [8, 64]).round(2)
    array([2.72, 4.74])
    >>> round(continuous_batching_gain(stats.expon(scale=128), 64, fixed=0.020, per_request=0.0002), 2)
    3.28

    Notes
    -----
    A static batch runs for as many iterations as its longest member; a continuous one is always full. Summed over the
    iterations of a batch, the requests in it are the sum of their lengths, in both ways. Derived here. Chapter 24.

    References
    ----------
    Yang, Xu, Jiao: A queueing theoretic perspective on low-latency LLM inference with variable token length. WiOpt
    2024. Yu, Jeong, Kim, Kim, Chun: Orca: a distributed serving system for transformer-based generative models. OSDI
    2022.
    """
    places = count("places", places, high=1e9)
    fixed, added = scalar("fixed", fixed, amount), scalar("per_request", per_request, amount)
    if fixed + added * float(places.min(initial=1)) <= 0:
        raise ValueError("fixed and per_request are both 0; an iteration must take some time")
    longest = expected_maximum(length, places)
    mean = scalar("the mean length", expected_maximum(length, 1), positive)
    return plain((fixed * longest + added * places * mean) / (mean * (fixed + added * places)))


def gang_utilization(nodes: int, narrow_share: ArrayLike, narrow_mean: float = 1.0, wide_mean: float = 1.0) -> Number:
    r"""Return the share of a full cluster that is used, first come, first served, where some jobs need all of it.

    .. math:: U = \frac{m b_w + b_1 \frac{p}{1 - p}}{m \left[b_w + b_1 \left(\sum_{k=1}^{m} \frac{p^k}{k}
              + \frac{p^{m+1}}{m (1 - p)}\right)\right]}

    Parameters
    ----------
    nodes : int
        m, up to 1 million.
    narrow_share : float or array
        p in [0, 1): the share of the jobs that need one node; the others need all m.
    narrow_mean, wide_mean : float
        b₁ and b_w, mean run times; those of narrow jobs are exponential [s].

    Returns
    -------
    float or array
        In (0, 1]; also the highest load that first come, first served can carry.

    Raises
    ------
    ValueError
        An argument outside its domain; the message says what is allowed.

    Examples
    --------
    >>> round(gang_utilization(8, 0.8), 3), round(gang_utilization(64, 0.95), 3)
    (0.569, 0.324)

    Notes
    -----
    Between two wide jobs come G narrow ones, P(G ≥ k) = pᵏ. The cluster works on them, then empties. While all nodes
    are busy one ends each b₁/m; the last m end like the largest of m exponential times. So the k-th narrow job makes
    the time between two wide ones longer by b₁/k for k ≤ m, by b₁/m beyond. Derived here; a case (widths 1 and m) of
    what Grosof et al. solve for any two classes. Chapter 24.

    References
    ----------
    Grosof, Harchol-Balter, Scheller-Wolf: Stability for two-class multiserver-job systems. arXiv:2010.00631, 2020.
    """
    m = int(scalar("nodes", nodes, count, high=1e6))
    p = number("narrow_share", narrow_share, low=0, high=1 - 1e-12)
    narrow, wide = scalar("narrow_mean", narrow_mean, amount), scalar("wide_mean", wide_mean, positive)
    k = np.arange(1, m + 1)
    with np.errstate(under="ignore"):
        drained = np.array([(x**k / k).sum() for x in p.ravel()]).reshape(p.shape)
        drained = drained + p ** (m + 1) / (m * (1 - p))
    used = m * wide + narrow * p / (1 - p)
    return plain(np.minimum(used / (m * (wide + narrow * drained)), 1.0))
