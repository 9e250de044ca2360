"""A Dask cluster over several hosts (`tests.drill.namespaces`): the scheduler on ``head``, a worker on each other one."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dask
from distributed import Client

from course import measure
from tests.drill.namespaces import HEAD, on_host

START_TIMEOUT = 60.0


@contextlib.contextmanager
def dask_cluster(
    at: Mapping[str, str], threads: Sequence[int], config: Mapping[str, Any] | None = None
) -> Iterator[Client]:
    """Start a scheduler on ``head`` and workers on h1, h2, …; join them as a chapter does; end them with the block.

    Parameters
    ----------
    at : mapping
        Addresses of the hosts, from `tests.drill.namespaces.hosts`.
    threads : sequence of int
        The threads of each worker: as many workers as there are numbers.
    config : mapping, optional
        Dask's settings, for scheduler, workers and client.
    """
    with tempfile.TemporaryDirectory(prefix="drill-hosts-") as folder, contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(config or {}))
        file = Path(folder) / "scheduler.json"
        _start(stack, HEAD, at[HEAD], "scheduler", ["--port", "0", "--scheduler-file", str(file)])
        until = time.monotonic() + START_TIMEOUT
        while (address := _address(file)) is None:
            _in_time(until)
        for number, each in enumerate(threads):
            options = [address, "--no-nanny", "--nthreads", str(each), "--name", str(number), "--memory-limit", "0"]
            host = f"h{number + 1}"
            _start(stack, host, at[host], "worker", [*options, "--local-directory", folder])
        with Client(address, set_as_default=False) as client:
            while len(client.scheduler_info(n_workers=-1)["workers"]) < len(threads):
                _in_time(until)
        with dask.config.set({"scheduler-address": address}), contextlib.redirect_stdout(sys.stderr):
            client = stack.enter_context(measure.cluster())
        yield client


def _start(stack: contextlib.ExitStack, host: str, address: str, what: str, options: Sequence[str]) -> None:
    """Start one of Dask's processes on a host; the stack ends it."""
    command = [sys.executable, "-m", "dask", what, "--host", address, "--no-dashboard"]
    command += ["--dashboard-address", f"{address}:0", *options]
    environment = dask.config.serialize(dask.config.config)
    log = stack.enter_context(tempfile.TemporaryFile())
    process = subprocess.Popen(
        on_host(host, command), stdout=log, stderr=subprocess.STDOUT, env=_environment(environment)
    )
    stack.callback(process.wait)
    stack.callback(process.kill)


def _environment(settings: str) -> dict[str, str]:
    import os

    return {**os.environ, "DASK_INTERNAL_INHERIT_CONFIG": settings}


def _address(file: Path) -> str | None:
    """Return the address in a scheduler's file, or None while it is not written."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError):
        return None


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError(f"scheduler and workers did not start within {START_TIMEOUT:g} s")
    time.sleep(0.05)
