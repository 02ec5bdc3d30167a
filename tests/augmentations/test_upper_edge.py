"""UpperEdge against a front end that truly computes another edge, its laws, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.upper_edge import UpperEdge
from hearless.dsp.scales import hz_to_kaldi, kaldi_to_hz
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
SHIFTS = [500.0, -500.0, 130.0, 0.0]
DRAWS = [{"shift_hz": shift} for shift in SHIFTS]


def wide() -> PreEmphasisMel:
    return PreEmphasisMel(
        reference_rate_hz=32000, input_rate_hz=32000, window_ms=96.0, hop_ms=15.625, fft_ms=128.0, mel_bands=256,
        high_hz=15500.0,
    )  # fmt: skip


def axes(n_bands: int = 40, high_hz: float = 15500.0) -> Axes:
    mel = torch.arange(1, n_bands + 1, dtype=torch.float64) * hz_to_kaldi(high_hz) / (n_bands + 1)
    return Axes(tuple(kaldi_to_hz(mel).tolist()), 0.01, 7)


def test_it_is_nearly_what_the_front_end_computes_with_that_edge() -> None:
    generator = torch.Generator().manual_seed(0)
    time_s = torch.arange(32000) / 32000
    chirp = torch.sin(2 * torch.pi * (300 * time_s + 6500 * time_s**2))
    sound = (0.3 * chirp + 0.01 * torch.randn(32000, generator=generator))[None]
    frontend = wide()
    straight = frontend(sound)
    for shift in (500.0, -500.0):
        truth = frontend(sound, high_hz=15500.0 + shift)
        found = UpperEdge().apply(straight, [{"shift_hz": shift}], frontend.axes(32000))
        was, now = ((truth - other)[:, :, 20:].abs().mean() for other in (straight, found))
        assert now < 0.25 * was
        assert now < 0.05


def test_a_ramp_along_mel_stays_a_ramp_of_another_slope() -> None:
    where = axes()
    ramp = hz_to_kaldi(torch.tensor(where.band_hz)).float()[None, None, :, None].expand(4, 1, 40, 7)
    found = UpperEdge().apply(ramp, DRAWS, where)
    for row, shift in zip(found, SHIFTS, strict=True):
        stretched = ramp[0] * hz_to_kaldi(15500.0 + shift) / hz_to_kaldi(15500.0)
        torch.testing.assert_close(row, stretched.clamp(max=ramp.max(), min=ramp.min()))


def test_no_shift_changes_nothing_and_teachers_hear_none() -> None:
    features = torch.randn(4, 1, 40, 7, generator=torch.Generator().manual_seed(1))
    found = UpperEdge().apply(features, DRAWS, axes())
    torch.testing.assert_close(found[3], features[3])
    assert not torch.allclose(found[0], features[0])
    assert UpperEdge().hearers == "student"


def test_it_commutes_with_a_roll_in_time_and_takes_one_band() -> None:
    features = torch.randn(4, 1, 40, 7, generator=torch.Generator().manual_seed(2))
    rolled = UpperEdge().apply(features.roll(3, -1), DRAWS, axes())
    torch.testing.assert_close(rolled, UpperEdge().apply(features, DRAWS, axes()).roll(3, -1))
    torch.testing.assert_close(UpperEdge().apply(features[:, :, :1], DRAWS, axes(1)), features[:, :, :1])


def test_shifts_are_uniform_within_their_bounds() -> None:
    rng = np.random.default_rng(1)
    drawn = [UpperEdge(max_shift_hz=200.0).draw(rng, CLIP, 1.0)["shift_hz"] for _ in range(4000)]
    np.testing.assert_allclose(np.quantile(drawn, [0, 0.25, 0.5, 0.75, 1]), [-200, -100, 0, 100, 200], atol=16)


def test_wrong_input() -> None:
    for shift in (0.0, 15500.0, -1.0, float("nan")):
        with pytest.raises(HearlessError, match="max_shift_hz must lie between 0 and high_hz=15500"):
            UpperEdge(max_shift_hz=shift)
    features = torch.zeros(4, 1, 40, 7)
    with pytest.raises(HearlessError, match="needs their axes, got a rate of 32000 Hz"):
        UpperEdge().apply(features, DRAWS, 32000)
    with pytest.raises(HearlessError, match="axes of 12 bands, got features of 40"):
        UpperEdge().apply(features, DRAWS, axes(12))
    with pytest.raises(HearlessError, match="one draw per clip, got 1 draws for 4 clips"):
        UpperEdge().apply(features, DRAWS[:1], axes())
