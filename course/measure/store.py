"""A store that counts: files of this machine behind a latency and a bandwidth, as of an object store."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from typing import Any, NamedTuple

from fsspec.implementations.local import LocalFileSystem

from course.domain import number


class Request(NamedTuple):
    """One read: the path of the file, the first byte and how many bytes came."""

    file: str
    offset: int
    size: int


class _Book:
    """The requests of one store; shared by its copies in all threads of a process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: list[Request] = []


_books: dict[str, _Book] = {}
_numbers = itertools.count()


class _MeteredFile:
    """An open file whose `read` and `readinto` are counted and take the store's time."""

    def __init__(self, file: Any, path: str, store: Store) -> None:
        self._file, self._path, self._store = file, path, store

    def read(self, size: int = -1) -> bytes:
        offset = self._file.tell()
        data = self._file.read(size)
        self._store._served(Request(self._path, offset, len(data)))
        return data

    def readinto(self, buffer: Any) -> int:
        offset = self._file.tell()
        size = self._file.readinto(buffer)
        self._store._served(Request(self._path, offset, size))
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _MeteredFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Store(LocalFileSystem):
    """Files of this machine as if from an object store: each read takes time, and is counted.

    Give it to `dask.dataframe.read_parquet` as ``filesystem``, or open a file from it. A read of s bytes takes
    latency + s / bandwidth seconds, in which other threads can read too.

    Parameters
    ----------
    latency : float
        Seconds before the first byte of each request.
    bandwidth : float
        Bytes a second of each request; infinite by default.

    Raises
    ------
    ValueError
        If the latency is negative or the bandwidth not positive.

    Examples
    --------
    >>> from course.datafiles import data_file
    >>> store = Store()
    >>> with store.open(str(data_file("chapters.csv"))) as file:
    ...     _ = file.seek(10)
    ...     start = file.read(5)
    >>> [(request.offset, request.size) for request in store.requests], store.bytes
    ([(10, 5)], 5)

    Notes
    -----
    The requests to one open file are served one after the other, those to different files at once. What is read by
    workers in processes of their own is counted there, and not seen here: take a cluster of threads
    (``measure.cluster(1, 4, processes=False, local=True)``). Dask takes each store for another one, and so plans anew;
    what it read through one it remembers. Chapters 04 and 18.
    """

    protocol = "metered"
    cachable = False

    def __init__(self, latency: float = 0.0, bandwidth: float = math.inf, book: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.latency = float(number("latency", latency, low=0))
        if not bandwidth > 0:
            raise ValueError(f"bandwidth is {bandwidth!r:.80}; it must be positive, in bytes a second")
        self.bandwidth = float(bandwidth)
        self._book = book or f"{os.getpid()}-{next(_numbers)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.latency, self.bandwidth, self._book)

    @property
    def _fs_token(self) -> str:
        """Return what tells this store from others (fsspec): a hexadecimal number."""
        return self._book.encode().hex()

    def __dask_tokenize__(self) -> tuple[str, str]:
        return ("course.measure.Store", self._book)

    @property
    def _entries(self) -> _Book:
        return _books.setdefault(self._book, _Book())

    @property
    def requests(self) -> list[Request]:
        """The reads since the start, or since `clear`, in the order of their ends."""
        return list(self._entries.requests)

    @property
    def bytes(self) -> int:
        """How many bytes were read."""
        return sum(request.size for request in self._entries.requests)

    def clear(self) -> None:
        """Count from 0 again."""
        self._entries.requests.clear()

    def _served(self, request: Request) -> None:
        took = self.latency + request.size / self.bandwidth
        if took > 0:
            time.sleep(took)
        with self._entries.lock:
            self._entries.requests.append(request)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode=mode, **options)
        return _MeteredFile(file, path, self) if "r" in mode else file
