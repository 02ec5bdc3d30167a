"""Mel weights against librosa, against Kaldi's formula in numpy, and on another grid of bins."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from hearless.dsp.filterbanks import kaldi_centres, kaldi_weights, slaney_centres, slaney_weights
from hearless.interfaces import HearlessError


def grid(rate_hz: int, n_fft: int) -> tuple[float, ...]:
    return tuple(k * rate_hz / n_fft for k in range(n_fft // 2 + 1))


@pytest.mark.parametrize(
    ("rate_hz", "n_fft", "high_hz"), [(8000, 256, 4000.0), (16000, 512, 8000.0), (32000, 1024, 14000.0)]
)
def test_slaney_weights_are_librosas(rate_hz, n_fft, high_hz):
    theirs = librosa.filters.mel(sr=rate_hz, n_fft=n_fft, n_mels=64, fmin=50, fmax=high_hz, dtype=np.float64)
    np.testing.assert_allclose(slaney_weights(grid(rate_hz, n_fft), 64, 50.0, high_hz).T, theirs, rtol=1e-9, atol=1e-15)


def kaldi_by_hand(n_fft: int, rate_hz: int, n_bands: int, high_hz: float) -> np.ndarray:
    """Kaldi's rule, triangle by triangle, over all bins but the last."""
    mel = 1127.0 * np.log(1.0 + np.arange(n_fft // 2) * rate_hz / n_fft / 700.0)
    step = 1127.0 * np.log(1.0 + high_hz / 700.0) / (n_bands + 1)
    weights = np.zeros((n_fft // 2 + 1, n_bands))
    for band in range(n_bands):
        left, centre, right = band * step, (band + 1) * step, (band + 2) * step
        for k, place in enumerate(mel):
            if left < place <= centre:
                weights[k, band] = (place - left) / (centre - left)
            elif centre < place < right:
                weights[k, band] = (right - place) / (right - centre)
    return weights


@pytest.mark.parametrize(
    ("n_fft", "n_bands", "high_hz"), [(1024, 128, 15000.0), (4096, 256, 15500.0), (1024, 80, 16000.0)]
)
def test_kaldi_weights_follow_kaldis_rule(n_fft, n_bands, high_hz):
    ours = kaldi_weights(grid(32000, n_fft), n_bands, 0.0, high_hz)
    np.testing.assert_allclose(ours, kaldi_by_hand(n_fft, 32000, n_bands, high_hz), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weights", [slaney_weights, kaldi_weights])
def test_a_shorter_grid_is_a_crop_of_the_longer(weights):
    whole = weights(grid(16000, 512), 64, 50.0, 8000.0)
    part = weights(grid(1000, 32), 64, 50.0, 8000.0)
    torch.testing.assert_close(part, whole[:17], rtol=0, atol=0)


def test_slaney_bands_have_area_one():
    fine = tuple(k * 0.5 for k in range(16001))
    area = slaney_weights(fine, 64, 50.0, 8000.0).sum(0) * 0.5
    torch.testing.assert_close(area, torch.ones(64, dtype=torch.float64), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("weights", "centres"), [(slaney_weights, slaney_centres), (kaldi_weights, kaldi_centres)])
def test_a_band_peaks_at_its_centre(weights, centres):
    fine = tuple(float(k) for k in range(8001))
    peaks = weights(fine, 40, 50.0, 8000.0).argmax(0).to(torch.float64)
    np.testing.assert_allclose(peaks, centres(40, 50.0, 8000.0), atol=1.0)


@pytest.mark.parametrize(("n_bands", "low_hz", "high_hz"), [(0, 50.0, 8000.0), (64, 900.0, 800.0), (64, -1.0, 800.0)])
def test_a_bank_without_room_is_refused(n_bands, low_hz, high_hz):
    with pytest.raises(HearlessError, match="two rising edges"):
        kaldi_weights(grid(16000, 512), n_bands, low_hz, high_hz)
