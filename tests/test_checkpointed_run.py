"""One checkpointed run part by part: against the formula, the compiled simulation, and by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course import models, simulate

LIVES = st.lists(st.floats(0, 20), max_size=12)
SECONDS = st.floats(0, 5)


@given(LIVES, st.floats(0.1, 30), st.floats(0.3, 10), SECONDS, SECONDS)
def test_parts_follow_each_other_and_all_work_is_saved(lives, work, interval, cost, restart) -> None:
    parts = simulate.checkpointed_run(lives, work, interval, cost, restart)
    assert parts[0].start == 0
    assert all(a.stop == b.start for a, b in pairwise(parts))
    assert all(part.kind in simulate.PARTS and part.stop >= part.start for part in parts)
    assert parts[-1].saved == pytest.approx(work)
    assert sum(p.stop - p.start for p in parts if p.kind == "work") == pytest.approx(work)
    assert sum(p.kind == "lost" for p in parts) <= len(lives)


def test_without_failures_it_takes_work_and_checkpoints() -> None:
    parts = simulate.checkpointed_run([], work=10, interval=4, checkpoint_cost=1)
    assert [part.kind for part in parts] == ["work", "checkpoint"] * 3
    assert parts[-1].stop == 13


def test_a_failure_during_a_restart_begins_it_afresh() -> None:
    parts = simulate.checkpointed_run([1.0, 0.5], work=2, interval=2, checkpoint_cost=0, restart_cost=1)
    assert [(p.kind, p.start, p.stop) for p in parts] == [
        ("lost", 0, 1), ("restart", 1, 1.5), ("restart", 1.5, 2.5), ("work", 2.5, 4.5), ("checkpoint", 4.5, 4.5),
    ]  # fmt: skip


def test_its_mean_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(3)
    ends = [simulate.checkpointed_run(rng.exponential(2.0, 200), 4.0, 1.0, 0.2, 0.3)[-1].stop for _ in range(4000)]
    expected = 4.0 / models.checkpoint_efficiency(1.0, 0.2, 2.0, 0.3)
    assert np.mean(ends) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(("lives", "interval"), [([[1.0]], 1.0), ([-1.0], 1.0), ([1.0], 0.0), ([1.0], 1e-9)])
def test_what_makes_no_sense_is_refused(lives, interval) -> None:
    with pytest.raises(ValueError, match=r"lifetimes|interval"):
        simulate.checkpointed_run(lives, 4.0, interval, 0.1)
