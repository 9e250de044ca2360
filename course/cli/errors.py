"""The error that ends a command with a message instead of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """Says what was given, what is allowed and what to do; printed as it is, with exit status 1."""
