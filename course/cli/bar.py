"""A progress bar of one line; one line at the end where the output is not a terminal."""

from __future__ import annotations

import sys
from typing import TextIO

WIDTH = 30


class Bar:
    """Shows ``what [#####     ] 5/10``.

    Parameters
    ----------
    what : str
        What is under way.
    total : int
        How many steps there are.
    stream : TextIO, optional
        Where to; standard error by default.
    """

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self.what = what
        self.total = max(total, 1)
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()

    def show(self, done: int, note: str = "") -> None:
        """Show that `done` steps are done."""
        if self.live:
            filled = "#" * (WIDTH * min(done, self.total) // self.total)
            self.stream.write(f"\r{self.what} [{filled:<{WIDTH}}] {done}/{self.total} {note[:40]:<40}")
            self.stream.flush()

    def end(self, outcome: str) -> None:
        """Leave one line behind that says the `outcome`."""
        clear = "\r\x1b[K" if self.live else ""
        self.stream.write(f"{clear}{self.what}: {outcome}\n")
        self.stream.flush()
