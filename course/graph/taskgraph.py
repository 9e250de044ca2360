"""`TaskGraph`: tasks, their costs and their dependencies, as flat arrays."""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import networkx

    from course.trace import Trace


MOST = 1e300
"""What the costs of a graph may add up to: beyond it, sums of times would no longer be finite."""


class GraphError(ValueError):
    """The input does not describe a task graph; the message says where and why."""


class CycleError(GraphError):
    """Tasks that wait for each other in a circle; `cycle` lists them, first and last the same."""

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = list(cycle)
        shown = self.cycle if len(self.cycle) <= 12 else [*self.cycle[:6], "…", *self.cycle[-5:]]
        super().__init__(f"the tasks wait for each other in a circle: {' → '.join(shown)}")


class TaskGraph:
    """A directed acyclic graph of tasks 0 … n−1.

    Parameters
    ----------
    duration : array, shape (n,)
        Seconds that each task takes on a worker of speed 1.
    output_size : float or array, shape (n,)
        Bytes that each task hands to its successors.
    predecessors : sequence of n sequences of int, or (indptr, indices)
        For each task, the tasks that must finish before it starts; or the same in compressed sparse row (CSR) form:
        the predecessors of task i are ``indices[indptr[i]:indptr[i + 1]]``.
    edge_size : array, shape (number of edges,), optional
        Bytes on each edge, in the order of ``indices``, where successors read different amounts of one output.
        Without it every successor reads the whole ``output_size``.
    names : sequence of n str, optional
        Names of the tasks (Dask's keys, the letters of a textbook's figure). Without it, "0", "1", …

    Raises
    ------
    GraphError
        Wrong shapes; NaN, infinite or negative costs, or costs that add up to more than 1e300; predecessors that do not
        exist; a duplicated edge.
    CycleError
        Tasks that wait for each other in a circle.

    Examples
    --------
    A diamond: task 3 waits for 1 and 2, which wait for 0.

    >>> graph = TaskGraph([1, 2, 4, 1], 0, [[], [0], [0], [1, 2]])
    >>> graph.work, graph.span, graph.width
    (8.0, 6.0, 2)
    >>> graph.critical_path()
    [0, 2, 3]

    Notes
    -----
    Taught in chapter 05. The arrays are read-only: a graph does not change once it is made.
    """

    def __init__(
        self,
        duration: ArrayLike,
        output_size: ArrayLike = 0.0,
        predecessors: Any = None,
        *,
        edge_size: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.duration = _costs("duration", duration, None)
        n = len(self.duration)
        self.output_size = _costs("output_size", output_size, n)
        self.indptr, self.indices = _csr(predecessors, n)
        self.edge_size: np.ndarray | None = None
        if edge_size is not None:
            self.edge_size = _costs("edge_size", edge_size, len(self.indices))
            if not len(self.indices):
                self.edge_size = None  # nothing to tell apart
        self.names: tuple[str, ...] | None = None
        if names is not None:
            as_they_are = isinstance(names, tuple) and set(map(type, names)) <= {str}
            self.names = names if as_they_are else tuple(str(name) for name in names)
            if len(self.names) != n:
                raise GraphError(f"names has {len(self.names)} entries for {n} tasks; give one for each")
        _check_edges(self.indptr, self.indices, n, self.name)
        for array in (self.duration, self.output_size, self.indptr, self.indices, self.edge_size):
            if array is not None:
                array.flags.writeable = False
        self.topological_order  # noqa: B018  (finds cycles now, not later)

    # ---- what it is made from

    @classmethod
    def from_edges(
        cls,
        duration: ArrayLike,
        edges: Iterable[Sequence[int]],
        output_size: ArrayLike = 0.0,
        *,
        names: Sequence[str] | None = None,
    ) -> TaskGraph:
        """Make a graph from edges ``(before, after)`` or ``(before, after, bytes)``.

        Examples
        --------
        >>> TaskGraph.from_edges([3, 2, 1], [(0, 1), (0, 2)])
        TaskGraph(3 tasks, 2 edges, work 6 s, span 5 s)
        """
        n = len(_costs("duration", duration, None))
        try:
            edges = [tuple(edge) for edge in edges]
        except TypeError:
            raise GraphError("edges must be pairs (before, after) or triples (before, after, bytes)") from None
        widths = {len(edge) for edge in edges}
        if not widths <= {2} and not widths <= {3}:
            raise GraphError("edges must all be (before, after) or all be (before, after, bytes)")
        for edge in edges:
            if not all(isinstance(end, (int, np.integer)) and 0 <= end < n for end in edge[:2]):
                raise GraphError(f"edge {edge} must join two tasks by their numbers, whole and in 0 … {n - 1}")
        table = np.asarray(edges, dtype=float).reshape(len(edges), max(widths, default=2))
        before, after = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
        order = np.argsort(after, kind="stable")
        indptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(np.bincount(after, minlength=n), out=indptr[1:])
        sizes = table[order, 2] if widths == {3} else None
        return cls(duration, output_size, (indptr, before[order]), edge_size=sizes, names=names)

    @classmethod
    def from_dask(
        cls,
        *collections: Any,
        duration: float | Mapping[Any, float] | Callable[[Any], float] = 1.0,
        output_size: float | Mapping[Any, float] | Callable[[Any], float] = 0.0,
        optimize_graph: bool = True,
    ) -> TaskGraph:
        """Make a graph from any Dask collections: what Dask's scheduler would be given.

        Parameters
        ----------
        *collections
            Arrays, data frames, bags, delayed values, or a plain Dask graph (a dict).
        duration, output_size
            One number for all tasks, a mapping from Dask key to number, or a function of the key.
        optimize_graph : bool
            Whether Dask's optimisation (fusion among it) is applied first, as ``compute`` would.

        Returns
        -------
        TaskGraph
            With Dask's keys as names. Literal data and aliases are not tasks and are left out.

        Examples
        --------
        >>> import dask
        >>> inc = dask.delayed(lambda x: x + 1)
        >>> TaskGraph.from_dask(inc(inc(1)), duration=0.5, optimize_graph=False)
        TaskGraph(2 tasks, 1 edges, work 1 s, span 1 s)
        """
        from course.graph.readers import read_dask

        return read_dask(collections, duration, output_size, optimize_graph)

    @classmethod
    def from_wfcommons(cls, path: str | Path) -> TaskGraph:
        """Read a workflow in the WfCommons JSON format (schema 1.3 and later).

        Durations are the recorded run times, 0 where none was recorded; the size of an edge is that of the files that
        pass along it.

        Raises
        ------
        OSError
            If the file cannot be read.
        GraphError
            If it is no workflow in that format.
        """
        from course.graph.readers import read_wfcommons

        return read_wfcommons(path)

    @classmethod
    def from_networkx(cls, graph: networkx.DiGraph) -> TaskGraph:
        """Make a graph from a networkx `DiGraph`.

        Parameters
        ----------
        graph : networkx.DiGraph
            Nodes have ``duration`` and may have ``output_size`` (0 without it) and ``name`` (the node without it);
            edges may have ``size`` (the whole ``output_size`` without it).

        Raises
        ------
        GraphError
            Undirected graphs and multigraphs; nodes without a duration.
        """
        from course.graph.readers import read_networkx

        return read_networkx(graph)

    @classmethod
    def from_trace(cls, trace: Trace) -> TaskGraph:
        """Return the graph of a run with the durations that its tasks really took."""
        computes = trace.kind == 0
        duration = np.bincount(
            trace.task[computes],
            weights=(trace.stop - trace.start)[computes],
            minlength=len(trace.graph),
        )
        return trace.graph.replace(duration=duration)

    def to_networkx(self) -> networkx.DiGraph:
        """Return a networkx `DiGraph` of the tasks 0 … n−1, which `from_networkx` reads without loss.

        Nodes have ``name``, ``duration`` and ``output_size``; edges have ``size`` where the graph gives them sizes of
        their own.
        """
        from course.graph.readers import write_networkx

        return write_networkx(self)

    def replace(self, **changes: Any) -> TaskGraph:
        """Return the same graph with some of its parts changed.

        Examples
        --------
        >>> TaskGraph([1, 2], 0, [[], [0]]).replace(duration=[5, 5]).work
        10.0
        """
        parts = {
            "duration": self.duration,
            "output_size": self.output_size,
            "predecessors": (self.indptr, self.indices),
            "edge_size": self.edge_size,
            "names": self.names,
        }
        unknown = set(changes) - set(parts)
        if unknown:
            raise TypeError(f"{sorted(unknown)} are not parts of a graph; its parts are {sorted(parts)}")
        if "predecessors" in changes and "edge_size" not in changes:
            parts["edge_size"] = None
        return TaskGraph(**(parts | changes))

    # ---- reading it

    def __len__(self) -> int:
        return len(self.duration)

    def __repr__(self) -> str:
        if not len(self):
            return "TaskGraph(0 tasks)"
        return (
            f"TaskGraph({len(self)} tasks, {len(self.indices)} edges, work {self.work:.4g} s, span {self.span:.4g} s)"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskGraph):
            return NotImplemented
        return (
            np.array_equal(self.duration, other.duration)
            and np.array_equal(self.output_size, other.output_size)
            and np.array_equal(self.indptr, other.indptr)
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.sizes, other.sizes)
            # Not the same even where the bytes are: without sizes of their own all successors share one output.
            and (self.edge_size is None) == (other.edge_size is None)
            and [self.name(i) for i in range(len(self))] == [other.name(i) for i in range(len(other))]
        )

    __hash__ = None

    def name(self, task: int) -> str:
        """Return the name of a task."""
        return self.names[task] if self.names is not None else str(task)

    def predecessors(self, task: int) -> np.ndarray:
        """Return the tasks that must finish before this one starts."""
        return self.indices[self.indptr[task] : self.indptr[task + 1]]

    def successors(self, task: int) -> np.ndarray:
        """Return the tasks that wait for this one."""
        indptr, indices = self.successor_arrays
        return indices[indptr[task] : indptr[task + 1]]

    @property
    def sizes(self) -> np.ndarray:
        """Bytes on each edge, in the order of ``indices``."""
        return self.edge_size if self.edge_size is not None else self.output_size[self.indices]

    @cached_property
    def successor_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The successors in CSR form: ``indices[indptr[i]:indptr[i + 1]]`` wait for task i."""
        from course.graph.levels import successors

        return successors(self.indptr, self.indices)

    @cached_property
    def topological_order(self) -> np.ndarray:
        """The tasks in an order in which each comes after all its predecessors."""
        n = len(self)
        owner = np.repeat(np.arange(n), np.diff(self.indptr))
        if (self.indices < owner).all():  # numbered so already, as most graphs are
            return np.arange(n)
        from course.graph.levels import topological_order

        order = topological_order(self.indptr, *self.successor_arrays)
        if len(order) < n:  # the tasks left over wait for each other, or for those that do
            left = np.setdiff1d(np.arange(n), order)
            try:
                graphlib.TopologicalSorter({i: self.predecessors(i).tolist() for i in left.tolist()}).prepare()
            except graphlib.CycleError as error:
                raise CycleError([self.name(i) for i in error.args[1]]) from None
        return order

    @cached_property
    def prefixes(self) -> tuple[list[str], np.ndarray]:
        """The kinds of tasks: their key prefixes, and the number of each task's prefix, shape (n,)."""
        from course.graph.prefixes import key_prefixes

        if self.names is None:
            return (["task"] if len(self) else []), np.zeros(len(self), np.int64)
        return key_prefixes(self.names)

    # ---- its numbers

    @property
    def work(self) -> float:
        """The time on one worker: the sum of all durations [s]."""
        return float(self.duration.sum())

    @property
    def span(self) -> float:
        """The time on endlessly many workers: the longest path [s]."""
        return float(self.b_level().max(initial=0.0))

    def t_level(self, edge_cost: ArrayLike = 0.0) -> np.ndarray:
        """Return the earliest start of each task [s] when no task ever waits for a worker, shape (n,).

        Parameters
        ----------
        edge_cost : float or array, shape (number of edges,)
            Seconds that the data on an edge needs.
        """
        from course.graph.levels import t_level

        return t_level(self.topological_order, self.duration, self.indptr, self.indices, self._edge_cost(edge_cost))

    def b_level(self, edge_cost: ArrayLike = 0.0) -> np.ndarray:
        """Return the longest way from the start of each task to the end of the graph [s], shape (n,).

        Also called upward rank. The largest is the span.

        Examples
        --------
        >>> TaskGraph([1, 2, 4, 1], 0, [[], [0], [0], [1, 2]]).b_level()
        array([6., 3., 5., 1.])
        """
        from course.graph.levels import b_level

        return b_level(self.topological_order, self.duration, self.indptr, self.indices, self._edge_cost(edge_cost))

    def critical_path(self) -> list[int]:
        """Return the tasks of a longest path, from first to last."""
        if not len(self):
            return []
        level = self.b_level()
        task = int(level.argmax())
        path = [task]
        while len(after := self.successors(task)):
            task = int(after[level[after].argmax()])
            path.append(task)
        return path

    @cached_property
    def width(self) -> int:
        """The most tasks that run together when none ever waits for a worker.

        With this many workers the span is reached; more never help.
        """
        if not len(self):
            return 0
        start = self.t_level()
        times = np.concatenate([start, start + self.duration])
        change = np.repeat([1, -1], len(self))
        # At one instant the tasks that stop make room first; a task of no duration needs no room.
        order = np.lexsort((change, times))
        return max(int(np.cumsum(change[order]).max()), 1)

    def _edge_cost(self, edge_cost: ArrayLike) -> np.ndarray:
        cost = np.array(edge_cost, dtype=float)  # a copy: numba compiles anew for an array that cannot be written
        if cost.shape not in ((), (1,), self.indices.shape):
            raise ValueError(f"edge_cost has shape {cost.shape}; it must be a number, or {self.indices.shape}")
        if not ((cost >= 0) & (cost <= MOST)).all():
            bad = cost[~((cost >= 0) & (cost <= MOST))].flat[0]
            raise ValueError(f"edge_cost is {bad}; it must be at least 0 and at most {MOST:g}")
        return cost.reshape(-1)  # one stands for all


def _costs(name: str, values: ArrayLike, length: int | None) -> np.ndarray:
    """Return costs as a float array of their own, refusing what is no cost."""
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise GraphError(f"{name} must be numbers; got {values!r:.80}") from None
    if length is None:
        array = np.atleast_1d(array)
    elif array.ndim == 0:
        array = np.full(length, float(array))
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "(n,)" if length is None else f"({length},)"
        raise GraphError(f"{name} has shape {array.shape}; it must be {wanted}")
    if not (array.min(initial=0) >= 0 and array.max(initial=0) < np.inf):
        i = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))[0]
        raise GraphError(f"{name}[{i}] is {array[i]}; it must be finite and at least 0")
    with np.errstate(over="ignore"):
        total = array.sum()
    if total > MOST:
        raise GraphError(f"{name} adds up to {total:g}; it may add up to at most {MOST:g}")
    return array


def _csr(predecessors: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predecessors as (indptr, indices), whichever way they were given."""
    if predecessors is None:
        return np.zeros(n + 1, dtype=np.int64), np.empty(0, dtype=np.int32)
    if isinstance(predecessors, tuple) and len(predecessors) == 2 and isinstance(predecessors[0], np.ndarray):
        parts = [np.asarray(part) for part in predecessors]
        if any(len(part.shape) != 1 or (part.size and part.dtype.kind not in "iu") for part in parts):
            raise GraphError("indptr and indices must be arrays of whole numbers, of shapes (n + 1,) and (edges,)")
        indptr, indices = (np.array(part, dtype=np.int64) for part in parts)
        if indptr.shape != (n + 1,) or indptr[0] != 0 or (np.diff(indptr) < 0).any() or indptr[-1] != len(indices):
            raise GraphError(f"indptr must be {n + 1} numbers that rise from 0 to len(indices) = {len(indices)}")
    else:
        try:
            rows = [list(row) for row in predecessors]
        except TypeError:
            raise GraphError(f"predecessors must hold a sequence for each task; got {predecessors!r:.80}") from None
        if len(rows) != n:
            raise GraphError(f"predecessors has {len(rows)} rows for {n} tasks; give one for each")
        indptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=indptr[1:])
        flat = list(itertools.chain.from_iterable(rows))
        strange = [kind for kind in set(map(type, flat)) if not issubclass(kind, (int, np.integer)) or kind is bool]
        if strange:
            raise GraphError(f"predecessors must be whole numbers, the ids of tasks; got a {strange[0].__name__}")
        indices = np.array(flat, dtype=np.int64)
    outside = (indices < 0) | (indices >= n)
    if outside.any():
        at = int(np.flatnonzero(outside)[0])
        owner = int(np.searchsorted(indptr, at, side="right")) - 1
        raise GraphError(f"task {owner} waits for task {indices[at]}, which does not exist; tasks are 0 … {n - 1}")
    return indptr, indices.astype(np.int32)


def _check_edges(indptr: np.ndarray, indices: np.ndarray, n: int, name: Callable[[int], str]) -> None:
    owner = np.repeat(np.arange(n), np.diff(indptr))
    itself = np.flatnonzero(owner == indices)
    if len(itself):
        task = name(int(owner[itself[0]]))
        raise CycleError([task, task])
    if ((indices[1:] > indices[:-1]) | (owner[1:] > owner[:-1])).all():
        return  # the predecessors of each task rise, as they mostly do: none is there twice
    pairs = np.sort(owner.astype(np.int64) * max(n, 1) + indices)
    twice = np.flatnonzero(pairs[1:] == pairs[:-1])
    if len(twice):
        after, before = divmod(int(pairs[twice[0]]), max(n, 1))
        raise GraphError(f"task {name(after)} names its predecessor {name(before)} twice")


def checked_graph(graph: object) -> TaskGraph:
    """Return an argument that must be a graph, or raise `ValueError`.

    Examples
    --------
    >>> checked_graph([1, 2])
    Traceback (most recent call last):
    ValueError: graph is [1, 2]; it must be a TaskGraph
    """
    if not isinstance(graph, TaskGraph):
        raise ValueError(f"graph is {graph!r:.80}; it must be a TaskGraph")
    return graph
