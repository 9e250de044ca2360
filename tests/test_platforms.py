"""Linux, macOS, Windows: nothing is used that one of them lacks, and processes are started as all of them can."""

from __future__ import annotations

import ast
import multiprocessing
import subprocess
import sys
from pathlib import Path

import dask
import distributed  # noqa: F401 - its settings are among Dask's then
import pytest

ROOT = Path(__file__).parents[1]


def lacking(system: str, *files: Path) -> list[str]:
    """Return where the files use a name of the standard library that a system lacks, as mypy finds it.

    It follows ``if sys.platform == ...``, so that what stands behind such a question may use what it asks for.
    """
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--platform", system, "--python-version", "3.11", "--no-site-packages",
         "--ignore-missing-imports", "--follow-imports", "silent", "--no-incremental", "--hide-error-context",
         *map(str, files)],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert checked.returncode in (0, 1), checked.stdout + checked.stderr
    return [line for line in checked.stdout.splitlines() if "error: Module has no attribute" in line]


@pytest.mark.slow
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_nothing_is_used_that_a_system_lacks(system):
    assert lacking(system, ROOT / "course") == []


@pytest.mark.slow
def test_what_a_system_lacks_is_found_unless_it_was_asked_for(tmp_path):
    file = tmp_path / "forks.py"
    file.write_text("import os\nimport sys\n\nos.fork()\nif sys.platform != 'win32':\n    os.fork()\n")
    (found,) = lacking("win32", file)
    assert "forks.py:4:" in found
    assert lacking("darwin", file) == []


def test_processes_are_started_afresh():
    """A fork copies locks that threads hold, and Windows has none: `spawn` for all, in tests as in the course."""
    assert dask.config.get("distributed.worker.multiprocessing-method") == "spawn"
    assert multiprocessing.get_start_method() == "spawn"  # tests/conftest.py sees to it
    for path in [*(ROOT / "course").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = node.func.attr
                if called in ("get_context", "set_start_method"):
                    assert ast.literal_eval(node.args[0]) == "spawn", f"{path.name}, line {node.lineno}"
