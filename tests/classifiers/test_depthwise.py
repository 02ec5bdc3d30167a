"""The depthwise convolution: `nn.Conv2d`'s values and gradients on maps of every size."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from hearless.classifiers._depthwise import Depthwise

SIZES = (1, 2, 3, 4, 5, 9)


@pytest.mark.parametrize(("kernel", "stride"), [*itertools.product((1, 3, 5), (1, 2))])
@pytest.mark.parametrize(("bands", "frames"), [*itertools.product(SIZES, SIZES)])
def test_values_and_gradients_are_those_of_a_plain_convolution(
    kernel: int, stride: int, bands: int, frames: int
) -> None:  # fmt: skip
    torch.manual_seed(0)
    ours = Depthwise(6, kernel, stride=stride).double()
    plain = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, bands, frames, dtype=torch.float64)
    found = []
    for layer in (ours, plain):
        heard = x.clone().requires_grad_()
        y = layer(heard)
        y.square().sum().backward()
        assert heard.grad is not None
        assert layer.weight.grad is not None
        found.append((y.detach(), heard.grad, layer.weight.grad))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_small_map_meets_a_cut_kernel_where_it_trains_and_nowhere_else() -> None:
    layer, x = Depthwise(4, 5), torch.randn(1, 4, 1, 9)
    assert "Slice" in _made_by(layer(x))
    layer.requires_grad_(requires_grad=False)
    assert "Slice" not in _made_by(layer(x.requires_grad_()))
    with torch.no_grad():
        assert layer.requires_grad_()(x).grad_fn is None


def test_an_exported_network_keeps_whole_kernels() -> None:
    layer = Depthwise(4, 5)
    program = torch.export.export(layer, (torch.randn(1, 4, 1, 9),))
    called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert called == ["aten.conv2d.default"]


def _made_by(y: torch.Tensor) -> str:
    """Return the names of what made a tensor's weights."""
    assert y.grad_fn is not None
    return " ".join(type(one).__name__ for one, _ in y.grad_fn.next_functions if one is not None)
