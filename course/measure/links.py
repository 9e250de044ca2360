"""A slow network on one machine: `link` for a client, `slow_links` for workers, `transfer` for one message."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from distributed import Client
from distributed.protocol import dumps, loads, to_serialize

from course.measure.start import _LoopbackWorker

_PIECE = 1 << 16  # bytes that are passed on at once


class Link:
    """A client at the far end of a link, and the bytes that went over it.

    Attributes
    ----------
    client : distributed.Client
        Everything that it says to the scheduler goes over the link.
    bandwidth : float
        Bytes a second in each direction.
    sent, received : int
        Bytes from the client to the scheduler so far, and back.
    """

    client: Client

    def __init__(self, host: str, port: int, bandwidth: float) -> None:
        self.bandwidth = bandwidth
        self.sent = self.received = 0
        self._far = host, port
        self._free = {"sent": 0.0, "received": 0.0}  # when each direction has passed on what it was given

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                setattr(self, way, getattr(self, way) + len(piece))
                now = time.perf_counter()
                self._free[way] = max(self._free[way], now) + len(piece) / self.bandwidth
                if (ahead := self._free[way] - now) > 0.002:  # less than a timer can tell apart
                    await asyncio.sleep(ahead)
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.ExitStack() as stack:  # also when the link ends before the connection does
            # The end of the link cancels this; asyncio would log that as an error of the connection.
            stack.enter_context(contextlib.suppress(asyncio.CancelledError))
            stack.callback(writer.transport.abort)
            far_reader, far_writer = await asyncio.open_connection(*self._far)
            stack.callback(far_writer.transport.abort)
            await asyncio.gather(
                self._pass_on(reader, far_writer, "sent"), self._pass_on(far_reader, writer, "received")
            )

    async def _serve(self, ready: threading.Event, stop: list) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        stop.append((asyncio.get_running_loop(), done := asyncio.Event()))
        ready.set()
        async with server:
            await done.wait()
            passing = asyncio.all_tasks() - {asyncio.current_task()}
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)


@contextlib.contextmanager
def link(client: Client, bandwidth: float = np.inf) -> Iterator[Link]:
    """Give a second client of the same cluster, at the far end of a link of limited bandwidth.

    The loopback device of one machine moves gigabytes a second. The link is a thread of this process that accepts the
    connections of the far client, and passes on what it reads, in pieces, no faster than the bandwidth; it adds no
    latency. Data that the client scatters or gathers goes over it (by way of the scheduler); what workers send each
    other does not.

    Parameters
    ----------
    client : distributed.Client
        A client of a cluster that listens on TCP (``cluster(processes=True)``, or ``protocol="tcp"``).
    bandwidth : float
        Bytes a second in each direction; infinite to count only.

    Yields
    ------
    Link
        With ``.client``, ``.sent`` and ``.received``.

    Raises
    ------
    ValueError
        If the bandwidth is not above 0, or the cluster does not listen on TCP.

    Notes
    -----
    Chapters 09 and 15. Dask compresses nothing between two ends on one host, whatever ``distributed.comm.compression``
    says; over this link neither.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(1, processes=False, protocol="tcp", dashboard=False) as near, link(near) as far:
    ...     future = far.client.scatter(bytes(1_000_000))
    >>> 1_000_000 < far.sent < 1_100_000
    True
    """
    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}; it must be above 0")
    address = urlsplit(client.scheduler.address)
    if address.scheme != "tcp":
        raise ValueError(f"the scheduler listens at {client.scheduler.address}; a link needs TCP")
    ready, stop = threading.Event(), []
    line = Link(address.hostname, address.port, bandwidth)
    thread = threading.Thread(target=lambda: asyncio.run(line._serve(ready, stop)), daemon=True, name="link")
    thread.start()
    try:
        if not ready.wait(10):
            raise RuntimeError("the link did not open within 10 s")
        with Client(f"tcp://127.0.0.1:{line.port}", set_as_default=False) as line.client:
            yield line
    finally:
        for loop, done in stop:
            loop.call_soon_threadsafe(done.set)
        thread.join(10)


def slow_links(bandwidth: float, *, shared: bool = False) -> dict[str, Any]:
    """Return what `course.measure.cluster` needs to give its workers slow links to each other.

    Every worker stands behind a gate at its own address, through which all others reach it. What it sends passes the
    gate no faster than the bandwidth, each connection by itself: so every pair of workers has a link of its own, as
    models assume that let transfers not hinder each other. Or all that it sends shares one link. What the worker and
    the scheduler say to each other does not pass it. The gate adds no latency.

    Parameters
    ----------
    bandwidth : float
        Bytes a second from each worker to each other; if shared, to all others together.
    shared : bool
        Whether what a worker sends shares one link, as it does where the network card is the narrowest place.

    Returns
    -------
    dict
        Named arguments for ``cluster(…, processes=False, local=True)``, ``config`` among them: it also tells the
        scheduler that bandwidth (``distributed.scheduler.bandwidth``), from which Dask estimates transfers.

    Raises
    ------
    ValueError
        If the bandwidth is not above 0.

    Notes
    -----
    Chapter 13; shared, in the README's table of how near `course.whatif` comes. Workers are threads of this process
    that talk through TCP.

    Examples
    --------
    >>> from course.measure import cluster
    >>> with cluster(2, processes=False, dashboard=False, local=True, **slow_links(10e6)) as client:
    ...     one, two = client.scheduler_info(n_workers=-1)["workers"]
    ...     made = client.submit(bytes, 2_000_000, workers=[one])
    ...     start = time.perf_counter()
    ...     _ = client.submit(len, made, workers=[two]).result()
    ...     time.perf_counter() - start > 0.2
    True
    """
    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}; it must be above 0")
    worker = type("_GatedWorker", (_GatedWorker,), {"bandwidth": bandwidth, "shared": bool(shared)})
    config = {"distributed.scheduler.bandwidth": bandwidth}
    return {"protocol": "tcp", "host": "127.0.0.1", "worker_class": worker, "config": config}


class _GatedWorker(_LoopbackWorker):
    """A worker that others reach through a gate of limited bandwidth."""

    bandwidth = np.inf
    shared = False
    _gate: asyncio.Server | None = None
    _link: _Pace

    async def _register_with_scheduler(self) -> None:
        if self._gate is None:
            self._link = _Pace(self.bandwidth)
            self._gate = await asyncio.start_server(self._pass_in, "127.0.0.1", 0)
            self.contact_address = f"tcp://127.0.0.1:{self._gate.sockets[0].getsockname()[1]}"
        await super()._register_with_scheduler()

    async def close(self, *arguments: Any, **options: Any) -> str | None:
        if self._gate is not None:
            self._gate.close()
        return await super().close(*arguments, **options)

    async def _pass_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.listener.contact_address)
        own_reader, own_writer = await asyncio.open_connection(parts.hostname, parts.port)
        out = self._link if self.shared else _Pace(self.bandwidth)
        await asyncio.gather(self._pass_on(reader, own_writer, _Pace(np.inf)), self._pass_on(own_reader, writer, out))

    @staticmethod
    async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: _Pace) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                if (ahead := pace.seconds_until_sent(len(piece))) > 0.002:
                    await asyncio.sleep(ahead)
                writer.write(piece)
                await writer.drain()
                pace.asked = time.perf_counter()
        with contextlib.suppress(ConnectionError):
            writer.close()


class _Pace:
    """When a link has sent what it was given."""

    def __init__(self, bandwidth: float) -> None:
        self.bandwidth, self.free, self.asked = bandwidth, 0.0, 0.0

    def seconds_until_sent(self, size: int) -> float:
        now = time.perf_counter()
        # A sleep that lasted too long is made up for while there is more to send; idle time is not.
        self.free = max(self.free, now - (0.02 if now - self.asked < 0.002 else 0.0)) + size / self.bandwidth
        return self.free - now


def transfer(data: Any, bandwidth: float = np.inf, compression: str | None = None) -> tuple[float, int]:
    """Send data from one thread to another over a socket of limited bandwidth, as Dask sends it between hosts.

    The sender serializes with `distributed.protocol.dumps`, the receiver makes the object anew with ``loads``; in
    between the bytes go through a local socket, in pieces, no faster than the bandwidth. All one after the other.

    Parameters
    ----------
    data : object
        What is sent.
    bandwidth : float
        Bytes a second.
    compression : str, optional
        A name that ``distributed.comm.compression`` may have, such as ``"zlib"``; None for none.

    Returns
    -------
    seconds : float
        From the object at the sender to the object at the receiver.
    size : int
        Bytes that went over the socket.

    Raises
    ------
    ValueError
        If the bandwidth is not above 0, or Dask does not know the compression on this machine.
    TypeError
        If the data cannot be serialized.

    Notes
    -----
    Why not on a cluster: Dask compresses nothing between two ends on one host, so that there is nothing to compare.
    Chapter 09.

    Examples
    --------
    >>> zeros = np.zeros(100_000)
    >>> transfer(zeros)[1] > 800_000 > 100_000 > transfer(zeros, compression="zlib")[1]
    True
    """
    from distributed.protocol.compression import compressions

    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}; it must be above 0")
    if compression not in compressions:
        known = ", ".join(repr(name) for name in compressions)
        raise ValueError(f"compression is {compression!r}; on this machine it can be {known}")
    near, far = socket.socketpair()
    with far, far.makefile("rb") as stream:
        received: list[Any] = []
        receiver = threading.Thread(target=lambda: received.append(_receive(stream)), daemon=True)
        receiver.start()
        start = time.perf_counter()
        with near:  # however it ends, the receiver sees the end
            frames = dumps({"data": to_serialize(data)}, on_error="raise", context={"compression": compression})
            frames = [memoryview(frame).cast("B") for frame in frames]
            near.sendall(struct.pack(f"<I{len(frames)}Q", len(frames), *(frame.nbytes for frame in frames)))
            free = time.perf_counter()
            for frame in frames:
                for i in range(0, frame.nbytes, _PIECE):
                    near.sendall(piece := frame[i : i + _PIECE])
                    free += piece.nbytes / bandwidth
                    if (ahead := free - time.perf_counter()) > 0.002:
                        time.sleep(ahead)
        receiver.join()
        return time.perf_counter() - start, sum(frame.nbytes for frame in frames)


def _receive(stream: Any) -> Any:
    if len(head := stream.read(4)) < 4:
        return None  # the sender could not serialize
    (count,) = struct.unpack("<I", head)
    sizes = struct.unpack(f"<{count}Q", stream.read(8 * count))
    return loads([stream.read(size) for size in sizes])["data"]
