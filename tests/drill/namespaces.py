"""Hosts on one machine: network namespaces of Linux, joined by a switch, with a latency and a bandwidth between them.

All of it lives inside one process tree (`enclosed`) that has a network, mounts and process ids of its own: when its
first process ends, however it ends, the kernel ends the others and removes the namespaces. Nothing outside is changed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

PREFIX = "198.18.0."  # of the block that is set aside for benchmarks of networks (RFC 2544)
SWITCH = "switch"
HEAD = "head"
BURST = 16_000  # bytes that may pass at once: two largest frames of a fast network
QUEUE = 1.0  # seconds that a byte waits at a full link at most; then frames are dropped, which no model here knows

_ENCLOSED = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_AS_ROOT = ("--user", "--map-root-user")
_PRIVATE_RUN = ("sh", "-c", 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"', "sh")


def enclosed(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command in namespaces of its own, where it may make `hosts`.

    Who is not root becomes root of a user namespace, where the system allows that.
    """
    return [_ENCLOSED[0], *(() if os.geteuid() == 0 else _AS_ROOT), *_ENCLOSED[1:], *_PRIVATE_RUN, *command]


def cut_off(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command where the loopback device is the only network."""
    alone = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    return ["unshare", *(() if os.geteuid() == 0 else _AS_ROOT), "--net", *alone, *command]


def why_not() -> str | None:
    """Return why no hosts can be made on this machine; None if they can."""
    if not sys.platform.startswith("linux"):
        return f"network namespaces are a feature of Linux, and this is {sys.platform}"
    missing = [command for command in ("unshare", "ip", "tc") if shutil.which(command) is None]
    if missing:
        return f"not found: {', '.join(missing)} (Debian: apt install util-linux iproute2)"
    trial = "ip netns add a && ip link add name b type veth peer name c netns a && tc qdisc add dev b root tbf "
    trial += "rate 1mbit burst 10kb latency 1ms"
    tried = subprocess.run(enclosed(["sh", "-c", trial]), capture_output=True, text=True)
    if tried.returncode:
        return f"not root, or not allowed here: {tried.stderr.strip() or f'exit status {tried.returncode}'}"
    return None


@contextlib.contextmanager
def hosts(number: int, latency: float = 0.0, bandwidth: float = float("inf")) -> Iterator[dict[str, str]]:
    """Make hosts on one switch, inside a process that was started by `enclosed`.

    Parameters
    ----------
    number : int
        How many hosts besides this one, which is ``head``.
    latency : float
        Seconds from each host to each other, one way.
    bandwidth : float
        Bytes a second into each host, and out of it.

    Yields
    ------
    dict
        From the name of each host (``head``, ``h1``, …) to its address.
    """
    names = [HEAD, *(f"h{k}" for k in range(1, number + 1))]
    addresses = {name: f"{PREFIX}{k}" for k, name in enumerate(names, start=1)}
    ports = [f"to-{name}" for name in names]
    spaces = [SWITCH, *names[1:]]
    with contextlib.ExitStack() as stack:
        for space in spaces:
            _run("ip", "netns", "add", space)
            stack.callback(_run, "ip", "netns", "delete", space)
        for name, port in zip(names, ports, strict=True):
            device = f"from-{name}"
            _run("ip", "link", "add", "name", device, "type", "veth", "peer", "name", port, "netns", SWITCH)
            if name == HEAD:  # the others go with their namespaces, some time later
                stack.callback(_run, "ip", "link", "delete", device)
            _run("ip", "-n", SWITCH, "link", "set", port, "up")
            if name != HEAD:
                _run("ip", "link", "set", device, "netns", name)
            where = [] if name == HEAD else ["-n", name]
            _run("ip", *where, "link", "set", "lo", "up")
            _run("ip", *where, "address", "add", f"{addresses[name]}/24", "dev", device)
            _run("ip", *where, "link", "set", device, "up")
            # Hosts that talk all the time are set so: after a pause TCP goes on as fast as before.
            _run(*on_host(name, ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_slow_start_after_idle"]))
            _queue(where, device, "root", bandwidth)
        if latency and not kernel_delays():
            for port in ports:
                _queue(["-n", SWITCH], port, "root", bandwidth)
            stack.enter_context(_slow_switch(ports, latency))
        else:
            _bridge(ports, latency, bandwidth)
        yield addresses


def on_host(name: str, command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command on one of the hosts."""
    return list(command) if name == HEAD else ["ip", "netns", "exec", name, *command]


def kernel_delays() -> bool:
    """Tell whether this kernel has ``netem``; without it, `tests.drill.switch` holds frames back."""
    trial = ["tc", "-n", SWITCH, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return subprocess.run(trial, capture_output=True).returncode == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def _queue(where: Sequence[str], device: str, parent: str, bandwidth: float) -> None:
    """Let a device send no more than so many bytes a second."""
    if bandwidth < float("inf"):
        rate = ["rate", f"{8 * bandwidth:.0f}bit", "burst", str(BURST), "limit", f"{BURST + QUEUE * bandwidth:.0f}"]
        _run("tc", *where, "qdisc", "add", "dev", device, *parent.split(), "handle", "10:", "tbf", *rate)


def _bridge(ports: Sequence[str], latency: float, bandwidth: float) -> None:
    """Let the kernel be the switch, with ``netem`` for the latency."""
    _run("ip", "-n", SWITCH, "link", "add", "name", "bridge", "type", "bridge")
    _run("ip", "-n", SWITCH, "link", "set", "bridge", "up")
    for port in ports:
        _run("ip", "-n", SWITCH, "link", "set", port, "master", "bridge")
        if latency:
            delay = ["delay", f"{1e6 * latency:.0f}us", "limit", "100000"]
            _run("tc", "-n", SWITCH, "qdisc", "add", "dev", port, "root", "handle", "1:", "netem", *delay)
        _queue(["-n", SWITCH], port, "parent 1:1" if latency else "root", bandwidth)


@contextlib.contextmanager
def _slow_switch(ports: Sequence[str], latency: float) -> Iterator[None]:
    """Let a process be the switch, for kernels without ``netem``."""
    command = on_host(SWITCH, [sys.executable, "-m", "tests.drill.switch", str(latency), *ports])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise RuntimeError("the switch did not start")
            yield
        finally:
            process.kill()
