"""`sweep`: the same table on one core and on a real Dask cluster; errors, interruption and the bar."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.measure import cluster
from course.simulate import sweep

module = sys.modules["course.simulate.sweep"]


def noisy(load, seed, name="a"):
    rng = np.random.default_rng(seed)
    return {"mean": rng.exponential(load), "count": rng.integers(10), "enough": load > 0.5, "length": len(name)}


GRID = {"load": np.array([0.25, 0.5, 0.75]), "seed": range(40), "name": ("x", "yy")}


@pytest.fixture(scope="module")
def client():
    with cluster(2, processes=False, dashboard=False, local=True) as client:
        yield client


# ---- the table


def test_the_table_is_the_loop():
    expected = pd.DataFrame(
        [
            {"load": load, "seed": seed, "name": name, **noisy(load, seed, name)}
            for load in (0.25, 0.5, 0.75)
            for seed in range(40)
            for name in ("x", "yy")
        ]
    )
    pd.testing.assert_frame_equal(sweep(noisy, GRID, progress=False), expected)


def test_points_may_be_listed():
    points = [{"seed": 3, "load": 0.5}, {"load": 0.1, "seed": 4}]
    table = sweep(noisy, iter(points))
    assert list(table.columns) == ["seed", "load", "mean", "count", "enough", "length"]
    assert table["seed"].tolist() == [3, 4]
    assert table["mean"][1] == noisy(0.1, 4)["mean"]


def test_a_number_is_called_value_and_types_are_plain():
    seen = []
    table = sweep(lambda x: seen.append(type(x)) or np.float64(x), {"x": np.arange(2)})
    assert seen == [int, int]
    assert table.to_dict("list") == {"x": [0, 1], "value": [0.0, 1.0]}
    assert sweep(lambda x: np.array(3), {"x": [None]})["value"].tolist() == [3]
    assert sweep(lambda x: math.nan, {"x": ["a"]})["value"].isna().all()
    assert sweep(lambda a: sum(a), {"a": [(1, 2), (3, 4)]})["value"].tolist() == [3, 7]


@settings(max_examples=100)
@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.lists(st.integers(), min_size=1, max_size=4), max_size=4)
)
def test_every_combination_once_in_order(grid):
    if not grid:
        with pytest.raises(ValueError, match="grid is empty"):
            sweep(lambda **_: 0, grid)
        return
    table = sweep(lambda **point: len(point), grid)
    index = pd.MultiIndex.from_product(list(grid.values()), names=list(grid))
    assert [tuple(row) for row in table[list(grid)].itertuples(index=False)] == list(index)
    assert (table["value"] == len(grid)).all()


# ---- on a cluster

BEGAN: list[int] = []


def slow(i):
    BEGAN.append(i)  # of this module, not of a copy: workers that are threads import it by its name
    time.sleep(0.2)
    return i


def test_the_same_table_on_workers(client):
    here, there = sweep(noisy, GRID, progress=False), sweep(noisy, GRID, client=client, progress=False)
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    assert (here.dtypes == there.dtypes).all()


def test_it_really_runs_there_and_in_few_tasks(client):
    def where(i):
        time.sleep(0.002)
        return {"half": i / 2, "thread": threading.get_ident()}

    tasks = []
    original = client.map

    def counted(function, batches, **options):
        tasks.append(len(batches))
        return original(function, batches, **options)

    client.map = counted
    try:
        table = sweep(where, {"i": range(1000)}, client=client)
    finally:
        del client.map
    assert table["half"].tolist() == [i / 2 for i in range(1000)]
    assert threading.get_ident() not in set(table["thread"])
    assert table["thread"].nunique() == 2  # both workers
    assert 8 <= tasks[0] <= module.BATCHES_PER_THREAD * 2


@pytest.mark.slow
def test_the_same_table_from_other_processes():
    import os

    def process(i):
        return {"pid": os.getpid(), "half": i / 2}

    with cluster(2, dashboard=False, local=True) as client:
        table = sweep(process, {"i": range(64)}, client=client)
        assert table["half"].tolist() == [i / 2 for i in range(64)]
        assert table["pid"].nunique() == 2
        assert os.getpid() not in set(table["pid"])
        pd.testing.assert_frame_equal(sweep(noisy, GRID), sweep(noisy, GRID, client=client))
        with pytest.raises(ZeroDivisionError) as raised:
            sweep(lambda i: 1 / (i - 5), {"i": range(64)}, client=client)
        assert raised.value.__notes__ == ["at the point i=5 of the grid"]


@pytest.mark.parametrize("where", ["here", "there"])
def test_the_error_of_the_first_point_names_it(where, client):
    def fails(a, b):
        if a + b > 3:
            time.sleep(0.01 * (10 - a))  # later points fail earlier
            raise KeyError("too much")
        return a

    grid = {"a": range(10), "b": [0, 1]}
    with pytest.raises(KeyError) as raised:
        sweep(fails, grid, client=client if where == "there" else None)
    assert raised.value.__notes__ == ["at the point a=3, b=1 of the grid"]
    # And the cluster is as good as before.
    assert sweep(lambda a: a, {"a": [1]}, client=client)["value"].tolist() == [1]


def test_ctrl_c_cancels_what_is_left(client):
    BEGAN.clear()

    class Interrupted(module._Bar):
        def advance(self, points):
            raise KeyboardInterrupt

    original, module._Bar = module._Bar, Interrupted
    try:
        with pytest.raises(KeyboardInterrupt):
            sweep(slow, {"i": range(30)}, client=client)
    finally:
        module._Bar = original
    deadline = time.monotonic() + 20
    while client.cluster.scheduler.tasks and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not client.cluster.scheduler.tasks
    assert 1 <= len(BEGAN) < 10  # the first batch, and what ran when it was done


def test_simulators_do_not_import_dask():
    code = """
import sys
from course.simulate import sweep
sweep(lambda x: x, {"x": range(3)})
print([name for name in ("dask", "distributed", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]
    assert done.stderr == ""  # no bar where nobody looks


# ---- the bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_in_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    sweep(lambda x: x, {"x": range(4)})
    shown = sys.stderr.getvalue().split("\r")
    assert shown[1] == f"sweep [{' ' * 30}] 0/4"
    assert shown[-1] == f"sweep [{'#' * 30}] 4/4\n"
    monkeypatch.setattr(sys, "stderr", Terminal())
    sweep(lambda x: x, {"x": range(4)}, progress=False)
    assert sys.stderr.getvalue() == ""


def test_the_bar_moves(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    sweep(lambda x: time.sleep(0.06) or x, {"x": range(8)})
    lines = sys.stderr.getvalue().split("\r")
    assert 4 <= len(lines) <= 11
    done = [int(re.search(r"(\d+)/8", line)[1]) for line in lines[1:]]
    assert done == sorted(done)


def test_the_bar_in_a_notebook():
    import nbformat
    from nbclient import NotebookClient

    code = "from course.simulate import sweep\nsweep(lambda x: x, {'x': range(4)})['value'].sum()"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    bar, result = notebook.cells[0].outputs
    assert bar["data"] == {"text/plain": f"sweep [{'#' * 30}] 4/4"}  # one line, the same whenever it is executed
    assert "6" in result["data"]["text/plain"]


# ---- bad input

names = st.text(max_size=2) | st.integers()


@settings(max_examples=300)
@given(
    st.one_of(
        st.none(),
        st.integers(),
        st.text(max_size=3),
        st.dictionaries(names, st.none() | st.integers() | st.lists(st.floats(), max_size=3)),
        st.lists(st.integers() | st.dictionaries(names, st.floats(), max_size=2), max_size=3),
    ),
    st.sampled_from([1.0, math.nan, None, "a", {}, {"y": 2}, {"y": "b"}, [1], np.arange(3), True, 10**30]),
)  # fmt: skip
def test_wild_grids_and_results(grid, result):
    try:
        table = sweep(lambda **_: result, grid)
    except ValueError:
        return
    assert len(table) >= 1
    assert set(table.columns) > set(grid if isinstance(grid, dict) else grid[0])


@pytest.mark.parametrize(
    ("function", "grid", "message"),
    [
        (3, {"a": [1]}, "function is 3; it must be callable"),
        (abs, {}, "grid is empty"),
        (abs, [], "grid is empty"),
        (abs, {"a": [1], "b": []}, "grid is empty: there are no values for 'b'"),
        (abs, 3, "grid is 3; it must be a mapping, or mappings"),
        (abs, {"a": 3}, "grid['a'] is 3; it must be a sequence of values"),
        (abs, {"a": "abc"}, "grid['a'] is 'abc'; it must be a sequence of values"),
        (abs, [{"a": 1}, {"b": 1}], "grid[1] has the names ['b']; they must be ['a'], as before"),
        (abs, [1], "grid[0] is 1; it must be a mapping of names to values"),
        (abs, {1: [2]}, "1 is a name in the grid; names must be strings"),
        (abs, {"a": range(10**4), "b": range(10**4)}, "grid has 1e+08 points; it must have at most 10,000,000"),
        (lambda a: None, {"a": [1]}, "the function returned None; it must be a number or a mapping of numbers"),
        (lambda a: {"a": 1}, {"a": [1]}, "the function returned 'a', which is a name in the grid"),
        (lambda a: {"b": 1} if a else {"c": 1}, {"a": [0, 1]}, "the function returned the names ['b'] at the point"),
    ],
)
def test_what_is_refused(function, grid, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        sweep(function, grid)
