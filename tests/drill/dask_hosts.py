"""Dask over several hosts (`tests.drill.namespaces`): the scheduler on ``head``, workers on the others in turn."""

from __future__ import annotations

import contextlib
import json
import os
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

START_TIMEOUT = 90.0


@contextlib.contextmanager
def dask_hosts(
    at: Mapping[str, str], threads: Sequence[int], config: Mapping[str, Any] | None = None
) -> Iterator[Client]:
    """Start a scheduler and workers, with the commands that one would type; join them as a chapter does.

    Parameters
    ----------
    at : mapping
        The hosts and their addresses, from `tests.drill.namespaces.hosts`.
    threads : sequence of int
        The threads of each worker: as many workers as there are numbers.
    config : mapping, optional
        Dask's settings, for scheduler, workers and client.

    Yields
    ------
    distributed.Client
        On ``head``. Scheduler and workers end with the block.
    """
    # /run is one of our own (see `enclosed`), and goes with the namespaces, however they end.
    with tempfile.TemporaryDirectory(dir="/run") as folder, contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(config or {}))
        file = Path(folder) / "scheduler.json"
        begun = [_start(stack, HEAD, at, "scheduler", ["--port", "0", "--scheduler-file", str(file)])]
        until = time.monotonic() + START_TIMEOUT
        while (address := _address(file)) is None:
            _wait_a_little(begun, until)
        others = [host for host in at if host != HEAD]
        for number, each in enumerate(threads):
            options = [address, "--no-nanny", "--nthreads", str(each), "--name", str(number), "--memory-limit", "0"]
            options += ["--local-directory", folder]
            begun.append(_start(stack, others[number % len(others)], at, "worker", options))
        with Client(address, set_as_default=False) as client:
            while len(client.scheduler_info(n_workers=-1)["workers"]) < len(threads):
                _wait_a_little(begun, until)
        with dask.config.set({"scheduler-address": address}), contextlib.redirect_stdout(sys.stderr):
            client = stack.enter_context(measure.cluster())
        yield client


def _start(
    stack: contextlib.ExitStack, host: str, at: Mapping[str, str], what: str, options: Sequence[str]
) -> subprocess.Popen[bytes]:
    """Start one of Dask's processes on a host; the stack ends it."""
    command = [sys.executable, "-m", "dask", what, "--host", at[host], "--no-dashboard"]
    command += ["--dashboard-address", f"{at[host]}:0", *options]
    log = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    # The way in which Dask hands its settings to processes that it starts itself.
    environment = {**os.environ, "DASK_INTERNAL_INHERIT_CONFIG": dask.config.serialize(dask.config.config)}
    process = subprocess.Popen(on_host(host, command), stdout=log, stderr=subprocess.STDOUT, env=environment)
    stack.callback(process.wait)
    stack.callback(process.kill)
    process.log = log
    return process


def _address(file: Path) -> str | None:
    """Return the address in a scheduler's file, or None while it is not written."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError):
        return None


def _wait_a_little(processes: Sequence[subprocess.Popen[bytes]], until: float) -> None:
    for process in processes:
        if process.poll() is not None:
            process.log.seek(0)
            raise RuntimeError(f"one of Dask's processes ended: {process.log.read().decode()[-2000:]}")
    if time.monotonic() > until:
        raise TimeoutError(f"scheduler and workers did not start within {START_TIMEOUT:g} s")
    time.sleep(0.05)
