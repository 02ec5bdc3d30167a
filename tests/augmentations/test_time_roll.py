"""TimeRoll against numpy, its laws, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.time_roll import TimeRoll
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
FEATURES = torch.randn(5, 1, 8, 30, generator=torch.Generator().manual_seed(0))
SHIFTS = [0, 1, -1, 29, -345]


def axes(n_bands=8, frame_s=0.01, n_frames=30):
    return Axes(tuple(100.0 * (i + 1) for i in range(n_bands)), frame_s, n_frames)


def test_it_equals_numpy():
    found = TimeRoll().apply(FEATURES, [{"shift_s": 0.01 * shift} for shift in SHIFTS], axes())
    for row, features, shift in zip(found, FEATURES, SHIFTS, strict=True):
        np.testing.assert_array_equal(row.numpy(), np.roll(features.numpy(), shift, axis=-1))


def test_there_and_back_is_the_identity():
    draws = [{"shift_s": float(s)} for s in np.random.default_rng(0).uniform(-0.3, 0.3, 5)]
    back = [{"shift_s": -d["shift_s"]} for d in draws]
    assert torch.equal(TimeRoll().apply(TimeRoll().apply(FEATURES, draws, axes()), back, axes()), FEATURES)


def test_a_shift_means_the_same_in_any_view():
    coarse, fine = torch.zeros(1, 1, 2, 30), torch.zeros(1, 1, 5, 60)
    coarse[..., 10], fine[..., 20] = 1.0, 1.0
    draws = [{"shift_s": 0.08}]
    after = TimeRoll().apply(coarse, draws, axes(2, 0.02, 30))[0, 0, 0].argmax() * 0.02
    assert after == TimeRoll().apply(fine, draws, axes(5, 0.01, 60))[0, 0, 0].argmax() * 0.01


def test_every_frame_keeps_its_bands():
    rolled = TimeRoll().apply(FEATURES, [{"shift_s": 0.037}] * 5, axes())
    torch.testing.assert_close(rolled.sort(-1).values, FEATURES.sort(-1).values, rtol=0, atol=0)
    torch.testing.assert_close(rolled[..., 4], FEATURES[..., 0], rtol=0, atol=0)


def test_shifts_are_uniform_within_their_bounds():
    rng = np.random.default_rng(1)
    drawn = np.array([TimeRoll(max_s=0.1).draw(rng, CLIP, 5.0)["shift_s"] for _ in range(4000)])
    np.testing.assert_allclose(np.quantile(drawn, [0, 0.25, 0.5, 0.75, 1]), [-0.1, -0.05, 0, 0.05, 0.1], atol=0.008)


@pytest.mark.parametrize("max_s", [0.0, -1.0, float("inf"), float("nan")])
def test_max_s_is_above_0(max_s):
    with pytest.raises(HearlessError, match=f"max_s must be above 0 s and finite, got {max_s}; leave it out"):
        TimeRoll(max_s=max_s)


def test_waveforms_are_refused():
    with pytest.raises(HearlessError, match="needs their axes, got a rate of 16000 Hz"):
        TimeRoll().apply(torch.zeros(1, 100), [{"shift_s": 0.0}], 16000)
