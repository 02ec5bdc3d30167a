"""Pre-emphasis: the same response in Hz at every rate, applied as a correlation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hearless.dsp.pre_emphasis import pre_emphasis_taps, pre_emphasise
from hearless.dsp.spectra import Analysis

MN04 = Analysis(32000, 25.0, 10.0, 32.0, 0.97)
NOISE = torch.randn(2, 8000, dtype=torch.float64, generator=torch.manual_seed(3))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 32000, 48000])
def test_pre_emphasis_keeps_its_response_in_hz(rate_hz):
    taps = pre_emphasis_taps(MN04, rate_hz).numpy()
    hz = np.linspace(30.0, 0.45 * min(rate_hz, 32000), 300)
    places = np.arange(len(taps)) - (len(taps) - 1) / 2.0
    ours = np.abs(np.exp(2j * np.pi * hz[:, None] / rate_hz * places) @ taps)
    theirs = np.abs(1.0 - 0.97 * np.exp(-2j * np.pi * hz / 32000.0))
    assert np.abs(20.0 * np.log10(ours / theirs)).max() < 0.02


@pytest.mark.parametrize("n_taps", [2, 8])
def test_pre_emphasise_is_a_correlation_with_its_taps(n_taps):
    taps = torch.randn(n_taps, dtype=torch.float64, generator=torch.manual_seed(4))
    reach = n_taps // 2 - 1
    padded = np.pad(NOISE[0].numpy(), reach, mode="reflect")
    ours = pre_emphasise(NOISE, taps)
    np.testing.assert_allclose(ours[0], np.correlate(padded, taps.numpy(), mode="valid"), atol=1e-12)
