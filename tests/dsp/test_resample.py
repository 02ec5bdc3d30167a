"""The resampler keeps what it may, kills what it must, and says no to bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearless.dsp.resample import PASS_BAND, RIPPLE_DB, STOP_DB, resample, resampled_length
from hearless.interfaces import HearlessError

PAIRS = [(44100, 16000), (44100, 1000), (16000, 1000), (1000, 16000), (16000, 250), (16000, 32000), (1009, 997)]


def tone(hz: float, rate_hz: int, seconds: float) -> torch.Tensor:
    time = torch.arange(round(seconds * rate_hz), dtype=torch.float64) / rate_hz
    return torch.sin(2.0 * math.pi * hz * time + 0.4)


def inner(waveform: torch.Tensor, rate_hz: int, low_hz: int) -> torch.Tensor:
    edge = math.ceil(80 * rate_hz / low_hz)
    return waveform[..., edge:-edge]


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("part", [0.003, 0.31, 0.77, PASS_BAND])
def test_a_tone_in_the_pass_band_comes_out_as_that_tone(from_hz, to_hz, part):
    low_hz = min(from_hz, to_hz)
    hz, seconds = part * low_hz / 2.0, 600.0 / low_hz
    out = resample(tone(hz, from_hz, seconds), from_hz, to_hz)
    error = inner(out - tone(hz, to_hz, len(out) / to_hz), to_hz, low_hz)
    assert error.abs().max() < 10.0 ** (RIPPLE_DB / 20.0) - 1.0


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 16000), (44100, 1000), (16000, 1000), (16000, 250)])
@pytest.mark.parametrize("part", [1.0, 1.003, 1.01, 1.05, 1.3, 1.9])
def test_a_tone_above_the_new_nyquist_dies(from_hz, to_hz, part):
    rest = inner(resample(tone(part * to_hz / 2.0, from_hz, 600.0 / to_hz), from_hz, to_hz), to_hz, to_hz)
    assert 20.0 * rest.abs().max().log10() <= STOP_DB


def test_the_whole_frequency_response_keeps_its_bounds():
    """An up-sampled impulse traces the kernel; its spectrum is the response."""
    impulse = torch.zeros(401, dtype=torch.float64)
    impulse[200] = 1.0
    response = torch.fft.rfft(resample(impulse, 1000, 8000), n=2**15).abs() / 8.0
    place = torch.arange(len(response)) / (len(response) - 1) * 8.0
    level_db = 20.0 * response.clamp(min=1e-12).log10()
    assert level_db[place <= PASS_BAND].abs().max() <= RIPPLE_DB
    assert level_db[place >= 1.0].max() <= STOP_DB


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 16000), (16000, 1000), (1000, 16000), (44100, 32000)])
def test_agrees_with_soxr_in_band(from_hz, to_hz):
    low_hz = min(from_hz, to_hz)
    generator = np.random.default_rng(5)
    sound = sum(
        np.sin(2.0 * np.pi * part * low_hz / 2.0 * np.arange(from_hz) / from_hz + generator.uniform(0, 6))
        for part in np.linspace(0.02, 0.9, 23)
    )
    theirs = soxr.resample(sound, from_hz, to_hz, quality="VHQ")
    error = inner(resample(torch.from_numpy(sound), from_hz, to_hz) - torch.from_numpy(theirs), to_hz, low_hz)
    assert error.abs().max() < 2e-3 * np.abs(sound).max()


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_constant_stays_constant_away_from_the_edges(from_hz, to_hz):
    low_hz = min(from_hz, to_hz)
    out = inner(resample(torch.ones(from_hz * 300 // low_hz, dtype=torch.float64), from_hz, to_hz), to_hz, low_hz)
    torch.testing.assert_close(out, torch.ones_like(out), rtol=0, atol=2e-5)


def test_up_and_down_again_is_the_same():
    slow = inner(
        resample(torch.randn(4000, dtype=torch.float64, generator=torch.manual_seed(0)), 4000, 1000), 1000, 1000
    )
    again = resample(resample(slow, 1000, 16000), 16000, 1000)
    once_more = resample(resample(again, 1000, 16000), 16000, 1000)
    assert again.shape == slow.shape
    drift = inner(resample(again - once_more, 1000, 800), 800, 400)
    assert drift.abs().max() < 1e-4 * slow.abs().max()


def test_equal_rates_return_the_waveform_itself():
    waveform = torch.randn(2, 50)
    assert resample(waveform, 16000, 16000) is waveform


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3000), st.integers(50, 900), st.integers(50, 900))
def test_length_law(n_samples, from_hz, to_hz):
    out = resample(torch.ones(2, n_samples), from_hz, to_hz)
    assert out.shape == (2, math.ceil(n_samples * to_hz / from_hz)) == (2, resampled_length(n_samples, from_hz, to_hz))


def test_is_linear_and_batched():
    one, two = torch.randn(2, 3, 2000, dtype=torch.float64, generator=torch.manual_seed(1))
    both = resample(2.0 * one - 3.0 * two, 44100, 16000)
    torch.testing.assert_close(both, 2.0 * resample(one, 44100, 16000) - 3.0 * resample(two, 44100, 16000))
    torch.testing.assert_close(resample(one, 44100, 16000)[1], resample(one[1], 44100, 16000))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8, 3), (3, 8), (7, 5)])
def test_gradients_are_right(from_hz, to_hz):
    waveform = torch.randn(2, 20, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resample(x, from_hz, to_hz), (waveform,))


def test_float32_stays_float32_and_is_close():
    waveform = torch.randn(1, 8000, dtype=torch.float64, generator=torch.manual_seed(2))
    out = resample(waveform.float(), 16000, 1000)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), resample(waveform, 16000, 1000), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("waveform", "from_hz", "to_hz", "rule"),
    [
        (torch.zeros(5), 0, 100, "from_hz must be a whole number of Hz, at least 1, got 0"),
        (torch.zeros(5), 100, -3, "to_hz must be a whole number"),
        (torch.zeros(5, dtype=torch.int16), 100, 200, "floating point, got torch.int16"),
        (torch.zeros(2, 0), 100, 200, "at least one sample"),
        (torch.tensor(1.0), 100, 200, "at least one sample"),
    ],
)
def test_bad_input_is_refused(waveform, from_hz, to_hz, rule):
    with pytest.raises(HearlessError, match=rule):
        resample(waveform, from_hz, to_hz)
