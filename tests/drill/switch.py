"""A network switch that takes its time: it passes Ethernet frames from device to device, each after a delay.

    python -m tests.drill.switch SECONDS DEVICE…

What ``tc netem delay`` does, for kernels that are built without it. A frame goes out where its receiver's address was
last seen as a sender, or everywhere while it is not known. What a device cannot take at once is dropped, as a switch
does whose buffer is full; TCP sends it again.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Sequence

# Of Linux (if_packet.h, socket.h): Python's socket does not name them.
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 263, 15, 23, 3
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
HEADER = 10  # bytes before a frame that say what the card shall still do: cut it to size, add the checksum
LARGEST = 1 << 17
BUFFER = 8 << 20


def port(device: str) -> socket.socket:
    """Open a device for whole frames, as large as the kernel passes them on."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for forced, allowed in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
        except PermissionError:  # root of a user namespace only: as much as everyone may have
            opened.setsockopt(socket.SOL_SOCKET, allowed, BUFFER)
    opened.bind((device, 0))
    opened.setblocking(False)
    return opened


def serve(ports: Sequence[socket.socket], delay: float) -> None:
    """Pass frames between the ports until the process is ended."""
    place: dict[bytes, socket.socket] = {}  # where each address is
    under_way: collections.deque[tuple[float, socket.socket, bytes]] = collections.deque()
    while True:
        pause = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        readable, _, _ = select.select(ports, [], [], pause)  # select: to the microsecond; epoll: to the millisecond
        for source in readable:
            with contextlib.suppress(BlockingIOError):
                while frame := source.recv(LARGEST):
                    under_way.append((time.monotonic() + delay, source, frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, source, frame = under_way.popleft()
            receiver, sender = frame[HEADER : HEADER + 6], frame[HEADER + 6 : HEADER + 12]
            place[sender] = source
            known = place.get(receiver)
            for target in [known] if known is not None else ports:
                if target is not source:
                    with contextlib.suppress(BlockingIOError, OSError):
                        target.send(frame)


def main() -> None:
    """Serve the devices named on the command line."""
    delay, *devices = sys.argv[1:]
    with contextlib.suppress(PermissionError):  # who is no real root must do without
        os.nice(-10)  # a network does not wait until its hosts have time
    ports = [port(device) for device in devices]
    print("ready", flush=True)
    serve(ports, float(delay))


if __name__ == "__main__":
    main()
