"""Checks under fire: thousands of bad answers to all exercises; each must get an answer in words, within 5 s.

Each answer is judged as in a notebook, by `course.practice.check`: a function runs in a process of its own. Several
processes share the answers. Before each one they write down which it is, so that an answer that takes its kernel down,
or keeps it for a minute, is known, and the others go on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.drill.rows import children, end_all, left, main, row, say

LIMIT = 5.0
"""Seconds within which an answer must be judged."""

STUCK = 60.0
"""After so many seconds without a judgement the process that judges is given up."""

LONGEST_TEXT = 2500


def answers(count: int, seed: int) -> list[tuple[str, int]]:
    """Return which exercises are answered, and the seeds of the answers: all exercises, again and again."""
    from course.practice.exercises import chapters, exercises_of

    names = [exercise.id for chapter in chapters() for exercise in exercises_of(chapter)]
    return [(names[k % len(names)], seed * 1_000_003 + k // len(names)) for k in range(count)]


def try_one(name: str, seed: int) -> dict[str, Any]:
    """Judge one bad answer; return what is to know, ``wrong`` if it was not judged as it should be."""
    from course.practice.checking import CheckResult, check
    from course.practice.exercises import find
    from tests.drill.bad_answers import bad_answer

    family, answer = bad_answer(find(name), seed)
    before, came, result = children(), "", None
    printed = io.StringIO()
    began = time.perf_counter()
    try:
        with contextlib.redirect_stdout(printed):
            result = check(name, answer)
            text, page = repr(result), result._repr_html_()
    except BaseException as error:
        came = f"check raised {type(error).__name__}"
    seconds = time.perf_counter() - began
    if isinstance(result, CheckResult) and not came:
        words = [word for word, _ in result.says]
        if result.passed or result.points:
            came = f"it passed, with {result.points:g} points"
        elif "came out" not in words:
            came = f"no word of what came out, only {words}"
        elif len(text) > LONGEST_TEXT or len(page) > 3 * LONGEST_TEXT:
            came = f"a judgement of {len(text)} characters"
        elif printed.getvalue():
            came = f"it printed {printed.getvalue()[:40]!r} beside the judgement"
        elif seconds > LIMIT:
            came = f"it took {seconds:.1f} s"
        try:
            text.encode()
        except UnicodeEncodeError:
            came = came or "the judgement holds half a character, which cannot be shown"
    new = left(before, patience=2.0)
    if new and not came:
        came = f"{len(new)} processes are left"
    end_all(new)
    return {"name": name, "seed": seed, "family": family, "seconds": seconds, "wrong": came}


def _judge(todo: list[tuple[str, int]], report: str, errors: str) -> None:
    """Judge answers, one after the other, in a process of its own; write a line before and after each."""
    import numpy as np

    sys.stderr = stream = open(errors, "a", encoding="utf-8")  # noqa: SIM115
    kept = np.allclose, json.dumps, math.isclose
    with (
        tempfile.TemporaryDirectory(prefix="course-home-", ignore_cleanup_errors=True) as home,
        open(report, "a", encoding="utf-8") as lines,
    ):
        os.environ["COURSE_HOME"] = home
        for name, seed in todo:
            parent = multiprocessing.parent_process()
            if parent is not None and not parent.is_alive():  # nobody reads on
                return
            lines.write(json.dumps({"begun": [name, seed]}) + "\n")
            lines.flush()
            faulthandler.dump_traceback_later(STUCK, exit=True, file=stream)
            said = try_one(name, seed)
            faulthandler.cancel_dump_traceback_later()
            if (np.allclose, json.dumps, math.isclose) != kept:
                said["wrong"] = said["wrong"] or "it changed a function of this process"
            lines.write(json.dumps(said) + "\n")
            lines.flush()


def _share(todo: list[tuple[str, int]], folder: Path, number: int) -> list[dict[str, Any]]:
    """Judge a share of the answers, whatever they do to the process that judges; return what came of each."""
    found: list[dict[str, Any]] = []
    for attempt in range(len(todo)):
        report = folder / f"{number}-{attempt}.jsonl"
        process = multiprocessing.get_context("spawn").Process(
            target=_judge, args=(todo, str(report), str(folder / f"{number}.txt"))
        )
        process.start()
        process.join()
        notes = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        done = [note for note in notes if "begun" not in note]
        found += done
        todo = todo[len(done) :]
        if not todo:
            break
        name, seed = todo.pop(0)
        how = f"the process that judges ended (status {process.exitcode}), or was stuck for {STUCK:g} s"
        found.append({"name": name, "seed": seed, "family": "?", "seconds": STUCK, "wrong": how})
    return found


def run(count: int = 10_000, seed: int = 0, processes: int = 3) -> list[dict[str, Any]]:
    """Judge bad answers to all exercises, each as in a notebook."""
    from concurrent.futures import ThreadPoolExecutor

    todo = answers(count, seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="course-drill-") as name, ThreadPoolExecutor(processes) as pool:
        folder = Path(name)
        # Small shares, so that none has all that is slow.
        size = max(1, min(100, math.ceil(count / processes)))
        shares = [todo[k : k + size] for k in range(0, count, size)]
        found: list[dict[str, Any]] = []
        for k, done in enumerate(pool.map(_share, shares, [folder] * len(shares), range(len(shares)))):
            found += done
            bad = [each for each in done if each["wrong"]]
            say(f"checks {len(found)}/{count}, {time.perf_counter() - began:.0f} s, {len(bad)} wrong in share {k}")
            for each in bad:
                say(f"  {each['name']} seed {each['seed']} ({each['family']}): {each['wrong']}")
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in found:
        families[each["family"]].append(each)
    rows = []
    for family, members in sorted(families.items()):
        times = sorted(each["seconds"] for each in members)
        wrong = [f"{each['name']} seed {each['seed']}: {each['wrong']}" for each in members if each["wrong"]]
        figures = f"median {statistics.median(times):.2f} s, 99 % {times[int(0.99 * (len(times) - 1))]:.2f} s, " + (
            f"longest {times[-1]:.2f} s"
        )
        rows.append(row(family, len(members), wrong, figures))
    exercises = len({each["name"] for each in found})
    wrong = [each["family"] for each in found if each["wrong"]]
    figures = f"{time.perf_counter() - began:.0f} s with {processes} processes, seed {seed}"
    return [*rows, row(f"all, over {exercises} exercises", len(found), wrong, figures)]


if __name__ == "__main__":
    raise SystemExit(main(run))
