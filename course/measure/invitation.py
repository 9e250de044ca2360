"""The one line with which a student joins the class cluster, and where it is kept.

The line has the scheduler's address, the certificate to know it by, and a certificate and key to be let in with:
``tls://10.0.0.5:8786/k8Qw…``. Whoever has it is let in, so it is kept where only its owner can read it.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import os
import re
import ssl
import sys
import textwrap
import zlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgpack
from distributed import Client, Scheduler
from distributed.security import Security

from course.home import read_state, state_file, write_state

VARIABLE = "COURSE_CLUSTER"
STATE = "cluster.json"
# Seconds to wait for the class's scheduler: it is near, or it is not there.
PATIENCE = 10
# What to do when it does not answer.
OWN = "`course cluster leave` goes back to your own machine"
BACK = f"`course cluster status` tells whether it answers, {OWN}"


@dataclass(frozen=True)
class Invitation:
    """How to reach a class cluster, and how to be let in.

    Attributes
    ----------
    address : str
        The scheduler's, as ``tls://10.0.0.5:8786``.
    authority : str
        The certificate that the scheduler's is signed with (PEM).
    certificate, key : str
        The student's (PEM).

    Examples
    --------
    >>> Invitation.from_line("tls://10.0.0.5:8786/oops")
    Traceback (most recent call last):
    ...
    ValueError: this is not a whole line of `course cluster serve`: ...
    """

    address: str
    authority: str
    certificate: str = field(repr=False)
    key: str = field(repr=False)

    @classmethod
    def of(cls, address: str, authority: Path, student: Path) -> Invitation:
        """Make an invitation of the files of certificates; that of the student has the key, too."""
        certificate, mark, key = student.read_text(encoding="ascii").partition("-----BEGIN PRIVATE KEY-----")
        return cls(address, authority.read_text(encoding="ascii"), certificate, mark + key)

    def line(self) -> str:
        """Return the line; `from_line` reads it."""
        parts = msgpack.packb([_binary(part) for part in (self.authority, self.certificate, self.key)])
        code = base64.urlsafe_b64encode(_checksum(parts) + parts).decode().rstrip("=")
        return f"{self.address}/{code}"

    @classmethod
    def from_line(cls, line: str) -> Invitation:
        """Read a line, also with what comes before it; white space is left out, for some programs break long lines.

        Raises
        ------
        ValueError
            If it is not such a line, or not the whole of it.
        """
        whole = "this is not a whole line of `course cluster serve`"
        text = "".join(line[max(0, line.find("tls://")) :].split())
        match = re.fullmatch(r"(tls://[^/]+:\d+)/([\w-]+)", text, flags=re.ASCII)
        if match is None:
            raise ValueError(f"{whole}: it begins with tls:// and has the address, a slash and some 700 characters")
        address, code = match.groups()
        try:
            binary = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
            checksum, parts = binary[:4], binary[4:]
            if checksum != _checksum(parts):
                raise ValueError("the checksum is another one")
            authority, certificate, key = (bytes(part) for part in msgpack.unpackb(parts))
            invitation = cls(
                address, _pem(authority, "CERTIFICATE"), _pem(certificate, "CERTIFICATE"), _pem(key, "PRIVATE KEY")
            )
            invitation.security().get_connection_args("client")  # the key belongs to the certificate, say
        except (binascii.Error, ValueError, TypeError, msgpack.UnpackException, ssl.SSLError):
            raise ValueError(f"{whole}: something in it is missing or changed; copy it once more") from None
        return invitation

    def security(self) -> Security:
        """Return what Dask's clients need."""
        return Security(
            require_encryption=True,
            tls_min_version=ssl.TLSVersion.TLSv1_3,
            tls_ca_file=self.authority,
            tls_client_cert=self.certificate,
            tls_client_key=self.key,
        )

    def client(self, **options: object) -> Client:
        """Return a client of the cluster.

        Raises
        ------
        OSError
            If it does not answer, or does not let us in; the message says what to do.
        """
        try:
            return Client(self.address, security=self.security(), timeout=PATIENCE, **options)
        except OSError as error:
            raise OSError(_reason(self.address, error)) from error


def _reason(address: str, error: BaseException) -> str:
    """Say why a cluster cannot be joined."""
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    refusals = [str(each).lower() for each in causes if isinstance(each, ssl.SSLError)]
    ask = f"Ask your teacher for the present line, and put it in with `course cluster join`; {OWN}"
    if any("expired" in each or "not yet valid" in each for each in refusals):
        return (
            f"the class cluster at {address} does not let you in: the certificates of your line do not hold on "
            f"{date.today()}, which is today by this machine's clock. If the clock is right, the line is too old. {ask}"
        )
    if refusals:
        return f"the class cluster at {address} does not let you in: your line is of other certificates. {ask}"
    return (
        f"the class cluster at {address} does not answer within {PATIENCE} s: is it started, and are you in the same "
        f"network? {BACK}"
    )


def keep(invitation: Invitation) -> None:
    """Keep an invitation in the learner's own folder, readable for its owner only (`tempfile` sees to that)."""
    write_state(STATE, dataclasses.asdict(invitation))


def forget() -> bool:
    """Forget the invitation that is kept; tell whether there was one."""
    try:
        state_file(STATE).unlink()
    except FileNotFoundError:
        return False
    return True


def kept() -> Invitation | None:
    """Return the invitation in the learner's folder, or else that of ``COURSE_CLUSTER``; None if there is neither.

    Raises
    ------
    ValueError
        If ``COURSE_CLUSTER`` is not a line of `course cluster serve`.
    """
    state = read_state(STATE)
    names = [each.name for each in dataclasses.fields(Invitation)]
    if all(isinstance(state.get(name), str) for name in names):
        return Invitation(**{name: state[name] for name in names})
    if line := os.environ.get(VARIABLE, "").strip():
        try:
            return Invitation.from_line(line)
        except ValueError as error:
            raise ValueError(f"{VARIABLE}: {error}") from None
    return None


@dataclass(frozen=True)
class Seen:
    """What a look at a cluster shows.

    Attributes
    ----------
    workers, threads : int
        How many there are.
    memory : int
        Bytes that its workers may use together.
    clients : int
        How many programs are connected, but for the one that looks.
    tasks : int
        How many tasks are not done yet.
    different : tuple of str
        What runs there in another version than here: ``"python 3.12 (here 3.13)"``.
    """

    workers: int
    threads: int
    memory: int
    clients: int
    tasks: int
    different: tuple[str, ...]


def look(invitation: Invitation) -> Seen:
    """Look at the cluster of an invitation.

    Raises
    ------
    OSError
        If it does not answer, or does not let us in.
    """
    with invitation.client(set_as_default=False) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        clients, tasks, there = client.run_on_scheduler(_seen_by_scheduler)
        here = _versions()
        different = (f"{name} {there[name]} (here {here[name]})" for name in here if there.get(name) != here[name])
        return Seen(
            len(workers),
            sum(each["nthreads"] for each in workers),
            sum(each["memory_limit"] for each in workers),
            clients - 1,
            tasks,
            tuple(different),
        )


def _seen_by_scheduler(dask_scheduler: Scheduler) -> tuple[int, int, dict[str, str]]:
    clients = sum(not name.startswith("fire-and-forget") for name in dask_scheduler.clients)
    to_do = {"queued", "waiting", "processing", "no-worker"}
    return clients, sum(task.state in to_do for task in dask_scheduler.tasks.values()), _versions()


def _versions() -> dict[str, str]:
    """Return the versions that must be the same on both sides for functions to arrive."""
    import cloudpickle
    import distributed

    import course

    return {
        "python": "{}.{}".format(*sys.version_info),
        "distributed": distributed.__version__,
        "cloudpickle": cloudpickle.__version__,
        "course": course.__version__,
    }


def _binary(pem: str) -> bytes:
    """Return the binary form of the one thing in a PEM text."""
    return base64.b64decode("".join(line for line in pem.split("\n") if line and not line.startswith("-----")))


def _pem(binary: bytes, what: str) -> str:
    """Return the PEM text of a certificate or a key."""
    text = "\n".join(textwrap.wrap(base64.b64encode(binary).decode(), 64))
    return f"-----BEGIN {what}-----\n{text}\n-----END {what}-----\n"


def _checksum(binary: bytes) -> bytes:
    """Return four bytes that show whether a line was copied whole (and nothing about who made it)."""
    return zlib.crc32(binary).to_bytes(4, "big")
