"""Third-octave levels against a plain loop, and the laws of a level meter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hearless.captures.third_octave import ThirdOctave
from hearless.dsp.octave_bands import CENTRE_HZ, INTERVALS, band_weights, edges_hz, tukey
from hearless.interfaces import HearlessError

RATE_HZ = 32000


def plain_loop(samples: np.ndarray, frame: int, hop: int) -> np.ndarray:
    """The published computation, a frame and a band at a time: ``[band, frame]``."""
    n_frames = 1 + max(0, math.ceil((len(samples) - frame) / hop))
    samples = np.pad(samples, (0, max(0, (n_frames - 1) * hop + frame - len(samples))))
    window = tukey(frame).numpy()
    correction = 1 / math.sqrt(np.mean(window**2))
    edges, distance = edges_hz().numpy(), RATE_HZ / frame
    levels = np.zeros((29, n_frames))
    for m in range(n_frames):
        power = np.abs(np.fft.rfft(samples[m * hop : m * hop + frame] * window)) ** 2
        for band in range(29):
            first, last = math.ceil(edges[band] / distance), math.ceil(edges[band + 1] / distance)
            rms = math.sqrt(power[first : last + 1].sum() / 2) / (frame / 2) * correction
            levels[band, m] = 20 * math.log10(rms if rms > 0 else 1e-9) + 26
    return levels


def noise(seconds: float = 2.0, clips: int = 1, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(clips, round(seconds * RATE_HZ), dtype=torch.float64, generator=rng)


def tone(hz: float, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE_HZ), dtype=torch.float64) / RATE_HZ
    return torch.sin(2 * math.pi * hz * time)[None]


@pytest.mark.parametrize("interval", ["fast", "slow"])
@pytest.mark.parametrize("seconds", [0.05, 1.0, 2.3])
def test_levels_are_those_of_the_plain_loop(interval, seconds):
    samples = noise(seconds)
    levels = ThirdOctave(interval=interval)(samples, RATE_HZ)
    frames = INTERVALS[interval]
    np.testing.assert_allclose(levels[0].numpy(), plain_loop(samples[0].numpy(), frames.frame, frames.hop), atol=1e-8)
    single = ThirdOctave(interval=interval)(samples.float(), RATE_HZ)
    torch.testing.assert_close(single.double(), levels, rtol=0, atol=2e-3)


def test_many_clips_at_once_are_each_clip():
    clips = noise(3.0, clips=5).float()
    capture = ThirdOctave()
    levels = capture(clips, RATE_HZ)
    assert levels.shape == (5, 29, 24)
    torch.testing.assert_close(levels, torch.cat([capture(clip[None], RATE_HZ) for clip in clips]))


@pytest.mark.parametrize("interval", ["fast", "slow"])
@pytest.mark.parametrize("bands", ["published", "iec61260"])
@pytest.mark.parametrize("band", [10, 14, 17, 22, 28])
def test_a_tone_lands_in_its_band_at_its_level(interval, bands, band):
    levels = ThirdOctave(interval=interval, bands=bands)(tone(CENTRE_HZ[band], 2.0), RATE_HZ)[0, :, 0]
    assert levels.argmax() == band
    assert levels[band].item() == pytest.approx(20 * math.log10(math.sqrt(0.5)) + 26, abs=0.1)


@pytest.mark.parametrize("bands", ["published", "iec61260"])
def test_one_impulse_follows_the_cell_counts(bands):
    impulse = torch.zeros(1, RATE_HZ, dtype=torch.float64)
    impulse[0, 2048] = 1.0
    levels = ThirdOctave(bands=bands)(impulse, RATE_HZ)[0, :, 0]
    counts = band_weights(bands, 4096).sum(0)
    torch.testing.assert_close(levels - levels[0], 10 * (counts / counts[0]).log10())


def test_white_noise_rises_by_one_db_a_band():
    levels = ThirdOctave()(noise(60.0, clips=4).float(), RATE_HZ)
    steps = (10 * (10 ** (levels / 10)).mean((0, 2)).log10()).diff()
    assert (steps[15:] - 1.0).abs().max() < 0.25
    assert (steps[:15] - 1.0).abs().max() > 0.25  # below, a band is too few cells wide


def test_iec_levels_add_to_the_band_limited_energy():
    samples = noise(4096 / RATE_HZ)
    total = (10 ** ((ThirdOctave(bands="iec61260")(samples, RATE_HZ)[0, :, 0] - 26) / 10)).sum().item()
    window = tukey(4096)
    power = torch.fft.rfft(samples[0] * window).abs().square()
    edges = edges_hz()[[0, -1]] * 4096 / RATE_HZ
    number = torch.arange(2049, dtype=torch.float64)
    inside = (torch.minimum(number + 0.5, edges[1]) - torch.maximum(number - 0.5, edges[0])).clamp(0, 1)
    assert total == pytest.approx((2 * power * inside).sum().item() / 4096 / window.square().sum().item(), rel=1e-9)


def test_ten_times_louder_is_20_db_and_silence_is_the_floor():
    capture = ThirdOctave()
    torch.testing.assert_close(capture(10 * noise(1.0), RATE_HZ), capture(noise(1.0), RATE_HZ) + 20)
    assert capture(torch.zeros(1, 4096), RATE_HZ).unique().tolist() == pytest.approx([-154.0])


def test_other_rates_are_resampled_and_leave_high_bands_empty():
    slow = torch.nn.functional.interpolate(noise(1.0)[None], 8000, mode="linear")[0]
    levels = ThirdOctave()(slow, 8000)
    assert levels.shape == (1, 29, 8)
    assert levels[0, 24:, 2:6].max() < levels[0, 15:21, 2:6].min() - 60


def test_rates():
    capture = ThirdOctave(interval="slow")
    assert (capture.rate_hz, capture.source_rate_hz, capture.minimum_rate_hz) == (1, 32000, 1)


def test_wrong_input():
    with pytest.raises(HearlessError, match=r"interval must be one of fast, slow, got 'peak'"):
        ThirdOctave(interval="peak")
    with pytest.raises(HearlessError, match=r"bands must be one of published, iec61260"):
        ThirdOctave(bands="mel")
    with pytest.raises(HearlessError, match=r"must be floating-point samples .*torch.int16"):
        ThirdOctave()(torch.zeros(1, 100, dtype=torch.int16), RATE_HZ)
    with pytest.raises(HearlessError, match=r"\[batch, time\]"):
        ThirdOctave()(torch.zeros(100), RATE_HZ)


@pytest.mark.parametrize("interval", ["fast", "slow"])
def test_octaves_add_up_the_thirds(interval):
    samples = noise(2.0)
    thirds = ThirdOctave(interval=interval, bands="iec61260")(samples, RATE_HZ)
    octaves = ThirdOctave(interval=interval, bands="iec61260", octaves="1/1")(samples, RATE_HZ)
    assert octaves.shape[1] == 10
    power = (10 ** (thirds[:, 1:28] / 10)).unflatten(1, (9, 3)).sum(2)
    torch.testing.assert_close(octaves[:, :9], 10 * power.log10())


@pytest.mark.parametrize("bands", ["published", "iec61260"])
def test_a_tone_lands_in_its_octave(bands):
    levels = ThirdOctave(bands=bands, octaves="1/1")(tone(2000.0), RATE_HZ)[0, :, 0]
    assert levels.argmax() == 6
    assert levels[6].item() == pytest.approx(20 * math.log10(math.sqrt(0.5)) + 26, abs=0.1)


def test_misread_sound_is_half_as_long_and_an_octave_up():
    heard = torch.nn.functional.interpolate(tone(2000.0, 4.0)[None], 4 * 16000, mode="linear")[0]
    levels = ThirdOctave(misread_hz=16000)(heard, 16000)
    assert levels.shape == (1, 29, 16)
    torch.testing.assert_close(levels, ThirdOctave()(heard, RATE_HZ))
    assert levels[0, :, 3].argmax() == ThirdOctave()(tone(4000.0), RATE_HZ)[0, :, 3].argmax()
    short = ThirdOctave(misread_hz=16000)(heard[:, :16000], 16000)
    assert short.shape == (1, 29, 8)
    assert (short[0, :, 5:] == -154).all()


def test_other_bands_and_rates_are_refused():
    with pytest.raises(HearlessError, match=r"ThirdOctave: octaves must be one of 1/3, 1/1, got '1/6'"):
        ThirdOctave(octaves="1/6")
    with pytest.raises(HearlessError, match="misread_hz must be 0 or more, got -1"):
        ThirdOctave(misread_hz=-1)
