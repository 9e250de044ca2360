"""A copy of a chapter to type into while the class watches: the same prose, and cells without their code.

What stays is what nobody wants to type in front of a class, or to watch being typed:

- the first cell with its imports and constants, and imports elsewhere;
- an explorer;
- a prediction, and its outcome: the class answers before the code is there;
- the lines that draw a figure, from ``plots.subplots`` to ``plots.show``: they wait for what is typed above them;
- the first comment of a cell, and the head of a function with its docstring: they say what is to be typed.

The rest is what the chapter teaches, and goes. Where something of a cell stays, ``# …`` stands for what has gone. A
cell of which nothing stays is empty: the prose above it is its prompt, and a line of its own code would tell how it
begins.
"""

from __future__ import annotations

import ast
import copy
import itertools
from typing import TypeGuard

import nbformat
from nbformat import NotebookNode

GONE = "# …"


def blank(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a chapter for live coding, without outputs.

    Parameters
    ----------
    notebook : NotebookNode
        A chapter. Its prose, the order of its cells and their ids are kept.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> cells = [new_code_cell("import math"), new_markdown_cell("The area?"), new_code_cell("math.pi * 2**2")]
    >>> [cell.source for cell in blank(new_notebook(cells=cells)).cells]
    ['import math', 'The area?', '']
    """
    notebook = copy.deepcopy(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        cell.outputs, cell.execution_count = [], None
        if number > 0 and "course.explorers" not in cell.source:
            cell.source = blank_source(cell.source)
    nbformat.validate(notebook)
    return notebook


def blank_source(source: str) -> str:
    """Return the source of a cell without what is to be typed.

    Examples
    --------
    >>> print(blank_source("# the mean of a thousand\\nx = draw(1000)\\nx.mean()"))
    # the mean of a thousand
    >>> print(blank_source("x = draw(1000)\\nfigure, ax = plots.subplots()\\nax.hist(x)\\nplots.show(figure, alt='')"))
    # …
    figure, ax = plots.subplots()
    ax.hist(x)
    plots.show(figure, alt='')
    """
    lines = source.split("\n")
    prompt = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    tree = ast.parse(source)
    stay = _lines_that_stay(tree)
    if not stay:
        return "\n".join(prompt)
    stay |= set(range(1, len(prompt) + 1))
    inside = {number: k for k, node in enumerate(tree.body) if _has_docstring(node) for number in _lines(node, node)}

    def piece(numbered: tuple[int, str]) -> tuple[bool, int | None]:
        return numbered[0] in stay, inside.get(numbered[0])

    result = []
    for (stays, _), group in itertools.groupby(enumerate(lines, start=1), key=piece):
        run = [line for _, line in group]
        result += run if stays else _without_code(run)
    return "\n".join(result).strip("\n")


def _lines_that_stay(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that stay, from 1."""
    stay: set[int] = set()
    for node in _drawing(tree.body):
        stay |= _lines(node, node)
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_prediction(node):
            stay |= _lines(node, node)
        elif _has_docstring(node):
            stay |= _lines(node, node.body[0])
    return stay


def _lines(first: ast.stmt, last: ast.stmt) -> set[int]:
    """Return the numbers of the lines from the beginning of a statement, decorators too, to the end of another."""
    begin = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", ()))])
    return set(range(begin, (last.end_lineno or last.lineno) + 1))


def _has_docstring(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return isinstance(node, kinds) and ast.get_docstring(node) is not None


def _is_prediction(node: ast.stmt) -> bool:
    """Whether a statement is ``predict(...)`` or ``predict.outcome(...)``."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) in ("predict", "predict.outcome")
    )


def _drawing(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements from the one that makes a figure to the last one that shows one."""
    makes = [k for k, node in enumerate(body) if _calls(node, "plots.subplots")]
    shows = [k for k, node in enumerate(body) if _calls(node, "plots.show")]
    return body[makes[0] : shows[-1] + 1] if makes and shows else []


def _calls(node: ast.stmt, function: str) -> bool:
    return any(isinstance(each, ast.Call) and ast.unparse(each.func) == function for each in ast.walk(node))


def _without_code(lines: list[str]) -> list[str]:
    """Return `GONE` in the place of lines, and the empty lines around them."""
    code = [k for k, line in enumerate(lines) if line.strip()]
    if not code:
        return lines
    first = lines[code[0]]
    indent = first[: len(first) - len(first.lstrip())]
    return [*lines[: code[0]], indent + GONE, *lines[code[-1] + 1 :]]
