"""What importing the package costs, and which part may import which."""

from __future__ import annotations

import ast
import graphlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "course"

# Lower never imports higher; parts of one layer may import each other, but not in a circle.
LAYERS = {
    "home": 0,
    "syllabus": 0,
    "cluster": 0,
    "datafiles": 0,
    "domain": 0,
    "graph": 0,
    "recorded": 0,
    "trace": 0,
    "tracefile": 0,
    "models": 1,
    "simulate": 1,
    "measure": 1,
    "sweep_kernel": 1,
    "timeshares": 1,
    "advice": 2,
    "costs": 2,
    "diagnosis": 2,
    "diagnosis_html": 2,
    "reference": 2,
    "playbook": 2,
    "replay": 2,
    "plots": 2,
    "explorers": 3,
    "practice": 3,
    "book": 4,
    "classroom": 4,
    "notebook": 4,
    "cli": 4,
    "__main__": 5,
}
# The three ways to a number are independent of each other.
APART = {"models", "simulate", "measure"}
# Who may import the libraries that are slow to import or stand for a part.
ONLY = {
    "dask": {"measure", "graph.readers", "graph.daskorder"},
    "distributed": {"measure"},
    "matplotlib": {"plots", "explorers"},
}
BUDGET = 0.25


def modules() -> dict[str, Path]:
    """Return module name (without ``course.``) -> file; the package itself is the empty name."""
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


@cache
def imports(name: str) -> list[tuple[str, bool]]:
    """Return the modules that a module imports, absolute, and whether it does so while it is imported itself."""
    path = modules()[name]
    return list(_walk(ast.parse(path.read_text(encoding="utf-8")), at_import=True))


def _walk(node: ast.AST, at_import: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from ((alias.name, at_import) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, f"relative import in line {node.lineno}; this project's are absolute"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            is_module = node.module.split(".")[0] == "course" and whole.removeprefix("course.") in modules()
            yield (whole if is_module else node.module), at_import
    inside = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, inside)


def part(name: str) -> str:
    return name.split(".")[0]


def of_course(imported: str) -> str | None:
    """Return the name without ``course.``; None for other packages and for the bare package."""
    return imported.removeprefix("course.") if imported.startswith("course.") else None


def test_every_part_has_its_layer():
    assert {part(name) for name in modules() if name} <= set(LAYERS)


@pytest.mark.parametrize("name", sorted(name for name in modules() if name))
def test_lower_never_imports_higher(name):
    for imported, _ in imports(name):
        other = of_course(imported)
        if other is None:
            continue
        assert LAYERS[part(other)] <= LAYERS[part(name)], f"course.{name} imports course.{other}"
        if {part(name), part(other)} <= APART:
            assert part(name) == part(other), f"course.{name} imports course.{other}"


@pytest.mark.parametrize("name", sorted(modules()))
def test_libraries_are_imported_only_where_they_belong(name):
    for imported, _ in imports(name):
        allowed = ONLY.get(part(imported))
        assert allowed is None or {name, part(name)} & allowed, f"course.{name} imports {imported}"


def test_no_circles():
    known = modules()
    graph = {}
    for name in known:
        needed = {of_course(imported) for imported, at_import in imports(name) if at_import} - {None, name}
        graph[name] = {other if other in known else other.rpartition(".")[0] for other in needed} - {name}
    list(graphlib.TopologicalSorter(graph).static_order())


def test_rules_are_not_vacuous():
    """The reader of the sources sees imports at the top, in functions, of names and of modules."""
    source = "import course.cli\nfrom course import home\ndef f():\n    from course.trace import Trace\n"
    assert list(_walk(ast.parse(source), at_import=True)) == [
        ("course.cli", True),
        ("course.home", True),
        ("course.trace", False),
    ]


def run_python(code: str) -> tuple[str, float]:
    before = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    return done.stdout, time.perf_counter() - before


def test_import_loads_nothing_heavy():
    code = "import course, sys; print(*(m for m in ('numba', 'matplotlib', 'pandas', 'dask') if m in sys.modules))"
    assert run_python(code)[0].split() == []


def test_import_is_cheap():
    run_python("import numpy, course")  # the bytecode is compiled before it is timed
    extra = []
    for _ in range(5):
        without = run_python("import numpy")[1]
        extra.append(run_python("import numpy, course")[1] - without)
    assert statistics.median(extra) < BUDGET
