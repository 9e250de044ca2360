"""The formula sheet: every formula of `course.models`, read from the documentation of its function.

Shown in chapter 27, which is made from here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

import docstring_parser
from docstring_parser import DocstringStyle

from course import models

_MATH = re.compile(r"^\.\. math::(?P<tex>.*(?:\n(?:[ \t]+\S.*)?)*)", re.MULTILINE)
_CHAPTERS = re.compile(r"\b[Cc]hapters? (\d\d(?:(?:, | and )\d\d)*)")
# A sentence that says only where something is taught: the sheet has a place of its own for that.
_TAUGHT = re.compile(r"(?:(?<=\s)|^)(?:Taught in c|C)hapters? \d\d(?:(?:, | and )\d\d)*\.(?=\s|$)")


@dataclass(frozen=True)
class Formula:
    """One function of `course.models`, as the formula sheet shows it. All texts are Markdown.

    Attributes
    ----------
    name, module : str
        Of the function: its file in `course.models`.
    call : str
        Its name with its arguments.
    summary : str
        One sentence.
    tex : tuple of str
        Its formulas, in LaTeX.
    symbols : tuple of (str, str)
        The arguments: names, and what they are.
    result, notes, references : str
        What comes out; assumptions, remarks, and often the source; further sources.
    chapters : tuple of int
        Where it is taught.
    """

    name: str
    module: str
    call: str
    summary: str
    tex: tuple[str, ...]
    symbols: tuple[tuple[str, str], ...]
    result: str
    notes: str
    references: str
    chapters: tuple[int, ...]


@dataclass(frozen=True)
class Topic:
    """A file of `course.models`: its formulas, in their order there."""

    module: str
    title: str
    formulas: tuple[Formula, ...]


@cache
def topics() -> tuple[Topic, ...]:
    """Return all formulas by topic, in the order of the chapters that teach the topics first.

    Examples
    --------
    >>> from course.reference import topics
    >>> [formula.name for topic in topics() for formula in topic.formulas if topic.module == "erlang"]
    ['erlang_b', 'erlang_c']
    """
    functions = [getattr(models, name) for name in models.__all__ if inspect.isfunction(getattr(models, name))]
    found = []
    for name in sorted(
        {function.__module__ for function in functions if function.__module__.startswith("course.models")}
    ):
        module = import_module(name)
        own = [function for function in functions if function.__module__ == name]
        own.sort(key=lambda function: function.__code__.co_firstlineno)
        found.append(Topic(name.rpartition(".")[2], _title(module), tuple(formula_of(function) for function in own)))
    return tuple(sorted(found, key=lambda topic: min(min(formula.chapters) for formula in topic.formulas)))


def formula_of(function: Callable) -> Formula:
    """Return what the documentation of a function of the models says.

    Raises
    ------
    ValueError
        If it lacks a formula or a chapter.

    Examples
    --------
    >>> from course.models import amdahl
    >>> formula_of(amdahl).chapters
    (1,)
    """
    text = inspect.getdoc(function) or ""
    parsed = docstring_parser.parse(text, style=DocstringStyle.NUMPYDOC)
    sections = {meta.args[0]: meta.description or "" for meta in parsed.meta if meta.args}
    notes, references = sections.get("notes", ""), sections.get("references", "")
    tex = tuple(" ".join(match["tex"].split()) for match in _MATH.finditer(text)) or _inline(
        parsed.short_description or ""
    )
    chapters = tuple(
        sorted({int(each) for match in _CHAPTERS.finditer(text) for each in re.findall(r"\d\d", match[1])})
    )
    for what, there in (("formula", tex), ("chapter", chapters)):
        if not there:
            raise ValueError(f"the documentation of {function.__name__} states no {what}")
    rest = _markdown(_MATH.sub("", parsed.long_description or ""))
    return Formula(
        name=function.__name__,
        module=function.__module__.rpartition(".")[2],
        call=f"{function.__name__}({', '.join(inspect.signature(function).parameters)})",
        summary=_markdown(parsed.short_description or ""),
        tex=tex,
        symbols=tuple((each.arg_name, _markdown(each.description or "")) for each in parsed.params),
        result=_markdown((parsed.returns.description if parsed.returns else "") or ""),
        notes="\n\n".join(part for part in (rest, _markdown(_TAUGHT.sub("", notes))) if part),
        references=_markdown(_TAUGHT.sub("", references)),
        chapters=chapters,
    )


def _title(module: ModuleType) -> str:
    """Return what a module is about, without where that is taught."""
    first = (module.__doc__ or "").split("\n\n")[0]
    return _CHAPTERS.split(" ".join(first.split()))[0].removesuffix("Taught in ").rstrip(" .;")


def _inline(sentence: str) -> tuple[str, ...]:
    """Return the formulas that stand in a sentence."""
    return tuple(re.findall(r":math:`([^`]*)`", sentence))


def _markdown(text: str) -> str:
    """Return reStructuredText, of the kind that our documentation uses, as Markdown."""
    text = _MATH.sub(lambda match: f"\n$$ {' '.join(match['tex'].split())} $$\n", text)
    text = re.sub(r":math:`([^`]*)`", lambda match: f"${' '.join(match[1].split())}$", text)
    text = text.replace("``", "`")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).strip()
