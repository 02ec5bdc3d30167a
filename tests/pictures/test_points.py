"""Points of measures: near ones share a label, unknown ones are counted, grey ones have none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hearless.interfaces import HearlessError
from hearless.pictures.points import Cloud, Point, clouds, together


def test_near_points_share_a_label() -> None:
    points = [(0.0, 0.0, "a"), (10.0, 1.0, "b"), (10.2, 0.99, "c"), (10.2, 0.5, "d")]
    assert together(points) == [(0.0, 0.0, ["a"]), (10.0, 1.0, ["b", "c"]), (10.2, 0.5, ["d"])]
    assert together([(1.0, 2.0, "a"), (1.0, 2.0, "b")]) == [(1.0, 2.0, ["a", "b"])]
    assert together([]) == []


def test_a_picture(tmp_path: Path) -> None:
    points = [
        Point(1.0, 60.0, "CSSD", low=55.0, high=64.0), Point(1.0, 20.0, "raw", grey=True),
        Point(math.nan, 50.0, "unknown"),
    ]  # fmt: skip
    assert [point.is_known for point in points] == [True, True, False]
    clouds([Cloud("battery (h)", "accuracy (%)", points)] * 2, tmp_path / "points.png", title="t")
    assert (tmp_path / "points.png").stat().st_size > 1000
    with pytest.raises(HearlessError, match="needs a panel of points"):
        clouds([], tmp_path / "none.png")
