"""Tuning Distributed Systems: predict, simulate and measure.

``import course`` is cheap: each part is loaded when it is first used.

============================  ==========================================================
:mod:`course.graph`           `TaskGraph`: tasks, their costs and dependencies
:mod:`course.trace`           `Trace`: who did what, when; simulated or measured
:mod:`course.models`          predict: closed formulas, one file a topic
:mod:`course.simulate`        simulate: queues and clusters, seeded
:mod:`course.measure`         measure: real runs on a real Dask cluster
:func:`course.diagnose`       where the time of a run went, and what held it up
:func:`course.whatif`         what it would have taken, had something been different
:mod:`course.plots`           pictures of traces, graphs and curves
:mod:`course.explorers`       interactive figures
:mod:`course.practice`        questions, checks, hints, progress
============================  ==========================================================
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Where each public name lives. It is imported on first use, so that `import course` stays cheap.
_HOME = {
    "Ledger": "course.practice",
    "TaskGraph": "course.graph",
    "Cluster": "course.cluster",
    "Trace": "course.trace",
    "check": "course.practice",
    "diagnose": "course.diagnosis",
    "hint": "course.practice",
    "predict": "course.practice",
    "progress": "course.practice",
    "review": "course.practice",
    "scoreboard": "course.practice",
    "what_next": "course.practice",
    "whatif": "course.replay",
}
_MODULES = {
    "cli",
    "cluster",
    "explorers",
    "graph",
    "measure",
    "models",
    "plots",
    "practice",
    "simulate",
    "trace",
}

__all__ = [*sorted(_HOME), *sorted(_MODULES - {"cli"})]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"course.{name}")
    raise AttributeError(f"module 'course' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
