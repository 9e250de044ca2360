"""The course as web pages, to be read without Python: ``python -m course.book [FOLDER]`` (``make book``).

The pages are the notebooks as they are stored, with the pictures of their explorers, and the exercises without their
solutions. They need no network: formulas are set by a copy of MathJax, and the search runs in the browser.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from course.syllabus import chapters

NOTEBOOKS = Path("notebooks")
FOLDER = Path("build/book")
TITLE = "Tuning Distributed Systems"
ABOUT = """An interactive course on making distributed systems fast, available and scalable, and on *task scheduling*
above all. These pages are to be read; to run the code, to move the sliders and to have your answers checked, start the
course itself."""
SETTINGS: dict[str, Any] = {
    "project": TITLE,
    "copyright": "the authors; text CC BY 4.0, code BSD 3-clause",
    "extensions": ["myst_nb", "sphinx-mathjax-offline"],
    "suppress_warnings": ["myst.header"],  # below the title of an exercises' page stand headings of level 3
    "nb_execution_mode": "off",
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "myst_heading_anchors": 4,
    "html_theme": "furo",
    "html_title": TITLE,
    "html_show_sourcelink": False,
    "html_copy_source": False,
}


def build(notebooks: Path = NOTEBOOKS, folder: Path = FOLDER) -> int:
    """Make the pages; return how many warnings there were.

    Parameters
    ----------
    notebooks : Path
        The folder of the notebooks; it is not changed.
    folder : Path
        Where the pages go: open its ``index.html``.

    Raises
    ------
    FileNotFoundError
        There are no notebooks there.
    """
    from sphinx.application import Sphinx

    if not (notebooks / chapters()[0].file).exists():
        raise FileNotFoundError(f"{notebooks} holds no {chapters()[0].file}; run this in the folder of the project")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        shutil.copytree(notebooks, source, ignore=shutil.ignore_patterns("solutions", "teaching", ".ipynb_checkpoints"))
        (source / "index.md").write_text(front_page(notebooks), encoding="utf-8")
        app = Sphinx(
            srcdir=source, confdir=None, outdir=folder, doctreedir=Path(temporary) / "doctrees", buildername="html",
            confoverrides=SETTINGS, status=None, warning=sys.stderr, freshenv=True,
        )  # fmt: skip
        app.build(force_all=True)
    return app._warncount


def front_page(notebooks: Path) -> str:
    """Return the first page: what this is, and the chapters and exercises, part by part."""
    written = [chapter for chapter in chapters() if (notebooks / chapter.file).exists()]
    parts = [(part, [chapter.file for chapter in group]) for part, group in groupby(written, lambda each: each.part)]
    exercises = sorted((notebooks / "exercises").glob("*.ipynb"))
    parts.append(("Exercises", [f"exercises/{path.name}" for path in exercises]))
    text = f"# {TITLE}\n\n{ABOUT}\n"
    for part, files in parts:
        text += f"\n```{{toctree}}\n:caption: {part}\n:maxdepth: 1\n\n"
        text += "".join(f"{file.removesuffix('.ipynb')}\n" for file in files) + "```\n"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m course.book", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help=f"where the pages go ({FOLDER})")
    given = parser.parse_args(arguments)
    print(f"Making the pages of {TITLE} (a minute at most) ...", flush=True)
    warnings = build(folder=given.folder)
    print(f"Open {given.folder / 'index.html'}" + (f"; {warnings} warnings" if warnings else ""))
    return int(bool(warnings))


if __name__ == "__main__":
    sys.exit(main())
