"""The `course` command: the learner's copies above all, which must never be lost."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

import course
from course.cli import check, copies, main, parser
from course.cli.copies import publish, put_back, update
from course.cli.errors import CommandError
from course.cli.lab import server_options
from course.cli.place import settle
from course.cli.shipped import find_notebook, notebooks_folder, shipped_files
from course.syllabus import chapters

CHAPTER = "2-concepts/05-scheduling-model.ipynb"
NAMES = [
    "00-welcome.ipynb",
    "1-background/01-why-distribute.ipynb",
    CHAPTER,
    "3-algorithms/12-queueing.ipynb",
    "exercises/05-scheduling-model.ipynb",
    "solutions/05-scheduling-model/05-scheduling-model.ipynb",
    ".ipynb_checkpoints/00-welcome-checkpoint.ipynb",
]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "my köpie of it"
    monkeypatch.setenv("COURSE_HOME", str(folder))
    return folder


@pytest.fixture
def shipped(tmp_path):
    folder = tmp_path / "notebooks"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}, version 1")
    return folder


def everything(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".course" not in path.parts
    }


def test_first_copy_has_the_same_tree_without_solutions(home, shipped):
    changes = update(shipped_files(shipped))
    assert everything(home) == {name: f"{name}, version 1" for name in NAMES[:5]}
    assert sorted(changes.new) == sorted(NAMES[:5])
    manifest = json.loads((home / ".course" / "manifest.json").read_text())
    assert manifest["files"][CHAPTER]["sha256"] == hashlib.sha256((shipped / CHAPTER).read_bytes()).hexdigest()


def test_second_time_nothing_changes(home, shipped):
    update(shipped_files(shipped))
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    assert update(shipped_files(shipped)).lines() == []
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_untouched_copy_becomes_the_new_version(home, shipped):
    update(shipped_files(shipped))
    (shipped / CHAPTER).write_text("version 2")
    assert update(shipped_files(shipped)).replaced == [CHAPTER]
    assert (home / CHAPTER).read_text() == "version 2"


def test_changed_copy_stays_and_the_new_version_is_put_beside_once(home, shipped):
    update(shipped_files(shipped))
    (home / CHAPTER).write_text("mine")
    assert update(shipped_files(shipped)).lines() == []  # nothing new was shipped
    (shipped / CHAPTER).write_text("version 2")
    digest = hashlib.sha256(b"version 2").hexdigest()[:6]
    beside = home / "2-concepts" / f"05-scheduling-model.update-{digest}.ipynb"
    changes = update(shipped_files(shipped))
    assert (home / CHAPTER).read_text() == "mine"
    assert beside.read_text() == "version 2"
    assert beside.name in changes.lines()[0]
    beside.unlink()  # the learner does not want it
    assert update(shipped_files(shipped)).lines() == []
    assert not beside.exists()
    (shipped / CHAPTER).write_text("version 3")
    assert len(update(shipped_files(shipped)).beside) == 1


def test_update_taken_over_by_the_learner_counts_as_untouched(home, shipped):
    update(shipped_files(shipped))
    (home / CHAPTER).write_text("mine")
    (shipped / CHAPTER).write_text("version 2")
    update(shipped_files(shipped))
    (home / CHAPTER).write_text("version 2")
    update(shipped_files(shipped))
    (shipped / CHAPTER).write_text("version 3")
    assert update(shipped_files(shipped)).replaced == [CHAPTER]


def test_file_of_the_learner_that_was_never_shipped_stays(home, shipped):
    (home / "2-concepts").mkdir(parents=True)
    (home / CHAPTER).write_text("mine, before")
    (home / "notes.txt").write_text("notes")
    changes = update(shipped_files(shipped))
    assert (home / CHAPTER).read_text() == "mine, before"
    assert (home / "notes.txt").read_text() == "notes"
    assert [key for key, _ in changes.beside] == [CHAPTER]


def test_lost_or_damaged_manifest_loses_no_file(home, shipped):
    update(shipped_files(shipped))
    (home / CHAPTER).write_text("mine")
    (home / ".course" / "manifest.json").write_text("{ damaged")
    changes = update(shipped_files(shipped))
    assert (home / CHAPTER).read_text() == "mine"
    assert changes.new == changes.replaced == []


def test_folder_in_the_place_of_a_notebook_is_left_alone(home, shipped):
    (home / CHAPTER).mkdir(parents=True)
    assert update(shipped_files(shipped)).in_the_way == [CHAPTER]
    assert (home / CHAPTER).is_dir()


def test_interrupted_copy_leaves_whole_files_and_is_completed(home, shipped, monkeypatch):
    steps = iter([publish, publish])

    def interrupted(content, target):
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        return step(content, target)

    monkeypatch.setattr(copies, "publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        update(shipped_files(shipped))
    there = everything(home)
    assert len(there) == 2
    assert all(text == f"{name}, version 1" for name, text in there.items())
    monkeypatch.setattr(copies, "publish", publish)
    update(shipped_files(shipped))
    assert everything(home) == {name: f"{name}, version 1" for name in NAMES[:5]}


def test_concurrent_starts_leave_one_whole_copy(home, shipped):
    failures = []

    def start():
        try:
            update(shipped_files(shipped))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert everything(home) == {name: f"{name}, version 1" for name in NAMES[:5]}


def test_publish_never_overwrites_even_without_hard_links(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError("not supported")

    target = tmp_path / "x.ipynb"
    assert publish(b"first", target)
    assert not publish(b"second", target)
    monkeypatch.setattr(copies.os, "link", no_links)
    assert not publish(b"third", target)
    assert publish(b"other", tmp_path / "y.ipynb")
    assert everything(tmp_path) == {"x.ipynb": "first", "y.ipynb": "other"}


def test_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, shipped):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "file"))
    with pytest.raises(CommandError, match="course lab DIR"):
        update(shipped_files(shipped))


def test_put_back_keeps_the_learners_copy_with_a_date(home, shipped):
    update(shipped_files(shipped))
    day = datetime(2026, 3, 1, 12)
    source = shipped / CHAPTER
    assert put_back(CHAPTER, source, day) is None  # nothing was changed, nothing to keep
    for number, name in enumerate(["05-scheduling-model.2026-03-01.ipynb", "05-scheduling-model.2026-03-01-2.ipynb"]):
        (home / CHAPTER).write_text(f"mine {number}")
        assert put_back(CHAPTER, source, day).name == name
        assert (home / "2-concepts" / name).read_text() == f"mine {number}"
        assert (home / CHAPTER).read_text() == source.read_text()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("5", CHAPTER),
        ("05", CHAPTER),
        ("05-sched", CHAPTER),
        ("05-scheduling-model.ipynb", CHAPTER),
        (CHAPTER, CHAPTER),
        ("exercises/5", "exercises/05-scheduling-model.ipynb"),
        ("0", "00-welcome.ipynb"),
    ],
)
def test_names_of_a_notebook(shipped, name, key):
    assert find_notebook(name, shipped_files(shipped)) == key


@pytest.mark.parametrize(("name", "near"), [("queueing", "12-queueing"), ("12-queuing", "12-queueing"), ("99", "00")])
def test_unknown_notebook_names_the_nearest(shipped, name, near):
    with pytest.raises(CommandError, match=near):
        find_notebook(name, shipped_files(shipped))


def test_reset_of_an_unknown_chapter_ends_with_a_message(home, capsys):
    assert main(["reset", "no-such-chapter"]) == 1
    assert "no-such-chapter" in capsys.readouterr().err
    assert not home.exists()


def test_folder_is_found_from_inside_it(home, shipped, tmp_path, monkeypatch):
    update(shipped_files(shipped))
    monkeypatch.setenv("COURSE_HOME", "")
    monkeypatch.chdir(home / "2-concepts")
    assert settle() == home.resolve()
    assert settle(str(tmp_path / "other")) == (tmp_path / "other").resolve()
    for inside in (notebooks_folder(), notebooks_folder() / "2-concepts"):
        with pytest.raises(CommandError, match="holds the notebooks as they came"):
            settle(str(inside))


def test_shipped_notebooks_are_the_checkouts():
    assert notebooks_folder() == Path(course.__file__).parents[1] / "notebooks"
    assert not any(key.startswith("solutions/") for key in shipped_files())


def test_server_listens_on_loopback_with_its_token(tmp_path):
    options = server_options(tmp_path, port=0)
    assert "--ServerApp.ip=127.0.0.1" in options
    assert not any("token" in option or "password" in option for option in options)


def test_version():
    done = subprocess.run([sys.executable, "-m", "course", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"course {course.__version__}"


def test_without_a_command_it_shows_the_commands(capsys):
    assert main([]) == 0
    assert "reset" in capsys.readouterr().out


def test_a_planned_chapter_is_said_to_be_planned(monkeypatch):
    planned = replace(chapters()[-1], status="planned")  # whichever chapters are written by now
    monkeypatch.setattr("course.cli.shipped.chapters", lambda: [planned])
    with pytest.raises(CommandError, match=rf"chapter {planned.number:02d}, .* is planned"):
        find_notebook(str(planned.number), {"2-concepts/05-tasks.ipynb": Path()})


@pytest.mark.parametrize("line", [["fly"], ["lab", "--port", "x"], ["reset"], ["run"]])
def test_wrong_command_line(line):
    with pytest.raises(SystemExit) as end:
        parser().parse_args(line)
    assert end.value.code == 2


@pytest.mark.parametrize("line", [["lab", "--port", "70000"], ["run", "0", "--timeout", "0"]])
def test_wrong_value(line, capsys):
    assert main(line) == 1
    assert line[-1] in capsys.readouterr().err


def test_check_of_this_machine(capsys):
    """What the tests run on must itself be ready; each requirement has its line."""
    main(["check"])
    said = capsys.readouterr().out
    for what in ("python", "packages", "kernel", "widgets", "memory", "disk", "simulators", "cluster", "chromium"):
        assert f"  {what} " in said
    assert "  ok  cluster" in said
    assert "  ok  widgets" in said


@pytest.mark.parametrize(
    ("pin", "state"), [("numpy==0.1", "note"), ("numpy==999.0", "FAIL"), ("no-such-package==1.0", "ok")]
)
def test_packages_are_compared_with_the_pins(tmp_path, monkeypatch, pin, state):
    (tmp_path / "constraints.txt").write_text(f"# pins\n{pin}\n")
    monkeypatch.setattr(check, "constraints_file", lambda: tmp_path / "constraints.txt")
    finding = check.packages()
    assert finding.state == state
    assert bool(finding.cure) == (state != "ok")


def test_what_is_not_enough_fails_with_a_cure(monkeypatch):
    monkeypatch.setattr(check, "MEMORY", 1e18)
    monkeypatch.setattr(check, "DISK", 1e18)
    monkeypatch.setattr(check, "OLDEST_PYTHON", (99, 0))
    for look in (check.memory, check.disk, check.python):
        assert look().state == "FAIL"
        assert look().cure


def test_broken_requirement_does_not_end_the_report():
    def broken():
        raise OSError("no such thing")

    finding = check.guarded(broken)
    assert finding.state == "FAIL"
    assert "no such thing" in finding.found


def test_every_direct_dependency_is_pinned():
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    root = Path(course.__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    pinned = {canonicalize_name(name) for name, _ in check.pins((root / "constraints.txt").read_text(encoding="utf-8"))}
    assert {canonicalize_name(Requirement(line).name) for line in lines} <= pinned


def notebook(path: Path, *sources: str) -> Path:
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_run_says_which_cell_failed(home, tmp_path, monkeypatch, capsys):
    good = notebook(tmp_path / "notebooks" / "01-good.ipynb", "1 + 1")
    bad = notebook(tmp_path / "notebooks" / "02-bad.ipynb", "1 + 1", "1 / 0")
    monkeypatch.setattr("course.cli.run.shipped_files", lambda: {path.name: path for path in (good, bad)})
    before = bad.read_bytes()
    assert main(["run", "1", "2"]) == 1
    said = capsys.readouterr()
    assert "01-good.ipynb: ok" in said.err
    assert "1 of 2 failed: 02-bad.ipynb" in said.err
    assert "ZeroDivisionError" in said.out
    assert bad.read_bytes() == before
    assert not home.exists()
