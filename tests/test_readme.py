"""The README against the project: its chapters, its links, and the command that `.ci/run` runs."""

import re
import shlex
from pathlib import Path

from course.cli import parser
from course.syllabus import chapters, concept_table

ROOT = Path(__file__).parents[1]
SECTIONS = (
    "Background",
    "Core concepts and how they connect",
    "Algorithms, operational steps and formulas",
    "Code examples explained in detail",
    "Future trends and challenges",
    "Frequently asked questions, glossary, formulas",
)
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_table_names_every_chapter_and_links_the_written_ones():
    for chapter in chapters():
        name = f"{chapter.number:02d} {chapter.title}"
        if chapter.written:
            assert f"[{name}](notebooks/{chapter.file})" in README
        else:
            assert f"| {name} |" in README


def test_its_parts_are_the_sections_of_the_outline_in_order():
    rows = re.findall(r"^\| ?([^|]*)\| \[?(\d\d) [^|]*\|[^|]*\|$", README, re.MULTILINE)
    assert [int(number) for _, number in rows] == list(range(28))
    begins = {part.strip(): chapters()[int(number)].file.split("/")[0][0] for part, number in rows if part.strip()}
    assert list(begins) == [f"{number} {name}" for number, name in enumerate(SECTIONS, start=1)]
    assert list(begins.values()) == list("123456")


def test_its_table_of_concepts_is_made_from_the_chapters_which_define_them():
    assert concept_table("notebooks/") in README, "replace it by course.syllabus.concept_table('notebooks/')"
    for concept in {concept for chapter in chapters() for concept in chapter.concepts}:
        name, chinese = re.fullmatch(r"(.*) \((.*)\)", concept).groups()
        taught = [chapter for chapter in chapters() if concept in chapter.concepts and chapter.written]
        mark = re.compile(rf"\*\*{name}\*\* \({chinese}\)", re.IGNORECASE)
        texts = [(ROOT / "notebooks" / chapter.file).read_text(encoding="utf-8") for chapter in taught]
        assert sum(bool(mark.search(text)) for text in texts) == 1, f"{concept} is defined in one of its chapters"


def test_its_links_and_pictures_are_there():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [each for each in targets if not each.startswith("http") and not (ROOT / each).exists()] == []


def test_ci_runs_its_test_command():
    assert "\n    make test\n" in README
    assert re.search(r"^make test\b", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


def test_its_lines_are_commands():
    lines = re.findall(r"^    course (.*)$", README, re.MULTILINE)
    assert [parser().parse_args(shlex.split(line, comments=True)).run.__module__ for line in lines] == [
        f"course.cli.{name}"
        for name in ("record", "diagnose", "whatif", "whatif", "diagnose", *["assignment"] * 5, "blank")
    ]
