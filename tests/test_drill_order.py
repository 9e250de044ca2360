"""Order, the short form: a small notebook goes through the passes; and the drill sees what would be wrong."""

from __future__ import annotations

import sys

import nbformat
import pytest

from tests.drill import order

pytestmark = pytest.mark.slow

GOOD = [
    "import time\nfrom course import measure",
    "with measure.cluster(1, 1, local=True, dashboard=False) as client:\n"
    "    assert client.submit(sum, [1, 2]).result() == 3\n    time.sleep(1.5)",
    "total = 3",
]


def notebook(folder, cells):
    path = folder / "small.ipynb"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    nbformat.write(book, path)
    return path


def test_a_good_page_goes_through(tmp_path):
    found = order.drill(notebook(tmp_path, GOOD), seed=1)
    assert found.wrong == []
    assert found.cells == 3 + 6 + 1 + 3
    assert found.interrupts >= 1


def test_a_page_that_works_once_would_be_seen(tmp_path):
    found = order.drill(notebook(tmp_path, ["assert 'once' not in globals()", "once = 1"]), 1, passes=("twice",))
    assert ["cell 0, time 2: AssertionError" in each for each in found.wrong] == [True, False]


def test_a_cell_that_cannot_be_run_again_would_be_seen(tmp_path):
    cells = ["once = 1", "assert once == 1\nonce += 1"]
    found = order.drill(notebook(tmp_path, cells), 1, passes=("again",))
    assert ["cell 1, again: AssertionError" in each for each in found.wrong] == [True]


def test_a_page_that_its_own_restart_breaks_would_be_seen(tmp_path):
    mark = str(tmp_path / "mark")
    cells = [f"import pathlib\nmark = pathlib.Path({mark!r})\nassert not mark.exists()", "mark.touch()", "z = 1"]
    found = order.drill(notebook(tmp_path, cells), 1, passes=("restart",))
    assert any("cell 0, before the restart: AssertionError" in each for each in found.wrong)


def test_a_process_that_stays_would_be_seen(tmp_path):
    start = f"import subprocess\nsubprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(60)'])"
    found = order.drill(notebook(tmp_path, [start]), 1, passes=("twice",))
    assert any("processes left" in each for each in found.wrong)


def test_a_library_that_a_cut_import_leaves_half_loaded_is_not_the_pages_fault(tmp_path):
    half = "import builtins, time\nassert not hasattr(builtins, 'half')\nbuiltins.half = 1\ntime.sleep(2)"
    (tmp_path / "half.py").write_text(half, encoding="utf-8")
    load = f"def load():\n    import sys\n    sys.path.insert(0, {str(tmp_path)!r})\n    import half"
    found = order.drill(notebook(tmp_path, [load, "load()"]), 1, passes=("restart", "interrupt"))
    assert (found.wrong, found.caught, found.half_imported) == ([], 1, 1)


@pytest.mark.parametrize(
    "stubborn", ["while True:\n    try:\n        time.sleep(0.1)\n    except KeyboardInterrupt:\n        pass"]
)
def test_a_cell_that_cannot_be_interrupted_would_be_seen(tmp_path, monkeypatch, stubborn):
    monkeypatch.setattr(order, "PATIENCE", 1.0)
    with order.kernel(tmp_path) as running:
        running.run("import time")
        assert running.run(stubborn, interrupt_after=0.3).error == "Hangs"
