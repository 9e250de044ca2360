"""The table of chapters against the notebooks, and the tables of chapter 00 against it."""

import re
from pathlib import Path

import nbformat
import pytest

from course.practice.exercises import exercises_of
from course.syllabus import chapter_table, chapters, concept_table, counted_minutes, read

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
HEAD = "number,file,title,part,question,concepts,prerequisites,reading_minutes,exercise_minutes,status"
LINE = "3,x.ipynb,Title,Part,Why?,one (一); two (二),0 1,45,90,planned"
WRITTEN = [chapter for chapter in chapters() if chapter.written]
READ = [chapter for chapter in WRITTEN if chapter.part != "Appendix"]
LOOKED_UP = [chapter for chapter in WRITTEN if chapter.part == "Appendix"]
# The names of the source text's concepts, all of which the course must teach.
CONCEPTS = """
    computing model, storage model, task-scheduling model, strategy, algorithm, protocol, framework, platform, system,
    service, client, middleware, component, library, API, SDK, tool, example, case, practice, best practice
"""


def head(chapter):
    """Return the title and the cells of the table in the first cell of a written chapter."""
    text = nbformat.read(NOTEBOOKS / chapter.file, as_version=4).cells[0].source
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return text.splitlines()[0], [cell.strip() for cell in rows[2].strip("|").split("|")], text


def test_numbers_are_complete():
    assert [chapter.number for chapter in chapters()] == list(range(28))


def test_the_file_begins_with_the_number():
    assert all(Path(chapter.file).name.startswith(f"{chapter.number:02d}-") for chapter in chapters())


def test_a_chapter_is_written_exactly_if_its_notebook_is_there():
    files = {path.relative_to(NOTEBOOKS).as_posix() for path in NOTEBOOKS.rglob("[0-9][0-9]-*.ipynb")}
    files = {file for file in files if file.split("/")[0] not in ("exercises", "solutions")}
    files = {file for file in files if ".ipynb_checkpoints" not in file}
    assert {chapter.file for chapter in WRITTEN} == files, "set file and status in data/chapters.csv"


def named(chapters):
    return pytest.mark.parametrize("chapter", chapters, ids=lambda chapter: chapter.file)


@named(LOOKED_UP)
def test_the_head_of_what_is_looked_up_says_the_same(chapter):
    text = nbformat.read(NOTEBOOKS / chapter.file, as_version=4).cells[0].source
    assert text.startswith(f"# {chapter.number:02d} · {chapter.title}\n\n**{chapter.question}**\n")


@named(READ)
def test_the_minutes_of_a_chapter_are_counted(chapter):
    counted = counted_minutes(nbformat.read(NOTEBOOKS / chapter.file, as_version=4).cells)
    assert chapter.reading_minutes % 5 == 0
    assert abs(chapter.reading_minutes - counted) < 4, f"{counted:.1f} minutes are counted"
    assert chapter.exercise_minutes == sum(each.minutes for each in exercises_of(chapter.number))


def test_what_is_counted():
    markdown = {"cell_type": "markdown", "source": "[one](two.ipynb) three $a b c$ x-y\n\n$$a\nb$$"}
    code = {"cell_type": "code", "source": "a = 1\n\nb = 2", "outputs": [{"data": {"image/png": "..."}}, {}]}
    assert counted_minutes([markdown]) == pytest.approx(5 / 130 + 0.5)
    assert counted_minutes([code]) == pytest.approx(2 / 20 + 0.5)


@named(READ)
def test_the_head_of_a_chapter_says_the_same(chapter):
    title, cells, text = head(chapter)
    assert title == f"# {chapter.number:02d} · {chapter.title}"
    assert f"**{chapter.question}**" in text
    minutes = [int(number) for number in re.findall(r"(\d+) min", cells[3])]
    assert minutes == [each for each in (chapter.reading_minutes, chapter.exercise_minutes) if each]
    needed = re.findall(r"\]\((?:\.\./)?(?:[\w-]+/)?(\d\d)-[\w-]+\.ipynb", cells[2])
    assert {int(number) for number in needed} <= set(chapter.prerequisites)


def test_prerequisites_come_before_and_exist():
    for chapter in chapters():
        assert all(0 <= before < chapter.number for before in chapter.prerequisites), chapter


def test_all_concepts_are_taught_each_with_one_chinese_term():
    taught = {concept for chapter in chapters() for concept in chapter.concepts}
    matches = [re.fullmatch(r"([\w -]+) \(([\u4e00-\u9fff]+)\)", concept) for concept in taught]
    assert all(matches)
    assert sorted(match[1] for match in matches) == sorted(re.split(r",\s+", CONCEPTS.strip()))
    assert len({match[2] for match in matches}) == len(taught) == 21


@pytest.mark.parametrize("table", [chapter_table, concept_table])
def test_the_welcome_page_shows_the_table(table):
    page = nbformat.read(NOTEBOOKS / "00-welcome.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in page.cells if cell.cell_type == "markdown")
    assert table() in text, f"replace the table in chapter 00 by what course.syllabus.{table.__name__}() returns"


def test_a_line_is_read():
    [chapter] = read([HEAD, LINE])
    assert (chapter.concepts, chapter.prerequisites, chapter.written) == (("one (一)", "two (二)"), (0, 1), False)
    assert chapter.link == "03 · Title"


@pytest.mark.parametrize(
    "line",
    [LINE.replace("3,", "three,", 1), LINE.replace("planned", "perhaps"), LINE.replace(",45", ""), "3,x.ipynb"],
)
def test_a_damaged_line_is_refused_by_its_number(line):
    with pytest.raises(ValueError, match="line 3"):
        read([HEAD, LINE, line])
