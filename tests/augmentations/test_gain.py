"""Gain against its formula, its laws, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.gain import Gain
from hearless.interfaces import Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
WAVES = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def level_db(waves):
    return 10 * np.log10(waves.square().mean(-1).numpy())


def test_levels_rise_by_the_gain():
    gains_db = [-6.0, 0.0, 3.5]
    found = Gain().apply(WAVES, [{"gain_db": g} for g in gains_db], 8000)
    np.testing.assert_allclose(level_db(found) - level_db(WAVES), gains_db, atol=1e-9)
    assert torch.equal(found[1], WAVES[1])


def test_20_db_is_a_factor_of_10_and_nothing_is_clipped():
    assert torch.equal(Gain().apply(torch.ones(1, 4), [{"gain_db": 20.0}], 8000), torch.full((1, 4), 10.0))


def test_gains_are_uniform_in_db():
    rng = np.random.default_rng(1)
    gains_db = [Gain(max_db=4.0).draw(rng, CLIP, 5.0)["gain_db"] for _ in range(4000)]
    np.testing.assert_allclose(np.quantile(gains_db, [0, 0.25, 0.5, 0.75, 1]), [-4, -2, 0, 2, 4], atol=0.25)


def test_integers_are_refused():
    with pytest.raises(HearlessError, match=r"floating-point samples, got torch.int16; scale"):
        Gain().apply(torch.ones(1, 4, dtype=torch.int16), [{"gain_db": 1.0}], 8000)


@pytest.mark.parametrize("max_db", [0.0, -1.0, float("inf"), float("nan")])
def test_max_db_is_above_0(max_db):
    with pytest.raises(HearlessError, match=f"max_db must be above 0 dB and finite, got {max_db}"):
        Gain(max_db=max_db)
