"""The course as web pages, to be read without Python: ``python -m course.book [FOLDER]`` (``make book``).

The pages are the notebooks as they are stored, with the pictures of their explorers, and the exercises without their
solutions. They need no network: formulas are set by a copy of MathJax, and the search runs in the browser.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from course.syllabus import chapters

NOTEBOOKS = Path("notebooks")
FOLDER = Path("build/book")
TITLE = "Tuning Distributed Systems"
_NO_PAGES = ["solutions", "**/.ipynb_checkpoints", "README*"]


def build(source: Path = NOTEBOOKS, folder: Path = FOLDER) -> int:
    """Make the pages; return how many warnings there were.

    Parameters
    ----------
    source : Path
        The folder of the notebooks; it is not changed.
    folder : Path
        Where the pages go: open its ``index.html``.

    Raises
    ------
    FileNotFoundError
        There are no notebooks in the source.
    """
    from sphinx.application import Sphinx

    if not (source / chapters()[0].file).exists():
        raise FileNotFoundError(f"{source} holds no {chapters()[0].file}; run this in the folder of the project")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        toc = Path(temporary) / "toc.yml"
        toc.write_text(contents(source), encoding="utf-8")
        app = Sphinx(
            srcdir=source, confdir=None, outdir=folder, doctreedir=Path(temporary) / "doctrees", buildername="html",
            confoverrides=settings(toc), status=None, warning=sys.stderr, freshenv=True,
        )  # fmt: skip
        app.build(force_all=True)
    root = Path(chapters()[0].file).with_suffix(".html")
    (folder / "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><title>{TITLE}</title><meta http-equiv="refresh" content="0; url={root}">'
        f'<a href="{root}">{TITLE}</a>\n',
        encoding="utf-8",
    )
    return app.statuscode or app._warncount


def settings(toc: Path) -> dict[str, Any]:
    """Return what Sphinx is told."""
    return {
        "project": TITLE,
        "release": version("tuning-distributed-systems"),
        "copyright": "the authors; text CC BY 4.0, code BSD 3-clause",
        "extensions": ["myst_nb", "sphinx_external_toc", "sphinx-mathjax-offline"],
        "external_toc_path": os.fspath(toc),
        "exclude_patterns": _NO_PAGES,
        "suppress_warnings": ["myst.header"],  # below the title of an exercises' page stand headings of level 3
        "nb_execution_mode": "off",
        "myst_enable_extensions": ["dollarmath", "amsmath"],
        "myst_heading_anchors": 4,
        "html_theme": "furo",
        "html_title": TITLE,
        "html_show_sourcelink": False,
        "html_copy_source": False,
    }


def contents(source: Path) -> str:
    """Return the table of contents, part by part, as `sphinx_external_toc` reads it."""
    written = [chapter for chapter in chapters() if (source / chapter.file).exists()]
    lines = [f"root: {written[0].file.removesuffix('.ipynb')}", "subtrees:"]
    for part, group in groupby(written[1:], key=lambda chapter: chapter.part):
        lines += [f"  - caption: {part}", "    entries:"]
        lines += [f"      - file: {chapter.file.removesuffix('.ipynb')}" for chapter in group]
    lines += ["  - caption: Exercises", "    entries:"]
    lines += [f"      - file: exercises/{path.stem}" for path in sorted((source / "exercises").glob("*.ipynb"))]
    return "\n".join(lines) + "\n"


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
