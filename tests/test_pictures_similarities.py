"""Similarities: a picture is made, values that do not fit their names are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.pictures import similarities

NAMES = (("a", "b"), ("x", "y", "z"))


def test_values_are_drawn_and_misfits_refused(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0], [np.nan, 0.2, 0.3]])
    drawn = similarities({"one": (*NAMES, values), "two": (*NAMES, values)}, tmp_path / "s.png", along=("up", "level"))
    assert drawn.read_bytes()[:4] == b"\x89PNG"
    for panels in ({}, {"one": (*NAMES, values.T)}):
        with pytest.raises(HearlessError, match="needs panels, each with a value for every pair of names"):
            similarities(panels, tmp_path / "s.png", along=("up", "level"))
