"""``course record``, ``course diagnose`` and ``course whatif``, as far as no cluster is needed."""

from __future__ import annotations

import ast
import datetime
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import course
import course.tracefile
from course.cli import diagnose, main, record, whatif
from course.cli.errors import CommandError
from course.cli.units import count, duration, factor, rate
from course.cluster import Cluster
from course.graph import TaskGraph, chain, independent
from course.recorded import build, read_notes, save_new
from course.simulate import run
from course.trace import COMPUTE, TRANSFER, Trace


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "zwölf Läufe"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def old(folder):
    graph = independent(40, 0.1).replace(names=[f"load-{i}" for i in range(40)])
    return run(graph, Cluster(4, scheduler_overhead=0.05), "fifo").save(folder / "älter.parquet")


@pytest.fixture
def new(folder):
    graph = independent(10, 0.2).replace(names=[f"load-{i}" for i in range(10)])
    return run(graph, Cluster(8), "fifo").save(folder / "neu.parquet")


def said(capsys, *line: str) -> str:
    assert main(line) == 0
    return capsys.readouterr().out


def error(capsys, *line: str) -> str:
    """Return the one line that a command ends with."""
    assert main(line) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    (only,) = shown.err.splitlines()
    return only


# ---- the traces that commands are given ----------------------------------------------------------------------


def test_files_that_are_no_traces(capsys, folder, old, monkeypatch):
    (folder / "text").write_text("no trace\nat all")
    content = bytearray(old.read_bytes())
    (folder / "short.parquet").write_bytes(content[: len(content) // 2])
    Trace([], [], [], [], [], [], graph=chain(1), cluster=Cluster(1), origin="measured").save("empty.parquet")
    with monkeypatch.context() as later:
        later.setattr(course.tracefile, "VERSION", 99)
        Trace.load(old).save("later.parquet")
    expected = {
        "nowhere.parquet": "there is no file nowhere.parquet",
        "text": "not a Parquet file",
        "short.parquet": "not a Parquet file, or it is damaged",
        "empty.parquet": "no task ran",
        "later.parquet": "of version 99",
        ".": "folder",
    }
    for name, what in expected.items():
        for command in ("diagnose", "whatif"):
            assert what in error(capsys, command, name)
    assert "there is no file" in error(capsys, "diagnose", str(old), "nowhere.parquet")


# ---- diagnose ------------------------------------------------------------------------------------------------


def test_diagnose_prints_what_the_library_prints(capsys, old):
    found = course.diagnose(Trace.load(old))
    text = said(capsys, "diagnose", str(old))
    assert text == f"{found.report()}\n"
    assert text.startswith(str(found))


def test_diagnose_gives_json_and_a_page(capsys, folder, old):
    printed = json.loads(said(capsys, "diagnose", str(old), "--json", "--html", "report.html"))
    assert printed["makespan"] == pytest.approx(Trace.load(old).makespan)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>Diagnosis of älter.parquet</title>" in page
    assert printed["limit"] in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_diagnose_draws(capsys, folder, old, suffix, begins):
    said(capsys, "diagnose", str(old), "--figure", f"bild.{suffix}")
    assert (folder / f"bild.{suffix}").read_bytes().startswith(begins)


@pytest.mark.parametrize("option", [("--html", "it.html"), ("--figure", "it.png")])
def test_diagnose_refuses_to_overwrite_and_what_it_cannot_write(capsys, folder, old, option):
    (folder / option[1]).write_text("mine")
    assert "not overwritten" in error(capsys, "diagnose", str(old), *option)
    assert (folder / option[1]).read_text() == "mine"
    assert "no folder" in error(capsys, "diagnose", str(old), option[0], f"nowhere/{option[1]}")
    assert "must end in" in error(capsys, "diagnose", str(old), option[0], "it.txt")
    assert "for one trace" in error(capsys, "diagnose", str(old), str(old), *option)


def test_diagnose_compares_two_runs(capsys, old, new):
    text = said(capsys, "diagnose", str(old), str(new))
    first, second = (course.diagnose(Trace.load(path)) for path in (old, new))
    assert f"{second.makespan / first.makespan:.3g} of the time" in text
    assert "älter" in text
    assert "tasks named 'load': 40 × 0.1 s (median) before, 10 × 0.2 s (median) now" in text
    parts = json.loads(said(capsys, "diagnose", str(old), str(new), "--json"))
    assert sum(parts["moved"].values()) == pytest.approx(second.makespan - first.makespan)
    assert parts["old"]["file"] == str(old)
    assert "nothing by more than" in said(capsys, "diagnose", str(old), str(old))


def test_parts_of_a_run_sum_to_its_makespan(old, new):
    first, second = (course.diagnose(Trace.load(path)) for path in (old, new))
    before, after = np.sum(list(diagnose.moved(first, second).values()), axis=0)
    assert (before, after) == pytest.approx((first.makespan, second.makespan))


# ---- whatif --------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """Stand in for the replay; return the list of what it was asked."""
    calls = []

    def fake(trace, **options):
        calls.append(options)
        if options.get("policy") == "none":
            raise ValueError("policy is 'none';\nit must be one of list, fifo")
        workers = options.get("workers") or trace.cluster.workers
        simulated = run(trace.graph, Cluster(workers), "fifo")
        numbers = {"recorded": trace.makespan, "replayed": trace.makespan, "makespan": simulated.makespan}
        ends = (simulated.makespan * 0.9, simulated.makespan * 1.1)
        answer = SimpleNamespace(**numbers, interval=ends, ratio=simulated.makespan / trace.makespan, trace=simulated)
        return answer

    monkeypatch.setattr(course, "whatif", fake, raising=False)
    return calls


def test_whatif_hands_on_what_is_typed(capsys, old, asked):
    said(
        capsys, "whatif", str(old), "--workers", "8", "--threads", "2", "--bandwidth", "100MB/s", "--latency", "2ms",
        "--scheduler-overhead", "0.5x", "--policy", "heft", "--split", "load=4", "--split", "read=2", "--merge", "3",
        "--speed", "load=1.5x", "--even", "load", "--even", "sum", "--remove", "transfer", "--seed", "5",
    )  # fmt: skip
    assert asked == [
        {
            "workers": 8, "threads": 2, "bandwidth": 1e8, "latency": 0.002, "scheduler_overhead": "0.5x",
            "policy": "heft", "split": {"load": 4, "read": 2}, "merge": 3, "speed": {"load": 1.5},
            "even": ("load", "sum"), "remove": ("transfer",), "seed": 5,
        }
    ]  # fmt: skip
    said(capsys, "whatif", str(old))
    assert asked[1] == {"workers": None, "seed": 0}


def test_whatif_gives_a_table_of_several_numbers_of_workers(capsys, old, asked):
    rows = said(capsys, "whatif", str(old), "--workers", "2,4,8").splitlines()
    assert [call["workers"] for call in asked] == [2, 4, 8]
    assert rows[-4].split() == ["workers", "makespan", "interval", "ratio", "speed-up", "utilization"]
    assert rows[-1].split()[:3] == ["8", "0.5", "s"]
    assert len(rows[-1]) == len(rows[-4])


def test_whatif_gives_json(capsys, old, asked):
    answer = json.loads(said(capsys, "whatif", str(old), "--workers", "2,4", "--bandwidth", "2x", "--json"))
    assert answer["changes"] == {"bandwidth": "2x", "seed": 0}
    assert [row["workers"] for row in answer["results"]] == [2, 4]
    assert answer["results"][1]["speed_up"] == pytest.approx(1 / answer["results"][1]["ratio"])


def test_whatif_saves_the_simulated_run(capsys, folder, old, asked):
    said(capsys, "whatif", str(old), "--workers", "2", "--save", "other.parquet")
    assert Trace.load("other.parquet").cluster.workers == 2
    assert "not overwritten" in error(capsys, "whatif", str(old), "--save", "other.parquet")
    assert "several" in error(capsys, "whatif", str(old), "--workers", "2,4", "--save", "third.parquet")


@pytest.mark.parametrize(
    "options",
    [
        ("--workers", "many"),
        ("--workers", "0"),
        ("--workers", "2,,4"),
        ("--threads", "1.5"),
        ("--bandwidth", "fast"),
        ("--bandwidth", "10s"),
        ("--latency", "5MB"),
        ("--latency", "1 ms 2"),
        ("--speed", "load=0"),
        ("--split", "load=few"),
        ("--split", "=3"),
        ("--policy", "none"),
    ],
)
def test_whatif_says_what_is_wrong(capsys, old, asked, options):
    assert options[1].split("=")[-1].split(",")[0] in error(capsys, "whatif", str(old), *options)


def test_a_number_for_all_and_one_for_some_is_refused():
    with pytest.raises(CommandError, match="twice"):
        whatif.by_prefix(["2", "load=3"], "--speed", factor)
    with pytest.raises(CommandError, match="twice"):
        whatif.by_prefix(["load=2", "load=3"], "--speed", factor)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e8", 1e8), ("1.5 GB", 1.5e9), ("100 mib/s", 100 * 2**20), ("1Gbit/s", 1.25e8), ("0.5X", "0.5x"), ("3×", "3x")],
)
def test_rates(text, value):
    assert rate(text, "--bandwidth") == value


def test_times_and_counts():
    assert [duration(text, "--latency") for text in ("2ms", "50us", "50µs", "1", "1e-3 s")] == pytest.approx(
        [2e-3, 5e-5, 5e-5, 1, 1e-3]
    )
    assert count("1e2", "--workers") == 100


# ---- record --------------------------------------------------------------------------------------------------


def test_default_names():
    now = datetime.datetime(2026, 3, 1, 9, 5, 7)
    expected = {
        ("python", "/a b/ä.py", "x.py"): "trace-ä-2026-03-01-090507.parquet",
        ("/usr/bin/pytest", "-x", "tests"): "trace-pytest-2026-03-01-090507.parquet",
        ("python", "-c", "1"): "trace-python-2026-03-01-090507.parquet",
        ("python", "-m"): "trace-command-2026-03-01-090507.parquet",
    }
    for command, name in expected.items():
        assert record.default_name(command, now) == Path(name)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ([], "no command"),
        (["--"], "no command"),
        (["--", "no-such-program"], "no program 'no-such-program'"),
        (["--", "script.py"], "course record -- python script.py"),
        (["-o", "there.parquet", "--", sys.executable, "-c", "print(1)"], "not overwritten"),
        (["-o", "nowhere/it.parquet", "--", sys.executable, "-c", "print(1)"], "no folder"),
        (["-o", ".", "--", sys.executable, "-c", "print(1)"], "is a folder"),
    ],
)
def test_refused_before_anything_runs(capfd, folder, line, why):
    (folder / "script.py").write_text("print(1)")
    (folder / "there.parquet").write_text("mine")
    assert main(["record", *line]) == 1
    shown = capfd.readouterr()
    assert why in shown.err
    assert shown.out == ""
    assert (folder / "there.parquet").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["script.py", "there.parquet"]


def test_status_and_output_are_the_commands(folder, capfd):
    assert main(["record", sys.executable, "-c", "import sys; print('ä', sys.argv[1:]); sys.exit(3)", "-o", "x"]) == 3
    shown = capfd.readouterr()
    assert shown.out == "ä ['-o', 'x']\n"
    assert shown.err.startswith("course: nothing was recorded: no distributed scheduler was started")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_status_of_a_command_that_a_signal_ended(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "course", "record", "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"],
        capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGTERM


def note_lines() -> list[list]:
    return [
        ["began", 100.0],
        ["worker", "tcp://b", "1", 1],
        ["worker", "tcp://a", "0", 2],
        ["graph", 101.0, [["x-1", []], ["x-2", ["x-1", "old"]]], [["old", 7]]],
        ["end", "x-1", "memory", "tcp://a", 11, 50, [["compute", 101.5, 102.0, ""]]],
        ["transfer", "tcp://b", 102.0, 102.25, "tcp://a", ["x-1"], 50],
        ["attempt", "tcp://b", "x-2", 12, [["compute", 102.25, 102.5, ""]]],
        ["end", "x-2", "erred", "tcp://b", 12, 0,
         [["transfer", 102.0, 102.25, "tcp://a"], ["compute", 102.25, 102.5, ""], ["compute", 103.0, 104.0, ""]]],
    ]  # fmt: skip


def test_a_trace_of_notes():
    trace, failed = build(note_lines())
    assert failed == ["x-2"]
    assert trace.graph.names == ("x-1", "x-2", "old")
    assert sorted(trace.graph.predecessors(1)) == [0, 2]
    assert trace.cluster.names == ("0", "1")
    assert trace.cluster.threads.tolist() == [2, 1]
    assert trace.start[trace.kind == COMPUTE] == pytest.approx([0.5, 1.25, 2.0])  # the run begins with the graph
    (transfer,) = np.flatnonzero(trace.kind == TRANSFER)
    assert (trace.size[transfer], trace.source[transfer], trace.worker[transfer]) == (50, 0, 1)


def test_a_task_that_runs_again_when_it_is_submitted_again_is_another_one():
    worker = "tcp://a"
    first, again = ["compute", 1.0, 2.0, ""], ["compute", 5.0, 7.0, ""]
    notes = [
        ["began", 0.0],
        ["worker", worker, "0", 1],
        ["graph", 1.0, [["load", []], ["mean", ["load"]]], []],
        ["end", "load", "memory", worker, 1, 5, [first]],
        ["end", "mean", "memory", worker, 1, 5, [["compute", 2.0, 3.0, ""]]],
        ["graph", 4.0, [["load", []], ["sum", ["load"]]], []],  # released meanwhile
        ["end", "load", "memory", worker, 1, 5, [first, again]],  # its worker remembers the first run
        ["end", "sum", "memory", worker, 1, 5, [["compute", 7.0, 8.0, ""]]],
        ["graph", 9.0, [["load", []], ["max", ["load"]]], []],  # not released: it does not run
        ["end", "max", "memory", worker, 1, 5, [["compute", 9.0, 9.5, ""]]],
    ]
    trace, failed = build(notes)
    assert failed == []
    assert trace.graph.names == ("load", "mean", "load", "sum", "max")
    assert [list(trace.graph.predecessors(task)) for task in range(5)] == [[], [0], [], [2], [2]]
    assert trace.submitted.tolist() == [0, 0, 3, 3, 8]
    assert trace.task_times()[0].tolist() == [0, 1, 4, 6, 8]
    # Lost with its worker, and computed again without being submitted: the same task, twice.
    trace, _ = build([note for note in notes if note[:2] != ["graph", 4.0] and "sum" not in note])
    assert trace.graph.names == ("load", "mean", "max")
    assert trace.task.tolist() == [0, 1, 0, 2]


def test_notes_that_end_in_the_middle_of_a_line(tmp_path):
    text = "\n".join(json.dumps(note) for note in note_lines())
    (tmp_path / "notes").write_text(text[:-10])
    assert list(read_notes(tmp_path / "notes")) == note_lines()[:-1]


def test_notes_are_diagnosed_while_they_are_written(capsys, folder):
    text = "\n".join(json.dumps(note) for note in note_lines())
    (folder / "run.parquet.notes").write_text(text[:-10])
    assert "held up by" in said(capsys, "diagnose", "run.parquet.notes")
    (folder / "run.parquet.notes").write_text(text.splitlines()[0])
    assert "does not hold the notes" in error(capsys, "diagnose", "run.parquet.notes")
    (folder / "run.parquet.notes").write_text("7\n")
    assert "does not hold the notes" in error(capsys, "diagnose", "run.parquet.notes")


def test_what_was_not_told_is_taken_from_the_graph():
    notes = [note for note in note_lines() if note[0] != "transfer"]
    trace, _ = build(notes)
    assert trace.size[trace.kind == TRANSFER] == pytest.approx([57])


def test_saved_traces_take_names_that_are_free(tmp_path):
    trace = run(TaskGraph([1.0]), 1, "fifo")
    (tmp_path / "run.parquet").write_text("mine")
    names = [save_new(trace, tmp_path / "run.parquet").name for _ in range(2)]
    assert names == ["run-2.parquet", "run-3.parquet"]
    assert (tmp_path / "run.parquet").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 3
    assert Trace.load(tmp_path / "run-3.parquet") == trace


@pytest.mark.parametrize("command", ["record", "diagnose", "whatif"])
def test_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"  course {command} " in capsys.readouterr().out


def test_schedulers_load_nothing_when_the_recorder_is_not_there(tmp_path, monkeypatch):
    environ = record.environment(tmp_path)
    (text,) = ast.literal_eval(environ[record.PRELOAD[0]])
    (copy,) = tmp_path.glob("course_recorder_*.py")
    loaded = {}
    exec(text, loaded)
    assert loaded["dask_setup"].__module__ == copy.stem
    monkeypatch.delitem(sys.modules, copy.stem)
    copy.unlink()
    loaded = {}
    exec(text, loaded)
    assert "dask_setup" not in loaded


def test_factors_of_workers_and_threads(capsys, old, asked):
    said(capsys, "whatif", str(old), "--workers", "2x,0.5x", "--threads", "2x")
    assert [(call["workers"], call["threads"]) for call in asked] == [(8, 2), (2, 2)]
    uneven = run(independent(4, 1.0), Cluster(2, threads=[1, 3]), "fifo").save(old.with_name("uneven.parquet"))
    assert "give a number" in error(capsys, "whatif", str(uneven), "--threads", "2x")


def test_whatif_really(capsys, old):
    """Without a stand-in: tasks of 0.1 s, of which the scheduler hands out one each 0.05 s."""
    assert "instead of" in said(capsys, "whatif", str(old), "--workers", "8")
    rows = said(capsys, "whatif", str(old), "--workers", "1,2", "--speed", "load=2").splitlines()
    assert rows[0] == "what if: speed load=2.0"
    answer = json.loads(said(capsys, "whatif", str(old), "--bandwidth", "2x", "--json"))
    assert answer["recorded"] == pytest.approx(Trace.load(old).makespan)
    for option, wrong in (("--policy", "none"), ("--remove", "none"), ("--split", "none=2")):
        assert "none" in error(capsys, "whatif", str(old), option, wrong)
