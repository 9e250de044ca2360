"""``course next``: one to three things to do now, with the reason."""

from __future__ import annotations

import argparse

from course.cli.place import settle


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "next",
        help="what to do now: one to three things, with the reason and the minutes",
        description="Says what to do now, from what you have done so far and from what each chapter builds on.",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what to do."""
    settle()
    from course.practice import what_next

    print(what_next())
    return 0
