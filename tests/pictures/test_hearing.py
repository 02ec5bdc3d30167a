"""What parts of a model, or several, make of a sound: drawn as given, on one time axis, with Hz."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from hearless.interfaces import Axes, HearlessError
from hearless.pictures import FACTOR, Hearing, Layer, hearings, layers

AXES = Axes((20.0, 63.0, 125.0, 250.0, 1000.0, 4000.0), 0.1, 30)
HEARD = np.random.default_rng(0).normal(-40.0, 9.0, (6, 30))
LOUDER = Hearing(Layer("transcoded", HEARD + 50.0, "dB", AXES), ("dog 0.40",), like=0)
TRUE = Hearing(Layer("the sound itself", HEARD, "dB", AXES), ("dog 0.91", "Traffic noise, roadway noise 0.12"))


def test_layers_are_drawn_as_given_on_one_time_axis(tmp_path: Path, drawn: list[Any]) -> None:
    stack = [Layer("heard", HEARD, "level (dB)", AXES), Layer("made", np.ones((64, 301)), "feature", None)]
    path = layers(stack, tmp_path / "a.png", title="a dog")
    assert imread(path).shape[2] == 4
    (top, heard, options), (bottom, made, below) = drawn
    np.testing.assert_array_equal(heard, HEARD)
    np.testing.assert_array_equal(made, np.ones((64, 301)))
    assert options["extent"] == pytest.approx((0, 3.0, -0.5, 5.5))  # 30 frames of 0.1 s
    assert below["extent"] == pytest.approx((0, 3.0, -0.5, 63.5))
    assert options["origin"] == "lower"
    assert (options["vmin"], options["vmax"]) == pytest.approx((np.quantile(HEARD, 0.05), HEARD.max()))
    assert top.get_xlim() == bottom.get_xlim() == pytest.approx((0, 3.0))
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("frequency (Hz)", "band")


def test_layers_say_hz_where_their_bands_lie(tmp_path: Path, drawn: list[Any]) -> None:
    layers([Layer("heard", HEARD, "level (dB)", AXES)], tmp_path / "a.png")
    place = drawn[0][0]
    said = dict(zip([t.get_text() for t in place.get_yticklabels()], place.get_yticks(), strict=True))
    assert said == pytest.approx({"125": 2, "500": 3 + 250 / 750, "2000": 4 + 1 / 3, "4000": 5})  # 0.36 apart


@pytest.mark.parametrize(
    ("band_hz", "said"),
    [
        ((20.0, 60.5, 118.25), ["20", "118.2"]),  # no two round numbers
        ((99.0,), ["99"]),
        (tuple(10.0 * i for i in range(1, 500)), ["125", "500", "1000", "2000", "4000"]),  # 250 would touch 500
    ],
)
def test_ticks_are_at_least_two_and_never_overlap(
    tmp_path: Path, drawn: list[Any], band_hz: tuple[float, ...], said: list[str]
) -> None:
    layers([Layer("a", np.zeros((len(band_hz), 4)), "dB", Axes(band_hz, 0.1, 4))], tmp_path / "a.png")
    assert sorted((t.get_text() for t in drawn[0][0].get_yticklabels()), key=float) == said


def test_layers_carry_names_and_units(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
    stack = [Layer("heard", HEARD, "level (dB)", AXES), Layer("mask", np.full((6, 30), 0.5), "factor", AXES)]
    found = words(layers(stack, tmp_path / "a.svg", title="dog 0.91"))
    assert {"heard", "mask", "level (dB)", "factor", "time (s)", "frequency (Hz)", "dog 0.91", "0.5", "4000"} <= found


def test_any_title_is_drawn_as_it_is(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
    """No formula between dollars, no warning of a letter that the font lacks."""
    found = words(layers([Layer("a", HEARD, "dB", AXES)], tmp_path / "a.svg", title=r"$\wrong$ 犬"))
    assert any(text.startswith(r"$\wrong$") for text in found)


@pytest.mark.parametrize(("end_s", "said", "side"), [(1.2, "padding", "left"), (2.8, "padding →", "right")])
def test_padding_is_hatched_from_where_the_sound_ends(
    tmp_path: Path, drawn: list[Any], end_s: float, said: str, side: str
) -> None:
    """On the layer that has some, and on no other; its name stands where there is room."""
    heard = Layer("heard", HEARD, "dB", AXES, end_s)
    layers([heard, replace(heard, end_s=None), replace(heard, axes=None)], tmp_path / "a.png")
    for (place, _, _), marked in zip(drawn, (True, False, True), strict=True):
        spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in place.patches if patch.get_hatch()]
        assert spans == ([pytest.approx((end_s, 3.0))] if marked else [])
        assert [line.get_xdata()[0] for line in place.lines] == [end_s] * marked
        texts = [(text.get_text(), text.get_ha(), text.get_position()[0]) for text in place.texts]
        assert [(text.strip(), where, x) for text, where, x in texts] == [(said, side, end_s)] * marked
        assert place.get_xlim() == pytest.approx((0, 3.0))


def test_layers_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    good, path = Layer("heard", HEARD, "dB", AXES), tmp_path / "a.png"
    for stack in ([], [Layer("made", HEARD, "dB", None)]):
        with pytest.raises(HearlessError, match="needs a layer, the first with axes"):
            layers(stack, path)
    with pytest.raises(HearlessError, match=r"panel 'mask': .* = \(6, 30\) as their axes say, got \(30, 6\)"):
        layers([good, Layer("mask", HEARD.T, "factor", AXES)], path)
    with pytest.raises(HearlessError, match=r"must be \[band, frame\].*got \(180,\)"):
        layers([good, Layer("made", HEARD.ravel(), "dB", None)], path)
    with pytest.raises(HearlessError, match="panel 'made': features must be finite"):
        layers([good, Layer("made", np.where(HEARD > -40, np.nan, HEARD), "dB", None)], path)
    assert not path.exists()


def test_what_each_says_stands_beside_what_it_is_given(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
    found = words(hearings([TRUE, LOUDER], tmp_path / "a.svg", title="$a.wav"))
    assert {"the sound itself", "transcoded", "dog 0.91", "dog 0.40", "Traffic noise, roadway noise", "$a.wav"} <= found
    assert {"0.12", "time (s)", "frequency (Hz)"} <= found


def test_hearings_that_are_alike_share_their_colours(tmp_path: Path, drawn: list[Any]) -> None:
    hearings([TRUE, LOUDER, replace(LOUDER, like=None)], tmp_path / "a.png")
    scales = [(options["vmin"], options["vmax"]) for _, _, options in drawn]
    assert scales[0] == scales[1] == pytest.approx((np.quantile(HEARD, 0.05), HEARD.max()))
    assert scales[2] == pytest.approx((scales[0][0] + 50, scales[0][1] + 50))
    np.testing.assert_array_equal(drawn[1][1], HEARD + 50.0)
    places = [place for place, _, _ in drawn]
    assert places[0].get_xlim() == places[2].get_xlim() == pytest.approx((0, 3.0))
    lefts, tops = zip(*((place.get_position().x0, place.get_position().y1) for place in places), strict=True)
    assert len({*lefts}) == 1
    assert list(tops) == sorted(tops, reverse=True)


def test_a_mask_among_hearings_lies_in_0_to_1(tmp_path: Path, drawn: list[Any]) -> None:
    mask = Hearing(Layer("a, mask", np.full((6, 30), 0.4), FACTOR, AXES), ())
    hearings([TRUE, mask, LOUDER], tmp_path / "a.png")
    assert (drawn[1][2]["vmin"], drawn[1][2]["vmax"]) == (0.0, 1.0)
    assert drawn[0][2]["vmax"] == drawn[2][2]["vmax"] == HEARD.max()


def test_the_longest_hearing_sets_the_time_axis(tmp_path: Path, drawn: list[Any]) -> None:
    longer = Hearing(Layer("longer", np.ones((6, 50)), "dB", replace(AXES, n_frames=50)), ("dog 0.40",))
    hearings([TRUE, longer], tmp_path / "a.png")
    assert [place.get_xlim() for place, _, _ in drawn] == [pytest.approx((0, 5.0))] * 2


def test_long_names_are_broken_and_drawn_as_they_are(tmp_path: Path, drawn: list[Any]) -> None:
    name = "a-very-long-recipe-of-$x$, " * 4
    hearings([replace(TRUE, layer=replace(TRUE.layer, name=name))], tmp_path / "a.png")
    lines = drawn[0][0].get_title().splitlines()
    assert " ".join(line.strip() for line in lines) == name.strip()
    assert max(map(len, lines)) < 80


def test_words_stand_right_of_the_colour_bars(tmp_path: Path, drawn: list[Any]) -> None:
    hearings([TRUE, LOUDER], tmp_path / "a.png")
    figure = drawn[0][0].figure
    said = [place for place in figure.axes if any(text.get_text() == "dog 0.40" for text in place.texts)]
    bars = [place for place in figure.axes if place.get_ylabel() == "dB"]
    assert len(said) == 1
    assert len(bars) == 2
    assert said[0].get_position().x0 > max(
        bar.get_tightbbox().transformed(figure.transFigure.inverted()).x1 for bar in bars
    )


def test_hearings_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    bare = replace(TRUE, layer=replace(TRUE.layer, axes=None))
    for stack, said in (
        ([], "needs a hearing, the first with axes"),
        ([bare], "needs a hearing, the first with axes"),
        ([LOUDER], "the number of an earlier hearing, got 0"),
        ([TRUE, replace(LOUDER, like=1)], "'transcoded': like must be the number of an earlier hearing, got 1"),
        ([TRUE, replace(LOUDER, layer=replace(LOUDER.layer, values=HEARD.T))], "as their axes say"),
    ):
        with pytest.raises(HearlessError, match=said):
            hearings(stack, tmp_path / "a.png")
    assert not [*tmp_path.iterdir()]
