"""Heat maps, similarities and confusions: their numbers in their cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest
from matplotlib.image import imread

from hearless.interfaces import HearlessError
from hearless.pictures import confusions, heat_map, similarities
from hearless.statistics import Measure

NAN = float("nan")
CELLS = {
    ("0.1", "2"): Measure(0.5, 0.4, 0.6), ("0.1", "4"): Measure(0.75, 0.7, 0.8),
    ("0.5", "2"): Measure(NAN), ("0.5", "4"): Measure(0.625),
}  # fmt: skip

NAMES = (("a", "b"), ("x", "y", "z"))


def test_a_heat_map_has_its_numbers_in_the_cells(tmp_path: Path, texts: Callable[[Path], list[str]]) -> None:
    said = texts(heat_map(CELLS, tmp_path / "h.svg", along=("α", "T"), title="Title", measure="accuracy"))
    for text in (
        "50.0",
        "75.0",
        "62.5",
        "[40.0, 60.0]",
        "[70.0, 80.0]",
        "α",
        "T (framed: the highest)",
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


def test_a_heat_map_of_one_cell_or_of_other_units_is_drawn(tmp_path: Path, texts: Callable[[Path], list[str]]) -> None:
    one = {("0.1", "2"): Measure(3.5)}
    said = texts(heat_map(one, tmp_path / "h.svg", along=("α", "T"), measure="loss", unit="nats"))
    assert {"3.5", "loss (nats)"} <= {*said}


def test_a_map_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="a heat map needs a measured cell"):
        heat_map({("0.1", "2"): Measure(NAN)}, tmp_path / "h.png", along=("α", "T"))
    assert not list(tmp_path.iterdir())


def test_values_are_drawn_and_misfits_refused(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0], [np.nan, 0.2, 0.3]])
    drawn = similarities({"one": (*NAMES, values), "two": (*NAMES, values)}, tmp_path / "s.png", along=("up", "level"))
    assert drawn.read_bytes()[:4] == b"\x89PNG"
    for panels in ({}, {"one": (*NAMES, values.T)}):
        with pytest.raises(HearlessError, match="needs panels, each with a value for every pair of names"):
            similarities(panels, tmp_path / "s.png", along=("up", "level"))


def test_confusions_are_drawn_with_their_numbers(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
    matrix = np.array([[0.75, 0.25, 0.0], [0.001, 0.999, 0.0], [0.0, 0.0, 1.0]])
    drawn = confusions({"one": matrix, "other": np.eye(3)}, ("a", "b", "c"), tmp_path / "x.svg", title="t")
    said = words(drawn)
    assert {"t", "one", "other", "true class", "given class (%)", "a", "b", "c", "75", "25", "100"} <= said
    assert "0" not in said  # what hardly happens has no number
    with pytest.raises(HearlessError, match="needs matrices of 2 × 2 classes"):
        confusions({"one": matrix}, ("a", "b"), tmp_path / "y.png")
    with pytest.raises(HearlessError, match="needs matrices"):
        confusions({}, ("a", "b"), tmp_path / "y.png")


def test_confusions_of_many_classes_stand_two_in_a_row_and_square(tmp_path: Path) -> None:
    labels = [f"a rather long name {n}" for n in range(21)]
    sizes = []
    for n_panels in (1, 2, 4):
        panels = {str(n): np.eye(21) for n in range(n_panels)}
        drawn = imread(confusions(panels, labels, tmp_path / f"{n_panels}.png"))
        sizes.append(drawn.shape[:2])
    (height, width), (_, twice), (tall, wide) = sizes
    assert 0.6 < height / width < 1.4
    assert 1.7 < twice / width < 2.1
    assert wide == twice
    assert 1.6 < tall / height < 2.1
