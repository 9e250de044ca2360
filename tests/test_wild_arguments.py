"""Any argument of any public function gives an answer or a `ValueError` that says what is wrong: 1,000 calls each.

The calls are drawn from one seeded generator, a tenth of the values foolish ones: hypothesis, which would shrink what
it finds, takes ten times as long for as many. Graphs, clusters and queues have their own strategies in
`test_simulate_wild`.
"""

from __future__ import annotations

import dataclasses
import inspect
import random
import warnings

import numpy as np
import pytest

from course import models, simulate
from course.practice.sandbox import deadline

CALLS = 1000
LONGEST = 20.0  # seconds; the slowest takes about 3
SANE = [0, 1, 2, 3, 5, 10, 0.5, 0.9, 0.1, 0.01, 1.5, 100, 1000]
FOOLISH = [-1, float("nan"), float("inf"), 1e18, 1e-18, -0.5, "x", None, [], [1, 2, 3], [0.2, 0.5], True, 10**6, 5e-324,
           1e300]  # fmt: skip

# What is not defined is NaN where the docstring says so: the chance to wait where only two moments are known, and the
# states that a service without a normal operation does not have.
UNDEFINED = {"gg1": {"wait_probability"}, "ggc": {"wait_probability"}, "retry_storm": {"normal", "tipping", "storm"}}

# The simulators whose arguments are numbers; the others refuse nearly every such call.
SIMULATORS = ("architecture", "autoscale", "balance", "balls", "cache", "checkpoint", "closed_loop",
              "coordinated_omission", "daily_load", "dispatch", "fan_out", "hedge", "hedged_queues", "heartbeats",
              "jobs", "machines", "mapreduce", "messages", "mornings", "optimal", "ring", "run", "sample_profile",
              "schedule", "service", "share", "speculate", "stream", "token_bucket", "varying_arrivals",
              "zipf_stream")  # fmt: skip


def is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


PREDICTORS = [name for name in models.__all__ if is_function(getattr(models, name))]


def call(function, rng: random.Random) -> tuple[list, dict]:
    """Draw the arguments of one call."""
    positional, named = [], {}
    for parameter in inspect.signature(function).parameters.values():
        optional = parameter.default is not parameter.empty
        if parameter.kind == parameter.VAR_KEYWORD or (optional and rng.random() < 0.5):
            continue
        value = rng.choice(FOOLISH if rng.random() < 0.12 else SANE)
        if parameter.kind == parameter.VAR_POSITIONAL:
            positional += [value, value]
        elif parameter.kind == parameter.KEYWORD_ONLY or optional:
            named[parameter.name] = value
        else:
            positional.append(value)
    return positional, named


def undefined(value: object) -> set[str]:
    """Return where a result is NaN: the names of its fields, or "it"."""
    if dataclasses.is_dataclass(value):
        return {f.name for f in dataclasses.fields(value) if undefined(getattr(value, f.name))}
    if isinstance(value, (tuple, list)):
        return set().union(*map(undefined, value))
    array = np.asarray(value) if isinstance(value, (float, np.floating, np.ndarray)) else None
    return {"it"} if array is not None and array.dtype.kind == "f" and np.isnan(array).any() else set()


def check(function, calls: int) -> None:
    rng = random.Random(1)
    for _ in range(calls):
        positional, named = call(function, rng)
        said = f"{function.__name__}(*{positional}, **{named})"
        try:
            with deadline(LONGEST, AssertionError(said)), warnings.catch_warnings():
                warnings.simplefilter("error")
                answer = function(*positional, **named)
        except ValueError as error:
            explained = len(str(error)) >= 15
        except Exception as error:
            raise AssertionError(said) from error
        else:
            explained = undefined(answer) <= UNDEFINED.get(function.__name__, set())
        assert explained, said


@pytest.mark.parametrize("name", PREDICTORS)
def test_models(name):
    check(getattr(models, name), CALLS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIMULATORS)
def test_simulators(name):
    # Of a checkpoint that never ends a billion failures are simulated before it is refused.
    check(getattr(simulate, name), CALLS // 20 if name == "checkpoint" else CALLS)


def test_every_model_is_called():
    assert len(PREDICTORS) > 100
    assert set(SIMULATORS) <= set(simulate.__all__)
