"""ResNet38 of PANNs: 16 basic residual blocks between two ConvBlocks, 73.78 million parameters at 527 classes.

Source: Kong et al., PANNs (TASLP 2020); the network of papers 000 and 003.  Its only published weights were trained
at 32 kHz; paper 000 puts them behind the 16 kHz front end (both hop 10 ms).  What differs from the published code:
see `_panns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers import _panns
from hearless.interfaces import Prediction, Weights

EXAMPLE: dict[str, Any] = {"n_classes": 3, "n_bands": 32}

LAYERS = {"layer1": (3, 64), "layer2": (4, 128), "layer3": (6, 256), "layer4": (3, 512)}


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; with ``halve`` both read the mean of 2×2 squares."""

    def __init__(self, into: int, out: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.conv1 = nn.Conv2d(into, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        shortcut: list[nn.Module] = [nn.AvgPool2d(2), nn.Conv2d(into, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.downsample = nn.Sequential(*shortcut if halve else [])

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, frame, band]``, halved where ``halve``."""
        y = F.avg_pool2d(x, 2) if self.halve else x
        y = F.relu(self.bn1(self.conv1(y)), inplace=True)
        y = F.dropout(y, 0.1, self.training)
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


def layer(into: int, n_blocks: int, out: int) -> nn.Sequential:
    """Return ``n_blocks`` blocks, the first of which halves where the number of channels changes."""
    first = BasicBlock(into, out, halve=into != out)
    return nn.Sequential(first, *(BasicBlock(out, out, halve=False) for _ in range(n_blocks - 1)))


class ResNet38(nn.Module):
    """ConvBlock, four residual layers, ConvBlock, global pooling, a 2048-dimensional embedding.

    Maps are ``conv_block1``, ``resnet.layer1`` to ``resnet.layer4`` and ``conv_block_after1``, before dropout.

    Args:
        n_classes: number of classes.
        n_bands: bands of the features, at least 32; below 64 the lowest of the published axis.

    Raises:
        HearlessError: fewer than one class or than 32 bands.
    """

    def __init__(self, *, n_classes: int = 527, n_bands: int = 64) -> None:
        super().__init__()
        _panns.check_arguments("ResNet38", n_classes, n_bands)
        self.n_classes, self.min_frames, self.min_bands = n_classes, _panns.MIN_SIZE, _panns.MIN_SIZE
        self.bn0 = nn.BatchNorm2d(n_bands)
        self.conv_block1 = _panns.ConvBlock(1, 64)
        self.resnet = nn.Sequential()
        into = 64
        for name, (n_blocks, out) in LAYERS.items():
            self.resnet.add_module(name, layer(into, n_blocks, out))
            into = out
        self.conv_block_after1 = _panns.ConvBlock(512, 2048, pool=1)
        self.fc1 = nn.Linear(2048, 2048)
        self.fc_audioset = nn.Linear(2048, n_classes)
        _panns.initialise(self)
        for block in self.resnet.modules():
            if isinstance(block, BasicBlock):
                nn.init.zeros_(block.bn2.weight)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify log-Mel ``[batch, 1, band, frame]`` in dB.

        Args:
            features: exactly ``n_bands`` bands and at least 32 frames.
            keep: 0/1, broadcastable to ``features``, multiplied after the input normalisation.
            maps: also return what leaves each stage, ``[batch, channel, band, frame]``.

        Raises:
            HearlessError: another number of bands or too few frames.
        """
        inner: dict[str, Tensor] = {}
        x = inner["conv_block1"] = self.conv_block1(_panns.normalised("ResNet38", self.bn0, features, keep))
        x = F.dropout(x, 0.2, self.training)
        for name, stage in self.resnet.named_children():
            x = inner[f"resnet.{name}"] = stage(x)
        x = F.dropout(F.avg_pool2d(x, 2), 0.2, self.training)
        x = inner["conv_block_after1"] = self.conv_block_after1(x)
        x = F.dropout(x, 0.2, self.training)
        return _panns.prediction(
            x, features, inner if maps else {}, fc1=self.fc1, fc_audioset=self.fc_audioset, training=self.training
        )

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a PANNs state dict strictly; ``replace_output`` keeps this network's own ``fc_audioset``."""
        _panns.load("ResNet38", self, state, replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return ``n_classes`` and ``n_bands`` that fit these keys and shapes, or None."""
        return _panns.recognise(cls, shapes)


WEIGHTS: dict[str, Weights] = {
    "resnet38": _panns.weights("ResNet38_mAP=0.434.pth", 32000, "md5:bf12f36aaabac4e0855e22d3c3239c1b"),
}
