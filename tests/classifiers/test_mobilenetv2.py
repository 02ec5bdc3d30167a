"""PANNs' MobileNetV2 against its published counts, key names and a functional re-computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers.mobilenetv2 import MobileNetV2
from hearless.interfaces import HearlessError

BN = ("weight", "bias", "running_mean", "running_var")
POOLED = (2, 4, 7, 11)  # the first block of each stage with stride 2
ADDED = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)


def reference(s: dict[str, Tensor], features: Tensor) -> Tensor:
    """The network of facts A5 written down again."""

    def bn(x: Tensor, key: str) -> Tensor:
        return F.batch_norm(x, s[f"{key}.running_mean"], s[f"{key}.running_var"], s[f"{key}.weight"], s[f"{key}.bias"])

    def conv(x: Tensor, key: str) -> Tensor:
        weight = s[f"{key}.weight"]
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=x.shape[1] // weight.shape[1])

    x = bn(features[:, 0, :, :, None], "bn0")[..., 0].transpose(1, 2)[:, None]
    x = bn(F.avg_pool2d(conv(x, "features.0.0"), 2), "features.0.2").clamp(0, 6)
    x = bn(conv(x, "features.1.conv.0"), "features.1.conv.2").clamp(0, 6)
    x = bn(conv(x, "features.1.conv.4"), "features.1.conv.5")
    for n in range(2, 18):
        key = f"features.{n}.conv"
        y = bn(conv(x, f"{key}.0"), f"{key}.1").clamp(0, 6)
        y = conv(y, f"{key}.3")
        y = F.avg_pool2d(y, 2) if n in POOLED else y
        y = bn(conv(bn(y, f"{key}.5").clamp(0, 6), f"{key}.7"), f"{key}.8")
        x = x + y if n in ADDED else y
    x = bn(conv(x, "features.18.0"), "features.18.1").clamp(0, 6).mean(3)
    x = F.linear(x.amax(2) + x.mean(2), s["fc1.weight"], s["fc1.bias"]).relu()
    return F.linear(x, s["fc_audioset.weight"], s["fc_audioset.bias"])


@pytest.mark.parametrize(("n_classes", "count"), [(527, 4_075_343), (50, 3_586_418), (10, 3_545_418)])
def test_parameter_count(n_classes: int, count: int) -> None:
    with torch.device("meta"):
        network = MobileNetV2(n_classes=n_classes)
    assert sum(p.numel() for p in network.parameters()) == count


def test_key_names_are_the_official_ones() -> None:
    with torch.device("meta"):
        keys = set(MobileNetV2().state_dict())
    blocks = [f"features.{n}.conv." for n in range(2, 18)]
    norms = ["bn0", "features.0.2", "features.1.conv.2", "features.1.conv.5", "features.18.1"]
    norms += [f"{block}{i}" for block in blocks for i in (1, 5, 8)]
    convs = ["features.0.0", "features.1.conv.0", "features.1.conv.4", "features.18.0"]
    convs += [f"{block}{i}" for block in blocks for i in (0, 3, 7)]
    expected = {f"{norm}.{part}" for norm in norms for part in (*BN, "num_batches_tracked")}
    expected |= {f"{conv}.weight" for conv in convs}
    expected |= {f"{layer}.{part}" for layer in ("fc1", "fc_audioset") for part in ("weight", "bias")}
    assert keys == expected


def test_forward_is_the_formula(
    stirred: Callable[[nn.Module], dict[str, Tensor]], features: Callable[[int, int], Tensor]
) -> None:
    network = MobileNetV2(n_classes=3)
    state, clips = stirred(network), features(64, 101)
    with torch.no_grad():
        torch.testing.assert_close(network(clips).logits, reference(state, clips), rtol=1e-4, atol=1e-5)


def test_maps_are_the_stages(features: Callable[[int, int], Tensor]) -> None:
    maps = MobileNetV2(n_classes=2).eval()(features(64, 101), maps=True).maps
    assert list(maps) == [f"features.{n}" for n in range(19)]
    assert maps["features.18"].shape == (2, 1280, 2, 3)


def test_training_drops_half_the_embedding_and_nothing_before(features: Callable[[int, int], Tensor]) -> None:
    network = MobileNetV2(n_classes=2, n_bands=32)
    network.fc1.bias.data.fill_(100.0)  # no ReLU zeros
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(5)
        zeros = (network.train()(features(32, 64)).embedding == 0).float().mean()
    assert 0.45 < float(zeros) < 0.55


def test_too_few_bands() -> None:
    with pytest.raises(HearlessError, match=r"MobileNetV2: n_bands must be at least 32, got 16"):
        MobileNetV2(n_bands=16)
