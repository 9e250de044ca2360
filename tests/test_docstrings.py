"""What the documentation of each public function of the models and the simulators must hold."""

from __future__ import annotations

import ast
import builtins
import doctest
import inspect
import re
from collections.abc import Callable

import pytest

from course import models, simulate

FUNCTIONS = {
    f"{package.__name__}.{name}": (package, getattr(package, name))
    for package in (models, simulate)
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
}
# Tools, not ideas: there is nothing to cite.
TOOLS = {"course.simulate.sweep", "course.simulate.warm_up"}
# A year of publication; or what stands for it.
SOURCE = re.compile(
    r"\b(1[89]|20)\d\d[.,;:)]|\b(1[89]|20)\d\d \(|\b[Ss]ources?\b[^.]*: |[Dd]erived here|By definition|course's own"
)
CHAPTER = re.compile(r"\b[Cc]hapters? \d\d\b")


def sections(text: str) -> set[str]:
    return set(re.findall(r"^([A-Z]\w+)\n-{3,}$", text, flags=re.MULTILINE))


def unknown_names(text: str, known: set[str]) -> set[str]:
    """Return the names that an example uses without a definition, an import, or being of the package."""
    tree = ast.parse("".join(example.source for example in doctest.DocTestParser().get_examples(text)))
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else known).add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            known |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.arg):
            known.add(node.arg)
        elif isinstance(node, ast.FunctionDef):
            known.add(node.name)
    return used - known


def problems(name: str, function: Callable, package: object) -> list[str]:
    """Return what the documentation of a function lacks."""
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    wanted = {"Raises", "Examples"} | ({"Parameters"} if signature.parameters else set())
    if signature.return_annotation not in (None, "None"):
        wanted.add("Returns")
    found = [f"no section {section}" for section in sorted(wanted - sections(text))]
    if not doctest.DocTestParser().get_examples(text):
        found.append("no example")
    known = set(dir(builtins)) | set(package.__all__)
    found += [f"its example does not import {each}" for each in sorted(unknown_names(text, known))]
    if name not in TOOLS:
        flat = " ".join(text.split())
        found += [] if SOURCE.search(flat) else ["no source"]
        found += [] if CHAPTER.search(flat) else ["no chapter"]
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_public_functions_are_documented(name):
    package, function = FUNCTIONS[name]
    assert not problems(name, function, package)


def test_the_rules_are_not_vacuous():
    def bare(x: int) -> int:
        """Return x.

        >>> np.abs(bare(-1))
        1
        """
        return x

    assert len(FUNCTIONS) > 150
    assert problems("bare", bare, models) == [
        "no section Examples",
        "no section Parameters",
        "no section Raises",
        "no section Returns",
        "its example does not import bare",
        "its example does not import np",
        "no source",
        "no chapter",
    ]
