"""EfficientNet against a functional re-computation from its tensors, and the paper's counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers.efficientnet import VARIANTS, EfficientNet, drop_path
from hearless.interfaces import HearlessError

STRIDE_2 = {"b0": (1, 3, 5, 11), "b1": (2, 5, 8, 16)}


def reference(s: dict[str, Tensor], x: Tensor, variant: str) -> tuple[Tensor, Tensor]:
    """Logits and embedding of ``[batch, 1, frame, band]`` from the tensors alone."""

    def conv(x: Tensor, key: str, stride: int = 1) -> Tensor:
        weight = s[f"{key}.weight"]
        size = weight.shape[-1]
        over = [max(0, (-(-n // stride) - 1) * stride + size - n) for n in x.shape[2:]]
        x = F.pad(x, (over[1] // 2, over[1] - over[1] // 2, over[0] // 2, over[0] - over[0] // 2))
        return F.conv2d(x, weight, s.get(f"{key}.bias"), stride=stride, groups=x.shape[1] // weight.shape[1])

    def norm(x: Tensor, key: str) -> Tensor:
        mean, var, gamma, beta = (s[f"{key}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, gamma, beta, eps=1e-3)

    def swish(x: Tensor) -> Tensor:
        return x / (1 + (-x).exp())

    x = swish(norm(conv(x, "_conv_stem", 2), "_bn0"))
    for n in range(sum(key.endswith("_depthwise_conv.weight") for key in s)):
        b = f"_blocks.{n}."
        y = swish(norm(conv(x, b + "_expand_conv"), b + "_bn0")) if b + "_expand_conv.weight" in s else x
        y = swish(norm(conv(y, b + "_depthwise_conv", 2 if n in STRIDE_2[variant] else 1), b + "_bn1"))
        gate = conv(swish(conv(y.mean((2, 3), keepdim=True), b + "_se_reduce")), b + "_se_expand")
        y = norm(conv(y / (1 + (-gate).exp()), b + "_project_conv"), b + "_bn2")
        x = x + y if x.shape == y.shape and n not in STRIDE_2[variant] else y
    embedding = swish(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    return F.linear(embedding, s["_fc.weight"], s["_fc.bias"]), embedding


@pytest.mark.parametrize("variant", ["b0", "b1"])
@pytest.mark.parametrize(("bands", "frames"), [(64, 101), (29, 8)])
def test_forward_is_the_formula(
    stirred: Callable[[nn.Module], dict[str, Tensor]],
    features: Callable[[int, int], Tensor],
    variant: str,
    bands: int,
    frames: int,
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = EfficientNet(variant=variant, n_classes=4)
    state, clips = stirred(network), features(bands, frames)
    with torch.no_grad():
        heard = network(clips, maps=True)
        logits, embedding = reference(state, clips.mT, variant)
    torch.testing.assert_close(heard.logits, logits, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(heard.embedding, embedding, rtol=1e-3, atol=1e-5)
    assert heard.maps["blocks.0"].shape == (2, 16, -(-bands // 2), -(-frames // 2))


@pytest.mark.parametrize(("variant", "count"), [("b0", 4_682_059), ("b7", 65_135_455)])
def test_published_counts(variant: str, count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in EfficientNet(variant=variant).parameters()) == count


@pytest.mark.parametrize("variant", ["b0", "b1", "b3"])
def test_recognise_finds_the_variant(variant: str) -> None:
    with torch.device("meta"):
        shapes = {k: tuple(t.shape) for k, t in EfficientNet(variant=variant, n_classes=9).state_dict().items()}
    assert EfficientNet.recognise(shapes) == {"variant": variant, "n_classes": 9}
    assert EfficientNet.recognise({**shapes, "_conv_stem.weight": (32, 3, 3, 3)}) is None


def test_published_names() -> None:
    with torch.device("meta"):
        keys = EfficientNet().state_dict()
    assert {"_conv_stem.weight", "_bn0.running_var", "_blocks.15._se_reduce.bias", "_conv_head.weight"} < set(keys)
    assert "_blocks.0._expand_conv.weight" not in keys
    assert sum(key.endswith("_depthwise_conv.weight") for key in keys) == 16


def test_drop_path_keeps_the_mean() -> None:
    branch = torch.ones(4000, 1, 1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = drop_path(branch, 0.2, training=True)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 1.25])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)
    assert drop_path(branch, 0.2, training=False) is branch


def test_wrong_arguments() -> None:
    assert list(VARIANTS) == [f"b{n}" for n in range(8)]
    with pytest.raises(HearlessError, match=r"variant must be one of b0, b1, .*got 'b8'"):
        EfficientNet(variant="b8")
    with pytest.raises(HearlessError, match="at least 8 frames, got 7"):
        EfficientNet(n_classes=2)(torch.zeros(1, 1, 64, 7))
