"""Backgrounds: their levels and colours by law, the same for the same draws, and wrong input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hearless.dsp.background import LEVELS_DB, SILENT, STEEPEST, background
from hearless.interfaces import HearlessError


def drawn(n: int, n_samples: int = 2000, rate_hz: int = 1000) -> torch.Tensor:
    return torch.stack([background(np.random.default_rng(seed), n_samples, rate_hz) for seed in range(n)])


def test_levels_lie_where_they_are_said_to_and_a_tenth_is_silent() -> None:
    power = drawn(1000).double().square().mean(1)
    silent = power == 0
    assert silent.double().mean() == pytest.approx(SILENT, abs=0.03)
    levels_db = 10 * power[~silent].log10()
    assert LEVELS_DB[0] - 1e-3 <= levels_db.min() <= LEVELS_DB[0] + 2
    assert LEVELS_DB[1] - 2 <= levels_db.max() <= LEVELS_DB[1] + 1e-3
    assert levels_db.mean() == pytest.approx(sum(LEVELS_DB) / 2, abs=2)


def test_colours_reach_from_white_to_steeper_than_brown() -> None:
    rows = drawn(400, 4096, 4000)
    rows = rows[rows.square().mean(1) > 0]
    power = torch.fft.rfft(rows.double()).abs().square()
    octaves = torch.stack([power[:, 2**k : 2 ** (k + 1)].mean(1) for k in range(5, 11)], dim=1).log2()
    falls = -(octaves[:, -1] - octaves[:, 0]) / 5  # as f to this power
    assert falls.quantile(0.05) < 0.5
    assert falls.quantile(0.9) > 0.8 * STEEPEST


def test_the_same_draws_give_the_same_background_and_others_another() -> None:
    assert torch.equal(drawn(20), drawn(20))
    rows = drawn(50)
    rows = rows[rows.square().mean(1) > 0]
    assert len({row.tolist()[0] for row in rows}) == len(rows)


@pytest.mark.parametrize(("n_samples", "rate_hz"), [(2, 250), (3, 1), (48000, 16000)])
def test_any_length_and_rate(n_samples: int, rate_hz: int) -> None:
    for row in drawn(30, n_samples, rate_hz):
        assert row.shape == (n_samples,)
        assert row.dtype == torch.float32
        assert row.isfinite().all()


@pytest.mark.parametrize(("n_samples", "rate_hz"), [(1, 1000), (0, 1000), (100, 0)])
def test_too_little(n_samples: int, rate_hz: int) -> None:
    with pytest.raises(HearlessError, match=f"needs two samples and a rate above 0, got {n_samples} at {rate_hz} Hz"):
        background(np.random.default_rng(0), n_samples, rate_hz)
