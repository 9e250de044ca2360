"""Coordinated omission: what a load generator that waits for answers does not see. Chapter 02."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from course import simulate
from course.explorers.frame import COLOURS, Choice, Explorer, Float, Int, set_limits

REQUESTS = 200
_PERCENTILES = np.concatenate([np.linspace(0, 90, 91), np.linspace(90.25, 99.5, 38)])
_VIEWS = {"users": "orange", "recorded": "blue", "corrected": "green"}
_LABELS = {"users": "users meet", "recorded": "the test records", "corrected": "the test, repaired"}
_FLOOR = 1e-3  # seconds; the axis of percentiles begins here


def compute(rate: int, service: int, pause: float, pauses: int, percentile: float) -> dict[str, Any]:
    """Return the latencies of 200 requests as users meet them, as a waiting generator records them, and repaired."""
    work = np.full(REQUESTS, service / 1000)
    work[((np.arange(pauses) + 0.2) / max(pauses, 1) * REQUESTS).astype(int)] += pause
    recorded, users = simulate.coordinated_omission(work, 1 / rate)
    due = np.arange(REQUESTS) / rate
    views = {"users": users, "recorded": recorded, "corrected": simulate.correct_omission(recorded, 1 / rate)}
    return {
        "due": due,
        # Sent when due, or when the answer before it has come.
        "sent": due + users - recorded,
        "users": users,
        "recorded": recorded,
        "percentile": percentile,
        "late": int((users > 2 * service / 1000 + 1e-9).sum()),
        "curves": {name: np.percentile(latency, _PERCENTILES) for name, latency in views.items()},
        "here": {name: float(np.percentile(latency, percentile)) for name, latency in views.items()},
    }


def build(figure: Figure) -> dict[str, Any]:
    """Make both axes: latencies over time, and percentiles."""
    left, right = figure.subplots(1, 2)
    left.set(xlabel="due, or sent (s)", ylabel="latency (s)")
    left.set_title("The test sends nothing while it waits")
    right.set(xlim=(0, 2.4), ylim=(_FLOOR, 100), yscale="log", xlabel="percentile", ylabel="latency (s)")
    right.set_xticks(_place([0, 50, 75, 90, 95, 99, 99.5]), ["0", "50", "75", "90", "95", "99", "99.5"])
    right.set_title("The slow ones are missing")
    artists = {
        "left": left,
        "dots": {
            name: left.plot([], [], "o", color=COLOURS[_VIEWS[name]], markersize=3)[0] for name in ("users", "recorded")
        },
        "line": right.axvline(2, color=COLOURS["grey"], linewidth=1, linestyle=":"),
        "curves": {
            name: right.plot([], [], color=COLOURS[colour], label=_LABELS[name])[0] for name, colour in _VIEWS.items()
        },
    }
    right.legend(loc="upper left")
    return artists


def _place(percentile: Any) -> np.ndarray:
    """Return where a percentile stands on the axis: each further nine is one step."""
    return -np.log10(1 - np.asarray(percentile, dtype=float) / 100)


def draw(artists: dict[str, Any], result: dict[str, Any]) -> None:
    """Move dots, curves and the line of the chosen percentile."""
    end, top = float(result["sent"][-1]), float(result["users"].max())
    set_limits(artists["left"], x=(-0.04 * _above(end), _above(end)), y=(-0.04 * _above(top), 1.04 * _above(top)))
    artists["dots"]["users"].set_data(result["due"], result["users"])
    artists["dots"]["recorded"].set_data(result["sent"], result["recorded"])
    for name, curve in artists["curves"].items():
        curve.set_data(_place(_PERCENTILES), np.maximum(result["curves"][name], _FLOOR))
    artists["line"].set_xdata([_place(result["percentile"])] * 2)


def _above(value: float) -> float:
    """Return the next of 1, 2, 3, 5, 10, … times a power of ten that is not below."""
    power = 10.0 ** np.floor(np.log10(max(value, 0.01)))
    return float(next(step for step in (1, 2, 3, 5, 10) if value <= step * power * 1.0001) * power)


def finding(result: dict[str, Any]) -> str:
    """Say the percentile of each view, and how many requests were late."""
    here = {name: f"{value:.3g} s" for name, value in result["here"].items()}
    late = result["late"]
    return (
        f"The {result['percentile']:g}th percentile is {here['users']} for the users, {here['recorded']} in the "
        f"records of a generator that waits, and {here['corrected']} after their repair; {late} of {REQUESTS} "
        "requests took more than twice the service time."
    )


explorer = Explorer(
    id="omission",
    title="What does the load test not see?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "rate": Int("Requests per second", 1, 100, 50),
        "service": Int("Service (ms)", 1, 20, 5),
        "pause": Float("Pause (s)", 0.0, 3.0, 1.5, step=0.05, format=".2f"),
        "pauses": Int("Pauses", 1, 20, 1),
        "percentile": Choice("Percentile", [50, 75, 90, 95, 99, 99.5], 99, style="slider"),
    },
    presets={
        "Look at the median": {"percentile": 50, "pause": 0.5},
        "Nearly full, the 75th": {"service": 19, "percentile": 75},
        "Many short pauses": {"pause": 0.1, "pauses": 10},
        "A quiet service": {"rate": 10, "pause": 0.1},
    },
)
