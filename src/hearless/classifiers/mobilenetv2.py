"""MobileNetV2 in PANNs' flavour: every stride is a mean pooling, 4.08 million parameters at 527 classes.

Source: Kong et al., PANNs (TASLP 2020); the network of paper 000 ("MBNetV2").  The pooling sits between a depthwise
convolution and its batch norm.  Its only published weights were trained at 32 kHz; paper 000 puts them behind the
16 kHz front end (both hop 10 ms).  What differs from the published code: see `_panns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from hearless.classifiers import _panns
from hearless.interfaces import Prediction, Weights

EXAMPLE: dict[str, Any] = {"n_classes": 3, "n_bands": 32}

TABLE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 2), (6, 160, 3, 1), (6, 320, 1, 1))
"""Expansion, channels, blocks, stride of the first block."""


def pointwise(into: int, out: int) -> list[nn.Module]:
    """Return 1×1 convolution → batch norm."""
    return [nn.Conv2d(into, out, 1, bias=False), nn.BatchNorm2d(out)]


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, pool, project; add the input where the shape stays."""

    def __init__(self, into: int, out: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        wide = into * expansion
        expand = [*pointwise(into, wide), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
            nn.BatchNorm2d(wide),
            nn.ReLU6(inplace=True),
            *pointwise(wide, out),
        )
        self.residual = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, frame // stride, band // stride]``."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Stem, 17 inverted residual blocks, 1280 channels, global pooling, a 1024-dimensional embedding.

    Maps are ``features.0`` to ``features.18``.

    Args:
        n_classes: number of classes.
        n_bands: bands of the features, at least 32; below 64 the lowest of the published axis.

    Raises:
        HearlessError: fewer than one class or than 32 bands.
    """

    def __init__(self, *, n_classes: int = 527, n_bands: int = 64) -> None:
        super().__init__()
        _panns.check_arguments("MobileNetV2", n_classes, n_bands)
        self.n_classes, self.min_frames, self.min_bands = n_classes, _panns.MIN_SIZE, _panns.MIN_SIZE
        self.bn0 = nn.BatchNorm2d(n_bands)
        stem = [nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.AvgPool2d(2), nn.BatchNorm2d(32), nn.ReLU6(inplace=True)]
        layers: list[nn.Module] = [nn.Sequential(*stem)]
        into = 32
        for expansion, out, n_blocks, first_stride in TABLE:
            for stride in (first_stride, *(1,) * (n_blocks - 1)):
                layers.append(InvertedResidual(into, out, expansion=expansion, stride=stride))
                into = out
        layers.append(nn.Sequential(*pointwise(into, 1280), nn.ReLU6(inplace=True)))
        self.features = nn.Sequential(*layers)
        self.fc1 = nn.Linear(1280, 1024)
        self.fc_audioset = nn.Linear(1024, n_classes)
        _panns.initialise(self)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify log-Mel ``[batch, 1, band, frame]`` in dB.

        Args:
            features: exactly ``n_bands`` bands and at least 32 frames.
            keep: 0/1, broadcastable to ``features``, multiplied after the input normalisation.
            maps: also return what leaves each stage, ``[batch, channel, band, frame]``.

        Raises:
            HearlessError: another number of bands or too few frames.
        """
        x = _panns.normalised("MobileNetV2", self.bn0, features, keep)
        inner: dict[str, Tensor] = {}
        for index, stage in enumerate(self.features):
            x = stage(x)
            if maps:
                inner[f"features.{index}"] = x
        return _panns.prediction(
            x, features, inner, fc1=self.fc1, fc_audioset=self.fc_audioset, training=self.training, first_dropout=0.0
        )

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a PANNs state dict strictly; ``replace_output`` keeps this network's own ``fc_audioset``."""
        _panns.load("MobileNetV2", self, state, replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return ``n_classes`` and ``n_bands`` that fit these keys and shapes, or None."""
        return _panns.recognise(cls, shapes)


WEIGHTS: dict[str, Weights] = {
    "mobilenetv2": _panns.weights("MobileNetV2_mAP=0.383.pth", 32000, "md5:838421a9262cce976aa247946d6e2983"),
}
