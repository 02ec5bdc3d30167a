"""The frequency mask on a view's axes, its laws, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.augmentations.frequency_mask import FrequencyMask
from hearless.dsp.scales import hz_to_kaldi
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import Axes, Clip, HearlessError

CLIP = Clip("a", Path("a.wav"), ("dog",))
AXES = Axes((100.0, 200.0, 300.0, 400.0), 0.01, 5)


def test_the_stripe_is_filled_and_nothing_else() -> None:
    x = torch.randn(2, 1, 4, 5, generator=torch.manual_seed(0))
    draws = [{"from_hz": 150.0, "to_hz": 301.0}, {"from_hz": 500.0, "to_hz": 600.0}]
    found = FrequencyMask(fill=-2.0).apply(x, draws, AXES)
    assert (found[0, :, 1:3] == -2.0).all()
    assert torch.equal(found[0, :, [0, 3]], x[0, :, [0, 3]])
    assert torch.equal(found[1], x[1])


def test_the_fill_is_a_power_of_1_in_the_front_end() -> None:
    assert FrequencyMask().fill == pytest.approx((np.log(1.0) + 4.5) / 5)


def test_at_most_48_of_the_papers_256_bands_uniform_in_number() -> None:
    frontend = PreEmphasisMel(window_ms=96, hop_ms=15.625, fft_ms=128, mel_bands=256, high_hz=15500)
    axes = frontend.axes(32000)
    assert (len(axes.band_hz), axes.n_frames) == (256, 64)
    mask, rng = FrequencyMask(), np.random.default_rng(0)
    draws = [mask.draw(rng, CLIP, 1.0) for _ in range(2000)]
    masked = mask.apply(torch.zeros(2000, 1, 256, 64), draws, axes)[:, 0, :, 0] > 0
    n = masked.sum(1).double()
    assert n.max() <= 49
    assert n.mean().item() == pytest.approx(24.0, abs=1.0)
    assert masked.double().mean(0)[60:200].std() < 0.02  # anywhere alike


def test_edges_lie_within_bounds_in_mel() -> None:
    mask, rng = FrequencyMask(max_fraction=0.5, low_hz=200.0, high_hz=3000.0), np.random.default_rng(0)
    for _ in range(500):
        drawn = mask.draw(rng, CLIP, 1.0)
        assert 199.9 <= drawn["from_hz"] <= drawn["to_hz"] <= 3000.1
        width = hz_to_kaldi(drawn["to_hz"]) - hz_to_kaldi(drawn["from_hz"])
        assert width <= 0.5 * (hz_to_kaldi(3000.0) - hz_to_kaldi(200.0)) + 1e-3


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"max_fraction": 0.0}, r"max_fraction must lie in 0\.\.1, 0 excluded, got 0\.0"),
        ({"low_hz": 500.0, "high_hz": 400.0}, r"below high_hz, got 500\.0 and 400\.0"),
        ({"fill": float("nan")}, "fill must be finite, got nan"),
    ],
)
def test_wrong_arguments(arguments: dict[str, float], rule: str) -> None:
    with pytest.raises(HearlessError, match=rule):
        FrequencyMask(**arguments)


def test_other_axes_are_refused() -> None:
    drawn = [{"from_hz": 1.0, "to_hz": 2.0}]
    with pytest.raises(HearlessError, match="take the axes of the view"):
        FrequencyMask().apply(torch.zeros(1, 1, 5, 5), drawn, AXES)
    with pytest.raises(HearlessError, match="needs their axes"):
        FrequencyMask().apply(torch.zeros(1, 100), drawn, 16000)
