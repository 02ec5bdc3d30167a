from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest
from matplotlib.image import imread

from hearless.interfaces import Axes, HearlessError
from hearless.pictures import (
    Curve,
    Hearing,
    Hours,
    Layer,
    Panel,
    bars,
    confusions,
    curves,
    day,
    hearings,
    layers,
    spectrograms,
)
from hearless.report import Report, Row
from hearless.statistics import Measure


def panel(top_hz: int, name: str, n_frames: int = 50) -> Panel:
    """Noise with a loud band at 300 Hz, bands every 50 Hz up to ``top_hz``."""
    band_hz = np.arange(25, top_hz, 50)
    level_db = np.random.default_rng(0).normal(-60, 3, (len(band_hz), n_frames))
    level_db[np.abs(band_hz - 300).argmin()] = 0.0
    return name, level_db, Axes(tuple(float(hz) for hz in band_hz), 0.01, n_frames)


def report() -> Report:
    rows = (
        Row("16 kHz", {}, {"accuracy": Measure(0.8), "macro F1": Measure(0.7)}, published={"accuracy": 0.9}),
        Row("1 kHz", {}, {"accuracy": Measure(0.4)}),
        Row("500 Hz", {}, hole="stopped"),
    )
    return Report("Accuracy by rate", "", ("accuracy", "macro F1"), rows)


def words(path: Path) -> set[str]:
    """Read an SVG's texts as matplotlib notes them beside their outlines."""
    return {text.strip() for text in re.findall(r"<!--(.*?)-->", path.read_text(encoding="utf-8"))}


def near(image: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    """Say which pixels have a colour."""
    return np.abs(image[..., :3] - np.array(colour)).max(axis=-1) < 0.01


def test_sensors_lie_side_by_side_on_one_axis_in_hz_and_s(tmp_path: Path) -> None:
    panels = [panel(8000, "16 kHz sensor"), panel(1000, "2 kHz sensor"), panel(500, "1 kHz sensor")]
    found = words(spectrograms(panels, tmp_path / "heard.svg", title="A dog as three sensors hear it"))
    assert {"16 kHz sensor", "2 kHz sensor", "1 kHz sensor", "A dog as three sensors hear it"} <= found
    assert {"frequency (Hz)", "time (s)", "level (dB)", "not heard", "500", "1000", "8000"} <= found
    assert "16000" not in found


def test_what_is_not_heard_is_grey(tmp_path: Path) -> None:
    """Mel(500 Hz) is 607 and Mel(8 kHz) 2840: the 1 kHz sensor leaves about 79 % of its panel grey."""
    wide, low = panel(8000, "16 kHz"), panel(500, "1 kHz")
    alone = near(imread(spectrograms([wide, wide], tmp_path / "a.png")), (0.85, 0.85, 0.85))
    both = near(imread(spectrograms([wide, low], tmp_path / "b.png")), (0.85, 0.85, 0.85))
    column = both[:, both.sum(axis=0).argmax()]
    height = 2840 / (2840 - 607) * column.sum()
    assert both.mean() > 10 * alone.mean()
    assert height == pytest.approx(0.78 * both.shape[0], rel=0.1)


def test_all_panels_share_one_colour_scale(tmp_path: Path) -> None:
    """The loud band is yellow in the low-rate panel although quieter ones lie in the full one."""
    name, level_db, axes = panel(500, "1 kHz")
    yellow = (0.993248, 0.906157, 0.143936)
    loud = near(imread(spectrograms([panel(8000, "16 kHz"), (name, level_db, axes)], tmp_path / "a.png")), yellow)
    quiet = near(imread(spectrograms([panel(8000, "16 kHz"), (name, level_db - 20, axes)], tmp_path / "b.png")), yellow)
    right = slice(loud.shape[1] // 2, int(0.85 * loud.shape[1]))
    assert loud[:, right].sum() > 1000
    assert quiet[:, right].sum() == 0


def test_bars_are_as_long_as_their_values(tmp_path: Path) -> None:
    blue = near(imread(bars(report(), tmp_path / "bars.png")), (0xB0 / 255, 0xC4 / 255, 0xDE / 255))
    ends = [np.flatnonzero(line)[[0, -1]] for line in blue if line.any()]
    lengths = {int(last - first) for first, last in ends}
    assert max(lengths) == pytest.approx(2 * min(lengths), abs=4)
    assert all(min(abs(n - max(lengths)), abs(n - min(lengths))) <= 2 for n in lengths)


def test_bars_name_rows_holes_and_papers(tmp_path: Path) -> None:
    found = words(bars(report(), tmp_path / "bars.svg"))
    assert {"16 kHz", "1 kHz", "500 Hz", "80.0", "40.0", "missing", "paper (other task)", "Accuracy by rate"} <= found
    other = words(bars(report(), tmp_path / "other.svg", metric="macro F1"))
    assert "70.0" in other
    assert "paper (other task)" not in other


def test_intervals_are_drawn_and_other_units_fit(tmp_path: Path) -> None:
    row = Row("a", {}, {"loss": Measure(1.5, 1.25, 2.5)})
    bare = Row("a", {}, {"loss": Measure(1.5)})
    made = [Report("t", "", ("loss",), (r,), units={"loss": "nats"}) for r in (row, bare)]
    with_line, without = (imread(bars(r, tmp_path / f"{i}.png")) for i, r in enumerate(made))
    assert with_line.shape == without.shape
    assert near(with_line, (0, 0, 0)).sum() > near(without, (0, 0, 0)).sum()
    assert "loss (nats); lines: 95 % intervals" in words(bars(made[0], tmp_path / "loss.svg"))


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    name, level_db, axes = panel(500, "1 kHz")
    with pytest.raises(HearlessError, match="needs a panel"):
        spectrograms([], tmp_path / "a.png")
    with pytest.raises(HearlessError, match="as their axes say"):
        spectrograms([(name, level_db.T, axes)], tmp_path / "a.png")
    with pytest.raises(HearlessError, match="floor under the logarithm"):
        spectrograms([(name, np.log(np.zeros_like(level_db) + np.nan), axes)], tmp_path / "a.png")
    with pytest.raises(HearlessError, match="metric must be one of"):
        bars(report(), tmp_path / "a.png", metric="mAP")
    with pytest.raises(HearlessError, match="could not be written"):
        bars(report(), tmp_path / "a.docx")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(HearlessError, match="could not be written"):
        bars(report(), tmp_path / "file" / "a.png")


# --- layers ---------------------------------------------------------------------------------------------------------

AXES = Axes((20.0, 63.0, 125.0, 250.0, 1000.0, 4000.0), 0.1, 30)
HEARD = np.random.default_rng(0).normal(-40.0, 9.0, (6, 30))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, np.ndarray, dict[str, Any]]]:
    """Collect what matplotlib is given: axes, values, options."""
    calls = []
    true = matplotlib.axes.Axes.imshow

    def imshow(place: Any, values: np.ndarray, **options: Any) -> Any:
        calls.append((place, values, options))
        return true(place, values, **options)

    monkeypatch.setattr(matplotlib.axes.Axes, "imshow", imshow)
    return calls


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


def test_layers_carry_names_and_units(tmp_path: Path) -> None:
    stack = [Layer("heard", HEARD, "level (dB)", AXES), Layer("mask", np.full((6, 30), 0.5), "factor", AXES)]
    found = words(layers(stack, tmp_path / "a.svg", title="dog 0.91"))
    assert {"heard", "mask", "level (dB)", "factor", "time (s)", "frequency (Hz)", "dog 0.91", "0.5", "4000"} <= found


def test_any_title_is_drawn_as_it_is(tmp_path: Path) -> None:
    """No formula between dollars, no warning of a letter that the font lacks."""
    found = words(layers([Layer("a", HEARD, "dB", AXES)], tmp_path / "a.svg", title=r"$\wrong$ 犬"))
    assert any(text.startswith(r"$\wrong$") for text in found)


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


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = "import sys, hearless.pictures; print('matplotlib' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# --- hearings -------------------------------------------------------------------------------------------------------

LOUDER = Hearing(Layer("transcoded", HEARD + 50.0, "dB", AXES), ("dog 0.40",), like=0)
TRUE = Hearing(Layer("the sound itself", HEARD, "dB", AXES), ("dog 0.91", "Traffic noise, roadway noise 0.12"))


def test_what_each_says_stands_beside_what_it_is_given(tmp_path: Path) -> None:
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


# --- a day ----------------------------------------------------------------------------------------------------------


def hours(n_labels: int = 3) -> Hours:
    """Traffic all day but from 2 to 4 o'clock, when nothing is measured; a siren at 15."""
    scores = np.zeros((n_labels, 24))
    scores[0], scores[1, 15] = 0.8, 0.2
    scores[:, 2:4] = np.nan
    heard_s = np.where(np.isnan(scores[0]), 0.0, 3600.0)
    labels = ("Traffic noise, roadway noise", "Siren", *(f"source {i}" for i in range(2, n_labels)))
    return Hours(labels, scores, heard_s, (date(2024, 6, 1),))


def test_a_day_names_its_sources_hours_and_date(tmp_path: Path) -> None:
    found = words(day(hours(15), tmp_path / "day.svg"))
    assert {"Traffic noise, roadway noise", "Siren", "source 11", "0:00", "12:00", "24:00", "mean score"} <= found
    assert {"Sources by hour, 2024-06-01", "hour of the log's clock; grey: no levels"} <= found
    assert "source 12" not in found
    several = replace(hours(), days=(date(2024, 6, 1), date(2024, 6, 3)), heard_s=np.ones(24))
    found = words(day(several, tmp_path / "mean.svg"))
    assert {"Sources by hour, the mean of 2 days, 2024-06-01 to 2024-06-03", "hour of the log's clock"} <= found


def test_hours_without_levels_are_grey_and_a_rare_source_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    imshow = matplotlib.axes.Axes.imshow
    monkeypatch.setattr(matplotlib.axes.Axes, "imshow", lambda *a, **k: drawn.append(imshow(*a, **k)) or drawn[-1])
    image = imread(day(hours(), tmp_path / "day.png"))
    assert near(image, (0.85, 0.85, 0.85)).mean() > 0.02
    grey_all = replace(hours(), scores=np.zeros((3, 24)), heard_s=np.ones(24))
    assert near(imread(day(grey_all, tmp_path / "all.png")), (0.85, 0.85, 0.85)).mean() < 0.001
    norm = drawn[0].norm
    assert (norm.vmin, norm.vmax) == (0.0, 0.8)
    assert float(norm(0.2)) == pytest.approx(0.5)  # a quarter of the loudest score has half of the colours


@pytest.mark.parametrize(
    ("wrong", "top", "said"),
    [
        (replace(hours(), labels=()), 3, "got 0 sources"),
        (replace(hours(), scores=np.zeros((3, 12))), 3, r"scores of shape \(3, 12\)"),
        (hours(), 0, "and 0"),
    ],
)
def test_a_day_of_nothing_is_refused(tmp_path: Path, wrong: Hours, top: int, said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        day(wrong, tmp_path / "day.png", top=top)


# --- curves ---------------------------------------------------------------------------------------------------------


def curve(along: str = "epochs", **lines: list[tuple[float, Measure]]) -> Curve:
    return Curve(along, lines or {"light": [(5.0, Measure(0.5, 0.4, 0.6)), (10.0, Measure(0.7))]})


def test_curves_name_lines_quantities_and_what_is_measured(tmp_path: Path) -> None:
    panels = [curve(), curve("share of the clips", light=[(0.125, Measure(0.3)), (1.0, Measure(0.6))])]
    found = words(curves(panels, tmp_path / "curve.svg", title="How far", measure="agreement"))
    assert {"light", "epochs", "share of the clips", "How far", "agreement (%); bars: 95 % intervals"} <= found
    assert {"5", "10", "0.125", "1"} <= found


def test_a_line_runs_from_left_to_right_in_percent_with_its_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    errorbar = matplotlib.axes.Axes.errorbar
    monkeypatch.setattr(matplotlib.axes.Axes, "errorbar", lambda *a, **k: drawn.append((a, k)) or errorbar(*a, **k))
    points = [(10.0, Measure(0.7)), (5.0, Measure(0.5, 0.4, 0.75)), (7.0, Measure(float("nan")))]
    curves([curve(full=points)], tmp_path / "curve.png")
    ((_, x, value), options) = drawn[0]
    assert (list(x), list(value)) == ([5.0, 10.0], pytest.approx([50.0, 70.0]))
    np.testing.assert_allclose(options["yerr"], [[10.0, 0.0], [25.0, 0.0]])
    curves([curve(full=points)], tmp_path / "curve.png", unit="s")
    assert list(drawn[1][0][2]) == pytest.approx([0.5, 0.7])


@pytest.mark.parametrize(
    ("panels", "said"),
    [
        ([], "needs a measured point along each of"),
        ([curve(), curve("share", light=[(1.0, Measure(float("nan")))])], r"along each of \['epochs', 'share'\]"),
        ([curve(light=[(0.0, Measure(0.5))])], "epochs must be above 0 to be drawn along, got 0.0"),
    ],
)
def test_curves_of_nothing_are_refused(tmp_path: Path, panels: list[Curve], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        curves(panels, tmp_path / "curve.png")


def test_confusions_are_drawn_with_their_numbers(tmp_path: Path) -> None:
    matrix = np.array([[0.75, 0.25, 0.0], [0.001, 0.999, 0.0], [0.0, 0.0, 1.0]])
    drawn = confusions({"one": matrix, "other": np.eye(3)}, ("a", "b", "c"), tmp_path / "x.svg", title="t")
    said = words(drawn)
    assert {"t", "one", "other", "true class", "given class (%)", "a", "b", "c", "75", "25", "100"} <= said
    assert "0" not in said  # what hardly happens has no number
    with pytest.raises(HearlessError, match="needs matrices of 2 × 2 classes"):
        confusions({"one": matrix}, ("a", "b"), tmp_path / "y.png")
    with pytest.raises(HearlessError, match="needs matrices"):
        confusions({}, ("a", "b"), tmp_path / "y.png")
