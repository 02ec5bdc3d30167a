"""Bandwidth extension: the formula, what it keeps, and that it learns bands which the heard ones determine."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hearless.enhancers.bandwidth_extension import BandwidthExtension
from hearless.interfaces import HearlessError


def small(**words: int) -> BandwidthExtension:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BandwidthExtension(**{"heard_bands": 3, "n_bands": 7, "channels": 16, "blocks": 2, **words})


def heard(clips: int = 2, frames: int = 30, seed: int = 1) -> torch.Tensor:
    return torch.randn(clips, 1, 3, frames, generator=torch.Generator().manual_seed(seed))


def test_forward_is_the_formula():
    network, features = small(), heard()
    s, conv = network.state_dict(), nn.functional.conv1d
    x = conv(features[:, 0], s["first.0.weight"], s["first.0.bias"], padding=2).clamp(min=0)
    for i in range(2):
        y = conv(x, s[f"blocks.{i}.0.weight"], s[f"blocks.{i}.0.bias"], padding=2 * 2**i, dilation=2**i)
        x = x + y.clamp(min=0)
    expected = conv(x, s["last.weight"], s["last.bias"])
    expected[:, :3] += features[:, 0]
    with torch.no_grad():
        torch.testing.assert_close(network(features)[:, 0], expected)


def test_without_a_network_it_keeps_what_was_heard():
    network = small()
    for parameter in network.last.parameters():
        parameter.data.zero_()
    with torch.no_grad():
        made = network(heard())
    assert torch.equal(made[:, :, :3], heard())
    assert not made[:, :, 3:].any()


def test_it_learns_bands_that_follow_from_those_heard():
    """The four bands above are a fixed mix of the heard ones two frames ago: their error falls to a hundredth."""
    network, mix = small(), torch.randn(4, 3, generator=torch.Generator().manual_seed(2))

    def full(features: torch.Tensor) -> torch.Tensor:
        late = nn.functional.pad(features, (2, 0))[..., :-2]
        return torch.cat([features, torch.einsum("ij,bcjf->bcif", mix, late)], 2)

    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(150):
        features = heard(16, seed=step + 10)
        loss = nn.functional.mse_loss(network(features), full(features))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(network(heard(16)), full(heard(16)))
    assert error < 0.05 * full(heard(16))[:, :, 3:].var()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"heard_bands": 8}, r"heard_bands must lie in 1..n_bands, got 8 of 7"),
        ({"heard_bands": 0}, "got 0 of 7"),
        ({"channels": 0}, "channels and blocks must be at least 1, got 0 and 2"),
    ],
)
def test_wrong_arguments(words: dict[str, int], said: str):
    with pytest.raises(HearlessError, match=said):
        small(**words)


def test_other_bands_are_refused():
    with pytest.raises(HearlessError, match=r"got shape \(2, 1, 4, 9\) for 3 bands"):
        small()(torch.zeros(2, 1, 4, 9))
