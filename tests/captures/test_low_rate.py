"""The low-rate sensor: what is above its Nyquist dies, what is below passes, and it never up-samples."""

from __future__ import annotations

import math

import pytest
import torch

from hearless.captures.low_rate import LowRate
from hearless.interfaces import HearlessError


def tone(hz: float, rate_hz: int) -> torch.Tensor:
    return torch.sin(2.0 * math.pi * hz * torch.arange(4 * rate_hz, dtype=torch.float64) / rate_hz)[None]


@pytest.mark.parametrize("rate_hz", [16000, 44100, 8000])
def test_a_tone_below_passes_and_one_above_dies(rate_hz):
    capture = LowRate(rate_hz=1000, source_rate_hz=16000)
    kept, lost = capture(tone(300.0, rate_hz), rate_hz), capture(tone(700.0, rate_hz), rate_hz)
    assert kept.shape == lost.shape == (1, 4000)
    torch.testing.assert_close(kept[:, 200:-200], tone(300.0, 1000)[:, 200:-200], rtol=0, atol=1e-3)
    assert lost[:, 200:-200].abs().max() < 1e-5


def test_its_own_rate_passes_unchanged():
    waveform = torch.randn(2, 100)
    assert LowRate(rate_hz=2000)(waveform, 2000, ("a", "b")) is waveform


def test_it_never_up_samples():
    with pytest.raises(HearlessError, match=r"500 Hz cannot be captured by a sensor of rate_hz=1000.*lower rate_hz"):
        LowRate(rate_hz=1000)(torch.zeros(1, 100), 500)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"rate_hz": 249}, "at least 250, got 249"),
        ({"rate_hz": 16000, "source_rate_hz": 8000}, "source_rate_hz must not be below rate_hz, got 8000 below 16000"),
    ],
)
def test_an_impossible_sensor_is_refused(settings, rule):
    with pytest.raises(HearlessError, match=rule):
        LowRate(**settings)
