"""The form of a notebook: rules that hold for each, and a list of what is wrong for each rule.

A rule is a function from a `Page` to complaints, one sentence each. `RULES` says which rules hold for which
kind of page: a chapter, an exercise (made, without outputs) or a solution (what the teacher writes).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.notebook import NotebookError, machine_paths, normalise
from course.practice.exercises import exercises_of
from course.practice.exercises import normalise as exercise_name

MAX_CODE_LINES = 25
MAX_LINE = 110  # what a window of 1,400 pixels shows of a code line
MAX_BYTES = 1_500_000
MIN_EXERCISES = 6
# Chapters of these parts follow the order of sections; cases, trends and the appendix are told otherwise.
ORDERED_PARTS = ("1-background", "2-concepts", "3-algorithms")
SECTIONS = ("the problem", "scoreboard", "explore", "when the model lies", "in practice", "summary")
HEAD_ROWS = ("you will do", "you will learn", "you need", "time")
FORBIDDEN_WORDS = re.compile(r"\b(simply|obviously|just(?!-in-time))\b", re.IGNORECASE)
ALLOWED_HTML = {"br", "sub", "sup", "kbd", "a", "details", "summary"}
REASONS = ("measured", "drawing")


@dataclass(frozen=True)
class Page:
    """A notebook and where it stands; `root` is the folder ``notebooks``."""

    path: Path
    root: Path

    @cached_property
    def notebook(self) -> NotebookNode:
        return nbformat.read(self.path, as_version=4)

    @property
    def folder(self) -> str:
        return self.path.relative_to(self.root).parts[0]

    @property
    def kind(self) -> str:
        return {"exercises": "exercise", "solutions": "solution"}.get(self.folder, "chapter")

    @property
    def number(self) -> str:
        return self.path.name[:2]

    def cells(self, kind: str) -> Iterator[tuple[int, NotebookNode]]:
        """Give the cells of one kind with their place."""
        return ((k, cell) for k, cell in enumerate(self.notebook.cells) if cell.cell_type == kind)

    def prose(self) -> Iterator[tuple[int, str]]:
        """Give the Markdown cells without code and formulas."""
        return ((k, without_code(cell.source)) for k, cell in self.cells("markdown"))

    def outputs(self) -> Iterator[tuple[int, NotebookNode]]:
        return ((k, output) for k, cell in self.cells("code") for output in cell.outputs)

    @cached_property
    def headings(self) -> list[tuple[int, int, str]]:
        """The headings: place of the cell, level, text."""
        found = []
        for k, cell in self.cells("markdown"):
            for match in re.finditer(r"^(#{1,6})\s+(.*?)\s*$", without_fences(cell.source), re.MULTILINE):
                found.append((k, len(match[1]), match[2]))
        return found


def without_fences(text: str) -> str:
    return re.sub(r"^(```|~~~).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    text = without_fences(text)
    text = re.sub(r"\$\$.*?\$\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"(`+).*?\1", " ", text, flags=re.DOTALL)
    return re.sub(r"(?<!\\)\$[^$\n]+\$", " ", text)


def without_references(text: str) -> str:
    """Return a text without the list below **Further reading**."""
    return re.sub(r"^\*\*Further reading\*\*\n\n(?:[-* ].*\n?)+", "", text, flags=re.MULTILINE)


def links(text: str) -> list[tuple[bool, str, str]]:
    """Return the links of a Markdown text: whether it is a picture, its text, its target."""
    found = re.findall(
        r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", without_code(text)
    )
    return [(mark == "!", words, target) for mark, words, target in found]


# --- rules for all -------------------------------------------------------------------------------


def title(page: Page) -> list[str]:
    """There is one heading of level 1, in the first cell: ``# 05 · Title``, with the file's number."""
    tops = [(k, text) for k, level, text in page.headings if level == 1]
    if [k for k, _ in tops] != [0]:
        return [f"there are {len(tops)} headings of level 1; there must be one, in the first cell"]
    if not re.fullmatch(rf"{page.number} · \S.*", tops[0][1]):
        return [f"the title is {tops[0][1]!r}; it must be '{page.number} · …'"]
    return []


def code_length(page: Page) -> list[str]:
    """No code cell is longer than 25 lines, and no line wider than the page."""
    return [
        f"cell {k} has {n} lines of code; more than {MAX_CODE_LINES} belong into the package"
        for k, cell in page.cells("code")
        if (n := len(cell.source.splitlines())) > MAX_CODE_LINES
    ] + [
        f"cell {k} has a line of {len(line)} characters; a page shows {MAX_LINE}: {line[:40]}…"
        for k, cell in page.cells("code")
        for line in cell.source.splitlines()
        if len(line) > MAX_LINE
    ]


def no_machine_path(page: Page) -> list[str]:
    """No cell and no output holds a path of one machine."""
    found = []
    for k, cell in enumerate(page.notebook.cells):
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts.append(output.get("text", ""))
            texts += [str(v) for kind, v in output.get("data", {}).items() if not kind.startswith("image/png")]
        found += [f"cell {k} holds the path {path}" for text in texts for path in machine_paths(text)]
    return found


def no_myst(page: Page) -> list[str]:
    """No MyST: stock JupyterLab and GitHub do not render it."""
    pattern = re.compile(r"^\s*(?::::+|```+|~~~+)\{\w|^\+\+\+|\{(?:ref|doc|numref|eq|cite[a-z:]*|term|math)\}`", re.M)
    return [
        f"cell {k} holds the MyST syntax {match[0].strip()!r}"
        for k, cell in page.cells("markdown")
        for match in pattern.finditer(cell.source)
    ]


def raw_html(page: Page) -> list[str]:
    """Only the few tags that both render."""
    return [
        f"cell {k} holds the HTML tag <{tag}>; allowed are {', '.join(sorted(ALLOWED_HTML))}"
        for k, text in page.prose()
        for tag in re.findall(r"<\/?([a-zA-Z][\w-]*)(?=[\s>/])", text)
        if tag.lower() not in ALLOWED_HTML
    ]


def words(page: Page) -> list[str]:
    """No 'simply', 'obviously', 'just', but in the titles of what others wrote."""
    return [
        f"cell {k} says {match[0]!r}: leave it out"
        for k, text in page.prose()
        for match in FORBIDDEN_WORDS.finditer(without_references(text))
    ]


def size(page: Page) -> list[str]:
    """The file is under 1.5 MB."""
    n = page.path.stat().st_size
    return [f"the file has {n / 1e6:.1f} MB; allowed are {MAX_BYTES / 1e6} MB"] if n >= MAX_BYTES else []


def kernel(page: Page) -> list[str]:
    """The kernel is named, without this machine's Python version."""
    metadata = page.notebook.metadata
    found = []
    if metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("metadata.kernelspec must name python3")
    if "version" in metadata.get("language_info", {}):
        found.append("metadata.language_info holds the version of one machine's Python")
    return found


def predictions_are_asked(page: Page) -> list[str]:
    """A cell that asks for a prediction shows the question: `predict(…)` is its last expression, or it is displayed."""
    return [
        f"cell {k} asks {match[1]}, and its output does not show the question: let predict(…) stand last"
        for k, cell in page.cells("code")
        if (match := re.search(r"""^\s*predict\(\s*f?["']([^"']+)["']""", cell.source, flags=re.MULTILINE))
        and not any("Predict before you look" in str(output.get("data", {})) for output in cell.outputs)
    ]


def relative_links(page: Page) -> list[str]:
    """Each relative link leads to a file that learners have, and its anchor to a heading there."""
    found = []
    for k, cell in page.cells("markdown"):
        for _, _, target in links(cell.source):
            if re.match(r"[a-z][a-z+.-]*:", target):
                continue
            name, _, anchor = target.partition("#")
            name = name.replace("%20", " ")
            if name.startswith("/"):
                found.append(f"cell {k}: the link {target} is not relative")
                continue
            file = (page.path.parent / name) if name else page.path
            if not file.exists():
                found.append(f"cell {k}: the link {target} leads to no file")
            elif not file.resolve().is_relative_to(page.root.resolve()):
                found.append(f"cell {k}: the link {target} leads out of the notebooks; a learner's copy has no more")
            elif anchor and file.suffix == ".ipynb" and anchor not in anchors(Page(file, page.root)):
                found.append(f"cell {k}: {name or 'this page'} has no heading for #{anchor}")
    return found


def anchors(page: Page) -> set[str]:
    """Return what a link may name: JupyterLab's and GitHub's form of each heading, and explicit anchors."""
    found = set()
    for _, _, text in page.headings:
        text = re.sub(r"[`*_]", "", text)
        found.add(text.replace(" ", "-"))
        found.add(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-"))
    for _, cell in page.cells("markdown"):
        found.update(re.findall(r"<a\s+(?:id|name)=\"([^\"]+)\"", cell.source))
    return found


def picture_text(page: Page) -> list[str]:
    """A picture in the text has an alternative text."""
    return [
        f"cell {k}: the picture {target} has no alternative text"
        for k, cell in page.cells("markdown")
        for picture, text, target in links(cell.source)
        if picture and not text.strip()
    ]


def normal_form(page: Page) -> list[str]:
    """The file is as ``python -m course.notebook`` stores it."""
    try:
        text = nbformat.writes(normalise(page.notebook), version=4).rstrip("\n") + "\n"
    except NotebookError as error:
        return [str(error)]
    if page.path.read_text(encoding="utf-8") != text:
        return ["the file is not in its stored form: run python -m course.notebook normalise on it"]
    return []


# --- rules for pages with outputs ----------------------------------------------------------------


def executed(page: Page) -> list[str]:
    """Every code cell was run, from top to bottom on a clean kernel, and something came out."""
    code = [(k, cell) for k, cell in page.cells("code") if cell.source.strip()]
    found = [f"cell {k} was not run" for k, cell in code if cell.execution_count is None]
    counts = [cell.execution_count for _, cell in code]
    if not found and counts != list(range(1, len(counts) + 1)):
        found.append("the cells were not run in order on a clean kernel")
    if code and not any(cell.outputs for _, cell in code):
        found.append("no output is stored")
    return found


def no_errors(page: Page) -> list[str]:
    """No warning and no exception is stored."""
    found = [f"cell {k} stores an exception: {out.ename}" for k, out in page.outputs() if out.output_type == "error"]
    for k, output in page.outputs():
        if output.output_type == "stream" and output.name == "stderr":
            found.append(f"cell {k} stores text on stderr")
    return found


def stable_text(page: Page) -> list[str]:
    """No stored text is cut from a widget or holds an address."""
    found = []
    for k, output in page.outputs():
        text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        if re.search(r"\w\(children=\(", text):
            found.append(f"cell {k} stores the text of a widget, not its finding")
        if re.search(r"\bat 0x[0-9a-fA-F]{6,}", text):
            found.append(f"cell {k} stores the address of an object")
    return found


def figures(page: Page) -> list[str]:
    """Each stored figure has an alternative text, as its text and in its metadata."""
    found = []
    for k, output in page.outputs():
        if "image/png" not in output.get("data", {}):
            continue
        text = str(output.data.get("text/plain", "")).strip()
        if not text or re.fullmatch(r"<.*>", text):
            found.append(f"cell {k}: the text of its figure is {text!r}; it must say the finding (course.plots.show)")
        if not str(output.metadata.get("image/png", {}).get("alt", "")).strip():
            found.append(f"cell {k}: its figure has no alt in its metadata (course.plots.show)")
    return found


def ignored_outputs(page: Page) -> list[str]:
    """A cell whose output nbval does not compare begins with a comment: ``# measured: …`` or ``# drawing: …``."""
    found = []
    for k, cell in page.cells("code"):
        if "NBVAL_" in cell.source:
            found.append(f"cell {k}: use the tag nbval-ignore-output, not a comment")
        if "nbval-skip" in cell.metadata.get("tags", []):
            found.append(f"cell {k} is skipped by nbval")
        first = next(iter(cell.source.splitlines()), "")
        reason = re.match(rf"#\s*({'|'.join(REASONS)})\b", first, re.IGNORECASE)
        tagged = "nbval-ignore-output" in cell.metadata.get("tags", [])
        if tagged and not reason:
            found.append(f"cell {k} is tagged nbval-ignore-output: begin it with '# measured: …' or '# drawing: …'")
        if reason and not tagged:
            found.append(f"cell {k} begins with {first!r} but is not tagged nbval-ignore-output")
    return found


def semicolons(page: Page) -> list[str]:
    """No cell relies on a last semicolon to hide a result: nbval shows it all the same."""
    return [
        f"cell {k} ends in a semicolon; assign the result to _ instead"
        for k, cell in page.cells("code")
        if cell.source.rstrip().endswith(";")
    ]


# --- rules for chapters --------------------------------------------------------------------------


def head(page: Page) -> list[str]:
    """Under the title: the question, and a table of what you will do, learn and need, and the time."""
    cells = page.notebook.cells
    text = cells[0].source if cells and cells[0].cell_type == "markdown" else ""
    if len(cells) > 1 and cells[1].cell_type == "markdown":
        text += "\n" + cells[1].source
    plain = without_code(text)
    found = []
    before_table = plain.split("\n|")[0]
    if not re.search(r"\?[*_]*\s*$", before_table, re.MULTILINE):
        found.append("the head has no sentence that asks the chapter's question")
    rows = [line.lower() for line in plain.splitlines() if line.strip().startswith("|")]
    found += [
        f"the head's table has no row or column '{name}'"
        for name in HEAD_ROWS
        if not any(re.search(rf"\|[\s*]*{name}[\s*]*\|", row) for row in rows)
    ]
    return found


def objective_numbers(page: Page) -> list[str]:
    """Return the numbers of the objectives that a chapter names: list items ``- **12.1** Verb …``."""
    pattern = re.compile(r"^\s*[-*]\s+\*\*(\d\d\.\d+)\*\*\s", re.MULTILINE)
    found: list[str] = []
    for _, cell in page.cells("markdown"):
        found += [number for number in pattern.findall(cell.source) if number not in found]
    return found


def objectives(page: Page) -> list[str]:
    """Objectives are numbered NN.1, NN.2, …, and each is exercised."""
    named = objective_numbers(page)
    if not named:
        return [f"there are no objectives; write them as '- **{page.number}.1** Compute …'"]
    found = []
    if named != [f"{page.number}.{k + 1}" for k in range(len(named))]:
        found.append(
            f"the objectives are numbered {', '.join(named)}; they must be {page.number}.1, {page.number}.2, …"
        )
    exercises = exercises_of(int(page.number))
    exercised = {each.objective for each in exercises}
    found += [f"no exercise is for the objective {each}" for each in named if each not in exercised]
    found += [f"the exercise objective {each} is not in the chapter" for each in sorted(exercised - set(named))]
    if len(exercises) < MIN_EXERCISES:
        found.append(f"there are {len(exercises)} exercises; at least {MIN_EXERCISES} are needed")
    return found


def sections(page: Page) -> list[str]:
    """The sections that every chapter of parts 1 to 3 has stand in the agreed order."""
    if page.folder not in ORDERED_PARTS:
        return []
    second = [text.lower() for _, level, text in page.headings if level == 2]
    places = {name: [k for k, text in enumerate(second) if name in text] for name in SECTIONS}
    found = [f"there is no section '## {name.capitalize()}'" for name in SECTIONS if not places[name]]
    order = [places[name][-1] for name in SECTIONS if places[name]]
    if order != sorted(order):
        found.append("the sections are not in the order: " + ", ".join(SECTIONS))
    return found


def neighbours(page: Page) -> list[str]:
    """The last text cell links to the chapters before and after, and to the exercises, where these exist."""
    chapters = sorted(
        (
            path
            for path in page.root.rglob("[0-9][0-9]-*.ipynb")
            if path.relative_to(page.root).parts[0] not in ("exercises", "solutions")
            and ".ipynb_checkpoints" not in path.parts
        ),
        key=lambda path: path.name,
    )
    at = chapters.index(page.path)
    wanted = {
        "previous": chapters[at - 1] if at else None,
        "next": chapters[at + 1] if at + 1 < len(chapters) else None,
    }
    exercises = sorted((page.root / "exercises").glob(f"{page.number}-*.ipynb"))
    targets = {
        (page.path.parent / target.partition("#")[0]).resolve()
        for _, cell in page.cells("markdown")
        for _, _, target in links(cell.source)
    }
    last = [cell.source for _, cell in page.cells("markdown")][-1:]
    at_end = {(page.path.parent / target.partition("#")[0]).resolve() for text in last for _, _, target in links(text)}
    found = [
        f"the last cell has no link to the {which} chapter, {path.name}"
        for which, path in wanted.items()
        if path is not None and path.resolve() not in at_end
    ]
    found += [f"there is no link to the exercises, {p.name}" for p in exercises if p.resolve() not in targets]
    return found


# --- rules for exercises and solutions -----------------------------------------------------------


def checked(page: Page) -> list[str]:
    """Return the names of the exercises whose ``check`` stands in a cell tagged so."""
    pattern = re.compile(r"""\bcheck\(\s*["'](\d{1,2}\.\w+)["']""")
    return [
        exercise_name(match[1])
        for _, cell in page.cells("code")
        if "check" in cell.metadata.get("tags", []) and (match := pattern.search(cell.source))
    ]


def all_exercises(page: Page) -> list[str]:
    """Each exercise of the chapter is checked once, and has a heading that states points and minutes."""
    found = []
    names = checked(page)
    exercises = {each.id: each for each in exercises_of(int(page.number))}
    found += [f"exercise {name} has no cell tagged check" for name in exercises if name not in names]
    found += [f"exercise {name} is checked twice" for name in sorted(set(names)) if names.count(name) > 1]
    for name in dict.fromkeys(names):
        exercise = exercises.get(name)
        if exercise is None:
            found.append(f"exercise {name} is not one of chapter {page.number}")
            continue
        text = next((text for _, _, text in page.headings if re.match(rf"{re.escape(name)}\b", text)), None)
        wanted = f"{exercise.points} point{'s' if exercise.points != 1 else ''} · {exercise.minutes} min"
        if text is None or not text.endswith(wanted):
            found.append(f"exercise {name} has no heading '### {name} · {exercise.title} · {wanted}'")
    return found


def no_leak(page: Page) -> list[str]:
    """The learner's page holds no solution and no output, and its checks are locked."""
    found = []
    for k, cell in enumerate(page.notebook.cells):
        if "SOLUTION" in cell.source or "HIDDEN TESTS" in cell.source:
            found.append(f"cell {k} holds a solution or a hidden test")
        if cell.get("outputs"):
            found.append(f"cell {k} holds an output")
        tags = cell.metadata.get("tags", [])
        if "check" in tags and cell.metadata.get("editable") is not False:
            found.append(f"cell {k} is a check that is not locked")
    return found


def full_points(page: Page) -> list[str]:
    """The stored result of each check in a solution is all its points."""
    found = []
    for k, cell in page.cells("code"):
        if "check" not in cell.metadata.get("tags", []):
            continue
        points = cell.metadata.get("nbgrader", {}).get("points")
        results = [out.data.get("text/plain") for out in cell.outputs if out.output_type == "execute_result"]
        if points is None or results != [str(float(points))]:
            found.append(f"cell {k} is a check whose result is {results}, not its points ({points})")
    return found


Rule = Callable[[Page], list[str]]

COMMON: tuple[Rule, ...] = (
    title,
    code_length,
    no_machine_path,
    no_myst,
    raw_html,
    words,
    size,
    kernel,
    relative_links,
    picture_text,
)
WITH_OUTPUTS: tuple[Rule, ...] = (
    executed,
    no_errors,
    stable_text,
    figures,
    predictions_are_asked,
    ignored_outputs,
    semicolons,
    normal_form,
)
RULES: dict[str, tuple[Rule, ...]] = {
    "chapter": (*COMMON, *WITH_OUTPUTS, head, objectives, sections, neighbours),
    "exercise": (*COMMON, all_exercises, no_leak),
    "solution": (*COMMON, *WITH_OUTPUTS, all_exercises, full_points),
}
# The welcome page and the appendix have no objectives and no table of what to learn.
EXEMPT: dict[str, tuple[Rule, ...]] = {
    "00-welcome.ipynb": (objectives,),
    "6-appendix": (objectives, head),
}


def rules(page: Page) -> list[Rule]:
    """Return the rules that hold for a page."""
    left_out = (*EXEMPT.get(page.folder, ()), *EXEMPT.get(page.path.name, ()))
    return [rule for rule in RULES[page.kind] if rule not in left_out]


def complaints(page: Page) -> list[str]:
    """Return everything that is wrong with a page."""
    return [f"{rule.__name__}: {each}" for rule in rules(page) for each in rule(page)]


def pages(root: Path) -> list[Page]:
    """Return all notebooks under `root`."""
    return [Page(path, root) for path in sorted(root.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
