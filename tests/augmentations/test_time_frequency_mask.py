"""TimeFrequencyMask against a plain loop and AST's statistics, filled by a real front end's axes, and wrong input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.time_frequency_mask import TimeFrequencyMask
from hearless.frontends.kaldi_fbank import KaldiFbank
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
FRONTEND = KaldiFbank(frames=128, mean=-6.845978, deviation=5.5654526)
AXES = FRONTEND.axes(16000)


def filled(value: float) -> Axes:
    """Return the axes of a front end that turns 0 into ``value``."""
    return replace(AXES, mask_value=value)


def drawn(mask, n, duration_s=1.28, seed=0):
    rng = np.random.default_rng(seed)
    return [mask.draw(rng, CLIP, duration_s) for _ in range(n)]


def features(n):
    return torch.randn(n, 1, 128, 128, generator=torch.Generator().manual_seed(1))


def test_it_equals_a_plain_loop():
    mask, x = TimeFrequencyMask(max_time_s=0.48, max_band_fraction=0.375), features(4)
    draws, expected = drawn(mask, 4), x.clone()
    for row, d in zip(expected, draws, strict=True):
        for frame in range(128):
            if d["time_from_s"] <= frame * 0.01 < d["time_to_s"]:
                row[:, :, frame] = 0.6
        for band, hz in enumerate(AXES.band_hz):
            if d["band_from_hz"] <= hz < d["band_to_hz"]:
                row[:, band] = 0.6
    assert torch.equal(mask.apply(x, draws, filled(0.6)), expected)


def test_masking_before_normalisation_is_the_same():
    """AST sets log-Mel to 0 and normalises then; filled with the axes' mask value, the order does not matter."""
    samples = 0.1 * torch.randn(4, 16000, generator=torch.Generator().manual_seed(2))
    mask, plain = TimeFrequencyMask(), KaldiFbank(frames=128, mean=0.0, deviation=0.5)
    draws = drawn(mask, 4)
    before = mask.apply(plain(samples), draws, plain.axes(16000))
    assert (before == 0.0).sum() > 1000
    normalised = (before - FRONTEND.mean) / (2 * FRONTEND.deviation)
    torch.testing.assert_close(mask.apply(FRONTEND(samples), draws, AXES), normalised)


@pytest.mark.parametrize(
    ("arguments", "frames", "bands"), [({}, 96, 24), ({"max_time_s": 0.48, "max_band_fraction": 0.375}, 48, 48)]
)
def test_widths_are_uniform_up_to_the_papers(arguments, frames, bands):
    mask, n = TimeFrequencyMask(**arguments), 600
    hidden = mask.apply(torch.zeros(n, 1, 128, 128), drawn(mask, n), filled(9.0))[:, 0] == 9.0
    in_time, in_bands = hidden.all(1).sum(-1).numpy(), hidden.all(2).sum(-1).numpy()
    for found, most in ((in_time, frames), (in_bands, bands)):
        assert most - 3 <= found.max() <= most + 1
        assert found.mean() == pytest.approx(most / 2, rel=0.06)


@pytest.mark.parametrize(("off", "axis"), [("max_time_s", 2), ("max_band_fraction", 1)])
def test_either_stripe_can_be_left_out(off, axis):
    mask = TimeFrequencyMask(**{off: 0.0})
    hidden = mask.apply(torch.zeros(20, 1, 128, 128), drawn(mask, 20), filled(9.0))[:, 0] == 9.0
    assert hidden.any()
    assert torch.equal(hidden, hidden.all(axis, keepdim=True).expand_as(hidden))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_features_keep_their_type(dtype):
    mask = TimeFrequencyMask()
    masked = mask.apply(features(3).to(dtype), drawn(mask, 3), filled(0.25))
    assert masked.dtype == dtype
    assert (masked == 0.25).any()


def test_outside_the_stripes_nothing_changes():
    mask, x = TimeFrequencyMask(), features(6)
    masked = mask.apply(x, drawn(mask, 6), filled(99.0))
    assert torch.equal(masked[masked != 99.0], x[masked != 99.0])
    assert (masked == 99.0).any()


def test_two_views_fill_the_same_stripes_each_with_its_own_value():
    mask, draws = TimeFrequencyMask(), drawn(TimeFrequencyMask(), 8)
    views = FRONTEND, PreEmphasisMel(input_rate_hz=16000)
    for view, value in zip(views, (0.615042, 0.9), strict=True):
        axes = view.axes(16000)
        x = torch.full((8, 1, 128, axes.n_frames), 77.0)
        masked = mask.apply(x, draws, axes)
        kept = masked == 77.0
        assert masked[~kept].unique().tolist() == pytest.approx([value], abs=1e-6)
        for row, d in zip(kept[:, 0], draws, strict=True):
            times, hz = torch.arange(axes.n_frames) * 0.01, torch.tensor(axes.band_hz, dtype=torch.float64)
            beside = (times < d["time_from_s"]) | (times >= d["time_to_s"])
            below = (hz < d["band_from_hz"]) | (hz >= d["band_to_hz"])
            assert torch.equal(row, below[:, None] & beside)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_time_s": -1.0}, "TimeFrequencyMask: max_time_s must be 0 or more and finite, got -1.0"),
        ({"max_time_s": float("nan")}, "max_time_s must be 0 or more"),
        ({"max_band_fraction": 1.5}, "max_band_fraction must lie in 0..1, got 1.5"),
        ({"max_time_s": 0.0, "max_band_fraction": 0.0}, "max_time_s or max_band_fraction must be above 0"),
        ({"low_hz": 9000.0}, "low_hz must be 0 or more and below high_hz"),
        ({"mel": "bark"}, "mel must be one of slaney, htk, kaldi, got bark"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(HearlessError, match=said):
        TimeFrequencyMask(**arguments)


def test_waveforms_and_other_axes_are_refused():
    draws = drawn(TimeFrequencyMask(), 2)
    with pytest.raises(HearlessError, match="needs their axes, got a rate of 16000 Hz"):
        TimeFrequencyMask().apply(torch.zeros(2, 100), draws, 16000)
    with pytest.raises(HearlessError, match=r"must be \[batch, 1, 128, 128\] on these axes, got \(2, 1, 64, 128\)"):
        TimeFrequencyMask().apply(torch.zeros(2, 1, 64, 128), draws, AXES)
