"""Where the threads of the workers are, seen by samples: Dask's profiler, and one that keeps the whole stack."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from distributed import Client
from distributed.profile import create, merge

from course.measure import plugins
from course.measure.recording import _by_value

UNTOLD = "(innermost, not told)"
"""The name of the samples of which Dask kept the callers, but not which of several functions they were in."""


@dataclass(frozen=True)
class Frame:
    """A function at a place in the tree of all sampled stacks.

    Attributes
    ----------
    name : str
        Of the function; ``"root"`` for the tree as a whole.
    filename : str
        Where it is defined, on the worker.
    line : int
        Where it was when it was first seen there.
    count : int
        Samples in which it was on the stack, called from the frames above it in the tree.
    children : tuple of Frame
        What it called, the most frequent first.
    """

    name: str
    filename: str
    line: int
    count: int
    children: tuple[Frame, ...] = field(default=(), repr=False)

    @property
    def own(self) -> int:
        """Samples in which it was the innermost function."""
        return self.count - sum(child.count for child in self.children)

    @property
    def module(self) -> str:
        """The package that the function is of, or the file, or ``"notebook"`` for a cell of a notebook."""
        parts = self.filename.replace("\\", "/").split("/")
        if "site-packages" in parts:
            return parts[parts.index("site-packages") + 1].removesuffix(".py")
        if any(part.startswith("ipykernel_") for part in parts) or self.filename.startswith("<ipython"):
            return "notebook"
        if any(part.startswith("python3.") for part in parts):
            return "Python"
        return parts[-1].removesuffix(".py")

    def walk(self) -> Iterator[Frame]:
        """Yield this frame and all below it, callers first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def share(self, name: str) -> float:
        """Return the share of all samples that had a function of this name on the stack; 0 of no samples.

        Examples
        --------
        >>> tree = Frame("root", "", 0, 10, (Frame("load", "task.py", 3, 7), Frame("add", "task.py", 9, 3)))
        >>> tree.share("load")
        0.7
        """
        return self._samples(name) / self.count if self.count else 0.0

    def _samples(self, name: str) -> int:
        # Inside a function that calls itself, a sample counts once.
        return self.count if self.name == name else sum(child._samples(name) for child in self.children)


class Stacks:
    """What `sample_stacks` gives.

    Attributes
    ----------
    seconds : float
        How long was sampled.
    """

    def __init__(self) -> None:
        self._tree: Frame | None = None
        self.seconds = 0.0

    @property
    def tree(self) -> Frame:
        """The sampled stacks of all workers together.

        Raises
        ------
        RuntimeError
            While the block is still running.
        """
        if self._tree is None:
            raise RuntimeError("sampling is not over: read .tree after the `with sample_stacks(client)` block")
        return self._tree


def profile_tree(
    client: Client, *, since: float | None = None, workers: list[str] | None = None, prefix: str | None = None
) -> Frame:
    """Return what Dask's own profiler saw of the tasks, as a tree of functions.

    Every worker looks every 10 ms (``distributed.worker.profile.interval``) at the stack of each of its threads that
    runs a task, and adds it to a tree. It begins a new tree every second (``….cycle``) and keeps the last 1,000
    (``distributed.admin.low-level-log-length``).

    Parameters
    ----------
    client : distributed.Client
        A client of the cluster.
    since : float, optional
        Leave out what was over by then [s since 1970]; whole cycles of a second, so up to a second more is told.
    workers : list of str, optional
        Addresses; by default all.
    prefix : str, optional
        Only tasks whose key begins so (``"inc"`` for ``inc-3f2e…``).

    Returns
    -------
    Frame
        The root of the tree. Its ``count`` is 0 where nothing was sampled, or nothing yet: a worker tells nothing
        before its first second is over.

    Raises
    ------
    ValueError
        If profiling is off (``distributed.worker.profile.enabled``).

    Notes
    -----
    What the profiler measures is *elapsed* time while a task runs: a task that sleeps, waits for a lock or for a disk
    is sampled as one that computes. It sees Python functions only; what they call in C is told as theirs.

    Dask does not count the innermost function of a stack (seen in 2026.8: `Worker.trigger_profile`). Here its samples
    are given back to it where its caller called nothing else; otherwise they are a frame named `UNTOLD`.
    `sample_stacks` knows.

    Dask samples at a fixed period and in the worker's event loop. Work of the same period, or code that holds Python's
    interpreter lock, biases it: see `course.models.lockstep`.

    Taught in chapter 11.

    Examples
    --------
    >>> import time
    >>> from course.measure import cluster
    >>> with cluster(1, processes=False, dashboard=False) as client:
    ...     client.submit(time.sleep, 1.3).result()
    ...     tree = profile_tree(client)
    >>> tree.count > 50
    True
    """
    seen = client.profile(start=since, workers=workers, key=prefix)
    if not seen["count"]:
        enabled = client.run(plugins.profiles)
        if enabled and not any(enabled.values()):
            raise ValueError(
                "the workers do not profile: distributed.worker.profile.enabled must be true at their start"
            )
    return _dasks(seen, seen["count"])


@contextlib.contextmanager
def sample_stacks(client: Client, *, interval: float = 0.01, jitter: float = 1.0) -> Iterator[Stacks]:
    """Sample the stacks of all tasks that run during a block, whole and at random instants.

    Parameters
    ----------
    client : distributed.Client
        All workers are sampled that are there when the block begins or come later.
    interval : float
        Mean seconds between two samples, at least 0.001.
    jitter : float
        How random: each gap is uniform between (1 − jitter) and (1 + jitter) intervals. 0 samples periodically, as Dask
        does.

    Yields
    ------
    Stacks
        With ``.tree`` after the block, a `Frame`, also when the block raised.

    Raises
    ------
    ValueError
        If the interval is below 0.001 s, or the jitter not between 0 and 1.

    Notes
    -----
    A thread in each worker process looks at the same stacks as Dask's profiler does, by the same function
    (`distributed.profile.process`). As `record`, it is a plugin that is sent by value.

    It needs Python's interpreter lock to look: a task in Python code is asked to give it up and does within 5 ms
    (``sys.getswitchinterval()``); a task in C code that keeps the lock is seen only once it has returned.

    Taught in chapter 11.

    References
    ----------
    McCanne, Torek: A randomized sampling clock for CPU utilization estimation and code profiling. USENIX Winter 1993.

    Examples
    --------
    >>> import time
    >>> from course.measure import cluster
    >>> def load():
    ...     time.sleep(0.3)
    >>> def task():
    ...     load()
    ...     time.sleep(0.1)
    >>> with cluster(1, processes=False, dashboard=False) as client, sample_stacks(client) as stacks:
    ...     client.submit(task).result()
    >>> 0.3 < stacks.tree.share("load") <= 1.0  # about 0.75
    True
    """
    if not 0.001 <= interval < float("inf"):
        raise ValueError(f"interval is {interval}; it must be at least 0.001 seconds")
    if not 0 <= jitter <= 1:
        raise ValueError(f"jitter is {jitter}; it must be between 0 (periodic) and 1 (random)")
    name = f"course-stacks-{uuid.uuid4().hex}"
    stacks, began, failed = Stacks(), time.perf_counter(), True
    with _by_value():
        client.register_plugin(plugins.StackSampler(name, interval, jitter))
    try:
        yield stacks
        failed = False
    finally:
        # Nothing may hide what the block raised, which is the likely reason if the cluster is gone.
        with contextlib.suppress(Exception) if failed else contextlib.nullcontext():
            stacks.seconds = time.perf_counter() - began
            with _by_value():
                trees = client.run(plugins.collect_stacks, name, on_error="ignore")
            merged = merge(*trees.values()) if trees else create()
            stacks._tree = _whole(merged)
            client.unregister_worker_plugin(name)


def _frame(node: dict[str, Any], count: int, children: list[Frame]) -> Frame:
    about = node["description"]
    children.sort(key=lambda child: (-child.count, child.name, child.line))
    return Frame(about["name"] or "root", about["filename"], about["line_number"], count, tuple(children))


def _whole(node: dict[str, Any]) -> Frame:
    return _frame(node, node["count"], [_whole(child) for child in node["children"].values()])


def _dasks(node: dict[str, Any], total: int) -> Frame:
    """Convert a node of Dask's, whose ``count`` leaves out the samples in which it was innermost; total has them."""
    below = list(node["children"].values())
    if len(below) == 1:
        return _frame(node, total, [_dasks(below[0], node["count"])])
    told = [_dasks(child, child["count"]) for child in below if child["count"]]
    untold = node["count"] - sum(child.count for child in told)
    if untold and below:
        told.append(Frame(UNTOLD, "", 0, untold))
    return _frame(node, total, told)
