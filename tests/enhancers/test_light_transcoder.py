"""The light transcoder: a fifth of the multiply-adds, and the PINV transcoder (nearly) before it has learned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hearless.enhancers.cnn_transcoder import CNNTranscoder
from hearless.enhancers.light_transcoder import LightTranscoder
from hearless.interfaces import HearlessError


def levels(frames: int = 8) -> torch.Tensor:
    return -20 + 12 * torch.randn(1, 1, 29, frames, generator=torch.Generator().manual_seed(0))


def multiply_adds(network: nn.Module) -> int:
    """Count what the convolutions multiply for one second."""
    total = 0

    def count(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += out[0, 0].numel() * layer.weight.numel()

    handles = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network(levels())
    for handle in handles:
        handle.remove()
    return total


def test_at_most_a_fifth_of_the_multiply_adds():
    full, light = multiply_adds(CNNTranscoder()), multiply_adds(LightTranscoder())
    assert full == 101 * 64 * (15 * 64 + 3 * 15 * 64 * 64 + 15 * 64)
    assert light == 101 * 64 * (15 * 32 + 6 * (15 * 32 + 32 * 32) + 15 * 32)
    assert light <= full / 5
    assert multiply_adds(LightTranscoder(channels=64)) <= full / 5


def test_untrained_it_is_nearly_the_pinv():
    network = LightTranscoder(channels=4)
    with torch.no_grad():
        torch.testing.assert_close(network(levels(80)), network.pinv(levels(80)), rtol=0, atol=0.1)


def test_forward_is_the_formula():
    network = LightTranscoder(channels=4, blocks=2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    conv = nn.functional.conv2d

    def padded(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, (2, 2, 1, 1), mode="replicate")

    s, rough = network.state_dict(), network.pinv(levels()).mT
    x = conv(padded(rough), s["first.1.weight"], s["first.1.bias"]).clamp(min=0)
    for n in range(2):
        y = conv(padded(x), s[f"blocks.{n}.1.weight"], s[f"blocks.{n}.1.bias"], groups=4)
        x = x + conv(y, s[f"blocks.{n}.2.weight"], s[f"blocks.{n}.2.bias"]).clamp(min=0)
    expected = rough - conv(padded(x), s["last.1.weight"], s["last.1.bias"])
    with torch.no_grad():
        torch.testing.assert_close(network(levels()), expected.mT, rtol=1e-4, atol=1e-4)


def test_wrong_arguments():
    with pytest.raises(HearlessError, match="at least 1, got 0 and 6; try 32 and 6"):
        LightTranscoder(channels=0)
    with pytest.raises(HearlessError, match="target must be one of"):
        LightTranscoder(target="vggish")
