"""Start a Dask cluster, or join the one that Dask's configuration or the learner's invitation names."""

from __future__ import annotations

import _imp
import asyncio
import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import dask
import locket
from dask.system import CPU_COUNT
from dask.utils import parse_timedelta
from distributed import CancelledError, Client, LocalCluster, Nanny, Status, Worker
from distributed.client import AllExit
from distributed.system import MEMORY_LIMIT as MEMORY_LIMIT

from course.domain import scalar
from course.measure import plugins
from course.measure.invitation import BACK, kept
from course.measure.recording import _by_value

# A worker process that has not reported within this time (seconds) counts as not startable.
START_TIMEOUT = 60.0
_FOLDER_PREFIX = "course-dask-"


class _PromptNanny(Nanny):
    """Guards a worker process; when closed, gives a task in progress two seconds, not Dask's four.

    An interrupt (Ctrl-C, the button of JupyterLab) reaches all processes of a group. It is meant for the program,
    which then closes its cluster; a worker that it reached, too, would end with tracebacks in the midst of that. So it
    is kept from the thread that starts the worker processes, from which they inherit this.
    """

    async def start_unsafe(self) -> Nanny:
        if sys.platform != "win32":  # on Windows a process in a group of its own gets none
            resource_tracker.ensure_running()  # its start would let interrupts through again
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return await super().start_unsafe()

    async def close(self, timeout: float = 5, reason: str = "nanny-close") -> str:
        return await super().close(timeout=min(timeout, 2.5), reason=reason)


class _LoopbackWorker(Worker):
    """A worker in a thread of this process. Dask's own would serve its metrics on all devices."""

    def start_http_server(self, routes: Any, dashboard_address: str | None, *rest: Any, **options: Any) -> None:
        super().start_http_server(routes, dashboard_address or "127.0.0.1:0", *rest, **options)


def _later(worker_class: type, seconds: float) -> type:
    """Return a class of workers (or nannies) that begin to start only after so many seconds."""
    if not seconds:
        return worker_class

    class Later(worker_class):
        async def start_unsafe(self) -> Any:
            await asyncio.sleep(seconds)
            return await super().start_unsafe()

    return Later


class _InterruptibleStart:
    """For a cluster's class: takes the workers down when the cluster's own start is interrupted.

    Dask cleans up after an `Exception` during the start, but Ctrl-C (a `KeyboardInterrupt`) is none.
    """

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except Exception:
            raise
        except BaseException:
            with _kept_back(), contextlib.suppress(Exception):  # what is to be seen is the interrupt
                self.sync(self._end_begun)
                self.close()
            raise

    async def _end_begun(self) -> None:
        """Take down what had begun to start: the cluster does not count it as its own yet."""
        begun = list(self._created)
        await asyncio.gather(*begun, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in begun), return_exceptions=True)
        if self.status is not Status.running and self.scheduler is not None:
            await self.scheduler.close()


class _LocalCluster(_InterruptibleStart, LocalCluster):
    """A local cluster whose start can be interrupted, and that names the right dashboard."""

    @property
    def dashboard_link(self) -> str:
        """Where the dashboard is served. (For workers in threads, Dask names an address without a server.)"""
        link = super().dashboard_link
        if self.scheduler_address.startswith("inproc://"):
            host = self.scheduler_address.removeprefix("inproc://").split("/")[0]
            link = link.replace(host, "127.0.0.1")
        return link


@contextlib.contextmanager
def cluster(
    workers: int | None = None,
    threads: int | None = None,
    *,
    processes: bool = True,
    dashboard: bool = True,
    local: bool = False,
    config: Mapping[str, Any] | None = None,
    start_delay: float = 0.0,
    worker_log: bool = True,
    **options: Any,
) -> Iterator[Client]:
    """Give a client of a Dask cluster, and take down what was started when the block ends.

    Dask's own settings decide which cluster: where they name one (``DASK_SCHEDULER_ADDRESS``,
    ``DASK_SCHEDULER_FILE``, or ``scheduler-address`` and ``scheduler-file`` in a configuration file) the
    client joins it, and `workers`, `threads`, `processes`, `config` and `options` say nothing about it. It is
    left running. Otherwise it joins, in the same way, the class cluster that the learner has joined with
    ``course cluster join`` (or that ``COURSE_CLUSTER`` names). Otherwise a local cluster is started on the loopback
    device, on free ports.

    Whatever way the block ends (also by an exception or Ctrl-C), the processes, the settings and the spill
    folder of a local cluster end with it. When the process itself is killed outright, the workers notice
    and exit within a second; the spill folder then stays until the next call of this function on the same
    machine removes it.

    Parameters
    ----------
    workers : int, optional
        Number of workers. Default: as many as cores (divided by `threads`).
    threads : int, optional
        Threads of each worker. Default: 1.
    processes : bool
        Whether each worker is a process of its own. With False, workers are threads of this process: they
        start in milliseconds, share Python's interpreter lock and pass data without copying it.
    dashboard : bool
        Whether to serve Dask's dashboard, on the loopback device.
    local : bool
        Start a local cluster even if another one is named or joined.
    config : mapping, optional
        Dask settings that hold inside the block only, for example
        ``{"distributed.scheduler.worker-saturation": 1.0}``.
    start_delay : float
        Seconds that each worker of a local cluster waits before it starts, those of the beginning too, as if a machine
        had to be ordered first. For clusters that grow: ``client.cluster.adapt()``, chapter 17.
    worker_log : bool
        Whether what the worker processes of a local cluster log is shown on standard error, too;
        ``client.get_worker_logs()`` has it either way. In chapter 22 workers run out of memory, and say so often.
    **options
        Passed to `distributed.LocalCluster`.

    Yields
    ------
    distributed.Client
        The client; it is the default one inside the block.

    Raises
    ------
    ValueError
        If `workers` or `threads` is not a whole number of at least 1; if `start_delay` is negative, or not below 60 s.
    OSError
        If the cluster that the configuration or the learner's invitation names does not answer, or is lost inside the
        block.
    TimeoutError
        If the scheduler's file that it names does not appear in time.

    Notes
    -----
    Where processes cannot be started (a script without ``if __name__ == "__main__"``, a program read from
    standard input, no permission) the workers become threads, and the reason is printed. A worker process
    that does not report within 60 s counts as not startable.

    Taught in chapter 08 (deploying) and used by every chapter.

    Examples
    --------
    >>> with cluster(2, processes=False, dashboard=False) as client:
    ...     sum(client.gather(client.map(abs, [-1, 2, -3])))
    6
    """
    workers, threads = _sizes(workers, threads)
    start_delay = scalar("start_delay", start_delay, low=0, high=START_TIMEOUT)
    _let_others_import()
    with dask.config.set(config or {}):
        if not local and _configured():
            advice = "start it again, or take away the setting of Dask that names it"
            with _joined(lambda: Client(scheduler_file=_scheduler_file()), advice) as client:
                yield client
        elif not local and (invitation := kept()):
            with _joined(invitation.client, BACK) as client:
                yield client
        else:
            with _local(workers, threads, processes, dashboard, start_delay, worker_log, options) as client:
                yield client


def _sizes(workers: int | None, threads: int | None) -> tuple[int, int]:
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and (isinstance(value, bool) or int(value) != value or value < 1):
            raise ValueError(f"{name}={value!r}: must be a whole number of at least 1")
    threads = int(threads or 1)
    return int(workers or max(1, CPU_COUNT // threads)), threads


def _let_others_import() -> None:
    """Give back Python's import lock, if an interrupt left it taken by this thread.

    Imports take it for moments only. An interrupt in one of them (while a cell with imports runs) leaves it taken for
    good: this thread imports on, but the next thread that does, as a cluster's do, waits for ever, and so does who
    waits for the cluster. Nothing that is called from outside of an import can hold it rightly.
    """
    with contextlib.suppress(RuntimeError):  # what it raises when this thread does not hold it (any more)
        while True:
            _imp.release_lock()


def _configured() -> bool:
    """Tell whether Dask's configuration names a cluster to join."""
    return bool(dask.config.get("scheduler-address", None) or dask.config.get("scheduler-file", None))


@contextlib.contextmanager
def _joined(connect: Callable[[], Client], advice: str) -> Iterator[Client]:
    # Joining makes a scratch folder too.
    with _spill_folder() as folder, _unchanged_environment(), dask.config.set({"temporary-directory": str(folder)}):
        client = connect()
        address = client.scheduler.address
        try:
            info = client.scheduler_info(n_workers=-1)["workers"].values()
            slots = sum(worker["nthreads"] for worker in info)
            print(f"Joined the cluster at {address}: {len(info)} workers, {slots} threads.")
            yield client
        except (CancelledError, OSError) as error:
            if client.status != "connecting":  # what Dask's clients are when they have lost their scheduler
                raise
            raise ConnectionError(
                f"the cluster at {address} has ended, or the network to it; what was submitted there is lost. "
                f"Run the cell again when it is back; {advice}"
            ) from error
        finally:
            with _kept_back("CancelledError"):  # a client that is closed while it tries to reconnect
                client.close()


def _scheduler_file() -> str | None:
    """Return the scheduler's file that Dask's configuration names, when it is there; None if an address is named.

    `Client` itself reads only ``scheduler-address`` from the configuration, and waits for a file for ever.
    """
    if dask.config.get("scheduler-address", None):
        return None
    file = str(dask.config.get("scheduler-file"))
    limit = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    until = time.monotonic() + limit
    while not os.path.exists(file):
        if time.monotonic() > until:
            raise TimeoutError(
                f"scheduler-file is {file!r}, and no such file appeared within {limit:g} s; start a scheduler with "
                "`dask scheduler --scheduler-file …`, or take the setting away"
            )
        time.sleep(0.02)
    return file


@contextlib.contextmanager
def _local(
    workers: int,
    threads: int,
    processes: bool,
    dashboard: bool,
    start_delay: float,
    worker_log: bool,
    options: Mapping[str, Any],
) -> Iterator[Client]:
    if processes and (reason := _why_no_processes()):
        print(f"The workers are threads of this process, because {reason}.")
        processes = False
    with _spill_folder() as folder, _unchanged_environment(), dask.config.set(_local_config(folder)):
        settings = {
            "n_workers": workers,
            "threads_per_worker": threads,
            "memory_limit": MEMORY_LIMIT // workers,
            "host": "127.0.0.1" if processes else None,
            # Without an address Dask would serve its metrics on all devices, at port 8787.
            "dashboard_address": "127.0.0.1:0",
            "scheduler_kwargs": {"dashboard": dashboard},
            **options,
        }
        _keep_back_what_nobody_waits_for()
        _keep_back_shuffles()
        # Dask asks which address reaches the internet, to name workers in threads by it, and warns if there is none.
        warnings.filterwarnings("ignore", "Couldn't detect a suitable IP address", RuntimeWarning)
        running = None
        if processes:
            try:
                nanny = _later(_PromptNanny, start_delay)
                running = _LocalCluster(worker_class=nanny, death_timeout=START_TIMEOUT, **settings)
            except (OSError, RuntimeError, TimeoutError) as error:
                print(f"The workers are threads of this process, because processes did not start: {error}")
                settings["host"], processes = options.get("host"), False
        if running is None:
            settings["worker_class"] = _later(settings.get("worker_class", _LoopbackWorker), start_delay)
            running = _LocalCluster(processes=False, **settings)
        client = None
        try:
            client = Client(running)
            if processes:
                with _by_value(plugins):  # so that a worker need not import this package, and pandas with it: 70 MB
                    client.register_plugin(plugins.QuietEnd())
                    if not worker_log:
                        client.register_plugin(plugins.NoLog())
            yield client
        finally:
            with _kept_back():
                try:
                    if client is not None:
                        client.close()
                finally:
                    running.close()


def _local_config(folder: Path) -> dict[str, Any]:
    """Return the settings of a local cluster: where it spills, and what its workers need not report.

    A worker that is closed in mid-task warns of every task that it drops, on standard error. Its level of logging
    can be set only by its environment, which must hold before it starts.
    """
    environ = dask.config.get("distributed.nanny.pre-spawn-environ")
    quiet = {"DASK_DISTRIBUTED__LOGGING": "{'distributed.worker.state_machine': 'error'}"}
    return {
        "temporary-directory": str(folder),
        "distributed.nanny.pre-spawn-environ": {**quiet, **environ},
    }


def _why_no_processes() -> str | None:
    """Say why a spawned process cannot import the main program, or None if it can.

    A spawned worker imports the main script anew. Without a guard it would reach `cluster()` again; Python
    then refuses to start the process, after printing a traceback for each worker. Found out beforehand, that
    costs nothing. A script that guards something else but not this call is noticed in the child (below).
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # We are that child. One line is enough; the parent falls back to threads.
        sys.exit("cluster() was reached while a worker imported the main script: put the call under "
                 "`if __name__ == '__main__':`")  # fmt: skip
    if multiprocessing.current_process().daemon:
        return "a worker process may not start processes"
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or getattr(main, "__spec__", None) is not None:
        return None  # a notebook, an interactive session, or `python -m …`
    try:
        source = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None if path.endswith((".exe", ".pyc")) else f"the main program {path!r} is not a file"
    if "__name__" not in source:
        return f"{Path(path).name} has no `if __name__ == '__main__':`, which new processes need"
    return None


@contextlib.contextmanager
def _spill_folder() -> Iterator[Path]:
    """Make the folder for the workers' files; remove it, and those of processes that were killed."""
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=_spill_base()))
    lock = locket.lock_file(str(folder / "lock"), timeout=0)
    lock.acquire()
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _spill_base() -> str:
    return dask.config.get("temporary-directory", None) or tempfile.gettempdir()


def _remove_abandoned() -> None:
    """Remove spill folders whose owner is gone: only a living process holds the lock inside."""
    for folder in Path(_spill_base()).glob(f"{_FOLDER_PREFIX}*"):
        path = folder / "lock"
        try:
            if time.time() - path.stat().st_mtime < 5.0:
                continue  # its owner may be about to take the lock
            with locket.lock_file(str(path), timeout=0):
                pass
        except (OSError, locket.LockError):
            continue
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _unchanged_environment() -> Iterator[None]:
    """Undo what Dask writes into this process's environment when it starts worker processes."""
    names = [*dask.config.get("distributed.nanny.pre-spawn-environ"),
             "DASK_DISTRIBUTED__LOGGING", "PYTHONHASHSEED", "__DASK_PARENT_PID"]  # fmt: skip
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a record of asyncio is of anything else than of what nobody waits for any more."""
    error = record.exc_info[1] if record.exc_info else None
    text = record.getMessage()
    timer = isinstance(error, TimeoutError) and str(error) == "Timeout"
    return not (
        (timer and text.startswith("Future exception was never retrieved"))
        or (isinstance(error, CancelledError | AllExit) and text.startswith("Task exception was never retrieved"))
    )


def _keep_back_what_nobody_waits_for() -> None:
    """Keep back what asyncio logs, much later, about what a cluster's end has left without anybody to hear of it.

    Dask sends messages in batches and waits for the next one with a timer. When the cluster is closed during that wait
    (one time in some hundreds), the timer runs out. And who was interrupted while it waited for a result no longer
    does: the result is cancelled with the cluster.
    """
    log = logging.getLogger("asyncio")
    if _is_news not in log.filters:
        log.addFilter(_is_news)


def _is_trouble(record: logging.LogRecord) -> bool:
    """Tell whether a record of a shuffle is anything else than that it begins or ends."""
    text = record.getMessage()
    return not ("initialized by task" in text or "deactivated due to stimulus 'task-finished" in text)


def _keep_back_shuffles() -> None:
    """Keep back that a shuffle from worker to worker begins and ends, both of which Dask logs as warnings."""
    log = logging.getLogger("distributed.shuffle._scheduler_plugin")
    if _is_trouble not in log.filters:
        log.addFilter(_is_trouble)


@contextlib.contextmanager
def _kept_back(*more: str) -> Iterator[None]:
    """Keep back what Dask logs, inside the block, about connections and workers that end because we end them.

    With `more`, records that hold one of these texts are kept back, too.
    """
    expected = ("CommClosed", "Connection to", "still alive after", "lost connection", "Removing worker",
                "retire", "Lost connection", "heartbeat", "Async instruction", *more)  # fmt: skip

    def keep(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        return not any(word in text or word in error for word in expected)

    handlers = logging.getLogger("distributed").handlers
    for handler in handlers:
        handler.addFilter(keep)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(keep)


@contextlib.contextmanager
def expect_faults() -> Iterator[None]:
    """Keep back what Dask logs, on standard error, about workers that are killed or frozen inside the block.

    Only records of lost connections, of missed heartbeats, of workers that are restarted and of tasks that fail are
    kept back, and only those of this process: of its nannies, its scheduler, and workers that are its threads.
    Chapters 07 and 16.

    Examples
    --------
    >>> with expect_faults():
    ...     logging.getLogger("distributed.scheduler").warning("Worker failed to heartbeat for 5s; removing")
    """
    with _kept_back("Restarting worker", "Worker process", "marked as failed", "will be recomputed", "Compute Failed",
                    "imed out", "memory budget", "worth of input dependencies", "accept SIGTERM"):  # fmt: skip
        yield
