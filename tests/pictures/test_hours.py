"""Sources by the hour of a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest
from matplotlib.image import imread

from hearless.interfaces import HearlessError
from hearless.pictures import Hours, day


def hours(n_labels: int = 3) -> Hours:
    """Traffic all day but from 2 to 4 o'clock, when nothing is measured; a siren at 15."""
    scores = np.zeros((n_labels, 24))
    scores[0], scores[1, 15] = 0.8, 0.2
    scores[:, 2:4] = np.nan
    heard_s = np.where(np.isnan(scores[0]), 0.0, 3600.0)
    labels = ("Traffic noise, roadway noise", "Siren", *(f"source {i}" for i in range(2, n_labels)))
    return Hours(labels, scores, heard_s, (date(2024, 6, 1),))


def test_a_day_names_its_sources_hours_and_date(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
    found = words(day(hours(15), tmp_path / "day.svg"))
    assert {"Traffic noise, roadway noise", "Siren", "source 11", "0:00", "12:00", "24:00", "mean score"} <= found
    assert {"Sources by hour, 2024-06-01", "hour of the log's clock; grey: no levels"} <= found
    assert "source 12" not in found
    several = replace(hours(), days=(date(2024, 6, 1), date(2024, 6, 3)), heard_s=np.ones(24))
    found = words(day(several, tmp_path / "mean.svg"))
    assert {"Sources by hour, the mean of 2 days, 2024-06-01 to 2024-06-03", "hour of the log's clock"} <= found


def test_hours_without_levels_are_grey_and_a_rare_source_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: Callable[..., np.ndarray]
) -> None:
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
