"""What holds for every test: a learner's folder of its own, no window, no process left behind, the same examples."""

from __future__ import annotations

import multiprocessing
import os
import tempfile

import pytest
from hypothesis import settings

from tests.drill.rows import children, end_all, left

# Before anything of the course is imported, here and in the processes that tests start.
_HOME = tempfile.TemporaryDirectory(prefix="course-tests-", ignore_cleanup_errors=True)
os.environ["COURSE_HOME"] = _HOME.name
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("COURSE_CLUSTER", None)  # a hub's; tests have clusters of their own

# Windows and macOS start processes so; what works only as a fork's copy is to fail everywhere.
multiprocessing.set_start_method("spawn", force=True)

settings.register_profile("course", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("course")


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind():
    """Fail when a process that the tests started is still there after the last of them."""
    before = children()
    yield
    new = left(before)
    end_all(new)
    _HOME.cleanup()
    assert not new, f"these processes were left behind: {list(new.values())}"


# What takes longest begins first, so that in the end no core waits for another.
FIRST = ("tests/browser/test_explorers.py", "tests/test_explorers.py", "tests/test_simulate_failures.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all else stays in its order."""
    place = {file: k for k, file in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Point at the folder anew before each test: the one before may have unset it."""
    os.environ["COURSE_HOME"] = _HOME.name
