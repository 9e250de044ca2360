"""The table of terms against the chapters that mark them, and the checks against tables that are wrong."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import nbformat
import pytest

from course.syllabus import chapters
from tests.notebook_form import FORBIDDEN_WORDS, without_fences

ROOT = Path(__file__).parents[1]
COLUMNS = ["term", "chinese", "definition", "chapter", "see_also"]
MAX_WORDS = 40
CJK = "\u3400-\u4dbf\u4e00-\u9fff"

Row = dict[str, str]
Mark = tuple[str, str]  # a term as the chapter writes it, and its Chinese

# A bracket with a Chinese term in it; what stands before it says which English term it is.
BRACKET = rf"\s*[(（](?P<bracket>[^()（）]*[{CJK}][^()（）]*)[)）]"
INSIDE = r"(?=[^\s*])(?P<term>(?:(?!\n\s*\n)[^*])+)(?<=\S)"
MARKS = [
    # **term** (术语), and **term** of something (术语)
    re.compile(rf"(?<!\*)\*\*{INSIDE}\*\*(?:\s+[\w-]+){{0,3}}{BRACKET}"),
    # *term* (术语)
    re.compile(rf"(?<!\*)\*{INSIDE}\*(?!\*){BRACKET}"),
    # (**term**, 术语)
    re.compile(rf"[(（]\*\*{INSIDE}\*\*[,;，；] *(?P<bracket>[^()（）*]*[{CJK}][^()（）*]*)[)）]"),
    # ## Term (术语), and ## What is it? Term (术语)
    re.compile(rf"^#{{1,6}} +(?:.*[?:.] +)?(?P<term>[^?:\n]+?){BRACKET}", re.MULTILINE),
]


# --- what a chapter marks ------------------------------------------------------------------------


def tidy(term: str) -> str:
    """Return a term without what only its sentence needs: an article, a capital, a stop, a line's end."""
    term = " ".join(term.replace("’", "'").split()).strip(".:,; ").casefold()
    return re.sub(r"^(how to \w+ )?(an?|the) ", "", term)


def chinese_part(bracket: str) -> str:
    """Return the Chinese term among what a bracket says: a source, an abbreviation, a second name."""
    return next(part for part in re.split(r"[;,；，]", bracket) if re.search(rf"[{CJK}]", part)).strip()


def marks(text: str) -> Iterator[Mark]:
    """Give the terms that a Markdown text marks as defined, with their Chinese."""
    text = without_fences(text)
    for pattern in MARKS:
        for match in pattern.finditer(text):
            yield tidy(match["term"]), chinese_part(match["bracket"])


def brackets(text: str) -> Iterator[str]:
    """Give all Chinese terms in brackets, marked or not."""
    return (chinese_part(match["bracket"]) for match in re.finditer(BRACKET, without_fences(text)))


@cache
def forms(term: str) -> frozenset[str]:
    """Return what a chapter may mark for a term of the table: its singular and its plurals."""
    term = tidy(term)
    return frozenset({term, f"{term}s", re.sub("y$", "ies", term)})


def is_term(marked: str, term: str) -> bool:
    """Whether a marked term is this one, in the singular or in the plural."""
    return marked in forms(term)


# --- what may be wrong ---------------------------------------------------------------------------


def unknown_marks(rows: list[Row], marked: Mapping[int, set[Mark]]) -> Iterator[str]:
    """Each marked term is in the table, with the same Chinese."""
    for number, terms in marked.items():
        for term, chinese in sorted(terms):
            found = [row["chinese"] for row in rows if is_term(term, row["term"])]
            if not found:
                yield f"chapter {number} marks {term} ({chinese}), which is not in the table"
            elif found != [chinese]:
                yield f"chapter {number} calls {term} {chinese}; the table has {', '.join(found)}"


def unmarked_terms(rows: list[Row], marked: Mapping[int, set[Mark]]) -> Iterator[str]:
    """Each term is marked in its chapter, if that chapter is written."""
    for row in rows:
        terms = marked.get(int(row["chapter"]) if row["chapter"].isdecimal() else -1)
        if terms is not None and not any(is_term(term, row["term"]) for term, _ in terms):
            yield f"chapter {row['chapter']} does not mark {row['term']}"


def unread_brackets(rows: list[Row], bracketed: Mapping[int, set[str]]) -> Iterator[str]:
    """Each Chinese term of a chapter is in the table, also if we could not read what it belongs to."""
    known = {row["chinese"] for row in rows}
    for number, terms in bracketed.items():
        for chinese in sorted(terms - known):
            yield f"chapter {number} has the Chinese term {chinese}, which is not in the table"


def wrong_concepts(rows: list[Row], concepts: Mapping[str, tuple[str, set[int]]]) -> Iterator[str]:
    """Each concept of the source text is there, with the Chinese and a chapter of ``chapters.csv``."""
    for concept, (chinese, numbers) in concepts.items():
        row = next((row for row in rows if row["term"] == concept), None)
        if row is None:
            yield f"the concept {concept} is not in the table"
        elif row["chinese"] != chinese or row["chapter"] not in {str(number) for number in numbers}:
            yield f"the concept {concept} is {row['chinese']}, chapter {row['chapter']}; see data/chapters.csv"


def wrong_names(rows: list[Row]) -> Iterator[str]:
    """No term is there twice, and the terms are in alphabetical order."""
    names = [row["term"] for row in rows]
    yield from (
        f"{name} is in the table more than once"
        for k, name in enumerate(names)
        if any(is_term(tidy(name), other) or is_term(tidy(other), name) for other in names[:k])
    )
    if names != sorted(names, key=str.casefold):
        yield "the terms are not in alphabetical order"


def wrong_chinese(rows: list[Row]) -> Iterator[str]:
    """The Chinese column holds Chinese, or the same abbreviation."""
    for row in rows:
        abbreviation = row["term"].isupper() and row["chinese"] == row["term"]
        if not abbreviation and not re.search(rf"[{CJK}]", row["chinese"]):
            yield f"the Chinese of {row['term']} is {row['chinese']!r}"


def wrong_definitions(rows: list[Row]) -> Iterator[str]:
    """A definition is one sentence of at most 40 words, without filler."""
    for row in rows:
        text = row["definition"]
        if not re.match(r"[A-Z]", text) or not text.endswith("."):
            yield f"the definition of {row['term']} is not a sentence"
        if re.search(r"[.!?]\s", text):
            yield f"the definition of {row['term']} is more than one sentence"
        if len(text.split()) > MAX_WORDS:
            yield f"the definition of {row['term']} has {len(text.split())} words; allowed are {MAX_WORDS}"
        if word := FORBIDDEN_WORDS.search(text):
            yield f"the definition of {row['term']} says {word[0]!r}"


def wrong_chapters(rows: list[Row], numbers: Iterable[int]) -> Iterator[str]:
    """The chapter exists."""
    known = {str(number) for number in numbers}
    return (f"{row['term']} is of chapter {row['chapter']!r}" for row in rows if row["chapter"] not in known)


def wrong_references(rows: list[Row]) -> Iterator[str]:
    """Each term refers to others of the table, to none twice."""
    names = {row["term"] for row in rows}
    for row in rows:
        others = [name.strip() for name in row["see_also"].split(";")] if row["see_also"] else []
        for name in others:
            if name not in names:
                yield f"{row['term']} refers to {name!r}, which is not in the table"
        if row["term"] in others or len(set(others)) < len(others):
            yield f"{row['term']} refers to itself, or twice to another"


def complaints(
    rows: list[Row], texts: Mapping[int, Iterable[str]], concepts: Mapping[str, tuple[str, set[int]]], last: int
) -> list[str]:
    """Return all that is wrong with a table, given the texts of the written chapters and the last chapter's number."""
    texts = {number: list(cells) for number, cells in texts.items()}
    marked = {number: {mark for text in cells for mark in marks(text)} for number, cells in texts.items()}
    bracketed = {number: {term for text in cells for term in brackets(text)} for number, cells in texts.items()}
    return [
        *unknown_marks(rows, marked),
        *unmarked_terms(rows, marked),
        *unread_brackets(rows, bracketed),
        *wrong_concepts(rows, concepts),
        *wrong_names(rows),
        *wrong_chinese(rows),
        *wrong_definitions(rows),
        *wrong_chapters(rows, range(last + 1)),
        *wrong_references(rows),
    ]


# --- the table of the course ---------------------------------------------------------------------


def real_table() -> tuple[list[str], list[Row]]:
    with open(ROOT / "data" / "glossary.csv", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    return list(reader.fieldnames or ()), rows


def real_texts() -> dict[int, list[str]]:
    found = {}
    for chapter in chapters():
        if chapter.written:
            notebook = nbformat.read(ROOT / "notebooks" / chapter.file, as_version=4)
            found[chapter.number] = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return found


def real_concepts() -> dict[str, tuple[str, set[int]]]:
    found: dict[str, tuple[str, set[int]]] = {}
    for chapter in chapters():
        for concept in chapter.concepts:
            term, chinese = concept.removesuffix(")").split(" (")
            found.setdefault(term, (chinese, set()))[1].add(chapter.number)
    return found


def test_every_line_is_complete():
    columns, rows = real_table()
    assert columns == COLUMNS
    # A line with a cell too many has the key None, one with a cell too few the value None.
    assert [row for row in rows if None in row or None in row.values()] == []
    assert [row["term"] for row in rows if any(cell != cell.strip() for cell in row.values())] == []


def test_the_table_agrees_with_the_chapters():
    concepts = real_concepts()
    assert len(concepts) == 21
    found = complaints(real_table()[1], real_texts(), concepts, max(chapter.number for chapter in chapters()))
    assert not found, "\n".join(found)


def test_terms_are_found_in_the_real_chapters():
    found = {number: {mark for text in cells for mark in marks(text)} for number, cells in real_texts().items()}
    assert ("makespan", "最大完工时间") in found[5]
    assert ("α|β|γ", "三域表示法") in found[5]
    assert {"squared coefficient of variation", "little's law"} <= {term for term, _ in found[12]}
    # The list of concepts on the welcome page says where they are taught; it defines none of them.
    assert "middleware" not in {term for term, _ in found[0]}


def test_no_term_of_a_written_chapter_can_be_dropped():
    _, rows = real_table()
    texts, concepts = real_texts(), real_concepts()
    marked = {number: {mark for text in cells for mark in marks(text)} for number, cells in texts.items()}
    for k, row in enumerate(rows):
        rest = rows[:k] + rows[k + 1 :]
        if (number := int(row["chapter"])) in texts:
            own = {number: marked[number]}  # what other chapters mark is no excuse
            assert set(unknown_marks(rest, own)) > set(unknown_marks(rows, own)), row["term"]
        if row["term"] in concepts:
            assert list(wrong_concepts(rest, concepts)) == [f"the concept {row['term']} is not in the table"]


# --- the checks themselves -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "term", "chinese"),
    [
        ("The **makespan** (最大完工时间) is", "makespan", "最大完工时间"),
        ("**list scheduling** (列表调度; Graham 1966)", "list scheduling", "列表调度"),
        ("fields, **α|β|γ** (三域表示法; Graham, Lawler\n1979).", "α|β|γ", "三域表示法"),
        ("The **b-level** (向上秩, also called upward rank)", "b-level", "向上秩"),
        ("*shortest job first* (SJF, 最短作业优先)", "shortest job first", "最短作业优先"),
        ("is *NP-hard* (NP 难) if", "np-hard", "NP 难"),
        ("| $W$ | s | **work** (总工作量): the sum |", "work", "总工作量"),
        ("| **overhead** per task (开销) |", "overhead", "开销"),
        (
            "of **squared coefficient of variation**\n(平方变异系数) $c$",
            "squared coefficient of variation",
            "平方变异系数",
        ),
        ("**How to read a Gantt chart** (甘特图). A row", "gantt chart", "甘特图"),
        ("**The inspection paradox** (检查悖论). Look", "inspection paradox", "检查悖论"),
        ("**Watch it.** Dask serves a **dashboard** (仪表板)", "dashboard", "仪表板"),
        ("*One*, and **two**, then **three** (三)", "three", "三"),
        ("on average (**PASTA**, 泊松到达见时间平均), so", "pasta", "泊松到达见时间平均"),
        ("## Little’s law (利特尔法则)", "little's law", "利特尔法则"),
        ("## Who goes first? Disciplines (排队规则)", "disciplines", "排队规则"),
        ("Full width: **term**（术语）", "term", "术语"),
    ],
)
def test_a_mark_is_read(text, term, chinese):
    assert list(marks(text)) == [(term, chinese)]


@pytest.mark.parametrize(
    "text",
    [
        "| middleware (中间件) | 09 |",
        "**bold** (no Chinese)",
        "```\n**code** (代码)\n```",
        "**far** away. In another sentence (术语)",
        "2 * 3 (三) * 4",
    ],
)
def test_what_is_not_marked_is_left_alone(text):
    assert list(marks(text)) == []


def toy() -> dict:
    """Return a small table in which all is well, and the one written chapter, 5, that it belongs to."""
    lines = [
        ("anomaly", "异常", "A surprise.", "5", "span; task"),
        ("API", "API", "A way in.", "10", "anomaly"),
        ("span", "跨度", "The longest path.", "5", ""),
        ("task", "任务", "A unit of work.", "5", "span"),
    ]
    return {
        "rows": [dict(zip(COLUMNS, line, strict=True)) for line in lines],
        "texts": {5: ["**Tasks** (任务), *anomalies* (异常)", "## Span (跨度)"]},
        "concepts": {"API": ("API", {9, 10})},
        "last": 27,
    }


def test_a_good_table_has_no_complaints():
    assert complaints(**toy()) == []


def put(row, **cells):
    return lambda toy: toy["rows"][row].update(cells)


def add(*cells):
    return lambda toy: toy["rows"].append(dict(zip(COLUMNS, cells, strict=True)))


def say(text):
    return lambda toy: toy["texts"][5].append(text)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda toy: toy["rows"].pop(3), "chapter 5 marks tasks (任务), which is not in the table"),
        (say("the **bound** (下界; Graham 1966)"), "chapter 5 marks bound (下界), which is not in the table"),
        (put(3, chinese="作业"), "chapter 5 calls tasks 任务; the table has 作业"),
        (say("a **task** (作业)"), "chapter 5 calls task 作业; the table has 任务"),
        (lambda toy: toy["texts"][5].pop(), "chapter 5 does not mark span"),
        (add("work", "工作", "A sum.", "5", ""), "chapter 5 does not mark work"),
        (say("a bound (下界)"), "chapter 5 has the Chinese term 下界, which is not in the table"),
        (lambda toy: toy["rows"].pop(1), "the concept API is not in the table"),
        (put(1, chapter="11"), "the concept API is API, chapter 11; see data/chapters.csv"),
        (put(1, chinese="应用程序接口"), "the concept API is 应用程序接口, chapter 10; see data/chapters.csv"),
        (add("Task", "任务", "A unit.", "5", ""), "Task is in the table more than once"),
        (add("tasks", "任务", "Units.", "5", ""), "tasks is in the table more than once"),
        (lambda toy: toy["rows"].reverse(), "the terms are not in alphabetical order"),
        (put(2, chinese="span"), "the Chinese of span is 'span'"),
        (put(1, chinese=""), "the Chinese of API is ''"),
        (put(2, definition="The longest path"), "the definition of span is not a sentence"),
        (put(2, definition="the longest path."), "the definition of span is not a sentence"),
        (put(2, definition=""), "the definition of span is not a sentence"),
        (put(2, definition="A path. It is long."), "the definition of span is more than one sentence"),
        (put(2, definition="A " * 40 + "path."), "the definition of span has 41 words; allowed are 40"),
        (put(2, definition="It is simply a path."), "the definition of span says 'simply'"),
        (put(2, chapter="28"), "span is of chapter '28'"),
        (put(2, chapter="five"), "span is of chapter 'five'"),
        (put(2, see_also="task; work"), "span refers to 'work', which is not in the table"),
        (put(2, see_also="span"), "span refers to itself, or twice to another"),
        (put(2, see_also="task; task"), "span refers to itself, or twice to another"),
    ],
)
def test_what_is_wrong_is_found(change, complaint):
    wrong = toy()
    change(wrong)
    assert complaint in complaints(**wrong)


def test_a_definition_of_forty_words_is_allowed():
    good = toy()
    good["rows"][2]["definition"] = "A " * 39 + "path."
    assert complaints(**good) == []
