"""What of a chapter's exercises a student's process may see: the parts that the exercise notebooks use, and no judge.

The modules `course.practice.chapterNN` hold what an exercise gives to the learner (a function that counts a cost, a
recording) beside its judge, which often computes the right answer. Where submissions are graded, they are replaced by
the given parts alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable


def given_part(source: str, names: Iterable[str]) -> str:
    """Return a module's source cut down to some of its names and all that they need.

    Parameters
    ----------
    source : str
        The module's.
    names : iterable of str
        What stays. Imports stay, too; other statements go.

    Raises
    ------
    ValueError
        One of the names is not defined at the top of the module.

    Examples
    --------
    >>> print(given_part("import math\\nA = 1\\ndef f():\\n    return A\\ndef right():\\n    return f() + 1", ["f"]))
    import math
    A = 1
    def f():
        return A
    """
    tree = ast.parse(source)
    where: dict[str, list[ast.stmt]] = {}
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in tree.body:
        for name in _defines(node):
            where.setdefault(name, []).append(node)
    imported = {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names}
    if unknown := sorted(set(names) - set(where) - imported):
        raise ValueError(f"not defined at the top of the module: {', '.join(unknown)}")
    kept: set[ast.stmt] = set(imports)
    waiting = list(names)
    while waiting:
        for node in where.get(waiting.pop(), ()):
            if node not in kept:
                kept.add(node)
                waiting += [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    lines = source.splitlines()
    parts = []
    for node in tree.body:
        if node in kept:
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            parts += lines[first - 1 : node.end_lineno]
    return "\n".join(parts)


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
