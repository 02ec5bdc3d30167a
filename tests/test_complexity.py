"""Counts against hand counts, torchinfo, and laws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hearless.classifiers.cp_resnet import CPResNet
from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.complexity import complexity
from hearless.interfaces import HearlessError


class Shared(nn.Module):
    """One layer that runs twice, one that never runs, and a scale of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.twice = nn.Linear(3, 3)
        self.never = nn.Linear(3, 100)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.twice(self.twice(x)) * self.scale.sum()
        return y


def test_a_hand_count() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False),  # 36 weights on 8 × 5 places
        nn.BatchNorm2d(4),  # 8
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # 36 weights and 4 biases on 8 × 5
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),  # 40 weights and 10 biases
    )
    counted = complexity(network, torch.randn(1, 1, 16, 10))
    assert [(layer.name, layer.kind, layer.parameters, layer.macs, layer.outputs) for layer in counted.layers] == [
        ("0", "Conv2d", 36, 1440, 160),
        ("1", "BatchNorm2d", 8, 8, 160),
        ("3", "Conv2d", 40, 1600, 160),
        ("6", "Linear", 50, 50, 10),
    ]
    assert (counted.parameters, counted.macs) == (134, 3098)
    assert [counted.n_bytes(p) for p in ("fp32", "fp16", "int8")] == [536, 268, 134]


def test_twice_counts_twice_never_counts_nothing_and_tokens_count_each() -> None:
    counted = {layer.name: layer for layer in complexity(Shared(), torch.randn(1, 7, 3)).layers}
    assert (counted["twice"].parameters, counted["twice"].macs) == (12, 2 * 12 * 7)
    assert (counted["never"].parameters, counted["never"].macs) == (400, 0)
    assert (counted[""].parameters, counted[""].macs) == (2, 2)


def test_a_tied_weight_is_one_parameter() -> None:
    network = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    network[1].weight = network[0].weight
    counted = complexity(network, torch.randn(1, 5))
    assert (counted.parameters, counted.macs) == (25, 50)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (DSFlexiNet(size="sm2", norm="batch"), (1, 1, 256, 64)),
        (DSFlexiNet(size="sm1"), (1, 1, 256, 64)),
        (CPResNet(), (1, 1, 256, 43)),
        (MobileNetV3(n_classes=10, width=0.4), (1, 1, 128, 101)),
    ],
    ids=["sm2", "sm1", "cp_resnet", "mn04"],
)
def test_torchinfo_counts_the_same(network: nn.Module, shape: tuple[int, ...]) -> None:
    torchinfo = pytest.importorskip("torchinfo", reason="needs torchinfo, a test dependency")

    counted = complexity(network, torch.randn(*shape))
    network.forward = lambda features: type(network).forward(network, features).logits  # a tensor, as torchinfo asks
    theirs = torchinfo.summary(network, input_data=torch.randn(*shape), verbose=0)
    assert (counted.parameters, counted.macs) == (theirs.total_params, theirs.total_mult_adds)


def test_nothing_is_changed() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    network[2].eval()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    complexity(network, torch.randn(1, 1, 5, 5))
    assert [module.training for module in network] == [True, True, False]
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_hooks_go_also_when_the_network_fails() -> None:
    network = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        complexity(network, torch.randn(1, 4))
    assert not network[0]._forward_hooks


def test_wrong_input() -> None:
    with pytest.raises(HearlessError, match=r"one clip \[1, …\], got shape \(2, 3\); take example\[:1\]"):
        complexity(nn.Linear(3, 3), torch.randn(2, 3))
    with pytest.raises(HearlessError, match="counts no GRU, got one at '0'"):
        complexity(nn.Sequential(nn.GRU(3, 3)), torch.randn(1, 2, 3))
    with pytest.raises(HearlessError, match="precision must be one of fp32, fp16, int8, got 'int4'"):
        complexity(nn.Linear(3, 3), torch.randn(1, 3)).n_bytes("int4")
