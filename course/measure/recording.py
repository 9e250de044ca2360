"""Record a run on Dask as a `Trace`."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from types import ModuleType

import cloudpickle
from distributed import Client

from course.measure import plugins, recorder
from course.recorded import build
from course.trace import Trace


class Recorder:
    """What `record` gives: the `Trace` of the block, once it has ended.

    Attributes
    ----------
    unfinished : int
        Tasks that were still on their way when the recording stopped waiting for them.
    failed : list of str
        Names of the tasks whose last attempt raised.
    """

    def __init__(self) -> None:
        self._trace: Trace | None = None
        self.unfinished = 0
        self.failed: list[str] = []

    @property
    def trace(self) -> Trace:
        """The recorded run.

        Raises
        ------
        RuntimeError
            While the block is still running.
        """
        if self._trace is None:
            raise RuntimeError("the recording is not over: read .trace after the `with record(client)` block")
        return self._trace

    def __repr__(self) -> str:
        return f"Recorder({self._trace!r})" if self._trace is not None else "Recorder(recording)"


@contextlib.contextmanager
def record(client: Client, *, wait: float = 10.0) -> Iterator[Recorder]:
    """Record every task and transfer of a block.

    Parameters
    ----------
    client : distributed.Client
        The cluster to listen to: all its tasks are recorded, also those that other clients submit.
    wait : float
        How long to wait at the end of the block for tasks that are still on their way [s]. After an exception
        in the block: at most one second.

    Yields
    ------
    Recorder
        With ``.trace`` after the block, also when the block raised.

    Notes
    -----
    A plugin of the scheduler keeps the report that a worker sends when a task ends; a plugin of each worker tells it of
    the transfers (the report says that one took place, the worker's log how large it was) and of failed attempts.
    Both are sent by value: neither scheduler nor workers need this package. To record a whole program without a change
    to it, or a scheduler for as long as it lives: `course.measure.recorder`.

    The graph of the trace has the tasks that ran, in the order in which the scheduler learned of them, with Dask's
    keys as names; their durations (of the last attempt) and their bytes. A result from before the block that a task
    reads is a task of no duration. A task that ran twice (its worker died, or it was retried) has two rows; runs that
    ended before the block are none of its rows. One that was submitted again, and ran again because its result had been
    released, is another task of the same name. When each task came to the scheduler is kept, too: that a program waits
    for a result before it submits more cannot be seen in its graph.

    A transfer belongs to the task that made the worker fetch the data (the task whose result it is, if the data was
    fetched for none in particular); it can carry several results at once. It has no thread: workers fetch while
    they compute. Disk times are those above 5 ms, which is when Dask notes them; their bytes are not known. A result
    that was written to disk and that another worker fetches is read within that transfer; what a worker writes between
    tasks, because its process has become too large, is not noted.

    Of a worker that died, what it had finished is known. What it was doing when it died is lost.

    Clocks: Dask corrects compute and transfer times, but not disk times, by each worker's offset from the scheduler's
    clock, as estimated from heartbeats: good to about a millisecond on one machine, and to some 10 ms while a worker is
    busy with its disk or with large transfers, because it then answers late.

    Taught in chapters 10 (where the plugin is built step by step) and 11.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(2, processes=False, dashboard=False) as client:
    ...     with record(client) as run:
    ...         total = client.submit(sum, client.map(abs, [-1, 2, -3])).result()
    >>> len(run.trace.graph), run.trace.cluster.workers, run.trace.origin
    (4, 2, 'measured')
    """
    name = f"course-record-{uuid.uuid4().hex}"
    run = Recorder()
    with _by_value(recorder):
        client.register_plugin(recorder.SchedulerRecorder(name))
        client.register_plugin(recorder.WorkerRecorder(name))
    failed = True
    try:
        yield run
        failed = False
    finally:
        try:
            with _by_value(recorder):
                run.unfinished = _wait(client, name, min(wait, 1.0) if failed else wait)
                told = client.run(recorder.count_told, name, on_error="ignore")
                notes = client.run_on_scheduler(recorder.collect, name, told)
            run._trace, run.failed = build(notes)
        except Exception:
            # Nothing may hide what the block raised, which is the likely reason (the cluster is gone).
            if not failed:
                raise
        finally:
            with contextlib.suppress(Exception) if failed else contextlib.nullcontext():
                client.unregister_worker_plugin(name)
                client.unregister_scheduler_plugin(name)


@contextlib.contextmanager
def _by_value(module: ModuleType = plugins) -> Iterator[None]:
    """Let the plugins of a module travel by value, so that the other side need not have this package."""
    if module.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _wait(client: Client, name: str, limit: float) -> int:
    """Wait until no recorded task is on its way; return how many still are when the time is up."""
    until = time.monotonic() + limit
    while (left := client.run_on_scheduler(recorder.count_unfinished, name)) and time.monotonic() < until:
        time.sleep(0.02)
    return left
