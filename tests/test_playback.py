"""What a sensor kept as a sound: its pitch, its rate, its length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.captures.third_octave import ThirdOctave
from hearless.interfaces import HearlessError
from hearless.playback import as_heard
from hearless.spec import Spec, spec


def tone(hz: float, rate_hz: int = 16000) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(2 * rate_hz) / rate_hz)[None]


def heard(capture: Spec, sound: torch.Tensor) -> tuple[np.ndarray, int]:
    samples, rate_hz = as_heard(capture, capture.build()(sound, 16000))
    assert samples.shape[0] == 1
    return samples[0].numpy(), rate_hz


def pitch(samples: np.ndarray, rate_hz: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate_hz / len(samples))


def test_low_rate_samples_are_brought_to_16_khz() -> None:
    samples, rate_hz = heard(spec(LowRate, rate_hz=1000), tone(200))
    assert (rate_hz, len(samples)) == (16000, 32000)
    assert np.abs(samples - tone(200)[0].numpy())[2000:-2000].max() < 1e-3


@pytest.mark.parametrize("rate_hz", [16000, 32000])
def test_faster_sensors_are_played_as_they_are(rate_hz: int) -> None:
    samples, played_hz = heard(spec(FullBand, rate_hz=rate_hz), tone(200))
    assert (played_hz, len(samples)) == (rate_hz, 2 * rate_hz)


def test_levels_become_a_sound_in_their_band() -> None:
    samples, rate_hz = heard(spec(ThirdOctave, interval="fast", bands="iec61260"), tone(1000))
    assert abs(len(samples) / rate_hz - 2) < 0.1
    assert 800 < pitch(samples, rate_hz) < 1250


def test_what_is_no_sound() -> None:
    with pytest.raises(HearlessError, match=r"what LowRate keeps must be samples .* got \[1, 2, 3\]"):
        as_heard(spec(LowRate), torch.zeros(1, 2, 3))
