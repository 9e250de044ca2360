"""Copies for live coding: every chapter's, and that none of what was typed into one is lost."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import nbformat
import pytest

from course.classroom.blank import GONE, blank, blank_source
from course.cli import main
from course.syllabus import chapters

ROOT = Path(__file__).parents[1]
CHAPTERS = [ROOT / "notebooks" / each.file for each in chapters() if each.written]
DRAWS = "figure, ax = plots.subplots()\nfor y in x:\n    # a dot\n    ax.plot(y)\nplots.show(figure)"
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "my köpie of it"
    monkeypatch.setenv("COURSE_HOME", str(folder))
    return folder


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@each_chapter
def test_a_copy_has_the_same_prose_and_no_outputs(path):
    chapter = nbformat.read(path, as_version=4)
    copy = nbformat.reads(nbformat.writes(blank(chapter)), as_version=4)
    nbformat.validate(copy)
    assert [(cell.cell_type, cell.id) for cell in copy.cells] == [(cell.cell_type, cell.id) for cell in chapter.cells]
    assert [cell.source for cell in copy.cells if cell.cell_type == "markdown"] == [
        cell.source for cell in chapter.cells if cell.cell_type == "markdown"
    ]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(copy))


@each_chapter
def test_imports_explorers_and_predictions_stay(path):
    chapter, copy = nbformat.read(path, as_version=4), blank(nbformat.read(path, as_version=4))
    assert code(copy)[0].source == code(chapter)[0].source
    for before, after in zip(code(chapter), code(copy), strict=True):
        if "course.explorers" in before.source:
            assert after.source == before.source
        for question in ("predict(", "predict.outcome("):
            assert _at_margin(after.source, question) == _at_margin(before.source, question)


def _at_margin(source: str, start: str) -> int:
    return sum(line.startswith(start) for line in source.split("\n"))


@each_chapter
def test_no_code_of_a_chapter_is_in_its_copy(path):
    """What runs in a cell of a copy imports, asks, or draws; and there is no comment but the first."""
    cells = code(blank(nbformat.read(path, as_version=4)))[1:]
    for cell in cells:
        if "course.explorers" in cell.source:
            continue
        rest = [node for node in ast.parse(cell.source).body if not _is_allowed(node)]
        if rest:
            drawn = "\n".join(ast.unparse(node) for node in rest)
            assert "plots.subplots(" in ast.unparse(rest[0])
            assert ast.unparse(rest[-1]).startswith("plots.show(")
            for other in ("measure.cluster(", "measure.record(", "scoreboard(", "check("):
                assert other not in drawn
    text = "\n".join(cell.source for cell in cells)
    everything = "\n".join(cell.source for cell in code(nbformat.read(path, as_version=4))[1:])
    assert not everything or len(text) < 0.5 * len(everything)


def _is_allowed(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return len(node.body) == 1 and ast.get_docstring(node) is not None
    return isinstance(node, ast.Import | ast.ImportFrom) or ast.unparse(node).startswith(
        ("predict(", "predict.outcome(")
    )


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("x = 1\ny = 2", ""),
        ("# what it is\n# and why\nx = 1  # one\n# two\ny = 2", "# what it is\n# and why"),
        ("x = f()\n\npredict.outcome('1.P1', x)", f"{GONE}\n\npredict.outcome('1.P1', x)"),
        ("for x in range(3):\n    predict(x)", ""),
        ("import a\nx = a.b()", f"import a\n{GONE}"),
        ("def f(x):\n    return x", ""),
        (
            "# measured: why\n@cache\ndef f(\n    x,\n):\n    'Twice x.'\n    # so\n    return 2 * x\n\n\nf(2)",
            f"# measured: why\n@cache\ndef f(\n    x,\n):\n    'Twice x.'\n    {GONE}\n\n\n{GONE}",
        ),
        ("class A:\n    'It.'\n\n    def f(self):\n        'Do.'", f"class A:\n    'It.'\n\n    {GONE}"),
        (f"x = 1\n{DRAWS}\nx + 1", f"{GONE}\n{DRAWS}\n{GONE}"),
        ("figure, ax = plots.subplots()\nax.plot(1)", ""),
    ],
)  # fmt: skip
def test_what_stays_of_a_cell(source, left):
    assert blank_source(source) == left


def test_a_copy_runs_and_what_is_typed_in_works(tmp_path):
    """Chapter 12, as a teacher opens it: imports, questions, explorers; one cell typed in; its figure."""
    from nbclient import NotebookClient

    [path] = [each for each in CHAPTERS if each.name.startswith("12-")]
    chapter, copy = nbformat.read(path, as_version=4), blank(nbformat.read(path, as_version=4))
    typed = next(k for k, cell in enumerate(copy.cells) if cell.source.startswith(GONE + "\nfigure"))
    copy.cells[typed].source = chapter.cells[typed].source
    waiting = (GONE, "figure", "predict.outcome")  # for what is not typed in here
    copy.cells = [
        cell for k, cell in enumerate(copy.cells) if k == typed or not any(each in cell.source for each in waiting)
    ]
    done = asyncio.run(NotebookClient(copy, timeout=120).async_execute())
    drawn = [
        output for cell in done.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(drawn) >= 4  # three explorers and the figure


def test_the_command_loses_nothing_that_was_typed(home, capsys):
    assert main(["blank", "12", "12-queueing", "5"]) == 0
    first = home / "3-algorithms" / "12-queueing.blank.ipynb"
    assert capsys.readouterr().out.splitlines() == [
        str(first),
        str(home / "2-concepts" / "05-scheduling-model.blank.ipynb"),
    ]
    assert main(["blank", "12"]) == 0
    assert "not changed since" in capsys.readouterr().out
    notebook = nbformat.read(first, as_version=4)
    notebook.cells[3].source += "\n1 + 1"
    nbformat.write(notebook, first)
    mine = first.read_bytes()
    second = first.with_name("12-queueing.blank-2.ipynb")
    for said in (f"{second}\n", f"{second} (made before, and not changed since)\n"):
        assert main(["blank", "12"]) == 0
        assert capsys.readouterr().out == said
    assert first.read_bytes() == mine
    assert sorted(path.name for path in first.parent.iterdir()) == [second.name, first.name]


def test_links_of_a_copy_lead_where_those_of_the_chapter_lead(home, tmp_path):
    assert main(["blank", "12", "-o", str(tmp_path / "class")]) == 0
    [made] = (tmp_path / "class").rglob("*.ipynb")
    assert made.relative_to(tmp_path / "class").as_posix() == "3-algorithms/12-queueing.blank.ipynb"
    assert not home.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["exercises/12"], "name a chapter"),
        (["99"], "there is no notebook '99'"),
        (["12", "-o", str(ROOT / "notebooks")], "take another folder"),
    ],
)
def test_the_command_says_what_is_wrong(given, said, capsys):
    assert main(["blank", *given]) == 1
    assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["blank", "12", "-o", str(tmp_path / "file")]) == 1
    assert "give another folder" in capsys.readouterr().err
