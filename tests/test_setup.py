"""``make setup``: it never clears a folder that is not its own, and says what to do where it cannot write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make was not found")


def setup(place: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "setup", f"COURSE_VENV={place}", f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    mine = tmp_path / "my work of a year"
    mine.write_text("all of it")
    done = setup(tmp_path)
    assert done.returncode
    assert "holds something else" in done.stderr
    assert "COURSE_VENV=" in done.stderr
    assert mine.read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [mine]


def test_where_nothing_can_be_written_it_names_the_cure(tmp_path):
    (tmp_path / "file").touch()
    done = setup(tmp_path / "file" / "env")
    assert done.returncode
    assert "COURSE_VENV=$HOME/course-env make lab" in done.stderr
