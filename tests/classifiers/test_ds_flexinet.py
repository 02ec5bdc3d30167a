"""DS-FlexiNet against Table II, a functional re-computation, torch's instance norm, and its laws."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers.ds_flexinet import NORMS, OVER, WIDTHS, DSFlexiNet, ResidualNorm, instance_normalised
from hearless.complexity import complexity
from hearless.interfaces import HearlessError

TABLE_II = {"sm1": (13.76, 3.88), "sm2": (30.69, 8.27), "sm3": (54.98, 14.34), "sm4": (126.12, 23.03)}
"""Thousands of parameters, millions of multiply-accumulates at 256 bands × 64 frames."""


def reference(s: dict[str, Tensor], x: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    """Logits and embedding from the tensors alone."""

    def conv_bn(x: Tensor, key: str, stride: int | tuple[int, int] = 1) -> Tensor:
        weight = s[f"{key}.0.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=x.shape[1] // weight.shape[1])
        return batch_norm(x, f"{key}.1")

    def batch_norm(x: Tensor, key: str) -> Tensor:
        mean, var, gamma, beta = (s[f"{key}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, gamma, beta)

    def normed(x: Tensor, key: str) -> Tensor:
        if norm == "none":
            return x
        if norm == "batch":
            return batch_norm(x, key)
        turned = x.transpose(1, 2) if norm == "residual_frequency" else x
        turned = s[f"{key}.weight"] * turned + F.instance_norm(turned, eps=1e-5)
        return turned.transpose(1, 2) if norm == "residual_frequency" else turned

    for layer in "01":
        x = conv_bn(x, f"stem.{layer}", 2).relu()
    for stage, stride in enumerate([(1, 1), (2, 2), (2, 1)]):
        for block in range(2):
            key, step = f"stages.{stage}.{block}", stride if block == 0 else (1, 1)
            y = conv_bn(conv_bn(x, f"{key}.depthwise", step).relu(), f"{key}.pointwise")
            shortcut = conv_bn(x, f"{key}.shortcut", step) if f"{key}.shortcut.0.weight" in s else x
            x = normed(y + shortcut, f"{key}.norm").relu()
    embedding = x.mean(3).mean(2)
    return conv_bn(x, "head").mean(3).mean(2), embedding


@pytest.mark.parametrize("size", TABLE_II)
def test_counts_are_within_a_hundredth_of_the_paper(size: str) -> None:
    counted = complexity(DSFlexiNet(size=size), torch.randn(1, 1, 256, 64))
    thousands, millions = TABLE_II[size]
    assert counted.parameters / 1e3 == pytest.approx(thousands, rel=0.01)
    assert counted.macs / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("size", "bands", "frames"), [("sm1", 256, 64), ("sm2", 40, 17)])
def test_forward_is_the_formula(
    stirred: Callable[[nn.Module], dict[str, Tensor]],
    features: Callable[[int, int], Tensor],
    norm: str,
    size: str,
    bands: int,
    frames: int,
) -> None:
    network = DSFlexiNet(size=size, norm=norm, n_classes=4)
    state, clips = stirred(network), features(bands, frames)
    with torch.no_grad():
        heard = network(clips, maps=True)
        logits, embedding = reference(state, clips, norm)
    torch.testing.assert_close(heard.logits, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(heard.embedding, embedding, rtol=1e-4, atol=1e-4)
    assert list(heard.maps) == ["stem", "stage1", "stage2", "stage3"]


def test_the_last_map_is_a_sixteenth_by_an_eighth(features: Callable[[int, int], Tensor]) -> None:
    with torch.no_grad():
        maps = DSFlexiNet(size="sm1").eval()(features(256, 64), maps=True).maps
    assert [tuple(m.shape[1:]) for m in maps.values()] == [(20, 64, 16), (20, 64, 16), (24, 32, 8), (64, 16, 8)]


def test_instance_norm_is_torchs_over_either_axis() -> None:
    x = torch.randn(3, 5, 7, 9, generator=torch.manual_seed(0), dtype=torch.float64) * 3 + 1
    torch.testing.assert_close(instance_normalised(x, OVER["residual"]), F.instance_norm(x))
    by_band = F.instance_norm(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(instance_normalised(x, OVER["residual_frequency"]), by_band)


def test_without_its_identity_the_norm_forgets_what_a_device_does_to_a_channel() -> None:
    x = torch.randn(2, 4, 8, 8, generator=torch.manual_seed(1), dtype=torch.float64)
    gain, offset = torch.rand(2, 4, 1, 1, dtype=torch.float64) + 0.5, torch.randn(2, 4, 1, 1, dtype=torch.float64)
    norm = ResidualNorm(OVER["residual"]).double()
    with torch.no_grad():
        norm.weight.zero_()
        torch.testing.assert_close(norm(gain * x + offset), norm(x), rtol=1e-4, atol=1e-4)
        norm.weight.fill_(1.0)
        assert (norm(gain * x + offset) - norm(x)).abs().max() > 0.1


def test_constant_maps_stay_finite_with_finite_gradients() -> None:
    x = torch.full((1, 2, 3, 4), 5.0, requires_grad=True)
    norm = ResidualNorm(OVER["residual"])
    norm(x).sum().backward()
    torch.testing.assert_close(norm(x), torch.full_like(x, 0.5))
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("norm", "more"), [("residual", 6), ("residual_frequency", 6), ("none", 0)])
def test_one_lambda_a_block(norm: str, more: int) -> None:
    network = DSFlexiNet(size="sm1", norm=norm)
    lambdas = [m.weight for m in network.modules() if isinstance(m, ResidualNorm)]
    assert len(lambdas) == more
    assert all(weight.item() == pytest.approx(0.1) and weight.requires_grad for weight in lambdas)


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("norm", ["residual", "batch", "none"])
def test_recognise_finds_size_and_norm(size: str, norm: str) -> None:
    with torch.device("meta"):
        state = DSFlexiNet(size=size, norm=norm, n_classes=7).state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    assert DSFlexiNet.recognise(shapes) == {"size": size, "norm": norm, "n_classes": 7}


def test_wrong_arguments() -> None:
    with pytest.raises(HearlessError, match="size must be one of sm1, sm2, sm3, sm4, got 'sm5'"):
        DSFlexiNet(size="sm5")
    with pytest.raises(HearlessError, match=r"norm must be one of residual, .*, got 'layer'"):
        DSFlexiNet(norm="layer")
    with pytest.raises(HearlessError, match="n_classes must be at least 1, got 0"):
        DSFlexiNet(n_classes=0)
    with pytest.raises(HearlessError, match="at least 32 bands, got 31"):
        DSFlexiNet()(torch.zeros(1, 1, 31, 64))
