"""Skew heaps (Sleator, Tarjan 1986): of many heaps that share one array of nodes, the smallest key is at the root.

A node is in one heap at most; −1 stands for no node, and for an empty heap.
"""

from __future__ import annotations

import numpy as np

from course.simulate.dask.state import kernel


@kernel
def merged(nodes: np.ndarray, a: int, b: int) -> int:
    """Return the root of two heaps made one."""
    if a < 0:
        return b
    if b < 0:
        return a
    if nodes.key[b] < nodes.key[a]:
        a, b = b, a
    root = a
    while True:  # go down the right spine of a, and swap the children on the way
        child = nodes.right[a]
        nodes.right[a] = nodes.left[a]
        if child < 0:
            nodes.left[a], nodes.above[b] = b, a
            return root
        if nodes.key[b] < nodes.key[child]:
            child, b = b, child
        nodes.left[a], nodes.above[child] = child, a
        a = child


@kernel
def inserted(nodes: np.ndarray, root: int, node: int) -> int:
    """Return the root of a heap with one more node."""
    nodes.left[node], nodes.right[node] = -1, -1
    return merged(nodes, root, node)


@kernel
def removed(nodes: np.ndarray, root: int, node: int) -> int:
    """Return the root of a heap without one of its nodes."""
    rest = merged(nodes, nodes.left[node], nodes.right[node])
    if node == root:
        return rest
    above = nodes.above[node]
    if nodes.left[above] == node:
        nodes.left[above] = rest
    else:
        nodes.right[above] = rest
    if rest >= 0:
        nodes.above[rest] = above
    return root
