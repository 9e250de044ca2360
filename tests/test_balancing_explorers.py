"""What the explorers of chapter 14 show, held to the simulations and formulas that they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from course import simulate
from course.explorers import ball_by_ball, steal_steps, two_choices
from course.graph import TaskGraph
from course.models import supermarket_response


@pytest.mark.parametrize("tasks", [5, 12, 23, 24, 40])
def test_one_look_takes_half_the_fair_share(tasks: int) -> None:
    moves, _ = steal_steps.decisions(tasks, 0.0, 1e-3)  # the first look comes before a task is done
    first = [move for move in moves if move.look == 1 and move.moved]
    assert first[-1].after[1:] == (math.ceil(tasks / 8),) * 3
    assert sum(first[-1].after) == tasks


@pytest.mark.parametrize("interval", [0.1, 0.5, 1.0])
def test_stealing_as_in_the_simulated_dask(interval: float) -> None:
    tasks, unit = 24, steal_steps.DURATION
    graph = TaskGraph.from_edges([0.0] + [unit] * tasks, [(0, k + 1) for k in range(tasks)])
    policy = simulate.Dask(steal_interval=interval, group=np.arange(tasks + 1), known=[0.001] + [unit] * tasks)
    makespans = [simulate.run(graph, 4, policy, seed=seed).makespan for seed in range(100)]
    _, shown = steal_steps.decisions(tasks, 0.0, interval)
    assert shown == pytest.approx(np.mean(makespans), rel=0.15)


def test_a_long_transfer_is_not_stolen() -> None:
    moves, makespan = steal_steps.decisions(10, 2.0, 0.2)
    assert not any(move.moved for move in moves)
    assert makespan == pytest.approx(10 * steal_steps.DURATION)


def test_no_look_makes_a_run_longer_than_without_stealing() -> None:
    for tasks in (2, 7, 24, 40):
        for interval in (0.1, 0.5, 1.0):
            _, makespan = steal_steps.decisions(tasks, 0.0, interval)
            ideal = math.ceil(tasks / 4) * steal_steps.DURATION
            assert ideal - 1e-9 <= makespan <= tasks * steal_steps.DURATION + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_ball_by_ball(seed: int) -> None:
    for rule in ball_by_ball.RULES.values():
        for step in range(ball_by_ball.TASKS + 1):
            last = ball_by_ball.compute(rule, step, seed)
            assert last.after.sum() == step
            if step:
                assert last.chosen in last.looked
                assert last.known[last.chosen] == min(last.known[s] for s in last.looked)
    even = ball_by_ball.compute("all", ball_by_ball.TASKS, seed).after
    assert even.tolist() == [4] * 8


def test_the_old_board_makes_a_herd() -> None:
    """The picture has to show what the chapter says: worse than a random choice."""
    old, random = (
        [ball_by_ball.compute(rule, ball_by_ball.TASKS, seed).after.max() for seed in range(21)]
        for rule in ("old", "random")
    )
    assert np.mean(old) > 1.5 * np.mean(random)
    assert max(old) < 19  # inside the axes


def test_two_choices_shows_the_limit_and_the_farm() -> None:
    result = two_choices.compute(load=0.9, choices=2, servers=200, stale=0)
    assert result["simulated"] == pytest.approx(supermarket_response(0.9, 2), rel=0.05)
    assert np.allclose(result["seen"][:4], result["tail"][:4], atol=0.02)
