"""A crowd, the short form: two kernels run a page at once; a limit that is too small is told in words."""

from __future__ import annotations

import os
import sys

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

from course import notebook
from tests.drill import crowd

pytestmark = pytest.mark.slow


def test_two_kernels_at_once():
    (row,) = crowd.run(kernels=2, chapter="26", memory=(4.0,))
    assert row["ok"], row
    assert "2 × finished" in row["figures"]


@pytest.mark.skipif(os.name != "posix", reason="no limit on the memory of a process here")
def test_too_little_memory_is_told():
    (row,) = crowd.run(kernels=1, chapter="26", memory=(0.1,))
    assert row["ok"], row
    assert "finished" not in row["figures"]


def test_a_failure_without_a_reason_would_be_seen(monkeypatch):
    monkeypatch.setattr(crowd, "LIMITED", "print('something'); raise SystemExit(3)")
    (row,) = crowd.run(kernels=1, chapter="26", memory=(4.0,))
    assert not row["ok"]
    assert "no reason, status 3" in row["result"]


def test_a_kernel_that_does_not_start_is_told(monkeypatch, tmp_path):
    def of_no_use() -> type:
        class Broken(AsyncKernelManager):
            @property
            def kernel_spec(self) -> KernelSpec:
                return KernelSpec(argv=[sys.executable, "-c", "raise SystemExit(3)"])

        return Broken

    monkeypatch.setattr(notebook, "_this_python", of_no_use)
    path = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), path)
    with pytest.raises(notebook.NotebookError, match=r"no kernel started: Kernel died.*enough memory"):
        notebook.execute(path)
