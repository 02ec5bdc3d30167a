"""LogMel against librosa on tones and real clips, its two paths against each other, and its refusals."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import soundfile
import torch

from hearless.frontends.log_mel import LogMel
from hearless.interfaces import HearlessError

HIGH_HZ = {8000: 4000, 16000: 8000, 32000: 14000}


def by_librosa(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    n_fft = rate_hz * 32 // 1000
    power = librosa.feature.melspectrogram(
        y=sound, sr=rate_hz, n_fft=n_fft, hop_length=rate_hz // 100, window="hann", center=True, pad_mode="reflect",
        power=2.0, n_mels=64, fmin=50, fmax=HIGH_HZ[rate_hz],
    )  # fmt: skip
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 32000])
@pytest.mark.parametrize("hz", [83.0, 440.0, 1000.0, 3210.0])
def test_a_tone_is_librosas(tones, rate_hz, hz):
    tone = tones(torch.tensor([hz]), rate_hz, 1.0)
    frontend = LogMel(input_rate_hz=rate_hz, reference_rate_hz=rate_hz)
    np.testing.assert_allclose(frontend(tone)[0, 0], by_librosa(tone[0].numpy(), rate_hz), atol=1e-3)


@pytest.mark.data
@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_real_clip_is_librosas(shared, number):
    path = sorted((shared / "data" / "esc50_subset_16k" / "audio").glob("*"))[number]
    sound, rate_hz = soundfile.read(path, dtype="float32")
    theirs = by_librosa(sound.astype(np.float64), rate_hz)
    error = np.abs(LogMel()(torch.from_numpy(sound)[None])[0, 0].numpy() - theirs)
    loud = theirs > theirs.max() - 60.0
    assert error.shape == (64, 501)
    assert error[loud].max() < 1e-3
    assert error.max() < 0.1


def test_the_two_paths_agree_on_tones(sensor, tones, tone_error):
    rate_hz, hz = sensor
    native, upsampled = (LogMel(input_rate_hz=rate_hz, path=path) for path in ("native", "upsample"))
    sound = tones(hz, rate_hz)
    assert tone_error(native(sound), upsampled(sound)) < 0.05


@pytest.mark.parametrize("reference_rate_hz", [16000, 32000])
def test_native_is_what_the_full_rate_hears(sensor, tones, tone_error, reference_rate_hz):
    rate_hz, hz = sensor
    native = LogMel(input_rate_hz=rate_hz, reference_rate_hz=reference_rate_hz)
    reference = LogMel(input_rate_hz=reference_rate_hz, reference_rate_hz=reference_rate_hz)
    assert tone_error(native(tones(hz, rate_hz)), reference(tones(hz, reference_rate_hz))) < 0.05


@pytest.mark.parametrize("rate_hz", [11025, 22050, 44100])
def test_odd_rates_hear_the_same(tones, tone_error, rate_hz):
    hz = torch.linspace(100.0, 4000.0, 9)
    native = LogMel(input_rate_hz=rate_hz)(tones(hz, rate_hz))
    assert tone_error(native, LogMel()(tones(hz, 16000))) < 0.005


@pytest.mark.parametrize("rate_hz", [250, 1000, 8000])
def test_bands_above_nyquist_lie_at_the_floor(rate_hz):
    features = LogMel(input_rate_hz=rate_hz)(torch.randn(2, 2 * rate_hz, generator=torch.manual_seed(0)))
    edge_hz = np.append(LogMel(input_rate_hz=rate_hz).axes(1).band_hz, 8000.0)
    deaf = torch.from_numpy(edge_hz[:-1] >= rate_hz / 2.0 + np.diff(edge_hz))
    assert (features[:, :, deaf] == -100.0).all()
    assert (features[:, :, 0] > -100.0).all()


def test_silence_lies_at_the_floor():
    assert (LogMel()(torch.zeros(1, 16000)) == -100.0).all()


def test_bands_crops_the_axis():
    sound = torch.randn(2, 2000, generator=torch.manual_seed(1))
    whole, low = LogMel(input_rate_hz=1000), LogMel(input_rate_hz=1000, bands=32)
    assert low.n_bands == 32
    assert low.axes(2000).band_hz == whole.axes(2000).band_hz[:32]
    torch.testing.assert_close(low(sound), whole(sound)[:, :, :32])


@pytest.mark.parametrize("path", ["native", "upsample"])
@pytest.mark.parametrize("rate_hz", [16000, 1000, 250])
def test_five_seconds_are_501_frames(rate_hz, path):
    frontend = LogMel(input_rate_hz=rate_hz, path=path)
    assert frontend(torch.zeros(1, 5 * rate_hz)).shape == (1, 1, 64, 501)
    assert (frontend.axes(5 * rate_hz).n_frames, frontend.axes(5 * rate_hz).frame_s) == (501, 0.01)


def test_gradients_reach_the_samples():
    sound = torch.randn(2, 1000, dtype=torch.float64, generator=torch.manual_seed(2), requires_grad=True)
    LogMel(input_rate_hz=1000)(sound).sum().backward()
    assert (sound.grad.abs().sum(dim=1) > 0.0).all()


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"reference_rate_hz": 22050}, "reference_rate_hz must be one of 8000, 16000, 32000, got 22050"),
        ({"bands": 65}, "bands must lie between 1 and 64, got 65"),
        ({"bands": 0}, "bands must lie between 1 and 64, got 0"),
        ({"path": "down"}, "path must be one of native, upsample, got 'down'"),
        ({"input_rate_hz": 100}, "input_rate_hz must be at least 250, got 100"),
    ],
)
def test_unknown_settings_are_refused(settings, rule):
    with pytest.raises(HearlessError, match=rule):
        LogMel(**settings)


@pytest.mark.parametrize(("rate_hz", "n_samples"), [(16000, 256), (1000, 10)])
def test_a_clip_shorter_than_half_a_window_is_refused(rate_hz, n_samples):
    with pytest.raises(HearlessError, match=f"got {n_samples}; pad the clip"):
        LogMel(input_rate_hz=rate_hz)(torch.zeros(1, n_samples))
