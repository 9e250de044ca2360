"""`Diagnosis.advice`: the change that saves most comes first, and real cures brought about what it says."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from course import Cluster, Trace, diagnose, plots
from course.diagnosis import WORTH
from course.graph import TaskGraph, chain, independent
from course.graph.prefixes import key_prefix
from course.simulate import run

MYSTERIES = Path(__file__).parents[1] / "data" / "mysteries"


def mystery(name: str) -> Trace:
    return Trace.load(MYSTERIES / f"{name}.parquet")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("a", "even group"),
        ("b", "remove disk"),
        ("c", "merge parse 53, rate 58"),
        ("d", "remove transfer"),
        ("e", "split fit-00 8"),
    ],
)
def test_the_first_advice_is_the_cure_and_foretells_what_it_saved(name, asked):
    slow, cured = mystery(name), mystery(f"{name}-cured")
    first = diagnose(slow).advice[0]
    assert first.outcome.changes == asked
    assert first.saves == pytest.approx(slow.makespan - first.outcome.makespan)
    assert first.saves == pytest.approx(slow.makespan - cured.makespan, rel=0.15)
    assert first.at_most == asked.startswith("remove")


def test_advice_is_ranked_short_and_worth_it():
    for name in "abcde":
        advice = diagnose(mystery(name)).advice
        saves = [each.saves for each in advice]
        assert 1 <= len(advice) <= 5
        assert saves == sorted(saves, reverse=True)
        assert all(each.saves > WORTH * each.outcome.recorded for each in advice)
        assert all(each.chapter.isdecimal() and each.change and each.finding for each in advice)


def test_busy_threads_are_told_to_become_more():
    advice = diagnose(run(independent(64, 1.0), 4)).advice
    assert advice[0].outcome.ratio == pytest.approx(0.5)
    assert {each.outcome.changes for each in advice} == {"8 workers", "speed task 2.0"}


def test_a_task_without_a_name_can_be_advised_about():
    long = TaskGraph([0.05] * 8 + [1.0] + [0.05] * 3, 0, [[] for _ in range(8)] + [[0]] + [[8]] * 3)
    asked = [each.outcome.changes for each in diagnose(run(long, 4)).advice]
    assert "split 8 4" in asked, asked


def test_a_pause_of_the_program_is_told():
    trace = Trace([0, 1], [0, 0], [0, 0], [0, 0], [0.0, 5.0], [1.0, 6.0], graph=independent(2), cluster=Cluster(1),
                  origin="measured", submitted=[0.0, 5.0])  # fmt: skip
    found = diagnose(trace)
    assert found.limit == "client"
    assert found.seconds["client"] == pytest.approx(4.0)
    first = found.advice[0]
    assert first.outcome.changes == "remove client"
    assert first.saves == pytest.approx(4.0)
    assert "2 occasions" in first.finding


def test_batches_that_would_wait_for_each_other_are_not_advised():
    graph = chain(24, 0.001)
    graph = graph.replace(names=[f"{'ab'[k % 2]}-{k // 2}" for k in range(24)])  # a, b, a, b, … in turn
    found = diagnose(run(graph, Cluster(1, scheduler_overhead=0.01)))
    assert found.limit in ("tiny tasks", "scheduling")
    assert not any("merge" in each.outcome.changes for each in found.advice)


def test_a_perfect_run_needs_only_speed():
    graph = chain(3).replace(names=["load-0", "fit-0", "save-0"])
    asked = {each.outcome.changes for each in diagnose(run(graph, 1)).advice}
    assert "remove transfer" not in asked
    assert any(change.startswith("speed") for change in asked)


def test_workers_and_sizes_count_what_is_in_the_trace():
    trace = mystery("b")
    found = diagnose(trace)
    assert sum(worker.tasks for worker in found.workers) == (trace.kind == 0).sum()
    assert np.allclose([worker.busy for worker in found.workers], trace.busy())
    assert sum(worker.received for worker in found.workers) == pytest.approx(trace.size[trace.kind == 1].sum())
    assert sum(worker.spills for worker in found.workers) == (trace.kind == 2).sum()
    start, stop = trace.task_times()
    duration = (stop - start)[~np.isnan(start)]
    assert sum(found.sizes.counts) == len(duration)
    for low, high, count in zip(found.sizes.edges[:-1], found.sizes.edges[1:], found.sizes.counts, strict=True):
        assert count == pytest.approx(((duration >= low) & (duration < high)).sum(), abs=1)
    assert found.sizes.shorter == pytest.approx((duration < found.sizes.overhead).mean())


class Tags(HTMLParser):
    """Sees that every element that was opened is closed, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", ["a", "b", "e"])
def test_text_html_and_json_say_the_same(name):
    found = diagnose(mystery(name))
    report, tags = found.report(), Tags()
    tags.feed(found.to_html())
    assert not tags.open
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert report.startswith(str(found))
    for each in found.advice:
        assert each.change in report
        assert each.change in tags.text
    assert found.evidence in tags.text
    assert [each["change"] for each in values["advice"]] == [each.change for each in found.advice]
    assert values["shares"] == pytest.approx(found.shares)
    assert sum(step["stop"] - step["start"] for step in values["critical_path"]) == pytest.approx(found.makespan)
    assert values["critical_path"][0]["name"] == found.trace.graph.name(found.critical_path[0].task)


def test_names_are_escaped():
    graph = independent(3).replace(names=["<script>-0", "<script>-1", "<script>-2"])
    assert key_prefix("<script>-0") == "<script>"
    assert "<script>" not in diagnose(run(graph, 2)).to_html()


@pytest.mark.parametrize("name", ["a", "c"])
def test_the_figure_shows_all_four(name):
    found = diagnose(mystery(name))
    figure = plots.diagnosis(found)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:4]]
    assert found.limit in titles[0]
    assert len(figure.axes[2].patches) == len(found.sizes.counts)
    bars = figure.axes[3].patches
    assert max(bar.get_width() for bar in bars) == pytest.approx(
        max(max(group.seconds, group.blame) for group in found.groups)
    )


def test_the_page_has_the_colours_of_the_figures():
    from course import diagnosis_html
    from course.plots.timeshares import LOOK

    assert {name: colour for name, (colour, _) in LOOK.items()} == diagnosis_html.COLOURS
