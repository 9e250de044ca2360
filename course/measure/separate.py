"""Start a Dask scheduler and workers as separate processes, with the commands that one would type."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

from course.measure.start import START_TIMEOUT, _sizes, _spill_folder

# Ends the process when its standard input is closed, which the system does when whoever started it is gone.
_END_WITH_PARENT = """
import os, sys, threading

def _wait_for_the_end():
    sys.stdin.buffer.read()
    os._exit(0)

threading.Thread(target=_wait_for_the_end, daemon=True).start()
"""


@dataclass(frozen=True)
class Standalone:
    """A scheduler and workers that run as processes of their own.

    Attributes
    ----------
    scheduler_file : str
        Where the scheduler has written its address: what Dask's setting ``scheduler-file`` wants.
    address : str
        That address, as ``tcp://127.0.0.1:43211``.
    processes : tuple of int
        The ids of the processes: the scheduler first, then the workers.
    """

    scheduler_file: str
    address: str
    processes: tuple[int, ...]


@contextlib.contextmanager
def standalone(workers: int = 2, threads: int | None = None, *, timeout: float = START_TIMEOUT) -> Iterator[Standalone]:
    """Start ``dask scheduler`` and some ``dask worker`` as separate processes; end them with the block.

    What one would type in a terminal each, on one machine or on several that share a folder; here on the loopback
    device, with free ports, without dashboard. Nobody is connected to them: `cluster` joins them when Dask's settings
    name the scheduler's file.

    Whatever way the block ends, the processes and their folder end with it. When this process is killed outright, they
    notice and exit; the folder then stays until the next cluster of this package on the same machine removes it.

    Parameters
    ----------
    workers : int
        Number of worker processes.
    threads : int, optional
        Threads of each worker. Default: 1.
    timeout : float
        Seconds that scheduler and workers together have to start.

    Yields
    ------
    Standalone
        The scheduler's file and address, and the ids of the processes.

    Raises
    ------
    ValueError
        If `workers` or `threads` is not a whole number of at least 1.
    RuntimeError
        If a process ends instead of starting; the message has the last lines that it wrote.
    TimeoutError
        If they do not start in time.

    Examples
    --------
    >>> import dask
    >>> from course.measure import cluster
    >>> with standalone(workers=1) as started, dask.config.set({"scheduler-file": started.scheduler_file}):
    ...     with cluster() as client:
    ...         client.submit(abs, -1).result()
    Joined the cluster at tcp://127.0.0.1:...: 1 workers, 1 threads.
    1

    Notes
    -----
    The workers have no nanny (``--no-nanny``): a worker that dies is not started again. Taught in chapter 08.
    """
    workers, threads = _sizes(workers, threads)
    if not timeout > 0:
        raise ValueError(f"timeout={timeout!r}: must be a number of seconds above 0")
    until = time.monotonic() + timeout
    with _spill_folder() as folder, contextlib.ExitStack() as stack:
        file = folder / "scheduler.json"
        common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
        # An address even so: without one Dask serves its metrics at port 8787, on all devices.
        common += ["--dashboard-address", "127.0.0.1:0", "--preload", _END_WITH_PARENT]
        started = [_start(stack, folder, "scheduler", [*common, "--port", "0"])]
        while (address := _address(file)) is None:
            _require_alive(started, folder, until)
            time.sleep(0.02)
        for number in range(workers):
            options = ["--no-nanny", "--nthreads", str(threads), "--name", str(number)]
            options += ["--local-directory", str(folder)]
            started.append(_start(stack, folder, "worker", [*common, *options], number))
        with Client(address, timeout=timeout, set_as_default=False) as client:
            while len(client.scheduler_info(n_workers=-1)["workers"]) < workers:
                _require_alive(started, folder, until)
                time.sleep(0.02)
        yield Standalone(str(file), address, tuple(process.pid for _, process in started))


def _start(
    stack: contextlib.ExitStack, folder: Path, what: str, options: list[str], number: int | None = None
) -> tuple[str, subprocess.Popen[bytes]]:
    """Start one process that the stack will end; its output goes to a file in the folder."""
    name = what if number is None else f"{what}-{number}"
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    environment = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(folder)}
    for variable in ("DASK_SCHEDULER_ADDRESS", "DASK_SCHEDULER_FILE"):
        environment.pop(variable, None)  # they name a cluster to join, which this one is not
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", what, *options],
        stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment,
    )  # fmt: skip
    stack.callback(_end, process)
    return name, process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and wait until it has ended."""
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _address(file: Path) -> str | None:
    """Return the address in a scheduler's file, or None while it is not written."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError):
        return None


def _require_alive(started: list[tuple[str, subprocess.Popen[bytes]]], folder: Path, until: float) -> None:
    for name, process in started:
        if process.poll() is not None:
            wrote = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RuntimeError(f"the {name} ended while it started; it wrote: " + "\n".join(wrote[-5:]))
    if time.monotonic() > until:
        raise TimeoutError("scheduler and workers did not start in time; a larger timeout may help")
