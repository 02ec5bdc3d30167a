"""The compressor against a sample-by-sample recursion and the static law of its ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hearless.dsp.compression import Compression, compressed, detected_db
from hearless.interfaces import HearlessError

RATE_HZ = 16000
SETTINGS = Compression(-30.0, 4.0, 20.0)


def square(level_db: float, seconds: float = 1.0) -> torch.Tensor:
    """A square wave of 500 Hz: its mean square is its level in every block."""
    n = round(seconds * RATE_HZ)
    return 10 ** (level_db / 20) * torch.sign(torch.sin(2 * math.pi * 500.0 * (torch.arange(n) + 0.5) / RATE_HZ))[None]


@pytest.mark.parametrize(("level_db", "expected_db"), [(-50.0, -50.0), (-31.0, -31.0), (-10.0, -25.0), (0.0, -22.5)])
def test_above_the_threshold_ratio_db_in_are_one_db_out(level_db: float, expected_db: float) -> None:
    left = compressed(square(level_db).double(), RATE_HZ, SETTINGS)[:, RATE_HZ // 2 :]
    assert 10 * torch.log10(left.square().mean()).item() == pytest.approx(expected_db, abs=0.1)


def test_below_the_threshold_and_at_ratio_1_it_passes_unchanged() -> None:
    quiet, loud = square(-40.0), square(-3.0)
    assert torch.equal(compressed(quiet, RATE_HZ, SETTINGS), quiet)
    assert torch.equal(compressed(loud, RATE_HZ, Compression(-30.0, 1.0, 20.0)), loud)


def test_the_detector_is_the_one_pole_recursion() -> None:
    wave = torch.randn(2, 4096, dtype=torch.float64, generator=torch.manual_seed(0))
    power = wave.square().reshape(2, 256, 16).mean(-1).numpy()
    smooth, expected = np.zeros(2), np.empty((2, 256))
    for i in range(256):
        smooth = math.exp(-1 / 20) * smooth + (1 - math.exp(-1 / 20)) * power[:, i]
        expected[:, i] = smooth
    found = 10 ** (detected_db(wave, 16, 20.0).numpy() / 10)
    np.testing.assert_allclose(found, expected, rtol=0.01)  # it forgets after five time constants


def test_a_loud_attack_is_turned_down_and_recovers() -> None:
    wave = torch.cat([square(-40, 0.3), square(-5, 0.3), square(-40, 0.4)], dim=1)
    gain_db = 20 * torch.log10((compressed(wave, RATE_HZ, SETTINGS) / wave).abs())[0]
    at = [gain_db[round(s * RATE_HZ)].item() for s in (0.29, 0.59, 0.61, 0.95)]
    assert at[0] == pytest.approx(0.0, abs=0.01)
    assert at[1] == pytest.approx(-18.75, abs=0.2)
    assert at[1] < at[2] < -5.0  # still down shortly after
    assert at[3] == pytest.approx(0.0, abs=0.01)


def test_length_type_and_odd_sizes_stay() -> None:
    for n in (1, 15, 16, 17, 999):
        wave = torch.randn(3, n, generator=torch.manual_seed(n))
        found = compressed(wave, RATE_HZ, SETTINGS)
        assert (found.shape, found.dtype) == (wave.shape, wave.dtype)
        assert found.isfinite().all()


def test_wrong_settings() -> None:
    with pytest.raises(HearlessError, match="ratio of at least 1 and a release above 0 ms"):
        Compression(-30.0, 0.5, 20.0)
    with pytest.raises(HearlessError, match="release above 0 ms"):
        Compression(-30.0, 2.0, 0.0)
