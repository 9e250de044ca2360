"""A cluster that a class shares: one scheduler and some workers, with TLS, until it is stopped."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from distributed import Scheduler, SpecCluster
from distributed.core import Status, error_message
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from course.domain import scalar
from course.measure.fairness import FairShares
from course.measure.start import (
    START_TIMEOUT,
    _InterruptibleStart,
    _keep_back_shuffles,
    _keep_back_what_nobody_waits_for,
    _kept_back,
    _local_config,
    _PromptNanny,
    _sizes,
    _spill_folder,
    _unchanged_environment,
)

LOOPBACK = "127.0.0.1"
# What workers log: that a scheduler closes its connections, when it ends, is no news.
WORKER_LOG = {"DASK_DISTRIBUTED__LOGGING": "{'distributed': 'warning', 'distributed.worker.state_machine': 'error'}"}
# A worker takes some 170 MB before its first task; with less than this it would be started anew for ever.
LEAST_MEMORY = 250_000_000


class _ClassScheduler(Scheduler):
    """A scheduler that a client cannot end or restart for all others by a method that is meant for one's own cluster.

    That spares a class accidents. It is no protection: a client that wants to can run any function here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.handlers |= {"terminate": self.refuse_to_end, "restart": self.refuse_to_restart}

    async def refuse_to_end(self, **_: Any) -> Any:
        """Answer ``client.shutdown()``."""
        return _refusal("client.shutdown() would end this cluster for the whole class; client.close() leaves it")

    async def refuse_to_restart(self, **_: Any) -> Any:
        """Answer ``client.restart()``."""
        return _refusal(
            "client.restart() would take their results from the whole class; client.cancel(futures) drops your own"
        )


def _refusal(why: str) -> Any:
    """Return what makes the client's call raise an exception, and logs nothing here."""
    return error_message(PermissionError(why), status="uncaught-error")


class SharedCluster(_InterruptibleStart, SpecCluster):
    """What `shared` gives: the scheduler is in this process, each worker in a process of its own."""

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
        """Whether the scheduler still runs: a client's function may have ended it, or nobody used it for too long."""
        return self.scheduler.status == Status.running

    @property
    def was_idle(self) -> bool:
        """Whether no task ran for as long as it waits for one."""
        limit, since = self.scheduler.idle_timeout, self.scheduler.idle_since
        return bool(limit and since and time.time() > since + limit)

    def replace_closed(self) -> None:
        """Start a worker in the place of each that has closed.

        A worker closes for good when its connection to the scheduler breaks, which may happen as early as in the moment
        in which it starts. Dask starts anew only what ends without being told to.
        """
        self.sync(self._replace_closed)

    async def _replace_closed(self) -> None:
        if self.scheduler.status is not Status.running:
            return  # they close with it
        for name, nanny in list(self.workers.items()):
            if nanny.status in (Status.closed, Status.failed):
                del self.workers[name]
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):  # Dask logs it; the next call tries again
            await self._correct_state()


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

    Connections are encrypted (TLS 1.3), and only who shows a certificate that the authority has signed is let in. Only
    the scheduler listens at `host`: workers, nannies and the dashboard are on the loopback device. Clients take turns
    (`FairShares`). Host names are not checked: the authority signed for this cluster alone.

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
        Bytes that each worker may use, 250 MB at least: above 95 % of it, it is ended and started anew. Default: its
        part of this machine's memory, which is also the most.
    dashboard : int, optional
        The port of the dashboard on the loopback device; 0 takes a free one, None none at all.
    idle : float, optional
        End when no task ran for so many seconds. Default: never.

    Yields
    ------
    SharedCluster
        With ``.scheduler_address``, ``.dashboard_link``, ``.runs``, and ``.replace_closed()``, which who keeps it
        running calls now and then.

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
        _require_fitting(memory, workers)
    if idle is not None:
        idle = scalar("idle", idle, low=0.001)
    _require_free(host, port)
    files = {"tls_ca_file": str(authority)}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": str(certificate), f"tls_{role}_key": str(certificate)}
    security = Security(require_encryption=True, tls_min_version=ssl.TLSVersion.TLSv1_3, **files)
    common = {"protocol": "tls://", "security": security}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_spill_folder())
        stack.enter_context(_unchanged_environment())
        settings = _local_config(folder)
        settings["distributed.nanny.pre-spawn-environ"] |= WORKER_LOG
        stack.enter_context(dask.config.set(settings))
        _keep_back_what_nobody_waits_for()
        _keep_back_shuffles()
        scheduler = {
            "host": f"[{host}]" if ":" in host else host,  # Dask wants IPv6 so
            "port": port,
            "dashboard": dashboard is not None,
            # An address even without: Dask would serve its metrics at port 8787, on all devices.
            "dashboard_address": f"{LOOPBACK}:{_free_or_any(dashboard or 0)}",
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
            scheduler={"cls": _ClassScheduler, "options": scheduler},
            workers={k: {"cls": _PromptNanny, "options": worker} for k in range(workers)},
            security=security,
            silence_logs=logging.WARNING,
        )
        try:
            running.scheduler.add_plugin(FairShares())
            # Now, and not while the workers start: they may take longer.
            running.scheduler.idle_timeout, running.scheduler.idle_since = idle, time.time()
            yield running
        finally:
            # Who calls a scheduler that has ended waits for so long.
            with _kept_back(), dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
                running.close()


def _require_fitting(memory: float, workers: int) -> None:
    """Raise ValueError if workers with so much memory each cannot work, or are more than the machine."""
    most = MEMORY_LIMIT // workers
    if not LEAST_MEMORY <= memory <= most:
        raise ValueError(
            f"{memory / 1e9:g} GB for each of {workers} workers: must be at least {LEAST_MEMORY / 1e9} GB, and at most "
            f"{most / 1e9:.2f} GB, their part of this machine's memory; take more, less, or fewer workers"
        )


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
