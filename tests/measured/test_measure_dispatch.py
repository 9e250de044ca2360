"""Dispatchers who send the same requests to workers of their own."""

from __future__ import annotations

import numpy as np
import pytest

from course.measure import balanced_load, cluster


def test_the_same_requests_by_each_rule():
    with cluster(5, 1, processes=False, dashboard=False) as client:
        runs = balanced_load(
            client, [0.02] * 6, [0.05] * 6, {"first": lambda counts: 0, "shortest": np.argmin}
        )  # the fifth worker is left out
    first, shortest = runs["first"], runs["shortest"]
    assert first.servers == shortest.servers == 2
    assert first.server.tolist() == [0] * 6
    assert set(shortest.server.tolist()) == {0, 1}
    assert (first.arrival == shortest.arrival).all()
    assert (first.service == shortest.service).all()
    assert first.response.mean() > shortest.response.mean()
    for run in runs.values():
        assert (run.stop - run.start >= 0.05).all()
        assert (run.sent >= run.arrival - 1e-3).all()
        for server in range(2):  # one at a time, in the order in which they were sent
            mine = run.server == server
            assert (run.start[mine][1:] >= run.stop[mine][:-1] - 1e-3).all()


def test_an_old_board_shows_what_was():
    seen = []

    def rule(counts: np.ndarray) -> int:
        seen.append(int(counts.sum()))
        return 0

    with cluster(1, 1, processes=False, dashboard=False) as client:
        balanced_load(client, [0.0] + [0.01] * 9, [0.5] * 10, {"old": (rule, 60.0)})
    assert seen == [0] * 10


def test_wrong_arguments():
    with cluster(1, 1, processes=False, dashboard=False) as client:
        with pytest.raises(ValueError, match="must be two lists"):
            balanced_load(client, [0.1], [0.1, 0.2], {"one": lambda counts: 0})
        with pytest.raises(ValueError, match="must be two lists"):
            balanced_load(client, [0.1], [-0.1], {"one": lambda counts: 0})
        with pytest.raises(ValueError, match="1 workers do for at most as many rules"):
            balanced_load(client, [0.1], [0.1], {"one": lambda counts: 0, "two": lambda counts: 0})
        with pytest.raises(ValueError, match="chose server 7"):
            balanced_load(client, [0.0], [0.0], {"one": lambda counts: 7})
