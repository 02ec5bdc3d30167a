"""Roll against numpy and torch, its laws, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.roll import Roll, rolled
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
WAVES = torch.randn(5, 1000, generator=torch.Generator().manual_seed(0))
SHIFTS = [0, 1, -1, 999, -3456]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int16, torch.complex64])
def test_it_equals_numpy_and_torch(dtype):
    waves = (WAVES * 1000).to(dtype)
    found = Roll().apply(waves, [{"shift_s": s / 1000} for s in SHIFTS], 1000)
    assert found.dtype == dtype
    for row, wave, shift in zip(found, waves, SHIFTS, strict=True):
        np.testing.assert_array_equal(row.numpy(), np.roll(wave.numpy(), shift))
        assert torch.equal(row, torch.roll(wave, shift))


def test_there_and_back_is_the_identity():
    draws = [{"shift_s": float(s)} for s in np.random.default_rng(0).uniform(-3, 3, 5)]
    back = [{"shift_s": -d["shift_s"]} for d in draws]
    assert torch.equal(Roll().apply(Roll().apply(WAVES, draws, 1000), back, 1000), WAVES)


def test_a_shift_means_the_same_at_any_rate():
    low = torch.zeros(1, 100)
    low[0, 10] = 1.0
    high = torch.zeros(1, 1600)
    high[0, 160] = 1.0
    draws = [{"shift_s": 0.33}]
    assert Roll().apply(low, draws, 100).argmax() / 100 == Roll().apply(high, draws, 1600).argmax() / 1600


def test_shifts_are_uniform_within_their_bounds():
    rng = np.random.default_rng(1)
    near = np.array([Roll(max_s=0.1).draw(rng, CLIP, 5.0)["shift_s"] for _ in range(4000)])
    anywhere = np.array([Roll().draw(rng, CLIP, 5.0)["shift_s"] for _ in range(4000)])
    np.testing.assert_allclose(np.quantile(near, [0, 0.25, 0.5, 0.75, 1]), [-0.1, -0.05, 0, 0.05, 0.1], atol=0.008)
    np.testing.assert_allclose(np.quantile(anywhere, [0, 0.25, 0.5, 0.75, 1]), [0, 1.25, 2.5, 3.75, 5], atol=0.2)


def test_an_empty_waveform_stays_empty():
    assert rolled(torch.zeros(2, 0), [1, 2]).shape == (2, 0)


@pytest.mark.parametrize("max_s", [0.0, -1.0, float("inf"), float("nan")])
def test_max_s_is_above_0(max_s):
    with pytest.raises(HearlessError, match=f"max_s must be above 0 s and finite, got {max_s}; None rolls"):
        Roll(max_s=max_s)


def test_features_are_refused():
    with pytest.raises(HearlessError, match="needs their rate in Hz, got the axes"):
        Roll().apply(WAVES, [{"shift_s": 0.0}] * 5, Axes((100.0,), 0.01, 10))
