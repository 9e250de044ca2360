"""The capstone: its data, its first version, its grader; and the client that counts."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest

from course import measure
from course.measure import meters
from course.practice import capstone, check
from course.practice.chapter23 import next_traces, report_run
from course.practice.checking import CheckResult
from course.practice.counting import CountingClient

SMALL = {"days": 2, "meters": 20}


# ---- the data and the first version


def test_the_same_seed_writes_the_same_town(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert meters.write_meters(tmp_path / name, days=2, meters=12, seed=5) == 2 * 12 * 48
    for path in sorted((tmp_path / "one").rglob("*.parquet")):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(other))


@pytest.mark.parametrize("seed", range(6))
def test_an_awkward_town_is_awkward(tmp_path, seed):
    meters.write_meters(tmp_path, days=4, meters=30, seed=seed, awkward=True)
    table = pd.read_parquet(tmp_path / "meters.parquet")
    days = [pd.read_parquet(path) for path in sorted((tmp_path / "readings").iterdir())]
    assert [len(day) for day in days].count(0) == 1
    rows = pd.concat(days)
    good = rows[(rows["status"] == "ok") & rows["pulses"].notna()]
    assert set(rows["meter"]) - set(table["meter"])
    silent = set(table["meter"]) - set(good["meter"])
    assert silent
    nord = table[table["district"] == "Nordend"]["meter"]
    assert len(nord) > 0
    assert set(nord) <= silent
    assert (table["tariff"] == "solar").sum() == 1


def _by_hand(folder):
    """Return the report, computed without Dask, in another way."""
    table = pd.read_parquet(folder / "meters.parquet").set_index("meter")
    rows = pd.concat([pd.read_parquet(path) for path in sorted((folder / "readings").iterdir())])
    rows = rows[(rows["status"] == "ok") & rows["pulses"].notna() & rows["meter"].isin(table.index)]
    kwh = (rows["pulses"] / rows["constant"]).to_numpy()
    place = table.loc[rows["meter"]]
    pairs = pd.Series(kwh).groupby([place["district"].to_numpy(), place["tariff"].to_numpy()])
    slot = ((rows["time"] - rows["time"].dt.normalize()) // pd.Timedelta("30min")).to_numpy().astype(int)
    busiest = {}
    for district in place["district"].unique():
        here = (place["district"] == district).to_numpy()
        busiest[district] = int(np.argmax(np.bincount(slot[here], kwh[here], 48)))
    of_meter = pd.Series(kwh).groupby(rows["meter"].to_numpy()).sum()
    tariff = table.loc[of_meter.index, "tariff"].to_numpy()
    means = {name: [] for name in set(tariff)}
    for number in range(meters.RESAMPLES):
        drawn = np.random.default_rng([23, number]).integers(0, len(of_meter), len(of_meter))
        for name, each in means.items():
            chosen = of_meter.to_numpy()[drawn][tariff[drawn] == name]
            each.append(chosen.mean() if len(chosen) else np.nan)
    return {
        "energy": pairs.sum().to_dict(),
        "number": pairs.count().to_dict(),
        "busiest": busiest,
        "interval": {name: tuple(np.nanpercentile(each, [2.5, 97.5])) for name, each in means.items()},
    }


def test_the_first_version_is_right(tmp_path):
    with measure.cluster(2, processes=False, dashboard=False, local=True) as client:
        for awkward in (False, True):
            folder = tmp_path / str(awkward)
            folder.mkdir()
            meters.write_meters(folder, **SMALL, seed=3, awkward=awkward)
            report, right = meters.start(client, folder), _by_hand(folder)
            assert {name: set(part) for name, part in report.items()} == {name: set(right[name]) for name in right}
            for name, part in report.items():
                for key, value in part.items():
                    assert value == pytest.approx(right[name][key], rel=1e-9), (awkward, name, key)


# ---- the grader, on real clusters


def _grade(monkeypatch, answer):
    monkeypatch.setattr(capstone, "TOWN", SMALL)
    monkeypatch.setattr(capstone, "TURNS", 1)
    result = CheckResult("23.9", False, 0.0, 12.0)
    capstone.grade(answer, result)
    assert not [each for each in psutil.Process().children(recursive=True) if "course.practice.child" in _line(each)]
    return result, dict(result.says)


def _line(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_a_right_version_is_timed_with_all_that_it_leaves_running(monkeypatch):
    def answer(client, folder):
        from distributed import fire_and_forget

        from course.measure import meters

        kept = meters.kept = getattr(meters, "kept", meters.start)
        result = kept(client, folder)
        fire_and_forget(client.submit(time.sleep, 2.0, pure=False))
        meters.start = lambda *_: time.sleep(60)  # the one that is compared with is another
        time.perf_counter = lambda: 0.0
        return result

    result, says = _grade(monkeypatch, answer)
    assert says["tried"] == "2 towns, all reports correct"
    assert "still running" in says["note"]
    assert "held up by" in says["diagnosis"]
    assert result.points == 2
    assert 2.0 < float(result.measured.split()[1]) < 30.0


def test_what_is_no_report_is_called_what_it_is(monkeypatch):
    result, says = _grade(monkeypatch, lambda client, folder: client.submit(abs, 1))
    assert "object of type Future" in says["came out"]
    assert "awkward=True" in says["tried"]
    assert result.points == 0


# ---- the grader's words, without a cluster


def _judged(*turns, **more):
    result = SimpleNamespace(says=[], points=0.0, measured="")
    usual = {"right": 1, "got": 1, "closed": False, "seconds": [1.0, 8.0], "shares": [0.2, 0.4, 0.4]}
    turns = [usual | {"seed": k} | turn for k, turn in enumerate(turns)]
    capstone._judge({"turns": turns, **more}, "pipeline", "", result)
    return result, dict(result.says)


@pytest.mark.parametrize(
    ("mine", "points", "word"),
    [
        (0.5, 12, "at least 6 times"),
        (1.35, 9, "at least 4 times"),
        (2.5, 7, "at least 3 times"),
        (3.9, 5, "at least 2 times"),
        (5.0, 4, "at least 1.5 times"),
        (7.0, 2, "less than 1.5 times"),
        (8.05, 2, "no change"),
        (12.0, 2, "no faster"),
    ],
)
def test_points_by_the_ratio(mine, points, word):
    result, says = _judged({}, {"seconds": [mine, 8.0]}, {"seconds": [mine, 8.0]}, {"seconds": [90.0, 8.0]})
    assert result.points == points
    assert word in says.get("came out", says.get("reached"))
    assert ("came out" in says) == (points < 12)


@pytest.mark.parametrize(
    ("turns", "points", "word"),
    [
        ([{}, {"shares": [0.1, 0.89, 0.01]}], 2, "89% and 1%"),
        ([{}, {"shares": [0.9, 0.05, 0.05]}], 2, "5% and 5%"),
        ([{}, {"shares": [1.0]}], 2, "nothing of it"),
        ([{}, {}, {"shares": [1.0]}, {"shares": [1.0]}], 2, "nothing of it"),
        ([{"got": 2}], 0, "too large"),
        ([{"right": {"a": 1}, "got": {}}], 0, "has no entry for 'a'"),
        ([{}, {"spoilt": {}}], 0, "no longer runs"),
        ([{}, {"closed": True, "spoilt": {}}], 0, "closes the client"),
        ([{}, {"too_large": "list"}], 0, "a list that is far too large"),
        ([{"raised": {"type": "KeyError", "message": "'x'", "line": None}}], 0, "the exception KeyError"),
    ],
)
def test_what_is_not_timed(turns, points, word):
    result, says = _judged(*turns)
    assert (result.points, word in says["came out"]) == (points, True)


def test_a_start_that_became_slower_counts_as_its_first_run():
    result, says = _judged({"seconds": [1.0, 1.2]}, {"seconds": [1.0, 50.0]})
    assert (result.points, "its first run counts" in says["note"]) == (2, True)


def test_what_the_program_computes_counts():
    trace = report_run()
    alone, beside = capstone._shares(trace, 0.0), capstone._shares(trace, 9 * float(trace.busy().sum()))
    assert sum(beside) == pytest.approx(1.0)
    assert (alone[0], beside[0]) == (0.0, pytest.approx(0.9))
    assert capstone._least_share({"shares": beside}) == pytest.approx(min(alone[1:]) / 10)


def test_one_turn_in_which_a_worker_had_little_to_do_is_no_rule():
    assert _judged({}, {}, {"shares": [0.1, 0.85, 0.05]}, {})[0].points == 12


@pytest.mark.parametrize("answer", [3, "pipeline", [1]])
def test_what_is_no_function_is_refused_at_once(answer):
    result = CheckResult("23.9", False, 0.0, 12.0)
    begun = time.perf_counter()
    capstone.grade(answer, result)
    assert "where a function was expected" in dict(result.says)["came out"]
    assert time.perf_counter() - begun < 1.0


# ---- the other exercises


def test_the_client_that_counts():
    client = CountingClient()
    data = client.scatter(np.zeros(1000))
    sent = client.sent
    assert 8000 < sent < 9000
    futures = client.map(lambda k, array: float(k + array.sum()), [1, 2, 3], array=data, pure=False)
    assert client.sent - sent < 8000
    assert client.gather({"all": futures}) == {"all": [1.0, 2.0, 3.0]}
    total = client.submit(sum, futures)
    assert total.result() == 6.0
    assert (client.tasks, client.waits, client.depth, client.inputs) == (4, 2, 2, 3)
    with pytest.raises(AttributeError, match="submit, map, gather and scatter"):
        client.compute(1)
    with pytest.raises(TypeError, match="give it as an argument"):
        client.submit(lambda: total.result())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, None),
        ({"order": ["batches", "fast parser", "smaller report", "fast network"]}, "'fast parser' stands before 'small"),
        ({"order": ["batches", "batches", "smaller report", "fast network"]}, "once"),
        ({"order": 3}, "once"),
        ({"cannot": "batches"}, "a replay foretells 'batches'"),
        ({"cannot": []}, "must be one of"),
        ({"why": ""}, "no dict with the entries"),
    ],
)
def test_a_wrong_rank_is_told_where(change, word):
    order = ["batches", "smaller report", "fast parser", "fast network"]
    says = dict(check("23.2", {"order": order, "cannot": "two threads"} | change).says)
    assert (word or "") in says.get("came out", "")
    assert ("came out" in says) == (word is not None)


def test_traces_are_made_the_same_each_time():
    first = (next_traces(), report_run())
    next_traces.cache_clear()
    report_run.cache_clear()
    assert (next_traces(), report_run()) == first


def test_the_file_of_the_start_is_where_the_exercise_says():
    assert Path(meters.__file__).as_posix().endswith("course/measure/meters.py")
