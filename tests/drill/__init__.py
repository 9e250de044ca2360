"""Drills: long runs that the course must stand, each with its figures. See ``tests/README.md``."""

from __future__ import annotations


class Skipped(Exception):
    """This drill cannot run on this machine; the message says what is missing."""
