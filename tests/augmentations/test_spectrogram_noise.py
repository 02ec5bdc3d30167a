"""SpectrogramNoise against AST's formula and its statistics, its laws, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.spectrogram_noise import SpectrogramNoise, uniform
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
AXES = Axes(tuple(100.0 * (i + 1) for i in range(64)), 0.01, 128)
FEATURES = torch.randn(3, 1, 64, 128, generator=torch.Generator().manual_seed(0))


def drawn(noise, n, seed=0):
    rng = np.random.default_rng(seed)
    return [noise.draw(rng, CLIP, 1.0) for _ in range(n)]


def test_it_is_asts_formula():
    draws = [{"strength": 0.04, "seed": 5}, {"strength": 0.0, "seed": 6}, {"strength": 0.1, "seed": 2**52}]
    found = SpectrogramNoise().apply(FEATURES, draws, AXES)
    for row, features, draw in zip(found, FEATURES, draws, strict=True):
        rng = torch.Generator().manual_seed(draw["seed"])
        torch.testing.assert_close(row, features + torch.rand(1, 64, 128, generator=rng) * draw["strength"])
    assert torch.equal(found[1], FEATURES[1])


def test_noise_is_uniform_up_to_the_strength():
    added = SpectrogramNoise().apply(FEATURES.double(), [{"strength": 0.1, "seed": i} for i in range(3)], AXES)
    added = (added - FEATURES.double()).flatten().numpy()
    np.testing.assert_allclose(np.quantile(added, [0, 0.25, 0.5, 0.75, 1]), [0, 0.025, 0.05, 0.075, 0.1], atol=0.002)


def test_strengths_are_uniform_and_seeds_differ():
    draws = drawn(SpectrogramNoise(maximum=0.05), 4000)
    strengths = np.array([draw["strength"] for draw in draws])
    np.testing.assert_allclose(
        np.quantile(strengths, [0, 0.25, 0.5, 0.75, 1]), [0, 0.0125, 0.025, 0.0375, 0.05], atol=2e-3
    )
    assert len({draw["seed"] for draw in draws}) == 4000
    assert all(draw["seed"] == int(float(draw["seed"])) for draw in draws)


def test_both_hearers_of_one_view_hear_the_same_noise():
    draws = drawn(SpectrogramNoise(), 3)
    first, second = (SpectrogramNoise().apply(FEATURES, draws, AXES) for _ in range(2))
    assert torch.equal(first, second)


def test_global_randomness_is_left_alone():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected = torch.rand(3)
        torch.manual_seed(1)
        uniform(7, (4, 5))
        assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("maximum", [0.0, -1.0, float("inf"), float("nan")])
def test_maximum_is_above_0(maximum):
    with pytest.raises(HearlessError, match=f"maximum must be above 0 and finite, got {maximum}; leave it out"):
        SpectrogramNoise(maximum=maximum)


def test_waveforms_are_refused():
    with pytest.raises(HearlessError, match="needs their axes, got a rate of 16000 Hz"):
        SpectrogramNoise().apply(torch.zeros(1, 100), [{"strength": 0.1, "seed": 1}], 16000)
