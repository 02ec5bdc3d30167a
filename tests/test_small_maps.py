"""Cut kernels: a plain convolution's values and gradients on maps of every size; what need not be is not cut."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.small_maps import CutKernels

SIZES = (1, 2, 3, 4, 5, 9)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kernel", [1, 3, 5, (3, 7)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("bands", "frames"), [*itertools.product(SIZES, SIZES)])
def test_values_and_gradients_are_those_of_whole_kernels(
    kernel: int | tuple[int, int], stride: int, bands: int, frames: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    layer = nn.Conv2d(6, 6, sides, stride, (sides[0] // 2, sides[1] // 2), groups=6).to(dtype)
    x = torch.randn(2, 6, bands, frames, dtype=dtype)
    whole = gradients(copy.deepcopy(layer), x)
    with CutKernels():
        cut = gradients(layer, x)
    for mine, theirs in zip(cut, whole, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


def gradients(layer: nn.Conv2d, x: Tensor) -> tuple[Tensor, ...]:
    """Return a layer's output and the gradients of its squares in the input, the kernel and the bias."""
    heard = x.clone().requires_grad_()
    y = layer(heard)
    y.square().mean().backward()
    found = (y.detach(), heard.grad, layer.weight.grad, layer.bias.grad if layer.bias is not None else None)
    assert all(one is not None for one in found)
    return tuple(one for one in found if one is not None)


def test_a_kernel_that_trains_on_a_small_map_is_cut() -> None:
    layer, x = depthwise(), torch.randn(1, 4, 1, 9)
    with CutKernels():
        assert is_cut(layer(x))
    assert not is_cut(layer(x))


def test_one_that_rests_or_fits_its_map_is_not() -> None:
    resting = depthwise().requires_grad_(requires_grad=False)
    with CutKernels():
        assert not is_cut(resting(torch.randn(1, 4, 1, 9).requires_grad_()))
        assert not is_cut(depthwise()(torch.randn(1, 4, 5, 5)))
        with torch.no_grad():
            assert depthwise()(torch.randn(1, 4, 1, 9)).grad_fn is None


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 5, padding=2),
        nn.Conv2d(4, 8, 5, padding=2, groups=4),
        nn.Conv2d(4, 4, 4, padding=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 5, padding=4, groups=4),
        nn.Conv2d(4, 4, 5, padding="same", groups=4),
    ],
)
def test_other_convolutions_are_left_alone(layer: nn.Conv2d) -> None:
    x = torch.randn(1, 4, 2, 9)
    whole = layer(x)
    with CutKernels():
        cut = layer(x)
    assert torch.equal(cut, whole)
    assert not is_cut(cut)


def test_a_network_made_for_low_rates_learns_the_same() -> None:
    torch.manual_seed(0)
    plain = MobileNetV3(n_classes=3, width=0.1).eval()
    ours, x = copy.deepcopy(plain), torch.randn(2, 1, 24, 40)
    plain(x).logits.square().mean().backward()
    with CutKernels():
        ours(x).logits.square().mean().backward()
    for (name, mine), theirs in zip(ours.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6, msg=name)


def depthwise() -> nn.Conv2d:
    """Return a 5×5 convolution of each of four channels."""
    return nn.Conv2d(4, 4, 5, padding=2, groups=4)


def is_cut(y: Tensor) -> bool:
    """Return whether a part of the kernel made a tensor."""
    assert y.grad_fn is not None
    return any(type(one).__name__.startswith("Slice") for one, _ in y.grad_fn.next_functions if one is not None)
