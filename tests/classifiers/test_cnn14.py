"""Cnn14 against its published counts, key names and a functional re-computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers.cnn14 import WEIGHTS, Cnn14
from hearless.interfaces import HearlessError

BN = ("weight", "bias", "running_mean", "running_var")


def reference(s: dict[str, Tensor], features: Tensor) -> Tensor:
    """The network of facts A3 written down again, in PANNs' own layout."""

    def bn(x: Tensor, key: str) -> Tensor:
        weight, bias, mean, var = (s[f"{key}.{part}"] for part in BN)
        return (x - mean[:, None, None]) / torch.sqrt(var + 1e-5)[:, None, None] * weight[:, None, None] + bias[
            :, None, None
        ]

    x = features.permute(0, 3, 2, 1).transpose(1, 2)  # [batch, band, frame, 1]
    x = bn(x, "bn0").permute(0, 3, 2, 1)  # [batch, 1, frame, band]
    for n in range(1, 7):
        for m in (1, 2):
            x = bn(F.conv2d(x, s[f"conv_block{n}.conv{m}.weight"], padding=1), f"conv_block{n}.bn{m}").clamp(min=0)
        if n < 6:
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    x = x.mean(3)
    x = x.amax(2) + x.mean(2)
    x = (x @ s["fc1.weight"].T + s["fc1.bias"]).clamp(min=0)
    return x @ s["fc_audioset.weight"].T + s["fc_audioset.bias"]


@pytest.mark.parametrize(("n_classes", "count"), [(527, 80_753_615), (50, 79_776_242), (10, 79_694_282)])
def test_parameter_count(n_classes: int, count: int) -> None:
    with torch.device("meta"):
        network = Cnn14(n_classes=n_classes)
    assert sum(p.numel() for p in network.parameters()) == count


def test_key_names_are_the_official_ones() -> None:
    with torch.device("meta"):
        keys = set(Cnn14().state_dict())
    norms = ["bn0", *(f"conv_block{n}.bn{m}" for n in range(1, 7) for m in (1, 2))]
    expected = {f"{norm}.{part}" for norm in norms for part in (*BN, "num_batches_tracked")}
    expected |= {f"conv_block{n}.conv{m}.weight" for n in range(1, 7) for m in (1, 2)}
    expected |= {f"{layer}.{part}" for layer in ("fc1", "fc_audioset") for part in ("weight", "bias")}
    assert keys == expected


def test_forward_is_the_formula(
    stirred: Callable[[nn.Module], dict[str, Tensor]], features: Callable[[int, int], Tensor]
) -> None:
    network = Cnn14(n_classes=5, n_bands=48)
    state, clips = stirred(network), features(48, 67)  # neither 48 nor 67 halves evenly five times
    with torch.no_grad():
        torch.testing.assert_close(network(clips).logits, reference(state, clips), rtol=1e-4, atol=1e-5)


def test_maps_are_the_blocks_with_bands_before_frames(features: Callable[[int, int], Tensor]) -> None:
    with torch.no_grad():
        maps = Cnn14(n_classes=2).eval()(features(64, 101), maps=True).maps
    assert list(maps) == [f"conv_block{n}" for n in range(1, 7)]
    assert maps["conv_block1"].shape == (2, 64, 32, 50)
    assert maps["conv_block6"].shape == (2, 2048, 2, 3)


def test_dropout_acts_in_training_only(features: Callable[[int, int], Tensor]) -> None:
    network, clips = Cnn14(n_classes=2, n_bands=32), features(32, 32)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        share = (network.train()(clips.repeat(20, 1, 1, 1)).embedding == 0).float().mean()
        first, second = network.eval()(clips).logits, network(clips).logits
    assert 0.5 < share < 1
    assert torch.equal(first, second)


def test_wrong_arguments_and_sizes() -> None:
    with pytest.raises(HearlessError, match=r"n_bands must be at least 32, got 24"):
        Cnn14(n_bands=24)
    with pytest.raises(HearlessError, match="n_classes must be at least 1"):
        Cnn14(n_classes=0)
    with torch.device("meta"):
        network = Cnn14(n_classes=2)
    with pytest.raises(HearlessError, match=r"64 bands, got 128.*n_bands=128"):
        network(torch.zeros(1, 1, 128, 40, device="meta"))
    with pytest.raises(HearlessError, match=r"at least 32 frames, got 31; give a longer clip"):
        network(torch.zeros(1, 1, 64, 31, device="meta"))


def test_weights_are_the_three_rates() -> None:
    rates = {name: row.frontend.arguments["input_rate_hz"] for name, row in WEIGHTS.items()}
    assert rates == {"cnn14_16k": 16000, "cnn14": 32000, "cnn14_8k": 8000}
    assert WEIGHTS["cnn14_16k"].remote.url.endswith("/3987831/files/Cnn14_16k_mAP%3D0.438.pth?download=1")
