"""Pictures of tables: the heat map, dots by category and small multiples say their numbers, and wrong input."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.pictures import Curve, dots, heat_map, multiples
from hearless.statistics import Measure

NAN = float("nan")
CELLS = {
    ("0.1", "2"): Measure(0.5, 0.4, 0.6), ("0.1", "4"): Measure(0.75, 0.7, 0.8),
    ("0.5", "2"): Measure(NAN), ("0.5", "4"): Measure(0.625),
}  # fmt: skip
LINES = {
    "raw": {"dog": Measure(0.2, 0.1, 0.3), "rain": Measure(0.0, 0.0, 0.0)},
    "CSSD": {"rain": Measure(0.7, 0.6, 0.8), "cow": Measure(0.4)},
}


def words(path: Path) -> list[str]:
    """Return what an SVG says, in order."""
    return re.findall(r"<!-- (.+?) -->", path.read_text())


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any, dict[str, Any]]]:
    """Return what is drawn with error bars: x, y and the rest."""
    found: list[tuple[Any, Any, dict[str, Any]]] = []
    real = matplotlib.axes.Axes.errorbar

    def errorbar(self: Any, x: Any, y: Any, **more: Any) -> Any:
        found.append((x, y, more))
        return real(self, x, y, **more)

    monkeypatch.setattr(matplotlib.axes.Axes, "errorbar", errorbar)
    return found


def test_a_heat_map_has_its_numbers_in_the_cells(tmp_path: Path) -> None:
    said = words(heat_map(CELLS, tmp_path / "h.svg", along=("α", "T"), title="Title", measure="accuracy"))
    for text in (
        "50.0",
        "75.0",
        "62.5",
        "[40.0, 60.0]",
        "[70.0, 80.0]",
        "α",
        "T",
        "0.1",
        "0.5",
        "accuracy (%)",
        "Title",
    ):
        assert text in said


def test_a_heat_map_lies_as_its_settings_do_and_frames_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, frames = [], []
    real = matplotlib.axes.Axes.add_patch
    monkeypatch.setattr(matplotlib.axes.Axes, "imshow", _keeping(matplotlib.axes.Axes.imshow, shown))
    monkeypatch.setattr(
        matplotlib.axes.Axes, "add_patch", lambda self, patch: (frames.append(patch), real(self, patch))[1]
    )
    heat_map(CELLS, tmp_path / "h.png", along=("α", "T"))
    np.testing.assert_allclose(shown[0], [[50, 75], [NAN, 62.5]])
    (best,) = [patch for patch in frames if patch.get_linewidth() == 2.5]
    assert (round(best.get_x() + 0.47, 6), round(best.get_y() + 0.47, 6)) == (1, 0)


def _keeping(real: Any, kept: list[Any]) -> Any:
    def call(self: Any, values: Any, **more: Any) -> Any:
        kept.append(np.array(values))
        return real(self, values, **more)

    return call


def test_a_heat_map_of_one_cell_or_of_other_units_is_drawn(tmp_path: Path) -> None:
    one = {("0.1", "2"): Measure(3.5)}
    said = words(heat_map(one, tmp_path / "h.svg", along=("α", "T"), measure="loss", unit="nats"))
    assert {"3.5", "loss (nats)"} <= {*said}


def test_dots_stand_by_category_as_they_first_appear(tmp_path: Path, points: list[Any]) -> None:
    path = dots(
        LINES, tmp_path / "d.svg", title="Title", measure="accuracy", published={"CSSD": {"rain": 0.5, "pig": 1}}
    )
    said = words(path)
    order = [text for text in said if text in ("dog", "rain", "cow")]
    assert order == ["dog", "rain", "cow"]
    assert {"raw", "CSSD", "CSSD, paper", "Title"} <= {*said}
    placed = {(round(float(x), 6), round(float(y), 6)) for x, y, _ in points if not np.isnan(x)}
    assert placed == {(20.0, -0.2), (0.0, 0.8), (70.0, 1.2), (40.0, 2.2)}


def test_intervals_of_dots_are_as_wide_as_told(tmp_path: Path, points: list[Any]) -> None:
    dots(LINES, tmp_path / "d.png")
    wide = {round(float(x), 6): more["xerr"].ravel().tolist() for x, _, more in points if not np.isnan(x)}
    assert wide[20.0] == pytest.approx([10, 10])
    assert wide[40.0] == [0, 0]  # an unknown interval is none


def test_multiples_share_their_axes_and_name_their_panels(tmp_path: Path) -> None:
    panels = {
        f"class {n}": Curve("rate (Hz)", {"CSSD": [(1000.0, Measure(0.1 * n)), (2000.0, Measure(0.5))]})
        for n in range(1, 8)
    }
    said = words(multiples(panels, tmp_path / "m.svg", title="Title", measure="accuracy"))
    assert [text for text in said if text.startswith("class")] == list(panels)
    assert said.count("CSSD") == 1
    assert {"1000", "2000", "rate (Hz)", "Title"} <= {*said}


def test_lines_of_one_name_have_one_colour_in_every_panel(tmp_path: Path, points: list[Any]) -> None:
    point = [(1000.0, Measure(0.5))]
    panels = {"a": Curve("x", {"one": point, "two": point}), "b": Curve("x", {"two": point})}
    multiples(panels, tmp_path / "m.png")
    assert [(more["label"], more["color"]) for _, _, more in points] == [("one", "C0"), ("two", "C1"), ("two", "C1")]


def test_nothing_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="a heat map needs a measured cell"):
        heat_map({("0.1", "2"): Measure(NAN)}, tmp_path / "h.png", along=("α", "T"))
    with pytest.raises(HearlessError, match="needs measures of at least one"):
        dots({}, tmp_path / "d.png")
    with pytest.raises(HearlessError, match=r"needs measures of \['BASD'\]"):
        dots(LINES, tmp_path / "d.png", published={"BASD": {"dog": 0.5}})
    with pytest.raises(HearlessError, match="small multiples need a measured point in each panel"):
        multiples({"a": Curve("x", {"one": [(1.0, Measure(NAN))]})}, tmp_path / "m.png")
    with pytest.raises(HearlessError, match="x must be above 0 to be drawn along, got 0"):
        multiples({"a": Curve("x", {"one": [(0.0, Measure(0.5))]})}, tmp_path / "m.png")
    assert not list(tmp_path.iterdir())
