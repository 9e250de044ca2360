"""A class hands in: right, half, nothing, nonsense, what hangs, crashes, cheats, is late, renamed or damaged."""

from __future__ import annotations

import contextlib
import os
import py_compile
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest

from course.classroom import submissions
from course.classroom.confinement import missing
from course.classroom.folder import ClassError, ClassFolder, report_csv
from course.classroom.given import given_part
from course.classroom.grading import answer_name, exercise_of, grade, without_judges
from course.classroom.session import Session, StoppedError
from course.cli import main
from course.practice.exercises import chapters as with_exercises
from course.practice.exercises import exercises_of

ROOT = Path(__file__).parents[1]
SOLUTIONS = ROOT / "notebooks" / "solutions"
CHAPTER, NAME = 12, "12-queueing"
POINTS = {exercise.id: exercise.points for exercise in exercises_of(CHAPTER)}
LIMITS = {"cell_limit": 8.0, "total": 240.0}

if os.environ.get("CI"):
    shut_in = pytest.mark.slow
    assert missing() is None, missing()
else:
    shut_in = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def exercises() -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / "exercises" / f"{NAME}.ipynb", as_version=4)


def answered(answers: dict[str, str], first: str = "") -> nbformat.NotebookNode:
    """Return the exercises with the solutions of some and other answers to others; `first` is a cell before them."""
    right = nbformat.read(SOLUTIONS / NAME / f"{NAME}.ipynb", as_version=4)
    solved, waiting = {}, []
    for cell in right.cells:
        if "solution" in cell.metadata.get("tags", []):
            waiting.append(cell.source)
        elif "check" in cell.metadata.get("tags", []):
            solved[exercise_of(cell)] = waiting
            waiting = []
    notebook, waiting = exercises(), []
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            waiting.append(cell)
        elif name := exercise_of(cell):
            given = answers.get(name, "")
            for each, source in zip(waiting, solved[name] if given == "right" else [given] * len(waiting), strict=True):
                each.source = source or each.source
            waiting = []
    if first:
        notebook.cells.insert(2, nbformat.v4.new_code_cell(first))
    return notebook


ALL = dict.fromkeys(POINTS, "right")
WRONG = {
    "12.1": "waiting = 12",
    "12.3": "def erlang_c_wait(arrival_rate, service_rate, servers):\n    return 0.0",
    "12.6": "def lindley(interarrival, service):\n    return 'late'",
    "12.9": "broken = 'everything'",
}
HANGS = {
    "12.3": "def erlang_c_wait(arrival_rate, service_rate, servers):\n    while True:\n        pass",
    "12.6": "while True:\n    pass",
}
CRASHES = {
    "12.2": "import os\ndef response_quantile(q, arrival_rate, service_rate):\n    os._exit(0)",
    "12.4": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "12.7": "def priority_waits(rates, means, scvs):\n    return [0] * 10**9",
    "12.9": "broken = 1 / 0",
}
PATCHES = """
import builtins, sys
import course, course.practice, course.practice.checking as checking
from course.practice import child, sandbox
class Always:
    passed, points = True, 99.0
    def grade(self):
        return 99.0
for module in (course, course.practice, checking):
    for name in ("check", "judge", "difference", "grade"):
        setattr(module, name, lambda *a, **k: Always())
checking.CheckResult.grade = lambda self: 99.0
child.run_case = lambda *a, **k: {"value": ["float", 1.0]}
check = lambda *a, **k: Always()
"""
FORGES = """
import contextlib
import os
import py_compile
for number in range(3, 20):
    try:
        os.write(number, b'{"what": "reply", "value": ["int", 5]}\\n')
    except OSError:
        pass
"""
READS = """
import os, pathlib, socket, subprocess
found = []
try:
    from course.practice.chapter12 import EXERCISES
    found.append("judges")
except ImportError:
    pass
try:
    from course.practice.exercises import find
    find("12.3")
    found.append("judge")
except Exception:
    pass
for root, folders, files in os.walk("/"):
    if root.startswith(("/proc", "/sys", "/dev", "/usr/", "/lib")):
        folders[:] = []
        continue
    if "site-packages" not in root:  # nbgrader has some of its own there
        found += [f"{root}/{name}" for name in files if name.endswith(".ipynb") or name == "gradebook.db"]
    if any("BEGIN SOLUTION" in pathlib.Path(root, name).read_text(errors="replace") for name in files
           if "course/practice/chapter" in f"{root}/{name}"):
        found.append("solution")
    found += [f"{root}/{name}" for name in files if "course/practice/__pycache__/chapter" in f"{root}/{name}"]
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
    found.append("network")
except OSError as error:
    print("network:", type(error).__name__)
try:
    pathlib.Path("/work/planted").write_text("x")
    found.append("wrote")
except OSError:
    pass
others = [p for p in os.listdir("/proc") if p.isdigit()]
print("processes:", len(others))
print("found:", found)
"""
GREEDY = """
import subprocess, sys
children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]) for _ in range(5)]
try:
    with open("big", "wb") as file:
        for _ in range(4000):
            file.write(bytes(10**6))
    print("wrote it")
except OSError:
    print("no room")
"""


@pytest.fixture(scope="module")
def classroom(tmp_path_factory) -> ClassFolder:
    """A class that has handed in, graded; the solutions lie beside their sources compiled, as after any run."""
    with contextlib.suppress(OSError):  # a checkout that may only be read
        py_compile.compile(str(ROOT / "course" / "practice" / f"chapter{CHAPTER}.py"))
    folder = tmp_path_factory.mktemp("class")
    room, inbox = ClassFolder(folder / "class", SOLUTIONS), folder / "inbox"
    inbox.mkdir()
    room.release(CHAPTER, due=datetime.now(UTC) + timedelta(minutes=5))

    def hand_in(name: str, notebook: nbformat.NotebookNode) -> Path:
        path = inbox / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        return path

    half = {name: "right" for name in list(POINTS)[:4]}
    hand_in(f"right-{NAME}.ipynb", answered(ALL))
    hand_in(f"half_{NAME}.ipynb", answered(half))
    shutil.copy(ROOT / "notebooks" / "exercises" / f"{NAME}.ipynb", inbox / f"empty-{NAME}.ipynb")
    hand_in(f"wrong-{NAME}.ipynb", answered(WRONG))
    hand_in(f"hanging-{NAME}.ipynb", answered({**ALL, **HANGS}))
    hand_in(f"crashing-{NAME}.ipynb", answered({**ALL, **CRASHES}))
    hand_in(f"patching-{NAME}.ipynb", answered({"12.1": "right"}, PATCHES))
    hand_in(f"forging-{NAME}.ipynb", answered({"12.1": "right"}, FORGES))
    hand_in(f"reading-{NAME}.ipynb", answered({"12.2": "right"}, READS))
    hand_in(f"greedy-{NAME}.ipynb", answered({"12.5": "right"}, GREEDY))
    late = hand_in(f"late-{NAME}.ipynb", answered(ALL))
    then = time.time() + 25 * 3600
    os.utime(late, (then, then))
    hand_in("renamed/my homework (final).ipynb", answered(ALL))
    damaged = hand_in(f"damaged-{NAME}.ipynb", answered(ALL))
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    room.said = {handed.student: note for handed, note in room.collect(CHAPTER, inbox)}
    begin = time.monotonic()
    for student in room.students(CHAPTER):
        room.grade(CHAPTER, student, late=0.1, limits=LIMITS)
    room.seconds = time.monotonic() - begin
    room.results = {student.name: student for student in room.report(CHAPTER)}
    return room


@shut_in
def test_compiled_code_is_used_and_what_is_compiled_reaches_nobody_else():
    """A kernel is loaded, not compiled; and what a process writes into its copy is gone with it."""
    from course import simulate

    simulate.queue([1.0], [1.0])  # compiled now, if it was not before
    loaded = """
from pathlib import Path
import numba
from course import simulate
from course.simulate import queue_kernels
simulate.queue([1.0], [1.0])
kernels = [each for each in vars(queue_kernels).values() if isinstance(each, numba.core.dispatcher.Dispatcher)]
print(*(sum(sum(getattr(each.stats, name).values()) for each in kernels) for name in ("cache_misses", "cache_hits")))
mark = Path(simulate.__file__).parent / "__pycache__" / "planted"
print(mark.exists())
mark.write_text("x")
"""
    for _ in range(2):
        with Session() as session:
            reply = session.cell(loaded, "<cell 1>")
        assert reply["printed"].split()[0] == "0", reply
        assert int(reply["printed"].split()[1]) > 0
        assert reply["printed"].split()[2] == "False"


def lost(*names: str) -> float:
    return sum(POINTS.values()) - sum(POINTS[name] for name in names)


@shut_in
@pytest.mark.parametrize(
    ("student", "points"),
    [
        ("right", lost()),
        ("half", sum(list(POINTS.values())[:4])),
        ("empty", 0),
        ("wrong", 0),
        ("hanging", lost(*HANGS)),
        ("crashing", lost(*CRASHES)),
        ("patching", POINTS["12.1"]),
        ("reading", POINTS["12.2"]),
        ("greedy", POINTS["12.5"]),
        ("late", 0.8 * lost()),
        ("renamed", lost()),
        ("damaged", 0),
    ],
)
def test_each_gets_the_right_points(classroom, student, points):
    assert classroom.results[student].total == pytest.approx(points)


@shut_in
def test_a_forged_reply_is_an_answer_and_earns_what_it_is_worth(classroom):
    assert classroom.results["forging"].total <= POINTS["12.1"]


@shut_in
def test_nobody_holds_up_the_others(classroom):
    assert classroom.seconds < 12 * LIMITS["total"] / 4
    assert "did not end" in classroom.results["hanging"].notes
    assert "ended its Python process" in classroom.results["crashing"].notes


@shut_in
def test_a_student_sees_neither_solutions_nor_others(classroom):
    graded = nbformat.read(classroom.path / "autograded" / "reading" / NAME / f"{NAME}.ipynb", as_version=4)
    printed = "".join(output.get("text", "") for cell in graded.cells for output in cell.get("outputs", []))
    assert "found: []" in printed
    assert "network: OSError" in printed or "network: TimeoutError" in printed
    assert int(printed.split("processes: ")[1].split()[0]) < 5


@shut_in
def test_a_disk_is_not_filled(classroom):
    graded = nbformat.read(classroom.path / "autograded" / "greedy" / NAME / f"{NAME}.ipynb", as_version=4)
    printed = "".join(output.get("text", "") for cell in graded.cells for output in cell.get("outputs", []))
    assert "no room" in printed


@shut_in
def test_collecting_says_what_is_odd(classroom):
    assert {name for name, note in classroom.said.items() if note} == {"damaged"}
    assert "no JSON" in classroom.said["damaged"]


@shut_in
def test_the_report_and_the_feedback(classroom, tmp_path):
    table = report_csv(classroom.report(CHAPTER), CHAPTER).splitlines()
    assert table[0] == ",".join(["student", *POINTS, "penalty", "total", "late_hours", "notes"])
    assert len(table) == 14
    page = classroom.feedback(CHAPTER, "hanging").read_text(encoding="utf-8")
    assert "no answer within" in page
    with pytest.raises(ClassError, match="nobody"):
        classroom.feedback(CHAPTER, "nobody")


@shut_in
def test_the_command(tmp_path, capsys):
    """The whole cycle from one word."""
    home = ["assignment", "--class", str(tmp_path / "class")]
    assert main([*home, "grade", "3"]) == 1
    assert "nothing was collected" in capsys.readouterr().err
    assert main([*home, "collect", "3", str(tmp_path)]) == 1
    assert "not handed out yet" in capsys.readouterr().err
    assert main([*home, "release", "3", "--due", "2030-01-01T12:00"]) == 0
    assert "Hand out" in capsys.readouterr().out
    inbox = tmp_path / "inbox"
    (inbox / "ada").mkdir(parents=True)
    name = "03-computing-models"
    shutil.copy(SOLUTIONS / name / f"{name}.ipynb", inbox / "ada")
    shutil.copy(ROOT / "notebooks" / "exercises" / f"{NAME}.ipynb", inbox / f"bob-{name}.ipynb")
    shutil.copy(SOLUTIONS / name / f"{name}.ipynb", inbox / f"{name}.ipynb")
    assert main([*home, "collect", "3", str(inbox)]) == 1
    said = capsys.readouterr().out
    assert "whose is it?" in said
    assert "those of chapter 12" in said
    assert main([*home, "grade", "3"]) == 0
    points = sum(exercise.points for exercise in exercises_of(3))
    said = capsys.readouterr().out
    assert f"ada: {points} points" in said
    assert "bob: 0 points" in said
    assert main([*home, "grade", "3", "ada"]) == 0
    assert "as graded before" in capsys.readouterr().out
    # nbgrader's own command grades the same way: its settings are there.
    own = [sys.executable, "-m", "nbgrader", "autograde", name, "--student", "ada", "--force"]
    done = subprocess.run(own, cwd=tmp_path / "class", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    graded = nbformat.read(tmp_path / "class" / "autograded" / "ada" / name / f"{name}.ipynb", as_version=4)
    assert "passed" in graded.cells[4].outputs[0].data["text/plain"]
    assert main([*home, "feedback", "3", "ada"]) == 0
    assert main([*home, "report", "3", "--csv", str(tmp_path / "points.csv")]) == 0
    assert len((tmp_path / "points.csv").read_text().splitlines()) == 3
    assert main([*home, "grade", "3", "eve"]) == 1
    assert main([*home, "report", "99"]) == 1


@pytest.mark.parametrize("chapter", with_exercises())
def test_what_is_given_holds_no_judge(chapter):
    """In the place of a module of exercises stands one without them, and without what knows the answers."""
    from course.classroom.grading import _PRACTICE, _used

    [path] = (ROOT / "notebooks" / "exercises").glob(f"{chapter:02d}-*.ipynb")
    names = _used(chapter, nbformat.read(path, as_version=4))
    source = given_part((_PRACTICE / f"chapter{chapter:02d}.py").read_text(encoding="utf-8"), names)
    assert "EXERCISES" not in source
    assert "Exercise(" not in source
    space: dict = {"__name__": "given"}
    exec(compile(source, "given", "exec"), space)
    assert names <= set(space)


def test_given_part_refuses_what_is_not_there():
    with pytest.raises(ValueError, match="nothing"):
        given_part("a = 1", ["nothing"])


def test_an_answer_is_a_name():
    assert answer_name('# measured: x\ncheck("18.5", mean_length).grade()') == "mean_length"
    with pytest.raises(ValueError, match="check"):
        answer_name("check('18.5', 2).grade()")


# ---- a student's process, not shut in: on every system


def _sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _call(answer, *args):
    return answer(*args)


def test_times_are_taken_outside():
    """A student's clock that stands still makes nothing faster."""
    stopped = "import time\nsleep = time.sleep\ntime.perf_counter = time.monotonic = time.time = lambda: 0.0\n"
    with Session(shut_in=False) as session:
        session.cell(stopped + "def mine(seconds):\n    sleep(2 * seconds)\n    return seconds", "<cell 1>")
        session.take("mine", 5.0)
        run = session.run(_call, None, [((0.01,), {})], baseline=_sleep, timed=[((0.05,), {})], rounds=3)
    assert [case.value for case in run.cases] == [0.01]
    [timed] = run.timed
    assert all(mine > 1.5 * slow for mine, slow in timed.times)


def test_a_process_that_stops_says_why_and_the_next_one_is_there():
    for source, why in (("while True:\n    pass", "timeout"), ("import os\nos._exit(3)", "died")):
        with Session(shut_in=False) as session:
            with pytest.raises(StoppedError) as stopped:
                session.cell(source, "<cell 1>", limit=1.0)
            assert stopped.value.why == why
            assert session.stopped
            with pytest.raises(StoppedError):
                session.cell("1 + 1", "<cell 2>")
    with Session(shut_in=False) as session:
        assert session.cell("print(1 + 1)", "<cell 1>")["printed"] == "2\n"


def test_a_notebook_of_somebody_trusted():
    with without_judges(CHAPTER, exercises()) as replaced:
        graded = grade(answered({"12.1": "right", "12.6": "right"}), replaced, shut_in=False)
    assert graded.points == POINTS["12.1"] + POINTS["12.6"]
    assert not graded.stopped
    shown = [cell.outputs for cell in graded.notebook.cells if exercise_of(cell) == "12.1"]
    assert shown[0][-1].data["text/plain"] == "1.0"


# ---- what is handed in


def test_checks_are_put_back_and_answers_kept():
    handed_out, notebook = exercises(), exercises()
    checks = [k for k, cell in enumerate(notebook.cells) if exercise_of(cell)]
    notebook.cells[checks[0]].source = "pass"
    notebook.cells[checks[1] - 1].source = "mine = 1"
    del notebook.cells[checks[2]]
    rebuilt = submissions.rebuild(handed_out, _through_a_file(notebook))
    assert [exercise_of(cell) for cell in rebuilt.cells if exercise_of(cell)] == [
        "12.1", "12.2", "12.4", "12.5", "12.6", "12.7", "12.8", "12.9", "12.3",
    ]  # fmt: skip
    assert [cell.source for cell in rebuilt.cells].count('check("12.1", waiting).grade()') == 1
    assert "mine = 1" in [cell.source for cell in rebuilt.cells]


def test_without_nbgraders_notes_checks_are_known_by_their_code():
    notebook = exercises()
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    read = _through_a_file(notebook)
    assert submissions.chapter_of(read) == CHAPTER
    rebuilt = submissions.rebuild(exercises(), read)
    assert sum(bool(exercise_of(cell)) for cell in rebuilt.cells) == len(POINTS)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "~~~\n<svg/onload=alert(1)>\n~~~~~~~\n<b onclick=alert(1)>b",
        "[a](javascript:alert(1)) [b]: data:text/html,x",
        "</code></pre><a\nonclick=alert(1)>",
    ],
)
def test_a_students_text_runs_nothing_in_the_graders_browser(text):
    """Feedback and nbgrader's form show what a student wrote; there it would have the teacher's rights."""
    from html.parser import HTMLParser

    from nbconvert import HTMLExporter

    notebook, found, shown = exercises(), [], []
    notebook.cells.append(nbformat.v4.new_markdown_cell(f"before-it\n{text}\nafter-it"))
    rebuilt = submissions.rebuild(exercises(), _through_a_file(notebook))
    assert [cell.source for cell in exercises().cells] == [cell.source for cell in rebuilt.cells[:-1]]
    page, _ = HTMLExporter().from_notebook_node(rebuilt)
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, [name for name, _ in attributes]))
    parser.handle_data = shown.append
    parser.feed(page[page.index("before-it") : page.index("after-it")])
    assert {tag for tag, _ in found} <= {"span"}, "of the highlighter"
    assert not [name for _, names in found for name in names if name != "class"]
    assert text in "".join(shown)


def _through_a_file(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.ipynb")
        path.write_text(nbformat.writes(notebook), encoding="utf-8")
        return submissions.read(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe\x00", b"[1, 2]", b"{}", b'{"nbformat": 4}', b'{"nbformat": 4, "nbformat_minor": 5, "cells": 3}',
        b'{"nbformat": "four", "cells": []}', b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', b"[" * 200_000,
        b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_called_so(tmp_path, content):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(submissions.DamagedError):
        submissions.read(path)
