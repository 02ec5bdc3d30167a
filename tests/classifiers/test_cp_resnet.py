"""CP-ResNet against the published network's keys and outputs, its counts, and how it starts."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import torch

from hearless.classifiers.cp_resnet import BasicBlock, CPResNet
from hearless.complexity import complexity
from hearless.interfaces import HearlessError


@pytest.mark.data
def test_keys_shapes_and_logits_are_the_published_ones(shared: Path) -> None:
    known = json.loads((shared / "fixtures" / "cp_resnet_128k.json").read_text())
    made = runpy.run_path(str(shared / "fixtures" / "name_made_weights.py"))
    network = CPResNet()
    assert {key: list(t.shape) for key, t in network.state_dict().items()} == known["keys"]
    network.load_official(made["fill"](network.state_dict()))
    with torch.no_grad():
        logits = network.eval()(made["features"](256, 43)).logits[0]
    expected = torch.tensor(known["logits"])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_counts_are_the_published_ones() -> None:
    counted = complexity(CPResNet(), torch.randn(1, 1, 256, 43))
    assert counted.parameters == 127_684
    assert counted.macs / 1e6 == pytest.approx(28.84, abs=0.005)


def test_blocks_start_as_their_shortcut_and_logits_at_zero() -> None:
    block = CPResNet().stage1.get_submodule("block1")
    assert isinstance(block, BasicBlock)
    x = torch.rand(2, 32, 6, 5, generator=torch.manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(block(x), x)
        assert not CPResNet()(torch.randn(2, 1, 64, 20)).logits.any()


def test_from_its_start_it_learns() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, features, target = CPResNet(n_classes=2), torch.randn(8, 1, 32, 12), torch.arange(8) % 2
        optimizer, losses = torch.optim.Adam(network.parameters(), 1e-3), []
        for _ in range(15):
            loss = torch.nn.functional.cross_entropy(network(features).logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert losses[-1] < 0.3


def test_wrong_arguments() -> None:
    with pytest.raises(HearlessError, match="n_classes must be at least 1, got 0"):
        CPResNet(n_classes=0)
    with pytest.raises(HearlessError, match="at least 17 bands, got 16"):
        CPResNet()(torch.zeros(1, 1, 16, 43))
