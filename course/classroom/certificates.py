"""Certificates for a class cluster: who has the students' one is let in, and nobody else.

An authority that lives only while this is made signs two certificates: that of the server (scheduler and workers) and
that of the students. Its key is then thrown away: nobody can make a third one. The students' certificate is good for
calling only, so that whoever has it cannot pose as the scheduler.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

YEAR = timedelta(days=366)
# Clocks of students' machines go wrong; a certificate that begins tomorrow would be refused.
SKEW = timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """The files of a class cluster's certificates.

    Attributes
    ----------
    authority : Path
        The certificate that both sides trust.
    server, student : Path
        A certificate and its private key, one below the other in one file.
    ends : datetime
        Until when they hold.
    """

    authority: Path
    server: Path
    student: Path
    ends: datetime

    @classmethod
    def of(cls, folder: Path) -> Certificates | None:
        """Return those of a folder; None if there are none.

        Raises
        ------
        ValueError
            If a file is missing or damaged.
        """
        from cryptography import x509

        if not folder.is_dir():
            return None
        files = [folder / f"{name}.pem" for name in ("authority", "server", "student")]
        try:
            ends = [x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc for file in files]
        except (OSError, ValueError) as error:
            raise ValueError(f"the certificates in {folder} are damaged ({error})") from None
        return cls(*files, ends=min(ends))

    @classmethod
    def make(cls, folder: Path, duration: timedelta = YEAR) -> Certificates:
        """Make certificates in a folder, which only its owner can read; take the place of those that are there.

        Parameters
        ----------
        folder : Path
            Where to keep them. It holds nothing else.
        duration : timedelta
            How long they hold.

        Examples
        --------
        >>> with tempfile.TemporaryDirectory() as place:
        ...     made = Certificates.make(Path(place, "cluster"))
        ...     sorted(file.name for file in made.student.parent.iterdir())
        ['authority.pem', 'server.pem', 'student.pem']
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

        ends = datetime.now(UTC) + duration
        signer, server, student = (Ed25519PrivateKey.generate() for _ in range(3))
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Written beside it, in a folder that is its owner's from the beginning, and then moved: whole, or not at all.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
            new = Path(beside, "new")
            new.mkdir(mode=0o700)
            _write(new / "authority.pem", _pem(_certificate("authority", signer, signer, ends, [])))
            # A worker answers, and it calls the scheduler and other workers.
            uses = [Usage.SERVER_AUTH, Usage.CLIENT_AUTH]
            _write(new / "server.pem", _pem(_certificate("server", server, signer, ends, uses)) + _key(server))
            uses = [Usage.CLIENT_AUTH]
            _write(new / "student.pem", _pem(_certificate("student", student, signer, ends, uses)) + _key(student))
            if folder.exists():
                shutil.move(folder, Path(beside, "old"))
            shutil.move(new, folder)
        made = cls.of(folder)
        assert made is not None
        return made


def _certificate(
    name: str, key: Ed25519PrivateKey, signer: Ed25519PrivateKey, ends: datetime, uses: list[x509.ObjectIdentifier]
) -> x509.Certificate:
    """Return the certificate of a key, signed by the authority's; the authority's own has no uses but to sign."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"class {text}")])

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - SKEW)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=not uses, path_length=None if uses else 0), critical=True)
    )
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=True)
    return builder.sign(signer, algorithm=None)  # what is hashed, and how, belongs to this kind of key


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key(key: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read (on Windows, what is in the user's own folder is)."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
        file.write(content)
