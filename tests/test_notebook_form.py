"""Every notebook keeps to the form; and each rule of the form finds what it is for."""

from __future__ import annotations

import base64
import copy
import io
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course.notebook import ROOT, add_nbgrader, make_exercise, normalise, write
from course.practice import Exercise
from course.practice.exercises import register, unregister
from tests.notebook_form import EXEMPT, RULES, Page, complaints, pages, rules

NOTEBOOKS = Path(__file__).parent.parent / ROOT


@pytest.mark.parametrize("page", [pytest.param(page, id=page.path.name) for page in pages(NOTEBOOKS)])
def test_notebook(page):
    assert complaints(page) == []


# --- the rules themselves ------------------------------------------------------------------------

HEAD = """# 98 · Toy

*How long does a toy last?*

| You will do | You will learn | You need | Time |
| --- | --- | --- | --- |
| break one | why | [the chapter before](97-before.ipynb#The-problem) | 30 min |

- **98.1** Compute the time $a<b$ that a toy lasts.
"""
SECTIONS = ("The problem", "Toys", "Scoreboard", "Explore", "When the model lies", "In practice", "Summary")
TAIL = "Exercises: [here](../exercises/98-toy.ipynb). Before: [97](97-before.ipynb). Next: [99](99-after.ipynb)."


def _picture():
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _ran(source, *outputs, tags=()):
    return new_code_cell(source, execution_count=1, outputs=list(outputs), metadata={"tags": list(tags)})


def _figure(text="A line that rises.", alt="A line that rises."):
    metadata = {"image/png": {"alt": alt}} if alt else {}
    return new_output("display_data", data={"image/png": _picture(), "text/plain": text}, metadata=metadata)


def _chapter():
    cells = [new_markdown_cell(HEAD)]
    cells += [new_markdown_cell(f"## {name}\n\nText with `code just so`.") for name in SECTIONS]
    cells.append(_ran("print(2)", new_output("stream", text="2\n")))
    cells.append(_ran("draw()", _figure()))
    cells.append(
        _ran("# measured: the time of a sleep\nrun()", new_output("stream", text="0.1\n"), tags=["nbval-ignore-output"])
    )
    cells.append(new_markdown_cell(TAIL))
    return normalise(new_notebook(cells=cells))


def _solution():
    cells = [
        new_markdown_cell("# 98 · Toy: exercises\n\nSee [the chapter](../../2-concepts/98-toy.ipynb#Summary)."),
        _ran("from course import check", new_output("stream", text="ready\n")),
    ]
    for k in range(1, 7):
        result = new_output("execute_result", data={"text/plain": "2.0"}, execution_count=1)
        cells += [
            new_markdown_cell(f"### 98.{k} · Toy · 2 points · 5 min\n\nSay {k}."),
            _ran(f"answer = ...\n### BEGIN SOLUTION\nanswer = {k}\n### END SOLUTION", tags=["solution"]),
            _ran(f'check("98.{k}", answer).grade()', result, tags=["check"]),
        ]
    return add_nbgrader(normalise(new_notebook(cells=cells)))


@pytest.fixture
def course(tmp_path):
    """Three chapters, the exercises of one of them and their solutions, all in good form."""
    register(
        98,
        [
            Exercise(
                id=f"98.{k}",
                objective="98.1",
                kind="predict",
                title="Toy",
                points=2,
                minutes=5,
                value=k,
                hints=("a", "b", "c"),
            )
            for k in range(1, 7)
        ],
    )
    root = tmp_path / "notebooks"
    write(_chapter(), root / "2-concepts" / "98-toy.ipynb")
    for name in ("97-before", "99-after"):
        write(
            normalise(new_notebook(cells=[new_markdown_cell("# 97 · X\n\n## The problem")])),
            root / f"2-concepts/{name}.ipynb",
        )
    write(_solution(), root / "solutions" / "98-toy" / "98-toy.ipynb")
    write(make_exercise(_solution()), root / "exercises" / "98-toy.ipynb")
    yield root
    unregister(98)


PATHS = {
    "chapter": "2-concepts/98-toy.ipynb",
    "solution": "solutions/98-toy/98-toy.ipynb",
    "exercise": "exercises/98-toy.ipynb",
}


@pytest.mark.parametrize("kind", PATHS)
def test_good_pages_pass(course, kind):
    page = Page(course / PATHS[kind], course)
    assert page.kind == kind
    assert complaints(page) == []


def _say(text, cell=1):
    def change(notebook):
        notebook.cells[cell].source += "\n" + text

    return change


def _replace(cell, old, new):
    def change(notebook):
        assert old in notebook.cells[cell].source
        notebook.cells[cell].source = notebook.cells[cell].source.replace(old, new)

    return change


def _output(output, source="x"):
    return lambda notebook: notebook.cells.append(_ran(source, output))


def _tagged(source, tag="nbval-ignore-output"):
    return lambda notebook: notebook.cells.append(_ran(source, tags=[tag]))


def _set(**values):
    return lambda notebook: notebook.metadata.update(values)


def _drop(cell):
    return lambda notebook: notebook.cells.pop(cell)


def _each_code_cell(**values):
    def change(notebook):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.update(copy.deepcopy(values))

    return change


def _stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


# What is broken, in which kind of page; the rule that must find it; a word of its complaint.
BROKEN = [
    ("chapter", "title", _replace(0, "# 98 ·", "# 97 ·"), "must be '98"),
    ("chapter", "title", _say("# Another"), "2 headings"),
    ("chapter", "title", _replace(0, "# 98 · Toy", ""), "0 headings"),
    ("chapter", "head", _replace(0, "last?*", "last.*"), "question"),
    ("chapter", "head", _replace(0, "You need", "You want"), "you need"),
    ("chapter", "head", _replace(0, "| Time ", "| Tempo "), "time"),
    ("chapter", "objectives", _replace(0, "- **98.1**", "- **98.2**"), "must be 98.1"),
    ("chapter", "objectives", _replace(0, "- **98.1**", "- 98.1"), "no objectives"),
    ("chapter", "objectives", _say("- **98.2** Draw it.", 0), "no exercise is for the objective 98.2"),
    ("chapter", "sections", _drop(3), "Scoreboard"),
    ("chapter", "sections", lambda nb: nb.cells.insert(2, nb.cells.pop(7)), "not in the order"),
    ("chapter", "neighbours", _replace(-1, "97-before.ipynb", "98-toy.ipynb"), "previous"),
    ("chapter", "neighbours", _replace(-1, "99-after.ipynb", "98-toy.ipynb"), "next"),
    ("chapter", "neighbours", _replace(-1, "../exercises/98-toy.ipynb", "98-toy.ipynb"), "exercises"),
    ("chapter", "code_length", _tagged("\n".join("x = 1" for _ in range(26)), "long"), "26 lines"),
    ("chapter", "code_length", _tagged("x = " + "1 + " * 30 + "1", "wide"), "125 characters"),
    ("chapter", "ignored_outputs", _tagged("# measured: a time\nrun()", "other"), "not tagged"),
    ("chapter", "no_machine_path", _output(_stream("in /home/ada/x")), "/home/ada"),
    ("chapter", "no_machine_path", _say("See C:\\Users\\ada"), "C:"),
    ("chapter", "no_machine_path", _output(new_output("display_data", data={"text/html": "/tmp/a"})), "/tmp/a"),
    ("chapter", "no_machine_path", _tagged("open('/root/x')", "path"), "/root/"),
    ("chapter", "no_myst", _say("```{note}\nA note.\n```"), "{n"),
    ("chapter", "no_myst", _say(":::{admonition} A\n:::"), ":::{a"),
    ("chapter", "no_myst", _say("See {ref}`x`."), "{ref}"),
    ("chapter", "raw_html", _say("<div class='a'>x</div>"), "<div>"),
    ("chapter", "raw_html", _say('<img src="a.png">'), "<img>"),
    ("chapter", "words", _say("It is simply so."), "simply"),
    ("chapter", "words", _say("Obviously."), "Obviously"),
    ("chapter", "words", _say("We just wait."), "just"),
    ("exercise", "words", _say("We just wait.", 0), "just"),
    ("chapter", "words", _say("**Further reading**\n\n- A. Author: *Title*. 2009.\n\nWe just wait."), "just"),
    ("chapter", "words", _say("- We just wait.\n\n**Further reading**\n\n- A. Author: *Title*. 2009."), "just"),
    ("chapter", "size", _output(_stream("x" * 1_600_000)), "MB"),
    ("chapter", "kernel", lambda nb: nb.metadata.pop("kernelspec"), "kernelspec"),
    ("chapter", "kernel", _set(language_info={"name": "python", "version": "3.11.7"}), "version"),
    ("chapter", "relative_links", _say("[x](nowhere.ipynb)"), "no file"),
    ("chapter", "relative_links", _say("[x](97-before.ipynb#Nothing)"), "#Nothing"),
    ("chapter", "relative_links", _say("[x](#Nothing)"), "#Nothing"),
    ("chapter", "relative_links", _say("[x](/etc/hosts)"), "not relative"),
    ("chapter", "relative_links", _say("[x](../..)"), "leads out"),
    ("chapter", "relative_links", _say("![a picture](nowhere.png)"), "no file"),
    ("chapter", "picture_text", _say("![](97-before.ipynb)"), "no alternative"),
    ("chapter", "executed", lambda nb: nb.cells[8].update(execution_count=None), "not run"),
    ("chapter", "executed", lambda nb: nb.cells[8].update(execution_count=7), "in order"),
    ("chapter", "executed", _each_code_cell(outputs=[]), "no output"),
    ("chapter", "no_errors", _output(_stream("Warning", "stderr")), "stderr"),
    ("chapter", "no_errors", _output(new_output("error", ename="KeyError", evalue="", traceback=[])), "KeyError"),
    ("chapter", "stable_text", _output(_stream("VBox(children=(IntSlider")), "widget"),
    ("chapter", "stable_text", _output(_stream("<function f at 0x7f9fb57e2110>")), "address"),
    ("chapter", "figures", _output(_figure(text="<Figure size 640x480 with 1 Axes>")), "finding"),
    ("chapter", "figures", _output(_figure(text="")), "finding"),
    ("chapter", "figures", _output(_figure(alt="")), "no alt"),
    ("chapter", "predictions_are_asked", _tagged('predict("98.P1", "How many?")\nprint(2)'), "98.P1"),
    ("chapter", "ignored_outputs", _tagged("run()"), "begin it"),
    ("chapter", "ignored_outputs", _tagged("# because\nrun()"), "begin it"),
    ("chapter", "ignored_outputs", _tagged("run()", "nbval-skip"), "skipped"),
    ("chapter", "ignored_outputs", _tagged("# NBVAL_IGNORE_OUTPUT\nrun()", "x"), "tag"),
    ("chapter", "semicolons", _tagged("plot();", "x"), "semicolon"),
    ("chapter", "normal_form", lambda nb: nb.cells[3].update(id="random-id"), "stored form"),
    ("chapter", "normal_form", lambda nb: nb.cells[8].metadata.update(execution={}), "stored form"),
    ("solution", "all_exercises", _drop(4), "98.1 has no cell"),
    ("solution", "all_exercises", _replace(4, "98.1", "98.2"), "98.2 is checked twice"),
    ("solution", "all_exercises", _replace(2, "2 points", "3 points"), "no heading"),
    ("exercise", "all_exercises", _replace(4, "98.1", "98.9"), "98.9 is not one of chapter 98"),
    ("exercise", "no_leak", _say("### BEGIN SOLUTION", 3), "solution"),
    ("exercise", "no_leak", lambda nb: nb.cells[3].update(outputs=[_stream("2")]), "output"),
    ("exercise", "no_leak", lambda nb: nb.cells[4].metadata.pop("editable"), "not locked"),
    ("solution", "full_points", lambda nb: nb.cells[4].update(outputs=[]), "not its points"),
    ("solution", "full_points", lambda nb: nb.cells[4].outputs[0].data.update({"text/plain": "0.0"}), "0.0"),
]


@pytest.mark.parametrize(
    ("kind", "rule", "change", "word"), [pytest.param(*each, id=f"{each[1]}-{k}") for k, each in enumerate(BROKEN)]
)
def test_rule_finds_what_is_broken(course, kind, rule, change, word):
    path = course / PATHS[kind]
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    path.write_text(nbformat.writes(notebook, version=4), encoding="utf-8")
    found = [each for each in complaints(Page(path, course)) if each.startswith(f"{rule}: ")]
    assert found
    assert any(word in each for each in found)


def test_every_rule_is_tried():
    assert {rule.__name__ for kind in RULES.values() for rule in kind} == {rule for _, rule, _, _ in BROKEN}


def test_too_few_exercises_are_found(course):
    page = Page(course / PATHS["chapter"], course)
    unregister(98)
    assert any("at least 6" in each for each in complaints(page))


def test_exempt_pages_still_have_most_rules(course):
    page = Page(course / "00-welcome.ipynb", course)
    assert len(rules(page)) == len(RULES["chapter"]) - len(EXEMPT["00-welcome.ipynb"])


@pytest.mark.parametrize(
    "text",
    [
        "A `just` in code, and $x < y$, and `<div>`.",
        "```\njust <div> obviously\n```",
        "**Further reading**\n\n- A. Author: Nothing obviously wrong! *Venue* 2009.\n- B. Author: *Just so*. 1902.",
        "Just-in-time is a term: just-in-time.".replace("Just-in", "just-in"),
        "An adjustment, and <https://example.org>.",
        "1 < 2 and H<sub>2</sub>O",
        "[mail](mailto:a@example.org) and [web](https://example.org#x) and [here](#The-problem)",
        "[github's form](97-before.ipynb#the-problem)",
    ],
)
def test_good_text_is_left_alone(course, text):
    path = course / PATHS["chapter"]
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].source += "\n\n" + text
    write(normalise(notebook), path)
    assert complaints(Page(path, course)) == []
