"""Published cases: every one of cases.json whose topic is there, and a list of those that are still to come.

``cases.json`` holds inputs, expected values with their tolerances, and where each was published.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import course.models
import course.simulate
from course.graph import TaskGraph, independent
from course.models import (
    asymptotic_bounds,
    brent,
    erlang_b,
    erlang_c,
    halfin_whitt,
    lpt_ratio,
    mg1,
    mg1_ps,
    mm1,
    mmc,
)
from course.simulate import queue, run

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))["cases"]
}
Inputs = dict[str, Any]


def q_01(i: Inputs) -> dict[str, Any]:
    model = mm1(i["lambda"], i["mu"])
    p = [(1 - model.utilization) * model.utilization**n for n in range(5)]
    return {"p_n_0_4": p, "Lq": model.mean_queue, "L": model.mean_number, "Wq": model.mean_wait,
            "W": model.mean_response}  # fmt: skip


def q_02(i: Inputs) -> dict[str, Any]:
    model, load, c = mmc(i["lambda"], i["mu"], i["c"]), i["lambda"] / i["mu"], i["c"]
    # Erlang C is the probability of c or more inside, a^c / c! / (1 − ρ) times that of none.
    p0 = erlang_c(load, c) * (1 - model.utilization) * math.factorial(c) / load**c
    return {"p0": p0, "Lq": model.mean_queue, "L": model.mean_number, "Wq": model.mean_wait,
            "W": model.mean_response}  # fmt: skip


def q_04(i: Inputs) -> dict[str, Any]:
    model = mmc(i["lambda"], i["mu"], i["c"])
    return {"Lq": model.mean_queue, "W": model.mean_response}


def q_06(i: Inputs) -> dict[str, Any]:
    def load(blocking: float, c: int) -> float:
        return brentq(lambda a: erlang_b(a, c) - blocking, 1e-9, 2 * c)

    one, two = ([load(blocking, c) for c in i["c"]] for blocking in i["blocking"])
    return {"a_1pct": one, "a_2pct": two}


def q_09(i: Inputs) -> dict[str, Any]:
    model = mmc(i["lambda_per_s"], 1 / i["mean_s"], i["agents"])
    # The share that waits no longer than the target, found from the quantiles.
    level = brentq(lambda q: model.wait_quantile(q) - i["target_s"], 1 - model.wait_probability + 1e-12, 1 - 1e-12)
    return {
        "traffic": i["lambda_per_s"] * i["mean_s"],
        "occupancy": model.utilization,
        "P_wait": model.wait_probability,
        "mean_wait_s": model.mean_wait,
        "service_level": level,
    }


def q_14(i: Inputs) -> dict[str, Any]:
    def wait(scv: float) -> np.ndarray:
        return mg1(np.array(i["rho"]) / i["E_S"], i["E_S"], scv).mean_wait

    # The hyperexponential one is given with the source: λ = 0.5, E[S] = 1, scv 5.5.
    return {"Wq_MD1": wait(0), "Wq_ME21": wait(0.5), "Wq_MM1": wait(1), "Wq_H2": mg1(0.5, 1.0, 5.5).mean_wait}


def q_20(i: Inputs) -> dict[str, Any]:
    response = mg1_ps(i["rho"] / i["E_S"], i["E_S"]).mean_response
    return {"E_T": response, "slowdown": response / i["E_S"]}


def net_05(i: Inputs) -> dict[str, Any]:
    throughput, response = asymptotic_bounds(i["D"], i["Z"], i["N"])
    return {"X_upper": throughput, "R_lower": response}


def dag_04(i: Inputs) -> dict[str, Any]:
    def makespan(
        machines: int = i["machines"], less: float = 0, without: tuple = (), order: list[int] = i["list"]
    ) -> float:
        edges = [(a - 1, b - 1) for a, b in i["precedence"] if (a, b) not in without]
        priority = np.empty(len(order))
        priority[np.array(order) - 1] = np.arange(len(order))
        graph = TaskGraph.from_edges(np.array(i["durations"]) - less, edges)
        return run(graph, machines, policy=priority).makespan

    return {
        "base": makespan(),
        "four_machines": makespan(machines=4),
        "all_durations_minus_1": makespan(less=1),
        "drop_4to5_and_4to6": makespan(without=((4, 5), (4, 6))),
        "list_1_2_4_5_6_3_9_7_8": makespan(order=[1, 2, 4, 5, 6, 3, 9, 7, 8]),
    }


def dag_05(i: Inputs) -> dict[str, Any]:
    longest_first = [run(independent(len(i["jobs"][str(m)]), i["jobs"][str(m)]), m, "lpt").makespan for m in i["m"]]
    best = [sum(i["jobs"][str(m)]) / m for m in i["m"]]  # reached, see test_simulate: no schedule is below it
    ratios = [lpt / opt for lpt, opt in zip(longest_first, best, strict=True)]
    return {"LPT": longest_first, "OPT": best, "ratio_equals_bound": bool(np.allclose(ratios, lpt_ratio(i["m"])))}


def dag_07(i: Inputs) -> dict[str, Any]:
    lower, upper = brent(i["work"], i["span"], i["P"])
    # Its tasks take one unit each, so that a schedule's length is whole.
    return {"parallelism": i["work"] / i["span"], "lower": np.ceil(lower), "upper_brent": upper}


def trace_01(i: Inputs) -> dict[str, Any]:
    served = queue(np.diff(i["arrivals"], prepend=0.0), i["services"], i["servers"])
    return {"departures": served.stop, "mean_wait": served.wait.mean()}


def q_11(i: Inputs) -> dict[str, Any]:
    return {"P_delay": halfin_whitt(i["beta"])}


EXACT: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "q-01": q_01, "q-02": q_02, "q-04": q_04, "q-06": q_06, "q-09": q_09, "q-11": q_11, "q-14": q_14, "q-20": q_20,
    "net-05": net_05, "dag-04": dag_04, "dag-05": dag_05, "dag-07": dag_07, "trace-01": trace_01,
}  # fmt: skip
"""Cases that formulas or exact simulations give: computed within the tolerance of the case."""

REPLICATIONS, CUSTOMERS = 12, 40_000


def _waits(gap: Callable, service: Callable, servers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean wait and the share that waits (and the standard error of each), simulated."""
    values = []
    for k in range(REPLICATIONS):
        rng = np.random.default_rng([3, k])
        wait = queue(gap(rng), service(rng), servers).wait[CUSTOMERS // 10 :]
        values.append([wait.mean(), (wait > 0).mean()])
    return np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / math.sqrt(REPLICATIONS)


def q_15(i: Inputs) -> dict[str, tuple[Any, Any]]:
    def row(gap: Callable) -> tuple[np.ndarray, np.ndarray]:
        results = [
            _waits(lambda rng, rho=rho: gap(rng) / rho, lambda rng: rng.exponential(1 / i["mu"], CUSTOMERS), 1)
            for rho in i["rho"]
        ]
        return tuple(np.array(part).T for part in zip(*results, strict=True))

    # With exponential service the share that waits is the root σ.
    d, d_error = row(lambda rng: np.ones(CUSTOMERS))
    e, e_error = row(lambda rng: rng.gamma(2, 0.5, CUSTOMERS))
    return {
        "sigma_DM1": (d[1], d_error[1]),
        "Wq_DM1": (d[0], d_error[0]),
        "sigma_E2M1": (e[1], e_error[1]),
        "Wq_E2M1_rho0.5_is_golden": (e[0][0], e_error[0][0]),
    }


def q_17(i: Inputs) -> dict[str, tuple[Any, Any]]:
    result = {}
    for c in i["c"]:
        rows = [
            _waits(lambda rng, rho=rho, c=c: rng.exponential(1 / (rho * c), CUSTOMERS), lambda _: np.ones(CUSTOMERS), c)
            for rho in i["rho"]
        ]
        result[f"Wq_c{c}"] = tuple(np.array([row[part][0] for row in rows]) for part in (0, 1))
    return result


SIMULATED: dict[str, Callable[[Inputs], dict[str, tuple[Any, Any]]]] = {"q-15": q_15, "q-17": q_17}
"""Cases without a formula in the course: seeded simulation within three standard errors of each value."""

NOT_YET = {
    "scal-01": "amdahl",
    "scal-03": "karp_flatt",
    "usl-01": "fit_usl",
    "usl-05": "usl_peak",
    "net-01": "mean_value_analysis",
    "lb-01": "supermarket_response",
    "tail-01": "fan_out_probability",
    "tail-02": "hedged_tail",
    "tail-04": "expected_maximum_exponential",
    "dag-01": "schedule",
    "dag-02": "schedule",
    "quo-01": "stale_probability",
    "quo-03": "quorum_availability",
    "hash-02": "ring_imbalance",
    "dur-01": "mttdl_erasure",
    "ckpt-01": "young_interval",
    "comm-01": "logp",
    "comm-03": "all_reduce_time",
    "comm-05": "bsp_time",
    "cache-02": "lru_hit_ratio",
}
"""Cases whose part of the course is still to come: the name in course.models or course.simulate that will bring it."""


def test_no_case_is_left_out():
    listed = [*EXACT, *SIMULATED, *NOT_YET]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(CASES)


def test_what_is_there_is_tested():
    there = set(course.models.__all__) | set(course.simulate.__all__)
    late = {case: name for case, name in NOT_YET.items() if name in there}
    assert not late, f"these exist now; compute their cases here and take them out of NOT_YET: {late}"


@pytest.mark.parametrize("case", list(EXACT))
def test_case(case):
    expected = CASES[case]["expected"]
    computed = EXACT[case](CASES[case]["inputs"])
    assert set(computed) == set(expected)
    for key, wanted in expected.items():
        value = wanted["value"]
        if wanted.get("tol") == "exact":
            assert np.asarray(computed[key]).tolist() == value, key
        else:
            assert set(wanted) & {"abs_tol", "rel_tol"}, f"{case} {key} states no tolerance"
            np.testing.assert_allclose(
                computed[key], value, rtol=wanted.get("rel_tol", 0), atol=wanted.get("abs_tol", 0), err_msg=key
            )


@pytest.mark.parametrize("case", list(SIMULATED))
def test_simulated_case(case):
    expected = CASES[case]["expected"]
    computed = SIMULATED[case](CASES[case]["inputs"])
    assert set(computed) == set(expected)
    for key, wanted in expected.items():
        mean, error = computed[key]
        assert (np.abs(mean - wanted["value"]) < 3 * error).all(), (key, mean, wanted["value"], error)
        assert (np.asarray(error) < 0.1 * np.asarray(wanted["value"])).all(), "too few customers to say anything"
