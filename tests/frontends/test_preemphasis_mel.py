"""PreEmphasisMel against its formula in numpy, its two paths against each other, and its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError

DB = 10.0 / math.log(10.0) * 5.0
FLOOR = (math.log(1e-5) + 4.5) / 5.0
FLEXINET = {"window_ms": 96.0, "hop_ms": 15.625, "fft_ms": 128.0, "mel_bands": 256, "high_hz": 15500.0}


def by_hand(sound, window=800, n_fft=1024, hop=320, n_bands=128, high_hz=15000.0):
    """Pre-emphasis, Hann, power, Kaldi Mel, log, as stated, one frame after the other."""
    emphasised = np.pad(sound[1:] - 0.97 * sound[:-1], n_fft // 2, mode="reflect")
    gap = (n_fft - window) // 2
    hann = np.pad(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / (window - 1)), gap)
    starts = range(0, len(emphasised) - n_fft + 1, hop)
    power = np.stack([np.abs(np.fft.rfft(emphasised[s : s + n_fft] * hann)) ** 2 for s in starts])
    mel_of_bin = 1127.0 * np.log(1.0 + np.arange(n_fft // 2) * 32000 / n_fft / 700.0)
    edges = np.linspace(0.0, 1127.0 * np.log(1.0 + high_hz / 700.0), n_bands + 2)
    bank = np.stack([np.interp(mel_of_bin, edges[i : i + 3], [0.0, 1.0, 0.0]) for i in range(n_bands)])
    return (np.log(bank @ power[:, :-1].T + 1e-5) + 4.5) / 5.0


def noise(n_samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(1, n_samples, dtype=torch.float64, generator=torch.manual_seed(9))


def test_mn04_is_its_formula():
    sound = noise(32000)
    ours = PreEmphasisMel()(sound)[0, 0]
    assert ours.shape == (128, 100)
    np.testing.assert_allclose(ours, by_hand(sound[0].numpy()), atol=1e-5)


def test_single_precision_is_close_to_the_formula():
    sound = noise(32000)
    np.testing.assert_allclose(PreEmphasisMel()(sound.float())[0, 0], by_hand(sound[0].numpy()), atol=1e-4)


@pytest.mark.parametrize(("hop_ms", "hop", "frames"), [(15.625, 500, 64), (23.4375, 750, 43)])
def test_ds_flexinet_and_cp_resnet_are_their_formula(hop_ms, hop, frames):
    sound = noise(32000)
    ours = PreEmphasisMel(**{**FLEXINET, "hop_ms": hop_ms})(sound)[0, 0]
    assert ours.shape == (256, frames)
    np.testing.assert_allclose(ours, by_hand(sound[0].numpy(), 3072, 4096, hop, 256, 15500.0), atol=1e-5)


@pytest.mark.parametrize(("input_rate_hz", "high_hz"), [(32000, 15000.0), (32000, 16000.0), (8000, 15000.0)])
def test_another_upper_edge_for_one_call_is_the_front_end_made_with_it(input_rate_hz, high_hz):
    sound = noise(2 * input_rate_hz)
    made, other = (
        PreEmphasisMel(**{**FLEXINET, "high_hz": edge}, input_rate_hz=input_rate_hz) for edge in (15500.0, high_hz)
    )
    plain = made(sound)
    heard = min(made.mel_power.n_audible, other.mel_power.n_audible) - 1
    torch.testing.assert_close(made(sound, high_hz)[:, :, :heard], other(sound)[:, :, :heard], rtol=0, atol=1e-9)
    assert (made(sound, high_hz) - plain).abs().max() > 0.01
    assert torch.equal(made(sound), plain)
    assert torch.equal(made(sound, 15500.0), plain)


def test_another_upper_edge_must_lie_below_half_the_rate():
    with pytest.raises(HearlessError, match="high_hz must lie above 0 and not above 16000, got 16500"):
        PreEmphasisMel(**FLEXINET)(noise(32000), 16500.0)


def test_the_two_paths_agree_on_tones(sensor, tones, tone_error):
    rate_hz, hz = sensor
    native, upsampled = (PreEmphasisMel(input_rate_hz=rate_hz, path=path) for path in ("native", "upsample"))
    sound = tones(hz, rate_hz)
    assert DB * tone_error(native(sound), upsampled(sound)) < 0.05


def test_native_is_what_the_full_rate_hears(sensor, tones, tone_error):
    rate_hz, hz = sensor
    native, reference = PreEmphasisMel(input_rate_hz=rate_hz).double(), PreEmphasisMel()
    assert DB * tone_error(native(tones(hz, rate_hz)), reference(tones(hz, 32000))) < 0.05


@pytest.mark.parametrize("rate_hz", [11025, 16000, 44100, 48000])
def test_other_rates_hear_the_same(tones, tone_error, rate_hz):
    hz = torch.linspace(100.0, 4000.0, 9)
    native, reference = PreEmphasisMel(input_rate_hz=rate_hz).double(), PreEmphasisMel()
    assert DB * tone_error(native(tones(hz, rate_hz)), reference(tones(hz, 32000))) < 0.05


def test_noise_of_a_16_khz_file_is_what_the_up_sampled_path_hears():
    """The main teacher's ear: every band below 0.9 Nyquist, every inner frame."""
    sound = noise(16000)
    native = PreEmphasisMel(input_rate_hz=16000)(sound)[..., :100, 5:-5]
    upsampled = PreEmphasisMel(input_rate_hz=16000, path="upsample")(sound)[..., :100, 5:-5]
    assert DB * (native - upsampled).abs().max() < 0.1


@pytest.mark.parametrize("settings", [{}, FLEXINET])
def test_long_windows_hear_low_rates_too(tones, tone_error, settings):
    hz = torch.linspace(60.0, 400.0, 9)
    native, reference = PreEmphasisMel(input_rate_hz=1000, **settings).double(), PreEmphasisMel(**settings)
    assert DB * tone_error(native(tones(hz, 1000)), reference(tones(hz, 32000))) < 0.05


@pytest.mark.parametrize("rate_hz", [250, 1000, 16000])
def test_bands_above_nyquist_lie_at_the_floor(rate_hz):
    frontend = PreEmphasisMel(input_rate_hz=rate_hz)
    features = frontend(torch.randn(2, 2 * rate_hz, generator=torch.manual_seed(0)))
    edge_hz = np.append(frontend.axes(rate_hz).band_hz, 15000.0)
    deaf = torch.from_numpy(edge_hz[:-1] >= rate_hz / 2.0 + np.diff(edge_hz))
    assert (features[:, :, deaf] == torch.tensor(FLOOR)).all()
    assert features.max() > FLOOR + 0.1


def test_bands_crops_the_axis():
    sound = noise(2000).float()
    whole, low = PreEmphasisMel(input_rate_hz=1000), PreEmphasisMel(input_rate_hz=1000, bands=24)
    assert low.n_bands == 24
    assert low.axes(2000).band_hz == whole.axes(2000).band_hz[:24]
    torch.testing.assert_close(low(sound), whole(sound)[:, :, :24])


@pytest.mark.parametrize("settings", [{}, FLEXINET, {"input_rate_hz": 1000, "bands": 24}])
def test_the_mask_value_is_a_logarithm_of_0_after_normalisation(settings):
    frontend = PreEmphasisMel(**settings)
    axes = frontend.axes(2 * frontend.input_rate_hz)
    assert axes.mask_value == pytest.approx(0.9)
    silence = frontend(torch.zeros(1, 2 * frontend.input_rate_hz))
    torch.testing.assert_close(5.0 * (axes.mask_value - silence), torch.full_like(silence, -math.log(1e-5)))


@pytest.mark.parametrize(
    ("rate_hz", "seconds", "frames"),
    [(32000, 5, 500), (32000, 10, 1000), (16000, 10, 1000), (1000, 5, 500), (250, 5, 500)],
)
def test_frames_are_the_references(rate_hz, seconds, frames):
    frontend = PreEmphasisMel(input_rate_hz=rate_hz)
    assert frontend(torch.zeros(1, seconds * rate_hz)).shape == (1, 1, 128, frames)
    assert (frontend.axes(seconds * rate_hz).n_frames, frontend.axes(seconds * rate_hz).frame_s) == (frames, 0.01)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"bands": 129}, "bands must lie between 1 and 128, got 129"),
        ({"high_hz": 17000.0}, "not above half of reference_rate_hz=32000, got 17000"),
        ({"hop_ms": 10.01}, "hop_ms must be a whole number of samples"),
        ({"path": "down"}, "path must be one of native, upsample"),
        ({"mel_bands": 0}, "at least one band"),
    ],
)
def test_unknown_settings_are_refused(settings, rule):
    with pytest.raises(HearlessError, match=rule):
        PreEmphasisMel(**settings)


@pytest.mark.parametrize(("rate_hz", "n_samples"), [(32000, 513), (16000, 200), (1000, 10)])
def test_a_clip_shorter_than_half_an_fft_is_refused(rate_hz, n_samples):
    with pytest.raises(HearlessError, match="pad the clip with silence"):
        PreEmphasisMel(input_rate_hz=rate_hz)(torch.zeros(1, n_samples))
