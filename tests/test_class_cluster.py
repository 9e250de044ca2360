"""Certificates and the line of a class cluster, what the command refuses, and the teacher's page."""

from __future__ import annotations

import ast
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.classroom.certificates import Certificates
from course.cli import main, parser
from course.cli.cluster import _certificates
from course.home import state_file
from course.measure.fairness import FairShares
from course.measure.invitation import Invitation, forget, keep, kept
from course.syllabus import chapters
from tests.drill import class_cluster

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "notebooks" / "teaching" / "cluster.md").read_text(encoding="utf-8")
ADDRESS = "tls://10.0.0.5:8786"


@pytest.fixture(scope="module")
def invitation(tmp_path_factory) -> Invitation:
    made = Certificates.make(tmp_path_factory.mktemp("class") / "cluster")
    return Invitation.of(ADDRESS, made.authority, made.student)


# ---- certificates --------------------------------------------------------------------------------------------


def test_certificates_are_whole_or_not_there_and_new_ones_take_the_place_of_old_ones(tmp_path, monkeypatch):
    folder = tmp_path / "a cläss" / "cluster"
    assert Certificates.of(folder) is None
    first = Certificates.make(folder)
    assert first == Certificates.of(folder)
    assert timedelta(days=365) < first.ends - datetime.now(UTC) < timedelta(days=367)
    before = first.student.read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("course.classroom.certificates._key", fail)
        with pytest.raises(OSError, match="full"):
            Certificates.make(folder)
    assert first.student.read_bytes() == before
    Certificates.make(folder)
    assert first.student.read_bytes() != before
    assert [path.name for path in folder.parent.iterdir()] == ["cluster"]
    first.server.write_text("nonsense")
    with pytest.raises(ValueError, match="damaged"):
        Certificates.of(folder)


def test_no_key_of_the_authority_is_kept_and_each_certificate_has_its_use(tmp_path):
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

    made = Certificates.make(tmp_path / "cluster")
    certificates = {}
    for name, path in (("authority", made.authority), ("server", made.server), ("student", made.student)):
        certificates[name] = x509.load_pem_x509_certificate(path.read_bytes())
    keys = [load_pem_private_key(path.read_bytes(), None).public_key() for path in (made.server, made.student)]
    assert keys == [certificates["server"].public_key(), certificates["student"].public_key()]
    assert certificates["authority"].public_key() not in keys
    uses = {
        name: list(certificates[name].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        for name in ("server", "student")
    }
    assert uses == {"server": [Usage.SERVER_AUTH, Usage.CLIENT_AUTH], "student": [Usage.CLIENT_AUTH]}
    for name in ("server", "student"):
        certificates[name].verify_directly_issued_by(certificates["authority"])
        # A student's clock may be a day slow.
        assert certificates[name].not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)


def test_started_again_it_has_the_same_certificates_unless_new_ones_are_wanted(tmp_path):
    first = _certificates(tmp_path / "cluster", new=False).student.read_bytes()
    assert _certificates(tmp_path / "cluster", new=False).student.read_bytes() == first
    assert _certificates(tmp_path / "cluster", new=True).student.read_bytes() != first


@pytest.mark.parametrize("spoil", ["end", "damage"])
def test_serve_says_what_to_do_with_certificates_that_end_or_are_damaged(spoil, tmp_path, capsys):
    made = Certificates.make(tmp_path / "cluster", timedelta(hours=1 if spoil == "end" else 1000))
    if spoil == "damage":
        made.student.unlink()
    assert main(["cluster", "serve", "--class", str(tmp_path), "--port", "0"]) == 1
    said = capsys.readouterr().err
    assert {"end": "the certificates end on", "damage": "are damaged"}[spoil] in said
    assert "--new makes others" in said


# ---- the line ------------------------------------------------------------------------------------------------


def test_a_line_is_read_back_whatever_a_mail_program_made_of_it(invitation):
    line = invitation.line()
    assert len(line) < 1000
    assert re.fullmatch(r"[\w:/.-]+", line)  # nothing that a shell would take for something else
    assert Invitation.from_line(line) == invitation
    wrapped = "\r\n > ".replace(">", " ").join(line[i : i + 70] for i in range(0, len(line), 70))
    assert Invitation.from_line(f"  course cluster join\n {wrapped}\n") == invitation
    assert "PRIVATE" not in repr(invitation)


@given(data=st.data())
def test_a_line_that_is_not_whole_is_refused(invitation, data):
    line = invitation.line()
    place = data.draw(st.integers(len(ADDRESS) + 1, len(line) - 1))
    other = data.draw(st.sampled_from("".join(sorted(set(line) - {line[place]}))))
    how = data.draw(st.sampled_from(["cut", "changed", "left out", "more"]))
    broken = {
        "cut": line[:place],
        "changed": line[:place] + other + line[place + 1 :],
        "left out": line[:place] + line[place + 1 :],
        "more": line + other,
    }[how]
    with pytest.raises(ValueError, match="not a whole line"):
        Invitation.from_line(broken)


@given(st.text())
def test_nonsense_is_no_line(text):
    with pytest.raises(ValueError, match="not a whole line"):
        Invitation.from_line(text)


def test_what_is_kept_and_what_comes_first(invitation, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "ada"))
    monkeypatch.delenv("COURSE_CLUSTER", raising=False)
    assert kept() is None
    monkeypatch.setenv("COURSE_CLUSTER", invitation.line())
    assert kept() == invitation
    own = Invitation("tls://127.0.0.1:1", invitation.authority, invitation.certificate, invitation.key)
    keep(own)
    assert kept() == own
    assert forget()
    assert not forget()
    monkeypatch.setenv("COURSE_CLUSTER", "tls://10.0.0.5:8786/abc")
    with pytest.raises(ValueError, match="COURSE_CLUSTER: this is not a whole line"):
        kept()
    monkeypatch.setenv("COURSE_CLUSTER", "")
    keep(own)
    state_file("cluster.json").write_text("{damaged", encoding="utf-8")
    assert kept() is None  # and what was there is put aside
    assert [path.name for path in state_file("x").parent.iterdir()] == ["cluster.json.damaged-1"]
    state_file("cluster.json").write_text(json.dumps({"address": 1}), encoding="utf-8")
    assert kept() is None


# ---- the command ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    ["--port 70000", "--port -1", "--port x", "--workers 0", "--threads 1.5", "--memory 0", "--memory nan", "--idle -1",
     "--dashboard ²", "--contact a/b", "--contact -"],
)  # fmt: skip
def test_wrong_numbers_are_refused_in_words(wrong, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["cluster", "serve", *wrong.replace(" -1", " =-1").replace(" =", "=").split(" ")])
    assert "error: argument" in capsys.readouterr().err


def test_join_refuses_what_is_no_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "ada"))
    assert main(["cluster", "join", "nothing"]) == 1
    assert "no line of `course cluster serve`, and no file that holds one" in capsys.readouterr().err
    assert main(["cluster", "join", "tls://10.0.0.5:8786/abc"]) == 1
    assert "not joined: this is not a whole line" in capsys.readouterr().err
    assert not (tmp_path / "ada" / ".course").exists()
    monkeypatch.setenv("COURSE_CLASS", str(tmp_path / "no class"))
    assert main(["cluster", "status"]) == 1
    assert "course cluster join LINE" in capsys.readouterr().err


# ---- taking turns --------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.01, 10)), min_size=1, max_size=60))
def test_no_two_who_wait_are_apart_by_more_than_a_task_each(tasks):
    """One worker, all tasks there: whoever still has tasks has got as much as the others, up to one task."""
    shares, waiting = FairShares(), []
    for k, (client, duration) in enumerate(tasks):
        waiting.append((shares.begin(client, duration), k, client, duration))
    left = {name: sum(client == name for client, _ in tasks) for name in "abc"}
    got, longest = dict.fromkeys("abc", 0.0), max(duration for _, duration in tasks)
    for _, _, client, duration in sorted(waiting):
        got[client] += duration
        left[client] -= 1
        present = [got[name] for name in "abc" if left[name]]
        if len(present) > 1:
            assert max(present) - min(present) <= 2 * longest + 1e-9


# ---- the teacher's page --------------------------------------------------------------------------------------


def _calls(notebook: Path) -> list[bool]:
    """Return for each `measure.cluster(...)` of a chapter whether it may join a class cluster."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    code = [re.sub(r"^\s*[%!].*$", "pass", source, flags=re.MULTILINE) for source in sources]
    nodes = [node for source in code for node in ast.walk(ast.parse(source))]
    # Names of mappings that say so: LOCAL = {"local": True, ...}
    always = {
        ast.unparse(node.targets[0])
        for node in nodes
        if isinstance(node, ast.Assign) and re.search(r"'local': True", ast.unparse(node.value))
    }
    return [
        not any(key.arg == "local" or (key.arg is None and ast.unparse(key.value) in always) for key in node.keywords)
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "measure.cluster"
    ]


def test_the_page_names_the_chapters_that_use_a_class_cluster():
    calls = {each.number: _calls(ROOT / "notebooks" / each.file) for each in chapters() if each.written}
    # Chapter 08 joins a cluster that it has started itself, by Dask's own settings.
    shared = [number for number, may in calls.items() if any(may) and number != 8]
    (named,) = re.findall(r"^Cells that use the class cluster are in chapters ([\d, ]+)\.$", PAGE, flags=re.MULTILINE)
    assert [int(number) for number in named.split(", ")] == shared
    local = [number for number, may in calls.items() if may and number not in shared]
    (text,) = re.findall(r"All of chapters ([\d,\sandto]+?) is so", PAGE)
    written = []
    for part in re.split(r",\s*|\s+and\s+", text):
        first, _, last = part.partition(" to ")
        written += range(int(first), int(last or first) + 1)
    assert written == local


def test_the_page_names_the_chapters_that_the_drill_holds_to_run_to_their_end():
    (named,) = re.findall(r"^Run to their end: chapters ([\d, ]+)\.$", PAGE, flags=re.MULTILINE)
    assert tuple(map(int, named.split(", "))) == class_cluster.HOLD
    (others,) = re.findall(r"^The others \(([\d, ]+)\) stop", PAGE, flags=re.MULTILINE)
    assert sorted([*class_cluster.HOLD, *map(int, others.split(", "))]) == list(class_cluster.CHAPTERS)


def test_the_pages_lines_are_commands():
    lines = re.findall(r"^    course (.*)$", PAGE, flags=re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        parser().parse_args(line.partition("#")[0].split())


def test_links_of_the_page():
    headings = {"#" + title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, flags=re.MULTILINE)}
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(targets) >= 2
    for target in targets:
        assert target in headings or (ROOT / "notebooks" / "teaching" / target).exists()
    assert os.fspath(PAGE).count("# A cluster") == 1
