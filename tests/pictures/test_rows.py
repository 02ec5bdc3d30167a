"""Bars of a report and dots by category: as long as their values, with their intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from hearless.interfaces import HearlessError
from hearless.pictures import bars, dots
from hearless.report import Report, Row
from hearless.statistics import Measure

LINES = {
    "raw": {"dog": Measure(0.2, 0.1, 0.3), "rain": Measure(0.0, 0.0, 0.0)},
    "CSSD": {"rain": Measure(0.7, 0.6, 0.8), "cow": Measure(0.4)},
}


def report() -> Report:
    rows = (
        Row("16 kHz", {}, {"accuracy": Measure(0.8), "macro F1": Measure(0.7)}, published={"accuracy": 0.9}),
        Row("1 kHz", {}, {"accuracy": Measure(0.4)}),
        Row("500 Hz", {}, hole="stopped"),
    )
    return Report("Accuracy by rate", "", ("accuracy", "macro F1"), rows)


def test_bars_are_as_long_as_their_values(tmp_path: Path, near: Callable[..., np.ndarray]) -> None:
    blue = near(imread(bars(report(), tmp_path / "bars.png")), (0xB0 / 255, 0xC4 / 255, 0xDE / 255))
    ends = [np.flatnonzero(line)[[0, -1]] for line in blue if line.any()]
    lengths = {int(last - first) for first, last in ends}
    assert max(lengths) == pytest.approx(2 * min(lengths), abs=4)
    assert all(min(abs(n - max(lengths)), abs(n - min(lengths))) <= 2 for n in lengths)


def test_bars_name_rows_holes_and_papers(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
    found = words(bars(report(), tmp_path / "bars.svg"))
    assert {"16 kHz", "1 kHz", "500 Hz", "80.0", "40.0", "missing", "paper (other task)", "Accuracy by rate"} <= found
    other = words(bars(report(), tmp_path / "other.svg", metric="macro F1"))
    assert "70.0" in other
    assert "paper (other task)" not in other


def test_intervals_are_drawn_and_other_units_fit(
    tmp_path: Path, words: Callable[[Path], set[str]], near: Callable[..., np.ndarray]
) -> None:
    row = Row("a", {}, {"loss": Measure(1.5, 1.25, 2.5)})
    bare = Row("a", {}, {"loss": Measure(1.5)})
    made = [Report("t", "", ("loss",), (r,), units={"loss": "nats"}) for r in (row, bare)]
    with_line, without = (imread(bars(r, tmp_path / f"{i}.png")) for i, r in enumerate(made))
    assert with_line.shape == without.shape
    assert near(with_line, (0, 0, 0)).sum() > near(without, (0, 0, 0)).sum()
    assert "loss (nats); lines: 95 % intervals" in words(bars(made[0], tmp_path / "loss.svg"))


def test_dots_stand_by_category_as_they_first_appear(
    tmp_path: Path, points: list[Any], texts: Callable[[Path], list[str]]
) -> None:
    path = dots(
        LINES, tmp_path / "d.svg", title="Title", measure="accuracy", published={"CSSD": {"rain": 0.5, "pig": 1}}
    )
    said = texts(path)
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


def test_bars_that_cannot_be_drawn_or_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="metric must be one of"):
        bars(report(), tmp_path / "a.png", metric="mAP")
    with pytest.raises(HearlessError, match="could not be written"):
        bars(report(), tmp_path / "a.docx")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(HearlessError, match="could not be written"):
        bars(report(), tmp_path / "file" / "a.png")


def test_dots_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="needs measures of at least one"):
        dots({}, tmp_path / "d.png")
    with pytest.raises(HearlessError, match=r"needs measures of \['BASD'\]"):
        dots(LINES, tmp_path / "d.png", published={"BASD": {"dog": 0.5}})
    assert not list(tmp_path.iterdir())
