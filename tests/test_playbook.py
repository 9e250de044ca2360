"""The decision tree of the playbook: it leads real and simulated runs to their cures, and its picture is whole."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course import Cluster, Trace, diagnose, plots
from course.datafiles import data_file
from course.diagnosis import LIMITS
from course.graph import TaskGraph, chain, independent
from course.playbook import MUCH, TREE, Cure, Question, cures, walk
from course.plots.playbook import _CHANGE, _QUESTION
from course.simulate import run
from course.syllabus import chapters
from course.trace import COLUMNS


def mystery(name: str) -> Trace:
    return Trace.load(data_file(f"mysteries/{name}.parquet"))


def questions(node: Question | Cure = TREE) -> list[Question]:
    return [] if isinstance(node, Cure) else [node, *questions(node.yes), *questions(node.no)]


@pytest.mark.parametrize(
    ("letter", "cure"), [("a", "even parts"), ("b", "keep less"), ("c", "batch"), ("d", "move less"), ("e", "cut it")]
)
def test_it_leads_each_mystery_to_its_cure(letter, cure):
    assert walk(diagnose(mystery(letter))).cure.name == cure


@pytest.mark.parametrize("much", [0.15, 0.25, 0.4, 0.55])
def test_another_threshold_leads_the_mysteries_to_the_same_cures(much):
    for letter in "abcde":
        found = diagnose(mystery(letter))
        node: Question | Cure = TREE
        while isinstance(node, Question):
            least = much if node.least == MUCH else node.least
            node = node.yes if node.value(found) >= least else node.no
        assert node is walk(found).cure


@pytest.mark.parametrize("letter", "abcde")
def test_after_the_cure_it_leads_elsewhere(letter):
    assert walk(diagnose(mystery(f"{letter}-cured"))).cure.name != walk(diagnose(mystery(letter))).cure.name


def test_it_leads_simulated_runs_to_their_cures():
    busy = run(independent(64, 1.0), 4)
    tiny = run(independent(500, 0.001), Cluster(8, scheduler_overhead=0.001))
    slow_hand_out = run(independent(200, 0.020), Cluster(32, scheduler_overhead=0.0015))
    narrow = run(chain(40, 1.0), 4)
    edges = [(i, 8 + j) for i in range(8) for j in range(8)]
    blocks = TaskGraph.from_edges(np.full(16, 0.1), edges, np.full(16, 1e8))
    far = run(blocks, Cluster(8, bandwidth=1e8))
    far_and_slow = run(blocks, Cluster(8, bandwidth=5e8, scheduler_overhead=0.15))
    trace = {"busy": busy, "tiny": tiny, "slow": slow_hand_out, "narrow": narrow, "far": far, "both": far_and_slow}
    found = {name: walk(diagnose(each)).cure.name for name, each in trace.items()}
    assert found == {
        "busy": "less work", "tiny": "batch", "slow": "lighter graph", "narrow": "wider graph", "far": "move less",
        "both": "move less",
    }  # fmt: skip


def test_a_program_that_pauses_is_told_to_submit_at_once():
    trace = run(independent(8, 0.1), 4)
    columns = {name: getattr(trace, name).copy() for name in COLUMNS}
    late = columns["task"] >= 4
    columns["start"][late] += 1.0
    columns["stop"][late] += 1.0
    submitted = np.where(np.arange(8) >= 4, 1.1, 0.0)
    paused = Trace(**columns, graph=trace.graph, cluster=trace.cluster, origin="measured", submitted=submitted)
    assert walk(diagnose(paused)).cure.name == "submit at once"


def test_a_trace_that_cannot_be_is_recorded_again():
    trace = run(chain(4, 1.0), 2)
    columns = {name: getattr(trace, name).copy() for name in COLUMNS}
    columns["start"] = columns["start"] * 0.5
    columns["stop"] = columns["start"] + 1.0
    wrong = Trace(**columns, graph=trace.graph, cluster=trace.cluster, origin="measured", submitted=trace.submitted)
    assert walk(diagnose(wrong)).cure.name == "record again"


def test_each_walk_answers_every_question_on_its_way():
    for letter in "abcde":
        walked = walk(diagnose(mystery(letter)))
        node: Question | Cure = TREE
        for question, value in walked.steps:
            assert question is node
            node = question.yes if value >= question.least else question.no
        assert node is walked.cure
        assert str(walked).count("\n") == len(walked.steps)
        assert walked.cure.change in str(walked)


def test_the_tree_is_whole():
    ends = list(cures())
    assert len(ends) == len(questions()) + 1  # of a binary tree
    assert len({each.name for each in ends}) == len(ends)
    known = {f"{each.number:02}" for each in chapters()}
    assert {each.chapter for each in ends} <= known
    assert len(ends) >= len(LIMITS) - 2  # scheduling and tiny tasks, imbalance and dependencies share questions


def test_it_refuses_what_is_no_diagnosis():
    for wrong in (None, 3, "disk", mystery("c")):
        with pytest.raises(ValueError, match=r"found is .*course\.diagnose"):
            walk(wrong)


def test_the_picture_shows_every_question_and_every_cure():
    figure, axes = plots.subplots(height=8.2)
    walked = walk(diagnose(mystery("a")))
    steps = [question for question, _ in walked.steps]
    plots.decision_tree(axes, highlight=[*steps, walked.cure], title="eleven ends")
    shown = [text.get_text() for text in axes.texts]
    for question in questions():
        assert textwrap.fill(question.text, _QUESTION) in shown
    for cure in cures():
        assert f"{cure.name} (chapter {cure.chapter})\n" + textwrap.fill(cure.change, _CHANGE) in shown
    assert shown.count("yes") == shown.count("no") == len(questions())

    FigureCanvasAgg(figure).draw()
    boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts if text.get_bbox_patch()]
    for i, box in enumerate(boxes):
        assert figure.bbox.containsx(box.x0)
        assert figure.bbox.containsx(box.x1)
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
