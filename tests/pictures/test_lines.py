"""Curves and small multiples: from left to right, in percent, on axes they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.pictures import Curve, curves, multiples
from hearless.statistics import Measure


def curve(along: str = "epochs", **lines: list[tuple[float, Measure]]) -> Curve:
    return Curve(along, lines or {"light": [(5.0, Measure(0.5, 0.4, 0.6)), (10.0, Measure(0.7))]})


def test_curves_name_lines_quantities_and_what_is_measured(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
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


def test_lines_that_meet_stand_side_by_side_about_the_place_they_share(tmp_path: Path, points: list[Any]) -> None:
    same = Measure(0.5, 0.4, 0.6)
    lines = {"raw": [(1.0, same)], "one": [(1.0, same), (64.0, same)], "two": [(1.0, same), (64.0, same)]}
    curves([curve(**lines, alone=[(8.0, same)])], tmp_path / "curve.png")
    (raw, one, two, alone) = ([float(x) for x in along] for along, _, _ in points)
    assert (one[0], alone) == (1.0, [8.0])
    assert 1.01 < two[0] < 1.1
    assert raw[0] * two[0] == pytest.approx(1.0)
    assert one[1] * two[1] == pytest.approx(64.0**2)
    assert two[1] / one[1] == pytest.approx(two[0] / one[0])


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


def test_multiples_share_their_axes_and_name_their_panels(tmp_path: Path, texts: Callable[[Path], list[str]]) -> None:
    panels = {
        f"class {n}": Curve("rate (Hz)", {"CSSD": [(1000.0, Measure(0.1 * n)), (2000.0, Measure(0.5))]})
        for n in range(1, 8)
    }
    said = texts(multiples(panels, tmp_path / "m.svg", title="Title", measure="accuracy"))
    assert [text for text in said if text.startswith("class")] == list(panels)
    assert said.count("CSSD") == 1
    assert {"1000", "2000", "rate (Hz)", "Title"} <= {*said}


def test_lines_of_one_name_have_one_colour_in_every_panel(tmp_path: Path, points: list[Any]) -> None:
    point = [(1000.0, Measure(0.5))]
    panels = {"a": Curve("x", {"one": point, "two": point}), "b": Curve("x", {"two": point})}
    multiples(panels, tmp_path / "m.png")
    assert [(more["label"], more["color"]) for _, _, more in points] == [("one", "C0"), ("two", "C1"), ("two", "C1")]


def test_multiples_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="small multiples need a measured point in each panel"):
        multiples({"a": Curve("x", {"one": [(1.0, Measure(float("nan")))]})}, tmp_path / "m.png")
    with pytest.raises(HearlessError, match="x must be above 0 to be drawn along, got 0"):
        multiples({"a": Curve("x", {"one": [(0.0, Measure(0.5))]})}, tmp_path / "m.png")
    assert not list(tmp_path.iterdir())
