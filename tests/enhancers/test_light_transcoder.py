"""The light transcoder: a thirtieth of the multiply-adds, and the PINV transcoder (nearly) before it has learned."""

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
    assert light == 8 * 64 * (15 * 64 + 4 * (15 * 64 + 2 * 128 * 64) + 13 * 64)
    assert light <= full / 30


def test_untrained_it_is_nearly_the_pinv():
    network = LightTranscoder(channels=4).eval()
    with torch.no_grad():
        torch.testing.assert_close(network(levels(80)), network.pinv(levels(80)), rtol=0, atol=0.1)


@pytest.mark.parametrize(("target", "frames", "parts"), [("pann", 101, 13), ("yamnet", 96, 12), ("mn04", 100, 13)])
def test_forward_is_the_formula(target: str, frames: int, parts: int):
    network = LightTranscoder(target=target, channels=4, blocks=2).eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for value in network.state_dict().values():
            value += (0.1 * torch.rand(value.shape)).to(value)
    conv, s = nn.functional.conv2d, network.state_dict()

    def padded(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, (1, 1, 2, 2), mode="replicate")

    spread, centre = {"pann": (20, -30), "yamnet": (2.3, -1.5), "mn04": (0.9, -0.35)}[target]
    coarse = network.pinv.target.log(network.pinv.mel(levels()))[:, None]
    x = conv(padded((coarse - centre) / spread), s["first.1.weight"], s["first.1.bias"]).clamp(min=0)
    for n in range(2):
        of = {key.removeprefix(f"blocks.{n}."): value for key, value in s.items() if key.startswith(f"blocks.{n}.")}
        y = conv(padded(x), of["1.weight"], groups=4).movedim(1, 3)
        y = (y - of["2.running_mean"]) / (of["2.running_var"] + 1e-5).sqrt() * of["2.weight"] + of["2.bias"]
        y = conv(y.movedim(3, 1), of["3.weight"], of["3.bias"]).clamp(min=0)
        x = x + conv(y, of["5.weight"], of["5.bias"])
    pieces = conv(x, s["last.weight"], s["last.bias"])
    fine = torch.stack([pieces[0, i % parts, :, i // parts] for i in range(8 * parts)], dim=-1)
    taken_off = nn.functional.interpolate(fine[None], size=frames, mode="linear")
    expected = network.pinv(levels())[:, 0] - spread * taken_off
    with torch.no_grad():
        torch.testing.assert_close(network(levels())[:, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("interval", ["fast", "slow"])
@pytest.mark.parametrize("n_levels", [1, 3, 8, 19])
def test_any_number_of_levels(interval: str, n_levels: int):
    network = LightTranscoder(interval=interval, channels=4, blocks=1)
    made = network(levels(n_levels))
    assert made.shape == network.pinv(levels(n_levels)).shape
    assert torch.isfinite(made).all()


def test_wrong_arguments():
    with pytest.raises(HearlessError, match="at least 1, got 0 and 4; try 64 and 4"):
        LightTranscoder(channels=0)
    with pytest.raises(HearlessError, match="target must be one of"):
        LightTranscoder(target="vggish")
