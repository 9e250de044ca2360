"""A cluster that a class shares: one scheduler and some workers, with TLS, until it is stopped."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from distributed import Scheduler, SpecCluster
from distributed.core import Status
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from course.domain import scalar
from course.measure.fairness import FairShares
from course.measure.start import (
    START_TIMEOUT,
    _kept_back,
    _local_config,
    _PromptNanny,
    _sizes,
    _spill_folder,
    _unchanged_environment,
)

LOOPBACK = "127.0.0.1"


class SharedCluster(SpecCluster):
    """What `shared` gives: the scheduler is in this process, each worker in a process of its own."""

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except Exception:
            raise
        except BaseException:  # Ctrl-C while it starts; Dask cleans up after exceptions only
            self.close()
            raise

    @property
    def port(self) -> int:
        """The port at which the scheduler listens."""
        return int(self.scheduler_address.rpartition(":")[2])

    @property
    def dashboard_link(self) -> str:
        """Where the dashboard is, on this machine; empty without one. (Dask would name the scheduler's host.)"""
        port = self.scheduler_info["services"].get("dashboard")
        return f"http://{LOOPBACK}:{port}/status" if port else ""

    @property
    def runs(self) -> bool:
        """Whether the scheduler still runs: a client may have shut it down, or nobody used it for too long."""
        return self.scheduler.status == Status.running

    @property
    def was_idle(self) -> bool:
        """Whether no task ran for as long as it waits for one."""
        limit, since = self.scheduler.idle_timeout, self.scheduler.idle_since
        return bool(limit and since and time.time() > since + limit)


@contextlib.contextmanager
def shared(
    authority: Path,
    certificate: Path,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    workers: int | None = None,
    threads: int | None = None,
    memory: int | None = None,
    dashboard: int | None = 0,
    idle: float | None = None,
) -> Iterator[SharedCluster]:
    """Start a cluster for many clients, and take it down when the block ends.

    Connections are encrypted, and only who shows a certificate that the authority has signed is let in. Only the
    scheduler listens at `host`: workers, nannies and the dashboard are on the loopback device. Clients take turns
    (`FairShares`).

    Parameters
    ----------
    authority : Path
        The certificate that both sides trust.
    certificate : Path
        The scheduler's and the workers' certificate, and its key, in one file.
    host : str
        The address at which the scheduler listens.
    port : int
        Its port; 0 takes a free one.
    workers, threads : int, optional
        Workers, and the threads of each; as for `cluster`.
    memory : int, optional
        Bytes that each worker may use: above 95 % of it, it is ended and started anew. Default: its part of this
        machine's memory.
    dashboard : int, optional
        The port of the dashboard on the loopback device; 0 takes a free one, None none at all.
    idle : float, optional
        End when no task ran for so many seconds. Default: never.

    Yields
    ------
    SharedCluster
        With ``.scheduler_address``, ``.dashboard_link`` and ``.runs``.

    Raises
    ------
    ValueError
        If a number is out of its range.
    OSError
        If the scheduler cannot listen at that host and port.

    Examples
    --------
    >>> import tempfile
    >>> from course.classroom.certificates import Certificates
    >>> from course.measure.invitation import Invitation
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = Certificates.make(Path(folder, "certificates"))
    ...     with shared(made.authority, made.server, workers=1, dashboard=None) as running:
    ...         invitation = Invitation.of(running.scheduler_address, made.authority, made.student)
    ...         with invitation.client(set_as_default=False) as client:
    ...             client.submit(abs, -1).result()
    1
    """
    workers, threads = _sizes(workers, threads)
    if memory is not None:
        memory = int(scalar("memory", memory, low=1))
    if idle is not None:
        idle = scalar("idle", idle, low=0.001)
    _require_free(host, port)
    files = {"tls_ca_file": str(authority)}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": str(certificate), f"tls_{role}_key": str(certificate)}
    common = {"protocol": "tls://", "security": Security(require_encryption=True, **files)}
    with _spill_folder() as folder, _unchanged_environment(), dask.config.set(_local_config(folder)):
        scheduler = {
            "host": host,
            "port": port,
            "dashboard": dashboard is not None,
            # An address even without: Dask would serve its metrics at port 8787, on all devices.
            "dashboard_address": f"{LOOPBACK}:{_free_or_any(dashboard or 0)}",
            "idle_timeout": idle and f"{idle} s",
            **common,
        }
        worker = {
            "host": LOOPBACK,
            "nthreads": threads,
            "memory_limit": memory or MEMORY_LIMIT // workers,
            "death_timeout": START_TIMEOUT,
            "silence_logs": logging.WARNING,
            **common,
        }
        running = SharedCluster(
            name="class",
            scheduler={"cls": Scheduler, "options": scheduler},
            workers={k: {"cls": _PromptNanny, "options": worker} for k in range(workers)},
            security=common["security"],
            silence_logs=logging.WARNING,
        )
        try:
            running.scheduler.add_plugin(FairShares())
            yield running
        finally:
            with _kept_back():
                running.close()


def _require_free(host: str, port: int) -> None:
    """Raise OSError if nothing can listen there; Dask itself would take another port, and warn."""
    for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:1]:
        with socket.socket(family, kind) as probe:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: otherwise two may listen at one port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)


def _free_or_any(port: int) -> int:
    """Return the port if it is free on the loopback device, or else 0: any free one."""
    try:
        _require_free(LOOPBACK, port)
    except OSError:
        return 0
    return port
