"""The README against the project: its chapters, its links, and the command that `.ci/run` runs."""

import re
import shlex
from pathlib import Path

from course.cli import parser
from course.syllabus import chapters

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_table_names_every_chapter_and_links_the_written_ones():
    for chapter in chapters():
        name = f"{chapter.number:02d} {chapter.title}"
        if chapter.written:
            assert f"[{name}](notebooks/{chapter.file})" in README
        else:
            assert f"| {name} |" in README


def test_its_table_names_every_concept_beside_its_chapters():
    pattern = re.compile(r"^\|[^|]*\| \[?(\d\d) [^|]*\| ([^|]*)\|$", re.MULTILINE)
    rows = {int(row[1]): row[2] for row in pattern.finditer(README)}
    assert set(rows) == set(range(28))
    for chapter in chapters():
        for concept in chapter.concepts:
            assert concept.split(" (")[0] in rows[chapter.number], f"{concept} of chapter {chapter.number}"


def test_its_links_and_pictures_are_there():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [each for each in targets if not each.startswith("http") and not (ROOT / each).exists()] == []


def test_ci_runs_its_test_command():
    assert "\n    make test\n" in README
    assert re.search(r"^make test\b", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


def test_its_lines_for_your_own_program_are_commands():
    lines = re.findall(r"^    course (.*)$", README, re.MULTILINE)
    assert [parser().parse_args(shlex.split(line, comments=True)).run.__module__ for line in lines] == [
        f"course.cli.{name}" for name in ("record", "diagnose", "whatif", "whatif", "diagnose")
    ]
