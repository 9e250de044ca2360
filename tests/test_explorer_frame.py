"""The frame of the explorers, without a browser."""

import base64
import gc
import io
import json
import logging
import sys
import threading
import weakref
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from course.explorers.frame import Check, Choice, Explorer, Float, Int, exercise, set_limits
from course.explorers.picture import Encoder, moving_artists
from course.plots.show import show


def compute(power, scale, kind, dots):
    x = np.linspace(0, 1, 50)
    return {"x": x, "y": scale * x**power, "kind": kind, "dots": dots, "top": scale}


def build(figure):
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="x", ylabel="y")
    return {
        "axes": axes,
        "line": axes.plot([], [])[0],
        "dots": [axes.plot([], [], "o")[0]],
        "title": axes.set_title(""),
    }


def draw(artists, result):
    artists["line"].set_data(result["x"], result["y"])
    artists["dots"][0].set_data(result["x"][::10], result["y"][::10])
    artists["dots"][0].set_visible(result["dots"])
    artists["title"].set_text(result["kind"])
    set_limits(artists["axes"], y=(0, 1 if result["top"] <= 1 else 10))


def finding(result):
    return f"The top is at {result['y'][-1]:.2f} <{result['kind']}>."


TOY = Explorer(
    id="toy",
    title="What does the power do?",
    compute=compute,
    build=build,
    draw=draw,
    finding=finding,
    controls={
        "power": Int("Power", 1, 9, 2),
        "scale": Float("Scale", 0.01, 10.0, 1.0, log=True),
        "kind": Choice("Kind", {"first": "one", "second": "two"}, "one"),
        "dots": Check("Dots", False),
    },
    presets={"Steep": {"power": 9}, "Large": {"scale": 10.0, "dots": True}},
    width=4,
    height=3,
)


@pytest.fixture
def view():
    view = TOY.view()
    yield view
    view.close()


def counting(**changes):
    """Return the toy with a list that gets the settings of every call of compute."""
    calls = []

    def counted(**settings):
        calls.append(settings)
        return compute(**settings)

    return replace(TOY, compute=counted, **changes), calls


def test_exercise_holds_a_good_explorer_to_be_good():
    seen = exercise(TOY)
    assert seen.settings >= 5 + 5 + 2 + 2
    assert 0 < seen.draw_seconds < 0.1


def test_a_control_moves_picture_and_finding(view):
    before = view.figure.value
    view.controls["power"].value = 5
    assert view.figure.value != before
    view.controls["scale"].value = 0.5
    assert view.finding == finding(compute(power=5, scale=0.5, kind="one", dots=False)) == "The top is at 0.50 <one>."


def test_the_live_picture_has_an_escaped_text_alternative_and_a_live_region(view):
    page = view.figure.value
    assert "alt='What does the power do? The top is at 1.00 &lt;one&gt;.'" in page
    assert "aria-live='polite'>The top is at 1.00 &lt;one&gt;.<" in page


def test_the_picture_shows_the_artists_where_a_full_redraw_would(view):
    view.set(power=5, dots=True)
    blitted = np.asarray(view.picture.pixels()).astype(int)
    for artist in moving_artists(view.picture.artists):
        artist.set_animated(False)
    with matplotlib.rc_context({"text.hinting": "no_hinting"}):
        view.picture.canvas.draw()
    full = np.asarray(view.picture.pixels()).astype(int)
    # Only what overlaps a moving artist (a spine, a tick) may lie above it in one and below it in the other.
    assert (np.abs(blitted - full).max(axis=2) > 8).mean() < 0.002
    assert (full < 200).any()


def test_the_background_is_drawn_again_only_when_it_changes(view):
    assert view.picture.backgrounds == 1
    for power in range(1, 10):
        view.set(power=power)
    assert view.picture.backgrounds == 1
    view.set(scale=5.0)
    assert view.picture.backgrounds == 2
    view.set(scale=6.0)
    assert view.picture.backgrounds == 2


def test_presets_and_reset():
    explorer, calls = counting()
    view = explorer.view()
    view.buttons["Large"].click()
    assert view.settings == {"power": 2, "scale": 10.0, "kind": "one", "dots": True}
    assert len(calls) == 2, "a preset of two controls is drawn once"
    view.buttons["Steep"].click()
    assert view.settings == {"power": 9, "scale": 1.0, "kind": "one", "dots": False}
    view.buttons["Reset"].click()
    assert view.settings == TOY.settings()
    assert len(calls) == 4
    view.reset()
    assert len(calls) == 4, "nothing has changed, so nothing is computed"
    with pytest.raises(ValueError, match="no preset 'Flat'"):
        view.apply("Flat")
    view.close()


def test_events_that_arrive_while_computing_are_dropped_but_for_the_last():
    computing, release, calls = threading.Event(), threading.Event(), []

    def slow(**settings):
        calls.append(settings["power"])
        if settings["power"] == 3:
            computing.set()
            assert release.wait(10)
        return compute(**settings)

    view = replace(TOY, compute=slow).view()
    worker = threading.Thread(target=view.set, kwargs={"power": 3})
    worker.start()
    assert computing.wait(10)
    for power in (4, 5, 6, 7, 8):
        view.controls["power"].value = power
    release.set()
    worker.join(10)
    assert calls == [2, 3, 8]
    assert view.drawn == 2
    assert view.settings["power"] == 8
    view.close()


def test_an_error_is_shown_and_logged_and_passes(caplog):
    def fragile(**settings):
        if settings["power"] == 7:
            raise ZeroDivisionError("no <seventh> power")
        return compute(**settings)

    explorer = replace(TOY, compute=fragile)
    view = explorer.view()
    with caplog.at_level(logging.ERROR, "course.explorers"):
        view.controls["power"].value = 7
    assert isinstance(view.error, ZeroDivisionError)
    assert "ZeroDivisionError: no &lt;seventh&gt; power" in view.figure.value
    assert "power=7" in view.figure.value
    assert "role='alert'" in view.figure.value
    assert "<img" not in view.figure.value
    (record,) = caplog.records
    assert record.exc_info
    assert "toy failed at power=7" in record.getMessage()
    view.controls["power"].value = 2
    assert view.error is None
    assert "<img" in view.figure.value
    view.close()
    with pytest.raises(ZeroDivisionError), caplog.at_level(logging.CRITICAL, "course.explorers"):
        exercise(explorer, points=9)
    with pytest.raises(ZeroDivisionError):
        explorer.view(power=7)


@pytest.mark.parametrize("part", ["build", "draw", "finding"])
def test_an_error_in_any_part_fails_the_cell(part):
    def broken(*_):
        raise RuntimeError(part)

    with pytest.raises(RuntimeError, match=part):
        replace(TOY, **{part: broken}).view()


def impure():
    state = {"calls": 0}

    def changing(**settings):
        state["calls"] += 1
        return {**compute(**settings), "kind": str(state["calls"])}

    return replace(TOY, compute=changing)


def growing(artists, result):
    draw(artists, result)
    artists["axes"].plot([0, 1], [0, 1])


def clinging(artists, result):
    if result["dots"]:
        artists["dots"][0].set_data([0.5], [0.5])
    artists["line"].set_data(result["x"], result["y"])


@pytest.mark.parametrize(
    ("explorer", "why"),
    [
        (impure(), "but compute says"),
        (replace(TOY, draw=growing), "draw made or removed artists"),
        (replace(TOY, draw=clinging, finding=lambda _: "Always the same."), "'kind' changes neither"),
        (replace(TOY, finding=lambda _: " "), "not a sentence"),
    ],
)
def test_exercise_finds_a_broken_promise(explorer, why):
    with pytest.raises(AssertionError, match=why):
        exercise(explorer)


def test_exercise_finds_a_picture_that_remembers():
    def sticky(artists, result):
        draw(artists, result)
        if result["dots"]:
            artists["line"].set_linewidth(9)

    with pytest.raises(AssertionError, match="after a reset the picture differs"):
        exercise(replace(TOY, draw=sticky))


def test_one_output_has_widget_picture_and_text(view):
    data, metadata = view._repr_mimebundle_()
    assert data["text/plain"] == view.finding
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == view.box.model_id
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.width == 400
    assert picture.height > 300, "title, settings and finding are written in it"
    assert view.finding in metadata["image/png"]["alt"]
    json.dumps([data, metadata])


def test_the_same_settings_give_the_same_stored_picture(view):
    first = view.stored_png()
    view.set(power=9, scale=10.0, dots=True)
    other = view.stored_png()
    view.reset()
    assert view.stored_png() == first != other
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "text.hinting": "force_autohint"}):
        again = TOY.view()
        assert again.stored_png() == first
        again.close()
    assert b"tEXt" not in first
    assert b"tIME" not in first


def test_a_settings_image_names_choices_by_their_label(view, monkeypatch):
    said = []
    monkeypatch.setattr("course.explorers.frame.stored", lambda *arguments: said.append(arguments) or b"")
    view.set(kind="two", dots=True)
    view.stored_png()
    assert said[0][2] == "Power: 2   ·   Scale: 1   ·   Kind: second   ·   Dots: yes"


def shown(png):
    return Image.open(io.BytesIO(png)).convert("RGB")


def test_white_stays_white():
    image = Image.new("RGB", (64, 64), "white")
    image.paste((253, 253, 253), (0, 0, 8, 8))
    assert shown(Encoder().encode(image)).getpixel((63, 63)) == (255, 255, 255)


def test_colours_are_kept_until_a_picture_has_a_new_one():
    encoder = Encoder()
    image = Image.new("RGB", (90, 90), "white")
    for blue in range(40, 60):
        image.paste((0, 0, blue), (0, 0, 30, 30))
        encoder.encode(image)
    assert encoder.choices == 1
    image.paste((213, 94, 0), (30, 30, 60, 60))
    assert shown(encoder.encode(image)).getpixel((45, 45)) == pytest.approx((213, 94, 0), abs=8)
    assert encoder.choices == 2


def test_a_closed_view_is_let_go_and_changes_do_not_pile_up():
    view = TOY.view()
    view.set(power=3)
    gc.collect()
    before = len(gc.get_objects())
    for k in range(200):
        view.set(power=1 + k % 9)
    gc.collect()
    assert len(gc.get_objects()) - before < 200
    picture = weakref.ref(view.picture)
    view.close()
    del view
    gc.collect()
    assert picture() is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"size": 1}, "no control 'size'"),
        ({"power": 10}, "'Power' is 10; a number from 1 to 9"),
        ({"power": 1.5}, "a whole number"),
        ({"power": True}, "a number from 1 to 9"),
        ({"scale": float("nan")}, "'Scale' is nan"),
        ({"kind": "three"}, r"one of \['one', 'two'\]"),
        ({"dots": 1}, "True or False"),
    ],
)
def test_wrong_settings_say_what_is_allowed(settings, why):
    with pytest.raises(ValueError, match=why):
        TOY.view(**settings)
    with pytest.raises(ValueError, match=why):
        replace(TOY, presets={"Wrong": settings})


def test_wrong_declarations_say_what_is_allowed():
    with pytest.raises(ValueError, match="low 5 < high 5"):
        Int("Workers", 5, 5, 5)
    with pytest.raises(ValueError, match="low > 0 with log"):
        Float("Rate", 0.0, 1.0, 0.5, log=True)
    with pytest.raises(ValueError, match="step is 0"):
        Float("Rate", 0.0, 1.0, 0.5, step=0)
    with pytest.raises(ValueError, match="style is 'wheel'"):
        Choice("Kind", ["a"], "a", style="wheel")
    with pytest.raises(ValueError, match="no controls"):
        replace(TOY, controls={}, presets={})
    with pytest.raises(TypeError, match="only Matplotlib artists"):
        list(moving_artists({"line": 3}))


@pytest.mark.parametrize(
    "control",
    [
        Int("A", 0, 100, 30, step=5),
        Int("A", 1, 64, 8),
        Float("A", 0.0, 1.0, 0.3),
        Float("A", 0.003, 7.0, 0.5, log=True),
        Choice("A", {"x": 1, "y": 2}, 2, style="buttons"),
        Choice("A", [1, 2, 4, 8], 4, style="slider"),
        Check("A", True),
    ],
)
def test_a_widget_takes_every_value_that_its_control_tries(control):
    widget = control.widget()
    assert widget.value == control.value
    for value in control.tries(7):
        control.check(value)
        widget.value = value
        assert widget.value == pytest.approx(value)
    widget.close()


def test_show_gives_picture_and_text_and_closes_the_figure(monkeypatch):
    from matplotlib import pyplot

    shown = []
    monkeypatch.setattr(sys.modules[show.__module__], "display", lambda data, **options: shown.append((data, options)))
    for _ in range(2):
        figure = pyplot.figure()
        figure.subplots().plot([1, 2, 3])
        show(figure, "Three points on a line.")
        assert not pyplot.fignum_exists(figure.number)
    assert shown[0] == shown[1], "the same figure gives the same bytes"
    data, options = shown[0]
    assert data["text/plain"] == "Three points on a line."
    assert options["metadata"]["image/png"]["alt"] == "Three points on a line."
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="alt is ' '"):
        show(Figure(), " ")
