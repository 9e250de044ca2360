"""``course review``: asks again what was wrong, in the terminal."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING

from course.cli.errors import CommandError
from course.cli.place import settle

if TYPE_CHECKING:
    from course.practice.reviewing import Question, Review

WIDTH = 100
MANY = 10**6  # all


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser(
        "review",
        help="ask again what was wrong: a few questions, when they are due",
        description="Asks again the predictions and exercises that were wrong, 1, 2, 4, 8 and 16 days apart as long as"
        " they are right (answers in code 1, 4 and 16). Each answer is kept at once; an empty one leaves the question"
        " for later.",
    )
    command.add_argument("--questions", type=int, metavar="N", help="at most so many, 3 to 10 (5)")
    command.add_argument("--seed", type=int, help="which come first among equals (default: another each day)")
    command.add_argument("--list", action="store_true", help="only say what is due")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and say at once whether it was right."""
    settle()
    from course.practice.cards import cards, today
    from course.practice.reviewing import FROM_MEMORY, QUESTIONS, review, select

    if arguments.list:
        print(select(cards(), today(), MANY, arguments.seed))
        return 0
    try:
        found = review(QUESTIONS if arguments.questions is None else arguments.questions, seed=arguments.seed)
    except ValueError as error:
        raise CommandError(f"--{error}") from None
    print(found.head(), FROM_MEMORY if found.questions else "")
    _ask_all(found)
    return 0


def _ask_all(found: Review) -> None:
    from course.practice.reviewing import WRITE_ANEW

    for k, question in enumerate(found.questions, start=1):
        print(f"\n{k}/{len(found.questions)}")
        print(_wrapped(question))
        for letter, choice in zip("abcdefghijklmnopqrstuvwxyz", question.choices, strict=False):
            print(f"  {letter}) {question.says(choice)}")
        try:
            _ask(question, found)
        except EOFError:
            print("\nStopped; what was not answered stays due.")
            break
    if found.questions:
        print(f"\n{found.summary()}")
    if found.exercises:
        print("\n" + textwrap.fill(WRITE_ANEW, WIDTH))
        for line in found.exercise_lines():
            print(f"  {line}")


def _ask(question: Question, found: Review) -> None:
    """Ask until there is an answer; an empty one is none."""
    from course.practice.reviewing import was_right

    prompt = "your answer: " if question.choices else f"a number{f' in {question.unit}' if question.unit else ''}: "
    while typed := input(prompt).strip():
        try:
            judged = question.answer(typed)
        except ValueError as error:
            print(error)
            continue
        found.note(judged)
        print(judged)
        if not was_right(judged) and question.page:
            print(f"  read      {question.page}")
        return
    print("left for later")


def _wrapped(question: Question) -> str:
    """Return the text without the marks of bold type, its paragraphs wrapped; lists, tables and code stay as they are.

    The list of the choices is left out: it follows, with letters.
    """
    parts = [part for part in question.text.replace("**", "").split("\n\n") if not _is_list_of(question.choices, part)]
    return "\n\n".join(
        part if any(line.startswith(("- ", "|", "    ", "```", "1. ")) for line in part.splitlines())
        else textwrap.fill(part, WIDTH)
        for part in parts
    )  # fmt: skip


def _is_list_of(choices: tuple[str, ...], part: str) -> bool:
    return bool(choices) and all(f'- `"{choice}"`' in part for choice in choices) and part.startswith("- ")
