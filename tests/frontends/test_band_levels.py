"""Levels as features: nothing but an axis."""

from __future__ import annotations

import pytest
import torch

from hearless.frontends.band_levels import BandLevels
from hearless.interfaces import HearlessError


def test_levels_pass_unchanged():
    levels = torch.randn(2, 29, 16)
    features = BandLevels()(levels)
    assert features.shape == (2, 1, 29, 16)
    assert torch.equal(features[:, 0], levels)


@pytest.mark.parametrize(("rate", "frame_s"), [(8, 0.125), (1, 1.0)])
def test_axes(rate, frame_s):
    axes = BandLevels(input_rate_hz=rate).axes(10)
    assert (axes.n_frames, axes.frame_s, len(axes.band_hz)) == (10, frame_s, 29)
    assert axes.band_hz[17] == 1000.0


def test_wrong_input():
    with pytest.raises(HearlessError, match=r"levels per second, one of 8, 1, got 16000"):
        BandLevels(input_rate_hz=16000)
    with pytest.raises(HearlessError, match=r"\[batch, 29, frame\], got torch.float32 of shape \(1, 31, 8\)"):
        BandLevels()(torch.zeros(1, 31, 8))
    with pytest.raises(HearlessError, match="floating point"):
        BandLevels()(torch.zeros(1, 29, 8, dtype=torch.int32))


def test_octaves():
    frontend = BandLevels(octaves="1/1")
    assert frontend(torch.zeros(2, 10, 8)).shape == (2, 1, 10, 8)
    assert frontend.n_bands == len(frontend.axes(8).band_hz) == 10
    with pytest.raises(HearlessError, match=r"\[batch, 10, frame\].*bands from 31.6 Hz to 15.8 kHz"):
        frontend(torch.zeros(2, 29, 8))
