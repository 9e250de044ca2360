"""Published cases: every one of cases.json whose topic is there, and a list of those that are still to come.

``cases.json`` holds inputs, expected values with their tolerances, and where each was published.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import course.models
import course.simulate
from course.graph import TaskGraph, independent
from course.models import (
    all_gather_time,
    all_reduce_time,
    amdahl,
    asymptotic_bounds,
    brent,
    broadcast_time,
    bsp_time,
    deterministic_gap,
    efficiency,
    erlang_b,
    erlang_c,
    erlang_gap,
    expected_maximum_exponential,
    fan_out_probability,
    fan_out_quantile,
    fit_usl,
    gm1,
    halfin_whitt,
    hedged_extra,
    hedged_tail,
    karp_flatt,
    logp,
    lpt_ratio,
    mdc,
    mean_value_analysis,
    mg1,
    mg1_ps,
    mm1,
    mmc,
    supermarket_response,
    tail_quantile,
    tied_tail,
    usl_peak,
)
from course.simulate import Schedule, queue, run, schedule

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


def _static(i: Inputs, policy: str) -> tuple[Schedule, dict[str, list[Any]]]:
    graph = TaskGraph.from_edges(np.zeros(i["tasks"]), [(a - 1, b - 1, seconds) for a, b, seconds in i["edges"]])
    plan = schedule(graph, i["W"], policy)
    rows = zip(plan.placement + 1, plan.start, plan.finish, strict=True)
    return plan, {f"T{task}": [f"P{machine}", *times] for task, (machine, *times) in enumerate(rows, start=1)}


def dag_01(i: Inputs) -> dict[str, Any]:
    plan, rows = _static(i, "heft")
    return {"makespan": plan.makespan, "rank_u": plan.ranks["upward"], "schedule": rows,
            "order_up_to_the_80_tie": plan.order + 1}  # fmt: skip


def dag_02(i: Inputs) -> dict[str, Any]:
    plan, rows = _static(i, "cpop")
    priority = plan.ranks["priority"]
    path = np.flatnonzero(np.isclose(priority, priority.max()))
    (machine,) = set(plan.placement[path])
    return {"makespan": plan.makespan, "rank_d": plan.ranks["downward"], "priority": priority, "schedule": rows,
            "critical_path": path + 1, "cp_processor": f"P{machine + 1}"}  # fmt: skip


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


def scal_01(i: Inputs) -> dict[str, Any]:
    return {"speedup": amdahl(i["N"], i["s"])}


def scal_03(i: Inputs) -> dict[str, Any]:
    return {"e": karp_flatt(i["speedup"], i["p"])}


def usl_01(i: Inputs) -> dict[str, Any]:
    fit = fit_usl(i["load"], i["throughput"])
    fitted = fit.predict(i["load"])
    return {
        "alpha": fit.contention,
        "beta": fit.coherency,
        "gamma": fit.rate,
        "peak_load": fit.peak,
        "peak_throughput": fit.peak_throughput,
        "amdahl_asymptote": fit.amdahl_asymptote,
        "optimal_load": fit.optimal_load,
        "optimal_throughput": fit.predict(fit.optimal_load),
        "residual_se_4df": fit.residual_standard_error,
        "fitted": fitted,
        "residuals": i["throughput"] - fitted,
        "efficiency": efficiency(np.array(i["throughput"]) / fit.rate, i["load"]),
    }


def usl_05(i: Inputs) -> dict[str, Any]:
    fit = fit_usl(CASES[i["gamma_from"]]["inputs"]["load"], CASES[i["gamma_from"]]["inputs"]["throughput"])
    fit = replace(fit, contention=i["alpha"], coherency=i["beta"])
    return {
        "peak_load": usl_peak(i["alpha"], i["beta"]),
        "asymptote": fit.amdahl_asymptote,
        "optimal_load": fit.optimal_load,
    }


def q_15_by_root(i: Inputs) -> dict[str, Any]:
    rates = np.array(i["rho"]) * i["mu"]
    constant, erlang = gm1(rates, i["mu"], deterministic_gap), gm1(rates, i["mu"], erlang_gap(2))
    return {
        "sigma_DM1": constant.wait_probability,
        "Wq_DM1": constant.mean_wait,
        "sigma_E2M1": erlang.wait_probability,
        "Wq_E2M1_rho0.5_is_golden": erlang.mean_wait[i["rho"].index(0.5)],
    }


def q_17_by_sums(i: Inputs) -> dict[str, Any]:
    return {f"Wq_c{c}": mdc(np.array(i["rho"]) * c, 1.0, c).mean_wait for c in i["c"]}


def net_01(i: Inputs) -> dict[str, Any]:
    visits = np.array(i["V"])
    system = mean_value_analysis(visits * i["S"], i["Z"], i["N"])
    return {
        "R": system.residence / visits,
        "Q": system.queue,
        "X": system.throughput,
        "R_system": system.response,
    }


def tail_01(i: Inputs) -> dict[str, Any]:
    return {"P_slow": fan_out_probability(*np.array(i["cases"]).T)}


def tail_04(i: Inputs) -> dict[str, Any]:
    return {
        "E_max": expected_maximum_exponential(i["n"]),
        "E_90_of_100": expected_maximum_exponential(100, needed=90),
    }


def lb_01(i: Inputs) -> dict[str, Any]:
    return {f"d{d}": supermarket_response(np.array(i["lambda"]) / i["mu"], d, i["mu"]) for d in i["d"]}


def quo_01(i: Inputs) -> dict[str, Any]:
    return {f"N{n}R{r}W{w}": 1 - course.models.stale_probability(n, r, w, versions=i["k"]) for n, r, w in i["configs"]}


def quo_03(i: Inputs) -> dict[str, Any]:
    n = np.array(i["n"])
    return {f"p{p}": course.models.quorum_availability(n, n // 2 + 1, p) for p in i["p"]}


def hash_02(i: Inputs) -> dict[str, Any]:
    ring = course.models.ring_imbalance(1000, i["points_per_bucket"], coverage=0.99)  # the table's buckets
    return {"std_error": ring.deviation, "interval99": np.stack([ring.low, ring.high], axis=-1)}


def dur_01(i: Inputs) -> dict[str, Any]:
    shards, repair = i["data"] + i["parity"], i["replace_days"] * 86_400
    # With a single shard, no parity and a year of one window, the loss is the failure of that shard in the window.
    fails = course.models.annual_loss_probability(1, 0, i["shard_afr"] * i["replace_days"] / 365, 365 * 86_400)
    four, five = course.models.k_of_n([4, 5], shards, fails)
    fewer = np.arange(i["parity"])
    loss = course.models.annual_loss_probability(i["data"], i["parity"], i["shard_afr"], repair)
    return {
        "P_exactly_4": four - five,
        "P_at_least_4": four,
        "annual_loss": loss,
        "nines": course.models.nines(loss),
        "annual_loss_at_1_2_3": course.models.annual_loss_probability(shards - fewer, fewer, i["shard_afr"], repair),
    }


def ckpt_01(i: Inputs) -> dict[str, Any]:
    daly = course.models.daly_interval(i["delta_min"], i["M_min"])
    return {
        "daly_published_min": daly,
        "daly": daly,
        "young": course.models.young_interval(i["delta_min"], i["M_min"]),
        "exact_lambertW": course.models.optimal_checkpoint_interval(i["delta_min"], i["M_min"]),
    }


def cache_02(i: Inputs) -> dict[str, Any]:
    sizes = [(course.models.zipf(n, 1.0), c) for n, c in i["n_C"]]
    return {
        "lru_exact": [course.models.lru_hit_ratio_exact(p, c) for p, c in sizes],
        "che": [course.models.lru_hit_ratio(p, c) for p, c in sizes],
        "fifo_exact": [course.models.fifo_hit_ratio_exact(p, c) for p, c in sizes],
    }


def comm_01(i: Inputs) -> dict[str, Any]:
    broadcast = logp(i["P"], i["L"], i["o"], i["g"])
    return {"informed_at": broadcast.informed, "finish": broadcast.finish}


def comm_03(i: Inputs) -> dict[str, Any]:
    group = i["p"], i["n"], i["alpha"], 1 / i["beta"]
    assert i["gamma"] == 0  # combining costs nothing: no combine_rate
    functions = {"bcast": broadcast_time, "allgather": all_gather_time, "allreduce": all_reduce_time}
    values = {}
    for key in CASES["comm-03"]["expected"]:
        operation, _, algorithm = key.partition("_")
        values[key] = functions[operation](*group, algorithm)
    return values


def comm_05(i: Inputs) -> dict[str, Any]:
    return {"cost": bsp_time(i["w"], i["h"], i["g"], i["l"])}


EXACT: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "q-01": q_01, "q-02": q_02, "q-04": q_04, "q-06": q_06, "q-09": q_09, "q-11": q_11, "q-14": q_14, "q-20": q_20,
    "net-01": net_01, "net-05": net_05, "q-15": q_15_by_root, "q-17": q_17_by_sums, "scal-01": scal_01,
    "scal-03": scal_03, "tail-01": tail_01, "tail-04": tail_04, "usl-01": usl_01, "usl-05": usl_05,
    "dag-01": dag_01, "dag-02": dag_02, "dag-04": dag_04, "dag-05": dag_05, "dag-07": dag_07,
    "trace-01": trace_01, "lb-01": lb_01,
    "comm-01": comm_01, "comm-03": comm_03, "comm-05": comm_05,
    "quo-01": quo_01, "quo-03": quo_03, "hash-02": hash_02, "dur-01": dur_01, "ckpt-01": ckpt_01, "cache-02": cache_02,
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
"""Cases by seeded simulation, within three standard errors of each value; some of them have a formula, too."""


def tail_02(expected: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Two of Google's numbers for hedging, and one for tied requests, place a tail; the others must follow."""
    before, extra = expected["p999_before_ms"] / 1000, expected["extra_requests"]
    # The 99.9th percentile of a thousand reads is that of one read in a million; one in fifty takes more than 10 ms.
    # Between these two a power law, as of something slow that is rare.
    delay, q = 0.01, fan_out_quantile(0.999, 1000)
    power = np.log(extra / (1 - q)) / np.log(before / delay)

    def read(t: np.ndarray) -> np.ndarray:
        return np.minimum(extra * (delay / np.maximum(t, 1e-9)) ** power, 1.0)

    # Dean and Barroso, table 2, without hedging: the 50th, 90th, 99th and 99.9th percentile. All of it is taken as
    # wait, but for the shortest time there is, which the median with tied requests tells.
    median = 0.019
    shortest = median * (1 - 2 * expected["tied_median_reduction"])

    def wait(t: np.ndarray) -> np.ndarray:
        times = [shortest, median, 0.038, 0.067, 0.098, 0.2]
        return np.exp(np.interp(shortest + t, times, np.log([1, 0.5, 0.1, 0.01, 0.001, 1e-6])))

    def tied(q: float) -> float:
        return 1 - (shortest + tail_quantile(q, lambda t: tied_tail(t, wait))) / (shortest + tail_quantile(q, wait))

    placed = {
        "p999_before_ms": 1000 * tail_quantile(q, read),
        "extra_requests": hedged_extra(read, delay),
        "tied_median_reduction": tied(0.5),
    }
    follows = {
        "p999_after_ms": 1000 * tail_quantile(q, lambda t: hedged_tail(t, read, delay)),
        "tied_p999_reduction_about": tied(0.999),
    }
    return placed, follows


BANDS = {"tail-02": (tail_02, 1.5)}
"""Cases that were measured on real systems: a model that is placed by some of the numbers gives the others, within this
factor. It is a check of direction and magnitude, and no more."""

NOT_YET: dict[str, str] = {}
"""Cases whose part of the course is still to come: the name in course.models or course.simulate that will bring it."""


def test_no_case_is_left_out():
    there = {*EXACT, *SIMULATED, *BANDS}
    assert not there & set(NOT_YET)
    assert there | set(NOT_YET) == set(CASES)


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


@pytest.mark.parametrize("case", list(BANDS))
def test_measured_case(case):
    function, factor = BANDS[case]
    expected = {key: wanted["value"] for key, wanted in CASES[case]["expected"].items()}
    placed, follows = function(expected)
    assert {*placed, *follows} == set(expected)
    assert not set(placed) & set(follows)
    assert len(follows) >= 2
    for key, value in placed.items():
        assert value == pytest.approx(expected[key], rel=0.01), key
    for key, value in follows.items():
        assert expected[key] / factor < value < expected[key] * factor, key
