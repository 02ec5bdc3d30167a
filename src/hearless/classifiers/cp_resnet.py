"""CP-ResNet with 128 thousand parameters: the receptive-field-regularised teacher of DCASE 2023.

Source: Koutini et al., "Receptive field regularization techniques for audio classification and tagging" (TASLP 2021),
in the size that CP-JKU's DCASE23 system trains its teachers at (default ``get_model`` of cpjku_dcase23); paper 004
takes six of them.  Keys, shapes and outputs are the published ones.  What differs from the published code: one size,
and the embedding, the mean of the last map, is returned beside the logits.

5×5 convolution of stride 2; stage 1 of 32 channels with three poolings; stage 2 of 64 with convolutions in two groups;
stage 3 of 92; a 1×1 convolution → batch norm to the classes, averaged over the map.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly
from hearless.interfaces import Prediction, Weights

EXAMPLE: dict[str, Any] = {"n_classes": 3}

CHANNELS = (32, 64, 92)
OUTPUT = "feed_forward."


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut; a kernel of 1 in the second keeps the receptive field small."""

    def __init__(self, into: int, out: int, *, second: int, groups: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, padding=1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, second, padding=second // 3, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if into != out:
            self.shortcut.add_module("conv", nn.Conv2d(into, out, 1, groups=groups, bias=False))
            self.shortcut.add_module("bn", nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, band, frame]`` of the same size."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class CPResNet(nn.Module):
    """127,684 parameters at ten classes, 28.8 million multiply-accumulates at 256 bands × 43 frames.

    Features are the normalised log-Mel of ``PreEmphasisMel`` (256 bands, hop 23.4375 ms).  Maps are ``in_c`` and
    ``stage1`` to ``stage3``.

    Args:
        n_classes: number of classes.

    Raises:
        HearlessError: fewer than one class.
    """

    def __init__(self, *, n_classes: int = 10) -> None:
        super().__init__()
        check_at_least("CPResNet: n_classes", n_classes, 1, "give the number of classes")
        self.n_classes, self.min_bands, self.min_frames = n_classes, 17, 5
        one, two, three = CHANNELS
        self.in_c = nn.Sequential(
            nn.Conv2d(1, one, 5, stride=2, padding=1, bias=False), nn.BatchNorm2d(one), nn.ReLU()
        )  # fmt: skip
        self.stage1 = nn.Sequential(
            OrderedDict[str, nn.Module](
                pool1=nn.MaxPool2d((2, 2)),
                block1=BasicBlock(one, one, second=1),
                pool2=nn.MaxPool2d((2, 1)),
                block2=BasicBlock(one, one, second=3),
                pool3=nn.MaxPool2d((2, 1)),
            )
        )
        self.stage2 = nn.Sequential(OrderedDict(block1=BasicBlock(one, two, second=3, groups=2)))
        self.stage3 = nn.Sequential(OrderedDict(block1=BasicBlock(two, three, second=1)))
        self.feed_forward = nn.Sequential(nn.Conv2d(three, n_classes, 1, bias=False), nn.BatchNorm2d(n_classes))
        initialise(self)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify normalised log-Mel ``[batch, 1, band, frame]``.

        Args:
            features: at least ``min_bands`` bands and ``min_frames`` frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each stage, ``[batch, channel, band, frame]``.

        Raises:
            HearlessError: too few bands or frames.
        """
        check_features("CPResNet", features, self.min_bands, self.min_frames)
        x = features if keep is None else features * keep
        inner: dict[str, Tensor] = {}
        for name in ("in_c", "stage1", "stage2", "stage3"):
            x = inner[name] = getattr(self, name)(x)
        logits = self.feed_forward(x).mean((2, 3))
        return Prediction(logits=logits, embedding=x.mean((2, 3)), features=features, maps=inner if maps else {})

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a published state dict strictly; ``replace_output`` keeps this network's own last layer."""
        load_strictly("CPResNet", self, state, output=OUTPUT, replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return the ``n_classes`` that fits these keys and shapes, or None."""
        output = shapes.get(OUTPUT + "0.weight", ())
        if len(output) != 4:
            return None
        arguments = {"n_classes": output[0]}
        return arguments if fits(cls, arguments, shapes) else None


def initialise(network: CPResNet) -> None:
    """Start every block as its shortcut (Fixup) and every logit at 0; other convolutions Kaiming-normal by what enters.

    The first convolution of a block is Kaiming-normal by what leaves it, divided by the root of the number of blocks.
    """
    blocks = [module for module in network.modules() if isinstance(module, BasicBlock)]
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    for block in blocks:
        fan_out = 9 * block.conv1.out_channels
        nn.init.normal_(block.conv1.weight, std=math.sqrt(2.0 / fan_out / len(blocks)))
        nn.init.zeros_(block.conv2.weight)
        for layer in block.shortcut:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=math.sqrt(2.0 / layer.out_channels))
    nn.init.zeros_(network.get_parameter(OUTPUT + "0.weight"))


WEIGHTS: dict[str, Weights] = {}
