"""The course as web pages: made without a warning, complete, and without anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from course.syllabus import chapters

# What reads notebooks for Sphinx uses, inside, what Sphinx will drop.
pytestmark = pytest.mark.filterwarnings("ignore:'myst_.* is deprecated. Check CHANGES for Sphinx")
pytest.importorskip("sphinx", reason="the pages need what `pip install -e .[book]` brings")

ROOT = Path(__file__).parents[1]
LOADS = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["'](?:https?:)?//|<link[^>]*\shref=["'](?:https?:)?//""")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from course.book import build

    folder = tmp_path_factory.mktemp("book")
    assert build(ROOT / "notebooks", folder) == 0
    return folder


@pytest.mark.slow
def test_every_notebook_has_a_page_but_no_solution(pages: Path) -> None:
    for chapter in chapters():
        if chapter.written:
            text = (pages / chapter.file).with_suffix(".html").read_text(encoding="utf-8")
            assert chapter.title.split(":")[0] in text
    exercises = {path.stem for path in (ROOT / "notebooks" / "exercises").glob("*.ipynb")}
    assert {path.stem for path in (pages / "exercises").glob("*.html")} == exercises
    assert not list(pages.rglob("*solution*"))
    assert "BEGIN SOLUTION" not in "".join(path.read_text(encoding="utf-8") for path in pages.rglob("*.html"))


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(pages: Path) -> None:
    for page in pages.rglob("*.html"):
        found = LOADS.search(page.read_text(encoding="utf-8"))
        assert found is None, (page.name, found[0])
    assert (pages / "_static" / "mathjax" / "tex-chtml.js").exists()
    assert "makespan" in (pages / "searchindex.js").read_text(encoding="utf-8")
