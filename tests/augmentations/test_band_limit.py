"""What a sensor of a drawn rate keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.band_limit import BandLimit
from hearless.captures.low_rate import LowRate
from hearless.dsp.resample import resample
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("x",))


def tone(hz: float, rate_hz: int = 16000, seconds: float = 1.0) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(round(seconds * rate_hz), dtype=torch.float64) / rate_hz)


def test_tones_above_half_the_drawn_rate_die_and_those_below_pass() -> None:
    heard = BandLimit().apply(
        torch.stack([tone(300), tone(600)] * 2), [{"rate_hz": r} for r in (1000, 1000, 2000, 500)], 16000
    )
    power = heard[:, 2000:-2000].square().mean(1)
    np.testing.assert_allclose(power[[0, 2]], 0.5, rtol=2e-3)
    assert power[1] < 1e-9
    assert power[3] < 1e-9


def test_it_keeps_what_a_low_rate_capture_keeps() -> None:
    sound = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    heard = BandLimit().apply(sound, [{"rate_hz": 1000.0}] * 2, 16000)
    kept = LowRate(rate_hz=1000)(sound, 16000)
    torch.testing.assert_close(heard, resample(kept, 1000, 16000)[:, :16000], atol=1e-9, rtol=0)


def test_a_rate_that_is_no_lower_leaves_the_clip_alone() -> None:
    sound = torch.randn(3, 800, generator=torch.Generator().manual_seed(0))
    heard = BandLimit().apply(sound, [{"rate_hz": r} for r in (16000.0, 8000.0, 1000.0)], 8000)
    assert torch.equal(heard[:2], sound[:2])
    assert not torch.equal(heard[2], sound[2])
    assert heard.shape == sound.shape


def test_each_rate_is_as_likely() -> None:
    rng = np.random.default_rng(0)
    drawn = [BandLimit(rates_hz="500, 1000,4000").draw(rng, CLIP, 1.0)["rate_hz"] for _ in range(3000)]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [500, 1000, 4000]
    np.testing.assert_allclose(counts / 3000, 1 / 3, atol=0.03)


def test_the_teacher_may_hear_it_too() -> None:
    assert (BandLimit().hearers, BandLimit(student_only=False).hearers) == ("student", "both")


@pytest.mark.parametrize("rates_hz", ["", "1k", "100", "1000;2000", "1000,"])
def test_rates_that_are_none_are_refused(rates_hz: str) -> None:
    with pytest.raises(HearlessError, match="rates_hz must be whole numbers from 250 on"):
        BandLimit(rates_hz=rates_hz)


def test_features_are_refused() -> None:
    with pytest.raises(HearlessError, match="changes waveforms and needs their rate"):
        BandLimit().apply(torch.zeros(1, 1, 2, 2), [{"rate_hz": 1000.0}], Axes((1.0, 2.0), 0.1, 2))
