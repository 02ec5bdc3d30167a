"""Freq-MixStyle against numpy, its laws, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.freq_mixstyle import FreqMixStyle, freq_mixstyle
from hearless.interfaces import Axes, Clip, HearlessError

AXES = Axes(tuple(float(100 * i) for i in range(1, 7)), 0.01, 9)
CLIP = Clip("a", Path("a.wav"), ("dog",))


def features(n: int = 4) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    level, spread = torch.randn(n, 1, 6, 1, generator=g), torch.rand(n, 1, 6, 1, generator=g) + 0.5
    return level + spread * torch.randn(n, 1, 6, 9, generator=g)


def draw(mixed: float, share: float, place: float) -> dict[str, float]:
    return {"mixed": mixed, "share": share, "place": place}


def test_it_is_the_formula_in_numpy() -> None:
    x, share, partner = features().double(), torch.tensor([0.1, 0.9, 0.5, 1.0]).double(), torch.tensor([2, 0, 3, 1])
    a = x.numpy()
    mean = a.mean((1, 3), keepdims=True)
    deviation = np.sqrt(a.var((1, 3), ddof=1, keepdims=True) + 1e-6)
    w = share.numpy()[:, None, None, None]
    mixed = (a - mean) / deviation * (w * deviation + (1 - w) * deviation[[2, 0, 3, 1]])
    expected = mixed + w * mean + (1 - w) * mean[[2, 0, 3, 1]]
    np.testing.assert_allclose(freq_mixstyle(x, share, partner).numpy(), expected, rtol=1e-10)


def test_all_of_its_own_is_the_identity_and_none_is_the_partners_style() -> None:
    x, partner = features(), torch.tensor([1, 2, 3, 0])
    torch.testing.assert_close(freq_mixstyle(x, torch.ones(4), partner), x)
    styled = freq_mixstyle(x, torch.zeros(4), partner)
    torch.testing.assert_close(styled.mean((1, 3)), x[partner].mean((1, 3)))
    torch.testing.assert_close(styled.std((1, 3)), x[partner].std((1, 3)), rtol=1e-4, atol=1e-5)


def test_no_gradient_flows_through_the_statistics() -> None:
    x = features().requires_grad_()
    freq_mixstyle(x, torch.ones(4), torch.tensor([1, 0, 3, 2])).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones_like(x))


def test_the_first_clip_decides_and_places_pair() -> None:
    x, made = features(), FreqMixStyle()
    rest = [draw(0.0, 0.3, 0.1), draw(1.0, 0.3, 0.9), draw(0.0, 0.3, 0.2)]
    assert made.apply(x, [draw(0.0, 0.3, 0.5), *rest], AXES) is x
    found = made.apply(x, [draw(1.0, 0.3, 0.5), *rest], AXES)
    torch.testing.assert_close(found, freq_mixstyle(x, torch.full((4,), 0.3), torch.tensor([1, 3, 0, 2])))


def test_draws_follow_their_distributions() -> None:
    rng, made = np.random.default_rng(1), FreqMixStyle(probability=0.4, alpha=0.3)
    draws = [made.draw(rng, CLIP, 1.0) for _ in range(4000)]
    share = np.array([d["share"] for d in draws])
    assert np.mean([d["mixed"] for d in draws]) == pytest.approx(0.4, abs=0.03)
    assert share.mean() == pytest.approx(0.5, abs=0.02)
    assert share.var() == pytest.approx(1 / (4 * (2 * 0.3 + 1)), abs=0.01)


def test_a_clip_alone_stays_as_it_is() -> None:
    x = features(1)
    assert FreqMixStyle().apply(x, [draw(1.0, 0.5, 0.5)], AXES) is x


def test_wrong_arguments_and_input() -> None:
    with pytest.raises(HearlessError, match=r"probability must lie in 0\.\.1, 0 excluded, got 0\.0"):
        FreqMixStyle(probability=0.0)
    with pytest.raises(HearlessError, match=r"alpha must be above 0 and finite, got 0\.0"):
        FreqMixStyle(alpha=0.0)
    with pytest.raises(HearlessError, match="changes features"):
        FreqMixStyle().apply(torch.zeros(2, 100), [draw(1.0, 0.5, 0.5)] * 2, 16000)
