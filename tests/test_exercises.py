"""Exercises are made from solutions: the same but for the holes; and notebooks are made the same each time."""

from __future__ import annotations

import logging
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.utils import determine_grade

from course.notebook import (
    ROOT,
    STUB,
    NotebookError,
    add_nbgrader,
    execute,
    exercise_path,
    find_notebooks,
    keep_measured,
    machine_paths,
    main,
    make,
    make_exercise,
    make_exercises,
    normalise,
    write,
)
from course.practice import chapter10
from course.practice.comparing import difference
from course.practice.exercises import chapters, exercises_of, find, unregister

NOTEBOOKS = Path(__file__).parent.parent / ROOT
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("*/*.ipynb"))

# The kernel that runs the toy has to know its exercises, too.
REGISTER = """from course.practice import Exercise, check
from course.practice.exercises import register
common = dict(objective="98.1", points=3, minutes=5, hints=("a", "b", "c"))
register(98, [
    Exercise(id="98.1", kind="derive", title="Twice", cases=[(2,), (3,)], expected=lambda n: 2 * n,
             behaviour="the double", **common),
    Exercise(id="98.2", kind="predict", title="Number", value=4.2, **common)])"""


def _code(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)})


EXERCISES = [exercise for chapter in chapters() for exercise in exercises_of(chapter)]


def _toy():
    return new_notebook(
        cells=[
            new_markdown_cell(
                "# 98 · Toy\n\n[chapter](../../2-concepts/98-toy.ipynb) [web](https://example.org) [here](#x)"
            ),
            _code(REGISTER),
            _code("def twice(n):\n    ### BEGIN SOLUTION\n    return 2 * n\n    ### END SOLUTION", "solution"),
            _code('check("98.1", twice).grade()', "check"),
            _code("answer = ...\n### BEGIN SOLUTION\nanswer = 4.2\n### END SOLUTION", "solution"),
            _code('check("98.2", answer).grade()', "check"),
        ]
    )


@pytest.fixture
def toy(tmp_path):
    space: dict = {}
    exec(REGISTER, space)
    path = tmp_path / "notebooks" / "solutions" / "98-toy" / "98-toy.ipynb"
    write(normalise(_toy()), path)
    yield path
    unregister(98)


def _same_but_for_holes(solution, exercise):
    """Say where an exercise differs from its solution elsewhere than in a hole."""
    found = []
    if len(solution.cells) != len(exercise.cells):
        return ["the number of cells"]
    for k, (full, cut) in enumerate(zip(solution.cells, exercise.cells, strict=True)):
        if full.cell_type != cut.cell_type:
            found.append(f"cell {k}: its kind")
        elif "solution" in full.metadata.get("tags", []):
            before, rest = full.source.split("### BEGIN SOLUTION")
            after = rest.split("### END SOLUTION")[1]
            if not (cut.source.startswith(before.rstrip()) and cut.source.endswith(after) and "..." in cut.source):
                found.append(f"cell {k}: more than the hole")
        elif full.cell_type == "code" and full.source != cut.source:
            found.append(f"cell {k}: its code")
        elif full.source.replace("../../", "../") != cut.source.replace("../../", "../"):
            same_text = [line.split("](")[0] for line in full.source.splitlines()]
            if same_text != [line.split("](")[0] for line in cut.source.splitlines()]:
                found.append(f"cell {k}: its text")
    return found


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in SOLUTIONS])
def test_exercise_is_what_the_solution_makes(path):
    solution = nbformat.read(path, as_version=4)
    stored = exercise_path(path)
    assert stored.exists(), "run python -m course.notebook exercises"
    exercise = nbformat.read(stored, as_version=4)
    assert _same_but_for_holes(solution, exercise) == []
    assert nbformat.writes(make_exercise(solution)) == nbformat.writes(exercise)
    assert add_nbgrader(solution) == solution


def test_no_exercise_without_a_solution():
    made = {exercise_path(path).name for path in SOLUTIONS}
    assert {path.name for path in (NOTEBOOKS / "exercises").glob("*.ipynb")} == made


def test_toy_is_cut_and_graded(toy, monkeypatch):
    monkeypatch.chdir(toy.parents[3])
    assert main(["exercises"]) == 0
    assert make_exercises() == []  # nothing changes the second time
    solution = nbformat.read(toy, as_version=4)
    exercise = nbformat.read(exercise_path(toy), as_version=4)
    assert _same_but_for_holes(solution, exercise) == []
    assert exercise.cells[2].source == "def twice(n):\n    # YOUR CODE HERE\n    ..."
    assert exercise.cells[4].source == f"answer = ...\n{STUB}"
    assert "(../2-concepts/98-toy.ipynb) [web](https://example.org) [here](#x)" in exercise.cells[0].source
    assert exercise.cells[3].metadata["editable"] is False
    assert exercise.cells[3].metadata["nbgrader"]["points"] == 3
    assert exercise.cells[3].metadata["nbgrader"]["grade_id"] == "exercise-98-1-check"
    assert exercise.cells[2].metadata["nbgrader"]["checksum"]
    # What nbgrader makes of the checks, in the solution and in an exercise that nobody touched.
    log = logging.getLogger("toy")
    for path, grade in ((toy, 3.0), (exercise_path(toy), 0.0)):
        ran = execute(path)
        assert [determine_grade(ran.cells[k], log) for k in (3, 5)] == [(grade, 3.0)] * 2


def test_a_changed_exercise_is_noticed(toy):
    solution = add_nbgrader(nbformat.read(toy, as_version=4))
    for k, text in ((0, "other"), (1, "other"), (2, "def twice(m):\n    ..."), (3, "check")):
        exercise = make_exercise(solution)
        exercise.cells[k].source = text
        assert _same_but_for_holes(solution, exercise)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda nb: nb.cells[2].metadata.update(tags=[]), "not tagged"),
        (lambda nb: nb.cells[2].update(source="pass"), "no line"),
        (lambda nb: nb.cells[3].update(source='check("98.1", twice)'), "must end"),
        (lambda nb: nb.cells[3].update(source='check("98.9", twice).grade()'), "no exercise 98.9"),
        (lambda nb: nb.cells[5].update(source='check("98.1", twice).grade()'), "second time"),
        (lambda nb: nb.cells.pop(5), "followed by no check"),
    ],
)
def test_badly_tagged_solutions_are_refused(toy, change, word):
    notebook = nbformat.read(toy, as_version=4)
    change(notebook)
    with pytest.raises(NotebookError, match=word):
        add_nbgrader(notebook)


# --- the exercises of the course -----------------------------------------------------------------


def _complaint(exercise, args, right, got):
    """Return what is wrong with a result, as the exercise judges it; None when it passes."""
    problem = None if right is None else difference(right, got, exercise.tolerance, exercise.absolute)
    return problem or (exercise.judge and exercise.judge(*args, got))


@pytest.mark.parametrize("exercise", [pytest.param(each, id=each.id) for each in EXERCISES if each.mistakes])
def test_every_named_mistake_is_refused(exercise):
    # A mistake that no case tells from the right answer would pass.
    for said, wrong in exercise.mistakes.items():
        complaints = []
        if not exercise.is_function:
            got = wrong() if callable(wrong) else wrong
            complaints.append(_complaint(exercise, (), exercise.right_value(), got))
        for case in exercise.list_cases():
            right = exercise.expected and exercise.expected(*case.args, **case.kwargs)
            try:
                got = wrong(*case.args, **case.kwargs)
            except (ArithmeticError, ValueError):
                complaints.append("it raises")
                continue
            complaints.append(_complaint(exercise, ((*case.args, *case.kwargs.values()),), right, got))
        assert any(complaints), f"{exercise.id}: {said!r} passes"


def _cut_ratio(tasks):
    """Return the median ratio of exercise 10.6 for ``tasks(work, workers, overhead, slowest)``."""
    ratios = []
    for job in chapter10._JOBS:
        start = chapter10._run_time(job, chapter10._one_each(*job))
        ratios.append(start / chapter10._run_time(job, min(max(int(tasks(*job)), 1), 200_000)))
    return np.median(ratios)


def test_where_to_cut_has_no_constant_answer():
    target = find("10.6").target
    assert _cut_ratio(lambda work, workers, overhead, slowest: work / workers / overhead) > target
    assert _cut_ratio(lambda work, workers, overhead, slowest: 0.6 * work / workers / overhead) > target
    for number in np.geomspace(1, 200_000, 120):
        assert _cut_ratio(lambda *job, number=number: number) < target
    for each in np.geomspace(1, 5000, 60):
        assert _cut_ratio(lambda work, workers, *rest, each=each: each * workers) < target
    for duration in np.geomspace(0.001, 10, 80):
        assert _cut_ratio(lambda work, *rest, duration=duration: work / duration) < target


# --- executing and normalising -------------------------------------------------------------------


def _write(folder, *sources, tags=()):
    path = folder / "05-toy.ipynb"
    path.write_text(nbformat.writes(new_notebook(cells=[_code(each, *tags) for each in sources])), encoding="utf-8")
    return path


def test_twice_made_is_the_same_file(tmp_path):
    path = _write(
        tmp_path,
        "import random\nfrom course import scoreboard\n"
        "scoreboard(predicted=1.0, measured=1 + random.random() / 100, tolerance=0.1)",
        "import ipywidgets\nipywidgets.IntSlider()",
        "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])",
        "import os, sys\nfor _ in range(3):\n    print('a', flush=True)\nprint(os.path.basename(os.getcwd()) != '')",
    )
    assert make(path) is True
    first = path.read_bytes()
    assert make(path) is False
    assert path.read_bytes() == first
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3, 4]
    assert "widget-view" not in path.read_text(encoding="utf-8")
    assert notebook.cells[3].outputs[0].text == "a\na\na\nTrue\n"
    assert not any("execution" in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys\nprint('careful', file=sys.stderr)", "careful"),
        ("import warnings\nwarnings.warn('old')", "old"),
        ("import os\nos.getcwd()", "path of this machine"),
        ("import time\ntime.sleep(60)", "more than 3 s"),
        ("import os\nos._exit(1)", "died"),
    ],
)
def test_failures_are_loud(tmp_path, source, word):
    path = _write(tmp_path, "1 + 1", source)
    before = path.read_bytes()
    with pytest.raises(NotebookError, match=word) as caught:
        execute(path, timeout=3.0 if "sleep" in source else 60.0)
    assert "cell 1" in str(caught.value)
    assert path.read_bytes() == before


def test_changed_measurements_are_stored_with_changed_code(tmp_path):
    old = normalise(new_notebook(cells=[_code("run()"), new_markdown_cell("text")]))
    new = normalise(new_notebook(cells=[_code("run()"), new_markdown_cell("text")]))
    for notebook, number in ((old, 1), (new, 2)):
        page = f'<div class="course-measured">{number}</div>'
        notebook.cells[0].outputs = [
            nbformat.v4.new_output("display_data", data={"text/html": page, "text/plain": "holds"})
        ]
    assert keep_measured(new, old).cells[0].outputs == old.cells[0].outputs
    old.cells[0].source = "walk()"
    assert keep_measured(new, old).cells[0].outputs == new.cells[0].outputs
    old.cells[0].source = "run()"
    old.cells[0].outputs[0].data["text/plain"] = "other"
    assert keep_measured(new, old).cells[0].outputs == new.cells[0].outputs


def test_a_stored_page_is_of_one_run():
    pages = [normalise(new_notebook(cells=[_code("run()"), _code("print(time)")])) for _ in range(2)]
    for notebook, number in zip(pages, (1, 2), strict=True):
        page = f'<div class="course-measured">{number}</div>'
        notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data={"text/html": page})]
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text=f"{number} s")]
    old, new = pages
    assert keep_measured(new, old).cells[0].outputs == new.cells[0].outputs


def test_cell_ids_follow_from_the_text():
    first = normalise(new_notebook(cells=[_code("a"), _code("a"), new_markdown_cell("a")]))
    second = normalise(new_notebook(cells=[new_markdown_cell("new"), _code("a"), _code("a"), new_markdown_cell("a")]))
    assert [cell.id for cell in first.cells] == [cell.id for cell in second.cells[1:]]
    assert len({cell.id for cell in second.cells}) == 4


def test_machine_paths():
    assert machine_paths(f"{Path.cwd()}/x")
    assert machine_paths("File /usr/lib/python3/site-packages/x.py")
    assert machine_paths("C:\\Users\\ada\\x")
    assert machine_paths("the folder /tmp, the path ~/tuning-course and /etc/hosts") == []


def test_notebooks_are_found_by_number_folder_and_file(tmp_path):
    for name in ("2-concepts/05-toy", "solutions/05-toy/05-toy", "exercises/05-toy", "2-concepts/06-x"):
        write(normalise(new_notebook()), tmp_path / f"{name}.ipynb")
    assert len(find_notebooks([], tmp_path)) == 3
    assert [path.parent.name for path in find_notebooks(["5"], tmp_path)] == ["2-concepts", "05-toy"]
    assert len(find_notebooks([str(tmp_path / "2-concepts")], tmp_path)) == 2
    with pytest.raises(NotebookError, match="07"):
        find_notebooks(["07"], tmp_path)


def test_only_measured_pages_are_left_out_of_the_comparison():
    import re

    from nbval.plugin import get_sanitize_patterns

    patterns = get_sanitize_patterns((Path(__file__).parent / "sanitize.cfg").read_text(encoding="utf-8"))
    assert len(patterns) == 1

    def clean(text):
        for regex, replacement in patterns:
            text = re.sub(regex, replacement, text)
        return text

    from course.practice.scoreboard import board

    pages = [board(predicted=1.0, measured=x, tolerance=0.5)._repr_html_() for x in (1.1, 1.2)]
    assert pages[0] != pages[1]
    assert clean(pages[0]) == clean(pages[1]) == "MEASURED"
    assert clean("<table>1.1</table>") == "<table>1.1</table>"
    assert clean("text with course-measured in it") == "text with course-measured in it"
