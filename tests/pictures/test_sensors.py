"""What several sensors hear: one axis, one scale of colours, grey where nothing is heard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from hearless.interfaces import Axes, HearlessError
from hearless.pictures import Panel, spectrograms


def panel(top_hz: int, name: str, n_frames: int = 50) -> Panel:
    """Noise with a loud band at 300 Hz, bands every 50 Hz up to ``top_hz``."""
    band_hz = np.arange(25, top_hz, 50)
    level_db = np.random.default_rng(0).normal(-60, 3, (len(band_hz), n_frames))
    level_db[np.abs(band_hz - 300).argmin()] = 0.0
    return name, level_db, Axes(tuple(float(hz) for hz in band_hz), 0.01, n_frames)


def test_sensors_lie_side_by_side_on_one_axis_in_hz_and_s(tmp_path: Path, words: Callable[[Path], set[str]]) -> None:
    panels = [panel(8000, "16 kHz sensor"), panel(1000, "2 kHz sensor"), panel(500, "1 kHz sensor")]
    found = words(spectrograms(panels, tmp_path / "heard.svg", title="A dog as three sensors hear it"))
    assert {"16 kHz sensor", "2 kHz sensor", "1 kHz sensor", "A dog as three sensors hear it"} <= found
    assert {"frequency (Hz)", "time (s)", "level (dB)", "not heard", "500", "1000", "8000"} <= found
    assert "16000" not in found


def test_what_is_not_heard_is_grey(tmp_path: Path, near: Callable[..., np.ndarray]) -> None:
    """Mel(500 Hz) is 607 and Mel(8 kHz) 2840: the 1 kHz sensor leaves about 79 % of its panel grey."""
    wide, low = panel(8000, "16 kHz"), panel(500, "1 kHz")
    alone = near(imread(spectrograms([wide, wide], tmp_path / "a.png")), (0.85, 0.85, 0.85))
    both = near(imread(spectrograms([wide, low], tmp_path / "b.png")), (0.85, 0.85, 0.85))
    column = both[:, both.sum(axis=0).argmax()]
    height = 2840 / (2840 - 607) * column.sum()
    assert both.mean() > 10 * alone.mean()
    assert height == pytest.approx(0.78 * both.shape[0], rel=0.1)


def test_all_panels_share_one_colour_scale(tmp_path: Path, near: Callable[..., np.ndarray]) -> None:
    """The loud band is yellow in the low-rate panel although quieter ones lie in the full one."""
    name, level_db, axes = panel(500, "1 kHz")
    yellow = (0.993248, 0.906157, 0.143936)
    loud = near(imread(spectrograms([panel(8000, "16 kHz"), (name, level_db, axes)], tmp_path / "a.png")), yellow)
    quiet = near(imread(spectrograms([panel(8000, "16 kHz"), (name, level_db - 20, axes)], tmp_path / "b.png")), yellow)
    right = slice(loud.shape[1] // 2, int(0.85 * loud.shape[1]))
    assert loud[:, right].sum() > 1000
    assert quiet[:, right].sum() == 0


def test_what_no_sensor_hears_is_refused(tmp_path: Path) -> None:
    name, level_db, axes = panel(500, "1 kHz")
    with pytest.raises(HearlessError, match="needs a panel"):
        spectrograms([], tmp_path / "a.png")
    with pytest.raises(HearlessError, match="as their axes say"):
        spectrograms([(name, level_db.T, axes)], tmp_path / "a.png")
    with pytest.raises(HearlessError, match="floor under the logarithm"):
        spectrograms([(name, np.log(np.zeros_like(level_db) + np.nan), axes)], tmp_path / "a.png")
