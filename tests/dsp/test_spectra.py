"""Windows and short-time spectra against torch.stft, and the counting of frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hearless.dsp.spectra import Analysis, fft_parts, fft_window, hann, reflect
from hearless.interfaces import HearlessError

PANNS = Analysis(16000, 32.0, 10.0, 32.0)
MN04 = Analysis(32000, 25.0, 10.0, 32.0, 0.97)
NOISE = torch.randn(2, 8000, dtype=torch.float64, generator=torch.manual_seed(3))


def power(parts: torch.Tensor) -> torch.Tensor:
    return parts.square().unflatten(-1, (-1, 2)).sum(-1)


def test_windows_are_the_published_ones():
    torch.testing.assert_close(fft_window(PANNS, 16000), torch.hann_window(512, dtype=torch.float64))
    plain = torch.hann_window(800, periodic=False, dtype=torch.float64)
    torch.testing.assert_close(fft_window(MN04, 32000), torch.nn.functional.pad(plain, (112, 112)))


def test_fft_parts_are_torchs_stft():
    window = fft_window(PANNS, 16000)
    theirs = torch.stft(NOISE, 512, 160, window=window, center=True, pad_mode="reflect", return_complex=True)
    ours = fft_parts(NOISE, window, 160, PANNS.n_frames(8000, 16000))
    torch.testing.assert_close(power(ours), theirs.abs().square().mT)


def test_hann_ends_at_its_support():
    window = hann(torch.tensor([-0.2, -0.1, 0.0, 0.05, 0.1, 3.0]), 0.2)
    torch.testing.assert_close(window, torch.tensor([0.0, 0.0, 1.0, 0.5, 0.0, 0.0]))


@pytest.mark.parametrize(("n_samples", "rate_hz"), [(80000, 16000), (5000, 1000), (1250, 250), (220500, 44100)])
def test_five_seconds_are_as_many_frames_at_every_rate(n_samples, rate_hz):
    assert (PANNS.n_frames(n_samples, rate_hz), MN04.n_frames(n_samples, rate_hz)) == (501, 500)


def test_reflect_is_numpys_and_adds_silence():
    padded = reflect(NOISE, 5, 7, 8100)
    np.testing.assert_array_equal(padded[:, :8012], np.pad(NOISE.numpy(), ((0, 0), (5, 7)), mode="reflect"))
    assert padded.shape == (2, 8100)
    assert padded[:, 8012:].abs().max() == 0.0


def test_a_waveform_too_short_to_reflect_is_refused():
    with pytest.raises(HearlessError, match="longer than the 16 samples"):
        reflect(torch.zeros(1, 16), 16, 3, 0)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"hop_ms": 10.01}, "hop_ms must be a whole number of samples"),
        ({"window_ms": 0.0}, "window_ms must be a whole number of samples"),
        ({"fft_ms": 20.0}, "window_ms must not exceed fft_ms"),
    ],
)
def test_an_analysis_between_samples_is_refused(changes, rule):
    settings = {"rate_hz": 16000, "window_ms": 32.0, "hop_ms": 10.0, "fft_ms": 32.0}
    with pytest.raises(HearlessError, match=rule):
        Analysis(**{**settings, **changes})
