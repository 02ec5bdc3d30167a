"""ResNet38 against its published counts, key names and a functional re-computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers.resnet38 import ResNet38
from hearless.interfaces import HearlessError

BN = ("weight", "bias", "running_mean", "running_var")
BLOCKS = {1: 3, 2: 4, 3: 6, 4: 3}


def reference(s: dict[str, Tensor], features: Tensor) -> Tensor:
    """The network of facts A4 written down again."""

    def bn(x: Tensor, key: str) -> Tensor:
        return F.batch_norm(x, s[f"{key}.running_mean"], s[f"{key}.running_var"], s[f"{key}.weight"], s[f"{key}.bias"])

    def conv_bn(x: Tensor, conv: str, norm: str) -> Tensor:
        weight = s[f"{conv}.weight"]
        return bn(F.conv2d(x, weight, padding=weight.shape[-1] // 2), norm)

    x = bn(features[:, 0, :, :, None], "bn0")[..., 0].transpose(1, 2)[:, None]
    for m in (1, 2):
        x = conv_bn(x, f"conv_block1.conv{m}", f"conv_block1.bn{m}").relu()
    x = F.avg_pool2d(x, 2)
    for n, count in BLOCKS.items():
        for i in range(count):
            key = f"resnet.layer{n}.{i}"
            x = F.avg_pool2d(x, 2) if n > 1 and i == 0 else x
            y = conv_bn(x, f"{key}.conv1", f"{key}.bn1").relu()
            y = conv_bn(y, f"{key}.conv2", f"{key}.bn2")
            x = conv_bn(x, f"{key}.downsample.1", f"{key}.downsample.2") if n > 1 and i == 0 else x
            x = (x + y).relu()
    x = F.avg_pool2d(x, 2)
    for m in (1, 2):
        x = conv_bn(x, f"conv_block_after1.conv{m}", f"conv_block_after1.bn{m}").relu()
    x = x.mean(3)
    x = F.linear(x.amax(2) + x.mean(2), s["fc1.weight"], s["fc1.bias"]).relu()
    return F.linear(x, s["fc_audioset.weight"], s["fc_audioset.bias"])


@pytest.mark.parametrize(("n_classes", "count"), [(527, 73_783_247), (50, 72_805_874), (10, 72_723_914)])
def test_parameter_count(n_classes: int, count: int) -> None:
    with torch.device("meta"):
        network = ResNet38(n_classes=n_classes)
    assert sum(p.numel() for p in network.parameters()) == count


def test_key_names_are_the_official_ones() -> None:
    with torch.device("meta"):
        keys = set(ResNet38().state_dict())
    blocks = [f"resnet.layer{n}.{i}." for n, count in BLOCKS.items() for i in range(count)]
    pairs = [f"{block}{{}}{m}" for block in (*blocks, "conv_block1.", "conv_block_after1.") for m in (1, 2)]
    norms = ["bn0", *(pair.format("bn") for pair in pairs), *(f"resnet.layer{n}.0.downsample.2" for n in (2, 3, 4))]
    expected = {f"{norm}.{part}" for norm in norms for part in (*BN, "num_batches_tracked")}
    expected |= {pair.format("conv") + ".weight" for pair in pairs}
    expected |= {f"resnet.layer{n}.0.downsample.1.weight" for n in (2, 3, 4)}
    expected |= {f"{layer}.{part}" for layer in ("fc1", "fc_audioset") for part in ("weight", "bias")}
    assert keys == expected


def test_forward_is_the_formula_and_residual_branches_start_silent(
    stirred: Callable[[nn.Module], dict[str, Tensor]], features: Callable[[int, int], Tensor]
) -> None:
    network = ResNet38(n_classes=3, n_bands=40)
    assert all(not t.any() for key, t in network.state_dict().items() if "layer" in key and key.endswith("bn2.weight"))
    state, clips = stirred(network), features(40, 37)
    with torch.no_grad():
        torch.testing.assert_close(network(clips).logits, reference(state, clips), rtol=1e-4, atol=1e-5)


def test_maps_are_the_stages() -> None:
    with torch.device("meta"):
        maps = ResNet38(n_classes=2).eval()(torch.zeros(1, 1, 64, 101), maps=True).maps
    layers = [f"resnet.layer{n}" for n in range(1, 5)]
    assert list(maps) == ["conv_block1", *layers, "conv_block_after1"]
    assert maps["resnet.layer4"].shape == (1, 512, 4, 6)
    assert maps["conv_block_after1"].shape == (1, 2048, 2, 3)


def test_too_few_bands() -> None:
    with pytest.raises(HearlessError, match=r"ResNet38: n_bands must be at least 32, got 31"):
        ResNet38(n_bands=31)
