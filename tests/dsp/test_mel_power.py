"""The three ways to Mel power agree; what the samples cannot hold is left out."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from hearless.dsp import mel_power
from hearless.dsp.filterbanks import slaney_weights
from hearless.dsp.mel_power import MelPower
from hearless.dsp.resample import resample
from hearless.dsp.spectra import Analysis
from hearless.interfaces import HearlessError

PANNS = Analysis(16000, 32.0, 10.0, 32.0)
WEIGHTS = partial(slaney_weights, n_bands=64, low_hz=50.0, high_hz=8000.0)


def build(input_rate_hz: int = 16000, path: str = "native") -> MelPower:
    return MelPower(PANNS, WEIGHTS, input_rate_hz=input_rate_hz, path=path)


def noise(rate_hz: int, seconds: float = 1.0, clips: int = 3) -> torch.Tensor:
    return torch.randn(clips, round(rate_hz * seconds), dtype=torch.float64, generator=torch.manual_seed(6))


def test_is_the_published_transform_times_the_whole_matrix():
    window = torch.hann_window(512, dtype=torch.float64)
    spectrum = torch.stft(noise(16000), 512, 160, window=window, pad_mode="reflect", return_complex=True)
    wanted = slaney_weights(PANNS.bin_hz(16000), 64, 50.0, 8000.0).T @ spectrum.abs().square()
    torch.testing.assert_close(build()(noise(16000)), wanted, rtol=1e-6, atol=1e-9)


def test_fft_and_atoms_agree(monkeypatch):
    by_fft = build(8000)
    monkeypatch.setattr(mel_power, "ATOMS_UP_TO_HZ", 8000)
    by_atoms = build(8000)
    assert (by_fft.by_fft, by_atoms.by_fft) == (True, False)
    sound = noise(8000)
    torch.testing.assert_close(by_fft(sound)[..., 2:-2], by_atoms(sound)[..., 2:-2], rtol=1e-4, atol=1e-9)


def test_upsampling_is_resampling_then_the_reference():
    sound = noise(1000)
    torch.testing.assert_close(build(1000, "upsample")(sound), build()(resample(sound, 1000, 16000)))


def test_a_batch_is_its_clips_however_many_fit_the_cache(monkeypatch):
    sound = noise(16000, clips=5)
    whole = build()(sound)
    monkeypatch.setattr(mel_power, "CACHED_VALUES", 1)
    torch.testing.assert_close(build()(sound), whole, rtol=1e-12, atol=0)


def test_power_does_not_depend_on_the_rate():
    """Noise below 0.8 of 500 Hz has the same Mel power from 1 kHz samples as from 16 kHz samples."""
    slow = resample(resample(noise(16000, 4.0, 2), 16000, 800), 800, 1000)
    fast = resample(slow, 1000, 16000)
    ours, theirs = build(1000)(slow)[..., 50:-50], build()(fast)[:, :8, 50:-50]
    torch.testing.assert_close(ours[:, :7], theirs[:, :7], rtol=0.02, atol=1e-3 * float(theirs.max()))


@pytest.mark.parametrize(("rate_hz", "audible"), [(250, 2), (1000, 10), (8000, 51), (16000, 64), (44100, 64)])
def test_only_bands_below_nyquist_are_audible(rate_hz, audible):
    assert build(rate_hz).n_audible == audible
    assert build(rate_hz)(noise(rate_hz)).shape == (3, audible, 101)


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"path": "sideways"}, "path must be one of native, upsample"), ({"input_rate_hz": 200}, "at least 250")],
)
def test_unknown_settings_are_refused(change, rule):
    with pytest.raises(HearlessError, match=rule):
        build(**change)


@pytest.mark.parametrize("sound", [torch.zeros(100), torch.zeros(2, 8000, dtype=torch.int16)])
def test_other_than_batches_of_samples_are_refused(sound):
    with pytest.raises(HearlessError, match="floating-point samples"):
        build()(sound)
