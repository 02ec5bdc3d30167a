"""The full band: everything up to half its rate, from any rate."""

from __future__ import annotations

import math

import pytest
import torch

from hearless.captures.full_band import FullBand
from hearless.dsp.resample import resample
from hearless.interfaces import HearlessError


def test_its_own_rate_passes_unchanged():
    waveform = torch.randn(2, 100)
    assert FullBand(rate_hz=16000)(waveform, 16000) is waveform


@pytest.mark.parametrize("rate_hz", [44100, 8000])
def test_other_rates_are_resampled(rate_hz):
    waveform = torch.randn(2, rate_hz)
    heard = FullBand(rate_hz=16000)(waveform, rate_hz, ("a", None))
    assert heard.shape == (2, 16000)
    torch.testing.assert_close(heard, resample(waveform, rate_hz, 16000))


def test_a_slow_file_stays_silent_above_its_own_nyquist():
    tone = torch.sin(2.0 * math.pi * 900.0 * torch.arange(4000, dtype=torch.float64) / 4000.0)[None]
    spectrum = torch.fft.rfft(FullBand(rate_hz=16000)(tone, 4000)[:, 1600:-1600] * torch.hann_window(12800)).abs()
    assert 20.0 * torch.log10(spectrum[:, 2100 * 8 // 10 :].max() / spectrum.max()) < -90.0


def test_it_would_hear_its_own_rate():
    capture = FullBand(rate_hz=32000)
    assert (capture.rate_hz, capture.source_rate_hz) == (32000, 32000)


def test_no_rate_is_refused():
    with pytest.raises(HearlessError, match="rate_hz must be at least 1, got 0"):
        FullBand(rate_hz=0)
